"""Faults of cameras for the soak: real RTSP servers that are killed, frozen, replaced by worse ones, and come back."""

from __future__ import annotations

import shutil
import socketserver
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from tests.live.servers import FPS, PlainServer, ServerProcess, file_server
from tests.service.site import picture

CLIP_SECONDS = 8
SIZES = {"live.mp4": (320, 240), "small.mp4": (256, 192)}
AWAY_SECONDS = 8.0
_UNAUTHORIZED = 'RTSP/1.0 401 Unauthorized\r\nCSeq: {}\r\nWWW-Authenticate: Digest realm="camera", nonce="1"\r\n\r\n'


def write_clips(folder: Path, people: tuple[str, ...]) -> Path:
    """Recordings of people of plain colours who walk to and fro, in two sizes, with a key frame a second."""
    folder.mkdir()
    for name, size in SIZES.items():
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream("libx264", rate=FPS)
            stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            stream.codec_context.gop_size = FPS
            stream.codec_context.time_base = Fraction(1, FPS)
            stream.options = {"preset": "ultrafast", "tune": "zerolatency", "bf": "0"}
            for number in range(CLIP_SECONDS * FPS):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(_moment(number, people, size), format="bgr24")))
            container.mux(stream.encode())
    return folder


def _moment(number: int, people: tuple[str, ...], size: tuple[int, int]) -> np.ndarray:
    there = abs(number % (CLIP_SECONDS * FPS) - CLIP_SECONDS * FPS // 2)
    image = picture(*((name, 20 + 110 * place + there) for place, name in enumerate(people)))
    image[:8] = 80 + number % 100  # so that no two pictures are alike
    return np.asarray(cv2.resize(image, size), np.uint8)


class Camera:
    """A camera's server, and what can happen to it. Each fault ends with the server back, listening."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: ServerProcess = file_server(folder)
        self.port = self._server.port
        self._small = False

    @property
    def address(self) -> str:
        """Of the stream."""
        return f"rtsp://127.0.0.1:{self.port}/live.mp4?play_count=0"

    def close(self) -> None:
        """End the server."""
        self._server.kill()

    def killed(self) -> None:
        """Ended without a word, and started again a second later."""
        self._server.kill()
        time.sleep(1.0)
        self._server.start()

    def refusing(self) -> None:
        """Nobody listens for a while."""
        self._server.kill()
        time.sleep(AWAY_SECONDS)
        self._server.start()

    def frozen(self) -> None:
        """Its connections stay open and bring nothing."""
        self._server.freeze()
        time.sleep(AWAY_SECONDS)
        self._server.thaw()

    def silent(self) -> None:
        """Somebody listens and says nothing."""
        self._replaced(PlainServer(port=self._freed()))

    def garbage(self) -> None:
        """Somebody answers with noise."""
        self._replaced(PlainServer(garbage=True, port=self._freed()))

    def resized(self) -> None:
        """Comes back with pictures of another size."""
        self._server.kill()
        self._small = not self._small
        shown, kept = (self._folder / name for name in SIZES)
        aside = self._folder / "aside.mp4"
        for source, target in ((shown, aside), (kept, shown), (aside, kept)):
            shutil.move(source, target)
        self._server.start()

    def _freed(self) -> int:
        self._server.kill()
        return self.port

    def _replaced(self, other: PlainServer) -> None:
        time.sleep(AWAY_SECONDS)
        other.close()
        self._server.start()


class LockedCamera(socketserver.ThreadingTCPServer):
    """A camera that takes no password; ``attempts`` counts the connections on which one was tried."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Refuse)
        self.attempts = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """With a password that is wrong."""
        return f"rtsp://viewer:wrong@127.0.0.1:{self.server_address[1]}/live"

    def close(self) -> None:
        """Listen no longer."""
        self.shutdown()
        self.server_close()


class _Refuse(socketserver.StreamRequestHandler):
    server: LockedCamera

    def handle(self) -> None:
        tried = False
        for line in self.rfile:
            name, _, value = line.decode("latin-1").partition(":")
            if name.lower() == "authorization" and not tried:
                tried = True
                self.server.attempts += 1
            elif name.lower() == "cseq":
                number = value.strip()
            elif not line.strip():
                self.wfile.write(_UNAUTHORIZED.format(number).encode())


FAULTS: tuple[Callable[[Camera], None], ...] = (
    Camera.killed,
    Camera.frozen,
    Camera.refusing,
    Camera.silent,
    Camera.garbage,
    Camera.resized,
)
