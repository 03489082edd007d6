"""Trading time for memory: parts of a network whose inner results backward computes again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import _C
from .._C import Tensor
from ..autograd import Function, enable_grad, grad
from ..nn import Module, Sequential
from ..random import fork_rng, get_rng_state, set_rng_state

__all__ = ["checkpoint", "checkpoint_sequential"]


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """``function(*args, **kwargs)`` without keeping what its backward needs: only the arguments
    stay, and the function runs a second time when the gradient is wanted (Chen et al., "Training
    deep nets with sublinear memory cost", 2016, arXiv 1604.06174).

    Gradients reach the arguments and every tensor that the function uses beside them (a layer's
    parameters), through ``backward`` as well as through ``autograd.grad``, also a second time.

    Args:
        function: gives a tensor or a tuple of tensors. It must do the same on the second run;
            whatever it changes besides (running statistics of a norm layer) is changed twice.
        use_reentrant: taken for torch's sake; both values do the same.
        preserve_rng_state: draw the same random numbers again, for dropout.

    Raises:
        RuntimeError: the second run gives results of other shapes.

    Example:
        >>> from deeplite.utils.checkpoint import checkpoint
        >>> layer = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        >>> checkpoint(layer, deeplite.ones(1, 4)).sum().backward()
        >>> tuple(layer[0].weight.grad.shape)
        (8, 4)
    """
    if not _C.is_grad_enabled():
        return function(*args, **kwargs)
    state = get_rng_state() if preserve_rng_state else None
    result = function(*args, **kwargs)
    outputs = [result] if isinstance(result, Tensor) else list(result)
    given = [a for a in (*args, *kwargs.values()) if isinstance(a, Tensor) and a.requires_grad]
    used = _leaves_of(outputs, given)
    if not used and not given:
        return result

    def again(*detached: Tensor) -> list[Any]:
        """A second run, with these tensors as the arguments that need a gradient."""
        new = iter(detached)

        def swap(a: Any) -> Any:
            return next(new) if isinstance(a, Tensor) and a.requires_grad else a

        repeated = function(*[swap(a) for a in args], **{k: swap(v) for k, v in kwargs.items()})
        return [repeated] if isinstance(repeated, Tensor) else list(repeated)

    shapes = [o.shape if isinstance(o, Tensor) else None for o in outputs]
    plain = [o.detach() if isinstance(o, Tensor) else o for o in outputs]
    kept = _Checkpoint.apply(plain, again, state, shapes, len(given), *given, *used)
    return kept[0] if isinstance(result, Tensor) else tuple(kept)


def _leaves_of(outputs: list[Any], given: list[Tensor]) -> list[Tensor]:
    """The leaves that the outputs depend on otherwise than through the given tensors."""
    # Nodes are held, not just their ids: an id may be used again when its object is gone.
    seen = {id(n): n for n in (t.grad_fn for t in given) if n is not None}
    stop_leaves = {id(t) for t in given}
    leaves: dict[int, Tensor] = {}
    queue = [o.grad_fn for o in outputs if isinstance(o, Tensor) and o.grad_fn is not None]
    for o in outputs:  # an output may be a leaf itself
        if isinstance(o, Tensor) and o.requires_grad and o.grad_fn is None:
            leaves[id(o)] = o
    while queue:
        node = queue.pop()
        if node is None or id(node) in seen:
            continue
        seen[id(node)] = node
        variable = getattr(node, "variable", None)
        if variable is not None:
            leaves[id(variable)] = variable
        queue += [next_node for next_node, _ in node.next_functions]
    return [leaf for key, leaf in leaves.items() if key not in stop_leaves]


class _Checkpoint(Function):
    """(outputs, again, random state, shapes, n, n arguments, leaves...) -> outputs."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        outputs, ctx.again, ctx.state, ctx.shapes, ctx.given, *tensors = inputs
        ctx.save_for_backward(*tensors)
        flags = [o for o in outputs if isinstance(o, Tensor) and not o.dtype.is_floating_point]
        ctx.mark_non_differentiable(*flags)
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        create_graph = _C.is_grad_enabled()
        saved = list(ctx.saved_tensors)
        arguments, leaves = saved[: ctx.given], saved[ctx.given :]
        with enable_grad(), fork_rng(enabled=ctx.state is not None):
            if ctx.state is not None:
                set_rng_state(ctx.state)
            if not create_graph:  # nothing beyond the arguments is wanted
                arguments = [a.detach().requires_grad_() for a in arguments]
            outputs = ctx.again(*arguments)
        shapes = [o.shape if isinstance(o, Tensor) else None for o in outputs]
        if shapes != ctx.shapes:
            raise RuntimeError(
                f"checkpoint: the second run of the function gave results of shapes {shapes}, "
                f"the first {ctx.shapes}"
            )
        pairs = [
            (o, g)
            for o, g in zip(outputs, grads)
            if isinstance(o, Tensor) and o.requires_grad and g is not None
        ]
        found: Any = grad(
            [o for o, _ in pairs],
            [*arguments, *leaves],
            [g for _, g in pairs],
            create_graph=create_graph,
            allow_unused=True,
        )
        return (None, None, None, None, None, *found)


def checkpoint_sequential(
    functions: Sequential | list[Module], segments: int, input: Any, **options: Any
) -> Any:
    """Runs modules one after the other in ``segments`` checkpointed groups; the last group keeps
    its inner results. ``options`` as for :func:`checkpoint`.

    Raises:
        ValueError: ``segments`` is less than 1 or more than there are modules.

    Example:
        >>> from deeplite.utils.checkpoint import checkpoint_sequential
        >>> layers = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
        >>> tuple(checkpoint_sequential(layers, 2, deeplite.ones(3, 4)).shape)
        (3, 1)
    """
    modules = list(functions)
    if not 1 <= segments <= max(1, len(modules)):
        raise ValueError(
            f"checkpoint_sequential: segments must be between 1 and {len(modules)} (the number of "
            f"modules), got {segments}"
        )

    def group(members: list[Module]) -> Callable[[Any], Any]:
        def run(x: Any) -> Any:
            for member in members:
                x = member(x)
            return x

        return run

    size = len(modules) // segments
    for i in range(segments - 1):
        input = checkpoint(group(modules[i * size : (i + 1) * size]), input, **options)
    return group(modules[(segments - 1) * size :])(input)
