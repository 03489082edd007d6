"""Rows of the random family. Values cannot be compared with torch's: each row looks at statistics.

The bounds are six standard errors of the statistic: a wrong distribution misses them by far, a
right one fails once in a billion draws (and the seeds are fixed).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from op_cases import FLOAT, NUMERIC, Error, OpCase, Sample, T, make, values

N = 4000
BIG = (40, 100)
Check = Callable[[list[np.ndarray], Sample], None]


def near(found: float, expected: float, deviation: float, n: int, what: str) -> None:
    assert abs(found - expected) <= 6 * deviation / math.sqrt(n), f"{what}: {found} not {expected}"


def moments(mean: float, deviation: float, low: float = -math.inf, high: float = math.inf) -> Check:
    """Mean and standard deviation of the big samples; the range of all."""

    def check(outputs: list[np.ndarray], sample: Sample) -> None:
        x = outputs[0].astype(np.float64)
        assert np.isfinite(x).all() and (x >= low).all() and (x <= high).all()
        if x.size >= 1000:
            near(float(x.mean()), mean, deviation, x.size, "mean")
            near(float(x.std()), deviation, 3 * deviation, x.size, "standard deviation")

    return check


def sizes():
    yield Sample(BIG)
    yield Sample(3, 2)
    yield Sample(())
    yield Sample(0, 3)
    yield Sample((2, 2), dtype=T("float64"))


def size_errors():
    yield Error("ShapeError", "negative", -1)
    yield Error("ShapeError", "negative", 2, -3)
    yield Error("TypeError", "dtype", 3, dtype=T("int64"))


def likes():
    yield Sample(make(BIG))
    yield Sample(make((2, 3), layout="transposed"))
    yield Sample(make((2, 0)), dtype=T("float64"))


def integers():
    yield Sample(-5, 6, BIG)
    yield Sample(-5, 6, (3,), dtype=T("int32"))
    yield Sample(-5, 6, (), dtype=T("float32"))


def integer_errors():
    yield Error(RuntimeError, "low < high", 3, 3, (2,))
    yield Error(RuntimeError, "fit", 0, 300, (2,), dtype=T("uint8"))
    yield Error("ShapeError", "negative", 0, 3, (-1,))


UNIFORM_11 = moments(0.0, math.sqrt((11**2 - 1) / 12), -5, 5)
UNIFORM_01 = moments(0.5, math.sqrt(1 / 12), 0, 1)


def permutation(outputs: list[np.ndarray], sample: Sample) -> None:
    x = outputs[0]
    np.testing.assert_array_equal(np.sort(x), np.arange(x.size))
    assert x.size < 20 or (x != np.arange(x.size)).any()


def fills(*args: Any, **kwargs: Any):
    def samples():
        yield Sample(make(BIG, layout="transposed"), *args, **kwargs)
        yield Sample(make((2, 3), layout="strided"), *args, **kwargs)
        yield Sample(make((0, 3)), *args, **kwargs)
        yield Sample(make(()), *args, **kwargs)

    return samples


def bad_fills(match: str, *args: Any):
    return lambda: [Error(RuntimeError, match, make(3), *args)]


def cauchy(outputs: list[np.ndarray], sample: Sample) -> None:
    x = np.sort(outputs[0].ravel())
    if x.size >= 1000:  # no moments: median 1, quartiles 1 -+ 2
        for share, value in ((0.25, -1.0), (0.5, 1.0), (0.75, 3.0)):
            near(float((x <= value).mean()), share, 0.5, x.size, "quantile")


def random_fills():
    yield Sample(make(BIG))
    yield Sample(make(BIG), 7)
    yield Sample(make(BIG), -3, 4)


def random_range(outputs: list[np.ndarray], sample: Sample) -> None:
    x = outputs[0].astype(np.float64)
    assert (x == np.floor(x)).all()
    if len(sample.args) == 2:
        assert set(np.unique(x)) == set(range(7))
    elif len(sample.args) == 3:
        assert set(np.unique(x)) == set(range(-3, 4))
    else:
        assert (x >= 0).all() and len(np.unique(x)) > 50


def unsigned_fills():
    yield Sample(make(BIG))
    yield Sample(make(BIG), 7)


PROBABILITIES = values(np.linspace(0, 1, N).tolist())


def bernoullis():
    yield Sample(PROBABILITIES)
    yield Sample(values([[0.0, 1.0], [1.0, 0.0]]))
    yield Sample(make((0, 2), low=0, high=1))


def bernoulli_check(outputs: list[np.ndarray], sample: Sample) -> None:
    x = outputs[0].astype(np.float64)
    assert np.isin(x, (0, 1)).all()
    if x.size == N:
        for half, share in ((x[: N // 2], 0.25), (x[N // 2 :], 0.75)):
            near(float(half.mean()), share, 0.5, half.size, "share of ones")
    elif x.size == 4:
        np.testing.assert_array_equal(x, [[0, 1], [1, 0]])


def normals():
    yield Sample(values(np.full(N, 3.0).tolist()), values(np.full(N, 2.0).tolist()))
    yield Sample(values(np.full(N, 3.0).tolist()), 2.0)
    yield Sample(3.0, values(np.full(N, 2.0).tolist()))
    yield Sample(values([[3.0], [3.0]]), values([2.0, 2.0, 2.0]))


def normal_sizes():
    yield Sample(3.0, 2.0, BIG)
    yield Sample(3, 2, (2,), dtype=T("float64"))


def rates():
    yield Sample(values(np.full(N, 3.5).tolist()))
    yield Sample(values(np.zeros(5).tolist()))


def big_rates():
    yield Sample(values(np.full(N, 80.0).tolist()))


def poisson_check(outputs: list[np.ndarray], sample: Sample) -> None:
    x = outputs[0].astype(np.float64)
    assert (x == np.floor(x)).all() and (x >= 0).all()
    if x.size == N:
        rate = 3.5 if x.mean() < 20 else 80.0
        near(float(x.mean()), rate, math.sqrt(rate), N, "mean")
        near(float(x.var()), rate, 2 * rate, N, "variance")
    else:
        assert not x.any()


def multinomials():
    yield Sample(values([1.0, 0.0, 3.0, 6.0]), N, True)
    yield Sample(values([[1.0, 0.0, 3.0], [0.0, 0.0, 2.0]]), 7, replacement=True)
    yield Sample(values([1.0, 0.0, 3.0, 6.0]), 3)
    yield Sample(values([[1.0, 2.0, 3.0], [3.0, 2.0, 2.0]]), 3)


def multinomial_check(outputs: list[np.ndarray], sample: Sample) -> None:
    x = outputs[0]
    if x.shape == (N,):
        for k, share in enumerate((0.1, 0.0, 0.3, 0.6)):
            near(float((x == k).mean()), share, 0.5 if share else 1e-9, N, f"share of {k}")
    elif x.shape == (2, 7):
        assert (x[0] != 1).all() and (x[1] == 2).all()
    elif x.shape == (3,):
        assert sorted(x) == [0, 2, 3]
    else:
        np.testing.assert_array_equal(np.sort(x), [[0, 1, 2]] * 2)


def multinomial_errors():
    yield Error(RuntimeError, "without replacement", values([1.0, 2.0]), 3)
    yield Error(RuntimeError, "positive", values([0.0, 0.0]), 1)
    yield Error(RuntimeError, "negative", values([1.0, -1.0]), 1, True)
    yield Error(RuntimeError, "finite", values([1.0, float("nan")]), 1, True)
    yield Error("ShapeError", "dimensions", make((2, 2, 2)), 1)
    yield Error(RuntimeError, "positive", values([1.0, 2.0]), 0)


# ---------------------------------------------------------------------------------------- dropout


def ones(*shape: int) -> Any:
    return values(np.ones(shape).tolist())


def dropouts():
    yield Sample(ones(*BIG), 0.3)
    yield Sample(ones(*BIG))
    yield Sample(ones(3, 4), 0.0)
    yield Sample(ones(3, 4), 1.0)
    yield Sample(ones(3, 4), p=0.7, training=False)
    yield Sample(make((0, 4)), 0.5)


def dropout_errors():
    yield Error("ValueError", r"\bp\b", make((3, 4)), 1.5)
    yield Error("ValueError", r"\bp\b", make((3, 4)), -0.1)


def dropout_check(outputs: list[np.ndarray], sample: Sample) -> None:
    x = outputs[0].astype(np.float64)
    p = sample.args[1] if len(sample.args) > 1 else sample.kwargs.get("p", 0.5)
    if not sample.kwargs.get("training", True):
        p = 0.0
    scale = 1 / (1 - p) if p < 1 else 0.0
    assert np.isclose(x, 0).any() or p == 0 or x.size == 0
    assert (np.isclose(x, 0) | np.isclose(x, scale)).all()
    if x.size >= 1000:
        near(float((x == 0).mean()), p, 0.5, x.size, "share dropped")


def channels(*shape: int):
    def samples():
        yield Sample(ones(*shape), 0.4)
        yield Sample(ones(*shape[1:]), 0.4)
        yield Sample(ones(*shape), 0.0)
        yield Sample(ones(*shape), p=0.4, training=False)

    return samples


def channel_check(outputs: list[np.ndarray], sample: Sample) -> None:
    x = outputs[0].astype(np.float64)
    flat = x.reshape(*x.shape[:2], -1) if x.ndim > 2 else x[..., None]
    if x.shape[0] == 30 and x.ndim > 2:  # batched: a channel is kept or dropped as one
        assert (flat == flat[..., :1]).all()
    kept = x != 0
    assert np.isclose(x[kept], x[kept][0]).all()


def alpha_fills():
    yield Sample(make(BIG, low=-1, high=1), 0.3, True)
    yield Sample(make((3, 4)), 0.3)
    yield Sample(make((3, 4)), p=1.0, training=True)


def alpha_check(outputs: list[np.ndarray], sample: Sample) -> None:
    x = outputs[0].astype(np.float64)
    assert np.isfinite(x).all()
    if x.size >= 1000:  # dropped ones share a value
        counts = np.unique(np.round(x, 5), return_counts=True)[1]
        near(counts.max() / x.size, 0.3, 0.5, x.size, "share dropped")


def rrelus():
    yield Sample(values(np.full(N, -1.0).tolist()), 0.2, 0.6, True)
    yield Sample(values([-1.0, 2.0]), 0.2, 0.6)


def rrelu_check(outputs: list[np.ndarray], sample: Sample) -> None:
    x = outputs[0].astype(np.float64)
    if x.size == N:
        assert ((x <= -0.2 + 1e-6) & (x >= -0.6 - 1e-6)).all()
        near(float(x.mean()), -0.4, 0.4 / math.sqrt(12), N, "mean")
    else:
        np.testing.assert_allclose(x, [-0.4, 2.0], rtol=1e-6)


def gumbels():
    yield Sample(make((5, 4)))
    yield Sample(make((5, 4)), 0.5, True)
    yield Sample(make((5, 4)), tau=2.0, hard=True, dim=0)


def gumbel_check(outputs: list[np.ndarray], sample: Sample) -> None:
    x = outputs[0].astype(np.float64)
    dim = sample.kwargs.get("dim", -1)
    np.testing.assert_allclose(x.sum(dim), 1, rtol=1e-5)
    if sample.kwargs.get("hard", len(sample.args) > 2):
        np.testing.assert_allclose(x.max(dim), 1, rtol=1e-5)


def row(name: str, samples: Any, check: Check, errors: Any = None, **kwargs: Any) -> OpCase:
    return OpCase(name, samples, errors, random=check, grad=False, half=False, **kwargs)


STATE = ("float32",)

CASES = [
    row("rand", sizes, UNIFORM_01, size_errors, dtypes=STATE),
    row("randn", sizes, moments(0, 1), size_errors, dtypes=STATE),
    row("randint", integers, UNIFORM_11, integer_errors, dtypes=STATE),
    row("randint", lambda: [Sample(11, (3, 2)), Sample(11, (0,))], moments(5, 3, 0, 10),
        variant="high", dtypes=STATE),
    row("rand_like", likes, UNIFORM_01, dtypes=FLOAT),
    row("randn_like", likes, moments(0, 1), dtypes=FLOAT),
    row("randint_like", lambda: [Sample(make(BIG), -5, 6), Sample(make((2, 0)), -5, 6)],
        UNIFORM_11),
    row("randperm", lambda: [Sample(100), Sample(0), Sample(1), Sample(7, dtype=T("int32"))],
        permutation, lambda: [Error(RuntimeError, "negative", -1)], dtypes=STATE),
    row("Tensor.uniform_", fills(-1.0, 3.0), moments(1, 4 / math.sqrt(12), -1, 3),
        bad_fills("from <= to", 2.0, 1.0)),
    row("Tensor.normal_", fills(3.0, 2.0), moments(3, 2), bad_fills("std", 0.0, -1.0)),
    row("Tensor.log_normal_", fills(0.0, 0.5),
        moments(math.exp(0.125), math.exp(0.125) * math.sqrt(math.exp(0.25) - 1), 0),
        bad_fills("std", 0.0, -1.0)),
    row("Tensor.exponential_", fills(2.0), moments(0.5, 0.5, 0), bad_fills("lambd", -1.0)),
    row("Tensor.geometric_", fills(0.4), moments(2.5, math.sqrt(0.6) / 0.4, 1),
        bad_fills("p must", 1.5), dtypes=NUMERIC),
    row("Tensor.cauchy_", fills(1.0, 2.0), cauchy, bad_fills("sigma", 0.0, -1.0)),
    row("Tensor.bernoulli_", fills(0.3), moments(0.3, math.sqrt(0.21), 0, 1),
        bad_fills("p must", 1.5), dtypes=(*NUMERIC, "bool")),
    row("Tensor.random_", random_fills, random_range, bad_fills("low < high", 4, 4),
        dtypes=(*FLOAT, "int64", "int32", "int16", "int8")),
    row("Tensor.random_", unsigned_fills, random_range, variant="unsigned", dtypes=("uint8",)),
    row("bernoulli", bernoullis, bernoulli_check,
        lambda: [Error("TypeError", "float", make(3, "int64"))]),
    row("normal", normals, moments(3, 2)),
    row("normal", normal_sizes, moments(3, 2), variant="size", dtypes=STATE),
    row("poisson", rates, poisson_check),
    row("poisson", big_rates, poisson_check, variant="big"),
    row("multinomial", multinomials, multinomial_check, multinomial_errors),
    row("nn.functional.dropout", dropouts, dropout_check, dropout_errors),
    row("dropout", lambda: [Sample(ones(*BIG), 0.3, True)], dropout_check),
    row("nn.functional.dropout1d", channels(30, 8, 5), channel_check),
    row("nn.functional.dropout2d", channels(30, 8, 3, 2), channel_check),
    row("nn.functional.dropout3d", channels(30, 8, 2, 3, 2), channel_check),
    row("feature_dropout", lambda: [Sample(ones(30, 8, 3), 0.4, True)], channel_check),
    row("nn.functional.alpha_dropout", alpha_fills, alpha_check),
    row("nn.functional.feature_alpha_dropout", lambda: [Sample(make((3, 4, 2)), 0.3, True)],
        alpha_check),
    row("nn.functional.rrelu", rrelus, rrelu_check),
    row("nn.functional.gumbel_softmax", gumbels, gumbel_check),
]  # fmt: skip
