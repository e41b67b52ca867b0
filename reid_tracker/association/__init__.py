"""Links people across cameras: one id for one person, decided by evidence and revised by it.

``associator.py`` is the way in; docs/association.md explains how it decides.
"""

from reid_tracker.association.associator import CrossCameraAssociator

__all__ = ["CrossCameraAssociator"]
