"""Rows of the loss family."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from op_cases import Error, OpCase, Sample, Spec, make, values

REDUCTIONS = ("mean", "sum", "none")
Samples = Callable[[], Iterator[Sample]]


def labels(shape: tuple[int, ...], classes: int) -> Spec:
    return make(shape, "int64", 0, classes)


def weights(classes: int) -> Spec:
    return make((classes,), low=0.2, high=2.0, grad=False)


def class_samples(**more: Any) -> Samples:
    """Class indices as targets, in every rank, with weights and ignored targets."""

    def samples() -> Iterator[Sample]:
        for reduction in REDUCTIONS:
            yield Sample(make((5, 7)), labels((5,), 7), reduction=reduction, **more)
            yield Sample(
                make((4, 3, 2, 5)), labels((4, 2, 5), 3), weights(3), reduction=reduction, **more
            )
            target = values([1, -100, 0, 2], "int64")
            yield Sample(make((4, 3)), target, weights(3), reduction=reduction, **more)
            target = values([[1, 0], [2, 2]], "int64")
            yield Sample(make((2, 3, 2)), target, ignore_index=2, reduction=reduction, **more)
            yield Sample(make((6,)), labels((), 6), reduction=reduction, **more)
        yield Sample(make((40, 10), layout="transposed"), labels((40,), 10), **more)
        yield Sample(make((3, 4, 0)), labels((3, 0), 4), reduction="none", **more)
        yield Sample(make((0, 4)), labels((0,), 4), reduction="sum", **more)
        yield Sample(make((0, 4)), labels((0,), 4), **more)  # mean of nothing: NaN

    return samples


def class_errors() -> Iterator[Error]:
    yield Error("IndexError", "target 4.*4 classes", make((2, 4)), values([1, 4], "int64"))
    yield Error("IndexError", "target -1", make((2, 4)), values([-1, 0], "int64"))
    yield Error("ShapeError", r"target.*\[2\].*\[3\]", make((2, 4)), labels((3,), 4))
    yield Error("ShapeError", "weight", make((2, 4)), labels((2,), 4), weights(3))
    yield Error("TypeError", "class indices", make((2, 4)), make((2,)))
    yield Error("TypeError", "floating", make((2, 4), "int64"), labels((2,), 4))
    yield Error("ValueError", "reduction", make((2, 4)), labels((2,), 4), reduction="total")


def probability_samples() -> Iterator[Sample]:
    for reduction in REDUCTIONS:
        for smoothing in (0.0, 0.3):
            more = {"reduction": reduction, "label_smoothing": smoothing}
            yield Sample(make((5, 7)), make((5, 7), low=0, high=1), **more)
            yield Sample(make((2, 3, 4)), make((2, 3, 4), low=0, high=1), weights(3), **more)
            yield Sample(make((6,)), make((6,), low=0, high=1), **more)


def probability_errors() -> Iterator[Error]:
    yield Error("ValueError", "label_smoothing", make((2, 4)), labels((2,), 4), label_smoothing=1.5)
    yield Error("TypeError", "probabilities", make((2, 4)), labels((2, 4), 4))


def pair_samples(low: float = -2, high: float = 2, **options: tuple[float, ...]) -> Samples:
    """Two tensors of one shape; every option in turn."""

    def samples() -> Iterator[Sample]:
        variants: list[dict[str, Any]] = [{k: v} for k, vs in options.items() for v in vs]
        for more in variants or [{}]:
            for reduction in REDUCTIONS:
                a, b = make((5, 7), low=low, high=high), make((5, 7), low=low, high=high)
                yield Sample(a, b, reduction=reduction, **more)
        yield Sample(make((3, 4, 5), low=low, high=high), make((3, 4, 5), low=low, high=high))
        yield Sample(make((), low=low, high=high), make((), low=low, high=high))
        yield Sample(
            make((4, 6), low=low, high=high, layout="transposed"), make((4, 6), low=low, high=high)
        )
        yield Sample(make((0, 3), low=low, high=high), make((0, 3), low=low, high=high))
        yield Sample(
            make((0, 3), low=low, high=high), make((0, 3), low=low, high=high), reduction="none"
        )

    return samples


def pair_errors() -> Iterator[Error]:
    yield Error("ShapeError", r"\[2, 3\].*\[2, 4\]", make((2, 3)), make((2, 4)))
    yield Error("ValueError", "reduction", make((2, 3)), make((2, 3)), reduction="total")


def beta_errors() -> Iterator[Error]:
    yield from pair_errors()
    yield Error("ValueError", "beta", make((2, 3)), make((2, 3)), beta=-1.0)


def delta_errors() -> Iterator[Error]:
    yield from pair_errors()
    yield Error("ValueError", "delta", make((2, 3)), make((2, 3)), delta=0.0)


def unit(shape: tuple[int, ...]) -> Spec:
    return make(shape, low=0.05, high=0.95)


def bce_samples() -> Iterator[Sample]:
    for reduction in REDUCTIONS:
        yield Sample(unit((5, 7)), unit((5, 7)), reduction=reduction)
        weight = make((7,), low=0.2, high=2, grad=False)
        yield Sample(unit((5, 7)), unit((5, 7)), weight, reduction=reduction)
    edge = values([0.0, 1.0, 0.0, 1.0, 0.5], grad=False)
    yield Sample(edge, values([0.0, 0.0, 1.0, 1.0, 1.0], grad=False), reduction="none")
    yield Sample(unit((0, 3)), unit((0, 3)), reduction="sum")


def bce_errors() -> Iterator[Error]:
    yield Error("ShapeError", r"\[2, 3\]", unit((2, 3)), unit((2, 4)))
    yield Error("RuntimeError", r"\[0, 1\]", values([0.5, 1.5]), unit((2,)))


def bce_logits_samples() -> Iterator[Sample]:
    for reduction in REDUCTIONS:
        x, t = make((5, 7), low=-4, high=4), unit((5, 7))
        weight = make((5, 1), low=0.2, high=2, grad=False)
        positive = make((7,), low=0.5, high=3, grad=False)
        yield Sample(x, t, reduction=reduction)
        yield Sample(x, t, weight, reduction=reduction)
        yield Sample(x, t, weight, pos_weight=positive, reduction=reduction)
    wide = values([-200.0, 200.0, -30.0, 30.0, 0.0], grad=False)
    yield Sample(wide, values([0.0, 1.0, 1.0, 0.0, 0.5], grad=False), reduction="none")


def bce_logits_errors() -> Iterator[Error]:
    yield Error("ShapeError", r"\[2, 3\]", make((2, 3)), unit((2, 4)))


def kl_samples() -> Iterator[Sample]:
    for reduction in (*REDUCTIONS, "batchmean"):
        for log_target in (False, True):
            more = {"reduction": reduction, "log_target": log_target}
            low = -3 if log_target else 0.05
            yield Sample(make((5, 7), low=-3, high=0), make((5, 7), low=low, high=1), **more)


def multi_margin_samples() -> Iterator[Sample]:
    for reduction in REDUCTIONS:
        for p in (1, 2):
            yield Sample(make((5, 7)), labels((5,), 7), p=p, reduction=reduction)
        more = {"margin": 0.5, "weight": weights(4), "reduction": reduction}
        yield Sample(make((6, 4)), labels((6,), 4), **more)
        yield Sample(make((6,)), labels((), 6), reduction=reduction)


def multi_margin_errors() -> Iterator[Error]:
    yield Error("IndexError", "target 9", make((2, 4)), values([1, 9], "int64"))
    yield Error("ShapeError", "target", make((2, 4)), labels((3,), 4))
    yield Error("ValueError", "p must be", make((2, 4)), labels((2,), 4), p=3)


def multilabel_samples() -> Iterator[Sample]:
    target = values([[3, 0, -1, 1], [-1, 0, 1, 2], [2, 1, 0, 3]], "int64")
    for reduction in REDUCTIONS:
        yield Sample(make((3, 4)), target, reduction=reduction)
        yield Sample(make((4,)), values([1, 2, -1, 0], "int64"), reduction=reduction)


def multilabel_errors() -> Iterator[Error]:
    yield Error("IndexError", "target 4", make((1, 4)), values([[1, 4, -1, 0]], "int64"))
    yield Error("ShapeError", "shape", make((2, 4)), labels((2, 3), 4))


F = "nn.functional."
CASES = [
    OpCase(F + "nll_loss", class_samples(), class_errors, k=lambda s: 64),
    OpCase(F + "cross_entropy", class_samples(), class_errors, k=lambda s: 64),
    OpCase(
        F + "cross_entropy", class_samples(label_smoothing=0.2), variant="smoothed",
        k=lambda s: 64,
    ),
    OpCase(
        F + "cross_entropy", probability_samples, probability_errors, variant="probabilities",
        k=lambda s: 64,
    ),
    OpCase(F + "mse_loss", pair_samples(), pair_errors, k=lambda s: 64),
    OpCase(F + "l1_loss", pair_samples(), pair_errors, k=lambda s: 64),
    OpCase(
        F + "smooth_l1_loss", pair_samples(beta=(1.0, 0.3, 0.0)), beta_errors, k=lambda s: 64
    ),
    OpCase(F + "huber_loss", pair_samples(delta=(1.0, 0.4)), delta_errors, k=lambda s: 64),
    OpCase(F + "binary_cross_entropy", bce_samples, bce_errors, k=lambda s: 64),
    OpCase(
        F + "binary_cross_entropy_with_logits", bce_logits_samples, bce_logits_errors,
        k=lambda s: 64,
    ),
    OpCase(F + "kl_div", kl_samples, k=lambda s: 64),
    OpCase(
        F + "multi_margin_loss", multi_margin_samples, multi_margin_errors, k=lambda s: 64,
        skip={"empty": "torch leaves the mean of no samples unset"},
    ),
    OpCase(F + "multilabel_margin_loss", multilabel_samples, multilabel_errors, k=lambda s: 64),
]  # fmt: skip
