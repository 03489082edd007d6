"""Initial values for weights. Every function changes its tensor in place, without recording
gradients, and returns it; the random ones take a ``generator``."""

from __future__ import annotations

import math
from typing import Any

import deeplite
from deeplite import Tensor

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_LINEAR = (
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "sigmoid",
)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor that keeps the variance through a nonlinearity.

    1 for linear maps, convolutions and sigmoid, 5/3 for tanh, sqrt(2) for relu,
    ``sqrt(2 / (1 + slope^2))`` for leaky_relu (``param`` is the slope, 0.01 by default), 3/4 for
    selu.

    Raises:
        ValueError: an unknown nonlinearity, or a slope that is no number.

    Example:
        >>> nn.init.calculate_gain("leaky_relu", 1.0)
        1.0
    """
    if nonlinearity in _LINEAR:
        return 1.0
    if nonlinearity == "tanh":
        return 5.0 / 3
    if nonlinearity == "relu":
        return math.sqrt(2.0)
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"calculate_gain: the slope must be a number, got {param!r}")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity == "selu":
        return 3.0 / 4
    raise ValueError(f"calculate_gain: unknown nonlinearity {nonlinearity!r}")


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Draws from ``U(a, b)``.

    Example:
        >>> w = nn.init.uniform_(deeplite.empty(100), -1, 1)
        >>> bool((w.abs() <= 1).all())
        True
    """
    with deeplite.no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Draws from ``N(mean, std^2)``.

    Example:
        >>> tuple(nn.init.normal_(deeplite.empty(3, 5)).shape)
        (3, 5)
    """
    with deeplite.no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> Tensor:
    """Draws from ``N(mean, std^2)`` restricted to ``[a, b]``.

    Where most of the distribution lies in ``[a, b]``, what falls outside is drawn again; of a
    narrow or far interval the distribution function is inverted in float64.

    Example:
        >>> w = nn.init.trunc_normal_(deeplite.empty(100), std=2.0)
        >>> bool((w.abs() <= 2).all())
        True
    """

    def phi(x: float) -> float:
        return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0

    low, high = phi((a - mean) / std), phi((b - mean) / std)
    with deeplite.no_grad():
        if high - low > 0.3:
            tensor.normal_(mean, std, generator=generator)
            while bool((outside := (tensor < a) | (tensor > b)).any()):
                again = deeplite.empty_like(tensor).normal_(mean, std, generator=generator)
                tensor.copy_(deeplite.where(outside, again, tensor))
            return tensor
        draw = deeplite.empty(tensor.shape, dtype=deeplite.float64, device=tensor.device)
        # u in (2 low - 1, 2 high - 1); erfinv turns it into a truncated standard normal
        draw.uniform_(2 * low - 1, 2 * high - 1, generator=generator)
        draw.erfinv_().mul_(std * math.sqrt(2.0)).add_(mean).clamp_(min=a, max=b)
        return tensor.copy_(draw).clamp_(min=a, max=b)  # rounding may step outside


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fills with ``val``.

    Example:
        >>> nn.init.constant_(deeplite.empty(2), 0.5)
        tensor([0.5000, 0.5000])
    """
    with deeplite.no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fills with 1."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fills with 0."""
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix (ones on the diagonal of a rectangle).

    Raises:
        ValueError: the tensor is not 2-d.

    Example:
        >>> nn.init.eye_(deeplite.empty(2, 2))
        tensor([[1., 0.],
                [0., 1.]])
    """
    if tensor.dim() != 2:
        raise ValueError(f"eye_: expected a 2-d tensor, got shape {tuple(tensor.shape)}")
    with deeplite.no_grad():
        return tensor.copy_(deeplite.eye(*tensor.shape, dtype=tensor.dtype, device=tensor.device))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Convolution weights ``[K, C, *]`` that pass channels through unchanged, in each group.

    Raises:
        ValueError: not 3- to 5-d, or K does not divide by ``groups``.

    Example:
        >>> nn.init.dirac_(deeplite.empty(1, 1, 3))
        tensor([[[0., 1., 0.]]])
    """
    if tensor.dim() not in (3, 4, 5):
        raise ValueError(
            f"dirac_: expected a 3-, 4- or 5-d tensor, got shape {tuple(tensor.shape)}"
        )
    if tensor.shape[0] % groups:
        raise ValueError(f"dirac_: {tensor.shape[0]} channels do not divide by groups={groups}")
    per_group = tensor.shape[0] // groups
    centre = tuple(n // 2 for n in tensor.shape[2:])
    with deeplite.no_grad():
        tensor.zero_()
        for g in range(groups):
            for d in range(min(per_group, tensor.shape[1])):
                place = (g * per_group + d, d, *centre)
                tensor[place] = 1
    return tensor


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many inputs feed one output, and how many outputs one input feeds."""
    if tensor.dim() < 2:
        raise ValueError(
            f"fan in and fan out need at least 2 dimensions, got shape {tuple(tensor.shape)}"
        )
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _fan(tensor: Tensor, mode: str) -> int:
    lowered = mode.lower()
    if lowered not in ("fan_in", "fan_out"):
        raise ValueError(f"mode {mode!r} is not supported, use 'fan_in' or 'fan_out'")
    return _calculate_fan_in_and_fan_out(tensor)[lowered == "fan_out"]


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """``U(-a, a)`` with ``a = gain * sqrt(6 / (fan_in + fan_out))`` (Glorot and Bengio, 2010).

    Raises:
        ValueError: fewer than 2 dimensions.

    Example:
        >>> w = nn.init.xavier_uniform_(deeplite.empty(3, 3))
        >>> bool((w.abs() <= 1).all())
        True
    """
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    bound = gain * math.sqrt(6.0 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """``N(0, gain^2 * 2 / (fan_in + fan_out))`` (Glorot and Bengio, 2010).

    Raises:
        ValueError: fewer than 2 dimensions.
    """
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / (fan_in + fan_out)), generator)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """``U(-b, b)`` with ``b = gain * sqrt(3 / fan)`` (He et al., 2015).

    Args:
        a: the slope of a following leaky ReLU.
        mode: "fan_in" keeps the variance of the forward pass, "fan_out" of the backward pass.
        nonlinearity: see :func:`calculate_gain`.

    Raises:
        ValueError: fewer than 2 dimensions, or an unknown mode.

    Example:
        >>> w = nn.init.kaiming_uniform_(deeplite.empty(4, 6), nonlinearity="relu")
        >>> bool((w.abs() <= 1).all())
        True
    """
    if 0 in tensor.shape:
        return tensor
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3.0 / _fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """``N(0, gain^2 / fan)`` (He et al., 2015). Arguments as for :func:`kaiming_uniform_`."""
    if 0 in tensor.shape:
        return tensor
    std = calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode))
    return normal_(tensor, 0.0, std, generator)


def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """A (semi-)orthogonal matrix times ``gain`` (Saxe et al., 2013); more dimensions than two
    count as one.

    Raises:
        ValueError: fewer than 2 dimensions.

    Example:
        >>> w = nn.init.orthogonal_(deeplite.empty(3, 3, dtype=deeplite.float64))
        >>> bool(((w @ w.t() - deeplite.eye(3, dtype=w.dtype)).abs() < 1e-12).all())
        True
    """
    if tensor.dim() < 2:
        raise ValueError(
            f"orthogonal_: expected at least 2 dimensions, got shape {tuple(tensor.shape)}"
        )
    if tensor.numel() == 0:
        return tensor
    import numpy as np

    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    draw = deeplite.empty((rows, columns), dtype=deeplite.float64)
    flat = normal_(draw, generator=generator).numpy()
    if rows < columns:
        flat = flat.T
    q, r = np.linalg.qr(flat)
    # With the signs of R's diagonal taken out, Q is uniform over all orthogonal matrices.
    diagonal = np.diag(r)
    q = q * np.where(diagonal < 0, -1.0, 1.0)
    if rows < columns:
        q = q.T
    with deeplite.no_grad():
        values = deeplite.tensor(np.ascontiguousarray(q) * gain).reshape(tensor.shape)
        return tensor.copy_(values)


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """``N(0, std^2)``, with a share ``sparsity`` of each column set to zero (Martens, 2010).

    Raises:
        ValueError: the tensor is not 2-d.

    Example:
        >>> w = nn.init.sparse_(deeplite.empty(10, 3), sparsity=0.2)
        >>> [int(n) for n in (w == 0).sum(0)]
        [2, 2, 2]
    """
    if tensor.dim() != 2:
        raise ValueError(f"sparse_: expected a 2-d tensor, got shape {tuple(tensor.shape)}")
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    with deeplite.no_grad():
        normal_(tensor, 0.0, std, generator)
        for column in range(columns):
            chosen = deeplite.randperm(rows, generator=generator)[:zeros]
            tensor[chosen, column] = 0
    return tensor


def reset_weight_and_bias(weight: Tensor, bias: Tensor | None) -> None:
    """The initial values of linear and convolution layers: both uniform in ``+-1/sqrt(fan_in)``."""
    # kaiming_uniform_ with slope sqrt(5): gain^2 * 3 / fan = 2 / 6 * 3 / fan = 1 / fan
    kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        fan_in, _ = _calculate_fan_in_and_fan_out(weight)
        bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0.0
        uniform_(bias, -bound, bound)
