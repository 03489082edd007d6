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

# Our name of a model -> the shape of one input.
SHAPES: dict[str, tuple[int, ...]] = {
    "mlp": (784,),
    "lenet5": (1, 32, 32),
    "lenet5_modern": (1, 32, 32),
    "alexnet": (3, 224, 224),
    "vgg16": (3, 224, 224),
    "googlenet": (3, 224, 224),
    "resnet18": (3, 224, 224),
    "resnet50": (3, 224, 224),
    "resnext50_32x4d": (3, 224, 224),
    "densenet121": (3, 224, 224),
    "squeezenet1_0": (3, 224, 224),
    "mobilenet_v2": (3, 224, 224),
    "mobilenet_v3_small": (3, 224, 224),
    "shufflenet_v2_x1_0": (3, 224, 224),
    "efficientnet_b0": (3, 224, 224),
    "convnext_tiny": (3, 224, 224),
}
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


def available() -> list[str]:
    """The networks that deeplite.models has today."""
    from deeplite import models

    known = set(models.list_models())
    return [n for n in SHAPES if n == "mlp" or n in known]


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
        return models.build(name)
    return _twin.build(library.module, name)


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
        images = rng.standard_normal((self.batch, *SHAPES[self.name])).astype(np.float32)
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
