"""Losses of AlignedReID and of distillation. All distances are computed in float32, whatever the features are."""

from __future__ import annotations

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
    costs = torch.tanh(euclidean(x, y) / 2)
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
    over = functional.relu(positive - negative + margin)[usable]
    return over.mean() if len(over) else positive.sum() * 0.0


def trihard(
    global_: Tensor, stripes: Tensor, labels: Tensor, margin_global: float, margin_local: float
) -> tuple[Tensor, Tensor]:
    """TriHard on the global distance and on the aligned local distance of the same, globally hard, pairs.

    Args:
        global_: (B, D) unit vectors.
        stripes: (B, S, d) unit vectors.
        labels: (B,) persons.
        margin_global: on Euclidean distances of unit vectors, 0..2.
        margin_local: on aligned distances of unit stripes, 0..0.77.

    Returns:
        The two losses.
    """
    distances = euclidean(global_, global_)
    positives, negatives, usable = hard_pairs(distances.detach(), labels)
    rows = torch.arange(len(labels), device=labels.device)
    global_loss = margin_loss(distances[rows, positives], distances[rows, negatives], usable, margin_global)
    near, far = aligned_distance(stripes, stripes[positives]), aligned_distance(stripes, stripes[negatives])
    return global_loss, margin_loss(near, far, usable, margin_local)


def distillation(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """How far the student is from the teacher: in each vector, and in how alike it finds the people of the batch.

    Args:
        student: (B, D) unit vectors.
        teacher: (B, D) unit vectors.

    Returns:
        Mean of 1 - cosine, and mean square error of the similarities of all pairs of the batch; 0 for B = 0.
    """
    if not len(student):
        return student.sum(), student.sum()
    direct = 1 - (student * teacher).sum(dim=1).mean()
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
    first, second = torch.triu_indices(len(stripes), len(stripes), offset=1)
    found = aligned_distance(stripes[first], stripes[second])
    wanted = 1 - (teacher[first] * teacher[second]).sum(dim=1)
    return 1 - functional.cosine_similarity(found - found.mean(), wanted - wanted.mean(), dim=0)


def identity_loss(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Softmax cross entropy over the persons of the training set, labels smoothed."""
    return functional.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
