"""Addresses of cameras, with the secrets in them kept apart from whatever is shown, logged or stored."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import quote

from reid_tracker.errors import ConfigError
from reid_tracker.sources.opening import STREAM_SCHEMES

HIDDEN = "***"

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_USER_INFO = re.compile(r"(\b\w+://)[^/\s@]*@(?:[^/\s@]*@)*")
# A password with a slash in it ends the authority early; what follows a colon is no port then.
_BROKEN_USER_INFO = re.compile(r"(\b\w+://)[^/\s@:]*:(?!\d+(?:[/?\s]|$))[^\s@]*@")
# By parts of names, as vendors call them usr, loginpas, access_token ...; better one too many than one too few. Some
# cameras have it in the path: /user=admin_password=X_channel=1_stream=0.sdp, where the channel may be shown.
_SECRET_PARAMETER = re.compile(
    r"(?i)([?&;/][\w.-]{0,30}(?:pas|pwd|token|auth|secret|key|user|usr|login|sign|credential)[\w.-]{0,30}=)"
    r"[^&;\s]+?(?=_channel=|[&;\s]|$)"
)
_PERCENT_CODED = re.compile(r"%[0-9A-Fa-f]{2}")


class Address:
    """Where a camera's stream is. ``str`` and ``repr`` show it without user, password and secret parameters.

    ``${NAME}`` stands for an environment variable and is read when the stream is opened, so that neither the
    configuration nor the list of processes needs to hold a password. User and password from variables may hold any
    character; written in plain they need percent-coding for ``/``, ``?`` and ``#`` alone.

    Args:
        text: the address as the user wrote it; a path or webcam number is an address too.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    @property
    def scheme(self) -> str:
        """The part before ``://`` in lower case; empty for paths and webcam numbers."""
        before, found, _ = self._text.partition("://")
        return before.lower() if found else ""

    @property
    def is_stream(self) -> bool:
        """Whether a live stream is meant, as opposed to a file or a webcam."""
        return self.scheme in STREAM_SCHEMES

    def reveal(self, environment: Mapping[str, str] | None = None) -> str:
        """The address to open, variables filled in and user and password percent-coded.

        Raises:
            ConfigError: a variable is not set.
        """
        known = os.environ if environment is None else environment

        def value(name: str) -> str:
            if name not in known:
                raise ConfigError(f"{self}: the environment variable {name} is not set; set it before starting")
            return known[name]

        def filled(text: str) -> str:
            return _VARIABLE.sub(lambda match: value(match[1]), text)

        def coded(text: str) -> str:
            """What is written may be coded already; what a variable holds is meant as it is."""
            parts = _VARIABLE.split(text)  # written, name, written, name ... written
            return "".join(
                quote(value(part), safe="") if at % 2 else _percent_coded(part) for at, part in enumerate(parts)
            )

        scheme, found, rest = self._text.partition("://")
        authority, slash, path = rest.partition("/")
        user_info, at, host = authority.rpartition("@")
        if not found or not at:
            return filled(self._text)
        user, colon, password = user_info.partition(":")
        return f"{scheme}://{coded(user)}{colon}{coded(password)}@{filled(host)}{slash}{filled(path)}"

    def __str__(self) -> str:
        return without_secrets(self._text)

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"


def without_secrets(text: str) -> str:
    """``text`` with users, passwords and secret parameters taken out of every address in it."""
    for broken in (_USER_INFO, _BROKEN_USER_INFO):
        text = broken.sub(rf"\1{HIDDEN}@", text)
    return _SECRET_PARAMETER.sub(rf"\1{HIDDEN}", text)


def _percent_coded(text: str) -> str:
    """Text as it may stand before the host; what is coded already stays."""
    if _PERCENT_CODED.search(text):
        return text.replace("@", "%40")
    return quote(text, safe="")
