"""Transforms of whole batches, and statistics of whole datasets."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import deeplite
from deeplite import Tensor

from .. import _random
from .basic import Transform, picture_tensor

__all__ = ["CutMix", "MixUp", "channel_statistics", "mean_image"]


class _Mix(Transform):
    """Each sample of a batch joined with its neighbour; labels become probabilities."""

    def __init__(self, *, alpha: float = 1.0, num_classes: int | None = None) -> None:
        if alpha <= 0:
            raise ValueError(f"{type(self).__name__}: alpha must be positive, got {alpha}")
        self.alpha, self.num_classes = float(alpha), num_classes

    def __call__(self, images: Any, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        name = type(self).__name__
        if labels is None:
            images, labels = images
        if images.dim() != 4 or not images.is_floating_point():
            raise ValueError(f"{name}: expected floating pictures [N, C, H, W]")
        if labels.dim() == 1:
            if self.num_classes is None:
                raise ValueError(f"{name}: labels that are class numbers need num_classes")
            labels = deeplite.nn.functional.one_hot(labels, self.num_classes).float()
        if labels.shape[0] != images.shape[0]:
            raise ValueError(f"{name}: {images.shape[0]} pictures, {labels.shape[0]} labels")
        mixed, part = self.mix(images, _random.beta(self.alpha))
        return mixed, labels * part + labels.roll(1, 0) * (1.0 - part)

    def mix(self, images: Tensor, part: float) -> tuple[Tensor, float]:
        raise NotImplementedError


class MixUp(_Mix):
    """Batches of weighted sums of two samples (Zhang et al., "mixup: beyond empirical risk
    minimization", 2017): ``part * x_i + (1 - part) * x_(i-1)`` with ``part ~ Beta(alpha, alpha)``,
    and labels likewise.

    Args:
        alpha: of the Beta distribution.
        num_classes: needed when labels are class numbers ``[N]``; ``[N, classes]`` are
            probabilities.

    Example:
        >>> mix = data.transforms.MixUp(num_classes=3)
        >>> images, labels = mix(deeplite.rand(4, 1, 2, 2), deeplite.tensor([0, 1, 2, 0]))
        >>> tuple(images.shape), tuple(labels.shape)
        ((4, 1, 2, 2), (4, 3))
    """

    def mix(self, images: Tensor, part: float) -> tuple[Tensor, float]:
        return images * part + images.roll(1, 0) * (1.0 - part), part


class CutMix(_Mix):
    """Batches in which a window of each sample comes from another (Yun et al., "CutMix", 2019); the
    labels are mixed by area.

    Args:
        alpha: of the Beta distribution from which the part that stays is drawn.
        num_classes: as for :class:`MixUp`.
    """

    def mix(self, images: Tensor, part: float) -> tuple[Tensor, float]:
        height, width = int(images.shape[2]), int(images.shape[3])
        x, y = _random.integer(0, width), _random.integer(0, height)
        half = 0.5 * math.sqrt(1.0 - part)
        w, h = int(half * width), int(half * height)
        left, right = max(x - w, 0), min(x + w, width)
        top, bottom = max(y - h, 0), min(y + h, height)
        mixed = images.clone()
        mixed[..., top:bottom, left:right] = images.roll(1, 0)[..., top:bottom, left:right]
        return mixed, 1.0 - (right - left) * (bottom - top) / (width * height)


def _pictures(pictures: Iterable[Any]) -> Iterable[Tensor]:
    for item in pictures:
        yield picture_tensor(item[0] if isinstance(item, (tuple, list)) else item)


def mean_image(pictures: Iterable[Any]) -> Tensor:
    """The mean ``[C, H, W]`` of pictures of one size (or of samples that begin with one), in 0..1:
    what AlexNet subtracts. For :class:`Normalize`.

    Example:
        >>> mean_image([deeplite.zeros(1, 2, 2), deeplite.ones(1, 2, 2)]).flatten().tolist()
        [0.5, 0.5, 0.5, 0.5]
    """
    total, count = None, 0
    for x in _pictures(pictures):
        total = x.double() if total is None else total + x.double()
        count += 1
    if total is None:
        raise ValueError("mean_image: no pictures")
    return (total / count).float()


def channel_statistics(pictures: Iterable[Any]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel over all pixels of the pictures, in 0..1.

    Example:
        >>> channel_statistics([deeplite.zeros(1, 2, 2), deeplite.ones(1, 2, 2)])
        ([0.5], [0.5])
    """
    total, squares, count = None, None, 0
    for x in _pictures(pictures):
        flat = x.double().flatten(1)
        total = flat.sum(1) if total is None else total + flat.sum(1)
        squares = (flat * flat).sum(1) if squares is None else squares + (flat * flat).sum(1)
        count += int(flat.shape[1])
    if total is None or squares is None:
        raise ValueError("channel_statistics: no pictures")
    mean = total / count
    return mean.tolist(), (squares / count - mean * mean).clamp(min=0).sqrt().tolist()
