"""How a module takes over a state_dict: first everything is checked, then everything is copied."""

from __future__ import annotations

import difflib
import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import deeplite
from deeplite import Tensor

from .parameter import Parameter

if TYPE_CHECKING:
    from .module import Module

EXTRA_STATE = "_extra_state"


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict`` returns: keys the model wants and keys it does not know."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"IncompatibleKeys(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})"
        )

    def __str__(self) -> str:
        return repr(self)


class Change:
    """One step of a load, done only after all of the state_dict has been found to fit."""

    def __init__(self, do: Callable[[], None], backup: Callable[[], Callable[[], None]]) -> None:
        self.do, self.backup = do, backup


class BoundHook:
    """A hook that gets its module first. The module is found again after a deepcopy or pickle,
    because both copy this object along with the module."""

    def __init__(self, hook: Callable[..., Any], module: Any) -> None:
        self.hook, self.module = hook, module

    def __call__(self, *args: Any) -> Any:
        return self.hook(self.module, *args)


def _copy(target: Tensor, value: Tensor) -> Change:
    def do() -> None:
        with deeplite.no_grad():
            target.copy_(value)

    def backup() -> Callable[[], None]:
        with deeplite.no_grad():
            old = target.detach().clone()
        return lambda: _copy(target, old).do()

    return Change(do, backup)


def _assign(module: Module, name: str, value: Tensor) -> Change:
    def backup() -> Callable[[], None]:
        old = getattr(module, name)
        return lambda: setattr(module, name, old)

    return Change(lambda: setattr(module, name, value), backup)


def _set_extra(module: Module, state: Any) -> Change:
    # What a module makes of its extra state is unknown, so it cannot be undone: it comes first.
    return Change(lambda: module.set_extra_state(state), lambda: lambda: None)


def collect(
    module: Module,
    state_dict: Mapping[str, Any],
    prefix: str,
    local_metadata: dict[str, Any],
    strict: bool,
    missing_keys: list[str],
    unexpected_keys: list[str],
    error_msgs: list[str],
) -> None:
    """Checks the entries for ``module`` itself (not its children) and notes what is to be done.

    The steps go to ``local_metadata["pending"]``; without such a list they are done at once.
    """
    pending = local_metadata.get("pending")
    changes: list[Change] = [] if pending is None else pending
    assign = local_metadata.get("assign_to_params_buffers", False)

    persistent = {
        k: v for k, v in module._buffers.items() if k not in module._non_persistent_buffers_set
    }
    for name, own in itertools.chain(module._parameters.items(), persistent.items()):
        if own is None:
            continue
        key = prefix + name
        if key not in state_dict:
            if strict:
                missing_keys.append(key)
            continue
        value = state_dict[key]
        problem = _misfit(key, own, value)
        if problem:
            error_msgs.append(problem)
        elif assign:
            changes.append(_assign(module, name, _dressed(own, value)))
        else:
            changes.append(_copy(own, value))

    key = prefix + EXTRA_STATE
    if module._has_extra_state():
        if key in state_dict:
            changes.insert(0, _set_extra(module, state_dict[key]))
        elif strict:
            missing_keys.append(key)
    elif strict and key in state_dict:
        unexpected_keys.append(key)
    if strict:
        unexpected_keys.extend(_unknown(module, state_dict, prefix, persistent))
    if pending is None:
        for change in changes:
            change.do()


def _misfit(key: str, own: Tensor, value: Any) -> str | None:
    if not isinstance(value, Tensor):
        return f"'{key}' must be a Tensor, the state_dict holds {type(value).__name__}"
    if tuple(value.shape) != tuple(own.shape):
        return (
            f"size mismatch for {key}: the state_dict has shape {tuple(value.shape)}, "
            f"the model has {tuple(own.shape)}"
        )
    return None


def _dressed(own: Tensor, value: Tensor) -> Tensor:
    """``value`` as the kind of tensor that ``own`` is, for assign=True."""
    if not isinstance(own, Parameter):
        return value
    if not isinstance(value, Parameter):
        return Parameter(value, requires_grad=own.requires_grad)
    return value.requires_grad_(own.requires_grad)


def _unknown(
    module: Module, state_dict: Mapping[str, Any], prefix: str, persistent: Mapping[str, Any]
) -> Iterable[str]:
    for key in state_dict:
        if not key.startswith(prefix) or key == prefix + EXTRA_STATE:
            continue
        first, _, rest = key[len(prefix) :].partition(".")
        if rest:
            if first not in module._modules:
                yield key
        elif first not in module._parameters and first not in persistent:
            yield key


def load(
    root: Module, state_dict: Mapping[str, Any], strict: bool, assign: bool
) -> IncompatibleKeys:
    """``root.load_state_dict``: all or nothing."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"load_state_dict: expected a mapping of names to tensors, "
            f"got {type(state_dict).__name__}"
        )
    metadata = getattr(state_dict, "_metadata", None)
    state = OrderedDict(state_dict)  # hooks may rename keys: the caller's dict stays as it is
    if metadata is not None:
        state._metadata = metadata  # type: ignore[attr-defined]
    missing: list[str] = []
    unexpected: list[str] = []
    errors: list[str] = []
    pending: list[Change] = []
    hooked: list[Module] = []

    def visit(module: Module, local: dict[str, Any], prefix: str) -> None:
        info = {} if metadata is None else dict(metadata.get(prefix[:-1], {}))
        if assign:
            info["assign_to_params_buffers"] = True
        info["pending"] = pending
        module._load_from_state_dict(local, prefix, info, True, missing, unexpected, errors)
        for name, child in module._modules.items():
            if child is not None:
                below = prefix + name + "."
                # A copy of the part below: a child's hooks cannot touch its siblings' entries.
                part = OrderedDict((k, v) for k, v in local.items() if k.startswith(below))
                visit(child, part, below)
        if module._load_state_dict_post_hooks:
            hooked.append(module)

    visit(root, state, "")
    keys = IncompatibleKeys(missing, unexpected)
    _refuse(root, keys, errors, strict and not hooked)
    # Post-hooks must see the loaded values, and may still change which keys count as missing; an
    # error after them (or in an extra state) puts the old values back.
    may_fail = bool(hooked) or any(m._has_extra_state() for m in root.modules())
    undo: list[Callable[[], None]] = []
    try:
        for change in pending:
            if may_fail:
                undo.append(change.backup())
            change.do()
        for module in hooked:
            for hook in module._load_state_dict_post_hooks.values():
                if hook(keys) is not None:
                    raise RuntimeError("a load_state_dict post-hook must return None")
        _refuse(root, keys, errors, strict)
    except BaseException:
        for step in reversed(undo):
            step()
        raise
    return keys


def _refuse(root: Module, keys: IncompatibleKeys, errors: list[str], strict: bool) -> None:
    lines = list(errors)
    if strict:
        if keys.unexpected_keys:
            names = ", ".join(f'"{k}"' for k in keys.unexpected_keys)
            lines.insert(0, f"unexpected key(s), which the model does not have: {names}")
        if keys.missing_keys:
            names = ", ".join(f'"{k}"' for k in keys.missing_keys)
            lines.insert(0, f"missing key(s), which the state_dict does not have: {names}")
        lines.extend(_hints(keys))
    if lines:
        raise RuntimeError(
            f"cannot load this state_dict into {type(root).__name__} (nothing was changed):\n\t"
            + "\n\t".join(lines)
        )


def _hints(keys: IncompatibleKeys) -> list[str]:
    missing, unexpected = keys.missing_keys, keys.unexpected_keys
    if not missing or not unexpected:
        return []
    heads = {k.partition(".")[0] + "." for k in unexpected if "." in k}
    for head in sorted(heads):
        if all(head + k in unexpected for k in missing):
            return [f'hint: the keys fit when their prefix "{head}" is removed']
    close = [
        f'"{k}" -> "{match[0]}"'
        for k in unexpected[:5]
        if (match := difflib.get_close_matches(k, missing, n=1, cutoff=0.8))
    ]
    return [f"hint: similar names: {', '.join(close)}"] if close else []
