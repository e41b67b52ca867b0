"""Cameras: video files, pictures and webcams as frames on one clock."""

from reid_tracker.sources.clock import TimeBase, common_time_base, moments
from reid_tracker.sources.images import ImageSource
from reid_tracker.sources.opening import CameraSource, SourceSpec, open_source
from reid_tracker.sources.problems import Problem, Problems
from reid_tracker.sources.video import VideoSource
from reid_tracker.sources.webcam import WebcamSource

__all__ = [
    "CameraSource",
    "ImageSource",
    "Problem",
    "Problems",
    "SourceSpec",
    "TimeBase",
    "VideoSource",
    "WebcamSource",
    "common_time_base",
    "moments",
    "open_source",
]
