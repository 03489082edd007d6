"""Rows of the softmax family."""

from __future__ import annotations

from collections.abc import Iterator

from op_cases import Error, OpCase, Sample, T, make, values


def samples() -> Iterator[Sample]:
    yield Sample(make((4, 37)), 1)  # rows longer than a vector, with a rest
    yield Sample(make((3, 5, 19)), dim=1)  # columns, with a rest
    yield Sample(make((2, 3)), dim=-2)
    yield Sample(make((3, 4, 5), layout="transposed"), dim=0)
    yield Sample(make((2, 200), low=-80, high=80), dim=-1)
    yield Sample(make((7,)), 0)
    yield Sample(make((3, 1)), dim=1)
    yield Sample(make(()), dim=0)
    yield Sample(make(()), -1)
    yield Sample(make((2, 0, 3)), dim=2)
    yield Sample(make((2, 3, 0)), dim=2)
    yield Sample(make((2, 3)), dim=1, dtype=T("float64"))
    yield Sample(values([[0.0, -float("inf"), 1.0], [2.0, 3.0, -float("inf")]], grad=False), 1)
    yield Sample(values([[-float("inf")] * 3, [float("nan"), 0.0, 1.0]], grad=False), 1)
    yield Sample(values([[float("inf"), 0.0], [1e30, -1e30]], grad=False), 1)
    yield Sample(make((2, 3), "int64"), dim=1, dtype=T("float32"))


def errors() -> Iterator[Error]:
    yield Error("IndexError", "dim.*range|range.*dim|out of range", make((2, 3)), dim=2)
    yield Error("IndexError", "out of range", make(()), dim=1)
    yield Error("TypeError", "floating", make((2, 3), "int64"), dim=1)
    yield Error("TypeError", "", 3.0, dim=0)


def softmin_samples() -> Iterator[Sample]:
    yield Sample(make((4, 7)), 1)
    yield Sample(make((3, 5, 4)), dim=0)


def length(sample: Sample) -> int:
    return max([8, *sample.specs()[0].shape])


CASES = [
    OpCase("softmax", samples, errors, k=length),
    OpCase("log_softmax", samples, errors, k=length),
    OpCase("Tensor.softmax", softmin_samples, k=length),
    OpCase("Tensor.log_softmax", softmin_samples, k=length),
    OpCase("nn.functional.softmin", softmin_samples, k=length),
]
