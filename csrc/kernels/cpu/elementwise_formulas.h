// What each elementwise op computes, written once. `eval` takes V = a number (the reference kernels,
// integers, and what the compiler vectorises by itself) or a whole vector (vf32, vf64), for which
// vmath.h supplies vexp and the like; for numbers the C library does.
//
// An op tells for which dtypes it exists (`on`), for which float types its `eval` takes vectors
// (`vec`), how many parameters it reads, and whether its result is a bool (`test`).
#pragma once
#include "kernels/cpu/special.h"
#include "kernels/cpu/vmath_pow.h"
#include "kernels/elementwise.h"

namespace {

// The C library under the names that vmath.h gives to vectors.
DL_INLINE float vabs(float x) { return fabsf(x); }
DL_INLINE double vabs(double x) { return fabs(x); }
DL_INLINE float vexp(float x) { return expf(x); }
DL_INLINE double vexp(double x) { return exp(x); }
DL_INLINE float vexp2(float x) { return exp2f(x); }
DL_INLINE double vexp2(double x) { return exp2(x); }
DL_INLINE float vexpm1(float x) { return expm1f(x); }
DL_INLINE double vexpm1(double x) { return expm1(x); }
DL_INLINE float vlog(float x) { return logf(x); }
DL_INLINE double vlog(double x) { return log(x); }
DL_INLINE float vlog2(float x) { return log2f(x); }
DL_INLINE double vlog2(double x) { return log2(x); }
DL_INLINE float vlog10(float x) { return log10f(x); }
DL_INLINE double vlog10(double x) { return log10(x); }
DL_INLINE float vlog1p(float x) { return log1pf(x); }
DL_INLINE double vlog1p(double x) { return log1p(x); }
DL_INLINE float vsin(float x) { return sinf(x); }
DL_INLINE double vsin(double x) { return sin(x); }
DL_INLINE float vcos(float x) { return cosf(x); }
DL_INLINE double vcos(double x) { return cos(x); }
DL_INLINE float vtan(float x) { return tanf(x); }
DL_INLINE double vtan(double x) { return tan(x); }
DL_INLINE float vasin(float x) { return asinf(x); }
DL_INLINE double vasin(double x) { return asin(x); }
DL_INLINE float vacos(float x) { return acosf(x); }
DL_INLINE double vacos(double x) { return acos(x); }
DL_INLINE float vatan(float x) { return atanf(x); }
DL_INLINE double vatan(double x) { return atan(x); }
DL_INLINE float vsinh(float x) { return sinhf(x); }
DL_INLINE double vsinh(double x) { return sinh(x); }
DL_INLINE float vcosh(float x) { return coshf(x); }
DL_INLINE double vcosh(double x) { return cosh(x); }
DL_INLINE float vtanh(float x) { return tanhf(x); }
DL_INLINE double vtanh(double x) { return tanh(x); }
DL_INLINE float vasinh(float x) { return asinhf(x); }
DL_INLINE double vasinh(double x) { return asinh(x); }
DL_INLINE float vacosh(float x) { return acoshf(x); }
DL_INLINE double vacosh(double x) { return acosh(x); }
DL_INLINE float vatanh(float x) { return atanhf(x); }
DL_INLINE double vatanh(double x) { return atanh(x); }
DL_INLINE float verf(float x) { return erff(x); }
DL_INLINE double verf(double x) { return erf(x); }
DL_INLINE float vpow(float x, float y) { return powf(x, y); }
DL_INLINE double vpow(double x, double y) { return pow(x, y); }
DL_INLINE float vatan2(float y, float x) { return atan2f(y, x); }
DL_INLINE double vatan2(double y, double x) { return atan2(y, x); }
DL_INLINE float vhypot(float x, float y) { return hypotf(x, y); }
DL_INLINE double vhypot(double x, double y) { return hypot(x, y); }
DL_INLINE float vsigmoid(float x) {
    float z = expf(-fabsf(x));
    return (x < 0 ? z : 1.0f) / (1.0f + z);
}
DL_INLINE double vsigmoid(double x) {
    double z = exp(-fabs(x));
    return (x < 0 ? z : 1.0) / (1.0 + z);
}

DL_INLINE float vnormal(float x, float* e) {
    *e = float(exp(-0.5 * double(x) * double(x)));
    return float(0.5 * erfc(-0.70710678118654752 * double(x)));
}
DL_INLINE double vnormal(double x, double* e) {
    *e = exp(-0.5 * x * x);
    return 0.5 * erfc(-0.70710678118654752 * x);
}
DL_INLINE float vgelu(float x) {
    float e;
    return x * vnormal(x, &e);
}
DL_INLINE double vgelu(double x) {
    double e;
    return x * vnormal(x, &e);
}

// The type of V's lanes, a vector with the same number in every lane, and a choice per lane.
template <class V>
struct Lane {
    typedef V type;
    static V splat(V x) { return x; }
};
template <>
struct Lane<vf32> {
    typedef float type;
    DL_INLINE vf32 splat(float x) { return vset1(x); }
};
template <>
struct Lane<vf64> {
    typedef double type;
    DL_INLINE vf64 splat(double x) { return vset1(x); }
};
template <class V>
using T_ = typename Lane<V>::type;
template <class V>
DL_INLINE V splat(T_<V> x) {
    return Lane<V>::splat(x);
}
template <class V>
DL_INLINE V nan_of() {
    return splat<V>(T_<V>(__builtin_nan("")));
}
template <class M, class V>
DL_INLINE V pick(M c, V a, V b) {
    return c ? a : b;
}
template <class A, class B>
constexpr bool kSame = false;
template <class A>
constexpr bool kSame<A, A> = true;
template <class T>
constexpr bool kIsFloat = kSame<T, float> || kSame<T, double>;
template <class T>
constexpr bool kIsBool = kSame<T, bool>;
template <class T>
constexpr bool kIsUnsigned = T(-1) > T(0);

// Parameters in the type of the elements.
template <class V>
struct Par {
    T_<V> a, b, c;
};
enum { kFloat = 1, kInt = 2, kBool = 4, kF32 = 1, kF64 = 2 };
struct Plain {  // floats, vectorised by the compiler if at all
    static constexpr int on = kFloat, vec = 0, params = 0;
    static constexpr bool test = false, heavy = false, divides = false;
};
struct Math : Plain {  // floats, on vectors of both types
    static constexpr int vec = kF32 | kF64;
    static constexpr bool heavy = true;
};
struct Math32 : Math {  // the float64 version goes through the C library
    static constexpr int vec = kF32;
};
struct Rare : Plain {  // the C library for both
    static constexpr bool heavy = true;
};
struct Number : Plain {
    static constexpr int on = kFloat | kInt;
};
struct Any : Plain {
    static constexpr int on = kFloat | kInt | kBool;
};
struct Bits : Plain {
    static constexpr int on = kInt | kBool;
};
struct Test : Any {
    static constexpr bool test = true;
};
struct FloatTest : Plain {
    static constexpr bool test = true;
};
template <class Base, int N>
struct With : Base {  // N parameters
    static constexpr int params = N;
};

}  // namespace
