"""The vector functions over the whole range of float32: at most 2 ulp away from float64.

Every exponent is sampled about 8000 times, on every instruction set. Calls are so small that
denormal numbers are kept: in longer ones they count as zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import deeplite as dl
import numpy as np
import pytest
import torch
from deeplite.backends import cpu

CALL = 1024  # elements

FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any], float]] = {
    "exp": (dl.exp, torch.exp, 2),
    "exp2": (dl.exp2, torch.exp2, 2),
    "expm1": (dl.expm1, torch.expm1, 2),
    "log": (dl.log, torch.log, 2),
    "log2": (dl.log2, torch.log2, 2),
    "log10": (dl.log10, torch.log10, 2),
    "log1p": (dl.log1p, torch.log1p, 2),
    "sin": (dl.sin, torch.sin, 2),
    "cos": (dl.cos, torch.cos, 2),
    "tan": (dl.tan, torch.tan, 2),
    "tanh": (dl.tanh, torch.tanh, 2),
    "sinh": (dl.sinh, torch.sinh, 2),
    "cosh": (dl.cosh, torch.cosh, 2),
    "asinh": (dl.asinh, torch.asinh, 2),
    "atan": (dl.atan, torch.atan, 2),
    "asin": (dl.asin, torch.asin, 2),
    "acos": (dl.acos, torch.acos, 2),
    "erf": (dl.erf, torch.erf, 2),
    "sigmoid": (dl.sigmoid, torch.sigmoid, 2),
    # x h(x) exp(-x^2 / 2): three roundings after two functions. (With erf, all digits are lost
    # below -5.)
    "gelu": (
        dl.nn.functional.gelu,
        lambda x: x * 0.5 * torch.special.erfc(-x * 0.5**0.5),
        5,
    ),
    "pow(., 2.5)": (lambda x: x**2.5, lambda x: x**2.5, 2),
    "pow(., -0.75)": (lambda x: x**-0.75, lambda x: x**-0.75, 2),
    "pow(1.7, .)": (lambda x: dl.tensor(1.7) ** x, lambda x: torch.tensor(1.7).double() ** x, 2),
}

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3.4028235e38]


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    positive = np.arange(0, 0x7F800000, 1021, dtype=np.uint32).view(np.float32)
    special = np.array(SPECIAL, np.float32)
    near = np.nextafter(special, np.float32(np.inf), dtype=np.float32)
    return np.concatenate([positive, -positive, special, near])


@pytest.fixture(params=cpu.capability())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    with cpu.using_isa(request.param):
        yield request.param


def ulps(got: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Distance in units of the last place of the rounded exact value."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = exact.astype(np.float32)
        unit = np.spacing(np.minimum(np.abs(rounded), np.float32(3.4e38))).astype(np.float64)
        distance = np.abs(got.astype(np.float64) - exact) / unit
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    # Next to the overflow either side of it is within an ulp of the exact value.
    edge = np.isinf(got) & (np.abs(exact) > 3.4028233e38) & (np.sign(got) == np.sign(exact))
    return np.where(same | edge, 0, distance)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_over_the_whole_range(name: str, isa: str, samples: np.ndarray) -> None:
    function, judge, bound = FUNCTIONS[name]
    if name == "gelu" and isa not in ("avx2", "avx512"):
        bound += 2  # without fused multiply-adds exp(-x^2 / 2) takes one product more
    parts = [samples[i : i + CALL] for i in range(0, len(samples), CALL)]
    got = np.concatenate([function(dl.tensor(p)).numpy() for p in parts])
    exact = judge(torch.from_numpy(samples).double()).numpy()
    error = ulps(got, exact)
    worst = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
    assert error[worst] <= bound, (
        f"{name}({samples[worst]!r}) = {got[worst]!r}, exact {exact[worst]!r}: "
        f"{error[worst]:.2f} ulp; {np.mean(~(error <= bound)):.2%} are beyond {bound}"
    )


@pytest.mark.parametrize("quadrant", range(4))
def test_error_of_atan2(quadrant: int, isa: str) -> None:
    rng = np.random.default_rng(quadrant)
    n = 1 << 16
    y = rng.uniform(1, 2, n) * 2.0 ** rng.integers(-140, 128, n)
    near = rng.uniform(1, 2, n) * 2.0 ** rng.integers(-30, 30, n)  # quotients that matter
    far = 2.0 ** rng.integers(-140, 128, n)
    x = np.where(np.arange(n) % 4 != 0, np.minimum(y * near, 3e38), far)
    x[:64], y[64:128] = 0.0, 0.0
    x[128:192], y[192:256], x[256:320] = np.inf, np.inf, y[256:320]
    x[320:352] = y[320:352] = np.inf
    y[352:384], x[384:416] = np.nan, np.nan
    x = (x * (-1 if quadrant & 1 else 1)).astype(np.float32)
    y = (y * (-1 if quadrant & 2 else 1)).astype(np.float32)
    parts = [slice(i, i + CALL) for i in range(0, n, CALL)]
    got = np.concatenate([dl.atan2(dl.tensor(y[p]), dl.tensor(x[p])).numpy() for p in parts])
    exact = np.arctan2(y.astype(np.float64), x.astype(np.float64))
    error = ulps(got, exact)
    worst = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
    assert error[worst] <= 2, (y[worst], x[worst], got[worst], exact[worst], error[worst])
    assert (np.signbit(got) == np.signbit(exact))[~np.isnan(exact)].all()


def test_error_of_pow_with_two_tensors(isa: str) -> None:
    rng = np.random.default_rng(0)
    n = 1 << 18
    x = (rng.uniform(1, 2, n) * 2.0 ** rng.integers(-30, 30, n)).astype(np.float32)
    x[::2] = (1 + rng.uniform(-1, 1, n // 2) * 2.0 ** -rng.integers(0, 24, n // 2)).astype("f4")
    with np.errstate(divide="ignore"):  # results all over the range of float32
        y = (rng.uniform(-155, 135, n) / np.log2(np.abs(x).astype(np.float64))).astype(np.float32)
    special = np.array([*SPECIAL, 2.0, 3.0, -2.0, -3.0, 1e30, 16777217.0, -0.75], np.float32)
    pairs = np.stack(np.meshgrid(special, special)).reshape(2, -1)
    x, y = np.concatenate([x, pairs[0]]), np.concatenate([y, pairs[1]])
    parts = [slice(i, i + CALL) for i in range(0, len(x), CALL)]
    got = np.concatenate([(dl.tensor(x[p]) ** dl.tensor(y[p])).numpy() for p in parts])
    exact = torch.pow(torch.from_numpy(x).double(), torch.from_numpy(y).double()).numpy()
    error = ulps(got, exact)
    worst = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
    assert error[worst] <= 2, (x[worst], y[worst], got[worst], exact[worst], error[worst])
