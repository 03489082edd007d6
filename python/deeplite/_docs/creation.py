"""New tensors."""

DOCS = {
    "arange": """Numbers from start (0) to end, not included, step apart: ceil((end - start) /
step) of them. The dtype is int64 if all are integers.

Raises ValueError for a step of 0 or in the wrong direction.

>>> dl.arange(4)
tensor([0, 1, 2, 3])
>>> dl.arange(1, 2, 0.5)
tensor([1.0000, 1.5000])
""",
    "as_tensor": """A tensor of data (a tensor, NumPy array, number or nested sequence),
sharing its memory where no conversion is needed.

>>> dl.as_tensor([1.0, 2.0])
tensor([1., 2.])
""",
    "asarray": """A tensor of data (a tensor, NumPy array, number or nested sequence), sharing
its memory where no conversion is needed.

>>> dl.asarray([1, 2])
tensor([1, 2])
""",
    "empty": """A tensor of this size whose elements are not set. memory_format chooses their
order.

>>> dl.empty(2, 3).shape
deeplite.Size([2, 3])
""",
    "empty_like": """A tensor of the shape and dtype of another, whose elements are not set;
they lie in the other's order, unless memory_format says otherwise. So it is with the other
functions of such names.

>>> dl.empty_like(dl.ones(2)).shape
deeplite.Size([2])
""",
    "eye": """The matrix [n, m] (m = n when None) with ones on its diagonal and zeros
elsewhere.

>>> dl.eye(2)
tensor([[1., 0.],
        [0., 1.]])
""",
    "from_dlpack": """A tensor on the memory of another library's array that speaks DLPack;
nothing is copied.

Raises RuntimeError or BufferError for devices and types that are not there.

>>> dl.from_dlpack(np.arange(3))
tensor([0, 1, 2])
""",
    "from_numpy": """A tensor on the memory of a NumPy array; nothing is copied, so changes are
seen on both sides.

Raises TypeError for dtypes that are not there.

>>> dl.from_numpy(np.arange(3))
tensor([0, 1, 2])
""",
    "full": """A tensor of this size filled with one number, whose type gives the dtype unless
it is given.

>>> dl.full((2,), 7)
tensor([7, 7])
""",
    "full_like": """A tensor of the shape and dtype of another, filled with one number.

>>> dl.full_like(dl.zeros(2), 7)
tensor([7., 7.])
""",
    "linspace": """steps numbers from start to end, both included, equally far apart.

>>> dl.linspace(0, 1, 3)
tensor([0.0000, 0.5000, 1.0000])
""",
    "logspace": """steps numbers from base^start to base^end, both included, with equal
quotients.

>>> dl.logspace(0, 2, 3)
tensor([  1.,  10., 100.])
""",
    "new_empty": """A tensor of this size with the dtype and device of this one, whose elements
are not set.

>>> dl.ones(1).new_empty(2, 3).shape
deeplite.Size([2, 3])
""",
    "new_full": """A tensor of this size with the dtype and device of this one, filled with one
number.

>>> dl.ones(1).new_full((2,), 7)
tensor([7., 7.])
""",
    "new_ones": """A tensor of this size with the dtype and device of this one, filled with 1.

>>> dl.tensor([5]).new_ones(2)
tensor([1, 1])
""",
    "new_tensor": """A tensor with a copy of data and with the dtype and device of this one.

>>> dl.ones(1).new_tensor([1, 2])
tensor([1., 2.])
""",
    "new_zeros": """A tensor of this size with the dtype and device of this one, filled with 0.

>>> dl.tensor([5]).new_zeros(2)
tensor([0, 0])
""",
    "ones": """A tensor of this size filled with 1.

>>> dl.ones(2)
tensor([1., 1.])
""",
    "ones_like": """A tensor of the shape and dtype of another, filled with 1.

>>> dl.ones_like(dl.tensor([3, 4]))
tensor([1, 1])
""",
    "scalar_tensor": """A tensor without dimensions.

>>> dl.scalar_tensor(3.0)
tensor(3.)
""",
    "tensor": """A tensor with a copy of data: a number, a nested sequence, a NumPy array or a
tensor. Floating-point numbers give the default dtype, integers int64, booleans bool, unless
dtype is given.

Raises ValueError for sequences of unequal lengths, TypeError for what is no number.

>>> dl.tensor([[1.0, 2.0], [3.0, 4.0]])
tensor([[1., 2.],
        [3., 4.]])
""",
    "tril_indices": """The indices of the lower triangle of a matrix [row, col], on and below
the offset-th diagonal, as two rows.

>>> dl.tril_indices(2, 2)
tensor([[0, 1, 1],
        [0, 0, 1]])
""",
    "triu_indices": """The indices of the upper triangle of a matrix [row, col], on and above
the offset-th diagonal, as two rows.

>>> dl.triu_indices(2, 2)
tensor([[0, 0, 1],
        [0, 1, 1]])
""",
    "zeros": """A tensor of this size filled with 0.

>>> dl.zeros(2)
tensor([0., 0.])
""",
    "zeros_like": """A tensor of the shape and dtype of another, filled with 0.

>>> dl.zeros_like(dl.tensor([3, 4]))
tensor([0, 0])
""",
}
