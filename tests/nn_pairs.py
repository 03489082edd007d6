"""One model in two libraries: built twice, weights copied, results compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import deeplite
import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

LIBRARIES = (deeplite, torch)


def array(tensor: Any) -> np.ndarray:
    """Any tensor as a numpy array."""
    return tensor.detach().cpu().numpy()


def tensors(values: list[Any], grad: bool = True) -> tuple[list[Any], list[Any]]:
    """The same arrays as tensors of both libraries; floating ones want gradients."""
    made: tuple[list[Any], list[Any]] = ([], [])
    for lib, out in zip(LIBRARIES, made):
        for v in values:
            t = lib.tensor(v)
            if grad and t.is_floating_point():
                t.requires_grad_()
            out.append(t)
    return made


def copy_weights(source: Any, target: Any, lib: Any) -> None:
    """Loads torch's state_dict into deeplite's module (or the other way round)."""
    target.load_state_dict({k: lib.tensor(array(v)) for k, v in source.state_dict().items()})


def build(make: Callable[[Any], Any]) -> tuple[Any, Any]:
    """A module of both libraries in float64, with torch's weights."""
    ours, theirs = (make(lib.nn).double() for lib in LIBRARIES)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    copy_weights(theirs, ours, deeplite)
    return ours, theirs


def close(ours: Any, theirs: Any, tol: float = 1e-10, what: str = "") -> None:
    if isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs), what
        for a, b in zip(ours, theirs):
            close(a, b, tol, what)
        return
    if theirs is None:
        assert ours is None, what
        return
    a, b = array(ours), array(theirs)
    assert a.shape == b.shape, (what, a.shape, b.shape)
    assert a.dtype == b.dtype, (what, a.dtype, b.dtype)
    np.testing.assert_allclose(a, b, rtol=tol, atol=tol, err_msg=what)


def total(result: Any, lib: Any) -> Any:
    """A scalar that weighs every entry of the results differently."""
    parts = result if isinstance(result, (tuple, list)) else [result]
    loss = 0.0
    for part in parts:
        if part.is_floating_point():
            weights = np.cos(np.arange(part.numel(), dtype=np.float64)).reshape(part.shape)
            loss = loss + (part * lib.tensor(weights)).sum()
    return loss


def compare_step(ours: Any, theirs: Any, values: list[Any], tol: float = 1e-10) -> None:
    """Outputs, gradients of inputs and weights, and buffers after a forward and backward pass."""
    inputs = tensors(values)
    results = [m(*x) for m, x in zip((ours, theirs), inputs)]
    close(*results, tol=tol, what="output")
    for result, lib in zip(results, LIBRARIES):
        loss = total(result, lib)
        if loss.requires_grad:
            loss.backward()
    for a, b in zip(*inputs):
        close(a.grad, b.grad, tol, "gradient of an input")
    for (name, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters()):
        close(a.grad, b.grad, tol, f"gradient of {name}")
    for (name, a), (_, b) in zip(ours.named_buffers(), theirs.named_buffers()):
        close(a, b, tol, f"buffer {name}")
