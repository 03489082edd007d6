"""Containers against torch's: order, keys, slicing, repr, errors."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from nn_pairs import LIBRARIES, deeplite, torch

nn = deeplite.nn


def same(build: Any) -> None:
    """Both libraries print and number the same thing."""
    ours, theirs = (build(lib.nn, lib) for lib in LIBRARIES)
    assert repr(ours) == repr(theirs).replace("torch.", "deeplite.")
    assert list(ours.state_dict()) == list(theirs.state_dict())


def three(nn: Any) -> Any:
    return nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 3))


def test_sequential() -> None:
    same(lambda nn, lib: three(nn))
    same(lambda nn, lib: three(nn)[1:])
    same(lambda nn, lib: three(nn)[::2])
    same(lambda nn, lib: three(nn) + nn.Sequential(nn.Tanh()))
    same(lambda nn, lib: three(nn) * 2)
    same(lambda nn, lib: three(nn).append(nn.Tanh()))
    same(lambda nn, lib: three(nn).insert(1, nn.Tanh()))
    same(lambda nn, lib: three(nn).extend([nn.Tanh(), nn.Linear(3, 3)]))
    same(lambda nn, lib: nn.Sequential(OrderedDict(a=nn.Linear(1, 1), b=nn.ReLU())))
    same(lambda nn, lib: nn.Sequential(OrderedDict(a=nn.Linear(1, 1), b=nn.ReLU()))[:1])

    def changed(nn: Any, lib: Any) -> Any:
        s = three(nn)
        s[-1] = nn.Linear(2, 5)
        del s[1]
        s.pop(0)
        s += nn.Sequential(nn.Linear(5, 1))
        return s

    same(changed)
    s = three(nn)
    assert len(s) == 3 and s[0] is s[-3] and [type(m).__name__ for m in s][1] == "ReLU"
    for bad in (3, -4):
        with pytest.raises(IndexError, match="out of range"):
            s[bad]
    with pytest.raises(TypeError, match="not a Module"):
        nn.Sequential(nn.ReLU(), 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        s["a"]
    assert nn.Sequential()(5) == 5


def test_module_list() -> None:
    same(lambda nn, lib: nn.ModuleList())
    same(lambda nn, lib: nn.ModuleList([nn.Linear(1, 1) for _ in range(3)]))
    same(lambda nn, lib: nn.ModuleList([nn.ReLU(), nn.ReLU(), three(nn), three(nn), nn.Tanh()]))
    same(lambda nn, lib: nn.ModuleList([nn.ReLU(), nn.Tanh(), three(nn)])[1:])
    same(lambda nn, lib: nn.ModuleList([nn.ReLU()]) + nn.ModuleList([nn.Tanh()]))

    def changed(nn: Any, lib: Any) -> Any:
        s = nn.ModuleList([nn.Linear(1, 1)])
        s.append(nn.Linear(2, 2))
        s.insert(0, nn.Linear(3, 3))
        s.extend(nn.Linear(4, 4) for _ in range(2))
        s += [nn.Linear(5, 5)]
        del s[1]
        s[0] = nn.Linear(6, 6)
        s.pop(-1)
        del s[1:2]
        return s

    same(changed)
    with pytest.raises(TypeError, match="iterable"):
        nn.ModuleList(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not a Module"):
        nn.ModuleList([3])  # type: ignore[list-item]
    with pytest.raises(NotImplementedError):
        nn.ModuleList()(1)


def test_module_dict() -> None:
    same(lambda nn, lib: nn.ModuleDict({"b": nn.Linear(1, 1), "a": nn.ReLU()}))
    same(lambda nn, lib: nn.ModuleDict([["b", nn.Linear(1, 1)], ["a", nn.ReLU()]]))
    d = nn.ModuleDict({"a": nn.ReLU()})
    d["b"] = nn.Tanh()
    d.update({"c": nn.Tanh()})
    d.update(nn.ModuleDict({"d": nn.Tanh()}))
    assert list(d) == list(d.keys()) == ["a", "b", "c", "d"] and "b" in d and len(d) == 4
    assert dict(d.items())["a"] is d["a"] and len(list(d.values())) == 4
    popped = d.pop("b")
    assert isinstance(popped, nn.Tanh) and "b" not in d
    del d["a"]
    with pytest.raises(KeyError):
        d["a"]
    with pytest.raises(TypeError, match="pairs"):
        d.update(3)
    with pytest.raises(ValueError, match="pairs"):
        d.update([(1, 2, 3)])
    with pytest.raises(TypeError):
        d["x"] = 3  # type: ignore[assignment]
    with pytest.raises(KeyError, match="already exists"):
        d["forward"] = nn.ReLU()
    d.clear()
    assert len(d) == 0


def test_parameter_list() -> None:
    same(lambda nn, lib: nn.ParameterList([lib.zeros(2, 3), lib.zeros(1)]))
    same(lambda nn, lib: nn.ParameterList())
    p = nn.ParameterList([deeplite.zeros(2)])
    p.append(deeplite.ones(1))
    p += [deeplite.ones(3)]
    p[0] = deeplite.ones(4)
    assert [tuple(x.shape) for x in p] == [(4,), (1,), (3,)] and len(p) == 3
    assert all(isinstance(x, nn.Parameter) for x in p)
    assert len(list(p.parameters())) == 3 and len(p[1:]) == 2 and p[-1] is p[2]
    with pytest.raises(IndexError):
        p[3]
    with pytest.raises(TypeError):
        p.extend(deeplite.ones(2))


def test_parameter_dict() -> None:
    ours = nn.ParameterDict({"b": deeplite.zeros(2), "a": deeplite.zeros(1)})
    theirs = torch.nn.ParameterDict({"b": torch.zeros(2), "a": torch.zeros(1)})
    assert list(ours.state_dict()) == list(theirs.state_dict())
    p = ours
    p["c"] = deeplite.ones(3)
    assert list(p) == ["a", "b", "c"] and list(reversed(p)) == ["c", "b", "a"] and len(p) == 3
    assert isinstance(p["c"], nn.Parameter) and p.get("x") is None
    assert p.setdefault("b") is p["b"] and p.pop("b").shape == (2,) and "b" not in p
    assert p.popitem()[0] == "c"
    p.update({"d": deeplite.ones(1)})
    q = p | nn.ParameterDict({"e": deeplite.ones(1)})
    assert list(q) == ["a", "d", "e"] and list(p.copy()) == ["a", "d"]
    p |= q
    assert list(p.keys()) == ["a", "d", "e"] and len(list(p.items())) == len(list(p.values())) == 3
    with pytest.raises(KeyError):
        p["nope"]
    with pytest.raises(KeyError):
        p["forward"] = deeplite.ones(1)
    with pytest.raises(TypeError, match="string"):
        p[3] = deeplite.ones(1)  # type: ignore[index]
    del p["a"]
    p.clear()
    assert len(list(p.parameters())) == 0


def norm_chain(activation: nn.Module, hooked: bool) -> tuple[nn.Sequential, list[int]]:
    """A net with a batch norm before an activation, and the calls that a hook on either saw."""
    deeplite.manual_seed(3)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), activation, nn.Conv2d(8, 2, 1))
    seen: list[int] = []
    if hooked:
        net[1].register_forward_hook(lambda *_: seen.append(1))
        net[2].register_forward_hook(lambda *_: seen.append(2))
    return net, seen


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize(
    "make", [nn.ReLU, lambda: nn.ReLU(inplace=True), nn.ReLU6, lambda: nn.Hardtanh(-0.5, 0.25)]
)
def test_norm_and_activation_in_one_pass_give_the_same(make: Any, train: bool) -> None:
    """Bit for bit, gradients and running statistics included; and hooks still see every layer."""
    x = deeplite.randn(4, 3, 9, 9)
    results = []
    for hooked in (False, True):
        net, seen = norm_chain(make(), hooked)
        net.train(train)
        own = x.clone().requires_grad_()
        y = net(own)
        y.square().sum().backward()
        gradients = [own.grad, *(p.grad for p in net.parameters())]
        results.append([t.numpy() for t in (y.detach(), *gradients, *net.buffers())])
        assert seen == ([1, 2] if hooked else [])
    for joined, single in zip(*results):
        np.testing.assert_array_equal(joined, single)


def test_norm_joins_only_what_it_knows() -> None:
    x = deeplite.randn(4, 3)
    norm = nn.BatchNorm1d(3)
    assert norm.followed_by(nn.Tanh(), x) is None

    class Louder(nn.ReLU):
        def forward(self, input: deeplite.Tensor) -> deeplite.Tensor:
            return 2 * super().forward(input)

    assert norm.followed_by(Louder(), x) is None
    np.testing.assert_array_equal(
        nn.Sequential(norm, Louder()).eval()(x).detach().numpy(),
        (2 * norm(x).relu()).detach().numpy(),
    )
    joined = norm.followed_by(nn.ReLU(), x, x)
    assert joined is not None
    np.testing.assert_array_equal(joined.detach().numpy(), (norm(x) + x).relu().detach().numpy())
