"""A whole training set in one small file, to take to a machine that has nothing else: pictures, who and where, the
teacher's answers and the weights to start from.

The file is a zip without compression. ``pack.json`` lists the sets; each set is ``<name>.npz`` (persons, cameras, where
each picture begins, the teacher's unit vectors in 8 bits a number, whose cosine with the originals is above 0.9999) and
``<name>.bin`` (its pictures as WebP, no larger than asked for, one after the other); ``start-<backbone>.pt`` holds
published weights without their classifier, in half precision.
"""

from __future__ import annotations

import io
import json
import logging
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from reid_tracker.embedding.crops import resize_crop
from reid_tracker.errors import InputError, ModelError
from reid_tracker.training.data import PeopleSet, read_picture
from reid_tracker.types import BoolArray, Image

logger = logging.getLogger(__name__)

FORMAT = 1
QUALITIES = (90, 85, 80, 75, 70, 65, 60, 55, 50, 45, 40, 35, 30)
_SAMPLE = 256  # pictures a set from which the size at a quality is guessed
_LISTING = "pack.json"


@dataclass(frozen=True, slots=True)
class PackedSet:
    """One set before it is packed.

    Attributes:
        people: its pictures on disk.
        teacher: (N, D) unit vectors of a stronger embedder, or None.
    """

    people: PeopleSet
    teacher: NDArray[np.float32] | None


def write_pack(
    file: Path, sets: Sequence[PackedSet], size_hw: tuple[int, int], starts: Mapping[str, nn.Module], most_bytes: int
) -> int:
    """Pack sets at the best quality at which the file stays below a size.

    Args:
        file: the pack.
        sets: what goes in.
        size_hw: larger pictures are brought down to it, smaller ones stay.
        starts: backbones with the weights to start from, by name.
        most_bytes: of the whole file.

    Returns:
        The quality taken (WebP's scale, 0..100).

    Raises:
        InputError: not even the lowest quality is small enough, or a picture does not decode.
    """
    weights = {name: _start_bytes(backbone) for name, backbone in starts.items()}
    fixed = sum(len(one) for one in weights.values()) + sum(_table_size(one) for one in sets) + 64_000
    quality = _best_quality(sets, size_hw, most_bytes - fixed)
    file.parent.mkdir(parents=True, exist_ok=True)
    young = file.with_name(file.name + ".new")
    with zipfile.ZipFile(young, "w", zipfile.ZIP_STORED) as archive:
        listing = {
            "format": FORMAT,
            "sets": [one.people.name for one in sets],
            "starts": sorted(weights),
            "size_hw": list(size_hw),
            "quality": quality,
        }
        archive.writestr(_LISTING, json.dumps(listing, indent=2))
        for name, content in weights.items():
            archive.writestr(f"start-{name}.pt", content)
        for one in sets:
            pictures = [_encode(path, size_hw, quality) for path in one.people.paths]
            archive.writestr(f"{one.people.name}.bin", b"".join(pictures))
            archive.writestr(f"{one.people.name}.npz", _table(one, [len(picture) for picture in pictures]))
    size = young.stat().st_size
    if size > most_bytes:
        raise InputError(f"{young}: {size} bytes at quality {quality}, above {most_bytes}; take fewer pictures")
    young.replace(file)
    logger.info("%s: %.1f MB at quality %d", file, size / 1e6, quality)
    return quality


class Pack:
    """A pack that is read.

    Raises:
        InputError: it is missing, or no pack of this format.
    """

    def __init__(self, file: Path) -> None:
        try:
            self._archive = zipfile.ZipFile(file)
            listing = json.loads(self._archive.read(_LISTING))
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(f"pack {file}: cannot be read ({error}); make it with tools/pack_training.py") from error
        if listing.get("format") != FORMAT:
            raise InputError(f"pack {file}: format {listing.get('format')}, expected {FORMAT}; make it anew")
        self.file = file
        self.sets: tuple[str, ...] = tuple(listing["sets"])
        self.starts: tuple[str, ...] = tuple(listing["starts"])

    def people(self, name: str) -> PeopleSet:
        """Who and where; the paths name rows, no files.

        Raises:
            InputError: no such set in this pack.
        """
        if name not in self.sets:
            raise InputError(f"pack {self.file}: no set {name!r}, it holds {', '.join(self.sets)}")
        table = self._table(name)
        paths = tuple(Path(name) / f"{row:06d}" for row in range(len(table["persons"])))
        return PeopleSet(name, paths, table["persons"], table["cameras"])

    def decode(self, name: str, size_hw: tuple[int, int]) -> tuple[Image, BoolArray]:
        """All pictures (N, h, w, 3) of a set at a training size, in memory, and (N,) bool: it decoded."""
        data = np.frombuffer(self._archive.read(f"{name}.bin"), dtype=np.uint8)
        ends = np.cumsum(self._table(name)["sizes"])
        pixels: Image = np.zeros((len(ends), *size_hw, 3), dtype=np.uint8)
        readable = np.zeros(len(ends), dtype=np.bool_)
        for row, part in enumerate(np.split(data, ends[:-1])):
            picture = cv2.imdecode(part, cv2.IMREAD_COLOR)
            readable[row] = picture is not None
            if picture is not None:
                pixels[row] = resize_crop(np.asarray(picture, dtype=np.uint8), size_hw)
        return pixels, readable

    def teacher(self, name: str) -> NDArray[np.float32] | None:
        """The teacher's unit vectors (N, D), or None where it was not asked."""
        table = self._table(name)
        if "teacher" not in table:
            return None
        vectors = table["teacher"].astype(np.float32)  # lengths were made 1, so their scales are not needed
        unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    def start(self, backbone: nn.Module, name: str) -> None:
        """Put the packed weights into a backbone of that name.

        Raises:
            ModelError: they are not in the pack, or do not fit.
        """
        if name not in self.starts:
            raise ModelError(
                f"pack {self.file}: no start weights of {name}, it holds {', '.join(self.starts) or 'none'}"
            )
        state = torch.load(io.BytesIO(self._archive.read(f"start-{name}.pt")), map_location="cpu", weights_only=True)
        backbone.load_state_dict(
            {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
        )

    def _table(self, name: str) -> dict[str, NDArray[Any]]:
        with np.load(io.BytesIO(self._archive.read(f"{name}.npz"))) as table:
            return {key: table[key] for key in table.files}


def _encode(path: Path, size_hw: tuple[int, int], quality: int) -> bytes:
    whole = read_picture(path)
    if whole is None:
        raise InputError(f"{path}: does not decode as a picture; remove it and pack again")
    height, width = (min(side, most) for side, most in zip(whole.shape[:2], size_hw, strict=True))
    encoded = cv2.imencode(".webp", resize_crop(whole, (height, width)), [cv2.IMWRITE_WEBP_QUALITY, quality])[1]
    return bytes(encoded)


def _best_quality(sets: Sequence[PackedSet], size_hw: tuple[int, int], most_bytes: int) -> int:
    """The highest quality at which a sample says that all pictures fit, with 1 % to spare."""
    samples = [(len(one.people), _spread(one.people.paths)) for one in sets]
    for quality in QUALITIES:
        guess = sum(
            count * float(np.mean([len(_encode(path, size_hw, quality)) for path in paths])) for count, paths in samples
        )
        if guess * 1.01 <= most_bytes:
            return quality
    raise InputError(
        f"pack: {guess / 1e6:.1f} MB of pictures at the lowest quality, {most_bytes / 1e6:.1f} MB are left for them; "
        "store them smaller, take fewer, or allow more"
    )


def _spread(paths: Sequence[Path]) -> list[Path]:
    return [paths[row] for row in np.linspace(0, len(paths) - 1, min(_SAMPLE, len(paths))).astype(int)]


def _table_size(one: PackedSet) -> int:
    vectors = 0 if one.teacher is None else one.teacher.size
    return vectors + len(one.people) * 24 + 2000


def _table(one: PackedSet, sizes: list[int]) -> bytes:
    table: dict[str, NDArray[Any]] = {
        "persons": one.people.persons,
        "cameras": one.people.cameras,
        "sizes": np.array(sizes, dtype=np.int64),
    }
    if one.teacher is not None:
        largest = np.abs(one.teacher).max(axis=1, keepdims=True)
        table["teacher"] = np.rint(one.teacher / largest * 127).astype(np.int8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **table)
    return buffer.getvalue()


def _start_bytes(backbone: nn.Module) -> bytes:
    buffer = io.BytesIO()
    # Running variances can lie outside half precision's range; they are few.
    torch.save(
        {name: value.half() if value.ndim > 1 else value for name, value in backbone.state_dict().items()}, buffer
    )
    return buffer.getvalue()
