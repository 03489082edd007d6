"""Activations of nn.functional."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from op_cases import Error, OpCase, Sample, make, values

INF, NAN = float("inf"), float("nan")


def inputs(*args: Any, **kwargs: Any):
    def samples() -> Iterator[Sample]:
        # distinct: no element sits on a kink
        yield Sample(make((3, 4), low=-5, high=5, distinct=True), *args, **kwargs)
        yield Sample(make((2, 3, 5), low=-5, high=5, layout="transposed"), *args, **kwargs)
        yield Sample(make((), low=1, high=2), *args, **kwargs)
        yield Sample(make((0, 3)), *args, **kwargs)
        yield Sample(make((70,), low=-8, high=8), *args, **kwargs)

    return samples


def special() -> Iterator[Sample]:
    yield Sample(values([0.0, INF, 1.0, -1.0, 100.0, -100.0, 1e-20, 20.0, -20.0], grad=False))


def wrong_type(name: str) -> Iterator[Error]:
    yield Error("TypeError", name, "text")
    yield Error("TypeError", name)


# name: (arguments of further rows)
SMOOTH: dict[str, list[dict[str, Any]]] = {
    "elu": [{"alpha": 0.5}], "selu": [], "celu": [{"alpha": 0.7}, {"alpha": -0.5}],
    "gelu": [{"approximate": "tanh"}, {"approximate": "none"}], "silu": [], "mish": [],
    "softplus": [{"beta": 2.0, "threshold": 5.0}], "logsigmoid": [], "softsign": [],
    "tanhshrink": [], "sigmoid": [], "tanh": [],
}  # fmt: skip
KINKED: dict[str, list[dict[str, Any]]] = {
    "relu": [], "relu6": [], "leaky_relu": [{"negative_slope": 0.2}, {"negative_slope": -0.3}],
    "hardtanh": [{"min_val": -2.05, "max_val": 0.55}], "hardswish": [], "hardsigmoid": [],
    "softshrink": [{"lambd": 1.05}], "hardshrink": [{"lambd": 1.05}],
    }  # fmt: skip
HAS_INPLACE_FLAG = {"elu", "selu", "celu", "silu", "mish", "relu", "relu6", "leaky_relu",
                    "hardtanh", "hardswish", "hardsigmoid"}  # fmt: skip
HAS_INPLACE_NAME = {"relu", "leaky_relu", "hardtanh", "elu", "selu", "celu"}
# torch gives NaN at infinity where the limit is known.
ODD_INFINITY = {"gelu", "silu", "mish", "softsign", "hardswish", "tanhshrink"}


# torch writes these with float32 constants inside, in float64 too: judged by their formulas.
def celu(torch: Any) -> Any:
    def f(x: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
        y = torch.where(x > 0, x, alpha * torch.expm1(x / alpha))
        return x.copy_(y) if inplace else y

    return f


def hardsigmoid(torch: Any) -> Any:
    def f(x: Any, inplace: bool = False) -> Any:
        y = (x + 3).clamp(0, 6) / 6
        return x.copy_(y) if inplace else y

    return f


FORMULAS = {"celu": celu, "hardsigmoid": hardsigmoid}
BY_METHOD = {"softsign", "tanhshrink", "sigmoid", "tanh"}  # "text".tanh: an AttributeError


def rows() -> Iterator[OpCase]:
    for name, extra in {**SMOOTH, **KINKED}.items():
        full = f"nn.functional.{name}"
        more: dict[str, Any] = {"c": 16.0, "torch_fn": FORMULAS.get(name)}
        errors = None if name in BY_METHOD else lambda name=name: wrong_type(name)
        yield OpCase(full, inputs(), errors, **more)
        for i, kwargs in enumerate(extra):
            yield OpCase(full, inputs(**kwargs), variant=f"options{i}", **more)
        if name in HAS_INPLACE_FLAG:
            yield OpCase(full, inputs(inplace=True), variant="inplace", inplace=True, **more)
        if name in HAS_INPLACE_NAME:
            by_formula = {"torch_fn": lambda t: lambda x: celu(t)(x, inplace=True)}
            yield OpCase(full + "_", inputs(), **(more | by_formula if name == "celu" else more))
        if name not in ODD_INFINITY:
            yield OpCase(full, special, variant="special", grad=False, half=False, c=16.0)


def thresholds() -> Iterator[Sample]:
    yield Sample(make((3, 4), distinct=True), 0.15, -3.0)
    yield Sample(make((2, 5), layout="transposed"), -0.5, 7.0)
    yield Sample(make(()), 0.1, 2)


def prelus() -> Iterator[Sample]:
    yield Sample(make((2, 3, 4), distinct=True), make((3,)))
    yield Sample(make((2, 3), distinct=True), make((1,)))
    yield Sample(make((5,), distinct=True), make((1,)))
    yield Sample(make((2, 3, 2, 2), layout="transposed"), make((3,)))
    yield Sample(make((0, 3)), make((3,)))


def prelu_errors() -> Iterator[Error]:
    yield Error("ShapeError", "channels", make((2, 3)), make((4,)))
    yield Error("ShapeError", "dimension", make((2, 3)), make((3, 1)))
    yield Error("RuntimeError", "dtype", make((2, 3), "float32"), make((3,), "float64"))


def glus() -> Iterator[Sample]:
    yield Sample(make((3, 4)))
    yield Sample(make((4, 3)), 0)
    yield Sample(make((2, 6, 3)), dim=1)
    yield Sample(make((2, 4), layout="transposed"), -1)


def glu_errors() -> Iterator[Error]:
    yield Error("ShapeError", "even", make((3, 5)))
    yield Error("IndexError", "range", make((3, 4)), 2)
    yield Error("ShapeError", "0-dim", make(()))


def hardtanh_errors() -> Iterator[Error]:
    yield Error("ValueError", "max_val", make((3,)), 2.0, 1.0)


def gelu_errors() -> Iterator[Error]:
    yield Error("RuntimeError", "approximate", make((3,)), approximate="sigmoid")


CASES = [
    *rows(),
    OpCase("relu", inputs()),
    OpCase("Tensor.relu_", inputs()),
    OpCase("relu", lambda: [Sample(make((3, 4)))], variant="integers",
           dtypes=("int64", "int32", "int16", "int8", "uint8"), grad=False, exact=True),
    OpCase("selu", inputs(), c=16.0),
    OpCase("celu", inputs(0.7), c=16.0, torch_fn=celu),
    OpCase("hardshrink", inputs(1.05)),
    OpCase("threshold", thresholds),
    OpCase("nn.functional.threshold", thresholds),
    OpCase("nn.functional.threshold_", thresholds),
    OpCase("prelu", prelus, prelu_errors),
    OpCase("nn.functional.prelu", prelus),
    OpCase("nn.functional.glu", glus, glu_errors),
    OpCase("nn.functional.hardtanh", lambda: [Sample(make(3))], hardtanh_errors, variant="errors",
           dtypes=("float32",)),
    OpCase("nn.functional.gelu", lambda: [Sample(make(3))], gelu_errors, variant="errors",
           dtypes=("float32",)),
    OpCase("nn.functional.softshrink", lambda: [Sample(make(3))],
           lambda: [Error("RuntimeError", "lambd", make((3,)), -1.0)], variant="errors",
           dtypes=("float32",)),
]  # fmt: skip
