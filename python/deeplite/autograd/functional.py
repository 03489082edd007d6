"""`backward` and `grad` as functions of several tensors."""

from __future__ import annotations

from collections.abc import Sequence

from .. import _C
from .._C import Tensor

Tensors = Tensor | Sequence[Tensor]


def backward(
    tensors: Tensors,
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensors | None = None,
) -> None:
    """Adds the gradients of the sum of `tensors` (each weighted with its entry of `grad_tensors`)
    to the ``.grad`` of the leaves they depend on, or of `inputs` only.

    `grad_tensors` may be left out for tensors of one element. `retain_graph` keeps the graph for
    another backward (default: `create_graph`); `create_graph` makes the gradients differentiable.
    Raises RuntimeError when a tensor needs no gradient or the graph was freed, ShapeError when a
    gradient has another shape than its tensor.
    """
    _C._backward(tensors, grad_tensors, retain_graph, create_graph, inputs)


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Tensor, ...]:
    """The gradients of the sum of `outputs` with respect to `inputs`; every ``.grad`` stays alone.

    An input that the outputs do not depend on raises RuntimeError, or gives None with
    `allow_unused`, or zeros with `materialize_grads`.

    >>> import deeplite as dl
    >>> x = dl.tensor(3.0, requires_grad=True)
    >>> (dx,) = dl.autograd.grad(x * x, x, create_graph=True)
    >>> dl.autograd.grad(dx, x)
    (tensor(2.),)
    """
    return _C._grad(
        outputs, inputs, grad_outputs, retain_graph, create_graph, allow_unused, materialize_grads
    )
