"""deeplite.testing.assert_close against torch.testing.assert_close: the same verdicts."""

from __future__ import annotations

import importlib
from typing import Any

import deeplite
import numpy as np
import pytest
import torch

INF, NAN = float("inf"), float("nan")


def verdict(lib: Any, actual: Any, expected: Any, **options: Any) -> bool:
    try:
        lib.testing.assert_close(actual, expected, **options)
    except AssertionError:
        return False
    return True


CASES: dict[str, Any] = {
    "equal": (lambda lib: (lib.ones(3), lib.ones(3)), {}),
    "near": (lambda lib: (lib.ones(3) * (1 + 1e-6), lib.ones(3)), {}),
    "far": (lambda lib: (lib.ones(3) * 1.01, lib.ones(3)), {}),
    "allowed": (lambda lib: (lib.ones(3) * 1.01, lib.ones(3)), {"rtol": 0.1, "atol": 0.0}),
    "float64 is stricter": (lambda lib: (lib.ones(3).double() + 1e-6, lib.ones(3).double()), {}),
    "half is looser": (lambda lib: (lib.ones(3).half() * 1.0009, lib.ones(3).half()), {}),
    "shape": (lambda lib: (lib.ones(3), lib.ones(1, 3)), {}),
    "dtype": (lambda lib: (lib.ones(3), lib.ones(3).double()), {}),
    "dtype unchecked": (lambda lib: (lib.ones(3), lib.ones(3).double()), {"check_dtype": False}),
    "stride": (lambda lib: (lib.ones(3, 2).t(), lib.ones(2, 3)), {"check_stride": True}),
    "stride unchecked": (lambda lib: (lib.ones(3, 2).t(), lib.ones(2, 3)), {}),
    "integers": (lambda lib: (lib.arange(3), lib.arange(3) + 1), {}),
    "booleans": (lambda lib: (lib.ones(3) > 0, lib.ones(3) > 0), {}),
    "nan": (lambda lib: (lib.tensor([NAN]), lib.tensor([NAN])), {}),
    "equal nan": (lambda lib: (lib.tensor([NAN]), lib.tensor([NAN])), {"equal_nan": True}),
    "infinite": (lambda lib: (lib.tensor([INF]), lib.tensor([INF])), {}),
    "opposite infinities": (lambda lib: (lib.tensor([INF]), lib.tensor([-INF])), {}),
    "empty": (lambda lib: (lib.ones(0, 2), lib.ones(0, 2)), {}),
    "numbers": (lambda lib: (1.0, 1.0 + 1e-9), {}),
    "numbers apart": (lambda lib: (1.0, 1.1), {}),
    "list": (lambda lib: ([lib.ones(2), 1], [lib.ones(2), 1]), {}),
    "list of another length": (lambda lib: ([lib.ones(2)], [lib.ones(2), 1]), {}),
    "mapping": (lambda lib: ({"a": lib.ones(2)}, {"a": lib.ones(2)}), {}),
    "mapping apart": (lambda lib: ({"a": lib.ones(2)}, {"b": lib.ones(2)}), {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_verdicts(name: str) -> None:
    make, options = CASES[name]
    ours = verdict(deeplite, *make(deeplite), **options)
    assert ours == verdict(torch, *make(torch), **options)


def test_messages() -> None:
    x = deeplite.zeros(2, 3)
    x[1, 2] = 5
    with pytest.raises(AssertionError, match=r"1 of 6 elements differ: 5.0 .* 0.0 at \(1, 2\)"):
        deeplite.testing.assert_close(x, deeplite.zeros(2, 3))
    with pytest.raises(AssertionError, match=r"at item \['w'\]\[0\]: shapes differ"):
        deeplite.testing.assert_close({"w": [deeplite.ones(2)]}, {"w": [deeplite.ones(3)]})
    with pytest.raises(AssertionError, match="^mine: shapes differ"):
        deeplite.testing.assert_close(x, x[0], msg=lambda text: "mine: " + text)
    with pytest.raises(ValueError, match="both rtol and atol"):
        deeplite.testing.assert_close(x, x, rtol=0.1)
    with pytest.raises(TypeError, match="cannot compare a str"):
        deeplite.testing.assert_close(x, "x")
    deeplite.testing.assert_close(np.ones(2), deeplite.ones(2).double())
    assert x.requires_grad_().requires_grad  # tensors in a graph are compared by value
    deeplite.testing.assert_close(x, x * 1)


def test_every_listed_name_can_be_had() -> None:
    for name in ["deeplite", "deeplite.nn", "deeplite.optim", "deeplite.data", "deeplite.utils"]:
        module = importlib.import_module(name)
        for attribute in dir(module):
            getattr(module, attribute)
