"""Rows of the reduce family: extremes with their places, order statistics, scans, histograms."""

from __future__ import annotations

from collections.abc import Iterator

from op_cases import INTEGRAL, SIGNED, Error, OpCase, Sample, T, make, values

from .reduce import (
    INF,
    NAN,
    dim_errors,
    empty_errors,
    first_indexed,
    indexed,
    int_args,
    length,
    products,
    whole,
    with_nan,
)


def nan_ordered() -> Iterator[Sample]:
    yield from indexed()
    yield Sample(values([[1.0, NAN, 3.0, 2.0], [NAN, NAN, 5.0, NAN]], grad=False), 1)


def whole_nan() -> Iterator[Sample]:
    yield from whole()
    yield Sample(with_nan())


def modes() -> Iterator[Sample]:
    yield Sample(values([[1.0, 2.0, 2.0, 3.0], [4.0, 4.0, 5.0, 5.0], [1.0, 2.0, 3.0, 4.0]]), 1)
    yield Sample(values([[3.0, 1.0], [3.0, 2.0], [1.0, 2.0]]), dim=0, keepdim=True)
    yield Sample(make(()), 0)


def quantiles() -> Iterator[Sample]:
    for kind in ("linear", "lower", "higher", "midpoint", "nearest"):
        yield Sample(make((4, 7), distinct=True), 0.3, 1, interpolation=kind)
    q = values([0.0, 0.25, 0.5, 1.0], grad=False)
    yield Sample(make((4, 7), distinct=True), q)
    yield Sample(make((4, 7), distinct=True), q, 0, True)
    yield Sample(make((3, 4, 5), distinct=True), q, dim=1)
    yield Sample(make((3, 4, 5), distinct=True), 0.6, dim=1, keepdim=True)
    yield Sample(make((3, 4), distinct=True), q, keepdim=True)
    yield Sample(with_nan(), 0.4, 1)


def quantile_errors() -> Iterator[Error]:
    yield Error("ValueError", r"\[0, 1\]", make((3,)), 1.5)
    yield Error("ValueError", "interpolation", make((3,)), 0.5, interpolation="cubic")
    yield Error("TypeError", "floating", make((3,), "int64"), 0.5)


def scans() -> Iterator[Sample]:
    yield Sample(make((3, 9)), 1)
    yield Sample(make((9, 70)), 0)
    yield Sample(make((2, 3, 4), layout="transposed"), -1)
    yield Sample(make((5,)), dim=0)
    yield Sample(make(()), 0)
    yield Sample(make((0, 3)), 0)
    yield Sample(make((2, 0)), 0)


def typed_scans() -> Iterator[Sample]:
    yield from scans()
    yield Sample(make((2, 3)), 1, dtype=T("float64"))


def int_scans() -> Iterator[Sample]:
    yield Sample(make((3, 9)), 1)
    yield Sample(make((9, 5)), 0)


def cumprods() -> Iterator[Sample]:
    yield from typed_scans()
    yield Sample(values([[1.5, 0.0, 2.0, -1.0], [0.0, 2.0, 0.0, 3.0], [1.0, 2.0, 0.5, 1.0]]), 1)


def distinct_scans() -> Iterator[Sample]:
    yield Sample(make((3, 9), distinct=True), 1)
    yield Sample(make((9, 70), distinct=True), 0)
    yield Sample(make((2, 3, 4), distinct=True, layout="transposed"), -1)
    yield Sample(make(()), 0)
    yield Sample(make((0, 3)), 0)
    yield Sample(values([[1.0, 3.0, 3.0, 2.0, NAN, 5.0]], grad=False), 1)


def logcumsumexps() -> Iterator[Sample]:
    yield from scans()
    yield Sample(values([[-INF, -INF, 1.0], [0.0, INF, 1.0]], grad=False), 1)
    yield Sample(make((2, 9), low=-300, high=300, grad=False), 1)


def diffs() -> Iterator[Sample]:
    yield Sample(make((3, 5)))
    yield Sample(make((3, 5)), 2)
    yield Sample(make((3, 5)), n=1, dim=0)
    yield Sample(make((3, 5)), prepend=make((3, 1)), append=make((3, 2)))
    yield Sample(make((3, 5)), 9)
    yield Sample(make((3, 5), "bool"))


def diff_errors() -> Iterator[Error]:
    yield Error("ShapeError", "dimension", make(()))
    yield Error("ValueError", "n must", make((3,)), -1)


def bincounts() -> Iterator[Sample]:
    x = make((20,), "int64", 0, 7)
    yield Sample(x)
    yield Sample(x, minlength=12)
    yield Sample(x, make((20,), grad=False))
    yield Sample(x, make((20,), "int64"))
    yield Sample(make((0,), "int64"))


def bincount_errors() -> Iterator[Error]:
    yield Error("IndexError", "non-negative", values([1, -1], "int64"))
    yield Error("ShapeError", "one-dimensional", make((2, 3), "int64", 0, 4))
    yield Error("TypeError", "integer", make((3,)))
    yield Error("ShapeError", "weights", values([1, 1], "int64"), make((3,)))


def histograms() -> Iterator[Sample]:
    yield Sample(make((50,)), 10, -2, 2)
    yield Sample(make((5, 9)), bins=4)
    yield Sample(make((5, 9)), 3, min=0, max=1)
    yield Sample(values([1.0, 1.0], grad=False), 5)


def histogram_errors() -> Iterator[Error]:
    yield Error("ValueError", "bins", make((3,)), 0)
    yield Error("ValueError", "max", make((3,)), 4, 2, 1)


def dim_places() -> Iterator[Sample]:
    yield from int_args()
    yield Sample(make((3, 4), distinct=True), dim=1, keepdim=True)


TORCH_MEDIAN = {"layouts": "torch sorts the one row of an expanded tensor in place, many times"}

CASES = [
    OpCase("prod", products, dim_errors, k=lambda s: 64),
    OpCase("prod", int_scans, variant="int", dtypes=INTEGRAL, grad=False),
    OpCase("min", first_indexed, empty_errors, exact=True),
    OpCase("max", first_indexed, empty_errors, exact=True),
    OpCase("median", nan_ordered, empty_errors, exact=True, skip=TORCH_MEDIAN),
    OpCase("median", whole_nan, variant="whole", exact=True, skip=TORCH_MEDIAN),
    OpCase("nanmedian", nan_ordered, empty_errors, exact=True, skip=TORCH_MEDIAN),
    OpCase("nanmedian", whole_nan, variant="whole", exact=True, skip=TORCH_MEDIAN),
    OpCase(
        "mode", modes, empty_errors, exact=True, skip={"gradcheck": "a step away there is no tie"}
    ),
    OpCase("quantile", quantiles, quantile_errors, half=False),
    OpCase("nanquantile", quantiles, quantile_errors, half=False),
    OpCase("cumsum", typed_scans, dim_errors, k=length),
    OpCase("cumsum", int_scans, variant="int", dtypes=(*INTEGRAL, "bool"), grad=False),
    OpCase("cumprod", cumprods, dim_errors, k=length),
    OpCase("cumprod", int_scans, variant="int", dtypes=SIGNED, grad=False),
    OpCase("Tensor.cumsum_", int_scans, dim_errors, k=length),
    OpCase("Tensor.cumprod_", int_scans, dim_errors, k=length),
    OpCase("logcumsumexp", logcumsumexps, dim_errors, k=length),
    OpCase("cummax", distinct_scans, dim_errors, exact=True),
    OpCase("cummin", distinct_scans, dim_errors, exact=True),
    OpCase("diff", diffs, diff_errors),
    OpCase("bincount", bincounts, bincount_errors, grad=False, k=lambda s: 20),
    OpCase("histc", histograms, histogram_errors, grad=False, half=False),
]
