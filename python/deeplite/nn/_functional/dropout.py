"""Dropout. ``p`` is the probability of dropping; outside [0, 1] it raises a ValueError. What is
kept is scaled by ``1 / (1 - p)``, so that the mean stays; without ``training`` nothing happens."""

from __future__ import annotations

import warnings

from deeplite import Tensor

from .._core import core


def _check(name: str, p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{name}: p must be between 0 and 1, got {p}")


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Sets single elements to zero with probability ``p`` (Hinton et al., 2012).

    Example:
        >>> F.dropout(deeplite.ones(3), 0.5, training=False)
        tensor([1., 1., 1.])
    """
    _check("dropout", p)
    return core.dropout(input, p, training, inplace)


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Dropout that keeps mean 0 and variance 1 behind SELU (Klambauer et al., 2017): dropped
    elements take SELU's saturation value, then everything is scaled and shifted.

    Example:
        >>> F.alpha_dropout(deeplite.ones(3))
        tensor([1., 1., 1.])
    """
    _check("alpha_dropout", p)
    return core.alpha_dropout(input, p, training, inplace)


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Sets whole channels to zero (Tompson et al., 2014).

    Shape: input ``[N, C, L]`` or ``[C, L]``.

    Raises:
        RuntimeError: any other rank.

    Example:
        >>> tuple(F.dropout1d(deeplite.ones(2, 3, 4)).shape)
        (2, 3, 4)
    """
    _check("dropout1d", p)
    if input.dim() not in (2, 3):
        raise RuntimeError(
            f"dropout1d: expected input [N, C, L] or [C, L], got shape {tuple(input.shape)}"
        )
    return core.dropout1d(input, p, training, inplace)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Sets whole channels to zero (Tompson et al., 2014).

    Shape: input ``[N, C, H, W]`` (a warning for others: dimension 1 counts as the channels).

    Example:
        >>> tuple(F.dropout2d(deeplite.ones(2, 3, 4, 4)).shape)
        (2, 3, 4, 4)
    """
    _check("dropout2d", p)
    if input.dim() not in (3, 4):
        warnings.warn(
            f"dropout2d: expected a 4-d input, got shape {tuple(input.shape)}", stacklevel=2
        )
    return core.dropout2d(input, p, training, inplace)


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Sets whole channels to zero (Tompson et al., 2014).

    Shape: input ``[N, C, D, H, W]`` or ``[C, D, H, W]``.

    Example:
        >>> tuple(F.dropout3d(deeplite.ones(2, 3, 4, 4, 4)).shape)
        (2, 3, 4, 4, 4)
    """
    _check("dropout3d", p)
    if input.dim() not in (4, 5):
        warnings.warn(
            f"dropout3d: expected a 5-d input, got shape {tuple(input.shape)}", stacklevel=2
        )
    return core.dropout3d(input, p, training, inplace)


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """:func:`alpha_dropout` of whole channels.

    Example:
        >>> tuple(F.feature_alpha_dropout(deeplite.ones(2, 3, 4), training=True).shape)
        (2, 3, 4)
    """
    _check("feature_alpha_dropout", p)
    return core.feature_alpha_dropout(input, p, training, inplace)
