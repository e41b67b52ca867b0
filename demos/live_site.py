"""Follow people live inside a program of one's own: cameras that come back by themselves, one call a moment.

python demos/live_site.py [SECONDS] [NAME=ADDRESS ...]      # by default the demo clip, played as if live

An address may be rtsp://user:${PASSWORD}@host/stream; the variable is read from the environment.
"""

import sys
import time
from pathlib import Path

from reid_tracker import Pipeline
from reid_tracker.config import CameraConfig
from reid_tracker.live import LiveCameras

CLIP = Path(__file__).parent / "clip"


def main(seconds: float = 20.0, *sources: str) -> None:
    """Take the newest pictures of all cameras, ask who is in them, say what was decided."""
    named = [source.partition("=") for source in sources] or [
        (name, "=", f"{CLIP}/{name}.mp4") for name in ("door", "hall")
    ]
    pipeline = Pipeline.from_config()
    with LiveCameras(cameras=[CameraConfig(id=name, source=source) for name, _, source in named]) as cameras:
        until = time.monotonic() + float(seconds)
        while time.monotonic() < until:
            frames = cameras.next_moment(timeout=0.5)  # empty where nothing came: other work can be done here
            for tracked in pipeline.step(frames) if frames else []:
                for event in tracked.events:
                    print(f"{event.camera_id}: {event.type.value} {event.identity}  {dict(event.evidence)['rule']}")
        for name, health in cameras.report().items():
            print(f"{name}: {health.state.value}, {health.processed} pictures processed, lost {dict(health.lost)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
