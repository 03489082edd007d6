"""Every layer in both libraries: repr, signature, state_dict keys, outputs, gradients, buffers."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from nn_pairs import build, compare_step, deeplite, torch


def rand(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def distinct(*shape: int) -> np.ndarray:
    """No ties, so that maxima have a gradient."""
    n = int(np.prod(shape))
    return np.random.default_rng(1).permutation(n).reshape(shape) / 7.0 - n / 14.0


IMAGE, VOLUME, LINE = (2, 4, 7, 6), (2, 4, 5, 4, 5), (2, 4, 9)
SHAPES = {1: LINE, 2: IMAGE, 3: VOLUME}

# text of the constructor (over nn), inputs
CASES: list[tuple[str, list[np.ndarray]]] = [
    ("Identity(1, a=2)", [rand(2, 3)]),
    ("Linear(6, 3)", [rand(2, 5, 6)]),
    ("Linear(6, 3, bias=False)", [rand(6)]),
    ("Bilinear(3, 4, 5)", [rand(2, 3), rand(2, 4)]),
    ("Bilinear(3, 4, 5, bias=False)", [rand(2, 6, 3), rand(2, 6, 4)]),
    ("Flatten()", [rand(2, 3, 4)]),
    ("Flatten(0, 1)", [rand(2, 3, 4)]),
    ("Unflatten(1, (3, 2))", [rand(2, 6)]),
    ("Unfold(3, padding=1, stride=2)", [rand(*IMAGE)]),
    ("Fold((6, 5), (2, 3), padding=1)", [rand(2, 12, 35)]),
    ("PixelShuffle(2)", [rand(2, 8, 3, 2)]),
    ("PixelUnshuffle(2)", [rand(2, 2, 4, 6)]),
    ("ChannelShuffle(2)", [rand(*IMAGE)]),
    ("CosineSimilarity(dim=1)", [rand(3, 4), rand(3, 4, seed=1)]),
    ("PairwiseDistance(p=2)", [rand(3, 4), rand(3, 4, seed=1)]),
    ("PairwiseDistance(p=1, keepdim=True)", [rand(3, 4), rand(3, 4, seed=1)]),
    ("LayerNorm(6)", [rand(*IMAGE)]),
    ("LayerNorm((7, 6), eps=1e-3, bias=False)", [rand(*IMAGE)]),
    ("LayerNorm(6, elementwise_affine=False)", [rand(*IMAGE)]),
    ("RMSNorm(6)", [rand(3, 6)]),
    ("RMSNorm((3, 6), eps=1e-3, elementwise_affine=False)", [rand(3, 6)]),
    ("GroupNorm(2, 4)", [rand(*IMAGE)]),
    ("GroupNorm(4, 4, affine=False)", [rand(*LINE)]),
    ("LocalResponseNorm(3, alpha=0.1)", [rand(*IMAGE)]),
    ("LocalResponseNorm(2)", [rand(*LINE)]),
    ("Embedding(5, 3)", [np.array([[0, 4], [2, 2]])]),
    ("Embedding(5, 3, padding_idx=-1)", [np.array([1, 4])]),
    ("Embedding(5, 3, scale_grad_by_freq=True)", [np.array([1, 4, 1])]),
    ("Embedding(5, 3, max_norm=0.5)", [np.array([1, 4, 1])]),
    ("AdaptiveAvgPool2d((None, 3))", [rand(*IMAGE)]),
    ("UpsamplingNearest2d(scale_factor=2)", [rand(*IMAGE)]),
    ("UpsamplingBilinear2d(size=(5, 11))", [rand(*IMAGE)]),
    ("Upsample(scale_factor=(2, 0.5), mode='bilinear')", [rand(*IMAGE)]),
    ("Upsample(size=(11, 4), mode='bicubic')", [rand(*IMAGE)]),
    ("Upsample(scale_factor=1.7, mode='linear', align_corners=True)", [rand(*LINE)]),
    ("Upsample(size=(3, 8, 6), mode='trilinear')", [rand(*VOLUME)]),
    ("Upsample(scale_factor=0.6, mode='nearest')", [rand(*VOLUME)]),
    ("Upsample(size=(5, 4), mode='nearest-exact')", [rand(*IMAGE)]),
    ("Upsample(size=(3, 2), mode='area')", [rand(*IMAGE)]),
]
for name in (
    "CELU ELU GELU Hardshrink Hardsigmoid Hardswish Hardtanh LeakyReLU LogSigmoid Mish PReLU ReLU "
    "ReLU6 SELU SiLU Sigmoid Softplus Softshrink Softsign Tanh Tanhshrink"
).split():
    CASES.append((f"{name}()", [3 * rand(3, 5)]))
CASES += [
    ("CELU(0.7)", [3 * rand(3, 5)]),
    ("ELU(0.7)", [3 * rand(3, 5)]),
    ("GELU('tanh')", [3 * rand(3, 5)]),
    ("GLU()", [rand(3, 6)]),
    ("GLU(dim=0)", [rand(4, 3)]),
    ("Hardtanh(-0.5, 2)", [3 * rand(3, 5)]),
    ("LeakyReLU(0.3)", [3 * rand(3, 5)]),
    ("PReLU(4, init=0.1)", [rand(*IMAGE)]),
    ("Softplus(2, 1)", [3 * rand(3, 5)]),
    ("Softshrink(1)", [3 * rand(3, 5)]),
    ("Hardshrink(1)", [3 * rand(3, 5)]),
    ("Threshold(0.3, -7)", [3 * rand(3, 5)]),
    ("Softmax(dim=1)", [rand(3, 5)]),
    ("LogSoftmax(dim=-1)", [rand(3, 5)]),
    ("Softmin(dim=0)", [rand(3, 5)]),
    ("Softmax2d()", [rand(*IMAGE)]),
]
for n, shape in SHAPES.items():
    x, one = rand(*shape), rand(*shape[1:])
    CASES += [
        (f"Conv{n}d(4, 6, 3)", [x]),
        (f"Conv{n}d(4, 6, 3)", [one]),
        (f"Conv{n}d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2, bias=False)", [x]),
        (f"Conv{n}d(4, 4, 3, padding='same', groups=4)", [x]),
        (f"Conv{n}d(4, 2, 2, padding='same', padding_mode='reflect')", [x]),
        (f"Conv{n}d(4, 2, 2, padding='valid')", [x]),
        (f"Conv{n}d(4, 2, 3, padding=2, padding_mode='circular')", [x]),
        (f"Conv{n}d(4, 2, 3, padding=1, padding_mode='replicate')", [x]),
        (f"ConvTranspose{n}d(4, 6, 3)", [x]),
        (
            f"ConvTranspose{n}d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2, "
            "dilation=2, bias=False)",
            [x],
        ),
        (f"MaxPool{n}d(2)", [distinct(*shape)]),
        (f"MaxPool{n}d(3, stride=2, padding=1, ceil_mode=True)", [distinct(*shape)]),
        (f"MaxPool{n}d(2, dilation=2, return_indices=True)", [distinct(*shape)]),
        (f"AvgPool{n}d(2)", [x]),
        (f"AvgPool{n}d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False)", [x]),
        (f"LPPool{n}d(2, 2)", [np.abs(x) + 0.1]),
        (f"AdaptiveAvgPool{n}d(3)", [x]),
        (f"AdaptiveMaxPool{n}d(3)", [distinct(*shape)]),
        (f"AdaptiveMaxPool{n}d(2, return_indices=True)", [distinct(*shape)]),
        (f"BatchNorm{n}d(4)", [x]),
        (f"BatchNorm{n}d(4, momentum=None, affine=False)", [x]),
        (f"BatchNorm{n}d(4, track_running_stats=False)", [x]),
        (f"InstanceNorm{n}d(4)", [x]),
        (f"InstanceNorm{n}d(4, affine=True, track_running_stats=True)", [x]),
        (f"InstanceNorm{n}d(4)", [one]),
    ]
    for kind in ("Constant", "Reflection", "Replication", "Zero", "Circular"):
        value = ", 0.5" if kind == "Constant" else ""
        sides = tuple(range(1, 2 * n + 1)) if n == 1 else (1, 2, 0, 1, 2, 1)[: 2 * n]
        CASES += [(f"{kind}Pad{n}d(1{value})", [x]), (f"{kind}Pad{n}d({sides}{value})", [x])]
CASES += [
    ("AvgPool2d(2, divisor_override=3)", [rand(*IMAGE)]),
    ("BatchNorm1d(4)", [rand(5, 4)]),
    ("Sequential(nn.Conv2d(4, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten())", [rand(*IMAGE)]),
]


# torch computes these gradients with float32 constants (1/6, alpha) even in float64.
LOOSE = {"Hardsigmoid()": 1e-7, "CELU(0.7)": 1e-7}


@pytest.mark.parametrize("text, values", CASES, ids=[c[0] for c in CASES])
def test_layer(text: str, values: list[np.ndarray]) -> None:
    ours, theirs = build(lambda nn: eval("nn." + text, {"nn": nn}))
    assert repr(ours) == repr(theirs)
    tol = LOOSE.get(text, 1e-10)
    compare_step(ours, theirs, values, tol)
    for module in (ours, theirs):
        module.zero_grad()
        module.eval()
    compare_step(ours, theirs, values, tol)


def test_max_unpool() -> None:
    for n, shape in SHAPES.items():
        results = []
        for lib in (deeplite, torch):
            x = lib.tensor(distinct(*shape)).requires_grad_()
            y, where = getattr(lib.nn, f"MaxPool{n}d")(2, return_indices=True)(x)
            back = getattr(lib.nn, f"MaxUnpool{n}d")(2)(y, where, output_size=x.shape)
            (back * back).sum().backward()
            results.append((back.detach().numpy(), x.grad.numpy()))
        for a, b in zip(*results):
            np.testing.assert_allclose(a, b)


def test_fractional_max_pool() -> None:
    samples = np.random.default_rng(0).uniform(size=(2, 4, 3))
    for n in (2, 3):
        for options in ({"output_size": 3}, {"output_ratio": 0.6, "return_indices": True}):
            ours, theirs = (
                getattr(lib.nn, f"FractionalMaxPool{n}d")(
                    2, _random_samples=lib.tensor(samples[..., :n]), **options
                )
                for lib in (deeplite, torch)
            )
            assert repr(ours) == repr(theirs)
            compare_step(ours, theirs, [distinct(2, 4, *(7, 6, 8)[:n])])
    assert tuple(deeplite.nn.FractionalMaxPool2d(2, 3)(deeplite.zeros(4, 7, 6)).shape) == (4, 3, 3)
    for bad in ({}, {"output_size": 3, "output_ratio": 0.5}, {"output_ratio": 1.5}):
        with pytest.raises(ValueError, match="FractionalMaxPool2d"):
            deeplite.nn.FractionalMaxPool2d(2, **bad)


def test_transposed_output_size() -> None:
    ours, theirs = build(lambda nn: nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1))
    x = rand(*IMAGE)
    size = (14, 12)
    a = ours(deeplite.tensor(x), output_size=size)
    b = theirs(torch.tensor(x), output_size=size)
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy())
    with pytest.raises(ValueError, match="output size"):
        ours(deeplite.tensor(x), output_size=(20, 12))


@pytest.mark.parametrize("text", ["Dropout", "Dropout1d", "Dropout2d", "Dropout3d"])
def test_dropout_layers(text: str) -> None:
    layer = getattr(deeplite.nn, text)(0.25)
    shape = {"Dropout": (100, 40), "Dropout1d": (100, 40, 3), "Dropout2d": (100, 40, 3, 2)}.get(
        text, (100, 40, 2, 2, 2)
    )
    x = deeplite.ones(shape, requires_grad=True)
    deeplite.manual_seed(0)
    y = layer(x)
    kept = y.detach().numpy().reshape(100 * 40, -1)
    assert set(np.unique(kept.round(5))) == {0.0, np.float32(4 / 3).round(5)}
    assert 0.2 < (kept == 0).mean() < 0.3
    if text != "Dropout":
        assert ((kept == 0).all(1) | (kept > 0).all(1)).all()  # whole channels
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())
    layer.eval()
    np.testing.assert_array_equal(layer(x).detach().numpy(), 1)
    with pytest.raises(ValueError, match="between 0 and 1"):
        getattr(deeplite.nn, text)(1.5)


@pytest.mark.parametrize("text", ["AlphaDropout", "FeatureAlphaDropout"])
def test_alpha_dropout_keeps_the_moments(text: str) -> None:
    deeplite.manual_seed(0)
    x = deeplite.tensor(rand(200, 500))
    y = getattr(deeplite.nn, text)(0.3)(x).numpy()
    assert abs(y.mean()) < 0.02 and abs(y.std() - 1) < 0.02
    assert len(np.unique(y.round(12))) < y.size  # something was dropped


def test_rrelu() -> None:
    layer, x = deeplite.nn.RReLU(0.2, 0.4), deeplite.tensor(-np.ones((50, 50)))
    y = -layer(x).numpy()
    assert (y >= 0.2).all() and (y <= 0.4).all() and y.std() > 0.01
    np.testing.assert_allclose(layer.eval()(x).numpy(), -0.3)


def test_embedding_bag() -> None:
    for mode in ("sum", "mean", "max"):
        ours, theirs = build(lambda nn, mode=mode: nn.EmbeddingBag(6, 3, mode=mode))
        assert repr(ours) == repr(theirs)
        compare_step(ours, theirs, [np.array([[0, 5, 1], [2, 2, 3]])])
        compare_step(ours, theirs, [np.array([0, 5, 1, 2]), np.array([0, 1])])


SKIPPED_SIGNATURES = {
    # torch's has a number of extra names in front of the same order
    "MultiheadAttention",
}


def test_layers_have_the_parameters_of_torch() -> None:
    """Every class of deeplite.nn takes torch's arguments, in torch's order, with its defaults."""
    compared = 0
    for name in dir(deeplite.nn):
        ours, theirs = getattr(deeplite.nn, name), getattr(torch.nn, name, None)
        if not (inspect.isclass(ours) and theirs) or name in SKIPPED_SIGNATURES:
            continue
        a = inspect.signature(ours.__init__).parameters
        b = inspect.signature(theirs.__init__).parameters
        if any(p.kind is p.VAR_POSITIONAL for p in b.values()):
            continue
        assert list(a) == list(b), name
        for key in a:
            assert a[key].default == b[key].default or key == "default", (name, key)
            assert a[key].kind == b[key].kind, (name, key)
        compared += 1
    assert compared > 80


def test_functions_have_the_parameters_of_torch() -> None:
    compared = 0
    for name in dir(deeplite.nn.functional):
        ours = getattr(deeplite.nn.functional, name)
        theirs = getattr(torch.nn.functional, name, None)
        if not inspect.isfunction(ours) or theirs is None:
            continue
        try:
            b = inspect.signature(theirs).parameters
        except ValueError:  # built in C++: no signature
            continue
        if any(p.kind is p.VAR_POSITIONAL for p in b.values()):
            continue
        a = inspect.signature(ours).parameters
        assert list(a) == list(b), name
        for key in a:
            assert a[key].default == b[key].default, (name, key)
        compared += 1
    assert compared > 60


BAD = [
    ("Conv2d(3, 4, 0)", ValueError, "kernel_size must be positive"),
    ("Conv2d(3, 4, 3, groups=2)", ValueError, "divisible by groups"),
    ("Conv2d(3, 4, 3, groups=0)", ValueError, "groups must be positive"),
    ("Conv2d(3, 4, 3, stride=2, padding='same')", ValueError, "padding='same'"),
    ("Conv2d(3, 4, 3, padding='no')", ValueError, "'same', 'valid'"),
    ("Conv2d(4, 4, 3, padding=-1)", ValueError, "must not be negative"),
    ("Conv2d(4, 4, (3, 3, 3))", ValueError, "must have 2 entries"),
    ("Conv2d(4, 4, 3, padding_mode='no')", ValueError, "padding_mode"),
    ("ConvTranspose2d(4, 4, 3, padding_mode='reflect')", ValueError, "zeros"),
    ("Linear(-1, 2)", ValueError, "negative"),
    ("Bilinear(0, 1, 1)", ValueError, "positive"),
    ("GroupNorm(3, 4)", ValueError, "divisible"),
    ("Dropout(-0.1)", ValueError, "between 0 and 1"),
    ("Hardtanh(1, 0)", ValueError, "max_val"),
    ("Embedding(3, 2, padding_idx=3)", ValueError, "padding_idx"),
    ("ZeroPad2d((1, 2, 3))", ValueError, "padding"),
    ("MultiMarginLoss(p=3)", ValueError, "p must be"),
    ("TripletMarginLoss(margin=0)", ValueError, "margin"),
    ("Unflatten(0, 'x')", TypeError, "unflattened_size"),
]


@pytest.mark.parametrize("text, error, message", BAD, ids=[b[0] for b in BAD])
def test_bad_arguments(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        eval("nn." + text, {"nn": deeplite.nn})


BAD_INPUTS = [
    ("BatchNorm2d(3)", (2, 3, 4), "expected 4-d"),
    ("BatchNorm2d(3)", (2, 4, 5, 5), "BatchNorm2d"),
    ("InstanceNorm2d(3, affine=True)", (2, 4, 5, 5), "expected 3 channels"),
    ("Linear(3, 2)", (2, 4), "Linear"),
    ("Conv2d(3, 2, 3)", (1, 4, 5, 5), "Conv2d"),
    ("Conv2d(3, 2, 7)", (1, 3, 5, 5), "Conv2d"),
    ("LayerNorm(3)", (2, 4), "LayerNorm"),
    ("MaxPool2d(2, padding=2)", (1, 1, 4, 4), "MaxPool2d"),
    ("Softmax2d()", (3, 4), "Softmax2d"),
]


@pytest.mark.parametrize(
    "text, shape, message", BAD_INPUTS, ids=[f"{b[0]}{b[1]}" for b in BAD_INPUTS]
)
def test_bad_inputs_name_the_layer(text: str, shape: tuple[int, ...], message: str) -> None:
    layer = eval("nn." + text, {"nn": deeplite.nn})
    before = {k: v.numpy().copy() for k, v in layer.state_dict().items()}
    with pytest.raises((ValueError, RuntimeError), match=message):
        layer(deeplite.zeros(shape))
    for k, v in layer.state_dict().items():
        np.testing.assert_array_equal(v.numpy(), before[k])
