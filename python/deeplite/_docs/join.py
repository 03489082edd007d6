"""Joining, repeating and triangles."""

DOCS = {
    "block_diag": """A matrix with these along its diagonal and zeros elsewhere.

>>> dl.block_diag(dl.tensor([[1, 2]]), dl.tensor([[3]]))
tensor([[1, 2, 0],
        [0, 0, 3]])
""",
    "cartesian_prod": """All combinations of one element from each vector, one row each.

>>> dl.cartesian_prod(dl.tensor([1, 2]), dl.tensor([3, 4]))
tensor([[1, 3],
        [1, 4],
        [2, 3],
        [2, 4]])
""",
    "cat": """Joins tensors along an existing dimension; their other sizes must agree.

>>> dl.cat([dl.tensor([1, 2]), dl.tensor([3])])
tensor([1, 2, 3])
""",
    "column_stack": """Joins along the second dimension; vectors become columns.

>>> dl.column_stack([dl.tensor([1, 2]), dl.tensor([3, 4])])
tensor([[1, 3],
        [2, 4]])
""",
    "dstack": """Joins along the third dimension.

>>> dl.dstack([dl.ones(2, 2), dl.zeros(2, 2)]).shape
deeplite.Size([2, 2, 2])
""",
    "hstack": """Joins along the second dimension (vectors along the first).

>>> dl.hstack([dl.tensor([1]), dl.tensor([2])])
tensor([1, 2])
""",
    "meshgrid": """Grids of coordinates: output i repeats vector i along all other dimensions.
indexing "ij" keeps the order of the dimensions, "xy" exchanges the first two.

>>> dl.meshgrid(dl.tensor([1, 2]), dl.tensor([3, 4]), indexing="ij")
(tensor([[1, 1],
        [2, 2]]), tensor([[3, 4],
        [3, 4]]))
""",
    "repeat": """A copy repeated this often along each dimension; new dimensions come first.

>>> dl.tensor([1, 2]).repeat(2)
tensor([1, 2, 1, 2])
""",
    "repeat_interleave": """Each element repeated this often, or as often as repeats says for
it, along dim (None: flattened).

>>> dl.tensor([1, 2]).repeat_interleave(2)
tensor([1, 1, 2, 2])
""",
    "stack": """Joins tensors of one shape along a new dimension.

>>> dl.stack([dl.tensor([1, 2]), dl.tensor([3, 4])])
tensor([[1, 2],
        [3, 4]])
""",
    "tile": """A copy repeated this often along each dimension; missing numbers are 1.

>>> dl.tensor([1, 2]).tile((2,))
tensor([1, 2, 1, 2])
""",
    "tril": """The lower triangle of matrices, on and below the diagonal-th diagonal; zeros
elsewhere.

>>> dl.ones(2, 2).tril()
tensor([[1., 0.],
        [1., 1.]])
""",
    "triu": """The upper triangle of matrices, on and above the diagonal-th diagonal; zeros
elsewhere.

>>> dl.ones(2, 2).triu()
tensor([[1., 1.],
        [0., 1.]])
""",
    "vstack": """Joins along the first dimension; vectors become rows.

>>> dl.vstack([dl.tensor([1, 2]), dl.tensor([3, 4])])
tensor([[1, 2],
        [3, 4]])
""",
}
