"""Names of the lives of a cluster's parts: what is taken for dead begins again, and may yet live on elsewhere."""

from __future__ import annotations

import time
import uuid


def new_life() -> str:
    """A name that no other life has; the later of two has the greater one, by the clocks of their machines."""
    return f"{time.time_ns():016x}{uuid.uuid4().hex[:16]}"
