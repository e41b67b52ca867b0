"""Messages to an MQTT broker: events, people counts, Home Assistant's discovery, availability by last will."""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from reid_tracker.config import MqttConfig
from reid_tracker.errors import ConfigError
from reid_tracker.outbound.delivery import DeliveryError
from reid_tracker.outbound.home_assistant import OFFLINE, ONLINE, discovery
from reid_tracker.outbound.messages import Message, json_bytes
from reid_tracker.outbound.secrets import secret_of
from reid_tracker.results.files import file_name

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessageInfo

_AT_LEAST_ONCE = 1
_LOOK_SECONDS = 0.2  # between two looks at whether the connection still stands
_REFUSED_SECONDS = 30.0  # before a broker that said no is asked again


class MqttBroker:
    """A broker (reid_tracker.outbound.Destination). Every publication is acknowledged (QoS 1) before it counts as sent.

    The connection is ours to make and make again, so that waits, losses and repeats are counted in one place: the
    client of a lost connection is thrown away with whatever it held, and the delivery sends again.

    Args:
        cameras: names, for discovery; those that are seen later are added when they are.
        timeout: seconds for connecting and for each acknowledgement.
        environment: where the password comes from; the process's by default.

    Raises:
        ConfigError: paho-mqtt is not installed, or the password's variable is not set.
    """

    def __init__(
        self,
        config: MqttConfig,
        cameras: Sequence[str],
        timeout: float,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        try:
            import paho.mqtt.client  # noqa: F401 - here so that a missing package stops the start, not a thread
        except ImportError as error:
            raise ConfigError(f"mqtt needs the extra 'mqtt': pip install 'reid_tracker[mqtt]' ({error})") from error
        self._password = secret_of("mqtt", config.password_variable, os.environ if environment is None else environment)
        self._config = config
        self._timeout = timeout
        self._shown = f"mqtt {config.host}:{config.port}"
        self._cameras = dict.fromkeys(cameras)
        self._states: dict[str, bytes] = {}  # what a broker that forgot everything is told again
        self._client: Client | None = None
        self._lost = threading.Event()

    def wants(self, message: Message) -> bool:
        """Everything, and Frigate's form where it was asked for."""
        return message.channel != "frigate" or bool(self._config.frigate)

    def open(self) -> bool:
        """Connect where there is no connection. Raises DeliveryError."""
        if self._client is not None and self._lost.is_set():
            self._drop()
        if self._client is None:
            self._client = self._connected()
            self._introduce()
        return True

    def send(self, message: Message) -> None:
        """Publish a message; returns once the broker has it. Raises DeliveryError."""
        topic = self._topic(message)
        if message.state:
            self._states[topic] = message.body
        self.open()
        if message.camera_id is not None and message.camera_id not in self._cameras:
            self._cameras[message.camera_id] = None
            self._introduce()
        self._publish(topic, message.body, retain=message.state)

    def close(self) -> None:
        """Say that the program ends, as the will would."""
        client = self._client
        if client is None:
            return
        if not self._lost.is_set():
            with suppress(RuntimeError, ValueError):  # lost a moment ago: the will says it
                client.publish(self._available, OFFLINE, _AT_LEAST_ONCE, retain=True).wait_for_publish(1.0)
        self._drop()

    @property
    def _available(self) -> str:
        return f"{self._config.topic}/available"

    def _topic(self, message: Message) -> str:
        if message.channel == "frigate":
            return f"{self._config.frigate}/events"
        if message.state and message.camera_id is not None:
            return self._camera_topic(message.camera_id)
        return f"{self._config.topic}/{message.channel}"

    def _camera_topic(self, camera_id: str) -> str:
        return f"{self._config.topic}/cameras/{file_name(camera_id)}"

    def _connected(self) -> Client:
        """A client that the broker has welcomed, with a thread that serves it."""
        client = self._new_client()
        welcome: list[Any] = []
        answered = threading.Event()
        lost = self._lost = threading.Event()

        def connected(_client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            welcome.append(reason)
            answered.set()

        def disconnected(_client: Client, _data: Any, _flags: Any, _reason: Any, _properties: Any) -> None:
            lost.set()
            answered.set()

        client.on_connect = connected
        client.on_disconnect = disconnected
        try:
            client.connect(self._config.host, self._config.port, self._config.keepalive_seconds)
        except (OSError, ValueError) as error:  # ValueError: a host name that cannot be one
            reason = "tls" if isinstance(error, ssl.SSLError) else "unreachable"
            raise DeliveryError(f"{self._shown}: cannot be reached ({error})", reason) from error
        client.loop_start()
        answered.wait(self._timeout)
        if welcome and not welcome[0].is_failure and not lost.is_set():
            return client
        _end(client)
        if welcome and welcome[0].is_failure:
            text = f"{self._shown}: refused ({welcome[0]}); look at mqtt.user and mqtt.password_variable"
            raise DeliveryError(text, "refused", after=_REFUSED_SECONDS)
        reason = "unreachable" if lost.is_set() else "timed_out"
        raise DeliveryError(f"{self._shown}: does not greet ({reason.replace('_', ' ')})", reason)

    def _new_client(self) -> Client:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        client = Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        client.connect_timeout = self._timeout
        if self._config.user:
            client.username_pw_set(self._config.user, self._password)
        if self._config.tls:
            try:
                client.tls_set(ca_certs=self._config.ca_file or None)
            except OSError as error:
                raise DeliveryError(f"mqtt: ca_file {self._config.ca_file}: {error}", "tls") from error
        client.will_set(self._available, OFFLINE, _AT_LEAST_ONCE, retain=True)
        return client

    def _introduce(self) -> None:
        """Tell the broker who we are and what is known: it may have been restarted, or never have heard of us."""
        self._publish(self._available, ONLINE.encode(), retain=True)
        if self._config.home_assistant:
            cameras = [(name, self._camera_topic(name)) for name in self._cameras]
            for topic, payload in discovery(self._config.home_assistant, self._config.topic, cameras).items():
                self._publish(topic, json_bytes(payload), retain=True)
        for topic, body in self._states.items():
            self._publish(topic, body, retain=True)

    def _publish(self, topic: str, body: bytes, retain: bool) -> None:
        assert self._client is not None  # open() was called
        info = self._client.publish(topic, body, _AT_LEAST_ONCE, retain=retain)
        if not self._arrived(info):
            lost = self._lost.is_set()
            self._drop()
            what = "the connection was lost" if lost else f"no acknowledgement for {self._timeout:g} s"
            raise DeliveryError(f"{self._shown}: {what}", "unreachable" if lost else "timed_out")

    def _arrived(self, info: MQTTMessageInfo) -> bool:
        until = time.monotonic() + self._timeout
        try:
            while not info.is_published() and not self._lost.is_set() and time.monotonic() < until:
                info.wait_for_publish(_LOOK_SECONDS)
            return info.is_published()
        except (RuntimeError, ValueError):  # how paho says that it has no connection, or too much in hand
            self._lost.set()
            return False

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            _end(client)


def _end(client: Client) -> None:
    client.disconnect()
    client.loop_stop()
    line = client.socket()
    if line is not None:  # its thread may end without having closed it
        line.close()
