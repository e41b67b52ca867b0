"""A short run on made-up people: it continues exactly, exports, and says plainly what is wrong with a recipe."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from reid_tracker.errors import ConfigError, InputError, ModelError  # noqa: E402
from reid_tracker.training import checkpoints  # noqa: E402
from reid_tracker.training import export as exporting  # noqa: E402
from reid_tracker.training.backbones import make_backbone  # noqa: E402
from reid_tracker.training.checkpoints import CHECKPOINT, keep_state, save_checkpoint  # noqa: E402
from reid_tracker.training.feed import Feed  # noqa: E402
from reid_tracker.training.network import AlignedReIDNet  # noqa: E402
from reid_tracker.training.pack import PackedSet, write_pack  # noqa: E402
from reid_tracker.training.recipe import read_recipe  # noqa: E402
from reid_tracker.training.train import Places, StopRequest, load_stage, read_sets, run  # noqa: E402
from reid_tracker.training.trainer import Trainer  # noqa: E402
from tests.training.tiny import BATCH, StopAfter, places, recipe, write_people  # noqa: E402

RECIPES = Path(__file__).parents[2] / "reid_tracker" / "training" / "recipes"


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    """Five people of four pictures."""
    return write_people(tmp_path_factory.mktemp("data"))


@pytest.mark.slow
def test_interrupted_and_uninterrupted_runs_end_in_the_same_bits(people, tmp_path):
    whole = run(recipe(), places(people, tmp_path / "whole"))
    # Stop inside the first stage, one step in, and let ``run`` go on.
    cut = places(people, tmp_path / "cut")
    sets = read_sets(recipe(), cut)
    data = load_stage(recipe(), cut, sets, recipe().stages[0])
    trainer = Trainer(recipe(), data, None)
    trainer.enter(recipe().stages[0])
    trainer.step(data)
    save_checkpoint(trainer, cut.out)
    continued = run(recipe(), cut)
    assert continued.seen == whole.seen == 4 * BATCH
    for name, value in whole.network.state_dict().items():
        assert torch.equal(continued.network.state_dict()[name], value), name
    for name, value in whole.averaged.state_dict().items():
        assert torch.equal(continued.averaged.state_dict()[name], value), name


def test_another_seed_composes_other_people(people, tmp_path):
    composed = {"name": "made", "folder": "set", "people": 3, "composed": 4}

    def pictures(seed: int) -> list[bytes]:
        (made,) = read_sets(recipe(seed=seed, sets=[composed]), places(people, tmp_path))
        return [path.read_bytes() for path in made.paths]

    assert pictures(1) == pictures(1)
    assert pictures(1) != pictures(2)


@pytest.mark.parametrize("taught", ["all", "stripes"])
def test_a_cut_body_teaches_the_global_vector_only_where_it_is_asked_to(people, tmp_path, taught):
    cutting = recipe(augment={"body_crop": 0.5}, loss={"cut_bodies": taught})
    where = places(people, tmp_path)
    trainer = Trainer(cutting, load_stage(cutting, where, read_sets(cutting, where), cutting.stages[0]), None)
    (learner,) = trainer.learners
    x = torch.rand(BATCH, 3, 64, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    cut = torch.arange(BATCH) < 2

    def learned(loss) -> list[bool]:
        heads = [learner.network.global_head.weight, learner.network.local_head.weight]
        gradients = torch.autograd.grad(loss, heads, retain_graph=True, allow_unused=True)
        return [gradient is not None and bool(gradient.any()) for gradient in gradients]

    features = learner.answer(x, cut).features
    assert learned(features.global_[~cut, 0].sum()) == [True, False]
    assert learned(features.global_[cut, 0].sum()) == [taught == "all", False]
    assert learned(features.raw[cut, 0].sum()) == [taught == "all", False]
    assert learned(features.stripes[cut, 0, 0].sum()) == [False, True]


@pytest.mark.slow
def test_a_few_steps_lower_the_loss(people, tmp_path):
    changed = recipe(
        stages=[{"pictures": 40 * BATCH, "size_hw": [32, 32]}],
        optimizer={"warmup_pictures": 1, "backbone_rate": 1e-3, "head_rate": 3e-3},
        loss={"trihard_local": 0, "trihard_global": 0, "label_smoothing": 0, "identity": 1},
        augment={"erase": 0, "brightness": 0, "contrast": 0, "colour": 0},
    )
    where = places(people, tmp_path)
    data = load_stage(changed, where, read_sets(changed, where), changed.stages[0])
    trainer = Trainer(changed, data, None)
    trainer.enter(changed.stages[0])
    losses = [float(trainer.step(data)["identity"]) for _ in range(24)]
    assert np.mean(losses[-6:]) < np.mean(losses[:6])


@pytest.mark.slow
def test_exports_what_the_network_says(people, tmp_path):
    pytest.importorskip("onnxruntime", reason="the parity check asks ONNX Runtime")
    pytest.importorskip("openvino", reason="the parity check asks OpenVINO")
    pytest.importorskip("onnx", reason="export needs onnx")
    run(recipe(), places(people, tmp_path / "run"))
    out = tmp_path / "engine"
    out.mkdir()
    papers = '{"licence": "x", "terms": "x", "training_data": "x", "provenance": "x", "figures": {}}'
    (out / "papers.json").write_text(papers)
    exporting.export(tmp_path / "run" / CHECKPOINT, people / "set", tmp_path / "cache", out)
    from reid_tracker.runtime.manifest import read_manifest

    manifest = read_manifest(out / "model.json")
    assert manifest.task == "embedder"
    assert manifest.input.size_hw == (96, 48)
    for count in (1, 3):  # the batch is free
        crops = np.random.default_rng(count).integers(0, 256, (count, 96, 48, 3), dtype=np.uint8)
        found = exporting.onnxruntime_answers(out / manifest.file, crops)
        assert found["global"].shape == (count, 256)
        assert found["stripes"].shape == (count, 8, 128)
        np.testing.assert_allclose(np.linalg.norm(found["stripes"], axis=2), 1, atol=1e-5)


@pytest.mark.parametrize("size", [None, (64, 32)])
def test_another_size_is_exported_at_the_stride_that_was_trained(people, tmp_path, monkeypatch, size):
    taught = recipe(stages=[{"pictures": 12, "size_hw": [32, 32], "last_stride": 1}])
    where = places(people, tmp_path)
    data = load_stage(taught, where, read_sets(taught, where), taught.stages[0])
    save_checkpoint(Trainer(taught, data, None), tmp_path)
    (tmp_path / "papers.json").write_text(
        json.dumps(dict.fromkeys(("licence", "terms", "training_data", "provenance", "figures"), "x"))
    )
    seen = []

    class Seen(Exception):
        pass

    def write(network, size_hw, _file):
        seen.append((size_hw, tuple(network.backbone(torch.zeros(1, 3, *size_hw)).shape[2:])))
        raise Seen

    monkeypatch.setattr(exporting, "write_onnx", write)
    with pytest.raises(Seen):
        exporting.export(tmp_path / CHECKPOINT, people / "set", tmp_path / "cache", tmp_path, size)
    assert seen == [(size or (32, 32), tuple(side // 16 for side in size or (32, 32)))]


@pytest.mark.slow
@pytest.mark.parametrize("most_classifier", [2**20, 10])
def test_kept_state_goes_on_and_is_small(people, tmp_path, monkeypatch, most_classifier):
    monkeypatch.setattr(checkpoints, "_MOST_CLASSIFIER", most_classifier)
    run(recipe(), places(people, tmp_path))
    kept = tmp_path / "kept.fp16.pt"
    keep_state(tmp_path / CHECKPOINT, kept)
    assert kept.stat().st_size < 12e6
    assert ("classifier.weight" in checkpoints.load(kept)["head"]) == (most_classifier > 10)
    full, half = exporting.load_trained(tmp_path / CHECKPOINT), exporting.load_trained(kept)
    crops = np.random.default_rng(0).integers(0, 256, (4, 96, 48, 3), dtype=np.uint8)
    agreement = exporting.least_cosine(
        exporting.torch_answers(full.network, crops), exporting.torch_answers(half.network, crops)
    )
    assert agreement > 0.999
    more = tmp_path / "more"
    short = recipe(stages=[{"pictures": BATCH, "size_hw": [64, 32]}])
    further = run(short, Places(people, more, more / "cache", state=kept))
    moved = further.network.global_head.weight - full.network.global_head.weight
    fresh = AlignedReIDNet().global_head.weight - full.network.global_head.weight
    assert 0 < moved.norm() < 0.2 * fresh.norm()


def test_wrong_checkpoints_are_refused(tmp_path):
    with pytest.raises(ModelError, match="no such checkpoint"):
        exporting.load_trained(tmp_path / "none.pt")
    torch.save({"something": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(ModelError, match="something"):
        exporting.load_trained(tmp_path / "other.pt")


def test_a_teacher_of_another_size_is_refused_where_a_loss_needs_its_numbers(people, tmp_path):
    where = places(people, tmp_path)
    data = load_stage(recipe(), where, read_sets(recipe(), where), recipe().stages[0])
    taught = dataclasses.replace(data, teacher=np.eye(20, 16, dtype=np.float32))
    with pytest.raises(ConfigError, match="16 numbers"):
        Trainer(recipe(loss={"teacher_direct": 1}), taught, None)
    striped = dataclasses.replace(taught, teacher_stripes=np.zeros((20, 6, 128), np.float16))
    with pytest.raises(ConfigError, match="6 of 128 numbers"):
        Trainer(recipe(loss={"teacher_pairs": 1}), striped, None)
    trainer = Trainer(recipe(loss={"teacher_pairs": 1}), taught, None)
    trainer.enter(trainer.recipe.stages[0])
    assert float(trainer.step(taught)["teacher_direct"]) == 0


def test_export_says_where_no_picture_decodes_and_leaves_nothing_half_done(people, tmp_path, monkeypatch):
    where = places(people, tmp_path)
    data = load_stage(recipe(), where, read_sets(recipe(), where), recipe().stages[0])
    save_checkpoint(Trainer(recipe(), data, None), tmp_path)
    (tmp_path / "papers.json").write_text(
        json.dumps(dict.fromkeys(("licence", "terms", "training_data", "provenance", "figures"), "x"))
    )
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "0001_c1_0.jpg").write_bytes(b"cut short")
    with pytest.raises(InputError, match="none of 1 of its pictures decodes"):
        exporting.export(tmp_path / CHECKPOINT, tmp_path / "broken", tmp_path / "cache", tmp_path)

    def write(_network, _size_hw, file):
        file.write_bytes(b"half")

    def differ(*_):
        raise ModelError("differs")

    monkeypatch.setattr(exporting, "write_onnx", write)
    monkeypatch.setattr(exporting, "check_parity", differ)
    with pytest.raises(ModelError, match="differs"):
        exporting.export(tmp_path / CHECKPOINT, people / "set", tmp_path / "cache", tmp_path)
    assert not list(tmp_path.glob("*.onnx"))


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.toml")), ids=lambda file: file.stem)
def test_shipped_recipes_are_valid(file):
    # A recipe is named after the embedder it makes; two may make the same, the second going on from the first.
    name = read_recipe(file).name
    assert file.stem == name or file.stem.startswith(f"{name}_")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = ", "not TOML"),
        ("name = 'x'\nspeed = 3", "Extra inputs"),
        ("name = 'x'\nstages = []\nsets = []", "at least 1"),
        (
            "sets = [{name = 'a', folder = 'a', people = 1}, {name = 'a', folder = 'b', people = 1}]",
            "two sets are called a",
        ),
        ("sets = [{name = 'a/b', folder = 'a', people = 1}]", "sets.0.name"),
        ("stages = [{pictures = 1, size_hw = [0, 64]}]", "stages.0.size_hw.0"),
    ],
)
def test_wrong_recipes_are_refused_with_file_and_key(tmp_path, text, message):
    file = tmp_path / "recipe.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_recipe(file)
    assert str(file) in str(caught.value)


def test_a_recipe_that_is_not_utf8_is_named(tmp_path):
    file = tmp_path / "recipe.toml"
    file.write_bytes(b"name = '\xe9'")
    with pytest.raises(ConfigError, match=r"recipe\.toml: not UTF-8"):
        read_recipe(file)


def test_teacher_is_asked_for_where_the_recipe_needs_one(people, tmp_path):
    with pytest.raises(ConfigError, match="--teacher"):
        run(recipe(loss={"teacher_direct": 1.0}), places(people, tmp_path))


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ([{"name": "set", "folder": "set", "people": 6}], "'set': 5 people with readable pictures, and people = 6"),
        ([{"name": "alone", "folder": "alone", "people": 1}], "one person in all"),
    ],
)
def test_too_few_people_for_a_batch_are_said_and_not_sought_for_ever(people, tmp_path, sets, message):
    (people / "alone").mkdir(exist_ok=True)
    cv2.imwrite(str(people / "alone" / "0001_c1_0.png"), np.zeros((64, 32, 3), np.uint8))
    with pytest.raises(ConfigError, match=message):
        run(recipe(sets=sets), places(people, tmp_path))


def test_missing_pictures_are_named(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        run(recipe(), Places(tmp_path / "nowhere", tmp_path, tmp_path))


def test_a_time_box_of_nothing_stops_before_the_first_step_and_leaves_no_half_checkpoint(people, tmp_path):
    trainer = run(recipe(), places(people, tmp_path), stop=StopRequest(minutes=0))
    assert trainer.seen == 0
    assert not list(tmp_path.glob("*.new"))


@pytest.mark.slow
@pytest.mark.parametrize("partner", ["", "efficientnet_lite0"])
def test_pieces_end_in_the_bits_of_one_run_from_a_pack(people, tmp_path, partner):
    """The path that an accelerator takes, on the CPU: a pack, pictures kept on the device, pieces, mutual learning."""
    pack = tmp_path / "tiny.pack"
    small = recipe(
        partner=partner,
        compute={"device": "auto"},
        stages=[{"pictures": 2 * BATCH, "size_hw": [32, 32]}, {"pictures": BATCH, "size_hw": [64, 32]}],
        augment={"body_crop": 0.5, "blur": 0.5},
        loss={"teacher_direct": 1, "teacher_ranks": 1, "teacher_aligned": 1, "circle": 0.1, "mined_by": "both"},
    )
    sets = read_sets(small, places(people, tmp_path))
    told = np.random.default_rng(0).standard_normal((20, 256)).astype(np.float32)
    told /= np.linalg.norm(told, axis=1, keepdims=True)
    start, _ = make_backbone("efficientnet_lite0")
    write_pack(pack, [PackedSet(sets[0], told)], (64, 32), {"efficientnet_lite0": start}, 10**8)

    def packed(out: str) -> Places:
        return Places(tmp_path / "not there", tmp_path / out, tmp_path / "not there", pack=pack)

    whole = run(small, packed("whole"))
    for _ in range(3):
        pieces = run(small, packed("pieces"), stop=StopAfter(2))
    assert pieces.seen == whole.seen == 3 * BATCH
    progress = json.loads((tmp_path / "pieces" / "progress.json").read_text())
    assert progress == {"seen": 3 * BATCH, "pictures": 3 * BATCH, "finished": True}
    for one, other in zip(pieces.learners, whole.learners, strict=True):
        for name, value in other.averaged.state_dict().items():
            assert torch.equal(one.averaged.state_dict()[name], value), name
    if not partner:
        return
    first, second = (learner.network.global_head.weight for learner in whole.learners)
    assert not torch.equal(first, second)


@pytest.mark.slow
def test_a_small_state_goes_on_in_the_middle(people, tmp_path):
    first = run(recipe(), places(people, tmp_path / "a"), stop=StopAfter(3))
    keep_state(tmp_path / "a" / CHECKPOINT, tmp_path / "state.pt")
    assert (tmp_path / "state.pt").stat().st_size < 15e6
    there = Places(people, tmp_path / "b", tmp_path / "a" / "cache", resume=tmp_path / "state.pt")
    second = run(recipe(), there, stop=StopAfter(0))
    assert second.seen == first.seen
    assert second.sampler.state() == first.sampler.state()
    assert torch.equal(second.chance.get_state(), first.chance.get_state())
    apart = second.network.global_head.weight - first.averaged.global_head.weight
    assert apart.abs().max() < 1e-3
    third = run(recipe(), there)
    assert third.seen == recipe().pictures


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_step_in_every_precision_is_finite_and_moves_the_weights(people, tmp_path, precision):
    short = recipe(stages=[{"pictures": BATCH, "size_hw": [32, 32]}], compute={"precision": precision})
    where = places(people, tmp_path)
    data = load_stage(short, where, read_sets(short, where), short.stages[0])
    trainer = Trainer(short, data, None)
    trainer.enter(short.stages[0])
    before = trainer.network.local_head.weight.detach().clone()
    losses = {name: float(value) for name, value in trainer.step(data).items()}
    trainer.check(losses)
    assert trainer.network.local_head.weight.dtype == torch.float32
    if precision != "fp16":  # whose first steps may be skipped while the scale of the loss is found
        assert not torch.equal(trainer.network.local_head.weight, before)


@pytest.mark.slow
def test_a_run_that_diverges_says_so_before_it_writes(people, tmp_path):
    short = recipe(
        stages=[{"pictures": 30 * BATCH, "size_hw": [32, 32]}], loss={"identity": 1e38, "trihard_global": 1e38}
    )
    with pytest.raises(ModelError, match="not a number"):
        run(short, places(people, tmp_path))
    assert not (tmp_path / CHECKPOINT).exists()


def test_an_accelerator_that_is_not_there_is_named(people, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ConfigError, match="cuda"):
        run(recipe(compute={"device": "cuda"}), places(people, tmp_path))


def test_pictures_on_the_device_are_the_pictures_in_the_files(people, tmp_path):
    where = places(people, tmp_path)
    data = load_stage(recipe(), where, read_sets(recipe(), where), recipe().stages[0])
    picks = np.array([3, 0, 19, 3])
    kept, streamed = (Feed(data, torch.device("cpu"), resident).batch(picks) for resident in (True, False))
    assert torch.equal(kept.pixels, streamed.pixels)
    assert kept.labels.tolist() == streamed.labels.tolist() == data.labels[picks].tolist()


def test_pictures_that_the_teacher_was_not_asked_about_are_told_nothing(people, tmp_path):
    where = places(people, tmp_path)
    data = load_stage(recipe(), where, read_sets(recipe(), where), recipe().stages[0])
    vectors = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    stripes = np.random.default_rng(1).normal(size=(20, 8, 3)).astype(np.float16)
    vectors[3] = stripes[3] = np.nan
    taught = dataclasses.replace(data, teacher=vectors, teacher_stripes=stripes)
    told = Feed(taught, torch.device("cpu")).batch(np.array([3, 0, 19, 3])).told
    assert told is not None
    assert told.rows.tolist() == [1, 2]
    np.testing.assert_array_equal(told.vectors, vectors[[0, 19]])
    np.testing.assert_array_equal(told.stripes, stripes[[0, 19]].astype(np.float32))
