// Pointwise functions of one tensor, with gradients.
#include <cmath>
#include <limits>

#include "ops/elementwise_map.h"
#include "ops/factory.h"

namespace deeplite {
namespace {

using namespace map;
using T1 = const Tensor&;

Tensor one_minus(T1 x) { return rsub(x, wrapped_number(1.0)); }
Tensor one_plus(T1 x) { return add(x, 1.0); }
constexpr auto zero_gradient = [](T1 dy) { return zeros_like(dy); };

// In one kernel when no graph of the gradient is wanted.
template <int which, class F>
Tensor fused_or(const char* op, T1 dy, T1 saved, const F& composed) {
    return grad_enabled() ? composed() : fused_grad(op, which, dy, saved);
}

struct Neg {
    static constexpr OpInfo info{.name = "neg"};
    static void check_bool(T1 x) {
        check(x.dtype() != DType::Bool,
              "neg: negation of a bool tensor is not supported; use ~ or logical_not()");
    }
    Tensor forward(T1 x) const {
        check_bool(x);
        return unary_forward<DL_UNARY_NEG, kOwn>("neg", x);
    }
    void forward_into(T1 self) const {
        check_bool(self);
        unary_into<DL_UNARY_NEG, kOwn>("neg", self);
    }
    Grads backward(const Ctx&, T1 dy) const { return {neg(dy)}; }
};

using Abs = FromInput<"abs", DL_UNARY_ABS,
                      [](T1 x, T1 dy) {
                          return fused_or<DL_BINARY_ABS_GRAD>("abs", dy, x,
                                                              [&] { return mul(dy, sign(x)); });
                      },
                      kOwn>;
using Sign = FromNothing<"sign", DL_UNARY_SIGN, zero_gradient, kOwn>;
using Square =
    FromInput<"square", DL_UNARY_SQUARE, [](T1 x, T1 dy) { return mul(dy, mul(x, 2.0)); }, kOwn>;
using Sqrt = FromOutput<"sqrt", DL_UNARY_SQRT, [](T1 y, T1 dy) {
    return fused_or<DL_BINARY_SQRT_GRAD>("sqrt", dy, y, [&] { return div(dy, mul(y, 2.0)); });
}>;
using Rsqrt = FromOutput<"rsqrt", DL_UNARY_RSQRT, [](T1 y, T1 dy) {
    return fused_or<DL_BINARY_RSQRT_GRAD>("rsqrt", dy, y,
                                          [&] { return mul(dy, mul(mul(square(y), y), -0.5)); });
}>;
using Reciprocal = FromOutput<"reciprocal", DL_UNARY_RECIPROCAL, [](T1 y, T1 dy) {
    return fused_or<DL_BINARY_RECIPROCAL_GRAD>("reciprocal", dy, y,
                                               [&] { return neg(mul(dy, square(y))); });
}>;
using Floor = FromNothing<"floor", DL_UNARY_FLOOR, zero_gradient, kRounding>;
using Ceil = FromNothing<"ceil", DL_UNARY_CEIL, zero_gradient, kRounding>;
using Round = FromNothing<"round", DL_UNARY_ROUND, zero_gradient, kRounding>;
using Trunc = FromNothing<"trunc", DL_UNARY_TRUNC, zero_gradient, kRounding>;
using Frac = FromNothing<"frac", DL_UNARY_FRAC, [](T1 dy) { return dy; }, kOwn>;
using Deg2Rad =
    FromNothing<"deg2rad", DL_UNARY_DEG2RAD, [](T1 dy) { return mul(dy, 0.017453292519943295); }>;
using Rad2Deg =
    FromNothing<"rad2deg", DL_UNARY_RAD2DEG, [](T1 dy) { return mul(dy, 57.29577951308232); }>;

using Exp = FromOutput<"exp", DL_UNARY_EXP, [](T1 y, T1 dy) { return mul(dy, y); }>;
using Exp2 = FromOutput<"exp2", DL_UNARY_EXP2,
                        [](T1 y, T1 dy) { return mul(dy, mul(y, 0.69314718055994531)); }>;
using Expm1 = FromOutput<"expm1", DL_UNARY_EXPM1, [](T1 y, T1 dy) { return mul(dy, one_plus(y)); }>;
using Log = FromInput<"log", DL_UNARY_LOG, [](T1 x, T1 dy) { return div(dy, x); }>;
using Log2 = FromInput<"log2", DL_UNARY_LOG2,
                       [](T1 x, T1 dy) { return div(dy, mul(x, 0.69314718055994531)); }>;
using Log10 = FromInput<"log10", DL_UNARY_LOG10,
                        [](T1 x, T1 dy) { return div(dy, mul(x, 2.302585092994046)); }>;
using Log1p = FromInput<"log1p", DL_UNARY_LOG1P, [](T1 x, T1 dy) { return div(dy, one_plus(x)); }>;
using Sin = FromInput<"sin", DL_UNARY_SIN, [](T1 x, T1 dy) { return mul(dy, cos(x)); }>;
using Cos = FromInput<"cos", DL_UNARY_COS, [](T1 x, T1 dy) { return neg(mul(dy, sin(x))); }>;
using Tan =
    FromOutput<"tan", DL_UNARY_TAN, [](T1 y, T1 dy) { return mul(dy, one_plus(square(y))); }>;
using Asin = FromInput<"asin", DL_UNARY_ASIN,
                       [](T1 x, T1 dy) { return mul(dy, rsqrt(one_minus(square(x)))); }>;
using Acos = FromInput<"acos", DL_UNARY_ACOS,
                       [](T1 x, T1 dy) { return neg(mul(dy, rsqrt(one_minus(square(x))))); }>;
using Atan =
    FromInput<"atan", DL_UNARY_ATAN, [](T1 x, T1 dy) { return div(dy, one_plus(square(x))); }>;
using Sinh = FromInput<"sinh", DL_UNARY_SINH, [](T1 x, T1 dy) { return mul(dy, cosh(x)); }>;
using Cosh = FromInput<"cosh", DL_UNARY_COSH, [](T1 x, T1 dy) { return mul(dy, sinh(x)); }>;
using Tanh = FromOutput<"tanh", DL_UNARY_TANH, [](T1 y, T1 dy) {
    return fused_or<DL_BINARY_TANH_GRAD>("tanh", dy, y,
                                         [&] { return mul(dy, one_minus(square(y))); });
}>;
using Asinh = FromInput<"asinh", DL_UNARY_ASINH,
                        [](T1 x, T1 dy) { return mul(dy, rsqrt(one_plus(square(x)))); }>;
using Acosh = FromInput<"acosh", DL_UNARY_ACOSH,
                        [](T1 x, T1 dy) { return mul(dy, rsqrt(sub(square(x), 1.0))); }>;
using Atanh =
    FromInput<"atanh", DL_UNARY_ATANH, [](T1 x, T1 dy) { return div(dy, one_minus(square(x))); }>;

Tensor gauss(T1 x, double factor) { return mul(exp(neg(square(x))), factor); }
constexpr double kTwoOverSqrtPi = 1.1283791670955126;
using Erf =
    FromInput<"erf", DL_UNARY_ERF, [](T1 x, T1 dy) { return mul(dy, gauss(x, kTwoOverSqrtPi)); }>;
using Erfc = FromInput<"erfc", DL_UNARY_ERFC,
                       [](T1 x, T1 dy) { return mul(dy, gauss(x, -kTwoOverSqrtPi)); }>;
using Erfinv = FromOutput<"erfinv", DL_UNARY_ERFINV, [](T1 y, T1 dy) {
    return mul(dy, mul(exp(square(y)), 0.88622692545275801));
}>;

// The derivative of digamma, from the identities that lead from x to large arguments:
// psi1(x) = 1/x^2 + psi1(x + 1), and the asymptotic series at x >= 6. x <= 0 by reflection.
Tensor trigamma(T1 x) {
    Tensor reflected = lt(x, 0.5), z = where(reflected, one_minus(x), x);
    Tensor total = zeros_like(z);
    for (int step = 0; step < 8; ++step) {
        total = add(total, reciprocal(square(z)));
        z = one_plus(z);
    }
    Tensor r = reciprocal(z), r2 = square(r);
    // 1/z + 1/2z^2 + sum of B(2k) / z^(2k+1)
    const double bernoulli[] = {7. / 6, -691. / 2730, 5. / 66, -1. / 30, 1. / 42, -1. / 30, 1. / 6};
    Tensor series = zeros_like(z);
    for (double b : bernoulli) series = add(mul(series, r2), b);
    series = add(mul(mul(series, r2), r), add(r, mul(r2, 0.5)));
    total = add(total, series);
    const double pi = 3.14159265358979323846;
    Tensor mirror = sub(square(mul(reciprocal(sin(mul(x, pi))), pi)), total);
    return where(reflected, mirror, total);
}
using Digamma =
    FromInput<"digamma", DL_UNARY_DIGAMMA, [](T1 x, T1 dy) { return mul(dy, trigamma(x)); }>;
using Lgamma =
    FromInput<"lgamma", DL_UNARY_LGAMMA, [](T1 x, T1 dy) { return mul(dy, digamma(x)); }>;
// (cos(pi x) - sinc(x)) / x, 0 at 0
using Sinc = FromInput<"sinc", DL_UNARY_SINC, [](T1 x, T1 dy) {
    Tensor slope = div(sub(cos(mul(x, 3.14159265358979323846)), sinc(x)), x);
    return mul(dy, masked_fill(slope, eq(x, 0.0), 0.0));
}>;
using Sigmoid = FromOutput<"sigmoid", DL_UNARY_SIGMOID, [](T1 y, T1 dy) {
    return fused_or<DL_BINARY_SIGMOID_GRAD>("sigmoid", dy, y,
                                            [&] { return mul(dy, mul(one_minus(y), y)); });
}>;

struct Logit {
    static constexpr OpInfo info{.name = "logit", .save_inputs = 1};
    double eps;  // negative: none
    void attributes(auto& v) const { v("eps", eps); }
    Tensor forward(T1 x) const { return unary_forward<DL_UNARY_LOGIT, kFloats>("logit", x, {eps}); }
    void forward_into(T1 self) const { unary_into<DL_UNARY_LOGIT, kFloats>("logit", self, {eps}); }
    Grads backward(const Ctx& c, T1 dy) const {
        Tensor x = c.in(0), g = div(dy, mul(x, one_minus(x)));
        if (eps < 0) {  // outside of [0, 1] there is no derivative
            Tensor outside = logical_or(lt(x, 0.0), gt(x, 1.0));
            return {masked_fill(g, outside, std::numeric_limits<double>::quiet_NaN())};
        }
        return {masked_fill(g, logical_or(lt(x, eps), gt(x, 1 - eps)), 0.0)};
    }
};

struct RoundDecimals {
    static constexpr OpInfo info{.name = "round_decimals"};
    int64_t decimals;
    void attributes(auto& v) const { v("decimals", decimals); }
    Tensor forward(T1 x) const {
        check<NotImplementedError>(x.is_floating(), "round: decimals=", decimals,
                                   " is only defined for floating tensors, got ", x.dtype());
        Tensor y = cast_raw(x, compute_dtype(x.dtype()));
        const double scale = std::pow(10.0, double(std::abs(decimals)));
        y = decimals > 0 ? mul(y, scale) : div(y, scale);
        y = round(y);
        y = decimals > 0 ? div(y, scale) : mul(y, scale);
        return cast_raw(y, x.dtype());
    }
    Grads backward(const Ctx&, T1 dy) const { return {zeros_like(dy)}; }
};

struct NanToNum {
    static constexpr OpInfo info{.name = "nan_to_num", .save_inputs = 1};
    double nan;
    std::optional<double> posinf, neginf;
    void attributes(auto& v) const { v("nan", nan); }
    Params params(DType t) const {
        double most = t == DType::Float64    ? std::numeric_limits<double>::max()
                      : t == DType::BFloat16 ? 3.3895313892515355e38
                      : t == DType::Float16  ? 65504.0
                                             : double(std::numeric_limits<float>::max());
        return {nan, posinf.value_or(most), neginf.value_or(-most)};
    }
    Tensor forward(T1 x) const {
        if (!x.is_floating()) return clone_raw(x);
        return unary_forward<DL_UNARY_NAN_TO_NUM, kOwn>("nan_to_num", x, params(x.dtype()));
    }
    void forward_into(T1 self) const {
        if (self.is_floating())
            unary_into<DL_UNARY_NAN_TO_NUM, kOwn>("nan_to_num", self, params(self.dtype()));
    }
    Grads backward(const Ctx& c, T1 dy) const {
        return {masked_fill(dy, logical_not(isfinite(c.in(0))), 0.0)};
    }
};

template <class Op>
Tensor call(T1 x) {
    return apply(Op{}, x);
}
template <class Op>
T1 call_inplace(T1 self) {
    return apply_inplace(Op{}, self);
}
template <class Op>
constexpr UnaryFunction both() {
    return {Op::info.name, call<Op>, call_inplace<Op>};
}

constexpr UnaryFunction table[] = {
    both<Neg>(),    both<Abs>(),        both<Sign>(),    both<Square>(), both<Sqrt>(),
    both<Rsqrt>(),  both<Reciprocal>(), both<Floor>(),   both<Ceil>(),   both<Trunc>(),
    both<Frac>(),   both<Deg2Rad>(),    both<Rad2Deg>(), both<Exp>(),    both<Exp2>(),
    both<Expm1>(),  both<Log>(),        both<Log2>(),    both<Log10>(),  both<Log1p>(),
    both<Sin>(),    both<Cos>(),        both<Tan>(),     both<Asin>(),   both<Acos>(),
    both<Atan>(),   both<Sinh>(),       both<Cosh>(),    both<Tanh>(),   both<Asinh>(),
    both<Acosh>(),  both<Atanh>(),      both<Erf>(),     both<Erfc>(),   both<Erfinv>(),
    both<Lgamma>(), both<Digamma>(),    both<Sinc>(),    both<Sigmoid>()};

}  // namespace

std::span<const UnaryFunction> unary_functions() { return table; }

Tensor neg(T1 x) { return apply(Neg{}, x); }
Tensor abs(T1 x) { return apply(Abs{}, x); }
Tensor sign(T1 x) { return apply(Sign{}, x); }
Tensor square(T1 x) {
    return x.dtype() == DType::Bool ? square(cast(x, DType::Int64)) : apply(Square{}, x);
}
Tensor sqrt(T1 x) { return apply(Sqrt{}, x); }
Tensor rsqrt(T1 x) { return apply(Rsqrt{}, x); }
Tensor reciprocal(T1 x) { return apply(Reciprocal{}, x); }
Tensor floor(T1 x) { return apply(Floor{}, x); }
Tensor ceil(T1 x) { return apply(Ceil{}, x); }
Tensor round(T1 x, int64_t decimals) {
    return decimals ? apply(RoundDecimals{decimals}, x) : apply(Round{}, x);
}
const Tensor& round_(T1 self, int64_t decimals) {
    return decimals ? apply_inplace(RoundDecimals{decimals}, self) : apply_inplace(Round{}, self);
}
Tensor trunc(T1 x) { return apply(Trunc{}, x); }
Tensor frac(T1 x) { return apply(Frac{}, x); }
Tensor deg2rad(T1 x) { return apply(Deg2Rad{}, x); }
Tensor rad2deg(T1 x) { return apply(Rad2Deg{}, x); }
Tensor exp(T1 x) { return apply(Exp{}, x); }
Tensor exp2(T1 x) { return apply(Exp2{}, x); }
Tensor expm1(T1 x) { return apply(Expm1{}, x); }
Tensor log(T1 x) { return apply(Log{}, x); }
Tensor log2(T1 x) { return apply(Log2{}, x); }
Tensor log10(T1 x) { return apply(Log10{}, x); }
Tensor log1p(T1 x) { return apply(Log1p{}, x); }
Tensor sin(T1 x) { return apply(Sin{}, x); }
Tensor cos(T1 x) { return apply(Cos{}, x); }
Tensor tan(T1 x) { return apply(Tan{}, x); }
Tensor asin(T1 x) { return apply(Asin{}, x); }
Tensor acos(T1 x) { return apply(Acos{}, x); }
Tensor atan(T1 x) { return apply(Atan{}, x); }
Tensor sinh(T1 x) { return apply(Sinh{}, x); }
Tensor cosh(T1 x) { return apply(Cosh{}, x); }
Tensor tanh(T1 x) { return apply(Tanh{}, x); }
Tensor asinh(T1 x) { return apply(Asinh{}, x); }
Tensor acosh(T1 x) { return apply(Acosh{}, x); }
Tensor atanh(T1 x) { return apply(Atanh{}, x); }
Tensor erf(T1 x) { return apply(Erf{}, x); }
Tensor erfc(T1 x) { return apply(Erfc{}, x); }
Tensor erfinv(T1 x) { return apply(Erfinv{}, x); }
Tensor lgamma(T1 x) { return apply(Lgamma{}, x); }
Tensor digamma(T1 x) { return apply(Digamma{}, x); }
Tensor polygamma(int64_t n, T1 x) {
    check(n >= 0, "polygamma: n must not be negative, got ", n);
    check<NotImplementedError>(n <= 1, "polygamma: only n = 0 and n = 1 are there, got ", n);
    return n == 0 ? digamma(x) : trigamma(cast(x, float_dtype(x.dtype())));
}
Tensor sinc(T1 x) { return apply(Sinc{}, x); }
Tensor sigmoid(T1 x) { return apply(Sigmoid{}, x); }
Tensor logit(T1 x, std::optional<double> eps) { return apply(Logit{eps.value_or(-1)}, x); }
const Tensor& logit_(T1 self, std::optional<double> eps) {
    return apply_inplace(Logit{eps.value_or(-1)}, self);
}
Tensor nan_to_num(T1 x, double nan, std::optional<double> posinf, std::optional<double> neginf) {
    return apply(NanToNum{nan, posinf, neginf}, x);
}
const Tensor& nan_to_num_(T1 self, double nan, std::optional<double> posinf,
                          std::optional<double> neginf) {
    return apply_inplace(NanToNum{nan, posinf, neginf}, self);
}

}  // namespace deeplite
