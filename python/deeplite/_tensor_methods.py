"""The few Tensor methods that are written in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import _C
from ._C import Tensor


class RemovableHandle:
    """What registering a hook returns: ``remove()`` takes it off again; also a context manager."""

    def __init__(self, remove: Callable[[], None]) -> None:
        self._remove: Callable[[], None] | None = remove

    def remove(self) -> None:
        if self._remove is not None:
            self._remove()
            self._remove = None

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


def _register_hook(self: Any, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
    """Calls ``hook(grad)`` whenever a gradient of this tensor is computed; a tensor it returns
    takes the gradient's place."""
    key = self._add_hook(hook)
    return RemovableHandle(lambda: self._remove_hook(key))


def _register_post_accumulate_grad_hook(
    self: Any, hook: Callable[[Tensor], None]
) -> RemovableHandle:
    """Calls ``hook(tensor)`` after a backward has added to this leaf's ``grad``."""

    def call(tensor: Tensor) -> None:
        hook(tensor)

    key = self._add_post_accumulate_hook(call)
    return RemovableHandle(lambda: self._remove_hook(key))


def _node_register_hook(self: Any, hook: Callable[..., Any]) -> RemovableHandle:
    """Calls ``hook(grad_inputs, grad_outputs)`` after this node ran; a tuple it returns replaces
    the gradients of the inputs."""
    key = self._register_hook(hook)
    return RemovableHandle(lambda: self._remove_hook(key))


def _rebuild(data: bytes, shape: tuple[int, ...], dtype: Any, requires_grad: bool) -> Tensor:
    return _C._from_bytes(data, shape, dtype).requires_grad_(requires_grad)


def _reduce_ex(self: Any, protocol: int) -> tuple[Any, ...]:
    if not self.is_leaf:
        raise RuntimeError("only leaf tensors can be pickled; use detach() first")
    return _rebuild, (self.detach()._to_bytes(), tuple(self.shape), self.dtype, self.requires_grad)


def _copy(self: Any) -> Any:
    """Another tensor over the same memory."""
    if not self.is_leaf:
        raise RuntimeError("only leaf tensors can be copied; use detach() or clone()")
    copy = self.detach()
    if type(self) is not Tensor:
        copy = Tensor._make_subclass(type(self), copy)
        copy.__dict__.update(self.__dict__)
    return copy.requires_grad_(self.requires_grad)


def _deepcopy(self: Any, memo: dict[int, Any]) -> Any:
    if id(self) in memo:
        return memo[id(self)]
    if not self.is_leaf:
        raise RuntimeError(
            "only tensors created by the user (graph leaves) support the deepcopy protocol"
        )
    copy = self.detach().clone()
    if type(self) is not Tensor:
        copy = Tensor._make_subclass(type(self), copy)
        copy.__dict__.update(self.__dict__)
    copy.requires_grad_(self.requires_grad)
    if self.grad is not None:
        copy.grad = _deepcopy(self.grad, memo)
    memo[id(self)] = copy
    return copy


def _format(self: Any, spec: str) -> str:
    return format(self.item(), spec) if self.dim() == 0 and spec else str(self)


def _contains(self: Any, element: Any) -> bool:
    return bool((self == element).any())


def _reversed(self: Any) -> Any:
    return self.flip(0) if self.dim() else self


def install(tensor_type: Any) -> None:
    tensor_type.register_hook = _register_hook
    tensor_type.register_post_accumulate_grad_hook = _register_post_accumulate_grad_hook
    tensor_type.__reduce_ex__ = _reduce_ex
    tensor_type.__copy__ = _copy
    tensor_type.__deepcopy__ = _deepcopy
    tensor_type.__format__ = _format
    tensor_type.__contains__ = _contains
    tensor_type.__reversed__ = _reversed
    _C.Node.register_hook = _node_register_hook  # type: ignore[attr-defined, method-assign]
