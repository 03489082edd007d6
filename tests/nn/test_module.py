"""deeplite.nn.Module against torch's: registration, state, hooks, conversion, errors."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from nn_pairs import LIBRARIES, array, deeplite

nn = deeplite.nn


def make_net(nn: Any, lib: Any) -> Any:
    """A small network with nesting, a shared layer, buffers of both kinds."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)
            self.bn = nn.BatchNorm2d(3)
            self.register_buffer("kept", lib.ones(2))
            self.register_buffer("dropped", lib.ones(2), persistent=False)

        def forward(self, x: Any) -> Any:
            return self.bn(self.conv(x)).relu()

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(Block(), Block())
            self.again = self.layers[0]
            self.scale = nn.Parameter(lib.ones(3))
            self.absent = None
            self.register_parameter("nothing", None)
            self.head = nn.ModuleDict({"a": nn.Linear(3, 2), "b": nn.Linear(3, 1, bias=False)})

        def forward(self, x: Any) -> Any:
            y = self.again(self.layers(x)).mean((2, 3)) * self.scale
            return self.head["a"](y), self.head["b"](y)

    return Net()


class Net(nn.Module):
    """At module level, so that it can be pickled."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU())
        self.head = nn.Linear(3, 2)
        self.head.weight = nn.Parameter(deeplite.ones(2, 3))

    def forward(self, x: Any) -> Any:
        return self.head(self.body(x))


def pair() -> list[Any]:
    return [make_net(lib.nn, lib) for lib in LIBRARIES]


def test_names_are_those_of_torch() -> None:
    ours, theirs = pair()
    assert repr(ours) == repr(theirs)
    for walk in ("named_parameters", "named_buffers", "named_modules", "named_children"):
        assert [n for n, _ in getattr(ours, walk)()] == [n for n, _ in getattr(theirs, walk)()]
        if walk != "named_children":
            a = [n for n, _ in getattr(ours, walk)(prefix="p", remove_duplicate=False)]
            assert a == [n for n, _ in getattr(theirs, walk)(prefix="p", remove_duplicate=False)]
    assert [n for n, _ in ours.named_parameters(recurse=False)] == ["scale"]
    for walk in ("parameters", "buffers", "modules", "children"):
        assert len(list(getattr(ours, walk)())) == len(list(getattr(theirs, walk)()))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert list(ours.state_dict(prefix="x.")) == list(theirs.state_dict(prefix="x."))
    assert dict(ours.state_dict()._metadata) == dict(theirs.state_dict()._metadata)
    assert set(dir(ours)) >= {"layers", "scale", "head", "nothing"}


def test_state_dict_shares_memory() -> None:
    net = Net()
    state = net.state_dict()
    assert not state["head.weight"].requires_grad
    state["head.weight"].fill_(7)
    assert (array(net.head.weight) == 7).all()
    assert net.state_dict(keep_vars=True)["head.weight"] is net.head.weight


def test_attributes() -> None:
    m = nn.Module()
    m.w = nn.Parameter(deeplite.zeros(2))
    m.child = nn.Linear(1, 1)
    m.b = nn.Buffer(deeplite.zeros(1), persistent=False)
    m.plain = 3
    assert list(m._parameters) == ["w"] and list(m._modules) == ["child"] and "b" in m._buffers
    assert list(m.state_dict()) == ["w", "child.weight", "child.bias"]
    with pytest.raises(TypeError, match="cannot assign int as parameter 'w'"):
        m.w = 3
    with pytest.raises(TypeError, match="cannot assign str as child module 'child'"):
        m.child = "x"
    with pytest.raises(TypeError, match="cannot assign int as buffer 'b'"):
        m.b = 3
    m.w = None
    assert m.w is None and list(m.parameters(recurse=False)) == []
    m.w = nn.Parameter(deeplite.ones(1))
    m.child = None
    assert list(m.children()) == []
    m.plain = nn.Linear(1, 1)  # an attribute turns into a child
    assert "plain" not in m.__dict__ and m.plain is m._modules["plain"]
    m.plain2 = m.w
    del m.w
    with pytest.raises(AttributeError, match="'Module' object has no attribute 'w'"):
        _ = m.w
    with pytest.raises(AttributeError):
        del m.w
    m.child = nn.ReLU()
    m.plain2 = nn.Parameter(deeplite.ones(1))
    assert list(m._modules) == ["child", "plain"]  # a reassigned name keeps its place


def test_registration_errors() -> None:
    class Late(nn.Module):
        def __init__(self) -> None:
            self.fc = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"before Module.__init__\(\)"):
        Late()
    m = nn.Linear(2, 2)
    for register, value in (
        (m.register_parameter, nn.Parameter(deeplite.ones(1))),
        (m.register_buffer, deeplite.ones(1)),
        (m.add_module, nn.ReLU()),
    ):
        with pytest.raises(KeyError, match="already exists"):
            register("forward", value)
        with pytest.raises(KeyError, match="must not contain a dot"):
            register("a.b", value)
        with pytest.raises(KeyError, match="empty"):
            register("", value)
        with pytest.raises(TypeError):
            register(3, value)
        with pytest.raises(TypeError):
            register("fine", "not a tensor or module")
    leaf = deeplite.ones(1, requires_grad=True)
    with pytest.raises((ValueError, TypeError)):
        m.register_parameter("p", leaf * 2)
    with pytest.raises(TypeError, match="data must be a Tensor"):
        nn.Parameter([1.0])
    with pytest.raises(NotImplementedError, match="forward"):
        nn.Module()(1)


def test_lookup() -> None:
    net, _ = pair()
    assert net.get_submodule("") is net
    assert net.get_submodule("layers.1.conv") is net.layers[1].conv
    assert net.get_parameter("layers.1.conv.weight") is net.layers[1].conv.weight
    assert net.get_buffer("layers.0.bn.running_mean") is net.layers[0].bn.running_mean
    for bad in ("layers.7", "layers.0.conv.weight", "scale", "x.y"):
        with pytest.raises(AttributeError, match=bad.split(".")[0]):
            net.get_submodule(bad)
    with pytest.raises(AttributeError):
        net.get_parameter("layers.0.kept")
    new = nn.Identity()
    net.set_submodule("layers.1.conv", new)
    assert net.layers[1].conv is new
    with pytest.raises(AttributeError):
        net.set_submodule("layers.1.nope", new, strict=True)


def test_train_apply_requires_grad() -> None:
    net = Net()
    net.eval()
    assert not any(m.training for m in net.modules())
    assert net.train() is net and all(m.training for m in net.modules())
    with pytest.raises(ValueError, match="bool"):
        net.train("yes")  # type: ignore[arg-type]
    order: list[str] = []
    net.apply(lambda m: order.append(type(m).__name__))
    assert order == ["Linear", "BatchNorm1d", "ReLU", "Sequential", "Linear", "Net"]
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    net.requires_grad_()
    net(deeplite.ones(2, 4)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad(set_to_none=False)
    assert all((array(p.grad) == 0).all() for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_conversion() -> None:
    net = Net()
    net(deeplite.ones(2, 4)).sum().backward()
    weight = net.head.weight
    assert net.double() is net
    assert net.head.weight is weight and weight.dtype == deeplite.float64
    assert weight.grad is not None and weight.grad.dtype == deeplite.float64
    assert net.body[1].running_mean.dtype == deeplite.float64
    assert net.body[1].num_batches_tracked.dtype == deeplite.int64
    net(deeplite.ones(2, 4, dtype=deeplite.float64)).sum().backward()
    for convert, dtype in (
        (net.half, deeplite.float16),
        (net.bfloat16, deeplite.bfloat16),
        (net.float, deeplite.float32),
        (lambda: net.to(deeplite.float64), deeplite.float64),
        (lambda: net.to("cpu", deeplite.float32), deeplite.float32),
        (lambda: net.to(dtype=deeplite.float64), deeplite.float64),
        (lambda: net.to(deeplite.zeros(1)), deeplite.float32),
        (lambda: net.to("cpu"), deeplite.float32),
        (net.cpu, deeplite.float32),
        (lambda: net.type(deeplite.float64), deeplite.float64),
    ):
        convert()
        assert net.head.weight.dtype == dtype and net.head.weight.requires_grad
    with pytest.raises(TypeError, match="floating"):
        net.to(deeplite.int64)
    with pytest.raises(TypeError):
        net.to({})
    with pytest.raises((RuntimeError, ValueError)):
        net.to("no_such_device")
    assert net.head.weight.dtype == deeplite.float64


def test_failed_conversion_changes_nothing() -> None:
    net = Net()
    calls = []

    def fail_late(t: Any) -> Any:
        calls.append(t)
        if len(calls) == 4:
            raise MemoryError
        return t.double()

    with pytest.raises(MemoryError):
        net._apply(fail_late)
    assert all(p.dtype == deeplite.float32 for p in net.parameters())


def test_deepcopy_and_pickle() -> None:
    net = Net()
    net.head.register_forward_hook(_double_output)
    net.tied = net.head.weight
    x = deeplite.ones(2, 4)
    net.eval()
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert list(other.state_dict()) == list(net.state_dict())
        np.testing.assert_array_equal(array(other(x)), array(net(x)))
        assert other.tied is other.head.weight is not net.head.weight
        assert isinstance(other.head.weight, nn.Parameter) and other.head.weight.requires_grad
        with deeplite.no_grad():
            other.head.weight.fill_(0)
        assert (array(net.head.weight) == 1).all()


def _double_output(module: Any, args: Any, output: Any) -> Any:
    return output * 2


# --- loading ------------------------------------------------------------------------------------


def test_load_copies_everything() -> None:
    a, b = Net(), Net()
    with deeplite.no_grad():
        for p in a.parameters():
            p.normal_()
    result = b.load_state_dict(a.state_dict())
    assert result == ([], []) and "All keys matched" in repr(result)
    for k, v in b.state_dict().items():
        np.testing.assert_array_equal(array(v), array(a.state_dict()[k]))
    assert b.head.weight is not a.head.weight
    c = Net().double()
    c.load_state_dict(a.state_dict())
    assert c.head.weight.dtype == deeplite.float64


def test_load_refuses_and_changes_nothing() -> None:
    net = Net()
    before = {k: array(v).copy() for k, v in net.state_dict().items()}
    state = OrderedDict((k, deeplite.full_like(v, 5)) for k, v in net.state_dict().items())
    good = OrderedDict(state)
    del state["body.0.bias"]
    state["extra.weight"] = deeplite.ones(1)
    state["head.weight"] = deeplite.ones(9, 9)
    with pytest.raises(RuntimeError) as error:
        net.load_state_dict(state)
    text = str(error.value)
    for part in ("Net", '"body.0.bias"', '"extra.weight"', "head.weight", "(9, 9)", "(2, 3)"):
        assert part in text
    with pytest.raises(RuntimeError, match="size mismatch for head.weight"):
        net.load_state_dict(state, strict=False)
    with pytest.raises(TypeError, match="mapping"):
        net.load_state_dict([1])  # type: ignore[arg-type]
    bad = OrderedDict(good)
    bad["head.bias"] = [1.0, 2.0]
    with pytest.raises(RuntimeError, match="'head.bias' must be a Tensor"):
        net.load_state_dict(bad)
    for k, v in net.state_dict().items():
        np.testing.assert_array_equal(array(v), before[k])
    del state["head.weight"]
    missing, unexpected = net.load_state_dict(state, strict=False)
    assert missing == ["body.0.bias", "head.weight"] and unexpected == ["extra.weight"]
    assert (array(net.body[0].weight) == 5).all()


def test_load_hints() -> None:
    net = Net()
    wrapped = {"module." + k: v for k, v in net.state_dict().items()}
    with pytest.raises(RuntimeError, match='prefix "module." is removed'):
        net.load_state_dict(wrapped)
    renamed = {k.replace("head.weight", "head.weights"): v for k, v in net.state_dict().items()}
    with pytest.raises(RuntimeError, match='"head.weights" -> "head.weight"'):
        net.load_state_dict(renamed)


def test_load_assign() -> None:
    net = Net()
    state = {k: v.clone() for k, v in Net().double().state_dict().items()}
    net.load_state_dict(state, assign=True)
    assert net.head.weight.dtype == deeplite.float64 and net.head.weight.requires_grad
    assert isinstance(net.head.weight, nn.Parameter)
    state["head.weight"].fill_(3)
    assert (array(net.head.weight) == 3).all()


def test_batch_norm_of_an_older_version() -> None:
    bn = nn.BatchNorm1d(3)
    state = bn.state_dict()
    del state["num_batches_tracked"]
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        bn.load_state_dict(state)
    bn.load_state_dict(dict(state))  # no metadata: an old file


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(deeplite.zeros(1))
        self.extra: Any = "new"

    def get_extra_state(self) -> Any:
        return {"extra": self.extra}

    def set_extra_state(self, state: Any) -> None:
        if state == "broken":
            raise ValueError("broken")
        self.extra = state["extra"]


def test_extra_state() -> None:
    a, b = nn.Sequential(Counter()), nn.Sequential(Counter())
    a[0].extra = 42
    state = a.state_dict()
    assert "0._extra_state" in state
    b.load_state_dict(state)
    assert b[0].extra == 42
    state["0._extra_state"] = "broken"
    state["0.w"] = deeplite.ones(1)
    with pytest.raises(ValueError, match="broken"):
        b.load_state_dict(state)
    assert float(b[0].w.detach()) == 0
    del state["0._extra_state"]
    with pytest.raises(RuntimeError, match="0._extra_state"):
        b.load_state_dict(state)


def test_state_dict_hooks() -> None:
    net = Net()
    calls: list[str] = []
    net.head.register_state_dict_pre_hook(lambda m, prefix, keep: calls.append("pre " + prefix))
    net.register_state_dict_post_hook(lambda m, d, prefix, meta: d.__delitem__("head.bias"))
    state = net.state_dict()
    assert calls == ["pre head."] and "head.bias" not in state

    def rename(module: Any, d: Any, prefix: str, *rest: Any) -> None:
        assert module is target.head
        d[prefix + "bias"] = d.pop(prefix + "b")

    target = Net()
    target.head.register_load_state_dict_pre_hook(rename)
    full = dict(Net().state_dict())
    full["head.b"] = full.pop("head.bias") + 1
    target.load_state_dict(full)
    assert "head.b" in full  # the caller's dict stays as it was

    other = Net()
    handle = other.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    assert other.load_state_dict(state) == ([], [])
    handle.remove()
    with pytest.raises(RuntimeError, match="head.bias"):
        other.load_state_dict(state)


def test_an_error_after_a_post_hook_restores_the_old_values() -> None:
    net = Net()
    net.register_load_state_dict_post_hook(lambda m, keys: None)
    state = {k: deeplite.full_like(v, 5) for k, v in net.state_dict().items()}
    del state["head.bias"]
    with pytest.raises(RuntimeError, match="head.bias"):
        net.load_state_dict(state)
    assert (array(net.head.weight) == 1).all()


# --- errors that name the layer -----------------------------------------------------------------


def test_errors_name_the_layer() -> None:
    class Failing(nn.Module):
        def __init__(self, error: Exception) -> None:
            super().__init__()
            self.error = error

        def forward(self, x: Any) -> Any:
            raise self.error

    def run(error: Exception) -> str:
        net = nn.Sequential(nn.Identity(), nn.ModuleDict({"deep": nn.Sequential(Failing(error))}))
        net[1].forward = net[1]["deep"].forward
        with pytest.raises(type(error)) as caught:
            net(deeplite.ones(1))
        assert caught.value is error
        return str(caught.value)

    assert run(ValueError("too bad")) == "too bad (in 1.deep.0 (Failing))"
    assert run(IndexError("too bad")) == "too bad (in 1.deep.0 (Failing))"
    assert run(KeyError("key")) == "'key'"  # the key is no message
    assert run(ValueError(1, 2)) == "(1, 2)"
    assert run(FileNotFoundError(2, "no file")).startswith("[Errno 2]")

    layer = nn.Conv2d(3, 4, 3)
    with pytest.raises((ValueError, RuntimeError), match=r"\(in Conv2d\)$"):
        layer(deeplite.ones(1, 2, 5, 5))


def test_caught_errors_are_not_renamed() -> None:
    class Fallback(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3, 2)

        def forward(self, x: Any) -> Any:
            try:
                return self.fc(x)
            except Exception:
                return x

    x = deeplite.ones(1, 5)
    assert Fallback()(x) is x


def test_errors_of_arguments_name_the_class_that_was_written():
    for layer, name in ((nn.Conv2d, "Conv2d"), (nn.BatchNorm1d, "BatchNorm1d"), (nn.ReLU, "ReLU")):
        with pytest.raises(TypeError, match=rf"^{name}.__init__\(\) got an unexpected keyword"):
            layer(nonsense=1)

    class Own(nn.Conv2d):
        def __init__(self, **options):
            super().__init__(3, 4, 1, **options)

    with pytest.raises(TypeError, match=r"^Conv2d.__init__\(\) got an unexpected keyword"):
        Own(nonsense=1)
    assert Own(bias=False).bias is None and nn.Conv1d(1, 2, 3, stride=2).stride == (2,)
    public = {n: c for n, c in vars(nn).items() if isinstance(c, type) and issubclass(c, nn.Module)}
    makers = {c.__init__.__qualname__.split(".")[0] for c in public.values()}
    assert len(public) > 100 and not [m for m in makers if m.startswith("_")]
