"""Losses with a margin, and their soft forms. See loss.py for ``reduction``."""

from __future__ import annotations

from collections.abc import Callable

from deeplite import Tensor

from .._core import core
from .loss import legacy_reduction, reduced
from .shape import pairwise_distance


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``x`` where ``y = 1``, ``max(0, margin - x)`` where ``y = -1``.

    Example:
        >>> F.hinge_embedding_loss(deeplite.tensor([0.25]), deeplite.tensor([-1.0]))
        tensor(0.7500)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    zeros = core.zeros_like(input)
    apart = core.where(target != 1, (margin - input).clamp_min(0), zeros)
    close = core.where(target != -1, input, zeros)
    return reduced("hinge_embedding_loss", apart + close, reduction)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, -y (x1 - x2) + margin)``: with ``y = 1`` the first should rank higher.

    Raises:
        RuntimeError: the tensors differ in rank.

    Example:
        >>> one = deeplite.tensor([1.0])
        >>> F.margin_ranking_loss(one, 2 * one, one)
        tensor(1.)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if not input1.dim() == input2.dim() == target.dim():
        raise RuntimeError(
            "margin_ranking_loss: all inputs must have the same number of dimensions, got shapes "
            f"{tuple(input1.shape)}, {tuple(input2.shape)} and target {tuple(target.shape)}"
        )
    loss = (-target * (input1 - input2) + margin).clamp_min(0)
    return reduced("margin_ranking_loss", loss, reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``1 - cos(x1, x2)`` where ``y = 1``, ``max(0, cos(x1, x2) - margin)`` where ``y = -1``.

    Shape: inputs ``[N, D]`` with target ``[N]``, or ``[D]`` with ``[]``.

    Raises:
        RuntimeError: other ranks.

    Example:
        >>> x = deeplite.tensor([[3.0, 4.0]])
        >>> F.cosine_embedding_loss(x, x, deeplite.tensor([-1]))
        tensor(1.)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if target.dim() > 1 or input1.dim() != target.dim() + 1 or input2.dim() != target.dim() + 1:
        raise RuntimeError(
            "cosine_embedding_loss: expected inputs [N, D] and target [N] (or [D] and []), got "
            f"{tuple(input1.shape)}, {tuple(input2.shape)} and target {tuple(target.shape)}"
        )
    tiny = 1e-12
    dot = (input1 * input2).sum(-1)
    cos = dot / (((input1**2).sum(-1) + tiny) * ((input2**2).sum(-1) + tiny)).sqrt()
    zeros = core.zeros_like(cos)
    loss = core.where(target == 1, 1 - cos, zeros)
    loss = loss + core.where(target == -1, (cos - margin).clamp_min(0), zeros)
    return reduced("cosine_embedding_loss", loss, reduction)


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, d(a, p) - d(a, n) + margin)`` with ``d`` of :func:`pairwise_distance`; with
    ``swap`` the negative counts from the positive when that is nearer (Balntas et al., 2016).

    Raises:
        ValueError: ``margin`` is not positive.

    Example:
        >>> a = deeplite.tensor([[0.0]])
        >>> F.triplet_margin_loss(a, a, a + 4)
        tensor(0.)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)

    def distance(x: Tensor, y: Tensor) -> Tensor:
        return pairwise_distance(x, y, p, eps)

    return _triplet("triplet_margin_loss", anchor, positive, negative, distance, margin, swap,
                    reduction)  # fmt: skip


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """:func:`triplet_margin_loss` with a distance of one's own.

    Example:
        >>> a = deeplite.tensor([[0.0]])
        >>> far = lambda x, y: (x - y).abs().sum(-1)
        >>> F.triplet_margin_with_distance_loss(a, a + 2, a, distance_function=far)
        tensor(3.)
    """
    distance = pairwise_distance if distance_function is None else distance_function
    return _triplet("triplet_margin_with_distance_loss", anchor, positive, negative, distance,
                    margin, swap, reduction)  # fmt: skip


def _triplet(
    name: str,
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    distance: Callable[[Tensor, Tensor], Tensor],
    margin: float,
    swap: bool,
    reduction: str,
) -> Tensor:
    if margin <= 0:
        raise ValueError(f"{name}: margin must be greater than 0, got {margin}")
    if not anchor.dim() == positive.dim() == negative.dim():
        raise RuntimeError(
            f"{name}: the inputs must have the same number of dimensions, got "
            f"{tuple(anchor.shape)}, {tuple(positive.shape)} and {tuple(negative.shape)}"
        )
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = core.minimum(far, distance(positive, negative))
    return reduced(name, (near - far + margin).clamp_min(0), reduction)


def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``log(1 + exp(-y x))``, with ``y`` 1 or -1.

    Example:
        >>> F.soft_margin_loss(deeplite.tensor([0.0]), deeplite.tensor([1.0]))
        tensor(0.6931)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    return reduced("soft_margin_loss", -core.logsigmoid(target * input), reduction)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Multi-class hinge: ``sum_{j != y} weight[y] max(0, margin - x[y] + x[j])^p / C``.

    Shape: input ``[N, C]`` or ``[C]``, target ``[N]`` or ``[]``, weight ``[C]``.

    Raises:
        ValueError or RuntimeError: ``p`` is neither 1 nor 2, or shapes do not fit.
        IndexError: a class is out of range.

    Example:
        >>> F.multi_margin_loss(deeplite.tensor([[0.0, 0.5]]), deeplite.tensor([0]))
        tensor(0.7500)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    return core.multi_margin_loss(input, target, p, margin, weight, reduction=reduction)


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """Hinge over several labels: ``sum_{y in labels, j not in labels} max(0, 1 - (x[y] - x[j]))
    / C``. The target's row lists the labels, up to the first -1.

    Shape: input and target ``[N, C]`` or ``[C]``.

    Example:
        >>> x, y = deeplite.tensor([[0.0, 1.0]]), deeplite.tensor([[0, -1]])
        >>> F.multilabel_margin_loss(x, y)
        tensor(1.)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    return core.multilabel_margin_loss(input, target, reduction=reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``-(y log sigmoid(x) + (1 - y) log sigmoid(-x))``, the mean over the classes.

    Shape: input and target ``[N, C]``, weight ``[C]``.

    Example:
        >>> F.multilabel_soft_margin_loss(deeplite.zeros(1, 2), deeplite.ones(1, 2))
        tensor(0.6931)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    loss = -(target * core.logsigmoid(input) + (1 - target) * core.logsigmoid(-input))
    if weight is not None:
        loss = loss * weight
    return reduced("multilabel_soft_margin_loss", loss.mean(-1), reduction)
