"""Finding people in frames: networks, and detections that somebody made before."""

from reid_tracker.detection.open import detector_name, open_detector

__all__ = ["detector_name", "open_detector"]
