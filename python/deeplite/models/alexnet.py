"""AlexNet: Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional
neural networks", NIPS 2012; the single tower that torchvision calls AlexNet: Krizhevsky, "One weird
trick for parallelizing convolutional neural networks", 2014, arXiv 1404.5997; and ZFNet: Zeiler and
Fergus, "Visualizing and understanding convolutional networks", ECCV 2014, arXiv 1311.2901.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from deeplite import Tensor, flatten, nn
from deeplite.models.registry import register

__all__ = ["AlexNet", "alexnet", "alexnet2012", "zfnet"]


@dataclass(frozen=True)
class Stage:
    """One convolution with a rectifier, and what follows it.

    Attributes:
        channels, kernel, stride, padding, groups: of the convolution.
        norm: whether local response normalisation follows.
        pool: whether 3x3 maxima of stride 2 follow; "ceil" rounds the size of the map up.
        pool_first: whether they come before the normalisation.
        bias: initial value of the biases in the papers' scheme.
    """

    channels: int
    kernel: int = 3
    stride: int = 1
    padding: int = 1
    groups: int = 1
    norm: bool = False
    pool: bool | str = False
    pool_first: bool = False
    bias: float = 0.0


SINGLE_TOWER = (
    Stage(64, 11, 4, 2, pool=True),
    Stage(192, 5, 1, 2, pool=True),
    Stage(384),
    Stage(256),
    Stage(256, pool=True),
)
# Figure 2: two towers, one per GPU, that exchange maps only in the third layer. A convolution of
# two groups is the same thing.
TWO_TOWERS = (
    Stage(96, 11, 4, 2, norm=True, pool=True),
    Stage(256, 5, 1, 2, groups=2, norm=True, pool=True, bias=1.0),
    Stage(384),
    Stage(384, groups=2, bias=1.0),
    Stage(256, groups=2, pool=True, bias=1.0),
)
# Figure 3 of Zeiler and Fergus: maps of 110, 55, 26, 13, 13, 13, 13 and 6.
ZEILER_FERGUS = (
    Stage(96, 7, 2, 1, norm=True, pool="ceil", pool_first=True),
    Stage(256, 5, 2, 0, norm=True, pool="ceil", pool_first=True),
    Stage(384),
    Stage(384),
    Stage(256, pool=True),
)


class AlexNet(nn.Module):
    """Five convolutions and three linear layers: ``[N, 3, H, W] -> [N, num_classes]`` scores, for
    images of 63x63 or more (the papers' are 224x224).

    torchvision's form, with its keys and initial values, has 61.1 million parameters (61,100,840),
    the net of 2012 60,965,224, ZFNet 62,357,608.

    Args:
        dropout: probability beside the two hidden linear layers.
        stages: the convolutions.
        hidden: width of the hidden linear layers.
        paper: build the linear layers as the papers do: dropout behind the hidden layers, not
            before; weights from N(0, 0.01^2) and the biases of ``stages``, 1 in hidden layers.
        hidden_bias: initial value of the hidden layers' biases with ``paper``.
        in_channels: channels of the images.

    Raises:
        ShapeError: an image too small; the message names the layer at which the map vanishes.

    Example:
        >>> from deeplite.models.alexnet import AlexNet, Stage
        >>> small = (Stage(8, 5, 2, 2, norm=True, pool=True), Stage(16, groups=2, pool=True))
        >>> net = AlexNet(num_classes=10, stages=small, hidden=32, paper=True)
        >>> tuple(net(deeplite.zeros(2, 3, 64, 64)).shape)
        (2, 10)
    """

    def __init__(
        self,
        num_classes: int = 1000,
        dropout: float = 0.5,
        *,
        stages: Sequence[Stage] = SINGLE_TOWER,
        hidden: int = 4096,
        paper: bool = False,
        hidden_bias: float = 1.0,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for s in stages:
            conv = nn.Conv2d(
                in_channels, s.channels, s.kernel, s.stride, s.padding, groups=s.groups
            )
            layers += [conv, nn.ReLU(inplace=True)]
            more: list[nn.Module] = []
            if s.norm:
                # The paper's alpha of 1e-4 is not divided by the size, the layer's is.
                more.append(nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0))
            if s.pool:
                more.append(nn.MaxPool2d(3, 2, ceil_mode=s.pool == "ceil"))
            layers += reversed(more) if s.pool_first else more
            in_channels = s.channels
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        first = [nn.Linear(in_channels * 6 * 6, hidden), nn.ReLU(inplace=True)]
        second = [nn.Linear(hidden, hidden), nn.ReLU(inplace=True)]
        drops = [nn.Dropout(dropout), nn.Dropout(dropout)]
        if paper:
            parts = [*first, drops[0], *second, drops[1]]
        else:
            parts = [drops[0], *first, drops[1], *second]
        self.classifier = nn.Sequential(*parts, nn.Linear(hidden, num_classes))
        if paper:
            self._reset([s.bias for s in stages] + [hidden_bias, hidden_bias, 0.0])

    def _reset(self, biases: list[float]) -> None:
        layers = [m for m in self.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
        for layer, bias in zip(layers, biases):
            nn.init.normal_(layer.weight, 0, 0.01)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))
        return self.classifier(flatten(x, 1))


alexnet = register(
    "alexnet",
    AlexNet,
    family="alexnet",
    parameters=61_100_840,
    multiply_adds=714_188_480,
    paper="""Alex Krizhevsky: "One weird trick for parallelizing convolutional neural networks",
2014, https://arxiv.org/abs/1404.5997.""",
)
alexnet2012 = register(
    "alexnet2012",
    partial(AlexNet, stages=TWO_TOWERS, paper=True),
    family="alexnet",
    parameters=60_965_224,
    multiply_adds=724_406_816,
    paper="""Alex Krizhevsky, Ilya Sutskever, Geoffrey Hinton: "ImageNet classification with deep
convolutional neural networks", NIPS 2012.""",
)
zfnet = register(
    "zfnet",
    partial(AlexNet, stages=ZEILER_FERGUS, paper=True, hidden_bias=0.0),
    family="alexnet",
    parameters=62_357_608,
    multiply_adds=1_168_032_896,
    paper="""Matthew Zeiler, Rob Fergus: "Visualizing and understanding convolutional networks",
ECCV 2014, https://arxiv.org/abs/1311.2901.""",
)
