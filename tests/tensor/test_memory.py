"""The caching allocator: reuse, bounds, statistics, alignment, running out."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pytest
from op_testing import lib

pytestmark = pytest.mark.skipif(lib.__name__ == "torch", reason="our allocator")


def allocated() -> int:
    return lib.memory_stats()["allocated_bytes"]


def test_statistics_count() -> None:
    gc.collect()
    before = allocated()
    x = lib.zeros(100_000)
    assert allocated() - before >= 400_000
    assert allocated() - before < 600_000
    y = x[10:]  # a view costs nothing
    assert allocated() - before < 600_000
    del x
    assert allocated() - before >= 400_000
    del y
    assert allocated() <= before


def test_peak() -> None:
    lib.reset_peak_memory_stats()
    x = lib.zeros(1_000_000)
    peak = lib.memory_stats()["peak_allocated_bytes"]
    del x
    assert lib.memory_stats()["peak_allocated_bytes"] == peak >= 4_000_000
    lib.reset_peak_memory_stats()
    assert lib.memory_stats()["peak_allocated_bytes"] < peak


def test_a_steady_loop_asks_the_system_for_nothing() -> None:
    def step() -> None:
        x = lib.ones(300, 300, requires_grad=True)
        (x @ x).relu().sum().backward()

    for _ in range(3):
        step()
    before = lib.memory_stats()["system_allocations"]
    for _ in range(10):
        step()
    assert lib.memory_stats()["system_allocations"] == before


def test_empty_cache_and_limit() -> None:
    big = [lib.zeros(500_000) for _ in range(4)]
    del big
    assert lib.memory_stats()["cached_bytes"] >= 8_000_000
    lib.empty_cache()
    assert lib.memory_stats()["cached_bytes"] == 0
    before = lib.memory_stats()["cache_limit"]
    try:
        lib.set_cache_limit(1_000_000)
        big = [lib.zeros(500_000) for _ in range(4)]
        del big
        assert lib.memory_stats()["cached_bytes"] <= 1_000_000
    finally:
        lib.set_cache_limit(before)
    with pytest.raises((ValueError, RuntimeError)):
        lib.set_cache_limit(-1)


def test_alignment() -> None:
    for n in (1, 3, 17, 1000, 100_001):
        assert lib.empty(n).data_ptr() % 64 == 0
        assert lib.empty(n, dtype=lib.int8).data_ptr() % 64 == 0


def test_running_out_of_memory_is_an_exception() -> None:
    before = allocated()
    with pytest.raises((RuntimeError, MemoryError), match="memory|allocate"):
        lib.empty(2**46, dtype=lib.int8)
    assert allocated() <= before
    assert lib.ones(3).sum().item() == 3


def test_memory_freed_on_another_thread() -> None:
    before = allocated()
    made: list = []
    maker = threading.Thread(target=lambda: made.extend(lib.ones(50) for _ in range(500)))
    maker.start()
    maker.join()
    made.clear()
    gc.collect()
    assert allocated() <= before


def hook_holding_its_tensor() -> Any:
    x = lib.zeros(10_000, requires_grad=True)
    x.register_hook(lambda g, x=x: None)
    return x


def hook_holding_its_result() -> Any:
    y = lib.zeros(10_000, requires_grad=True) * 2
    y.register_hook(lambda g, y=y: None)
    return y


def hook_after_backward() -> Any:
    x = lib.zeros(10_000, requires_grad=True)
    x.register_post_accumulate_grad_hook(lambda t, x=x: None)
    (x * 2).sum().backward()
    return x


def hook_of_a_node() -> Any:
    y = lib.zeros(10_000, requires_grad=True) * 2
    y.grad_fn.register_hook(lambda dxs, dys, y=y: None)
    return y


def hook_holding_its_node() -> Any:
    y = lib.zeros(10_000, requires_grad=True) * 2
    y.grad_fn.register_hook(lambda dxs, dys, node=y.grad_fn: None)
    return y


def function_holding_its_result() -> Any:
    class Double(lib.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.result = x * 2
            return ctx.result

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return 2 * dy

    return Double.apply(lib.zeros(10_000, requires_grad=True))


def shown_again() -> Any:
    """The Python object of the tensor dies and another takes its place before the cycle closes."""
    holder = lib.zeros(10_000, requires_grad=True)
    (holder * 2).sum().backward()
    found: list[Any] = []
    holder.grad.requires_grad_().register_hook(lambda g: found.append(g))
    gc.collect()
    again = holder.grad
    found.append(again)
    holder.grad = None
    return again


CYCLES = [
    hook_holding_its_tensor, hook_holding_its_result, hook_after_backward, hook_of_a_node,
    hook_holding_its_node, function_holding_its_result, shown_again,
]  # fmt: skip


@pytest.mark.parametrize("make", CYCLES, ids=lambda make: make.__name__)
def test_reference_cycles_are_collected(make: Any) -> None:
    gc.collect()
    before = allocated()
    for _ in range(20):
        x = make()
    gc.collect()
    assert allocated() - before >= 40_000  # the last one is still held
    assert x.shape == (10_000,)
    del x
    gc.collect()
    assert allocated() - before < 40_000


def test_what_is_alive_is_not_collected() -> None:
    """A graph holds the tensor whose hook refers back to it: the hook must outlive a collection."""
    calls = []
    x = lib.ones(3, requires_grad=True)
    x.register_hook(lambda g, x=x: calls.append(x))
    y = x * 2
    y.register_hook(lambda g, y=y: calls.append(y))
    loss = y.sum()
    del x, y
    gc.collect()
    loss.backward()
    assert [t.tolist() for t in calls] == [[2.0] * 3, [1.0] * 3]


def test_collecting_while_threads_compute() -> None:
    stop = threading.Event()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not stop.is_set():
                x = lib.ones(200, requires_grad=True)
                x.register_hook(lambda g, x=x: g * 2)
                y = x * 3
                y.register_hook(lambda g, y=y: None)
                y.sum().backward()
                assert x.grad.tolist()[0] == 6.0
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for _ in range(40):
        gc.collect()
    stop.set()
    for t in threads:
        t.join()
    assert not failures


def test_plain_tensors_cost_the_collector_nothing() -> None:
    x = lib.ones(3, requires_grad=True)
    assert not gc.is_tracked(x) and not gc.is_tracked(x * 2)
    x.register_hook(lambda g: None)
    assert gc.is_tracked(x)
