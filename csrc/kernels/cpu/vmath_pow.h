// Powers of float32: see vmath.h.
#pragma once
#include "kernels/cpu/vmath.h"

namespace {

#if defined(__AVX512F__) && DL_VEC_BYTES == 64
// log2(a) for a > 0 that was a float, to 34 bits of the result: a = 2^k m, m in [3/4, 3/2), and with c from a
// table log2(m) = log2(1 + (c m - 1)) - log2(c), |c m - 1| <= 1/16. c is 1 to either side of 1, so that the
// logarithm of numbers next to it keeps its digits.
DL_INLINE vf64 vlog2_of_float(vf64 a) {
    const vf64 c_lo = {1.0,     0.9140625, 0.8671875, 0.8203125,
                       0.78125, 0.7421875, 0.7109375, 0.6796875};
    const vf64 c_hi = {1.3046875, 1.2578125, 1.2109375, 1.1640625, 1.125, 1.0859375, 1.046875, 1.0};
    const vf64 log_lo = {0.0,
                         0.12963528041659547,
                         0.20558413364989403,
                         0.28575448233387735,
                         0.3561438102252753,
                         0.43014439166905216,
                         0.49220535980130375,
                         0.5570565041512717};
    const vf64 log_hi = {
        -0.38370429247405224, -0.33091687811461695, -0.27612440527423754, -0.21916852046216156,
        -0.16992500144231237, -0.11894107272350743, -0.06608919045777244, 0.0};
    const vi64 bits = (vi64)a, k = (bits - 0x3fe8000000000000ll) >> 52, m = bits - (k << 52);
    const __m512i place =
        (__m512i)((vu64)m >> 48);  // the upper four bits of m, and what is ignored
    const vf64 c = (vf64)_mm512_permutex2var_pd((__m512d)c_lo, place, (__m512d)c_hi);
    const vf64 log_c = (vf64)_mm512_permutex2var_pd((__m512d)log_lo, place, (__m512d)log_hi);
    const vf64 f = (vf64)m * c - 1.0;
    const vf64 p = vpoly(f, 1.442695040875458, -0.721347510480654, 0.480898422017881,
                         -0.3607012636556307, 0.28867932023567894, -0.22445949868432175);
    return __builtin_convertvector(k, vf64) + log_c + f * p;
}
// 2^t to 29 bits, for any t that is not infinite.
DL_INLINE vf64 vexp2_to_float(vf64 t) {
    const vf64 k = (vf64)_mm512_maskz_roundscale_pd(0xff, (__m512d)t, 8), f = t - k;
    const vf64 p =
        vpoly(f, 1.0000000005541874, 0.6931472057371978, 0.24022646890479288, 0.05550328777078013,
              0.009618488973869872, 0.0013399931182964263, 0.00015345807495993781);
    return (vf64)_mm512_maskz_scalef_pd(0xff, (__m512d)p, (__m512d)k);
}
// a^y for a >= 0
DL_INLINE vf32 vpow_positive(vf32 a, vf32 y) {
    const float inf = __builtin_inff();
    const vf32 most = vclamp_exp(y, -1e10f, 1e10f);  // beyond, every a but 1 gives 0 or inf
    vf32 r =
        vin_double(a, most, [](vf64 b, vf64 e) { return vexp2_to_float(vlog2_of_float(b) * e); });
    r = a == 0.0f ? (y < 0.0f ? vset1(inf) : vf32{}) : r;
    r = a == inf ? (y < 0.0f ? vf32{} : vset1(inf)) : r;
    return (a != a) | (y != y) ? a + y : r;
}
#else
DL_INLINE vf32 vpow_positive(vf32 a, vf32 y) {
    return vin_double(a, y, [](vf64 b, vf64 e) { return vexp2(vlog(b) * 1.4426950408889634 * e); });
}
#endif

// x^y by C's rules for zeros, infinities, NaN and negative bases.
DL_INLINE vf32 vpow(vf32 x, vf32 y) {
    vf32 a = vabs(x);
    vf32 r = vpow_positive(a, y);
    const float inf = __builtin_inff();
    r = (a == 1.0f) & (vabs(y) == inf) ? vset1(1.0f) : r;
    vf32 ay = vabs(y);
    auto big = ay >= 8388608.0f;  // no fraction from here on; even from 2^24 on
    vf32 safe = big ? vf32{} : ay;
    vi32 k = __builtin_convertvector(safe, vi32);
    auto integer = big | (__builtin_convertvector(k, vf32) == safe);
    auto big_odd = big & (ay < 16777216.0f) & (((vi32)ay & 1) != 0);
    auto odd = (~big & integer & ((k & 1) != 0)) | big_odd;
    auto negative = (vi32)x < 0;
    r = negative & odd ? -r : r;
    r = (x < 0.0f) & ~integer & (a != inf) ? vset1(__builtin_nanf("")) : r;
    return (x == 1.0f) | (y == 0.0f) ? vset1(1.0f) : r;
}

}  // namespace
