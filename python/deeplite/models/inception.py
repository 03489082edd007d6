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
from deeplite.models._init import reset_weights
from deeplite.models.googlenet import GoogLeNet
from deeplite.models.inception_blocks import (
    BasicConv2d,
    Branches,
    InputTransform,
    chained,
    convolution,
    rectified,
    scaled,
)
from deeplite.models.inception_chains import BN_TABLE, V3_BODY, V3_STEM, BNRow, bn_block
from deeplite.models.registry import register

__all__ = ["BNInception", "Inception3", "InceptionOutputs", "bn_inception", "inception_v3"]

InceptionOutputs = namedtuple("InceptionOutputs", ["logits", "aux_logits"])


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
        for name, step in V3_STEM:
            if step is None:
                self.add_module(name, nn.MaxPool2d(3, 2))
            else:
                self.add_module(name, convolution(channels, step, width))
                channels = scaled(step[0], width)
        self.AuxLogits: nn.Module | None = None
        for name, chains in V3_BODY:
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
        for name, _ in V3_STEM:
            x = getattr(self, name)(x)
        auxiliary = None
        for name, _ in V3_BODY:
            x = getattr(self, name)(x)
            if name == "Mixed_6e" and self.training and self.AuxLogits is not None:
                auxiliary = self.AuxLogits(x)
        x = self.fc(flatten(self.dropout(self.avgpool(x)), 1))
        return x if auxiliary is None else InceptionOutputs(x, auxiliary)

    loss = staticmethod(GoogLeNet.loss)


class BNInception(nn.Module):
    """BN-Inception: ``[N, 3, H, W] -> [N, num_classes]`` scores. 11.2 million parameters.

    Ports of Caffe's network have 11.3 million (11,295,240): biases beside the norm layers, and 128
    maps behind the pooling of the sixth and seventh table rows instead of the 96 that add up to the
    paper's 576.

    Args:
        table: a row per block, see ``inception_chains.BN_TABLE``.
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
        table: Sequence[BNRow] = BN_TABLE,
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
        blocks = [bn_block(row) for row in table]
        self.blocks, channels = chained(scaled(192, width), blocks, width)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, num_classes)
        reset_weights(self, conv=rectified)

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
