"""The base class of the learning-rate schedules."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from .optimizer import Optimizer


class LRScheduler:
    """Base of the schedules: subclasses define ``get_lr``, the rates of all groups at
    ``self.last_epoch``, as a rule from the current ones (so that schedules can be chained).

    Args:
        last_epoch: where to resume; -1 starts anew from the optimizer's rates.

    Raises:
        TypeError: ``optimizer`` is none.
        KeyError: resuming although the groups have no ``initial_lr``.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: {type(optimizer).__name__} is not an Optimizer"
            )
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise KeyError(
                    f"{type(self).__name__}: to resume at epoch {last_epoch}, parameter group {i} "
                    "needs 'initial_lr'"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._step_count = 0
        self._last_lr: list[float] = []
        self._initial_step()

    def _initial_step(self) -> None:
        self._steps_at_start = self.optimizer._step_count
        self._is_initial = True  # the rates are what they were: nothing is to be multiplied yet
        self.step()
        self._is_initial = False

    def get_lr(self) -> list[float]:
        """The rates at ``self.last_epoch``, one for each parameter group."""
        raise NotImplementedError(f"{type(self).__name__} defines no get_lr")

    def get_last_lr(self) -> list[float]:
        """The rates that were set last, one for each parameter group."""
        return self._last_lr

    def _current(self) -> list[float]:
        return [group["lr"] for group in self.optimizer.param_groups]

    def _scaled(self, factor: float) -> list[float]:
        return [lr * factor for lr in self._current()]

    def step(self, epoch: int | None = None) -> None:
        """Moves on to the next epoch (or to ``epoch``) and sets the rates."""
        if self._step_count == 1 and self.optimizer._step_count == self._steps_at_start:
            warnings.warn(
                "scheduler.step() was called before optimizer.step(): the first rate is skipped",
                stacklevel=2,
            )
        self._step_count += 1
        closed_form = getattr(self, "_get_closed_form_lr", None)
        if epoch is None:
            self.last_epoch += 1
            rates = self.get_lr()
        else:
            self.last_epoch = epoch
            rates = closed_form() if closed_form else self.get_lr()
        self._set(rates)

    def _set(self, rates: Sequence[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, rates):
            group["lr"] = lr
        self._last_lr = self._current()

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer."""
        left_out = ("optimizer", "_steps_at_start", "_is_initial")
        return {k: v for k, v in self.__dict__.items() if k not in left_out}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what ``state_dict`` gave."""
        self.__dict__.update(state_dict)
