"""The matrices of geometric transforms. All map the result's positions to the picture's."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def affine_matrix(
    center: Sequence[float], angle: float, translate: Sequence[float], scale: float,
    shear: Sequence[float],
) -> np.ndarray:  # fmt: skip
    """[2, 3], from the middle of the result to the middle of the picture.

    The forward map is ``T(translate) C R(angle) Sh(shear) S(scale) C^-1`` (degrees, y downwards, so
    that a positive angle turns clockwise); this is its inverse.
    """
    rotation = math.radians(angle)
    x, y = math.radians(shear[0]), math.radians(shear[1])
    # R Sh, where Sh shears along x and then along y.
    a = math.cos(rotation - y) / math.cos(y)
    b = -math.cos(rotation - y) * math.tan(x) / math.cos(y) - math.sin(rotation)
    c = math.sin(rotation - y) / math.cos(y)
    d = -math.sin(rotation - y) * math.tan(x) / math.cos(y) + math.cos(rotation)
    inverse = np.array([[d, -b], [-c, a]]) / scale  # det(R Sh) is 1
    start = np.array(center, dtype=float)
    offset = start - inverse @ (start + np.array(translate, dtype=float))
    return np.concatenate([inverse, offset[:, None]], axis=1)


def expanded_size(matrix: np.ndarray, width: int, height: int) -> tuple[int, int]:
    """(columns, rows) of a result that holds the whole turned picture."""
    half = np.array([[-0.5, -0.5], [-0.5, 0.5], [0.5, 0.5], [0.5, -0.5]]) * (width, height)
    corners = half @ matrix[:, :2].T + matrix[:, 2] + np.array([width * 0.5, height * 0.5])
    # Rounding errors must not cost a row of pixels.
    low, high = np.floor(corners.min(0) + 1e-4), np.ceil(corners.max(0) - 1e-4)
    columns, rows = (high - low).astype(int)
    return int(columns), int(rows)


def in_pixels(matrix: np.ndarray, source: tuple[int, int], result: tuple[int, int]) -> np.ndarray:
    """[3, 3] between pixel numbers, of a matrix between middles; sizes are (width, height)."""
    full = np.eye(3)
    full[:2] = matrix
    to_middle, from_middle = np.eye(3), np.eye(3)
    to_middle[:2, 2] = [0.5 - n * 0.5 for n in result]
    from_middle[:2, 2] = [n * 0.5 - 0.5 for n in source]
    return from_middle @ full @ to_middle


def perspective_matrix(
    startpoints: Sequence[Sequence[float]], endpoints: Sequence[Sequence[float]]
) -> np.ndarray:
    """[3, 3] between pixel numbers, which takes four end points to their start points."""
    if len(startpoints) != 4 or len(endpoints) != 4:
        raise ValueError(
            f"perspective: four points and four others, got {len(startpoints)} and {len(endpoints)}"
        )
    rows, values = [], []
    for (sx, sy), (ex, ey) in zip(startpoints, endpoints):
        rows.append([ex, ey, 1, 0, 0, 0, -sx * ex, -sx * ey])
        rows.append([0, 0, 0, ex, ey, 1, -sy * ex, -sy * ey])
        values += [sx, sy]
    entries, *_ = np.linalg.lstsq(np.array(rows, dtype=float), np.array(values, float), rcond=None)
    # Points are in coordinates whose pixel centres lie at halves.
    full = np.append(entries, 1.0).reshape(3, 3)
    shift, back = np.eye(3), np.eye(3)
    shift[:2, 2], back[:2, 2] = 0.5, -0.5
    return back @ full @ shift
