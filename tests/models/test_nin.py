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


def test_all_classes_begin_with_a_gradient() -> None:
    """A rectifier stands behind the scores: with biases of zero, some classes soon score zero for
    all images and learn nothing any more."""
    deeplite.manual_seed(0)
    net = models.nin_cifar(width=0.25)
    convs = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert all(set(m.bias.tolist()) == {0.0} for m in convs[:-1])
    assert set(convs[-1].bias.tolist()) == {1.0}
    maps = net.features(deeplite.randn(16, 3, 32, 32))
    assert float((maps > 0).float().mean((0, 2, 3)).min()) > 0.5


def test_too_small_an_image_names_the_layer() -> None:
    with pytest.raises(ValueError, match=r"\(in features\.0 \(Conv2d\)\)"):
        models.nin_imagenet(width=0.05)(deeplite.zeros(1, 3, 10, 10))
