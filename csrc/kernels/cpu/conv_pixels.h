// Pixels as the rows of a register tile and filters as its lanes: what products turned round are
// made of. Pixels are listed by slivers, packed channel by channel, and finished tiles are turned
// and brought to where they belong. For kernels of size 1: conv_turned.h, conv_strassen.h.
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

// Pixels that follow each other in a sliver, in src and in dst: elements from a plane's beginning.
struct PixelRun {
    int64_t from, to, lane, n;
};

constexpr int64_t kTurnedPixels = 512;  // most of a task
constexpr int64_t kPixelsAhead = 32;    // channels between what is packed and what is asked for

// Channels between two roundings of a sum, a multiple of `unit`: of few pixels so many that `all`
// elements stay in L2 as a whole. Rounding depends on it, so no cache does.
template <class T>
DL_INLINE int64_t pixels_kc(int64_t pixels, int64_t channels, int64_t all, int64_t unit) {
    constexpr int64_t KC = GemmTile<T>::KC, NB = GemmTile<T>::NB;
    const int64_t most =
        pixels <= 2 * NB ? gemm_min(KC, all / gemm_max(pixels, 1) / unit * unit) : KC;
    const int64_t even = gemm_div_up(channels, gemm_div_up(channels, most));
    return gemm_min(channels, gemm_round_up(even, unit));
}

// Pixels as rows: `each` of an image, from its pixel `first` on, then those of the next image. One
// beyond an image's end stands for that `each` before.
struct PixelOrder {
    int64_t each, first;
};

// The pixels of a task, sliver by sliver.
template <class T>
struct PixelList {
    static constexpr int64_t MR = GemmTile<T>::MR;
    int64_t slivers = 0,
            first[kTurnedPixels / MR + 2];  // a sliver's runs: first[i] up to first[i + 1]
    PixelRun runs[kTurnedPixels];

    PixelList(const Sliding<T>& s, int64_t j0, int64_t j1, const PixelOrder& order) {
        int64_t count = 0;
        for (int64_t i = j0; i < j1; i += MR) {
            first[slivers++] = count;
            const int64_t end = gemm_min(j1, i + MR);
            for (int64_t j = i, n; j < end; j += n) {
                const int64_t at = j % order.each, size = s.positions();
                int64_t q = order.first + at;
                if (q >= size) q -= order.each;
                PixelRun r = pixel(s, j / order.each, q);
                n = gemm_min(s.grid[2] - q % s.grid[2], order.each - at);
                n = r.n = gemm_min(n, end - j);
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
    static PixelRun pixel(const Sliding<T>& s, int64_t n, int64_t j) {
        const int64_t o2 = j % s.grid[2], rest = j / s.grid[2];
        const int64_t o1 = rest % s.grid[1], o0 = rest / s.grid[1], *off = s.taps[0].off;
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

constexpr int64_t kPixelsTogether =
    32;  // channels whose planes stay in L1 for all slivers of theirs

// n channels of one sliver, from src on.
template <class T, int kMul>
void pack_pixels_as(const Sliding<T>& s, const PixelList<T>& list, int64_t sliver, const T* src,
                    int64_t n, T* buf) {
    constexpr int64_t MR = GemmTile<T>::MR;
    for (int64_t i = list.first[sliver]; i < list.first[sliver + 1]; ++i) {
        const PixelRun& run = list.runs[i];
        const T *from = src + run.from, *next = from + kPixelsAhead * s.src_plane;
        T* to = buf + run.lane;
        for (int64_t k = 0; k < n; ++k, from += s.src_plane, next += s.src_plane, to += MR) {
            __builtin_prefetch(next);
            if (kMul == 2) __builtin_prefetch(next + run.n);
            copy_pixels<T, kMul>(to, from, run.n, s.mul[2]);
        }
    }
}
template <class T>
using PackPixels = void (*)(const Sliding<T>& s, const PixelList<T>& list, int64_t sliver,
                            const T* src, int64_t n, T* buf);
template <class T>
PackPixels<T> pixel_packer(const Sliding<T>& s) {
    return s.mul[2] == 1   ? pack_pixels_as<T, 1>
           : s.mul[2] == 2 ? pack_pixels_as<T, 2>
                           : pack_pixels_as<T, 0>;
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

}  // namespace
