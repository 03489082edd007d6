"""Datasets, samplers, collation."""

from __future__ import annotations

from collections import Counter, OrderedDict, namedtuple
from typing import Any

import numpy as np
import pytest
from nn_pairs import array, deeplite, torch

data = deeplite.data


def test_tensor_dataset() -> None:
    d = data.TensorDataset(deeplite.arange(4), deeplite.zeros(4, 2))
    assert len(d) == 4 and int(d[2][0]) == 2 and d[-1][1].shape == (2,)
    for bad in ([], [deeplite.tensor(1)], [deeplite.zeros(2), deeplite.zeros(3)]):
        with pytest.raises(ValueError, match="TensorDataset"):
            data.TensorDataset(*bad)
    with pytest.raises(IndexError):
        d[4]


def test_composed_datasets() -> None:
    d = data.ConcatDataset([[1, 2], [], [3]])
    assert [d[i] for i in range(3)] == [1, 2, 3] and d[-3] == 1 and len(d) == 3
    for i in (3, -4):
        with pytest.raises(IndexError, match="out of range"):
            d[i]
    with pytest.raises(ValueError):
        data.ConcatDataset([])
    s = data.Subset(list("abcd"), [3, 1])
    assert s[0] == "d" and len(s) == 2 and s.__getitems__([1, 0]) == ["b", "d"]
    both = data.StackDataset([1, 2], ["x", "y"])
    assert both[1] == (2, "y") and len(both) == 2
    assert data.StackDataset(a=[1], b=[2])[0] == {"a": 1, "b": 2}
    for make in (
        lambda: data.StackDataset(),
        lambda: data.StackDataset([1], a=[2]),
        lambda: data.StackDataset([1], [2, 3]),
    ):
        with pytest.raises(ValueError, match="StackDataset"):
            make()
    one = data.TensorDataset(deeplite.zeros(2)) + data.TensorDataset(deeplite.ones(3))
    assert len(one) == 5 and float(one[4][0]) == 1
    with pytest.raises(NotImplementedError):
        data.Dataset()[0]


def test_random_split() -> None:
    def generator() -> Any:
        return deeplite.Generator().manual_seed(3)

    parts = data.random_split(range(10), [7, 3], generator=generator())
    assert sorted(x for p in parts for x in (p[i] for i in range(len(p)))) == list(range(10))
    again = data.random_split(range(10), [7, 3], generator=generator())
    assert [list(p.indices) for p in parts] == [list(p.indices) for p in again]
    assert [len(p) for p in data.random_split(range(11), [0.5, 0.3, 0.2])] == [6, 3, 2]
    for bad in ([5, 4], [0.5, 0.6], [-1, 11]):
        with pytest.raises(ValueError, match="random_split"):
            data.random_split(range(10), bad)
    with pytest.warns(UserWarning, match="empty"):
        data.random_split(range(2), [0.9, 0.05, 0.05])


def test_samplers() -> None:
    n = range(50)
    assert list(data.SequentialSampler(n)) == list(n)
    order = list(data.RandomSampler(n))
    assert order != list(n) and sorted(order) == list(n)
    assert len(list(data.RandomSampler(n, num_samples=120))) == 120
    few = list(data.RandomSampler(n, num_samples=7))
    assert len(few) == len(set(few)) == 7
    drawn = list(data.RandomSampler(n, replacement=True, num_samples=3000))
    assert len(drawn) == 3000 and set(drawn) == set(n)
    assert sorted(data.SubsetRandomSampler([3, 9, 4])) == [3, 4, 9]
    weighted = Counter(data.WeightedRandomSampler([1, 0, 3], 4000))
    assert weighted[1] == 0 and 0.2 < weighted[0] / 4000 < 0.3
    assert sorted(data.WeightedRandomSampler([1, 2, 3], 3, replacement=False)) == [0, 1, 2]
    assert list(data.BatchSampler(range(5), 2, True)) == [[0, 1], [2, 3]]
    assert len(data.BatchSampler(range(5), 2, True)) == 2
    assert len(data.BatchSampler(range(5), 2, False)) == 3

    def seeded() -> list[int]:
        return list(data.RandomSampler(n, generator=deeplite.Generator().manual_seed(1)))

    assert seeded() == seeded()
    for make in (
        lambda: data.RandomSampler(n, num_samples=0),
        lambda: data.WeightedRandomSampler([1.0], 0),
        lambda: data.WeightedRandomSampler([[1.0]], 1),
        lambda: data.BatchSampler(n, 0, False),
        lambda: data.BatchSampler(n, 2.5, False),  # type: ignore[arg-type]
        lambda: data.BatchSampler(n, 2, 1),  # type: ignore[arg-type]
    ):
        with pytest.raises(ValueError):
            make()


Point = namedtuple("Point", ["x", "y"])


def test_collate_is_that_of_torch() -> None:
    def nested(lib: Any, i: int) -> Any:
        return {
            "tensor": lib.tensor([float(i), 2.0]),
            "array": np.full((2, 2), i, dtype=np.int32),
            "scalar": np.float32(i),
            "int": i,
            "float": i / 2,
            "bool": i > 0,
            "text": f"t{i}",
            "list": [i, [lib.tensor(i), "x"]],
            "tuple": (i, 1.5),
            "point": Point(i, lib.tensor([i])),
        }

    ours = data.default_collate([nested(deeplite, i) for i in range(3)])
    theirs = torch.utils.data.default_collate([nested(torch, i) for i in range(3)])

    def same(a: Any, b: Any) -> None:
        if isinstance(b, torch.Tensor):
            assert array(a).dtype == array(b).dtype
            np.testing.assert_array_equal(array(a), array(b))
        elif isinstance(b, dict):
            assert list(a) == list(b)
            for k in b:
                same(a[k], b[k])
        elif isinstance(b, (list, tuple)):
            assert type(a) is type(b) and len(a) == len(b)
            for x, y in zip(a, b):
                same(x, y)
        else:
            assert a == b

    same(ours, theirs)
    ordered = data.default_collate([OrderedDict(b=1, a=2)])
    assert isinstance(ordered, OrderedDict) and list(ordered) == ["b", "a"]
    with pytest.raises(TypeError, match="object"):
        data.default_collate([object()])
    with pytest.raises(TypeError, match="dtype"):
        data.default_collate([np.array(["a"])])
    with pytest.raises(RuntimeError, match="equal length"):
        data.default_collate([[1], [1, 2]])
    with pytest.raises((RuntimeError, ValueError)):
        data.default_collate([deeplite.zeros(2), deeplite.zeros(3)])
    converted = data.default_convert({"a": np.zeros(2), "b": [1, "x"]})
    assert isinstance(converted["a"], deeplite.Tensor) and converted["b"] == [1, "x"]


def test_utils_data_is_the_same_module() -> None:
    import deeplite.utils.data
    from deeplite.utils.data import DataLoader

    assert DataLoader is data.DataLoader and deeplite.utils.data is data
