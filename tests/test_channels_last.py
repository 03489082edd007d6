"""Images with channels last: values and strides as torch has them, nothing copied on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import deeplite as dl
import numpy as np
import pytest
from deeplite.backends import conv, cpu
from op_testing import to_numpy, torch


def values(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def last(m: Any, x: Any) -> Any:
    return x.to(memory_format=m.channels_last_3d if x.ndim == 5 else m.channels_last)


def close(ours: Any, theirs: Any, tolerance: float = 2e-5) -> None:
    np.testing.assert_allclose(
        to_numpy(ours), theirs.detach().numpy(), rtol=tolerance, atol=tolerance
    )


# x, w, stride, padding, dilation, groups
CONVS = {
    "3x3": ((2, 20, 13, 11), (9, 20, 3, 3), 1, 1, 1, 1),
    "pointwise": ((2, 40, 7, 9), (37, 40, 1, 1), 1, 0, 1, 1),
    "pointwise strided": ((2, 8, 7, 9), (12, 8, 1, 1), 2, 0, 1, 1),
    "strided": ((1, 3, 20, 18), (8, 3, 5, 5), 2, 2, 1, 1),
    "strided wide": ((2, 33, 17, 16), (65, 33, 3, 3), 2, 1, 1, 1),
    "stride above kernel": ((1, 5, 14, 13), (4, 5, 2, 2), 3, 0, 1, 1),
    "depthwise": ((2, 37, 9, 10), (37, 1, 3, 3), 1, 1, 1, 37),
    "depthwise strided": ((2, 16, 9, 8), (16, 1, 5, 5), 2, 2, 1, 16),
    "depthwise dilated": ((1, 5, 12, 9), (5, 1, 3, 3), 1, 2, 2, 5),
    "depthwise multiplied": ((2, 6, 9, 8), (12, 1, 3, 3), 1, 1, 1, 6),
    "grouped": ((2, 8, 10, 9), (6, 4, 3, 3), 1, 1, 1, 2),
    "dilated": ((1, 5, 14, 13), (4, 5, 3, 3), 1, 2, 2, 1),
    "full": ((3, 4, 5, 5), (7, 4, 5, 5), 1, 0, 1, 1),
    "far padding": ((1, 3, 2, 3), (5, 3, 3, 3), 1, 2, 1, 1),
    "long sum": ((4, 24, 28, 28), (16, 24, 3, 3), 1, 1, 1, 1),
    "one channel": ((2, 1, 11, 12), (20, 1, 3, 3), 1, 1, 1, 1),
    "one filter": ((2, 20, 11, 12), (1, 20, 3, 3), 1, 1, 1, 1),
    "1x7": ((2, 19, 17, 17), (36, 19, 1, 7), 1, (0, 3), 1, 1),
    "3d": ((1, 3, 5, 6, 7), (4, 3, 3, 3, 3), (1, 2, 1), 1, 1, 1),
}


def convolve(m: Any, x: Any, w: Any, b: Any, args: tuple) -> Any:
    f = m.nn.functional.conv3d if x.ndim == 5 else m.nn.functional.conv2d
    return f(x, w, b, *args)


@pytest.mark.parametrize("weights_last", [True, False])
@pytest.mark.parametrize("name", CONVS)
def test_convolution(name: str, weights_last: bool) -> None:
    xs, ws, *args = CONVS[name]
    got, expected = [], []
    for m, results in ((dl, got), (torch, expected)):
        x = last(m, m.tensor(values(xs)))
        w = m.tensor(values(ws, 1))
        w = last(m, w) if weights_last else w
        b = m.tensor(values((ws[0],), 2))
        for t in (x, w, b):
            t.requires_grad_()
        y = convolve(m, x, w, b, tuple(args))
        (y * y.detach().cos()).sum().backward()
        results += [y, x.grad, w.grad, b.grad]
    if name == "3d":  # torch's order depends on which of its libraries takes the shape
        assert got[0].is_contiguous(memory_format=dl.channels_last_3d)
    else:
        assert got[0].stride() == expected[0].stride()
        assert got[1].stride() == expected[1].stride()
    for ours, theirs in zip(got, expected, strict=True):
        close(ours, theirs, 2e-5 * max(1.0, float(theirs.detach().abs().max())))


@pytest.mark.parametrize("which", ["forward", "backward_input", "backward_weight"])
@pytest.mark.parametrize("name", CONVS)
def test_every_algorithm_agrees_with_the_loops(name: str, which: str) -> None:
    xs, ws, *args = CONVS[name]
    for weights_last in (True, False):
        x, w = last(dl, dl.tensor(values(xs))), dl.tensor(values(ws, 1))
        w = last(dl, w) if weights_last else w
        options = conv.explain(x, w, *args, which=which, measure=True)
        assert options[-1].name == "reference" and len(options) > 1
        assert ("depthwise" in [o.name for o in options]) == (ws[0] == xs[1] == args[3] > 1)
        for o in options:
            assert o.error < (4e-5 if o.name == "winograd6" else 6e-6), o


PASSES = ("forward", "backward_input", "backward_weight")


def random_problem(rng: np.random.Generator) -> tuple[list[np.ndarray], tuple]:
    """x, w and a gradient of y, and the arguments: first layers, pointwise and odd ones."""
    kernel = [int(v) for v in rng.choice([1, 1, 2, 3, 3, 5, 7], 2)]
    if rng.random() < 0.3:
        kernel = [1, 1]
    stride = [int(v) for v in rng.choice([1, 1, 2, 3], 2)]
    dilation = [int(v) for v in rng.choice([1, 1, 1, 2], 2)]
    padding = [0, 0] if rng.random() < 0.3 else [int(v) for v in rng.integers(0, 4, 2)]
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    size = [
        max(1, r - 2 * p) + int(rng.integers(0, 40)) for r, p in zip(reach, padding, strict=True)
    ]
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    c, k = int(rng.choice([1, 3, 8, 17, 40])), int(rng.choice([1, 5, 16, 24, 35, 64, 70]))
    out = [
        (n + 2 * p - r) // s + 1 for n, p, r, s in zip(size, padding, reach, stride, strict=True)
    ]
    n = int(rng.integers(1, 4))
    shapes = (n, groups * c, *size), (groups * k, c, *kernel), (n, groups * k, *out)
    return [rng.standard_normal(s) for s in shapes], (stride, padding, dilation, groups)


def one_pass(given: list[np.ndarray], args: tuple, which: str, dtype: str, order: int) -> Any:
    """order: bit 0, whether the weight is channels last; images are."""
    x, w, y = (dl.tensor(a.astype(dtype)) for a in given)
    return dl._C._conv.run(last(dl, x), last(dl, w) if order & 1 else w, last(dl, y), *args, which)


def names_of(given: list[np.ndarray], args: tuple, which: str, dtype: str) -> list[str]:
    x, w = (last(dl, dl.tensor(a.astype(dtype))) for a in given[:2])
    names = [o.name for o in conv.explain(x, w, *args, which=which)]
    return [n for n in names if not n.startswith(("winograd", "reference"))]


@pytest.mark.parametrize("isa", cpu.capability())
@pytest.mark.parametrize("which", PASSES)
def test_random_shapes(which: str, isa: str) -> None:
    rng = np.random.default_rng(PASSES.index(which))
    seen = set()
    for i in range(40):
        given, args = random_problem(rng)
        dtype = "float64" if i % 4 == 0 else "float32"
        bound = 6e-6 if dtype == "float32" else 1e-14
        with conv.algorithm("reference"):
            exact = to_numpy(one_pass(given, args, which, "float64", 1))
        with cpu.using_isa(isa):
            for name in names_of(given, args, which, dtype):
                with conv.algorithm(name):
                    got = to_numpy(one_pass(given, args, which, dtype, i))
                case = name, [a.shape for a in given], args
                assert np.abs(got - exact).max() <= bound * np.abs(exact).max(), case
                seen.add(name)
    assert {"implicit_gemm", "outer" if which == "backward_weight" else "direct"} <= seen


@pytest.mark.parametrize("which", PASSES)
def test_bits_of_no_algorithm_depend_on_threads(which: str) -> None:
    rng = np.random.default_rng(9)
    before = dl.get_num_threads()
    try:
        for i in range(12):
            given, args = random_problem(rng)
            for name in names_of(given, args, which, "float32"):
                results = []
                with conv.algorithm(name):
                    for threads in (1, 2, 4):
                        dl.set_num_threads(threads)
                        results.append(to_numpy(one_pass(given, args, which, "float32", i)))
                assert all(np.array_equal(results[0], r) for r in results[1:]), (name, args)
    finally:
        dl.set_num_threads(before)


def test_a_weight_alone_asks_for_channels_last() -> None:
    x, t = dl.tensor(values((2, 3, 6, 7))), torch.tensor(values((2, 3, 6, 7)))
    w = values((4, 3, 3, 3), 1)
    ours = dl.conv2d(x, last(dl, dl.tensor(w)))
    theirs = torch.conv2d(t, last(torch, torch.tensor(w)))
    assert ours.stride() == theirs.stride()
    close(ours, theirs)


def test_transposed_convolution() -> None:
    for args in ((1, 0), (2, 1), (3, 0)):
        ours = dl.conv_transpose2d(
            last(dl, dl.tensor(values((2, 5, 6, 7)))),
            dl.tensor(values((5, 4, 3, 3), 1)),
            None,
            *args,
        )
        theirs = torch.conv_transpose2d(
            last(torch, torch.tensor(values((2, 5, 6, 7)))),
            torch.tensor(values((5, 4, 3, 3), 1)),
            None,
            *args,
        )
        assert ours.stride() == theirs.stride()
        close(ours, theirs, 1e-4)


def test_double_backward() -> None:
    for name in ("3x3", "depthwise", "strided"):
        xs, ws, *args = CONVS[name]
        got = []
        for m in (dl, torch):
            x = last(m, m.tensor(values(xs))).requires_grad_()
            w = m.tensor(values(ws, 1)).requires_grad_()
            y = convolve(m, x, w, None, tuple(args))
            (g,) = m.autograd.grad((y * y).sum(), [x], create_graph=True)
            (g * g).mean().backward()
            got.append((x.grad, w.grad))
        for ours, theirs in zip(*got, strict=True):
            close(ours, theirs, 1e-4 * max(1.0, float(theirs.abs().max())))


# ---- pooling and norms --------------------------------------------------------------------------

LAYERS: dict[str, Callable[[Any, Any], Any]] = {
    "max": lambda m, x: m.nn.functional.max_pool2d(x, 3, 2, 1),
    "max dilated": lambda m, x: m.nn.functional.max_pool2d(x, 2, 1, 0, 2),
    "max ceil": lambda m, x: m.nn.functional.max_pool2d(x, 3, 2, 0, ceil_mode=True),
    "avg": lambda m, x: m.nn.functional.avg_pool2d(x, 2),
    "avg padded": lambda m, x: m.nn.functional.avg_pool2d(x, 3, 2, 1),
    "avg without padding": lambda m, x: m.nn.functional.avg_pool2d(
        x, 3, 2, 1, count_include_pad=False
    ),
    "avg by divisor": lambda m, x: m.nn.functional.avg_pool2d(x, 3, 1, 1, divisor_override=5),
    "avg ceil": lambda m, x: m.nn.functional.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
    "global": lambda m, x: m.nn.functional.adaptive_avg_pool2d(x, 1),
    "adaptive": lambda m, x: m.nn.functional.adaptive_avg_pool2d(x, (3, 5)),
    "adaptive max": lambda m, x: m.nn.functional.adaptive_max_pool2d(x, (3, 5)),
    "batch norm": lambda m, x: m.nn.functional.batch_norm(
        x, None, None, m.linspace(-1, 2, x.shape[1]), m.linspace(1, 2, x.shape[1]), True
    ),
    "batch norm, eval": lambda m, x: m.nn.functional.batch_norm(
        x, m.linspace(-1, 1, x.shape[1]), m.linspace(1, 2, x.shape[1])
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    for shape in ((2, 37, 9, 10), (3, 2, 8, 7), (1, 64, 16, 16)):
        got, expected = [], []
        for m, results in ((dl, got), (torch, expected)):
            x = last(m, m.tensor(values(shape))).requires_grad_()
            y = LAYERS[name](m, x)
            (y * y.detach().cos()).sum().backward()
            results += [y, x.grad]
        assert got[0].stride() == expected[0].stride(), shape
        assert got[1].stride() == expected[1].stride(), shape
        close(got[0], expected[0])
        close(got[1], expected[1])


def test_3d_pooling() -> None:
    for f in (
        lambda m, x: m.nn.functional.max_pool3d(x, 3, 2, 1),
        lambda m, x: m.nn.functional.avg_pool3d(x, 3, 2, 1),
        lambda m, x: m.nn.functional.adaptive_avg_pool3d(x, (2, 3, 2)),
    ):
        got = []
        for m in (dl, torch):
            x = last(m, m.tensor(values((2, 5, 6, 7, 8)))).requires_grad_()
            y = f(m, x)
            (y * y).sum().backward()
            got.append((y, x.grad))
        for ours, theirs in zip(*got, strict=True):
            close(ours, theirs)
        assert got[0][0].is_contiguous(memory_format=dl.channels_last_3d)


def test_indices_and_unpooling() -> None:
    x = values((2, 19, 8, 9))
    x[0, 0, 0, :3] = np.nan
    got = []
    for m in (dl, torch):
        a = last(m, m.tensor(x))
        y, i = m.nn.functional.max_pool2d(a, 2, return_indices=True)
        got.append(
            (y, i, m.nn.functional.max_unpool2d(y.nan_to_num(7.0), i, 2, output_size=(8, 9)))
        )
    np.testing.assert_array_equal(to_numpy(got[0][0]), got[1][0].numpy())
    np.testing.assert_array_equal(to_numpy(got[0][1]), got[1][1].numpy())
    np.testing.assert_array_equal(to_numpy(got[0][2]), got[1][2].numpy())


def test_integers_are_pooled() -> None:
    x = np.arange(2 * 3 * 4 * 6).reshape(2, 3, 4, 6) % 7
    ours = dl.nn.functional.max_pool2d(last(dl, dl.tensor(x)), 2)
    theirs = torch.nn.functional.max_pool2d(torch.tensor(x), 2)
    np.testing.assert_array_equal(to_numpy(ours), theirs.numpy())


def test_dropout_keeps_the_order() -> None:
    x = last(dl, dl.ones(4, 8, 16, 16)).requires_grad_()
    y = dl.nn.functional.dropout(x, 0.4)
    assert y.stride() == x.stride()
    y.sum().backward()
    np.testing.assert_array_equal(to_numpy(x.grad), to_numpy(y))
    kept = float((y > 0).float().mean())
    assert abs(kept - 0.6) < 0.05


# ---- whole networks -----------------------------------------------------------------------------


def block(m: Any) -> Any:
    nn = m.nn
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU6(),
        nn.Conv2d(16, 24, 1),
        nn.SiLU(),
        nn.Dropout(0.0),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(24, 5),
    )


def test_a_network_as_torch_computes_it() -> None:
    ours, theirs = block(dl), block(torch)
    ours.load_state_dict({k: dl.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    x = values((4, 3, 32, 32))
    results = []
    for m, net in ((dl, ours), (torch, theirs)):
        net.to(memory_format=m.channels_last)
        y = net(last(m, m.tensor(x)))
        (y * y).sum().backward()
        results.append([y] + [p.grad for p in net.parameters()])
    for a, b in zip(*results, strict=True):
        close(a, b, 1e-4 * max(1.0, float(b.detach().abs().max())))


def test_no_copies_on_the_way() -> None:
    """A layer allocates its result and small things: no copy of images in another order."""
    x = last(dl, dl.tensor(values((8, 64, 32, 32))))
    w3, w1 = (last(dl, dl.tensor(values((64, 64, k, k), k))) for k in (3, 1))
    wd = dl.tensor(values((64, 1, 3, 3)))
    dy = x.clone()
    run = dl._C._conv.run
    two = ([1, 1], [1, 1], [1, 1])
    layers: list[Callable[[], Any]] = [
        lambda: dl.relu(x),
        lambda: x + x,
        lambda: dl.conv2d(x, w1),
        lambda: dl.conv2d(x, w3, None, 1, 1),
        lambda: dl.conv2d(x, wd, None, 1, 1, 1, 64),
        lambda: dl.conv_transpose2d(x, w3, None, 1, 1),
        lambda: dl.conv_transpose2d(x, wd, None, 1, 1, 0, 64),
        lambda: run(x, w3, dy, *two, 1, "backward_weight"),
        lambda: run(x, wd, dy, *two, 64, "backward_weight"),
        lambda: dl.nn.functional.max_pool2d(x, 3, 1, 1),
        lambda: dl.nn.functional.avg_pool2d(x, 3, 1, 1),
        lambda: dl.nn.functional.batch_norm(x, None, None, None, None, True),
    ]
    with dl.no_grad():
        for i, layer in enumerate(layers):
            layer()
            before = dl.memory_stats()["allocated_bytes"]
            dl.reset_peak_memory_stats()
            y = layer()
            extra = dl.memory_stats()["peak_allocated_bytes"] - before
            assert y.numel() < x.numel() or y.is_contiguous(memory_format=dl.channels_last), i
            assert extra < y.nbytes + x.nbytes // 8, i


@pytest.mark.parametrize("isa", cpu.capability())
def test_threads_do_not_show(isa: str) -> None:
    results = []
    used, threads = cpu.isa(), dl.get_num_threads()
    try:
        cpu.set_isa(isa)
        for count in (1, 2, 4):
            dl.set_num_threads(count)
            parts = []
            for name in ("3x3", "strided wide", "depthwise", "depthwise strided", "long sum"):
                xs, ws, *args = CONVS[name]
                x = last(dl, dl.tensor(values(xs))).requires_grad_()
                w = last(dl, dl.tensor(values(ws, 1))).requires_grad_()
                y = convolve(dl, x, w, None, tuple(args))
                (y * y).sum().backward()
                parts += [to_numpy(t.detach()) for t in (y, x.grad, w.grad)]
            for layer in LAYERS.values():
                x = last(dl, dl.tensor(values((3, 37, 20, 21)))).requires_grad_()
                y = layer(dl, x)
                (y * y).sum().backward()
                parts += [to_numpy(y.detach()), to_numpy(x.grad)]
            results.append(parts)
    finally:
        dl.set_num_threads(threads)
        cpu.set_isa(used)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


PADS = {
    "constant": ((1, 2, 0, 1, 2, 0), "constant"),
    "cut": ((-1, 2, 0, -2), "constant"),
    "reflect": ((1, 2, 0, 1), "reflect"),
    "replicate": ((3, 2, 0, 1), "replicate"),
}


@pytest.mark.parametrize("name", PADS)
def test_pad(name: str) -> None:
    got, expected = [], []
    for m, results in ((dl, got), (torch, expected)):
        x = last(m, m.tensor(values((2, 5, 6, 7)))).requires_grad_()
        y = m.nn.functional.pad(x, *PADS[name])
        (y * y.detach().cos()).sum().backward()
        results += [y, x.grad]
    for ours, theirs in zip(got, expected, strict=True):
        assert ours.stride() == theirs.stride()
        close(ours, theirs)


@pytest.mark.parametrize("dim", [0, 1, 2, 3])
@pytest.mark.parametrize("mixed", [False, True])
def test_cat(dim: int, mixed: bool) -> None:
    got, expected = [], []
    for m, results in ((dl, got), (torch, expected)):
        parts = [last(m, m.tensor(values((3, 5, 6, 7), seed))) for seed in range(3)]
        if mixed:
            parts[1] = parts[1].contiguous()
        results.append(m.cat(parts, dim))
    assert got[0].stride() == expected[0].stride()
    assert np.array_equal(to_numpy(got[0]), expected[0].numpy())
