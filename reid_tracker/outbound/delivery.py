"""Bringing messages to one destination: a bounded queue and a thread, so that nobody who is away delays anybody.

    put ──► waiting (newest N) ──► tried ──► sent
                 │ oldest             │ again after 1, 2, 4 ... 60 s, each wait shortened at random
                 ▼                    ▼
            queue_full      refused, too_old, stopped ...     every loss counted by its reason

Messages arrive in order and at least once; receivers drop a repeated key. With a spool that holds over a restart too.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from reid_tracker.config import OutboundConfig
from reid_tracker.errors import ReidTrackerError
from reid_tracker.live import Backoff
from reid_tracker.outbound.messages import Message
from reid_tracker.outbound.spool import Spool

_TICK = 1.0  # seconds between two looks at an idle connection
_CLOSING_WAIT = 0.25  # seconds between two tries while the program ends

_log = logging.getLogger(__name__)


class DeliveryError(ReidTrackerError):
    """A message did not get through.

    Attributes:
        reason: one of a few words, for counting.
        again: worth another try.
        after: seconds that the destination asked us to wait.
    """

    def __init__(self, text: str, reason: str, again: bool = True, after: float = 0.0) -> None:
        super().__init__(text)
        self.reason = reason
        self.again = again
        self.after = after


class Destination(Protocol):
    """Where messages go. Called by its delivery's thread alone."""

    def wants(self, message: Message) -> bool:
        """Whether this message is for it; on any thread."""
        ...

    def open(self) -> bool:
        """Be ready to send, and stay so: called while there is nothing to send. Raises DeliveryError.

        Returns:
            True where this shows that the destination answers; False where only sending shows that.
        """
        ...

    def send(self, message: Message) -> None:
        """Return once the message has arrived. Raises DeliveryError."""
        ...

    def close(self) -> None:
        """Say good-bye; does not raise."""
        ...


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """How a destination is served: what waits, what arrived, what was tried again and dropped, by reason.

    ``failure`` is empty while all is well.
    """

    waiting: int = 0
    sent: int = 0
    retried: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class _Waiting:
    message: Message
    due: float
    stale: float


class Delivery:
    """A destination, its queue and its thread. Thread-safe; ``put`` never waits.

    Args:
        name: of the destination, for logs.
        spool: keeps what did not arrive over a restart; None: what is left at the end is dropped.
        monotonic: the clock.
    """

    def __init__(
        self,
        name: str,
        destination: Destination,
        config: OutboundConfig,
        spool: Spool | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._destination = destination
        self._config = config
        self._spool = spool
        self._now = monotonic
        self._backoff = Backoff(config.first_wait, config.most_wait)
        self._changed = threading.Condition()
        self._queue: deque[_Waiting] = deque()
        self._states: dict[str, _Waiting] = {}
        self._states_due = 0.0
        self._trying: _Waiting | None = None
        self._sent = 0
        self._retried: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._failure = ""
        self._until: float | None = None  # set when closing
        self._thread = threading.Thread(target=self._run, name=f"outbound {name}", daemon=True)
        self._take_up(spool)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def put(self, message: Message) -> None:
        """Leave a message; where too many wait, the oldest is dropped. Returns at once."""
        if not self._destination.wants(message):
            return
        now = self._now()
        waiting = _Waiting(message, now + message.hold, now + self._config.most_age_seconds)
        with self._changed:
            if self._until is not None:
                self._dropped["stopped"] += 1
                return
            if message.state:
                self._states[message.channel] = waiting
            else:
                if self._spool is not None:
                    self._spool.keep(self.name, message)
                self._append(waiting)
            self._changed.notify()

    def withdraw(self, key: str) -> bool:
        """Take a message back; False where it was sent, is being sent, or never was."""
        with self._changed:
            for waiting in self._queue:
                if waiting.message.key == key:
                    self._queue.remove(waiting)
                    self._let_go(waiting)
                    return True
        return False

    def forget(self, identity: int) -> None:
        """Drop what waits about a person, what was tried and is to be sent again included."""
        with self._changed:
            for waiting in [*self._queue, *([self._trying] if self._trying is not None else [])]:
                if identity in waiting.message.people:
                    self._drop(waiting, "erased")
            self._queue = deque(waiting for waiting in self._queue if identity not in waiting.message.people)
            if self._trying is not None and identity in self._trying.message.people:
                self._trying = None
            self._states.clear()  # the next picture brings new ones
        if self._spool is not None:
            self._spool.erase_copies()

    def report(self) -> DeliveryReport:
        """How it goes."""
        with self._changed:
            waiting = len(self._queue) + (self._trying is not None and not self._trying.message.state)
            return DeliveryReport(waiting, self._sent, Counter(self._retried), +Counter(self._dropped), self._failure)

    def close(self) -> None:
        """Send what waits for at most ``closing_seconds``; what is left stays in the spool, or is counted as dropped.

        May be called twice.
        """
        with self._changed:
            if self._until is None:
                self._until = self._now() + self._config.closing_seconds
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(self._config.closing_seconds + 2 * _TICK)  # a hanging server does not hold the program

    def _run(self) -> None:
        while not self._done():
            waiting = self._next()
            try:
                if waiting is None:
                    answers = self._destination.open()
                else:
                    self._destination.send(waiting.message)
                    answers = True
            except DeliveryError as error:
                self._failed(error)
            except Exception as error:  # a fault of ours costs one message, not the thread
                _log.exception("%s: message dropped", self.name)
                unforeseen = f"{self.name}: {type(error).__name__}; the log says more"  # its text may quote an address
                self._failed(DeliveryError(unforeseen, "error", again=False))
            else:
                if answers:
                    self._succeeded()
        self._destination.close()

    def _done(self) -> bool:
        with self._changed:
            if self._until is None:
                return False
            left = len(self._queue) + (self._trying is not None)
            if left and self._now() < self._until:
                return False
            if self._spool is None:
                self._dropped["stopped"] += left
            elif left:
                _log.info("%s: %d messages are kept for the next start", self.name, left)
            self._queue.clear()
            self._trying = None
            return True

    def _next(self) -> _Waiting | None:
        """What to send now; None, after a while, where there is nothing. What failed comes first."""
        with self._changed:
            idle_until = self._now() + _TICK
            while self._trying is None:
                now = self._now()
                closing = self._until is not None
                while self._queue and self._queue[0].stale <= now:
                    self._drop(self._queue.popleft(), "too_old")
                if self._queue and (closing or self._queue[0].due <= now):
                    self._trying = self._queue.popleft()
                elif self._states and not closing and self._states_due <= now:
                    self._trying = self._states.pop(next(iter(self._states)))
                    if not self._states:
                        self._states_due = now + self._config.state_seconds
                elif closing or now >= idle_until:
                    return None
                else:
                    moments = [idle_until, *(first.due for first in [*self._queue][:1])]
                    moments += [self._states_due] if self._states else []
                    self._changed.wait(max(0.0, min(moments) - now))
            return self._trying

    def _succeeded(self) -> None:
        self._backoff.reset()
        with self._changed:
            if self._trying is not None:
                self._sent += 1
                self._let_go(self._trying)
                self._trying = None
            was, self._failure = self._failure, ""
        if was:
            _log.info("%s: answers again", self.name)

    def _failed(self, error: DeliveryError) -> None:
        with self._changed:
            was, self._failure = self._failure, str(error)
            now = self._now()
            trying = self._trying
            if not error.again:
                if trying is not None:
                    self._drop(trying, error.reason)
                self._trying = None
                wait = 0.0 if trying is not None else _TICK
            else:
                self._retried[error.reason] += 1
                wait = max(self._backoff(), min(error.after, self._config.most_age_seconds))
                if trying is not None and trying.stale <= now + wait:
                    self._drop(trying, "too_old")
                    self._trying = None
                elif trying is not None and trying.message.state:  # a newer one may have come
                    self._states.setdefault(trying.message.channel, trying)
                    self._trying = None
        if str(error) != was:
            _log.warning("%s", error)
        with self._changed:
            if self._until is not None:
                self._changed.wait(_CLOSING_WAIT)
            else:
                self._changed.wait_for(lambda: self._until is not None, wait)

    def _take_up(self, spool: Spool | None) -> None:
        """Begin with what an earlier run left."""
        now = self._now()
        for age, message in [] if spool is None else spool.waiting(self.name):
            self._append(_Waiting(message, now, now + self._config.most_age_seconds - age))
        if self._queue:
            _log.info("%s: %d messages of an earlier run wait", self.name, len(self._queue))

    def _append(self, waiting: _Waiting) -> None:
        self._queue.append(waiting)
        if len(self._queue) > self._config.queue:
            self._drop(self._queue.popleft(), "queue_full")

    def _drop(self, waiting: _Waiting, reason: str) -> None:
        self._dropped[reason] += 1
        self._let_go(waiting)

    def _let_go(self, waiting: _Waiting) -> None:
        if self._spool is not None and not waiting.message.state:
            self._spool.let_go(self.name, waiting.message.key)
