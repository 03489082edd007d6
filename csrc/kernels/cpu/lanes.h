// Lanes: parts of vectors that lie half outside of a row, vectors split and zipped, sums of many.
//
// Of a masked vector the lanes that are left out are not touched in memory, so the address may point
// in front of the row.
#pragma once
#include "kernels/cpu/simd.h"

namespace {

// Integers as wide as a T: a lane's position.
template <class T>
struct LaneInt;
template <>
struct LaneInt<float> {
    typedef int32_t type;
};
template <>
struct LaneInt<double> {
    typedef int64_t type;
};

#if DL_VEC_BYTES == 64 && defined(__AVX512F__)
template <class T>
struct LaneMask {
    uint32_t bits;
};
#else
template <class T>
struct LaneMask {
    typedef decltype(typename Vec<T>::type{} == typename Vec<T>::type{}) ints;
    ints lanes;  // all bits of a lane set, or none
};
#endif

// v, in a register from here on: compilers like to load a vector that several products share again for
// each of them, which costs as many loads as products, and two where it crosses a line of the cache.
template <class V>
DL_INLINE V vhold(V v) {
#if defined(__x86_64__)
    asm("" : "+v"(v));
#elif defined(__aarch64__)
    asm("" : "+w"(v));
#endif
    return v;
}

// A vector of which the first n lanes are in memory; n is a constant N but at the end of a row.
template <class T>
DL_INLINE typename Vec<T>::type vload_lanes(const T* p, int64_t n, T fill = T(0)) {
    return n == Vec<T>::N ? vload(p) : vload_n(p, n, fill);
}
template <class T>
DL_INLINE void vstore_lanes(T* p, typename Vec<T>::type v, int64_t n) {
    if (n == Vec<T>::N)
        vstore(p, v);
    else
        vstore_n(p, v, n);
}

template <class T>
DL_INLINE LaneMask<T> lane_mask(int64_t lo, int64_t hi) {
    constexpr int N = Vec<T>::N;
    lo = lo < 0 ? 0 : lo > N ? N : lo;
    hi = hi < lo ? lo : hi > N ? N : hi;
#if DL_VEC_BYTES == 64 && defined(__AVX512F__)
    return {((1u << hi) - 1) & ~((1u << lo) - 1)};
#else
    LaneMask<T> m;
    for (int i = 0; i < N; ++i) m.lanes[i] = i >= lo && i < hi ? -1 : 0;
    return m;
#endif
}

template <class T>
DL_INLINE typename Vec<T>::type vload_mask(const T* p, const LaneMask<T>& m) {
    typedef typename Vec<T>::type vec;
#if DL_VEC_BYTES == 64 && defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (vec)_mm512_maskz_loadu_epi32(__mmask16(m.bits), p);
    else
        return (vec)_mm512_maskz_loadu_epi64(__mmask8(m.bits), p);
#elif DL_VEC_BYTES == 32 && defined(__AVX2__)
    if constexpr (sizeof(T) == 4)
        return (vec)_mm256_maskload_ps(reinterpret_cast<const float*>(p), (__m256i)m.lanes);
    else
        return (vec)_mm256_maskload_pd(reinterpret_cast<const double*>(p), (__m256i)m.lanes);
#else
    vec v{};
    for (int i = 0; i < Vec<T>::N; ++i)
        if (m.lanes[i]) v[i] = p[i];
    return v;
#endif
}

template <class T>
DL_INLINE void vstore_mask(T* p, typename Vec<T>::type v, const LaneMask<T>& m) {
#if DL_VEC_BYTES == 64 && defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        _mm512_mask_storeu_epi32(p, __mmask16(m.bits), (__m512i)v);
    else
        _mm512_mask_storeu_epi64(p, __mmask8(m.bits), (__m512i)v);
#elif DL_VEC_BYTES == 32 && defined(__AVX2__)
    if constexpr (sizeof(T) == 4)
        _mm256_maskstore_ps(reinterpret_cast<float*>(p), (__m256i)m.lanes, (__m256)v);
    else
        _mm256_maskstore_pd(reinterpret_cast<double*>(p), (__m256i)m.lanes, (__m256d)v);
#else
    for (int i = 0; i < Vec<T>::N; ++i)
        if (m.lanes[i]) p[i] = v[i];
#endif
}

// The even and the odd lanes of two vectors, joined; and the way back: lo's and hi's lanes in turn.
template <class T>
DL_INLINE typename Vec<T>::type vevens(typename Vec<T>::type a, typename Vec<T>::type b) {
    if constexpr (Vec<T>::N == 16)
        return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28,
                                       30);
    else if constexpr (Vec<T>::N == 8)
        return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
    else if constexpr (Vec<T>::N == 4)
        return __builtin_shufflevector(a, b, 0, 2, 4, 6);
    else
        return __builtin_shufflevector(a, b, 0, 2);
}
template <class T>
DL_INLINE typename Vec<T>::type vodds(typename Vec<T>::type a, typename Vec<T>::type b) {
    if constexpr (Vec<T>::N == 16)
        return __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29,
                                       31);
    else if constexpr (Vec<T>::N == 8)
        return __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15);
    else if constexpr (Vec<T>::N == 4)
        return __builtin_shufflevector(a, b, 1, 3, 5, 7);
    else
        return __builtin_shufflevector(a, b, 1, 3);
}
template <class T>
DL_INLINE typename Vec<T>::type vzip_lo(typename Vec<T>::type a, typename Vec<T>::type b) {
    if constexpr (Vec<T>::N == 16)
        return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7,
                                       23);
    else if constexpr (Vec<T>::N == 8)
        return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
    else if constexpr (Vec<T>::N == 4)
        return __builtin_shufflevector(a, b, 0, 4, 1, 5);
    else
        return __builtin_shufflevector(a, b, 0, 2);
}
template <class T>
DL_INLINE typename Vec<T>::type vzip_hi(typename Vec<T>::type a, typename Vec<T>::type b) {
    if constexpr (Vec<T>::N == 16)
        return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30,
                                       15, 31);
    else if constexpr (Vec<T>::N == 8)
        return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
    else if constexpr (Vec<T>::N == 4)
        return __builtin_shufflevector(a, b, 2, 6, 3, 7);
    else
        return __builtin_shufflevector(a, b, 1, 3);
}

// p[0], p[2], ... = the first n lanes of v; what lies between is not touched.
template <class T>
DL_INLINE void vstore_pairs(T* p, typename Vec<T>::type v, int64_t n) {
#if DL_VEC_BYTES == 64 && defined(__AVX512F__)
    constexpr int N = Vec<T>::N;
    LaneMask<T> lo = lane_mask<T>(0, 2 * n), hi = lane_mask<T>(-N, 2 * n - N);
    lo.bits &= 0x5555, hi.bits &= 0x5555;
    vstore_mask(p, vzip_lo<T>(v, v), lo);
    vstore_mask(p + N, vzip_hi<T>(v, v), hi);
#else
    for (int64_t i = 0; i < n; ++i) p[2 * i] = v[i];
#endif
}

// N vectors as the rows of a matrix -> its columns, in N log2(N) shuffles.
template <class T>
DL_INLINE void vtranspose(typename Vec<T>::type* v) {
    constexpr int N = Vec<T>::N;
#pragma GCC unroll 4
    for (int stage = 1; stage < N; stage *= 2) {
        typename Vec<T>::type next[N];
#pragma GCC unroll 8
        for (int i = 0; i < N / 2; ++i) {
            next[2 * i] = vzip_lo<T>(v[i], v[i + N / 2]);
            next[2 * i + 1] = vzip_hi<T>(v[i], v[i + N / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < N; ++i) v[i] = next[i];
    }
}

// The sums of the lanes of N vectors, in place of which partial sums are left. The order in which
// lanes are added is the same for each of them.
template <class T>
DL_INLINE typename Vec<T>::type vreduce_each(typename Vec<T>::type* v) {
#pragma GCC unroll 4
    for (int n = Vec<T>::N / 2; n > 0; n /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < n; ++i)
            v[i] = vevens<T>(v[2 * i], v[2 * i + 1]) + vodds<T>(v[2 * i], v[2 * i + 1]);
    return v[0];
}

// f over the lanes of v, pair by pair.
template <class T, class F>
DL_INLINE T vfold(typename Vec<T>::type v, const F& f) {
    constexpr int N = Vec<T>::N;
    if constexpr (N <= 16) {
#pragma GCC unroll 4
        for (int n = N; n > 1; n /= 2) v = f(vevens<T>(v, v), vodds<T>(v, v));
        return v[0];
    } else {
        T lanes[2 * N] = {};
        for (int n = N / 2; n > 0; n /= 2) {
            vstore(lanes, v);
            v = f(v, vload(lanes + n));
        }
        return v[0];
    }
}

}  // namespace
