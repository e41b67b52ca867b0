"""Real people walk past once more: Market-1501 by the time in its file names, and CUHK01 by an order that says nothing.

**market**: rules in replay.py; the people at even places and those at odd places are two cases.

**market, cut by looks**: as hard as these pictures allow. Distractors (id 0000: false boxes and people without
an id) walk along, and no tracklet is cut by true ids: a camera's pictures are joined over less than 100 frames where
their looks agree, one to one in a frame, from a likeness on that only 2 % of the pictures of one frame of one camera,
two people for certain, reach. A tracklet may then show several people, and one passage may be several tracklets.

**cuhk01**: two cameras, 971 people, two pictures in each. The set has no times; camera 1 shows everybody once in one
drawn order, and camera 2 an hour later in another. Time tells nothing about who is who.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from benchmarks.association.cases import Case, Sightings, Step
from benchmarks.association.material import Album
from benchmarks.association.replay import FRAMES_PER_SECOND, Passage, halves, market_passages, moments
from reid_tracker.evaluation.linking import NOBODY
from reid_tracker.training.data import DISTRACTOR_PERSON

CUT = 100  # frames without a picture after which somebody has gone
_NAME = re.compile(r"(-?\d+)_c(\d)s(\d)_(\d+)_\d+")
_STRANGERS_AS_ALIKE = 0.02
_SECONDS_BETWEEN = 10.0  # from one person to the next, CUHK01
_HOUR = 3600.0


def market(album: Album, quick: bool) -> Iterator[Case]:
    """The people of the album in two halves, or all of them where quick."""
    passages = [one for one in market_passages(album.root) if one.files[0] in album.row_of]
    even, odd = halves(passages)
    parts = {"market": passages} if quick else {"market even": even, "market odd": odd}
    for name, part in parts.items():
        yield _case(name, album, part, [[one.person] * len(one.files) for one in part])


def market_cut_by_looks(album: Album) -> Iterator[Case]:
    """Market-1501 with distractors and without true ids."""
    clock = _clock(album)
    alike = _as_alike_as_strangers(album)
    pieces: list[list[_Picture]] = []
    for _, pictures in sorted(_pictures(album).items()):
        pieces += cut_by_looks(pictures, album, alike)
    pieces.sort(key=lambda piece: (clock[piece[-1].sequence] + piece[-1].frame, piece[-1].camera, piece[0].frame))
    passages = [
        Passage(
            number,
            piece[0].person,
            piece[0].camera,
            (clock[piece[0].sequence] + np.array([one.frame for one in piece])) / FRAMES_PER_SECOND,
            tuple(one.name for one in piece),
        )
        for number, piece in enumerate(pieces, start=1)
    ]
    case = _case("market cut by looks", album, passages, [[one.person for one in piece] for piece in pieces])
    mixed = sum(len({one.person for one in piece}) > 1 for piece in pieces)
    yield replace(case, facts={"joined from likeness": round(alike, 3), "tracklets of several people": mixed})


def cuhk01(album: Album, seed: int = 0) -> Iterator[Case]:
    """CUHK01."""
    generator = np.random.default_rng(seed)
    people = np.unique(album.people.persons)
    passages: list[Passage] = []
    for camera in (1, 2):
        begin = (camera - 1) * (_HOUR + _SECONDS_BETWEEN * len(people))
        for place, person in enumerate(generator.permutation(people).tolist()):
            rows = np.flatnonzero((album.people.persons == person) & (album.people.cameras == camera))
            names = tuple(str(album.people.paths[row].relative_to(album.root)) for row in rows)
            times = begin + _SECONDS_BETWEEN * place + np.arange(len(rows), dtype=np.float64)
            passages.append(Passage(len(passages) + 1, person, camera, times, names))
    yield _case("cuhk01", album, passages, [[one.person] * len(one.files) for one in passages])


@dataclass(frozen=True, slots=True)
class _Picture:
    person: int  # NOBODY where it is a distractor
    camera: int
    sequence: int
    frame: int
    name: str


def cut_by_looks(pictures: Sequence[_Picture], album: Album, alike: float) -> list[list[_Picture]]:
    """Pictures of one camera and sequence as tracklets, by frame number and likeness alone."""
    by_frame: defaultdict[int, list[_Picture]] = defaultdict(list)
    for picture in pictures:
        by_frame[picture.frame].append(picture)
    tracks: list[list[_Picture]] = []
    fresh: list[int] = []
    for frame, found in sorted(by_frame.items()):
        fresh = [place for place in fresh if frame - tracks[place][-1].frame < CUT]
        looks = album.looks.global_[[album.row_of[one.name] for one in found]]
        last = [album.looks.global_[album.row_of[tracks[place][-1].name]] for place in fresh]
        likeness = np.stack(last) @ looks.T if last else np.zeros((0, len(found)), np.float32)
        rows, columns = linear_sum_assignment(np.where(likeness > alike, likeness, 0), maximize=True)
        joined = {
            int(column): fresh[row] for row, column in zip(rows, columns, strict=True) if likeness[row, column] > alike
        }
        for column, picture in enumerate(found):
            if column in joined:
                tracks[joined[column]].append(picture)
            else:
                fresh.append(len(tracks))
                tracks.append([picture])
    return tracks


def _pictures(album: Album) -> dict[tuple[int, int], list[_Picture]]:
    """Of each (camera, sequence); of several boxes of a person in one frame the first, as NMS leaves one."""
    found: defaultdict[tuple[int, int], list[_Picture]] = defaultdict(list)
    boxed: set[tuple[int, int, int, int]] = set()
    for name in album.row_of:
        match = _NAME.match(name.rpartition("/")[2])
        assert match, f"{name}: no name of Market-1501"
        person, camera, sequence, frame = (int(group) for group in match.groups())
        shown = NOBODY if person == DISTRACTOR_PERSON else person
        if shown != NOBODY and (shown, camera, sequence, frame) in boxed:
            continue
        boxed.add((shown, camera, sequence, frame))
        found[camera, sequence].append(_Picture(shown, camera, sequence, frame, name))
    return found


def _clock(album: Album) -> dict[int, float]:
    """Frames from the start of the replay to that of each sequence, by the clock of ``market_passages``."""
    starts: dict[int, float] = {}
    for passage in market_passages(album.root):
        for name, time in zip(passage.files, passage.times, strict=True):
            match = _NAME.match(name.rpartition("/")[2])
            assert match
            starts[int(match[3])] = float(time) * FRAMES_PER_SECOND - int(match[4])
    return starts


def _as_alike_as_strangers(album: Album) -> float:
    """The likeness that few people of one camera and sequence reach, one picture of each: the one number made with ids.

    Pictures of one frame do not serve: most frames with several hold several boxes of one person.
    """
    cosines: list[NDArray[np.float32]] = []
    for pictures in _pictures(album).values():
        first = {one.person: album.row_of[one.name] for one in reversed(pictures) if one.person != NOBODY}
        looks = album.looks.global_[list(first.values())]
        cosines.append((looks @ looks.T)[np.triu_indices(len(first), 1)])
    return float(np.quantile(np.concatenate(cosines), 1 - _STRANGERS_AS_ALIKE))


def _case(name: str, album: Album, passages: Sequence[Passage], shown: Sequence[Sequence[int]]) -> Case:
    looks = [album.appearance([album.row_of[file] for file in one.files]) for one in passages]
    steps = [Step(moment.time, (moment,)) for moment in moments(passages, looks)]
    rows = [
        (float(time), one.number, person)
        for one, people in zip(passages, shown, strict=True)
        for time, person in zip(one.times, people, strict=True)
    ]
    files = {one.number: one.files for one in passages}
    return Case(name, steps, (), Sightings.of(rows), pictures=lambda one: album.pictures(files[one.id]))
