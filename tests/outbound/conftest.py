"""Events as a site decides them, and quick settings."""

from __future__ import annotations

import pytest

from reid_tracker.config import OutboundConfig
from reid_tracker.types import EventType, IdentityEvent


def event(
    number: int,
    kind: EventType = EventType.STARTED,
    identity: int = 1,
    camera: str = "door",
    gone: tuple[int, ...] = (),
) -> IdentityEvent:
    """An identity event about a tracklet of the same number."""
    return IdentityEvent(number, kind, 1_800_000_000.0 + number, camera, identity, (number,), gone)


@pytest.fixture
def quick() -> OutboundConfig:
    """Everything a hundred times quicker than for real."""
    return OutboundConfig(
        queue=5,
        hold_seconds=0.0,
        state_seconds=0.05,
        timeout_seconds=0.5,
        first_wait=0.02,
        most_wait=0.1,
        closing_seconds=0.5,
    )
