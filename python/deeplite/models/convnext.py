"""ConvNeXt: Liu, Mao, Wu, Feichtenhofer, Darrell and Xie, "A ConvNet for the 2020s", CVPR 2022,
arXiv 2201.03545."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from deeplite import Tensor, nn, ones
from deeplite.models._init import reset_weights
from deeplite.models.registry import register
from deeplite.ops import Conv2dNormActivation, Permute, StochasticDepth

__all__ = [
    "ConvNeXt",
    "LayerNorm2d",
    "convnext_base",
    "convnext_large",
    "convnext_small",
    "convnext_tiny",
]

Norm = Callable[[int], nn.Module]


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of each pixel of ``[N, C, H, W]``."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class CNBlock(nn.Module):
    """Depthwise 7x7, layer norm, and a perceptron of four times the width on each pixel, scaled by
    channel and added to the input: ``[N, dim, H, W]``, which is kept."""

    def __init__(
        self, dim: int, layer_scale: float, drop: float, norm_layer: Norm | None = None
    ) -> None:
        super().__init__()
        norm_layer = norm_layer or partial(nn.LayerNorm, eps=1e-6)
        self.block = nn.Sequential(
            nn.Conv2d(dim, dim, 7, padding=3, groups=dim),
            Permute([0, 2, 3, 1]),
            norm_layer(dim),
            nn.Linear(dim, 4 * dim),
            nn.GELU(),
            nn.Linear(4 * dim, dim),
            Permute([0, 3, 1, 2]),
        )
        self.layer_scale = nn.Parameter(ones(dim, 1, 1) * layer_scale)
        self.stochastic_depth = StochasticDepth(drop, "row")

    def forward(self, x: Tensor) -> Tensor:
        return x + self.stochastic_depth(self.layer_scale * self.block(x))


class ConvNeXt(nn.Module):
    """A residual network with the design of vision transformers:
    ``[N, 3, H, W] -> [N, num_classes]`` scores.

    The tiny one has 28.6 million parameters (28,589,128).

    Args:
        widths: channels of each stage.
        depths: blocks of each stage.
        stochastic_depth_prob: probability that training leaves out the last block; it falls
            linearly to 0 at the first.
        layer_scale: initial value of the scales of the branches.
        block: makes a block from channels, layer scale and probability.
        norm_layer: makes the norm layers between stages from a number of channels.

    Raises:
        ValueError: not as many widths as depths, or none.

    Example:
        >>> from deeplite.models.convnext import ConvNeXt
        >>> net = ConvNeXt((8, 16), (1, 1), num_classes=10)
        >>> tuple(net(deeplite.zeros(2, 3, 32, 32)).shape)
        (2, 10)
    """

    def __init__(
        self,
        widths: Sequence[int],
        depths: Sequence[int],
        stochastic_depth_prob: float = 0.0,
        layer_scale: float = 1e-6,
        num_classes: int = 1000,
        block: Callable[[int, float, float], nn.Module] = CNBlock,
        norm_layer: Norm | None = None,
        *,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if not widths or len(widths) != len(depths):
            raise ValueError(
                f"ConvNeXt: expected a width and a depth for each stage, got {list(widths)} and "
                f"{list(depths)}"
            )
        norm_layer = norm_layer or partial(LayerNorm2d, eps=1e-6)
        features: list[nn.Module] = [
            Conv2dNormActivation(
                in_channels, widths[0], 4, 4, padding=0,
                norm_layer=norm_layer, activation_layer=None, bias=True,
            )
        ]  # fmt: skip
        n_blocks, done = sum(depths), 0
        for i, (width, n) in enumerate(zip(widths, depths)):
            if i > 0:
                down = nn.Conv2d(widths[i - 1], width, 2, 2)
                features.append(nn.Sequential(norm_layer(widths[i - 1]), down))
            drops = [
                stochastic_depth_prob * j / max(1, n_blocks - 1) for j in range(done, done + n)
            ]
            features.append(nn.Sequential(*[block(width, layer_scale, drop) for drop in drops]))
            done += n
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            norm_layer(widths[-1]), nn.Flatten(1), nn.Linear(widths[-1], num_classes)
        )
        truncated = partial(nn.init.trunc_normal_, std=0.02)
        reset_weights(self, conv=truncated, linear=truncated)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.avgpool(self.features(x)))


def _enter(
    name: str, width: int, third: int, drop: float, parameters: int, multiply_adds: int
) -> Callable[..., ConvNeXt]:
    widths = (width, 2 * width, 4 * width, 8 * width)
    return register(
        name,
        partial(ConvNeXt, widths=widths, depths=(3, 3, third, 3), stochastic_depth_prob=drop),
        family="convnext",
        parameters=parameters,
        multiply_adds=multiply_adds,
        paper="""Zhuang Liu, Hanzi Mao, Chao-Yuan Wu, Christoph Feichtenhofer, Trevor Darrell,
Saining Xie: "A ConvNet for the 2020s", CVPR 2022, https://arxiv.org/abs/2201.03545.""",
    )


convnext_tiny = _enter("convnext_tiny", 96, 9, 0.1, 28_589_128, 4_455_531_264)
convnext_small = _enter("convnext_small", 96, 27, 0.4, 50_223_688, 8_683_712_256)
convnext_base = _enter("convnext_base", 128, 27, 0.5, 88_591_464, 15_354_729_472)
convnext_large = _enter("convnext_large", 192, 27, 0.5, 197_767_336, 34_361_433_600)
