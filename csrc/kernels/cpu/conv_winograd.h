// Winograd's algorithm for 3x3 convolutions of stride 1, F(M x M, 3 x 3), forward and gradient of
// the input: A^2 = (M + 2)^2 products per channel instead of 9 M^2.
//
// Layouts, x = 0 ... A^2 - 1 the point, N the lanes of a vector:
//   V  transformed tiles     [chunk of channels][x][block of tiles][channel / N][tile of the block,
//                             MR][channel % N]
//   U  transformed filters   [x][channel][row, up to NR]: a chunk of rows and channels
//   P  their products        [tile][row / N][x][row % N]
// Per point that is a matrix product, tiles x channels by channels x rows, in which V and U stand
// just as the micro-kernel reads them: nothing is packed again. The sum over the channels is cut
// into chunks of a fixed length and goes on in P from one to the next, so the bits do not depend on
// how tiles and rows are cut.
//
// Where things live. A U chunk is made in L2 and used for all tiles of a stretch at once, or, where
// many stretches would make it again, all of U is made ahead. With many tiles each task takes a
// stretch of its own through all steps, and V stays in L2; with few, all tasks share one V and each
// takes some rows.
#pragma once
#include "kernels/cpu/conv_cost.h"
#include "kernels/cpu/conv_winograd_tiles.h"
#include "kernels/cpu/static_size.h"

namespace {

template <class T, int M>
struct Wino {
    static constexpr int A = M + 2, POINTS = A * A;
    static constexpr int N = Vec<T>::N, MR = GemmTile<T>::MR, NV = GemmTile<T>::NV, NR = NV * N;
    // Channels of a U chunk, which is to leave half of L2 to V and P.
    static constexpr int64_t KC = (300 << 10) / int64_t(POINTS * NR * sizeof(T)) / N * N;

    const WinoProblem<T> p;
    WinoGrid<M> grid;
    int64_t blocks_c;          // channels / N
    int64_t v_block, v_point;  // elements of V per block of tiles, and per point of a chunk
    int64_t chunks_k, u_panel, u_chunk;
    int64_t stretch, block;  // tiles of a stretch, and of a block within

    explicit Wino(const WinoProblem<T>& problem);
    int64_t chunks_c() const { return gemm_div_up(blocks_c * N, KC); }
    int64_t stretches() const { return gemm_div_up(grid.count, stretch); }
    int64_t blocks(int64_t tiles) const { return gemm_div_up(tiles, block); }
    int64_t v_size() const { return chunks_c() * POINTS * v_point; }
    int64_t p_tile() const { return NV * (POINTS + 1) * N; }
    int64_t p_size(int64_t tiles) const { return blocks(tiles) * MR * p_tile(); }
    int64_t stage_size() const { return wino_stage_size<T, M>(gemm_min(kWinoRun, grid.tx)); }
    bool makes_filters_once() const {
        return stretches() > 1 && u_size() * int64_t(sizeof(T)) <= (10 << 20);
    }
    int64_t u_size() const { return p.groups * chunks_k * chunks_c() * u_chunk; }

    void input(int64_t g, int64_t cb, int64_t t0, int64_t first, int64_t last, T* v,
               T* stage) const;
    void filters(int64_t g, int64_t k, int64_t c, T* u) const;
    void rows(int64_t g, int64_t k, const T* u_all, const T* v, int64_t t0, int64_t first,
              int64_t last, T* memory) const;
    dl_status run() const;
};

// Tiles [first, last) of the stretch that begins at t0, channels of block cb of group g, to v.
template <class T, int M>
void Wino<T, M>::input(int64_t g, int64_t cb, int64_t t0, int64_t first, int64_t last, T* v,
                       T* stage) const {
    const int64_t c = cb * N, plane = p.src_plane();
    const T* planes = p.src + (g * p.channels + c) * plane;
    wino_runs<M>(grid, t0 + first, t0 + last, [&](const WinoRun& run) {
        T* to[kWinoRun];
        for (int64_t i = 0; i < run.count; ++i) {
            const int64_t t = run.t + i - t0;
            to[i] =
                v + c / KC * POINTS * v_point + t / block * v_block + c % KC * MR + t % block * N;
        }
        wino_input<T, M>(planes + run.n * p.groups * p.channels * plane, plane,
                         gemm_min(N, p.channels - c), p.in, p.pad, run, stage,
                         [&](int64_t t, int i, const typename Vec<T>::type(&d)[A]) {
                             T* row = to[t] + i * A * v_point;
#pragma GCC unroll 8
                             for (int j = 0; j < A; ++j) vstore(row + j * v_point, d[j]);
                         });
    });
}

// The U chunk of rows [k, k + NR) and channels [c, c + KC) of group g.
template <class T, int M>
void Wino<T, M>::filters(int64_t g, int64_t k, int64_t c, T* u) const {
    typedef typename Vec<T>::type V;
    const int64_t width = gemm_min(NR, gemm_round_up(p.rows - k, N));
    const int64_t end = gemm_min(blocks_c * N, c + KC);
    const T* group = p.w + g * p.w_group;
    for (int64_t i = c; i < end; ++i, u += width)
        for (int64_t v = 0; v < width; v += N) {
            V taps[9] = {};  // of channels that are not there: 0 times whatever V holds
            const int64_t there = gemm_min(N, p.rows - k - v);
            if (i < p.channels) {
                const T* w = group + (k + v) * p.w_row + i * p.w_channel;
                // The rows are too many, or the channels too far apart, for the processor to see
                // what comes.
                for (int64_t r = 0; r < there; ++r)
                    __builtin_prefetch(w + r * p.w_row + 8 * p.w_channel);
                wino_taps(w, p.w_row, there, p.turned, taps);
            }
            wino_filter<T, M>(taps, u + v, u_panel);
        }
}

// c[R, V vectors] (+)= a @ b: a as V holds it, `blocks` blocks of N channels; c's rows ldc apart,
// its vectors ldv.
template <class T, int R, int V>
void wino_micro(int64_t blocks, const T* a, const T* b, T* c, int64_t ldc, int64_t ldv, bool add) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N, MR = GemmTile<T>::MR;
    vec acc[R][V];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            acc[i][v] = vec{};
            __builtin_prefetch(c + i * ldc + v * ldv, 1);
        }
    for (int64_t block = 0; block < blocks; ++block, a += (MR - 1) * N)
        for (int k = 0; k < N; ++k, ++a, b += V * N) {
            vec bv[V];
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) bv[v] = vload(b + v * N);
#pragma GCC unroll 16
            for (int i = 0; i < R; ++i) {
                const vec av = vset1(a[i * N]);
#pragma GCC unroll 4
                for (int v = 0; v < V; ++v) acc[i][v] += av * bv[v];
            }
        }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            T* to = c + i * ldc + v * ldv;
            vstore(to, add ? vload(to) + acc[i][v] : acc[i][v]);
        }
}

template <class T>
using WinoMicro = void (*)(int64_t, const T*, const T*, T*, int64_t, int64_t, bool);

// For 2, 4, ..., MR rows, whichever holds `rows`.
template <class T, int V>
WinoMicro<T> wino_micro_of(int64_t rows) {
    constexpr int MR = GemmTile<T>::MR;
    return with_size<(MR + 1) / 2>((rows + 1) / 2, [](auto pairs) -> WinoMicro<T> {
        constexpr int R = 2 * decltype(pairs)::value;
        return wino_micro<T, (R < MR ? R : MR), V>;
    });
}

// Rows [k, k + NR) of the result for tiles [first, last) of a stretch (first a multiple of block):
// the products over all channels, and their way back. u_all: all of U, or null to make it here.
template <class T, int M>
void Wino<T, M>::rows(int64_t g, int64_t k, const T* u_all, const T* v, int64_t t0, int64_t first,
                      int64_t last, T* memory) const {
    T *products = memory, *made = products + p_size(last - first), *stage = made + u_chunk;
    const int64_t width = gemm_min(NV, gemm_div_up(p.rows - k, N)), ldv = (POINTS + 1) * N;
    for (int64_t c = 0; c < blocks_c * N; c += KC) {
        const int64_t count = gemm_min(KC / N, blocks_c - c / N);
        const T* u = made;
        if (u_all)
            u = u_all + ((g * chunks_k + k / NR) * chunks_c() + c / KC) * u_chunk;
        else
            filters(g, k, c, made);
        for (int x = 0; x < POINTS; ++x)
            for (int64_t t = first; t < last; t += block) {
                const int64_t here = gemm_min(block, last - t);
                const auto micro =
                    width == 1 ? wino_micro_of<T, 1>(here) : wino_micro_of<T, NV>(here);
                micro(count, v + (c / KC * POINTS + x) * v_point + t / block * v_block,
                      u + x * u_panel, products + (t - first) / block * MR * p_tile() + x * N,
                      p_tile(), ldv, c > 0);
            }
    }
    for (int64_t i = 0; i < width; ++i) {
        const int64_t row = g * p.rows + k + i * N, kn = gemm_min(N, p.rows - k - i * N);
        const auto bias = p.bias ? vload_n(p.bias + row, kn) : typename Vec<T>::type{};
        for (int64_t t = first; t < last; t += block)
            wino_runs<M>(grid, t0 + t, t0 + gemm_min(t + block, last), [&](const WinoRun& run) {
                const int64_t at = (t - first) / block * MR + run.t - t0 - t;
                wino_output<T, M>(run, products + at * p_tile() + i * ldv, p_tile(), bias, p.out,
                                  p.dst + (run.n * p.groups * p.rows + row) * p.dst_plane(), kn,
                                  stage);
            });
    }
}

// Stretches are as long as L2 holds them (V, P and a chunk of U) when there are few channels; with
// many, V lives in L3, and a stretch is long enough that making U for it costs little.
template <class T, int M>
Wino<T, M>::Wino(const WinoProblem<T>& problem) : p(problem), grid(problem.n, problem.out) {
    blocks_c = gemm_div_up(p.channels, N);
    chunks_k = gemm_div_up(p.rows, NR);
    u_panel = gemm_min(KC, blocks_c * N) * NR + N;
    u_chunk = POINTS * u_panel;
    const int64_t v_tile = POINTS * blocks_c * N * int64_t(sizeof(T));
    const int64_t in_l2 = (640 << 10) / (v_tile + p_tile() * int64_t(sizeof(T)));
    const int64_t in_l3 = gemm_min(8 * MR, (8 << 20) / v_tile);
    stretch = in_l2 >= 2 * MR ? in_l2 : gemm_max(in_l3, MR);
    stretch = gemm_min(grid.count, stretch / MR * MR);
    // Equal stretches, of equal blocks with an even number of tiles.
    stretch = gemm_div_up(grid.count, gemm_div_up(grid.count, stretch));
    block = gemm_div_up(stretch, gemm_div_up(stretch, MR));
    block = gemm_min(MR, gemm_round_up(block, 2));
    stretch = gemm_round_up(stretch, block);
    // The blocks of a chunk and point follow each other, so that the processor sees what comes. Odd
    // in lines: points do not fall on each other in the caches.
    v_block = gemm_min(KC, blocks_c * N) * MR;
    v_point = blocks(stretch) * v_block + N;
}

template <class T, int M>
dl_status Wino<T, M>::run() const {
    const int threads = dl_num_threads();
    int failed = 0;
    auto memory = [&failed](int64_t elements, int slot) {
        T* m = static_cast<T*>(dl_scratch(size_t(elements) * sizeof(T), slot));
        if (!m) __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        return m;
    };
    T* u_all = nullptr;
    if (makes_filters_once()) {
        u_all = memory(u_size(), 1);
        if (!u_all) return DL_OUT_OF_MEMORY;
        parallel_for(p.groups * chunks_k * chunks_c(), 1, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                const int64_t g = i / chunks_c() / chunks_k, k = i / chunks_c() % chunks_k;
                filters(g, k * NR, i % chunks_c() * KC, u_all + i * u_chunk);
            }
        });
    }
    const int64_t own = p_size(stretch) + u_chunk + stage_size();
    const int64_t tasks = p.groups * stretches();
    if (threads == 1 || tasks >= 2 * threads) {
        parallel_for(tasks, 1, [&](int64_t begin, int64_t end) {
            T* v = memory(v_size() + own, 0);
            if (!v) return;
            for (int64_t i = begin; i < end; ++i) {
                const int64_t g = i / stretches(), t0 = i % stretches() * stretch;
                const int64_t count = gemm_min(stretch, grid.count - t0);
                for (int64_t cb = 0; cb < blocks_c; ++cb)
                    input(g, cb, t0, 0, count, v, v + v_size());
                for (int64_t k = 0; k < p.rows; k += NR)
                    rows(g, k, u_all, v, t0, 0, count, v + v_size());
            }
        });
        return failed ? DL_OUT_OF_MEMORY : DL_OK;
    }
    T* v = memory(v_size(), 2);
    if (!v) return DL_OUT_OF_MEMORY;
    for (int64_t i = 0; i < tasks && !failed; ++i) {
        const int64_t g = i / stretches(), t0 = i % stretches() * stretch;
        const int64_t count = gemm_min(stretch, grid.count - t0), nb = blocks(count);
        parallel_for(blocks_c, 1, [&](int64_t begin, int64_t end) {
            T* stage = memory(stage_size(), 0);
            for (int64_t cb = begin; cb < end && stage; ++cb) input(g, cb, t0, 0, count, v, stage);
        });
        // Few rows: the tiles are shared out too.
        const int64_t parts =
            gemm_min(nb, chunks_k >= threads ? 1 : gemm_div_up(threads, chunks_k));
        const int64_t part = gemm_div_up(nb, parts) * block;
        parallel_for(chunks_k * parts, 1, [&](int64_t begin, int64_t end) {
            T* m = memory(own, 0);
            for (int64_t j = begin; j < end && m; ++j) {
                const int64_t first = j % parts * part, last = gemm_min(count, first + part);
                if (first < last) rows(g, j / parts * NR, u_all, v, t0, first, last, m);
            }
        });
    }
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

// ---- what it costs -----------------------------------------------------------------------------

// Seconds on one thread: the products, at what the micro-kernel reaches with blocks of so many
// tiles; per vector of N channels, the transforms of tiles, of results and of filters, in cycles
// per point; and the traffic. Fitted to the 3x3 layers of VGG-16, ResNet and GoogLeNet.
template <class T, int M>
double wino_seconds(const WinoProblem<T>& p) {
    typedef Wino<T, M> W;
    const W w(p);
    const double points = W::POINTS, groups = double(p.groups), tiles = double(w.grid.count);
    const double padded = tiles / double(w.stretch) * double(w.blocks(w.stretch) * w.block);
    const double cb = double(w.blocks_c), kb = double(gemm_div_up(p.rows, W::N));
    const double filters = !w.makes_filters_once() ? double(w.stretches()) : 1;
    const double rows_share = w.block >= 8 ? 0.85 : 0.15 + 0.1 * double(w.block);
    const double products = points * padded * cb * kb * W::N * W::N / (conv_peak<T>() * rows_share);
    const double transforms =
        points * kConvCycle *
        (tiles * (4.5 * cb + 4 * kb) + filters * cb * W::N * kb * (M == 2 ? 4 : 2.5));
    const double bytes = sizeof(T) * double(p.n) *
                             (double(p.channels * p.src_plane()) + double(p.rows * p.dst_plane())) +
                         sizeof(T) * 9.0 * double(p.rows * p.channels);
    const double calls = points * double(w.stretches() * w.blocks(w.stretch) * w.chunks_k) *
                         double(w.chunks_c()) * 25 * kConvCycle;
    return groups * (products + transforms + calls + bytes / (2 * kConvBandwidth));
}

// ---- which convolutions these are ---------------------------------------------------------------

inline bool wino_applies(const dl_conv& p) {
    return p.in[0] == 1 && p.kernel[0] == 1 && p.out[0] == 1 && p.pad_lo[0] == 0 &&
           p.kernel[1] == 3 && p.kernel[2] == 3 && p.stride[1] == 1 && p.stride[2] == 1 &&
           p.dilation[1] == 1 && p.dilation[2] == 1 && conv_volume(p.in) > 0 &&
           conv_volume(p.out) > 0 && p.n > 0 && p.c > 0 && p.k > 0;
}

template <class T>
WinoProblem<T> wino_forward_problem(const dl_conv& p) {
    WinoProblem<T> q;
    q.n = p.n, q.groups = p.groups, q.rows = p.k / p.groups, q.channels = p.c / p.groups;
    for (int d = 0; d < 2; ++d) {
        q.in[d] = p.in[d + 1], q.out[d] = p.out[d + 1];
        q.pad[d] = p.pad_lo[d + 1];
    }
    q.src = static_cast<const T*>(p.x), q.dst = static_cast<T*>(p.y);
    q.w = static_cast<const T*>(p.w), q.bias = static_cast<const T*>(p.bias);
    q.w_channel = 9, q.w_row = q.channels * 9, q.w_group = q.rows * q.w_row, q.turned = false;
    return q;
}
template <class T>
WinoProblem<T> wino_backward_problem(const dl_conv& p) {
    WinoProblem<T> q;
    q.n = p.n, q.groups = p.groups, q.rows = p.c / p.groups, q.channels = p.k / p.groups;
    for (int d = 0; d < 2; ++d) {
        q.in[d] = p.out[d + 1], q.out[d] = p.in[d + 1];
        q.pad[d] = 2 - p.pad_lo[d + 1];
    }
    q.src = static_cast<const T*>(p.y), q.dst = static_cast<T*>(p.x);
    q.w = static_cast<const T*>(p.w), q.bias = static_cast<const T*>(p.bias);
    q.w_row = 9, q.w_channel = q.rows * 9, q.w_group = q.channels * q.w_channel, q.turned = true;
    return q;
}

template <class T, int M>
dl_status wino_forward(const dl_conv& p) {
    return Wino<T, M>(wino_forward_problem<T>(p)).run();
}
template <class T, int M>
dl_status wino_backward_input(const dl_conv& p) {
    return Wino<T, M>(wino_backward_problem<T>(p)).run();
}
template <int M>
double wino_forward_seconds(const dl_conv& p) {
    return wino_seconds<float, M>(wino_forward_problem<float>(p));
}
template <int M>
double wino_backward_input_seconds(const dl_conv& p) {
    return wino_seconds<float, M>(wino_backward_problem<float>(p));
}

// The largest error, as a share of the largest result, in units of that of plain summation:
// measured on normally distributed data (docs/numerics.md).
template <int M>
double wino_error(const dl_conv& p, dl_conv_pass pass) {
    return conv_sum_error(p, pass) * (M == 2 ? 1.2 : M == 4 ? 4 : 24);
}

}  // namespace
