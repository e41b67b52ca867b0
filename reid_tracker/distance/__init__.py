"""Distances between looks: global, DP-aligned local, both in one, and k-reciprocal re-ranking.

Arrays in, arrays out; nothing here knows of cameras, people or networks.
"""

from reid_tracker.distance.aligned import (
    AlignedPath,
    aligned_distance,
    aligned_distance_pairs,
    aligned_distance_shortlist,
    aligned_path,
)
from reid_tracker.distance.fused import fused_distance
from reid_tracker.distance.global_ import global_distance
from reid_tracker.distance.rerank import rerank_distance

__all__ = [
    "AlignedPath",
    "aligned_distance",
    "aligned_distance_pairs",
    "aligned_distance_shortlist",
    "aligned_path",
    "fused_distance",
    "global_distance",
    "rerank_distance",
]
