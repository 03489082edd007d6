"""Datasets: what a DataLoader draws samples from."""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import deeplite
from deeplite import Tensor

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")

__all__ = [
    "ChainDataset",
    "ConcatDataset",
    "Dataset",
    "IterableDataset",
    "StackDataset",
    "Subset",
    "TensorDataset",
    "random_split",
]


class Dataset(Generic[T_co]):
    """Samples by index: subclasses define ``__getitem__`` and, as a rule, ``__len__``.

    A subclass may also define ``__getitems__(indices)``, which returns the list of samples of a
    whole batch at once.

    Example:
        >>> class Squares(deeplite.data.Dataset):
        ...     def __len__(self):
        ...         return 4
        ...     def __getitem__(self, i):
        ...         return i * i
        >>> [int(b.sum()) for b in deeplite.data.DataLoader(Squares(), batch_size=2)]
        [1, 13]
    """

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(f"{type(self).__name__} defines no __getitem__")

    def __add__(self, other: Dataset[Any]) -> ConcatDataset[Any]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """Samples as a stream: subclasses define ``__iter__``.

    With several workers each of them iterates over the dataset; ``get_worker_info()`` tells a
    worker which part is its own.
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} defines no __iter__")

    def __add__(self, other: Dataset[Any]) -> Any:
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Tensors of equal first size; sample i is the tuple of their rows i.

    Raises:
        ValueError: no tensors, or first sizes that differ.

    Example:
        >>> data = deeplite.data.TensorDataset(deeplite.arange(3), deeplite.zeros(3, 2))
        >>> len(data), int(data[2][0])
        (3, 2)
    """

    tensors: tuple[Tensor, ...]

    def __init__(self, *tensors: Tensor) -> None:
        if not tensors or any(t.dim() == 0 for t in tensors):
            raise ValueError("TensorDataset: expected one or more tensors with a first dimension")
        if any(t.shape[0] != tensors[0].shape[0] for t in tensors):
            shapes = ", ".join(str(tuple(t.shape)) for t in tensors)
            raise ValueError(f"TensorDataset: the first sizes differ: {shapes}")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(t[index] for t in self.tensors)

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])


class StackDataset(Dataset[Any]):
    """Datasets side by side: samples are tuples, or dicts when they are given by keyword.

    Raises:
        ValueError: no datasets, both kinds, or lengths that differ.

    Example:
        >>> data = deeplite.data.StackDataset(x=[1, 2], y=["a", "b"])
        >>> data[1]
        {'x': 2, 'y': 'b'}
    """

    datasets: tuple[Any, ...] | dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if bool(args) == bool(kwargs):
            raise ValueError("StackDataset: give datasets either by position or by keyword")
        parts = args or tuple(kwargs.values())
        if any(len(d) != len(parts[0]) for d in parts):
            raise ValueError(
                f"StackDataset: the lengths differ: {', '.join(str(len(d)) for d in parts)}"
            )
        self._length = len(parts[0])
        self.datasets = args or kwargs

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {key: d[index] for key, d in self.datasets.items()}
        return tuple(d[index] for d in self.datasets)

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[T_co]):
    """Datasets one after the other.

    Raises:
        ValueError: no datasets, or a stream among them.

    Example:
        >>> data = deeplite.data.ConcatDataset([[1, 2], [3]])
        >>> len(data), data[2], data[-1]
        (3, 3, 3)
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: there are no datasets")
        for d in self.datasets:
            if isinstance(d, IterableDataset):
                raise ValueError("ConcatDataset does not take an IterableDataset")
        self.cumulative_sizes = list(itertools.accumulate(len(d) for d in self.datasets))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> T_co:
        if not -len(self) <= index < len(self):
            raise IndexError(f"ConcatDataset: index {index} is out of range for {len(self)}")
        index %= len(self)
        part = bisect.bisect_right(self.cumulative_sizes, index)
        start = self.cumulative_sizes[part - 1] if part else 0
        return self.datasets[part][index - start]


class ChainDataset(IterableDataset[Any]):
    """Streams one after the other."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)

    def __iter__(self) -> Iterator[Any]:
        for d in self.datasets:
            if not isinstance(d, IterableDataset):
                raise TypeError("ChainDataset takes only IterableDatasets")
            yield from d

    def __len__(self) -> int:
        return sum(len(d) for d in self.datasets)


class Subset(Dataset[T_co]):
    """The samples of ``dataset`` at ``indices``.

    Example:
        >>> deeplite.data.Subset(["a", "b", "c"], [2, 0])[0]
        'c'
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list[int]) -> list[Any]:
        chosen = [self.indices[i] for i in indices]
        fetch = getattr(self.dataset, "__getitems__", None)
        return fetch(chosen) if callable(fetch) else [self.dataset[i] for i in chosen]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(
    dataset: Any, lengths: Sequence[int | float], generator: Any = None
) -> list[Subset[Any]]:
    """Splits a dataset at random into parts that do not overlap.

    Args:
        lengths: the parts' lengths, or fractions that sum to 1 (what rounding leaves over goes
            to the first parts, one each).
        generator: for the same split every time.

    Raises:
        ValueError: lengths that do not sum up, or a fraction outside [0, 1].

    Example:
        >>> train, test = deeplite.data.random_split(range(10), [0.8, 0.2])
        >>> len(train), len(test)
        (8, 2)
    """
    total = len(dataset)
    sizes = list(lengths)
    if any(isinstance(n, float) for n in sizes) and math.isclose(sum(sizes), 1):
        for i, fraction in enumerate(sizes):
            if not 0 <= fraction <= 1:
                raise ValueError(f"random_split: fraction {i} is {fraction}, not between 0 and 1")
        counts = [math.floor(total * fraction) for fraction in sizes]
        for i in range(total - sum(counts)):
            counts[i % len(counts)] += 1
        for i, n in enumerate(counts):
            if n == 0:
                warnings.warn(f"random_split: part {i} is empty", stacklevel=2)
    else:
        counts = [int(n) for n in sizes]
    if sum(counts) != total or any(n < 0 for n in counts):
        raise ValueError(
            f"random_split: lengths {list(lengths)} do not sum up to the dataset's {total}"
        )
    order = deeplite.randperm(total, generator=generator).tolist()
    ends = list(itertools.accumulate(counts))
    return [Subset(dataset, order[end - n : end]) for end, n in zip(ends, counts)]
