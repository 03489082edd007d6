// Convolution and what follows it in a network that only runs, as one op.
#include <cmath>

#include "ops/apply.h"
#include "ops/conv_common.h"
#include "ops/elementwise.h"
#include "ops/iter.h"
#include "ops/norm.h"
#include "ops/norm_common.h"
#include "ops/view.h"

namespace deeplite {
namespace {

constexpr const char* kOp = "fused_conv";

// An activation by its name: the kernel's, with the bounds of those that cut.
struct NamedActivation {
    const char* name;
    dl_conv_activation code;
    double low, high;
    Tensor (*apply)(const Tensor&);  // of those that do not
};
constexpr NamedActivation kActivations[] = {
    {"none", DL_CONV_CUT, -HUGE_VAL, HUGE_VAL, nullptr},
    {"relu", DL_CONV_CUT, 0, HUGE_VAL, nullptr},
    {"relu6", DL_CONV_CUT, 0, 6, nullptr},
    {"hardtanh", DL_CONV_CUT, -1, 1, nullptr},
    {"sigmoid", DL_CONV_SIGMOID, 0, 0, sigmoid},
    {"tanh", DL_CONV_TANH, 0, 0, tanh},
    {"silu", DL_CONV_SILU, 0, 0, silu},
    {"gelu", DL_CONV_GELU, 0, 0, [](const Tensor& x) { return gelu(x); }},
    {"gelu_tanh", DL_CONV_GELU_TANH, 0, 0, [](const Tensor& x) { return gelu(x, "tanh"); }},
    {"hardswish", DL_CONV_HARDSWISH, 0, 0, hardswish},
    {"hardsigmoid", DL_CONV_HARDSIGMOID, 0, 0, hardsigmoid},
};

NamedActivation activation_of(const ConvFollow& f) {
    for (NamedActivation a : kActivations) {
        if (f.activation != a.name) continue;
        if (f.activation == "hardtanh") a.low = f.min_val, a.high = f.max_val;
        check<ValueError>(a.code != DL_CONV_CUT || a.low < a.high, kOp,
                          ": max_val must be above min_val, got ", a.high, " and ", a.low);
        return a;
    }
    std::string names;
    for (const NamedActivation& a : kActivations) names += cat(names.empty() ? "" : ", ", a.name);
    throw ValueError(
        cat(kOp, ": activation must be one of ", names, ", got \"", f.activation, "\""));
}

// x, w, bias, mean, var, norm's weight and bias, residual -> y. For inference: it has no gradient.
struct FusedConv {
    static constexpr OpInfo info{.name = kOp};
    ConvGeometry geometry;
    Dims out;
    double eps;
    NamedActivation activation;
    void attributes(auto& v) const {
        geometry.attributes(v);
        v("output_size", out);
        v("eps", eps);
        v("activation", std::string(activation.name));
        if (activation.code == DL_CONV_CUT)
            v("min_val", activation.low), v("max_val", activation.high);
    }
    Tensor forward(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& m,
                   const Tensor& v, const Tensor& nw, const Tensor& nb, const Tensor& r) const {
        const DType t = compute_dtype(x.dtype());
        const MemoryFormat format = geometry.format(w.dim() - 2);
        const Tensor xc = cast_format_raw(x, t, format), wc = geometry.weights(w, t);
        const Tensor bias = cast_optional_raw(b, t), mean = cast_optional_raw(m, t);
        const Tensor var = cast_optional_raw(v, t), weight = cast_optional_raw(nw, t);
        const Tensor shift = cast_optional_raw(nb, t), residual = cast_format_raw(r, t, format);
        const Dims shape = with_spatial(x.shape()[0], w.shape()[0], out);
        const Tensor y = empty_in(format, shape, t, x.device(), kOp);
        if (y.numel() > 0) {
            dl_conv p = describe_conv(geometry, x.shape(), w.shape(), shape, t);
            dl_conv_finish f{};
            p.w_channels_last = !wc.is_contiguous();
            p.x = xc.raw(), p.w = wc.raw(), p.bias = data_or_null(bias), p.y = y.raw();
            f.mean = data_or_null(mean), f.var = data_or_null(var), f.eps = eps;
            f.weight = data_or_null(weight), f.shift = data_or_null(shift);
            f.residual = data_or_null(residual), f.activation = activation.code;
            f.low = activation.low, f.high = activation.high;
            p.finish = &f;
            run_conv_pass(kOp, p, DL_CONV_FORWARD, x.device());
        }
        return cast_raw(y, x.dtype());
    }
};

// The same by the ops that it is made of, each with its gradient.
Tensor composed(const ConvCall& call, const Tensor& w, const Tensor& bias, const ConvFollow& f,
                const NamedActivation& a, const Tensor& residual) {
    Tensor y = apply_conv(call, w, bias);
    const bool cuts = a.low < a.high && (a.low > -HUGE_VAL || a.high < HUGE_VAL);
    if (f.mean.defined() && cuts) {
        const auto top = a.high < HUGE_VAL ? std::optional(a.high) : std::nullopt;
        return fused_batch_norm(y, f.mean, f.var, f.weight, f.bias, false, 0, f.eps, residual,
                                a.low, top);
    }
    if (f.mean.defined()) y = batch_norm(y, f.mean, f.var, f.weight, f.bias, false, 0, f.eps);
    if (residual.defined()) y = add(y, residual);
    if (a.apply) return a.apply(y);
    if (!cuts) return y;
    return a.low == 0 && a.high == HUGE_VAL ? relu_(y) : hardtanh(y, a.low, a.high);
}

void check_follow(const Tensor& x, const Tensor& w, const ConvFollow& f, const Dims& shape) {
    check<ValueError>(f.mean.defined() == f.var.defined(), kOp,
                      ": running_mean and running_var go together");
    check<ValueError>(f.mean.defined() || (!f.weight.defined() && !f.bias.defined()), kOp,
                      ": norm_weight and norm_bias need running_mean and running_var");
    const std::pair<const char*, const Tensor*> vectors[] = {{"running_mean", &f.mean},
                                                             {"running_var", &f.var},
                                                             {"norm_weight", &f.weight},
                                                             {"norm_bias", &f.bias}};
    for (const auto& [what, v] : vectors) {
        if (!v->defined()) continue;
        check<ShapeError>(v->dim() == 1 && v->shape()[0] == w.shape()[0], kOp, ": ", what,
                          " must have shape [", w.shape()[0], "] (weight ", w.shape(), "), got ",
                          v->shape());
        check<TypeError>(
            v->dtype() == x.dtype() || (is_half(x.dtype()) && v->dtype() == DType::Float32), kOp,
            ": ", what, " of dtype ", v->dtype(), " does not go with an input of dtype ",
            x.dtype());
    }
    const Tensor& r = f.residual;
    if (r.defined()) {
        check<ShapeError>(r.shape() == shape, kOp, ": residual must have the shape ", shape,
                          " of the result, got ", r.shape());
        check<TypeError>(r.dtype() == x.dtype(), kOp, ": residual of dtype ", r.dtype(),
                         " does not go with an input of dtype ", x.dtype());
    }
    check_same_device(kOp, {&x, &f.mean, &f.var, &f.weight, &f.bias, &r});
}

}  // namespace

Tensor fused_conv(const Tensor& input, const Tensor& w, const Tensor& bias, const Dims& stride,
                  const std::variant<Dims, std::string>& padding, const Dims& dilation,
                  int64_t groups, const ConvFollow& f) {
    const NamedActivation activation = activation_of(f);
    const int spatial = w.dim() - 2;
    check<ShapeError>(spatial >= 1 && spatial <= 3, kOp,
                      ": expected weight with 3 to 5 dimensions, got ", w.shape());
    const ConvCall call =
        conv_call(kOp, spatial, input, w, bias, stride, padding, dilation, groups);
    const Dims batch = with_spatial(call.x.shape()[0], w.shape()[0], call.out);
    const bool single = input.dim() == spatial + 1;
    check_follow(input, w, f, single ? Dims(batch.data() + 1, batch.size() - 1) : batch);
    const Tensor residual = single && f.residual.defined() ? unsqueeze(f.residual, 0) : f.residual;
    const bool recorded = grad_enabled() && detail::any_requires_grad(input, w, bias, f.mean, f.var,
                                                                      f.weight, f.bias, f.residual);
    const Tensor y = recorded ? composed(call, w, bias, f, activation, residual)
                              : apply(FusedConv{call.geometry, call.out, f.eps, activation}, call.x,
                                      w, bias, f.mean, f.var, f.weight, f.bias, residual);
    return unbatched(y, input);
}

}  // namespace deeplite
