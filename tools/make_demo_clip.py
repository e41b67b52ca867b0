"""Make the demo clip: two cameras cut from OpenCV's sample video vtest.avi, encoded as H.264.

    python tools/make_demo_clip.py PATH/TO/vtest.avi        # needs ffmpeg with libx264; writes into demos/clip

The video lies in OpenCV's repository as samples/data/vtest.avi, and in Debian's package opencv-doc
(/usr/share/doc/opencv-doc/examples/data/vtest.avi). docs/decisions/0001-demo-clip.md says why this one, and its terms.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
CLIP = REPOSITORY / "demos" / "clip"
sys.path.insert(0, str(REPOSITORY))

from benchmarks.pets_cuts import View, frames_of, rate_and_size  # noqa: E402

VIDEO_SHA256 = "45cddc9490be69345cbdab64ca583be65987e864ca408038e648db99e10516cf"

# The stretch in which most people cross: 12 of 15 are seen by both cameras. They begin 2.5 s apart (site.toml).
VIEWS = (
    View("door", (0.0, 0.47), first_frame=295, last_frame=774),
    View(
        "hall",
        (0.53, 1.0),
        first_frame=320,
        last_frame=794,
        mirror=True,
        scale=0.8,
        gamma=1.4,
        tint=(1.15, 1.0, 1.0),
        blur=0.7,
    ),
)


def encode(video: Path, view: View, file: Path) -> int:
    """Write what ``view`` sees of ``video`` as H.264; returns the number of frames."""
    fps, size = rate_and_size(video)
    width, height = view.size(*size)
    raw = ["-f", "rawvideo", "-pix_fmt", "bgr24", "-s", f"{width}x{height}", "-r", f"{fps:g}", "-i", "-"]
    h264 = ["-c:v", "libx264", "-preset", "veryslow", "-crf", "23", "-g", f"{fps * 5:.0f}", "-pix_fmt", "yuv420p"]
    quiet = ["-hide_banner", "-loglevel", "error", "-y"]
    exact = ["-threads", "1", "-fflags", "+bitexact", "-flags", "+bitexact", "-movflags", "+faststart"]
    with subprocess.Popen(["ffmpeg", *quiet, *raw, *h264, *exact, str(file)], stdin=subprocess.PIPE) as encoder:
        assert encoder.stdin is not None
        written = 0
        for number, frame in enumerate(frames_of(video)):
            if view.covers(number):
                encoder.stdin.write(view.picture(frame).tobytes())
                written += 1
        encoder.stdin.close()
        if encoder.wait() != 0:
            raise SystemExit(f"ffmpeg failed on {file}")
    return written


def main() -> None:
    """Check the video, cut and encode both cameras, say what came out."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    video = Path(sys.argv[1])
    found = hashlib.sha256(video.read_bytes()).hexdigest()
    if found != VIDEO_SHA256:
        raise SystemExit(f"{video}: sha256 is {found}, expected {VIDEO_SHA256}: not OpenCV's vtest.avi")
    for view in VIEWS:
        file = CLIP / f"{view.camera_id}.mp4"
        written = encode(video, view, file)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        print(f"{file.name}: {written} frames, {file.stat().st_size} bytes, sha256 {digest}")


if __name__ == "__main__":
    main()
