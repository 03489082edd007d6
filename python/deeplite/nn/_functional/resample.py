"""Resampling of images and volumes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from deeplite import Tensor

from .._core import core


def interpolate(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resamples to ``size``, or by ``scale_factor``.

    Args:
        input: ``[N, C, L]``, ``[N, C, H, W]`` or ``[N, C, D, H, W]``.
        size: the new spatial size (this or ``scale_factor``).
        mode: "nearest", "nearest-exact", "linear" (3-d input), "bilinear" and "bicubic" (4-d),
            "trilinear" (5-d) or "area".
        align_corners: for the linear modes, whether the corner pixels' centres stay in place.
        recompute_scale_factor: take the scale from the rounded output size.
        antialias: low-pass filter when shrinking (bilinear and bicubic).

    Raises:
        ValueError: both or neither of size and scale_factor, or arguments that a mode lacks.
        NotImplementedError: a mode that the input's rank does not have.

    Example:
        >>> F.interpolate(deeplite.tensor([[[1.0, 2.0]]]), scale_factor=2)
        tensor([[[1., 1., 2., 2.]]])
    """
    return core.interpolate(
        input, size, scale_factor, mode, align_corners, recompute_scale_factor, antialias
    )


def upsample(
    input: Tensor,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """The older name of :func:`interpolate`."""
    warnings.warn("upsample is deprecated, use interpolate", stacklevel=2)
    return interpolate(input, size, scale_factor, mode, align_corners)


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Samples ``input`` at the positions in ``grid`` (Jaderberg et al., 2015).

    Args:
        input: ``[N, C, H, W]`` or ``[N, C, D, H, W]``.
        grid: ``[N, ..., 2]`` or ``[N, ..., 3]``: x, y(, z) in [-1, 1] across the input.
        mode: "bilinear", "nearest" or "bicubic" (4-d input only).
        padding_mode: what lies outside: "zeros", "border" or "reflection".
        align_corners: -1 and 1 are the centres of the corner pixels, not their outer edges.

    Raises:
        ValueError: an unknown mode or padding mode.
        ShapeError: input and grid do not fit together.

    Example:
        >>> x = deeplite.tensor([[[[1.0, 3.0]]]])
        >>> F.grid_sample(x, deeplite.zeros(1, 1, 1, 2), align_corners=True)
        tensor([[[[2.]]]])
    """
    return core.grid_sample(input, grid, mode, padding_mode, align_corners)


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The grid for :func:`grid_sample` that an affine map gives.

    Args:
        theta: ``[N, 2, 3]`` or ``[N, 3, 4]``.
        size: of the output, ``(N, C, H, W)`` or ``(N, C, D, H, W)``.

    Example:
        >>> theta = deeplite.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
        >>> tuple(F.affine_grid(theta, (1, 1, 4, 5)).shape)
        (1, 4, 5, 2)
    """
    return core.affine_grid(theta, size, align_corners)
