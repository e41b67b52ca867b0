"""Events to a Kafka-compatible cluster, in order for each person."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reid_tracker.config import KafkaConfig
from reid_tracker.errors import ConfigError
from reid_tracker.outbound.delivery import DeliveryError
from reid_tracker.outbound.messages import Message
from reid_tracker.outbound.secrets import secret_of

KEY_HEADER = "id"
"""Header that holds a message's key, by which consumers drop what they have."""

_REFUSED_SECONDS = 30.0  # before a cluster that said no is asked again
_SPARE_SECONDS = 1.0  # that the client may take longer than it was told


class KafkaCluster:
    """A Kafka-compatible cluster (reid_tracker.outbound.Destination). A message counts as sent once all in-sync
    replicas have it. A person's events go to one partition, so they are read in order.

    Args:
        timeout: seconds for each message.
        environment: where the password comes from; the process's by default.

    Raises:
        ConfigError: confluent-kafka is not installed, the password's variable is not set, or a setting is refused.
    """

    def __init__(self, config: KafkaConfig, timeout: float, environment: Mapping[str, str] | None = None) -> None:
        try:
            import confluent_kafka
        except ImportError as error:
            raise ConfigError(f"kafka needs the extra 'kafka': pip install 'reid_tracker[kafka]' ({error})") from error
        self._config = config
        self._timeout = timeout
        self._shown = f"kafka {config.servers}"
        self._errors: list[Any] = []
        password = secret_of("kafka", config.password_variable, os.environ if environment is None else environment)
        try:
            self._producer = confluent_kafka.Producer(self._settings(password))
        except confluent_kafka.KafkaException as error:
            raise ConfigError(f"{self._shown}: {error.args[0].str()}") from error

    def wants(self, message: Message) -> bool:
        """Events of all kinds."""
        return message.kind is not None

    def open(self) -> bool:
        """Let the client do its work. Raises DeliveryError: it says that nobody can be reached."""
        self._producer.poll(0)
        self._raise_noted()
        return False

    def send(self, message: Message) -> None:
        """Publish a message; returns once the cluster has it. Raises DeliveryError."""
        outcome: list[Any] = []
        self._errors.clear()
        self._producer.produce(
            self._config.topic,
            message.body,
            key=_person_of(message),
            headers=[(KEY_HEADER, message.key.encode())],
            on_delivery=lambda error, _message: outcome.append(error),
        )
        self._producer.flush(self._timeout + _SPARE_SECONDS)
        if not outcome:  # it must not arrive behind what is sent next
            self._producer.purge()
            self._producer.flush(_SPARE_SECONDS)
        if not outcome or outcome[0] is not None:
            self._raise_noted()
            raise self._failure(outcome[0] if outcome else None)

    def close(self) -> None:
        """Nothing waits in the client: each message was sent for good or given back."""
        self._producer.purge()

    def _settings(self, password: str | None) -> dict[str, Any]:
        config = self._config
        milliseconds = round(self._timeout * 1000)
        settings: dict[str, Any] = {
            "bootstrap.servers": config.servers,
            "client.id": "reid_tracker",
            "enable.idempotence": True,  # its own repeats arrive once and in order
            "acks": "all",
            "linger.ms": 0,
            "message.timeout.ms": milliseconds,
            "request.timeout.ms": milliseconds,
            "socket.timeout.ms": max(10, milliseconds),
            "topic.metadata.propagation.max.ms": milliseconds,
            "reconnect.backoff.max.ms": min(1000, max(100, milliseconds)),
            "error_cb": self._errors.append,
            "log_level": 0,  # what it has to say comes as errors
            "security.protocol": ("SASL_" if config.user else "") + ("SSL" if config.tls else "PLAINTEXT"),
        }
        if config.ca_file:
            if not Path(config.ca_file).is_file():
                raise ConfigError(f"kafka: ca_file {config.ca_file}: no such file")
            settings["ssl.ca.location"] = config.ca_file
        if config.user:
            settings |= {
                "sasl.mechanism": config.mechanism,
                "sasl.username": config.user,
                "sasl.password": password or "",
            }
        return settings

    def _raise_noted(self) -> None:
        errors, self._errors[:] = list(self._errors), []
        if errors:
            raise self._failure(errors[-1])

    def _failure(self, error: Any) -> DeliveryError:
        from confluent_kafka import KafkaError

        if error is None:
            return DeliveryError(f"{self._shown}: no answer for {self._timeout:g} s", "timed_out")
        code, why = error.code(), error.str()
        if code in (KafkaError._AUTHENTICATION, KafkaError.TOPIC_AUTHORIZATION_FAILED):
            text = f"{self._shown}: refused ({why}); look at kafka.user and kafka.password_variable"
            return DeliveryError(text, "refused", after=_REFUSED_SECONDS)
        if code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION):
            text = f"{self._shown}: has no topic {self._config.topic}; make it, or name another as kafka.topic"
            return DeliveryError(text, "no_topic")
        if code in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE):
            return DeliveryError(f"{self._shown}: {why}", "too_large", again=False)
        if code in (KafkaError._SSL,):
            return DeliveryError(f"{self._shown}: no trusted connection ({why}); look at kafka.ca_file", "tls")
        timed_out = code in (KafkaError._MSG_TIMED_OUT, KafkaError._TIMED_OUT, KafkaError._PURGE_QUEUE)
        if timed_out:
            return DeliveryError(f"{self._shown}: no answer for {self._timeout:g} s ({why})", "timed_out")
        return DeliveryError(f"{self._shown}: cannot be reached ({why})", "unreachable")


def _person_of(message: Message) -> bytes:
    """What decides the partition: the person that a message is about, the oldest where it is about several."""
    return str(min(message.people, default=0)).encode()
