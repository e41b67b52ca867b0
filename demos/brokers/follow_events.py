"""Follow what a site tells, each event once: from NATS, Kafka or MQTT, whichever it is told on.

    python demos/brokers/follow_events.py --nats nats://127.0.0.1:4222
    python demos/brokers/follow_events.py --kafka 127.0.0.1:9092
    python demos/brokers/follow_events.py --mqtt 127.0.0.1:1883

Messages arrive at least once: whoever was interrupted is told again what may have been lost. Each has an ``id`` that no
other has, so a consumer that remembers those it has acted on acts once. Remember them where your results are kept, in
the same transaction, if it must hold over a restart of the consumer too; this one keeps the newest in memory.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

REMEMBERED = 100_000


class Once:
    """Says of each message whether it is new."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._known: OrderedDict[str, None] = OrderedDict()
        self._most = most

    def __call__(self, key: str) -> bool:
        """True the first time."""
        if key in self._known:
            return False
        self._known[key] = None
        if len(self._known) > self._most:
            self._known.popitem(last=False)
        return True


def show(body: bytes, once: Once) -> None:
    """Print an event that was not there before."""
    event: dict[str, Any] = json.loads(body)
    known = "" if once(event["id"]) else " (again; left out)"
    print(f"{event['kind']} person {event['identity']} at {event['camera']} [{event['id']}]{known}", flush=True)


async def from_nats(url: str, subject: str, once: Once) -> None:
    """All that the stream holds, then what comes. Each message is acknowledged after it was acted on."""
    import nats

    client = await nats.connect(url)
    subscription = await client.jetstream().subscribe(subject, ordered_consumer=True)
    async for message in subscription.messages:
        show(message.data, once)


def from_kafka(servers: str, topic: str) -> Iterator[bytes]:
    """All that the topic holds, then what comes."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": servers, "group.id": "follow_events", "enable.auto.commit": False})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])
    while True:
        message = consumer.poll(1.0)
        if message is not None and message.error() is None:
            yield message.value()


def from_mqtt(host: str, port: int, topic: str, once: Once) -> None:
    """What comes; the broker keeps what is missed for a client that is known to it by name."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    client = Client(CallbackAPIVersion.VERSION2, client_id="follow_events", clean_session=False)
    client.on_connect = lambda connected, *_: connected.subscribe(topic, qos=1)
    client.on_message = lambda _client, _data, message: show(message.payload, once)
    client.connect(host, port)
    client.loop_forever()


def main() -> None:
    """Follow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--nats", metavar="URL")
    where.add_argument("--kafka", metavar="HOST:PORT")
    where.add_argument("--mqtt", metavar="HOST:PORT")
    parser.add_argument("--name", default="", help="of the subject or topic (default: the program's own)")
    arguments = parser.parse_args()
    once = Once()
    if arguments.nats:
        asyncio.run(from_nats(arguments.nats, arguments.name or "reid_tracker.events", once))
    elif arguments.kafka:
        for body in from_kafka(arguments.kafka, arguments.name or "reid_tracker.events"):
            show(body, once)
    else:
        host, _, port = arguments.mqtt.partition(":")
        from_mqtt(host, int(port or 1883), arguments.name or "reid_tracker/events", once)


if __name__ == "__main__":
    main()
