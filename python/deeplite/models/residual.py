"""Residual blocks: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", CVPR
2016, arXiv 1512.03385."""

from __future__ import annotations

from collections.abc import Callable

from deeplite import Tensor, nn
from deeplite.ops import StochasticDepth, conv_norm_act

__all__ = ["BasicBlock", "Bottleneck", "Norm", "ZeroPadShortcut"]

Norm = Callable[[int], nn.Module]


class ZeroPadShortcut(nn.Module):
    """Shortcut option A: every ``stride``-th pixel, and zeros for the channels that are new.
    ``[N, C, H, W] -> [N, channels, ceil(H / stride), ceil(W / stride)]``, no parameters."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.new_channels = channels - in_channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return nn.functional.pad(x, (0, 0, 0, 0, 0, self.new_channels))


class _Block(nn.Module):
    """What both blocks share: ``relu(branch(x) + shortcut(x))``."""

    def _add_shortcut(self, downsample: nn.Module | None, drop: float, residual: bool) -> None:
        # Called last: the order of parameters is torchvision's, and optimizers count by it.
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample if residual else None
        self.residual = residual
        self.stochastic_depth = StochasticDepth(drop, "batch") if drop else None

    def join(self, conv: nn.Module, norm: nn.Module, y: Tensor, x: Tensor) -> Tensor:
        """Of y, the branch before its last two layers."""
        if not self.residual:
            return conv_norm_act(conv, norm, self.relu, y)
        if self.stochastic_depth is None:
            shortcut = x if self.downsample is None else self.downsample(x)
            return conv_norm_act(conv, norm, self.relu, y, shortcut)
        y = self.stochastic_depth(norm(conv(y)))
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)


class BasicBlock(_Block):
    """Two 3x3 convolutions and a shortcut: ``[N, inplanes, H, W] -> [N, planes, H/s, W/s]``.

    Args:
        downsample: makes the shortcut fit where the shape changes; None for the identity.
        drop: probability that training leaves the branch out (stochastic depth).
        residual: False leaves out the shortcut, for the plain nets of the paper.
    """

    expansion = 1

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm = nn.BatchNorm2d,
        drop: float = 0.0,
        residual: bool = True,
        stride_in_1x1: bool = False,
    ) -> None:
        super().__init__()
        if groups != 1 or base_width != 64:
            raise ValueError("BasicBlock: only groups=1 and width_per_group=64, see Bottleneck")
        if dilation > 1:
            raise NotImplementedError("BasicBlock: no dilation, see Bottleneck")
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, padding=1, bias=False)
        self.bn1 = norm_layer(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = norm_layer(planes)
        self._add_shortcut(downsample, drop, residual)

    def forward(self, x: Tensor) -> Tensor:
        y = conv_norm_act(self.conv1, self.bn1, self.relu, x)
        return self.join(self.conv2, self.bn2, y, x)


class Bottleneck(_Block):
    """1x1 to ``planes`` channels, 3x3, 1x1 to four times as many, and a shortcut:
    ``[N, inplanes, H, W] -> [N, 4 * planes, H/s, W/s]``. Arguments as for :class:`BasicBlock`.

    Args:
        groups, base_width: the 3x3 convolution has ``groups`` groups of
            ``base_width * planes / 64`` channels (ResNeXt's cardinality and bottleneck width).
    """

    expansion = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm = nn.BatchNorm2d,
        drop: float = 0.0,
        residual: bool = True,
        stride_in_1x1: bool = False,
    ) -> None:
        super().__init__()
        width = int(planes * (base_width / 64.0)) * groups
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = nn.Conv2d(inplanes, width, 1, first, bias=False)
        self.bn1 = norm_layer(width)
        self.conv2 = nn.Conv2d(
            width, width, 3, second, dilation, dilation=dilation, groups=groups, bias=False
        )
        self.bn2 = norm_layer(width)
        self.conv3 = nn.Conv2d(width, planes * self.expansion, 1, bias=False)
        self.bn3 = norm_layer(planes * self.expansion)
        self._add_shortcut(downsample, drop, residual)

    def forward(self, x: Tensor) -> Tensor:
        y = conv_norm_act(self.conv1, self.bn1, self.relu, x)
        y = conv_norm_act(self.conv2, self.bn2, self.relu, y)
        return self.join(self.conv3, self.bn3, y, x)
