"""Memory that lasts: what is written is there after a kill, what is erased is gone from every byte."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reid_tracker.association.corrections import Correction
from reid_tracker.association.remembered import RememberedPassage
from reid_tracker.errors import StoreError
from reid_tracker.store import (
    Batch,
    IndexedLook,
    LookIndex,
    Numbers,
    Recorder,
    RecorderReport,
    SqliteStore,
    Store,
    StoredCrop,
    search,
)
from reid_tracker.store.vectors import mean_look
from reid_tracker.types import Appearance, EventType, IdentityEvent, TrackedFrame

DIMENSION, STRIPES = 32, 8


def looks(person: int, count: int = 3, noise: float = 0.2) -> Appearance:
    """Looks of a person: their own vector and noise."""
    own = np.random.default_rng(person).standard_normal((1 + STRIPES, DIMENSION))
    jitter = np.random.default_rng(person + 10_000).standard_normal((count, 1 + STRIPES, DIMENSION))
    vectors = own + noise * jitter
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    vectors = vectors.astype(np.float32)
    return Appearance(vectors[:, 0], vectors[:, 1:], np.full(count, 0.8, np.float32), np.ones(count, np.bool_))


def passage(
    tracklet: int, identity: int, start: float = 0.0, camera: str = "door", person: int | None = None
) -> RememberedPassage:
    return RememberedPassage(tracklet, identity, camera, start, start + 5, looks(person or identity))


def event(
    number: int, kind: EventType, identity: int, tracklets: tuple[int, ...] = (), gone: tuple[int, ...] = ()
) -> IdentityEvent:
    return IdentityEvent(number, kind, float(number), "door", identity, tracklets, gone)


def batch(
    *passages: RememberedPassage, events: tuple[IdentityEvent, ...] = (), crops: tuple[StoredCrop, ...] = ()
) -> Batch:
    return Batch({each.tracklet: each for each in passages}, list(events), list(crops), Numbers(9, 9, 9))


def test_what_was_saved_comes_back(store: Store) -> None:
    store.save(batch(passage(1, 1), passage(2, 1, 30, "hall"), passage(3, 2, 10)))
    (_, back) = store.sightings([1])[1]
    assert back.looks is not None
    np.testing.assert_allclose(back.looks.global_, looks(1).global_, atol=1e-3)
    np.testing.assert_allclose(back.looks.stripes, looks(1).stripes, atol=1e-3)
    assert [(each.camera_id, each.started) for each in store.history(1)] == [("door", 0), ("hall", 30)]
    people = store.people(0, 100, 10)
    assert [(one.identity, one.sightings, one.cameras) for one in people] == [
        (1, 2, ("door", "hall")),
        (2, 1, ("door",)),
    ]


def test_events_move_sightings(store: Store) -> None:
    store.save(batch(passage(1, 1), passage(2, 2, 30), passage(3, 2, 60)))
    store.save(batch(events=(event(1, EventType.MERGED, 1, (2, 3), (2,)),)))
    assert [each.tracklet for each in store.history(1)] == [1, 2, 3]
    store.save(batch(events=(event(2, EventType.SPLIT, 7, (3,), (1,)),)))
    assert [each.tracklet for each in store.history(7)] == [3]
    assert [each["event_id"] for each in store.events_after(1, 10)] == [2]
    assert [each["event_id"] for each in store.events_of(1)] == [1, 2]


def test_an_unknown_identity_leaves_the_known_one(store: Store) -> None:
    store.save(batch(passage(1, 4)))
    store.save(batch(passage(1, 0, person=4)))
    assert [each.tracklet for each in store.history(4)] == [1]


def test_memory_is_bounded_by_age_people_and_passages(store: Store) -> None:
    store.save(
        batch(*(passage(number, 1, number * 10) for number in range(1, 9)), passage(20, 2, 500), passage(30, 3, -900))
    )
    tracklets = {each.tracklet for each in store.remembered(since=0, per_camera=3, most_people=10)}
    assert tracklets == {6, 7, 8, 20}
    assert {each.identity for each in store.remembered(since=0, per_camera=3, most_people=1)} == {2}


PICTURE = b"\xff\xd8 a picture of one person, very recognisable \xff\xd9" * 20


def two_people() -> Batch:
    return batch(
        passage(1, 1),
        passage(2, 2),
        crops=(StoredCrop(1, 1.0, 0.9, PICTURE), StoredCrop(77, 1.0, 0.9, b"of nobody who is kept")),
        events=(event(1, EventType.STARTED, 1, (1,)), event(2, EventType.STARTED, 2, (2,))),
    )


def test_erasing_leaves_nothing_of_the_person(store: Store) -> None:
    store.save(two_people())
    [(number, quality)] = store.crops_of(1)
    assert (store.crop(number), round(quality, 3)) == (PICTURE, 0.9)
    assert store.crops_of(77) == []
    assert store.erase(1).tracklets == (1,)
    assert store.history(1) == store.events_of(1) == store.crops_of(1) == []
    assert store.crop(number) is None
    assert [each.tracklet for each in store.vectors()] == [2]
    assert [each.tracklet for each in store.history(2)] == [2]
    assert store.erase(1).tracklets == ()


def test_erasing_leaves_no_byte_in_the_file(tmp_path: Path) -> None:
    """Deleted rows stay readable in SQLite's free pages and log unless told otherwise."""
    store = SqliteStore(tmp_path / "people.db")
    store.save(two_people())
    vector = looks(1).global_.astype(np.float16).tobytes()

    def on_disk(needle: bytes) -> bool:
        return any(needle in file.read_bytes() for file in tmp_path.iterdir())

    assert on_disk(vector)
    assert on_disk(PICTURE)
    assert store.erase(1).tracklets == (1,)
    assert not on_disk(vector)
    assert not on_disk(PICTURE)
    store.close()


def test_erasing_takes_what_was_merged_into_the_person(store: Store) -> None:
    store.save(
        batch(
            passage(1, 1),
            passage(2, 2, 30),
            events=(event(1, EventType.STARTED, 1, (1,)), event(2, EventType.STARTED, 2, (2,))),
        )
    )
    store.save(batch(events=(event(3, EventType.MERGED, 1, (2,), (2,)),)))
    erased = store.erase(1)
    assert sorted(erased.tracklets) == [1, 2]
    assert erased.numbers == {1, 2}
    assert store.events_after(0, 10) == []


class UntidyStore(SqliteStore):
    """A database that removes rows and, for a while, can take nothing from the disk."""

    busy = False

    def _after_erasing(self) -> None:
        if self.busy:
            raise StoreError("store: VACUUM took longer than 30 s")
        super()._after_erasing()


def test_what_cannot_be_tidied_is_erased_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The failure once kept whoever was erased or had expired in the index until the next start."""
    monkeypatch.setattr("reid_tracker.store.tidying._PAUSE_SECONDS", 0.1)
    store = UntidyStore(tmp_path / "people.db")
    recorder = Recorder(store, LookIndex(), looks=3, retention_seconds=100, utc=lambda: 200.0)
    recorder.take([], [passage(1, 1, 150), passage(2, 2, 150), passage(3, 3, 0)])
    store.busy = True
    recorder.flush()
    wait_for(lambda: len(recorder.index) == 2)  # one has expired
    assert recorder.erase(1).tracklets == (1,)
    assert len(recorder.index) == 1
    wait_for(lambda: "VACUUM" in recorder.report().failure)
    store.busy = False
    wait_for(lambda: recorder.report().failure == "")
    recorder.close()
    store.close()


def test_what_a_reader_keeps_in_the_log_is_taken_from_it_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads holds the write-ahead log as it is, and that was not noticed."""
    monkeypatch.setattr("reid_tracker.store.tidying._PAUSE_SECONDS", 0.0)
    store = SqliteStore(tmp_path / "people.db")
    store.save(two_people())
    with closing(sqlite3.connect(tmp_path / "people.db")) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sightings").fetchone()
        assert store.erase(1).tracklets == (1,)
        with pytest.raises(StoreError, match="another program reads it"):
            store.tidy()
        reader.rollback()
        store.tidy()
        assert not any(PICTURE in file.read_bytes() for file in tmp_path.iterdir())
    store.close()


def test_old_things_expire(store: Store) -> None:
    store.save(batch(passage(1, 1, 0), passage(2, 2, 100), events=(event(1, EventType.STARTED, 1, (1,)),)))
    assert store.expire(50) == [1]
    assert [one.identity for one in store.people(0, 1000, 10)] == [2]
    assert store.events_after(0, 10) == []


def test_people_are_counted_over_time(store: Store) -> None:
    store.save(batch(passage(1, 1, 0), passage(2, 2, 8), passage(3, 1, 12), passage(4, 3, 3, "hall")))
    assert store.counts(0, 30, 10) == [(0, "door", 2), (0, "hall", 1), (10, "door", 2)]


def abandon(store: Store) -> None:
    """Leave a store as a killed program does."""
    if isinstance(store, SqliteStore):
        store._opened.close()
    else:
        store._drop()  # type: ignore[attr-defined]
    store._closed = True  # type: ignore[attr-defined]


def test_numbers_go_on_after_a_clean_end_and_skip_after_a_kill(reopen: Callable[[], Store]) -> None:
    first = reopen()
    first.save(batch(passage(1, 1)))
    first.close()
    second = reopen()
    assert second.numbers() == Numbers(9, 9, 9)
    abandon(second)
    third = reopen()
    assert third.numbers().identity > 9
    third.close()


def test_numbers_given_while_the_database_is_away_are_not_given_again(
    reopen: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a killed run is given credit for; they are known to whoever was told of them."""
    store = reopen()
    store.save(batch(passage(1, 1)))
    recorder = Recorder(store, LookIndex(), looks=3)

    def away(_batch: Batch) -> None:
        raise StoreError("store: the database does not answer")

    monkeypatch.setattr(store, "save", away)
    started = event(70_000, EventType.STARTED, 50_000, (60_000,))
    recorder.take([TrackedFrame("door", 1, 1.0, (), (started,))], [passage(60_000, 50_000)])
    with pytest.raises(StoreError):
        recorder.flush()
    recorder.close()
    abandon(store)
    again = reopen()
    numbers = again.numbers()
    assert min(numbers.identity - 50_000, numbers.tracklet - 60_000, numbers.event - 70_000) >= 0
    again.save(Batch(numbers=numbers))
    again.close()
    last = reopen()
    assert last._high_water.numbers == Numbers()  # type: ignore[attr-defined]
    assert last.numbers() == numbers
    last.close()


def test_two_programs_cannot_write_to_one_store(reopen: Callable[[], Store]) -> None:
    """Both would give the same numbers, and the end of one would hide that the other one was killed."""
    first = reopen()
    with pytest.raises(StoreError, match=r"another program.* writes to it; end that one, or choose another"):
        reopen()
    first.save(batch(passage(1, 1)))
    first.close()
    reopen().close()


def test_vectors_come_back_whole_and_in_pieces(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reid_tracker.store.sql._VECTORS_AT_ONCE", 3)
    store.save(batch(*(passage(number, number) for number in range(1, 11))))
    back = {each.tracklet: each for each in store.vectors()}
    assert sorted(back) == list(range(1, 11))
    for number, (_, vector, camera, started, ended) in back.items():
        assert (camera, started, ended) == ("door", 0, 5)
        assert vector is not None
        assert vector.dtype == np.float32
        np.testing.assert_allclose(vector, mean_look(looks(number)), atol=1e-3)


def apart(store: Store) -> dict[int, frozenset[int]]:
    return {passage.tracklet: passage.apart for passage in store.remembered(0, 10, 10)}


def test_people_who_were_told_apart_stay_so(store: Store) -> None:
    store.save(batch(passage(1, 1), passage(2, 2), passage(3, 3)))
    store.correct(Correction("never", (1,), (2, 3, 77), (1, 2), "2026-05-01T08:00:00+00:00"))
    assert apart(store) == {1: {2, 3}, 2: {1}, 3: {1}}
    store.correct(Correction("merge", (1,), (2,), (1, 2), "2026-05-01T08:01:00+00:00"))
    assert apart(store) == {1: {3}, 2: set(), 3: {1}}  # who is told to be one is no longer kept apart


def test_what_was_said_of_those_who_are_gone_goes_too(store: Store) -> None:
    store.save(batch(passage(1, 1), passage(2, 1, 100), passage(3, 2, 100), passage(4, 3, 100)))
    whole = Correction("never", (1, 2), (3,), (1, 2), "2026-05-01T08:00:00+00:00")
    other = Correction("never", (3,), (4,), (2, 3), "2026-05-01T08:00:01+00:00")
    for told in (whole, other):
        store.correct(told)
    store.expire(50)
    assert store.corrections() == [replace(whole, some=(2,)), other]
    store.erase(1)
    assert store.corrections() == [other]


def test_a_batch_is_written_whole_or_not_at_all(store: Store) -> None:
    broken = batch(passage(1, 1), crops=(StoredCrop(1, 1.0, 0.9, object()),))  # type: ignore[arg-type]
    with pytest.raises(StoreError):
        store.save(broken)
    assert store.history(1) == []
    store.save(batch(passage(2, 2)))  # the store is fit for use
    assert [each.tracklet for each in store.history(2)] == [2]


def test_vectors_of_two_embedders_are_not_mixed(store: Store) -> None:
    assert store.embedder("a") == "a"
    assert store.embedder("b") == "b"  # nothing was kept yet
    store.save(batch(passage(1, 1)))
    assert store.embedder("c") == "b"


@pytest.mark.parametrize("content", [b"this is no database at all, but long enough to be taken for one" * 30])
def test_what_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "people.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"people\.db"):
        SqliteStore(path)


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "people.db").close()
    assert (tmp_path / "people.db").stat().st_mode & 0o077 == 0


def test_the_audit_log_keeps_order(store: Store) -> None:
    store.note(1, "anna", "search", "picture")
    store.note(2, "ben", "erase", "7")
    assert [(entry.who, entry.about) for entry in store.audit(5)] == [("ben", "7"), ("anna", "picture")]


WRITER = """
import sys, time
sys.path.insert(0, sys.argv[2])
from tests.store.test_store import passage, event
from reid_tracker.store import LookIndex, Recorder, SqliteStore
from reid_tracker.types import EventType, TrackedFrame
recorder = Recorder(SqliteStore(sys.argv[1]), LookIndex(), looks=3)
for number in range(1, 100000):
    frame = TrackedFrame("door", number, float(number), (), (event(number, EventType.STARTED, number, (number,)),))
    recorder.take([frame], [passage(number, number, float(number))])
    print(number, time.time(), flush=True)
    time.sleep(0.01)
"""


@pytest.mark.slow
def test_a_kill_loses_at_most_the_last_second(tmp_path: Path, repository: Path) -> None:
    path = tmp_path / "people.db"
    program = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(repository)], stdout=subprocess.PIPE, text=True, cwd=repository
    )
    assert program.stdout is not None
    lines = []
    while len(lines) < 250:
        lines.append(program.stdout.readline())
    os.kill(program.pid, signal.SIGKILL)
    killed = time.time()
    lines += program.stdout.read().splitlines()
    program.wait()
    program.stdout.close()
    given = [(int(line.split()[0]), float(line.split()[1])) for line in lines if len(line.split()) == 2]
    with closing(sqlite3.connect(path)) as base:
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    store = SqliteStore(path)
    written = {one.identity for one in store.people(0, 1e9, 100_000)}
    missing = [moment for number, moment in given if number not in written]
    # the half second between two writes, and the time a write takes on a busy machine
    assert all(moment > killed - 1.5 for moment in missing)
    assert len(written) > 50
    assert store.numbers().identity >= max(number for number, _ in given)
    store.close()


class AwayStore(SqliteStore):
    """A database that goes away and comes back."""

    away = False

    def save(self, batch: Batch) -> None:
        if self.away:
            raise StoreError("store: the database does not answer")
        super().save(batch)


def test_a_database_that_goes_away_is_waited_for(tmp_path: Path) -> None:
    store = AwayStore(tmp_path / "people.db")
    recorder = Recorder(store, LookIndex(), looks=3)
    store.away = True
    recorder.take([], [passage(1, 1)])
    deadline = time.monotonic() + 10
    while not recorder.report().failure and time.monotonic() < deadline:
        time.sleep(0.05)
    assert "does not answer" in recorder.report().failure
    assert recorder.report().waiting == 1
    store.away = False
    recorder.close()
    assert recorder.report().failure == ""
    assert [each.tracklet for each in store.history(1)] == [1]
    store.close()


def test_what_cannot_be_written_is_counted_and_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw once ended the thread that writes, and nothing was kept from then on."""
    with closing(SqliteStore(tmp_path / "people.db")) as store:
        recorder = Recorder(store, LookIndex(), looks=3)
        save = store.save
        monkeypatch.setattr(store, "save", lambda _batch: {}["unforeseen"])
        recorder.take_crops([StoredCrop(1, 0.0, 0.9, b"jpeg")])
        wait_for(lambda: "KeyError" in recorder.report().failure)
        assert recorder.report().lost == 1
        monkeypatch.setattr(store, "save", save)
        recorder.take([], [passage(2, 1)])
        wait_for(lambda: [each.tracklet for each in store.history(1)] == [2])
        recorder.close()
        assert recorder.report() == RecorderReport(0, 1, "")


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something holds; fail where it does not."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_waits_is_bounded_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reid_tracker.store.recorder._MOST_WAITING", 50)
    store = AwayStore(tmp_path / "people.db")
    store.away = True
    recorder = Recorder(store, LookIndex(), looks=3)
    for number in range(1, 200):
        recorder.take([], [passage(number, number)])
    assert recorder.report().waiting <= 50
    assert recorder.report().lost >= 149
    recorder.close()
    store.close()


def test_few_pictures_wait(tmp_path: Path) -> None:
    """They are most of what waits: 20,000 of them were half a gigabyte."""
    store = AwayStore(tmp_path / "people.db")
    store.away = True
    recorder = Recorder(store, LookIndex(), looks=3)
    recorder.take([], [passage(1, 1)])
    for number in range(1100):
        recorder.take_crops([StoredCrop(1, float(number), 0.9, b"jpeg")])
    assert (recorder.report().waiting, recorder.report().lost) == (1001, 100)
    store.away = False
    recorder.close()
    assert len(store.crops_of(1)) == 1000
    store.close()


def test_erased_people_do_not_come_back_from_what_waits(store: Store) -> None:
    recorder = Recorder(store, LookIndex(), looks=3)
    recorder.take([], [passage(1, 1), passage(2, 2)])
    assert recorder.erase(1).tracklets == (1,)
    recorder.close()
    assert store.history(1) == []
    assert len(recorder.index) == 1


def test_what_is_told_late_of_somebody_erased_is_not_kept(store: Store) -> None:
    """On a cluster a district goes on with a person until it hears of the erasure: with old passages and new ones."""
    recorder = Recorder(store, LookIndex(), looks=3)
    recorder.take([], [passage(1, 1), passage(2, 2)])
    recorder.erase(1)
    assert recorder.erase(9).numbers == {9}  # nobody, yet
    started = event(7, EventType.STARTED, 9, (9,))
    told = (event(5, EventType.LINKED, 1, (3,)), event(6, EventType.ENDED, 1), started)
    recorder.take([TrackedFrame("door", 1, 1.0, (), told)], [passage(1, 1), passage(3, 1), passage(9, 9)])
    recorder.take_crops([StoredCrop(1, 1.0, 0.9, PICTURE), StoredCrop(3, 1.0, 0.9, PICTURE)])
    recorder.close()
    assert {person.identity for person in store.people(0, 1000, 10)} == {2, 9}
    assert [each["event_id"] for each in store.events_after(0, 10)] == [7]
    assert len(recorder.index) == 2
    assert recorder.report().waiting == 0


def test_retention_removes_by_age(store: Store) -> None:
    recorder = Recorder(store, LookIndex(), looks=3, retention_seconds=100, utc=lambda: 200.0)
    recorder.take([], [passage(1, 1, 0), passage(2, 2, 150)])
    recorder.close()
    assert [one.identity for one in store.people(0, 1000, 10)] == [2]
    assert len(recorder.index) == 1


def test_search_ranks_and_filters(store: Store) -> None:
    index = LookIndex()
    passages = [passage(number, number, number * 10, "door" if number % 2 else "hall") for number in range(1, 300)]
    store.save(batch(*passages))
    index.add(store.vectors())
    found = search(store, index, looks(42, 1, noise=0.4), 5)
    assert found[0].sighting.identity == 42
    assert found[0].aligned_distance is not None
    assert [match.distance for match in found] == sorted(match.distance for match in found)
    only = search(store, index, looks(42, 1), 300, camera_id="door", since=1000)
    assert only
    assert all(match.sighting.camera_id == "door" and match.sighting.ended >= 1000 for match in only)


@pytest.mark.parametrize(
    ("filters", "fitting"),
    [
        ({"camera_id": "gate"}, range(5001, 5006)),
        ({"since": 9000.0}, range(5001, 5006)),
        ({"until": 3.0}, range(1, 4)),
        ({"camera_id": "door", "since": 500.0, "until": 504.0}, range(495, 505)),
        ({"camera_id": "nowhere"}, ()),
    ],
)
def test_a_filter_finds_all_that_fit_however_unlike(filters: dict[str, Any], fitting: Sequence[int]) -> None:
    """Filters once took from the nearest sixty of all: in a large store nobody was left."""
    with closing(SqliteStore(":memory:")) as store:
        crowd = [passage(number, number, float(number)) for number in range(1, 3001)]
        few = [passage(number, number, 9000.0 + number, "gate") for number in range(5001, 5006)]
        store.save(batch(*crowd, *few))
        index = LookIndex()
        index.add(store.vectors())
        found = search(store, index, looks(42, 1), 20, **filters)
        assert sorted(match.sighting.tracklet for match in found) == list(fitting)
        assert len(search(store, index, looks(42, 1), 20, camera_id="door")) == 20


def test_the_index_knows_until_when_somebody_was_seen(store: Store) -> None:
    """Also where a passage brings no looks any more, or another one takes its row."""
    recorder = Recorder(store, LookIndex(), looks=3)
    recorder.take([], [passage(1, 1), passage(2, 2)])
    recorder.flush()
    recorder.take([], [replace(passage(2, 2), looks=None, end=80.0)])
    recorder.flush()
    recorder.erase(1)
    query = looks(2, 1)
    assert [match.sighting.tracklet for match in search(store, recorder.index, query, 5, since=60)] == [2]
    assert search(store, recorder.index, query, 5, since=81) == []
    recorder.close()


def test_the_index_agrees_with_measuring_everybody() -> None:
    generator = np.random.default_rng(0)
    spread = generator.standard_normal((64, 64)) * (0.9 ** np.arange(64))[:, None]
    vectors = (generator.standard_normal((5000, 64)) @ spread).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = LookIndex()
    for start in range(0, 5000, 100):
        index.add(IndexedLook(number, vectors[number], "door", 0, 0) for number in range(start, start + 100))
    index.remove(range(0, 5000, 2))
    assert len(index) == 2500
    for query in vectors[:20]:
        exact = 1 - vectors @ query
        best = [number for number in np.argsort(exact, kind="stable").tolist() if number % 2][:10]
        found = index.search(query, 10)
        assert len({number for number, _ in found} & set(best)) >= 9
        np.testing.assert_allclose(
            [distance for _, distance in found], [exact[number] for number, _ in found], atol=2e-3
        )


def test_an_empty_index_finds_nobody() -> None:
    assert LookIndex().search(np.ones(4, np.float32), 3) == []
