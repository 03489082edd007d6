"""deeplite.linalg."""

DOCS = {
    "matrix_norm": """Norm of matrices: ord "fro" (the root of the sum of squares), 1 or inf
(the greatest sum of absolute values in a column or row), -1 or -inf (the least).

Raises ValueError for another ord.

>>> dl.linalg.matrix_norm(dl.tensor([[3.0, 0.0], [0.0, 4.0]]))
tensor(5.)
""",
    "multi_dot": """Product of several matrices in the cheapest order; the first and the last
may be vectors.

>>> dl.linalg.multi_dot([dl.ones(2, 3), dl.ones(3, 1), dl.ones(1, 4)]).shape
deeplite.Size([2, 4])
""",
    "vecdot": """Sums of products along dim, the other dimensions broadcasting.

>>> dl.linalg.vecdot(dl.tensor([1.0, 2.0]), dl.tensor([3.0, 4.0]))
tensor(11.)
""",
    "vector_norm": """(sum of |x|^ord)^(1 / ord) over dim, or over all elements; inf and -inf:
the greatest and the least |x|; 0: how many are not 0.

>>> dl.linalg.vector_norm(dl.tensor([3.0, 4.0]))
tensor(5.)
""",
}
