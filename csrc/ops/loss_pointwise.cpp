// Losses of two tensors element by element, with their reduction in one kernel.
#include "ops/loss_common.h"

namespace deeplite {
namespace {

struct Kind {
    const char* name;
    bool symmetric;  // in x and target: d/dtarget = -d/dx
};
const Kind& kind_of(dl_pointwise_loss kind) {
    static const Kind kinds[DL_LOSS_POINTWISE_COUNT] = {
        {"mse_loss", true},
        {"l1_loss", true},
        {"smooth_l1_loss", true},
        {"huber_loss", true},
        {"binary_cross_entropy", false},
        {"binary_cross_entropy_with_logits", false}};
    return kinds[kind];
}

// x and target have one shape and one dtype.
struct PointwiseLoss {
    static constexpr OpInfo info{.name = "pointwise_loss", .save_inputs = 0b11};
    dl_pointwise_loss kind;
    dl_reduction reduction;
    double param;
    void attributes(auto& v) const {
        v("kind", std::string(kind_of(kind).name)), v("reduction", int64_t(reduction));
        v("param", param);
    }

    Tensor forward(const Tensor& x_in, const Tensor& t_in) const {
        DType dtype = compute_dtype(x_in.dtype());
        Tensor x = cast_contiguous_raw(x_in, dtype), t = cast_contiguous_raw(t_in, dtype);
        const char* op = kind_of(kind).name;
        Tensor out = empty(reduction == DL_REDUCTION_NONE ? x.shape() : Dims{}, dtype, x.device());
        dl_pointwise_loss_args args{int32_t(dtype), reduction, x.numel(), param,
                                    x.raw(),        t.raw(),   out.raw()};
        const dl_loss_table* table = backend_of(x.device()).loss;
        auto fn = table ? table->pointwise[kind] : nullptr;
        check_status(fn ? fn(&args) : DL_UNSUPPORTED, x.device(), op);
        return cast_raw(out, x_in.dtype());
    }

    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor x = c.in(0), t = c.in(1), dx, dt;
        bool symmetric = kind_of(kind).symmetric;
        if (c.needs(0) || (symmetric && c.needs(1)))
            dx = grad_enabled() ? mul(scaled(dy, x), slope(x, t)) : fused_backward(x, t, dy);
        if (c.needs(1)) dt = symmetric ? neg(dx) : mul(scaled(dy, x), target_slope(x));
        return {c.needs(0) ? dx : Tensor{}, dt};
    }

 private:
    Tensor scaled(const Tensor& dy, const Tensor& x) const {
        return reduction == DL_REDUCTION_MEAN ? div(dy, double(x.numel())) : dy;
    }
    Tensor slope(const Tensor& x, const Tensor& t) const {
        Tensor d = sub(x, t);
        switch (kind) {
            case DL_LOSS_MSE:
                return mul(d, 2);
            case DL_LOSS_L1:
                return sign(d);
            case DL_LOSS_SMOOTH_L1:
                return param == 0 ? sign(d) : clamp(div(d, param), -1.0, 1.0);
            case DL_LOSS_HUBER:
                return clamp(d, -param, param);
            case DL_LOSS_BCE:
                return div(d, clamp(mul(x, sub(num(1), x)), double(1e-12f), std::nullopt));
            default:
                return sub(sigmoid(x), t);
        }
    }
    Tensor target_slope(const Tensor& x) const {
        if (kind == DL_LOSS_BCE_LOGITS) return neg(x);
        return sub(log1p(neg(x)), log(x));
    }
    Tensor fused_backward(const Tensor& x_in, const Tensor& t_in, const Tensor& dy_in) const {
        DType dtype = compute_dtype(x_in.dtype());
        Tensor x = cast_contiguous_raw(x_in, dtype), t = cast_contiguous_raw(t_in, dtype);
        Tensor dy = cast_contiguous_raw(dy_in, dtype);
        Tensor dx = empty(x.shape(), dtype, x.device());
        dl_pointwise_loss_backward_args args{int32_t(dtype), reduction, x.numel(), param,
                                             x.raw(),        t.raw(),   dy.raw(),  dx.raw()};
        const dl_loss_table* table = backend_of(x.device()).loss;
        auto fn = table ? table->pointwise_backward[kind] : nullptr;
        check_status(fn ? fn(&args) : DL_UNSUPPORTED, x.device(), kind_of(kind).name);
        return cast_raw(dx, x_in.dtype());
    }
};

Tensor pointwise(dl_pointwise_loss kind, const Tensor& x_in, const Tensor& t_in,
                 const std::string& reduction, double param = 0) {
    const char* op = kind_of(kind).name;
    dl_reduction r = parse_reduction(op, reduction);
    check_same_device(op, {&x_in, &t_in});
    DType dtype = promote(x_in.dtype(), t_in.dtype());
    check<TypeError>(is_floating(dtype), op, ": expected floating tensors, got dtypes ",
                     x_in.dtype(), " and ", t_in.dtype());
    Dims shape = broadcast_shapes(x_in.shape(), t_in.shape(), op);
    Tensor x = expand(cast(x_in, dtype), shape), t = expand(cast(t_in, dtype), shape);
    return apply(PointwiseLoss{kind, r, param}, x, t);
}

}  // namespace

Tensor mse_loss(const Tensor& x, const Tensor& target, const std::string& reduction) {
    return pointwise(DL_LOSS_MSE, x, target, reduction);
}
Tensor l1_loss(const Tensor& x, const Tensor& target, const std::string& reduction) {
    return pointwise(DL_LOSS_L1, x, target, reduction);
}
Tensor smooth_l1_loss(const Tensor& x, const Tensor& target, const std::string& reduction,
                      double beta) {
    check<ValueError>(beta >= 0, "smooth_l1_loss: beta must not be negative, got ", beta);
    if (beta == 0) return l1_loss(x, target, reduction);
    return pointwise(DL_LOSS_SMOOTH_L1, x, target, reduction, beta);
}
Tensor huber_loss(const Tensor& x, const Tensor& target, const std::string& reduction,
                  double delta) {
    check<ValueError>(delta > 0, "huber_loss: delta must be positive, got ", delta);
    return pointwise(DL_LOSS_HUBER, x, target, reduction, delta);
}

Tensor binary_cross_entropy(const Tensor& x, const Tensor& target, const Tensor& weight,
                            const std::string& reduction) {
    const char* op = "binary_cross_entropy";
    check_floating_loss(op, x);
    check<ShapeError>(x.shape() == target.shape(), op, ": target ", target.shape(),
                      " must have the shape of input ", x.shape());
    Tensor flat = detach(x);
    Tensor inside =
        all(logical_or(logical_and(ge(flat, num(0)), le(flat, num(1))), ne(flat, flat)));
    check<Error>(
        load_int(cast_raw(to_device_raw(inside, Device{}), DType::Int64).raw(), DType::Int64) != 0,
        op, ": all elements of input must lie in [0, 1]");
    if (!weight.defined()) return pointwise(DL_LOSS_BCE, x, target, reduction);
    dl_reduction r = parse_reduction(op, reduction);
    return reduce_loss(mul(pointwise(DL_LOSS_BCE, x, target, "none"), weight), r);
}

Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target, const Tensor& weight,
                                        const std::string& reduction, const Tensor& pos_weight) {
    const char* op = "binary_cross_entropy_with_logits";
    check_floating_loss(op, x);
    check<ShapeError>(x.shape() == target.shape(), op, ": target ", target.shape(),
                      " must have the shape of input ", x.shape());
    if (!weight.defined() && !pos_weight.defined())
        return pointwise(DL_LOSS_BCE_LOGITS, x, target, reduction);
    dl_reduction r = parse_reduction(op, reduction);
    Tensor loss;
    if (pos_weight.defined()) {  // (1 - t) x + (1 + (w - 1) t) log(1 + exp(-x))
        Tensor scale = add(mul(sub(pos_weight, 1.0), target), 1.0);
        loss = add(mul(sub(num(1), target), x), mul(scale, neg(logsigmoid(x))));
    } else {
        loss = pointwise(DL_LOSS_BCE_LOGITS, x, target, "none");
    }
    return reduce_loss(weight.defined() ? mul(loss, weight) : loss, r);
}

Tensor kl_div(const Tensor& x, const Tensor& target, const std::string& reduction,
              bool log_target) {
    const char* op = "kl_div";
    check_floating_loss(op, x);
    bool batch = reduction == "batchmean";
    dl_reduction r = batch ? DL_REDUCTION_SUM : parse_reduction(op, reduction);
    Tensor loss =
        log_target ? mul(exp(target), sub(target, x)) : sub(xlogy(target, target), mul(target, x));
    Tensor y = reduce_loss(loss, r);
    return batch && x.dim() > 0 ? div(y, double(x.shape()[0])) : y;
}

}  // namespace deeplite
