"""Every loss in both libraries: values, gradients, reductions, options, errors."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from nn_pairs import LIBRARIES, close, deeplite, tensors, total

rng = np.random.default_rng(0)


def rand(*shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


X, Y = rand(4, 5), rand(4, 5)
P = rng.uniform(0.05, 0.95, (4, 5))
Q = rng.uniform(0.05, 0.95, (4, 5))
DIST = Q / Q.sum(1, keepdims=True)
CLASS = np.array([0, 4, 2, 2])
SIGN = np.where(rand(4) > 0, 1.0, -1.0)
MAPS, LABELS = rand(2, 5, 3, 2), rng.integers(0, 5, (2, 3, 2))
SETS = np.array([[0, 3, -1, 1, 1], [-1] * 5, [4, 3, 2, 1, 0], [1, -1, 0, 0, 0]])
W5 = rng.uniform(0.5, 2, 5)

# constructor (over nn, with arrays turned into tensors by t), inputs; differentiable in the first
CASES: list[tuple[str, list[np.ndarray]]] = [
    ("L1Loss({r})", [X, Y]),
    ("MSELoss({r})", [X, Y]),
    ("SmoothL1Loss({r})", [X, Y]),
    ("SmoothL1Loss({r}, beta=0.3)", [X, Y]),
    ("HuberLoss({r})", [X, Y]),
    ("HuberLoss({r}, delta=0.3)", [X, Y]),
    ("CrossEntropyLoss({r})", [X, CLASS]),
    ("CrossEntropyLoss({r})", [X[0], CLASS[1]]),
    ("CrossEntropyLoss(t(W5), {r})", [X, CLASS]),
    ("CrossEntropyLoss(t(W5), ignore_index=2, {r})", [X, CLASS]),
    ("CrossEntropyLoss(label_smoothing=0.2, {r})", [X, CLASS]),
    ("CrossEntropyLoss(t(W5), ignore_index=2, label_smoothing=0.2, {r})", [X, CLASS]),
    ("CrossEntropyLoss({r})", [X, DIST]),
    ("CrossEntropyLoss(t(W5), label_smoothing=0.2, {r})", [X, DIST]),
    ("CrossEntropyLoss(t(W5), ignore_index=1, {r})", [MAPS, LABELS]),
    ("NLLLoss({r})", [X, CLASS]),
    ("NLLLoss(t(W5), ignore_index=2, {r})", [X, CLASS]),
    ("NLLLoss({r})", [MAPS, LABELS]),
    ("BCELoss({r})", [P, Q]),
    ("BCELoss(t(W5), {r})", [P, Q]),
    ("BCEWithLogitsLoss({r})", [30 * X, Q]),
    ("BCEWithLogitsLoss(t(W5), pos_weight=t(W5), {r})", [X, Q]),
    ("KLDivLoss({r})", [np.log(P), DIST]),
    ("KLDivLoss(log_target=True, {r})", [np.log(P), np.log(Q)]),
    ("PoissonNLLLoss({r})", [X, 5 * P]),
    ("PoissonNLLLoss({r}, log_input=False, full=True)", [P, 5 * Q]),
    ("HingeEmbeddingLoss({r}, margin=0.7)", [X, np.where(Y > 0, 1.0, -1.0)]),
    ("MarginRankingLoss({r}, margin=0.3)", [X[0, :4], Y[0, :4], SIGN]),
    ("CosineEmbeddingLoss({r}, margin=0.1)", [X, Y, SIGN]),
    ("SoftMarginLoss({r})", [X, np.where(Y > 0, 1.0, -1.0)]),
    ("MultiMarginLoss({r})", [X, CLASS]),
    ("MultiMarginLoss(2, 0.7, t(W5), {r})", [X, CLASS]),
    ("MultiLabelMarginLoss({r})", [X, SETS]),
    ("MultiLabelSoftMarginLoss({r})", [X, (Y > 0).astype(float)]),
    ("MultiLabelSoftMarginLoss(t(W5), {r})", [X, (Y > 0).astype(float)]),
    ("TripletMarginLoss({r})", [X, Y, P]),
    ("TripletMarginLoss({r}, margin=0.5, p=1, swap=True)", [X, Y, P]),
    ("TripletMarginWithDistanceLoss({r}, swap=True)", [X, Y, P]),
    ("GaussianNLLLoss({r})", [X, Y, P]),
    ("GaussianNLLLoss({r}, full=True)", [X, Y, P[:, :1]]),
]  # fmt: skip


def make(lib: Any, text: str, reduction: str) -> Any:
    scope = {"t": lib.tensor, "W5": W5, "nn": lib.nn}
    return eval("nn." + text.format(r=f"reduction='{reduction}'"), scope)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("text, values", CASES, ids=[f"{i}-{c[0]}" for i, c in enumerate(CASES)])
def test_loss(text: str, values: list[np.ndarray], reduction: str) -> None:
    ours, theirs = (make(lib, text, reduction) for lib in LIBRARIES)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    inputs = tensors(values)
    if text.startswith("SoftMarginLoss"):  # torch refuses a target that wants a gradient
        for x in inputs:
            x[1].requires_grad_(False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # kl_div's advice on reduction="mean"
        results = [m(*x) for m, x in zip((ours, theirs), inputs)]
    close(*results, what="loss")
    for result, lib in zip(results, LIBRARIES):
        total(result, lib).backward()
    for i, (a, b) in enumerate(zip(*inputs)):
        if b.grad is not None:
            close(a.grad, b.grad, what=f"gradient {i}")


def test_kl_batchmean() -> None:
    results = [
        lib.nn.KLDivLoss(reduction="batchmean")(lib.tensor(np.log(P)), lib.tensor(DIST))
        for lib in LIBRARIES
    ]
    close(*results)


def test_weighted_functions() -> None:
    for name in ("mse_loss", "l1_loss", "huber_loss"):
        for reduction in ("none", "mean", "sum"):
            results = [
                getattr(lib.nn.functional, name)(
                    lib.tensor(X), lib.tensor(Y), reduction=reduction, weight=lib.tensor(Q)
                )
                for lib in LIBRARIES
            ]
            close(*results, what=name)
    with pytest.raises(ValueError, match="weight"):
        deeplite.nn.functional.mse_loss(
            deeplite.tensor(X), deeplite.tensor(Y), weight=deeplite.ones(3)
        )


def test_old_reduction_flags() -> None:
    for flags, reduction in (
        ({"size_average": False}, "sum"),
        ({"reduce": False}, "none"),
        ({"size_average": True}, "mean"),
    ):
        with pytest.warns(UserWarning, match="deprecated"):
            assert deeplite.nn.L1Loss(**flags).reduction == reduction


T = deeplite.tensor
SHAPE = (ValueError, RuntimeError)  # which of them is up to the function
BAD = [
    (lambda F: F.cross_entropy(T(X), T(CLASS + 5)), IndexError, "cross_entropy|nll"),
    (lambda F: F.cross_entropy(T(X), T(CLASS[:3])), SHAPE, "cross_entropy|nll"),
    (lambda F: F.cross_entropy(T(X), T(CLASS), weight=T(W5[:3])), SHAPE, "weight"),
    (lambda F: F.cross_entropy(T(X), T(CLASS), reduction="average"), ValueError, "average"),
    (lambda F: F.nll_loss(T(X), T(-CLASS - 1)), IndexError, "nll"),
    (lambda F: F.mse_loss(T(X), T(X), reduction="no"), ValueError, "no"),
    (lambda F: F.binary_cross_entropy(T(X), T(Q)), SHAPE, "binary_cross"),
    (lambda F: F.binary_cross_entropy(T(P), T(Q[:2])), SHAPE, "binary_cross"),
    (lambda F: F.binary_cross_entropy_with_logits(T(P), T(Q[:2])), SHAPE, "binary_cross"),
    (lambda F: F.smooth_l1_loss(T(X), T(Y), beta=-1.0), SHAPE, "beta"),
    (lambda F: F.huber_loss(T(X), T(Y), delta=0.0), SHAPE, "delta"),
    (lambda F: F.margin_ranking_loss(T(X), T(X[0]), T(SIGN)), RuntimeError, "dimensions"),
    (lambda F: F.cosine_embedding_loss(T(X), T(X[0]), T(SIGN)), RuntimeError, "cosine_embedding"),
    (lambda F: F.gaussian_nll_loss(T(X), T(Y), T(-P)), ValueError, "negative"),
    (lambda F: F.gaussian_nll_loss(T(X), T(Y), T(P[:, :2])), ValueError, "var"),
    (lambda F: F.triplet_margin_loss(T(X), T(X), T(X), margin=-1.0), ValueError, "margin"),
    (lambda F: F.multi_margin_loss(T(X), T(CLASS), p=3), SHAPE, "p"),
    (lambda F: F.hinge_embedding_loss(T(X), T(Y), reduction="x"), ValueError, "reduction"),
]  # fmt: skip


@pytest.mark.parametrize("call, error, message", BAD, ids=range(len(BAD)))
def test_bad_input(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call(deeplite.nn.functional)
