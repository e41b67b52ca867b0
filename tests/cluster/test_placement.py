"""Which cameras are tracked together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid_tracker.cluster.placement import cut_strength, group, least_loaded, links, relief
from reid_tracker.config import CameraConfig

NAMES = [f"c{number}" for number in range(12)]


def test_links_are_as_strong_as_the_walk_is_short() -> None:
    cameras = [
        CameraConfig(id="a", source="x", neighbours={"b": [1.0, 9.0], "c": [9.0, 30.0]}),
        CameraConfig(id="b", source="x", neighbours={"a": [3.0, 9.0]}),
        CameraConfig(id="c", source="x"),
    ]
    assert links(cameras) == {("a", "b"): 0.5, ("a", "c"): 0.1}


def test_a_site_is_cut_where_the_walk_is_long() -> None:
    two_floors = {("a", "b"): 0.5, ("b", "c"): 0.4, ("d", "e"): 0.5, ("e", "f"): 0.3, ("c", "d"): 0.05}
    groups = group(list("abcdef"), two_floors, most=4, groups=2)
    assert groups == [["a", "b", "c"], ["d", "e", "f"]]
    assert cut_strength(groups, two_floors) == pytest.approx(0.05)


def test_cameras_without_links_are_packed() -> None:
    assert group(list("abcde"), {}, most=2) == [["a", "b"], ["c", "d"], ["e"]]
    assert group([], {}, most=2) == []
    assert group(list("ab"), {}, most=8, groups=2) == [["a"], ["b"]]
    with pytest.raises(ValueError, match="at least one camera"):
        group(["a"], {}, most=0)


@given(
    st.lists(st.sampled_from(NAMES), unique=True),
    st.dictionaries(
        st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).map(lambda pair: tuple(sorted(pair))),
        st.floats(0.01, 1.0),
        max_size=30,
    ),
    st.integers(1, 6),
)
def test_every_camera_is_in_one_group_that_is_not_too_large(
    cameras: list[str], strength: dict[tuple[str, str], float], most: int
) -> None:
    groups = group(cameras, strength, most)
    assert sorted(name for members in groups for name in members) == sorted(cameras)
    assert all(1 <= len(members) <= most for members in groups)
    assert groups == group(cameras, strength, most)


def test_a_new_camera_goes_where_there_are_fewest() -> None:
    assert least_loaded({"one": 3, "two": 1, "three": 1}) == "three"


@pytest.mark.parametrize(
    ("busy", "most", "moved"),
    [
        ({"one": 0.95, "two": 0.2}, 8, ("c", "two")),  # the one with the weakest links goes
        ({"one": 0.8, "two": 0.2}, 8, None),  # keeps up
        ({"one": 0.95, "two": 0.6}, 8, None),  # nobody has room
        ({"one": 0.95, "two": 0.2}, 1, None),  # the other is full
        ({"one": 0.95}, 8, None),  # the other was not heard of
        ({"one": 0.2, "two": 1.0}, 8, None),  # a single camera stays
    ],
)
def test_a_group_that_cannot_keep_up_is_relieved(
    busy: dict[str, float], most: int, moved: tuple[str, str] | None
) -> None:
    groups = {"one": ["a", "b", "c"], "two": ["d"]}
    assert relief(groups, busy, {("a", "b"): 0.5, ("b", "c"): 0.1, ("c", "d"): 0.4}, most) == moved
