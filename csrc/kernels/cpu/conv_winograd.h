// Winograd's algorithm for convolutions that are sums of small dense windows (conv_winograd_parts.h),
// forward and gradient of the input. F(M x M, 3 x 3) takes (M + 2)^2 products per channel and window
// instead of 9 M^2. A "channel" is here one of the input under one of the windows.
//
// Layouts, x = 0 ... POINTS - 1 the point, N the lanes of a vector:
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
#include "kernels/cpu/conv_rows.h"
#include "kernels/cpu/conv_winograd_tiles.h"
#include "kernels/cpu/static_size.h"

namespace {

constexpr int64_t kWinoFilters = 10 << 20;  // bytes of transformed filters that are made ahead

// The sizes that decide how the work is cut; planes: slices of all images.
struct WinoSize {
    int64_t planes, groups, rows, channels, parts;
    int64_t out[2], step[2];  // step: between the results of a tile
};

template <class T, class S>
struct WinoPlan {
    static constexpr int A0 = S::A0, A1 = S::A1, POINTS = S::POINTS;
    static constexpr int N = Vec<T>::N, MR = GemmTile<T>::MR, NV = GemmTile<T>::NV, NR = NV * N;
    // Channels of a U chunk, which is to leave half of L2 to V and P.
    static constexpr int64_t KC = (300 << 10) / int64_t(POINTS * NR * sizeof(T)) / N * N;

    WinoSize size;
    WinoGrid<S> grid;
    int64_t blocks_c, blocks_v;  // channels / N, of a window and of all
    int64_t v_block, v_point;    // elements of V per block of tiles, and per point of a chunk
    int64_t chunks_k, u_panel, u_chunk;
    int64_t stretch, block;  // tiles of a stretch, and of a block within

    explicit WinoPlan(const WinoSize& size);
    int64_t chunks_c() const { return gemm_div_up(blocks_v * N, KC); }
    int64_t stretches() const { return gemm_div_up(grid.count, stretch); }
    int64_t blocks(int64_t tiles) const { return gemm_div_up(tiles, block); }
    int64_t v_size() const { return chunks_c() * POINTS * v_point; }
    int64_t p_tile() const { return NV * (POINTS + 1) * N; }
    int64_t p_size(int64_t tiles) const { return blocks(tiles) * MR * p_tile(); }
    int64_t stage_size() const { return wino_stage_size<T, S>(grid); }
    bool makes_filters_once() const {
        return stretches() > 1 && u_size() * int64_t(sizeof(T)) <= kWinoFilters;
    }
    int64_t u_size() const { return size.groups * chunks_k * chunks_c() * u_chunk; }
};

template <class T, class S>
struct Wino : WinoPlan<T, S> {
    typedef WinoPlan<T, S> Plan;
    using Plan::A0, Plan::A1, Plan::POINTS, Plan::N, Plan::MR, Plan::NV, Plan::NR, Plan::KC;
    using Plan::blocks, Plan::chunks_c, Plan::stretches, Plan::v_size, Plan::p_tile;
    using Plan::chunks_k, Plan::u_panel, Plan::u_chunk, Plan::stretch, Plan::block;
    using Plan::grid, Plan::blocks_c, Plan::blocks_v, Plan::v_block, Plan::v_point;
    using Plan::p_size, Plan::stage_size, Plan::makes_filters_once, Plan::u_size;

    const Sliding<T>& s;
    const WinoPart* parts;

    Wino(const Sliding<T>& sliding, const WinoPart* windows, int64_t count, const int64_t step[2])
        : Plan({sliding.n * sliding.grid[0],
                sliding.groups,
                sliding.rows,
                sliding.channels,
                count,
                {sliding.grid[1], sliding.grid[2]},
                {step[0], step[1]}}),
          s(sliding),
          parts(windows) {}

    void input(int64_t g, int64_t vb, int64_t t0, int64_t first, int64_t last, T* v,
               T* stage) const;
    void filters(int64_t g, int64_t k, int64_t c, T* u) const;
    void rows(int64_t g, int64_t k, const T* u_all, const T* v, int64_t t0, int64_t first,
              int64_t last, T* memory) const;
    dl_status run() const;
};

// Tiles [first, last) of the stretch that begins at t0, channels of block vb of group g, to v.
template <class T, class S>
void Wino<T, S>::input(int64_t g, int64_t vb, int64_t t0, int64_t first, int64_t last, T* v,
                       T* stage) const {
    const WinoPart& part = parts[vb / blocks_c];
    const int64_t c = vb % blocks_c * N, at = vb * N;
    const T* planes = s.src + (g * s.channels + c) * s.src_plane;
    wino_runs<S>(grid, t0 + first, t0 + last, [&](const WinoRun& run) {
        T* to[kWinoRun];
        for (int64_t i = 0; i < run.count; ++i) {
            const int64_t t = run.t + i - t0;
            to[i] =
                v + at / KC * POINTS * v_point + t / block * v_block + at % KC * MR + t % block * N;
        }
        const int64_t slice = run.n % s.grid[0] * s.mul[0] + part.off[0];
        const bool inside = slice >= 0 && slice < s.in[0];
        const WinoWindow window{
            {inside ? s.in[1] : 0, s.in[2]}, {part.off[1], part.off[2]}, {s.mul[1], s.mul[2]}};
        const int64_t at_slice = inside ? slice * s.in[1] * s.in[2] * s.src_pixel : 0;
        const WinoImage<T> image{planes + run.n / s.grid[0] * s.src_image + at_slice, s.src_plane,
                                 s.src_pixel, gemm_min(N, s.channels - c)};
        wino_input<T, S>(image, window, grid, run, stage,
                         [&](int64_t t, int i, const typename Vec<T>::type(&d)[A1]) {
                             T* row = to[t] + i * A1 * v_point;
#pragma GCC unroll 8
                             for (int j = 0; j < A1; ++j) vstore(row + j * v_point, d[j]);
                         });
    });
}

// The U chunk of rows [k, k + NR) and channels [c, c + KC) of group g.
template <class T, class S>
void Wino<T, S>::filters(int64_t g, int64_t k, int64_t c, T* u) const {
    typedef typename Vec<T>::type V;
    const int64_t width = gemm_min(NR, gemm_round_up(s.rows - k, N));
    const int64_t end = gemm_min(blocks_v * N, c + KC);
    const T* group = s.w + g * s.w_group;
    for (int64_t i = c; i < end; i += N, u += N * width) {
        const WinoPart& part = parts[i / (blocks_c * N)];
        const int64_t channel = i % (blocks_c * N), cn = gemm_min(N, s.channels - channel);
        for (int64_t v = 0; v < width; v += N) {
            const T* w = group + (k + v) * s.w_row + channel * s.w_channel;
            WinoTaps<T, S> taps(s, w, gemm_min(N, s.rows - k - v), cn, part);
            for (int64_t j = 0; j < N; ++j) {
                V g[S::TAPS] = {};  // of channels that are not there: 0 times whatever V holds
                if (j < cn) taps.of(j, g);
                wino_filter<S>(g, u + j * width + v, u_panel);
            }
        }
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
template <class T, class S>
void Wino<T, S>::rows(int64_t g, int64_t k, const T* u_all, const T* v, int64_t t0, int64_t first,
                      int64_t last, T* memory) const {
    T *products = memory, *made = products + p_size(last - first), *stage = made + u_chunk;
    const int64_t width = gemm_min(NV, gemm_div_up(s.rows - k, N)), ldv = (POINTS + 1) * N;
    for (int64_t c = 0; c < blocks_v * N; c += KC) {
        const int64_t count = gemm_min(KC / N, blocks_v - c / N);
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
        const int64_t row = g * s.rows + k + i * N, kn = gemm_min(N, s.rows - k - i * N);
        ConvFinish<T> rest = s.finish;  // what follows the shift
        rest.scale = nullptr;
        const T* added = s.finish.scale ? s.finish.shift : s.bias;
        const auto scale = s.finish.scale ? vload_n(s.finish.scale + row, kn) : vset1(T(1));
        const auto shift = added ? vload_n(added + row, kn) : typename Vec<T>::type{};
        for (int64_t t = first; t < last; t += block)
            wino_runs<S>(grid, t0 + t, t0 + gemm_min(t + block, last), [&](const WinoRun& run) {
                const int64_t at = (t - first) / block * MR + run.t - t0 - t;
                const WinoPlanes<T> to{s.dst + row * s.dst_plane + sliding_place(s, run.n, 0),
                                       {s.grid[1], s.grid[2]},
                                       {s.out_mul[1], s.out_mul[2]},
                                       s.out[2],
                                       s.dst_plane,
                                       s.dst_pixel};
                wino_output<T, S>(grid, run, products + at * p_tile() + i * ldv, p_tile(), scale,
                                  shift, to, kn, stage, rest);
            });
    }
}

// Stretches are as long as L2 holds them (V, P and a chunk of U) when there are few channels; with
// many, V lives in L3, and a stretch is long enough that making U for it costs little.
template <class T, class S>
WinoPlan<T, S>::WinoPlan(const WinoSize& sizes)
    : size(sizes), grid(sizes.planes, sizes.out, sizes.step) {
    blocks_c = gemm_div_up(size.channels, N), blocks_v = size.parts * blocks_c;
    chunks_k = gemm_div_up(size.rows, NR);
    u_panel = gemm_min(KC, blocks_v * N) * NR + N;
    u_chunk = POINTS * u_panel;
    const int64_t v_tile = POINTS * blocks_v * N * int64_t(sizeof(T));
    const int64_t in_l2 = (640 << 10) / (v_tile + p_tile() * int64_t(sizeof(T)));
    // A V of some MB is read fastest; making U again is what asks for longer stretches.
    const bool u_once = u_size() * int64_t(sizeof(T)) <= kWinoFilters;
    const int64_t in_l3 = gemm_min(8 * MR, (u_once ? 5 << 19 : 4 << 20) / v_tile);
    stretch = in_l2 >= 2 * MR ? in_l2 : gemm_max(in_l3, MR);
    stretch = gemm_min(grid.count, stretch / MR * MR);
    // Equal stretches, of equal blocks with an even number of tiles.
    stretch = gemm_div_up(grid.count, gemm_div_up(grid.count, stretch));
    block = gemm_div_up(stretch, gemm_div_up(stretch, MR));
    block = gemm_min(MR, gemm_round_up(block, 2));
    // All residues together: their results are neighbours.
    if (grid.step[1] > 1 && grid.step[1] <= MR) block = MR / grid.step[1] * grid.step[1];
    stretch = gemm_round_up(stretch, block);
    // The blocks of a chunk and point follow each other, so that the processor sees what comes. Odd
    // in lines: points do not fall on each other in the caches.
    v_block = gemm_min(KC, blocks_v * N) * MR;
    v_point = blocks(stretch) * v_block + N;
}

// Scratch memory of the threads of a run; remembers when there was none.
template <class T>
struct WinoMemory {
    int failed = 0;

    T* operator()(int64_t elements, int slot) {
        T* m = static_cast<T*>(dl_scratch(size_t(elements) * sizeof(T), slot));
        if (!m) __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        return m;
    }
};

template <class T, class S>
dl_status Wino<T, S>::run() const {
    const int threads = dl_num_threads();
    WinoMemory<T> memory;
    T* u_all = nullptr;
    if (makes_filters_once()) {
        u_all = memory(u_size(), 1);
        if (!u_all) return DL_OUT_OF_MEMORY;
        parallel_for(s.groups * chunks_k * chunks_c(), 1, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                const int64_t g = i / chunks_c() / chunks_k, k = i / chunks_c() % chunks_k;
                filters(g, k * NR, i % chunks_c() * KC, u_all + i * u_chunk);
            }
        });
    }
    const int64_t own = p_size(stretch) + u_chunk + stage_size();
    const int64_t tasks = s.groups * stretches();
    if (tasks % threads == 0 || tasks >= 2 * threads) {
        parallel_for(tasks, 1, [&](int64_t begin, int64_t end) {
            T* v = memory(v_size() + own, 0);
            if (!v) return;
            for (int64_t i = begin; i < end; ++i) {
                const int64_t g = i / stretches(), t0 = i % stretches() * stretch;
                const int64_t count = gemm_min(stretch, grid.count - t0);
                for (int64_t vb = 0; vb < blocks_v; ++vb)
                    input(g, vb, t0, 0, count, v, v + v_size());
                for (int64_t k = 0; k < s.rows; k += NR)
                    rows(g, k, u_all, v, t0, 0, count, v + v_size());
            }
        });
        return memory.failed ? DL_OUT_OF_MEMORY : DL_OK;
    }
    T* v = memory(v_size(), 3);
    if (!v) return DL_OUT_OF_MEMORY;
    for (int64_t i = 0; i < tasks && !memory.failed; ++i) {
        const int64_t g = i / stretches(), t0 = i % stretches() * stretch;
        const int64_t count = gemm_min(stretch, grid.count - t0), nb = blocks(count);
        parallel_for(blocks_v, 1, [&](int64_t begin, int64_t end) {
            T* stage = memory(stage_size(), 0);
            for (int64_t vb = begin; vb < end && stage; ++vb) input(g, vb, t0, 0, count, v, stage);
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
    return memory.failed ? DL_OUT_OF_MEMORY : DL_OK;
}

template <class S>
struct WinoProduct {
    template <class T>
    static dl_status run(const Sliding<T>& s) {
        if (sliding_without_sums(s)) return DL_OK;
        WinoPart parts[kWinoParts];
        int64_t step[2];
        const int count = wino_parts<S>(s, parts, step);
        return count > 0 ? Wino<T, S>(s, parts, count, step).run() : DL_UNSUPPORTED;
    }
};

// ---- what it costs -----------------------------------------------------------------------------

// Sizes of the product; for a gradient of the input, those of a residue, taken to be equal.
template <class S>
WinoSize wino_size(const dl_conv& p, bool backward, int64_t residues) {
    const int64_t k = p.k / p.groups, c = p.c / p.groups, parts = wino_count_parts<S>(p);
    const int64_t step[2] = {S::R0 > 1 ? p.dilation[1] : 1, S::R1 > 1 ? p.dilation[2] : 1};
    if (!backward)
        return {p.n * p.out[0], p.groups, k, c, parts, {p.out[1], p.out[2]}, {step[0], step[1]}};
    return {p.n * gemm_div_up(p.in[0], p.stride[0]),
            p.groups,
            c,
            k,
            gemm_max(1, gemm_div_up(parts, residues)),
            {gemm_div_up(p.in[1], p.stride[1]), gemm_div_up(p.in[2], p.stride[2])},
            {step[0], step[1]}};
}

// Seconds of a product on one thread: the products, at what the micro-kernel reaches with blocks of so
// many tiles; per vector of N channels, the transforms of tiles, of results and of filters, in cycles per
// point (input, output: of the first two). share: of the channels under all windows, on average over the
// residues; weights: elements of a group. Fitted to the 3x3 layers of VGG-16, ResNet and GoogLeNet.
template <class S>
double wino_product_seconds(const WinoSize& size, double share, double weights, double input,
                            double output) {
    typedef WinoPlan<float, S> W;
    const W w(size);
    const double points = W::POINTS, tiles = double(w.grid.count), n = W::N;
    const double padded = tiles / double(w.stretch) * double(w.blocks(w.stretch) * w.block);
    const double cb = double(w.blocks_v) * share;
    const double kb = double(gemm_div_up(w.size.rows, W::N));
    const double filters = !w.makes_filters_once() ? double(w.stretches()) : 1;
    const double rows_share = w.block >= 8 ? 0.85 : 0.14 + 0.095 * double(w.block);
    const double products = points * padded * cb * kb * n * n / (conv_peak<float>() * rows_share);
    const double transforms =
        points * kConvCycle *
        (tiles * (input * cb + output * kb) + filters * cb * n * kb * (W::POINTS == 16 ? 4 : 2.5));
    // V that L2 does not hold comes from L3 for each chunk of rows.
    const double v = tiles * points * cb * n * sizeof(float);
    const double again =
        v / tiles * double(w.stretch) > (640 << 10) ? v * double(1 + w.chunks_k) / 40e9 : 0;
    // Tiles next to each other in a row are transformed together; beginning such a run takes time.
    const double columns = double(w.grid.tx), run = columns < 16 ? columns : 16;
    const double runs = tiles / run * n * (5 * S::A0 * cb + 2 * S::M0 * kb) * kConvCycle;
    // Transformed filters are written; all weights are read for each window of theirs.
    const double u = points * cb * kb * n * n;
    const double made = filters * (u + double(w.size.parts) * weights) * sizeof(float) / 90e9;
    const double calls = points * double(w.stretches() * w.blocks(w.stretch) * w.chunks_k) *
                         double(w.chunks_c()) * 25 * kConvCycle;
    return double(w.size.groups) * (products + transforms + again + runs + made + calls);
}

template <class S, bool backward>
double wino_seconds(const dl_conv& p) {
    const int64_t residues = backward ? conv_volume(p.stride) : 1;
    const WinoSize size = wino_size<S>(p, backward, residues);
    // Residues have more windows or fewer; size has the larger number.
    const double share = double(wino_count_parts<S>(p)) / double(size.parts * residues);
    const bool split = !backward && p.stride[2] > 1;  // rows of input
    const double input = !split ? (p.stride[2] == 1 ? 9 : 12) : S::R0 == 2 ? 10 : 25;
    const double output = backward && p.stride[2] == 2 ? 10 : 4;
    const double odd = S::M0 == 3 && S::M1 == 3 ? 1.1 : 1;  // measured: five points cost as six do
    // Threads meet after the filters and after each of the first tiles.
    return odd * double(residues) *
               wino_product_seconds<S>(size, backward ? share : 1,
                                       conv_w_size(p) / double(p.groups), input, output) +
           10e-6 + conv_traffic(p) / 2.5;
}

// The largest error, as a share of the largest result, in units of that of plain summation:
// measured on normally distributed data (docs/numerics.md), F(5x5, 2x2) where products are rounded
// before they are added.
template <class S>
double wino_error(const dl_conv& p, dl_conv_pass pass) {
    constexpr int A = S::A0 > S::A1 ? S::A0 : S::A1;
    constexpr bool square = S::A0 == S::A1;
    static_assert(square || A == 6);
    const double factor = !square  ? 3
                          : A == 4 ? 1.2
                          : A == 5 ? (S::R0 == 2 ? 2.5 : 1.8)
                          : A == 8 ? 24
                                   : (S::R0 == 2 ? 6 : 4);
    return conv_sum_error(p, pass) * factor;
}

}  // namespace
