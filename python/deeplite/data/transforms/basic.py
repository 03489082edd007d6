"""Transforms without chance, and those that combine others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import deeplite
from deeplite import Tensor

from .. import _random
from . import functional as F
from .functional import InterpolationMode

__all__ = [
    "CenterCrop", "Compose", "ConvertImageDtype", "FiveCrop", "GaussianBlur", "Grayscale", "Lambda",
    "Normalize", "PILToTensor", "Pad", "RandomApply", "RandomChoice", "RandomOrder", "Resize",
    "TenCrop", "ToTensor", "Transform",
]  # fmt: skip


class Transform:
    """A function of one picture that shows its settings; see :mod:`functional` for the pictures."""

    def __call__(self, img: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not say what it does")

    def __repr__(self) -> str:
        shown = {k: v for k, v in vars(self).items() if not k.startswith("_")}
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in shown.items())})"


class Compose(Transform):
    """Several transforms, one after the other.

    Example:
        >>> import numpy as np
        >>> t = data.transforms.Compose([data.transforms.CenterCrop(4), data.transforms.ToTensor()])
        >>> t(np.zeros((8, 6, 3), np.uint8)).shape
        deeplite.Size([3, 4, 4])
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = list(transforms)

    def __call__(self, img: Any) -> Any:
        for transform in self.transforms:
            img = transform(img)
        return img


class ToTensor(Transform):
    """A picture ``[H, W, C]`` to a float32 tensor ``[C, H, W]``; 8 bits are divided by 255."""

    def __call__(self, pic: Any) -> Tensor:
        return F.to_tensor(pic)


class PILToTensor(Transform):
    """A picture ``[H, W, C]`` to a tensor ``[C, H, W]`` of the same values."""

    def __call__(self, pic: Any) -> Tensor:
        return F.pil_to_tensor(pic)


class ConvertImageDtype(Transform):
    """uint8 in 0..255 to floats in 0..1, or back."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype

    def __call__(self, image: Tensor) -> Tensor:
        return F.convert_image_dtype(image, self.dtype)


class Normalize(Transform):
    """``(x - mean) / std`` of a floating tensor ``[C, H, W]``.

    Args:
        mean: per channel, or a whole mean image ``[C, H, W]`` (as AlexNet's; see
            :func:`deeplite.data.transforms.mean_image`).
        std: likewise.

    Example:
        >>> data.transforms.Normalize([0.5], [0.25])(deeplite.ones(1, 2, 2)).flatten().tolist()
        [2.0, 2.0, 2.0, 2.0]
    """

    def __init__(self, mean: Any, std: Any = 1.0, inplace: bool = False) -> None:
        self.mean, self.std, self.inplace = mean, std, inplace

    def __call__(self, tensor: Tensor) -> Tensor:
        return F.normalize(tensor, self.mean, self.std, self.inplace)


class Resize(Transform):
    """Another size; one number is the length of the shorter edge. See :func:`functional.resize`."""

    def __init__(
        self, size: int | Sequence[int],
        interpolation: InterpolationMode = InterpolationMode.BILINEAR, max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:  # fmt: skip
        self.size, self.interpolation = size, interpolation
        self.max_size, self.antialias = max_size, antialias

    def __call__(self, img: Any) -> Any:
        return F.resize(img, self.size, self.interpolation, self.max_size, self.antialias)


class CenterCrop(Transform):
    """The middle of the picture."""

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = size

    def __call__(self, img: Any) -> Any:
        return F.center_crop(img, self.size)


class FiveCrop(Transform):
    """The four corners and the middle, as a tuple."""

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = size

    def __call__(self, img: Any) -> tuple[Any, ...]:
        return F.five_crop(img, self.size)


class TenCrop(Transform):
    """The five crops of the picture and of its mirror image, as a tuple.

    Example:
        >>> import numpy as np
        >>> T = data.transforms
        >>> views = T.Lambda(lambda crops: deeplite.stack([T.ToTensor()(c) for c in crops]))
        >>> T.Compose([T.TenCrop(4), views])(np.zeros((8, 8, 3), np.uint8)).shape
        deeplite.Size([10, 3, 4, 4])
    """

    def __init__(self, size: int | Sequence[int], vertical_flip: bool = False) -> None:
        self.size, self.vertical_flip = size, vertical_flip

    def __call__(self, img: Any) -> tuple[Any, ...]:
        return F.ten_crop(img, self.size, self.vertical_flip)


class Pad(Transform):
    """A border around the picture; see :func:`functional.pad`."""

    def __init__(
        self, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant"
    ) -> None:
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode

    def __call__(self, img: Any) -> Any:
        return F.pad(img, self.padding, self.fill, self.padding_mode)


class Grayscale(Transform):
    """Gray values, in one channel or three equal ones."""

    def __init__(self, num_output_channels: int = 1) -> None:
        self.num_output_channels = num_output_channels

    def __call__(self, img: Any) -> Any:
        return F.rgb_to_grayscale(img, self.num_output_channels)


class GaussianBlur(Transform):
    """Blurred by a bell curve whose width is drawn from ``sigma`` (a number, or a range)."""

    def __init__(
        self, kernel_size: int | Sequence[int], sigma: float | Sequence[float] = (0.1, 2.0)
    ) -> None:
        self.kernel_size = kernel_size
        self.sigma = (sigma, sigma) if isinstance(sigma, (int, float)) else tuple(sigma)
        if len(self.sigma) != 2 or not 0 < self.sigma[0] <= self.sigma[1]:
            raise ValueError(f"GaussianBlur: sigma is a positive number or a range, got {sigma}")

    def __call__(self, img: Any) -> Any:
        return F.gaussian_blur(img, self.kernel_size, _random.uniform(*self.sigma))


class Lambda(Transform):
    """Any function as a transform."""

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Lambda: expected a function, got {type(lambd).__name__}")
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)


class RandomApply(Transform):
    """All of several transforms, or none of them; all with probability ``p``."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: float = 0.5) -> None:
        self.transforms, self.p = list(transforms), p

    def __call__(self, img: Any) -> Any:
        if _random.uniform() >= self.p:
            return img
        for transform in self.transforms:
            img = transform(img)
        return img


class RandomChoice(Transform):
    """One of several transforms, drawn with probabilities ``p`` (equal ones by default)."""

    def __init__(
        self, transforms: Sequence[Callable[[Any], Any]], p: Sequence[float] | None = None
    ) -> None:
        if p is not None and len(p) != len(transforms):
            raise ValueError(f"RandomChoice: {len(transforms)} transforms, {len(p)} probabilities")
        self.transforms, self.p = list(transforms), p

    def __call__(self, img: Any) -> Any:
        weights = [1.0] * len(self.transforms) if self.p is None else self.p
        return self.transforms[_random.choice(weights)](img)


class RandomOrder(Transform):
    """All of several transforms, in random order."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = list(transforms)

    def __call__(self, img: Any) -> Any:
        for i in _random.permutation(len(self.transforms)):
            img = self.transforms[i](img)
        return img


def picture_tensor(img: Any) -> Tensor:
    """A picture as a floating tensor [C, H, W], whatever it was."""
    if isinstance(img, Tensor):
        return F.convert_image_dtype(img, deeplite.float32)
    return F.to_tensor(img)
