"""The engine: accumulation, graph lifetime, hooks, views and in-place changes, depth, threads."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest
from op_testing import lib, torch

BOTH = pytest.mark.parametrize("where", [lib, torch], ids=lambda w: w.__name__)
OURS = pytest.mark.skipif(lib.__name__ == "torch", reason="our promise")


def leaf(where: Any, values: Any) -> Any:
    return where.tensor(values, dtype=where.float64, requires_grad=True)


# Tests marked BOTH run on torch as well: what they expect is torch's behaviour, not our opinion.


@BOTH
def test_accumulation(where: Any) -> None:
    x = leaf(where, [1.0, 2.0])
    (x * 3).sum().backward()
    (x * x).sum().backward()
    assert x.grad.tolist() == [5.0, 7.0]
    x.grad.zero_()
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]
    x.grad = None
    x.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


@BOTH
def test_one_tensor_used_many_times(where: Any) -> None:
    x = leaf(where, 3.0)
    y = x * x * x + x
    y.backward()
    assert x.grad.item() == 28.0


@BOTH
def test_backward_with_gradient_and_inputs(where: Any) -> None:
    x, w = leaf(where, [1.0, 2.0]), leaf(where, [3.0, 4.0])
    (x * w).backward(where.tensor([1.0, 10.0], dtype=where.float64), inputs=[x])
    assert x.grad.tolist() == [3.0, 40.0] and w.grad is None
    with pytest.raises(RuntimeError, match="scalar|one element|single"):
        (x * w).backward()


@BOTH
def test_graphs_are_freed_unless_retained(where: Any) -> None:
    x = leaf(where, [1.0])
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4.0]
    with pytest.raises(RuntimeError, match="(?i)second time|freed|retain_graph"):
        y.backward()


@BOTH
def test_grad_leaves_dot_grad_alone(where: Any) -> None:
    x, w = leaf(where, [2.0]), leaf(where, [5.0])
    unrelated = leaf(where, [1.0])
    y = (x * w).sum()
    gx, gw = where.autograd.grad(y, [x, w], retain_graph=True)
    assert gx.tolist() == [5.0] and gw.tolist() == [2.0] and x.grad is None
    with pytest.raises(RuntimeError, match="(?i)unused|not have been used|allow_unused"):
        where.autograd.grad(y, [x, unrelated], retain_graph=True)
    assert where.autograd.grad(y, [x, unrelated], allow_unused=True)[1] is None


@BOTH
def test_gradient_of_an_intermediate(where: Any) -> None:
    x = leaf(where, [2.0])
    h = x * 3
    y = (h * h).sum()
    (gh,) = where.autograd.grad(y, h, retain_graph=True)
    assert gh.tolist() == [12.0]
    h.retain_grad()
    y.backward()
    assert h.grad.tolist() == [12.0] and x.grad.tolist() == [36.0]


@BOTH
def test_create_graph(where: Any) -> None:
    x = leaf(where, [2.0, 3.0])
    (g,) = where.autograd.grad((x**3).sum(), x, create_graph=True)
    assert g.requires_grad and g.tolist() == [12.0, 27.0]
    (gg,) = where.autograd.grad(g.sum(), x, create_graph=True)
    assert gg.tolist() == [12.0, 18.0]
    (ggg,) = where.autograd.grad(gg.sum(), x)
    assert ggg.tolist() == [6.0, 6.0] and not ggg.requires_grad


@BOTH
def test_gradient_penalty(where: Any) -> None:
    """A loss that contains a gradient, as in WGAN-GP: both orders mixed in one backward."""
    x, w = leaf(where, [[1.0, -2.0]]), leaf(where, [[0.5], [0.3]])
    (g,) = where.autograd.grad((x @ w).tanh().sum(), x, create_graph=True)
    ((g * g).sum() + (x @ w).sum()).backward()
    reference = torch.autograd.functional.jacobian  # torch computes the same by another way
    tw = torch.tensor([[0.5], [0.3]], dtype=torch.float64)
    tx = torch.tensor([[1.0, -2.0]], dtype=torch.float64)

    def loss(v: Any) -> Any:
        slope = (1 - (tx @ v).tanh() ** 2) * v.t()
        return (slope * slope).sum() + (tx @ v).sum()

    np.testing.assert_allclose(w.grad.numpy(), reference(loss, tw).numpy(), rtol=1e-12)


@BOTH
def test_modes(where: Any) -> None:
    x = leaf(where, [1.0])
    with where.no_grad():
        assert not where.is_grad_enabled()
        y = x * 2
        assert not y.requires_grad and y.is_leaf
        with where.enable_grad():
            assert (x * 2).requires_grad
    assert where.is_grad_enabled()

    @where.no_grad()
    def f() -> Any:
        return x * 2

    assert not f().requires_grad
    with where.set_grad_enabled(False):
        assert not (x * 2).requires_grad
    with pytest.raises(ZeroDivisionError), where.no_grad():
        raise ZeroDivisionError
    assert where.is_grad_enabled()


@BOTH
def test_inference_mode(where: Any) -> None:
    x = leaf(where, [1.0])
    with where.inference_mode():
        y = x * 2
        assert where.is_inference_mode_enabled()
    assert y.is_inference() and not y.requires_grad
    with pytest.raises(RuntimeError, match="(?i)inference"):
        (y * x).sum().backward()
    assert (y.clone() * x).requires_grad


@BOTH
def test_modes_belong_to_a_thread(where: Any) -> None:
    seen = []
    with where.no_grad():
        t = threading.Thread(target=lambda: seen.append(where.is_grad_enabled()))
        t.start()
        t.join()
    assert seen == [True]


@BOTH
def test_detach(where: Any) -> None:
    x = leaf(where, [1.0, 2.0])
    d = x.detach()
    assert not d.requires_grad and d.data_ptr() == x.data_ptr()
    (x * d).sum().backward()
    assert x.grad.tolist() == [1.0, 2.0]
    y = x * 2
    assert y.detach_() is y and y.is_leaf and not y.requires_grad


# ---------------------------------------------------------------------- changes in place


@BOTH
def test_changed_saved_tensor_is_noticed(where: Any) -> None:
    x = leaf(where, [1.0, 2.0])
    h = x * 1
    y = (h * h).sum()
    h.add_(1)
    with pytest.raises(RuntimeError, match="(?i)in.?place|modified|version"):
        y.backward()


@BOTH
def test_change_through_a_view_is_noticed(where: Any) -> None:
    x = leaf(where, [1.0, 2.0])
    h = x * 1
    view = h[:1]
    y = (h.exp() * h).sum()
    view.mul_(3)
    with pytest.raises(RuntimeError, match="(?i)in.?place|modified|version"):
        y.backward()


@BOTH
def test_change_under_no_grad_is_noticed_too(where: Any) -> None:
    x = leaf(where, [1.0, 2.0])
    y = (x * x).sum()
    with where.no_grad():
        x.add_(1)
    with pytest.raises(RuntimeError, match="(?i)in.?place|modified|version"):
        y.backward()


@BOTH
def test_harmless_changes_pass(where: Any) -> None:
    x = leaf(where, [1.0, 2.0])
    h = x * 2  # the factor is saved, h is not
    y = h + 1
    h.zero_()
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


@BOTH
def test_leaves_must_not_be_written_to(where: Any) -> None:
    x = leaf(where, [1.0])
    for write in (lambda: x.add_(1), lambda: x[0:1].mul_(2), lambda: x.zero_()):
        with pytest.raises(RuntimeError, match="(?i)leaf"):
            write()
    assert x.tolist() == [1.0]
    with where.no_grad():
        x.add_(1)
    assert x.tolist() == [2.0]


@BOTH
def test_in_place_ops_are_differentiated(where: Any) -> None:
    x, w = leaf(where, [1.0, 2.0, 3.0]), leaf(where, [4.0, 5.0, 6.0])
    h = x * 1
    h.mul_(w).add_(1)
    h.tanh_()
    (h * where.tensor([1.0, 2.0, 3.0], dtype=where.float64)).sum().backward()
    expected = (1 - np.tanh(np.array([5.0, 11.0, 19.0])) ** 2) * [1, 2, 3]
    np.testing.assert_allclose(x.grad.numpy(), expected * [4, 5, 6], atol=1e-14)
    np.testing.assert_allclose(w.grad.numpy(), expected * [1, 2, 3], atol=1e-14)


@BOTH
def test_in_place_through_views(where: Any) -> None:
    x, v = leaf(where, [[1.0, 2.0], [3.0, 4.0]]), leaf(where, [10.0, 20.0])
    h = x * 1
    row, column = h[0], h[:, 1]
    row.mul_(v)  # h is [[10, 40], [3, 4]], and column sees it
    column.add_(v)  # [[10, 50], [3, 24]]
    assert h.tolist() == [[10.0, 50.0], [3.0, 24.0]] and row.tolist() == [10.0, 50.0]
    (h * h).sum().backward()
    assert x.grad.tolist() == [[200.0, 2000.0], [6.0, 48.0]]
    assert v.grad.tolist() == [20.0 + 100.0, 200.0 + 48.0]


@BOTH
def test_view_taken_before_the_base_changes(where: Any) -> None:
    x = leaf(where, [1.0, 2.0, 3.0])
    h = x * 1
    view = h[1:]
    h.mul_(2)
    (view * view).sum().backward()
    assert x.grad.tolist() == [0.0, 16.0, 24.0]


@BOTH
def test_copy_into_a_slice(where: Any) -> None:
    x, y = leaf(where, [1.0, 2.0]), leaf(where, [3.0])
    buffer = where.zeros(3, dtype=where.float64)
    buffer[:2] = x
    buffer[2:].copy_(y)
    assert buffer.requires_grad
    (buffer * buffer).sum().backward()
    assert x.grad.tolist() == [2.0, 4.0] and y.grad.tolist() == [6.0]


@BOTH
def test_in_place_on_an_expanded_gradient_path(where: Any) -> None:
    x = leaf(where, [1.0])
    h = x.expand(3).clone()
    h[1] = 5
    h.sum().backward()
    assert x.grad.tolist() == [2.0]


# ---------------------------------------------------------------------- hooks


@BOTH
def test_tensor_hooks(where: Any) -> None:
    x = leaf(where, [1.0, 2.0])
    h = x * 2
    seen = []
    first = h.register_hook(lambda g: seen.append(g.tolist()))
    second = h.register_hook(lambda g: g * 10)
    h.sum().backward()
    assert seen == [[1.0, 1.0]] and x.grad.tolist() == [20.0, 20.0]
    first.remove()
    second.remove()
    x.grad = None
    handle = x.register_hook(lambda g: g + 1)
    (x * 2).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0] and len(seen) == 1
    handle.remove()


@BOTH
def test_errors_in_hooks_come_through(where: Any) -> None:
    x = leaf(where, [1.0])
    y = x * 2

    def bad(g: Any) -> Any:
        raise KeyError("from the hook")

    y.register_hook(bad)
    with pytest.raises(KeyError, match="from the hook"):
        y.sum().backward()


@BOTH
def test_post_accumulate_hook(where: Any) -> None:
    x = leaf(where, [1.0])
    seen = []
    x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))
    (x * 4).sum().backward()
    assert seen == [[4.0]]


@BOTH
def test_hooks_need_something_that_requires_grad(where: Any) -> None:
    with pytest.raises(RuntimeError, match="(?i)require"):
        where.ones(2).register_hook(lambda g: None)


# ---------------------------------------------------------------------- errors


@BOTH
def test_misuse(where: Any) -> None:
    with pytest.raises(RuntimeError, match="(?i)require"):
        where.ones(1).sum().backward()
    x = leaf(where, [1.0, 2.0])
    with pytest.raises(RuntimeError, match="(?i)shape|size"):
        (x * 2).backward(where.ones(3, dtype=where.float64))
    with pytest.raises(RuntimeError, match="(?i)leaf|leaves"):
        (x * 2).requires_grad_(False)
    with pytest.raises(RuntimeError, match="(?i)float"):
        where.ones(2, dtype=where.int64).requires_grad_()
    with pytest.raises((RuntimeError, TypeError), match="(?i)shape|size|grad"):
        x.grad = where.ones(3, dtype=where.float64)
    with pytest.raises((RuntimeError, TypeError), match="(?i)type|grad"):
        x.grad = where.ones(2, dtype=where.float32)
    assert x.grad is None


@BOTH
def test_integer_results_carry_no_gradient(where: Any) -> None:
    x = leaf(where, [3.0, 1.0])
    assert not x.argmax().requires_grad and not (x > 1).requires_grad
    values, indices = x.sort()
    assert values.requires_grad and not indices.requires_grad


# ---------------------------------------------------------------------- size, lifetime, threads


@OURS
def test_a_graph_of_100000_nodes() -> None:
    x = leaf(lib, 1.0)
    y = x
    for _ in range(100_000):
        y = y + 0.0
    y.backward()
    assert x.grad.item() == 1.0


@OURS
def test_deep_graphs_are_dropped_without_recursion_or_leak() -> None:
    gc.collect()
    before = lib.memory_stats()["allocated_bytes"]
    x = leaf(lib, 1.0)
    y = x * 1
    for _ in range(100_000):
        y = y * 1.5
    alive = weakref.ref(y)
    del y
    gc.collect()
    assert alive() is None
    del x
    assert lib.memory_stats()["allocated_bytes"] <= before


@OURS
def test_deep_graph_in_a_thread_with_a_small_stack() -> None:
    old = threading.stack_size(256 * 1024)
    result = []

    def work() -> None:
        x = leaf(lib, 1.0)
        y = x
        for _ in range(50_000):
            y = y + 1
        y.backward()
        result.append(x.grad.item())

    try:
        t = threading.Thread(target=work)
        t.start()
        t.join()
    finally:
        threading.stack_size(old)
    assert result == [1.0]


@OURS
def test_wide_graph() -> None:
    x = leaf(lib, [1.0, 2.0])
    parts = [x * float(i) for i in range(2000)]
    lib.stack(parts).sum().backward()
    assert x.grad.tolist() == [sum(range((2000.0).__int__()))] * 2


@OURS
def test_graphs_that_are_never_run_free_their_memory() -> None:
    gc.collect()
    before = lib.memory_stats()["allocated_bytes"]
    for _ in range(50):
        x = lib.ones(1000, requires_grad=True)
        y = (x * x).exp().sum()
        del x, y
    gc.collect()
    assert lib.memory_stats()["allocated_bytes"] <= before


@OURS
def test_training_steps_do_not_leak() -> None:
    w = lib.ones(50, 50, requires_grad=True)

    def step() -> None:
        (w @ w).relu().sum().backward()
        w.grad = None

    step()
    gc.collect()
    before = lib.memory_stats()["allocated_bytes"]
    for _ in range(30):
        step()
    assert lib.memory_stats()["allocated_bytes"] <= before


@BOTH
def test_identity_of_objects(where: Any) -> None:
    x = where.nn.Parameter(where.ones(1))
    x.note = "kept"
    y = x * 2
    y.sum().backward()
    assert x.grad is x.grad
    node = y.grad_fn
    assert node is not None and x.grad_fn is None
    found = node.next_functions[0][0].variable
    assert found is x and found.note == "kept"


@BOTH
def test_backward_in_several_threads_on_one_leaf(where: Any) -> None:
    x = leaf(where, [1.0] * 10)
    outs = [(x * float(i)).sum() for i in range(8)]
    threads = [threading.Thread(target=o.backward) for o in outs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert x.grad.tolist() == [28.0] * 10


@BOTH
def test_zero_size_gradients(where: Any) -> None:
    x = where.zeros(0, 3, dtype=where.float64, requires_grad=True)
    (x * 2).sum().backward()
    assert tuple(x.grad.shape) == (0, 3)
