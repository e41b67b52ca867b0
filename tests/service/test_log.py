"""What the log of a service never holds, and whom a line of it never harms."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from reid_tracker.service.server import SecretsFilter

URL = "rtsp://me:s3cret@gate/live"


class Unshowable:
    def __str__(self) -> str:
        raise RuntimeError("not today")


@pytest.fixture
def written() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger of another package, and what it wrote."""
    text = io.StringIO()
    logger, handler = logging.getLogger("somebody.else"), logging.StreamHandler(text)
    handler.addFilter(SecretsFilter())
    logger.addHandler(handler)
    logger.propagate = False
    yield logger, text
    logger.removeHandler(handler)


def test_addresses_are_cleaned_in_lines_and_tracebacks(written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, text = written
    try:
        raise ValueError(URL)
    except ValueError:
        logger.exception("opening %s failed", URL, stack_info=True)
    logger.error("without an error", exc_info=True)
    assert "ValueError: rtsp://***@gate/live" in text.getvalue()
    assert "opening rtsp://***@gate/live failed" in text.getvalue()
    assert "Stack (most recent call last)" in text.getvalue()
    assert "s3cret" not in text.getvalue()


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("%d viewers of " + URL, ("many",)),
        ("%(who)s", ({"what": 1},)),
        ("100 %", (1,)),
        ("%s", (Unshowable(),)),
        (Unshowable(), ()),
    ],
)
def test_a_line_that_cannot_be_put_together_harms_nobody(
    written: tuple[logging.Logger, io.StringIO], line: object, arguments: tuple[object, ...]
) -> None:
    """Its error once came out where the line was written, in a library's own thread."""
    logger, text = written
    logger.warning(line, *arguments)
    assert "cannot be put together" in text.getvalue()
    assert "s3cret" not in text.getvalue()
