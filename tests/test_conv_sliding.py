"""Convolution without Winograd: each algorithm on random shapes against the plain loops."""

from __future__ import annotations

import deeplite as dl
import numpy as np
import pytest
from deeplite.backends import conv, cpu

PASSES = ("forward", "backward_input", "backward_weight")
ALGORITHMS = (
    "atrous",
    "broadcast",
    "depthwise",
    "direct",
    "fold",
    "grouped",
    "implicit_gemm",
    "masked",
    "panels",
    "panels_turned",
    "patches",
    "pointwise",
    "rows",
    "rows_turned",
    "strassen",
    "turned",
    "windows",
)
Case = tuple[tuple[int, ...], tuple[int, ...], list[int], list[int], list[int], int]


def pointwise_case(rng: np.random.Generator) -> Case:
    """Planes from a vector to several tiles, sums in one block of channels or several."""
    rank, groups = int(rng.choice([1, 2, 2, 3])), int(rng.choice([1, 1, 2, 3]))
    size = [int(rng.integers(1, {1: 300, 2: 20, 3: 8}[rank])) for _ in range(rank)]
    size[-1] += 4
    channels = int(rng.choice([rng.integers(1, 60), rng.integers(500, 1100)], p=[0.8, 0.2]))
    filters, batch = int(rng.integers(1, 60)), int(rng.integers(1, 4))
    if rng.random() < 0.5:
        channels, filters = filters, channels
    x, w = (batch, groups * channels, *size), (groups * filters, channels, *[1] * rank)
    return x, w, [1] * rank, [0] * rank, [int(rng.integers(1, 3))] * rank, groups


def turned_case(rng: np.random.Generator) -> Case:
    """Kernels of size 1 with strides, planes of any size, one block of channels or several."""
    x, w, stride, padding, dilation, _ = pointwise_case(rng)
    channels, filters = int(rng.choice([w[1], 700])), int(rng.integers(1, 100))
    x, w = (x[0], channels, *(max(1, n - 4) for n in x[2:])), (filters, channels, *w[2:])
    stride = [int(v) for v in rng.choice([1, 1, 2, 3], len(stride))]
    return x, w, stride, padding, dilation, 1


def random_case(rng: np.random.Generator, name: str) -> Case:
    """Sizes of x and w, stride, padding, dilation, groups; depthwise: in two dimensions."""
    if name in ("strassen", "turned"):
        return turned_case(rng)
    if name in ("pointwise", "rows_turned", "panels", "panels_turned"):
        case = pointwise_case(rng)
        if name == "panels_turned" and rng.random() < 0.4:
            return case[0], case[1], [int(v) for v in rng.integers(1, 4, len(case[2]))], *case[3:]
        return case
    depthwise, atrous = name == "depthwise", name == "atrous"
    rank = 2 if depthwise or atrous or name == "grouped" else int(rng.choice([1, 2, 2, 2, 3]))
    stride = [int(v) for v in rng.choice([1, 1, 2, 3, 4], rank)]
    dilation = [int(v) for v in rng.choice([1, 1, 2, 3], rank)]
    kernel = [int(v) for v in rng.choice([1, 2, 3, 3, 5, 7], rank)]
    small = depthwise and rng.random() < 0.4  # planes whose channels become lanes
    if depthwise:
        stride = [int(rng.integers(1, 3))] * 2
        dilation = [1, 1] if stride[0] == 2 else dilation
        rows = int(rng.choice([3, 3, 5, 7]))
        kernel = [rows, rows if small else int(rng.choice([rows, rng.integers(1, 8)]))]
        dilation = [dilation[0]] * 2 if rng.random() < 0.5 or small else dilation
    elif rng.random() < 0.2:
        kernel = [1] * rank
    if name == "fold":  # windows that do not overlap, with and without gaps
        kernel = [int(v) for v in rng.choice([1, 2, 3, 4, 5, 8, 16], rank)]
        stride = [k + int(rng.choice([0, 0, 1])) for k in kernel]
        dilation = [1] * rank
    if name == "windows" and rng.random() < 0.5:  # runs of several vectors, in place or padded
        kernel = [*kernel[1:], int(rng.choice([4, 8, 11, 16, 18, 32]))]
        stride[-1] = int(rng.choice([1, 4, kernel[-1], 20]))
        dilation = [1] * rank
    if atrous:
        stride, dilation = [1, 1], [int(rng.integers(1, 4)), int(rng.integers(2, 5))]
    padding = [int(rng.integers(0, k * d + 1)) for k, d in zip(kernel, dilation, strict=True)]
    if name == "fold" or (name == "windows" and rng.random() < 0.3):
        padding = [0] * rank
    if atrous:
        padding = [p // d * d for p, d in zip(padding, dilation, strict=True)]
    most = 9 if rank == 3 or small else 160 if depthwise and rng.random() < 0.3 else 45
    size = [
        max(1, d * (k - 1) + 1 - 2 * p) + int(rng.integers(0, most))
        for k, d, p in zip(kernel, dilation, padding, strict=True)
    ]
    groups = int(rng.integers(2, 9)) if depthwise else int(rng.choice([1, 1, 2, 4]))
    if small:
        groups = int(rng.integers(8, 40))
    if name == "grouped":  # an odd count of groups, too: two of them share a vector
        groups, stride = int(rng.integers(2, 6)), [stride[0], int(rng.choice([1, 2]))]
    channels = 1 if depthwise else int(rng.integers(1, 20))
    filters = int(rng.choice([1, 1, 2])) if depthwise else int(rng.integers(1, 40))
    batch = int(rng.integers(1, 4))
    x, w = (batch, groups * channels, *size), (groups * filters, channels, *kernel)
    return x, w, stride, padding, dilation, groups


def run(case: Case, which: str, name: str, dtype: str, bias: bool = False) -> np.ndarray | None:
    """The pass by this algorithm, None where it does not apply."""
    rng = np.random.default_rng(7)
    x, w = (dl.from_numpy(rng.standard_normal(shape).astype(dtype)) for shape in case[:2])
    if name not in [o.name for o in conv.explain(x, w, *case[2:], which=which)]:
        return None
    rank = len(case[2])
    add = dl.from_numpy(rng.standard_normal(w.shape[0]).astype(dtype)) if bias else None
    forward = getattr(dl, f"conv{rank}d")
    with conv.algorithm(name, passes=[which]):
        if which == "forward":
            return forward(x, w, add, *case[2:]).numpy()
        with conv.algorithm("reference", passes=["forward"]):
            y = forward(x, w, None, *case[2:])
        dy = dl.from_numpy(rng.standard_normal(tuple(y.shape)).astype(dtype))
        return dl._C._conv.run(x, w, dy, *case[2:], which).numpy()


def by_threads(case: Case, which: str, name: str, bias: bool = False) -> list[np.ndarray | None]:
    """What `run` answers in float32 on 1, 2 and 4 threads."""
    before = dl.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 4):
            dl.set_num_threads(threads)
            results.append(run(case, which, name, "float32", bias=bias))
    finally:
        dl.set_num_threads(before)
    return results


@pytest.mark.parametrize("isa", cpu.capability())
@pytest.mark.parametrize("which", PASSES)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_agrees_with_the_loops_on_random_shapes(name: str, which: str, isa: str) -> None:
    rng = np.random.default_rng([ALGORITHMS.index(name), PASSES.index(which)])
    ran = 0
    with cpu.using_isa(isa):
        for _ in range(25):
            case = random_case(rng, name)
            dtype, bias = str(rng.choice(["float32", "float64"])), bool(rng.random() < 0.5)
            got = run(case, which, name, dtype, bias)
            if got is None:
                continue
            exact = run(case, which, "reference", "float64", bias)
            bound = 5e-6 if dtype == "float32" else 1e-13
            bound = 2e-5 if name == "atrous" else bound  # Winograd within
            assert np.abs(got - exact).max() <= bound * max(1e-30, np.abs(exact).max()), case
            ran += 1
    applies = name != "depthwise" or isa in ("avx2", "avx512")
    forwards = ("broadcast", "direct", "strassen", "turned")
    applies = applies and (which != "backward_weight" or name not in forwards)
    applies = applies and (which != "backward_input" or name != "patches")
    applies = applies and (which == "backward_input" or name != "fold")
    weights = name.startswith(("panels", "rows")) or name == "windows"
    applies = applies and (which == "backward_weight" or not weights)
    applies = applies and (name != "grouped" or isa in ("avx2", "avx512"))
    assert ran > 0 or not applies


@pytest.mark.parametrize("isa", cpu.capability())
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_narrow_depthwise_planes(kernel: int, stride: int, isa: str) -> None:
    """Rows of one or two planes in a vector: every width, odd counts of channels and images."""
    with cpu.using_isa(isa):
        for width in range(1, 20):
            padding = [kernel // 2, (width * 5) % (kernel + 1)]
            if width + 2 * padding[1] < kernel:
                continue
            channels, images = (2, 3, 5)[width % 3], (1, 2, 3)[width // 3 % 3]
            x, w = (images, channels, 1 + width % 8, width), (channels, 1, kernel, kernel)
            case: Case = (x, w, [stride, stride], padding, [1, 1], channels)
            for which in ("forward", "backward_input"):
                for dtype, bound in (("float32", 5e-6), ("float64", 1e-13)):
                    got = run(case, which, "depthwise", dtype, True)
                    exact = run(case, which, "reference", "float64", True)
                    if got is not None:
                        assert np.abs(got - exact).max() <= bound * np.abs(exact).max(), case


@pytest.mark.parametrize("which", PASSES)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_bits_do_not_depend_on_threads(name: str, which: str) -> None:
    cases: list[Case] = [
        ((1, 3, 40, 37), (24, 3, 5, 5), [2, 2], [2, 2], [1, 1], 1),
        ((3, 64, 9, 9), (40, 64, 3, 3), [1, 1], [1, 1], [1, 1], 1),
        ((2, 40, 14, 14), (40, 1, 3, 3), [1, 1], [1, 1], [1, 1], 40),
        ((2, 96, 100), (64, 96, 3), [2], [1], [1], 1),
        ((2, 20, 19, 23), (12, 20, 3, 3), [1, 1], [2, 4], [2, 4], 1),
        ((2, 3, 65, 64), (600, 3, 4, 4), [4, 4], [0, 0], [1, 1], 1),
        ((3, 40, 9, 11), (70, 40, 1, 1), [1, 1], [0, 0], [1, 1], 1),
        ((1, 700, 6, 7), (30, 700, 1, 1), [1, 1], [0, 0], [1, 1], 1),
        ((2, 30, 6, 7), (700, 30, 1, 1), [1, 1], [0, 0], [1, 1], 1),
        ((3, 80, 14, 14), (80, 16, 3, 3), [2, 2], [1, 1], [1, 1], 5),
    ]
    for case in cases:
        results = by_threads(case, which, name)
        if results[0] is None:
            continue
        assert all(np.array_equal(results[0], r) for r in results[1:]), case


@pytest.mark.parametrize("channels", (5, 600))
def test_pointwise_gradient_of_the_input_adds_a_bias(channels: int) -> None:
    rng = np.random.default_rng(3)
    y, w, bias = (rng.standard_normal(s) for s in ((2, channels, 5, 7), (channels, 13, 1, 1), 13))
    exact = np.einsum("nkhw,kc->nchw", y, w[:, :, 0, 0]) + bias[None, :, None, None]
    with conv.algorithm("pointwise"):
        got = dl.conv_transpose2d(*(dl.from_numpy(a) for a in (y, w, bias))).numpy()
    assert np.abs(got - exact).max() <= 1e-13 * np.abs(exact).max()


# Late layers: many channels, few positions; sums longer than a block; images that share a tile.
LATE: list[Case] = [
    ((3, 300, 7, 7), (150, 300, 1, 1), [1, 1], [0, 0], [1, 1], 1),
    ((2, 130, 14, 13), (130, 130, 3, 3), [2, 2], [1, 1], [1, 1], 1),
    ((2, 600, 8, 8), (70, 600, 1, 1), [2, 2], [0, 0], [1, 1], 1),
    ((1, 70, 6, 9, 8), (80, 70, 3, 3, 3), [2, 1, 2], [1, 1, 1], [1, 1, 1], 1),
    ((2, 90, 21, 20), (65, 90, 3, 3), [1, 1], [4, 4], [4, 4], 1),
]


def is_right_for_any_threads(case: Case, which: str, name: str) -> None:
    exact = run(case, which, "reference", "float64", bias=True)
    results = by_threads(case, which, name, bias=True)
    assert results[0] is not None and exact is not None
    assert np.abs(results[0] - exact).max() <= 5e-6 * np.abs(exact).max()
    assert all(np.array_equal(results[0], r) for r in results[1:])


@pytest.mark.parametrize("which", PASSES)
@pytest.mark.parametrize("case", LATE)
def test_many_channels(case: Case, which: str) -> None:
    """Products of many channels, however the work is shared out: right, and the same bits."""
    name = "rows" if which == "backward_weight" and case[1][2:] != (1, 1) else "implicit_gemm"
    is_right_for_any_threads(case, which, name)


# Few pixels and many blocks of channels, images and rows that end inside of a tile, many pixels.
TURNED: list[Case] = [
    ((8, 600, 7, 7), (150, 600, 1, 1), [1, 1], [0, 0], [1, 1], 1),
    ((3, 40, 13, 13), (1030, 40, 1, 1), [1, 1], [0, 0], [1, 1], 1),
    ((2, 600, 28, 27), (70, 600, 1, 1), [2, 2], [0, 0], [1, 1], 1),
    ((2, 70, 6, 9, 8), (190, 70, 1, 1, 1), [2, 1, 3], [0, 0, 0], [1, 1, 1], 1),
    ((3, 1029, 5, 5), (97, 1029, 1, 1), [1, 1], [0, 0], [1, 1], 1),
    ((1, 35, 40, 41), (65, 35, 1, 1), [1, 1], [0, 0], [1, 1], 1),
    ((70, 33, 1, 1), (130, 33, 1, 1), [1, 1], [0, 0], [1, 1], 1),
]


@pytest.mark.parametrize("isa", cpu.capability())
@pytest.mark.parametrize("which", PASSES[:2])
@pytest.mark.parametrize("case", TURNED)
@pytest.mark.parametrize("name", ("strassen", "turned"))
def test_pixels_in_rows(name: str, case: Case, which: str, isa: str) -> None:
    with cpu.using_isa(isa):
        is_right_for_any_threads(case, which, name)


# Groups of a few channels: planes in place, split, cut into bands and stretches, images that share
# vectors, images too many for one copy; ends of rows and planes inside of a vector.
GROUPED: list[Case] = [
    ((3, 16, 56, 56), (16, 4, 3, 3), [1, 1], [1, 1], [1, 1], 4),
    ((2, 12, 71, 68), (18, 4, 3, 3), [2, 2], [1, 1], [1, 1], 3),
    ((9, 64, 7, 7), (64, 32, 3, 3), [1, 1], [1, 1], [1, 1], 2),
    ((11, 34, 14, 14), (34, 17, 3, 3), [2, 2], [1, 1], [1, 1], 2),
    ((3, 20, 13, 15), (30, 10, 5, 5), [1, 1], [2, 2], [1, 1], 2),
    ((2, 24, 30, 31), (16, 12, 5, 5), [3, 2], [2, 2], [1, 1], 2),
    ((5, 16, 9, 9), (16, 8, 3, 3), [1, 1], [2, 2], [2, 2], 2),
    ((2, 12, 5, 11, 12), (12, 6, 3, 3, 3), [2, 2, 2], [1, 1, 1], [1, 1, 1], 2),
]


@pytest.mark.parametrize("isa", cpu.capability())
@pytest.mark.parametrize("which", PASSES)
@pytest.mark.parametrize("case", GROUPED)
@pytest.mark.parametrize("name", ("grouped", "masked"))
def test_few_channels_a_group(name: str, case: Case, which: str, isa: str) -> None:
    """Without packing: right, and the same bits, however the work is shared out."""
    with cpu.using_isa(isa):
        exact = run(case, which, "reference", "float64", bias=True)
        results = by_threads(case, which, name, bias=True)
    if name == "grouped" and (isa not in ("avx2", "avx512") or len(case[2]) == 3):
        assert results == [None] * 3
        return
    assert results[0] is not None and exact is not None
    assert np.abs(results[0] - exact).max() <= 5e-6 * np.abs(exact).max()
    assert all(np.array_equal(results[0], r) for r in results[1:])


def test_grouped_layers_are_not_packed() -> None:
    """ResNeXt's strided layers: by the model, no other algorithm is as fast. (With vectors of four
    floats the gradient of the weights is left to `rows`, which packs nothing either.)"""
    x, w = dl.ones(2, 64, 28, 28), dl.ones(64, 8, 3, 3)
    for which in PASSES:
        assert conv.explain(x, w, 2, 1, 1, 8, which=which)[0].name in ("grouped", "masked", "rows")


@pytest.mark.parametrize(
    "name", ("broadcast", "direct", "fold", "implicit_gemm", "masked", "strassen", "turned")
)
def test_gaps_between_strides_are_zero(name: str) -> None:
    """A window smaller than the stride leaves inputs that nothing depends on."""
    x, w = dl.ones(1, 4, 9, 9), dl.ones(5, 4, 1, 1)
    with conv.algorithm(name):
        dx = dl._C._conv.run(x, w, dl.ones(1, 5, 3, 3), [3, 3], [0, 0], [1, 1], 1, "backward_input")
    expected = np.zeros((1, 4, 9, 9), np.float32)
    expected[:, :, ::3, ::3] = 5
    assert np.array_equal(dx.numpy(), expected)


def test_nothing_is_read_beyond_the_tensors() -> None:
    """NaN all around the tensors' memory stays out of the results."""
    for shape, kernel, groups, name in [
        ((1, 8, 7, 7), (8, 1, 3, 3), 8, "depthwise"),
        ((1, 8, 15, 15), (8, 1, 5, 5), 8, "depthwise"),
        ((1, 3, 17, 17), (6, 3, 3, 3), 1, "direct"),
        ((1, 3, 17, 17), (20, 3, 1, 1), 1, "broadcast"),
        ((1, 3, 17, 17), (20, 3, 1, 1), 1, "pointwise"),
        ((1, 3, 17, 17), (20, 3, 1, 1), 1, "implicit_gemm"),
        ((1, 3, 17, 17), (20, 3, 1, 1), 1, "turned"),
        ((1, 3, 17, 17), (20, 3, 1, 1), 1, "strassen"),
        ((1, 3, 17, 17), (20, 3, 3, 3), 1, "implicit_gemm"),
        ((1, 8, 17, 17), (8, 4, 3, 3), 2, "masked"),
        ((1, 8, 7, 7), (8, 4, 3, 3), 2, "masked"),
        ((1, 8, 17, 17), (32, 4, 3, 3), 2, "grouped"),
        ((1, 12, 7, 7), (15, 4, 3, 3), 3, "grouped"),
    ]:
        size = int(np.prod(shape))
        memory = np.full(size + 128, np.nan, np.float32)
        memory[64 : 64 + size] = 1
        x = dl.from_numpy(memory)[64 : 64 + size].view(*shape)
        w, padding = dl.ones(*kernel), kernel[2] // 2
        options = conv.explain(x, w, padding=padding, groups=groups)
        if name == "depthwise" and name not in [o.name for o in options]:
            assert cpu.isa() not in ("avx2", "avx512")  # it needs one of these
            continue
        if name == "grouped" and cpu.isa() not in ("avx2", "avx512"):
            assert name not in [o.name for o in options]
            continue
        with conv.algorithm(name):
            y = dl.conv2d(x, w, None, 1, padding, 1, groups).numpy()
        assert np.isfinite(y).all(), name
