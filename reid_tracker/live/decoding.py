"""Where streams are decoded: on hardware that passed a trial, else on the CPU, and why.

A device that FFmpeg lists need not be there, and a driver may hang or crash. The trial therefore runs in a process of
its own: a few pictures are encoded, decoded on the device, and compared with what the CPU makes of them.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from reid_tracker.errors import ConfigError

PREFERRED = ("cuda", "videotoolbox", "vaapi", "d3d11va")
"""FFmpeg's names of devices that decode, in the order in which they are tried.

Not Quick Sync: FFmpeg has decoders of its own for it (h264_qsv), and PyAV takes the usual ones.
"""

# Where Linux has none of these, there is no such device, and no library need be loaded to find out.
_NODES = {"cuda": ("/dev/nvidiactl", "/dev/dxg"), "vaapi": ("/dev/dri",)}
_MOST_FRUITLESS = 2  # openings; one may have ended before a key frame came
_PROOF_SECONDS = 10.0  # of pictures after which a device is believed to decode a stream
_RECENT_SECONDS = 2.0  # a stream whose last picture is no older when it ends did not end because of its device
_TRIAL_SECONDS = 20.0  # to load the libraries and wake the device; a driver that hangs is given up
_TRIAL = """
import io, sys, av, numpy as np
from av.codec.hwaccel import HWAccel
file = io.BytesIO()
with av.open(file, "w", format="mp4") as out:
    stream = out.add_stream("h264", rate=10)
    stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
    for number in range(10):
        image = np.full((240, 320, 3), 60, np.uint8)
        image[40:200, 20 * number:20 * number + 80] = (40, 160, 220)
        for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")):
            out.mux(packet)
    for packet in stream.encode():
        out.mux(packet)
def pictures(accelerator):
    with av.open(io.BytesIO(file.getvalue()), hwaccel=accelerator) as opened:
        return np.stack([frame.to_ndarray(format="bgr24") for frame in opened.decode(video=0)]).astype(int)
try:
    found = pictures(HWAccel(sys.argv[1], allow_software_fallback=False))
except Exception as error:
    sys.exit(getattr(error, "strerror", None) or str(error))
wanted = pictures(None)
if found.shape != wanted.shape or np.abs(found - wanted).mean() > 3:
    sys.exit("its pictures are not those of the CPU")
"""

_log = logging.getLogger(__name__)

Trial = Callable[[str], str]
"""Given the name of a device: why it cannot decode, empty where it can."""


@dataclass(frozen=True, slots=True)
class DecodingReport:
    """Where streams are decoded: ``device`` is FFmpeg's name of it, empty for the CPU; ``reason`` says why."""

    device: str
    reason: str


class Decoding:
    """Chooses once, when first asked. Thread-safe.

    Args:
        mode: as ``live.decode``; ``cpu`` tries nothing.
        devices: to try, in this order; by default those of PREFERRED that PyAV knows.
        trial: tries one.
    """

    def __init__(
        self,
        mode: Literal["auto", "cpu", "hardware"],
        devices: Sequence[str] | None = None,
        trial: Trial | None = None,
    ) -> None:
        self._mode = mode
        self._devices = devices
        self._trial = trial or try_device
        self._lock = threading.Lock()
        self._fruitless: dict[str, int] = {}  # stream -> openings in a row on the device that brought no picture
        self._left = set[str]()  # streams of which it was said that the device is left
        self._report: DecodingReport | None = DecodingReport("", "as configured") if mode == "cpu" else None

    def report(self) -> DecodingReport:
        """Where, and why; the first call tries the devices, which takes seconds where there are any."""
        with self._lock:
            if self._report is None:
                self._report = self._chosen()
                unwanted = self._mode == "hardware" and not self._report.device
                _log.log(logging.WARNING if unwanted else logging.INFO, "%s", _in_words(self._report))
            return self._report

    def describe(self) -> str:
        """The same in a line."""
        return _in_words(self.report())

    def device_for(self, stream: str) -> str:
        """The device that decodes a stream, FFmpeg's name of it; empty for the CPU.

        A device that cannot be opened for a stream, hung on it or did not go on making pictures is left after some
        openings; other streams stay on it.

        Args:
            stream: its name, the one that the other methods are told.
        """
        device = self.report().device
        with self._lock:
            if device and self._fruitless.get(stream, 0) >= _MOST_FRUITLESS:
                self._say_once(device, stream)
                return ""
        return device

    def fed(self, stream: str) -> None:
        """A stream was opened on the device, and its first packet is about to be decoded; fruitless until proved."""
        with self._lock:
            self._fruitless[stream] = self._fruitless.get(stream, 0) + 1

    def proved(self, stream: str) -> None:
        """The device decodes what it was fed."""
        with self._lock:
            self._fruitless.pop(stream, None)

    def refused(self, stream: str, reason: str) -> None:
        """The device cannot be opened for a stream that opens without it."""
        self.fed(stream)
        device = self.report().device
        _log.warning("%s cannot be used for %s (%s): the CPU decodes this connection", device, stream, reason)

    def _say_once(self, device: str, stream: str) -> None:
        if stream not in self._left:
            self._left.add(stream)
            _log.warning("%s does not decode %s: the CPU does from now on", device, stream)

    def _chosen(self) -> DecodingReport:
        reasons = []
        devices = known_devices() if self._devices is None else self._devices
        for device in devices:
            reason = self._trial(device)
            if not reason:
                return DecodingReport(device, "passed a trial")
            reasons.append(f"{device}: {reason}")
        return DecodingReport("", "; ".join(reasons) or "PyAV knows no device that decodes")


class Probation:
    """A connection whose stream is to be decoded on a device, until that is proved. Used by one thread.

    The opening counts as fruitless unless pictures come for 10 s, or the last one came just before the connection
    ended: what ended it was not the device then. A first picture proves nothing: some drivers fail after it.
    """

    def __init__(self, decoding: Decoding, stream: str, device: str) -> None:
        self.device = device
        self._decoding = decoding
        self._stream = stream
        self._fed = self._proved = False
        self._since: float | None = None  # the first of the pictures that came without an error between them
        self._last = float("-inf")

    def fed(self) -> None:
        """A packet is about to be decoded."""
        if not self._fed:
            self._decoding.fed(self._stream)
        self._fed = True

    def decoded(self, now: float) -> None:
        """The device made a picture; ``now`` in monotonic seconds."""
        self._since = now if self._since is None else self._since
        self._last = now
        if now - self._since >= _PROOF_SECONDS:
            self._prove()

    def failed(self) -> None:
        """A packet could not be decoded."""
        self._since = None

    def ended(self, now: float) -> None:
        """The connection is closed."""
        if self._since is not None and now - self._last <= _RECENT_SECONDS:
            self._prove()

    def _prove(self) -> None:
        if not self._proved:
            self._decoding.proved(self._stream)
        self._proved = True


def try_device(device: str) -> str:
    """Why a device cannot decode, empty where its pictures are those of the CPU. Takes seconds where there is one."""
    nodes = _NODES.get(device, ()) if sys.platform == "linux" else ()
    if nodes and not any(Path(node).exists() for node in nodes):
        return f"there is no {' or '.join(nodes)}"
    try:
        ran = subprocess.run(
            [sys.executable, "-c", _TRIAL, device], capture_output=True, text=True, timeout=_TRIAL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no picture within {_TRIAL_SECONDS:.0f} s"
    if ran.returncode < 0:
        return f"its driver crashed (signal {-ran.returncode})"
    lines = ran.stderr.strip().splitlines()
    return "" if ran.returncode == 0 else (lines[-1] if lines else "it failed")


def accelerator(device: str) -> Any:
    """What ``av.open`` takes to decode on a device; None for the CPU."""
    if not device:
        return None
    from av.codec.hwaccel import HWAccel

    return HWAccel(device)


def known_devices() -> list[str]:
    """Those of PREFERRED that the installed PyAV (its FFmpeg) offers; the machine need not have them.

    Raises:
        ConfigError: PyAV is not installed.
    """
    pyav()
    from av.codec.hwaccel import hwdevices_available

    known = hwdevices_available()
    return [device for device in PREFERRED if device in known]


def pyav() -> Any:
    """The module ``av``.

    Raises:
        ConfigError: PyAV is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise ConfigError(
            "live streams need PyAV: pip install 'reid_tracker[live]' (its wheels bundle x264 and x265, which are GPL)"
        ) from error
    return av


def _in_words(report: DecodingReport) -> str:
    return f"decoding on {report.device or 'the CPU'} ({report.reason})"
