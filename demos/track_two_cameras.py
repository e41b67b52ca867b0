"""Follow people through two cameras and write who is where: the lines that the README shows.

python demos/track_two_cameras.py [DOOR_VIDEO HALL_VIDEO [OUT]]        # the demo clip, tracks.jsonl by default
"""

import sys
from pathlib import Path

from reid_tracker import JsonLinesSink, Pipeline, open_source

CLIP = Path(__file__).parent / "clip"


def main(door: str = f"{CLIP}/door.mp4", hall: str = f"{CLIP}/hall.mp4", out: str = "tracks.jsonl") -> None:
    """Track both videos together; they are taken to begin at the same moment."""
    cameras = [open_source(door, camera_id="door"), open_source(hall, camera_id="hall")]
    with JsonLinesSink(out) as sink:
        for tracked in Pipeline.from_config().run(cameras):
            sink.write(tracked)
            for event in tracked.events:
                if event.type == "linked":
                    print(f"{event.time:7.1f} s  person {event.identity} is in {event.camera_id} again")
    print(f"wrote {out}")


if __name__ == "__main__":
    main(*sys.argv[1:])
