"""Routes about people: who is here, who was where, who looks alike, and what somebody who knows better says."""

from __future__ import annotations

import asyncio
import hashlib
import time

from fastapi import FastAPI, HTTPException, Request, Response
from starlette.concurrency import run_in_threadpool

from reid_tracker.errors import InputError
from reid_tracker.results.colours import LOOKS
from reid_tracker.service import models
from reid_tracker.service.pictures import decode_upload
from reid_tracker.service.routing import Admin, CameraFilter, Count, Number, Operator, Time, Viewer, pictures, problems
from reid_tracker.service.runtime import Service
from reid_tracker.store import Match, Sighting

SEARCH_PATH = "/api/search"
_SEARCHES = 4  # by picture at once: one decoded may have 120 MB, and tracking describes one after the other anyway
_PICTURE_TYPES = ("image/jpeg", "image/png")
_PICTURE_BODY = {
    "requestBody": {
        "required": True,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in _PICTURE_TYPES},
    }
}


def add_people(app: FastAPI, service: Service) -> None:
    """Add what is known of people, and what may be said of them."""
    _add_knowledge(app, service)
    _add_pictures(app, service)
    _add_corrections(app, service)


def _add_knowledge(app: FastAPI, service: Service) -> None:

    @app.get("/api/people", responses=problems(), tags=["people"])
    def present(_person: Viewer) -> list[models.PresentPerson]:
        """Who is in view now, and where."""
        return [
            models.PresentPerson(
                identity=identity,
                places=[
                    models.Place(camera=frame.camera_id, tracklet=each.tracklet, box=list(each.box), state=each.state)
                    for frame in frames
                    for each in frame.people
                    if each.identity == identity
                ],
            )
            for identity, frames in sorted(service.people_present().items())
            if identity > 0
        ]

    @app.get("/api/colours", responses=problems(), tags=["people"])
    def colours(_person: Viewer) -> list[models.Coloured]:
        """In which colours the identities 1, 2, ... are drawn; after the last one they begin again."""
        return [models.Coloured(identity=identity) for identity in range(1, LOOKS + 1)]

    @app.get("/api/identities", responses=problems(), tags=["people"])
    def identities(_person: Viewer, since: Time = None, until: Time = None, limit: Count = 100) -> list[models.Person]:
        """Who was seen between two times, the one seen last first."""
        people = service.store.people(since or 0.0, until if until is not None else 1e11, limit)
        return [
            models.Person(
                identity=one.identity,
                first_seen=one.first_seen,
                last_seen=one.last_seen,
                sightings=one.sightings,
                cameras=list(one.cameras),
            )
            for one in people
        ]

    @app.get("/api/identities/{identity}", responses=problems(404), tags=["people"])
    def history(person: Viewer, identity: Number) -> models.History:
        """Where one person was, and why the passages were taken for one person's."""
        sightings = service.store.history(identity)
        here = identity in service.people_present()
        if not sightings and not here:
            raise HTTPException(404, f"nobody of number {identity} is known")
        service.store.note(time.time(), person.name, "look up", str(identity))
        return models.History(
            identity=identity,
            present=here,
            sightings=[_sighting(service, each) for each in sightings],
            events=service.store.events_of(identity),
        )

    @app.delete("/api/identities/{identity}", responses=problems(404), tags=["people"])
    def erase(person: Admin, identity: Number) -> models.Erased:
        """Remove a person everywhere: memory, store, index, pictures."""
        service.store.note(time.time(), person.name, "erase", str(identity))
        try:
            gone = service.erase(identity)
        except InputError as error:
            raise HTTPException(404, str(error)) from error
        return models.Erased(sightings=gone)


def _add_pictures(app: FastAPI, service: Service) -> None:
    @app.get("/api/identities/{identity}/picture", responses=pictures(404), response_class=Response, tags=["people"])
    def picture(_person: Viewer, identity: Number) -> Response:
        """Somebody in view, cut out of the newest picture; nothing of it is stored."""
        jpeg = service.pictures.person(identity)
        if jpeg is None:
            raise HTTPException(404, f"nobody of number {identity} is in view")
        return Response(jpeg, media_type="image/jpeg")

    @app.get("/api/crops/{number}", responses=pictures(404), response_class=Response, tags=["people"])
    def crop(_person: Viewer, number: Number) -> Response:
        """A stored picture, where ``store.crops`` keeps them."""
        jpeg = service.store.crop(number)
        if jpeg is None:
            raise HTTPException(404, f"there is no picture {number}")
        return Response(jpeg, media_type="image/jpeg")


def _add_corrections(app: FastAPI, service: Service) -> None:
    @app.get("/api/corrections", responses=problems(), tags=["people"])
    def corrections(_person: Viewer) -> list[models.ToldCorrection]:
        """What was said so far, oldest first."""
        return [models.ToldCorrection.model_validate(told.to_json()) for told in service.store.corrections()]

    @app.post("/api/corrections", responses=problems(), tags=["people"])
    def correct(person: Operator, told: models.Correction) -> models.Corrected:
        """Say what you know better: these are one, these passages are somebody else, these are never one."""
        about = f"{told.identity} {told.tracklets}" if isinstance(told, models.Split) else f"{told.first} {told.second}"
        service.store.note(time.time(), person.name, told.kind, about)
        if isinstance(told, models.Split):
            return models.Corrected(identity=service.split(told.identity, told.tracklets))
        if isinstance(told, models.Merge):
            return models.Corrected(identity=service.merge(told.first, told.second))
        service.never(told.first, told.second)
        return models.Corrected(identity=told.first)


def add_search(app: FastAPI, service: Service) -> None:
    """Add the search by picture and by person."""
    at_once = asyncio.Semaphore(_SEARCHES)

    def answer(matches: list[Match]) -> models.SearchAnswer:
        return models.SearchAnswer(
            matches=[
                models.SearchMatch(
                    sighting=_sighting(service, match.sighting),
                    distance=match.distance,
                    global_distance=match.global_distance,
                    aligned_distance=match.aligned_distance,
                )
                for match in matches
            ],
            searched=len(service.index),
        )

    @app.post(
        SEARCH_PATH,
        responses=problems(415),
        openapi_extra=_PICTURE_BODY,
        response_model=models.SearchAnswer,
        tags=["search"],
    )
    async def by_picture(
        request: Request,
        person: Operator,
        limit: Count = 20,
        camera: CameraFilter = None,
        since: Time = None,
        until: Time = None,
    ) -> models.SearchAnswer:
        """The sightings most like the person in the picture that is the request's body."""
        data = await _upload(request)

        def find() -> models.SearchAnswer:
            matches = service.search_picture(decode_upload(data), limit, camera, since, until)
            found = " ".join(str(identity) for identity in dict.fromkeys(each.sighting.identity for each in matches))
            about = f"picture {hashlib.sha256(data).hexdigest()} of {len(data)} bytes, found {found or 'nobody'}"
            service.store.note(time.time(), person.name, "search", about)  # else nothing is answered
            return answer(matches)

        async with at_once:
            return await run_in_threadpool(find)

    @app.post("/api/identities/{identity}/search", responses=problems(), tags=["search"])
    def by_person(
        person: Operator,
        identity: Number,
        limit: Count = 20,
        camera: CameraFilter = None,
        since: Time = None,
        until: Time = None,
    ) -> models.SearchAnswer:
        """The sightings most like somebody known."""
        service.store.note(time.time(), person.name, "search", str(identity))
        return answer(service.search_person(identity, limit, camera, since, until))


def _sighting(service: Service, sighting: Sighting) -> models.SightingAnswer:
    return models.SightingAnswer(
        tracklet=sighting.tracklet,
        identity=sighting.identity,
        camera=sighting.camera_id,
        started=sighting.started,
        ended=sighting.ended,
        crops=[number for number, _ in service.store.crops_of(sighting.tracklet)],
    )


async def _upload(request: Request) -> bytes:
    """The body of a request, refused where it is of another kind; ``BodyLimit`` keeps it from being too long."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in _PICTURE_TYPES:
        raise HTTPException(415, f"expected a body of type {' or '.join(_PICTURE_TYPES)}")
    return await request.body()
