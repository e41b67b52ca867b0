"""What the routes share: who is asking, what parameters may be, how failures are described."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, HTTPException, Path, Query, Request

from reid_tracker.service import models
from reid_tracker.service.access import SESSION_COOKIE, Access, Person, Role

Number = Annotated[int, Path(ge=1, le=2**53)]
CameraName = Annotated[str, Path(min_length=1, max_length=64, pattern=models.CAMERA_PATTERN)]
After = Annotated[int, Query(ge=0, le=2**53)]
Count = Annotated[int, Query(ge=1, le=1000)]
Time = Annotated[float | None, Query(ge=0, le=1e11, allow_inf_nan=False)]
CameraFilter = Annotated[str | None, Query(min_length=1, max_length=64, pattern=models.CAMERA_PATTERN)]


def problems(*codes: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's description of the ways in which a request may fail, those of every route among them."""
    return {code: {"model": models.Problem} for code in (400, 401, 403, 413, 422, 503, *codes)}


def pictures(*codes: int, kind: str = "image/jpeg") -> dict[int | str, dict[str, Any]]:
    """OpenAPI's description of a route that answers with a picture."""
    return {200: {"content": {kind: {}}, "description": "a picture"}, **problems(*codes)}


def require(role: Role) -> Callable[[Request], Person]:
    """A dependency that lets in those who have at least ``role``."""

    def check(request: Request) -> Person:
        person = who_is(request)
        if person is None:
            raise HTTPException(401, "a token is needed", headers={"WWW-Authenticate": "Bearer"})
        if person.role < role:
            raise HTTPException(403, f"this needs the role {role.name.lower()}")
        return person

    return check


def who_is(request: Any) -> Person | None:
    """Whom a request (or a WebSocket) comes from: bearer token, else session; everybody where there are no tokens."""
    access: Access = request.app.state.access
    if access.open:
        return Person("local", Role.ADMIN)
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return access.by_token(token.strip())
    return access.by_session(request.cookies.get(SESSION_COOKIE, ""))


def same_origin(request: Any) -> bool:
    """Whether a request comes from a page of this service, or from no page at all."""
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host", "")


Viewer = Annotated[Person, Depends(require(Role.VIEWER))]
Operator = Annotated[Person, Depends(require(Role.OPERATOR))]
Admin = Annotated[Person, Depends(require(Role.ADMIN))]
