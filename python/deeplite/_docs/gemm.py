"""Products of vectors and matrices, and distances."""

DOCS = {
    "addbmm": """beta * input + alpha * sum over z of batch1[z] @ batch2[z]. input broadcasts,
and is not read when beta is 0.

>>> dl.addbmm(dl.zeros(1), dl.ones(2, 1, 3), dl.ones(2, 3, 1))
tensor([[6.]])
""",
    "addmm": """beta * input + alpha * mat1 @ mat2. input broadcasts, and is not read when beta
is 0.

>>> dl.addmm(dl.ones(2), dl.ones(1, 3), dl.ones(3, 2))
tensor([[4., 4.]])
""",
    "addmv": """beta * input + alpha * mat @ vec. input broadcasts, and is not read when beta
is 0.

>>> dl.addmv(dl.ones(2), dl.ones(2, 3), dl.ones(3))
tensor([4., 4.])
""",
    "addr": """beta * input + alpha * outer(vec1, vec2). input broadcasts, and is not read when
beta is 0.

>>> dl.addr(dl.zeros(1), dl.tensor([1.0, 2.0]), dl.tensor([3.0]))
tensor([[3.],
        [6.]])
""",
    "baddbmm": """beta * input + alpha * batch1 @ batch2, matrix by matrix. input broadcasts,
and is not read when beta is 0.

>>> dl.baddbmm(dl.zeros(1), dl.ones(2, 1, 3), dl.ones(2, 3, 1)).shape
deeplite.Size([2, 1, 1])
""",
    "bilinear": """y[n, k] = input1[n] @ weight[k] @ input2[n] + bias[k], weight [K, I, J].

>>> dl.bilinear(dl.ones(2, 3), dl.ones(2, 4), dl.ones(5, 3, 4)).shape
deeplite.Size([2, 5])
""",
    "bmm": """Products of the matrices of two batches: [z, m, k] and [z, k, n] give [z, m, n].

>>> dl.bmm(dl.ones(2, 1, 3), dl.ones(2, 3, 1)).shape
deeplite.Size([2, 1, 1])
""",
    "cdist": """Distances in the p-norm between all rows of x1 [..., m, d] and x2 [..., n, d].

>>> dl.cdist(dl.tensor([[0.0, 0.0]]), dl.tensor([[3.0, 4.0]]))
tensor([[5.]])
""",
    "chain_matmul": """Product of several matrices in the cheapest order.

>>> dl.chain_matmul(dl.ones(2, 3), dl.ones(3, 1), dl.ones(1, 4)).shape
deeplite.Size([2, 4])
""",
    "cosine_similarity": """x1 . x2 / max(|x1| |x2|, eps) along dim.

>>> dl.cosine_similarity(dl.tensor([[1.0, 0.0]]), dl.tensor([[1.0, 1.0]]))
tensor([0.7071])
""",
    "dot": """Sum of the products of two vectors.

>>> dl.dot(dl.tensor([1.0, 2.0]), dl.tensor([3.0, 4.0]))
tensor(11.)
""",
    "einsum": """Sums of products by Einstein's convention: letters name dimensions, those that
the output leaves out are summed over; "..." stands for the rest, a letter twice for a
diagonal. Without "->" the output is the letters that occur once, in alphabetical order.

>>> dl.einsum("ij,jk->ik", dl.ones(2, 3), dl.ones(3, 1))
tensor([[3.],
        [3.]])
""",
    "inner": """Sums of products over the last dimension of both.

>>> dl.inner(dl.tensor([[1.0, 2.0]]), dl.tensor([[3.0, 4.0]]))
tensor([[11.]])
""",
    "kron": """Kronecker product: each element of input times all of other.

>>> dl.kron(dl.tensor([1, 10]), dl.tensor([1, 2]))
tensor([ 1,  2, 10, 20])
""",
    "matmul": """Matrix product over the last two dimensions; the others broadcast. Vectors
count as a row (left) or a column (right), and that dimension goes away again.

>>> dl.matmul(dl.tensor([[1.0, 2.0]]), dl.tensor([3.0, 4.0]))
tensor([11.])
""",
    "matrix_power": """Square matrices to a power n >= 0.

>>> dl.matrix_power(dl.tensor([[1.0, 1.0], [0.0, 1.0]]), 3)
tensor([[1., 3.],
        [0., 1.]])
""",
    "mm": """Product of two matrices: [m, k] and [k, n] give [m, n].

Raises ShapeError when the sizes do not fit.

>>> dl.mm(dl.ones(2, 3), dl.ones(3, 1))
tensor([[3.],
        [3.]])
""",
    "mv": """Product of a matrix [m, k] and a vector [k].

>>> dl.mv(dl.ones(2, 3), dl.ones(3))
tensor([3., 3.])
""",
    "outer": """All products of two vectors: [m] and [n] give [m, n].

>>> dl.outer(dl.tensor([1, 2]), dl.tensor([3, 4]))
tensor([[3, 4],
        [6, 8]])
""",
    "pairwise_distance": """p-norm of x1 - x2 + eps over the last dimension.

>>> dl.pairwise_distance(dl.tensor([[0.0, 0.0]]), dl.tensor([[3.0, 4.0]]), eps=0.0)
tensor([5.])
""",
    "tensordot": """Sums over dims[0] of a and dims[1] of b; a number n stands for the last n
of a and the first n of b.

>>> dl.tensordot(dl.ones(2, 3), dl.ones(3, 4), dims=1).shape
deeplite.Size([2, 4])
""",
    "vdot": """Sum of the products of two vectors.

>>> dl.vdot(dl.tensor([1.0, 2.0]), dl.tensor([3.0, 4.0]))
tensor(11.)
""",
}
