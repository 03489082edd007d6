"""Convolutions and linear maps."""

from __future__ import annotations

from typing import Any

from deeplite import Tensor

from .._core import core

Size = Any  # an int for all dimensions, or one int for each


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ weight.T + bias``.

    Shape: input ``[*, in]``, weight ``[out, in]`` or ``[in]``, bias ``[out]`` -> ``[*, out]``.

    Raises:
        ShapeError: the last size of the input is not that of the weight.

    Example:
        >>> F.linear(deeplite.ones(1, 2), deeplite.ones(3, 2))
        tensor([[2., 2., 2.]])
    """
    return core.linear(input, weight, bias)


def fused_linear(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    scale: Tensor | None = None,
    residual: Tensor | None = None,
    activation: str = "none",
) -> Tensor:
    """``activation(scale * (input @ weight.T) + bias + residual)``, in one pass over the result.

    Where a gradient is wanted the same is composed of several operations.

    Args:
        input: [..., in].
        weight: [out, in].
        bias: [out].
        scale: [out], as a normalisation folded into the layer has it.
        residual: broadcast to the result [..., out].
        activation: "none", "relu", "sigmoid", "tanh", "silu", "gelu" or "gelu_tanh".

    Raises:
        ShapeError: sizes do not fit.
        ValueError: no such activation.

    Example:
        >>> import deeplite
        >>> import deeplite.nn.functional as F
        >>> F.fused_linear(deeplite.ones(1, 2), -deeplite.ones(3, 2), activation="relu")
        tensor([[0., 0., 0.]])
    """
    return core.fused_linear(input, weight, bias, scale, residual, activation)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``y_k = x1 @ weight_k @ x2 + bias_k``.

    Shape: input1 ``[*, in1]``, input2 ``[*, in2]``, weight ``[out, in1, in2]`` -> ``[*, out]``.

    Raises:
        ShapeError: sizes do not fit the weight, or leading sizes differ.

    Example:
        >>> F.bilinear(deeplite.ones(1, 2), deeplite.ones(1, 3), deeplite.ones(1, 2, 3))
        tensor([[6.]])
    """
    return core.bilinear(input1, input2, weight, bias)


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation over one dimension; see :func:`conv2d`.

    Shape: input ``[N, C, L]`` or ``[C, L]``, weight ``[K, C/groups, R]`` -> ``[N, K, L']``.

    Example:
        >>> F.conv1d(deeplite.ones(1, 1, 4), deeplite.ones(1, 1, 3))
        tensor([[[3., 3.]]])
    """
    return core.conv1d(input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation over two dimensions:
    ``y[n, k, i, j] = bias[k] + sum_{c,r,s} weight[k, c, r, s] x[n, c, i*stride + r*dilation, ..]``.

    Args:
        input: ``[N, C, H, W]`` or ``[C, H, W]``.
        weight: ``[K, C/groups, R, S]``.
        bias: ``[K]``.
        stride, dilation: positive, an int or one for each dimension.
        padding: zeros added on both sides; "valid" adds none, "same" as many as keep the size
            (with stride 1).
        groups: the channels are split into this many groups that do not see each other.

    Returns:
        ``[N, K, H', W']`` with ``H' = (H + 2 padding - dilation (R - 1) - 1) // stride + 1``.

    Raises:
        ShapeError: ranks or channels do not fit, or the kernel is larger than the padded input.
        ValueError: padding="same" with a stride.

    Example:
        >>> tuple(F.conv2d(deeplite.ones(1, 3, 8, 8), deeplite.ones(4, 3, 3, 3)).shape)
        (1, 4, 6, 6)
    """
    return core.conv2d(input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
) -> Tensor:
    """Cross-correlation over three dimensions; see :func:`conv2d`.

    Shape: input ``[N, C, D, H, W]`` or ``[C, D, H, W]``, weight ``[K, C/groups, Q, R, S]``.

    Example:
        >>> tuple(F.conv3d(deeplite.ones(1, 1, 4, 4, 4), deeplite.ones(2, 1, 3, 3, 3)).shape)
        (1, 2, 2, 2, 2)
    """
    return core.conv3d(input, weight, bias, stride, padding, dilation, groups)


def fused_conv(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size | str = 0,
    dilation: Size = 1,
    groups: int = 1,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    norm_weight: Tensor | None = None,
    norm_bias: Tensor | None = None,
    eps: float = 1e-5,
    residual: Tensor | None = None,
    activation: str = "none",
    min_val: float = -1.0,
    max_val: float = 1.0,
) -> Tensor:
    """``activation(batch_norm(conv(input)) + residual)``, finished before it is written: what a
    network that only runs makes of a convolution and the layers behind it.

    ``nn.Sequential`` and :func:`deeplite.ops.conv_norm_act` take it by themselves. Where a gradient
    is wanted the same is composed of several operations. In one or three dimensions alike.

    Args:
        input, weight, bias, stride, padding, dilation, groups: as for :func:`conv2d`.
        running_mean, running_var: ``[K]``, the statistics of the norm; None for no norm.
        norm_weight, norm_bias: ``[K]``, of the norm.
        eps: added to the variance.
        residual: of the shape of the result.
        activation: "none", "relu", "relu6", "hardtanh", "sigmoid", "tanh", "silu", "gelu",
            "gelu_tanh", "hardswish" or "hardsigmoid".
        min_val, max_val: the bounds of hardtanh.

    Raises:
        ShapeError: sizes do not fit.
        TypeError: dtypes do not go together.
        ValueError: no such activation, max_val is not above min_val, a norm without statistics.

    Example:
        >>> x, w = deeplite.tensor([[[1.0, 2.0, 3.0]]]), deeplite.tensor([[[1.0, -2.0]]])
        >>> F.fused_conv(x, w, residual=deeplite.ones(1, 1, 2) * 3.5, activation="relu")
        tensor([[[0.5000, 0.0000]]])
    """
    return core.fused_conv(
        input, weight, bias, stride, padding, dilation, groups, running_mean, running_var,
        norm_weight, norm_bias, eps, residual, activation, min_val, max_val,
    )  # fmt: skip


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """The transpose (the gradient) of :func:`conv1d`; see :func:`conv_transpose2d`.

    Example:
        >>> F.conv_transpose1d(deeplite.ones(1, 1, 2), deeplite.ones(1, 1, 2))
        tensor([[[1., 2., 1.]]])
    """
    return core.conv_transpose1d(
        input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """The transpose of :func:`conv2d`: what its backward does to a gradient.

    Shape: input ``[N, C, H, W]`` or ``[C, H, W]``, weight ``[C, K/groups, R, S]`` ->
    ``[N, K, H', W']`` with
    ``H' = (H - 1) stride - 2 padding + dilation (R - 1) + output_padding + 1``.

    Raises:
        ShapeError: ranks or channels do not fit, or the output would be empty.
        RuntimeError: ``output_padding`` is not smaller than stride or dilation.

    Example:
        >>> x, w = deeplite.ones(1, 3, 4, 4), deeplite.ones(3, 2, 2, 2)
        >>> tuple(F.conv_transpose2d(x, w, stride=2).shape)
        (1, 2, 8, 8)
    """
    return core.conv_transpose2d(
        input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Size = 1,
    padding: Size = 0,
    output_padding: Size = 0,
    groups: int = 1,
    dilation: Size = 1,
) -> Tensor:
    """The transpose of :func:`conv3d`; see :func:`conv_transpose2d`.

    Example:
        >>> x, w = deeplite.ones(1, 1, 2, 2, 2), deeplite.ones(1, 1, 2, 2, 2)
        >>> tuple(F.conv_transpose3d(x, w, stride=2).shape)
        (1, 1, 4, 4, 4)
    """
    return core.conv_transpose3d(
        input, weight, bias, stride, padding, output_padding, groups, dilation
    )


def unfold(
    input: Tensor, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
) -> Tensor:
    """Sliding blocks as columns (im2col).

    Shape: input ``[N, C, H, W]`` -> ``[N, C * R * S, number of blocks]``.

    Example:
        >>> tuple(F.unfold(deeplite.zeros(1, 3, 4, 4), 2).shape)
        (1, 12, 9)
    """
    return core.unfold(input, kernel_size, dilation, padding, stride)


def fold(
    input: Tensor,
    output_size: Size,
    kernel_size: Size,
    dilation: Size = 1,
    padding: Size = 0,
    stride: Size = 1,
) -> Tensor:
    """Sums columns back into an image (col2im), the transpose of :func:`unfold`.

    Shape: input ``[N, C * R * S, number of blocks]`` -> ``[N, C, *output_size]``.

    Raises:
        ShapeError: the columns do not fit the output size.

    Example:
        >>> tuple(F.fold(deeplite.zeros(1, 12, 9), (4, 4), 2).shape)
        (1, 3, 4, 4)
    """
    return core.fold(input, output_size, kernel_size, dilation, padding, stride)
