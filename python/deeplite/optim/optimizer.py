"""The base class of all optimizers."""

from __future__ import annotations

import copy
import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import deeplite
from deeplite import Tensor
from deeplite.utils.hooks import HookTable, RemovableHandle, register

_global_pre_hooks = HookTable()
_global_post_hooks = HookTable()

Closure = Callable[[], Any]


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


required: Any = _Required()


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """``hook(optimizer, args, kwargs)`` before every step of every optimizer."""
    return register(_global_pre_hooks, hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """``hook(optimizer, args, kwargs)`` after every step of every optimizer."""
    return register(_global_post_hooks, hook)


def _hooked(step: Callable[..., Any]) -> Callable[..., Any]:
    """``step`` with the hooks around it, and counted (for learning-rate schedulers)."""

    @functools.wraps(step)
    def wrapper(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        for hook in (*_global_pre_hooks.values(), *self._step_pre_hooks.values()):
            changed = hook(self, args, kwargs)
            if changed is not None:
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(
                        "a step pre-hook must return None or (args, kwargs), "
                        f"got {type(changed).__name__}"
                    )
                args, kwargs = changed
        result = step(self, *args, **kwargs)
        self._step_count += 1
        for hook in (*self._step_post_hooks.values(), *_global_post_hooks.values()):
            hook(self, args, kwargs)
        return result

    wrapper._is_hooked = True  # type: ignore[attr-defined]
    return wrapper


class Optimizer:
    """Parameters in groups, each with its options, and a state for each parameter.

    A subclass passes its default options to ``__init__`` and defines ``step``.

    Args:
        params: tensors, or (name, tensor) pairs, or dicts: groups with options of their own.
        defaults: the options that groups do not set.

    Raises:
        TypeError: ``params`` is a single tensor, or holds something that is none.
        ValueError: there are no parameters, one is in two groups, or is no leaf.

    Example:
        >>> w = nn.Parameter(deeplite.tensor([1.0]))
        >>> opt = deeplite.optim.SGD([{"params": [w], "lr": 0.5}])
        >>> w.grad = deeplite.tensor([1.0])
        >>> opt.step()
        >>> w.detach()
        tensor([0.5000])
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        step = cls.__dict__.get("step")
        if step is not None and not hasattr(step, "_is_hooked"):
            cls.step = _hooked(step)  # type: ignore[method-assign]

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self._make_hook_tables()
        if isinstance(params, Tensor):
            raise TypeError(
                f"{type(self).__name__}: params must be an iterable of tensors or dicts, "
                "not a single Tensor"
            )
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ValueError(f"{type(self).__name__}: got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _make_hook_tables(self) -> None:
        self._step_count = 0
        self._step_pre_hooks = HookTable()
        self._step_post_hooks = HookTable()
        self._state_dict_pre_hooks = HookTable()
        self._state_dict_post_hooks = HookTable()
        self._load_state_dict_pre_hooks = HookTable()
        self._load_state_dict_post_hooks = HookTable()

    def __getstate__(self) -> dict[str, Any]:
        return {
            "defaults": self.defaults,
            "state": self.state,
            "param_groups": self.param_groups,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if "_step_pre_hooks" not in self.__dict__:
            self._make_hook_tables()

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])

    # --- groups -------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds parameters with options of their own (layers that are thawed later, say).

        Raises:
            TypeError: the group is no dict, or holds something that is no Tensor.
            ValueError: a parameter is no leaf or is in a group already, an option is missing.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"add_param_group: expected a dict, got {type(param_group).__name__}")
        group = dict(param_group)
        params = group["params"]
        if isinstance(params, Tensor):
            params = [params]
        elif isinstance(params, set):
            raise TypeError("parameters need an order, a set has none: pass a list")
        params = list(params)
        if params and isinstance(params[0], tuple):
            group["param_names"] = [name for name, _ in params]
            params = [param for _, param in params]
        group["params"] = params
        self._check_params(params)
        for name, default in self.defaults.items():
            if default is required and name not in group:
                raise ValueError(f"a parameter group does not set the required option '{name}'")
            group.setdefault(name, default)
        named = [("param_names" in g) for g in (*self.param_groups, group)]
        if any(named) != all(named):
            raise ValueError("all parameter groups must have names, or none")
        self.param_groups.append(group)

    def _check_params(self, params: list[Any]) -> None:
        for param in params:
            if not isinstance(param, Tensor):
                raise TypeError(
                    f"{type(self).__name__} can only optimize Tensors, got {type(param).__name__}"
                )
            if not (param.is_leaf or param.requires_grad is False):
                raise ValueError(
                    f"{type(self).__name__}: cannot optimize a non-leaf Tensor of shape "
                    f"{tuple(param.shape)}"
                )
        ids = {id(p) for p in params}
        if len(ids) != len(params):
            raise ValueError("a parameter group holds a parameter more than once")
        if ids & {id(p) for group in self.param_groups for p in group["params"]}:
            raise ValueError("some parameters appear in more than one parameter group")

    # --- steps --------------------------------------------------------------------------------

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops the gradients of all parameters, or fills them with zeros."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                if set_to_none:
                    p.grad = None
                else:
                    p.grad = p.grad.detach()
                    p.grad.zero_()

    def step(self, closure: Closure | None = None) -> Any:
        """Updates all parameters that have a gradient.

        Args:
            closure: computes the loss anew (and its gradients) before the update.

        Returns:
            What the closure returned, or None.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no step")

    @staticmethod
    def _evaluate(closure: Closure | None) -> Any:
        if closure is None:
            return None
        with deeplite.enable_grad():
            return closure()

    @staticmethod
    def _with_grad(group: dict[str, Any]) -> tuple[list[Tensor], list[Tensor]]:
        """The group's parameters that have gradients, and those."""
        params, grads = [], []
        for p in group["params"]:
            grad = p.grad
            if grad is not None:
                params.append(p)
                grads.append(grad)
        return params, grads

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """``hook(optimizer, args, kwargs)`` before each step; may return new (args, kwargs)."""
        return register(self._step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """``hook(optimizer, args, kwargs)`` after each step."""
        return register(self._step_post_hooks, hook)

    # --- state --------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """``{"state": {index: {...}}, "param_groups": [{..., "params": [index, ...]}]}``.

        Parameters are numbered in the order of the groups. The tensors are the optimizer's own,
        not copies.
        """
        for hook in self._state_dict_pre_hooks.values():
            hook(self)
        number: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            packed = {k: v for k, v in group.items() if k != "params"}
            for p in group["params"]:
                number.setdefault(id(p), len(number))
            packed["params"] = [number[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {
            (number[id(key)] if isinstance(key, Tensor) else key): value
            for key, value in self.state.items()
        }
        result: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in self._state_dict_post_hooks.values():
            changed = hook(self, result)
            result = result if changed is None else changed
        return result

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over what ``state_dict`` gave (of the same kind of optimizer).

        Tensors are copied, and converted to the dtype and device of their parameter.

        Raises:
            ValueError: the groups, or the number of parameters in one, differ; nothing is changed.
        """
        given: dict[str, Any] = dict(state_dict)
        for hook in self._load_state_dict_pre_hooks.values():
            changed = hook(self, given)
            given = given if changed is None else changed
        groups, saved = self.param_groups, copy.deepcopy(given["param_groups"])
        if len(groups) != len(saved):
            raise ValueError(
                f"load_state_dict: the state has {len(saved)} parameter groups, the optimizer "
                f"has {len(groups)}"
            )
        for i, (group, other) in enumerate(zip(groups, saved)):
            if len(group["params"]) != len(other["params"]):
                raise ValueError(
                    f"load_state_dict: parameter group {i} has {len(other['params'])} parameters "
                    f"in the state, the optimizer's has {len(group['params'])}"
                )
        params = {
            index: p
            for group, other in zip(groups, saved)
            for index, p in zip(other["params"], group["params"])
        }
        state: defaultdict[Any, Any] = defaultdict(dict)
        for index, value in given["state"].items():
            if index in params:
                state[params[index]] = _converted(params[index], value)
            else:
                state[index] = value
        for group, other in zip(groups, saved):
            other["params"] = group["params"]
            if "param_names" in group and "param_names" not in other:
                other["param_names"] = group["param_names"]
        self.__setstate__({"state": state, "param_groups": saved})
        for hook in self._load_state_dict_post_hooks.values():
            hook(self)

    def register_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """``hook(optimizer)`` before ``state_dict``."""
        return register(self._state_dict_pre_hooks, hook, prepend=prepend)

    def register_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """``hook(optimizer, state_dict)`` after ``state_dict``; may return another."""
        return register(self._state_dict_post_hooks, hook, prepend=prepend)

    def register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """``hook(optimizer, state_dict)`` before loading; may return another state_dict."""
        return register(self._load_state_dict_pre_hooks, hook, prepend=prepend)

    def register_load_state_dict_post_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """``hook(optimizer)`` after loading."""
        return register(self._load_state_dict_post_hooks, hook, prepend=prepend)


def _converted(param: Tensor, value: Any, key: str = "") -> Any:
    """A copy of a parameter's state, its tensors in the parameter's dtype and on its device."""
    if isinstance(value, Tensor):
        with deeplite.no_grad():
            if key == "step":  # a count, kept in float32 whatever the parameter is
                return value.detach().to(dtype=deeplite.float32).clone()
            if param.is_floating_point():
                value = value.to(dtype=param.dtype)
            return value.detach().to(device=param.device).clone()
    if isinstance(value, dict):
        return {k: _converted(param, v, k) for k, v in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, (str, bytes)):
        return type(value)(_converted(param, v) for v in value)  # type: ignore[call-arg]
    return value


def check_range(name: str, option: str, value: Any, low: float, high: float | None = None) -> None:
    """Raises a ValueError unless ``low <= value`` (``< high``). NaN is out of every range."""
    number = float(value)
    if not low <= number or (high is not None and not number < high):
        limit = f"at least {low}" if high is None else f"in [{low}, {high})"
        raise ValueError(f"{name}: invalid {option} {value}, it must be {limit}")


def check_unsupported(name: str, **options: Any) -> None:
    """Raises for options of torch that have no meaning here, unless they are switched off."""
    for option, value in options.items():
        if value:
            raise NotImplementedError(f"{name}: {option}={value} is not supported")


__all__ = [
    "Optimizer",
    "register_optimizer_step_post_hook",
    "register_optimizer_step_pre_hook",
    "required",
]
