"""The table of ops: one row per public op, from which the generic tests (and benchmarks) derive.

Each family has a file here, ``tests/op_cases/<family>.py`` (or ``<family>_something.py``), that
defines ``CASES: list[OpCase]``. `all_cases()` collects them. A row, worked out::

    from op_cases import Error, OpCase, Sample, T, make

    def softmax_samples():
        yield Sample(make((4, 7)), 1)  # tensors are specs, the rest is passed as is
        yield Sample(make((4, 7)), dim=-2)
        yield Sample(make((3, 1, 5), layout="transposed"), dim=0)
        yield Sample(make(()), dim=0)  # 0-dim
        yield Sample(make((2, 0, 3)), dim=2)  # empty
        yield Sample(make((2, 3)), dim=1, dtype=T("float64"))  # T: an attribute of the library

    def softmax_errors():
        yield Error("IndexError", "dim.*range", make((2, 3)), dim=2)
        yield Error("TypeError", "softmax", 3.0, dim=0)

    CASES = [
        OpCase("softmax", softmax_samples, softmax_errors, k=lambda s: 7),
        OpCase("nn.functional.embedding", ..., grad=True),
        OpCase("Tensor.add_", ...),                      # in-place: the trailing _ says so
        OpCase("sum", sums, variant="int", dtypes=INTEGRAL, grad=False),   # a second row of an op
    ]

What a row promises is checked by tests/test_ops_*.py against torch in float64: results (values,
dtype, shape), gradients, float64 gradcheck and gradgradcheck, strided and expanded inputs, an empty
batch (deeplite must do what torch does: same shape, or both raise), half dtypes, error inputs
(exception type, message, nothing changed), all ISAs and the reference kernels, 1 against 2 threads,
the plug-in backend, capture and replay. A row that cannot take part in one kind of test says so in
``skip={"capture": "why"}``; see KINDS.

Keep samples small (tens of elements; a few hundred where blocking needs it) and put the most
telling one first: expensive kinds of tests (ISAs, threads, backends, gradgradcheck) use only the
first ``OpCase.heavy`` samples.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

FLOAT = ("float32", "float64")
HALF = ("bfloat16", "float16")
SIGNED = ("int64", "int32", "int16", "int8")
INTEGRAL = (*SIGNED, "uint8")
NUMERIC = (*FLOAT, *INTEGRAL)
ALL = (*NUMERIC, "bool")

# The kinds of tests, as used in OpCase.skip. ("pure": inputs are left alone.)
KINDS = (
    "forward", "grad", "gradcheck", "gradgradcheck", "layouts", "empty", "half", "errors",
    "isa", "threads", "backend", "capture", "pure",
)  # fmt: skip

LAYOUTS = ("contiguous", "transposed", "strided", "expanded")


@dataclasses.dataclass(frozen=True)
class Spec:
    """A tensor to be made, equal in every library. See `make`."""

    shape: tuple[int, ...]
    dtype: str | None = None
    low: float | None = None
    high: float | None = None
    layout: str = "contiguous"
    grad: bool = True
    distinct: bool = False
    values: Any = None


def make(
    shape: int | tuple[int, ...],
    dtype: str | None = None,
    low: float | None = None,
    high: float | None = None,
    *,
    layout: str = "contiguous",
    grad: bool = True,
    distinct: bool = False,
) -> Spec:
    """A random tensor of `shape`, uniform over [low, high).

    dtype None means the dtype of the test at hand (each of OpCase.dtypes in turn). The default
    range is [-2, 2) for floating, [-5, 5) for signed, [0, 10) for unsigned and both values for
    bool. layout: "contiguous", "transposed" (last two dimensions swapped in memory), "strided"
    (every second element of a larger buffer, with an offset) or "expanded" (stride 0 in
    dimension 0).
    grad=False: no gradient with respect to this input. distinct=True: all elements differ by a
    clear margin (for max, sort, median, pooling, whose gradient is not defined at ties).
    """
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    return Spec(shape, dtype, low, high, layout, grad, distinct)


def index(shape: int | tuple[int, ...], n: int) -> Spec:
    """int64 indices in [0, n)."""
    return make(shape, "int64", 0, n)


_index = index


def values(data: Any, dtype: str | None = None, *, grad: bool = True) -> Spec:
    """A tensor with exactly these (nested lists of) values."""
    array = np.asarray(data)
    return Spec(array.shape, dtype, grad=grad, values=data)


@dataclasses.dataclass(frozen=True)
class T:
    """An attribute of the library, looked up when the sample is made: T("float64"), T("device")."""

    name: str


class Sample:
    """The arguments of one call. Specs may be nested in lists, tuples and dicts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs

    def specs(self) -> list[Spec]:
        """All tensor specs, in the order in which they are made."""
        found: list[Spec] = []
        map_specs((self.args, self.kwargs), lambda spec: found.append(spec))
        return found

    def __repr__(self) -> str:
        parts = [_brief(a) for a in self.args]
        parts += [f"{k}={_brief(v)}" for k, v in self.kwargs.items()]
        return f"({', '.join(parts)})"


class Error(Sample):
    """A call that must raise `exception` (a class or the name of one, in deeplite or builtins) with
    a message that matches the regular expression `match` and, unless names_op is set to False on
    the instance, names the op."""

    names_op = True

    def __init__(self, exception: type | str, match: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.exception, self.match = exception, match


ErrorSample = Error


@dataclasses.dataclass(frozen=True)
class OpCase:
    """One row: an op, the inputs to try, and what it promises."""

    name: str  # torch's dotted name: "softmax", "nn.functional.conv2d", "Tensor.add_"
    samples: Callable[[], Iterable[Sample]]
    errors: Callable[[], Iterable[Error]] | None = None
    _: dataclasses.KW_ONLY
    variant: str = ""  # tells several rows of the same op apart
    dtypes: tuple[str, ...] = FLOAT
    half: bool = True  # also tried in bfloat16 and float16 (if it takes floats at all)
    grad: bool = True  # differentiable
    gradgrad: bool = True  # twice
    # Tolerance: error <= c * eps * sqrt(K) * scale, or 3x torch's own error in the same dtype.
    c: float = 8.0
    k: Callable[[Sample], int] | None = None  # reduction length K of a sample; default 1
    exact: bool = False  # bit-equal to torch, floats included (data movement, comparisons)
    strides: bool = False  # results have torch's strides too
    view: bool = False  # the result shares memory with the first input
    inplace: bool | None = None  # None: the name ends in _ (but not __)
    # Random ops: check(outputs as numpy arrays, sample) looks at statistics, not at values.
    random: Callable[[list[np.ndarray], Sample], None] | None = None
    # Where the dotted name does not do: a callable that takes the library and gives the function.
    fn: Callable[[Any], Callable[..., Any]] | None = None
    torch_fn: Callable[[Any], Callable[..., Any]] | None = None
    covers: tuple[str, ...] = ()  # further public names that this row stands for (aliases)
    heavy: int = 2  # how many samples the expensive kinds of tests use
    skip: dict[str, str] = dataclasses.field(default_factory=dict)  # kind of test -> reason
    flops: Callable[[Sample], float] | None = None
    family: str = ""  # filled in by all_cases()

    @property
    def id(self) -> str:
        return f"{self.name}[{self.variant}]" if self.variant else self.name

    @property
    def is_inplace(self) -> bool:
        if self.inplace is not None:
            return self.inplace
        return self.name.endswith("_") and not self.name.endswith("__")

    @property
    def floating(self) -> bool:
        return any(d in FLOAT for d in self.dtypes)

    @property
    def differentiable(self) -> bool:
        return self.grad and "float64" in self.dtypes and self.random is None

    def resolve(self, lib: Any) -> Callable[..., Any]:
        """The function in `lib` (deeplite or torch)."""
        if lib.__name__ == "torch" and self.torch_fn is not None:
            return self.torch_fn(lib)
        if self.fn is not None:
            return self.fn(lib)
        return resolve(lib, self.name)

    def reduction(self, sample: Sample) -> int:
        return max(1, self.k(sample)) if self.k is not None else 1


def resolve(lib: Any, name: str) -> Callable[..., Any]:
    """'softmax', 'nn.functional.relu', 'Tensor.add_' (a method) or 'Tensor.T' (a property)."""
    if name.startswith("Tensor."):
        member = name.removeprefix("Tensor.")

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            attribute = getattr(self, member)
            return attribute(*args, **kwargs) if callable(attribute) else attribute

        getattr(lib.Tensor, member)  # fails here, at look-up, when there is no such method
        return call
    found = lib
    for part in name.split("."):
        found = getattr(found, part)
    return found


def map_specs(tree: Any, f: Callable[[Spec], Any]) -> Any:
    """`tree` with every Spec replaced by f(spec), in order."""
    if isinstance(tree, Spec):
        return f(tree)
    if isinstance(tree, (list, tuple)):
        return type(tree)(map_specs(x, f) for x in tree)
    if isinstance(tree, dict):
        return {k: map_specs(v, f) for k, v in tree.items()}
    return tree


def map_attributes(tree: Any, f: Callable[[T], Any]) -> Any:
    if isinstance(tree, T):
        return f(tree)
    if isinstance(tree, (list, tuple)):
        return type(tree)(map_attributes(x, f) for x in tree)
    if isinstance(tree, dict):
        return {k: map_attributes(v, f) for k, v in tree.items()}
    return tree


# ---------------------------------------------------------------------- numbers for a spec


def numpy_data(spec: Spec, dtype: str, seed: tuple[int, ...]) -> np.ndarray:
    """The values of a spec as float64 (floats, not yet rounded to dtype) or its integer dtype."""
    dtype = spec.dtype or dtype
    floating = dtype in FLOAT or dtype in HALF
    if spec.values is not None:
        return np.asarray(spec.values, np.float64 if floating else dtype)
    rng = np.random.default_rng(seed)
    shape = spec.shape
    if spec.layout == "expanded" and shape:
        shape = (min(1, shape[0]), *shape[1:])
    data = _draw(rng, spec, shape, dtype, floating)
    return np.broadcast_to(data, spec.shape)


def _draw(
    rng: np.random.Generator, spec: Spec, shape: tuple[int, ...], dtype: str, floating: bool
) -> np.ndarray:
    n = int(np.prod(shape, dtype=np.int64))
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    low, high = {"uint8": (0, 10)}.get(dtype, (-2, 2) if floating else (-5, 5))
    low = low if spec.low is None else spec.low
    high = high if spec.high is None else spec.high
    if spec.distinct:
        grid = low + (high - low) * (np.arange(n) + 0.5) / max(n, 1)
        if not floating:
            grid = np.floor(low) + np.arange(n)
        return rng.permutation(grid).reshape(shape).astype(np.float64 if floating else dtype)
    if floating:
        return rng.uniform(low, high, shape)
    return rng.integers(int(np.ceil(low)), max(int(np.ceil(high)), int(low) + 1), shape).astype(
        dtype
    )


def seed_of(name: str, number: int) -> tuple[int, int]:
    return zlib.crc32(name.encode()), number


# ---------------------------------------------------------------------- making tensors


def dtype_name(dtype: Any) -> str:
    """'float32' for torch.float32 as well as deeplite.float32."""
    return str(dtype).rpartition(".")[2]


class Maker:
    """Makes the tensors of a sample in one library; `made` lists them in the order of specs()."""

    def __init__(
        self, lib: Any, dtype: str, *, layout: str | None = None, requires_grad: bool = False,
        widen: bool = False, device: Any = None,
    ) -> None:  # fmt: skip
        self.lib, self.dtype, self.layout = lib, dtype, layout
        self.requires_grad, self.widen, self.device = requires_grad, widen, device
        self.made: list[Any] = []
        self.specs: list[Spec] = []

    def __call__(self, sample: Sample, seed: tuple[int, int]) -> tuple[tuple, dict]:
        """(args, kwargs) of the sample. With widen=True floating tensors hold the values rounded to
        the dtype of the test, but in float64: the input of the judge."""
        self.made, self.specs = [], []

        def one(spec: Spec) -> Any:
            if self.layout is not None and spec.values is None:
                spec = dataclasses.replace(spec, layout=self.layout)
            tensor = self.tensor(spec, (*seed, len(self.made)))
            self.made.append(tensor)
            self.specs.append(spec)
            return tensor

        tree = map_specs((sample.args, sample.kwargs), one)
        return map_attributes(tree, lambda t: resolve(self.lib, t.name))

    def tensor(self, spec: Spec, seed: tuple[int, ...]) -> Any:
        name = spec.dtype or self.dtype
        data = numpy_data(spec, self.dtype, seed)
        base, strides, offset = _lay_out(data, spec.layout)
        lib = self.lib
        if data.dtype == np.float64 and name != "float64":
            flat = lib.from_numpy(base).to(getattr(lib, name))
            if self.widen:
                flat = flat.to(lib.float64)
        else:
            flat = lib.from_numpy(base)
        if self.device is not None:
            flat = flat.to(self.device)
        tensor = flat.as_strided(spec.shape, strides, offset).detach()
        floating = name in FLOAT or name in HALF
        if self.requires_grad and spec.grad and floating:
            tensor.requires_grad_()
        return tensor


def _lay_out(data: np.ndarray, layout: str) -> tuple[np.ndarray, tuple[int, ...], int]:
    """(flat buffer, strides in elements, offset) so that the strided view equals data."""
    shape, n = data.shape, data.size
    if layout == "transposed" and data.ndim < 2:
        layout = "strided"
    if n == 0 or layout == "contiguous" or (data.ndim == 0 and layout != "strided"):
        return np.ascontiguousarray(data).reshape(-1).copy(), _row_major(shape), 0
    if layout == "transposed":
        swapped = np.swapaxes(data, -1, -2)
        strides = list(_row_major(swapped.shape))
        strides[-1], strides[-2] = strides[-2], strides[-1]
        return np.ascontiguousarray(swapped).reshape(-1).copy(), tuple(strides), 0
    if layout == "strided":  # what lies between must never be read: make it stick out
        buffer = np.full(2 * n + 3, 97, data.dtype)
        buffer[3::2] = data.reshape(-1)
        return buffer, tuple(2 * s for s in _row_major(shape)), 3
    if layout == "expanded":
        rest = np.ascontiguousarray(data[0]).reshape(-1).copy()
        return rest, (0, *_row_major(shape[1:])), 0
    raise ValueError(f"unknown layout {layout!r}; one of {LAYOUTS}")


def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


def _brief(value: Any) -> str:
    if isinstance(value, Spec):
        dtype = f" {value.dtype}" if value.dtype else ""
        layout = "" if value.layout == "contiguous" else f" {value.layout}"
        return f"<{'x'.join(map(str, value.shape)) or '0-dim'}{dtype}{layout}>"
    if isinstance(value, (list, tuple)):
        inner = ", ".join(_brief(v) for v in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    return repr(value)


# ---------------------------------------------------------------------- the table


def all_cases() -> list[OpCase]:
    """Every row of every family, with `family` filled in; ids are unique."""
    rows: dict[str, OpCase] = {}
    for family, case in _rows():
        if case.id in rows:
            raise ValueError(f"two rows named {case.id}: {rows[case.id].family} and {family}")
        unknown = set(case.skip) - set(KINDS)
        if unknown:
            raise ValueError(f"{case.id} skips unknown kinds {sorted(unknown)}; known: {KINDS}")
        rows[case.id] = dataclasses.replace(case, family=family)
    return list(rows.values())


def _rows() -> Iterator[tuple[str, OpCase]]:
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        cases = importlib.import_module(f"{__name__}.{module.name}").CASES
        globals()["index"] = _index  # the family index.py is an attribute of this package as well
        for case in cases:
            yield module.name, case
