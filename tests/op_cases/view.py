"""Views, copies and conversions: what moves or reinterprets elements without computing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from op_cases import ALL, Error, OpCase, Sample, T, make

SIZES = ((2, 3, 4), (3, 1, 2), (4, 3))


def over(*arguments: tuple) -> Callable[[], Iterator[Sample]]:
    """Samples of a [2, 3, 4] tensor (and of a transposed one) with each of the argument lists."""

    def samples() -> Iterator[Sample]:
        for args in arguments:
            yield Sample(make((2, 3, 4)), *args)
        for args in arguments:
            yield Sample(make((2, 3, 4), layout="transposed"), *args)
        yield Sample(make((2, 3, 4), layout="strided"), *arguments[0])

    return samples


def errors(name: str, *rows: tuple) -> Callable[[], Iterator[Error]]:
    """rows: (exception, message, *arguments after the tensor)."""

    def bad() -> Iterator[Error]:
        for exception, message, *args in rows:
            yield Error(exception, message, make((2, 3, 4)), *args)

    return bad


def view(
    name: str, samples: Callable[[], Iterator[Sample]], bad: Any = None, **options: Any
) -> OpCase:
    return OpCase(
        name, samples, bad, dtypes=ALL, exact=True, strides=True, view=True,
        skip={"empty": "sizes are given", **options.pop("skip", {})}, **options,
    )  # fmt: skip


def wide(name: str, samples: Callable[[], Iterator[Sample]], bad: Any = None) -> OpCase:
    """A view that shows elements more than once: not writable, and its gradient is a sum."""
    return OpCase(name, samples, bad, dtypes=ALL, strides=True, skip={"empty": "sizes are given"})


DIM = ("IndexError", "dim.*range")

VIEWS = [
    view("transpose", over((0, 2), (-1, 1), (1, 1)), errors("transpose", (*DIM, 0, 3))),
    view("swapaxes", over((0, 2), (-1, 1))),
    view("swapdims", over((0, 2))),
    view("t", lambda: [Sample(make((3, 4))), Sample(make(3)), Sample(make(()))]),
    view("adjoint", over(())),
    view("Tensor.T", lambda: [Sample(make((3, 4)))]),
    view("Tensor.mT", over(())),
    view(
        "permute",
        over(((2, 0, 1),), ((0, -1, 1),)),
        errors("permute", ("RuntimeError", "permute", (0, 1)), ("RuntimeError", "", (0, 0, 1))),
    ),
    view("movedim", over((0, 2), ((0, 1), (2, 0))), errors("movedim", (*DIM, 0, 4))),
    view("moveaxis", over((2, 0))),
    view(
        "Tensor.reshape",
        lambda: [
            Sample(make((2, 3, 4)), 6, 4),
            Sample(make((2, 3, 4)), (-1,)),
            Sample(make((2, 3, 4)), (2, -1, 2)),
            Sample(make((0, 3)), (3, 0)),
            Sample(make(()), (1, 1)),
        ],
        errors("reshape", ("ShapeError", "24", 5, 5), ("RuntimeError", "", (-1, -1))),
        skip={"layouts": "copies where it must; tests/tensor/test_views.py", "empty": "sizes"},
    ),
    view(
        "Tensor.view",
        lambda: [Sample(make((2, 3, 4)), 6, 4), Sample(make((2, 3, 4)), -1, 2, 2)],
        errors("view", ("ShapeError", "24", 5, 5)),
        skip={"layouts": "needs contiguous inputs; tests/tensor/test_views.py", "empty": "sizes"},
    ),
    wide("Tensor.expand", lambda: [
        Sample(make((3, 1)), 3, 4), Sample(make((3, 1)), (2, -1, 4)), Sample(make(()), (2, 2)),
    ], lambda: [Error("ShapeError", "expand", make((3, 2)), 3, 4)]),
    wide("broadcast_to", lambda: [Sample(make((3, 1)), (2, 3, 4))]),
    wide("Tensor.expand_as", lambda: [Sample(make((3, 1)), make((2, 3, 4), grad=False))]),
    view("narrow", over((1, 0, 2), (-1, 1, 0), (2, -3, 2)), errors("narrow", (
        "RuntimeError", "narrow|range", 0, 1, 4), ("IndexError", "dim", 5, 0, 1))),
    view("select", over((0, 1), (-1, -4)), errors("select", ("IndexError", "", 0, 2))),
    view("squeeze", lambda: [
        Sample(make((3, 1, 2, 1))), Sample(make((3, 1, 2, 1)), 1), Sample(make((3, 1)), (0, 1)),
    ], errors("squeeze", (*DIM, 3))),
    view("unsqueeze", over((0,), (-1,), (3,)), errors("unsqueeze", (*DIM, 4))),
    view("flatten", lambda: [Sample(make((2, 3, 4))), Sample(make((2, 3, 4)), 1),
                             Sample(make(()))],
         skip={"layouts": "copies where it must", "empty": "sizes", "isa": "moves nothing"}),
    view("unflatten", lambda: [Sample(make((2, 6)), 1, (2, -1))]),
    view("ravel", lambda: [Sample(make((2, 3)))], skip={"layouts": "copies where it must"}),
    view("unbind", over((), (1,))),
    view("diagonal", over((), (1, 0, 2), (-1, 1, 2)), errors("diagonal", ("RuntimeError", "", 0, 1,
                                                                         1))),
    view("as_strided", lambda: [Sample(make(12), (3, 2), (4, 1), 1)],
         lambda: [Error("RuntimeError", "as_strided|storage", make(4), (3,), (2,))],
         skip={"layouts": "speaks of memory itself", "capture": "speaks of memory itself"}),
    view("Tensor.view_as", lambda: [Sample(make((2, 6)), make((3, 4), grad=False))],
         skip={"layouts": "needs contiguous inputs"}),
    view("Tensor.reshape_as", lambda: [Sample(make((2, 6)), make((3, 4), grad=False))],
         skip={"layouts": "copies where it must"}),
    wide("Tensor.unfold", lambda: [Sample(make((2, 7)), 1, 3, 2), Sample(make(5), 0, 5, 1)]),
]  # fmt: skip

CONVERSIONS = {
    "float": "float32", "double": "float64", "half": "float16", "bfloat16": "bfloat16",
    "long": "int64", "int": "int32", "short": "int16", "char": "int8", "byte": "uint8",
    "bool": "bool",
}  # fmt: skip


def positive() -> Iterator[Sample]:
    yield Sample(make((3, 4), low=0, high=100))
    yield Sample(make(()))


COPIES = [
    OpCase("clone", over(()), dtypes=ALL, exact=True, strides=True),
    OpCase("Tensor.contiguous", over(()), dtypes=ALL, exact=True, strides=True),
    OpCase(
        "Tensor.to",
        lambda: [
            Sample(make((3, 4), low=0, high=9), T("float64")),
            Sample(make((3, 4), low=0, high=9), dtype=T("int32")),
            Sample(make((3, 4), low=0, high=9), "cpu", T("float16")),
            Sample(make((3, 4), low=0, high=9), make((2,), "float64", grad=False)),
        ],
        lambda: [
            Error("RuntimeError", "to: .*float32x", make(2), "float32x"),
            Error("RuntimeError", "to: .*float32x", make(2), dtype=T("int32"), device="float32x"),
            Error("TypeError", "to", make(2), 3.5),
            Error("TypeError", "to", make(2), dtype="float32"),
        ],
        dtypes=ALL,
        exact=True,
        skip={
            "gradcheck": "some results have few digits",
            "gradgradcheck": "some results have few digits",
            "backend": "names the CPU",
        },
    ),
    *(
        OpCase(
            f"Tensor.{method}",
            lambda: [Sample(make((3, 4), low=0, high=100)), Sample(make((), low=0, high=9))],
            dtypes=ALL,
            exact=True,
            grad=name in ("float32", "float64"),
            skip={"gradcheck": "rounds", "gradgradcheck": "is linear", "grad": "rounds"},
        )
        for method, name in CONVERSIONS.items()
    ),
    OpCase(
        "Tensor.type_as",
        lambda: [Sample(make((3, 4)), make((2,), "float64", grad=False))],
        exact=True,
    ),
    OpCase(
        "Tensor.copy_",
        lambda: [
            Sample(make((3, 4)), make((3, 4))),
            Sample(make((3, 4)), make(4)),
            Sample(make((3, 4)), make((3, 1), "int32")),
        ],
        lambda: [Error("ShapeError", "copy", make((3, 4)), make(5))],
        dtypes=ALL,
        exact=True,
        skip={"empty": "sizes of both"},
    ),
    OpCase("Tensor.fill_", lambda: [Sample(make((3, 4)), 1), Sample(make(()), 1)], dtypes=ALL,
           exact=True),
    OpCase("Tensor.zero_", lambda: [Sample(make((3, 4)))], dtypes=ALL, exact=True),
    *(
        OpCase(f"atleast_{n}d", lambda: [Sample(make(())), Sample(make(3)), Sample(make((2, 3)))],
               exact=True)
        for n in (1, 2, 3)
    ),
    OpCase("broadcast_tensors", lambda: [Sample(make((3, 1)), make(4), make(()))],
           lambda: [Error("RuntimeError", "", make(3), make(4))]),
]  # fmt: skip

CASES = [*VIEWS, *COPIES]
