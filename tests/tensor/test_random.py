"""Random numbers: distributions by their statistics, seeds, generators, independence of threads."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from op_testing import lib, to_numpy, torch

N = 200_000
DRAWS: dict[str, tuple[Callable[[Any], Any], float, float]] = {  # draw, mean, variance
    "rand": (lambda w: w.rand(N), 0.5, 1 / 12),
    "randn": (lambda w: w.randn(N), 0.0, 1.0),
    "rand double": (lambda w: w.rand(N, dtype=w.float64), 0.5, 1 / 12),
    "randn double": (lambda w: w.randn(N, dtype=w.float64), 0.0, 1.0),
    "randint": (lambda w: w.randint(0, 10, (N,)), 4.5, 99 / 12),
    "randint low": (lambda w: w.randint(-5, 6, (N,)), 0.0, 120 / 12),
    "normal": (lambda w: w.normal(2.0, 3.0, (N,)), 2.0, 9.0),
    "bernoulli": (lambda w: w.full((N,), 0.3).bernoulli(), 0.3, 0.21),
    "poisson": (lambda w: w.poisson(w.full((N,), 4.0)), 4.0, 4.0),
    "uniform_": (lambda w: w.empty(N).uniform_(-1, 3), 1.0, 16 / 12),
    "normal_": (lambda w: w.empty(N).normal_(-1, 0.5), -1.0, 0.25),
    "exponential_": (lambda w: w.empty(N).exponential_(2.0), 0.5, 0.25),
    "geometric_": (lambda w: w.empty(N).geometric_(0.25), 4.0, 12.0),
    "log_normal_": (
        lambda w: w.empty(N).log_normal_(0.0, 0.5),
        math.exp(0.125),
        (math.exp(0.25) - 1) * math.exp(0.25),
    ),
    "random_": (lambda w: w.empty(N).random_(0, 100), 49.5, 9999 / 12),
    "bernoulli_": (lambda w: w.empty(N).bernoulli_(0.8), 0.8, 0.16),
}


@pytest.mark.parametrize("name", DRAWS)
def test_mean_and_variance(name: str) -> None:
    draw, mean, variance = DRAWS[name]
    lib.manual_seed(123)
    x = to_numpy(draw(lib)).astype(np.float64)
    assert np.isfinite(x).all()
    assert abs(x.mean() - mean) < 5 * math.sqrt(variance / N), x.mean()
    assert abs(x.var() / variance - 1) < 0.05, x.var()
    lag = np.corrcoef(x[:-1], x[1:])[0, 1]
    assert abs(lag) < 5 / math.sqrt(N)


@pytest.mark.parametrize("name", DRAWS)
def test_seeds(name: str) -> None:
    draw = DRAWS[name][0]
    drawn = []
    for seed in (1, 1, 2):
        lib.manual_seed(seed)
        drawn.append(to_numpy(draw(lib)))
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).mean() > 0.2
    assert not np.array_equal(to_numpy(draw(lib)), drawn[2])  # the stream moves on


def test_uniform_stays_in_its_range_and_normal_has_tails() -> None:
    lib.manual_seed(0)
    u = lib.rand(1_000_000)
    assert u.min().item() >= 0 and u.max().item() < 1
    z = np.abs(to_numpy(lib.randn(1_000_000)))
    for bound, share in ((1, 0.3173), (2, 0.0455), (3, 0.0027)):
        assert abs((z > bound).mean() - share) < 5 * math.sqrt(share / 1e6)


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.skipif(lib.__name__ == "torch", reason="our promise")
def test_threads_do_not_matter(name: str) -> None:
    before, drawn = lib.get_num_threads(), []
    try:
        for threads in (1, 3):
            lib.set_num_threads(threads)
            lib.manual_seed(9)
            drawn.append(to_numpy(DRAWS[name][0](lib)))
    finally:
        lib.set_num_threads(before)
    np.testing.assert_array_equal(drawn[0], drawn[1])


def test_generators_are_independent_of_the_global_one() -> None:
    g = lib.Generator()
    g.manual_seed(7)
    lib.manual_seed(1)
    first = lib.rand(5, generator=g).tolist()
    after = lib.rand(5).tolist()
    lib.manual_seed(1)
    assert lib.rand(5).tolist() == after
    g.manual_seed(7)
    assert lib.rand(5, generator=g).tolist() == first
    assert g.initial_seed() == 7
    state = g.get_state()
    second = lib.rand(5, generator=g).tolist()
    g.set_state(state)
    assert lib.rand(5, generator=g).tolist() == second
    assert lib.rand(5, generator=lib.Generator().manual_seed(7)).tolist() == first


def test_rng_state() -> None:
    lib.manual_seed(3)
    state = lib.get_rng_state()
    first = lib.randn(4).tolist()
    lib.set_rng_state(state)
    assert lib.randn(4).tolist() == first
    assert lib.initial_seed() == 3
    assert isinstance(lib.seed(), int)


def test_permutations() -> None:
    lib.manual_seed(0)
    assert sorted(lib.randperm(1000).tolist()) == list(range(1000))
    assert lib.randperm(0).tolist() == [] and lib.randperm(1).tolist() == [0]
    counts = np.zeros((4, 4))
    for _ in range(4000):
        counts[np.arange(4), lib.randperm(4).numpy()] += 1
    assert np.abs(counts - 1000).max() < 150


def test_multinomial() -> None:
    lib.manual_seed(0)
    weights = lib.tensor([1.0, 0.0, 3.0])
    drawn = to_numpy(lib.multinomial(weights, 40_000, replacement=True))
    shares = np.bincount(drawn, minlength=3) / 40_000
    assert shares[1] == 0 and abs(shares[2] - 0.75) < 0.02
    assert sorted(lib.multinomial(weights, 2).tolist()) == [0, 2]
    with pytest.raises(RuntimeError):
        lib.multinomial(weights, 4)
    with pytest.raises(RuntimeError):
        lib.multinomial(lib.tensor([-1.0, 2.0]), 1)
    with pytest.raises(RuntimeError):
        lib.multinomial(lib.tensor([float("nan"), 2.0]), 1)


BAD_PARAMETERS: dict[str, tuple[Callable[[Any], Any], type[Exception]]] = {
    "uniform": (lambda w: w.empty(3).uniform_(2, 1), RuntimeError),
    "normal": (lambda w: w.normal(0.0, -1.0, (3,)), RuntimeError),
    "bernoulli": (lambda w: w.full((3,), 1.5).bernoulli(), RuntimeError),
    "exponential": (lambda w: w.empty(3).exponential_(-1.0), RuntimeError),
    "randint": (lambda w: w.randint(5, 5, (3,)), RuntimeError),
    "randperm": (lambda w: w.randperm(-1), RuntimeError),
    "dropout": (lambda w: w.nn.functional.dropout(w.ones(3), 1.5), ValueError),
    "geometric": (lambda w: w.empty(3).geometric_(0.0), RuntimeError),
}


@pytest.mark.parametrize("name", BAD_PARAMETERS)
def test_bad_parameters(name: str) -> None:
    bad, exception = BAD_PARAMETERS[name]
    with pytest.raises(exception):
        bad(torch)
    with pytest.raises(exception, match=name):
        bad(lib)


def test_normal_numbers_are_not_integers() -> None:
    with pytest.raises(TypeError, match="normal_.*floating"):  # torch: NotImplementedError
        lib.empty(3, dtype=lib.int64).normal_()


def test_a_failed_draw_leaves_the_stream_alone() -> None:
    lib.manual_seed(5)
    expected = lib.rand(3).tolist()
    lib.manual_seed(5)
    with pytest.raises((RuntimeError, ValueError)):
        lib.normal(0.0, -1.0, (3,))
    assert lib.rand(3).tolist() == expected
