// Squares of N x N elements transposed in registers, N the lanes of a vector.
#pragma once
#include "kernels/cpu/simd.h"

namespace {

// r[i] lane j -> r[j] lane i.
template <class V, int N>
DL_INLINE void transpose_square(V (&r)[N]) {
    V columns[N];
    for (int j = 0; j < N; ++j)
        for (int i = 0; i < N; ++i) columns[j][i] = r[i][j];
    for (int j = 0; j < N; ++j) r[j] = columns[j];
}

#if DL_VEC_BYTES == 64 && defined(__AVX512F__)
DL_INLINE void transpose_square(vf32 (&r)[16]) {
    __m512 t[16], *m = reinterpret_cast<__m512*>(r);
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_maskz_unpacklo_ps(0xffff, m[i], m[i + 1]);
        t[i + 1] = _mm512_maskz_unpackhi_ps(0xffff, m[i], m[i + 1]);
    }
    __m512 u[16];
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4)
#pragma GCC unroll 2
        for (int j = 0; j < 2; ++j) {
            const __m512d a = _mm512_castps_pd(t[i + j]), b = _mm512_castps_pd(t[i + j + 2]);
            u[i + 2 * j] = _mm512_castpd_ps(_mm512_maskz_unpacklo_pd(0xff, a, b));
            u[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_maskz_unpackhi_pd(0xff, a, b));
        }
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
        const __m512 a = _mm512_maskz_shuffle_f32x4(0xffff, u[j], u[j + 4], 0x88);
        const __m512 b = _mm512_maskz_shuffle_f32x4(0xffff, u[j + 8], u[j + 12], 0x88);
        const __m512 c = _mm512_maskz_shuffle_f32x4(0xffff, u[j], u[j + 4], 0xdd);
        const __m512 d = _mm512_maskz_shuffle_f32x4(0xffff, u[j + 8], u[j + 12], 0xdd);
        m[j] = _mm512_maskz_shuffle_f32x4(0xffff, a, b, 0x88);
        m[j + 8] = _mm512_maskz_shuffle_f32x4(0xffff, a, b, 0xdd);
        m[j + 4] = _mm512_maskz_shuffle_f32x4(0xffff, c, d, 0x88);
        m[j + 12] = _mm512_maskz_shuffle_f32x4(0xffff, c, d, 0xdd);
    }
}
#elif DL_VEC_BYTES == 32 && defined(__AVX2__)
DL_INLINE void transpose_square(vf32 (&r)[8]) {
    __m256 t[8], u[8], *m = reinterpret_cast<__m256*>(r);
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(m[i], m[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(m[i], m[i + 1]);
    }
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4)
#pragma GCC unroll 2
        for (int j = 0; j < 2; ++j) {
            const __m256d a = _mm256_castps_pd(t[i + j]), b = _mm256_castps_pd(t[i + j + 2]);
            u[i + 2 * j] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, b));
            u[i + 2 * j + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, b));
        }
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
        m[j] = _mm256_permute2f128_ps(u[j], u[j + 4], 0x20);
        m[j + 4] = _mm256_permute2f128_ps(u[j], u[j + 4], 0x31);
    }
}
#elif DL_VEC_BYTES == 16
DL_INLINE void transpose_square(vf32 (&r)[4]) {
    const vf32 a = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
    const vf32 b = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
    const vf32 c = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
    const vf32 d = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
    r[0] = __builtin_shufflevector(a, c, 0, 1, 4, 5);
    r[1] = __builtin_shufflevector(a, c, 2, 3, 6, 7);
    r[2] = __builtin_shufflevector(b, d, 0, 1, 4, 5);
    r[3] = __builtin_shufflevector(b, d, 2, 3, 6, 7);
}
#endif

}  // namespace
