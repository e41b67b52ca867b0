"""Memory that is free goes back to the system, so that a service for weeks is as large as what it holds.

The C library (glibc) keeps what is freed, in a pool per thread: with streams that come and go, their threads and the
buffers of their pictures leave holes, and the process grows by some megabytes an hour though nothing is held. Elsewhere
than on glibc nothing is done.
"""

from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_EVERY_SECONDS = 60.0
_ARENA_MAX, _POOLS = -8, 2  # the parameter of mallopt (malloc.h), and its value; glibc's own is eight a core

_log = logging.getLogger(__name__)


def few_pools() -> None:
    """Let the threads of this process share two pools of memory. Call before most of them begin.

    Fewer pools have fewer holes: with one for each thread the process grows until all have seen their busiest moment.
    """
    with suppress(AttributeError, OSError, TypeError):  # another C library; TypeError: Windows has no program to ask
        ctypes.CDLL(None).mallopt(_ARENA_MAX, _POOLS)


@contextmanager
def returned_memory(seconds: float = _EVERY_SECONDS) -> Iterator[None]:
    """While this lasts, free memory goes back to the system every so many seconds (a few milliseconds each time)."""
    trim = _trimming()
    if trim is None:
        yield
        return
    over = threading.Event()

    def work() -> None:
        while not over.wait(seconds):
            trim()

    thread = threading.Thread(target=work, name="heap", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _trimming() -> Callable[[], object] | None:
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # as above
        _log.debug("free memory is left to the C library")
        return None
    return lambda: trim(ctypes.c_size_t(0))
