"""Crops of all cameras through one network, in one batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reid_tracker.config import EmbeddingConfig, RuntimeConfig
from reid_tracker.embedding.crops import crop_people
from reid_tracker.embedding.quality import quality
from reid_tracker.errors import ModelError
from reid_tracker.runtime import InputSpec, Manifest, Session, find_model, open_session
from reid_tracker.runtime.pictures import to_network_input
from reid_tracker.types import Appearance, BoolArray, Detections, FloatArray, Frame, Image


class NetworkEmbedder:
    """See ``reid_tracker.parts.Embedder``. Not thread-safe.

    Args:
        session: network with an output (N, D), and perhaps one (N, S, d) of stripes from head to foot.
        spec: its input, of fixed size.
        batch: crops per call.
    """

    def __init__(self, session: Session, spec: InputSpec, batch: int) -> None:
        if spec.size_hw is None:
            raise ModelError(f"model {session.describe().model}: an embedder needs an input of fixed size")
        self._session = session
        self._spec = spec
        self._size_hw = spec.size_hw
        self._batch = session.inputs[0].shape[0] or batch
        # Files leave sizes open that the network fixes; one black crop shows them, and warms the engine up.
        seen = self._run(np.zeros((1, *self._size_hw, 3), np.uint8))
        self._global, self._stripes = _roles(seen, session.describe().model)
        stripes, stripe_dimension = seen[self._stripes].shape[1:] if self._stripes else (0, 0)
        self._shapes = seen[self._global][0].size, stripes, stripe_dimension

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the crops that it takes."""
        return self._size_hw

    @property
    def shapes(self) -> tuple[int, int, int]:
        """(D, S, d): length of global vectors, number and length of stripes (0, 0 where there are none)."""
        return self._shapes

    def describe(self) -> str:
        """Model, vectors, and how it runs."""
        dimension, stripes, stripe_dimension = self.shapes
        vectors = f"{dimension}-d" + (f" and {stripes} stripes of {stripe_dimension}-d" if stripes else ", no stripes")
        return f"{self._session.describe().to_text()}; {vectors}; up to {self._batch} crops a call"

    def __call__(
        self,
        frames: Sequence[Frame],
        detections: Sequence[Detections],
        wanted: Sequence[BoolArray] | None = None,
    ) -> list[Appearance]:
        """Appearance of each frame's detections, in order; rows not wanted, or without a crop, come back not valid.

        Raises:
            ModelError: the network gives vectors that are not finite, or of no length.
        """
        if not frames:
            return []
        rows: list[NDArray[np.int64]] = []
        crops: list[Image] = []
        qualities: list[FloatArray] = []
        for index, (frame, found) in enumerate(zip(frames, detections, strict=True)):
            asked = np.arange(len(found)) if wanted is None else np.flatnonzero(wanted[index])
            cut, valid = crop_people(frame.image, found.boxes[asked], self._size_hw)
            rows.append(asked[valid])
            crops.append(cut[valid])
            height, width = frame.image.shape[:2]
            qualities.append(quality(found.boxes, found.scores, (height, width), crops[-1], rows[-1]))
        global_, stripes = self.embed(np.concatenate(crops))
        ends = np.cumsum([len(found) for found in rows])[:-1]
        return [
            _appearance(len(found), which, looks, parts, good)
            for found, which, looks, parts, good in zip(
                detections, rows, np.split(global_, ends), np.split(stripes, ends), qualities, strict=True
            )
        ]

    def embed(self, crops_bgr: Image) -> tuple[FloatArray, FloatArray]:
        """Vectors of crops that were cut before.

        Args:
            crops_bgr: (N, H, W, 3) uint8 of the network's size, from ``crop_people``.

        Returns:
            (N, D) and (N, S, d) float32, each vector of unit length.

        Raises:
            ModelError: vectors that are not finite, or of no length.
        """
        dimension, count, stripe_dimension = self.shapes
        global_ = np.zeros((len(crops_bgr), dimension), np.float32)
        stripes = np.zeros((len(crops_bgr), count, stripe_dimension), np.float32)
        for start in range(0, len(crops_bgr), self._batch):
            part = slice(start, min(start + self._batch, len(crops_bgr)))
            outputs = self._run(crops_bgr[part])
            global_[part] = self._unit(outputs[self._global].reshape(-1, dimension), self._global)
            if self._stripes:
                stripes[part] = self._unit(outputs[self._stripes], self._stripes)
        return global_, stripes

    def _run(self, crops_bgr: Image) -> dict[str, NDArray[Any]]:
        fixed = self._session.inputs[0].shape[0]
        missing = (fixed or len(crops_bgr)) - len(crops_bgr)
        if missing:  # a network with a fixed batch gets black pictures in the places that are left over
            crops_bgr = np.concatenate([crops_bgr, np.zeros((missing, *crops_bgr.shape[1:]), np.uint8)])
        outputs = self._session.run({self._spec.name: to_network_input(crops_bgr, self._spec)})
        return {name: values[: len(values) - missing] for name, values in outputs.items()}

    def _unit(self, vectors: NDArray[np.floating], output: str) -> FloatArray:
        lengths = np.linalg.norm(vectors.astype(np.float32), axis=-1, keepdims=True)
        if not np.isfinite(lengths).all() or (lengths < 1e-12).any():
            model = self._session.describe().model
            raise ModelError(
                f"model {model}: output {output!r} holds vectors that are not finite or of no length; "
                "the file is damaged, or its input is not what its manifest says"
            )
        unit: FloatArray = (vectors / lengths).astype(np.float32)
        return unit


def open_embedder(config: EmbeddingConfig, runtime: RuntimeConfig) -> NetworkEmbedder:
    """The embedder that a configuration names: a shipped model, or an ``.onnx`` or ``.xml`` file.

    A file's input is what its manifest says (``<stem>.json`` beside it); without one: size and layout as the file
    has them, BGR, 0..255, no mean and no deviation.

    Raises:
        ConfigError: no such model.
        ModelError: the file is damaged, or no embedder.
    """
    model = find_model(config.model, "embedder")
    session = open_session(model.path, runtime, free_batch=True)
    return NetworkEmbedder(session, _input_of(session, model.manifest, model.path), config.batch)


def _input_of(session: Session, manifest: Manifest | None, path: Path) -> InputSpec:
    if manifest is not None:
        return manifest.input
    if len(session.inputs) != 1 or len(session.inputs[0].shape) != 4 or 3 not in session.inputs[0].shape:
        taken = ", ".join(f"{tensor.name} {tensor.shape}" for tensor in session.inputs)
        raise ModelError(f"model {path}: takes {taken}, where one batch of colour pictures is expected")
    tensor = session.inputs[0]
    layout = "NHWC" if tensor.shape[3] == 3 else "NCHW"
    height, width = tensor.shape[1:3] if layout == "NHWC" else tensor.shape[2:4]
    if height is None or width is None:
        raise ModelError(f"model {path}: height and width are free; say the size in {path.with_suffix('.json').name}")
    dtype = "uint8" if tensor.dtype == np.uint8 else "float32"
    return InputSpec(name=tensor.name, size_hw=(height, width), layout=layout, dtype=dtype)


def _roles(outputs: Mapping[str, NDArray[Any]], model: str) -> tuple[str, str | None]:
    """Names of the output of global vectors, and of that of stripes where there is one, by their shapes."""
    flat = [name for name, values in outputs.items() if values.ndim >= 2 and values[0].size == max(values.shape[1:])]
    striped = [name for name, values in outputs.items() if values.ndim == 3 and name not in flat]
    if len(flat) != 1 or len(striped) > 1:
        given = ", ".join(f"{name} {values.shape}" for name, values in outputs.items())
        raise ModelError(
            f"model {model}: puts out {given} for one crop; an embedder has one output (N, D), and may have one "
            "(N, S, d) of stripes"
        )
    return flat[0], striped[0] if striped else None


def _appearance(
    count: int, rows: NDArray[np.int64], global_: FloatArray, stripes: FloatArray, qualities: FloatArray
) -> Appearance:
    """``count`` rows, of which ``rows`` are filled."""
    spread = Appearance.empty(count, global_.shape[1], *stripes.shape[1:])
    spread.global_[rows] = global_
    spread.stripes[rows] = stripes
    spread.quality[rows] = qualities
    spread.valid[rows] = True
    return spread
