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

from reid_tracker.errors import ModelError
from reid_tracker.training.data import PeopleSet, decode_people

logger = logging.getLogger(__name__)

BATCH = 16


def teacher_vectors(
    model_file: Path, people: PeopleSet, size_hw: tuple[int, int], cache_dir: Path
) -> NDArray[np.float32]:
    """Unit vectors (N, D) of an OpenVINO IR or ONNX teacher that takes BGR 0..255 in NCHW.

    Rows of pictures that do not decode are the teacher's answer to black: ``join_people`` leaves them out.
    """
    if not model_file.is_file():
        raise ModelError(f"{model_file}: no such teacher model")
    key = hashlib.sha256("\n".join(f"{path}\0{path.stat().st_size}" for path in people.paths).encode())
    key.update(model_file.read_bytes())
    kept = cache_dir / f"{people.name}-teacher-{model_file.stem}-{key.hexdigest()[:16]}.npy"
    if not kept.exists():
        pixels, _ = decode_people(people, size_hw, cache_dir)
        vectors = _ask(model_file, pixels, size_hw)
        np.save(kept, vectors)
    return np.asarray(np.load(kept), dtype=np.float32)


def _ask(model_file: Path, pixels: NDArray[np.uint8], size_hw: tuple[int, int]) -> NDArray[np.float32]:
    # Imported here: only distillation needs it, and training without a teacher must not.
    import openvino

    core = openvino.Core()
    model = core.read_model(model_file)
    model.reshape([BATCH, 3, *size_hw])
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "THROUGHPUT"})
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
