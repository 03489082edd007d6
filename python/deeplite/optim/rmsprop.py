"""RMSprop."""

from __future__ import annotations

from typing import Any

import deeplite
from deeplite import _C

from .optimizer import Closure, Optimizer, check_range, check_unsupported

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """RMSprop (Hinton, lecture notes 2012): the gradient divided by the root of a running mean of
    its square.

    With ``g = grad + weight_decay * w`` and ``v = alpha v + (1 - alpha) g^2`` (``centered``: minus
    the square of the running mean of ``g``): ``w -= lr * b`` with
    ``b = momentum * b + g / (sqrt(v) + eps)``.

    Raises:
        ValueError: an option is negative.

    Example:
        >>> w = nn.Parameter(deeplite.tensor([1.0]))
        >>> opt = deeplite.optim.RMSprop([w], lr=0.05)
        >>> w.grad = deeplite.tensor([1.0])
        >>> opt.step()
        >>> w.detach()
        tensor([0.5000])
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_range("RMSprop", "lr", lr, 0.0)
        check_range("RMSprop", "eps", eps, 0.0)
        check_range("RMSprop", "momentum", momentum, 0.0)
        check_range("RMSprop", "weight_decay", weight_decay, 0.0)
        check_range("RMSprop", "alpha", alpha, 0.0)
        check_unsupported("RMSprop", differentiable=differentiable)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def step(self, closure: Closure | None = None) -> Any:
        loss = self._evaluate(closure)
        for group in self.param_groups:
            params, grads = self._with_grad(group)
            if not params:
                continue
            states = [self._state_of(p, group) for p in params]
            _C._nn._rmsprop_step(
                params,
                grads,
                [s["square_avg"] for s in states],
                [s["momentum_buffer"] for s in states] if group["momentum"] > 0 else [],
                [s["grad_avg"] for s in states] if group["centered"] else [],
                [s["step"] for s in states],
                lr=float(group["lr"]),
                alpha=float(group["alpha"]),
                eps=float(group["eps"]),
                weight_decay=float(group["weight_decay"]),
                momentum=float(group["momentum"]),
                maximize=bool(group["maximize"]),
            )
        return loss

    def _state_of(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        state = self.state[p]
        if not state:
            state["step"] = deeplite.tensor(0.0)
            state["square_avg"] = deeplite.zeros_like(p.detach())
        if group["momentum"] > 0 and "momentum_buffer" not in state:
            state["momentum_buffer"] = deeplite.zeros_like(p.detach())
        if group["centered"] and "grad_avg" not in state:
            state["grad_avg"] = deeplite.zeros_like(p.detach())
        return state
