"""Protocols from folders, and a tiny embedder judged from pictures to table, plots and JSON."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from reid_tracker.cli import app
from reid_tracker.errors import ConfigError, InputError
from reid_tracker.training.partial import PartialBody
from reid_tracker.training.protocols import read_protocol
from reid_tracker.training.reid_evaluation import numbered

CAMERAS = {"query": (1,), "bounding_box_test": (2, 3)}


def write(folder: Path, name: str, shirt: np.ndarray, rng: np.random.Generator) -> None:
    """A person: a shirt over trousers of half its light, with noise."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = np.repeat(np.stack([shirt, shirt / 2]), 16, axis=0)[:, None] + rng.integers(-8, 8, (32, 16, 3))
    cv2.imwrite(str(folder / name), np.clip(picture, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Ten people of plainly different colours in the layouts of Market-1501, CUHK01 and CUHK03."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    for person in range(1, 11):
        shirt = np.array([person * 24, 250 - person * 24, (person * 96) % 250])
        for part, cameras in CAMERAS.items():
            for camera in cameras:
                write(root / "Market-1501-v15.09.15" / part, f"{person:04d}_c{camera}s1_{person}.png", shirt, rng)
        for camera in (1, 2):
            for number in (0, 1):
                name = f"{person:04d}_c{camera}_{number}.png"
                write(root / "cuhk01", name, shirt, rng)
                write(root / "cuhk03_p1" / "labeled", name, shirt, rng)
    junk = np.array([9, 9, 9])
    write(root / "Market-1501-v15.09.15" / "bounding_box_test", "-1_c2s1_0.png", junk, rng)
    write(root / "Market-1501-v15.09.15" / "bounding_box_test", "0000_c2s1_0.png", junk, rng)
    return root


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """An embedder of mean colours: of the whole picture, and of four stripes."""
    onnx = pytest.importorskip("onnx", reason="the test builds a tiny embedder")
    helper, kind = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Cast", ["crops"], ["f"], to=kind.FLOAT),
        helper.make_node("ReduceMean", ["f"], ["global"], axes=[1, 2], keepdims=0),
        helper.make_node("ReduceMean", ["f"], ["rows"], axes=[2], keepdims=0),
        helper.make_node("Reshape", ["rows", "shape"], ["grouped"]),
        helper.make_node("ReduceMean", ["grouped"], ["stripes"], axes=[2], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("crops", kind.UINT8, ["N", 32, 16, 3])],
        [
            helper.make_tensor_value_info("global", kind.FLOAT, ["N", 3]),
            helper.make_tensor_value_info("stripes", kind.FLOAT, ["N", 4, 3]),
        ],
        [helper.make_tensor("shape", kind.INT64, [4], [-1, 4, 8, 3])],
    )
    folder = tmp_path_factory.mktemp("engines") / "colours"
    folder.mkdir()
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "model.onnx"
    )
    papers = {
        "format": 1,
        "name": "colours",
        "task": "embedder",
        "file": "model.onnx",
        "input": {"name": "crops", "size_hw": [32, 16]},
    }
    (folder / "model.json").write_text(json.dumps(papers))
    return folder


def test_market_layout_asks_queries_of_the_gallery_without_junk(data):
    protocol = read_protocol("market1501", data)
    ((asking, answering),) = protocol.trials
    assert protocol.labels(asking).cameras.tolist() == [1] * 10
    assert sorted(protocol.labels(answering).persons.tolist()) == sorted([0, *range(1, 11), *range(1, 11)])


def test_cuhk01_answers_with_one_picture_a_person_for_each_choice(data):
    protocol = read_protocol("cuhk01", data)
    assert len(protocol.trials) == 2
    for asking, answering in protocol.trials:
        assert len(asking) == 20
        assert protocol.labels(answering).persons.tolist() == list(range(1, 11))
        assert set(protocol.labels(answering).cameras) == {2}
    assert set(protocol.trials[0][1]).isdisjoint(protocol.trials[1][1])


def test_any_folder_is_a_set_in_which_each_picture_asks(data):
    ((asking, answering),) = read_protocol(str(data / "cuhk01"), None).trials
    assert len(asking) == len(answering) == 40


def test_what_is_not_there_is_named(data, tmp_path):
    with pytest.raises(ConfigError, match="market1501"):
        read_protocol("markt1501", data)
    with pytest.raises(ConfigError, match="--data"):
        read_protocol("market1501", None)
    with pytest.raises(InputError, match="query"):
        read_protocol("market1501", tmp_path)


def test_looks_are_computed_once_and_again_for_other_cuts(data, model, tmp_path, monkeypatch):
    from reid_tracker.training import reid_evaluation

    judged = reid_evaluation.open_judged(str(model), threads=1)
    protocol = read_protocol("cuhk01", data)
    first = reid_evaluation.looks_of(judged, protocol.pictures, tmp_path)
    partial = reid_evaluation.looks_of(judged, protocol.pictures, tmp_path, PartialBody())
    assert not np.allclose(first.stripes, partial.stripes, atol=1e-2)
    monkeypatch.setattr(reid_evaluation, "decode_people", lambda *_: pytest.fail("decoded twice"))
    again = reid_evaluation.looks_of(judged, protocol.pictures, tmp_path)
    np.testing.assert_array_equal(again.global_, first.global_)


def test_pictures_that_do_not_decode_are_an_error_with_their_path(model, tmp_path):
    from reid_tracker.training.reid_evaluation import looks_of, open_judged

    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "0001_c1_0.jpg").write_bytes(b"\xff\xd8 cut short")
    with pytest.raises(InputError, match="0001_c1_0"):
        looks_of(open_judged(str(model), 1), read_protocol(str(tmp_path / "set"), None).pictures, tmp_path / "cache")


def run(*arguments: str | Path) -> str:
    """What the command prints; in this process, because importing everything anew costs seconds."""
    done = CliRunner().invoke(app, ["evaluate-reid", "--threads", "1", *map(str, arguments)])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_command_prints_a_table_and_writes_figures_and_plots(data, model, tmp_path):
    sets = ["--set", "market1501", "--set", "cuhk01", "--partial"]
    files = ["--plots", tmp_path / "plots", "--json", tmp_path / "figures.json", "--cache", tmp_path / "cache"]
    printed = run("--model", model, "--data", data, *sets, *files)
    figures = json.loads((tmp_path / "figures.json").read_text())["models"]["colours"]
    assert set(figures) == {"market1501", "market1501, partial", "cuhk01", "cuhk01, partial"}
    assert set(figures["market1501"]) == {"global", "unaligned", "aligned", "fused", "reranked"}
    assert figures["market1501"]["global"]["rank1"] == 100  # people of plainly different colours
    assert "market1501, partial" in printed
    drawn = {path.name for path in (tmp_path / "plots").iterdir()}
    assert {"market1501-cmc.svg", "market1501-distances-fused.svg", "cuhk01-partial-alignment-1.svg"} <= drawn


def test_models_and_folders_of_one_name_are_kept_apart(data, model, tmp_path):
    shutil.copytree(model, tmp_path / "other" / "colours")
    shutil.copytree(data / "cuhk01", tmp_path / "other" / "cuhk01")
    sets = ["--set", data / "cuhk01", "--set", tmp_path / "other" / "cuhk01", "--way", "global"]
    files = ["--plots", tmp_path / "plots", "--json", tmp_path / "figures.json", "--cache", tmp_path / "cache"]
    printed = run("--model", model, "--model", tmp_path / "other" / "colours", *sets, *files)
    figures = json.loads((tmp_path / "figures.json").read_text())["models"]
    assert {name: set(found) for name, found in figures.items()} == {
        "colours": {"cuhk01", "cuhk01-2"},
        "colours-2": {"cuhk01", "cuhk01-2"},
    }
    assert "colours-2" in printed
    assert (tmp_path / "plots" / "colours-2" / "cuhk01-2-cmc.svg").is_file()


def test_names_that_are_numbered_already_stay():
    assert numbered(["a", "a", "a-2", "b", "a"]) == ["a", "a-3", "a-2", "b", "a-4"]


def test_few_ways_and_queries_may_be_asked_for(data, model, tmp_path):
    files = ["--json", tmp_path / "f.json", "--cache", tmp_path]
    run("--model", model, "--data", data, "--way", "fused", "--queries", "4", "--shortlist", "3", *files)
    written = json.loads((tmp_path / "f.json").read_text())
    assert list(written["models"]["colours"]["market1501"]) == ["fused"]
    assert (written["shortlist"], written["queries"]) == (3, 4)


@pytest.mark.parametrize(
    ("arguments", "culprit", "error"),
    [
        (["--model", "nobody"], "nobody", ConfigError),
        (["--set", "atlantis"], "atlantis", ConfigError),
        (["--way", "sideways"], "sideways", InputError),
    ],
)
def test_wrong_arguments_name_the_culprit(data, model, tmp_path, arguments, culprit, error):
    named = [] if "--model" in arguments else ["--model", model]
    with pytest.raises(error, match=culprit):
        run("--data", data, "--cache", tmp_path, *named, *arguments)
