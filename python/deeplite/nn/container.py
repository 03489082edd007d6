"""Modules that hold other modules or parameters."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar, overload

from deeplite import Tensor

from . import _joining
from .module import Module
from .parameter import Parameter

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]

T = TypeVar("T", bound=Module)


def _position(owner: Any, index: Any, n: int) -> int:
    """``index`` counted from the front; an IndexError tells how many there are."""
    i = operator.index(index)
    if not -n <= i < n:
        raise IndexError(f"index {i} is out of range: {type(owner).__name__} has {n} entries")
    return i % n


def _check_modules(owner: Any, modules: Any) -> list[Module]:
    if isinstance(modules, (str, bytes)) or not isinstance(modules, Iterable):
        raise TypeError(
            f"{type(owner).__name__}: expected an iterable of modules, got {type(modules).__name__}"
        )
    found = list(modules)
    for m in found:
        if not isinstance(m, Module):
            raise TypeError(f"{type(owner).__name__}: {type(m).__name__} is not a Module subclass")
    return found


class _ModuleSequence(Module):
    """What Sequential and ModuleList share: children named "0", "1", ..."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.isdigit()]

    def _of(self, modules: Iterable[Any]) -> Any:
        return type(self)(*modules)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._slice(index)
        return self._modules[self._key(index)]

    def _slice(self, index: slice) -> Any:
        return self._of(list(self._modules.values())[index])

    def _key(self, index: Any) -> str:
        return list(self._modules)[_position(self, index, len(self))]

    def __setitem__(self, index: Any, module: Module) -> None:
        setattr(self, self._key(index), module)

    def __delitem__(self, index: Any) -> None:
        keys = list(self._modules)
        gone = keys[index] if isinstance(index, slice) else [self._key(index)]
        self._renumber([m for k, m in self._modules.items() if k not in gone])

    def _renumber(self, modules: Iterable[Any]) -> None:
        kept = list(modules)
        self._modules.clear()
        for i, module in enumerate(kept):
            self._modules[str(i)] = module

    def append(self: T, module: Module) -> T:
        """Adds a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Adds a module before position ``index`` (clipped to the ends, as a list does)."""
        _check_modules(self, [module])
        modules = list(self._modules.values())
        modules.insert(index, module)
        self._renumber(modules)
        return self

    def extend(self, modules: Iterable[Module]) -> Any:
        """Adds several modules at the end."""
        for module in _check_modules(self, modules):
            self.append(module)
        return self

    def pop(self, index: Any = -1) -> Module:
        """Removes the module at ``index`` and returns it."""
        module = self[index]
        del self[index]
        return module

    def __iadd__(self, other: Iterable[Module]) -> Any:
        return self.extend(other)

    def __add__(self, other: Iterable[Module]) -> Any:
        return self._of([*self, *_check_modules(self, other)])


class Sequential(_ModuleSequence):
    """Modules one after the other, each fed with the output of the one before.

    Args:
        *args: modules, or one dict of named modules.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
        >>> tuple(net(deeplite.zeros(2, 4)).shape)
        (2, 3)
        >>> len(net[:1])
        1
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], Mapping):
            for name, module in args[0].items():
                self.add_module(name, module)
        else:
            for i, module in enumerate(args):
                self.add_module(str(i), module)

    def _slice(self, index: slice) -> Any:
        return type(self)(dict(list(self._modules.items())[index]))

    def __mul__(self, times: int) -> Sequential:
        if not isinstance(times, int) or times < 1:
            raise ValueError(f"Sequential can be repeated a positive number of times, not {times}")
        return type(self)(*(m for _ in range(times) for m in self))

    def forward(self, input: Any, _end: _joining.End | None = None) -> Any:
        return _joining.run([*self._modules.values()], input, _end)

    _joins_next = True

    def _joined(
        self, layers: Any, i: int, input: Any, end: _joining.End | None
    ) -> _joining.Joined | None:
        if end is None or i + 1 < len(layers) or not self._is_plain(Sequential.forward):
            return None
        return self(input, end), 1, True

    def followed_by(
        self, activation: Any, input: Any, residual: Tensor | None = None
    ) -> Tensor | None:
        """``activation(self(input) + residual)`` with the sum and the activation as part of the
        last layers where these can take them over, or None if the chain is hooked.

        Example:
            >>> net = nn.Sequential(nn.Conv1d(1, 1, 1), nn.BatchNorm1d(1)).eval()
            >>> y = net.followed_by(nn.ReLU(), deeplite.ones(1, 1, 3), deeplite.ones(1, 1, 3))
            >>> tuple(y.shape)
            (1, 1, 3)
        """
        if not self._is_plain(Sequential.forward):
            return None
        return self(input, _joining.End(activation, residual))


class ModuleList(_ModuleSequence):
    """A list of modules, all of them registered.

    Args:
        modules: an iterable of modules.

    Example:
        >>> layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))
        >>> len(list(layers.parameters()))
        6
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def _of(self, modules: Iterable[Any]) -> Any:
        return type(self)(modules)

    def __repr__(self) -> str:
        """Runs of modules that print alike are written once, with their count."""
        if not len(self):
            return self._get_name() + "()"
        groups: list[tuple[int, int, str]] = []  # first, last, text
        for i, module in enumerate(self):
            text = repr(module)
            if groups and groups[-1][2] == text:
                groups[-1] = (groups[-1][0], i, text)
            else:
                groups.append((i, i, text))
        lines = []
        for first, last, text in groups:
            body = text.replace("\n", "\n  ")
            if first == last:
                lines.append(f"({first}): {body}")
            else:
                lines.append(f"({first}-{last}): {last - first + 1} x {body}")
        return self._get_name() + "(\n  " + "\n  ".join(lines) + "\n)"


class ModuleDict(Module):
    """A dict of modules, all of them registered, in the order of insertion.

    Args:
        modules: a mapping, or an iterable of (name, module) pairs.

    Example:
        >>> heads = nn.ModuleDict({"a": nn.Linear(2, 1), "b": nn.Identity()})
        >>> list(heads)
        ['a', 'b']
    """

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Removes everything."""
        self._modules.clear()

    def pop(self, key: str) -> Any:
        """Removes the module ``key`` and returns it."""
        return self._modules.pop(key)

    def keys(self) -> Iterable[str]:
        return self._modules.keys()

    def values(self) -> Iterable[Any]:
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Any]]:
        return self._modules.items()

    def update(self, modules: Any) -> None:
        """Adds or replaces modules from a mapping or from (name, module) pairs."""
        for name, module in _pairs(self, modules):
            self[name] = module


def _pairs(owner: Any, source: Any) -> list[tuple[str, Any]]:
    if isinstance(source, (Mapping, ModuleDict, ParameterDict)):
        return list(source.items())
    if not isinstance(source, Iterable):
        raise TypeError(
            f"{type(owner).__name__}: expected a mapping or an iterable of (name, value) pairs, "
            f"got {type(source).__name__}"
        )
    pairs = [tuple(pair) for pair in source]
    for pair in pairs:
        if len(pair) != 2:
            raise ValueError(f"{type(owner).__name__}: expected (name, value) pairs, got {pair!r}")
    return pairs


def _as_parameter(value: Any) -> Any:
    if isinstance(value, Tensor) and not isinstance(value, Parameter):
        return Parameter(value)
    return value


def _describe(value: Any) -> str:
    if not isinstance(value, Tensor):
        return f"Object of type: {type(value).__name__}"
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    size = "x".join(str(n) for n in value.shape)
    return f"{kind} containing: [{value.dtype} of size {size}]"


class ParameterList(Module):
    """A list of parameters; tensors put into it become parameters.

    Args:
        values: an iterable of tensors (other values are kept as they are).

    Example:
        >>> ps = nn.ParameterList([deeplite.zeros(2), deeplite.zeros(3)])
        >>> len(list(ps.parameters()))
        2
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self._size = 0
        if values is not None:
            self.extend(values)

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return (getattr(self, str(i)) for i in range(self._size))

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> ParameterList: ...
    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)([getattr(self, str(i)) for i in range(self._size)[index]])
        return getattr(self, str(_position(self, index, self._size)))

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, str(_position(self, index, self._size)), _as_parameter(value))

    def append(self, value: Any) -> ParameterList:
        """Adds a value at the end."""
        setattr(self, str(self._size), _as_parameter(value))
        self._size += 1
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Adds several values at the end."""
        if isinstance(values, Tensor) or not isinstance(values, Iterable):
            raise TypeError(
                f"ParameterList.extend: expected an iterable, got {type(values).__name__}"
            )
        for value in values:
            self.append(value)
        return self

    def __iadd__(self, values: Iterable[Any]) -> ParameterList:
        return self.extend(values)

    def __repr__(self) -> str:
        body = "\n".join(f"    ({i}): {_describe(value)}" for i, value in enumerate(self))
        return f"{self._get_name()}(\n{body}\n)" if body else self._get_name() + "()"


class ParameterDict(Module):
    """An ordered dict of parameters; tensors put into it become parameters.

    Args:
        parameters: a mapping, or an iterable of (name, tensor) pairs.

    Example:
        >>> ps = nn.ParameterDict({"w": deeplite.zeros(2)})
        >>> ps["w"].requires_grad
        True
    """

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"ParameterDict: a key must be a string, got {type(key).__name__}")
        if key not in self._keys and hasattr(self, key):
            raise KeyError(f"ParameterDict: '{key}' is the name of an attribute of the dict")
        setattr(self, key, _as_parameter(value))
        self._keys[key] = None

    def __delitem__(self, key: str) -> None:
        self[key]
        del self._keys[key]
        delattr(self, key)

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self._keys))

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def keys(self) -> Iterable[str]:
        return self._keys.keys()

    def values(self) -> Iterable[Any]:
        return [self[k] for k in self._keys]

    def items(self) -> Iterable[tuple[str, Any]]:
        return [(k, self[k]) for k in self._keys]

    def get(self, key: str, default: Any = None) -> Any:
        """The value of ``key``, or ``default``."""
        return self[key] if key in self._keys else default

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The value of ``key``, which is set to ``default`` first when missing."""
        if key not in self._keys:
            self[key] = default
        return self[key]

    def pop(self, key: str) -> Any:
        """Removes ``key`` and returns its value."""
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Removes the last entry and returns it."""
        key = next(reversed(self))
        return key, self.pop(key)

    def clear(self) -> None:
        """Removes everything."""
        for key in list(self._keys):
            del self[key]

    def copy(self) -> ParameterDict:
        """A new dict of the same parameters."""
        return type(self)(self)

    def update(self, parameters: Any) -> None:
        """Adds or replaces values from a mapping or from (name, value) pairs. A plain dict is taken
        in the order of its keys, as torch does."""
        pairs = _pairs(self, parameters)
        if type(parameters) is dict:
            pairs.sort(key=lambda pair: pair[0])
        for key, value in pairs:
            self[key] = value

    def __or__(self, other: ParameterDict) -> ParameterDict:
        result = self.copy()
        result.update(other)
        return result

    def __ior__(self, other: ParameterDict) -> ParameterDict:
        self.update(other)
        return self

    def __repr__(self) -> str:
        body = "\n".join(f"  ({k}): {_describe(value)}" for k, value in self.items())
        return f"{self._get_name()}(\n{body}\n)" if body else self._get_name() + "()"
