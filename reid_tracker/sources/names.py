"""File names: the order that people mean, and the time that recorders write into them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

_STAMP = re.compile(
    r"""(?<!\d)
    (?P<year>(?:19|20)\d\d) (?P<s>[-_.]?) (?P<month>\d\d) (?P=s) (?P<day>\d\d)
    [T_\-\ .]?
    (?P<hour>\d\d) (?P<t>[-_.:]?) (?P<minute>\d\d) (?P=t) (?P<second>\d\d)
    (?:[.,](?P<fraction>\d{1,6}))?
    (?P<zone>Z|[+-]\d\d:?\d\d)?
    (?!\d)""",
    re.VERBOSE,
)


def natural_key(path: Path) -> tuple[tuple[bool, int, str], ...]:
    """Sort key in which ``part2`` comes before ``part10``; the folder counts before the name."""
    pieces = re.split(r"(\d+)", str(path))
    return tuple((piece.isdecimal(), int(piece) if piece.isdecimal() else 0, piece) for piece in pieces)


def time_in_name(path: Path) -> float | None:
    """UTC seconds that a file's name tells, or None.

    Read are date and time to the second in the forms of recorders: ``20260501T080000``, ``20260501_080000``,
    ``20260501080000``, ``2026-05-01_08-00-00``, ``2026-05-01T08:00:00Z``; fractions of a second and a zone
    (``Z``, ``+0200``) are honoured. Without a zone the time is taken as UTC.
    """
    found = _STAMP.search(path.stem)
    if found is None:
        return None
    zone = (found["zone"] or "Z").replace("Z", "+00:00")
    fraction = f".{found['fraction']}" if found["fraction"] else ""
    digits = "{year}-{month}-{day}T{hour}:{minute}:{second}".format(**found.groupdict())
    try:
        moment = datetime.fromisoformat(digits + fraction + zone)
    except ValueError:  # 20269999..., a serial number rather than a date
        return None
    return moment.astimezone(UTC).timestamp()
