"""Distances between looks: global, local (DP-aligned or stripe by stripe), both in one, and k-reciprocal re-ranking.

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
from reid_tracker.distance.rerank import rerank_blocks, rerank_distance
from reid_tracker.distance.unaligned import unaligned_distance

__all__ = [
    "AlignedPath",
    "aligned_distance",
    "aligned_distance_pairs",
    "aligned_distance_shortlist",
    "aligned_path",
    "fused_distance",
    "global_distance",
    "rerank_blocks",
    "rerank_distance",
    "unaligned_distance",
]
