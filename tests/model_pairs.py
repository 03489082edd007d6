"""One architecture in two libraries: the same model file over deeplite and over torch.

A family's test file says what to compare with rows of `Case` and calls the functions below; see
tests/models/test_resnet.py. `tests/models/test_registry.py` fails for a registered architecture
that has no row.
"""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import deeplite
import numpy as np
import pytest
from deeplite.models import _twin
from nn_pairs import array, copy_weights, tensors, torch


@dataclass(frozen=True)
class Case:
    """One architecture, made small.

    Attributes:
        name: as registered.
        options: what makes it small; "num_classes": 5 is added.
        size: of the images, (channels, height, width).
        batch: number of images; batch normalisation in train mode needs more than one value.
        torchvision: its name there, with the same keys, shapes and initial values; None if it is
            not there.
        slow: takes more than a second or two.
        label: tells rows of one architecture apart.
        tol: for scores, losses and gradients, where a network amplifies rounding (say why).
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    size: tuple[int, int, int] = (3, 32, 32)
    batch: int = 2
    torchvision: str | None = None
    slow: bool = False
    label: str = ""
    tol: float = 1e-9


def rows(cases: list[Case]) -> list[Any]:
    """The cases as pytest parameters."""
    return [
        pytest.param(
            case,
            id=f"{case.name}-{case.label}" if case.label else case.name,
            marks=[pytest.mark.slow] if case.slow else [],
        )
        for case in cases
    ]


def pair(case: Case) -> tuple[Any, Any]:
    """The network over deeplite and over torch in float64, with torch's weights."""
    options = {"num_classes": 5, **case.options}
    torch.manual_seed(0)
    theirs = _twin.build(torch, case.name, **options).double()
    ours = deeplite.models.build(case.name, **options).double()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    copy_weights(theirs, ours, deeplite)
    return ours, theirs


def close(ours: Any, theirs: Any, what: str, tol: float = 1e-9, scale: float = 0.0) -> None:
    """Equal up to `tol` of the largest entry, or of `scale` if that is more: float64 rounding over
    a deep network."""
    assert (ours is None) == (theirs is None), what
    if theirs is None:
        return
    if isinstance(theirs, (tuple, list)):
        assert len(ours) == len(theirs), what
        for a, b in zip(ours, theirs):
            close(a, b, what, tol, scale)
        return
    a, b = array(ours), array(theirs)
    assert a.shape == b.shape, (what, a.shape, b.shape)
    assert a.dtype == b.dtype, (what, a.dtype, b.dtype)
    assert np.isfinite(b).all(), f"{what}: torch's is not finite"
    scale = max(scale, float(np.abs(b).max()) if b.size else 0.0)
    np.testing.assert_allclose(a, b, rtol=0, atol=tol * scale, err_msg=what)


def loss_of(result: Any, labels: Any, lib: Any) -> Any:
    """Cross entropy of the scores; auxiliary scores (GoogLeNet's) count 0.3 each."""
    scores = list(result) if isinstance(result, tuple) else [result]
    losses = [lib.nn.functional.cross_entropy(s, labels) for s in scores if s is not None]
    loss = losses[0]
    for auxiliary in losses[1:]:
        loss = loss + 0.3 * auxiliary
    return loss


@contextlib.contextmanager
def same_noise() -> Iterator[None]:
    """Makes dropout and stochastic depth draw the same masks in both libraries: the k-th call of
    either gets the k-th mask. (What they draw by themselves is tested with the layers.)"""

    def replacement(lib: Any, calls: list[int], whole: bool) -> Any:
        def forward(self: Any, x: Any) -> Any:
            if not self.training or self.p == 0:
                return x
            calls.append(len(calls))
            shape = tuple(x.shape)
            if whole:
                rows = shape[0] if getattr(self, "mode", "row") == "row" else 1
                channels = shape[1] if not hasattr(self, "mode") else 1
                shape = (rows, channels) + (1,) * (len(shape) - 2)
            drawn = np.random.default_rng(len(calls)).random(shape) >= self.p
            return x * lib.tensor(drawn / (1 - self.p), dtype=x.dtype)

        return forward

    with pytest.MonkeyPatch.context() as patch:
        for lib in (deeplite, torch):
            calls: list[int] = []
            depth = deeplite.ops if lib is deeplite else _twin.over(torch, "deeplite.ops")
            patch.setattr(lib.nn.Dropout, "forward", replacement(lib, calls, False))
            patch.setattr(lib.nn.Dropout2d, "forward", replacement(lib, calls, True))
            patch.setattr(depth.StochasticDepth, "forward", replacement(lib, calls, True))
        yield


def compare_step(case: Case) -> None:
    """Scores, loss, gradients of the images and of every weight, and buffers: a training step, and
    the same in eval mode with the running statistics that it left."""
    ours, theirs = pair(case)
    rng = np.random.default_rng(1)
    images = rng.standard_normal((case.batch, *case.size))
    labels = rng.integers(0, case.options.get("num_classes", 5), case.batch)
    for mode in ("train", "eval"):
        inputs = tensors([images])
        results = []
        with same_noise():
            for lib, model, (x,) in zip((deeplite, torch), (ours, theirs), inputs):
                getattr(model, mode)()
                model.zero_grad()
                result = model(x)
                loss = loss_of(result, lib.tensor(labels), lib)
                loss.backward()
                results.append((result, loss, x.grad))
        for a, b, what in zip(*results, ("scores", "loss", "gradient of the images")):
            close(a, b, f"{mode}: {what}", case.tol)
        # Some gradients are zero but for rounding (a bias before batch normalisation), so a
        # thousandth of the largest in the network is the least that errors are measured by.
        largest = max(float(p.grad.abs().max()) for p in theirs.parameters() if p.grad is not None)
        for (name, a), (_, b) in zip(ours.named_parameters(), theirs.named_parameters()):
            close(a.grad, b.grad, f"{mode}: gradient of {name}", case.tol, scale=1e-3 * largest)
        for (name, a), (_, b) in zip(ours.named_buffers(), theirs.named_buffers()):
            close(a, b, f"{mode}: buffer {name}", scale=1e-3)  # means may be zero as well


# --- beside torchvision -------------------------------------------------------------------------


def torchvision_models() -> Any:
    """torchvision.models. Only its Python files are needed; what its compiled part would define
    is declared first."""
    try:
        torch.library.define("torchvision::nms", "(Tensor d, Tensor s, float t) -> Tensor")
        torch.library.define("torchvision::qnms", "(Tensor d, Tensor s, float t) -> Tensor")
    except RuntimeError:
        pass  # declared before, or by the compiled part
    pytest.importorskip("torchvision")
    models = importlib.import_module("torchvision.models")
    _shapes_on_the_cpu(importlib.import_module("torchvision.models.regnet").BlockParams)
    return models


def _shapes_on_the_cpu(params: Any) -> None:
    """RegNet's widths are computed with tensors, which must not be made on the meta device."""
    if not hasattr(params, "anywhere"):
        params.anywhere = params.from_init_params

        def from_init_params(*args: Any, **options: Any) -> Any:
            with torch.device("cpu"):
                return params.anywhere(*args, **options)

        params.from_init_params = from_init_params


def compare_keys(case: Case) -> None:
    """Names, shapes and order of everything in the full-size state_dict are torchvision's."""
    tv = torchvision_models()
    with torch.device("meta"), warnings.catch_warnings():  # shapes only: no memory, no numbers
        warnings.simplefilter("ignore", FutureWarning)  # of another default for init_weights
        mine = _twin.build(torch, case.name).state_dict()
        other = tv.get_model(case.torchvision, weights=None).state_dict()
    assert [(k, tuple(v.shape)) for k, v in mine.items()] == [
        (k, tuple(v.shape)) for k, v in other.items()
    ]


def compare_torchvision(case: Case, options: dict[str, Any], size: tuple[int, ...]) -> None:
    """With torchvision's weights the same source gives torchvision's scores, in both modes."""
    tv = torchvision_models()
    torch.manual_seed(0)
    other = tv.get_model(case.torchvision, weights=None, **options)
    mine = _twin.build(torch, case.name, **options)
    mine.load_state_dict(other.state_dict())
    x = torch.randn(size)
    for mode in ("train", "eval"):
        getattr(mine, mode)(), getattr(other, mode)()
        found = []
        for model in (mine, other):
            torch.manual_seed(1)  # dropout draws alike
            with torch.no_grad():
                found.append(model(x))
        close(*found, what=f"{mode}: scores", tol=1e-5)  # float32


def compare_initial_values(case: Case, options: dict[str, Any]) -> None:
    """Mean, spread and kurtosis of every weight's initial values fit torchvision's: the same
    distribution, of the same width. Constants must be equal."""
    tv = torchvision_models()
    deeplite.manual_seed(0), torch.manual_seed(0)
    mine = deeplite.models.build(case.name, **options).state_dict()
    other = tv.get_model(case.torchvision, weights=None, **options).state_dict()
    for name, b in other.items():
        a, b = array(mine[name]).astype(np.float64), array(b).astype(np.float64)
        if b.size and b.min() == b.max():
            np.testing.assert_array_equal(a, b, err_msg=name)
            continue
        if b.size < 200:
            continue
        # standard errors of mean, standard deviation and kurtosis of a normal sample
        n, spread = b.size, b.std()
        assert abs(a.mean() - b.mean()) < 8 * spread / n**0.5, name
        assert abs(a.std() / spread - 1) < 8 / n**0.5, name
        kurtosis = [float(np.mean(((v - v.mean()) / v.std()) ** 4)) for v in (a, b)]
        assert abs(kurtosis[0] - kurtosis[1]) < 8 * (48 / n) ** 0.5, (name, kurtosis)
