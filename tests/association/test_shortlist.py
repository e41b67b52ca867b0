"""Products taken ahead of time stay true while the gallery changes, and a crowd's shortlist holds those who matter."""

from __future__ import annotations

import numpy as np

from reid_tracker.association.calibration import Calibration, PassageLooks, Spread
from reid_tracker.association.evidence import Compared, evidence_of_products, rough_order
from reid_tracker.association.identities import Identity, Passage
from reid_tracker.association.memory import Gallery
from reid_tracker.association.shortlist import Products, likest_and_latest

DIMENSION = 16


def test_products_taken_ahead_follow_every_change_of_the_gallery() -> None:
    """People who come, go and change between two decisions of a step: as if everything were multiplied then."""
    generator = np.random.default_rng(3)
    gallery, calibration = Gallery(4), Calibration()
    people = [_identity(number, generator) for number in range(1, 9)]
    for identity in people:
        gallery.update(identity, calibration)
    asked = [_passage(100 + number, generator) for number in range(3)]
    centre = generator.standard_normal(DIMENSION).astype(np.float32)
    products = Products(gallery)
    products.look_ahead(asked, centre)

    gallery.remove(2)  # the last row takes its place
    people[3].passages.append(_passage(50, generator))
    gallery.update(people[3], calibration)
    for number in range(20, 24):
        gallery.update(_identity(number, generator), calibration)
    later = _passage(200, generator)

    for passages in (asked[:2], asked[1:], [*asked, later]):
        described = [(passage.tracklet, passage.looks) for passage in passages if passage.looks is not None]
        means = np.stack([looks.mean for _, looks in described])
        np.testing.assert_allclose(products(described), means @ gallery.means.T, rtol=1e-5, atol=1e-5)
    for vector in (centre, generator.standard_normal(DIMENSION).astype(np.float32)):
        np.testing.assert_allclose(products.beside(vector), gallery.means @ vector, rtol=1e-5, atol=1e-5)


def test_new_looks_of_a_passage_are_not_answered_with_the_old_ones() -> None:
    """A look that came after products were taken ahead counts."""
    generator = np.random.default_rng(4)
    gallery, calibration = Gallery(4), Calibration()
    gallery.update(_identity(1, generator), calibration)
    passage = _passage(7, generator)
    products = Products(gallery)
    products.look_ahead([passage], np.zeros(DIMENSION, np.float32))
    newer = _passage(7, generator).looks
    assert newer is not None
    np.testing.assert_allclose(products([(7, newer)]), newer.mean[None] @ gallery.means.T, rtol=1e-5)


def test_in_a_crowd_the_likest_and_those_seen_last_are_looked_at() -> None:
    """However little the latest look alike and however long ago the likest were seen; and few others."""
    generator = np.random.default_rng(5)
    likeness = generator.normal(-6, 3, (4, 20_000)).astype(np.float32)
    seen = generator.uniform(0, 1e6, 20_000)
    worth = likest_and_latest(likeness, seen)
    assert np.isin(np.argsort(-likeness, axis=1)[:, :150], worth).all()
    assert np.isin(np.argsort(-seen)[:200], worth).all()
    assert len(worth) < 2000
    assert (np.diff(worth) > 0).all()


def test_the_rough_order_puts_first_whom_the_evidence_does() -> None:
    """Passages of different length, people known well and hardly, many strangers: nobody who matters is left out."""
    generator = np.random.default_rng(6)
    people = generator.standard_normal((4000, 64)).astype(np.float32) / 8
    precisions = generator.choice([2.0, 5.0, 9.0], len(people))
    passages = people[:20] + generator.normal(0, 0.06, (20, 64)).astype(np.float32)
    variances = generator.uniform(0.2, 0.5, 20)
    spread = Spread(np.full(64, 0.01, np.float32), 1.0, 0.56, 0.24, 0.2, 0.0, 60.0)
    products, beside, squares = passages @ people.T, people @ spread.centre, (people**2).sum(axis=1)
    compared = Compared(products, beside, passages, variances, precisions, squares)
    exact, rough = evidence_of_products(compared, spread), rough_order(compared, spread)
    for row in range(20):
        first = np.argsort(-rough[row])[:200]
        assert row in first[:5]
        assert np.isin(np.argsort(-exact[row])[:50], first).all()


def _identity(number: int, generator: np.random.Generator) -> Identity:
    return Identity(number, [_passage(number, generator)], 1)


def _passage(tracklet: int, generator: np.random.Generator) -> Passage:
    looks = PassageLooks("c", generator.standard_normal(DIMENSION).astype(np.float32), 2.0)
    return Passage(tracklet, "c", 0, 0.0, 1.0, looks, identity=tracklet)
