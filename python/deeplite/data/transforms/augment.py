"""Random transforms of one picture, under torchvision's names.

Each has ``get_params``, which draws, and applies what was drawn through :mod:`functional`. Draws
come from the generator of the batch inside of a DataLoader (so that the same seed gives the same
pictures, whatever the number of workers), and from the default generator elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

import deeplite
from deeplite import Tensor

from .. import _random
from . import functional as F
from .basic import Transform
from .functional import InterpolationMode

__all__ = [
    "ColorJitter", "ElasticTransform", "PCANoise", "RandomAffine", "RandomCrop", "RandomErasing",
    "RandomGrayscale", "RandomHorizontalFlip", "RandomInvert", "RandomPerspective",
    "RandomResizedCrop", "RandomRotation", "RandomSolarize", "RandomVerticalFlip",
]  # fmt: skip

NEAREST, BILINEAR = InterpolationMode.NEAREST, InterpolationMode.BILINEAR


def _range(name: str, value: Any, least: float | None = None) -> tuple[float, float]:
    """A number n as (-n, n), or a pair as it is."""
    if isinstance(value, (int, float)):
        if value < 0:
            raise ValueError(f"{name}: a single number must not be negative, got {value}")
        return -float(value), float(value)
    low, high = (float(v) for v in value)
    if low > high or (least is not None and low < least):
        raise ValueError(f"{name}: expected a range from low to high, got {value}")
    return low, high


class RandomHorizontalFlip(Transform):
    """Left and right exchanged with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def __call__(self, img: Any) -> Any:
        return F.hflip(img) if _random.uniform() < self.p else img


class RandomVerticalFlip(Transform):
    """Top and bottom exchanged with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def __call__(self, img: Any) -> Any:
        return F.vflip(img) if _random.uniform() < self.p else img


class RandomGrayscale(Transform):
    """Gray values in as many channels as before, with probability ``p``."""

    def __init__(self, p: float = 0.1) -> None:
        self.p = p

    def __call__(self, img: Any) -> Any:
        if _random.uniform() >= self.p:
            return img
        return F.rgb_to_grayscale(img, F.get_dimensions(img)[0])


class RandomInvert(Transform):
    """The negative, with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def __call__(self, img: Any) -> Any:
        return F.invert(img) if _random.uniform() < self.p else img


class RandomSolarize(Transform):
    """Values from ``threshold`` on inverted, with probability ``p``."""

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        self.threshold, self.p = threshold, p

    def __call__(self, img: Any) -> Any:
        return F.solarize(img, self.threshold) if _random.uniform() < self.p else img


class RandomCrop(Transform):
    """A window at a random place.

    Args:
        size: of the window.
        padding: a border added first, see :func:`functional.pad`.
        pad_if_needed: widen pictures that are smaller than the window.
        fill, padding_mode: of the border.
    """

    def __init__(
        self, size: int | Sequence[int], padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False, fill: Any = 0, padding_mode: str = "constant",
    ) -> None:  # fmt: skip
        self.size, self.padding, self.pad_if_needed = F.pair(size), padding, pad_if_needed
        self.fill, self.padding_mode = fill, padding_mode

    @staticmethod
    def get_params(img: Any, output_size: Sequence[int]) -> tuple[int, int, int, int]:
        """top, left, height, width"""
        _, height, width = F.get_dimensions(img)
        rows, columns = output_size
        if height < rows or width < columns:
            raise ValueError(
                f"RandomCrop: a window of {rows} x {columns} does not fit into {height} x {width}"
            )
        top = _random.integer(0, height - rows + 1)
        return top, _random.integer(0, width - columns + 1), rows, columns

    def __call__(self, img: Any) -> Any:
        if self.padding is not None:
            img = F.pad(img, self.padding, self.fill, self.padding_mode)
        _, height, width = F.get_dimensions(img)
        missing = max(0, self.size[1] - width), max(0, self.size[0] - height)
        if self.pad_if_needed and any(missing):
            img = F.pad(img, missing, self.fill, self.padding_mode)
        return F.crop(img, *self.get_params(img, self.size))


class RandomResizedCrop(Transform):
    """A window of random area and shape, brought to one size ("Inception crop": Szegedy et al.,
    "Going deeper with convolutions", 2014).

    Args:
        size: of the result.
        scale: range of the window's part of the area.
        ratio: range of width / height, drawn on a logarithmic scale.
        interpolation, antialias: see :func:`functional.resize`.
    """

    def __init__(
        self, size: int | Sequence[int], scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: InterpolationMode = BILINEAR, antialias: bool | None = True,
    ) -> None:  # fmt: skip
        self.size = F.pair(size)
        self.scale = _range("RandomResizedCrop", tuple(scale), 0.0)
        self.ratio = _range("RandomResizedCrop", tuple(ratio), 0.0)
        self.interpolation, self.antialias = interpolation, antialias

    @staticmethod
    def get_params(
        img: Any, scale: Sequence[float], ratio: Sequence[float]
    ) -> tuple[int, int, int, int]:
        """top, left, height, width"""
        _, height, width = F.get_dimensions(img)
        low, high = math.log(ratio[0]), math.log(ratio[1])
        for _ in range(10):
            area = height * width * _random.uniform(scale[0], scale[1])
            aspect = math.exp(_random.uniform(low, high))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                top = _random.integer(0, height - h + 1)
                return top, _random.integer(0, width - w + 1), h, w
        # None fits: the middle, in the nearest shape that is allowed.
        w, h = width, height
        if width / height < ratio[0]:
            h = round(w / ratio[0])
        elif width / height > ratio[1]:
            w = round(h * ratio[1])
        return (height - h) // 2, (width - w) // 2, h, w

    def __call__(self, img: Any) -> Any:
        window = self.get_params(img, self.scale, self.ratio)
        return F.resized_crop(img, *window, self.size, self.interpolation, self.antialias)


class RandomRotation(Transform):
    """Turned by an angle from ``degrees`` (a range, or a number n for -n .. n)."""

    def __init__(
        self, degrees: float | Sequence[float], interpolation: InterpolationMode = NEAREST,
        expand: bool = False, center: Sequence[float] | None = None, fill: Any = 0,
    ) -> None:  # fmt: skip
        self.degrees = _range("RandomRotation", degrees)
        self.interpolation, self.expand = interpolation, expand
        self.center, self.fill = center, fill

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:
        return _random.uniform(degrees[0], degrees[1])

    def __call__(self, img: Any) -> Any:
        angle = self.get_params(self.degrees)
        return F.rotate(img, angle, self.interpolation, self.expand, self.center, self.fill)


class RandomAffine(Transform):
    """Rotated, moved, scaled and sheared about the middle.

    Args:
        degrees: range of the angle; a number n means -n .. n.
        translate: the largest moves, ``(x, y)`` as parts of width and height.
        scale: range of the factor.
        shear: range of the angle along x; four numbers add one along y.
        interpolation, fill, center: see :func:`functional.affine`.
    """

    def __init__(
        self, degrees: float | Sequence[float], translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None, shear: float | Sequence[float] | None = None,
        interpolation: InterpolationMode = NEAREST, fill: Any = 0,
        center: Sequence[float] | None = None,
    ) -> None:  # fmt: skip
        self.degrees = _range("RandomAffine", degrees)
        if translate is not None and not all(0 <= t <= 1 for t in translate):
            raise ValueError(f"RandomAffine: translate must be in 0 .. 1, got {translate}")
        if scale is not None and min(scale) <= 0:
            raise ValueError(f"RandomAffine: scales must be positive, got {scale}")
        self.translate, self.scale = translate, scale
        if isinstance(shear, (int, float)) or shear is None:
            self.shear = None if shear is None else list(_range("RandomAffine", shear))
        else:
            self.shear = [float(s) for s in shear]
            if len(self.shear) not in (2, 4):
                raise ValueError(f"RandomAffine: shear is one number, two or four, got {shear}")
        self.interpolation, self.fill, self.center = interpolation, fill, center

    @staticmethod
    def get_params(
        degrees: Sequence[float], translate: Sequence[float] | None,
        scale_ranges: Sequence[float] | None, shears: Sequence[float] | None,
        img_size: Sequence[int],
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:  # fmt: skip
        """angle, (x, y), scale, (shear along x, along y); img_size is (width, height)"""
        angle = _random.uniform(degrees[0], degrees[1])
        moves = [0, 0]
        if translate is not None:
            moves = [
                round(_random.uniform(-part * size, part * size))
                for part, size in zip(translate, img_size)
            ]
        scale = 1.0 if scale_ranges is None else _random.uniform(scale_ranges[0], scale_ranges[1])
        along_x = along_y = 0.0
        if shears is not None:
            along_x = _random.uniform(shears[0], shears[1])
            if len(shears) == 4:
                along_y = _random.uniform(shears[2], shears[3])
        return angle, (moves[0], moves[1]), scale, (along_x, along_y)

    def __call__(self, img: Any) -> Any:
        size = F.get_image_size(img)
        drawn = self.get_params(self.degrees, self.translate, self.scale, self.shear, size)
        return F.affine(
            img, *drawn, interpolation=self.interpolation, fill=self.fill, center=self.center
        )


class RandomPerspective(Transform):
    """Seen from another side: the corners move inwards by up to ``distortion_scale`` of half the
    size, with probability ``p``."""

    def __init__(
        self, distortion_scale: float = 0.5, p: float = 0.5,
        interpolation: InterpolationMode = BILINEAR, fill: Any = 0,
    ) -> None:  # fmt: skip
        if not 0 <= distortion_scale <= 1:
            raise ValueError(f"RandomPerspective: distortion_scale in 0 .. 1: {distortion_scale}")
        self.distortion_scale, self.p = distortion_scale, p
        self.interpolation, self.fill = interpolation, fill

    @staticmethod
    def get_params(
        width: int, height: int, distortion_scale: float
    ) -> tuple[list[list[int]], list[list[int]]]:
        """The corners, and where they go."""
        x = int(distortion_scale * (width // 2)) + 1
        y = int(distortion_scale * (height // 2)) + 1
        draw = _random.integer
        ends = [
            [draw(0, x), draw(0, y)],
            [draw(width - x, width), draw(0, y)],
            [draw(width - x, width), draw(height - y, height)],
            [draw(0, x), draw(height - y, height)],
        ]
        right, bottom = width - 1, height - 1
        return [[0, 0], [right, 0], [right, bottom], [0, bottom]], ends

    def __call__(self, img: Any) -> Any:
        if _random.uniform() >= self.p:
            return img
        _, height, width = F.get_dimensions(img)
        points = self.get_params(width, height, self.distortion_scale)
        return F.perspective(img, *points, self.interpolation, self.fill)


class ElasticTransform(Transform):
    """Pixels pushed about by a smooth random field (Simard, Steinkraus and Platt, "Best practices
    for convolutional neural networks", 2003).

    Args:
        alpha: strength of the field in pixels, one number or ``(x, y)``.
        sigma: smoothness in pixels: the width of the bell curve that blurs it.
        interpolation, fill: as for the other warps.
    """

    def __init__(
        self, alpha: float | Sequence[float] = 50.0, sigma: float | Sequence[float] = 5.0,
        interpolation: InterpolationMode = BILINEAR, fill: Any = 0,
    ) -> None:  # fmt: skip
        self.alpha = [float(alpha)] * 2 if isinstance(alpha, (int, float)) else list(alpha)
        self.sigma = [float(sigma)] * 2 if isinstance(sigma, (int, float)) else list(sigma)
        if any(s < 0 for s in self.sigma):
            raise ValueError(f"ElasticTransform: sigma must not be negative, got {sigma}")
        self.interpolation, self.fill = interpolation, fill

    @staticmethod
    def get_params(alpha: Sequence[float], sigma: Sequence[float], size: Sequence[int]) -> Tensor:
        """The displacement [1, H, W, 2] for a picture of that size (height, width)."""
        parts = []
        for axis in (0, 1):
            field = deeplite.rand(1, 1, *size, generator=_random.generator()) * 2 - 1
            if sigma[axis] > 0:
                kernel = int(8 * sigma[axis] + 1)
                kernel += kernel % 2 == 0
                # A curve wider than the picture is cut where its mirror image would end.
                kernel = min(kernel, *(2 * n - 1 for n in size))
                field = F.gaussian_blur(field, [kernel, kernel], sigma[axis])
            parts.append(field * (alpha[axis] / size[axis]))
        return deeplite.cat(parts, 1).permute(0, 2, 3, 1)

    def __call__(self, img: Any) -> Any:
        field = self.get_params(self.alpha, self.sigma, F.get_dimensions(img)[1:])
        return F.elastic_transform(img, field, self.interpolation, self.fill)


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue changed at random, in random order.

    Args:
        brightness, contrast, saturation: a range of factors, or a number n for max(0, 1 - n) ..
            1 + n.
        hue: a range within -0.5 .. 0.5, or a number n for -n .. n.
    """

    def __init__(
        self, brightness: Any = 0.0, contrast: Any = 0.0, saturation: Any = 0.0, hue: Any = 0.0
    ) -> None:
        def around_one(name: str, value: Any) -> tuple[float, float] | None:
            if isinstance(value, (int, float)):
                low, high = _range(f"ColorJitter {name}", value)
                low, high = max(0.0, 1 + low), 1 + high
            else:
                low, high = _range(f"ColorJitter {name}", value, 0.0)
            return None if low == high == 1 else (low, high)

        self.brightness = around_one("brightness", brightness)
        self.contrast = around_one("contrast", contrast)
        self.saturation = around_one("saturation", saturation)
        low, high = _range("ColorJitter hue", hue, -0.5)
        if high > 0.5 or low < -0.5:
            raise ValueError(f"ColorJitter: hue must lie within -0.5 .. 0.5, got {hue}")
        self.hue = None if low == high == 0 else (low, high)

    def get_params(self) -> list[tuple[int, float | None]]:
        """(which of the four, its factor) in the order of the day; None leaves one out."""
        ranges = (self.brightness, self.contrast, self.saturation, self.hue)
        order = _random.permutation(4)
        factors = [None if r is None else _random.uniform(*r) for r in ranges]
        return [(i, factors[i]) for i in order]

    def __call__(self, img: Any) -> Any:
        adjust = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
        for which, factor in self.get_params():
            if factor is not None:
                img = adjust[which](img, factor)
        return img


class PCANoise(Transform):
    """Noise along the principal components of the colours (Krizhevsky, Sutskever and Hinton,
    "ImageNet classification with deep convolutional neural networks", 2012, section 4.1): each
    pixel gets ``sum_k a_k * eigenvalue_k * eigenvector_k`` with ``a_k ~ N(0, std)``, the same for
    the whole picture.

    Args:
        std: of the noise; the paper's is 0.1.
        eigenvalues: [3], of colours in 0..1; ImageNet's by default.
        eigenvectors: [3, 3], one in each column.
    """

    IMAGENET_VALUES = (0.2175, 0.0188, 0.0045)
    IMAGENET_VECTORS = (
        (-0.5675, 0.7192, 0.4009),
        (-0.5808, -0.0045, -0.8140),
        (-0.5836, -0.6948, 0.4203),
    )

    def __init__(
        self, std: float = 0.1, eigenvalues: Sequence[float] = IMAGENET_VALUES,
        eigenvectors: Sequence[Sequence[float]] = IMAGENET_VECTORS,
    ) -> None:  # fmt: skip
        if len(eigenvalues) != len(eigenvectors):
            raise ValueError(
                f"PCANoise: {len(eigenvalues)} eigenvalues, {len(eigenvectors)} channels"
            )
        self.std, self.eigenvalues, self.eigenvectors = std, eigenvalues, eigenvectors

    @classmethod
    def fit(cls, pictures: Any, std: float = 0.1) -> PCANoise:
        """With the components of the colours of ``pictures`` (an iterable of pictures)."""
        count, total, products = 0, 0.0, 0.0
        for picture in pictures:
            image = F.to_image(picture[0] if isinstance(picture, tuple) else picture)
            if isinstance(image, Tensor):
                image = np.moveaxis(image.numpy(), -3, -1)
            colours = np.asarray(image, dtype=np.float64).reshape(-1, image.shape[-1])
            if image.dtype == np.uint8:
                colours = colours / 255
            count += len(colours)
            total = total + colours.sum(0)
            products = products + colours.T @ colours
        if not count:
            raise ValueError("PCANoise.fit: no pictures")
        mean = total / count
        values, vectors = np.linalg.eigh(products / count - np.outer(mean, mean))
        # A standard deviation for each component, so that noise has the size of the colours' own.
        values = np.sqrt(np.maximum(values, 0))
        return cls(std, values[::-1].tolist(), vectors[:, ::-1].tolist())

    def get_params(self) -> list[float]:
        """The shift of each channel."""
        drawn = np.array(_random.normal(len(self.eigenvalues), self.std))
        return (np.array(self.eigenvectors) @ (drawn * np.array(self.eigenvalues))).tolist()

    def __call__(self, img: Any) -> Any:
        return F.shift_channels(img, self.get_params())


class RandomErasing(Transform):
    """A rectangle of the tensor overwritten (Zhong et al., "Random erasing data augmentation",
    2017).

    Args:
        p: probability.
        scale: range of its part of the area.
        ratio: range of height / width.
        value: a number, one for each channel, or "random" for normal noise.
        inplace: write into the input.
    """

    def __init__(
        self, p: float = 0.5, scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3), value: Any = 0, inplace: bool = False,
    ) -> None:  # fmt: skip
        if isinstance(value, str) and value != "random":
            raise ValueError(f"RandomErasing: value is a number, several or 'random', got {value}")
        self.p, self.value, self.inplace = p, value, inplace
        self.scale = _range("RandomErasing", tuple(scale), 0.0)
        self.ratio = _range("RandomErasing", tuple(ratio), 0.0)

    def get_params(self, img: Tensor) -> tuple[int, int, int, int, Any] | None:
        """top, left, height, width, value; None when ten rectangles did not fit"""
        channels, height, width = F.get_dimensions(img)
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        for _ in range(10):
            area = height * width * _random.uniform(*self.scale)
            aspect = math.exp(_random.uniform(low, high))
            h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if not (0 < h < height and 0 < w < width):
                continue
            if self.value == "random":
                v: Any = deeplite.randn(channels, h, w, generator=_random.generator())
            else:
                v = deeplite.as_tensor(self.value, dtype=img.dtype).reshape(-1, 1, 1)
            top = _random.integer(0, height - h + 1)
            return top, _random.integer(0, width - w + 1), h, w, v
        return None

    def __call__(self, img: Tensor) -> Tensor:
        if not isinstance(img, Tensor):
            raise TypeError("RandomErasing: expected a tensor; use it after ToTensor")
        if _random.uniform() >= self.p or (drawn := self.get_params(img)) is None:
            return img
        return F.erase(img, *drawn, inplace=self.inplace)
