"""Routes about the place: the map of the site, its learned ways, and the newest picture of a camera."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Response

from reid_tracker.cluster.condition import AssociatorState, GroupState
from reid_tracker.service import models
from reid_tracker.service.map import Layout, schematic_aspect
from reid_tracker.service.routing import CameraName, Viewer, pictures, problems
from reid_tracker.service.runtime import Service

NUMBER_HEADER, TIME_HEADER, WAIT_HEADER = "Picture-Number", "Picture-Time", "Picture-Wait"
_EARLY = 0.8  # of the time between two pictures of a camera goes by before the next one is asked for


def add_site(app: FastAPI, service: Service) -> None:
    """Add the map, the parts of a cluster, and the cameras' newest pictures."""
    _add_map(app, service)
    _add_cluster(app, service)
    _add_pictures(app, service)


def _add_map(app: FastAPI, service: Service) -> None:
    layout = Layout()

    @app.get("/api/site", responses=problems(), tags=["state"])
    def site(_person: Viewer) -> models.SiteMap:
        """Where the cameras stand, and how people went from one to another since the service started."""
        cameras = service.cameras.cameras
        shown = {camera.id for camera in cameras}
        links = [link for link in service.ways() if {link.origin, link.destination} <= shown]
        found = layout(cameras, links)
        return models.SiteMap(
            cameras=[
                models.MapCamera(id=camera.id, x=found[camera.id][0], y=found[camera.id][1], placed=bool(camera.place))
                for camera in cameras
            ],
            links=[
                models.MapLink(
                    origin=link.origin, destination=link.destination, people=link.people, seconds=link.seconds
                )
                for link in links
            ],
            picture=service.map is not None,
            aspect=service.map.aspect if service.map else schematic_aspect(len(cameras)),
        )

    @app.get("/api/site/map", responses=pictures(404, kind="image/*"), response_class=Response, tags=["state"])
    def site_map(_person: Viewer) -> Response:
        """The picture of the site, where the configuration names one."""
        if service.map is None:
            raise HTTPException(404, "the configuration names no map (site.map)")
        return Response(service.map.data, media_type=service.map.media_type)


def _add_cluster(app: FastAPI, service: Service) -> None:
    @app.get("/api/cluster", responses=problems(), tags=["state"])
    def cluster(_person: Viewer) -> models.Cluster:
        """How the parts of a cluster are: which group of cameras is behind, and why; those that are come first."""
        state = service.site_state()
        groups = sorted(state.groups, key=lambda group: group[1].condition == "well")
        return models.Cluster(
            groups=[models.GroupStatus(associator=name, **_values(group)) for name, group in groups],
            associators=[models.AssociatorStatus(**_values(each)) for each in state.associators],
        )


def _add_pictures(app: FastAPI, service: Service) -> None:
    @app.get(
        "/api/cameras/{camera_id}/picture",
        responses={204: {"description": "no newer picture"}, **pictures(404)},
        response_class=Response,
        tags=["cameras"],
    )
    def picture(
        _person: Viewer,
        camera_id: CameraName,
        width: Annotated[int | None, Query(ge=1, le=10_000)] = None,
        after: Annotated[int, Query(ge=-1, le=2**53)] = -1,
        dots: Annotated[int, Query(ge=1, le=3)] = 1,
        caption: bool = True,
    ) -> Response:
        """The newest drawn picture of a camera, at least ``width`` pixels wide where it can be.

        ``dots`` are the pixels of the screen to one of the page: lines and text are that much thicker. ``caption``:
        whether camera and time (UTC) are written into it; ``Picture-Time`` tells it too (seconds since 1970).

        Answered with 204 while there is none but ``after``, the ``Picture-Number`` of an earlier answer. It is of use
        to ask again after ``Picture-Wait`` seconds.
        """
        report = service.cameras.report().get(camera_id)
        if report is None:
            raise HTTPException(404, f"no camera is called {camera_id!r}")
        wait = max(1 / service.config.service.picture_rate, _EARLY / max(report.fps, 1.0))
        headers = {WAIT_HEADER: f"{wait:.3f}"}
        newest = service.pictures.jpeg(camera_id, width, dots, caption)
        if newest is None or newest.number == after:
            return Response(status_code=204, headers=headers)
        headers |= {NUMBER_HEADER: str(newest.number), TIME_HEADER: f"{newest.time:.3f}"}
        return Response(newest.jpeg, media_type="image/jpeg", headers=headers)


def _values(state: GroupState | AssociatorState) -> dict[str, Any]:
    """What a state says, as the answer's fields have it."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(state).items()}
