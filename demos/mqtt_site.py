"""Tell an MQTT broker who is where, for Home Assistant, Frigate's subscribers and whoever else listens.

python demos/mqtt_site.py BROKER[:PORT] [SECONDS] [NAME=ADDRESS ...]      # by default the demo clip, as if live

Home Assistant shows people and occupancy of each camera by itself; `mosquitto_sub -v -t '#'` shows everything:
reid_tracker/events and frigate/events (one message per person and hand-over), reid_tracker/cameras/<name> (counts,
retained), reid_tracker/available (offline by last will). A password comes from the variable MQTT_PASSWORD.
"""

import os
import sys
import time
from pathlib import Path

from reid_tracker import Pipeline
from reid_tracker.config import CameraConfig, Config, MqttConfig
from reid_tracker.live import LiveCameras
from reid_tracker.outbound import Announcer

CLIP = Path(__file__).parent / "clip"


def site(broker: str, sources: tuple[str, ...]) -> Config:
    """The settings of `reid-tracker serve`, of which only cameras and broker matter here."""
    host, _, port = broker.partition(":")
    named = [source.partition("=")[::2] for source in sources] or [
        (name, f"{CLIP}/{name}.mp4") for name in ("door", "hall")
    ]
    password = {"user": "reid_tracker", "password_variable": "MQTT_PASSWORD"} if "MQTT_PASSWORD" in os.environ else {}
    return Config(
        cameras=[CameraConfig(id=name, source=source) for name, source in named],
        mqtt=MqttConfig(host=host, port=int(port or 1883), frigate="frigate", **password),
    )


def main(broker: str, seconds: float = 20.0, *sources: str) -> None:
    """Track live and announce; a broker that is away is waited for, and tracking goes on."""
    config = site(broker, sources)
    pipeline = Pipeline.from_config(config)
    with Announcer(config) as announce, LiveCameras(config.live, cameras=config.cameras) as cameras:
        until = time.monotonic() + float(seconds)
        while time.monotonic() < until:
            frames = cameras.next_moment(timeout=0.5)
            if frames:
                announce(frames, pipeline.step(frames), ())
    for name, report in announce.report().items():
        print(f"{name}: {report.sent} messages sent, dropped {dict(report.dropped)}, failure {report.failure!r}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
