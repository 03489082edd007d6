"""Pooling. Inputs are ``[N, C, *]`` or ``[C, *]`` with one, two or three spatial dimensions; sizes
are an int for all of them or one int for each; ``stride=None`` means the kernel size. A window
that does not fit, or padding of more than half the kernel, raises an error that names both."""

from __future__ import annotations

from typing import Any

from deeplite import Tensor

from .._core import core

Size = Any  # an int for all dimensions, or one int for each


def max_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window over one dimension; see :func:`max_pool2d`.

    Example:
        >>> F.max_pool1d(deeplite.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
        tensor([[3., 2.]])
    """
    run = core.max_pool1d_with_indices if return_indices else core.max_pool1d
    return run(input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window over two dimensions; padding counts as minus infinity.

    Args:
        input: ``[N, C, H, W]`` or ``[C, H, W]``.
        ceil_mode: keep windows that stick out at the end, as long as they start inside.
        return_indices: also return where each maximum is (``h * W + w``), for
            :func:`max_unpool2d`.

    Returns:
        ``[N, C, H', W']``, or that and the indices.

    Example:
        >>> tuple(F.max_pool2d(deeplite.zeros(1, 3, 8, 8), 2).shape)
        (1, 3, 4, 4)
    """
    run = core.max_pool2d_with_indices if return_indices else core.max_pool2d
    return run(input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool3d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The maximum of each window over three dimensions; see :func:`max_pool2d`.

    Example:
        >>> tuple(F.max_pool3d(deeplite.zeros(1, 3, 4, 4, 4), 2).shape)
        (1, 3, 2, 2, 2)
    """
    run = core.max_pool3d_with_indices if return_indices else core.max_pool3d
    return run(input, kernel_size, stride, padding, dilation, ceil_mode)


def max_pool1d_with_indices(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """:func:`max_pool1d` with indices."""
    return max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool2d_with_indices(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """:func:`max_pool2d` with indices."""
    return max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool3d_with_indices(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """:func:`max_pool3d` with indices."""
    return max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Any = None,
) -> Tensor:
    """Puts maxima back where ``indices`` say, zeros elsewhere; see :func:`max_unpool2d`.

    Example:
        >>> y, where = F.max_pool1d(deeplite.tensor([[[1.0, 3.0]]]), 2, return_indices=True)
        >>> F.max_unpool1d(y, where, 2)
        tensor([[[0., 3.]]])
    """
    size = _unpool_size(1, input, kernel_size, stride, padding, output_size)
    return core.max_unpool1d(input, indices, size)


def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Any = None,
) -> Tensor:
    """Puts maxima back where ``indices`` say, zeros elsewhere: a partial inverse of
    :func:`max_pool2d`.

    Args:
        output_size: the size before pooling, where several would fit.

    Raises:
        ValueError: ``output_size`` is out of reach of these windows.
        IndexError: an index lies outside the output.

    Example:
        >>> y, where = F.max_pool2d(deeplite.ones(1, 1, 4, 4), 2, return_indices=True)
        >>> tuple(F.max_unpool2d(y, where, 2).shape)
        (1, 1, 4, 4)
    """
    size = _unpool_size(2, input, kernel_size, stride, padding, output_size)
    return core.max_unpool2d(input, indices, size)


def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    output_size: Any = None,
) -> Tensor:
    """Puts maxima back where ``indices`` say, zeros elsewhere; see :func:`max_unpool2d`.

    Example:
        >>> y, where = F.max_pool3d(deeplite.ones(1, 1, 2, 2, 2), 2, return_indices=True)
        >>> tuple(F.max_unpool3d(y, where, 2).shape)
        (1, 1, 2, 2, 2)
    """
    size = _unpool_size(3, input, kernel_size, stride, padding, output_size)
    return core.max_unpool3d(input, indices, size)


def _each(value: Any, n: int) -> tuple[Any, ...]:
    return (value,) * n if isinstance(value, (int, float)) else tuple(value)


def _unpool_size(
    n: int, input: Tensor, kernel_size: Any, stride: Any, padding: Any, output_size: Any
) -> tuple[int, ...]:
    kernel = _each(kernel_size, n)
    steps = kernel if stride is None else _each(stride, n)
    default = tuple(
        (size - 1) * s - 2 * p + k
        for size, s, p, k in zip(input.shape[-n:], steps, _each(padding, n), kernel)
    )
    if output_size is None:
        return default
    size = tuple(output_size)[-n:]
    for wanted, middle, step in zip(size, default, steps):
        if len(size) != n or not middle - step < wanted < middle + step:
            raise ValueError(
                f"max_unpool{n}d: output_size {tuple(output_size)} does not fit the input "
                f"{tuple(input.shape)}: expected about {default}, within less than {steps}"
            )
    return size


def avg_pool1d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window over one dimension; see :func:`avg_pool2d`.

    Example:
        >>> F.avg_pool1d(deeplite.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
        tensor([[2., 1.]])
    """
    return core.avg_pool1d(input, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window over two dimensions.

    Args:
        input: ``[N, C, H, W]`` or ``[C, H, W]``.
        ceil_mode: keep windows that stick out at the end, as long as they start inside.
        count_include_pad: whether padded zeros count in the mean.
        divisor_override: divide by this instead of the number of entries.

    Example:
        >>> tuple(F.avg_pool2d(deeplite.zeros(1, 3, 8, 8), 2).shape)
        (1, 3, 4, 4)
    """
    return core.avg_pool2d(
        input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def avg_pool3d(
    input: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window over three dimensions; see :func:`avg_pool2d`.

    Example:
        >>> tuple(F.avg_pool3d(deeplite.zeros(1, 3, 4, 4, 4), 2).shape)
        (1, 3, 2, 2, 2)
    """
    return core.avg_pool3d(
        input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def adaptive_max_pool1d(input: Tensor, output_size: Size, return_indices: bool = False) -> Any:
    """Maxima over windows chosen so that the output has ``output_size`` entries.

    Example:
        >>> F.adaptive_max_pool1d(deeplite.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
        tensor([[3., 2.]])
    """
    result = core.adaptive_max_pool1d(input, output_size)
    return result if return_indices else result[0]


def adaptive_max_pool2d(input: Tensor, output_size: Size, return_indices: bool = False) -> Any:
    """Maxima over windows chosen so that the output has size ``output_size`` (None in it keeps
    the size of the input there).

    Example:
        >>> tuple(F.adaptive_max_pool2d(deeplite.zeros(1, 3, 9, 7), (4, 3)).shape)
        (1, 3, 4, 3)
    """
    result = core.adaptive_max_pool2d(input, _target(input, output_size, 2))
    return result if return_indices else result[0]


def adaptive_max_pool3d(input: Tensor, output_size: Size, return_indices: bool = False) -> Any:
    """Maxima over windows chosen so that the output has size ``output_size``.

    Example:
        >>> tuple(F.adaptive_max_pool3d(deeplite.zeros(1, 3, 5, 5, 5), 2).shape)
        (1, 3, 2, 2, 2)
    """
    result = core.adaptive_max_pool3d(input, _target(input, output_size, 3))
    return result if return_indices else result[0]


def adaptive_avg_pool1d(input: Tensor, output_size: Size) -> Tensor:
    """Means over windows chosen so that the output has ``output_size`` entries.

    Example:
        >>> F.adaptive_avg_pool1d(deeplite.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
        tensor([[2., 1.]])
    """
    return core.adaptive_avg_pool1d(input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Size) -> Tensor:
    """Means over windows chosen so that the output has size ``output_size`` (None in it keeps
    the size of the input there).

    Example:
        >>> tuple(F.adaptive_avg_pool2d(deeplite.zeros(1, 3, 9, 7), 1).shape)
        (1, 3, 1, 1)
    """
    return core.adaptive_avg_pool2d(input, _target(input, output_size, 2))


def adaptive_avg_pool3d(input: Tensor, output_size: Size) -> Tensor:
    """Means over windows chosen so that the output has size ``output_size``.

    Example:
        >>> tuple(F.adaptive_avg_pool3d(deeplite.zeros(1, 3, 5, 5, 5), (2, None, 1)).shape)
        (1, 3, 2, 5, 1)
    """
    return core.adaptive_avg_pool3d(input, _target(input, output_size, 3))


def _target(input: Tensor, output_size: Any, n: int) -> Any:
    if isinstance(output_size, int):
        return output_size
    sizes = tuple(output_size)
    if None not in sizes:
        return sizes
    return tuple(
        have if want is None else want for want, have in zip(sizes, input.shape[-len(sizes) :])
    )


def _lp_pool(
    n: int, input: Tensor, norm_type: float, kernel_size: Size, stride: Any, ceil_mode: bool
) -> Tensor:
    kernel = _each(kernel_size, n)
    count = 1
    for k in kernel:
        count *= k
    stride = kernel if stride is None else stride
    powers = input**norm_type
    if n == 1:
        mean = core.avg_pool1d(powers, kernel, stride, 0, ceil_mode, True)
    else:
        mean = getattr(core, f"avg_pool{n}d")(powers, kernel, stride, 0, ceil_mode, True, None)
    # sign * relu(abs): the root of a negative sum (odd p) keeps its sign.
    return (mean.sign() * mean.abs() * count) ** (1.0 / norm_type)


def lp_pool1d(
    input: Tensor,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """``(sum x^p)^(1/p)`` of each window, with ``p = norm_type``.

    Example:
        >>> F.lp_pool1d(deeplite.tensor([[[3.0, 4.0]]]), 2, 2)
        tensor([[[5.]]])
    """
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """``(sum x^p)^(1/p)`` of each window, with ``p = norm_type``.

    Example:
        >>> F.lp_pool2d(deeplite.ones(1, 1, 2, 2), 2, 2)
        tensor([[[[2.]]]])
    """
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Tensor,
    norm_type: float,
    kernel_size: Size,
    stride: Size | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """``(sum x^p)^(1/p)`` of each window, with ``p = norm_type``.

    Example:
        >>> tuple(F.lp_pool3d(deeplite.ones(1, 1, 2, 2, 2), 1, 2).shape)
        (1, 1, 1, 1, 1)
    """
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


def _fractional_max_pool(
    n: int,
    input: Tensor,
    kernel_size: Size,
    output_size: Any,
    output_ratio: Any,
    return_indices: bool,
    samples: Tensor | None,
) -> Any:
    name = f"fractional_max_pool{n}d"
    if (output_size is None) == (output_ratio is None):
        raise ValueError(f"{name}: expected one of output_size and output_ratio")
    if output_size is None:
        ratios = _each(output_ratio, n)
        if not all(0 < ratio < 1 for ratio in ratios):
            raise ValueError(f"{name}: output_ratio must lie between 0 and 1, got {output_ratio}")
        output_size = tuple(int(size * r) for size, r in zip(input.shape[-n:], ratios))
    if samples is None:
        batch = input.shape[0] if input.dim() == n + 2 else 1
        samples = core.rand((batch, input.shape[-n - 1], n), dtype=input.dtype, device=input.device)
    result = getattr(core, name)(input, _each(kernel_size, n), _each(output_size, n), samples)
    return result if return_indices else result[0]


def fractional_max_pool2d(
    input: Tensor,
    kernel_size: Size,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """Maxima of windows at pseudo-random places (Graham, "Fractional Max-Pooling", 2014).

    Args:
        input: ``[N, C, H, W]`` or ``[C, H, W]``.
        output_size: size of the result; or give ``output_ratio``, its part of the input's size.
        return_indices: also return where each maximum is.

    Raises:
        ShapeError: windows of this size do not fit that often.

    Example:
        >>> u = deeplite.zeros(1, 1, 2)
        >>> x = deeplite.zeros(1, 1, 8, 8)
        >>> tuple(F.fractional_max_pool2d(x, 2, output_size=5, _random_samples=u).shape)
        (1, 1, 5, 5)
    """
    return _fractional_max_pool(
        2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples
    )


def fractional_max_pool3d(
    input: Tensor,
    kernel_size: Size,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """Fractional max pooling over three dimensions; see :func:`fractional_max_pool2d`.

    Example:
        >>> u = deeplite.zeros(1, 1, 3)
        >>> x = deeplite.zeros(1, 1, 8, 8, 8)
        >>> tuple(F.fractional_max_pool3d(x, 2, output_size=5, _random_samples=u).shape)
        (1, 1, 5, 5, 5)
    """
    return _fractional_max_pool(
        3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples
    )
