"""One camera read for ever: connect, read, notice what is wrong, close, wait, connect again.

    connecting ──► live ──► (ended, broke, stalled, stale, frozen, behind) ──► waiting ──► connecting ...

Each camera has a thread of its own that leaves the newest picture in a slot, so a dead, slow or corrupt camera delays
no other. A thread that a library keeps from coming back is given up by ``check`` and replaced; what it brings later
is ignored.
"""

from __future__ import annotations

import logging
import random
import threading
from dataclasses import dataclass, field

from reid_tracker.config import LiveConfig
from reid_tracker.errors import ConfigError
from reid_tracker.live.capture import Capture, CaptureError, Fault, Opener
from reid_tracker.live.health import CameraState, Health, Loss
from reid_tracker.live.slot import Arrived, NewestPicture
from reid_tracker.live.timing import Backoff, CaptureClock, Clock, SystemClock
from reid_tracker.live.watch import PictureWatch
from reid_tracker.types import Frame

_GRACE = 1.0  # seconds that a call may take longer than its own timeout before its thread is given up
_MOST_STUCK = 4  # threads given up that have not come back; more are not started
_STEADY = 2.0  # seconds of pictures after which waits begin with the shortest again
_LEAST_WAIT = 0.05
_CLOSING_SECONDS = 2.0

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Life:
    """One thread's time as the camera's reader.

    Attributes:
        alive: it still is; what it reads counts.
        wake: ends its waits.
        deadline: monotonic seconds until which the call it is in must be back; None while it is in none.
    """

    alive: bool = True
    wake: threading.Event = field(default_factory=threading.Event)
    deadline: float | None = None
    thread: threading.Thread | None = None


class CameraReader:
    """Reads one camera from ``start`` to ``close``. Thread-safe.

    The end of a recording is the camera's end, unless the configuration repeats recordings.

    Args:
        camera_id: its name.
        opener: opens the stream; called again after every failure.
        config: timeouts and limits.
        changed: told when a picture arrives; may be shared.
        clock, source: of time and of chance; tests bring their own.
    """

    def __init__(
        self,
        camera_id: str,
        opener: Opener,
        config: LiveConfig,
        changed: threading.Condition | None = None,
        clock: Clock | None = None,
        source: random.Random | None = None,
    ) -> None:
        self.camera_id = camera_id
        self.health = Health(camera_id)
        self._opener = opener
        self._config = config
        self._recording = False  # what was opened last
        self._clock = clock or SystemClock()
        self._random = source or random.Random()
        self._slot = NewestPicture(changed or threading.Condition())
        self._capture_clock = CaptureClock(config.most_clock_error)
        self._watch = PictureWatch(config)
        self._count = 0
        self._last_arrival: float | None = None
        self._was_live = False
        self._paused = threading.Event()
        self._lock = threading.Lock()
        self._stuck: list[threading.Thread] = []
        self._life: _Life | None = None

    @property
    def ready(self) -> bool:
        """Whether ``take`` has a picture to give."""
        return self._slot.ready

    def due_within(self, seconds: float) -> bool:
        """Whether the camera is live and its next picture should come (or should just have come) in that time."""
        interval, last = self.health.interval, self._last_arrival
        if interval is None or last is None:
            return False
        return abs(last + interval - self._clock.monotonic()) <= seconds

    @property
    def paused(self) -> bool:
        """Whether the camera is left alone for now."""
        return self._paused.is_set()

    def start(self) -> None:
        """Begin to read, in a thread."""
        with self._lock:
            self._life = self._new_life()

    def close(self) -> None:
        """Stop reading; waits a little for the thread, which ends by itself where a library holds it."""
        with self._lock:
            life, self._life = self._life, None
        if life is None:
            return
        life.alive = False
        life.wake.set()
        if life.thread is not None and life.thread is not threading.current_thread():
            life.thread.join(_CLOSING_SECONDS)

    def pause(self) -> None:
        """Close the stream and leave the camera alone until ``resume``."""
        self._paused.set()
        self._wake()

    def resume(self) -> None:
        """Read again."""
        self._paused.clear()
        self._wake()

    def take(self) -> Frame | None:
        """The newest picture, pixels converted; None where there is none that was not taken yet."""
        arrived = self._slot.take()
        if arrived is None:
            return None
        try:
            image = arrived.picture.image()
        except Exception as error:  # whatever a decoder's library raises: one picture is lost, the camera goes on
            _log.debug("camera %r: a picture cannot be converted (%s)", self.camera_id, type(error).__name__)
            self.health.lose(Loss.UNDECODABLE)
            return None
        self.health.took(self._clock.monotonic() - arrived.arrival)
        return Frame(self.camera_id, arrived.index, arrived.time, image)

    def check(self) -> None:
        """Give up a thread that has not come back from a call in time, and start another. Call now and then.

        Where too many have not come back, the camera waits until one has.
        """
        with self._lock:
            life = self._life
            if life is None:
                return
            self._stuck = [thread for thread in self._stuck if thread.is_alive()]
            if life.alive:
                if life.deadline is None or self._clock.monotonic() < life.deadline:
                    return
                self._give_up(life)
            if len(self._stuck) < _MOST_STUCK:
                self._life = self._new_life()

    def run(self, life: _Life | None = None) -> None:
        """What the thread does; returns when the camera is closed, given up, or a recording has ended."""
        life = life or _Life()
        backoff = Backoff(self._config.first_wait, self._config.most_wait, self._random)
        while life.alive:
            if self._paused.is_set():
                self._rest(life)
                continue
            began = self._clock.monotonic()
            self._state(life, CameraState.CONNECTING)
            fault = self._one_connection(life, backoff)
            life.deadline = None
            if fault is None or not life.alive:
                continue
            if fault is Fault.ENDED and self._recording:
                if not self._config.repeat:
                    self._state(life, CameraState.ENDED)
                    return
                continue
            self._wait_after(fault, life, backoff, began)

    def _one_connection(self, life: _Life, backoff: Backoff) -> Fault | None:
        """Connect and read until it ends; why it did, None where that was wanted."""
        life.deadline = self._clock.monotonic() + self._config.open_seconds + _GRACE
        capture: Capture | None = None
        try:
            capture = self._opener()
            self._read(capture, life, backoff)
            return None
        except CaptureError as error:
            fault, message = error.fault, str(error)
        except ConfigError as error:
            fault, message = Fault.MISCONFIGURED, str(error)
        except Exception as error:  # a camera must not end the others, whatever its library raises
            fault, message = Fault.BROKEN, f"reading failed unexpectedly ({type(error).__name__})"
            _log.debug("camera %r: %s", self.camera_id, message, exc_info=True)
        finally:
            if capture is not None:
                capture.close()
        if life.alive and not (fault is Fault.ENDED and self._recording):
            self.health.failed(fault, message)
        return fault

    def _read(self, capture: Capture, life: _Life, backoff: Backoff) -> None:
        opened = self._clock.monotonic()
        self._recording = capture.recording
        self._watch.opened(opened, capture.recording)
        while life.alive and not self._paused.is_set():
            life.deadline = self._clock.monotonic() + self._config.stall_seconds + _GRACE
            reading = capture.read()
            if not life.alive:
                return
            now = self._clock.monotonic()
            self.health.lose(Loss.UNDECODABLE, reading.undecodable)
            for picture in reading.pictures:
                if not self._watch.is_new(picture, now):
                    self.health.lose(Loss.REPEATED)
                    continue
                if self._watch.is_late(picture, now):
                    self.health.lose(Loss.LATE)
                    continue
                taken = self._capture_clock(picture.producer_time, self._clock.utc())
                self.health.lose(Loss.IMPLAUSIBLE_TIME, int(taken.implausible))
                self._note_arrival(now, picture.size, taken.from_camera)
                self.health.decodes(capture.codec, capture.decoder)
                self._state(life, CameraState.LIVE, _clock_complaint(taken.implausible))
                displaced = self._slot.put(Arrived(picture, self._count, taken.time, now))
                self.health.lose(Loss.DROPPED, int(displaced))
                self._count += 1
                if now - opened > _STEADY:
                    backoff.reset()
            self._watch.check(now)

    def _note_arrival(self, now: float, size: tuple[int, int], from_camera: bool) -> None:
        if self.health.report().state is not CameraState.LIVE:
            if self._was_live:
                self.health.reconnected()
            self._last_arrival = None
            self._was_live = True
        interval = None if self._last_arrival is None else now - self._last_arrival
        self._last_arrival = now
        self.health.arrived(self._clock.utc(), size, from_camera, interval)

    def _wait_after(self, fault: Fault, life: _Life, backoff: Backoff, began: float) -> None:
        """Wait before the next attempt; what the last one took counts as waited."""
        if fault in (Fault.WRONG_PASSWORD, Fault.MISCONFIGURED):
            # Cameras lock an account after a few wrong attempts; nothing changes by itself here.
            self._state(life, CameraState.LOCKED_OUT if fault is Fault.WRONG_PASSWORD else CameraState.WAITING)
            self._clock.wait(life.wake, self._config.password_seconds)
        else:
            self._state(life, CameraState.WAITING)
            waited = self._clock.monotonic() - began if fault is not Fault.ENDED else 0.0
            self._clock.wait(life.wake, max(_LEAST_WAIT, backoff() - waited))
        life.wake.clear()

    def _rest(self, life: _Life) -> None:
        self.health.lose(Loss.DROPPED, int(self._slot.clear()))
        self._state(life, CameraState.PAUSED, "")
        self._clock.wait(life.wake, 3600.0)
        life.wake.clear()

    def _state(self, life: _Life, state: CameraState, message: str | None = None) -> None:
        if life.alive:
            self.health.enter(state, self._clock.utc(), message)

    def _wake(self) -> None:
        with self._lock:
            if self._life is not None:
                self._life.wake.set()

    def _give_up(self, life: _Life) -> None:
        life.alive = False
        life.wake.set()
        if life.thread is not None:
            self._stuck.append(life.thread)
        self.health.failed(Fault.STALLED, "the camera sends nothing and its connection does not end; given up")
        if len(self._stuck) >= _MOST_STUCK:
            message = (
                f"{len(self._stuck)} connections hang; connecting anew when one ends, or with the program's restart"
            )
            self.health.enter(CameraState.WAITING, self._clock.utc(), message)
            _log.error("camera %r: %s", self.camera_id, message)

    def _new_life(self) -> _Life:
        life = _Life()
        life.thread = threading.Thread(target=self.run, args=(life,), name=f"camera {self.camera_id}", daemon=True)
        life.thread.start()
        return life


def _clock_complaint(implausible: bool) -> str:
    return "the camera's clock is wrong (its times are not used)" if implausible else ""
