"""Following people inside one camera."""

from reid_tracker.tracking.tracker import PersonTracker

__all__ = ["PersonTracker"]
