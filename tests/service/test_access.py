"""Who is let in: nothing is open to others without tokens and TLS, and each role may do what it may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets.exceptions
import websockets.sync.client

from reid_tracker.config import ServiceConfig
from reid_tracker.errors import ConfigError
from reid_tracker.service.access import Access, Person, Role, check_exposure, host_allowed, load_access
from reid_tracker.service.runtime import Service
from tests.service.conftest import listening

TOKENS = {role: f"{role.name.lower()}-token-of-16" for role in Role}


@pytest.fixture(scope="module")
def guarded(service: Service) -> Iterator[str]:
    access = Access({token: Person(role.name.lower(), role) for role, token in TOKENS.items()})
    with listening(service, access) as address:
        yield address


def ask(address: str, method: str, path: str, role: Role | None = None, **more: object) -> httpx.Response:
    headers = {"Authorization": f"Bearer {TOKENS[role]}"} if role else {}
    return httpx.request(method, address + path, headers=headers | more.pop("headers", {}), timeout=20, **more)  # type: ignore[operator, arg-type]


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        ("GET", "/api/cameras", Role.VIEWER),
        ("GET", "/api/people", Role.VIEWER),
        ("GET", "/api/events", Role.VIEWER),
        ("GET", "/metrics", Role.VIEWER),
        ("GET", "/openapi.json", Role.VIEWER),
        ("GET", "/api/cameras/door/video", Role.VIEWER),
        ("POST", "/api/search", Role.OPERATOR),
        ("POST", "/api/identities/1/search", Role.OPERATOR),
        ("PATCH", "/api/cameras/nowhere", Role.OPERATOR),
        ("POST", "/api/corrections", Role.OPERATOR),
        ("GET", "/api/audit", Role.ADMIN),
        ("POST", "/api/cameras", Role.ADMIN),
        ("DELETE", "/api/cameras/nowhere", Role.ADMIN),
        ("DELETE", "/api/identities/999999", Role.ADMIN),
    ],
)
def test_each_role_may_do_its_own(guarded: str, method: str, path: str, needed: Role) -> None:
    assert ask(guarded, method, path).status_code == 401
    assert (
        httpx.request(method, guarded + path, headers={"Authorization": "Bearer wrong-wrong-wrong-wr"}).status_code
        == 401
    )
    for role in Role:
        if role < needed:
            assert ask(guarded, method, path, role).status_code == 403
        elif not path.endswith("/video"):
            assert ask(guarded, method, path, role).status_code not in (401, 403)


def test_the_page_itself_is_open_and_holds_nothing(guarded: str) -> None:
    assert ask(guarded, "GET", "/").status_code == 200
    assert ask(guarded, "GET", "/api/me").json()["needs_token"] is True


def test_a_session_stands_for_the_token_until_it_ends(guarded: str) -> None:
    with httpx.Client(base_url=guarded) as browser:
        answer = browser.post("/api/session", headers={"Authorization": f"Bearer {TOKENS[Role.VIEWER]}"})
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert TOKENS[Role.VIEWER] not in cookie
        assert browser.get("/api/cameras").status_code == 200
        assert browser.get("/api/audit").status_code == 403
        browser.delete("/api/session")
        assert browser.get("/api/cameras").status_code == 401


def test_the_socket_needs_a_token_too(guarded: str) -> None:
    address = guarded.replace("http", "ws") + "/api/stream"
    with pytest.raises(websockets.exceptions.InvalidStatus), websockets.sync.client.connect(address):
        pass
    headers = {"Authorization": f"Bearer {TOKENS[Role.VIEWER]}"}
    with websockets.sync.client.connect(address, additional_headers=headers) as socket:
        assert socket.recv(20)


def test_a_page_elsewhere_cannot_use_its_visitors_browser(address: str) -> None:
    """The service trusts this machine: so would a browser on it that shows somebody else's page."""
    evil = {"Origin": "https://evil.example"}
    assert ask(address, "POST", "/api/corrections", json={}, headers=evil).status_code == 403
    assert ask(address, "GET", "/api/people", headers={"Host": "evil.example"}).status_code == 400  # DNS rebinding
    path = address.replace("http", "ws") + "/api/stream"
    origin: Any = "https://evil.example"
    with pytest.raises(websockets.exceptions.InvalidStatus), websockets.sync.client.connect(path, origin=origin):
        pass


@pytest.mark.parametrize(
    ("settings", "tokens", "missing"),
    [
        ({"host": "0.0.0.0"}, False, "tokens"),
        ({"host": "0.0.0.0"}, True, "TLS"),
        ({"host": "cameras.example"}, True, "TLS"),
        ({"behind_proxy": True}, False, "tokens"),
        ({"host": "::", "tls_certificate": "x.pem"}, True, "tls_key"),
    ],
)
def test_nothing_is_open_to_others_by_mistake(settings: dict[str, object], tokens: bool, missing: str) -> None:
    access = Access({"t" * 20: Person("a", Role.ADMIN)} if tokens else {})
    with pytest.raises(ConfigError, match=missing):
        check_exposure(ServiceConfig(**settings), access)


@pytest.mark.parametrize("settings", [{}, {"host": "::1"}, {"host": "localhost"}, {"host": "127.0.0.5"}])
def test_this_machine_needs_no_token(settings: dict[str, object]) -> None:
    check_exposure(ServiceConfig(**settings), Access({}))


def test_a_proxy_or_a_certificate_and_tokens_will_do() -> None:
    access = Access({"t" * 20: Person("a", Role.ADMIN)})
    check_exposure(ServiceConfig(host="0.0.0.0", behind_proxy=True), access)
    check_exposure(ServiceConfig(host="0.0.0.0", tls_certificate="c", tls_key="k"), access)


def test_tokens_come_from_the_environment_and_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("# people\nviewer anna 0123456789abcdef\n\n")
    file.chmod(0o600)
    access = load_access(ServiceConfig(tokens_file=str(file)), {"REID_TRACKER_TOKENS": "admin:ben:fedcba9876543210"})
    assert access.by_token("0123456789abcdef") == Person("anna", Role.VIEWER)
    assert access.by_token("fedcba9876543210") == Person("ben", Role.ADMIN)
    assert access.by_token("fedcba987654321") is None
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_access(ServiceConfig(tokens_file=str(file)), {})


@pytest.mark.parametrize("wrong", ["admin:ben:short", "king:ben:fedcba9876543210", "admin-fedcba9876543210"])
def test_tokens_that_are_none_are_refused_without_being_shown(wrong: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_access(ServiceConfig(), {"REID_TRACKER_TOKENS": wrong})
    assert "fedcba" not in str(refused.value)
    assert "short" not in str(refused.value).replace("is shorter", "")


@pytest.mark.parametrize(
    ("header", "allowed"),
    [("127.0.0.1:8080", True), ("localhost", True), ("[::1]:80", True), ("evil.example", False), ("", False),
     ("127.0.0.1.evil.example", False), ("cams.local:8080", True)],
)  # fmt: skip
def test_names_that_the_service_answers_to(header: str, allowed: bool) -> None:
    assert host_allowed(header, ServiceConfig(hosts=["cams.local"])) is allowed
