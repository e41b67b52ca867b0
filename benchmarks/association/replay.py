"""Real people walk past an associator once more: tracklets of Market-1501, look by look, in the order of time.

Rules: pictures of the query and test sets with a true id are grouped by (person, camera, sequence), ordered by frame
and cut where the next frame number is 100 or more larger: 6,647 tracklets of 750 people, 16,483 pictures, 6 cameras,
6 sequences. Sequences follow one another an hour apart; inside one the cameras share a clock at 25 frames a second.
People are halved (even against odd places in the sorted list of ids) and each half is replayed alone, so that what is
tuned on one is reported on the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from reid_tracker.types import Appearance, CameraTracks, Tracklet, TrackletState

FRAMES_PER_SECOND = 25.0
SEQUENCE_GAP = 3600.0
_CUT = 100
_SIZE = (1920, 1080)
_NAME = re.compile(r"(-?\d+)_c(\d)s(\d)_(\d+)_\d+")


@dataclass(frozen=True)
class Passage:
    """One true tracklet.

    Attributes:
        number: unique in the replay.
        person: true id.
        camera: 1..6.
        times: (L,) seconds of its pictures on the replay's clock.
        files: (L,) names of its pictures below the data set's root.
    """

    number: int
    person: int
    camera: int
    times: NDArray[np.float64]
    files: tuple[str, ...]


def market_passages(root: Path) -> list[Passage]:
    """All tracklets of Market-1501's query and test sets, in order of their ends."""
    pictures: dict[tuple[int, int, int], list[tuple[int, str]]] = {}
    for folder in ("query", "bounding_box_test"):
        for path in sorted((root / folder).iterdir()):
            match = _NAME.match(path.name)
            if match and int(match[1]) > 0:
                person, camera, sequence, frame = (int(group) for group in match.groups())
                pictures.setdefault((person, camera, sequence), []).append((frame, f"{folder}/{path.name}"))
    lengths = {
        sequence: max(frame for key, found in pictures.items() if key[2] == sequence for frame, _ in found)
        for sequence in {key[2] for key in pictures}
    }
    starts = {
        sequence: sum(lengths[earlier] / FRAMES_PER_SECOND + SEQUENCE_GAP for earlier in lengths if earlier < sequence)
        for sequence in lengths
    }
    pieces: list[tuple[tuple[int, int, int, int], int, list[tuple[int, str]]]] = []
    for (person, camera, sequence), found in pictures.items():
        found.sort()
        cuts = [place for place in range(1, len(found)) if found[place][0] - found[place - 1][0] >= _CUT]
        for begin, end in zip([0, *cuts], [*cuts, len(found)], strict=True):
            piece = found[begin:end]
            pieces.append(((sequence, piece[-1][0], camera, piece[0][0]), person, piece))
    pieces.sort()
    return [
        Passage(
            number,
            person,
            key[2],
            starts[key[0]] + np.array([frame for frame, _ in piece]) / FRAMES_PER_SECOND,
            tuple(name for _, name in piece),
        )
        for number, (key, person, piece) in enumerate(pieces, start=1)
    ]


def halves(passages: Sequence[Passage]) -> tuple[list[Passage], list[Passage]]:
    """The passages of the people at even and at odd places of the sorted list of ids."""
    people = sorted({passage.person for passage in passages})
    even = set(people[::2])
    return [one for one in passages if one.person in even], [one for one in passages if one.person not in even]


def moments(passages: Sequence[Passage], looks: Sequence[Appearance]) -> Iterator[CameraTracks]:
    """What trackers would have said: each passage grows by a look at a time and ends four seconds after its last.

    Args:
        passages: the tracklets.
        looks: the appearance of each one's pictures, in their order.
    """
    patience = _CUT / FRAMES_PER_SECOND
    events = [
        (float(time), place, count)
        for place, passage in enumerate(passages)
        for count, time in enumerate((*passage.times, passage.times[-1] + patience), start=1)
    ]
    events.sort()
    open_: dict[int, dict[int, Tracklet]] = {}
    for index, (time, place, count) in enumerate(events):
        passage = passages[place]
        here = open_.setdefault(passage.camera, {})
        ended: tuple[Tracklet, ...] = ()
        seen: tuple[Tracklet, ...] = ()
        if count > len(passage.times):
            ended = (_tracklet(passage, looks[place], len(passage.times), TrackletState.ENDED),)
            del here[passage.number]
        else:
            here[passage.number] = _tracklet(passage, looks[place], count, TrackletState.CONFIRMED)
            seen = (here[passage.number],)
        lost = tuple(tracklet for number, tracklet in here.items() if number != passage.number)
        yield CameraTracks(f"c{passage.camera}", index, time, _SIZE, seen, lost, ended)


def identification(predicted: Sequence[int], true: Sequence[int], weights: Sequence[int]) -> float:
    """IDF1 over pictures: their share on the best one-to-one match of predicted and true ids."""
    _, rows = np.unique(np.asarray(predicted), return_inverse=True)
    _, columns = np.unique(np.asarray(true), return_inverse=True)
    shared = np.zeros((rows.max() + 1, columns.max() + 1))
    np.add.at(shared, (rows, columns), weights)
    best = linear_sum_assignment(shared, maximize=True)
    return float(shared[best].sum() / np.sum(weights))


def splits_and_merges(predicted: Sequence[int], true: Sequence[int]) -> tuple[int, int]:
    """Surplus identities of people, and surplus people of identities."""
    pairs = set(zip(predicted, true, strict=True))
    return len(pairs) - len(set(true)), len(pairs) - len(set(predicted))


def _tracklet(passage: Passage, looks: Appearance, count: int, state: TrackletState) -> Tracklet:
    boxes = np.tile(np.array([[100, 100, 164, 228]], np.float32), (count, 1))
    return Tracklet(
        id=passage.number,
        camera_id=f"c{passage.camera}",
        state=state,
        boxes=boxes,
        times=passage.times[:count],
        score=1.0,
        quality=float(looks.quality[count - 1]),
        started=float(passage.times[0]),
        looks=looks.select(slice(0, count)),
        look_times=passage.times[:count],
        look_boxes=boxes,
        looks_version=count,
    )
