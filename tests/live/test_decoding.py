"""Hardware decoding: tried before it is believed, and the CPU with a reason where it fails. No hardware is needed."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator
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
from reid_tracker.live import Address, CaptureError
from reid_tracker.live.decoding import Decoding, Probation, known_devices, try_device
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


def test_a_device_that_fails_after_its_trial_is_left_for_the_cpu(
    absent: str, repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The trial is made to pass here; opening with the device then really fails, or falls back by itself.

    What tells it from the network is that PyAV names no address in such an error.
    """
    decoding = Decoding("auto", [absent], lambda _device: "")
    address = Address(str(repository / "demos" / "clip" / "door.mp4"))
    for _ in range(2):
        assert decoding.device_for(str(address)) == absent
        capture = open_stream(address, LiveConfig(), decoding)
        assert (capture.codec, capture.decoder) == ("h264", "cpu")
        assert any(capture.read().pictures for _ in range(20))
        capture.close()
    if absent == "cuda":
        assert decoding.device_for(str(address)) == ""
        assert caplog.messages[0].startswith(f"cuda cannot be used for {address} (")


@pytest.mark.slow
def test_every_device_that_is_offered_passes_or_says_why() -> None:
    offered = known_devices()
    assert offered, "this PyAV offers no device at all"
    for device in offered:
        assert "\n" not in try_device(device)


def test_no_device_is_tried_that_no_decoder_can_use() -> None:
    """Quick Sync was: FFmpeg's decoders for it have names of their own, so its trial could never pass."""
    from av import Codec
    from av.codec.hwaccel import HWDeviceType

    usable = {config.device_type for config in Codec("h264", "r").hardware_configs}
    assert {HWDeviceType[device] for device in known_devices()} <= usable


@pytest.mark.skipif(sys.platform != "linux", reason="devices are nodes on Linux")
def test_a_device_without_a_node_is_not_even_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("reid_tracker.live.decoding._NODES", {"cuda": (str(tmp_path / "nvidiactl"),)})
    monkeypatch.setattr("subprocess.run", lambda *_args, **_kwargs: pytest.fail("nothing is to be tried"))
    assert try_device("cuda") == f"there is no {tmp_path / 'nvidiactl'}"


class Device:
    """An open stream whose device takes packets and makes pictures of the first ones: none is at hand.

    Args:
        pictures: as many packets become pictures.
        error: what decoding the others raises; nothing comes of them where not given.
        pix_fmt: the decoder's format; one of the device's own unless it went over to the CPU.
    """

    def __init__(self, pictures: float, error: Exception | None = None, pix_fmt: str = "cuda") -> None:
        configs = [SimpleNamespace(format=SimpleNamespace(name="cuda"))]
        codec = SimpleNamespace(hardware_configs=configs)
        context = SimpleNamespace(name="h264", is_hwaccel=True, thread_count=0, pix_fmt=pix_fmt, codec=codec)
        self.stream = SimpleNamespace(codec_context=context, average_rate=10, guessed_rate=10)
        self.streams = SimpleNamespace(video=[self.stream])
        self._pictures, self._error = pictures, error

    def demux(self, _stream: object) -> Iterator[Any]:
        while True:
            yield SimpleNamespace(size=9, pts=None, has_sidedata=lambda _kind: False, decode=self._decode)

    def _decode(self) -> list[Any]:
        import av

        self._pictures -= 1
        if self._pictures >= 0:
            return [av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="bgr24")]
        if self._error is not None:
            raise self._error
        return []

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
        return Device(pictures=np.inf if "good" in url else 0)

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
    assert [read("good") for _ in range(3)] == [device] * 3  # closed on demand, while pictures came: no fault of it
    assert read("good") == device
    assert opened[4] is None
    assert opened[5] is not None
    read("bad")
    assert [record.getMessage() for record in caplog.records] == [
        f"{device} does not decode rtsp://***@10.0.0.1/bad: the CPU does from now on"
    ]


def opened_on(decoding: Decoding, name: str, monkeypatch: pytest.MonkeyPatch, opener: Callable[[bool], Device]) -> str:
    """What a stream is decoded on whose container comes from a function of whether a device was asked for."""
    import av

    monkeypatch.setattr(av, "open", lambda _url, hwaccel, **_options: opener(hwaccel is not None))
    capture = open_stream(Address(f"rtsp://10.0.0.1/{name}"), LiveConfig(), decoding)
    for _ in range(20):
        capture.read()
    decoder = capture.decoder
    capture.close()
    return decoder


def on_cuda() -> Decoding:
    return Decoding("auto", ["cuda"], lambda _device: "")


def test_a_device_that_makes_one_picture_a_connection_and_then_fails_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first picture of each connection was taken as a proof, so the camera was lost for as long as it ran."""
    import av

    decoding = on_cuda()
    failing = av.error.ExternalError(1, "cuvid decode failed")
    found = [opened_on(decoding, "x", monkeypatch, lambda _device: Device(1, failing)) for _ in range(3)]
    assert found == ["cuda", "cuda", "cpu"]
    assert decoding.device_for("rtsp://10.0.0.1/other") == "cuda"


@pytest.mark.parametrize("error", [5, 22, 1313558101, 1, 12])  # EIO, EINVAL, AVERROR_UNKNOWN, EPERM, ENOMEM
def test_the_cpu_decodes_what_a_device_cannot_be_opened_for(error: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drivers say "input/output error", which was told as a camera that cannot be reached, for ever."""
    import av

    def opener(device: bool) -> Device:
        if device:
            raise av.error.classes.get(error, av.error.UndefinedError)(error, "as drivers say")
        return Device(np.inf, pix_fmt="yuv420p")

    decoding = on_cuda()
    assert opened_on(decoding, "x", monkeypatch, opener) == "cpu"
    assert decoding.device_for("rtsp://10.0.0.1/x") == decoding.device_for("rtsp://10.0.0.1/other") == "cuda"
    assert opened_on(decoding, "x", monkeypatch, opener) == "cpu"
    assert decoding.device_for("rtsp://10.0.0.1/x") == ""
    assert decoding.device_for("rtsp://10.0.0.1/other") == "cuda"


@pytest.mark.parametrize("kind", ["PermissionError", "HTTPUnauthorizedError", "OSError"])
def test_a_network_that_fails_is_not_laid_to_a_device(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A firewall's "operation not permitted" for one camera took the device from all of them."""
    import av

    tried: list[bool] = []

    def opener(device: bool) -> Device:
        tried.append(device)
        raise getattr(av.error, kind)(1, "not permitted", "rtsp://10.0.0.1/x")

    decoding = on_cuda()
    for _ in range(3):
        with pytest.raises(CaptureError):
            opened_on(decoding, "x", monkeypatch, opener)
    assert tried == [True] * 3
    assert decoding.device_for("rtsp://10.0.0.1/x") == "cuda"


def test_a_decoder_that_went_over_to_the_cpu_is_told_as_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg does that by itself, for 10 bits say, and PyAV goes on calling it hardware."""
    decoding = on_cuda()
    assert opened_on(decoding, "x", monkeypatch, lambda _device: Device(np.inf, pix_fmt="yuv420p10le")) == "cpu"


def test_a_device_is_believed_after_seconds_of_pictures_or_where_they_came_until_the_end() -> None:
    """Only what ends while nothing decodes counts against it."""

    def fruitless(*events: tuple[float, str]) -> bool:
        decoding = on_cuda()
        for _ in range(2):
            probation = Probation(decoding, "x", "cuda")
            probation.fed()
            for now, event in events:
                probation.failed() if event == "failed" else getattr(probation, event)(now)
        return decoding.device_for("x") == ""

    assert fruitless()  # a device that hangs: the end never comes
    assert fruitless((9, "ended"))
    assert fruitless((1, "decoded"), (5.1, "ended"))  # stale
    assert fruitless((1, "decoded"), (2, "failed"), (2, "ended"))
    assert fruitless((1, "decoded"), (6, "failed"), (7, "decoded"), (12, "failed"))
    assert not fruitless((1, "decoded"), (2, "ended"))  # the network went, or somebody paused it
    assert not fruitless((1, "decoded"), (2, "failed"), (3, "decoded"), (4, "ended"))
    assert not fruitless(*((float(now), "decoded") for now in range(12)), (20, "ended"))


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
