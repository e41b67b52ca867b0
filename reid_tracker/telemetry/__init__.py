"""Traces and metrics of a frame's way, by OpenTelemetry; nothing of it is imported where nothing is traced."""

from reid_tracker.telemetry.watching import Telemetry, open_telemetry

__all__ = ["Telemetry", "open_telemetry"]
