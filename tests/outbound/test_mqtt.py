"""MQTT against a real broker: acknowledged events, retained state, discovery, last will; a broker that goes away."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from reid_tracker.config import CameraConfig, Config, MqttConfig, OutboundConfig
from reid_tracker.errors import ConfigError
from reid_tracker.outbound import Announcer, DeliveryError
from reid_tracker.outbound.home_assistant import discovery, object_id
from reid_tracker.outbound.mqtt import MqttBroker
from reid_tracker.types import EventType, IdentityEvent, TrackedFrame, TrackedPerson
from tests.certificates import self_signed
from tests.outbound.conftest import event
from tests.outbound.servers import Subscriber, broker, wait_for
from tests.processes import ServerProcess, free_port


@pytest.fixture
def patient(quick: OutboundConfig) -> OutboundConfig:
    """Waits for acknowledgements on a busy machine too: nothing is sent twice."""
    return quick.model_copy(update={"timeout_seconds": 10.0})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    started = broker(tmp_path)
    yield started
    started.kill()


@contextmanager
def announcer(port: int, quick: OutboundConfig, **settings: object) -> Iterator[Announcer]:
    config = Config(
        cameras=[CameraConfig(id=name, source="0") for name in ("door", "hall/east")],
        outbound=quick,
        mqtt=MqttConfig(host="127.0.0.1", port=port, **settings),
    )
    told = Announcer(config)
    told.start()
    yield told
    told.close()


def moment(camera: str, *identities: int, events: Sequence[IdentityEvent] = ()) -> TrackedFrame:
    people = tuple(TrackedPerson(each, each, (0.0, 0.0, 10.0, 20.0), 0.9, "settled") for each in identities)
    return TrackedFrame(camera, 0, 1000.0, people, tuple(events), (320, 240))


def test_events_and_counts_arrive_once_per_change(server: ServerProcess, patient: OutboundConfig) -> None:
    with Subscriber(server.port) as heard, announcer(server.port, patient) as told:
        for _ in range(30):  # frames in which nothing changes say nothing
            told((), [moment("door", 1, 2)], ())
        told((), [moment("hall/east", 1, events=[event(1), event(2, EventType.LINKED, 1, "hall/east")])], ())
        wait_for(lambda: len(heard.of("reid_tracker/events")) == 2)
        wait_for(lambda: len(heard.of("reid_tracker/cameras/hall%2Feast")) == 1)
        wait_for(lambda: heard.of("reid_tracker/people")[-1:] == [{"people": 2, "identities": [1, 2]}])
        assert [each["kind"] for each in heard.of("reid_tracker/events")] == ["arrived", "handover"]
        assert heard.of("reid_tracker/cameras/door") == [{"people": 2, "identities": [1, 2]}]
        assert not any(topic == "frigate/events" for topic, _, _ in heard.messages)
    with Subscriber(server.port) as later:  # states wait for whoever comes later, events do not
        wait_for(lambda: later.of("reid_tracker/cameras/door") == [{"people": 2, "identities": [1, 2]}])
        assert later.of("reid_tracker/events") == []


def test_home_assistant_finds_everything_and_its_templates_fit(server: ServerProcess, patient: OutboundConfig) -> None:
    """The templates are rendered by Jinja, as Home Assistant does."""
    jinja2 = pytest.importorskip("jinja2")

    with Subscriber(server.port) as heard, announcer(server.port, patient) as told:
        told((), [moment("door", 1, 2), moment("yard", 3, events=[event(1)])], ())
        wait_for(lambda: heard.of("reid_tracker/cameras/yard") != [])
        wait_for(lambda: heard.of("reid_tracker/people") != [])
        wait_for(lambda: heard.of("reid_tracker/events") != [])
        said = {topic: payload for topic, payload, _ in heard.messages}
    entities = {topic: json.loads(body) for topic, body in said.items() if topic.startswith("homeassistant/")}
    assert len({entity["unique_id"] for entity in entities.values()}) == len(entities) == 2 + 2 * 3
    shown = {}
    for topic, entity in entities.items():
        component, node, thing, config = topic.split("/")[1:]
        assert (component in {"sensor", "binary_sensor"}, node, config) == (True, "reid_tracker", "config")
        assert all(letter.isalnum() or letter in "_-" for letter in thing)
        assert entity["availability_topic"] == "reid_tracker/available"
        assert entity["device"]["identifiers"] == ["reid_tracker"]
        if entity["state_topic"] in said:
            value = json.loads(said[entity["state_topic"]])
            shown[thing] = jinja2.Template(entity["value_template"]).render(value_json=value)
    assert shown["door_people"] == "2"
    assert shown["door_occupancy"] == "ON"
    assert shown["people"] == "3"
    assert shown["event"] == "arrived"
    assert entities["homeassistant/binary_sensor/reid_tracker/door_occupancy/config"]["device_class"] == "occupancy"


def test_names_stay_different_in_discovery() -> None:
    assert object_id("door") == "door"
    assert len({object_id(name) for name in ("hall/a", "hall a", "hall_a")}) == 3
    assert len(discovery("ha", "site", [("a b", "x"), ("a_b", "y")])) == 6


def test_frigate_subscribers_hear_each_person_begin_and_end(server: ServerProcess, patient: OutboundConfig) -> None:
    with Subscriber(server.port) as heard, announcer(server.port, patient, frigate="frigate") as told:
        for _ in range(10):
            told((), [moment("door", 1)], ())
        wait_for(lambda: len(heard.of("frigate/events")) == 1)
        assert heard.of("frigate/events")[0]["type"] == "new"
        assert heard.of("frigate/events")[0]["after"]["sub_label"] == "person 1"


PROGRAM = """
import sys, time
from reid_tracker.config import MqttConfig
from reid_tracker.outbound.mqtt import MqttBroker
site = MqttBroker(MqttConfig(host="127.0.0.1", port=int(sys.argv[1])), [], 5)
site.open()
print("connected", flush=True)
time.sleep(60)
"""


@pytest.mark.slow
def test_a_killed_program_is_shown_as_offline(server: ServerProcess) -> None:
    with Subscriber(server.port, "reid_tracker/available") as heard:
        program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(server.port)], stdout=subprocess.PIPE, env={**os.environ}
        )
        assert program.stdout is not None
        assert program.stdout.readline() == b"connected\n"
        wait_for(lambda: heard.raw("reid_tracker/available") == [b"online"])
        program.kill()
        program.wait()
        program.stdout.close()
        wait_for(lambda: heard.raw("reid_tracker/available") == [b"online", b"offline"])


def test_a_program_that_ends_says_so(server: ServerProcess, patient: OutboundConfig) -> None:
    with Subscriber(server.port, "reid_tracker/available") as heard:
        with announcer(server.port, patient):
            wait_for(lambda: len(heard.messages) == 1)
        wait_for(lambda: heard.raw("reid_tracker/available") == [b"online", b"offline"])


def test_a_broker_that_comes_back_is_told_everything_again(server: ServerProcess, patient: OutboundConfig) -> None:
    """It keeps nothing on disk here: discovery, availability and states must come from us."""
    with announcer(server.port, patient) as told:
        told((), [moment("door", 1, events=[event(1)])], ())
        wait_for(lambda: told.report()["mqtt"].sent == 3)  # the event and two counts
        server.kill()
        told((), [moment("door", 1, 2, events=[event(2, EventType.STARTED, 2)])], ())
        wait_for(lambda: told.report()["mqtt"].retried["unreachable"] >= 2)
        report = told.report()["mqtt"]
        assert "cannot be reached" in report.failure
        server.start()
        with Subscriber(server.port) as heard:
            wait_for(lambda: heard.of("reid_tracker/cameras/door") != [])
            wait_for(lambda: told.report()["mqtt"].failure == "")
            wait_for(lambda: heard.of("reid_tracker/cameras/door")[-1]["people"] == 2)
            # who comes late hears what is retained in the broker's order, not in ours
            wait_for(lambda: heard.of("homeassistant/sensor/reid_tracker/door_people/config") != [])
            wait_for(lambda: heard.raw("reid_tracker/available")[-1:] == [b"online"])
        assert told.report()["mqtt"].dropped == {}


def test_good_bye_to_a_broker_that_has_just_died_raises_nothing(server: ServerProcess) -> None:
    site = MqttBroker(MqttConfig(host="127.0.0.1", port=server.port), [], 2)
    assert site.open()
    server.kill()
    site.close()


def test_a_frozen_broker_is_noticed_and_gets_the_event_later(server: ServerProcess, quick: OutboundConfig) -> None:
    with announcer(server.port, quick) as told:
        told((), [moment("door", 1, events=[event(1)])], ())
        wait_for(lambda: told.report()["mqtt"].sent == 3)
        server.freeze()
        told((), [moment("door", 1, events=[event(2, EventType.LINKED, 1, "hall")])], ())
        wait_for(lambda: told.report()["mqtt"].retried["timed_out"] >= 1)
        server.thaw()
        with Subscriber(server.port) as heard:
            told((), [moment("door", 1, events=[event(3, EventType.LINKED, 1, "door")])], ())
            wait_for(lambda: [each["event"]["event_id"] for each in heard.of("reid_tracker/events")][-1:] == [3])
        assert told.report()["mqtt"].dropped == {}


def test_a_broker_that_is_nowhere_delays_nothing(quick: OutboundConfig) -> None:
    with announcer(free_port(), quick) as told:
        for number in range(1, 200):
            told((), [moment("door", number, events=[event(number)])], ())
        report = told.report()["mqtt"]
        assert report.waiting <= 1 + quick.queue
        assert report.waiting + report.dropped["queue_full"] == 199
        wait_for(lambda: told.report()["mqtt"].retried["unreachable"] >= 2)
        assert "127.0.0.1" in told.report()["mqtt"].failure


def test_a_wrong_password_is_shown_and_the_right_one_works(tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    settings = f"allow_anonymous false\npassword_file {passwords}"
    passwords.write_text("")
    if subprocess.run(["mosquitto_passwd", "-b", str(passwords), "site", "right"], check=False).returncode:
        pytest.skip("needs mosquitto_passwd")
    server = broker(tmp_path, lines=settings)
    try:
        bad = MqttConfig(host="127.0.0.1", port=server.port, user="site", password_variable="PASS")
        with pytest.raises(Exception, match=r"refused .*mqtt\.user and mqtt\.password_variable"):
            MqttBroker(bad, [], 2, {"PASS": "wrong"}).open()
        site = MqttBroker(bad, [], 2, {"PASS": "right"})
        assert site.open()
        site.close()
    finally:
        server.kill()
    with pytest.raises(ConfigError, match="PASS is not set"):
        MqttBroker(bad, [], 2, {})


# paho-mqtt leaves the socket of a handshake that failed to the garbage collector
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
def test_over_tls_only_a_broker_with_a_trusted_certificate_is_told(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    server = broker(tmp_path, lines=f"allow_anonymous true\ncertfile {certificate}\nkeyfile {key}")
    settings = MqttConfig(host="127.0.0.1", port=server.port, tls=True, ca_file=str(certificate))
    try:
        site = MqttBroker(settings, [], 5)
        assert site.open()
        site.close()
        with pytest.raises(DeliveryError, match="certificate verify failed") as failure:
            MqttBroker(settings.model_copy(update={"ca_file": ""}), [], 5).open()
        assert failure.value.reason == "tls"
        with pytest.raises(DeliveryError, match=r"nowhere\.pem"):
            MqttBroker(settings.model_copy(update={"ca_file": "nowhere.pem"}), [], 5).open()
    finally:
        server.kill()
    del failure
    gc.collect()


def test_a_missing_package_is_said_before_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(ConfigError, match=r"reid_tracker\[mqtt\]"):
        MqttBroker(MqttConfig(host="nowhere"), [], 1)
