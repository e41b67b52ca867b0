"""Events to a NATS server, kept by a JetStream stream that drops what it was told before."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from reid_tracker.config import NatsConfig
from reid_tracker.errors import ConfigError
from reid_tracker.outbound.delivery import DeliveryError
from reid_tracker.outbound.messages import Message
from reid_tracker.outbound.secrets import secret_of, shown_servers

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js import JetStreamContext

KEY_HEADER = "Nats-Msg-Id"
"""By which JetStream knows a message that it has."""

_REFUSED_SECONDS = 30.0  # before a server that said no is asked again
_LAST_SECONDS = 1.0
_Answer = TypeVar("_Answer")


class NatsServer:
    """A NATS server (reid_tracker.outbound.Destination). A message counts as sent once the stream has kept it.

    The client's own reconnecting is off: the delivery repeats, so that waits and losses are counted in one place. The
    loop that the client needs runs while it is called, and once a second for the server's questions.

    Args:
        timeout: seconds for connecting and for each acknowledgement.
        environment: where the password comes from; the process's by default.

    Raises:
        ConfigError: nats-py is not installed, an address or the password's variable cannot be used, or the certificates
            cannot be read.
    """

    def __init__(self, config: NatsConfig, timeout: float, environment: Mapping[str, str] | None = None) -> None:
        try:
            import nats  # noqa: F401 - here so that a missing package stops the start, not a thread
        except ImportError as error:
            raise ConfigError(f"nats needs the extra 'nats': pip install 'reid_tracker[nats]' ({error})") from error
        self._config = config
        self._timeout = timeout
        self._shown = f"nats {shown_servers(config.url)}"
        self._servers = [_checked(each.strip(), self._shown) for each in config.url.split(",")]
        self._password = secret_of("nats", config.password_variable, os.environ if environment is None else environment)
        self._tls = _tls(config)
        self._runner: asyncio.Runner | None = None
        self._client: Client | None = None
        self._stream: JetStreamContext | None = None

    def wants(self, message: Message) -> bool:
        """Events of all kinds."""
        return message.kind is not None

    def open(self) -> bool:
        """Connect where there is no connection, and answer the server. Raises DeliveryError."""
        self._run(self._opened())
        return True

    def send(self, message: Message) -> None:
        """Publish a message; returns once the stream has it. Raises DeliveryError."""
        self._run(self._publish(message))

    def close(self) -> None:
        """End the connection."""
        if self._runner is not None:
            self._runner.run(self._drop())
            self._runner.close()
            self._runner = None

    def _run(self, call: Coroutine[Any, Any, _Answer]) -> _Answer:
        import nats.errors
        from nats.js.errors import APIError, NoStreamResponseError

        if self._runner is None:  # made here: a loop belongs to one thread
            self._runner = asyncio.Runner()
        try:
            return self._runner.run(call)
        except nats.errors.NoServersError as error:
            failure = self._failure("unreachable", error)
        except ssl.SSLError as error:
            failure = self._failure("tls", error)
        except (OSError, nats.errors.ConnectionClosedError, nats.errors.NoRespondersError) as error:
            failure = self._failure("unreachable", error)
        except NoStreamResponseError as error:  # JetStream is off, or the stream was removed
            failure = self._failure("no_stream", error)
        except APIError as error:
            failure = self._failure("refused", error)
        except (nats.errors.TimeoutError, TimeoutError) as error:
            failure = self._failure("timed_out", error)
        except nats.errors.Error as error:
            refused = isinstance(error, nats.errors.AuthorizationError) or "authorization" in str(error).lower()
            failure = self._failure("refused" if refused else "error", error)
        self._runner.run(self._drop())
        raise failure

    def _failure(self, reason: str, error: Exception) -> DeliveryError:
        what = {
            "refused": "refused; look at nats.user, nats.password_variable and the server's JetStream",
            "unreachable": "cannot be reached",
            "no_stream": f"no stream keeps {self._config.subject}; is JetStream on?",
            "timed_out": f"no answer for {self._timeout:g} s",
            "tls": "no trusted connection; look at nats.ca_file",
        }.get(reason, reason)
        text = f"{self._shown}: {what} ({str(error) or type(error).__name__})"
        return DeliveryError(text, reason, after=_REFUSED_SECONDS if reason == "refused" else 0.0)

    async def _opened(self) -> JetStreamContext:
        if self._client is not None and not self._client.is_connected:
            await self._drop()
        if self._client is None or self._stream is None:
            self._client = await asyncio.wait_for(self._connected(), self._timeout)
            self._stream = self._client.jetstream(timeout=self._timeout)
            await self._have_stream(self._stream)
        else:
            await self._client.flush(max(1, round(self._timeout)))  # also answers the server
        return self._stream

    async def _connected(self) -> Client:
        import nats

        errors: list[Exception] = []

        async def note(error: Exception) -> None:
            errors.append(error)

        options: dict[str, Any] = {"tls": self._tls} if self._tls is not None else {}
        if self._config.user:
            options |= {"user": self._config.user, "password": self._password}
        try:
            return await nats.connect(
                self._servers,
                allow_reconnect=False,
                connect_timeout=max(1, round(self._timeout)),
                error_cb=note,
                **options,
            )
        except nats.errors.NoServersError as error:
            raise (errors[-1] if errors else error) from error

    async def _have_stream(self, stream: JetStreamContext) -> None:
        """Have the subject kept by a stream: whichever there is, else one of ours."""
        from nats.js.api import StreamConfig
        from nats.js.errors import NotFoundError

        try:
            await stream.find_stream_name_by_subject(self._config.subject)
        except NotFoundError:
            await stream.add_stream(
                StreamConfig(
                    name=self._config.stream,
                    subjects=[self._config.subject],
                    duplicate_window=self._config.duplicate_seconds,
                )
            )

    async def _publish(self, message: Message) -> None:
        stream = self._stream if self._client is not None and self._client.is_connected else None
        stream = stream or await self._opened()
        headers = {KEY_HEADER: message.key}
        await stream.publish(self._config.subject, message.body, timeout=self._timeout, headers=headers)

    async def _drop(self) -> None:
        client, self._client, self._stream = self._client, None, None
        if client is not None:
            try:
                await asyncio.wait_for(client.close(), _LAST_SECONDS)
            except (OSError, TimeoutError):
                return  # gone it is


def _checked(server: str, shown: str) -> str:
    """A server's address. Raises ConfigError where the client could not read it, and would quote what it read."""
    try:
        parts = urlsplit(server if "://" in server else f"nats://{server}")
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        named = False
    if not named:
        raise ConfigError(f"{shown}: expected nats://host:port; percent-code / ? # and @ in a password")
    return server


def _tls(config: NatsConfig) -> ssl.SSLContext | None:
    if not config.url.startswith("tls://") and not config.ca_file:
        return None
    try:
        return ssl.create_default_context(cafile=config.ca_file or None)
    except OSError as error:
        raise ConfigError(f"nats: ca_file {config.ca_file}: {error}") from error
