// Activations. Each rule names its kernels and gives its derivative as a formula of ops; backward takes
// the fused kernel unless a graph of the gradient is wanted.
#include <cmath>

#include "ops/elementwise_map.h"
#include "ops/factory.h"
#include "ops/view.h"

namespace deeplite {
namespace {

using namespace map;
using T1 = const Tensor&;

Tensor one_minus(T1 x) { return rsub(x, wrapped_number(1.0)); }
// 1 where the condition holds, else 0, in x's dtype
Tensor step(T1 condition, T1 x) { return cast(condition, x.dtype()); }

// `from_output`: kernel and derivative take the result y rather than x.
template <class Rule>
struct Activation {
    static constexpr OpInfo info{.name = Rule::name,
                                 .save_inputs = Rule::from_output ? 0 : 1,
                                 .save_outputs = Rule::from_output ? 1 : 0};
    Params p = {};
    void attributes(auto& v) const {
        for (size_t i = 0; i < Rule::parameters.size(); ++i) v(Rule::parameters[i], p[i]);
    }
    Tensor forward(T1 x) const { return unary_forward<Rule::kernel, kOwn>(Rule::name, x, p); }
    void forward_into(T1 self) const { unary_into<Rule::kernel, kOwn>(Rule::name, self, p); }
    Grads backward(const Ctx& c, T1 dy) const {
        Tensor saved = Rule::from_output ? c.out(0) : c.in(0);
        if (grad_enabled()) return {mul(dy, Rule::derivative(saved, p))};
        return {fused_grad(Rule::name, Rule::grad_kernel, dy, saved, p)};
    }
};
template <size_t N>
using Words = std::array<const char*, N>;

struct Relu {
    static constexpr const char* name = "relu";
    static constexpr Words<0> parameters{};
    static constexpr int kernel = DL_UNARY_RELU, grad_kernel = DL_BINARY_RELU_GRAD;
    static constexpr bool from_output = true;
    static Tensor derivative(T1 y, const Params&) { return step(gt(y, 0.0), y); }
};
// A slope that is not negative keeps the sign, so that the result will do (and in place costs nothing).
template <bool by_output>
struct LeakyRelu {
    static constexpr const char* name = "leaky_relu";
    static constexpr Words<1> parameters{"negative_slope"};
    static constexpr int kernel = DL_UNARY_LEAKY_RELU, grad_kernel = DL_BINARY_LEAKY_RELU_GRAD;
    static constexpr bool from_output = by_output;
    static Tensor derivative(T1 x, const Params& p) {
        return where(gt(x, 0.0), step(gt(x, 0.0), x), mul(step(le(x, 0.0), x), p[0]));
    }
};
struct Elu {  // alpha, scale, input_scale: also selu and celu
    static constexpr const char* name = "elu";
    static constexpr Words<3> parameters{"alpha", "scale", "input_scale"};
    static constexpr int kernel = DL_UNARY_ELU, grad_kernel = DL_BINARY_ELU_GRAD;
    static constexpr bool from_output = false;
    static Tensor derivative(T1 x, const Params& p) {
        Tensor positive = gt(x, 0.0), below = masked_fill(x, positive, 0.0);
        Tensor slope = mul(exp(mul(below, p[2])), p[0] * p[1] * p[2]);
        return where(positive, wrapped_number(p[1]), slope);
    }
};
struct Gelu {
    static constexpr const char* name = "gelu";
    static constexpr Words<0> parameters{};
    static constexpr int kernel = DL_UNARY_GELU, grad_kernel = DL_BINARY_GELU_GRAD;
    static constexpr bool from_output = false;
    static Tensor derivative(T1 x, const Params&) {
        Tensor cdf = mul(add(erf(mul(x, 0.70710678118654752)), 1.0), 0.5);
        Tensor pdf = mul(exp(mul(square(x), -0.5)), 0.39894228040143268);
        return add(cdf, mul(x, pdf));
    }
};
struct GeluTanh {
    static constexpr const char* name = "gelu_tanh";
    static constexpr Words<0> parameters{};
    static constexpr int kernel = DL_UNARY_GELU_TANH, grad_kernel = DL_BINARY_GELU_TANH_GRAD;
    static constexpr bool from_output = false;
    static Tensor derivative(T1 x, const Params&) {
        Tensor x2 = square(x);
        Tensor u = mul(mul(x, add(mul(x2, 0.044715), 1.0)), 1.5957691216057308);
        Tensor du = mul(add(mul(x2, 0.134145), 1.0), 1.5957691216057308);
        Tensor s = sigmoid(u);
        return add(s, mul(mul(x, mul(s, one_minus(s))), du));
    }
};
struct Silu {
    static constexpr const char* name = "silu";
    static constexpr Words<0> parameters{};
    static constexpr int kernel = DL_UNARY_SILU, grad_kernel = DL_BINARY_SILU_GRAD;
    static constexpr bool from_output = false;
    static Tensor derivative(T1 x, const Params&) {
        Tensor s = sigmoid(x);
        return mul(s, add(mul(x, one_minus(s)), 1.0));
    }
};
struct Mish {
    static constexpr const char* name = "mish";
    static constexpr Words<0> parameters{};
    static constexpr int kernel = DL_UNARY_MISH, grad_kernel = DL_BINARY_MISH_GRAD;
    static constexpr bool from_output = false;
    static Tensor derivative(T1 x, const Params&) {
        Tensor t = tanh(softplus(x));
        return add(t, mul(mul(x, sigmoid(x)), one_minus(square(t))));
    }
};
struct Softplus {
    static constexpr const char* name = "softplus";
    static constexpr Words<2> parameters{"beta", "threshold"};
    static constexpr int kernel = DL_UNARY_SOFTPLUS, grad_kernel = DL_BINARY_SOFTPLUS_GRAD;
    static constexpr bool from_output = false;
    static Tensor derivative(T1 x, const Params& p) {
        Tensor z = mul(x, p[0]);
        return where(gt(z, p[1]), wrapped_number(1.0), sigmoid(z));
    }
};
struct LogSigmoid {
    static constexpr const char* name = "logsigmoid";
    static constexpr Words<0> parameters{};
    static constexpr int kernel = DL_UNARY_LOGSIGMOID, grad_kernel = DL_BINARY_LOGSIGMOID_GRAD;
    static constexpr bool from_output = false;
    static Tensor derivative(T1 x, const Params&) { return sigmoid(neg(x)); }
};
struct Hardtanh {  // min < y < max exactly where min < x < max
    static constexpr const char* name = "hardtanh";
    static constexpr Words<2> parameters{"min_val", "max_val"};
    static constexpr int kernel = DL_UNARY_CLAMP, grad_kernel = DL_BINARY_HARDTANH_GRAD;
    static constexpr bool from_output = true;
    static Tensor derivative(T1 y, const Params& p) {
        return step(logical_and(gt(y, p[0]), lt(y, p[1])), y);
    }
};
struct Hardswish {
    static constexpr const char* name = "hardswish";
    static constexpr Words<0> parameters{};
    static constexpr int kernel = DL_UNARY_HARDSWISH, grad_kernel = DL_BINARY_HARDSWISH_GRAD;
    static constexpr bool from_output = false;
    static Tensor derivative(T1 x, const Params&) {
        Tensor inside = where(lt(x, 3.0), add(mul(x, 1. / 3), 0.5), wrapped_number(1.0));
        return where(le(x, -3.0), wrapped_number(0.0), inside);
    }
};
struct Hardsigmoid {
    static constexpr const char* name = "hardsigmoid";
    static constexpr Words<0> parameters{};
    static constexpr int kernel = DL_UNARY_HARDSIGMOID, grad_kernel = DL_BINARY_HARDSIGMOID_GRAD;
    static constexpr bool from_output = false;
    static Tensor derivative(T1 x, const Params&) {
        return mul(step(logical_and(gt(x, -3.0), lt(x, 3.0)), x), 1. / 6);
    }
};
struct Softsign {
    static constexpr const char* name = "softsign";
    static constexpr Words<0> parameters{};
    static constexpr int kernel = DL_UNARY_SOFTSIGN, grad_kernel = DL_BINARY_SOFTSIGN_GRAD;
    static constexpr bool from_output = false;
    static Tensor derivative(T1 x, const Params&) { return reciprocal(square(add(abs(x), 1.0))); }
};
struct Softshrink {
    static constexpr const char* name = "softshrink";
    static constexpr Words<1> parameters{"lambd"};
    static constexpr int kernel = DL_UNARY_SOFTSHRINK, grad_kernel = DL_BINARY_SHRINK_GRAD;
    static constexpr bool from_output = false;
    static Tensor derivative(T1 x, const Params& p) {
        return step(logical_not(logical_and(ge(x, -p[0]), le(x, p[0]))), x);
    }
};
struct Hardshrink : Softshrink {
    static constexpr const char* name = "hardshrink";
    static constexpr int kernel = DL_UNARY_HARDSHRINK;
};
struct Threshold {
    static constexpr const char* name = "threshold";
    static constexpr Words<2> parameters{"threshold", "value"};
    static constexpr int kernel = DL_UNARY_THRESHOLD, grad_kernel = DL_BINARY_THRESHOLD_GRAD;
    static constexpr bool from_output = false;
    static Tensor derivative(T1 x, const Params& p) { return step(gt(x, p[0]), x); }
};

struct Tanhshrink {
    static constexpr OpInfo info{.name = "tanhshrink", .save_inputs = 1};
    Tensor forward(T1 x) const { return unary_forward<DL_UNARY_TANHSHRINK, kOwn>("tanhshrink", x); }
    Grads backward(const Ctx& c, T1 dy) const { return {mul(dy, square(tanh(c.in(0))))}; }
};

// w broadcasts to x
struct Prelu {
    static constexpr OpInfo info{.name = "prelu", .save_inputs = 0b11};
    Tensor forward(T1 x, T1 w) const {
        DType t = x.dtype();
        return run("prelu", binary_kernel("prelu", x, DL_BINARY_PRELU), {&x, &w}, compute_dtype(t),
                   t);
    }
    Grads backward(const Ctx& c, T1 dy) const {
        Grads g(2);
        Tensor x = c.in(0), w = c.in(1);
        if (c.needs(0)) {
            DType t = dy.dtype();
            g[0] = grad_enabled() ? where(gt(x, 0.0), dy, mul(dy, w))
                                  : run("prelu", ternary_kernel("prelu", dy, DL_TERNARY_PRELU_GRAD),
                                        {&dy, &x, &w}, compute_dtype(t), t);
        }
        if (c.needs(1)) {
            Tensor below = where(gt(x, 0.0), wrapped_number(0.0), x);
            g[1] = reduce_to(mul(dy, below), c, 1);
        }
        return g;
    }
};

constexpr double kSeluAlpha = 1.6732632423543772848170429916717;
constexpr double kSeluScale = 1.0507009873554804934193349852946;
Activation<Elu> elu_op(double alpha) { return {{alpha, 1, 1}}; }
Activation<Elu> selu_op() { return {{kSeluAlpha, kSeluScale, 1}}; }
Activation<Elu> celu_op(double alpha) {
    check(alpha != 0, "celu: alpha cannot be 0");
    return {{alpha, 1, 1 / alpha}};
}
Activation<Hardtanh> hardtanh_op(const char* op, T1 x, double min, double max) {
    check<ValueError>(min <= max, op, ": min_val ", min, " must not be above max_val ", max);
    check(x.dtype() != DType::Bool, op, ": not defined for bool tensors");
    return {{min, max}};
}
void check_lambda(const char* op, double lambd) {
    check(lambd >= 0, op, ": lambd must be at least 0, got ", lambd);
}

}  // namespace

Tensor relu(T1 x) { return apply(Activation<Relu>{}, x); }
const Tensor& relu_(T1 self) { return apply_inplace(Activation<Relu>{}, self); }
Tensor relu6(T1 x) { return hardtanh(x, 0, 6); }
Tensor leaky_relu(T1 x, double slope) {
    return slope >= 0 ? apply(Activation<LeakyRelu<true>>{{slope}}, x)
                      : apply(Activation<LeakyRelu<false>>{{slope}}, x);
}
const Tensor& leaky_relu_(T1 self, double slope) {
    return slope >= 0 ? apply_inplace(Activation<LeakyRelu<true>>{{slope}}, self)
                      : apply_inplace(Activation<LeakyRelu<false>>{{slope}}, self);
}
Tensor elu(T1 x, double alpha) { return apply(elu_op(alpha), x); }
const Tensor& elu_(T1 self, double alpha) { return apply_inplace(elu_op(alpha), self); }
Tensor selu(T1 x) { return apply(selu_op(), x); }
const Tensor& selu_(T1 self) { return apply_inplace(selu_op(), self); }
Tensor celu(T1 x, double alpha) { return apply(celu_op(alpha), x); }
const Tensor& celu_(T1 self, double alpha) { return apply_inplace(celu_op(alpha), self); }
Tensor gelu(T1 x, const std::string& approximate) {
    check(approximate == "none" || approximate == "tanh",
          "gelu: approximate must be 'none' or 'tanh', got '", approximate, "'");
    return approximate == "tanh" ? apply(Activation<GeluTanh>{}, x) : apply(Activation<Gelu>{}, x);
}
Tensor silu(T1 x) { return apply(Activation<Silu>{}, x); }
const Tensor& silu_(T1 self) { return apply_inplace(Activation<Silu>{}, self); }
Tensor mish(T1 x) { return apply(Activation<Mish>{}, x); }
const Tensor& mish_(T1 self) { return apply_inplace(Activation<Mish>{}, self); }
Tensor softplus(T1 x, double beta, double threshold) {
    return apply(Activation<Softplus>{{beta, threshold}}, x);
}
Tensor logsigmoid(T1 x) { return apply(Activation<LogSigmoid>{}, x); }
Tensor hardtanh(T1 x, double min, double max) {
    return apply(hardtanh_op("hardtanh", x, min, max), x);
}
const Tensor& hardtanh_(T1 self, double min, double max) {
    return apply_inplace(hardtanh_op("hardtanh_", self, min, max), self);
}
Tensor hardswish(T1 x) { return apply(Activation<Hardswish>{}, x); }
const Tensor& hardswish_(T1 self) { return apply_inplace(Activation<Hardswish>{}, self); }
Tensor hardsigmoid(T1 x) { return apply(Activation<Hardsigmoid>{}, x); }
const Tensor& hardsigmoid_(T1 self) { return apply_inplace(Activation<Hardsigmoid>{}, self); }
Tensor softsign(T1 x) { return apply(Activation<Softsign>{}, x); }
Tensor tanhshrink(T1 x) { return apply(Tanhshrink{}, x); }
Tensor softshrink(T1 x, double lambd) {
    check_lambda("softshrink", lambd);
    return apply(Activation<Softshrink>{{lambd}}, x);
}
Tensor hardshrink(T1 x, double lambd) { return apply(Activation<Hardshrink>{{lambd}}, x); }
Tensor threshold(T1 x, double threshold, double value) {
    return apply(Activation<Threshold>{{threshold, value}}, x);
}
const Tensor& threshold_(T1 self, double threshold, double value) {
    return apply_inplace(Activation<Threshold>{{threshold, value}}, self);
}

Tensor prelu(T1 x, T1 weight) {  // x [N, C, ...], weight [1] or [C]
    check<ShapeError>(weight.dim() <= 1, "prelu: weight must have at most 1 dimension, got shape ",
                      weight.shape());
    check(weight.dtype() == x.dtype(), "prelu: x and weight must have one dtype, got ", x.dtype(),
          " and ", weight.dtype());
    if (weight.numel() == 1) return apply(Prelu{}, x, x.dim() == 0 ? reshape(weight, {}) : weight);
    int64_t channels = x.dim() >= 2 ? x.shape()[1] : 1;
    check<ShapeError>(weight.numel() == channels, "prelu: weight has ", weight.numel(),
                      " elements but dimension 1 of x ", x.shape(), " holds ", channels,
                      " channels");
    Dims shape = Dims::filled(x.dim(), 1);
    shape[1] = channels;
    return apply(Prelu{}, x, reshape(weight, shape));
}

Tensor glu(T1 x, int64_t dim) {
    check<ShapeError>(x.dim() > 0, "glu: does not support 0-dimensional tensors");
    int d = wrap_dim(dim, x.dim(), "glu");
    int64_t n = x.shape()[d];
    check<ShapeError>(n % 2 == 0, "glu: halving dimension must be even, but dimension ", d, " of ",
                      x.shape(), " has size ", n);
    return mul(narrow(x, d, 0, n / 2), sigmoid(narrow(x, d, n / 2, n / 2)));
}

}  // namespace deeplite
