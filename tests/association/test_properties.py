"""What holds whatever comes: random people in a few cameras, with little memory, corrections and travel times."""

from __future__ import annotations

from contextlib import suppress
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.association.corrections import keep_apart, merge_identities, split_identity
from reid_tracker.config import AssociationConfig, CameraConfig
from reid_tracker.errors import InputError
from reid_tracker.results.replay import IdentityReplay
from reid_tracker.types import Appearance, CameraTracks, Tracklet, TrackletState
from tests.association.scenes import SIZE, Visit, Wardrobe, tracklet

CAMERAS = ("a", "b", "c")
FASTEST = 6.0  # seconds from a to b
SITE = (CameraConfig(id="a", source="0", neighbours={"b": [FASTEST, 60.0]}),)

Pair = frozenset[int]

visits = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from(CAMERAS), st.integers(0, 50), st.integers(1, 7)),
    min_size=8,
    max_size=26,
)
corrections = st.lists(
    st.tuples(st.integers(5, 60), st.sampled_from(["merge", "split", "never"]), st.integers(0), st.integers(0)),
    max_size=6,
)


class Told:
    """A site that is told things, and what has to hold of it.

    Attributes:
        held: the events so far, replayed.
        two: pairs of tracklets that are certainly two people.
        by_hand: tracklets that were merged by hand, whom evidence of any kind says nothing about.
    """

    def __init__(self, passages_per_camera: int) -> None:
        config = AssociationConfig(passages_per_camera=passages_per_camera)
        self.associator = CrossCameraAssociator(config, SITE)
        self.held = IdentityReplay()
        self.beside: set[Pair] = set()
        self.apart: set[Pair] = set()
        self.by_hand: set[int] = set()

    def show(self, tracks: list[CameraTracks]) -> None:
        for frame in self.associator(tracks):
            self.held.add(frame.events)
            numbers = [person.identity for person in frame.people]
            assert 0 not in numbers
            assert len(set(numbers)) == len(numbers)
            assert all(self.held.identity_of[person.tracklet] == person.identity for person in frame.people)
            self.beside |= set(map(frozenset, combinations((person.tracklet for person in frame.people), 2)))

    def correct(self, kind: str, first: int, second: int, time: float) -> None:
        known = sorted(self.associator.book.identities)
        one, other = known[first % len(known)], known[second % len(known)]
        with suppress(InputError):  # they are one, or were side by side, or nobody would stay
            if kind == "merge":
                kept = merge_identities(self.associator, one, other, time)
                self.held.add(self.associator.book.take_events())
                self.by_hand |= (whole := {who for who, number in self.held.identity_of.items() if number == kept})
                self.apart = {pair for pair in self.apart if not pair <= whole}
            elif kind == "split":
                own = [passage.tracklet for passage in self.associator.book.identities[one].passages]
                told = split_identity(self.associator, one, own[: 1 + second % len(own)], time)[1]
                self.apart |= set(map(frozenset, told))
            else:
                self.apart |= set(map(frozenset, keep_apart(self.associator, one, other)))
        self.held.add(self.associator.book.take_events())

    def check(self, seen: list[Visit]) -> None:
        """Nobody who is certainly two people has one number."""
        number = self.held.identity_of
        for pair in self.beside | self.apart | too_fast(seen, self.by_hand):
            one, other = sorted(pair)
            assert number.get(one) is None or number.get(one) != number.get(other), (one, other)


def too_fast(seen: list[Visit], by_hand: set[int]) -> set[Pair]:
    """Visits to a and then to b between which nobody gets from the one to the other."""
    return {
        frozenset((one.number, other.number))
        for one in seen
        for other in seen
        if (one.camera, other.camera) == ("a", "b")
        and one.start < other.start < one.end + FASTEST
        and by_hand.isdisjoint((one.number, other.number))
    }


def as_seen(visit: Visit, looks: Appearance, time: float, state: TrackletState = TrackletState.CONFIRMED) -> Tracklet:
    shown = looks.select(slice(0, 1 + int(time - visit.start)))
    return tracklet(visit.number, visit.camera, visit.start, time, shown, state, visit.box)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(visits, corrections, st.integers(1, 3), st.sampled_from([0.1, 0.4, 0.7]))
def test_whoever_is_certainly_two_people_never_has_one_number(
    seen: list[tuple[int, str, int, int]],
    told: list[tuple[int, str, int, int]],
    passages_per_camera: int,
    noise: float,
) -> None:
    site, wardrobe = Told(passages_per_camera), Wardrobe(noise=noise)
    scene = [
        Visit(number, person, camera, start, start + length, (20 * number, 100, 20 * number + 50, 220))
        for number, (person, camera, start, length) in enumerate(seen, start=1)
    ]
    looks = {visit.number: wardrobe.looks(visit.person, 8) for visit in scene}
    for time in range(60):
        site.show(
            [
                CameraTracks(
                    camera,
                    time,
                    float(time),
                    SIZE,
                    tuple(as_seen(one, looks[one.number], time) for one in here if one.start <= time <= one.end),
                    ended=tuple(
                        as_seen(one, looks[one.number], one.end, TrackletState.ENDED)
                        for one in here
                        if one.end == time - 1
                    ),
                )
                for camera in CAMERAS
                for here in ([visit for visit in scene if visit.camera == camera],)
            ]
        )
        for _, kind, first, second in (each for each in told if each[0] == time and site.associator.book.identities):
            site.correct(kind, first, second, float(time))
        site.check([visit for visit in scene if visit.start <= time])
    site.held.add(site.associator.finish([]))
    site.check(scene)
    for number, person in site.associator.book.identities.items():
        assert {site.held.identity_of[passage.tracklet] for passage in person.known} == {number}
