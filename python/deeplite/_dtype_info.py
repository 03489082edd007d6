"""`finfo` and `iinfo`: the limits of number types."""

from __future__ import annotations

import math
from typing import Any

from . import _C

__all__ = ["finfo", "iinfo"]

# Bits in all, explicit bits of the significand, largest exponent of two.
_FLOATS = {
    _C.float64: (64, 52, 1023),
    _C.float32: (32, 23, 127),
    _C.float16: (16, 10, 15),
    _C.bfloat16: (16, 7, 127),
}
_INTEGERS = {
    _C.int64: (64, True),
    _C.int32: (32, True),
    _C.int16: (16, True),
    _C.int8: (8, True),
    _C.uint8: (8, False),
}


def _name(dtype: _C.dtype) -> str:
    return str(dtype).rsplit(".", 1)[-1]


class finfo:
    """Limits of a floating-point type; of the default one when none is given.

    Attributes:
        bits: how many it takes.
        eps: distance from 1 to the next larger number.
        max, min: the largest and the smallest (most negative) finite number.
        tiny, smallest_normal: the smallest positive number of full precision.
        resolution: 10 to the power of minus the decimal digits that are always kept.
        dtype: its name.

    Raises:
        TypeError: not a floating-point type.

    Example:
        >>> deeplite.finfo(deeplite.float32).eps
        1.1920928955078125e-07
    """

    def __init__(self, type: _C.dtype | None = None) -> None:
        kind: Any = _C.get_default_dtype() if type is None else type
        if kind not in _FLOATS:
            raise TypeError(f"finfo: expected a floating-point dtype, got {kind}")
        self.bits, significand, largest = _FLOATS[kind]
        self.dtype = _name(kind)
        self.eps = 2.0**-significand
        self.max = (2.0 - self.eps) * 2.0**largest
        self.min = -self.max
        self.tiny = self.smallest_normal = 2.0 ** (1 - largest)
        self.resolution = 10.0 ** -math.floor(significand * math.log10(2.0))

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, "
            f"dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer type.

    Attributes:
        bits: how many it takes.
        max, min: the largest and the smallest number.
        dtype: its name.

    Raises:
        TypeError: not an integer type.

    Example:
        >>> deeplite.iinfo(deeplite.int8)
        iinfo(min=-128, max=127, dtype=int8)
    """

    def __init__(self, type: _C.dtype) -> None:
        if type not in _INTEGERS:
            raise TypeError(f"iinfo: expected an integer dtype, got {type}")
        self.bits, signed = _INTEGERS[type]
        self.dtype = _name(type)
        self.max = 2 ** (self.bits - signed) - 1
        self.min = -self.max - 1 if signed else 0

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
