"""Making tensors: every factory and `tensor(...)` itself, against torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from op_testing import dtype_name, lib, to_numpy, torch

MAKERS: dict[str, Callable[[Any], Any]] = {
    "zeros": lambda w: w.zeros(2, 3),
    "zeros tuple": lambda w: w.zeros((2, 3), dtype=w.int64),
    "zeros empty": lambda w: w.zeros(0, 3),
    "zeros 0-dim": lambda w: w.zeros(()),
    "ones": lambda w: w.ones(4, dtype=w.bool),
    "full": lambda w: w.full((2, 2), 3.5),
    "full int": lambda w: w.full((2,), 3),
    "full bool": lambda w: w.full((2,), True),
    "full dtype": lambda w: w.full((2,), 3, dtype=w.float64),
    "arange": lambda w: w.arange(5),
    "arange float": lambda w: w.arange(0.5, 3.0, 0.5),
    "arange step": lambda w: w.arange(10, 0, -3),
    "arange dtype": lambda w: w.arange(3, dtype=w.float32),
    "arange empty": lambda w: w.arange(0),
    "linspace": lambda w: w.linspace(-1, 2, 7),
    "linspace one": lambda w: w.linspace(3, 9, 1),
    "linspace double": lambda w: w.linspace(0, 1, 11, dtype=w.float64),
    "logspace": lambda w: w.logspace(0, 2, 5),
    "eye": lambda w: w.eye(3),
    "eye wide": lambda w: w.eye(2, 4, dtype=w.int64),
    "zeros_like": lambda w: w.zeros_like(w.ones(2, 2, dtype=w.int32)),
    "ones_like": lambda w: w.ones_like(w.ones(2, 2), dtype=w.float64),
    "full_like": lambda w: w.full_like(w.ones(2), 9),
    "new_zeros": lambda w: w.ones(2, dtype=w.float64).new_zeros(3, 1),
    "new_full": lambda w: w.ones(2, dtype=w.int64).new_full((2,), 4),
    "new_tensor": lambda w: w.ones(2, dtype=w.float64).new_tensor([1, 2]),
    "tensor float": lambda w: w.tensor(2.5),
    "tensor int": lambda w: w.tensor(2),
    "tensor bool": lambda w: w.tensor([True, False]),
    "tensor nested": lambda w: w.tensor([[1, 2], [3, 4.5]]),
    "tensor empty": lambda w: w.tensor([]),
    "tensor empties": lambda w: w.tensor([[], []]),
    "tensor dtype": lambda w: w.tensor([1, 2], dtype=w.uint8),
    "tensor numpy": lambda w: w.tensor(np.arange(4, dtype=np.int16)),
    "tensor double": lambda w: w.tensor(np.arange(4.0)),
    "tensor scalars": lambda w: w.tensor([np.float32(1), np.float32(2)]),
    "tensor of tensors": lambda w: w.tensor([w.tensor(1.0), w.tensor(2.0)]),
    "as_tensor": lambda w: w.as_tensor([1.0, 2.0]),
    "inf and nan": lambda w: w.tensor([math.inf, -math.inf, math.nan]),
    "big int": lambda w: w.tensor([2**62, -(2**63)]),
    "tril_indices": lambda w: w.tril_indices(3, 4),
    "meshgrid": lambda w: w.meshgrid(w.arange(2), w.arange(3), indexing="ij")[1],
    "empty_like": lambda w: w.empty_like(w.ones(3, 2).t()).fill_(1),
    "complex shape": lambda w: w.zeros(w.Size([1, 2])),
}


@pytest.mark.parametrize("name", MAKERS)
def test_factories(name: str) -> None:
    mine, theirs = MAKERS[name](lib), MAKERS[name](torch)
    assert dtype_name(mine.dtype) == dtype_name(theirs.dtype)
    assert tuple(mine.shape) == tuple(theirs.shape)
    assert tuple(mine.stride()) == tuple(theirs.stride())
    np.testing.assert_allclose(to_numpy(mine), to_numpy(theirs), rtol=1e-6)


BAD: dict[str, tuple[Callable[[Any], Any], Any, str]] = {
    "negative size": (lambda w: w.zeros(2, -3), (RuntimeError, ValueError), "-3|negative"),
    "overflow": (lambda w: w.empty(2**40, 2**40), (RuntimeError, MemoryError, ValueError), ""),
    "too much": (lambda w: w.empty(2**55), (RuntimeError, MemoryError), "memory|allocate|byte"),
    "float size": (lambda w: w.zeros(2.5), TypeError, "zeros"),
    "text size": (lambda w: w.zeros("3"), TypeError, "zeros"),
    "ragged": (
        lambda w: w.tensor([[1, 2], [3]]),
        (ValueError, TypeError),
        "length|ragged|expected",
    ),
    "text": (lambda w: w.tensor(["a"]), (TypeError, ValueError), "str"),
    "none": (lambda w: w.tensor(None), (TypeError, RuntimeError), "None"),
    "huge int": (lambda w: w.tensor(2**64), (OverflowError, RuntimeError, ValueError), ""),
    "zero step": (lambda w: w.arange(0, 3, 0), (RuntimeError, ValueError), "step"),
    "wrong sign": (lambda w: w.arange(3, 0), (RuntimeError, ValueError), "step|bound|sign"),
    "nan bound": (lambda w: w.arange(0, math.nan), (RuntimeError, ValueError), ""),
    "endless": (lambda w: w.arange(0, math.inf), (RuntimeError, ValueError, OverflowError), ""),
    "negative steps": (lambda w: w.linspace(0, 1, -2), (RuntimeError, ValueError), "step|neg"),
    "wrong dtype": (lambda w: w.zeros(2, dtype="float32"), TypeError, "dtype"),
    "wrong keyword": (lambda w: w.zeros(2, typo=3), TypeError, "typo"),
    "object array": (lambda w: w.from_numpy(np.array([None])), TypeError, "object|dtype|type"),
    "text array": (lambda w: w.from_numpy(np.array(["x"])), TypeError, ""),
    "complex array": (lambda w: w.from_numpy(np.ones(2, complex)).real.imag, Exception, ""),
    "not an array": (lambda w: w.from_numpy([1, 2]), TypeError, ""),
    "grad on ints": (lambda w: w.ones(2, dtype=w.int64, requires_grad=True), RuntimeError, "float"),
    "too many dims": (lambda w: w.zeros((1,) * 70), (RuntimeError, ValueError), "dim"),
}


ENORMOUS: dict[str, Callable[[Any], Any]] = {
    "empty": lambda w: w.empty(2**62, 4),
    "arange": lambda w: w.arange(0, 1e18),
    "repeat": lambda w: w.ones(4).repeat(2**40, 2**40),
    "tile": lambda w: w.ones(2).tile((2**62,)),
    "eye": lambda w: w.eye(2**33),
    "one_hot": lambda w: w.nn.functional.one_hot(w.tensor([2**50])),
    "bincount": lambda w: w.bincount(w.tensor([2**60])),
    "tril_indices": lambda w: w.tril_indices(2**40, 2**40),
    "triu_indices": lambda w: w.triu_indices(2**40, 2**40, -(2**62)),
    "combinations": lambda w: w.combinations(w.ones(2**20), r=5),
    "interpolate": lambda w: w.nn.functional.interpolate(w.ones(1, 1, 2), scale_factor=1e15),
    "interpolate_more": lambda w: w.nn.functional.interpolate(w.ones(1, 1, 2), scale_factor=1e30),
    "pad": lambda w: w.nn.functional.pad(w.ones(2), (2**62, 2**62)),
    "pad_replicate": lambda w: w.nn.functional.pad(
        w.ones(1, 1, 2), (2**62, 2**62), mode="replicate"
    ),
}


@pytest.mark.parametrize("name", ENORMOUS)
@pytest.mark.skipif(lib.__name__ == "torch", reason="our exceptions")
def test_enormous_results_are_refused_at_once(name: str) -> None:
    before = lib.memory_stats()["allocated_bytes"]
    with pytest.raises((lib.ShapeError, MemoryError, RuntimeError)):
        ENORMOUS[name](lib)
    assert lib.memory_stats()["allocated_bytes"] <= before + 2**23


def test_triangles_of_few_rows() -> None:
    for where in (lib, torch):
        assert tuple(where.triu_indices(2**20, 1).shape) == (2, 1)
        assert where.tril_indices(4, 3, -2).tolist() == [[2, 3, 3], [0, 0, 1]]
        assert where.triu_indices(4, 3, 1).tolist() == [[0, 0, 1], [1, 2, 2]]
        assert where.triu_indices(2, 2, -5).tolist() == [[0, 0, 1, 1], [0, 1, 0, 1]]
        assert tuple(where.tril_indices(3, 3, -7).shape) == (2, 0)


@pytest.mark.parametrize("name", BAD)
@pytest.mark.skipif(lib.__name__ == "torch", reason="our messages")
def test_bad_arguments(name: str) -> None:
    make, exception, message = BAD[name]
    with pytest.raises(exception, match=message):
        make(lib)


@pytest.mark.skipif(lib.__name__ == "torch", reason="torch has more dimensions")
def test_deep_nesting_and_self_reference() -> None:
    deep: Any = 1.0
    for _ in range(100):
        deep = [deep]
    with pytest.raises((ValueError, RuntimeError, RecursionError)):
        lib.tensor(deep)
    loop: list = []
    loop.append(loop)
    with pytest.raises((ValueError, RuntimeError, RecursionError)):
        lib.tensor(loop)


def test_default_dtype() -> None:
    assert lib.get_default_dtype() == lib.float32
    lib.set_default_dtype(lib.float64)
    try:
        assert lib.tensor([1.0]).dtype == lib.float64
        assert lib.zeros(2).dtype == lib.float64
        assert (lib.tensor([1]) / 2).dtype == lib.float64
    finally:
        lib.set_default_dtype(lib.float32)
    with pytest.raises((TypeError, RuntimeError)):
        lib.set_default_dtype(lib.int64)


def test_reading_back() -> None:
    x = lib.tensor([[1.5, 2.0], [3.0, 4.0]])
    assert x.tolist() == [[1.5, 2.0], [3.0, 4.0]]
    assert [row.tolist() for row in x] == x.tolist()
    assert len(x) == 2
    assert lib.tensor(7).item() == 7 and isinstance(lib.tensor(7).item(), int)
    assert isinstance(lib.tensor(True).item(), bool)
    assert float(lib.tensor(2.5)) == 2.5 and int(lib.tensor(2.5)) == 2 and bool(lib.tensor(1))
    assert lib.tensor([3]).item() == 3
    assert [10, 11, 12][lib.tensor(1)] == 11
    assert f"{lib.tensor(1.5):.2f}" == "1.50"
    for bad in (lambda: x.item(), lambda: float(x), lambda: bool(x), lambda: int(x)):
        with pytest.raises(
            (RuntimeError, ValueError, TypeError), match="(?i)one|element|ambiguous"
        ):
            bad()
    with pytest.raises(TypeError, match="0-d"):
        len(lib.tensor(1.0))
    with pytest.raises(TypeError, match="0-d"):
        iter(lib.tensor(1.0))


def test_tensor_attributes() -> None:
    x = lib.zeros(2, 3, dtype=lib.float64)
    assert x.shape == (2, 3) and x.size() == x.shape and x.size(-1) == 3
    assert isinstance(x.shape, tuple) and x.shape.numel() == 6
    assert x.ndim == 2 and x.dim() == 2 and x.numel() == 6 and x.nelement() == 6
    assert x.itemsize == 8 and x.element_size() == 8 and x.nbytes == 48
    assert x.is_floating_point() and not x.is_complex()
    assert x.is_leaf and not x.requires_grad and x.grad is None and x.grad_fn is None
    assert str(x.device) == "cpu" and x.device.type == "cpu" and x.device == lib.device("cpu")
    assert x.is_contiguous() and not x.t().is_contiguous()
    assert lib.is_tensor(x) and not lib.is_tensor(3)
    assert hash(x) == hash(x) and x in {x}
    with pytest.raises((AttributeError, TypeError)):
        x.no_such_attribute  # noqa: B018


@pytest.mark.parametrize("name", ["float64", "float32", "float16", "bfloat16"])
def test_finfo(name: str) -> None:
    ours, theirs = lib.finfo(getattr(lib, name)), torch.finfo(getattr(torch, name))
    for key in ("bits", "eps", "max", "min", "tiny", "smallest_normal", "resolution", "dtype"):
        assert getattr(ours, key) == getattr(theirs, key), key
    assert repr(ours) == repr(theirs)
    assert lib.finfo().dtype == "float32"
    with pytest.raises(TypeError, match="floating-point dtype, got .*int32"):
        lib.finfo(lib.int32)


@pytest.mark.parametrize("name", ["int64", "int32", "int16", "int8", "uint8"])
def test_iinfo(name: str) -> None:
    ours, theirs = lib.iinfo(getattr(lib, name)), torch.iinfo(getattr(torch, name))
    assert (ours.bits, ours.min, ours.max, ours.dtype) == (
        theirs.bits, theirs.min, theirs.max, theirs.dtype,
    )  # fmt: skip
    assert repr(lib.iinfo(lib.int8)) == repr(torch.iinfo(torch.int8))  # larger ones torch rounds
    with pytest.raises(TypeError, match="integer dtype, got .*float32"):
        lib.iinfo(lib.float32)
