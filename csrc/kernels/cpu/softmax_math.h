// exp for vectors whose lanes are at most about 80, which is all that softmax and log-sum-exp ask for.
#pragma once
#include "kernels/cpu/simd.h"

namespace {

// x = k ln 2 + r with |r| <= ln 2 / 2, exp(x) = 2^k * (Taylor series of exp(r)), good to about 1 ulp.
// k comes from adding 1.5 * 2^23 (2^52): the sum's low bits hold the rounded integer. Results below the
// smallest normal number are 0; a NaN stays one.
DL_INLINE vf32 exp_lanes(vf32 x) {
    const vf32 shift = vset1<float>(12582912.0f);
    vf32 low = vset1<float>(-87.33f);
    vf32 y = x < low ? low : x;
    vf32 t = y * 1.44269504f + shift;
    vf32 k = t - shift;
    vf32 r = (y - k * 0.693145752f) - k * 1.42860677e-6f;
    vf32 p = r * 1.98412698e-4f + 1.38888889e-3f;
    p = p * r + 8.33333333e-3f;
    p = p * r + 4.16666667e-2f;
    p = p * r + 1.66666667e-1f;
    p = p * r + 0.5f;
    p = p * r * r + r + 1.0f;
    vi32 bits;
    memcpy(&bits, &t, sizeof bits);
    bits = (bits + 127) << 23;
    vf32 scale;
    memcpy(&scale, &bits, sizeof scale);
    return x < low ? vf32{} : p * scale;
}

DL_INLINE vf64 exp_lanes(vf64 x) {
    const vf64 shift = vset1<double>(6755399441055744.0);
    vf64 low = vset1<double>(-708.39);
    vf64 y = x < low ? low : x;
    vf64 t = y * 1.4426950408889634 + shift;
    vf64 k = t - shift;
    vf64 r = (y - k * 6.93147180369123816490e-1) - k * 1.90821492927058770002e-10;
    const double c[] = {1.6059043836821613e-10, 2.08767569878681e-09,   2.505210838544172e-08,
                        2.755731922398589e-07,  2.7557319223985893e-06, 2.48015873015873e-05,
                        1.984126984126984e-04,  1.388888888888889e-03,  8.333333333333333e-03,
                        4.1666666666666664e-02, 1.6666666666666666e-01, 0.5};
    vf64 p = vset1<double>(c[0]);
    for (int i = 1; i < 12; ++i) p = p * r + c[i];
    p = p * r * r + r + 1.0;
    vi64 bits;
    memcpy(&bits, &t, sizeof bits);
    bits = (bits + 1023) << 52;
    vf64 scale;
    memcpy(&scale, &bits, sizeof scale);
    return x < low ? vf64{} : p * scale;
}

}  // namespace
