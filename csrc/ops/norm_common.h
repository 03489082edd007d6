// What the normalisations share: optional operands, and the formulas of backward written with ops,
// for when the gradient itself is to be differentiated.
#pragma once
#include "ops/apply.h"
#include "ops/copy.h"
#include "ops/elementwise.h"
#include "ops/iter.h"
#include "ops/reduce.h"

namespace deeplite {

inline void* data_or_null(const Tensor& t) { return t.defined() ? t.raw() : nullptr; }
inline Tensor cast_optional_raw(const Tensor& t, DType dtype) {
    return t.defined() ? cast_contiguous_raw(t, dtype) : t;
}
// A gradient in the dtype of input i.
inline Tensor cast_like(const Tensor& grad, const Ctx& c, int i) {
    return grad.defined() ? cast(grad, c.dtype(i)) : grad;
}

struct Normalised {
    Tensor xhat,
        rstd;  // (x - mean) * rstd, and 1 / sqrt(variance + eps) with the reduced dimensions kept
};
inline Normalised normalise(const Tensor& x, const Dims& dims, double eps, bool centred = true) {
    const Tensor xc = centred ? sub(x, mean(x, dims, true)) : x;
    const Tensor rstd = rsqrt(add(mean(mul(xc, xc), dims, true), eps));
    return {mul(xc, rstd), rstd};
}
// The gradient of x from that of xhat: (g - mean(g) - xhat * mean(g * xhat)) * rstd
inline Tensor normalised_dx(const Tensor& g, const Normalised& n, const Dims& dims,
                            bool centred = true) {
    const Tensor along = mul(n.xhat, mean(mul(g, n.xhat), dims, true));
    return mul(sub(centred ? sub(g, mean(g, dims, true)) : g, along), n.rstd);
}

}  // namespace deeplite
