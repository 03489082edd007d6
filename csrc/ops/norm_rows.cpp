// Layer, RMS and group normalisation: statistics per row of a matrix [rows, d].
#include <limits>

#include "kernels/norm.h"
#include "ops/norm.h"
#include "ops/norm_common.h"
#include "ops/view.h"

namespace deeplite {
namespace {

Dims last_dims(int rank, int count) {
    Dims dims;
    for (int d = rank - count; d < rank; ++d) dims.push_back(d);
    return dims;
}
Dims first_dims(int count) {
    Dims dims;
    for (int d = 0; d < count; ++d) dims.push_back(d);
    return dims;
}

// x, weight, bias -> y, mean, rstd (RMS norm: mean is absent). The statistics keep the leading
// dimensions.
template <bool kRms>
struct RowNorm {
    static constexpr OpInfo info{.name = kRms ? "rms_norm" : "layer_norm",
                                 .save_inputs = 0b011,
                                 .save_outputs = 0b110,
                                 .differentiable_outputs = 0b001};
    int64_t dims;  // how many of the last dimensions make a row
    double eps;
    void attributes(auto& v) const {
        v("dims", dims);
        v("eps", eps);
    }

    dl_layer_norm_args args(const Tensor& x, const Tensor& weight, const Tensor& bias) const {
        dl_layer_norm_args g{};
        g.dtype = int32_t(x.dtype());
        g.rms = kRms;
        g.rows = g.d = 1;
        for (int d = 0; d < x.dim(); ++d) (d < x.dim() - dims ? g.rows : g.d) *= x.shape()[d];
        g.eps = eps;
        g.x = x.raw(), g.weight = data_or_null(weight), g.bias = data_or_null(bias);
        return g;
    }
    std::array<Tensor, 3> forward(const Tensor& input, const Tensor& w, const Tensor& b) const {
        const DType dtype = compute_dtype(input.dtype());
        const Tensor x = cast_contiguous_raw(input, dtype);
        const Tensor weight = cast_optional_raw(w, dtype), bias = cast_optional_raw(b, dtype);
        const Dims leading(x.shape().data(), x.dim() - int(dims));
        const Tensor y = empty(x.shape(), dtype, x.device()),
                     rstd = empty(leading, dtype, x.device());
        const Tensor mean = empty(kRms ? Dims{0} : leading, dtype, x.device());
        dl_layer_norm_args g = args(x, weight, bias);
        g.y = y.raw(), g.mean = mean.raw(), g.rstd = rstd.raw();
        if (x.numel() > 0) {
            const auto fn = kernel(info.name, x.device(), backend_of(x.device()).norm,
                                   &dl_norm_table::layer_norm);
            check_status(fn(&g), x.device(), info.name);
        }
        return {cast_raw(y, input.dtype()), mean, rstd};
    }
    Grads backward(const Ctx& c, const Grads& dys) const {
        if (!dys[0].defined()) return {Tensor{}, Tensor{}, Tensor{}};
        const DType dtype = compute_dtype(c.dtype(0));
        const Tensor x = cast(c.in(0), dtype), dy = cast(dys[0], dtype);
        const Tensor weight = c.in(1).defined() ? cast(c.in(1), dtype) : Tensor{};
        if (!grad_enabled())
            return backward_kernel(c, contiguous_raw(dy), contiguous_raw(x), weight);
        const Dims row = last_dims(x.dim(), int(dims)), leading = first_dims(x.dim() - int(dims));
        const Normalised n = normalise(x, row, eps, !kRms);
        const auto per_weight = [&](const Tensor& g) {
            return leading.empty() ? g : sum(g, leading);
        };
        Tensor dx, dweight, dbias;
        if (c.needs(0))
            dx = cast_like(normalised_dx(weight.defined() ? mul(dy, weight) : dy, n, row, !kRms), c,
                           0);
        if (c.needs(1)) dweight = cast_like(per_weight(mul(dy, n.xhat)), c, 1);
        if (c.needs(2)) dbias = cast_like(per_weight(dy), c, 2);
        return {dx, dweight, dbias};
    }
    Grads backward_kernel(const Ctx& c, const Tensor& dy, const Tensor& x, const Tensor& w) const {
        const Tensor weight = w.defined() ? contiguous_raw(w) : w, mean = c.out(1), rstd = c.out(2);
        const Dims row(x.shape().data() + x.dim() - dims, int(dims));
        Tensor dx, dweight, dbias;
        if (c.needs(0)) dx = empty(x.shape(), x.dtype(), x.device());
        if (c.needs(1)) dweight = empty(row, x.dtype(), x.device());
        if (c.needs(2)) dbias = empty(row, x.dtype(), x.device());
        dl_layer_norm_args g = args(x, weight, {});
        g.mean = mean.raw(), g.rstd = rstd.raw(), g.dy = dy.raw();
        g.dx = data_or_null(dx), g.dweight = data_or_null(dweight), g.dbias = data_or_null(dbias);
        const auto fn = kernel(info.name, x.device(), backend_of(x.device()).norm,
                               &dl_norm_table::layer_norm_backward);
        check_status(fn(&g), x.device(), info.name);
        return {cast_like(dx, c, 0), cast_like(dweight, c, 1), cast_like(dbias, c, 2)};
    }
};

// x [N, C, ...], weight [C], bias [C] -> y, mean [N, groups], rstd [N, groups]
struct GroupNorm {
    static constexpr OpInfo info{.name = "group_norm",
                                 .save_inputs = 0b011,
                                 .save_outputs = 0b110,
                                 .differentiable_outputs = 0b001};
    int64_t groups;
    double eps;
    void attributes(auto& v) const {
        v("num_groups", groups);
        v("eps", eps);
    }

    dl_group_norm_args args(const Tensor& x, const Tensor& weight, const Tensor& bias) const {
        dl_group_norm_args g{};
        g.dtype = int32_t(x.dtype());
        g.n = x.shape()[0], g.groups = groups, g.k = x.shape()[1] / groups, g.s = 1;
        for (int d = 2; d < x.dim(); ++d) g.s *= x.shape()[d];
        g.eps = eps;
        g.x = x.raw(), g.weight = data_or_null(weight), g.bias = data_or_null(bias);
        return g;
    }
    std::array<Tensor, 3> forward(const Tensor& input, const Tensor& w, const Tensor& b) const {
        const DType dtype = compute_dtype(input.dtype());
        const Tensor x = cast_contiguous_raw(input, dtype);
        const Tensor weight = cast_optional_raw(w, dtype), bias = cast_optional_raw(b, dtype);
        const Tensor y = empty(x.shape(), dtype, x.device());
        const Tensor mean = empty({x.shape()[0], groups}, dtype, x.device());
        const Tensor rstd = empty({x.shape()[0], groups}, dtype, x.device());
        dl_group_norm_args g = args(x, weight, bias);
        g.y = y.raw(), g.mean = mean.raw(), g.rstd = rstd.raw();
        if (x.numel() > 0) {
            const auto fn = kernel(info.name, x.device(), backend_of(x.device()).norm,
                                   &dl_norm_table::group_norm);
            check_status(fn(&g), x.device(), info.name);
        }
        return {cast_raw(y, input.dtype()), mean, rstd};
    }
    Grads backward(const Ctx& c, const Grads& dys) const {
        if (!dys[0].defined()) return {Tensor{}, Tensor{}, Tensor{}};
        const DType dtype = compute_dtype(c.dtype(0));
        const Tensor x = cast(c.in(0), dtype), dy = cast(dys[0], dtype);
        const Tensor weight = c.in(1).defined() ? cast(c.in(1), dtype) : Tensor{};
        if (!grad_enabled())
            return backward_kernel(c, contiguous_raw(dy), contiguous_raw(x), weight);
        int64_t spatial = 1;
        for (int d = 2; d < x.dim(); ++d) spatial *= x.size(d);
        const int64_t k = x.size(1) / groups;
        const Dims split = {x.size(0), groups, k, spatial}, row = {2, 3};
        const Tensor g = reshape(dy, split);
        const Normalised n = normalise(reshape(x, split), row, eps);
        const auto per_channel = [&](const Tensor& v) {
            return reshape(sum(v, {0, 3}), {groups * k});
        };
        Tensor dx, dweight, dbias;
        if (c.needs(0)) {
            const Tensor scaled = weight.defined() ? mul(g, reshape(weight, {1, groups, k, 1})) : g;
            dx = cast_like(reshape(normalised_dx(scaled, n, row), x.shape()), c, 0);
        }
        if (c.needs(1)) dweight = cast_like(per_channel(mul(g, n.xhat)), c, 1);
        if (c.needs(2)) dbias = cast_like(per_channel(g), c, 2);
        return {dx, dweight, dbias};
    }
    Grads backward_kernel(const Ctx& c, const Tensor& dy, const Tensor& x, const Tensor& w) const {
        const Tensor weight = w.defined() ? contiguous_raw(w) : w, mean = c.out(1), rstd = c.out(2);
        Tensor dx, dweight, dbias;
        if (c.needs(0)) dx = empty(x.shape(), x.dtype(), x.device());
        if (c.needs(1)) dweight = empty({x.size(1)}, x.dtype(), x.device());
        if (c.needs(2)) dbias = empty({x.size(1)}, x.dtype(), x.device());
        dl_group_norm_args g = args(x, weight, {});
        g.mean = mean.raw(), g.rstd = rstd.raw(), g.dy = dy.raw();
        g.dx = data_or_null(dx), g.dweight = data_or_null(dweight), g.dbias = data_or_null(dbias);
        const auto fn = kernel(info.name, x.device(), backend_of(x.device()).norm,
                               &dl_norm_table::group_norm_backward);
        check_status(fn(&g), x.device(), info.name);
        return {cast_like(dx, c, 0), cast_like(dweight, c, 1), cast_like(dbias, c, 2)};
    }
};

// Row sizes and dtypes of layer_norm and rms_norm.
void check_row(const char* op, const Tensor& x, const Dims& shape, const Tensor& weight,
               const Tensor& bias) {
    check<ShapeError>(!shape.empty(), op, ": normalized_shape must not be empty");
    bool fits = x.dim() >= shape.size();
    for (int d = 0; fits && d < shape.size(); ++d)
        fits = x.shape()[x.dim() - shape.size() + d] == shape[d];
    check<ShapeError>(fits, op, ": normalized_shape ", shape,
                      " does not match the last dimensions of input ", x.shape());
    check<TypeError>(x.is_floating(), op, ": expected a floating input, got ", x.dtype());
    for (const auto& [what, v] : {std::pair{"weight", &weight}, std::pair{"bias", &bias}}) {
        if (!v->defined()) continue;
        check<ShapeError>(v->shape() == shape, op, ": ", what, " must have shape ", shape, ", got ",
                          v->shape());
        check<TypeError>(
            v->dtype() == x.dtype() || (is_half(x.dtype()) && v->dtype() == DType::Float32), op,
            ": ", what, " of dtype ", v->dtype(), " does not go with an input of dtype ",
            x.dtype());
        check_same_device(op, {&x, v});
    }
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Dims& shape, const Tensor& weight, const Tensor& bias,
                  double eps) {
    check_row("layer_norm", x, shape, weight, bias);
    return apply(RowNorm<false>{shape.size(), eps}, x, weight, bias)[0];
}

Tensor rms_norm(const Tensor& x, const Dims& shape, const Tensor& weight,
                std::optional<double> eps) {
    check_row("rms_norm", x, shape, weight, {});
    const double smallest = x.dtype() == DType::Float64 ? std::numeric_limits<double>::epsilon()
                            : x.dtype() == DType::Float32
                                ? double(std::numeric_limits<float>::epsilon())
                            : x.dtype() == DType::BFloat16 ? 0x1p-7
                                                           : 0x1p-10;
    return apply(RowNorm<true>{shape.size(), eps.value_or(smallest)}, x, weight, Tensor{})[0];
}

Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias,
                  double eps) {
    const char* op = "group_norm";
    check<ShapeError>(x.dim() >= 2, op,
                      ": expected an input [N, C, ...] of at least 2 dimensions, got shape ",
                      x.shape());
    check<ValueError>(groups > 0, op, ": num_groups must be positive, got ", groups);
    check<ShapeError>(x.size(1) % groups == 0, op, ": ", x.size(1), " channels of input ",
                      x.shape(), " are not divisible by num_groups ", groups);
    check<TypeError>(x.is_floating(), op, ": expected a floating input, got ", x.dtype());
    for (const auto& [what, v] : {std::pair{"weight", &weight}, std::pair{"bias", &bias}}) {
        if (!v->defined()) continue;
        check<ShapeError>(v->dim() == 1 && v->size(0) == x.size(1), op, ": ", what,
                          " must have shape [", x.size(1), "], got ", v->shape());
        check<TypeError>(
            v->dtype() == x.dtype() || (is_half(x.dtype()) && v->dtype() == DType::Float32), op,
            ": ", what, " of dtype ", v->dtype(), " does not go with an input of dtype ",
            x.dtype());
        check_same_device(op, {&x, v});
    }
    return apply(GroupNorm{groups, eps}, x, weight, bias)[0];
}

}  // namespace deeplite
