"""Weights out of files: finding the state_dict, mending old spellings, fitting another head."""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import deeplite
from deeplite import Tensor, nn

__all__ = ["LoadedKeys", "load_weights", "read_state_dict"]

# Where checkpoints keep the state_dict among other things, and what wrappers put before each key.
_PLACES = ("state_dict", "model_state_dict", "model", "module", "net", "weights", "params")
_WRAPPERS = ("module.", "_orig_mod.", "model.")

# Spellings of the past and what torchvision calls the same entry today. One is used only for a key
# that the model does not have, and only if the model has the new one.
_RENAMED = (
    (r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.", r"\1\2."),  # DenseNet before 0.2.1
    (r"\.gamma$", ".weight"),
    (r"\.beta$", ".bias"),
)


class LoadedKeys(NamedTuple):
    """What :func:`load_weights` did not load: nothing of it is an error.

    Attributes:
        missing: entries of the model that the file does not have; they keep their values.
        unexpected: entries of the file that the model does not have.
        mismatched: entries of different shapes, ``(key, shape in the file, shape in the model)``.
    """

    missing: list[str]
    unexpected: list[str]
    mismatched: list[tuple[str, tuple[int, ...], tuple[int, ...]]]


def read_state_dict(weights: str | os.PathLike[str] | Mapping[str, Any]) -> dict[str, Tensor]:
    """The state_dict in a file (safetensors, or torch's .pth and .pt), or in what a file held.

    A checkpoint that keeps it under a usual name (``"state_dict"``, ``"model"``, ...) is looked
    into, and what wrappers of models put before every key (``module.``) is taken away.

    Raises:
        RuntimeError: the file is damaged, hostile, or holds no state_dict.
        OSError: it cannot be read.

    Example:
        >>> from deeplite import models
        >>> state = {"state_dict": {"module.weight": deeplite.ones(2)}, "epoch": 3}
        >>> list(models.read_state_dict(state))
        ['weight']
    """
    obj: Any = weights
    shown = "the mapping"
    if not isinstance(weights, Mapping):
        shown = os.fspath(weights)
        obj = deeplite.load(weights)
    found = _state_dict_in(obj)
    if found is None:
        what = f"entries {', '.join(map(repr, list(obj)[:5]))}" if isinstance(obj, dict) else ""
        raise RuntimeError(
            f"load_weights: {shown} holds no state_dict, but a {type(obj).__name__} {what}".rstrip()
        )
    for wrapper in _WRAPPERS:
        if all(key.startswith(wrapper) for key in found):
            found = {key[len(wrapper) :]: value for key, value in found.items()}
    return found


def _state_dict_in(obj: Any, depth: int = 3) -> dict[str, Tensor] | None:
    if not isinstance(obj, Mapping) or not obj or not depth:
        return None
    if all(isinstance(k, str) and isinstance(v, Tensor) for k, v in obj.items()):
        return dict(obj)
    for place in _PLACES:
        if (inner := _state_dict_in(obj.get(place), depth - 1)) is not None:
            return inner
    return None


def load_weights(
    model: nn.Module,
    weights: str | os.PathLike[str] | Mapping[str, Any],
    *,
    strict: bool = True,
    replace_head: bool = False,
    rename: Callable[[str], str | None] | None = None,
) -> LoadedKeys:
    """Loads a file of weights into a model: all that fits, or nothing.

    Args:
        model: any module; nothing of it changes when an error is raised.
        weights: a path (safetensors, or torch's ``.pth`` and ``.pt``, which are read without
            running anything of them), or a state_dict.
        strict: every entry must fit. With False, what is missing, unexpected or of another shape
            is left as it is, and listed in the answer.
        replace_head: the file was trained for another number of classes: entries that differ from
            the model's in exactly that, the size of dimension 0, keep the model's fresh values.
        rename: maps a key of the file to the model's; None drops the entry.

    Old spellings of torchvision's keys (``denselayer1.norm.1.weight``) are understood, and so are
    files from before BatchNorm counted its batches.

    Raises:
        RuntimeError: the file is damaged or hostile; or entries do not fit: they are listed by key.

    Example:
        >>> from deeplite import models
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
        >>> state = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 5)).state_dict()
        >>> models.load_weights(net, state, replace_head=True).mismatched
        [('1.weight', (5, 8), (2, 8)), ('1.bias', (5,), (2,))]
    """
    own = model.state_dict()
    state = _spelled(read_state_dict(weights), own, rename)
    missing = [k for k in own if k not in state and not k.endswith(".num_batches_tracked")]
    unexpected = [k for k in state if k not in own]
    mismatched = [
        (k, tuple(v.shape), tuple(own[k].shape))
        for k, v in state.items()
        if k in own and isinstance(own[k], Tensor) and tuple(v.shape) != tuple(own[k].shape)
    ]
    errors = mismatched
    if replace_head and _is_head(mismatched):
        errors = []
    if strict and (missing or unexpected or errors):
        raise RuntimeError(_complaint(model, weights, missing, unexpected, errors))
    if not strict and len(unexpected) == len(state):
        raise RuntimeError(_complaint(model, weights, missing, unexpected, errors))
    left_out = {key for key, _, _ in mismatched}.union(unexpected)
    fitting = OrderedDict((k, v) for k, v in state.items() if k not in left_out)
    model.load_state_dict(fitting, strict=False)
    return LoadedKeys(missing, unexpected, mismatched)


def _spelled(
    state: dict[str, Tensor], own: Mapping[str, Any], rename: Callable[[str], str | None] | None
) -> dict[str, Tensor]:
    """The entries under the keys of the model, where its spelling is known."""
    result: dict[str, Tensor] = {}
    for key, value in state.items():
        name = rename(key) if rename is not None else key
        if name is None:
            continue
        if name not in own:
            for old, new in _RENAMED:
                mended = re.sub(old, new, name)
                if mended != name and mended in own:
                    name = mended
                    break
        if name in result:
            raise RuntimeError(f"load_weights: two entries of the file mean {name!r}")
        result[name] = value
    return result


def _is_head(mismatched: list[tuple[str, tuple[int, ...], tuple[int, ...]]]) -> bool:
    """Whether all entries differ in one number of classes for another in dimension 0."""
    return len({(a[:1], b[:1]) for _, a, b in mismatched}) == 1 and all(
        a and b and a[0] != b[0] and a[1:] == b[1:] for _, a, b in mismatched
    )


def _complaint(
    model: nn.Module,
    weights: Any,
    missing: list[str],
    unexpected: list[str],
    mismatched: list[tuple[str, tuple[int, ...], tuple[int, ...]]],
) -> str:
    def listed(keys: list[str]) -> str:
        more = f" and {len(keys) - 20} more" if len(keys) > 20 else ""
        return ", ".join(keys[:20]) + more

    shown = "this state_dict" if isinstance(weights, Mapping) else os.fspath(weights)
    lines = [f"load_weights: {shown} does not fit {type(model).__name__} (nothing was changed):"]
    if missing:
        lines.append(f"missing, which the model has: {listed(missing)}")
    if unexpected:
        lines.append(f"unexpected, which the model does not have: {listed(unexpected)}")
    for key, theirs, ours in mismatched:
        lines.append(f"shape of {key}: {theirs} in the file, {ours} in the model")
    if _is_head(mismatched) and not missing and not unexpected:
        lines.append("hint: replace_head=True keeps the model's own head")
    return "\n\t".join(lines)
