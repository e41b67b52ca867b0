"""The associator on hand-made scenes: who is who, when it may change its mind, and what it says about it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid_tracker.association import CrossCameraAssociator
from reid_tracker.config import AssociationConfig, CameraConfig
from reid_tracker.types import Appearance, CameraTracks, EventType, TrackletState
from tests.association.scenes import SIZE, Story, Visit, Wardrobe, play, tracklet


def crowd(first_number: int, first_person: int, count: int, camera: str, start: float, end: float) -> list[Visit]:
    return [Visit(first_number + k, first_person + k, camera, start, end) for k in range(count)]


def test_a_person_keeps_the_identity_from_camera_to_camera() -> None:
    visits = [*crowd(1, 1, 4, "door", 0, 5), *crowd(11, 1, 4, "hall", 12, 17)]
    story = play(CrossCameraAssociator(), visits, Wardrobe())
    assert len(set(story.final.values())) == 4
    for number in range(1, 5):
        assert story.final[number] == story.final[10 + number] == story.emitted[10 + number]


def test_somebody_new_gets_a_new_identity() -> None:
    visits = [*crowd(1, 1, 3, "door", 0, 5), *crowd(11, 8, 3, "hall", 12, 17)]
    story = play(CrossCameraAssociator(), visits, Wardrobe())
    assert len(set(story.final.values())) == 6


def test_two_people_at_once_in_one_camera_are_two_even_if_dressed_alike() -> None:
    visits = [Visit(1, 1, "door", 0, 6), Visit(2, 1, "door", 2, 8), Visit(3, 1, "door", 3, 9)]
    story = play(CrossCameraAssociator(), visits, Wardrobe(noise=0.05))
    assert len(set(story.final.values())) == 3
    for frame in story.frames:
        shown = [person.identity for person in frame.people]
        assert len(shown) == len(set(shown))


def test_a_tracklet_that_broke_inside_a_camera_is_mended() -> None:
    visits = [Visit(1, 1, "door", 0, 5), Visit(2, 2, "door", 0, 12), Visit(3, 1, "door", 7, 12)]
    story = play(CrossCameraAssociator(), visits, Wardrobe())
    assert story.emitted[1] == story.emitted[3] != story.emitted[2]


def test_views_that_overlap_show_one_person_twice_at_once() -> None:
    visits = [*crowd(1, 1, 3, "left", 0, 8), *crowd(11, 1, 3, "right", 3, 10)]
    story = play(CrossCameraAssociator(), visits, Wardrobe())
    assert [story.final[number] for number in (11, 12, 13)] == [story.final[number] for number in (1, 2, 3)]


@pytest.mark.parametrize(("metres_apart", "people"), [(0.3, 1), (12.0, 2)])
def test_feet_decide_where_ground_is_known_and_looks_agree(metres_apart: float, people: int) -> None:
    scale = ((0.01, 0.0, 0.0), (0.0, 0.01, 0.0), (0.0, 0.0, 1.0))
    moved = ((0.01, 0.0, metres_apart), (0.0, 0.01, 0.0), (0.0, 0.0, 1.0))
    cameras = [
        CameraConfig(id="left", source="left.mp4", homography=scale),
        CameraConfig(id="right", source="right.mp4", homography=moved),
    ]
    visits = [Visit(1, 1, "left", 0, 8), Visit(2, 1, "right", 2, 8)]
    story = play(CrossCameraAssociator(AssociationConfig(), cameras), visits, Wardrobe(noise=0.7, seed=3))
    assert len(set(story.final.values())) == people


def test_a_configured_travel_time_tells_people_dressed_alike_apart() -> None:
    def people(neighbours: dict[str, list[float]]) -> int:
        cameras = [
            CameraConfig(id="door", source="0", neighbours=neighbours),
            CameraConfig(id="hall", source="1"),
        ]
        visits = [Visit(1, 1, "door", 0, 5), Visit(2, 1, "hall", 6, 9)]
        story = play(CrossCameraAssociator(AssociationConfig(), cameras), visits, Wardrobe(noise=0.62, seed=2))
        return len(set(story.final.values()))

    assert people({"hall": [0.5, 30.0]}) == 1
    assert people({"hall": [60.0, 300.0]}) == 2


def test_the_better_match_wins_whoever_comes_first() -> None:
    # Both newcomers resemble person 1, the second one far more; judged one by one the first would take the identity.
    clean, vague = Wardrobe(noise=0.1), Wardrobe(noise=0.6, seed=5)
    associator = CrossCameraAssociator()
    associator([CameraTracks("door", 0, 0.0, SIZE, (tracklet(1, "door", 0, 0, clean.looks(1, 3)),))])
    ended = tracklet(1, "door", 0, 4, clean.looks(1, 6), TrackletState.ENDED)
    associator([CameraTracks("door", 1, 5.0, SIZE, (), (), (ended,))])
    newcomers = (
        tracklet(2, "hall", 10, 10, vague.looks(1, 2)),
        tracklet(3, "hall", 10, 10, clean.looks(1, 2), box=(300, 100, 350, 220)),
    )
    frame = associator([CameraTracks("hall", 0, 10.0, SIZE, newcomers)])[0]
    assert {person.tracklet: person.identity for person in frame.people}[3] == 1


def test_a_first_look_that_says_little_is_made_good_later() -> None:
    """A look like nobody starts a provisional identity; good looks give it up, and the older number stays."""
    wardrobe = Wardrobe()
    associator = CrossCameraAssociator()
    story = play(associator, crowd(1, 1, 4, "door", 0, 5), wardrobe, finish=False)
    unlike = Wardrobe(seed=9).looks(77, 1)
    good = wardrobe.looks(2, 6)
    growing = Appearance(
        np.concatenate([unlike.global_, good.global_]),
        np.concatenate([unlike.stripes, good.stripes]),
        np.concatenate([unlike.quality, good.quality]),
        np.ones(7, np.bool_),
    )
    first = associator([CameraTracks("hall", 0, 12.0, SIZE, (tracklet(9, "hall", 12, 12, growing.select([0])),))])[0]
    second = associator([CameraTracks("hall", 1, 14.0, SIZE, (tracklet(9, "hall", 12, 14, growing),))])[0]
    assert first.people[0].state == "provisional"
    assert first.people[0].identity != second.people[0].identity
    assert second.people[0].identity == story.final[2]
    merged = [event for event in second.events if event.type is EventType.MERGED]
    assert [event.supersedes for event in merged] == [(first.people[0].identity,)]


def test_a_link_that_later_looks_contradict_is_split() -> None:
    wardrobe = Wardrobe()
    associator = CrossCameraAssociator()
    story = play(associator, crowd(1, 1, 4, "door", 0, 5), wardrobe, finish=False)
    misleading, true = wardrobe.looks(2, 1), wardrobe.looks(30, 12)
    growing = Appearance(
        np.concatenate([misleading.global_, true.global_]),
        np.concatenate([misleading.stripes, true.stripes]),
        np.ones(13, np.float32),
        np.ones(13, np.bool_),
    )
    first = associator([CameraTracks("hall", 0, 12.0, SIZE, (tracklet(9, "hall", 12, 12, growing.select([0])),))])[0]
    second = associator([CameraTracks("hall", 1, 16.0, SIZE, (tracklet(9, "hall", 12, 16, growing),))])[0]
    assert first.people[0].identity == story.final[2]
    split = [event for event in second.events if event.type is EventType.SPLIT]
    assert [(event.tracklets, event.supersedes) for event in split] == [((9,), (story.final[2],))]
    assert second.people[0].identity == split[0].identity


def test_links_say_why() -> None:
    visits = [*crowd(1, 1, 3, "door", 0, 5), *crowd(11, 1, 3, "hall", 12, 17)]
    story = play(CrossCameraAssociator(), visits, Wardrobe(stripes=8))
    links = story.of(EventType.LINKED) + story.of(EventType.MERGED)
    assert links
    for event in links:
        evidence = event.evidence
        assert set(evidence) == {
            "rule",
            "other_tracklet",
            "global_distance",
            "aligned_distance",
            "stripe_path",
            "time_gap",
            "probability",
            "runner_up",
            "margin",
        }
        assert evidence["other_tracklet"] in {visit.number for visit in visits} - set(event.tracklets)
        assert evidence["stripe_path"][0] == [0, 0]
        assert evidence["stripe_path"][-1] == [7, 7]
        assert 0 <= evidence["global_distance"] <= 2
        assert 0 < evidence["aligned_distance"] < 1
        assert 0 < evidence["probability"] <= 1
        assert evidence["time_gap"] == pytest.approx(7, abs=1)


def test_an_embedder_without_stripes_is_told_of_by_nulls() -> None:
    visits = [Visit(1, 1, "door", 0, 5), Visit(2, 1, "hall", 9, 12)]
    story = play(CrossCameraAssociator(), visits, Wardrobe())
    evidence = (story.of(EventType.LINKED) + story.of(EventType.MERGED))[0].evidence
    assert evidence["aligned_distance"] is None
    assert evidence["stripe_path"] is None


def test_people_without_any_look_are_nobody_known() -> None:
    nothing = Appearance.empty()
    associator = CrossCameraAssociator()
    shown = [
        associator([CameraTracks(camera, 0, time, SIZE, (tracklet(number, camera, time, time, nothing),))])[0]
        for number, (camera, time) in enumerate([("door", 0.0), ("hall", 5.0)], start=1)
    ]
    assert [frame.people[0].identity for frame in shown] == [1, 2]
    assert all(frame.people[0].state == "provisional" for frame in shown)


@pytest.mark.parametrize("common", [0.0, 0.3, 0.6])
def test_an_embedder_of_any_scale_is_understood(common: float) -> None:
    """Strangers' cosine runs from 0 to 0.6 between embedders; nothing is told to the associator."""
    visits = [
        *crowd(1, 1, 6, "door", 0, 6),
        *crowd(11, 1, 3, "hall", 12, 18),
        *crowd(21, 20, 3, "hall", 12, 18),
        *crowd(31, 1, 6, "yard", 25, 30),
    ]
    story = play(CrossCameraAssociator(), visits, Wardrobe(common=common))
    assert len(set(story.final.values())) == 9
    assert all(story.final[30 + number] == story.final[number] for number in range(1, 7))


def test_the_same_scene_gives_the_same_story() -> None:
    visits = [*crowd(1, 1, 5, "door", 0, 5), *crowd(11, 3, 5, "hall", 4, 9), *crowd(21, 1, 8, "yard", 15, 20)]
    first, second = (play(CrossCameraAssociator(), visits, Wardrobe(noise=0.6)) for _ in range(2))
    assert first.events == second.events
    assert first.frames == second.frames


def test_memory_is_bounded_by_count() -> None:
    associator = CrossCameraAssociator(AssociationConfig(max_identities=5))
    visits = [Visit(number, number, "door", 10.0 * number, 10.0 * number + 2) for number in range(1, 31)]
    story = play(associator, visits, Wardrobe(), finish=False)
    assert len(associator.gallery) <= 6  # one more while its passage is open
    forgotten = story.of(EventType.ENDED)
    assert associator.counters()["too many"] == len(forgotten) >= 20


def test_memory_is_bounded_by_age_and_the_run_says_so_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    associator = CrossCameraAssociator(AssociationConfig(memory_seconds=30))
    story = play(associator, [Visit(1, 1, "door", 0, 4), Visit(2, 2, "door", 100, 104)], Wardrobe(), finish=False)
    assert [event.identity for event in story.of(EventType.ENDED)] == [story.final[1]]
    assert associator.counters() == {"too old": 1}
    with caplog.at_level("INFO", "reid_tracker.association"):
        associator.finish([tracklet(2, "door", 100, 104, Wardrobe().looks(2, 1), TrackletState.ENDED)])
    assert "dropped from memory, or noticed: 1 too old" in caplog.text


def test_a_short_memory_is_kept_to_the_second() -> None:
    associator = CrossCameraAssociator(AssociationConfig(memory_seconds=4))
    story = play(
        associator, [Visit(1, 1, "door", 0, 4), Visit(2, 2, "hall", 0, 20), Visit(3, 1, "door", 9.5, 13)], Wardrobe()
    )
    assert story.final[3] != story.final[1]


def test_passages_of_one_person_are_bounded() -> None:
    associator = CrossCameraAssociator(AssociationConfig(passages_per_camera=3))
    visits = [Visit(number, 1, "door", 10.0 * number, 10.0 * number + 2) for number in range(1, 21)]
    story = play(associator, visits, Wardrobe(), finish=False)
    assert set(story.final.values()) == {1}
    assert len(associator.book.identities[1].passages) <= 4
    assert associator.counters()["passages"] >= 16


def test_results_come_one_per_input_in_order() -> None:
    associator = CrossCameraAssociator()
    tracks = [CameraTracks(camera, 7, 1.5, SIZE, ()) for camera in ("b", "a", "c")]
    frames = associator(tracks)
    assert [(frame.camera_id, frame.index, frame.time, frame.size) for frame in frames] == [
        (camera, 7, 1.5, SIZE) for camera in ("b", "a", "c")
    ]
    assert associator([]) == []


def test_who_ended_in_a_moment_that_failed_is_not_in_view_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A service goes on after a moment that fails; nobody is told of those who ended in it again."""
    associator, looks = CrossCameraAssociator(), Wardrobe().looks(1, 4)
    associator([CameraTracks("door", 0, 4.0, SIZE, (tracklet(1, "door", 0, 4, looks),))])
    ended = tracklet(1, "door", 0, 4, looks, TrackletState.ENDED)
    with monkeypatch.context() as broken:
        broken.setattr(associator.ground, "learn", None)
        with pytest.raises(TypeError):
            associator([CameraTracks("door", 1, 5.0, SIZE, (), (), (ended,))])
    assert associator.passages == ()
    assert associator([CameraTracks("door", 2, 6.0, SIZE, ())])[0].people == ()


def test_a_run_without_anybody_ends_without_events() -> None:
    assert CrossCameraAssociator().finish([]) == ()


visits_of_scenes = st.lists(
    st.tuples(
        st.integers(1, 5), st.sampled_from(["a", "b", "c"]), st.integers(0, 30), st.integers(0, 8), st.integers(0, 9)
    ),
    min_size=1,
    max_size=14,
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(visits=visits_of_scenes, noise=st.sampled_from([0.3, 0.6, 0.8]))
def test_events_tell_the_whole_story(visits: list[tuple[int, str, int, int, int]], noise: float) -> None:
    """Whatever happens: events replay to what was shown and to the book, and nobody is twice in a camera."""
    scene = [
        Visit(number, person, camera, start, start + length)
        for number, (person, camera, start, length, _) in enumerate(visits, start=1)
    ]
    associator = CrossCameraAssociator()
    story = play(associator, scene, Wardrobe(noise=noise), step=1.0)
    assert [event.event_id for event in story.events] == list(range(1, len(story.events) + 1))
    held = {
        passage.tracklet: identity.number
        for identity in associator.book.identities.values()
        for passage in identity.passages
    }
    assert held.items() <= story.final.items()
    assert set(story.final) == {visit.number for visit in scene}
    replayed = Story()
    for frame in story.frames:
        replayed.events += frame.events
        shown = [person.identity for person in frame.people]
        assert len(shown) == len(set(shown))
        # Events of the other cameras of this moment may still change an identity shown a line earlier.
        for person in frame.people:
            assert replayed.final[person.tracklet] == person.identity
    for identity in associator.book.identities.values():
        for one in identity.passages:
            assert not identity.meets([one])
