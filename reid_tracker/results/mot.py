"""MOTChallenge text: a file per camera, ``frame,id,left,top,width,height,conf,-1,-1,-1``, frames from 1."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reid_tracker.results.files import CameraFiles
from reid_tracker.results.jsonl import IdKind, read_tracks, with_identities
from reid_tracker.types import TrackedFrame


def export_mot(tracks: Path, out: Path, ids: IdKind) -> list[Path]:
    """Write ``<camera>.txt`` for each camera; a camera without a person leaves an empty file.

    Frame numbers count from 1 (ours from 0). Pixels are left as they are, as trackers do and as this project reads
    ground truth: a MOTChallenge picture's first pixel is (1, 1) by the letter, one pixel that no score sees.

    Args:
        tracks: tracks.jsonl.
        out: folder that exists.
        ids: which identities.

    Returns:
        The files, in order of the cameras' first frames.

    Raises:
        InputError, OutputError: tracks cannot be read, files not written.
    """
    with CameraFiles(out, ".txt") as files:
        for tracked in read_tracks(tracks, ids):
            files.write(tracked.camera_id, mot_lines(tracked))
        return files.paths


def write_mot_of_run(tracks: Path, emitted: Path, final: Path, identity_of: Mapping[int, int]) -> None:
    """Write both kinds of ids in one pass over the tracks, which for a long run is the longest part of completing it.

    Args:
        tracks: tracks.jsonl.
        emitted, final: folders that exist, one per kind.
        identity_of: tracklet -> final identity.

    Raises:
        InputError, OutputError: tracks cannot be read, files not written.
    """
    with CameraFiles(emitted, ".txt") as emitted_files, CameraFiles(final, ".txt") as final_files:
        for tracked in read_tracks(tracks):
            emitted_files.write(tracked.camera_id, mot_lines(tracked))
            final_files.write(tracked.camera_id, mot_lines(with_identities(tracked, identity_of)))


def mot_lines(tracked: TrackedFrame) -> str:
    """The lines of one frame, each ended by a line break."""
    return "".join(
        f"{tracked.index + 1},{person.identity},{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},"
        f"{person.score:.4f},-1,-1,-1\n"
        for person in tracked.people
        for x1, y1, x2, y2 in [person.box]
    )
