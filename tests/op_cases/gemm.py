"""Matrix products, einsum and what is composed of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from op_cases import FLOAT, INTEGRAL, Error, OpCase, Sample, make, values

NUMBERS = (*FLOAT, *INTEGRAL)


def inner_size(sample: Sample) -> int:
    """Terms of one sum: the largest size of any operand will do."""
    return max((max(spec.shape, default=1) for spec in sample.specs()), default=1)


def mm() -> Iterator[Sample]:
    yield Sample(make((5, 4)), make((4, 3)))
    yield Sample(make((4, 5), layout="transposed"), make((5, 6), layout="transposed"))
    yield Sample(make((1, 7)), make((7, 1)))
    yield Sample(make((70, 33)), make((33, 40), layout="strided"))
    yield Sample(make((3, 1)), make((1, 5)))
    yield Sample(make((3, 0)), make((0, 5)))
    yield Sample(make((0, 3)), make((3, 5)))
    yield Sample(make((64, 40), layout="expanded"), make((40, 33), layout="transposed"))


def mm_errors() -> Iterator[Error]:
    yield Error("ShapeError", "dimensions", make((2, 3, 4)), make((4, 2)))
    yield Error("ShapeError", "3.*2|multiplied", make((2, 3)), make((2, 3)))
    yield Error("RuntimeError", "dtype", make((2, 3), "float32"), make((3, 2), "float64"))
    yield Error("RuntimeError", "bool", make((2, 3), "bool"), make((3, 2), "bool"))


def bmm() -> Iterator[Sample]:
    yield Sample(make((3, 2, 4)), make((3, 4, 5)))
    yield Sample(make((2, 9, 17), layout="transposed"), make((2, 17, 3), layout="strided"))
    yield Sample(make((4, 3, 5), layout="expanded"), make((4, 5, 6)))
    yield Sample(make((1, 1, 1)), make((1, 1, 1)))
    yield Sample(make((0, 2, 3)), make((0, 3, 4)))
    yield Sample(make((2, 3, 0)), make((2, 0, 4)))


def bmm_errors() -> Iterator[Error]:
    yield Error("ShapeError", "3 dimensions", make((2, 3)), make((3, 2)))
    yield Error("ShapeError", "batch", make((2, 3, 4)), make((3, 4, 2)))
    yield Error("ShapeError", "multiplied", make((2, 3, 4)), make((2, 3, 4)))


def matmul() -> Iterator[Sample]:
    yield Sample(make((3, 4)), make((4, 5)))
    yield Sample(make((2, 3, 4)), make((4, 5)))
    yield Sample(make((4,)), make((4,)))
    yield Sample(make((3, 4)), make((4,)))
    yield Sample(make((4,)), make((4, 3)))
    yield Sample(make((2, 3, 4)), make((4,)))
    yield Sample(make((4,)), make((2, 4, 3)))
    yield Sample(make((3, 4)), make((2, 4, 5)))
    yield Sample(make((2, 1, 3, 4)), make((5, 4, 2)))
    yield Sample(make((2, 3, 4, 5), layout="transposed"), make((2, 1, 5, 2), layout="strided"))
    yield Sample(make((3, 2, 1, 4)), make((4, 6)))
    yield Sample(make((2, 0, 4)), make((4, 5)))
    yield Sample(make((2, 3, 0)), make((0, 5)))
    yield Sample(make((0, 3, 4)), make((4, 5)))


def matmul_errors() -> Iterator[Error]:
    yield Error("ShapeError", "1 dimension", make(()), make((2, 2)))
    yield Error("ShapeError", "multiplied", make((2, 3)), make((4, 2)))
    yield Error("ShapeError", "multiplied", make((3,)), make((4,)))
    yield Error("ShapeError", "broadcast", make((2, 3, 4)), make((3, 4, 5)))


def mv() -> Iterator[Sample]:
    yield Sample(make((4, 3)), make((3,)))
    yield Sample(make((40, 70), layout="transposed"), make((70,), layout="strided"))
    yield Sample(make((2, 0)), make((0,)))
    yield Sample(make((1, 300)), make((300,)))


def mv_errors() -> Iterator[Error]:
    yield Error("ShapeError", "dimension", make((3,)), make((3,)))
    yield Error("ShapeError", "multiplied", make((2, 3)), make((2,)))


def dot() -> Iterator[Sample]:
    yield Sample(make((5,)), make((5,)))
    yield Sample(make((1,)), make((1,)))
    yield Sample(make((0,)), make((0,)))
    yield Sample(make((1000,), layout="strided"), make((1000,)))


def dot_errors() -> Iterator[Error]:
    for error in (
        Error("ShapeError", "dimension", make((2, 2)), make((2,))),
        Error("ShapeError", "3|multiplied", make((2,)), make((3,))),
        Error("RuntimeError", "dtype", make((2,), "float32"), make((2,), "float64")),
    ):
        error.names_op = False  # vdot is dot
        yield error


def inner() -> Iterator[Sample]:
    yield Sample(make((5,)), make((5,)))
    yield Sample(make((2, 3)), make((4, 3)))
    yield Sample(make((2, 3, 4)), make((5, 4)))
    yield Sample(make(()), make((3,)))


def inner_errors() -> Iterator[Error]:
    yield Error("ShapeError", "multiplied", make((2, 3)), make((4, 2)))


def outer() -> Iterator[Sample]:
    yield Sample(make((4,)), make((3,)))
    yield Sample(make((1,)), make((5,), layout="strided"))
    yield Sample(make((0,)), make((3,)))


def outer_errors() -> Iterator[Error]:
    for error in (
        Error("ShapeError", "dimension", make((2, 2)), make((2,))),
        Error("ShapeError", "dimension", make((2,)), make(())),
    ):
        error.names_op = False  # ger is outer
        yield error


def addmm() -> Iterator[Sample]:
    yield Sample(make((2, 4)), make((2, 3)), make((3, 4)))
    yield Sample(make((4,)), make((2, 3)), make((3, 4)), beta=2, alpha=3)
    yield Sample(make((2, 1)), make((2, 3), layout="transposed"), make((3, 4)), beta=-1)
    yield Sample(make(()), make((2, 3)), make((3, 4)), alpha=2)
    yield Sample(values([[float("nan")] * 4] * 2, grad=False), make((2, 3)), make((3, 4)), beta=0)
    yield Sample(make((2, 4)), make((2, 0)), make((0, 4)), beta=3)
    yield Sample(make((33, 40)), make((33, 50)), make((50, 40), layout="transposed"))


def addmm_int() -> Iterator[Sample]:
    yield Sample(make((2, 4)), make((2, 3)), make((3, 4)))
    yield Sample(make((4,)), make((2, 3)), make((3, 4)), beta=2, alpha=-3)


def addmm_errors() -> Iterator[Error]:
    yield Error("ShapeError", "broadcast", make((3, 4)), make((2, 3)), make((3, 4)))
    yield Error("ShapeError", "dimensions", make((2, 4)), make((2, 3, 1)), make((3, 4)))
    yield Error("ShapeError", "multiplied", make((2, 4)), make((2, 3)), make((2, 4)))
    yield Error(
        "RuntimeError", "integer", make((2, 2), "int64"), make((2, 2), "int64"),
        make((2, 2), "int64"), alpha=0.5,
    )  # fmt: skip


def addmm_inplace() -> Iterator[Sample]:
    yield Sample(make((2, 4)), make((2, 3)), make((3, 4)))
    yield Sample(make((2, 4), layout="transposed"), make((2, 3)), make((3, 4)), beta=2, alpha=-1)


def addmm_inplace_errors() -> Iterator[Error]:
    yield Error("ShapeError", "fit", make((4,)), make((2, 3)), make((3, 4)))


def addmv() -> Iterator[Sample]:
    yield Sample(make((2,)), make((2, 3)), make((3,)))
    yield Sample(make(()), make((2, 3), layout="transposed"), make((3,)), beta=2, alpha=3)
    yield Sample(make((1,)), make((4, 3)), make((3,)), beta=-2)
    yield Sample(make((2,)), make((2, 0)), make((0,)))


def addmv_errors() -> Iterator[Error]:
    yield Error("ShapeError", "broadcast", make((3,)), make((2, 3)), make((3,)))
    yield Error("ShapeError", "multiplied", make((2,)), make((2, 3)), make((2,)))


def addbmm() -> Iterator[Sample]:
    yield Sample(make((2, 5)), make((3, 2, 4)), make((3, 4, 5)))
    yield Sample(make((5,)), make((3, 2, 4)), make((3, 4, 5)), beta=2, alpha=3)
    yield Sample(make((2, 5)), make((2, 2, 4), layout="transposed"), make((2, 4, 5)))


def addbmm_errors() -> Iterator[Error]:
    yield Error("ShapeError", "batch", make((2, 5)), make((3, 2, 4)), make((2, 4, 5)))
    yield Error("ShapeError", "broadcast", make((3, 5)), make((3, 2, 4)), make((3, 4, 5)))


def baddbmm() -> Iterator[Sample]:
    yield Sample(make((3, 2, 5)), make((3, 2, 4)), make((3, 4, 5)))
    yield Sample(make((2, 1)), make((3, 2, 4)), make((3, 4, 5)), beta=2, alpha=3)
    yield Sample(make((1, 2, 5)), make((2, 2, 4), layout="transposed"), make((2, 4, 5)))
    yield Sample(make((2, 2, 5)), make((2, 2, 0)), make((2, 0, 5)))


def baddbmm_errors() -> Iterator[Error]:
    yield Error("ShapeError", "3 dimensions", make((2, 5)), make((2, 4)), make((4, 5)))
    yield Error("ShapeError", "broadcast", make((2, 2, 5)), make((3, 2, 4)), make((3, 4, 5)))


def add_batches_inplace() -> Iterator[Sample]:
    yield Sample(make((3, 2, 5)), make((3, 2, 4)), make((3, 4, 5)), beta=2, alpha=0.5)


def addr() -> Iterator[Sample]:
    yield Sample(make((2, 3)), make((2,)), make((3,)))
    yield Sample(make((3,)), make((2,)), make((3,), layout="strided"), beta=2, alpha=3)
    yield Sample(make(()), make((2,)), make((3,)), beta=0, alpha=2)


def addr_errors() -> Iterator[Error]:
    yield Error("ShapeError", "broadcast", make((3, 3)), make((2,)), make((3,)))
    yield Error("ShapeError", "dimension", make((2, 3)), make((2, 1)), make((3,)))


def linear() -> Iterator[Sample]:
    yield Sample(make((5, 3)), make((4, 3)), make((4,)))
    yield Sample(make((2, 5, 3)), make((4, 3)), make((4,)))
    yield Sample(make((3,)), make((4, 3)), make((4,)))
    yield Sample(make((5, 3), layout="transposed"), make((4, 3), layout="transposed"))
    yield Sample(make((2, 2, 5, 3), layout="transposed"), make((4, 3)), bias=make((4,)))
    yield Sample(make((33, 70)), make((40, 70)), make((40,), layout="strided"))
    yield Sample(make((1, 300)), make((10, 300)), make((10,)))
    yield Sample(make((2, 3)), make((3,)))
    yield Sample(make((0, 3)), make((4, 3)), make((4,)))
    yield Sample(make((2, 0)), make((4, 0)), make((4,)))


def linear_errors() -> Iterator[Error]:
    yield Error("ShapeError", "multiplied", make((2, 3)), make((4, 2)))
    yield Error("ShapeError", "bias", make((2, 3)), make((4, 3)), make((3,)))
    yield Error("RuntimeError", "dtype", make((2, 3), "float32"), make((4, 3), "float64"))


def fused_linear() -> Iterator[Sample]:
    x, w, b = make((5, 3)), make((4, 3)), make((4,))
    for name in ("none", "relu", "sigmoid", "tanh", "silu", "gelu", "gelu_tanh"):
        yield Sample(x, w, b, scale=make((4,)), residual=make((5, 4)), activation=name)
    yield Sample(make((2, 5, 3)), w, residual=make((5, 1)))
    yield Sample(make((3,)), w, b, activation="silu")
    yield Sample(make((5, 3), layout="transposed"), make((4, 3), layout="transposed"), scale=b)
    wide = make((40, 70)), make((40,), layout="strided"), make((40,))
    yield Sample(make((33, 70)), *wide, make((33, 40), layout="strided"), "gelu")
    yield Sample(make((1, 300)), make((10, 300)), make((10,)), activation="tanh")
    yield Sample(make((0, 3)), w, b, activation="relu")
    yield Sample(make((2, 0)), make((4, 0)), b, activation="relu")


def fused_linear_errors() -> Iterator[Error]:
    x, w = make((2, 3)), make((4, 3))
    yield Error("ShapeError", "multiplied", x, make((4, 2)))
    yield Error("ShapeError", "bias", x, w, make((3,)))
    yield Error("ShapeError", "scale", x, w, scale=make((1,)))
    yield Error("ShapeError", "broadcast", x, w, residual=make((3, 4)))
    yield Error("ValueError", "swish", x, w, activation="swish")
    yield Error("RuntimeError", "dtype", make((2, 3), "float32"), make((4, 3), "float64"))


def composed_linear(torch: Any) -> Any:
    def run(
        x: Any,
        w: Any,
        bias: Any = None,
        scale: Any = None,
        residual: Any = None,
        activation: str = "none",
    ) -> Any:
        y = x @ w.T
        y = y if scale is None else y * scale
        for t in (bias, residual):
            y = y if t is None else y + t
        if activation == "gelu_tanh":
            return torch.nn.functional.gelu(y, approximate="tanh")
        return y if activation == "none" else getattr(torch.nn.functional, activation)(y)

    return run


def bilinear() -> Iterator[Sample]:
    yield Sample(make((4, 2)), make((4, 3)), make((5, 2, 3)), make((5,)))
    yield Sample(make((2, 3, 2)), make((2, 3, 3), layout="transposed"), make((1, 2, 3)))


def bilinear_errors() -> Iterator[Error]:
    yield Error("ShapeError", "fit", make((4, 2)), make((4, 3)), make((5, 3, 3)))
    yield Error("ShapeError", "agree", make((4, 2)), make((3, 3)), make((5, 2, 3)))


def einsum() -> Iterator[Sample]:
    a, b = make((2, 3)), make((3, 4))
    yield Sample("ij,jk->ik", a, b)
    yield Sample("bij,bjk->bik", make((2, 3, 4)), make((2, 4, 5)))
    yield Sample("ij,jk", a, b)
    yield Sample("ij->ji", a)
    yield Sample("ij->", a)
    yield Sample("ij", a)
    yield Sample("ji", a)
    yield Sample("ii->i", make((3, 3)))
    yield Sample("ii", make((3, 3)))
    yield Sample("...ii->...i", make((2, 3, 3)))
    yield Sample("iji->ij", make((3, 2, 3)))
    yield Sample("i,j->ij", make((2,)), make((3,)))
    yield Sample("i,i->", make((4,)), make((4,)))
    yield Sample("i,i->i", make((4,)), make((4,)))
    yield Sample("...ij,...jk->...ik", make((2, 1, 3, 4)), make((5, 4, 2)))
    yield Sample("...ij,jk", make((2, 3, 4)), make((4, 2)))
    yield Sample("b...,b...->b", make((3, 2, 4)), make((3, 2, 4)))
    yield Sample("ij,jk,kl->il", a, b, make((4, 2)))
    yield Sample("nlhd,nmhd->nhlm", make((2, 3, 2, 4)), make((2, 5, 2, 4), layout="transposed"))
    yield Sample("ik,jkl,il->ij", make((2, 3)), make((5, 3, 4)), make((2, 4)))
    yield Sample("Ab,bA->A", make((2, 3)), make((3, 2)))
    yield Sample("aB, Bc", make((2, 3)), make((3, 2)))
    yield Sample("ij,ij->i", make((1, 3)), make((4, 3)))
    yield Sample("ij,kl->", a, b)
    yield Sample("i,->i", make((3,)), make(()))
    yield Sample(",", make(()), make(()))
    yield Sample("ij,jk->ik", make((0, 3)), b)
    yield Sample("ij,jk->ik", make((2, 0)), make((0, 3)))
    yield Sample(a, [0, 1], b, [1, 2], [0, 2])
    yield Sample(a, [0, 1], b, [1, 2])
    yield Sample("ij,jk->ik", [a, b])


def einsum_errors() -> Iterator[Error]:
    yield Error("ValueError", "operands", "ij,jk->ik", make((2, 3)))
    yield Error("ShapeError", "subscripts", "ijk->i", make((2, 3)))
    yield Error("ShapeError", "broadcast", "ij,jk->ik", make((2, 3)), make((4, 2)))
    yield Error("ValueError", "output", "ij->ik", make((2, 3)))
    yield Error("ValueError", "more than once", "ij->ii", make((2, 3)))
    yield Error("ShapeError", "repeated", "ii->i", make((2, 3)))
    yield Error("ValueError", "letters", "i1->i", make((2, 3)))
    yield Error("ValueError", r"\.\.\.", "i..->i", make((2, 3)))


def tensordot() -> Iterator[Sample]:
    yield Sample(make((2, 3, 4)), make((3, 4, 5)))
    yield Sample(make((2, 3)), make((3, 4)), 1)
    yield Sample(make((2, 3)), make((4, 5)), dims=0)
    yield Sample(make((3, 4, 5)), make((4, 3, 2)), dims=([1, 0], [0, 1]))
    yield Sample(make((2, 3), layout="transposed"), make((4, 3)), ([-1], [-1]))
    yield Sample(make((2, 3)), make((1, 3)), ([0], [0]))


def tensordot_errors() -> Iterator[Error]:
    yield Error("ShapeError", "differs", make((2, 3)), make((4, 3)), 1)
    yield Error("RuntimeError", "length", make((2, 3)), make((2, 3)), ([0], [0, 1]))
    yield Error("RuntimeError", "negative", make((2, 3)), make((2, 3)), -1)
    yield Error("RuntimeError", "twice", make((2, 2)), make((2, 2)), ([0, 0], [0, 1]))


def kron() -> Iterator[Sample]:
    yield Sample(make((2, 3)), make((3, 2)))
    yield Sample(make((2,)), make((3, 2)))
    yield Sample(make(()), make((3,)))
    yield Sample(make((2, 1, 3), layout="transposed"), make((2, 2)))


def multi_dot() -> Iterator[Sample]:
    yield Sample([make((2, 3)), make((3, 4)), make((4, 2))])
    yield Sample([make((3,)), make((3, 4)), make((4, 2))])
    yield Sample([make((3,)), make((3, 4)), make((4,))])
    yield Sample([make((10, 2)), make((2, 30)), make((30, 3)), make((3, 4))])


def multi_dot_errors() -> Iterator[Error]:
    yield Error("ShapeError", "multiplied", [make((2, 3)), make((2, 3))])
    yield Error("RuntimeError", "at least 2", [make((2, 3))])
    yield Error("ShapeError", "2 dimensions", [make((2, 3)), make((3,)), make((3, 2))])


def chain_matmul() -> Iterator[Sample]:
    yield Sample(make((2, 3)), make((3, 4)), make((4, 2)))
    yield Sample(make((2, 3)), make((3, 4)))


def matrix_power() -> Iterator[Sample]:
    for n in (3, 1, 2, 6):
        yield Sample(make((3, 3)), n)
    yield Sample(make((2, 3, 3), layout="transposed"), 3)


def matrix_power_zero() -> Iterator[Sample]:
    yield Sample(make((3, 3)), 0)
    yield Sample(make((2, 3, 3)), 0)


def matrix_power_errors() -> Iterator[Error]:
    yield Error("ShapeError", "square", make((2, 3)), 2)
    yield Error("NotImplementedError", "inverse", make((2, 2)), -1)


def vecdot() -> Iterator[Sample]:
    yield Sample(make((2, 3)), make((2, 3)))
    yield Sample(make((2, 3)), make((3,)), dim=-1)
    yield Sample(make((2, 3)), make((2, 3), layout="transposed"), dim=0)


def cdist() -> Iterator[Sample]:
    yield Sample(make((4, 3)), make((5, 3)))
    yield Sample(make((2, 4, 3)), make((2, 5, 3), layout="transposed"), p=1.0)
    yield Sample(make((2, 1, 4, 3)), make((3, 5, 3)))
    yield Sample(make((4, 3)), make((5, 3)), 3.0)
    yield Sample(make((4, 3)), make((5, 3)), p=float("inf"))
    yield Sample(make((3, 2)), make((0, 2)))


def cdist_errors() -> Iterator[Error]:
    yield Error("ShapeError", "last", make((4, 3)), make((5, 2)))
    yield Error("ShapeError", "2 dimensions", make((3,)), make((5, 3)))
    yield Error("ValueError", "negative", make((4, 3)), make((5, 3)), p=-1.0)


def pairwise_distance() -> Iterator[Sample]:
    yield Sample(make((4, 3)), make((4, 3)))
    yield Sample(make((4, 3)), make((3,)), p=1.0, keepdim=True)
    yield Sample(make((2, 4, 3)), make((4, 3), layout="transposed"), p=3.0, eps=1e-3)


def cosine_similarity() -> Iterator[Sample]:
    yield Sample(make((4, 3)), make((4, 3)))
    yield Sample(make((4, 3)), make((1, 3)), dim=-1)
    yield Sample(make((2, 3, 4), layout="transposed"), make((3, 4)), dim=1, eps=1e-4)
    yield Sample(values([[0.0, 0.0], [1.0, 2.0]], grad=False), make((2, 2)))


def cosine_similarity_errors() -> Iterator[Error]:
    yield Error("ShapeError", "broadcast", make((4, 3)), make((4, 2)))


def flops_mm(sample: Sample) -> float:
    a, b = sample.specs()[-2:]
    return 2.0 * a.shape[0] * a.shape[1] * b.shape[1]


CASES = [
    OpCase("mm", mm, mm_errors, k=inner_size, dtypes=NUMBERS, flops=flops_mm),
    OpCase("bmm", bmm, bmm_errors, k=inner_size, dtypes=NUMBERS),
    OpCase("matmul", matmul, matmul_errors, k=inner_size, dtypes=NUMBERS, heavy=14),
    OpCase("linalg.matmul", matmul, k=inner_size),
    OpCase("Tensor.__matmul__", matmul, k=inner_size, covers=("Tensor.__rmatmul__",)),
    OpCase("mv", mv, mv_errors, k=inner_size, dtypes=NUMBERS),
    OpCase("dot", dot, dot_errors, k=inner_size, dtypes=NUMBERS),
    OpCase("vdot", dot, dot_errors, k=inner_size),
    OpCase("inner", inner, inner_errors, k=inner_size, dtypes=NUMBERS),
    OpCase("outer", outer, outer_errors, dtypes=NUMBERS),
    OpCase("ger", outer, outer_errors),
    OpCase("addmm", addmm, addmm_errors, k=inner_size, flops=flops_mm),
    OpCase("addmm", addmm_int, variant="int", k=inner_size, dtypes=INTEGRAL, grad=False),
    OpCase("Tensor.addmm_", addmm_inplace, addmm_inplace_errors, k=inner_size),
    OpCase("addmv", addmv, addmv_errors, k=inner_size),
    OpCase("Tensor.addmv_", lambda: list(addmv())[:1], k=inner_size),
    OpCase("addbmm", addbmm, addbmm_errors, k=lambda s: 20),
    OpCase("Tensor.addbmm_", lambda: list(addbmm())[:1], k=lambda s: 20),
    OpCase("baddbmm", baddbmm, baddbmm_errors, k=inner_size),
    OpCase("Tensor.baddbmm_", add_batches_inplace, k=inner_size),
    OpCase("addr", addr, addr_errors, k=lambda s: 2),
    OpCase("Tensor.addr_", lambda: list(addr())[:1], k=lambda s: 2),
    OpCase("nn.functional.linear", linear, linear_errors, k=inner_size, heavy=6),
    OpCase(
        "nn.functional.fused_linear",
        fused_linear,
        fused_linear_errors,
        k=inner_size,
        heavy=14,
        torch_fn=composed_linear,
    ),
    OpCase(
        "nn.functional.bilinear", bilinear, bilinear_errors, k=lambda s: 6, covers=("bilinear",)
    ),
    OpCase("einsum", einsum, einsum_errors, k=lambda s: 24, heavy=24),
    OpCase("tensordot", tensordot, tensordot_errors, k=lambda s: 12),
    OpCase("kron", kron, dtypes=NUMBERS, skip={"layouts": "torch itself fails on some layouts"}),
    OpCase("linalg.multi_dot", multi_dot, multi_dot_errors, k=lambda s: 100),
    OpCase("chain_matmul", chain_matmul, k=lambda s: 12),
    OpCase("matrix_power", matrix_power, matrix_power_errors, k=lambda s: 60),
    OpCase("matrix_power", matrix_power_zero, variant="zero", grad=False),
    OpCase("linalg.matrix_power", matrix_power, k=lambda s: 60),
    OpCase("linalg.vecdot", vecdot, k=inner_size),
    OpCase("cdist", cdist, cdist_errors, k=inner_size, half=False),
    OpCase(
        "nn.functional.pairwise_distance",
        pairwise_distance,
        k=inner_size,
        heavy=1,
        covers=("pairwise_distance",),
    ),  # fmt: skip
    OpCase(
        "nn.functional.cosine_similarity",
        cosine_similarity,
        cosine_similarity_errors,
        k=inner_size,
        covers=("cosine_similarity",),
    ),  # fmt: skip
]
