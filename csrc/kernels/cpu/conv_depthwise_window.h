// The loop over the rows of depthwise planes of which a row is a few vectors. A row of what the window
// slides over is loaded once and put under each column of taps; the rows of results that it meets stay
// in registers.
//
// What a row of taps makes of it is summed first and added to the result then: the sum of a result over
// all taps would be a chain of dependent products, the latency of which took twice the time of the
// products themselves, while additions have units of their own in some processors.
#pragma once
#include "kernels/cpu/conv_depthwise_rows.h"

namespace {

constexpr bool kWindows = DL_VEC_BYTES == 64;     // elsewhere registers are too few
enum class WindowMode { kSlide, kSlide2, kZip };  // strides 1 and 2; the gradient of the input at 2

// Columns of taps, two of them as one if zipped.
constexpr int window_slots(int k, WindowMode mode) {
    return mode == WindowMode::kZip ? (k + 1) / 2 : k;
}

// Lanes i .. i + N - 1 of a and b, joined.
template <class T, int i>
DL_INLINE typename Vec<T>::type vshift(typename Vec<T>::type a, typename Vec<T>::type b) {
#if DL_VEC_BYTES == 64 && defined(__AVX512F__)
    typedef typename Vec<T>::type vec;  // the compiler's shuffle of both overwrites one of them
    if constexpr (sizeof(T) == 4)
        return (vec)_mm512_maskz_alignr_epi32(0xffff, (__m512i)b, (__m512i)a, i);
    else
        return (vec)_mm512_maskz_alignr_epi64(0xff, (__m512i)b, (__m512i)a, i);
#else
    T lanes[2 * Vec<T>::N];
    vstore(lanes, a), vstore(lanes + Vec<T>::N, b);
    return vload(lanes + i);
#endif
}

// acc[J - t] (or J + t) += the products under row R + step * t of the taps, for t from 0 on. Rows of
// results outside of [lo, hi) are not wanted; all: there are none.
template <class T, int K, int U, int V, int A, int R, int step, int J, bool all, class W>
DL_INLINE void window_take(const typename Vec<T>::type (&x)[U][V], const W& weight, int64_t lo,
                           int64_t hi, typename Vec<T>::type (&acc)[A][V]) {
    typedef typename Vec<T>::type vec;
    constexpr int count = step > 0 ? (K - 1 - R) / step + 1 : R + 1;
    constexpr bool apart = K < 7;  // longer rows of taps hide the latency of a sum by themselves
    const auto weight_of = [&](int t, int u) __attribute__((always_inline)) {
        const vec w = weight((R + step * t) * U + u);
        return V > 1 && K > 3 ? vhold(w) : w;
    };
    if constexpr (all && count * V >= 10) {  // results enough to go from one to the other
#pragma GCC unroll 8
        for (int u = 0; u < U; ++u)
#pragma GCC unroll 8
            for (int t = 0; t < count; ++t) {
                const vec w = weight_of(t, u);
#pragma GCC unroll 4
                for (int v = 0; v < V; ++v) acc[A < K ? J - t : J + t][v] += w * x[u][v];
            }
        return;
    }
#pragma GCC unroll 8
    for (int t = 0; t < count; ++t) {
        const int j = A < K ? J - t : J + t;
        if (!all && (j < lo || j >= hi)) continue;
        vec sum[V];
#pragma GCC unroll 8
        for (int u = 0; u < U; ++u) {
            const vec w = weight_of(t, u);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) {
                if (u == 0) sum[v] = apart ? w * x[u][v] : acc[j][v] + w * x[u][v];
                if (u > 0) sum[v] += w * x[u][v];
            }
        }
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) acc[j][v] = apart ? acc[j][v] + sum[v] : sum[v];
    }
}

// Rows [first, end) of results (zipped: all of them). Stride 1: a row of input meets K rows of results,
// of which the first is then done. Stride 2: likewise with two rows of input and H rows. Zipped: K rows,
// of which two are done. rows.load(row, x) puts a row of the input under the columns of taps,
// rows.weight(t) are the weights of a tap, rows.store(to, sums) takes a row of results.
template <class T, int K, WindowMode mode, int V, class Rows>
DL_INLINE void window_rows(const DepthwiseShape& d, const Rows& rows, int64_t first, int64_t end) {
    typedef typename Vec<T>::type vec;
    constexpr bool pairs = mode == WindowMode::kSlide2, zip = mode == WindowMode::kZip;
    constexpr int U = window_slots(K, mode), H = (K + 1) / 2, A = pairs ? H : K;
    constexpr int done = zip ? 2 : 1, step = pairs ? 2 : 1;
    const int64_t in = d.in[0], pad = d.pad[0];
    const vec start = rows.start;
    vec w[K == 3 ? K * U : 1], acc[A][V];
    if constexpr (K == 3) {
#pragma GCC unroll 16
        for (int t = 0; t < K * U; ++t) w[t] = rows.weight(t);
    }
    const auto weight = [&](int t) __attribute__((always_inline)) {
        if constexpr (K == 3)
            return w[t];
        else
            return rows.weight(t);
    };
#pragma GCC unroll 8
    for (int j = 0; j < A; ++j)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) acc[j][v] = start;
    // o: the row of results that acc[0] is; i: the next row of input.
    int64_t o, i;
    if constexpr (zip)
        o = -pad, i = 0;
    else if constexpr (pairs)
        o = first + 1 - H, i = 2 * first - pad - 1;
    else
        i = gemm_min(gemm_max(0, first - pad), first - pad + K - 1), o = i + pad - K + 1;
    const T* row = rows.src + i * rows.row_in;
    T* to = rows.dst + o * rows.row_out;
    // all: what the rows of input meet is wanted, and they lie in the plane.
    const auto take = [&](auto inner, int64_t o, int64_t i) __attribute__((always_inline)) {
        constexpr bool all = decltype(inner)::value;
        const int64_t lo = all ? -K : first - o, hi = all ? K : end - o;
        vec x[U][V];
        if constexpr (pairs) {
            if (all || (i >= 0 && i < in)) {
                rows.load(row, x);
                window_take<T, K, U, V, A, 1, 2, H - 2, all>(x, weight, lo, hi, acc);
            }
            ++i, row += rows.row_in;
        }
        if (all || (i >= 0 && i < in)) {
            rows.load(row, x);
            if constexpr (pairs)
                window_take<T, K, U, V, A, 0, 2, H - 1, all>(x, weight, lo, hi, acc);
            else if constexpr (zip)
                window_take<T, K, U, V, A, 0, 1, 0, all>(x, weight, lo, hi, acc);
            else
                window_take<T, K, U, V, A, K - 1, -1, 0, all>(x, weight, lo, hi, acc);
        }
        row += rows.row_in;
        if (all || o >= first) rows.store(to, acc[0]);
        if constexpr (zip)
            if (all || (o + 1 >= 0 && o + 1 < end)) rows.store(to + rows.row_out, acc[1]);
        to += done * rows.row_out;
#pragma GCC unroll 8
        for (int j = 0; j < A; ++j)
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) acc[j][v] = j + done < A ? acc[j + done][v] : start;
    };
    for (; o < end && (o < first || i < 0); o += done, i += step) take(DepthwiseInt<0>{}, o, i);
    const int64_t inner = gemm_min((end - A - o) / done + 1, (in - i) / step);
    for (int64_t n = 0; n < inner; ++n, o += done, i += step) take(DepthwiseInt<1>{}, o, i);
    for (; o < end; o += done, i += step) take(DepthwiseInt<0>{}, o, i);
}

}  // namespace
