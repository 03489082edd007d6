"""Sorting, searching and counting."""

DOCS = {
    "argsort": """The indices that would sort along dim. Always stable; NaN counts as greatest.

>>> dl.tensor([3.0, 1.0, 2.0]).argsort()
tensor([1, 2, 0])
""",
    "argwhere": """The indices of all elements that are not 0, one row each.

>>> dl.tensor([[0, 1], [2, 0]]).argwhere()
tensor([[0, 1],
        [1, 0]])
""",
    "bincount": """How often each number from 0 on occurs in a vector of integers that are not
negative; with weights, the sum of their weights. The result has at least minlength entries.

>>> dl.tensor([0, 1, 1, 3]).bincount()
tensor([1, 2, 0, 1])
""",
    "bucketize": """For each element the index of the boundary interval it falls into: the
number of boundaries that are less (with right, not more) than it.

>>> dl.bucketize(dl.tensor([0.5, 2.0]), dl.tensor([1.0, 2.0, 3.0]))
tensor([0, 1])
""",
    "combinations": """All combinations of r elements of a vector, one row each.

>>> dl.combinations(dl.tensor([1, 2, 3]))
tensor([[1, 2],
        [1, 3],
        [2, 3]])
""",
    "kthvalue": """The k-th least element along dim (k from 1) and its index, as a named tuple.

Raises RuntimeError for k outside of the size.

>>> dl.tensor([3.0, 1.0, 2.0]).kthvalue(2)
kthvalue(values=tensor(2.), indices=tensor(2))
""",
    "msort": """Sorted along the first dimension.

>>> dl.tensor([3, 1, 2]).msort()
tensor([1, 2, 3])
""",
    "nonzero": """The indices of all elements that are not 0, one row each; with as_tuple, one
vector for each dimension.

>>> dl.tensor([0, 3, 4]).nonzero()
tensor([[1],
        [2]])
>>> dl.tensor([0, 3, 4]).nonzero(as_tuple=True)
(tensor([1, 2]),)
""",
    "searchsorted": """For each element the place in a sorted sequence (along its last
dimension) before which it would be put; with right (or side="right"), after equal ones.
sorter: indices that sort the sequence.

>>> dl.searchsorted(dl.tensor([1, 3, 5]), dl.tensor([3, 4]))
tensor([1, 2])
""",
    "sort": """Sorted values along dim and where they stood, as a named tuple. Always stable;
NaN counts as greatest.

>>> dl.tensor([3.0, 1.0, 2.0]).sort()
sort(values=tensor([1., 2., 3.]), indices=tensor([1, 2, 0]))
""",
    "topk": """The k greatest elements along dim (the last when None), or the least with
largest=False, and where they stand, as a named tuple; in order.

Raises RuntimeError for k outside of the size.

>>> dl.tensor([3.0, 1.0, 2.0]).topk(2)
topk(values=tensor([3., 2.]), indices=tensor([0, 2]))
""",
    "unique": """The different elements, sorted; with return_inverse, also which of them stands
at each place; with return_counts, how often each occurs. dim: different slices along it
instead.

>>> dl.tensor([2, 1, 2]).unique()
tensor([1, 2])
>>> dl.tensor([2, 1, 2]).unique(return_counts=True)
(tensor([1, 2]), tensor([1, 2]))
""",
    "unique_consecutive": """The elements without repetitions of the one before; further
results as for `unique`.

>>> dl.tensor([1, 1, 2, 1]).unique_consecutive()
tensor([1, 2, 1])
""",
}
