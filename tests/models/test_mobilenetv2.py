"""MobileNetV2."""

from __future__ import annotations

import pytest
from deeplite import models
from deeplite.models.mobilenetv2 import InvertedResidual
from model_pairs import (
    Case,
    compare_initial_values,
    compare_keys,
    compare_step,
    compare_torchvision,
    rows,
)

CASES = [
    Case("mobilenet_v2", {"width_mult": 0.25}, torchvision="mobilenet_v2"),
    Case(
        "mobilenet_v2",
        {"width_mult": 0.35, "inverted_residual_setting": ((1, 16, 1, 1), (6, 24, 2, 2))},
        (3, 23, 21),
        label="short",
    ),
]


@pytest.mark.parametrize("case", rows(CASES))
def test_step_is_torchs(case: Case) -> None:
    compare_step(case)


def test_keys_are_torchvisions() -> None:
    compare_keys(CASES[0])


@pytest.mark.parametrize("width", [0.5, 1.0, 1.4])
def test_scores_are_torchvisions(width: float) -> None:
    compare_torchvision(CASES[0], {"num_classes": 5, "width_mult": width}, (2, 3, 40, 33))


def test_initial_values_are_torchvisions() -> None:
    compare_initial_values(CASES[0], {"num_classes": 100})


def test_options_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="four numbers for each stage"):
        models.mobilenet_v2(inverted_residual_setting=((1, 16, 1),))
    with pytest.raises(ValueError, match="stride must be 1 or 2, got 3"):
        InvertedResidual(8, 8, 3, 6)
