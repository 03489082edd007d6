// Elementary functions on vectors: at most 2 ulp over the whole range, with the C library's answers
// for infinities, NaN, signed zeros and denormals. float32 has them all; float64 has exp, expm1, log,
// log1p, tanh, sigmoid and erf at full precision (what else is here on vf64 serves float32).
//
// Polynomials are minimax fits, in the argument the comment beside them names. Where no fused
// multiply-add can be counted on, products that must be exact have factors with enough trailing zero
// bits; where it can (DL_HAS_FMA), exp takes a shorter way.
#pragma once
#include <math.h>

#include "kernels/cpu/simd.h"

namespace {

// c0 + c1 x + c2 x^2 + ...
template <class V, class T>
DL_INLINE V vpoly(V, T c) {
    return V{} + c;
}
template <class V, class T, class... Rest>
DL_INLINE V vpoly(V x, T c, Rest... rest) {
    return vpoly(x, rest...) * x + c;
}

DL_INLINE vf32 vabs(vf32 x) { return (vf32)((vu32)x & 0x7fffffffu); }
DL_INLINE vf64 vabs(vf64 x) { return (vf64)((vu64)x & 0x7fffffffffffffffull); }
// `sign` carries the sign, x the rest.
DL_INLINE vf32 vcopysign(vf32 x, vf32 sign) {
    return (vf32)(((vu32)x & 0x7fffffffu) | ((vu32)sign & 0x80000000u));
}
DL_INLINE vf64 vcopysign(vf64 x, vf64 sign) {
    return (vf64)(((vu64)x & 0x7fffffffffffffffull) | ((vu64)sign & 0x8000000000000000ull));
}
// c ? a : b, where a or b may be a number.
template <class M>
DL_INLINE vf32 vselect(M c, vf32 a, vf32 b) {
    return c ? a : b;
}
template <class M>
DL_INLINE vf64 vselect(M c, vf64 a, vf64 b) {
    return c ? a : b;
}

// Nearest integer for |x| < 2^22 (2^51): as a float, and as the integer that `bits` receives.
DL_INLINE vf32 vround_int(vf32 x, vi32* bits) {
    const float magic = 12582912.0f;  // 1.5 * 2^23
    vf32 t = x + magic;
    *bits = (vi32)t - 0x4b400000;
    return t - magic;
}
DL_INLINE vf64 vround_int(vf64 x, vi64* bits) {
    const double magic = 6755399441055744.0;  // 1.5 * 2^52
    vf64 t = x + magic;
    *bits = (vi64)t - 0x4338000000000000ll;
    return t - magic;
}
// 2^n for a normal result, and x * 2^n in two steps, so that the result may overflow or be denormal.
DL_INLINE vf32 vpow2(vi32 n) { return (vf32)((n + 127) << 23); }
DL_INLINE vf64 vpow2(vi64 n) { return (vf64)((n + 1023) << 52); }
template <class V, class I>
DL_INLINE V vscale(V x, I n) {
    I half = n >> 1;
    return x * vpow2(half) * vpow2(n - half);
}
#if defined(__AVX512F__) && DL_VEC_BYTES == 64
DL_INLINE vf32 vscale(vf32 x, vi32 n) {
    const __m512 e = (__m512) __builtin_convertvector(n, vf32);
    return (vf32)_mm512_maskz_scalef_ps(0xffff, (__m512)x, e);
}
#endif

// x = n ln 2 + r with |r| <= ln(2)/2. NaN passes through r.
DL_INLINE vf32 vreduce_ln2(vf32 x, vi32* n) {
    vf32 k = vround_int(x * 1.44269504f, n);
    return (x - k * 0.693359375f) - k * -2.12194440e-4f;
}
DL_INLINE vf64 vreduce_ln2(vf64 x, vi64* n) {
    vf64 k = vround_int(x * 1.4426950408889634, n);
    return (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;
}
// (exp(r) - 1 - r) / r^2 for |r| <= ln(2)/2
DL_INLINE vf32 vexp_poly(vf32 r) {
    return vpoly(r, 0.4999999814f, 0.1666654318f, 0.04166720184f, 0.008366580283f, 0.001388250552f);
}
DL_INLINE vf64 vexp_poly(vf64 r) {
    return vpoly(r, 0.500000000000000001, 0.166666666666666766, 0.0416666666666665074,
                 0.00833333333332160572, 0.00138888888889628747, 0.000198412698862117805,
                 0.0000248015871719237609, 2.75572441005950762e-6, 2.75574028536456479e-7,
                 2.51090825926742494e-8, 2.08753589449317694e-9);
}
DL_INLINE vf32 vclamp_exp(vf32 x, float lo, float hi) {  // keeps NaN: it comes second
    return vmax(vset1(lo), vmin(vset1(hi), x));
}
DL_INLINE vf64 vclamp_exp(vf64 x, double lo, double hi) {
    return vmax(vset1(lo), vmin(vset1(hi), x));
}

#if DL_HAS_FMA && DL_VEC_BYTES == 64
// 2^k (1 + f q(f)), where k = t - kMagic is a multiple of 1/16 and |f| <= 1/32: the sixteenths, in the low
// bits of t, choose from a table, and the scaling takes the floor of k. Short, so that little waits.
// Unless `exact`, what rounding took from the table is left out, half a unit of the last place.
constexpr float kMagic = 786432.0f;  // 1.5 * 2^19
alignas(64) constexpr float kSixteenths[16] = {1.0f,        1.04427378f, 1.09050773f, 1.13878863f,
                                               1.18920712f, 1.24185781f, 1.29683955f, 1.35425555f,
                                               1.41421356f, 1.47682615f, 1.54221083f, 1.61049033f,
                                               1.68179283f, 1.75625216f, 1.83400809f, 1.91520656f};
alignas(64) constexpr float kSixteenthsRest[16] = {0.0f,
                                                   4.83347016e-08f,
                                                   -1.30775399e-08f,
                                                   5.38622231e-08f,
                                                   3.79763527e-08f,
                                                   4.4968381e-08f,
                                                   -4.01899953e-08f,
                                                   -1.01233493e-08f,
                                                   2.4203235e-08f,
                                                   -4.50089885e-08f,
                                                   8.07090483e-09f,
                                                   9.83621717e-09f,
                                                   -2.47553267e-08f,
                                                   -9.23577037e-09f,
                                                   -1.1239278e-08f,
                                                   9.84532811e-09f};
DL_INLINE vf32 vexp2_table(vf32 t, const float* table) {
    return (vf32)_mm512_maskz_permutexvar_ps(0xffff, (__m512i)t, (__m512)vload(table));
}
template <bool exact>
DL_INLINE vf32 vexp2_parts(vf32 t, vf32 k, vf32 f) {
    const vf32 power = vexp2_table(t, kSixteenths);
    const vf32 q = vpoly(f, 0.69314718f, 0.24022651f, 0.055509273f);
    vf32 y;
    if constexpr (exact)
        y = power + vfma(power * f, q, vexp2_table(t, kSixteenthsRest));
    else
        y = vfma(power * f, q, power);
    return (vf32)_mm512_maskz_scalef_ps(0xffff, (__m512)y, (__m512)k);
}
#elif DL_HAS_FMA
// 2^k 2^f for a whole k and |f| <= 1/2, where k = t - kMagic: t holds k in its low bits.
constexpr float kMagic = 12582912.0f;  // 1.5 * 2^23
template <bool>
DL_INLINE vf32 vexp2_parts(vf32 t, vf32, vf32 f) {
    vf32 p = vpoly(f, 0.69314718246f, 0.24022647738f, 0.055503323674f, 0.0096184369177f,
                   0.0013398875017f, 0.0001535336196f);
    return vscale(vfma(f, p, vset1(1.0f)), (vi32)t - 0x4b400000);
}
#endif
#if DL_HAS_FMA
// x log2(e) = k + f: log2(e) in two parts, and each step rounds once.
DL_INLINE vf32 vexp(vf32 x) {
    x = vclamp_exp(x, -105.0f, 90.0f);
    const vf32 log2e = vset1(1.44269502f), rest = vset1(1.92596299e-8f);
    vf32 t = vfma(x, log2e, vset1(kMagic)), k = t - kMagic;
    return vexp2_parts<true>(t, k, vfma(x, rest, vfma(x, log2e, -k)));
}
// exp(-a^2 / 2) for 0 <= a <= 15; what rounding takes from a^2 is not lost.
DL_INLINE vf32 vexp_half_square(vf32 a) {
    const vf32 c = vset1(-0.72134751f), rest = vset1(-9.62981495e-9f);  // -log2(e) / 2
    vf32 u = a * a, lost = vfma(a, a, -u);
    vf32 t = vfma(u, c, vset1(kMagic)), k = t - kMagic;
    return vexp2_parts<false>(t, k, vfma(lost, c, vfma(u, rest, vfma(u, c, -k))));
}
#else
DL_INLINE vf32 vexp(vf32 x) {
    vi32 n;
    vf32 r = vreduce_ln2(vclamp_exp(x, -105.0f, 90.0f), &n);
    return vscale(vexp_poly(r) * (r * r) + r + 1.0f, n);
}
// exp(-a^2 / 2) for 0 <= a <= 15: the square of a's upper half is exact, the rest is a small exponent.
DL_INLINE vf32 vexp_half_square(vf32 a) {
    vf32 high = (vf32)((vu32)a & 0xfffff000u), rest = (a - high) * (a + high) * -0.5f;
    vf32 small = vpoly(rest, 1.0f, 1.0f, 0.5f, 0.16666667f, 0.041666668f, 0.0083333338f);
    return vexp(high * high * -0.5f) * small;
}
#endif
DL_INLINE vf64 vexp(vf64 x) {
    vi64 n;
    vf64 r = vreduce_ln2(vclamp_exp(x, -746.0, 711.0), &n);
    return vscale(vexp_poly(r) * (r * r) + r + 1.0, n);
}
DL_INLINE vf32 vexp2(vf32 x) {
    vi32 n;
    x = vclamp_exp(x, -151.0f, 130.0f);
    vf32 r = (x - vround_int(x, &n)) * 0.693147181f;
    return vscale(vexp_poly(r) * (r * r) + r + 1.0f, n);
}
DL_INLINE vf64 vexp2(vf64 x) {
    vi64 n;
    x = vclamp_exp(x, -1076.0, 1026.0);
    vf64 r = (x - vround_int(x, &n)) * 0.69314718055994531;
    return vscale(vexp_poly(r) * (r * r) + r + 1.0, n);
}

// 2^x to 2^-13, for |x| < 2^10: enough for results of bfloat16.
DL_INLINE vf32 vexp2_brief(vf32 x) {
#if DL_HAS_FMA && DL_VEC_BYTES == 64
    const vf32 t = x + kMagic, k = t - kMagic, f = x - k, power = vexp2_table(t, kSixteenths);
    const vf32 y = power * vfma(f, vset1(0.69314718f), vset1(1.0001175f));
    return (vf32)_mm512_maskz_scalef_ps(0xffff, (__m512)y, (__m512)k);
#else
    vi32 n;
    const vf32 f = x - vround_int(x, &n);
    return vscale((0.242594155f + 0.0551639238f * f) * (f * f) + (0.999929288f + 0.693260771f * f),
                  n);
#endif
}

// exp(x) - 1 = 2^n (exp(r) - 1) + (2^n - 1); halved inside so that n = 128 does not overflow.
DL_INLINE vf32 vexpm1(vf32 x) {
    vi32 n;
    vf32 r = vreduce_ln2(vclamp_exp(x, -30.0f, 89.0f), &n);
    vf32 s = vpow2(n - 1);
    vf32 y = (s * (vexp_poly(r) * (r * r) + r) + (s - 0.5f)) * 2.0f;
    return x == 0.0f ? x : y;
}
DL_INLINE vf64 vexpm1(vf64 x) {
    vi64 n;
    vf64 r = vreduce_ln2(vclamp_exp(x, -50.0, 710.0), &n);
    vf64 s = vpow2(n - 1);
    vf64 y = (s * (vexp_poly(r) * (r * r) + r) + (s - 0.5)) * 2.0;
    return x == 0.0 ? x : y;
}

// x = m 2^e with m in [sqrt(1/2), sqrt(2)); x is positive and normal.
DL_INLINE vf32 vsplit(vf32 x, vf32* e) {
    vi32 k = (vi32)((vu32)x - 0x3f3504f3u) >> 23;
    *e = __builtin_convertvector(k, vf32);
    return (vf32)((vu32)x - ((vu32)k << 23));
}
DL_INLINE vf64 vsplit(vf64 x, vf64* e) {
    vi64 k = (vi64)((vu64)x - 0x3fe6a09e667f3bcdull) >> 52;
    *e = (vf64)(k + 0x4338000000000000ll) - 6755399441055744.0;
    return (vf64)((vu64)x - ((vu64)k << 52));
}
// log(1 + f) + e ln 2 for f in [sqrt(1/2) - 1, sqrt(2) - 1]
DL_INLINE vf32 vlog_core(vf32 f, vf32 e) {
    vf32 f2 = f * f;
    vf32 p = vpoly(f, 0.3333332822f, -0.2500065547f, 0.2000122072f, -0.1662814004f, 0.142059507f,
                   -0.1312427602f, 0.1271706019f, -0.07663700631f);
    return e * 0.693359375f + (f + (f2 * f * p + e * -2.12194440e-4f - 0.5f * f2));
}
DL_INLINE vf64 vlog_core(vf64 f, vf64 e) {
    vf64 s = f / (f + 2.0), z = s * s, half = f * f * 0.5;
    vf64 p = vpoly(z, 0.666666666666666645, 0.400000000000036973, 0.28571428569750591,
                   0.222222225622226128, 0.181817815289136238, 0.153868644704774105,
                   0.132546863370403768, 0.132137167828967172);
    return e * 6.93147180369123816490e-01 +
           (f - (half - (s * (half + z * p) + e * 1.90821492927058770002e-10)));
}
DL_INLINE vf32 vlog_special(vf32 x, vf32 y) {
    y = x == __builtin_inff() ? x : y;
    y = x == 0.0f ? vset1(-__builtin_inff()) : y;
    return x >= 0.0f ? y : vset1(__builtin_nanf(""));
}
DL_INLINE vf64 vlog_special(vf64 x, vf64 y) {
    y = x == __builtin_inf() ? x : y;
    y = x == 0.0 ? vset1(-__builtin_inf()) : y;
    return x >= 0.0 ? y : vset1(__builtin_nan(""));
}
DL_INLINE vf32 vlog(vf32 x) {
    vf32 e;
    auto tiny = x < 1.17549435e-38f;
    vf32 m = vsplit(tiny ? x * 8388608.0f : x, &e);
    return vlog_special(x, vlog_core(m - 1.0f, tiny ? e - 23.0f : e));
}
DL_INLINE vf64 vlog(vf64 x) {
    vf64 e;
    auto tiny = x < 2.2250738585072014e-308;
    vf64 m = vsplit(tiny ? x * 4503599627370496.0 : x, &e);
    return vlog_special(x, vlog_core(m - 1.0, tiny ? e - 52.0 : e));
}
// log(1 + x): what rounding takes from u = 1 + x goes into the mantissa's remainder.
DL_INLINE vf32 vlog1p(vf32 x) {
    vf32 u = x + 1.0f, e;
    vf32 lost = x - (u - 1.0f);
    lost = vabs(x) > 1e30f ? vf32{} : lost;  // inf - inf
    vf32 m = vsplit(u, &e);
    vf32 f = (m - 1.0f) + lost * (m / u);
    return x == 0.0f ? x : vlog_special(u, vlog_core(f, e));
}
DL_INLINE vf64 vlog1p(vf64 x) {
    vf64 u = x + 1.0, e;
    vf64 lost = x - (u - 1.0);
    lost = vabs(x) > 1e100 ? vf64{} : lost;
    vf64 m = vsplit(u, &e);
    vf64 f = (m - 1.0) + lost * (m / u);
    return x == 0.0 ? x : vlog_special(u, vlog_core(f, e));
}

// Evaluates a function of doubles on floats: correct to the last bit but for double rounding, for
// functions too rare to deserve a float version of their own.
template <class F>
DL_INLINE vf32 vin_double(vf32 x, F f) {
    return vnarrow(f(vwiden_lo(x)), f(vwiden_hi(x)));
}
template <class F>
DL_INLINE vf32 vin_double(vf32 x, vf32 y, F f) {
    return vnarrow(f(vwiden_lo(x), vwiden_lo(y)), f(vwiden_hi(x), vwiden_hi(y)));
}

DL_INLINE vf32 vlog2(vf32 x) {
    return vin_double(x, [](vf64 v) { return vlog(v) * 1.4426950408889634; });
}
DL_INLINE vf32 vlog10(vf32 x) {
    return vin_double(x, [](vf64 v) { return vlog(v) * 0.43429448190325183; });
}

// tanh: an odd polynomial near 0, else 1 - 2 / (exp(2|x|) + 1)
DL_INLINE vf32 vtanh(vf32 x) {
    vf32 a = vabs(x), t = x * x;
    vf32 small = x * t *
                     vpoly(t, -0.3333333276f, 0.1333327914f, -0.05395597904f, 0.02175221052f,
                           -0.008309002605f, 0.00226842254f) +
                 x;
    vf32 large = 1.0f - 2.0f / (vexp(a * 2.0f) + 1.0f);
    return vcopysign(a < 0.6f ? small : large, x);
}
DL_INLINE vf64 vtanh(vf64 x) {
    vf64 a = vabs(x), t = x * x;
    vf64 small =
        x * t *
            vpoly(t, -0.333333333333333296, 0.133333333333311355, -0.0539682539660455993,
                  0.0218694884440144521, -0.00886323346332082053, 0.00359210001347510688,
                  -0.00145559050241478729, 0.000588627897479169113, -0.000233821297834300777,
                  0.0000839139345894720169, -0.0000198461331603526036) +
        x;
    vf64 large = 1.0 - 2.0 / (vexp(a * 2.0) + 1.0);
    return vcopysign(a < 0.55 ? small : large, x);
}
// 1 / (1 + exp(-x)). By z = exp(-|x|), so that a small result keeps its precision; and as
// w = z / (1 + z), z - z w or 1 - w, whichever magnifies the rounding of z and w least.
template <class V, class T>
DL_INLINE V vsigmoid_of(V x, V z, T one) {
    V w = z / (z + one);
    V negative = z < one / 2 ? z - z * w : w;
    return x < 0 * one ? negative : one - w;
}
DL_INLINE vf32 vsigmoid(vf32 x) { return vsigmoid_of(x, vexp(-vabs(x)), 1.0f); }
DL_INLINE vf64 vsigmoid(vf64 x) { return vsigmoid_of(x, vexp(-vabs(x)), 1.0); }

// erf: an odd polynomial up to 1, beyond it 1 - exp(-q(|x|)) with q = -log(erfc)
DL_INLINE vf32 verf(vf32 x) {
    vf32 a = vabs(x), t = x * x;
    vf32 small = x * vpoly(t, 0.1283791659f, -0.3761262714f, 0.1128360018f, -0.02685444467f,
                           0.005189535348f, -0.0008020840496f, 7.889115011e-5f) +
                 x;
    a = a > 4.0f ? vset1(4.0f) : a;  // erf(4) rounds to 1
    vf32 q = vpoly(a, 0.0004632239915f, 1.126595314f, 0.6389632895f, 0.1023984839f, -0.02150081121f,
                   0.002863944238f, -0.0001779217794f);
    return a < 1.0f ? small : vcopysign(1.0f - vexp(-q), x);
}
DL_INLINE vf64 verf(vf64 x) {
    vf64 a = vabs(x), t = x * x;
    vf64 small = x * vpoly(t, 0.128379167095512574, -0.376126389031837482, 0.112837916709548844,
                           -0.0268661706450778711, 0.00522397762482839877, -0.000854832698142411321,
                           0.000120553311329166072, -0.0000149255957715105863,
                           1.64610084708972741e-6, -1.63503961856516389e-7, 1.46603286853298127e-8,
                           -1.13749563106000453e-9, 5.96068736548713813e-11) +
                 x;
    a = a > 6.0 ? vset1(6.0) : a;
    vf64 q = vpoly(a, 2.45742235477459532e-7, 1.12837667632837184, 0.63663149387902783,
                   0.102738689829873033, -0.0190612314858495219, -0.000305124742293225457,
                   0.00179636794007307868, -0.00066489083443135116, 0.0000610777195202611525,
                   0.0000614917505419198448, -0.0000411685304649806491, 0.0000151705833447711019,
                   -3.9582887061624965e-6, 7.71637774110016804e-7, -1.12817741720631566e-7,
                   1.2078310132601422e-8, -8.9676687752612314e-10, 4.13200802470277375e-11,
                   -8.90423360195389519e-13);
    return a < 1.0 ? small : vcopysign(1.0 - vexp(-q), x);
}

// h and *e with Phi(-|x|) = h e, where Phi is the normal distribution function and *e = exp(-x^2 / 2): h is
// a quotient of polynomials whose coefficients are all positive, so a small Phi keeps its precision.
DL_INLINE vf32 vnormal_tail(vf32 x, vf32* e) {
    vf32 a = vmin(vset1(14.5f), vabs(x));  // Phi(-14.5) rounds to 0
    *e = vexp_half_square(a);
    vf32 p = vpoly(a, 0.5f, 0.43829485774f, 0.18323507905f, 0.0406332053244f, 0.00411630654708f);
    vf32 q = vpoly(a, 1.0f, 1.67447471619f, 1.20250284672f, 0.469470471144f, 0.101858794689f,
                   0.01031793002f);
    return p / q;
}
// Phi(x) and *e = exp(-x^2 / 2)
DL_INLINE vf32 vnormal(vf32 x, vf32* e) {
    vf32 tail = vnormal_tail(x, e) * *e;
    return (vi32)x < 0 ? tail : 1.0f - tail;
}
DL_INLINE vf64 vnormal(vf64 x, vf64* e) {
    *e = vexp(x * x * -0.5);
    return (verf(x * 0.70710678118654752) + 1.0) * 0.5;
}

// x Phi(x) = max(x, 0) - |x| Phi(-|x|), of `less` = |x| Phi(-|x|): without a choice by sign but for -inf.
DL_INLINE vf32 vgelu_of(vf32 x, vf32 less) {
    const vf32 y = vmax(vset1(-0.0f), x) - less;
#if defined(__AVX512F__) && DL_VEC_BYTES == 64
    const __m512i minus_inf =
        _mm512_set1_epi32(3 << 16);  // what becomes NaN, of all classes of numbers
    return (vf32)_mm512_maskz_fixupimm_ps(0xffff, (__m512)y, (__m512)x, minus_inf, 0);
#else
    return x == -__builtin_inff() ? vset1(__builtin_nanf("")) : y;
#endif
}
// e, which may be denormal, is multiplied last.
DL_INLINE vf32 vgelu(vf32 x) {
    vf32 e, h = vnormal_tail(x, &e);
    return vgelu_of(x, vmin(vset1(14.5f), vabs(x)) * h * e);
}
DL_INLINE vf64 vgelu(vf64 x) {
    vf64 e;
    return x * vnormal(x, &e);
}

// r = x - n pi/2, |r| <= pi/4, in double; good for |x| < 10^6, the bound the callers check.
DL_INLINE vf64 vreduce_pio2(vf64 x, vi64* n) {
    vf64 k = vround_int(x * 0.63661977236758134, n);
    return (x - k * 1.57079632673412561417e+00) - k * 6.07710050650619224932e-11;
}
// sin(x + shift pi/2), shift 0 or 1
DL_INLINE vf32 vsin_shifted(vf32 x, int shift) {
    vi64 n_lo, n_hi;
    vf32 r = vnarrow(vreduce_pio2(vwiden_lo(x), &n_lo), vreduce_pio2(vwiden_hi(x), &n_hi));
    vi32 n = vnarrow_int(n_lo, n_hi) + shift;
    vf32 t = r * r;
    vf32 s =
        r * t * vpoly(t, -0.1666666664f, 0.008333329391f, -0.0001983933413f, 2.718291318e-6f) + r;
    vf32 c = t * t * vpoly(t, 0.04166666666f, -0.001388888617f, 2.480006365e-5f, -2.724946115e-7f) +
             (1.0f - 0.5f * t);
    vf32 y = (n & 1) != 0 ? c : s;
    return (vf32)((vu32)y ^ ((vu32)(n & 2) << 30));
}
template <class F>
DL_INLINE vf32 vper_lane(vf32 x, F f) {
    for (int i = 0; i < Vec<float>::N; ++i) x[i] = f(x[i]);
    return x;
}
// Arguments too large for the reduction go to the C library. (x - x is NaN for infinities and NaN.)
DL_INLINE vf32 vsin(vf32 x) {
    if (vany(!(vabs(x) < 1e6f))) return vper_lane(x, [](float v) { return sinf(v); });
    return x == 0.0f ? x : vsin_shifted(x, 0);
}
DL_INLINE vf32 vcos(vf32 x) {
    if (vany(!(vabs(x) < 1e6f))) return vper_lane(x, [](float v) { return cosf(v); });
    return vsin_shifted(x, 1);
}
DL_INLINE vf64 vtan_double(vf64 x) {
    vi64 n;
    vf64 r = vreduce_pio2(x, &n), t = r * r;
    vf64 s = r * t * vpoly(t, -0.1666666664, 0.008333329391, -0.0001983933413, 2.718291318e-6) + r;
    vf64 c = t * t * vpoly(t, 0.04166666666, -0.001388888617, 2.480006365e-5, -2.724946115e-7) +
             (1.0 - 0.5 * t);
    auto odd = (n & 1) != 0;
    return (odd ? -c : s) / (odd ? s : c);
}
DL_INLINE vf32 vtan(vf32 x) {
    if (vany(!(vabs(x) < 1e6f))) return vper_lane(x, [](float v) { return tanf(v); });
    return x == 0.0f ? x : vin_double(x, [](vf64 v) { return vtan_double(v); });
}

// atan for results of float precision
DL_INLINE vf64 vatan_double(vf64 x) {
    vf64 a = vabs(x);
    auto inverse = a > 1.0;
    vf64 u = inverse ? 1.0 / a : a, t = u * u;
    vf64 p = u * t *
                 vpoly(t, -0.333333329892095249, 0.199999609776239544, -0.142846626569193243,
                       0.110982515223827385, -0.0900212695114444875, 0.0730612967840690677,
                       -0.055360307012866389, 0.0354616490031302103, -0.0170169477495884151,
                       0.00522242354198268847, -0.000750850265437563773) +
             u;
    return vcopysign(inverse ? 1.5707963267948966 - p : p, x);
}
DL_INLINE vf32 vatan(vf32 x) {
    return vin_double(x, [](vf64 v) { return vatan_double(v); });
}
DL_INLINE vf32 vasin(vf32 x) {
    return vin_double(x, [](vf64 v) { return vatan_double(v / vsqrt((1.0 - v) * (v + 1.0))); });
}
DL_INLINE vf32 vacos(vf32 x) {
    return vin_double(x, [](vf64 v) { return vatan_double(vsqrt((1.0 - v) / (v + 1.0))) * 2.0; });
}
#if DL_HAS_FMA
DL_INLINE vf32 vatan2(vf32 y, vf32 x) {
    const vf32 ax = vabs(x), ay = vabs(y), hi = vmax(ax, ay), lo = vmin(ax, ay);
    vf32 q = lo / hi;
    q = hi == 0.0f ? vf32{} : q;
    q = lo == __builtin_inff() ? vset1(1.0f) : q;
    const vf32 t = q * q;
    const vf32 p =
        vpoly(t, -0.33333299086f, 0.199985482f, -0.14264240789f, 0.10952181091f, -0.08403436628f,
              0.05795735915f, -0.03117761263f, 0.01091448081f, -0.00179359384f);
    const vf32 small = q * t * p;                    // atan(q) - q
    const auto steep = ay > ax, left = (vi32)x < 0;  // by the sign bit, so that x = -0 counts
    // base +- (q + small), where base is 0, pi / 2 or pi in two parts, and what base +- q loses is kept.
    const vf32 base = steep ? vset1(1.57079637f) : left ? vset1(3.14159274f) : vf32{};
    const vf32 more = steep ? vset1(-4.37113883e-8f) : left ? vset1(-8.74227766e-8f) : vf32{};
    const auto minus = steep ^ left;
    const vf32 sq = minus ? -q : q, ssmall = minus ? -small : small;
    const vf32 sum = base + sq, lost = sq - (sum - base);
    const vf32 r = vcopysign(sum + (lost + (ssmall + more)), y);
    return (x != x) | (y != y) ? x + y : r;
}
#else
DL_INLINE vf64 vatan2_double(vf64 y, vf64 x) {
    const double pi = 3.1415926535897931;
    vf64 ax = vabs(x), ay = vabs(y);
    vf64 hi = ax > ay ? ax : ay, lo = ax > ay ? ay : ax;
    vf64 q = lo / hi;
    q = hi == 0.0 ? vf64{} : q;
    q = lo == __builtin_inf() ? vset1(1.0) : q;
    vf64 r = vatan_double(q);
    r = ay > ax ? pi / 2 - r : r;
    r = (vi64)x < 0 ? pi - r : r;  // by the sign bit, so that x = -0 counts
    r = vcopysign(r, y);
    return (x != x) | (y != y) ? x + y : r;
}
DL_INLINE vf32 vatan2(vf32 y, vf32 x) {
    return vin_double(y, x, [](vf64 a, vf64 b) { return vatan2_double(a, b); });
}
#endif
DL_INLINE vf32 vhypot(vf32 x, vf32 y) {
    vf32 h = vin_double(x, y, [](vf64 a, vf64 b) { return vsqrt(a * a + b * b); });
    const float inf = __builtin_inff();
    return (vabs(x) == inf) | (vabs(y) == inf) ? vset1(inf) : h;
}

DL_INLINE vf32 vsinh(vf32 x) {
    return vin_double(x, [](vf64 v) {
        vf64 e =
            vexpm1(vclamp_exp(vabs(v), 0.0, 100.0));  // e^100 overflows a float, not e / (e + 1)
        return vcopysign((e + e / (e + 1.0)) * 0.5, v);
    });
}
DL_INLINE vf32 vcosh(vf32 x) {
    return vin_double(x, [](vf64 v) {
        vf64 e = vexp(vabs(v));
        return (e + 1.0 / e) * 0.5;
    });
}
DL_INLINE vf32 vasinh(vf32 x) {
    vf32 y = vin_double(x, [](vf64 v) {
        vf64 a = vabs(v), q = a * a;
        return vcopysign(vlog1p(a + q / (vsqrt(q + 1.0) + 1.0)), v);
    });
    return vabs(x) == __builtin_inff() ? x : y;
}
DL_INLINE vf32 vacosh(vf32 x) {
    return vin_double(x, [](vf64 v) {
        vf64 t = v < 1.0 ? vset1(__builtin_nan("")) : v - 1.0;
        return vlog1p(t + vsqrt(t * (t + 2.0)));
    });
}
DL_INLINE vf32 vatanh(vf32 x) {
    return vin_double(x, [](vf64 v) {
        vf64 a = vabs(v);
        return vcopysign(vlog1p(2.0 * a / (1.0 - a)) * 0.5, v);
    });
}

}  // namespace
