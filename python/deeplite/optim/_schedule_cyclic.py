"""Schedules that come and go, or listen to a metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

from ._schedule import LRScheduler
from .optimizer import Optimizer


class CosineAnnealingWarmRestarts(LRScheduler):
    """Cosine annealing that restarts after ``T_0`` epochs, then after ``T_0 * T_mult``, and so on
    (Loshchilov and Hutter, 2016). ``step`` takes fractions of epochs too.

    Raises:
        ValueError: ``T_0`` or ``T_mult`` is no positive integer.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        for name, value in (("T_0", T_0), ("T_mult", T_mult)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"CosineAnnealingWarmRestarts: {name} must be a positive integer, got {value}"
                )
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        share = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (lr - self.eta_min) * share for lr in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur -= self.T_i
                self.T_i *= self.T_mult
        else:
            if epoch < 0:
                raise ValueError(f"CosineAnnealingWarmRestarts: epoch must be >= 0, got {epoch}")
            self._place(epoch)
        self._step_count += 1
        self.last_epoch = math.floor(epoch)
        self._set(self.get_lr())

    def _place(self, epoch: float) -> None:
        """Where ``epoch`` lies: T_cur epochs into a period of T_i."""
        if epoch < self.T_0:
            self.T_i, self.T_cur = self.T_0, epoch
        elif self.T_mult == 1:
            self.T_i, self.T_cur = self.T_0, epoch % self.T_0
        else:
            # the n-th period starts at T_0 (T_mult^n - 1) / (T_mult - 1)
            n = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            start = self.T_0 * (self.T_mult**n - 1) / (self.T_mult - 1)
            self.T_i, self.T_cur = self.T_0 * self.T_mult**n, epoch - start


class OneCycleLR(LRScheduler):
    """One rise to ``max_lr`` and a fall far below the start (Smith and Topin, 2017), with the
    momentum going the other way. ``step`` is called after each batch.

    Args:
        max_lr: the highest rate, for all groups or one for each.
        total_steps: how many steps, or ``epochs`` times ``steps_per_epoch``.
        pct_start: the share of steps that rise.
        anneal_strategy: "cos" or "linear".
        cycle_momentum, base_momentum, max_momentum: whether and how momentum (or beta1) moves.
        div_factor, final_div_factor: the first rate is ``max_lr / div_factor``, the last that
            divided by ``final_div_factor``.
        three_phase: fall back to the first rate before the last fall.

    Raises:
        ValueError: options that make no sense, or more steps than planned.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if total_steps is None:
            if not epochs or not steps_per_epoch or epochs < 0 or steps_per_epoch < 0:
                raise ValueError(
                    "OneCycleLR: give total_steps, or positive epochs and steps_per_epoch"
                )
            total_steps = epochs * steps_per_epoch
        if not isinstance(total_steps, int) or total_steps <= 0:
            raise ValueError(f"OneCycleLR: total_steps must be positive, got {total_steps}")
        if not 0 <= pct_start <= 1:
            raise ValueError(f"OneCycleLR: pct_start must be between 0 and 1, got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f"OneCycleLR: anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}"
            )
        self.total_steps = total_steps
        self._anneal_func_type = anneal_strategy
        self._schedule_phases = _phases(total_steps, pct_start, three_phase)
        self.cycle_momentum = cycle_momentum
        groups = optimizer.param_groups
        if last_epoch == -1:
            for group, top in zip(groups, _each("max_lr", max_lr, len(groups))):
                group["initial_lr"] = top / div_factor
                group["max_lr"] = top
                group["min_lr"] = group["initial_lr"] / final_div_factor
        if cycle_momentum:
            if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
                raise ValueError("OneCycleLR: cycle_momentum needs an optimizer with momentum")
            self.use_beta1 = "betas" in optimizer.defaults
            if last_epoch == -1:
                tops = _each("max_momentum", max_momentum, len(groups))
                bases = _each("base_momentum", base_momentum, len(groups))
                for group, top, base in zip(groups, tops, bases):
                    self._set_momentum(group, top)
                    group["max_momentum"] = top
                    group["base_momentum"] = base
        super().__init__(optimizer, last_epoch)

    def _set_momentum(self, group: dict[str, Any], value: float) -> None:
        if self.use_beta1:
            group["betas"] = (value, *group["betas"][1:])
        else:
            group["momentum"] = value

    def _between(self, start: float, end: float, share: float) -> float:
        if self._anneal_func_type == "linear":
            return (end - start) * share + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * share) + 1)

    def get_lr(self) -> list[float]:
        step = self.last_epoch
        if step > self.total_steps:
            raise ValueError(f"OneCycleLR: step {step} of a schedule of {self.total_steps} steps")
        rates = []
        for group in self.optimizer.param_groups:
            start = 0.0
            for i, (end, names) in enumerate(self._schedule_phases):
                if step <= end or i == len(self._schedule_phases) - 1:
                    share = (step - start) / (end - start)
                    rates.append(self._between(group[names[0]], group[names[1]], share))
                    if self.cycle_momentum:
                        value = self._between(group[names[2]], group[names[3]], share)
                        self._set_momentum(group, value)
                    break
                start = end
        return rates


def _phases(
    total: int, pct_start: float, three_phase: bool
) -> list[tuple[float, tuple[str, str, str, str]]]:
    """Each phase's last step, and the group entries between which rate and momentum move."""
    up = ("initial_lr", "max_lr", "max_momentum", "base_momentum")
    if not three_phase:
        down = ("max_lr", "min_lr", "base_momentum", "max_momentum")
        return [(float(pct_start * total) - 1, up), (total - 1, down)]
    back = ("max_lr", "initial_lr", "base_momentum", "max_momentum")
    away = ("initial_lr", "min_lr", "max_momentum", "max_momentum")
    first = float(pct_start * total) - 1
    return [(first, up), (float(2 * pct_start * total) - 2, back), (total - 1, away)]


def _each(name: str, value: float | Sequence[float], n: int) -> list[float]:
    if isinstance(value, (list, tuple)):
        if len(value) != n:
            raise ValueError(f"{name}: expected {n} values, one for each group, got {len(value)}")
        return list(value)
    return [cast(float, value)] * n


class ReduceLROnPlateau(LRScheduler):
    """Multiplies by ``factor`` when a metric has not improved for more than ``patience`` epochs.

    Args:
        mode: "min" when lower is better, "max" when higher is.
        threshold, threshold_mode: what counts as better: by this share ("rel") or amount ("abs").
        cooldown: epochs to wait after a reduction.
        min_lr: the lowest rate, for all groups or one for each.
        eps: smaller changes of the rate are left out.

    Raises:
        ValueError: ``factor`` is not below 1, or an unknown mode.

    Example:
        >>> opt = deeplite.optim.SGD([nn.Parameter(deeplite.zeros(1))], lr=1.0)
        >>> schedule = deeplite.optim.lr_scheduler.ReduceLROnPlateau(opt, patience=0, factor=0.5)
        >>> schedule.step(3.0); schedule.step(3.0); schedule.get_last_lr()
        [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0,
        eps: float = 1e-8,
    ) -> None:
        if factor >= 1.0:
            raise ValueError(f"ReduceLROnPlateau: factor must be below 1, got {factor}")
        if mode not in ("min", "max"):
            raise ValueError(f"ReduceLROnPlateau: mode must be 'min' or 'max', got {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"ReduceLROnPlateau: threshold_mode must be 'rel' or 'abs', got {threshold_mode!r}"
            )
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"ReduceLROnPlateau: {type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.min_lrs = _each("min_lr", min_lr, len(optimizer.param_groups))
        self.eps = eps
        self.last_epoch = 0
        self._last_lr = self._current()
        self.best = math.inf if mode == "min" else -math.inf
        self.cooldown_counter = 0
        self.num_bad_epochs = 0

    def is_better(self, value: float, best: float) -> bool:
        """Whether ``value`` improves on ``best`` by more than the threshold."""
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "abs":
            return sign * (value - best) > self.threshold
        limit = best * (1.0 + sign * self.threshold)
        return value > limit if sign > 0 else value < limit

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        value = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self.is_better(value, self.best):
            self.best = value
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group, least in zip(self.optimizer.param_groups, self.min_lrs):
                new = max(group["lr"] * self.factor, least)
                if group["lr"] - new > self.eps:
                    group["lr"] = new
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = self._current()
