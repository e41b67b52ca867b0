"""Other programs are told while the service tracks, and cannot disturb it."""

from __future__ import annotations

import time
from pathlib import Path

import httpx
import pytest

from reid_tracker.config import WebhookConfig
from reid_tracker.service.access import Access
from reid_tracker.service.runtime import Service
from tests.outbound.servers import Subscriber, broker, receiver
from tests.processes import free_port
from tests.service.conftest import listening, site_config, wait_for
from tests.service.site import colour_pipeline

QUICK = {"outbound.first_wait": 0.1, "outbound.most_wait": 0.2, "outbound.closing_seconds": 0.5}


@pytest.mark.slow
def test_a_webhook_and_a_broker_hear_of_each_person_once(scenes: Path, tmp_path: Path) -> None:
    """Three people, two of them in one camera each and one in both; hundreds of frames."""
    server = broker(tmp_path)
    with receiver() as hook, Subscriber(server.port) as heard:
        webhook = WebhookConfig(name="alarm", url=hook.url)
        config = site_config(
            scenes, **{**QUICK, "webhooks": [webhook.model_dump()], "mqtt.host": "127.0.0.1", "mqtt.port": server.port}
        )
        with Service(config, colour_pipeline) as service:
            wait_for(lambda: len(service.people_present()) >= 3, 30)
            wait_for(lambda: service.site.report().frames > 80, 30)
            wait_for(lambda: len(heard.of("reid_tracker/events")) >= 3, 30)
            wait_for(lambda: [each["people"] for each in heard.of("reid_tracker/people")][-1:] == [3], 30)
        told = [(body["kind"], body["identity"], body["camera"]) for body in hook.bodies() if body["kind"] != "ended"]
        assert len(told) == len(set(told)) <= 8
        assert len([each for each in told if each[0] == "arrived"]) >= 3
        published = [(body["kind"], body["identity"], body["camera"]) for body in heard.of("reid_tracker/events")]
        assert [each for each in published if each[0] != "ended"] == told
        assert {body["kind"] for body in hook.bodies()[len(told) :]} <= {"ended"}  # said as the program ended
    server.kill()


@pytest.mark.slow
def test_destinations_that_are_away_change_nothing_and_are_shown(scenes: Path) -> None:
    webhook = WebhookConfig(name="alarm", url=f"http://127.0.0.1:{free_port()}/")
    away = {"webhooks": [webhook.model_dump()], "mqtt.host": "127.0.0.1", "mqtt.port": free_port()}
    config = site_config(scenes, **{**QUICK, **away, "outbound.queue": 2})
    with Service(config, colour_pipeline) as service, listening(service, Access({})) as address:
        wait_for(lambda: len(service.people_present()) >= 3, 30)
        wait_for(lambda: all(report.failure for report in service.announcer.report().values()), 30)
        before = service.site.report().frames
        wait_for(lambda: service.site.report().frames > before + 20, 30)
        assert service.site.report().failures == {}
        with httpx.Client(base_url=address, timeout=30) as client:
            health = client.get("/api/health").json()
            metrics = client.get("/metrics").text
        assert health["status"] == "degraded"
        assert "cannot be reached" in health["outbound"]["mqtt"]["failure"]
        assert health["outbound"]["alarm"]["retried"]["unreachable"] >= 1
        assert 'reid_tracker_outbound_up{destination="mqtt"} 0' in metrics
        assert 'reid_tracker_outbound_retried_total{destination="alarm",reason="unreachable"}' in metrics
        began = time.monotonic()
    assert time.monotonic() - began < 15
    left = service.announcer.report()["alarm"]
    assert left.waiting == 0
    assert left.dropped["stopped"] + left.dropped["queue_full"] >= 3
