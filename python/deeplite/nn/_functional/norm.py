"""Normalisation. With a mean ``E[x]`` and a (biased) variance ``Var[x]`` over some dimensions, all
but the last two compute ``(x - E[x]) / sqrt(Var[x] + eps) * weight + bias``."""

from __future__ import annotations

from collections.abc import Sequence

from deeplite import Tensor

from .._core import core


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalises each channel over the batch and all positions (Ioffe and Szegedy, 2015).

    In training the statistics are the batch's, and the running ones move towards them:
    ``running = (1 - momentum) * running + momentum * batch`` (the variance unbiased there).
    Otherwise the running ones are used.

    Shape: input ``[N, C, *]``, everything else ``[C]``.

    Raises:
        ShapeError: a statistic, weight or bias has not one entry for each channel.
        ValueError: training with a single value for each channel.

    Example:
        >>> F.batch_norm(deeplite.tensor([[1.0], [3.0]]), None, None, training=True)
        tensor([[-1.0000],
                [ 1.0000]])
    """
    return core.batch_norm(input, running_mean, running_var, weight, bias, training, momentum, eps)


def fused_batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    residual: Tensor | None = None,
    min_val: float = 0.0,
    max_val: float | None = None,
) -> Tensor:
    """``relu(batch_norm(input) + residual)`` in one pass over memory, and its gradient in one.

    In general ``hardtanh(batch_norm(input, ...) + residual, min_val, max_val)``; ReLU6 has
    ``max_val=6``. ``nn.Sequential`` takes it for a batch norm that an activation follows.

    Args:
        residual: of the input's shape and dtype; None for none.
        min_val, max_val: bounds of the result; no upper bound when None.

    Shape: input and residual ``[N, C, *]``, everything else ``[C]``.

    Raises:
        ShapeError: a statistic, weight, bias or residual does not fit the input.
        TypeError: dtypes do not go together.
        ValueError: max_val is not above min_val, or training with a single value for each channel.

    Example:
        >>> x = deeplite.tensor([[1.0], [3.0]])
        >>> F.fused_batch_norm(x, None, None, training=True, eps=0, max_val=6).tolist()
        [[0.0], [1.0]]
    """
    return core.fused_batch_norm(
        input, running_mean, running_var, weight, bias, training, momentum, eps, residual,
        min_val, max_val,
    )  # fmt: skip


def layer_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalises over the last dimensions, those of ``normalized_shape`` (Ba et al., 2016).

    Shape: input ``[*, *normalized_shape]``, weight and bias ``normalized_shape``.

    Raises:
        ShapeError: the input does not end in ``normalized_shape``.

    Example:
        >>> F.layer_norm(deeplite.tensor([1.0, 3.0]), (2,))
        tensor([-1.0000,  1.0000])
    """
    return core.layer_norm(input, normalized_shape, weight, bias, eps)


def rms_norm(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """``x / sqrt(mean(x^2) + eps) * weight`` over the last dimensions (Zhang and Sennrich, 2019).

    Args:
        eps: the dtype's machine epsilon when None.

    Raises:
        ShapeError: the input does not end in ``normalized_shape``.

    Example:
        >>> F.rms_norm(deeplite.tensor([1.0, 7.0]), (2,))
        tensor([0.2000, 1.4000])
    """
    return core.rms_norm(input, normalized_shape, weight, eps)


def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Normalises groups of channels of each sample (Wu and He, 2018).

    Shape: input ``[N, C, *]``, weight and bias ``[C]``.

    Raises:
        ShapeError: the channels do not split into ``num_groups``.

    Example:
        >>> tuple(F.group_norm(deeplite.zeros(2, 6, 3), 3).shape)
        (2, 6, 3)
    """
    return core.group_norm(input, num_groups, weight, bias, eps)


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalises each channel of each sample (Ulyanov et al., 2016).

    Shape: input ``[N, C, *]``, everything else ``[C]``.

    Raises:
        ValueError: a single position, so that there is no variance.

    Example:
        >>> F.instance_norm(deeplite.tensor([[[1.0, 3.0]]]))
        tensor([[[-1.0000,  1.0000]]])
    """
    return core.instance_norm(
        input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps
    )


def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """``x / (k + alpha / size * sum of x^2 over `size` neighbouring channels) ** beta``
    (Krizhevsky et al., 2012).

    Shape: input ``[N, C, *]``, at least 3 dimensions.

    Raises:
        ValueError: the input has fewer dimensions.

    Example:
        >>> tuple(F.local_response_norm(deeplite.ones(1, 4, 2), 2).shape)
        (1, 4, 2)
    """
    return core.local_response_norm(input, size, alpha, beta, k)


def normalize(
    input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """``x / max(||x||_p, eps)`` along ``dim``.

    Example:
        >>> F.normalize(deeplite.tensor([[3.0, 4.0]]))
        tensor([[0.6000, 0.8000]])
    """
    result = core.normalize(input, p, dim, eps)
    return result if out is None else out.copy_(result)
