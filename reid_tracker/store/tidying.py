"""Taking from disk what erased rows left there: at once where that can be done, else as soon as it can."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from reid_tracker.errors import StoreError

# between two tries, of which each may hold up whoever asks the database; twice as long after each failure
_PAUSE_SECONDS, _MOST_PAUSE_SECONDS = 10.0, 3600.0

_log = logging.getLogger(__name__)


class Tidying:
    """Tidies when it is needed. Called by one thread at a time but for ``erased``.

    Args:
        tidy: does it; raises StoreError where it cannot be done now.
        needed: whether something was left from before.
    """

    def __init__(self, tidy: Callable[[], None], needed: bool) -> None:
        self._tidy = tidy
        self._needed = needed
        self._failure, self._not_before, self._pause = "", 0.0, _PAUSE_SECONDS

    def erased(self) -> None:
        """Rows are gone; what cannot be tidied now is no failure of whatever removed them."""
        self._needed, self._not_before, self._pause = True, 0.0, _PAUSE_SECONDS
        try:
            self()
        except StoreError as error:
            _log.warning("%s; erased rows are gone, and are taken from the disk as soon as can be", error)

    def __call__(self) -> None:
        """Tidy where it is needed. Raises StoreError: it cannot be done now."""
        if not self._needed:
            return
        if time.monotonic() < self._not_before:
            raise StoreError(self._failure)  # in the same words, so that logs tell it once
        self._needed = False
        try:
            self._tidy()
        except StoreError as error:
            self._needed, self._failure = True, str(error)
            self._not_before = time.monotonic() + self._pause
            self._pause = min(2 * self._pause, _MOST_PAUSE_SECONDS)
            raise
