"""Rows of the index family: gather, scatter, index_*, masks, advanced indexing, sort, embedding."""

from __future__ import annotations

from typing import Any

from op_cases import ALL, FLOAT, NUMERIC, Error, OpCase, Sample, index, make, values

I64 = "int64"


def idx(data: Any) -> Any:
    return values(data, I64)


def mask(data: Any) -> Any:
    return values(data, "bool")


# ------------------------------------------------------------------------------------ along a dim


def gathers():
    yield Sample(make((3, 4)), 1, index((3, 6), 4))
    yield Sample(make((5, 4, 3)), 0, index((2, 3, 3), 5))
    yield Sample(make((3, 4), layout="transposed"), -1, index((2, 2), 4))
    yield Sample(make((2, 3, 4)), 1, make((2, 5, 4), I64, 0, 3, layout="expanded"))
    yield Sample(make(7), 0, index(3, 7))
    yield Sample(make(()), 0, index((), 1))
    yield Sample(make((3, 4)), 1, index((3, 0), 4))
    yield Sample(make((1, 1)), 1, index((1, 1), 1))


def gather_errors():
    yield Error("IndexError", "index 4 is out of bounds", make((3, 4)), 1, idx([[0, 4]]))
    yield Error("IndexError", "index -1 is out of bounds", make((3, 4)), 1, idx([[0, -1]]))
    yield Error("ShapeError", "dimensions", make((3, 4)), 1, idx([0, 1]))
    yield Error("ShapeError", "exceeds", make((3, 4)), 1, index((4, 2), 4))
    yield Error("IndexError", "out of range", make((3, 4)), 2, index((3, 2), 3))
    yield Error("IndexError", "int64", make((3, 4)), 1, make((3, 2)))
    yield Error("TypeError", "gather", make((3, 4)), 1)


def takes_along():
    yield Sample(make((3, 4)), index((3, 2), 4), 1)
    yield Sample(make((3, 4)), index((1, 4), 3), 0)
    yield Sample(make((3, 1, 5)), index((1, 4, 1), 3), 0)
    yield Sample(make((3, 4)), index(5, 12))
    yield Sample(make((3, 4)), index((3, 2), 4), dim=-1)


def take_along_errors():
    yield Error("ShapeError", "dimensions", make((3, 4)), index(3, 3), 0)
    yield Error("IndexError", "range", make((3, 4)), index((3, 4), 3), 2)


def scatters():
    yield Sample(make((3, 5)), 1, idx([[0, 2], [1, 4], [3, 0]]), make((3, 2)))
    yield Sample(make((4, 3)), 0, idx([[0, 1, 2], [3, 0, 1]]), make((2, 3)))
    yield Sample(make((4, 3)), 0, idx([[0, 1], [3, 0]]), make((3, 4), grad=False))
    yield Sample(make((3, 5)), -1, idx([[0, 2], [1, 4], [3, 0]]), 2.5)
    yield Sample(make((3, 5), layout="transposed"), 1, idx([[4], [0], [2]]), make((3, 1)))
    yield Sample(make(6), 0, idx([5, 0]), make(2))
    yield Sample(make((3, 5)), 1, index((3, 0), 5), make((3, 0)))


def scatter_errors():
    yield Error("IndexError", "index 5 is out of bounds", make((3, 5)), 1, idx([[0, 5]]), 1.0)
    yield Error("ShapeError", "exceeds", make((3, 5)), 1, index((3, 2), 5), make((3, 1)))
    yield Error("ShapeError", "exceeds", make((3, 5)), 1, index((4, 2), 5), make((4, 2)))
    yield Error("TypeError", "float64", make((3, 5), "float32"), 1, index((3, 2), 5),
                make((3, 2), "float64"))  # fmt: skip
    yield Error("IndexError", "range", make((3, 5)), 3, index((3, 2), 5), 1.0)
    yield Error("IndexError", "int64", make((3, 5)), 1, make((3, 2), "float32"), 1.0)


def scatter_adds():
    yield Sample(make((3, 5)), 1, index((3, 7), 5), make((3, 7)))
    yield Sample(make((4, 3)), 0, index((6, 3), 4), make((6, 3)))
    yield Sample(make((4, 3)), 0, index((5, 2), 4), make((6, 3), grad=False))
    yield Sample(make(3), 0, index(20, 3), make(20))
    yield Sample(make((2, 3, 4)), 1, index((2, 5, 3), 3), make((2, 5, 3), layout="strided"))
    yield Sample(make(()), 0, index((), 1), make(()))


def scatter_add_errors():
    yield Error("IndexError", "index 9 is out of bounds", make(3), 0, idx([0, 9]), make(2))
    yield Error("ShapeError", "exceeds", make((3, 5)), 1, index((3, 7), 5), make((3, 6)))
    yield Error("TypeError", "scatter_add", make((3, 5)), 1, index((3, 2), 5), 1.0)


def scatter_reductions(reduce: str):
    def samples():
        yield Sample(make((3, 5)), 1, index((3, 7), 5), make((3, 7), distinct=True), reduce)
        yield Sample(make((4, 3)), 0, index((6, 3), 4), make((6, 3), distinct=True), reduce,
                     include_self=False)  # fmt: skip
        yield Sample(make(4), 0, idx([1, 1, 3]), make(3, distinct=True), reduce=reduce)
        yield Sample(make((2, 3)), -1, index((2, 0), 3), make((2, 0)), reduce)

    return samples


def scatter_reduce_errors():
    yield Error(RuntimeError, "reduce", make(4), 0, idx([1, 1]), make(2), "median")
    yield Error("IndexError", "index 4 is out of bounds", make(4), 0, idx([1, 4]), make(2), "sum")


def index_selects():
    yield Sample(make((4, 3)), 0, idx([3, 0, 0, 2]))
    yield Sample(make((4, 3)), 1, idx([2, 1]))
    yield Sample(make((2, 5, 3), layout="transposed"), -2, idx([4, 0, 1]))
    yield Sample(make((4, 3)), 0, values([1, 2], "int32"))
    yield Sample(make((4, 3)), 0, index(0, 4))
    yield Sample(make(5), 0, idx(2))
    yield Sample(make(()), 0, idx([0]))


def index_select_errors():
    yield Error("IndexError", "index 4 is out of bounds", make((4, 3)), 0, idx([0, 4]))
    yield Error("IndexError", "index -1 is out of bounds", make((4, 3)), 0, idx([-1]))
    yield Error("IndexError", "vector", make((4, 3)), 0, idx([[0]]))
    yield Error("IndexError", "int64", make((4, 3)), 0, make(2))


def index_adds():
    yield Sample(make((4, 3)), 0, idx([3, 0, 3]), make((3, 3)))
    yield Sample(make((4, 3)), 1, idx([2, 2]), make((4, 2)), alpha=2)
    yield Sample(make((2, 5, 3)), -2, idx([4, 0]), make((2, 2, 3), layout="strided"))
    yield Sample(make(5), 0, idx([1]), make(1))


def index_add_errors():
    yield Error("IndexError", "index 4 is out of bounds", make((4, 3)), 0, idx([4]), make((1, 3)))
    yield Error("ShapeError", "source", make((4, 3)), 0, idx([1]), make((2, 3)))
    yield Error("ShapeError", "vector", make((4, 3)), 0, idx([[1]]), make((1, 3)))


def index_copies():
    yield Sample(make((4, 3)), 0, idx([3, 0]), make((2, 3)))
    yield Sample(make((4, 3)), 1, idx([2]), make((4, 1)))
    yield Sample(make((2, 5, 3)), 1, idx([4, 0]), make((2, 2, 3)))


def index_fills():
    yield Sample(make((4, 3)), 0, idx([3, 0]), 1.5)
    yield Sample(make((4, 3)), 1, idx([-1, 0]), 2.0)
    yield Sample(make((4, 3)), 1, idx([1]), make(()))
    yield Sample(make((2, 5, 3)), -2, index(0, 5), 7.0)


def index_fill_errors():
    yield Error("IndexError", "index -4 is out of bounds", make((4, 3)), 1, idx([-4]), 1.0)
    yield Error("ShapeError", "0-dim", make((4, 3)), 1, idx([1]), make(2))


def index_reductions():
    for reduce in ("prod", "mean", "amax", "amin"):
        yield Sample(make((4, 3)), 0, idx([3, 0, 3]), make((3, 3), distinct=True), reduce)
    yield Sample(make((4, 3)), 1, idx([2, 2]), make((4, 2)), "amax", include_self=False)


# --------------------------------------------------------------------------------- many positions


def index_puts():
    yield Sample(make((4, 3)), (idx([0, 3]), idx([1, 2])), make(2))
    yield Sample(make((4, 3)), (idx([3, -1, 0]),), make((3, 3)), accumulate=True)
    yield Sample(make((4, 3)), (mask([True, False, True, False]),), make((2, 3)))
    yield Sample(make((4, 3)), (idx([[0], [2]]), idx([1, 2])), make(()))
    yield Sample(make((4, 3, 2)), (idx([1, 1]), idx([2, 2])), make((2, 2)), accumulate=True)
    yield Sample(make((2, 2)), (mask([[True, False], [True, True]]),), make(3))


def index_put_errors():
    yield Error("IndexError", "index 4 is out of bounds", make((4, 3)), (idx([4]),), make((1, 3)))
    yield Error("IndexError", "broadcast", make((4, 3)), (idx([0, 1]), idx([0, 1, 2])), make(()))
    yield Error("ShapeError", "broadcast", make((4, 3)), (idx([0, 1]),), make((3, 3)))
    yield Error("IndexError", "mask", make((4, 3)), (mask([True, False]),), make(()))
    yield Error("IndexError", "too many", make(4), (idx([0]), idx([0])), make(()))


def item(*key: Any):
    """x[key], with the key given at the call."""
    return lambda lib: lambda x, *tensors: x[_fill(key, tensors)]


def _fill(key: tuple, tensors: tuple) -> tuple:
    rest = iter(tensors)
    return tuple(next(rest) if k is KEY else k for k in key)


KEY = object()
READS = {"capture": "the shape of the result depends on values"}


def getitem_rows():
    cases = {
        "one": ((KEY,), [(make((4, 3)), idx([3, 0, -1]))]),
        "two": ((KEY, KEY), [(make((4, 3)), idx([0, 3]), idx([2, -3]))]),
        "broadcast": ((KEY, KEY), [(make((4, 3)), idx([[0], [3]]), idx([2, 1, 0]))]),
        "last": ((slice(None), KEY), [(make((4, 3)), idx([2, 0]))]),
        "middle": ((slice(None), KEY, slice(1, None)), [(make((2, 4, 3)), idx([[3], [0]]))]),
        "apart": ((KEY, slice(None), KEY), [(make((2, 4, 3)), idx([1, 0]), idx([2, 2]))]),
        "number": ((0, slice(None), KEY), [(make((2, 4, 3)), idx([2, 1]))]),
        "ellipsis": ((Ellipsis, KEY), [(make((2, 4, 3)), idx([2, 1]))]),
        "new": ((None, KEY), [(make((4, 3)), idx([2, 1]))]),
        "mask": ((KEY,), [(make((4, 3)), make((4, 3), "bool")),
                          (make((4, 3)), mask([True, False, True, True]))]),
        "mask_last": ((slice(None), KEY), [(make((2, 3)), mask([True, False, True]))]),
        "mask_and_index": ((KEY, KEY), [(make((2, 3)), mask([True, True]), idx([0, 2]))]),
        "scalar": ((KEY, slice(None)), [(make((4, 3)), idx(2))]),
        "empty": ((KEY,), [(make((4, 3)), index(0, 4)), (make((4, 3)), mask([False] * 4))]),
        "strided": ((slice(None, None, 2), KEY),
                    [(make((4, 3), layout="transposed"), idx([1, 1]))]),
    }  # fmt: skip
    for variant, (key, inputs) in cases.items():
        yield OpCase(
            "Tensor.__getitem__", lambda inputs=inputs: (Sample(*i) for i in inputs),
            variant=variant, fn=item(*key), exact=True, dtypes=ALL,
            skip={"layouts": "the row says the layout"} if variant == "strided"
            else READS if "mask" in variant or variant == "empty" else {},
        )  # fmt: skip


def masked_selects():
    yield Sample(make((3, 4)), make((3, 4), "bool"))
    yield Sample(make((3, 4), layout="transposed"), make(4, "bool"))
    yield Sample(make(4), make((3, 4), "bool"))
    yield Sample(make((3, 4)), mask(False))
    yield Sample(make(()), mask(True))


def masked_select_errors():
    yield Error("ShapeError", "broadcast", make((3, 4)), make(3, "bool"))
    yield Error("TypeError", "bool", make((3, 4)), make((3, 4), "float32"))


def masked_scatters():
    yield Sample(make((3, 4)), mask([[True, False, True, False]] * 3), make(6))
    yield Sample(make((3, 4)), make((3, 4), "bool"), make((3, 4)))
    yield Sample(make((3, 4), layout="transposed"), mask([True, True, False, False]), make(20))


def masked_scatter_errors():
    yield Error("ShapeError", "fewer", make((2, 2)), mask([[True, True], [True, True]]), make(3))
    yield Error("TypeError", "bool", make((2, 2)), make((2, 2), "float32"), make(4))


def nonzeros():
    yield Sample(values([[0, 1, 0, 2], [0, 0, 0, 0], [3, 0, 0, 1]]))
    yield Sample(values([[[0, 1], [1, 0]]]))
    yield Sample(values([0, 0, 5, 0]))
    yield Sample(values(1))
    yield Sample(make((0, 3)))


def nonzero_tuples():
    yield Sample(values([[0, 1, 0, 2], [0, 0, 0, 0], [3, 0, 0, 1]]), as_tuple=True)
    yield Sample(values([0, 0, 5, 0]), as_tuple=True)


def takes():
    yield Sample(make((3, 4)), idx([[0, 5], [-1, 11]]))
    yield Sample(make((3, 4), layout="transposed"), idx([7]))
    yield Sample(make((3, 4)), index((0, 2), 12))


def take_errors():
    yield Error("IndexError", "12", make((3, 4)), idx([12]))
    yield Error("IndexError", "int64", make((3, 4)), make(2, "float32"))


def puts():
    yield Sample(make((3, 4)), idx([0, 5, 11]), make(3))
    yield Sample(make((3, 4)), idx([[1, 1], [0, -1]]), make((2, 2)), accumulate=True)
    yield Sample(make((3, 4), layout="transposed"), idx([2]), make(1))


# -------------------------------------------------------------------------------------- embedding


def embeddings():
    yield Sample(index((2, 4), 5), make((5, 3)))
    yield Sample(idx(3), make((5, 3)))
    yield Sample(index((2, 0), 5), make((5, 3)))
    yield Sample(values([1, 4], "int32"), make((5, 3)))


def special_embeddings():  # whose gradient is deliberately not the derivative
    yield Sample(idx([0, 2, 2, 1]), make((5, 3)), padding_idx=2)
    yield Sample(idx([0, 2, 2, 1]), make((5, 3)), scale_grad_by_freq=True)
    yield Sample(idx([[1, 4]]), make((5, 3)), padding_idx=-1)


def embedding_errors():
    yield Error("IndexError", "index 5 is out of bounds", idx([5]), make((5, 3)))
    yield Error("IndexError", "index -1 is out of bounds", idx([-1]), make((5, 3)))
    yield Error("ShapeError", "2 dimensions", idx([0]), make(5))
    yield Error("ValueError", "padding_idx", idx([0]), make((5, 3)), padding_idx=5)
    yield Error("TypeError", "int64", make(3), make((5, 3)))


def embedding_bags():
    for mode in ("mean", "sum", "max"):
        yield Sample(idx([0, 2, 2, 1, 4]), make((5, 3), distinct=True), idx([0, 2, 2]), mode=mode)
        yield Sample(idx([[0, 2], [1, 4]]), make((5, 3), distinct=True), mode=mode, padding_idx=2)
    yield Sample(idx([[0, 2], [1, 4]]), make((5, 3)), mode="sum", per_sample_weights=make((2, 2)))
    yield Sample(idx([0, 2, 3]), make((5, 3)), idx([0, 1, 3]), include_last_offset=True)


def embedding_bag_errors():
    yield Error("ValueError", "offsets", idx([[0, 2]]), make((5, 3)), idx([0]))
    yield Error("ValueError", "offsets", idx([0, 2]), make((5, 3)))
    yield Error("ValueError", "mode", idx([[0, 2]]), make((5, 3)), mode="median")
    yield Error("IndexError", "index 7", idx([[0, 7]]), make((5, 3)))


def one_hots():
    yield Sample(idx([[0, 2], [1, 1]]))
    yield Sample(idx([0, 2, 1]), 5)
    yield Sample(idx(1), num_classes=3)
    yield Sample(index((2, 0), 3), 3)


def one_hot_errors():
    yield Error("IndexError", "class 4", idx([0, 4]), 3)
    yield Error("TypeError", "int64", make(3, "float32"))


# ------------------------------------------------------------------------------------------ order


def sorts():
    yield Sample(make((3, 7), distinct=True))
    yield Sample(make((4, 3), distinct=True), 0, descending=True)
    yield Sample(make((2, 5, 3), distinct=True, layout="transposed"), dim=1)
    yield Sample(make(60, distinct=True))
    yield Sample(make(()))
    yield Sample(make((2, 0)))


def stable_sorts():
    yield Sample(values([3, 1, 3, 2, 1, 1, 3]), stable=True)
    yield Sample(values([[1, 0, 1, 0], [2, 2, 1, 1]]), dim=-1, descending=True, stable=True)
    yield Sample(make((3, 50), low=0, high=4), dim=1, stable=True)


def nan_sorts():
    yield Sample(values([3.0, float("nan"), -0.0, float("inf"), 0.0, float("-inf"), -2.0]),
                 stable=True)  # fmt: skip
    yield Sample(values([3.0, float("nan"), -0.0, float("inf"), 0.0, float("-inf"), -2.0]),
                 descending=True, stable=True)  # fmt: skip


def sort_errors():
    yield Error("IndexError", "range", make((3, 4)), 2)
    yield Error("TypeError", "sort", 3.0)


def topks():
    yield Sample(make((3, 7), distinct=True), 3)
    yield Sample(make((5, 3), distinct=True, layout="transposed"), 2, 0, largest=False)
    yield Sample(make((2, 60), distinct=True), 40)
    yield Sample(make((2, 4), distinct=True), 4, dim=-1, largest=True, sorted=True)
    yield Sample(make((2, 4)), 0)
    yield Sample(make(()), 1)


def topk_errors():
    yield Error("ShapeError", "k = 5", make((3, 4)), 5)
    yield Error("ShapeError", "k = -1", make((3, 4)), -1)
    yield Error("IndexError", "range", make((3, 4)), 1, 2)


def kthvalues():
    yield Sample(make((3, 7), distinct=True), 3)
    yield Sample(make((5, 3), distinct=True), 1, 0, keepdim=True)
    yield Sample(make(50, distinct=True), 50)
    yield Sample(make(()), 1)


def kthvalue_errors():
    yield Error("ShapeError", "k = 0", make((3, 4)), 0)
    yield Error("ShapeError", "k = 5", make((3, 4)), 5)
    yield Error("ShapeError", "empty", make((3, 0)), 1)


SORTED = [[1, 3, 5, 7, 9], [2, 4, 6, 8, 8]]


def searches():
    yield Sample(values(SORTED[0]), make((2, 3), low=0, high=10))
    yield Sample(values(SORTED), values([[3, 6, 9], [8, 2, 0]]), right=True)
    yield Sample(values(SORTED), values([[3, 6, 9], [8, 2, 0]]), side="right", out_int32=True)
    yield Sample(values([5, 1, 3]), values([[3, 6], [0, 5]]), sorter=idx([1, 2, 0]))
    yield Sample(values(SORTED[0]), 5)
    yield Sample(make(0), make(3))


def search_errors():
    yield Error("ShapeError", "last", make((2, 3)), make((3, 3)))
    yield Error(RuntimeError, "side", make(3), make(3), side="middle")
    yield Error("IndexError", "index", make(3), make(3), sorter=idx([0, 1, 3]))
    yield Error("ShapeError", "sorter", make(3), make(3), sorter=idx([0, 1]))


def buckets():
    yield Sample(make((2, 3), low=0, high=10), values(SORTED[0]))
    yield Sample(values([1, 3, 4]), values(SORTED[0]), right=True)
    yield Sample(values([1, 3, 4]), values(SORTED[0]), out_int32=True)


def isins():
    yield Sample(values([[1, 2], [3, 4]]), values([2, 4, 4]))
    yield Sample(values([[1, 2], [3, 4]]), values([2, 9]), invert=True)
    yield Sample(values([1, 2]), 2)
    yield Sample(values([1, 2]), make(0))


REPEATED = [[3, 1, 3], [1, 1, 2]]


def uniques():
    yield Sample(values(REPEATED), return_inverse=True, return_counts=True)
    yield Sample(values(REPEATED))
    yield Sample(make((4, 30), low=0, high=5), return_counts=True)
    yield Sample(values([[1, 2], [0, 2], [1, 2]]), return_inverse=True, return_counts=True, dim=0)
    yield Sample(values([[1, 0, 1], [2, 2, 2]]), return_inverse=True, dim=1)
    yield Sample(make(0))


def consecutive():
    yield Sample(values([1, 1, 2, 2, 1, 3]), return_inverse=True, return_counts=True)
    yield Sample(values(REPEATED))
    yield Sample(values([[1, 2], [1, 2], [0, 2]]), return_counts=True, dim=0)


TIES = {"layouts": "expanding makes ties, whose order torch leaves open"}

INPLACE_ROWS = [
    OpCase("Tensor.scatter_", scatters, scatter_errors),
    OpCase("Tensor.scatter_add_", scatter_adds, scatter_add_errors, k=lambda s: 20),
    OpCase("Tensor.scatter_reduce_", scatter_reductions("sum"), k=lambda s: 8),
    OpCase("Tensor.index_add_", index_adds, index_add_errors),
    OpCase("Tensor.index_copy_", index_copies, exact=True),
    OpCase("Tensor.index_fill_", index_fills, index_fill_errors, exact=True),
    OpCase("Tensor.index_reduce_", index_reductions),
    OpCase("Tensor.index_put_", index_puts, index_put_errors),
    OpCase("Tensor.masked_scatter_", masked_scatters, masked_scatter_errors, exact=True),
    OpCase("Tensor.put_", puts),
]

CASES = [
    OpCase("gather", gathers, gather_errors, dtypes=ALL, exact=True),
    OpCase("take_along_dim", takes_along, take_along_errors, exact=True),
    OpCase("scatter", scatters, scatter_errors, exact=True),
    OpCase(
        "scatter", scatter_adds, variant="add", k=lambda s: 20, gradgrad=False, grad=False,
        fn=lambda lib: lambda *a: lib.scatter(*a, reduce="add"),
    ),
    OpCase(
        "scatter", scatter_adds, variant="multiply", k=lambda s: 20, gradgrad=False, grad=False,
        fn=lambda lib: lambda *a: lib.scatter(*a, reduce="multiply"),
    ),
    OpCase("scatter_add", scatter_adds, scatter_add_errors, dtypes=NUMERIC, k=lambda s: 20),
    *(
        OpCase("scatter_reduce", scatter_reductions(r),
               scatter_reduce_errors if r == "sum" else None, variant=r,
               dtypes=FLOAT if r == "mean" else NUMERIC, k=lambda s: 8)
        for r in ("sum", "prod", "mean", "amax", "amin")
    ),
    OpCase("index_select", index_selects, index_select_errors, dtypes=ALL, exact=True),
    OpCase("index_add", index_adds, index_add_errors, dtypes=NUMERIC),
    OpCase("index_copy", index_copies, dtypes=ALL, exact=True),
    OpCase("index_fill", index_fills, index_fill_errors, exact=True),
    OpCase("index_reduce", index_reductions),
    OpCase("index_put", index_puts, index_put_errors),
    *getitem_rows(),
    OpCase("masked_select", masked_selects, masked_select_errors, dtypes=ALL, exact=True,
           skip=READS),
    OpCase("masked_scatter", masked_scatters, masked_scatter_errors, exact=True),
    OpCase("nonzero", nonzeros, dtypes=ALL, grad=False, exact=True,
           skip=READS),
    OpCase("nonzero", nonzero_tuples, variant="tuple", dtypes=ALL, grad=False, exact=True,
           skip=READS),
    OpCase("argwhere", nonzeros, dtypes=ALL, grad=False, exact=True,
           skip=READS),
    OpCase("where", nonzeros, variant="condition", dtypes=ALL, grad=False, exact=True,
           skip=READS),
    OpCase("take", takes, take_errors, dtypes=ALL, exact=True),
    OpCase("put", puts),
    OpCase("nn.functional.embedding", embeddings, embedding_errors),
    OpCase("nn.functional.embedding", special_embeddings, variant="special",
           skip=dict.fromkeys(("gradcheck", "gradgradcheck"), "not the derivative, on purpose")),
    OpCase("nn.functional.embedding_bag", embedding_bags, embedding_bag_errors, half=False,
           skip={"gradgradcheck": "torch has none", **READS}),
    OpCase("nn.functional.one_hot", one_hots, one_hot_errors, dtypes=("int64",), grad=False,
           exact=True, skip=READS),
    OpCase("sort", sorts, sort_errors, dtypes=NUMERIC, exact=True),
    OpCase("sort", stable_sorts, variant="stable", dtypes=NUMERIC, exact=True, grad=False),
    OpCase("sort", nan_sorts, variant="nan", exact=True, grad=False),
    OpCase("argsort", sorts, dtypes=NUMERIC, exact=True, grad=False),
    OpCase("argsort", stable_sorts, variant="stable", dtypes=NUMERIC, exact=True, grad=False),
    OpCase("msort", lambda: (Sample(make((5, 3), distinct=True)), Sample(make(4, distinct=True))),
           dtypes=NUMERIC, exact=True),
    OpCase("topk", topks, topk_errors, dtypes=NUMERIC, exact=True, skip=TIES),
    OpCase("kthvalue", kthvalues, kthvalue_errors, dtypes=NUMERIC, exact=True, skip=TIES),
    OpCase("searchsorted", searches, search_errors, dtypes=NUMERIC, half=False, grad=False,
           exact=True),
    OpCase("bucketize", buckets, dtypes=NUMERIC, half=False, grad=False, exact=True),
    OpCase("isin", isins, dtypes=NUMERIC, half=False, grad=False, exact=True),
    OpCase("unique", uniques, dtypes=NUMERIC, grad=False, exact=True,
           skip=READS),
    OpCase("unique_consecutive", consecutive, dtypes=NUMERIC, grad=False, exact=True,
           skip=READS),
    *INPLACE_ROWS,
]  # fmt: skip
