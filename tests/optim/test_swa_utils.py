"""Averages of weights, against torch."""

from __future__ import annotations

import copy
from typing import Any

import deeplite
import numpy as np
import pytest
from deeplite import nn
from deeplite.optim import swa_utils

torch = pytest.importorskip("torch")
theirs = pytest.importorskip("torch.optim.swa_utils")


def pair() -> tuple[Any, Any]:
    """A small net with BatchNorm in both libraries, with the same weights."""
    nets = [
        lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.BatchNorm1d(4), lib.nn.Linear(4, 2))
        for lib in (deeplite, torch)
    ]
    state = {k: deeplite.from_numpy(v.numpy().copy()) for k, v in nets[1].state_dict().items()}
    nets[0].load_state_dict(state)
    return nets[0], nets[1]


def set_both(ours: Any, other: Any, seed: int) -> None:
    """New values for all parameters and buffers."""
    random = np.random.default_rng(seed)
    with torch.no_grad():
        for mine, its in zip(ours.state_dict().values(), other.state_dict().values()):
            values = random.uniform(1, 9, tuple(mine.shape)).astype(str(its.numpy().dtype))
            mine.copy_(deeplite.tensor(values))
            its.copy_(torch.as_tensor(values))


def same(ours: Any, other: Any) -> None:
    assert list(ours.state_dict()) == list(other.state_dict())
    for key, value in other.state_dict().items():
        np.testing.assert_allclose(
            ours.state_dict()[key].numpy(), value.numpy(), rtol=3e-6, err_msg=key
        )


@pytest.mark.parametrize("use_buffers", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        lambda m: {},
        lambda m: {"avg_fn": m.get_swa_avg_fn()},
        lambda m: {"avg_fn": m.get_ema_avg_fn(0.9)},
        lambda m: {"multi_avg_fn": m.get_swa_multi_avg_fn()},
        lambda m: {"multi_avg_fn": m.get_ema_multi_avg_fn(0.7)},
        lambda m: {"avg_fn": lambda average, new, n: 0.25 * average + 0.75 * new},
    ],
)
def test_averages_are_torchs(options: Any, use_buffers: bool) -> None:
    ours, other = pair()
    mine = swa_utils.AveragedModel(ours, use_buffers=use_buffers, **options(swa_utils))
    its_options = options(theirs)
    if use_buffers and "multi_avg_fn" in its_options:  # torch's raises for whole numbers
        decay = 0.7
        same_rule = [theirs.get_swa_avg_fn(), theirs.get_ema_avg_fn(decay)]
        its_options = {"avg_fn": same_rule["ema" in its_options["multi_avg_fn"].__qualname__]}
    its = theirs.AveragedModel(other, use_buffers=use_buffers, **its_options)
    for step in range(4):
        set_both(ours, other, step)
        mine.update_parameters(ours)
        its.update_parameters(other)
    same(mine, its)
    assert mine.n_averaged.item() == 4
    x = np.random.default_rng(9).standard_normal((5, 3)).astype(np.float32)
    mine.eval(), its.eval()
    with torch.no_grad():
        np.testing.assert_allclose(
            mine(deeplite.tensor(x)).detach().numpy(), its(torch.as_tensor(x)).numpy(), rtol=1e-4
        )
    again = swa_utils.AveragedModel(nn.Sequential(*copy.deepcopy(list(ours))))
    again.load_state_dict(mine.state_dict())
    same(again, its)


def test_update_bn_is_torchs() -> None:
    ours, other = pair()
    batches = [
        np.random.default_rng(i).standard_normal((4 + i, 3)).astype(np.float32) for i in range(3)
    ]
    ours.eval()
    other.eval()
    swa_utils.update_bn([(deeplite.tensor(b), 0) for b in batches], ours)
    theirs.update_bn([(torch.as_tensor(b), 0) for b in batches], other)
    same(ours, other)
    assert not ours.training and ours[1].momentum == 0.1
    swa_utils.update_bn([deeplite.zeros(1, 3)], nn.Linear(3, 2))  # nothing to do


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 1, 5])
def test_swalr_is_torchs(strategy: Any, epochs: int) -> None:
    rates = []
    for lib, module in ((deeplite, swa_utils), (torch, theirs)):
        weights = [lib.nn.Parameter(lib.ones(1)) for _ in range(2)]
        groups = [{"params": [weights[0]], "lr": 1.0}, {"params": [weights[1]], "lr": 0.2}]
        sgd = lib.optim.SGD(groups, lr=0.1)
        schedule = module.SWALR(sgd, [0.1, 0.5], epochs, strategy)
        found = []
        for _ in range(8):
            sgd.step()
            schedule.step()
            found.append([g["lr"] for g in sgd.param_groups])
        rates.append(found)
    np.testing.assert_allclose(rates[0], rates[1], rtol=1e-9)


def test_errors() -> None:
    model = nn.Linear(2, 2)
    fn = swa_utils.get_swa_avg_fn()
    with pytest.raises(ValueError, match="exclude"):
        swa_utils.AveragedModel(model, avg_fn=fn, multi_avg_fn=swa_utils.get_swa_multi_avg_fn())
    with pytest.raises(ValueError, match="decay"):
        swa_utils.get_ema_avg_fn(1.5)
    average = swa_utils.AveragedModel(model)
    before = average.state_dict()["module.weight"].tolist()
    with pytest.raises(ValueError, match="other parameters"):
        average.update_parameters(nn.Linear(3, 2))
    assert average.state_dict()["module.weight"].tolist() == before
    sgd = deeplite.optim.SGD(model.parameters(), lr=1.0)
    for options in ({"anneal_strategy": "x"}, {"anneal_epochs": -1}):
        with pytest.raises(ValueError, match="anneal"):
            swa_utils.SWALR(sgd, 0.1, **options)
    with pytest.raises(ValueError, match="swa_lr"):
        swa_utils.SWALR(sgd, [0.1, 0.2])
