"""Each way of ranking against the distance it is named after, by rows and with a shortlist."""

import numpy as np
import pytest

from reid_tracker.distance import (
    aligned_distance,
    fused_distance,
    global_distance,
    rerank_distance,
    unaligned_distance,
)
from reid_tracker.errors import InputError
from reid_tracker.evaluation.ranking import WAYS, Looks, distances_by_rows, ways_of


def looks(count: int, seed: int, stripes: int = 8) -> Looks:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((count, 16))
    parts = rng.standard_normal((count, stripes, 8))
    return Looks(
        (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32),
        (parts / np.linalg.norm(parts, axis=-1, keepdims=True)).astype(np.float32),
    )


def test_every_way_is_the_distance_it_is_named_after():
    queries, gallery = looks(9, 0), looks(30, 1)
    by_rows = distances_by_rows(queries, gallery, WAYS)
    aligned, wide = (
        aligned_distance(queries.stripes, gallery.stripes),
        global_distance(queries.global_, gallery.global_),
    )
    expected = {
        "global": wide,
        "unaligned": unaligned_distance(queries.stripes, gallery.stripes),
        "aligned": aligned,
        "fused": fused_distance(wide, aligned),
        "reranked": rerank_distance(queries.global_, gallery.global_),
    }
    blocks = [by_rows(slice(0, 4)), by_rows(slice(4, 9))]
    assert list(blocks[0]) == list(WAYS)
    for way, distances in expected.items():
        np.testing.assert_allclose(np.concatenate([block[way] for block in blocks]), distances, atol=1e-5)


def test_shortlist_orders_the_nearest_and_leaves_the_others_behind_in_their_order():
    queries, gallery = looks(5, 0), looks(40, 1)
    everything = distances_by_rows(queries, gallery, ("global", "aligned"))(slice(0, 5))
    listed = distances_by_rows(queries, gallery, ("aligned",), shortlist=10)(slice(0, 5))["aligned"]
    for row in range(5):
        nearest = np.argsort(everything["global"][row])
        ranking = np.argsort(listed[row])
        assert set(ranking[:10]) == set(nearest[:10])
        assert ranking[10:].tolist() == nearest[10:].tolist()
        np.testing.assert_allclose(listed[row][nearest[:10]], everything["aligned"][row][nearest[:10]], atol=1e-5)


def test_a_shortlist_longer_than_the_gallery_is_no_shortlist():
    queries, gallery = looks(3, 0), looks(6, 1)
    whole = distances_by_rows(queries, gallery, ("aligned",))(slice(0, 3))
    listed = distances_by_rows(queries, gallery, ("aligned",), shortlist=6)(slice(0, 3))
    np.testing.assert_array_equal(whole["aligned"], listed["aligned"])


def test_without_stripes_only_the_global_ways_are_there():
    assert ways_of(looks(3, 0, stripes=0)) == ("global", "reranked")
    assert ways_of(looks(3, 0), ["fused", "global"]) == ("fused", "global")
    with pytest.raises(InputError, match="sideways"):
        ways_of(looks(3, 0), ["sideways"])


def test_looks_that_do_not_belong_together_are_refused():
    with pytest.raises(InputError, match="stripes"):
        Looks(np.zeros((3, 4), np.float32), np.zeros((2, 8, 4), np.float32))
