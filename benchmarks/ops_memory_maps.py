"""Rows of elementwise ops, copies and reductions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.ops_memory_row import SIZES, Input, Row, call_of, index_input, shape_text

UNARY: dict[str, tuple[Callable[..., Any], float, float]] = {
    "relu": (lambda lib, x: lib.relu(x), -2, 2),
    "exp": (lambda lib, x: lib.exp(x), -2, 2),
    "log": (lambda lib, x: lib.log(x), 0.1, 9),
    "log1p": (lambda lib, x: lib.log1p(x), -0.5, 9),
    "expm1": (lambda lib, x: lib.expm1(x), -2, 2),
    "tanh": (lambda lib, x: lib.tanh(x), -2, 2),
    "sigmoid": (lambda lib, x: lib.sigmoid(x), -4, 4),
    "erf": (lambda lib, x: lib.erf(x), -3, 3),
    "sin": (lambda lib, x: lib.sin(x), -9, 9),
    "cos": (lambda lib, x: lib.cos(x), -9, 9),
    "sqrt": (lambda lib, x: lib.sqrt(x), 0.1, 9),
    "rsqrt": (lambda lib, x: lib.rsqrt(x), 0.1, 9),
    "abs": (lambda lib, x: lib.abs(x), -2, 2),
    "neg": (lambda lib, x: lib.neg(x), -2, 2),
    "clamp": (lambda lib, x: lib.clamp(x, -1.0, 1.0), -2, 2),
    "gelu": (lambda lib, x: lib.nn.functional.gelu(x), -4, 4),
    "gelu_tanh": (lambda lib, x: lib.nn.functional.gelu(x, approximate="tanh"), -4, 4),
    "silu": (lambda lib, x: lib.nn.functional.silu(x), -4, 4),
    "mish": (lambda lib, x: lib.nn.functional.mish(x), -4, 4),
    "softplus": (lambda lib, x: lib.nn.functional.softplus(x), -4, 4),
    "hardswish": (lambda lib, x: lib.nn.functional.hardswish(x), -4, 4),
    "leaky_relu": (lambda lib, x: lib.nn.functional.leaky_relu(x, 0.1), -2, 2),
    "elu": (lambda lib, x: lib.nn.functional.elu(x), -2, 2),
    "pow 2.5": (lambda lib, x: x**2.5, 0.1, 3),
    "pow 2": (lambda lib, x: x**2, -2, 2),
    "x * 2": (lambda lib, x: x * 2, -2, 2),
}
ACTIVATIONS = ("relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh", "hardswish", "softplus")


def unary() -> Iterator[Row]:
    for name, (f, low, high) in UNARY.items():
        for label in ("1k", "64k", "1M", "16M"):
            if label == "16M" and name not in ("relu", "exp", "gelu", "tanh", "x * 2", "log"):
                continue
            x = Input((SIZES[label],), low=low, high=high)
            back = name in ACTIVATIONS and label != "1k"
            yield Row("elementwise", f"{name} {label}", call_of(f), (x,), 2 * x.bytes(), back)
    x = Input((SIZES["1M"],))
    yield Row("elementwise", "relu_ 1M", call_of(lambda lib, x: x.relu_()), (x,), 2 * x.bytes())
    for dtype in ("bfloat16", "float16"):
        h = Input((SIZES["1M"],), dtype)
        yield Row("elementwise", f"relu 1M {dtype}", call_of(UNARY["relu"][0]), (h,), 2 * h.bytes())
        yield Row("elementwise", f"gelu 1M {dtype}", call_of(UNARY["gelu"][0]), (h,), 2 * h.bytes())
    for dtype in ("float64", "int32"):
        h = Input((SIZES["1M"],), dtype)
        yield Row("elementwise", f"abs 1M {dtype}", call_of(UNARY["abs"][0]), (h,), 2 * h.bytes())


BINARY: dict[str, Callable[..., Any]] = {
    "add": lambda lib, a, b: a + b,
    "mul": lambda lib, a, b: a * b,
    "div": lambda lib, a, b: a / b,
    "maximum": lambda lib, a, b: lib.maximum(a, b),
    "lt": lambda lib, a, b: a < b,
    "atan2": lambda lib, a, b: lib.atan2(a, b),
}


def binary() -> Iterator[Row]:
    for name, f in BINARY.items():
        for label in ("1k", "64k", "1M", "16M"):
            if label == "16M" and name not in ("add", "mul"):
                continue
            x = Input((SIZES[label],))
            yield Row("elementwise", f"{name} {label}", call_of(f), (x, x), 3 * x.bytes())
    add, mul = BINARY["add"], BINARY["mul"]
    wide, whole = (1024, 1024), Input((1024, 1024))
    others = {
        "row": Input((1024,)),
        "column": Input((1024, 1)),
        "transposed": Input(wide, order=(1, 0)),
        "every second": Input((1024, 2048), step=(1, 2)),
    }
    for what, other in others.items():
        moved = 2 * whole.bytes() + min(whole.bytes(), other.bytes())
        for name, f in (("add", add), ("mul", mul)):
            title = f"{name} 1024x1024, {what}"
            yield Row("elementwise", title, call_of(f), (whole, other), moved)
    image, channel = Input((8, 64, 56, 56)), Input((64, 1, 1))
    yield Row("elementwise", "add channel", call_of(add), (image, channel), 2 * image.bytes())
    yield Row(
        "elementwise", "mul SE gate", call_of(mul), (image, Input((8, 64, 1, 1))), 2 * image.bytes()
    )
    turned = Input(wide, order=(1, 0))
    yield Row(
        "elementwise", "add both transposed", call_of(add), (turned, turned), 3 * whole.bytes()
    )
    yield Row(
        "elementwise", "relu transposed", call_of(UNARY["relu"][0]), (turned,), 2 * whole.bytes()
    )
    thin = Input((1 << 16, 32), step=(1, 2))
    yield Row(
        "elementwise", "add 65536x16 of x32", call_of(add), (thin, thin), 3 * thin.bytes() // 2
    )
    yield Row("elementwise", "exp 65536x16 of x32", call_of(UNARY["exp"][0]), (thin,), thin.bytes())
    x = Input((SIZES["1M"],))
    yield Row(
        "elementwise",
        "add_ 1M",
        call_of(lambda lib, a, b: a.add_(b, alpha=0.0)),
        (x, x),
        3 * x.bytes(),
    )
    yield Row(
        "elementwise", "mul_ 1M scalar", call_of(lambda lib, a: a.mul_(1.0)), (x,), 2 * x.bytes()
    )
    yield Row(
        "elementwise",
        "addcmul 1M",
        call_of(lambda lib, a, b, c: lib.addcmul(a, b, c)),
        (x, x, x),
        4 * x.bytes(),
    )
    yield Row(
        "elementwise",
        "lerp 1M",
        call_of(lambda lib, a, b: lib.lerp(a, b, 0.3)),
        (x, x),
        3 * x.bytes(),
    )
    for dtype in ("int64", "int32", "bool", "bfloat16"):
        i = Input((SIZES["1M"],), dtype, 0, 100, grad=False)
        if dtype == "bool":
            yield Row(
                "elementwise",
                "and 1M bool",
                call_of(lambda lib, a, b: a & b),
                (i, i),
                3 * i.bytes(),
            )
        else:
            yield Row("elementwise", f"add 1M {dtype}", call_of(add), (i, i), 3 * i.bytes())
            yield Row(
                "elementwise",
                f"eq 1M {dtype}",
                call_of(lambda lib, a, b: a == b),
                (i, i),
                2 * i.bytes(),
            )
    mask = Input((SIZES["1M"],), "bool", 0, 2, grad=False)
    yield Row(
        "elementwise",
        "where 1M",
        call_of(lambda lib, c, a, b: lib.where(c, a, b)),
        (mask, x, x),
        3 * x.bytes() + mask.bytes(),
    )
    yield Row(
        "elementwise",
        "masked_fill 1M",
        call_of(lambda lib, c, a: a.masked_fill(c, 0.0)),
        (mask, x),
        2 * x.bytes() + mask.bytes(),
    )


def copies() -> Iterator[Row]:
    kinds = [
        ("float32", "bfloat16"),
        ("bfloat16", "float32"),
        ("float32", "float16"),
        ("float16", "float32"),
        ("float32", "float64"),
        ("float64", "float32"),
        ("float32", "int64"),
        ("int64", "float32"),
        ("float32", "int32"),
        ("uint8", "float32"),
        ("bool", "float32"),
        ("float32", "bool"),
    ]
    for a, b in kinds:
        x = Input((SIZES["1M"],), a, 0, 100, grad=False)
        f = call_of(lambda lib, x, b=b: x.to(getattr(lib, b)))
        yield Row("copy", f"{a} to {b} 1M", f, (x,))
    turns: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((1024, 1024), (1, 0)),
        ((4096, 4096), (1, 0)),
        ((8, 64, 56, 56), (0, 2, 3, 1)),
        ((8, 56, 56, 64), (0, 3, 1, 2)),
        ((8, 197, 12, 64), (0, 2, 1, 3)),
        ((8, 12, 197, 64), (0, 1, 3, 2)),
        ((64, 3, 224, 224), (0, 2, 3, 1)),
    ]
    for shape, order in turns:
        x = Input(shape, order=order)
        title = f"contiguous {shape_text(shape)} by {''.join(map(str, order))}"
        yield Row("copy", title, call_of(lambda lib, x: x.contiguous()), (x,), 2 * x.bytes())
    for label in ("64k", "1M", "16M"):
        x = Input((SIZES[label],))
        yield Row("copy", f"clone {label}", call_of(lambda lib, x: x.clone()), (x,), 2 * x.bytes())
    x = Input((8, 64, 56, 56))
    yield Row(
        "copy", "cat dim=1 3x", call_of(lambda lib, x: lib.cat([x, x, x], 1)), (x,), 6 * x.bytes()
    )
    yield Row(
        "copy", "stack 4x", call_of(lambda lib, x: lib.stack([x, x, x, x])), (x,), 8 * x.bytes()
    )
    yield Row(
        "copy", "cat dim=-1 2x", call_of(lambda lib, x: lib.cat([x, x], -1)), (x,), 4 * x.bytes()
    )
    for mode in ("constant", "reflect", "replicate"):
        f = call_of(lambda lib, x, mode=mode: lib.nn.functional.pad(x, (1, 1, 1, 1), mode=mode))
        yield Row("copy", f"pad {mode}", f, (x,), 2 * x.bytes(), backward=True)
    x = Input((SIZES["1M"],))
    yield Row(
        "copy",
        "flip 1024x1024",
        call_of(lambda lib, x: lib.flip(x, (1,))),
        (Input((1024, 1024)),),
        2 * x.bytes(),
    )
    yield Row(
        "copy",
        "roll 1024x1024",
        call_of(lambda lib, x: lib.roll(x, 5, 1)),
        (Input((1024, 1024)),),
        2 * x.bytes(),
    )
    yield Row("copy", "zeros 1M", call_of(lambda lib: lib.zeros(1 << 20)), (), x.bytes())
    yield Row(
        "copy",
        "slice assign",
        call_of(lambda lib, a, b: a[:, 1:].copy_(b)),
        (Input((1024, 1025)), Input((1024, 1024))),
        2 * x.bytes(),
    )


def reductions() -> Iterator[Row]:
    functions: dict[str, Callable[..., Any]] = {
        "sum": lambda lib, x, d: lib.sum(x, d),
        "mean": lambda lib, x, d: lib.mean(x, d),
        "amax": lambda lib, x, d: lib.amax(x, d if d is not None else (0, 1)),
        "max": lambda lib, x, d: lib.max(x, d)[0] if d is not None else lib.max(x),
        "argmax": lambda lib, x, d: lib.argmax(x, d),
        "var": lambda lib, x, d: lib.var(x, d) if d is not None else lib.var(x),
        "norm": lambda lib, x, d: (
            lib.linalg.vector_norm(x, 2, d) if hasattr(lib, "linalg") else lib.norm(x, 2, d)
        ),
        "logsumexp": lambda lib, x, d: lib.logsumexp(x, d if d is not None else (0, 1)),
        "prod": lambda lib, x, d: lib.prod(x, d) if d is not None else lib.prod(x),
    }
    for name, f in functions.items():
        for shape in ((1024, 1024), (4096, 4096)):
            for dim in (None, 0, 1):
                if shape[0] == 4096 and name not in ("sum", "argmax"):
                    continue
                x = Input(shape, low=0.5, high=1.5) if name == "prod" else Input(shape)
                call = call_of(lambda lib, x, f=f, dim=dim: f(lib, x, dim))
                yield Row("reduce", f"{name} {shape_text(shape)} dim={dim}", call, (x,), x.bytes())
    f = functions["sum"]
    image = Input((8, 64, 56, 56))
    yield Row(
        "reduce",
        "sum image over 0,2,3",
        call_of(lambda lib, x: lib.sum(x, (0, 2, 3))),
        (image,),
        image.bytes(),
    )
    yield Row(
        "reduce",
        "mean image over 2,3",
        call_of(lambda lib, x: lib.mean(x, (2, 3))),
        (image,),
        image.bytes(),
        backward=True,
    )
    yield Row(
        "reduce", "sum image over 1", call_of(lambda lib, x: lib.sum(x, 1)), (image,), image.bytes()
    )
    yield Row("reduce", "sum 1k", call_of(lambda lib, x: x.sum()), (Input((1024,)),))
    yield Row("reduce", "sum 64k", call_of(lambda lib, x: x.sum()), (Input((1 << 16,)),))
    turned = Input((1024, 1024), order=(1, 0))
    yield Row(
        "reduce",
        "sum transposed dim=1",
        call_of(lambda lib, x: lib.sum(x, 1)),
        (turned,),
        turned.bytes(),
    )
    yield Row(
        "reduce",
        "sum int64 dim=1",
        call_of(lambda lib, x: lib.sum(x, 1)),
        (Input((1024, 1024), "int64", 0, 100, grad=False),),
        8 << 20,
    )
    yield Row(
        "reduce",
        "sum bool",
        call_of(lambda lib, x: lib.sum(x)),
        (Input((1 << 20,), "bool", 0, 2, grad=False),),
    )
    yield Row(
        "reduce",
        "any bool",
        call_of(lambda lib, x: lib.any(x)),
        (Input((1 << 20,), "bool", 0, 1, grad=False),),
    )
    half = Input((1024, 1024), "bfloat16")
    yield Row(
        "reduce", "sum bfloat16 dim=1", call_of(lambda lib, x: lib.sum(x, 1)), (half,), half.bytes()
    )
    for dim in (0, 1):
        x = Input((1024, 1024))
        yield Row(
            "reduce",
            f"cumsum dim={dim}",
            call_of(lambda lib, x, dim=dim: lib.cumsum(x, dim)),
            (x,),
            2 * x.bytes(),
            backward=True,
        )
    yield Row(
        "reduce",
        "cumsum 1M",
        call_of(lambda lib, x: lib.cumsum(x, 0)),
        (Input((1 << 20,)),),
        8 << 20,
    )
    yield Row(
        "reduce",
        "cumprod dim=1",
        call_of(lambda lib, x: lib.cumprod(x, 1)),
        (Input((1024, 1024), low=0.9, high=1.1),),
        8 << 20,
    )
    yield Row(
        "reduce",
        "sort 1000x1000",
        call_of(lambda lib, x: lib.sort(x, 1)[0]),
        (Input((1000, 1000)),),
    )
    yield Row("reduce", "sort 1M", call_of(lambda lib, x: lib.sort(x)[0]), (Input((1 << 20,)),))
    yield Row(
        "reduce",
        "sort 1M int64",
        call_of(lambda lib, x: lib.sort(x)[0]),
        (index_input((1 << 20,), 1 << 30),),
    )
    yield Row(
        "reduce",
        "argsort dim=0",
        call_of(lambda lib, x: lib.argsort(x, 0)),
        (Input((1000, 1000)),),
        check=False,  # equal values may come in any order
    )
    yield Row(
        "reduce",
        "topk 5 of 1000",
        call_of(lambda lib, x: lib.topk(x, 5)[0]),
        (Input((1000, 1000)),),
    )
    yield Row(
        "reduce",
        "topk 1000 of 1M",
        call_of(lambda lib, x: lib.topk(x, 1000)[0]),
        (Input((1 << 20,)),),
    )
    yield Row(
        "reduce",
        "median dim=1",
        call_of(lambda lib, x: lib.median(x, 1)[0]),
        (Input((1000, 1000)),),
    )
