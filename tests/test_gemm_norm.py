"""Matrix products and normalisations at the sizes where their kernels change course: edges of
register tiles, several blocks of the sum, sums cut into parts, vectors and narrow matrices,
broadcast batches, statistics far from zero."""

from __future__ import annotations

from collections.abc import Iterator

import deeplite as dl
import numpy as np
import pytest

ISAS = (*dl.backends.cpu.capability(), "reference")
# m, k, n: tile edges of every instruction set; more than one block of k; split sums; narrow sides.
SIZES = [
    (13, 17, 31), (14, 64, 32), (15, 65, 33), (29, 7, 97), (43, 400, 65), (57, 1100, 49),
    (1, 300, 513), (1, 9000, 3), (3, 260, 129), (7, 300, 200), (28, 33, 64), (200, 5, 3),
    (9, 20000, 11), (64, 6400, 40), (130, 1, 130), (100, 512, 2),
]  # fmt: skip


@pytest.fixture(autouse=True)
def restore() -> Iterator[None]:
    threads, isa = dl.get_num_threads(), dl.backends.cpu.isa()
    yield
    dl.set_num_threads(threads)
    dl.backends.cpu.set_isa(isa)


def laid_out(rng: np.random.Generator, rows: int, cols: int, how: str, dtype: str) -> np.ndarray:
    if how == "N":
        return rng.standard_normal((rows, cols)).astype(dtype)
    if how == "T":
        return rng.standard_normal((cols, rows)).astype(dtype).T
    return rng.standard_normal((rows, 2 * cols)).astype(dtype)[:, ::2]  # every second column


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("isa", ISAS)
def test_products_of_awkward_sizes(isa: str, dtype: str) -> None:
    """Against NumPy in float64; and the same bits whatever the number of threads."""
    dl.backends.cpu.set_isa(isa)
    sizes = SIZES if isa != "reference" else [s for s in SIZES if np.prod(s) < 500_000]
    for number, (m, k, n) in enumerate(sizes):
        rng = np.random.default_rng(number)
        for layout in ("NN", "NT", "TN", "TT", "NS", "SN"):
            a = laid_out(rng, m, k, layout[0], dtype)
            b = laid_out(rng, k, n, layout[1], dtype)
            x, y = dl.from_numpy(a), dl.from_numpy(b)
            results = []
            for threads in (1, 3):
                dl.set_num_threads(threads)
                results.append((x @ y).numpy())
            np.testing.assert_array_equal(*results, err_msg=f"{(m, k, n)} {layout} threads")
            a64, b64 = a.astype(np.float64), b.astype(np.float64)
            bound = 4 * np.finfo(dtype).eps * (np.sqrt(k) + 1) * (np.abs(a64) @ np.abs(b64))
            error = np.abs(results[0] - a64 @ b64)
            assert (error <= bound).all(), f"{isa} {(m, k, n)} {layout}: {error.max()}"


@pytest.mark.parametrize("isa", ISAS)
def test_fused_bias_and_accumulation(isa: str) -> None:
    dl.backends.cpu.set_isa(isa)
    rng = np.random.default_rng(0)
    for m, k, n in ((15, 900, 33), (5, 7, 3), (33, 64, 65), (90, 1100, 33)):
        x, w, c = (rng.standard_normal(s) for s in ((m, k), (n, k), (m, n)))
        bias = rng.standard_normal(n)
        linear = dl.nn.functional.linear(*map(dl.from_numpy, (x, w, bias)))
        np.testing.assert_allclose(linear.numpy(), x @ w.T + bias, rtol=1e-10, atol=1e-10)
        added = dl.addmm(*map(dl.from_numpy, (c, x, w.T)), beta=0.5, alpha=-2)
        np.testing.assert_allclose(added.numpy(), 0.5 * c - 2 * x @ w.T, rtol=1e-10, atol=1e-10)
        inplace = dl.from_numpy(c.copy())
        inplace.addmm_(dl.from_numpy(x), dl.from_numpy(w.T))
        np.testing.assert_allclose(inplace.numpy(), c + x @ w.T, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("isa", ISAS)
def test_bfloat16_products_are_summed_in_float32(isa: str) -> None:
    """Rounded once, at the end: half a unit in the last place of bfloat16, and float32's error."""
    dl.backends.cpu.set_isa(isa)
    sizes = [*SIZES, (1, 1, 1), (3, 5, 7), (8, 4097, 33), (57, 2100, 49), (40, 3001, 70)]
    sizes = sizes if isa != "reference" else [s for s in sizes if np.prod(s) < 500_000]
    for number, (m, k, n) in enumerate(sizes):
        rng = np.random.default_rng(number)
        for layout in ("NN", "NT", "TN", "TT", "NS", "SN"):
            x = dl.from_numpy(laid_out(rng, m, k, layout[0], "float32")).bfloat16()
            y = dl.from_numpy(laid_out(rng, k, n, layout[1], "float32")).bfloat16()
            results = []
            for threads in (1, 3):
                dl.set_num_threads(threads)
                results.append((x @ y).float().numpy())
            np.testing.assert_array_equal(*results, err_msg=f"{(m, k, n)} {layout} threads")
            a, b = x.double().numpy(), y.double().numpy()
            bound = 2.0**-8 * np.abs(a @ b)
            bound += 4 * np.finfo("float32").eps * (np.sqrt(k) + 1) * (np.abs(a) @ np.abs(b))
            error = np.abs(results[0] - a @ b)
            assert (error <= bound).all(), f"{isa} {(m, k, n)} {layout}: {error.max()}"


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_fused_linear_is_what_it_is_composed_of(isa: str, dtype: str) -> None:
    """At sizes of every kernel; the gradient's composed form judges, in float64."""
    dl.backends.cpu.set_isa(isa)
    rng = np.random.default_rng(5)
    eps = {"float32": 2.0**-23, "float64": 2.0**-52, "bfloat16": 2.0**-8}[dtype]
    for m, k, n in (
        (1, 300, 40),
        (3, 70, 17),
        (15, 900, 33),
        (40, 64, 65),
        (64, 5000, 3),
        (50, 1100, 33),
    ):
        shapes = ((m, k), (n, k), (n,), (n,), (m, n))
        args = [dl.from_numpy(rng.standard_normal(s)).to(getattr(dl, dtype)) for s in shapes]
        wide = [a.double().clone().requires_grad_() for a in args]
        for activation in ("none", "relu", "sigmoid", "tanh", "silu", "gelu", "gelu_tanh"):
            fused = dl.nn.functional.fused_linear(*args, activation).double().numpy()
            judge = dl.nn.functional.fused_linear(*wide, activation).detach().numpy()
            np.testing.assert_allclose(fused, judge, rtol=4 * eps, atol=64 * eps * np.sqrt(k))


def test_zero_beta_does_not_read_the_input() -> None:
    nan = dl.full((3, 2), float("nan"))
    result = dl.addmm(nan, dl.ones(3, 4), dl.ones(4, 2), beta=0)
    np.testing.assert_array_equal(result.numpy(), np.full((3, 2), 4.0, np.float32))


@pytest.mark.parametrize("dtype", ["int64", "int32", "int16", "int8", "uint8"])
def test_integers_wrap_around(dtype: str) -> None:
    rng = np.random.default_rng(1)
    info = np.iinfo(dtype)
    a = rng.integers(info.min, info.max, (9, 300), dtype=dtype)
    b = rng.integers(info.min, info.max, (300, 7), dtype=dtype)
    with np.errstate(over="ignore"):
        expected = a @ b
    np.testing.assert_array_equal((dl.from_numpy(a) @ dl.from_numpy(b)).numpy(), expected)


def test_batches_that_no_single_stride_describes() -> None:
    rng = np.random.default_rng(2)
    a = rng.standard_normal((4, 1, 3, 5, 6)).transpose(2, 1, 0, 3, 4)  # [3, 1, 4, 5, 6]
    b = rng.standard_normal((2, 1, 6, 7))
    result = (dl.from_numpy(a) @ dl.from_numpy(b)).numpy()
    np.testing.assert_allclose(result, a @ b, rtol=1e-12, atol=1e-12)
    c = rng.standard_normal((5, 4, 2, 6)).swapaxes(
        0, 1
    )  # [4, 5, 2, 6] @ [6, 7]: rows not evenly apart
    np.testing.assert_allclose(
        (dl.from_numpy(c) @ dl.from_numpy(b[0, 0])).numpy(), c @ b[0, 0], rtol=1e-12, atol=1e-12
    )


# [N, C, S]: one channel per task, channels in columns, few channels cut into parts, odd lengths.
NORM_SHAPES = [
    (8, 16, 1),
    (300, 7, 1),
    (5, 300, 4),
    (4, 3, 7),
    (2, 5, 49),
    (2, 3, 5000),
    (2, 2, 70000),
]


@pytest.mark.parametrize("shape", NORM_SHAPES)
@pytest.mark.parametrize("isa", ISAS)
def test_batch_norm_far_from_zero(isa: str, shape: tuple[int, int, int]) -> None:
    """A mean of 1000 standard deviations costs no more than the rounding of the input does."""
    dl.backends.cpu.set_isa(isa)
    x = (np.random.default_rng(3).standard_normal(shape) + 1000).astype(np.float32)
    x64 = x.astype(np.float64)
    mean, var = x64.mean((0, 2), keepdims=True), x64.var((0, 2), keepdims=True)
    results = []
    for threads in (1, 3):
        dl.set_num_threads(threads)
        results.append(dl.nn.functional.batch_norm(dl.from_numpy(x), None, None, training=True))
    results = [r.numpy() for r in results]
    np.testing.assert_array_equal(*results)
    eps = np.finfo(np.float32).eps
    # The mean is stored in float32: half a unit in its last place, in standard deviations.
    np.testing.assert_allclose(
        results[0], (x64 - mean) / np.sqrt(var + 1e-5), atol=1100 * eps, rtol=8 * eps
    )


def test_running_statistics_follow_torchs_rule() -> None:
    x = dl.from_numpy(np.random.default_rng(4).standard_normal((6, 3, 5)))
    mean, var = dl.zeros(3, dtype=dl.float64), dl.ones(3, dtype=dl.float64)
    dl.nn.functional.batch_norm(x, mean, var, training=True, momentum=0.25)
    data = x.numpy()
    np.testing.assert_allclose(mean.numpy(), 0.25 * data.mean((0, 2)), rtol=1e-12)
    np.testing.assert_allclose(
        var.numpy(), 0.75 + 0.25 * data.var((0, 2), ddof=1), rtol=1e-12
    )  # unbiased


def test_failed_call_leaves_running_statistics_alone() -> None:
    mean, var = dl.zeros(3), dl.ones(3)
    with pytest.raises(ValueError, match="more than 1 value"):
        dl.nn.functional.batch_norm(dl.ones(1, 3), mean, var, training=True)
    np.testing.assert_array_equal(mean.numpy(), np.zeros(3))
    np.testing.assert_array_equal(var.numpy(), np.ones(3))
