"""What the memory-bound kernels are timed on: one row per op and shape, as plain data.

`rows()` gives them all. A row makes a call without arguments out of a library (deeplite or torch,
they share the names) and its inputs; see `Row`. Nothing here imports either library.
"""

from __future__ import annotations

from benchmarks import ops_memory_layers as layers
from benchmarks import ops_memory_maps as maps
from benchmarks.ops_memory_row import Input, Row

__all__ = ["Input", "Row", "rows"]


def rows() -> list[Row]:
    parts = (
        maps.unary,
        maps.binary,
        maps.copies,
        maps.reductions,
        layers.norms,
        layers.softmaxes,
        layers.pools,
        layers.indexing,
        layers.losses,
        layers.randoms,
        layers.optimizers,
        layers.small,
    )
    return [row for part in parts for row in part()]
