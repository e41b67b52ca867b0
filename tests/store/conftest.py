"""The same tests against every kind of store."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from reid_tracker.store import PostgresStore, SqliteStore, Store
from tests.store.servers import PostgresServer

SQLITE, PLAIN, PGVECTOR = "sqlite", "postgresql", "postgresql with pgvector"
KINDS = [SQLITE, *(pytest.param(kind, marks=pytest.mark.slow) for kind in (PLAIN, PGVECTOR))]


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str], PostgresServer]]:
    """A server of each kind, started when it is first asked for."""
    started: dict[str, PostgresServer] = {}

    def server(kind: str) -> PostgresServer:
        if kind not in started:
            folder = ending.enter_context(tempfile.TemporaryDirectory(prefix="postgres-"))
            Path(folder).chmod(0o711)
            started[kind] = PostgresServer(Path(folder), kind == PGVECTOR)
            ending.callback(started[kind].kill)
        return started[kind]

    with ExitStack() as ending:
        yield server


@pytest.fixture
def database(servers: Callable[[str], PostgresServer], kind: str) -> str:
    """Address of an empty schema, which is quicker to make than a database; of the test's ``kind`` of server."""
    server = servers(kind)
    import psycopg

    with closing(psycopg.connect(server.url, autocommit=True)) as base:
        (count,) = base.execute("SELECT count(*) FROM pg_namespace").fetchone() or (0,)
        name = f"test_{count}"
        base.execute(f"CREATE SCHEMA {name}".encode())
        if kind == PGVECTOR:
            base.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
    return f"{server.url}?options=-csearch_path%3D{name},public"


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a store keeps beside a database goes with the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Of store."""
    return str(request.param)


@pytest.fixture
def reopen(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], Store]:
    """Opens one store; again and again."""
    if kind == SQLITE:
        return lambda: SqliteStore(tmp_path / "people.db")
    url = request.getfixturevalue("database")
    return lambda: PostgresStore(url, "people")


@pytest.fixture
def store(reopen: Callable[[], Store]) -> Iterator[Store]:
    """An empty store."""
    opened = reopen()
    yield opened
    opened.close()
