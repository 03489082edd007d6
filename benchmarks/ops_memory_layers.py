"""Rows of normalisation, softmax, pooling and resampling, indexing, losses, noise, optimizers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.ops_memory_row import SIZES, Input, Row, call_of, index_input, shape_text


def norms() -> Iterator[Row]:
    def batch(training: bool) -> Callable[..., Callable[[], Any]]:
        return call_of(
            lambda lib, x, m, v, w, b: lib.nn.functional.batch_norm(x, m, v, w, b, training)
        )

    for shape in ((8, 64, 112, 112), (8, 64, 56, 56), (8, 256, 14, 14), (8, 512, 7, 7), (64, 128)):
        c = shape[1]
        x, w, b = Input(shape), Input((c,)), Input((c,))
        m, v = Input((c,), grad=False), Input((c,), low=0.5, high=2, grad=False)
        for training in (True, False):
            title = f"batch_norm {'train' if training else 'eval'} {shape_text(shape)}"
            moved = (3 if training else 2) * x.bytes()
            yield Row("norm", title, batch(training), (x, m, v, w, b), moved, backward=True)
    for shape in ((8 * 197, 768), (128, 1024), (4096, 256), (8 * 3136, 96)):
        x, w, b = Input(shape), Input(shape[-1:]), Input(shape[-1:])
        call = call_of(lambda lib, x, w, b: lib.nn.functional.layer_norm(x, w.shape, w, b))
        yield Row("norm", f"layer_norm {shape_text(shape)}", call, (x, w, b), 2 * x.bytes(), True)
    x, w, b = Input((8 * 197, 768)), Input((768,)), Input((768,))
    call = call_of(lambda lib, x, w: lib.nn.functional.rms_norm(x, w.shape, w))
    yield Row("norm", "rms_norm 1576x768", call, (x, w), 2 * x.bytes(), True)
    for shape in ((8, 64, 56, 56), (8, 256, 28, 28)):
        x, w, b = Input(shape), Input(shape[1:2]), Input(shape[1:2])
        call = call_of(lambda lib, x, w, b: lib.nn.functional.group_norm(x, 32, w, b))
        yield Row("norm", f"group_norm {shape_text(shape)}", call, (x, w, b), 2 * x.bytes(), True)
        call = call_of(lambda lib, x: lib.nn.functional.instance_norm(x))
        yield Row("norm", f"instance_norm {shape_text(shape)}", call, (x,), 2 * x.bytes(), True)
    call = call_of(lambda lib, x: lib.nn.functional.local_response_norm(x, 5))
    yield Row("norm", "local_response_norm", call, (Input((8, 64, 28, 28)),), 0, True)
    call = call_of(lambda lib, x: lib.nn.functional.normalize(x, dim=1))
    yield Row("norm", "normalize 1024x512", call, (Input((1024, 512)),), 0, True)


def softmaxes() -> Iterator[Row]:
    shapes: list[tuple[tuple[int, ...], int]] = [
        ((64 * 12, 197, 197), -1),
        ((128, 1000), -1),
        ((4096, 1000), -1),
        ((64, 10), -1),
        ((8, 21, 128, 128), 1),
        ((256, 32, 32), 1),
    ]
    for shape, dim in shapes:
        x = Input(shape)
        for name in ("softmax", "log_softmax"):
            f = call_of(lambda lib, x, n=name, dim=dim: getattr(lib.nn.functional, n)(x, dim))
            title = f"{name} {shape_text(shape)} dim={dim}"
            yield Row("softmax", title, f, (x,), 2 * x.bytes(), backward=True)


def pools() -> Iterator[Row]:
    def pool(name: str, *args: Any, **kwargs: Any) -> Callable[..., Callable[[], Any]]:
        return call_of(lambda lib, x: getattr(lib.nn.functional, name)(x, *args, **kwargs))

    rows: list[tuple[str, tuple[int, ...], Callable[..., Callable[[], Any]]]] = [
        ("max 2x2s2", (8, 64, 224, 224), pool("max_pool2d", 2)),
        ("max 2x2s2", (8, 512, 28, 28), pool("max_pool2d", 2)),
        ("max 2x2s2", (64, 6, 28, 28), pool("max_pool2d", 2)),
        ("max 3x3s2p1", (8, 64, 112, 112), pool("max_pool2d", 3, 2, 1)),
        ("max 3x3s2", (8, 64, 55, 55), pool("max_pool2d", 3, 2)),
        ("max 3x3s1p1", (8, 192, 28, 28), pool("max_pool2d", 3, 1, 1)),
        ("avg 2x2s2", (8, 128, 56, 56), pool("avg_pool2d", 2)),
        ("avg 3x3s2p1", (8, 64, 56, 56), pool("avg_pool2d", 3, 2, 1)),
        ("avg 3x3s1p1", (8, 192, 28, 28), pool("avg_pool2d", 3, 1, 1)),
        ("adaptive avg 1", (8, 2048, 7, 7), pool("adaptive_avg_pool2d", 1)),
        ("adaptive avg 1", (8, 64, 56, 56), pool("adaptive_avg_pool2d", 1)),
        ("adaptive avg 7", (8, 512, 7, 7), pool("adaptive_avg_pool2d", 7)),
        ("adaptive avg 6", (8, 256, 13, 13), pool("adaptive_avg_pool2d", 6)),
        ("adaptive max 1", (8, 512, 7, 7), pool("adaptive_max_pool2d", 1)),
        ("adaptive max 6", (8, 256, 13, 13), pool("adaptive_max_pool2d", 6)),
        ("max1d 2", (32, 64, 1024), pool("max_pool1d", 2)),
        ("max3d 2", (4, 32, 16, 28, 28), pool("max_pool3d", 2)),
    ]
    for name, shape, call in rows:
        x = Input(shape)
        yield Row("pool", f"{name} {shape_text(shape)}", call, (x,), x.bytes(), backward=True)
    resize: list[tuple[str, float, tuple[int, ...]]] = [
        ("bilinear", 2, (8, 64, 56, 56)),
        ("bilinear", 8, (4, 21, 33, 33)),
        ("nearest", 2, (8, 64, 56, 56)),
        ("nearest", 2, (8, 256, 20, 20)),
        ("bicubic", 2, (4, 3, 128, 128)),
        ("bilinear", 0.5, (8, 3, 448, 448)),
    ]
    for mode, scale, shape in resize:
        call = call_of(
            lambda lib, x, m=mode, s=scale: lib.nn.functional.interpolate(x, scale_factor=s, mode=m)
        )
        x = Input(shape)
        yield Row("resize", f"{mode} x{scale} {shape_text(shape)}", call, (x,), 0, backward=True)


def indexing() -> Iterator[Row]:
    x = Input((1 << 16, 64))
    call = call_of(lambda lib, x, i: lib.index_select(x, 0, i))
    yield Row(
        "index",
        "index_select 4M rows of 64",
        call,
        (x, index_input((1 << 16,), 1 << 16)),
        2 * x.bytes(),
        True,
    )
    call = call_of(lambda lib, x, i: lib.index_select(x, 1, i))
    yield Row(
        "index",
        "index_select 1024x1024 dim=1",
        call,
        (Input((1024, 1024)), index_input((1024,), 1024)),
        0,
        True,
    )
    for dim in (0, 1):
        call = call_of(lambda lib, x, i, dim=dim: lib.gather(x, dim, i))
        yield Row(
            "index",
            f"gather 1024x1024 dim={dim}",
            call,
            (Input((1024, 1024)), index_input((1024, 1024), 1024)),
            0,
            True,
        )
        call = call_of(lambda lib, x, i, s, dim=dim: lib.scatter_add(x, dim, i, s))
        yield Row(
            "index",
            f"scatter_add 1024x1024 dim={dim}",
            call,
            (Input((1024, 1024)), index_input((1024, 1024), 1024), Input((1024, 1024))),
        )
    call = call_of(lambda lib, w, i: lib.nn.functional.embedding(i, w))
    yield Row(
        "index",
        "embedding 64x128 of 30522x768",
        call,
        (Input((30522, 768)), index_input((64, 128), 30522)),
        2 * 64 * 128 * 768 * 4,
        True,
    )
    yield Row(
        "index",
        "embedding 32x35 of 10000x200",
        call,
        (Input((10000, 200)), index_input((32, 35), 10000)),
        0,
        True,
    )
    call = call_of(lambda lib, x, i: x[i])
    yield Row(
        "index",
        "x[index] 4096 of 4096x256",
        call,
        (Input((4096, 256)), index_input((4096,), 4096)),
        0,
        True,
    )
    call = call_of(lambda lib, x, m: x[m])
    yield Row(
        "index",
        "x[mask] 1M",
        call,
        (Input((1 << 20,)), Input((1 << 20,), "bool", 0, 2, grad=False)),
        0,
        True,
    )
    call = call_of(lambda lib, m: lib.nonzero(m))
    yield Row("index", "nonzero 1M", call, (Input((1 << 20,), "bool", 0, 2, grad=False),))
    call = call_of(lambda lib, i: lib.nn.functional.one_hot(i, 1000))
    yield Row("index", "one_hot 1024x1000", call, (index_input((1024,), 1000),))
    yield Row(
        "index",
        "tril 1024x1024",
        call_of(lambda lib, x: lib.tril(x)),
        (Input((1024, 1024)),),
        8 << 20,
    )


def losses() -> Iterator[Row]:
    for n, c in ((128, 1000), (64, 10), (4096, 10000)):
        call = call_of(lambda lib, x, t: lib.nn.functional.cross_entropy(x, t))
        yield Row(
            "loss", f"cross_entropy {n}x{c}", call, (Input((n, c)), index_input((n,), c)), 0, True
        )
    call = call_of(lambda lib, x, t: lib.nn.functional.cross_entropy(x, t))
    yield Row(
        "loss",
        "cross_entropy 8x21x128x128",
        call,
        (Input((8, 21, 128, 128)), index_input((8, 128, 128), 21)),
        0,
        True,
    )
    call = call_of(lambda lib, x, t: lib.nn.functional.cross_entropy(x, t, label_smoothing=0.1))
    yield Row(
        "loss",
        "cross_entropy smoothed 128x1000",
        call,
        (Input((128, 1000)), index_input((128,), 1000)),
        0,
        True,
    )
    x, t = Input((1 << 20,)), Input((1 << 20,), grad=False)
    p, q = Input((1 << 20,), low=0.1, high=0.9), Input((1 << 20,), low=0, high=1, grad=False)
    pairs = (
        ("mse_loss", x, t),
        ("l1_loss", x, t),
        ("smooth_l1_loss", x, t),
        ("binary_cross_entropy", p, q),
        ("binary_cross_entropy_with_logits", x, q),
    )
    for name, a, b in pairs:
        call = call_of(lambda lib, a, b, n=name: getattr(lib.nn.functional, n)(a, b))
        yield Row("loss", f"{name} 1M", call, (a, b), 0, True)


def randoms() -> Iterator[Row]:
    x = Input((1 << 20,))
    for label in ("1k", "1M"):
        n = SIZES[label]
        call = call_of(lambda lib, x: lib.nn.functional.dropout(x, 0.1))
        yield Row("random", f"dropout {label}", call, (Input((n,)),), 0, True, check=False)
        call = call_of(lambda lib, n=n: lib.rand(n))
        yield Row("random", f"rand {label}", call, (), 0, check=False)
        call = call_of(lambda lib, n=n: lib.randn(n))
        yield Row("random", f"randn {label}", call, (), 0, check=False)
    call = call_of(lambda lib: lib.randperm(1 << 16))
    yield Row("random", "randperm 64k", call, (), 0, check=False)
    call = call_of(lambda lib: lib.randint(0, 1000, (1 << 20,)))
    yield Row("random", "randint 1M", call, (), 0, check=False)
    call = call_of(lambda lib, x: x.bernoulli_(0.5))
    yield Row("random", "bernoulli_ 1M", call, (x,), 0, check=False)


def optimizers() -> Iterator[Row]:
    def step(name: str, shapes: list[tuple[int, ...]], **options: Any) -> Callable[..., Any]:
        def make(lib: Any) -> Callable[[], Any]:
            parameters = [lib.nn.Parameter(lib.ones(shape)) for shape in shapes]
            for p in parameters:
                p.grad = lib.ones(p.shape)
            return getattr(lib.optim, name)(parameters, **options).step

        return make

    many: list[tuple[int, ...]] = [(64, 64, 3, 3), (64,), (64,)] * 53
    few: list[tuple[int, ...]] = [(4096, 4096), (4096, 1024)]
    tiny: list[tuple[int, ...]] = [(32, 10), (10,)] * 3
    kinds: list[tuple[str, str, dict[str, Any]]] = [
        ("SGD", "SGD", {"lr": 1e-3}),
        ("SGD momentum", "SGD", {"lr": 1e-3, "momentum": 0.9, "weight_decay": 1e-4}),
        ("Adam", "Adam", {"lr": 1e-3}),
        ("AdamW", "AdamW", {"lr": 1e-3}),
        ("RMSprop", "RMSprop", {"lr": 1e-3}),
    ]
    for title, name, options in kinds:
        for what, shapes in (("159 of ResNet-50", many), ("2 large", few), ("6 tiny", tiny)):
            make = step(name, shapes, **options)
            yield Row("optim", f"{title}, {what}", make, (), 0, check=False)


def small() -> Iterator[Row]:
    """Ops on a few elements: what is timed is the call."""
    x = Input((4,))
    calls: dict[str, tuple[Callable[..., Any], tuple[Input, ...]]] = {
        "add": (lambda lib, a, b: a + b, (x, x)),
        "mul scalar": (lambda lib, a: a * 2.0, (x,)),
        "relu": (lambda lib, a: lib.relu(a), (x,)),
        "exp": (lambda lib, a: lib.exp(a), (x,)),
        "sum": (lambda lib, a: a.sum(), (x,)),
        "mean dim": (lambda lib, a: a.mean(0), (x,)),
        "max": (lambda lib, a: a.max(), (x,)),
        "softmax": (lambda lib, a: lib.nn.functional.softmax(a, 0), (x,)),
        "layer_norm": (lambda lib, a: lib.nn.functional.layer_norm(a, (4,)), (x,)),
        "batch_norm": (
            lambda lib, a, m, v: lib.nn.functional.batch_norm(a, m, v, training=True),
            (Input((2, 4)), Input((4,), grad=False), Input((4,), low=1, grad=False)),
        ),
        "max_pool2d": (lambda lib, a: lib.nn.functional.max_pool2d(a, 2), (Input((1, 1, 4, 4)),)),
        "avg_pool2d": (lambda lib, a: lib.nn.functional.avg_pool2d(a, 2), (Input((1, 1, 4, 4)),)),
        "cat": (lambda lib, a, b: lib.cat([a, b]), (x, x)),
        "clone": (lambda lib, a: a.clone(), (x,)),
        "to float64": (lambda lib, a: a.to(lib.float64), (x,)),
        "where": (lambda lib, a, b: lib.where(a > 0, a, b), (x, x)),
        "index_select": (lambda lib, a, i: lib.index_select(a, 0, i), (x, index_input((2,), 4))),
        "x[0]": (lambda lib, a: a[0], (x,)),
        "reshape": (lambda lib, a: a.reshape(2, 2), (x,)),
        "add_": (lambda lib, a, b: a.detach().add_(b), (x, Input((4,), grad=False))),
        "mse_loss": (lambda lib, a, b: lib.nn.functional.mse_loss(a, b), (x, x)),
        "cross_entropy": (
            lambda lib, a, t: lib.nn.functional.cross_entropy(a, t),
            (Input((2, 4)), index_input((2,), 4)),
        ),
        "dropout": (lambda lib, a: lib.nn.functional.dropout(a, 0.5), (x,)),
        "interpolate": (
            lambda lib, a: lib.nn.functional.interpolate(a, scale_factor=2.0),
            (Input((1, 1, 4, 4)),),
        ),
        "pad": (lambda lib, a: lib.nn.functional.pad(a, (1, 1)), (x,)),
        "topk": (lambda lib, a: lib.topk(a, 2)[0], (x,)),
        "cumsum": (lambda lib, a: lib.cumsum(a, 0), (x,)),
        "embedding": (
            lambda lib, w, i: lib.nn.functional.embedding(i, w),
            (Input((4, 4)), index_input((2,), 4)),
        ),
    }
    for name, (f, inputs) in calls.items():
        check = name not in ("dropout", "batch_norm", "add_")
        yield Row("small", name, call_of(f), inputs, 0, True, check=check)
