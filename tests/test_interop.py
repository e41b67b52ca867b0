"""Conversion to and from supervision.Detections."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from reid_tracker.errors import InputError
from reid_tracker.interop import from_supervision, to_supervision
from reid_tracker.types import TrackedFrame, TrackedPerson


def found(**changes: object) -> SimpleNamespace:
    """Detections as supervision holds them: two people, a car, and a person without area."""
    values = {
        "xyxy": np.array([[0, 0, 10, 20], [5, 5, 9, 30], [0, 0, 50, 30], [7, 7, 7, 9]], float),
        "confidence": np.array([0.9, 0.6, 0.8, 0.7]),
        "class_id": np.array([0, 0, 2, 0]),
    }
    return SimpleNamespace(**{**values, **changes})


def test_only_people_with_an_area_are_taken() -> None:
    taken = from_supervision(found())
    assert taken.boxes.tolist() == [[0, 0, 10, 20], [5, 5, 9, 30]]
    assert taken.scores == pytest.approx([0.9, 0.6])
    assert taken.boxes.dtype == taken.scores.dtype == np.float32


def test_other_classes_and_no_classes_are_taken_where_asked_for() -> None:
    assert len(from_supervision(found(), person_class=2)) == 1
    assert len(from_supervision(found(), person_class=None)) == 3
    assert len(from_supervision(found(class_id=None))) == 3
    assert from_supervision(found(confidence=None)).scores.tolist() == [1, 1]


def test_what_is_no_detections_or_not_finite_is_refused() -> None:
    with pytest.raises(InputError, match=r"supervision\.Detections, got list"):
        from_supervision([])
    with pytest.raises(InputError, match="finite"):
        from_supervision(found(confidence=np.array([np.nan, 0.6, 0.8, 0.7])))


def test_tracked_people_come_back_as_they_were() -> None:
    sv = pytest.importorskip("supervision", reason="needs the extra 'supervision'")
    people = (
        TrackedPerson(7, 3, (1.0, 2.0, 11.0, 22.0), 0.5, "settled", 0.25),
        TrackedPerson(4, 9, (5.0, 6.0, 15.0, 36.0), 0.75, "provisional"),
    )
    told = to_supervision(TrackedFrame("door", 12, 1.2, people))
    assert isinstance(told, sv.Detections)
    assert told.tracker_id.tolist() == [7, 4]
    assert told.data["tracklet"].tolist() == [3, 9]
    assert told.data["state"].tolist() == ["settled", "provisional"]
    assert told.metadata == {"camera": "door", "frame": 12, "time": 1.2}
    back = from_supervision(told[told.tracker_id == 4])
    assert back.boxes.tolist() == [[5, 6, 15, 36]]
    assert back.scores.tolist() == [0.75]
    assert len(from_supervision(to_supervision(TrackedFrame("door", 0, 0.0, ())))) == 0
    assert len(from_supervision(sv.Detections.empty())) == 0
