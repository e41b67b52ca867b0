"""Runs another tracker on given detections. Executed by the peers' own Python, so it imports nothing of ours.

    python peer_runner.py DETECTIONS.npz TRACKS.npz FRAME_RATE PEER < options.json

DETECTIONS.npz: frames (K,) from 0, boxes (K, 4) corners, scores (K,), count (number of frames). TRACKS.npz: frames,
ids, boxes, and the seconds that tracking took. PEER is one of the functions in ``PEERS``; options are its keyword
arguments.
"""

import json
import sys
import time
from importlib.metadata import version

import numpy as np


def norfair(detections, _frame_rate, *, emit_unseen=True, **options):
    """Norfair (BSD-3): Kalman filter and greedy matching by IoU.

    ``emit_unseen`` reports an object's estimate also in frames that have no detection for it.
    """
    import norfair as library

    tracker = library.Tracker(distance_function="iou", **options)
    for frame, (boxes, scores) in enumerate(detections):
        found = [
            library.Detection(points=box.reshape(2, 2).astype(float), scores=np.array([score, score]), data=frame)
            for box, score in zip(boxes, scores, strict=True)
        ]
        for tracked in tracker.update(detections=found):
            if emit_unseen or tracked.last_detection.data == frame:
                yield frame, tracked.id, tracked.estimate.reshape(4)


def _roboflow(name, detections, frame_rate, least_score=0.0, **options):
    import supervision
    import trackers

    tracker = getattr(trackers, name)(frame_rate=frame_rate, **options)
    for frame, (boxes, scores) in enumerate(detections):
        kept = scores >= least_score
        found = supervision.Detections(
            xyxy=boxes[kept], confidence=scores[kept], class_id=np.zeros(int(kept.sum()), int)
        )
        result = tracker.update(found)
        if result.tracker_id is None:
            continue
        for box, track in zip(result.xyxy, result.tracker_id, strict=True):
            if track >= 0:
                yield frame, int(track), box


def cbiou(detections, frame_rate, **options):
    """C-BIoU of roboflow trackers (Apache-2.0): two rounds of IoU over enlarged boxes."""
    return _roboflow("CBIoUTracker", detections, frame_rate, **options)


def ocsort(detections, frame_rate, **options):
    """OC-SORT of roboflow trackers (Apache-2.0)."""
    return _roboflow("OCSORTTracker", detections, frame_rate, **options)


def bytetrack(detections, frame_rate, **options):
    """ByteTrack of roboflow trackers (Apache-2.0)."""
    return _roboflow("ByteTrackTracker", detections, frame_rate, **options)


def botsort(detections, frame_rate, **options):
    """BoT-SORT of roboflow trackers (Apache-2.0), without pictures: no camera motion, no appearance."""
    return _roboflow("BoTSORTTracker", detections, frame_rate, enable_cmc=False, **options)


PEERS = {"norfair": norfair, "cbiou": cbiou, "ocsort": ocsort, "bytetrack": bytetrack, "botsort": botsort}
PACKAGES = {"norfair": "norfair"}


def main(detections_file, tracks_file, frame_rate, peer):
    with np.load(detections_file) as data:
        frames, boxes, scores, count = data["frames"], data["boxes"], data["scores"], int(data["count"])
    detections = [(boxes[frames == frame], scores[frames == frame]) for frame in range(count)]
    # several sets of options in one process: starting Python and its imports takes longer than tracking
    arrays = {}
    for number, options in enumerate(json.load(sys.stdin)):
        began = time.perf_counter()
        rows = list(PEERS[peer](detections, float(frame_rate), **options))
        arrays[f"seconds{number}"] = time.perf_counter() - began
        arrays[f"frames{number}"] = np.array([row[0] for row in rows], int)
        arrays[f"ids{number}"] = np.array([row[1] for row in rows], int)
        arrays[f"boxes{number}"] = np.array([row[2] for row in rows], float).reshape(-1, 4)
    np.savez(tracks_file, version=version(PACKAGES.get(peer, "trackers")), **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
