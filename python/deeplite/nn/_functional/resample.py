"""Resampling, one spatial dimension after the other: gathers and weighted sums of rows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

from deeplite import Tensor

from .._core import core

_LINEAR = {"linear": 3, "bilinear": 4, "trilinear": 5, "bicubic": 4}


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
    _check_mode(input, mode, align_corners, antialias)
    sizes, scales = _target(input, size, scale_factor, recompute_scale_factor)
    if mode == "area":
        return getattr(core, f"adaptive_avg_pool{input.dim() - 2}d")(input, sizes)
    for d, (n, scale) in enumerate(zip(sizes, scales), start=2):
        if input.shape[d] == 0 or n == 0:
            raise ValueError(
                f"interpolate: sizes must be positive, got input {tuple(input.shape)} and "
                f"output {tuple(sizes)}"
            )
        input = _along(input, d, n, scale, mode, bool(align_corners), antialias)
    return input


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


def _check_mode(input: Tensor, mode: str, align_corners: bool | None, antialias: bool) -> None:
    shape = tuple(input.shape)
    if input.dim() not in (3, 4, 5):
        raise NotImplementedError(
            f"interpolate: expected input [N, C, *] with one to three spatial dimensions, "
            f"got shape {shape}"
        )
    if mode in _LINEAR:
        if input.dim() != _LINEAR[mode]:
            raise NotImplementedError(
                f"interpolate: mode {mode!r} takes a {_LINEAR[mode]}-d input, got shape {shape}"
            )
    elif mode not in ("nearest", "nearest-exact", "area"):
        raise NotImplementedError(f"interpolate: unknown mode {mode!r}")
    elif align_corners is not None:
        raise ValueError(f"interpolate: mode {mode!r} has no align_corners")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f"interpolate: mode {mode!r} has no antialias")


def _target(
    input: Tensor,
    size: int | Sequence[int] | None,
    scale_factor: float | Sequence[float] | None,
    recompute: bool | None,
) -> tuple[list[int], list[float | None]]:
    """Output sizes, and for each the input step per output pixel where a scale was given."""
    spatial = list(input.shape[2:])
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: exactly one of size and scale_factor must be given")
    if size is not None:
        if recompute:
            raise ValueError("interpolate: recompute_scale_factor needs a scale_factor")
        sizes = [size] * len(spatial) if isinstance(size, int) else [int(n) for n in size]
        if len(sizes) != len(spatial):
            raise ValueError(f"interpolate: size {size} does not fit input {tuple(input.shape)}")
        return sizes, [None] * len(spatial)
    assert scale_factor is not None
    factors = (
        [float(scale_factor)] * len(spatial)
        if isinstance(scale_factor, (int, float))
        else [float(f) for f in scale_factor]
    )
    if len(factors) != len(spatial) or any(not 0 < f < math.inf for f in factors):
        raise ValueError(
            f"interpolate: scale_factor {scale_factor} does not fit input {tuple(input.shape)}"
        )
    sizes = [math.floor(n * f) for n, f in zip(spatial, factors)]
    return sizes, [None if recompute else 1 / f for f in factors]


def _along(
    x: Tensor, dim: int, n: int, scale: float | None, mode: str, corners: bool, antialias: bool
) -> Tensor:
    """``x`` resampled to ``n`` entries along ``dim``."""
    size = x.shape[dim]
    if n == size and (scale is None or scale == 1):
        return x
    step = size / n if scale is None else scale
    place = core.arange(n, dtype=core.float64, device=x.device)
    if mode in ("nearest", "nearest-exact"):
        place = (place + 0.5) * step if mode == "nearest-exact" else place * step
        return x.index_select(dim, place.floor().clamp(0, size - 1).to(core.int64))
    if antialias:
        return _smoothed(x, dim, n, step, corners, 2.0 if mode == "bicubic" else 1.0)
    if corners:
        place = place * ((size - 1) / (n - 1) if n > 1 else 0.0)
    else:
        place = (place + 0.5) * step - 0.5
        if mode != "bicubic":
            place = place.clamp_min(0)
    low = place.floor()
    t = place - low
    taps = {0: 1 - t, 1: t} if mode != "bicubic" else _cubic_weights(t)
    shape = [n if d == dim else 1 for d in range(x.dim())]
    result = None
    for offset, weight in taps.items():
        row = x.index_select(dim, (low + offset).clamp(0, size - 1).to(core.int64))
        term = row * weight.to(x.dtype).reshape(shape)
        result = term if result is None else result + term
    assert result is not None
    return result


def _cubic(d: Tensor, a: float) -> Tensor:
    """Keys' cubic kernel at distances ``d >= 0``."""
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((d - 5) * d + 8) * d * a - 4 * a
    zero = core.zeros_like(d)
    return core.where(d < 1, near, core.where(d < 2, far, zero))


def _cubic_weights(t: Tensor) -> dict[int, Tensor]:
    return {k: _cubic((t - k).abs(), -0.75) for k in (-1, 0, 1, 2)}


def _smoothed(x: Tensor, dim: int, n: int, step: float, corners: bool, support: float) -> Tensor:
    """Antialiased resampling: the kernel is widened by the step when shrinking. The weights are
    a dense [n, size] matrix, zero outside the kernel's reach."""
    size = x.shape[dim]
    if corners:
        step = (size - 1) / (n - 1) if n > 1 else 0.0
    width = max(step, 1.0)
    centre = (core.arange(n, dtype=core.float64, device=x.device) + 0.5) * step
    place = core.arange(size, dtype=core.float64, device=x.device) + 0.5
    d = ((place.unsqueeze(0) - centre.unsqueeze(1)) / width).abs()  # [n, size]
    weights = (1 - d).clamp_min(0) if support == 1.0 else _cubic(d, -0.5)
    weights = (weights / weights.sum(1, keepdim=True)).to(x.dtype)
    return core.matmul(x.transpose(dim, -1), weights.t()).transpose(dim, -1)
