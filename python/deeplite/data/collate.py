"""Making a batch out of samples."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import deeplite
from deeplite import Tensor

__all__ = ["default_collate", "default_convert"]

_TEXT = re.compile("[SaUO]")  # numpy kinds that are no numbers


def default_collate(batch: Sequence[Any]) -> Any:
    """Stacks samples into a batch, however they are nested.

    Tensors and numpy arrays are stacked along a new first dimension, numbers become a tensor
    (floats float64, ints int64), strings stay a list; mappings, named tuples, tuples and lists
    are collated entry by entry.

    Raises:
        TypeError: something that cannot be batched.
        RuntimeError: sequences of unequal length; stacking tensors of unequal shape raises too.

    Example:
        >>> batch = default_collate([{"x": 1, "y": "a"}, {"x": 2, "y": "b"}])
        >>> batch["x"].tolist(), batch["y"]
        ([1, 2], ['a', 'b'])
    """
    if not batch:
        raise ValueError("default_collate: the batch is empty")
    first = batch[0]
    if isinstance(first, Tensor):
        return deeplite.stack(list(batch))
    if isinstance(first, np.ndarray):
        if _TEXT.match(first.dtype.kind):
            raise TypeError(f"default_collate: cannot batch an array of dtype {first.dtype}")
        return deeplite.stack([deeplite.as_tensor(a) for a in batch])
    if isinstance(first, np.generic):
        return deeplite.as_tensor(np.asarray(batch))
    if isinstance(first, float):
        return deeplite.tensor(list(batch), dtype=deeplite.float64)
    if isinstance(first, int):
        return deeplite.tensor(list(batch))
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        parts = {key: default_collate([sample[key] for sample in batch]) for key in first}
        return _like(first, parts)
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(part) for part in zip(*batch)))
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("default_collate: the samples of a batch must be of equal length")
        columns = [default_collate(part) for part in zip(*batch)]
        return columns if isinstance(first, tuple) else _like(first, columns)
    raise TypeError(
        "default_collate: a batch must hold tensors, numpy arrays, numbers, strings, mappings or "
        f"sequences, found {type(first).__name__}"
    )


def default_convert(data: Any) -> Any:
    """Turns numpy arrays into tensors, however they are nested; the rest stays as it is.

    Example:
        >>> default_convert([1, "a"])
        [1, 'a']
    """
    if isinstance(data, np.ndarray):
        return data if _TEXT.match(data.dtype.kind) else deeplite.as_tensor(data)
    if isinstance(data, np.generic):
        return data if _TEXT.match(data.dtype.kind) else deeplite.as_tensor(np.asarray(data))
    if isinstance(data, Mapping):
        return _like(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(value) for value in data))
    if isinstance(data, tuple):
        return [default_convert(value) for value in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _like(data, [default_convert(value) for value in data])
    return data


def _like(original: Any, content: Any) -> Any:
    """``content`` in the container type of ``original``, where that can be made from it."""
    try:
        return type(original)(content)
    except TypeError:
        return content
