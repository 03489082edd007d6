"""Activation layers: the functions of deeplite.nn.functional as modules."""

from __future__ import annotations

import math
from typing import Any

import deeplite
from deeplite import Tensor

from . import functional as F
from . import init as initialise
from .module import Module
from .parameter import Parameter

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "Hardshrink",
    "Hardsigmoid",
    "Hardswish",
    "Hardtanh",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "RReLU",
    "ReLU",
    "ReLU6",
    "SELU",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmax2d",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Tanh",
    "Tanhshrink",
    "Threshold",
]


class _Inplace(Module):
    """An activation without other settings than ``inplace``."""

    _function: Any

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return self._function(input, inplace=self.inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class _Plain(Module):
    """An activation without settings."""

    _function: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return self._function(input)


class ReLU(_Inplace):
    """``max(0, x)``.

    Example:
        >>> nn.ReLU()(deeplite.tensor([-1.0, 2.0]))
        tensor([0., 2.])
    """

    _function = staticmethod(F.relu)


class SELU(_Inplace):
    """See :func:`deeplite.nn.functional.selu`."""

    _function = staticmethod(F.selu)


class SiLU(_Inplace):
    """``x * sigmoid(x)``, also called swish."""

    _function = staticmethod(F.silu)


class Mish(_Inplace):
    """``x * tanh(softplus(x))``."""

    _function = staticmethod(F.mish)


class Hardswish(Module):
    """``x * relu6(x + 3) / 6``."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.hardswish(input, self.inplace)


class Hardsigmoid(Module):
    """``relu6(x + 3) / 6``."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.hardsigmoid(input, self.inplace)


class Sigmoid(_Plain):
    """``1 / (1 + exp(-x))``.

    Example:
        >>> nn.Sigmoid()(deeplite.tensor([0.0]))
        tensor([0.5000])
    """

    _function = staticmethod(F.sigmoid)


class Tanh(_Plain):
    """The hyperbolic tangent."""

    _function = staticmethod(F.tanh)


class LogSigmoid(_Plain):
    """``log(sigmoid(x))`` without overflow."""

    _function = staticmethod(F.logsigmoid)


class Softsign(_Plain):
    """``x / (1 + |x|)``."""

    _function = staticmethod(F.softsign)


class Tanhshrink(_Plain):
    """``x - tanh(x)``."""

    _function = staticmethod(F.tanhshrink)


class Hardtanh(Module):
    """``x`` clipped to ``[min_val, max_val]``.

    Raises:
        ValueError: ``max_val`` is not above ``min_val``.

    Example:
        >>> nn.Hardtanh(-2, 2)(deeplite.tensor([-3.0, 1.0]))
        tensor([-2.,  1.])
    """

    def __init__(
        self,
        min_val: float = -1.0,
        max_val: float = 1.0,
        inplace: bool = False,
        min_value: float | None = None,
        max_value: float | None = None,
    ) -> None:
        super().__init__()
        self.min_val = min_val if min_value is None else min_value
        self.max_val = max_val if max_value is None else max_value
        self.inplace = inplace
        if not self.max_val > self.min_val:
            raise ValueError(
                f"{type(self).__name__}: max_val must be above min_val, "
                f"got {self.max_val} and {self.min_val}"
            )

    def forward(self, input: Tensor) -> Tensor:
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        inplace = ", inplace=True" if self.inplace else ""
        return f"min_val={self.min_val}, max_val={self.max_val}{inplace}"


class ReLU6(Hardtanh):
    """``min(max(0, x), 6)``."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__(0.0, 6.0, inplace)

    def extra_repr(self) -> str:
        return "inplace=True" if self.inplace else ""


class Threshold(Module):
    """``x`` where it is greater than ``threshold``, else ``value``."""

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__()
        self.threshold = threshold
        self.value = value
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        inplace = ", inplace=True" if self.inplace else ""
        return f"threshold={self.threshold}, value={self.value}{inplace}"


class _Alpha(Module):
    _function: Any

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__()
        self.alpha = alpha
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return self._function(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class ELU(_Alpha):
    """``x`` if ``x > 0`` else ``alpha * (exp(x) - 1)``."""

    _function = staticmethod(F.elu)


class CELU(_Alpha):
    """``max(0, x) + min(0, alpha * (exp(x / alpha) - 1))``."""

    _function = staticmethod(F.celu)


class LeakyReLU(Module):
    """``x`` if ``x > 0`` else ``negative_slope * x``.

    Example:
        >>> nn.LeakyReLU(0.5)(deeplite.tensor([-1.0, 1.0]))
        tensor([-0.5000,  1.0000])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        inplace = ", inplace=True" if self.inplace else ""
        return f"negative_slope={self.negative_slope}{inplace}"


class PReLU(Module):
    """Leaky ReLU with learnt slopes, one for all channels or one for each.

    Args:
        num_parameters: 1, or the number of channels.
        init: the slope to begin with.

    Example:
        >>> nn.PReLU()(deeplite.tensor([-1.0, 1.0])).detach()
        tensor([-0.2500,  1.0000])
    """

    def __init__(
        self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(deeplite.empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets all slopes to ``init``."""
        initialise.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class RReLU(Module):
    """Leaky ReLU whose slopes are random in training; see
    :func:`deeplite.nn.functional.rrelu`."""

    def __init__(
        self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False
    ) -> None:
        super().__init__()
        self.lower = lower
        self.upper = upper
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        inplace = ", inplace=True" if self.inplace else ""
        return f"lower={self.lower}, upper={self.upper}{inplace}"


class GELU(Module):
    """``x * Phi(x)`` with the normal distribution function, or its tanh approximation.

    Example:
        >>> nn.GELU()(deeplite.tensor([-1.0, 1.0]))
        tensor([-0.1587,  0.8413])
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class Softplus(Module):
    """``log(1 + exp(beta * x)) / beta``; ``x`` itself where ``beta * x > threshold``."""

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class _Shrink(Module):
    _function: Any

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Tensor) -> Tensor:
        return self._function(input, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardshrink(_Shrink):
    """``x`` where ``|x| > lambd``, else 0."""

    _function = staticmethod(F.hardshrink)


class Softshrink(_Shrink):
    """``x`` moved towards 0 by ``lambd``, and 0 where ``|x| <= lambd``."""

    _function = staticmethod(F.softshrink)


class GLU(Module):
    """``a * sigmoid(b)`` for the two halves ``a, b`` along ``dim``.

    Example:
        >>> nn.GLU()(deeplite.tensor([2.0, 0.0]))
        tensor([1.])
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class _OverDim(Module):
    _function: Any

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Tensor) -> Tensor:
        return self._function(input, self.dim, _stacklevel=5)


class Softmax(_OverDim):
    """``exp(x_i) / sum_j exp(x_j)`` along ``dim``.

    Example:
        >>> nn.Softmax(dim=0)(deeplite.tensor([0.0, 0.0]))
        tensor([0.5000, 0.5000])
    """

    _function = staticmethod(F.softmax)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class LogSoftmax(_OverDim):
    """``log(softmax(x))`` along ``dim``, in one stable step."""

    _function = staticmethod(F.log_softmax)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmin(_OverDim):
    """``softmax(-x)`` along ``dim``."""

    _function = staticmethod(F.softmin)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class Softmax2d(Module):
    """Softmax over the channels of ``[N, C, H, W]`` or ``[C, H, W]``.

    Raises:
        ValueError: another rank.

    Example:
        >>> float(nn.Softmax2d()(deeplite.zeros(1, 4, 1, 1))[0, 0, 0, 0])
        0.25
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.dim() not in (3, 4):
            raise ValueError(
                f"Softmax2d: expected input [N, C, H, W] or [C, H, W], "
                f"got shape {tuple(input.shape)}"
            )
        return F.softmax(input, -3)


# --- activations that other layers take over ----------------------------------------------------

# Layers and functions, by what F.fused_conv calls them; a layer's bounds are looked up.
_NAMES: dict[Any, str] = {
    ReLU: "relu",
    ReLU6: "hardtanh",
    Hardtanh: "hardtanh",
    Sigmoid: "sigmoid",
    Tanh: "tanh",
    SiLU: "silu",
    GELU: "gelu",
    Hardswish: "hardswish",
    Hardsigmoid: "hardsigmoid",
    F.relu: "relu",
    F.relu6: "relu6",
    F.silu: "silu",
    F.hardswish: "hardswish",
}
Finish = tuple[str, float, float]


def finish_of(activation: Any) -> Finish | None:
    """``activation``, min_val and max_val of :func:`deeplite.nn.functional.fused_conv` for a layer,
    a function or None; None if that is not all that a call of it does."""
    if activation is None:
        return "none", -1.0, 1.0
    if not isinstance(activation, Module):
        name = _NAMES.get(activation)
        return None if name is None else (name, -1.0, 1.0)
    kind: Any = type(activation)
    if kind not in _NAMES:  # a subclass that may have changed nothing
        kind = next((k for k in kind.__mro__ if k in _NAMES), None)
    if kind is None or not activation._is_plain(kind.forward):
        return None
    name = _NAMES[kind]
    if name == "hardtanh":
        return name, activation.min_val, activation.max_val
    if name == "gelu" and activation.approximate != "none":
        name = "gelu_tanh"
    return name, -1.0, 1.0


def cut_of(activation: Any) -> tuple[float, float | None] | None:
    """The bounds to which a layer, a function or None cuts its input, (0, None) for ReLU; None if
    that is not all it does when called."""
    finish = finish_of(activation)
    if finish is None:
        return None
    name, low, high = finish
    if name == "hardtanh":
        return low, high
    return {"none": (-math.inf, None), "relu": (0.0, None), "relu6": (0.0, 6.0)}.get(name)
