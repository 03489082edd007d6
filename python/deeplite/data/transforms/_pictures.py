"""What a picture is: arrays, Pillow images and tensors, and how the core gets to see them."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import deeplite
from deeplite import _C, Tensor


class InterpolationMode(enum.Enum):
    """How a picture is looked at between its pixels."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


Picture = Any  # an array, a Pillow image or a tensor
Fill = float | Sequence[float] | None


# ---------------------------------------------------------------------- kinds of pictures


def to_image(pic: Picture) -> np.ndarray | Tensor:
    """The picture as an array or tensor: Pillow images are turned into arrays ``[H, W]`` (gray) or
    ``[H, W, C]``.

    Raises:
        TypeError: it is no picture.
        ValueError: it has the wrong number of dimensions.
    """
    if isinstance(pic, Tensor):
        if pic.dim() < 2:
            raise ValueError(f"a picture is a tensor [..., C, H, W], got shape {tuple(pic.shape)}")
        return pic
    if not isinstance(pic, np.ndarray):
        if not hasattr(pic, "convert"):
            raise TypeError(
                "a picture is a Pillow image, an array [H, W, C] or a tensor [C, H, W], got "
                f"{type(pic).__name__}"
            )
        if pic.mode not in ("L", "RGB", "RGBA"):
            pic = pic.convert("L" if pic.mode in ("1", "I;16", "I", "F") else "RGB")
        pic = np.asarray(pic)
    if pic.ndim not in (2, 3):
        raise ValueError(f"a picture is an array [H, W] or [H, W, C], got shape {pic.shape}")
    return pic


def run(
    name: str, pic: Picture, work: Callable[[Tensor], Tensor], by_plane: bool = True
) -> np.ndarray | Tensor:
    """``work`` on pixels [N, H, W, C] and the result in the form of ``pic``. by_plane: channels do
    not matter, so that the planes of a tensor are pictures of one channel each."""
    image = to_image(pic)
    if str(image.dtype).rpartition(".")[2] not in ("uint8", "float32"):
        raise TypeError(f"{name}: expected uint8 or float32, got {image.dtype}")
    if isinstance(image, np.ndarray):
        flat = image[..., None] if image.ndim == 2 else image
        flat, rows, columns = forward(flat)
        pixels = _C.from_numpy(flat)
        if rows or columns:
            pixels = pixels.flip([axis for axis, is_so in enumerate((rows, columns)) if is_so])
        made = work(pixels).numpy()
        return made[..., 0] if image.ndim == 2 and made.shape[-1] == 1 else made
    with deeplite.no_grad():
        *lead, height, width = image.shape
        if by_plane or image.dim() == 2:
            made_t = work(image.reshape(-1, height, width, 1))
            return made_t.reshape(*lead, *made_t.shape[1:3])
        pixels = image.reshape(-1, *image.shape[-3:]).permute(0, 2, 3, 1)
        made_t = work(pixels).permute(0, 3, 1, 2)
        return made_t.reshape(*lead[:-1], *made_t.shape[1:]).contiguous()


def forward(pixels: np.ndarray) -> tuple[np.ndarray, bool, bool]:
    """A view of ``[H, W, C]`` without negative strides, as tensors need it, and whether it has the
    rows, or the columns, in the opposite order."""
    rows, columns = pixels.strides[0] < 0, pixels.strides[1] < 0
    if rows:
        pixels = pixels[::-1]
    if columns:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels) if pixels.strides[2] < 0 else pixels, rows, columns


def get_dimensions(img: Picture) -> list[int]:
    """``[channels, height, width]``"""
    image = to_image(img)
    if isinstance(image, Tensor):
        return [int(image.shape[-3]) if image.dim() > 2 else 1, *map(int, image.shape[-2:])]
    return [image.shape[2] if image.ndim == 3 else 1, *image.shape[:2]]


def get_image_size(img: Picture) -> list[int]:
    """``[width, height]``"""
    _, height, width = get_dimensions(img)
    return [width, height]


def pair(size: Any) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    values = [int(v) for v in size]
    if len(values) not in (1, 2):
        raise ValueError(f"a size is one number or two (height, width), got {size}")
    return values[0], values[-1]


def fills(fill: Fill, image: Picture, channels: int) -> list[float]:
    """The fill for each channel that the kernel sees, checked."""
    values = [0.0] if fill is None else [float(fill)] if isinstance(fill, (int, float)) else None
    if values is None:
        values = [float(v) for v in fill]  # type: ignore[union-attr]
        if len(values) not in (1, channels):
            raise ValueError(f"fill has {len(values)} entries for a picture of {channels} channels")
    return values
