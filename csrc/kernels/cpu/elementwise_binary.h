// The binary and ternary ops' formulas. See elementwise_formulas.h.
#pragma once
#include "kernels/cpu/elementwise_formulas.h"

namespace {

// Integer arithmetic wraps around: it is done on the unsigned type of at least 32 bits.
template <class V>
DL_INLINE uint64_t wide(V x) {
    return uint64_t(x);
}

struct Add : With<Any, 1> {
    template <class V>
    static V eval(V a, V b, const Par<V>& p) {
        if constexpr (kIsBool<V>)
            return a | (b & p.a);
        else if constexpr (kIsFloat<V>)
            return a + p.a * b;
        else
            return V(wide(a) + wide(p.a) * wide(b));
    }
};
struct AddPlain : Any {  // alpha = 1
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        if constexpr (kIsBool<V>)
            return a | b;
        else if constexpr (kIsFloat<V>)
            return a + b;
        else
            return V(wide(a) + wide(b));
    }
};
struct Sub : With<Number, 1> {
    template <class V>
    static V eval(V a, V b, const Par<V>& p) {
        if constexpr (kIsFloat<V>)
            return a - p.a * b;
        else
            return V(wide(a) - wide(p.a) * wide(b));
    }
};
struct SubPlain : Number {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        if constexpr (kIsFloat<V>)
            return a - b;
        else
            return V(wide(a) - wide(b));
    }
};
struct Mul : Any {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        if constexpr (kIsBool<V>)
            return a & b;
        else if constexpr (kIsFloat<V>)
            return a * b;
        else
            return V(wide(a) * wide(b));
    }
};
struct Maximum : Any {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        V m = a > b ? a : b;  // a NaN in b comes through
        if constexpr (kIsFloat<V>) m = a != a ? a : m;
        return m;
    }
};
struct Minimum : Any {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        V m = a < b ? a : b;
        if constexpr (kIsFloat<V>) m = a != a ? a : m;
        return m;
    }
};
struct Divides : Number {
    static constexpr bool divides = true, heavy = true;
};
// Integers: the caller has seen to it that b is not 0. The lowest number over -1 wraps around.
template <class V>
DL_INLINE V int_quotient(V a, V b) {
    if constexpr (!kIsUnsigned<V>)
        if (b == V(-1)) return V(0u - wide(a));
    return V(a / b);
}
template <class V>
DL_INLINE V int_rest(V a, V b) {
    if constexpr (!kIsUnsigned<V>)
        if (b == V(-1)) return 0;
    return V(a % b);
}
DL_INLINE float c_fmod(float a, float b) { return fmodf(a, b); }
DL_INLINE double c_fmod(double a, double b) { return fmod(a, b); }
DL_INLINE float c_floor(float x) { return __builtin_floorf(x); }
DL_INLINE double c_floor(double x) { return __builtin_floor(x); }
DL_INLINE float c_trunc(float x) { return __builtin_truncf(x); }
DL_INLINE double c_trunc(double x) { return __builtin_trunc(x); }
DL_INLINE float c_copysign(float x, float s) { return __builtin_copysignf(x, s); }
DL_INLINE double c_copysign(double x, double s) { return __builtin_copysign(x, s); }

struct FloorDivide : Divides {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        if constexpr (kIsFloat<V>) {
            // floor(a / b) without the rounding of a / b, as Python does
            if (b == 0) return a / b;
            V rest = c_fmod(a, b), q = (a - rest) / b;
            if (rest != 0 && (b < 0) != (rest < 0)) q -= 1;
            if (q == 0) return c_copysign(V(0), a / b);
            V f = c_floor(q);
            return q - f > V(0.5) ? f + 1 : f;
        } else {
            V q = int_quotient(a, b), rest = int_rest(a, b);
            return rest != 0 && (rest < 0) != (b < 0) ? V(q - 1) : q;
        }
    }
};
struct TruncDivide : Divides {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        if constexpr (kIsFloat<V>)
            return c_trunc(a / b);
        else
            return int_quotient(a, b);
    }
};
struct Remainder : Divides {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        V rest;
        if constexpr (kIsFloat<V>)
            rest = c_fmod(a, b);
        else
            rest = int_rest(a, b);
        return rest != 0 && (rest < 0) != (b < 0) ? V(rest + b) : rest;
    }
};
struct Fmod : Divides {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        if constexpr (kIsFloat<V>)
            return c_fmod(a, b);
        else
            return int_rest(a, b);
    }
};
struct Pow : Number {
    static constexpr int vec = kF32;
    static constexpr bool heavy = true;
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        if constexpr (kIsFloat<T_<V>>) {
            return vpow(a, b);
        } else {
            if (b < 0) {  // only 1 and -1 have an integer inverse
                bool minus_one = !kIsUnsigned<V> && a == V(-1);
                return a == 1 ? V(1) : minus_one ? (b % 2 ? V(-1) : V(1)) : V(0);
            }
            uint64_t base = wide(a), result = 1;
            for (uint64_t e = wide(b); e; e >>= 1, base *= base)
                if (e & 1) result *= base;
            return V(result);
        }
    }
};
struct Heaviside : Any {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        return a == V(0) ? b : V(a > V(0));
    }
};

struct Eq : Test {
    template <class V>
    static bool eval(V a, V b, const Par<V>&) {
        return a == b;
    }
};
struct Ne : Test {
    template <class V>
    static bool eval(V a, V b, const Par<V>&) {
        return a != b;
    }
};
struct Lt : Test {
    template <class V>
    static bool eval(V a, V b, const Par<V>&) {
        return a < b;
    }
};
struct Le : Test {
    template <class V>
    static bool eval(V a, V b, const Par<V>&) {
        return a <= b;
    }
};
struct Gt : Test {
    template <class V>
    static bool eval(V a, V b, const Par<V>&) {
        return a > b;
    }
};
struct Ge : Test {
    template <class V>
    static bool eval(V a, V b, const Par<V>&) {
        return a >= b;
    }
};
struct LogicalAnd : Test {
    template <class V>
    static bool eval(V a, V b, const Par<V>&) {
        return (a != V(0)) & (b != V(0));
    }
};
struct LogicalOr : Test {
    template <class V>
    static bool eval(V a, V b, const Par<V>&) {
        return (a != V(0)) | (b != V(0));
    }
};
struct LogicalXor : Test {
    template <class V>
    static bool eval(V a, V b, const Par<V>&) {
        return (a != V(0)) != (b != V(0));
    }
};

struct BitwiseAnd : Bits {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        return V(a & b);
    }
};
struct BitwiseOr : Bits {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        return V(a | b);
    }
};
struct BitwiseXor : Bits {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        return V(a ^ b);
    }
};
struct Integer : Plain {
    static constexpr int on = kInt;
};
// A shift by a negative amount, or by at least the width, shifts every bit out.
struct ShiftLeft : Integer {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        return wide(b) < sizeof(V) * 8 ? V(wide(a) << (wide(b) & 63)) : V(0);
    }
};
struct ShiftRight : Integer {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        const uint64_t last = sizeof(V) * 8 - 1;
        if (kIsUnsigned<V> && wide(b) > last) return V(0);
        return V(a >> (wide(b) > last ? last : wide(b)));
    }
};
template <class V>
DL_INLINE V gcd_of(V a, V b) {
    uint64_t x = a < 0 ? 0u - wide(a) : wide(a), y = b < 0 ? 0u - wide(b) : wide(b);
    while (y) {
        uint64_t rest = x % y;
        x = y;
        y = rest;
    }
    return V(x);
}
struct Gcd : Integer {
    static constexpr bool heavy = true;
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        return gcd_of(a, b);
    }
};
struct Lcm : Integer {
    static constexpr bool heavy = true;
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        V g = gcd_of(a, b);
        if (g == 0) return 0;
        V m = V(wide(int_quotient(a, g)) * wide(b));
        return m < 0 ? V(0u - wide(m)) : m;
    }
};

struct Div : Plain {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        return a / b;
    }
};
struct Fmax : Plain {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        return (a > b) | (b != b) ? a : b;
    }
};
struct Fmin : Plain {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        return (a < b) | (b != b) ? a : b;
    }
};
struct Atan2 : Math32 {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        return vatan2(a, b);
    }
};
struct Hypot : Math32 {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        return vhypot(a, b);
    }
};
struct Copysign : Plain {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        return c_copysign(a, b);
    }
};
struct Nextafter : Rare {
    static float eval(float a, float b, const Par<float>&) { return nextafterf(a, b); }
    static double eval(double a, double b, const Par<double>&) { return nextafter(a, b); }
};
struct Xlogy : Math {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        V y = pick(a == T_<V>(0), splat<V>(0), a * vlog(b));
        return pick(b != b, b, y);
    }
};
struct LogAddExp : Math {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        V m = pick(a > b, a, b), sum = m + vlog1p(vexp(-vabs(a - b)));
        return pick((a == b) & (vabs(a) == T_<V>(__builtin_inf())), a, sum);
    }
};
struct LogAddExp2 : Math {
    template <class V>
    static V eval(V a, V b, const Par<V>&) {
        V m = pick(a > b, a, b);
        V sum = m + vlog1p(vexp2(-vabs(a - b))) * T_<V>(1.4426950408889634);
        return pick((a == b) & (vabs(a) == T_<V>(__builtin_inf())), a, sum);
    }
};

struct ClampTensors : Any {
    template <class V>
    static V eval(V x, V lo, V hi, const Par<V>& p) {
        return Minimum::eval(Maximum::eval(x, lo, p), hi, p);
    }
};
struct Addcmul : With<Number, 1> {
    template <class V>
    static V eval(V a, V b, V c, const Par<V>& p) {
        if constexpr (kIsFloat<V>)
            return a + p.a * b * c;
        else
            return V(wide(a) + wide(p.a) * wide(b) * wide(c));
    }
};
struct Addcdiv : With<Plain, 1> {
    template <class V>
    static V eval(V a, V b, V c, const Par<V>& p) {
        return a + p.a * b / c;
    }
};
struct Lerp : Plain {
    template <class V>
    static V eval(V a, V b, V w, const Par<V>&) {
        V from_a = a + w * (b - a), from_b = b - (b - a) * (V(1) - w);
        return vabs(w) < V(0.5) ? from_a : from_b;  // exact at both ends
    }
};

template <class E>
constexpr void fill_arithmetic(dl_elementwise_table* table) {
    dl_map_fn* t = table->binary;
    t[DL_BINARY_ADD] = E::template scaled<AddPlain, Add>;
    t[DL_BINARY_SUB] = E::template scaled<SubPlain, Sub>;
    t[DL_BINARY_MUL] = E::template binary<Mul>;
    t[DL_BINARY_MAXIMUM] = E::template binary<Maximum>;
    t[DL_BINARY_MINIMUM] = E::template binary<Minimum>;
    t[DL_BINARY_FLOOR_DIVIDE] = E::template binary<FloorDivide>;
    t[DL_BINARY_TRUNC_DIVIDE] = E::template binary<TruncDivide>;
    t[DL_BINARY_REMAINDER] = E::template binary<Remainder>;
    t[DL_BINARY_FMOD] = E::template binary<Fmod>;
    t[DL_BINARY_POW] = E::template binary<Pow>;
    t[DL_BINARY_HEAVISIDE] = E::template binary<Heaviside>;
    t[DL_BINARY_DIV] = E::template binary<Div>;
    t[DL_BINARY_FMAX] = E::template binary<Fmax>;
    t[DL_BINARY_FMIN] = E::template binary<Fmin>;
    t[DL_BINARY_ATAN2] = E::template binary<Atan2>;
    t[DL_BINARY_HYPOT] = E::template binary<Hypot>;
    t[DL_BINARY_COPYSIGN] = E::template binary<Copysign>;
    t[DL_BINARY_NEXTAFTER] = E::template binary<Nextafter>;
    t[DL_BINARY_XLOGY] = E::template binary<Xlogy>;
    t[DL_BINARY_LOGADDEXP] = E::template binary<LogAddExp>;
    t[DL_BINARY_LOGADDEXP2] = E::template binary<LogAddExp2>;
    t = table->ternary;
    t[DL_TERNARY_CLAMP] = E::template ternary<ClampTensors>;
    t[DL_TERNARY_ADDCMUL] = E::template ternary<Addcmul>;
    t[DL_TERNARY_ADDCDIV] = E::template ternary<Addcdiv>;
    t[DL_TERNARY_LERP] = E::template ternary<Lerp>;
}

template <class E>
constexpr void fill_logic(dl_elementwise_table* table) {
    dl_map_fn* t = table->binary;
    t[DL_BINARY_EQ] = E::template binary<Eq>;
    t[DL_BINARY_NE] = E::template binary<Ne>;
    t[DL_BINARY_LT] = E::template binary<Lt>;
    t[DL_BINARY_LE] = E::template binary<Le>;
    t[DL_BINARY_GT] = E::template binary<Gt>;
    t[DL_BINARY_GE] = E::template binary<Ge>;
    t[DL_BINARY_LOGICAL_AND] = E::template binary<LogicalAnd>;
    t[DL_BINARY_LOGICAL_OR] = E::template binary<LogicalOr>;
    t[DL_BINARY_LOGICAL_XOR] = E::template binary<LogicalXor>;
    t[DL_BINARY_BITWISE_AND] = E::template binary<BitwiseAnd>;
    t[DL_BINARY_BITWISE_OR] = E::template binary<BitwiseOr>;
    t[DL_BINARY_BITWISE_XOR] = E::template binary<BitwiseXor>;
    t[DL_BINARY_SHIFT_LEFT] = E::template binary<ShiftLeft>;
    t[DL_BINARY_SHIFT_RIGHT] = E::template binary<ShiftRight>;
    t[DL_BINARY_GCD] = E::template binary<Gcd>;
    t[DL_BINARY_LCM] = E::template binary<Lcm>;
}

}  // namespace
