"""What Home Assistant is told once, so that people counts and events appear in it by themselves (MQTT discovery)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from reid_tracker import __version__

ONLINE, OFFLINE = "online", "offline"


def discovery(prefix: str, topic: str, cameras: Iterable[tuple[str, str]]) -> dict[str, Mapping[str, Any]]:
    """Discovery topics and their payloads (to be retained): counts for the site and each camera, the last event.

    Args:
        prefix: of discovery, ``homeassistant`` by default there.
        topic: what our topics begin with.
        cameras: name and state topic of each camera.
    """
    node = object_id(topic)
    common = {
        "availability_topic": f"{topic}/available",
        "payload_available": ONLINE,
        "payload_not_available": OFFLINE,
        "device": {
            "identifiers": [node],
            "name": topic,
            "manufacturer": "reid_tracker",
            "model": "people across cameras",
            "sw_version": __version__,
        },
    }
    found: dict[str, Mapping[str, Any]] = {}

    def entity(component: str, name: str, thing: str, state_topic: str, template: str, **more: str) -> None:
        found[f"{prefix}/{component}/{node}/{thing}/config"] = {
            "name": name,
            "unique_id": f"{node}_{thing}",
            "state_topic": state_topic,
            "value_template": template,
            "json_attributes_topic": state_topic,
            **more,
            **common,
        }

    counted = {"unit_of_measurement": "people", "state_class": "measurement", "icon": "mdi:account-group"}
    entity("sensor", "People", "people", f"{topic}/people", "{{ value_json.people }}", **counted)
    entity("sensor", "Last event", "event", f"{topic}/events", "{{ value_json.kind }}", icon="mdi:walk")
    for camera, state_topic in cameras:
        thing = object_id(camera)
        entity("sensor", f"People {camera}", f"{thing}_people", state_topic, "{{ value_json.people }}", **counted)
        occupied = "{{ 'ON' if value_json.people > 0 else 'OFF' }}"
        entity(
            "binary_sensor", f"Occupancy {camera}", f"{thing}_occupancy", state_topic, occupied,
            device_class="occupancy",
        )  # fmt: skip
    return found


def object_id(name: str) -> str:
    """A name of letters, digits, ``_`` and ``-`` alone, as discovery topics need; different names stay different."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    return plain if plain == name else f"{plain}_{hashlib.sha256(name.encode()).hexdigest()[:6]}"
