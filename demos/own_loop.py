"""Use the pipeline from a program that owns its frames and its loop: no sources, no sinks, one call a moment.

python demos/own_loop.py [DOOR_VIDEO HALL_VIDEO]        # the demo clip by default
"""

import sys
from pathlib import Path

import cv2

from reid_tracker import Frame, Pipeline

CLIP = Path(__file__).parent / "clip"


def main(door: str = f"{CLIP}/door.mp4", hall: str = f"{CLIP}/hall.mp4") -> None:
    """Grab a picture of each camera, ask who is in it, say it once a second."""
    pipeline = Pipeline.from_config()
    captures = {"door": cv2.VideoCapture(door), "hall": cv2.VideoCapture(hall)}
    fps = 10
    index = 0
    while True:
        pictures = {camera: capture.read() for camera, capture in captures.items()}
        # Time is yours to give: seconds of any clock that all cameras share. It may jump when frames are dropped.
        frames = [
            Frame(camera_id=camera, index=index, time=index / fps, image=picture)
            for camera, (arrived, picture) in pictures.items()
            if arrived
        ]
        if not frames:
            break
        tracked = pipeline.step(frames)
        if index % fps == 0:
            seen = {view.camera_id: sorted(person.identity for person in view.people) for view in tracked}
            print(f"{index / fps:5.0f} s  {seen}")
        index += 1

    # What was still open is decided now: late links, merges and ends.
    events, ended = pipeline.finish()
    print(f"at the end: {len(ended)} people were still in view or looked for, {len(events)} last events")


if __name__ == "__main__":
    main(*sys.argv[1:])
