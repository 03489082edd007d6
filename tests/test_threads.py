"""Inputs large enough to be cut into many chunks: any number of threads gives the same bits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from op_testing import lib, to_numpy

pytestmark = pytest.mark.skipif(lib.__name__ == "torch", reason="our promise, not torch's")
F = lib.nn.functional


def normal(*shape: int, dtype: type = np.float32) -> Any:
    rng = np.random.default_rng(sum(shape))
    return lib.from_numpy(rng.standard_normal(shape).astype(dtype))


BIG: dict[str, Callable[[], Any]] = {
    "add": lambda: normal(700, 700) + normal(700),
    "exp": lambda: normal(700, 700).exp(),
    "sum": lambda: normal(1_000_003).sum(),
    "sum rows": lambda: normal(3, 300_001).sum(1),
    "sum columns": lambda: normal(3001, 301).sum(0),
    "mean": lambda: normal(501, 701).mean((0, 1)),
    "var": lambda: normal(700_001).var(),
    "max": lambda: normal(401, 1201).max(1),
    "cumsum": lambda: normal(300_007).cumsum(0),
    "norm": lambda: lib.linalg.vector_norm(normal(700_001)),
    "matmul": lambda: normal(301, 403) @ normal(403, 205),
    "matvec": lambda: normal(801, 1003) @ normal(1003),
    "dot": lambda: lib.dot(normal(900_001), normal(900_001)),
    "softmax": lambda: normal(601, 901).softmax(1),
    "softmax inside": lambda: normal(5, 21, 90, 90).softmax(1),
    "cumsum rows": lambda: normal(301, 1003).cumsum(1),
    "prod": lambda: (normal(700_001) * 0.01 + 1).prod(),
    "logsumexp columns": lambda: normal(1001, 301).logsumexp(0),
    "gelu bfloat16": lambda: F.gelu(normal(700, 700).to(lib.bfloat16)).float(),
    "pad": lambda: F.pad(normal(4, 16, 60, 60), (2, 3, 1, 2), mode="reflect"),
    "bilinear": lambda: F.interpolate(normal(4, 16, 60, 60), scale_factor=1.7, mode="bilinear"),
    "bicubic down": lambda: F.interpolate(normal(4, 16, 90, 90), size=(41, 37), mode="bicubic"),
    "adaptive_avg_pool2d": lambda: F.adaptive_avg_pool2d(normal(16, 32, 13, 13), 6),
    "adaptive_max_pool2d": lambda: F.adaptive_max_pool2d(normal(16, 32, 13, 13), 6),
    "global max": lambda: F.adaptive_max_pool2d(normal(16, 64, 13, 13), 1),
    "randint": lambda: (lib.manual_seed(4), lib.randint(0, 1000, (300_007,)))[1],
    "index_add": lambda: lib.zeros(50, 64).index_add(
        0, lib.arange(20_000) % 50, normal(20_000, 64)
    ),
    "sort": lambda: normal(200_003).sort(),
    "topk": lambda: normal(40, 5001).topk(17),
    "conv2d": lambda: F.conv2d(normal(4, 16, 40, 40), normal(24, 16, 3, 3), padding=1),
    "max_pool2d": lambda: F.max_pool2d(normal(8, 16, 60, 60), 3, 2),
    "layer_norm": lambda: F.layer_norm(normal(900, 600), (600,)),
    "cross_entropy": lambda: F.cross_entropy(
        normal(5000, 100), lib.arange(5000) % 100, reduction="sum"
    ),
    "index_select": lambda: normal(5000, 100).index_select(0, lib.arange(4999, -1, -1)),
    "scatter_add": lambda: lib.zeros(50).scatter_add(0, lib.arange(400_000) % 50, normal(400_000)),
    "randn": lambda: (lib.manual_seed(4), lib.randn(300_007))[1],
    "dropout": lambda: (lib.manual_seed(4), F.dropout(normal(600, 600), 0.3))[1],
    "randperm": lambda: (lib.manual_seed(4), lib.randperm(100_003))[1],
}


def leaves(result: Any) -> list[np.ndarray]:
    items = result if isinstance(result, (list, tuple)) else [result]
    return [to_numpy(t) for t in items]


@pytest.fixture(autouse=True)
def restore() -> Any:
    threads = lib.get_num_threads()
    yield
    lib.set_num_threads(threads)


@pytest.mark.parametrize("name", BIG)
def test_same_bits(name: str) -> None:
    results = []
    for threads in (1, 2, 5):
        lib.set_num_threads(threads)
        results.append(leaves(BIG[name]()))
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_more_threads_than_there_are_shares_or_chunks() -> None:
    """Every chunk is done once, whoever begins where: adding in place would show another time."""
    for size in (20_001, 300_001, 3_000_001):
        for threads in (3, 31, 32, 33, 70):
            lib.set_num_threads(threads)
            x = lib.zeros(size)
            for _ in range(3):
                x.add_(1)
            assert (to_numpy(x) == 3).all(), (size, threads)


def test_same_bits_in_a_training_step() -> None:
    def step() -> list[np.ndarray]:
        lib.manual_seed(0)
        model = lib.nn.Sequential(
            lib.nn.Conv2d(3, 12, 3, padding=1), lib.nn.BatchNorm2d(12), lib.nn.ReLU(),
            lib.nn.MaxPool2d(2), lib.nn.Flatten(), lib.nn.Linear(12 * 16 * 16, 30),
        )  # fmt: skip
        loss = F.cross_entropy(model(normal(16, 3, 32, 32)), lib.arange(16))
        loss.backward()
        return [to_numpy(loss), *(to_numpy(p.grad) for p in model.parameters())]

    results = []
    for threads in (1, 2, 5):
        lib.set_num_threads(threads)
        results.append(step())
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_many_python_threads_at_once() -> None:
    """Eight threads compute and differentiate at once; each gets what it would get alone."""
    x = [normal(120, 90 + i) for i in range(8)]

    def work(i: int) -> np.ndarray:
        a = x[i].clone().requires_grad_()
        (a.t() @ a).tanh().sum().backward()
        return to_numpy(a.grad)

    alone = [work(i) for i in range(8)]
    for _ in range(3):
        got: list[Any] = [None] * 8
        failures: list[BaseException] = []

        def run(i: int, got: list[Any] = got, failures: list[BaseException] = failures) -> None:
            try:
                got[i] = work(i)
            except BaseException as e:
                failures.append(e)

        threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not failures, failures
        for a, b in zip(alone, got, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("bad", [0, -1])
def test_bad_thread_counts(bad: int) -> None:
    with pytest.raises((ValueError, RuntimeError), match="thread"):
        lib.set_num_threads(bad)
