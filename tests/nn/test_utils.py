"""nn.utils against torch's: clipping, parameters as a vector."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from nn_pairs import LIBRARIES, array, close, deeplite

rng = np.random.default_rng(0)
GRADS = [rng.standard_normal(s) for s in ((3, 4), (5,), ())]


def parameters(lib: Any, scale: float = 1.0) -> list[Any]:
    made = []
    for g in GRADS:
        p = lib.nn.Parameter(lib.zeros(g.shape, dtype=lib.float64))
        p.grad = lib.tensor(g * scale)
        made.append(p)
    return [*made, lib.nn.Parameter(lib.zeros(2))]  # one without a gradient


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, math.inf, 0.0])
@pytest.mark.parametrize("max_norm", [0.5, 100.0])
def test_clip_grad_norm(norm_type: float, max_norm: float) -> None:
    both = [parameters(lib) for lib in LIBRARIES]
    norms = [
        lib.nn.utils.clip_grad_norm_(p, max_norm, norm_type) for lib, p in zip(LIBRARIES, both)
    ]
    close(*norms, tol=1e-12)
    for a, b in zip(*both):
        close(a.grad, b.grad, tol=1e-12)
    totals = [
        lib.nn.utils.get_total_norm([lib.tensor(g) for g in GRADS], norm_type) for lib in LIBRARIES
    ]
    close(*totals, tol=1e-12)


def test_clip_special_cases() -> None:
    clip = deeplite.nn.utils.clip_grad_norm_
    assert float(clip([], 1.0)) == 0
    single = parameters(deeplite)[0]
    clip(single, 0.1)
    assert abs(np.linalg.norm(array(single.grad)) - 0.1) < 1e-6
    assert float(clip((p for p in parameters(deeplite)), 1.0)) > 1  # a generator will do
    bad = parameters(deeplite, math.nan)
    before = [array(p.grad).copy() for p in bad[:3]]
    with pytest.raises(RuntimeError, match="nan"):
        clip(bad, 1.0, error_if_nonfinite=True)
    for p, g in zip(bad, before):
        np.testing.assert_array_equal(array(p.grad), g)
    assert math.isnan(float(clip(bad, 1.0)))


def test_clip_grad_value() -> None:
    both = [parameters(lib) for lib in LIBRARIES]
    for lib, p in zip(LIBRARIES, both):
        lib.nn.utils.clip_grad_value_(p, 0.5)
    for a, b in zip(*both):
        close(a.grad, b.grad)


def test_vector() -> None:
    net = deeplite.nn.Linear(3, 2)
    v = deeplite.nn.utils.parameters_to_vector(net.parameters())
    np.testing.assert_array_equal(
        array(v), np.concatenate([array(net.weight).ravel(), array(net.bias)])
    )
    v.sum().backward()
    assert (array(net.weight.grad) == 1).all()
    deeplite.nn.utils.vector_to_parameters(deeplite.arange(8.0), net.parameters())
    assert array(net.weight).tolist() == [[0, 1, 2], [3, 4, 5]] and array(net.bias).tolist() == [
        6,
        7,
    ]
    with pytest.raises(ValueError, match="8 entries"):
        deeplite.nn.utils.vector_to_parameters(deeplite.ones(7), net.parameters())
    with pytest.raises(TypeError):
        deeplite.nn.utils.vector_to_parameters([1.0], net.parameters())
    with pytest.raises(ValueError, match="no parameters"):
        deeplite.nn.utils.parameters_to_vector([])
    assert array(net.bias).tolist() == [6, 7]
