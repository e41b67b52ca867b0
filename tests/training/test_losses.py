"""Losses against definitions written out slowly, for any number of pictures a person, and at zero distance."""

import itertools
import math

import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from reid_tracker.training.losses import (  # noqa: E402
    aligned_distance,
    aligned_distance_all,
    aligned_distillation,
    centre_loss,
    circle_loss,
    distillation,
    euclidean,
    hard_pairs,
    identity_loss,
    mutual_losses,
    rank_distillation,
    stripe_distillation,
    trihard,
)


def units(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(*shape, generator=generator), dim=-1)


def cheapest_of_all_paths(x, y) -> float:
    """Mean cell cost of the cheapest of all ways from corner to corner, each tried."""
    rows, columns = len(x), len(y)
    best = math.inf
    for downs in itertools.combinations(range(rows + columns - 2), rows - 1):
        i = j = 0
        total = 0.0
        for step in range(rows + columns - 1):
            distance = float((x[i].double() - y[j].double()).norm())
            total += (math.exp(distance) - 1) / (math.exp(distance) + 1)
            if step in downs:
                i += 1
            else:
                j += 1
        best = min(best, total / (rows + columns - 1))
    return best


def test_aligned_distance_is_the_cheapest_of_all_paths():
    x, y = units(5, 4, 6), units(5, 4, 6, seed=1)
    found = aligned_distance(x, y)
    for row in range(5):
        assert float(found[row]) == pytest.approx(cheapest_of_all_paths(x[row], y[row]), abs=1e-5)


def test_scalar_batch_and_all_pairs_agree():
    x, y = units(3, 8, 16), units(4, 8, 16, seed=1)
    everything = aligned_distance(x[:, None], y[None])
    assert everything.shape == (3, 4)
    assert float(aligned_distance(x[1], y[2])) == pytest.approx(float(everything[1, 2]), abs=1e-6)


def test_agrees_with_the_distance_that_ranks():
    distance = pytest.importorskip("reid_tracker.distance", reason="needs the package's runtime dependencies")
    x, y = units(6, 8, 128), units(7, 8, 128, seed=1)
    ranked = distance.aligned_distance(x.numpy(), y.numpy())
    torch.testing.assert_close(aligned_distance(x[:, None], y[None]), torch.from_numpy(ranked), atol=2e-5, rtol=0)


def test_a_person_is_not_at_distance_zero_from_itself_and_the_gradient_is_finite():
    x = units(2, 8, 16).requires_grad_()
    found = aligned_distance(x, x)
    assert (found > 0).all()  # a path cannot stay on the diagonal
    found.sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_short_floats_are_computed_in_float32(dtype):
    x = units(4, 8, 16)
    short = x.to(dtype).requires_grad_()
    found = aligned_distance(short, short)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, aligned_distance(x, x), atol=3e-2, rtol=0)
    found.sum().backward()
    assert torch.isfinite(short.grad).all()


def test_far_stripes_do_not_overflow():
    assert float(aligned_distance(torch.zeros(8, 4), torch.full((8, 4), 1e4))) == pytest.approx(1)


def test_gradient_of_the_aligned_distance():
    x, y = units(2, 3, 5).double().requires_grad_(), units(2, 3, 5, seed=1).double()

    def total(stripes):
        # The function computes in float32; tell gradcheck so through its tolerances.
        return aligned_distance(stripes, y).double()

    assert torch.autograd.gradcheck(total, (x,), eps=1e-2, atol=1e-3, rtol=1e-2)


def test_hard_pairs_hold_for_any_number_of_pictures_a_person():
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    generator = torch.Generator().manual_seed(3)
    distances = torch.rand(6, 6, generator=generator)
    positives, negatives, usable = hard_pairs(distances, labels)
    for row in range(6):
        same = [other for other in range(6) if other != row and labels[other] == labels[row]]
        others = [other for other in range(6) if labels[other] != labels[row]]
        assert bool(usable[row]) == bool(same)
        assert int(negatives[row]) == min(others, key=lambda other: float(distances[row, other]))
        if same:
            assert int(positives[row]) == max(same, key=lambda other: float(distances[row, other]))


def test_trihard_by_hand():
    # Two people of two pictures each on a circle; angles chosen so that each hardest pair is plain to see.
    angles = torch.tensor([0.0, 0.3, 0.8, 1.5])
    vectors = torch.stack([angles.cos(), angles.sin()], dim=1)
    labels = torch.tensor([0, 0, 1, 1])
    found, _ = trihard(vectors, units(4, 3, 5), labels, margin_global=0.3, margin_local=0.1)

    def chord(first, second):
        return 2 * math.sin(abs(float(angles[first] - angles[second])) / 2)

    rows = [(0, 1, 2), (1, 0, 2), (2, 3, 1), (3, 2, 1)]
    expected = sum(max(0.0, chord(a, p) - chord(a, n) + 0.3) for a, p, n in rows) / 4
    assert float(found) == pytest.approx(expected, abs=1e-5)


def test_local_loss_uses_the_pairs_that_the_global_distance_finds_hard():
    vectors, stripes, labels = units(6, 8), units(6, 4, 8, seed=1), torch.tensor([0, 0, 0, 1, 1, 1])
    _, found = trihard(vectors, stripes, labels, margin_global=0.3, margin_local=0.1)
    positives, negatives, _ = hard_pairs(euclidean(vectors, vectors), labels)
    over = [
        max(0.0, float(aligned_distance(stripes[row], stripes[p]) - aligned_distance(stripes[row], stripes[n])) + 0.1)
        for row, (p, n) in enumerate(zip(positives.tolist(), negatives.tolist(), strict=True))
    ]
    assert float(found) == pytest.approx(sum(over) / len(over), abs=1e-5)


def test_a_batch_without_pairs_gives_zero_and_a_gradient():
    vectors = units(3, 8).requires_grad_()
    global_, local = trihard(vectors, units(3, 4, 8), torch.tensor([0, 1, 2]), 0.3, 0.1)
    (global_ + local).backward()
    assert global_.item() == local.item() == 0
    assert not vectors.grad.any()


def test_distillation_is_zero_for_the_teacher_itself_and_pairs_ignore_rotation():
    teacher = units(5, 8)
    direct, pairs = distillation(teacher, teacher)
    assert float(direct) == pytest.approx(0, abs=1e-6)
    assert float(pairs) == pytest.approx(0, abs=1e-6)
    direct, pairs = distillation(-teacher, teacher)
    assert float(direct) == pytest.approx(2, abs=1e-6)
    assert float(pairs) == pytest.approx(0, abs=1e-6)


def test_label_smoothing_by_hand():
    logits = torch.tensor([[2.0, 0.0, -1.0]])
    logs = torch.log_softmax(logits, dim=1)[0]
    expected = -(0.9 * logs[0] + 0.1 * logs.mean())
    assert float(identity_loss(logits, torch.tensor([0]), 0.1)) == pytest.approx(float(expected))


def test_rank_distillation_is_zero_for_the_teacher_itself_and_positive_for_others():
    teacher, bank = units(5, 8), units(30, 8, seed=1)
    assert float(rank_distillation(teacher, teacher, bank, 0.07)) == pytest.approx(0, abs=1e-6)
    assert float(rank_distillation(units(5, 8, seed=2), teacher, bank, 0.07)) > 0.1
    assert float(rank_distillation(teacher[:0], teacher[:0], bank, 0.07)) == 0


def test_rank_distillation_by_hand():
    # One picture, a bank of two, temperature 1: softmaxes of (1, 0) and of (0, 1).
    bank = torch.eye(2)
    found = rank_distillation(bank[1:], bank[:1], bank, 1.0)
    near, far = math.e / (math.e + 1), 1 / (math.e + 1)
    assert float(found) == pytest.approx(near * math.log(near / far) + far * math.log(far / near), abs=1e-6)


@pytest.mark.parametrize("loss", ["ranks", "aligned"])
def test_following_the_gradient_brings_the_student_to_the_teachers_order(loss):
    # Twelve people in three groups that the teacher finds alike; the student starts at random.
    centres = units(3, 8)
    teacher = torch.nn.functional.normalize(centres.repeat_interleave(4, 0) + 0.1 * units(12, 8, seed=1), dim=1)
    free = units(12, 8, seed=2) if loss == "ranks" else units(12, 4, 8, seed=2)
    values = []
    for _ in range(30):
        free = free.detach().requires_grad_()
        student = torch.nn.functional.normalize(free, dim=-1)
        if loss == "ranks":
            value = rank_distillation(student, teacher, teacher, 0.1)
        else:
            value = aligned_distillation(student, teacher)
        (slope,) = torch.autograd.grad(value, free)
        free = free - 0.5 * slope / slope.norm()
        values.append(float(value.detach()))
    assert values[-1] < 0.5 * values[0]
    if loss == "ranks":
        assert (student @ teacher.T).argmax(dim=1).div(4, rounding_mode="floor").tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_aligned_distillation_sees_order_and_not_scale():
    # Stripes that are all the teacher's vector: the aligned distance of two people then rises with their cosine's.
    teacher = units(8, 5)
    alike = teacher[:, None].expand(-1, 4, -1)
    assert float(aligned_distillation(alike, teacher)) < 0.1
    assert float(aligned_distillation(alike, units(8, 5, seed=7))) > 0.3
    assert float(aligned_distillation(alike[:2], teacher[:2])) == 0  # a correlation of one pair says nothing


def test_all_pairs_by_one_product_are_the_pairs_one_by_one():
    x, y = units(3, 8, 16), units(5, 8, 16, seed=1)
    torch.testing.assert_close(aligned_distance_all(x, y), aligned_distance(x[:, None], y[None]), atol=1e-6, rtol=0)


@pytest.mark.parametrize("mined_by", ["global", "local", "both"])
def test_each_branch_is_trained_on_the_pairs_that_its_miner_finds(mined_by):
    vectors, stripes, labels = units(6, 8), units(6, 4, 8, seed=1), torch.tensor([0, 0, 0, 1, 1, 1])
    of_global, of_local = euclidean(vectors, vectors), aligned_distance_all(stripes, stripes)
    found = trihard(vectors, stripes, labels, 0.3, 0.1, mined_by)
    for which, (distances, margin) in enumerate([(of_global, 0.3), (of_local, 0.1)]):
        own = {"global": of_global, "local": of_local, "both": distances}[mined_by]
        positives, negatives, _ = hard_pairs(own, labels)
        rows = torch.arange(6)
        over = (distances[rows, positives] - distances[rows, negatives] + margin).clamp(min=0)
        assert float(found[which]) == pytest.approx(float(over.mean()), abs=1e-5)


def test_centre_loss_pulls_towards_the_own_centre():
    vectors, centres = units(4, 8), units(2, 8, seed=1)
    labels = torch.tensor([0, 1, 1, 0])
    expected = 0.5 * (vectors - centres[labels]).square().sum(dim=1).mean()
    assert float(centre_loss(vectors, centres, labels)) == pytest.approx(float(expected))
    assert float(centre_loss(centres[labels], centres, labels)) == 0


def test_circle_loss_by_its_definition_and_without_any_pair():
    vectors, labels = units(5, 8), torch.tensor([0, 0, 0, 1, 2])  # two people have no second picture
    cosines = (vectors @ vectors.T).tolist()
    total = 0.0
    for row in range(3):
        near = sum(
            math.exp(-4 * max(0, 1.25 - cosines[row][other]) * (cosines[row][other] - 0.75))
            for other in range(3)
            if other != row
        )
        far = sum(math.exp(4 * max(0, cosines[row][other] + 0.25) * (cosines[row][other] - 0.25)) for other in (3, 4))
        total += math.log(1 + near * far) / 3
    assert float(circle_loss(vectors, labels, 0.25, 4.0)) == pytest.approx(total, rel=1e-4)
    alone = units(3, 8).requires_grad_()
    lost = circle_loss(alone, torch.tensor([0, 1, 2]), 0.25, 64.0)
    lost.backward()
    assert float(lost.detach()) == 0
    assert torch.isfinite(alone.grad).all()


def test_mutual_losses_follow_the_partner_and_leave_it_alone():
    logits, other = torch.randn(4, 6, requires_grad=True), torch.randn(4, 6, requires_grad=True)
    vectors, others = units(4, 8).requires_grad_(), units(4, 5, seed=1).requires_grad_()
    classes, metric = mutual_losses(logits, vectors, other, others)
    p, q = other.softmax(dim=1), logits.softmax(dim=1)
    assert float(classes.detach()) == pytest.approx(float((p * (p / q).log()).sum().detach() / 4), abs=1e-5)
    apart = euclidean(vectors, vectors) - euclidean(others, others)
    assert float(metric.detach()) == pytest.approx(float(apart.square().mean().detach()), abs=1e-6)
    (classes + metric).backward()
    assert other.grad is None
    assert others.grad is None
    assert logits.grad.abs().sum() > 0
    assert vectors.grad.abs().sum() > 0
    same = mutual_losses(other, others, other, others)
    assert float(same[0].detach()) == pytest.approx(0, abs=1e-6)
    assert float(same[1].detach()) == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_every_loss_is_finite_on_short_floats_and_equal_people(dtype):
    # Two equal pictures: the distance whose root has an infinite slope.
    vectors, stripes = units(4, 16), units(4, 8, 16, seed=1)
    vectors[1], stripes[1] = vectors[0], stripes[0]
    labels = torch.tensor([0, 0, 1, 1])
    short, parts = vectors.to(dtype).requires_grad_(), stripes.to(dtype).requires_grad_()
    losses = [
        *trihard(short, parts, labels, 0.3, 0.1, "both"),
        circle_loss(short, labels, 0.25, 64.0),
        centre_loss(short, torch.zeros(2, 16), labels),
        *mutual_losses(short, short, short, short),
        aligned_distillation(parts, vectors),
        rank_distillation(short, vectors, vectors, 0.07),
    ]
    total = torch.stack(losses).sum()
    total.backward()
    assert total.dtype == torch.float32
    for value in (total.detach(), short.grad, parts.grad):
        assert torch.isfinite(value).all()


def test_stripes_are_compared_height_by_height():
    stripes = units(4, 8, 6)
    assert float(stripe_distillation(stripes, stripes)) == pytest.approx(0, abs=1e-6)
    assert float(stripe_distillation(stripes, -stripes)) == pytest.approx(2, abs=1e-6)
    assert float(stripe_distillation(stripes, stripes.flip(1))) > 0.1
    assert float(stripe_distillation(stripes[:0], stripes[:0])) == 0
