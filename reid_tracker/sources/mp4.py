"""What an MP4 says of itself that OpenCV does not tell: whether it has its index, and which part of it is to be shown.

Boxes are those of ISO/IEC 14496-12: 4 bytes of length, 4 of kind, then what they hold, often boxes again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

# An index of hours has tens of megabytes; a length beyond this is damage.
_LONGEST_INDEX = 1 << 28


@dataclass(frozen=True, slots=True)
class Cut:
    """The part of a trimmed recording that players show. The rest is still in the file, up to the key frame before.

    Attributes:
        begin, end: seconds since the first stored picture; ``end`` is not part of it.
    """

    begin: float
    end: float


def has_index(path: Path) -> bool:
    """Whether an MP4 has its 'moov' box (section 8.2)."""
    with path.open("rb") as file:
        return any(kind == b"moov" for kind, _ in _boxes_of(file))


def cut_of(path: Path) -> Cut | None:
    """The part of an MP4's video that its edit list (section 8.6.6) shows; None where that is all, or no MP4.

    Of several edits the first one counts, as nothing but whole recordings and trimmed ones has been met.
    """
    try:
        index = _index(path)
        return None if index is None else _cut_in(index)
    except (OSError, struct.error):  # damaged: whoever decodes it says so
        return None


def _index(path: Path) -> bytes | None:
    with path.open("rb") as file:
        if file.read(8)[4:] not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"):
            return None
        file.seek(0)
        for kind, length in _boxes_of(file):
            if kind == b"moov":
                return file.read(length) if length <= _LONGEST_INDEX else None
    return None


def _boxes_of(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Kind and length of what each outer box holds; the file stands at its beginning."""
    while len(box := file.read(8)) == 8:
        length, kind = int.from_bytes(box[:4], "big") - 8, box[4:]
        if length == 1 - 8:  # the true length follows as 64 bits
            length = int.from_bytes(file.read(8), "big") - 16
        elif length == -8 and kind == b"mdat":  # to the end of the file
            return
        if length < 0:
            return
        after = file.tell() + length
        yield kind, length
        file.seek(after)


def _cut_in(moov: bytes) -> Cut | None:
    if _inside(moov, b"mvex"):  # in fragments: FFmpeg shows all of them, whatever the edit list says
        return None
    movie_ticks = _ticks(_inside(moov, b"mvhd"))
    for track in _all_inside(moov, b"trak"):
        media = _inside(track, b"mdia")
        if _inside(media, b"hdlr")[8:12] != b"vide":
            continue
        ticks = _ticks(_inside(media, b"mdhd"))
        first = _first_shown(_inside(_inside(_inside(media, b"minf"), b"stbl"), b"ctts"))
        length = _length(_inside(media, b"mdhd")) / ticks if ticks else 0.0
        for duration, begin in _edits(_inside(_inside(track, b"edts"), b"elst")):
            if begin < 0 or not ticks or not movie_ticks:  # an empty edit: a pause before the recording
                continue
            since = (begin - first) / ticks
            end = min(length, since + duration / movie_ticks) if duration else length
            tick = 1 / min(ticks, movie_ticks)
            return None if since <= tick and end >= length - tick else Cut(max(0.0, since), end)
        return None
    return None


def _inside(box: bytes, kind: bytes) -> bytes:
    """What the first inner box of a kind holds; nothing where there is none."""
    return next(_all_inside(box, kind), b"")


def _all_inside(box: bytes, kind: bytes) -> Iterator[bytes]:
    place = 0
    while place + 8 <= len(box):
        (length,) = struct.unpack_from(">I", box, place)
        if length < 8:
            return
        if box[place + 4 : place + 8] == kind:
            yield box[place + 8 : place + length]
        place += length


def _ticks(header: bytes) -> int:
    """Ticks a second of 'mvhd' or 'mdhd'."""
    return int(struct.unpack_from(">I", header, 20 if header[:1] == b"\1" else 12)[0]) if header else 0


def _length(header: bytes) -> int:
    """Duration of 'mdhd', in its ticks."""
    return int(struct.unpack_from(">Q", header, 24)[0] if header[0] == 1 else struct.unpack_from(">I", header, 16)[0])


def _first_shown(offsets: bytes) -> int:
    """Ticks from the decoding of the first stored picture to its showing ('ctts'; none where pictures keep order)."""
    return int(struct.unpack_from(">i", offsets, 12)[0]) if len(offsets) >= 16 else 0


def _edits(edit_list: bytes) -> Iterator[tuple[int, int]]:
    """Duration (in the movie's ticks; 0: to the end) and begin (in the media's; -1: nothing) of each edit."""
    if not edit_list:
        return
    form = ">Qq4x" if edit_list[0] == 1 else ">Ii4x"
    (count,) = struct.unpack_from(">I", edit_list, 4)
    for number in range(count):
        duration, begin = struct.unpack_from(form, edit_list, 8 + number * struct.calcsize(form))
        yield duration, begin
