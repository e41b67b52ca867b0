"""What a stronger embedder says about the training pictures, asked once and kept.

The teacher sees each picture once, unaugmented; the student then learns to give that answer for every augmented
view of the picture.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reid_tracker.config import EmbeddingConfig, RuntimeConfig
from reid_tracker.embedding.embedder import open_embedder
from reid_tracker.errors import ModelError
from reid_tracker.training.data import PeopleSet, decode_people, fingerprint
from reid_tracker.training.keeping import network_digest, save_array
from reid_tracker.types import FloatArray

logger = logging.getLogger(__name__)

BATCH = 16


def teacher_vectors(
    model_file: Path, people: PeopleSet, size_hw: tuple[int, int], cache_dir: Path
) -> NDArray[np.float32]:
    """Unit vectors (N, D) of a teacher.

    Rows of pictures that do not decode are the teacher's answer to black: ``join_people`` leaves them out.

    Args:
        model_file: an embedder of this package (its manifest beside it says what it takes), or an OpenVINO IR or ONNX
            file that takes BGR 0..255 in NCHW.
        people: whom it is asked about.
        size_hw: of the pictures that a bare file is shown.
        cache_dir: for decoded pictures and answers.

    Raises:
        ModelError: no such file, or one that cannot be run.
    """
    kept = _kept(model_file, people, cache_dir, "teacher", None if _is_own(model_file) else size_hw)
    if not kept.exists():
        if _is_own(model_file):
            _keep_own_answers(model_file, people, cache_dir)
        else:
            pixels, _ = decode_people(people, size_hw, cache_dir)
            save_array(kept, _ask(model_file, pixels, size_hw))
    return np.asarray(np.load(kept), dtype=np.float32)


def teacher_stripes(model_file: Path, people: PeopleSet, cache_dir: Path) -> NDArray[np.float16]:
    """Stripes (N, S, d) of a teacher that has them: an embedder of this package.

    Raises:
        ModelError: no such file, or it is of another kind.
    """
    kept = _kept(model_file, people, cache_dir, "teacher-stripes")
    if not kept.exists():
        if not _is_own(model_file):
            raise ModelError(f"{model_file}: no manifest beside it; stripes come from embedders of this package only")
        _keep_own_answers(model_file, people, cache_dir)
    stripes: NDArray[np.float16] = np.load(kept, mmap_mode="r")
    if not stripes.shape[1]:
        raise ModelError(f"{model_file}: has no stripes to teach; set loss.teacher_stripes to 0")
    return stripes


def _is_own(model_file: Path) -> bool:
    return model_file.with_suffix(".json").is_file()


def _kept(
    model_file: Path, people: PeopleSet, cache_dir: Path, kind: str, size_hw: tuple[int, int] | None = None
) -> Path:
    """The file of kept answers; ``size_hw`` where it decides what the teacher is shown."""
    if not model_file.is_file():
        raise ModelError(f"{model_file}: no such teacher model")
    key = hashlib.sha256(f"{network_digest(model_file)}\0{fingerprint(people)}\0{size_hw}".encode())
    return cache_dir / f"{people.name}-{kind}-{model_file.stem}-{key.hexdigest()[:16]}.npy"


def _keep_own_answers(model_file: Path, people: PeopleSet, cache_dir: Path) -> None:
    embedder = open_embedder(EmbeddingConfig(model=str(model_file), batch=BATCH), RuntimeConfig())
    pixels, _ = decode_people(people, embedder.size_hw, cache_dir)
    answers: list[tuple[FloatArray, NDArray[np.float16]]] = []
    for start in range(0, len(pixels), 100 * BATCH):
        logger.info("teacher %s: %d of %d pictures", model_file, start, len(pixels))
        global_, stripes = embedder.embed(pixels[start : start + 100 * BATCH])
        answers.append((global_, stripes.astype(np.float16)))
    for kind, parts in zip(("teacher", "teacher-stripes"), zip(*answers, strict=True), strict=True):
        save_array(_kept(model_file, people, cache_dir, kind), np.concatenate(parts))


def _ask(model_file: Path, pixels: NDArray[np.uint8], size_hw: tuple[int, int]) -> NDArray[np.float32]:
    # Imported here: only distillation needs it, and training without a teacher must not.
    import openvino

    core = openvino.Core()
    try:
        model = core.read_model(model_file)
        model.reshape([BATCH, 3, *size_hw])
        compiled = core.compile_model(
            model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"}
        )
    except RuntimeError as error:
        reason = " ".join(str(error).split())[-200:]
        raise ModelError(f"teacher {model_file}: OpenVINO cannot run it on {size_hw} pictures ({reason})") from error
    answers = np.zeros((len(pixels), int(compiled.output(0).shape[1])), dtype=np.float32)
    queue = openvino.AsyncInferQueue(compiled)

    def add(request: openvino.InferRequest, rows: slice) -> None:
        found = request.get_output_tensor(0).data.reshape(BATCH, -1)[: rows.stop - rows.start]
        answers[rows] = found / np.linalg.norm(found, axis=1, keepdims=True)

    queue.set_callback(add)
    for start in range(0, len(pixels), BATCH):
        rows = slice(start, min(start + BATCH, len(pixels)))
        batch = np.zeros((BATCH, *size_hw, 3), dtype=np.float32)
        batch[: rows.stop - rows.start] = pixels[rows]
        queue.start_async({0: np.ascontiguousarray(batch.transpose(0, 3, 1, 2))}, rows)
        if start % (BATCH * 100) == 0:
            logger.info("teacher %s: %d of %d pictures", model_file.stem, start, len(pixels))
    queue.wait_all()
    return answers
