"""The building blocks of deeplite.ops, beside torchvision's."""

from __future__ import annotations

from typing import Any

import deeplite
import numpy as np
import pytest
from deeplite import nn, ops
from model_pairs import torchvision_models
from nn_pairs import array, compare_step, copy_weights, torch


def both(make: Any) -> tuple[Any, Any]:
    """A layer of deeplite.ops and of torchvision.ops in float64 with the same weights."""
    torchvision_models()
    import torchvision.ops

    torch.manual_seed(0)
    ours, theirs = make(ops, nn).double(), make(torchvision.ops, torch.nn).double()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    copy_weights(theirs, ours, deeplite)
    return ours, theirs


def images(channels: int = 4) -> list[Any]:
    return [np.random.default_rng(0).standard_normal((2, channels, 7, 6))]


@pytest.mark.parametrize(
    "make",
    [
        lambda ops, nn: ops.misc.Conv2dNormActivation(4, 6),
        lambda ops, nn: ops.misc.Conv2dNormActivation(
            4, 6, (3, 5), 2, norm_layer=None, activation_layer=nn.SiLU, dilation=(2, 1)
        ),
        lambda ops, nn: ops.misc.Conv2dNormActivation(
            4, 8, 5, groups=2, activation_layer=None, dilation=2
        ),
        lambda ops, nn: ops.misc.Conv2dNormActivation(
            4, 4, padding=0, bias=True, activation_layer=nn.Sigmoid, inplace=None
        ),
        lambda ops, nn: ops.misc.SqueezeExcitation(4, 2),
        lambda ops, nn: ops.misc.SqueezeExcitation(
            4, 3, activation=nn.SiLU, scale_activation=nn.Tanh
        ),
    ],
)
def test_layer_is_torchvisions(make: Any) -> None:
    ours, theirs = both(make)
    assert [(k, v.shape) for k, v in ours.state_dict().items()] == [
        (k, tuple(v.shape)) for k, v in theirs.state_dict().items()
    ]
    compare_step(ours, theirs, images())


@pytest.mark.parametrize("mode", ["batch", "row"])
def test_stochastic_depth_keeps_the_expectation(mode: str) -> None:
    deeplite.manual_seed(0)
    x = deeplite.ones(2000, 2, 1)
    x.requires_grad_()
    layer = ops.StochasticDepth(0.25, mode)
    draws = [layer(x) for _ in range(1 if mode == "row" else 400)]
    found = np.concatenate([array(y)[: 2000 if mode == "row" else 2] for y in draws])
    assert set(np.unique(found)) <= {np.float32(0), np.float32(1 / 0.75)}
    assert (found[:, 0] == found[:, 1]).all()  # a sample is dropped as a whole
    assert (
        abs(found.mean() - 1)
        < 5 * (1 / 3) ** 0.5 / len(draws[0] if mode == "row" else draws) ** 0.5
    )
    if mode == "batch":
        assert all(len(np.unique(array(y))) == 1 for y in draws)
    draws[0].sum().backward()
    np.testing.assert_array_equal(array(x.grad), array(draws[0]))


def test_stochastic_depth_at_the_ends() -> None:
    x = deeplite.randn(3, 2, 2)
    assert ops.stochastic_depth(x, 0.5, "row", training=False) is x
    assert ops.stochastic_depth(x, 0.0, "row") is x
    assert not ops.stochastic_depth(x, 1.0, "row").any()
    with pytest.raises(ValueError, match="p must be between 0 and 1, got 1.5"):
        ops.stochastic_depth(x, 1.5, "row")
    with pytest.raises(ValueError, match="mode must be 'batch' or 'row', got 'column'"):
        ops.stochastic_depth(x, 0.5, "column")
    assert repr(ops.StochasticDepth(0.2, "row")) == "StochasticDepth(p=0.2, mode=row)"
