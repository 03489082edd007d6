"""`repr` prints what torch prints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from op_testing import lib, torch

SHOWN: dict[str, Callable[[Any], Any]] = {
    "0-dim": lambda w: w.tensor(2.5),
    "0-dim int": lambda w: w.tensor(3),
    "0-dim bool": lambda w: w.tensor(True),
    "vector": lambda w: w.tensor([1.0, 2.5, -3.0]),
    "whole floats": lambda w: w.tensor([1.0, 2.0, 300.0]),
    "ints": lambda w: w.arange(5),
    "negative ints": lambda w: w.tensor([-1, 10, 100]),
    "bools": lambda w: w.tensor([[True, False], [False, True]]),
    "matrix": lambda w: w.arange(6.0).reshape(2, 3) / 7,
    "cube": lambda w: w.arange(8).reshape(2, 2, 2),
    "empty": lambda w: w.zeros(0),
    "empty rows": lambda w: w.zeros(0, 3),
    "empty int": lambda w: w.zeros(2, 0, dtype=w.int64),
    "double": lambda w: w.tensor([1.5], dtype=w.float64),
    "half": lambda w: w.tensor([1.5, 2.25], dtype=w.float16),
    "bfloat": lambda w: w.tensor([1.5, 2.25], dtype=w.bfloat16),
    "int32": lambda w: w.tensor([1, 2], dtype=w.int32),
    "uint8": lambda w: w.tensor([1, 255], dtype=w.uint8),
    "large": lambda w: w.tensor([1e10, 1.0]),
    "small": lambda w: w.tensor([1e-10, 1.0]),
    "wide range": lambda w: w.tensor([1e-5, 1e5, 3.0]),
    "nan and inf": lambda w: w.tensor([float("nan"), float("inf"), -float("inf"), 1.0]),
    "only nan": lambda w: w.tensor([float("nan")]),
    "nan and whole": lambda w: w.tensor([float("nan"), 2.0, 10.0]),
    "negative zero": lambda w: w.tensor([-0.0, 0.0]),
    "long": lambda w: w.arange(2000),
    "long matrix": lambda w: w.arange(20000.0).reshape(100, 200),
    "long cube": lambda w: w.arange(30000.0).reshape(30, 10, 100) / 3,
    "wrapping": lambda w: w.arange(60.0) / 9,
    "wrapping rows": lambda w: w.arange(90.0).reshape(3, 30) * 1.5,
    "requires grad": lambda w: w.ones(2, requires_grad=True),
    "view": lambda w: w.arange(6).reshape(2, 3).t(),
    "expanded": lambda w: w.tensor([1.0]).expand(3),
    "big ints": lambda w: w.tensor([2**40, 1]),
    "tiny": lambda w: w.tensor([1e-30]),
    "mixed signs": lambda w: w.tensor([[1.0, -1.0], [10.25, -100.5]]),
}


def as_ours(text: str) -> str:
    return text.replace("dtype=torch.", f"dtype={lib.__name__}.")


@pytest.mark.parametrize("name", SHOWN)
def test_like_torch(name: str) -> None:
    make = SHOWN[name]
    assert repr(make(lib)) == as_ours(repr(make(torch)))
    assert str(make(lib)) == as_ours(str(make(torch)))


def test_results_name_their_function() -> None:
    x = lib.ones(2, requires_grad=True)
    assert "grad_fn=<" in repr(x * 2) and "MulBackward" in repr(x * 2)


def test_size_device_dtype() -> None:
    assert repr(lib.zeros(2, 3).shape) == f"{lib.__name__}.Size([2, 3])"
    assert repr(lib.float32) == f"{lib.__name__}.float32"
    assert str(lib.device("cpu")) == "cpu"
    assert repr(lib.nn.Parameter(lib.ones(1))).startswith("Parameter containing:\n")


def test_print_options() -> None:
    try:
        for w in (lib, torch):
            w.set_printoptions(precision=2)
        assert repr(lib.tensor([1.23456])) == repr(torch.tensor([1.23456]))
    finally:
        for w in (lib, torch):
            w.set_printoptions(profile="default")
