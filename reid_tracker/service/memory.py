"""The store that a configuration asks for."""

from __future__ import annotations

from reid_tracker.config import StoreConfig
from reid_tracker.errors import ConfigError
from reid_tracker.live import Address
from reid_tracker.store import PostgresStore, SqliteStore, Store
from reid_tracker.store.sqlite_file import MEMORY


def open_store(config: StoreConfig) -> Store:
    """The database that ``url`` names, else the file that ``path`` names, else memory alone.

    Raises:
        ConfigError: both are given, the address is no PostgreSQL's, a variable in it is not set, or psycopg is missing.
        StoreError: it cannot be opened.
    """
    if not config.url:
        return SqliteStore(config.path or MEMORY)
    address = Address(config.url)
    if config.path:
        raise ConfigError(f"store: path {config.path} and url {address} are both given; choose one")
    if address.scheme not in ("postgresql", "postgres"):
        raise ConfigError(f"store.url {address}: expected an address that begins with postgresql://")
    return PostgresStore(address.reveal(), str(address))


def store_name(config: StoreConfig) -> str:
    """The store in messages, without secrets."""
    return str(Address(config.url)) if config.url else config.path
