"""DataLoader: batches of a dataset, prepared by worker threads if wanted.

Workers are threads: numpy, decoding and the core's own kernels release the interpreter lock, and
nothing has to be pickled or copied between processes.
"""

from __future__ import annotations

import atexit
import itertools
import queue
import threading
import traceback
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from . import _random
from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .sampler import BatchSampler, RandomSampler, SequentialSampler, draw_seed

__all__ = ["DataLoader", "WorkerInfo", "get_worker_info"]


class WorkerInfo(NamedTuple):
    """Which worker is running: its number, how many there are, its seed, its dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_local = threading.local()


def get_worker_info() -> WorkerInfo | None:
    """In a worker thread of a DataLoader its :class:`WorkerInfo`, elsewhere None."""
    return getattr(_local, "info", None)


class _Everlasting:
    """The sampler of a stream: yields None for ever."""

    def __iter__(self) -> Iterator[None]:
        return itertools.repeat(None)


class DataLoader:
    """Iterates over a dataset in batches.

    Args:
        dataset: a :class:`Dataset` (or anything with ``len`` and ``[]``), or an
            :class:`IterableDataset`.
        batch_size: samples in a batch; None yields single samples.
        shuffle: a new random order in each epoch.
        sampler, batch_sampler: the order of samples, or of whole batches, instead.
        num_workers: threads that prepare batches ahead; 0 prepares them in the caller.
        collate_fn: makes a batch out of a list of samples.
        drop_last: leave out a last batch that is not full.
        timeout: seconds to wait for a worker's batch, 0 for ever.
        worker_init_fn: called in each worker with its number first.
        generator: source of the order, of the workers' seeds and of what random transforms draw;
            the same seed gives the same batches, whatever the number of workers.
        prefetch_factor: batches prepared ahead for each worker, 2 by default.
        pin_memory, pin_memory_device, multiprocessing_context, persistent_workers, in_order:
            accepted for torch's signature; batches always come in order.

    Raises:
        ValueError: options that exclude each other, or negative numbers.

    An exception in a worker is raised to the caller with its own type, its message carrying the
    worker's traceback. Leaving the loop early stops the workers.

    Example:
        >>> data = deeplite.data.TensorDataset(deeplite.arange(5))
        >>> [x.tolist() for (x,) in deeplite.data.DataLoader(data, batch_size=2)]
        [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if num_workers < 0:
            raise ValueError(f"DataLoader: num_workers must not be negative, got {num_workers}")
        if timeout < 0:
            raise ValueError(f"DataLoader: timeout must not be negative, got {timeout}")
        if num_workers == 0 and prefetch_factor is not None:
            raise ValueError("DataLoader: prefetch_factor needs num_workers > 0")
        if prefetch_factor is not None and prefetch_factor < 1:
            raise ValueError(f"DataLoader: prefetch_factor must be positive, got {prefetch_factor}")
        if persistent_workers and num_workers == 0:
            raise ValueError("DataLoader: persistent_workers needs num_workers > 0")
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.generator = generator
        self.persistent_workers = persistent_workers
        self._stream = isinstance(dataset, IterableDataset)
        self._check_order(batch_size, shuffle, sampler, batch_sampler, drop_last)
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        if sampler is None:
            sampler = self._default_sampler(bool(shuffle))
        if batch_size is not None and batch_sampler is None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        if collate_fn is None:
            collate_fn = default_collate if batch_sampler is not None else default_convert
        self.collate_fn = collate_fn

    def _check_order(
        self, batch_size: Any, shuffle: Any, sampler: Any, batch_sampler: Any, drop_last: bool
    ) -> None:
        if self._stream and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError(
                "DataLoader: an IterableDataset gives its own order, so shuffle, sampler and "
                "batch_sampler have no meaning"
            )
        if sampler is not None and shuffle:
            raise ValueError("DataLoader: sampler and shuffle exclude each other")
        if batch_sampler is not None and (
            batch_size != 1 or shuffle or sampler is not None or drop_last
        ):
            raise ValueError(
                "DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last"
            )
        if batch_size is None and drop_last:
            raise ValueError("DataLoader: drop_last needs a batch_size")

    def _default_sampler(self, shuffle: bool) -> Any:
        if self._stream:
            return _Everlasting()
        if shuffle:
            return RandomSampler(self.dataset, generator=self.generator)
        return SequentialSampler(self.dataset)

    @property
    def _index_sampler(self) -> Iterable[Any]:
        return self.sampler if self.batch_sampler is None else self.batch_sampler

    def __len__(self) -> int:
        if not self._stream:
            return len(self._index_sampler)  # type: ignore[arg-type]
        n = len(self.dataset)
        if self.batch_size is None:
            return n
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        # Drawn without workers too, so that their number does not change the order of samples.
        seed = draw_seed(self.generator)
        return self._serial(seed) if self.num_workers == 0 else _Workers(self, seed)

    def _serial(self, seed: int) -> Iterator[Any]:
        fetch = self._fetcher()
        for number, index in enumerate(self._index_sampler):
            try:
                with _random.batch(seed, number):
                    made = fetch(index)
            except _EndOfStream:
                return
            yield made

    def _fetcher(self) -> Callable[[Any], Any]:
        """A function from an index (or a list of them) to a batch; one for each worker."""
        return self._stream_fetcher() if self._stream else self._fetch

    def _fetch(self, index: Any) -> Any:
        if self.batch_sampler is None:
            return self.collate_fn(self.dataset[index])
        whole = getattr(self.dataset, "__getitems__", None)
        samples = whole(index) if callable(whole) else [self.dataset[i] for i in index]
        return self.collate_fn(samples)

    def _stream_fetcher(self) -> Callable[[Any], Any]:
        stream = iter(self.dataset)

        def fetch(index: Any) -> Any:
            if self.batch_sampler is None:
                for sample in stream:
                    return self.collate_fn(sample)
                raise _EndOfStream
            samples = list(itertools.islice(stream, len(index)))
            if not samples or (self.drop_last and len(samples) < len(index)):
                raise _EndOfStream
            return self.collate_fn(samples)

        return fetch


class _EndOfStream(Exception):
    pass


class _Failure(NamedTuple):
    error: BaseException
    text: str
    worker: int

    def reraise(self) -> None:
        """Raises an exception of the same type whose message holds the worker's traceback."""
        message = f"caught in DataLoader worker {self.worker}\n\n{self.text}"
        if isinstance(self.error, KeyError):  # its message is shown as a repr otherwise
            new: BaseException = type("KeyError", (KeyError,), {"__str__": lambda e: message})()
        else:
            try:
                new = type(self.error)(message)
            except Exception:  # a constructor with other arguments
                new = RuntimeError(message)
        raise new from self.error


class _Workers:
    """One pass over a dataset with worker threads.

    Task k goes to worker k mod n. Each worker has queues of its own, so taking results in turn
    keeps the order, and at most ``prefetch_factor`` batches are in flight for each.
    """

    def __init__(self, loader: DataLoader, seed: int) -> None:
        self.loader = loader
        self.indices = iter(loader._index_sampler)
        self.stop = threading.Event()
        n = loader.num_workers
        self.tasks: list[queue.SimpleQueue[Any]] = [queue.SimpleQueue() for _ in range(n)]
        self.results: list[queue.SimpleQueue[Any]] = [queue.SimpleQueue() for _ in range(n)]
        self.given = 0  # how many tasks so far
        self.ended = [False] * n  # streams that are exhausted
        self.waiting: list[int] = []  # workers in the order of the tasks they were given
        self.turn = 0
        self.threads = [
            _Worker(
                loader,
                WorkerInfo(i, n, seed + i, loader.dataset),
                seed,
                self.tasks[i],
                self.results[i],
                self.stop,
            )
            for i in range(n)
        ]
        for thread in self.threads:
            thread.start()
        for _ in range(n * loader.prefetch_factor):
            self._give()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __len__(self) -> int:
        return len(self.loader)

    def _give(self) -> None:
        """Gives the next task to the next worker that still has data."""
        if all(self.ended):
            return
        try:
            index = next(self.indices)
        except StopIteration:
            return
        while self.ended[self.turn]:
            self.turn = (self.turn + 1) % len(self.tasks)
        self.tasks[self.turn].put((self.given, index))
        self.given += 1
        self.waiting.append(self.turn)
        self.turn = (self.turn + 1) % len(self.tasks)

    def __next__(self) -> Any:
        while self.waiting:
            worker = self.waiting.pop(0)
            result = self._take(worker)
            if isinstance(result, _EndOfStream):
                self.ended[worker] = True
                self._give()
                continue
            if isinstance(result, _Failure):
                self.close()
                result.reraise()
            self._give()
            return result
        self.close()
        raise StopIteration

    def _take(self, worker: int) -> Any:
        timeout = self.loader.timeout or None
        try:
            return self.results[worker].get(timeout=timeout)
        except queue.Empty:
            self.close()
            raise RuntimeError(
                f"DataLoader: worker {worker} gave no batch within {timeout} seconds"
            ) from None
        except BaseException:  # Ctrl-C while waiting
            self.close()
            raise

    def close(self) -> None:
        """Stops the workers; each finishes the sample it is at."""
        self.stop.set()
        self.waiting.clear()
        for tasks in self.tasks:
            tasks.put(None)  # wakes a worker that waits

    def __del__(self) -> None:
        if hasattr(self, "tasks"):
            self.close()


class _Worker(threading.Thread):
    """A daemon, so that an abandoned pass never keeps the interpreter from ending; what still runs
    then is stopped and waited for by _stop_all."""

    def __init__(
        self,
        loader: DataLoader,
        info: WorkerInfo,
        seed: int,
        tasks: queue.SimpleQueue[Any],
        results: queue.SimpleQueue[Any],
        stop: threading.Event,
    ) -> None:
        self.tasks, self.stop_event = tasks, stop
        super().__init__(
            target=_work,
            args=(loader, info, seed, tasks, results, stop),
            name=f"deeplite-data-{info.id}",
            daemon=True,
        )
        _alive.add(self)


_alive: weakref.WeakSet[_Worker] = weakref.WeakSet()


@atexit.register
def _stop_all() -> None:
    """A thread inside a kernel must not outlive the interpreter."""
    workers = [w for w in _alive if w.is_alive()]
    for w in workers:
        w.stop_event.set()
        w.tasks.put(None)
    for w in workers:
        w.join(timeout=5)


def _work(
    loader: DataLoader,
    info: WorkerInfo,
    seed: int,
    tasks: queue.SimpleQueue[Any],
    results: queue.SimpleQueue[Any],
    stop: threading.Event,
) -> None:
    _local.info = info
    try:
        if loader.worker_init_fn is not None:
            loader.worker_init_fn(info.id)
        fetch = loader._fetcher()
    except BaseException as error:
        failure = _Failure(error, traceback.format_exc(), info.id)

        def fetch(index: Any) -> Any:
            return failure

    del loader  # an abandoned pass must be collected although its workers wait here
    while True:
        task = tasks.get()
        if stop.is_set() or task is None:
            return
        number, index = task
        result: Any
        try:
            with _random.batch(seed, number):
                result = fetch(index)
        except _EndOfStream as end:
            result = end
        except BaseException as error:
            result = _Failure(error, traceback.format_exc(), info.id)
        results.put(result)
