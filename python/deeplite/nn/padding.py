"""Padding layers. The padding is one number for all sides, or one for each side: ``(left, right,
top, bottom, front, back)``, the last dimension first."""

from __future__ import annotations

from typing import Any

from deeplite import Tensor

from . import functional as F
from ._sizes import ntuple
from .module import Module

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class _Pad(Module):
    _ndim: int
    _mode: str

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = ntuple(padding, 2 * self._ndim)
        if len(self.padding) != 2 * self._ndim:
            raise ValueError(
                f"{type(self).__name__}: padding must be a number or {2 * self._ndim} numbers, "
                f"got {padding}"
            )

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _CircularPad(_Pad):
    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in (self._ndim + 1, self._ndim + 2):
            raise ValueError(
                f"{type(self).__name__}: expected {self._ndim + 1}-d or {self._ndim + 2}-d "
                f"input, got shape {tuple(input.shape)}"
            )
        return F.pad(input, self.padding, "circular")


class _ConstantPad(_Pad):
    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ConstantPad1d(_ConstantPad):
    """A border of a constant around the last dimension.

    Example:
        >>> nn.ConstantPad1d((1, 2), 9.0)(deeplite.tensor([[1.0, 2.0]]))
        tensor([[9., 1., 2., 9., 9.]])
    """

    _ndim = 1


class ConstantPad2d(_ConstantPad):
    """A border of a constant around the last two dimensions.

    Example:
        >>> tuple(nn.ConstantPad2d(1, 0.5)(deeplite.zeros(1, 2, 2)).shape)
        (1, 4, 4)
    """

    _ndim = 2


class ConstantPad3d(_ConstantPad):
    """A border of a constant around the last three dimensions."""

    _ndim = 3


class ZeroPad1d(_ZeroPad):
    """A border of zeros around the last dimension."""

    _ndim = 1


class ZeroPad2d(_ZeroPad):
    """A border of zeros around the last two dimensions.

    Example:
        >>> tuple(nn.ZeroPad2d((1, 2, 0, 1))(deeplite.ones(1, 2, 2)).shape)
        (1, 3, 5)
    """

    _ndim = 2


class ZeroPad3d(_ZeroPad):
    """A border of zeros around the last three dimensions."""

    _ndim = 3


class ReflectionPad1d(_Pad):
    """A border that mirrors the inside, without the edge itself.

    Example:
        >>> nn.ReflectionPad1d(2)(deeplite.tensor([[1.0, 2.0, 3.0]]))
        tensor([[3., 2., 1., 2., 3., 2., 1.]])
    """

    _ndim, _mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """A border that mirrors the inside of the last two dimensions, without the edge itself."""

    _ndim, _mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """A border that mirrors the inside of the last three dimensions, without the edge itself."""

    _ndim, _mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """A border that repeats the edge.

    Example:
        >>> nn.ReplicationPad1d(2)(deeplite.tensor([[1.0, 2.0]]))
        tensor([[1., 1., 1., 2., 2., 2.]])
    """

    _ndim, _mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """A border that repeats the edge of the last two dimensions."""

    _ndim, _mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """A border that repeats the edge of the last three dimensions."""

    _ndim, _mode = 3, "replicate"


class CircularPad1d(_CircularPad):
    """A border taken from the opposite side.

    Example:
        >>> nn.CircularPad1d(1)(deeplite.tensor([[1.0, 2.0, 3.0]]))
        tensor([[3., 1., 2., 3., 1.]])
    """

    _ndim = 1


class CircularPad2d(_CircularPad):
    """A border of the last two dimensions taken from the opposite side."""

    _ndim = 2


class CircularPad3d(_CircularPad):
    """A border of the last three dimensions taken from the opposite side."""

    _ndim = 3
