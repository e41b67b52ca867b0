"""Serving: open everything, listen, and close everything in order when asked to stop."""

from __future__ import annotations

import logging
from collections.abc import Callable

import uvicorn

from reid_tracker.config import Config
from reid_tracker.errors import ConfigError
from reid_tracker.live import without_secrets
from reid_tracker.service.access import Access, check_exposure, load_access
from reid_tracker.service.api import build_app
from reid_tracker.service.heap import few_pools, returned_memory
from reid_tracker.service.runtime import PipelineOf, Service

_MOST_WEBSOCKET_BYTES = 4096  # a viewer has nothing to say
_CLOSING_SECONDS = 3


def serve(
    config: Config,
    pipeline_of: PipelineOf | None = None,
    listening: Callable[[str], None] = lambda _address: None,
) -> None:
    """Track the configuration's cameras and serve them until the process is asked to stop.

    Args:
        listening: told the address once the service answers.

    Raises:
        ConfigError: it would be open to others without tokens or TLS, or cannot listen.
        StoreError, ModelError: as its parts do.
    """
    access = load_access(config.service)
    check_exposure(config.service, access)
    few_pools()
    with Service(config, pipeline_of) as service:
        listen(service, access, listening)


def listen(service: Service, access: Access, listening: Callable[[str], None]) -> None:
    """Serve until the process is asked to stop; in another thread than the main one, until the process ends."""
    config = service.config.service
    settings = uvicorn.Config(
        build_app(service, access),
        host=config.host,
        port=config.port,
        ssl_certfile=config.tls_certificate or None,
        ssl_keyfile=config.tls_key or None,
        proxy_headers=config.behind_proxy,
        server_header=False,
        ws_max_size=_MOST_WEBSOCKET_BYTES,
        ws_per_message_deflate=False,  # for each viewer anew, it costs more time and memory than the messages do
        timeout_graceful_shutdown=_CLOSING_SECONDS,
        log_config=None,
        access_log=False,
        lifespan="off",
    )
    server = _Server(settings, listening)
    try:
        with returned_memory():
            server.run()
    except SystemExit as error:  # how uvicorn says that it cannot listen, having logged why
        raise ConfigError(
            f"service: cannot listen on {config.host}:{config.port}; is the port in use, or the certificate wrong?"
        ) from error


class _Server(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[str], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Listen, then tell where."""
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            scheme = "https" if self.config.is_ssl else "http"
            shown = f"[{host}]" if ":" in host else host
            self._listening(f"{scheme}://{shown}:{port}/")


class SecretsFilter(logging.Filter):
    """Takes users, passwords and secret parameters out of addresses in every line of a log and every traceback."""

    _traceback = logging.Formatter().formatException

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line pass, cleaned; one that cannot be put together too, since an error here is its writer's."""
        try:
            text = record.getMessage()
        except Exception as error:  # arguments that do not fit, or that cannot be shown: anything
            said = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
            text = f"{said} (cannot be put together: {type(error).__name__})"
        record.msg, record.args = without_secrets(text), None
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = record.exc_text or self._traceback(record.exc_info)
        record.exc_info = None  # whoever writes the record takes the text, which can be cleaned
        record.exc_text = without_secrets(record.exc_text) if record.exc_text else None
        record.stack_info = without_secrets(record.stack_info) if record.stack_info else None
        return True
