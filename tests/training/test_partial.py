"""Partial bodies: bands of the promised height, the same for the same picture everywhere, different for another."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reid_tracker.errors import ConfigError
from reid_tracker.training.data import decode_people, read_people
from reid_tracker.training.partial import PartialBody


@given(st.text(max_size=20), st.floats(0.05, 1), st.integers(0, 2**31))
def test_a_band_lies_inside_and_keeps_at_least_what_it_must(name, least, seed):
    top, bottom = PartialBody(least, seed).band(name)
    assert 0 <= top < bottom <= 1 + 1e-12
    assert bottom - top >= least - 1e-12


def test_shares_and_places_are_spread_over_their_range():
    bands = np.array([PartialBody(0.5).band(f"{number}.jpg") for number in range(2000)])
    kept = bands[:, 1] - bands[:, 0]
    assert kept.mean() == pytest.approx(0.75, abs=0.02)
    assert (bands[:, 0] / (1 - kept)).mean() == pytest.approx(0.5, abs=0.03)  # from head to foot alike


def test_another_seed_or_name_cuts_otherwise_and_the_same_cuts_the_same():
    band = PartialBody(seed=1).band("a.jpg")
    assert PartialBody(seed=1).band("a.jpg") == band
    assert PartialBody(seed=2).band("a.jpg") != band
    assert PartialBody(seed=1).band("b.jpg") != band


@given(st.integers(1, 40))
def test_the_cut_has_at_least_a_row_and_full_width(height):
    picture = np.arange(height, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 3), np.uint8)
    cut = PartialBody(0.05).cut(picture, "x")
    assert 1 <= len(cut) <= height
    assert cut.shape[1:] == (4, 3)
    assert (np.diff(cut[:, 0, 0].astype(int)) == 1).all()


def test_whole_is_whole_and_nonsense_is_refused():
    picture = np.zeros((7, 3, 3), np.uint8)
    assert PartialBody(1.0).cut(picture, "x").shape == picture.shape
    with pytest.raises(ConfigError, match="least share"):
        PartialBody(0.0)


def test_decoded_pictures_are_cut_and_kept_apart_from_whole_ones(tmp_path):
    ramp = np.linspace(0, 255, 100).astype(np.uint8)[:, None, None] * np.ones((1, 20, 3), np.uint8)
    (tmp_path / "set").mkdir()
    cv2.imwrite(str(tmp_path / "set" / "0001_c1_0.png"), ramp)
    people = read_people(tmp_path / "set")
    whole, _ = decode_people(people, (32, 16), tmp_path / "cache")
    cut, _ = decode_people(people, (32, 16), tmp_path / "cache", PartialBody(0.5))
    top, bottom = PartialBody(0.5).band("0001_c1_0.png")
    assert cut[0, 0, 0, 0] == pytest.approx(255 * top, abs=6)
    assert cut[0, -1, 0, 0] == pytest.approx(255 * bottom, abs=6)
    again, _ = decode_people(people, (32, 16), tmp_path / "cache")
    np.testing.assert_array_equal(again, whole)
