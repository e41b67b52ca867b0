"""Live cameras that come back by themselves: one reader each, the newest picture only, every loss counted."""

from reid_tracker.live.address import Address, without_secrets
from reid_tracker.live.cameras import LiveCameras
from reid_tracker.live.capture import Capture, CaptureError, Fault, Opener, Picture, Reading
from reid_tracker.live.health import CameraState, HealthReport, Loss
from reid_tracker.live.reader import CameraReader
from reid_tracker.live.timing import Backoff

__all__ = [
    "Address",
    "Backoff",
    "CameraReader",
    "CameraState",
    "Capture",
    "CaptureError",
    "Fault",
    "HealthReport",
    "LiveCameras",
    "Loss",
    "Opener",
    "Picture",
    "Reading",
    "without_secrets",
]
