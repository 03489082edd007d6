#include "ops/softmax.h"

#include "kernels/softmax.h"
#include "ops/apply.h"
#include "ops/copy.h"
#include "ops/elementwise.h"
#include "ops/iter.h"
#include "ops/reduce.h"

namespace deeplite {
namespace {

// The axis `dim` of x, with what lies outside and inside it.
template <class Args>
void fill_axis(Args& args, const Tensor& x, int64_t dim) {
    args.dtype = int32_t(x.dtype());
    args.outer = args.n = args.inner = 1;
    for (int d = 0; d < x.dim(); ++d)
        (d < dim ? args.outer : d == dim ? args.n : args.inner) *= x.shape()[d];
}

template <bool kLog>
struct Softmax {
    static constexpr OpInfo info{.name = kLog ? "log_softmax" : "softmax", .save_outputs = 0b1};
    int64_t dim;
    void attributes(auto& v) const { v("dim", dim); }

    Tensor forward(const Tensor& input) const {
        Tensor x = cast_contiguous_raw(input, compute_dtype(input.dtype()));
        Tensor y = empty(x.shape(), x.dtype(), x.device(), info.name);
        dl_softmax_args args{};
        fill_axis(args, x, dim);
        args.in = x.raw();
        args.out = y.raw();
        auto fn = kernel(info.name, x.device(), backend_of(x.device()).softmax,
                         kLog ? &dl_softmax_table::log_softmax : &dl_softmax_table::softmax);
        check_status(fn(&args), x.device(), info.name);
        return cast_raw(y, input.dtype());
    }

    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor y = c.out(0);
        if (!grad_enabled()) return {fused_backward(y, dy)};
        if (kLog) return {sub(dy, mul(exp(y), sum(dy, {dim}, true)))};
        return {mul(y, sub(dy, sum(mul(dy, y), {dim}, true)))};
    }

    Tensor fused_backward(const Tensor& y_in, const Tensor& dy_in) const {
        DType dtype = compute_dtype(y_in.dtype());
        Tensor y = cast_contiguous_raw(y_in, dtype), dy = cast_contiguous_raw(dy_in, dtype);
        Tensor dx = empty(y.shape(), dtype, y.device(), info.name);
        dl_softmax_backward_args args{};
        fill_axis(args, y, dim);
        args.y = y.raw();
        args.dy = dy.raw();
        args.dx = dx.raw();
        auto fn = kernel(
            info.name, y.device(), backend_of(y.device()).softmax,
            kLog ? &dl_softmax_table::log_softmax_backward : &dl_softmax_table::softmax_backward);
        check_status(fn(&args), y.device(), info.name);
        return cast_raw(dx, y_in.dtype());
    }
};

template <bool kLog>
Tensor softmax_of(const Tensor& x_in, int64_t dim, std::optional<DType> dtype) {
    const char* op = Softmax<kLog>::info.name;
    Tensor x = dtype ? cast(x_in, *dtype) : x_in;
    check<TypeError>(x.is_floating(), op, ": expected a floating input, got dtype ", x.dtype());
    return apply(Softmax<kLog>{wrap_dim(dim, x.dim(), op)}, x);
}

}  // namespace

Tensor softmax(const Tensor& x, int64_t dim, std::optional<DType> dtype) {
    return softmax_of<false>(x, dim, dtype);
}
Tensor log_softmax(const Tensor& x, int64_t dim, std::optional<DType> dtype) {
    return softmax_of<true>(x, dim, dtype);
}
Tensor softmin(const Tensor& x, int64_t dim, std::optional<DType> dtype) {
    return softmax(neg(x), dim, dtype);
}

}  // namespace deeplite
