"""A scaled-down member of every family learns the real handwritten digits: 97 % of unseen ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import deeplite
import numpy as np
import pytest
from deeplite import demo, models, nn
from deeplite.models.alexnet import Stage
from deeplite.models.inception_chains import (
    INCEPTION_A,
    INCEPTION_B,
    INCEPTION_C,
    REDUCTION_B,
    STEM,
    reduction_a,
)
from deeplite.optim.swa_utils import update_bn

pytest.importorskip("sklearn")

BATCH = 64


@dataclass(frozen=True)
class Row:
    """A network and how it is trained: AdamW, distorted digits, a rate that warms up and falls
    along half a cosine.

    Attributes:
        name, options: for `models.build`.
        size: of the images. The digits have 8x8 pixels; 16 do where the stem leaves them whole.
        rate: the highest learning rate.
        epochs: of 19 steps each.
        momentum: of the running statistics, where the family's own takes thousands of steps.
        settle: take the running statistics anew, with all paths, before the digits are judged.
        open_scores: begin with this bias of the last convolution.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    size: int = 32
    rate: float = 3e-3
    epochs: int = 16
    momentum: float | None = None
    settle: bool = False
    open_scores: float | None = None


def pooled_stage(channels: int, kernel: int, stride: int, padding: int) -> Stage:
    return Stage(channels, kernel, stride, padding, norm=True, pool="ceil", pool_first=True)


ALEXNET = (
    Stage(32, 5, 1, 2, norm=True, pool=True),
    Stage(64, 3, groups=2, norm=True, pool=True),
    Stage(64, groups=2),
)
ZFNET = (
    pooled_stage(16, 7, 2, 1),
    pooled_stage(32, 5, 1, 2),
    Stage(48),
    Stage(48),
    Stage(32, pool=True),
)
INCEPTION_V4 = (
    *STEM,
    INCEPTION_A,
    reduction_a(192, 224, 256, 384),
    *[INCEPTION_B] * 2,
    REDUCTION_B,
    INCEPTION_C,
)
VGG = {"widths": (16, 32, 64, 64, 64), "hidden": 64, "dropout": 0.2}
FRACTAL = {"widths": (8, 16, 32, 64, 64), "dropout": (0.0,) * 5}
DENSE = {"growth_rate": 8, "block_config": (4, 4, 4), "num_init_features": 16}
# Without shortcuts, more than ten layers want more steps than the common recipe has, and with norm
# layers a higher rate.
ROWS = [
    Row("lenet5"),
    Row("lenet5_modern"),
    Row("alexnet", {"stages": ALEXNET, "hidden": 128, "dropout": 0.2}),
    # The paper's initial values are made for thousands of inputs; few leave the signal to vanish.
    Row("zfnet", {"paper": False, "stages": ZFNET, "hidden": 128, "dropout": 0.2}, 64),
    # The common rate is too much for eight convolutions without norm layers: 88 %.
    Row("vgg11", VGG, rate=1e-3, epochs=24),
    Row("vgg11_bn", {**VGG, "widths": (16, 32, 32, 64, 64)}),
    Row("nin_cifar", {"width": 0.5, "dropout": 0.2}, 16, epochs=20),
    Row("googlenet", {"width": 0.25, "dropout_aux": 0.3}, 48),
    Row("bn_inception", {"width": 0.25}, 48),
    # The auxiliary classifier wants maps of 5x5 after seven strides: images of 299x299.
    Row("inception_v3", {"width": 0.125, "aux_logits": False, "dropout": 0.2}, 75, 1e-2, 28),
    # All 76 layers get there, too, but take three times as many epochs.
    Row("inception_v4", {"width": 0.125, "blocks": INCEPTION_V4}, 75, 1e-2),
    Row("inception_resnet_v2", {"width": 0.125, "repeats": (2, 3, 2)}, 75),
    Row("resnet20_cifar", {"widths": (8, 16, 32)}, 16),
    Row("plain20_cifar", {"widths": (8, 16, 32)}, 16, epochs=24),
    Row("resnet110_cifar_stochastic", {"widths": (8, 16, 32)}, 16),
    Row(
        "resnext29_8x64d_cifar", {"widths": (16, 32, 64), "groups": 4, "width_per_group": 16}, 16
    ),
    Row("preact_resnet18", {"widths": (8, 16, 32, 64), "stem": "cifar", "stem_width": 8}, 16),
    Row("wide_resnet16_8_cifar", {"widths": (32, 64, 128), "dropout": 0.1}, 16),
    # Half of the batches go through one column alone, so the running statistics describe neither a
    # column nor the whole; dropout before the norm layers shifts them, too, and is too much for
    # few maps.
    Row("fractalnet20_cifar", FRACTAL, epochs=24, settle=True),
    Row("densenet40_k12_cifar", DENSE, 16),
    Row("densenetbc100_k12_cifar", {**DENSE, "memory_efficient": True}, 16),
    # A rectifier stands behind the scores. Those of torchvision's initial values are negative for
    # half of the pixels, and in most runs some classes soon are everywhere and for ever.
    Row("squeezenet1_1", {"dropout": 0.2}, 48, rate=1e-3, open_scores=1.0),
    Row("xception", {"width_mult": 0.125, "n_middle": 2, "dropout": 0.2}, 71),
    Row("mobilenet_v1", {"width_mult": 0.25}, 48, 1e-2),
    Row("mobilenet_v2", {"width_mult": 0.35}, 48),
    Row("mobilenet_v3_small", {"width_mult": 0.5}, 64, momentum=0.1),
    Row("shufflenet_v2_x0_5", {"stages_repeats": (2, 4, 2),
        "stages_out_channels": (16, 32, 64, 128, 256)}, 64),
    Row("mnasnet0_5", {"alpha": 0.35}, 64, 1e-2, 28, momentum=0.1),
    Row("efficientnet_b0", {"width_mult": 0.35, "depth_mult": 0.5}, 48),
    Row("regnet_y_400mf", {"depth": 6, "w_0": 16, "w_a": 16.0, "w_m": 2.0, "group_width": 8,
        "stem_width": 16}, 48),
    Row("convnext_tiny", {"widths": (16, 32, 64, 128), "depths": (1, 1, 2, 1)}),
]  # fmt: skip


class Images:
    """The digits as batches: distorted for training, as they are for judging."""

    def __init__(self, size: int) -> None:
        self.digits, self.size = demo.load_digits(0), size
        self.rng = np.random.default_rng(0)

    def prepared(self, which: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> Any:
        images = demo.enlarge(self.digits.images[which], scale, shift, self.size)
        return deeplite.tensor(self.digits.normalised(images).astype(np.float32))

    def epoch(self, batch: int = BATCH) -> Any:
        order = self.rng.permutation(self.digits.train)
        for start in range(0, len(order) - batch + 1, batch):
            which = order[start : start + batch]
            scale = np.exp(self.rng.uniform(-0.15, 0.15, (2, batch)))
            x = self.prepared(which, scale, self.rng.uniform(-0.6, 0.6, (2, batch)))
            yield x, deeplite.tensor(self.digits.labels[which])

    def accuracy(self, net: nn.Module) -> float:
        which = self.digits.test
        net.eval()
        with deeplite.no_grad():
            plain = np.ones((2, len(which))), np.zeros((2, len(which)))
            scores = net(self.prepared(which, *plain))
        return float((scores.numpy().argmax(1) == self.digits.labels[which]).mean())


def train(net: nn.Module, images: Images, rate: float, epochs: int) -> None:
    adam = deeplite.optim.AdamW(net.parameters(), lr=rate, weight_decay=0.01)
    steps, step = epochs * (len(images.digits.train) // BATCH), 0
    net.train()
    for _ in range(epochs):
        for x, target in images.epoch():
            warm = min(1.0, (step + 1) / 20)
            adam.param_groups[0]["lr"] = rate * warm * 0.5 * (1 + np.cos(np.pi * step / steps))
            loss = models.GoogLeNet.loss(net(x), target)
            adam.zero_grad()
            loss.backward()
            adam.step()
            step += 1


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_learns_the_digits(row: Row) -> None:
    deeplite.manual_seed(0)
    images = Images(row.size)
    net: Any = models.build(row.name, num_classes=10, in_channels=1, **row.options)
    for m in net.modules():
        if row.momentum is not None and isinstance(m, nn.BatchNorm2d):
            m.momentum = row.momentum
    if row.open_scores is not None:
        last: Any = [m for m in net.modules() if isinstance(m, nn.Conv2d)][-1]
        nn.init.constant_(last.bias, row.open_scores)
    train(net, images, row.rate, row.epochs)
    if row.settle:
        net.drop_path = 0.0
        update_bn(images.epoch(256), net)
    right = images.accuracy(net)
    assert right >= 0.97, f"{row.name}: {100 * right:.2f} % of the test digits"


def test_every_family_has_a_row() -> None:
    families = {models.info(name).family for name in models.list_models()}
    assert {models.info(row.name).family for row in ROWS} == families
