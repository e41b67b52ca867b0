"""Count people over time from the results of a run: in view in each camera, and different ones so far.

python demos/track_two_cameras.py && python demos/people_count.py tracks.jsonl [SECONDS]
"""

import sys

from reid_tracker import read_tracks


def main(tracks: str = "tracks.jsonl", every: str = "5") -> None:
    """Print a row per interval. With ids as known at the end, somebody who came back is not counted twice."""
    cameras = sorted({frame.camera_id for frame in read_tracks(tracks)})
    print("seconds  " + "  ".join(f"{camera:>8}" for camera in cameras) + "  different so far")
    in_view = dict.fromkeys(cameras, 0)
    known: set[int] = set()
    begin = due = None
    for frame in read_tracks(tracks, ids="final"):
        if begin is None or due is None:
            begin = due = frame.time
        if frame.time >= due:
            counts = "  ".join(f"{in_view[camera]:8}" for camera in cameras)
            print(f"{frame.time - begin:7.0f}  {counts}  {len(known):16}")
            due += float(every)
        in_view[frame.camera_id] = len(frame.people)
        known |= {person.identity for person in frame.people}
    print(f"in all: {len(known)} different people")


if __name__ == "__main__":
    main(*sys.argv[1:])
