"""Initialisers: bounds, moments, structure, generators, errors; and the layers' defaults."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from nn_pairs import array, deeplite, torch

nn, init = deeplite.nn, deeplite.nn.init


def draw(fn: Any, *args: Any, shape: tuple[int, ...] = (200, 300), **kwargs: Any) -> np.ndarray:
    deeplite.manual_seed(0)
    w = nn.Parameter(deeplite.empty(shape, dtype=deeplite.float64))
    assert fn(w, *args, **kwargs) is w
    assert w.requires_grad and w.is_leaf
    return array(w)


def uniform(values: np.ndarray, low: float, high: float) -> None:
    assert values.min() >= low and values.max() <= high
    span = high - low
    assert values.min() < low + 0.01 * span and values.max() > high - 0.01 * span
    assert abs(values.mean() - (low + high) / 2) < 0.02 * span
    assert abs(values.std() - span / math.sqrt(12)) < 0.02 * span


def normal(values: np.ndarray, mean: float, std: float) -> None:
    assert abs(values.mean() - mean) < 0.03 * std and abs(values.std() / std - 1) < 0.03


def test_plain() -> None:
    uniform(draw(init.uniform_, -2, 3), -2, 3)
    normal(draw(init.normal_, 1, 2), 1, 2)
    assert (draw(init.constant_, 0.3) == 0.3).all()
    assert (draw(init.ones_) == 1).all() and (draw(init.zeros_) == 0).all()
    np.testing.assert_array_equal(draw(init.eye_, shape=(3, 5)), np.eye(3, 5))


def test_trunc_normal() -> None:
    values = draw(init.trunc_normal_, 0.5, 2.0, -1.0, 2.0)
    assert values.min() >= -1 and values.max() <= 2
    theirs = torch.empty(200, 300, dtype=torch.float64)
    torch.nn.init.trunc_normal_(theirs, 0.5, 2.0, -1.0, 2.0)
    assert abs(values.mean() - float(theirs.mean())) < 0.02
    assert abs(values.std() - float(theirs.std())) < 0.02


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_trunc_normal_has_no_outliers(dtype: str) -> None:
    """Bounds far out, as in the Inception networks: the ends of a uniform draw are not +-infinity
    that is cut to a bound of 200 deviations."""
    kind = getattr(deeplite, dtype)
    w = init.trunc_normal_(deeplite.empty(300, 300, dtype=kind), std=0.01, a=-2.0, b=2.0)
    values = array(w.double())
    assert np.abs(values).max() < 0.08
    assert abs(values.std() / 0.01 - 1) < 0.02 and abs((values**4).mean() / 0.01**4 - 3) < 0.3


def test_trunc_normal_of_a_tail() -> None:
    values = array(init.trunc_normal_(deeplite.empty(100, 100), 0.0, 1.0, 2.0, 8.0))
    assert values.min() >= 2 and values.max() < 6
    assert abs(values.mean() - 2.3732) < 5 * 0.34 / 100  # phi(2) / (1 - Phi(2))


def test_xavier_and_kaiming() -> None:
    uniform(draw(init.xavier_uniform_, 2.0), *(s * 2 * math.sqrt(6 / 500) for s in (-1, 1)))
    normal(draw(init.xavier_normal_, 2.0), 0, 2 * math.sqrt(2 / 500))
    bound = math.sqrt(2) * math.sqrt(3 / 300)
    uniform(draw(init.kaiming_uniform_, nonlinearity="relu"), -bound, bound)
    normal(draw(init.kaiming_normal_, mode="fan_out"), 0, math.sqrt(2 / 200))
    normal(draw(init.kaiming_normal_, a=1, mode="FAN_IN"), 0, math.sqrt(1 / 300))
    conv = (20, 30, 5, 4)
    normal(draw(init.kaiming_normal_, mode="fan_out", shape=conv), 0, math.sqrt(2 / 400))
    normal(draw(init.xavier_normal_, shape=conv), 0, math.sqrt(2 / (600 + 400)))
    assert draw(init.kaiming_uniform_, shape=(0, 3)).size == 0


def test_gain() -> None:
    for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)
    for bad in (("softplus",), ("leaky_relu", "x"), ("leaky_relu", True)):
        with pytest.raises(ValueError, match="calculate_gain"):
            init.calculate_gain(*bad)


def test_orthogonal() -> None:
    for shape in ((4, 7), (7, 4), (5, 5), (6, 2, 4)):
        w = draw(init.orthogonal_, 2.0, shape=shape).reshape(shape[0], -1)
        product = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
        np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)


def test_dirac() -> None:
    for shape, groups in (((3, 2, 3), 1), ((4, 2, 3, 3), 2), ((2, 3, 3, 2, 3), 1)):
        theirs = torch.nn.init.dirac_(torch.empty(shape, dtype=torch.float64), groups)
        np.testing.assert_array_equal(draw(init.dirac_, groups, shape=shape), theirs.numpy())


def test_sparse() -> None:
    w = draw(init.sparse_, 0.25, 0.5, shape=(40, 300))
    assert ((w == 0).sum(0) == 10).all()
    normal(w[w != 0], 0, 0.5)


def test_generators() -> None:
    for fn in ("uniform_", "normal_", "trunc_normal_", "xavier_uniform_", "kaiming_normal_",
               "orthogonal_"):  # fmt: skip
        drawn = []
        for seed in (1, 1, 2):
            g = deeplite.Generator().manual_seed(seed)
            drawn.append(array(getattr(init, fn)(deeplite.empty(4, 5), generator=g)).copy())
        assert (drawn[0] == drawn[1]).all() and (drawn[0] != drawn[2]).any(), fn
    g = [deeplite.Generator().manual_seed(1) for _ in range(2)]
    a, b = (array(init.sparse_(deeplite.empty(9, 5), 0.5, generator=x)) for x in g)
    assert (a == b).all()


def test_errors() -> None:
    for fn, shape in (
        (init.eye_, (2,)), (init.dirac_, (2, 2)), (init.xavier_uniform_, (2,)),
        (init.kaiming_uniform_, (2,)), (init.orthogonal_, (2,)),
        (lambda w: init.sparse_(w, 0.1), (2,)),
        (lambda w: init.kaiming_normal_(w, mode="sideways"), (2, 2)),
        (lambda w: init.dirac_(w, 2), (3, 3, 3)),
    ):  # fmt: skip
        with pytest.raises(ValueError):
            fn(deeplite.zeros(shape))


DEFAULTS = {
    "Linear(300, 200)": 300,
    "Conv2d(30, 40, 5)": 750,
    "Conv1d(30, 300, 5, groups=3)": 50,
    "ConvTranspose2d(30, 40, 5)": 1000,  # torch's fan_in counts dimension 1
    "Bilinear(30, 20, 50)": 30,
}


@pytest.mark.parametrize("text", DEFAULTS)
def test_defaults_of_layers(text: str) -> None:
    deeplite.manual_seed(0)
    ours = eval("nn." + text, {"nn": nn})
    theirs = eval("nn." + text, {"nn": torch.nn})
    bound = 1 / math.sqrt(DEFAULTS[text])
    uniform(array(ours.weight), -bound, bound)
    uniform(array(theirs.weight), -bound, bound)
    assert np.abs(array(ours.bias)).max() <= bound
    deeplite.manual_seed(0)
    np.testing.assert_array_equal(array(eval("nn." + text, {"nn": nn}).weight), array(ours.weight))


def test_embedding_default() -> None:
    table = nn.Embedding(500, 100, padding_idx=3)
    normal(np.delete(array(table.weight), 3, 0), 0, 1)
    assert (array(table.weight[3]) == 0).all()


def test_truncated_normal_has_no_outliers() -> None:
    """The tails end where float32 ends (5.4 standard deviations), not at far bounds."""
    deeplite.manual_seed(0)
    w = deeplite.empty(1 << 25)  # two draws of exactly -1 are expected
    nn.init.trunc_normal_(w, std=0.02)
    assert 4.5 < w.abs().max().item() / 0.02 < 6
    assert abs(w.std().item() / 0.02 - 1) < 1e-3
