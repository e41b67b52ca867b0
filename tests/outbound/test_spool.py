"""What did not arrive outlasts the program: at the end, when it is killed, and when nobody may read it any more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reid_tracker.config import Config, OutboundConfig, StoreConfig, WebhookConfig
from reid_tracker.errors import ConfigError
from reid_tracker.outbound import Announcer, Delivery
from reid_tracker.outbound.announcer import spool_path
from reid_tracker.outbound.spool import Spool
from tests.outbound.conftest import event
from tests.outbound.servers import Subscriber, broker, receiver, wait_for
from tests.outbound.test_delivery import Scripted, fails, message
from tests.outbound.test_mqtt import announcer
from tests.processes import free_port

KILLED = """
import os, signal, sys
from reid_tracker.config import Config, OutboundConfig, WebhookConfig
from reid_tracker.outbound import Announcer
from tests.outbound.conftest import event
spool, url = sys.argv[1:]
config = Config(webhooks=[WebhookConfig(name="alarm", url=url)], outbound=OutboundConfig(spool=spool, hold_seconds=0))
told = Announcer(config)
told.start()
told((), (), [event(number, identity=number) for number in (1, 2, 3)])
told._spool.flush()  # what half a second would do
os.kill(os.getpid(), signal.SIGKILL)
"""


def left(path: Path, destination: str = "one") -> list[str]:
    """The keys that a spool holds, read as the next start does."""
    spool = Spool(path)
    keys = [message.key for _, message in spool.waiting(destination)]
    spool.close()
    return keys


@pytest.mark.slow
def test_what_a_killed_program_had_left_is_sent_by_the_next(tmp_path: Path, repository: Path) -> None:
    port, path = free_port(), tmp_path / "outbox.db"
    command = [sys.executable, "-c", KILLED, str(path), f"http://127.0.0.1:{port}/"]
    assert subprocess.run(command, cwd=repository, timeout=60).returncode == -9
    assert path.stat().st_mode & 0o077 == 0
    config = Config(
        webhooks=[WebhookConfig(name="alarm", url=f"http://127.0.0.1:{port}/")],
        outbound=OutboundConfig(spool=str(path), first_wait=0.02, hold_seconds=0),
    )
    with receiver(port) as server, Announcer(config) as told:
        told((), (), [event(4, identity=4)])
        wait_for(lambda: len(server.taken) == 4)
        assert [body["identity"] for body in server.bodies()] == [1, 2, 3, 4]
        assert len({body["id"] for body in server.bodies()}) == 4
    assert left(path, "alarm") == []


def test_a_broker_that_was_away_at_the_end_is_told_after_the_restart(tmp_path: Path, quick: OutboundConfig) -> None:
    port = free_port()
    kept = quick.model_copy(update={"spool": str(tmp_path / "outbox.db"), "closing_seconds": 0.1})
    with announcer(port, kept) as told:
        told((), (), [event(1), event(2, identity=2)])
        wait_for(lambda: told.report()["mqtt"].retried["unreachable"] > 0)
        assert told.spool_failure() == ""
    assert told.report()["mqtt"].dropped == {}
    server = broker(tmp_path, port)
    try:
        with Subscriber(port) as heard, announcer(port, kept):
            wait_for(lambda: len(heard.of("reid_tracker/events")) == 2)
            assert [each["identity"] for each in heard.of("reid_tracker/events")] == [1, 2]
    finally:
        server.kill()


def test_what_arrives_is_not_sent_again_and_what_is_dropped_goes(tmp_path: Path, quick: OutboundConfig) -> None:
    path = tmp_path / "outbox.db"
    spool = Spool(path)
    destination = Scripted()
    delivery = Delivery("one", destination, quick, spool)
    delivery.start()
    delivery.put(message("sent"))
    delivery.put(message("state", state=True))
    wait_for(lambda: destination.taken == ["sent", "state"])
    destination.behave = fails
    for number in range(8):  # the queue has room for five, and one is being tried
        delivery.put(message(str(number)))
    delivery.put(message("held", hold=60))
    assert delivery.withdraw("held")
    spool.flush()
    waiting = delivery.report().waiting
    delivery.close()
    spool.close()
    assert delivery.report().dropped == {"queue_full": 9 - 1 - waiting}
    kept = left(path)
    assert len(kept) == waiting
    assert kept[-3:] == ["5", "6", "7"]


def test_messages_grow_old_while_the_program_is_away(tmp_path: Path, quick: OutboundConfig) -> None:
    path, now = tmp_path / "outbox.db", [1000.0]
    for key, at in (("old", 1000.0), ("young", 4000.0)):
        now[0] = at
        spool = Spool(path, lambda: now[0])
        spool.keep("one", message(key))
        spool.close()
    now[0] = 1000.0 + quick.most_age_seconds + 60
    destination = Scripted()
    spool = Spool(path, lambda: now[0])
    delivery = Delivery("one", destination, quick, spool)
    delivery.start()
    wait_for(lambda: destination.taken == ["young"])
    assert delivery.report().dropped == {"too_old": 1}
    delivery.close()
    spool.close()
    assert left(path) == []


def test_a_clock_that_begins_in_1970_drops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    spool = Spool(path, lambda: 1_800_000_000.0)
    spool.keep("one", message("a"))
    spool.close()
    spool = Spool(path, lambda: 60.0)
    assert [age for age, _ in spool.waiting("one")] == [0.0]
    spool.close()


def test_erased_people_leave_no_trace_on_disk(tmp_path: Path, quick: OutboundConfig) -> None:
    """Also one whose message was tried and waits for the next try, or was delivered before the erasure."""
    path = tmp_path / "outbox.db"
    spool = Spool(path)
    spool.keep("one", message("delivered, of somebody", people=frozenset({1})))
    spool.flush()
    spool.let_go("one", "delivered, of somebody")
    spool.flush()
    delivery = Delivery("one", Scripted(fails), quick.model_copy(update={"first_wait": 0.5, "most_wait": 0.5}), spool)
    delivery.start()
    for key, identity in (("first of somebody", 1), ("of another", 2), ("second of somebody", 1)):
        delivery.put(message(key, people=frozenset({identity})))
    wait_for(lambda: delivery.report().retried["unreachable"] > 0)
    spool.flush()
    delivery.forget(1)
    spool.flush()
    on_disk = b"".join(file.read_bytes() for file in tmp_path.glob("outbox.db*"))
    assert b"of somebody" not in on_disk
    assert b"of another" in on_disk
    delivery.close()
    spool.close()
    assert left(path) == ["of another"]


def test_destinations_that_are_configured_no_longer_are_given_up(tmp_path: Path, quick: OutboundConfig) -> None:
    path = tmp_path / "outbox.db"
    spool = Spool(path)
    spool.keep("gone", message("a"))
    spool.close()
    with Announcer(Config(outbound=quick.model_copy(update={"spool": str(path)}))):
        pass
    assert left(path, "gone") == []


@pytest.mark.slow
def test_one_program_at_a_time_and_no_other_kind_of_file(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    spool = Spool(path)
    spool.keep("one", message("a"))
    spool.flush()
    command = [sys.executable, "-c", f"from reid_tracker.outbound.spool import Spool; Spool({str(path)!r})"]
    other = subprocess.run(command, capture_output=True, text=True, timeout=60)
    spool.close()
    assert "end the program that uses it, or choose another file" in other.stderr
    other_file = tmp_path / "notes.txt"
    other_file.write_text("not a database, but long enough to look like one" * 30)
    with pytest.raises(ConfigError, match=r"notes\.txt: cannot be used"):
        Spool(other_file)


def test_a_disk_that_takes_nothing_is_told_and_made_up_for(tmp_path: Path) -> None:
    """SQLite says ``full`` where the file may not grow, as on a full disk."""
    path = tmp_path / "outbox.db"
    spool = Spool(path)
    spool._base.execute("PRAGMA max_page_count=3").fetchone()
    for number in range(200):
        spool.keep("one", message(f"{number} {'x' * 200}"))
    spool.flush()
    assert "full" in spool.failure
    spool.let_go("one", f"0 {'x' * 200}")
    spool._base.execute("PRAGMA max_page_count=100000").fetchone()
    spool.flush()
    assert spool.failure == ""
    spool.close()
    assert len(left(path)) == 199


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, None),
        ({"store": StoreConfig(path="site/people.db")}, Path("site/people.outbox.db")),
        ({"outbound": OutboundConfig(spool="o.db"), "store": StoreConfig(path="people.db")}, Path("o.db")),
    ],
)
def test_it_lies_beside_the_store(settings: dict[str, object], expected: Path | None) -> None:
    assert spool_path(Config(**settings)) == expected
