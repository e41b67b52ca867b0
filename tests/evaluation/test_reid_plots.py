"""The plots are well-formed, hold what they should, and stand by themselves."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from reid_tracker.distance import aligned_path
from reid_tracker.evaluation.calibration_plots import errors_svg, reliability_svg
from reid_tracker.evaluation.reid import ReidScores
from reid_tracker.evaluation.reid_plots import alignment_svg, cmc_svg, histogram_svg, pair_distances
from reid_tracker.evaluation.reliability import Reliability

SVG = "{http://www.w3.org/2000/svg}"


def scores(first: float) -> ReidScores:
    return ReidScores(np.linspace(first, 1, 50), 0.5, 0.2, 10, 0)


def texts(svg: str) -> str:
    return " ".join(part.text or "" for part in ElementTree.fromstring(svg).iter(f"{SVG}text"))


def test_cmc_has_a_curve_for_each_way_that_rises_to_the_right():
    svg = cmc_svg({"global": scores(0.6), "a < b": scores(0.8)}, "Market & more")
    curves = ElementTree.fromstring(svg).findall(f"{SVG}polyline")
    assert len(curves) == 2
    for curve in curves:
        points = np.array([point.split(",") for point in curve.get("points").split()], dtype=float)
        assert len(points) == 20
        assert (np.diff(points[:, 0]) > 0).all()
        assert (np.diff(points[:, 1]) <= 0).all()  # y grows downwards
    assert "rank-1 60.0" in texts(svg)
    assert "a < b" in texts(svg)


@pytest.mark.parametrize(("shift", "low", "high"), [(0.0, 90, 100), (0.35, 0, 10)])
def test_histogram_says_how_far_same_and_different_overlap(shift, low, high):
    rng = np.random.default_rng(0)
    same = rng.normal(0.3, 0.05, 20_000).astype(np.float32)
    different = rng.normal(0.3 + shift, 0.05, 20_000).astype(np.float32)
    found = float(re.search(r"overlap ([\d.]+) %", texts(histogram_svg(same, different, "t"))).group(1))
    assert low <= found <= high


def test_histogram_of_one_value_does_not_divide_by_zero():
    assert "overlap 100.0 %" in texts(histogram_svg(np.ones(3, np.float32), np.ones(2, np.float32), "t"))


def lowest(svg: str) -> float:
    """Y of the lowest point of any curve, area or mark; y grows downwards."""
    root = ElementTree.fromstring(svg)
    shapes = [*root.findall(f"{SVG}polyline"), *root.findall(f"{SVG}polygon")]
    points = [float(point.split(",")[1]) for shape in shapes for point in shape.get("points").split()]
    return max([*points, *(float(dot.get("cy")) + float(dot.get("r")) for dot in root.findall(f"{SVG}circle"))])


def test_no_curve_runs_through_what_the_colours_stand_for():
    rng = np.random.default_rng(0)
    judged = {"one kind": Reliability(rng.beta(5, 1, 50), rng.beta(1, 5, 50))}
    judged["another"] = Reliability(rng.beta(2, 1, 50), rng.beta(1, 2, 50))
    low = np.zeros(40, np.float32)
    for svg in (
        errors_svg(judged, "errors"),
        reliability_svg(judged, "reliability"),
        histogram_svg(low, low + 1, "distances"),
        cmc_svg({"global": scores(0.1), "aligned": scores(0.2)}, "ranks"),
    ):
        root = ElementTree.fromstring(svg)
        entries = [float(box.get("y")) for box in root.findall(f"{SVG}rect") if box.get("y")]
        assert entries
        assert min(entries) > lowest(svg)
        assert max(entries) + 10 < float(root.get("height"))


def test_axes_are_marked_at_round_numbers():
    rng = np.random.default_rng(0)
    svg = histogram_svg(
        rng.uniform(0.17, 0.4, 90).astype(np.float32), rng.uniform(0.3, 0.99, 90).astype(np.float32), ""
    )
    assert {"0.2", "0.4", "0.6", "0.8"} <= set(texts(svg).split())
    assert "-0" not in texts(svg).split()


def test_alignment_draws_a_line_for_each_cell_and_embeds_both_pictures():
    rng = np.random.default_rng(0)
    stripes = rng.standard_normal((2, 8, 16))
    stripes = (stripes / np.linalg.norm(stripes, axis=-1, keepdims=True)).astype(np.float32)
    svg = alignment_svg(b"one", b"two", aligned_path(*stripes), "person 1")
    root = ElementTree.fromstring(svg)
    assert len(root.findall(f"{SVG}image")) == 2
    lines = [path for path in root.findall(f"{SVG}path") if path.find(f"{SVG}title") is not None]
    assert len(lines) == 15
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")


def test_pairs_are_thinned_evenly():
    distances = np.arange(100, dtype=np.float32).reshape(10, 10)
    same = np.zeros((10, 10), np.bool_)
    same[0] = True
    few = pair_distances(distances, same, ~same, most=5)
    assert len(few[0]) == 5
    assert few[0].max() == 8
    assert few[1].min() == 10
