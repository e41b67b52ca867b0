"""Every setting of the program: one typed tree of tables (reid_tracker/tables.py).

Precedence: default < site.toml < environment (``REID_TRACKER_<TABLE>__<KEY>``) < command line. Unknown keys fail
and name the nearest right one. The effective tree is written beside every result.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from reid_tracker.errors import ConfigError
from reid_tracker.tables import (
    AssociationConfig,
    CameraConfig,
    ClusterConfig,
    DetectionConfig,
    EmbeddingConfig,
    LiveConfig,
    OutputConfig,
    PrivacyConfig,
    RuntimeConfig,
    ServiceConfig,
    SiteConfig,
    StoreConfig,
    Table,
    TrackingConfig,
)
from reid_tracker.tables_outbound import (
    KafkaConfig,
    MqttConfig,
    NatsConfig,
    OutboundConfig,
    TelemetryConfig,
    WebhookConfig,
)

__all__ = [
    "AssociationConfig",
    "CameraConfig",
    "ClusterConfig",
    "Config",
    "DetectionConfig",
    "EmbeddingConfig",
    "KafkaConfig",
    "LiveConfig",
    "MqttConfig",
    "NatsConfig",
    "OutboundConfig",
    "OutputConfig",
    "PrivacyConfig",
    "RuntimeConfig",
    "ServiceConfig",
    "SiteConfig",
    "StoreConfig",
    "TelemetryConfig",
    "TrackingConfig",
    "WebhookConfig",
    "load_config",
    "settings_as_toml",
]

ENVIRONMENT_PREFIX = "REID_TRACKER_"
_BROKERS = ("mqtt", "nats", "kafka")


class Config(Table):
    """The whole tree. Every leaf has a default: ``Config()`` runs."""

    cameras: list[CameraConfig] = Field(default_factory=list)
    webhooks: list[WebhookConfig] = Field(default_factory=list)
    runtime: RuntimeConfig = Field(default_factory=RuntimeConfig)
    detection: DetectionConfig = Field(default_factory=DetectionConfig)
    embedding: EmbeddingConfig = Field(default_factory=EmbeddingConfig)
    tracking: TrackingConfig = Field(default_factory=TrackingConfig)
    association: AssociationConfig = Field(default_factory=AssociationConfig)
    output: OutputConfig = Field(default_factory=OutputConfig)
    privacy: PrivacyConfig = Field(default_factory=PrivacyConfig)
    live: LiveConfig = Field(default_factory=LiveConfig)
    store: StoreConfig = Field(default_factory=StoreConfig)
    service: ServiceConfig = Field(default_factory=ServiceConfig)
    site: SiteConfig = Field(default_factory=SiteConfig)
    outbound: OutboundConfig = Field(default_factory=OutboundConfig)
    mqtt: MqttConfig = Field(default_factory=MqttConfig)
    nats: NatsConfig = Field(default_factory=NatsConfig)
    kafka: KafkaConfig = Field(default_factory=KafkaConfig)
    telemetry: TelemetryConfig = Field(default_factory=TelemetryConfig)
    cluster: ClusterConfig = Field(default_factory=ClusterConfig)

    @model_validator(mode="after")
    def _webhooks_agree(self) -> Config:
        names = [webhook.name for webhook in self.webhooks]
        for name in names:
            if names.count(name) > 1 or name in _BROKERS:
                raise ValueError(f"webhook {name!r}: give each destination its own name (brokers' are {_BROKERS})")
        return self

    @model_validator(mode="after")
    def _cameras_agree(self) -> Config:
        names = [camera.id for camera in self.cameras]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two cameras are called {name!r}; give each its own id")
        for camera in self.cameras:
            for neighbour in camera.neighbours:
                if neighbour not in names:
                    raise ValueError(
                        f"camera {camera.id!r} names the neighbour {neighbour!r}, which is no camera"
                        + _did_you_mean(neighbour, names)
                    )
        return self

    def with_values(self, values: Mapping[str, Any]) -> Config:
        """This tree with dotted keys replaced, e.g. ``{"detection.model": "yolo11n.onnx"}``; checked again.

        Raises:
            ConfigError: unknown key or unusable value.
        """
        tree = self.model_dump(exclude_unset=True)  # what was not set stays a default
        for path, value in values.items():
            *tables, key = path.split(".")
            branch: Any = tree
            for table in tables:
                branch = branch.setdefault(table, {})
                if not isinstance(branch, dict):
                    raise ConfigError(f"settings: {path}: there may be several {table}; set them in a file")
            branch[key] = value
        return _checked(tree, "settings")


_LISTS: Mapping[str, type[BaseModel]] = {"cameras": CameraConfig, "webhooks": WebhookConfig}
"""Tables of which a file may have several."""


def load_config(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Config:
    """The defaults, overlaid by ``path`` (TOML) and then by environment variables.

    Raises:
        ConfigError: the file is missing, no TOML, or has an unknown key or an unusable value.
    """
    tree: dict[str, Any] = {}
    if path is not None:
        try:
            tree = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"config {path}: cannot be read ({error.strerror})") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"config {path}: not valid TOML ({error})") from error
        _locate_sources(tree, path.parent)
    variables: dict[tuple[Any, ...], str] = {}
    for name, text in (os.environ if environment is None else environment).items():
        if name.startswith(ENVIRONMENT_PREFIX) and "__" in name:
            table, _, key = name.removeprefix(ENVIRONMENT_PREFIX).lower().partition("__")
            if table in _LISTS:
                raise ConfigError(f"environment: {name}: there may be several {table}; set them in a file")
            if table not in tree:
                variables[(table,)] = name
            branch = tree.setdefault(table, {})
            if isinstance(branch, dict):
                branch[key] = text
                variables[table, key] = name
    return _checked(tree, f"config {path}" if path else "environment", variables)


def _locate_sources(tree: dict[str, Any], folder: Path) -> None:
    """Make paths of cameras, map and calibration relative to the file they stand in; numbers and addresses stay."""
    cameras = tree.get("cameras")
    for camera in cameras if isinstance(cameras, list) else []:
        source = camera.get("source") if isinstance(camera, dict) else None
        if isinstance(source, str) and source and not source.isdecimal() and "://" not in source:
            camera["source"] = str(folder / source)
    association = tree.get("association")
    if isinstance(association, dict) and isinstance(association.get("calibration"), str):
        calibration = association["calibration"]
        association["calibration"] = str(folder / calibration) if calibration else ""
    site = tree.get("site")
    if isinstance(site, dict) and isinstance(site.get("map"), str) and site["map"]:
        site["map"] = str(folder / site["map"])


def settings_as_toml() -> str:
    """Every setting with its default and help, as TOML with the defaults commented out."""
    lines: list[str] = []
    for table, model in _LISTS.items():
        lines += ["# As many of these as there are:", f"# [[{table}]]"]
        lines += [f"# {name} =  # {info.description}" for name, info in model.model_fields.items()]
    for table, info in Config.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            lines += ["", f"[{table}]"]
            for key, leaf in info.annotation.model_fields.items():
                default = leaf.get_default(call_default_factory=True)
                lines += [f"# {leaf.description}", f"#{key} = {_toml_value(default)}"]
    return "\n".join(lines) + "\n"


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list):
        return f"[{', '.join(_toml_value(item) for item in value)}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _checked(tree: Mapping[str, Any], where: str, variables: Mapping[tuple[Any, ...], str] | None = None) -> Config:
    """The tree as settings; errors say ``where`` it is from, or which environment variable set table and key."""
    try:
        return Config.model_validate(tree)
    except ValidationError as failure:
        told = []
        for error in failure.errors():
            variable = (variables or {}).get(error["loc"][:2])
            told.append(f"{f'environment: {variable}' if variable else where}: {_explain(error, tree)}")
        raise ConfigError("; ".join(told)) from failure


def _explain(error: Any, tree: Mapping[str, Any]) -> str:
    camera = _camera_of(error["loc"], tree)
    path = ".".join(str(step) for step in (error["loc"][2:] if camera else error["loc"]))
    if error["type"] == "extra_forbidden":
        *tables, key = [step for step in error["loc"] if isinstance(step, str)]
        return f"{camera}unknown key {path!r}{_did_you_mean(key, _keys_of(tables))}"
    message = error["msg"].removeprefix("Value error, ")
    if not path:  # of several settings together: the message names them
        return str(message)
    return f"{camera}{path}: {message}{_got(error['input'])}"


def _camera_of(place: tuple[str | int, ...], tree: Mapping[str, Any]) -> str:
    """The camera at a place of the tree by its name, which says more than its number."""
    if place[:1] != ("cameras",) or len(place) < 2 or not isinstance(place[1], int):
        return ""
    camera = tree["cameras"][place[1]]
    return f"camera {camera['id']!r}: " if isinstance(camera, dict) and "id" in camera else ""


def _got(value: Any) -> str:
    """What was given, for messages; nothing where it is a table or may hold an address, which may hold a password."""
    shown = repr(value)
    return "" if isinstance(value, Mapping) or "@" in shown or "://" in shown else f" (got {shown})"


def _keys_of(tables: list[str]) -> list[str]:
    model: type[BaseModel] = Config
    for table in tables:
        if table in _LISTS:
            model = _LISTS[table]
            continue
        annotation = model.model_fields[table].annotation if table in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)


def _did_you_mean(word: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(word, known, n=1)
    if nearest:
        return f"; did you mean {nearest[0]!r}?"
    return f" (known: {', '.join(known)})" if known else ""
