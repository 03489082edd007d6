"""LeNet-5: LeCun, Bottou, Bengio and Haffner, "Gradient-based learning applied to document
recognition", Proceedings of the IEEE 86(11), 1998, section II.B.

The network of the paper, with two choices of today: the output layer of radial basis functions,
whose targets were drawings of the digits, is a linear layer to be trained with a cross entropy; and
weights start from Xavier's rule, which learns faster than the paper's uniform +-2.4 / fan_in.
"""

from __future__ import annotations

from deeplite import Tensor, nn, ones, zeros

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
    output  linear (the paper: radial basis functions)   10              850
    ======  ===========================================  ==============  ==========

    Every layer but the last is followed by :class:`ScaledTanh`. Up to F6 these are the 60,000
    trainable parameters that the paper counts.

    Args:
        num_classes: number of scores per image.
        in_channels: channels of the images; the paper's are grey.
        full_c3: connect every map of C3 to all 6 maps of S2 (2,416 parameters instead of 1,516), as
            most later descriptions of the network do.

    Example:
        >>> import deeplite
        >>> from deeplite.models import LeNet5
        >>> LeNet5()(deeplite.zeros(2, 1, 32, 32)).shape
        deeplite.Size([2, 10])
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1, full_c3: bool = False) -> None:
        super().__init__()
        c3 = nn.Conv2d(6, 16, 5) if full_c3 else TableConv2d(6, 5, C3_INPUTS)
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5),  # C1
            ScaledTanh(),
            Subsampling(6),  # S2
            ScaledTanh(),
            c3,
            ScaledTanh(),
            Subsampling(16),  # S4
            ScaledTanh(),
            nn.Conv2d(16, 120, 5),  # C5
            ScaledTanh(),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(120, 84),  # F6
            ScaledTanh(),
            nn.Linear(84, num_classes),
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights by Xavier's rule, biases zero, subsampling the plain mean."""
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
            elif isinstance(layer, Subsampling):
                nn.init.ones_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))
