"""Reductions of half floats are computed from the halves in float32 and rounded once."""

from __future__ import annotations

import deeplite as dl
import pytest
import torch

SHAPES = [
    ((9001,), None),
    ((3, 4100), (1,)),
    ((4100, 3), (0,)),
    ((700, 300), (0,)),
    ((5, 37, 130), (0, 2)),
    ((5, 37, 130), (1,)),
]
NAMES = ("sum", "mean", "amax", "amin", "prod", "var", "norm", "norm3", "logsumexp", "nansum")


def apply(lib, name, x, dims):
    over = tuple(range(x.dim())) if dims is None else dims
    if name == "prod":
        for d in sorted(over, reverse=True):
            x = x.prod(d)
        return x
    if name in ("norm", "norm3"):
        norm = torch.linalg.vector_norm if lib is torch else lib.linalg.vector_norm
        return norm(x, 2 if name == "norm" else 3, over)
    return getattr(lib, name)(x, over)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("shape", "dims"), SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_rounded_once(name, shape, dims, turned, dtype):
    torch.manual_seed(0)
    spread = 0.002 if name == "prod" else 1.0  # products of thousands of factors stay near 1
    x = (torch.rand(shape) * spread + (1.0 if name == "prod" else -0.3)).to(getattr(torch, dtype))
    if name == "prod" and len(shape) == 3 and dims != (1,):
        pytest.skip("a product over several dimensions is rounded between them")
    y = dl.from_numpy(x.float().numpy()).to(getattr(dl, dtype))
    if turned and len(shape) > 1:
        x, y = x.transpose(0, -1), y.transpose(0, -1)
        dims = tuple({0: len(shape) - 1, len(shape) - 1: 0}.get(d, d) for d in dims)
    expected = apply(torch, name, x.double(), dims)
    got = apply(dl, name, y, dims)
    assert got.dtype == getattr(dl, dtype)
    eps = {"bfloat16": 2.0**-8, "float16": 2.0**-11}[dtype]
    error = (torch.from_numpy(got.float().numpy()).double() - expected).abs()
    assert bool((error <= eps * 1.01 * expected.abs() + 2.0**-25).all())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize(("shape", "dim"), [((9001,), 0), ((5, 4100), 1), ((4100, 5), 0)])
def test_places_and_counts(shape, dim, dtype):
    torch.manual_seed(1)
    x = torch.randint(-40, 40, shape).to(getattr(torch, dtype))
    y = dl.from_numpy(x.float().numpy()).to(getattr(dl, dtype))
    assert dl.argmax(y, dim).tolist() == first_places(x, dim, x.amax(dim, True))
    assert dl.argmin(y, dim).tolist() == first_places(x, dim, x.amin(dim, True))
    assert dl.count_nonzero(y, dim).tolist() == torch.count_nonzero(x, dim).tolist()
    assert dl.all(y, dim).tolist() == torch.all(x, dim).tolist()
    assert dl.any(y, dim).tolist() == torch.any(x, dim).tolist()
    values, where = dl.max(y, dim)
    assert values.tolist() == x.amax(dim).tolist()
    assert where.tolist() == dl.argmax(y, dim).tolist()


def first_places(x, dim, value):
    return (x == value).to(torch.int8).argmax(dim).tolist()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_not_a_number(dtype):
    x = dl.ones(5000).to(getattr(dl, dtype))
    x[4321] = float("nan")
    assert str(x.amax().item()) == "nan"
    assert dl.argmin(x).item() == 4321
    assert x.nansum().item() == dl.tensor(4999.0).to(getattr(dl, dtype)).item()
