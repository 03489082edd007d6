"""Parameters as one flat vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

import deeplite
from deeplite import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters, flattened and joined.

    Raises:
        ValueError: there are none.

    Example:
        >>> layer = nn.Linear(2, 3)
        >>> tuple(nn.utils.parameters_to_vector(layer.parameters()).shape)
        (9,)
    """
    flat = [p.reshape(-1) for p in parameters]
    if not flat:
        raise ValueError("parameters_to_vector: there are no parameters")
    return deeplite.cat(flat)


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copies consecutive parts of ``vec`` into the parameters.

    Raises:
        TypeError: ``vec`` is no Tensor.
        ValueError: it has not as many entries as the parameters; nothing is changed then.

    Example:
        >>> layer = nn.Linear(2, 3)
        >>> nn.utils.vector_to_parameters(deeplite.zeros(9), layer.parameters())
        >>> float(layer.weight.detach().abs().sum())
        0.0
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: expected a Tensor, got {type(vec).__name__}")
    targets = list(parameters)
    total = sum(p.numel() for p in targets)
    if vec.dim() != 1 or vec.numel() != total:
        raise ValueError(
            f"vector_to_parameters: expected a vector of {total} entries, "
            f"got shape {tuple(vec.shape)}"
        )
    start = 0
    with deeplite.no_grad():
        for p in targets:
            part = vec[start : start + p.numel()]
            p.copy_(part.reshape(p.shape))
            start += p.numel()
