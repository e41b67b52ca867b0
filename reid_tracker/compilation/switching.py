"""A network that starts at once on a processor and moves to its engine when that is built.

For live cameras alone: the two differ by rounding, so a recorded run, whose ids must repeat, keeps one from its start.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from reid_tracker.compilation.build import build_engines, network_of, options_of
from reid_tracker.config import Config
from reid_tracker.embedding import NetworkEmbedder
from reid_tracker.errors import ReidTrackerError
from reid_tracker.parts import registered_names
from reid_tracker.runtime import RuntimeDescription, Session, open_session
from reid_tracker.runtime.tensorrt.opening import EngineUnavailable, cache_of, find_engine, open_engine

logger = logging.getLogger(__name__)


def live_embedder(config: Config) -> NetworkEmbedder | None:
    """The configuration's embedder on what may stand in, while its missing engine is built.

    None where there is nothing to wait for: another backend, an engine that fits, no GPU, or building turned off.

    Raises:
        ConfigError: no such model, or nothing that can stand in is installed.
        ModelError: the network is damaged.
    """
    name, runtime = config.embedding.model, config.runtime
    if runtime.backend != "tensorrt" or not runtime.build or name in registered_names("embedders"):
        return None
    path, manifest, _ = network_of(name)
    try:
        find_engine(path, runtime)
        return None
    except EngineUnavailable as error:
        if manifest is None or not error.buildable:
            return None
    first = open_session(path, runtime.model_copy(update={"fallback": runtime.fallback or ["openvino", "onnxruntime"]}))

    def build() -> Session:
        build_engines(name, options_of(runtime), cache_of(runtime))
        return open_engine(path, runtime, "built while the run went on")

    return NetworkEmbedder(SwitchingSession(first, build), manifest.input, config.embedding.batch)


class SwitchingSession:
    """See ``reid_tracker.runtime.Session``. Not thread-safe, but for the thread that it starts itself.

    Args:
        first: ready now; sets the inputs and outputs.
        build: makes the other, in a thread of its own; what it raises is logged, and ``first`` kept.
    """

    def __init__(self, first: Session, build: Callable[[], Session]) -> None:
        self._session = first
        self._built: Session | None = None
        self._failure = ""
        self.inputs = first.inputs
        self.outputs = first.outputs
        self.metadata = first.metadata
        self._thread = threading.Thread(target=self._make, args=(build,), name="engine build", daemon=True)
        self._thread.start()

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """See ``Session.run``. Moves over between two calls, never within one."""
        if self._built is not None:
            self._session, self._built = self._built, None
            logger.info("moved to %s", self._session.describe().to_text())
        return self._session.run(inputs)

    def describe(self) -> RuntimeDescription:
        """See ``Session.describe``; of what runs now, with what is to come or why nothing came."""
        now = self._session.describe()
        waits = self._thread.is_alive() or self._built is not None
        more = "an engine is being built" if waits else self._failure
        if not more:
            return now
        return RuntimeDescription(
            now.model, now.backend, now.precision, now.device, now.threads, f"{now.reason}; {more}"
        )

    def wait(self, seconds: float | None = None) -> None:
        """Until the build has ended, at most ``seconds``."""
        self._thread.join(seconds)

    def _make(self, build: Callable[[], Session]) -> None:
        try:
            built = build()
        except ReidTrackerError as error:
            self._fail(str(error))
        except Exception as error:  # of a library: nobody else hears what ends this thread
            logger.exception("building the engine")
            self._fail(f"{type(error).__name__}: {error}")
        else:
            given = {tensor.name for tensor in built.outputs}
            if given == {tensor.name for tensor in self.outputs}:
                self._built = built
            else:
                self._fail(f"it gives {', '.join(sorted(given))}")

    def _fail(self, why: str) -> None:
        self._failure = f"no engine: {why}"
        logger.warning("%s", self._failure)
