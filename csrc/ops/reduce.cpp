// Sums, and the reductions to bool and counts.
#include "ops/reduce.h"

#include "ops/reduce_run.h"

namespace deeplite {
namespace {

struct Sum {
    static constexpr OpInfo info{.name = "sum"};
    Dims dims;
    bool keepdim;
    void attributes(auto& v) const { v("dim", dims), v("keepdim", keepdim); }
    Tensor forward(const Tensor& x) const {
        return reduce_raw(info.name, DL_REDUCE_SUM, x, dims, keepdim, sum_dtype(x.dtype()));
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        return {spread(dy, dims, keepdim, c.shape(0))};
    }
};

// Results without a gradient: any, all, count_nonzero.
struct Logical {
    static constexpr OpInfo info{.name = "any_all"};
    dl_reduce_op kind;
    Dims dims;
    bool keepdim;
    void attributes(auto& v) const {
        v("kind", std::string(op_name())), v("dim", dims), v("keepdim", keepdim);
    }
    const char* op_name() const {
        return kind == DL_REDUCE_ANY ? "any" : kind == DL_REDUCE_ALL ? "all" : "count_nonzero";
    }
    Tensor forward(const Tensor& x) const {
        DType out = kind == DL_REDUCE_COUNT_NONZERO ? DType::Int64
                    : x.dtype() == DType::UInt8     ? DType::UInt8  // as torch
                                                    : DType::Bool;
        return reduce_raw(op_name(), kind, x, dims, keepdim, out);
    }
};

Tensor logical(const char* op, dl_reduce_op kind, const Tensor& x, const Dims& dims, bool keepdim) {
    return apply(Logical{kind, wrap_dims(dims, x.dim(), op), keepdim}, x);
}

}  // namespace

Tensor sum(const Tensor& x, const Dims& dims, bool keepdim, OptionalDType dtype) {
    Dims over = wrap_dims(dims, x.dim(), "sum");
    return apply(Sum{over, keepdim}, cast_if(x, dtype));
}

Tensor sum_to_size(const Tensor& x, const Dims& shape) {
    if (x.shape() == shape) return x;
    int extra = x.dim() - shape.size();
    Dims dims;
    bool fits = extra >= 0;
    for (int d = 0; fits && d < x.dim(); ++d) {
        if (d < extra || (shape[d - extra] == 1 && x.shape()[d] != 1))
            dims.push_back(d);
        else
            fits = shape[d - extra] == x.shape()[d];
    }
    check<ShapeError>(fits, "sum_to_size: shape ", shape, " does not broadcast to ", x.shape());
    Tensor y = dims.empty() ? x : apply(Sum{dims, true}, x);
    return extra > 0 ? reshape(y, shape) : y;
}

Tensor all(const Tensor& x, const Dims& dims, bool keepdim) {
    return logical("all", DL_REDUCE_ALL, x, dims, keepdim);
}
Tensor any(const Tensor& x, const Dims& dims, bool keepdim) {
    return logical("any", DL_REDUCE_ANY, x, dims, keepdim);
}
Tensor count_nonzero(const Tensor& x, const Dims& dims) {
    return logical("count_nonzero", DL_REDUCE_COUNT_NONZERO, x, dims, false);
}

}  // namespace deeplite
