"""Comparison, logic, bits; where, masked_fill, clamp and their like."""

from __future__ import annotations

from collections.abc import Iterator

from op_cases import ALL, FLOAT, INTEGRAL, Error, OpCase, Sample, make, values

INF, NAN = float("inf"), float("nan")
COMPARISONS = {"eq": "", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
               "ge": "greater_equal"}  # fmt: skip


def compared() -> Iterator[Sample]:
    yield Sample(make((3, 4)), make((3, 4)))
    yield Sample(make((2, 3, 4), layout="transposed"), make((3, 1)))
    yield Sample(make((5,)), 1)
    yield Sample(make(()), make((6,)))
    yield Sample(make((0, 2)), make((2,)))
    yield Sample(make((70,)), make((70,)))


def special() -> Iterator[Sample]:
    x = [0.0, -0.0, INF, -INF, NAN, 1.0]
    yield Sample(values([[v] for v in x]), values(x))
    yield Sample(values(x), NAN)


def mixed() -> Iterator[Sample]:
    for a, b in (("int64", "float32"), ("uint8", "int8"), ("bool", "int32"),
                 ("float16", "float64"), ("bfloat16", "int16")):  # fmt: skip
        yield Sample(make((2, 3), a, low=0, high=3), make((3,), b, low=0, high=3))
    yield Sample(make((3,), "int64"), 1.5)
    yield Sample(make((3,), "bool"), 0.5)


def clash() -> Iterator[Error]:
    yield Error("ShapeError", "broadcast", make((2, 3)), make((4,)))


def bits() -> Iterator[Sample]:
    yield Sample(make((3, 4)), make((3, 4)))
    yield Sample(make((3, 4)), make((4,)))
    yield Sample(make((2, 3), layout="transposed"), 1)


def bits_errors() -> Iterator[Error]:
    yield Error("NotImplementedError", "float32", make((3,), "float32"), make((3,), "float32"))
    yield Error("ShapeError", "broadcast", make((3,), "int64"), make((4,), "int64"))


def shifts() -> Iterator[Sample]:
    yield Sample(make((3, 4)), make((3, 4), low=0, high=5))
    yield Sample(make((3, 4)), 2)


def one() -> Iterator[Sample]:
    yield Sample(make((3, 4), low=-1, high=2))
    yield Sample(make((2, 3), layout="transposed"))
    yield Sample(make(()))
    yield Sample(make((0,)))


def special_one() -> Iterator[Sample]:
    yield Sample(values([0.0, -0.0, INF, -INF, NAN, 1.0, -1.0]))


def rows() -> Iterator[OpCase]:
    for name, alias in COMPARISONS.items():
        covers = (alias,) if alias else ()
        yield OpCase(name, compared, clash, dtypes=ALL, grad=False, exact=True, covers=covers)
        yield OpCase(name, special, variant="special", grad=False, exact=True)
        yield OpCase(name, mixed, variant="promotion", dtypes=("float32",), grad=False, exact=True)
        yield OpCase(
            f"Tensor.{name}_", lambda: [Sample(make((3, 4)), make((4,))), Sample(make((4,)), 1)],
            dtypes=ALL, grad=False, exact=True, covers=tuple(f"Tensor.{a}_" for a in covers),
        )  # fmt: skip
    for name in ("logical_and", "logical_or", "logical_xor"):
        yield OpCase(
            name, lambda: [Sample(make((3, 4), low=-1, high=2), make((4,), low=-1, high=2))],
            clash, dtypes=ALL, grad=False, exact=True,
        )  # fmt: skip
        yield OpCase(
            f"Tensor.{name}_", lambda: [Sample(make((3, 4)), make((4,)))], dtypes=ALL, grad=False,
            exact=True,
        )  # fmt: skip
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
        yield OpCase(name, bits, bits_errors, dtypes=(*INTEGRAL, "bool"), grad=False, exact=True)
        yield OpCase(f"Tensor.{name}_", bits, dtypes=INTEGRAL, grad=False, exact=True)
    for name in ("bitwise_left_shift", "bitwise_right_shift"):
        yield OpCase(name, shifts, bits_errors, dtypes=INTEGRAL, grad=False, exact=True)
        yield OpCase(f"Tensor.{name}_", shifts, dtypes=INTEGRAL, grad=False, exact=True)
    for name in ("logical_not", "Tensor.logical_not_"):
        yield OpCase(name, one, dtypes=ALL, grad=False, exact=True)
    for name in ("bitwise_not", "Tensor.bitwise_not_"):
        yield OpCase(name, one, lambda: [Error("NotImplementedError", "float", make(3, "float32"))],
                     dtypes=(*INTEGRAL, "bool"), grad=False, exact=True)  # fmt: skip
    for name in ("isnan", "isinf", "isposinf", "isneginf", "isfinite", "signbit", "isreal"):
        yield OpCase(name, one, lambda name=name: [Error("TypeError", name, "text")], dtypes=ALL,
                     grad=False, exact=True)  # fmt: skip
        yield OpCase(name, special_one, variant="special", grad=False, exact=True)


def choices() -> Iterator[Sample]:
    yield Sample(make((3, 4), "bool"), make((3, 4)), make((3, 4)))
    yield Sample(make((4,), "bool"), make((3, 1)), make((2, 3, 4)))
    yield Sample(make((3, 4), "bool", layout="transposed"), make(()), make((3, 4)))
    yield Sample(make((3, 4), "bool"), make((3, 4)), 2.5)
    yield Sample(make((3, 4), "bool"), -1.0, make((4,)))
    yield Sample(make((0, 4), "bool"), make((4,)), make((4,)))


def choice_errors() -> Iterator[Error]:
    yield Error("RuntimeError", "bool", make((3,), "int64"), make((3,)), make((3,)))
    yield Error("ShapeError", "broadcast", make((3,), "bool"), make((4,)), make((3,)))


def masks() -> Iterator[Sample]:
    yield Sample(make((3, 4)), make((3, 4), "bool"), 2.0)
    yield Sample(make((3, 4)), make((4,), "bool"), -7.5)
    yield Sample(make((3, 4)), make((4,), "bool"), -INF)
    yield Sample(make((2, 3, 4), layout="transposed"), make((3, 1), "bool"), 0)
    yield Sample(make((0, 4)), make((4,), "bool"), 1)


def wider_masks() -> Iterator[Sample]:
    yield Sample(make((4,)), make((3, 4), "bool"), 2.0)
    yield Sample(make((3, 4)), make((3, 4), "bool"), make(()))


def integer_masks() -> Iterator[Sample]:
    yield Sample(make((3, 4)), make((3, 4), "bool"), 1)


def mask_errors() -> Iterator[Error]:
    yield Error("RuntimeError", "bool", make((3,)), make((3,), "int64"), 1.0)
    yield Error("ShapeError", "broadcast", make((3,)), make((4,), "bool"), 1.0)
    yield Error("RuntimeError", "value", make((3,)), make((3,), "bool"), make((2,)))


def clamps() -> Iterator[Sample]:
    yield Sample(make((3, 4), distinct=True), -0.45, 0.7)
    yield Sample(make((3, 4), distinct=True), min=-0.45)
    yield Sample(make((2, 3), distinct=True, layout="transposed"), max=0.3)
    yield Sample(make((3, 4), distinct=True), 1.0, -1.0)
    yield Sample(make(()), 0.1, 0.2)
    yield Sample(make((0,)), 0, 1)


def clamp_tensors() -> Iterator[Sample]:
    yield Sample(make((3, 4), distinct=True), make((4,), low=-1, high=-0.5), make((3, 1), low=0.5))
    yield Sample(make((3, 4), distinct=True), min=make((3, 4), low=-0.93, high=0))
    yield Sample(make((3, 4), distinct=True), max=make((), low=0.11, high=0.21))


def integer_clamps() -> Iterator[Sample]:
    yield Sample(make((3, 4)), 1, 3)
    yield Sample(make((3, 4)), min=2)
    yield Sample(make((3, 4)), max=2)


def clamp_promotion() -> Iterator[Sample]:
    yield Sample(make((3, 4), "int64"), 0.5, 2.5)
    yield Sample(make((3, 4), "int32"), min=-1.5)


def clamp_errors() -> Iterator[Error]:
    yield Error("RuntimeError", "min and max", make((3,)))


def near() -> Iterator[Sample]:
    yield Sample(values([1.0, 1.00001, INF, NAN, 2.0]), values([1.0, 1.0, INF, NAN, 3.0]))
    yield Sample(values([1.0, INF, NAN, 2.0]), values([1.0001, -INF, NAN, 2.5]), rtol=0.1,
                 equal_nan=True)  # fmt: skip
    yield Sample(make((3, 4)), make((4,)), atol=0.5)
    yield Sample(make((3, 4)), make((3, 4)), 0.0, 0.0)


def near_integers() -> Iterator[Sample]:
    yield Sample(make((3, 4)), make((3, 4)), atol=1)


def near_errors() -> Iterator[Error]:
    yield Error("RuntimeError", "float64", make((3,), "float32"), make((3,), "float64"))
    yield Error("RuntimeError", "rtol", make((3,)), make((3,)), rtol=-1.0)


EXTREMES = {"gradcheck": "kinks"}
CASES = [
    *rows(),
    OpCase("where", choices, choice_errors),
    OpCase("where", lambda: [Sample(make((3, 4), "bool"), make((3, 4)), make((4,)))],
           variant="integers", dtypes=(*INTEGRAL, "bool"), grad=False, exact=True),
    OpCase("where", lambda: [Sample(make((3,), "bool"), make((3,), "int64"), make((3,), "float32")),
                             Sample(make((3,), "bool"), make((3,), "int64"), 1.5),
                             Sample(make((3,), "bool"), 1, 2)],
           variant="promotion", dtypes=("float32",), grad=False, exact=True),
    OpCase("Tensor.where", lambda: [Sample(make((3, 4)), make((4,), "bool"), make((3, 1))),
                                    Sample(make((3, 4)), make((4,), "bool"), 0.5)]),
    OpCase("masked_fill", lambda: [*masks(), *wider_masks()], mask_errors),
    OpCase("Tensor.masked_fill_", masks),
    OpCase("masked_fill", integer_masks, variant="integers", dtypes=(*INTEGRAL, "bool"), grad=False,
           exact=True),
    OpCase("clamp", clamps, clamp_errors, covers=("clip",)),
    OpCase("clamp", clamp_tensors, variant="tensors"),
    OpCase("clamp", integer_clamps, variant="integers", dtypes=INTEGRAL, grad=False, exact=True),
    OpCase("clamp", clamp_promotion, variant="promotion", dtypes=("float32",), grad=False),
    OpCase("Tensor.clamp_", clamps, covers=("Tensor.clip_",)),
    OpCase("clamp_min", lambda: [Sample(make((3, 4), distinct=True), 0.1)]),
    OpCase("clamp_max", lambda: [Sample(make((3, 4), distinct=True), 0.1)]),
    OpCase("Tensor.clamp_min_", lambda: [Sample(make((3, 4), distinct=True), 0.1)]),
    OpCase("Tensor.clamp_max_", lambda: [Sample(make((3, 4), distinct=True), 0.1)]),
    OpCase("isclose", near, near_errors, grad=False, exact=True, half=False),
    OpCase("isclose", near_integers, variant="integers", dtypes=INTEGRAL, grad=False, exact=True),
    OpCase("allclose", near, near_errors, grad=False, exact=True, half=False,
           skip={"capture": "reads values", "backend": "returns a Python bool"}),
    OpCase("equal", lambda: [Sample(values([1.0, 2.0]), values([1.0, 2.0])),
                             Sample(make((3,)), make((3,))), Sample(make((3,)), make((2,))),
                             Sample(make((0,)), make((0,)))],
           lambda: [Error("RuntimeError", "dtype", make((3,), "float32"), make((3,), "float64"))],
           dtypes=(*FLOAT, "int64"), grad=False, exact=True,
           skip={"capture": "reads values", "backend": "returns a Python bool"}),
]  # fmt: skip
