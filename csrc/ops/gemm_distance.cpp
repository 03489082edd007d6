// Distances and similarities between vectors, composed of norms.
#include "ops/elementwise.h"
#include "ops/gemm.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace deeplite {

Tensor cdist(const Tensor& a, const Tensor& b, double p) {
    check<ShapeError>(a.dim() >= 2 && b.dim() >= 2,
                      "cdist: both tensors need at least 2 dimensions, got ", a.shape(), " and ",
                      b.shape());
    check<ShapeError>(a.size(-1) == b.size(-1), "cdist: the last dimensions differ: ", a.shape(),
                      " and ", b.shape());
    check<TypeError>(a.is_floating() && b.is_floating(), "cdist: expected floating tensors, got ",
                     a.dtype(), " and ", b.dtype());
    check<ValueError>(p >= 0, "cdist: p must not be negative, got ", p);
    // Differences rather than products: exact for rows that lie close together.
    return vector_norm(sub(unsqueeze(a, -2), unsqueeze(b, -3)), p, {-1});
}

Tensor pairwise_distance(const Tensor& a, const Tensor& b, double p, double eps, bool keepdim) {
    return vector_norm(add(sub(a, b), eps), p, {-1}, keepdim);
}

Tensor cosine_similarity(const Tensor& a, const Tensor& b, int64_t dim, double eps) {
    check<TypeError>(a.is_floating() && b.is_floating(),
                     "cosine_similarity: expected floating tensors, got ", a.dtype(), " and ",
                     b.dtype());
    const Dims shape = broadcast_shapes(a.shape(), b.shape(), "cosine_similarity");
    const int d = wrap_dim(dim, shape.size(), "cosine_similarity");
    const auto unit = [&](const Tensor& x) {
        const Tensor y = expand(x, shape);
        return div(y,
                   clamp(vector_norm(y, 2, {d}, true), std::optional<double>(eps), std::nullopt));
    };
    const Tensor product = mul(unit(a), unit(b));
    return sum(product, {d});
}

}  // namespace deeplite
