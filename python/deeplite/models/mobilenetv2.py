"""MobileNetV2: Sandler, Howard, Zhu, Zhmoginov and Chen, "MobileNetV2: inverted residuals and
linear bottlenecks", CVPR 2018, arXiv 1801.04381."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from deeplite import Tensor, flatten, nn
from deeplite.models._init import reset_weights
from deeplite.models.registry import register
from deeplite.ops import Conv2dNormActivation, branch_act

__all__ = ["MobileNetV2", "mobilenet_v2"]

# Table 2 of the paper: expansion, channels, blocks, stride of the first.
SETTING: tuple[tuple[int, int, int, int], ...] = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def make_divisible(channels: float, divisor: int = 8, at_least: int | None = None) -> int:
    """The multiple of ``divisor`` next to ``channels``, but not more than 10 % below it.

    Example:
        >>> from deeplite.models.mobilenetv2 import make_divisible
        >>> make_divisible(33), make_divisible(11)
        (32, 16)
    """
    lowest = divisor if at_least is None else at_least
    rounded = max(lowest, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


class InvertedResidual(nn.Module):
    """1x1 to ``expand_ratio`` times the channels, depthwise 3x3, and 1x1 back without activation;
    a shortcut where the shape stays. ``[N, inp, H, W] -> [N, oup, H/stride, W/stride]``.

    Raises:
        ValueError: a stride other than 1 and 2.
    """

    def __init__(
        self,
        inp: int,
        oup: int,
        stride: int,
        expand_ratio: float,
        norm_layer: Callable[[int], nn.Module] = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"InvertedResidual: stride must be 1 or 2, got {stride}")
        hidden = int(round(inp * expand_ratio))
        self.use_res_connect = stride == 1 and inp == oup
        cell = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.ReLU6)
        layers: list[nn.Module] = []
        if expand_ratio != 1:
            layers.append(cell(inp, hidden, kernel_size=1))
        layers += [
            cell(hidden, hidden, stride=stride, groups=hidden),
            nn.Conv2d(hidden, oup, 1, bias=False),
            norm_layer(oup),
        ]
        self.conv = nn.Sequential(*layers)
        self.out_channels = oup

    def forward(self, x: Tensor) -> Tensor:
        return branch_act(self.conv, None, x, x if self.use_res_connect else None)


class MobileNetV2(nn.Module):
    """Inverted residuals: ``[N, 3, H, W] -> [N, num_classes]`` scores.

    3.5 million parameters (3,504,872) and 300 million multiply-adds at 224x224.

    Args:
        width_mult: factor for the channels of every layer.
        inverted_residual_setting: expansion, channels, blocks and first stride of each stage.
        round_nearest: channels are multiples of this.
        block: makes a block; :class:`InvertedResidual` when None.
        norm_layer: makes a norm layer from a number of channels.
        dropout: probability before the classifier.

    Raises:
        ValueError: a setting that is empty or not of four numbers a stage.

    Example:
        >>> from deeplite.models.mobilenetv2 import MobileNetV2
        >>> net = MobileNetV2(num_classes=10, width_mult=0.25)
        >>> tuple(net(deeplite.zeros(2, 3, 32, 32)).shape)
        (2, 10)
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        inverted_residual_setting: Sequence[Sequence[int]] | None = None,
        round_nearest: int = 8,
        block: Callable[..., nn.Module] | None = None,
        norm_layer: Callable[[int], nn.Module] | None = None,
        dropout: float = 0.2,
        *,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        block = InvertedResidual if block is None else block
        norm_layer = nn.BatchNorm2d if norm_layer is None else norm_layer
        setting = SETTING if inverted_residual_setting is None else inverted_residual_setting
        if len(setting) == 0 or any(len(stage) != 4 for stage in setting):
            raise ValueError(
                "MobileNetV2: inverted_residual_setting must have four numbers for each stage, "
                f"got {setting}"
            )
        cell = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=nn.ReLU6)
        channels = make_divisible(32 * width_mult, round_nearest)
        self.last_channel = make_divisible(1280 * max(1.0, width_mult), round_nearest)
        features: list[nn.Module] = [cell(in_channels, channels, stride=2)]
        for expansion, width, n, stride in setting:
            out = make_divisible(width * width_mult, round_nearest)
            for i in range(n):
                step = stride if i == 0 else 1
                features.append(
                    block(channels, out, step, expand_ratio=expansion, norm_layer=norm_layer)
                )
                channels = out
        features.append(cell(channels, self.last_channel, kernel_size=1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(self.last_channel, num_classes)
        )
        reset_weights(
            self,
            conv=partial(nn.init.kaiming_normal_, mode="fan_out"),
            linear=partial(nn.init.normal_, std=0.01),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(flatten(x, 1))


mobilenet_v2 = register(
    "mobilenet_v2",
    MobileNetV2,
    family="mobilenetv2",
    parameters=3_504_872,
    multiply_adds=300_774_272,
    paper="""Mark Sandler, Andrew Howard, Menglong Zhu, Andrey Zhmoginov, Liang-Chieh Chen:
"MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018,
https://arxiv.org/abs/1801.04381.""",
)
