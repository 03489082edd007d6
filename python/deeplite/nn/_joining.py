"""Layers that are computed together with those that follow them: a convolution, a batch norm and an
activation write their result once instead of three times.

A class that can do so sets `_joins_next` and has `_joined`. Nothing is joined that a hook looks at,
nor what is not the plain layer of its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from deeplite import Tensor

from .activation import finish_of


class End(NamedTuple):
    """What follows the last of some layers: ``activation(y + residual)``, either perhaps None."""

    activation: Any
    residual: Tensor | None

    def __call__(self, y: Any) -> Any:
        y = y if self.residual is None else y + self.residual
        return y if self.activation is None else self.activation(y)


# A result, how many layers it is of, and whether the end is in it too.
Joined = tuple[Any, int, bool]


def run(layers: Sequence[Any], input: Any, end: End | None) -> Any:
    """The layers one after the other, and the end, joined where they can be."""
    i = 0
    while i < len(layers):
        layer = layers[i]
        joined = None
        if layer is not None and layer._joins_next:
            joined = layer._joined(layers, i, input, end)
        if joined is None:
            input = layer(input)
            i += 1
        else:
            input, used, ended = joined
            i += used
            end = None if ended else end
    return input if end is None else end(input)


def followers(
    layers: Sequence[Any], first: int, end: End | None
) -> tuple[Any, Tensor | None, int, bool]:
    """The activation that follows directly, the residual before it, how many layers that is, and
    whether it is the end."""
    if first == len(layers):
        return (None, None, 0, False) if end is None else (*end, 0, True)
    layer = layers[first]
    if layer is None or finish_of(layer) is None:
        return None, None, 0, False
    return layer, None, 1, False
