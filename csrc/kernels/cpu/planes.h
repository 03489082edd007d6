// Rows of a plane, padded and split by stride, so that a sliding window of any stride reads
// contiguous vectors: with q = i + pad, element i of a row goes to phase q % stride, column
// q / stride. Tap s of output o then lies in phase (s * dilation) % stride at column
// o + (s * dilation) / stride. Cells outside of the row hold a fill value.
#pragma once
#include "kernels/cpu/simd.h"

namespace {

DL_INLINE int64_t round_up(int64_t n, int64_t m) { return (n + m - 1) / m * m; }

constexpr int64_t kMaxPhases = 16;  // larger strides are not worth the vector path

struct Phase {
    int64_t first;   // the first element of the row that belongs to it,
    int64_t column;  // where that goes,
    int64_t count;   // and how many elements there are
};

struct PhasedShape {
    int64_t width, stride;
    int64_t ld;  // columns per phase, a multiple of the vector length
    Phase phases[kMaxPhases];

    int64_t cells() const { return stride * ld; }  // per row
    int64_t offset(int64_t q) const { return q % stride * ld + q / stride; }
};

// Room for `out` outputs, rounded up to whole vectors, of a window of `kernel` taps. stride is at
// most kMaxPhases.
template <class T>
inline PhasedShape phased_shape(int64_t width, int64_t pad, int64_t stride, int64_t out,
                                int64_t kernel, int64_t dilation) {
    const int64_t reach = (kernel - 1) * dilation / stride;
    PhasedShape s;
    s.width = width;
    s.stride = stride;
    s.ld = round_up(round_up(out, Vec<T>::N) + reach, Vec<T>::N);
    for (int64_t f = 0; f < stride; ++f) {
        Phase& p = s.phases[f];
        const int64_t shift = (pad % stride + stride) % stride;
        p.first = (f - shift + stride) % stride;
        p.column = (p.first + pad) / stride;
        if (p.column < 0) {  // a negative pad crops the row
            p.first -= p.column * stride;
            p.column = 0;
        }
        p.count = p.first < width ? (width - p.first + stride - 1) / stride : 0;
        if (p.column > s.ld) p.column = s.ld;
        if (p.count > s.ld - p.column) p.count = s.ld - p.column;
    }
    return s;
}

// dst[0..n) = src[0], src[S], ...; a constant stride is what makes the compiler vectorise it.
template <int S, class T>
DL_INLINE void take_every(T* __restrict dst, const T* __restrict src, int64_t n) {
    for (int64_t i = 0; i < n; ++i) dst[i] = src[i * S];
}

// src[0], src[2], ... in one vector; reads src[0 .. 2N - 2] and not one element more.
template <class T>
DL_INLINE typename Vec<T>::type load_every_second(const T* src) {
    constexpr int N = Vec<T>::N;
    const auto a = vload(src), b = vload(src + N - 1);
    if constexpr (N == 16)
        return __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 17, 19, 21, 23, 25, 27, 29,
                                       31);
    else if constexpr (N == 8)
        return __builtin_shufflevector(a, b, 0, 2, 4, 6, 9, 11, 13, 15);
    else if constexpr (N == 4)
        return __builtin_shufflevector(a, b, 0, 2, 5, 7);
    else
        return __builtin_shufflevector(a, b, 0, 3);
}

// Stride 2, by far the most frequent: the last vector overlaps the one before, so that nothing is
// left for single elements.
template <class T>
DL_INLINE void take_every_second(T* __restrict dst, const T* __restrict src, int64_t n) {
    constexpr int N = Vec<T>::N;
    if (n < N) return take_every<2>(dst, src, n);
    for (int64_t i = 0; i < n - N; i += N) vstore(dst + i, load_every_second(src + 2 * i));
    vstore(dst + n - N, load_every_second(src + 2 * (n - N)));
}

template <class T>
inline void take_every(T* __restrict dst, const T* __restrict src, int64_t n, int64_t stride) {
    if (stride == 1)
        take_every<1>(dst, src, n);
    else if (stride == 2)
        take_every_second(dst, src, n);
    else if (stride == 3)
        take_every<3>(dst, src, n);
    else if (stride == 4)
        take_every<4>(dst, src, n);
    else
        for (int64_t i = 0; i < n; ++i) dst[i] = src[i * stride];
}

// One row -> dst [stride, ld].
template <class T>
inline void split_row(T* dst, const T* src, const PhasedShape& s, T fill) {
    if (s.stride == 1) {
        constexpr int N = Vec<T>::N;
        const Phase& p = s.phases[0];
        for (int64_t i = 0; i < p.column; i += N) vstore(dst + i, vset1<T>(fill));
        for (int64_t i = (p.column + p.count) / N * N; i < s.ld; i += N)
            vstore(dst + i, vset1<T>(fill));
        dst += p.column, src += p.first;
        int64_t i = 0;
        for (; i + N <= p.count; i += N) vstore(dst + i, vload(src + i));
        if (i < p.count) vstore_n(dst + i, vload_n(src + i, p.count - i), p.count - i);
        return;
    }
    for (int64_t f = 0; f < s.stride; ++f, dst += s.ld) {
        const Phase& p = s.phases[f];
        // Whole vectors of fill first, the elements over them: short loops are what costs here.
        constexpr int N = Vec<T>::N;
        for (int64_t i = 0; i < p.column; i += N) vstore(dst + i, vset1<T>(fill));
        for (int64_t i = (p.column + p.count) / N * N; i < s.ld; i += N)
            vstore(dst + i, vset1<T>(fill));
        take_every(dst + p.column, src + p.first, p.count, s.stride);
    }
}

// dst[0], dst[S], ... = src[0..n)
template <class T>
inline void put_every(T* __restrict dst, const T* __restrict src, int64_t n, int64_t stride) {
    if (stride == 1)
        for (int64_t i = 0; i < n; ++i) dst[i] = src[i];
    else if (stride == 2)
        for (int64_t i = 0; i < n; ++i) dst[2 * i] = src[i];
    else
        for (int64_t i = 0; i < n; ++i) dst[stride * i] = src[i];
}

// The way back, src [stride, ld] -> one row. What no column holds (no window reaches it) becomes 0.
template <class T>
inline void join_row(T* __restrict dst, const T* __restrict src, const PhasedShape& s) {
    for (int64_t f = 0; f < s.stride; ++f, src += s.ld) {
        const Phase& p = s.phases[f];
        put_every(dst + p.first, src + p.column, p.count, s.stride);
        for (int64_t i = p.first + p.count * s.stride; i < s.width; i += s.stride) dst[i] = T(0);
    }
}

}  // namespace
