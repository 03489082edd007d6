"""Matrix products of real networks, and the edges around them: the rows of `run gemm`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Gemm:
    """C [m, n] = A [m, k] @ B [k, n], `batch` of them.

    Attributes:
        name: unique in the table.
        group: kind of shape; a report sums up by it.
        call: "mm", "bmm", "addmm" (input of shape [n]) or "linear" (weight [n, k], bias [n]).
        layout: how A and B lie in memory, one letter each: N rows contiguous, T columns.
        dtype: torch's name of it.
    """

    name: str
    group: str
    m: int
    n: int
    k: int
    batch: int = 1
    call: str = "mm"
    layout: str = "NN"
    dtype: str = "float32"

    @property
    def flops(self) -> int:
        return 2 * self.batch * self.m * self.n * self.k


def _square() -> list[Gemm]:
    sizes = (32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
    rows = [Gemm(f"square-{s}", "square", s, s, s) for s in sizes]
    odd = (33, 100, 255, 1000)
    rows += [Gemm(f"square-{s}", "square", s, s, s) for s in odd]
    return rows


def _transposed() -> list[Gemm]:
    layouts = ("NT", "TN", "TT")
    return [
        Gemm(f"{layout}-{m}x{n}x{k}", "transposed", m, n, k, layout=layout)
        for layout in layouts
        for m, n, k in ((64, 64, 64), (256, 256, 256), (768, 768, 768), (1000, 300, 500))
    ]


def _skinny() -> list[Gemm]:
    rows = [
        Gemm(f"few-rows-{layout}-{m}x{n}x{k}", "skinny", m, n, k, layout=layout)
        for layout in ("NN", "NT")
        for m in (1, 2, 4, 8, 16)
        for n, k in ((1024, 1024), (4096, 4096))
    ]
    rows += [
        Gemm(f"few-columns-{m}x{n}x{k}", "skinny", m, n, k)
        for n in (1, 2, 4, 8, 16)
        for m, k in ((1024, 1024), (4096, 4096))
    ]
    rows += [
        Gemm(f"long-sum-{m}x{n}x{k}", "skinny", m, n, k, layout=layout)
        for m, n, k, layout in (
            (8, 8, 100_000, "NN"),
            (16, 16, 50_000, "TN"),
            (64, 64, 20_000, "TN"),
            (1, 1, 1_000_000, "NN"),
        )
    ]
    return rows


def _tall_and_wide() -> list[Gemm]:
    shapes = (
        (20_000, 64, 64),
        (20_000, 32, 256),
        (64, 20_000, 64),
        (32, 20_000, 256),
        (4096, 128, 1024),
        (128, 4096, 1024),
    )
    return [Gemm(f"tall-wide-{m}x{n}x{k}", "tall, wide", m, n, k) for m, n, k in shapes]


def _small_sum() -> list[Gemm]:
    shapes = ((512, 512, 4), (512, 512, 16), (1024, 1024, 32), (2048, 2048, 8), (2048, 2048, 64))
    return [Gemm(f"small-sum-{m}x{n}x{k}", "small sum", m, n, k) for m, n, k in shapes]


def _convolution() -> list[Gemm]:
    shapes = (
        (64, 12_544, 147),  # ResNet's first layer
        (64, 3136, 576),
        (128, 784, 1152),
        (256, 196, 2304),
        (512, 49, 4608),
        (256, 3136, 64),
        (64, 3136, 256),
        (2048, 49, 512),
        (96, 12_544, 16),  # MobileNetV2's pointwise layers
        (24, 3136, 144),
        (1280, 49, 320),
    )
    return [Gemm(f"conv-{m}x{n}x{k}", "convolution", m, n, k) for m, n, k in shapes]


def _classifiers() -> list[Gemm]:
    rows = [
        Gemm(f"linear-{b}x{n}x{k}", "classifier", b, n, k, call="linear", layout="NT")
        for n, k in ((4096, 25_088), (1000, 2048), (1000, 4096), (10, 84), (120, 400))
        for b in (1, 4, 8, 64)
    ]
    rows += [
        Gemm(f"input-gradient-{b}x{n}x{k}", "classifier", b, n, k)
        for b, n, k in ((8, 2048, 1000), (64, 4096, 1000))
    ]
    rows += [
        Gemm(f"weight-gradient-{m}x{n}x{b}", "classifier", m, n, b, layout="TN")
        for m, n, b in ((1000, 2048, 8), (1000, 4096, 64), (4096, 4096, 4))
    ]
    return rows


def _attention() -> list[Gemm]:
    rows = [
        Gemm(f"scores-{z}x{m}x{n}x{k}", "attention", m, n, k, z, call="bmm", layout="NT")
        for z, m, n, k in ((64, 128, 128, 64), (12, 197, 197, 64), (96, 49, 49, 32))
    ]
    rows += [
        Gemm(f"values-{z}x{m}x{n}x{k}", "attention", m, n, k, z, call="bmm")
        for z, m, n, k in ((64, 128, 64, 128), (12, 197, 64, 197), (96, 49, 32, 49))
    ]
    rows += [
        Gemm(f"linear-{b}x{n}x{k}", "attention", b, n, k, call="linear", layout="NT")
        for b, n, k in ((197, 2304, 768), (197, 3072, 768), (197, 768, 3072), (1024, 512, 512))
    ]
    rows += [Gemm("bmm-256x16x16x16", "attention", 16, 16, 16, 256, call="bmm")]
    return rows


def _recurrent() -> list[Gemm]:
    rows = [
        Gemm(f"linear-{b}x{4 * h}x{h}", "recurrent", b, 4 * h, h, call="linear", layout="NT")
        for h in (128, 256, 512)
        for b in (1, 16, 32, 64)
    ]
    rows += [
        Gemm(f"addmm-{b}x{n}x{k}", "recurrent", b, n, k, call="addmm")
        for b, n, k in ((32, 1024, 256), (1120, 1024, 200))
    ]
    return rows


def _double() -> list[Gemm]:
    shapes = (
        ("NN", 32, 32, 32), ("NN", 128, 128, 128), ("NN", 256, 256, 256), ("NN", 512, 512, 512),
        ("NN", 1024, 1024, 1024), ("NT", 512, 512, 512), ("TN", 512, 512, 512),
        ("NN", 1, 2048, 2048), ("NT", 1, 2048, 2048), ("NN", 2048, 1, 2048),
        ("NT", 8, 2048, 2048), ("NN", 256, 196, 2304), ("NN", 20_000, 32, 64),
    )  # fmt: skip
    return [
        Gemm(f"double-{layout}-{m}x{n}x{k}", "double", m, n, k, layout=layout, dtype="float64")
        for layout, m, n, k in shapes
    ]


def _bfloat16() -> list[Gemm]:
    shapes = (
        ("NN", 256, 256, 256), ("NN", 512, 512, 512), ("NN", 1024, 1024, 1024),
        ("NT", 512, 512, 512), ("NT", 8, 4096, 4096), ("NT", 1, 4096, 4096),
        ("NN", 256, 196, 2304),
    )  # fmt: skip
    return [
        Gemm(f"bfloat16-{layout}-{m}x{n}x{k}", "bfloat16", m, n, k, layout=layout, dtype="bfloat16")
        for layout, m, n, k in shapes
    ]


SHAPES: list[Gemm] = [
    *_square(),
    *_transposed(),
    *_skinny(),
    *_tall_and_wide(),
    *_small_sum(),
    *_convolution(),
    *_classifiers(),
    *_attention(),
    *_recurrent(),
    *_double(),
    *_bfloat16(),
]
