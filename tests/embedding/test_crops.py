"""The one crop function: which pixels a box covers, what is no crop, and that nothing of the caller's changes."""

import numpy as np
import pytest

from reid_tracker.embedding.crops import crop_people, resize_crop
from reid_tracker.errors import InputError


@pytest.fixture
def frame() -> np.ndarray:
    """Each pixel says where it is: blue is the column, green the row."""
    picture = np.zeros((60, 80, 3), dtype=np.uint8)
    picture[..., 0] = np.arange(80)
    picture[..., 1] = np.arange(60)[:, None]
    return picture


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        ((10, 5, 14, 13), (10, 5, 14, 13)),  # whole numbers: half-open
        ((10.2, 5.7, 13.1, 12.4), (10, 5, 14, 13)),  # every pixel that is touched
        ((-5, -5, 4, 8), (0, 0, 4, 8)),  # clipped at the near edges
        ((76, 52, 300, 300), (76, 52, 80, 60)),  # and at the far ones, last row and column kept
        ((79.5, 59.5, 80, 60), (79, 59, 80, 60)),  # one pixel
        ((-1e30, -1e30, 1e30, 1e30), (0, 0, 80, 60)),
    ],
)
def test_crop_holds_every_pixel_that_the_box_touches(frame, box, pixels):
    left, top, right, bottom = pixels
    size_hw = (bottom - top, right - left)
    crops, valid = crop_people(frame, np.array([box]), size_hw)
    assert valid.tolist() == [True]
    np.testing.assert_array_equal(crops[0], frame[top:bottom, left:right])


@pytest.mark.parametrize(
    "box",
    [
        (np.nan, 0, 10, 10),
        (0, 0, np.inf, 10),
        (10, 10, 10, 20),  # no width
        (10, 20, 20, 10),  # upside down
        (80, 0, 90, 10),  # outside, to the right
        (-20, 0, 0, 10),  # outside, to the left
        (0, 60, 10, 70),
    ],
)
def test_what_leaves_nothing_is_not_valid_and_black(frame, box):
    crops, valid = crop_people(frame, np.array([box, (0, 0, 8, 8)], dtype=np.float32), (16, 8))
    assert valid.tolist() == [False, True]
    assert not crops[0].any()
    assert crops[1].any()


def test_no_boxes_give_no_crops_of_the_right_shape(frame):
    crops, valid = crop_people(frame, np.zeros((0, 4), np.float32), (16, 8))
    assert crops.shape == (0, 16, 8, 3)
    assert valid.shape == (0,)


def test_whole_number_boxes_and_the_callers_array_stay_as_they_are(frame):
    boxes = np.array([[10, 20, 31, 50], [-4, 2, 9, 9]], dtype=np.int64)
    before = boxes.copy()
    as_whole, _ = crop_people(frame, boxes, (16, 8))
    as_float, _ = crop_people(frame, boxes.astype(np.float32), (16, 8))
    np.testing.assert_array_equal(boxes, before)
    np.testing.assert_array_equal(as_whole, as_float)


def test_whole_image_and_box_over_all_of_it_are_the_same(frame):
    crops, _ = crop_people(frame, np.array([[0, 0, 80, 60]]), (24, 16))
    np.testing.assert_array_equal(crops[0], resize_crop(frame, (24, 16)))


def test_shrinking_averages_instead_of_skipping_pixels():
    stripes = np.zeros((256, 128, 3), dtype=np.uint8)
    stripes[::2] = 200  # linear interpolation at a factor of 8 would see one phase of it
    assert abs(int(resize_crop(stripes, (32, 16)).mean()) - 100) <= 1


@pytest.mark.parametrize(
    ("picture", "boxes"),
    [
        (np.zeros((10, 10), np.uint8), np.zeros((1, 4))),
        (np.zeros((10, 10, 3), np.float32), np.zeros((1, 4))),
        (np.zeros((10, 10, 3), np.uint8), np.zeros((1, 5))),
        (np.zeros((10, 10, 3), np.uint8), np.zeros(4)),
    ],
)
def test_wrong_shapes_are_refused_by_name(picture, boxes):
    with pytest.raises(InputError, match="crop_people: expected"):
        crop_people(picture, boxes, (16, 8))
