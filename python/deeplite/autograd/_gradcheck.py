"""Gradients compared with central differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import _C
from .._C import Tensor
from .functional import grad
from .modes import enable_grad

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]


class GradcheckError(RuntimeError):
    """The analytical and the numerical gradient differ."""


def _as_tuple(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def _differentiable(outputs: Any) -> list[Tensor]:
    return [o for o in _as_tuple(outputs) if isinstance(o, Tensor) and o.is_floating_point()]


def _run(fn: Callable[..., Any], inputs: Sequence[Any]) -> list[np.ndarray]:
    # With recording on, as for the analytical side: a function may look at requires_grad.
    return [o.detach().numpy().copy() for o in _differentiable(fn(*inputs))]


def _numerical(
    fn: Callable[..., Any], inputs: Sequence[Any], index: int, eps: float
) -> list[np.ndarray]:
    """Jacobians [elements of input, elements of output], one per output."""
    x = inputs[index]
    base = x.detach().numpy().copy()
    columns: list[list[np.ndarray]] = []
    for i in np.ndindex(*base.shape):
        moved = []
        for sign in (1, -1):
            shifted = base.copy()
            shifted[i] += sign * eps
            args = list(inputs)
            args[index] = _C.tensor(shifted, dtype=x.dtype, requires_grad=True)
            moved.append(_run(fn, args))
        columns.append([(hi - lo).ravel() / (2 * eps) for hi, lo in zip(*moved, strict=True)])
    outputs = len(columns[0]) if columns else 0
    return [np.stack([c[k] for c in columns]) for k in range(outputs)]


def _analytical(outputs: list[Tensor], x: Tensor) -> list[np.ndarray]:
    jacobians = []
    for out in outputs:
        rows = np.zeros((out.numel(), x.numel()))
        if out.requires_grad:
            for i in range(out.numel()):
                dy = np.zeros(out.numel())
                dy[i] = 1
                seed = _C.tensor(dy.reshape(tuple(out.shape)), dtype=out.dtype)
                (dx,) = grad(out, x, seed, retain_graph=True, allow_unused=True)
                if dx is not None:
                    rows[i] = dx.detach().numpy().ravel()
        jacobians.append(rows.T)
    return jacobians


def gradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Checks the gradient of `func` at `inputs` against (f(x + eps) - f(x - eps)) / 2 eps.

    Every floating input that requires a gradient is checked, element by element, against every
    floating output; float64 inputs are needed for the differences to mean something. Returns True,
    or raises GradcheckError that names input, output and the largest difference (False when
    `raise_exception` is off).

    >>> import deeplite as dl
    >>> x = dl.tensor([0.3, -0.7], dtype=dl.float64, requires_grad=True)
    >>> dl.autograd.gradcheck(lambda x: (x * x).sum(), x)
    True
    """
    args = list(_as_tuple(inputs))
    outputs = _differentiable(func(*args))
    checked = [i for i, x in enumerate(args) if isinstance(x, Tensor) and x.requires_grad]
    if not checked:
        raise ValueError("gradcheck: at least one input must require gradients")
    for i in checked:
        if args[i].numel() == 0:
            continue
        numerical = _numerical(func, args, i, eps)
        analytical = _analytical(outputs, args[i])
        for k, (n, a) in enumerate(zip(numerical, analytical, strict=True)):
            if np.allclose(a, n, rtol=rtol, atol=atol):
                continue
            if not raise_exception:
                return False
            raise GradcheckError(
                f"gradient of output {k} with respect to input {i} differs from the numerical one "
                f"by up to {np.nanmax(np.abs(a - n)):.3g}\nnumerical:\n{n}\nanalytical:\n{a}"
            )
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """`gradcheck` of the gradient of `func`: checks double backward, with respect to the inputs and
    to `grad_outputs` (by default fixed pseudo-random ones)."""
    args = list(_as_tuple(inputs))
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        grad_outputs = [
            _C.tensor(rng.uniform(0.5, 1.5, tuple(o.shape)), dtype=o.dtype, requires_grad=True)
            for o in _differentiable(func(*args))
            if o.requires_grad
        ]
    seeds = list(grad_outputs)
    wanted = [i for i, x in enumerate(args) if isinstance(x, Tensor) and x.requires_grad]

    def gradients(*values: Any) -> tuple[Tensor, ...]:
        inner, dys = list(values[: len(args)]), list(values[len(args) :])
        with enable_grad():
            for i in wanted:
                if not inner[i].requires_grad:
                    inner[i] = inner[i].detach().requires_grad_()
            outputs = [o for o in _differentiable(func(*inner)) if o.requires_grad]
            found = grad(
                outputs, [inner[i] for i in wanted], dys, create_graph=True, allow_unused=True
            )
        return tuple(g for g in found if g is not None)

    return gradcheck(
        gradients, [*args, *seeds], eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception
    )
