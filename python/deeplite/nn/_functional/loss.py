"""Losses. ``reduction`` is "none" (one value for each element or sample), "mean" or "sum"; the
older ``size_average`` and ``reduce`` are still understood, with a warning."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

from deeplite import Tensor

from .._core import core


def legacy_reduction(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """What the deprecated flags mean; ``reduction`` itself when they are not given."""
    if size_average is None and reduce is None:
        return reduction
    reduction = "none" if reduce is False else ("sum" if size_average is False else "mean")
    warnings.warn(
        f"size_average and reduce are deprecated, use reduction='{reduction}'", stacklevel=4
    )
    return reduction


def reduced(name: str, loss: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError(f"{name}: '{reduction}' is not a reduction (none, mean, sum)")


def _warn_broadcast(name: str, input: Tensor, target: Tensor) -> None:
    if input.shape != target.shape:
        warnings.warn(
            f"{name}: the target's shape {tuple(target.shape)} differs from the input's "
            f"{tuple(input.shape)}; broadcasting them is probably not what is wanted",
            stacklevel=3,
        )


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """``-log softmax(x)[target]``, for unnormalised scores.

    Args:
        input: ``[N, C, *]`` or ``[C]``.
        target: classes ``[N, *]`` or ``[]`` (int64), or probabilities of the input's shape.
        weight: a factor for each class, ``[C]``; "mean" then divides by the factors' sum.
        ignore_index: targets of this class do not count.
        label_smoothing: this share of the target is spread evenly over all classes.

    Raises:
        ShapeError: shapes do not fit.
        IndexError: a class is out of range.

    Example:
        >>> F.cross_entropy(deeplite.zeros(1, 2), deeplite.tensor([0]))
        tensor(0.6931)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    return core.cross_entropy(
        input,
        target,
        weight,
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``-weight[target] * x[target]``, for log-probabilities. Arguments as for
    :func:`cross_entropy`.

    Example:
        >>> F.nll_loss(deeplite.tensor([[-1.0, -2.0]]), deeplite.tensor([1]))
        tensor(2.)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    return core.nll_loss(input, target, weight, ignore_index=ignore_index, reduction=reduction)


def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``-weight * (y log x + (1 - y) log(1 - x))``, for probabilities; logs are cut at -100.

    Raises:
        ValueError: shapes differ.
        RuntimeError: an input is outside [0, 1].

    Example:
        >>> F.binary_cross_entropy(deeplite.tensor([0.5]), deeplite.tensor([1.0]))
        tensor(0.6931)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    return core.binary_cross_entropy(input, target, weight, reduction=reduction)


def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """:func:`binary_cross_entropy` of ``sigmoid(x)``, computed without overflow.

    Args:
        pos_weight: a factor for the positive part, broadcast to the target.

    Raises:
        ValueError: shapes differ.

    Example:
        >>> F.binary_cross_entropy_with_logits(deeplite.tensor([0.0]), deeplite.tensor([1.0]))
        tensor(0.6931)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    return core.binary_cross_entropy_with_logits(
        input, target, weight, reduction=reduction, pos_weight=pos_weight
    )


def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """``(x - y)^2``; with ``weight`` each term times its weight, and "mean" divides by their sum.

    Example:
        >>> F.mse_loss(deeplite.tensor([1.0, 3.0]), deeplite.tensor([0.0, 0.0]))
        tensor(5.)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    _warn_broadcast("mse_loss", input, target)
    if weight is not None:
        return _weighted("mse_loss", core.mse_loss, input, target, weight, reduction)
    return core.mse_loss(input, target, reduction=reduction)


def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """``|x - y|``; ``weight`` as in :func:`mse_loss`.

    Example:
        >>> F.l1_loss(deeplite.tensor([1.0, 3.0]), deeplite.tensor([0.0, 0.0]))
        tensor(2.)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    _warn_broadcast("l1_loss", input, target)
    if weight is not None:
        return _weighted("l1_loss", core.l1_loss, input, target, weight, reduction)
    return core.l1_loss(input, target, reduction=reduction)


def _weighted(
    name: str,
    function: Callable[..., Tensor],
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    reduction: str,
) -> Tensor:
    input, target = core.broadcast_tensors(input, target)
    if weight.shape != input.shape:
        raise ValueError(
            f"{name}: weight has shape {tuple(weight.shape)}, input and target have "
            f"{tuple(input.shape)}"
        )
    loss = function(input, target, reduction="none") * weight
    return loss.sum() / weight.sum() if reduction == "mean" else reduced(name, loss, reduction)


def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """``d^2 / (2 beta)`` where ``d = |x - y| < beta``, else ``d - beta / 2`` (Girshick, 2015).

    Raises:
        ValueError or RuntimeError: ``beta`` is negative.

    Example:
        >>> F.smooth_l1_loss(deeplite.tensor([3.0]), deeplite.tensor([0.0]))
        tensor(2.5000)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    _warn_broadcast("smooth_l1_loss", input, target)
    return core.smooth_l1_loss(input, target, reduction=reduction, beta=beta)


def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """``d^2 / 2`` where ``d = |x - y| <= delta``, else ``delta (d - delta / 2)`` (Huber, 1964);
    with ``weight`` each term times its weight.

    Raises:
        ValueError or RuntimeError: ``delta`` is not positive.

    Example:
        >>> F.huber_loss(deeplite.tensor([3.0]), deeplite.tensor([0.0]), delta=2.0)
        tensor(4.)
    """
    _warn_broadcast("huber_loss", input, target)
    if weight is not None:

        def function(x: Tensor, y: Tensor, reduction: str) -> Tensor:
            return core.huber_loss(x, y, reduction=reduction, delta=delta)

        loss = _weighted("huber_loss", function, input, target, weight, "none")
        return reduced("huber_loss", loss, reduction)
    return core.huber_loss(input, target, reduction=reduction, delta=delta)


def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """Kullback-Leibler divergence ``y (log y - x)``, for log-probabilities ``x``.

    Args:
        reduction: also "batchmean", the sum divided by the batch size, which is the
            mathematical definition.
        log_target: the target too is given as log-probabilities.

    Example:
        >>> F.kl_div(deeplite.tensor([[0.0]]), deeplite.tensor([[1.0]]), reduction="batchmean")
        tensor(0.)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if reduction == "mean":
        warnings.warn(
            "kl_div: reduction 'mean' divides by the elements, not by the batch size; "
            "'batchmean' is the mathematical definition",
            stacklevel=2,
        )
    inner = "sum" if reduction == "batchmean" else reduction
    loss = core.kl_div(input, target, reduction=inner, log_target=log_target)
    return loss / input.shape[0] if reduction == "batchmean" and input.dim() else loss


def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``exp(x) - y x``, or ``x - y log(x + eps)`` without ``log_input``; with ``full`` plus
    Stirling's ``y log y - y + log(2 pi y) / 2`` where ``y > 1``.

    Example:
        >>> F.poisson_nll_loss(deeplite.tensor([0.0]), deeplite.tensor([1.0]))
        tensor(1.)
    """
    reduction = legacy_reduction(size_average, reduce, reduction)
    if log_input:
        loss = input.exp() - target * input
    else:
        loss = input - target * (input + eps).log()
    if full:
        safe = target.clamp_min(1.0)  # log of what the mask drops must not be -inf
        stirling = target * safe.log() - target + 0.5 * (2 * math.pi * safe).log()
        loss = loss + stirling.masked_fill(target <= 1, 0)
    return reduced("poisson_nll_loss", loss, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """``(log v + (x - y)^2 / v) / 2`` with ``v = max(var, eps)``; with ``full`` plus
    ``log(2 pi) / 2``.

    Args:
        var: variances: of the input's shape, or with a last size of 1, or without it.

    Raises:
        ValueError: a negative variance, or one of another shape.

    Example:
        >>> F.gaussian_nll_loss(deeplite.tensor([1.0]), deeplite.tensor([0.0]), 1.0)
        tensor(0.5000)
    """
    variance = _variance(input, var)
    # The clamp is a constant for gradients: a variance below eps still learns.
    clamped = variance + (variance.detach().clamp_min(eps) - variance.detach())
    loss = 0.5 * (clamped.log() + (input - target) ** 2 / clamped)
    if full:
        loss = loss + 0.5 * math.log(2 * math.pi)
    return reduced("gaussian_nll_loss", loss, reduction)


def _variance(input: Tensor, var: Tensor | float) -> Tensor:
    """The variances as a tensor that broadcasts to the input; see :func:`gaussian_nll_loss`."""
    variance: Tensor = var if isinstance(var, Tensor) else core.full_like(input, var)
    if variance.shape != input.shape:
        if tuple(input.shape[:-1]) == tuple(variance.shape):
            variance = variance.unsqueeze(-1)
        elif input.dim() != variance.dim() or any(
            v not in (1, n) for v, n in zip(variance.shape, input.shape)
        ):
            raise ValueError(
                f"gaussian_nll_loss: var of shape {tuple(variance.shape)} does not fit the input "
                f"{tuple(input.shape)}"
            )
    if bool((variance < 0).any()):
        raise ValueError("gaussian_nll_loss: var has negative entries")
    return variance
