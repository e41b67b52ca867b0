"""Identities, appearances and sightings that outlast the program, and the search over them."""

from reid_tracker.store.index import IndexedLook, LookIndex
from reid_tracker.store.postgres import PostgresStore
from reid_tracker.store.recorder import Recorder, RecorderReport
from reid_tracker.store.records import (
    AuditEntry,
    Batch,
    Erased,
    Numbers,
    PersonSummary,
    Sighting,
    Store,
    StoredCrop,
)
from reid_tracker.store.search import Match, search
from reid_tracker.store.sqlite import SqliteStore

__all__ = [
    "AuditEntry",
    "Batch",
    "Erased",
    "IndexedLook",
    "LookIndex",
    "Match",
    "Numbers",
    "PersonSummary",
    "PostgresStore",
    "Recorder",
    "RecorderReport",
    "Sighting",
    "SqliteStore",
    "Store",
    "StoredCrop",
    "search",
]
