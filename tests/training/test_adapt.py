"""Learning from a site without labels: what is certain, what is agreed on, and what is refused."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reid_tracker.errors import InputError, ModelError
from reid_tracker.training.agreement import (
    Examination,
    Gain,
    agreed_answers,
    mutual_links,
    probable_people,
    site_links,
    tracklet_means,
    unit,
    without_camera,
)
from reid_tracker.training.site import SitePeople, gather_site, read_site

PEOPLE, DIMENSIONS = 12, 32


def site_of(people: int = PEOPLE, pictures: int = 3) -> SitePeople:
    """Everybody passes two cameras, three at a time in view together."""
    rows = [
        (2 * person + camera, camera, 100.0 * (person // 3) + 1000 * camera + second)
        for person in range(people)
        for camera in range(2)
        for second in range(pictures)
    ]
    tracklets, cameras, times = (np.array(column) for column in zip(*rows, strict=True))
    return gather_site("site", tuple(Path(f"{row}.jpg") for row in range(len(rows))), tracklets, cameras, times)


def vectors_of(site: SitePeople, noise: float, seed: int = 0) -> np.ndarray:
    """A person, what the camera adds to everybody, and chance."""
    rng = np.random.default_rng(seed)
    people = rng.normal(size=(len(site) // 2, DIMENSIONS))
    cameras = 1.5 * rng.normal(size=(2, DIMENSIONS))
    owner = site.tracklet_of
    made = people[owner // 2] + cameras[site.cameras[owner]] + noise * rng.normal(size=(len(owner), DIMENSIONS))
    return unit(made.astype(np.float32))


def test_who_is_in_view_together_in_one_camera_is_different():
    different = site_of().different
    assert different[0, 2]  # persons 0 and 1, camera 0
    assert not different[0, 1]  # person 0 in both cameras
    assert not different[0, 6]  # person 3 came a hundred seconds later
    assert (different == different.T).all()


def test_a_camera_of_its_own_colour_no_longer_hides_who_is_who():
    site = site_of()
    vectors = vectors_of(site, noise=0.3)
    links = mutual_links(tracklet_means(without_camera(vectors, site.pictures.cameras), site), site)
    assert len(links) >= PEOPLE - 2
    assert all(link.first // 2 == link.second // 2 for link in links if link.probability > 0.8)


def test_agreed_answers_pass_the_examination_better_than_single_pictures():
    site = site_of()
    vectors = vectors_of(site, noise=1.0)
    examination = Examination(vectors, site)
    assert examination.grade(agreed_answers(vectors, site)) > examination.grade(vectors) + 0.1


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(2 * PEOPLE * 3)), st.integers(0, 5))
def test_the_order_of_pictures_changes_nothing(order, seed):
    site = site_of()
    vectors = vectors_of(site, 0.5, seed)
    rows = np.array(order)
    times = np.array([100.0 * (t // 6) + 1000 * (t % 2) for t in site.tracklet_of]) + np.tile(range(3), 2 * PEOPLE)
    mixed = gather_site(
        "site",
        tuple(site.pictures.paths[row] for row in rows),
        site.tracklet_of[rows],
        site.pictures.cameras[rows],
        times[rows],
    )
    np.testing.assert_allclose(agreed_answers(vectors[rows], mixed), agreed_answers(vectors, site)[rows], atol=2e-5)


def test_a_perfect_embedder_passes_and_one_of_chance_does_not():
    site = site_of()
    examination = Examination(vectors_of(site, noise=0.3), site)
    perfect = unit(np.eye(DIMENSIONS, dtype=np.float32)[site.tracklet_of // 2])
    assert examination.grade(perfect) == pytest.approx(1, abs=0.05)
    chance = unit(np.random.default_rng(1).normal(size=perfect.shape).astype(np.float32))
    assert examination.grade(chance) < 0.6


def test_who_may_have_come_back_is_no_wrong_answer():
    site = site_of()
    vectors = vectors_of(site, noise=0.3)
    vectors[site.tracklet_of == 9] = vectors[site.tracklet_of == 1]  # person 4 in camera 2 is person 0 once more
    asked = [question for question in Examination(vectors, site).questions if set(question.right) == {3, 4, 5}]
    assert asked
    assert not any(set(question.wrong) & {27, 28, 29} for question in asked)


def scores_moved(people: int, mean: float, spread: float) -> tuple[Examination, np.ndarray, np.ndarray]:
    """An examination, the scores of one embedder, and those of another that moved them by so much."""
    site = site_of(people)
    examination = Examination(vectors_of(site, noise=0.3), site)
    before = np.full(len(examination.questions), 0.5)
    moved = np.random.default_rng(0).normal(size=len(before))
    moved = (moved - np.average(moved, weights=[one.weight for one in examination.questions])) / moved.std()
    return examination, before, before + mean + spread * moved


def test_a_gain_that_luck_may_give_is_none():
    examination, before, after = scores_moved(PEOPLE, 0.01, 0.1)
    gain = examination.gain(before, after)
    assert gain.after - gain.before == pytest.approx(0.01)
    assert gain.error == pytest.approx(0.1 / np.sqrt(len(before)), rel=0.7)
    assert not gain.certain
    assert examination.gain(*scores_moved(PEOPLE, 0.2, 0.1)[1:]).certain
    assert not examination.gain(*scores_moved(PEOPLE, -0.2, 0.1)[1:]).certain


def test_a_ruined_embedder_gains_nothing_and_one_freed_of_chance_does():
    site = site_of(60)
    vectors = vectors_of(site, noise=1.0)
    examination = Examination(vectors, site)
    before = examination.scores(vectors)
    rng = np.random.default_rng(0)
    worse = [
        examination.gain(before, examination.scores(unit(vectors + 0.1 * rng.normal(size=vectors.shape))))
        for _ in range(20)
    ]
    assert sum(gain.certain for gain in worse) <= 1
    assert examination.gain(before, examination.scores(vectors_of(site, noise=0.5))).certain


def test_partners_are_held_out_together_and_people_in_view_beside_them():
    torch = pytest.importorskip("torch", reason="training needs torch")  # noqa: F841
    from reid_tracker.training.adapt import hold_out

    site = site_of(60)
    people = probable_people(site_links(vectors_of(site, noise=0.3), site), len(site))
    held = hold_out(site, people, seed=3)
    assert 0.2 < held.mean() <= 0.4
    assert not set(people[held]) & set(people[~held])
    assert (site.different & held)[held].any(axis=1).mean() > 0.8


def test_only_what_is_held_out_is_asked_about_and_answers():
    site = site_of()
    held = np.arange(len(site)) < 12
    for question in Examination(vectors_of(site, noise=0.3), site, held).questions:
        for rows in (question.asking, question.right, question.wrong):
            assert held[site.tracklet_of[rows]].all()


def test_a_tracklet_of_which_no_picture_is_left_is_none():
    site = site_of()
    keep = np.ones(len(site.pictures), dtype=np.bool_)
    keep[[0, 3, 4, 5]] = False  # one picture of the first tracklet, all of the second
    left = site.pictured(keep)
    assert (len(left), len(left.pictures)) == (len(site) - 1, len(site.pictures) - 4)
    assert left.tracklet_of[:5].tolist() == [0, 0, 1, 1, 1]
    assert left.started[1] == site.started[2]


def test_a_part_keeps_its_own_pictures():
    site = site_of()
    part = site.only(np.array([1, 4]))
    assert len(part) == 2
    assert [path.stem for path in part.pictures.paths] == ["3", "4", "5", "12", "13", "14"]
    assert part.tracklet_of.tolist() == [0, 0, 0, 1, 1, 1]
    assert part.started.tolist() == [1000.0, 0.0]


def write_crops(folder: Path, rows: list[dict[str, object]]) -> None:
    (folder / "crops").mkdir(parents=True)
    with (folder / "crops" / "crops.csv").open("w", newline="") as text:
        table = csv.DictWriter(text, ["file", "identity", "tracklet", "camera", "frame", "time", "quality"])
        table.writeheader()
        table.writerows(rows)


def test_the_crops_of_a_run_are_read_with_camera_and_time(tmp_path):
    write_crops(
        tmp_path,
        [
            {"file": "0001_c1s1_000000_05.jpg", "tracklet": 5, "camera": "door", "time": 2.0},
            {"file": "0001_c1s1_000030_05.jpg", "tracklet": 5, "camera": "door", "time": 3.0},
            {"file": "0001_c2s1_000090_09.jpg", "tracklet": 9, "camera": "hall", "time": 7.5},
        ],
    )
    site = read_site(tmp_path)
    assert site.cameras.tolist() == [0, 1]
    assert (site.started.tolist(), site.ended.tolist()) == ([2.0, 7.5], [3.0, 7.5])


def test_a_run_without_crops_or_with_a_damaged_table_is_named(tmp_path):
    with pytest.raises(InputError, match="--save-crops"):
        read_site(tmp_path)
    write_crops(tmp_path, [{"file": "a.jpg", "tracklet": "five", "camera": "door", "time": 2.0}])
    with pytest.raises(InputError, match="five"):
        read_site(tmp_path)
    (tmp_path / "crops" / "crops.csv").unlink()
    (tmp_path / "crops").rmdir()
    write_crops(tmp_path, [{"file": "a.jpg", "tracklet": 5, "camera": "door", "time": "nan"}])
    with pytest.raises(InputError, match=r"time nan of a\.jpg"):
        read_site(tmp_path)
    with pytest.raises(InputError, match="mistyped: no such folder"):
        read_site(tmp_path / "mistyped")


class TestLearning:
    """The loop itself, on people who are colours: short, but with the real network and its real start weights."""

    @pytest.fixture
    def site(self, tmp_path_factory) -> SitePeople:
        folder = tmp_path_factory.mktemp("site")
        rng = np.random.default_rng(0)
        paths, tracklets, cameras, times = [], [], [], []
        for person in range(24):
            shirt, trousers = rng.integers(0, 256, (2, 3))
            for camera in range(2):
                for second in range(2):
                    picture = np.zeros((64, 32, 3))
                    picture[:32], picture[32:] = shirt, trousers
                    shade = picture * (0.6 + 0.4 * camera) + rng.normal(0, 12, picture.shape)
                    path = folder / f"{person:04d}_c{camera + 1}_{second}.png"
                    cv2.imwrite(str(path), np.clip(shade, 0, 255).astype(np.uint8))
                    paths.append(path)
                    tracklets.append(2 * person + camera)
                    cameras.append(camera)
                    times.append(60.0 * (person // 4) + 600 * camera + second)
        return gather_site("colours", tuple(paths), np.array(tracklets), np.array(cameras), np.array(times))

    def adapted(self, site: SitePeople, cache: Path, **changes: object):
        pytest.importorskip("torch", reason="training needs torch")
        from reid_tracker.training.adapt import adapt_to_site
        from reid_tracker.training.checkpoints import load
        from reid_tracker.training.recipe import read_recipe

        root = Path(__file__).parents[2]
        recipe = read_recipe(root / "reid_tracker/training/recipes/alignedreid_small_adapted.toml")
        stage = recipe.stages[0].model_copy(update={"pictures": 96, "size_hw": (64, 32), "frozen_blocks": 8})
        sets = (recipe.sets[0].model_copy(update={"people": 12}),)
        recipe = recipe.model_copy(update={"stages": (stage,), "sets": sets, **changes})
        return adapt_to_site(site, load(root / "engines/training/alignedreid_small.fp16.pt"), recipe, cache, rounds=1)

    @pytest.mark.slow
    def test_one_seed_gives_one_result_and_the_held_out_part_is_judged(self, site, tmp_path):
        import torch

        first, second = self.adapted(site, tmp_path), self.adapted(site, tmp_path)
        assert first.gain == second.gain
        for name, value in first.state["averaged"].items():
            assert torch.equal(value, second.state["averaged"][name]), name

    @pytest.mark.slow
    def test_a_run_that_ruins_the_embedder_is_no_better(self, site, tmp_path):
        pytest.importorskip("torch", reason="training needs torch")
        from reid_tracker.training.recipe import OptimizerRecipe

        wild = OptimizerRecipe(backbone_rate=0.5, head_rate=0.5, warmup_pictures=1, ema=0.0)
        assert not self.adapted(site, tmp_path, optimizer=wild).better

    def test_too_little_is_said(self, site, tmp_path):
        pytest.importorskip("torch", reason="training needs torch")
        with pytest.raises(InputError, match="track more video"):
            self.adapted(site_of(people=4), tmp_path)
        for path in site.pictures.paths[:40]:
            path.write_bytes(b"cut short")
        with pytest.raises(InputError, match="28 tracklets with readable crops"):
            self.adapted(site, tmp_path)

    def test_people_who_never_meet_are_nothing_to_judge_by(self, site, tmp_path):
        alone = np.arange(len(site.pictures)) * 1000.0
        one_camera = np.zeros(len(alone), dtype=np.int64)
        apart = gather_site("apart", site.pictures.paths, np.arange(len(alone)), one_camera, alone)
        with pytest.raises(InputError, match="0 questions to judge by"):
            self.adapted(apart, tmp_path)


def test_what_is_refused_leaves_nothing_and_what_fails_to_export_leaves_the_last_model(tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="training needs torch")
    from reid_tracker.training import adapting
    from reid_tracker.training.recipe import read_recipe

    recipe = read_recipe(Path(adapting.__file__).parent / "recipes" / "alignedreid_small_adapted.toml")
    write_crops(tmp_path / "run", [{"file": "a.jpg", "tracklet": 5, "camera": "door", "time": 2.0}])

    def adapt(_site, _kept, _recipe, cache, *_):
        (cache / "decoded.u8").write_bytes(b"people")
        return adapting.Adapted({"seen": 1}, Gain(0.5, 0.6, 0.1))

    monkeypatch.setattr(adapting, "adapt_to_site", adapt)
    with pytest.raises(ModelError, match="may be chance"):
        adapting.adapt_run(tmp_path / "run", tmp_path / "mine", adapting.shipped_state(), recipe, 1, None, print)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]

    def differ(*_, **__):
        raise ModelError("two arrows differ")

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "papers.json").write_text("of the last model")
    monkeypatch.setattr(adapting, "export", differ)
    certain = adapting.Adapted({"seen": 1}, Gain(0.5, 0.6, 0.01))
    with pytest.raises(ModelError, match="arrows"):
        adapting.export_adapted(certain, adapting.shipped_state(), tmp_path / "mine", tmp_path, tmp_path)
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["papers.json"]
    assert (tmp_path / "mine" / "papers.json").read_text() == "of the last model"
