"""What the generic tests over tests/op_cases share: running a row and judging the result.

The judge is torch in float64, fed with the inputs as rounded to the dtype of the test. A result
passes when its error is at most 3x torch's own error in that dtype, or c * eps * sqrt(K) * scale.
"""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from op_cases import FLOAT, HALF, Error, Maker, OpCase, Sample, all_cases, dtype_name, seed_of

torch = pytest.importorskip("torch")
# DEEPLITE_TEST_LIBRARY=torch runs the rows with torch in deeplite's place: it checks the rows.
lib = importlib.import_module(os.environ.get("DEEPLITE_TEST_LIBRARY", "deeplite"))
torch.set_num_threads(1)

CASES = all_cases()
EPS = {"float32": 2.0**-23, "float64": 2.0**-52, "bfloat16": 2.0**-7, "float16": 2.0**-10}


def rows(kind: str, keep: Callable[[OpCase], bool] = lambda case: True) -> pytest.MarkDecorator:
    """Parametrises a test over the rows that take part in this kind of test."""
    chosen = [
        pytest.param(case, id=case.id) for case in CASES if kind not in case.skip and keep(case)
    ]
    return pytest.mark.parametrize("case", chosen)


@dataclasses.dataclass
class Run:
    """One call: the tensors that went in and the tensors that came out."""

    inputs: list[Any]
    outputs: list[Any]
    result: Any
    differentiable: list[Any]


def flatten(tree: Any) -> Iterator[Any]:
    if isinstance(tree, (list, tuple)):
        for x in tree:
            yield from flatten(x)
    elif isinstance(tree, dict):
        for x in tree.values():
            yield from flatten(x)
    elif tree is not None:
        yield tree


def is_tensor(x: Any) -> bool:
    return isinstance(x, (torch.Tensor, lib.Tensor))


def to_numpy(x: Any) -> np.ndarray:
    """Floating tensors as float64, the others as they are; plain numbers as 0-dim arrays."""
    if not is_tensor(x):
        return np.asarray(x)
    x = x.detach()
    if x.is_floating_point():
        x = x.to(torch.float64 if isinstance(x, torch.Tensor) else lib.float64)
    return x.cpu().numpy()


def call(
    where: Any, case: OpCase, sample: Sample, number: int, dtype: str, **options: Any
) -> Run:  # fmt: skip
    """Runs a row in library `where`. Options: those of Maker."""
    maker = Maker(where, dtype, **options)
    args, kwargs = maker(sample, seed_of(case.id, number))
    wanted = [t for t in maker.made if t.requires_grad]
    if case.is_inplace and wanted and args and getattr(args[0], "requires_grad", False):
        args = (args[0].clone(), *args[1:])  # a leaf that requires grad must not be written to
    result = case.resolve(where)(*args, **kwargs)
    outputs = list(flatten(result))
    if case.is_inplace:
        assert outputs[0].data_ptr() == args[0].data_ptr(), "an in-place op returns its argument"
        outputs.append(args[0])
    return Run(maker.made, outputs, result, wanted)


def gradients(where: Any, run: Run, case: OpCase, number: int, create_graph: bool = False) -> tuple:
    """(gradients of the inputs, cotangents) for fixed random cotangents; unused ones are None."""
    outs = [o for o in run.outputs if is_tensor(o) and o.requires_grad]
    if case.is_inplace:
        outs = outs[:1]
    if not outs:
        return [], []
    cotangents = []
    for i, o in enumerate(outs):
        rng = np.random.default_rng((*seed_of(case.id, number), 1000 + i))
        data = rng.uniform(-1, 1, tuple(o.shape))
        c = where.from_numpy(np.asarray(data)).to(o.dtype)
        if o.device.type != "cpu":
            c = c.to(o.device)
        cotangents.append(c.requires_grad_() if create_graph else c)
    grads = where.autograd.grad(
        outs, run.differentiable, cotangents, create_graph=create_graph, allow_unused=True
    )
    return list(grads), cotangents


# ---------------------------------------------------------------------- judging


def scale_of(judge: np.ndarray, k: int) -> np.ndarray:
    """Size of the numbers an error is measured against: per element, with a floor from the whole
    tensor, as sums of K terms are only accurate relative to their largest terms."""
    finite = np.abs(judge[np.isfinite(judge)])
    top = float(finite.max()) if finite.size else 0.0
    size = np.abs(np.where(np.isfinite(judge), judge, 0.0))
    return np.maximum(size, (0.1 if k == 1 else 1.0) * top)


def assert_close(
    mine: Any, theirs: Any, judge: Any, case: OpCase, k: int, what: str, c: float | None = None
) -> None:
    """mine: our tensor; theirs: torch's in the same dtype; judge: torch's in float64."""
    if is_tensor(theirs):
        assert is_tensor(mine), f"{what}: expected a tensor, got {type(mine).__name__}"
        assert dtype_name(mine.dtype) == dtype_name(theirs.dtype), f"{what}: dtype"
        assert tuple(mine.shape) == tuple(theirs.shape), f"{what}: shape"
        dtype = dtype_name(theirs.dtype)
    else:
        assert type(mine) is type(theirs), f"{what}: {type(mine)} where torch gives {type(theirs)}"
        dtype = "float64"
    a, b, j = to_numpy(mine), to_numpy(theirs), to_numpy(judge)
    assert_values(a, b, j, dtype, c or case.c, k, case.exact, what)


def assert_values(
    mine: np.ndarray, theirs: np.ndarray, judge: np.ndarray, dtype: str, c: float, k: int,
    exact: bool, what: str,
) -> None:  # fmt: skip
    if exact or dtype not in EPS:
        np.testing.assert_array_equal(mine, theirs, err_msg=what)
        return
    odd = ~np.isfinite(theirs)  # overflow, nan, inf: as torch in this very dtype
    np.testing.assert_array_equal(mine[odd], theirs[odd], err_msg=f"{what}: nan and inf")
    judge = np.where(odd, 0.0, judge.astype(np.float64))
    good = np.where(odd, 0.0, theirs)
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(np.where(odd, 0.0, mine) - judge)
        own = float(np.max(np.abs(good - judge), initial=0.0))
        bound = np.maximum(3 * own, c * EPS[dtype] * np.sqrt(k) * scale_of(judge, k))
    bound = np.maximum(bound, np.finfo(np.float32 if dtype != "float64" else np.float64).tiny)
    bad = ~(error <= bound)
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        raise AssertionError(
            f"{what}: {int(bad.sum())} of {bad.size} elements off; first at {at}: "
            f"got {mine[at]!r}, float64 says {judge[at]!r}, torch {dtype} gives {theirs[at]!r}, "
            f"error {error[at]:.3g} > bound {bound[at]:.3g}"
        )


def compare(case: OpCase, sample: Sample, number: int, dtype: str, **options: Any) -> Run:
    """Runs the row in both libraries and the judge and compares all outputs."""
    what = f"{case.id}{sample!r} {dtype} {options or ''}"
    theirs = call(torch, case, sample, number, dtype, **_plain(options))
    judge = call(torch, case, sample, number, dtype, widen=True, **_plain(options))
    mine = call(lib, case, sample, number, dtype, **options)
    assert_same_structure(mine.result, theirs.result, what)
    k = case.reduction(sample)
    for i, (a, b, j) in enumerate(zip(mine.outputs, theirs.outputs, judge.outputs, strict=True)):
        assert_close(a, b, j, case, k, f"{what} output {i}")
        if case.strides and is_tensor(b):
            assert tuple(a.stride()) == tuple(b.stride()), f"{what} output {i}: strides"
    return mine


def compare_gradients(
    case: OpCase, sample: Sample, number: int, dtype: str, **options: Any
) -> None:
    """First derivatives against torch for one sample."""
    what = f"gradient of {case.id}{sample!r} {dtype} {options or ''}"
    runs = []
    for where, extra in ((torch, {}), (torch, {"widen": True}), (lib, {})):
        chosen = {**(options if where is lib else _plain(options)), **extra}
        run = call(where, case, sample, number, dtype, requires_grad=True, **chosen)
        runs.append((run, gradients(where, run, case, number)[0]))
    (_, theirs), (_, judge), (run, mine) = runs
    assert len(mine) == len(theirs), f"{what}: {len(mine)} gradients, torch has {len(theirs)}"
    for i, (a, b, j, x) in enumerate(zip(mine, theirs, judge, run.differentiable, strict=False)):
        if b is None or a is None:  # an input that does not matter: None or zeros
            for g in (a, b):
                assert g is None or not to_numpy(g).any(), f"{what}, input {i}: None against values"
            continue
        assert tuple(a.shape) == tuple(x.shape), f"{what}, input {i}: shape"
        # A gradient sums over what was broadcast as well: allow for twice the terms.
        k = max(case.reduction(sample), _broadcast_terms(run, x))
        assert_close(a, b, j, case, k, f"{what}, input {i}", c=4 * case.c)


def compare_second_gradients(case: OpCase, sample: Sample, number: int) -> bool:
    """Second derivatives against torch in float64; False when torch cannot do them."""
    results = []
    for where in (torch, lib):
        try:
            results.append(second_gradients(where, case, sample, number))
        except (RuntimeError, NotImplementedError):
            if where is torch:
                return False
            raise
    what = f"second gradient of {case.id}{sample!r}"
    assert len(results[0]) == len(results[1]), what
    for i, (theirs, mine) in enumerate(zip(*results, strict=True)):
        if theirs is None and mine is None:
            continue
        theirs = np.zeros_like(mine) if theirs is None else theirs
        mine = np.zeros_like(theirs) if mine is None else mine
        size = max(np.abs(theirs).max(initial=0.0), 1.0)
        np.testing.assert_allclose(
            mine, theirs, rtol=1e-8, atol=1e-11 * size, err_msg=f"{what}, {i}"
        )
    return True


def second_gradients(where: Any, case: OpCase, sample: Sample, number: int) -> list[Any]:
    """Gradients, with respect to inputs and cotangents, of a fixed mix of the first gradients."""
    run = call(where, case, sample, number, "float64", requires_grad=True)
    firsts, cotangents = gradients(where, run, case, number, create_graph=True)
    total, wanted = None, [*run.differentiable, *cotangents]
    for g in firsts:
        if g is not None and g.requires_grad:
            weight = np.cos(np.arange(int(np.prod(tuple(g.shape), dtype=int)))) + 1.5
            term = (g * where.from_numpy(weight.reshape(tuple(g.shape)))).sum()
            total = term if total is None else total + term
    if total is None:
        return [None] * len(wanted)
    seconds = where.autograd.grad(total, wanted, allow_unused=True)
    return [None if s is None else to_numpy(s) for s in seconds]


def assert_same_structure(mine: Any, theirs: Any, what: str) -> None:
    if isinstance(theirs, (list, tuple)):
        assert isinstance(mine, (list, tuple)), f"{what}: {type(mine)} where torch gives a sequence"
        assert len(mine) == len(theirs), f"{what}: {len(mine)} results, torch gives {len(theirs)}"
        for a, b in zip(mine, theirs, strict=True):
            assert_same_structure(a, b, what)
        for field in getattr(theirs, "_fields", ()) or _named_results(theirs):
            assert hasattr(mine, field), f"{what}: the result has no field {field!r}"


def _named_results(result: Any) -> list[str]:
    """torch.return_types.* are structseqs: fields by name."""
    if type(result).__module__ != "torch.return_types":
        return []
    return [n for n in ("values", "indices", "sign", "logabsdet") if hasattr(result, n)]


def _broadcast_terms(run: Run, x: Any) -> int:
    biggest = max([int(np.prod(tuple(o.shape), dtype=int)) for o in run.outputs if is_tensor(o)])
    return max(1, biggest // max(1, int(np.prod(tuple(x.shape), dtype=int))))


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in options.items() if k != "device"}


def torch_runs(case: OpCase, sample: Sample, number: int, dtype: str) -> bool:
    """Whether torch has a kernel for this dtype at all (half types often lack one)."""
    try:
        call(torch, case, sample, number, dtype)
    except (RuntimeError, NotImplementedError, TypeError, IndexError, ValueError):
        return False
    return True


__all__ = [
    "CASES", "EPS", "FLOAT", "HALF", "Error", "Maker", "OpCase", "Run", "Sample", "assert_close",
    "assert_values", "call", "compare", "compare_gradients", "compare_second_gradients",
    "dtype_name", "flatten", "gradients", "is_tensor", "lib", "rows", "seed_of", "to_numpy",
    "torch", "torch_runs",
]  # fmt: skip
