"""The queue: bounded, in order, never in anybody's way; every loss counted. Against a real server in test_webhook."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from reid_tracker.config import OutboundConfig
from reid_tracker.outbound import Delivery, DeliveryError, Message
from tests.outbound.servers import wait_for


class Scripted:
    """A destination that does what ``behave`` says and keeps what it took."""

    def __init__(self, behave: Callable[[Message], None] = lambda _message: None) -> None:
        self.behave = behave
        self.taken: list[str] = []
        self.closed = False

    def wants(self, _message: Message) -> bool:
        return True

    def open(self) -> bool:
        return False

    def send(self, message: Message) -> None:
        self.behave(message)
        self.taken.append(message.key)

    def close(self) -> None:
        self.closed = True


def message(key: str, hold: float = 0.0, state: bool = False, people: frozenset[int] = frozenset()) -> Message:
    return Message(key, "people" if state else "events", key.encode(), people=people, state=state, hold=hold)


def fails(_message: Message) -> None:
    raise DeliveryError("it is away", "unreachable")


def test_the_oldest_gives_way_and_nobody_waits(quick: OutboundConfig) -> None:
    asked, gate = threading.Event(), threading.Event()

    def behave(_message: Message) -> None:
        asked.set()
        gate.wait(10)

    destination = Scripted(behave)
    delivery = Delivery("one", destination, quick)
    delivery.start()
    delivery.put(message("first"))
    assert asked.wait(10)
    began = time.monotonic()
    for number in range(1000):
        delivery.put(message(str(number)))
    assert time.monotonic() - began < 2  # the destination has said nothing yet
    assert delivery.report().dropped == {"queue_full": 1000 - quick.queue}
    gate.set()
    wait_for(lambda: len(destination.taken) == 1 + quick.queue)
    assert destination.taken == ["first", "995", "996", "997", "998", "999"]
    delivery.close()
    assert destination.closed


def test_what_fails_is_sent_again_in_order(quick: OutboundConfig) -> None:
    destination = Scripted(fails)
    delivery = Delivery("one", destination, quick)
    delivery.start()
    for key in "abc":
        delivery.put(message(key))
    wait_for(lambda: delivery.report().retried["unreachable"] >= 3)
    assert delivery.report().failure == "it is away"
    destination.behave = lambda _message: None
    wait_for(lambda: destination.taken == ["a", "b", "c"])
    wait_for(lambda: delivery.report().failure == "")
    assert delivery.report().dropped == {}
    delivery.close()


def test_what_was_refused_is_dropped_and_the_next_tried(quick: OutboundConfig) -> None:
    def behave(message: Message) -> None:
        if message.key == "bad":
            raise DeliveryError("no", "http_400", again=False)
        if message.key == "broken":
            raise RuntimeError("a fault of ours")

    destination = Scripted(behave)
    delivery = Delivery("one", destination, quick)
    delivery.start()
    for key in ("bad", "broken", "good"):
        delivery.put(message(key))
    wait_for(lambda: destination.taken == ["good"])
    assert delivery.report().dropped == {"http_400": 1, "error": 1}
    delivery.close()


def test_what_is_too_old_is_dropped(quick: OutboundConfig) -> None:
    delivery = Delivery("one", Scripted(fails), quick.model_copy(update={"most_age_seconds": 0.2}))
    delivery.start()
    delivery.put(message("a"))
    delivery.put(message("b"))
    wait_for(lambda: delivery.report().dropped == {"too_old": 2})
    delivery.close()


def test_a_held_message_can_be_withdrawn(quick: OutboundConfig) -> None:
    destination = Scripted()
    delivery = Delivery("one", destination, quick)
    delivery.start()
    delivery.put(message("held", hold=60))
    delivery.put(message("after"))
    time.sleep(0.1)
    assert destination.taken == []  # order is kept
    assert delivery.withdraw("held")
    assert not delivery.withdraw("held")
    delivery.put(message("more"))
    wait_for(lambda: destination.taken == ["after", "more"])
    delivery.close()


def test_the_newest_state_replaces_what_waits(quick: OutboundConfig) -> None:
    destination = Scripted(fails)
    delivery = Delivery("one", destination, quick)
    delivery.start()
    for number in range(50):
        delivery.put(message(f"state {number}", state=True))
    wait_for(lambda: delivery.report().retried["unreachable"] >= 2)
    destination.behave = lambda _message: None
    wait_for(lambda: bool(destination.taken))
    assert destination.taken == ["state 49"]
    assert delivery.report().dropped == {}
    delivery.close()


def test_erased_people_are_not_told_of(quick: OutboundConfig) -> None:
    destination = Scripted()
    delivery = Delivery("one", destination, quick)
    for key, identity in (("a", 1), ("b", 2)):
        delivery.put(message(key, people=frozenset({identity})))
    delivery.forget(1)
    delivery.start()
    wait_for(lambda: destination.taken == ["b"])
    assert delivery.report().dropped == {"erased": 1}
    delivery.close()


@pytest.mark.slow
@pytest.mark.parametrize("behave", [fails, lambda _message: time.sleep(30)])
def test_the_end_waits_only_a_little(quick: OutboundConfig, behave: Callable[[Message], None]) -> None:
    delivery = Delivery("one", Scripted(behave), quick)
    delivery.start()
    delivery.put(message("a"))
    wait_for(lambda: delivery.report().waiting == 1)
    began = time.monotonic()
    delivery.close()
    assert time.monotonic() - began < 10
    delivery.put(message("late"))
    assert delivery.report().dropped["stopped"] >= 1


def test_the_end_sends_what_is_held(quick: OutboundConfig) -> None:
    destination = Scripted()
    delivery = Delivery("one", destination, quick)
    delivery.start()
    delivery.put(message("held", hold=60))
    delivery.close()
    assert destination.taken == ["held"]
