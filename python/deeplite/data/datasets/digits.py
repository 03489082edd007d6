"""The handwritten digits that come with scikit-learn: real data without a file."""

from __future__ import annotations

import numpy as np

import deeplite
from deeplite import Tensor

from .vision import Function, SplitDataset


class DigitsDataset(SplitDataset):
    """1,797 handwritten digits, gray pictures of 8 x 8 (Alpaydin and Kaynak, 1998), from
    scikit-learn.

    Args:
        train: four fifths of the digits, or the rest.
        transform, target_transform: applied to each picture and class.
        seed: of the split.

    Attributes:
        data: uint8 ``[N, 8, 8]``; the 17 levels of the original are spread over 0 .. 255
        targets: int64 ``[N]``

    Raises:
        ModuleNotFoundError: scikit-learn is not installed.

    Example:
        >>> digits = data.datasets.DigitsDataset(train=False)
        >>> len(digits), digits[0][0].shape
        (360, (8, 8))
    """

    classes = [str(i) for i in range(10)]

    def __init__(
        self, train: bool = True, transform: Function | None = None,
        target_transform: Function | None = None, *, seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(transform=transform, target_transform=target_transform)
        try:
            from sklearn.datasets import load_digits
        except ModuleNotFoundError:
            raise ModuleNotFoundError(
                "the digits come with scikit-learn: pip install 'deeplite[train]'"
            ) from None
        bunch = load_digits()
        self.train = train
        order = np.random.default_rng(seed).permutation(len(bunch.target))
        cut = int(0.8 * len(order))
        which = order[:cut] if train else order[cut:]
        self._images = np.rint(bunch.images[which] * (255 / 16)).astype(np.uint8)
        self._labels = bunch.target[which].astype(np.int64)
        self.data: Tensor = deeplite.from_numpy(self._images)
        self.targets: Tensor = deeplite.from_numpy(self._labels)
