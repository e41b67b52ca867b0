"""With privacy.blur_faces no picture that the service stores or shows has the top of a person in it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from reid_tracker.service.runtime import Service
from reid_tracker.types import Detections, Frame
from tests.service.conftest import site_config, wait_for
from tests.service.site import colour_pipeline

BOX = (100.0, 40.0, 160.0, 200.0)


def write_checks(path: Path) -> None:
    """A recording of nothing but small checks, which a blur turns into grey."""
    rows, columns = np.indices((240, 320)) // 4
    image = np.repeat((255 * ((rows + columns) % 2)).astype(np.uint8)[:, :, None], 3, axis=2)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for _ in range(30):
        writer.write(image)
    writer.release()


class OneBox:
    """A detector that sees the same person everywhere."""

    def __call__(self, frames: list[Frame]) -> list[Detections]:
        return [Detections(np.array([BOX], np.float32), np.ones(1, np.float32)) for _ in frames]


def contrast(picture: np.ndarray, top: float, bottom: float) -> float:
    """Spread of brightness between two heights, shares of the picture."""
    height, width = picture.shape[:2]
    return float(picture[int(top * height) : int(bottom * height), width // 4 : -width // 4].std())


def test_stored_and_shown_pictures_are_blurred(tmp_path: Path) -> None:
    for name in ("door", "hall"):
        write_checks(tmp_path / f"{name}.avi")
    values = {"privacy.blur_faces": True, "store.crops": True, "tracking.max_lost_seconds": 0.5}
    config = site_config(tmp_path, **values)
    with Service(config, colour_pipeline) as service:
        service.pipeline.detector = OneBox()  # type: ignore[assignment]
        wait_for(lambda: bool(service.people_present()), 20)
        (identity, *_) = service.people_present()
        shown = service.pictures.person(identity)
        live = service.pictures.jpeg("door")
        assert shown is not None
        assert live is not None
        service.cameras.remove("door")  # its people leave, and their pictures are stored
        wait_for(lambda: stored(service), 20)
        kept = stored(service)[0]
    for jpeg in (shown, kept):
        picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
        assert contrast(picture, 0.02, 0.22) < 25
        assert contrast(picture, 0.5, 0.95) > 90
    whole = cv2.imdecode(np.frombuffer(live[1], np.uint8), cv2.IMREAD_COLOR)
    assert whole[50:75, 110:150].std() < 25
    assert whole[120:190, 110:150].std() > 90


def stored(service: Service) -> list[bytes]:
    """All pictures in the store."""
    people = service.store.people(0, 1e11, 10)
    sightings = [each for person in people for each in service.store.history(person.identity)]
    numbers = [number for each in sightings for number, _ in service.store.crops_of(each.tracklet)]
    return [jpeg for number in numbers if (jpeg := service.store.crop(number)) is not None]
