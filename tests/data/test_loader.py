"""DataLoader: batches, order, workers, exceptions, shutdown."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest
from nn_pairs import deeplite

data = deeplite.data
WORKERS = (0, 1, 3)


def workers_alive() -> int:
    return sum(t.name.startswith("deeplite-data") for t in threading.enumerate())


def wait_for_no_workers() -> bool:
    for _ in range(200):
        if workers_alive() == 0:
            return True
        time.sleep(0.01)
    return False


class Numbers(data.Dataset):
    def __init__(self, n: int, delay: float = 0.0) -> None:
        self.n, self.delay = n, delay

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> int:
        if self.delay:  # later samples are quicker: order must be kept all the same
            time.sleep(self.delay * ((self.n - i) % 3))
        return i


@pytest.mark.parametrize("workers", WORKERS)
def test_batches_in_order(workers: int) -> None:
    loader = data.DataLoader(Numbers(10, 0.002), batch_size=3, num_workers=workers)
    for _ in range(2):
        assert [b.tolist() for b in loader] == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
    assert len(loader) == 4
    loader = data.DataLoader(Numbers(10), batch_size=3, drop_last=True, num_workers=workers)
    assert [b.tolist() for b in loader] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]] and len(loader) == 3
    loader = data.DataLoader(Numbers(3), batch_size=None, num_workers=workers)
    assert list(loader) == [0, 1, 2] and len(loader) == 3
    loader = data.DataLoader(
        Numbers(5), batch_size=2, collate_fn=lambda b: tuple(b), num_workers=workers
    )
    assert list(loader) == [(0, 1), (2, 3), (4,)]
    loader = data.DataLoader(Numbers(9), batch_sampler=[[8, 1], [2]], num_workers=workers)
    assert [b.tolist() for b in loader] == [[8, 1], [2]]
    loader = data.DataLoader(Numbers(9), batch_size=2, sampler=[8, 1, 2], num_workers=workers)
    assert [b.tolist() for b in loader] == [[8, 1], [2]]
    assert list(data.DataLoader(Numbers(0), num_workers=workers)) == []
    assert wait_for_no_workers()


def test_shuffling_is_set_by_the_seed_alone() -> None:
    def epochs(workers: int, seed: int) -> list[list[int]]:
        loader = data.DataLoader(
            Numbers(30),
            batch_size=4,
            shuffle=True,
            num_workers=workers,
            generator=deeplite.Generator().manual_seed(seed),
        )
        return [[i for b in loader for i in b.tolist()] for _ in range(2)]

    first = epochs(0, 7)
    assert first[0] != first[1] and sorted(first[0]) == list(range(30))
    for workers in WORKERS:
        assert epochs(workers, 7) == first
    assert epochs(0, 8) != first

    def by_default_generator() -> list[int]:
        deeplite.manual_seed(5)
        return [i for b in data.DataLoader(Numbers(30), shuffle=True) for i in b.tolist()]

    assert by_default_generator() == by_default_generator()


class Stream(data.IterableDataset):
    def __init__(self, n: int) -> None:
        self.n = n

    def __iter__(self) -> Any:
        info = data.get_worker_info()
        start, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(start, self.n, step))


@pytest.mark.parametrize("workers", WORKERS)
def test_streams(workers: int) -> None:
    loader = data.DataLoader(Stream(11), batch_size=2, num_workers=workers)
    got = [b.tolist() for b in loader]
    assert sorted(i for b in got for i in b) == list(range(11))
    if workers == 3:  # workers take turns
        assert got[:3] == [[0, 3], [1, 4], [2, 5]]
    loader = data.DataLoader(Stream(5), batch_size=None, num_workers=workers)
    assert sorted(loader) == [0, 1, 2, 3, 4]
    full = data.DataLoader(Stream(11), batch_size=4, drop_last=True, num_workers=workers)
    assert all(len(b) == 4 for b in full)
    chained = data.DataLoader(Stream(2) + Stream(2), batch_size=None)
    assert list(chained) == [0, 1, 0, 1]
    with pytest.raises(TypeError):
        len(loader)


class Failing(Numbers):
    def __init__(self, error: Exception) -> None:
        super().__init__(10)
        self.error = error

    def __getitem__(self, i: int) -> int:
        if i == 5:
            raise self.error
        return i


class Odd(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__(a, b)


@pytest.mark.parametrize("workers", [1, 3])
def test_exceptions_reach_the_caller(workers: int) -> None:
    for error, kind in (
        (ValueError("bad sample"), ValueError),
        (KeyError("bad key"), KeyError),
        (Odd(1, 2), RuntimeError),
    ):
        seen = []
        loader = data.DataLoader(Failing(error), batch_size=2, num_workers=workers)
        with pytest.raises(kind) as caught:
            for batch in loader:
                seen.append(batch.tolist())
        assert seen == [[0, 1], [2, 3]]
        text = str(caught.value)
        assert "DataLoader worker" in text and "__getitem__" in text and "raise self.error" in text
        assert caught.value.__cause__ is error
    with pytest.raises(ValueError, match="bad sample"):
        list(data.DataLoader(Failing(ValueError("bad sample")), num_workers=0))
    assert wait_for_no_workers()


def test_worker_init() -> None:
    seen: list[Any] = []

    def init(worker: int) -> None:
        info = data.get_worker_info()
        assert info is not None
        seen.append((worker, info.id, info.num_workers, info.seed, len(info.dataset)))

    loader = data.DataLoader(Numbers(4), num_workers=2, worker_init_fn=init)
    list(loader)
    assert sorted(s[:3] for s in seen) == [(0, 0, 2), (1, 1, 2)]
    assert abs(seen[0][3] - seen[1][3]) == 1 and seen[0][4] == 4
    assert data.get_worker_info() is None

    def broken(worker: int) -> None:
        raise OSError("no disk")

    with pytest.raises(OSError, match="no disk"):
        list(data.DataLoader(Numbers(4), num_workers=2, worker_init_fn=broken))


def test_leaving_early_stops_the_workers() -> None:
    for batch in data.DataLoader(Numbers(1000), num_workers=3):
        assert batch.tolist() == [0]
        break
    del batch
    gc.collect()
    assert wait_for_no_workers()
    iterator = iter(data.DataLoader(Numbers(1000), num_workers=2))
    next(iterator)
    assert workers_alive() == 2
    del iterator
    assert wait_for_no_workers()


def test_prefetch_is_bounded() -> None:
    taken: list[int] = []

    class Watched(Numbers):
        def __getitem__(self, i: int) -> int:
            taken.append(i)
            return i

    iterator = iter(data.DataLoader(Watched(100), num_workers=2, prefetch_factor=3))
    next(iterator)
    time.sleep(0.1)
    assert len(taken) <= 2 * 3 + 1
    del iterator


def test_timeout() -> None:
    class Slow(Numbers):
        def __getitem__(self, i: int) -> int:
            time.sleep(0.5)
            return i

    with pytest.raises(RuntimeError, match="no batch within"):
        list(data.DataLoader(Slow(2), num_workers=1, timeout=0.05))
    assert wait_for_no_workers()


def test_bad_options() -> None:
    d = Numbers(4)
    for options in (
        {"num_workers": -1},
        {"timeout": -1},
        {"batch_size": 0},
        {"prefetch_factor": 2},
        {"prefetch_factor": 0, "num_workers": 1},
        {"persistent_workers": True},
        {"sampler": [1], "shuffle": True},
        {"batch_sampler": [[1]], "batch_size": 2},
        {"batch_sampler": [[1]], "shuffle": True},
        {"batch_size": None, "drop_last": True},
    ):
        with pytest.raises(ValueError):
            data.DataLoader(d, **options)
    with pytest.raises(ValueError, match="IterableDataset"):
        data.DataLoader(Stream(3), shuffle=True)
    data.DataLoader(d, num_workers=1, persistent_workers=True, pin_memory=True)


PROGRAM = """
import time, deeplite
from deeplite import data
class Slow(data.Dataset):
    def __len__(self): return 1000
    def __getitem__(self, i):
        time.sleep(0.05)
        return deeplite.ones(20, 20) @ deeplite.ones(20, 20)
iterator = iter(data.DataLoader(Slow(), num_workers=4))
next(iterator)
if {interrupt}:
    import os, signal, threading
    threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    try:
        while True: next(iterator)
    except KeyboardInterrupt:
        print("interrupted")
print("end")
"""


@pytest.mark.parametrize("interrupt", [False, True])
def test_the_interpreter_ends_cleanly(interrupt: bool) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(interrupt=interrupt)],
        capture_output=True,
        text=True,
        timeout=60,
        # As at a terminal: a shell's background job, CI's for one, hands down an ignored Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == (["interrupted", "end"] if interrupt else ["end"])
    assert run.stderr == ""


def test_numpy_samples() -> None:
    class Arrays(Numbers):
        def __getitem__(self, i: int) -> Any:
            return np.full(3, i, dtype=np.float32), i

    x, y = next(iter(data.DataLoader(Arrays(4), batch_size=4)))
    assert x.dtype == deeplite.float32 and x.shape == (4, 3) and y.tolist() == [0, 1, 2, 3]
