"""The other forms of an op: as a Tensor method, and in place. A row covers them without saying so.

Also the completeness check: whatever the core offers has a row, or a reason here why not.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from op_cases import Maker, OpCase, Sample, Spec
from op_testing import CASES, lib, rows, seed_of, to_numpy, torch
from test_ops_forward import first

NAMES = {case.name for case in CASES} | {n for case in CASES for n in case.covers}
PLAIN = [case for case in CASES if "." not in case.name and not case.random]


def leads_with_tensor(args: tuple) -> bool:
    return bool(args) and isinstance(args[0], lib.Tensor)


@rows("forward", lambda case: case in PLAIN and case.fn is None and hasattr(lib.Tensor, case.name))
def test_method(case: OpCase) -> None:
    """x.op(...) is op(x, ...)."""
    for number, sample in enumerate(first(case.samples(), case.heavy)):
        args, kwargs = Maker(lib, case.dtypes[0])(sample, seed_of(case.id, number))
        if not leads_with_tensor(args) or not torch_has_method(case, sample, number):
            continue
        a = case.resolve(lib)(*args, **kwargs)
        b = getattr(args[0], case.name)(*args[1:], **kwargs)
        same(a, b, case.id)


def torch_has_method(case: OpCase, sample: Sample, number: int) -> bool:
    """Whether torch's method takes the arguments in this order (where, for one, does not)."""
    args, kwargs = Maker(torch, case.dtypes[0])(sample, seed_of(case.id, number))
    try:
        getattr(args[0], case.name)(*args[1:], **kwargs)
    except (AttributeError, TypeError):
        return False
    except RuntimeError:  # x.where(condition, other) given its arguments in another order
        if case.name != "where":
            raise
        return False
    return True


def has_in_place_form(case: OpCase) -> bool:
    return (
        case in PLAIN
        and hasattr(lib.Tensor, case.name + "_")
        and hasattr(torch.Tensor, case.name + "_")
        and f"Tensor.{case.name}_" not in {c.name for c in CASES}
    )


@rows("forward", has_in_place_form)
def test_in_place(case: OpCase) -> None:
    """x.op_(...) does what it does in torch, or refuses where torch does and changes nothing."""
    for dtype in case.dtypes[:3]:
        for number, sample in enumerate(first(case.samples(), 3)):
            outcomes = []
            for where in (torch, lib):
                args, kwargs = Maker(where, dtype)(sample, seed_of(case.id, number))
                if not (args and isinstance(args[0], where.Tensor)):
                    return
                before = to_numpy(args[0]).copy()
                try:
                    result = getattr(args[0], case.name + "_")(*args[1:], **kwargs)
                except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError) as e:
                    outcomes.append(e)
                    np.testing.assert_array_equal(to_numpy(args[0]), before)
                else:
                    assert result is args[0]
                    outcomes.append(to_numpy(result))
            what = f"{case.name}_{sample!r} {dtype}: torch {outcomes[0]!r}, ours {outcomes[1]!r}"
            refused = [isinstance(o, Exception) for o in outcomes]
            assert refused[0] == refused[1], what
            if not refused[0]:
                assert outcomes[0].shape == outcomes[1].shape, what
                np.testing.assert_allclose(
                    outcomes[1], outcomes[0], rtol=1e-4, atol=1e-5, err_msg=what
                )


@rows("grad", lambda case: has_in_place_form(case) and case.differentiable)
def test_in_place_gradient(case: OpCase) -> None:
    """The in-place form has the gradient of the other one."""
    sample = first(case.samples(), 1)[0]
    grads = []
    for suffix in ("", "_"):
        maker = Maker(lib, "float64", requires_grad=True)
        args, kwargs = maker(sample, seed_of(case.id, 0))
        if not leads_with_tensor(args) or not args[0].requires_grad:
            return
        x = args[0] * 1
        try:
            y = getattr(x, case.name + suffix)(*args[1:], **kwargs)
        except (RuntimeError, TypeError, ValueError):
            return  # not possible for this sample (shape or dtype of the result): test_in_place
        if not isinstance(y, lib.Tensor) or not y.requires_grad:
            return
        wanted = [t for t in maker.made if t.requires_grad]
        weight = lib.from_numpy(np.cos(np.arange(y.numel())).reshape(tuple(y.shape)))
        grads.append(lib.autograd.grad((y * weight).sum(), wanted, allow_unused=True))
    for a, b in zip(*grads, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(to_numpy(b), to_numpy(a), rtol=1e-12, atol=1e-14)


def same(a: Any, b: Any, what: str) -> None:
    if isinstance(a, lib.Tensor):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(to_numpy(b), to_numpy(a), err_msg=what)
    elif isinstance(a, (tuple, list)):
        assert len(a) == len(b), what
        for x, y in zip(a, b, strict=True):
            same(x, y, what)
    else:
        assert a == b, what


# ---------------------------------------------------------------------- completeness

# What is tested elsewhere or is no op: pattern (full match of "place.name") -> reason.
NO_ROW = {
    r".*\._.*": "private to the Python layer",
    r"Tensor\.__\w+__": "operators: tests/tensor",
    r"deeplite\.(tensor|as_tensor|asarray|scalar_tensor|from_numpy|frombuffer|from_dlpack)": (
        "makes tensors from other things: tests/tensor"
    ),
    r"deeplite\.(empty|zeros|ones|full|arange|linspace|logspace|eye|range)(_like)?": (
        "factories: tests/tensor/test_creation.py"
    ),
    r"deeplite\.(empty_strided|tril_indices|triu_indices|meshgrid|cartesian_prod|combinations)": (
        "factories: tests/tensor/test_creation.py"
    ),
    r"Tensor\.new_\w+": "factories: tests/tensor/test_creation.py",
    r"Tensor\.(size|stride|dim|numel|nelement|ndimension|storage_offset|data_ptr|element_size)": (
        "facts about a tensor: tests/tensor/test_creation.py"
    ),
    r"(Tensor|deeplite)\.(is_\w+|numel|get_device|result_type|promote_types|can_cast)": (
        "facts about tensors and dtypes: tests/tensor"
    ),
    r"Tensor\.(numpy|tolist|item|cpu|cuda|data|type|share_memory_|pin_memory)": (
        "exchange with the outside: tests/tensor/test_interop.py"
    ),
    r"(Tensor|deeplite)\.(detach|detach_|requires_grad_|retain_grad|backward|register_\w+)": (
        "autograd: tests/autograd"
    ),
    r"deeplite\.broadcast_shapes": "shapes only: tests/tensor",
    r"(Tensor|deeplite)\.(fix_?|nelement)": "other names of trunc and numel",
    r"deeplite\.[gs]et_num_threads": "settings: tests/test_threads.py",
}


@pytest.mark.skipif(lib.__name__ == "torch", reason="torch lists no signatures")
def test_every_op_has_a_row() -> None:
    missing = []
    for place, name, *_ in lib._C._signatures():
        if not covered(place, name):
            missing.append(f"{PLACES[place]}.{name}")
    assert not missing, f"{len(missing)} without a row in tests/op_cases: {sorted(set(missing))}"


PLACES = {
    "function": "deeplite",
    "method": "Tensor",
    "nn": "nn.functional",
    "linalg": "linalg",
}


def covered(place: str, name: str) -> bool:
    if any(re.fullmatch(pattern, f"{PLACES[place]}.{name}") for pattern in NO_ROW):
        return True
    prefixes = ("", "Tensor.", "nn.functional.", "linalg.", "special.")
    candidates = {f"{prefix}{name}" for prefix in prefixes}
    if name.endswith("_"):  # the in-place form of a row: tested above
        candidates |= {f"{prefix}{name[:-1]}" for prefix in prefixes}
    return bool(candidates & NAMES)


@pytest.mark.skipif(lib.__name__ == "torch", reason="torch lists no signatures")
def test_reasons_are_needed() -> None:
    """A pattern in NO_ROW that matches nothing any more is removed."""
    shown = [f"{PLACES[place]}.{name}" for place, name, *_ in lib._C._signatures()]
    for pattern in NO_ROW:
        assert any(re.fullmatch(pattern, s) for s in shown), pattern


def test_rows_name_real_functions() -> None:
    """Each row resolves in both libraries, and its first sample has what it says it has."""
    for case in CASES:
        case.resolve(torch)
        case.resolve(lib)
        samples = list(case.samples())
        assert samples, f"{case.id} has no samples"
        assert all(isinstance(s, Spec) for sample in samples for s in sample.specs())
