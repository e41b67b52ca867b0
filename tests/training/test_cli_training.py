"""``reid-tracker train`` and ``export-model`` as a user types them, on made-up people."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="training needs torch")

from reid_tracker.cli import app  # noqa: E402
from reid_tracker.errors import ConfigError, InputError, ModelError, ReidTrackerError  # noqa: E402
from tests.training.tiny import write_people  # noqa: E402

RECIPE = """
name = "mine"
pictures_per_person = 2
sets = [{name = "mine", folder = "mine", people = 3}]
stages = [{pictures = 12, size_hw = [32, 32]}]
"""


def run(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    if done.exception is not None:
        raise done.exception
    return done.stdout


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Four people of four pictures, and a recipe."""
    root = write_people(tmp_path_factory.mktemp("data"), "mine", people=4)
    (root / "mine.toml").write_text(RECIPE)
    return root


@pytest.mark.slow
def test_train_stop_go_on_export_and_evaluate(data, tmp_path):
    pytest.importorskip("onnx", reason="export needs onnx")
    train = ["train", "--recipe", data / "mine.toml", "--data", data, "--out", tmp_path / "run"]
    with pytest.raises(ConfigError, match="before the first step"):  # else pieces of no length would follow for ever
        run(*train, "--minutes", "0")
    assert "finished after 12 of 12" in run(*train, "--keep-state", tmp_path / "kept.pt")
    assert "finished after 12 of 12" in run(*train)  # nothing is left to do
    assert (tmp_path / "kept.pt").stat().st_size < 15e6
    papers = dict.fromkeys(("licence", "terms", "training_data", "provenance"), "x") | {"figures": {}}
    (tmp_path / "papers.json").write_text(json.dumps(papers))
    export = [
        "export-model",
        "--checkpoint",
        tmp_path / "kept.pt",
        "--crops",
        data / "mine",
        "--out",
        tmp_path / "model",
    ]
    run(*export, "--cache", tmp_path / "cache", "--papers", tmp_path / "papers.json")
    evaluate = ["evaluate-reid", "--model", tmp_path / "model", "--set", data / "mine", "--cache", tmp_path / "cache"]
    assert "reranked" in run(*evaluate, "--threads", "1")


@pytest.mark.parametrize(
    ("arguments", "culprit", "error"),
    [
        (["--recipe", "gone.toml"], "gone.toml", ConfigError),
        (["--precision", "int3"], "int3", ConfigError),
        (["--device", "abacus"], "abacus", ConfigError),
        (["--pack", "gone.pack"], "gone.pack", InputError),
        (["--resume", "gone.pt"], "gone.pt", ModelError),
        (["--state", "mine.toml"], "mine.toml", ModelError),
        (["--start", "gone.pth"], "gone.pth", ModelError),
    ],
)
def test_wrong_arguments_of_train_name_the_culprit(data, tmp_path, monkeypatch, arguments, culprit, error):
    monkeypatch.chdir(data)
    recipe = [] if "--recipe" in arguments else ["--recipe", "mine.toml"]
    with pytest.raises(error, match=culprit):
        run("train", "--data", data, "--out", tmp_path, "--minutes", "0", *recipe, *arguments)


def test_export_without_papers_or_checkpoint_says_what_is_missing(data, tmp_path):
    export = ["export-model", "--checkpoint", tmp_path / "gone.pt", "--crops", data / "mine", "--out", tmp_path]
    with pytest.raises(ConfigError, match="licence, terms, training_data"):
        run(*export)
    (tmp_path / "papers.json").write_text('{"licence": "x"}')
    with pytest.raises(ConfigError, match="terms, training_data, provenance, figures missing"):
        run(*export)
    (tmp_path / "papers.json").write_text(
        '{"licence": "x", "terms": "x", "training_data": "x", "provenance": "x", "figures": {}}'
    )
    with pytest.raises(ModelError, match=r"gone\.pt"):
        run(*export)


def test_without_torch_one_line_says_what_to_install(data, tmp_path, monkeypatch):
    import importlib.util

    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "torch" else known(name, *rest)
    )
    with pytest.raises(ReidTrackerError, match="pip install"):
        run("train", "--recipe", data / "mine.toml", "--data", data, "--out", tmp_path)


@pytest.mark.slow
def test_adapt_exports_what_is_better_and_refuses_what_is_not(tmp_path, monkeypatch):
    pytest.importorskip("onnx", reason="export needs onnx")
    from reid_tracker.training import adapting
    from reid_tracker.training.adapt import Adapted
    from reid_tracker.training.agreement import Gain

    crops = tmp_path / "out" / "crops"
    crops.mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = ["file,identity,tracklet,camera,frame,time,quality"]
    for person in range(24):
        shirt = rng.integers(0, 256, 3)
        for camera in (1, 2):
            for second in range(2):
                name = f"{person:04d}_c{camera}s1_{second:06d}_{2 * person + camera:02d}.jpg"
                picture = np.clip(shirt + rng.integers(-20, 20, (64, 32, 3)), 0, 255).astype(np.uint8)
                cv2.imwrite(str(crops / name), picture)
                moment = 60.0 * (person // 4) + 600 * camera + second
                rows.append(f"{name},{person},{2 * person + camera},cam{camera},{second},{moment},0.5")
    (crops / "crops.csv").write_text("\n".join(rows) + "\n")
    judged = adapting.adapt_to_site

    def verdict(better: bool):
        """The real training, and a judge who is told what to say: which way it falls depends on luck."""

        def adapt(*arguments):
            return Adapted(judged(*arguments).state, Gain(0.5, 0.6 if better else 0.4, 0.01))

        return adapt

    command = [
        "adapt",
        "--tracks",
        tmp_path / "out",
        "--rounds",
        "1",
        "--pictures",
        "48",
        "--cache",
        tmp_path / "cache",
    ]
    monkeypatch.setattr(adapting, "adapt_to_site", verdict(False))
    with pytest.raises(ModelError, match="the present embedder stays"):
        run(*command, "--out", tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
    monkeypatch.setattr(adapting, "adapt_to_site", verdict(True))
    assert "0.5000 -> 0.6000" in run(*command, "--out", tmp_path / "mine")
    papers = json.loads((tmp_path / "mine" / "model.json").read_text())
    assert "adapted without labels" in papers["training_data"]
    assert "research" in papers["terms"]
    with pytest.raises(InputError, match="--save-crops"):
        run("adapt", "--tracks", tmp_path, "--out", tmp_path / "mine")
