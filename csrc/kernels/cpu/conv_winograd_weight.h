// Winograd's algorithm for the gradient of the weights of a 3x3 convolution of stride 1: F(3 x 3,
// M x M) with M x M tiles of dy as filters, A = M + 2.
//
//   V  transformed tiles of x    [x][channel / N][tile][channel % N]      x: the point
//   D  transformed tiles of dy   [x][row / N][tile][row % N]
//   S  their products            [x][row][channel]:  S = sum over tiles of D * V
//
// and in the end the 3x3 outputs of each row and channel. The sum over the tiles is cut into
// stretches (by shape alone), summed in registers within one, in S from one to the next.
//
// With few tiles S is by far the largest of the three: then a task makes all points of some rows
// and channels, which stay in L2, and turns them into outputs at once. With many, a task makes all
// of S for one point.
#pragma once
#include "kernels/cpu/conv_cost.h"
#include "kernels/cpu/conv_winograd_tiles.h"

namespace {

// s[R, V vectors] (+)= sum over tiles of a[tile, R] * b[tile, V vectors]: tiles N apart in both,
// the vectors of b b_block apart, the rows of s s_row.
template <class T, int R, int V>
void wino_weight_micro(int64_t tiles, const T* a, const T* b, int64_t b_block, T* s, int64_t s_row,
                       bool add) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    vec acc[R][V];
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) acc[i][v] = vec{};
    for (int64_t t = 0; t < tiles; ++t, a += N, b += N) {
        vec bv[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) bv[v] = vload(b + v * b_block);
#pragma GCC unroll 8
        for (int i = 0; i < R; ++i) {
            const vec av = vset1(a[i]);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) acc[i][v] += av * bv[v];
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            T* to = s + i * s_row + v * N;
            vstore(to, add ? vload(to) + acc[i][v] : acc[i][v]);
        }
}

// The tiles of dy of a run, transformed as filters; like wino_input.
template <class T, class S, class F>
DL_INLINE void wino_gradient_input(const WinoImage<T>& image, const int64_t size[2],
                                   const WinoGrid<S>& grid, const WinoRun& run, T* stage,
                                   const F& put) {
    typedef typename Vec<T>::type V;
    constexpr int N = Vec<T>::N, M = S::M0, A = S::A0;
    const int64_t across = grid.step[1] * N;
    const int64_t columns = wino_columns<S>(run.count, grid.step[1]) - (S::R1 - 1) * grid.step[1];
    const int64_t ld = (columns + N) * N;
    const WinoPatch patch{{size[0], size[1]}, run.y, run.x, grid.step[0], 1, columns, ld};
    wino_stage<M, A>(image, patch, stage,
                     [](const V(&g)[M], V(&v)[A]) { S::template Down<T>::gradient_filter(g, v); });
    for (int64_t t = 0; t < run.count; ++t) {
        const T* tile = stage + grid.column(t) * N;
        for (int i = 0; i < A; ++i, tile += ld) {
            V g[M], v[A];
#pragma GCC unroll 8
            for (int j = 0; j < M; ++j) g[j] = vload(tile + j * across);
            S::template Down<T>::gradient_filter(g, v);
            put(t, i, v);
        }
    }
}

// The gradients of N channels (cn of them there), 9 taps each, from the products at s, `step`
// apart. tap: from one tap to the next; channels lie side by side unless it is 1.
template <class T, class S>
void wino_gradient_output(const T* s, int64_t step, T* dw, int64_t tap, int64_t cn) {
    typedef typename Vec<T>::type V;
    constexpr int N = Vec<T>::N, A = S::A0;
    V rows[A][3], taps[9];
#pragma GCC unroll 8
    for (int i = 0; i < A; ++i) {
        V d[A];
#pragma GCC unroll 8
        for (int j = 0; j < A; ++j) d[j] = vload(s + (i * A + j) * step);
        S::template Down<T>::gradient_output(d, rows[i]);
    }
#pragma GCC unroll 3
    for (int j = 0; j < 3; ++j) {
        V d[A], y[3];
#pragma GCC unroll 8
        for (int i = 0; i < A; ++i) d[i] = rows[i][j];
        S::template Down<T>::gradient_output(d, y);
        for (int i = 0; i < 3; ++i) taps[i * 3 + j] = y[i];
    }
    if (tap != 1) {
        for (int t = 0; t < 9; ++t) vstore_lanes(dw + t * tap, taps[t], cn);
    } else if constexpr (N >= 9) {
        V r[N] = {};
        for (int t = 0; t < 9; ++t) r[t] = taps[t];
        transpose_square(r);
        for (int64_t c = 0; c < cn; ++c) vstore_n(dw + c * 9, r[c], 9);
    } else {
        for (int64_t c = 0; c < cn; ++c)
            for (int t = 0; t < 9; ++t) dw[c * 9 + t] = taps[t][c];
    }
}

template <class T, class S>
struct WinoWeight {
    static constexpr int A = S::A0, POINTS = A * A, N = Vec<T>::N;
    static constexpr int R = N >= 8 ? N / 2 : 4;       // rows of a block of registers
    static constexpr int V = DL_GEMM_MR == 4 ? 2 : 3;  // its vectors of channels

    const dl_conv p;
    WinoGrid<S> grid;
    int64_t rows, channels, blocks_k, blocks_c;  // of a group
    int64_t stretch;                             // tiles
    int64_t d_point, v_point, s_point;           // elements of D, V and S per point
    static constexpr int64_t KR = 2 * N;         // rows of a piece of S in L2

    explicit WinoWeight(const dl_conv& conv) : p(conv), grid(p.n, p.out + 1, p.dilation + 1) {
        rows = p.k / p.groups, channels = p.c / p.groups;
        blocks_k = gemm_div_up(rows, N), blocks_c = gemm_div_up(channels, N);
        s_point = blocks_k * blocks_c * N * N + N;
        // V and D of a stretch: in L3, but so large that S is not visited too often.
        const int64_t tile = POINTS * (blocks_k + blocks_c) * N * int64_t(sizeof(T));
        const int64_t bytes = 2 * POINTS * s_point * int64_t(sizeof(T));
        stretch = gemm_max(gemm_min(gemm_max(bytes, 4 << 20), 60 << 20) / tile, 32);
        stretch = gemm_div_up(grid.count, gemm_div_up(grid.count, stretch));
        d_point = blocks_k * stretch * N + N, v_point = blocks_c * stretch * N + N;
    }
    int64_t stretches() const { return gemm_div_up(grid.count, stretch); }
    int64_t stage_size() const { return wino_stage_size<T, S>(grid); }

    void transform(int64_t g, int64_t block, int64_t t0, int64_t first, int64_t last, T* d, T* v,
                   T* stage) const;
    void products(int64_t point, int64_t k0, int64_t k1, int64_t c0, int64_t c1, int64_t tiles,
                  const T* d, const T* v, T* s, int64_t s_row, bool add) const;
    void outputs(int64_t g, int64_t k, int64_t c, const T* s, int64_t step) const;
    bool fused(int64_t g, const T* d, const T* v) const;
    bool is_fused() const {
        return stretches() == 1 && POINTS * (d_point + v_point) * int64_t(sizeof(T)) <= (20 << 20);
    }
    bool group(int64_t g) const;
    dl_status run() const;
};

// Tiles [first, last) of the stretch at t0: block b of N rows of dy to D, then the blocks of x to
// V.
template <class T, class S>
void WinoWeight<T, S>::transform(int64_t g, int64_t b, int64_t t0, int64_t first, int64_t last,
                                 T* d, T* v, T* stage) const {
    const bool of_y = b < blocks_k;
    if (!of_y) b -= blocks_k;
    const int64_t* size = (of_y ? p.out : p.in) + 1;
    const int64_t plane = size[0] * size[1], count = of_y ? rows : channels;
    const int64_t step = of_y ? d_point : v_point, all = p.groups * count;
    WinoImage<T> image{static_cast<const T*>(of_y ? p.y : p.x), p.channels_last ? 1 : plane,
                       p.channels_last ? all : 1, gemm_min(N, count - b * N)};
    const T* first_image = image.at + (g * count + b * N) * image.plane;
    wino_runs<S>(grid, t0 + first, t0 + last, [&](const WinoRun& run) {
        T* to = (of_y ? d : v) + (b * stretch + run.t - t0) * N;
        image.at = first_image + run.n * all * plane;
        const auto put = [&](int64_t t, int i, const typename Vec<T>::type(&values)[A]) {
            T* row = to + t * N + i * A * step;
#pragma GCC unroll 8
            for (int j = 0; j < A; ++j) vstore(row + j * step, values[j]);
        };
        if (of_y)
            wino_gradient_input<T, S>(image, size, grid, run, stage, put);
        else
            wino_input<T, S>(image,
                             WinoWindow{{size[0], size[1]}, {-p.pad_lo[1], -p.pad_lo[2]}, {1, 1}},
                             grid, run, stage, put);
    });
}

// Rows [k0, k1) and channel blocks [c0, c1) of S at one point, to s, whose rows are s_row apart. A
// few blocks of V stay in L1 while D goes by.
template <class T, class S>
void WinoWeight<T, S>::products(int64_t point, int64_t k0, int64_t k1, int64_t c0, int64_t c1,
                                int64_t tiles, const T* d, const T* v, T* s, int64_t s_row,
                                bool add) const {
    d += point * d_point, v += point * v_point;
    for (int64_t c = c0; c < c1; c += V) {
        const auto micro = c1 - c >= 3 && V == 3 ? wino_weight_micro<T, R, V>
                           : c1 - c >= 2         ? wino_weight_micro<T, R, 2>
                                                 : wino_weight_micro<T, R, 1>;
        for (int64_t k = k0; k < k1; k += R)
            micro(tiles, d + k / N * stretch * N + k % N, v + c * stretch * N, stretch * N,
                  s + (k - k0) * s_row + (c - c0) * N, s_row, add);
    }
}

// The gradients of row k and channel block c, from S at s.
template <class T, class S>
void WinoWeight<T, S>::outputs(int64_t g, int64_t k, int64_t c, const T* s, int64_t step) const {
    T* dw = static_cast<T*>(p.w) + (g * rows + k) * channels * 9;
    const int64_t tap = p.w_channels_last ? channels : 1;
    wino_gradient_output<T, S>(s, step, dw + c * N * (tap > 1 ? 1 : 9), tap,
                               gemm_min(N, channels - c * N));
}

// Everything behind the transforms, a piece of S at a time.
template <class T, class S>
bool WinoWeight<T, S>::fused(int64_t g, const T* d, const T* v) const {
    const int64_t pieces_c = gemm_div_up(blocks_c, V), pieces_k = gemm_div_up(blocks_k * N, KR);
    const int64_t s_row = V * N, step = KR * s_row + N;
    int failed = 0;
    parallel_for(pieces_c * pieces_k, 1, [&](int64_t begin, int64_t end) {
        T* s = static_cast<T*>(dl_scratch(size_t(POINTS * step) * sizeof(T), 0));
        if (!s) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        for (int64_t i = begin; i < end; ++i) {
            const int64_t k0 = i / pieces_c * KR, k1 = gemm_min(blocks_k * N, k0 + KR);
            const int64_t c0 = i % pieces_c * V, c1 = gemm_min(blocks_c, c0 + V);
            for (int64_t x = 0; x < POINTS; ++x)
                products(x, k0, k1, c0, c1, grid.count, d, v, s + x * step, s_row, false);
            for (int64_t k = k0; k < gemm_min(rows, k1); ++k)
                for (int64_t c = c0; c < c1; ++c)
                    outputs(g, k, c, s + (k - k0) * s_row + (c - c0) * N, step);
        }
    });
    return !failed;
}

// The gradient of one group's weights. False when scratch memory could not be had.
template <class T, class S>
bool WinoWeight<T, S>::group(int64_t g) const {
    T* d = static_cast<T*>(dl_scratch(size_t(POINTS * (d_point + v_point)) * sizeof(T), 1));
    T* s = static_cast<T*>(dl_scratch(is_fused() ? 0 : size_t(POINTS * s_point) * sizeof(T), 2));
    if (!d || !s) return false;
    T* v = d + POINTS * d_point;
    constexpr int64_t kPiece = 4 * kWinoRun;
    int failed = 0;
    for (int64_t t0 = 0; t0 < grid.count; t0 += stretch) {
        const int64_t tiles = gemm_min(stretch, grid.count - t0);
        const int64_t pieces = gemm_div_up(tiles, kPiece);
        parallel_for((blocks_k + blocks_c) * pieces, 1, [&](int64_t begin, int64_t end) {
            T* stage = static_cast<T*>(dl_scratch(size_t(stage_size()) * sizeof(T), 0));
            if (!stage) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            for (int64_t i = begin; i < end; ++i) {
                const int64_t first = i % pieces * kPiece;
                transform(g, i / pieces, t0, first, gemm_min(tiles, first + kPiece), d, v, stage);
            }
        });
        if (failed) return false;
        if (is_fused()) return fused(g, d, v);
        parallel_for(POINTS, 1, [&](int64_t begin, int64_t end) {
            for (int64_t x = begin; x < end; ++x)
                products(x, 0, blocks_k * N, 0, blocks_c, tiles, d, v, s + x * s_point,
                         blocks_c * N, t0 > 0);
        });
    }
    parallel_for(rows, gemm_max(1, 32 / blocks_c), [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k)
            for (int64_t c = 0; c < blocks_c; ++c)
                outputs(g, k, c, s + (k * blocks_c + c) * N, s_point);
    });
    return true;
}

template <class T, class S>
dl_status WinoWeight<T, S>::run() const {
    int failed = 0;
    const auto body = [&](int64_t begin, int64_t end) {
        for (int64_t g = begin; g < end; ++g)
            if (!group(g)) __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
    };
    if (p.groups >= 2 * dl_num_threads())
        parallel_for(p.groups, 1, body);
    else
        body(0, p.groups);
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

template <class T, class S>
dl_status wino_backward_weight(const dl_conv& p) {
    return WinoWeight<T, S>(p).run();
}

inline bool wino_weight_applies(const dl_conv& p) {
    return p.in[0] == 1 && p.kernel[0] == 1 && p.out[0] == 1 && p.pad_lo[0] == 0 &&
           p.kernel[1] == 3 && p.kernel[2] == 3 && p.stride[1] == 1 && p.stride[2] == 1 &&
           conv_volume(p.in) > 0 && conv_volume(p.out) > 0 && p.n > 0 && p.c > 0 && p.k > 0;
}

// Seconds on one thread; see wino_seconds.
template <class S>
double wino_backward_weight_seconds(const dl_conv& p) {
    typedef WinoWeight<float, S> W;
    const W w(p);
    const double points = W::POINTS, tiles = double(w.grid.count), n = W::N;
    const double cb = double(w.blocks_c), kb = double(w.blocks_k);
    const double products = points * tiles * cb * kb * n * n / (0.8 * conv_peak<float>());
    const double transforms = points * kConvCycle * (4 * tiles * (cb + kb) + 3.5 * cb * kb * n);
    const double sums =
        w.is_fused() ? 0 : points * double(w.s_point) * 4 * 2 * double(w.stretches());
    const double operands = points * tiles * (cb + kb) * n * 4 * 2;
    return double(p.groups) * (products + transforms + sums / (1.5 * kConvBandwidth) +
                               operands / (6 * kConvBandwidth)) +
           conv_traffic(p) / 1.5;
}

}  // namespace
