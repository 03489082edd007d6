// Convolutions with kernels of size 1 as a matrix product turned round: pixels are the rows of a
// register tile and filters its lanes, since filters mostly come in whole vectors and pixels hardly
// ever do (7 x 7 at batch 8 fills 28 tiles of 14, but a quarter of the 13th of 32). Pixels of a task
// are packed by the task that multiplies them, into L2, and stay there for all its filters; sums of
// several blocks of channels stay in tiles, and only what is finished is turned back.
#pragma once
#include "kernels/cpu/conv_sliding.h"
#include "kernels/cpu/lanes.h"

namespace {

// Strides and sizes that leave nothing to pad in either direction.
inline bool turned_applies(const dl_conv& p) {
    for (int d = 0; d < 3; ++d)
        if (p.kernel[d] != 1 || p.pad_lo[d] != 0 || p.out[d] != (p.in[d] - 1) / p.stride[d] + 1)
            return false;
    return p.groups == 1 && p.k > 0 && p.c > 0;
}

// Channels between two roundings of a sum: few pixels stay in L2 as a whole with fewer channels.
// Rounding depends on it, so no cache does.
template <class T>
DL_INLINE int64_t turned_kc(int64_t pixels, int64_t channels) {
    constexpr int64_t KC = GemmTile<T>::KC, NB = GemmTile<T>::NB;
    const int64_t most =
        pixels <= 2 * NB ? gemm_min(KC, NB * KC / gemm_max(pixels, 1) / 8 * 8) : KC;
    return gemm_min(channels, gemm_round_up(gemm_div_up(channels, gemm_div_up(channels, most)), 8));
}

// Pixels that follow each other in a sliver, in src and in dst: elements from a plane's beginning.
struct PixelRun {
    int64_t from, to, lane, n;
};

constexpr int64_t kTurnedPixels = 512;  // most of a task

// The pixels of a task, sliver by sliver.
template <class T>
struct PixelList {
    static constexpr int64_t MR = GemmTile<T>::MR;
    int64_t slivers = 0,
            first[kTurnedPixels / MR + 2];  // a sliver's runs: first[i] up to first[i + 1]
    PixelRun runs[kTurnedPixels];

    PixelList(const Sliding<T>& s, int64_t j0, int64_t j1) {
        int64_t count = 0;
        for (int64_t i = j0; i < j1; i += MR) {
            first[slivers++] = count;
            const int64_t end = gemm_min(j1, i + MR);
            for (int64_t j = i, n; j < end; j += n) {
                PixelRun r = pixel(s, j);
                n = r.n = gemm_min(s.grid[2] - j % s.grid[2], end - j);
                r.lane = j - i;
                if (r.lane > 0 && follows(s, runs[count - 1], r))
                    runs[count - 1].n += n;
                else
                    runs[count++] = r;
            }
        }
        first[slivers] = count;
    }

 private:
    static bool follows(const Sliding<T>& s, const PixelRun& last, const PixelRun& r) {
        return last.from + last.n * s.mul[2] == r.from && last.to + last.n * s.out_mul[2] == r.to;
    }
    static PixelRun pixel(const Sliding<T>& s, int64_t j) {
        const int64_t o2 = j % s.grid[2], rest = j / s.grid[2];
        const int64_t o1 = rest % s.grid[1], o0 = rest / s.grid[1] % s.grid[0];
        const int64_t n = rest / s.grid[1] / s.grid[0], *off = s.taps[0].off;
        const int64_t row = (o0 * s.mul[0] + off[0]) * s.in[1] + o1 * s.mul[1] + off[1];
        const int64_t to =
            (o0 * s.out_mul[0] + s.out_base[0]) * s.out[1] + o1 * s.out_mul[1] + s.out_base[1];
        return {n * s.src_image + row * s.in[2] + o2 * s.mul[2] + off[2],
                n * s.dst_image + to * s.out[2] + o2 * s.out_mul[2] + s.out_base[2], 0, 0};
    }
};

// n elements of a sliver's step, `mul` apart in memory; nothing else is read or written.
template <class T, int kMul>
DL_INLINE void copy_pixels(T* to, const T* from, int64_t n, int64_t mul) {
#if DL_VEC_BYTES == 64
    constexpr int64_t N = Vec<T>::N;
    if constexpr (kMul == 1) {
        for (int64_t i = 0; i < n; i += N)
            vstore_n(to + i, vload_n(from + i, gemm_min(N, n - i)), gemm_min(N, n - i));
        return;
    } else if constexpr (kMul == 2) {
        for (int64_t i = 0; i < n; i += N) {
            const int64_t m = gemm_min(N, n - i), reach = 2 * m - 1;
            const auto lo = vload_n(from + 2 * i, gemm_min(N, reach));
            const auto hi = vload_n(from + 2 * i + N, gemm_max(0, reach - N));
            vstore_n(to + i, vevens<T>(lo, hi), m);
        }
        return;
    }
#endif
    for (int64_t i = 0; i < n; ++i) to[i] = from[i * (kMul ? kMul : mul)];
}

// Channels from src on, kc of them -> slivers of pixels, kc * MR elements apart.
template <class T, int kMul>
void pack_pixels(const Sliding<T>& s, const PixelList<T>& list, const T* src, int64_t kc, T* buf) {
    constexpr int64_t MR = GemmTile<T>::MR;
    constexpr int64_t kTogether = 32;  // channels whose planes stay in L1 for all slivers of theirs
    for (int64_t k0 = 0; k0 < kc; k0 += kTogether) {
        const int64_t kn = gemm_min(kTogether, kc - k0);
        for (int64_t w = 0; w < list.slivers; ++w)
            for (int64_t i = list.first[w]; i < list.first[w + 1]; ++i) {
                const PixelRun& run = list.runs[i];
                const T* from = src + k0 * s.src_plane + run.from;
                T* to = buf + (w * kc + k0) * MR + run.lane;
                const int64_t n = run.n;
                for (int64_t k = 0; k < kn; ++k, from += s.src_plane, to += MR) {
                    __builtin_prefetch(from + kTogether * s.src_plane);
                    if (kMul == 2) __builtin_prefetch(from + kTogether * s.src_plane + n);
                    copy_pixels<T, kMul>(to, from, n, s.mul[2]);
                }
            }
    }
}

// n finished results of a filter go to memory, `step` apart.
template <class T>
DL_INLINE void put_pixels(T* to, const T* from, int64_t n, int64_t step) {
    constexpr int64_t MR = GemmTile<T>::MR;
    if (step == 1 && DL_VEC_BYTES < 64 && n == MR)  // without masks a few moves are quicker
        memcpy(to, from, MR * sizeof(T));
    else if (step == 1)
        vstore_n(to, vload(from), n);
    else if (step == 2)
        vstore_pairs(to, vload(from), n);
    else
        for (int64_t i = 0; i < n; ++i) to[i * step] = from[i];
}

// Pixels of one sliver times nf filters from `row` on: turns the finished tile and brings it to dst.
template <class T>
void store_turned(const Sliding<T>& s, const PixelList<T>& list, int64_t sliver, const T* tile,
                  int64_t row, int64_t nf) {
    typedef typename Vec<T>::type vec;
    constexpr int64_t MR = GemmTile<T>::MR, NR = GemmTile<T>::NR, N = Vec<T>::N;
    alignas(64) T turned[N * N + N];
    const PixelRun *begin = list.runs + list.first[sliver],
                   *end = list.runs + list.first[sliver + 1];
    const int64_t step = s.out_mul[2];
    const bool plain = end - begin == 1 && step == 1 && !s.finish.on && MR <= N && nf % N == 0;
    for (int64_t f = 0; f < nf; f += N) {
        const int64_t fn = gemm_min(N, nf - f);
        const vec bias = s.bias ? vload_n(s.bias + row + f, fn) : vec{};
        for (int64_t p = 0; p < MR; p += N) {
            vec r[N];
#pragma GCC unroll 16
            for (int64_t i = 0; i < N; ++i)
                r[i] = p + i < MR ? vload(tile + (p + i) * NR + f) + bias : vec{};
            transpose_lanes(r);
            T* dst = s.dst + (row + f) * s.dst_plane;
            if (plain && DL_VEC_BYTES == 64) {
                dst += begin->to;
#pragma GCC unroll 16
                for (int64_t i = 0; i < N; ++i, dst += s.dst_plane) vstore_n(dst, r[i], begin->n);
                continue;
            }
            memcpy(turned, r, sizeof r);
            for (const PixelRun* run = begin; run < end; ++run) {
                const int64_t lane = gemm_max(run->lane, p);
                const int64_t n = gemm_min(run->lane + run->n, p + N) - lane;
                if (n <= 0) continue;
                T *to = dst + run->to + (lane - run->lane) * step, *from = turned + lane - p;
                for (int64_t i = 0; i < fn; ++i, to += s.dst_plane, from += N) {
                    if (s.finish.on)
                        vstore_n(from, conv_finished(s.finish, vload(from), row + f + i, to, n), n);
                    put_pixels(to, from, n, step);
                }
            }
        }
    }
}

// Columns and filters of a task.
struct TurnedRect {
    int64_t j0, j1, f0, f1;
};

template <class T>
struct TurnedProduct {
    typedef GemmTile<T> Tile;
    const Sliding<T>& s;
    int64_t kc;
    const T* packed;  // weights of all filters, or null: each task packs those it needs

    bool run(const TurnedRect& r) const {
        constexpr int64_t MR = Tile::MR, NR = Tile::NR;
        const PixelList<T> list(s, r.j0, r.j1);
        const int64_t width = gemm_round_up(r.f1 - r.f0, NR), rows = list.slivers * MR;
        const bool collect = kc < s.channels;
        const int64_t own = packed ? 0 : NR * kc;
        T* pixels = static_cast<T*>(dl_scratch(
            size_t(gemm_round_up(rows * kc, 16) + own + (collect ? rows * width : MR * NR)) *
                sizeof(T),
            1));
        if (!pixels) return false;
        T *weights = pixels + gemm_round_up(rows * kc, 16), *sums = weights + own;
        const auto pack = s.mul[2] == 1   ? pack_pixels<T, 1>
                          : s.mul[2] == 2 ? pack_pixels<T, 2>
                                          : pack_pixels<T, 0>;
        for (int64_t k0 = 0; k0 < s.channels; k0 += kc) {
            const int64_t kn = gemm_min(kc, s.channels - k0);
            pack(s, list, s.src + k0 * s.src_plane, kn, pixels);
            for (int64_t f = r.f0; f < r.f1; f += NR) {
                const PackStridedB<T> pack_weights{s.w, s.w_row, s.w_channel};
                const T* w = packed ? packed + k0 * gemm_round_up(s.rows, NR) + f * kn
                                    : pack_weights(weights, f, gemm_min(NR, r.f1 - f), k0, kn);
                multiply(list, r, f, k0, kn, pixels, w, collect ? sums + (f - r.f0) * rows : sums,
                         collect);
            }
        }
        return true;
    }

 private:
    // All pixels times the filters of one sliver.
    void multiply(const PixelList<T>& list, const TurnedRect& r, int64_t f, int64_t k0, int64_t kn,
                  const T* pixels, const T* weights, T* sums, bool collect) const {
        constexpr int64_t MR = Tile::MR, NR = Tile::NR;
        const int64_t nf = gemm_min(NR, r.f1 - f);
        const auto* micros = nf <= Vec<T>::N ? GemmMicros<T, 1>::at : GemmMicros<T, Tile::NV>::at;
        const T one = T(1);
        for (int64_t i = 0; i < list.slivers; ++i) {
            const int64_t mr = gemm_min(MR, r.j1 - r.j0 - i * MR);
            T* tile = collect ? sums + i * MR * NR : sums;
            micros[(mr + 1) / 2](kn, pixels + i * MR * kn, weights, NR, tile, NR, &one, k0 > 0);
            if (k0 + kn == s.channels) store_turned(s, list, i, tile, f, nf);
        }
    }
};

// How many blocks of pixels and of filters there are.
struct TurnedCut {
    int64_t pixels, filters;
    bool shared;  // weights are packed ahead
};

// In cycles: products, packing of pixels and weights. Speed alone depends on it.
template <class T>
TurnedCut turned_cut(const Sliding<T>& s, int64_t kc, int threads) {
    typedef GemmTile<T> Tile;
    const int64_t columns = s.columns(), slivers = gemm_div_up(s.rows, Tile::NR);
    const int64_t most = gemm_min(
        kTurnedPixels, gemm_resident<T>(kTurnedPixels / Tile::MR * Tile::MR, Tile::MR, kc));
    const int64_t least = gemm_div_up(columns, most), lanes = Vec<T>::N * 2;
    TurnedCut best{least, 1, false};
    double shortest = 1e30;
    for (int64_t nt = least; nt <= least + threads && nt <= gemm_div_up(columns, Tile::MR); ++nt)
        for (int64_t each = 1; each <= 4; ++each) {
            const int64_t mt = gemm_min(slivers, gemm_max(1, each * threads / nt));
            const bool shared = nt > 2;
            const double pixels = double(gemm_round_up(gemm_div_up(columns, nt), 2));
            const double filters = double(gemm_div_up(slivers, mt) * Tile::NR);
            const double task =
                pixels * filters / double(lanes) + 0.35 * pixels + (shared ? 0 : 0.4 * filters);
            const double rounds = double(gemm_div_up(nt * mt, threads));
            const double time = rounds * task + (shared ? 0.9 * double(s.rows) / threads : 0);
            if (time < shortest) best = {nt, mt, shared}, shortest = time;
        }
    return best;
}

template <class T>
dl_status turned_gemm(const Sliding<T>& s) {
    typedef GemmTile<T> Tile;
    if (sliding_without_sums(s)) return DL_OK;
    const int threads = dl_num_threads();
    const int64_t columns = s.columns(), kc = turned_kc<T>(columns, s.channels);
    const TurnedCut cut = turned_cut(s, kc, threads);
    TurnedProduct<T> product{s, kc, nullptr};
    if (cut.shared) {
        const int64_t size = packed_size<Tile::NR>(s.rows, s.channels);
        T* memory = static_cast<T*>(dl_scratch(size_t(size) * sizeof(T), 0));
        if (!memory) return DL_OUT_OF_MEMORY;
        pack_all<T, Tile::NR>(memory, PackStridedB<T>{s.w, s.w_row, s.w_channel}, 0, s.rows,
                              s.channels, threads, kc);
        product.packed = memory;
    }
    const int64_t slivers = gemm_div_up(s.rows, Tile::NR), pairs = gemm_div_up(columns, 2);
    int failed = 0;
    parallel_for(cut.pixels * cut.filters, 1, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
            const int64_t j = t % cut.pixels, f = t / cut.pixels;
            const TurnedRect r{2 * (pairs * j / cut.pixels),
                               gemm_min(columns, 2 * (pairs * (j + 1) / cut.pixels)),
                               slivers * f / cut.filters * Tile::NR,
                               gemm_min(s.rows, slivers * (f + 1) / cut.filters * Tile::NR)};
            if (!product.run(r)) __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        }
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

}  // namespace
