// Pointwise convolution of stride 1 as a matrix product that packs no images: in a plane, pixels
// follow each other, so vectors of pixels are read where they lie, one channel after another, and
// multiplied by broadcast weights. A tile of pixels meets all filters before the next one is touched:
// images come from memory once, and while the first filters are at work on a tile, the next tile is
// fetched. (Channels lie pages apart, where no hardware looks ahead.)
#pragma once
#include "kernels/cpu/conv_sliding.h"
#include "kernels/cpu/gemm_tile.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/static_size.h"

namespace {

// Filters and vectors of pixels of a register tile.
template <class T>
struct PointTile {
#if DL_VEC_BYTES == 64
    static constexpr int R = 9, V = 3;  // 27 sums, 3 vectors; weights are operands in memory
#elif DL_VEC_BYTES == 32
    static constexpr int R = 6, V = 2;  // 12 + 2 + 1 of 16 registers
#elif defined(__aarch64__)
    static constexpr int R = 6, V = 4;
#else
    static constexpr int R = 4, V = 2;
#endif
    static constexpr int64_t KC = GemmTile<T>::KC;  // channels between two roundings of a sum
};

DL_INLINE bool is_pointwise(const dl_conv& p) {
    for (int d = 0; d < 3; ++d)
        if (p.kernel[d] != 1 || p.stride[d] != 1 || p.pad_lo[d] != 0 || p.in[d] != p.out[d])
            return false;
    return true;
}
// Planes of at least one vector: the last one of a plane may overlap the one before.
inline bool pointwise_applies(const dl_conv& p) {
    const int64_t lanes = DL_VEC_BYTES / (p.dtype == DL_F64 ? 8 : 4);
    return is_pointwise(p) && conv_volume(p.in) >= lanes && p.k > 0 && p.c > 0;
}

// Steps from the request of a line that results go to until it is written.
constexpr int64_t kPointLead = 48;
constexpr int64_t kPointSpan = 4;  // tiles that are worked on together, at most

// dst[n, g, row] = bias[g, row] + sum over channel: w[g, row, channel] * src[n, g, channel], each of
// `plane` pixels.
template <class T>
struct Pointwise {
    int64_t n, groups, rows, channels, plane;  // rows and channels of a group
    const T* src;
    T* dst;
    const T* w;
    int64_t w_row, w_channel;
    const T* bias;  // or null
    ConvFinish<T> finish;

    Pointwise(const dl_conv& p, bool backward) {
        const int64_t k = p.k / p.groups, c = p.c / p.groups;
        n = p.n, groups = p.groups, plane = conv_volume(p.in);
        rows = backward ? c : k, channels = backward ? k : c;
        src = static_cast<const T*>(backward ? p.y : p.x);
        dst = static_cast<T*>(backward ? p.x : p.y);
        w = static_cast<const T*>(p.w), bias = static_cast<const T*>(p.bias);
        if (!backward) finish = ConvFinish<T>(p);
        w_row = backward ? 1 : c, w_channel = backward ? c : 1;
    }
    // Whether results are not written as soon as they are summed.
    bool uses_sums() const { return channels > PointTile<T>::KC || (finish.on && !finish.cuts()); }
    int64_t row_groups() const { return gemm_div_up(rows, PointTile<T>::R); }
    int64_t tiles() const {  // of a plane
        return gemm_div_up(gemm_div_up(plane, Vec<T>::N), PointTile<T>::V);
    }
    // Tiles that one group of rows goes through before the next: as long as L2 holds their pixels, so
    // that results are written in longer stretches. (There is room for the sums of one tile.)
    int64_t span() const {
        if (channels > PointTile<T>::KC) return 1;
        const int64_t tile = channels * PointTile<T>::V * DL_VEC_BYTES;
        return tile * kPointSpan <= dl_cache_bytes(2) / 8 ? kPointSpan : 1;
    }
    // Sums too short to ask for a line in time, which is slow to come when L3 cannot hold the results:
    // then it is asked for some tiles ahead.
    int64_t lead() const {
        const bool far = n * groups * rows * plane * int64_t(sizeof(T)) > int64_t(16 << 20);
        if (channels >= kPointLead || !far) return 0;
        return gemm_min(3, gemm_div_up(kPointLead, channels)) * PointTile<T>::V * Vec<T>::N;
    }
};

// What a call of the micro-kernel works on.
template <class T>
struct PointStep {
    int64_t channels;
    const T* w;  // [channels][R]
    const T* x;  // the first channel's pixels
    int64_t plane;
    int64_t last;   // where the last vector begins, from x: it may overlap the one before
    int64_t ahead;  // where the pixels are that are needed next, from x
    T* y;
    int64_t y_plane;
    int64_t lead;    // of the lines to ask for, from y
    const T* bias;   // [R] or null
    const T* prior;  // sums of earlier channels, rows PointTile::V vectors apart, or null
    const ConvFinish<T>* finish;  // or null
    int64_t row;                  // of all filters, the first of the tile
};

template <class T, int R, int V>
void point_micro(const PointStep<T>& t) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N, kRow = PointTile<T>::V * N;
    vec acc[R][V];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) acc[i][v] = vec{};
    const T *x = t.x, *end = t.x + t.last, *w = t.w, *ahead = t.x + t.ahead;
    const auto step = [&]() __attribute__((always_inline)) {
        vec xv[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            __builtin_prefetch(ahead + v * N);
            xv[v] = vload(v == V - 1 ? end : x + v * N);
        }
#pragma GCC unroll 16
        for (int i = 0; i < R; ++i) {
            const vec wi = vset1(w[i]);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) acc[i][v] += wi * xv[v];
        }
        x += t.plane, end += t.plane, ahead += t.plane, w += R;
    };
    // The lines that results go to are asked for on the way, some steps before they are written.
    const T* out = t.y + t.lead;
    const bool ahead_of_residual = t.finish && t.finish->residual;
    int64_t k = 0;
    for (const int64_t late = t.channels - kPointLead; k < late; ++k) step();
    for (const int64_t most = gemm_min(k + R, t.channels); k < most; ++k, out += t.y_plane) {
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            __builtin_prefetch(out + v * N, 1);
            if (ahead_of_residual) __builtin_prefetch(t.finish->residual_of(out) + v * N);
        }
        step();
    }
    for (; k < t.channels; ++k) step();
    const int64_t y_plane = t.y_plane, last = t.last;
    if (!t.bias && !t.prior && !t.finish) {  // short sums feel each question that is asked of a row
        T* y = t.y;
#pragma GCC unroll 16
        for (int i = 0; i < R; ++i, y += y_plane)
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) vstore(y + (v == V - 1 ? last : v * N), acc[i][v]);
        return;
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i) {
        T* y = t.y + i * y_plane;
        if (t.bias)
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) acc[i][v] += vset1(t.bias[i]);
        if (t.prior)  // all of a row is read before any of it is written: vectors overlap
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v)
                acc[i][v] += vload(t.prior + i * kRow + (v == V - 1 ? last : v * N));
        if (t.finish)
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v)
                acc[i][v] =
                    conv_cut(*t.finish, acc[i][v], t.row + i, y + (v == V - 1 ? last : v * N), N);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) vstore(y + (v == V - 1 ? last : v * N), acc[i][v]);
    }
}

template <class T>
using PointMicro = void (*)(const PointStep<T>&);

template <class T>
PointMicro<T> point_micro_of(int64_t rows, int64_t vectors) {
    return with_size<PointTile<T>::R>(rows, [&](auto r) {
        return with_size<PointTile<T>::V>(vectors, [](auto v) -> PointMicro<T> {
            return point_micro<T, decltype(r)::value, decltype(v)::value>;
        });
    });
}

// The first row of a group of rows that share them evenly: groups differ by one row at most.
DL_INLINE int64_t point_row(int64_t rows, int64_t groups, int64_t group) {
    return rows * group / groups;
}

// to[k][rn] = w[r * row + k * channel]. What a vector writes too much is written again by the next ones.
template <class T>
void point_pack_rows(const T* w, int64_t row, int64_t channel, int64_t rn, int64_t kn, T* to) {
    constexpr int64_t N = Vec<T>::N;
    const auto put = [&](int64_t k, typename Vec<T>::type v) __attribute__((always_inline)) {
        (kn - k) * rn >= N ? vstore(to + k * rn, v) : vstore_n(to + k * rn, v, rn);
    };
    if (PointTile<T>::R > N || (channel != 1 && (row != 1 || DL_VEC_BYTES < 64))) {
        for (int64_t k = 0; k < kn; ++k)
            for (int64_t r = 0; r < rn; ++r) *to++ = w[r * row + k * channel];
    } else if (channel != 1) {
        for (int64_t k = 0; k < kn; ++k) put(k, vload_n(w + k * channel, rn));
    } else {
        for (int64_t k = 0; k < kn; k += N) {  // turned in registers
            const int64_t steps = gemm_min(N, kn - k);
            typename Vec<T>::type v[N];
#pragma GCC unroll 16
            for (int i = 0; i < N; ++i)
                v[i] = i >= rn      ? typename Vec<T>::type{}
                       : steps == N ? vload(w + i * row + k)
                                    : vload_n(w + i * row + k, steps);
            vtranspose<T>(v);
#pragma GCC unroll 16
            for (int i = 0; i < N; ++i)
                if (i < steps) put(k + i, v[i]);
        }
    }
}

// Weights of all groups: [group][block of KC channels][rows of a tile][channel][row].
template <class T>
void point_pack(const Pointwise<T>& s, T* to) {
    constexpr int64_t KC = PointTile<T>::KC;
    const int64_t row_groups = s.row_groups();
    parallel_for(s.groups * row_groups, gemm_max(1, 65536 / (PointTile<T>::R * s.channels)),
                 [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) {
                         const int64_t group = i / row_groups, g = i % row_groups;
                         const int64_t r0 = point_row(s.rows, row_groups, g);
                         const int64_t rn = point_row(s.rows, row_groups, g + 1) - r0;
                         const T* w = s.w + group * s.rows * s.channels + r0 * s.w_row;
                         T* base = to + group * s.rows * s.channels;
                         for (int64_t k0 = 0; k0 < s.channels; k0 += KC) {
                             const int64_t kn = gemm_min(KC, s.channels - k0);
                             T* out = base + k0 * s.rows + r0 * kn;
                             point_pack_rows(w + k0 * s.w_channel, s.w_row, s.w_channel, rn, kn,
                                             out);
                         }
                     }
                 });
}

// What is worked on at a time: tiles of pixels of an image's group, and groups of rows [g0, g1).
struct PointTask {
    int64_t image, group, tile, count, g0, g1;  // tiles [tile, tile + count)
};

// Brings finished results from `sums`, rows PointTile::V vectors apart, to where t.y would have them.
template <class T>
void point_finish(const Pointwise<T>& s, const PointStep<T>& t, int64_t rows, int64_t vectors,
                  const T* sums, T* to) {
    constexpr int64_t N = Vec<T>::N, V = PointTile<T>::V;
    for (int64_t i = 0; i < rows; ++i, sums += V * N, to += s.plane)
        for (int64_t v = 0; v < vectors; ++v) {
            const int64_t at = v == vectors - 1 ? t.last : v * N;
            vstore(to + at, conv_finished(s.finish, vload(sums + at), t.row + i, to + at, N));
        }
}

// Where the tiles of a task begin, in vectors, and as many of the next one: divided out once, which
// takes as long as a few steps of a tile.
struct PointPlaces {
    int64_t at[2 * kPointSpan + 1];

    PointPlaces(int64_t vectors, int64_t tiles, const PointTask& task) {
        for (int64_t i = 0; i <= 2 * task.count; ++i) at[i] = vectors * (task.tile + i) / tiles;
    }
};

// Row groups [task.g0, task.g1), channels [k0, k0 + kn) of a task's tiles. w: the weights of the task's
// group, packed; sums: room for a tile of all rows, where s.uses_sums().
template <class T>
void point_rows(const Pointwise<T>& s, const PointTask& task, const PointPlaces& places, const T* w,
                int64_t k0, int64_t kn, T* sums) {
    constexpr int64_t N = Vec<T>::N, V = PointTile<T>::V;
    const int64_t slab = task.image * s.groups + task.group, row_groups = s.row_groups();
    const bool first = k0 == 0, last = k0 + kn == s.channels;
    // Exponentials need registers of their own.
    const bool finish = last && s.finish.on, apart = finish && !s.finish.cuts();
    const bool direct = last && !apart;
    PointMicro<T> micro = nullptr;
    int64_t micro_rows = 0, micro_vectors = 0;
    PointStep<T> t;
    t.channels = kn, t.plane = s.plane;
    t.y_plane = direct ? s.plane : V * N;
    t.lead = direct ? s.lead() : 0;
    t.finish = finish && !apart ? &s.finish : nullptr;
    const T* const x = s.src + (slab * s.channels + k0) * s.plane;
    for (int64_t g = task.g0, r = point_row(s.rows, row_groups, g), end; g < task.g1;
         ++g, r = end) {
        end = point_row(s.rows, row_groups, g + 1);
        T* const to = s.dst + (slab * s.rows + r) * s.plane;
        t.w = w + k0 * s.rows + r * kn;
        t.row = task.group * s.rows + r;
        t.bias = first && s.bias ? s.bias + t.row : nullptr;
        for (int64_t i = 0; i < task.count; ++i) {
            const int64_t v0 = places.at[i], count = places.at[i + 1] - v0;
            t.x = x + v0 * N;
            t.last = gemm_min((count - 1) * N, s.plane - N - v0 * N);
            t.ahead = g == task.g0 ? (places.at[i + task.count] - v0) * N : 0;
            // A lone last vector begins in front of its tile's first pixel.
            T* partial = sums + r * V * N + (t.last < 0 ? N : 0);
            t.y = direct ? to + v0 * N : partial;
            t.prior = first ? nullptr : partial;
            if (end - r != micro_rows || count != micro_vectors) {
                micro_rows = end - r, micro_vectors = count;
                micro = point_micro_of<T>(micro_rows, micro_vectors);
            }
            micro(t);
            if (apart) point_finish(s, t, end - r, count, partial, to + v0 * N);
        }
    }
}

template <class T>
void point_task(const Pointwise<T>& s, const PointTask& task, const T* w, T* sums) {
    constexpr int64_t KC = PointTile<T>::KC;
    const PointPlaces places(gemm_div_up(s.plane, Vec<T>::N), s.tiles(), task);
    for (int64_t k0 = 0; k0 < s.channels; k0 += KC)
        point_rows(s, task, places, w, k0, gemm_min(KC, s.channels - k0), sums);
}

// Tasks to claim at once: some three to eight times for each thread, as many as share out evenly. (A
// tile that somebody else goes on with was requested in vain, so not one by one.)
DL_INLINE int64_t point_grain(int64_t tasks, int64_t least, int threads) {
    const int64_t few = gemm_max(least, tasks / (8 * threads)), most = tasks / (3 * threads);
    int64_t best = few, shortest = INT64_MAX;
    for (int64_t q = few; q <= gemm_max(few, most); ++q) {
        const int64_t longest = gemm_div_up(gemm_div_up(tasks, q), threads) * q;
        if (longest < shortest) best = q, shortest = longest;
    }
    return best;
}

template <class T>
dl_status pointwise(const Pointwise<T>& s) {
    constexpr int64_t N = Vec<T>::N, V = PointTile<T>::V;
    if (s.n == 0) return DL_OK;
    T* w = static_cast<T*>(dl_scratch(size_t(s.groups * s.rows * s.channels) * sizeof(T), 0));
    if (!w) return DL_OUT_OF_MEMORY;
    point_pack(s, w);
    const int64_t tiles = s.tiles(), row_groups = s.row_groups();
    const int64_t all = s.n * s.groups * tiles;
    // Few tiles: their rows are shared out too. Speed alone depends on how.
    const int threads = dl_num_threads();
    const int64_t parts = gemm_min(row_groups, gemm_div_up(4 * threads, all));
    const int64_t work = s.rows * s.channels * V * N / parts;
    const int64_t grain = point_grain(all * parts, gemm_div_up(kGemmAlone / 4, work), threads);
    const int64_t room = s.uses_sums() ? s.rows * V * N : 1;
    const int64_t span = s.span();
    int failed = 0;
    parallel_for(all * parts, grain, [&](int64_t begin, int64_t end) {
        T* sums = static_cast<T*>(dl_scratch(size_t(room) * sizeof(T), 1));
        if (!sums) {
            __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            return;
        }
        for (int64_t i = begin, step; i < end; i += step) {
            const int64_t at = i / parts, part = i % parts, slab = at / tiles;
            PointTask task;
            step = parts > 1 ? 1 : gemm_min(span, gemm_min(end - i, tiles - at % tiles));
            task.count = step;
            task.image = slab / s.groups, task.group = slab % s.groups, task.tile = at % tiles;
            task.g0 = row_groups * part / parts, task.g1 = row_groups * (part + 1) / parts;
            point_task(s, task, w + task.group * s.rows * s.channels, sums);
        }
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

template <class T>
dl_status pointwise_forward(const dl_conv& p) {
    return pointwise(Pointwise<T>(p, false));
}
template <class T>
dl_status pointwise_backward_input(const dl_conv& p) {
    return pointwise(Pointwise<T>(p, true));
}

}  // namespace
