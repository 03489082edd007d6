"""Shapes and views."""

DOCS = {
    "adjoint": """A view with the last two dimensions exchanged (for real numbers).

>>> dl.ones(2, 3).adjoint().shape
deeplite.Size([3, 2])
""",
    "as_strided": """A view of the storage with any size, strides and offset, in elements.

Raises RuntimeError when it would reach outside of the storage.

>>> dl.arange(6).as_strided((2, 2), (3, 1))
tensor([[0, 1],
        [3, 4]])
""",
    "atleast_1d": """Views with at least one dimension.

>>> dl.atleast_1d(dl.tensor(1.0)).shape
deeplite.Size([1])
""",
    "atleast_2d": """Views with at least two dimensions, new ones first.

>>> dl.atleast_2d(dl.ones(3)).shape
deeplite.Size([1, 3])
""",
    "atleast_3d": """Views with at least three dimensions: a matrix gets a last one.

>>> dl.atleast_3d(dl.ones(3)).shape
deeplite.Size([1, 3, 1])
""",
    "broadcast_shapes": """The shape that these shapes (any number of them) broadcast to; a number
is a shape of one dimension.

Raises RuntimeError when they do not fit, or when a size is negative.

>>> dl.broadcast_shapes((2, 1), (3,), (4, 1, 1))
deeplite.Size([4, 2, 3])
""",
    "broadcast_tensors": """Views of the tensors, expanded to their common shape.

>>> [t.shape for t in dl.broadcast_tensors(dl.ones(2, 1), dl.ones(3))]
[deeplite.Size([2, 3]), deeplite.Size([2, 3])]
""",
    "broadcast_to": """A view expanded to a shape; dimensions of size 1 repeat without taking
memory.

>>> dl.tensor([1, 2]).broadcast_to((2, 2))
tensor([[1, 2],
        [1, 2]])
""",
    "channel_shuffle": """[N, C, ...] with the channels, seen as [groups, C / groups],
transposed (Zhang et al., 2018, arXiv 1707.01083).

>>> dl.channel_shuffle(dl.arange(4.0).reshape(1, 4, 1, 1), 2).flatten()
tensor([0., 2., 1., 3.])
""",
    "chunk": """Views of at most this many parts of equal size along dim; the last may be
smaller.

>>> dl.arange(5).chunk(2)
(tensor([0, 1, 2]), tensor([3, 4]))
""",
    "contiguous": """The tensor itself if its elements lie in order, else a copy in which they
do. memory_format chooses the order: contiguous_format, channels_last or channels_last_3d.

Raises ShapeError when the format is for another number of dimensions.

>>> dl.ones(2, 3).t().contiguous().stride()
(2, 1)
""",
    "detach": """A view that needs no gradient.

>>> dl.ones(2, requires_grad=True).detach().requires_grad
False
""",
    "diag": """Of a vector, the matrix with it on its diagonal; of a matrix, its diagonal.

>>> dl.tensor([1, 2]).diag()
tensor([[1, 0],
        [0, 2]])
""",
    "diag_embed": """Matrices in dimensions dim1 and dim2 with the last dimension of input on
their diagonals.

>>> dl.tensor([[1, 2]]).diag_embed().shape
deeplite.Size([1, 2, 2])
""",
    "diagflat": """The matrix with all elements on its diagonal.

>>> dl.tensor([[1, 2]]).diagflat()
tensor([[1, 0],
        [0, 2]])
""",
    "diagonal": """A view of the diagonal of dimensions dim1 and dim2, which becomes the last
dimension; offset > 0 lies above it.

>>> dl.tensor([[1, 2], [3, 4]]).diagonal()
tensor([1, 4])
""",
    "dsplit": """tensor_split along the third dimension.

>>> [t.shape for t in dl.ones(1, 1, 4).dsplit(2)]
[deeplite.Size([1, 1, 2]), deeplite.Size([1, 1, 2])]
""",
    "expand": """A view in which dimensions of size 1 repeat to the given size, without taking
memory; -1 keeps a size, new dimensions come first.

>>> dl.tensor([[1], [2]]).expand(-1, 3)
tensor([[1, 1, 1],
        [2, 2, 2]])
""",
    "expand_as": """A view expanded to the shape of another tensor.

>>> dl.tensor([1]).expand_as(dl.ones(3))
tensor([1, 1, 1])
""",
    "flatten": """The dimensions from start_dim to end_dim joined into one; a view where the
strides allow it.

>>> dl.ones(2, 3, 4).flatten(1).shape
deeplite.Size([2, 12])
""",
    "flip": """A copy with the order along these dimensions reversed.

>>> dl.tensor([1, 2, 3]).flip(0)
tensor([3, 2, 1])
""",
    "fliplr": """A copy with the columns in reversed order.

>>> dl.tensor([[1, 2]]).fliplr()
tensor([[2, 1]])
""",
    "flipud": """A copy with the rows in reversed order.

>>> dl.tensor([[1], [2]]).flipud()
tensor([[2],
        [1]])
""",
    "hsplit": """tensor_split along the second dimension (of a vector the first).

>>> dl.arange(4).hsplit(2)
(tensor([0, 1]), tensor([2, 3]))
""",
    "movedim": """A view with dimensions moved from source to destination; the others keep
their order.

>>> dl.ones(2, 3, 4).movedim(0, 2).shape
deeplite.Size([3, 4, 2])
""",
    "narrow": """A view of length slices along dim, from start on.

Raises IndexError or RuntimeError outside of the size.

>>> dl.tensor([1, 2, 3, 4]).narrow(0, 1, 2)
tensor([2, 3])
""",
    "numel": """How many elements there are.

>>> dl.ones(2, 3).numel()
6
""",
    "permute": """A view with the dimensions in another order.

>>> dl.ones(2, 3, 4).permute(2, 0, 1).shape
deeplite.Size([4, 2, 3])
""",
    "pixel_shuffle": """[..., C r^2, H, W] to [..., C, H r, W r]: channels become pixels (Shi
et al., 2016, arXiv 1609.05158).

>>> dl.pixel_shuffle(dl.ones(1, 4, 2, 2), 2).shape
deeplite.Size([1, 1, 4, 4])
""",
    "pixel_unshuffle": """[..., C, H r, W r] to [..., C r^2, H, W]: pixels become channels, the
inverse of pixel_shuffle.

>>> dl.pixel_unshuffle(dl.ones(1, 1, 4, 4), 2).shape
deeplite.Size([1, 4, 2, 2])
""",
    "ravel": """All elements as a vector; a view where the strides allow it.

>>> dl.ones(2, 3).ravel().shape
deeplite.Size([6])
""",
    "reshape": """The same elements in another shape; one size may be -1. A view where the
strides allow it, else a copy.

Raises RuntimeError when the numbers of elements differ.

>>> dl.arange(6).reshape(2, -1)
tensor([[0, 1, 2],
        [3, 4, 5]])
""",
    "reshape_as": """reshape to the shape of another tensor.

>>> dl.arange(4).reshape_as(dl.ones(2, 2))
tensor([[0, 1],
        [2, 3]])
""",
    "roll": """A copy shifted along dims; what leaves at the end comes in at the beginning.
dims None: in the flattened tensor.

>>> dl.tensor([1, 2, 3]).roll(1)
tensor([3, 1, 2])
""",
    "rot90": """A copy rotated k times by 90 degrees in the plane of two dims, from the first
towards the second.

>>> dl.tensor([[1, 2], [3, 4]]).rot90()
tensor([[2, 4],
        [1, 3]])
""",
    "select": """A view of one index along dim, which goes away.

>>> dl.tensor([[1, 2], [3, 4]]).select(0, 1)
tensor([3, 4])
""",
    "size": """The shape, or the size of one dimension.

>>> dl.ones(2, 3).size()
deeplite.Size([2, 3])
>>> dl.ones(2, 3).size(1)
3
""",
    "split": """Views of parts along dim: of this size each (the last may be smaller), or of
the sizes listed.

>>> dl.arange(5).split(2)
(tensor([0, 1]), tensor([2, 3]), tensor([4]))
>>> dl.arange(5).split([1, 4])
(tensor([0]), tensor([1, 2, 3, 4]))
""",
    "split_with_sizes": """Views of parts of the sizes listed along dim.

Raises RuntimeError when they do not add up.

>>> dl.arange(5).split_with_sizes([1, 4])
(tensor([0]), tensor([1, 2, 3, 4]))
""",
    "squeeze": """A view without the dimensions of size 1, or without those named if they are.

>>> dl.ones(1, 2, 1).squeeze().shape
deeplite.Size([2])
""",
    "storage_offset": """Where the first element stands in the storage, in elements.

>>> dl.arange(5)[2:].storage_offset()
2
""",
    "stride": """How far apart neighbours along each dimension, or along one, stand in the
storage, in elements.

>>> dl.ones(2, 3).stride()
(3, 1)
""",
    "t": """A matrix transposed, as a view; vectors stay.

Raises RuntimeError for more than two dimensions.

>>> dl.ones(2, 3).t().shape
deeplite.Size([3, 2])
""",
    "tensor_split": """Views of parts along dim: this many, whose sizes differ by at most 1, or
cut at these indices.

>>> dl.arange(5).tensor_split(2)
(tensor([0, 1, 2]), tensor([3, 4]))
>>> dl.arange(5).tensor_split((1, 3))
(tensor([0]), tensor([1, 2]), tensor([3, 4]))
""",
    "transpose": """A view with two dimensions exchanged.

>>> dl.ones(2, 3).transpose(0, 1).shape
deeplite.Size([3, 2])
""",
    "unbind": """Views of all slices along dim, which goes away.

>>> dl.tensor([[1, 2], [3, 4]]).unbind()
(tensor([1, 2]), tensor([3, 4]))
""",
    "unflatten": """A view with one dimension split into several; one size may be -1.

>>> dl.ones(6).unflatten(0, (2, -1)).shape
deeplite.Size([2, 3])
""",
    "unfold": """A view of windows of size elements along a dimension, step apart; they are the
last dimension.

>>> dl.arange(5).unfold(0, 3, 1)
tensor([[0, 1, 2],
        [1, 2, 3],
        [2, 3, 4]])
""",
    "unsqueeze": """A view with a dimension of size 1 put in at dim.

>>> dl.ones(2).unsqueeze(0).shape
deeplite.Size([1, 2])
""",
    "view": """A view of the same elements in another shape, where the strides allow it; one
size may be -1.

Raises RuntimeError where they do not (`reshape` copies then).

>>> dl.arange(6).view(2, 3).shape
deeplite.Size([2, 3])
""",
    "view_as": """view with the shape of another tensor.

>>> dl.arange(4).view_as(dl.ones(2, 2)).shape
deeplite.Size([2, 2])
""",
    "vsplit": """tensor_split along the first dimension of at least two.

>>> [t.shape for t in dl.ones(4, 1).vsplit(2)]
[deeplite.Size([2, 1]), deeplite.Size([2, 1])]
""",
}
