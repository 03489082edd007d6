"""MnasNet: Tan, Chen, Pang, Vasudevan, Sandler, Howard and Le, "MnasNet: platform-aware neural
architecture search for mobile", CVPR 2019, arXiv 1807.11626. Like torchvision's, this is the B1
network, without squeeze-and-excitation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from deeplite import Tensor, nn
from deeplite.models._init import reset_weights
from deeplite.models.mobilenetv2 import make_divisible
from deeplite.models.registry import register
from deeplite.ops import branch_act

__all__ = ["MNASNet", "mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"]

# Channels, kernel size, stride of the first, expansion, blocks.
STACKS: tuple[tuple[int, int, int, int, int], ...] = (
    (24, 3, 2, 3, 3),
    (40, 5, 2, 3, 3),
    (80, 5, 2, 6, 3),
    (96, 3, 1, 6, 2),
    (192, 5, 2, 6, 4),
    (320, 3, 1, 6, 1),
)
# TensorFlow's decay of running statistics, 0.9997, in torch's terms.
_norm = partial(nn.BatchNorm2d, momentum=1 - 0.9997)


def _cell(inp: int, oup: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inp, oup, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, _norm(oup), nn.ReLU(inplace=True)]


class InvertedResidual(nn.Module):
    """1x1 to ``expansion`` times the channels, depthwise, 1x1 back without activation; a shortcut
    where the shape stays. ``[N, inp, H, W] -> [N, oup, H/stride, W/stride]``."""

    def __init__(self, inp: int, oup: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inp * expansion
        self.apply_residual = inp == oup and stride == 1
        self.layers = nn.Sequential(
            *_cell(inp, hidden, 1),
            *_cell(hidden, hidden, kernel, stride, groups=hidden),
            *_cell(hidden, oup, 1)[:2],
        )

    def forward(self, x: Tensor) -> Tensor:
        return branch_act(self.layers, None, x, x if self.apply_residual else None)


class MNASNet(nn.Module):
    """Inverted residuals found by search: ``[N, 3, H, W] -> [N, num_classes]`` scores.

    4.4 million parameters (4,383,312) and 314 million multiply-adds at 224x224 for alpha = 1.

    Args:
        alpha: factor for the channels of every layer but the last convolution.
        dropout: probability before the classifier.

    Raises:
        ValueError: an alpha that is not positive.

    Example:
        >>> from deeplite.models.mnasnet import MNASNet
        >>> tuple(MNASNet(0.25, num_classes=10)(deeplite.zeros(2, 3, 32, 32)).shape)
        (2, 10)
    """

    def __init__(
        self,
        alpha: float,
        num_classes: int = 1000,
        dropout: float = 0.2,
        *,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if alpha <= 0:
            raise ValueError(f"MNASNet: alpha must be positive, got {alpha}")
        first, channels = make_divisible(32 * alpha), make_divisible(16 * alpha)
        layers: list[nn.Module] = [
            *_cell(in_channels, first, 3, 2),
            *_cell(first, first, 3, groups=first),
            *_cell(first, channels, 1)[:2],
        ]
        for width, kernel, stride, expansion, n in STACKS:
            out = make_divisible(width * alpha)
            stack = [InvertedResidual(channels, out, kernel, stride, expansion)]
            stack += [InvertedResidual(out, out, kernel, 1, expansion) for _ in range(n - 1)]
            layers.append(nn.Sequential(*stack))
            channels = out
        self.layers = nn.Sequential(*layers, *_cell(channels, 1280, 1))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout, inplace=True), nn.Linear(1280, num_classes)
        )
        reset_weights(
            self,
            conv=partial(nn.init.kaiming_normal_, mode="fan_out", nonlinearity="relu"),
            linear=partial(nn.init.kaiming_uniform_, mode="fan_out", nonlinearity="sigmoid"),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.layers(x).mean([2, 3]))


def _enter(name: str, alpha: float, parameters: int, multiply_adds: int) -> Callable[..., MNASNet]:
    return register(
        name,
        partial(MNASNet, alpha=alpha),
        family="mnasnet",
        parameters=parameters,
        multiply_adds=multiply_adds,
        paper="""Mingxing Tan, Bo Chen, Ruoming Pang, Vijay Vasudevan, Mark Sandler, Andrew Howard,
Quoc Le: "MnasNet: platform-aware neural architecture search for mobile", CVPR 2019,
https://arxiv.org/abs/1807.11626.""",
    )


mnasnet0_5 = _enter("mnasnet0_5", 0.5, 2_218_512, 104_455_968)
mnasnet0_75 = _enter("mnasnet0_75", 0.75, 3_170_208, 215_493_104)
mnasnet1_0 = _enter("mnasnet1_0", 1.0, 4_383_312, 314_415_872)
mnasnet1_3 = _enter("mnasnet1_3", 1.3, 6_282_256, 526_362_432)
