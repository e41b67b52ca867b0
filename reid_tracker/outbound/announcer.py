"""Listens to the site and tells every destination; what it does on the tracking thread takes microseconds."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from reid_tracker.config import Config
from reid_tracker.outbound.delivery import Delivery, DeliveryReport, Destination
from reid_tracker.outbound.kafka import KafkaCluster
from reid_tracker.outbound.messages import EventTeller, Message, json_bytes
from reid_tracker.outbound.mqtt import MqttBroker
from reid_tracker.outbound.nats import NatsServer
from reid_tracker.outbound.spool import Spool
from reid_tracker.outbound.webhook import Webhook
from reid_tracker.results.frigate import FrigateTeller
from reid_tracker.types import Frame, IdentityEvent, TrackedFrame

_log = logging.getLogger(__name__)


class Announcer:
    """Turns what the site decides into messages and hands them to the destinations. Thread-safe; a context manager.

    Args:
        config: the tree; its webhooks and broker are the destinations. Where ``outbound.spool`` or ``store.path`` is
            set, what did not arrive outlasts the program.

    Raises:
        ConfigError: a destination, or the file of what did not arrive, cannot be used as it is configured.
    """

    def __init__(self, config: Config) -> None:
        self._run = uuid.uuid4().hex[:12]
        self._lock = threading.Lock()
        self._events = EventTeller(self._run, config.outbound.hold_seconds)
        self._frigate = FrigateTeller() if config.mqtt.host and config.mqtt.frigate else None
        self._counted = bool(config.mqtt.host)
        self._people: dict[str, tuple[int, ...]] = {}
        self._site: tuple[int, ...] | None = None
        self._number = 0
        destinations = _destinations(config)
        self._spool = _opened_spool(config, list(destinations))
        self._deliveries = [Delivery(name, each, config.outbound, self._spool) for name, each in destinations.items()]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(
        self, _frames: Sequence[Frame], tracked: Sequence[TrackedFrame], events: Sequence[IdentityEvent]
    ) -> None:
        """Tell of a moment (reid_tracker.service.site.Listener)."""
        if not self._deliveries:
            return
        with self._lock:
            for event in (*(event for moment in tracked for event in moment.events), *events):
                self._tell_event(event)
            for moment in tracked:
                if self._frigate is not None:
                    self._tell_frigate(self._frigate, moment)
            if self._counted:
                self._tell_counts([moment for moment in tracked if moment.camera_id])

    def start(self) -> None:
        """Begin to send; what comes before waits."""
        for delivery in self._deliveries:
            delivery.start()

    def forget(self, identity: int) -> None:
        """Drop what waits about a person, and what is known of them."""
        with self._lock:
            self._events.forget(identity)
            for delivery in self._deliveries:
                delivery.forget(identity)
            if self._frigate is not None:
                self._frigate.forget(identity)
            self._people.clear()  # told anew with the next picture
            self._site = None

    def report(self) -> dict[str, DeliveryReport]:
        """How each destination is served."""
        return {delivery.name: delivery.report() for delivery in self._deliveries}

    def spool_failure(self) -> str:
        """Why what waits cannot be kept on disk; empty while it can, or need not."""
        return "" if self._spool is None else self._spool.failure

    def close(self) -> None:
        """Send what is left, for a little while; side by side, so that one that hangs costs the others nothing."""
        closing = [threading.Thread(target=delivery.close) for delivery in self._deliveries]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()
        if self._spool is not None:
            self._spool.close()

    def _tell_event(self, event: IdentityEvent) -> None:
        told = self._events.tell(event)
        for delivery in self._deliveries:
            if told.shorter is not None and told.instead_of and delivery.withdraw(told.instead_of):
                delivery.put(told.shorter)
            else:
                delivery.put(told.message)

    def _tell_frigate(self, teller: FrigateTeller, moment: TrackedFrame) -> None:
        for body, identity in teller.tell(moment, [tracklet.id for tracklet in moment.finished]):
            self._put("frigate", body, None, frozenset({identity}))

    def _tell_counts(self, tracked: Sequence[TrackedFrame]) -> None:
        """People in view by camera and in all, each time they change."""
        for moment in tracked:
            present = tuple(sorted({person.identity for person in moment.people}))
            if self._people.get(moment.camera_id) != present:
                self._people[moment.camera_id] = present
                body = {"people": len(present), "identities": present}
                channel = f"people {moment.camera_id}"
                self._put(channel, body, moment.camera_id, frozenset(present), state=True)
        everybody = tuple(sorted({identity for present in self._people.values() for identity in present}))
        if everybody != self._site:
            self._site = everybody
            body = {"people": len(everybody), "identities": everybody}
            self._put("people", body, None, frozenset(everybody), state=True)

    def _put(
        self,
        channel: str,
        body: Mapping[str, object],
        camera_id: str | None,
        people: frozenset[int],
        state: bool = False,
    ) -> None:
        self._number += 1
        message = Message(
            f"{self._run}-{channel}-{self._number}", channel, json_bytes(body), None, camera_id, people, state
        )
        for delivery in self._deliveries:
            delivery.put(message)


def _destinations(config: Config) -> dict[str, Destination]:
    timeout = config.outbound.timeout_seconds
    found: dict[str, Destination] = {each.name: Webhook(each, timeout) for each in config.webhooks}
    if config.mqtt.host:
        found["mqtt"] = MqttBroker(config.mqtt, [camera.id for camera in config.cameras], timeout)
    if config.nats.url:
        found["nats"] = NatsServer(config.nats, timeout)
    if config.kafka.servers:
        found["kafka"] = KafkaCluster(config.kafka, timeout)
    return found


def spool_path(config: Config) -> Path | None:
    """The file that keeps what did not arrive: the one that is configured, else beside the store's; None for none."""
    if config.outbound.spool:
        return Path(config.outbound.spool)
    return Path(config.store.path).with_suffix(".outbox.db") if config.store.path else None


def _opened_spool(config: Config, destinations: Sequence[str]) -> Spool | None:
    path = spool_path(config)
    if path is None or not (destinations or path.exists()):
        return None
    spool = Spool(path)
    dropped = spool.drop_others(destinations)
    if dropped:
        _log.warning("%s: %d messages dropped, whose destinations are no longer configured", path, dropped)
    return spool
