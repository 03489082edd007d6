"""Capture: the ops a function runs, as a graph that can be read and replayed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import _C
from ._C import Tensor

__all__ = ["Graph", "capture"]


class Graph:
    """A recorded computation; `str()` shows it as a table, calling it replays it.

    `values` lists every tensor (id, kind "input"/"constant"/"result", shape, dtype, device),
    `steps` every op (name, attributes, ids of inputs and outputs, -1 for an absent tensor);
    `inputs` and `outputs` are ids. A replay takes tensors of the recorded shapes and dtypes, runs
    the same kernels on them and so gives the same bits as the eager run; it goes through autograd.
    One that was recorded without `create_graph` gives gradients without a history, as there.
    """

    def __init__(self, core: Any, unflatten: Callable[[list[Tensor]], Any]) -> None:
        self._core = core
        self._unflatten = unflatten

    def __call__(self, *inputs: Tensor) -> Any:
        return self._unflatten(list(self._core.replay(list(inputs))))

    replay = __call__

    @property
    def values(self) -> list[dict[str, Any]]:
        return list(self._core.values)

    @property
    def steps(self) -> list[dict[str, Any]]:
        return list(self._core.steps)

    @property
    def inputs(self) -> list[int]:
        return list(self._core.inputs)

    @property
    def outputs(self) -> list[int]:
        return list(self._core.outputs)

    def __str__(self) -> str:
        return str(self._core)

    def __repr__(self) -> str:
        ops, inputs, outputs = len(self.steps), len(self.inputs), len(self.outputs)
        return f"<Graph: {ops} ops, {inputs} inputs, {outputs} outputs>"


def _flatten(tree: Any, leaves: list[Tensor]) -> Callable[[list[Tensor]], Any]:
    """Collects the tensors of nested tuples, lists and dicts; returns how to put them back."""
    if isinstance(tree, Tensor):
        index = len(leaves)
        leaves.append(tree)
        return lambda flat: flat[index]
    if tree is None:
        return lambda flat: None
    if isinstance(tree, dict):
        parts = {key: _flatten(value, leaves) for key, value in tree.items()}
        return lambda flat: {key: part(flat) for key, part in parts.items()}
    if isinstance(tree, (tuple, list)):
        items = [_flatten(value, leaves) for value in tree]
        if hasattr(tree, "_fields"):  # a named tuple takes its fields one by one
            return lambda flat: type(tree)(*(item(flat) for item in items))
        return lambda flat: type(tree)(item(flat) for item in items)
    raise TypeError(f"capture: the function must return tensors, got {type(tree).__name__}")


def capture(fn: Callable[..., Any], *inputs: Tensor) -> Graph:
    """Runs ``fn(*inputs)`` once and returns the graph of ops it ran.

    Tensors that are not inputs (parameters, buffers) become constants, held by reference: a replay
    sees their current values, and changes in place what `fn` changed in place. Gradients
    (`backward`, `autograd.grad`) and optimizer steps are recorded too. A `.grad` that `fn` found
    absent is set anew by each replay, one that was there is added to; numbers such as the learning
    rate stay as they were, and so do random draws.

    Raises RuntimeError when `fn` reads a computed value (`item()`, `if tensor:`), since a replay
    could not repeat the decision, and when an optimizer takes its first step in it, since each
    replay would make the state anew. The forward of an `autograd.Function` is replayed as the ops
    it ran; differentiating it in a replay raises NotImplementedError.

    >>> import deeplite as dl
    >>> graph = dl.capture(lambda x: (x + 1).relu(), dl.zeros(2))
    >>> [step["op"] for step in graph.steps]
    ['add', 'relu']
    >>> graph(dl.tensor([-3.0, 1.0]))
    tensor([0., 2.])
    """
    for i, x in enumerate(inputs):
        if not isinstance(x, Tensor):
            raise TypeError(f"capture: input {i} must be a Tensor, not {type(x).__name__}")
    structure: list[Callable[[list[Tensor]], Any]] = []

    def run() -> list[Tensor]:
        leaves: list[Tensor] = []
        structure.append(_flatten(fn(*inputs), leaves))
        return leaves

    core = _C._capture(run, list(inputs))
    return Graph(core, structure[0])
