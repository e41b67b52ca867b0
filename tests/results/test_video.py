"""Annotated video: it decodes, keeps time, shows boxes in the identity's colour, and plays in a browser."""

from __future__ import annotations

import functools
import http.server
import itertools
import queue
import shutil
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_tracker.config import Config
from reid_tracker.errors import ConfigError, OutputError
from reid_tracker.results import CameraFacts, JsonLinesSink, RunFacts, RunFolder, read_run
from reid_tracker.results.colours import (
    LOOKS,
    PALETTE,
    contrast,
    identity_colour,
    identity_hex,
    luminance,
    second_colour,
    second_hex,
    text_on,
)
from reid_tracker.results.drawing import Annotator, clock_text
from reid_tracker.results.encoders import choose_codec, h264_encoder, open_encoder
from reid_tracker.results.redraw import fitting_rates
from reid_tracker.results.video import SteadyClock, VideoSink
from reid_tracker.types import Frame, TrackedFrame

CODECS = [
    pytest.param("h264", marks=pytest.mark.skipif(not h264_encoder(), reason="needs an ffmpeg program with H.264")),
    "vp8",
]
MACHADO = {  # Machado et al. 2009, severity 1, on linear RGB
    "ordinary": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def decoded(path: Path) -> tuple[list[np.ndarray], float]:
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (got := capture.read())[0]:
        frames.append(got[1])
    return frames, capture.get(cv2.CAP_PROP_FPS)


def write_video(folder: Path, run: list[TrackedFrame], codec: str, fps: float | None = None) -> None:
    with VideoSink(folder, codec, {"door": fps, "hall": fps}) as sink:  # type: ignore[arg-type]
        for tracked in run:
            sink.write(tracked)


@pytest.mark.parametrize("codec", CODECS)
def test_video_has_all_frames_at_the_rate_of_their_times(
    tmp_path: Path, pictured_run: list[TrackedFrame], codec: str
) -> None:
    write_video(tmp_path, pictured_run, codec)
    files = sorted(tmp_path.iterdir())
    assert [file.stem for file in files] == ["door", "hall"]
    for file, (width, height) in zip(files, [(320, 240), (480, 270)], strict=True):
        frames, fps = decoded(file)
        assert fps == pytest.approx(10, abs=0.1)
        assert len(frames) == 30
        assert frames[0].shape == (height, width, 3)


@pytest.mark.parametrize("codec", CODECS)
def test_boxes_survive_encoding_in_the_identitys_colour(
    tmp_path: Path, pictured_run: list[TrackedFrame], codec: str
) -> None:
    door = [tracked for tracked in pictured_run if tracked.camera_id == "door"]
    write_video(tmp_path, door, codec)
    frames, _ = decoded(next(tmp_path.iterdir()))
    chip = frames[20][50:59, 201:204].reshape(-1, 3).mean(0)  # the label's margin above person 2
    expected = np.array(identity_colour(2)[::-1])
    others = [np.array(identity_colour(identity)[::-1]) for identity in range(1, 25) if identity != 2]
    assert np.linalg.norm(chip - expected) < min(np.linalg.norm(chip - other) for other in others)


class Pictures:
    """A camera whose pictures can be read again, as a recording is."""

    def __init__(self, camera_id: str, run: list[TrackedFrame]) -> None:
        self.camera_id = camera_id
        self.closed = False
        own = (tracked for tracked in run if tracked.camera_id == camera_id)
        self._frames = [Frame(camera_id, one.index, one.time, one.image) for one in own]  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("again", [True, False])
def test_recordings_are_drawn_with_the_ids_known_at_the_end(
    tmp_path: Path, pictured_run: list[TrackedFrame], again: bool
) -> None:
    """Tracklet 3 is taken for identity 3 until 2.5 s and known as 1 from then on; live cameras show just that."""
    cameras = [Pictures(name, pictured_run) for name in ("door", "hall")] if again else []
    facts = RunFacts(cameras=(CameraFacts("door", "door.mp4", fps=10.0), CameraFacts("hall", "hall.mp4", fps=10.0)))
    config = Config().with_values({"output.video": True, "output.video_codec": "vp8"})
    with RunFolder(tmp_path / "out", config, facts, recordings=cameras) as folder:
        for tracked in pictured_run[:-6]:  # as when a run is stopped: the recording goes on
            folder.write(tracked)
    assert all(camera.closed for camera in cameras)
    frames, _ = decoded(tmp_path / "out" / "video" / "hall.webm")
    assert len(frames) == 27
    chip = frames[20][50:59, 61:64].reshape(-1, 3).mean(0)  # the label's margin above the person
    distance = {one: np.linalg.norm(chip - np.array(identity_colour(one)[::-1])) for one in (1, 2, 3)}
    assert min(distance, key=distance.__getitem__) == (1 if again else 3)


@pytest.mark.parametrize("codec", CODECS)
def test_drawing_is_stopped_on_request_and_leaves_whole_videos_alone(
    tmp_path: Path, pictured_run: list[TrackedFrame], codec: str
) -> None:
    """Ctrl-C was not heard any more once the videos were drawn, which takes as long as the tracking."""
    cameras = [Pictures(name, pictured_run) for name in ("door", "hall")]
    config = Config().with_values({"output.video": True, "output.video_codec": codec})
    told: list[tuple[int, int | None]] = []
    folder = RunFolder(
        tmp_path / "out",
        config,
        RunFacts(cameras=(CameraFacts("door", fps=10.0), CameraFacts("hall", fps=10.0))),
        recordings=cameras,
        stop=lambda: len(told) == 40,  # in the middle of the second camera
        drawing=lambda done, total: told.append((done, total)),
    )
    with folder:
        for tracked in pictured_run:
            folder.write(tracked)
    assert told == [(done, 60) for done in range(1, 41)]
    assert [file.stem for file in (tmp_path / "out" / "video").iterdir()] == ["door"]
    assert folder.interrupted
    assert read_run(tmp_path / "out")["status"] == "interrupted"
    assert cameras[1].closed


def test_a_run_that_is_broken_off_while_videos_are_drawn_says_so(
    tmp_path: Path, pictured_run: list[TrackedFrame]
) -> None:
    def broken_off(_done: int, _total: int | None) -> None:
        raise KeyboardInterrupt

    config = Config().with_values({"output.video": True, "output.video_codec": "vp8"})
    cameras = [Pictures("door", pictured_run)]
    folder = RunFolder(tmp_path / "out", config, recordings=cameras, drawing=broken_off)
    folder.write(pictured_run[0])
    with pytest.raises(KeyboardInterrupt):
        folder.close()
    assert read_run(tmp_path / "out")["status"] == "interrupted"
    assert not (tmp_path / "out" / "video").exists()


def test_a_video_that_met_an_error_is_not_left(tmp_path: Path, pictured_run: list[TrackedFrame]) -> None:
    def broken_off() -> None:
        with VideoSink(tmp_path / "video", "vp8") as sink:
            for tracked in pictured_run[:10]:
                sink.write(tracked)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    assert not (tmp_path / "video").exists()


# seconds from frame to frame, rate that the recording declares, rate of the video
@pytest.mark.parametrize(
    ("steps", "declared", "expected"),
    [
        ([0.1] * 50, 10.0, 10.0),
        ([0.033, 0.034] * 30, 29.97, 29.97),  # rounded by the container
        ([0.7] * 20 + [0.1] * 17, 2.0, 10.0),  # still for a while, then busy
        ([4.0] * 8 + [0.1] * 40 + [4.0] * 8, 1.66, 10.0),
        ([0.1] * 20 + [0.002] + [0.1] * 20, 10.0, 10.0),  # one frame out of step is not worth 500 a second
        ([0.1] * 20, None, 10.0),
    ],
)
def test_a_video_shows_the_frames_of_busy_times_where_the_rate_varies(
    tmp_path: Path, steps: list[float], declared: float | None, expected: float
) -> None:
    """At the mean rate most frames were left out just where something happened."""
    tracks = tmp_path / "tracks.jsonl"
    with JsonLinesSink(tracks) as sink:
        for index, time in enumerate(itertools.accumulate(steps, initial=5.0)):
            sink.write(TrackedFrame("door", index, time, ()))
    assert fitting_rates(tracks, {"door": declared})["door"] == pytest.approx(expected)


def test_odd_sizes_and_a_change_of_size_are_taken(tmp_path: Path, pictured_run: list[TrackedFrame]) -> None:
    door = [tracked for tracked in pictured_run if tracked.camera_id == "door"][:6]
    odd = [replace(tracked, image=tracked.image[:239, :319]) for tracked in door[:3]]  # type: ignore[index]
    write_video(tmp_path, odd + door[3:], "vp8")
    frames, _ = decoded(tmp_path / "door.webm")
    assert [frame.shape for frame in frames] == [(240, 320, 3)] * 6


def test_without_pictures_there_is_no_file(tmp_path: Path, run: list[TrackedFrame]) -> None:
    write_video(tmp_path / "video", run, "vp8")
    assert not (tmp_path / "video").exists()


# rate of the video, times of the frames, how often each is shown
@pytest.mark.parametrize(
    ("fps", "times", "expected"),
    [
        (10, [0.0, 0.1, 0.2], [1, 1, 1]),
        (10, [5.0, 5.1, 5.2], [1, 1, 1]),  # the first frame need not be at zero
        (10, [0.0, 0.1, 0.4, 0.5], [1, 3, 1, 1]),  # two frames were lost: the one before them stands
        (10, [0.0, 0.05, 0.1, 0.15, 0.2], [1, 0, 1, 0, 1]),  # twice the rate: every other one
        (10, [0.0, 0.097, 0.204, 0.301], [1, 1, 1, 1]),  # jitter
        (10, [0.0, 0.1, 3600.1, 3600.2], [1, 1, 1, 1]),  # the camera was away for an hour
        (7, [i / 7 for i in range(50)], [1] * 50),  # no drift
        (29.97, [i / 29.97 for i in range(500)], [1] * 500),
    ],
)
def test_steady_clock(fps: float, times: list[float], expected: list[int]) -> None:
    clock = SteadyClock(fps, times[0])
    shown = [clock.pictures(time, until) for time, until in itertools.zip_longest(times, times[1:])]
    assert shown == expected


def test_length_follows_the_clock_whatever_the_frames_do() -> None:
    random = np.random.default_rng(0)
    times = np.cumsum(random.uniform(0.01, 0.3, 2000))
    clock = SteadyClock(12.5, times[0])
    shown = sum(clock.pictures(time, until) for time, until in itertools.zip_longest(times, times[1:]))
    assert shown / 12.5 == pytest.approx(times[-1] - times[0], abs=0.2)


def test_drawing_leaves_the_picture_alone_and_forgets_old_trails(pictured_run: list[TrackedFrame]) -> None:
    annotator = Annotator()
    door = [tracked for tracked in pictured_run if tracked.camera_id == "door"]
    for tracked in door:
        assert tracked.image is not None
        before = tracked.image.copy()
        drawn = annotator.draw(tracked.image, tracked)
        assert (tracked.image == before).all()
        assert (drawn != before).any()
    assert len(annotator._trails[2]) <= 26  # 2.5 s at 10 a second
    annotator.draw(door[0].image, replace(door[-1], time=60.0, people=()))  # type: ignore[arg-type]
    assert not annotator._trails


def test_smaller_pictures_are_drawn_into_where_people_are_and_once_a_moment(pictured_run: list[TrackedFrame]) -> None:
    tracked = next(each for each in pictured_run if each.people)
    assert tracked.image is not None
    person = replace(tracked.people[0], box=(100.0, 60.0, 140.0, 160.0), identity=5, state="settled")
    moment = replace(tracked, people=(person,))
    annotator = Annotator()
    half = np.full((120, 160, 3), 90, np.uint8)
    whole = annotator.draw(np.full((240, 320, 3), 90, np.uint8), moment)
    small = annotator.draw(half, moment, ratio=0.5)
    side = whole[110, 100].astype(int)  # the middle of the left side
    assert np.abs(side - 90).max() > 30
    assert np.abs(small[55, 50].astype(int) - side).max() < 60
    assert (small[55, 100] == 90).all()
    assert len(annotator._trails[person.tracklet]) == 1


@pytest.mark.parametrize(
    "box", [(-50.0, -80.0, 20.0, 40.0), (300.0, 200.0, 900.0, 700.0), (-500.0, -500.0, -400.0, -400.0)]
)
def test_boxes_beyond_the_border_are_drawn_as_far_as_they_go(
    pictured_run: list[TrackedFrame], box: tuple[float, ...]
) -> None:
    tracked = pictured_run[0]
    assert tracked.image is not None
    beyond = replace(tracked.people[0], box=box)
    assert Annotator().draw(tracked.image, replace(tracked, people=(beyond,))).shape == tracked.image.shape


def oklab(hexadecimal: str, sight: str) -> np.ndarray:
    """OKLab of a colour as seen with ``sight``; Björn Ottosson's matrices."""
    srgb = np.array([int(hexadecimal[start : start + 2], 16) / 255 for start in (1, 3, 5)])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(MACHADO[sight]) @ linear, 0, 1)
    cones = np.cbrt(
        np.array(
            [
                [0.4122214708, 0.5363325363, 0.0514459929],
                [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005],
            ]
        )
        @ seen
    )
    return (
        np.array(
            [
                [0.2104542553, 0.793617785, -0.0040720468],
                [1.9779984951, -2.428592205, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.808675766],
            ]
        )
        @ cones
    )


@pytest.mark.parametrize("sight", MACHADO)
@pytest.mark.parametrize(("count", "apart"), [(8, 0.1), (24, 0.04)])
def test_colours_stay_apart_for_all_eyes(sight: str, count: int, apart: float) -> None:
    colours = [oklab(colour, sight) for colour in PALETTE[:count]]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(colours, 2)) > apart


def test_a_hundred_and_twenty_people_in_a_row_look_different_and_their_second_colours_show() -> None:
    looks = [(identity_hex(identity), second_hex(identity)) for identity in range(37, 37 + LOOKS)]
    assert LOOKS == 120
    assert len(set(looks)) == LOOKS
    for identity in range(1, LOOKS + 1):
        second = second_colour(identity)
        assert (second is None) == (identity <= 24)
        if second is not None:
            assert contrast(luminance(second), luminance(identity_colour(identity))) > 1.9


@pytest.mark.parametrize("state", ["settled", "provisional"])
def test_the_second_colour_is_drawn_within_the_first(pictured_run: list[TrackedFrame], state: str) -> None:
    """25 has the colour of 1; his box has a line more within, whether the link is settled or not."""
    tracked = pictured_run[0]
    assert tracked.image is not None
    someone = replace(tracked.people[0], box=(100.0, 60.0, 160.0, 200.0), state=state)

    def left_edge(identity: int) -> np.ndarray:
        people = (replace(someone, identity=identity),)
        drawn = Annotator().draw(tracked.image, replace(tracked, people=people), least_scale=2)
        return drawn[75, 94:112].astype(int)  # a row through the frame's left side, near its upper corner

    first, second = identity_colour(25)[::-1], second_colour(25)
    assert second is not None
    assert first == identity_colour(1)[::-1]

    def nearest(row: np.ndarray, colour: tuple[int, ...]) -> int:
        return int(np.abs(row - colour).max(axis=1).min())

    assert nearest(left_edge(25), first) < 40
    assert nearest(left_edge(1), first) < 40
    assert nearest(left_edge(25), second[::-1]) < 40 < nearest(left_edge(1), second[::-1])


def test_a_caption_says_utc_only_of_moments() -> None:
    assert clock_text(83.25) == "00:01:23.2"
    assert clock_text(1777622400.5) == "08:00:00.5 UTC"


def test_labels_can_be_read_on_every_colour() -> None:
    for identity in range(1, len(PALETTE) + 1):
        light, dark = sorted((luminance(identity_colour(identity)), luminance(text_on(identity_colour(identity)))))[
            ::-1
        ]
        assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_h264_without_ffmpeg_is_refused_and_auto_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert choose_codec("auto") == "vp8"
    with pytest.raises(ConfigError, match="there is no ffmpeg program"):
        choose_codec("h264")


@pytest.mark.parametrize("codec", CODECS)
def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, codec: str) -> None:
    """ffmpeg says so when fed, OpenCV at the start."""

    def write_one() -> None:
        encoder = open_encoder(tmp_path / "missing" / "door.mp4", codec, (64, 48), 10.0)  # type: ignore[arg-type]
        try:
            for _ in range(200):
                encoder.write(np.zeros((48, 64, 3), np.uint8))
        finally:
            encoder.close()

    with pytest.raises(OutputError, match=r"missing/door\.mp4"):
        write_one()


@pytest.mark.parametrize("code", [0, 1])
def test_an_encoder_whose_disk_is_full_says_so_whatever_its_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """ffmpeg 5 ends with 0 where the end of the file did not fit: the run "finished", and its video did not play."""
    program = tmp_path / "ffmpeg"
    program.write_text(
        "#!/bin/sh\n"
        'case "$*" in *-encoders*) echo " V....D libx264"; exit;; esac\n'
        "cat > /dev/null\n"
        'for path; do :; done; echo part > "$path"\n'
        f'echo "Error closing file $path: No space left on device" >&2; exit {code}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    video = tmp_path / "door.mp4"
    encoder = open_encoder(video, "h264", (64, 48), 10.0)
    encoder.write(np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(OutputError, match=r"door\.mp4: the disk is full"):
        encoder.close()
    assert not video.exists()


class Reports(http.server.SimpleHTTPRequestHandler):
    """Serves a folder and keeps what a page says at /said."""

    def do_GET(self) -> None:
        if self.path.startswith("/said?"):
            self.server.said.put(urllib.parse.unquote(self.path.removeprefix("/said?")))  # type: ignore[attr-defined]
        super().do_GET()

    def log_message(self, *_: object) -> None:
        """Nobody needs to read of each request."""


@pytest.mark.slow
@pytest.mark.parametrize("codec", CODECS)
def test_a_browser_plays_it(tmp_path: Path, pictured_run: list[TrackedFrame], codec: str) -> None:
    """Headless Chromium plays the file to its end in real time and reports size and length."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("needs Chromium")
    write_video(tmp_path, pictured_run, codec)
    video = next(file for file in tmp_path.iterdir() if file.stem == "hall")
    (tmp_path / "page.html").write_text(
        f"""<!doctype html><title>video</title><video id=v muted src="{video.name}"></video>
        <script>const v = document.getElementById('v'), say = (what) => fetch('/said?' + what);
        v.onended = () => say(`ended ${{v.videoWidth}}x${{v.videoHeight}} ${{v.duration.toFixed(1)}}`);
        v.onerror = () => say(`error ${{v.error.message}}`);
        v.play();</script>"""
    )
    handler = functools.partial(Reports, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.said = queue.Queue()  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = subprocess.Popen(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
             "--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0",
             f"--user-data-dir={tmp_path / 'profile'}", f"http://127.0.0.1:{server.server_port}/page.html"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            said = server.said.get(timeout=60)  # type: ignore[attr-defined]
        finally:
            browser.terminate()
            browser.wait()
            server.shutdown()
    assert said == "ended 480x270 3.0"
