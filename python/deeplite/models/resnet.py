"""ResNet: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR 2016,
arXiv 1512.03385; and what was built on it with the same blocks: ResNeXt (Xie et al., CVPR 2017,
arXiv 1611.05431), Wide ResNet (Zagoruyko and Komodakis, BMVC 2016, arXiv 1605.07146) and stochastic
depth (Huang et al., ECCV 2016, arXiv 1603.09382).

As in torchvision, a bottleneck halves the map in its 3x3 convolution, not in the first 1x1 as the
paper does ("v1.5"); `stride_in_1x1` gives the paper's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from deeplite import Tensor, flatten, nn
from deeplite.models._init import reset_weights
from deeplite.models.registry import register
from deeplite.models.residual import BasicBlock, Bottleneck, Norm, ZeroPadShortcut
from deeplite.ops import conv_norm_act

__all__ = [
    "ResNet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d",
    "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2", "plain18",
    "plain34", "resnet20_cifar", "resnet32_cifar", "resnet44_cifar", "resnet56_cifar",
    "resnet110_cifar", "resnet1202_cifar", "plain20_cifar", "plain32_cifar", "plain44_cifar",
    "plain56_cifar", "resnet110_cifar_stochastic", "resnext29_8x64d_cifar",
    "resnext29_16x64d_cifar",
]  # fmt: skip


class ResNet(nn.Module):
    """A residual network: ``[N, 3, H, W] -> [N, num_classes]`` scores.

    With the ImageNet stem (7x7 convolution and maximum, both of stride 2) maps of 224 become 56;
    each stage but the first halves them and doubles the channels. ResNet-50 has 25.6 million
    parameters (25,557,032), ResNet-20 for CIFAR 0.27 million.

    Args:
        block: :class:`BasicBlock` or :class:`Bottleneck`.
        layers: how many blocks each stage has.
        zero_init_residual: start the last norm layer of every branch at zero, so that each block
            begins as the identity.
        groups, width_per_group: see :class:`Bottleneck`.
        replace_stride_with_dilation: for each stage but the first, whether it keeps the size of
            the maps and dilates its convolutions instead.
        norm_layer: makes a norm layer from a number of channels.
        widths: planes of each stage; 64, 128, 256, 512 when None.
        stem: "imagenet", or "cifar" for a single 3x3 convolution of stride 1.
        shortcut: "A" pads with zeros where the shape changes, "B" projects there by a 1x1
            convolution, "C" projects in every block.
        residual: False leaves out all shortcuts: the plain nets of the paper.
        stochastic_depth_prob: probability that training leaves out the last block; it falls
            linearly to 0 at the input.
        stride_in_1x1: see the top of the file.
        in_channels: channels of the images.

    Raises:
        ValueError: options that do not fit together.

    Example:
        >>> from deeplite.models.resnet import BasicBlock, ResNet
        >>> net = ResNet(BasicBlock, (1, 1, 1), widths=(8, 16, 32), stem="cifar", num_classes=10)
        >>> tuple(net(deeplite.zeros(2, 3, 32, 32)).shape)
        (2, 10)
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Norm | None = None,
        *,
        widths: Sequence[int] | None = None,
        stem: str = "imagenet",
        shortcut: str = "B",
        residual: bool = True,
        stochastic_depth_prob: float = 0.0,
        stride_in_1x1: bool = False,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        widths = [64 * 2**i for i in range(len(layers))] if widths is None else list(widths)
        dilate = [False] * (len(layers) - 1)
        if replace_stride_with_dilation is not None:
            dilate = list(replace_stride_with_dilation)
        if len(widths) != len(layers) or len(dilate) != len(layers) - 1:
            raise ValueError(
                f"ResNet: layers has {len(layers)} stages, widths {len(widths)} and "
                f"replace_stride_with_dilation {len(dilate)} (one less expected)"
            )
        if stem not in ("imagenet", "cifar") or shortcut not in ("A", "B", "C"):
            raise ValueError(
                f"ResNet: stem must be 'imagenet' or 'cifar' and shortcut 'A', 'B' or 'C', "
                f"got {stem!r} and {shortcut!r}"
            )
        norm_layer = nn.BatchNorm2d if norm_layer is None else norm_layer
        self.shortcut, self.norm_layer = shortcut, norm_layer
        self.options: dict[str, Any] = {
            "groups": groups, "base_width": width_per_group, "norm_layer": norm_layer,
            "residual": residual, "stride_in_1x1": stride_in_1x1,
        }  # fmt: skip
        self.inplanes, self.dilation = widths[0], 1
        if stem == "imagenet":
            self.conv1 = nn.Conv2d(in_channels, self.inplanes, 7, 2, padding=3, bias=False)
        else:
            self.conv1 = nn.Conv2d(in_channels, self.inplanes, 3, padding=1, bias=False)
        self.bn1 = norm_layer(self.inplanes)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if stem == "imagenet" else nn.Identity()
        self.stages = [f"layer{i}" for i in range(1, len(layers) + 1)]
        n_blocks = sum(layers)
        drops = [stochastic_depth_prob * (i + 1) / n_blocks for i in range(n_blocks)]
        for i, (name, width, n) in enumerate(zip(self.stages, widths, layers)):
            stride = 1 if i == 0 else 2
            stage = self._stage(block, width, stride, drops[:n], i > 0 and dilate[i - 1])
            self.add_module(name, stage)
            drops = drops[n:]
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(self.inplanes, num_classes)
        self._reset(zero_init_residual)

    def _stage(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        planes: int,
        stride: int,
        drops: list[float],
        dilate: bool,
    ) -> nn.Sequential:
        first_dilation = self.dilation
        if dilate:
            self.dilation *= stride
            stride = 1
        blocks = []
        for i, drop in enumerate(drops):
            step, dilation = (stride, first_dilation) if i == 0 else (1, self.dilation)
            downsample = self._downsample(planes * block.expansion, step)
            blocks.append(
                block(
                    self.inplanes,
                    planes,
                    step,
                    downsample,
                    dilation=dilation,
                    drop=drop,
                    **self.options,
                )  # fmt: skip
            )
            self.inplanes = planes * block.expansion
        return nn.Sequential(*blocks)

    def _downsample(self, channels: int, stride: int) -> nn.Module | None:
        if self.shortcut != "C" and stride == 1 and self.inplanes == channels:
            return None
        if self.shortcut == "A":
            return ZeroPadShortcut(self.inplanes, channels, stride)
        conv = nn.Conv2d(self.inplanes, channels, 1, stride, bias=False)
        return nn.Sequential(conv, self.norm_layer(channels))

    def _reset(self, zero_init_residual: bool) -> None:
        normal = partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu")
        reset_weights(self, conv=normal)
        if zero_init_residual:
            for m in self.modules():
                if isinstance(m, (BasicBlock, Bottleneck)):
                    nn.init.zeros_((m.bn3 if isinstance(m, Bottleneck) else m.bn2).weight)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(conv_norm_act(self.conv1, self.bn1, self.relu, x))
        for name in self.stages:
            x = getattr(self, name)(x)
        return self.fc(flatten(self.avgpool(x), 1))


RESNET = """Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun: "Deep residual learning for image
recognition", CVPR 2016, https://arxiv.org/abs/1512.03385."""
RESNEXT = """Saining Xie, Ross Girshick, Piotr Dollar, Zhuowen Tu, Kaiming He: "Aggregated residual
transformations for deep neural networks", CVPR 2017, https://arxiv.org/abs/1611.05431."""
WIDE = """Sergey Zagoruyko, Nikos Komodakis: "Wide residual networks", BMVC 2016,
https://arxiv.org/abs/1605.07146."""
STOCHASTIC = """Gao Huang, Yu Sun, Zhuang Liu, Daniel Sedra, Kilian Weinberger: "Deep networks with
stochastic depth", ECCV 2016, https://arxiv.org/abs/1603.09382."""


def _enter(
    name: str,
    block: type[BasicBlock] | type[Bottleneck],
    layers: Sequence[int],
    parameters: int,
    multiply_adds: int,
    paper: str = RESNET,
    **config: Any,
) -> Callable[..., ResNet]:
    return register(
        name,
        partial(ResNet, block, layers, **config),
        family="resnet",
        parameters=parameters,
        multiply_adds=multiply_adds,
        paper=paper,
        input_size=(3, 32, 32) if config.get("stem") == "cifar" else (3, 224, 224),
    )


_CIFAR: dict[str, Any] = {
    "stem": "cifar",
    "widths": (16, 32, 64),
    "shortcut": "A",
    "num_classes": 10,
}
_CIFAR_NEXT: dict[str, Any] = {
    "stem": "cifar",
    "widths": (64, 128, 256),
    "width_per_group": 64,
    "num_classes": 10,
}


def _cifar(
    name: str, n: int, parameters: int, multiply_adds: int, paper: str = RESNET, **config: Any
) -> Callable[..., ResNet]:
    """Section 4.2: 6n + 2 layers, shortcuts without parameters."""
    options = {**_CIFAR, **config}
    return _enter(name, BasicBlock, (n, n, n), parameters, multiply_adds, paper, **options)


# fmt: off
resnet18 = _enter("resnet18", BasicBlock, (2, 2, 2, 2), 11_689_512, 1_814_073_344)
resnet34 = _enter("resnet34", BasicBlock, (3, 4, 6, 3), 21_797_672, 3_663_761_408)
resnet50 = _enter("resnet50", Bottleneck, (3, 4, 6, 3), 25_557_032, 4_089_184_256)
resnet101 = _enter("resnet101", Bottleneck, (3, 4, 23, 3), 44_549_160, 7_801_405_440)
resnet152 = _enter("resnet152", Bottleneck, (3, 8, 36, 3), 60_192_808, 11_513_626_624)
resnext50_32x4d = _enter("resnext50_32x4d", Bottleneck, (3, 4, 6, 3), 25_028_904, 4_230_479_872,
                         RESNEXT, groups=32, width_per_group=4)
resnext101_32x8d = _enter("resnext101_32x8d", Bottleneck, (3, 4, 23, 3), 88_791_336,
                          16_414_015_488, RESNEXT, groups=32, width_per_group=8)
resnext101_64x4d = _enter("resnext101_64x4d", Bottleneck, (3, 4, 23, 3), 83_455_272,
                          15_460_270_080, RESNEXT, groups=64, width_per_group=4)
wide_resnet50_2 = _enter("wide_resnet50_2", Bottleneck, (3, 4, 6, 3), 68_883_240, 11_398_021_120,
                         WIDE, width_per_group=128)
wide_resnet101_2 = _enter("wide_resnet101_2", Bottleneck, (3, 4, 23, 3), 126_886_696,
                          22_753_050_624, WIDE, width_per_group=128)
# The plain nets of figure 3, which get worse with depth.
plain18 = _enter("plain18", BasicBlock, (2, 2, 2, 2), 11_515_688, 1_794_805_760, residual=False)
plain34 = _enter("plain34", BasicBlock, (3, 4, 6, 3), 21_623_848, 3_644_493_824, residual=False)

resnet20_cifar = _cifar("resnet20_cifar", 3, 269_722, 40_551_040)
resnet32_cifar = _cifar("resnet32_cifar", 5, 464_154, 68_862_592)
resnet44_cifar = _cifar("resnet44_cifar", 7, 658_586, 97_174_144)
resnet56_cifar = _cifar("resnet56_cifar", 9, 853_018, 125_485_696)
resnet110_cifar = _cifar("resnet110_cifar", 18, 1_727_962, 252_887_680)
resnet1202_cifar = _cifar("resnet1202_cifar", 200, 19_421_274, 2_829_238_912)
plain20_cifar = _cifar("plain20_cifar", 3, 269_722, 40_551_040, residual=False)
plain32_cifar = _cifar("plain32_cifar", 5, 464_154, 68_862_592, residual=False)
plain44_cifar = _cifar("plain44_cifar", 7, 658_586, 97_174_144, residual=False)
plain56_cifar = _cifar("plain56_cifar", 9, 853_018, 125_485_696, residual=False)
resnet110_cifar_stochastic = _cifar("resnet110_cifar_stochastic", 18, 1_727_962, 252_887_680,
                                    STOCHASTIC, stochastic_depth_prob=0.5)
resnext29_8x64d_cifar = _enter("resnext29_8x64d_cifar", Bottleneck, (3, 3, 3), 34_426_698,
                               5_387_266_048, RESNEXT, groups=8, **_CIFAR_NEXT)
resnext29_16x64d_cifar = _enter("resnext29_16x64d_cifar", Bottleneck, (3, 3, 3), 68_155_210,
                                10_688_866_304, RESNEXT, groups=16, **_CIFAR_NEXT)
# fmt: on
