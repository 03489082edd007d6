"""Pointwise mathematics: functions of one tensor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from op_cases import FLOAT, INTEGRAL, NUMERIC, Error, OpCase, Sample, make, values

SPECIAL = [0.0, -0.0, float("inf"), float("-inf"), float("nan"), 1.0, -1.0, 0.5, 1e-30, 3e38]

# name: (low, high) of a range inside the domain, where the derivative exists
DOMAINS: dict[str, tuple[float, float]] = {
    "neg": (-2, 2), "abs": (0.1, 2), "square": (-2, 2), "sqrt": (0.1, 4), "rsqrt": (0.1, 4),
    "reciprocal": (0.3, 3), "frac": (0.1, 0.9), "deg2rad": (-180, 180), "rad2deg": (-3, 3),
    "exp": (-3, 3), "exp2": (-3, 3), "expm1": (-3, 3), "log": (0.1, 5), "log2": (0.1, 5),
    "log10": (0.1, 5), "log1p": (-0.9, 4), "sin": (-6, 6), "cos": (-6, 6), "tan": (-1.4, 1.4),
    "asin": (-0.9, 0.9), "acos": (-0.9, 0.9), "atan": (-4, 4), "sinh": (-3, 3), "cosh": (-3, 3),
    "tanh": (-3, 3), "asinh": (-4, 4), "acosh": (1.1, 5), "atanh": (-0.9, 0.9), "erf": (-3, 3),
    "erfc": (-3, 3), "erfinv": (-0.95, 0.95), "lgamma": (0.3, 6), "digamma": (0.3, 6),
    "sinc": (0.1, 4), "sigmoid": (-6, 6),
}  # fmt: skip
ALIASES = {
    "neg": "negative", "abs": "absolute", "trunc": "fix", "asin": "arcsin", "acos": "arccos",
    "atan": "arctan", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh",
}  # fmt: skip
# Functions whose integer version stays an integer, or that have none.
KEEPS_INTEGERS = {"neg", "abs", "square"}
FLOAT_ONLY = {"frac"}
ZERO_GRADIENT = ("floor", "ceil", "trunc", "round", "sign")
# The derivative is linear: no second one.
STRAIGHT = {"neg", "frac", "deg2rad", "rad2deg"}


def samples_in(low: float, high: float, *args: object) -> Iterator[Sample]:
    yield Sample(make((3, 4), low=low, high=high), *args)
    yield Sample(make((2, 3, 5), low=low, high=high, layout="transposed"), *args)
    yield Sample(make((), low=low, high=high), *args)
    yield Sample(make((1, 7), low=low, high=high, layout="strided"), *args)
    yield Sample(make((0, 3), low=low, high=high), *args)
    yield Sample(make((40,), low=low, high=high), *args)  # more than one vector, and a rest


def special_samples() -> Iterator[Sample]:
    yield Sample(values(SPECIAL, grad=False))


def integer_samples() -> Iterator[Sample]:
    yield Sample(make((3, 4), low=1, high=9))
    yield Sample(make((5,), low=0, high=2))
    yield Sample(make((2, 0)))


def no_tensor(name: str) -> Iterator[Error]:
    yield Error("TypeError", name, "text")
    yield Error("TypeError", name)


def integers_do_not_fit(dtype: str) -> Iterator[Error]:
    yield Error("RuntimeError", "can't be cast", make((3,), dtype))


def digamma(torch: Any) -> Any:
    """torch's value, but the derivative of recurrence and Stirling's series: torch's is good to
    1e-10 only."""

    def f(x: Any) -> Any:
        below = sum(1 / (x + k) for k in range(12))
        z = x + 12
        w = 1 / (z * z)
        series = w * (1 / 12 - w * (1 / 120 - w * (1 / 252 - w * (1 / 240 - w * (1 / 132)))))
        y = torch.log(z) - 0.5 / z - series - below
        return y + (torch.digamma(x) - y).detach()

    return f


def digamma_(torch: Any) -> Any:
    return lambda x: x.copy_(digamma(torch)(x))


def rows() -> Iterator[OpCase]:
    for name, (low, high) in DOMAINS.items():
        covers = tuple(filter(None, [ALIASES.get(name)]))
        yield OpCase(
            name,
            lambda low=low, high=high: samples_in(low, high),
            lambda name=name: no_tensor(name),
            covers=covers,
            torch_fn=digamma if name == "digamma" else None,
            c=16.0,
        )
        yield OpCase(
            f"Tensor.{name}_",
            lambda low=low, high=high: samples_in(low, high),
            (None if name in KEEPS_INTEGERS | FLOAT_ONLY else lambda: integers_do_not_fit("int64")),
            covers=tuple(f"Tensor.{alias}_" for alias in covers),
            torch_fn=digamma_ if name == "digamma" else None,
            # torch has no derivative for the in-place form of three of them
            grad=name not in {"asinh", "acosh", "atanh"},
            c=16.0,
        )
        if name not in {"lgamma", "digamma", "erfinv", "frac"}:
            yield OpCase(name, special_samples, variant="special", grad=False, half=False)
        if name in FLOAT_ONLY:
            continue
        yield OpCase(
            name,
            integer_samples if name != "erfinv" else lambda: [Sample(make((3,), low=0, high=1))],
            variant="integers",
            dtypes=NUMERIC[2:] if name in KEEPS_INTEGERS else (*INTEGRAL, "bool"),
            grad=False,
            c=32.0,
        )
    for name in ZERO_GRADIENT:
        for form in (name, f"Tensor.{name}_"):
            yield OpCase(
                form,
                lambda: samples_in(-3.3, 3.3),
                skip={"gradcheck": "a step function"},
            )
        yield OpCase(
            name, integer_samples, variant="integers", dtypes=INTEGRAL, grad=False, exact=True
        )


def halves() -> Iterator[Sample]:  # round half to even
    yield Sample(values([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.5, 0.49999997], grad=False))


def decimals() -> Iterator[Sample]:
    yield Sample(make((4, 5), low=-50, high=50, grad=False), decimals=2)
    yield Sample(make((4, 5), low=-5000, high=5000, grad=False), decimals=-2)
    yield Sample(make((4,), grad=False), decimals=0)


def logits() -> Iterator[Sample]:
    yield Sample(make((3, 4), low=0.1, high=0.9))
    yield Sample(make((3, 4), low=-0.2, high=1.2), 0.05)
    yield Sample(make((5,), low=0.2, high=0.8), eps=1e-3)
    yield Sample(make((), low=0.2, high=0.8))


def nan_to_nums() -> Iterator[Sample]:
    yield Sample(values([[1.0, float("nan"), float("inf")], [float("-inf"), -2.5, 0.0]]))
    yield Sample(values([float("nan"), float("inf"), float("-inf")]), nan=2.0, posinf=7.0)
    yield Sample(values([float("nan"), float("inf"), float("-inf")]), 1.0, 3.0, -4.0)
    yield Sample(make((2, 3)))


def nan_to_num_integers() -> Iterator[Sample]:
    yield Sample(make((2, 3)))


CASES = [
    *rows(),
    OpCase("round", halves, variant="halves", grad=False, exact=True),
    OpCase("round", decimals, variant="decimals", grad=False, half=False),
    OpCase("logit", logits, lambda: no_tensor("logit"), c=32.0, heavy=1),
    OpCase("Tensor.logit_", logits, lambda: integers_do_not_fit("int64"), c=32.0, heavy=1),
    OpCase("nan_to_num", nan_to_nums, lambda: no_tensor("nan_to_num"), half=False,
           skip={"gradcheck": "not finite"}),
    OpCase("Tensor.nan_to_num_", nan_to_nums, half=False,
           skip={"gradcheck": "not finite"}),
    OpCase("nan_to_num", nan_to_num_integers, variant="integers", dtypes=INTEGRAL, grad=False,
           exact=True),
    OpCase("positive", lambda: samples_in(-2, 2), lambda: [
        Error("RuntimeError", "bool", make((2,), "bool"))], dtypes=(*FLOAT, "int64"), exact=True,
           skip={"capture": "returns its argument"}),
    OpCase("sgn", lambda: samples_in(-2, 2), exact=True, grad=False),
    OpCase("Tensor.sgn_", lambda: samples_in(-2, 2), exact=True, grad=False),
    OpCase("polygamma", lambda: [Sample(0, make((3, 4), low=0.3, high=5)),
                                 Sample(1, make((3, 4), low=0.3, high=5))],
           lambda: [Error("RuntimeError", "negative", -1, make(3)),
                    Error("NotImplementedError", "n = 1", 2, make(3))],
           # torch's is good to 1e-10 only
           dtypes=("float32",), grad=False, half=False, c=64.0),
    OpCase("neg", lambda: [Sample(make(3))],
           lambda: [Error("RuntimeError", "bool", make((2,), "bool"))], variant="bool",
           dtypes=("float32",)),
]  # fmt: skip
