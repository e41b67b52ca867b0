"""The cache of engines: whole or not at all, the user's own, and nothing damaged is ever interpreted."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from reid_tracker.errors import ConfigError, ModelError
from reid_tracker.runtime.tensorrt import cache as cache_module
from reid_tracker.runtime.tensorrt.cache import ENGINE, PAPERS, EngineCache
from reid_tracker.runtime.tensorrt.records import BuildKey, BuildRecord, record_of

PLAN = b"vtrt" + bytes(range(200))


def key(**changes: object) -> BuildKey:
    values: dict[str, object] = {
        "model_sha256": "a" * 64,
        "flavour": "tensorrt_rtx",
        "version": "1.7.1",
        "capabilities": ("8.6",),
        "precision": "fp16",
        "shapes": {"crops": ((1, 4), (8, 4), (64, 4))},
    }
    return BuildKey.model_validate({**values, **changes})


def record(plan: bytes = PLAN, **changes: object) -> BuildRecord:
    return record_of("small", key(**changes), plan, 1.5, metadata={"names": "person"})


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "cache")


def test_what_is_stored_comes_back(cache: EngineCache) -> None:
    folder = cache.store(record(), PLAN)
    (entry,) = cache.entries()
    assert entry.folder == folder
    assert entry.record == record().model_copy(update={"built": entry.record.built if entry.record else None})
    assert cache.read(entry) == PLAN
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / ENGINE).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "change",
    [
        {"model_sha256": "b" * 64},
        {"flavour": "tensorrt"},
        {"version": "1.7.2"},
        {"capabilities": ("8.6", "8.9")},
        {"capabilities": ()},
        {"precision": "fp32"},
        {"shapes": {"crops": ((1, 4), (8, 4), (65, 4))}},
        {"converter": 2},
        {"calibration": "0123456789abcdef"},
    ],
)
def test_everything_in_the_key_makes_another_entry(cache: EngineCache, change: dict[str, object]) -> None:
    cache.store(record(), PLAN)
    cache.store(record(**change), PLAN)
    assert len(cache.entries()) == 2


def test_the_same_key_replaces(cache: EngineCache) -> None:
    cache.store(record(), PLAN)
    cache.store(record(PLAN + b"new"), PLAN + b"new")
    (entry,) = cache.entries()
    assert cache.read(entry) == PLAN + b"new"


def truncated(folder: Path) -> None:
    (folder / ENGINE).write_bytes(PLAN[:-1])


def longer(folder: Path) -> None:
    (folder / ENGINE).write_bytes(PLAN + b"\0")


def other_kind(folder: Path) -> None:
    (folder / ENGINE).write_bytes(b"ONNX" + PLAN[4:])


def flipped(folder: Path) -> None:
    (folder / ENGINE).write_bytes(PLAN[:-1] + b"\xff")


def missing(folder: Path) -> None:
    (folder / ENGINE).unlink()


def shared(folder: Path) -> None:
    (folder / ENGINE).chmod(0o622)


def shared_folder(folder: Path) -> None:
    folder.parent.chmod(0o777)


def linked(folder: Path) -> None:
    (folder / ENGINE).rename(folder.parent.parent / "elsewhere")
    (folder / ENGINE).symlink_to(folder.parent.parent / "elsewhere")


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (truncated, "truncated .203 bytes, built 204.; run: reid-tracker engines build small --precision fp16"),
        (longer, "not the one that was built"),
        (other_kind, "does not begin like an engine of tensorrt_rtx"),
        (flipped, "damaged .sha256"),
        (missing, "No such file.*build it again"),
        (shared, "others may write to it"),
        (shared_folder, "others may write to it"),
        (linked, "is a link"),
    ],
)
def test_what_is_damaged_or_not_ones_own_is_refused(
    cache: EngineCache, harm: Callable[[Path], None], message: str
) -> None:
    folder = cache.store(record(), PLAN)
    (entry,) = cache.entries()
    harm(folder)
    with pytest.raises(ModelError, match=message):
        cache.read(entry)


def test_engines_of_another_user_are_refused(cache: EngineCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.store(record(), PLAN)
    (entry,) = cache.entries()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(ModelError, match=r"belongs to user .*, not to you \(12345\)"):
        cache.read(entry)
    with pytest.raises(ModelError, match="belongs to user"):
        cache.entries()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "no JSON"),
        ("{}", "model: Field required"),
        ('{"format": 2}', "format: Input should be 1"),
    ],
)
def test_papers_that_cannot_be_used_are_named_and_do_not_hide_the_others(
    cache: EngineCache, text: str, problem: str
) -> None:
    folder = cache.store(record(), PLAN)
    cache.store(record(precision="fp32"), PLAN)
    (folder / PAPERS).write_text(text)
    bad = next(entry for entry in cache.entries() if entry.folder == folder)
    assert bad.record is None
    assert problem in bad.problem
    with pytest.raises(ModelError, match=problem):
        cache.read(bad)
    assert sum(entry.record is not None for entry in cache.entries()) == 1


def test_a_store_that_fails_leaves_what_was_there(cache: EngineCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.store(record(), PLAN)

    def full(path: Path, content: bytes) -> None:
        path.write_bytes(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache_module, "_write", full)
    with pytest.raises(OSError, match="No space"):
        cache.store(record(PLAN + b"new"), PLAN + b"new")
    (entry,) = cache.entries()
    assert cache.read(entry) == PLAN
    assert [path.name for path in cache.folder.iterdir()] == [entry.folder.name]


def test_builders_that_race_for_a_place_both_succeed(cache: EngineCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one's engine came to lie there between the old one's removal and the new one's arrival."""
    cache.store(record(), PLAN)
    rename, raced = Path.rename, []

    def another_first(path: Path, target: Path) -> Path:
        if target.name == record().name and not raced:
            raced.append(True)
            EngineCache(cache.folder).store(record(PLAN + b"theirs"), PLAN + b"theirs")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", another_first)
    cache.store(record(PLAN + b"ours"), PLAN + b"ours")
    (entry,) = cache.entries()
    assert cache.read(entry) == PLAN + b"ours"
    assert [path.name for path in cache.folder.iterdir()] == [entry.folder.name]


def test_what_cannot_be_put_in_place_leaves_what_was_there(cache: EngineCache, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.store(record(), PLAN)
    rename = Path.rename

    def refused(path: Path, target: Path) -> Path:
        if target.name == record().name and not path.name.endswith("-old"):
            raise PermissionError(13, "Permission denied")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(PermissionError):
        cache.store(record(PLAN + b"new"), PLAN + b"new")
    (entry,) = cache.entries()
    assert cache.read(entry) == PLAN


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (lambda papers: papers.chmod(0o666), "others may write to it"),
        (lambda papers: papers.parent.chmod(0o777), "others may write to it"),
        (lambda papers: papers.rename(papers.parent / "other") and papers.symlink_to("other"), "is a link"),
    ],
)
def test_papers_that_are_not_ones_own_are_not_read(
    cache: EngineCache, harm: Callable[[Path], object], problem: str
) -> None:
    """They say which engine is taken, and what its checksum is."""
    harm(cache.store(record(), PLAN) / PAPERS)
    (entry,) = cache.entries()
    assert entry.record is None
    assert problem in entry.problem


def test_the_very_bytes_that_were_compared_are_taken_in(
    cache: EngineCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two readings of a file, somebody else may write another one."""
    folder = EngineCache(tmp_path / "theirs").store(record(), PLAN)
    read, reads = Path.read_bytes, []

    def exchanged_after(path: Path) -> bytes:
        content = read(path)
        if path == folder / ENGINE:
            reads.append(path)
            path.write_bytes(b"something else")
        return content

    monkeypatch.setattr(Path, "read_bytes", exchanged_after)
    cache.adopt(folder, record().engine_sha256)
    monkeypatch.undo()
    (entry,) = cache.entries()
    assert cache.read(entry) == PLAN
    assert len(reads) == 1


def test_a_folder_without_an_engine_is_named(cache: EngineCache, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"engine\.plan cannot be read"):
        cache.adopt(tmp_path, "0" * 64)


def test_an_engine_from_elsewhere_needs_a_checksum_from_elsewhere(cache: EngineCache, tmp_path: Path) -> None:
    theirs = EngineCache(tmp_path / "theirs")
    folder = theirs.store(record(), PLAN)
    with pytest.raises(ConfigError, match="not the one vouched for"):
        cache.adopt(folder, "0" * 64)
    assert cache.entries() == []
    cache.adopt(folder, record().engine_sha256.upper())
    (entry,) = cache.entries()
    assert cache.read(entry) == PLAN


def test_removing(cache: EngineCache) -> None:
    folder = cache.store(record(), PLAN)
    with pytest.raises(ConfigError, match="engines list"):
        cache.remove("../" + folder.name)
    cache.remove(folder.name)
    assert cache.entries() == []


def test_timings_are_kept_beside_the_engines(cache: EngineCache) -> None:
    assert cache.timings("tensorrt-10") == b""
    cache.keep_timings("tensorrt-10", b"measured")
    assert cache.timings("tensorrt-10") == b"measured"
    assert cache.entries() == []
