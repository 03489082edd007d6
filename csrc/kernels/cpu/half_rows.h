// The sixteen-bit floats as types of their own, and vectors of them widened to float and rounded back.
#pragma once
#include "kernels/cpu/half.h"
#include "kernels/cpu/simd.h"

namespace {

struct Bf16 {
    uint16_t bits;
};
struct F16 {
    uint16_t bits;
};
template <class H>
constexpr bool kIsBf16 = false;
template <>
constexpr bool kIsBf16<Bf16> = true;

template <class T>
DL_INLINE T widen(T x) {
    return x;
}
DL_INLINE float widen(Bf16 x) { return bf16_to_float(x.bits); }
DL_INLINE float widen(F16 x) { return f16_to_float(x.bits); }
DL_INLINE void round_to(Bf16& y, float x) { y.bits = float_to_bf16(x); }
DL_INLINE void round_to(F16& y, float x) { y.bits = float_to_f16(x); }

typedef uint16_t vhalves __attribute__((vector_size(DL_VEC_BYTES / 2)));  // as many lanes as vf32

template <class H>
DL_INLINE vhalves vload_halves(const H* p) {
    vhalves h;
    memcpy(&h, p, sizeof h);
    return h;
}
// Sixteen-bit lanes to 32 bits and back. (Of the general conversion GCC makes five instructions for AVX-512.)
DL_INLINE vu32 vwiden_bits(vhalves h) {
#if defined(__AVX512F__) && DL_VEC_BYTES == 64
    return (vu32)_mm512_maskz_cvtepu16_epi32(0xffff, (__m256i)h);
#else
    return __builtin_convertvector(h, vu32);
#endif
}
DL_INLINE vhalves vnarrow_bits(vu32 u) {
#if defined(__AVX512F__) && DL_VEC_BYTES == 64
    return (vhalves)_mm512_maskz_cvtepi32_epi16(0xffff, (__m512i)u);
#else
    return __builtin_convertvector(u, vhalves);
#endif
}
// N halves of memory as floats, and N floats rounded to nearest even.
DL_INLINE vf32 vload(const Bf16* p) { return (vf32)(vwiden_bits(vload_halves(p)) << 16); }
// The upper half of each lane is x rounded to bfloat16. Unless `any_nan`, a NaN has zeros in its lower half,
// as those have that are widened or made by the processor: adding does not turn them into anything else.
template <bool any_nan = true>
DL_INLINE vu32 vround_bf16(vf32 x) {
    const vu32 u = (vu32)x, rounded = u + 0x7fffu + ((u >> 16) & 1u);
    if constexpr (!any_nan) return rounded;
    return x != x ? (u & 0x80000000u) | 0x7fc00000u : rounded;
}
#if defined(__AVX512BW__) && DL_VEC_BYTES == 64
alignas(64) constexpr uint16_t kUpperHalves[32] = {1,  3,  5,  7,  9,  11, 13, 15, 17, 19, 21,
                                                   23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 43,
                                                   45, 47, 49, 51, 53, 55, 57, 59, 61, 63};
#endif
DL_INLINE void vstore(Bf16* p, vf32 x) {
    const vhalves h = vnarrow_bits(vround_bf16(x) >> 16);
    memcpy(p, &h, sizeof h);
}
DL_INLINE vf32 vload(const F16* p) {
#if defined(__AVX512F__) && DL_VEC_BYTES == 64
    return (vf32)_mm512_maskz_cvtph_ps(0xffff, (__m256i)vload_halves(p));
#elif defined(__F16C__) && DL_VEC_BYTES == 32
    return (vf32)_mm256_cvtph_ps((__m128i)vload_halves(p));
#else
    vf32 x;
    for (int i = 0; i < Vec<float>::N; ++i) x[i] = widen(p[i]);
    return x;
#endif
}
DL_INLINE void vstore(F16* p, vf32 x) {
#if defined(__AVX512F__) && DL_VEC_BYTES == 64
    const __m256i h = _mm512_maskz_cvtps_ph(0xffff, (__m512)x, _MM_FROUND_TO_NEAREST_INT);
    memcpy(p, &h, sizeof h);
#elif defined(__F16C__) && DL_VEC_BYTES == 32
    const __m128i h = _mm256_cvtps_ph((__m256)x, _MM_FROUND_TO_NEAREST_INT);
    memcpy(p, &h, sizeof h);
#else
    for (int i = 0; i < Vec<float>::N; ++i) round_to(p[i], x[i]);
#endif
}

// 2 N elements, rounded: the upper halves of two vectors are one shuffle.
template <bool any_nan = true, class H>
DL_INLINE void vstore_two(H* p, vf32 a, vf32 b) {
#if defined(__AVX512BW__) && DL_VEC_BYTES == 64
    if constexpr (kIsBf16<H>) {
        const __m512i order = _mm512_load_si512(kUpperHalves);
        const __m512i lo = (__m512i)vround_bf16<any_nan>(a), hi = (__m512i)vround_bf16<any_nan>(b);
        _mm512_storeu_si512(p, _mm512_permutex2var_epi16(lo, order, hi));
        return;
    }
#endif
    vstore(p, a);
    vstore(p + Vec<float>::N, b);
}

// 2 N elements in whatever order is quickest, for sums and the like.
template <class T>
DL_INLINE void vload_mixed(const T* p, typename Vec<T>::type& a, typename Vec<T>::type& b) {
    a = vload(p);
    b = vload(p + Vec<T>::N);
}
DL_INLINE void vload_mixed(const F16* p, vf32& a, vf32& b) {
    a = vload(p);
    b = vload(p + Vec<float>::N);
}
DL_INLINE void vload_mixed(const Bf16* p, vf32& a, vf32& b) {
    const vu32 pairs = vload(reinterpret_cast<const uint32_t*>(p));
    a = (vf32)(pairs << 16);
    b = (vf32)(pairs & 0xffff0000u);
}

template <class H>
DL_INLINE void widen_row(float* y, const H* x, int64_t n) {
    constexpr int N = Vec<float>::N;
    int64_t i = 0;
    for (; i + N <= n; i += N) vstore(y + i, vload(x + i));
    for (; i < n; ++i) y[i] = widen(x[i]);
}
template <class H>
DL_INLINE void round_row(H* y, const float* x, int64_t n) {
    constexpr int N = Vec<float>::N;
    int64_t i = 0;
    for (; i + 2 * N <= n; i += 2 * N) vstore_two(y + i, vload(x + i), vload(x + i + N));
    for (; i + N <= n; i += N) vstore(y + i, vload(x + i));
    for (; i < n; ++i) round_to(y[i], x[i]);
}

}  // namespace
