"""Every op on every way to run it: instruction sets, thread counts, capture and replay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from op_cases import Maker, OpCase, Sample
from op_testing import (
    call,
    compare,
    compare_gradients,
    gradients,
    is_tensor,
    lib,
    rows,
    seed_of,
    to_numpy,
)
from test_ops_forward import first
from test_ops_grad import closure

pytestmark = pytest.mark.skipif(lib.__name__ == "torch", reason="our machinery, not torch's")
ISAS = (*lib.backends.cpu.capability(), "reference") if lib.__name__ != "torch" else ()


@pytest.fixture(autouse=True)
def restore() -> Any:
    threads, isa = lib.get_num_threads(), lib.backends.cpu.isa()
    yield
    lib.set_num_threads(threads)
    lib.backends.cpu.set_isa(isa)


@rows("isa", lambda case: case.random is None)
@pytest.mark.parametrize("isa", ISAS)
def test_instruction_sets(case: OpCase, isa: str) -> None:
    with lib.backends.cpu.using_isa(isa):
        for number, sample in enumerate(first(case.samples(), case.heavy)):
            for dtype in case.dtypes[:2]:
                compare(case, sample, number, dtype)
            if case.differentiable:
                compare_gradients(case, sample, number, "float64")
                if "float32" in case.dtypes:
                    compare_gradients(case, sample, number, "float32")


@rows("threads")
def test_random_streams_do_not_depend_on_isa(case: OpCase) -> None:
    """Random ops: the same seed gives the same draws whatever computes them (up to rounding)."""
    if case.random is None:
        pytest.skip("not random")
    for number, sample in enumerate(first(case.samples(), case.heavy)):
        drawn = []
        for isa in ISAS:
            lib.backends.cpu.set_isa(isa)
            lib.manual_seed(11)
            run = call(lib, case, sample, number, case.dtypes[0])
            drawn.append([to_numpy(o) for o in run.outputs])
        for other in drawn[1:]:
            for a, b in zip(drawn[0], other, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@rows("threads")
def test_threads(case: OpCase) -> None:
    """1, 2 and 3 threads: the same bits. (test_threads.py has inputs that fill threads.)"""
    sample, dtype = first(case.samples(), 1)[0], case.dtypes[0]
    results = []
    for threads in (1, 2, 3):
        lib.set_num_threads(threads)
        lib.manual_seed(5)
        results.append(bits(case, sample, dtype))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def bits(case: OpCase, sample: Sample, dtype: str) -> list[np.ndarray]:
    run = call(lib, case, sample, 0, dtype, requires_grad=case.differentiable)
    found = [to_numpy(o) for o in run.outputs]
    if case.differentiable:
        found += [to_numpy(g) for g in gradients(lib, run, case, 0)[0] if g is not None]
    return found


@rows("capture", lambda case: case.random is None)
@pytest.mark.parametrize("layout", ["as_given", "strided"])
def test_capture_and_replay(case: OpCase, layout: str) -> None:
    """The recorded graph, run again on the same and on other numbers, gives the same bits.

    With strided inputs no op gets by without a copy, which must be part of the graph too."""
    for number, sample in enumerate(first(case.samples(), case.heavy)):
        dtype = case.dtypes[0]
        maker = Maker(lib, dtype)
        args, kwargs = maker(sample, seed_of(case.id, number))
        if not maker.made or not any(is_tensor(t) for t in maker.made):
            continue
        function = closure(case, sample, maker.made, all_inputs=True)
        if layout == "strided":
            function = strided(function)
        eager = [to_numpy(o) for o in function(*maker.made)]
        if not eager:
            continue
        graph = lib.capture(function, *copies(maker.made))
        again = [to_numpy(o) for o in outputs_of(graph(*copies(maker.made)))]
        for a, b in zip(eager, again, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"{case.id}{sample!r}")
        assert str(graph)

        fresh = Maker(lib, dtype)
        fresh(sample, seed_of(case.id + " again", number))
        expected = [to_numpy(o) for o in function(*copies(fresh.made))]
        replayed = [to_numpy(o) for o in outputs_of(graph(*copies(fresh.made)))]
        if any(a.shape != b.shape for a, b in zip(expected, eager, strict=True)):
            continue  # sizes that depend on values (nonzero, unique) are fixed by the recording
        for a, b in zip(expected, replayed, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=f"{case.id}{sample!r}, other numbers")


@rows("capture", lambda case: case.differentiable)
@pytest.mark.parametrize("order", (1, 2))
def test_gradients_inside_a_capture(case: OpCase, order: int) -> None:
    """Recorded gradients, first and second: the same bits on the same and on other numbers."""
    for number, sample in enumerate(first(case.samples(), 2)):
        maker = Maker(lib, case.dtypes[0])
        maker(sample, seed_of(case.id, number))
        function = gradient_of(closure(case, sample, maker.made, all_inputs=True), order)
        inside: list[list[Any]] = []

        def recorded(*tensors: Any, function: Any = function, inside: Any = inside) -> list[Any]:
            inside.append(function(*tensors))
            return inside[-1]

        try:
            graph = lib.capture(recorded, *copies(maker.made))
        except (RuntimeError, NotImplementedError) as refusal:
            # masked_scatter's second gradient picks by a mask that it would have to read.
            assert order == 2, refusal
            assert not case.gradgrad or "while it is being captured" in str(refusal), refusal
            continue
        again = outputs_of(graph(*copies(maker.made)))
        assert_same_bits(inside[0], again, f"{case.id}{sample!r}")
        if case.random is not None:
            continue
        assert_same_bits(function(*copies(maker.made)), again, f"{case.id}{sample!r}, eager")
        fresh = Maker(lib, case.dtypes[0])
        fresh(sample, seed_of(case.id + " again", number))
        expected, replayed = function(*copies(fresh.made)), graph(*copies(fresh.made))
        if [e.shape for e in expected] == [a.shape for a in again]:
            assert_same_bits(expected, outputs_of(replayed), f"{case.id}{sample!r}, other numbers")


def gradient_of(function: Any, order: int) -> Any:
    """The gradients of all floating inputs for cotangents that differ from element to element."""

    def weighted(t: Any) -> Any:
        steps = lib.arange(t.numel(), dtype=lib.float64).reshape(t.shape)
        return (t * (steps.cos() + 1.5).to(t.dtype)).sum()

    def gradient(*tensors: Any) -> list[Any]:
        args = [t.detach().requires_grad_() if t.is_floating_point() else t for t in tensors]
        leaves = [t for t in args if t.requires_grad]
        outs = [o for o in function(*args) if is_tensor(o) and o.requires_grad]
        for last in range(order - 1, -1, -1):
            if not outs:
                return []
            total = sum(weighted(o) for o in outs)
            outs = lib.autograd.grad(total, leaves, create_graph=last > 0, allow_unused=True)
            outs = [o for o in outs if o is not None and (o.requires_grad or not last)]
        return outs

    return gradient


def assert_same_bits(expected: list[Any], found: list[Any], what: str) -> None:
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_array_equal(to_numpy(a), to_numpy(b), err_msg=what)


def strided(function: Any) -> Any:
    def spread(t: Any) -> Any:
        return t.unsqueeze(-1).expand(*t.shape, 2).clone()[..., 0]

    return lambda *tensors: function(*(spread(t) for t in tensors))


def copies(tensors: list[Any]) -> list[Any]:
    return [t.clone() for t in tensors]


def outputs_of(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (list, tuple)) else [result]
