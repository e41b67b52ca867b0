"""Crops made on a GPU are the ones that networks were trained on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from reid_tracker.embedding import crops as reference  # noqa: E402
from reid_tracker.errors import InputError  # noqa: E402
from reid_tracker.gpu import crop_people, normalised  # noqa: E402

SIZE = (128, 64)


@pytest.fixture(scope="module")
def frame(repository: Path) -> np.ndarray:
    """A frame of the clip that ships."""
    capture = cv2.VideoCapture(str(repository / "demos" / "clip" / "door.mp4"))
    read, picture = capture.read()
    capture.release()
    assert read
    return np.asarray(picture, np.uint8)


BOXES = [
    ([10, 20, 80, 200], True),  # inside, shrinks one way only
    ([-5, -5, 20, 30], True),  # across two borders
    ([100.3, 50.7, 250.2, 239.9], True),  # between pixels, shrinks both ways
    ([1, 1, 65, 129], True),  # the very size
    ([50, 50, 50, 60], False),  # no width
    ([60, 60, 40, 80], False),  # turned
    ([float("nan"), 0, 1, 1], False),
    ([0, 0, 1e9, 1e9], True),  # all of it
    ([60, 60, 66, 70], True),  # grows twentyfold
    ([60, 60, 61, 61], True),  # one pixel
    ([9000, 9000, 9100, 9100], False),  # outside
]


def test_crops_equal_the_processors(device: str, frame: np.ndarray) -> None:
    boxes = np.array([box for box, _ in BOXES])
    expected, valid = reference.crop_people(frame, boxes, SIZE)
    got, got_valid = crop_people(torch.from_numpy(frame).to(device), torch.from_numpy(boxes), SIZE)
    assert got_valid.tolist() == valid.tolist() == [there for _, there in BOXES]
    assert got.device.type == device
    assert np.abs(got.cpu().numpy().astype(int) - expected.astype(int)).max() <= 1  # OpenCV rounds on its way
    assert (got[~got_valid] == 0).all()


def test_the_gpu_is_given_work_and_asked_nothing() -> None:
    """A tensor without numbers cannot answer: each question would be a wait for everything queued on a GPU."""
    frame = torch.empty(240, 320, 3, dtype=torch.uint8, device="meta")
    crops, valid = crop_people(frame, torch.tensor([box for box, _ in BOXES]), SIZE)
    assert (crops.device.type, tuple(crops.shape)) == ("meta", (len(BOXES), *SIZE, 3))
    assert valid.device.type == "meta"


def test_no_boxes_give_no_crops(device: str, frame: np.ndarray) -> None:
    got, valid = crop_people(torch.from_numpy(frame).to(device), torch.zeros(0, 4), SIZE)
    assert (tuple(got.shape), tuple(valid.shape)) == ((0, *SIZE, 3), (0,))


def test_order_of_boxes_is_kept(device: str, frame: np.ndarray) -> None:
    """They are worked off in groups of like size."""
    boxes = torch.tensor([box for box, there in BOXES if there], dtype=torch.float32)
    order = torch.randperm(len(boxes), generator=torch.Generator().manual_seed(0))
    picture = torch.from_numpy(frame).to(device)
    straight, _ = crop_people(picture, boxes, SIZE)
    mixed, _ = crop_people(picture, boxes[order], SIZE)
    assert torch.equal(mixed, straight[order.to(device)])


def test_normalising_is_arithmetic_per_channel(device: str) -> None:
    crops = torch.arange(24, dtype=torch.uint8, device=device).reshape(1, 2, 4, 3)
    planes = normalised(crops, (1.0, 2.0, 3.0), (2.0, 4.0, 8.0))
    expected = (crops.cpu().numpy().astype(np.float32) - [1, 2, 3]) / [2, 4, 8]
    np.testing.assert_allclose(planes.cpu().numpy(), expected.transpose(0, 3, 1, 2), rtol=1e-6)
    assert normalised(crops, (0, 0, 0), (1, 1, 1), half=True).dtype == torch.float16


@pytest.mark.parametrize(
    ("frame", "boxes"),
    [
        (torch.zeros(4, 4, 3), torch.zeros(1, 4)),
        (torch.zeros(4, 4, dtype=torch.uint8), torch.zeros(1, 4)),
        (torch.zeros(4, 4, 3, dtype=torch.uint8), torch.zeros(1, 5)),
    ],
)
def test_what_is_no_frame_and_no_boxes_is_refused(frame: torch.Tensor, boxes: torch.Tensor) -> None:
    with pytest.raises(InputError, match="crop_people"):
        crop_people(frame, boxes, SIZE)
