"""Finding people in frames: networks, and detections that somebody made before."""

from reid_tracker.detection.open import open_detector

__all__ = ["open_detector"]
