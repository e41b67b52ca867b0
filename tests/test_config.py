"""Configuration: precedence, and errors that name the key and the nearest right one."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reid_tracker.config import Config, load_config, settings_as_toml
from reid_tracker.errors import ConfigError


def write(folder: Path, text: str) -> Path:
    path = folder / "site.toml"
    path.write_text(text)
    return path


def test_defaults_need_no_file() -> None:
    assert load_config(environment={}) == Config()


def test_file_environment_and_values_override_in_this_order(tmp_path: Path) -> None:
    path = write(tmp_path, '[detection]\nnms_overlap = 0.5\nmodel = "file.onnx"\n[embedding]\nbatch = 4\n')

    config = load_config(
        path, {"REID_TRACKER_DETECTION__MODEL": "environment.onnx", "REID_TRACKER_EMBEDDING__BATCH": "8"}
    )
    config = config.with_values({"embedding.batch": "32"})

    assert config.detection.nms_overlap == 0.5
    assert config.detection.model == "environment.onnx"
    assert config.embedding.batch == 32


def test_values_leave_unset_keys_unset() -> None:
    """Whether the user chose the embedder decides whether its terms are shown."""
    config = Config().with_values({"detection.model": "other.onnx"})
    assert "model" in config.detection.model_fields_set
    assert "model" not in config.embedding.model_fields_set


def test_start_time_without_zone_is_utc(tmp_path: Path) -> None:
    path = write(tmp_path, '[[cameras]]\nid = "door"\nsource = "door.mp4"\nstart_time = 2026-05-01T08:00:00\n')
    assert load_config(path, {}).cameras[0].start_time == datetime(2026, 5, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("door.mp4", "{folder}/door.mp4"),  # beside the file
        ("/videos/door.mp4", "/videos/door.mp4"),
        ("0", "0"),  # a webcam
        ("rtsp://host/stream", "rtsp://host/stream"),
    ],
)
def test_paths_in_a_file_are_from_that_file(tmp_path: Path, source: str, expected: str) -> None:
    path = write(tmp_path, f'[[cameras]]\nid = "door"\nsource = "{source}"\n')
    assert load_config(path, {}).cameras[0].source == expected.format(folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[detection]\nmodle = 1\n", ["detection.modle", "did you mean 'model'"]),
        ("[detektion]\nmodel = 1\n", ["detektion", "did you mean 'detection'"]),
        ("[detection]\nnms_overlap = 3\n", ["detection.nms_overlap", "got 3"]),
        ('[[cameras]]\nid = "a"\nsorce = "x"\n', ["camera 'a': unknown key 'sorce'", "did you mean 'source'"]),
        ('[[cameras]]\nid = "a"\nsource = "x"\n[[cameras]]\nid = "a"\nsource = "y"\n', ["two cameras are called 'a'"]),
        (
            '[[cameras]]\nid = "hall"\nsource = "x"\nneighbours = { hal = [1, 9] }\n',
            ["names the neighbour 'hal'", "did you mean 'hall'"],
        ),
        ('[[cameras]]\nid = "a"\nsource = "x"\nhomography = [[1, 0, 0]]\n', ["homography of camera 'a'", "3 rows"]),
        ("detection = [\n", ["not valid TOML"]),
    ],
)
def test_wrong_file_names_file_key_and_remedy(tmp_path: Path, text: str, parts: list[str]) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as failure:
        load_config(path, {})
    for part in [str(path), *parts]:
        assert part in str(failure.value)


@pytest.mark.parametrize(
    "text",
    [
        '[[cameras]]\nsource = "rtsp://me:s3cret@gate/live"\n',
        '[[cameras]]\nid = "gate"\nsource = ["rtsp://me:s3cret@gate/live"]\n',
        '[[cameras]]\nid = "gate"\nsource = "rtsp://me:s3cret@gate/live"\nhomography = [[1, 0, 0]]\n',
        '[[cameras]]\nid = "gate"\nsource = "rtsp://me:s3cret@gate/live"\nfps = -1\n',
        '[[webhooks]]\nurl = "https://me:s3cret@host/"\n',
        '[[webhooks]]\nname = "alarm"\nurl = { address = "https://host/?token=s3cret" }\n',
        'cameras = "rtsp://me:s3cret@gate/live"\n',
        '[store]\nurl = ["postgresql://me:s3cret@host/people"]\n',
        '[nats]\nurl = ["me:s3cret@host:4222"]\n',
    ],
)
def test_no_error_shows_a_password(tmp_path: Path, text: str) -> None:
    """Neither in its line nor in the errors behind it, which a traceback shows."""
    with pytest.raises(ConfigError) as failure:
        load_config(write(tmp_path, text), {})
    assert "s3cret" not in f"{failure.value} {failure.value.__cause__}"
    assert "site.toml" in str(failure.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read"):
        load_config(tmp_path / "nowhere.toml", {})


def test_printed_settings_are_the_defaults_once_uncommented(tmp_path: Path) -> None:
    text = settings_as_toml()
    tables = text[text.index("[runtime]") :]
    uncommented = re.sub(r"^#(?=\w+ = )", "", tables, flags=re.MULTILINE)
    assert tomllib.loads(uncommented)
    assert load_config(write(tmp_path, uncommented), {}) == Config()


def test_the_page_shows_the_settings_as_they_are(repository: Path) -> None:
    """The list in docs/configuration.md is what ``reid-tracker settings`` prints."""
    page = (repository / "docs" / "configuration.md").read_text(encoding="utf-8")
    _, _, listed = page.partition("`reid-tracker settings` prints this, ready to be changed:\n\n```toml\n")
    assert listed.partition("```")[0] == settings_as_toml()


@pytest.mark.parametrize("text", ["openvino,onnxruntime", '["openvino", "onnxruntime"]', " openvino , onnxruntime"])
def test_lists_can_be_set_by_text(text: str) -> None:
    config = load_config(None, {"REID_TRACKER_RUNTIME__FALLBACK": text})
    assert config.runtime.fallback == ["openvino", "onnxruntime"]
    assert Config().with_values({"runtime.fallback": text}).runtime.fallback == ["openvino", "onnxruntime"]
    assert Config().with_values({"runtime.engine_batch": "1,8,32"}).runtime.engine_batch == (1, 8, 32)
    assert Config().with_values({"service.hosts": ""}).service.hosts == []


def test_tables_of_which_there_are_several_cannot_be_set_one_by_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="CAMERAS__X: there may be several cameras; set them in a file"):
        load_config(None, {"REID_TRACKER_CAMERAS__X": "1"})
    path = write(tmp_path, '[[cameras]]\nid = "door"\nsource = "door.mp4"\n')
    with pytest.raises(ConfigError, match=r"cameras\.x: there may be several cameras"):
        load_config(path, {}).with_values({"cameras.x": "1"})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("neighbours = {hall = [60, 5]}", "expected \\[least, most\\] seconds"),
        ("neighbours = {hall = [-1, 5]}", "expected \\[least, most\\] seconds"),
        ("neighbours = {hall = [nan, 5]}", "camera 'door': neighbours.hall.0: Input should be a finite number"),
        ("neighbours = {hall = [1, inf]}", "camera 'door': neighbours.hall.1: Input should be a finite number"),
        ("homography = [[0, 0, 0], [0, 0, 0], [0, 0, 0]]", "determinant 0"),
        ("homography = [[nan, 0, 0], [0, 1, 0], [0, 0, 1]]", "camera 'door': homography.0.0: Input should be a finite"),
    ],
)
def test_a_camera_that_cannot_be_is_refused(tmp_path: Path, settings: str, said: str) -> None:
    path = write(
        tmp_path,
        f'[[cameras]]\nid = "door"\nsource = "a.mp4"\n{settings}\n[[cameras]]\nid = "hall"\nsource = "b.mp4"\n',
    )
    with pytest.raises(ConfigError, match=said):
        load_config(path, {})


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", float("inf")])
def test_infinity_and_nan_are_no_settings(value: object) -> None:
    """They went through to the tracker, which ended in a traceback."""
    with pytest.raises(ConfigError, match=r"tracking\.max_lost_seconds: Input should be a finite number"):
        Config().with_values({"tracking.max_lost_seconds": value})


@pytest.mark.parametrize("size", [0, -5, 31, 8193, "100000"])
def test_sizes_of_input_that_no_network_takes_are_refused(size: object) -> None:
    """100000 asked for 21 GB."""
    with pytest.raises(ConfigError, match=r"detection\.input_size.*should be (greater|less) than or equal to"):
        Config().with_values({"detection.input_size": size})
    assert Config().with_values({"detection.input_size": "640"}).detection.input_size == 640


def test_a_webcam_may_be_a_number_and_a_source_may_not_be_empty(tmp_path: Path) -> None:
    path = write(tmp_path, '[[cameras]]\nid = "door"\nsource = 0\n')
    assert load_config(path, {}).cameras[0].source == "0"
    with pytest.raises(ConfigError, match=r"site\.toml: camera 'door': source: is empty; give a video file"):
        load_config(write(tmp_path, '[[cameras]]\nid = "door"\nsource = ""\n'), {})


def test_errors_name_the_environment_variable_rather_than_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "[embedding]\nbatch = 4\n")
    for variable, said in (
        ("REID_TRACKER_EMBEDDING__BATCH", "embedding.batch: Input should be a valid integer"),
        ("REID_TRACKER_EMBEDDING__BACH", "unknown key 'embedding.bach'; did you mean 'batch'"),
        ("REID_TRACKER_EMBEDING__BATCH", "unknown key 'embeding'; did you mean 'embedding'"),
    ):
        with pytest.raises(ConfigError, match=f"^environment: {variable}: {said}"):
            load_config(path, {variable: "four"})
