"""A GStreamer element that follows people: BGR pictures in, the same with boxes and ids out, results on the bus.

Loaded by GStreamer's Python loader from the folder ``python`` of each GST_PLUGIN_PATH; README.md beside it says how.
"""

import json
import threading

import gi
import numpy as np

gi.require_version("Gst", "1.0")
gi.require_version("GstBase", "1.0")
gi.require_version("GstVideo", "1.0")
from gi.repository import GObject, Gst, GstBase, GstVideo

from reid_tracker import Config, Frame
from reid_tracker.build import build_pipeline  # now: imports that began with the first element failed at random
from reid_tracker.results.drawing import Annotator
from reid_tracker.results.jsonl import frame_to_json

CAPS = Gst.Caps.from_string("video/x-raw,format=BGR")


class Site:
    """What the elements of one program share: the pipeline, and that one picture at a time goes through it."""

    def __init__(self):
        self._lock = threading.Lock()
        self._pipeline = None
        self._open = 0

    def begin(self):
        """One more element runs; the first loads the networks."""
        with self._lock:
            self._open += 1
            if self._pipeline is None:
                self._pipeline = build_pipeline(Config())

    def step(self, frame):
        """Who is in a picture. Elements run in threads of their own, a Pipeline belongs to one at a time."""
        with self._lock:
            (tracked,) = self._pipeline.step([frame])
            return tracked

    def end(self):
        """One element less; what the last one leaves open is decided, and a new start begins anew."""
        with self._lock:
            self._open -= 1
            if self._open == 0:
                self._pipeline.finish()
                self._pipeline = None


SITE = Site()


class ReidTracker(GstBase.BaseTransform):
    """One camera. Elements in one program know each other's people."""

    __gstmetadata__ = ("People tracker", "Filter/Analyzer/Video", "Follows people across cameras", "reid_tracker")
    __gsttemplates__ = (
        Gst.PadTemplate.new("src", Gst.PadDirection.SRC, Gst.PadPresence.ALWAYS, CAPS),
        Gst.PadTemplate.new("sink", Gst.PadDirection.SINK, Gst.PadPresence.ALWAYS, CAPS),
    )

    camera = GObject.Property(type=str, default="", nick="camera", blurb="name of the camera; the element's by default")
    draw = GObject.Property(type=bool, default=True, nick="draw", blurb="draw boxes, ids and trails")

    def __init__(self):
        super().__init__()
        self.set_in_place(True)
        self._info = None
        self._index = 0
        self._annotator = Annotator()

    def do_start(self):
        """Load the networks, unless another element has."""
        SITE.begin()
        return True

    def do_stop(self):
        """Leave the site."""
        SITE.end()
        return True

    def do_set_caps(self, incaps, _outcaps):
        """Remember how pictures lie in memory."""
        self._info = GstVideo.VideoInfo.new_from_caps(incaps)
        return True

    def do_transform_ip(self, buffer):
        """Follow people in one picture; draw into it; post an element message of one JSON line, as in tracks.jsonl."""
        name = self.camera or self.get_name()
        # Running time: seconds since the pipeline started, on one clock for all of its cameras.
        time = self.segment.to_running_time(Gst.Format.TIME, buffer.pts) / Gst.SECOND
        with buffer.map(Gst.MapFlags.READ | Gst.MapFlags.WRITE) as mapped:
            rows = np.frombuffer(mapped.data, np.uint8)[: self._info.stride[0] * self._info.height]
            pixels = rows.reshape(self._info.height, -1)[:, : 3 * self._info.width]
            pixels = pixels.reshape(self._info.height, self._info.width, 3)
            tracked = SITE.step(Frame(name, self._index, time, pixels.copy()))
            if self.draw:
                pixels[:] = self._annotator.draw(pixels, tracked)
        self._index += 1
        said = Gst.Structure.new_empty("reid-tracker")
        said.set_value("json", json.dumps(frame_to_json(tracked)))
        self.post_message(Gst.Message.new_element(self, said))
        return Gst.FlowReturn.OK


GObject.type_register(ReidTracker)
__gstelementfactory__ = ("reidtracker", Gst.Rank.NONE, ReidTracker)
