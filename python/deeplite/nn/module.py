"""The base class of all layers and networks."""

from __future__ import annotations

import types
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from deeplite import _C, Tensor
from deeplite.utils.hooks import HookTable

from . import _call, _state
from ._convert import Convertible
from ._hooks import (
    HOOK_TABLES,
    Hooked,
    register_module_forward_hook,
    register_module_forward_pre_hook,
    register_module_full_backward_hook,
    register_module_full_backward_pre_hook,
)
from .parameter import Buffer, Parameter

__all__ = [
    "Module",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
]

T = TypeVar("T", bound="Module")

_anomaly_enabled = _C._anomaly_enabled
_any_global_hook = _call.any_global


class Module(Hooked, Convertible):
    """A layer, or a network made of layers.

    Subclasses create their parts in ``__init__`` (after ``super().__init__()``) and compute in
    ``forward``. Assigned attributes that are parameters, buffers or modules are registered, so
    that ``parameters()``, ``to()``, ``state_dict()`` and the like find them, however deep.

    When ``forward`` raises, the message gains the path of the layer at fault, for instance
    ``... (in layer4.0.conv1 (Conv2d))``; the exception itself stays the same.

    Example:
        >>> class Net(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.fc = nn.Linear(4, 2)
        ...     def forward(self, x):
        ...         return self.fc(x).relu()
        >>> net = Net()
        >>> tuple(net(deeplite.zeros(3, 4)).shape)
        (3, 2)
        >>> [name for name, p in net.named_parameters()]
        ['fc.weight', 'fc.bias']
    """

    _version: int = 1
    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]

    def __init_subclass__(cls, **options: Any) -> None:
        """A class that only inherits ``__init__`` from a private one gets it under its own name:
        errors about its arguments then name what the user wrote."""
        super().__init_subclass__(**options)
        made = cls.__init__
        maker = made.__qualname__.split(".")[-2]
        if maker.startswith("_") and not cls.__name__.startswith("_"):
            own = types.FunctionType(
                made.__code__, made.__globals__, made.__name__, made.__defaults__, made.__closure__
            )
            own.__kwdefaults__, own.__annotations__ = made.__kwdefaults__, made.__annotations__
            own.__doc__, own.__module__ = made.__doc__, made.__module__
            own.__qualname__ = f"{cls.__qualname__}.__init__"
            cls.__init__ = own  # type: ignore[method-assign]

    def __init__(self) -> None:
        fields = self.__dict__  # not setattr: these are no parameters, buffers or modules
        fields["training"] = True
        fields["_parameters"] = {}
        fields["_buffers"] = {}
        fields["_non_persistent_buffers_set"] = set()
        fields["_modules"] = {}
        for table in HOOK_TABLES:
            fields[table] = HookTable()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; every subclass defines it.

        Raises:
            NotImplementedError: the subclass does not.
        """
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing "forward"')

    # Whether what comes next may be computed in the same pass, see `_joining.py`.
    _joins_next = False

    def _is_plain(self, forward: Any) -> bool:
        """Whether a call is nothing but ``forward``: no hooks, nor another in its place."""
        hooked = self._call_hooks or _any_global_hook
        return not hooked and "forward" not in self.__dict__ and type(self).forward is forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._call_hooks or _any_global_hook or _anomaly_enabled():
                return _call.call_hooked(self, args, kwargs)
            return self.forward(*args, **kwargs)
        except Exception as error:
            _call.name_layer(self, error)
            raise

    # --- attributes ---------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        # Every use of a layer's weight comes through here: tables are looked up one by one, in a
        # `try` that costs nothing unless __init__ was never called.
        fields = self.__dict__
        try:
            if name in (table := fields["_parameters"]):
                return table[name]
            if name in (table := fields["_modules"]):
                return table[name]
            if name in (table := fields["_buffers"]):
                return table[name]
        except KeyError:
            pass
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        fields = self.__dict__
        parameters = fields.get("_parameters")
        if isinstance(value, Parameter):
            self._require_init("parameters")
            self._forget(name, self._parameters)
            self.register_parameter(name, value)
        elif parameters is not None and name in parameters:
            if value is not None:
                raise TypeError(
                    f"cannot assign {type(value).__name__} as parameter '{name}' "
                    "(Parameter or None expected)"
                )
            self.register_parameter(name, None)
        elif isinstance(value, Module):
            self._require_init("modules")
            self._forget(name, self._modules)
            self._modules[name] = value
        elif "_modules" in fields and name in fields["_modules"]:
            if value is not None:
                raise TypeError(
                    f"cannot assign {type(value).__name__} as child module '{name}' "
                    "(Module or None expected)"
                )
            self._modules[name] = None
        elif isinstance(value, Buffer):
            self._require_init("buffers")
            self._forget(name, self._buffers)
            self.register_buffer(name, value, value.persistent)
        elif "_buffers" in fields and name in fields["_buffers"]:
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign {type(value).__name__} as buffer '{name}' "
                    "(Tensor, Buffer or None expected)"
                )
            self._buffers[name] = value
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        for table in (self._parameters, self._buffers, self._modules):
            if name in table:
                del table[name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._parameters, *self._buffers, *self._modules}
        return sorted(n for n in names if not n[:1].isdigit())

    def _require_init(self, what: str) -> None:
        if "_modules" not in self.__dict__:
            raise AttributeError(
                f"cannot assign {what} before Module.__init__() was called: "
                f"call super().__init__() first in {type(self).__name__}.__init__"
            )

    def _forget(self, name: str, keep: dict[str, Any]) -> None:
        """Removes an attribute of another kind, so that table ``keep`` can take the name (if it
        has it already, it stays, and so does its place in the order)."""
        self.__dict__.pop(name, None)
        for table in (self._parameters, self._buffers, self._modules):
            if table is not keep:
                table.pop(name, None)
        self._non_persistent_buffers_set.discard(name)

    # --- registration -------------------------------------------------------------------------

    def _check_name(self, what: str, name: Any, table: Mapping[str, Any]) -> None:
        self._require_init(what + "s")
        if not isinstance(name, str):
            raise TypeError(f"{what} name must be a string, got {type(name).__name__}")
        if "." in name:
            raise KeyError(f"{what} name must not contain a dot, got '{name}'")
        if name == "":
            raise KeyError(f"{what} name must not be empty")
        if hasattr(self, name) and name not in table:
            raise KeyError(f"attribute '{name}' already exists")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Adds a parameter under ``name``; None keeps the name without a parameter.

        Raises:
            TypeError: ``param`` is no Parameter.
            KeyError: ``name`` is empty, contains a dot or is taken by another attribute.
            ValueError: ``param`` is the result of a recorded computation.
        """
        self._check_name("parameter", name, self.__dict__.get("_parameters", {}))
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"cannot assign '{type(param).__name__}' object to parameter '{name}' "
                    "(Parameter or None required)"
                )
            if param.grad_fn is not None:
                raise ValueError(
                    f"cannot assign non-leaf Tensor to parameter '{name}': a parameter must be "
                    "made directly, to express it as a function of another use forward()"
                )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Adds a tensor that is kept but not trained; with ``persistent`` it is in state_dict.

        Raises:
            TypeError: ``tensor`` is no Tensor.
            KeyError: ``name`` is empty, contains a dot or is taken by another attribute.
        """
        self._check_name("buffer", name, self.__dict__.get("_buffers", {}))
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{type(tensor).__name__}' object to buffer '{name}' "
                "(Tensor or None required)"
            )
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Adds a child under ``name``; None keeps the name without a module.

        Raises:
            TypeError: ``module`` is no Module.
            KeyError: ``name`` is empty, contains a dot or is taken by another attribute.
        """
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{type(module).__name__} is not a Module subclass")
        self._check_name("module", name, self.__dict__.get("_modules", {}))
        self._modules[name] = module

    register_module = add_module

    # --- looking up ---------------------------------------------------------------------------

    def get_submodule(self, target: str) -> Module:
        """The module at a path such as ``"layer1.0.conv"``; "" is the module itself.

        Raises:
            AttributeError: there is none, or something else is there.
        """
        module: Module = self
        walked = ""
        for name in target.split(".") if target else ():
            child = getattr(module, name, None)
            if not isinstance(child, Module):
                what = "is not a Module" if hasattr(module, name) else "does not exist"
                raise AttributeError(
                    f"'{walked + name}' (of '{target}') in {type(self).__name__} {what}"
                )
            module, walked = child, f"{walked}{name}."
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Puts ``module`` at the path ``target``, in place of what is there (with ``strict``
        something must be)."""
        if not target:
            raise ValueError("set_submodule: the path is empty")
        if not isinstance(module, Module):
            raise ValueError(f"set_submodule: {type(module).__name__} is not a Module")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not isinstance(getattr(parent, name, None), Module):
            raise AttributeError(f"'{target}' in {type(self).__name__} is no Module to replace")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a path such as ``"layer1.0.conv.weight"``.

        Raises:
            AttributeError: there is none.
        """
        return self._get(target, Parameter, "_parameters")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a path such as ``"bn1.running_mean"``.

        Raises:
            AttributeError: there is none.
        """
        return self._get(target, Tensor, "_buffers")

    def _get(self, target: str, kind: type, table: str) -> Any:
        path, _, name = target.rpartition(".")
        found = getattr(self.get_submodule(path), table).get(name)
        if not isinstance(found, kind):
            raise AttributeError(f"'{target}' is not in the {table[1:]} of {type(self).__name__}")
        return found

    def _named_members(
        self, table: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        for path, module in modules if recurse else [(prefix, self)]:
            for name, member in getattr(module, table).items():
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield path + "." + name if path else name, member

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once; without ``recurse`` only the module's own."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their paths."""
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once; without ``recurse`` only the module's own."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their paths."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def children(self) -> Iterator[Module]:
        """The direct children, each once."""
        for _, module in self.named_children():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The direct children with their names, each once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def modules(self) -> Iterator[Module]:
        """The module itself and all below it, each once."""
        for _, module in self.named_modules():
            yield module

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """The module itself and all below it, with their paths."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                path = prefix + "." + name if prefix else name
                yield from module.named_modules(memo, path, remove_duplicate)

    # --- changing everything ------------------------------------------------------------------

    def apply(self: T, fn: Callable[[Module], Any]) -> T:
        """Calls ``fn`` on every module, children first (to initialise weights, say)."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def train(self: T, mode: bool = True) -> T:
        """Sets training mode here and below (dropout and batch norm behave by it).

        Raises:
            ValueError: ``mode`` is no bool.
        """
        if not isinstance(mode, bool):
            raise ValueError(f"training mode must be a bool, got {mode!r}")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: T) -> T:
        """Sets evaluation mode: ``train(False)``."""
        return self.train(False)

    def requires_grad_(self: T, requires_grad: bool = True) -> T:
        """Switches gradients on or off for all parameters."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops all gradients, or fills them with zeros."""
        for param in self.parameters():
            if param.grad is None:
                continue
            if set_to_none:
                param.grad = None
            else:
                param.grad = param.grad.detach()
                param.grad.zero_()

    # --- state --------------------------------------------------------------------------------

    def get_extra_state(self) -> Any:
        """Something beyond tensors for ``state_dict``; a subclass that has it defines this and
        ``set_extra_state``."""
        raise RuntimeError(f"{type(self).__name__} defines no get_extra_state")

    def set_extra_state(self, state: Any) -> None:
        """Takes back what ``get_extra_state`` gave."""
        raise RuntimeError(f"{type(self).__name__} defines no set_extra_state")

    def _has_extra_state(self) -> bool:
        return type(self).get_extra_state is not Module.get_extra_state

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        for name, param in self._parameters.items():
            if param is not None:
                destination[prefix + name] = param if keep_vars else param.detach()
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = buffer if keep_vars else buffer.detach()
        if self._has_extra_state():
            destination[prefix + _state.EXTRA_STATE] = self.get_extra_state()

    def state_dict(
        self, *, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> OrderedDict[str, Any]:
        """All parameters and persistent buffers by their paths.

        The tensors share memory with the module; they carry no autograd history unless
        ``keep_vars`` is set. The dict's ``_metadata`` holds each module's ``_version``.
        """
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        local = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                below = prefix + name + "."
                module.state_dict(destination=destination, prefix=below, keep_vars=keep_vars)
        for hook in self._state_dict_hooks.values():
            changed = hook(self, destination, prefix, local)
            destination = destination if changed is None else changed
        return destination

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _state.IncompatibleKeys:
        """Copies a ``state_dict`` into the module, all of it or nothing.

        Args:
            state_dict: tensors by path. Values are converted to the module's dtype and device.
            strict: whether missing and unexpected keys are errors.
            assign: put the given tensors themselves in place (their dtype and device win).

        Returns:
            ``(missing_keys, unexpected_keys)``.

        Raises:
            RuntimeError: names every missing and unexpected key and every wrong shape.
            TypeError: ``state_dict`` is no mapping.
        """
        return _state.load(self, state_dict, strict, assign)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Takes this module's own entries; subclasses override it to accept older layouts."""
        rest = (local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
        for hook in self._load_state_dict_pre_hooks.values():
            hook(state_dict, prefix, *rest)
        _state.collect(self, state_dict, prefix, *rest)

    # --- printing -----------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """The part of ``repr`` that tells the module's settings; subclasses define it."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [f"({n}): {_indented(repr(m))}" for n, m in self._modules.items()]
        if not children and len(lines) <= 1:
            return f"{self._get_name()}({extra})"
        body = "\n".join("  " + line for line in (*lines, *children))
        return f"{self._get_name()}(\n{body}\n)"


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")
