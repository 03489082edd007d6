"""One gradient at a time: the forward pass is done once, what is timed is a backward pass alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.library import Library


def backward_of(
    library: Library, result: Any, inputs: Sequence[Any], memory_format: Any = None
) -> Callable[[], Any]:
    """A call that computes the gradients of `inputs` from a fixed gradient of `result`.

    `inputs` are leaves that want a gradient; what is not among them is not computed, which is how a
    convolution's two gradients are timed apart.
    """
    shape = tuple(result.shape)
    rng = np.random.default_rng(99)
    seed = library.tensor(rng.standard_normal(shape).astype(np.float32)).to(result.dtype)
    if memory_format is not None:
        seed = seed.contiguous(memory_format=memory_format)
    grad = library.module.autograd.grad
    wanted = list(inputs)
    return lambda: grad(result, wanted, seed, retain_graph=True)
