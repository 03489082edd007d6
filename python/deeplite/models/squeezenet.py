"""SqueezeNet: Iandola, Han, Moskewicz, Ashraf, Dally and Keutzer, "SqueezeNet: AlexNet-level
accuracy with 50x fewer parameters and <0.5MB model size", 2016, arXiv 1602.07360."""

from __future__ import annotations

from functools import partial

from deeplite import Tensor, cat, flatten, nn
from deeplite.models._init import reset_weights
from deeplite.models.registry import register
from deeplite.ops import conv_norm_act

__all__ = ["Fire", "SqueezeNet", "squeezenet1_0", "squeezenet1_1"]

# The first convolution as (channels, kernel size); then "M" for a pooling layer, and for a fire
# module the channels of its squeeze layer and of each of its two expand layers.
CONFIGS: dict[str, tuple[tuple[int, int], list[tuple[int, int] | str]]] = {
    "1_0": ((96, 7), ["M", (16, 64), (16, 64), (32, 128), "M", (32, 128), (48, 192), (48, 192),
                      (64, 256), "M", (64, 256)]),
    "1_1": ((64, 3), ["M", (16, 64), (16, 64), "M", (32, 128), (32, 128), "M", (48, 192),
                      (48, 192), (64, 256), (64, 256)]),
}  # fmt: skip


class Fire(nn.Module):
    """A 1x1 convolution to few channels, then 1x1 and 3x3 convolutions side by side:
    ``[N, inplanes, H, W] -> [N, expand1x1_planes + expand3x3_planes, H, W]``."""

    def __init__(
        self, inplanes: int, squeeze_planes: int, expand1x1_planes: int, expand3x3_planes: int
    ) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inplanes, squeeze_planes, 1)
        self.expand1x1 = nn.Conv2d(squeeze_planes, expand1x1_planes, 1)
        self.expand3x3 = nn.Conv2d(squeeze_planes, expand3x3_planes, 3, padding=1)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = conv_norm_act(self.squeeze, None, self.activation, x)
        expanded = [
            conv_norm_act(layer, None, self.activation, x)
            for layer in (self.expand1x1, self.expand3x3)
        ]
        return cat(expanded, 1)


class SqueezeNet(nn.Module):
    """Fire modules and a convolution as the classifier: ``[N, 3, H, W] -> [N, num_classes]``.

    1.2 million parameters (1,248,424 in version 1.0), a fiftieth of AlexNet's.

    Args:
        version: "1_0" is the paper's, "1_1" its successor, which takes 2.4 times less work.
        dropout: probability before the classifier.

    Raises:
        ValueError: an unknown version.

    Example:
        >>> from deeplite.models.squeezenet import SqueezeNet
        >>> tuple(SqueezeNet("1_1", num_classes=10)(deeplite.zeros(2, 3, 64, 64)).shape)
        (2, 10)
    """

    def __init__(
        self,
        version: str = "1_0",
        num_classes: int = 1000,
        dropout: float = 0.5,
        *,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        if version not in CONFIGS:
            raise ValueError(f"SqueezeNet: version must be one of {list(CONFIGS)}, got {version!r}")
        (channels, kernel_size), modules = CONFIGS[version]
        features: list[nn.Module] = [
            nn.Conv2d(in_channels, channels, kernel_size, stride=2),
            nn.ReLU(inplace=True),
        ]
        for module in modules:
            if isinstance(module, str):
                features.append(nn.MaxPool2d(3, 2, ceil_mode=True))
            else:
                squeeze, expand = module
                features.append(Fire(channels, squeeze, expand, expand))
                channels = 2 * expand
        self.features = nn.Sequential(*features)
        scores = nn.Conv2d(channels, num_classes, 1)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout), scores, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
        )
        reset_weights(self, conv=nn.init.kaiming_uniform_)
        nn.init.normal_(scores.weight, 0.0, 0.01)

    def forward(self, x: Tensor) -> Tensor:
        return flatten(self.classifier(self.features(x)), 1)


_enter = partial(
    register,
    family="squeezenet",
    paper="""Forrest Iandola, Song Han, Matthew Moskewicz, Khalid Ashraf, William Dally, Kurt
Keutzer: "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size", 2016,
https://arxiv.org/abs/1602.07360.""",
)
squeezenet1_0 = _enter(
    "squeezenet1_0",
    partial(SqueezeNet, version="1_0"),
    parameters=1_248_424,
    multiply_adds=818_924_576,
)
squeezenet1_1 = _enter(
    "squeezenet1_1",
    partial(SqueezeNet, version="1_1"),
    parameters=1_235_496,
    multiply_adds=349_151_936,
)
