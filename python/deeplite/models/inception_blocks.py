"""What the Inception networks are made of: chains of convolutions that run side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deeplite import Tensor, cat, nn, tensor
from deeplite.ops import conv_norm_act

__all__ = ["BasicConv2d", "Branches", "InputTransform", "scaled"]

# (channels, kernel) or (channels, kernel, how): "" keeps the size, "v" is valid (no padding), "v2"
# valid with stride 2, "s2" padded with stride 2. A list of such is a fork: its convolutions look at
# the same map, and their results are concatenated.
Step = tuple[Any, ...]
# name, what comes first ("", "mean", "max", "max2": valid with stride 2, "max2s": padded), steps
Chain = tuple[str, str, Sequence[Step | list[Step]]]
Blocks = Sequence[list[Chain]]


def scaled(channels: int, width: float) -> int:
    """``width`` times the channels, at least one."""
    return max(1, round(channels * width))


class BasicConv2d(nn.Module):
    """A convolution without bias, batch normalisation, a rectifier. Options as for nn.Conv2d.

    Example:
        >>> from deeplite.models.inception_blocks import BasicConv2d
        >>> tuple(BasicConv2d(3, 8, kernel_size=3, stride=2)(deeplite.zeros(2, 3, 9, 9)).shape)
        (2, 8, 4, 4)
    """

    def __init__(self, in_channels: int, out_channels: int, **options: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, bias=False, **options)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return conv_norm_act(self.conv, self.bn, nn.functional.relu, x)


def convolution(in_channels: int, step: Step, width: float) -> BasicConv2d:
    """The convolution that a step describes."""
    channels, kernel, how = step if len(step) == 3 else (*step, "")
    sizes = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (0, 0) if how.startswith("v") else tuple(k // 2 for k in sizes)
    return BasicConv2d(
        in_channels,
        scaled(channels, width),
        kernel_size=kernel,
        stride=2 if how.endswith("2") else 1,
        padding=padding,
    )


def pool(kind: str) -> nn.Module:
    """The pooling that a chain begins with; means count padding as zeros, like torchvision's."""
    if kind == "mean":
        return nn.AvgPool2d(3, 1, padding=1)
    if kind == "max":
        return nn.MaxPool2d(3, 1, padding=1)
    return nn.MaxPool2d(3, 2, padding=1 if kind == "max2s" else 0)


class Branches(nn.Module):
    """Chains side by side, their results concatenated: ``[N, in_channels, H, W] -> [N, C, H',
    W']``.

    The k-th convolution of a chain of several is called ``<name>_<k>``, that of a chain of one just
    ``<name>``, those of a fork ``<name>_<k>a``, ``<name>_<k>b``: torchvision's names.

    Attributes:
        out_channels: C.

    Example:
        >>> from deeplite.models.inception_blocks import Branches
        >>> fork = [(3, (1, 3)), (3, 3)]
        >>> block = Branches(8, [("a", "", [(4, 1)]), ("b", "max", [(2, 1), fork])])
        >>> tuple(block(deeplite.zeros(1, 8, 5, 5)).shape)
        (1, 10, 5, 5)
        >>> [name for name, _ in block.named_children()]
        ['a', 'b_pool', 'b_1', 'b_2a', 'b_2b']
    """

    def __init__(self, in_channels: int, chains: Sequence[Chain], width: float = 1.0) -> None:
        super().__init__()
        self.chains: list[list[list[str]]] = []
        self.out_channels = 0
        for name, first, steps in chains:
            channels = in_channels
            parts = []
            if first:
                self.add_module(f"{name}_pool", pool(first))
                parts.append([f"{name}_pool"])
            for k, step in enumerate(steps, 1):
                fork = step if isinstance(step, list) else [step]
                stem = name if len(steps) == 1 else f"{name}_{k}"
                names = [stem + "abc"[i] * (len(fork) > 1) for i in range(len(fork))]
                made = [convolution(channels, part, width) for part in fork]
                for part_name, layer in zip(names, made):
                    self.add_module(part_name, layer)
                channels = sum(layer.conv.out_channels for layer in made)
                parts.append(names)
            self.chains.append(parts)
            self.out_channels += channels

    def forward(self, x: Tensor) -> Tensor:
        results = []
        for parts in self.chains:
            y = x
            for names in parts:
                several = [getattr(self, name)(y) for name in names]
                y = several[0] if len(several) == 1 else cat(several, 1)
            results.append(y)
        return results[0] if len(results) == 1 else cat(results, 1)


def chained(channels: int, blocks: Blocks, width: float) -> tuple[nn.Sequential, int]:
    """The blocks one after the other, and the channels of the last one's results."""
    made = []
    for chains in blocks:
        made.append(Branches(channels, chains, width))
        channels = made[-1].out_channels
    return nn.Sequential(*made), channels


def rectified(weight: Tensor) -> None:
    """Initial values of a convolution that a rectifier follows."""
    nn.init.kaiming_normal_(weight, nonlinearity="relu")


class InputTransform(nn.Module):
    """From images with torchvision's channel means and deviations taken out to the range -1 to 1
    that Google's weights were trained with: ``[N, 3, H, W]``, which is kept."""

    scale: Tensor
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        means, deviations = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
        scale = tensor([d / 0.5 for d in deviations]).reshape(1, 3, 1, 1)
        shift = tensor([(m - 0.5) / 0.5 for m in means]).reshape(1, 3, 1, 1)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.shift
