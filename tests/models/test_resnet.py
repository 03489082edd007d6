"""Residual networks of the first kind, ResNeXt, Wide ResNet, stochastic depth, plain nets."""

from __future__ import annotations

import deeplite
import pytest
from deeplite import models, nn
from deeplite.models.resnet import BasicBlock, ResNet
from model_pairs import (
    Case,
    compare_initial_values,
    compare_keys,
    compare_step,
    compare_torchvision,
    rows,
)

SMALL = {"widths": (8, 16, 24, 32)}
CIFAR = {"widths": (4, 6, 8)}
# The last maps are 3x3: the statistics of two or so values amplify rounding a thousandfold.
DEEP = (3, 65, 65)
CASES = [
    Case("resnet18", SMALL, torchvision="resnet18"),
    Case("resnet18", {**SMALL, "shortcut": "C", "zero_init_residual": True}, label="C"),
    Case("resnet18", {**SMALL, "shortcut": "A", "stem": "cifar"}, (3, 15, 17), label="A"),
    Case("resnet34", SMALL, torchvision="resnet34", slow=True),
    Case("resnet50", SMALL, torchvision="resnet50"),
    Case("resnet50", {**SMALL, "stride_in_1x1": True}, (3, 33, 41), label="paper"),
    Case(
        "resnet50",
        {**SMALL, "replace_stride_with_dilation": (False, True, True)},
        label="dilated",
    ),
    Case("resnet101", SMALL, DEEP, torchvision="resnet101", slow=True),
    Case("resnet152", SMALL, DEEP, torchvision="resnet152", slow=True),
    Case("resnext50_32x4d", {"widths": (16, 16, 32, 32)}, torchvision="resnext50_32x4d"),
    Case("resnext101_32x8d", SMALL, DEEP, torchvision="resnext101_32x8d", slow=True),
    Case(
        "resnext101_64x4d",
        {"widths": (16, 16, 32, 32)},
        DEEP,
        torchvision="resnext101_64x4d",
        slow=True,
    ),
    Case("wide_resnet50_2", SMALL, DEEP, torchvision="wide_resnet50_2"),
    Case("wide_resnet101_2", SMALL, DEEP, torchvision="wide_resnet101_2", slow=True),
    Case("plain18", SMALL),
    Case("plain34", SMALL, slow=True),
    Case("resnet20_cifar", CIFAR, (3, 16, 16)),
    Case("resnet32_cifar", CIFAR, (3, 16, 16), slow=True),
    Case("resnet44_cifar", CIFAR, (3, 16, 16), slow=True),
    Case("resnet56_cifar", CIFAR, (3, 16, 16), slow=True),
    Case("resnet110_cifar", CIFAR, (3, 16, 16), slow=True),
    Case("resnet110_cifar_stochastic", CIFAR, (3, 8, 8)),
    Case("resnet1202_cifar", CIFAR, (3, 8, 8), slow=True),
    Case("plain20_cifar", CIFAR, (3, 16, 16)),
    Case("plain32_cifar", CIFAR, (3, 16, 16), slow=True),
    Case("plain44_cifar", CIFAR, (3, 16, 16), slow=True),
    Case("plain56_cifar", CIFAR, (3, 16, 16), slow=True),
    Case("resnext29_8x64d_cifar", {"widths": (8, 8, 16)}, (3, 16, 16)),
    Case("resnext29_16x64d_cifar", {"widths": (8, 8, 16)}, (3, 16, 16), slow=True),
]
KNOWN = [case for case in CASES if case.torchvision]


@pytest.mark.parametrize("case", rows(CASES))
def test_step_is_torchs(case: Case) -> None:
    compare_step(case)


@pytest.mark.parametrize("case", KNOWN, ids=lambda c: c.name)
def test_keys_are_torchvisions(case: Case) -> None:
    compare_keys(case)


@pytest.mark.parametrize("case", rows(KNOWN))
def test_scores_are_torchvisions(case: Case) -> None:
    compare_torchvision(case, {"num_classes": 5, "zero_init_residual": True}, (2, 3, 33, 47))


def test_dilation_is_torchvisions() -> None:
    case = next(c for c in KNOWN if c.name == "resnet50")
    options = {"num_classes": 5, "replace_stride_with_dilation": [False, True, True]}
    compare_torchvision(case, options, (1, 3, 64, 64))


def test_initial_values_are_torchvisions() -> None:
    case = next(c for c in KNOWN if c.name == "resnet18")
    compare_initial_values(case, {"num_classes": 5, "zero_init_residual": True})


def test_shortcut_a_has_no_parameters() -> None:
    net = models.resnet20_cifar()
    plain = models.plain20_cifar()
    assert list(net.state_dict()) == list(plain.state_dict())


def test_stochastic_depth_falls_towards_the_input() -> None:
    net = models.resnet110_cifar_stochastic(widths=(2, 2, 2))
    found = [m.stochastic_depth.p for m in net.modules() if isinstance(m, BasicBlock)]
    # equation 4 of the paper: 1 - p_l = l / L * 0.5
    assert found == [0.5 * l / 54 for l in range(1, 55)]


def test_too_small_an_image_names_the_layer() -> None:
    net = models.resnet18(widths=(4, 4, 4, 4))
    assert tuple(net.eval()(deeplite.zeros(1, 3, 1, 1)).shape) == (1, 1000)
    with pytest.raises(ValueError, match=r"\(in conv1 \(Conv2d\)\)"):
        net(deeplite.zeros(1, 3, 0, 0))
    with pytest.raises(ValueError, match=r"\(in conv1 \(Conv2d\)\)"):
        net(deeplite.zeros(1, 1, 32, 32))


def test_options_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="BasicBlock: only groups=1"):
        models.resnet18(groups=2)
    with pytest.raises(NotImplementedError, match="BasicBlock: no dilation"):
        models.resnet18(replace_stride_with_dilation=(True, True, True))
    with pytest.raises(ValueError, match="layers has 4 stages, widths 4 .* 2 "):
        models.resnet50(replace_stride_with_dilation=(True, True))
    with pytest.raises(ValueError, match="stem must be"):
        models.resnet18(stem="none")


def test_another_norm_layer() -> None:
    net = ResNet(BasicBlock, (1, 1), norm_layer=lambda c: nn.GroupNorm(2, c), widths=(4, 8))
    assert not any(isinstance(m, nn.BatchNorm2d) for m in net.modules())
    assert tuple(net(deeplite.zeros(1, 3, 16, 16)).shape) == (1, 1000)
