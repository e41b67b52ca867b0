"""Memory that is free goes back to the system while a service runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reid_tracker.service.heap import _trimming

PROGRAM = """
import ctypes, os, time
from pathlib import Path
from reid_tracker.service.heap import returned_memory
def megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
blocks = [libc.malloc(50_000) for _ in range(2000)]
for block in blocks:
    ctypes.memset(block, 1, 50_000)
full = megabytes()
kept = blocks.pop()  # what lies on top keeps the C library from giving the rest back
for block in blocks:
    libc.free(block)
held = megabytes()
with returned_memory(0.05):
    until = time.monotonic() + 10
    while megabytes() > full - 60 and time.monotonic() < until:
        time.sleep(0.05)
print(full - held, full - megabytes())
"""


def test_what_is_free_goes_back(repository: Path) -> None:
    if _trimming() is None or not sys.platform.startswith("linux"):
        pytest.skip("needs Linux with the GNU C library")
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=repository, timeout=60)
    assert done.returncode == 0, done.stderr
    by_itself, with_it = map(float, done.stdout.split())
    assert by_itself < 20  # megabytes of the hundred
    assert with_it > 60
