"""How convolutions are computed: which algorithms there are for a shape, and which one runs.

For each of the three passes of a convolution (``"forward"``, ``"backward_input"``: the gradient of
the input, which is also the transposed convolution, ``"backward_weight"``: that of the weight) a
backend has several algorithms. The one that runs is the one with the least predicted time among
those that apply to the shape and whose expected error is allowed. The choice depends on shapes,
dtype and instruction set only: neither on the data nor on the number of threads.

All settings belong to the Python thread that makes them, like ``no_grad``, and hold for every pass
that is executed while they are in force: a ``backward()`` inside of the ``with`` block obeys them,
one after it does not, wherever the forward pass was.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from .. import _C
from .._C import Tensor

__all__ = ["Option", "algorithm", "explain", "get_max_rel_err", "max_rel_err", "set_max_rel_err"]

Geometry = tuple[list[int], list[int], list[int], int]  # stride, padding, dilation, groups

PASSES = ("forward", "backward_input", "backward_weight")


class Option(NamedTuple):
    """An algorithm that applies to a convolution."""

    name: str
    predicted: float
    """Seconds on one thread, by the model that chooses."""
    expected_error: float
    """Largest error on normally distributed data, as a share of the largest result."""
    allowed: bool
    """Whether `expected_error` is within `max_rel_err`."""
    measured: float | None = None
    """Seconds with the current number of threads (the best of a few runs), if measured."""
    error: float | None = None
    """Largest difference from the reference kernel in float64 on this data, as a share of the
    largest result, if measured."""


def _sizes(value: int | Sequence[int]) -> list[int]:
    return [value] if isinstance(value, int) else list(value)


def explain(
    input: Tensor,
    weight: Tensor,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    *,
    which: str = "forward",
    measure: bool = False,
) -> list[Option]:
    """The algorithms for one pass of a convolution, best first: the first one is what runs when
    none is forced. After the allowed ones, the fastest first, come those whose error is not
    allowed, and last the plain loops.

    `input` is [N, C, ...] or [C, ...], `weight` [K, C/groups, ...] with 1 to 3 spatial dimensions;
    `which` is one of ``"forward"``, ``"backward_input"``, ``"backward_weight"``. With `measure`
    each algorithm runs on this data (for the gradients, with the forward result as the gradient of
    the output), is timed, and is compared with the reference kernel in float64, which takes a while
    for large shapes. Raises ShapeError when sizes do not fit, ValueError for another `which`.

    >>> import deeplite
    >>> x, w = deeplite.randn(1, 32, 28, 28), deeplite.randn(64, 32, 3, 3)
    >>> options = deeplite.backends.conv.explain(x, w, padding=1)
    >>> "implicit_gemm" in [option.name for option in options]
    True
    """
    sizes = (_sizes(stride), _sizes(padding), _sizes(dilation))
    found = [Option(*row) for row in _C._conv.explain(input, weight, *sizes, groups, which)]
    if not measure:
        return found
    return _measured(found, input, weight, (*sizes, groups), which)


def _run(x: Tensor, w: Tensor, y: Tensor, args: Geometry, which: str) -> Tensor:
    return _C._conv.run(x, w, y, *args, which)


def _measured(
    options: list[Option], x: Tensor, w: Tensor, args: Geometry, which: str
) -> list[Option]:
    if x.dim() < w.dim():
        x = x.unsqueeze(0)
    x, w = x.detach(), w.detach()
    y = _run(x, w, x, args, "forward")
    with algorithm("reference"):
        exact = _run(x.double(), w.double(), y.double(), args, which)
    scale = float(exact.abs().max().item()) if exact.numel() else 0.0
    measured = []
    for option in options:
        with algorithm(option.name, passes=[which]):
            best = float("inf")
            for _ in range(1 if option.name == "reference" else 5):
                start = time.perf_counter()
                result = _run(x, w, y, args, which)
                best = min(best, time.perf_counter() - start)
        error = float((result.double() - exact).abs().max().item()) / scale if scale else 0.0
        measured.append(option._replace(measured=best, error=error))
    return measured


@contextmanager
def algorithm(name: str | None, passes: Sequence[str] = PASSES) -> Iterator[None]:
    """Inside of the ``with`` block, convolutions of this thread use the algorithm `name` for these
    passes, whatever its predicted time and error; with None they choose again.

    Where it does not apply to a shape or pass, the convolution raises RuntimeError and names those
    that do. Names are found with `explain`: among them ``"implicit_gemm"`` and ``"reference"``,
    which always apply. Raises ValueError for an unknown pass.

    >>> import deeplite
    >>> x, w = deeplite.randn(1, 4, 8, 8), deeplite.randn(4, 4, 3, 3)
    >>> with deeplite.backends.conv.algorithm("reference"):
    ...     y = deeplite.conv2d(x, w)
    """
    before = {which: _C._conv.algorithm(which) for which in passes}
    try:
        for which in passes:
            _C._conv.set_algorithm(which, name or "")
        yield
    finally:
        for which, value in before.items():
            _C._conv.set_algorithm(which, value)


def get_max_rel_err() -> float:
    """The largest expected error that an algorithm may have to be chosen, as a share of the largest
    result, in this thread.

    >>> import deeplite
    >>> deeplite.backends.conv.get_max_rel_err() <= 1e-4
    True
    """
    return float(_C._conv.max_rel_err())


def set_max_rel_err(bound: float) -> None:
    """Bounds the expected error of the algorithms that convolutions of this thread choose from.

    An algorithm's expected error is that of `explain`: what is seen on normally distributed data
    (``docs/numerics.md`` has the worst case). With a bound that nothing else satisfies, such as 0,
    the plain loops run, which sum in double precision. A forced `algorithm` is not bounded. Raises
    ValueError for a negative bound or NaN.

    >>> import deeplite
    >>> before = deeplite.backends.conv.get_max_rel_err()
    >>> deeplite.backends.conv.set_max_rel_err(1e-6)
    >>> deeplite.backends.conv.set_max_rel_err(before)
    """
    if not bound >= 0:
        raise ValueError(f"max_rel_err: expected a bound of at least 0, got {bound}")
    _C._conv.set_max_rel_err(float(bound))


@contextmanager
def max_rel_err(bound: float) -> Iterator[None]:
    """`set_max_rel_err` for a ``with`` block; the former bound is restored after it.

    >>> import deeplite
    >>> x, w = deeplite.randn(1, 64, 28, 28), deeplite.randn(64, 64, 3, 3)
    >>> with deeplite.backends.conv.max_rel_err(0):
    ...     deeplite.backends.conv.explain(x, w, padding=1)[0].name
    'reference'
    """
    before = get_max_rel_err()
    set_max_rel_err(bound)
    try:
        yield
    finally:
        _C._conv.set_max_rel_err(before)
