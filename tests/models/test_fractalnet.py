"""FractalNet: the expansion rule, both kinds of drop-path, the read-out of one column."""

from __future__ import annotations

import itertools
from typing import Any

import deeplite
import numpy as np
import pytest
from deeplite import models
from deeplite.models import _twin, fractalnet
from deeplite.models.fractalnet import FractalBlock
from model_pairs import Case, compare_step, rows
from nn_pairs import array, torch

SMALL = {"widths": (4, 6, 8), "dropout": (0.0, 0.2, 0.4), "drop_path": 0.0}
CASES = [
    Case("fractalnet20_cifar", SMALL, (3, 17, 16)),
    Case("fractalnet40_cifar", SMALL, (3, 16, 16)),
    Case("fractalnet34", {**SMALL, "dropout": (0.0,) * 3}, (3, 64, 57)),
]


@pytest.mark.parametrize("case", rows(CASES))
def test_step_is_torchs(case: Case) -> None:
    compare_step(case)


@pytest.mark.parametrize("kind", ["local", "global"])
def test_step_with_drop_path_is_torchs(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same coins for both libraries: which paths stay, and that only they get gradients."""
    for lib, module in ((deeplite, fractalnet), (torch, _twin.over(torch, "fractalnet"))):
        counter = itertools.count()

        def draw(n: int, lib: Any = lib, counter: Any = counter) -> Any:
            return lib.tensor(np.random.default_rng(next(counter)).random(n))

        monkeypatch.setattr(module, "rand", draw)
        monkeypatch.setattr(module, "randint", lambda n, size, lib=lib: lib.tensor([n - 2]))
    share = {"local": 0.0, "global": 1.0}[kind]
    options = {**SMALL, "drop_path": 0.4, "global_share": share}
    compare_step(Case("fractalnet20_cifar", options, (3, 16, 16)))


def block(columns: int) -> FractalBlock:
    deeplite.manual_seed(0)
    made = FractalBlock(3, 4, columns, 0.0).double().eval()
    for chain in made.columns:
        for conv in chain:
            conv.bn.running_mean.uniform_(-1, 1)
    return made


def test_the_expansion_rule() -> None:
    """f_3(x) = mean(f_2(f_2(x)), conv(x)) with f_2(x) = mean(conv(conv(x)), conv(x))."""
    b = block(3)
    one, two, four = (list(chain) for chain in b.columns)
    x = deeplite.randn(2, 3, 6, 6, dtype=deeplite.float64)

    def f2(x: Any, middle: Any, first: Any, second: Any) -> Any:
        return (second(first(x)) + middle(x)) / 2

    half = f2(x, two[0], four[0], four[1])
    # At the end all three columns meet in one mean, as in figure 1.
    wanted = (four[3](four[2](half)) + two[1](half) + one[0](x)) / 3
    np.testing.assert_allclose(array(b(x)), array(wanted), rtol=1e-12)


def test_read_out_of_a_column_is_its_chain() -> None:
    b = block(3)
    x = deeplite.randn(2, 3, 6, 6, dtype=deeplite.float64)
    for c in range(3):
        y = x
        for conv in b.columns[c]:
            y = conv(y)
        assert deeplite.equal(b(x, only=c), y)
    net = models.fractalnet20_cifar(**SMALL).eval()
    image = deeplite.randn(1, 3, 16, 16)
    whole = net(image)
    net.read_out = -1
    deepest = net(image)
    net.read_out = 2
    assert deeplite.equal(deepest, net(image)) and not deeplite.equal(deepest, whole)
    net.train()  # the read-out is for eval mode only
    assert net._paths() == (0.0, None)


def test_local_drops_leave_at_least_one() -> None:
    deeplite.manual_seed(0)
    b = FractalBlock(3, 4, 3, 0.0)
    kept = [b._kept([0, 1, 2], 0.15) for _ in range(3000)]
    assert all(kept)
    share = np.mean([len(k) for k in kept]) / 3
    # 0.85, and one in 0.15^3 of the cases that would leave none
    assert abs(share - (0.85 + 0.15**3 / 3)) < 5 * (0.85 * 0.15 / 9000) ** 0.5
    always = [b._kept([0, 1], 1 - 1e-9) for _ in range(400)]
    assert {tuple(k) for k in always} == {(0,), (1,)}
    assert b._kept([2], 0.9) == [2] and b._kept([0, 1, 2], 0.0) == [0, 1, 2]


def test_half_of_the_batches_train_one_column() -> None:
    deeplite.manual_seed(0)
    net = models.fractalnet20_cifar(**{**SMALL, "drop_path": 0.15}).train()
    drawn = [net._paths() for _ in range(2000)]
    single = [only for _, only in drawn if only is not None]
    assert abs(len(single) / 2000 - 0.5) < 0.06 and set(single) == {0, 1, 2}
    assert {drop for drop, only in drawn if only is None} == {0.15}
    assert models.fractalnet20_cifar(**SMALL).train()._paths() == (0.0, None)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="widths and dropout of one length.* 2 and 5"):
        models.fractalnet20_cifar(widths=(4, 4))
    with pytest.raises(ValueError, match=r"drop_path must be in \[0, 1\).* got 1.0"):
        models.fractalnet20_cifar(drop_path=1.0)
    with pytest.raises(ValueError, match=r"max_pool2d.*\(in pools\.2 \(MaxPool2d\)\)"):
        models.fractalnet20_cifar(**SMALL).eval()(deeplite.zeros(1, 3, 7, 7))
