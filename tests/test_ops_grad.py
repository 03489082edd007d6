"""Derivatives of every op: against torch, by central differences, and twice."""

from __future__ import annotations

from typing import Any

import pytest
from op_cases import Maker, OpCase, Sample, map_attributes, map_specs, resolve
from op_testing import (
    call,
    compare_gradients,
    compare_second_gradients,
    flatten,
    gradients,
    is_tensor,
    lib,
    rows,
    seed_of,
)
from test_ops_forward import first

SMALL = 60  # elements: central differences take two calls per element


@rows("grad", lambda case: case.differentiable)
def test_gradients(case: OpCase) -> None:
    for number, sample in enumerate(case.samples()):
        compare_gradients(case, sample, number, "float64")
    for number, sample in enumerate(first(case.samples(), case.heavy)):
        if "float32" in case.dtypes:
            compare_gradients(case, sample, number, "float32")


@rows("layouts", lambda case: case.differentiable)
@pytest.mark.parametrize("layout", ["transposed", "strided", "expanded"])
def test_gradients_of_layouts(case: OpCase, layout: str) -> None:
    if layout == "expanded" and case.is_inplace:
        pytest.skip("an expanded tensor cannot be written to")
    for number, sample in enumerate(first(case.samples(), 1)):
        compare_gradients(case, sample, number, "float64", layout=layout)


@rows("gradcheck", lambda case: case.differentiable)
def test_gradcheck(case: OpCase) -> None:
    """Independent of torch: our derivatives against differences of our own results."""
    check_numerically(case, lib.autograd.gradcheck)


@rows("gradgradcheck", lambda case: case.differentiable and case.gradgrad)
def test_second_gradients(case: OpCase) -> None:
    for number, sample in enumerate(first(case.samples(), case.heavy)):
        if not compare_second_gradients(case, sample, number):
            check_numerically(case, lib.autograd.gradgradcheck)


@rows("gradgradcheck", lambda case: case.differentiable and not case.gradgrad)
def test_double_backward_refused(case: OpCase) -> None:
    """Where no second derivative is offered, asking for one is a clear error, not a wrong zero."""
    refused = False
    for number, sample in enumerate(case.samples()):
        run = call(lib, case, sample, number, "float64", requires_grad=True)
        try:
            firsts, cotangents = gradients(lib, run, case, number, create_graph=True)
            total = sum(g.sum() for g in firsts if g is not None)
            lib.autograd.grad(total, [*run.differentiable, *cotangents], allow_unused=True)
        except (RuntimeError, NotImplementedError):
            refused = True
    assert refused, f"{case.id} claims to have no second derivative but gives one"


def check_numerically(case: OpCase, check: Any) -> None:
    done = 0
    for number, sample in enumerate(case.samples()):
        maker = Maker(lib, "float64", requires_grad=True)
        maker(sample, seed_of(case.id, number))
        inputs = [t for t in maker.made if t.requires_grad]
        if not 0 < sum(t.numel() for t in inputs) <= SMALL:
            continue
        assert check(closure(case, sample, maker.made), tuple(inputs)), f"{case.id}{sample!r}"
        done += 1
        if done == case.heavy:
            break


def closure(case: OpCase, sample: Sample, made: list[Any], all_inputs: bool = False) -> Any:
    """A function of the tensors alone that gives the tensors among the results: of the
    differentiable ones on both sides, or of all of them."""
    function = case.resolve(lib)

    def f(*wanted: Any) -> tuple:
        given, tensors = iter(wanted), iter(made)

        def pick(_: Any) -> Any:
            t = next(tensors)
            return next(given) if all_inputs or t.requires_grad else t

        tree = map_specs((sample.args, sample.kwargs), pick)
        args, kwargs = map_attributes(tree, lambda t: resolve(lib, t.name))
        if case.is_inplace:
            args = (args[0].clone(), *args[1:])
        outs = flatten(function(*args, **kwargs))
        return tuple(o for o in outs if is_tensor(o) and (all_inputs or o.requires_grad))

    return f
