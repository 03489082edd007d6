// Means, variances and log-sum-exp.
#include "ops/reduce.h"
#include "ops/reduce_run.h"

namespace deeplite {
namespace {

struct NanSum {
    static constexpr OpInfo info{.name = "nansum", .save_inputs = 0b1};
    Dims dims;
    bool keepdim;
    void attributes(auto& v) const { v("dim", dims), v("keepdim", keepdim); }
    Tensor forward(const Tensor& x) const {
        return reduce_raw(info.name, DL_REDUCE_NANSUM, x, dims, keepdim, x.dtype());
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor x = c.in(0);
        return {mul(spread(dy, dims, keepdim, c.shape(0)), cast(eq(x, x), dy.dtype()))};
    }
};

struct Mean {
    static constexpr OpInfo info{.name = "mean"};
    Dims dims;
    bool keepdim;
    void attributes(auto& v) const { v("dim", dims), v("keepdim", keepdim); }
    Tensor forward(const Tensor& x) const {
        return reduce_raw(info.name, DL_REDUCE_MEAN, x, dims, keepdim, x.dtype());
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        double n = double(reduced_count(c.shape(0), dims));
        return {spread(div(dy, num(n)), dims, keepdim, c.shape(0))};
    }
};

struct LogSumExp {
    static constexpr OpInfo info{.name = "logsumexp", .save_inputs = 0b1, .save_outputs = 0b1};
    Dims dims;
    bool keepdim;
    void attributes(auto& v) const { v("dim", dims), v("keepdim", keepdim); }
    Tensor forward(const Tensor& x) const {
        return reduce_raw(info.name, DL_REDUCE_LOGSUMEXP, x, dims, keepdim, x.dtype());
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor y = with_dims(c.out(0), dims, keepdim, c.shape(0));
        return {mul(with_dims(dy, dims, keepdim, c.shape(0)), exp(sub(c.in(0), y)))};
    }
};

// Outputs: var (or its root) and mean.
struct VarMean {
    static constexpr OpInfo info{.name = "var_mean", .save_inputs = 0b1, .save_outputs = 0b11};
    Dims dims;
    double correction;
    bool keepdim, root;
    void attributes(auto& v) const {
        v("dim", dims), v("correction", correction), v("keepdim", keepdim), v("std", root);
    }
    std::array<Tensor, 2> forward(const Tensor& x) const {
        DType dtype = compute_dtype(x.dtype());
        Tensor mean;
        Tensor var =
            reduce_raw(info.name, DL_REDUCE_VAR, x, dims, keepdim, dtype, correction, &mean, dtype);
        if (root) var = sqrt(var);
        return {cast_raw(var, x.dtype()), cast_raw(mean, x.dtype())};
    }
    Grads backward(const Ctx& c, const Grads& dys) const {
        const Dims& shape = c.shape(0);
        double n = double(reduced_count(shape, dims));
        Tensor dx;
        if (dys[0].defined()) {
            Tensor dvar = dys[0];
            if (root) {  // d sqrt(v) = dv / (2 sqrt(v)), taken as 0 where the deviation is 0
                Tensor y = c.out(0);
                dvar = where(eq(y, num(0)), num(0), div(dvar, mul(y, num(2))));
            }
            Tensor centered = sub(c.in(0), with_dims(c.out(1), dims, keepdim, shape));
            double freedom = std::max(0.0, n - correction);
            dx = mul(with_dims(dvar, dims, keepdim, shape), mul(centered, num(2 / freedom)));
        }
        if (dys[1].defined()) {
            Tensor dmean = spread(div(dys[1], num(n)), dims, keepdim, shape);
            dx = dx.defined() ? add(dx, dmean) : dmean;
        }
        return {dx};
    }
};

std::array<Tensor, 2> moments(const char* op, const Tensor& x, const Dims& dims, double correction,
                              bool keepdim, bool root) {
    check_floating(op, x);
    return apply(VarMean{wrap_dims(dims, x.dim(), op), correction, keepdim, root}, x);
}

}  // namespace

Tensor nansum(const Tensor& x, const Dims& dims, bool keepdim, OptionalDType dtype) {
    Tensor y = cast_if(x, dtype);
    if (!y.is_floating()) return sum(y, dims, keepdim);
    return apply(NanSum{wrap_dims(dims, x.dim(), "nansum"), keepdim}, y);
}

Tensor mean(const Tensor& x, const Dims& dims, bool keepdim, OptionalDType dtype) {
    Tensor y = cast_if(x, dtype);
    check_floating("mean", y);
    return apply(Mean{wrap_dims(dims, x.dim(), "mean"), keepdim}, y);
}

Tensor nanmean(const Tensor& x, const Dims& dims, bool keepdim, OptionalDType dtype) {
    Tensor y = cast_if(x, dtype);
    check_floating("nanmean", y);
    Dims over = wrap_dims(dims, x.dim(), "nanmean");
    Tensor count = cast(sum(eq(y, y), over, keepdim), y.dtype());
    return div(apply(NanSum{over, keepdim}, y), count);
}

Tensor logsumexp(const Tensor& x, const Dims& dims, bool keepdim) {
    return apply(LogSumExp{wrap_dims(dims, x.dim(), "logsumexp"), keepdim}, to_floating(x));
}

Tensor var(const Tensor& x, const Dims& dims, double correction, bool keepdim) {
    return moments("var", x, dims, correction, keepdim, false)[0];
}
Tensor std_dev(const Tensor& x, const Dims& dims, double correction, bool keepdim) {
    return moments("std", x, dims, correction, keepdim, true)[0];
}
std::array<Tensor, 2> var_mean(const Tensor& x, const Dims& dims, double correction, bool keepdim) {
    return moments("var_mean", x, dims, correction, keepdim, false);
}
std::array<Tensor, 2> std_mean(const Tensor& x, const Dims& dims, double correction, bool keepdim) {
    return moments("std_mean", x, dims, correction, keepdim, true);
}

Tensor trace(const Tensor& x) {
    check<ShapeError>(x.dim() == 2, "trace: expected a matrix, got shape ", x.shape());
    return sum(diagonal(x));
}

}  // namespace deeplite
