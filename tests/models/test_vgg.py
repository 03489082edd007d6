"""VGG networks."""

from __future__ import annotations

import deeplite
import pytest
from deeplite import models
from model_pairs import (
    Case,
    compare_initial_values,
    compare_keys,
    compare_step,
    compare_torchvision,
    rows,
)

SMALL = {"widths": (4, 6, 8, 8, 8), "hidden": 16}
CASES = [
    Case(name, SMALL, torchvision=name, slow=name in ("vgg13", "vgg13_bn", "vgg19", "vgg16_bn"))
    for name in models.list_models("vgg")
]


@pytest.mark.parametrize("case", rows(CASES))
def test_step_is_torchs(case: Case) -> None:
    compare_step(case)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_keys_are_torchvisions(case: Case) -> None:
    compare_keys(case)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_scores_are_torchvisions(case: Case) -> None:
    compare_torchvision(case, {"num_classes": 5}, (2, 3, 32, 45))


@pytest.mark.slow
def test_initial_values_are_torchvisions() -> None:
    compare_initial_values(CASES[1], {"num_classes": 5})


def test_too_small_an_image_names_the_layer() -> None:
    net = models.vgg11(**SMALL)
    with pytest.raises(ValueError, match=r"max_pool2d.*\(in features\.20 \(MaxPool2d\)\)"):
        net(deeplite.zeros(1, 3, 16, 16))
    with pytest.raises(ValueError, match="5 depths but 2 widths"):
        models.vgg11(widths=(8, 8))
