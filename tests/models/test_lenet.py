"""LeNet-5: the paper's form with its options, and the modern one."""

from __future__ import annotations

import deeplite
import numpy as np
import pytest
from deeplite import models, nn
from deeplite.models import _twin
from deeplite.models.lenet import RadialBasis, TableConv2d, map_loss
from model_pairs import Case, close, compare_step, rows
from nn_pairs import array, tensors, torch

GREY = (1, 32, 32)
CASES = [
    Case("lenet5", {}, GREY),
    Case("lenet5", {"full_c3": True, "init": "paper", "in_channels": 3}, label="full"),
    Case("lenet5", {"output": "rbf"}, GREY, label="rbf"),
    Case("lenet5_modern", {}, GREY),
]


@pytest.mark.parametrize("case", rows(CASES))
def test_step_is_torchs(case: Case) -> None:
    compare_step(case)


def test_the_papers_counts() -> None:
    """Table by table: 156, 12, 1516, 32, 48120, 10164; "60,000 trainable free parameters"."""
    net = models.lenet5()
    gaps = sum(int((m.mask == 0).sum()) * 25 for m in net.modules() if isinstance(m, TableConv2d))
    trainable = sum(p.numel() for p in net.parameters()) - gaps
    assert trainable == 156 + 12 + 1516 + 32 + 48120 + 10164 + 850
    rbf = sum(p.numel() for p in models.lenet5(output="rbf").parameters()) - gaps
    assert rbf == 60_000


def test_gaps_of_the_table_never_learn() -> None:
    net = models.lenet5().train()
    c3 = next(m for m in net.modules() if isinstance(m, TableConv2d))
    net(deeplite.randn(2, 1, 32, 32)).sum().backward()
    assert c3.weight.grad is not None
    outside = (c3.mask == 0).expand(c3.weight.shape)
    assert not c3.weight.grad[outside].any() and c3.weight.grad[~outside].any()


def test_drawings_are_far_apart() -> None:
    codes = array(RadialBasis(10).codes)
    assert codes.shape == (10, 84) and set(np.unique(codes)) == {-1.0, 1.0}
    apart = (codes[:, None] != codes[None]).sum(2) + 99 * np.eye(10, dtype=int)
    assert apart.min() >= 5
    with pytest.raises(ValueError, match="drawings of 10 classes, got 11"):
        models.lenet5(num_classes=11, output="rbf")


def test_map_loss_is_the_papers() -> None:
    scores = -np.random.default_rng(0).uniform(0, 3, (4, 5))
    target = np.array([0, 4, 2, 2])
    y = -scores
    wanted = np.mean(y[range(4), target] + np.log(np.exp(-0.7) + np.exp(-y).sum(1)))  # equation 9
    (ours,), (theirs,) = tensors([scores])
    a = map_loss(ours, deeplite.tensor(target), rubbish=0.7)
    b = _twin.over(torch, "lenet").map_loss(theirs, torch.tensor(target), rubbish=0.7)
    assert abs(a.item() - wanted) < 1e-12
    a.backward(), b.backward()
    close(ours.grad, theirs.grad, "gradient")


def test_initial_values_of_the_paper() -> None:
    for layer in models.lenet5(init="paper").modules():
        if isinstance(layer, TableConv2d):
            fan = array(layer.mask).sum((1, 2, 3)) * 25
        elif isinstance(layer, (nn.Conv2d, nn.Linear)):
            fan = np.full(layer.weight.shape[0], layer.weight[0].numel())
        else:
            continue
        for row, inputs in zip(array(layer.weight), fan):
            assert 0.7 * 2.4 / inputs < np.abs(row).max() <= 2.4 / inputs * (1 + 1e-6)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"\(in features\.8 \(Conv2d\)\)"):
        models.lenet5()(deeplite.zeros(1, 1, 28, 28))
    with pytest.raises(ValueError, match=r"\(in classifier\.1 \(Linear\)\)"):
        models.lenet5()(deeplite.zeros(1, 1, 48, 48))
    with pytest.raises(ValueError, match="output must be .* got 'none'"):
        models.lenet5(output="none")
