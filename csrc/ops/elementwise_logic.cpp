// Comparison, logic and bits; choosing between elements: where, masked_fill, clamp.
#include <cmath>
#include <cstring>

#include "ops/elementwise_map.h"
#include "ops/factory.h"

namespace deeplite {
namespace {

using namespace map;

// a ? b -> bool
template <Name op, int which>
struct Compare {
    static constexpr OpInfo info{.name = op.s};
    Tensor forward(const Tensor& a, const Tensor& b) const {
        DType t = result_type(a, b);
        return run(op.s, binary_kernel(op.s, leader(a, b), which), {&a, &b}, compute_dtype(t),
                   DType::Bool);
    }
};

// Integers and bool, in their common dtype.
template <Name op, int which>
struct Bitwise {
    static constexpr OpInfo info{.name = op.s};
    static DType dtype(const Tensor& a, const Tensor& b) {
        DType t = result_type(a, b);
        check<NotImplementedError>(!is_floating(t), op.s, ": not implemented for ", t,
                                   "; only for integers and bool");
        return t;
    }
    Tensor forward(const Tensor& a, const Tensor& b) const {
        DType t = dtype(a, b);
        return run(op.s, binary_kernel(op.s, leader(a, b), which), {&a, &b}, t, t);
    }
    void forward_into(const Tensor& self, const Tensor& b) const {
        DType t = dtype(self, b);
        check_result_fits(op.s, t, self);
        run_into(op.s, binary_kernel(op.s, self, which), self, {&self, &b}, t);
    }
};

using Eq = Compare<"eq", DL_BINARY_EQ>;
using Ne = Compare<"ne", DL_BINARY_NE>;
using Lt = Compare<"lt", DL_BINARY_LT>;
using Le = Compare<"le", DL_BINARY_LE>;
using Gt = Compare<"gt", DL_BINARY_GT>;
using Ge = Compare<"ge", DL_BINARY_GE>;
using LogicalAnd = Compare<"logical_and", DL_BINARY_LOGICAL_AND>;
using LogicalOr = Compare<"logical_or", DL_BINARY_LOGICAL_OR>;
using LogicalXor = Compare<"logical_xor", DL_BINARY_LOGICAL_XOR>;
using BitwiseAnd = Bitwise<"bitwise_and", DL_BINARY_BITWISE_AND>;
using BitwiseOr = Bitwise<"bitwise_or", DL_BINARY_BITWISE_OR>;
using BitwiseXor = Bitwise<"bitwise_xor", DL_BINARY_BITWISE_XOR>;
using LeftShift = Bitwise<"bitwise_left_shift", DL_BINARY_SHIFT_LEFT>;
using RightShift = Bitwise<"bitwise_right_shift", DL_BINARY_SHIFT_RIGHT>;

// A property of each element -> bool. Integers have no NaN and no infinity: `of_integers` for all.
template <Name op, int which, int of_integers = -1>
struct Test {
    static constexpr OpInfo info{.name = op.s};
    Tensor forward(const Tensor& x) const {
        if (of_integers >= 0 && !x.is_floating())
            return full_raw(x.shape(), of_integers, DType::Bool, x.device());
        return run(op.s, unary_kernel(op.s, x, which), {&x}, compute_dtype(x.dtype()), DType::Bool);
    }
};

struct BitwiseNot {
    static constexpr OpInfo info{.name = "bitwise_not"};
    static void check_dtype(const Tensor& x) {
        check<NotImplementedError>(!x.is_floating(), "bitwise_not: not implemented for ", x.dtype(),
                                   "; only for integers and bool");
    }
    Tensor forward(const Tensor& x) const {
        check_dtype(x);
        return unary_forward<DL_UNARY_BITWISE_NOT, kOwn>("bitwise_not", x);
    }
    void forward_into(const Tensor& self) const {
        check_dtype(self);
        unary_into<DL_UNARY_BITWISE_NOT, kOwn>("bitwise_not", self);
    }
};

struct Where {
    static constexpr OpInfo info{.name = "where", .save_inputs = 1};
    Tensor forward(const Tensor& condition, const Tensor& a, const Tensor& b) const {
        check(condition.dtype() == DType::Bool, "where: condition must be a bool tensor, got ",
              condition.dtype());
        DType t = result_type(a, b);
        return run("where",
                   ternary_kernel("where", leader(condition, leader(a, b)), DL_TERNARY_WHERE),
                   {&condition, &a, &b}, t, t);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Grads g(3);
        Tensor condition = c.in(0), zero = wrapped_number(0.0);
        if (c.needs(1)) g[1] = reduce_to(where(condition, dy, zero), c, 1);
        if (c.needs(2)) g[2] = reduce_to(where(condition, zero, dy), c, 2);
        return g;
    }
};

struct MaskedFill {
    static constexpr OpInfo info{.name = "masked_fill", .save_inputs = 0b010};
    static void check_arguments(const Tensor& x, const Tensor& mask, const Tensor& value) {
        check(mask.dtype() == DType::Bool, "masked_fill: mask must be a bool tensor, got ",
              mask.dtype());
        check<ShapeError>(value.dim() == 0,
                          "masked_fill: value must be a number or a 0-dim tensor, ", "got shape ",
                          value.shape());
        if (value.impl()->wrapped_number && is_integral(x.dtype())) {
            double v = load_double(value.raw(), value.dtype());
            const double top = std::ldexp(1.0, int(itemsize(x.dtype())) * 8 - is_signed(x.dtype()));
            check(v < top && v >= (is_signed(x.dtype()) ? -top : 0.0), "masked_fill: value ", v,
                  " cannot be converted to ", x.dtype(), " without overflow");
        }
    }
    static dl_map_fn kernel_for(const Tensor& x) {
        return ternary_kernel("masked_fill", x, DL_TERNARY_WHERE);
    }
    Tensor forward(const Tensor& x, const Tensor& mask, const Tensor& value) const {
        check_arguments(x, mask, value);
        return run("masked_fill", kernel_for(x), {&mask, &value, &x}, x.dtype(), x.dtype());
    }
    void forward_into(const Tensor& self, const Tensor& mask, const Tensor& value) const {
        check_arguments(self, mask, value);
        run_into("masked_fill", kernel_for(self), self, {&mask, &value, &self}, self.dtype());
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Grads g(3);
        Tensor mask = c.in(1), zero = wrapped_number(0.0);
        if (c.needs(0)) g[0] = reduce_to(masked_fill(dy, mask, zero), c, 0);
        if (c.needs(2)) g[2] = reduce_to(where(mask, dy, zero), c, 2);
        return g;
    }
};

bool is_number(const Tensor& t) { return t.impl()->wrapped_number; }
double number(const Tensor& t) { return load_double(t.raw(), t.dtype()); }
bool plain_bound(const Tensor& t) {
    return !t.defined() || (is_number(t) && !std::isnan(number(t)));
}

// Floats between two numbers.
struct Clamp {
    static constexpr OpInfo info{.name = "clamp", .save_inputs = 1};
    double min, max;
    void attributes(auto& v) const {
        v("min", min);
        v("max", max);
    }
    Tensor forward(const Tensor& x) const {
        return unary_forward<DL_UNARY_CLAMP, kOwn>("clamp", x, {min, max});
    }
    void forward_into(const Tensor& self) const {
        unary_into<DL_UNARY_CLAMP, kOwn>("clamp", self, {min, max});
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor x = c.in(0);
        if (!grad_enabled()) return {fused_grad("clamp", DL_BINARY_CLAMP_GRAD, dy, x, {min, max})};
        return {where(logical_and(ge(x, min), le(x, max)), dy, wrapped_number(0.0))};
    }
};

// Bounds that are tensors; one of them may be absent.
struct ClampTensors {
    static constexpr OpInfo info{.name = "clamp_tensor", .save_inputs = 0b111};
    static DType dtype(const Tensor& x, const Tensor& min, const Tensor& max) {
        DType t = x.dtype();
        if (min.defined()) t = promote(t, result_type(x, min));
        if (max.defined()) t = promote(t, result_type(x, max));
        return t;
    }
    Tensor forward(const Tensor& x, const Tensor& min, const Tensor& max) const {
        DType t = dtype(x, min, max), compute = compute_dtype(t);
        if (!max.defined())
            return run("clamp", binary_kernel("clamp", x, DL_BINARY_MAXIMUM), {&x, &min}, compute,
                       t);
        if (!min.defined())
            return run("clamp", binary_kernel("clamp", x, DL_BINARY_MINIMUM), {&x, &max}, compute,
                       t);
        return run("clamp", ternary_kernel("clamp", x, DL_TERNARY_CLAMP), {&x, &min, &max}, compute,
                   t);
    }
    // A gradient goes to whichever of the three came through; where min > max that is max.
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Grads g(3);
        Tensor x = c.in(0), min = c.in(1), max = c.in(2), zero = wrapped_number(0.0);
        Tensor below, above;
        if (min.defined()) below = lt(x, min);
        if (max.defined()) above = gt(x, max);
        if (min.defined() && max.defined()) {
            below = logical_and(below, lt(min, max));
            above = logical_or(above, lt(max, min));
        }
        Tensor out = below.defined() && above.defined() ? logical_or(below, above)
                     : below.defined()                  ? below
                                                        : above;
        if (c.needs(0)) g[0] = reduce_to(where(out, zero, dy), c, 0);
        if (min.defined() && c.needs(1)) g[1] = reduce_to(where(below, dy, zero), c, 1);
        if (max.defined() && c.needs(2)) g[2] = reduce_to(where(above, dy, zero), c, 2);
        return g;
    }
};

Tensor bound(std::optional<double> v) { return v ? wrapped_number(*v) : Tensor{}; }

// Whether every element of a bool tensor is set.
bool all_true(const Tensor& x, const char* op) {
    if (t_recorder) t_recorder->check_readable(x, op);
    Tensor host = contiguous_raw(to_device_raw(x, Device{}));
    return x.numel() == 0 || !std::memchr(host.raw(), 0, size_t(host.numel()));
}

}  // namespace

Tensor eq(const Tensor& a, double b) { return eq(a, wrapped_number(b)); }
Tensor ne(const Tensor& a, double b) { return ne(a, wrapped_number(b)); }
Tensor lt(const Tensor& a, double b) { return lt(a, wrapped_number(b)); }
Tensor le(const Tensor& a, double b) { return le(a, wrapped_number(b)); }
Tensor gt(const Tensor& a, double b) { return gt(a, wrapped_number(b)); }
Tensor ge(const Tensor& a, double b) { return ge(a, wrapped_number(b)); }
Tensor logical_not(const Tensor& x) {
    return apply(Test<"logical_not", DL_UNARY_LOGICAL_NOT>{}, x);
}
Tensor isnan(const Tensor& x) { return apply(Test<"isnan", DL_UNARY_ISNAN, 0>{}, x); }
Tensor isinf(const Tensor& x) { return apply(Test<"isinf", DL_UNARY_ISINF, 0>{}, x); }
Tensor isposinf(const Tensor& x) { return apply(Test<"isposinf", DL_UNARY_ISPOSINF, 0>{}, x); }
Tensor isneginf(const Tensor& x) { return apply(Test<"isneginf", DL_UNARY_ISNEGINF, 0>{}, x); }
Tensor isfinite(const Tensor& x) { return apply(Test<"isfinite", DL_UNARY_ISFINITE, 1>{}, x); }
Tensor signbit(const Tensor& x) { return apply(Test<"signbit", DL_UNARY_SIGNBIT>{}, x); }

Tensor bitwise_not(const Tensor& x) { return apply(BitwiseNot{}, x); }
const Tensor& bitwise_not_(const Tensor& self) { return apply_inplace(BitwiseNot{}, self); }

Tensor eq(const Tensor& a, const Tensor& b) { return apply(Eq{}, a, b); }
const Tensor& eq_(const Tensor& self, const Tensor& b) { return apply_inplace(Eq{}, self, b); }
Tensor ne(const Tensor& a, const Tensor& b) { return apply(Ne{}, a, b); }
const Tensor& ne_(const Tensor& self, const Tensor& b) { return apply_inplace(Ne{}, self, b); }
Tensor lt(const Tensor& a, const Tensor& b) { return apply(Lt{}, a, b); }
const Tensor& lt_(const Tensor& self, const Tensor& b) { return apply_inplace(Lt{}, self, b); }
Tensor le(const Tensor& a, const Tensor& b) { return apply(Le{}, a, b); }
const Tensor& le_(const Tensor& self, const Tensor& b) { return apply_inplace(Le{}, self, b); }
Tensor gt(const Tensor& a, const Tensor& b) { return apply(Gt{}, a, b); }
const Tensor& gt_(const Tensor& self, const Tensor& b) { return apply_inplace(Gt{}, self, b); }
Tensor ge(const Tensor& a, const Tensor& b) { return apply(Ge{}, a, b); }
const Tensor& ge_(const Tensor& self, const Tensor& b) { return apply_inplace(Ge{}, self, b); }
Tensor logical_and(const Tensor& a, const Tensor& b) { return apply(LogicalAnd{}, a, b); }
const Tensor& logical_and_(const Tensor& self, const Tensor& b) {
    return apply_inplace(LogicalAnd{}, self, b);
}
Tensor logical_or(const Tensor& a, const Tensor& b) { return apply(LogicalOr{}, a, b); }
const Tensor& logical_or_(const Tensor& self, const Tensor& b) {
    return apply_inplace(LogicalOr{}, self, b);
}
Tensor logical_xor(const Tensor& a, const Tensor& b) { return apply(LogicalXor{}, a, b); }
const Tensor& logical_xor_(const Tensor& self, const Tensor& b) {
    return apply_inplace(LogicalXor{}, self, b);
}
Tensor bitwise_and(const Tensor& a, const Tensor& b) { return apply(BitwiseAnd{}, a, b); }
const Tensor& bitwise_and_(const Tensor& self, const Tensor& b) {
    return apply_inplace(BitwiseAnd{}, self, b);
}
Tensor bitwise_or(const Tensor& a, const Tensor& b) { return apply(BitwiseOr{}, a, b); }
const Tensor& bitwise_or_(const Tensor& self, const Tensor& b) {
    return apply_inplace(BitwiseOr{}, self, b);
}
Tensor bitwise_xor(const Tensor& a, const Tensor& b) { return apply(BitwiseXor{}, a, b); }
const Tensor& bitwise_xor_(const Tensor& self, const Tensor& b) {
    return apply_inplace(BitwiseXor{}, self, b);
}
Tensor bitwise_left_shift(const Tensor& a, const Tensor& b) { return apply(LeftShift{}, a, b); }
const Tensor& bitwise_left_shift_(const Tensor& self, const Tensor& b) {
    return apply_inplace(LeftShift{}, self, b);
}
Tensor bitwise_right_shift(const Tensor& a, const Tensor& b) { return apply(RightShift{}, a, b); }
const Tensor& bitwise_right_shift_(const Tensor& self, const Tensor& b) {
    return apply_inplace(RightShift{}, self, b);
}
const Tensor& logical_not_(const Tensor& self) {
    return apply_inplace(Test<"logical_not", DL_UNARY_LOGICAL_NOT>{}, self);
}

namespace {
Tensor close_to(const char* op, const Tensor& a, const Tensor& b, double rtol, double atol,
                bool equal_nan) {
    check(a.dtype() == b.dtype(), op, ": ", a.dtype(), " did not match ", b.dtype());
    check(rtol >= 0 && atol >= 0, op, ": rtol and atol must be non-negative, got ", rtol, " and ",
          atol);
    Tensor close = eq(a, b);
    if (equal_nan) close = logical_or(close, logical_and(isnan(a), isnan(b)));
    if (rtol == 0 && atol == 0) return close;
    bool whole = !a.is_floating();
    Tensor x = whole ? cast(a, DType::Float64) : a, y = whole ? cast(b, DType::Float64) : b;
    Tensor allowed = add(abs(mul(y, rtol)), atol), actual = abs(sub(x, y));
    return logical_or(close, logical_and(isfinite(actual), le(actual, allowed)));
}
}  // namespace

Tensor isclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
    return close_to("isclose", a, b, rtol, atol, equal_nan);
}

bool allclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
    check(a.dtype() == b.dtype(), "allclose: ", a.dtype(), " did not match ", b.dtype());
    GradMode off(false);
    return all_true(close_to("allclose", a, b, rtol, atol, equal_nan), "allclose");
}

bool equal(const Tensor& a, const Tensor& b) {
    check(a.device() == b.device(), "equal: expected both tensors on one device, got ", a.device(),
          " and ", b.device());
    check(a.dtype() == b.dtype(), "equal: expected both tensors to have one dtype, got ", a.dtype(),
          " and ", b.dtype());
    if (!(a.shape() == b.shape())) return false;
    GradMode off(false);
    return all_true(eq(a, b), "equal");
}

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
    return apply(Where{}, condition, a, b);
}
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value) {
    return apply(MaskedFill{}, x, mask, value);
}
Tensor masked_fill(const Tensor& x, const Tensor& mask, double value) {
    return masked_fill(x, mask, wrapped_number(value));
}
const Tensor& masked_fill_(const Tensor& self, const Tensor& mask, const Tensor& value) {
    return apply_inplace(MaskedFill{}, self, mask, value);
}

namespace {
void check_clamp(const Tensor& x, const Tensor& min, const Tensor& max) {
    check(min.defined() || max.defined(), "clamp: at least one of min and max must be given");
    check(x.dtype() != DType::Bool, "clamp: not defined for bool tensors");
}
// The case of floats between two numbers, which has a kernel of its own.
bool is_simple(const Tensor& x, const Tensor& min, const Tensor& max) {
    return x.is_floating() && plain_bound(min) && plain_bound(max);
}
Clamp simple(const Tensor& min, const Tensor& max) {
    return {min.defined() ? number(min) : -HUGE_VAL, max.defined() ? number(max) : HUGE_VAL};
}
}  // namespace

Tensor clamp(const Tensor& x, const Tensor& min, const Tensor& max) {
    check_clamp(x, min, max);
    if (is_simple(x, min, max)) return apply(simple(min, max), x);
    return apply(ClampTensors{}, x, min, max);
}
Tensor clamp(const Tensor& x, std::optional<double> min, std::optional<double> max) {
    return clamp(x, bound(min), bound(max));
}
const Tensor& clamp_(const Tensor& self, const Tensor& min, const Tensor& max) {
    check_clamp(self, min, max);
    if (is_simple(self, min, max)) return apply_inplace(simple(min, max), self);
    return apply_inplace(ClampTensors{}, self, min, max);
}
const Tensor& clamp_(const Tensor& self, std::optional<double> min, std::optional<double> max) {
    return clamp_(self, bound(min), bound(max));
}

}  // namespace deeplite
