"""Gradients of softmax over a dimension whose rows are long: walked row by row, in pieces."""

from __future__ import annotations

import deeplite as dl
import numpy as np
import pytest
import torch

SHAPES = [(2, 3, 4096), (2, 3, 4097), (1, 70, 5001), (1, 3, 40001), (3, 130, 4100)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("shape", SHAPES)
def test_gradient_of_long_rows(shape, name, dtype):
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=shape).astype(dtype), rng.normal(size=shape).astype(dtype)
    tx = torch.from_numpy(x).double().requires_grad_()
    getattr(torch.nn.functional, name)(tx, 1).backward(torch.from_numpy(dy).double())
    results = []
    threads = dl.get_num_threads()
    try:
        for n in (1, 2, 4):
            dl.set_num_threads(n)
            a = dl.tensor(x).requires_grad_()
            getattr(dl.nn.functional, name)(a, 1).backward(dl.tensor(dy))
            results.append(a.grad.numpy())
    finally:
        dl.set_num_threads(threads)
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])
    eps = np.finfo(dtype).eps
    assert np.abs(results[0] - tx.grad.numpy()).max() <= 8 * eps * np.sqrt(shape[1])
