"""Networks over either library, with the same weights.

For torch a model file of deeplite is executed over torch (`deeplite.models._twin`), so that both
sides run the same description. Weights are drawn per parameter name: nothing is copied.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.library import Library

# At least one network of each family in deeplite.models (and `mlp`, which is defined here).
NAMES = (
    "mlp", "lenet5", "lenet5_modern", "alexnet", "zfnet", "vgg16", "nin_imagenet", "googlenet",
    "bn_inception", "inception_v3", "inception_v4", "inception_resnet_v2", "fractalnet34",
    "resnet18", "resnet50", "resnext50_32x4d", "preact_resnet50", "densenet121", "squeezenet1_0",
    "xception", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large",
    "shufflenet_v2_x1_0", "mnasnet1_0", "efficientnet_b0", "efficientnet_v2_s", "regnet_x_400mf",
    "regnet_y_400mf", "convnext_tiny",
)  # fmt: skip
# FractalNet's random paths would give every step a network of another size.
OPTIONS: dict[str, dict[str, Any]] = {"fractalnet34": {"drop_path": 0.0}}
TITLES = {
    "mlp": "MLP 784-512-512-10",
    "lenet5": "LeNet-5",
    "lenet5_modern": "LeNet-5 (modern)",
    "alexnet": "AlexNet",
    "resnext50_32x4d": "ResNeXt-50 32x4d",
    "resnet18": "ResNet-18",
    "resnet50": "ResNet-50",
    "mobilenet_v2": "MobileNetV2",
    "vgg16": "VGG-16",
}


def title(name: str) -> str:
    return TITLES.get(name, name)


def available(pattern: str = "") -> list[str]:
    """The networks of a suite: `NAMES`, and any other of deeplite.models that `pattern`, names
    joined by "|", asks for by its full name."""
    from deeplite import models

    known = set(models.list_models())
    asked = [n for n in pattern.split("|") if n in known and n not in NAMES]
    return [*(n for n in NAMES if n == "mlp" or n in known), *asked]


def shape(name: str) -> tuple[int, ...]:
    """Of one input: the paper's."""
    from deeplite import models

    return (784,) if name == "mlp" else models.info(name).input_size


def has_layouts(name: str) -> bool:
    """Whether `channels_last` is another order: not for one channel, nor for rows of numbers."""
    return len(shape(name)) == 3 and shape(name)[0] > 1


def mlp(library: Library) -> Any:
    nn = library.nn
    return nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )


def network(library: Library, name: str) -> Any:
    """The network with weights drawn by parameter name, in the library's float type."""
    module = mlp(library) if name == "mlp" else built(library, name)
    with library.module.no_grad():
        for key, value in module.state_dict().items():
            if value.is_floating_point():
                value.copy_(library.tensor(drawn(key, tuple(value.shape)), "float32"))
    return module.to(getattr(library.module, library.floats))


def drawn(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """He's normal distribution for weights, 1 for scales and variances, 0 for shifts and means."""
    if len(shape) > 1:
        rng = np.random.default_rng(zlib.crc32(key.encode()))
        spread = (2 / np.prod(shape[1:])) ** 0.5
        return (spread * rng.standard_normal(shape)).astype(np.float32)
    one = key.endswith(("weight", "running_var"))
    return np.full(shape, float(one), np.float32)


def built(library: Library, name: str) -> Any:
    from deeplite import models
    from deeplite.models import _twin

    if library.name == "deeplite":
        return models.build(name, **OPTIONS.get(name, {}))
    return _twin.build(library.module, name, **OPTIONS.get(name, {}))


@dataclass
class Training:
    """A network, its optimizer and one batch.

    `channels_last` puts network and images into that order; `still` leaves out what is random
    (dropout), so that two libraries can be compared.
    """

    library: Library
    name: str
    batch: int
    channels_last: bool = False
    still: bool = False

    def __post_init__(self) -> None:
        library, lib = self.library, self.library.module
        self.model = network(library, self.name)
        self.model.train()
        if self.still:
            for module in self.model.modules():
                if type(module).__name__ == "Dropout":
                    module.eval()
        rng = np.random.default_rng(11)
        images = rng.standard_normal((self.batch, *shape(self.name))).astype(np.float32)
        self.images = library.tensor(images)
        if self.channels_last:
            self.model = self.model.to(memory_format=lib.channels_last)
            self.images = self.images.contiguous(memory_format=lib.channels_last)
        self.labels = library.tensor(rng.integers(0, 10, self.batch))
        self.optimizer = lib.optim.SGD(
            self.model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4
        )

    def loss(self) -> Any:
        scores = self.model(self.images)
        if not hasattr(scores, "dtype"):  # GoogLeNet's named tuple with auxiliary heads
            scores = scores[0]
        return self.library.functional.cross_entropy(scores, self.labels)

    def step(self) -> None:
        """Forward, loss, backward, update: what a training loop does per batch."""
        self.optimizer.zero_grad()
        self.loss().backward()
        self.optimizer.step()
