"""Comparisons, conditions and questions about tensors."""

DOCS = {
    "allclose": """Whether all elements are close, |input - other| <= atol + rtol |other|, as a
Python bool. equal_nan: NaN counts as equal to NaN.

>>> dl.allclose(dl.tensor([1.0]), dl.tensor([1.000001]))
True
""",
    "eq": """Where the elements are equal. Operands broadcast, and their types promote.

>>> dl.tensor([1, 2]).eq(2)
tensor([False,  True])
""",
    "equal": """Whether two tensors have the same shape and the same elements, as a Python
bool. NaN equals nothing.

>>> dl.equal(dl.tensor([1, 2]), dl.tensor([1, 2]))
True
""",
    "ge": """Where input >= other. Operands broadcast, and their types promote.

>>> dl.tensor([1, 2, 3]).ge(2)
tensor([False,  True,  True])
""",
    "gt": """Where input > other. Operands broadcast, and their types promote.

>>> dl.tensor([1, 2, 3]).gt(2)
tensor([False, False,  True])
""",
    "is_complex": """Whether the dtype is complex: False.

>>> dl.tensor([1.0]).is_complex()
False
""",
    "is_floating_point": """Whether the dtype is a floating-point type.

>>> dl.tensor([1.0]).is_floating_point()
True
""",
    "is_nonzero": """Whether the one element is not 0, as a Python bool.

Raises RuntimeError unless there is just one.

>>> dl.tensor([2.0]).is_nonzero()
True
""",
    "is_same_size": """Whether two tensors have the same shape.

>>> dl.is_same_size(dl.ones(2), dl.zeros(2))
True
""",
    "is_signed": """Whether the dtype has negative numbers.

>>> dl.tensor([1], dtype=dl.uint8).is_signed()
False
""",
    "is_tensor": """Whether an object is a tensor.

>>> dl.is_tensor(3.0)
False
""",
    "isclose": """Where |input - other| <= atol + rtol |other|. equal_nan: NaN counts as equal
to NaN.

>>> dl.isclose(dl.tensor([1.0, 2.0]), dl.tensor([1.000001, 2.1]))
tensor([ True, False])
""",
    "isfinite": """Where the elements are neither infinite nor NaN.

>>> dl.tensor([1.0, float("inf")]).isfinite()
tensor([ True, False])
""",
    "isin": """Where the elements are among test_elements; with invert, where they are not.
assume_unique is taken for torch's sake.

>>> dl.isin(dl.tensor([1, 2, 3]), dl.tensor([2, 3]))
tensor([False,  True,  True])
""",
    "isinf": """Where the elements are infinite.

>>> dl.tensor([1.0, float("-inf")]).isinf()
tensor([False,  True])
""",
    "isnan": """Where the elements are NaN.

>>> dl.tensor([1.0, float("nan")]).isnan()
tensor([False,  True])
""",
    "isneginf": """Where the elements are minus infinity.

>>> dl.tensor([float("inf"), float("-inf")]).isneginf()
tensor([False,  True])
""",
    "isposinf": """Where the elements are plus infinity.

>>> dl.tensor([float("inf"), float("-inf")]).isposinf()
tensor([ True, False])
""",
    "isreal": """Where the elements are real: everywhere, there being no complex types.

>>> dl.tensor([1.0, 2.0]).isreal()
tensor([True, True])
""",
    "le": """Where input <= other. Operands broadcast, and their types promote.

>>> dl.tensor([1, 2, 3]).le(2)
tensor([ True,  True, False])
""",
    "logical_and": """Where both are true; numbers are true unless 0. Operands broadcast, and
their types promote.

>>> dl.tensor([0, 1]).logical_and(dl.tensor([1, 1]))
tensor([False,  True])
""",
    "logical_not": """Where the elements are false; numbers are false if 0.

>>> dl.tensor([0, 2]).logical_not()
tensor([ True, False])
""",
    "logical_or": """Where one or both are true; numbers are true unless 0. Operands broadcast,
and their types promote.

>>> dl.tensor([0, 1]).logical_or(dl.tensor([0, 0]))
tensor([False,  True])
""",
    "logical_xor": """Where just one is true; numbers are true unless 0. Operands broadcast,
and their types promote.

>>> dl.tensor([0, 1]).logical_xor(dl.tensor([1, 1]))
tensor([ True, False])
""",
    "lt": """Where input < other. Operands broadcast, and their types promote.

>>> dl.tensor([1, 2, 3]).lt(2)
tensor([ True, False, False])
""",
    "ne": """Where the elements differ; NaN differs from everything. Operands broadcast, and
their types promote.

>>> dl.tensor([1, 2]).ne(2)
tensor([ True, False])
""",
    "where": """The elements of input where condition is true, of other elsewhere; the three
broadcast. With condition alone, the indices of its true elements, as nonzero(as_tuple=True)
gives them.

>>> dl.where(dl.tensor([True, False]), dl.tensor([1, 2]), 0)
tensor([1, 0])
>>> dl.where(dl.tensor([False, True]))
(tensor([1]),)
""",
}
