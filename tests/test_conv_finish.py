"""Convolutions that finish their results themselves: norm, residual, activation in one kernel."""

from __future__ import annotations

import itertools
from typing import Any

import deeplite as dl
import numpy as np
import pytest
from deeplite.backends import conv, cpu
from deeplite.nn import functional as F

ACTIVATIONS = (
    "none", "relu", "relu6", "hardtanh", "sigmoid", "tanh", "silu", "gelu", "gelu_tanh",
    "hardswish", "hardsigmoid",
)  # fmt: skip

# x, w, stride, padding, dilation, groups
SHAPES: dict[str, tuple[Any, ...]] = {
    "3x3": ((2, 20, 13, 11), (37, 20, 3, 3), 1, 1, 1, 1),
    "many channels": ((2, 300, 9, 7), (19, 300, 3, 3), 1, 1, 1, 1),
    "strided": ((2, 24, 21, 19), (40, 24, 3, 3), 2, 1, 1, 1),
    "first": ((2, 3, 40, 37), (17, 3, 7, 7), 2, 3, 1, 1),
    "pointwise": ((2, 70, 7, 9), (45, 70, 1, 1), 1, 0, 1, 1),
    "deep pointwise": ((1, 700, 5, 5), (23, 700, 1, 1), 1, 0, 1, 1),
    "pointwise of one odd vector": ((2, 8, 7, 7), (5, 8, 1, 1), 1, 0, 1, 1),
    "depthwise": ((2, 34, 16, 23), (34, 1, 3, 3), 1, 1, 1, 34),
    "depthwise 5x5 strided": ((2, 18, 14, 14), (18, 1, 5, 5), 2, 2, 1, 18),
    "depthwise 7x7": ((1, 6, 50, 40), (12, 1, 7, 7), 1, 3, 1, 6),
    "grouped": ((2, 16, 10, 9), (24, 8, 3, 3), 1, 1, 1, 2),
    "dilated": ((1, 20, 17, 18), (11, 20, 3, 3), 1, 2, 2, 1),
    "full": ((3, 14, 5, 5), (7, 14, 5, 5), 1, 0, 1, 1),
    "1x7": ((2, 19, 17, 17), (20, 19, 1, 7), 1, (0, 3), 1, 1),
    "1d": ((2, 14, 50), (16, 14, 3), 1, 1, 1, 1),
    "3d": ((1, 3, 5, 6, 7), (9, 3, 3, 3, 3), 1, 1, 1, 1),
}


class Problem:
    """A convolution and everything that can follow it, in float64 and in another type."""

    def __init__(self, name: str, dtype: str, last: bool = False) -> None:
        xs, ws, *args = SHAPES[name]
        rng = np.random.default_rng(len(name))
        normal = rng.standard_normal
        k = ws[0]
        self.args = args
        self.x, self.w, self.bias = normal(xs), normal(ws) / np.prod(ws[1:]) ** 0.5, normal(k)
        self.norm = [normal(k), rng.uniform(0.5, 2, k), normal(k), normal(k)]
        self.dtype = dtype
        self.last = last
        self.shape = self.run().shape
        self.residual = normal(self.shape)

    def tensor(self, a: np.ndarray, dtype: str) -> dl.Tensor:
        t = dl.from_numpy(a.astype(dtype))
        if self.last and t.dim() > 3:
            last = dl.channels_last if t.dim() == 4 else dl.channels_last_3d
            t = t.contiguous(memory_format=last)
        return t

    def run(self, dtype: str = "float64", what: str = "", **options: Any) -> np.ndarray:
        """what: of "bias", "norm", "residual"."""
        x, w = self.tensor(self.x, dtype), self.tensor(self.w, dtype)
        bias = self.tensor(self.bias, dtype) if "bias" in what else None
        norm = [self.tensor(v, dtype) for v in self.norm] if "norm" in what else [None] * 4
        if "residual" in what:
            options["residual"] = self.tensor(self.residual, dtype)
        if "activation" in options and options["activation"] == "hardtanh":
            options.update(min_val=-0.5, max_val=0.75)
        y = F.fused_conv(x, w, bias, *self.args, *norm, **options)
        return y.numpy()


def composed(p: Problem, what: str, activation: str) -> np.ndarray:
    """In float64, of the ops that it is made of, by the plain loops."""
    tensors = [dl.from_numpy(a) for a in (p.x, p.w)]
    bias = dl.from_numpy(p.bias) if "bias" in what else None
    name = f"conv{len(p.shape) - 2}d"
    with conv.algorithm("reference"):
        y = getattr(F, name)(*tensors, bias, *p.args)
    if "norm" in what:
        mean, var, weight, shift = (dl.from_numpy(v) for v in p.norm)
        y = F.batch_norm(y, mean, var, weight, shift)
    if "residual" in what:
        y = y + dl.from_numpy(p.residual)
    if activation == "hardtanh":
        y = F.hardtanh(y, -0.5, 0.75)
    elif activation == "gelu_tanh":
        y = F.gelu(y, approximate="tanh")
    elif activation != "none":
        y = getattr(F, activation)(y)
    return y.numpy()


def error_of(p: Problem, y: np.ndarray, what: str, activation: str) -> float:
    """The largest error, as a share of the largest value before the activation: by that sums are
    rounded, and no activation has a slope above 1.2."""
    scale = np.abs(composed(p, what, "none")).max()
    return float(np.abs(y - composed(p, what, activation)).max() / scale)


def bound_of(algorithm: str, dtype: str = "float32") -> float:
    """As in test_conv_algorithms.py."""
    return (4e-5 if algorithm == "winograd6" else 6e-6) * (1 if dtype == "float32" else 1e-8)


def algorithms(p: Problem, dtype: str) -> list[str]:
    x, w = p.tensor(p.x, dtype), p.tensor(p.w, dtype)
    return [o.name for o in conv.explain(x, w, *p.args)]


WHAT = ("", "bias", "norm", "bias norm", "residual", "bias norm residual")


@pytest.mark.parametrize("isa", cpu.capability())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SHAPES)
def test_every_algorithm_finishes_its_results(name: str, dtype: str, isa: str) -> None:
    p = Problem(name, dtype)
    with cpu.using_isa(isa):
        names = algorithms(p, dtype)
        for i, what in enumerate(WHAT):
            activation = ("relu", "silu", "hardtanh", "hardswish", "none", "relu6")[i]
            for algorithm in names:
                with conv.algorithm(algorithm):
                    y = p.run(dtype, what, activation=activation)
                assert y.dtype == dtype and y.shape == p.shape
                error = error_of(p, y, what, activation)
                assert error <= bound_of(algorithm, dtype), (algorithm, what, activation)


@pytest.mark.parametrize("isa", cpu.capability())
@pytest.mark.parametrize("name", ["3x3", "pointwise", "depthwise", "strided"])
def test_every_activation(name: str, isa: str) -> None:
    p = Problem(name, "float32")
    with cpu.using_isa(isa):
        names = algorithms(p, "float32")
        for activation, what in itertools.product(ACTIVATIONS, ("norm", "bias residual")):
            for algorithm in names:
                with conv.algorithm(algorithm):
                    y = p.run("float32", what, activation=activation)
                error = error_of(p, y, what, activation)
                assert error <= bound_of(algorithm), (algorithm, what, activation)


@pytest.mark.parametrize("name", ["3x3", "strided", "pointwise", "depthwise", "grouped", "3d"])
def test_channels_last_results_stay_channels_last(name: str) -> None:
    p = Problem(name, "float32", last=True)
    what = "bias norm residual"
    for algorithm, activation in itertools.product(algorithms(p, "float32"), ("relu", "silu")):
        with conv.algorithm(algorithm):
            y = p.run("float32", what, activation=activation)
        assert error_of(p, y, what, activation) <= bound_of(algorithm), (algorithm, activation)
    y = F.fused_conv(p.tensor(p.x, "float32"), p.tensor(p.w, "float32"), None, *p.args)
    last = dl.channels_last if y.dim() == 4 else dl.channels_last_3d
    assert y.is_contiguous(memory_format=last)


@pytest.mark.parametrize("name", SHAPES)
def test_bits_do_not_depend_on_threads(name: str) -> None:
    p = Problem(name, "float32")
    before = dl.get_num_threads()
    try:
        for algorithm in algorithms(p, "float32"):
            results = []
            for threads in (1, 2, 4):
                dl.set_num_threads(threads)
                with conv.algorithm(algorithm):
                    results.append(p.run("float32", "bias norm residual", activation="silu"))
                    results.append(p.run("float32", "bias norm residual", activation="relu"))
            for other in (2, 4):
                for i in (0, 1):
                    np.testing.assert_array_equal(results[i], results[other + i], algorithm)
    finally:
        dl.set_num_threads(before)


@pytest.mark.parametrize("name", SHAPES)
def test_not_a_number_stays_and_spreads_no_further(name: str) -> None:
    p = Problem(name, "float32")
    p.x[0, 0] = np.nan
    p.residual[-1, -1] = np.nan
    judge = np.isnan(composed(p, "norm residual", "relu"))
    for algorithm in algorithms(p, "float32"):
        if algorithm.startswith(
            ("winograd", "atrous", "strassen")
        ):  # tiles mix what neighbours see
            continue
        with conv.algorithm(algorithm):
            y = p.run("float32", "norm residual", activation="relu")
        np.testing.assert_array_equal(np.isnan(y), judge, algorithm)


def test_more_channels_than_fit_the_stack() -> None:
    x, w = dl.randn(1, 4, 3, 3), dl.randn(5000, 4, 1, 1)
    mean, var = dl.randn(5000), dl.rand(5000) + 0.5
    y = F.fused_conv(x, w, running_mean=mean, running_var=var, activation="relu")
    expected = F.relu(F.batch_norm(F.conv2d(x, w), mean, var))
    np.testing.assert_allclose(y.numpy(), expected.numpy(), rtol=0, atol=1e-5)
