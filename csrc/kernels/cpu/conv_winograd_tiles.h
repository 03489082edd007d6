// What Winograd's algorithm does to images, filters and results: cutting tiles out of planes and
// transforming them, N channels at a time (N the lanes of a vector), and the way back.
//
// Planes are [channel][row][column]; a vector of N channels of one pixel is had by transposing
// squares of N channels x N columns, once per pixel, into a small stage that stays in L1.
// Everything behind the stage works on whole vectors, whatever the sizes of image and tile.
#pragma once
#include "kernels/cpu/conv_sliding.h"
#include "kernels/cpu/conv_winograd_points.h"
#include "kernels/cpu/transpose.h"

namespace {

// A 3x3 convolution of stride 1, or its gradient of the input (with turned weights and the roles of
// the channels exchanged):
//   dst[n, k, y, x] = bias[k] + sum w(k, c, r, s) * src[n, c, y + r - pad[0], x + s - pad[1]]
template <class T>
struct WinoProblem {
    int64_t n, groups, rows, channels;  // rows (of dst) and channels (of src) of one group
    int64_t in[2], out[2], pad[2];
    const T* src;
    T* dst;
    const T *w, *bias;                  // bias or null
    int64_t w_group, w_row, w_channel;  // strides
    bool turned;                        // tap t of w is tap 8 - t of the product

    int64_t src_plane() const { return in[0] * in[1]; }
    int64_t dst_plane() const { return out[0] * out[1]; }
};

// The tiles of all images in order: [n][ty][tx].
template <int M>
struct WinoGrid {
    int64_t ty, tx, count;
    WinoGrid(int64_t n, const int64_t out[2])
        : ty(gemm_div_up(out[0], M)), tx(gemm_div_up(out[1], M)), count(n * ty * tx) {}
};

// Tiles [t, t + count) lie in one row of tiles of one image.
struct WinoRun {
    int64_t t, count, n, y, x;  // y, x: of the first tile, in tiles
};
constexpr int64_t kWinoRun = 16;  // tiles at a time: the stage stays in L1

// Calls f(run) for tiles [t0, t1).
template <int M, class F>
DL_INLINE void wino_runs(const WinoGrid<M>& grid, int64_t t0, int64_t t1, const F& f) {
    while (t0 < t1) {
        WinoRun r{t0, 0, t0 / grid.tx / grid.ty, t0 / grid.tx % grid.ty, t0 % grid.tx};
        r.count = gemm_min(gemm_min(t1 - t0, grid.tx - r.x), kWinoRun);
        f(r);
        t0 += r.count;
    }
}

// Columns [x0, x0 + columns) of row y of N channels (cn of them there) to `to`, a vector each;
// zeros outside of the plane. Writes up to N vectors beyond.
template <class T>
void stage_row(const T* planes, int64_t plane, int64_t cn, const int64_t size[2], int64_t y,
               int64_t x0, int64_t columns, T* to) {
    typedef typename Vec<T>::type V;
    constexpr int N = Vec<T>::N;
    int64_t i = 0;
    const bool inside = y >= 0 && y < size[0];
    for (; i < columns && (!inside || x0 + i < 0); ++i) vstore(to + i * N, V{});
    const T* row = planes + y * size[1] + x0;
    const int64_t end = gemm_min(columns, size[1] - x0);
    for (; i < end; i += N) {
        V r[N];
        if (end - i >= N && cn == N) {
#pragma GCC unroll 16
            for (int c = 0; c < N; ++c) r[c] = vload(row + c * plane + i);
        } else {
            const int64_t here = gemm_min(N, end - i);
            for (int c = 0; c < N; ++c) r[c] = c < cn ? vload_n(row + c * plane + i, here) : V{};
        }
        transpose_square(r);
#pragma GCC unroll 16
        for (int c = 0; c < N; ++c) vstore(to + (i + c) * N, r[c]);
    }
    for (i = gemm_max(0, gemm_min(i, end)); i < columns; ++i) vstore(to + i * N, V{});
}

// The other way: columns [0, columns) of `from`, a vector each, to row `to` of cn channels.
template <class T>
void unstage_row(const T* from, int64_t columns, T* to, int64_t plane, int64_t cn) {
    typedef typename Vec<T>::type V;
    constexpr int N = Vec<T>::N;
    for (int64_t i = 0; i < columns; i += N) {
        V r[N];
#pragma GCC unroll 16
        for (int c = 0; c < N; ++c) r[c] = vload(from + (i + c) * N);
        transpose_square(r);
        if (columns - i >= N && cn == N) {
#pragma GCC unroll 16
            for (int c = 0; c < N; ++c) vstore(to + c * plane + i, r[c]);
        } else {
            const int64_t here = gemm_min(N, columns - i);
            for (int c = 0; c < cn; ++c) vstore_n(to + c * plane + i, r[c], here);
        }
    }
}

// The columns of `count` tiles, and room for what stage_row writes beyond.
template <class T, int M>
constexpr int64_t wino_stage_size(int64_t count) {
    return (M + 2) * ((count * M + 2) + Vec<T>::N) * Vec<T>::N;
}

// Transforms the tiles of a run, for N channels (cn of them there) from `planes` on, and hands each
// on: put(tile of the run, row, values [M + 2]).
template <class T, int M, class F>
DL_INLINE void wino_input(const T* planes, int64_t plane, int64_t cn, const int64_t size[2],
                          const int64_t pad[2], const WinoRun& run, T* stage, const F& put) {
    typedef typename Vec<T>::type V;
    constexpr int N = Vec<T>::N, A = M + 2;
    const int64_t columns = run.count * M + 2, ld = (columns + N) * N;
    for (int i = 0; i < A; ++i)
        stage_row(planes, plane, cn, size, run.y * M - pad[0] + i, run.x * M - pad[1], columns,
                  stage + i * ld);
    for (int64_t x = 0; x < columns; ++x) {
        V d[A], v[A];
#pragma GCC unroll 8
        for (int i = 0; i < A; ++i) d[i] = vload(stage + i * ld + x * N);
        WinoMap<T, M>::input(d, v);
#pragma GCC unroll 8
        for (int i = 0; i < A; ++i) vstore(stage + i * ld + x * N, v[i]);
    }
    for (int64_t t = 0; t < run.count; ++t)
        for (int i = 0; i < A; ++i) {
            V d[A], v[A];
#pragma GCC unroll 8
            for (int j = 0; j < A; ++j) d[j] = vload(stage + i * ld + (t * M + j) * N);
            WinoMap<T, M>::input(d, v);
            put(t, i, v);
        }
}

// The results of a run of tiles for N rows of dst (kn of them there), from m: tile t's values at
// m + t * ldm, (M + 2)^2 vectors. dst: the plane of the first row, in the run's image.
template <class T, int M>
void wino_output(const WinoRun& run, const T* m, int64_t ldm, typename Vec<T>::type bias,
                 const int64_t size[2], T* dst, int64_t kn, T* stage) {
    typedef typename Vec<T>::type V;
    constexpr int N = Vec<T>::N, A = M + 2;
    const int64_t ld = (run.count * M + N) * N, x0 = run.x * M, y0 = run.y * M;
    for (int64_t t = 0; t < run.count; ++t, m += ldm) {
        V rows[A][M];
#pragma GCC unroll 8
        for (int i = 0; i < A; ++i) {
            V d[A];
#pragma GCC unroll 8
            for (int j = 0; j < A; ++j) d[j] = vload(m + (i * A + j) * N);
            WinoMap<T, M>::output(d, rows[i]);
        }
#pragma GCC unroll 8
        for (int j = 0; j < M; ++j) {
            V d[A], y[M];
#pragma GCC unroll 8
            for (int i = 0; i < A; ++i) d[i] = rows[i][j];
            WinoMap<T, M>::output(d, y);
#pragma GCC unroll 8
            for (int i = 0; i < M; ++i) vstore(stage + i * ld + (t * M + j) * N, y[i] + bias);
        }
    }
    const int64_t columns = gemm_min(run.count * M, size[1] - x0);
    for (int64_t i = 0; i < gemm_min(M, size[0] - y0); ++i)
        unstage_row(stage + i * ld, columns, dst + (y0 + i) * size[1] + x0, size[0] * size[1], kn);
}

// The 9 taps of N rows of weights (rn of them there), row_stride apart, as vectors.
template <class T>
DL_INLINE void wino_taps(const T* w, int64_t row_stride, int64_t rn, bool turned,
                         typename Vec<T>::type (&g)[9]) {
    typedef typename Vec<T>::type V;
    constexpr int N = Vec<T>::N;
    if constexpr (N >= 9) {
        V r[N];
        for (int i = 0; i < N; ++i) r[i] = i < rn ? vload_n(w + i * row_stride, 9) : V{};
        transpose_square(r);
        for (int t = 0; t < 9; ++t) g[t] = r[turned ? 8 - t : t];
    } else {
        T lanes[9][N] = {};
        for (int64_t i = 0; i < rn; ++i)
            for (int t = 0; t < 9; ++t) lanes[turned ? 8 - t : t][i] = w[i * row_stride + t];
        for (int t = 0; t < 9; ++t) g[t] = vload(lanes[t]);
    }
}

// Transforms the filters of N rows and one channel: value x to u + x * step.
template <class T, int M>
DL_INLINE void wino_filter(const typename Vec<T>::type (&g)[9], T* u, int64_t step) {
    typedef typename Vec<T>::type V;
    constexpr int A = M + 2;
    V columns[3][A];
#pragma GCC unroll 3
    for (int s = 0; s < 3; ++s) {
        const V d[3] = {g[s], g[3 + s], g[6 + s]};
        WinoMap<T, M>::filter(d, columns[s]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < A; ++i) {
        const V d[3] = {columns[0][i], columns[1][i], columns[2][i]};
        V v[A];
        WinoMap<T, M>::filter(d, v);
#pragma GCC unroll 8
        for (int j = 0; j < A; ++j) vstore(u + (i * A + j) * step, v[j]);
    }
}

}  // namespace
