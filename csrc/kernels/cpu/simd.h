// A thin layer over the compiler's vector extensions. Every kernel file that includes it is compiled
// once per instruction set with DL_ISA set to reference, baseline, avx2 or avx512 (aarch64: neon), and
// everything here has internal linkage, so nothing compiled for one set can leak into another.
//
// A vector holds DL_VEC_BYTES bytes of T; Vec<float>::N lanes. Arithmetic and comparison operators are
// the compiler's own (+ - * / < == & | ~ and c ? a : b), a comparison gives a mask of same-sized ints.
#pragma once
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

#define DL_CONCAT_(a, b) a##b
#define DL_CONCAT(a, b) DL_CONCAT_(a, b)

#ifndef DL_VEC_BYTES
#if defined(__AVX512F__)
#define DL_VEC_BYTES 64
#elif defined(__AVX2__)
#define DL_VEC_BYTES 32
#else
#define DL_VEC_BYTES 16
#endif
#endif

#define DL_INLINE static inline __attribute__((always_inline))

namespace {

template <class T>
struct Vec {
    static constexpr int N = DL_VEC_BYTES / int(sizeof(T));
    typedef T type __attribute__((vector_size(DL_VEC_BYTES)));
    typedef T unaligned __attribute__((vector_size(DL_VEC_BYTES), aligned(1), may_alias));
};
typedef Vec<float>::type vf32;
typedef Vec<double>::type vf64;
typedef Vec<int32_t>::type vi32;
typedef Vec<int64_t>::type vi64;
typedef Vec<uint32_t>::type vu32;
typedef Vec<uint64_t>::type vu64;
typedef float vf32_half __attribute__((vector_size(DL_VEC_BYTES / 2)));  // as many lanes as vf64

template <class T>
DL_INLINE typename Vec<T>::type vload(const T* p) {
    return *reinterpret_cast<const typename Vec<T>::unaligned*>(p);
}
template <class T>
DL_INLINE void vstore(T* p, typename Vec<T>::type v) {
    *reinterpret_cast<typename Vec<T>::unaligned*>(p) = v;
}
template <class T>
DL_INLINE typename Vec<T>::type vset1(T x) {
    return x - typename Vec<T>::type{};  // broadcast; x - 0 keeps the sign of -0.0
}
// The first n lanes from memory, the rest `fill`; and the first n lanes to memory. 0 <= n <= N.
// Memory beyond lane n is not touched.
template <class T>
DL_INLINE typename Vec<T>::type vload_n(const T* p, int64_t n, T fill = T(0)) {
    typename Vec<T>::type v = vset1<T>(fill);
#if defined(__AVX512F__) && DL_VEC_BYTES == 64
    if constexpr (sizeof(T) == 4)
        return (typename Vec<T>::type)_mm512_mask_loadu_epi32((__m512i)v, __mmask16((1u << n) - 1),
                                                              p);
    if constexpr (sizeof(T) == 8)
        return (typename Vec<T>::type)_mm512_mask_loadu_epi64((__m512i)v, __mmask8((1u << n) - 1),
                                                              p);
#endif
    for (int64_t i = 0; i < n; ++i) v[i] = p[i];
    return v;
}
template <class T>
DL_INLINE void vstore_n(T* p, typename Vec<T>::type v, int64_t n) {
#if defined(__AVX512F__) && DL_VEC_BYTES == 64
    if constexpr (sizeof(T) == 4)
        return _mm512_mask_storeu_epi32(p, __mmask16((1u << n) - 1), (__m512i)v);
    if constexpr (sizeof(T) == 8)
        return _mm512_mask_storeu_epi64(p, __mmask8((1u << n) - 1), (__m512i)v);
#endif
    for (int64_t i = 0; i < n; ++i) p[i] = v[i];
}
// a * b + c, rounded once: only where DL_HAS_FMA says that there is an instruction for it.
#if defined(__FMA__) && defined(__AVX512F__) && DL_VEC_BYTES == 64
#define DL_HAS_FMA 1
DL_INLINE vf32 vfma(vf32 a, vf32 b, vf32 c) {
    return (vf32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
#elif defined(__FMA__) && DL_VEC_BYTES == 32
#define DL_HAS_FMA 1
DL_INLINE vf32 vfma(vf32 a, vf32 b, vf32 c) {
    return (vf32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
#else
#define DL_HAS_FMA 0
#endif
// max/min as the hardware does them: (a > b ? a : b), so a NaN in `a` gives b.
template <class V>
DL_INLINE V vmax(V a, V b) {
    return a > b ? a : b;
}
template <class V>
DL_INLINE V vmin(V a, V b) {
    return a < b ? a : b;
}
#if defined(__AVX512F__) && DL_VEC_BYTES == 64
// One instruction where the compiler makes a comparison and a blend of the above. (The masked forms
// with all lanes set: the plain ones warn of an undefined pass-through in some compilers.)
DL_INLINE vf32 vmax(vf32 a, vf32 b) {
    return (vf32)_mm512_maskz_max_ps(0xffff, (__m512)a, (__m512)b);
}
DL_INLINE vf32 vmin(vf32 a, vf32 b) {
    return (vf32)_mm512_maskz_min_ps(0xffff, (__m512)a, (__m512)b);
}
DL_INLINE vf64 vmax(vf64 a, vf64 b) {
    return (vf64)_mm512_maskz_max_pd(0xff, (__m512d)a, (__m512d)b);
}
DL_INLINE vf64 vmin(vf64 a, vf64 b) {
    return (vf64)_mm512_maskz_min_pd(0xff, (__m512d)a, (__m512d)b);
}
#elif defined(__AVX2__) && DL_VEC_BYTES == 32
DL_INLINE vf32 vmax(vf32 a, vf32 b) { return (vf32)_mm256_max_ps((__m256)a, (__m256)b); }
DL_INLINE vf32 vmin(vf32 a, vf32 b) { return (vf32)_mm256_min_ps((__m256)a, (__m256)b); }
#endif
// Sum of the lanes, pairwise, in a fixed order.
template <class T>
DL_INLINE T vreduce_add(typename Vec<T>::type v) {
#if defined(__AVX512F__) && DL_VEC_BYTES == 64
    if constexpr (sizeof(T) == 4 &&
                  T(0.5) != T(0)) {  // in registers, in the order of the loop below
        const __m256 a =
            _mm256_add_ps(_mm512_castps512_ps256((__m512)v),
                          _mm256_castpd_ps(_mm512_maskz_extractf64x4_pd(0xf, (__m512d)v, 1)));
        const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
        const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
        return T(_mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c))));
    }
    if constexpr (sizeof(T) == 8 && T(0.5) != T(0)) {
        const __m256d a = _mm256_add_pd(_mm512_castpd512_pd256((__m512d)v),
                                        _mm512_maskz_extractf64x4_pd(0xf, (__m512d)v, 1));
        const __m128d b = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
        return T(_mm_cvtsd_f64(_mm_add_sd(b, _mm_unpackhi_pd(b, b))));
    }
#elif defined(__AVX2__) && DL_VEC_BYTES == 32
    if constexpr (sizeof(T) == 4 && T(0.5) != T(0)) {
        const __m256 a = (__m256)v;
        const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
        const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
        return T(_mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c))));
    }
#endif
    T lanes[Vec<T>::N];
    memcpy(lanes, &v, sizeof v);
    for (int w = Vec<T>::N / 2; w > 0; w /= 2)
        for (int i = 0; i < w; ++i) lanes[i] += lanes[i + w];
    return lanes[0];
}
// Whether any lane of a mask (of ints, as comparisons give) is set.
template <class M>
DL_INLINE bool vany(M mask) {
#if defined(__AVX512F__) && DL_VEC_BYTES == 64
    return _mm512_test_epi32_mask((__m512i)mask, (__m512i)mask) != 0;
#elif defined(__AVX2__) && DL_VEC_BYTES == 32
    return _mm256_movemask_epi8((__m256i)mask) != 0;
#elif defined(__SSE2__) && DL_VEC_BYTES == 16
    return _mm_movemask_epi8((__m128i)mask) != 0;
#else
    uint64_t words[DL_VEC_BYTES / 8], any = 0;
    memcpy(words, &mask, sizeof mask);
    for (uint64_t w : words) any |= w;
    return any != 0;
#endif
}
// Square root of each lane, correctly rounded.
DL_INLINE vf32 vsqrt(vf32 x) {
#if defined(__AVX512F__) && DL_VEC_BYTES == 64
    return (vf32)_mm512_maskz_sqrt_ps(0xffff, (__m512)x);
#elif defined(__AVX2__) && DL_VEC_BYTES == 32
    return (vf32)_mm256_sqrt_ps((__m256)x);
#elif defined(__SSE2__) && DL_VEC_BYTES == 16
    return (vf32)_mm_sqrt_ps((__m128)x);
#else
    for (int i = 0; i < Vec<float>::N; ++i) x[i] = __builtin_sqrtf(x[i]);
    return x;
#endif
}
DL_INLINE vf64 vsqrt(vf64 x) {
#if defined(__AVX512F__) && DL_VEC_BYTES == 64
    return (vf64)_mm512_maskz_sqrt_pd(0xff, (__m512d)x);
#elif defined(__AVX2__) && DL_VEC_BYTES == 32
    return (vf64)_mm256_sqrt_pd((__m256d)x);
#elif defined(__SSE2__) && DL_VEC_BYTES == 16
    return (vf64)_mm_sqrt_pd((__m128d)x);
#else
    for (int i = 0; i < Vec<double>::N; ++i) x[i] = __builtin_sqrt(x[i]);
    return x;
#endif
}
// The lower and the upper half of the lanes, widened to double; and back, rounded to float.
DL_INLINE vf64 vwiden_lo(vf32 x) {
    vf32_half h;
    memcpy(&h, &x, sizeof h);
    return __builtin_convertvector(h, vf64);
}
DL_INLINE vf64 vwiden_hi(vf32 x) {
    vf32_half h;
    memcpy(&h, reinterpret_cast<const char*>(&x) + sizeof h, sizeof h);
    return __builtin_convertvector(h, vf64);
}
DL_INLINE vf32 vnarrow(vf64 lo, vf64 hi) {
    vf32_half l = __builtin_convertvector(lo, vf32_half),
              h = __builtin_convertvector(hi, vf32_half);
    vf32 x;
    memcpy(&x, &l, sizeof l);
    memcpy(reinterpret_cast<char*>(&x) + sizeof l, &h, sizeof h);
    return x;
}
// The low 32 bits of each lane of two vectors, joined.
DL_INLINE vi32 vnarrow_int(vi64 lo, vi64 hi) {
    typedef int32_t half __attribute__((vector_size(DL_VEC_BYTES / 2)));
    half l = __builtin_convertvector(lo, half), h = __builtin_convertvector(hi, half);
    vi32 x;
    memcpy(&x, &l, sizeof l);
    memcpy(reinterpret_cast<char*>(&x) + sizeof l, &h, sizeof h);
    return x;
}

}  // namespace
