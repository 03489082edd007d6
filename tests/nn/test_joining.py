"""Layers that are computed together: which are, that the results agree, and who still sees them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import deeplite as dl
import numpy as np
import pytest
from deeplite import nn
from deeplite.nn import functional as F
from deeplite.ops import branch_act, conv_norm_act

SIZES = {1: (9,), 2: (9, 7), 3: (5, 6, 4)}


def conv_norm(spatial: int = 2, **options: Any) -> list[nn.Module]:
    dl.manual_seed(spatial)
    conv = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[spatial](4, 6, 3, **options)
    norm = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[spatial](6)
    norm(dl.randn(8, 6, *SIZES[spatial]) * 2 + 1)  # statistics other than 0 and 1
    return [conv.eval(), norm.eval()]


def one_by_one(layers: Any, x: dl.Tensor) -> dl.Tensor:
    for layer in layers:
        x = layer(x)
    return x


def ops_of(f: Callable[..., Any], *args: dl.Tensor) -> list[str]:
    """The names of the ops that a call runs."""
    with dl.no_grad():
        return [step["op"] for step in dl.capture(f, *args).steps]


def close(a: dl.Tensor, b: dl.Tensor) -> None:
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("spatial", [1, 2, 3])
@pytest.mark.parametrize(
    "make",
    [
        nn.ReLU,
        nn.ReLU6,
        lambda: nn.Hardtanh(-0.5, 0.25),
        nn.SiLU,
        nn.Hardswish,
        nn.Hardsigmoid,
        nn.Sigmoid,
        nn.Tanh,
        nn.GELU,
        lambda: nn.GELU("tanh"),
        lambda: nn.SiLU(inplace=True),
    ],
)
def test_sequential_joins_convolution_norm_and_activation(
    make: Callable[[], nn.Module], spatial: int
) -> None:
    layers = [*conv_norm(spatial), make(), nn.Flatten()]
    x = dl.randn(2, 4, *SIZES[spatial])
    net = nn.Sequential(*layers).eval()
    assert ops_of(net, x)[0] == "fused_conv"
    assert len(ops_of(net, x)) == 2
    with dl.no_grad():
        close(net(x), one_by_one(layers, x))


@pytest.mark.parametrize("which", [(0, 1), (0, 2), (0,), (1, 2), (0, 2, 2), (0, 0, 1, 2)])
def test_sequential_joins_parts(which: tuple[int, ...]) -> None:
    conv, norm = conv_norm()
    parts: list[list[nn.Module]] = [[conv], [norm], [nn.ReLU()]]
    if which[0] == 1:
        parts[0] = [nn.Identity()]
    layers = [parts[i][0] for i in which]
    if which == (0, 0, 1, 2):
        layers[0] = nn.Conv2d(4, 4, 1)
    net = nn.Sequential(*layers).eval()
    x = dl.randn(2, 6 if which[0] == 1 else 4, 9, 7)
    with dl.no_grad():
        close(net(x), one_by_one(layers, x))


def test_what_is_not_joined() -> None:
    conv, norm = conv_norm()
    x, relu = dl.randn(2, 4, 9, 7), nn.ReLU()

    class Louder(nn.ReLU):
        def forward(self, input: dl.Tensor) -> dl.Tensor:
            return 2 * super().forward(input)

    class Own(nn.Conv2d):
        def _conv_forward(self, input: Any, weight: Any, bias: Any) -> dl.Tensor:
            return super()._conv_forward(input, weight * 2, bias)

    class Same(nn.ReLU):
        pass

    assert conv.followed_by(norm, Louder(), x) is None
    assert conv.followed_by(norm, nn.Mish(), x) is None
    assert conv.followed_by(nn.GroupNorm(2, 6), relu, x) is None
    assert conv.followed_by(norm.train(), relu, x) is None
    norm.eval()
    assert conv.followed_by(nn.BatchNorm1d(6).eval(), relu, x) is None  # an error, but its own
    untracked = nn.BatchNorm2d(6, track_running_stats=False).eval()
    assert conv.followed_by(untracked, relu, x) is None
    assert Own(4, 6, 3).followed_by(norm, relu, x) is None
    assert conv.followed_by(norm, Same(), x) is not None
    with dl.autograd.set_detect_anomaly(True):
        assert conv.followed_by(norm, relu, x) is None
    with pytest.raises(ValueError, match="BatchNorm1d: expected"):
        nn.Sequential(conv, nn.BatchNorm1d(6).eval())(x)


@pytest.mark.parametrize("at", [0, 1, 2])
def test_hooks_see_every_layer(at: int) -> None:
    layers = [*conv_norm(), nn.ReLU()]
    net, x, seen = nn.Sequential(*layers), dl.randn(2, 4, 9, 7), []
    with dl.no_grad():
        joined = net(x)
        handle = layers[at].register_forward_hook(lambda m, _, y: seen.append(tuple(y.shape)))
        close(net(x), joined)
        assert seen == [(2, 6, 7, 5)]
        handle.remove()
        every: list[str] = []
        handle = nn.modules.module.register_module_forward_hook(
            lambda m, *_: every.append(type(m).__name__)
        )
        try:
            close(net(x), joined)
        finally:
            handle.remove()
    assert every == ["Conv2d", "BatchNorm2d", "ReLU", "Sequential"]


def test_training_and_gradients_are_those_of_the_layers() -> None:
    x = dl.randn(2, 4, 9, 7)
    for train in (False, True):
        results = []
        for joined in (False, True):
            layers = [*conv_norm(), nn.ReLU(), nn.Conv2d(6, 2, 1), nn.ReLU(inplace=True)]
            net = nn.Sequential(*layers).train(train)
            own = x.clone().requires_grad_()
            y = net(own) if joined else one_by_one(layers, own)
            y.square().sum().backward()
            results.append([y, own.grad, *(p.grad for p in net.parameters()), *net.buffers()])
        for a, b in zip(*results, strict=True):
            np.testing.assert_array_equal(a.detach().numpy(), b.detach().numpy())


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_other_paddings(mode: str) -> None:
    layers = [*conv_norm(padding=1, padding_mode=mode), nn.ReLU()]
    x = dl.randn(2, 4, 9, 7)
    with dl.no_grad():
        close(nn.Sequential(*layers)(x), one_by_one(layers, x))


def test_reparametrised_weights() -> None:
    layers = [*conv_norm(), nn.ReLU()]
    layers[0] = nn.utils.weight_norm(layers[0]) if hasattr(nn.utils, "weight_norm") else layers[0]
    x = dl.randn(2, 4, 9, 7)
    with dl.no_grad():
        close(nn.Sequential(*layers)(x), one_by_one(layers, x))


@pytest.mark.parametrize("activation", [None, nn.ReLU(), nn.SiLU(), nn.Mish(), F.relu, F.hardswish])
@pytest.mark.parametrize("with_norm", [False, True])
@pytest.mark.parametrize("train", [False, True])
def test_conv_norm_act(activation: Any, with_norm: bool, train: bool) -> None:
    conv, norm = (layer.train(train) for layer in conv_norm())
    x, residual = dl.randn(2, 4, 9, 7), dl.randn(2, 6, 7, 5)
    for added in (None, residual):
        with dl.no_grad():
            y = conv(x)
            y = norm(y) if with_norm else y
            y = y if added is None else y + added
            y = y if activation is None else activation(y)
            close(conv_norm_act(conv, norm if with_norm else None, activation, x, added), y)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("activation", [None, nn.ReLU(), nn.Mish()])
def test_branch_act(activation: Any, nested: bool) -> None:
    layers = conv_norm(padding=1)
    branch = nn.Sequential(nn.Conv2d(6, 4, 1), nn.ReLU(), *layers).eval()
    if nested:
        branch = nn.Sequential(nn.Conv2d(6, 4, 1), nn.ReLU(), nn.Sequential(*layers)).eval()
    x = dl.randn(2, 6, 9, 7)
    with dl.no_grad():
        y = branch(x) + x
        y = y if activation is None else activation(y)
        close(branch_act(branch, activation, x, x), y)
        if not isinstance(activation, nn.Mish):
            names = ops_of(lambda v: branch_act(branch, activation, v, v), x)
            assert names == ["fused_conv", "fused_conv"]
        seen: list[int] = []
        branch.register_forward_hook(lambda *_: seen.append(1))
        close(branch_act(branch, activation, x, x), y)
    assert seen == [1]
    close(branch_act(branch.train(), activation, x, x), branch_act(branch, activation, x, x))


def test_errors_name_the_layer() -> None:
    net = nn.Sequential(nn.Sequential(*conv_norm(), nn.ReLU()))
    with dl.no_grad(), pytest.raises(dl.ShapeError, match=r"4 channels.*\(in 0\.0 \(Conv2d\)\)"):
        net(dl.randn(2, 5, 9, 7))


def test_a_joined_network_is_captured_and_replayed() -> None:
    net = nn.Sequential(*conv_norm(), nn.ReLU())
    x, other = dl.randn(2, 4, 9, 7), dl.randn(2, 4, 9, 7)
    with dl.no_grad():
        graph = dl.capture(net, x)
        np.testing.assert_array_equal(graph(other).numpy(), net(other).numpy())
    assert "fused_conv" in str(graph) and "activation" in str(graph)
