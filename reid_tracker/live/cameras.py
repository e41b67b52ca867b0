"""All live cameras of a site: add, pause and remove them while it runs, and take the newest pictures of all at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from reid_tracker.config import CameraConfig, LiveConfig
from reid_tracker.errors import ConfigError
from reid_tracker.live.address import Address
from reid_tracker.live.capture import Capture
from reid_tracker.live.decoding import Decoding
from reid_tracker.live.health import HealthReport
from reid_tracker.live.reader import CameraReader
from reid_tracker.live.replay import open_replay
from reid_tracker.live.stream import open_stream
from reid_tracker.live.timing import Clock, SystemClock
from reid_tracker.types import Frame

_CHECK_SECONDS = 0.5  # between two looks of the watchdog
_TOGETHER_SECONDS = 0.03  # what the first camera that has a picture waits for others whose picture is about due

ReaderOf = Callable[[CameraConfig, threading.Condition], CameraReader]


class LiveCameras:
    """Readers of any number of cameras, and the watchdog over them. Thread-safe; a context manager.

    Args:
        config: timeouts and limits.
        cameras: to begin with.
        reader_of: makes a camera's reader, not yet started; by default one that opens its address.
    """

    def __init__(
        self,
        config: LiveConfig | None = None,
        cameras: Sequence[CameraConfig] = (),
        reader_of: ReaderOf | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.config = config or LiveConfig()
        self.decoding = Decoding(self.config.decode)
        self._clock = clock or SystemClock()
        self._reader_of = reader_of or self._reader
        self._changed = threading.Condition()
        self._readers: dict[str, CameraReader] = {}
        self._configs: dict[str, CameraConfig] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        for camera in cameras:
            self.add(camera)
        self._watchdog = threading.Thread(target=self._watch, name="camera watchdog", daemon=True)
        self._watchdog.start()

    def __enter__(self) -> LiveCameras:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def cameras(self) -> tuple[CameraConfig, ...]:
        """The cameras, in the order they were added."""
        with self._lock:
            return tuple(self._configs.values())

    def add(self, camera: CameraConfig) -> None:
        """Begin to read a camera. The first network stream waits for the trial of hardware, where that is asked for.

        Raises:
            ConfigError: there is one of that name.
        """
        if Address(camera.source).is_stream:
            self.decoding.report()  # here, because a reader that takes seconds to open is taken to be stuck
        with self._lock:
            if camera.id in self._readers:
                raise ConfigError(f"two cameras are called {camera.id!r}; give each its own id")
            self._configs[camera.id] = camera
            reader = self._readers[camera.id] = self._reader_of(camera, self._changed)
        reader.start()

    def remove(self, camera_id: str) -> None:
        """Stop reading a camera and forget it.

        Raises:
            ConfigError: there is none of that name.
        """
        reader = self._known(camera_id)
        with self._lock:
            self._readers.pop(camera_id, None)
            self._configs.pop(camera_id, None)
        reader.close()

    def pause(self, camera_id: str) -> None:
        """Leave a camera alone until ``resume``.

        Raises:
            ConfigError: there is none of that name.
        """
        self._known(camera_id).pause()

    def resume(self, camera_id: str) -> None:
        """Read a paused camera again.

        Raises:
            ConfigError: there is none of that name.
        """
        self._known(camera_id).resume()

    def report(self) -> dict[str, HealthReport]:
        """How each camera is."""
        with self._lock:
            readers = dict(self._readers)
        return {camera_id: reader.health.report() for camera_id, reader in readers.items()}

    def next_moment(self, timeout: float) -> list[Frame]:
        """The newest picture of each camera that has one; empty where none came within ``timeout`` seconds.

        A camera without a new picture holds nobody up: once one is there, those whose next picture is due within
        30 ms are given that time. Cameras that are dead, paused or late are not waited for.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._closing.is_set() or self._any_ready(), timeout):
                return []
            missing = [reader for reader in tuple(self._readers.values()) if not reader.ready]
            awaited = [reader for reader in missing if reader.due_within(_TOGETHER_SECONDS)]
            self._changed.wait_for(lambda: all(reader.ready for reader in awaited), _TOGETHER_SECONDS)
        with self._lock:
            readers = [reader for reader in self._readers.values() if reader.ready]
        frames = [reader.take() for reader in readers]
        return [frame for frame in frames if frame is not None]

    def close(self) -> None:
        """Stop reading; may be called twice."""
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        with self._lock:
            readers = list(self._readers.values())
            self._readers.clear()
        for reader in readers:
            reader.close()
        self._watchdog.join()

    def _any_ready(self) -> bool:
        return any(reader.ready for reader in tuple(self._readers.values()))

    def _known(self, camera_id: str) -> CameraReader:
        with self._lock:
            if camera_id not in self._readers:
                names = ", ".join(self._readers) or "none"
                raise ConfigError(f"no camera is called {camera_id!r} (cameras: {names})")
            return self._readers[camera_id]

    def _watch(self) -> None:
        while not self._closing.wait(_CHECK_SECONDS):
            with self._lock:
                readers = list(self._readers.values())
            for reader in readers:
                reader.check()

    def _reader(self, camera: CameraConfig, changed: threading.Condition) -> CameraReader:
        address = Address(camera.source)

        def open_camera() -> Capture:
            if address.is_stream:
                return open_stream(address, self.config, self.decoding)
            return open_replay(address.reveal(), camera.id, self._closing, self._clock)

        return CameraReader(camera.id, open_camera, self.config, changed, clock=self._clock)
