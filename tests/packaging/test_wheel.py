"""What a wheel carries, and that an installed one works by itself, far from the checkout."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

BUILD = "from setuptools import build_meta; import sys; build_meta.{}(sys.argv[1])"
# what users need of the folders that lie outside the package; of those inside, they get everything
DATA = {"engines": ("model.onnx", "model.xml", "model.bin", "model.json", "CARD.md"), "demo_clip": ("*.mp4", "*.toml")}
LARGEST_WHEEL = 30_000_000  # bytes: two half-precision networks, one of eight bits and a short clip


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a program with as little of this environment as it can do with; its output, and its errors on failure."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "REID_"))
    }
    ran = subprocess.run(command, cwd=cwd, env=kept, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, f"{' '.join(map(str, command))}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def packages_in(repository: Path) -> dict[str, Path]:
    """The packages that ought to ship: every folder of code, every engine, the clip."""
    found = {
        ".".join(path.parent.relative_to(repository).parts): path.parent
        for path in (repository / "reid_tracker").rglob("__init__.py")
    }
    for manifest in (repository / "engines").glob("*/model.json"):
        found[f"reid_tracker.engines.{manifest.parent.name}"] = manifest.parent
    found["reid_tracker.demo_clip"] = repository / "demos" / "clip"
    return found


def test_setup_lists_every_package(repository: Path) -> None:
    """A folder that is not listed is missing from the wheel, and nobody notices in the checkout."""
    settings = configparser.ConfigParser()
    settings.read(repository / "setup.cfg", encoding="utf-8")
    listed = settings["options"]["packages"].split()
    assert sorted(listed) == sorted(packages_in(repository))


@pytest.fixture(scope="module")
def built(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive, built from a copy of what git would commit."""
    folder = tmp_path_factory.mktemp("built")
    copy = folder / "source"
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=repository).splitlines()
    for name in listed:
        if (repository / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(repository / name, copy / name)
    for build in ("build_wheel", "build_sdist"):
        run(sys.executable, "-c", BUILD.format(build), folder, cwd=copy)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (path,) = built.glob("*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_carries_code_engines_clip_and_licences_and_nothing_else(wheel: Path, repository: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    information = next(name.partition("/")[0] for name in names if name.endswith(".dist-info/METADATA"))
    assert {name.partition("/")[0] for name in names} == {"reid_tracker", information}
    assert {f"{information}/licenses/LICENSE", f"{information}/licenses/NOTICE"} <= names

    expected = set()
    for package, folder in packages_in(repository).items():
        data = DATA.get(package.split(".")[1] if "." in package else "", ())
        for path in [file for pattern in data for file in folder.glob(pattern)] if data else folder.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                expected.add(f"{package.replace('.', '/')}/{path.relative_to(folder)}")
    shipped = {name for name in names if not name.startswith(information)}
    assert expected - shipped == set(), "files of the package that the wheel lacks (package_data in setup.cfg)"
    assert shipped - expected == set(), "files in the wheel that are no part of the package"
    assert wheel.stat().st_size < LARGEST_WHEEL


@pytest.mark.slow
def test_the_wheel_carries_no_compiled_engine_nor_training_state(wheel: Path) -> None:
    """Engines that a run compiles belong into the user's cache; weights to train on from are not for users."""
    unwanted = (".engine", ".plan", ".trt", ".blob", ".pt", ".pth", ".npz", ".cache")
    assert [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(unwanted)] == []


@pytest.mark.slow
def test_the_source_archive_can_build_the_same_wheel(built: Path, wheel: Path, tmp_path: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as source:
        source.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    run(sys.executable, "-c", BUILD.format("build_wheel"), tmp_path, cwd=unpacked)
    assert sorted(zipfile.ZipFile(tmp_path / wheel.name).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a clean environment with the wheel and its default dependencies, nothing else."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder / "environment", with_pip=True)
    programs = folder / "environment" / "bin"
    run(programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=folder)
    return programs


@pytest.mark.slow
def test_the_installed_package_lies_in_its_environment_and_brings_no_torch(installed: Path, tmp_path: Path) -> None:
    program = (
        "import json, importlib.util as u, reid_tracker;"
        "print(json.dumps([reid_tracker.__file__, [n for n in ('torch', 'av', 'ultralytics', 'engines', 'demos')"
        " if u.find_spec(n)]]))"
    )
    place, unwanted = json.loads(run(installed / "python", "-c", program, cwd=tmp_path))
    assert Path(place).is_relative_to(installed.parent)
    assert unwanted == []


@pytest.mark.slow
def test_the_installed_program_knows_its_models(installed: Path, repository: Path, tmp_path: Path) -> None:
    engines = [manifest.parent.name for manifest in (repository / "engines").glob("*/model.json")]
    listed = run(installed / "reid-tracker", "models", "list", cwd=tmp_path)
    assert [name for name in engines if name not in listed] == []
    verified = run(installed / "reid-tracker", "models", "verify", cwd=tmp_path)
    assert verified.count("as recorded") == len(engines) >= 2


@pytest.mark.slow
def test_the_installed_program_follows_people_through_the_bundled_clip(installed: Path, tmp_path: Path) -> None:
    """From another folder, with nothing but the wheel: the demo finds its clip and its networks inside the package."""
    run(installed / "reid-tracker", "demo", "--out", tmp_path / "out", cwd=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "out" / "tracks.jsonl").read_text().splitlines()]
    cameras_of: dict[int, set[str]] = {}
    for line in lines:
        for person in line["people"]:
            cameras_of.setdefault(person["identity"], set()).add(line["camera"])
    assert len({line["camera"] for line in lines}) == 2
    assert any(len(cameras) == 2 for cameras in cameras_of.values()), "nobody was followed into the second camera"
    assert (tmp_path / "out" / "report.html").is_file()
    assert (tmp_path / "out" / "identities.json").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


@pytest.mark.slow
def test_the_installed_program_names_the_extra_that_is_missing(installed: Path, tmp_path: Path) -> None:
    """Evaluation needs an extra; without it, one line that says so instead of a traceback."""
    (tmp_path / "truth" / "door" / "gt").mkdir(parents=True)
    (tmp_path / "truth" / "door" / "gt" / "gt.txt").write_text("1,1,0,0,10,10,1,1,1\n")
    (tmp_path / "tracks.jsonl").write_text(
        '{"version":1,"camera":"door","frame":0,"time":0.0,"size":[64,48],"people":[],"events":[]}\n'
    )
    ran = subprocess.run(
        [installed / "reid-tracker", "evaluate", "--truth", "truth", "--tracks", "tracks.jsonl"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert "reid_tracker[evaluation]" in ran.stderr
    assert "Traceback" not in ran.stderr
