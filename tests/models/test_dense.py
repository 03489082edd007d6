"""DenseNet, RegNet and ConvNeXt."""

from __future__ import annotations

from typing import Any

import deeplite
import pytest
from deeplite import models
from deeplite.models.convnext import ConvNeXt
from deeplite.models.densenet import DenseNet
from deeplite.models.regnet import stage_shapes
from model_pairs import (
    Case,
    compare_initial_values,
    compare_keys,
    compare_step,
    compare_torchvision,
    rows,
)

FEW: dict[str, Any] = {"block_config": (2, 3, 2), "growth_rate": 4, "num_init_features": 8}
NARROW: dict[str, Any] = {"depth": 6, "w_0": 8, "w_a": 6.0, "w_m": 2.0, "group_width": 4}
SHALLOW: dict[str, Any] = {"widths": (8, 16, 24), "depths": (1, 2, 1)}
CASES = [
    *[
        Case(name, FEW, (3, 33, 34), torchvision=name)
        for name in models.list_models("densenet", exclude="*_cifar")
    ],
    *[Case(name, FEW, (3, 12, 12)) for name in models.list_models("densenet", include="*_cifar")],
    Case("densenet121", {**FEW, "drop_rate": 0.3}, label="dropout"),
    *[Case(name, NARROW, torchvision=name) for name in models.list_models("regnet")],
    *[Case(name, SHALLOW, torchvision=name) for name in models.list_models("convnext")],
    Case("convnext_tiny", {**SHALLOW, "layer_scale": 1.0}, label="scaled"),
]
AT_TORCHVISION = [case for case in CASES if case.torchvision]
SMALLEST = [
    case
    for case in AT_TORCHVISION
    if case.name in ("densenet121", "regnet_x_400mf", "regnet_y_400mf", "convnext_tiny")
]


@pytest.mark.parametrize("case", rows(CASES))
def test_step_is_torchs(case: Case) -> None:
    compare_step(case)


@pytest.mark.parametrize("case", rows(AT_TORCHVISION))
def test_keys_are_torchvisions(case: Case) -> None:
    compare_keys(case)


@pytest.mark.parametrize("case", rows(SMALLEST))
def test_scores_are_torchvisions(case: Case) -> None:
    compare_torchvision(case, {"num_classes": 5}, (2, 3, 64, 57))


@pytest.mark.parametrize("case", rows(SMALLEST))
def test_initial_values_are_torchvisions(case: Case) -> None:
    compare_initial_values(case, {"num_classes": 100})


def step(net: Any, x: deeplite.Tensor) -> list[Any]:
    net.zero_grad()
    deeplite.manual_seed(3)
    y = net(x)
    (y * y).sum().backward()
    return [y.tolist(), *[p.grad.tolist() for p in net.parameters()]]


@pytest.mark.parametrize("drop_rate", [0.0, 0.5])
def test_memory_efficient_densenet_is_the_same(drop_rate: float) -> None:
    few = {"block_config": (12, 2), "growth_rate": 4, "num_init_features": 8}
    options = {**few, "num_classes": 3, "drop_rate": drop_rate, "stem": "cifar"}
    plain, efficient = DenseNet(**options), DenseNet(**options, memory_efficient=True)
    efficient.load_state_dict(plain.state_dict())
    x = deeplite.randn(4, 3, 32, 32)
    peaks, results = [], []
    for net in (plain, efficient):
        deeplite.reset_peak_memory_stats()
        before = deeplite.memory_stats()["allocated_bytes"]
        results.append(step(net, x))
        peaks.append(deeplite.memory_stats()["peak_allocated_bytes"] - before)
    assert results[0] == results[1]
    assert peaks[1] < 0.6 * peaks[0], peaks


def test_options_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="stem must be"):
        models.densenet121(stem="mnist")
    with pytest.raises(ValueError, match="compression"):
        models.densenet121(compression=0.0)
    with pytest.raises(ValueError, match="multiple of 8"):
        stage_shapes(4, 7, 1.0, 2.0, 8)
    with pytest.raises(ValueError, match="a width and a depth for each stage"):
        ConvNeXt((8, 16), (1,))


def test_images_that_are_too_small() -> None:
    with pytest.raises(RuntimeError, match=r"features\.transition2\.pool"):
        models.densenet121().eval()(deeplite.zeros(1, 3, 8, 8))
