"""The registry: what there is, what is said of it, and what happens with other names."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import deeplite
import pytest
from deeplite import models
from deeplite.models import _twin, registry
from model_pairs import Case
from nn_pairs import torch

NAMES = models.list_models()


def all_cases() -> list[Case]:
    found: list[Case] = []
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        found += getattr(importlib.import_module(file.stem), "CASES", [])
    return found


def test_every_architecture_is_compared_with_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    assert set(NAMES) - {case.name for case in all_cases()} == set()


@pytest.mark.parametrize("name", NAMES)
def test_parameters_and_multiply_adds(name: str) -> None:
    """What the registry says of the full-size network is so."""
    about = models.info(name)
    macs = 0

    def count(layer: Any, _: Any, out: Any) -> None:
        nonlocal macs
        macs += out.numel() * layer.weight[0].numel()

    with torch.device("meta"):
        net = _twin.build(torch, name).eval()
        for m in net.modules():
            if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear)):
                m.register_forward_hook(count)
        net(torch.empty(1, *about.input_size))
    assert sum(p.numel() for p in net.parameters()) == about.parameters
    assert macs == about.multiply_adds


@pytest.mark.parametrize("name", NAMES)
def test_there_is_a_function_of_that_name(name: str) -> None:
    function = getattr(models, name)
    assert function is models.info(name).builder is models.get_model_builder(name)
    assert function.__name__ == name and f"{models.info(name).parameters:,}" in function.__doc__


def test_unknown_names_list_near_ones() -> None:
    with pytest.raises(ValueError, match="unknown model 'resnet_50'; near ones: .*resnet50"):
        models.build("resnet_50")
    with pytest.raises(ValueError, match=r"unknown model 'qqq'; list_models\(\) lists all"):
        models.info("qqq")
    with pytest.raises(ValueError, match="unknown family 'vg'; there are .*vgg"):
        models.list_models("vg")
    with pytest.raises(TypeError, match="no_such_option"):
        models.build("resnet18", no_such_option=1)


def test_listing() -> None:
    assert models.list_models() == sorted(NAMES)
    assert models.list_models("vgg", exclude="*_bn") == ["vgg11", "vgg13", "vgg16", "vgg19"]
    assert models.list_models(include=["vgg11", "resnet18"]) == ["resnet18", "vgg11"]


def test_a_name_is_taken_once() -> None:
    known = models.info("vgg11")
    with pytest.raises(ValueError, match="there is a model 'vgg11' already"):
        registry.register(
            "vgg11", known.builder, family="x", parameters=1, multiply_adds=1, paper=""
        )
    assert models.info("vgg11") is known


def test_weights_from_a_file(tmp_path: Path) -> None:
    options = {"widths": (4, 4, 4), "in_channels": 1}
    net = models.build("resnet20_cifar", num_classes=3, **options)
    deeplite.save(net.state_dict(), tmp_path / "net.safetensors")
    again = models.build(
        "ResNet20_CIFAR", num_classes=3, weights=tmp_path / "net.safetensors", **options
    )
    x = deeplite.randn(2, 1, 16, 16)
    assert deeplite.equal(net.eval()(x), again.eval()(x))
    assert not deeplite.equal(net(x), models.resnet20_cifar(num_classes=3, **options).eval()(x))


def test_the_twin_is_another_library() -> None:
    twin = _twin.over(torch, "models")
    assert twin.list_models() == NAMES
    net = twin.build("resnet20_cifar", widths=(4, 4, 4))
    assert isinstance(net, torch.nn.Module) and net(torch.zeros(1, 3, 8, 8)).shape == (1, 10)
    assert isinstance(models.resnet20_cifar(widths=(4, 4, 4)), deeplite.nn.Module)
    with pytest.raises(ModuleNotFoundError, match="no_such"):
        _twin.over(torch, "no_such")
