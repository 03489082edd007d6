"""GoogLeNet: Szegedy, Liu, Jia, Sermanet, Reed, Anguelov, Erhan, Vanhoucke and Rabinovich, "Going
deeper with convolutions", CVPR 2015, arXiv 1409.4842.

torchvision's form is the default. It differs from the paper: batch normalisation, 3x3 where the
paper has 5x5, and no local response normalisation. `paper=True` gives the paper's.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from functools import partial
from typing import Any

from deeplite import Tensor, cat, flatten, nn
from deeplite.models.inception_blocks import BasicConv2d, InputTransform, scaled
from deeplite.models.registry import register
from deeplite.ops import conv_norm_act

__all__ = ["GoogLeNet", "GoogLeNetOutputs", "googlenet", "googlenet_paper"]

GoogLeNetOutputs = namedtuple("GoogLeNetOutputs", ["logits", "aux_logits2", "aux_logits1"])
Conv = Callable[..., nn.Module]

# Table 1: 1x1; 3x3 reduce, 3x3; 5x5 reduce, 5x5; pool proj
TABLE: dict[str, tuple[int, ...]] = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


class PlainConv2d(nn.Module):
    """The paper's convolution: bias and rectifier, no batch normalisation."""

    def __init__(self, in_channels: int, out_channels: int, **options: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, **options)

    def forward(self, x: Tensor) -> Tensor:
        return conv_norm_act(self.conv, None, nn.functional.relu, x)


class Inception(nn.Module):
    """1x1, 3x3, 5x5 convolutions and maxima side by side (figure 2b):
    ``[N, in_channels, H, W] -> [N, ch1x1 + ch3x3 + ch5x5 + pool_proj, H, W]``.

    Args:
        conv_block: makes a convolution with its activation.
        large: size of the third branch's kernel: 5 in the paper, 3 in torchvision.
    """

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch3x3red: int,
        ch3x3: int,
        ch5x5red: int,
        ch5x5: int,
        pool_proj: int,
        conv_block: Conv = BasicConv2d,
        large: int = 3,
    ) -> None:
        super().__init__()
        self.branch1 = conv_block(in_channels, ch1x1, kernel_size=1)
        self.branch2 = nn.Sequential(
            conv_block(in_channels, ch3x3red, kernel_size=1),
            conv_block(ch3x3red, ch3x3, kernel_size=3, padding=1),
        )
        self.branch3 = nn.Sequential(
            conv_block(in_channels, ch5x5red, kernel_size=1),
            conv_block(ch5x5red, ch5x5, kernel_size=large, padding=large // 2),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, 1, padding=1, ceil_mode=True),
            conv_block(in_channels, pool_proj, kernel_size=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class InceptionAux(nn.Module):
    """An auxiliary classifier: ``[N, in_channels, H, W] -> [N, num_classes]`` scores."""

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        conv_block: Conv = BasicConv2d,
        dropout: float = 0.7,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        inner, hidden = scaled(128, width), scaled(1024, width)
        self.avgpool = nn.AdaptiveAvgPool2d((4, 4))  # 5x5 means of stride 3 for maps of 14x14
        self.conv = conv_block(in_channels, inner, kernel_size=1)
        self.fc1 = nn.Linear(inner * 4 * 4, hidden)
        self.fc2 = nn.Linear(hidden, num_classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = flatten(self.conv(self.avgpool(x)), 1)
        return self.fc2(self.dropout(nn.functional.relu(self.fc1(x), inplace=True)))


class GoogLeNet(nn.Module):
    """Nine inception blocks: ``[N, 3, H, W] -> [N, num_classes]`` scores, for H, W >= 15.

    In training mode with ``aux_logits`` the result is ``GoogLeNetOutputs(logits, aux_logits2,
    aux_logits1)``; the paper adds the losses of the auxiliary scores with weight 0.3, see
    :meth:`loss`. 6.6 million parameters without the auxiliary classifiers (the paper: "12 times
    fewer" than AlexNet's 60 million or so), 13.0 million with them.

    Args:
        aux_logits: whether there are auxiliary classifiers.
        transform_input: see :class:`~deeplite.models.inception_blocks.InputTransform`.
        init_weights: weights from N(0, 0.01^2); False leaves the layers' own initial values.
        dropout, dropout_aux: probabilities before the last layer of the classifiers.
        paper: see the top of the file.
        width: factor for all channels.
        in_channels: channels of the images.

    Example:
        >>> from deeplite.models.googlenet import GoogLeNet
        >>> net = GoogLeNet(num_classes=10, width=0.125)
        >>> tuple(net.eval()(deeplite.zeros(2, 3, 32, 32)).shape)
        (2, 10)
        >>> scores = net.train()(deeplite.randn(2, 3, 32, 32))
        >>> [tuple(s.shape) for s in scores]
        [(2, 10), (2, 10), (2, 10)]
        >>> GoogLeNet.loss(scores, deeplite.tensor([3, 7])).shape
        deeplite.Size([])
    """

    def __init__(
        self,
        num_classes: int = 1000,
        aux_logits: bool = True,
        transform_input: bool = False,
        init_weights: bool = True,
        *,
        dropout: float = 0.2,
        dropout_aux: float = 0.7,
        paper: bool = False,
        width: float = 1.0,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        conv: Conv = PlainConv2d if paper else BasicConv2d
        self.aux_logits = aux_logits
        self.transform_input = InputTransform() if transform_input else None
        c64, c192 = scaled(64, width), scaled(192, width)
        # "LocalRespNorm" of figure 3, as the layer divides alpha by the size
        norms = [nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75) for _ in range(2)] if paper else []
        self.conv1 = conv(in_channels, c64, kernel_size=7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.norm1 = norms[0] if paper else nn.Identity()
        self.conv2 = conv(c64, c64, kernel_size=1)
        self.conv3 = conv(c64, c192, kernel_size=3, padding=1)
        self.norm2 = norms[1] if paper else nn.Identity()
        self.maxpool2 = nn.MaxPool2d(3, 2, ceil_mode=True)
        inception = partial(Inception, conv_block=conv, large=5 if paper else 3)
        channels, at = c192, {}
        for name, row in TABLE.items():
            sizes = [scaled(c, width) for c in row]
            self.add_module(f"inception{name}", inception(channels, *sizes))
            channels = at[name] = sizes[0] + sizes[2] + sizes[4] + sizes[5]
            if name == "3b":
                self.maxpool3 = nn.MaxPool2d(3, 2, ceil_mode=True)
            if name == "4e":
                self.maxpool4 = nn.MaxPool2d(3 if paper else 2, 2, ceil_mode=True)
        heads = partial(InceptionAux, conv_block=conv, dropout=dropout_aux, width=width)
        self.aux1 = heads(at["4a"], num_classes) if aux_logits else None
        self.aux2 = heads(at["4d"], num_classes) if aux_logits else None
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        if init_weights:
            for m in self.modules():
                if isinstance(m, (nn.Conv2d, nn.Linear)):
                    nn.init.trunc_normal_(m.weight, std=0.01, a=-2, b=2)

    def forward(self, x: Tensor) -> Any:
        if self.transform_input is not None:
            x = self.transform_input(x)
        x = self.norm1(self.maxpool1(self.conv1(x)))
        x = self.maxpool2(self.norm2(self.conv3(self.conv2(x))))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        x = self.inception4a(x)
        aux1 = self.aux1(x) if self.training and self.aux1 is not None else None
        x = self.inception4d(self.inception4c(self.inception4b(x)))
        aux2 = self.aux2(x) if self.training and self.aux2 is not None else None
        x = self.maxpool4(self.inception4e(x))
        x = self.inception5b(self.inception5a(x))
        x = self.fc(self.dropout(flatten(self.avgpool(x), 1)))
        return x if aux2 is None else GoogLeNetOutputs(x, aux2, aux1)

    @staticmethod
    def loss(outputs: Any, target: Tensor, weight: float = 0.3) -> Tensor:
        """Cross entropy of the scores, plus ``weight`` times that of each auxiliary one."""
        if not isinstance(outputs, tuple):
            return nn.functional.cross_entropy(outputs, target)
        loss = nn.functional.cross_entropy(outputs[0], target)
        for auxiliary in outputs[1:]:
            loss = loss + weight * nn.functional.cross_entropy(auxiliary, target)
        return loss


PAPER = """Christian Szegedy, Wei Liu, Yangqing Jia, Pierre Sermanet, Scott Reed, Dragomir Anguelov,
Dumitru Erhan, Vincent Vanhoucke, Andrew Rabinovich: "Going deeper with convolutions", CVPR 2015,
https://arxiv.org/abs/1409.4842."""

googlenet = register(
    "googlenet",
    GoogLeNet,
    family="googlenet",
    parameters=13_004_888,
    multiply_adds=1_498_376_192,
    paper=PAPER,
)
googlenet_paper = register(
    "googlenet_paper",
    partial(GoogLeNet, paper=True, dropout=0.4),
    family="googlenet",
    parameters=13_378_280,
    multiply_adds=1_582_671_872,
    paper=PAPER,
)
