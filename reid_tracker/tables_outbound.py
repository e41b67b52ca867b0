"""The tables of the configuration about telling other programs; as reid_tracker.tables."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reid_tracker.tables import Fraction, Positive, Table


class OutboundConfig(Table):
    """Telling other programs what was decided: ``[outbound]``. Times in seconds; for each destination apart."""

    queue: int = Field(1000, ge=1, description="messages that wait for a destination; the oldest beyond are dropped")
    hold_seconds: float = Field(
        1.0, ge=0, description="a new person is told this late, so that one who is recognised at once is told as such"
    )
    state_seconds: Positive = Field(1.0, description="least time between two rounds of people counts")
    timeout_seconds: Positive = Field(10.0, description="longest wait for one answer")
    first_wait: Positive = Field(1.0, description="wait before a failed message is sent again, doubled each time")
    most_wait: Positive = Field(60.0, description="longest such wait")
    most_age_seconds: Positive = Field(3600.0, description="age at which a message that did not get through is dropped")
    spool: str = Field(
        "",
        description="file that keeps messages that did not get through over a restart; empty: beside store.path where "
        "that is set (people.db: people.outbox.db), else none",
    )
    closing_seconds: float = Field(3.0, ge=0, description="longest that the program's end waits for what is left")


class WebhookConfig(Table):
    """An address that identity events are posted to: ``[[webhooks]]``."""

    name: str = Field(min_length=1, description="name of the destination, unique; as metrics and health show it")
    url: str = Field(description="where to post; ${NAME} stands for an environment variable")
    secret_variable: str = Field(
        "", description="environment variable that holds the secret for signatures; empty: messages are not signed"
    )
    kinds: list[Literal["arrived", "handover", "returned", "merged", "split", "ended"]] = Field(
        default_factory=list, description="what to tell; empty: everything"
    )
    cameras: list[str] = Field(default_factory=list, description="of which cameras; empty: of all")


class MqttConfig(Table):
    """A broker that is told identity events and people counts: ``[mqtt]``."""

    host: str = Field("", description="name or address of the broker; empty: none is told")
    port: int = Field(1883, ge=1, le=65535, description="port of the broker; 8883 is usual with TLS")
    tls: bool = Field(False, description="encrypt, and check the broker's certificate")
    ca_file: str = Field("", description="certificates to check it against (PEM); empty: the system's")
    user: str = Field("", description="user name, where the broker asks for one")
    password_variable: str = Field("", description="environment variable that holds the password")
    topic: str = Field(
        "reid_tracker",
        pattern=r"^[^+#/\x00$][^+#\x00]*$",
        description="what all topics begin with, one for each program",
    )
    home_assistant: str = Field(
        "homeassistant", pattern=r"^[^+#\x00]*$", description="Home Assistant's discovery prefix; empty: no discovery"
    )
    frigate: str = Field(
        "", pattern=r"^[^+#\x00]*$", description="also publish events in Frigate's form on this/events; empty: do not"
    )
    keepalive_seconds: int = Field(30, ge=5, le=3600, description="silence after which the connection is checked")


class NatsConfig(Table):
    """A NATS server that keeps identity events in a JetStream stream: ``[nats]``."""

    url: str = Field(
        "", description="nats://host:4222, or tls:// to encrypt; more than one with commas between; empty: none is told"
    )
    user: str = Field("", description="user name, where the server asks for one")
    password_variable: str = Field("", description="environment variable that holds the password")
    ca_file: str = Field("", description="certificates to check the server's against (PEM); empty: the system's")
    subject: str = Field(
        "reid_tracker.events", pattern=r"^[^\s*>.]+(\.[^\s*>.]+)*$", description="subject that events are published on"
    )
    stream: str = Field(
        "REID_TRACKER",
        pattern=r"^[^\s*>./\\]+$",
        description="stream that keeps them; made where no stream has the subject",
    )
    duplicate_seconds: Positive = Field(
        120.0, description="how long a stream that is made here drops what was sent before"
    )


class KafkaConfig(Table):
    """A Kafka-compatible cluster that is told identity events: ``[kafka]``."""

    servers: str = Field("", description="host:port, more than one with commas between; empty: none is told")
    topic: str = Field(
        "reid_tracker.events",
        max_length=249,
        pattern=r"^[A-Za-z0-9._-]+$",
        description="topic of the events; it must be there",
    )
    tls: bool = Field(False, description="encrypt, and check the servers' certificates")
    ca_file: str = Field("", description="certificates to check them against (PEM); empty: the system's")
    user: str = Field("", description="user name, where the servers ask for one")
    password_variable: str = Field("", description="environment variable that holds the password")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="how the user proves who it is"
    )


class TelemetryConfig(Table):
    """Traces and metrics of the way of pictures, by OpenTelemetry: ``[telemetry]``. Used by ``reid-tracker serve``."""

    endpoint: str = Field(
        "", description="collector that speaks OTLP over HTTP, http://host:4318; empty: nothing is traced"
    )
    headers_variable: str = Field(
        "", description="environment variable that holds headers for it, name=value with commas between"
    )
    sample: Fraction = Field(0.05, description="share of moments that are traced; metrics count all")
    metrics_seconds: Positive = Field(15.0, description="seconds between two exports of metrics")
    timeout_seconds: Positive = Field(5.0, description="longest wait for the collector, which delays nothing else")
