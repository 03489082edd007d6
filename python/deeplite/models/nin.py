"""Network in Network: Lin, Chen and Yan, "Network in network", ICLR 2014, arXiv 1312.4400."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from deeplite import Tensor, flatten, nn
from deeplite.models.registry import register

__all__ = ["NiN", "nin_cifar", "nin_imagenet"]

# kernel, stride, padding, channels of the convolution and of the two 1x1 layers behind it, what
# follows; None stands for the number of classes.
Block = tuple[int, int, int, tuple[int | None, ...], str]
CIFAR: tuple[Block, ...] = (
    (5, 1, 2, (192, 160, 96), "max drop"),
    (5, 1, 2, (192, 192, 192), "mean drop"),
    (3, 1, 1, (192, 192, None), ""),
)
IMAGENET: tuple[Block, ...] = (
    (11, 4, 0, (96, 96, 96), "max"),
    (5, 1, 2, (256, 256, 256), "max"),
    (3, 1, 1, (384, 384, 384), "max drop"),
    (3, 1, 1, (1024, 1024, None), ""),
)


class NiN(nn.Module):
    """Convolutions whose filters are small networks: a k x k convolution and two 1x1 ones, each
    with a rectifier. The last has one map per class, whose mean is the score: no linear layer.
    ``[N, 3, H, W] -> [N, num_classes]``.

    The form for CIFAR-10 has 0.97 million parameters (966,986), that for ImageNet 7.6 million.

    Args:
        blocks: see the top of the file.
        dropout: probability where a block says "drop".
        width: factor for all hidden channels.
        in_channels: channels of the images.

    Raises:
        ShapeError: an image too small; the message names the layer at which the map vanishes.

    Example:
        >>> from deeplite.models.nin import CIFAR, NiN
        >>> tuple(NiN(CIFAR, num_classes=10, width=0.1)(deeplite.zeros(2, 3, 32, 32)).shape)
        (2, 10)
    """

    def __init__(
        self,
        blocks: Sequence[Block] = IMAGENET,
        num_classes: int = 1000,
        dropout: float = 0.5,
        *,
        width: float = 1.0,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for kernel, stride, padding, channels, behind in blocks:
            for i, wanted in enumerate(channels):
                out = num_classes if wanted is None else max(1, int(wanted * width))
                geometry = (kernel, stride, padding) if i == 0 else (1,)
                layers += [nn.Conv2d(in_channels, out, *geometry), nn.ReLU(inplace=True)]
                in_channels = out
            if "max" in behind:
                layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
            if "mean" in behind:
                layers.append(nn.AvgPool2d(3, 2, ceil_mode=True))
            if "drop" in behind:
                layers.append(nn.Dropout(dropout))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self._reset()

    def _reset(self) -> None:
        # The authors' N(0, 0.05^2) makes the signal vanish without their pre-training: He's rule.
        convs = [m for m in self.modules() if isinstance(m, nn.Conv2d)]
        for m in convs:
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        # A rectifier stands behind the scores, too. A class whose map is negative everywhere gets
        # no gradient and never comes back, so all maps begin above zero: at 1, give or take little.
        nn.init.normal_(convs[-1].weight, 0, 0.01)
        if convs[-1].bias is not None:
            nn.init.ones_(convs[-1].bias)

    def forward(self, x: Tensor) -> Tensor:
        return flatten(self.avgpool(self.features(x)), 1)


PAPER = """Min Lin, Qiang Chen, Shuicheng Yan: "Network in network", ICLR 2014,
https://arxiv.org/abs/1312.4400."""

nin_cifar = register(
    "nin_cifar",
    partial(NiN, CIFAR, num_classes=10),
    family="nin",
    parameters=966_986,
    multiply_adds=222_486_528,
    input_size=(3, 32, 32),
    paper=PAPER,
)
nin_imagenet = register(
    "nin_imagenet",
    partial(NiN, IMAGENET),
    family="nin",
    parameters=7_595_176,
    multiply_adds=1_100_188_800,
    paper=PAPER,
)
