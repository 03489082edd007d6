// Matrix products and what is built from them.
#pragma once
#include <string>

#include "core/tensor.h"

namespace deeplite {

// All tensors of a product have one dtype; half types are computed in float32. Shapes as in torch.
Tensor mm(const Tensor& a, const Tensor& b);      // [m, k] @ [k, n]
Tensor bmm(const Tensor& a, const Tensor& b);     // [z, m, k] @ [z, k, n]
Tensor matmul(const Tensor& a, const Tensor& b);  // any ranks, batch dimensions broadcast
Tensor mv(const Tensor& a, const Tensor& x);      // [m, k] @ [k]
Tensor dot(const Tensor& a, const Tensor& b);     // [k] . [k] -> 0-d
Tensor inner(const Tensor& a, const Tensor& b);   // over the last dimension of both
Tensor outer(const Tensor& a, const Tensor& b);   // [m] x [n] -> [m, n]
Tensor vecdot(const Tensor& a, const Tensor& b, int64_t dim = -1);

// beta * input + alpha * product; input broadcasts to the result. With beta == 0 input is not read.
Tensor addmm(const Tensor& input, const Tensor& a, const Tensor& b, double beta = 1,
             double alpha = 1);
Tensor baddbmm(const Tensor& input, const Tensor& a, const Tensor& b, double beta = 1,
               double alpha = 1);
Tensor addbmm(const Tensor& input, const Tensor& a, const Tensor& b, double beta = 1,
              double alpha = 1);
Tensor addmv(const Tensor& input, const Tensor& a, const Tensor& x, double beta = 1,
             double alpha = 1);
Tensor addr(const Tensor& input, const Tensor& a, const Tensor& b, double beta = 1,
            double alpha = 1);
const Tensor& addmm_(const Tensor& self, const Tensor& a, const Tensor& b, double beta = 1,
                     double alpha = 1);
const Tensor& baddbmm_(const Tensor& self, const Tensor& a, const Tensor& b, double beta = 1,
                       double alpha = 1);

// x [..., in], weight [out, in], bias [out] or undefined -> [..., out]: x @ weight^T + bias in one
// kernel.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});
// activation(scale * (x @ weight^T) + bias + residual), scale [out], residual broadcast to the result;
// in one kernel when no gradient is wanted. activation: none, relu, sigmoid, tanh, silu, gelu, gelu_tanh.
Tensor fused_linear(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& scale,
                    const Tensor& residual, const std::string& activation);
// y[..., o] = sum over i, j of a[..., i] * weight[o, i, j] * b[..., j] (+ bias[o])
Tensor bilinear(const Tensor& a, const Tensor& b, const Tensor& weight, const Tensor& bias = {});

Tensor einsum(const std::string& equation, const TensorList& operands);
// Sums over dims_a of a and dims_b of b, pairwise.
Tensor tensordot(const Tensor& a, const Tensor& b, const Dims& dims_a, const Dims& dims_b);
Tensor tensordot(const Tensor& a, const Tensor& b, int64_t dims = 2);  // last of a, first of b
Tensor kron(const Tensor& a, const Tensor& b);
Tensor multi_dot(const TensorList& matrices);     // in the cheapest order; the ends may be vectors
Tensor chain_matmul(const TensorList& matrices);  // matrices only
Tensor matrix_power(const Tensor& x, int64_t n);  // n >= 0

// Distances between all rows of a [..., p, d] and b [..., r, d] in the p-norm -> [..., p, r]
Tensor cdist(const Tensor& a, const Tensor& b, double p = 2);
Tensor pairwise_distance(const Tensor& a, const Tensor& b, double p = 2, double eps = 1e-6,
                         bool keepdim = false);
Tensor cosine_similarity(const Tensor& a, const Tensor& b, int64_t dim = 1, double eps = 1e-8);

}  // namespace deeplite
