"""LeNet-5: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
recognition", Proceedings of the IEEE 86(11), 1998, section II.B.

The network of the paper; its output layer of radial basis functions, whose targets are drawings of
the digits, is an option, and so are its initial weights (Xavier's rule learns faster). The modern
form is what the name mostly means today: maxima, rectifiers, every map connected.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from deeplite import Tensor, cat, logsumexp, nn, ones, ones_like, tensor, zeros
from deeplite.models.registry import register

__all__ = ["LeNet5", "lenet5", "lenet5_modern"]

# Table I of the paper: which of the 6 maps of S2 each of the 16 maps of C3 looks at. Three
# neighbouring maps, four neighbouring maps, two pairs, and all six; neighbours wrap around.
C3_INPUTS: tuple[tuple[int, ...], ...] = (
    (0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5),
    (0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5),
    (0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)  # fmt: skip


class ScaledTanh(nn.Module):
    """``1.7159 * tanh(2/3 * x)``, the paper's squashing function (appendix A): it maps 1 to 1 and
    -1 to -1, where it bends most, so that targets of +-1 do not saturate the units."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * (x * (2.0 / 3.0)).tanh()


class Subsampling(nn.Module):
    """Layers S2 and S4: the mean over 2x2 windows, times a trainable coefficient, plus a trainable
    bias; one pair of them per map. ``[N, C, H, W] -> [N, C, H/2, W/2]``"""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(2)
        self.weight = nn.Parameter(ones(channels, 1, 1))
        self.bias = nn.Parameter(zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(x) * self.weight + self.bias


class TableConv2d(nn.Conv2d):
    """A convolution in which output map k sees only the input maps ``inputs[k]``.

    The weight has its full shape; connections that are not in the table are held at zero, so they
    count as elements of the parameter but never learn."""

    def __init__(
        self, in_channels: int, kernel_size: int, inputs: tuple[tuple[int, ...], ...]
    ) -> None:
        super().__init__(in_channels, len(inputs), kernel_size)
        mask = zeros(len(inputs), in_channels, 1, 1)
        for k, seen in enumerate(inputs):
            for c in seen:
                mask[k, c] = 1.0
        self.register_buffer("mask", mask, persistent=False)
        self.mask: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.weight * self.mask, self.bias)


# Targets of the output layer: a 7x12 drawing of each digit, +1 on the stroke and -1 beside it
# (section II.B draws them by hand, so that what looks alike is coded alike). Twelve
# rows each, whose seven bits are the pixels from left to right.
_DRAWINGS = (
    (0x00, 0x1C, 0x22, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x22, 0x1C, 0x00),
    (0x00, 0x08, 0x18, 0x28, 0x08, 0x08, 0x08, 0x08, 0x08, 0x08, 0x3E, 0x00),
    (0x00, 0x3E, 0x41, 0x41, 0x01, 0x02, 0x0C, 0x10, 0x20, 0x40, 0x7F, 0x00),
    (0x00, 0x3E, 0x41, 0x01, 0x01, 0x1E, 0x01, 0x01, 0x01, 0x41, 0x3E, 0x00),
    (0x00, 0x02, 0x06, 0x0A, 0x12, 0x22, 0x42, 0x7F, 0x02, 0x02, 0x02, 0x00),
    (0x00, 0x7F, 0x40, 0x40, 0x40, 0x7E, 0x01, 0x01, 0x01, 0x41, 0x3E, 0x00),
    (0x00, 0x1E, 0x20, 0x40, 0x40, 0x5E, 0x61, 0x41, 0x41, 0x41, 0x3E, 0x00),
    (0x00, 0x7F, 0x01, 0x01, 0x02, 0x04, 0x04, 0x08, 0x08, 0x10, 0x10, 0x00),
    (0x00, 0x3E, 0x41, 0x41, 0x41, 0x3E, 0x41, 0x41, 0x41, 0x41, 0x3E, 0x00),
    (0x00, 0x3E, 0x41, 0x41, 0x41, 0x43, 0x3D, 0x01, 0x01, 0x02, 0x3C, 0x00),
)


class RadialBasis(nn.Module):
    """The output layer of the paper, ``[N, 84] -> [N, num_classes]``: minus the squared distance to
    the drawing of each digit, ``-sum_j (x_j - code_ij)^2`` (equation 7, with the sign turned so
    that the largest score wins). Nothing in it learns.

    Raises:
        ValueError: more classes than there are drawings.
    """

    codes: Tensor

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        if not 0 < num_classes <= len(_DRAWINGS):
            raise ValueError(
                f"RadialBasis: there are drawings of {len(_DRAWINGS)} classes, got {num_classes}"
            )
        codes = [
            [1.0 if row >> bit & 1 else -1.0 for row in drawing for bit in range(6, -1, -1)]
            for drawing in _DRAWINGS[:num_classes]
        ]
        self.register_buffer("codes", tensor(codes))

    def forward(self, x: Tensor) -> Tensor:
        return -((x.unsqueeze(1) - self.codes) ** 2).sum(2)


def map_loss(scores: Tensor, target: Tensor, rubbish: float = 0.1) -> Tensor:
    """Equation 9 of the paper, for the scores of :class:`RadialBasis`: the distance to the right
    drawing, plus ``log(e^-rubbish + sum_i e^score_i)``, which pushes the wrong ones away until they
    are farther than ``rubbish``.

    Example:
        >>> from deeplite.models.lenet import map_loss
        >>> map_loss(deeplite.tensor([[0.0, -100.0]]), deeplite.tensor([0]), rubbish=100.0)
        tensor(0.)
    """
    right = nn.functional.nll_loss(scores, target)
    constant = zeros(scores.shape[0], 1, dtype=scores.dtype, device=scores.device) - rubbish
    return right + logsumexp(cat([scores, constant], 1), 1).mean()


class LeNet5(nn.Module):
    """LeNet-5 for images of 32x32: ``[N, in_channels, 32, 32] -> [N, num_classes]`` scores.

    ======  ===========================================  ==============  ==========
    layer   what it does                                 output          parameters
    ======  ===========================================  ==============  ==========
    C1      convolution 5x5                              6 x 28 x 28     156
    S2      means of 2x2, coefficient and bias per map   6 x 14 x 14     12
    C3      convolution 5x5, connected by table I        16 x 10 x 10    1,516
    S4      means of 2x2, coefficient and bias per map   16 x 5 x 5      32
    C5      convolution 5x5                              120 x 1 x 1     48,120
    F6      fully connected                              84              10,164
    output  linear (or radial basis functions)           10              850 (0)
    ======  ===========================================  ==============  ==========

    Every layer but the last is followed by :class:`ScaledTanh`. Up to F6 these are the 60,000
    trainable parameters that the paper counts (the table's gaps in C3 are zeros that do not learn,
    but do count in ``numel()``).

    Args:
        num_classes: number of scores per image.
        in_channels: channels of the images; the paper's are grey.
        full_c3: connect every map of C3 to all 6 maps of S2 (2,416 parameters instead of 1,516), as
            most later descriptions of the network do.
        output: "linear", to be trained with cross entropy, or "rbf", see :class:`RadialBasis` and
            :func:`map_loss`.
        init: "xavier", or "paper" for ``U(-2.4 / fan_in, 2.4 / fan_in)``.
        modern: rectifiers in place of the tangent, maxima in place of trainable means, full C3.

    Raises:
        ValueError: an unknown output or init.

    Example:
        >>> import deeplite
        >>> from deeplite.models import LeNet5
        >>> LeNet5()(deeplite.zeros(2, 1, 32, 32)).shape
        deeplite.Size([2, 10])
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        full_c3: bool = False,
        *,
        output: str = "linear",
        init: str = "xavier",
        modern: bool = False,
    ) -> None:
        super().__init__()
        if output not in ("linear", "rbf") or init not in ("xavier", "paper"):
            raise ValueError(
                "LeNet5: output must be 'linear' or 'rbf' and init 'xavier' or 'paper', "
                f"got {output!r} and {init!r}"
            )
        self.init = init
        squash: Callable[[], nn.Module] = nn.ReLU if modern else ScaledTanh
        full = full_c3 or modern
        c3 = nn.Conv2d(6, 16, 5) if full else TableConv2d(6, 5, C3_INPUTS)
        # a maximum needs no further squashing
        s2 = [nn.MaxPool2d(2)] if modern else [Subsampling(6), squash()]
        s4 = [nn.MaxPool2d(2)] if modern else [Subsampling(16), squash()]
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5),  # C1
            squash(),
            *s2,
            c3,
            squash(),
            *s4,
            nn.Conv2d(16, 120, 5),  # C5
            squash(),
        )
        last = nn.Linear(84, num_classes) if output == "linear" else RadialBasis(num_classes)
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(120, 84),  # F6
            squash(),
            last,
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights by Xavier's rule (or the paper's), biases zero, subsampling the plain mean."""
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                if self.init == "paper":
                    nn.init.uniform_(layer.weight, -2.4, 2.4)
                    fan_in: Any = layer.weight[0].numel()
                    if isinstance(layer, TableConv2d):  # a fan of its own for each map
                        fan_in = (layer.mask * ones_like(layer.weight)).sum((1, 2, 3), True)
                    layer.weight.data.div_(fan_in)
                else:
                    nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
            elif isinstance(layer, Subsampling):
                nn.init.ones_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


PAPER = """Yann LeCun, Leon Bottou, Yoshua Bengio, Patrick Haffner: "Gradient-based learning applied
to document recognition", Proceedings of the IEEE 86(11), 1998."""

lenet5 = register(
    "lenet5",
    LeNet5,
    family="lenet",
    parameters=61_750,
    multiply_adds=416_520,
    input_size=(1, 32, 32),
    paper=PAPER,
)
lenet5_modern = register(
    "lenet5_modern",
    partial(LeNet5, modern=True),
    family="lenet",
    parameters=61_706,
    multiply_adds=416_520,
    input_size=(1, 32, 32),
    paper=PAPER,
)
