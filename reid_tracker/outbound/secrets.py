"""Passwords, which come from the environment and never from a file of settings."""

from __future__ import annotations

from collections.abc import Mapping

from reid_tracker.errors import ConfigError


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
