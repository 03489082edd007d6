"""Tensors that a module owns: parameters, which are trained, and buffers, which are only kept."""

from __future__ import annotations

from typing import Any

import deeplite
from deeplite import Tensor

__all__ = ["Buffer", "Parameter"]


def _rebuild(cls: type, data: Tensor, requires_grad: bool, state: dict[str, Any]) -> Any:
    result = cls._wrap(data, requires_grad)  # type: ignore[attr-defined]
    result.__dict__.update(state)
    return result


class _Owned(Tensor):
    """What Parameter and Buffer share: wrapping without a copy, deepcopy and pickle."""

    @classmethod
    def _wrap(cls, data: Tensor, requires_grad: bool) -> Any:
        return Tensor._make_subclass(cls, data, requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) in memo:
            return memo[id(self)]
        with deeplite.no_grad():
            data = self.detach().clone()
        result = type(self)._wrap(data, self.requires_grad)
        memo[id(self)] = result
        result.__dict__.update(self.__dict__)
        return result

    def __reduce_ex__(self, protocol: Any) -> Any:
        data = deeplite.Tensor._make_subclass(Tensor, self, False)
        return _rebuild, (type(self), data, self.requires_grad, dict(self.__dict__))


class Parameter(_Owned):
    """A tensor that is a module parameter: assigned as an attribute of a
    :class:`~deeplite.nn.Module` it is registered there and shows up in ``parameters()``.

    Args:
        data: the tensor whose storage the parameter takes over (no copy); an empty one by default.
        requires_grad: whether gradients are computed for it.

    Raises:
        TypeError: ``data`` is not a Tensor.
        RuntimeError: gradients are asked for a dtype that is not a floating one.

    Example:
        >>> w = nn.Parameter(deeplite.ones(2))
        >>> w.requires_grad
        True
    """

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = deeplite.empty(0)
        if not isinstance(data, Tensor):
            raise TypeError(f"Parameter: data must be a Tensor, got {type(data).__name__}")
        return cls._wrap(data, requires_grad)

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        pass  # all is done in __new__


class Buffer(_Owned):
    """A tensor that a module keeps but does not train (a running mean, say).

    Args:
        data: the tensor whose storage the buffer takes over (no copy).
        persistent: whether it belongs to the module's ``state_dict``.

    Example:
        >>> m = nn.Module()
        >>> m.scale = nn.Buffer(deeplite.ones(1))
        >>> list(m.state_dict())
        ['scale']
    """

    persistent: bool

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Buffer:
        if data is None:
            data = deeplite.empty(0)
        if not isinstance(data, Tensor):
            raise TypeError(f"Buffer: data must be a Tensor, got {type(data).__name__}")
        result = cls._wrap(data, data.requires_grad)
        result.persistent = persistent
        return result

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True) -> None:
        pass  # all is done in __new__
