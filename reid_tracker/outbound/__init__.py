"""Telling other programs what was decided: webhooks and MQTT, one bounded queue per destination."""

from reid_tracker.outbound.announcer import Announcer
from reid_tracker.outbound.delivery import Delivery, DeliveryError, DeliveryReport, Destination
from reid_tracker.outbound.messages import EventTeller, Kind, Message

__all__ = [
    "Announcer",
    "Delivery",
    "DeliveryError",
    "DeliveryReport",
    "Destination",
    "EventTeller",
    "Kind",
    "Message",
]
