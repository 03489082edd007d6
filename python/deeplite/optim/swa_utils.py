"""Averages of weights: Polyak's, stochastic weight averaging, exponential moving averages.

Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992; Izmailov et al.,
"Averaging weights leads to wider optima and better generalization", 2018.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import deeplite
from deeplite import Tensor, nn

from ._schedule import LRScheduler
from .optimizer import Optimizer

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn",
    "get_swa_multi_avg_fn", "update_bn",
]  # fmt: skip

AvgFn = Callable[[Tensor, Tensor, Any], Tensor]
MultiAvgFn = Callable[[list[Tensor], list[Tensor], Any], None]


def _check_decay(decay: float) -> float:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"the decay of a moving average must be in 0 .. 1, got {decay}")
    return decay


def get_swa_avg_fn() -> AvgFn:
    """The equal average: ``average + (new - average) / (n + 1)``."""

    def swa_update(averaged: Tensor, current: Tensor, num_averaged: Any) -> Tensor:
        return averaged + (current - averaged) / (num_averaged + 1)

    return swa_update


def get_ema_avg_fn(decay: float = 0.999) -> AvgFn:
    """The exponential moving average: ``decay * average + (1 - decay) * new``."""
    _check_decay(decay)

    def ema_update(averaged: Tensor, current: Tensor, num_averaged: Any) -> Tensor:
        return decay * averaged + (1 - decay) * current

    return ema_update


def get_swa_multi_avg_fn() -> MultiAvgFn:
    """The equal average of whole lists of tensors, in place."""

    def swa_update(averaged: list[Tensor], current: list[Tensor], num_averaged: Any) -> None:
        for old, new in zip(averaged, current):
            if old.is_floating_point():
                old.lerp_(new.to(old.dtype), 1.0 / (float(num_averaged) + 1))
            else:
                old.add_((new - old) // (int(num_averaged) + 1))

    return swa_update


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAvgFn:
    """The exponential moving average of whole lists of tensors, in place."""
    _check_decay(decay)

    def ema_update(averaged: list[Tensor], current: list[Tensor], _: Any) -> None:
        for old, new in zip(averaged, current):
            if old.is_floating_point():
                old.lerp_(new.to(old.dtype), 1.0 - decay)
            else:
                old.copy_(old * decay + new * (1 - decay))

    return ema_update


class AveragedModel(nn.Module):
    """A model whose weights are the average of another's over the steps of training.

    Args:
        model: is copied; the copy, ``module``, holds the averages.
        device: of the copy.
        avg_fn: ``(average, new, n) -> average`` for each parameter; the equal average by default.
        multi_avg_fn: the same in place, for all parameters at once.
        use_buffers: average buffers too (running statistics); otherwise they are copied at each
            update.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> average = optim.swa_utils.AveragedModel(model)
        >>> for value in (1.0, 2.0, 6.0):
        ...     _ = nn.init.constant_(model.weight, value)
        ...     average.update_parameters(model)
        >>> average.module.weight.item()
        3.0
    """

    n_averaged: Tensor

    def __init__(
        self, model: nn.Module, device: Any = None, avg_fn: AvgFn | None = None,
        multi_avg_fn: MultiAvgFn | None = None, use_buffers: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel: avg_fn and multi_avg_fn exclude each other")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", deeplite.tensor(0, dtype=deeplite.int64))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def _tensors(self, model: nn.Module) -> list[Tensor]:
        found = list(model.parameters())
        return [t.detach() for t in (*found, *(model.buffers() if self.use_buffers else ()))]

    def update_parameters(self, model: nn.Module) -> None:
        """Takes the weights of ``model`` into the average.

        Raises:
            ValueError: ``model`` has other parameters than the one that was copied.
        """
        own, new = self._tensors(self.module), self._tensors(model)
        if [tuple(t.shape) for t in own] != [tuple(t.shape) for t in new]:
            raise ValueError("AveragedModel: the model has other parameters than the one averaged")
        new = [t.to(o.device) for t, o in zip(new, own)]
        with deeplite.no_grad():
            if self.n_averaged.item() == 0:
                for o, t in zip(own, new):
                    o.copy_(t)
            elif self.avg_fn is not None:
                for o, t in zip(own, new):
                    o.copy_(self.avg_fn(o, t, self.n_averaged))
            else:
                (self.multi_avg_fn or get_swa_multi_avg_fn())(own, new, self.n_averaged)
            if not self.use_buffers:
                for o, t in zip(self.module.buffers(), model.buffers()):
                    o.copy_(t.detach().to(o.device))
            self.n_averaged.add_(1)


def update_bn(loader: Iterable[Any], model: nn.Module, device: Any = None) -> None:
    """Computes the running statistics of all BatchNorm layers anew, over one pass of ``loader``
    (batches, or tuples that begin with one): averaged weights have other activations than any of
    the models they come from. The model is left in the mode it was in."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not norms:
        return
    before = {m: m.momentum for m in norms}
    was_training = model.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
    model.train()
    try:
        with deeplite.no_grad():
            for batch in loader:
                x = batch[0] if isinstance(batch, (list, tuple)) else batch
                model(x if device is None else x.to(device))
    finally:
        for norm, momentum in before.items():
            norm.momentum = momentum
        model.train(was_training)


class SWALR(LRScheduler):
    """Anneals the rates of all groups to ``swa_lr`` over ``anneal_epochs`` and keeps them there.

    Args:
        swa_lr: the constant rate, one or one for each group.
        anneal_epochs: how long the way there takes; 0 jumps.
        anneal_strategy: "cos" or "linear".
    """

    def __init__(
        self, optimizer: Optimizer, swa_lr: float | list[float], anneal_epochs: int = 10,
        anneal_strategy: Literal["cos", "linear"] = "cos", last_epoch: int = -1,
    ) -> None:  # fmt: skip
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"SWALR: anneal_strategy is 'cos' or 'linear', got {anneal_strategy}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"SWALR: anneal_epochs must not be negative, got {anneal_epochs}")
        rates = [swa_lr] * len(optimizer.param_groups) if isinstance(swa_lr, float) else swa_lr
        if not isinstance(rates, (list, tuple)) or len(rates) != len(optimizer.param_groups):
            raise ValueError(f"SWALR: swa_lr is a float, or one for each group, got {swa_lr}")
        for group, rate in zip(optimizer.param_groups, rates):
            group["swa_lr"] = rate
        self.anneal_epochs, self.anneal_strategy = anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _part(self, step: int) -> float:
        """How much of the way is done after ``step`` epochs."""
        t = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * t)) / 2 if self.anneal_strategy == "cos" else t

    def get_lr(self) -> list[float]:
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._part(max(0, step - 1)), self._part(step)
        rates = []
        for group in self.optimizer.param_groups:
            if before == 1:
                rates.append(group["swa_lr"])
                continue
            start = (group["lr"] - group["swa_lr"] * before) / (1 - before)
            rates.append(group["swa_lr"] * now + start * (1 - now))
        return rates
