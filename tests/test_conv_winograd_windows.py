"""Winograd's algorithm for convolutions that are sums of small windows: strides, larger kernels,
rows, columns, depths, and the gradients of their inputs, which are transposed convolutions."""

from __future__ import annotations

import deeplite as dl
import numpy as np
import pytest
from deeplite.backends import conv, cpu

PASSES = ("forward", "backward_input")
ALL_PASSES = (*PASSES, "backward_weight")
SQUARES = (
    "winograd2",
    "winograd3",
    "winograd4",
    "winograd_pairs",
    "winograd5",
    "winograd6",
)
LINES = ("winograd_row3", "winograd_row4", "winograd_column3", "winograd_column4")
RESIDUES = "winograd_residues"  # for 3x3 windows of stride 2, and transposed ones of 4x4
# The largest error of a few channels' sums, as a share of the largest result (docs/numerics.md).
BOUND = {"winograd2": 3e-6, "winograd6": 4e-5} | dict.fromkeys(
    ("winograd4", "winograd5", RESIDUES), 8e-6
)

Case = tuple[tuple[int, ...], tuple[int, ...], list[int], list[int], list[int], int]


def random_case(rng: np.random.Generator) -> Case:
    """Sizes of x and w, stride, padding, dilation, groups."""
    rank = int(rng.choice([1, 2, 2, 2, 3]))
    stride = [int(v) for v in rng.choice([1, 1, 2, 2, 3], rank)]
    stride[-1] = min(stride[-1], 2)
    kernel = [int(v) for v in rng.choice([1, 2, 3, 3, 4, 5, 7], rank)]
    if rank == 2 and rng.random() < 0.3:  # what the gradient of the weights has
        kernel, stride = [3, 3], [1, 1]
    dilation = [
        1 if k > 1 and s > 1 else int(rng.choice([1, 1, 2, 3, 5, 17]))
        for k, s in zip(kernel, stride, strict=True)
    ]
    if rank == 3:
        dilation[0] = int(rng.integers(1, 3))
    padding = [int(rng.integers(0, k * d + 1)) for k, d in zip(kernel, dilation, strict=True)]
    most = 9 if rank == 3 else 26
    size = [
        max(1, d * (k - 1) + 1 - 2 * p) + int(rng.integers(0, most))
        for k, d, p in zip(kernel, dilation, padding, strict=True)
    ]
    groups = int(rng.choice([1, 1, 2, 3]))
    channels, filters = (int(v) for v in rng.integers(1, 40, 2))
    x = (int(rng.integers(1, 4)), groups * channels, *size)
    return x, (groups * filters, channels, *kernel), stride, padding, dilation, groups


def in_order(order: str, t: dl.Tensor) -> dl.Tensor:
    """t in an order of memory: "rows", "channels_last", where it has three dimensions or more."""
    if order == "rows" or t.dim() < 4:
        return t
    return t.contiguous(memory_format=dl.channels_last if t.dim() == 4 else dl.channels_last_3d)


def tensors(case: Case, seed: int = 7, order: str = "rows", weight: str = "") -> list[dl.Tensor]:
    """x, w, a gradient of y, and biases of y and x; weight: its own order."""
    rng = np.random.default_rng(seed)
    zeros = dl.zeros(case[0]), dl.zeros(case[1])
    y = getattr(dl, f"conv{len(case[2])}d")(*zeros, None, *case[2:])
    shapes = case[0], case[1], tuple(y.shape), case[1][:1], case[0][1:2]
    made = [dl.from_numpy(rng.standard_normal(s).astype("float32")) for s in shapes]
    orders = order, weight or order, order, order, order
    return [in_order(o, t) for o, t in zip(orders, made, strict=True)]


def run(case: Case, which: str, given: list[dl.Tensor], bias: bool = True) -> np.ndarray:
    x, w, y, add, _ = given
    if which == "forward":
        forward = getattr(dl, f"conv{len(case[2])}d")
        return forward(x, w, add if bias else None, *case[2:]).numpy()
    return dl._C._conv.run(x, w, y, *case[2:], which).numpy()


@pytest.mark.parametrize("isa", cpu.capability())
@pytest.mark.parametrize("order", ["rows", "channels_last"])
@pytest.mark.parametrize("which", ALL_PASSES)
def test_agrees_with_the_loops_on_random_shapes(which: str, order: str, isa: str) -> None:
    rng = np.random.default_rng(ALL_PASSES.index(which))
    seen: set[str] = set()
    for i in range(40):
        case = random_case(rng)
        given = tensors(case, 7, order, "rows" if i % 3 == 0 else order)
        bias = bool(rng.random() < 0.6)
        with conv.algorithm("reference"):
            exact = run(case, which, [t.double() for t in given], bias)
        with cpu.using_isa(isa):
            names = [o.name for o in conv.explain(*given[:2], *case[2:], which=which)]
            for name in sorted({*SQUARES, *LINES} & set(names)):
                with conv.algorithm(name):
                    got = run(case, which, given, bias)
                bound = BOUND.get(name, 5e-6) * max(1e-30, np.abs(exact).max())
                assert np.abs(got - exact).max() <= bound, (name, case)
                seen.add(name)
    weights = {"winograd2", "winograd4", "winograd6"}
    assert seen == (weights if which == "backward_weight" else {*SQUARES, *LINES})


@pytest.mark.parametrize("name", (*SQUARES, *LINES, RESIDUES))
def test_a_transposed_convolution_adds_its_bias(name: str) -> None:
    case: Case = ((2, 21, 15, 19), (37, 21, 4, 4), [2, 2], [1, 1], [1, 1], 1)
    _, w, y, _, bias = tensors(case)
    args = (case[2], case[3])
    with conv.algorithm("reference"):
        exact = dl.conv_transpose2d(y.double(), w.double(), bias.double(), *args).numpy()
    with conv.algorithm(name):
        got = dl.conv_transpose2d(y, w, bias, *args).numpy()
    assert np.abs(got - exact).max() <= BOUND.get(name, 5e-6) * np.abs(exact).max()


def random_residues(rng: np.random.Generator, taps: int = 3) -> Case:
    """A case of 3x3 (gradient of the input: 4x4, too) windows of stride 2, perhaps with a depth."""
    depth = rng.random() < 0.3
    channels, filters = (int(v) for v in rng.integers(1, 70, 2))
    groups, batch = int(rng.choice([1, 1, 2])), int(rng.integers(1, 4))
    padding = [int(v) for v in rng.integers(0, 3, 2)]
    size = [int(rng.integers(max(2, taps - 2 * p), 24)) for p in padding]
    kernel, stride, dilation = [taps, taps], [2, 2], [1, 1]
    if depth:
        kernel, stride = [int(rng.integers(1, 4)), *kernel], [int(rng.integers(1, 3)), *stride]
        padding, size, dilation = [1, *padding], [int(rng.integers(3, 7)), *size], [1, *dilation]
    x, w = (batch, groups * channels, *size), (groups * filters, channels, *kernel)
    return x, w, stride, padding, dilation, groups


@pytest.mark.parametrize("isa", cpu.capability())
@pytest.mark.parametrize("which", PASSES)
def test_residues_of_a_stride_agree_with_the_loops(which: str, isa: str) -> None:
    rng = np.random.default_rng(5)
    for i in range(40):
        case = random_residues(rng, 4 if which == "backward_input" and i % 2 else 3)
        given, bias = tensors(case), bool(rng.random() < 0.6)
        with conv.algorithm("reference"):
            exact = run(case, which, [t.double() for t in given], bias)
        with cpu.using_isa(isa), conv.algorithm(RESIDUES):
            assert RESIDUES in {o.name for o in conv.explain(*given[:2], *case[2:], which=which)}
            got = run(case, which, given, bias)
        assert np.abs(got - exact).max() <= BOUND[RESIDUES] * max(1e-30, np.abs(exact).max()), case


@pytest.mark.parametrize("which", PASSES)
def test_residues_are_as_exact_as_expected(which: str) -> None:
    given = tensors(((2, 64, 29, 30), (64, 64, 3, 3), [2, 2], [1, 1], [1, 1], 1))
    more = [2, 2], [1, 1], [1, 1], 1
    with conv.algorithm("reference"):
        exact = dl._C._conv.run(*[t.double() for t in given[:3]], *more, which).numpy()
    with conv.algorithm(RESIDUES):
        error = np.abs(dl._C._conv.run(*given[:3], *more, which).numpy() - exact).max()
    options = conv.explain(*given[:2], *more, which=which)
    expected = {o.name: o.expected_error for o in options}[RESIDUES]
    assert 0.05 * expected <= error / np.abs(exact).max() <= 2 * expected


CASES: dict[str, Case] = {
    "5x5": ((3, 40, 27, 27), (70, 40, 5, 5), [1, 1], [2, 2], [1, 1], 1),
    "stride": ((2, 130, 28, 30), (40, 130, 3, 3), [2, 2], [1, 1], [1, 1], 1),
    "depth": ((2, 24, 4, 14, 14), (33, 24, 3, 3, 3), [1, 1, 1], [1, 1, 1], [1, 1, 1], 1),
    "row": ((5, 70, 17, 17), (64, 70, 1, 7), [1, 1], [0, 3], [1, 1], 1),
    "column": ((5, 70, 17, 17), (64, 70, 7, 1), [1, 1], [3, 0], [1, 1], 1),
    "signal": ((2, 96, 400), (64, 96, 5), [1], [2], [1], 1),
    "dilation": ((2, 40, 30, 31), (50, 40, 3, 3), [1, 1], [6, 5], [6, 4], 1),
    "strided depth": ((2, 24, 5, 15, 17), (33, 24, 3, 3, 3), [1, 2, 2], [1, 0, 1], [1] * 3, 1),
    "4x4": ((2, 40, 20, 38), (70, 40, 4, 4), [2, 2], [1, 1], [1, 1], 1),
    "far": ((2, 40, 65, 60), (24, 40, 3, 3), [1, 1], [18, 18], [18, 18], 1),
    "groups": ((2, 36, 19, 20), (24, 12, 5, 5), [2, 2], [2, 2], [1, 1], 3),
}


@pytest.mark.parametrize("order", ["rows", "channels_last"])
@pytest.mark.parametrize("which", ALL_PASSES)
@pytest.mark.parametrize("name", (*SQUARES, *LINES, RESIDUES))
def test_bits_do_not_depend_on_threads(name: str, which: str, order: str) -> None:
    before = dl.get_num_threads()
    ran = 0
    try:
        for case in CASES.values():
            given = tensors(case, order=order)
            names = [o.name for o in conv.explain(*given[:2], *case[2:], which=which)]
            if name not in names:
                continue
            results = []
            with conv.algorithm(name):
                for threads in (1, 2, 4):
                    dl.set_num_threads(threads)
                    results.append(run(case, which, given))
            assert all(np.array_equal(results[0], r) for r in results[1:]), case
            ran += 1
    finally:
        dl.set_num_threads(before)
    assert ran >= 2 or which == "backward_weight" or (name, order) == (RESIDUES, "channels_last")


def names_for(kernel: tuple[int, ...], **more: int) -> set[str]:
    x, w = dl.zeros(1, 4, *[40] * len(kernel)), dl.zeros(5, 4, *kernel)
    return {o.name for o in conv.explain(x, w, **more)} & {*SQUARES, *LINES}


def test_windows_have_taps_wherever_a_tile_has_several_results() -> None:
    assert names_for((3, 3)) == names_for((5, 5), stride=2) == {*SQUARES, *LINES}
    assert names_for((1, 7)) == {"winograd_row3", "winograd_row4"} == names_for((5,))
    assert names_for((7, 1)) == {"winograd_column3", "winograd_column4"}
    assert names_for((3, 3), dilation=5) == {*SQUARES, *LINES}
    assert names_for((1, 1)) == names_for((3, 3), stride=3) == set()
    assert names_for((3, 3), stride=2, dilation=2) == set()
    # A hundred windows would be no gain.
    assert names_for((25, 25)) == set()


@pytest.mark.skipif("avx512" not in cpu.capability(), reason="figures of that instruction set")
@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("winograd4", ((8, 64, 27, 27), (192, 64, 5, 5), [1, 1], [2, 2], [1, 1], 1)),
        ("winograd4", ((8, 64, 8, 28, 28), (64, 64, 3, 3, 3), [1] * 3, [1] * 3, [1] * 3, 1)),
        ("winograd_row3", ((8, 128, 17, 17), (128, 128, 1, 7), [1, 1], [0, 3], [1, 1], 1)),
        ("winograd_column3", ((8, 128, 17, 17), (128, 128, 7, 1), [1, 1], [3, 0], [1, 1], 1)),
        ("winograd4", ((8, 512, 65, 65), (128, 512, 3, 3), [1, 1], [6, 6], [6, 6], 1)),
        ("winograd3", ((8, 512, 65, 65), (128, 512, 3, 3), [1, 1], [12, 12], [12, 12], 1)),
        ("winograd_pairs", ((8, 64, 32, 32), (128, 64, 4, 4), [2, 2], [1, 1], [1, 1], 1)),
        (RESIDUES, ((8, 512, 14, 14), (512, 512, 3, 3), [2, 2], [1, 1], [1, 1], 1)),
        (RESIDUES, ((8, 288, 35, 35), (384, 288, 3, 3), [2, 2], [0, 0], [1, 1], 1)),
        (RESIDUES, ((8, 256, 28, 28), (256, 256, 3, 3), [2, 2], [1, 1], [1, 1], 1)),
        ("winograd_row4", ((8, 384, 8, 8), (384, 384, 1, 3), [1, 1], [0, 1], [1, 1], 1)),
    ],
)
def test_layers_of_networks_choose_it(name: str, case: Case) -> None:
    x, w = dl.zeros(case[0]), dl.zeros(case[1])
    with cpu.using_isa("avx512"):
        for which in PASSES:
            here = RESIDUES if name == "winograd_pairs" and which == "backward_input" else name
            assert conv.explain(x, w, *case[2:], which=which)[0].name == here


# kappa of docs/numerics.md, to the power of the dimensions, and the windows of a 3x3 kernel.
GROWTH = {
    "winograd3": (196, 1),
    "winograd_pairs": (122, 4),
    "winograd5": (362, 4),
    "winograd_row3": (28.3, 3),
    "winograd_row4": (23.7, 3),
    "winograd_column3": (28.3, 3),
    "winograd_column4": (23.7, 3),
}


@pytest.mark.parametrize("kind", ["normal", "spikes", "ramp"])
@pytest.mark.parametrize("name", GROWTH)
def test_keeps_its_error_bound(name: str, kind: str) -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, 48, 15, 15))
    if kind == "spikes":
        x *= np.where(rng.random(x.shape) < 0.01, 1e4, 1)
    elif kind == "ramp":
        x = np.abs(x) + np.arange(15) * 4
    w = rng.standard_normal((40, 48, 3, 3)).astype("float32")
    a, b = dl.from_numpy(x.astype("float32")), dl.from_numpy(w)
    with conv.algorithm("implicit_gemm"):
        exact = dl.conv2d(a.double(), b.double(), None, 1, 1).numpy()
    with conv.algorithm(name):
        error = np.abs(dl.conv2d(a, b, None, 1, 1).numpy() - exact)
    largest = np.einsum("nc,kc->nk", np.abs(x).max((2, 3)), np.abs(w).max((2, 3)))[..., None, None]
    growth, windows = GROWTH[name]
    assert (error <= growth * windows * 2.0**-24 * largest).all()
    if kind == "normal":  # what the choice takes it to be
        expected = {o.name: o.expected_error for o in conv.explain(a, b, 1, 1)}[name]
        assert 0.05 * expected <= error.max() / np.abs(exact).max() <= 2 * expected
