"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

import deeplite
from deeplite import _C

from .optimizer import Closure, Optimizer, check_range, check_unsupported

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum (Sutskever et al., 2013) if wanted.

    With ``g = grad + weight_decay * w``: the momentum buffer starts as ``g`` and then is
    ``b = momentum * b + (1 - dampening) * g``; the update is ``w -= lr * b``, or with ``nesterov``
    ``w -= lr * (g + momentum * b)``.

    Args:
        params: see :class:`Optimizer`.
        lr: learning rate.
        momentum, dampening, weight_decay, nesterov: see above.
        maximize: go up the gradient instead of down.
        foreach, fused: accepted; a step is always one call over all tensors.
        differentiable: not supported.

    Raises:
        ValueError: a negative option, or Nesterov without momentum or with dampening.

    Example:
        >>> w = nn.Parameter(deeplite.tensor([1.0]))
        >>> opt = deeplite.optim.SGD([w], lr=0.1, momentum=0.9)
        >>> (w * w).sum().backward()
        >>> opt.step()
        >>> w.detach()
        tensor([0.8000])
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_range("SGD", "lr", lr, 0.0)
        check_range("SGD", "momentum", momentum, 0.0)
        check_range("SGD", "weight_decay", weight_decay, 0.0)
        check_unsupported("SGD", differentiable=differentiable)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("SGD: Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def step(self, closure: Closure | None = None) -> Any:
        loss = self._evaluate(closure)
        for group in self.param_groups:
            params, grads = self._with_grad(group)
            if not group["momentum"]:
                self._update(group, params, grads, [], False)
                continue
            # Parameters without a buffer take their first step apart from the others.
            new: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
            old: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
            for p, grad in zip(params, grads):
                state = self.state[p]
                buffer = state.get("momentum_buffer")
                part = new if buffer is None else old
                if buffer is None:
                    state["momentum_buffer"] = buffer = deeplite.zeros_like(p.detach())
                for items, item in zip(part, (p, grad, buffer)):
                    items.append(item)
            try:
                self._update(group, *new, True)
            except BaseException:  # a step that failed leaves no state behind
                for p in new[0]:
                    self.state.pop(p)
                raise
            self._update(group, *old, False)
        return loss

    @staticmethod
    def _update(
        group: dict[str, Any], params: list[Any], grads: list[Any], buffers: list[Any], first: bool
    ) -> None:
        if params:
            _C._nn._sgd_step(
                params,
                grads,
                buffers,
                first=first,
                lr=float(group["lr"]),
                momentum=float(group["momentum"]),
                dampening=float(group["dampening"]),
                weight_decay=float(group["weight_decay"]),
                nesterov=bool(group["nesterov"]),
                maximize=bool(group["maximize"]),
            )
