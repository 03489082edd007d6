"""deeplite.summary: shapes, counts and receptive fields, beside what the papers publish."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import deeplite
import pytest
from deeplite import models, nn
from deeplite.models import _twin
from nn_pairs import torch

ROOT = Path(__file__).resolve().parents[2]


def full_size(name: str, **options: Any) -> Any:
    """The summary of the full-size network, by the same source over torch's meta device: shapes
    without memory."""
    summary = _twin.over(torch, "deeplite._summary").summary
    with torch.device("meta"):
        return summary(_twin.build(torch, name, **options), models.info(name).input_size)


# As printed in the papers, to the digits that they give; None where they give none.
PUBLISHED = {
    "alexnet2012": (60e6, None),  # "60 million parameters"
    "vgg11": (133e6, None),  # table 2
    "vgg13": (133e6, None),
    "vgg16": (138e6, None),
    "vgg19": (144e6, None),
    "resnet18": (None, 1.8e9),  # table 1
    "resnet34": (None, 3.6e9),
    "resnet50": (25.5e6, None),  # of the ResNeXt paper, table 1
    "resnext50_32x4d": (25.0e6, 4.2e9),
    "resnet20_cifar": (0.27e6, None),  # table 6
    "resnet32_cifar": (0.46e6, None),
    "resnet44_cifar": (0.66e6, None),
    "resnet56_cifar": (0.85e6, None),
    "resnet110_cifar": (1.7e6, None),
    "resnext29_8x64d_cifar": (34.4e6, None),  # table 7
    "resnext29_16x64d_cifar": (68.1e6, None),
    "preact_resnet164_cifar": (1.7e6, None),  # table 4
    "wide_resnet16_8_cifar": (11.0e6, None),  # table 5
    "wide_resnet40_4_cifar": (8.9e6, None),
    "wide_resnet28_10_cifar": (36.5e6, None),
    "mobilenet_v2": (3.4e6, 300e6),  # table 4
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_totals_are_the_papers(name: str) -> None:
    found = full_size(name)
    assert found.parameters == models.info(name).parameters
    assert found.multiply_adds == models.info(name).multiply_adds
    parameters, multiply_adds = PUBLISHED[name]
    # Two or three printed digits, and the papers differ in what they count besides convolutions.
    if parameters:
        assert abs(found.parameters / parameters - 1) < 0.031
    if multiply_adds:
        assert abs(found.multiply_adds / multiply_adds - 1) < 0.02


def test_resnet50_of_the_paper_has_its_multiply_adds() -> None:
    assert abs(full_size("resnet50", stride_in_1x1=True).multiply_adds / 3.8e9 - 1) < 0.02


@pytest.mark.parametrize(
    ("name", "path", "field", "jump"),
    [  # Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks", 2019
        ("alexnet", "features", 195, 32),
        ("vgg16", "features", 212, 32),
        ("inception_v3", "Mixed_7c", 1311, 32),
        ("resnet18", "layer4", 435, 32),
    ],
)
def test_receptive_fields_are_the_known_ones(name: str, path: str, field: int, jump: int) -> None:
    layer = full_size(name)[path]
    assert layer.receptive_field == (field, field) and layer.jump == (jump, jump)


def test_lenet_layer_by_layer() -> None:
    found = deeplite.summary(models.lenet5(), (1, 32, 32))
    rows = {x.path: x for x in found.layers}
    assert [rows[f"features.{i}"].receptive_field[0] for i in (0, 2, 4, 6, 8)] == [5, 6, 14, 16, 32]
    assert rows["features.2"].output_shape == (1, 6, 14, 14) and rows["features.2"].jump == (2, 2)
    assert rows["features"].parameters + rows["classifier"].parameters == found.parameters == 61_750
    assert rows["features.8"].multiply_adds == 120 * 400
    assert rows["classifier"].multiply_adds == 120 * 84 + 840
    assert found.multiply_adds == rows["features"].multiply_adds + 120 * 84 + 840
    # two of 6 x 28 x 28 in float32, ...: each result once, a flattened view not again
    assert rows["features"].activation_bytes == 64_000
    assert rows["classifier.0"].activation_bytes == 0


def test_branches_take_the_largest_field() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide = nn.Conv2d(2, 2, (3, 5), padding=(1, 2), dilation=1)
            self.narrow = nn.Conv2d(2, 2, 1)
            self.after = nn.Conv2d(4, 1, 3, stride=2, dilation=2)
            self.unused = nn.Linear(2, 2)

        def forward(self, x: Any) -> Any:
            return self.after(deeplite.cat([self.wide(x), self.narrow(x)], 1))

    net = Net().train()
    found = deeplite.summary(net, (2, 9, 9), batch_size=3)
    assert found["after"].receptive_field == (7, 9) and found["after"].jump == (2, 2)
    assert found["after"].output_shape == (3, 1, 3, 3)
    assert found["unused"].output_shape is None and found["unused"].calls == 0
    assert found["unused"].parameters == 6
    assert all(m.training for m in net.modules()) and not net.wide._forward_hooks


def test_in_place_layers_need_no_memory() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.ReLU(inplace=True), nn.ReLU())
    found = deeplite.summary(net, (1, 4, 4))
    assert [found[str(i)].activation_bytes for i in range(3)] == [128, 0, 128]


def test_forms() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1))
    found = deeplite.summary(net, (1, 8, 6))
    assert found["1"].receptive_field == (8, 6)
    data = json.loads(json.dumps(found.to_dict()))
    assert data["layers"][1]["kind"] == "Conv2d" and data["layers"][1]["parameters"] == 20
    text = str(found)
    assert "0 (Conv2d)" in text and "1 x 2 x 6 x 4" in text and "20 parameters" in text
    with pytest.raises(KeyError):
        found["7"]


def test_bad_input_leaves_the_model_as_it_was() -> None:
    net = models.vgg11(widths=(2, 2, 2, 2, 2), hidden=4).train()
    with pytest.raises(ValueError, match=r"\(in features\.20 \(MaxPool2d\)\)"):
        deeplite.summary(net, (3, 16, 16))
    assert net.training and not any(m._forward_hooks for m in net.modules())
    with pytest.raises(ValueError, match="summary: expected sizes"):
        deeplite.summary(net, ())


def test_models_page_is_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "models_page.py"), "--check"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
