"""Convolution layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import deeplite
from deeplite import _C, Tensor

from . import _call, init
from . import functional as F
from ._joining import End, Joined, followers
from ._sizes import ntuple, positive
from .activation import finish_of
from .batchnorm import _BatchNorm
from .module import Module
from .parameter import Parameter

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
]

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


class _ConvNd(Module):
    """What all convolutions share: sizes, weights and their initial values, repr."""

    _ndim: int
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        transposed: bool,
        output_padding: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        n, name = self._ndim, type(self).__name__
        positive(name, groups=groups, kernel_size=kernel_size, stride=stride, dilation=dilation)
        for what, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels < 0 or channels % groups:
                raise ValueError(
                    f"{name}: {what} must be divisible by groups, got {channels} and {groups}"
                )
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            raise ValueError(
                f"{name}: padding_mode must be one of zeros, reflect, replicate, circular, "
                f"got {padding_mode!r}"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = ntuple(kernel_size, n)
        self.stride = ntuple(stride, n)
        self.padding = padding if isinstance(padding, str) else ntuple(padding, n)
        self.dilation = ntuple(dilation, n)
        self.transposed = transposed
        self.output_padding = ntuple(output_padding, n)
        self.groups = groups
        self.padding_mode = padding_mode
        self._check_lengths(name)
        self._border = self._border_sizes()
        first, second = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        size = (first, second // groups, *self.kernel_size)
        self.weight = Parameter(deeplite.empty(size, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(deeplite.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _check_lengths(self, name: str) -> None:
        for what in ("kernel_size", "stride", "padding", "dilation", "output_padding"):
            value = getattr(self, what)
            if not isinstance(value, str) and len(value) != self._ndim:
                raise ValueError(f"{name}: {what} must have {self._ndim} entries, got {value}")
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                raise ValueError(
                    f"{name}: padding must be 'same', 'valid' or numbers, got {self.padding!r}"
                )
            if self.padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError(
                    f"{name}: padding='same' is not supported with stride {self.stride}"
                )
        elif any(p < 0 for p in self.padding):
            raise ValueError(f"{name}: padding must not be negative, got {self.padding}")

    def _border_sizes(self) -> list[int]:
        """The padding as F.pad wants it, the last dimension first."""
        border: list[int] = []
        for d in reversed(range(self._ndim)):
            if self.padding == "same":
                total = self.dilation[d] * (self.kernel_size[d] - 1)
                border += [total // 2, total - total // 2]
            elif self.padding == "valid":
                border += [0, 0]
            else:
                border += [self.padding[d], self.padding[d]]  # type: ignore[list-item]
        return border

    def reset_parameters(self) -> None:
        """Draws new initial values, uniform in ``+-1 / sqrt(fan_in)``."""
        if self.weight.numel():
            init.reset_weight_and_bias(self.weight, self.bias)

    def extra_repr(self) -> str:
        n = self._ndim
        parts = [f"{self.in_channels}, {self.out_channels}", f"kernel_size={self.kernel_size}"]
        parts.append(f"stride={self.stride}")
        if self.padding != (0,) * n:
            parts.append(f"padding={self.padding}")
        if self.dilation != (1,) * n:
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != (0,) * n:
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class _Conv(_ConvNd):
    _joins_next = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            False,
            0,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def followed_by(
        self, norm: Module | None, activation: Any, input: Tensor, residual: Tensor | None = None
    ) -> Tensor | None:
        """``activation(norm(self(input)) + residual)`` finished before it is written
        (:func:`deeplite.nn.functional.fused_conv`), or None where the layers have to be called one
        by one: the norm is no batch norm in evaluation, the activation (a layer, a function, None)
        is unknown to it, or one of them is hooked.

        Raises:
            ShapeError, TypeError: the residual is not like the result.

        Example:
            >>> conv = nn.Conv1d(1, 2, 1)
            >>> tuple(conv.followed_by(None, nn.SiLU(), deeplite.zeros(1, 1, 3)).shape)
            (1, 2, 3)
            >>> conv.followed_by(nn.BatchNorm1d(2), nn.SiLU(), deeplite.zeros(1, 1, 3)) is None
            True
        """
        finish = finish_of(activation)
        if finish is None or not self._is_plain(_Conv.forward):
            return None
        if type(self)._conv_forward is not _Conv._conv_forward or _C._anomaly_enabled():
            return None  # anomaly mode tells which layer an op is of
        statistics: Any = (None, None, None, None, 1e-5)
        if norm is not None:
            statistics = norm._as_finish(input.dim()) if isinstance(norm, _BatchNorm) else None
            if statistics is None or input.dim() != self._ndim + 2:
                return None
        try:
            x, padding = self._padded(input)
            geometry = (self.stride, padding, self.dilation, self.groups)
            follow = (*statistics, residual, *finish)
            return F.fused_conv(x, self.weight, self.bias, *geometry, *follow)
        except Exception as error:  # as in Module.__call__, which is left out
            _call.name_layer(self, error)
            raise

    def _joined(self, layers: Any, i: int, input: Any, end: End | None) -> Joined | None:
        after = i + 1
        norm = None
        if after < len(layers) and isinstance(layers[after], _BatchNorm):
            norm = layers[after]
            if norm.training:
                return None
            after += 1
        activation, residual, used, ended = followers(layers, after, end)
        if norm is None and activation is None and residual is None:
            return None
        y = self.followed_by(norm, activation, input, residual)
        return None if y is None else (y, after + used - i, ended)

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        input, padding = self._padded(input)
        conv = _CONV[self._ndim]
        return conv(input, weight, bias, self.stride, padding, self.dilation, self.groups)

    def _padded(self, input: Tensor) -> tuple[Tensor, Any]:
        """The input with a border that is not zeros, and the padding that is left to do."""
        if self.padding_mode == "zeros":
            return input, self.padding
        return F.pad(input, self._border, mode=self.padding_mode), (0,) * self._ndim


class Conv1d(_Conv):
    """Convolution over one dimension: ``[N, C, L] -> [N, K, L']``. See :class:`Conv2d`.

    Example:
        >>> tuple(nn.Conv1d(3, 4, 3)(deeplite.zeros(1, 3, 8)).shape)
        (1, 4, 6)
    """

    _ndim = 1


class Conv2d(_Conv):
    """Convolution over two dimensions: ``[N, C, H, W] -> [N, K, H', W']`` (also without N).

    Args:
        in_channels, out_channels: C and K.
        kernel_size, stride, dilation: a number, or one for each dimension.
        padding: numbers, "valid" or "same".
        groups: the channels are split into this many independent groups.
        bias: whether there is one.
        padding_mode: "zeros", "reflect", "replicate" or "circular".

    Weight ``[K, C/groups, R, S]`` and bias ``[K]`` start uniform in ``+-1 / sqrt(C/groups R S)``.

    Raises:
        ValueError: sizes that are not positive, channels that do not divide by ``groups``, an
            unknown padding.

    Example:
        >>> tuple(nn.Conv2d(3, 4, 3, padding=1)(deeplite.zeros(1, 3, 8, 8)).shape)
        (1, 4, 8, 8)
    """

    _ndim = 2


class Conv3d(_Conv):
    """Convolution over three dimensions: ``[N, C, D, H, W]``. See :class:`Conv2d`.

    Example:
        >>> tuple(nn.Conv3d(1, 2, 2)(deeplite.zeros(1, 1, 4, 4, 4)).shape)
        (1, 2, 3, 3, 3)
    """

    _ndim = 3


class _ConvTranspose(_ConvNd):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(
                f"{type(self).__name__}: only padding_mode 'zeros' is supported, "
                f"got {padding_mode!r}"
            )
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            True,
            output_padding,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        """``output_size`` picks one of the sizes that ``stride`` leaves open."""
        extra = self._output_padding(input, output_size)
        conv = _CONV_TRANSPOSE[self._ndim]
        return conv(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            extra,
            self.groups,
            self.dilation,
        )

    def _output_padding(self, input: Tensor, output_size: Sequence[int] | None) -> Any:
        if output_size is None:
            return self.output_padding
        n, name = self._ndim, type(self).__name__
        leading = input.dim() - n
        size = list(output_size)
        if len(size) == n + leading:
            size = size[leading:]
        if len(size) != n:
            raise ValueError(
                f"{name}: output_size must have {n} or {n + leading} entries, got {output_size}"
            )
        extra = []
        for d in range(n):
            least = (input.shape[d + leading] - 1) * self.stride[d] + 1
            least += self.dilation[d] * (self.kernel_size[d] - 1) - 2 * self.padding[d]
            if not least <= size[d] < least + self.stride[d]:
                raise ValueError(
                    f"{name}: output size {size} cannot be reached from input "
                    f"{tuple(input.shape)}: dimension {d} may be {least} to "
                    f"{least + self.stride[d] - 1}"
                )
            extra.append(size[d] - least)
        return tuple(extra)


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution over one dimension. See :class:`ConvTranspose2d`.

    Example:
        >>> tuple(nn.ConvTranspose1d(3, 2, 2, stride=2)(deeplite.zeros(1, 3, 4)).shape)
        (1, 2, 8)
    """

    _ndim = 1


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution, the gradient of :class:`Conv2d` as a layer:
    ``[N, C, H, W] -> [N, K, H', W']`` with
    ``H' = (H - 1) stride - 2 padding + dilation (R - 1) + output_padding + 1``.

    Weight ``[C, K/groups, R, S]``, bias ``[K]``. Arguments as for :class:`Conv2d`;
    ``output_padding`` adds to the size on one side.

    Raises:
        ValueError: as :class:`Conv2d`, or an ``output_size`` out of reach.

    Example:
        >>> tuple(nn.ConvTranspose2d(3, 2, 2, stride=2)(deeplite.zeros(1, 3, 4, 4)).shape)
        (1, 2, 8, 8)
    """

    _ndim = 2


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution over three dimensions. See :class:`ConvTranspose2d`.

    Example:
        >>> tuple(nn.ConvTranspose3d(1, 2, 2, stride=2)(deeplite.zeros(1, 1, 2, 2, 2)).shape)
        (1, 2, 4, 4, 4)
    """

    _ndim = 3
