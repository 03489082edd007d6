// The gradient of the weights without patches: under one tap, the inputs of neighbouring outputs are
// neighbours in their row (or lie a stride apart), so
//
//   dw[k, c, tap] = sum over rows, over o in [lo, hi) of the row:  x[c, row, o * stride + off] * dy[k, o]
//
// is a product whose left factor is read where it lies, one broadcast for each of some channels, and
// whose right factor is dy, transposed once so that filters are lanes. What lies in the padding is
// left out rather than multiplied by zero. A pointwise product is symmetric, so there the two may change
// places: x is transposed and dy read where it lies ("turned").
#pragma once
#include "kernels/cpu/conv_sliding.h"
#include "kernels/cpu/conv_weight_gemm.h"
#include "kernels/cpu/conv_weight_store.h"
#include "kernels/cpu/static_size.h"

namespace {

// A run of outputs of one row: `len` inputs from x + at on, and rows of dy from number `step` on.
struct WeightRun {
    int64_t at, step, len;
};

// sums[R channels][V vectors of filters] = x @ dy over the runs (+ sums when add). Channels lie
// `plane` apart in x and ld in sums, inputs of a run mul, rows of dy V vectors.
template <class T, int R, int V>
void weight_micro(const WeightRun* run, const WeightRun* end, int64_t mul, const T* x,
                  int64_t plane, const T* dy, T* sums, int64_t ld, bool add) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N, P = (R + 2) / 3;  // three channels to a pointer
    vec acc[R][V];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) acc[i][v] = vec{};
    for (; run < end; ++run) {
        const T *from[P], *row = dy + run->step * V * N;
#pragma GCC unroll 5
        for (int p = 0; p < P; ++p) from[p] = x + run->at + 3 * p * plane;
        for (int64_t l = run->len; l > 0; --l, row += V * N) {
            vec g[V];
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) {
                __builtin_prefetch(row + (8 * V + v) * N);
                g[v] = vload(row + v * N);
            }
#pragma GCC unroll 16
            for (int i = 0; i < R; ++i) {
                const vec xi = vset1(from[i / 3][i % 3 * plane]);
#pragma GCC unroll 2
                for (int v = 0; v < V; ++v) acc[i][v] += xi * g[v];
            }
#pragma GCC unroll 5
            for (int p = 0; p < P; ++p) from[p] += mul;
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) {
            T* to = sums + i * ld + v * N;
            vstore(to, add ? vload(to) + acc[i][v] : acc[i][v]);
        }
}

template <class T>
using WeightMicro = void (*)(const WeightRun*, const WeightRun*, int64_t, const T*, int64_t,
                             const T*, T*, int64_t, bool);
template <class T, int V>
WeightMicro<T> weight_micro_of(int64_t channels) {
    return with_size<GemmTile<T>::MR>(
        channels, [](auto r) -> WeightMicro<T> { return weight_micro<T, decltype(r)::value, V>; });
}

// The runs of outputs [k0, k0 + kc) under a tap, outputs of all images counted; their number.
template <class T>
int64_t weight_runs(const Sliding<T>& s, const ConvTap& t, int64_t k0, int64_t kc, WeightRun* to) {
    int64_t count = 0;
    int64_t o[3] = {k0 / s.grid[2] / s.grid[1] % s.grid[0], k0 / s.grid[2] % s.grid[1],
                    k0 % s.grid[2]};
    int64_t n = k0 / s.positions();
    for (int64_t k = 0, len; k < kc; k += len, o[2] = 0) {
        len = gemm_min(s.grid[2] - o[2], kc - k);
        const int64_t lo = gemm_max(o[2], t.lo[2]), hi = gemm_min(o[2] + len, t.hi[2]);
        if (lo < hi && o[0] >= t.lo[0] && o[0] < t.hi[0] && o[1] >= t.lo[1] && o[1] < t.hi[1]) {
            const int64_t row = (o[0] * s.mul[0] + t.off[0]) * s.in[1] + o[1] * s.mul[1] + t.off[1];
            const int64_t at = n * s.src_image + row * s.in[2] + lo * s.mul[2] + t.off[2];
            const int64_t step = k + lo - o[2];
            WeightRun* last = to + count - 1;  // rows that follow each other become one run
            if (count > 0 && last->at + last->len * s.mul[2] == at &&
                last->step + last->len == step)
                last->len += hi - lo;
            else
                to[count++] = {at, step, hi - lo};
        }
        if (++o[1] == s.grid[1]) {
            o[1] = 0;
            if (++o[0] == s.grid[0]) o[0] = 0, ++n;
        }
    }
    return count;
}

// Some channels and some filters of a group, all taps.
struct WeightPart {
    int64_t group, c0, c1, f0, f1;  // f0: a multiple of the sliver's width
};

// V: vectors of filters in a sliver of dy.
template <class T, int V>
struct WeightRows {
    static constexpr int W = V * Vec<T>::N;
    const Sliding<T>& s;  // the forward product, of some images
    const T* dy;          // packed: group by group, blocks of outputs, slivers of W filters
    int64_t filters;      // of a group, filled up to slivers
    bool turned;          // filters are channels, and channels filters

    // A block of dy stays in L2 while `tiles` tiles of channels are multiplied by it.
    bool run(const WeightPart& p, int64_t tiles, T* dw, bool add) const {
        const int64_t steps = s.columns(), kc = gemm_kc<T>(steps), count = p.c1 - p.c0;
        const int64_t rows = count * s.ntaps, ld = gemm_round_up(p.f1 - p.f0, W);
        T* sums = static_cast<T*>(dl_scratch(size_t(rows * ld) * sizeof(T), 1));
        const size_t most = size_t(s.ntaps * kc);
        char* memory = static_cast<char*>(
            dl_scratch(most * sizeof(WeightRun) + size_t(s.ntaps + 1) * sizeof(int64_t), 3));
        if (!sums || !memory) return false;
        auto* runs = reinterpret_cast<WeightRun*>(memory);
        auto* first = reinterpret_cast<int64_t*>(runs + most);
        const T* x = s.src + (p.group * s.channels + p.c0) * s.src_plane;
        for (int64_t k = 0; k < steps; k += kc) {
            const int64_t kn = gemm_min(kc, steps - k);
            first[0] = 0;
            for (int64_t t = 0; t < s.ntaps; ++t)
                first[t + 1] = first[t] + weight_runs(s, s.taps[t], k, kn, runs + first[t]);
            const T* block = dy + p.group * filters * steps + k * filters;
            for (int64_t i = 0; i < tiles; ++i) {
                const int64_t c = i * count / tiles, cn = (i + 1) * count / tiles - c;
                const auto micro = weight_micro_of<T, V>(cn);
                for (int64_t f = p.f0; f < p.f1; f += W)
                    for (int64_t t = 0; t < s.ntaps; ++t)
                        micro(runs + first[t], runs + first[t + 1], s.mul[2], x + c * s.src_plane,
                              s.src_plane, block + f * kn, sums + (c * s.ntaps + t) * ld + f - p.f0,
                              s.ntaps * ld, k > 0);
            }
        }
        const int64_t length = s.channels * s.ntaps, end = gemm_min(p.f1, s.rows);
        const WeightSums<T> all{sums, ld, rows, end - p.f0, 1, 0, add};
        if (turned)  // [channel][filter] as it is
            all.store(dw + (p.group * s.channels + p.c0) * s.rows + p.f0, s.rows);
        else  // [channel, tap][filter] -> [filter][channel, tap]
            all.store_turned(dw + (p.group * s.rows + p.f0) * length + p.c0 * s.ntaps, length);
        return true;
    }
};

// How the result is cut into tasks.
struct WeightCut {
    int64_t tiles;    // of channels
    int64_t each;     // tiles of a task
    int64_t filters;  // parts of the filters
};
template <class T>
WeightCut weight_cut(const Sliding<T>& s, int64_t slivers, int threads) {
    int64_t tiles = gemm_div_up(s.channels, GemmTile<T>::MR);
    // Few tiles are as many as the threads share evenly; many go together, as long as their sums stay
    // small, so that dy comes from L3 once for all of them.
    if (s.groups == 1 && tiles < 16 * threads)
        tiles = gemm_min(s.channels, gemm_round_up(tiles, threads));
    const int64_t each =
        s.ntaps > 1 ? 1 : gemm_max(1, gemm_min(4, s.groups * tiles / (4 * threads)));
    const int64_t want = gemm_div_up(4 * threads, s.groups * gemm_div_up(tiles, each));
    return {tiles, each, gemm_min(slivers, want)};
}

template <class T, int V>
dl_status weight_rows_of(const dl_conv& p, Sliding<T> s, bool turned) {
    typedef GemmTile<T> Tile;
    constexpr int W = V * Vec<T>::N;
    const int64_t plane = s.positions(), images = s.n, filters = gemm_round_up(s.rows, W);
    const int64_t span =  // images at a time
        gemm_min(images, gemm_max(1, Tile::SHARED / (s.groups * filters * plane)));
    // Channels are spread evenly over tiles, and these over tasks; filters are cut where that makes too
    // few of them. Speed alone depends on how.
    const int threads = dl_num_threads();
    const WeightCut cut = weight_cut<T>(s, filters / W, threads);
    const int64_t part = gemm_div_up(filters / W, cut.filters) * W;
    const int64_t fparts = gemm_div_up(filters, part), tasks = gemm_div_up(cut.tiles, cut.each);
    T* dy = static_cast<T*>(dl_scratch(size_t(s.groups * filters * span * plane) * sizeof(T), 0));
    if (!dy) return DL_OUT_OF_MEMORY;
    const T *x = s.src, *y = static_cast<const T*>(p.y);
    int failed = 0;
    for (int64_t n = 0; n < images; n += span) {
        s.n = gemm_min(span, images - n), s.src = x + n * s.src_image;
        const int64_t steps = s.columns();
        for (int64_t g = 0; g < s.groups; ++g)
            pack_all<T, W>(
                dy + g * filters * steps,
                PackChannels<T, W>{y + (n * p.k + g * s.rows) * plane, plane, p.k * plane}, 0,
                s.rows, steps, threads);
        const WeightRows<T, V> product{s, dy, filters, turned};
        parallel_for(s.groups * tasks * fparts, 1, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                const int64_t f = i % fparts * part, task = i / fparts % tasks;
                const int64_t t0 = task * cut.tiles / tasks, t1 = (task + 1) * cut.tiles / tasks;
                const WeightPart q{i / fparts / tasks, t0 * s.channels / cut.tiles,
                                   t1 * s.channels / cut.tiles, f, gemm_min(filters, f + part)};
                if (!product.run(q, t1 - t0, static_cast<T*>(p.w), n > 0))
                    __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            }
        });
    }
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

template <class T>
dl_status weight_rows(const dl_conv& p, const Sliding<T>& s) {
    if (s.rows == 0 || s.channels * s.ntaps == 0) return DL_OK;
    if (s.columns() == 0) {
        memset(p.w, 0, size_t(p.k * s.channels * s.ntaps) * sizeof(T));
        return DL_OK;
    }
    return s.rows <= Vec<T>::N ? weight_rows_of<T, 1>(p, s, false)
                               : weight_rows_of<T, 2>(p, s, false);
}

// The same with x and dy exchanged.
DL_INLINE dl_conv weight_turned(const dl_conv& p) {
    dl_conv q = p;
    q.x = p.y, q.y = p.x, q.c = p.k, q.k = p.c;
    return q;
}
template <class T>
dl_status weight_rows_turned(const dl_conv& p, const Sliding<T>&) {
    const dl_conv q = weight_turned(p);
    ConvTap tap;
    const Sliding<T> s = sliding_forward<T>(q, &tap);
    if (s.columns() == 0) {
        memset(p.w, 0, size_t(p.k * s.rows) * sizeof(T));
        return DL_OK;
    }
    return s.rows <= Vec<T>::N ? weight_rows_of<T, 1>(q, s, true)
                               : weight_rows_of<T, 2>(q, s, true);
}

}  // namespace
