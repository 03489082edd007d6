"""Pooling: maximum, average, adaptive, fractional, power mean, and unpooling."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from op_cases import Error, OpCase, Sample, Spec, make, values

F = "nn.functional."
SIZES = {1: (11,), 2: (8, 9), 3: (5, 6, 7)}


def window_terms(sample: Sample) -> int:
    return 64


def distinct(*shape: int, **options: Any) -> Spec:
    return make(shape, distinct=True, **options)


def max_pools(n: int) -> Callable[[], Iterator[Sample]]:
    def samples() -> Iterator[Sample]:
        size = SIZES[n]
        x = distinct(2, 3, *size)
        yield Sample(x, 2)
        yield Sample(x, 3, 2, 1)
        yield Sample(x, (3, 2, 2)[:n], (2, 1, 3)[:n], (1, 0, 1)[:n])
        yield Sample(x, 2, stride=1, dilation=2)
        yield Sample(x, kernel_size=2, stride=3, padding=1, dilation=2, ceil_mode=True)
        yield Sample(x, 3, 2, ceil_mode=True)
        yield Sample(distinct(3, *size), 2)  # unbatched
        yield Sample(distinct(0, 3, *size), 2)  # empty batch
        yield Sample(x, size)  # one window
        yield Sample(make((1, 2, *size), low=0, high=3), 3, 1, 1)  # ties in low precision
        if n == 2:  # several vectors a row, some of them with a NaN or both infinities
            odd = np.random.default_rng(3).standard_normal((1, 2, 7, 150))
            odd[0, 0, 3, [5, 90]] = odd[0, 1, 0, 149] = np.nan
            odd[0, 1, 5, 40:42], odd[0, 1, 4, 43] = np.inf, -np.inf
            for window in ((2,), (3, 2), (3, 2, 1), (3, 1, 1), ((2, 5), (1, 4))):
                yield Sample(values(odd.tolist(), grad=False), *window)

    return samples


def with_indices(n: int) -> Callable[[], Iterator[Sample]]:
    def samples() -> Iterator[Sample]:
        for sample in max_pools(n)():
            yield Sample(*sample.args, **sample.kwargs, return_indices=True)
        if n == 2:  # ties: the first; NaN: the last
            ties = [[1.0, 1, 0, 0], [1, 1, 0, 2], [np.nan, 3, 0, 0], [4, np.nan, -np.inf, 0]]
            yield Sample(values([[ties]], grad=False), 2, return_indices=True)
            yield Sample(values([[ties]], grad=False), 3, 1, 1, return_indices=True)
            inf = np.full((1, 1, 3, 3), -np.inf).tolist()
            yield Sample(values(inf, grad=False), 2, 1, 1, return_indices=True)

    return samples


def integer_pools() -> Iterator[Sample]:
    yield Sample(make((2, 3, 7, 8)), 2)
    yield Sample(make((2, 3, 7, 8)), 3, 2, 1)


def avg_pools(n: int) -> Callable[[], Iterator[Sample]]:
    def samples() -> Iterator[Sample]:
        size = SIZES[n]
        x = make((2, 3, *size))
        yield Sample(x, 2)
        yield Sample(x, 3, 2, 1)
        yield Sample(x, 3, 2, 1, count_include_pad=False)
        yield Sample(x, 3, 1, 1)
        yield Sample(x, (3, 2, 2)[:n], (2, 1, 3)[:n], (1, 0, 1)[:n], ceil_mode=True)
        yield Sample(x, 4, stride=3, padding=2, ceil_mode=True, count_include_pad=False)
        yield Sample(make((3, *size)), 2)  # unbatched
        yield Sample(make((0, 3, *size)), 2)  # empty batch
        yield Sample(x, size)  # one window
        yield Sample(make((2, 3, *size), layout="transposed"), 2, 1)
        if n > 1:
            yield Sample(x, 3, 2, 1, divisor_override=2)
            yield Sample(x, 3, 2, divisor_override=-5)

    return samples


def adaptive_pools(n: int, kind: str) -> Callable[[], Iterator[Sample]]:
    def samples() -> Iterator[Sample]:
        size = SIZES[n]
        x = distinct(2, 3, *size)
        yield Sample(x, 3 if n == 1 else (3, 4, 2)[:n])
        yield Sample(x, 1)
        yield Sample(x, 5)  # overlapping windows
        yield Sample(x, size if n > 1 else size[0])
        yield Sample(distinct(2, 2, *((12, 8, 6)[:n])), 4 if n == 1 else (4, 2, 3)[:n])  # even ones
        yield Sample(x, 20)  # larger than the input
        yield Sample(distinct(3, *size), 2)  # unbatched
        yield Sample(distinct(0, 3, *size), 2)  # empty batch
        if n > 1:
            yield Sample(x, (None, 2, 3)[:n])
            yield Sample(x, (2,) * (n - 1) + (None,))
        if kind == "max":
            yield Sample(x, 3, return_indices=True)

    return samples


def window_errors(n: int, kind: str) -> Callable[[], Iterator[Error]]:
    def errors() -> Iterator[Error]:
        size = SIZES[n]
        x = make((2, 3, *size))
        yield Error("ShapeError", "kernel spans", x, 20)
        yield Error("ShapeError", "non-positive kernel_size", x, 0)
        yield Error("ShapeError", "non-positive stride", x, 2, 0)
        yield Error("ShapeError", "negative padding", x, 2, 1, -1)
        yield Error("ShapeError", "at most half", x, 3, 1, 2)
        yield Error("ShapeError", "kernel_size to be one number", x, (2,) * (n + 1))
        yield Error("ShapeError", "too large", x, 2**40)
        yield Error("ShapeError", "expected input", make(size), 2)
        yield Error("ShapeError", "expected input", make((1, 2, 3, *size)), 2)
        yield Error("ShapeError", "is empty", make((2, 0, *size)), 2)
        yield Error("ShapeError", "is empty", make((2, 3, 0, *size[1:])), 2)
        yield Error("TypeError", "avg_pool|max_pool", None, 2)
        if kind == "avg":
            yield Error("TypeError", "floating", make((2, 3, *size), "int64"), 2)
            if n > 1:
                yield Error("ValueError", "must not be zero", x, 2, divisor_override=0)
        else:
            yield Error("ShapeError", "non-positive dilation", x, 2, 1, 0, 0)
            yield Error("TypeError", "numeric", make((2, 3, *size), "bool"), 2)

    return errors


def adaptive_errors(n: int) -> Callable[[], Iterator[Error]]:
    def errors() -> Iterator[Error]:
        x = make((2, 3, *SIZES[n]))
        yield Error("ShapeError", "negative output_size", x, -1)
        yield Error("ShapeError", "output_size", x, (2,) * (n + 1))
        yield Error("ShapeError", "expected input", make(SIZES[n]), 2)
        yield Error("ShapeError", "is empty", make((2, 3, 0, *SIZES[n][1:])), 2)

    return errors


def unpools(n: int) -> Callable[[], Iterator[Sample]]:
    def samples() -> Iterator[Sample]:
        planes = [[0, 3, 5, 6], [1, 2, 7, 4]] if n == 1 else [[0, 5, 14, 9], [3, 2, 12, 15]]
        shape = {1: (1, 2, 4), 2: (1, 2, 2, 2), 3: (1, 2, 1, 2, 2)}[n]
        where = values(np.reshape(planes, shape).tolist(), "int64")
        size = {1: (9,), 2: (5, 4), 3: (2, 5, 4)}[n]
        yield Sample(make(shape), where, 2, 2)
        yield Sample(make(shape), where, 2, 2, output_size=size)
        yield Sample(make(shape[1:]), values(np.reshape(planes, shape[1:]).tolist(), "int64"), 2)
        yield Sample(make(shape), where, kernel_size=4, stride=2, padding=0)

    return samples


def unpool_errors(n: int) -> Callable[[], Iterator[Error]]:
    def errors() -> Iterator[Error]:
        shape = (1, 2, *((2,) * n))
        far = values(np.full(shape, 4**n).tolist(), "int64")
        yield Error("IndexError", "", make(shape), far, 2)
        negative = values(np.full(shape, -1).tolist(), "int64")
        yield Error("IndexError", "", make(shape), negative, 2)
        yield Error("TypeError", "int64", make(shape), make(shape, "float32"), 2)
        yield Error("ShapeError", "shape", make(shape), make((1, 1, *((2,) * n)), "int64", 0, 2), 2)
        yield Error("ValueError", "output_size", make(shape), make(shape, "int64", 0, 2), 2,
                    output_size=(40,) * n)  # fmt: skip

    return errors


def fractional_pools(n: int) -> Callable[[], Iterator[Sample]]:
    def samples() -> Iterator[Sample]:
        size = {2: (9, 11), 3: (6, 7, 8)}[n]
        u = make((2, 3, n), low=0, high=1, grad=False)
        x = distinct(2, 3, *size)
        yield Sample(x, 2, output_size=(4, 5, 4)[:n], _random_samples=u, return_indices=True)
        yield Sample(x, (3, 2, 2)[:n], output_size=(3, 5, 5)[:n], _random_samples=u)
        yield Sample(x, 2, output_ratio=(0.5, 0.6, 0.4)[:n], _random_samples=u)
        yield Sample(x, 2, output_size=1, _random_samples=u)

    return samples


def fractional_errors(n: int) -> Callable[[], Iterator[Error]]:
    def errors() -> Iterator[Error]:
        size = {2: (9, 11), 3: (6, 7, 8)}[n]
        u = make((2, 3, n), low=0, high=1)
        x = make((2, 3, *size))
        yield Error("ShapeError", "do not fit", x, 4, output_size=8, _random_samples=u)
        yield Error("ShapeError", "random samples of shape", x, 2, output_size=3,
                    _random_samples=make((2, 3, 1), low=0, high=1))  # fmt: skip
        yield Error("ValueError", r"\[0, 1\]", x, 2, output_size=3,
                    _random_samples=make((2, 3, n), low=2, high=3))  # fmt: skip

    return errors


def lp_pools(n: int) -> Callable[[], Iterator[Sample]]:
    def samples() -> Iterator[Sample]:
        x = make((2, 3, *SIZES[n]), low=0.1, high=2)
        yield Sample(x, 2, 3)
        yield Sample(x, 3.0, 2, 1)
        yield Sample(x, 1, (2,) * n if n > 1 else 2, ceil_mode=True)

    return samples


FRACTIONAL = {
    "half": "torch places the windows in half precision",
    "capture": "the places of the windows are read back from the random samples",
}

CASES = [
    case
    for n in (1, 2, 3)
    for case in (
        OpCase(f"{F}max_pool{n}d", max_pools(n), window_errors(n, "max"), exact=True,
               covers=(f"max_pool{n}d",), heavy=6),
        OpCase(f"{F}max_pool{n}d", with_indices(n), variant="indices", exact=True,
               covers=(f"{F}max_pool{n}d_with_indices", f"max_pool{n}d_with_indices")),
        OpCase(f"{F}avg_pool{n}d", avg_pools(n), window_errors(n, "avg"), k=window_terms,
               covers=(f"avg_pool{n}d",), heavy=6),
        OpCase(f"{F}adaptive_avg_pool{n}d", adaptive_pools(n, "avg"), adaptive_errors(n),
               k=window_terms, covers=(f"adaptive_avg_pool{n}d",), heavy=5),
        OpCase(f"{F}adaptive_max_pool{n}d", adaptive_pools(n, "max"), adaptive_errors(n),
               exact=True, covers=(f"adaptive_max_pool{n}d",), heavy=5),
        OpCase(f"{F}max_unpool{n}d", unpools(n), unpool_errors(n), exact=True),
        OpCase(f"{F}lp_pool{n}d", lp_pools(n), k=window_terms, c=64.0),
    )
] + [
    OpCase(f"{F}max_pool2d", integer_pools, variant="int", grad=False, exact=True,
           dtypes=("int64", "int32", "int16", "int8", "uint8")),
    OpCase(f"{F}fractional_max_pool2d", fractional_pools(2), fractional_errors(2), exact=True,
           skip=FRACTIONAL),
    OpCase(f"{F}fractional_max_pool3d", fractional_pools(3), fractional_errors(3), exact=True,
           skip=FRACTIONAL),
]  # fmt: skip
