"""Capture: what is recorded, how it prints, and that a replay gives the same bits."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
from op_testing import lib, to_numpy

pytestmark = pytest.mark.skipif(lib.__name__ == "torch", reason="torch has no capture()")
F = lib.nn.functional if lib.__name__ != "torch" else None


def test_what_is_recorded() -> None:
    w = lib.full((3,), 2.0)
    graph = lib.capture(lambda x: (x * w).softmax(0), lib.ones(3))
    assert [s["op"] for s in graph.steps] == ["mul", "softmax"]
    softmax = graph.steps[1]
    assert softmax["attributes"]["dim"] == 0
    kinds = [v["kind"] for v in graph.values]
    assert kinds.count("input") == 1 and kinds.count("constant") == 1
    assert [tuple(v["shape"]) for v in graph.values] == [(3,)] * 4
    assert all(v["dtype"] == lib.float32 for v in graph.values)
    assert graph.outputs == softmax["outputs"]
    assert graph.inputs == [0]


def test_readable_table() -> None:
    graph = lib.capture(
        lambda x: F.conv2d(x, lib.ones(2, 1, 3, 3), padding=1), lib.ones(1, 1, 4, 4)
    )
    text = str(graph)
    for part in ("conv", "padding", "float32", "[1, 2, 4, 4]"):
        assert part in text, text
    assert len(text.splitlines()) < 12
    assert "1" in repr(graph)


def test_replay_of_a_network_is_bit_equal() -> None:
    lib.manual_seed(0)
    model = lib.nn.Sequential(
        lib.nn.Conv2d(1, 4, 3), lib.nn.ReLU(), lib.nn.MaxPool2d(2), lib.nn.Flatten(),
        lib.nn.Linear(4 * 9, 5), lib.nn.LogSoftmax(dim=1),
    )  # fmt: skip
    a, b = lib.randn(2, 1, 8, 8), lib.randn(2, 1, 8, 8)
    graph = lib.capture(model, a)
    np.testing.assert_array_equal(to_numpy(graph(a)), to_numpy(model(a)))
    np.testing.assert_array_equal(to_numpy(graph(b)), to_numpy(model(b)))


def test_parameters_are_held_by_reference() -> None:
    model = lib.nn.Linear(2, 2)
    x = lib.ones(1, 2)
    graph = lib.capture(model, x)
    with lib.no_grad():
        model.weight.mul_(2)
    np.testing.assert_array_equal(to_numpy(graph(x)), to_numpy(model(x)))


def test_gradients_flow_through_a_replay() -> None:
    x = lib.tensor([1.0, 2.0], requires_grad=True)
    graph = lib.capture(lambda t: (t * t).sum(), x)
    y = lib.tensor([3.0, 4.0], requires_grad=True)
    graph(y).backward()
    assert y.grad.tolist() == [6.0, 8.0] and x.grad is None


def test_in_place_ops() -> None:
    def f(x: Any) -> Any:
        y = x.clone()
        y[0] = 7.0
        y[1:].mul_(2)
        return y + x

    graph = lib.capture(f, lib.ones(3))
    x = lib.tensor([1.0, 2.0, 3.0])
    assert graph(x).tolist() == f(x).tolist() == [8.0, 6.0, 9.0]


def test_nested_results_and_unused_inputs() -> None:
    graph = lib.capture(lambda a, b: {"x": (a + 1, [a * 2]), "a": a}, lib.ones(2), lib.ones(1))
    out = graph(lib.zeros(2), lib.zeros(1))
    assert out["x"][0].tolist() == [1, 1] and out["x"][1][0].tolist() == [0, 0]
    assert out["a"].tolist() == [0, 0]


def test_named_results() -> None:
    graph = lib.capture(lambda x: x.max(1), lib.rand(2, 3))
    out = graph(lib.tensor([[1.0, 5.0, 2.0], [9.0, 0.0, 1.0]]))
    assert out.values.tolist() == [5, 9] and out.indices.tolist() == [1, 0]


def test_random_ops_replay_what_was_drawn() -> None:
    lib.manual_seed(3)
    holder: list[Any] = []

    def f(x: Any) -> Any:
        holder.append(F.dropout(x, 0.5))
        return holder[-1]

    graph = lib.capture(f, lib.ones(100))
    np.testing.assert_array_equal(to_numpy(graph(lib.ones(100))), to_numpy(holder[0]))


def test_reading_values_is_refused() -> None:
    for read in (
        lambda x: lib.zeros(1) if x.sum().item() > 0 else x,
        lambda x: x if (x > 0).all() else -x,
        lambda x: lib.tensor((x * 1).tolist()),
        lambda x: lib.from_numpy((x * 1).numpy()),
    ):
        with pytest.raises(RuntimeError, match="captur"):
            lib.capture(read, lib.ones(2))
    assert lib.ones(2).sum().item() == 2  # nothing is left switched on


def test_misuse() -> None:
    graph = lib.capture(lambda x: x + 1, lib.ones(2, 3))
    for bad in ((lib.ones(3, 2),), (lib.ones(2, 3, dtype=lib.float64),), (), (lib.ones(2, 3),) * 2):
        with pytest.raises(
            (RuntimeError, ValueError, TypeError), match="(?i)shape|dtype|input|argum"
        ):
            graph(*bad)
    with pytest.raises(TypeError, match="input 0"):
        lib.capture(lambda x: x, 3.0)
    with pytest.raises(TypeError, match="tensor"):
        lib.capture(lambda x: "text", lib.ones(2))
    with pytest.raises(ZeroDivisionError):
        lib.capture(lambda x: 1 / 0, lib.ones(2))
    assert not lib.capture(lambda x: x, lib.ones(2)).steps


def test_other_threads_are_not_recorded() -> None:
    def f(x: Any) -> Any:
        t = threading.Thread(target=lambda: lib.ones(2) * 3)
        t.start()
        t.join()
        return x + 1

    assert [s["op"] for s in lib.capture(f, lib.ones(2)).steps] == ["add"]


def test_captures_nest() -> None:
    def f(x: Any) -> Any:
        inner = lib.capture(lambda y: y * 2, x)
        return inner(x) + 1

    graph = lib.capture(f, lib.ones(2))
    assert graph(lib.tensor([1.0, 2.0])).tolist() == [3.0, 5.0]
