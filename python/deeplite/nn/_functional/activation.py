"""Activations. All of them work element by element, keep the shape and take any floating dtype;
a non-floating input raises a TypeError or RuntimeError that names the function."""

from __future__ import annotations

import warnings
from typing import Any

from deeplite import Tensor

from .._core import core


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``max(0, x)``.

    Example:
        >>> F.relu(deeplite.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """
    return core.relu_(input) if inplace else core.relu(input)


def relu_(input: Tensor) -> Tensor:
    """:func:`relu` in place."""
    return core.relu_(input)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(0, x), 6)``.

    Example:
        >>> F.relu6(deeplite.tensor([-1.0, 8.0]))
        tensor([0., 6.])
    """
    return core.hardtanh_(input, 0.0, 6.0) if inplace else core.relu6(input)


def hardtanh(
    input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Tensor:
    """``x`` clipped to ``[min_val, max_val]``.

    Raises:
        ValueError: ``min_val > max_val``.

    Example:
        >>> F.hardtanh(deeplite.tensor([-3.0, 0.5]))
        tensor([-1.0000,  0.5000])
    """
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val {min_val} is greater than max_val {max_val}")
    function = core.hardtanh_ if inplace else core.hardtanh
    return function(input, min_val, max_val)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """:func:`hardtanh` in place."""
    return hardtanh(input, min_val, max_val, True)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """``x`` where it is greater than ``threshold``, else ``value``.

    Example:
        >>> F.threshold(deeplite.tensor([0.0, 2.0]), 1.0, 9.0)
        tensor([9., 2.])
    """
    function = core.threshold_ if inplace else core.threshold
    return function(input, threshold, value)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """:func:`threshold` in place."""
    return core.threshold_(input, threshold, value)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``x`` if ``x > 0`` else ``alpha * (exp(x) - 1)`` (Clevert et al., 2015).

    Example:
        >>> F.elu(deeplite.tensor([-1.0, 1.0]))
        tensor([-0.6321,  1.0000])
    """
    return core.elu_(input, alpha) if inplace else core.elu(input, alpha)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """:func:`elu` in place."""
    return core.elu_(input, alpha)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """``scale * (max(0, x) + min(0, alpha * (exp(x) - 1)))`` with the constants that keep mean 0
    and variance 1 (Klambauer et al., 2017).

    Example:
        >>> F.selu(deeplite.tensor([-1.0, 1.0]))
        tensor([-1.1113,  1.0507])
    """
    return core.selu_(input) if inplace else core.selu(input)


def selu_(input: Tensor) -> Tensor:
    """:func:`selu` in place."""
    return core.selu_(input)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``max(0, x) + min(0, alpha * (exp(x / alpha) - 1))`` (Barron, 2017).

    Raises:
        RuntimeError: ``alpha`` is 0.

    Example:
        >>> F.celu(deeplite.tensor([-1.0, 1.0]), 2.0)
        tensor([-0.7869,  1.0000])
    """
    return core.celu_(input, alpha) if inplace else core.celu(input, alpha)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """:func:`celu` in place."""
    return core.celu_(input, alpha)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """``x`` if ``x > 0`` else ``negative_slope * x``.

    Example:
        >>> F.leaky_relu(deeplite.tensor([-1.0, 1.0]), 0.1)
        tensor([-0.1000,  1.0000])
    """
    function = core.leaky_relu_ if inplace else core.leaky_relu
    return function(input, negative_slope)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """:func:`leaky_relu` in place."""
    return core.leaky_relu_(input, negative_slope)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """``x`` if ``x > 0`` else ``weight * x``, with a learnt slope for all channels or for each.

    Shape: input ``[N, C, *]`` (or 1-d, 0-d), weight ``[1]``, ``[C]`` or ``[]``.

    Raises:
        ValueError: the number of slopes is neither 1 nor the number of channels.

    Example:
        >>> F.prelu(deeplite.tensor([-1.0, 1.0]), deeplite.tensor([0.5]))
        tensor([-0.5000,  1.0000])
    """
    return core.prelu(input, weight)


def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """Leaky ReLU whose slope is drawn from ``U(lower, upper)`` for each element in training, and
    is their mean otherwise (Xu et al., 2015).

    Example:
        >>> F.rrelu(deeplite.tensor([-1.0, 1.0]), 0.25, 0.75)
        tensor([-0.5000,  1.0000])
    """
    return core.rrelu(input, lower, upper, training, inplace)


def rrelu_(
    input: Tensor, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False
) -> Tensor:
    """:func:`rrelu` in place."""
    return core.rrelu(input, lower, upper, training, True)


def gelu(input: Tensor, approximate: str = "none") -> Tensor:
    """``x * Phi(x)`` with the normal distribution function ``Phi`` (Hendrycks and Gimpel, 2016).

    With ``approximate="tanh"``: ``0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))``.

    Raises:
        ValueError: ``approximate`` is neither "none" nor "tanh".

    Example:
        >>> F.gelu(deeplite.tensor([-1.0, 1.0]))
        tensor([-0.1587,  0.8413])
    """
    return core.gelu(input, approximate=approximate)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * sigmoid(x)``, also called swish (Elfwing et al., 2017).

    Example:
        >>> F.silu(deeplite.tensor([-1.0, 1.0]))
        tensor([-0.2689,  0.7311])
    """
    return core.silu_(input) if inplace else core.silu(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * tanh(softplus(x))`` (Misra, 2019).

    Example:
        >>> F.mish(deeplite.tensor([-1.0, 1.0]))
        tensor([-0.3034,  0.8651])
    """
    return core.mish_(input) if inplace else core.mish(input)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``x * relu6(x + 3) / 6`` (Howard et al., 2019).

    Example:
        >>> F.hardswish(deeplite.tensor([1.5, 4.0]))
        tensor([1.1250, 4.0000])
    """
    return core.hardswish_(input) if inplace else core.hardswish(input)


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``relu6(x + 3) / 6``.

    Example:
        >>> F.hardsigmoid(deeplite.tensor([-4.0, 0.0]))
        tensor([0.0000, 0.5000])
    """
    return core.hardsigmoid_(input) if inplace else core.hardsigmoid(input)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``x`` where ``|x| > lambd``, else 0.

    Example:
        >>> F.hardshrink(deeplite.tensor([0.3, 1.0]))
        tensor([0., 1.])
    """
    return core.hardshrink(input, lambd)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``x`` moved towards 0 by ``lambd``, and 0 where ``|x| <= lambd``.

    Raises:
        RuntimeError: ``lambd`` is negative.

    Example:
        >>> F.softshrink(deeplite.tensor([0.3, 1.0]))
        tensor([0.0000, 0.5000])
    """
    return core.softshrink(input, lambd)


def tanhshrink(input: Tensor) -> Tensor:
    """``x - tanh(x)``.

    Example:
        >>> F.tanhshrink(deeplite.tensor([1.0]))
        tensor([0.2384])
    """
    return input - input.tanh()


def softplus(input: Tensor, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """``log(1 + exp(beta * x)) / beta``; ``x`` itself where ``beta * x > threshold``.

    Example:
        >>> F.softplus(deeplite.tensor([0.0]))
        tensor([0.6931])
    """
    return core.softplus(input, beta, threshold)


def softsign(input: Tensor) -> Tensor:
    """``x / (1 + |x|)``.

    Example:
        >>> F.softsign(deeplite.tensor([1.0, -3.0]))
        tensor([ 0.5000, -0.7500])
    """
    return input / (input.abs() + 1)


def logsigmoid(input: Tensor) -> Tensor:
    """``log(sigmoid(x))``, computed so that large negative ``x`` do not overflow.

    Example:
        >>> F.logsigmoid(deeplite.tensor([0.0]))
        tensor([-0.6931])
    """
    return core.logsigmoid(input)


def sigmoid(input: Tensor) -> Tensor:
    """``1 / (1 + exp(-x))``.

    Example:
        >>> F.sigmoid(deeplite.tensor([0.0]))
        tensor([0.5000])
    """
    return input.sigmoid()


def tanh(input: Tensor) -> Tensor:
    """The hyperbolic tangent.

    Example:
        >>> F.tanh(deeplite.tensor([1.0]))
        tensor([0.7616])
    """
    return input.tanh()


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """``a * sigmoid(b)`` for the two halves ``a, b`` along ``dim`` (Dauphin et al., 2016).

    Raises:
        RuntimeError: the size of ``dim`` is odd.

    Example:
        >>> F.glu(deeplite.tensor([2.0, 0.0]))
        tensor([1.])
    """
    return core.glu(input, dim)


def _softmax_dim(name: str, dim: int | None, ndim: int, stacklevel: int) -> int:
    if dim is not None:
        return dim
    warnings.warn(
        f"{name}: the dimension is guessed from the rank, which is deprecated; pass dim=",
        stacklevel=stacklevel,
    )
    return 0 if ndim in (0, 1, 3) else 1


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """``exp(x_i) / sum_j exp(x_j)`` along ``dim``, safe for large values.

    Args:
        input: any shape.
        dim: the dimension whose entries sum to 1.
        dtype: converts the input first, to avoid overflow of narrow dtypes.

    Raises:
        IndexError: ``dim`` is out of range.

    Example:
        >>> F.softmax(deeplite.tensor([0.0, 0.0]), dim=0)
        tensor([0.5000, 0.5000])
    """
    dim = _softmax_dim("softmax", dim, input.dim(), _stacklevel)
    return core.softmax(input, dim, dtype=dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """``log(softmax(x))`` along ``dim``, in one stable step. Arguments as for :func:`softmax`.

    Example:
        >>> F.log_softmax(deeplite.tensor([0.0, 0.0]), dim=0)
        tensor([-0.6931, -0.6931])
    """
    dim = _softmax_dim("log_softmax", dim, input.dim(), _stacklevel)
    return core.log_softmax(input, dim, dtype=dtype)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Tensor:
    """``softmax(-x)`` along ``dim``. Arguments as for :func:`softmax`.

    Example:
        >>> F.softmin(deeplite.tensor([1.0, 1.0]), dim=0)
        tensor([0.5000, 0.5000])
    """
    dim = _softmax_dim("softmin", dim, input.dim(), _stacklevel)
    return core.softmax(-input, dim, dtype=dtype)


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """A differentiable sample from the categorical distribution of ``logits``
    (Jang et al., 2016; Maddison et al., 2016).

    Args:
        logits: unnormalised log-probabilities, any shape.
        tau: temperature, positive; small values come close to one-hot.
        hard: return one-hot samples, with the gradients of the soft ones.
        eps: not used; kept for torch's signature.
        dim: the dimension of the classes.

    Example:
        >>> y = F.gumbel_softmax(deeplite.zeros(3, 5), hard=True)
        >>> tuple(y.shape), float(y.sum())
        ((3, 5), 3.0)
    """
    return core.gumbel_softmax(logits, tau, hard, eps, dim)
