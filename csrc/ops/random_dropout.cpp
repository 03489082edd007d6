// Dropout and the other ops whose noise is part of a layer.
#include <cmath>

#include "kernels/random.h"
#include "ops/apply.h"
#include "ops/copy.h"
#include "ops/elementwise.h"
#include "ops/factory.h"
#include "ops/index.h"
#include "ops/index_sort.h"
#include "ops/iter.h"
#include "ops/random.h"
#include "ops/softmax.h"
#include "ops/view.h"

namespace deeplite {
namespace {

void check_p(const char* op, double p) {
    check<ValueError>(p >= 0 && p <= 1, op, ": the probability p must lie in [0, 1], got ", p);
}

// dy where the mask is set, times scale; linear, so it is its own backward.
struct DropoutBackward {
    static constexpr OpInfo info{.name = "dropout_backward", .save_inputs = 0b10};
    double scale;
    void attributes(auto& v) const { v("scale", scale); }
    Tensor forward(const Tensor& dy, const Tensor& mask) const {
        // All three are walked in one order, that of the mask.
        const DType t = compute_dtype(dy.dtype());
        const Tensor m = is_dense(mask) ? mask : contiguous_raw(mask), dx = empty_like(m, t);
        Tensor from = dy;
        if (dy.dtype() != t || !is_dense(dy) || !(dy.strides() == m.strides()))
            copy_raw(from = empty_like(m, t), dy);
        Device d = dy.device();
        auto fn = kernel(info.name, d, backend_of(d).random, &dl_random_table::dropout_backward);
        check_status(
            fn(from.raw(), m.data<uint8_t>(), dx.raw(), dx.numel(), scale, int(dx.dtype())), d,
            info.name);
        return cast_raw(dx, dy.dtype());
    }
    Grads backward(const Ctx& c, const Tensor& ddx) const {
        return {apply(*this, ddx, c.in(1)), Tensor{}};
    }
};

// y and the mask of what was kept.
struct Dropout {
    static constexpr OpInfo info{
        .name = "dropout", .save_outputs = 0b10, .differentiable_outputs = 0b1};
    double p;
    int64_t seed, offset;
    void attributes(auto& v) const {
        v("p", p);
        v("seed", seed);
        v("offset", offset);
    }
    double scale() const { return p < 1 ? 1 / (1 - p) : 0; }
    std::array<Tensor, 2> forward(const Tensor& x) const {
        const DType t = compute_dtype(x.dtype());  // a dense input is walked as it lies in memory
        const Tensor from = is_dense(x) ? cast_raw(x, t) : cast_contiguous_raw(x, t);
        const Tensor y = empty_like(from), mask = empty_like(from, DType::Bool);
        dl_dropout_args a{};
        a.dtype = int(from.dtype());
        a.seed = uint64_t(seed);
        a.offset = uint64_t(offset);
        a.n = x.numel();
        a.p = p;
        a.scale = scale();
        a.x = from.raw();
        a.y = y.raw();
        a.mask = mask.data<uint8_t>();
        Device d = x.device();
        check_status(kernel(info.name, d, backend_of(d).random, &dl_random_table::dropout)(&a), d,
                     info.name);
        return {cast_raw(y, x.dtype()), mask};
    }
    Grads backward(const Ctx& c, const Grads& dys) const {
        if (!dys[0].defined()) return {Tensor{}};
        return {apply(DropoutBackward{scale()}, dys[0], c.out(1))};
    }
};

// Noise of `shape`: 1 / (1 - p) where kept, 0 where dropped.
Tensor dropout_noise(const Tensor& like, const Dims& shape, double p) {
    GradMode no_grad(false);
    return dropout(ones(shape, like.dtype(), like.device()), p, true);
}

Dims feature_shape(const Tensor& x) {
    Dims shape = x.shape();
    for (int d = 2; d < shape.size(); ++d) shape[d] = 1;
    return shape;
}

// Self-normalising dropout (Klambauer et al., 2017): dropped units take the value alpha' that SELU
// saturates at, and an affine map keeps mean and variance.
Tensor alpha_noise(const Tensor& x, const Dims& shape, double p) {
    if (p == 1) return mul(x, zeros({}, x.dtype(), x.device()));
    constexpr double alpha = 1.7580993408473766;
    double a = 1 / std::sqrt((alpha * alpha * p + 1) * (1 - p));
    Tensor kept, shift;
    {
        GradMode no_grad(false);
        Tensor noise = bernoulli_(empty(shape, x.dtype(), x.device()), 1 - p);
        kept = mul(noise, wrapped_number(a));
        shift =
            add(mul(noise, wrapped_number(alpha * a)), wrapped_number(alpha * a * p - alpha * a));
    }
    return add(mul(x, kept), shift);
}

}  // namespace

Tensor dropout(const Tensor& x, double p, bool training) {
    check_p("dropout", p);
    check<TypeError>(x.is_floating() || !training,
                     "dropout: expected a floating-point tensor, got ", x.dtype());
    if (!training || p == 0 || x.numel() == 0) return x;
    Generator::State s = default_generator()->reserve(uint64_t(x.numel()));
    return apply(Dropout{p, int64_t(s.seed), int64_t(s.offset)}, x)[0];
}

const Tensor& dropout_(const Tensor& self, double p, bool training) {
    check_p("dropout_", p);
    if (!training || p == 0 || self.numel() == 0) return self;
    return mul_(self, dropout_noise(self, self.shape(), p));
}

Tensor feature_dropout(const char* name, const Tensor& x, double p, bool training, int ndim) {
    check_p(name, p);
    if (ndim == 0)
        check<ShapeError>(x.dim() >= 2, name, ": expected at least 2 dimensions, got shape ",
                          x.shape());
    else if (ndim == 2)
        check<ShapeError>(x.dim() == 3 || x.dim() == 4 || x.dim() == 2, name,
                          ": expected 3 or 4 dimensions, got shape ", x.shape());
    else
        check<ShapeError>(x.dim() == ndim + 1 || x.dim() == ndim + 2, name, ": expected ", ndim + 1,
                          " or ", ndim + 2, " dimensions, got shape ", x.shape());
    if (!training || p == 0 || x.numel() == 0) return x;
    bool unbatched = (ndim == 1 || ndim == 3) && x.dim() == ndim + 1;
    Tensor from = unbatched ? unsqueeze(x, 0) : x;
    Tensor y = mul(from, dropout_noise(x, feature_shape(from), p));
    return unbatched ? squeeze(y, {0}) : y;
}

Tensor alpha_dropout(const Tensor& x, double p, bool training) {
    check_p("alpha_dropout", p);
    if (!training || p == 0 || x.numel() == 0) return x;
    return alpha_noise(x, x.shape(), p);
}

Tensor feature_alpha_dropout(const Tensor& x, double p, bool training) {
    check_p("feature_alpha_dropout", p);
    if (!training || p == 0 || x.numel() == 0) return x;
    check<ShapeError>(x.dim() >= 2,
                      "feature_alpha_dropout: expected at least 2 dimensions, got shape ",
                      x.shape());
    return alpha_noise(x, feature_shape(x), p);
}

Tensor rrelu(const Tensor& x, double lower, double upper, bool training) {
    check<Error>(lower <= upper, "rrelu: lower ", lower, " must not exceed upper ", upper);
    Tensor slope;
    {
        GradMode no_grad(false);
        Tensor zero = zeros({}, x.dtype(), x.device());
        Tensor one = ones({}, x.dtype(), x.device());
        Tensor negative = training ? uniform_(empty(x.shape(), x.dtype(), x.device()), lower, upper)
                                   : full({}, (lower + upper) / 2, x.dtype(), x.device());
        slope = where(lt(zero, x), one, negative);
    }
    return mul(x, slope);
}

Tensor gumbel_softmax(const Tensor& logits, double tau, bool hard, int64_t dim) {
    check<TypeError>(logits.is_floating(), "gumbel_softmax: expected a floating-point tensor, got ",
                     logits.dtype());
    Tensor gumbel;
    {
        GradMode no_grad(false);
        gumbel = neg(log(exponential_(empty(logits.shape(), logits.dtype(), logits.device()))));
    }
    Tensor soft = softmax(div(add(logits, gumbel), wrapped_number(tau)), dim);
    if (!hard) return soft;
    // One-hot forward, the gradient of the soft sample backward.
    Tensor best = topk(detach(soft), 1, dim)[1];
    Tensor one_hot =
        scatter(zeros(soft.shape(), soft.dtype(), soft.device()), dim, best, wrapped_number(1.0));
    return add(sub(one_hot, detach(soft)), soft);
}

}  // namespace deeplite
