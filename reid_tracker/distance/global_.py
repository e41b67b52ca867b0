"""Distance of global vectors: the wide search, one matrix product."""

from __future__ import annotations

import numpy as np

from reid_tracker.distance._checks import as_vectors, same_space
from reid_tracker.types import FloatArray


def global_distance(queries: FloatArray, gallery: FloatArray) -> FloatArray:
    """Cosine distance, 1 - cos, of all pairs of unit vectors.

    Args:
        queries: (M, D), unit length.
        gallery: (N, D), unit length.

    Returns:
        (M, N) float32 in 0..2; half the squared Euclidean distance.

    Raises:
        InputError: shapes that do not fit, NaN or infinity.
    """
    queries, gallery = as_vectors(queries, "queries"), as_vectors(gallery, "gallery")
    same_space(queries, gallery, "queries and gallery")
    distances: FloatArray = queries @ gallery.T
    np.subtract(1, distances, out=distances)
    return np.clip(distances, 0, 2, out=distances)
