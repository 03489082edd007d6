"""Type promotion: every pair of dtypes and every kind of number, against torch."""

from __future__ import annotations

from typing import Any

import pytest
from op_testing import dtype_name, lib, to_numpy, torch

DTYPES = [
    "float32", "float64", "bfloat16", "float16", "int64", "int32", "int16", "int8", "uint8", "bool",
]  # fmt: skip
NUMBERS: list[Any] = [True, 2, -3, 2.5]
OPS = ["add", "mul", "div", "sub", "pow", "eq", "lt", "maximum", "where", "bitwise_and", "cat"]
OPS += ["floor_divide", "remainder"]


def apply(where: Any, op: str, a: Any, b: Any) -> Any:
    if op == "where":
        return where.where(where.tensor([True, False, True]), a, b)
    if op == "cat":
        return where.cat([a, b])
    return getattr(where, op)(a, b)


def both(op: str, make: Any) -> None:
    try:
        expected = apply(torch, op, *make(torch))
    except (RuntimeError, NotImplementedError, TypeError):
        try:
            apply(lib, op, *make(lib))
        except (RuntimeError, NotImplementedError, TypeError, ValueError):
            return
        return  # more than torch is fine
    got = apply(lib, op, *make(lib))
    assert dtype_name(got.dtype) == dtype_name(expected.dtype)
    assert tuple(got.shape) == tuple(expected.shape)
    tolerance = {"bfloat16": 0.01, "float16": 0.002}.get(dtype_name(got.dtype), 1e-6)
    assert to_numpy(got) == pytest.approx(to_numpy(expected), rel=tolerance)


@pytest.mark.parametrize("op", OPS)
def test_pairs(op: str) -> None:
    for left in DTYPES:
        for right in DTYPES:
            both(op, lambda w, l=left, r=right: (
                w.tensor([1, 0, 3]).to(getattr(w, l)), w.tensor([1, 2, 1]).to(getattr(w, r)),
            ))  # fmt: skip


@pytest.mark.parametrize("op", [o for o in OPS if o != "cat"])
def test_tensors_and_zero_dimensional_tensors(op: str) -> None:
    for left in DTYPES:
        for right in DTYPES:
            both(op, lambda w, l=left, r=right: (
                w.tensor([1, 0, 3]).to(getattr(w, l)), w.tensor(2).to(getattr(w, r)),
            ))  # fmt: skip


@pytest.mark.parametrize("op", [o for o in OPS if o not in ("cat", "maximum", "where")])
def test_tensors_and_numbers(op: str) -> None:
    for left in DTYPES:
        for number in NUMBERS:
            both(op, lambda w, l=left, n=number: (w.tensor([1, 0, 3]).to(getattr(w, l)), n))


@pytest.mark.parametrize("symbol", ["+", "-", "*", "/", "//", "%", "**"])
def test_numbers_on_the_left(symbol: str) -> None:
    for dtype in DTYPES:
        for number in NUMBERS:
            code = f"number {symbol} x"
            try:
                expected = eval(
                    code, {"number": number, "x": torch.tensor([1, 2, 3]).to(getattr(torch, dtype))}
                )
            except (RuntimeError, NotImplementedError):
                continue
            x = lib.tensor([1, 2, 3]).to(getattr(lib, dtype))
            got = eval(code, {"number": number, "x": x})
            assert dtype_name(got.dtype) == dtype_name(expected.dtype), (dtype, number)
            assert to_numpy(got) == pytest.approx(to_numpy(expected), rel=0.01), (dtype, number)


def test_result_type_and_friends() -> None:
    for left in DTYPES:
        for right in DTYPES:
            l, r = getattr(lib, left), getattr(lib, right)
            tl, tr = getattr(torch, left), getattr(torch, right)
            assert dtype_name(lib.promote_types(l, r)) == dtype_name(torch.promote_types(tl, tr))
            assert lib.can_cast(l, r) == torch.can_cast(tl, tr), (left, right)
            mine = lib.result_type(lib.ones(2, dtype=l), lib.ones((), dtype=r))
            theirs = torch.result_type(torch.ones(2, dtype=tl), torch.ones((), dtype=tr))
            assert dtype_name(mine) == dtype_name(theirs), (left, right)


def test_in_place_does_not_widen() -> None:
    for left in DTYPES:
        for right in DTYPES:
            results = []
            for where in (torch, lib):
                x = where.tensor([1, 0, 3]).to(getattr(where, left))
                try:
                    x.add_(where.tensor([1, 1, 1]).to(getattr(where, right)))
                except (RuntimeError, TypeError):
                    results.append("refused")
                else:
                    results.append((dtype_name(x.dtype), to_numpy(x).tolist()))
            assert results[0] == results[1], (left, right)


@pytest.mark.parametrize("dtype", DTYPES)
def test_conversions(dtype: str) -> None:
    values = [0.0, 1.0, -1.0, 2.5, -2.5, 100.0, 0.1]
    for source in DTYPES:
        expected = torch.tensor(values).to(getattr(torch, source)).to(getattr(torch, dtype))
        got = lib.tensor(values).to(getattr(lib, source)).to(getattr(lib, dtype))
        if "uint8" in (source, dtype):  # negative floats to uint8 are undefined in C
            expected, got = expected[[0, 1, 3, 5, 6]], got[[0, 1, 3, 5, 6]]
        assert to_numpy(got).tolist() == to_numpy(expected).tolist(), source
