"""Which cameras are tracked together: neighbours in one group, cut along the weakest links of the topology."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reid_tracker.cluster.condition import BUSY
from reid_tracker.config import CameraConfig


def links(cameras: Sequence[CameraConfig]) -> dict[tuple[str, str], float]:
    """How strongly cameras belong together, by pair in alphabetical order: one over the seconds of the shortest walk.

    Cameras that no configured walk joins have no entry.
    """
    known = {camera.id for camera in cameras}
    found: dict[tuple[str, str], float] = {}
    for camera in cameras:
        for neighbour, (least, _) in camera.neighbours.items():
            if neighbour in known and neighbour != camera.id:
                first, second = sorted((camera.id, neighbour))
                found[first, second] = max(found.get((first, second), 0.0), 1 / (1 + max(0.0, least)))
    return found


def group(
    cameras: Sequence[str], strength: Mapping[tuple[str, str], float], most: int, groups: int | None = None
) -> list[list[str]]:
    """Cameras in groups of at most ``most``, joined from the strongest link down; so the weakest are the ones cut.

    What is left is then packed together, small ones first into large ones, until as few groups as can be remain (or
    ``groups``, where more are wanted). The same input gives the same groups.

    Args:
        cameras: names, each once.
        strength: of pairs of names; pairs that are not named are not linked.
        most: cameras of one group.
        groups: how many groups to end with at least, where there are cameras enough.

    Returns:
        Groups in the order of their first cameras, each in the order of ``cameras``.

    Raises:
        ValueError: ``most`` is below 1.
    """
    if most < 1:
        raise ValueError(f"a group holds at least one camera, got {most}")
    place = {name: number for number, name in enumerate(cameras)}
    least = max(groups or 1, -(-len(cameras) // most))
    most = min(most, -(-len(cameras) // least)) if groups else most
    of = {name: [name] for name in cameras}

    def join(first: str, second: str) -> bool:
        ours, theirs = of[first], of[second]
        if ours is theirs or len(ours) + len(theirs) > most:
            return False
        ours += theirs
        of.update(dict.fromkeys(theirs, ours))
        return True

    for first, second in sorted(strength, key=lambda pair: (-strength[pair], pair)):
        if first in of and second in of:
            join(first, second)
    _pack(of, join, least)
    distinct = {id(members): members for members in of.values()}.values()
    return sorted(
        (sorted(members, key=place.__getitem__) for members in distinct), key=lambda members: place[members[0]]
    )


def _pack(of: Mapping[str, list[str]], join: object, least: int) -> None:
    """Join groups without links: the largest that still has room takes the largest that fits."""
    assert callable(join)
    while True:
        distinct = list({id(members): members for members in of.values()}.values())
        if len(distinct) <= least:
            return
        distinct.sort(key=lambda members: -len(members))
        pairs = ((one, other) for at, one in enumerate(distinct) for other in distinct[at + 1 :])
        if not any(join(one[0], other[0]) for one, other in pairs):
            return


def cut_strength(groups: Sequence[Sequence[str]], strength: Mapping[tuple[str, str], float]) -> float:
    """The links between different groups, added up: what a placement cuts."""
    of = {name: number for number, members in enumerate(groups) for name in members}
    return sum(value for (first, second), value in strength.items() if of.get(first) != of.get(second))


_ROOM = 0.7  # the most that another one may come to by taking a camera, so that it does not give it back


def relief(
    groups: Mapping[str, Sequence[str]],
    busy: Mapping[str, float],
    strength: Mapping[tuple[str, str], float],
    most: int,
) -> tuple[str, str] | None:
    """The camera to move, and to which group, where one group cannot keep up and others have room.

    The same holds for groups of cameras and the associators that have them.

    Args:
        groups: name -> its cameras.
        busy: name -> share of its time that it works, 0..1; groups without one are left alone.
        strength: links of cameras (see ``links``); the camera goes that gains most or loses least of them.
        most: cameras of one group.

    Returns:
        Camera and group, or None where nothing is to be done or nobody has room.
    """
    known = sorted(busy.keys() & groups.keys(), key=lambda name: (busy[name], name))
    if not known or busy[worn := known[-1]] < BUSY or len(groups[worn]) < 2:
        return None
    share = busy[worn] / len(groups[worn])
    roomy = [name for name in known[:-1] if len(groups[name]) < most and busy[name] + share <= _ROOM]

    def ties(camera: str, name: str) -> float:
        others = {*groups[name]} - {camera}
        return sum(value for pair, value in strength.items() if camera in pair and others & {*pair})

    moves = [(camera, name) for name in roomy for camera in groups[worn]]
    return max(moves, key=lambda move: ties(*move) - ties(move[0], worn), default=None)


def group_links(
    groups: Mapping[str, Sequence[str]], strength: Mapping[tuple[str, str], float]
) -> dict[tuple[str, str], float]:
    """How strongly groups belong together, by pair in alphabetical order: the links of their cameras, added up."""
    of = {camera: name for name, members in groups.items() for camera in members}
    found: dict[tuple[str, str], float] = {}
    for pair, value in strength.items():
        first, second = sorted(of.get(camera, "") for camera in pair)
        if first and first != second:
            found[first, second] = found.get((first, second), 0.0) + value
    return found


def least_loaded(groups: Mapping[str, int]) -> str:
    """Name of the group with the fewest cameras, the first of several."""
    return min(groups, key=lambda name: (groups[name], name))
