"""A real HTTP server that misbehaves as it is told, and a real MQTT broker."""

from __future__ import annotations

import json
import shutil
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.processes import ServerProcess, free_port


class Receiver(socketserver.ThreadingTCPServer):
    """Takes POSTs and answers as ``answer`` says.

    Attributes:
        answer: a status; ``hang`` says nothing, ``trickle`` a byte now and then, ``garbage`` something else.
        taken: headers and body of what was answered with a status, in order.
        tries: how many requests came.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int = 0, tls: tuple[Path, Path] | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.tls: ssl.SSLContext | None = None
        if tls is not None:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*tls)
        self.answer: int | str = 204
        self.retry_after = ""
        self.taken: list[tuple[dict[str, str], bytes]] = []
        self.tries = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Speak TLS first, where that was asked for; whoever hangs up in the middle of it is let go."""
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        with suppress(OSError), self.tls.wrap_socket(request, server_side=True) as line:
            super().finish_request(line, client_address)

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self.server_address[1]}/hook?site=1"

    def bodies(self) -> list[Any]:
        """What was taken with a 2xx or another status, as JSON."""
        return [json.loads(body) for _, body in self.taken]

    def stop(self) -> None:
        """Listen no longer."""
        self.over.set()
        self.shutdown()
        self.thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.tries += 1
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.server.answer
        if answer == "hang":
            self.server.over.wait(20)
        elif answer == "trickle":
            while not self.server.over.wait(0.1) and self._wrote(b"H"):
                pass
        elif answer == "garbage":
            self._wrote(b"\x00\x01 what?\r\n\r\n")
        else:
            self.server.taken.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(int(answer))
            if self.server.retry_after:
                self.send_header("Retry-After", self.server.retry_after)
            if answer == 302:
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()

    def _wrote(self, data: bytes) -> bool:
        try:
            self.wfile.write(data)
        except OSError:
            return False
        return True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def receiver(port: int = 0, tls: tuple[Path, Path] | None = None) -> Iterator[Receiver]:
    """A server for a while; with a certificate and its key it speaks TLS."""
    server = Receiver(port, tls)
    try:
        yield server
    finally:
        server.stop()


def broker(folder: Path, port: int | None = None, lines: str = "allow_anonymous true") -> ServerProcess:
    """Mosquitto on this machine. Skips the test where it is missing."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("needs an MQTT broker: Debian's package mosquitto")
    pytest.importorskip("paho.mqtt.client", reason="needs the extra 'mqtt'")
    port = port or free_port()
    settings = folder / f"mosquitto-{port}.conf"
    settings.write_text(f"user root\npersistence false\nlistener {port} 127.0.0.1\n{lines}\n")
    return ServerProcess([program, "-c", str(settings)], port)


class Subscriber:
    """Hears everything that a broker says; ``messages`` are (topic, payload, retained)."""

    def __init__(self, port: int, topic: str = "#", **login: str) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.messages: list[tuple[str, bytes, bool]] = []
        ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        if login:
            self._client.username_pw_set(login["user"], login["password"])
        self._client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.on_message = lambda _client, _data, message: self.messages.append(
            (message.topic, message.payload, message.retain)
        )
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert ready.wait(10)

    def of(self, topic: str) -> list[Any]:
        """The payloads of one topic, which are JSON."""
        return [json.loads(payload) for payload in self.raw(topic)]

    def raw(self, topic: str) -> list[bytes]:
        """The payloads of one topic as they came."""
        return [payload for name, payload, _ in list(self.messages) if name == topic]

    def __enter__(self) -> Subscriber:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        line = self._client.socket()
        if line is not None:
            line.close()


def wait_for(condition: Callable[[], bool], seconds: float = 15) -> None:
    """Wait until something holds; fail where it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        time.sleep(0.02)
