"""MobileNet: Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto and Adam, "MobileNets:
efficient convolutional neural networks for mobile vision applications", 2017, arXiv 1704.04861."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from deeplite import Tensor, flatten, nn
from deeplite.models._init import reset_weights
from deeplite.models.registry import register
from deeplite.ops import Conv2dNormActivation

__all__ = [
    "DepthwiseSeparable",
    "MobileNetV1",
    "mobilenet_v1",
    "mobilenet_v1_025",
    "mobilenet_v1_050",
    "mobilenet_v1_075",
]

# Table 1 of the paper: channels and stride of each separable convolution. (The table gives the
# last one stride 2, which does not fit the map sizes beside it; it has 1.)
LAYERS: tuple[tuple[int, int], ...] = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1),
    (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip


class DepthwiseSeparable(nn.Sequential):
    """A depthwise 3x3 convolution and a 1x1 convolution, each with norm and ReLU:
    ``[N, inp, H, W] -> [N, oup, H/stride, W/stride]``."""

    def __init__(self, inp: int, oup: int, stride: int) -> None:
        super().__init__(
            Conv2dNormActivation(inp, inp, stride=stride, groups=inp),
            Conv2dNormActivation(inp, oup, kernel_size=1),
        )


class MobileNetV1(nn.Module):
    """Depthwise separable convolutions: ``[N, 3, H, W] -> [N, num_classes]`` scores.

    4.2 million parameters (4,231,976) and 569 million multiply-adds at 224x224. The paper's second
    knob, the resolution multiplier, is the size of the images: 192, 160 or 128 instead of 224.

    Args:
        width_mult: factor for the channels of every layer, the paper's alpha.
        dropout: probability before the classifier.

    Raises:
        ValueError: a width_mult that is not positive.

    Example:
        >>> from deeplite.models.mobilenetv1 import MobileNetV1
        >>> tuple(MobileNetV1(num_classes=10, width_mult=0.25)(deeplite.zeros(2, 3, 32, 32)).shape)
        (2, 10)
    """

    def __init__(
        self,
        num_classes: int = 1000,
        width_mult: float = 1.0,
        dropout: float = 0.001,
        *,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if width_mult <= 0:
            raise ValueError(f"MobileNetV1: width_mult must be positive, got {width_mult}")
        channels = max(8, int(32 * width_mult))
        features: list[nn.Module] = [Conv2dNormActivation(in_channels, channels, stride=2)]
        for width, stride in LAYERS:
            out = max(8, int(width * width_mult))
            features.append(DepthwiseSeparable(channels, out, stride))
            channels = out
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, num_classes))
        reset_weights(
            self,
            conv=partial(nn.init.kaiming_normal_, mode="fan_out"),
            linear=partial(nn.init.normal_, std=0.01),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.adaptive_avg_pool2d(self.features(x), (1, 1))
        return self.classifier(flatten(x, 1))


def _enter(
    name: str, width: float, parameters: int, multiply_adds: int
) -> Callable[..., MobileNetV1]:
    return register(
        name,
        partial(MobileNetV1, width_mult=width),
        family="mobilenetv1",
        parameters=parameters,
        multiply_adds=multiply_adds,
        paper="""Andrew Howard, Menglong Zhu, Bo Chen, Dmitry Kalenichenko, Weijun Wang, Tobias
Weyand, Marco Andreetto, Hartwig Adam: "MobileNets: efficient convolutional neural networks for
mobile vision applications", 2017, https://arxiv.org/abs/1704.04861.""",
    )


mobilenet_v1 = _enter("mobilenet_v1", 1.0, 4_231_976, 568_740_352)
mobilenet_v1_075 = _enter("mobilenet_v1_075", 0.75, 2_585_560, 325_400_448)
mobilenet_v1_050 = _enter("mobilenet_v1_050", 0.5, 1_331_592, 149_497_088)
mobilenet_v1_025 = _enter("mobilenet_v1_025", 0.25, 470_072, 41_030_272)
