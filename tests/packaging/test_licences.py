"""The licence check, on made-up distributions: it must find what it is there to find."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("packaging", reason="needs the extra 'dev'")


@pytest.fixture(scope="module")
def checker(repository: Path) -> ModuleType:
    """tools/check_licences.py as a module."""
    specification = importlib.util.spec_from_file_location("check_licences", repository / "tools" / "check_licences.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["check_licences"] = module
    specification.loader.exec_module(module)
    return module


def install(folder: Path, name: str, metadata: str = "", files: dict[str, bytes] | None = None) -> None:
    """Lay out a distribution as an installer would."""
    information = folder / f"{name}-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{metadata}")
    for path, content in (files or {}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (information / "RECORD").write_text("".join(f"{path},,\n" for path in files or {}))


def check(repository: Path, folder: Path, name: str = "ours") -> subprocess.CompletedProcess[str]:
    """Run the program where ``folder`` is on the path."""
    return subprocess.run(
        [sys.executable, repository / "tools" / "check_licences.py", name],
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_clean_tree_passes_and_says_what_was_looked_at(repository: Path, tmp_path: Path) -> None:
    install(tmp_path, "ours", "License-Expression: Apache-2.0\nRequires-Dist: theirs\n")
    install(tmp_path, "theirs", "License: LGPL-3.0-or-later\n", {"theirs.libs/libgood.so.1": b"\x7fELF free"})
    ran = check(repository, tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "2 distributions, 1 shared libraries: no GPL, no AGPL; LGPL declared by theirs\n"


@pytest.mark.parametrize(
    "declaration",
    [
        "License-Expression: GPL-3.0-or-later",
        "License-Expression: MIT AND AGPL-3.0-only",
        "License: GNU General Public License v3",
        "License: AGPL-3.0",
        "Classifier: License :: OSI Approved :: GNU Affero General Public License v3",
    ],
)
def test_a_dependency_of_a_dependency_under_gpl_is_found(declaration: str, repository: Path, tmp_path: Path) -> None:
    install(tmp_path, "ours", "Requires-Dist: theirs\n")
    install(tmp_path, "theirs", "Requires-Dist: Deep.Down>=1\n")
    install(tmp_path, "deep_down", declaration + "\n")
    ran = check(repository, tmp_path)
    assert ran.returncode == 1
    assert ran.stderr.startswith("deep_down declares ")


def test_an_extra_may_be_what_it_likes_but_an_extra_that_is_asked_for_counts(repository: Path, tmp_path: Path) -> None:
    install(tmp_path, "ours", "Requires-Dist: theirs\nProvides-Extra: av\nRequires-Dist: copyleft; extra == 'av'\n")
    install(tmp_path, "copyleft", "License: GPL-2.0\n")
    install(tmp_path, "theirs", "License: MIT\n")
    assert check(repository, tmp_path).returncode == 0
    install(tmp_path, "wants", "Requires-Dist: ours[av]\n")
    assert check(repository, tmp_path, "wants").returncode == 1


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("theirs.libs/libx264-1a2b3c.so.164", b"", "it is libx264"),
        ("theirs.libs/libpostproc-77.so.57.1", b"", "it is libpostproc"),
        ("theirs/core.so", b"...--enable-pic --enable-gpl --enable-libx264\0", "--enable-gpl"),
        ("theirs.libs/libavcodec-1.so.62", b"\0libavcodec license: GPL version 2 or later\0", "calls itself GPL"),
        ("theirs/all_in_one.abi3.so", b"\0x265_encoder_encode\0", "x265"),
    ],
)
def test_a_gpl_part_bundled_in_a_permissive_wheel_is_found(
    file: str, content: bytes, reason: str, repository: Path, tmp_path: Path
) -> None:
    """PyAV's wheels declare BSD and bundle x264 and x265: metadata alone says nothing of it."""
    install(tmp_path, "ours", "Requires-Dist: theirs\n")
    install(tmp_path, "theirs", "License: BSD-3-Clause\n", {file: content})
    ran = check(repository, tmp_path)
    assert ran.returncode == 1
    assert reason in ran.stderr
    assert Path(file).name in ran.stderr


@pytest.mark.parametrize(
    ("licence", "forbidden"),
    [
        ("LGPL-2.1-or-later", False),
        ("GNU Lesser General Public License v3 (LGPLv3)", False),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", False),
        ("MIT OR GPL-2.0", False),  # a choice
        ("MIT AND GPL-2.0", True),
        ("GPLv2", True),
        ("Apache-2.0", False),
    ],
)
def test_names_of_licences_are_told_apart(licence: str, forbidden: bool, checker: ModuleType) -> None:
    assert checker.is_forbidden(licence) is forbidden


def test_the_ffmpeg_that_opencv_brings_is_lgpl(checker: ModuleType) -> None:
    """The check reads the very text by which an FFmpeg names its licence; make sure that it is there to be read."""
    (opencv,) = [each for each in checker.default_tree("opencv-python") if each.metadata["Name"] == "opencv-python"]
    codecs = [path for path in checker.shared_libraries(opencv) if path.name.startswith("libavcodec")]
    assert codecs, "opencv-python bundles no libavcodec here: look how its FFmpeg is linked, and check that"
    assert b"libavcodec license: LGPL" in codecs[0].read_bytes()
    assert checker.marks_in(codecs[0]) == []
