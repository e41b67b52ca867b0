"""Passwords: where they come from, and how addresses are shown without them."""

from __future__ import annotations

from collections.abc import Mapping

from reid_tracker.errors import ConfigError
from reid_tracker.live import without_secrets


def shown_servers(urls: str) -> str:
    """Addresses of servers, separated by commas, without users, passwords and tokens; a scheme may be missing."""
    cleaned = [each.strip() for each in without_secrets(urls).split(",")]
    return ",".join(each if "://" in each else each.rpartition("@")[2] for each in cleaned)


def secret_of(who: str, variable: str, environment: Mapping[str, str]) -> str | None:
    """What a variable holds; None where none is named.

    Raises:
        ConfigError: it is not set.
    """
    if not variable:
        return None
    if variable not in environment:
        raise ConfigError(f"{who}: the environment variable {variable} is not set; set it before starting")
    return environment[variable]
