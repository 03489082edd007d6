"""Small operations, where the call is what costs: with and without a gradient to record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.library import Library
from benchmarks.runner import time_all
from benchmarks.suites import memory
from benchmarks.work import Call, Options, Work

Small = Callable[[Library, bool], Call]


def vector(library: Library, *shape: int, grad: bool = False) -> Any:
    data = np.random.default_rng(5).standard_normal(shape).astype(np.float32)
    return library.tensor(data, grad=grad)


def add(library: Library, grad: bool) -> Call:
    x = vector(library, 4, grad=grad)
    return lambda: x + x


def scale(library: Library, grad: bool) -> Call:
    x = vector(library, 4, grad=grad)
    return lambda: x * 2.0


def relu(library: Library, grad: bool) -> Call:
    x, f = vector(library, 4, grad=grad), library.functional.relu
    return lambda: f(x)


def matmul(library: Library, grad: bool) -> Call:
    x = vector(library, 4, 4, grad=grad)
    return lambda: x @ x


def total(library: Library, grad: bool) -> Call:
    x = vector(library, 4, grad=grad)
    return lambda: x.sum()


def view(library: Library, grad: bool) -> Call:
    x = vector(library, 4, 4, grad=grad)
    return lambda: x.view(16)


def transpose(library: Library, grad: bool) -> Call:
    x = vector(library, 4, 4, grad=grad)
    return lambda: x.transpose(0, 1)


def pick(library: Library, grad: bool) -> Call:
    x = vector(library, 4, 4, grad=grad)
    return lambda: x[1]


def cut(library: Library, grad: bool) -> Call:
    x = vector(library, 4, 4, grad=grad)
    return lambda: x[:, 1:3]


def linear(library: Library, grad: bool) -> Call:
    x, w, b = vector(library, 2, 4), vector(library, 3, 4, grad=grad), vector(library, 3, grad=grad)
    f = library.functional.linear
    return lambda: f(x, w, b)


def conv(library: Library, grad: bool) -> Call:
    x, w = vector(library, 1, 2, 4, 4), vector(library, 2, 2, 3, 3, grad=grad)
    f = library.functional.conv2d
    return lambda: f(x, w, None, 1, 1)


def softmax(library: Library, grad: bool) -> Call:
    x, f = vector(library, 2, 4, grad=grad), library.functional.softmax
    return lambda: f(x, dim=1)


def concatenate(library: Library, grad: bool) -> Call:
    x, f = vector(library, 4, grad=grad), library.module.cat
    return lambda: f([x, x])


def layer(library: Library, grad: bool) -> Call:
    module = library.nn.Linear(4, 3)
    with library.module.no_grad():
        module.weight.copy_(vector(library, 3, 4))
        module.bias.copy_(vector(library, 3))
    module.to(getattr(library.module, library.floats))
    module.requires_grad_(grad)
    x = vector(library, 2, 4)
    return lambda: module(x)


def chain(library: Library, grad: bool) -> Call:
    """Eight modules in a Sequential, so a call each."""
    module = library.nn.Sequential(*(library.nn.ReLU() for _ in range(8)))
    x = vector(library, 4, grad=grad)
    return lambda: module(x)


def step(library: Library, grad: bool) -> Call:
    """Forward and backward of ``(x * x).sum()``."""
    x = vector(library, 4, grad=True)
    gradient = library.module.autograd.grad

    def call() -> Any:
        return gradient((x * x).sum(), x)

    return call


def shape(library: Library, grad: bool) -> Call:
    x = vector(library, 4, 4, grad=grad)

    def call() -> None:
        x.shape  # noqa: B018

    return call


def dtype(library: Library, grad: bool) -> Call:
    x = vector(library, 4, 4, grad=grad)

    def call() -> None:
        x.dtype  # noqa: B018

    return call


def item(library: Library, grad: bool) -> Call:
    x = vector(library, 1)
    return lambda: x.item()


def create(library: Library, grad: bool) -> Call:
    f = library.module.zeros
    return lambda: f(4)


def from_list(library: Library, grad: bool) -> Call:
    f = library.module.tensor
    return lambda: f([1.0, 2.0, 3.0, 4.0])


BOTH: dict[str, Small] = {
    "x + x": add,
    "x * 2.0": scale,
    "relu(x)": relu,
    "x @ x, 4x4": matmul,
    "x.sum()": total,
    "x.view(16)": view,
    "x.transpose(0, 1)": transpose,
    "x[1]": pick,
    "x[:, 1:3]": cut,
    "linear, 2x4 by 3x4": linear,
    "conv2d 3x3, 2 to 2 channels, 4x4": conv,
    "softmax(x, dim=1)": softmax,
    "cat([x, x])": concatenate,
    "nn.Linear(4, 3)": layer,
    "nn.Sequential of 8 ReLU": chain,
}
ONCE: dict[str, Small] = {
    "grad of (x * x).sum()": step,
    "x.shape": shape,
    "x.dtype": dtype,
    "x.item()": item,
    "zeros(4)": create,
    "tensor([1., 2., 3., 4.])": from_list,
}


def work(name: str, group: str, small: Small, grad: bool) -> Work:
    silent = name in {"x.shape", "x.dtype"}
    return Work(name, group, lambda lib: small(lib, grad), terms=0 if silent else 64)


def works(options: Options) -> list[Work]:
    found = [work(name, "without gradient", f, False) for name, f in BOTH.items()]
    found += [work(f"{name}, recorded", "recorded", f, True) for name, f in BOTH.items()]
    found += [work(name, "other", f, False) for name, f in ONCE.items()]
    # add_ works on a detached tensor: there is no backward of it to time.
    return found + [w for w in memory.works_of({"small"}) if w.name != "add_, backward"]


def rows(options: Options) -> Iterator[dict[str, Any]]:
    return time_all(works(options), options)
