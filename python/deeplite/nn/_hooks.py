"""How hooks are registered on a module, and on all modules."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from deeplite.utils.hooks import HookTable, RemovableHandle, register

from . import _call, _state

HOOK_TABLES = (
    "_call_hooks",  # one entry for each hook that __call__ must know of
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_backward_pre_hooks",
    "_backward_hooks",
    "_state_dict_pre_hooks",
    "_state_dict_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


class Hooked:
    """The part of Module that registers hooks."""

    _call_hooks: HookTable
    _forward_pre_hooks: HookTable
    _forward_pre_hooks_with_kwargs: HookTable
    _forward_hooks: HookTable
    _forward_hooks_with_kwargs: HookTable
    _forward_hooks_always_called: HookTable
    _backward_pre_hooks: HookTable
    _backward_hooks: HookTable
    _state_dict_pre_hooks: HookTable
    _state_dict_hooks: HookTable
    _load_state_dict_pre_hooks: HookTable
    _load_state_dict_post_hooks: HookTable

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """``hook(module, args)`` runs before ``forward`` and may return new arguments; with
        ``with_kwargs`` it is ``hook(module, args, kwargs)`` and may return both."""
        flags = [self._call_hooks] + [self._forward_pre_hooks_with_kwargs] * with_kwargs
        return register(self._forward_pre_hooks, hook, prepend=prepend, flags=tuple(flags))

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """``hook(module, args, output)`` runs after ``forward`` and may return a new output;
        with ``with_kwargs`` it is ``hook(module, args, kwargs, output)``; with ``always_call``
        it runs even when the call raises (with the output so far, or None)."""
        flags = [self._call_hooks]
        flags += [self._forward_hooks_with_kwargs] * with_kwargs
        flags += [self._forward_hooks_always_called] * always_call
        return register(self._forward_hooks, hook, prepend=prepend, flags=tuple(flags))

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """``hook(module, grad_output)`` runs when the gradients of the outputs are there and may
        return others."""
        flags = (self._call_hooks,)
        return register(self._backward_pre_hooks, hook, prepend=prepend, flags=flags)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """``hook(module, grad_input, grad_output)`` runs when the gradients of the inputs are
        there and may return others. Inputs that want no gradient have None."""
        flags = (self._call_hooks,)
        return register(self._backward_hooks, hook, prepend=prepend, flags=flags)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """``hook(module, prefix, keep_vars)`` runs before the module's entries are collected."""
        return register(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """``hook(module, state_dict, prefix, local_metadata)`` runs after; it changes the dict
        in place."""
        return register(self._state_dict_hooks, hook)

    _register_state_dict_hook = register_state_dict_post_hook

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """``hook(module, state_dict, prefix, local_metadata, strict, missing_keys,
        unexpected_keys, error_msgs)`` runs before the module takes its entries."""
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        bound = _state.BoundHook(hook, self) if with_module else hook
        return register(self._load_state_dict_pre_hooks, bound)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """``hook(module, incompatible_keys)`` runs after loading; it may clear the lists in
        ``incompatible_keys`` in place to accept what would be an error."""
        bound = _state.BoundHook(hook, self)
        return register(self._load_state_dict_post_hooks, bound)


def _register_global(
    table: HookTable, hook: Callable[..., Any], *flags: OrderedDict[int, Any]
) -> RemovableHandle:
    return register(table, hook, flags=(_call.any_global, *flags))


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """``hook(module, args)`` before every module's ``forward`` (see
    :meth:`Module.register_forward_pre_hook`)."""
    return _register_global(_call.global_forward_pre, hook)


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """``hook(module, args, output)`` after every module's ``forward`` (see
    :meth:`Module.register_forward_hook`)."""
    flags = [_call.global_forward_with_kwargs] * with_kwargs
    flags += [_call.global_forward_always] * always_call
    return _register_global(_call.global_forward, hook, *flags)


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """``hook(module, grad_output)`` for every module (see
    :meth:`Module.register_full_backward_pre_hook`)."""
    return _register_global(_call.global_backward_pre, hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """``hook(module, grad_input, grad_output)`` for every module (see
    :meth:`Module.register_full_backward_hook`)."""
    return _register_global(_call.global_backward, hook)
