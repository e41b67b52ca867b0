"""Ray, as far as the rest needs it: connecting, and tasks of which each ends with a value or an error."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from reid_tracker.config import ClusterConfig
from reid_tracker.errors import ConfigError

LOCAL = "local"
"""Address of a cluster that is started on this machine and ends with the program."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Outcome(Generic[Key]):
    """How a task ended.

    Attributes:
        key: what it was submitted under.
        value: what it returned.
        error: why it failed, in a line; empty where it did not.
    """

    key: Key
    value: Any = None
    error: str = ""


class Tasks(Protocol[Key]):
    """Runs functions somewhere, several at a time."""

    @property
    def running(self) -> int:
        """How many were submitted and have not ended."""
        ...

    def submit(self, key: Key, function: Callable[..., Any], *arguments: Any) -> None:
        """Have a function run when there is room."""
        ...

    def ended(self, seconds: float) -> list[Outcome[Key]]:
        """Those that ended since last asked; waits up to ``seconds`` for one."""
        ...

    def cancel(self) -> None:
        """Give up what has not ended."""
        ...


class RayTasks(Generic[Key]):
    """Tasks on the cluster that this process is connected to (see ``connected``)."""

    def __init__(self, ray: Any, config: ClusterConfig) -> None:
        self._ray = ray
        self._options = {"num_cpus": config.cpus, "num_gpus": config.gpus, "max_retries": config.retries}
        self._running: dict[Any, Key] = {}

    @property
    def running(self) -> int:
        """How many were submitted and have not ended."""
        return len(self._running)

    def submit(self, key: Key, function: Callable[..., Any], *arguments: Any) -> None:
        """Have a function run when there is room; again elsewhere where its worker or machine is lost."""
        remote = self._ray.remote(**self._options)(function)
        self._running[remote.remote(*arguments)] = key

    def ended(self, seconds: float) -> list[Outcome[Key]]:
        """Those that ended since last asked; waits up to ``seconds`` for one."""
        if not self._running:
            return []
        done, _ = self._ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        if not done:
            done, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
        return [self._outcome(reference) for reference in done]

    def cancel(self) -> None:
        """Give up what has not ended."""
        for reference in self._running:
            self._ray.cancel(reference, force=True)
        self._running.clear()

    def _outcome(self, reference: Any) -> Outcome[Key]:
        key = self._running.pop(reference)
        try:
            return Outcome(key, self._ray.get(reference))
        except self._ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None) or error
            return Outcome(key, error=" ".join(str(cause).split())[:500] or type(cause).__name__)


def load_ray() -> Any:
    """The package ray.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise ConfigError(
            f"--cluster needs the extra 'cluster': pip install 'reid_tracker[cluster]' ({error})"
        ) from error


@contextmanager
def connected(address: str, config: ClusterConfig) -> Iterator[Any]:
    """The package ray, connected to a cluster until the block ends.

    Args:
        address: ``local`` starts a cluster on this machine that ends with the block; else as Ray takes it:
            ``auto`` (this machine is part of it), ``host:port``, or ``ray://host:port`` (it is not).

    Raises:
        ConfigError: ray is not installed, or there is no cluster at the address.
    """
    ray = load_ray()
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR, "ignore_reinit_error": False}
    terminate = signal.getsignal(signal.SIGTERM) or signal.SIG_DFL
    try:
        if address == LOCAL:
            system = {"worker_niceness": config.niceness}
            ray.init(
                address="local",
                include_dashboard=False,
                object_store_memory=config.store_bytes,
                _system_config=system,
                **quiet,
            )
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        why = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"--cluster {address}: no cluster answers there ({why}); expected local, auto, host:port or ray://host:port"
            f"{_token_hint(address)}"
        ) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, terminate)  # Ray puts one of its own there, which ends the program at once
    try:
        yield ray
    finally:
        ray.shutdown()


def _token_hint(address: str) -> str:
    """What may be missing as well: Ray's client sends its token only where that is said, and is told nothing else."""
    if not address.startswith("ray://") or "RAY_AUTH_MODE" in os.environ:
        return ""
    return "; if the cluster asks for a token, set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to the head's"
