"""Adagrad."""

from __future__ import annotations

from typing import Any

import deeplite
from deeplite import _C

from .optimizer import Closure, Optimizer, check_range, check_unsupported

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Adagrad (Duchi et al., 2011): the gradient divided by the root of the sum of its squares.

    With ``g = grad + weight_decay * w`` and ``s = s + g^2``, at step ``t``:
    ``w -= lr / (1 + (t - 1) lr_decay) * g / (sqrt(s) + eps)``.

    Args:
        initial_accumulator_value: what ``s`` starts from.

    Raises:
        ValueError: an option is negative.

    Example:
        >>> w = nn.Parameter(deeplite.tensor([1.0]))
        >>> opt = deeplite.optim.Adagrad([w], lr=0.5)
        >>> w.grad = deeplite.tensor([4.0])
        >>> opt.step()
        >>> w.detach()
        tensor([0.5000])
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_range("Adagrad", "lr", lr, 0.0)
        check_range("Adagrad", "lr_decay", lr_decay, 0.0)
        check_range("Adagrad", "weight_decay", weight_decay, 0.0)
        check_range("Adagrad", "initial_accumulator_value", initial_accumulator_value, 0.0)
        check_range("Adagrad", "eps", eps, 0.0)
        check_unsupported("Adagrad", differentiable=differentiable)
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        for p in group["params"]:
            value = float(group["initial_accumulator_value"])
            self.state[p] = {
                "step": deeplite.tensor(0.0),
                "sum": deeplite.full_like(p.detach(), value),
            }

    def step(self, closure: Closure | None = None) -> Any:
        loss = self._evaluate(closure)
        for group in self.param_groups:
            params, grads = self._with_grad(group)
            if not params:
                continue
            states = [self.state[p] for p in params]
            _C._nn._adagrad_step(
                params,
                grads,
                [s["sum"] for s in states],
                [s["step"] for s in states],
                lr=float(group["lr"]),
                lr_decay=float(group["lr_decay"]),
                eps=float(group["eps"]),
                weight_decay=float(group["weight_decay"]),
                maximize=bool(group["maximize"]),
            )
        return loss
