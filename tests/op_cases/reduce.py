"""Rows of the reduce family: sums, extremes, statistics, norms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from op_cases import ALL, FLOAT, INTEGRAL, Error, OpCase, Sample, T, make, values

Samples = Callable[[], Iterator[Sample]]
NAN, INF = float("nan"), float("inf")


def over_dims(**options: Any) -> Samples:
    """Everything, one dimension, several; in layouts that take different paths in the kernels."""

    def samples() -> Iterator[Sample]:
        tensor = options.get("tensor", {})
        yield Sample(make((5, 37), **tensor), 1)  # rows
        yield Sample(make((37, 70), **tensor), 0)  # columns, with a rest
        yield Sample(make((3, 4, 5), **tensor))
        yield Sample(make((3, 4, 5), **tensor), dim=(0, 2), keepdim=True)
        yield Sample(make((2, 3, 4, 5), **tensor), dim=(0, -2, -1))
        yield Sample(make((3, 4, 5), layout="transposed", **tensor), dim=-1)
        yield Sample(make((3, 4), layout="strided", **tensor), dim=0, keepdim=True)
        yield Sample(make((6, 1), **tensor), dim=1)
        yield Sample(make((7,), **tensor), 0)
        yield Sample(make((), **tensor))
        yield Sample(make((), **tensor), dim=-1)

    return samples


def empties() -> Iterator[Sample]:
    yield Sample(make((0,)))
    yield Sample(make((0, 3)), dim=0)
    yield Sample(make((3, 0)), dim=0)
    yield Sample(make((2, 0, 3)), dim=1, keepdim=True)


def sums() -> Iterator[Sample]:
    yield from over_dims()()
    yield from empties()
    yield Sample(make((3, 4)), dim=None, keepdim=True)
    yield Sample(make((3, 4)), dim=[])
    yield Sample(make((3, 4)), dtype=T("float64"))
    yield Sample(make((3, 4)), 0, True, dtype=T("float64"))
    yield Sample(values([[1.0, NAN], [INF, 2.0]], grad=False), dim=1)


def int_sums() -> Iterator[Sample]:
    yield Sample(make((5, 37)))
    yield Sample(make((5, 37)), 1)
    yield Sample(make((37, 5)), 0, keepdim=True)
    yield Sample(make((3, 4), layout="transposed"), dim=(0, 1))
    yield Sample(make((0, 3)), dim=0)
    yield Sample(make((3, 4)), dtype=T("float32"))


def with_nan(shape: tuple[int, int] = (4, 9)) -> Any:
    rows = [[(7 * i + 3 * j) % 11 - 5.0 for j in range(shape[1])] for i in range(shape[0])]
    rows[1][2] = rows[3][0] = rows[3][5] = NAN
    return values(rows, grad=False)


def nan_sums() -> Iterator[Sample]:
    yield from over_dims()()
    yield Sample(with_nan())
    yield Sample(with_nan(), 1)
    yield Sample(values([NAN, NAN], grad=False))
    yield Sample(make((0,)))


def dim_errors() -> Iterator[Error]:
    yield Error("IndexError", "range", make((2, 3)), dim=2)
    yield Error("IndexError", "range", make((2, 3)), dim=-3)


def dims_errors() -> Iterator[Error]:
    yield from dim_errors()
    yield Error("RuntimeError", "", make((2, 3)), dim=(0, -2))


def mean_errors() -> Iterator[Error]:
    yield from dims_errors()
    yield Error("TypeError", "floating", make((2, 3), "int64"))


def empty_errors() -> Iterator[Error]:
    yield from dim_errors()
    yield Error("IndexError", "at least one element", make((0, 3)), dim=0)


def whole_empty_errors() -> Iterator[Error]:
    yield from empty_errors()
    yield Error("IndexError", "at least one element", make((0,)))


def to_size() -> Iterator[Sample]:
    yield Sample(make((4, 3, 5)), (3, 1))
    yield Sample(make((4, 3)), (4, 3))
    yield Sample(make((4, 3)), ())
    yield Sample(make((2, 4, 3)), 1, 4, 1)
    yield Sample(make((1, 4, 3)), 4, 3)


def to_size_errors() -> Iterator[Error]:
    yield Error("ShapeError", "does not broadcast", make((4, 3)), (2, 3))
    yield Error("ShapeError", "does not broadcast", make((3,)), (1, 3))


def products() -> Iterator[Sample]:
    yield Sample(make((3, 7), low=-1.5, high=1.5), 1)
    yield Sample(make((7, 3), low=-1.5, high=1.5), dim=0, keepdim=True)
    yield Sample(make((2, 3, 2), low=-1.5, high=1.5))
    yield Sample(values([[1.5, 0.0, 2.0], [0.0, 0.0, 3.0], [1.0, 2.0, 0.5]]), 1)
    yield Sample(values([1.5, 0.0, 2.0]))
    yield Sample(make((3, 4), low=-1.5, high=1.5, layout="transposed"), dim=-1)
    yield Sample(make(()))
    yield Sample(make((0,)))
    yield Sample(make((2, 1)), 1)
    yield Sample(make((2, 3)), dtype=T("float64"))


def logical() -> Iterator[Sample]:
    for tensor in (make((4, 9), low=-1, high=2), make((3, 4, 5), layout="transposed")):
        yield Sample(tensor)
        yield Sample(tensor, 1)
        yield Sample(tensor, dim=0)
    yield Sample(make((0, 3)), dim=0)
    yield Sample(make((0,)))
    yield Sample(make(()))


def kept_logical() -> Iterator[Sample]:
    yield from logical()
    yield Sample(make((4, 9), low=-1, high=2), dim=1, keepdim=True)


def extremes() -> Iterator[Sample]:
    yield from over_dims(tensor={"distinct": True})()
    yield Sample(values([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]]), 1)  # ties share
    yield Sample(with_nan(), 1)
    yield Sample(with_nan())
    yield Sample(values([[INF, -INF], [-INF, -INF]], grad=False), 0)
    yield Sample(make((0, 3), distinct=True), dim=1)


def indexed() -> Iterator[Sample]:
    """With one dim."""
    yield Sample(make((5, 37), distinct=True), 1)
    yield Sample(make((37, 70), distinct=True), 0)
    yield Sample(make((3, 4, 5), distinct=True), dim=-2, keepdim=True)
    yield Sample(make((3, 4, 5), distinct=True, layout="transposed"), dim=1)
    yield Sample(make((6, 1), distinct=True), dim=1)
    yield Sample(make((7,), distinct=True), 0)
    yield Sample(make((), distinct=True), dim=0)
    yield Sample(make((0, 3), distinct=True), dim=1)


def first_indexed() -> Iterator[Sample]:
    yield from indexed()
    yield Sample(with_nan(), 1)
    yield Sample(values([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]], grad=False), 1)


def arg_samples() -> Iterator[Sample]:
    yield from first_indexed()
    yield Sample(make((3, 4), distinct=True))
    yield Sample(make((3, 1, 4), distinct=True, layout="transposed"))
    yield Sample(with_nan())


def int_args() -> Iterator[Sample]:
    yield Sample(make((5, 37), distinct=True, low=-60), 1)
    yield Sample(make((4, 5), distinct=True, low=0), dim=0)
    yield Sample(make((3, 4), distinct=True))


def elementwise() -> Iterator[Sample]:
    yield Sample(make((4, 5), distinct=True), make((4, 5), distinct=True))
    yield Sample(make((4, 5), distinct=True), make((5,), distinct=True))


def whole() -> Iterator[Sample]:
    yield Sample(make((3, 7), distinct=True))
    yield Sample(make((70,), distinct=True))
    yield Sample(make((3, 4), distinct=True, layout="transposed"))
    yield Sample(make(()))


def whole_extremes() -> Iterator[Sample]:
    yield from whole()
    yield Sample(with_nan())
    yield Sample(values([2.0, 1.0, 2.0, 1.0]))


def moments() -> Iterator[Sample]:
    yield Sample(make((5, 37)), 1)
    yield Sample(make((37, 20)), 0)
    yield Sample(make((3, 4, 5)))
    yield Sample(make((3, 4, 5)), dim=(0, 2), keepdim=True)
    yield Sample(make((3, 4, 5)), dim=(0, 2), correction=0)
    yield Sample(make((3, 4)), 1, True, True)
    yield Sample(make((3, 4)), 0, False)
    yield Sample(make((3, 4)), unbiased=False)
    yield Sample(make((3, 4)), False)
    yield Sample(make((4, 9), layout="transposed"), dim=None, correction=2)
    yield Sample(make((2, 500), low=30, high=31, grad=False), 1)  # no cancellation
    yield Sample(make((5,)), 0)


def logsumexps() -> Iterator[Sample]:
    yield Sample(make((5, 37)), 1)
    yield Sample(make((37, 20)), 0)
    yield Sample(make((3, 4, 5)), dim=(0, 2), keepdim=True)
    yield Sample(make((3, 4), layout="transposed"), -1)
    yield Sample(make((2, 9), low=-300, high=300, grad=False), 1)
    yield Sample(values([[-INF, -INF], [INF, 0.0], [NAN, 1.0], [-INF, 2.0]], grad=False), 1)
    yield Sample(make(()), 0)
    yield Sample(make((0, 3)), 0)
    yield Sample(make((2, 3), "int64"), 1)


def vector_norms() -> Iterator[Sample]:
    for p in (2, 1, INF, -INF, 0, 3, 0.5, -1.5):
        yield Sample(make((5, 9), distinct=True), p)
        yield Sample(make((5, 9), distinct=True), p, 1)
        yield Sample(make((9, 5), distinct=True), p, dim=(0,), keepdim=True)
    yield Sample(make((3, 4, 5)), dim=(0, 2))
    yield Sample(make((3, 4, 5)), 2, (0, 2), True, dtype=T("float64"))
    yield Sample(values([[0.0, 0.0], [0.0, 3.0]]), 2, 1)
    yield Sample(values([0.0, 3.0, -4.0]), 1)
    yield Sample(make(()), 2)
    yield Sample(make((0, 3)), 2, dim=0)


def norms() -> Iterator[Sample]:
    yield Sample(make((5, 9)))
    yield Sample(make((5, 9)), 1, 1)
    yield Sample(make((5, 9)), p="fro", dim=(0, 1), keepdim=True)
    yield Sample(make((5, 9)), p=3, dim=-1)
    yield Sample(make((5, 9)), 2)
    yield Sample(make((5, 9), distinct=True), p=INF)


def matrix_norms() -> Iterator[Sample]:
    for order in ("fro", 1, -1, INF, -INF):
        yield Sample(make((4, 6), distinct=True), order)
        yield Sample(make((3, 4, 5), distinct=True), order, dim=(2, 0), keepdim=True)
    yield Sample(make((2, 3, 4)))


def linalg_norms() -> Iterator[Sample]:
    yield Sample(make((3, 4)))
    yield Sample(make((3, 4), distinct=True), 1)
    yield Sample(make((3, 4)), "fro")
    yield Sample(make((5,)), 3)
    yield Sample(make((3, 4)), 2, 1)
    yield Sample(make((3, 4, 5)), None, (0, 1), True)
    yield Sample(make((3, 4, 5), distinct=True), INF, (0, 2))


def norm_errors() -> Iterator[Error]:
    yield Error("TypeError", "floating", make((2, 3), "int64"))
    yield Error("IndexError", "range", make((2, 3)), dim=5)


def matrix_norm_errors() -> Iterator[Error]:
    yield Error("ShapeError", "two dimensions", make((3,)))
    yield Error("NotImplementedError", "singular", make((3, 3)), "nuc")
    yield Error("NotImplementedError", "singular", make((3, 3)), 2)
    yield Error("ValueError", "ord", make((3, 3)), 3)


def dists() -> Iterator[Sample]:
    yield Sample(make((3, 4)), make((3, 4)))
    yield Sample(make((3, 4)), make((4,)), 1)
    yield Sample(make((3, 4)), make((3, 4)), p=3)


def length(sample: Sample) -> int:
    n = 1
    for size in sample.specs()[0].shape:
        n *= max(1, size)
    return max(8, n)


L = "linalg."
CASES = [
    OpCase("sum", sums, dims_errors, k=length),
    OpCase("sum", int_sums, variant="int", dtypes=(*INTEGRAL, "bool"), grad=False),
    OpCase("Tensor.sum_to_size", to_size, to_size_errors, k=length),
    OpCase("nansum", nan_sums, dims_errors, k=length),
    OpCase("mean", sums, mean_errors, k=length),
    OpCase("nanmean", nan_sums, mean_errors, k=length),
    OpCase("logsumexp", logsumexps, dims_errors, k=length),
    OpCase("all", kept_logical, dim_errors, dtypes=ALL, grad=False, exact=True),
    OpCase("any", kept_logical, dim_errors, dtypes=ALL, grad=False, exact=True),
    OpCase("count_nonzero", logical, dim_errors, dtypes=ALL, grad=False, exact=True),
    OpCase("amin", extremes, whole_empty_errors, exact=True),
    OpCase("amax", extremes, whole_empty_errors, exact=True),
    OpCase("amax", int_args, variant="int", dtypes=INTEGRAL, grad=False, exact=True),
    OpCase("argmin", arg_samples, empty_errors, grad=False, exact=True),
    OpCase("argmax", arg_samples, empty_errors, grad=False, exact=True),
    OpCase("argmax", int_args, variant="int", dtypes=INTEGRAL, grad=False, exact=True),
    OpCase("min", whole_extremes, variant="whole", exact=True),
    OpCase("max", whole_extremes, variant="whole", exact=True),
    OpCase("min", elementwise, variant="elementwise", exact=True),
    OpCase("max", elementwise, variant="elementwise", exact=True),
    OpCase("var", moments, mean_errors, k=length),
    OpCase("std", moments, mean_errors, k=length),
    OpCase("var_mean", moments, mean_errors, k=length),
    OpCase("std_mean", moments, mean_errors, k=length),
    OpCase("norm", norms, norm_errors, k=length),
    OpCase(L + "vector_norm", vector_norms, norm_errors, k=length),
    OpCase(L + "matrix_norm", matrix_norms, matrix_norm_errors, k=length),
    OpCase(L + "norm", linalg_norms, norm_errors, k=length),
    OpCase("dist", dists, k=length),
    OpCase("trace", lambda: iter([Sample(make((4, 4))), Sample(make((2, 5)))]), k=length),
]


def aminmax_samples() -> Iterator[Sample]:
    yield Sample(make((3, 7), distinct=True))
    yield Sample(make((3, 7), distinct=True), dim=1)
    yield Sample(make((7, 3), distinct=True), dim=0, keepdim=True)
    yield Sample(with_nan())


CASES.append(OpCase("aminmax", aminmax_samples, exact=True, dtypes=FLOAT))
