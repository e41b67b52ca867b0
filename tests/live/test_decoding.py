"""Hardware decoding: tried before it is believed, and the CPU with a reason where it fails. No hardware is needed."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

pytest.importorskip("av", reason="needs the extra 'live'")

from reid_tracker.config import LiveConfig
from reid_tracker.live import Address
from reid_tracker.live.decoding import Decoding, try_device
from reid_tracker.live.stream import open_stream

NOWHERE = "no device of that name"


def test_the_cpu_is_taken_as_configured_without_a_trial() -> None:
    decoding = Decoding("cpu", trial=lambda _device: pytest.fail("nothing is to be tried"))
    assert decoding.describe() == "decoding on the CPU (as configured)"


def test_the_first_device_that_passes_is_taken_and_tried_once() -> None:
    tried: list[str] = []

    def trial(device: str) -> str:
        tried.append(device)
        return "" if device == "second" else NOWHERE

    decoding = Decoding("auto", ["first", "second", "third"], trial)
    assert decoding.report().device == decoding.report().device == "second"
    assert tried == ["first", "second"]
    assert decoding.describe() == "decoding on second (passed a trial)"


@pytest.mark.parametrize(("mode", "level"), [("auto", logging.INFO), ("hardware", logging.WARNING)])
def test_where_none_passes_the_reasons_are_said(mode: str, level: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        decoding = Decoding(mode, ["first", "second"], lambda _device: NOWHERE)  # type: ignore[arg-type]
        assert decoding.describe() == f"decoding on the CPU (first: {NOWHERE}; second: {NOWHERE})"
    assert [record.levelno for record in caplog.records] == [level]


def test_a_real_trial_of_a_device_that_is_not_there_fails_with_a_reason() -> None:
    """In a process of its own, with the real libraries."""
    reason = try_device("no_such_device")
    assert reason
    assert "Traceback" not in reason
    assert "\n" not in reason


@pytest.mark.slow
def test_what_this_machine_has_is_tried_and_a_stream_is_read_either_way(repository: Path) -> None:
    decoding = Decoding("hardware")
    report = decoding.report()
    assert report.device or report.reason
    capture = open_stream(Address(str(repository / "demos" / "clip" / "door.mp4")), LiveConfig(), decoding)
    pictures = [picture for _ in range(20) for picture in capture.read().pictures]
    assert pictures[0].image().shape == (576, 360, 3)
    capture.close()


def test_a_device_that_fails_after_its_trial_is_given_up_for_the_cpu(repository: Path) -> None:
    """The trial is made to pass here; opening with the device then really fails on a machine without it."""
    from av.codec.hwaccel import hwdevices_available

    if "cuda" not in hwdevices_available() or not try_device("cuda"):
        pytest.skip("needs a PyAV that knows CUDA, on a machine without it")
    decoding = Decoding("auto", ["cuda"], lambda _device: "")
    assert decoding.report().device == "cuda"
    capture = open_stream(Address(str(repository / "demos" / "clip" / "door.mp4")), LiveConfig(), decoding)
    assert capture.codec == "h264"
    assert any(capture.read().pictures for _ in range(20))
    capture.close()
    assert decoding.describe().startswith("decoding on the CPU (cuda failed after its trial: ")
