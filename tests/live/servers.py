"""Real RTSP servers and streams for the tests, each in a process of its own so that it can be killed or frozen."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.processes import ServerProcess, free_port

av = pytest.importorskip("av", reason="needs the extra 'live'")

FPS = 15
FILE_SERVER = """
import asyncio, sys, time
right = time.time
time.time = lambda: right() + float(sys.argv[3])  # the camera's clock, which its sender reports tell
from aio_rtsp_toolkit import server
asyncio.run(server.serve(sys.argv[1], host="127.0.0.1", port=int(sys.argv[2])))
"""
# Debian's GStreamer server: digest authentication, and a stream that is made for each client anew
GST_SERVER = """
import sys, gi
gi.require_version("Gst", "1.0"); gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtsp, GstRtspServer, GLib
Gst.init(None)
port, launch, user, password = sys.argv[1:5]
server = GstRtspServer.RTSPServer(); server.set_address("127.0.0.1"); server.set_service(port)
factory = GstRtspServer.RTSPMediaFactory(); factory.set_launch(launch); factory.set_shared(True)
if user:
    auth = GstRtspServer.RTSPAuth(); auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    auth.add_digest(user, password, token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory("/live", factory); server.attach(None)
print("ready", flush=True)
GLib.MainLoop().run()
"""


def file_server(folder: Path, port: int | None = None, clock_error: float = 0.0) -> ServerProcess:
    """A server of the files in a folder: rtsp://127.0.0.1:PORT/NAME?play_count=0; its clock may be seconds off."""
    pytest.importorskip("aio_rtsp_toolkit", reason="needs the package aio-rtsp-toolkit")
    port = port or free_port()
    return ServerProcess([sys.executable, "-c", FILE_SERVER, str(folder), str(port), str(clock_error)], port)


def gst_server(launch: str, user: str = "", password: str = "", port: int | None = None) -> ServerProcess:
    """Debian's GStreamer server with one stream: rtsp://127.0.0.1:PORT/live. Skips the test where it is missing."""
    probe = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    if subprocess.run(["/usr/bin/python3", "-c", probe], capture_output=True, check=False).returncode:
        pytest.skip("needs GStreamer's RTSP server (gir1.2-gst-rtsp-server-1.0, python3-gi)")
    port = port or free_port()
    return ServerProcess(["/usr/bin/python3", "-c", GST_SERVER, str(port), launch, user, password], port)


def ball(width: int, height: int) -> str:
    """A GStreamer launch line of a moving picture with a key frame a second."""
    return (
        f"( videotestsrc is-live=true pattern=ball ! video/x-raw,width={width},height={height},framerate={FPS}/1 "
        f"! x264enc tune=zerolatency speed-preset=ultrafast key-int-max={FPS} bitrate=300 "
        "! rtph264pay name=pay0 pt=96 )"
    )


def jpegs(pattern: str = "ball") -> str:
    """A GStreamer launch line of Motion JPEG; still where the pattern is."""
    return (
        f"( videotestsrc is-live=true pattern={pattern} ! video/x-raw,format=I420,width=640,height=368,"
        f"framerate={FPS}/1 ! jpegenc ! rtpjpegpay name=pay0 pt=26 )"
    )


def write_clip(path: Path, seconds: float = 8.0, size: tuple[int, int] = (640, 360), codec: str = "libx264") -> Path:
    """A recording in which every picture differs: a ball on a moving ground; a key frame a second."""
    width, height = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.gop_size = FPS
        stream.codec_context.time_base = Fraction(1, FPS)
        stream.options = {"preset": "ultrafast", "tune": "zerolatency", "bf": "0"}
        for number in range(round(seconds * FPS)):
            image = np.full((height, width, 3), 60, np.uint8)
            image[:, :: 16 + number % 5] = 90
            cv2.circle(image, ((number * 7) % width, height // 2), 20, (0, 200, 255), -1)
            cv2.putText(image, str(number), (20, 60), cv2.FONT_HERSHEY_SIMPLEX, 2, (255, 255, 255), 3)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())
    return path


def again(path: Path, source: Path, fps: int = 10, gop: int = 10) -> Path:
    """A recording encoded anew with a key frame every ``gop`` pictures."""
    with av.open(str(source)) as before, av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        for number, frame in enumerate(before.decode(video=0)):
            if number == 0:
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
                stream.codec_context.gop_size = gop
                stream.codec_context.time_base = Fraction(1, fps)
                stream.options = {"preset": "ultrafast", "tune": "zerolatency", "bf": "0"}
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def raw_h264(path: Path) -> bytes:
    """The pictures of a recording as a stream without a container."""
    from av.bitstream import BitStreamFilterContext

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        convert = BitStreamFilterContext("h264_mp4toannexb", stream)
        return b"".join(bytes(part) for packet in container.demux(stream) for part in convert.filter(packet))


class PlainServer:
    """A TCP server that says what it is told to every client and then nothing more (or garbage for ever).

    Args:
        answer: to the first client, and to all others where ``later`` is not given.
    """

    def __init__(self, answer: bytes = b"", garbage: bool = False, port: int = 0, later: bytes = b"") -> None:
        self._socket = socket.create_server(("127.0.0.1", port))
        self._clients: list[socket.socket] = []
        self.port = int(self._socket.getsockname()[1])
        self.connections = 0
        self._answer, self._garbage, self._later = answer, garbage, later or answer
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Stop listening, and hang up."""
        with suppress(OSError):  # a thread waits in accept, which keeps the port until it is woken
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for client in self._clients:
            client.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self._clients.append(client)
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        noise = np.random.default_rng(0)
        try:
            if self._answer:
                client.recv(4096)
                client.sendall(self._answer if self.connections == 1 else self._later)
            while self._garbage:
                client.sendall(noise.bytes(2048))
                time.sleep(0.02)
        except OSError:
            client.close()
