"""Clipping gradients."""

from __future__ import annotations

from collections.abc import Iterable

import deeplite
from deeplite import Tensor

Tensors = Tensor | Iterable[Tensor]


def _listed(tensors: Tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _grads(parameters: Tensors) -> list[Tensor]:
    return [p.grad for p in _listed(parameters) if p.grad is not None]


def get_total_norm(
    tensors: Tensors,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors together, as if they were one vector.

    Args:
        tensors: one or several.
        norm_type: the p of the norm; infinity for the largest absolute value.
        error_if_nonfinite: raise when the norm is NaN or infinite.
        foreach: accepted; it makes no difference.

    Raises:
        RuntimeError: see ``error_if_nonfinite``.

    Example:
        >>> nn.utils.get_total_norm([deeplite.tensor([3.0]), deeplite.tensor([4.0])])
        tensor(5.)
    """
    norm_type = float(norm_type)
    with deeplite.no_grad():
        norms = [t.detach().norm(norm_type) for t in _listed(tensors)]
        if not norms:
            return deeplite.tensor(0.0)
        total = deeplite.stack([n.to(norms[0].dtype) for n in norms]).norm(norm_type)
    if error_if_nonfinite and not bool(deeplite.isfinite(total)):
        raise RuntimeError(
            f"the total norm of order {norm_type} of the gradients is {float(total)}, so they "
            "cannot be clipped; error_if_nonfinite=False scales them all the same"
        )
    return total


def clip_grads_with_norm_(
    parameters: Tensors, max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scales all gradients by ``min(1, max_norm / (total_norm + 1e-6))``, in place."""
    grads = _grads(parameters)
    if not grads:
        return
    with deeplite.no_grad():
        factor = (float(max_norm) / (total_norm + 1e-6)).clamp_max(1.0)
        for grad in grads:
            grad.mul_(factor.to(grad.device))


def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scales gradients in place so that their norm, all together, is at most ``max_norm``.

    Returns:
        The norm before scaling. Other arguments as for :func:`get_total_norm`.

    Raises:
        RuntimeError: see ``error_if_nonfinite``; the gradients are unchanged then.

    Example:
        >>> w = nn.Parameter(deeplite.zeros(2))
        >>> w.grad = deeplite.tensor([3.0, 4.0])
        >>> nn.utils.clip_grad_norm_(w, 1.0)
        tensor(5.)
        >>> w.grad
        tensor([0.6000, 0.8000])
    """
    parameters = _listed(parameters)
    total = get_total_norm(_grads(parameters), norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(parameters, max_norm, total, foreach)
    return total


def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Clips every entry of the gradients to ``[-clip_value, clip_value]``, in place.

    Example:
        >>> w = nn.Parameter(deeplite.zeros(2))
        >>> w.grad = deeplite.tensor([3.0, -0.5])
        >>> nn.utils.clip_grad_value_(w, 1.0)
        >>> w.grad
        tensor([ 1.0000, -0.5000])
    """
    clip_value = float(clip_value)
    with deeplite.no_grad():
        for grad in _grads(parameters):
            grad.clamp_(min=-clip_value, max=clip_value)
