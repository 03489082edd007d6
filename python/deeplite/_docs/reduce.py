"""Reductions, cumulative operations and softmax."""

DOCS = {
    "all": """Whether all elements are true (not 0), or those along dim. dim: one or several
dimensions, all of them when None; keepdim keeps them with size 1.

>>> dl.tensor([[True, False], [True, True]]).all()
tensor(False)
>>> dl.tensor([[1, 0], [1, 1]]).all(dim=1)
tensor([False,  True])
""",
    "amax": """Greatest element. Equal ones share the gradient. dim: one or several dimensions,
all of them when None; keepdim keeps them with size 1.

>>> dl.tensor([[1.0, 4.0], [3.0, 2.0]]).amax(1)
tensor([4., 3.])
""",
    "amin": """Least element. Equal ones share the gradient. dim: one or several dimensions,
all of them when None; keepdim keeps them with size 1.

>>> dl.tensor([[1.0, 4.0], [3.0, 2.0]]).amin(1)
tensor([1., 2.])
""",
    "aminmax": """Least and greatest element, as a named tuple (min, max). dim: one or several
dimensions, all of them when None; keepdim keeps them with size 1.

>>> dl.tensor([3.0, 1.0, 2.0]).aminmax()
aminmax(min=tensor(1.), max=tensor(3.))
""",
    "any": """Whether any element is true (not 0), or any along dim. dim: one or several
dimensions, all of them when None; keepdim keeps them with size 1.

>>> dl.tensor([[True, False], [False, False]]).any(dim=1)
tensor([ True, False])
""",
    "argmax": """Index of the first greatest element; a NaN counts as greatest. dim None: in
the flattened tensor.

>>> dl.tensor([[1.0, 4.0], [3.0, 2.0]]).argmax(1)
tensor([1, 0])
""",
    "argmin": """Index of the first least element; a NaN counts as least. dim None: in the
flattened tensor.

>>> dl.tensor([[1.0, 4.0], [3.0, 2.0]]).argmin(1)
tensor([0, 1])
""",
    "count_nonzero": """How many elements are not 0, or how many along dim.

>>> dl.tensor([[1, 0], [2, 3]]).count_nonzero(dim=1)
tensor([1, 2])
""",
    "cummax": """The greatest element so far along dim and where it is (of equal ones the
last), as a named tuple.

>>> dl.tensor([1.0, 3.0, 2.0]).cummax(0)
cummax(values=tensor([1., 3., 3.]), indices=tensor([0, 1, 1]))
""",
    "cummin": """The least element so far along dim and where it is (of equal ones the last),
as a named tuple.

>>> dl.tensor([3.0, 1.0, 2.0]).cummin(0)
cummin(values=tensor([3., 1., 1.]), indices=tensor([0, 1, 1]))
""",
    "cumprod": """Products of the elements so far along dim. Integers and booleans give int64
unless dtype says otherwise.

>>> dl.tensor([1, 2, 3]).cumprod(0)
tensor([1, 2, 6])
""",
    "cumsum": """Sums of the elements so far along dim. Integers and booleans give int64 unless
dtype says otherwise.

>>> dl.tensor([1, 2, 3]).cumsum(0)
tensor([1, 3, 6])
""",
    "diff": """Differences of neighbours along dim, taken n times; prepend and append are
joined on before.

>>> dl.tensor([1, 4, 9]).diff()
tensor([3, 5])
""",
    "dist": """The p-norm of input - other, see `deeplite.linalg.vector_norm`.

>>> dl.dist(dl.tensor([1.0, 2.0]), dl.tensor([4.0, 6.0]))
tensor(5.)
""",
    "histc": """How many elements fall into each of bins equal intervals from min to max
(inclusive); min = max = 0 stands for the least and the greatest element. NaN and what lies
outside is not counted.

>>> dl.tensor([1.0, 2.0, 1.0]).histc(bins=4, min=0, max=3)
tensor([0., 2., 1., 0.])
""",
    "log_softmax": """x - ln(sum(exp(x))) along dim, the logarithm of softmax. dtype: cast to
it first.

>>> dl.tensor([0.0, 1.0]).log_softmax(0)
tensor([-1.3133, -0.3133])
""",
    "logcumsumexp": """ln of the sum of exp of the elements so far along dim, without overflow.

>>> dl.tensor([0.0, 0.0]).logcumsumexp(0)
tensor([0.0000, 0.6931])
""",
    "logsumexp": """ln(sum(exp(x))) over dim, without overflow. dim: one or several dimensions,
all of them when None; keepdim keeps them with size 1.

>>> dl.tensor([1000.0, 1000.0]).logsumexp(0)
tensor(1000.6932)
""",
    "max": """Of one tensor: its greatest element; with dim, the greatest along it and where
they are (the first), as a named tuple; with another tensor, the same as `maximum`. NaN
counts as greatest.

>>> dl.tensor([[1.0, 4.0], [3.0, 2.0]]).max()
tensor(4.)
>>> dl.tensor([[1.0, 4.0], [3.0, 2.0]]).max(dim=1).indices
tensor([1, 0])
""",
    "mean": """Mean of all elements, or over dim. dim: one or several dimensions, all of them
when None; keepdim keeps them with size 1.

Raises RuntimeError for integers: give dtype.

>>> dl.tensor([[1.0, 2.0], [3.0, 4.0]]).mean(dim=0)
tensor([2., 3.])
""",
    "median": """The middle element, of two middle ones the lesser; with dim, along it with an
index, as a named tuple. NaN if there is one.

>>> dl.tensor([3.0, 1.0, 2.0, 4.0]).median()
tensor(2.)
""",
    "min": """Of one tensor: its least element; with dim, the least along it and where they are
(the first), as a named tuple; with another tensor, the same as `minimum`. NaN counts as
least.

>>> dl.tensor([[1.0, 4.0], [3.0, 2.0]]).min(dim=1).values
tensor([1., 2.])
""",
    "mode": """The most frequent element along dim (of several the least) and an index of it,
as a named tuple.

>>> dl.tensor([2, 1, 2]).mode().values
tensor(2)
""",
    "nanmean": """Mean of the elements that are not NaN. dim: one or several dimensions, all of
them when None; keepdim keeps them with size 1.

>>> dl.tensor([1.0, float("nan"), 3.0]).nanmean()
tensor(2.)
""",
    "nanmedian": """The middle of the elements that are not NaN; with dim, along it with an
index, as a named tuple.

>>> dl.tensor([1.0, float("nan"), 3.0]).nanmedian()
tensor(1.)
""",
    "nanquantile": """The q-quantile of the elements that are not NaN, see `quantile`.

>>> dl.tensor([1.0, float("nan"), 3.0]).nanquantile(0.5)
tensor(2.)
""",
    "nansum": """Sum in which NaN counts as 0. dim: one or several dimensions, all of them when
None; keepdim keeps them with size 1.

>>> dl.tensor([1.0, float("nan")]).nansum()
tensor(1.)
""",
    "norm": """Vector norm over dim, or over all elements: p a number, "fro" (the same as 2) or
"nuc". See `deeplite.linalg.vector_norm` and `matrix_norm`.

>>> dl.tensor([3.0, 4.0]).norm()
tensor(5.)
""",
    "prod": """Product of all elements, or along dim. dim: one or several dimensions, all of
them when None; keepdim keeps them with size 1.

>>> dl.tensor([2.0, 3.0, 4.0]).prod()
tensor(24.)
""",
    "quantile": """The number below which a share q of the elements along dim lies (0 <= q <=
1, a number or a tensor of them, which comes first in the shape). Between two elements
interpolation decides: "linear", "lower", "higher", "midpoint" or "nearest".

Raises RuntimeError for q outside of [0, 1] and for integers.

>>> dl.tensor([1.0, 2.0, 3.0, 4.0]).quantile(0.5)
tensor(2.5000)
""",
    "softmax": """exp(x) / sum(exp(x)) along dim: positive numbers with sum 1. dtype: cast to
it first.

>>> dl.tensor([0.0, 1.0]).softmax(0)
tensor([0.2689, 0.7311])
""",
    "std": """Standard deviation, the square root of var. dim: one or several dimensions, all
of them when None; keepdim keeps them with size 1.

>>> dl.tensor([1.0, 2.0, 3.0]).std()
tensor(1.)
""",
    "std_mean": """(std, mean) in one pass. dim: one or several dimensions, all of them when
None; keepdim keeps them with size 1.

>>> dl.std_mean(dl.tensor([1.0, 2.0, 3.0]))
(tensor(1.), tensor(2.))
""",
    "sum": """Sum of all elements, or over dim. Integers and booleans sum in int64. dim: one or
several dimensions, all of them when None; keepdim keeps them with size 1.

>>> dl.tensor([[1, 2], [3, 4]]).sum()
tensor(10)
>>> dl.tensor([[1, 2], [3, 4]]).sum(dim=0)
tensor([4, 6])
""",
    "sum_to_size": """Sums over the dimensions that broadcasting from size would have expanded.

Raises RuntimeError when size does not broadcast to the shape.

>>> dl.ones(2, 3).sum_to_size(1, 3)
tensor([[2., 2., 2.]])
""",
    "trace": """Sum of the diagonal of a matrix.

>>> dl.tensor([[1.0, 2.0], [3.0, 4.0]]).trace()
tensor(5.)
""",
    "var": """Variance: sum of squared deviations from the mean, divided by n - correction
(correction 1, or unbiased=True: the unbiased estimate). dim: one or several dimensions, all
of them when None; keepdim keeps them with size 1.

>>> dl.tensor([1.0, 2.0, 3.0]).var()
tensor(1.)
>>> dl.tensor([1.0, 2.0, 3.0]).var(correction=0)
tensor(0.6667)
""",
    "var_mean": """(var, mean) in one pass. dim: one or several dimensions, all of them when
None; keepdim keeps them with size 1.

>>> dl.var_mean(dl.tensor([1.0, 2.0, 3.0]))
(tensor(1.), tensor(2.))
""",
}
