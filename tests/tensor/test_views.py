"""Views: random chains of view operations against torch, in values, strides and sharing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from op_testing import lib, to_numpy, torch

Step = tuple[str, tuple]


def pair(shape: tuple[int, ...]) -> tuple[Any, Any]:
    data = np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape)
    return lib.from_numpy(data.copy()), torch.from_numpy(data.copy())


def same_view(mine: Any, theirs: Any) -> None:
    assert tuple(mine.shape) == tuple(theirs.shape)
    if mine.numel():  # strides of what has no elements, or a single one, mean nothing
        for size, own, expected in zip(mine.shape, mine.stride(), theirs.stride(), strict=True):
            assert size == 1 or own == expected
    assert mine.storage_offset() == theirs.storage_offset()
    assert mine.is_contiguous() == theirs.is_contiguous()
    np.testing.assert_array_equal(to_numpy(mine), to_numpy(theirs))


@st.composite
def step(draw: Any, shape: tuple[int, ...]) -> Step:
    """One view operation that suits (or just about does not suit) a tensor of this shape."""
    n = len(shape)
    names = ["unsqueeze", "squeeze_all", "reshape", "expand", "flatten", "t_full"]
    if n:
        names += [
            "transpose",
            "permute",
            "narrow",
            "select",
            "slice",
            "squeeze",
            "movedim",
            "unfold",
        ]
        names += ["diagonal"] * (n >= 2)
    name = draw(st.sampled_from(names))
    dim = draw(st.integers(-n, n - 1)) if n else 0
    other = draw(st.integers(-n, n - 1)) if n else 0
    size = shape[dim] if n else 0
    if name == "unsqueeze":
        return name, (draw(st.integers(-n - 1, n)),)
    if name in ("squeeze", "select"):
        return name, (dim,) if name == "squeeze" else (dim, draw(st.integers(-size, size)))
    if name in ("transpose", "movedim"):
        return name, (dim, other)
    if name == "permute":
        return name, tuple(draw(st.permutations(range(n))))
    if name == "narrow":
        start = draw(st.integers(0, size))
        return name, (dim, start, draw(st.integers(0, size - start)))
    if name == "slice":
        ends = st.one_of(st.none(), st.integers(-size - 1, size + 1))
        return name, (dim % n, draw(ends), draw(ends), draw(st.integers(1, 3)))
    if name == "unfold":
        return name, (dim, draw(st.integers(0, size)), draw(st.integers(1, 3)))
    if name == "diagonal":
        return name, (draw(st.integers(-2, 2)), dim, other)
    if name == "expand":
        lead = draw(st.integers(0, 1)) * (2,)
        return name, ((*lead, *(draw(st.integers(1, 3)) if s == 1 else -1 for s in shape)),)
    if name == "reshape":
        return name, (draw(st.sampled_from([(-1,), (1, -1), (2, -1), (-1, 3), (0,), (4, 3)])),)
    return name, ()


OTHERWISE: dict[str, Callable[..., Any]] = {
    "slice": lambda t, dim, a, b, s: t[(slice(None),) * dim + (slice(a, b, s),)],
    "squeeze_all": lambda t: t.squeeze(),
    "t_full": lambda t: t.mT if t.dim() >= 2 else t.T,
}


def run(t: Any, s: Step) -> Any:
    name, args = s
    return OTHERWISE[name](t, *args) if name in OTHERWISE else getattr(t, name)(*args)


@given(st.data())
def test_chains_of_views(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.sampled_from([0, 1, 2, 3, 4]), max_size=4)))
    mine, theirs = pair(shape)
    base, their_base = mine, theirs
    for _ in range(data.draw(st.integers(1, 5))):
        s = data.draw(step(tuple(theirs.shape)))
        try:
            next_theirs = run(theirs, s)
        except (RuntimeError, IndexError, ValueError):
            with pytest.raises((RuntimeError, IndexError, ValueError)):
                run(mine, s)
            continue
        mine, theirs = run(mine, s), next_theirs
        same_view(mine, theirs)
    if 0 not in theirs.stride() or theirs.numel() <= 1:
        mine.add_(100.0)  # reaches the same elements of the base
        theirs.add_(100.0)
        np.testing.assert_array_equal(to_numpy(base), to_numpy(their_base))


@given(st.lists(st.integers(0, 4), max_size=4), st.lists(st.integers(-1, 12), max_size=4))
def test_view_and_reshape(shape: list[int], target: list[int]) -> None:
    for prepare in (lambda t: t, lambda t: t.mT if t.dim() >= 2 else t, lambda t: t[..., ::2]):
        if not shape:
            continue
        mine, theirs = (prepare(t) for t in pair(tuple(shape)))
        for name in ("view", "reshape"):
            try:
                expected = getattr(theirs, name)(*target)
            except (RuntimeError, TypeError):
                with pytest.raises((RuntimeError, ValueError, TypeError)):
                    getattr(mine, name)(*target)
            else:
                got = getattr(mine, name)(*target)
                same_view(got, expected)
                shared = got.data_ptr() == mine.data_ptr()
                assert shared == (expected.data_ptr() == theirs.data_ptr())


@given(st.data())
def test_as_strided(data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 3))
    shape = [data.draw(st.integers(0, 3)) for _ in range(n)]
    strides = [data.draw(st.integers(-1, 4)) for _ in range(n)]
    offset = data.draw(st.integers(-1, 12))
    mine, theirs = pair((12,))
    try:
        expected = torch.as_strided(theirs, shape, strides, offset)
    except RuntimeError:
        with pytest.raises((RuntimeError, ValueError)):
            lib.as_strided(mine, shape, strides, offset)
    else:
        np.testing.assert_array_equal(
            to_numpy(lib.as_strided(mine, shape, strides, offset)), to_numpy(expected)
        )


def test_views_keep_their_memory_alive() -> None:
    def inner() -> Any:
        return lib.arange(1000.0)[500:502]

    view = inner()
    junk = [lib.zeros(1000) for _ in range(20)]
    assert view.tolist() == [500.0, 501.0]
    assert len(junk) == 20


def test_in_place_on_expanded_is_refused() -> None:
    x = lib.zeros(3, 1).expand(3, 4)
    with pytest.raises(RuntimeError, match="same memory|single memory"):
        x.add_(1)
    assert x.sum().item() == 0


@pytest.mark.parametrize(
    "shapes",
    [(), ((3, 1),), ((2, 1), (3,)), ((2, 1), (3,), (4, 1, 1)), ((0, 1), (1, 3), (3,)), (3, (2, 1)),
     (5,), ((),), ((2, 1), 1, (1, 3), ())],
)  # fmt: skip
def test_shapes_broadcast_as_torchs(shapes):
    made = lib.broadcast_shapes(*shapes)
    assert isinstance(made, lib.Size)
    assert tuple(made) == tuple(torch.broadcast_shapes(*shapes))


@pytest.mark.parametrize(
    ("shapes", "error"),
    [(((2,), (3,)), RuntimeError), (((2,), (1,), (3,)), RuntimeError), (((-1,),), RuntimeError),
     (((2,), "2"), TypeError)],
)  # fmt: skip
def test_shapes_that_do_not_broadcast(shapes, error):
    with pytest.raises(error, match="^broadcast_shapes: "):
        lib.broadcast_shapes(*shapes)


HUGE = 2**62


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("expand", lambda x: x[:1].expand(HUGE, 2)[:, None].expand(-1, 4, 2)),
        ("tile", lambda x: x.tile((HUGE, 4, 1))),
        ("tile", lambda x: x.tile((HUGE, 1))),
        ("repeat", lambda x: x.repeat(HUGE, 4, 1)),
        ("repeat_interleave", lambda x: x.repeat_interleave(HUGE)),
        ("repeat_interleave", lambda x: x.repeat_interleave(HUGE, 0)),
        ("repeat_interleave", lambda x: x.repeat_interleave(lib.tensor([HUGE, HUGE]), 0)),
        ("repeat_interleave", lambda x: x.repeat_interleave(lib.tensor([HUGE, 0]), 0)),
        ("repeat_interleave", lambda x: x[:, 0].repeat_interleave(lib.tensor([HUGE, 0]))),
    ],
)
def test_sizes_that_overflow_are_told_by_the_op_that_was_called(name, call):
    with pytest.raises(ValueError, match=f"^{name}: .*(overflow|too many|too large)"):
        call(lib.ones(2, 2))
