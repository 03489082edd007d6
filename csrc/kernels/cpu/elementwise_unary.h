// The unary ops' formulas. See elementwise_formulas.h.
#pragma once
#include "kernels/cpu/elementwise_formulas.h"

namespace {

struct Neg : Number {
    template <class V>
    static V eval(V x, const Par<V>&) {
        if constexpr (kIsFloat<V>)
            return -x;
        else
            return V(0u - uint64_t(x));
    }
};
struct Abs : Number {
    template <class V>
    static V eval(V x, const Par<V>&) {
        if constexpr (kIsFloat<V>)
            return vabs(x);
        else if constexpr (kIsUnsigned<V>)
            return x;
        else
            return x < 0 ? V(0u - uint64_t(x)) : x;
    }
};
struct Sign : Any {
    template <class V>
    static V eval(V x, const Par<V>&) {
        if constexpr (kIsBool<V>)
            return x;
        else
            return V((x > 0) - (x < 0));
    }
};
struct Square : Number {
    template <class V>
    static V eval(V x, const Par<V>&) {
        if constexpr (kIsFloat<V>)
            return x * x;
        else
            return V(uint64_t(x) * uint64_t(x));
    }
};
struct BitwiseNot : Bits {
    template <class V>
    static V eval(V x, const Par<V>&) {
        if constexpr (kIsBool<V>)
            return !x;
        else
            return V(~x);
    }
};
struct Relu : Number {
    static constexpr int vec = kF32 | kF64;
    template <class V>
    static V eval(V x, const Par<V>&) {
        return pick(x <= T_<V>(0), splat<V>(0), x);
    }
};
struct Clamp : With<Number, 2> {
    template <class V>
    static V eval(V x, const Par<V>& p) {
        V y = x < p.a ? p.a : x;
        return y > p.b ? p.b : y;
    }
};

struct LogicalNot : Test {
    template <class V>
    static bool eval(V x, const Par<V>&) {
        return x == V(0);
    }
};
struct Signbit : Test {
    template <class V>
    static bool eval(V x, const Par<V>&) {
        if constexpr (kIsFloat<V>)
            return __builtin_signbit(x) != 0;
        else if constexpr (kIsUnsigned<V>)
            return false;
        else
            return x < 0;
    }
};
struct IsNan : FloatTest {
    template <class V>
    static bool eval(V x, const Par<V>&) {
        return x != x;
    }
};
struct IsInf : FloatTest {
    template <class V>
    static bool eval(V x, const Par<V>&) {
        return vabs(x) == V(__builtin_inf());
    }
};
struct IsPosInf : FloatTest {
    template <class V>
    static bool eval(V x, const Par<V>&) {
        return x == V(__builtin_inf());
    }
};
struct IsNegInf : FloatTest {
    template <class V>
    static bool eval(V x, const Par<V>&) {
        return x == V(-__builtin_inf());
    }
};
struct IsFinite : FloatTest {
    template <class V>
    static bool eval(V x, const Par<V>&) {
        return vabs(x) < V(__builtin_inf());
    }
};

struct Sqrt : Plain {
    static float eval(float x, const Par<float>&) { return __builtin_sqrtf(x); }
    static double eval(double x, const Par<double>&) { return __builtin_sqrt(x); }
};
struct Rsqrt : Plain {
    static float eval(float x, const Par<float>&) { return 1.0f / __builtin_sqrtf(x); }
    static double eval(double x, const Par<double>&) { return 1.0 / __builtin_sqrt(x); }
};
struct Reciprocal : Plain {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return V(1) / x;
    }
};
struct Floor : Plain {
    static float eval(float x, const Par<float>&) { return __builtin_floorf(x); }
    static double eval(double x, const Par<double>&) { return __builtin_floor(x); }
};
struct Ceil : Plain {
    static float eval(float x, const Par<float>&) { return __builtin_ceilf(x); }
    static double eval(double x, const Par<double>&) { return __builtin_ceil(x); }
};
struct Round : Plain {
    static float eval(float x, const Par<float>&) { return __builtin_rintf(x); }
    static double eval(double x, const Par<double>&) { return __builtin_rint(x); }
};
struct Trunc : Plain {
    static float eval(float x, const Par<float>&) { return __builtin_truncf(x); }
    static double eval(double x, const Par<double>&) { return __builtin_trunc(x); }
};
struct Frac : Plain {
    static float eval(float x, const Par<float>&) { return x - __builtin_truncf(x); }
    static double eval(double x, const Par<double>&) { return x - __builtin_trunc(x); }
};
struct Deg2Rad : Plain {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return x * V(0.017453292519943295);
    }
};
struct Rad2Deg : Plain {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return x * V(57.29577951308232);
    }
};
struct NanToNum : With<Plain, 3> {
    template <class V>
    static V eval(V x, const Par<V>& p) {
        V y = x == V(__builtin_inf()) ? p.b : x;
        y = x == V(-__builtin_inf()) ? p.c : y;
        return x != x ? p.a : y;
    }
};

struct Exp : Math {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vexp(x);
    }
};
struct Exp2 : Math {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vexp2(x);
    }
};
struct Expm1 : Math {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vexpm1(x);
    }
};
struct Log : Math {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vlog(x);
    }
};
struct Log2 : Math32 {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vlog2(x);
    }
};
struct Log10 : Math32 {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vlog10(x);
    }
};
struct Log1p : Math {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vlog1p(x);
    }
};
struct Sin : Math32 {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vsin(x);
    }
};
struct Cos : Math32 {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vcos(x);
    }
};
struct Tan : Math32 {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vtan(x);
    }
};
struct Asin : Math32 {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vasin(x);
    }
};
struct Acos : Math32 {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vacos(x);
    }
};
struct Atan : Math32 {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vatan(x);
    }
};
struct Sinh : Math32 {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vsinh(x);
    }
};
struct Cosh : Math32 {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vcosh(x);
    }
};
struct Tanh : Math {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vtanh(x);
    }
};
struct Asinh : Math32 {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vasinh(x);
    }
};
struct Acosh : Math32 {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vacosh(x);
    }
};
struct Atanh : Math32 {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return vatanh(x);
    }
};
struct Erf : Math {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return verf(x);
    }
};
struct Erfc : Rare {
    static float eval(float x, const Par<float>&) { return erfcf(x); }
    static double eval(double x, const Par<double>&) { return erfc(x); }
};
struct Erfinv : Rare {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return V(erfinv_value(x));
    }
};
struct Lgamma : Rare {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return V(lgamma_value(x));
    }
};
struct Digamma : Rare {
    template <class V>
    static V eval(V x, const Par<V>&) {
        return V(digamma_value(x));
    }
};
struct Sinc : Rare {
    template <class V>
    static V eval(V x, const Par<V>&) {
        V px = V(3.14159265358979323846) * x;
        return x == 0 ? V(1) : vsin(px) / px;
    }
};
struct PowScalar : With<Math32, 1> {
    template <class V>
    static V eval(V x, const Par<V>& p) {
        return vpow(x, splat<V>(p.a));
    }
};

template <class E>
constexpr void fill_unary_basic(dl_map_fn* t) {
    t[DL_UNARY_NEG] = E::template unary<Neg>;
    t[DL_UNARY_ABS] = E::template unary<Abs>;
    t[DL_UNARY_SIGN] = E::template unary<Sign>;
    t[DL_UNARY_SQUARE] = E::template unary<Square>;
    t[DL_UNARY_BITWISE_NOT] = E::template unary<BitwiseNot>;
    t[DL_UNARY_RELU] = E::template unary<Relu>;
    t[DL_UNARY_CLAMP] = E::template unary<Clamp>;
    t[DL_UNARY_LOGICAL_NOT] = E::template unary<LogicalNot>;
    t[DL_UNARY_SIGNBIT] = E::template unary<Signbit>;
    t[DL_UNARY_ISNAN] = E::template unary<IsNan>;
    t[DL_UNARY_ISINF] = E::template unary<IsInf>;
    t[DL_UNARY_ISPOSINF] = E::template unary<IsPosInf>;
    t[DL_UNARY_ISNEGINF] = E::template unary<IsNegInf>;
    t[DL_UNARY_ISFINITE] = E::template unary<IsFinite>;
    t[DL_UNARY_SQRT] = E::template unary<Sqrt>;
    t[DL_UNARY_RSQRT] = E::template unary<Rsqrt>;
    t[DL_UNARY_RECIPROCAL] = E::template unary<Reciprocal>;
    t[DL_UNARY_FLOOR] = E::template unary<Floor>;
    t[DL_UNARY_CEIL] = E::template unary<Ceil>;
    t[DL_UNARY_ROUND] = E::template unary<Round>;
    t[DL_UNARY_TRUNC] = E::template unary<Trunc>;
    t[DL_UNARY_FRAC] = E::template unary<Frac>;
    t[DL_UNARY_DEG2RAD] = E::template unary<Deg2Rad>;
    t[DL_UNARY_RAD2DEG] = E::template unary<Rad2Deg>;
    t[DL_UNARY_NAN_TO_NUM] = E::template unary<NanToNum>;
}

template <class E>
constexpr void fill_unary_math(dl_map_fn* t) {
    t[DL_UNARY_EXP] = E::template unary<Exp>;
    t[DL_UNARY_EXP2] = E::template unary<Exp2>;
    t[DL_UNARY_EXPM1] = E::template unary<Expm1>;
    t[DL_UNARY_LOG] = E::template unary<Log>;
    t[DL_UNARY_LOG2] = E::template unary<Log2>;
    t[DL_UNARY_LOG10] = E::template unary<Log10>;
    t[DL_UNARY_LOG1P] = E::template unary<Log1p>;
    t[DL_UNARY_SIN] = E::template unary<Sin>;
    t[DL_UNARY_COS] = E::template unary<Cos>;
    t[DL_UNARY_TAN] = E::template unary<Tan>;
    t[DL_UNARY_ASIN] = E::template unary<Asin>;
    t[DL_UNARY_ACOS] = E::template unary<Acos>;
    t[DL_UNARY_ATAN] = E::template unary<Atan>;
    t[DL_UNARY_SINH] = E::template unary<Sinh>;
    t[DL_UNARY_COSH] = E::template unary<Cosh>;
    t[DL_UNARY_TANH] = E::template unary<Tanh>;
    t[DL_UNARY_ASINH] = E::template unary<Asinh>;
    t[DL_UNARY_ACOSH] = E::template unary<Acosh>;
    t[DL_UNARY_ATANH] = E::template unary<Atanh>;
    t[DL_UNARY_ERF] = E::template unary<Erf>;
    t[DL_UNARY_ERFC] = E::template unary<Erfc>;
    t[DL_UNARY_ERFINV] = E::template unary<Erfinv>;
    t[DL_UNARY_LGAMMA] = E::template unary<Lgamma>;
    t[DL_UNARY_DIGAMMA] = E::template unary<Digamma>;
    t[DL_UNARY_SINC] = E::template unary<Sinc>;
    t[DL_UNARY_POW] = E::template unary<PowScalar>;
}

}  // namespace
