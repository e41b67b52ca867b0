"""What only a database server can do: go away, come back, say nothing, refuse. The rest is in test_store."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import closing

import numpy as np
import pytest

from reid_tracker.config import StoreConfig
from reid_tracker.errors import ConfigError, StoreError
from reid_tracker.service.memory import open_store
from reid_tracker.store import LookIndex, PostgresStore, Recorder
from tests.outbound.servers import wait_for
from tests.processes import free_port
from tests.store.conftest import PGVECTOR, PLAIN
from tests.store.servers import PostgresServer
from tests.store.test_store import batch, looks, passage

pytest.importorskip("psycopg", reason="needs the extra 'postgres'")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [PLAIN])
def test_a_database_that_goes_away_is_waited_for(
    servers: Callable[[str], PostgresServer], kind: str, database: str
) -> None:
    """Nothing is lost, whoever asks meanwhile is told at once, and the same store goes on afterwards."""
    server = servers(kind)
    store = PostgresStore(database, "people")
    recorder = Recorder(store, LookIndex(), looks=3)
    recorder.take([], [passage(1, 1)])
    recorder.flush()
    server.kill()
    try:
        recorder.take([], [passage(2, 2)])
        wait_for(lambda: recorder.report().failure != "")
        assert recorder.report().failure.startswith("store people: ")
        assert recorder.report().waiting == 1
        began = time.monotonic()
        for _ in range(20):
            with pytest.raises(StoreError):
                store.history(1)
        assert time.monotonic() - began < 10
    finally:
        server.start()
    wait_for(lambda: recorder.report().failure == "", 30)
    assert (recorder.report().waiting, recorder.report().lost) == (0, 0)
    assert [each.identity for each in store.people(0, 1000, 10)] == [1, 2]
    assert len(recorder.index) == 2
    recorder.close()
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", [PLAIN])
def test_a_database_that_says_nothing_is_given_up(
    servers: Callable[[str], PostgresServer], kind: str, database: str
) -> None:
    server = servers(kind)
    store = PostgresStore(database, "people", answer_seconds=1.0)
    store.save(batch(passage(1, 1)))
    server.freeze()
    try:
        began = time.monotonic()
        with pytest.raises(StoreError, match="store people"):
            store.history(1)
        assert 0.9 < time.monotonic() - began < 10
    finally:
        server.thaw()
    wait_for(lambda: answers(store), 30)
    assert [each.tracklet for each in store.history(1)] == [1]
    store.close()


def answers(store: PostgresStore) -> bool:
    try:
        store.people(0, 1, 1)
    except StoreError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("kind", [PLAIN])
def test_the_end_does_not_wait_for_a_database_that_is_away(
    servers: Callable[[str], PostgresServer], kind: str, database: str
) -> None:
    store = PostgresStore(database, "people")
    store.save(batch(passage(1, 1)))
    servers(kind).kill()
    try:
        store.close()
        store.close()
        with pytest.raises(StoreError, match="closed"):
            store.history(1)
        with pytest.raises(StoreError, match="people"):
            PostgresStore(database, "people")
    finally:
        servers(kind).start()
    again = PostgresStore(database, "people")
    assert again.numbers().identity > 9  # it was not closed in order
    again.close()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "type_"), [(PLAIN, "_float4"), (PGVECTOR, "vector")])
def test_others_find_looks_by_sql(database: str, type_: str) -> None:
    """With pgvector, by its distance; the nearest is who it should be."""
    import psycopg

    store = PostgresStore(database, "people")
    store.save(batch(*(passage(number, number) for number in range(1, 30))))
    store.close()
    with closing(psycopg.connect(database)) as base:
        columns = base.execute(
            "SELECT udt_name FROM information_schema.columns WHERE table_name = 'sightings' AND column_name = 'mean' "
            "AND table_schema = current_schema()"
        ).fetchall()
        assert columns == [(type_,)]
        if type_ == "vector":
            asked = looks(17, 1, noise=0.3).global_[0].astype(np.float64).tolist()
            nearest = base.execute(
                "SELECT identity FROM sightings ORDER BY mean <=> %s::vector LIMIT 1", (str(asked),)
            ).fetchone()
            assert nearest == (17,)


def test_a_database_that_is_nowhere_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "s3cret/@")
    config = StoreConfig(url=f"postgresql://people:${{DB_PASSWORD}}@127.0.0.1:{free_port()}/people")
    with pytest.raises(StoreError, match=r"store postgresql://\*\*\*@127\.0\.0\.1:\d+/people: ") as failure:
        open_store(config)
    assert "s3cret" not in str(failure.value)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"url": "mysql://a/b"}, "begins with postgresql://"),
        ({"url": "postgresql://a/b", "path": "people.db"}, "choose one"),
        ({"url": "postgresql://me:${NOT_SET_ANYWHERE}@a/b"}, "NOT_SET_ANYWHERE is not set"),
    ],
)
def test_what_cannot_work_is_said(settings: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        open_store(StoreConfig(**settings))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"reid_tracker\[postgres\]"):
        open_store(StoreConfig(url="postgresql://a/b"))
