"""RegNet: Radosavovic, Kosaraju, Girshick, He and Dollar, "Designing network design spaces", CVPR
2020, arXiv 2003.13678."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import groupby

from deeplite import Tensor, flatten, nn
from deeplite.models._init import reset_weights
from deeplite.models.mobilenetv2 import make_divisible
from deeplite.models.registry import register
from deeplite.ops import Conv2dNormActivation, SqueezeExcitation, branch_act

__all__ = [
    "RegNet",
    "regnet_x_16gf",
    "regnet_x_1_6gf",
    "regnet_x_32gf",
    "regnet_x_3_2gf",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "regnet_x_8gf",
    "regnet_y_128gf",
    "regnet_y_16gf",
    "regnet_y_1_6gf",
    "regnet_y_32gf",
    "regnet_y_3_2gf",
    "regnet_y_400mf",
    "regnet_y_800mf",
    "regnet_y_8gf",
]

Make = Callable[..., nn.Module]


def stage_shapes(
    depth: int, w_0: int, w_a: float, w_m: float, group_width: int
) -> tuple[list[int], list[int], list[int]]:
    """Widths, depths and group widths of the stages (section 3.3 of the paper).

    Block j would be ``w_0 + w_a j`` wide. That is rounded to the nearest ``w_0 w_m^s`` with a whole
    s, and to a multiple of 8; blocks of one width make a stage, whose width is at last brought to
    a multiple of the group width.

    Raises:
        ValueError: numbers that give no widths.

    Example:
        >>> from deeplite.models.regnet import stage_shapes
        >>> stage_shapes(depth=16, w_0=48, w_a=27.89, w_m=2.09, group_width=8)
        ([48, 104, 208, 440], [1, 3, 6, 6], [8, 8, 8, 8])
    """
    if w_a < 0 or w_0 <= 0 or w_m <= 1 or w_0 % 8 != 0:
        raise ValueError(
            "RegNet: expected w_0 a positive multiple of 8, w_a not negative and w_m above 1, got "
            f"w_0={w_0}, w_a={w_a}, w_m={w_m}"
        )
    steps = [round(math.log((w_0 + w_a * j) / w_0, w_m)) for j in range(depth)]
    blocks = [8 * round(w_0 * w_m**s / 8) for s in steps]
    stages = [(width, len(list(same))) for width, same in groupby(blocks)]
    groups = [min(group_width, width) for width, _ in stages]
    widths = [make_divisible(width, g) for (width, _), g in zip(stages, groups)]
    return widths, [n for _, n in stages], groups


class Block(nn.Module):
    """1x1, 3x3 in groups, squeeze-and-excitation if asked for, 1x1, and a shortcut:
    ``[N, inp, H, W] -> [N, out, H/stride, W/stride]``."""

    def __init__(
        self,
        inp: int,
        out: int,
        stride: int,
        group_width: int,
        se_ratio: float | None,
        norm_layer: Make,
        activation: Make,
    ) -> None:
        super().__init__()
        cell = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=activation)
        linear = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=None)
        self.proj = linear(inp, out, 1, stride) if stride != 1 or inp != out else None
        self.f = nn.Sequential()
        self.f.add_module("a", cell(inp, out, 1))
        self.f.add_module("b", cell(out, out, 3, stride, groups=out // group_width))
        if se_ratio:
            squeezed = round(se_ratio * inp)
            self.f.add_module("se", SqueezeExcitation(out, squeezed, activation=activation))
        self.f.add_module("c", linear(out, out, 1))
        self.activation = activation(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.proj is None else self.proj(x)
        return branch_act(self.f, self.activation, x, shortcut)


class RegNet(nn.Module):
    """Residual networks whose widths follow a quantised line:
    ``[N, 3, H, W] -> [N, num_classes]`` scores.

    RegNetY-400MF has 4.3 million parameters (4,344,144), RegNetX-400MF 5.5 million (5,495,976).

    Args:
        depth, w_0, w_a, w_m, group_width: see :func:`stage_shapes`.
        se_ratio: width of squeeze-and-excitation to that of a block's input; None for none (the Y
            networks have 0.25, the X networks none).
        stem_width: channels of the first convolution.
        norm_layer: makes a norm layer from a number of channels.
        activation: makes an activation layer.

    Raises:
        ValueError: numbers that give no widths.

    Example:
        >>> from deeplite.models.regnet import RegNet
        >>> net = RegNet(4, 8, 8.0, 2.0, 8, num_classes=10)
        >>> tuple(net(deeplite.zeros(2, 3, 64, 64)).shape)
        (2, 10)
    """

    def __init__(
        self,
        depth: int,
        w_0: int,
        w_a: float,
        w_m: float,
        group_width: int,
        se_ratio: float | None = None,
        num_classes: int = 1000,
        *,
        stem_width: int = 32,
        norm_layer: Make = nn.BatchNorm2d,
        activation: Make = nn.ReLU,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        cell = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=activation)
        self.stem = cell(in_channels, stem_width, stride=2)
        self.trunk_output = nn.Sequential()
        channels = stem_width
        shapes = stage_shapes(depth, w_0, w_a, w_m, group_width)
        for i, (width, n, group) in enumerate(zip(*shapes), 1):
            stage = nn.Sequential()
            for j in range(n):
                stride = 2 if j == 0 else 1
                block = Block(channels, width, stride, group, se_ratio, norm_layer, activation)
                stage.add_module(f"block{i}-{j}", block)
                channels = width
            self.trunk_output.add_module(f"block{i}", stage)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, num_classes)
        reset_weights(
            self,
            conv=_reset_conv,
            linear=partial(nn.init.normal_, std=0.01),
            conv_bias=False,  # those of squeeze-and-excitation
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(flatten(self.avgpool(self.trunk_output(self.stem(x))), 1))


def _reset_conv(w: Tensor) -> None:
    # As if without groups: the paper's code counts all channels that a kernel position leads to.
    nn.init.normal_(w, 0.0, math.sqrt(2.0 / (w.shape[0] * w.shape[2] * w.shape[3])))


def _enter(
    name: str,
    depth: int,
    w_0: int,
    w_a: float,
    w_m: float,
    group_width: int,
    parameters: int,
    multiply_adds: int,
) -> Callable[..., RegNet]:
    return register(
        name,
        partial(
            RegNet,
            depth=depth,
            w_0=w_0,
            w_a=w_a,
            w_m=w_m,
            group_width=group_width,
            se_ratio=0.25 if name.startswith("regnet_y") else None,
        ),
        family="regnet",
        parameters=parameters,
        multiply_adds=multiply_adds,
        paper="""Ilija Radosavovic, Raj Prateek Kosaraju, Ross Girshick, Kaiming He, Piotr Dollar:
"Designing network design spaces", CVPR 2020, https://arxiv.org/abs/2003.13678.""",
    )


# Tables of the appendix.
# fmt: off
regnet_y_400mf = _enter("regnet_y_400mf", 16, 48, 27.89, 2.09, 8, 4_344_144,
                         401_842_848)
regnet_y_800mf = _enter("regnet_y_800mf", 14, 56, 38.84, 2.4, 16, 6_432_512,
                         833_856_256)
regnet_y_1_6gf = _enter("regnet_y_1_6gf", 27, 48, 20.71, 2.65, 24, 11_202_430,
                         1_612_076_160)
regnet_y_3_2gf = _enter("regnet_y_3_2gf", 21, 80, 42.63, 2.66, 24, 19_436_338,
                         3_176_482_752)
regnet_y_8gf = _enter("regnet_y_8gf", 17, 192, 76.82, 2.19, 56, 39_381_472,
                         8_473_070_592)
regnet_y_16gf = _enter("regnet_y_16gf", 18, 200, 106.23, 2.48, 112, 83_590_140,
                         15_911_510_272)
regnet_y_32gf = _enter("regnet_y_32gf", 20, 232, 115.89, 2.53, 232, 145_046_770,
                         32_279_552_832)
regnet_y_128gf = _enter("regnet_y_128gf", 27, 456, 160.83, 2.52, 264, 644_812_894,
                         127_517_815_680)
regnet_x_400mf = _enter("regnet_x_400mf", 22, 24, 24.48, 2.54, 16, 5_495_976,
                         413_812_608)
regnet_x_800mf = _enter("regnet_x_800mf", 16, 56, 35.73, 2.28, 16, 7_259_656,
                         799_699_712)
regnet_x_1_6gf = _enter("regnet_x_1_6gf", 18, 80, 34.01, 2.25, 24, 9_190_136,
                         1_602_849_792)
regnet_x_3_2gf = _enter("regnet_x_3_2gf", 25, 88, 26.31, 2.25, 48, 15_296_552,
                         3_176_621_952)
regnet_x_8gf = _enter("regnet_x_8gf", 23, 80, 49.56, 2.88, 120, 39_572_648,
                         7_995_132_416)
regnet_x_16gf = _enter("regnet_x_16gf", 22, 216, 55.59, 2.1, 128, 54_278_536,
                         15_940_755_456)
regnet_x_32gf = _enter("regnet_x_32gf", 23, 320, 69.86, 2.0, 168, 107_811_560,
                         31_735_929_792)
# fmt: on
