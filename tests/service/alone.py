"""The real server in a process of its own, over recordings with the scripted pipeline; prints where it listens.

python -m tests.service.alone FOLDER_OF_SCENES '{"setting": value}'
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reid_tracker.service.server import serve
from tests.service.conftest import site_config
from tests.service.site import colour_pipeline

REPOSITORY = Path(__file__).resolve().parents[2]


def main(scenes: str, values: str) -> None:
    """Serve until asked to stop."""
    config = site_config(Path(scenes), **{"service.port": 0, **json.loads(values)})
    serve(config, colour_pipeline, say)


def say(address: str) -> None:
    """Tell whoever started this process."""
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()


@contextmanager
def alone(
    scenes: Path, environment: dict[str, str] | None = None, **values: object
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """That process, listening, and its address without the last slash."""
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.service.alone", str(scenes), json.dumps(values)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, **(environment or {})},
    )
    assert program.stdout is not None
    try:
        found = re.match(r"https?://\S+", program.stdout.readline())
        assert found, "it does not listen"
        yield program, found[0].rstrip("/")
    finally:
        program.send_signal(signal.SIGTERM)
        program.wait(30)
        program.stdout.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
