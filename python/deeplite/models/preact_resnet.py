"""Pre-activation ResNet ("v2"): He, Zhang, Ren and Sun, "Identity mappings in deep residual
networks", ECCV 2016, arXiv 1603.05027; and the wide residual networks for CIFAR, which have the
same
blocks: Zagoruyko and Komodakis, BMVC 2016, arXiv 1605.07146.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from deeplite import Tensor, flatten, nn
from deeplite.models.registry import register
from deeplite.models.residual import Norm, ZeroPadShortcut
from deeplite.ops import StochasticDepth, conv_norm_act, norm_act

__all__ = [
    "PreActResNet",
    "preact_resnet1001_cifar",
    "preact_resnet101",
    "preact_resnet110_cifar",
    "preact_resnet152",
    "preact_resnet164_cifar",
    "preact_resnet18",
    "preact_resnet200",
    "preact_resnet34",
    "preact_resnet50",
    "wide_resnet16_8_cifar",
    "wide_resnet28_10_cifar",
    "wide_resnet40_4_cifar",
]


class PreActBlock(nn.Module):
    """``x + branch(x)``, with a norm layer and a rectifier before each convolution of the branch.
    ``[N, in_channels, H, W] -> [N, channels, H/s, W/s]``.

    Where the shape changes, shortcut and branch share the first activation; where it does not, the
    shortcut is the bare identity from block to block.

    Args:
        channels: of the result; a bottleneck's inner width is a quarter of it.
        bottleneck: 1x1, 3x3, 1x1 convolutions rather than two 3x3.
        activate: False for the first block, whose input is activated already.
        shortcut: "A" pads with zeros where the shape changes, "B" projects.
        dropout: probability between the convolutions of the branch (wide residual networks).
        drop: probability that training leaves the branch out (stochastic depth).
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int,
        bottleneck: bool,
        norm_layer: Norm,
        activate: bool = True,
        shortcut: str = "B",
        dropout: float = 0.0,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        inner = channels // 4 if bottleneck else channels
        self.activate = activate
        if activate:
            self.bn1 = norm_layer(in_channels)
        self.relu = nn.ReLU(inplace=True)
        if bottleneck:
            self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
            self.bn2 = norm_layer(inner)
            self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, bias=False)
            self.bn3 = norm_layer(inner)
            self.conv3: nn.Module | None = nn.Conv2d(inner, channels, 1, bias=False)
        else:
            self.conv1 = nn.Conv2d(in_channels, inner, 3, stride, padding=1, bias=False)
            self.bn2 = norm_layer(inner)
            self.conv2 = nn.Conv2d(inner, inner, 3, padding=1, bias=False)
            self.conv3 = None
        self.dropout = nn.Dropout(dropout) if dropout else None
        self.downsample: nn.Module | None = None
        if stride != 1 or in_channels != channels:
            if shortcut == "A":
                self.downsample = ZeroPadShortcut(in_channels, channels, stride)
            else:
                self.downsample = nn.Conv2d(in_channels, channels, 1, stride, bias=False)
        self.stochastic_depth = StochasticDepth(drop, "batch") if drop else None

    def forward(self, x: Tensor) -> Tensor:
        active = norm_act(self.bn1, self.relu, x) if self.activate else x
        y = conv_norm_act(self.conv1, self.bn2, self.relu, active)
        if self.dropout is not None:
            y = self.dropout(y)
        last: nn.Module = self.conv2
        if self.conv3 is not None:
            y = conv_norm_act(self.conv2, self.bn3, self.relu, y)
            last = self.conv3
        shortcut = x if self.downsample is None else self.downsample(active)
        if self.stochastic_depth is None:
            return conv_norm_act(last, None, None, y, shortcut)
        y = self.stochastic_depth(last(y))
        y += shortcut
        return y


class PreActResNet(nn.Module):
    """A residual network of pre-activation blocks: ``[N, 3, H, W] -> [N, num_classes]`` scores.

    ResNet-164 for CIFAR has 1.7 million parameters, ResNet-1001 10.3 million, WRN-28-10 36.5
    million (36,479,194).

    Args:
        layers: how many blocks each stage has.
        widths: channels of each stage's result.
        bottleneck: kind of the blocks, see :class:`PreActBlock`.
        stem: "imagenet" (7x7 convolution and maximum, both of stride 2) or "cifar" (3x3 of stride
        1).
        stem_width: channels of the stem.
        shortcut, dropout, norm_layer: see :class:`PreActBlock`.
        stochastic_depth_prob: probability that training leaves out the last block; it falls
            linearly to 0 at the input.
        in_channels: channels of the images.

    Raises:
        ValueError: options that do not fit together.

    Example:
        >>> from deeplite.models.preact_resnet import PreActResNet
        >>> net = PreActResNet((1, 1), (16, 32), stem="cifar", stem_width=8, num_classes=10)
        >>> tuple(net(deeplite.zeros(2, 3, 16, 16)).shape)
        (2, 10)
    """

    def __init__(
        self,
        layers: Sequence[int],
        widths: Sequence[int],
        num_classes: int = 1000,
        *,
        bottleneck: bool = True,
        stem: str = "imagenet",
        stem_width: int = 64,
        shortcut: str = "B",
        dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        norm_layer: Norm = nn.BatchNorm2d,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if len(layers) != len(widths):
            raise ValueError(f"PreActResNet: {len(layers)} stages but {len(widths)} widths")
        if stem not in ("imagenet", "cifar") or shortcut not in ("A", "B"):
            raise ValueError(
                "PreActResNet: stem must be 'imagenet' or 'cifar' and shortcut 'A' or 'B', "
                f"got {stem!r} and {shortcut!r}"
            )
        kernel, stride, padding = (7, 2, 3) if stem == "imagenet" else (3, 1, 1)
        self.conv1 = nn.Conv2d(in_channels, stem_width, kernel, stride, padding, bias=False)
        self.bn1 = norm_layer(stem_width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if stem == "imagenet" else nn.Identity()
        self.stages = [f"layer{i}" for i in range(1, len(layers) + 1)]
        channels, done = stem_width, 0
        for i, (name, width, n) in enumerate(zip(self.stages, widths, layers)):
            blocks = []
            for j in range(n):
                step = 2 if i > 0 and j == 0 else 1
                drop = stochastic_depth_prob * (done + 1) / sum(layers)
                blocks.append(
                    PreActBlock(
                        channels,
                        width,
                        step,
                        bottleneck,
                        norm_layer,
                        done > 0,
                        shortcut,
                        dropout,
                        drop,
                    )  # fmt: skip
                )
                channels, done = width, done + 1
            self.add_module(name, nn.Sequential(*blocks))
        self.bn2 = norm_layer(channels)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(channels, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(conv_norm_act(self.conv1, self.bn1, self.relu, x))
        for name in self.stages:
            x = getattr(self, name)(x)
        x = self.avgpool(norm_act(self.bn2, self.relu, x))
        return self.fc(flatten(x, 1))


PREACT = """Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun: "Identity mappings in deep residual
networks", ECCV 2016, https://arxiv.org/abs/1603.05027."""
WIDE = """Sergey Zagoruyko, Nikos Komodakis: "Wide residual networks", BMVC 2016,
https://arxiv.org/abs/1605.07146."""


def _enter(
    name: str, make: Callable[..., PreActResNet], parameters: int, multiply_adds: int,
    paper: str = PREACT,
) -> Callable[..., PreActResNet]:  # fmt: skip
    return register(
        name,
        make,
        family="preact_resnet",
        parameters=parameters,
        multiply_adds=multiply_adds,
        paper=paper,
        input_size=(3, 32, 32) if name.endswith("_cifar") else (3, 224, 224),
    )


def _imagenet(layers: Sequence[int], bottleneck: bool = True) -> Callable[..., PreActResNet]:
    widths = [64 * 2**i * (4 if bottleneck else 1) for i in range(4)]
    return partial(PreActResNet, layers, bottleneck=bottleneck, widths=widths)


def _cifar(n: int, width: int = 16, **options: Any) -> Callable[..., PreActResNet]:
    widths = (width, 2 * width, 4 * width)
    fixed: dict[str, Any] = {"stem": "cifar", "stem_width": 16, "num_classes": 10, **options}
    return partial(PreActResNet, (n, n, n), widths=widths, **fixed)


preact_resnet18 = _enter(
    "preact_resnet18", _imagenet((2, 2, 2, 2), False), 11_687_720, 1_814_073_344
)
preact_resnet34 = _enter(
    "preact_resnet34", _imagenet((3, 4, 6, 3), False), 21_795_880, 3_663_761_408
)
preact_resnet50 = _enter("preact_resnet50", _imagenet((3, 4, 6, 3)), 25_549_352, 4_089_184_256)
preact_resnet101 = _enter("preact_resnet101", _imagenet((3, 4, 23, 3)), 44_541_480, 7_801_405_440)
preact_resnet152 = _enter("preact_resnet152", _imagenet((3, 8, 36, 3)), 60_185_128, 11_513_626_624)
preact_resnet200 = _enter("preact_resnet200", _imagenet((3, 24, 36, 3)), 64_666_152, 15_007_481_856)
# 6n + 2 layers with two convolutions a block, 9n + 2 with three.
preact_resnet110_cifar = _enter(
    "preact_resnet110_cifar", _cifar(18, bottleneck=False, shortcut="A"), 1_727_962, 252_887_680
)
preact_resnet164_cifar = _enter("preact_resnet164_cifar", _cifar(18, 64), 1_703_258, 247_646_720)
preact_resnet1001_cifar = _enter(
    "preact_resnet1001_cifar", _cifar(111, 64), 10_327_706, 1_490_995_712
)
# WRN-d-k: d = 6n + 4 layers, k times as wide.
wide_resnet16_8_cifar = _enter(
    "wide_resnet16_8_cifar", _cifar(2, 128, bottleneck=False), 10_961_370, 1_548_145_664, WIDE
)
wide_resnet40_4_cifar = _enter(
    "wide_resnet40_4_cifar", _cifar(6, 64, bottleneck=False), 8_949_210, 1_298_582_016, WIDE
)
wide_resnet28_10_cifar = _enter(
    "wide_resnet28_10_cifar", _cifar(4, 160, bottleneck=False), 36_479_194, 5_243_328_768, WIDE
)
