"""The HTTP interface: thin routes over ``Service``; every answer's shape is in models.py."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse

from reid_tracker import __version__
from reid_tracker.config import CameraConfig
from reid_tracker.errors import ConfigError, InputError, StoreError
from reid_tracker.live import Address, CameraState, HealthReport
from reid_tracker.service import models
from reid_tracker.service.access import SESSION_COOKIE, Access, Role, host_allowed
from reid_tracker.service.limits import BodyLimit
from reid_tracker.service.metrics import metrics_text
from reid_tracker.service.people_api import SEARCH_PATH, add_people, add_search
from reid_tracker.service.routing import (
    Admin,
    After,
    CameraName,
    Count,
    Operator,
    Viewer,
    problems,
    require,
    same_origin,
    who_is,
)
from reid_tracker.service.runtime import Service
from reid_tracker.service.site import Busy
from reid_tracker.service.site_api import add_site
from reid_tracker.service.viewers import add_viewers

_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_STATIC = {
    "index.html": "text/html",
    "app.js": "text/javascript",
    "cameras.js": "text/javascript",
    "cluster.js": "text/javascript",
    "map.js": "text/javascript",
    "person.js": "text/javascript",
    "time.js": "text/javascript",
    "app.css": "text/css",
    "icon.svg": "image/svg+xml",
}
_SAFE = {"GET", "HEAD", "OPTIONS"}


def build_app(service: Service, access: Access) -> FastAPI:
    """The application that serves ``service`` to those whom ``access`` lets in."""
    app = FastAPI(
        title="reid_tracker", version=__version__, docs_url=None, redoc_url=None, openapi_url=None, lifespan=None
    )
    app.state.service = service
    app.state.access = access
    _add_guards(app, service)
    _add_pages(app)
    _add_sessions(app, access)
    _add_cameras(app, service)
    add_people(app, service)
    add_search(app, service)
    add_site(app, service)
    _add_state(app, service)
    add_viewers(app, service, require(Role.VIEWER))
    return app


def _add_guards(app: FastAPI, service: Service) -> None:
    config = service.config.service
    app.add_middleware(BodyLimit, larger={SEARCH_PATH: config.upload_bytes})

    @app.middleware("http")
    async def guard(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        if not host_allowed(request.headers.get("host", ""), config):
            return JSONResponse({"detail": "this service does not answer to that name"}, 400)
        if request.method not in _SAFE and not same_origin(request):
            return JSONResponse({"detail": "requests from other pages are refused"}, 403)
        response = await go_on(request)
        for name, value in _PAGE_HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    def answer(code: int) -> Callable[[Request, Exception], Response]:
        return lambda _request, error: JSONResponse({"detail": str(error)}, code)

    async def misfit(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        told = [f"{'.'.join(map(str, each['loc'][1:])) or each['loc'][0]}: {each['msg']}" for each in error.errors()]
        return JSONResponse({"detail": "; ".join(told)}, 422)

    app.add_exception_handler(RequestValidationError, misfit)
    app.add_exception_handler(InputError, answer(422))
    app.add_exception_handler(ConfigError, answer(409))
    app.add_exception_handler(StoreError, answer(503))
    app.add_exception_handler(Busy, answer(503))


def _add_pages(app: FastAPI) -> None:
    folder = files("reid_tracker.service") / "static"

    @app.get("/", include_in_schema=False)
    def page() -> Response:
        return Response((folder / "index.html").read_bytes(), media_type="text/html")

    @app.get("/cluster", include_in_schema=False)
    def cluster_page() -> Response:
        return Response((folder / "cluster.html").read_bytes(), media_type="text/html")

    @app.get("/static/{name}", include_in_schema=False)
    def static(name: str) -> Response:
        if name not in _STATIC:  # by list: no path of a visitor's reaches the disk
            raise HTTPException(404, "no such file")
        return Response((folder / name).read_bytes(), media_type=_STATIC[name])

    @app.get("/openapi.json", include_in_schema=False)
    def description(_person: Viewer) -> Response:
        return JSONResponse(app.openapi())


def _add_sessions(app: FastAPI, access: Access) -> None:
    @app.get("/api/me", responses=problems(), tags=["access"])
    def me(request: Request) -> models.Who:
        """Whom the service takes you for; ``needs_token`` where it knows you not."""
        person = who_is(request)
        if person is None:
            return models.Who(name="", role="", needs_token=True)
        return models.Who(name=person.name, role=person.role.name.lower(), needs_token=False)

    @app.post("/api/session", status_code=204, responses=problems(), tags=["access"])
    def begin(request: Request, person: Viewer) -> Response:
        """Exchange a bearer token for a cookie, which a browser sends with pictures and WebSockets too."""
        response = Response(status_code=204)
        secure = request.url.scheme == "https" or request.app.state.service.config.service.behind_proxy
        response.set_cookie(
            SESSION_COOKIE, access.begin_session(person), httponly=True, samesite="strict", secure=secure, path="/"
        )
        return response

    @app.delete("/api/session", status_code=204, responses=problems(), tags=["access"])
    def end(request: Request) -> Response:
        """End the session of this cookie."""
        access.end_session(request.cookies.get(SESSION_COOKIE, ""))
        response = Response(status_code=204)
        response.delete_cookie(SESSION_COOKIE, path="/")
        return response


def _add_cameras(app: FastAPI, service: Service) -> None:
    def status_of(camera: CameraConfig, report: HealthReport) -> models.CameraStatus:
        return models.CameraStatus(
            id=camera.id,
            source=str(Address(camera.source)),
            state=report.state.value,
            **{
                name: getattr(report, name)
                for name in ("message", "since", "last_frame", "fps", "lag", "clock", "codec", "decoder", "received")
            },
            size=list(report.size),
            processed=report.processed,
            reconnects=report.reconnects,
            lost=dict(report.lost),
            faults=dict(report.faults),
        )

    def one(camera_id: str) -> models.CameraStatus:
        reports = service.cameras.report()
        for camera in service.cameras.cameras:
            if camera.id == camera_id and camera_id in reports:
                return status_of(camera, reports[camera_id])
        raise HTTPException(404, f"no camera is called {camera_id!r}")

    @app.get("/api/cameras", responses=problems(), tags=["cameras"])
    def cameras(_person: Viewer) -> list[models.CameraStatus]:
        """All cameras and how they are."""
        reports = service.cameras.report()
        return [status_of(camera, reports[camera.id]) for camera in service.cameras.cameras if camera.id in reports]

    @app.get("/api/cameras/{camera_id}", responses=problems(404), tags=["cameras"])
    def camera(_person: Viewer, camera_id: CameraName) -> models.CameraStatus:
        """One camera."""
        return one(camera_id)

    @app.post("/api/cameras", status_code=201, responses=problems(409), tags=["cameras"])
    def add(person: Admin, new: models.NewCamera) -> models.CameraStatus:
        """Add a camera while it runs. Network streams only: files of this machine are the configuration's to name."""
        if Address(new.source).scheme not in ("rtsp", "rtsps") or "${" in new.source:
            raise InputError("source: expected an address that begins with rtsp:// or rtsps://, without variables")
        service.cameras.add(CameraConfig(id=new.id, source=new.source))
        service.store.note(time.time(), person.name, "add camera", new.id)
        return one(new.id)

    @app.patch("/api/cameras/{camera_id}", responses=problems(404), tags=["cameras"])
    def change(person: Operator, camera_id: CameraName, wanted: models.CameraChange) -> models.CameraStatus:
        """Pause a camera, or go on with it."""
        one(camera_id)
        (service.cameras.pause if wanted.paused else service.cameras.resume)(camera_id)
        service.store.note(time.time(), person.name, "pause camera" if wanted.paused else "resume camera", camera_id)
        return one(camera_id)

    @app.delete("/api/cameras/{camera_id}", status_code=204, responses=problems(404), tags=["cameras"])
    def remove(person: Admin, camera_id: CameraName) -> Response:
        """Remove a camera; what it saw stays."""
        one(camera_id)
        service.cameras.remove(camera_id)
        service.pictures.forget(camera_id)
        service.store.note(time.time(), person.name, "remove camera", camera_id)
        return Response(status_code=204)


def _add_state(app: FastAPI, service: Service) -> None:
    @app.get("/api/health", responses=problems(), tags=["state"])
    def health(_person: Viewer) -> models.Health:
        """Whether everything works."""
        loop, writing = service.site.report(), service.recorder.report()
        states = {camera_id: report.state.value for camera_id, report in service.cameras.report().items()}
        well = (CameraState.LIVE.value, CameraState.PAUSED.value, CameraState.ENDED.value)
        outbound = {
            name: models.DestinationStatus(
                waiting=each.waiting,
                sent=each.sent,
                retried=dict(each.retried),
                dropped=dict(each.dropped),
                failure=each.failure,
            )
            for name, each in service.announcer.report().items()
        }
        failing = [writing.failure, service.announcer.spool_failure(), *(each.failure for each in outbound.values())]
        degraded = any(failing) or any(state not in well for state in states.values())
        return models.Health(
            status="failing" if not service.site.running else "degraded" if degraded else "ok",
            version=__version__,
            uptime=time.time() - service.started,
            cameras=states,
            steps=loop.steps,
            step_seconds=loop.step_seconds,
            failures=dict(loop.failures),
            last_failure=loop.last_failure,
            store_waiting=writing.waiting,
            store_lost=writing.lost,
            store_failure=writing.failure,
            viewers=service.hub.viewers,
            outbound=outbound,
            outbound_failure=service.announcer.spool_failure(),
        )

    @app.get("/api/events", responses=problems(), tags=["state"])
    def events(_person: Viewer, after: After = 0, limit: Count = 100) -> models.Events:
        """Identity events with numbers above ``after``, in order."""
        found = service.store.events_after(after, limit)
        return models.Events(events=found, next=found[-1]["event_id"] if found else after)

    @app.get("/api/counts", responses=problems(), tags=["state"])
    def counts(
        _person: Viewer, hours: Annotated[float, Query(gt=0, le=168, allow_inf_nan=False)] = 1.0
    ) -> list[models.Count]:
        """Different people in view by camera over the last hours, in about sixty steps."""
        now = time.time()
        bucket = max(1.0, hours * 3600 / 60)
        rows = service.store.counts(now - hours * 3600, now, bucket)
        return [models.Count(time=moment, camera=camera, people=people) for moment, camera, people in rows]

    @app.get("/api/audit", responses=problems(), tags=["state"])
    def audit(_person: Admin, limit: Count = 100) -> list[models.AuditLine]:
        """Who did what about whom, newest first."""
        return [
            models.AuditLine(time=line.time, who=line.who, action=line.action, about=line.about)
            for line in service.store.audit(limit)
        ]

    @app.get("/metrics", responses=problems(), response_class=PlainTextResponse, tags=["state"])
    def metrics(_person: Viewer) -> PlainTextResponse:
        """Counters and gauges in Prometheus' text format."""
        return PlainTextResponse(metrics_text(service), media_type="text/plain; version=0.0.4")
