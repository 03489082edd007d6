"""The distinct convolution layers of well-known networks, as plain data for the benchmarks.

Input sizes are those of 224 x 224 images (227 for AlexNet, 32 for LeNet-5, noise of 100 channels
for DCGAN, 299 for Inception v3, the stride-8 features of 513 x 513 images for DeepLab). Layers that
only repeat another one's sizes are left out.
"""

from __future__ import annotations

from typing import NamedTuple


class ConvLayer(NamedTuple):
    """One layer: `size` is the spatial size of its input, `kernel` that of the window.

    `size`, `kernel`, `stride`, `padding` and `dilation` have one number per spatial dimension. A
    transposed layer is described as its users write it: `channels` go in, `filters` come out.
    """

    network: str
    name: str
    channels: int
    filters: int
    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    transposed: bool = False

    @property
    def output(self) -> tuple[int, ...]:
        """Spatial size of the output."""
        geometry = zip(
            self.size, self.kernel, self.stride, self.padding, self.dilation, strict=True
        )
        if self.transposed:
            return tuple((i - 1) * s - 2 * p + d * (k - 1) + 1 for i, k, s, p, d in geometry)
        return tuple((i + 2 * p - d * (k - 1) - 1) // s + 1 for i, k, s, p, d in geometry)

    def flops(self, batch: int) -> int:
        """Floating-point operations of one product (each of the three passes), padding included."""
        positions = 1
        for n in self.size if self.transposed else self.output:
            positions *= n
        taps = 1
        for n in self.kernel:
            taps *= n
        return 2 * batch * positions * taps * self.channels * self.filters // self.groups


def layer(
    network: str,
    name: str,
    channels: int,
    filters: int,
    size: int | tuple[int, ...],
    kernel: int | tuple[int, ...],
    stride: int = 1,
    padding: int | tuple[int, ...] = 0,
    dilation: int = 1,
    groups: int = 1,
    transposed: bool = False,
    rank: int = 2,
) -> ConvLayer:
    """A layer whose dimensions mostly agree: one number stands for all of them."""

    def every(value: int | tuple[int, ...]) -> tuple[int, ...]:
        return value if isinstance(value, tuple) else (value,) * rank

    return ConvLayer(
        network,
        name,
        channels,
        filters,
        every(size),
        every(kernel),
        every(stride),
        every(padding),
        every(dilation),
        groups,
        transposed,
    )


RESNET = [
    layer("resnet50", "conv1", 3, 64, 224, 7, 2, 3),
    layer("resnet50", "layer1.0.conv1", 64, 64, 56, 1),
    layer("resnet50", "layer1.conv2", 64, 64, 56, 3, 1, 1),
    layer("resnet50", "layer1.conv3", 64, 256, 56, 1),
    layer("resnet50", "layer1.conv1", 256, 64, 56, 1),
    layer("resnet50", "layer2.0.conv1", 256, 128, 56, 1),
    layer("resnet50", "layer2.0.conv2", 128, 128, 56, 3, 2, 1),
    layer("resnet50", "layer2.0.downsample", 256, 512, 56, 1, 2),
    layer("resnet50", "layer2.conv3", 128, 512, 28, 1),
    layer("resnet50", "layer2.conv1", 512, 128, 28, 1),
    layer("resnet50", "layer2.conv2", 128, 128, 28, 3, 1, 1),
    layer("resnet50", "layer3.0.conv1", 512, 256, 28, 1),
    layer("resnet50", "layer3.0.conv2", 256, 256, 28, 3, 2, 1),
    layer("resnet50", "layer3.0.downsample", 512, 1024, 28, 1, 2),
    layer("resnet50", "layer3.conv3", 256, 1024, 14, 1),
    layer("resnet50", "layer3.conv1", 1024, 256, 14, 1),
    layer("resnet50", "layer3.conv2", 256, 256, 14, 3, 1, 1),
    layer("resnet50", "layer4.0.conv1", 1024, 512, 14, 1),
    layer("resnet50", "layer4.0.conv2", 512, 512, 14, 3, 2, 1),
    layer("resnet50", "layer4.0.downsample", 1024, 2048, 14, 1, 2),
    layer("resnet50", "layer4.conv3", 512, 2048, 7, 1),
    layer("resnet50", "layer4.conv1", 2048, 512, 7, 1),
    layer("resnet50", "layer4.conv2", 512, 512, 7, 3, 1, 1),
]

VGG = [
    layer("vgg16", "features.0", 3, 64, 224, 3, 1, 1),
    layer("vgg16", "features.2", 64, 64, 224, 3, 1, 1),
    layer("vgg16", "features.5", 64, 128, 112, 3, 1, 1),
    layer("vgg16", "features.7", 128, 128, 112, 3, 1, 1),
    layer("vgg16", "features.10", 128, 256, 56, 3, 1, 1),
    layer("vgg16", "features.12", 256, 256, 56, 3, 1, 1),
    layer("vgg16", "features.17", 256, 512, 28, 3, 1, 1),
    layer("vgg16", "features.19", 512, 512, 28, 3, 1, 1),
    layer("vgg16", "features.24", 512, 512, 14, 3, 1, 1),
]

MOBILENET = [
    layer("mobilenet_v2", "features.0", 3, 32, 224, 3, 2, 1),
    layer("mobilenet_v2", "features.1.depthwise", 32, 32, 112, 3, 1, 1, groups=32),
    layer("mobilenet_v2", "features.1.project", 32, 16, 112, 1),
    layer("mobilenet_v2", "features.2.expand", 16, 96, 112, 1),
    layer("mobilenet_v2", "features.2.depthwise", 96, 96, 112, 3, 2, 1, groups=96),
    layer("mobilenet_v2", "features.2.project", 96, 24, 56, 1),
    layer("mobilenet_v2", "features.3.expand", 24, 144, 56, 1),
    layer("mobilenet_v2", "features.3.depthwise", 144, 144, 56, 3, 1, 1, groups=144),
    layer("mobilenet_v2", "features.3.project", 144, 24, 56, 1),
    layer("mobilenet_v2", "features.4.depthwise", 144, 144, 56, 3, 2, 1, groups=144),
    layer("mobilenet_v2", "features.4.project", 144, 32, 28, 1),
    layer("mobilenet_v2", "features.5.expand", 32, 192, 28, 1),
    layer("mobilenet_v2", "features.5.depthwise", 192, 192, 28, 3, 1, 1, groups=192),
    layer("mobilenet_v2", "features.7.depthwise", 192, 192, 28, 3, 2, 1, groups=192),
    layer("mobilenet_v2", "features.8.expand", 64, 384, 14, 1),
    layer("mobilenet_v2", "features.8.depthwise", 384, 384, 14, 3, 1, 1, groups=384),
    layer("mobilenet_v2", "features.8.project", 384, 64, 14, 1),
    layer("mobilenet_v2", "features.12.expand", 96, 576, 14, 1),
    layer("mobilenet_v2", "features.12.depthwise", 576, 576, 14, 3, 1, 1, groups=576),
    layer("mobilenet_v2", "features.14.depthwise", 576, 576, 14, 3, 2, 1, groups=576),
    layer("mobilenet_v2", "features.15.expand", 160, 960, 7, 1),
    layer("mobilenet_v2", "features.15.depthwise", 960, 960, 7, 3, 1, 1, groups=960),
    layer("mobilenet_v2", "features.15.project", 960, 160, 7, 1),
    layer("mobilenet_v2", "features.17.project", 960, 320, 7, 1),
    layer("mobilenet_v2", "features.18", 320, 1280, 7, 1),
]

GOOGLENET = [
    layer("googlenet", "conv2", 64, 64, 56, 1),
    layer("googlenet", "conv3", 64, 192, 56, 3, 1, 1),
    layer("googlenet", "inception3a.branch1", 192, 64, 28, 1),
    layer("googlenet", "inception3a.branch2.0", 192, 96, 28, 1),
    layer("googlenet", "inception3a.branch2.1", 96, 128, 28, 3, 1, 1),
    layer("googlenet", "inception3a.branch3.0", 192, 16, 28, 1),
    layer("googlenet", "inception3a.branch3.1", 16, 32, 28, 3, 1, 1),
    layer("googlenet", "inception3a.branch4", 192, 32, 28, 1),
    layer("googlenet", "inception3b.branch1", 256, 128, 28, 1),
    layer("googlenet", "inception3b.branch2.1", 128, 192, 28, 3, 1, 1),
    layer("googlenet", "inception3b.branch3.1", 32, 96, 28, 3, 1, 1),
    layer("googlenet", "inception4a.branch1", 480, 192, 14, 1),
    layer("googlenet", "inception4a.branch2.1", 96, 208, 14, 3, 1, 1),
    layer("googlenet", "inception4a.branch3.0", 480, 16, 14, 1),
    layer("googlenet", "inception4a.branch3.1", 16, 48, 14, 3, 1, 1),
    layer("googlenet", "inception4d.branch2.1", 144, 288, 14, 3, 1, 1),
    layer("googlenet", "inception4d.branch3.1", 32, 64, 14, 3, 1, 1),
    layer("googlenet", "inception4e.branch1", 528, 256, 14, 1),
    layer("googlenet", "inception5a.branch1", 832, 256, 7, 1),
    layer("googlenet", "inception5b.branch1", 832, 384, 7, 1),
    layer("googlenet", "inception5b.branch2.1", 192, 384, 7, 3, 1, 1),
    layer("googlenet", "inception5b.branch3.1", 48, 128, 7, 3, 1, 1),
]

POINTWISE = [  # what else is there of kernels of size 1
    layer("nin", "cccp1", 96, 96, 54, 1),
    layer("nin", "cccp3", 256, 256, 27, 1),
    layer("nin", "cccp5", 384, 384, 13, 1),
    layer("nin", "cccp7", 1024, 1024, 6, 1),
    layer("densenet121", "denseblock1.layer3", 128, 128, 56, 1),
    layer("densenet121", "transition1", 256, 128, 56, 1),
    layer("densenet121", "denseblock2.layer7", 320, 128, 28, 1),
    layer("densenet121", "denseblock3.layer1", 256, 128, 14, 1),
    layer("densenet121", "denseblock3.layer16", 736, 128, 14, 1),
    layer("densenet121", "denseblock4.layer1", 512, 128, 7, 1),
    layer("densenet121", "denseblock4.layer16", 992, 128, 7, 1),
    layer("squeezenet", "fire2.squeeze", 96, 16, 54, 1),
    layer("squeezenet", "fire2.expand", 16, 64, 54, 1),
    layer("squeezenet", "fire5.squeeze", 256, 32, 27, 1),
    layer("squeezenet", "fire5.expand", 32, 128, 27, 1),
    layer("squeezenet", "fire9.squeeze", 512, 64, 13, 1),
    layer("squeezenet", "fire9.expand", 64, 256, 13, 1),
    layer("squeezenet", "classifier", 512, 1000, 13, 1),
    layer("mobilenet_v1", "features.1", 32, 64, 112, 1),
    layer("mobilenet_v1", "features.3", 128, 128, 56, 1),
    layer("mobilenet_v1", "features.7", 512, 512, 14, 1),
    layer("mobilenet_v1", "features.13", 1024, 1024, 7, 1),
    layer("mnasnet", "expand.28", 40, 240, 28, 1),
    layer("mnasnet", "project.14", 480, 80, 14, 1),
    layer("mnasnet", "expand.7", 192, 1152, 7, 1),
]

# Of Inception v3 (299 x 299 images), v4 and Inception-ResNet v2: what GoogLeNet does not have.
INCEPTION = [
    layer("inception_v3", "branch5x5", 48, 64, 35, 5, 1, 2),
    layer("inception_v3", "reduce35", 288, 384, 35, 3, 2),
    layer("inception_v3", "reduce35.double", 96, 96, 35, 3, 2),
    layer("inception_v3", "row7", 128, 128, 17, (1, 7), 1, (0, 3)),
    layer("inception_v3", "column7", 192, 192, 17, (7, 1), 1, (3, 0)),
    layer("inception_v3", "reduce17", 192, 320, 17, 3, 2),
    layer("inception_v3", "row3", 384, 384, 8, (1, 3), 1, (0, 1)),
    layer("inception_v3", "column3", 384, 384, 8, (3, 1), 1, (1, 0)),
    layer("inception_v4", "column7", 224, 256, 17, (7, 1), 1, (3, 0)),
]

RESNEXT = [
    layer("resnext50", "layer1.conv2", 128, 128, 56, 3, 1, 1, groups=32),
    layer("resnext50", "layer2.0.conv2", 256, 256, 56, 3, 2, 1, groups=32),
    layer("resnext50", "layer2.conv2", 256, 256, 28, 3, 1, 1, groups=32),
    layer("resnext50", "layer3.0.conv2", 512, 512, 28, 3, 2, 1, groups=32),
    layer("resnext50", "layer3.conv2", 512, 512, 14, 3, 1, 1, groups=32),
    layer("resnext50", "layer4.0.conv2", 1024, 1024, 14, 3, 2, 1, groups=32),
    layer("resnext50", "layer4.conv2", 1024, 1024, 7, 3, 1, 1, groups=32),
]

REGNET = [
    layer("regnet_x_400mf", "block1.0", 32, 32, 112, 3, 2, 1, groups=2),
    layer("regnet_x_400mf", "block2.0", 64, 64, 56, 3, 2, 1, groups=4),
    layer("regnet_x_400mf", "block3.0", 160, 160, 28, 3, 2, 1, groups=10),
    layer("regnet_x_400mf", "block3", 160, 160, 14, 3, 1, 1, groups=10),
    layer("regnet_x_400mf", "block4.0", 400, 400, 14, 3, 2, 1, groups=25),
    layer("regnet_x_400mf", "block4", 400, 400, 7, 3, 1, 1, groups=25),
    layer("regnet_y_400mf", "block1.0", 48, 48, 112, 3, 2, 1, groups=6),
    layer("regnet_y_400mf", "block2.0", 104, 104, 56, 3, 2, 1, groups=13),
    layer("regnet_y_400mf", "block2", 104, 104, 28, 3, 1, 1, groups=13),
    layer("regnet_y_400mf", "block3.0", 208, 208, 28, 3, 2, 1, groups=26),
    layer("regnet_y_400mf", "block3", 208, 208, 14, 3, 1, 1, groups=26),
    layer("regnet_y_400mf", "block4.0", 440, 440, 14, 3, 2, 1, groups=55),
    layer("regnet_y_400mf", "block4", 440, 440, 7, 3, 1, 1, groups=55),
]

DEEPLAB = [
    layer("deeplab", "layer3.conv2", 256, 256, 65, 3, 1, 2, 2),
    layer("deeplab", "layer4.conv2", 512, 512, 65, 3, 1, 4, 4),
    layer("deeplab", "aspp.6", 512, 128, 65, 3, 1, 6, 6),
    layer("deeplab", "aspp.12", 512, 128, 65, 3, 1, 12, 12),
]

DCGAN = [
    layer("dcgan", "main.0", 100, 512, 1, 4, 1, 0, transposed=True),
    layer("dcgan", "main.3", 512, 256, 4, 4, 2, 1, transposed=True),
    layer("dcgan", "main.6", 256, 128, 8, 4, 2, 1, transposed=True),
    layer("dcgan", "main.9", 128, 64, 16, 4, 2, 1, transposed=True),
    layer("dcgan", "main.12", 64, 3, 32, 4, 2, 1, transposed=True),
    layer("dcgan", "discriminator.0", 3, 64, 64, 4, 2, 1),
    layer("dcgan", "discriminator.2", 64, 128, 32, 4, 2, 1),
]

FIRST = [
    layer("alexnet", "features.0", 3, 64, 224, 11, 4, 2),
    layer("alexnet", "features.3", 64, 192, 27, 5, 1, 2),
    layer("alexnet", "features.6", 192, 384, 13, 3, 1, 1),
    layer("lenet5", "conv1", 1, 6, 28, 5, 1, 2),
    layer("lenet5", "conv2", 6, 16, 14, 5),
    layer("lenet5", "conv3", 16, 120, 5, 5),
    layer("squeezenet", "features.0", 3, 64, 224, 3, 2),
    layer("convnext", "stem", 3, 96, 224, 4, 4),
    layer("vit", "patches", 3, 192, 224, 16, 16),
]

DEPTHWISE = [
    layer("mnasnet", "depthwise5", 72, 72, 56, 5, 2, 2, groups=72),
    layer("mnasnet", "depthwise5.28", 120, 120, 28, 5, 1, 2, groups=120),
    layer("efficientnet", "depthwise5.14", 480, 480, 14, 5, 1, 2, groups=480),
    layer("efficientnet", "depthwise5.14s2", 672, 672, 14, 5, 2, 2, groups=672),
    layer("convnext", "depthwise7.56", 96, 96, 56, 7, 1, 3, groups=96),
    layer("convnext", "depthwise7.28", 192, 192, 28, 7, 1, 3, groups=192),
    layer("convnext", "depthwise7.14", 384, 384, 14, 7, 1, 3, groups=384),
    layer("convnext", "depthwise7.7", 768, 768, 7, 7, 1, 3, groups=768),
    layer("deeplab", "depthwise.dilated", 256, 256, 33, 3, 1, 2, 2, groups=256),
]

OTHER_RANKS = [
    layer("wav2vec2", "conv1", 512, 512, 1599, 3, 2, rank=1),
    layer("tasnet", "depthwise", 512, 512, 1000, 3, 1, 4, 4, groups=512, rank=1),
    layer("textcnn", "conv5", 300, 100, 128, 5, rank=1),
    layer("conformer", "depthwise15", 256, 256, 400, 15, 1, 7, groups=256, rank=1),
    layer("r3d18", "stem", 3, 64, (8, 112, 112), (3, 7, 7), 1, (1, 3, 3), rank=3),
    layer("r3d18", "layer1", 64, 64, (8, 28, 28), 3, 1, 1, rank=3),
    layer("r3d18", "layer2", 128, 128, (4, 14, 14), 3, 1, 1, rank=3),
]

LAYERS: list[ConvLayer] = [
    *RESNET,
    *VGG,
    *MOBILENET,
    *GOOGLENET,
    *POINTWISE,
    *INCEPTION,
    *RESNEXT,
    *REGNET,
    *DEEPLAB,
    *DCGAN,
    *FIRST,
    *DEPTHWISE,
    *OTHER_RANKS,
]
