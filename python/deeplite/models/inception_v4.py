"""Inception v4 and Inception-ResNet-v2: Szegedy, Ioffe, Vanhoucke and Alemi, "Inception-v4,
Inception-ResNet and the impact of residual connections on learning", AAAI 2017, arXiv 1602.07261.

Inception-ResNet-v2 exists twice: as the paper's figures show it, and as its authors published it
(code and weights), with the stem of v3 and twice as many blocks. The name alone means the latter.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from deeplite import Tensor, flatten, nn
from deeplite.models.inception_blocks import Branches, Chain, convolution, scaled
from deeplite.models.registry import register

__all__ = [
    "InceptionResNetV2",
    "InceptionV4",
    "inception_resnet_v2",
    "inception_resnet_v2_paper",
    "inception_v4",
]

LOW, HIGH = (1, 7), (7, 1)
Blocks = Sequence[list[Chain]]
# Figure 3, from images of 299x299 to 384 maps of 35x35.
STEM: Blocks = (
    [("conv", "", [(32, 3, "v2"), (32, 3, "v"), (64, 3)])],
    [("max", "max2", []), ("conv", "", [(96, 3, "v2")])],
    [
        ("short", "", [(64, 1), (96, 3, "v")]),
        ("long", "", [(64, 1), (64, HIGH), (64, LOW), (96, 3, "v")]),
    ],
    [("conv", "", [(192, 3, "v2")]), ("max", "max2", [])],
)
# Figures 4 to 6: at 35x35, 17x17 and 8x8.
INCEPTION_A: list[Chain] = [
    ("mean", "mean", [(96, 1)]),
    ("one", "", [(96, 1)]),
    ("three", "", [(64, 1), (96, 3)]),
    ("double", "", [(64, 1), (96, 3), (96, 3)]),
]
INCEPTION_B: list[Chain] = [
    ("mean", "mean", [(128, 1)]),
    ("one", "", [(384, 1)]),
    ("seven", "", [(192, 1), (224, LOW), (256, HIGH)]),
    ("double", "", [(192, 1), (192, LOW), (224, HIGH), (224, LOW), (256, HIGH)]),
]
INCEPTION_C: list[Chain] = [
    ("mean", "mean", [(256, 1)]),
    ("one", "", [(256, 1)]),
    ("three", "", [(384, 1), [(256, (1, 3)), (256, (3, 1))]]),
    ("double", "", [(384, 1), (448, (1, 3)), (512, (3, 1)), [(256, (3, 1)), (256, (1, 3))]]),
]


def reduction_a(k: int, l: int, m: int, n: int) -> list[Chain]:
    """Figure 7 with the filter counts of table 1."""
    return [
        ("max", "max2", []),
        ("three", "", [(n, 3, "v2")]),
        ("double", "", [(k, 1), (l, 3), (m, 3, "v2")]),
    ]


# Figure 8.
REDUCTION_B: list[Chain] = [
    ("max", "max2", []),
    ("three", "", [(192, 1), (192, 3, "v2")]),
    ("seven", "", [(256, 1), (256, LOW), (320, HIGH), (320, 3, "v2")]),
]
V4: Blocks = (
    *STEM,
    *[INCEPTION_A] * 4,
    reduction_a(192, 224, 256, 384),
    *[INCEPTION_B] * 7,
    REDUCTION_B,
    *[INCEPTION_C] * 3,
)


def _chained(channels: int, blocks: Blocks, width: float) -> tuple[list[Branches], int]:
    made = []
    for chains in blocks:
        made.append(Branches(channels, chains, width))
        channels = made[-1].out_channels
    return made, channels


def _reset(model: nn.Module) -> None:
    for m in model.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            if m.bias is not None:
                nn.init.zeros_(m.bias)


class InceptionV4(nn.Module):
    """Inception v4: ``[N, 3, H, W] -> [N, num_classes]`` scores, for H, W >= 75 (the paper's images
    are 299x299). 42.7 million parameters (42,679,816), 12.3 billion multiply-adds.

    Args:
        dropout: probability before the last layer.
        blocks: the chains of each block, see the top of the file.
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
        made, channels = _chained(in_channels, blocks, width)
        self.features = nn.Sequential(*made)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        _reset(self)

    def forward(self, x: Tensor) -> Tensor:
        x = flatten(self.avgpool(self.features(x)), 1)
        return self.fc(self.dropout(x))


# Figures 16, 17 and 19: the branches; a 1x1 convolution without activation follows.
RESNET_A: list[Chain] = [
    ("one", "", [(32, 1)]),
    ("three", "", [(32, 1), (32, 3)]),
    ("double", "", [(32, 1), (48, 3), (64, 3)]),
]
RESNET_B: list[Chain] = [
    ("one", "", [(192, 1)]),
    ("seven", "", [(128, 1), (160, LOW), (192, HIGH)]),
]
RESNET_C: list[Chain] = [
    ("one", "", [(192, 1)]),
    ("three", "", [(192, 1), (224, (1, 3)), (256, (3, 1))]),
]
# Figure 18.
RESNET_REDUCTION_B: list[Chain] = [
    ("max", "max2", []),
    ("first", "", [(256, 1), (384, 3, "v2")]),
    ("second", "", [(256, 1), (288, 3, "v2")]),
    ("double", "", [(256, 1), (288, 3), (320, 3, "v2")]),
]
# The published code: the stem of v3 and one more inception block, 320 maps of 35x35.
STEM_V3: Blocks = (
    [("conv", "", [(32, 3, "v2"), (32, 3, "v"), (64, 3)])],
    [("max", "max2", [(80, 1), (192, 3, "v")])],
    [("max", "max2", [])],
    [
        ("one", "", [(96, 1)]),
        ("five", "", [(48, 1), (64, 5)]),
        ("double", "", [(64, 1), (96, 3), (96, 3)]),
        ("mean", "mean", [(64, 1)]),
    ],
)


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
        made, channels = _chained(in_channels, stem, width)
        self.stem = nn.Sequential(*made)
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
        _reset(self)

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
