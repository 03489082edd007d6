"""Hooks of modules against torch's: order, arguments, results, removal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nn_pairs import LIBRARIES, array, deeplite

nn = deeplite.nn


def test_forward_hooks_run_as_in_torch() -> None:
    logs = []
    for lib in LIBRARIES:
        log: list[Any] = []
        m = lib.nn.Linear(2, 1)
        with lib.no_grad():
            m.weight.fill_(1)
            m.bias.fill_(0)

        def note(name: str, log: list[Any] = log) -> Any:
            return lambda *args: log.append((name, len(args)))

        m.register_forward_pre_hook(note("pre"))
        m.register_forward_pre_hook(note("pre kw"), with_kwargs=True)
        m.register_forward_pre_hook(note("pre first"), prepend=True)
        m.register_forward_pre_hook(lambda m, args: (args[0] + 1,))
        m.register_forward_pre_hook(lambda m, args: args[0] * 2)
        m.register_forward_hook(note("post"))
        m.register_forward_hook(note("post kw"), with_kwargs=True)
        m.register_forward_hook(note("post first"), prepend=True)
        m.register_forward_hook(lambda m, args, out: out + args[0].sum())
        removed = m.register_forward_hook(note("removed"))
        removed.remove()
        removed.remove()
        y = m(lib.ones(1, 2))
        log.append(float(y.detach()))
        logs.append(log)
    assert logs[0] == logs[1]


def test_kwargs_can_be_changed() -> None:
    class Scale(nn.Module):
        def forward(self, x: Any, by: float = 1.0) -> Any:
            return x * by

    m = Scale()
    m.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {**kwargs, "by": 5.0}), with_kwargs=True
    )
    seen = []
    m.register_forward_hook(lambda m, a, kwargs, out: seen.append(kwargs["by"]), with_kwargs=True)
    assert float(m(deeplite.ones(()), by=2.0)) == 5 and seen == [5.0]
    m.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match=r"\(args, kwargs\)"):
        m(deeplite.ones(()))


def test_always_called() -> None:
    m, seen = nn.Linear(2, 1), []
    m.register_forward_hook(lambda m, a, out: seen.append(out), always_call=True)
    m.register_forward_hook(lambda m, a, out: seen.append("not this one"))
    with pytest.raises((ValueError, RuntimeError)):
        m(deeplite.ones(1, 5))
    assert seen == [None]
    m(deeplite.ones(1, 2))
    assert len(seen) == 3 and seen[-1] == "not this one"


def test_full_backward_hooks() -> None:
    logs = []
    for lib in LIBRARIES:
        log: list[np.ndarray | None] = []

        def record(grads: Any, log: list[Any] = log) -> None:
            log.extend(None if g is None else array(g).copy() for g in grads)

        class Two(lib.nn.Module):  # type: ignore[name-defined,misc]
            def forward(self, x: Any, n: int, y: Any) -> Any:
                return x * y, (x + y) * n

        m = Two()

        def pre(module: Any, grad_output: Any, record: Any = record) -> Any:
            record(grad_output)
            return tuple(g * 2 for g in grad_output)

        def post(module: Any, grad_input: Any, grad_output: Any, record: Any = record) -> Any:
            record(grad_output)
            record(grad_input)
            return tuple(None if g is None else g + 1 for g in grad_input)

        m.register_full_backward_pre_hook(pre)
        m.register_full_backward_hook(post)
        x = lib.tensor([1.0, 2.0], requires_grad=True)
        y = lib.tensor([3.0, 5.0], requires_grad=True)
        a, b = m(x, 3, y)
        (a.sum() + (b * b).sum()).backward()
        log.extend([array(x.grad), array(y.grad)])
        logs.append(log)
    assert len(logs[0]) == len(logs[1])
    for a, b in zip(*logs):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a, b)


def test_backward_hook_without_input_gradients() -> None:
    for lib in LIBRARIES:
        seen: list[Any] = []
        m = lib.nn.Linear(2, 1)
        m.register_full_backward_hook(lambda m, gi, go, seen=seen: seen.append((gi, go[0].shape)))
        m(lib.ones(3, 2)).sum().backward()
        assert seen[0][0] == (None,) and tuple(seen[0][1]) == (3, 1)


def test_backward_hooks_keep_gradients_exact() -> None:
    plain, hooked = nn.Linear(3, 2), nn.Linear(3, 2)
    hooked.load_state_dict(plain.state_dict())
    hooked.register_full_backward_hook(lambda *args: None)
    grads = []
    for m in (plain, hooked):
        x = deeplite.ones(4, 3, requires_grad=True)
        (m(x) ** 2).sum().backward()
        grads.append((array(x.grad), array(m.weight.grad)))
    for a, b in zip(*grads):
        np.testing.assert_array_equal(a, b)


def test_global_hooks() -> None:
    from deeplite.nn import module

    seen: list[str] = []
    handles = [
        module.register_module_forward_pre_hook(lambda m, a: seen.append("pre")),
        module.register_module_forward_hook(lambda m, a, out: seen.append(type(m).__name__)),
        module.register_module_full_backward_hook(lambda m, gi, go: seen.append("backward")),
    ]
    net = nn.Sequential(nn.Linear(2, 2))
    x = deeplite.ones(1, 2, requires_grad=True)
    net(x).sum().backward()
    assert seen == ["pre", "pre", "Linear", "Sequential", "backward", "backward"]
    for handle in handles:
        handle.remove()
    net(x)
    assert len(seen) == 6


def test_hooks_must_be_callable() -> None:
    with pytest.raises(TypeError, match="callable"):
        nn.ReLU().register_forward_hook(3)  # type: ignore[arg-type]


def test_anomaly_mode_names_the_layer() -> None:
    class Root(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.sqrt()

    net = nn.Sequential(nn.Identity(), nn.Sequential(Root()))
    x = deeplite.tensor([0.0], requires_grad=True)
    with pytest.raises(RuntimeError, match=r"1\.0 \(Root\)"):
        with deeplite.autograd.detect_anomaly():
            y = net(x)
            (y * 0).sum().backward()
