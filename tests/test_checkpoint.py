"""utils.checkpoint: the gradients of a network, with less of it kept."""

from __future__ import annotations

from typing import Any

import deeplite as dl
import pytest
from deeplite import nn
from deeplite.utils.checkpoint import checkpoint, checkpoint_sequential


def network() -> nn.Sequential:
    dl.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3)).double()


def gradients(run: Any, x: dl.Tensor, net: nn.Module) -> list[Any]:
    net.zero_grad()
    x.grad = None
    dl.manual_seed(7)
    y = run(x)
    (y * y).sum().backward()
    return [y.tolist(), x.grad.tolist(), *[p.grad.tolist() for p in net.parameters()]]


@pytest.mark.parametrize("segments", [0, 1, 2, 3])
def test_gradients_are_those_without(segments: int) -> None:
    net, x = network(), dl.randn(5, 4, dtype=dl.float64, requires_grad=True)
    expected = gradients(net, x, net)
    if segments == 0:
        found = gradients(lambda x: checkpoint(net, x), x, net)
    else:
        found = gradients(lambda x: checkpoint_sequential(net, segments, x), x, net)
    assert found == expected  # dropout's mask included


def test_parameters_alone() -> None:
    net, x = network(), dl.randn(5, 4, dtype=dl.float64)  # the images need no gradient
    weight = net[0].weight
    dl.manual_seed(1)
    expected = dl.autograd.grad(net(x).sum(), weight)[0]
    dl.manual_seed(1)
    found = dl.autograd.grad(checkpoint(net, x).sum(), weight)[0]
    assert found.tolist() == expected.tolist()


def test_arguments_inside_a_graph() -> None:
    """Arguments that have a history of their own, as between the layers of a network."""
    net, x = network(), dl.randn(5, 4, dtype=dl.float64)

    def run(wrap: Any) -> Any:
        def joined(*maps: dl.Tensor) -> dl.Tensor:
            return net[3](dl.cat(maps, 1))

        net.zero_grad()
        h = net[0](x)
        wrap(joined, h[:, :4].sin(), h[:, 4:] * 2).square().sum().backward()
        return [p.grad.tolist() for p in net.parameters()]

    assert run(checkpoint) == run(lambda f, *maps: f(*maps))


def test_several_results_and_keywords() -> None:
    def f(a: dl.Tensor, n: int, *, b: dl.Tensor) -> Any:
        return a * b, (a > 0), a.sum() * n

    a = dl.tensor([1.0, -2.0], requires_grad=True)
    b = dl.tensor([3.0, 4.0], requires_grad=True)
    product, positive, total = checkpoint(f, a, 2, b=b)
    assert positive.tolist() == [True, False] and not positive.requires_grad
    (product.sum() + total).backward()
    assert a.grad.tolist() == [5.0, 6.0] and b.grad.tolist() == [1.0, -2.0]


def test_second_derivative() -> None:
    scale = dl.tensor(3.0, dtype=dl.float64, requires_grad=True)
    x = dl.tensor([0.5, -1.5], dtype=dl.float64, requires_grad=True)

    def f(x: dl.Tensor) -> dl.Tensor:
        return checkpoint(lambda t: (t * scale).sin(), x)

    assert dl.autograd.gradcheck(f, (x,))
    assert dl.autograd.gradgradcheck(f, (x,))
    (first,) = dl.autograd.grad(f(x).sum(), x, create_graph=True)
    (mixed,) = dl.autograd.grad(first.sum(), scale)
    dl.testing.assert_close(mixed, ((x * scale).cos() - x * scale * (x * scale).sin()).sum())


def test_keeps_less() -> None:
    """Of four groups of six layers, the inner results of one are alive at a time."""

    def group() -> nn.Sequential:
        return nn.Sequential(*[nn.Sequential(nn.Linear(64, 64), nn.Tanh()) for _ in range(6)])

    layers = nn.Sequential(*[group() for _ in range(4)])
    x = dl.randn(2000, 64, requires_grad=True)

    def peak(run: Any) -> int:
        dl.reset_peak_memory_stats()
        before = dl.memory_stats()["allocated_bytes"]
        run(x).sum().backward()
        return dl.memory_stats()["peak_allocated_bytes"] - before

    def all_checkpointed(x: dl.Tensor) -> dl.Tensor:
        for layer in layers:
            x = checkpoint(layer, x)
        return x

    assert peak(all_checkpointed) < 0.6 * peak(layers)


def test_without_gradients_it_is_just_a_call() -> None:
    net, x = network().eval(), dl.randn(2, 4, dtype=dl.float64)
    with dl.no_grad():
        assert checkpoint(net, x).tolist() == net(x).tolist()
    frozen = checkpoint(lambda t: t * 2, x)
    assert not frozen.requires_grad


def test_a_function_that_changes_its_mind() -> None:
    calls: list[int] = []

    def f(x: dl.Tensor) -> dl.Tensor:
        calls.append(1)
        return x * 2 if len(calls) == 1 else (x * 2).sum()

    y = checkpoint(f, dl.ones(3, requires_grad=True))
    with pytest.raises(RuntimeError, match=r"second run .* shapes"):
        y.sum().backward()


def test_bad_segments() -> None:
    with pytest.raises(ValueError, match="between 1 and 4"):
        checkpoint_sequential(network(), 5, dl.ones(1, 4))
