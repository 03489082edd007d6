"""A scaled-down member of a family learns the real handwritten digits: 97 % of unseen ones."""

from __future__ import annotations

from typing import Any

import deeplite
import numpy as np
import pytest
from deeplite import demo, models
from deeplite.models.alexnet import Stage

pytest.importorskip("sklearn")
pytestmark = pytest.mark.slow

EPOCHS, BATCH, RATE = 16, 64, 3e-3
SMALL_ALEXNET = {
    "stages": (
        Stage(32, 5, 1, 2, norm=True, pool=True),
        Stage(64, 3, groups=2, norm=True, pool=True),
        Stage(64, groups=2),
    ),
    "hidden": 128,
    "dropout": 0.2,
}
# name, options, size of the images
NETS: list[tuple[str, dict[str, Any], int]] = [
    ("lenet5", {}, 32),
    ("lenet5_modern", {}, 32),
    ("alexnet", SMALL_ALEXNET, 32),
    ("vgg11_bn", {"widths": (16, 32, 32, 64, 64), "hidden": 64, "dropout": 0.2}, 32),
    ("googlenet", {"width": 0.25, "dropout_aux": 0.3}, 48),
    ("bn_inception", {"width": 0.25}, 48),
]


@pytest.mark.parametrize(("name", "options", "size"), NETS, ids=[c[0] for c in NETS])
def test_learns_the_digits(name: str, options: dict[str, Any], size: int) -> None:
    deeplite.manual_seed(0)
    digits = demo.load_digits(0)
    rng = np.random.default_rng(0)
    net = models.build(name, num_classes=10, in_channels=1, **options)
    adam = deeplite.optim.AdamW(net.parameters(), lr=RATE, weight_decay=0.01)
    steps, step = EPOCHS * (len(digits.train) // BATCH), 0

    def prepared(which: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> Any:
        images = demo.enlarge(digits.images[which], scale, shift, size)
        return deeplite.tensor(digits.normalised(images).astype(np.float32))

    net.train()
    for _ in range(EPOCHS):
        order = rng.permutation(digits.train)
        for start in range(0, len(order) - BATCH + 1, BATCH):
            which = order[start : start + BATCH]
            distorted = np.exp(rng.uniform(-0.15, 0.15, (2, BATCH)))
            x = prepared(which, distorted, rng.uniform(-0.6, 0.6, (2, BATCH)))
            warm = min(1.0, (step + 1) / 20)
            adam.param_groups[0]["lr"] = RATE * warm * 0.5 * (1 + np.cos(np.pi * step / steps))
            loss = models.GoogLeNet.loss(net(x), deeplite.tensor(digits.labels[which]))
            adam.zero_grad()
            loss.backward()
            adam.step()
            step += 1
    net.eval()
    n = len(digits.test)
    with deeplite.no_grad():
        scores = net(prepared(digits.test, np.ones((2, n)), np.zeros((2, n))))
    right = float((scores.numpy().argmax(1) == digits.labels[digits.test]).mean())
    assert right >= 0.97, f"{name}: {100 * right:.2f} % of the test digits"
