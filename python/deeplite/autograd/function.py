"""Functions whose forward and backward are written in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _C
from .._C import Tensor
from .modes import no_grad


class FunctionCtx:
    """What `forward` leaves for `backward`: saved tensors, flags, and any attribute."""

    needs_input_grad: tuple[bool, ...] = ()

    def __init__(self) -> None:
        self._to_save: tuple[Tensor | None, ...] = ()
        self._saved: list[Any] = []
        self._dirty: tuple[Tensor, ...] = ()
        self._non_differentiable: tuple[Tensor, ...] = ()
        self._name = "Function"

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keeps inputs or outputs for `saved_tensors`; changing one in place later raises there."""
        self._to_save = tensors

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        node = _C._current_node()  # the running backward: what saved outputs belong to
        return tuple(s.unpack(node, self._name) for s in self._saved)

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Names inputs that forward changed in place; they must be among its outputs."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        self._non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Accepted for compatibility: absent gradients always arrive as zeros."""


class Function:
    """Base class of custom differentiable functions.

    Subclasses define static methods ``forward(ctx, *args)`` and ``backward(ctx, *grads)``, which
    returns one gradient (or None) per argument of forward, and are called through ``apply``.

    >>> import deeplite as dl
    >>> class Square(dl.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...     @staticmethod
    ...     def backward(ctx, dy):
    ...         (x,) = ctx.saved_tensors
    ...         return 2 * x * dy
    >>> x = dl.tensor(3.0, requires_grad=True)
    >>> Square.apply(x).backward()
    >>> x.grad
    tensor(6.)
    """

    @staticmethod
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("a Function needs a static method forward(ctx, *args)")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise NotImplementedError("a Function needs a static method backward(ctx, *grads)")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        ctx = FunctionCtx()
        ctx._name = cls.__name__
        tensors = [a for a in args if isinstance(a, Tensor)]
        wanted = _C.is_grad_enabled() and any(t.requires_grad for t in tensors)
        ctx.needs_input_grad = tuple(isinstance(a, Tensor) and a.requires_grad for a in args)
        split = "setup_context" in cls.__dict__  # forward without ctx, as newer code writes it
        with no_grad():
            result = cls.forward(*args) if split else cls.forward(ctx, *args)  # type: ignore[call-arg]
            if split:
                cls.__dict__["setup_context"].__func__(ctx, args, result)
        single = isinstance(result, Tensor)
        outputs = [result] if single else list(result)
        if wanted:
            cls._connect(ctx, args, tensors, outputs)
        return outputs[0] if single else tuple(outputs)

    @classmethod
    def _connect(
        cls, ctx: FunctionCtx, args: tuple[Any, ...], tensors: list[Tensor], outputs: list[Any]
    ) -> None:
        def same(t: Any, group: Any) -> bool:
            return any(t is g for g in group)

        # An input handed back unchanged becomes a new tensor: its own history must not be replaced.
        for i, out in enumerate(outputs):
            if isinstance(out, Tensor) and same(out, tensors) and not same(out, ctx._dirty):
                outputs[i] = out.detach()
        marks = [isinstance(o, Tensor) and not same(o, ctx._non_differentiable) for o in outputs]
        tracked = [o for o, mark in zip(outputs, marks, strict=True) if mark]
        positions = [i for i, a in enumerate(args) if isinstance(a, Tensor)]

        def run_backward(*grads: Tensor) -> tuple[Any, ...]:  # must not hold the outputs: a cycle
            given = iter(grads)
            result = cls.backward(ctx, *(next(given) if mark else None for mark in marks))
            result = result if isinstance(result, tuple) else (result,)
            extra = any(r is not None for r in result[len(args) :])
            if len(result) < len(args) or extra:
                raise RuntimeError(
                    f"{cls.__name__}.backward returned {len(result)} gradients, "
                    f"expected {len(args)}"
                )
            return tuple(result[i] for i in positions)

        _C._attach_python_node(f"{cls.__name__}Backward", run_backward, tensors, tracked)
        ctx._saved = [
            _C._SavedTensor(t, next((k for k, o in enumerate(tracked) if o is t), -1))
            for t in ctx._to_save
        ]
        ctx._to_save = ()


def once_differentiable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a backward that cannot be differentiated again; it runs without recording."""

    def wrapped(ctx: Any, *args: Any) -> Any:
        with no_grad():
            return fn(ctx, *args)

    return wrapped
