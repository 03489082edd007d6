"""Optimizers against torch's: the same curve over 50 steps in float64, state, groups, errors."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
from nn_pairs import LIBRARIES, array, deeplite, torch

optim = deeplite.optim

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.05}),
    ("SGD", {"lr": 0.05, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.02, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.002, "momentum": 0.5, "maximize": True}),
    ("Adam", {"lr": 0.1}),
    ("Adam", {"lr": 0.1, "betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.1, "amsgrad": True}),
    ("Adam", {"lr": 0.1, "amsgrad": True, "maximize": True, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("AdamW", {"lr": 0.1}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "amsgrad": True}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "maximize": True}),
    ("RMSprop", {"lr": 0.02}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-3, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.02, "momentum": 0.9}),
    ("RMSprop", {"lr": 0.02, "centered": True}),
    ("RMSprop", {"lr": 0.02, "centered": True, "momentum": 0.5, "maximize": True}),
    ("Adagrad", {"lr": 0.3}),
    ("Adagrad", {"lr": 0.3, "lr_decay": 0.1, "weight_decay": 0.1, "eps": 1e-3}),
    ("Adagrad", {"lr": 0.3, "initial_accumulator_value": 0.5, "maximize": True}),
]
IDS = [f"{name}-{'-'.join(f'{k}={v}' for k, v in o.items())}" for name, o in OPTIONS]
SHAPES = [(3, 4), (5,), (), (2, 3, 7), (0, 3)]


def parameters(lib: Any, dtype: str = "float64") -> list[Any]:
    rng = np.random.default_rng(0)
    made = [rng.standard_normal(s) for s in SHAPES]
    return [lib.nn.Parameter(lib.tensor(v, dtype=getattr(lib, dtype))) for v in made]


def loss_of(params: list[Any], step: int) -> Any:
    """A bowl with cubes in it, tilted differently in each step. One parameter sits out now and
    then, so that the steps of the parameters differ."""
    loss = 0.0
    for i, p in enumerate(params):
        if (i + step) % 5:
            q = p.float() if p.element_size() == 2 else p
            loss = loss + ((q - i) ** 2).sum() + 0.1 * (q**3).sum() * math.sin(step)
    return loss


def run(lib: Any, name: str, options: dict[str, Any], steps: int, dtype: str = "float64") -> Any:
    params = parameters(lib, dtype)
    optimizer = getattr(lib.optim, name)(params, **options)
    curve = []
    for step in range(steps):
        optimizer.zero_grad()
        loss = loss_of(params, step)
        loss.backward()
        optimizer.step()
        curve.append(float(loss.detach()))
    return params, optimizer, curve


@pytest.mark.parametrize("name, options", OPTIONS, ids=IDS)
def test_curves(name: str, options: dict[str, Any]) -> None:
    (ours, a, curve_a), (theirs, b, curve_b) = (run(lib, name, options, 50) for lib in LIBRARIES)
    np.testing.assert_allclose(curve_a, curve_b, rtol=1e-12)
    for p, q in zip(ours, theirs):
        np.testing.assert_allclose(array(p), array(q), rtol=1e-12, atol=1e-12)
    state_a, state_b = a.state_dict(), b.state_dict()
    assert state_a["param_groups"] == state_b["param_groups"]
    assert list(state_a["state"]) == list(state_b["state"])
    for i, entry in state_b["state"].items():
        assert list(state_a["state"][i]) == list(entry)
        for key, value in entry.items():
            x, y = array(state_a["state"][i][key]), array(value)
            assert x.shape == y.shape and x.dtype == y.dtype, key
            np.testing.assert_allclose(x, y, rtol=1e-11, atol=1e-13, err_msg=key)


@pytest.mark.parametrize("name, options", OPTIONS[2:4] + OPTIONS[8:9] + OPTIONS[16:18])
def test_curves_in_narrow_dtypes(name: str, options: dict[str, Any]) -> None:
    exact, _, _ = run(torch, name, options, 10)
    for dtype, tol in (("float32", 1e-5), ("bfloat16", 0.1), ("float16", 0.02)):
        params, optimizer, _ = run(deeplite, name, options, 10, dtype)
        for p, q in zip(params, exact):
            assert p.dtype == getattr(deeplite, dtype)
            np.testing.assert_allclose(array(p.float()), array(q), rtol=tol, atol=tol)


@pytest.mark.parametrize("name, options", OPTIONS, ids=IDS)
def test_torch_state_can_be_loaded(name: str, options: dict[str, Any]) -> None:
    """20 steps in torch, then its state goes on in both libraries: the same curve."""
    theirs, b, _ = run(torch, name, options, 20)
    ours = [deeplite.nn.Parameter(deeplite.tensor(array(p).copy())) for p in theirs]
    a = getattr(deeplite.optim, name)(ours, lr=1.0)
    state = b.state_dict()
    moved = {
        "state": {
            i: {k: deeplite.tensor(array(v)) for k, v in entry.items()}
            for i, entry in state["state"].items()
        },
        "param_groups": copy.deepcopy(state["param_groups"]),
    }
    a.load_state_dict(moved)
    for step in range(20, 30):
        for params, optimizer in ((ours, a), (theirs, b)):
            optimizer.zero_grad()
            loss_of(params, step).backward()
            optimizer.step()
    for p, q in zip(ours, theirs):
        np.testing.assert_allclose(array(p), array(q), rtol=1e-12, atol=1e-12)


def test_big_and_strided_parameters() -> None:
    """More than one chunk, and parameters and gradients in other layouts."""
    rng = np.random.default_rng(0)
    value, grad = rng.standard_normal((300, 200)), rng.standard_normal((300, 200))
    results = []
    for lib in LIBRARIES:
        p = lib.nn.Parameter(lib.tensor(value).t())
        q = lib.nn.Parameter(lib.tensor(value))
        optimizer = lib.optim.Adam([p, q], lr=0.1, weight_decay=0.1)
        for _ in range(3):
            p.grad, q.grad = lib.tensor(grad).t(), lib.tensor(grad.T.copy()).t()
            optimizer.step()
        assert not p.is_contiguous()
        results.append((array(p), array(q)))
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_groups() -> None:
    a, b, c = (deeplite.nn.Parameter(deeplite.zeros(1)) for _ in range(3))
    optimizer = optim.SGD([{"params": a, "lr": 1.0}, {"params": [b]}], lr=0.1, momentum=0.5)
    optimizer.add_param_group({"params": [c], "momentum": 0.0})
    for p in (a, b, c):
        p.grad = deeplite.ones(1)
    optimizer.step()
    optimizer.step()
    np.testing.assert_allclose([float(p.detach()) for p in (a, b, c)], [-2.5, -0.25, -0.2])
    assert [g["lr"] for g in optimizer.param_groups] == [1.0, 0.1, 0.1]
    assert optimizer.state_dict()["param_groups"][2]["params"] == [2]
    text = repr(optimizer)
    assert text.startswith("SGD (\nParameter Group 0\n") and "momentum: 0.5" in text


def test_named_parameters() -> None:
    net = deeplite.nn.Linear(2, 1)
    optimizer = optim.SGD(net.named_parameters(), lr=0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    with pytest.raises(ValueError, match="names"):
        optimizer.add_param_group({"params": [deeplite.nn.Parameter(deeplite.ones(1))]})


def test_closure_and_hooks() -> None:
    w = deeplite.nn.Parameter(deeplite.ones(1))
    optimizer = optim.SGD([w], lr=0.1)
    seen: list[str] = []
    pre = optimizer.register_step_pre_hook(lambda o, a, k: seen.append("pre"))
    optimizer.register_step_post_hook(lambda o, a, k: seen.append("post"))

    def closure() -> Any:
        assert deeplite.is_grad_enabled()
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        seen.append("closure")
        return loss

    with deeplite.no_grad():
        loss = optimizer.step(closure)
    assert float(loss.detach()) == 1 and seen == ["pre", "closure", "post"]
    np.testing.assert_allclose(array(w), 0.8, rtol=1e-6)
    pre.remove()
    optimizer.step(closure)
    assert seen == ["pre", "closure", "post", "closure", "post"]


def test_a_step_counts_as_a_change() -> None:
    """A parameter that backward still needs may not change unnoticed."""
    w = deeplite.nn.Parameter(deeplite.ones(2))
    loss = (w * w).sum()
    w.grad = deeplite.ones(2)
    optim.SGD([w], lr=0.1).step()
    with pytest.raises(RuntimeError, match="modified|version|in.place"):
        loss.backward()


def test_own_optimizer() -> None:
    class Halve(optim.Optimizer):
        def __init__(self, params: Any) -> None:
            super().__init__(params, {"by": 0.5})

        def step(self, closure: Any = None) -> Any:
            for group in self.param_groups:
                with deeplite.no_grad():
                    for p in group["params"]:
                        p.mul_(group["by"])
                        self.state[p]["seen"] = True

    w = deeplite.nn.Parameter(deeplite.ones(1))
    optimizer = Halve([w])
    seen: list[int] = []
    optimizer.register_step_post_hook(lambda o, a, k: seen.append(1))
    optimizer.step()
    assert float(w.detach()) == 0.5 and seen == [1]
    assert optimizer.state_dict()["state"] == {0: {"seen": True}}


def test_state_survives_pickle_and_deepcopy() -> None:
    params, optimizer, _ = run(deeplite, "Adam", {"lr": 0.1}, 3)
    state = pickle.loads(pickle.dumps(optimizer.state_dict()))
    fresh = optim.Adam(parameters(deeplite), lr=1.0)
    fresh.load_state_dict(state)
    assert fresh.param_groups[0]["lr"] == 0.1
    a, b = (copy.deepcopy(o).state_dict()["state"][1] for o in (optimizer, fresh))
    for key in a:
        np.testing.assert_array_equal(array(a[key]), array(b[key]))
    fresh.state_dict()["state"][1]["exp_avg"].zero_()
    assert (array(optimizer.state[params[1]]["exp_avg"]) != 0).all()  # loaded as a copy


def test_load_checks_the_groups() -> None:
    a, b = deeplite.nn.Parameter(deeplite.ones(1)), deeplite.nn.Parameter(deeplite.ones(1))
    one = optim.SGD([a, b], lr=0.1)
    with pytest.raises(ValueError, match="1 parameters in the state|has 1 parameters"):
        one.load_state_dict(optim.SGD([a], lr=0.5).state_dict())
    two = optim.SGD([{"params": [a]}, {"params": [b]}], lr=0.5)
    with pytest.raises(ValueError, match="2 parameter groups"):
        one.load_state_dict(two.state_dict())
    assert one.param_groups[0]["lr"] == 0.1


W = [deeplite.nn.Parameter(deeplite.ones(1))]
BAD = [
    (lambda: optim.SGD(W, lr=-1.0), ValueError, "lr"),
    (lambda: optim.SGD(W, lr=math.nan), ValueError, "lr"),
    (lambda: optim.SGD(W, lr=0.1, momentum=-1.0), ValueError, "momentum"),
    (lambda: optim.SGD(W, lr=0.1, nesterov=True), ValueError, "Nesterov"),
    (lambda: optim.SGD(W, momentum=0.9, dampening=0.1, nesterov=True), ValueError, "Nesterov"),
    (lambda: optim.Adam(W, betas=(1.0, 0.9)), ValueError, r"betas\[0\]"),
    (lambda: optim.Adam(W, betas=(0.9, -0.1)), ValueError, r"betas\[1\]"),
    (lambda: optim.AdamW(W, eps=-1.0), ValueError, "AdamW: invalid eps"),
    (lambda: optim.RMSprop(W, alpha=-1.0), ValueError, "alpha"),
    (lambda: optim.Adagrad(W, lr_decay=-1.0), ValueError, "lr_decay"),
    (lambda: optim.Adagrad(W, weight_decay=-1.0), ValueError, "weight_decay"),
    (lambda: optim.SGD([], lr=0.1), ValueError, "empty"),
    (lambda: optim.SGD(W[0], lr=0.1), TypeError, "single Tensor"),
    (lambda: optim.SGD([3], lr=0.1), TypeError, "int"),
    (lambda: optim.SGD([W[0] * 2], lr=0.1), ValueError, "non-leaf"),
    (lambda: optim.SGD([W[0], W[0]], lr=0.1), ValueError, "more than once"),
    (lambda: optim.SGD([{"params": W}, {"params": W}], lr=0.1), ValueError, "more than one"),
    (lambda: optim.SGD([{"params": set(W)}], lr=0.1), TypeError, "order"),
    (lambda: optim.SGD(W, lr=0.1, differentiable=True), NotImplementedError, "differentiable"),
]  # fmt: skip


@pytest.mark.parametrize("make, error, message", BAD, ids=range(len(BAD)))
def test_bad_options(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_a_failed_step_changes_nothing() -> None:
    a, b = deeplite.nn.Parameter(deeplite.ones(2)), deeplite.nn.Parameter(deeplite.ones(3))
    step = deeplite._C._nn._sgd_step
    options = {"momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False}
    options |= {"first": True, "lr": 0.1, "maximize": False}
    one = deeplite.ones(2)
    for params, grads, buffers, error in (
        ([a, b], [one, one], [], ValueError),
        ([a, b], [one], [], ValueError),
        ([a], [deeplite.ones(2, dtype=deeplite.float64)], [], RuntimeError),
        ([a], [one], [deeplite.ones(3)], ValueError),
        ([deeplite.ones(2).expand(2, 2)], [deeplite.ones(2, 2)], [], RuntimeError),
        ([deeplite.tensor([1, 2])], [deeplite.tensor([1, 2])], [], TypeError),
    ):
        with pytest.raises(error):
            step(params, grads, buffers, **options)
    assert (array(a) == 1).all() and (array(b) == 1).all()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": 0.05, "momentum": 0.9}),
        ("Adam", {"lr": 0.1, "amsgrad": True}),
        ("RMSprop", {"lr": 0.02, "centered": True, "momentum": 0.5}),
        ("Adagrad", {"lr": 0.3}),
    ],
)
def test_channels_last_parameters_are_updated_where_they_lie(
    name: str, options: dict[str, Any]
) -> None:
    dl = deeplite
    rng = np.random.default_rng(1)
    start, slope = (rng.standard_normal((64, 96, 3, 3)).astype("float32") for _ in range(2))
    results = []
    for weight_last, grad_last in ((False, False), (True, True), (True, False)):
        p, g = dl.tensor(start), dl.tensor(slope)
        p = p.contiguous(memory_format=dl.channels_last) if weight_last else p
        p = dl.nn.Parameter(p)
        p.grad = g.contiguous(memory_format=dl.channels_last) if grad_last else g
        optimizer = getattr(optim, name)([p], **options)
        optimizer.step()
        before = dl.memory_stats()["allocated_bytes"]
        dl.reset_peak_memory_stats()
        optimizer.step()
        extra = dl.memory_stats()["peak_allocated_bytes"] - before
        assert extra < p.nbytes // 8 + (p.nbytes if weight_last != grad_last else 0)
        assert p.is_contiguous(memory_format=dl.channels_last) == weight_last
        results.append(array(p))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
