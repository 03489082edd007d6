"""What ``Module.__call__`` does when it is not the plain case: hooks, anomaly mode, errors."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import deeplite
from deeplite import _C, Tensor
from deeplite.utils.hooks import HookTable

if TYPE_CHECKING:
    from .module import Module

# Hooks on every module; `any_global` has an entry for each, so that one test finds "none".
any_global = HookTable()
global_forward_pre = HookTable()
global_forward = HookTable()
global_forward_with_kwargs = HookTable()
global_forward_always = HookTable()
global_backward_pre = HookTable()
global_backward = HookTable()


def call_hooked(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``module(*args, **kwargs)`` with everything that is hooked in around ``forward``."""
    if not _C._anomaly_enabled():
        return _run(module, args, kwargs)
    _C._push_layer(_enter(module))
    try:
        return _run(module, args, kwargs)
    finally:
        _running.stack.pop()
        _C._pop_layer()


def _run(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    pending = {  # always_call hooks that have not run yet
        **{i: global_forward[i] for i in global_forward_always if i in global_forward},
        **{i: module._forward_hooks[i] for i in module._forward_hooks_always_called},
    }
    result: Any = None
    try:
        for i, hook in (*global_forward_pre.items(), *module._forward_pre_hooks.items()):
            args, kwargs = _apply_pre_hook(module, i, hook, args, kwargs)
        backward = BackwardHooks.of(module)
        if backward is not None:
            args = backward.tap_inputs(args)
        result = module.forward(*args, **kwargs)
        for i, hook in (*global_forward.items(), *module._forward_hooks.items()):
            pending.pop(i, None)
            result = _apply_hook(module, i, hook, args, kwargs, result)
        return result if backward is None else backward.tap_outputs(result)
    except Exception:
        for i, hook in pending.items():
            try:  # the error that is under way matters more than one in such a hook
                result = _apply_hook(module, i, hook, args, kwargs, result)
            except Exception:
                pass
        raise


def _apply_pre_hook(
    module: Module, i: int, hook: Callable[..., Any], args: Any, kwargs: Any
) -> Any:
    if i in module._forward_pre_hooks_with_kwargs:
        changed = hook(module, args, kwargs)
        if changed is None:
            return args, kwargs
        if isinstance(changed, tuple) and len(changed) == 2:
            return changed
        raise RuntimeError(
            f"a forward pre-hook with kwargs must return None or (args, kwargs), got {changed!r}"
        )
    changed = hook(module, args)
    if changed is None:
        return args, kwargs
    return (changed if isinstance(changed, tuple) else (changed,)), kwargs


def _apply_hook(
    module: Module, i: int, hook: Callable[..., Any], args: Any, kwargs: Any, result: Any
) -> Any:
    if i in module._forward_hooks_with_kwargs or i in global_forward_with_kwargs:
        changed = hook(module, args, kwargs, result)
    else:
        changed = hook(module, args, result)
    return result if changed is None else changed


# --- backward hooks ---------------------------------------------------------------------------


class BackwardHooks:
    """Full backward hooks of one call: identity functions around the module's inputs and outputs
    see the gradients pass. The outputs' runs the pre-hooks, the inputs' (which comes last in
    the backward pass) the hooks themselves."""

    def __init__(self, module: Module, pre: list[Any], hooks: list[Any]) -> None:
        self.module, self.pre, self.hooks = module, pre, hooks
        self.grad_output: tuple[Tensor | None, ...] | None = None
        self.inputs_tapped = False
        self.n_inputs = 0
        self.input_places: list[int] = []
        self.n_outputs = 0
        self.output_places: list[int] = []

    @classmethod
    def of(cls, module: Module) -> BackwardHooks | None:
        pre = [*global_backward_pre.values(), *module._backward_pre_hooks.values()]
        hooks = [*global_backward.values(), *module._backward_hooks.values()]
        return cls(module, pre, hooks) if pre or hooks else None

    def tap_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.n_inputs = len(args)
        if not self.hooks or not deeplite.is_grad_enabled():
            return args
        self.input_places = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        tensors = [args[i] for i in self.input_places]
        if not any(t.requires_grad for t in tensors):
            return args
        self.inputs_tapped = True
        new = list(args)
        for i, t in zip(self.input_places, _tap(self.on_grad_input, tensors)):
            new[i] = t
        return tuple(new)

    def tap_outputs(self, result: Any) -> Any:
        results = result if isinstance(result, (tuple, list)) else (result,)
        self.n_outputs = len(results)
        self.output_places = [i for i, a in enumerate(results) if isinstance(a, Tensor)]
        tensors = [results[i] for i in self.output_places]
        if not any(t.requires_grad for t in tensors):
            return result
        new = list(results)
        for i, t in zip(self.output_places, _tap(self.on_grad_output, tensors)):
            new[i] = t
        if isinstance(result, list):
            return new
        if isinstance(result, tuple):
            # A named tuple is rebuilt from its fields.
            return type(result)(*new) if hasattr(result, "_fields") else tuple(new)
        return new[0]

    def on_grad_output(self, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        full = _spread(grads, self.output_places, self.n_outputs)
        for hook in self.pre:
            changed = hook(self.module, full)
            if changed is not None:
                full = _checked(changed, full, "full_backward_pre_hook")
        self.grad_output = full
        if not self.inputs_tapped:  # no input wants a gradient: this is the only chance to call
            for hook in self.hooks:
                if hook(self.module, (None,) * self.n_inputs, full) is not None:
                    raise RuntimeError(
                        "a full_backward_hook returned a gradient, but no input requires one"
                    )
        return tuple(full[i] for i in self.output_places)

    def on_grad_input(self, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
        full = _spread(grads, self.input_places, self.n_inputs)
        for hook in self.hooks:
            changed = hook(self.module, full, self.grad_output)
            if changed is not None:
                full = _checked(changed, full, "full_backward_hook")
        return tuple(full[i] for i in self.input_places)


def _spread(grads: tuple[Any, ...], places: list[int], n: int) -> tuple[Any, ...]:
    full = [None] * n
    for place, grad in zip(places, grads):
        full[place] = grad
    return tuple(full)


def _checked(changed: Any, old: tuple[Any, ...], what: str) -> tuple[Any, ...]:
    new = changed if isinstance(changed, tuple) else (changed,)
    if len(new) != len(old):
        raise RuntimeError(f"a {what} must return {len(old)} gradient(s), got {len(new)}")
    return new


def _tap(observe: Callable[[tuple[Any, ...]], tuple[Any, ...]], tensors: list[Tensor]) -> Any:
    """Identity whose backward passes the gradients through ``observe``."""
    from deeplite.autograd import Function

    class Tap(Function):
        @staticmethod
        def forward(ctx: Any, *xs: Tensor) -> tuple[Tensor, ...]:
            ctx.set_materialize_grads(False)
            return tuple(x.view_as(x) for x in xs)

        @staticmethod
        def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
            return observe(grads)

    return Tap.apply(*tensors)


# --- names of layers --------------------------------------------------------------------------

_running = threading.local()


def layer_path(root: Module, module: Module) -> str | None:
    """Where ``module`` sits below ``root``: ``"layer4.0.conv1"``, "" for root, None if nowhere."""
    for name, candidate in root.named_modules():
        if candidate is module:
            return name
    return None


def _describe(path: str, module: Module) -> str:
    kind = type(module).__name__
    return f"{path} ({kind})" if path else kind


def _enter(module: Module) -> str:
    """Notes that ``module`` runs and returns its name as seen from the outermost running one."""
    if not hasattr(_running, "stack"):
        _running.stack = []
    _running.stack.append(module)
    for root in _running.stack:
        path = layer_path(root, module)
        if path is not None:
            return _describe(path, module)
    return type(module).__name__


def name_layer(module: Module, error: Exception) -> None:
    """Adds to ``error`` the path of the innermost layer that raised it, as seen from ``module``.

    Called by every module that the exception passes, from the inside out, so that the text
    grows from "(in Conv2d)" to "(in layer4.0.conv1 (Conv2d))" and in the end is there once.
    """
    try:
        note = error.__dict__.get("_deeplite_layer")
        if note is None:
            # Only plain messages are extended: a KeyError's argument is the key, not a text.
            plain = len(error.args) == 1 and isinstance(error.args[0], str)
            if not plain or isinstance(error, (KeyError, StopIteration, OSError)):
                return
            note = error._deeplite_layer = (module, error.args[0])  # type: ignore[attr-defined]
        innermost, text = note
        path = layer_path(module, innermost)
        if path is not None:
            error.args = (f"{text} (in {_describe(path, innermost)})",)
    except Exception:
        pass  # a broken module must not hide the error that it raised
