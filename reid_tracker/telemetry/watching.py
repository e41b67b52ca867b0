"""Watches the stages of the main path and exports what they took.

    moment ─┬─ detect ─ embed ─ track          in a group of cameras, or on one machine
            ├─ read ─ associate ─ tell         on the site, or on one machine: the same trace, carried by the news
            └─ publish                         on the front of a site of several districts, linked to it

A span per stage of a moment that is sampled, a histogram of all stages of all moments, and the age of the pictures when
it is told who is in them. Providers belong to the object: nothing global is set.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from reid_tracker import __version__
from reid_tracker.config import TelemetryConfig
from reid_tracker.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Link

STAGE_SECONDS = "reid_tracker.stage.duration"
"""Histogram of seconds that a stage took, by ``stage``."""
FRAMES = "reid_tracker.frames"
"""Counter of camera-frames that came to a stage which begins a way, by ``stage``."""
FRAME_AGE = "reid_tracker.frame.age"
"""Histogram of seconds from a picture to the moment when it is told who is in it, by ``camera``."""

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_MOST_NAMED = 16  # cameras of one moment that its span names
_CLOSING_MILLISECONDS = 2000


class Telemetry:
    """Traces and metrics of one process. Thread-safe; ``stage`` is a reid_tracker.parts.Stage.

    Args:
        config: where to, and how much.
        role: what this process is: ``site``, ``group 3``.
        spans, metrics: in place of the exporters that the configuration describes.
        environment: where headers come from; the process's by default.

    Raises:
        ConfigError: the packages are not installed, or the variable of the headers is not set.
    """

    def __init__(
        self,
        config: TelemetryConfig,
        role: str,
        spans: SpanExporter | None = None,
        metrics: MetricReader | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        try:
            from opentelemetry.sdk.metrics import MeterProvider
            from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
        except ImportError as error:
            raise ConfigError(
                f"telemetry needs the extra 'telemetry': pip install 'reid_tracker[telemetry]' ({error})"
            ) from error
        headers = _headers(config, os.environ if environment is None else environment)
        about = {"service.name": "reid_tracker", "service.version": __version__, "service.instance.id": role}
        resource = Resource.create(about)
        self._spans = TracerProvider(sampler=ParentBased(TraceIdRatioBased(config.sample)), resource=resource)
        self._spans.add_span_processor(BatchSpanProcessor(spans or _span_exporter(config, headers)))
        bins = View(instrument_name="*.duration", aggregation=ExplicitBucketHistogramAggregation(_BUCKETS))
        ages = View(instrument_name=FRAME_AGE, aggregation=ExplicitBucketHistogramAggregation(_BUCKETS))
        readers = [metrics or _metric_reader(config, headers)]
        self._meters = MeterProvider(readers, resource=resource, views=[bins, ages])
        self._tracer = self._spans.get_tracer("reid_tracker", __version__)
        meter = self._meters.get_meter("reid_tracker", __version__)
        self._seconds = meter.create_histogram(STAGE_SECONDS, "s", "time that a stage of a moment took")
        self._frames = meter.create_counter(FRAMES, "{frame}", "camera-frames that came to a stage")
        self._ages = meter.create_histogram(FRAME_AGE, "s", "from a picture to being told who is in it")

    @contextmanager
    def stage(self, name: str, items: Sequence[Any] = (), /) -> Iterator[None]:
        """Watch a block: a span in the trace that is on its way here, and its time.

        Args:
            name: of the stage.
            items: frames, or what stands for them, where a way begins or comes in from another process.
        """
        began = time.perf_counter()
        way: dict[str, Any] = {"links": _links(items), "context": _parent(items)} if items else {}
        with self._tracer.start_as_current_span(name, attributes=_attributes(items), **way):
            try:
                yield
            finally:
                self._seconds.record(time.perf_counter() - began, {"stage": name})
                if frames := sum(not isinstance(item, str) for item in items):  # a text stands for a trace
                    self._frames.add(frames, {"stage": name})

    def told(self, frames: Sequence[Any]) -> None:
        """It was told who is in these frames (TrackedFrame): how old are they by now?"""
        now = time.time()
        for frame in frames:
            if frame.camera_id:
                self._ages.record(max(0.0, now - frame.time), {"camera": frame.camera_id})

    def trace(self) -> str:
        """W3C traceparent of the stage that runs now, to go along with news; empty outside of one."""
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        carrier: dict[str, str] = {}
        TraceContextTextMapPropagator().inject(carrier)
        return carrier.get("traceparent", "")

    def close(self) -> None:
        """Export what is left, for a little while."""
        self._spans.force_flush(_CLOSING_MILLISECONDS)
        self._spans.shutdown()
        self._meters.shutdown(_CLOSING_MILLISECONDS)


def open_telemetry(config: TelemetryConfig, role: str) -> Telemetry | None:
    """What the configuration asks for; None where it asks for nothing. Raises ConfigError as Telemetry does."""
    return Telemetry(config, role) if config.endpoint else None


def _attributes(items: Sequence[Any]) -> dict[str, Any]:
    cameras = [camera for each in items if (camera := getattr(each, "camera_id", ""))]
    return {"reid.frames": len(items), "reid.cameras": cameras[:_MOST_NAMED]} if items else {}


def _parent(items: Sequence[Any]) -> Context | None:
    """The trace that the items come with: news of one moment of a group have one."""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    for each in items:
        if trace := getattr(getattr(each, "news", None), "trace", ""):
            return TraceContextTextMapPropagator().extract({"traceparent": trace})
    return None


def _links(items: Sequence[Any]) -> list[Link]:
    """Traces that come as such: of what was gathered from several moments."""
    from opentelemetry.trace import Link, get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    traces = [each for each in items if isinstance(each, str)]
    contexts = (TraceContextTextMapPropagator().extract({"traceparent": each}) for each in traces)
    spans = [get_current_span(context).get_span_context() for context in contexts]
    return [Link(span) for span in spans if span.trace_flags.sampled]


def _headers(config: TelemetryConfig, environment: Mapping[str, str]) -> dict[str, str]:
    name = config.headers_variable
    if not name:
        return {}
    if name not in environment:
        raise ConfigError(f"telemetry: the environment variable {name} is not set; set it before starting")
    pairs = (each.partition("=") for each in environment[name].split(",") if each.strip())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _span_exporter(config: TelemetryConfig, headers: Mapping[str, str]) -> SpanExporter:
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise _without_exporter(error) from error
    address = f"{config.endpoint.rstrip('/')}/v1/traces"
    return OTLPSpanExporter(address, headers=dict(headers), timeout=config.timeout_seconds)


def _metric_reader(config: TelemetryConfig, headers: Mapping[str, str]) -> MetricReader:
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    except ImportError as error:
        raise _without_exporter(error) from error
    address = f"{config.endpoint.rstrip('/')}/v1/metrics"
    exporter = OTLPMetricExporter(address, headers=dict(headers), timeout=config.timeout_seconds)
    return PeriodicExportingMetricReader(exporter, config.metrics_seconds * 1000, config.timeout_seconds * 1000)


def _without_exporter(error: ImportError) -> ConfigError:
    return ConfigError(f"telemetry needs the extra 'telemetry': pip install 'reid_tracker[telemetry]' ({error})")
