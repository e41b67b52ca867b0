"""Opening network streams with PyAV (FFmpeg), an extra: its wheels bundle x264 and x265, which are GPL.

Timeouts are explicit: FFmpeg's own default is to wait for ever. A read that is cut off by its timeout may take about
twice as long to come back, so the reader's watchdog does not rely on it.
"""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from reid_tracker.live.address import Address, without_secrets
from reid_tracker.live.capture import CPU, Capture, CaptureError, Fault, Picture, Reading
from reid_tracker.live.decoding import Decoding, Probation, accelerator, pyav
from reid_tracker.types import Image

if TYPE_CHECKING:
    from reid_tracker.config import LiveConfig

# A first look of 0.2 s and 100 kB finds a camera's one video track; FFmpeg's default of 5 s delays every reconnection.
_FIRST_LOOK = {"analyzeduration": "200000", "probesize": "100000"}
_PRODUCER_TIME = "prft"  # AVProducerReferenceTime: int64 microseconds since 1970, int flags
_ROWS_BETWEEN = 8  # every eighth row of the picture goes into its fingerprint


def open_stream(address: Address, config: LiveConfig, decoding: Decoding | None = None) -> Capture:
    """Connect to a stream and find its video.

    Args:
        decoding: where it is decoded; on the CPU where not given, or where the device cannot be used.

    Raises:
        CaptureError: it cannot be opened; says why, without the address.
        ConfigError: PyAV is not installed, or a variable of the address is not set.
    """
    av = pyav()
    options = dict(_FIRST_LOOK)
    if address.scheme in ("rtsp", "rtsps"):
        options["rtsp_transport"] = config.transport
    url, name = address.reveal(), str(address)

    def connect(device: str) -> Any:
        return av.open(
            url,
            options=options,
            timeout=(config.open_seconds, config.read_seconds),
            hwaccel=accelerator(device),
        )

    device = decoding.device_for(name) if decoding else ""
    began = time.monotonic()
    try:
        try:
            container = connect(device)
        except _errors() as error:
            if not (decoding and device and _may_be_the_device(error)):
                raise
            container, device = connect(""), ""  # where this fails too, the device is not to blame
            decoding.refused(name, getattr(error, "strerror", None) or type(error).__name__)
    except _errors() as error:
        # FFmpeg calls a server that connects and says nothing "invalid data" when its time is up.
        late = time.monotonic() - began >= config.open_seconds
        raise _explained(TimeoutError() if late else error, "cannot be opened") from None  # the cause shows the address
    if not container.streams.video:
        container.close()
        raise CaptureError(Fault.NO_VIDEO, "the stream has no video")
    return StreamCapture(container, Probation(decoding, name, device) if decoding and device else None)


class StreamCapture:
    """An open PyAV container (reid_tracker.live.capture.Capture).

    Args:
        container: what ``av.open`` gives.
        probation: of the device that it was opened for; None on the CPU.
    """

    recording = False

    def __init__(self, container: Any, probation: Probation | None = None) -> None:
        self._container = container
        self._stream = container.streams.video[0]
        context = self._stream.codec_context
        context.thread_count = 1  # threads hold pictures back, and cameras are parallel enough
        self._probation = probation if context.is_hwaccel else None
        self._device_formats = {each.format.name for each in context.codec.hardware_configs} if probation else set()
        self._packets: Iterator[Any] = container.demux(self._stream)
        self._offset: float | None = None  # producer's UTC minus media time

    @property
    def fps(self) -> float | None:
        """As the stream declares."""
        rate = self._stream.average_rate or self._stream.guessed_rate
        return float(rate) if rate else None

    @property
    def codec(self) -> str:
        """Name of the codec."""
        return str(self._stream.codec_context.name)

    @property
    def decoder(self) -> str:
        """What decodes: ``cpu``, or FFmpeg's name of the device.

        FFmpeg goes over to the CPU by itself where a device does not take what it is given (10 bits, a new size), and
        PyAV's ``is_hwaccel`` stays: the format of pictures tells, which is one of the device's own before they are
        fetched from it.
        """
        if self._probation and self._stream.codec_context.pix_fmt in self._device_formats:
            return self._probation.device
        return CPU

    def read(self) -> Reading:
        """The next packet, decoded.

        Raises:
            CaptureError: the stream broke, timed out or ended; a server that is killed ends it in silence.
        """
        av = pyav()
        try:
            packet = next(self._packets, None)
        except (OSError, ValueError, av.error.FFmpegError) as error:
            raise _explained(error, "broke off") from None
        if packet is None or packet.size == 0:  # an empty packet is the end: it asks the decoder for what it holds
            raise CaptureError(Fault.ENDED, "the stream ended (the server closed it or is gone)")
        self._note_producer_time(packet)
        if self._probation:
            self._probation.fed()
        try:
            frames = packet.decode()
        except (ValueError, av.error.FFmpegError):
            if self._probation:
                self._probation.failed()
            return Reading(undecodable=1)
        sound = [frame for frame in frames if not frame.is_corrupt]
        if sound and self._probation and self.decoder != CPU:
            self._probation.decoded(time.monotonic())
        return Reading(tuple(self._picture(frame) for frame in sound), len(frames) - len(sound))

    def close(self) -> None:
        """Close the connection; may be called twice."""
        if self._probation:
            self._probation.ended(time.monotonic())
        self._container.close()

    def _note_producer_time(self, packet: Any) -> None:
        if packet.pts is not None and packet.has_sidedata(_PRODUCER_TIME):
            (microseconds,) = struct.unpack_from("<q", bytes(packet.get_sidedata(_PRODUCER_TIME)))
            self._offset = microseconds * 1e-6 - float(packet.pts * packet.time_base)

    def _picture(self, frame: Any) -> Picture:
        media = None if frame.pts is None else float(frame.pts * frame.time_base)
        producer = None if media is None or self._offset is None else media + self._offset
        return Picture(media, producer, (frame.width, frame.height), _fingerprint(frame), lambda: _pixels(frame))


def _errors() -> tuple[type[Exception], ...]:
    """What opening raises. RuntimeError: the machine's clock was set back meanwhile."""
    return (OSError, ValueError, RuntimeError, pyav().error.FFmpegError)


def _may_be_the_device(error: Exception) -> bool:
    """Whether opening did not fail because of the network: PyAV names the address in that case.

    The kind of error does not tell: a driver says "input/output error", and a firewall "operation not permitted".
    """
    network = getattr(error, "filename", None) is not None
    return not network and _explained(error, "").fault in (Fault.UNREACHABLE, Fault.BROKEN)


def _pixels(frame: Any) -> Image:
    # Devices hand out NV12; FFmpeg makes BGR of three planes five times as fast, and just that of the CPU's pictures.
    # One thread: by default FFmpeg starts one for each core, for each picture, which costs more than it gains.
    planar = frame.reformat(format="yuv420p", threads=1) if frame.format.name == "nv12" else frame
    return np.asarray(planar.to_ndarray(format="bgr24", threads=1), np.uint8)


def _fingerprint(frame: Any) -> int:
    """A checksum of part of the first plane (brightness, where the format is planar)."""
    plane = frame.planes[0]
    rows = np.frombuffer(plane, np.uint8)[: plane.line_size * plane.height].reshape(plane.height, plane.line_size)
    used = min(plane.line_size, frame.width * -(-frame.format.components[0].bits // 8))  # what lies beyond is padding
    return zlib.crc32(np.ascontiguousarray(rows[::_ROWS_BETWEEN, :used]).tobytes())


def _explained(error: BaseException, what: str) -> CaptureError:
    """The fault behind an error of PyAV, in words that hold no address."""
    av = pyav()
    told = {
        Fault.WRONG_PASSWORD: "the camera refuses user or password (401/403); check them",
        Fault.NOT_FOUND: "the server has no such stream (404); check the path",
        Fault.REFUSED: "the connection is refused; check port, and whether the server runs",
        Fault.TIMED_OUT: "no answer in time; check network and address",
    }
    kinds: list[tuple[type[BaseException] | tuple[type[BaseException], ...], Fault]] = [
        ((av.error.HTTPUnauthorizedError, av.error.HTTPForbiddenError), Fault.WRONG_PASSWORD),
        (av.error.HTTPNotFoundError, Fault.NOT_FOUND),
        (ConnectionRefusedError, Fault.REFUSED),
        ((TimeoutError, av.error.ExitError), Fault.TIMED_OUT),
    ]
    for kind, fault in kinds:
        if isinstance(error, kind):
            return CaptureError(fault, f"the stream {what}: {told[fault]}")
    reason = without_secrets(getattr(error, "strerror", None) or type(error).__name__)
    fault = Fault.BROKEN if isinstance(error, av.error.InvalidDataError | ValueError) else Fault.UNREACHABLE
    return CaptureError(fault, f"the stream {what}: {reason}")
