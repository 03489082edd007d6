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
from deeplite.models.inception_chains import BN_TABLE
from model_pairs import torchvision_models
from nn_pairs import torch

ROOT = Path(__file__).resolve().parents[2]


def full_size(name: str, size: int | None = None, **options: Any) -> Any:
    """The summary of the full-size network, by the same source over torch's meta device: shapes
    without memory. ``size``: of the images, the paper's when None."""
    summary = _twin.over(torch, "deeplite._summary").summary
    channels, height, width = models.info(name).input_size
    images = (channels, size or height, size or width)
    with torch.device("meta"):
        return summary(_twin.build(torch, name, **options), images)


# Millions of parameters and of multiply-adds as they are printed; None where there is no figure.
# Where the papers themselves could not be looked up, the source is what quotes them.
PUBLISHED = {
    "alexnet2012": ("60", None),  # abstract: "60 million parameters"
    "vgg11": ("133", None),  # table 2, by heart; torchvision's metadata confirms the exact count
    "vgg13": ("133", None),
    "vgg16": ("138", None),
    "vgg19": ("144", None),
    "resnet18": (None, "1800"),  # table 1 in billions, by heart; torchvision's metadata confirms
    "resnet34": (None, "3600"),
    "resnet50": ("25.5", None),  # of the ResNeXt paper, table 1, by heart
    "resnext50_32x4d": ("25.0", "4200"),
    "resnet20_cifar": ("0.27", None),  # table 6, quoted by several implementations
    "resnet32_cifar": ("0.46", None),
    "resnet44_cifar": ("0.66", None),
    "resnet56_cifar": ("0.85", None),
    "resnet110_cifar": ("1.7", None),
    "resnet1202_cifar": ("19.4", None),
    "resnext29_8x64d_cifar": ("34.4", None),  # table 7, quoted in later comparisons
    "resnext29_16x64d_cifar": ("68.1", None),
    "preact_resnet110_cifar": ("1.7", None),  # quoted in table 5 of "Wide residual networks"
    "preact_resnet164_cifar": ("1.7", None),
    "wide_resnet16_8_cifar": ("11.0", None),  # table 5
    "wide_resnet40_4_cifar": ("8.9", None),
    "wide_resnet28_10_cifar": ("36.5", None),
    "densenet40_k12_cifar": ("1.0", None),  # the authors' README
    "densenet100_k12_cifar": ("7.0", None),
    "densenet100_k24_cifar": ("27.2", None),
    "densenetbc100_k12_cifar": ("0.8", None),
    "densenetbc250_k24_cifar": ("15.3", None),
    "densenetbc190_k40_cifar": ("25.6", None),
    "mobilenet_v2": ("3.4", "300"),  # table 4; norm layers, 34,112 parameters, are not counted
}


def printed(value: int, text: str) -> set[str]:
    """A number in millions, rounded and cut off, to as many digits as ``text`` has."""
    if "." not in text:
        unit = 10 ** (len(text) - len(text.rstrip("0")))
        return {str(round(value / 1e6 / unit) * unit), str(int(value / 1e6 / unit) * unit)}
    digits = len(text.split(".")[1])
    cut = int(value / 10 ** (6 - digits)) / 10**digits
    return {f"{value / 1e6:.{digits}f}", f"{cut:.{digits}f}"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_totals_are_the_papers(name: str) -> None:
    found = full_size(name)
    assert found.parameters == models.info(name).parameters
    assert found.multiply_adds == models.info(name).multiply_adds
    parameters, multiply_adds = PUBLISHED[name]
    if parameters is not None:
        norms = sum(x.parameters for x in found.layers if x.kind == "BatchNorm2d")
        left_out = norms if name == "mobilenet_v2" else 0
        assert parameters in printed(found.parameters - left_out, parameters)
    if multiply_adds is not None:
        assert multiply_adds in printed(found.multiply_adds, multiply_adds)


def test_resnet50_of_the_paper_has_its_multiply_adds() -> None:
    # table 1 of its paper, by heart
    assert abs(full_size("resnet50", stride_in_1x1=True).multiply_adds / 3.8e9 - 1) < 0.02


def test_totals_are_those_that_torchvision_publishes() -> None:
    """Every set of weights in torchvision tells the parameters of its network and the billions of
    multiply-adds for one image of the size that it was tested with, to three decimals."""
    tv = torchvision_models()
    names = [name for name in models.list_models() if name in tv.list_models()]
    assert len(names) == 68
    wrong = []
    for name in names:
        about = models.info(name)
        for weights in tv.get_model_weights(name):
            size = weights.transforms.keywords["crop_size"]
            # Its GoogLeNet was tested, and its parameters counted, without auxiliary classifiers.
            options = {"aux_logits": False} if name == "googlenet" else {}
            known = about if size == about.input_size[1] and not options else None
            found = known or full_size(name, size, **options)
            mine = (found.parameters, round(found.multiply_adds / 1e9, 3))
            if mine != (weights.meta["num_params"], weights.meta["_ops"]):
                wrong.append((str(weights), mine))
    assert not wrong


# Trainable parameters as others count them, with sources of their own: the tests of imgclsmob
# (pytorchcv) say all of them, Keras those of Xception and Inception v4.
COUNTED_ELSEWHERE = {
    "zfnet": 62_357_608,
    "nin_cifar": 966_986,
    "inception_v4": 42_679_816,
    "inception_resnet_v2": 55_843_464,
    "xception": 22_855_952,
    "fractalnet20_cifar": 33_724_618,
    "resnext29_16x64d_cifar": 68_155_210,
    "preact_resnet164_cifar": 1_703_258,
    "preact_resnet1001_cifar": 10_327_706,
    "wide_resnet28_10_cifar": 36_479_194,
    "densenetbc100_k12_cifar": 769_162,
    "mobilenet_v1": 4_231_976,
    "mobilenet_v1_075": 2_585_560,
    "mobilenet_v1_050": 1_331_592,
    "mobilenet_v1_025": 470_072,
}


@pytest.mark.parametrize("name", COUNTED_ELSEWHERE)
def test_parameters_are_those_of_other_sources(name: str) -> None:
    assert full_size(name).parameters == COUNTED_ELSEWHERE[name]


def test_bn_inception_differs_from_caffes_where_the_docstring_says() -> None:
    """imgclsmob counts 11,295,240 for the ported network."""
    table = [(*row[:6], 128) if row[6] == 96 else row for row in BN_TABLE]
    found = full_size("bn_inception", table=table)
    biases = sum(x.output_shape[1] for x in found.layers if x.kind == "Conv2d")
    assert found.parameters + biases == 11_295_240


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
