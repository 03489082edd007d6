"""Layers that many architectures are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from deeplite import Tensor, nn

__all__ = [
    "Conv2dNormActivation",
    "Permute",
    "SqueezeExcitation",
    "branch_act",
    "conv_norm_act",
    "norm_act",
]

Make = Callable[..., nn.Module]


def _finished(activation: Any, y: Tensor, residual: Tensor | None) -> Tensor:
    y = y if residual is None else y + residual
    if activation is None or isinstance(activation, nn.Module):
        return y if activation is None else activation(y)
    return activation(y, inplace=True)  # a function; y is nobody else's


def conv_norm_act(
    conv: nn.Module,
    norm: nn.Module | None,
    activation: Any,
    x: Tensor,
    residual: Tensor | None = None,
) -> Tensor:
    """``activation(norm(conv(x)) + residual)``, in as few passes over memory as the layers allow.

    In evaluation, without gradients, the convolution does it all
    (:func:`deeplite.nn.functional.fused_conv`), else it is followed by :func:`norm_act`.

    Args:
        norm: None for none.
        activation: a layer, a function with an ``inplace`` option such as ``nn.functional.relu``,
            or None for none.
        residual: of the shape of the result; None for none.

    Example:
        >>> from deeplite.ops import conv_norm_act
        >>> conv, norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        >>> tuple(conv_norm_act(conv, norm, nn.ReLU(), deeplite.zeros(2, 3, 5, 5)).shape)
        (2, 4, 5, 5)
    """
    # Asked for by name: this file is also executed over libraries whose layers do not have it.
    join = getattr(conv, "followed_by", None)
    joined = None if join is None else join(norm, activation, x, residual)
    if joined is not None:
        return joined
    if norm is not None:
        return norm_act(norm, activation, conv(x), residual)
    return _finished(activation, conv(x), residual)


def branch_act(
    branch: nn.Module, activation: Any, x: Tensor, residual: Tensor | None = None
) -> Tensor:
    """``activation(branch(x) + residual)`` for a chain of layers, the last of which do both where
    they can: the end of a residual block.

    Args:
        activation, residual: as for :func:`conv_norm_act`.

    Example:
        >>> from deeplite.ops import branch_act
        >>> branch = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
        >>> x = deeplite.zeros(2, 3, 5, 5)
        >>> tuple(branch_act(branch, None, x, x).shape)
        (2, 3, 5, 5)
    """
    join = getattr(branch, "followed_by", None)
    joined = None if join is None else join(activation, x, residual)
    return _finished(activation, branch(x), residual) if joined is None else joined


def norm_act(norm: nn.Module, activation: Any, x: Tensor, residual: Tensor | None = None) -> Tensor:
    """``activation(norm(x) + residual)``, in one pass over memory where the layers can join.

    For a batch norm and ReLU, ReLU6 or Hardtanh that saves writing and reading the map between
    them, and as much in the backward pass; the result is the same.

    Args:
        residual: of the shape of ``x``; None for none.

    Example:
        >>> from deeplite.ops import norm_act
        >>> x = deeplite.tensor([[1.0], [3.0]])
        >>> norm = nn.BatchNorm1d(1, eps=0)
        >>> norm_act(norm, nn.ReLU(), x, residual=deeplite.ones(2, 1)).tolist()
        [[0.0], [2.0]]
    """
    join = getattr(norm, "followed_by", None)
    joined = None if join is None else join(activation, x, residual)
    return _finished(activation, norm(x), residual) if joined is None else joined


def _same_padding(kernel_size: int | Sequence[int], dilation: int | Sequence[int]) -> Any:
    """The padding that keeps the size of a map at stride 1 (for odd kernels)."""
    if isinstance(kernel_size, int) and isinstance(dilation, int):
        return (kernel_size - 1) // 2 * dilation
    sizes = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    steps = (dilation, dilation) if isinstance(dilation, int) else dilation
    return tuple((k - 1) // 2 * d for k, d in zip(sizes, steps))


class Conv2dNormActivation(nn.Sequential):
    """A convolution, a normalisation and an activation: children "0", "1" and "2".

    ``[N, in_channels, H, W] -> [N, out_channels, H', W']``; stride 1 keeps H and W.

    Args:
        padding: what keeps the size at stride 1 when None.
        norm_layer: makes the second layer of ``out_channels``; None for none.
        activation_layer: makes the third layer; None for none.
        inplace: handed to ``activation_layer`` unless None.
        bias: whether the convolution has one; when None, only without a norm layer.

    Example:
        >>> from deeplite.ops import Conv2dNormActivation
        >>> layer = Conv2dNormActivation(3, 8, stride=2)
        >>> tuple(layer(deeplite.zeros(1, 3, 8, 8)).shape)
        (1, 8, 4, 4)
        >>> [type(part).__name__ for part in layer]
        ['Conv2d', 'BatchNorm2d', 'ReLU']
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int] = 3,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str | None = None,
        groups: int = 1,
        norm_layer: Make | None = nn.BatchNorm2d,
        activation_layer: Make | None = nn.ReLU,
        dilation: int | tuple[int, int] = 1,
        inplace: bool | None = True,
        bias: bool | None = None,
    ) -> None:
        if padding is None:
            padding = _same_padding(kernel_size, dilation)
        if bias is None:
            bias = norm_layer is None
        layers: list[nn.Module] = [
            nn.Conv2d(
                in_channels,
                out_channels,
                kernel_size,
                stride,
                padding,
                dilation=dilation,
                groups=groups,
                bias=bias,
            )
        ]
        if norm_layer is not None:
            layers.append(norm_layer(out_channels))
        if activation_layer is not None:
            options = {} if inplace is None else {"inplace": inplace}
            layers.append(activation_layer(**options))
        super().__init__(*layers)
        self.out_channels = out_channels


class SqueezeExcitation(nn.Module):
    """Weighs each channel by what the whole map shows:
    ``x * scale(fc2(act(fc1(mean over H, W of x))))`` (Hu et al., 2018, arXiv 1709.01507).

    Shape: ``[N, input_channels, H, W]``, which is kept.

    Args:
        squeeze_channels: width between the two 1x1 convolutions.

    Example:
        >>> from deeplite.ops import SqueezeExcitation
        >>> tuple(SqueezeExcitation(8, 2)(deeplite.ones(2, 8, 5, 5)).shape)
        (2, 8, 5, 5)
    """

    def __init__(
        self,
        input_channels: int,
        squeeze_channels: int,
        activation: Make = nn.ReLU,
        scale_activation: Make = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)
        self.activation = activation()
        self.scale_activation = scale_activation()

    def forward(self, input: Tensor) -> Tensor:
        scale = conv_norm_act(self.fc1, None, self.activation, self.avgpool(input))
        return conv_norm_act(self.fc2, None, self.scale_activation, scale) * input


class Permute(nn.Module):
    """``x.permute(dims)`` as a layer.

    Example:
        >>> from deeplite.ops import Permute
        >>> tuple(Permute([0, 2, 1])(deeplite.ones(2, 3, 4)).shape)
        (2, 4, 3)
    """

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()
        self.dims = list(dims)

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.dims)
