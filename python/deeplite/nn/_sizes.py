"""Sizes given as one number or as one for each dimension."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def ntuple(value: Any, n: int) -> tuple[Any, ...]:
    """``value`` n times, or as it is when it is a sequence already."""
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return tuple(value)
    return (value,) * n


def positive(layer: str, **sizes: Any) -> None:
    """Raises a ValueError that names the layer and argument unless all numbers are positive."""
    for name, value in sizes.items():
        for number in ntuple(value, 1):
            if number is not None and number <= 0:
                raise ValueError(f"{layer}: {name} must be positive, got {value}")
