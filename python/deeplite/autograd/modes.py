"""Context managers (and decorators) that switch gradient recording."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from .. import _C

F = TypeVar("F", bound=Callable[..., Any])


class _Mode:
    """A context manager that also decorates functions, with or without parentheses."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and callable(args[0]) and not kwargs:  # @no_grad without parentheses
            return cls()(args[0])
        return super().__new__(cls)

    def __enter__(self) -> None:
        raise NotImplementedError

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        raise NotImplementedError

    def _fresh(self) -> _Mode:
        return type(self)()

    def __call__(self, fn: F) -> F:
        @functools.wraps(fn)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self._fresh():
                return fn(*args, **kwargs)

        return wrapped  # type: ignore[return-value]


class _GradMode(_Mode):
    _enabled = True

    def __enter__(self) -> None:
        self._previous = _C._set_grad_enabled(self._enabled)

    def __exit__(self, *exc: object) -> None:
        _C._set_grad_enabled(self._previous)


class no_grad(_GradMode):
    """Inside, nothing is recorded for backward: results do not require gradients.

    >>> import deeplite as dl
    >>> x = dl.ones(1, requires_grad=True)
    >>> with dl.no_grad():
    ...     (x * 2).requires_grad
    False
    """

    _enabled = False


class enable_grad(_GradMode):
    """Turns recording back on, inside of `no_grad`."""


class set_grad_enabled(_GradMode):
    """Sets recording to `mode`: at once when called as a function, or for a ``with`` block."""

    def __init__(self, mode: bool) -> None:
        self._enabled = bool(mode)
        self._previous = _C._set_grad_enabled(self._enabled)

    def __enter__(self) -> None:
        _C._set_grad_enabled(self._enabled)

    def _fresh(self) -> _Mode:
        return type(self)(self._enabled)

    def __call__(self, fn: F) -> F:
        _C._set_grad_enabled(self._previous)  # as a decorator it acts inside the function only
        return super().__call__(fn)


class inference_mode(_Mode):
    """Like `no_grad`, and what is made inside can never enter a graph later."""

    def __new__(cls, mode: Any = True) -> Any:
        return super().__new__(cls, mode) if callable(mode) else super().__new__(cls)

    def __init__(self, mode: bool = True) -> None:
        self._mode = bool(mode)

    def __enter__(self) -> None:
        self._grad = _C._set_grad_enabled(not self._mode and _C.is_grad_enabled())
        self._inference = _C._set_inference(self._mode)

    def __exit__(self, *exc: object) -> None:
        _C._set_inference(self._inference)
        _C._set_grad_enabled(self._grad)

    def _fresh(self) -> _Mode:
        return type(self)(self._mode)


class set_detect_anomaly:
    """Anomaly mode: backward stops at the first op whose gradient holds a NaN and names the layer
    that ran it. Slower; for debugging. At once when called as a function, or for a ``with`` block.
    """

    def __init__(self, mode: bool = True) -> None:
        self._previous = _C._anomaly_enabled()
        self._mode = bool(mode)
        _C._set_anomaly_enabled(self._mode)

    def __enter__(self) -> None:
        _C._set_anomaly_enabled(self._mode)

    def __exit__(self, *exc: object) -> None:
        _C._set_anomaly_enabled(self._previous)


class detect_anomaly(set_detect_anomaly):
    """``with detect_anomaly():`` is `set_detect_anomaly` for a block."""

    def __init__(self) -> None:
        super().__init__(True)
        _C._set_anomaly_enabled(self._previous)  # only from __enter__ on
