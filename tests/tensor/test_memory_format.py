"""channels_last and its kin: strides and values as torch has them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from op_testing import lib, to_numpy, torch

SHAPES = [(2, 3, 4, 5), (1, 3, 4, 5), (2, 1, 4, 5), (2, 3, 1, 1), (2, 3, 4, 1), (2, 0, 4, 5)]
SHAPES_3D = [(2, 3, 4, 5, 6), (1, 2, 1, 4, 1)]


def pair(shape: tuple[int, ...], dtype: Any = np.float32) -> tuple[Any, Any]:
    values = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    return lib.tensor(values), torch.tensor(values)


def last(module: Any, rank: int) -> Any:
    return module.channels_last_3d if rank == 5 else module.channels_last


def check(ours: Any, theirs: Any) -> None:
    assert ours.stride() == theirs.stride()
    np.testing.assert_allclose(to_numpy(ours), theirs.detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES + SHAPES_3D, ids=str)
def test_conversions(shape: tuple[int, ...]) -> None:
    for make in (
        lambda m, x: x.contiguous(memory_format=last(m, len(shape))),
        lambda m, x: x.to(memory_format=last(m, len(shape))),
        lambda m, x: x.to(m.float64, memory_format=last(m, len(shape))),
        lambda m, x: x.clone(memory_format=last(m, len(shape))),
        lambda m, x: x.clone(memory_format=last(m, len(shape))).clone(),
        lambda m, x: x.clone(memory_format=last(m, len(shape))).to(m.float16).float(),
        lambda m, x: x.clone(memory_format=last(m, len(shape))).contiguous(),
        lambda m, x: m.zeros_like(x, memory_format=last(m, len(shape))),
        lambda m, x: m.ones_like(x.clone(memory_format=last(m, len(shape)))),
        lambda m, x: m.full_like(x.clone(memory_format=last(m, len(shape))), 3),
        lambda m, x: m.zeros_like(
            x.clone(memory_format=last(m, len(shape))), memory_format=m.contiguous_format
        ),
    ):
        x, t = pair(shape)
        check(make(lib, x), make(torch, t))


@pytest.mark.parametrize("shape", SHAPES + SHAPES_3D, ids=str)
def test_empty_and_questions(shape: tuple[int, ...]) -> None:
    for m_f in ("contiguous_format", "channels_last", "channels_last_3d"):
        ours, theirs = getattr(lib, m_f), getattr(torch, m_f)
        fits = {"channels_last": 4, "channels_last_3d": 5}.get(m_f, len(shape)) == len(shape)
        if not fits:
            with pytest.raises(lib.ShapeError, match=m_f):
                lib.empty(shape, memory_format=ours)
            with pytest.raises(lib.ShapeError, match=m_f):
                lib.ones(shape).contiguous(memory_format=ours)
            continue
        x, t = lib.empty(shape, memory_format=ours), torch.empty(shape, memory_format=theirs)
        if t.numel() > 0:
            assert x.stride() == t.stride()
        y, u = lib.empty_like(x), torch.empty_like(t)
        if t.numel() > 0:
            assert y.stride() == u.stride()
        for question in ("contiguous_format", "channels_last", "channels_last_3d"):
            said = x.is_contiguous(memory_format=getattr(lib, question))
            assert said == t.is_contiguous(memory_format=getattr(torch, question)), question


def test_nothing_is_copied_without_need() -> None:
    x = lib.ones(2, 3, 4, 5).to(memory_format=lib.channels_last)
    assert x.contiguous(memory_format=lib.channels_last) is x
    assert x.to(memory_format=lib.channels_last) is x
    assert x.to(lib.float32) is x
    assert x.contiguous() is not x


def test_format_objects() -> None:
    assert repr(lib.channels_last) == "deeplite.channels_last"
    assert pickle.loads(pickle.dumps(lib.channels_last)) is lib.channels_last
    assert copy.deepcopy(lib.preserve_format) is lib.preserve_format
    with pytest.raises(ValueError, match="preserve_format"):
        lib.ones(1).contiguous(memory_format=lib.preserve_format)
    with pytest.raises(ValueError, match="preserve"):
        lib.empty(1, memory_format=lib.preserve_format)
    with pytest.raises(TypeError):
        lib.ones(1).contiguous(memory_format="channels_last")


ELEMENTWISE: dict[str, Callable[[Any, Any], Any]] = {
    "neg": lambda m, x: -x,
    "relu": lambda m, x: m.relu(x),
    "gelu": lambda m, x: m.nn.functional.gelu(x),
    "silu": lambda m, x: m.nn.functional.silu(x),
    "number": lambda m, x: x * 2 + 1,
    "both": lambda m, x: x + x.relu(),
    "row-major second": lambda m, x: x + x.contiguous(),
    "per channel": lambda m, x: x * m.ones(1, x.shape[1], 1, 1),
    "gate first": lambda m, x: m.ones(x.shape[0], x.shape[1], 1, 1) * x,
    "compare": lambda m, x: (x > 0).to(m.float32),
    "where": lambda m, x: m.where(x > 0, x, x * 0.1),
    "gaps": lambda m, x: x[:, :, 1:, ::2] * 2,
    "clone of gaps": lambda m, x: x[:, :, 1:, ::2].clone(),
    "cast": lambda m, x: x.double(),
    "clamp": lambda m, x: x.clamp(-0.5, 0.5),
    "dropout": lambda m, x: m.nn.functional.dropout(m.ones_like(x), 0.0) * x,
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_keeps_the_order(name: str) -> None:
    for shape in ((2, 3, 4, 6), (8, 24, 14, 14)):
        x, t = pair(shape)
        x, t = (m.to(memory_format=last(lib_, 4)) for m, lib_ in ((x, lib), (t, torch)))
        check(ELEMENTWISE[name](lib, x), ELEMENTWISE[name](torch, t))


def test_gradients_keep_the_order() -> None:
    x, t = pair((2, 3, 4, 5))
    x = x.to(memory_format=lib.channels_last).requires_grad_()
    t = t.to(memory_format=torch.channels_last).requires_grad_()
    (x.sigmoid() * x).sum().backward()
    (t.sigmoid() * t).sum().backward()
    check(x.grad, t.grad)


def test_modules_are_laid_out() -> None:
    for m in (lib, torch):
        net = m.nn.Sequential(m.nn.Conv2d(3, 4, 3), m.nn.BatchNorm2d(4), m.nn.Linear(4, 2))
        net.to(memory_format=m.channels_last)
        assert net[0].weight.stride() == (27, 1, 9, 3)
        assert net[2].weight.stride() == (4, 1)
        net.to(memory_format=m.contiguous_format)
        assert net[0].weight.stride() == (27, 9, 3, 1)
    with pytest.raises(lib.ShapeError, match="channels_last"):
        lib.nn.Conv3d(1, 1, 1).to(memory_format=lib.channels_last)
    with pytest.raises(TypeError, match="memory_format"):
        lib.nn.Conv2d(1, 1, 1).to(memory_format="channels_last")


def test_capture_replays_conversions() -> None:
    x, _ = pair((2, 3, 4, 5))
    graph = lib.capture(lambda a: a.to(memory_format=lib.channels_last) * 2, x)
    assert "channels_last" in str(graph)
    y = graph(x)
    y = y[0] if isinstance(y, tuple) else y
    assert y.stride() == (60, 1, 15, 3)
    np.testing.assert_array_equal(to_numpy(y), 2 * to_numpy(x))
