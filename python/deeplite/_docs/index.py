"""Reading and writing by index."""

DOCS = {
    "embedding": """Rows of weight [V, D] at these indices, any shape [*]: [*, D]. The row
padding_idx gets no gradient.

>>> dl.embedding(dl.eye(3), dl.tensor([2, 0]))
tensor([[0., 0., 1.],
        [1., 0., 0.]])
""",
    "gather": """out[i][j] = input[index[i][j]][j] for dim 0, out[i][j] = input[i][index[i][j]]
for dim 1, and so on.

Raises IndexError for an index outside of the size.

>>> dl.tensor([[1, 2], [3, 4]]).gather(1, dl.tensor([[1], [0]]))
tensor([[2],
        [3]])
""",
    "index_add": """Adds alpha times the slices of source to those at index along dim; an index
may occur several times.

>>> dl.zeros(3).index_add(0, dl.tensor([0, 0]), dl.tensor([1.0, 2.0]))
tensor([3., 0., 0.])
""",
    "index_copy": """A copy with the slices of source at index along dim.

>>> dl.zeros(3).index_copy(0, dl.tensor([2]), dl.tensor([5.0]))
tensor([0., 0., 5.])
""",
    "index_fill": """A copy with one number in the slices at index along dim.

>>> dl.zeros(3).index_fill(0, dl.tensor([1]), 7.0)
tensor([0., 7., 0.])
""",
    "index_put": """input[indices] = values on a copy; accumulate adds, so that an index may
occur several times.

>>> dl.zeros(3).index_put((dl.tensor([0, 0]),), dl.tensor(1.0), accumulate=True)
tensor([2., 0., 0.])
""",
    "index_reduce": """Reduces slices of source into those at index along dim by "prod",
"mean", "amax" or "amin"; include_self: the old slice takes part.

>>> dl.ones(2).index_reduce(0, dl.tensor([0, 0]), dl.tensor([2.0, 3.0]), "prod")
tensor([6., 1.])
""",
    "index_select": """A copy of the slices at index along dim.

Raises IndexError for an index outside of the size.

>>> dl.tensor([[1, 2], [3, 4]]).index_select(1, dl.tensor([1]))
tensor([[2],
        [4]])
""",
    "masked_fill": """A copy with one number where mask (booleans, which broadcast) is True.

>>> dl.tensor([1, 2]).masked_fill(dl.tensor([True, False]), 9)
tensor([9, 2])
""",
    "masked_scatter": """A copy with the elements of source, in order, where mask is True.

>>> dl.zeros(3).masked_scatter(dl.tensor([True, False, True]), dl.tensor([1.0, 2.0]))
tensor([1., 0., 2.])
""",
    "masked_select": """The elements where mask is True, as a vector.

>>> dl.tensor([1, 2, 3]).masked_select(dl.tensor([True, False, True]))
tensor([1, 3])
""",
    "put": """A copy with source at these indices into the flattened tensor; accumulate adds.

>>> dl.zeros(3).put(dl.tensor([2]), dl.tensor([5.0]))
tensor([0., 0., 5.])
""",
    "scatter": """A copy with out[index[i][j]][j] = src[i][j] for dim 0, and so on; src may be
a number; reduce "add" or "multiply" combines with what was there.

Raises IndexError for an index outside of the size.

>>> dl.zeros(3).scatter(0, dl.tensor([2]), dl.tensor([5.0]))
tensor([0., 0., 5.])
""",
    "scatter_add": """scatter that adds: out[index[i][j]][j] += src[i][j] for dim 0, and so on.

>>> dl.zeros(2).scatter_add(0, dl.tensor([0, 0]), dl.tensor([1.0, 2.0]))
tensor([3., 0.])
""",
    "scatter_reduce": """scatter that reduces by "sum", "prod", "mean", "amax" or "amin";
include_self: the old element takes part.

>>> dl.zeros(2).scatter_reduce(0, dl.tensor([0, 0]), dl.tensor([1.0, 2.0]), "amax")
tensor([2., 0.])
""",
    "take": """The elements at these indices into the flattened tensor.

>>> dl.tensor([[1, 2], [3, 4]]).take(dl.tensor([0, 3]))
tensor([1, 4])
""",
    "take_along_dim": """The elements at index along dim, the other dimensions broadcasting;
dim None: in the flattened tensor. What argsort gives fits.

>>> dl.tensor([3, 1, 2]).take_along_dim(dl.tensor([1, 2, 0]), 0)
tensor([1, 2, 3])
""",
}
