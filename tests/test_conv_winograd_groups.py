"""Winograd's algorithm for groups of a few channels, from the images to the results in one go."""

from __future__ import annotations

import deeplite as dl
import numpy as np
import pytest
from deeplite.backends import conv, cpu

NAME = "winograd_groups"
PASSES = ("forward", "backward_input", "backward_weight")
LANES = {"avx2": 8, "avx512": 16}  # of the vectors of which channels and filters fill two at most
ISAS = [isa for isa in cpu.capability() if isa in LANES]
needs_wide_vectors = pytest.mark.skipif("avx512" not in cpu.capability(), reason="16 lanes")
Case = tuple[tuple[int, int, int, int], int, list[int], int]  # x, filters, padding, groups

# Whole images, several in a block, rows of tiles; one, two or half a vector of channels or filters,
# all lanes of it or some; an odd group left over; tiles that end inside or far beyond a row.
CASES: list[Case] = [
    ((8, 64, 14, 14), 64, [1, 1], 4),
    ((9, 64, 7, 7), 64, [1, 1], 2),
    ((2, 40, 28, 28), 40, [1, 1], 5),
    ((3, 24, 41, 57), 21, [0, 2], 3),
    ((1, 34, 70, 3), 62, [2, 1], 2),
    ((5, 90, 9, 17), 51, [1, 0], 3),
    ((3, 15, 1, 2), 15, [2, 2], 5),
    ((2, 32, 3, 130), 32, [0, 1], 2),
]


def tensors(case: Case, dtype: str = "float32") -> tuple[dl.Tensor, dl.Tensor, dl.Tensor]:
    """x, w and the gradient of y."""
    rng = np.random.default_rng(5)
    x, filters, padding, groups = case
    size = [n + 2 * p - 2 for n, p in zip(x[2:], padding, strict=True)]
    shapes = [x, (filters, x[1] // groups, 3, 3), (x[0], filters, *size)]
    a, b, c = (dl.from_numpy(rng.standard_normal(s).astype(dtype)) for s in shapes)
    return a, b, c


def run(case: Case, which: str, name: str, dtype: str = "float32") -> np.ndarray:
    """The pass by this algorithm, the first two with a bias."""
    x, w, y = tensors(case, dtype)
    padding, groups = case[2], case[3]
    rng = np.random.default_rng(6)
    bias = dl.from_numpy(
        rng.standard_normal(w.shape[0] if which == "forward" else x.shape[1]).astype(dtype)
    )
    with conv.algorithm(name, passes=[which]):
        if which == "forward":
            return dl.conv2d(x, w, bias, 1, padding, 1, groups).numpy()
        if which == "backward_input":
            return dl.conv_transpose2d(y, w, bias, 1, padding, 0, groups).numpy()
        return dl._C._conv.run(x, w, y, [1, 1], padding, [1, 1], groups, which).numpy()


def applies(case: Case, which: str) -> bool:
    x, w, _ = tensors(case)
    options = conv.explain(x, w, 1, case[2], 1, case[3], which=which)
    return NAME in [o.name for o in options]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("which", PASSES)
@pytest.mark.parametrize("case", CASES)
def test_agrees_with_the_loops_on_any_threads(case: Case, which: str, isa: str) -> None:
    before = dl.get_num_threads()
    results = []
    with cpu.using_isa(isa):
        fits = max(case[0][1], case[1]) // case[3] <= 2 * LANES[isa]
        assert applies(case, which) == fits
        if not fits:
            return
        try:
            for threads in (1, 2, 4):
                dl.set_num_threads(threads)
                results.append(run(case, which, NAME))
        finally:
            dl.set_num_threads(before)
        exact = run(case, which, "reference", "float64")
    # As winograd4 (test_conv_algorithms.py).
    assert np.abs(results[0] - exact).max() <= 6e-6 * np.abs(exact).max()
    assert all(np.array_equal(results[0], r) for r in results[1:])


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("which", PASSES)
def test_agrees_with_the_loops_on_random_shapes(which: str, isa: str) -> None:
    rng = np.random.default_rng(PASSES.index(which))
    with cpu.using_isa(isa):
        for _ in range(40):
            groups, n = int(rng.integers(2, 6)), int(rng.integers(1, 6))
            channels, filters = (int(v) for v in rng.integers(1, 2 * LANES[isa] + 1, 2))
            padding = [int(v) for v in rng.integers(0, 3, 2)]
            h, w = (int(rng.integers(3 if p == 0 else 1, 40)) for p in padding)
            case: Case = ((n, groups * channels, h, w), groups * filters, padding, groups)
            got, exact = run(case, which, NAME), run(case, which, "reference", "float64")
            assert np.abs(got - exact).max() <= 6e-6 * np.abs(exact).max(), case


@needs_wide_vectors
def test_applies_to_dense_3x3_windows_of_small_groups() -> None:
    def names(x: tuple, w: tuple, *args: object, dtype: str = "float32") -> list[str]:
        a, b = (dl.from_numpy(np.ones(s, dtype)) for s in (x, w))
        return [o.name for o in conv.explain(a, b, *args)]

    with cpu.using_isa("avx512"):
        x, w = (1, 64, 9, 9), (64, 32, 3, 3)
        assert NAME in names(x, w, 1, 1, 1, 2)
        assert NAME not in names(x, w, 1, 1, 1, 2, dtype="float64")
        assert NAME not in names(x, w, 2, 1, 1, 2)
        assert NAME not in names(x, w, 1, 1, 2, 2)
        assert NAME not in names(x, w, 1, 3, 1, 2)
        assert NAME not in names(x, (64, 32, 3, 5), 1, 1, 1, 2)
        assert NAME not in names((1, 66, 9, 9), (66, 33, 3, 3), 1, 1, 1, 2)
        assert NAME not in names((1, 32, 9, 9), (32, 32, 3, 3), 1, 1, 1, 1)
    for isa in set(cpu.capability()) - {"avx512"}:
        with cpu.using_isa(isa):
            assert NAME not in names(x, w, 1, 1, 1, 2)
            few = names((1, 32, 9, 9), (32, 16, 3, 3), 1, 1, 1, 2)
            assert (NAME in few) == (isa in LANES)


@needs_wide_vectors
@pytest.mark.parametrize("which", PASSES)
def test_is_chosen_where_groups_fill_a_vector(which: str) -> None:
    with cpu.using_isa("avx512"):
        for channels, size in ((512, 14), (1024, 7)):  # ResNeXt-50's
            x, w = dl.ones(8, channels, size, size), dl.ones(channels, channels // 32, 3, 3)
            assert conv.explain(x, w, 1, 1, 1, 32, which=which)[0].name == NAME


@pytest.mark.parametrize("isa", ISAS)
def test_nothing_is_read_beyond_the_images(isa: str) -> None:
    """NaN all around the images' memory, and in the other images, stays out of the results."""
    for shape, filters, groups in (((3, 48, 7, 7), 48, 3), ((3, 24, 30, 31), 24, 3)):
        size = int(np.prod(shape))
        memory = np.full(size + 128, np.nan, np.float32)
        memory[64 + size // 3 : 64 + 2 * size // 3] = 1
        x = dl.from_numpy(memory)[64 : 64 + size].view(*shape)
        w = dl.ones(filters, shape[1] // groups, 3, 3)
        with cpu.using_isa(isa), conv.algorithm(NAME):
            y = dl.conv2d(x, w, None, 1, 1, 1, groups).numpy()
        assert np.isfinite(y[1]).all()
