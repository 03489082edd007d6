"""Convolutions, transposed convolutions, and sliding blocks as columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from op_cases import Error, OpCase, Sample, make


def terms(sample: Sample) -> int:
    """The longest sum in the result or in a gradient: C * R * S, or N * H * W."""
    x, w = sample.specs()[:2]
    return int(max(np.prod(w.shape[1:]), np.prod(x.shape) / max(1, x.shape[-len(w.shape) + 1])))


def columns_terms(sample: Sample) -> int:
    return 25


def stat(n: int, *, low: float = -1, high: float = 1) -> Any:
    return make((n,), low=low, high=high, grad=False)


def conv1d() -> Iterator[Sample]:
    yield Sample(make((2, 4, 13)), make((6, 4, 3)), make(6), stride=2, padding=1)
    yield Sample(make((2, 6, 17)), make((4, 3, 4)), make(4), 1, 2, 2, 2)
    yield Sample(make((1, 3, 40)), make((5, 3, 7)))
    yield Sample(make((4, 11)), make((3, 4, 3)), make(3), padding="same")  # unbatched
    yield Sample(make((2, 3, 10)), make((3, 1, 4)), groups=3, padding="same", dilation=3)
    yield Sample(make((2, 3, 10)), make((2, 3, 10)), padding="valid")
    yield Sample(make((3, 2, 9), layout="transposed"), make((4, 2, 1), layout="strided"), stride=3)
    yield Sample(make((1, 2, 5)), make((2, 2, 2)), stride=(2,), padding=(4,), dilation=(3,))


def conv2d() -> Iterator[Sample]:
    x = make((2, 3, 9, 8))
    yield Sample(x, make((5, 3, 3, 3)), make(5), padding=1)
    yield Sample(make((2, 4, 10, 9)), make((6, 2, 3, 2)), make(6), (2, 3), (1, 2), (2, 1), 2)
    yield Sample(make((2, 6, 8, 9)), make((6, 1, 3, 3)), make(6), 1, 1, 1, 6)  # depthwise
    yield Sample(make((2, 3, 11, 10)), make((6, 1, 5, 3)), None, 2, (2, 1), 1, 3)  # multiplier 2
    yield Sample(make((2, 3, 12, 9)), make((9, 1, 3, 3)), None, 1, 2, 2, 3)
    yield Sample(make((2, 8, 5, 7)), make((9, 8, 1, 1)), make(9))  # pointwise
    yield Sample(make((2, 8, 7, 7)), make((4, 8, 1, 1)), None, 2)
    yield Sample(make((1, 1, 32, 32)), make((6, 1, 5, 5)), make(6))
    yield Sample(make((1, 3, 23, 21)), make((4, 3, 7, 7)), make(4), 2, 3)
    yield Sample(make((1, 17, 15, 14)), make((33, 17, 3, 3)), make(33), 1, 1)  # odd blocks
    yield Sample(make((3, 8, 9)), make((4, 3, 3, 3)), make(4))  # unbatched
    yield Sample(x, make((4, 3, 4, 3)), padding="same")  # uneven padding
    yield Sample(x, make((4, 3, 2, 4)), make(4), padding="same", dilation=2)
    yield Sample(x, make((4, 3, 3, 3)), padding="valid", stride=3)
    yield Sample(x, make((4, 3, 9, 8)))  # kernel as large as the input
    yield Sample(make((2, 4, 6, 5), layout="transposed"), make((3, 4, 3, 3), layout="strided"))
    yield Sample(make((0, 3, 9, 8)), make((4, 3, 3, 3)), make(4))  # empty batch
    yield Sample(make((1, 2, 6, 6)), make((2, 2, 2, 2)), stride=(5, 4), padding=(0, 3))
    yield Sample(make((5, 2, 3, 3)), make((1, 2, 3, 3)), make(1))


def conv3d() -> Iterator[Sample]:
    yield Sample(make((1, 3, 5, 6, 7)), make((4, 3, 2, 3, 3)), make(4), padding=1)
    yield Sample(make((2, 4, 6, 5, 7)), make((4, 2, 3, 1, 2)), make(4), (2, 1, 3), (1, 0, 2), 2, 2)
    yield Sample(make((2, 3, 4, 5, 6)), make((3, 1, 3, 3, 3)), None, 1, 1, 1, 3)
    yield Sample(make((2, 4, 5, 5)), make((3, 2, 2, 2, 2)), padding="same")  # unbatched
    yield Sample(make((1, 5, 3, 4, 4)), make((6, 5, 1, 1, 1)), make(6), stride=(1, 2, 2))


def conv_transpose1d() -> Iterator[Sample]:
    yield Sample(make((2, 4, 7)), make((4, 3, 3)), make(3), stride=2, padding=1, output_padding=1)
    yield Sample(make((2, 4, 6)), make((4, 2, 4)), None, 3, 2, 0, 2, 2)
    yield Sample(make((3, 8)), make((3, 5, 3)), make(5))  # unbatched
    yield Sample(make((1, 2, 5)), make((2, 2, 3)), None, 1, 0, 1, 1, 2)  # padding by dilation


def conv_transpose2d() -> Iterator[Sample]:
    x = make((2, 4, 5, 6))
    yield Sample(x, make((4, 3, 3, 3)), make(3), stride=2, padding=1, output_padding=1)
    yield Sample(make((2, 6, 4, 5)), make((6, 2, 3, 2)), make(6), (3, 2), (1, 0), (2, 1), 3, (1, 2))
    yield Sample(make((2, 3, 5, 5)), make((3, 1, 4, 4)), None, 2, 1, 0, 3)  # depthwise
    yield Sample(x, make((4, 5, 2, 2)), make(5), 2)
    yield Sample(x, make((4, 5, 1, 1)), make(5))
    yield Sample(x, make((4, 2, 2, 2)), make(2), 3)  # gaps that no tap reaches
    yield Sample(make((4, 5, 6)), make((4, 3, 3, 3)), make(3), padding=2)  # unbatched
    yield Sample(make((2, 4, 5, 6), layout="transposed"), make((4, 3, 3, 3), layout="strided"))
    yield Sample(make((0, 4, 5, 6)), make((4, 3, 3, 3)), make(3))


def conv_transpose3d() -> Iterator[Sample]:
    yield Sample(make((1, 3, 3, 4, 3)), make((3, 2, 2, 3, 3)), make(2), 2, 1, 1)
    yield Sample(make((2, 4, 3, 2, 3)), make((4, 3, 2, 2, 2)), None, (1, 2, 3), 0, 0, 2)
    yield Sample(make((2, 3, 3, 3)), make((2, 2, 3, 3, 3)), dilation=(1, 2, 1))


def conv_errors(op: str, spatial: int, transposed: bool = False) -> Any:
    def errors() -> Iterator[Error]:
        size, three = (7, 6, 5)[:spatial], (3,) * spatial
        x, w = make((2, 4, *size)), make((4, 4, *three))
        yield (
            Error("ShapeError", "expected input with 3 channels", x, make((3, 3, *three)))
            if transposed
            else Error("ShapeError", "expected input with 3 channels", x, make((5, 3, *three)))
        )
        yield Error("ShapeError", "expected input", make((4, *size, 1, 1)), w)
        yield Error("ShapeError", "expected input", make(size), w)
        yield Error("ShapeError", "weight with .* dimensions", x, make((4, 4)))
        yield Error("ShapeError", r"bias of shape \[4\]", x, w, make(3))
        yield Error("ShapeError", r"bias of shape \[4\]", x, w, make((1, 4)))
        yield Error("ShapeError", "non-positive stride", x, w, stride=0)
        yield Error("ShapeError", "negative padding", x, w, padding=-1)
        yield Error("ShapeError", "non-positive dilation", x, w, dilation=0)
        yield Error("ShapeError", "groups must be positive", x, w, groups=0)
        yield Error("ShapeError", r"multiple of groups \(3\)", x, w, groups=3)
        yield Error("ShapeError", "stride to be one number", x, w, stride=(1,) * (spatial + 1))
        yield Error("ShapeError", "too large", x, w, padding=2**40)
        yield Error("RuntimeError", "one dtype", x, make((4, 4, *three), "float64"))
        yield Error("TypeError", "floating", make((2, 4, *size), "int64"), w)
        yield Error("TypeError", op, 3.0, w)
        if transposed:
            yield Error("ShapeError", "output_padding must be smaller", x, w, output_padding=1)
            yield Error("ShapeError", "would have size", x, w, padding=7)
            return
        yield Error("ShapeError", "kernel spans", x, make((4, 4, *((9,) * spatial))))
        yield Error("ShapeError", "kernel spans", x, w, dilation=4)
        yield Error("ShapeError", "kernel is empty", x, make((4, 4, *((0,) * spatial))))
        yield Error("ShapeError", "same", x, w, padding="same", stride=2)
        yield Error("ShapeError", "padding must be", x, w, padding="full")
        yield Error("ShapeError", "positive multiple", x, make((0, 4, *three)))

    return errors


def unfold() -> Iterator[Sample]:
    yield Sample(make((2, 3, 6, 5)), (2, 3))
    yield Sample(make((2, 2, 7, 8)), 3, 2, 1, 2)
    yield Sample(make((3, 5, 6)), (3, 2), (1, 2), (2, 1), (2, 3))  # unbatched
    yield Sample(make((1, 2, 4, 4), layout="transposed"), 4, padding=3)


def fold() -> Iterator[Sample]:
    yield Sample(make((2, 18, 20)), (6, 6), (2, 3))
    yield Sample(make((2, 18, 9)), (7, 8), 3, 2, 1, 2)
    yield Sample(make((12, 16)), (5, 5), 2)  # unbatched


def unfold_errors() -> Iterator[Error]:
    yield Error("ShapeError", "no block", make((1, 2, 3, 3)), 5)
    yield Error("ShapeError", "expected input", make((2, 3)), 2)
    yield Error("ShapeError", "non-positive kernel_size", make((1, 2, 3, 3)), 0)


def fold_errors() -> Iterator[Error]:
    yield Error("ShapeError", "expected 20 blocks", make((2, 18, 21)), (6, 6), (2, 3))
    yield Error("ShapeError", "multiple of the kernel", make((2, 19, 20)), (6, 6), (2, 3))
    yield Error("ShapeError", "expected columns", make((2,)), (6, 6), (2, 3))


def fused_conv() -> Iterator[Sample]:
    x, w, b = make((2, 4, 6, 5)), make((6, 4, 3, 3)), make(6)
    norm = (stat(6), stat(6, low=0.5, high=2), make(6), make(6))
    shape = (2, 6, 6, 5)
    for name in ("relu", "relu6", "hardtanh", "silu", "hardswish", "gelu"):
        yield Sample(x, w, None, 1, 1, 1, 1, *norm, residual=make(shape), activation=name)
    for name in ("none", "sigmoid", "tanh", "gelu_tanh"):
        yield Sample(x, w, b, padding=1, residual=make(shape), activation=name)
    # Without gradients: torch's takes 1/6 in float32.
    plain = make((2, 4, 6, 5), grad=False), make((6, 4, 3, 3), grad=False)
    yield Sample(*plain, activation="hardsigmoid")
    yield Sample(x, w, b, 1, "same", 1, 1, *norm[:2], eps=1e-2, activation="relu")
    yield Sample(x, w, None, 2, 1, 1, 1, *norm[:3])
    bounds = {"activation": "hardtanh", "min_val": -0.25, "max_val": 0.5}
    yield Sample(x, make((4, 1, 3, 3)), make(4), 1, 0, 1, 4, **bounds)
    yield Sample(make((2, 8, 5, 7)), make((9, 8, 1, 1)), make(9), activation="silu")
    yield Sample(make((2, 4, 13)), make((6, 2, 3)), b, 2, 1, 1, 2, *norm, activation="relu")
    yield Sample(make((4, 11)), make((6, 4, 3)), b, residual=make((6, 9)))  # unbatched
    yield Sample(make((1, 3, 5, 6, 7)), make((4, 3, 2, 3, 3)), make(4), activation="relu")
    strided = make((2, 4, 6, 5), layout="transposed"), make((3, 4, 3, 3), layout="strided")
    yield Sample(*strided, residual=make((2, 3, 4, 3), layout="transposed"), activation="relu")
    yield Sample(make((0, 4, 6, 5)), w, b, activation="relu")


def fused_conv_errors() -> Iterator[Error]:
    x, w = make((2, 4, 7, 6)), make((6, 4, 3, 3))
    mean, var = stat(6), stat(6, low=0.5, high=2)
    yield Error("ShapeError", "expected input with 4 channels", make((2, 3, 7, 6)), w)
    yield Error("ShapeError", "3 to 5 dimensions", x, make((6, 4)))
    yield Error("ShapeError", "kernel spans", x, w, dilation=4)
    yield Error("ShapeError", "padding must be", x, w, padding="full")
    yield Error("ShapeError", "running_mean", x, w, running_mean=stat(4), running_var=var)
    yield Error("ValueError", "go together", x, w, running_mean=mean)
    yield Error("ValueError", "norm_bias need", x, w, norm_bias=mean)
    yield Error("ShapeError", "residual", x, w, residual=make((2, 6, 5, 1)))
    yield Error("TypeError", "residual", x, w, residual=make((2, 6, 5, 4), "float64"))
    double = make(6, "float64", grad=False)
    yield Error("TypeError", "running_mean", x, w, running_mean=double, running_var=double)
    yield Error("ValueError", "swish", x, w, activation="swish")
    yield Error("ValueError", "max_val", x, w, activation="hardtanh", min_val=1.0)


def composed_conv(torch: Any) -> Any:
    f = torch.nn.functional

    def run(
        x: Any, w: Any, b: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
        groups: int = 1, mean: Any = None, var: Any = None, nw: Any = None, nb: Any = None,
        eps: float = 1e-5, residual: Any = None, activation: str = "none", min_val: float = -1.0,
        max_val: float = 1.0,
    ) -> Any:  # fmt: skip
        conv = getattr(f, f"conv{w.dim() - 2}d")
        y = conv(x, w, b, stride, padding, dilation, groups)
        y = y if mean is None else f.batch_norm(y, mean, var, nw, nb, eps=eps)
        y = y if residual is None else y + residual
        if activation == "hardtanh":
            return f.hardtanh(y, min_val, max_val)
        if activation == "gelu_tanh":
            return f.gelu(y, approximate="tanh")
        return y if activation == "none" else getattr(f, activation)(y)

    return run


def conv_case(op: str, samples: Any, spatial: int, transposed: bool = False) -> OpCase:
    return OpCase(
        op, samples, conv_errors(op, spatial, transposed), k=terms,
        covers=(f"nn.functional.{op}",), heavy=4,
    )  # fmt: skip


CASES = [
    conv_case("conv1d", conv1d, 1),
    conv_case("conv2d", conv2d, 2),
    conv_case("conv3d", conv3d, 3),
    conv_case("conv_transpose1d", conv_transpose1d, 1, True),
    conv_case("conv_transpose2d", conv_transpose2d, 2, True),
    conv_case("conv_transpose3d", conv_transpose3d, 3, True),
    OpCase(
        "nn.functional.fused_conv",
        fused_conv,
        fused_conv_errors,
        k=terms,
        heavy=18,
        torch_fn=composed_conv,
    ),
    OpCase("nn.functional.unfold", unfold, unfold_errors),
    OpCase("nn.functional.fold", fold, fold_errors, k=columns_terms),
]
