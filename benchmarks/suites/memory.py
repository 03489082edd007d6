"""Memory-bound operators: norms, pooling, softmax, reductions, indexing, losses, optimizers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import ops_memory
from benchmarks.library import Library
from benchmarks.runner import time_all
from benchmarks.suites.gradient import backward_of
from benchmarks.work import Call, Make, Options, Work


def numbers(wanted: ops_memory.Input, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if wanted.dtype == "bool":
        return rng.integers(0, 2, wanted.shape).astype(bool)
    if wanted.dtype.startswith("int"):
        return rng.integers(int(wanted.low), int(wanted.high), wanted.shape).astype(wanted.dtype)
    return rng.uniform(wanted.low, wanted.high, wanted.shape).astype(np.float32)


def tensor(library: Library, wanted: ops_memory.Input, seed: int, grad: bool) -> Any:
    dtype = wanted.dtype if wanted.dtype not in {"float32", "int64", "int32", "bool"} else None
    t = library.tensor(numbers(wanted, seed), dtype)
    if wanted.order is not None:
        t = t.permute(wanted.order)
    if wanted.step is not None:
        t = t[tuple(slice(None, None, s) for s in wanted.step)]
    return t.requires_grad_() if grad and wanted.grad and t.is_floating_point() else t


def maker(row: ops_memory.Row, backward: bool) -> Make:
    def make(library: Library) -> Call:
        inputs = [tensor(library, x, i, backward) for i, x in enumerate(row.inputs)]
        call = row.make(library.module, *inputs)
        if not backward:
            return call
        return backward_of(library, call(), [x for x in inputs if x.requires_grad])

    return make


def works_of(families: set[str]) -> list[Work]:
    """The rows of `ops_memory` of some families; a row with a backward pass gives two works."""
    found = []
    for row in ops_memory.rows():
        if row.family not in families:
            continue
        # Sums run over no more elements than the largest input has.
        sizes = [int(np.prod(x.shape)) for x in row.inputs]
        terms = max(sizes, default=1) if row.check else 0
        moved = float(row.moved) or None
        forward = Work(row.name, row.family, maker(row, False), traffic=moved, terms=terms)
        found.append(forward)
        if row.backward:
            name, group = f"{row.name}, backward", f"{row.family}, backward"
            found.append(Work(name, group, maker(row, True), terms=terms))
    return found


def works(options: Options) -> list[Work]:
    elsewhere = {"elementwise", "small"}  # suites of their own: elementwise, overhead
    return works_of({row.family for row in ops_memory.rows()} - elsewhere)


def rows(options: Options) -> Iterator[dict[str, Any]]:
    return time_all(works(options), options)
