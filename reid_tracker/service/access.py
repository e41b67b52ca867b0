"""Who may do what: tokens with roles, sessions for browsers, and which names the service answers to."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from reid_tracker.config import ServiceConfig
from reid_tracker.errors import ConfigError

TOKENS_VARIABLE = "REID_TRACKER_TOKENS"
SESSION_COOKIE = "reid_tracker_session"
_SESSION_SECONDS = 12 * 3600.0
_MOST_SESSIONS = 1000
_LEAST_TOKEN = 16  # characters


class Role(IntEnum):
    """What somebody may do; each may also do what those below may."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who uses the service."""

    name: str
    role: Role


class Access:
    """Knows tokens by their hashes and hands out sessions. Thread-safe.

    Args:
        tokens: token -> person; empty lets everybody do everything, which ``check_exposure`` allows on loopback alone.
    """

    def __init__(self, tokens: Mapping[str, Person]) -> None:
        self._people = {_hash(token): person for token, person in tokens.items()}
        self._sessions: dict[str, tuple[Person, float]] = {}
        self._lock = threading.Lock()

    @property
    def open(self) -> bool:
        """Whether there are no tokens."""
        return not self._people

    def by_token(self, token: str) -> Person | None:
        """Who a token belongs to; takes as long whatever the token."""
        wanted, found = _hash(token), None
        for known, person in self._people.items():
            if hmac.compare_digest(known, wanted):
                found = person
        return found

    def by_session(self, session: str) -> Person | None:
        """Who a browser's session belongs to."""
        with self._lock:
            person, until = self._sessions.get(_hash(session), (None, 0.0))
            return person if time.monotonic() < until else None

    def begin_session(self, person: Person) -> str:
        """A new session; the oldest ends where there are very many."""
        session = secrets.token_urlsafe(32)
        with self._lock:
            if len(self._sessions) >= _MOST_SESSIONS:
                del self._sessions[next(iter(self._sessions))]
            self._sessions[_hash(session)] = (person, time.monotonic() + _SESSION_SECONDS)
        return session

    def end_session(self, session: str) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(_hash(session), None)


def load_access(config: ServiceConfig, environment: Mapping[str, str] | None = None) -> Access:
    """Tokens from ``REID_TRACKER_TOKENS`` (``role:name:token``, separated by commas) and the tokens file.

    Raises:
        ConfigError: a line cannot be read, a token is short, or the file is open to others.
    """
    known = os.environ if environment is None else environment
    tokens: dict[str, Person] = {}
    for entry in filter(None, (part.strip() for part in known.get(TOKENS_VARIABLE, "").split(","))):
        _add(tokens, entry.split(":", 2), TOKENS_VARIABLE)
    if config.tokens_file:
        path = Path(config.tokens_file)
        try:
            if path.stat().st_mode & 0o077:
                raise ConfigError(f"{path}: others may read it; chmod 600 {path}")
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ConfigError(f"{path}: tokens cannot be read ({error.strerror})") from error
        for line in lines:
            if line.strip() and not line.lstrip().startswith("#"):
                _add(tokens, line.split(), str(path))
    return Access(tokens)


def check_exposure(config: ServiceConfig, access: Access) -> None:
    """Refuse to be reachable from elsewhere without tokens, or without TLS.

    Raises:
        ConfigError: says what is missing.
    """
    if bool(config.tls_certificate) != bool(config.tls_key):
        raise ConfigError("service: TLS needs both tls_certificate and tls_key")
    if is_loopback(config.host) and not config.behind_proxy:
        return
    if access.open:
        raise ConfigError(
            f"service.host is {config.host}, which others can reach, and there are no tokens; set {TOKENS_VARIABLE} "
            "(role:name:token) or service.tokens_file"
        )
    if not config.tls_certificate and not config.behind_proxy:
        raise ConfigError(
            f"service.host is {config.host}, which others can reach, without TLS; give tls_certificate and tls_key, "
            "or --behind-proxy where a proxy ends TLS"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def host_allowed(header: str, config: ServiceConfig) -> bool:
    """Whether a Host or Origin names this service: a page elsewhere must not reach it through its visitor's browser.

    On loopback only loopback's own names count, and those in ``service.hosts``; elsewhere tokens guard.
    """
    host = header.partition("://")[2] or header
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if is_loopback(config.host) and not config.behind_proxy:
        return is_loopback(name) or name in config.hosts
    return not config.hosts or name in config.hosts or is_loopback(name)


def _add(tokens: dict[str, Person], parts: list[str], where: str) -> None:
    if len(parts) != 3 or parts[0].upper() not in Role.__members__:
        roles = ", ".join(role.lower() for role in Role.__members__)
        raise ConfigError(f"{where}: expected role, name and token, the role one of {roles}")
    role, name, token = parts
    if len(token) < _LEAST_TOKEN:
        raise ConfigError(f"{where}: the token of {name!r} is shorter than {_LEAST_TOKEN} characters")
    tokens[token] = Person(name, Role[role.upper()])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
