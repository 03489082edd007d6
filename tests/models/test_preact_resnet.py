"""Pre-activation residual networks and the wide ones for CIFAR."""

from __future__ import annotations

import deeplite
import pytest
from deeplite import models, nn
from deeplite.models.preact_resnet import PreActBlock
from model_pairs import Case, compare_step, rows

BASIC = {"widths": (8, 12, 16, 24), "stem_width": 8}
DEEP = {"widths": (16, 24, 32, 48), "stem_width": 8}
CIFAR = {"widths": (16, 24, 32), "stem_width": 8}
SMALL = (3, 16, 16)
CASES = [
    Case("preact_resnet18", BASIC),
    Case("preact_resnet34", BASIC, slow=True),
    Case("preact_resnet50", DEEP),
    Case("preact_resnet101", DEEP, slow=True),
    Case("preact_resnet152", DEEP, slow=True),
    Case("preact_resnet200", DEEP, slow=True),
    Case("preact_resnet110_cifar", {"stochastic_depth_prob": 0.3, **CIFAR}, SMALL, slow=True),
    Case("preact_resnet164_cifar", CIFAR, SMALL, slow=True),
    Case("preact_resnet1001_cifar", CIFAR, SMALL, slow=True),
    Case("wide_resnet16_8_cifar", {"stochastic_depth_prob": 0.3, **CIFAR}, (3, 15, 18)),
    Case("wide_resnet16_8_cifar", {"shortcut": "A", **CIFAR}, SMALL, label="A"),
    Case("wide_resnet28_10_cifar", {"dropout": 0.3, **CIFAR}, SMALL),
    Case("wide_resnet40_4_cifar", CIFAR, SMALL, slow=True),
]


@pytest.mark.parametrize("case", rows(CASES))
def test_step_is_torchs(case: Case) -> None:
    compare_step(case)


def test_the_identity_reaches_through() -> None:
    """Equation 4 of the paper: with branches of zero the stage's blocks change nothing."""
    net = models.preact_resnet50(**DEEP).eval()
    for m in net.modules():
        if isinstance(m, PreActBlock):
            nn.init.zeros_(m.conv3.weight)
    x = deeplite.randn(1, 16, 8, 8)
    for block in list(net.layer1)[1:]:
        assert deeplite.equal(block(x), x)


def test_options_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="3 stages but 2 widths"):
        models.wide_resnet16_8_cifar(widths=(8, 16))
    with pytest.raises(ValueError, match="shortcut 'A' or 'B'.* and 'C'"):
        models.preact_resnet18(shortcut="C")
    with pytest.raises(ValueError, match=r"\(in conv1 \(Conv2d\)\)"):
        models.preact_resnet18(**BASIC)(deeplite.zeros(1, 3, 0, 0))
