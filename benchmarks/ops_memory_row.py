"""A row of the tables of memory-bound ops, and the tensors it takes.

A row makes a call without arguments out of a library (deeplite or torch, they share the names)
and its inputs; a runner times that call, and the gradient of its result where `backward` is set,
on both sides. `moved` is the least number of bytes the forward call reads and writes, so that
moved / time can be held against the bandwidth of a copy; 0 where that says nothing.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

SIZES = {"4": 4, "1k": 1024, "64k": 1 << 16, "1M": 1 << 20, "16M": 1 << 24}
ITEM = {
    "float32": 4,
    "float64": 8,
    "bfloat16": 2,
    "float16": 2,
    "int64": 8,
    "int32": 4,
    "uint8": 1,
    "bool": 1,
}


@dataclasses.dataclass(frozen=True)
class Input:
    """A tensor: uniform over [low, high), made contiguous in `shape`, then permuted by `order` and
    cut by `step` (a step per dimension) if these are given."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    low: float = -2.0
    high: float = 2.0
    order: tuple[int, ...] | None = None
    step: tuple[int, ...] | None = None
    grad: bool = True

    def bytes(self) -> int:
        return math.prod(self.shape) * ITEM[self.dtype]


@dataclasses.dataclass(frozen=True)
class Row:
    family: str  # the kernels' family: elementwise, norm, pool, ...
    name: str
    make: Callable[..., Callable[[], Any]]  # (library, *inputs) -> the call
    inputs: tuple[Input, ...]
    moved: int = 0
    backward: bool = False
    check: bool = True  # whether the results can be compared (not: random numbers, moving state)


def call_of(function: Callable[..., Any]) -> Callable[..., Callable[[], Any]]:
    """(library, *inputs) -> result, as a row's `make`."""
    return lambda lib, *x: lambda: function(lib, *x)


def shape_text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def index_input(shape: tuple[int, ...], high: int) -> Input:
    return Input(shape, "int64", 0, high, grad=False)
