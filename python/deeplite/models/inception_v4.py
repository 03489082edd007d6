"""Inception v4 and Inception-ResNet-v2: Szegedy, Ioffe, Vanhoucke and Alemi, "Inception-v4,
Inception-ResNet and the impact of residual connections on learning", AAAI 2017, arXiv 1602.07261.

Inception-ResNet-v2 exists twice: as the paper's figures show it, and as its authors published it
(code and weights), with the stem of v3 and twice as many blocks. The name alone means the latter.
"""

from __future__ import annotations

from functools import partial

from deeplite import Tensor, flatten, nn
from deeplite.models._init import reset_weights
from deeplite.models.inception_blocks import (
    Blocks,
    Branches,
    Chain,
    chained,
    convolution,
    rectified,
    scaled,
)
from deeplite.models.inception_chains import (
    RESNET_A,
    RESNET_B,
    RESNET_C,
    RESNET_REDUCTION_B,
    STEM,
    STEM_V3,
    V4,
    reduction_a,
)
from deeplite.models.registry import register

__all__ = [
    "InceptionResNetV2",
    "InceptionV4",
    "inception_resnet_v2",
    "inception_resnet_v2_paper",
    "inception_v4",
]


class InceptionV4(nn.Module):
    """Inception v4: ``[N, 3, H, W] -> [N, num_classes]`` scores, for H, W >= 75 (the paper's images
    are 299x299). 42.7 million parameters (42,679,816), 12.3 billion multiply-adds.

    Args:
        dropout: probability before the last layer.
        blocks: the chains of each block, see ``inception_chains.V4``.
        width: factor for all channels.
        in_channels: channels of the images.

    Raises:
        ShapeError: an image too small; the message names the layer at which the map vanishes.

    Example:
        >>> from deeplite.models.inception_v4 import InceptionV4
        >>> net = InceptionV4(num_classes=10, width=0.0625).eval()
        >>> tuple(net(deeplite.zeros(2, 3, 75, 75)).shape)
        (2, 10)
    """

    def __init__(
        self,
        num_classes: int = 1000,
        dropout: float = 0.2,
        *,
        blocks: Blocks = V4,
        width: float = 1.0,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.features, channels = chained(in_channels, blocks, width)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        reset_weights(self, conv=rectified)

    def forward(self, x: Tensor) -> Tensor:
        x = flatten(self.avgpool(self.features(x)), 1)
        return self.fc(self.dropout(x))


class ScaledResidual(nn.Module):
    """``relu(x + scale * project(branches(x)))`` (section 3.3): scaling the branch down keeps the
    training of very wide networks from dying. ``[N, channels, H, W]``, which is kept."""

    def __init__(
        self, channels: int, chains: list[Chain], scale: float, width: float, activate: bool = True
    ) -> None:
        super().__init__()
        self.branches = Branches(channels, chains, width)
        self.project = nn.Conv2d(self.branches.out_channels, channels, 1)
        self.scale = scale
        self.activate = activate

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.scale * self.project(self.branches(x))
        return nn.functional.relu(x, inplace=True) if self.activate else x

    def extra_repr(self) -> str:
        return f"scale={self.scale}"


class InceptionResNetV2(nn.Module):
    """Inception-ResNet-v2: ``[N, 3, H, W] -> [N, num_classes]`` scores, for H, W >= 75 (the paper's
    images are 299x299). 55.8 million parameters (55,843,464) as published.

    Args:
        dropout: probability before the last layer.
        stem: the chains of the stem's blocks.
        repeats: number of blocks at 35x35, 17x17 and 8x8.
        last: width of a last 1x1 convolution; 0 for none. With it, the last block has no rectifier.
        width: factor for all channels.
        in_channels: channels of the images.

    Raises:
        ShapeError: an image too small; the message names the layer at which the map vanishes.

    Example:
        >>> from deeplite.models.inception_v4 import InceptionResNetV2
        >>> net = InceptionResNetV2(num_classes=10, width=0.0625, repeats=(1, 1, 1)).eval()
        >>> tuple(net(deeplite.zeros(2, 3, 75, 75)).shape)
        (2, 10)
    """

    def __init__(
        self,
        num_classes: int = 1000,
        dropout: float = 0.2,
        *,
        stem: Blocks = STEM_V3,
        repeats: tuple[int, int, int] = (10, 20, 10),
        last: int = 1536,
        width: float = 1.0,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.stem, channels = chained(in_channels, stem, width)
        stages: tuple[tuple[str, list[Chain], float, list[Chain] | None], ...] = (
            ("a", RESNET_A, 0.17, reduction_a(256, 256, 384, 384)),
            ("b", RESNET_B, 0.10, RESNET_REDUCTION_B),
            ("c", RESNET_C, 0.20, None),
        )
        for (name, chains, scale, reduction), n in zip(stages, repeats):
            blocks: list[nn.Module] = [
                ScaledResidual(channels, chains, scale, width) for _ in range(n)
            ]
            if reduction is not None:
                blocks.append(Branches(channels, reduction, width))
                channels = blocks[-1].out_channels
            elif last and n:  # the published code ends with weight 1 and without rectifier
                blocks[-1] = ScaledResidual(channels, chains, 1.0, width, activate=False)
            self.add_module(f"stage_{name}", nn.Sequential(*blocks))
        self.last = convolution(channels, (last, 1), width) if last else nn.Identity()
        channels = scaled(last, width) if last else channels
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        reset_weights(self, conv=rectified)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stage_c(self.stage_b(self.stage_a(self.stem(x))))
        x = flatten(self.avgpool(self.last(x)), 1)
        return self.fc(self.dropout(x))


PAPER = """Christian Szegedy, Sergey Ioffe, Vincent Vanhoucke, Alex Alemi: "Inception-v4,
Inception-ResNet and the impact of residual connections on learning", AAAI 2017,
https://arxiv.org/abs/1602.07261."""

inception_v4 = register(
    "inception_v4",
    InceptionV4,
    family="inception_v4",
    parameters=42_679_816,
    multiply_adds=12_253_974_624,
    input_size=(3, 299, 299),
    paper=PAPER,
)
inception_resnet_v2 = register(
    "inception_resnet_v2",
    InceptionResNetV2,
    family="inception_v4",
    parameters=55_843_464,
    multiply_adds=13_155_794_016,
    input_size=(3, 299, 299),
    paper=PAPER,
)
inception_resnet_v2_paper = register(
    "inception_resnet_v2_paper",
    partial(InceptionResNetV2, stem=STEM, repeats=(5, 10, 5), last=0),
    family="inception_v4",
    parameters=32_433_928,
    multiply_adds=9_257_953_632,
    input_size=(3, 299, 299),
    paper=PAPER,
)
