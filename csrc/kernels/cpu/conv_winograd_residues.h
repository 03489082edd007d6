// Windows of 3x3 (and in the gradient of the input 4x4) taps and stride 2 by Winograd's algorithm, all
// residues of rows and columns at once (conv_winograd_residues_tiles.h has the maps). 3x3 windows take
// (2 + 1/M)^2 products a result instead of 9: 5.06 with tiles of M = 4, 4.84 with 5.
//
// The products of a class of filters are a matrix product of their own, as those of a point are in
// conv_winograd.h. Rows of the images are read once for all residues, results are written once, and
// filters are transformed where they are used, in L2, once for as many tiles as its other half holds
// the products of: making them again costs as much as reading them from L3.
//
// Layouts, N the lanes of a vector; rows of a class are in the order of the images:
//   V  transformed inputs    [chunk of channels][class][block of rows][channel / N][row of the block, MR]
//                            [channel % N]
//   U  transformed filters   [class][channel of the chunk][filter, up to NR]
//   P  products              [class][row][filter, NR]
#pragma once
#include "kernels/cpu/conv_cost.h"
#include "kernels/cpu/conv_winograd.h"
#include "kernels/cpu/conv_winograd_residues_tiles.h"

namespace {

constexpr int64_t kResidueRun = 7;  // tiles of a row that are brought to the stage at once
constexpr int64_t kResidueProducts =
    2800;  // rows of all classes of a stretch: their products fit L2

// How the work is cut. A stretch is some rows of tiles; tile rows of all planes are counted on.
template <class T, class S>
struct ResiduePlan {
    static constexpr int N = Vec<T>::N, MR = GemmTile<T>::MR, NV = GemmTile<T>::NV, NR = NV * N;
    static constexpr int M = S::M, A = S::A, KINDS = S::KINDS, CLASSES = S::CLASSES;

    ResidueAxis down, across;
    int64_t groups, rows, channels;  // of a group
    int64_t ty, tx, tile_rows;       // tiles of a plane, rows of them in all planes
    int64_t blocks_c, blocks_v;      // vectors of channels, of a slice and of all
    int64_t chunk, chunks;           // of these blocks
    int64_t stretch, stretches;      // in rows of tiles
    int64_t v_at[CLASSES], v_block, v_chunk, u_class, p_at[CLASSES], p_size;

    ResiduePlan(const dl_conv& p, int64_t planes, int64_t parts)
        : down(ResidueAxis::of<S>(p, 1)), across(ResidueAxis::of<S>(p, 2)), groups(p.groups) {
        rows = (S::BACK ? p.c : p.k) / groups, channels = (S::BACK ? p.k : p.c) / groups;
        ty = gemm_div_up(down.results, M), tx = gemm_div_up(across.results, M);
        tile_rows = planes * ty;
        blocks_c = gemm_div_up(channels, N), blocks_v = parts * blocks_c;
        // A chunk of U is to leave more than half of L2 to P and V. Rounding depends on it.
        const int64_t most = gemm_max(2, (400 << 10) / int64_t(CLASSES * NR * N * sizeof(T)));
        chunks = gemm_div_up(blocks_v, most), chunk = gemm_div_up(blocks_v, chunks);
        chunks = gemm_div_up(blocks_v, chunk);
        stretch = gemm_max(1, kResidueProducts / products(1, M));
        stretches = gemm_div_up(tile_rows, stretch);
        stretch = gemm_div_up(tile_rows, stretches), stretches = gemm_div_up(tile_rows, stretch);
        v_block = chunk * MR * N, u_class = chunk * N * NR + N;
        v_chunk = p_size = 0;
        // Any `stretch` rows of tiles have at most so many rows of results.
        const int64_t most_rows = stretch * M - stretch / ty * (ty * M - down.results);
        for (int x = 0; x < CLASSES; ++x) {
            const int64_t count = class_rows(x, stretch, most_rows);
            v_at[x] = v_chunk, v_chunk += gemm_div_up(count, MR) * v_block + N;
            p_at[x] = p_size, p_size += gemm_round_up(count, 2) * NR + N;
        }
    }
    // Rows of a class for so many rows of tiles, and of results.
    int64_t class_rows(int x, int64_t tiles, int64_t results) const {
        return (S::plain(x / KINDS) ? results : tiles) *
               (S::plain(x % KINDS) ? across.results : tx);
    }
    int64_t products(int64_t tiles, int64_t results) const {
        int64_t sum = 0;
        for (int x = 0; x < CLASSES; ++x) sum += class_rows(x, tiles, results);
        return sum;
    }
    // Rows of results above a row of tiles.
    int64_t above(int64_t r) const {
        return r / ty * down.results + gemm_min(r % ty * M, down.results);
    }
    int64_t v_size() const { return chunks * v_chunk; }
    int64_t u_size() const { return CLASSES * u_class; }
    int64_t chunks_k() const { return gemm_div_up(rows, NR); }
    int64_t run_tiles() const { return gemm_min(kResidueRun, tx); }
    int64_t stage_size() const {
        const int64_t out = (S::VALUES * S::OUT + (S::OUT * run_tiles() + N) * S::OUT) * N;
        return gemm_max(ResidueStage<T, S>::size(run_tiles()), out);
    }
};

template <class T, class S>
struct Residues : ResiduePlan<T, S> {
    typedef ResiduePlan<T, S> Plan;
    using Plan::down, Plan::across, Plan::ty, Plan::tx, Plan::tile_rows, Plan::blocks_c,
        Plan::blocks_v, Plan::chunk, Plan::chunks, Plan::stretch, Plan::stretches, Plan::v_at,
        Plan::v_block, Plan::v_chunk, Plan::u_class, Plan::p_at, Plan::p_size, Plan::above,
        Plan::class_rows, Plan::run_tiles, Plan::stage_size, Plan::u_size, Plan::v_size,
        Plan::chunks_k;
    using Plan::N, Plan::MR, Plan::NV, Plan::NR, Plan::M, Plan::A, Plan::KINDS, Plan::CLASSES;
    typedef typename Vec<T>::type V;
    struct Window {
        static constexpr int TAPS = S::TAPS * S::TAPS;
    };

    const Sliding<T>& s;
    const WinoPart* parts;  // a kernel's slices

    Residues(const dl_conv& p, const Sliding<T>& sliding, const WinoPart* slices, int64_t count)
        : Plan(p, sliding.n * sliding.grid[0], count), s(sliding), parts(slices) {}

    // Rows of tiles [r0, r1).
    void input(int64_t g, int64_t vb, int64_t r0, int64_t r1, T* v, T* stage) const {
        const WinoPart& part = parts[vb / blocks_c];
        const int64_t c = vb % blocks_c * N;
        v += vb / chunk * v_chunk + vb % chunk * MR * N;
        for (int64_t r = r0; r < r1; ++r) {
            const int64_t plane = r / ty, y = r % ty * M;
            const int64_t slice = plane % s.grid[0] * s.mul[0] + part.off[0];
            const bool inside = slice >= 0 && slice < s.in[0];
            const int64_t size[2] = {inside ? s.in[1] : 0, s.in[2]};
            const T* image = s.src + plane / s.grid[0] * s.src_image +
                             (g * s.channels + c) * s.src_plane +
                             (inside ? slice * s.in[1] * s.in[2] : 0);
            const WinoImage<T> from{image, s.src_plane, 1, gemm_min(N, s.channels - c)};
            for (int64_t x = 0; x < tx; x += kResidueRun) {
                const int64_t tiles = gemm_min(kResidueRun, tx - x);
                ResidueStage<T, S> staged(down, stage, tiles);
                staged.load(from, size, down.first + y * S::STEP, across.first + x * M * S::STEP,
                            staged.columns(tiles));
                const int64_t results = gemm_min(M, down.results - y);
                for (int i = 0; i < S::VALUES; ++i) {
                    if (S::plain(i) && i - A >= results) break;
                    const int64_t at = S::plain(i) ? above(r) - above(r0) + i - A : r - r0;
                    put_row(staged.row(i), v_at + S::kind(i) * KINDS, at, x, tiles, v);
                }
            }
        }
    }

    // Maps a row of the stage along its tiles: to row `at` of the classes that begin at `to`.
    void put_row(const T* row, const int64_t* to, int64_t at, int64_t x, int64_t tiles,
                 T* v) const {
        for (int64_t t = 0; t < tiles; ++t) {
            const int64_t i = at * tx + x + t, place = i / MR * v_block + i % MR * N;
            put_tile(row + (across.begin[0] + t * M * S::STEP) * N, to, v + place);
            if (S::SECOND == 2)
                put_tile(row + (across.begin[1] + t * M * S::STEP) * N, to + A, v + place);
        }
        if (S::SECOND == 2) return;
        const int64_t begin = x * M, end = gemm_min(begin + tiles * M, across.results);
        row += across.begin[1] * N, v += to[A];
        for (int64_t o = begin; o < end; ++o, row += S::STEP * N) {
            const int64_t i = at * across.results + o;
            vstore(v + i / MR * v_block + i % MR * N, vload(row));
        }
    }
    static __attribute__((always_inline)) inline void put_tile(const T* row, const int64_t* to,
                                                               T* v) {
        V d[A], w[A];
#pragma GCC unroll 8
        for (int j = 0; j < A; ++j) d[j] = vload(row + j * S::STEP * N);
        S::template Map<T>::input(d, w);
#pragma GCC unroll 8
        for (int j = 0; j < A; ++j) vstore(v + to[j], w[j]);
    }

    // U of rows [k, k + NR) and a chunk of channels.
    void filters(int64_t g, int64_t k, int64_t first, int64_t last, T* u) const {
        const int64_t width = gemm_min(NR, gemm_round_up(s.rows - k, N));
        const T* group = s.w + g * s.w_group;
        for (int64_t b = first; b < last; ++b, u += N * width) {
            const WinoPart& part = parts[b / blocks_c];
            const int64_t channel = b % blocks_c * N, cn = gemm_min(N, s.channels - channel);
            for (int64_t i = 0; i < width; i += N) {
                const T* w = group + (k + i) * s.w_row + channel * s.w_channel;
                WinoTaps<T, Window> taps(s, w, gemm_min(N, s.rows - k - i), cn, part);
                for (int64_t j = 0; j < N; ++j) {
                    V t[Window::TAPS] = {};  // of channels that are not there
                    if (j < cn) taps.of(j, t);
                    residue_filter<T, S>(t, u + j * width + i, u_class);
                }
            }
        }
    }

    // Rows [k, k + NR) of the results of a stretch.
    void results(int64_t g, int64_t k, int64_t r0, int64_t r1, const T* v, T* memory) const {
        T *products = memory, *u = products + p_size, *stage = u + u_size();
        const int64_t width = gemm_min(NV, gemm_div_up(s.rows - k, N));
        for (int64_t c = 0; c < chunks; ++c) {
            const int64_t first = c * chunk, last = gemm_min(blocks_v, first + chunk);
            filters(g, k, first, last, u);
            for (int x = 0; x < CLASSES; ++x) {
                const int64_t count = class_rows(x, r1 - r0, above(r1) - above(r0));
                const T* a = v + c * v_chunk + v_at[x];
                for (int64_t i = 0; i < count; i += MR, a += v_block) {
                    const int64_t here = gemm_min(MR, count - i);
                    const auto micro =
                        width == 1 ? wino_micro_of<T, 1>(here) : wino_micro_of<T, NV>(here);
                    micro(last - first, a, u + x * u_class, products + p_at[x] + i * NR, NR, N,
                          c > 0);
                }
            }
        }
        for (int64_t i = 0; i < width; ++i)
            for (int64_t r = r0; r < r1; ++r) output(g, k + i * N, r0, r, products + i * N, stage);
    }

    // The way back of a row of tiles, for filters [k, k + N).
    void output(int64_t g, int64_t k, int64_t r0, int64_t r, const T* products, T* stage) const {
        const int64_t row = g * s.rows + k, kn = gemm_min(N, s.rows - k);
        ConvFinish<T> rest = s.finish;  // what follows the shift
        rest.scale = nullptr;
        const T* added = s.finish.scale ? s.finish.shift : s.bias;
        const V scale = s.finish.scale ? vload_n(s.finish.scale + row, kn) : vset1(T(1));
        const V shift = added ? vload_n(added + row, kn) : V{};
        const int64_t y = r % ty * S::OUT, high = gemm_min(S::OUT, down.size - y);
        T* dst = s.dst + row * s.dst_plane + sliding_place(s, r / ty, 0) + y * s.out[2];
        T *values = stage, *out = values + S::VALUES * S::OUT * N;
        for (int64_t x = 0; x < tx; x += kResidueRun) {
            const int64_t tiles = gemm_min(kResidueRun, tx - x);
            const int64_t wide = gemm_min(tiles * S::OUT, across.size - x * S::OUT);
            for (int64_t t = 0; t < tiles; ++t) {
                tile_values(r0, r, x + t, products, values);
                const int64_t here = gemm_min(S::OUT, wide - t * S::OUT);
                for (int64_t j = 0; j < here; ++j) {
                    V to[S::OUT];
                    residue_output<T, S>(values + j * N, S::OUT * N, down, to);
#pragma GCC unroll 16
                    for (int i = 0; i < S::OUT; ++i)
                        vstore(out + (i * wide + t * S::OUT + j) * N, to[i] * scale + shift);
                }
            }
            // Rows that are whole follow each other.
            if (wide == s.out[2])
                unstage_row(out, high * wide, dst, 1, s.dst_plane, kn, rest);
            else
                for (int64_t i = 0; i < high; ++i)
                    unstage_row(out + i * wide * N, wide, dst + i * s.out[2] + x * S::OUT, 1,
                                s.dst_plane, kn, rest);
        }
    }
    // A tile's products, mapped back along rows: [value along the column][column].
    void tile_values(int64_t r0, int64_t r, int64_t tile, const T* products, T* to) const {
        const int64_t results = gemm_min(M, down.results - r % ty * M);
        const int64_t wide = gemm_min(M, across.results - tile * M);
        for (int i = 0; i < S::VALUES; ++i, to += S::OUT * N) {
            V y[S::OUT] = {};
            if (!S::plain(i) || i - A < results) {
                const int64_t at = S::plain(i) ? above(r) - above(r0) + i - A : r - r0;
                const int64_t* from = p_at + S::kind(i) * KINDS;
                T m[S::VALUES * N] = {};
                for (int j = 0; j < (S::SECOND == 1 ? A : 2 * A); ++j)
                    vstore(m + j * N, vload(products + from[j] + (at * tx + tile) * NR));
                if (S::SECOND == 1)
                    for (int64_t j = 0; j < wide; ++j)
                        vstore(m + (A + j) * N, vload(products + from[A] +
                                                      (at * across.results + tile * M + j) * NR));
                residue_output<T, S>(m, N, across, y);
            }
#pragma GCC unroll 16
            for (int j = 0; j < S::OUT; ++j) vstore(to + j * N, y[j]);
        }
    }

    dl_status run() const;
};

template <class T, class S>
dl_status Residues<T, S>::run() const {
    const int threads = dl_num_threads();
    WinoMemory<T> memory;
    const int64_t own = p_size + u_size() + stage_size(), tasks = s.groups * stretches;
    const bool even = tasks % threads == 0 || tasks >= 2 * threads;
    // V of some MB is read faster when there is one for all.
    const bool small = v_size() * int64_t(sizeof(T)) <= (3 << 19) || chunks_k() < 2 * threads;
    const auto part = [&](int64_t i, auto&& f) {
        const int64_t r0 = i % stretches * stretch;
        f(i / stretches, r0, gemm_min(tile_rows, r0 + stretch));
    };
    if (even && small) {
        parallel_for(tasks, 1, [&](int64_t begin, int64_t end) {
            T* v = memory(v_size() + own, 0);
            for (int64_t i = begin; i < end && v; ++i)
                part(i, [&](int64_t g, int64_t r0, int64_t r1) {
                    for (int64_t vb = 0; vb < blocks_v; ++vb) input(g, vb, r0, r1, v, v + v_size());
                    for (int64_t k = 0; k < s.rows; k += NR) results(g, k, r0, r1, v, v + v_size());
                });
        });
        return memory.failed ? DL_OUT_OF_MEMORY : DL_OK;
    }
    T* v = memory(v_size(), 3);
    if (!v) return DL_OUT_OF_MEMORY;
    for (int64_t i = 0; i < tasks && !memory.failed; ++i)
        part(i, [&](int64_t g, int64_t r0, int64_t r1) {
            parallel_for(blocks_v, 1, [&](int64_t begin, int64_t end) {
                T* stage = memory(stage_size(), 0);
                for (int64_t vb = begin; vb < end && stage; ++vb) input(g, vb, r0, r1, v, stage);
            });
            parallel_for(chunks_k(), 1, [&](int64_t begin, int64_t end) {
                T* m = memory(own, 0);
                for (int64_t k = begin; k < end && m; ++k) results(g, k * NR, r0, r1, v, m);
            });
        });
    return memory.failed ? DL_OUT_OF_MEMORY : DL_OK;
}

// ---- which, and what it costs --------------------------------------------------------------------

template <bool backward>
bool wino_residues_applies(const dl_conv& p) {
    for (int d = 1; d < 3; ++d)
        if ((p.kernel[d] != 3 && !(backward && p.kernel[d] == 4)) || p.kernel[d] != p.kernel[1] ||
            p.stride[d] != 2 || p.dilation[d] != 1 || p.in[d] < 2)
            return false;
    return !p.channels_last && !p.w_channels_last && p.kernel[0] <= kWinoParts &&
           conv_volume(p.out) > 0 && p.in[0] > 0 && p.n > 0 && p.c > 0 && p.k > 0;
}

// Seconds on one thread.
template <class S>
double residues_seconds(const dl_conv& p) {
    const int64_t planes = p.n * (S::BACK ? gemm_div_up(p.in[0], p.stride[0]) : p.out[0]);
    const ResiduePlan<float, S> w(p, planes, p.kernel[0]);
    constexpr double N = Vec<float>::N;
    const double products = double(w.products(w.tile_rows, w.above(w.tile_rows)));
    const double cb = double(w.blocks_v), kb = double(gemm_div_up(w.rows, w.N));
    // Multiply-adds, a block of fewer rows than a tile taking some more.
    const double macs = (products + 2.0 * S::CLASSES * double(w.stretches)) * cb * kb * N * N;
    const double maps = products * (cb + kb) * 8;
    const double filters =
        double(w.stretches) * cb * N * kb * (60 + (S::SECOND == 2 ? 3.6 : 1.5) * S::CLASSES);
    return double(w.groups) * (macs / (0.85 * conv_peak<float>()) + (maps + filters) * kConvCycle) +
           10e-6 + conv_traffic(p) / 2.5;
}

// Calls f(ResidueShape) with the shape that suits p.
template <bool backward, class F>
auto with_residue_shape(const dl_conv& p, const F& f) {
    typedef ResidueShape<4, 1, backward> Four;
    typedef ResidueShape<5, 1, backward> Five;
    if constexpr (backward)
        if (p.kernel[1] == 4) return f(ResidueShape<4, 2, true>());
    return residues_seconds<Four>(p) <= residues_seconds<Five>(p) ? f(Four()) : f(Five());
}

template <bool backward>
double wino_residues_seconds(const dl_conv& p) {
    return with_residue_shape<backward>(
        p, [&](auto shape) { return residues_seconds<decltype(shape)>(p); });
}

// The slices of a kernel that a sliding product meets.
template <class T>
int64_t residue_parts(const Sliding<T>& s, int64_t slice, WinoPart* parts) {
    int64_t count = 0;
    for (int64_t t = 0; t < s.ntaps; ++t) {
        const int64_t first = s.taps[t].w / slice * slice;
        if (count > 0 && parts[count - 1].first == first) continue;
        parts[count] = {{s.taps[t].off[0], 0, 0}, first, slice, {}};
        for (int i = 0; i < slice; ++i) parts[count].at[i] = i;
        ++count;
    }
    return count;
}

template <class T, bool backward>
dl_status wino_residues(const dl_conv& p) {
    WinoPart parts[kWinoParts];
    ConvTap* taps = taps_for(p);
    if (!taps) return DL_OUT_OF_MEMORY;
    const int64_t slice = p.kernel[1] * p.kernel[2];
    for (int64_t phase = 0; phase < (backward ? gemm_min(p.stride[0], p.in[0]) : 1); ++phase) {
        int64_t at[3] = {phase, 0, 0};
        const Sliding<T> s =
            backward ? sliding_backward<T>(p, at, taps) : sliding_forward<T>(p, taps);
        const int64_t count = residue_parts(s, slice, parts);
        if (count == 0) {  // no slice meets these planes
            for (at[1] = 0; at[1] < 2; ++at[1])
                for (at[2] = 0; at[2] < 2; ++at[2]) sliding_empty(sliding_backward<T>(p, at, taps));
            continue;
        }
        const dl_status status = with_residue_shape<backward>(
            p, [&](auto shape) { return Residues<T, decltype(shape)>(p, s, parts, count).run(); });
        if (status != DL_OK) return status;
    }
    return DL_OK;
}

}  // namespace
