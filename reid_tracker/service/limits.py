"""Bounds on what a request may carry, held before anything of it is read as a whole."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BODY = 65_536
"""Bytes of a body that is not a picture: the longest correction, of 500 passages, has a seventh of it."""


class BodyLimit:
    """Refuses bodies that are too long with 413, whoever sends them (ASGI).

    Frameworks read a JSON body whole before they ask who sends it.

    Args:
        app: what is guarded.
        most: bytes.
        larger: path -> bytes where more is taken.
    """

    def __init__(self, app: ASGIApp, most: int = MOST_BODY, larger: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._most = most
        self._larger = dict(larger or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, its body counted as it comes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._larger.get(scope["path"], self._most)
        if _told_length(scope) > most:
            await JSONResponse({"detail": _words(most)}, 413)(scope, receive, send)
            return
        await self._app(scope, _counted(receive, most), send)


def _told_length(scope: Scope) -> int:
    told = dict(scope["headers"]).get(b"content-length", b"0")
    return int(told) if told.isdigit() else 0


def _counted(receive: Receive, most: int) -> Receive:
    """``receive`` that raises once more has come than may."""
    come = 0

    async def count() -> Message:
        nonlocal come
        message = await receive()
        come += len(message.get("body", b""))
        if come > most:
            raise HTTPException(413, _words(most))
        return message

    return count


def _words(most: int) -> str:
    return f"the body may have {most} bytes at most"
