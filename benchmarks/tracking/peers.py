"""Configurations of the peers that the tracking benchmarks try: the defaults first, then variants for hindsight."""

from __future__ import annotations

from itertools import product
from typing import Any

Options = list[dict[str, Any]]


def _grid(**values: list[Any]) -> Options:
    return [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]


# Norfair has no default distance threshold; 0.7 of its IoU distance is what its own demos use.
NORFAIR: Options = [
    {"distance_threshold": 0.7},
    {"distance_threshold": 0.7, "emit_unseen": False},
    *_grid(distance_threshold=[0.8], hit_counter_max=[15, 30], initialization_delay=[1, 3], emit_unseen=[False]),
]
CBIOU: Options = [
    {},
    *_grid(lost_track_buffer=[30, 90], track_activation_threshold=[0.5, 0.7], high_conf_det_threshold=[0.5]),
]
OCSORT: Options = [{}, *_grid(lost_track_buffer=[30], minimum_consecutive_frames=[1, 2], high_conf_det_threshold=[0.6])]

PETS: dict[str, Options] = {"norfair": NORFAIR, "cbiou": CBIOU}
PUBLIC: dict[str, Options] = {"norfair": NORFAIR, "cbiou": CBIOU, "ocsort": OCSORT, "botsort": CBIOU}
