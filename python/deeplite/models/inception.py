"""Inception v3: Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the inception architecture
for computer vision", CVPR 2016, arXiv 1512.00567; and the net that came before it: Ioffe and
Szegedy, "Batch normalization", ICML 2015, arXiv 1502.03167, often called Inception v2 or
BN-Inception.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from typing import Any

from deeplite import Tensor, flatten, nn
from deeplite.models.googlenet import GoogLeNet
from deeplite.models.inception_blocks import (
    BasicConv2d,
    Branches,
    Chain,
    InputTransform,
    convolution,
    scaled,
)
from deeplite.models.registry import register

__all__ = ["BNInception", "Inception3", "InceptionOutputs", "bn_inception", "inception_v3"]

InceptionOutputs = namedtuple("InceptionOutputs", ["logits", "aux_logits"])


def block_a(pool_features: int) -> list[Chain]:
    """Figure 5: two 3x3 in place of a 5x5; the single 5x5 stayed in Google's code."""
    return [
        ("branch1x1", "", [(64, 1)]),
        ("branch5x5", "", [(48, 1), (64, 5)]),
        ("branch3x3dbl", "", [(64, 1), (96, 3), (96, 3)]),
        ("branch_pool", "mean", [(pool_features, 1)]),
    ]


def block_c(c7: int) -> list[Chain]:
    """Figure 6: 7x7 as 1x7 and 7x1."""
    low, high = (1, 7), (7, 1)
    return [
        ("branch1x1", "", [(192, 1)]),
        ("branch7x7", "", [(c7, 1), (c7, low), (192, high)]),
        ("branch7x7dbl", "", [(c7, 1), (c7, high), (c7, low), (c7, high), (192, low)]),
        ("branch_pool", "mean", [(192, 1)]),
    ]


# Section 5: means beside convolutions of stride 2, so that nothing is squeezed away on the way.
BLOCK_B: list[Chain] = [
    ("branch3x3", "", [(384, 3, "v2")]),
    ("branch3x3dbl", "", [(64, 1), (96, 3), (96, 3, "v2")]),
    ("branch_max", "max2", []),
]
BLOCK_D: list[Chain] = [
    ("branch3x3", "", [(192, 1), (320, 3, "v2")]),
    ("branch7x7x3", "", [(192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, "v2")]),
    ("branch_max", "max2", []),
]
# Figure 7: wide at the coarsest maps.
BLOCK_E: list[Chain] = [
    ("branch1x1", "", [(320, 1)]),
    ("branch3x3", "", [(384, 1), [(384, (1, 3)), (384, (3, 1))]]),
    ("branch3x3dbl", "", [(448, 1), (384, 3), [(384, (1, 3)), (384, (3, 1))]]),
    ("branch_pool", "mean", [(192, 1)]),
]
STEM: tuple[tuple[str, Any], ...] = (
    ("Conv2d_1a_3x3", (32, 3, "v2")),
    ("Conv2d_2a_3x3", (32, 3, "v")),
    ("Conv2d_2b_3x3", (64, 3)),
    ("maxpool1", None),
    ("Conv2d_3b_1x1", (80, 1)),
    ("Conv2d_4a_3x3", (192, 3, "v")),
    ("maxpool2", None),
)
BODY: tuple[tuple[str, list[Chain]], ...] = (
    ("Mixed_5b", block_a(32)),
    ("Mixed_5c", block_a(64)),
    ("Mixed_5d", block_a(64)),
    ("Mixed_6a", BLOCK_B),
    ("Mixed_6b", block_c(128)),
    ("Mixed_6c", block_c(160)),
    ("Mixed_6d", block_c(160)),
    ("Mixed_6e", block_c(192)),
    ("Mixed_7a", BLOCK_D),
    ("Mixed_7b", BLOCK_E),
    ("Mixed_7c", BLOCK_E),
)


class InceptionAux(nn.Module):
    """The auxiliary classifier: ``[N, in_channels, 17, 17] -> [N, num_classes]`` scores."""

    def __init__(self, in_channels: int, num_classes: int, width: float = 1.0) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(5, 3)
        self.conv0 = BasicConv2d(in_channels, scaled(128, width), kernel_size=1)
        self.conv1 = BasicConv2d(scaled(128, width), scaled(768, width), kernel_size=5)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(scaled(768, width), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(self.conv0(self.pool(x)))
        return self.fc(flatten(self.avgpool(x), 1))


class Inception3(nn.Module):
    """Inception v3: ``[N, 3, H, W] -> [N, num_classes]`` scores, for H, W >= 75 (the paper's images
    are 299x299; training the auxiliary classifier needs that).

    In training mode with ``aux_logits`` the result is ``InceptionOutputs(logits, aux_logits)``.
    27.2 million parameters (27,161,264), 23.8 million of them without the auxiliary classifier.

    Args:
        aux_logits: whether there is an auxiliary classifier.
        transform_input: see :class:`~deeplite.models.inception_blocks.InputTransform`.
        init_weights: weights from a truncated normal distribution of deviation 0.1 (0.001 in the
            auxiliary classifier's last layer); False leaves the layers' own initial values.
        dropout: probability before the last layer.
        width: factor for all channels.
        in_channels: channels of the images.

    Raises:
        ShapeError: an image too small; the message names the layer at which the map vanishes.

    Example:
        >>> from deeplite.models.inception import Inception3
        >>> net = Inception3(num_classes=10, width=0.125).eval()
        >>> tuple(net(deeplite.zeros(2, 3, 75, 75)).shape)
        (2, 10)
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        init_weights: bool = True,
        *,
        dropout: float = 0.5,
        width: float = 1.0,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.aux_logits = aux_logits
        self.transform_input = InputTransform() if transform_input else None
        channels = in_channels
        for name, step in STEM:
            if step is None:
                self.add_module(name, nn.MaxPool2d(3, 2))
            else:
                self.add_module(name, convolution(channels, step, width))
                channels = scaled(step[0], width)
        self.AuxLogits: nn.Module | None = None
        for name, chains in BODY:
            block = Branches(channels, chains, width)
            self.add_module(name, block)
            channels = block.out_channels
            if name == "Mixed_6e" and aux_logits:
                self.AuxLogits = InceptionAux(channels, num_classes, width)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        if init_weights:
            self._reset()

    def _reset(self) -> None:
        for name, m in self.named_modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                std = 0.001 if name == "AuxLogits.fc" else 0.1
                nn.init.trunc_normal_(m.weight, std=std, a=-2, b=2)

    def forward(self, x: Tensor) -> Any:
        if self.transform_input is not None:
            x = self.transform_input(x)
        for name, _ in STEM:
            x = getattr(self, name)(x)
        auxiliary = None
        for name, _ in BODY:
            x = getattr(self, name)(x)
            if name == "Mixed_6e" and self.training and self.AuxLogits is not None:
                auxiliary = self.AuxLogits(x)
        x = self.fc(flatten(self.dropout(self.avgpool(x)), 1))
        return x if auxiliary is None else InceptionOutputs(x, auxiliary)

    loss = staticmethod(GoogLeNet.loss)


# Figure 5 of "Batch normalization": 1x1; 3x3 reduce, 3x3; double 3x3 reduce, double 3x3; pooling
# and its projection. Blocks without 1x1 have stride 2.
BN_TABLE: tuple[tuple[int, int, int, int, int, str, int], ...] = (
    (64, 64, 64, 64, 96, "mean", 32),
    (64, 64, 96, 64, 96, "mean", 64),
    (0, 128, 160, 64, 96, "max2s", 0),
    (224, 64, 96, 96, 128, "mean", 128),
    (192, 96, 128, 96, 128, "mean", 128),
    (160, 128, 160, 128, 160, "mean", 96),
    (96, 128, 192, 160, 192, "mean", 96),
    (0, 128, 192, 192, 256, "max2s", 0),
    (352, 192, 320, 160, 224, "mean", 128),
    (352, 192, 320, 192, 224, "max", 128),
)


class BNInception(nn.Module):
    """BN-Inception: ``[N, 3, H, W] -> [N, num_classes]`` scores. 11.2 million parameters.

    Ports of Caffe's network have 11.3 million (11,295,240): biases beside the norm layers, and 128
    maps behind the pooling of the sixth and seventh table rows instead of the 96 that add up to the
    paper's 576.

    Args:
        table: see the top of the file's second half.
        width: factor for all channels.
        in_channels: channels of the images.

    Example:
        >>> from deeplite.models.inception import BNInception
        >>> net = BNInception(num_classes=10, width=0.125).eval()
        >>> tuple(net(deeplite.zeros(2, 3, 32, 32)).shape)
        (2, 10)
    """

    def __init__(
        self,
        num_classes: int = 1000,
        *,
        table: Sequence[tuple[int, int, int, int, int, str, int]] = BN_TABLE,
        width: float = 1.0,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            convolution(in_channels, (64, 7, "s2"), width),
            nn.MaxPool2d(3, 2, padding=1),
            convolution(scaled(64, width), (64, 1), width),
            convolution(scaled(64, width), (192, 3), width),
            nn.MaxPool2d(3, 2, padding=1),
        )
        channels = scaled(192, width)
        blocks = []
        for one, reduce, three, reduce2, double, pooling, projection in table:
            how = "" if one else "s2"
            chains: list[Chain] = [
                ("branch3x3", "", [(reduce, 1), (three, 3, how)]),
                ("branch3x3dbl", "", [(reduce2, 1), (double, 3), (double, 3, how)]),
                ("branch_pool", pooling, [(projection, 1)] if projection else []),
            ]
            if one:
                chains.insert(0, ("branch1x1", "", [(one, 1)]))
            block = Branches(channels, chains, width)
            blocks.append(block)
            channels = block.out_channels
        self.blocks = nn.Sequential(*blocks)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.blocks(self.stem(x)))
        return self.fc(flatten(x, 1))


inception_v3 = register(
    "inception_v3",
    Inception3,
    family="inception",
    parameters=27_161_264,
    multiply_adds=5_713_216_096,
    input_size=(3, 299, 299),
    paper="""Christian Szegedy, Vincent Vanhoucke, Sergey Ioffe, Jonathon Shlens, Zbigniew Wojna:
"Rethinking the inception architecture for computer vision", CVPR 2016,
https://arxiv.org/abs/1512.00567.""",
)
bn_inception = register(
    "bn_inception",
    BNInception,
    family="inception",
    parameters=11_194_984,
    multiply_adds=2_018_851_840,
    paper="""Sergey Ioffe, Christian Szegedy: "Batch normalization: accelerating deep network
training by reducing internal covariate shift", ICML 2015, https://arxiv.org/abs/1502.03167.""",
)
