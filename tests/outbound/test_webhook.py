"""Webhooks against a real server that fails, hangs, says 500 and comes back."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reid_tracker.config import OutboundConfig, WebhookConfig
from reid_tracker.errors import ConfigError
from reid_tracker.outbound import Delivery, DeliveryError, EventTeller, Message
from reid_tracker.outbound.webhook import Webhook
from reid_tracker.types import EventType
from tests.certificates import self_signed
from tests.outbound.conftest import event
from tests.outbound.servers import receiver, wait_for
from tests.processes import free_port

SECRET = "whsec_" + base64.b64encode(b"twenty-four random bytes").decode()
TELLER = EventTeller("run", 0)


def told(number: int, camera: str = "door", kind: EventType = EventType.STARTED) -> Message:
    return TELLER.tell(event(number, kind, number, camera)).message


@contextmanager
def delivery_to(url: str, config: OutboundConfig, **settings: object) -> Iterator[Delivery]:
    webhook = Webhook(
        WebhookConfig(name="alarm", url=url, **settings), config.timeout_seconds, {**os.environ, "SECRET": SECRET}
    )
    delivery = Delivery("alarm", webhook, config)
    delivery.start()
    yield delivery
    delivery.close()


def test_a_receiver_gets_each_event_once_signed(quick: OutboundConfig) -> None:
    """The check is that of the specification's own library."""
    webhooks = pytest.importorskip("standardwebhooks.webhooks", reason="needs the extra 'dev'")
    with receiver() as server, delivery_to(server.url, quick, secret_variable="SECRET") as delivery:
        for number in (1, 2):
            delivery.put(told(number))
        wait_for(lambda: delivery.report().sent == 2)
        checker = webhooks.Webhook(SECRET)
        for headers, body in server.taken:
            assert checker.verify(body, headers)["id"] == headers["webhook-id"]
            assert headers["idempotency-key"] == f'"{headers["webhook-id"]}"'
            with pytest.raises(webhooks.WebhookVerificationError):
                checker.verify(body.replace(b"arrived", b"ended"), headers)
        assert [body["identity"] for body in server.bodies()] == [1, 2]


def test_without_a_secret_nothing_is_signed(quick: OutboundConfig) -> None:
    with receiver() as server, delivery_to(server.url, quick) as delivery:
        delivery.put(told(1))
        wait_for(lambda: delivery.report().sent == 1)
        assert "webhook-signature" not in server.taken[0][0]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(500, "http_500"), (429, "http_429"), ("hang", "timed_out"), ("trickle", "timed_out"), ("garbage", "garbled")],
)
def test_a_server_that_fails_gets_the_same_message_again(quick: OutboundConfig, answer: int | str, reason: str) -> None:
    with receiver() as server, delivery_to(server.url, quick) as delivery:
        server.answer = answer
        delivery.put(told(1))
        delivery.put(told(2))
        wait_for(lambda: delivery.report().retried[reason] >= 2)
        assert delivery.report().failure.startswith("webhook alarm: ")
        server.answer = 200
        wait_for(lambda: delivery.report().sent == 2)
        assert [body["identity"] for body in server.bodies()[-2:]] == [1, 2]
        assert len({headers["webhook-id"] for headers, _ in server.taken}) == 2  # however often they were sent
        assert delivery.report().failure == ""


@pytest.mark.parametrize("answer", [400, 410, 302])
def test_a_server_that_does_not_want_it_is_not_asked_again(quick: OutboundConfig, answer: int) -> None:
    """Redirects are refused too: they would carry events where nobody configured them to go."""
    with receiver() as server, delivery_to(server.url, quick) as delivery:
        server.answer = answer
        delivery.put(told(1))
        wait_for(lambda: delivery.report().dropped == {f"http_{answer}": 1})
        server.answer = 204
        delivery.put(told(2))
        wait_for(lambda: delivery.report().sent == 1)
        assert server.tries == 2


def test_a_server_may_ask_for_patience(quick: OutboundConfig) -> None:
    with receiver() as server, delivery_to(server.url, quick) as delivery:
        server.answer, server.retry_after = 503, "100"
        delivery.put(told(1))
        wait_for(lambda: delivery.report().retried == {"http_503": 1})
        server.answer = 204
        time.sleep(5 * quick.most_wait)
        assert server.tries == 1


def test_a_server_that_is_away_is_waited_for(quick: OutboundConfig) -> None:
    port = free_port()
    with delivery_to(f"http://127.0.0.1:{port}/", quick) as delivery:
        delivery.put(told(1))
        wait_for(lambda: delivery.report().retried["unreachable"] >= 2)
        for number in range(2, 20):
            delivery.put(told(number))
        assert delivery.report().waiting == 1 + quick.queue  # the one that is tried, and the newest
        assert delivery.report().dropped == {"queue_full": 19 - 1 - quick.queue}
        with receiver(port) as server:
            wait_for(lambda: delivery.report().sent == 1 + quick.queue)
            assert [body["identity"] for body in server.bodies()] == [1, 15, 16, 17, 18, 19]


def test_a_webhook_hears_what_it_asked_for(quick: OutboundConfig) -> None:
    with receiver() as server, delivery_to(server.url, quick, kinds=["returned"], cameras=["hall"]) as delivery:
        for message in (told(101, "hall"), told(102, "door", EventType.LINKED), told(103, "hall", EventType.LINKED)):
            delivery.put(message)
        wait_for(lambda: delivery.report().sent == 1)
        assert server.bodies()[0]["identity"] == 103


def test_user_and_password_come_from_the_environment_and_are_shown_nowhere(quick: OutboundConfig) -> None:
    with receiver() as server:
        url = server.url.replace("http://", "http://me:${PASS}@")
        webhook = Webhook(WebhookConfig(name="alarm", url=url), 1, {"PASS": "s3cret/é"})
        webhook.send(told(1))
        given = server.taken[0][0]["authorization"].removeprefix("Basic ")
        assert base64.b64decode(given).decode() == "me:s3cret/é"
    delivery = Delivery("alarm", webhook, quick)
    delivery.start()
    delivery.put(told(1))
    wait_for(lambda: delivery.report().failure != "")
    assert "s3cret" not in delivery.report().failure
    delivery.close()


def test_over_tls_only_a_receiver_with_a_trusted_certificate_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = self_signed(tmp_path)
    with receiver(tls=certificate) as server:
        address = WebhookConfig(name="alarm", url=server.url.replace("http:", "https:"))
        with pytest.raises(DeliveryError, match="certificate verify failed") as failure:
            Webhook(address, 5).send(told(1))
        assert (failure.value.reason, failure.value.again) == ("tls", True)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        Webhook(address, 5).send(told(2))
        assert [body["identity"] for body in server.bodies()] == [2]


@pytest.mark.parametrize(
    ("settings", "environment", "told_so"),
    [
        ({"url": "ftp://a/b"}, {}, "expected http"),
        ({"url": "https:///b"}, {}, "expected http"),
        ({"url": "https://${NAME}@a/"}, {}, "NAME is not set"),
        ({"url": "http://a/hook/${NAME}"}, {"NAME": "s3cr et"}, "percent-code blanks"),
        ({"url": "http://a/hook/${NAME}"}, {"NAME": "s3cré"}, "percent-code blanks"),
        ({"url": "http://me:s3c/ret@a/"}, {}, "expected a number as port"),
        ({"url": "https://a/", "secret_variable": "KEY"}, {}, "KEY is not set"),
        ({"url": "https://a/", "secret_variable": "KEY"}, {"KEY": "short"}, "shorter than 16 bytes"),
        ({"url": "https://a/", "secret_variable": "KEY"}, {"KEY": "whsec_!"}, "not base64"),
    ],
)
def test_what_cannot_work_is_said_before_the_start(
    settings: dict[str, str], environment: dict[str, str], told_so: str
) -> None:
    with pytest.raises(ConfigError, match=told_so) as refused:
        Webhook(WebhookConfig(name="alarm", **settings), 1, environment)
    assert "s3c" not in str(refused.value)


def test_a_message_is_plain_json() -> None:
    assert json.loads(told(1).body).keys() == {
        "version", "id", "kind", "identity", "camera", "from_camera", "timestamp", "event"
    }  # fmt: skip
