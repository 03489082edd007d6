// Negative log likelihood, cross entropy, and the losses of two tensors element by element.
#include "ops/loss.h"

#include "ops/loss_common.h"
#include "ops/softmax.h"

namespace deeplite {

dl_reduction parse_reduction(const char* op, const std::string& reduction) {
    if (reduction == "none") return DL_REDUCTION_NONE;
    if (reduction == "mean") return DL_REDUCTION_MEAN;
    check<ValueError>(reduction == "sum", op, ": reduction must be 'none', 'mean' or 'sum', got '",
                      reduction, "'");
    return DL_REDUCTION_SUM;
}

Tensor reduce_loss(const Tensor& loss, dl_reduction reduction) {
    if (reduction == DL_REDUCTION_MEAN) return mean(loss);
    return reduction == DL_REDUCTION_SUM ? sum(loss) : loss;
}

void check_floating_loss(const char* op, const Tensor& x) {
    check<TypeError>(x.is_floating(), op, ": expected a floating input, got dtype ", x.dtype());
}

Tensor class_indices(const char* op, const Tensor& target) {
    check<TypeError>(is_integral(target.dtype()), op,
                     ": expected targets that are class indices (int64), got dtype ",
                     target.dtype());
    return cast(target, DType::Int64);
}

void check_targets(const char* op, dl_status status, const Tensor& x, const Tensor& target,
                   int64_t classes, int64_t ignore_index) {
    if (status != DL_BAD_INDEX) return check_status(status, x.device(), op);
    Tensor host = contiguous_raw(to_device_raw(target, Device{}));
    for (int64_t i = 0; i < host.numel(); ++i) {
        int64_t t = host.data<int64_t>()[i];
        check<IndexError>((t >= 0 && t < classes) || t == ignore_index, op, ": target ", t,
                          " is out of range for ", classes, " classes (input ", x.shape(), ")");
    }
    check_status(status, x.device(), op);
}

namespace {

const char* name_of(dl_reduction r) {
    return r == DL_REDUCTION_NONE ? "none" : r == DL_REDUCTION_MEAN ? "mean" : "sum";
}

// x [N, C, d1, ...] (or [C]) as [n, classes, inner]
struct ClassShape {
    int64_t n, classes, inner = 1;
    explicit ClassShape(const Dims& shape) {
        n = shape.size() > 1 ? shape[0] : 1;
        classes = shape.size() > 1 ? shape[1] : shape[0];
        for (int d = 2; d < shape.size(); ++d) inner *= shape[d];
    }
};

template <class Args>
void fill_classes(Args& args, const Dims& x_shape, DType dtype, dl_reduction reduction,
                  int64_t ignore_index, const Tensor& target, const Tensor& weight) {
    ClassShape s(x_shape);
    args.dtype = int32_t(dtype);
    args.reduction = reduction;
    args.n = s.n, args.classes = s.classes, args.inner = s.inner;
    args.ignore_index = ignore_index;
    args.target = target.data<int64_t>();
    args.weight = weight.defined() ? weight.raw() : nullptr;
}

// Outputs: the loss, and the sum of the weights of the targets that count. Both have the dtype of
// the computation (float32 for halves).
struct NllLoss {
    static constexpr OpInfo info{.name = "nll_loss",
                                 .save_inputs = 0b110,
                                 .save_outputs = 0b10,
                                 .differentiable_outputs = 0b1};
    dl_reduction reduction;
    int64_t ignore_index;
    const char* caller = "nll_loss";  // for messages
    void attributes(auto& v) const {
        v("reduction", std::string(name_of(reduction))), v("ignore_index", ignore_index);
    }
    std::array<Tensor, 2> forward(const Tensor& input, const Tensor& t, const Tensor& w) const {
        DType dtype = compute_dtype(input.dtype());
        Tensor x = cast_contiguous_raw(input, dtype), target = contiguous_raw(t);
        Tensor weight = w.defined() ? cast_contiguous_raw(w, dtype) : w;
        Tensor out = empty(reduction == DL_REDUCTION_NONE ? t.shape() : Dims{}, dtype, x.device());
        Tensor total = empty({}, dtype, x.device());
        dl_nll_args args{};
        fill_classes(args, x.shape(), dtype, reduction, ignore_index, target, weight);
        args.x = x.raw();
        args.out = out.raw();
        args.total_weight = total.raw();
        auto fn = kernel(info.name, x.device(), backend_of(x.device()).loss, &dl_loss_table::nll);
        check_targets(caller, fn(&args), x, target, args.classes, ignore_index);
        return {cast_raw(out, input.dtype()), total};
    }
    Grads backward(const Ctx& c, const Grads& dys) const;
};

// The gradient of NllLoss, linear in dy; its own gradient is NllLoss again.
struct NllLossBackward {
    static constexpr OpInfo info{.name = "nll_loss_backward", .save_inputs = 0b1110};
    dl_reduction reduction;
    int64_t ignore_index;
    Dims shape;  // of x
    void attributes(auto& v) const {
        v("reduction", std::string(name_of(reduction))), v("ignore_index", ignore_index);
        v("shape", shape);
    }
    Tensor forward(const Tensor& g, const Tensor& t, const Tensor& w, const Tensor& total) const {
        DType dtype = total.dtype();
        Tensor dy = cast_contiguous_raw(g, dtype), target = contiguous_raw(t);
        Tensor weight = w.defined() ? cast_contiguous_raw(w, dtype) : w;
        Tensor dx = empty(shape, dtype, dy.device());
        dl_nll_backward_args args{};
        fill_classes(args, shape, dtype, reduction, ignore_index, target, weight);
        args.dy = dy.raw();
        args.total_weight = total.raw();
        args.dx = dx.raw();
        auto fn = kernel(info.name, dy.device(), backend_of(dy.device()).loss,
                         &dl_loss_table::nll_backward);
        check_status(fn(&args), dy.device(), info.name);
        return cast_raw(dx, g.dtype());
    }
    Grads backward(const Ctx& c, const Tensor& ddx) const {
        Tensor ddy = apply(NllLoss{reduction, ignore_index}, ddx, c.in(1), c.in(2))[0];
        return {ddy, Tensor{}, Tensor{}, Tensor{}};
    }
};

Grads NllLoss::backward(const Ctx& c, const Grads& dys) const {
    if (!dys[0].defined()) return {Tensor{}, Tensor{}, Tensor{}};
    NllLossBackward op{reduction, ignore_index, c.shape(0)};
    return {apply(op, dys[0], c.in(1), c.in(2), c.out(1)), Tensor{}, Tensor{}};
}

void check_class_shapes(const char* op, const Tensor& x, const Tensor& target,
                        const Tensor& weight) {
    check_floating_loss(op, x);
    check<ShapeError>(x.dim() >= 1, op, ": expected an input of at least one dimension");
    Dims expected = x.shape();
    expected.erase(x.dim() > 1 ? 1 : 0);
    check<ShapeError>(target.shape() == expected, op, ": expected a target of shape ", expected,
                      " for input ", x.shape(), ", got ", target.shape());
    int64_t classes = ClassShape(x.shape()).classes;
    if (weight.defined()) {
        check<ShapeError>(weight.dim() == 1 && weight.shape()[0] == classes, op,
                          ": expected weight of shape [", classes, "] (the classes of input ",
                          x.shape(), "), got ", weight.shape());
        check<TypeError>(weight.dtype() == x.dtype(), op, ": weight has dtype ", weight.dtype(),
                         ", input ", x.dtype(), "; they must agree");
    }
    check_same_device(op, {&x, &target, &weight});
}

// weight [C] beside x [N, C, ...]
Tensor along_classes(const Tensor& weight, int rank) {
    if (rank <= 1) return weight;
    Dims shape = Dims::filled(rank, 1);
    shape[1] = weight.shape()[0];
    return reshape(weight, shape);
}

Tensor probability_cross_entropy(const Tensor& x, const Tensor& target_in, const Tensor& weight,
                                 dl_reduction reduction, double smoothing) {
    int64_t dim = x.dim() > 1 ? 1 : 0, classes = x.shape()[int(dim)];
    Tensor target = target_in;
    if (smoothing > 0) target = add(mul(target, 1 - smoothing), smoothing / double(classes));
    Tensor loss = mul(log_softmax(x, dim), target);
    if (weight.defined()) loss = mul(loss, along_classes(weight, x.dim()));
    if (reduction == DL_REDUCTION_NONE) return neg(sum(loss, {dim}));
    Tensor total = neg(sum(loss));
    if (reduction == DL_REDUCTION_SUM) return total;
    return div(total, double(x.numel()) / double(classes));
}

// (1 - s) nll + s / C * (the loss summed over all classes)
Tensor smoothed_cross_entropy(const Tensor& logs, const Tensor& target, const Tensor& weight,
                              int64_t ignore_index, dl_reduction reduction, double smoothing) {
    auto [nll, total] =
        apply(NllLoss{reduction, ignore_index, "cross_entropy"}, logs, target, weight);
    int64_t dim = logs.dim() > 1 ? 1 : 0, classes = logs.shape()[int(dim)];
    Tensor weighted = weight.defined() ? mul(logs, along_classes(weight, logs.dim())) : logs;
    Tensor smooth = neg(sum(weighted, {dim}));
    smooth = where(eq(target, double(ignore_index)), num(0), smooth);
    if (reduction != DL_REDUCTION_NONE) smooth = sum(smooth);
    if (reduction == DL_REDUCTION_MEAN) smooth = div(smooth, cast(total, smooth.dtype()));
    return add(mul(nll, 1 - smoothing), mul(smooth, smoothing / double(classes)));
}

}  // namespace

Tensor nll_loss(const Tensor& x, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                const std::string& reduction) {
    const char* op = "nll_loss";
    dl_reduction r = parse_reduction(op, reduction);
    check_class_shapes(op, x, target, weight);
    return apply(NllLoss{r, ignore_index}, x, class_indices(op, target), weight)[0];
}

Tensor cross_entropy(const Tensor& x, const Tensor& target, const Tensor& weight,
                     int64_t ignore_index, const std::string& reduction, double label_smoothing) {
    const char* op = "cross_entropy";
    dl_reduction r = parse_reduction(op, reduction);
    check<ValueError>(label_smoothing >= 0 && label_smoothing <= 1, op,
                      ": label_smoothing must lie in [0, 1], got ", label_smoothing);
    check<ShapeError>(x.dim() >= 1, op, ": expected an input of at least one dimension");
    if (target.shape() == x.shape()) {
        check_floating_loss(op, x);
        check<TypeError>(target.is_floating(), op,
                         ": a target of the input's shape must hold probabilities (floating), got "
                         "dtype ",
                         target.dtype());
        check<ValueError>(ignore_index < 0, op,
                          ": ignore_index does not go with a target of probabilities");
        check_same_device(op, {&x, &target, &weight});
        return probability_cross_entropy(x, target, weight, r, label_smoothing);
    }
    check_class_shapes(op, x, target, weight);
    Tensor indices = class_indices(op, target);
    Tensor logs = log_softmax(x, x.dim() > 1 ? 1 : 0);
    if (label_smoothing > 0)
        return smoothed_cross_entropy(logs, indices, weight, ignore_index, r, label_smoothing);
    return apply(NllLoss{r, ignore_index, op}, logs, indices, weight)[0];
}

}  // namespace deeplite
