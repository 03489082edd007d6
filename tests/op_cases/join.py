"""Rows of joining, splitting, padding, repeating, rearranging and resampling."""

from __future__ import annotations

from op_cases import ALL, NUMERIC, Error, OpCase, Sample, T, make, values


def cats():
    yield Sample([make((2, 3)), make((4, 3))])
    yield Sample([make((2, 3)), make((2, 1)), make((2, 0))], 1)
    yield Sample((make((2, 3, 4), layout="transposed"), make((2, 5, 4))), dim=-2)
    yield Sample([make((2, 3)), make(0)])
    yield Sample([make(3)])
    yield Sample([make((2, 3)), make((2, 3), "int64")])
    yield Sample([make((0, 3)), make((0, 3))])


def cat_errors():
    yield Error("ShapeError", "expected 3 but got 4 in dimension 1", [make((2, 3)), make((2, 4))])
    yield Error("ShapeError", "number of dimensions", [make((2, 3)), make(3)])
    yield Error("ShapeError", "0-dim", [make(()), make(())])
    yield Error("IndexError", "range", [make((2, 3))], 2)
    yield Error("TypeError", "cat", make((2, 3)))


def stacks():
    yield Sample([make((2, 3)), make((2, 3), layout="transposed")])
    yield Sample([make((2, 3)), make((2, 3))], 1)
    yield Sample([make((2, 3)), make((2, 3))], dim=-1)
    yield Sample([make(()), make(()), make(())])
    yield Sample([make((0, 2)), make((0, 2))])
    yield Sample([make(0), make(0)])


def stack_errors():
    yield Error("ShapeError", "entry 1", [make((2, 3)), make((3, 2))])
    yield Error("IndexError", "range", [make(3), make(3)], 2)


def hstacks():
    yield Sample([make(3), make(2)])
    yield Sample([make((2, 3)), make((2, 1))])
    yield Sample([make(()), make(())])


def vstacks():
    yield Sample([make(3), make((2, 3))])
    yield Sample([make(()), make(())])


def dstacks():
    yield Sample([make(3), make(3)])
    yield Sample([make((2, 3)), make((2, 3, 2))])


def column_stacks():
    yield Sample([make(3), make((3, 2))])
    yield Sample([make(()), make(())])


def block_diags():
    yield Sample(make((2, 3)), make((1, 1)), make(2))
    yield Sample(make(()), make((2, 0)))


def splits():
    yield Sample(make((7, 3)), 3)
    yield Sample(make((2, 6)), 2, 1)
    yield Sample(make((2, 6)), [1, 0, 5], dim=-1)
    yield Sample(make((0, 3)), 2)


def split_errors():
    yield Error("ShapeError", "sum up to 5", make((2, 6)), [1, 4], 1)
    yield Error(RuntimeError, "negative", make((2, 6)), -1)
    yield Error("ShapeError", "0-dim", make(()), 1)


def chunks():
    yield Sample(make((7, 3)), 3)
    yield Sample(make((2, 5)), 4, dim=1)
    yield Sample(make((0, 3)), 2)


def tensor_splits():
    yield Sample(make((7, 3)), 3)
    yield Sample(make((2, 6)), (1, 4), dim=1)
    yield Sample(make((2, 6)), (2, -1, 9), 1)


def hsplits():
    yield Sample(make((2, 6)), 3)
    yield Sample(make(6), [1, 4])


def vsplits():
    yield Sample(make((6, 2)), 3)
    yield Sample(make((6, 2)), [1, 4])


def dsplits():
    yield Sample(make((2, 1, 6)), 3)
    yield Sample(make((2, 1, 6)), [1, 4])


def grids():
    yield Sample(make(3), make(2))
    yield Sample(make(3), make(()), make(2))
    yield Sample(make(4))


# ---------------------------------------------------------------------------------------- padding


def constant_pads():
    yield Sample(make((2, 3)), (1, 2))
    yield Sample(make((2, 3, 4)), (1, 0, 0, 2), value=1.5)
    yield Sample(make((2, 3, 4)), (-1, 2, 1, -1), "constant", 2.0)
    yield Sample(make((2, 4), layout="transposed"), (1, 1, 2, 2))
    yield Sample(make((2, 3)), (0, 0))
    yield Sample(make((2, 0)), (2, 1))
    yield Sample(make((2, 3)), (-3, 0))
    yield Sample(make((2, 3, 5, 37)), (1, 1, 2, 0))
    yield Sample(make((2, 3, 5, 37)), (-2, 1, 0, 0, 1, 1))


def mirror_pads(mode: str):
    def samples():
        yield Sample(make((2, 3, 5)), (2, 1), mode)
        yield Sample(make((1, 2, 4, 5)), (1, 2, 3, 0), mode=mode)
        yield Sample(make((2, 3, 4, 4)), (1, 1, 1, 1, 1, 1), mode)
        yield Sample(make((2, 4, 5)), (2, 1, 1, 2), mode)
        yield Sample(make((3, 5)), (2, 1), mode)
        yield Sample(make((2, 3, 5, 37)), (2, 1, 0, 2), mode)
        yield Sample(make((2, 5, 9)), (-2, 3, 1, -1), mode)

    return samples


def pad_errors():
    yield Error("ShapeError", "negative", make((2, 3)), (-2, -2))
    yield Error("ShapeError", "even", make((2, 3)), (1, 2, 3))
    yield Error("ShapeError", "too many", make(3), (1, 1, 1, 1))
    yield Error("ShapeError", "less than the size 3", make((1, 2, 3)), (3, 0), "reflect")
    yield Error("ShapeError", "exceed", make((1, 2, 3)), (4, 0), "circular")
    yield Error("NotImplementedError", "mode", make((2, 3)), (1, 1), "mirror")
    yield Error("NotImplementedError", "dimensions", make(3), (1, 1), "reflect")


# ------------------------------------------------------------------------------- moving, repeating


def rolls():
    yield Sample(make((3, 4)), 1, 0)
    yield Sample(make((3, 4)), (1, -2), (0, 1))
    yield Sample(make((3, 4)), 5)
    yield Sample(make((3, 4), layout="transposed"), shifts=-7, dims=-1)
    yield Sample(make((0, 4)), 1, 0)


def roll_errors():
    yield Error(RuntimeError, "differ in length", make((3, 4)), (1, 2), 0)
    yield Error("IndexError", "range", make((3, 4)), 1, 2)


def flips():
    yield Sample(make((3, 4)), (0,))
    yield Sample(make((2, 3, 4)), [0, -1])
    yield Sample(make((3, 4), layout="transposed"), dims=(1,))
    yield Sample(make((2, 0)), (0, 1))
    yield Sample(make((1, 4)), (0,))


def flip_errors():
    yield Error(RuntimeError, "twice", make((3, 4)), (0, -2))
    yield Error("IndexError", "range", make((3, 4)), (2,))


def rot90s():
    yield Sample(make((3, 4)))
    yield Sample(make((3, 4)), 2, (0, 1))
    yield Sample(make((2, 3, 4)), -1, (1, 2))
    yield Sample(make((2, 3, 4)), 3, dims=(2, 0))
    yield Sample(make((3, 4)), 4)


def repeats():
    yield Sample(make((2, 3)), (2, 2))
    yield Sample(make(3), (4, 1, 2))
    yield Sample(make((2, 3), layout="transposed"), (1, 3))
    yield Sample(make((2, 3)), (1, 1))
    yield Sample(make(()), (3,))
    yield Sample(make((2, 3)), (0, 2))


def repeat_errors():
    yield Error("ShapeError", "at least", make((2, 3)), (2,))
    yield Error("ShapeError", "negative", make((2, 3)), (2, -1))


def tiles():
    yield Sample(make((2, 3)), (2,))
    yield Sample(make((2, 3)), (2, 1, 3))
    yield Sample(make((2, 3)), ())


def interleaves():
    yield Sample(make((2, 3)), 2)
    yield Sample(make((2, 3)), 3, 1)
    yield Sample(make((2, 3)), values([1, 0, 2], "int64"), dim=-1)
    yield Sample(make(3), values([2, 1, 0], "int64"))
    yield Sample(make(3), values([2], "int64"), 0, output_size=6)
    yield Sample(make((2, 3)), 0, dim=0)


def interleave_errors():
    yield Error("ShapeError", "2 elements", make(3), values([1, 2], "int64"), 0)
    yield Error(RuntimeError, "negative", make(3), values([1, -2, 0], "int64"), 0)
    yield Error(RuntimeError, "negative", make(3), -1)
    yield Error("TypeError", "int64", make(3), make(3, "float32"), 0)


def matrices():
    yield Sample(make((4, 3)))
    yield Sample(make((3, 4)), 1)
    yield Sample(make((2, 3, 3), layout="transposed"), diagonal=-1)
    yield Sample(make((3, 3)), 9)
    yield Sample(make((3, 3)), -9)
    yield Sample(make((0, 3)))


def matrix_errors():
    yield Error("ShapeError", "2 dimensions", make(3))


def triangles():
    yield Sample(3, 4)
    yield Sample(4, 3, 1)
    yield Sample(4, 3, -2)
    yield Sample(2, 2, offset=0, dtype=T("int32"))
    yield Sample(0, 3)


def diags():
    yield Sample(make(3))
    yield Sample(make(3), -1)
    yield Sample(make((3, 4)), 1)
    yield Sample(make((3, 4), layout="transposed"), diagonal=-1)


def diag_embeds():
    yield Sample(make((2, 3)))
    yield Sample(make((2, 3)), 1)
    yield Sample(make((2, 3)), -1, 0, 2)
    yield Sample(make((2, 3)), offset=0, dim1=2, dim2=0)
    yield Sample(make(0))


def combos():
    yield Sample(make(4))
    yield Sample(make(4), 3)
    yield Sample(make(3), r=2, with_replacement=True)
    yield Sample(make(2), 3)
    yield Sample(make(3), 0)


# ---------------------------------------------------------------------------------------- images


def shuffles():
    yield Sample(make((2, 8, 2, 3)), 2)
    yield Sample(make((9, 2, 1)), 3)
    yield Sample(make((1, 2, 4, 1, 1)), 2)


def shuffle_errors():
    yield Error("ShapeError", "divisible", make((1, 6, 2, 2)), 2)
    yield Error("ShapeError", "3 dimensions", make((4, 4)), 2)
    yield Error(RuntimeError, "positive", make((1, 4, 2, 2)), 0)
    yield Error(RuntimeError, "too large", make((1, 0, 2, 2)), 2**62)


def unshuffles():
    yield Sample(make((2, 2, 4, 6)), 2)
    yield Sample(make((1, 3, 3)), 3)


def unshuffle_errors():
    yield Error("ShapeError", "divisible", make((1, 2, 3, 4)), 2)


def channel_shuffles():
    yield Sample(make((2, 6, 2, 3)), 3)
    yield Sample(make((1, 4, 2)), 2)


def interpolations(mode: str, ranks: tuple[int, ...], align: tuple[bool, ...] = ()):
    def samples():
        shapes = {1: (2, 3, 5), 2: (1, 2, 4, 5), 3: (1, 2, 3, 4, 2)}
        sizes = {1: (8,), 2: (7, 3), 3: (5, 2, 4)}
        for rank in ranks:
            for extra in [{"align_corners": a} for a in align] or [{}]:
                yield Sample(make(shapes[rank]), sizes[rank], mode=mode, **extra)
                yield Sample(make(shapes[rank]), scale_factor=2, mode=mode, **extra)
        yield Sample(make(shapes[ranks[0]]), scale_factor=1.7, mode=mode)
        yield Sample(make(shapes[ranks[0]]), scale_factor=1.7, mode=mode,
                     recompute_scale_factor=True)  # fmt: skip
        yield Sample(make(shapes[ranks[0]]), 1, mode=mode)

    return samples


def antialiases():
    for mode in ("bilinear", "bicubic"):
        yield Sample(make((1, 2, 9, 8)), (4, 3), mode=mode, antialias=True)
        yield Sample(make((1, 2, 3, 4)), (6, 9), mode=mode, antialias=True)
        yield Sample(make((1, 2, 9, 8)), (4, 3), mode=mode, antialias=True, align_corners=True)


def interpolate_errors():
    x = make((1, 2, 4, 5))
    yield Error("ValueError", "exactly one", x)
    yield Error("ValueError", "exactly one", x, 3, 2.0)
    yield Error("NotImplementedError", "mode", x, 3, mode="cubic")
    yield Error("NotImplementedError", "trilinear", x, 3, mode="trilinear")
    yield Error("ValueError", "align_corners", x, 3, mode="nearest", align_corners=True)
    yield Error("ValueError", "entries", x, (3, 3, 3))
    yield Error("ShapeError", "positive", x, 0)
    yield Error("NotImplementedError", "dimensions", make((4, 5)), 3)


def grid_samples():
    for mode in ("bilinear", "nearest", "bicubic"):
        for padding in ("zeros", "border", "reflection"):
            for align in (False, True):
                yield Sample(make((2, 2, 4, 3)), make((2, 3, 2, 2), low=-1.3, high=1.3), mode,
                             padding, align)  # fmt: skip
    for mode in ("bilinear", "nearest"):
        yield Sample(make((1, 2, 3, 4, 2)), make((1, 2, 2, 3, 3), low=-1.2, high=1.2), mode,
                     align_corners=False)  # fmt: skip


def grid_sample_errors():
    x = make((2, 2, 4, 3))
    yield Error("ValueError", "mode", x, make((2, 1, 1, 2)), "linear")
    yield Error("ValueError", "padding_mode", x, make((2, 1, 1, 2)), padding_mode="wrap")
    yield Error("ShapeError", "grid", x, make((2, 1, 1, 3)))
    yield Error("ShapeError", "dimensions", make((2, 4, 3)), make((2, 1, 1, 2)))


def affine_grids():
    yield Sample(make((2, 2, 3)), (2, 1, 3, 4), align_corners=False)
    yield Sample(make((1, 2, 3)), (1, 1, 1, 4), align_corners=True)
    yield Sample(make((1, 3, 4)), (1, 1, 2, 3, 2), align_corners=False)


def affine_errors():
    yield Error("ShapeError", "theta", make((2, 3, 3)), (2, 1, 3, 4))
    yield Error("ValueError", "positive", make((2, 2, 3)), (2, 1, 0, 4))


SPLIT = {"exact": True, "view": True}

CASES = [
    OpCase("cat", cats, cat_errors, exact=True, covers=("concat", "concatenate")),
    OpCase("concat", cats, exact=True),
    OpCase("concatenate", cats, exact=True),
    OpCase("stack", stacks, stack_errors, dtypes=ALL, exact=True),
    OpCase("hstack", hstacks, exact=True),
    OpCase("vstack", vstacks, exact=True),
    OpCase("row_stack", vstacks, exact=True),
    OpCase("dstack", dstacks, exact=True),
    OpCase("column_stack", column_stacks, exact=True),
    OpCase("block_diag", block_diags, exact=True),
    OpCase("split", splits, split_errors, dtypes=ALL, **SPLIT),
    OpCase("Tensor.split", splits, **SPLIT),
    OpCase("split_with_sizes", lambda: [Sample(make((2, 6)), [1, 0, 5], 1)], **SPLIT),
    OpCase("chunk", chunks, **SPLIT),
    OpCase("tensor_split", tensor_splits,
           lambda: [Error(RuntimeError, "too many", make(2), 2**62)], **SPLIT),
    OpCase("hsplit", hsplits, **SPLIT),
    OpCase("vsplit", vsplits, **SPLIT),
    OpCase("dsplit", dsplits, **SPLIT),
    OpCase("meshgrid", grids, k=lambda s: 12,
           fn=lambda lib: lambda *a: lib.meshgrid(*a, indexing="ij")),
    OpCase("meshgrid", grids, variant="xy", k=lambda s: 12,
           fn=lambda lib: lambda *a: lib.meshgrid(*a, indexing="xy")),
    OpCase("cartesian_prod", lambda: [Sample(make(3), make(2)), Sample(make(3))], k=lambda s: 12),
    OpCase("combinations", combos, k=lambda s: 12),
    OpCase("nn.functional.pad", constant_pads, pad_errors, dtypes=NUMERIC, exact=True),
    # What a border repeats is added up in the gradients, in no order that is promised.
    OpCase("nn.functional.pad", mirror_pads("reflect"), variant="reflect", k=lambda s: 12),
    OpCase("nn.functional.pad", mirror_pads("replicate"), variant="replicate", k=lambda s: 12),
    OpCase("nn.functional.pad", mirror_pads("circular"), variant="circular", k=lambda s: 12),
    OpCase("roll", rolls, roll_errors, dtypes=ALL, exact=True),
    OpCase("flip", flips, flip_errors, dtypes=ALL, exact=True),
    OpCase("fliplr", lambda: [Sample(make((3, 4)))], exact=True),
    OpCase("flipud", lambda: [Sample(make((3, 4))), Sample(make(3))], exact=True),
    OpCase("rot90", rot90s, exact=True),
    OpCase("Tensor.repeat", repeats, repeat_errors, dtypes=ALL, k=lambda s: 12),
    OpCase("tile", tiles, k=lambda s: 12),
    OpCase("repeat_interleave", interleaves, interleave_errors, dtypes=ALL, k=lambda s: 12),
    OpCase("tril", matrices, matrix_errors, dtypes=ALL, exact=True),
    OpCase("triu", matrices, matrix_errors, dtypes=ALL, exact=True),
    OpCase("Tensor.tril_", matrices, exact=True),
    OpCase("Tensor.triu_", matrices, exact=True),
    OpCase("tril_indices", triangles, dtypes=("int64",), grad=False, exact=True),
    OpCase("triu_indices", triangles, dtypes=("int64",), grad=False, exact=True),
    OpCase("diag", diags, dtypes=NUMERIC, exact=True),
    OpCase("diag_embed", diag_embeds, exact=True),
    OpCase("diagflat", lambda: [Sample(make((2, 2))), Sample(make(3), -1)], exact=True),
    OpCase("nn.functional.pixel_shuffle", shuffles, shuffle_errors, exact=True,
           covers=("pixel_shuffle",)),
    OpCase("nn.functional.pixel_unshuffle", unshuffles, unshuffle_errors, exact=True,
           covers=("pixel_unshuffle",), skip={"empty": "torch keeps the input's shape"}),
    OpCase("nn.functional.channel_shuffle", channel_shuffles, exact=True,
           covers=("channel_shuffle",)),
    OpCase("nn.functional.interpolate", interpolations("nearest", (1, 2, 3)), interpolate_errors,
           k=lambda s: 12),
    OpCase("nn.functional.interpolate", interpolations("nearest-exact", (1, 2, 3)),
           variant="nearest-exact", k=lambda s: 12),
    OpCase("nn.functional.interpolate", interpolations("linear", (1,), (False, True)),
           variant="linear", c=64.0),
    OpCase("nn.functional.interpolate", interpolations("bilinear", (2,), (False, True)),
           variant="bilinear", c=64.0),
    OpCase("nn.functional.interpolate", interpolations("trilinear", (3,), (False, True)),
           variant="trilinear", c=64.0),
    OpCase("nn.functional.interpolate", interpolations("bicubic", (2,), (False, True)),
           variant="bicubic", c=128.0),
    OpCase("nn.functional.interpolate", interpolations("area", (1, 2, 3)), variant="area",
           k=lambda s: 30, c=32.0),
    OpCase("nn.functional.interpolate", antialiases, variant="antialias", c=128.0, half=False),
    OpCase("nn.functional.grid_sample", grid_samples, grid_sample_errors, c=64.0, half=False),
    OpCase("nn.functional.affine_grid", affine_grids, affine_errors, half=False),
]  # fmt: skip
