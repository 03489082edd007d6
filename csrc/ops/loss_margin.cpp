// Margin losses of classes.
#include "ops/index.h"
#include "ops/loss_common.h"

namespace deeplite {
namespace {

// multi_margin_loss and multilabel_margin_loss of x [C] or [N, C]; see kernels/loss.h.
struct MarginLoss {
    static constexpr OpInfo info{.name = "margin_loss", .save_inputs = 0b111};
    bool multilabel;
    dl_reduction reduction;
    double p, margin;
    void attributes(auto& v) const {
        v("multilabel", multilabel), v("reduction", int64_t(reduction));
        v("p", p), v("margin", margin);
    }
    const char* op_name() const {
        return multilabel ? "multilabel_margin_loss" : "multi_margin_loss";
    }

    Tensor forward(const Tensor& x, const Tensor& target, const Tensor& weight) const {
        bool each = reduction == DL_REDUCTION_NONE && x.dim() > 1;
        Tensor out =
            empty(each ? Dims{x.shape()[0]} : Dims{}, compute_dtype(x.dtype()), x.device());
        run(x, target, weight, Tensor{}, out, reduction);
        return cast_raw(out, x.dtype());
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor x = c.in(0), target = c.in(1), weight = c.in(2);
        if (!grad_enabled()) {
            Tensor dx = empty(x.shape(), compute_dtype(x.dtype()), x.device());
            run(x, target, weight, dy, dx, reduction);
            return {cast_raw(dx, x.dtype()), Tensor{}, Tensor{}};
        }
        Tensor scale =
            reduction == DL_REDUCTION_MEAN && x.dim() > 1 ? div(dy, double(x.shape()[0])) : dy;
        if (scale.dim() == 1) scale = unsqueeze(scale, 1);
        Tensor slopes = multilabel ? constant_slopes(x, target) : multi_slopes(x, target, weight);
        return {mul(slopes, scale), Tensor{}, Tensor{}};
    }

 private:
    // dy undefined: the loss; else its gradient, by the kernel.
    void run(const Tensor& x_in, const Tensor& t, const Tensor& w, const Tensor& g,
             const Tensor& out, dl_reduction how) const {
        DType dtype = out.dtype();
        Tensor x = cast_contiguous_raw(x_in, dtype), target = contiguous_raw(t);
        Tensor weight = w.defined() ? cast_contiguous_raw(w, dtype) : w;
        Tensor dy = g.defined() ? cast_contiguous_raw(g, dtype) : g;
        dl_margin_loss_args args{};
        args.dtype = int32_t(dtype);
        args.reduction = how;
        args.classes = x.shape().back();
        args.n = x.dim() > 1 ? x.shape()[0] : 1;
        args.p = p, args.margin = margin;
        args.x = x.raw();
        args.target = target.data<int64_t>();
        args.weight = weight.defined() ? weight.raw() : nullptr;
        args.dy = dy.defined() ? dy.raw() : nullptr;
        args.out = out.raw();
        auto fn =
            kernel(op_name(), x.device(), backend_of(x.device()).loss,
                   multilabel ? &dl_loss_table::multilabel_margin : &dl_loss_table::multi_margin);
        check_targets(op_name(), fn(&args), x, target, args.classes, multilabel ? -1 : 0);
    }
    // The multilabel loss is piecewise linear in x: its slopes carry no gradient.
    Tensor constant_slopes(const Tensor& x, const Tensor& target) const {
        GradMode off(false);
        DType dtype = compute_dtype(x.dtype());
        Tensor one = full_raw(x.dim() > 1 ? Dims{x.shape()[0]} : Dims{}, 1, dtype, x.device());
        Tensor out = empty(x.shape(), dtype, x.device());
        run(x, target, {}, one, out, DL_REDUCTION_NONE);
        return cast_raw(out, x.dtype());
    }
    Tensor multi_slopes(const Tensor& x_in, const Tensor& target, const Tensor& weight) const {
        int64_t classes = x_in.shape().back();
        Tensor x = reshape(x_in, {-1, classes}), t = reshape(target, {-1, 1});
        Tensor at = reshape(arange(0, double(classes), 1, DType::Int64, x.device()), {1, classes});
        Tensor hit = eq(at, t);  // [N, C]
        Tensor z = add(sub(x, gather(x, 1, t)), margin);
        Tensor counts = logical_and(gt(z, num(0)), logical_not(hit));
        Tensor slope = where(counts, p == 1 ? ones_like(z) : mul(z, 2), num(0));
        if (weight.defined())
            slope = mul(slope, reshape(index_select(weight, 0, reshape(t, {-1})), {-1, 1}));
        slope = div(slope, double(classes));
        Tensor at_target = neg(sum(slope, {1}, true));
        return reshape(where(hit, at_target, slope), x_in.shape());
    }
};

void check_margin_input(const char* op, const Tensor& x) {
    check_floating_loss(op, x);
    check<ShapeError>((x.dim() == 1 || x.dim() == 2) && x.shape().back() > 0, op,
                      ": expected an input [C] or [N, C] with at least one class, got shape ",
                      x.shape());
}

}  // namespace

Tensor multi_margin_loss(const Tensor& x, const Tensor& target, double p, double margin,
                         const Tensor& weight, const std::string& reduction) {
    const char* op = "multi_margin_loss";
    dl_reduction r = parse_reduction(op, reduction);
    check<ValueError>(p == 1 || p == 2, op, ": p must be 1 or 2, got ", p);
    check_margin_input(op, x);
    int64_t n = x.dim() > 1 ? x.shape()[0] : 1;
    check<ShapeError>(target.dim() <= 1 && target.numel() == n, op, ": expected ", n,
                      " targets for input ", x.shape(), ", got shape ", target.shape());
    if (weight.defined())
        check<ShapeError>(weight.dim() == 1 && weight.shape()[0] == x.shape().back(), op,
                          ": expected weight of shape [", x.shape().back(), "], got ",
                          weight.shape());
    check_same_device(op, {&x, &target, &weight});
    return apply(MarginLoss{false, r, p, margin}, x, class_indices(op, target), weight);
}

Tensor multilabel_margin_loss(const Tensor& x, const Tensor& target, const std::string& reduction) {
    const char* op = "multilabel_margin_loss";
    dl_reduction r = parse_reduction(op, reduction);
    check_margin_input(op, x);
    check<ShapeError>(target.shape() == x.shape(), op, ": target ", target.shape(),
                      " must have the shape of input ", x.shape());
    check_same_device(op, {&x, &target});
    return apply(MarginLoss{true, r, 1, 1}, x, class_indices(op, target), Tensor{});
}

}  // namespace deeplite
