"""Algorithms of convolution: each against the plain loops, the choice, forcing one, bounds."""

from __future__ import annotations

import threading

import deeplite as dl
import numpy as np
import pytest
from deeplite.backends import conv, cpu

PASSES = ("forward", "backward_input", "backward_weight")

# x, w, stride, padding, dilation, groups
SHAPES = {
    "3x3": ((2, 20, 13, 11), (9, 20, 3, 3), 1, 1, 1, 1),
    "pointwise": ((2, 8, 7, 9), (12, 8, 1, 1), 1, 0, 1, 1),
    "strided": ((1, 3, 20, 18), (8, 3, 5, 5), 2, 2, 1, 1),
    "depthwise": ((2, 6, 9, 8), (12, 1, 3, 3), 1, 1, 1, 6),
    "grouped": ((2, 8, 10, 9), (6, 4, 3, 3), 1, 1, 1, 2),
    "dilated": ((1, 5, 14, 13), (4, 5, 3, 3), 1, 2, 2, 1),
    "full": ((3, 4, 5, 5), (7, 4, 5, 5), 1, 0, 1, 1),
    "wide": ((1, 3, 6, 90), (5, 3, 3, 3), 1, (3, 0), 1, 1),
    "tiny": ((1, 17, 1, 2), (3, 17, 3, 3), 1, (1, 2), 1, 1),
    "1d": ((2, 4, 30), (6, 4, 3), 1, 1, 1, 1),
    "3d": ((1, 3, 5, 6, 7), (4, 3, 3, 3, 3), 1, 1, 1, 1),
}


def randn(rng: np.random.Generator, shape: tuple[int, ...], dtype: str = "float32") -> dl.Tensor:
    return dl.from_numpy(rng.standard_normal(shape).astype(dtype))


def make(shape: tuple, seed: int = 0) -> tuple[dl.Tensor, dl.Tensor, tuple]:
    rng = np.random.default_rng(seed)
    return randn(rng, shape[0]), randn(rng, shape[1]), shape[2:]


@pytest.mark.parametrize("which", PASSES)
@pytest.mark.parametrize("name", SHAPES)
def test_every_algorithm_agrees_with_the_loops(name: str, which: str) -> None:
    x, w, args = make(SHAPES[name])
    options = conv.explain(x, w, *args, which=which, measure=True)
    names = [o.name for o in options]
    assert len(set(names)) == len(names) and names[-1] == "reference", names
    assert "implicit_gemm" in names
    for o in options:
        assert o.predicted > 0 and o.measured > 0
        assert o.error < (4e-5 if o.name == "winograd6" else 6e-6), o
    allowed = [o.predicted for o in options[:-1] if o.allowed]
    assert allowed == sorted(allowed) and len(allowed) > 0


# ---- Winograd -----------------------------------------------------------------------------------

WINOGRAD = ("winograd2", "winograd4", "winograd6")


def fuzz_case(rng: np.random.Generator) -> tuple[tuple[int, ...], tuple[int, ...], tuple]:
    """Sizes of x and w, and the arguments: odd sizes, tiny images, padding 0 to 3, groups."""
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    most = 70 if groups == 1 else 20
    c, k = (int(v) for v in rng.integers(1, most + 1, 2))
    padding = [int(v) for v in rng.integers(0, 4, 2)]
    h, w = (int(rng.integers(max(1, 3 - 2 * p), 30)) for p in padding)
    n = int(rng.integers(1, 4))
    return (n, c * groups, h, w), (k * groups, c, 3, 3), (1, padding, 1, groups)


def passes_of(
    x: dl.Tensor, w: dl.Tensor, y: dl.Tensor, bias: tuple, args: tuple
) -> list[dl.Tensor]:
    """The passes, the first two with a bias."""
    stride, padding, dilation, groups = args
    sizes = [v if isinstance(v, list) else [v, v] for v in (stride, padding, dilation)]
    return [
        dl.conv2d(x, w, bias[0], stride, padding, dilation, groups),
        dl.conv_transpose2d(y, w, bias[1], stride, padding, 0, groups, dilation),
        dl._C._conv.run(x, w, y, *sizes, groups, "backward_weight"),
    ]


@pytest.mark.parametrize("isa", cpu.capability())
@pytest.mark.parametrize("name", WINOGRAD)
def test_winograd_agrees_with_the_loops_on_random_shapes(name: str, isa: str) -> None:
    rng = np.random.default_rng(WINOGRAD.index(name))
    # Errors of a few channels' sums, relative to the largest result; see docs/numerics.md.
    bound = {"winograd2": 2e-6, "winograd4": 6e-6, "winograd6": 4e-5}[name]
    for case in range(21):
        xs, ws, args = fuzz_case(rng)
        if case == 0:  # so many tiles and so few weights that the sum over tiles is cut
            xs, ws, args = (2, 18, 90, 90), (4, 18, 3, 3), (1, 1, 1, 1)
        x, w = randn(rng, xs), randn(rng, ws)
        bias = randn(rng, ws[:1]), randn(rng, xs[1:2])
        with conv.algorithm("reference"):
            y = dl.conv2d(x, w, None, *args)
            twice = [t.double() for t in (x, w, y, *bias)]
            exact = passes_of(*twice[:3], tuple(twice[3:]), args)
        with conv.algorithm(name), cpu.using_isa(isa):
            results = passes_of(x, w, y, bias, args)
        for result, judge in zip(results, exact, strict=True):
            error = float((result.double() - judge).abs().max().item())
            assert error <= bound * float(judge.abs().max().item()), (xs, ws, args)


@pytest.mark.parametrize("name", WINOGRAD)
@pytest.mark.parametrize(
    "sizes",
    [
        ((1, 40, 9, 11), (70, 40, 3, 3), 1),
        ((9, 33, 40, 37), (20, 33, 3, 3), 1),
        ((3, 90, 13, 14), (54, 10, 3, 3), 9),
    ],
    ids=["few tiles", "many tiles", "groups"],
)
def test_winograd_bits_do_not_depend_on_threads(name: str, sizes: tuple) -> None:
    x, w, args = make((*sizes[:2], 1, 1, 1, sizes[2]))
    bias = dl.randn(w.shape[0]), dl.randn(x.shape[1])
    before = dl.get_num_threads()
    results = []
    try:
        with conv.algorithm(name):
            for threads in (1, 2, 4):
                dl.set_num_threads(threads)
                y = dl.conv2d(x, w, None, *args)
                results.append([t.numpy() for t in passes_of(x, w, y, bias, args)])
    finally:
        dl.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_winograd_keeps_to_strided_or_dilated_windows_in_float32() -> None:
    x, w, args = make(SHAPES["3x3"])
    names = [o.name for o in conv.explain(x, w, *args)]
    assert set(WINOGRAD) <= set(names)
    others = [conv.explain(x, w, 2, 2, 2), conv.explain(x, w, 3, 1)]
    others += [conv.explain(*make(SHAPES[s])[:2]) for s in ("pointwise", "1d")]
    others.append(conv.explain(x.double(), w.double(), *args))
    others.append(conv.explain(x, w, 2, 1, which="backward_weight"))
    for options in others:
        assert not set(WINOGRAD) & {o.name for o in options}


# kappa^2 of docs/numerics.md: of the results, of the gradient of the weights.
GROWTH = {"winograd2": (64, 36), "winograd4": (564, 803), "winograd6": (4579, 9670)}
EPS = 2.0**-24


def scaled(kind: str, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    a = rng.standard_normal(shape)
    if kind == "channels":
        a *= 10.0 ** rng.uniform(-4, 4, (1, shape[1], 1, 1))
    elif kind == "spikes":
        a *= np.where(rng.random(shape) < 0.01, 1e4, 1)
    elif kind == "ramp":
        a = np.abs(a) + np.arange(shape[-1]) * 4
    return a.astype("float32")


@pytest.mark.parametrize("kind", ["normal", "channels", "spikes", "ramp"])
@pytest.mark.parametrize("which", PASSES)
def test_winograd_keeps_its_error_bound(which: str, kind: str) -> None:
    rng = np.random.default_rng(3)
    n, c, k, size = 2, 48, 40, 15
    x, y = scaled(kind, rng, (n, c, size, size)), scaled(kind, rng, (n, k, size, size))
    w = rng.standard_normal((k, c, 3, 3)).astype("float32")
    if kind == "channels":
        w *= 10.0 ** rng.uniform(-4, 4, (k, 1, 1, 1)).astype("float32")
    tensors = [dl.from_numpy(a) for a in (x, w, y)]
    run = dl._C._conv.run
    with conv.algorithm("implicit_gemm"):
        exact = run(*(t.double() for t in tensors), [1], [1], [1], 1, which).numpy()
    # The largest values of each channel, multiplied and summed as the pass does.
    xs, ys = (np.abs(a).astype("float64").max((2, 3)) for a in (x, y))
    ws = np.abs(w).astype("float64").max((2, 3))
    sums = {
        "forward": np.einsum("nc,kc->nk", xs, ws),
        "backward_input": np.einsum("nk,kc->nc", ys, ws),
        "backward_weight": size * size * np.einsum("nk,nc->kc", ys, xs),
    }[which][..., None, None]
    expected = {
        o.name: o.expected_error
        for o in conv.explain(tensors[0], tensors[1], padding=1, which=which)
    }
    for name, growth in GROWTH.items():
        with conv.algorithm(name):
            result = run(*tensors, [1], [1], [1], 1, which).numpy()
        error = np.abs(result - exact)
        assert (error <= growth[which == "backward_weight"] * EPS * sums).all(), name
        if kind == "normal":  # what the choice takes it to be
            largest = error.max() / np.abs(exact).max()
            assert 0.05 * expected[name] <= largest <= 2 * expected[name], (name, largest)


# ---- Strassen -----------------------------------------------------------------------------------


@pytest.mark.parametrize("isa", cpu.capability())
@pytest.mark.parametrize("kind", ["normal", "channels", "spikes", "ramp"])
@pytest.mark.parametrize("which", PASSES[:2])
def test_strassen_keeps_its_error_bound(which: str, kind: str, isa: str) -> None:
    rng = np.random.default_rng(5)
    n, c, k, size = 2, 96, 80, 9
    x, y = scaled(kind, rng, (n, c, size, size)), scaled(kind, rng, (n, k, size, size))
    w = rng.standard_normal((k, c, 1, 1)).astype("float32")
    if kind == "channels":
        w *= 10.0 ** rng.uniform(-4, 4, (k, c, 1, 1)).astype("float32")
    tensors = [dl.from_numpy(a) for a in (x, w, y)]
    run = dl._C._conv.run
    with conv.algorithm("implicit_gemm"):
        exact = run(*(t.double() for t in tensors), [1], [0], [1], 1, which).numpy()
    with cpu.using_isa(isa), conv.algorithm("strassen"):
        result = run(*tensors, [1], [0], [1], 1, which).numpy()
    # The largest values under both channels of a pair, multiplied and summed over the pairs.
    inputs = np.abs(x if which == "forward" else y).astype("float64").max((2, 3))
    weights = np.abs(w[:, :, 0, 0]).astype("float64").max(0 if which == "forward" else 1)
    half = len(weights) // 2
    pairs = [np.maximum(a[..., :half], a[..., half:]) for a in (inputs, weights)]
    sums = (pairs[0] * pairs[1]).sum(-1)[:, None, None, None]
    error = np.abs(result - exact)
    assert (error <= 18 * EPS * sums).all()
    if kind == "normal":  # what the choice takes it to be
        options = conv.explain(*tensors[:2], which=which)
        expected = next(o.expected_error for o in options if o.name == "strassen")
        largest = error.max() / np.abs(exact).max()
        assert 0.2 * expected <= largest <= 1.5 * expected, largest


def test_strassen_is_ruled_out_by_its_error_and_keeps_to_float32() -> None:
    x, w = dl.ones(1, 600, 6, 6), dl.ones(64, 600, 1, 1)
    for bound, allowed in ((1e-6, False), (2e-6, True)):
        with conv.max_rel_err(bound):
            options = {o.name: o for o in conv.explain(x, w)}
        assert options["strassen"].allowed == allowed and options["turned"].allowed
    names = {o.name for o in conv.explain(x.double(), w.double())}
    assert "turned" in names and "strassen" not in names
    assert "strassen" not in {o.name for o in conv.explain(x, w, which="backward_weight")}


@pytest.mark.parametrize("which", PASSES[:2])
def test_an_image_is_independent_of_the_others(which: str) -> None:
    """Pairs of pixels are of one image: neither NaNs nor the rounding of large values cross."""
    x, w, y = dl.randn(3, 40, 5, 5), dl.randn(40, 40, 1, 1), dl.randn(3, 40, 5, 5)
    with conv.algorithm("strassen"):
        plain, spoilt = [], []
        for value, results in ((1.0, plain), (1e30, spoilt), (float("nan"), spoilt)):
            x[1], y[1] = value, value
            results.append(dl._C._conv.run(x, w, y, [1], [0], [1], 1, which).numpy())
    for other in spoilt:
        np.testing.assert_array_equal(other[[0, 2]], plain[0][[0, 2]])
    assert np.isnan(spoilt[1][1]).all()


# ---- choosing -----------------------------------------------------------------------------------


def test_the_first_option_is_what_runs() -> None:
    x, w, args = make(SHAPES["3x3"])
    best = conv.explain(x, w, *args)[0].name
    chosen = dl.conv2d(x, w, None, *args).numpy()
    with conv.algorithm(best):
        forced = dl.conv2d(x, w, None, *args).numpy()
    np.testing.assert_array_equal(chosen, forced)


def test_forced_algorithms_hold_in_backward() -> None:
    x, w, args = make(SHAPES["3x3"])

    def gradients() -> list[np.ndarray]:
        a, b = x.clone().requires_grad_(), w.clone().requires_grad_()
        dl.conv2d(a, b, None, *args).square().sum().backward()
        return [a.grad.numpy(), b.grad.numpy()]

    with conv.algorithm("reference"):
        plain = gradients()
    for mine, his in zip(gradients(), plain, strict=True):
        assert not np.array_equal(mine, his)  # the loops sum in double: other bits
        np.testing.assert_allclose(mine, his, rtol=1e-3, atol=1e-4 * np.abs(his).max())
    y = dl.conv2d(x.clone().requires_grad_(), w, None, *args)
    with conv.algorithm("full"), pytest.raises(RuntimeError, match="backward_input"):
        y.sum().backward()


def test_a_transposed_convolution_is_the_backward_input_pass() -> None:
    x, w = dl.randn(1, 3, 8, 8), dl.randn(3, 4, 3, 3)
    with conv.algorithm("full", passes=["forward"]):
        dl.conv_transpose2d(x, w)
    with conv.algorithm("full"), pytest.raises(RuntimeError, match="conv_transpose2d"):
        dl.conv_transpose2d(x, w)


def test_an_algorithm_that_does_not_apply_is_named() -> None:
    x, w, args = make(SHAPES["3x3"])
    message = r'conv2d: the algorithm "full" does not apply to forward with input \[2, 20\]'
    with conv.algorithm("full"), pytest.raises(RuntimeError, match=message) as caught:
        dl.conv2d(x, w, None, *args)
    assert "implicit_gemm" in str(caught.value) and "reference" in str(caught.value)
    with conv.algorithm("no such thing"), pytest.raises(RuntimeError, match="no such thing"):
        dl.conv2d(x, w, None, *args)
    dl.conv2d(x, w, None, *args)  # and it is over


def test_settings_are_restored_and_belong_to_a_thread() -> None:
    x, w, args = make(SHAPES["3x3"])
    failures: list[BaseException] = []

    def other() -> None:
        try:
            dl.conv2d(x, w, None, *args)
            assert conv.get_max_rel_err() > 0
        except BaseException as e:
            failures.append(e)

    before = conv.get_max_rel_err()
    with conv.algorithm("full"), conv.max_rel_err(0):
        with conv.algorithm(None):
            dl.conv2d(x, w, None, *args)
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert failures == []
    assert conv.get_max_rel_err() == before


def test_the_error_bound_decides_what_may_run() -> None:
    x, w, args = make(SHAPES["3x3"])
    with conv.max_rel_err(0):
        options = conv.explain(x, w, *args)
        assert options[0].name == "reference" and not any(o.allowed for o in options[1:])
        exact = dl.conv2d(x, w, None, *args).numpy()
    with conv.algorithm("reference"):
        np.testing.assert_array_equal(exact, dl.conv2d(x, w, None, *args).numpy())
    with conv.max_rel_err(1):
        assert all(o.allowed for o in conv.explain(x, w, *args))
    with pytest.raises(ValueError, match="-1"):
        conv.set_max_rel_err(-1)
    with pytest.raises(ValueError, match="nan"):
        conv.set_max_rel_err(float("nan"))


def test_bad_arguments() -> None:
    x, w, args = make(SHAPES["3x3"])
    with pytest.raises(ValueError, match="sideways"):
        conv.explain(x, w, which="sideways")
    with pytest.raises(ValueError, match="sideways"), conv.algorithm("full", passes=["sideways"]):
        pass
    with pytest.raises(dl.ShapeError, match="channels"):
        conv.explain(x, dl.randn(4, 3, 3, 3))
    with pytest.raises(dl.ShapeError, match="spans"):
        conv.explain(x, dl.randn(4, 20, 30, 30))


@pytest.mark.parametrize("isa", [*cpu.capability(), "reference"])
def test_every_instruction_set_has_its_list(isa: str) -> None:
    x, w, args = make(SHAPES["3x3"])
    with cpu.using_isa(isa):
        names = [o.name for o in conv.explain(x, w, *args)]
    assert names[-1] == "reference" and (isa == "reference") == (len(names) == 1)
