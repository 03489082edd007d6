"""What is done to one picture, under the names of ``torchvision.transforms.functional``.

A picture is one of

* a NumPy array ``[H, W]`` or ``[H, W, C]``, uint8 or float32 (what Pillow decodes);
* a Pillow image, which becomes such an array;
* a tensor ``[..., C, H, W]``, uint8 or float32 (floats in 0..1).

Functions give back an array for an array and a tensor for a tensor, of the same dtype, and leave
their input alone. The work is done by the core, without the interpreter's lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import deeplite
from deeplite import _C, Tensor

from ._geometry import affine_matrix, expanded_size, in_pixels, perspective_matrix
from ._pictures import (
    Fill,
    InterpolationMode,
    Picture,
    fills,
    forward,
    get_dimensions,
    get_image_size,
    pair,
    run,
    to_image,
)

__all__ = [
    "InterpolationMode", "adjust_brightness", "adjust_contrast", "adjust_hue", "adjust_saturation",
    "affine", "center_crop", "convert_image_dtype", "crop", "elastic_transform", "erase",
    "five_crop", "gaussian_blur", "get_dimensions", "get_image_size", "hflip", "invert",
    "normalize", "pad", "perspective", "pil_to_tensor", "resize", "resized_crop",
    "rgb_to_grayscale", "rotate", "shift_channels", "solarize", "ten_crop", "to_grayscale",
    "to_image", "to_tensor", "vflip",
]  # fmt: skip


# ---------------------------------------------------------------------- to tensors and numbers


def to_tensor(pic: Picture) -> Tensor:
    """``[H, W, C]`` -> float32 ``[C, H, W]``; 8-bit pictures are divided by 255.

    Example:
        >>> import numpy as np
        >>> to_tensor(np.full((2, 3, 1), 255, np.uint8)).shape
        deeplite.Size([1, 2, 3])
    """
    image = to_image(pic)
    if isinstance(image, Tensor):
        raise TypeError("to_tensor: expected a Pillow image or an array, got a tensor")
    flat = image[..., None] if image.ndim == 2 else image
    if image.dtype == np.uint8 or image.dtype == np.float32:
        pixels, rows, columns = forward(flat)
        return _C._image_to_planes(
            _C.from_numpy(pixels), 255.0 if image.dtype == np.uint8 else 1.0,
            mirror_rows=rows, mirror_columns=columns,
        )  # fmt: skip
    return deeplite.from_numpy(np.ascontiguousarray(flat.transpose(2, 0, 1)))


def pil_to_tensor(pic: Picture) -> Tensor:
    """``[H, W, C]`` -> ``[C, H, W]`` of the same dtype, values as they are."""
    image = to_image(pic)
    if isinstance(image, Tensor):
        raise TypeError("pil_to_tensor: expected a Pillow image or an array, got a tensor")
    flat = image[..., None] if image.ndim == 2 else image
    return deeplite.from_numpy(np.array(flat.transpose(2, 0, 1), order="C"))


def convert_image_dtype(image: Tensor, dtype: Any = None) -> Tensor:
    """uint8 in 0..255 to floating in 0..1, or back; as torchvision rounds it."""
    dtype = deeplite.float32 if dtype is None else dtype
    if image.dtype == dtype:
        return image
    if image.is_floating_point() and dtype == deeplite.uint8:
        return (image * (256 - 1e-3)).to(dtype)
    if image.dtype == deeplite.uint8:
        return image.to(dtype) / 255
    return image.to(dtype)


def normalize(tensor: Tensor, mean: Any, std: Any, inplace: bool = False) -> Tensor:
    """``(tensor - mean) / std`` of a floating tensor ``[..., C, H, W]``.

    Args:
        mean, std: a number per channel, or whole pictures ``[C, H, W]`` (a mean image).
        inplace: write into ``tensor``.

    Raises:
        TypeError: the tensor is not floating.
        ValueError: a std of zero.
    """
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        raise TypeError("normalize: expected a tensor of floating numbers; use ToTensor before it")
    parts = []
    for given in (mean, std):
        part = deeplite.as_tensor(given, dtype=tensor.dtype)
        parts.append(part.reshape(-1, 1, 1) if part.dim() < 3 else part)
    if (parts[1] == 0).any():
        raise ValueError("normalize: std has a zero, which would divide by it")
    out = tensor if inplace else tensor.clone()
    return out.sub_(parts[0]).div_(parts[1])


# ---------------------------------------------------------------------- sizes and places


def _output_size(size: Any, height: int, width: int, max_size: int | None) -> tuple[int, int]:
    """One number is the length of the shorter edge, and the aspect ratio stays."""
    if not isinstance(size, int) and len(size) == 2:
        if max_size is not None:
            raise ValueError("resize: max_size needs a size of one number (the shorter edge)")
        return pair(size)
    if not isinstance(size, int) and len(size) != 1:
        raise ValueError(f"resize: a size is one number or two (height, width), got {size}")
    short = size if isinstance(size, int) else int(size[0])
    low, high = sorted((height, width))
    long = int(short * high / low)
    if max_size is not None:
        if max_size <= short:
            raise ValueError(f"resize: max_size {max_size} must be larger than the size {short}")
        if long > max_size:
            short, long = int(max_size * short / long), max_size
    return (short, long) if height <= width else (long, short)


def resize(
    img: Picture,
    size: int | Sequence[int],
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """The picture in another size.

    Args:
        size: ``(height, width)``, or the length of the shorter edge.
        interpolation: any mode; NEAREST takes Pillow's pixels for arrays and torch's for tensors.
        max_size: the longer edge is at most this; then the shorter one is shorter than ``size``.
        antialias: widen the filter when the picture shrinks. Arrays always get it, as in Pillow:
            their 8-bit results are Pillow's, bit for bit.
    """
    _, height, width = get_dimensions(img)
    rows, columns = _output_size(size, height, width, max_size)
    mode = InterpolationMode(interpolation).value
    is_tensor = isinstance(img, Tensor)
    if mode.startswith("nearest") and not is_tensor:
        mode = "nearest-running"
    smooth = bool(antialias) or not is_tensor
    return run("resize", img, lambda x: _C._image_resize(x, rows, columns, mode, smooth))


def crop(img: Picture, top: int, left: int, height: int, width: int) -> Any:
    """The window of that size with its corner at (top, left); zeros where it leaves the picture."""
    image = to_image(img)
    _, rows, columns = get_dimensions(image)
    right, bottom = left + width - columns, top + height - rows
    if top < 0 or left < 0 or right > 0 or bottom > 0:
        image = pad(image, [max(-left, 0), max(-top, 0), max(right, 0), max(bottom, 0)])
        top, left = max(top, 0), max(left, 0)
    if isinstance(image, Tensor):
        return image[..., top : top + height, left : left + width]
    return image[top : top + height, left : left + width]


def center_crop(img: Picture, output_size: int | Sequence[int]) -> Any:
    """The middle of the picture; zeros around where it is smaller than that."""
    height, width = pair(output_size)
    image = to_image(img)
    _, rows, columns = get_dimensions(image)
    if width > columns or height > rows:
        more = [max(width - columns, 0), max(height - rows, 0)]
        image = pad(
            image, [more[0] // 2, more[1] // 2, (more[0] + 1) // 2, (more[1] + 1) // 2], fill=0
        )
        _, rows, columns = get_dimensions(image)
    top, left = round((rows - height) / 2.0), round((columns - width) / 2.0)
    return crop(image, top, left, height, width)


def resized_crop(
    img: Picture, top: int, left: int, height: int, width: int, size: int | Sequence[int],
    interpolation: InterpolationMode = InterpolationMode.BILINEAR, antialias: bool | None = True,
) -> Any:  # fmt: skip
    """A window of the picture in another size."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def five_crop(img: Picture, size: int | Sequence[int]) -> tuple[Any, ...]:
    """The four corners (top left, top right, bottom left, bottom right) and the middle."""
    height, width = pair(size)
    _, rows, columns = get_dimensions(img)
    if width > columns or height > rows:
        raise ValueError(f"five_crop: {height} x {width} is larger than the {rows} x {columns}")
    corners = [(top, left) for top in (0, rows - height) for left in (0, columns - width)]
    return (
        *(crop(img, top, left, height, width) for top, left in corners),
        center_crop(img, [height, width]),
    )


def ten_crop(
    img: Picture, size: int | Sequence[int], vertical_flip: bool = False
) -> tuple[Any, ...]:
    """:func:`five_crop` of the picture and of its mirror image."""
    mirror = vflip(img) if vertical_flip else hflip(img)
    return five_crop(img, size) + five_crop(mirror, size)


def hflip(img: Picture) -> Any:
    """Left and right exchanged. Of an array, a view."""
    image = to_image(img)
    return image.flip(-1) if isinstance(image, Tensor) else image[:, ::-1]


def vflip(img: Picture) -> Any:
    """Top and bottom exchanged. Of an array, a view."""
    image = to_image(img)
    return image.flip(-2) if isinstance(image, Tensor) else image[::-1]


_PAD_MODES = {
    "constant": "constant",
    "edge": "edge",
    "reflect": "reflect",
    "symmetric": "symmetric",
}


def pad(
    img: Picture, padding: int | Sequence[int], fill: Fill = 0, padding_mode: str = "constant"
) -> Any:
    """The picture with a border.

    Args:
        padding: one number, ``(left and right, top and bottom)``, or
            ``(left, top, right, bottom)``.
        fill: of a constant border; one number, or one for each channel.
        padding_mode: "constant", "edge", "reflect" (without the border pixel) or "symmetric".
    """
    sides = [padding] if isinstance(padding, int) else [int(p) for p in padding]
    if len(sides) not in (1, 2, 4):
        raise ValueError(f"pad: padding is one number, two or four, got {padding}")
    left, top, right, bottom = (sides * 4)[:4] if len(sides) < 4 else sides
    if padding_mode not in _PAD_MODES:
        raise ValueError(f"pad: unknown mode {padding_mode!r}; there are {', '.join(_PAD_MODES)}")
    if min(left, top, right, bottom) < 0:
        raise ValueError(f"pad: a border cannot be negative, got {padding}; use crop")
    image = to_image(img)
    if isinstance(image, Tensor) and padding_mode == "constant":
        return _pad_tensor(image, (top, bottom, left, right), fill)
    if isinstance(image, Tensor):
        return deeplite.from_numpy(_pad_array(
            np.moveaxis(image.numpy(), (-2, -1), (0, 1)), (top, bottom, left, right), fill,
            padding_mode, -1 if image.dim() > 2 else None, (-2, -1),
        ))  # fmt: skip
    sides4 = (top, bottom, left, right)
    return _pad_array(image, sides4, fill, padding_mode, -1 if image.ndim == 3 else None, None)


def _pad_tensor(image: Tensor, sides: tuple[int, int, int, int], fill: Fill) -> Tensor:
    """A constant border."""
    top, bottom, left, right = sides
    values = fills(fill, image, int(image.shape[-3]) if image.dim() > 2 else 1)
    *lead, height, width = image.shape
    shape = (*lead, height + top + bottom, width + left + right)
    out = image.new_full(shape, values[0])
    if len(values) > 1:
        out[...] = deeplite.tensor(values).to(image.dtype).reshape(-1, 1, 1)
    out[..., top : top + height, left : left + width] = image
    return out


def _pad_array(
    array: np.ndarray, sides: tuple[int, int, int, int], fill: Fill, mode: str,
    channels: int | None, back: tuple[int, int] | None,
) -> np.ndarray:  # fmt: skip
    """np.pad of the first two axes. channels: the axis that a fill of several numbers means."""
    width = [sides[:2], sides[2:], *[(0, 0)] * (array.ndim - 2)]
    if mode != "constant":
        if mode == "reflect" and any(max(p) >= n for p, n in zip(width[:2], array.shape) if max(p)):
            raise ValueError(f"pad: a reflected border of {sides} is larger than the picture")
        out = np.pad(array, width, mode=mode)  # type: ignore[call-overload]
    else:
        count = 1 if channels is None else array.shape[channels]
        values = np.asarray(fills(fill, array, count), dtype=array.dtype)
        shape = (array.shape[0] + sum(sides[:2]), array.shape[1] + sum(sides[2:]), *array.shape[2:])
        out = np.empty(shape, array.dtype)
        out[...] = values
        out[sides[0] : sides[0] + array.shape[0], sides[2] : sides[2] + array.shape[1]] = array
    return out if back is None else np.ascontiguousarray(np.moveaxis(out, (0, 1), back))


# ---------------------------------------------------------------------- geometry


def _warp(
    name: str, img: Picture, matrix: Any, height: int, width: int, interpolation: Any, fill: Fill
) -> Any:
    mode = InterpolationMode(interpolation).value
    if mode not in ("nearest", "bilinear"):
        raise ValueError(f"{name}: NEAREST or BILINEAR, got {interpolation}")
    values = fills(fill, img, get_dimensions(img)[0])
    entries = [float(v) for v in np.asarray(matrix).reshape(-1)]
    return run(
        name, img, lambda x: _C._image_warp(x, entries, height, width, mode == "bilinear", values),
        by_plane=len(values) == 1,
    )  # fmt: skip


def rotate(
    img: Picture, angle: float, interpolation: InterpolationMode = InterpolationMode.NEAREST,
    expand: bool = False, center: Sequence[float] | None = None, fill: Fill = None,
) -> Any:  # fmt: skip
    """The picture turned by ``angle`` degrees, counter-clockwise.

    Args:
        expand: make the result as large as the turned picture; ``center`` is then ignored.
        center: ``(x, y)`` of the fixed point, the middle by default.
        fill: what comes in from outside, 0 by default.
    """
    _, height, width = get_dimensions(img)
    middle = [0.0, 0.0]
    if center is not None and not expand:
        middle = [center[0] - width * 0.5, center[1] - height * 0.5]
    matrix = affine_matrix(middle, -angle, (0.0, 0.0), 1.0, (0.0, 0.0))
    columns, rows = expanded_size(matrix, width, height) if expand else (width, height)
    placed = in_pixels(matrix, (width, height), (columns, rows))
    return _warp("rotate", img, placed, rows, columns, interpolation, fill)


def affine(
    img: Picture, angle: float, translate: Sequence[float], scale: float,
    shear: float | Sequence[float], interpolation: InterpolationMode = InterpolationMode.NEAREST,
    fill: Fill = None, center: Sequence[float] | None = None,
) -> Any:  # fmt: skip
    """The picture rotated (clockwise, degrees), moved (pixels), scaled and sheared (degrees), about
    its middle or ``center``."""
    if scale <= 0:
        raise ValueError(f"affine: the scale must be positive, got {scale}")
    if len(translate) != 2:
        raise ValueError(f"affine: translate is (x, y), got {translate}")
    shears = [shear, 0.0] if isinstance(shear, (int, float)) else list(shear)
    shears = [*shears, 0.0] if len(shears) == 1 else shears
    if len(shears) != 2:
        raise ValueError(f"affine: shear is one number or two, got {shear}")
    _, height, width = get_dimensions(img)
    middle = [0.0, 0.0]
    if center is not None:
        middle = [center[0] - width * 0.5, center[1] - height * 0.5]
    matrix = affine_matrix(middle, angle, translate, scale, shears)
    placed = in_pixels(matrix, (width, height), (width, height))
    return _warp("affine", img, placed, height, width, interpolation, fill)


def perspective(
    img: Picture, startpoints: Sequence[Sequence[float]], endpoints: Sequence[Sequence[float]],
    interpolation: InterpolationMode = InterpolationMode.BILINEAR, fill: Fill = None,
) -> Any:  # fmt: skip
    """The picture seen so that four points ``(x, y)`` of it move to four others."""
    _, height, width = get_dimensions(img)
    matrix = perspective_matrix(startpoints, endpoints)
    return _warp("perspective", img, matrix, height, width, interpolation, fill)


def elastic_transform(
    img: Picture, displacement: Tensor,
    interpolation: InterpolationMode = InterpolationMode.BILINEAR, fill: Fill = None,
) -> Any:  # fmt: skip
    """Each pixel taken from elsewhere: ``displacement [1, H, W, 2]`` says how far, (x, y), where 2
    is the whole picture."""
    _, height, width = get_dimensions(img)
    if tuple(displacement.shape) != (1, height, width, 2):
        raise ValueError(
            f"elastic_transform: displacement should be [1, {height}, {width}, 2], got "
            f"{list(displacement.shape)}"
        )
    mode = InterpolationMode(interpolation).value
    if mode not in ("nearest", "bilinear"):
        raise ValueError(f"elastic_transform: NEAREST or BILINEAR, got {interpolation}")
    half = deeplite.tensor([width * 0.5, height * 0.5])
    positions = displacement[0].to(deeplite.float32) * half
    positions[..., 0] += deeplite.arange(width, dtype=deeplite.float32)
    positions[..., 1] += deeplite.arange(height, dtype=deeplite.float32).unsqueeze(1)
    values = fills(fill, img, get_dimensions(img)[0])
    return run(
        "elastic_transform", img,
        lambda x: _C._image_warp_map(x, positions, mode == "bilinear", values),
        by_plane=len(values) == 1,
    )  # fmt: skip


# ---------------------------------------------------------------------- blur, colours


def gaussian_weights(size: int, sigma: float) -> list[float]:
    """``size`` samples of the bell curve, with sum 1."""
    at = np.arange(size) - (size - 1) / 2
    weights = np.exp(-0.5 * (at / sigma) ** 2)
    return (weights / weights.sum()).tolist()


def gaussian_blur(
    img: Picture, kernel_size: int | Sequence[int], sigma: float | Sequence[float] | None = None
) -> Any:
    """The picture convolved with a bell curve; edges are mirrored.

    Args:
        kernel_size: one odd number, or two ``(x, y)``.
        sigma: of the curve in pixels, one or two; ``0.15 * kernel_size + 0.35`` by default.
    """
    sizes = [kernel_size] * 2 if isinstance(kernel_size, int) else list(kernel_size)
    if len(sizes) != 2 or any(s <= 0 or s % 2 == 0 for s in sizes):
        raise ValueError(f"gaussian_blur: kernel sizes must be odd and positive, got {kernel_size}")
    sigmas = [s * 0.15 + 0.35 for s in sizes] if sigma is None else sigma
    sigmas = [sigmas] if isinstance(sigmas, (int, float)) else list(sigmas)
    sigmas = sigmas * 2 if len(sigmas) == 1 else sigmas
    if len(sigmas) != 2 or any(s <= 0 for s in sigmas):
        raise ValueError(f"gaussian_blur: sigma must be positive, got {sigma}")
    rows, columns = (gaussian_weights(k, s) for k, s in zip(sizes, sigmas))
    return run("gaussian_blur", img, lambda x: _C._image_blur(x, rows, columns))


def _channels(name: str, img: Picture, allowed: tuple[int, ...] = (1, 3)) -> int:
    channels = get_dimensions(img)[0]
    if channels not in allowed:
        raise ValueError(
            f"{name}: expected a picture of {' or '.join(map(str, allowed))} channels, "
            f"got {channels}"
        )
    return channels


def _linear(name: str, img: Picture, scale: Sequence[float], shift: Sequence[float]) -> Any:
    return run(
        name, img, lambda x: _C._image_linear(x, list(scale), list(shift)),
        by_plane=len(scale) == len(shift) == 1,
    )  # fmt: skip


def _factor(name: str, value: float) -> float:
    if value < 0:
        raise ValueError(f"{name}: the factor must not be negative, got {value}")
    return float(value)


def adjust_brightness(img: Picture, brightness_factor: float) -> Any:
    """Every value times the factor: 0 is black, 1 the picture."""
    return _linear(
        "adjust_brightness", img, [_factor("adjust_brightness", brightness_factor)], [0.0]
    )


def adjust_contrast(img: Picture, contrast_factor: float) -> Any:
    """Blended with the mean of its gray values: 0 is a gray area, 1 the picture."""
    factor = _factor("adjust_contrast", contrast_factor)
    _channels("adjust_contrast", img)

    def work(x: Tensor) -> Tensor:
        if x.dim() == 3 or x.shape[0] == 1:
            mean = _C._image_gray_mean(x).item()
            return _C._image_linear(x, [factor], [(1.0 - factor) * mean])
        return deeplite.stack([work(one) for one in x])

    return run("adjust_contrast", img, work, by_plane=False)


def adjust_saturation(img: Picture, saturation_factor: float) -> Any:
    """Blended with its gray values: 0 is gray, 1 the picture."""
    factor = _factor("adjust_saturation", saturation_factor)
    if _channels("adjust_saturation", img) == 1:
        return to_image(img)
    work = _C._image_gray_blend
    return run("adjust_saturation", img, lambda x: work(x, factor), by_plane=False)


def adjust_hue(img: Picture, hue_factor: float) -> Any:
    """Colours turned around the circle by ``hue_factor`` turns, in -0.5 .. 0.5."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"adjust_hue: the factor must be in -0.5 .. 0.5, got {hue_factor}")
    if _channels("adjust_hue", img) == 1:
        return to_image(img)
    return run("adjust_hue", img, lambda x: _C._image_hue(x, float(hue_factor)), by_plane=False)


def rgb_to_grayscale(img: Picture, num_output_channels: int = 1) -> Any:
    """0.2989 red + 0.587 green + 0.114 blue, in one channel or three equal ones."""
    if num_output_channels not in (1, 3):
        raise ValueError(f"rgb_to_grayscale: 1 or 3 channels, got {num_output_channels}")
    if _channels("rgb_to_grayscale", img) == 1:
        gray = to_image(img)
        if num_output_channels == 1:
            return gray
        if isinstance(gray, Tensor):
            return gray.expand(*gray.shape[:-3], 3, *gray.shape[-2:]).contiguous()
        flat = gray[..., None] if gray.ndim == 2 else gray
        return np.repeat(flat, 3, axis=2)
    last = num_output_channels
    return run(
        "rgb_to_grayscale", img, lambda x: _C._image_gray_blend(x, 0.0)[..., :last], by_plane=False
    )


def to_grayscale(img: Picture, num_output_channels: int = 1) -> Any:
    """:func:`rgb_to_grayscale`."""
    return rgb_to_grayscale(img, num_output_channels)


def _top(img: Picture) -> float:
    return 255.0 if str(to_image(img).dtype).endswith("uint8") else 1.0


def shift_channels(img: Picture, shift: Sequence[float]) -> Any:
    """A number added to each channel, in units of the whole range, rounded and clamped."""
    top = _top(img)
    half = 0.5 if top == 255.0 else 0.0  # the kernel cuts fractions off
    return _linear("shift_channels", img, [1.0] * len(shift), [s * top + half for s in shift])


def invert(img: Picture) -> Any:
    """The negative of the picture."""
    if _top(img) == 255.0:
        return run("invert", img, deeplite.bitwise_not, by_plane=False)
    return _linear("invert", img, [-1.0], [_top(img)])


def solarize(img: Picture, threshold: float) -> Any:
    """Values from the threshold on inverted."""
    image = to_image(img)

    def work(x: Tensor) -> Tensor:
        return deeplite.where(x >= threshold, invert(x), x)

    if isinstance(image, Tensor):
        return work(image)
    return run("solarize", image, work, by_plane=False)


def erase(img: Any, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Any:
    """The window ``[i : i + h, j : j + w]`` of a tensor or array set to ``v``."""
    image = to_image(img)
    if isinstance(image, np.ndarray):
        out = image if inplace else image.copy()
        out[i : i + h, j : j + w] = v
        return out
    made = image if inplace else image.clone()
    made[..., i : i + h, j : j + w] = v
    return made
