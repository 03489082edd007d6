"""Network in Network."""

from __future__ import annotations

import deeplite
import pytest
from deeplite import models, nn
from model_pairs import Case, compare_step, rows

CASES = [
    Case("nin_cifar", {"width": 0.05}, (3, 20, 21)),
    Case("nin_imagenet", {"width": 0.05}, (3, 67, 75)),
]


@pytest.mark.parametrize("case", rows(CASES))
def test_step_is_torchs(case: Case) -> None:
    compare_step(case)


def test_there_is_no_linear_layer() -> None:
    net = models.nin_cifar(width=0.05, num_classes=7)
    assert not any(isinstance(m, nn.Linear) for m in net.modules())
    assert tuple(net(deeplite.zeros(2, 3, 32, 32)).shape) == (2, 7)


def test_too_small_an_image_names_the_layer() -> None:
    with pytest.raises(ValueError, match=r"\(in features\.0 \(Conv2d\)\)"):
        models.nin_imagenet(width=0.05)(deeplite.zeros(1, 3, 10, 10))
