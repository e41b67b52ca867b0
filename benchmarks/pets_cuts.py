"""Two cameras cut from the one PETS view, so that people walk from one into the other, with the truth for both.

The second camera is made to look like another one (mirrored, smaller, darker, tinted, softer), so that pictures of
one person in both are never the same pixels. Ids in the truth are global: one number, one person, in every camera.
What this cannot show: both cameras see the same second from the same side, so figures from it are optimistic.

    python -m benchmarks.pets_cuts VIDEO TRUTH OUT [NAME ...]     # writes OUT/<cut>/<camera>.avi and gt/gt.txt
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

# A person cut by the edge of a view counts as seen there when at least half of the box is left.
_LEAST_VISIBLE_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class View:
    """One camera to be cut from a video, and how it differs from it.

    Attributes:
        camera_id: name of the camera and of its files.
        span: left and right edge, as shares of the video's width.
        first_frame, last_frame: stretch of the video, from 0, last one included; None for its end.
        mirror: left and right exchanged.
        scale: size of the picture against the video's.
        gamma: exponent on brightness; above 1 is darker.
        tint: factors on blue, green and red.
        blur: standard deviation of a Gaussian, pixels; 0 leaves the picture sharp.
        delay_seconds: how much later this camera's pictures are said to be taken than they were.
    """

    camera_id: str
    span: tuple[float, float]
    first_frame: int = 0
    last_frame: int | None = None
    mirror: bool = False
    scale: float = 1.0
    gamma: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    blur: float = 0.0
    delay_seconds: float = 0.0

    def covers(self, frame: int) -> bool:
        """Whether the view includes this frame of the video (from 0)."""
        return self.first_frame <= frame and (self.last_frame is None or frame <= self.last_frame)

    def edges(self, width: int) -> tuple[int, int]:
        """Left and right edge in pixels of the video."""
        return int(self.span[0] * width), int(self.span[1] * width)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the camera's pictures, even as video codecs want it."""
        left, right = self.edges(width)
        return round((right - left) * self.scale) // 2 * 2, round(height * self.scale) // 2 * 2

    def picture(self, frame_bgr: Image) -> Image:
        """What this camera sees of a frame of the video."""
        height, width = frame_bgr.shape[:2]
        left, right = self.edges(width)
        seen = frame_bgr[:, left:right]
        if self.mirror:
            seen = seen[:, ::-1]
        view = cv2.resize(np.ascontiguousarray(seen), self.size(width, height), interpolation=cv2.INTER_AREA)
        if self.blur:
            view = cv2.GaussianBlur(view, (0, 0), self.blur)
        levels = 255 * (np.arange(256) / 255) ** self.gamma
        table = np.clip(levels[:, None] * np.asarray(self.tint), 0, 255).astype(np.uint8)
        return cv2.LUT(view, table[None]).astype(np.uint8, copy=False)


@dataclass(frozen=True, slots=True)
class CutCamera:
    """A camera as cut_cameras wrote it.

    Attributes:
        camera_id: its name.
        video: its file.
        truth: its ground truth in MOTChallenge form, ids global over the cameras.
        start_time: seconds of its first frame on the clock of the video (its frame 0 is 0), delay included.
        fps: frames a second.
        frame_count: frames written.
    """

    camera_id: str
    video: Path
    truth: Path
    start_time: float
    fps: float
    frame_count: int


# The second camera's looks, unless a cut says otherwise.
_OTHER = View("right", (0.0, 1.0), mirror=True, scale=0.75, gamma=1.4, tint=(1.15, 1.0, 1.0), blur=0.7)


def _pair(
    left: tuple[float, float], right: tuple[float, float], changed: str = "right", delay: float = 0.0
) -> tuple[View, View]:
    plain, other = (left, right) if changed == "right" else (right, left)
    names = ("left", "right") if changed == "right" else ("right", "left")
    return (
        View(names[0], plain),
        replace(_OTHER, camera_id=names[1], span=other, delay_seconds=delay),
    )


# Several of each kind, because one person is worth four to eight points of IDF1 on a single cut.
GAP_CUTS: dict[str, tuple[View, View]] = {
    "gap": _pair((0.0, 0.45), (0.55, 1.0)),
    "gap_swapped": _pair((0.0, 0.45), (0.55, 1.0), changed="left"),
    "gap_shifted": _pair((0.0, 0.40), (0.50, 1.0)),
    "gap_late": _pair((0.0, 0.45), (0.55, 1.0), delay=7.0),
}
OVERLAP_CUTS: dict[str, tuple[View, View]] = {
    "overlap": _pair((0.0, 0.65), (0.35, 1.0)),
    "overlap_swapped": _pair((0.0, 0.65), (0.35, 1.0), changed="left"),
    "overlap_shifted": _pair((0.0, 0.60), (0.30, 1.0)),
    "overlap_narrow": _pair((0.0, 0.55), (0.45, 1.0)),
}
CUTS = GAP_CUTS | OVERLAP_CUTS


def frames_of(video: Path) -> Iterator[Image]:
    """All pictures of a video, (H, W, 3) uint8 BGR."""
    capture = cv2.VideoCapture(str(video))
    if not capture.isOpened():
        raise SystemExit(f"{video}: cannot be read as video")
    try:
        while True:
            arrived, picture = capture.read()
            if not arrived:
                return
            yield picture.astype(np.uint8, copy=False)
    finally:
        capture.release()


def rate_and_size(video: Path) -> tuple[float, tuple[int, int]]:
    """Frames a second, and (width, height) in pixels."""
    capture = cv2.VideoCapture(str(video))
    try:
        width, height = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
        return capture.get(cv2.CAP_PROP_FPS), (int(width), int(height))
    finally:
        capture.release()


def cut_truth(truth: NDArray[np.float64], view: View, size: tuple[int, int]) -> NDArray[np.float64]:
    """The boxes that a view sees, in its own pixels and frame numbers.

    Args:
        truth: (N, >= 6) rows of frame (from 1), id, left, top, width, height in the video.
        view: the camera.
        size: (width, height) of the video.

    Returns:
        (M, 9) MOTChallenge rows: boxes clipped to the view, those with at least half of their area in it; the last
        column is the share that is visible.
    """
    width, height = size
    left_edge, right_edge = view.edges(width)
    rows = truth[[view.covers(int(frame) - 1) for frame in truth[:, 0]]]
    left, top = rows[:, 2], rows[:, 3]
    right, bottom = left + rows[:, 4], top + rows[:, 5]
    area = rows[:, 4] * rows[:, 5]
    left, right = np.clip(left, left_edge, right_edge), np.clip(right, left_edge, right_edge)
    top, bottom = np.clip(top, 0, height), np.clip(bottom, 0, height)
    visible = (right - left) * (bottom - top) / area
    begin, end = left - left_edge, right - left_edge
    if view.mirror:
        begin, end = (right_edge - left_edge) - end, (right_edge - left_edge) - begin
    ones = np.ones(len(rows))
    boxes = np.column_stack([begin, top, end - begin, bottom - top]) * view.scale
    cut = np.column_stack([rows[:, 0] - view.first_frame, rows[:, 1], boxes, ones, ones, visible])
    return cut[visible >= _LEAST_VISIBLE_SHARE]


def cut_cameras(video: Path, truth: Path, out: Path, views: tuple[View, ...]) -> list[CutCamera]:
    """Write each view as ``out/<camera>.avi`` and its truth as ``out/<camera>/gt/gt.txt``.

    Args:
        video: the video to cut from.
        truth: its ground truth in MOTChallenge form (frame from 1, id, left, top, width, height, ...).
        out: folder for the files; made where missing.
        views: the cameras, e.g. one of CUTS.
    """
    fps, size = rate_and_size(video)
    boxes = np.loadtxt(truth, delimiter=",", ndmin=2)
    out.mkdir(parents=True, exist_ok=True)
    counts = _write_videos(video, out, views, fps, size)
    cameras = []
    for view in views:
        truth_file = out / view.camera_id / "gt" / "gt.txt"
        truth_file.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(
            truth_file, cut_truth(boxes, view, size), delimiter=",", fmt=["%d", "%d", *["%.2f"] * 4, "%d", "%d", "%.2f"]
        )
        start = view.first_frame / fps + view.delay_seconds
        cameras.append(
            CutCamera(view.camera_id, out / f"{view.camera_id}.avi", truth_file, start, fps, counts[view.camera_id])
        )
    return cameras


def _write_videos(video: Path, out: Path, views: tuple[View, ...], fps: float, size: tuple[int, int]) -> dict[str, int]:
    # Motion JPEG at high quality: every frame by itself, so that cutting adds no trails of its own.
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    writers = {
        view: cv2.VideoWriter(str(out / f"{view.camera_id}.avi"), codec, fps, view.size(*size)) for view in views
    }
    counts = {view.camera_id: 0 for view in views}
    for writer in writers.values():
        writer.set(cv2.VIDEOWRITER_PROP_QUALITY, 95)
    for number, frame in enumerate(frames_of(video)):
        for view, writer in writers.items():
            if view.covers(number):
                writer.write(view.picture(frame))
                counts[view.camera_id] += 1
    for writer in writers.values():
        writer.release()
    return counts


def main() -> None:
    """Write the named cuts, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path, help="vtest.avi")
    parser.add_argument("truth", type=Path, help="its gt.txt, MOTChallenge form")
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", choices=list(CUTS), metavar="NAME", help="cuts to write; all by default")
    arguments = parser.parse_args()
    for name in arguments.names or CUTS:
        cameras = cut_cameras(arguments.video, arguments.truth, arguments.out / name, CUTS[name])
        people = [set(np.loadtxt(camera.truth, delimiter=",", ndmin=2)[:, 1]) for camera in cameras]
        seen = ", ".join(f"{camera.camera_id} {len(ids)}" for camera, ids in zip(cameras, people, strict=True))
        print(f"{name}: people {seen}, in both {len(set.intersection(*people))}")


if __name__ == "__main__":
    main()
