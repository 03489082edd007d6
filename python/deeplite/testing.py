"""Comparing results in tests: `assert_close`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import _C
from ._C import Tensor

__all__ = ["assert_close"]

# (rtol, atol) by dtype, as torch has them; integers and booleans compare exactly.
_TOLERANCES = {
    _C.float16: (1e-3, 1e-5),
    _C.bfloat16: (1.6e-2, 1e-5),
    _C.float32: (1.3e-6, 1e-5),
    _C.float64: (1e-7, 1e-7),
}


def assert_close(
    actual: Any,
    expected: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Asserts that two results agree: ``|actual - expected| <= atol + rtol * |expected|``.

    Args:
        actual, expected: tensors of one shape, NumPy arrays, numbers, or sequences and mappings of
            these, which are compared item by item.
        rtol, atol: given both or neither; by default they follow from the dtype (for float32
            1.3e-6 and 1e-5; of two dtypes the looser), and integers must be equal.
        equal_nan: whether NaN equals NaN.
        check_device, check_dtype, check_stride: whether these must be equal too.
        msg: replaces the message, or makes one from it.

    Raises:
        AssertionError: they differ; the message says where and by how much.
        ValueError: only one of rtol and atol is given.
        TypeError: the two are of kinds that cannot be compared.

    Example:
        >>> import deeplite
        >>> deeplite.testing.assert_close(deeplite.ones(2) / 3, deeplite.tensor([1 / 3, 1 / 3]))
        >>> deeplite.testing.assert_close([1.0, 2.0], [1.0, 2.5])
        Traceback (most recent call last):
            ...
        AssertionError: at item [1]: 1 of 1 elements differ: 2.0 is not close to 2.5 \
(absolute difference 0.5, relative 0.2; allowed 1e-07 + 1e-07 * |expected|)
    """
    if (rtol is None) != (atol is None):
        raise ValueError("assert_close: give both rtol and atol, or neither")
    checks = {"device": check_device, "dtype": check_dtype, "stride": check_stride}
    problem = _difference(actual, expected, rtol, atol, equal_nan, checks, "")
    if problem is not None:
        raise AssertionError(
            problem if msg is None else msg if isinstance(msg, str) else msg(problem)
        )


def _difference(
    actual: Any,
    expected: Any,
    rtol: float | None,
    atol: float | None,
    equal_nan: bool,
    checks: dict[str, bool],
    at: str,
) -> str | None:
    """What is wrong, or None. `at`: where in nested containers we are."""
    where = f"at item {at}: " if at else ""
    for kind in (Mapping, Sequence):
        if isinstance(actual, kind) and isinstance(expected, kind) and not isinstance(actual, str):
            return _difference_of_items(
                actual, expected, rtol, atol, equal_nan, checks, at, where, kind is Mapping
            )
    a, e = _as_tensor(actual, where), _as_tensor(expected, where)
    if a.shape != e.shape:
        return f"{where}shapes differ: {tuple(a.shape)} and {tuple(e.shape)}"
    pairs = {
        "device": (a.device, e.device),
        "dtype": (a.dtype, e.dtype),
        "stride": (a.stride(), e.stride()),
    }
    if isinstance(actual, (bool, int, float)) and isinstance(expected, (bool, int, float)):
        pairs.pop("dtype")  # 1 and 1.0 are the same number
    for name, (x, y) in pairs.items():
        if checks[name] and x != y:
            return f"{where}{name}s differ: {x} and {y}"
    if rtol is None or atol is None:
        loose = [_TOLERANCES.get(t.dtype, (0.0, 0.0)) for t in (a, e)]
        rtol, atol = max(t[0] for t in loose), max(t[1] for t in loose)
    return _difference_of_values(a, e, rtol, atol, equal_nan, where)


def _difference_of_items(
    actual: Any,
    expected: Any,
    rtol: float | None,
    atol: float | None,
    equal_nan: bool,
    checks: dict[str, bool],
    at: str,
    where: str,
    mapping: bool,
) -> str | None:
    if mapping and set(actual) != set(expected):
        apart = sorted(map(repr, set(actual) ^ set(expected)))
        return f"{where}keys differ: {', '.join(apart)} on one side only"
    if len(actual) != len(expected):
        return f"{where}lengths differ: {len(actual)} and {len(expected)}"
    for key in actual if mapping else range(len(actual)):
        problem = _difference(
            actual[key], expected[key], rtol, atol, equal_nan, checks, f"{at}[{key!r}]"
        )
        if problem is not None:
            return problem
    return None


def _as_tensor(x: Any, where: str) -> Tensor:
    if isinstance(x, Tensor):
        return x.detach()
    if isinstance(x, (bool, int, np.ndarray, np.generic)):
        return _C.tensor(x)
    if isinstance(x, float):
        return _C.tensor(x, dtype=_C.float64)
    raise TypeError(f"assert_close: {where}cannot compare a {type(x).__name__}")


def _difference_of_values(
    a: Tensor, e: Tensor, rtol: float, atol: float, equal_nan: bool, where: str
) -> str | None:
    wide = _C.float64 if a.dtype.is_floating_point or e.dtype.is_floating_point else _C.int64
    a, e = a.cpu().to(wide), e.cpu().to(wide)
    close = _C.isclose(a, e, rtol=rtol, atol=atol, equal_nan=equal_nan)
    if bool(close.all()):
        return None
    # The greatest difference of those that are not close; NaNs count as infinitely far.
    difference = (a - e).abs().double()
    difference = _C.where(difference.isnan(), float("inf"), difference).masked_fill(close, -1.0)
    index = np.unravel_index(int(difference.argmax()), tuple(a.shape))
    x, y = a[index].item(), e[index].item()
    far = abs(x - y)
    relative = far / abs(y) if y else float("inf")
    place = f" at {tuple(int(i) for i in index)}" if a.dim() else ""
    return (
        f"{where}{int((~close).sum())} of {a.numel()} elements differ: "
        f"{x} is not close to {y}{place} (absolute difference {far:g}, relative {relative:g}; "
        f"allowed {atol:g} + {rtol:g} * |expected|)"
    )
