#include "ops/elementwise.h"

#include <string>

#include "bindings/bindings.h"
#include "bindings/operators.h"
#include "ops/copy.h"
#include "ops/factory.h"

namespace deeplite {
namespace {

using In = const Operand&;
using T1 = const Tensor&;
using Self = const Tensor&;
using OptString = std::optional<std::string>;
using OptOperand = const std::optional<Operand>&;

Tensor given(OptOperand x) { return x ? x->tensor : Tensor{}; }

void check_alpha_kind(const char* op, T1 a, T1 b, const Scalar& alpha) {
    if (alpha.kind == Scalar::integer) return;
    DType t = result_type(a, b);
    check(alpha.kind != Scalar::boolean || t == DType::Bool, op,
          ": a bool alpha is only supported for bool results");
    check(is_floating(t) || alpha.kind != Scalar::floating, op,
          ": for integral tensors alpha must not be a floating point number");
}

void bind_arithmetic(Api& api) {
    api.both("add(input, other, *, alpha=1)", [](In a, In b, Scalar alpha) {
        check_alpha_kind("add", a, b, alpha);
        return add(a, b, alpha.to_double());
    });
    api.method("add_(self, other, *, alpha=1)", [](Self a, In b, Scalar alpha) -> Tensor {
        check_alpha_kind("add_", a, b, alpha);
        return add_(a, b, alpha.to_double());
    });
    api.both("sub(input, other, *, alpha=1)", [](In a, In b, Scalar alpha) {
        check_alpha_kind("sub", a, b, alpha);
        return sub(a, b, alpha.to_double());
    });
    api.method("sub_(self, other, *, alpha=1)", [](Self a, In b, Scalar alpha) -> Tensor {
        check_alpha_kind("sub_", a, b, alpha);
        return sub_(a, b, alpha.to_double());
    });
    api.fn("rsub(input, other, *, alpha=1)", [](T1 a, In b, Scalar alpha) {
        check_alpha_kind("rsub", a, b, alpha);
        return rsub(a, b, alpha.to_double());
    });
    api.both("mul(input, other)", [](In a, In b) { return mul(a, b); });
    api.method("mul_(self, other)", [](Self a, In b) -> Tensor { return mul_(a, b); });
    api.both("div(input, other, *, rounding_mode=None)",
             [](In a, In b, OptString mode) { return mode ? div(a, b, *mode) : div(a, b); });
    api.method("div_(self, other, *, rounding_mode=None)",
               [](Self a, In b, OptString mode) -> Tensor {
                   return mode ? div_(a, b, *mode) : div_(a, b);
               });
    api.both("floor_divide(input, other)", [](In a, In b) { return floor_divide(a, b); });
    api.method("floor_divide_(self, other)",
               [](Self a, In b) -> Tensor { return floor_divide_(a, b); });
    api.both("remainder(input, other)", [](In a, In b) { return remainder(a, b); });
    api.method("remainder_(self, other)", [](Self a, In b) -> Tensor { return remainder_(a, b); });
    api.both("fmod(input, other)", [](In a, In b) { return fmod(a, b); });
    api.method("fmod_(self, other)", [](Self a, In b) -> Tensor { return fmod_(a, b); });
    api.both("pow(input, exponent)", [](In a, In b) { return pow(a, b); });
    api.method("pow_(self, exponent)", [](Self a, In b) -> Tensor { return pow_(a, b); });
    api.both("float_power(input, exponent)", [](In a, In b) {
        return pow(cast(a, DType::Float64),
                   b.tensor.impl()->wrapped_number ? b.tensor : cast(b, DType::Float64));
    });
    api.method("float_power_(self, exponent)", [](Self a, In b) -> Tensor {
        check(a.dtype() == DType::Float64, "float_power_: the result is float64, which ", a.dtype(),
              " cannot hold");
        return pow_(a, b);
    });
    api.both("ldexp(input, other)", [](T1 a, T1 b) { return mul(a, pow(wrapped_number(2.0), b)); });
    api.method("ldexp_(self, other)",
               [](Self a, T1 b) -> Tensor { return mul_(a, pow(wrapped_number(2.0), b)); });
    for (const char* suffix : {"", "_"}) {
        std::string s = suffix;
        api.alias(("subtract" + s).c_str(), ("sub" + s).c_str());
        api.alias(("multiply" + s).c_str(), ("mul" + s).c_str());
        api.alias(("divide" + s).c_str(), ("div" + s).c_str());
        api.alias(("true_divide" + s).c_str(), ("div" + s).c_str());
    }
}

void bind_binary(Api& api) {
    api.both("maximum(input, other)", [](T1 a, T1 b) { return maximum(a, b); });
    api.both("minimum(input, other)", [](T1 a, T1 b) { return minimum(a, b); });
    api.both("fmax(input, other)", [](T1 a, T1 b) { return fmax(a, b); });
    api.both("fmin(input, other)", [](T1 a, T1 b) { return fmin(a, b); });
    api.both("atan2(input, other)", [](T1 a, T1 b) { return atan2(a, b); });
    api.alias("arctan2", "atan2");
    api.both("hypot(input, other)", [](T1 a, T1 b) { return hypot(a, b); });
    api.both("copysign(input, other)", [](T1 a, In b) { return copysign(a, b); });
    api.both("nextafter(input, other)", [](T1 a, T1 b) { return nextafter(a, b); });
    api.both("xlogy(input, other)", [](In a, In b) { return xlogy(a, b); });
    api.both("logaddexp(input, other)", [](T1 a, T1 b) { return logaddexp(a, b); });
    api.both("logaddexp2(input, other)", [](T1 a, T1 b) { return logaddexp2(a, b); });
    api.both("heaviside(input, values)", [](T1 a, T1 b) { return heaviside(a, b); });
    api.both("gcd(input, other)", [](T1 a, T1 b) { return gcd(a, b); });
    api.both("lcm(input, other)", [](T1 a, T1 b) { return lcm(a, b); });
    api.method("atan2_(self, other)", [](Self a, In b) -> Tensor { return atan2_(a, b); });
    api.method("hypot_(self, other)", [](Self a, In b) -> Tensor { return hypot_(a, b); });
    api.method("copysign_(self, other)", [](Self a, In b) -> Tensor { return copysign_(a, b); });
    api.method("xlogy_(self, other)", [](Self a, In b) -> Tensor { return xlogy_(a, b); });
    api.method("nextafter_(self, other)", [](Self a, In b) -> Tensor { return nextafter_(a, b); });
    api.method("gcd_(self, other)", [](Self a, In b) -> Tensor { return gcd_(a, b); });
    api.method("lcm_(self, other)", [](Self a, In b) -> Tensor { return lcm_(a, b); });
    api.method("heaviside_(self, values)", [](Self a, In b) -> Tensor { return heaviside_(a, b); });
    api.alias("arctan2_", "atan2_");
    api.both("addcmul(input, tensor1, tensor2, *, value=1)",
             [](T1 x, T1 a, T1 b, double v) { return addcmul(x, a, b, v); });
    api.method("addcmul_(self, tensor1, tensor2, *, value=1)",
               [](Self x, T1 a, T1 b, double v) -> Tensor { return addcmul_(x, a, b, v); });
    api.both("addcdiv(input, tensor1, tensor2, *, value=1)",
             [](T1 x, T1 a, T1 b, double v) { return addcdiv(x, a, b, v); });
    api.method("addcdiv_(self, tensor1, tensor2, *, value=1)",
               [](Self x, T1 a, T1 b, double v) -> Tensor { return addcdiv_(x, a, b, v); });
    api.both("lerp(input, end, weight)", [](T1 a, T1 b, In w) { return lerp(a, b, w); });
    api.method("lerp_(self, end, weight)",
               [](Self a, T1 b, In w) -> Tensor { return lerp_(a, b, w); });
}

void bind_logic(Api& api) {
    api.both("eq(input, other)", [](In a, In b) { return eq(a, b); });
    api.method("eq_(self, other)", [](Self a, In b) -> Tensor { return eq_(a, b); });
    api.both("ne(input, other)", [](In a, In b) { return ne(a, b); });
    api.method("ne_(self, other)", [](Self a, In b) -> Tensor { return ne_(a, b); });
    api.both("lt(input, other)", [](In a, In b) { return lt(a, b); });
    api.method("lt_(self, other)", [](Self a, In b) -> Tensor { return lt_(a, b); });
    api.both("le(input, other)", [](In a, In b) { return le(a, b); });
    api.method("le_(self, other)", [](Self a, In b) -> Tensor { return le_(a, b); });
    api.both("gt(input, other)", [](In a, In b) { return gt(a, b); });
    api.method("gt_(self, other)", [](Self a, In b) -> Tensor { return gt_(a, b); });
    api.both("ge(input, other)", [](In a, In b) { return ge(a, b); });
    api.method("ge_(self, other)", [](Self a, In b) -> Tensor { return ge_(a, b); });
    api.both("logical_and(input, other)", [](In a, In b) { return logical_and(a, b); });
    api.method("logical_and_(self, other)",
               [](Self a, In b) -> Tensor { return logical_and_(a, b); });
    api.both("logical_or(input, other)", [](In a, In b) { return logical_or(a, b); });
    api.method("logical_or_(self, other)",
               [](Self a, In b) -> Tensor { return logical_or_(a, b); });
    api.both("logical_xor(input, other)", [](In a, In b) { return logical_xor(a, b); });
    api.method("logical_xor_(self, other)",
               [](Self a, In b) -> Tensor { return logical_xor_(a, b); });
    api.both("bitwise_and(input, other)", [](In a, In b) { return bitwise_and(a, b); });
    api.method("bitwise_and_(self, other)",
               [](Self a, In b) -> Tensor { return bitwise_and_(a, b); });
    api.both("bitwise_or(input, other)", [](In a, In b) { return bitwise_or(a, b); });
    api.method("bitwise_or_(self, other)",
               [](Self a, In b) -> Tensor { return bitwise_or_(a, b); });
    api.both("bitwise_xor(input, other)", [](In a, In b) { return bitwise_xor(a, b); });
    api.method("bitwise_xor_(self, other)",
               [](Self a, In b) -> Tensor { return bitwise_xor_(a, b); });
    api.both("bitwise_left_shift(input, other)",
             [](In a, In b) { return bitwise_left_shift(a, b); });
    api.method("bitwise_left_shift_(self, other)",
               [](Self a, In b) -> Tensor { return bitwise_left_shift_(a, b); });
    api.both("bitwise_right_shift(input, other)",
             [](In a, In b) { return bitwise_right_shift(a, b); });
    api.method("bitwise_right_shift_(self, other)",
               [](Self a, In b) -> Tensor { return bitwise_right_shift_(a, b); });
    for (const char* suffix : {"", "_"}) {
        auto alias = [&](std::string name, std::string of) {
            api.alias((name + suffix).c_str(), (of + suffix).c_str());
        };
        alias("not_equal", "ne");
        alias("less", "lt");
        alias("less_equal", "le");
        alias("greater", "gt");
        alias("greater_equal", "ge");
    }
    api.both("logical_not(input)", &logical_not);
    api.method("logical_not_(self)", &logical_not_);
    api.both("bitwise_not(input)", &bitwise_not);
    api.method("bitwise_not_(self)", &bitwise_not_);
    api.both("isnan(input)", &isnan);
    api.both("isinf(input)", &isinf);
    api.both("isposinf(input)", &isposinf);
    api.both("isneginf(input)", &isneginf);
    api.both("isfinite(input)", &isfinite);
    api.both("isreal(input)", [](T1 x) { return full(x.shape(), 1, DType::Bool, x.device()); });
    api.both("signbit(input)", &signbit);
    api.both("isclose(input, other, rtol=1e-5, atol=1e-8, equal_nan=False)", &isclose);
    api.both("allclose(input, other, rtol=1e-5, atol=1e-8, equal_nan=False)", &allclose);
    api.both("equal(input, other)", &equal);
}

void bind_choice(Api& api) {
    api.fn("where(condition, input, other)", [](T1 c, In a, In b) { return where(c, a, b); });
    api.method("where(self, condition, other)", [](Self a, T1 c, In b) { return where(c, a, b); });
    api.both("masked_fill(input, mask, value)",
             [](T1 x, T1 mask, In value) { return masked_fill(x, mask, value.tensor); });
    api.method("masked_fill_(self, mask, value)",
               [](Self x, T1 mask, In value) -> Tensor { return masked_fill_(x, mask, value); });
    api.both("clamp(input, min=None, max=None)",
             [](T1 x, OptOperand min, OptOperand max) { return clamp(x, given(min), given(max)); });
    api.method("clamp_(self, min=None, max=None)",
               [](Self x, OptOperand min, OptOperand max) -> Tensor {
                   return clamp_(x, given(min), given(max));
               });
    api.alias("clip", "clamp");
    api.alias("clip_", "clamp_");
    api.both("clamp_min(input, min)", [](T1 x, In min) { return clamp(x, min, Tensor{}); });
    api.method("clamp_min_(self, min)",
               [](Self x, In min) -> Tensor { return clamp_(x, min, Tensor{}); });
    api.both("clamp_max(input, max)", [](T1 x, In max) { return clamp(x, Tensor{}, max); });
    api.method("clamp_max_(self, max)",
               [](Self x, In max) -> Tensor { return clamp_(x, Tensor{}, max); });
    using Opt = std::optional<double>;
    api.both(
        "nan_to_num(input, nan=None, posinf=None, neginf=None)",
        [](T1 x, Opt nan, Opt pos, Opt neg) { return nan_to_num(x, nan.value_or(0), pos, neg); });
    api.method("nan_to_num_(self, nan=None, posinf=None, neginf=None)",
               [](Self x, Opt nan, Opt pos, Opt neg) -> Tensor {
                   return nan_to_num_(x, nan.value_or(0), pos, neg);
               });
}

void bind_unary(Api& api) {
    for (const UnaryFunction& f : unary_functions()) {
        std::string name = f.name;
        api.both((name + "(input)").c_str(), f.call);
        if (f.call_inplace) api.method((name + "_(self)").c_str(), f.call_inplace);
    }
    const char* const aliases[][2] = {
        {"negative", "neg"},  {"absolute", "abs"},  {"fix", "trunc"},
        {"arcsin", "asin"},   {"arccos", "acos"},   {"arctan", "atan"},
        {"arcsinh", "asinh"}, {"arccosh", "acosh"}, {"arctanh", "atanh"}};
    for (const auto& [name, of] : aliases) {
        api.alias(name, of);
        api.alias((std::string(name) + "_").c_str(), (std::string(of) + "_").c_str());
    }
    api.both("sgn(input)", &sign);
    api.alias("sgn_", "sign_");
    api.fn("polygamma(n, input)", [](int64_t n, T1 x) { return polygamma(n, x); });
    api.method("polygamma(self, n)", [](T1 x, int64_t n) { return polygamma(n, x); });
    api.both("round(input, *, decimals=0)", &round);
    api.method("round_(self, *, decimals=0)", &round_);
    api.both("logit(input, eps=None)", &logit);
    api.method("logit_(self, eps=None)", &logit_);
    api.both("positive(input)", [](T1 x) {
        check(x.dtype() != DType::Bool, "positive: not defined for bool tensors");
        return x;
    });
    api.both("relu(input)", &relu);
    api.method("relu_(self)", &relu_);
}

void wire_operators() {
    Operators& o = operators();
    o.add = [](T1 a, T1 b) { return add(a, b); };
    o.sub = [](T1 a, T1 b) { return sub(a, b); };
    o.mul = [](T1 a, T1 b) { return mul(a, b); };
    o.div = [](T1 a, T1 b) { return div(a, b); };
    o.floor_divide = floor_divide;
    o.remainder = remainder;
    o.pow = [](T1 a, T1 b) { return pow(a, b); };
    o.bitwise_and = bitwise_and;
    o.bitwise_or = bitwise_or;
    o.bitwise_xor = bitwise_xor;
    o.lshift = bitwise_left_shift;
    o.rshift = bitwise_right_shift;
    o.lt = [](T1 a, T1 b) { return lt(a, b); };
    o.le = [](T1 a, T1 b) { return le(a, b); };
    o.eq = [](T1 a, T1 b) { return eq(a, b); };
    o.ne = [](T1 a, T1 b) { return ne(a, b); };
    o.gt = [](T1 a, T1 b) { return gt(a, b); };
    o.ge = [](T1 a, T1 b) { return ge(a, b); };
    o.add_ = [](Self a, T1 b) -> T1 { return add_(a, b); };
    o.sub_ = [](Self a, T1 b) -> T1 { return sub_(a, b); };
    o.mul_ = [](Self a, T1 b) -> T1 { return mul_(a, b); };
    o.div_ = [](Self a, T1 b) -> T1 { return div_(a, b); };
    o.floor_divide_ = floor_divide_;
    o.remainder_ = remainder_;
    o.pow_ = pow_;
    o.bitwise_and_ = bitwise_and_;
    o.bitwise_or_ = bitwise_or_;
    o.bitwise_xor_ = bitwise_xor_;
    o.lshift_ = bitwise_left_shift_;
    o.rshift_ = bitwise_right_shift_;
    o.neg = neg;
    o.abs = abs;
    o.bitwise_not = bitwise_not;
}

}  // namespace

void bind_activations(Api& api);  // elementwise_activation.cpp

void bind_elementwise(Api& api) {
    bind_arithmetic(api);
    bind_binary(api);
    bind_logic(api);
    bind_choice(api);
    bind_unary(api);
    bind_activations(api);
    wire_operators();
}

}  // namespace deeplite
