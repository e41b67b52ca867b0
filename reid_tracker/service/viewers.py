"""What stays open: the WebSocket of tracks and events, and pictures as they come. A viewer who does not read is let go.

WebSockets and pictures count together against ``service.most_viewers``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Path, Request, Response, WebSocket, WebSocketDisconnect
from starlette.types import Receive, Scope, Send

from reid_tracker.service.access import Person, host_allowed
from reid_tracker.service.hub import Viewer
from reid_tracker.service.routing import same_origin, who_is
from reid_tracker.service.runtime import Service

_BOUNDARY = "picture"
_POLICY, _TRY_LATER = 1008, 1013  # WebSocket close codes


class Seats:
    """Counts open viewers. Used on the event loop."""

    def __init__(self, most: int) -> None:
        self.taken = 0
        self._most = most

    def take(self) -> bool:
        """Take a seat; whether there was one."""
        if self.taken >= self._most:
            return False
        self.taken += 1
        return True

    def leave(self) -> None:
        """Give it back."""
        self.taken -= 1


def add_viewers(app: FastAPI, service: Service, viewer: Callable[[Request], Person]) -> None:
    """Add ``/api/stream`` (WebSocket) and ``/api/cameras/{id}/video`` (MJPEG)."""
    config = service.config.service
    seats = Seats(config.most_viewers)

    @app.websocket("/api/stream")
    async def stream(socket: WebSocket) -> None:
        if not host_allowed(socket.headers.get("host", ""), config) or not same_origin(socket) or not who_is(socket):
            await socket.close(_POLICY)
            return
        if not seats.take():
            await socket.close(_TRY_LATER)
            return
        try:
            await socket.accept()
            await _serve(socket, service)
        finally:
            seats.leave()

    @app.get("/api/cameras/{camera_id}/video", include_in_schema=False, dependencies=[Depends(viewer)])
    async def video(camera_id: Annotated[str, Path(max_length=64)]) -> Response:
        if camera_id not in service.cameras.report():
            raise HTTPException(404, f"no camera is called {camera_id!r}")
        if not seats.take():
            raise HTTPException(503, "too many viewers; try again later")
        return PictureStream(service, camera_id, seats)


class PictureStream(Response):
    """The drawn pictures of a camera as multipart JPEG, as fast as they come and the configuration allows."""

    def __init__(self, service: Service, camera_id: str, seats: Seats) -> None:
        super().__init__(media_type=f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self._service, self._camera_id, self._seats = service, camera_id, seats

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the viewer leaves, does not read, or the camera is removed."""
        gone = asyncio.create_task(_until_gone(receive))
        del self.headers["content-length"]
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await self._send_pictures(send, gone)
        except (TimeoutError, OSError):
            return  # does not read, or is gone: nobody to tell
        finally:
            gone.cancel()
            self._seats.leave()

    async def _send_pictures(self, send: Send, gone: asyncio.Task[None]) -> None:
        config = self._service.config.service
        shown = -1
        while not gone.done() and self._camera_id in self._service.cameras.report():
            picture = await asyncio.to_thread(self._service.pictures.jpeg, self._camera_id)
            if picture is not None and picture.number != shown:
                shown, jpeg = picture.number, picture.jpeg
                head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
                message = {"type": "http.response.body", "body": head + jpeg + b"\r\n", "more_body": True}
                await asyncio.wait_for(send(message), config.viewer_seconds)
            await asyncio.wait({gone}, timeout=1 / config.picture_rate)


async def _serve(socket: WebSocket, service: Service) -> None:
    viewer = service.hub.join()
    tasks = [
        asyncio.create_task(_tell(socket, viewer, service.config.service.viewer_seconds)),
        asyncio.create_task(_listen(socket)),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        service.hub.leave(viewer)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with suppress(RuntimeError, TimeoutError):  # closed by the other side already, or never read
            await asyncio.wait_for(_close(socket), 1.0)


async def _tell(socket: WebSocket, viewer: Viewer, seconds: float) -> None:
    """Send what waits; ends where a message takes too long, which is a viewer who does not read."""
    while True:
        message = await viewer.get()
        try:
            await asyncio.wait_for(socket.send_text(message), seconds)
        except (TimeoutError, WebSocketDisconnect, RuntimeError):
            return


async def _listen(socket: WebSocket) -> None:
    """Read and ignore what a viewer says, which is how its leaving is noticed."""
    try:
        while True:
            await socket.receive_text()
    except (WebSocketDisconnect, RuntimeError, KeyError):
        return


async def _close(socket: WebSocket) -> None:
    with suppress(TimeoutError, WebSocketDisconnect):
        await socket.close()


async def _until_gone(receive: Receive) -> None:
    message: Any = {}
    while message.get("type") != "http.disconnect":
        message = await receive()
