"""Counters and gauges in Prometheus' text format, version 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from reid_tracker.live import CameraState
from reid_tracker.outbound import DeliveryReport

if TYPE_CHECKING:
    from reid_tracker.cluster.condition import SiteState
    from reid_tracker.service.runtime import Service

_Sample = tuple[dict[str, str], float]


def metrics_text(service: Service) -> str:
    """All metrics of a running service."""
    reports = sorted(service.cameras.report().items())
    loop, writing = service.site.report(), service.recorder.report()

    def by_camera(attribute: str) -> list[_Sample]:
        return [({"camera": name}, float(getattr(report, attribute))) for name, report in reports]

    def by_reason(attribute: str) -> list[_Sample]:
        return [
            ({"camera": name, "reason": reason}, float(count))
            for name, report in reports
            for reason, count in sorted(getattr(report, attribute).items())
        ]

    up: list[_Sample] = [({"camera": name}, float(report.state is CameraState.LIVE)) for name, report in reports]
    decoders: list[_Sample] = [
        ({"camera": name, "codec": report.codec, "decoder": report.decoder}, 1.0)
        for name, report in reports
        if report.decoder
    ]
    lines = [
        *_metric("camera_up", "gauge", "1 while the camera sends pictures", up),
        *_metric("camera_fps", "gauge", "pictures a second that arrive", by_camera("fps")),
        *_metric("camera_lag_seconds", "gauge", "from arrival to processing", by_camera("lag")),
        *_metric("camera_decoder", "gauge", "1 for what decodes the camera: cpu, or a device", decoders),
        *_metric("frames_received_total", "counter", "pictures that arrived", by_camera("received")),
        *_metric("frames_processed_total", "counter", "pictures that were processed", by_camera("processed")),
        *_metric("frames_lost_total", "counter", "pictures not processed, or whose time was wrong", by_reason("lost")),
        *_metric("camera_faults_total", "counter", "failures of the stream", by_reason("faults")),
        *_metric("camera_reconnects_total", "counter", "times a stream came back", by_camera("reconnects")),
        *_metric("steps_total", "counter", "moments processed", [({}, loop.steps)]),
        *_metric("step_seconds", "gauge", "mean time of a moment", [({}, loop.step_seconds)]),
        *_metric(
            "step_failures_total",
            "counter",
            "moments that failed",
            [({"error": kind}, count) for kind, count in sorted(loop.failures.items())],
        ),
        *_metric("people_present", "gauge", "different people in view", [({}, len(service.people_present()))]),
        *_metric("sightings_searchable", "gauge", "passages in the index", [({}, len(service.index))]),
        *_metric("store_waiting", "gauge", "records that wait to be written", [({}, writing.waiting)]),
        *_metric("store_lost_total", "counter", "records given up while the store was away", [({}, writing.lost)]),
        *_outbound_lines(service.announcer.report()),
        *_cluster_lines(service.site_state()),
        *_metric("viewers", "gauge", "open WebSockets", [({}, service.hub.viewers)]),
        *_metric("viewer_skipped_total", "counter", "messages that slow viewers missed", [({}, service.hub.skipped)]),
    ]
    return "\n".join(lines) + "\n"


def _outbound_lines(reports: Mapping[str, DeliveryReport]) -> list[str]:
    def by_destination(attribute: str) -> list[_Sample]:
        return [({"destination": name}, float(getattr(report, attribute))) for name, report in reports.items()]

    def by_reason(attribute: str) -> list[_Sample]:
        return [
            ({"destination": name, "reason": reason}, float(count))
            for name, report in reports.items()
            for reason, count in sorted(getattr(report, attribute).items())
        ]

    up: list[_Sample] = [({"destination": name}, float(not report.failure)) for name, report in reports.items()]
    return [
        *_metric("outbound_up", "gauge", "1 while a destination takes messages", up),
        *_metric("outbound_waiting", "gauge", "messages that wait", by_destination("waiting")),
        *_metric("outbound_sent_total", "counter", "messages that arrived", by_destination("sent")),
        *_metric("outbound_retried_total", "counter", "attempts that failed and are repeated", by_reason("retried")),
        *_metric("outbound_dropped_total", "counter", "messages that will not arrive", by_reason("dropped")),
    ]


def _cluster_lines(state: SiteState) -> list[str]:
    """Of a cluster's parts; nothing on one machine."""
    if not state.associators:
        return []

    def by_group(attribute: str) -> list[_Sample]:
        return [({"group": each.name, "associator": of}, float(getattr(each, attribute))) for of, each in state.groups]

    def by_associator(attribute: str) -> list[_Sample]:
        return [({"associator": each.name}, float(getattr(each, attribute))) for each in state.associators]

    conditions: list[_Sample] = [
        ({"group": each.name, "associator": of, "condition": each.condition, "node": each.node}, 1.0)
        for of, each in state.groups
    ]
    return [
        *_metric("group_condition", "gauge", "1 for what a group of cameras is: well, behind, silent", conditions),
        *_metric("group_busy", "gauge", "share of its time that a group works", by_group("busy")),
        *_metric("group_lag_seconds", "gauge", "longest wait of a picture in a group", by_group("lag")),
        *_metric("group_step_seconds", "gauge", "mean time of a group's moment", by_group("step_seconds")),
        *_metric("group_arriving_fps", "gauge", "pictures a second that arrive in a group", by_group("arriving")),
        *_metric("group_processed_fps", "gauge", "pictures a second that a group processes", by_group("processed")),
        *_metric("group_silent_seconds", "gauge", "since a group was heard of", by_group("silent")),
        *_metric("group_restarts_total", "counter", "times a group was started again", by_group("restarts")),
        *_metric("group_undelivered_total", "counter", "pictures that did not get through", by_group("undelivered")),
        *_metric("group_lost_seconds_total", "counter", "seconds of its cameras that are lost", by_group("lost")),
        *_metric("associator_waiting", "gauge", "moments that wait for an associator", by_associator("waiting")),
        *_metric("associator_step_seconds", "gauge", "mean time of a moment", by_associator("step_seconds")),
        *_metric("associator_steps_total", "counter", "moments that it took", by_associator("steps")),
        *_metric("associator_silent_seconds", "gauge", "since it was heard of", by_associator("silent")),
        *_metric("associator_restarts_total", "counter", "times it was started again", by_associator("restarts")),
    ]


def _metric(name: str, kind: str, text: str, samples: Iterable[_Sample]) -> list[str]:
    full = f"reid_tracker_{name}"
    lines = [f"# HELP {full} {text}", f"# TYPE {full} {kind}"]
    for labels, value in samples:
        inside = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
        lines.append(f"{full}{{{inside}}} {value:.15g}" if inside else f"{full} {value:.15g}")  # counts stay exact
    return lines


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
