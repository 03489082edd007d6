"""autograd.Function, gradcheck and anomaly mode."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from op_testing import lib, torch

BOTH = pytest.mark.parametrize("where", [lib, torch], ids=lambda w: w.__name__)
OURS = pytest.mark.skipif(lib.__name__ == "torch", reason="our promise")


def cube(where: Any) -> Any:
    class Cube(where.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, scale: float) -> Any:
            ctx.save_for_backward(x)
            ctx.scale = scale
            return scale * x**3

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            (x,) = ctx.saved_tensors
            return dy * ctx.scale * 3 * x**2, None

    return Cube


def leaf(where: Any, values: Any) -> Any:
    return where.tensor(values, dtype=where.float64, requires_grad=True)


@BOTH
def test_function(where: Any) -> None:
    x = leaf(where, [1.0, 2.0])
    y = cube(where).apply(x, 2.0)
    assert y.tolist() == [2.0, 16.0] and y.requires_grad and "Cube" in str(y.grad_fn)
    y.sum().backward()
    assert x.grad.tolist() == [6.0, 24.0]


@BOTH
def test_function_twice_differentiable(where: Any) -> None:
    x = leaf(where, [2.0])
    (g,) = where.autograd.grad(cube(where).apply(x, 1.0).sum(), x, create_graph=True)
    (gg,) = where.autograd.grad(g.sum(), x)
    assert gg.tolist() == [12.0]


@BOTH
def test_function_with_several_results(where: Any) -> None:
    class Split(where.autograd.Function):
        @staticmethod
        def forward(ctx: Any, a: Any, b: Any) -> Any:
            ctx.needs = ctx.needs_input_grad
            return a + b, a * 2

        @staticmethod
        def backward(ctx: Any, d_sum: Any, d_double: Any) -> Any:
            assert ctx.needs[0] and not ctx.needs[1]
            return d_sum + 2 * d_double, d_sum

    a, b = leaf(where, [1.0]), where.ones(1, dtype=where.float64)
    s, d = Split.apply(a, b)
    (s * 3 + d).sum().backward()
    assert a.grad.tolist() == [5.0]


@BOTH
def test_non_differentiable_results_and_mark_dirty(where: Any) -> None:
    class Best(where.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            i = x.argmax()
            ctx.mark_non_differentiable(i)
            ctx.n = x.numel()
            return x.clone(), i

        @staticmethod
        def backward(ctx: Any, dy: Any, _: Any) -> Any:
            return dy * ctx.n

    x = leaf(where, [1.0, 5.0])
    y, i = Best.apply(x)
    assert i.item() == 1 and not i.requires_grad
    y.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


@BOTH
def test_function_without_gradient_leaves_no_trace(where: Any) -> None:
    y = cube(where).apply(where.ones(2), 1.0)
    assert not y.requires_grad and y.grad_fn is None
    with where.no_grad():
        assert not cube(where).apply(leaf(where, [1.0]), 1.0).requires_grad


@BOTH
def test_wrong_number_or_shape_of_gradients(where: Any) -> None:
    class Wrong(where.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, how: str) -> Any:
            ctx.how = how
            return x * 1

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return {
                "many": (dy, None, dy),
                "few": (),
                "shape": (where.ones(5, dtype=where.float64), None),
                "type": (3.0, None),
            }[ctx.how]

    for how in ("many", "few", "shape", "type"):
        x = leaf(where, [1.0, 2.0])
        with pytest.raises((RuntimeError, TypeError)):
            Wrong.apply(x, how).sum().backward()
        assert x.grad is None


@BOTH
def test_errors_keep_their_type(where: Any) -> None:
    class Raises(where.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 1

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            raise LookupError("in backward")

    with pytest.raises(LookupError, match="in backward"):
        Raises.apply(leaf(where, [1.0])).sum().backward()


@BOTH
def test_saved_tensors_are_watched(where: Any) -> None:
    x = leaf(where, [1.0])
    h = x * 1
    y = cube(where).apply(h, 1.0)
    h.add_(1)
    with pytest.raises(RuntimeError, match="(?i)in.?place|modified|version"):
        y.sum().backward()


@BOTH
def test_functions_are_collected(where: Any) -> None:
    class Big:
        pass

    token = Big()
    alive = weakref.ref(token)

    class Keeps(where.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            y = x * 2
            ctx.save_for_backward(x, y)
            ctx.token = ctx_token[0]
            return y

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return dy * 2

    ctx_token = [token]
    y = Keeps.apply(leaf(where, [1.0]))
    ctx_token.clear()
    del token
    assert alive() is not None
    del y
    gc.collect()
    assert alive() is None


# ---------------------------------------------------------------------- gradcheck


@BOTH
def test_gradcheck_accepts_and_rejects(where: Any) -> None:
    x = leaf(where, [0.3, -1.2, 2.0])
    assert where.autograd.gradcheck(lambda t: t.tanh() * t, (x,))
    assert where.autograd.gradgradcheck(lambda t: t.tanh() * t, (x,))

    class Wrong(where.autograd.Function):
        @staticmethod
        def forward(ctx: Any, t: Any) -> Any:
            ctx.save_for_backward(t)
            return t * t

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return dy * ctx.saved_tensors[0] * 2.01

    assert not where.autograd.gradcheck(Wrong.apply, (x,), raise_exception=False)
    with pytest.raises(RuntimeError, match="(?i)jacobian|gradient"):
        where.autograd.gradcheck(Wrong.apply, (x,))


# ---------------------------------------------------------------------- anomaly mode


@OURS
def test_anomaly_mode_names_the_op() -> None:
    x = leaf(lib, [0.0])
    with lib.autograd.detect_anomaly():
        y = (x.sqrt() * 0).sum()
        with pytest.raises(RuntimeError, match="(?i)(Mul|Sqrt).*nan|nan.*(Mul|Sqrt)"):
            y.backward()
    y = (x.sqrt() * 0).sum()
    y.backward()  # outside, NaN passes silently
    assert x.grad.isnan().item()


@OURS
def test_anomaly_mode_names_the_layer() -> None:
    class Bad(lib.nn.Module):
        def forward(self, x: Any) -> Any:
            return (x - x).sqrt() * 0

    model = lib.nn.Sequential(lib.nn.Linear(2, 2), lib.nn.Sequential(Bad()))
    with lib.autograd.detect_anomaly(), pytest.raises(RuntimeError, match=r"1\.0"):
        model(lib.ones(1, 2)).sum().backward()
