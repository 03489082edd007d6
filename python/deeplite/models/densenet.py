"""DenseNet: Huang, Liu, van der Maaten and Weinberger, "Densely connected convolutional networks",
CVPR 2017, arXiv 1608.06993. Recomputation in backward: Pleiss et al., "Memory-efficient
implementation of DenseNets", 2017, arXiv 1707.06990."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from deeplite import Tensor, cat, flatten, nn
from deeplite.models._init import reset_weights
from deeplite.models.registry import register
from deeplite.ops import conv_norm_act, norm_act
from deeplite.utils.checkpoint import checkpoint

__all__ = [
    "DenseNet",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "densenet40_k12_cifar",
    "densenet100_k12_cifar",
    "densenet100_k24_cifar",
    "densenetbc100_k12_cifar",
    "densenetbc250_k24_cifar",
    "densenetbc190_k40_cifar",
]


class DenseLayer(nn.Module):
    """``growth_rate`` new maps from all earlier ones, given as a list of tensors.

    Args:
        bn_size: a 1x1 convolution first brings the maps down to ``bn_size * growth_rate`` (the B
            of DenseNet-BC); 0 leaves it out.
        memory_efficient: compute the joined maps and what follows up to the 3x3 convolution again
            in backward instead of keeping them.
    """

    def __init__(
        self,
        channels: int,
        growth_rate: int,
        bn_size: int,
        drop_rate: float,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU(inplace=True)
        if bn_size:
            width = bn_size * growth_rate
            self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(width)
            self.relu2 = nn.ReLU(inplace=True)
            self.conv2 = nn.Conv2d(width, growth_rate, 3, padding=1, bias=False)
        else:
            self.conv1 = nn.Conv2d(channels, growth_rate, 3, padding=1, bias=False)
        self.bottleneck = bool(bn_size)
        self.dropout = nn.Dropout(drop_rate)
        self.memory_efficient = memory_efficient

    def active(self, maps: Sequence[Tensor]) -> Tensor:
        return norm_act(self.norm1, self.relu1, cat(maps, 1))

    def join(self, *maps: Tensor) -> Tensor:
        return self.conv1(self.active(maps))

    def forward(self, maps: list[Tensor]) -> Tensor:
        again = self.memory_efficient and any(m.requires_grad for m in maps)
        if again:
            y = checkpoint(self.join, *maps, use_reentrant=False)
        if self.bottleneck:
            if again:
                y = norm_act(self.norm2, self.relu2, y)
            else:
                y = conv_norm_act(self.conv1, self.norm2, self.relu2, self.active(maps))
            y = self.conv2(y)
        elif not again:
            y = self.join(*maps)
        return self.dropout(y)


class DenseBlock(nn.ModuleDict):
    """Layers that each see the maps of all before:
    ``[N, C, H, W] -> [N, C + n_layers * growth_rate, H, W]``."""

    def __init__(self, n_layers: int, channels: int, growth_rate: int, **options: Any) -> None:
        super().__init__()
        for i in range(n_layers):
            layer = DenseLayer(channels + i * growth_rate, growth_rate, **options)
            self.add_module(f"denselayer{i + 1}", layer)

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.values():
            maps.append(layer(maps))
        return cat(maps, 1)


class Transition(nn.Sequential):
    """Between two blocks: ``[N, channels, H, W] -> [N, out_channels, H/2, W/2]``."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.pool = nn.AvgPool2d(2, 2)


class DenseNet(nn.Module):
    """Dense blocks: ``[N, 3, H, W] -> [N, num_classes]`` scores.

    DenseNet-121 has 8.0 million parameters (7,978,856), DenseNet-BC (L=100, k=12) 0.8 million.

    Args:
        growth_rate: new maps of each layer, the paper's k.
        block_config: how many layers each block has.
        num_init_features: channels of the first convolution.
        bn_size: see :class:`DenseLayer`; 0 for the plain DenseNet.
        drop_rate: dropout after each layer.
        memory_efficient: see :class:`DenseLayer`; about half the memory for a fifth more time.
        compression: share of the channels that a transition keeps (0.5: the C of DenseNet-BC).
        stem: "imagenet", or "cifar" for a single 3x3 convolution of stride 1.

    Raises:
        ValueError: an unknown stem, or compression outside (0, 1].

    Example:
        >>> from deeplite.models.densenet import DenseNet
        >>> net = DenseNet(4, (2, 2), 8, num_classes=10, stem="cifar")
        >>> tuple(net(deeplite.zeros(2, 3, 32, 32)).shape)
        (2, 10)
    """

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: Sequence[int] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0,
        num_classes: int = 1000,
        memory_efficient: bool = False,
        *,
        compression: float = 0.5,
        stem: str = "imagenet",
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if stem not in ("imagenet", "cifar") or not 0 < compression <= 1:
            raise ValueError(
                f"DenseNet: stem must be 'imagenet' or 'cifar' and compression in (0, 1], "
                f"got {stem!r} and {compression}"
            )
        channels = num_init_features
        self.features = nn.Sequential()
        if stem == "imagenet":
            first = nn.Conv2d(in_channels, channels, 7, 2, padding=3, bias=False)
            self.features.add_module("conv0", first)
            self.features.add_module("norm0", nn.BatchNorm2d(channels))
            self.features.add_module("relu0", nn.ReLU(inplace=True))
            self.features.add_module("pool0", nn.MaxPool2d(3, 2, padding=1))
        else:
            first = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
            self.features.add_module("conv0", first)
        for i, n_layers in enumerate(block_config, 1):
            block = DenseBlock(
                n_layers,
                channels,
                growth_rate,
                bn_size=bn_size,
                drop_rate=drop_rate,
                memory_efficient=memory_efficient,
            )
            self.features.add_module(f"denseblock{i}", block)
            channels += n_layers * growth_rate
            if i < len(block_config):
                kept = int(channels * compression)
                self.features.add_module(f"transition{i}", Transition(channels, kept))
                channels = kept
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        self.classifier = nn.Linear(channels, num_classes)
        reset_weights(self, conv=nn.init.kaiming_normal_)
        nn.init.zeros_(self.classifier.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.relu(self.features(x), inplace=True)
        x = nn.functional.adaptive_avg_pool2d(x, (1, 1))
        return self.classifier(flatten(x, 1))


def _enter(
    name: str,
    growth_rate: int,
    layers: Sequence[int],
    init_features: int,
    parameters: int,
    multiply_adds: int,
    **config: Any,
) -> Callable[..., DenseNet]:
    return register(
        name,
        partial(
            DenseNet,
            growth_rate=growth_rate,
            block_config=layers,
            num_init_features=init_features,
            **config,
        ),
        family="densenet",
        parameters=parameters,
        multiply_adds=multiply_adds,
        input_size=(3, 32, 32) if config.get("stem") == "cifar" else (3, 224, 224),
        paper="""Gao Huang, Zhuang Liu, Laurens van der Maaten, Kilian Weinberger: "Densely
connected convolutional networks", CVPR 2017, https://arxiv.org/abs/1608.06993.""",
    )


_CIFAR: dict[str, Any] = {"stem": "cifar", "num_classes": 10}
_PLAIN: dict[str, Any] = {**_CIFAR, "bn_size": 0, "compression": 1.0}

# fmt: off
densenet121 = _enter("densenet121", 32, (6, 12, 24, 16), 64, 7_978_856, 2_834_161_664)
densenet161 = _enter("densenet161", 48, (6, 12, 36, 24), 96, 28_681_000, 7_727_907_072)
densenet169 = _enter("densenet169", 32, (6, 12, 32, 32), 64, 14_149_480, 3_359_843_328)
densenet201 = _enter("densenet201", 32, (6, 12, 48, 32), 64, 20_013_928, 4_291_365_888)
# fmt: on
# Depth L: the first convolution, two transitions, the classifier and three blocks of (L - 4) / 3
# layers, with bottlenecks of half as many pairs of layers.
densenet40_k12_cifar = _enter(
    "densenet40_k12_cifar", 12, (12, 12, 12), 16, 1_019_722, 264_812_928, **_PLAIN
)
densenet100_k12_cifar = _enter(
    "densenet100_k12_cifar", 12, (32, 32, 32), 16, 6_979_642, 1_769_516_448, **_PLAIN
)
densenet100_k24_cifar = _enter(
    "densenet100_k24_cifar", 24, (32, 32, 32), 16, 27_249_082, 6_889_347_744, **_PLAIN
)
densenetbc100_k12_cifar = _enter(
    "densenetbc100_k12_cifar", 12, (16, 16, 16), 24, 769_162, 287_929_692, **_CIFAR
)
densenetbc250_k24_cifar = _enter(
    "densenetbc250_k24_cifar", 24, (41, 41, 41), 48, 15_324_406, 5_418_785_724, **_CIFAR
)
densenetbc190_k40_cifar = _enter(
    "densenetbc190_k40_cifar", 40, (31, 31, 31), 80, 25_624_430, 9_301_945_740, **_CIFAR
)
