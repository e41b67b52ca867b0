"""The interface over a running service: who is there, who was where, search, corrections, erasure."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.resources import files
from urllib.parse import quote

import cv2
import httpx
import numpy as np
import pytest
import websockets.sync.client
from jsonschema import Draft202012Validator

from reid_tracker.config import CameraConfig
from reid_tracker.errors import ConfigError, StoreError
from reid_tracker.service.access import Access, Person, Role
from reid_tracker.service.models import check_names
from reid_tracker.service.runtime import Service
from tests.service.conftest import listening, wait_for
from tests.service.site import picture

JPEG = {"Content-Type": "image/jpeg"}


def jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image)[1].tobytes()


def person_of(client: httpx.Client, colour: str) -> int:
    """The identity that search finds for somebody of a colour."""
    answer = client.post("/api/search", content=jpeg(picture((colour, 100))), headers=JPEG)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["matches"][0]["sighting"]["identity"])


def test_cameras_are_live_and_people_in_view(client: httpx.Client) -> None:
    cameras = client.get("/api/cameras").json()
    assert {camera["id"]: camera["state"] for camera in cameras} == {"door": "live", "hall": "live"}
    wait_for(lambda: len(client.get("/api/people").json()) == 3, 20)
    assert client.get("/api/health").json()["status"] == "ok"


def test_somebody_in_two_cameras_is_one(client: httpx.Client) -> None:
    green = person_of(client, "green")
    history = client.get(f"/api/identities/{green}").json()
    assert {sighting["camera"] for sighting in history["sightings"]} == {"door", "hall"}
    linked = [event for event in history["events"] if event["type"] in ("linked", "merged")]
    assert linked[0]["evidence"]["probability"] > 0.5


def test_search_by_picture_tells_people_apart(client: httpx.Client) -> None:
    assert len({person_of(client, colour) for colour in ("red", "green", "blue")}) == 3
    found = client.post("/api/search?camera=hall&limit=2", content=jpeg(picture(("blue", 90))), headers=JPEG).json()
    assert {match["sighting"]["camera"] for match in found["matches"]} == {"hall"}
    assert found["matches"][0]["aligned_distance"] is not None


def test_search_by_person_finds_the_person_first(client: httpx.Client) -> None:
    red = person_of(client, "red")
    answer = client.post(f"/api/identities/{red}/search").json()
    assert answer["matches"][0]["sighting"]["identity"] == red


def test_searches_are_in_the_audit_log(client: httpx.Client) -> None:
    red = person_of(client, "red")
    client.post(f"/api/identities/{red}/search")
    assert client.get("/api/audit?limit=1").json()[0] | {"time": 0} == {
        "time": 0, "who": "local", "action": "search", "about": str(red)
    }  # fmt: skip


def test_a_picture_that_somebody_was_searched_by_can_be_told_from_others(client: httpx.Client) -> None:
    content = jpeg(picture(("red", 100)))
    answer = client.post("/api/search", content=content, headers=JPEG).json()
    about = client.get("/api/audit?limit=1").json()[0]["about"]
    assert about.startswith(f"picture {hashlib.sha256(content).hexdigest()} of {len(content)} bytes, found ")
    found = [int(number) for number in about.rpartition("found ")[2].split()]
    assert found == list(dict.fromkeys(match["sighting"]["identity"] for match in answer["matches"]))


def test_few_pictures_are_decoded_at_once(address: str, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may have 120 MB, and forty requests are answered at once."""
    inside, most, lock = [0], [0], threading.Lock()

    def slow(*_: object) -> list[object]:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.1)
        with lock:
            inside[0] -= 1
        return []

    monkeypatch.setattr(service, "search_picture", slow)
    content = jpeg(picture(("red", 100)))
    with ThreadPoolExecutor(20) as people:
        asked = [
            people.submit(httpx.post, f"{address}/api/search", content=content, headers=JPEG, timeout=30)
            for _ in range(20)
        ]
        assert {each.result().status_code for each in asked} == {200}
    assert most == [4]


@pytest.mark.parametrize("asked", ["merge", "erase", "picture"])
def test_nothing_is_done_or_answered_without_its_line(
    client: httpx.Client, service: Service, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """A merger and an erasure once stood although the audit log could not be written."""
    red, green = person_of(client, "red"), person_of(client, "green")

    def full(*_: object) -> None:
        raise StoreError("store: the disk is full")

    monkeypatch.setattr(service.store, "note", full)
    answer = {
        "merge": lambda: client.post("/api/corrections", json={"kind": "merge", "first": red, "second": green}),
        "erase": lambda: client.delete(f"/api/identities/{red}"),
        "picture": lambda: client.post("/api/search", content=jpeg(picture(("red", 100))), headers=JPEG),
    }[asked]()
    assert (answer.status_code, answer.json()) == (503, {"detail": "store: the disk is full"})
    assert service.store.history(red)
    assert {red, green} <= service.site.associator.book.identities.keys()


def test_events_are_told_since_a_cursor(client: httpx.Client) -> None:
    first = client.get("/api/events?limit=2").json()
    assert [event["event_id"] for event in first["events"]] == sorted(event["event_id"] for event in first["events"])
    more = client.get(f"/api/events?after={first['next']}").json()["events"]
    assert all(event["event_id"] > first["next"] for event in more)


def test_pictures_come_as_jpeg(client: httpx.Client) -> None:
    wait_for(lambda: bool(client.get("/api/people").json()), 20)
    for person in client.get("/api/people").json():
        answer = client.get(f"/api/identities/{person['identity']}/picture")
        if answer.status_code == 200:  # may have left between the two requests
            assert answer.headers["content-type"] == "image/jpeg"
            assert cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR) is not None
            return
    pytest.fail("no picture of anybody in view")


def test_the_socket_tells_tracks_and_events(address: str) -> None:
    with websockets.sync.client.connect(address.replace("http", "ws") + "/api/stream") as socket:
        told = [json.loads(socket.recv(20)) for _ in range(10)]
    frames = [message for message in told if message["kind"] == "frame"]
    assert {"camera", "frame", "time", "people", "events"} <= frames[0].keys()


def test_metrics_are_prometheus_text(client: httpx.Client) -> None:
    text = client.get("/metrics").text
    line = re.compile(r'^(# (HELP|TYPE) \S+ .*|[a-z_]+(\{([a-z]+="[^"]*",?)*\})? [-+0-9.einf]+)$')
    assert [bad for bad in text.splitlines() if not line.match(bad)] == []
    assert 'reid_tracker_camera_up{camera="door"} 1' in text
    assert 'reid_tracker_camera_decoder{camera="door",codec="file",decoder="cpu"} 1' in text


def test_counters_stay_exact_past_a_million(
    client: httpx.Client, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A camera of 15 pictures a second has a million within a day; rounded to six digits, its rate would be a saw."""
    report = replace(service.cameras.report()["door"], received=12_345_678)
    monkeypatch.setattr(service.cameras, "report", lambda: {'Tor "Süd"': report})
    text = client.get("/metrics").text
    assert 'reid_tracker_frames_received_total{camera="Tor \\"Süd\\""} 12345678\n' in text


def test_corrections_hold(client: httpx.Client) -> None:
    red, blue = person_of(client, "red"), person_of(client, "blue")
    answer = client.post("/api/corrections", json={"kind": "never", "first": red, "second": blue})
    assert answer.json() == {"identity": red}
    merged = client.post("/api/corrections", json={"kind": "merge", "first": red, "second": blue})
    assert merged.json() == {"identity": min(red, blue)}
    wait_for(lambda: person_of(client, "blue") == person_of(client, "red"), 20)
    history = client.get(f"/api/identities/{min(red, blue)}").json()
    hall = [sighting["tracklet"] for sighting in history["sightings"] if sighting["camera"] == "hall"]
    split = client.post("/api/corrections", json={"kind": "split", "identity": min(red, blue), "tracklets": hall})
    if split.status_code == 200:  # the newest passages may have gone from memory meanwhile
        assert split.json()["identity"] not in (red, blue)
    unknown = client.post("/api/corrections", json={"kind": "merge", "first": 10**6, "second": red})
    assert unknown.status_code == 422
    assert "not remembered" in unknown.json()["detail"]
    told = client.get("/api/corrections").json()
    assert [line["kind"] for line in told][:2] == ["never", "merge"]
    assert told[0]["identities"] == told[1]["identities"] == [red, blue]
    assert (told[0]["some"], told[0]["others"]) == (told[1]["some"], told[1]["others"])  # by tracklets, which stay
    assert {*told[0]["some"], *told[0]["others"]} <= {sighting["tracklet"] for sighting in history["sightings"]}
    schema = json.loads(files("reid_tracker.results").joinpath("schemas/corrections-line.json").read_text())
    for line in told:
        Draft202012Validator(schema).validate(line)  # as corrections.jsonl has them


def test_an_erased_person_is_gone(client: httpx.Client, service: Service) -> None:
    green = person_of(client, "green")
    crops = [
        crop for sighting in client.get(f"/api/identities/{green}").json()["sightings"] for crop in sighting["crops"]
    ]
    assert client.delete(f"/api/identities/{green}").json()["sightings"] >= 1
    assert client.get(f"/api/identities/{green}").status_code == 404
    assert service.store.history(green) == []
    assert all(client.get(f"/api/crops/{crop}").status_code == 404 for crop in crops)
    wait_for(lambda: person_of(client, "green") not in (0, green), 20)  # still in view: somebody new
    assert client.delete(f"/api/identities/{green}").status_code == 404


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", "image/jpeg", 422),
        (b"GIF89a not allowed", "image/gif", 415),
        (b"\xff\xd8\xff\xe0 broken", "image/jpeg", 422),
        (b"<svg onload='alert(1)'/>", "image/png", 422),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (60_000).to_bytes(4, "big") * 2 + b"\x08\x02", "image/png", 422),
        (b"\xff\xd8\xff" + b"x" * 9_000_000, "image/jpeg", 413),
    ],
)
def test_hostile_uploads_are_refused(client: httpx.Client, body: bytes, kind: str, status: int) -> None:
    answer = client.post("/api/search", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "told", "status"),
    [
        ("/api/corrections", True, 413),
        ("/api/corrections", False, 413),  # in pieces, without saying how many
        ("/api/cameras", False, 413),
        ("/api/session", True, 413),
        ("/api/search", True, 413),
        ("/api/search", False, 401),  # refused before anything is read
    ],
)
def test_bodies_are_bounded_whoever_sends_them(service: Service, path: str, told: bool, status: int) -> None:
    """A JSON body is read whole before its sender is asked for: without a bound anybody could fill the memory."""
    pieces = (b" " * 100_000 for _ in range(100))
    length = {"Content-Length": "10000000"} if told else {}
    headers = {"Content-Type": "application/json", **length}
    with listening(service, Access({20 * "t": Person("somebody", Role.VIEWER)})) as address:
        answer = httpx.post(address + path, content=pieces, headers=headers, timeout=30)
    assert answer.status_code == status
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_longest_correction_fits(client: httpx.Client) -> None:
    split = {"kind": "split", "identity": 2**53, "tracklets": [2**53] * 500}
    assert client.post("/api/corrections", json=split).status_code in (404, 422)
    assert "bytes" not in client.post("/api/corrections", json=split).text


def test_cameras_may_have_names_with_spaces_and_letters_of_all_kinds(client: httpx.Client) -> None:
    name = "Tor Süd (2)"
    added = client.post("/api/cameras", json={"id": name, "source": "rtsp://127.0.0.1:9/x"})
    assert (added.status_code, added.json()["id"]) == (201, name)
    path = f"/api/cameras/{quote(name, safe='')}"
    assert client.get(path).json()["id"] == name
    assert client.get(f"{path}/picture").status_code == 204
    assert client.patch(path, json={"paused": True}).status_code == 200
    assert client.delete(path).status_code == 204


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\nb", "x" * 65])
def test_names_that_no_address_can_hold_are_refused(client: httpx.Client, name: str) -> None:
    assert client.post("/api/cameras", json={"id": name, "source": "rtsp://127.0.0.1:9/x"}).status_code == 422
    if name:
        with pytest.raises(ConfigError, match="name of 64 characters"):
            check_names([CameraConfig(id=name, source="0")])


@pytest.mark.parametrize(
    "source",
    [
        "/etc/passwd",
        "file:///etc/passwd",
        "http://169.254.169.254/",
        "rtsp://${HOME}@x/",
        "0",
        "rtsp",
        "rtsp://x/y\r\nPLAY rtsp://z RTSP/1.0",
    ],
)
def test_no_viewer_makes_the_service_open_what_it_should_not(client: httpx.Client, source: str) -> None:
    assert client.post("/api/cameras", json={"id": "evil", "source": source}).status_code == 422
    assert "evil" not in client.get("/api/cameras").text


def test_cameras_come_and_go_and_show_no_password(client: httpx.Client) -> None:
    new = {"id": "gate", "source": "rtsp://user:s3cret@127.0.0.1:1/x"}
    answer = client.post("/api/cameras", json=new)
    assert answer.status_code == 201
    assert client.post("/api/cameras", json=new).status_code == 409
    assert "s3cret" not in answer.text + client.get("/api/cameras").text + client.get("/metrics").text
    assert client.patch("/api/cameras/gate", json={"paused": True}).status_code == 200
    wait_for(lambda: client.get("/api/cameras/gate").json()["state"] == "paused", 5)
    assert client.delete("/api/cameras/gate").status_code == 204
    assert client.get("/api/cameras/gate").status_code == 404


@pytest.mark.parametrize("path", ["/static/../api.py", "/static/%2e%2e/api.py", "/static/..%2fapi.py", "/static/x.js"])
def test_no_path_leads_out_of_the_page(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_page_allows_nothing_from_elsewhere(client: httpx.Client) -> None:
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for name in ("index.html", "app.js", "cameras.js", "map.js", "app.css"):
        text = client.get(f"/static/{name}").text.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|<script>|style=|onclick=|innerHTML|eval\(", text)


def test_a_step_that_fails_is_counted_and_the_next_one_works(client: httpx.Client, service: Service) -> None:
    detector = service.pipeline.detector
    detector.fail = True  # type: ignore[attr-defined]
    wait_for(lambda: client.get("/api/health").json()["failures"].get("RuntimeError", 0) > 0, 10)
    detector.fail = False  # type: ignore[attr-defined]
    steps = client.get("/api/health").json()["steps"]
    wait_for(lambda: client.get("/api/health").json()["steps"] > steps, 10)
