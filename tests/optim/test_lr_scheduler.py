"""Learning-rate schedules against torch's, step by step."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
from nn_pairs import LIBRARIES, deeplite

S = deeplite.optim.lr_scheduler

CASES: dict[str, Any] = {
    "lambda": lambda s, o: s.LambdaLR(o, lambda e: 0.9**e),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, lambda e: 0.9),
    "step": lambda s, o: s.StepLR(o, 3, 0.5),
    "multi_step": lambda s, o: s.MultiStepLR(o, [2, 5, 5], 0.5),
    "constant": lambda s, o: s.ConstantLR(o, 0.25, 4),
    "linear": lambda s, o: s.LinearLR(o, 0.1, 0.9, 6),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.8),
    "polynomial": lambda s, o: s.PolynomialLR(o, 7, 2.0),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 5, 0.01),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.01),
    "one_cycle": lambda s, o: s.OneCycleLR(o, 1.0, total_steps=30),
    "three_phase": lambda s, o: s.OneCycleLR(
        o, 1.0, total_steps=30, three_phase=True, anneal_strategy="linear"
    ),
    "sequential": lambda s, o: s.SequentialLR(
        o,
        [s.LinearLR(o, 0.1, 1.0, 4), s.CosineAnnealingLR(o, 10), s.ExponentialLR(o, 0.9)],
        [4, 12],
    ),
    "chained": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 2), s.ExponentialLR(o, 0.9)]),
}


def optimizer(lib: Any) -> Any:
    groups = [{"params": [lib.nn.Parameter(lib.zeros(1))], "lr": lr} for lr in (0.5, 0.05)]
    return lib.optim.SGD(groups, lr=0.1, momentum=0.9)


@pytest.mark.parametrize("name", CASES)
def test_schedule(name: str) -> None:
    optimizers = [optimizer(lib) for lib in LIBRARIES]
    ours, theirs = (CASES[name](lib.optim.lr_scheduler, o) for lib, o in zip(LIBRARIES, optimizers))
    for step in range(25):
        for a, b in zip(*(o.param_groups for o in optimizers)):
            assert math.isclose(a["lr"], b["lr"], rel_tol=1e-12, abs_tol=1e-15), step
            assert math.isclose(a["momentum"], b["momentum"]), step
        assert ours.get_last_lr() == [g["lr"] for g in optimizers[0].param_groups]
        if step == 10 and name not in ("lambda", "multiplicative"):  # interrupted and resumed
            saved, rates = ours.state_dict(), optimizers[0].state_dict()
            optimizers[0] = optimizer(deeplite)
            ours = CASES[name](S, optimizers[0])
            optimizers[0].load_state_dict(rates)
            ours.load_state_dict(saved)
        for o in optimizers:
            o.step()
        ours.step()
        theirs.step()


@pytest.mark.parametrize("mode, threshold_mode", [("min", "rel"), ("max", "abs")])
def test_plateau(mode: str, threshold_mode: str) -> None:
    options: dict[str, Any] = {"mode": mode, "threshold_mode": threshold_mode}
    options |= {"patience": 1, "cooldown": 1, "min_lr": 0.01}
    optimizers = [optimizer(lib) for lib in LIBRARIES]
    schedules = [
        lib.optim.lr_scheduler.ReduceLROnPlateau(o, **options)
        for lib, o in zip(LIBRARIES, optimizers)
    ]
    for metric in (5, 4, 4, 4, 4, 3.9999, 3, 3, 3, 3, 3, 3, 3, 6, 7, 7, 7, 7):
        for s in schedules:
            s.step(metric)
        for a, b in zip(*(o.param_groups for o in optimizers)):
            assert math.isclose(a["lr"], b["lr"])
    assert schedules[0].num_bad_epochs == schedules[1].num_bad_epochs


def test_order_is_checked() -> None:
    o = optimizer(deeplite)
    s = S.StepLR(o, 1)
    with pytest.warns(UserWarning, match="before optimizer.step"):
        s.step()
    o = optimizer(deeplite)
    s = S.StepLR(o, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        o.step()
        s.step()
        s.step()


def test_resume_at_an_epoch() -> None:
    with pytest.raises(KeyError, match="initial_lr"):
        S.StepLR(optimizer(deeplite), 3, last_epoch=4)
    results = []
    for lib in LIBRARIES:
        o = optimizer(lib)
        for g in o.param_groups:
            g["initial_lr"] = 1.0
        s = lib.optim.lr_scheduler.CosineAnnealingLR(o, 10, last_epoch=4)
        o.step()
        s.step()
        results.append(s.get_last_lr())
    assert all(math.isclose(a, b) for a, b in zip(*results))


def test_bad_options() -> None:
    o = optimizer(deeplite)
    for make, error in (
        (lambda: S.StepLR(3, 1), TypeError),
        (lambda: S.LambdaLR(o, [lambda e: 1.0]), ValueError),
        (lambda: S.ConstantLR(o, 2.0), ValueError),
        (lambda: S.LinearLR(o, 0.0), ValueError),
        (lambda: S.CosineAnnealingWarmRestarts(o, 0), ValueError),
        (lambda: S.OneCycleLR(o, 1.0), ValueError),
        (lambda: S.OneCycleLR(o, 1.0, total_steps=10, pct_start=2.0), ValueError),
        (lambda: S.OneCycleLR(o, [1.0, 2.0, 3.0], total_steps=10), ValueError),
        (lambda: S.SequentialLR(o, [S.StepLR(o, 1)], [3]), ValueError),
        (lambda: S.ReduceLROnPlateau(o, factor=1.0), ValueError),
        (lambda: S.ReduceLROnPlateau(o, mode="best"), ValueError),
        (lambda: S.ChainedScheduler([]), ValueError),
    ):
        with pytest.raises(error):
            make()


def test_cycling_momentum_needs_one() -> None:
    o = deeplite.optim.Adagrad([deeplite.nn.Parameter(deeplite.zeros(1))])
    with pytest.raises(ValueError, match="momentum"):
        S.OneCycleLR(o, 1.0, total_steps=10)
