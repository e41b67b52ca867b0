"""The description of the interface is true and whole: answers, expected and generated, are those that it describes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings

from reid_tracker.service.access import Access
from reid_tracker.service.api import build_app
from reid_tracker.service.runtime import Service
from reid_tracker.store import StoredCrop
from tests.service.site import picture
from tests.service.test_api import JPEG, jpeg

schemathesis = pytest.importorskip("schemathesis", reason="needs the package schemathesis")

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
# what is for browsers, or never ends, has no description
UNDESCRIBED = {"/", "/cluster", "/static/{name}", "/openapi.json", "/api/cameras/{camera_id}/video"}


def checks() -> list[Any]:
    from schemathesis.checks import CHECKS as known
    from schemathesis.checks import load_all_checks

    load_all_checks()
    return [known.get_one(name) for name in CHECKS]


def operations(address: str) -> dict[tuple[str, str], Any]:
    """Every described operation by method and path."""
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    found = [each.ok() for each in schema.get_all_operations()]
    return {(each.method.upper(), each.path): each for each in found}


def test_every_route_is_described_and_says_what_it_is_for(service: Service) -> None:
    app = build_app(service, Access({}))
    routes = {
        (method, route.path)
        for route in app.routes
        if isinstance(route, APIRoute) and route.path not in UNDESCRIBED
        for method in route.methods
    }
    described = {
        (method.upper(), path): told for path, each in app.openapi()["paths"].items() for method, told in each.items()
    }
    assert routes == described.keys()
    for name, told in described.items():
        assert told["description"], name
        assert {"400", "401", "403", "503"} <= told["responses"].keys(), name


@pytest.fixture(scope="module")
def known(client: httpx.Client, service: Service) -> dict[str, Any]:
    """What a running site has: people, a picture of one, and a camera that may be removed."""
    client.post("/api/cameras", json={"id": "spare", "source": "rtsp://127.0.0.1:1/nothing"})
    people = sorted(person["identity"] for person in client.get("/api/identities").json())
    sighting = client.get(f"/api/identities/{people[0]}").json()["sightings"][0]
    service.recorder.take_crops([StoredCrop(sighting["tracklet"], 0.0, 0.9, jpeg(picture(("red", 100))))])
    service.recorder.flush()
    (crop,) = client.get(f"/api/identities/{people[0]}").json()["sightings"][0]["crops"]
    return {"people": people, "crop": crop}


def good_requests(known: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """A request that succeeds for each operation, in an order in which all do: method, path, what goes with it."""
    first, second, third = known["people"][:3]
    for path in (
        "me",
        "cameras",
        "people",
        "colours",
        "identities",
        "corrections",
        "site",
        "cluster",
        "health",
        "counts",
    ):
        yield "GET", f"/api/{path}", {}
    yield "GET", "/api/audit", {}
    yield "GET", "/api/events", {}
    yield "GET", "/metrics", {}
    yield "POST", "/api/session", {}
    for path in ("", "/picture"):
        yield "GET", f"/api/cameras/{{camera_id}}{path}", {"path_parameters": {"camera_id": "door"}}
    person = {"path_parameters": {"identity": first}}
    yield "GET", "/api/identities/{identity}", person
    yield "GET", "/api/identities/{identity}/picture", person
    yield "POST", "/api/identities/{identity}/search", {**person, "query": {"limit": 5}}
    yield "GET", "/api/crops/{number}", {"path_parameters": {"number": known["crop"]}}
    yield "POST", "/api/search", {"body": jpeg(picture(("red", 100))), "media_type": "image/jpeg", "headers": JPEG}
    yield "POST", "/api/corrections", {"body": {"kind": "never", "first": first, "second": second}}
    yield "PATCH", "/api/cameras/{camera_id}", {"path_parameters": {"camera_id": "spare"}, "body": {"paused": True}}
    yield "POST", "/api/cameras", {"body": {"id": "more", "source": "rtsp://127.0.0.1:1/nothing"}}
    yield "DELETE", "/api/cameras/{camera_id}", {"path_parameters": {"camera_id": "spare"}}
    yield "DELETE", "/api/identities/{identity}", {"path_parameters": {"identity": third}}
    yield "DELETE", "/api/session", {}


@pytest.mark.slow
def test_what_succeeds_is_answered_as_described(address: str, known: dict[str, Any]) -> None:
    """Each operation once, with people and cameras that are there."""
    described, tried = operations(address), set()
    for method, path, given_with in good_requests(known):
        defaults = {"media_type": "application/json"} if "body" in given_with else {}
        answer = (
            described[method, path].Case(**{**defaults, **given_with}).call_and_validate(checks=checks(), timeout=30)
        )
        assert 200 <= answer.status_code < 300, (method, path, answer.text)
        tried.add((method, path))
    assert described.keys() - tried == {("GET", "/api/site/map")}  # there is none here: tested in test_map


@pytest.mark.slow
def test_whatever_is_asked_is_answered_as_described(address: str) -> None:
    """A few dozen requests for each operation, hostile ones among them."""
    judged_by, tried = checks(), 0
    for operation in operations(address).values():

        @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy())
        def holds(case: Any) -> None:
            case.call_and_validate(checks=judged_by, timeout=30)

        holds()
        tried += 1
    assert tried >= 20
