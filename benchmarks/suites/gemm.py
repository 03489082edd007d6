"""Matrix products: squares, skinny and tall shapes, transposes, layers of networks."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.library import Library
from benchmarks.runner import time_all
from benchmarks.shapes_gemm import SHAPES, Gemm
from benchmarks.work import Call, Options, Work

ITEM = {"float32": 4, "float64": 8, "bfloat16": 2}


def make(shape: Gemm, library: Library) -> Call:
    lead = (shape.batch,) if shape.call == "bmm" else ()
    dtype = None if shape.dtype == "float32" else shape.dtype

    def operand(rows: int, columns: int, layout: str, seed: int) -> Any:
        lies = (*lead, columns, rows) if layout == "T" else (*lead, rows, columns)
        data = np.random.default_rng(seed).standard_normal(lies).astype(np.float32)
        t = library.tensor(data, dtype)
        return t.transpose(-1, -2) if layout == "T" else t

    a = operand(shape.m, shape.k, shape.layout[0], 1)
    b = operand(shape.k, shape.n, shape.layout[1], 2)
    bias = library.tensor(np.linspace(-1, 1, shape.n, dtype=np.float32), dtype)
    if shape.call == "linear":
        linear, weight = library.functional.linear, b.t()  # [n, k]
        return lambda: linear(a, weight, bias)
    if shape.call == "addmm":
        addmm = library.module.addmm
        return lambda: addmm(bias, a, b)
    product = getattr(library.module, shape.call)
    return lambda: product(a, b)


def work(shape: Gemm) -> Work:
    m, n, k = shape.m, shape.n, shape.k
    return Work(
        shape.name,
        shape.group,
        partial(make, shape),
        flops=float(shape.flops),
        traffic=float(ITEM[shape.dtype] * shape.batch * (m * k + k * n + m * n)),
        terms=k,
    )


def square(n: int) -> Work:
    """A square product, for suites that want one for comparison."""
    return work(Gemm(f"gemm {n}", "gemm", n, n, n))


def works(options: Options) -> list[Work]:
    return [work(shape) for shape in SHAPES]


def rows(options: Options) -> Iterator[dict[str, Any]]:
    return time_all(works(options), options)
