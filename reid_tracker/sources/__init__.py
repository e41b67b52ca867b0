"""Cameras: video files, pictures and webcams as frames on one clock."""

from reid_tracker.sources.clock import TimeBase, common_time_base, moments, shift_of
from reid_tracker.sources.images import ImageSource
from reid_tracker.sources.opening import CameraSource, SourceSpec, open_source
from reid_tracker.sources.problems import Problem, Problems
from reid_tracker.sources.video import Place, VideoPart, VideoSource
from reid_tracker.sources.video_file import Extent, measure
from reid_tracker.sources.webcam import WebcamSource

__all__ = [
    "CameraSource",
    "Extent",
    "ImageSource",
    "Place",
    "Problem",
    "Problems",
    "SourceSpec",
    "TimeBase",
    "VideoPart",
    "VideoSource",
    "WebcamSource",
    "common_time_base",
    "measure",
    "moments",
    "open_source",
    "shift_of",
]
