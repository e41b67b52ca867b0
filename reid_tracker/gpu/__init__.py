"""The same answers on a GPU: distances, re-ranking and crops in torch, with a Triton kernel for the aligned distance.

Each function takes and gives torch tensors on whatever device they are on, and equals its counterpart on a processor:
``reid_tracker.distance`` and ``reid_tracker.embedding.crops``. Importing needs torch; Triton is used where it is there.
"""

from reid_tracker.gpu.aligned import aligned_distance, aligned_distance_shortlist
from reid_tracker.gpu.crops import crop_people, normalised
from reid_tracker.gpu.rerank import rerank_distance

__all__ = ["aligned_distance", "aligned_distance_shortlist", "crop_people", "normalised", "rerank_distance"]
