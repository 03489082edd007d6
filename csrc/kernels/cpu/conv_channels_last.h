// Convolution of images with channels last, as one product: rows are pixels of the result, columns are
// filters, and the sum runs over taps and, for each, channels. A patch is made of runs of memory, so
// that images are read where they lie and results written where they belong, without a copy of
// either; a pointwise product of stride 1 is a plain one of matrices that are there already.
#pragma once
#include "kernels/cpu/conv_cost.h"
#include "kernels/cpu/conv_pointwise.h"
#include "kernels/cpu/conv_sliding.h"
#include "kernels/cpu/conv_weight_gemm.h"
#include "kernels/cpu/lanes.h"

namespace {

// Taps whose pixels follow each other in memory: `taps` of them from tap `first` on.
struct LastRun {
    int64_t first, taps;
};

// A sliding product whose images and weights have the strides of channels last.
template <class T>
struct LastProduct {
    Sliding<T> s;
    int64_t src_pixel, dst_pixel;  // channels of all groups
    ConvTap* taps;                 // in the order of memory
    LastRun* runs;
    int64_t nruns;
    int64_t step_channels() const { return s.channels; }
};

// Room for the taps and runs of a product. (Scratch memory is the matrix product's.)
struct LastRoom {
    static constexpr int64_t kOnStack = 64;
    ConvTap few_taps[kOnStack];
    LastRun few_runs[kOnStack];
    ConvTap* taps = few_taps;
    LastRun* runs = few_runs;
    bool ok = true;

    explicit LastRoom(const dl_conv& p) {
        const int64_t count = conv_volume(p.kernel);
        if (count <= kOnStack) return;
        taps = static_cast<ConvTap*>(__builtin_malloc(size_t(count) * sizeof(ConvTap)));
        runs = static_cast<LastRun*>(__builtin_malloc(size_t(count) * sizeof(LastRun)));
        ok = taps && runs;
    }
    ~LastRoom() {
        if (taps != few_taps) __builtin_free(taps);
        if (runs != few_runs) __builtin_free(runs);
    }
    LastRoom(const LastRoom&) = delete;
    LastRoom& operator=(const LastRoom&) = delete;
};

template <class T>
LastProduct<T> last_product(const dl_conv& p, const Sliding<T>& s, bool backward, LastRoom* room) {
    LastProduct<T> l;
    l.s = s, l.taps = room->taps, l.runs = room->runs;
    l.src_pixel = backward ? p.k : p.c, l.dst_pixel = backward ? p.c : p.k;
    // Going back, taps come from the last one on: turned round they rise in memory.
    for (int64_t t = 0; t < s.ntaps; ++t) l.taps[t] = s.taps[backward ? s.ntaps - 1 - t : t];
    l.s.taps = l.taps;
    l.nruns = 0;
    for (int64_t t = 0; t < s.ntaps; ++t) {
        const ConvTap &tap = l.taps[t], &before = l.taps[t ? t - 1 : 0];
        const bool next = t > 0 && s.groups == 1 && tap.off[0] == before.off[0] &&
                          tap.off[1] == before.off[1] && tap.off[2] == before.off[2] + 1;
        if (next)
            ++l.runs[l.nruns - 1].taps;
        else
            l.runs[l.nruns++] = {t, 1};
    }
    return l;
}

// A pixel of the grid as coordinates: the image, and what the window's first tap is counted from.
struct LastPixel {
    int64_t image, at[3];
};
template <class T>
DL_INLINE LastPixel last_pixel(const Sliding<T>& s, int64_t j) {
    LastPixel p;
    p.at[2] = j % s.grid[2], j /= s.grid[2];
    p.at[1] = j % s.grid[1], j /= s.grid[1];
    p.at[0] = j % s.grid[0], p.image = j / s.grid[0];
    return p;
}
template <class T>
DL_INLINE void last_next(const Sliding<T>& s, LastPixel* p) {
    if (++p->at[2] < s.grid[2]) return;
    p->at[2] = 0;
    if (++p->at[1] < s.grid[1]) return;
    p->at[1] = 0;
    if (++p->at[0] < s.grid[0]) return;
    p->at[0] = 0, ++p->image;
}

// Elements [lo, hi) of a run, counted from its first tap's first channel, lie inside of the image;
// element e is at base[e].
template <class T>
struct LastReach {
    const T* base;
    int64_t lo, hi;
};
template <class T>
DL_INLINE LastReach<T> last_reach(const LastProduct<T>& l, const T* src, const LastPixel& p,
                                  const LastRun& run) {
    const Sliding<T>& s = l.s;
    const ConvTap& t = l.taps[run.first];
    const int64_t i0 = p.at[0] * s.mul[0] + t.off[0], i1 = p.at[1] * s.mul[1] + t.off[1];
    const int64_t i2 = p.at[2] * s.mul[2] + t.off[2];
    if (i0 < 0 || i0 >= s.in[0] || i1 < 0 || i1 >= s.in[1]) return {src, 0, 0};
    const int64_t pixel = ((p.image * s.in[0] + i0) * s.in[1] + i1) * s.in[2] + i2;
    return {src + pixel * l.src_pixel, i2 < 0 ? -i2 * l.src_pixel : 0,
            i2 < s.in[2] ? (s.in[2] - i2) * l.src_pixel : 0};
}

// to[0..n) = elements [e0, e0 + n) of a run, with zeros outside of the image.
template <class T>
DL_INLINE void last_copy(T* to, const LastReach<T>& r, int64_t e0, int64_t n) {
    constexpr int N = Vec<T>::N;
    const int64_t lo = gemm_min(n, gemm_max(0, r.lo - e0));
    const int64_t hi = gemm_max(lo, gemm_min(n, r.hi - e0));
    for (int64_t i = 0; i < lo; ++i) to[i] = T(0);
    const T* from = r.base + e0;
    int64_t i = lo;
    for (; i + N <= hi; i += N) vstore(to + i, vload(from + i));
    if (i < hi) vstore_n(to + i, vload_n(from + i, hi - i), hi - i);
    for (i = hi; i < n; ++i) to[i] = T(0);
}

// Rows of the product: patches of pixels `first` + w.
template <class T>
struct PackLastPixels {
    static constexpr bool prepacked = false;
    static constexpr int MR = GemmTile<T>::MR;
    const LastProduct<T>& l;
    const T* src;  // the group's first channel
    int64_t first;
    int* failed;
    T* room = nullptr;  // for rows, if they are not to come from scratch memory

    static int64_t rows_size(int64_t kc) { return MR * (kc + Vec<T>::N); }
    const T* operator()(T* buf, int64_t w0, int64_t wn, int64_t k0, int64_t kc) const {
        T* rows = room;
        if (!rows) rows = static_cast<T*>(dl_scratch(size_t(rows_size(kc)) * sizeof(T), 3));
        if (!rows) {
            __atomic_store_n(failed, 1, __ATOMIC_RELAXED);
            memset(buf, 0, size_t(gemm_round_up(wn, MR) * kc) * sizeof(T));
            return buf;
        }
        LastPixel at = last_pixel(l.s, first + w0);
        for (int64_t w = 0; w < wn; w += MR) {
            LastPixel pixels[MR];
            const int64_t count = gemm_min(MR, wn - w);
            for (int64_t i = 0; i < count; ++i, last_next(l.s, &at)) pixels[i] = at;
            sliver(buf + w * kc, pixels, count, k0, kc, rows);
        }
        return buf;
    }

 private:
    void sliver(T* to, const LastPixel* pixels, int64_t count, int64_t k0, int64_t kc,
                T* rows) const {
        const int64_t channels = l.s.channels;
        for (int64_t r = 0; r < l.nruns; ++r) {
            const LastRun& run = l.runs[r];
            const int64_t begin = run.first * channels, end = begin + run.taps * channels;
            const int64_t e0 = gemm_max(0, k0 - begin);
            const int64_t n = gemm_min(end, k0 + kc) - begin - e0;
            if (n <= 0) continue;
            part(to + (begin + e0 - k0) * MR, pixels, count, run, e0, n, rows);
        }
    }
    // Elements [e0, e0 + n) of a run. Pixels that are whole and equally far apart are packed from where
    // they lie, others by way of L1.
    void part(T* to, const LastPixel* pixels, int64_t count, const LastRun& run, int64_t e0,
              int64_t n, T* rows) const {
        LastReach<T> reach[MR];
        bool even = true;
        for (int64_t i = 0; i < count; ++i) {
            reach[i] = last_reach(l, src, pixels[i], run);
            even = even && reach[i].lo <= e0 && reach[i].hi >= e0 + n &&
                   (i < 2 || reach[i].base - reach[i - 1].base == reach[1].base - reach[0].base);
        }
        if (even) {
            const int64_t step = count > 1 ? reach[1].base - reach[0].base : 1;
            return pack_sliver<T, MR>(to, reach[0].base + e0, count, step, n, 1);
        }
        const int64_t ld = gemm_round_up(n, Vec<T>::N);
        for (int64_t i = 0; i < count; ++i) last_copy(rows + i * ld, reach[i], e0, n);
        pack_sliver<T, MR>(to, rows, count, ld, n, 1);
    }
};

// Columns of the product: filters, tap by tap.
template <class T>
struct PackLastFilters {
    static constexpr bool prepacked = false;
    static constexpr int NR = GemmTile<T>::NR;
    const LastProduct<T>& l;
    const T* w;  // of the group
    const T* operator()(T* buf, int64_t w0, int64_t wn, int64_t k0, int64_t kc) const {
        for (int64_t j = 0; j < wn; j += NR)
            for (int64_t k = k0; k < k0 + kc;) {
                const int64_t tap = k / l.s.channels, c = k % l.s.channels;
                const int64_t n = gemm_min(l.s.channels - c, k0 + kc - k);
                const T* from =
                    w + (w0 + j) * l.s.w_row + l.taps[tap].w * l.s.w_tap + c * l.s.w_channel;
                pack_sliver<T, NR>(buf + j * kc + (k - k0) * NR, from, gemm_min(NR, wn - j),
                                   l.s.w_row, n, l.s.w_channel);
                k += n;
            }
        return buf;
    }
};

// Results of a residue lie apart from each other: blocks of pixels are summed in cache, then brought
// to their places.
template <class T>
bool last_scattered(const LastProduct<T>& l, const PackLastPixels<T>& pixels,
                    const PackLastFilters<T>& filters, const T* bias, T* dst) {
    const Sliding<T>& s = l.s;
    const int64_t m = s.columns(), n = s.rows, k = s.steps();
    constexpr int MR = GemmTile<T>::MR;
    T* packed =
        static_cast<T*>(dl_scratch(size_t(packed_size<GemmTile<T>::NR>(n, k)) * sizeof(T), 1));
    if (!packed) return false;
    const auto b = pack_all<T, GemmTile<T>::NR>(packed, filters, 0, n, k, dl_num_threads());
    const int64_t block = gemm_max(MR, gemm_min(GemmTile<T>::MC, 65536 / n / MR * MR));
    int failed = 0;
    parallel_for(gemm_div_up(m, block), 1, [&](int64_t begin, int64_t end) {
        // Not the slot of the taps, which other residues still need.
        T* sums = static_cast<T*>(
            dl_scratch(size_t(block * n + pixels.rows_size(gemm_kc<T>(k))) * sizeof(T), 3));
        if (!sums) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        for (int64_t i = begin; i < end; ++i) {
            const int64_t count = gemm_min(block, m - i * block);
            PackLastPixels<T> a = pixels;
            a.first = i * block, a.room = sums + block * n;
            GemmOut<T> out{sums, n, 1};
            out.bias = bias, out.bias_cs = 1;
            if (!gemm_rect(a, b, out, GemmRect<T>{0, count, 0, n, 0, k, gemm_kc<T>(k)}))
                return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            LastPixel at = last_pixel(s, i * block);
            for (int64_t r = 0; r < count; ++r, last_next(s, &at)) {
                int64_t to = at.image;
                for (int d = 0; d < 3; ++d)
                    to = to * s.out[d] + at.at[d] * s.out_mul[d] + s.out_base[d];
                memcpy(dst + to * l.dst_pixel, sums + r * n, size_t(n) * sizeof(T));
            }
        }
    });
    return !failed;
}

// No tap meets the grid: bias, or zeros, for all pixels of a residue.
template <class T>
void last_empty(const LastProduct<T>& l) {
    const Sliding<T>& s = l.s;
    parallel_for(s.columns(), 65536 / (l.dst_pixel + 1) + 1, [&](int64_t begin, int64_t end) {
        LastPixel at = last_pixel(s, begin);
        for (int64_t j = begin; j < end; ++j, last_next(s, &at)) {
            int64_t to = at.image;
            for (int d = 0; d < 3; ++d)
                to = to * s.out[d] + at.at[d] * s.out_mul[d] + s.out_base[d];
            for (int64_t c = 0; c < l.dst_pixel; ++c)
                s.dst[to * l.dst_pixel + c] = s.bias ? s.bias[c] : T(0);
        }
    });
}

// Finishes `pixels` pixels of `count` channels in place, from `channel` on, which a cache still holds.
template <class T>
void last_finish(const ConvFinish<T>& f, int64_t channel, T* c, int64_t c_pixel, int64_t pixels,
                 int64_t count) {
    constexpr int N = Vec<T>::N;
    for (int64_t k = 0; k < count; k += N) {
        const int64_t n = gemm_min(N, count - k);
        typename Vec<T>::type scale{}, shift{};
        if (f.scale)
            scale = vload_n(f.scale + channel + k, n), shift = vload_n(f.shift + channel + k, n);
        for (int64_t i = 0; i < pixels; ++i) {
            T* to = c + i * c_pixel + k;
            vstore_lanes(to, conv_finished(f, vload_lanes(to, n), scale, shift, to, n), n);
        }
    }
}

// Forward with a finish: a block of pixels is multiplied by all filters, and finished while L2 has it.
template <class T, class P>
bool last_finished_product(const LastProduct<T>& l, int64_t group, const P& pixels,
                           const PackLastFilters<T>& filters, const GemmOut<T>& out) {
    const Sliding<T>& s = l.s;
    constexpr int MR = GemmTile<T>::MR, NR = GemmTile<T>::NR;
    const int64_t m = s.columns(), n = s.rows, k = s.steps();
    T* packed = static_cast<T*>(dl_scratch(size_t(packed_size<NR>(n, k)) * sizeof(T), 1));
    if (!packed) return false;
    const int threads = dl_num_threads();
    const auto b = pack_all<T, NR>(packed, filters, 0, n, k, threads);
    // Few pixels: threads share out filters as well.
    const int64_t rows = gemm_share(m, GemmTile<T>::MC, MR, n * k, threads);
    const int64_t row_blocks = gemm_div_up(m, rows);
    const int64_t columns =
        row_blocks >= 4 * threads ? n : gemm_round_up(gemm_div_up(n, 4 * threads), NR);
    const int64_t column_blocks = gemm_div_up(n, columns);
    int failed = 0;
    parallel_for(row_blocks * column_blocks, 1, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
            const int64_t i0 = t / column_blocks * rows, i1 = gemm_min(m, i0 + rows);
            const int64_t j0 = t % column_blocks * columns, j1 = gemm_min(n, j0 + columns);
            if (!gemm_rect(pixels, b, out, GemmRect<T>{i0, i1, j0, j1, 0, k, gemm_kc<T>(k)}))
                return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            last_finish(s.finish, group * n + j0, out.c + i0 * l.dst_pixel + j0, l.dst_pixel,
                        i1 - i0, j1 - j0);
        }
    });
    return !failed;
}

template <class T>
dl_status last_sliding(const dl_conv& p, const Sliding<T>& sliding, bool backward, LastRoom* room) {
    const LastProduct<T> l = last_product(p, sliding, backward, room);
    const Sliding<T>& s = l.s;
    if (s.columns() == 0 || s.rows == 0) return DL_OK;
    if (s.steps() == 0) return last_empty(l), DL_OK;
    bool together = true;  // the grid is the whole result, in its order
    for (int d = 0; d < 3; ++d) together = together && s.out_mul[d] == 1;
    int failed = 0;
    for (int64_t g = 0; g < s.groups; ++g) {
        const T* src = s.src + g * s.channels;
        const PackLastPixels<T> pixels{l, src, 0, &failed};
        const PackLastFilters<T> filters{l, s.w + g * s.w_group};
        const T* bias = s.bias ? s.bias + g * s.rows : nullptr;
        T* dst = s.dst + g * s.rows;
        GemmOut<T> out{dst, l.dst_pixel, 1};
        out.bias = bias, out.bias_cs = 1;
        const PackStridedA<T> flat{src, l.src_pixel, 1};
        bool done;
        if (s.finish.on)
            done = is_pointwise(p) ? last_finished_product(l, g, flat, filters, out)
                                   : last_finished_product(l, g, pixels, filters, out);
        else if (is_pointwise(p))
            done = gemm_packed<T>(s.columns(), s.rows, s.channels, flat, filters, out,
                                  dl_num_threads());
        else if (together)
            done = gemm_packed<T>(s.columns(), s.rows, s.steps(), pixels, filters, out,
                                  dl_num_threads());
        else
            done = last_scattered(l, pixels, filters, bias, dst);
        if (!done) failed = 1;
    }
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

template <class T>
dl_status last_forward(const dl_conv& p) {
    LastRoom room(p);
    ConvTap* taps = taps_for(p);
    if (!room.ok || !taps) return DL_OUT_OF_MEMORY;
    return last_sliding(p, sliding_forward<T>(p, taps), false, &room);
}

template <class T>
dl_status last_backward_input(const dl_conv& p) {
    LastRoom room(p);
    if (!room.ok) return DL_OUT_OF_MEMORY;
    return each_residue<T>(p, [&](const Sliding<T>& s) { return last_sliding(p, s, true, &room); });
}

// ---- the gradient of the weights ----------------------------------------------------------------

// Columns of patches, ordered tap by tap; the sum runs over pixels.
template <class T>
struct PackLastPatches {
    static constexpr bool prepacked = false;
    static constexpr int NR = GemmTile<T>::NR;
    const LastProduct<T>& l;
    const T* src;

    const T* operator()(T* buf, int64_t w0, int64_t wn, int64_t k0, int64_t kc) const {
        for (int64_t w = 0; w < wn; w += NR) {
            const int64_t count = gemm_min(NR, wn - w);
            T* to = buf + w * kc;
            if (count < NR) memset(to, 0, size_t(NR * kc) * sizeof(T));
            for (int64_t r = 0; r < l.nruns; ++r) {
                const LastRun& run = l.runs[r];
                const int64_t begin = run.first * l.s.channels;
                const int64_t e0 = gemm_max(0, w0 + w - begin);
                const int64_t n = gemm_min(run.taps * l.s.channels, w0 + w + count - begin) - e0;
                if (n > 0) columns(to + begin + e0 - w0 - w, run, e0, n, k0, kc);
            }
        }
        return buf;
    }

 private:
    void columns(T* to, const LastRun& run, int64_t e0, int64_t n, int64_t k0, int64_t kc) const {
        constexpr int N = Vec<T>::N;
        LastPixel at = last_pixel(l.s, k0);
        for (int64_t j = 0; j < kc; ++j, to += NR, last_next(l.s, &at)) {
            const LastReach<T> reach = last_reach(l, src, at, run);
            if (n == NR && reach.lo <= e0 && reach.hi >= e0 + NR) {
#pragma GCC unroll 4
                for (int v = 0; v < NR; v += N) vstore(to + v, vload(reach.base + e0 + v));
            } else {
                last_copy(to, reach, e0, n);
            }
        }
    }
};

template <class T>
dl_status last_weight(const dl_conv& p) {
    LastRoom room(p);
    ConvTap* taps = taps_for(p);
    if (!room.ok || !taps) return DL_OUT_OF_MEMORY;
    const LastProduct<T> l = last_product(p, sliding_forward<T>(p, taps), false, &room);
    const Sliding<T>& s = l.s;
    const int64_t length = s.channels * s.ntaps, steps = s.columns();
    T* dw = static_cast<T*>(p.w);
    if (s.rows == 0 || length == 0) return DL_OK;
    if (steps == 0) return memset(dw, 0, size_t(p.k * length) * sizeof(T)), DL_OK;
    int failed = 0;
    for (int64_t g = 0; g < s.groups; ++g) {
        const PackStridedA<T> dy{static_cast<const T*>(p.y) + g * s.rows, 1, p.k};
        const T* src = s.src + g * s.channels;
        const GemmOut<T> out{dw + g * s.rows * length, length, 1};
        const int threads = dl_num_threads();
        const bool done = is_pointwise(p)
                              ? gemm_packed<T>(s.rows, length, steps, dy,
                                               PackStridedB<T>{src, 1, p.c}, out, threads)
                              : gemm_packed<T>(s.rows, length, steps, dy,
                                               PackLastPatches<T>{l, src}, out, threads);
        if (!done || (!p.w_channels_last && !reorder_weights(out.c, s.rows, s.channels, s.ntaps)))
            failed = 1;
    }
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

// ---- what it costs -----------------------------------------------------------------------------

// Reading and writing everything once: by L3, and what it cannot hold by memory.
inline double last_traffic(const dl_conv& p) {
    const double bytes = (conv_x_size(p) + conv_y_size(p) + conv_w_size(p)) * conv_element(p);
    return bytes / 120e9 + __builtin_fmax(0.0, bytes - 32e6) / 20e9;
}

// Products, patches laid out in slivers, images and weights read and results written.
template <dl_conv_pass pass>
double last_gemm_seconds(const dl_conv& p) {
    const double groups = double(p.groups), k = double(p.k / p.groups), c = double(p.c / p.groups);
    const double taps = double(conv_volume(p.kernel)),
                 tile = DL_GEMM_NV * DL_VEC_BYTES / conv_element(p);
    const double pixels =
        double(p.n) * double(conv_volume(pass == DL_CONV_BACKWARD_INPUT ? p.in : p.out));
    const double steps =
        taps * (pass == DL_CONV_BACKWARD_INPUT ? k / double(conv_volume(p.stride)) : c);
    const double columns = pass == DL_CONV_BACKWARD_INPUT    ? c
                           : pass == DL_CONV_BACKWARD_WEIGHT ? taps * c
                                                             : k;
    const double padded = __builtin_ceil(columns / tile) * tile;
    const double other = pass == DL_CONV_BACKWARD_WEIGHT ? k : steps;
    if (pass == DL_CONV_BACKWARD_WEIGHT)
        return groups * (pixels * padded * other / (0.85 * conv_peak(p)) +
                         pixels * (padded * 0.15 + k * 0.2) * kConvCycle + 2e-6) +
               conv_traffic(p) / 1.5;
    // Runs of a pixel begin anew for each row of the kernel.
    const double runs =
        double(p.kernel[0] * p.kernel[1]) * (p.dilation[2] > 1 ? double(p.kernel[2]) : 1);
    const double packing =
        is_pointwise(p) ? pixels * steps * 0.25 : pixels * (steps * 0.4 + runs * 14);
    return groups * (pixels * padded * other / (0.9 * conv_peak(p)) + packing * kConvCycle + 2e-6) +
           last_traffic(p);
}

}  // namespace
