"""Normalisations."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from op_cases import Error, OpCase, Sample, make


def per_channel(sample: Sample) -> int:
    shape = sample.specs()[0].shape
    return max(1, math.prod(shape) // max(1, shape[1]))


def per_row(sample: Sample) -> int:
    shape = sample.specs()[0].shape
    return max(1, math.prod(shape[1:]))


def stat(n: int, *, low: float = -1, high: float = 1) -> Any:
    return make((n,), low=low, high=high, grad=False)


def batch_norm() -> Iterator[Sample]:
    yield Sample(make((4, 3, 5)), None, None, make((3,)), make((3,)), True)
    yield Sample(make((4, 3, 5)), stat(3), stat(3, low=0.5, high=2), make((3,)), make((3,)), False)
    yield Sample(make((6, 3)), None, None, training=True)
    yield Sample(make((2, 3, 4, 5), layout="transposed"), None, None, make((3,)), training=True)
    yield Sample(make((2, 3, 4)), None, None, None, make((3,)), True, 0.3, 1e-2)
    yield Sample(make((2, 2, 2, 3, 2)), stat(2), stat(2, low=0.5, high=2), eps=1e-3)
    yield Sample(make((3, 2, 40)), None, None, make((2,)), make((2,)), True)
    yield Sample(make((40, 9)), None, None, make((9,)), make((9,)), True)


def batch_norm_errors() -> Iterator[Error]:
    x = make((4, 3, 5))
    yield Error("ValueError", "more than 1 value", make((1, 3)), None, None, training=True)
    yield Error("ShapeError", "weight", x, None, None, make((4,)), None, True)
    yield Error("ShapeError", "running_mean", x, stat(2), stat(3), training=False)
    yield Error("ValueError", "running_mean", x, None, None)
    yield Error("ShapeError", "2 dimensions", make((3,)), None, None, training=True)
    yield Error("TypeError", "floating", make((4, 3), "int64"), None, None, training=True)


def fused_batch_norm() -> Iterator[Sample]:
    yield Sample(make((4, 3, 5)), None, None, make((3,)), make((3,)), True)
    mean, var, w, b = stat(3), stat(3, low=0.5, high=2), make((3,)), make((3,))
    yield Sample(make((4, 3, 5)), mean, var, w, b, False, max_val=1.5)
    yield Sample(make((4, 3, 5)), mean, var, w, b, False, residual=make((4, 3, 5)))
    yield Sample(make((6, 3)), None, None, training=True, residual=make((6, 3)), max_val=0.7)
    yield Sample(make((2, 3, 4, 5), layout="transposed"), None, None, make((3,)), training=True)
    maps = make((2, 3, 7, 5), layout="transposed")
    yield Sample(maps, None, None, w, b, True, residual=maps, min_val=-0.5, max_val=0.5)
    yield Sample(make((2, 2, 2, 3, 2)), stat(2), stat(2, low=0.5, high=2), eps=1e-3)
    yield Sample(make((3, 2, 70)), None, None, make((2,)), None, True, residual=make((3, 2, 70)))
    yield Sample(make((40, 9)), None, None, None, make((9,)), True, max_val=6.0)


def fused_batch_norm_errors() -> Iterator[Error]:
    x = make((4, 3, 5))
    yield Error("ValueError", "more than 1 value", make((1, 3)), None, None, training=True)
    yield Error("ShapeError", "weight", x, None, None, make((4,)), None, True)
    yield Error("ValueError", "running_mean", x, None, None)
    yield Error("ValueError", "max_val", x, None, None, training=True, max_val=0.0)
    yield Error("ShapeError", "residual", x, None, None, training=True, residual=make((4, 3, 1)))
    half = make((4, 3, 5), "float64")
    yield Error("TypeError", "residual", x, None, None, training=True, residual=half)


def composed_batch_norm(torch: Any) -> Any:
    f = torch.nn.functional

    def run(
        x: Any, mean: Any, var: Any, w: Any = None, b: Any = None, training: bool = False,
        momentum: float = 0.1, eps: float = 1e-5, residual: Any = None, min_val: float = 0.0,
        max_val: float | None = None,
    ) -> Any:  # fmt: skip
        y = f.batch_norm(x, mean, var, w, b, training, momentum, eps)
        y = y if residual is None else y + residual
        return f.hardtanh(y, min_val, math.inf if max_val is None else max_val)

    return run


def instance_norm() -> Iterator[Sample]:
    yield Sample(make((2, 3, 5)), weight=make((3,)), bias=make((3,)))
    yield Sample(make((2, 3, 4, 5), layout="transposed"))
    yield Sample(make((2, 3, 5)), stat(3), stat(3, low=0.5, high=2), make((3,)), make((3,)), False)


def instance_norm_errors() -> Iterator[Error]:
    yield Error("ValueError", "spatial", make((2, 3, 1)))
    yield Error("ShapeError", "bias", make((2, 3, 4)), bias=make((2,)))


def layer_norm() -> Iterator[Sample]:
    yield Sample(make((4, 6)), (6,), make((6,)), make((6,)))
    yield Sample(make((2, 3, 4)), (3, 4), make((3, 4)), make((3, 4)))
    yield Sample(make((2, 3, 5)), (5,))
    yield Sample(make((2, 3, 5), layout="transposed"), [5], make((5,)), eps=1e-2)
    yield Sample(make((4, 6)), (6,), None, make((6,)))
    yield Sample(make((7,)), (7,), make((7,)), make((7,)))
    yield Sample(make((3, 70)), (70,), make((70,)), make((70,)))
    yield Sample(make((0, 6)), (6,), make((6,)), make((6,)))


def layer_norm_errors() -> Iterator[Error]:
    yield Error("ShapeError", "normalized_shape", make((4, 6)), (5,))
    yield Error("ShapeError", "normalized_shape", make((6,)), (2, 6))
    yield Error("ShapeError", "weight", make((4, 6)), (6,), make((5,)))
    yield Error("TypeError", "floating", make((4, 6), "int64"), (6,))


def rms_norm() -> Iterator[Sample]:
    yield Sample(make((4, 6)), (6,), make((6,)))
    yield Sample(make((2, 3, 4)), (3, 4), make((3, 4)), 1e-3)
    yield Sample(make((2, 3, 5), layout="transposed"), [5])
    yield Sample(make((3, 70)), (70,), make((70,)))


def rms_norm_errors() -> Iterator[Error]:
    yield Error("ShapeError", "normalized_shape", make((4, 6)), (5,))
    yield Error("ShapeError", "weight", make((4, 6)), (6,), make((5,)))


def group_norm() -> Iterator[Sample]:
    yield Sample(make((2, 4, 3)), 2, make((4,)), make((4,)))
    yield Sample(make((2, 6, 3, 2), layout="transposed"), 3, make((6,)))
    yield Sample(make((3, 4, 5)), 1)
    yield Sample(make((3, 4, 5)), 4, make((4,)), None, 1e-2)
    yield Sample(make((3, 6)), 2, make((6,)), make((6,)))
    yield Sample(make((2, 2, 40)), 1, make((2,)), make((2,)))


def group_norm_errors() -> Iterator[Error]:
    yield Error("ShapeError", "divisible", make((2, 4, 3)), 3)
    yield Error("ShapeError", "weight", make((2, 4, 3)), 2, make((2,)))
    yield Error("ShapeError", "2 dimensions", make((4,)), 2)
    yield Error("ValueError", "positive", make((2, 4, 3)), 0)


def local_response_norm() -> Iterator[Sample]:
    yield Sample(make((2, 6, 3)), 3)
    yield Sample(make((2, 5, 3, 2)), 2, 0.5, 0.75, 2.0)
    yield Sample(make((2, 3, 2, 2, 2)), 5, alpha=0.1, beta=1.5)
    yield Sample(make((1, 4, 3), layout="transposed"), 1, alpha=1.0)


def local_response_norm_errors() -> Iterator[Error]:
    yield Error("ShapeError", "3 dimensions", make((2, 6)), 3)


def normalize() -> Iterator[Sample]:
    yield Sample(make((4, 3)))
    yield Sample(make((2, 3, 4)), p=1.0, dim=-1)
    yield Sample(make((2, 3, 4), layout="transposed"), 3.0, 0, 1e-3)
    yield Sample(make((5,)), dim=0)


def normalize_errors() -> Iterator[Error]:
    yield Error("IndexError", "dim|range", make((4, 3)), dim=2)


def with_statistics(instance: bool) -> Any:
    """The norm in training with copies of the running statistics, which come out as results."""

    def of(lib: Any) -> Any:
        f = lib.nn.functional

        def run(x: Any, mean: Any, var: Any, momentum: float) -> Any:
            mean, var = mean.clone(), var.clone()
            if instance:
                y = f.instance_norm(x, mean, var, use_input_stats=True, momentum=momentum)
            else:
                y = f.batch_norm(x, mean, var, training=True, momentum=momentum)
            return y, mean, var

        return run

    return of


def running() -> Iterator[Sample]:
    yield Sample(make((4, 3, 5)), stat(3), stat(3, low=0.5, high=2), 0.1)
    yield Sample(make((2, 3, 4, 2)), stat(3), stat(3, low=0.5, high=2), 1.0)
    yield Sample(make((2, 3, 4)), stat(3), stat(3, low=0.5, high=2), 0.0)


EMPTY = {
    "empty": "an empty batch gives an empty result and leaves statistics alone; torch does not"
}

CASES = [
    OpCase("nn.functional.batch_norm", batch_norm, batch_norm_errors, k=per_channel, heavy=4),
    OpCase(
        "nn.functional.fused_batch_norm", fused_batch_norm, fused_batch_norm_errors,
        k=per_channel, heavy=6, torch_fn=composed_batch_norm,
    ),
    OpCase(
        "nn.functional.batch_norm", running, variant="running", k=per_channel,
        fn=with_statistics(False),
    ),
    OpCase(
        "nn.functional.instance_norm", instance_norm, instance_norm_errors, k=per_row, skip=EMPTY,
    ),
    OpCase(
        "nn.functional.instance_norm", running, variant="running", k=per_row,
        fn=with_statistics(True), skip=EMPTY,
    ),
    OpCase(
        "nn.functional.layer_norm", layer_norm, layer_norm_errors, k=per_row, heavy=4,
        covers=("layer_norm",),
    ),
    OpCase("nn.functional.rms_norm", rms_norm, rms_norm_errors, k=per_row, covers=("rms_norm",)),
    OpCase(
        "nn.functional.group_norm", group_norm, group_norm_errors, k=per_row, heavy=3,
        covers=("group_norm",),
    ),
    OpCase(
        "nn.functional.local_response_norm", local_response_norm, local_response_norm_errors,
        k=lambda s: 5,
    ),
    OpCase("nn.functional.normalize", normalize, normalize_errors, k=per_row),
]  # fmt: skip
