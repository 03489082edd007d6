// Normalisations composed of other ops: local response norm, and scaling to unit norm.
#include "ops/elementwise.h"
#include "ops/join.h"
#include "ops/norm.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace deeplite {

Tensor local_response_norm(const Tensor& x, int64_t size, double alpha, double beta, double k) {
    check<ShapeError>(
        x.dim() >= 3,
        "local_response_norm: expected an input [N, C, ...] of at least 3 dimensions, got shape ",
        x.shape());
    check<ValueError>(size >= 1, "local_response_norm: size must be positive, got ", size);
    if (x.numel() == 0) return x;
    // Window sums over channels as sums of shifted slices: channel c sees c - size / 2 ... c +
    // (size - 1) / 2.
    const int64_t channels = x.size(1);
    const Tensor squares = mul(x, x);
    std::vector<int64_t> margins(size_t(2 * (x.dim() - 1)), 0);
    margins[margins.size() - 2] = size / 2;
    margins[margins.size() - 1] = (size - 1) / 2;
    const Tensor padded = constant_pad(squares, margins);
    Tensor total = narrow(padded, 1, 0, channels);
    for (int64_t i = 1; i < size; ++i) total = add(total, narrow(padded, 1, i, channels));
    const Tensor scaled = add(mul(total, wrapped_number(alpha / double(size))), wrapped_number(k));
    return div(x, pow(scaled, wrapped_number(beta)));
}

Tensor normalize(const Tensor& x, double p, const Dims& dims, double eps) {
    check<TypeError>(x.is_floating(), "normalize: expected a floating input, got ", x.dtype());
    const Dims over = wrap_dims(dims, x.dim(), "normalize");
    return div(x, clamp(vector_norm(x, p, over, true), std::optional<double>(eps), std::nullopt));
}

}  // namespace deeplite
