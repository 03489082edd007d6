"""Which generator random transforms draw from.

Inside of a DataLoader each batch has its own, seeded by the pass and the number of the batch: the
same seed gives the same pictures, whatever the number of workers. Elsewhere it is the default one.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import deeplite

_local = threading.local()


def generator() -> Any:
    """The generator of the batch that this thread prepares, or the default one."""
    return getattr(_local, "generator", None) or deeplite.random.default_generator


@contextlib.contextmanager
def batch(seed: int, number: int) -> Iterator[None]:
    """What this thread draws inside belongs to batch ``number`` of the pass ``seed``."""
    before = getattr(_local, "generator", None)
    made = deeplite.Generator()
    # Odd multiplier (the golden ratio's bits): neighbouring passes do not share batches' seeds.
    made.manual_seed((seed + number * 0x9E3779B97F4A7C15) % 2**63)
    _local.generator = made
    try:
        yield
    finally:
        _local.generator = before


def uniform(low: float = 0.0, high: float = 1.0) -> float:
    """A number in [low, high)."""
    drawn = deeplite.rand(1, generator=generator(), dtype=deeplite.float64).item()
    return low + (high - low) * drawn


def integer(low: int, high: int) -> int:
    """A whole number in low .. high - 1."""
    return int(deeplite.randint(low, high, (1,), generator=generator()).item())


def permutation(n: int) -> list[int]:
    return deeplite.randperm(n, generator=generator()).tolist()


def normal(n: int, std: float = 1.0) -> list[float]:
    return (deeplite.randn(n, generator=generator(), dtype=deeplite.float64) * std).tolist()


def choice(weights: Sequence[float]) -> int:
    """An index, drawn in proportion to the weights."""
    point = uniform(0.0, math.fsum(weights))
    for i, weight in enumerate(weights):
        point -= weight
        if point < 0:
            return i
    return len(weights) - 1


def beta(alpha: float) -> float:
    """A draw from Beta(alpha, alpha)."""
    import numpy as np

    return float(np.random.default_rng(integer(0, 2**62)).beta(alpha, alpha))
