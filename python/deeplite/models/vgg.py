"""VGG: Simonyan and Zisserman, "Very deep convolutional networks for large-scale image
recognition", ICLR 2015, arXiv 1409.1556. Networks A, B, D and E of its table 1; the forms with
batch normalisation (Ioffe and Szegedy, 2015) came later and are torchvision's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from deeplite import Tensor, flatten, nn
from deeplite.models.registry import register

__all__ = [
    "VGG",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
]

# Convolutions in each of the five stages; a 2x2 maximum ends a stage.
DEPTHS = {
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
WIDTHS = (64, 128, 256, 512, 512)


class VGG(nn.Module):
    """A chain of 3x3 convolutions: ``[N, 3, H, W] -> [N, num_classes]`` scores, for H, W >= 32.

    VGG-16 has 138 million parameters (138,357,544), 124 million of them in ``classifier``.

    Args:
        depths: how many convolutions each stage has; a 2x2 maximum ends a stage.
        batch_norm: whether a batch normalisation follows each convolution.
        init_weights: False leaves the layers' own initial values.
        dropout: probability behind the two hidden linear layers.
        widths: channels of each stage.
        hidden: width of the two hidden linear layers.

    Raises:
        ValueError: ``depths`` and ``widths`` differ in length.
        ShapeError: an image too small; the message names the layer at which the map vanishes.

    Example:
        >>> from deeplite.models.vgg import VGG
        >>> net = VGG((1, 1, 1), widths=(8, 16, 32), hidden=64, num_classes=10)
        >>> tuple(net(deeplite.zeros(2, 3, 32, 32)).shape)
        (2, 10)
    """

    def __init__(
        self,
        depths: Sequence[int],
        batch_norm: bool = False,
        num_classes: int = 1000,
        init_weights: bool = True,
        dropout: float = 0.5,
        *,
        widths: Sequence[int] = WIDTHS,
        hidden: int = 4096,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if len(depths) != len(widths):
            raise ValueError(f"VGG: {len(depths)} depths but {len(widths)} widths")
        layers: list[nn.Module] = []
        for depth, width in zip(depths, widths):
            for _ in range(depth):
                layers.append(nn.Conv2d(in_channels, width, 3, padding=1))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(width))
                layers.append(nn.ReLU(inplace=True))
                in_channels = width
            layers.append(nn.MaxPool2d(2, 2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(in_channels * 7 * 7, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden, num_classes),
        )
        if init_weights:
            self._reset()

    def _reset(self) -> None:
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, nn.Linear):
                nn.init.normal_(m.weight, 0, 0.01)
            if isinstance(m, (nn.Conv2d, nn.Linear)) and m.bias is not None:
                nn.init.zeros_(m.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))
        return self.classifier(flatten(x, 1))


PAPER = """Karen Simonyan, Andrew Zisserman: "Very deep convolutional networks for large-scale image
recognition", ICLR 2015, https://arxiv.org/abs/1409.1556."""


def _enter(
    name: str, depth: int, batch_norm: bool, parameters: int, multiply_adds: int
) -> Callable[..., VGG]:
    return register(
        name,
        partial(VGG, DEPTHS[depth], batch_norm),
        family="vgg",
        parameters=parameters,
        multiply_adds=multiply_adds,
        paper=PAPER,
    )


vgg11 = _enter("vgg11", 11, False, 132_863_336, 7_609_090_048)
vgg11_bn = _enter("vgg11_bn", 11, True, 132_868_840, 7_609_090_048)
vgg13 = _enter("vgg13", 13, False, 133_047_848, 11_308_466_176)
vgg13_bn = _enter("vgg13_bn", 13, True, 133_053_736, 11_308_466_176)
vgg16 = _enter("vgg16", 16, False, 138_357_544, 15_470_264_320)
vgg16_bn = _enter("vgg16_bn", 16, True, 138_365_992, 15_470_264_320)
vgg19 = _enter("vgg19", 19, False, 143_667_240, 19_632_062_464)
vgg19_bn = _enter("vgg19_bn", 19, True, 143_678_248, 19_632_062_464)
