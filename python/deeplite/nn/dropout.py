"""Dropout layers: active in training mode, the identity in evaluation mode."""

from __future__ import annotations

from typing import Any

from deeplite import Tensor

from . import functional as F
from .module import Module

__all__ = [
    "AlphaDropout",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Dropout3d",
    "FeatureAlphaDropout",
]


class _Dropout(Module):
    _function: Any

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"{type(self).__name__}: p must be between 0 and 1, got {p}")
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return self._function(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Sets single elements to zero with probability ``p`` and scales the others by
    ``1 / (1 - p)`` (Hinton et al., 2012).

    Raises:
        ValueError: ``p`` is not in [0, 1].

    Example:
        >>> nn.Dropout(0.5).eval()(deeplite.ones(3))
        tensor([1., 1., 1.])
    """

    _function = staticmethod(F.dropout)


class Dropout1d(_Dropout):
    """Sets whole channels of ``[N, C, L]`` or ``[C, L]`` to zero (Tompson et al., 2014)."""

    _function = staticmethod(F.dropout1d)


class Dropout2d(_Dropout):
    """Sets whole channels of ``[N, C, H, W]`` to zero (Tompson et al., 2014).

    Example:
        >>> tuple(nn.Dropout2d()(deeplite.ones(2, 3, 4, 4)).shape)
        (2, 3, 4, 4)
    """

    _function = staticmethod(F.dropout2d)


class Dropout3d(_Dropout):
    """Sets whole channels of ``[N, C, D, H, W]`` or ``[C, D, H, W]`` to zero."""

    _function = staticmethod(F.dropout3d)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean 0 and variance 1 behind SELU (Klambauer et al., 2017).

    Example:
        >>> tuple(nn.AlphaDropout()(deeplite.ones(5)).shape)
        (5,)
    """

    _function = staticmethod(F.alpha_dropout)


class FeatureAlphaDropout(_Dropout):
    """:class:`AlphaDropout` of whole channels."""

    _function = staticmethod(F.feature_alpha_dropout)
