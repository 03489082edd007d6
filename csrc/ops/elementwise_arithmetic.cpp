// Arithmetic of two and three tensors, with gradients.
#include <cmath>

#include "ops/elementwise_map.h"
#include "ops/factory.h"

namespace deeplite {
namespace {

using namespace map;

// Shared by ops of two tensors: the dtype is the common one, or its float version.
template <int which, bool to_float>
Tensor binary_forward(const char* op, const Tensor& a, const Tensor& b, const Params& p = {}) {
    DType t = result_type(a, b);
    if (to_float) t = float_dtype(t);
    return run(op, binary_kernel(op, leader(a, b), which), {&a, &b}, compute_dtype(t), t, p);
}
template <int which, bool to_float>
void binary_into(const char* op, const Tensor& self, const Tensor& b, const Params& p = {}) {
    DType t = result_type(self, b);
    if (to_float) t = float_dtype(t);
    check_result_fits(op, t, self);
    dl_map_fn fn = binary_kernel(op, self, which);
    if (compute_dtype(t) == self.dtype())
        return run_into(op, fn, self, {&self, &b}, compute_dtype(t), p);
    detail::write_back(self, run(op, fn, {&self, &b}, compute_dtype(t), t, p), {.name = op});
}

void check_alpha(const char* op, double alpha, const Tensor& a, const Tensor& b) {
    if (alpha == 1) return;
    DType t = result_type(a, b);
    check(t != DType::Bool || alpha == 0, op, ": alpha must be 0 or 1 for bool tensors, got ",
          alpha);
    check(is_floating(t) || alpha == std::trunc(alpha), op,
          ": for integral tensors alpha must not be ", "a floating point number, got ", alpha);
}
bool is_number(const Tensor& t) { return t.impl()->wrapped_number; }
double number(const Tensor& t) { return load_double(t.raw(), t.dtype()); }
// Of plain numbers the result is a number again, in full precision.
Tensor log_of(const Tensor& x) {
    return is_number(x) ? wrapped_number(std::log(number(x))) : log(x);
}
Tensor one_minus(const Tensor& x) {
    return is_number(x) ? wrapped_number(1 - number(x)) : rsub(x, wrapped_number(1.0));
}

Tensor scaled(const Tensor& x, double alpha) { return alpha == 1 ? x : mul(x, alpha); }

struct Add {
    static constexpr OpInfo info{.name = "add"};
    double alpha;
    void attributes(auto& v) const { v("alpha", alpha); }
    Tensor forward(const Tensor& a, const Tensor& b) const {
        check_alpha("add", alpha, a, b);
        return binary_forward<DL_BINARY_ADD, false>("add", a, b, {alpha});
    }
    void forward_into(const Tensor& self, const Tensor& b) const {
        check_alpha("add", alpha, self, b);
        binary_into<DL_BINARY_ADD, false>("add", self, b, {alpha});
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Grads g(2);
        if (c.needs(0)) g[0] = reduce_to(dy, c, 0);
        if (c.needs(1)) g[1] = reduce_to(scaled(dy, alpha), c, 1);
        return g;
    }
};

struct Sub {
    static constexpr OpInfo info{.name = "sub"};
    double alpha;
    void attributes(auto& v) const { v("alpha", alpha); }
    static void check_bool(const Tensor& a, const Tensor& b) {
        bool one = a.dtype() == DType::Bool || b.dtype() == DType::Bool;
        bool both = a.dtype() == DType::Bool && b.dtype() == DType::Bool;
        check(
            !both,
            "sub, rsub: subtraction of two bool tensors is not supported; use ^ or logical_xor()");
        check(!one,
              "sub, rsub: subtraction with a bool tensor is not supported; to invert a mask use ~ "
              "or ",
              "logical_not()");
    }
    Tensor forward(const Tensor& a, const Tensor& b) const {
        check_bool(a, b);
        check_alpha("sub", alpha, a, b);
        return binary_forward<DL_BINARY_SUB, false>("sub", a, b, {alpha});
    }
    void forward_into(const Tensor& self, const Tensor& b) const {
        check_bool(self, b);
        check_alpha("sub", alpha, self, b);
        binary_into<DL_BINARY_SUB, false>("sub", self, b, {alpha});
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Grads g(2);
        if (c.needs(0)) g[0] = reduce_to(dy, c, 0);
        if (c.needs(1)) g[1] = reduce_to(alpha == 1 ? neg(dy) : mul(dy, -alpha), c, 1);
        return g;
    }
};

struct Mul {
    static constexpr OpInfo info{.name = "mul", .save_inputs = 0b11, .bilinear = true};
    Tensor forward(const Tensor& a, const Tensor& b) const {
        return binary_forward<DL_BINARY_MUL, false>("mul", a, b);
    }
    void forward_into(const Tensor& self, const Tensor& b) const {
        binary_into<DL_BINARY_MUL, false>("mul", self, b);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Grads g(2);
        if (c.needs(0)) g[0] = reduce_to(mul(dy, c.in(1)), c, 0);
        if (c.needs(1)) g[1] = reduce_to(mul(dy, c.in(0)), c, 1);
        return g;
    }
};

// `constant`: the divisor needs no gradient, so the dividend need not be kept.
template <bool constant>
struct Div {
    static constexpr OpInfo info{.name = "div", .save_inputs = constant ? 0b10 : 0b11};
    Tensor forward(const Tensor& a, const Tensor& b) const {
        return binary_forward<DL_BINARY_DIV, true>("div", a, b);
    }
    void forward_into(const Tensor& self, const Tensor& b) const {
        binary_into<DL_BINARY_DIV, true>("div", self, b);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Grads g(2);
        Tensor b = c.in(1);
        if (c.needs(0)) g[0] = reduce_to(div(dy, b), c, 0);
        if (!constant && c.needs(1)) g[1] = reduce_to(neg(mul(dy, div(div(c.in(0), b), b))), c, 1);
        return g;
    }
};

// Piecewise constant: the gradient is zero.
template <Name op, int which>
struct RoundedDiv {
    static constexpr OpInfo info{.name = op.s};
    Tensor forward(const Tensor& a, const Tensor& b) const {
        check(result_type(a, b) != DType::Bool, op.s, ": not defined for bool tensors");
        return binary_forward<which, false>(op.s, a, b);
    }
    void forward_into(const Tensor& self, const Tensor& b) const {
        check(result_type(self, b) != DType::Bool, op.s, ": not defined for bool tensors");
        binary_into<which, false>(op.s, self, b);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Grads g(2);
        for (int i = 0; i < 2; ++i)
            if (c.needs(i)) g[i] = zeros(c.shape(i), c.dtype(i), dy.device());
        return g;
    }
};
using FloorDivideOp = RoundedDiv<"floor_divide", DL_BINARY_FLOOR_DIVIDE>;
using TruncDivideOp = RoundedDiv<"trunc_divide", DL_BINARY_TRUNC_DIVIDE>;

// a - b * quotient: the derivative to b is minus the (rounded) quotient.
template <Name op, int which, auto quotient>
struct Modulo {
    static constexpr OpInfo info{.name = op.s, .save_inputs = 0b11};
    Tensor forward(const Tensor& a, const Tensor& b) const {
        check(result_type(a, b) != DType::Bool, op.s, ": not defined for bool tensors");
        return binary_forward<which, false>(op.s, a, b);
    }
    void forward_into(const Tensor& self, const Tensor& b) const {
        check(result_type(self, b) != DType::Bool, op.s, ": not defined for bool tensors");
        binary_into<which, false>(op.s, self, b);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Grads g(2);
        if (c.needs(0)) g[0] = reduce_to(dy, c, 0);
        if (c.needs(1)) g[1] = reduce_to(neg(mul(dy, quotient(c.in(0), c.in(1)))), c, 1);
        return g;
    }
};
using RemainderOp = Modulo<"remainder", DL_BINARY_REMAINDER,
                           [](const Tensor& a, const Tensor& b) { return div(a, b, "floor"); }>;
using FmodOp = Modulo<"fmod", DL_BINARY_FMOD,
                      [](const Tensor& a, const Tensor& b) { return div(a, b, "trunc"); }>;

// x^e for a number e; floats only.
struct PowScalar {
    static constexpr OpInfo info{.name = "pow_scalar", .save_inputs = 1};
    double exponent;
    void attributes(auto& v) const { v("exponent", exponent); }
    int cheaper() const {  // a kernel that does the same, or -1
        return exponent == 2      ? DL_UNARY_SQUARE
               : exponent == 0.5  ? DL_UNARY_SQRT
               : exponent == -1   ? DL_UNARY_RECIPROCAL
               : exponent == -0.5 ? DL_UNARY_RSQRT
                                  : -1;
    }
    Tensor forward(const Tensor& x) const {
        DType t = float_dtype(x.dtype());
        int which = cheaper() < 0 ? int(DL_UNARY_POW) : cheaper();
        return run("pow", unary_kernel("pow", x, which), {&x}, compute_dtype(t), t, {exponent});
    }
    void forward_into(const Tensor& self) const {
        DType t = float_dtype(self.dtype());
        check_result_fits("pow", t, self);
        int which = cheaper() < 0 ? int(DL_UNARY_POW) : cheaper();
        run_into("pow", unary_kernel("pow", self, which), self, {&self}, compute_dtype(t),
                 {exponent});
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor x = c.in(0);
        if (exponent == 0) return {zeros_like(dy)};
        if (exponent == 2) return {mul(dy, mul(x, 2.0))};
        return {mul(dy, mul(pow(x, exponent - 1), exponent))};
    }
};

struct Pow {
    static constexpr OpInfo info{.name = "pow", .save_inputs = 0b11, .save_outputs = 1};
    static void check_integers(const Tensor& a, const Tensor& b) {
        if (!b.impl()->wrapped_number || is_floating(result_type(a, b))) return;
        check(b.dtype() == DType::Bool || load_int(b.raw(), b.dtype()) >= 0,
              "pow: integers to negative integer powers are not allowed");
    }
    Tensor forward(const Tensor& a, const Tensor& b) const {
        check_integers(a, b);
        return binary_forward<DL_BINARY_POW, false>("pow", a, b);
    }
    void forward_into(const Tensor& self, const Tensor& b) const {
        check_integers(self, b);
        binary_into<DL_BINARY_POW, false>("pow", self, b);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Grads g(2);
        Tensor a = c.in(0), b = c.in(1);
        if (c.needs(0)) {
            Tensor d = mul(dy, mul(b, pow(a, sub(b, 1.0))));
            g[0] = reduce_to(masked_fill(d, eq(b, 0.0), 0.0), c, 0);
        }
        if (c.needs(1)) {  // 0^b is 0 near every b > 0
            Tensor flat = logical_and(eq(a, 0.0), ge(b, 0.0));
            g[1] = reduce_to(masked_fill(mul(dy, mul(c.out(0), log_of(a))), flat, 0.0), c, 1);
        }
        return g;
    }
};

// Of two equal elements each gets half the gradient.
template <Name op, int which, auto loses>
struct Extreme {
    static constexpr OpInfo info{.name = op.s, .save_inputs = 0b11};
    Tensor forward(const Tensor& a, const Tensor& b) const {
        return binary_forward<which, false>(op.s, a, b);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Grads g(2);
        Tensor a = c.in(0), b = c.in(1), shared = where(eq(a, b), mul(dy, 0.5), dy);
        if (c.needs(0)) g[0] = reduce_to(masked_fill(shared, loses(a, b), 0.0), c, 0);
        if (c.needs(1)) g[1] = reduce_to(masked_fill(shared, loses(b, a), 0.0), c, 1);
        return g;
    }
};
using Maximum = Extreme<"maximum", DL_BINARY_MAXIMUM,
                        [](const Tensor& a, const Tensor& b) { return lt(a, b); }>;
using Minimum = Extreme<"minimum", DL_BINARY_MINIMUM,
                        [](const Tensor& a, const Tensor& b) { return gt(a, b); }>;

// As above but a NaN loses, and the first of two equals gets all.
template <Name op, int which, int for_integers, auto wins>
struct NumberExtreme {
    static constexpr OpInfo info{.name = op.s, .save_inputs = 0b11};
    Tensor forward(const Tensor& a, const Tensor& b) const {
        if (!is_floating(result_type(a, b))) return binary_forward<for_integers, false>(op.s, a, b);
        return binary_forward<which, false>(op.s, a, b);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Grads g(2);
        Tensor a = c.in(0), b = c.in(1), first = logical_or(wins(a, b), isnan(b));
        if (c.needs(0)) g[0] = reduce_to(masked_fill(dy, logical_not(first), 0.0), c, 0);
        if (c.needs(1)) g[1] = reduce_to(masked_fill(dy, first, 0.0), c, 1);
        return g;
    }
};
using Fmax = NumberExtreme<"fmax", DL_BINARY_FMAX, DL_BINARY_MAXIMUM,
                           [](const Tensor& a, const Tensor& b) { return ge(a, b); }>;
using Fmin = NumberExtreme<"fmin", DL_BINARY_FMIN, DL_BINARY_MINIMUM,
                           [](const Tensor& a, const Tensor& b) { return le(a, b); }>;

// f(a, b) with the two derivatives da(a, b), db(a, b), each times dy.
template <Name op, int which, bool to_float, auto da, auto db>
struct Smooth {
    static constexpr OpInfo info{.name = op.s, .save_inputs = 0b11};
    Tensor forward(const Tensor& a, const Tensor& b) const {
        return binary_forward<which, to_float>(op.s, a, b);
    }
    void forward_into(const Tensor& self, const Tensor& b) const {
        binary_into<which, to_float>(op.s, self, b);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Grads g(2);
        Tensor a = c.in(0), b = c.in(1);
        if (c.needs(0)) g[0] = reduce_to(da(dy, a, b), c, 0);
        if (c.needs(1)) g[1] = reduce_to(db(dy, a, b), c, 1);
        return g;
    }
};
using T3 = const Tensor&;
using Atan2 =
    Smooth<"atan2", DL_BINARY_ATAN2, true,
           [](T3 dy, T3 a, T3 b) { return mul(dy, div(b, add(square(a), square(b)))); },
           [](T3 dy, T3 a, T3 b) { return neg(mul(dy, div(a, add(square(a), square(b))))); }>;
using Hypot = Smooth<"hypot", DL_BINARY_HYPOT, true,
                     [](T3 dy, T3 a, T3 b) { return mul(dy, div(a, hypot(a, b))); },
                     [](T3 dy, T3 a, T3 b) { return mul(dy, div(b, hypot(a, b))); }>;
using Copysign = Smooth<"copysign", DL_BINARY_COPYSIGN, true,
                        [](T3 dy, T3 a, T3 b) {
                            return masked_fill(mul(dy, div(copysign(a, b), a)), eq(a, 0.0), 0.0);
                        },
                        [](T3 dy, T3, T3) { return zeros_like(dy); }>;
using Xlogy = Smooth<"xlogy", DL_BINARY_XLOGY, true,
                     [](T3 dy, T3 a, T3 b) {
                         Tensor flat = logical_and(eq(a, 0.0), le(b, 0.0));
                         return masked_fill(mul(dy, log_of(b)), flat, 0.0);
                     },
                     [](T3 dy, T3 a, T3 b) { return mul(dy, div(a, b)); }>;
using LogAddExp = Smooth<"logaddexp", DL_BINARY_LOGADDEXP, true,
                         [](T3 dy, T3 a, T3 b) { return mul(dy, sigmoid(sub(a, b))); },
                         [](T3 dy, T3 a, T3 b) { return mul(dy, sigmoid(sub(b, a))); }>;
constexpr double kLn2 = 0.69314718055994531;
using LogAddExp2 = Smooth<"logaddexp2", DL_BINARY_LOGADDEXP2, true,
                          [](T3 dy, T3 a, T3 b) { return mul(dy, sigmoid(mul(sub(a, b), kLn2))); },
                          [](T3 dy, T3 a, T3 b) { return mul(dy, sigmoid(mul(sub(b, a), kLn2))); }>;

// Without a gradient.
template <Name op, int which>
struct Discrete {
    static constexpr OpInfo info{.name = op.s};
    Tensor forward(const Tensor& a, const Tensor& b) const {
        return binary_forward<which, false>(op.s, a, b);
    }
};

DType result_type3(const Tensor& a, const Tensor& b, const Tensor& c) {
    return promote(result_type(a, b), result_type(a, c));
}
template <int which>
Tensor ternary_forward(const char* op, const Tensor& a, const Tensor& b, const Tensor& c,
                       const Params& p) {
    DType t = result_type3(a, b, c);
    return run(op, ternary_kernel(op, a, which), {&a, &b, &c}, compute_dtype(t), t, p);
}
template <int which>
void ternary_into(const char* op, const Tensor& self, const Tensor& b, const Tensor& c,
                  const Params& p) {
    DType t = result_type3(self, b, c);
    check_result_fits(op, t, self);
    run_into(op, ternary_kernel(op, self, which), self, {&self, &b, &c}, compute_dtype(t), p);
}

struct Addcmul {
    static constexpr OpInfo info{.name = "addcmul", .save_inputs = 0b110};
    double value;
    void attributes(auto& v) const { v("value", value); }
    Tensor forward(const Tensor& x, const Tensor& a, const Tensor& b) const {
        return ternary_forward<DL_TERNARY_ADDCMUL>("addcmul", x, a, b, {value});
    }
    void forward_into(const Tensor& self, const Tensor& a, const Tensor& b) const {
        ternary_into<DL_TERNARY_ADDCMUL>("addcmul", self, a, b, {value});
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Grads g(3);
        if (c.needs(0)) g[0] = reduce_to(dy, c, 0);
        if (c.needs(1)) g[1] = reduce_to(mul(dy, scaled(c.in(2), value)), c, 1);
        if (c.needs(2)) g[2] = reduce_to(mul(dy, scaled(c.in(1), value)), c, 2);
        return g;
    }
};

struct Addcdiv {
    static constexpr OpInfo info{.name = "addcdiv", .save_inputs = 0b110};
    double value;
    void attributes(auto& v) const { v("value", value); }
    static void check_float(const Tensor& a, const Tensor& b) {
        check(a.is_floating() || b.is_floating(),
              "addcdiv: integer division is not supported; use x + value * div(a, b, 'trunc')");
    }
    Tensor forward(const Tensor& x, const Tensor& a, const Tensor& b) const {
        check_float(a, b);
        return ternary_forward<DL_TERNARY_ADDCDIV>("addcdiv", x, a, b, {value});
    }
    void forward_into(const Tensor& self, const Tensor& a, const Tensor& b) const {
        check_float(a, b);
        ternary_into<DL_TERNARY_ADDCDIV>("addcdiv", self, a, b, {value});
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Grads g(3);
        Tensor a = c.in(1), b = c.in(2);
        if (c.needs(0)) g[0] = reduce_to(dy, c, 0);
        if (c.needs(1)) g[1] = reduce_to(mul(dy, div(wrapped_number(value), b)), c, 1);
        if (c.needs(2)) g[2] = reduce_to(mul(dy, mul(div(a, square(b)), -value)), c, 2);
        return g;
    }
};

struct Lerp {
    static constexpr OpInfo info{.name = "lerp", .save_inputs = 0b111};
    static void check_dtypes(const Tensor& a, const Tensor& b, const Tensor& w) {
        check(a.dtype() == b.dtype(), "lerp: expected dtype ", a.dtype(),
              " for `end` but got dtype ", b.dtype());
        check(w.impl()->wrapped_number || w.dtype() == a.dtype(), "lerp: expected dtype ",
              a.dtype(), " for `weight` but got dtype ", w.dtype());
    }
    Tensor forward(const Tensor& a, const Tensor& b, const Tensor& w) const {
        check_dtypes(a, b, w);
        return ternary_forward<DL_TERNARY_LERP>("lerp", a, b, w, {});
    }
    void forward_into(const Tensor& self, const Tensor& b, const Tensor& w) const {
        check_dtypes(self, b, w);
        ternary_into<DL_TERNARY_LERP>("lerp", self, b, w, {});
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Grads g(3);
        Tensor w = c.in(2);
        if (c.needs(0)) g[0] = reduce_to(mul(dy, one_minus(w)), c, 0);
        if (c.needs(1)) g[1] = reduce_to(mul(dy, w), c, 1);
        if (c.needs(2)) g[2] = reduce_to(mul(dy, sub(c.in(1), c.in(0))), c, 2);
        return g;
    }
};

bool power_by_number(const Tensor& a, const Tensor& b) {
    return is_number(b) && !is_number(a) && is_floating(result_type(a, b));
}

bool is_floor(const char* op, const std::string& mode) {
    check(mode == "floor" || mode == "trunc", op,
          ": rounding_mode must be None, 'trunc' or 'floor', ", "got '", mode, "'");
    return mode == "floor";
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b, double alpha) { return apply(Add{alpha}, a, b); }
Tensor sub(const Tensor& a, const Tensor& b, double alpha) { return apply(Sub{alpha}, a, b); }
Tensor rsub(const Tensor& a, const Tensor& b, double alpha) { return sub(b, a, alpha); }
Tensor mul(const Tensor& a, const Tensor& b) { return apply(Mul{}, a, b); }
Tensor div(const Tensor& a, const Tensor& b) {
    return requires_grad(b) ? apply(Div<false>{}, a, b) : apply(Div<true>{}, a, b);
}
Tensor div(const Tensor& a, const Tensor& b, const std::string& mode) {
    return is_floor("div", mode) ? apply(FloorDivideOp{}, a, b) : apply(TruncDivideOp{}, a, b);
}
Tensor floor_divide(const Tensor& a, const Tensor& b) { return apply(FloorDivideOp{}, a, b); }
Tensor remainder(const Tensor& a, const Tensor& b) { return apply(RemainderOp{}, a, b); }
Tensor fmod(const Tensor& a, const Tensor& b) { return apply(FmodOp{}, a, b); }
Tensor pow(const Tensor& a, const Tensor& b) {
    if (a.dtype() == DType::Bool && b.dtype() == DType::Bool)
        return cast(pow(cast(a, DType::UInt8), cast(b, DType::UInt8)), DType::Bool);
    return power_by_number(a, b) ? apply(PowScalar{number(b)}, a) : apply(Pow{}, a, b);
}
const Tensor& add_(const Tensor& self, const Tensor& b, double alpha) {
    return apply_inplace(Add{alpha}, self, b);
}
const Tensor& sub_(const Tensor& self, const Tensor& b, double alpha) {
    return apply_inplace(Sub{alpha}, self, b);
}
const Tensor& mul_(const Tensor& self, const Tensor& b) { return apply_inplace(Mul{}, self, b); }
const Tensor& div_(const Tensor& self, const Tensor& b) {
    return requires_grad(b) ? apply_inplace(Div<false>{}, self, b)
                            : apply_inplace(Div<true>{}, self, b);
}
const Tensor& div_(const Tensor& self, const Tensor& b, const std::string& mode) {
    return is_floor("div_", mode) ? apply_inplace(FloorDivideOp{}, self, b)
                                  : apply_inplace(TruncDivideOp{}, self, b);
}
const Tensor& floor_divide_(const Tensor& self, const Tensor& b) {
    return apply_inplace(FloorDivideOp{}, self, b);
}
const Tensor& remainder_(const Tensor& self, const Tensor& b) {
    return apply_inplace(RemainderOp{}, self, b);
}
const Tensor& fmod_(const Tensor& self, const Tensor& b) {
    return apply_inplace(FmodOp{}, self, b);
}
const Tensor& pow_(const Tensor& self, const Tensor& b) {
    return power_by_number(self, b) ? apply_inplace(PowScalar{number(b)}, self)
                                    : apply_inplace(Pow{}, self, b);
}

Tensor add(const Tensor& a, double b) { return add(a, wrapped_number(b)); }
Tensor sub(const Tensor& a, double b) { return sub(a, wrapped_number(b)); }
Tensor mul(const Tensor& a, double b) { return mul(a, wrapped_number(b)); }
Tensor div(const Tensor& a, double b) { return div(a, wrapped_number(b)); }
Tensor pow(const Tensor& a, double b) { return pow(a, wrapped_number(b)); }
const Tensor& add_(const Tensor& self, double b) { return add_(self, wrapped_number(b)); }
const Tensor& mul_(const Tensor& self, double b) { return mul_(self, wrapped_number(b)); }

Tensor maximum(const Tensor& a, const Tensor& b) { return apply(Maximum{}, a, b); }
Tensor minimum(const Tensor& a, const Tensor& b) { return apply(Minimum{}, a, b); }
Tensor fmax(const Tensor& a, const Tensor& b) { return apply(Fmax{}, a, b); }
Tensor fmin(const Tensor& a, const Tensor& b) { return apply(Fmin{}, a, b); }
Tensor atan2(const Tensor& a, const Tensor& b) { return apply(Atan2{}, a, b); }
Tensor hypot(const Tensor& a, const Tensor& b) { return apply(Hypot{}, a, b); }
Tensor copysign(const Tensor& a, const Tensor& b) { return apply(Copysign{}, a, b); }
Tensor nextafter(const Tensor& a, const Tensor& b) {
    return apply(Discrete<"nextafter", DL_BINARY_NEXTAFTER>{}, a, b);
}
Tensor xlogy(const Tensor& a, const Tensor& b) { return apply(Xlogy{}, a, b); }
Tensor logaddexp(const Tensor& a, const Tensor& b) { return apply(LogAddExp{}, a, b); }
Tensor logaddexp2(const Tensor& a, const Tensor& b) { return apply(LogAddExp2{}, a, b); }
Tensor heaviside(const Tensor& x, const Tensor& values) {
    check(x.dtype() == values.dtype(), "heaviside: input and values must have the same dtype, got ",
          x.dtype(), " and ", values.dtype());
    return apply(Discrete<"heaviside", DL_BINARY_HEAVISIDE>{}, x, values);
}
Tensor gcd(const Tensor& a, const Tensor& b) {
    return apply(Discrete<"gcd", DL_BINARY_GCD>{}, a, b);
}
Tensor lcm(const Tensor& a, const Tensor& b) {
    return apply(Discrete<"lcm", DL_BINARY_LCM>{}, a, b);
}

const Tensor& atan2_(const Tensor& self, const Tensor& b) {
    return apply_inplace(Atan2{}, self, b);
}
const Tensor& hypot_(const Tensor& self, const Tensor& b) {
    return apply_inplace(Hypot{}, self, b);
}
const Tensor& copysign_(const Tensor& self, const Tensor& b) {
    return apply_inplace(Copysign{}, self, b);
}
const Tensor& xlogy_(const Tensor& self, const Tensor& b) {
    return apply_inplace(Xlogy{}, self, b);
}
const Tensor& nextafter_(const Tensor& self, const Tensor& b) {
    return apply_inplace(Discrete<"nextafter", DL_BINARY_NEXTAFTER>{}, self, b);
}
const Tensor& gcd_(const Tensor& self, const Tensor& b) {
    return apply_inplace(Discrete<"gcd", DL_BINARY_GCD>{}, self, b);
}
const Tensor& lcm_(const Tensor& self, const Tensor& b) {
    return apply_inplace(Discrete<"lcm", DL_BINARY_LCM>{}, self, b);
}
const Tensor& heaviside_(const Tensor& self, const Tensor& b) {
    return apply_inplace(Discrete<"heaviside", DL_BINARY_HEAVISIDE>{}, self, b);
}

Tensor addcmul(const Tensor& x, const Tensor& a, const Tensor& b, double value) {
    return apply(Addcmul{value}, x, a, b);
}
Tensor addcdiv(const Tensor& x, const Tensor& a, const Tensor& b, double value) {
    return apply(Addcdiv{value}, x, a, b);
}
Tensor lerp(const Tensor& start, const Tensor& end, const Tensor& weight) {
    return apply(Lerp{}, start, end, weight);
}
const Tensor& addcmul_(const Tensor& self, const Tensor& a, const Tensor& b, double value) {
    return apply_inplace(Addcmul{value}, self, a, b);
}
const Tensor& addcdiv_(const Tensor& self, const Tensor& a, const Tensor& b, double value) {
    return apply_inplace(Addcdiv{value}, self, a, b);
}
const Tensor& lerp_(const Tensor& self, const Tensor& end, const Tensor& weight) {
    return apply_inplace(Lerp{}, self, end, weight);
}

}  // namespace deeplite
