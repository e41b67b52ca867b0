"""The service over a PostgreSQL server that goes away and comes back: tracking does not notice."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from reid_tracker.service.access import Access
from reid_tracker.service.runtime import Service
from tests.service.conftest import listening, site_config, wait_for
from tests.service.site import colour_pipeline
from tests.store.servers import PostgresServer


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server of this test's own, since it is killed."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        Path(folder).chmod(0o711)
        started = PostgresServer(Path(folder), pgvector=False)
        yield started
        started.kill()


@pytest.mark.slow
def test_the_present_goes_on_without_the_database_and_the_past_comes_back(
    scenes: Path, server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    config = site_config(scenes, **{"store.url": server.url})
    with (
        Service(config, colour_pipeline) as service,
        listening(service, Access({})) as address,
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        wait_for(lambda: len(client.get("/api/identities").json()) >= 3, 30)
        began = min(person["first_seen"] for person in client.get("/api/identities").json())
        server.kill()
        wait_for(lambda: client.get("/api/health").json()["store_failure"] != "", 20)
        frames = service.site.report().frames
        wait_for(lambda: service.site.report().frames > frames + 20, 30)
        assert len(client.get("/api/people").json()) == 3
        refused = client.get("/api/identities")
        assert refused.status_code == 503
        assert refused.json()["detail"].startswith("store postgresql://")
        server.start()
        wait_for(lambda: client.get("/api/health").json()["status"] == "ok", 30)
        assert client.get("/api/health").json()["store_lost"] == 0
        people = client.get("/api/identities").json()
        assert len(people) >= 3
        assert min(person["first_seen"] for person in people) == began
        assert service.site.report().failures == {}
        known = {person["identity"] for person in people}
    with Service(config, colour_pipeline) as again:  # people keep their numbers over a restart
        wait_for(lambda: len(again.people_present()) >= 3, 30)
        assert set(again.people_present()) <= known
