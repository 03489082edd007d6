"""Networks for small machines: SqueezeNet, MobileNet v1 and v3, ShuffleNet V2, MNASNet,
EfficientNet, Xception."""

from __future__ import annotations

from typing import Any

import deeplite
import pytest
from deeplite import models
from deeplite.models.efficientnet import EfficientNet, Stage
from deeplite.models.mobilenetv3 import MobileNetV3
from deeplite.models.shufflenetv2 import InvertedResidual, ShuffleNetV2
from model_pairs import (
    Case,
    compare_initial_values,
    compare_keys,
    compare_step,
    compare_torchvision,
    rows,
)

SHORT = {"stages": (Stage(1, 3, 1, 8, 8, 2), Stage(4, 5, 2, 8, 16, 2))}
FUSED = {"stages": (Stage(1, 3, 1, 8, 8, 2, True), Stage(4, 3, 2, 8, 16, 2, True))}
SMALL_V3 = {"width_mult": 0.3}
# torch divides by a 6 rounded to float32 in the gradient of hardsigmoid, in float64 too.
FLOAT32_SIXTH = 1e-7
CASES = [
    Case("squeezenet1_0", size=(3, 35, 37), torchvision="squeezenet1_0"),
    Case("squeezenet1_1", size=(3, 35, 37), torchvision="squeezenet1_1"),
    Case("mobilenet_v1", {"width_mult": 0.25}, (3, 37, 40)),
    Case("mobilenet_v1_025", size=(3, 32, 32)),
    Case("mobilenet_v1_050", {"width_mult": 0.3}, (3, 64, 64)),
    Case("mobilenet_v1_075", {"width_mult": 0.2, "in_channels": 1}, (1, 40, 40)),
    Case(
        "mobilenet_v3_small",
        SMALL_V3,
        (3, 70, 65),
        torchvision="mobilenet_v3_small",
        tol=FLOAT32_SIXTH,
    ),
    Case(
        "mobilenet_v3_large",
        SMALL_V3,
        (3, 70, 65),
        torchvision="mobilenet_v3_large",
        tol=FLOAT32_SIXTH,
    ),
    Case(
        "mobilenet_v3_large",
        {**SMALL_V3, "reduced_tail": True, "dilated": True},
        (3, 40, 35),
        label="tail",
        tol=FLOAT32_SIXTH,
    ),
    *[
        Case(name, {"stages_out_channels": (8, 12, 16, 24, 32)}, torchvision=name)
        for name in models.list_models("shufflenetv2")
    ],
    *[Case(name, {"alpha": 0.2}, torchvision=name) for name in models.list_models("mnasnet")],
    *[
        Case(name, {**SHORT, "depth_mult": 1.0, "width_mult": 1.0}, (3, 17, 20), torchvision=name)
        for name in models.list_models("efficientnet", include="*_b*")
    ],
    *[
        Case(name, {**FUSED, "last_channel": 32}, (3, 17, 20), torchvision=name)
        for name in models.list_models("efficientnet", include="*_v2_*")
    ],
    Case("efficientnet_b1", {"width_mult": 0.25}, (3, 96, 64), label="whole"),
    Case("xception", {"width_mult": 0.0625, "n_middle": 1}, (3, 64, 67)),
]
AT_TORCHVISION = [case for case in CASES if case.torchvision]
# One member of each family is enough: the others are the same class with other numbers.
SMALLEST = [
    case
    for case in AT_TORCHVISION
    if case.name
    in (
        "squeezenet1_1",
        "mobilenet_v3_small",
        "shufflenet_v2_x0_5",
        "mnasnet0_5",
        "efficientnet_b0",
    )
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


@pytest.mark.parametrize("options", [{"reduced_tail": True}, {"dilated": True}])
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mobilenet_v3_large"])
def test_segmentation_form_is_torchvisions(name: str, options: dict[str, Any]) -> None:
    compare_torchvision(Case(name, torchvision=name), {"num_classes": 5, **options}, (2, 3, 64, 57))


@pytest.mark.parametrize("case", rows(SMALLEST))
def test_initial_values_are_torchvisions(case: Case) -> None:
    compare_initial_values(case, {"num_classes": 100})


@pytest.mark.parametrize(("size", "millions"), [(224, 569), (192, 418), (160, 291), (128, 186)])
def test_resolution_multiplier(size: int, millions: int) -> None:
    """Table 7 of the MobileNet paper: multiply-adds at other sizes of the image."""
    info = models.info("mobilenet_v1")
    scores = info.parameters - 3_206_976  # the linear layer's share does not depend on the size
    assert scores == 1_025_000
    per_pixel = (info.multiply_adds - 1_024_000) / 224**2
    assert round((per_pixel * size**2 + 1_024_000) / 1e6) == pytest.approx(millions, abs=1)


def test_options_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="version must be one of"):
        models.squeezenet1_0(version="2")
    with pytest.raises(ValueError, match="width_mult must be positive"):
        models.mobilenet_v1(width_mult=0)
    with pytest.raises(ValueError, match="rows must not be empty"):
        MobileNetV3((), 8)
    with pytest.raises(ValueError, match="three stages_repeats"):
        ShuffleNetV2((1, 1), (8, 8, 8, 8, 8))
    with pytest.raises(ValueError, match="stride 1, 8 -> 16 channels"):
        InvertedResidual(8, 16, 1)
    with pytest.raises(ValueError, match="alpha must be positive"):
        models.mnasnet1_0(alpha=-1.0)
    with pytest.raises(ValueError, match="stride 1 or 2"):
        EfficientNet((Stage(1, 3, 3, 8, 8, 1),), 0.2)


def test_images_that_are_too_small() -> None:
    with pytest.raises(RuntimeError, match=r"features\.2"):
        models.squeezenet1_1()(deeplite.zeros(1, 3, 4, 4))
    with pytest.raises(RuntimeError, match=r"entry\.3"):
        models.xception(width_mult=0.1)(deeplite.zeros(1, 3, 5, 5))
