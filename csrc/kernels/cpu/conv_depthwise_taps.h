// The gradient of depthwise weights, by rows.
#pragma once
#include "kernels/cpu/conv_depthwise_rows.h"

namespace {

// Adds to acc[r][s] the products of dy and of x under taps (r, s0 + s), for a strip of columns of
// one plane. dy is the smaller plane (d.out), x the one that the window slides over.
template <class T, int KH, int S, int W, bool edge>
void depthwise_taps(const DepthwiseShape& d, const T* x, const T* dy, const T* zeros,
                    const DepthwiseColumn<T>& c, int64_t s0, typename Vec<T>::type* sums) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N, R = 4, J = (R - 1) * S + KH;
    vec acc[KH][W];
#pragma GCC unroll 8
    for (int k = 0; k < KH; ++k)
#pragma GCC unroll 4
        for (int i = 0; i < W; ++i) acc[k][i] = sums[k * d.width + s0 + i];
    const int64_t step = d.dilation[0], base = c.first * S - d.pad[1];
    for (int64_t residue = 0; residue < gemm_min(step, d.out[0]); ++residue)
        for (int64_t o = residue; o < d.out[0]; o += R * step) {
            vec g[R];
            depthwise_prefetch<R * S>(x + o * S * d.in[1] + c.first * S, d.in[1]);
            depthwise_prefetch<R>(dy + o * d.out[1] + c.first, d.out[1]);
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r)
                g[r] = o + r * step < d.out[0]
                           ? vload_mask(dy + (o + r * step) * d.out[1] + c.first, c.out[0])
                           : vec{};
#pragma GCC unroll 16
            for (int j = 0; j < J; ++j) {
                const int64_t i = o * S - d.pad[0] + j * step;
                const T* row = (i < 0 || i >= d.in[0] ? zeros : x + i * d.in[1]) + base;
                vec odd{};
#pragma GCC unroll 4
                for (int t = 0; t < W; ++t) {
                    const int64_t s = s0 + t;
                    vec v;
                    if constexpr (S == 1) {
                        v = depthwise_load<T, edge>(row + s * d.dilation[1], c.in[s][0]);
                    } else if (t % 2 == 0) {
                        const vec a = depthwise_load<T, edge>(row + s, c.in[s][0]);
                        const vec b = depthwise_load<T, edge>(row + s + N, c.in[s][1]);
                        v = vevens<T>(a, b), odd = vodds<T>(a, b);
                    } else {
                        v = odd;
                    }
#pragma GCC unroll 4
                    for (int r = 0; r < R; ++r)
                        if (j - r * S >= 0 && j - r * S < KH) acc[j - r * S][t] += g[r] * v;
                }
            }
        }
#pragma GCC unroll 8
    for (int k = 0; k < KH; ++k)
#pragma GCC unroll 4
        for (int i = 0; i < W; ++i) sums[k * d.width + s0 + i] = acc[k][i];
}

template <class T, int KH, int S, int W>
DL_INLINE void depthwise_strip(const DepthwiseShape& d, const T* x, const T* dy, const T* zeros,
                               const DepthwiseColumn<T>& c, int64_t s0,
                               typename Vec<T>::type* sums) {
    if (c.edge)
        depthwise_taps<T, KH, S, W, true>(d, x, dy, zeros, c, s0, sums);
    else
        depthwise_taps<T, KH, S, W, false>(d, x, dy, zeros, c, s0, sums);
}

template <class T, int KH, int S>
void depthwise_plane_taps(const DepthwiseShape& d, const T* x, const T* dy, const T* zeros,
                          const DepthwiseColumn<T>* columns, typename Vec<T>::type* sums) {
    constexpr int most = KH == 7 ? 2 : 3;  // with KH rows of taps, what the registers hold
    for (const DepthwiseColumn<T>* c = columns; c->first < d.out[1]; ++c)
        for (int64_t s = 0; s < d.width;) {
            const int64_t left = d.width - s;
            if (left >= most)
                depthwise_strip<T, KH, S, most>(d, x, dy, zeros, *c, s, sums), s += most;
            else if (left == 2)
                depthwise_strip<T, KH, S, 2>(d, x, dy, zeros, *c, s, sums), s += 2;
            else
                depthwise_strip<T, KH, S, 1>(d, x, dy, zeros, *c, s, sums), s += 1;
        }
}

}  // namespace
