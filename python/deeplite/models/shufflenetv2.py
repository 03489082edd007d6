"""ShuffleNet V2: Ma, Zhang, Zheng and Sun, "ShuffleNet V2: practical guidelines for efficient CNN
architecture design", ECCV 2018, arXiv 1807.11164."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from deeplite import Tensor, cat, nn
from deeplite.models.registry import register
from deeplite.ops import Conv2dNormActivation

__all__ = [
    "ShuffleNetV2",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
]


def _conv_norm(
    inp: int, oup: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    conv = nn.Conv2d(inp, oup, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(oup)]


class InvertedResidual(nn.Module):
    """Half of the channels pass unchanged, the others through 1x1, depthwise 3x3 and 1x1
    convolutions; then the two halves are shuffled. With stride 2 all channels take part in both
    branches. ``[N, inp, H, W] -> [N, oup, H/stride, W/stride]``.

    Raises:
        ValueError: a stride other than 1 and 2, or stride 1 with ``inp != oup`` or an odd number.
    """

    def __init__(self, inp: int, oup: int, stride: int) -> None:
        super().__init__()
        if stride not in (1, 2) or oup % 2 or (stride == 1 and inp != oup):
            raise ValueError(
                "InvertedResidual: expected stride 2, or stride 1 with as many channels after as "
                f"before, and an even number of them; got stride {stride}, {inp} -> {oup} channels"
            )
        half = oup // 2
        branch1: list[nn.Module] = []
        if stride == 2:
            branch1 = [
                *_conv_norm(inp, inp, 3, stride, groups=inp),
                *_conv_norm(inp, half, 1),
                nn.ReLU(inplace=True),
            ]
        self.stride = stride
        self.branch1 = nn.Sequential(*branch1)
        self.branch2 = nn.Sequential(
            *_conv_norm(inp if stride == 2 else half, half, 1),
            nn.ReLU(inplace=True),
            *_conv_norm(half, half, 3, stride, groups=half),
            *_conv_norm(half, half, 1),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        left, right = (x, x) if self.stride == 2 else x.chunk(2, 1)
        y = cat([self.branch1(left), self.branch2(right)], 1)
        return nn.functional.channel_shuffle(y, 2)


class ShuffleNetV2(nn.Module):
    """Split, transform, shuffle: ``[N, 3, H, W] -> [N, num_classes]`` scores.

    2.3 million parameters (2,278,604) and 146 million multiply-adds at 224x224 for x1_0.

    Args:
        stages_repeats: how many blocks each of the three stages has.
        stages_out_channels: of the first convolution, the three stages and the last convolution.
        inverted_residual: makes a block from channels before, channels after and stride.

    Raises:
        ValueError: not three stages or not five numbers of channels.

    Example:
        >>> from deeplite.models.shufflenetv2 import ShuffleNetV2
        >>> net = ShuffleNetV2((1, 1, 1), (8, 16, 32, 64, 64), num_classes=10)
        >>> tuple(net(deeplite.zeros(2, 3, 64, 64)).shape)
        (2, 10)
    """

    def __init__(
        self,
        stages_repeats: Sequence[int],
        stages_out_channels: Sequence[int],
        num_classes: int = 1000,
        inverted_residual: Callable[[int, int, int], nn.Module] = InvertedResidual,
        *,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if len(stages_repeats) != 3 or len(stages_out_channels) != 5:
            raise ValueError(
                "ShuffleNetV2: expected three stages_repeats and five stages_out_channels, got "
                f"{list(stages_repeats)} and {list(stages_out_channels)}"
            )
        first, *widths, last = stages_out_channels
        self.conv1 = Conv2dNormActivation(in_channels, first, stride=2)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        channels = first
        for i, (n, width) in enumerate(zip(stages_repeats, widths), 2):
            blocks = [inverted_residual(channels, width, 2)]
            blocks += [inverted_residual(width, width, 1) for _ in range(n - 1)]
            self.add_module(f"stage{i}", nn.Sequential(*blocks))
            channels = width
        self.conv5 = Conv2dNormActivation(channels, last, kernel_size=1)
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.conv1(x))
        x = self.stage4(self.stage3(self.stage2(x)))
        return self.fc(self.conv5(x).mean([2, 3]))


def _enter(
    name: str, widths: Sequence[int], parameters: int, multiply_adds: int
) -> Callable[..., ShuffleNetV2]:
    return register(
        name,
        partial(ShuffleNetV2, stages_repeats=(4, 8, 4), stages_out_channels=widths),
        family="shufflenetv2",
        parameters=parameters,
        multiply_adds=multiply_adds,
        paper="""Ningning Ma, Xiangyu Zhang, Hai-Tao Zheng, Jian Sun: "ShuffleNet V2: practical
guidelines for efficient CNN architecture design", ECCV 2018, https://arxiv.org/abs/1807.11164.""",
    )


# Table 5 of the paper.
# fmt: off
shufflenet_v2_x0_5 = _enter("shufflenet_v2_x0_5", (24, 48, 96, 192, 1024), 1_366_792, 40_476_448)
shufflenet_v2_x1_0 = _enter("shufflenet_v2_x1_0", (24, 116, 232, 464, 1024), 2_278_604, 144_907_992)
shufflenet_v2_x1_5 = _enter("shufflenet_v2_x1_5", (24, 176, 352, 704, 1024), 3_503_624, 295_759_392)
shufflenet_v2_x2_0 = _enter("shufflenet_v2_x2_0", (24, 244, 488, 976, 2048), 7_393_996, 583_253_464)
# fmt: on
