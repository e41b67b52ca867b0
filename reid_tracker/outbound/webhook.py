"""Messages by HTTP POST, signed as the Standard Webhooks specification says (www.standardwebhooks.com)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from urllib.parse import SplitResult, unquote, urlsplit

from reid_tracker import __version__
from reid_tracker.config import WebhookConfig
from reid_tracker.errors import ConfigError
from reid_tracker.live import Address
from reid_tracker.outbound.delivery import DeliveryError
from reid_tracker.outbound.messages import Message

_SECRET_PREFIX = "whsec_"
_LEAST_SECRET = 16  # bytes
_SENDABLE = re.compile(r"[!-~]+")  # what a line of a request may hold
_PASSING = {408, 425, 429}  # of the answers that say the request is at fault, those that time heals


class Webhook:
    """An address that messages are posted to (reid_tracker.outbound.Destination).

    Each POST has ``webhook-id`` (the message's key), ``webhook-timestamp`` and, where there is a secret,
    ``webhook-signature``: ``v1,`` and the base64 HMAC-SHA256 of ``id.timestamp.body``. Redirects are not followed.

    Args:
        timeout: seconds for one attempt, from connecting to the first line of the answer.
        environment: where secrets come from; the process's by default.
        utc: the clock of the signature.

    Raises:
        ConfigError: no http address, or a variable that is not set or too short for a secret.
    """

    def __init__(
        self,
        config: WebhookConfig,
        timeout: float,
        environment: Mapping[str, str] | None = None,
        utc: Callable[[], float] = time.time,
    ) -> None:
        environment = os.environ if environment is None else environment
        self._config = config
        self._shown = f"webhook {config.name}"
        self._timeout = timeout
        self._utc = utc
        self._secret = _secret(config, environment)
        address = Address(config.url)
        parts = urlsplit(address.reveal(environment))
        if address.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"{self._shown}: url {address}: expected http:// or https:// and a host")
        self._host, self._port = parts.hostname, _port(parts, f"{self._shown}: url {address}")
        self._tls = ssl.create_default_context() if address.scheme == "https" else None
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not _SENDABLE.fullmatch(self._host + self._path):  # the error of the client would quote it
            raise ConfigError(f"{self._shown}: url {address}: percent-code blanks and letters beyond ASCII in it")
        self._authorization = ""
        if parts.username:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._authorization = "Basic " + base64.b64encode(pair.encode()).decode()

    def wants(self, message: Message) -> bool:
        """Events of the kinds and cameras that were asked for."""
        return (
            message.kind is not None
            and message.kind.value in (self._config.kinds or (message.kind.value,))
            and (not self._config.cameras or message.camera_id in self._config.cameras)
        )

    def open(self) -> bool:
        """Nothing: each message has a connection of its own."""
        return False

    def send(self, message: Message) -> None:
        """POST a message. Raises DeliveryError where it was not taken (any answer but 2xx)."""
        status, after = self._post(message)
        if 200 <= status < 300:
            return
        again = status >= 500 or status in _PASSING
        raise DeliveryError(f"{self._shown}: answered {status}", f"http_{status}", again, after)

    def close(self) -> None:
        """Nothing is open."""

    def headers(self, message: Message) -> dict[str, str]:
        """What goes with a message that is sent now."""
        moment = str(int(self._utc()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"reid_tracker/{__version__}",
            "Connection": "close",
            "webhook-id": message.key,
            "webhook-timestamp": moment,
            "Idempotency-Key": f'"{message.key}"',
        }
        if self._secret:
            signed = f"{message.key}.{moment}.".encode() + message.body
            digest = hmac.new(self._secret, signed, hashlib.sha256).digest()
            headers["webhook-signature"] = "v1," + base64.b64encode(digest).decode()
        if self._authorization:
            headers["Authorization"] = self._authorization
        return headers

    def _post(self, message: Message) -> tuple[int, float]:
        """Status and seconds to wait (Retry-After)."""
        connection: http.client.HTTPConnection = (
            http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._tls)
            if self._tls
            else http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        )
        # a socket's timeout is per read, and a server that sends a byte now and then never meets it
        late = threading.Event()
        watchdog = threading.Timer(self._timeout, _cut, (connection, late))
        watchdog.daemon = True
        watchdog.start()
        try:
            connection.request("POST", self._path, message.body, self.headers(message))
            answer = connection.getresponse()
            return answer.status, _retry_after(answer.headers.get("Retry-After", ""))
        except (OSError, http.client.HTTPException) as error:
            reason = "timed_out" if late.is_set() or isinstance(error, TimeoutError) else _reason(error)
            told = error if isinstance(error, OSError) else type(error).__name__  # others quote what was sent or came
            raise DeliveryError(f"{self._shown}: {reason.replace('_', ' ')} ({told})", reason) from error
        finally:
            watchdog.cancel()
            connection.close()


def _port(parts: SplitResult, shown: str) -> int | None:
    try:
        return parts.port
    except ValueError:  # it quotes what stands there, such as the rest of a password
        raise ConfigError(f"{shown}: expected a number as port; percent-code / ? and # in a password") from None


def _cut(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    late.set()
    if connection.sock is not None:
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return "tls"
    if isinstance(error, http.client.HTTPException) and not isinstance(error, ConnectionError):
        return "garbled"
    return "unreachable"


def _retry_after(text: str) -> float:
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0.0


def _secret(config: WebhookConfig, environment: Mapping[str, str]) -> bytes:
    """The key of signatures: base64 after ``whsec_``, else the text itself; empty where none is asked for."""
    name = config.secret_variable
    if not name:
        return b""
    if name not in environment:
        raise ConfigError(f"webhook {config.name}: the environment variable {name} is not set; set it before starting")
    text = environment[name]
    try:
        secret = (
            base64.b64decode(text.removeprefix(_SECRET_PREFIX), validate=True)
            if text.startswith(_SECRET_PREFIX)
            else text.encode()
        )
    except binascii.Error as error:
        raise ConfigError(f"webhook {config.name}: {name} begins with whsec_ and is not base64 after it") from error
    if len(secret) < _LEAST_SECRET:
        raise ConfigError(f"webhook {config.name}: the secret in {name} is shorter than {_LEAST_SECRET} bytes")
    return secret
