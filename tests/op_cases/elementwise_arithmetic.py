"""Arithmetic of two and three tensors: broadcasting, numbers, promotion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from op_cases import ALL, FLOAT, INTEGRAL, NUMERIC, Error, OpCase, Sample, make, values

INF, NAN = float("inf"), float("nan")


def pairs(low: float = -2, high: float = 2, b_low: float = 0.5, b_high: float = 3, **kw: Any):
    """Samples of two tensors; b stays clear of 0."""

    def samples() -> Iterator[Sample]:
        def a(shape: tuple[int, ...], layout: str = "contiguous"):
            return make(shape, low=low, high=high, layout=layout)

        def b(shape: tuple[int, ...], layout: str = "contiguous"):
            return make(shape, low=b_low, high=b_high, layout=layout)

        yield Sample(a((3, 4)), b((3, 4)), **kw)
        yield Sample(a((2, 3, 4)), b((3, 1)), **kw)
        yield Sample(a((4,)), b((2, 1, 4)), **kw)
        yield Sample(a(()), b((5,)), **kw)
        yield Sample(a((3, 5), "transposed"), b((3, 5), "strided"), **kw)
        yield Sample(a((6, 2), "expanded"), b((6, 2)), **kw)
        yield Sample(a((0, 3)), b((3,)), **kw)
        yield Sample(a((1, 70)), b((70,)), **kw)

    return samples


def with_number(number: float, low: float = -2, high: float = 2, **kw: Any):
    def samples() -> Iterator[Sample]:
        yield Sample(make((3, 4), low=low, high=high), number, **kw)
        yield Sample(make((2, 3, 4), low=low, high=high, layout="transposed"), number, **kw)
        yield Sample(make((), low=low, high=high), number, **kw)
        yield Sample(make((0,), low=low, high=high), number, **kw)
        yield Sample(make((90,), low=low, high=high), number, **kw)

    return samples


def inplace_pairs(low: float = -2, high: float = 2, b_low: float = 0.5, b_high: float = 3):
    def samples() -> Iterator[Sample]:
        yield Sample(make((3, 4), low=low, high=high), make((3, 4), low=b_low, high=b_high))
        yield Sample(make((2, 3, 4), low=low, high=high), make((3, 1), low=b_low, high=b_high))
        yield Sample(
            make((3, 5), low=low, high=high, layout="transposed"),
            make((5,), low=b_low, high=b_high),
        )
        yield Sample(make((2, 2), low=low, high=high), make((), low=b_low, high=b_high))
        yield Sample(make((0, 2), low=low, high=high), make((2,), low=b_low, high=b_high))

    return samples


def mixed(*dtypes: tuple[str, str], low: int = 1, high: int = 9):
    def samples() -> Iterator[Sample]:
        for first, second in dtypes:
            yield Sample(make((2, 3), first, low=low, high=high),
                         make((3,), second, low=low, high=high))  # fmt: skip
            yield Sample(make((2, 3), first, low=low, high=high),
                         make((), second, low=low, high=high))  # fmt: skip
        yield Sample(make((3,), "int32", low=low, high=high), 2)
        yield Sample(make((3,), "int32", low=low, high=high), 2.5)
        yield Sample(make((3,), "float32", low=low, high=high), 2)
        yield Sample(make((3,), "float64", low=low, high=high), 2.5)

    return samples


PROMOTIONS = (
    ("float32", "float64"), ("int64", "float32"), ("float64", "int32"), ("uint8", "int8"),
    ("int16", "int32"), ("float16", "float32"), ("bfloat16", "int64"), ("float16", "bfloat16"),
    ("bool", "float32"), ("bool", "int16"),
)  # fmt: skip


def shapes_clash(name: str, *more: object) -> Iterator[Error]:
    yield Error("ShapeError", "broadcast", make((2, 3)), make((4,)), *more)
    yield Error("TypeError", name, make((2, 3)), "text", *more)
    yield Error("TypeError", name, make((2, 3)), [1, 2], *more)


def inplace_clash(name: str) -> Iterator[Error]:
    yield Error("ShapeError", "shape", make((3,)), make((2, 3)))
    yield Error("RuntimeError", "can't be cast", make((3,), "int64"), make((3,), "float32"))


def integer_pairs(low: int = 1, high: int = 7):
    def samples() -> Iterator[Sample]:
        yield Sample(make((3, 4)), make((3, 4), low=low, high=high))
        yield Sample(make((2, 3, 4)), make((3, 1), low=low, high=high))
        yield Sample(make((5,)), 3)

    return samples


def zero_divisor() -> Iterator[Error]:
    yield Error(
        "RuntimeError", "ZeroDivisionError", make((3,), "int64"), values([1, 0, 2], "int64")
    )
    yield Error("RuntimeError", "ZeroDivisionError", make((3,), "int32"), 0)


def bool_pairs() -> Iterator[Sample]:
    yield Sample(make((3, 4), "bool"), make((4,), "bool"))
    yield Sample(make((4,), "bool"), True)
    yield Sample(make((4,), "bool"), 2)


def special_pairs() -> Iterator[Sample]:
    special = [0.0, -0.0, INF, -INF, NAN, 1.0, -1.0, 2.0, -2.5, 3.0]
    yield Sample(values([[x] for x in special], grad=False), values(special, grad=False))


def binary(
    name: str, a: tuple[float, float], b: tuple[float, float], *, number: float | None = None,
    aliases: tuple[str, ...] = (), inplace: bool = True, **kw: Any,
) -> Iterator[OpCase]:  # fmt: skip
    yield OpCase(name, pairs(*a, *b), lambda: shapes_clash(name), covers=aliases, **kw)  # fmt: skip
    if number is not None:
        yield OpCase(name, with_number(number, *a), variant="number", **kw)
    if inplace:
        yield OpCase(
            f"Tensor.{name}_", inplace_pairs(*a, *b), lambda: inplace_clash(name),
            covers=tuple(f"Tensor.{alias}_" for alias in aliases), **kw,
        )  # fmt: skip


STEPS = {"gradcheck": "piecewise constant"}


def rows() -> Iterator[OpCase]:
    yield from binary("add", (-2, 2), (-2, 2), number=1.5)
    yield from binary("sub", (-2, 2), (-2, 2), number=1.5, aliases=("subtract",))
    yield from binary("mul", (-2, 2), (-2, 2), number=-1.5, aliases=("multiply",))
    yield from binary("div", (-2, 2), (0.5, 3), number=-1.5, aliases=("divide", "true_divide"))
    yield from binary("pow", (0.5, 2), (-2, 3), number=1.7, c=16.0)
    yield from binary("remainder", (0.1, 0.9), (1.5, 3), number=2.5)
    yield from binary("fmod", (0.1, 0.9), (1.5, 3), number=2.5)
    yield from binary("floor_divide", (-5, 5), (0.5, 2), number=0.7, grad=False)
    yield from binary("maximum", (-2, 0), (0.5, 2), inplace=False)
    yield from binary("minimum", (-2, 0), (0.5, 2), inplace=False)
    yield from binary("fmax", (-2, 0), (0.5, 2), inplace=False, half=False)
    yield from binary("fmin", (-2, 0), (0.5, 2), inplace=False, half=False)
    yield from binary("atan2", (-2, 2), (0.5, 3), aliases=("arctan2",))
    yield from binary("hypot", (-2, 2), (0.5, 3))
    yield from binary("copysign", (0.1, 2), (0.5, 3), number=-1.0)
    yield from binary("xlogy", (0.1, 2), (0.5, 3), number=2.0)
    yield from binary("logaddexp", (-2, 2), (-2, 3), inplace=False, c=16.0)
    yield from binary("logaddexp2", (-2, 2), (-2, 3), inplace=False, c=16.0)
    yield from binary("heaviside", (-2, 2), (-2, 3), inplace=False, grad=False)
    yield from binary("nextafter", (-2, 2), (-2, 3), inplace=False, grad=False, half=False)
    for name in ("add", "sub", "mul", "div", "maximum", "minimum", "floor_divide", "remainder",
                 "fmod", "pow"):  # fmt: skip
        few = PROMOTIONS if name in ("add", "mul", "div") else PROMOTIONS[:6]
        numbers = name not in ("maximum", "minimum")
        if numbers:
            yield OpCase(name, mixed(*few, low=1, high=4), variant="promotion",
                         dtypes=("float32",), grad=False, half=False, c=16.0)  # fmt: skip
    for name in ("remainder", "fmod", "floor_divide", "pow", "atan2", "copysign", "xlogy",
                 "logaddexp", "hypot", "maximum", "fmax", "fmin"):  # fmt: skip
        yield OpCase(name, special_pairs, variant="special", grad=False, half=False)


def alphas() -> Iterator[Sample]:
    yield Sample(make((3, 4)), make((4,)), alpha=2.5)
    yield Sample(make((3, 4)), make((3, 1)), alpha=-1)
    yield Sample(make((3, 4)), 2.0, alpha=3)


def integer_alphas() -> Iterator[Sample]:
    yield Sample(make((3, 4), "int64"), make((4,), "int64"), alpha=3)
    yield Sample(make((3, 4), "int32"), 2, alpha=-2)


def alpha_errors() -> Iterator[Error]:
    yield Error("RuntimeError", "alpha", make((3,), "int64"), make((3,), "int64"), alpha=1.5)


def bool_differences() -> Iterator[Error]:
    yield Error("RuntimeError", "bool", make((3,), "bool"), make((3,), "bool"))
    yield Error("RuntimeError", "bool", make((3,)), make((3,), "bool"))


def rounding() -> Iterator[Sample]:
    for mode in ("floor", "trunc"):
        yield Sample(make((3, 4), low=-5, high=5), make((4,), low=0.5, high=2), rounding_mode=mode)
        yield Sample(make((3, 4), low=-5, high=5), 0.7, rounding_mode=mode)
    yield Sample(make((3, 4)), make((4,), low=0.5, high=2), rounding_mode=None)


def integer_rounding() -> Iterator[Sample]:
    for mode in ("floor", "trunc"):
        yield Sample(make((3, 4)), make((4,), low=1, high=4), rounding_mode=mode)
        yield Sample(make((3, 4)), 3, rounding_mode=mode)


def rounding_errors() -> Iterator[Error]:
    yield Error("RuntimeError", "rounding_mode", make((3,)), make((3,)), rounding_mode="up")


def powers() -> Iterator[Sample]:
    for exponent in (2, 0.5, -1, -0.5, 3, 0, 1, -2, 2.7):
        yield Sample(make((3, 4), low=0.5, high=2), exponent)
    yield Sample(2.5, make((3, 4)))
    yield Sample(3, make((4,)))


def integer_powers() -> Iterator[Sample]:
    yield Sample(make((3, 4)), 3)
    yield Sample(make((3, 4)), make((4,), low=0, high=4))
    yield Sample(2, make((4,), low=0, high=5))
    yield Sample(make((3,)), 0)


def power_errors() -> Iterator[Error]:
    yield Error("RuntimeError", "negative", make((3,), "int64"), -1)


def three(name: str) -> Iterator[OpCase]:
    def samples() -> Iterator[Sample]:
        yield Sample(make((3, 4)), make((3, 4)), make((3, 4), low=0.5, high=2), value=0.7)
        yield Sample(make((3, 4)), make((4,)), make((3, 1), low=0.5, high=2))
        yield Sample(make((3, 4), layout="transposed"), make(()), make((4,), low=0.5, high=2),
                     value=-2)  # fmt: skip
        yield Sample(make((0, 4)), make((4,)), make((4,), low=0.5, high=2))

    def errors() -> Iterator[Error]:
        yield Error("ShapeError", "broadcast", make((3,)), make((4,)), make((3,)))
        yield Error("TypeError", name, make((3,)), 2.0, make((3,)))

    yield OpCase(name, samples, errors)
    yield OpCase(f"Tensor.{name}_", samples, lambda: [
        Error("ShapeError", "shape", make((3,)), make((2, 3)), make((3,)))])  # fmt: skip


def lerps() -> Iterator[Sample]:
    yield Sample(make((3, 4)), make((3, 4)), 0.3)
    yield Sample(make((3, 4)), make((3, 4)), 0.8)
    yield Sample(make((3, 4)), make((4,)), make((3, 4), low=0, high=1))
    yield Sample(make((2, 3), layout="transposed"), make((2, 3)), make((), low=0, high=1))


def lerp_errors() -> Iterator[Error]:
    yield Error("ShapeError", "broadcast", make((3,)), make((4,)), 0.5)
    yield Error("RuntimeError", "dtype", make((3,), "float32"), make((3,), "float64"), 0.5)


def integer_addcmul() -> Iterator[Sample]:
    yield Sample(make((3, 4)), make((4,)), make((3, 1)), value=2)


def gcds() -> Iterator[Sample]:
    yield Sample(make((3, 4), low=-9, high=9), make((3, 4), low=-9, high=9))
    yield Sample(make((3, 4), low=0, high=9), make((4,), low=0, high=9))


def gcd_errors() -> Iterator[Error]:
    yield Error("NotImplementedError", "float32", make((3,), "float32"), make((3,), "float32"))


def rsubs() -> Iterator[Sample]:
    yield Sample(make((3, 4)), make((4,)))
    yield Sample(make((3, 4)), 2.5)
    yield Sample(make((3, 4)), make((3, 4)), alpha=2)


def lowest_over_minus_one() -> Iterator[Sample]:  # overflows; must not trap
    yield Sample(values([-(2**31), 7, -7], "int32"), values([-1, -1, 2], "int32"))
    yield Sample(values([-(2**63), 7, -7], "int64"), values([-1, -1, 2], "int64"))


def operator(text: str) -> Callable[[Any], Callable[..., Any]]:
    return lambda lib: lambda *args: eval(text, {"x": args})  # noqa: S307


def operators() -> Iterator[OpCase]:
    for name, text in {
        "radd": "2.5 + x[0]", "rsub": "2.5 - x[0]", "rmul": "2.5 * x[0]", "rtruediv": "2.5 / x[0]",
        "rfloordiv": "2.5 // x[0]", "rmod": "2.5 % x[0]", "rpow": "2.5 ** x[0]", "neg": "-x[0]",
        "abs": "abs(x[0])", "pos": "+x[0]",
    }.items():  # fmt: skip
        steps = name in ("rfloordiv", "rmod")
        yield OpCase(
            f"operator.{name}",
            lambda: [Sample(make((3, 4), low=0.6, high=2)), Sample(make((), low=0.6, high=2))],
            fn=operator(text),
            grad=not steps,
        )
    for name, text in {
        "add": "x[0] + x[1]", "sub": "x[0] - x[1]", "mul": "x[0] * x[1]", "truediv": "x[0] / x[1]",
        "floordiv": "x[0] // x[1]", "mod": "x[0] % x[1]", "pow": "x[0] ** x[1]",
    }.items():  # fmt: skip
        yield OpCase(
            f"operator.{name}",
            lambda: [Sample(make((3, 4), low=0.6, high=2), make((4,), low=2.1, high=3))],
            fn=operator(text),
            grad=name not in ("floordiv", "mod"),
        )


CASES = [
    *rows(),
    *three("addcmul"),
    *three("addcdiv"),
    *operators(),
    OpCase("add", alphas, alpha_errors, variant="alpha"),
    OpCase("sub", alphas, alpha_errors, variant="alpha"),
    OpCase("add", integer_alphas, variant="integer alpha", dtypes=("int64",), grad=False),
    OpCase("sub", integer_alphas, bool_differences, variant="integer alpha", dtypes=("int64",),
           grad=False),
    OpCase("rsub", rsubs, lambda: bool_differences()),
    OpCase("div", rounding, rounding_errors, variant="rounding", grad=False, heavy=5),
    OpCase("div", integer_rounding, zero_divisor, variant="integer rounding", dtypes=INTEGRAL,
           grad=False, exact=True, skip={"errors": "without a mode 0 gives inf"}),
    OpCase("Tensor.div_", rounding, rounding_errors, variant="rounding", grad=False),
    OpCase("add", bool_pairs, variant="bool", dtypes=("bool",), grad=False, exact=True),
    OpCase("mul", bool_pairs, variant="bool", dtypes=("bool",), grad=False, exact=True),
    OpCase("add", integer_pairs(), variant="integers", dtypes=INTEGRAL, grad=False, exact=True),
    OpCase("sub", integer_pairs(), variant="integers", dtypes=INTEGRAL, grad=False, exact=True),
    OpCase("mul", integer_pairs(), variant="integers", dtypes=INTEGRAL, grad=False, exact=True),
    OpCase("div", integer_pairs(), variant="integers", dtypes=INTEGRAL, grad=False),
    OpCase("floor_divide", integer_pairs(), zero_divisor, variant="integers", dtypes=INTEGRAL,
           grad=False, exact=True),
    OpCase("remainder", integer_pairs(), zero_divisor, variant="integers", dtypes=INTEGRAL,
           grad=False, exact=True),
    OpCase("fmod", integer_pairs(), zero_divisor, variant="integers", dtypes=INTEGRAL, grad=False,
           exact=True),
    OpCase("floor_divide", lowest_over_minus_one, variant="overflow", dtypes=("int64",),
           grad=False, torch_fn=lambda torch: lambda a, b: a * 0 + _wrapped(torch, a)),
    OpCase("maximum", lambda: [Sample(make((3, 4)), make(4))], variant="integers", dtypes=ALL[2:],
           grad=False, exact=True),
    OpCase("minimum", lambda: [Sample(make((3, 4)), make(4))], variant="integers", dtypes=ALL[2:],
           grad=False, exact=True),
    OpCase("pow", powers, power_errors, variant="exponents", c=16.0, heavy=12),
    OpCase("pow", integer_powers, variant="integers", dtypes=INTEGRAL, grad=False, exact=True),
    OpCase("float_power", lambda: [Sample(make((3,), low=0.5, high=2), 2),
                                   Sample(make((3,), low=0.5, high=2), make((3,)))], c=16.0),
    OpCase("ldexp", lambda: [Sample(make((3, 4)), make((4,), low=-3, high=3))]),
    OpCase("Tensor.ldexp_", lambda: [Sample(make((3, 4)), make((4,), low=-3, high=3))]),
    OpCase("Tensor.float_power_", lambda: [Sample(make((3,), low=0.5, high=2), 2)],
           dtypes=("float64",), half=False),
    OpCase("addcmul", integer_addcmul, variant="integers", dtypes=INTEGRAL, grad=False, exact=True),
    OpCase("lerp", lerps, lerp_errors),
    OpCase("Tensor.lerp_", lerps),
    OpCase("Tensor.gcd_", gcds, dtypes=INTEGRAL, grad=False, exact=True),
    OpCase("Tensor.lcm_", gcds, dtypes=("int64", "int32"), grad=False, exact=True),
    OpCase("Tensor.heaviside_", inplace_pairs(), grad=False, exact=True),
    OpCase("Tensor.nextafter_", inplace_pairs(), grad=False, exact=True, half=False),
    OpCase("gcd", gcds, gcd_errors, dtypes=INTEGRAL, grad=False, exact=True),
    OpCase("lcm", gcds, gcd_errors, dtypes=("int64", "int32"), grad=False, exact=True),
]  # fmt: skip


def _wrapped(torch: Any, a: Any) -> Any:
    low = torch.iinfo(a.dtype).min
    return torch.tensor([low, -7, -4], dtype=a.dtype)


assert set(FLOAT) < set(NUMERIC)
