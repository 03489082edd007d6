"""Xception: Chollet, "Xception: deep learning with depthwise separable convolutions", CVPR 2017,
arXiv 1610.02357."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from deeplite import Tensor, flatten, nn
from deeplite.models._init import reset_weights
from deeplite.models.registry import register
from deeplite.ops import branch_act

__all__ = ["SeparableConv2d", "Xception", "xception"]


class SeparableConv2d(nn.Sequential):
    """A depthwise 3x3 convolution and a 1x1 convolution with nothing between them:
    ``[N, inp, H, W] -> [N, oup, H, W]``."""

    def __init__(self, inp: int, oup: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(inp, inp, 3, padding=1, groups=inp, bias=False)
        self.pointwise = nn.Conv2d(inp, oup, 1, bias=False)


class Block(nn.Module):
    """Separable convolutions with ReLU before and norm after each, and a shortcut:
    ``[N, inp, H, W] -> [N, widths[-1], H/stride, W/stride]``.

    Args:
        widths: channels after each convolution.
        stride: 2 ends in a 3x3 maximum of stride 2, and the shortcut is a 1x1 convolution.
        start_with_relu: False where the input has been through one already.
    """

    def __init__(
        self, inp: int, widths: Sequence[int], stride: int = 1, start_with_relu: bool = True
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = inp
        for width in widths:
            layers += [nn.ReLU(), SeparableConv2d(channels, width), nn.BatchNorm2d(width)]
            channels = width
        if not start_with_relu:
            layers = layers[1:]
        if stride == 2:
            layers.append(nn.MaxPool2d(3, 2, padding=1))
        self.branch = nn.Sequential(*layers)
        self.shortcut = (
            nn.Sequential(nn.Conv2d(inp, channels, 1, 2, bias=False), nn.BatchNorm2d(channels))
            if stride == 2
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        return branch_act(self.branch, None, x, self.shortcut(x))


class Xception(nn.Module):
    """Depthwise separable convolutions with shortcuts: ``[N, 3, H, W] -> [N, num_classes]``.

    22.9 million parameters (22,855,952, the paper's table 3) at 299x299.

    Args:
        n_middle: blocks of the middle flow.
        width_mult: factor for the channels of every layer.
        dropout: probability before the classifier (0.5 in the paper on ImageNet).

    Example:
        >>> from deeplite.models.xception import Xception
        >>> net = Xception(num_classes=10, n_middle=1, width_mult=0.125)
        >>> tuple(net(deeplite.zeros(2, 3, 71, 71)).shape)
        (2, 10)
    """

    def __init__(
        self,
        num_classes: int = 1000,
        dropout: float = 0.5,
        *,
        n_middle: int = 8,
        width_mult: float = 1.0,
        in_channels: int = 3,
    ) -> None:
        super().__init__()

        def w(channels: int) -> int:
            return max(1, int(channels * width_mult))

        def cell(conv: nn.Module, channels: int) -> list[nn.Module]:
            return [conv, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]

        self.entry = nn.Sequential(
            *cell(nn.Conv2d(in_channels, w(32), 3, 2, bias=False), w(32)),
            *cell(nn.Conv2d(w(32), w(64), 3, bias=False), w(64)),
            Block(w(64), [w(128), w(128)], 2, start_with_relu=False),
            Block(w(128), [w(256), w(256)], 2),
            Block(w(256), [w(728), w(728)], 2),
        )
        self.middle = nn.Sequential(*[Block(w(728), [w(728)] * 3) for _ in range(n_middle)])
        self.exit = nn.Sequential(
            Block(w(728), [w(728), w(1024)], 2),
            *cell(SeparableConv2d(w(1024), w(1536)), w(1536)),
            *cell(SeparableConv2d(w(1536), w(2048)), w(2048)),
            nn.AdaptiveAvgPool2d(1),
        )
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(w(2048), num_classes)
        reset_weights(self, conv=partial(nn.init.kaiming_normal_, nonlinearity="relu"))

    def forward(self, x: Tensor) -> Tensor:
        x = self.exit(self.middle(self.entry(x)))
        return self.fc(self.dropout(flatten(x, 1)))


xception = register(
    "xception",
    Xception,
    family="xception",
    parameters=22_855_952,
    multiply_adds=8_357_403_496,
    paper="""Francois Chollet: "Xception: deep learning with depthwise separable convolutions", CVPR
2017, https://arxiv.org/abs/1610.02357.""",
    input_size=(3, 299, 299),
)
