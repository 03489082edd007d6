"""EfficientNet: Tan and Le, "EfficientNet: rethinking model scaling for convolutional neural
networks", ICML 2019, arXiv 1905.11946; and "EfficientNetV2: smaller models and faster training",
ICML 2021, arXiv 2104.00298."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from deeplite import Tensor, flatten, nn
from deeplite.models._init import reset_weights
from deeplite.models.mobilenetv2 import make_divisible
from deeplite.models.registry import register
from deeplite.ops import (
    Conv2dNormActivation,
    SqueezeExcitation,
    StochasticDepth,
    branch_act,
)

__all__ = [
    "EfficientNet",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_l",
    "efficientnet_v2_m",
    "efficientnet_v2_s",
]

Norm = Callable[[int], nn.Module]


class Stage(NamedTuple):
    """Blocks that give maps of one shape; the first has the stride."""

    expansion: int
    kernel: int
    stride: int
    inp: int
    out: int
    n: int
    fused: bool = False


class MBConv(nn.Module):
    """1x1 to ``expansion`` times the channels, depthwise, squeeze-and-excitation, 1x1 back without
    activation; fused, one full convolution in place of the first three. A shortcut where the shape
    stays, on which stochastic depth acts. ``[N, inp, H, W] -> [N, out, H/stride, W/stride]``."""

    def __init__(self, s: Stage, drop: float, norm_layer: Norm) -> None:
        super().__init__()
        self.use_res_connect = s.stride == 1 and s.inp == s.out
        cell = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        hidden = make_divisible(s.inp * s.expansion)
        layers: list[nn.Module] = []
        if s.fused:
            full = s.out if s.expansion == 1 else hidden
            layers.append(cell(s.inp, full, s.kernel, s.stride))
        else:
            if s.expansion != 1:
                layers.append(cell(s.inp, hidden, 1))
            layers.append(cell(hidden, hidden, s.kernel, s.stride, groups=hidden))
            activation = partial(nn.SiLU, inplace=True)
            layers.append(SqueezeExcitation(hidden, max(1, s.inp // 4), activation=activation))
        if not s.fused or s.expansion != 1:
            layers.append(
                Conv2dNormActivation(hidden, s.out, 1, norm_layer=norm_layer, activation_layer=None)
            )
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(drop, "row")

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:  # all blocks take part
            return branch_act(self.block, None, x, x if self.use_res_connect else None)
        y = self.block(x)
        if self.use_res_connect:
            y = self.stochastic_depth(y)
            y += x
        return y


class EfficientNet(nn.Module):
    """Inverted residuals scaled in depth, width and image size together:
    ``[N, 3, H, W] -> [N, num_classes]`` scores.

    B0 has 5.3 million parameters (5,288,548), B7 66 million (66,347,960).

    Args:
        stages: see :class:`Stage`.
        dropout: probability before the classifier.
        stochastic_depth_prob: probability that training leaves out the last block; it falls
            linearly to 0 at the input.
        norm_layer: makes a norm layer from a number of channels.
        last_channel: channels of the last convolution; 4 times those of the last stage when None.
        width_mult, depth_mult: factors for the channels and the blocks of every stage.

    Raises:
        ValueError: no stages, or a stride other than 1 and 2.

    Example:
        >>> from deeplite import models
        >>> net = models.efficientnet_b0(num_classes=10)
        >>> tuple(net.eval()(deeplite.zeros(1, 3, 32, 32)).shape)
        (1, 10)
    """

    def __init__(
        self,
        stages: Sequence[Stage],
        dropout: float,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm_layer: Norm | None = None,
        last_channel: int | None = None,
        *,
        width_mult: float = 1.0,
        depth_mult: float = 1.0,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if not stages or any(s.stride not in (1, 2) for s in stages):
            raise ValueError(f"EfficientNet: expected stages of stride 1 or 2, got {list(stages)}")
        norm_layer = norm_layer or nn.BatchNorm2d
        cell = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.SiLU)
        scaled = [
            s._replace(
                inp=make_divisible(s.inp * width_mult),
                out=make_divisible(s.out * width_mult),
                n=math.ceil(s.n * depth_mult),
            )
            for s in stages
        ]
        features: list[nn.Module] = [cell(in_channels, scaled[0].inp, stride=2)]
        n_blocks, i = sum(s.n for s in scaled), 0
        for s in scaled:
            blocks = []
            for _ in range(s.n):
                blocks.append(MBConv(s, stochastic_depth_prob * i / n_blocks, norm_layer))
                s = s._replace(inp=s.out, stride=1)
                i += 1
            features.append(nn.Sequential(*blocks))
        channels = scaled[-1].out
        last_channel = last_channel or 4 * channels
        self.features = nn.Sequential(*features, cell(channels, last_channel, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout, inplace=True), nn.Linear(last_channel, num_classes)
        )
        bound = num_classes**-0.5
        reset_weights(
            self,
            conv=partial(nn.init.kaiming_normal_, mode="fan_out"),
            linear=partial(nn.init.uniform_, a=-bound, b=bound),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(flatten(self.avgpool(self.features(x)), 1))


# Table 1 of the first paper, tables 4 and following of the second.
# fmt: off
B0 = (
    Stage(1, 3, 1, 32, 16, 1), Stage(6, 3, 2, 16, 24, 2), Stage(6, 5, 2, 24, 40, 2),
    Stage(6, 3, 2, 40, 80, 3), Stage(6, 5, 1, 80, 112, 3), Stage(6, 5, 2, 112, 192, 4),
    Stage(6, 3, 1, 192, 320, 1),
)
V2_S = (
    Stage(1, 3, 1, 24, 24, 2, True), Stage(4, 3, 2, 24, 48, 4, True),
    Stage(4, 3, 2, 48, 64, 4, True), Stage(4, 3, 2, 64, 128, 6), Stage(6, 3, 1, 128, 160, 9),
    Stage(6, 3, 2, 160, 256, 15),
)
V2_M = (
    Stage(1, 3, 1, 24, 24, 3, True), Stage(4, 3, 2, 24, 48, 5, True),
    Stage(4, 3, 2, 48, 80, 5, True), Stage(4, 3, 2, 80, 160, 7), Stage(6, 3, 1, 160, 176, 14),
    Stage(6, 3, 2, 176, 304, 18), Stage(6, 3, 1, 304, 512, 5),
)
V2_L = (
    Stage(1, 3, 1, 32, 32, 4, True), Stage(4, 3, 2, 32, 64, 7, True),
    Stage(4, 3, 2, 64, 96, 7, True), Stage(4, 3, 2, 96, 192, 10), Stage(6, 3, 1, 192, 224, 19),
    Stage(6, 3, 2, 224, 384, 25), Stage(6, 3, 1, 384, 640, 7),
)
# fmt: on
V1 = """Mingxing Tan, Quoc Le: "EfficientNet: rethinking model scaling for convolutional neural
networks", ICML 2019, https://arxiv.org/abs/1905.11946."""
V2 = """Mingxing Tan, Quoc Le: "EfficientNetV2: smaller models and faster training", ICML 2021,
https://arxiv.org/abs/2104.00298."""


def _enter(
    name: str,
    stages: Sequence[Stage],
    dropout: float,
    size: int,
    parameters: int,
    multiply_adds: int,
    paper: str = V1,
    **config: Any,
) -> Callable[..., EfficientNet]:
    return register(
        name,
        partial(EfficientNet, stages=stages, dropout=dropout, **config),
        family="efficientnet",
        parameters=parameters,
        multiply_adds=multiply_adds,
        paper=paper,
        input_size=(3, size, size),
    )


def _b(
    i: int, width: float, depth: float, dropout: float, size: int, parameters: int, madds: int
) -> Callable[..., EfficientNet]:
    config: dict[str, Any] = {"width_mult": width, "depth_mult": depth}
    if i >= 5:
        config["norm_layer"] = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
    return _enter(f"efficientnet_b{i}", B0, dropout, size, parameters, madds, **config)


_V2: dict[str, Any] = {
    "paper": V2, "norm_layer": partial(nn.BatchNorm2d, eps=1e-3), "last_channel": 1280,
}  # fmt: skip

# fmt: off
efficientnet_b0 = _b(0, 1.0, 1.0, 0.2, 224, 5_288_548, 385_814_752)
efficientnet_b1 = _b(1, 1.0, 1.1, 0.2, 240, 7_794_184, 686_802_832)
efficientnet_b2 = _b(2, 1.1, 1.2, 0.3, 260, 9_109_994, 993_561_872)
efficientnet_b3 = _b(3, 1.2, 1.4, 0.3, 300, 12_233_232, 1_827_141_392)
efficientnet_b4 = _b(4, 1.4, 1.8, 0.4, 380, 19_341_616, 4_393_771_024)
efficientnet_b5 = _b(5, 1.6, 2.2, 0.4, 456, 30_389_784, 10_266_384_752)
efficientnet_b6 = _b(6, 1.8, 2.6, 0.5, 528, 43_040_704, 19_067_593_536)
efficientnet_b7 = _b(7, 2.0, 3.1, 0.5, 600, 66_347_960, 37_745_884_192)
efficientnet_v2_s = _enter("efficientnet_v2_s", V2_S, 0.2, 384, 21_458_488, 8_365_617_152, **_V2)
efficientnet_v2_m = _enter("efficientnet_v2_m", V2_M, 0.3, 480, 54_139_356, 24_582_460_384, **_V2)
efficientnet_v2_l = _enter("efficientnet_v2_l", V2_L, 0.4, 480, 118_515_272, 56_079_699_008, **_V2)
# fmt: on
