"""A picture's way from the camera to being told who is in it: spans of one trace, and what the stages took."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from reid_tracker.config import Config, TelemetryConfig
from reid_tracker.errors import ConfigError
from reid_tracker.sources import open_source
from reid_tracker.telemetry import Telemetry, open_telemetry
from tests.cluster.scenes import steady_pipeline, write_visits

pytest.importorskip("opentelemetry.sdk", reason="needs the extra 'telemetry'")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="needs the extra 'telemetry'")


class Collector:
    """Takes what is exported by OTLP over HTTP; ``spans`` are (service instance, span)."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        self.metrics: dict[str, Any] = {}
        self.headers: list[dict[str, str]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    import gzip

                    body = gzip.decompress(body)
                collector.headers.append(dict(self.headers))
                collector.take(self.path, body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def take(self, path: str, body: bytes) -> None:
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                (who,) = [a.value.string_value for a in resource.resource.attributes if a.key == "service.instance.id"]
                self.spans += [(who, span) for scope in resource.scope_spans for span in scope.spans]
        elif path == "/v1/metrics":
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for scope in resource.scope_metrics:
                    self.metrics |= {metric.name: metric for metric in scope.metrics}

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    started = Collector()
    yield started
    started.close()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return write_visits(tmp_path / "door.avi", [("red", 0, 2), ("green", 0, 2)], 2.0)


def test_each_stage_of_a_moment_is_a_span_and_a_measurement(recording: Path) -> None:
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans, metrics = InMemorySpanExporter(), InMemoryMetricReader()
    telemetry = Telemetry(TelemetryConfig(endpoint="http://nowhere", sample=1.0), "alone", spans, metrics)
    pipeline = steady_pipeline(Config())
    pipeline.stage = telemetry.stage
    for frame in open_source(str(recording), "door"):
        with telemetry.stage("moment", [frame]):
            telemetry.told(pipeline.step([frame]))
    read = metrics.get_metrics_data()
    telemetry.close()
    found = spans.get_finished_spans()
    traces: dict[int, dict[str, Any]] = {}
    for span in found:
        traces.setdefault(span.context.trace_id, {})[span.name] = span
    assert len(traces) == 20
    for moment in traces.values():
        assert set(moment) == {"moment", "detect", "embed", "track", "associate"}
        assert all(
            span.parent.span_id == moment["moment"].context.span_id for name, span in moment.items() if name != "moment"
        )
        assert moment["moment"].attributes["reid.cameras"] == ("door",)
    by_name = {
        metric.name: metric.data for resource in read.resource_metrics for scope in resource.scope_metrics
        for metric in scope.metrics
    }  # fmt: skip
    took = {point.attributes["stage"]: point for point in by_name["reid_tracker.stage.duration"].data_points}
    assert {stage: point.count for stage, point in took.items()} == dict.fromkeys(
        ("moment", "detect", "embed", "track", "associate"), 20
    )
    assert took["moment"].sum > took["track"].sum
    (age,) = by_name["reid_tracker.frame.age"].data_points
    assert (age.attributes["camera"], age.count) == ("door", 20)


def test_a_share_is_traced_and_all_is_measured() -> None:
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    spans, metrics = InMemorySpanExporter(), InMemoryMetricReader()
    telemetry = Telemetry(TelemetryConfig(endpoint="http://nowhere", sample=0.0), "alone", spans, metrics)
    with telemetry.stage("moment", ["x"]), telemetry.stage("detect"):
        pass
    read = metrics.get_metrics_data()
    telemetry.close()
    assert spans.get_finished_spans() == ()
    names = [metric.name for each in read.resource_metrics for scope in each.scope_metrics for metric in scope.metrics]
    assert "reid_tracker.stage.duration" in names


def test_nothing_is_traced_unless_asked_for() -> None:
    assert open_telemetry(TelemetryConfig(), "site") is None
    with pytest.raises(ConfigError, match="HEADERS is not set"):
        Telemetry(TelemetryConfig(endpoint="http://x", headers_variable="HEADERS"), "site", environment={})


def test_a_collector_that_is_away_costs_nothing_but_its_spans(recording: Path) -> None:
    settings = TelemetryConfig(endpoint="http://127.0.0.1:9", sample=1.0, timeout_seconds=0.2)
    telemetry = Telemetry(settings, "alone")
    pipeline = steady_pipeline(Config())
    pipeline.stage = telemetry.stage
    frames = list(open_source(str(recording), "door"))
    tracked = [pipeline.step([frame]) for frame in frames]
    assert len(tracked) == 20
    telemetry.close()


@pytest.mark.slow
def test_one_trace_goes_from_a_group_to_its_site_by_otlp(collector: Collector, tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="needs the extra 'service'")
    from reid_tracker.cluster.site import ClusterService
    from tests.cluster.test_live import Link, by_group, group, site_pipeline
    from tests.service.conftest import wait_for

    source = str(write_visits(tmp_path / "door.avi", [("red", 0, 20)], 20.0))
    config = Config().with_values(
        {
            "cameras": [{"id": "door", "source": source}],
            "live.repeat": True,
            "cluster.heartbeat_seconds": 0.2,
            "telemetry.endpoint": collector.address,
            "telemetry.sample": 1.0,
            "telemetry.metrics_seconds": 1.0,
            "telemetry.headers_variable": "OTLP_HEADERS",
        }
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTLP_HEADERS", "authorization=Bearer abc")
        link = Link()
        with ClusterService(config, by_group(config), site_pipeline) as site:
            link.site = site
            made = group(config, "group door", link)
            wait_for(lambda: site.site.report().steps > 20, 60)
            wait_for(lambda: "reid_tracker.frame.age" in collector.metrics, 60)
            link.site = None
            made.stop()
    traces: dict[bytes, set[tuple[str, str]]] = {}
    for who, span in collector.spans:
        traces.setdefault(span.trace_id, set()).add((who, span.name))
    whole = {("group door", name) for name in ("moment", "detect", "embed", "track")} | {
        ("site", name) for name in ("moment", "read", "associate", "tell")
    }
    assert sum(whole <= names for names in traces.values()) >= 15
    assert {"reid_tracker.stage.duration", "reid_tracker.frames"} <= collector.metrics.keys()
    assert {headers.get("authorization") or headers.get("Authorization") for headers in collector.headers} == {
        "Bearer abc"
    }
