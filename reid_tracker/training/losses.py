"""Losses of AlignedReID and of distillation. All distances are computed in float32, whatever the features are."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

_TINY = 1e-12  # under the square root: the gradient of sqrt is infinite at 0


def euclidean(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances (..., M, N) of the rows of x (..., M, D) and y (..., N, D), in float32."""
    x, y = x.float(), y.float()
    squares = x.square().sum(-1).unsqueeze(-1) + y.square().sum(-1).unsqueeze(-2) - 2 * x @ y.transpose(-1, -2)
    return squares.clamp(min=_TINY).sqrt()


def aligned_distance(x: Tensor, y: Tensor) -> Tensor:
    """DP-aligned local distance, batched over any leading axes and differentiable.

    Cell cost tanh(e / 2) of the Euclidean distance e of two stripes, which equals (exp(e) - 1) / (exp(e) + 1) and
    does not overflow; mean cost of the cheapest path from head-head to foot-foot, moving down or right. Not a
    metric: a path cannot stay on the diagonal, so the distance of a person to itself is above 0.

    Args:
        x: (..., S, d) stripes.
        y: (..., T, d) stripes; leading axes broadcast with x's.

    Returns:
        (...) in 0..1: cost of the cheapest path divided by its S + T - 1 cells.
    """
    return _cheapest_path(euclidean(x, y))


def _cheapest_path(distances: Tensor) -> Tensor:
    """Euclidean distances (..., S, T) of stripes to the mean cost of the cheapest path (...)."""
    costs = torch.tanh(distances / 2)
    rows, columns = costs.shape[-2], costs.shape[-1]
    # S x T steps of a few tensor operations, each over all pairs at once; only the previous row is kept.
    above: list[Tensor] = []
    for row in range(rows):
        current: list[Tensor] = []
        for column in range(columns):
            ways = ([above[column]] if row else []) + ([current[-1]] if column else [])
            cell = costs[..., row, column]
            if len(ways) == 2:
                cell = cell + torch.minimum(ways[0], ways[1])
            elif ways:
                cell = cell + ways[0]
            current.append(cell)
        above = current
    return above[-1] / (rows + columns - 1)


def aligned_distance_all(x: Tensor, y: Tensor) -> Tensor:
    """``aligned_distance`` of every row of x (M, S, d) to every row of y (N, T, d): (M, N).

    All cells come out of one matrix product, where broadcasting would copy each person once for every other.
    """
    cells = euclidean(x.flatten(0, 1), y.flatten(0, 1))
    return _cheapest_path(cells.reshape(len(x), x.shape[1], len(y), y.shape[1]).transpose(1, 2))


def hard_pairs(distances: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The farthest same person and the nearest other person of each row.

    Args:
        distances: (B, B), no gradient needed.
        labels: (B,); any number of pictures per person.

    Returns:
        Indices of the positives (B,) and negatives (B,), and (B,) bool: the row has both.
    """
    same = labels.unsqueeze(0) == labels.unsqueeze(1)
    positive_mask = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    positives = distances.masked_fill(~positive_mask, -torch.inf).argmax(dim=1)
    negatives = distances.masked_fill(same, torch.inf).argmin(dim=1)
    return positives, negatives, positive_mask.any(dim=1) & (~same).any(dim=1)


def margin_loss(positive: Tensor, negative: Tensor, usable: Tensor, margin: float) -> Tensor:
    """Mean over usable rows of max(0, positive - negative + margin); 0 where none is usable."""
    # Weights instead of indexing by a mask, whose length a host would have to wait for.
    over = functional.relu(positive - negative + margin) * usable
    return over.sum() / usable.sum().clamp(min=1)


def trihard(
    global_: Tensor,
    stripes: Tensor,
    labels: Tensor,
    margin_global: float,
    margin_local: float,
    mined_by: Literal["global", "local", "both"] = "global",
) -> tuple[Tensor, Tensor]:
    """TriHard on the global distance and on the aligned local distance.

    By default both are taken of the pairs that the global distance finds hard (arXiv 1711.08184, section 3.2).

    Args:
        global_: (B, D) unit vectors.
        stripes: (B, S, d) unit vectors.
        labels: (B,) persons.
        margin_global: on Euclidean distances of unit vectors, 0..2.
        margin_local: on aligned distances of unit stripes, 0..0.77.
        mined_by: which distance finds the hard pairs of both losses; "both": each its own.

    Returns:
        The two losses.
    """
    distances = euclidean(global_, global_)
    found = by_global = hard_pairs(distances.detach(), labels)
    if mined_by != "global":
        with torch.no_grad():
            found = hard_pairs(aligned_distance_all(stripes, stripes), labels)
    positives, negatives, usable = found if mined_by == "local" else by_global
    rows = torch.arange(len(labels), device=labels.device)
    global_loss = margin_loss(distances[rows, positives], distances[rows, negatives], usable, margin_global)
    positives, negatives, usable = found
    near, far = (aligned_distance(stripes, stripes.index_select(0, hard)) for hard in (positives, negatives))
    return global_loss, margin_loss(near, far, usable, margin_local)


def centre_loss(global_: Tensor, centres: Tensor, labels: Tensor) -> Tensor:
    """Half the squared distance of each picture to its person's centre (Wen et al., ECCV 2016), mean over B.

    Args:
        global_: (B, D) unit vectors.
        centres: (classes, D) learnt like any weight.
        labels: (B,) persons.
    """
    return 0.5 * (global_.float() - centres[labels].float()).square().sum(dim=1).mean()


def circle_loss(global_: Tensor, labels: Tensor, margin: float, scale: float) -> Tensor:
    """Circle loss over the pairs of the batch (Sun et al., arXiv 2002.10857, equation 6), mean over usable rows.

    Each similarity is pushed the harder the farther it is from where it should be: 1 + margin for one person,
    -margin for two.

    Args:
        global_: (B, D) unit vectors.
        labels: (B,) persons; any number of pictures each.
        margin: of similarity, 0..1.
        scale: the paper's gamma.
    """
    cosines = global_.float() @ global_.float().T
    same = labels.unsqueeze(0) == labels.unsqueeze(1)
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    towards = (1 + margin - cosines.detach()).clamp(min=0)
    away = (cosines.detach() + margin).clamp(min=0)
    near = (-scale * towards * (cosines - (1 - margin))).masked_fill(~positive, -torch.inf)
    far = (scale * away * (cosines - margin)).masked_fill(same, -torch.inf)
    usable = positive.any(dim=1) & (~same).any(dim=1)
    # Zeros in rows that count nothing: the gradient of a row of infinities would be not a number.
    near, far = (side.masked_fill(~usable.unsqueeze(1), 0.0).logsumexp(dim=1) for side in (near, far))
    return (functional.softplus(near + far) * usable).sum() / usable.sum().clamp(min=1)


def mutual_losses(
    logits: Tensor, global_: Tensor, partner_logits: Tensor, partner_global: Tensor
) -> tuple[Tensor, Tensor]:
    """What a network learns from its partner on the same batch (arXiv 1711.08184, section 3.4).

    The partner's side gives no gradient: it is the target of this step, and has its own loss with the sides exchanged.

    Args:
        logits, partner_logits: (B, classes).
        global_, partner_global: (B, D) unit vectors; the two networks may differ in D.

    Returns:
        Kullback-Leibler divergence from the partner's classification to ours, mean over B, and the mean square
        difference of all global distances of the batch.
    """
    ours = functional.log_softmax(logits.float(), dim=1)
    theirs = functional.log_softmax(partner_logits.detach().float(), dim=1)
    classes = functional.kl_div(ours, theirs, reduction="batchmean", log_target=True)
    target = euclidean(partner_global.detach(), partner_global.detach())
    return classes, functional.mse_loss(euclidean(global_, global_), target)


def distillation(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """How far the student is from the teacher: in each vector, and in how alike it finds the people of the batch.

    Args:
        student: (B, D) unit vectors.
        teacher: (B, D) unit vectors; the second answer allows another D.

    Returns:
        Mean of 1 - cosine, 0 between different D, and mean square error of the similarities of all pairs of the batch;
        0 for B = 0.
    """
    if not len(student):
        return student.sum(), student.sum()
    direct = 1 - (student * teacher).sum(dim=1).mean() if student.shape == teacher.shape else student.sum() * 0.0
    pairs = functional.mse_loss(student @ student.T, teacher @ teacher.T)
    return direct, pairs


def rank_distillation(student: Tensor, teacher: Tensor, bank: Tensor, temperature: float) -> Tensor:
    """How differently student and teacher say whom, of a bank of people, each picture is most like.

    Both compare with the teacher's vectors of the bank, as SEED (Fang et al., arXiv 2101.04731, equation 3) does with
    a queue: the order of near neighbours, which is what retrieval is judged by, weighs most.

    Args:
        student: (B, D) unit vectors.
        teacher: (B, D) unit vectors of the same pictures.
        bank: (N, D) the teacher's unit vectors of all training pictures.
        temperature: of the softmax over the bank.

    Returns:
        Kullback-Leibler divergence from the teacher's softmax to the student's, mean over B; 0 for B = 0.
    """
    if not len(student):
        return student.sum()
    wanted = functional.log_softmax(teacher @ bank.T / temperature, dim=1)
    found = functional.log_softmax(student.float() @ bank.T / temperature, dim=1)
    return functional.kl_div(found, wanted, reduction="batchmean", log_target=True)


def aligned_distillation(stripes: Tensor, teacher: Tensor) -> Tensor:
    """1 - Pearson correlation of the aligned distances of all pairs of the batch with the teacher's distances.

    Correlation, because the two distances have neither scale nor zero in common; the order of pairs is what counts.

    Args:
        stripes: (B, S, d) unit vectors.
        teacher: (B, D) unit vectors.

    Returns:
        In 0..2; 0 for B < 3, where a correlation says nothing.
    """
    if len(stripes) < 3:
        return stripes.sum() * 0.0
    first, second = torch.triu_indices(len(stripes), len(stripes), offset=1, device=stripes.device)
    # index_select: the gradient of indexing adds up in an order of its own where several threads do it.
    found = aligned_distance(stripes.index_select(0, first), stripes.index_select(0, second))
    wanted = 1 - (teacher[first] * teacher[second]).sum(dim=1)
    return 1 - functional.cosine_similarity(found - found.mean(), wanted - wanted.mean(), dim=0)


def stripe_distillation(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean of 1 - cosine of stripes and the teacher's at the same height.

    Args:
        student: (B, S, d) unit vectors.
        teacher: (B, S, d) unit vectors of the same pictures.

    Returns:
        In 0..2; 0 for B = 0.
    """
    if not len(student):
        return student.sum()
    return 1 - (student * teacher).sum(dim=-1).mean()


def identity_loss(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Softmax cross entropy over the persons of the training set, labels smoothed."""
    return functional.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
