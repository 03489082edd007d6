"""What the small samples of the op cases cannot show of elementwise kernels: accuracy over the
whole range of floats, and inputs larger than a tile, a vector or one thread's share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import deeplite as dl
import numpy as np
import pytest
import torch

ISAS = dl.backends.cpu.capability()
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, 2.0, 1e-45, -1e-45, 1.1754944e-38,
           88.72284, 88.8, -87.4, -103.9, -104.1, 3.4028235e38, 1e6, 999999.9]  # fmt: skip
# name -> (largest error in units in the last place, exact values in float64)
FUNCTIONS: dict[str, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {
    "exp": (2, np.exp), "exp2": (2, np.exp2), "expm1": (2, np.expm1), "log": (2, np.log),
    "log1p": (2, np.log1p), "log2": (1, np.log2), "log10": (1, np.log10), "sin": (2, np.sin),
    "cos": (2, np.cos), "tan": (2, np.tan), "asin": (1, np.arcsin), "acos": (1, np.arccos),
    "atan": (1, np.arctan), "sinh": (1, np.sinh), "cosh": (1, np.cosh), "tanh": (2, np.tanh),
    "asinh": (1, np.arcsinh), "acosh": (1, np.arccosh), "atanh": (1, np.arctanh),
    "sigmoid": (2, lambda x: np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))),
    "erf": (2, lambda x: torch.erf(torch.from_numpy(x)).numpy()), "sqrt": (0.5, np.sqrt),
}  # fmt: skip


def whole_range() -> np.ndarray:
    """Every 40009th bit pattern, the neighbourhood of 0 and of the usual arguments, oddities."""
    patterns = np.arange(0, 2**32, 40009, dtype=np.uint64).astype(np.uint32).view(np.float32)
    dense = np.concatenate([np.linspace(-20, 20, 20011), np.linspace(0.5, 2, 10007)])
    return np.concatenate([patterns, dense.astype(np.float32), np.float32(SPECIAL)])


def apply(f: Callable[[Any], Any], x: np.ndarray, piece: int = 500) -> np.ndarray:
    """In pieces so short that denormals are not flushed to zero."""
    parts = [x[i : i + piece] for i in range(0, x.size, piece)]
    return np.concatenate([f(dl.tensor(p)).numpy() for p in parts])


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("isa", ISAS)
def test_accuracy(name: str, isa: str) -> None:
    limit, exact = FUNCTIONS[name]
    x = whole_range()
    with np.errstate(all="ignore"), dl.backends.cpu.using_isa(isa):
        mine, truth = apply(getattr(dl, name), x), exact(x.astype(np.float64))
        rounded = truth.astype(np.float32)
        np.testing.assert_array_equal(np.isnan(mine), np.isnan(rounded))
        # Where the exact value overflows float32 by less than the bound, either answer will do.
        clear = np.isfinite(rounded) & np.isfinite(mine)
        far = np.isinf(truth) | (np.abs(truth) > 3.4028247e38)
        np.testing.assert_array_equal(mine[far & ~np.isnan(truth)], rounded[far & ~np.isnan(truth)])
        zeros = (rounded == 0) & (mine == 0)
        np.testing.assert_array_equal(np.signbit(mine[zeros]), np.signbit(rounded[zeros]))
        ulp = np.spacing(np.abs(rounded)).astype(np.float64)
        error = np.where(clear, np.abs(mine - truth) / ulp, 0.0)
    worst = int(error.argmax())
    assert error[worst] <= limit + 0.01, (
        f"{name}({x[worst]!r}) = {mine[worst]!r}: {error[worst]:.2f} ulp"
    )


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", ["exp", "log", "tanh", "sigmoid", "erf", "expm1", "log1p"])
def test_accuracy_of_doubles(name: str, isa: str) -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-30, 30, 20000), rng.uniform(-1, 1, 20000) ** 5, SPECIAL])
    with np.errstate(all="ignore"), dl.backends.cpu.using_isa(isa):
        mine, wide = apply(getattr(dl, name), x), x.astype(np.longdouble)
        if name == "erf":
            truth = torch.erf(torch.from_numpy(x)).numpy().astype(np.longdouble)
        else:
            truth = FUNCTIONS[name][1](wide)
        error = np.abs(mine - truth) / np.spacing(np.abs(truth.astype(np.float64)))
    finite = np.isfinite(truth)
    np.testing.assert_array_equal(mine[~finite], truth[~finite].astype(np.float64))
    assert float(error[finite].max()) <= (3.01 if name == "erf" else 2.01)  # torch: 1 ulp itself


def layouts(shape: tuple[int, ...], dtype: str) -> Iterator[tuple[str, Any]]:
    rng = np.random.default_rng(7)

    def fresh(s: tuple[int, ...]) -> Any:
        return dl.tensor(rng.uniform(0.5, 9, s).astype(dtype))

    lead, last = shape[:-1], shape[-1]
    yield "contiguous", fresh(shape)
    yield "transposed", fresh((*lead[:-1], last, lead[-1])).transpose(-1, -2)
    yield "reversed order", fresh(shape[::-1]).permute(*range(len(shape))[::-1])
    yield "every second", fresh((*lead, 2 * last))[..., ::2]
    yield "every third row", fresh((3 * lead[0], *shape[1:]))[::3]
    yield "row", fresh((last,)).expand(*shape)
    yield "column", fresh((*lead, 1)).expand(*shape)
    yield "number", fresh((1,)).expand(*shape)
    yield "gap", fresh((*lead, last + 3))[..., 1:-2]


SHAPES = [(3, 5), (700, 3), (3, 700), (129, 257), (5, 6, 7, 33), (40, 2, 1000), (2, 70000)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "int32", "int8"])
def test_layouts(shape: tuple[int, ...], dtype: str) -> None:
    tensors = list(layouts(shape, dtype))
    for i, (name, x) in enumerate(tensors):
        other, y = tensors[(i + 4) % len(tensors)]
        a, b = x.numpy().copy(), y.numpy().copy()
        what = f"{name} with {other}"
        np.testing.assert_array_equal((x + y).numpy(), a + b, err_msg=what)
        np.testing.assert_array_equal((x < y).numpy(), a < b, err_msg=what)
        np.testing.assert_array_equal(dl.where(x < y, x, y).numpy(), np.minimum(a, b), err_msg=what)
        np.testing.assert_array_equal(x.clone().numpy(), a, err_msg=what)
        np.testing.assert_array_equal(x.contiguous().numpy(), a, err_msg=what)
        np.testing.assert_array_equal(x.double().numpy(), a.astype(np.float64), err_msg=what)
        if name not in ("row", "column", "number"):  # written to in place
            x.add_(y)
            np.testing.assert_array_equal(x.numpy(), a + b, err_msg=what)
            x.copy_(y)
            np.testing.assert_array_equal(x.numpy(), b, err_msg=what)


@pytest.mark.parametrize("n", [*range(20), 31, 33, 63, 64, 65, 511, 513, 8193, 32769, 100003])
def test_lengths(n: int) -> None:
    """Vectors, their rests, tiles and thread shares: nothing written beyond the end."""
    x = np.random.default_rng(n).uniform(0.1, 3, n + 5).astype(np.float32)
    for f, g in ((dl.exp, np.exp), (dl.sqrt, np.sqrt), (dl.neg, np.negative), (dl.log, np.log)):
        y = dl.full((n + 5,), -7.0)
        y[:n].copy_(f(dl.tensor(x[:n])))
        np.testing.assert_allclose(y.numpy()[:n], g(x[:n]), rtol=5e-7)
        whole = dl.tensor(x)
        getattr(whole[2 : n + 2], f"{f.__name__}_" if hasattr(f, "__name__") else "neg_")()
        np.testing.assert_array_equal(whole.numpy()[:2], x[:2])
        np.testing.assert_array_equal(whole.numpy()[n + 2 :], x[n + 2 :])
        np.testing.assert_array_equal(y.numpy()[n:], -7.0)


def test_overlap_in_place() -> None:
    """An operand that shares memory with the result is read before it is written."""
    x = dl.arange(10.0)
    x[1:].add_(x[:-1])
    np.testing.assert_array_equal(x.numpy(), [0, 1, 3, 5, 7, 9, 11, 13, 15, 17])
    m = dl.arange(9.0).reshape(3, 3)
    expected = m.numpy() + m.numpy().T
    m.add_(m.t())
    np.testing.assert_array_equal(m.numpy(), expected)


def test_integers_divide_safely() -> None:
    for dtype, low in ((dl.int8, -128), (dl.int32, -(2**31)), (dl.int64, -(2**63))):
        x = dl.tensor([low, low + 1], dtype=dtype)
        assert (x // -1).tolist() == [low, -(low + 1)]
        assert (x % -1).tolist() == [0, 0]
        for op in (dl.floor_divide, dl.remainder, dl.fmod):
            with pytest.raises(RuntimeError, match="ZeroDivisionError"):
                op(x, dl.tensor([1, 0], dtype=dtype))


def test_same_bits_for_any_thread_count() -> None:
    x = dl.tensor(np.random.default_rng(3).normal(size=(300, 1000)).astype(np.float32))
    threads, results = dl.get_num_threads(), []
    for n in (1, 2, 4):
        dl.set_num_threads(n)
        results.append(
            [f(x).numpy() for f in (dl.exp, dl.tanh, dl.sin)] + [(x.t() * x[0, 0]).numpy()]
        )
    dl.set_num_threads(threads)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)
