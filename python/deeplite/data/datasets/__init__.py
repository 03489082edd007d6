"""Published datasets, read from local files, under the names of ``torchvision.datasets``.

Nothing is downloaded: each dataset says which file belongs where. Checksums of the published files
are verified. Samples are ``(picture, class)``, the picture an array ``[H, W]`` or ``[H, W, C]`` of
8 bits (where torchvision has a Pillow image), as :mod:`deeplite.data.transforms` takes it.
"""

from __future__ import annotations

from .cifar import CIFAR10, CIFAR100
from .digits import DigitsDataset
from .folder import DatasetFolder, ImageFolder, default_loader
from .mnist import KMNIST, MNIST, FashionMNIST, read_idx
from .svhn import SVHN
from .vision import VisionDataset

__all__ = [
    "CIFAR10", "CIFAR100", "KMNIST", "MNIST", "SVHN", "DatasetFolder", "DigitsDataset",
    "FashionMNIST", "ImageFolder", "VisionDataset", "default_loader", "read_idx",
]  # fmt: skip
