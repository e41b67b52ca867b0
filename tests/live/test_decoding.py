"""Hardware decoding: tried before it is believed, and the CPU with a reason where it fails. No hardware is needed."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("av", reason="needs the extra 'live'")

from reid_tracker.cli import app
from reid_tracker.config import LiveConfig
from reid_tracker.errors import ConfigError
from reid_tracker.live import Address
from reid_tracker.live.decoding import Decoding, known_devices, try_device
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


@pytest.fixture(scope="module")
def absent() -> str:
    """A device that FFmpeg offers and this machine has not."""
    for device in known_devices():
        if try_device(device):
            return device
    pytest.skip("needs a PyAV that knows a device which this machine has not")


def test_a_device_that_is_offered_and_not_there_is_refused_with_a_reason(
    absent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real probe, in its own process: the CPU is taken, and it is said why."""
    monkeypatch.setattr("reid_tracker.live.decoding._NODES", {})
    decoding = Decoding("auto", [absent])
    assert decoding.report().device == ""
    assert re.fullmatch(rf"decoding on the CPU \({absent}: [^\n]+\)", decoding.describe())


def test_a_device_that_fails_after_its_trial_is_given_up_for_the_cpu(absent: str, repository: Path) -> None:
    """The trial is made to pass here; opening with the device then really fails, or falls back by itself."""
    decoding = Decoding("auto", [absent], lambda _device: "")
    assert decoding.report().device == absent
    capture = open_stream(Address(str(repository / "demos" / "clip" / "door.mp4")), LiveConfig(), decoding)
    assert (capture.codec, capture.decoder) == ("h264", "cpu")
    assert any(capture.read().pictures for _ in range(20))
    capture.close()
    if absent == "cuda":
        assert decoding.describe().startswith("decoding on the CPU (cuda failed after its trial: ")


@pytest.mark.slow
def test_every_device_that_is_offered_passes_or_says_why() -> None:
    offered = known_devices()
    assert offered, "this PyAV offers no device at all"
    for device in offered:
        assert "\n" not in try_device(device)


@pytest.mark.skipif(sys.platform != "linux", reason="devices are nodes on Linux")
def test_a_device_without_a_node_is_not_even_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("reid_tracker.live.decoding._NODES", {"cuda": (str(tmp_path / "nvidiactl"),)})
    monkeypatch.setattr("subprocess.run", lambda *_args, **_kwargs: pytest.fail("nothing is to be tried"))
    assert try_device("cuda") == f"there is no {tmp_path / 'nvidiactl'}"


class Device:
    """An open stream whose device takes packets and makes pictures of them, or does not: none is at hand."""

    def __init__(self, works: bool) -> None:
        codec = SimpleNamespace(name="h264", is_hwaccel=True, thread_count=0)
        self.stream = SimpleNamespace(codec_context=codec, average_rate=10, guessed_rate=10)
        self.streams = SimpleNamespace(video=[self.stream])
        self._works = works

    def demux(self, _stream: object) -> Iterator[Any]:
        import av

        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="bgr24")
        while True:
            yield SimpleNamespace(
                size=9, pts=None, has_sidedata=lambda _kind: False, decode=lambda: [frame] if self._works else []
            )

    def close(self) -> None:
        """Nothing is held."""


def test_a_device_that_makes_no_pictures_of_a_stream_is_left_for_that_stream(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither errors nor an end: a device that passed its trial swallows what one camera sends."""
    import av

    opened: list[object] = []

    def open_device(url: str, hwaccel: Any, **_options: object) -> Device:
        opened.append(hwaccel)
        return Device(works="good" in url)

    monkeypatch.setattr(av, "open", open_device)
    decoding = Decoding("auto", known_devices()[:1], lambda _device: "")

    def read(name: str) -> str:
        capture = open_stream(Address(f"rtsp://user:secret@10.0.0.1/{name}"), LiveConfig(), decoding)
        for _ in range(3):
            capture.read()
        capture.close()
        return capture.decoder

    device = decoding.report().device
    assert [read("bad"), read("good"), read("bad"), read("good"), read("bad")] == [device] * 4 + ["cpu"]
    assert read("good") == device
    assert opened[4] is None
    read("bad")
    assert [record.getMessage() for record in caplog.records] == [
        f"{device} makes no pictures of rtsp://***@10.0.0.1/bad: it is decoded on the CPU from now on"
    ]


@pytest.mark.slow
def test_the_command_shows_each_trial_and_what_is_taken() -> None:
    said = CliRunner().invoke(app, ["decoders"])
    assert said.exit_code == 0, said.output
    assert re.search(r"^decoding on (the CPU|\w+) \(.+\)$", said.output, re.MULTILINE)
    assert all(device in said.output for device in known_devices())


def test_without_pyav_the_command_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ConfigError, match=r"reid_tracker\[live\]"):
        known_devices()
