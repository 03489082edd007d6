// Vector and matrix norms, and the distance of two tensors.
#include <cmath>

#include "ops/reduce.h"
#include "ops/reduce_run.h"

namespace deeplite {
namespace {

struct Norm {
    static constexpr OpInfo info{.name = "vector_norm", .save_inputs = 0b1, .save_outputs = 0b1};
    double p;
    Dims dims;
    bool keepdim;
    void attributes(auto& v) const { v("ord", p), v("dim", dims), v("keepdim", keepdim); }
    Tensor forward(const Tensor& x) const {
        return reduce_raw(info.name, DL_REDUCE_NORM, x, dims, keepdim, x.dtype(), p);
    }
    // Where a norm has no derivative (at 0, for p < 2 or the vector 0) the gradient is taken as 0.
    Grads backward(const Ctx& c, const Tensor& dy_in) const {
        Tensor x = c.in(0);
        Tensor y = with_dims(c.out(0), dims, keepdim, c.shape(0));
        Tensor dy = with_dims(dy_in, dims, keepdim, c.shape(0));
        if (p == 0) return {zeros(c.shape(0), x.dtype(), x.device())};
        if (p == 1) return {mul(sign(x), dy)};
        if (p == 2) return {mul(x, or_zero(y, div(dy, y)))};
        if (std::isinf(p)) {  // shared by all that attain it
            Tensor hits = cast(eq(abs(x), y), x.dtype());
            return {mul(mul(sign(x), hits), div(dy, sum(hits, dims, true)))};
        }
        Tensor scale = or_zero(y, mul(dy, pow(y, 1 - p)));
        Tensor safe = where(eq(x, 0.0), num(1), abs(x));
        return {mul(mul(sign(x), pow(safe, p - 1)), scale)};
    }

 private:
    static Tensor or_zero(const Tensor& y, const Tensor& v) { return where(eq(y, 0.0), num(0), v); }
};

Dims two_dims(const char* op, const Dims& dims, const Tensor& x) {
    check<ShapeError>(dims.size() == 2, op, ": expected two dimensions, got ", dims);
    check<ShapeError>(x.dim() >= 2, op, ": expected at least two dimensions, got shape ",
                      x.shape());
    Dims out{wrap_dim(dims[0], x.dim(), op), wrap_dim(dims[1], x.dim(), op)};
    check<ValueError>(out[0] != out[1], op, ": the two dimensions must differ, got ", dims);
    return out;
}

}  // namespace

Tensor vector_norm(const Tensor& x_in, double p, const Dims& dims, bool keepdim,
                   OptionalDType dtype) {
    const char* op = Norm::info.name;
    Tensor x = cast_if(x_in, dtype);
    check_floating(op, x);
    check<ValueError>(!std::isnan(p), op, ": ord must not be NaN");
    Dims over = wrap_dims(dims, x.dim(), op);
    if (p < 0 || std::isinf(p)) check_not_empty(op, x, over);
    return apply(Norm{p, over, keepdim}, x);
}

// Of the sums of magnitudes (of columns for 1, of rows for inf), the largest or the smallest.
Tensor matrix_norm(const Tensor& x_in, double ord, const Dims& dims, bool keepdim,
                   OptionalDType dtype) {
    const char* op = "matrix_norm";
    Tensor x = cast_if(x_in, dtype);
    check_floating(op, x);
    Dims d = two_dims(op, dims, x);
    check<NotImplementedError>(std::abs(ord) != 2, op,
                               ": ord 2 and -2 need a singular value decomposition, which is not "
                               "available");
    check<ValueError>(std::abs(ord) == 1 || std::isinf(ord), op,
                      ": ord must be 'fro', 1, -1, inf or -inf, got ", ord);
    int64_t inner = std::isinf(ord) ? d[1] : d[0], outer = std::isinf(ord) ? d[0] : d[1];
    Tensor sums = vector_norm(x, 1, {inner}, true);
    Tensor y;
    if (ord > 0 && x.shape()[int(outer)] == 0)
        y = sum(sums, {outer}, true);  // of nothing: 0
    else
        y = ord > 0 ? amax(sums, {outer}, true) : amin(sums, {outer}, true);
    return keepdim ? y : squeeze(y, d);
}

Tensor matrix_norm(const Tensor& x_in, const std::string& ord, const Dims& dims, bool keepdim,
                   OptionalDType dtype) {
    const char* op = "matrix_norm";
    check<NotImplementedError>(ord != "nuc", op,
                               ": ord 'nuc' needs a singular value decomposition, which is not "
                               "available");
    check<ValueError>(ord == "fro", op, ": ord must be 'fro', 1, -1, inf or -inf, got '", ord, "'");
    Tensor x = cast_if(x_in, dtype);
    check_floating(op, x);
    return vector_norm(x, 2, two_dims(op, dims, x), keepdim);
}

Tensor dist(const Tensor& a, const Tensor& b, double p) { return vector_norm(sub(a, b), p); }

}  // namespace deeplite
