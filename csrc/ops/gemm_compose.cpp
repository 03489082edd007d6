// What is composed of matrix products: Kronecker product, chains and powers of matrices.
#include <cmath>

#include "ops/copy.h"
#include "ops/elementwise.h"
#include "ops/factory.h"
#include "ops/gemm.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace deeplite {

Tensor kron(const Tensor& a, const Tensor& b) {
    const int rank = std::max(a.dim(), b.dim());
    Dims left, right, shape;  // a [a0, 1, a1, 1, ...] * b [1, b0, 1, b1, ...]
    for (int d = 0; d < rank; ++d) {
        const int da = d - (rank - a.dim()), db = d - (rank - b.dim());
        const int64_t p = da < 0 ? 1 : a.shape()[da], q = db < 0 ? 1 : b.shape()[db];
        left.push_back(p);
        left.push_back(1);
        right.push_back(1);
        right.push_back(q);
        shape.push_back(p * q);
    }
    return reshape(mul(reshape(a, left), reshape(b, right)), shape);
}

namespace {

// The split after which the product of matrices [i, j] is cut, for the least number of
// multiplications. sizes[i] x sizes[i + 1] is the shape of matrix i.
std::vector<std::vector<size_t>> cheapest_splits(const std::vector<int64_t>& sizes) {
    const size_t n = sizes.size() - 1;
    std::vector<std::vector<double>> cost(n, std::vector<double>(n, 0.0));
    std::vector<std::vector<size_t>> split(n, std::vector<size_t>(n, 0));
    for (size_t length = 1; length < n; ++length)
        for (size_t i = 0; i + length < n; ++i) {
            const size_t j = i + length;
            cost[i][j] = HUGE_VAL;
            for (size_t s = i; s < j; ++s) {
                const double c = cost[i][s] + cost[s + 1][j] +
                                 double(sizes[i]) * double(sizes[s + 1]) * double(sizes[j + 1]);
                if (c < cost[i][j]) cost[i][j] = c, split[i][j] = s;
            }
        }
    return split;
}

Tensor chain(const TensorList& xs, const std::vector<std::vector<size_t>>& split, size_t i,
             size_t j) {
    if (i == j) return xs[i];
    const size_t s = split[i][j];
    return mm(chain(xs, split, i, s), chain(xs, split, s + 1, j));
}

Tensor multiply_chain(const char* op, const TensorList& xs) {
    std::vector<int64_t> sizes;
    for (size_t i = 0; i < xs.size(); ++i) {
        check<ShapeError>(xs[i].dim() == 2, op, ": tensor ", i,
                          " must have 2 dimensions, got shape ", xs[i].shape());
        check<ShapeError>(i == 0 || xs[i].size(0) == xs[i - 1].size(1), op, ": tensors ", i - 1,
                          " and ", i, " with shapes ", xs[i ? i - 1 : 0].shape(), " and ",
                          xs[i].shape(), " cannot be multiplied");
        check<Error>(xs[i].dtype() == xs[0].dtype(), op, ": expected tensors of one dtype, got ",
                     xs[0].dtype(), " and ", xs[i].dtype());
        sizes.push_back(xs[i].size(0));
    }
    sizes.push_back(xs.back().size(1));
    return chain(xs, cheapest_splits(sizes), 0, xs.size() - 1);
}

}  // namespace

Tensor multi_dot(const TensorList& matrices) {
    check<Error>(matrices.size() >= 2, "multi_dot: expected at least 2 tensors, got ",
                 matrices.size());
    TensorList xs = matrices;
    const bool row = xs.front().dim() == 1, column = xs.back().dim() == 1;
    if (row) xs.front() = unsqueeze(xs.front(), 0);
    if (column) xs.back() = unsqueeze(xs.back(), 1);
    Tensor y = multiply_chain("multi_dot", xs);
    if (column) y = squeeze(y, {1});
    return row ? squeeze(y, {0}) : y;
}

Tensor chain_matmul(const TensorList& matrices) {
    check<Error>(!matrices.empty(), "chain_matmul: expected at least one matrix");
    return multiply_chain("chain_matmul", matrices);
}

Tensor matrix_power(const Tensor& x, int64_t n) {
    check<ShapeError>(x.dim() >= 2 && x.size(-1) == x.size(-2),
                      "matrix_power: expected square matrices, got shape ", x.shape());
    check<NotImplementedError>(n >= 0, "matrix_power: negative powers (got ", n,
                               ") need an inverse, which is not offered");
    if (n == 0) return clone(expand(eye(x.size(-1), x.size(-1), x.dtype(), x.device()), x.shape()));
    Tensor result, power = x;
    for (;; n >>= 1) {
        if (n & 1) result = result.defined() ? matmul(result, power) : power;
        if (n <= 1) return result.is_same(x) ? clone(x) : result;
        power = matmul(power, power);
    }
}

}  // namespace deeplite
