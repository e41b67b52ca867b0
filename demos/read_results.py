"""Read the results of a run and follow one person through all cameras, with the reasons for each link.

python demos/track_two_cameras.py && python demos/read_results.py tracks.jsonl [IDENTITY]
"""

import sys
from collections import Counter

from reid_tracker import read_tracks

AWAY_SECONDS = 2.0


def main(tracks: str = "tracks.jsonl", identity: str = "") -> None:
    """Tell where a person was; by default the one who was seen most."""
    frames = list(read_tracks(tracks, ids="final"))
    seen = Counter(person.identity for frame in frames for person in frame.people)
    if not seen:
        raise SystemExit(f"{tracks}: nobody was seen")
    wanted = int(identity) if identity else seen.most_common(1)[0][0]
    print(f"person {wanted}, in {seen[wanted]} frames")

    stays: list[tuple[str, float, float]] = []
    for frame in frames:
        if any(person.identity == wanted for person in frame.people):
            same = [stay for stay in stays if stay[0] == frame.camera_id and frame.time - stay[2] < AWAY_SECONDS]
            if same:
                stays.remove(same[-1])
            stays.append((frame.camera_id, same[-1][1] if same else frame.time, frame.time))
    for camera, first, last in sorted(stays, key=lambda stay: stay[1]):
        print(f"  {camera:6} {first:8.1f} s to {last:8.1f} s")

    for frame in frames:
        for event in frame.events:
            if event.identity == wanted and event.type in ("linked", "merged"):
                probability = event.evidence.get("probability")
                print(f"  {event.type} at {event.time:.1f} s in {event.camera_id}, probability {probability}")


if __name__ == "__main__":
    main(*sys.argv[1:])
