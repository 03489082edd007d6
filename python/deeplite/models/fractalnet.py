"""FractalNet: Larsson, Maire and Shakhnarovich, "FractalNet: ultra-deep neural networks without
residuals", ICLR 2017, arXiv 1605.07648.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from deeplite import Tensor, flatten, nn, rand, randint
from deeplite.models.registry import register
from deeplite.ops import conv_norm_act, norm_act

__all__ = ["FractalNet", "fractalnet20_cifar", "fractalnet34", "fractalnet40_cifar"]


def coins(n: int, p: float) -> list[bool]:
    """``n`` draws that come up True with probability ``p``, from the library's generator."""
    return [bool(u < p) for u in rand(n)]


def pick(n: int) -> int:
    """One of 0 .. n - 1."""
    return int(randint(n, (1,))[0])


class Convolution(nn.Module):
    """3x3 convolution, dropout, batch normalisation, rectifier: the elementary path."""

    def __init__(self, in_channels: int, channels: int, dropout: float) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.drop = nn.Dropout(dropout) if dropout else None
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        if self.drop is None:
            return conv_norm_act(self.conv, self.bn, self.relu, x)
        return norm_act(self.bn, self.relu, self.drop(self.conv(x)))


class FractalBlock(nn.Module):
    """``f_1(x) = conv(x)``, ``f_C(x) = mean of f_{C-1}(f_{C-1}(x)) and conv(x)`` (equation 1):
    ``[N, in_channels, H, W] -> [N, channels, H, W]``.

    Unrolled, column c (from 0) is a chain of 2^c convolutions, and the columns whose convolutions
    end at the same depth are joined there by their mean; the mean then is the input of all of them.

    Args:
        columns: C; the deepest path has 2^(C-1) convolutions.
        dropout: probability behind each convolution.
    """

    def __init__(self, in_channels: int, channels: int, columns: int, dropout: float) -> None:
        super().__init__()
        self.columns = nn.ModuleList()
        for c in range(columns):
            sizes = [in_channels] + [channels] * (2**c - 1)
            chain = [Convolution(size, channels, dropout) for size in sizes]
            self.columns.append(nn.Sequential(*chain))

    def forward(self, x: Tensor, drop: float = 0.0, only: int | None = None) -> Tensor:
        """``drop``: probability that a join leaves out one of its inputs (at least one stays);
        ``only``: follow this column alone."""
        if only is not None:
            return self.columns[only](x)
        n = len(self.columns)
        depth = 2 ** (n - 1)
        inputs = [x] * n
        for step in range(1, depth + 1):
            spans = [depth // 2**c for c in range(n)]  # how much of the depth a convolution covers
            ending = [c for c in range(n) if step % spans[c] == 0]
            kept = self._kept(ending, drop)
            # What is left out need not be computed.
            results = [self.columns[c][step // spans[c] - 1](inputs[c]) for c in kept]
            joined = results[0]
            for other in results[1:]:
                joined = joined + other
            if len(results) > 1:
                joined = joined / len(results)
            for c in ending:
                inputs[c] = joined
        return inputs[0]

    def _kept(self, ending: list[int], drop: float) -> list[int]:
        if not drop or len(ending) == 1:
            return ending
        kept = [c for c, stays in zip(ending, coins(len(ending), 1.0 - drop)) if stays]
        return kept or [ending[pick(len(ending))]]


class FractalNet(nn.Module):
    """Fractal blocks, each followed by 2x2 maxima: ``[N, 3, H, W] -> [N, num_classes]`` scores.

    The deepest path has ``len(widths) * 2^(columns - 1)`` convolutions: 20 with 3 columns and the
    paper's 5 blocks for CIFAR. That is 33.7 million parameters (33,724,618), in other
    implementations, too; the 38.6 that comparisons quote do not follow from the description.

    Training uses drop-path (section 2.2): of the mini-batches, a share ``global_share`` trains one
    column alone, chosen anew each time and the same in all blocks; in the others each join drops
    each of its inputs with probability ``drop_path``, but never all. The running statistics of the
    norm layers then mix what the columns and the whole see; where training is short, take them
    anew (:func:`deeplite.optim.swa_utils.update_bn`) with ``drop_path = 0`` before eval mode.

    Attributes:
        read_out: which column answers in eval mode: None for all of them, -1 for the deepest (the
            paper's single chain that is nearly as good as the whole), or any other.

    Args:
        widths: channels of each block.
        columns: C, the columns of a block.
        dropout: probability behind the convolutions of each block.
        drop_path, global_share: see above; a ``drop_path`` of 0 means neither kind.
        stem: "cifar" for none, "imagenet" for a 7x7 convolution and maxima of stride 2.
        in_channels: channels of the images.

    Raises:
        ValueError: options that do not fit together.
        ShapeError: an image too small; the message names the layer at which the map vanishes.

    Example:
        >>> from deeplite.models.fractalnet import FractalNet
        >>> net = FractalNet((8, 16), columns=3, dropout=(0.0, 0.1)).eval()
        >>> x = deeplite.zeros(2, 3, 8, 8)
        >>> tuple(net(x).shape)
        (2, 10)
        >>> net.read_out = -1
        >>> tuple(net(x).shape)
        (2, 10)
    """

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 256, 512, 512),
        columns: int = 3,
        num_classes: int = 10,
        dropout: Sequence[float] = (0.0, 0.1, 0.2, 0.3, 0.4),
        drop_path: float = 0.15,
        global_share: float = 0.5,
        *,
        stem: str = "cifar",
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if columns < 1 or len(dropout) != len(widths) or stem not in ("cifar", "imagenet"):
            raise ValueError(
                "FractalNet: columns must be positive, widths and dropout of one length and stem "
                f"'cifar' or 'imagenet', got {columns}, {len(widths)} and {len(dropout)}, {stem!r}"
            )
        if not (0 <= drop_path < 1 and 0 <= global_share <= 1):
            raise ValueError(
                "FractalNet: drop_path must be in [0, 1) and global_share in [0, 1], "
                f"got {drop_path} and {global_share}"
            )
        self.drop_path, self.global_share = drop_path, global_share
        self.n_columns = columns
        self.read_out: int | None = None
        self.stem: nn.Module = nn.Identity()
        if stem == "imagenet":
            conv = nn.Conv2d(in_channels, 64, 7, 2, padding=3, bias=False)
            norm = nn.BatchNorm2d(64)
            pool = nn.MaxPool2d(3, 2, padding=1)
            self.stem = nn.Sequential(conv, norm, nn.ReLU(inplace=True), pool)
            in_channels = 64
        self.blocks = nn.ModuleList()
        self.pools = nn.ModuleList()
        for width, p in zip(widths, dropout):
            self.blocks.append(FractalBlock(in_channels, width, columns, p))
            self.pools.append(nn.MaxPool2d(2))
            in_channels = width
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(in_channels, num_classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")

    def _paths(self) -> tuple[float, int | None]:
        """Probability of local drops, and the column to follow alone."""
        if not self.training:
            return 0.0, self.read_out
        if self.drop_path and coins(1, self.global_share)[0]:
            return 0.0, pick(self.n_columns)
        return self.drop_path, None

    def forward(self, x: Tensor) -> Tensor:
        drop, only = self._paths()
        x = self.stem(x)
        for block, pool in zip(self.blocks, self.pools):
            x = pool(block(x, drop, only))
        return self.fc(flatten(self.avgpool(x), 1))


def _enter(name: str, parameters: int, multiply_adds: int, size: int, **config: Any) -> Any:
    return register(
        name,
        partial(FractalNet, **config),
        family="fractalnet",
        parameters=parameters,
        multiply_adds=multiply_adds,
        input_size=(3, size, size),
        paper="""Gustav Larsson, Michael Maire, Gregory Shakhnarovich: "FractalNet: ultra-deep
neural networks without residuals", ICLR 2017, https://arxiv.org/abs/1605.07648.""",
    )


fractalnet20_cifar = _enter("fractalnet20_cifar", 33_724_618, 845_222_912, 32)
# Twice as deep and, as in the paper, narrower, so that it has fewer parameters.
fractalnet40_cifar = _enter(
    "fractalnet40_cifar", 19_040_714, 510_790_144, 32, widths=(32, 64, 128, 256, 256), columns=4
)
# The net for ImageNet has the first and last layer of ResNet-34 and between them four blocks of
# four columns; their channels are taken to be ResNet-34's, too.
fractalnet34 = _enter(
    "fractalnet34", 41_359_784, 6_361_223_168, 224,
    widths=(64, 128, 256, 512), columns=4, dropout=(0.0,) * 4, num_classes=1000, stem="imagenet",
)  # fmt: skip
