"""Pooling layers. Inputs are ``[N, C, *]`` or ``[C, *]``; sizes are a number or one for each
dimension; the stride is the kernel size unless given."""

from __future__ import annotations

from typing import Any

from deeplite import Tensor

from . import functional as F
from ._sizes import ntuple
from .module import Module

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
]


class _MaxPool(Module):
    _ndim: int
    _function: Any

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        return self._function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The maximum of each window over one dimension; see :class:`MaxPool2d`.

    Example:
        >>> nn.MaxPool1d(2)(deeplite.tensor([[1.0, 3.0, 2.0, 0.0]]))
        tensor([[3., 2.]])
    """

    _function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """The maximum of each window; see :func:`deeplite.nn.functional.max_pool2d`.

    Example:
        >>> tuple(nn.MaxPool2d(2)(deeplite.zeros(1, 3, 8, 8)).shape)
        (1, 3, 4, 4)
    """

    _function = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """The maximum of each window over three dimensions; see :class:`MaxPool2d`.

    Example:
        >>> tuple(nn.MaxPool3d(2)(deeplite.zeros(1, 3, 4, 4, 4)).shape)
        (1, 3, 2, 2, 2)
    """

    _function = staticmethod(F.max_pool3d)


class _MaxUnpool(Module):
    _ndim: int
    _function: Any

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        self.kernel_size = ntuple(kernel_size, self._ndim)
        self.stride = ntuple(stride if stride is not None else kernel_size, self._ndim)
        self.padding = ntuple(padding, self._ndim)

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        return self._function(
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Puts the maxima of :class:`MaxPool1d` back to where they were, zeros elsewhere."""

    _ndim = 1
    _function = staticmethod(F.max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """Puts the maxima of :class:`MaxPool2d` back to where they were, zeros elsewhere.

    Example:
        >>> y, where = nn.MaxPool2d(2, return_indices=True)(deeplite.ones(1, 1, 4, 4))
        >>> tuple(nn.MaxUnpool2d(2)(y, where).shape)
        (1, 1, 4, 4)
    """

    _ndim = 2
    _function = staticmethod(F.max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    """Puts the maxima of :class:`MaxPool3d` back to where they were, zeros elsewhere."""

    _ndim = 3
    _function = staticmethod(F.max_unpool3d)


class AvgPool1d(Module):
    """The mean of each window over one dimension; see :class:`AvgPool2d`.

    Example:
        >>> nn.AvgPool1d(2)(deeplite.tensor([[1.0, 3.0, 2.0, 0.0]]))
        tensor([[2., 1.]])
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = ntuple(kernel_size, 1)
        self.stride = ntuple(stride if stride is not None else kernel_size, 1)
        self.padding = ntuple(padding, 1)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(Module):
    _function: Any

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return self._function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """The mean of each window; see :func:`deeplite.nn.functional.avg_pool2d`.

    Example:
        >>> tuple(nn.AvgPool2d(2)(deeplite.zeros(1, 3, 8, 8)).shape)
        (1, 3, 4, 4)
    """

    _function = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPool):
    """The mean of each window over three dimensions; see :class:`AvgPool2d`.

    Example:
        >>> tuple(nn.AvgPool3d(2)(deeplite.zeros(1, 3, 4, 4, 4)).shape)
        (1, 3, 2, 2, 2)
    """

    _function = staticmethod(F.avg_pool3d)


class _LPPool(Module):
    _function: Any

    def __init__(
        self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return self._function(
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """``(sum x^p)^(1/p)`` of each window over one dimension.

    Example:
        >>> nn.LPPool1d(2, 2)(deeplite.tensor([[[3.0, 4.0]]]))
        tensor([[[5.]]])
    """

    _function = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPool):
    """``(sum x^p)^(1/p)`` of each window over two dimensions."""

    _function = staticmethod(F.lp_pool2d)


class LPPool3d(_LPPool):
    """``(sum x^p)^(1/p)`` of each window over three dimensions."""

    _function = staticmethod(F.lp_pool3d)


class _AdaptiveMaxPool(Module):
    _function: Any

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        return self._function(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maxima over windows that give ``output_size`` entries, whatever the input's size.

    Example:
        >>> tuple(nn.AdaptiveMaxPool1d(2)(deeplite.zeros(1, 3, 7)).shape)
        (1, 3, 2)
    """

    _function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maxima over windows that give an output of ``output_size``, whatever the input's size."""

    _function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Maxima over windows that give an output of ``output_size``, whatever the input's size."""

    _function = staticmethod(F.adaptive_max_pool3d)


class _AdaptiveAvgPool(Module):
    _function: Any

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return self._function(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Means over windows that give ``output_size`` entries, whatever the input's size."""

    _function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Means over windows that give an output of ``output_size``, whatever the input's size
    (None in it keeps the size of the input there).

    Example:
        >>> tuple(nn.AdaptiveAvgPool2d(1)(deeplite.zeros(1, 3, 9, 7)).shape)
        (1, 3, 1, 1)
    """

    _function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Means over windows that give an output of ``output_size``, whatever the input's size."""

    _function = staticmethod(F.adaptive_avg_pool3d)


class _FractionalMaxPool(Module):
    _ndim: int
    _function: Any

    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if (output_size is None) == (output_ratio is None):
            raise ValueError(f"{name}: give either output_size or output_ratio")
        if output_ratio is not None and not all(0 < r < 1 for r in ntuple(output_ratio, 1)):
            raise ValueError(f"{name}: output_ratio must be between 0 and 1, got {output_ratio}")
        self.kernel_size = ntuple(kernel_size, self._ndim)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else ntuple(output_size, self._ndim)
        self.output_ratio = None if output_ratio is None else ntuple(output_ratio, self._ndim)

    def forward(self, input: Tensor) -> Any:
        return self._function(
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            _random_samples=self._random_samples,
        )


class FractionalMaxPool2d(_FractionalMaxPool):
    """Maxima over windows at random places (Graham, 2014).

    Args:
        kernel_size: the windows' size.
        output_size, output_ratio: the size of the output, or its share of the input's.
        return_indices: also return where each maximum is.

    Raises:
        ValueError: both or neither of output_size and output_ratio, or a ratio outside (0, 1).

    Example:
        >>> tuple(nn.FractionalMaxPool2d(2, output_ratio=0.5)(deeplite.zeros(1, 3, 8, 8)).shape)
        (1, 3, 4, 4)
    """

    _ndim = 2
    _function = staticmethod(F.fractional_max_pool2d)


class FractionalMaxPool3d(_FractionalMaxPool):
    """Maxima over windows at random places of volumes; see :class:`FractionalMaxPool2d`."""

    _ndim = 3
    _function = staticmethod(F.fractional_max_pool3d)
