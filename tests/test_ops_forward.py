"""Results of every op against torch: values, dtypes, shapes, layouts, empty inputs, half dtypes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
import pytest
from op_cases import HALF, Maker, OpCase, Sample, Spec, map_specs
from op_testing import (
    call,
    compare,
    dtype_name,
    is_tensor,
    lib,
    rows,
    seed_of,
    to_numpy,
    torch,
    torch_runs,
)


@rows("forward", lambda case: case.random is None)
def test_forward(case: OpCase) -> None:
    for dtype in case.dtypes:
        for number, sample in enumerate(case.samples()):
            compare(case, sample, number, dtype)


@rows("pure", lambda case: case.random is None and not case.is_inplace and not case.view)
def test_inputs_are_left_alone(case: OpCase) -> None:
    for number, sample in enumerate(first(case.samples(), case.heavy)):
        maker = Maker(lib, case.dtypes[0])
        args, kwargs = maker(sample, seed_of(case.id, number))
        before = [to_numpy(t).copy() for t in maker.made]
        case.resolve(lib)(*args, **kwargs)
        for t, b in zip(maker.made, before, strict=True):
            np.testing.assert_array_equal(to_numpy(t), b)


@rows("layouts", lambda case: case.random is None)
@pytest.mark.parametrize("layout", ["transposed", "strided", "expanded"])
def test_layouts(case: OpCase, layout: str) -> None:
    """Inputs with any strides, surrounded by memory that must not be read or written."""
    if layout == "expanded" and case.is_inplace:
        pytest.skip("an expanded tensor cannot be written to")
    for number, sample in enumerate(first(case.samples(), case.heavy)):
        compare(case, sample, number, case.dtypes[0], layout=layout)


@rows("empty", lambda case: case.random is None)
def test_empty(case: OpCase) -> None:
    """Dimension 0 shrunk to nothing: as torch, be it a result or an error."""
    for number, sample in enumerate(first(case.samples(), 4)):
        hollow = emptied(sample)
        if hollow is None:
            continue
        if torch_runs(case, hollow, number, case.dtypes[0]):
            compare(case, hollow, number, case.dtypes[0])
        else:
            with pytest.raises(Exception):  # noqa: B017, PT011 - any Python exception will do
                call(lib, case, hollow, number, case.dtypes[0])


@rows("half", lambda case: case.half and case.floating and case.random is None)
@pytest.mark.parametrize("dtype", HALF)
def test_half(case: OpCase, dtype: str) -> None:
    for number, sample in enumerate(first(case.samples(), case.heavy)):
        if torch_runs(case, sample, number, dtype):
            compare(case, sample, number, dtype)


@rows("forward", lambda case: case.view)
def test_view_shares_memory(case: OpCase) -> None:
    """Writing to the result shows in the input exactly where it does in torch."""
    for number, sample in enumerate(first(case.samples(), case.heavy)):
        after = []
        for where in (torch, lib):
            run = call(where, case, sample, number, case.dtypes[0])
            target = next(o for o in run.outputs if is_tensor(o))
            with where.no_grad():
                target.fill_(1)
            after.append(to_numpy(run.inputs[0]))
        np.testing.assert_array_equal(after[1], after[0], err_msg=f"{case.id}{sample!r}")


@rows("forward", lambda case: case.random is not None)
def test_random(case: OpCase) -> None:
    for dtype in case.dtypes:
        for number, sample in enumerate(case.samples()):
            drawn = []
            for seed in (1, 1, 2):
                lib.manual_seed(seed)
                run = call(lib, case, sample, number, dtype)
                drawn.append([to_numpy(o) for o in run.outputs])
            theirs = call(torch, case, sample, number, dtype)
            for mine, other in zip(run.outputs, theirs.outputs, strict=True):
                assert dtype_name(mine.dtype) == dtype_name(other.dtype), f"{case.id}{sample!r}"
                assert tuple(mine.shape) == tuple(other.shape), f"{case.id}{sample!r}"
            for a, b in zip(drawn[0], drawn[1], strict=True):
                np.testing.assert_array_equal(a, b, err_msg="same seed, same numbers")
            case.random(drawn[0], sample)  # type: ignore[misc]


def first(samples: Iterable[Sample], n: int) -> list[Sample]:
    return [s for _, s in zip(range(n), samples, strict=False)]


def emptied(sample: Sample) -> Sample | None:
    """The sample with the leading size of its first tensor set to 0 wherever a tensor leads with
    it; None when that is not possible."""
    specs = sample.specs()
    if not specs or not specs[0].shape or specs[0].shape[0] == 0:
        return None
    n = specs[0].shape[0]
    if any(s.values is not None for s in specs):
        return None

    def shrink(spec: Spec) -> Spec:
        if not spec.shape or spec.shape[0] != n:
            return spec
        return dataclasses.replace(spec, shape=(0, *spec.shape[1:]))

    args, kwargs = map_specs((sample.args, sample.kwargs), shrink)
    return Sample(*args, **kwargs)
