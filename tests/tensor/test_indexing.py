"""Indexing: reading and writing with random index tuples, against torch."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from op_testing import lib, to_numpy, torch

FAILURES = (IndexError, RuntimeError, ValueError, TypeError)


@st.composite
def shape_and_index(draw: Any) -> tuple[tuple[int, ...], list[Any]]:
    """A shape and an index as a list of plain descriptions: int, slice, None, Ellipsis,
    ("ints", array) or ("mask", array)."""
    shape = tuple(draw(st.lists(st.integers(0, 4), min_size=1, max_size=4)))
    dims, parts, seen_ellipsis = list(shape), [], False
    common = draw(st.sampled_from([(2,), (3,), (1,), (2, 3), ()]))
    while dims and draw(st.integers(0, 5)):
        kind = draw(st.sampled_from(["int", "slice", "slice", "none", "ints", "mask", "ellipsis"]))
        if kind == "none":
            parts.append(None)
        elif kind == "ellipsis":
            if seen_ellipsis:
                continue
            seen_ellipsis = True
            parts.append(...)
            dims = dims[draw(st.integers(0, len(dims))) :]
        elif kind == "mask":
            rank = draw(st.integers(1, min(2, len(dims))))
            seed = draw(st.integers(0, 99))
            mask = np.random.default_rng(seed).random(tuple(dims[:rank])) < 0.5
            parts.append(("mask", mask))
            dims = dims[rank:]
        else:
            size = dims.pop(0)
            if kind == "int":
                parts.append(draw(st.integers(-size - 1, size)))
            elif kind == "ints":
                seed = draw(st.integers(0, 99))
                top = max(size, 1)
                low = -top - draw(st.sampled_from([0, 0, 0, 0, 1]))
                array = np.random.default_rng(seed).integers(low, top, common)
                parts.append(("ints", array))
            else:
                ends = st.one_of(st.none(), st.integers(-size - 1, size + 1))
                parts.append(slice(draw(ends), draw(ends), draw(st.integers(1, 3))))
    return shape, parts


def index_for(where: Any, parts: list[Any]) -> tuple:
    made = []
    for p in parts:
        made.append(where.from_numpy(p[1].copy()) if isinstance(p, tuple) else p)
    return tuple(made)


def base(where: Any, shape: tuple[int, ...]) -> Any:
    data = np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)
    return where.from_numpy(data)


@given(shape_and_index())
def test_reading(case: tuple) -> None:
    shape, parts = case
    theirs, mine = base(torch, shape), base(lib, shape)
    try:
        expected = theirs[index_for(torch, parts)]
    except FAILURES:
        with pytest.raises(FAILURES):
            mine[index_for(lib, parts)]
        return
    got = mine[index_for(lib, parts)]
    assert tuple(got.shape) == tuple(expected.shape), (shape, parts)
    np.testing.assert_array_equal(to_numpy(got), to_numpy(expected), err_msg=f"{shape} {parts}")


@given(shape_and_index(), st.sampled_from(["number", "same", "broadcast", "int64"]))
def test_writing(case: tuple, kind: str) -> None:
    shape, parts = case
    theirs, mine = base(torch, shape), base(lib, shape)
    try:
        target = tuple(theirs[index_for(torch, parts)].shape)
    except FAILURES:
        target = (1,)
    value = np.asarray(-1.0 - np.arange(int(np.prod(target)), dtype=np.float32)).reshape(target)
    if any(isinstance(p, tuple) and p[0] == "ints" for p in parts):
        value = np.full(target, -7.0, np.float32)  # repeated indices: the last writer is not fixed
    if kind == "broadcast" and target:
        value = value[:1]
    if kind == "int64":
        value = value.astype(np.int64)
    results = []
    for where, tensor in ((torch, theirs), (lib, mine)):
        right = -3.5 if kind == "number" else where.from_numpy(value.copy())
        try:
            tensor[index_for(where, parts)] = right
            results.append("ok")
        except FAILURES as e:
            results.append(e)
    if kind == "int64" and "dtypes match" in str(results[0]):
        # torch casts in assignments but to lists and masks; we cast there too.
        theirs[index_for(torch, parts)] = torch.from_numpy(value.astype(np.float32))
        results[0] = "ok"
    assert isinstance(results[0], str) == isinstance(results[1], str), (shape, parts, results)
    np.testing.assert_array_equal(to_numpy(mine), to_numpy(theirs), err_msg=f"{shape} {parts}")


@given(shape_and_index())
def test_gradients(case: tuple) -> None:
    shape, parts = case
    grads = []
    for where in (torch, lib):
        x = base(where, shape).to(where.float64).requires_grad_()
        try:
            y = x[index_for(where, parts)]
        except FAILURES:
            return
        (y * y).sum().backward()
        grads.append(to_numpy(x.grad))
    np.testing.assert_array_equal(grads[1], grads[0])


@pytest.mark.parametrize("index", [[0, 2], [True, False, True], range(2)])
def test_lists_as_indices(index: Any) -> None:
    index = list(index)
    expected = to_numpy(base(torch, (3, 4))[index])
    np.testing.assert_array_equal(to_numpy(base(lib, (3, 4))[index]), expected)


def test_numpy_and_0d_indices() -> None:
    x = base(lib, (3, 4))
    assert x[np.int64(1), np.int32(2)].item() == 6
    assert x[np.array([2, 0])].tolist() == x[[2, 0]].tolist()
    assert x[lib.tensor(1)].tolist() == x[1].tolist()
    assert x[x > 5].tolist() == [6, 7, 8, 9, 10, 11]
    assert x[True].shape == (1, 3, 4)
    assert x[False].shape == (0, 3, 4)


@pytest.mark.parametrize(
    "bad",
    [3, -4, (0, 4), "a", 1.0, (0, 0, 0), slice(None, None, -1), slice(None, None, 0)],
    ids=str,
)
def test_bad_indices(bad: Any) -> None:
    x = base(lib, (3, 4))
    with pytest.raises((IndexError, TypeError, ValueError)):
        x[bad]
    with pytest.raises((IndexError, TypeError, ValueError, RuntimeError)):
        x[bad] = 1.0
    np.testing.assert_array_equal(x.numpy(), np.arange(12).reshape(3, 4))


@pytest.mark.skipif(lib.__name__ == "torch", reason="torch may have written a part")
def test_a_bad_index_in_data_changes_nothing() -> None:
    x = base(lib, (3, 4))
    with pytest.raises(IndexError, match="range|bounds"):
        x[lib.tensor([0, 5])] = 1.0
    with pytest.raises(IndexError, match="range|bounds"):
        x[lib.tensor([0, 5])]
    np.testing.assert_array_equal(x.numpy(), np.arange(12).reshape(3, 4))


def test_mask_of_the_wrong_shape() -> None:
    with pytest.raises(IndexError, match="mask|shape"):
        base(lib, (3, 4))[lib.ones(4, dtype=lib.bool)]


def test_assignment_is_seen_by_autograd() -> None:
    for where in (torch, lib):
        x = where.ones(3, dtype=where.float64, requires_grad=True)
        y = x * 2
        y[1] = 5.0
        y[2:] = x[:1] * 3
        y.sum().backward()
        assert x.grad.tolist() == [5.0, 0.0, 0.0], where.__name__
    with pytest.raises(RuntimeError, match="leaf"):
        lib.ones(3, requires_grad=True)[0] = 1.0
