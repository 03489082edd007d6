"""MobileNetV3: Howard, Sandler, Chu, Chen, Chen, Tan, Wang, Zhu, Pang, Vasudevan, Le and Adam,
"Searching for MobileNetV3", ICCV 2019, arXiv 1905.02244."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from deeplite import Tensor, flatten, nn
from deeplite.models._init import reset_weights
from deeplite.models.mobilenetv2 import make_divisible
from deeplite.models.registry import register
from deeplite.ops import Conv2dNormActivation, SqueezeExcitation, branch_act

__all__ = ["MobileNetV3", "mobilenet_v3_large", "mobilenet_v3_small"]

Norm = Callable[[int], nn.Module]


class Bneck(NamedTuple):
    """A row of the paper's tables 1 and 2."""

    kernel: int
    expanded: int
    out: int
    squeeze: bool
    hard_swish: bool
    stride: int


# fmt: off
LARGE = (
    Bneck(3, 16, 16, False, False, 1),
    Bneck(3, 64, 24, False, False, 2),
    Bneck(3, 72, 24, False, False, 1),
    Bneck(5, 72, 40, True, False, 2),
    Bneck(5, 120, 40, True, False, 1),
    Bneck(5, 120, 40, True, False, 1),
    Bneck(3, 240, 80, False, True, 2),
    Bneck(3, 200, 80, False, True, 1),
    Bneck(3, 184, 80, False, True, 1),
    Bneck(3, 184, 80, False, True, 1),
    Bneck(3, 480, 112, True, True, 1),
    Bneck(3, 672, 112, True, True, 1),
    Bneck(5, 672, 160, True, True, 2),
    Bneck(5, 960, 160, True, True, 1),
    Bneck(5, 960, 160, True, True, 1),
)
SMALL = (
    Bneck(3, 16, 16, True, False, 2),
    Bneck(3, 72, 24, False, False, 2),
    Bneck(3, 88, 24, False, False, 1),
    Bneck(5, 96, 40, True, True, 2),
    Bneck(5, 240, 40, True, True, 1),
    Bneck(5, 240, 40, True, True, 1),
    Bneck(5, 120, 48, True, True, 1),
    Bneck(5, 144, 48, True, True, 1),
    Bneck(5, 288, 96, True, True, 2),
    Bneck(5, 576, 96, True, True, 1),
    Bneck(5, 576, 96, True, True, 1),
)
# fmt: on


class InvertedResidual(nn.Module):
    """1x1 to ``row.expanded`` channels, depthwise, squeeze-and-excitation if asked for, 1x1 back
    without activation; a shortcut where the shape stays.
    ``[N, inp, H, W] -> [N, row.out, H/stride, W/stride]``; with dilation the size stays."""

    def __init__(self, inp: int, row: Bneck, dilation: int, norm_layer: Norm) -> None:
        super().__init__()
        self.use_res_connect = row.stride == 1 and inp == row.out
        activation = nn.Hardswish if row.hard_swish else nn.ReLU
        cell = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=activation)
        layers: list[nn.Module] = []
        if row.expanded != inp:
            layers.append(cell(inp, row.expanded, kernel_size=1))
        layers.append(
            cell(
                row.expanded,
                row.expanded,
                kernel_size=row.kernel,
                stride=1 if dilation > 1 else row.stride,
                dilation=dilation,
                groups=row.expanded,
            )
        )
        if row.squeeze:
            squeezed = make_divisible(row.expanded // 4)
            layers.append(
                SqueezeExcitation(row.expanded, squeezed, scale_activation=nn.Hardsigmoid)
            )
        layers.append(
            Conv2dNormActivation(
                row.expanded, row.out, 1, norm_layer=norm_layer, activation_layer=None
            )
        )
        self.block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return branch_act(self.block, None, x, x if self.use_res_connect else None)


class MobileNetV3(nn.Module):
    """Inverted residuals found by search: ``[N, 3, H, W] -> [N, num_classes]`` scores.

    The large one has 5.5 million parameters (5,483,032) and 217 million multiply-adds at 224x224,
    the small one 2.5 million and 57 million.

    Args:
        rows: the blocks, see :class:`Bneck`.
        last_channel: width of the hidden layer of the classifier.
        width_mult: factor for the channels of every layer.
        reduced_tail: halve the channels from the last stride on.
        dilated: dilate instead of taking the last stride, for segmentation.
        norm_layer: makes a norm layer from a number of channels.
        dropout: probability before the last layer.

    Raises:
        ValueError: no rows.

    Example:
        >>> from deeplite import models
        >>> net = models.mobilenet_v3_small(num_classes=10, width_mult=0.25)
        >>> tuple(net(deeplite.zeros(2, 3, 64, 64)).shape)
        (2, 10)
    """

    def __init__(
        self,
        rows: Sequence[Bneck],
        last_channel: int,
        num_classes: int = 1000,
        norm_layer: Norm | None = None,
        dropout: float = 0.2,
        *,
        width_mult: float = 1.0,
        reduced_tail: bool = False,
        dilated: bool = False,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if not rows:
            raise ValueError("MobileNetV3: rows must not be empty")
        norm_layer = norm_layer or partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        cell = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.Hardswish)
        tail = max(i for i, row in enumerate(rows) if row.stride == 2)
        channels = make_divisible(16 * width_mult)
        features: list[nn.Module] = [cell(in_channels, channels, stride=2)]
        for i, row in enumerate(rows):
            halved = 2 if reduced_tail and i >= tail else 1
            # The block that has the last stride still expands to its full width.
            expanded = row.expanded // (halved if i > tail else 1)
            row = row._replace(
                expanded=make_divisible(expanded * width_mult),
                out=make_divisible(row.out // halved * width_mult),
            )
            features.append(
                InvertedResidual(channels, row, 2 if dilated and i >= tail else 1, norm_layer)
            )
            channels = row.out
        features.append(cell(channels, 6 * channels, kernel_size=1))
        hidden = make_divisible(last_channel // (2 if reduced_tail else 1) * width_mult)
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(6 * channels, hidden),
            nn.Hardswish(inplace=True),
            nn.Dropout(dropout, inplace=True),
            nn.Linear(hidden, num_classes),
        )
        reset_weights(
            self,
            conv=partial(nn.init.kaiming_normal_, mode="fan_out"),
            linear=partial(nn.init.normal_, std=0.01),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(flatten(self.avgpool(self.features(x)), 1))


_enter: Any = partial(
    register,
    family="mobilenetv3",
    paper="""Andrew Howard, Mark Sandler, Grace Chu, Liang-Chieh Chen, Bo Chen, Mingxing Tan, Weijun
Wang, Yukun Zhu, Ruoming Pang, Vijay Vasudevan, Quoc Le, Hartwig Adam: "Searching for MobileNetV3",
ICCV 2019, https://arxiv.org/abs/1905.02244.""",
)
mobilenet_v3_large = _enter(
    "mobilenet_v3_large",
    partial(MobileNetV3, rows=LARGE, last_channel=1280),
    parameters=5_483_032,
    multiply_adds=216_589_760,
)
mobilenet_v3_small = _enter(
    "mobilenet_v3_small",
    partial(MobileNetV3, rows=SMALL, last_channel=1024),
    parameters=2_542_856,
    multiply_adds=56_510_400,
)
