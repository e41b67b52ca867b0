"""After a correction the pictures of a run show the ids that hold: crops at once, report and videos drawn anew."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from reid_tracker.errors import ConfigError, InputError
from reid_tracker.results.colours import identity_colour
from tests.association.commands import reid_tracker
from tests.association.test_cli_association_correct import a_mergeable_pair, tracklets_of


def crops_of(run: Path) -> dict[str, tuple[int, int]]:
    """File -> identity and tracklet, as the table has it; every file is there and nothing else."""
    with (run / "crops" / "crops.csv").open(newline="") as lines:
        table = {row["file"]: (int(row["identity"]), int(row["tracklet"])) for row in csv.DictReader(lines)}
    assert sorted(table) == sorted(file.name for file in (run / "crops").glob("*.jpg"))
    return table


def pixels_of_colour(video: Path, identity: int) -> int:
    """How much of a video has somebody's colour, all pictures together."""
    reader, count = cv2.VideoCapture(str(video)), 0
    while (picture := reader.read()[1]) is not None:
        count += int((np.abs(picture.astype(int) - identity_colour(identity)[::-1]).max(axis=2) < 30).sum())
    return count


def test_crops_carry_the_new_number(run: Path) -> None:
    kept, gone = a_mergeable_pair(run)
    before = crops_of(run)
    assert any(identity == gone for identity, _ in before.values())
    reid_tracker("correct", "merge", "--tracks", run, kept, gone)
    after = crops_of(run)
    assert gone not in {identity for identity, _ in after.values()}
    assert all(name.startswith(f"{identity:04d}_") for name, (identity, _) in after.items())
    assert sorted(tracklet for _, tracklet in after.values()) == sorted(tracklet for _, tracklet in before.values())


@pytest.mark.slow
def test_report_and_videos_are_drawn_anew(run: Path) -> None:
    kept, gone = a_mergeable_pair(run)
    cameras = {"door", "hall"}
    told = reid_tracker("correct", "merge", "--tracks", run, kept, gone)
    assert "report.html, video; `reid-tracker redraw` draws them anew" in " ".join(told.output.split())
    videos = {file.stem: file for file in (run / "video").iterdir()}
    assert videos.keys() == cameras
    seen = {camera: pixels_of_colour(file, gone) for camera, file in videos.items()}
    assert max(seen.values()) > 500
    report = (run / "report.html").read_text()
    assert f'id="person-{gone}"' in report or f"Person {gone}" in report
    done = reid_tracker("redraw", "--tracks", run)
    assert done.exit_code == 0, done.output
    assert {file.stem for file in (run / "video").iterdir()} == cameras
    redrawn = (run / "report.html").read_text()
    assert f"Person {gone}<" not in redrawn
    assert redrawn.count("data:image/jpeg") >= len(tracklets_of(run))
    after = {file.stem: pixels_of_colour(file, gone) for file in (run / "video").iterdir()}
    assert sum(after.values()) < 0.3 * sum(seen.values())
    assert not list(run.glob("tmp*"))


def test_a_recording_that_is_gone_is_named_and_nothing_changes(run: Path, tmp_path: Path) -> None:
    facts = json.loads((run / "run.json").read_text())
    away = shutil.move(facts["config"]["cameras"][0]["source"], tmp_path / "moved.mp4")
    try:
        before = {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}
        with pytest.raises(InputError, match="door"):
            reid_tracker("redraw", "--tracks", run)
        with pytest.raises(InputError, match=r"'gate' \(cameras: door, hall\)"):
            reid_tracker("redraw", "--tracks", run, "--camera", f"gate={away}")
        with pytest.raises(ConfigError, match="NAME=SOURCE"):
            reid_tracker("redraw", "--tracks", run, "--camera", "door")
        assert {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()} == before
        assert reid_tracker("redraw", "--tracks", run, "--camera", f"door={away}").exit_code == 0
    finally:
        shutil.move(away, facts["config"]["cameras"][0]["source"])


def test_a_run_without_pictures_has_nothing_to_draw(run: Path) -> None:
    (run / "report.html").unlink()
    shutil.rmtree(run / "video")
    assert "neither report nor video" in reid_tracker("redraw", "--tracks", run).output


def test_recordings_that_lie_beside_the_results_are_left_alone(run: Path) -> None:
    """A run without --video whose recordings lie in video/: redraw put annotated ones in their place."""
    facts = json.loads((run / "run.json").read_text())
    shutil.rmtree(run / "video")
    (run / "video").mkdir()
    for camera in facts["config"]["cameras"]:
        camera["source"] = shutil.copy(camera["source"], run / "video")
    before = {file: file.read_bytes() for file in (run / "video").iterdir()}
    assert len(before) == 2
    facts["config"]["output"]["video"] = False
    (run / "run.json").write_text(json.dumps(facts))
    assert reid_tracker("redraw", "--tracks", run).exit_code == 0
    assert {file: file.read_bytes() for file in (run / "video").iterdir()} == before


def test_a_damaged_table_of_crops_is_named_before_anything_is_written(run: Path) -> None:
    kept, gone = a_mergeable_pair(run)
    table = run / "crops" / "crops.csv"
    table.write_text(table.read_text().replace(",", ";", 3))
    before = {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}
    with pytest.raises(InputError, match=r"crops\.csv: not the table"):
        reid_tracker("correct", "merge", "--tracks", run, gone, kept)
    after = {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}
    after.pop(run / "corrections.jsonl", None)  # what was said is kept first
    assert after == before
