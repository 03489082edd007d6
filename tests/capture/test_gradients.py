"""Gradients and training steps inside a capture: a replay gives the same bits as the eager run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from op_testing import lib, to_numpy

pytestmark = pytest.mark.skipif(lib.__name__ == "torch", reason="torch has no capture()")
F = lib.nn.functional if lib.__name__ != "torch" else None


def assert_replays(function: Callable[..., Any], *shapes: tuple[int, ...]) -> Any:
    """Captures `function` on zeros and compares a replay on random numbers with an eager run."""
    lib.manual_seed(1)
    graph = lib.capture(function, *(lib.zeros(s) for s in shapes))
    inputs = [lib.randn(s) for s in shapes]
    np.testing.assert_array_equal(to_numpy(graph(*inputs)), to_numpy(function(*inputs)))
    return graph


def test_gradient_of_a_constant() -> None:
    w = lib.ones(3, requires_grad=True)
    graph = assert_replays(lambda x: lib.autograd.grad((x * w).tanh().sum(), w)[0], (3,))
    assert "tanh_backward" in [s["op"] for s in graph.steps]
    assert not graph(lib.ones(3)).requires_grad  # as without create_graph


def test_gradient_of_a_network() -> None:
    lib.manual_seed(0)
    model = lib.nn.Sequential(
        lib.nn.Conv2d(1, 4, 3), lib.nn.BatchNorm2d(4), lib.nn.GELU(), lib.nn.MaxPool2d(2),
        lib.nn.Flatten(), lib.nn.Linear(36, 5), lib.nn.LayerNorm(5),
    )  # fmt: skip
    labels = lib.tensor([1, 4])

    def gradient(x: Any) -> Any:
        grads = lib.autograd.grad(F.cross_entropy(model(x), labels), list(model.parameters()))
        return lib.cat([g.flatten() for g in grads])

    assert_replays(gradient, (2, 1, 8, 8))


def test_second_gradient() -> None:
    w = lib.ones(3, requires_grad=True)

    def penalty(x: Any) -> Any:
        (first,) = lib.autograd.grad((x * w).exp().sum(), w, create_graph=True)
        return lib.autograd.grad(first.square().sum(), w)[0]

    assert_replays(penalty, (3,))


def test_a_replayed_gradient_can_be_differentiated() -> None:
    def slope(x: Any) -> Any:
        return lib.autograd.grad(x.exp().sum() + (x**3).sum(), x, create_graph=True)[0]

    graph = lib.capture(slope, lib.zeros(2, requires_grad=True))
    x = lib.tensor([1.0, 2.0], requires_grad=True)
    graph(x).sum().backward()
    np.testing.assert_allclose(to_numpy(x.grad), np.exp([1.0, 2.0]) + [6.0, 12.0], rtol=1e-6)


def test_in_place_ops_and_views() -> None:
    w = lib.ones(3, requires_grad=True)

    def gradient(x: Any) -> Any:
        y = (x * w).exp()
        z = y * 2
        z[0] = (x * w)[1]
        z[1:].mul_(w[1:]).sigmoid_()
        return lib.autograd.grad((z * z).sum(), w)[0]

    assert_replays(gradient, (3,))


def test_random_ops_draw_what_was_recorded() -> None:
    w = lib.ones(50, requires_grad=True)
    drawn: list[Any] = []

    def gradient(x: Any) -> Any:
        y = F.dropout(x * w, 0.5) * lib.rand(50)
        drawn.append(lib.autograd.grad((y * y).sum(), w)[0])
        return drawn[-1]

    graph = lib.capture(gradient, lib.ones(50))
    for _ in range(2):
        np.testing.assert_array_equal(to_numpy(graph(lib.ones(50))), to_numpy(drawn[0]))


def test_backward_sets_and_adds_to_grad() -> None:
    w = lib.ones(2, requires_grad=True)

    def step(x: Any) -> Any:
        w.grad = None
        (x * w).sum().backward()
        (2 * x * w).sum().backward()
        return w.grad

    graph = lib.capture(step, lib.ones(2))
    w.grad = None
    x = lib.tensor([1.0, 2.0])
    for _ in range(2):  # set anew, then added to: not the sum of all replays
        assert graph(x).tolist() == [3.0, 6.0]
        assert w.grad.tolist() == [3.0, 6.0]


def test_backward_adds_to_the_grad_that_was_there() -> None:
    w = lib.ones(2, requires_grad=True)
    w.grad = lib.zeros(2)
    graph = lib.capture(lambda x: (x * w).sum().backward() or x.sum(), lib.zeros(2))
    graph(lib.ones(2))
    graph(lib.ones(2))
    assert w.grad.tolist() == [2.0, 2.0]


def test_hooks_are_part_of_the_recording() -> None:
    w = lib.ones(3, requires_grad=True)

    def gradient(x: Any) -> Any:
        y = x * w
        y.register_hook(lambda g: g * x.cos())
        return lib.autograd.grad(y.sum(), w)[0]

    assert_replays(gradient, (3,))


# ---------------------------------------------------------------------- training steps

OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda p: lib.optim.SGD(p, lr=0.1),
    "momentum": lambda p: lib.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "adam": lambda p: lib.optim.Adam(p, lr=0.01, amsgrad=True),
    "adamw": lambda p: lib.optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: lib.optim.RMSprop(p, lr=0.01, centered=True, momentum=0.5),
    "adagrad": lambda p: lib.optim.Adagrad(p, lr=0.1, lr_decay=0.1),
}


class Training:
    """A small network, its optimizer, and one step of training as a function of a batch."""

    def __init__(self, optimizer: str) -> None:
        lib.manual_seed(0)
        self.model = lib.nn.Sequential(
            lib.nn.Linear(4, 8), lib.nn.BatchNorm1d(8), lib.nn.ReLU(), lib.nn.Linear(8, 1)
        )
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())

    def step(self, x: Any, y: Any) -> Any:
        self.optimizer.zero_grad()
        loss = F.mse_loss(self.model(x), y)
        loss.backward()
        lib.nn.utils.clip_grad_norm_(self.model.parameters(), 0.5)
        self.optimizer.step()
        return loss

    def state(self) -> list[np.ndarray]:
        return [to_numpy(t) for t in self.model.state_dict().values()]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_step(name: str) -> None:
    batches = [(lib.randn(6, 4), lib.randn(6, 1)) for _ in range(6)]
    eager, recorded = Training(name), Training(name)
    for x, y in batches[:2]:
        eager.step(x, y)
    recorded.step(*batches[0])  # makes the optimizer's state
    graph = lib.capture(recorded.step, *batches[1])
    for x, y in batches[2:]:
        np.testing.assert_array_equal(to_numpy(graph(x, y)), to_numpy(eager.step(x, y)))
    for a, b in zip(eager.state(), recorded.state(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["momentum", "adam", "rmsprop"])
def test_first_step_of_a_stateful_optimizer_is_refused(name: str) -> None:
    training = Training(name)
    before = [to_numpy(p) for p in training.model.parameters()]
    with pytest.raises(RuntimeError, match="take one step before capturing"):
        lib.capture(training.step, lib.ones(6, 4), lib.ones(6, 1))
    for a, p in zip(before, training.model.parameters(), strict=True):
        np.testing.assert_array_equal(a, to_numpy(p))
    training.step(lib.ones(6, 4), lib.ones(6, 1))  # and recording is off again


# ---------------------------------------------------------------------- what Python decides


class Double(lib.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x * 2

    @staticmethod
    def backward(ctx: Any, dy: Any) -> Any:
        (x,) = ctx.saved_tensors
        return dy * 10 * x  # deliberately not the derivative of forward


def test_python_functions() -> None:
    def gradient(x: Any) -> Any:
        leaf = x.detach().requires_grad_()
        return lib.autograd.grad((Double.apply(leaf) * leaf).sum(), leaf)[0]

    assert_replays(gradient, (3,))


def test_the_gradient_of_a_python_function_is_not_replayed() -> None:
    graph = lib.capture(lambda x: Double.apply(x) * 3, lib.ones(2, requires_grad=True))
    assert graph(lib.ones(2)).tolist() == [6.0, 6.0]
    out = graph(lib.ones(2, requires_grad=True))
    assert out.requires_grad
    with pytest.raises(NotImplementedError, match="DoubleBackward.*replay"):
        out.sum().backward()


def test_detach_and_no_grad_hold_in_a_replay() -> None:
    def f(x: Any) -> Any:
        with lib.no_grad():
            scale = x * 2
        return x.detach() * scale * x

    graph = lib.capture(f, lib.ones(2, requires_grad=True))
    x = lib.tensor([1.0, 3.0], requires_grad=True)
    graph(x).sum().backward()
    assert x.grad.tolist() == [2.0, 18.0]  # of x alone: 2 x^2


def test_parameters_changed_under_no_grad() -> None:
    w = lib.ones(2, requires_grad=True)

    def shrink(x: Any) -> Any:
        with lib.no_grad():
            w.mul_(0.5)
        return w * x

    graph = lib.capture(shrink, lib.ones(2))
    assert graph(lib.ones(2)).tolist() == [0.25, 0.25]


def test_constants_made_inside_start_anew() -> None:
    def f(x: Any) -> Any:
        total = lib.tensor([1.0, 2.0])
        total += x
        return total

    graph = lib.capture(f, lib.ones(2))
    for _ in range(2):
        assert graph(lib.ones(2)).tolist() == [2.0, 3.0]


def test_what_cannot_be_recorded_is_refused() -> None:
    w = lib.ones(2, requires_grad=True)

    def assign(x: Any) -> Any:
        w.data = x
        return w

    with pytest.raises(NotImplementedError, match="capture.*data"):
        lib.capture(assign, lib.ones(2))

    def read_in_hook(x: Any) -> Any:
        y = x * w
        y.register_hook(lambda g: g * g.sum().item())
        return lib.autograd.grad(y.sum(), w)[0]

    with pytest.raises(RuntimeError, match="captur"):
        lib.capture(read_in_hook, lib.ones(2))
    assert w.tolist() == [1.0, 1.0]
