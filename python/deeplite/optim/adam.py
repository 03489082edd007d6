"""Adam and AdamW."""

from __future__ import annotations

from typing import Any

import deeplite
from deeplite import _C

from .optimizer import Closure, Optimizer, check_range, check_unsupported

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2014).

    With ``g = grad + weight_decay * w``, ``m = beta1 m + (1 - beta1) g`` and
    ``v = beta2 v + (1 - beta2) g^2``, at step ``t``:
    ``w -= lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)``.

    Args:
        params: see :class:`Optimizer`.
        lr: learning rate.
        betas: ``(beta1, beta2)``, each in [0, 1).
        eps: keeps the division safe.
        weight_decay: L2 penalty; with ``decoupled_weight_decay`` it shrinks the weights instead.
        amsgrad: use the largest ``v`` so far (Reddi et al., 2018).
        maximize: go up the gradient instead of down.
        foreach, fused, capturable: accepted; a step is always one call over all tensors.
        differentiable: not supported.

    Raises:
        ValueError: an option is out of range.

    Example:
        >>> w = nn.Parameter(deeplite.tensor([1.0]))
        >>> opt = deeplite.optim.Adam([w], lr=0.1)
        >>> (w * w).sum().backward()
        >>> opt.step()
        >>> w.detach()
        tensor([0.9000])
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        name = type(self).__name__
        check_range(name, "lr", lr, 0.0)
        check_range(name, "eps", eps, 0.0)
        check_range(name, "betas[0]", betas[0], 0.0, 1.0)
        check_range(name, "betas[1]", betas[1], 0.0, 1.0)
        check_range(name, "weight_decay", weight_decay, 0.0)
        check_unsupported(name, differentiable=differentiable)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def step(self, closure: Closure | None = None) -> Any:
        loss = self._evaluate(closure)
        for group in self.param_groups:
            params, grads = self._with_grad(group)
            if not params:
                continue
            amsgrad = bool(group["amsgrad"])
            states = [self._state_of(p, amsgrad) for p in params]
            beta1, beta2 = group["betas"]
            _C._nn._adam_step(
                params,
                grads,
                [s["exp_avg"] for s in states],
                [s["exp_avg_sq"] for s in states],
                [s["max_exp_avg_sq"] for s in states] if amsgrad else [],
                [s["step"] for s in states],
                lr=float(group["lr"]),
                beta1=float(beta1),
                beta2=float(beta2),
                eps=float(group["eps"]),
                weight_decay=float(group["weight_decay"]),
                maximize=bool(group["maximize"]),
                decoupled=bool(group["decoupled_weight_decay"]),
            )
        return loss

    def _state_of(self, p: Any, amsgrad: bool) -> dict[str, Any]:
        state = self.state[p]
        if not state:
            state["step"] = deeplite.tensor(0.0)
            state["exp_avg"] = deeplite.zeros_like(p.detach())
            state["exp_avg_sq"] = deeplite.zeros_like(p.detach())
        if amsgrad and "max_exp_avg_sq" not in state:
            state["max_exp_avg_sq"] = deeplite.zeros_like(p.detach())
        return state


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2017): before Adam's update the
    weights shrink, ``w -= lr * weight_decay * w``. Arguments as for :class:`Adam`.

    Example:
        >>> w = nn.Parameter(deeplite.tensor([1.0]))
        >>> opt = deeplite.optim.AdamW([w], lr=0.1, weight_decay=0.5)
        >>> w.grad = deeplite.tensor([1.0])
        >>> opt.step()
        >>> w.detach()
        tensor([0.8500])
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
