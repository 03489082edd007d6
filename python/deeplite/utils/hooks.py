"""Handles by which registered hooks are removed again."""

from __future__ import annotations

import itertools
import weakref
from collections import OrderedDict
from typing import Any

_next_id = itertools.count()


class RemovableHandle:
    """Returned by every ``register_*hook``; :meth:`remove` (or leaving a ``with`` block) undoes it.

    The handle holds the hook table weakly, so keeping a handle does not keep a module alive.

    Example:
        >>> calls = []
        >>> layer = nn.Linear(2, 2)
        >>> with layer.register_forward_hook(lambda m, x, y: calls.append(m)):
        ...     _ = layer(deeplite.zeros(1, 2))
        >>> _ = layer(deeplite.zeros(1, 2))
        >>> len(calls)
        1
    """

    def __init__(self, table: OrderedDict[int, Any], *extra: OrderedDict[int, Any]) -> None:
        self.id = next(_next_id)
        self._tables = tuple(weakref.ref(t) for t in (table, *extra))

    def remove(self) -> None:
        for ref in self._tables:
            table = ref()
            if table is not None:
                table.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()

    def __getstate__(self) -> tuple[int, list[OrderedDict[int, Any] | None]]:
        return self.id, [ref() for ref in self._tables]

    def __setstate__(self, state: tuple[int, list[OrderedDict[int, Any] | None]]) -> None:
        self.id, tables = state
        # A table that is gone is replaced by an empty one, whose reference dies at once.
        self._tables = tuple(weakref.ref(OrderedDict() if t is None else t) for t in tables)


class HookTable(OrderedDict[int, Any]):
    """An ordered table of hooks (a class of its own: a plain dict has no weak references)."""


def register(
    table: OrderedDict[int, Any],
    hook: Any,
    *,
    prepend: bool = False,
    flags: tuple[OrderedDict[int, Any], ...] = (),
) -> RemovableHandle:
    """Adds ``hook`` to ``table`` and marks it in each table of ``flags``; returns its handle."""
    if not callable(hook):
        raise TypeError(f"a hook must be callable, got {type(hook).__name__}")
    handle = RemovableHandle(table, *flags)
    table[handle.id] = hook
    for flag in flags:
        flag[handle.id] = True
    if prepend:
        table.move_to_end(handle.id, last=False)
    return handle
