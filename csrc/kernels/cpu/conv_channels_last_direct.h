// Convolution of images with channels last without laying out patches. The inputs that neighbouring
// pixels of the result read lie a fixed distance apart, so a tile of pixels is multiplied by
// broadcasting from where they lie, run by run; vectors are filters. Rows that reach into the padding
// are copied once, with zeros, for a block of pixels; others are read in the image itself.
//
// The gradient of the weights is the outer product of the same two: elements of a run are broadcast,
// vectors of filters come from dy, and neither is turned or packed.
//
// This pays where packing costs as much as what is done with it: few filters, few channels. With many
// channels packed slivers are better, for pixels some kilobytes apart fall on each other in L1.
#pragma once
#include "kernels/cpu/conv_channels_last.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/static_size.h"

namespace {

constexpr int64_t kLastRuns = 128;  // taps of a kernel, at most

// A stretch of memory that a pixel of the result reads: from its first input on.
struct LastStretch {
    int64_t at, length;
};

// Pixels [x0, x1) of rows [y0, y1) of an image's result, and where the inputs of the first one are.
template <class T>
struct LastBlock {
    int64_t image, y0, y1, x0, x1;
    const T* src;
};

// How the inputs of a product lie, and how its result is cut into blocks.
template <class T>
struct LastField {
    const Sliding<T>& s;
    bool in_place;
    int64_t least[2], reach[2];
    int64_t pixel, row;             // from one input to the next, in a row and across
    int64_t images, rows, columns;  // of the result; all of it one row where nothing is in between
    int64_t block_rows, block_columns;
    int64_t nruns;
    LastStretch runs[kLastRuns];

    // taps: in the order of memory; pixels: of a block, at most.
    LastField(const Sliding<T>& sliding, const ConvTap* taps, int64_t pixels) : s(sliding) {
        in_place = true;
        for (int d = 0; d < 2; ++d) {
            int64_t most = least[d] = taps[0].off[d + 1];
            for (int64_t t = 0; t < s.ntaps; ++t) {
                const ConvTap& tap = taps[t];
                least[d] = gemm_min(least[d], tap.off[d + 1]);
                most = gemm_max(most, tap.off[d + 1]);
                in_place = in_place && tap.lo[d + 1] == 0 && tap.hi[d + 1] == s.grid[d + 1];
            }
            reach[d] = most - least[d];
        }
        images = s.n, rows = s.grid[1], columns = s.grid[2];
        const bool plane = in_place && s.in[1] == rows && s.in[2] == columns && s.mul[1] == 1 &&
                           s.mul[2] == 1 && s.out_mul[1] == 1 && s.out_mul[2] == 1;
        if (plane) columns *= images * rows, images = rows = 1;
        const int64_t pieces = gemm_div_up(columns, pixels);
        block_columns = gemm_div_up(columns, pieces);
        block_rows = gemm_max(1, gemm_min(rows, pixels / block_columns));
        block_rows = gemm_div_up(rows, gemm_div_up(rows, block_rows));
        pixel = in_place ? s.src_pixel : s.channels;
        row = in_place ? s.in[2] * pixel : width() * pixel;
        list_runs(taps);
    }
    int64_t width() const { return (block_columns - 1) * s.mul[2] + reach[1] + 1; }
    int64_t height() const { return (block_rows - 1) * s.mul[1] + reach[0] + 1; }
    int64_t copy_size() const { return in_place ? 0 : height() * row; }
    int64_t row_blocks() const { return gemm_div_up(rows, block_rows); }
    int64_t column_blocks() const { return gemm_div_up(columns, block_columns); }
    int64_t blocks() const { return images * row_blocks() * column_blocks(); }
    // Of a pixel to its right neighbour's, and to the one below.
    int64_t across() const { return s.mul[2] * pixel; }
    int64_t down() const { return s.mul[1] * row; }
    // copy: room for copy_size().
    LastBlock<T> block(int64_t i, int64_t group, T* copy) const {
        LastBlock<T> b;
        const int64_t x = i % column_blocks(), y = i / column_blocks() % row_blocks();
        b.image = i / column_blocks() / row_blocks();
        b.y0 = y * block_rows, b.y1 = gemm_min(rows, b.y0 + block_rows);
        b.x0 = x * block_columns, b.x1 = gemm_min(columns, b.x0 + block_columns);
        const T* image = s.src + b.image * s.src_image + group * s.channels;
        const int64_t i1 = b.y0 * s.mul[1] + least[0], i2 = b.x0 * s.mul[2] + least[1];
        b.src = in_place ? image + (i1 * s.in[2] + i2) * pixel : copy;
        if (!in_place) fill(b, image, i1, i2, copy);
        return b;
    }
    // Where the result of pixel (y, x) goes.
    T* place(const LastBlock<T>& b, int64_t group, int64_t y, int64_t x) const {
        const int64_t row_of = y * s.out_mul[1] + s.out_base[1];
        return s.dst + b.image * s.dst_image + group * s.rows +
               (row_of * s.out[2] + x * s.out_mul[2] + s.out_base[2]) * s.dst_pixel;
    }

 private:
    void list_runs(const ConvTap* taps) {
        nruns = 0;
        for (int64_t t = 0; t < s.ntaps; ++t) {
            const int64_t at =
                (taps[t].off[1] - least[0]) * row + (taps[t].off[2] - least[1]) * pixel;
            LastStretch* before = nruns ? &runs[nruns - 1] : nullptr;
            if (before && before->at + before->length == at)
                before->length += s.channels;
            else
                runs[nruns++] = {at, s.channels};
        }
    }
    void fill(const LastBlock<T>& b, const T* image, int64_t i1, int64_t i2, T* copy) const {
        const int64_t h = (b.y1 - b.y0 - 1) * s.mul[1] + reach[0] + 1;
        const int64_t w = (b.x1 - b.x0 - 1) * s.mul[2] + reach[1] + 1;
        const int64_t lo = gemm_min(w, gemm_max(0, -i2)),
                      hi = gemm_max(lo, gemm_min(w, s.in[2] - i2));
        for (int64_t y = i1; y < i1 + h; ++y, copy += row) {
            if (y < 0 || y >= s.in[1]) {
                memset(copy, 0, size_t(w * pixel) * sizeof(T));
                continue;
            }
            memset(copy, 0, size_t(lo * pixel) * sizeof(T));
            memset(copy + hi * pixel, 0, size_t((w - hi) * pixel) * sizeof(T));
            const T* from = image + (y * s.in[2] + i2) * s.src_pixel;
            if (pixel == s.src_pixel) {
                memcpy(copy + lo * pixel, from + lo * pixel, size_t((hi - lo) * pixel) * sizeof(T));
                continue;
            }
            for (int64_t x = lo; x < hi; ++x)
                memcpy(copy + x * pixel, from + x * s.src_pixel, size_t(pixel) * sizeof(T));
        }
    }
};

// What a call of the micro-kernel works on: a tile of pixels and a sliver of filters.
template <class T>
struct LastTile {
    const LastStretch *runs, *end;
    const T* a;             // the first pixel's inputs
    int64_t across;         // to the next one's
    int64_t ahead;          // to the inputs that are wanted next, asked for on the way; or 0
    const T* b;             // packed filters
    T* c;                   // the first pixel's results
    int64_t c_pixel, lead;  // lead: to the lines that results go to next, asked for early
    int64_t lanes;          // of the last vector of filters
    bool add;
    const T *bias, *scale, *shift;  // of these filters, or null
    const ConvFinish<T>* finish;    // one that cuts, or null
};

template <class T, int R, int V>
void last_direct_micro(const LastTile<T>& t) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N, NR = GemmTile<T>::NR;
    vec acc[R][V];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) acc[r][v] = vec{};
    const int64_t step = t.across;
    const T* b = t.b;
    if (t.lead)
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) __builtin_prefetch(t.c + t.lead + r * t.c_pixel + v * N, 1);
    for (const LastStretch* run = t.runs; run < t.end; ++run) {
        const T *a = t.a + run->at, *last = a + run->length;
        while (a < last) {
            const T* stop = a + gemm_min(N, last - a);
            if (t.ahead)
                for (int r = 0; r < R; ++r) __builtin_prefetch(a + r * step + t.ahead);
            for (; a < stop; ++a, b += NR) {
                vec bv[V];
#pragma GCC unroll 4
                for (int v = 0; v < V; ++v) bv[v] = vload(b + v * N);
#pragma GCC unroll 16
                for (int r = 0; r < R; ++r) {
                    const vec av = vset1(a[r * step]);
#pragma GCC unroll 4
                    for (int v = 0; v < V; ++v) acc[r][v] += av * bv[v];
                }
            }
        }
    }
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
        const int64_t n = v == V - 1 ? t.lanes : N;
        const vec bias = t.bias ? vload_lanes(t.bias + v * N, n) : vec{};
        const vec scale = t.scale ? vload_lanes(t.scale + v * N, n) : vset1(T(1));
        const vec shift = t.scale ? vload_lanes(t.shift + v * N, n) : vec{};
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
            T* to = t.c + r * t.c_pixel + v * N;
            vec y = acc[r][v] + bias;
            if (t.add) y += vload_lanes(to, n);
            if (t.finish) {
                y = y * scale + shift;
                if (t.finish->residual) y += vload_lanes(t.finish->residual_of(to), n);
                y = vmin(vset1(t.finish->high), vmax(vset1(t.finish->low), y));  // NaN stays
            }
            vstore_lanes(to, y, n);
        }
    }
}

template <class T>
using LastMicro = void (*)(const LastTile<T>&);

template <class T>
LastMicro<T> last_direct_micro_of(int64_t pixels, bool narrow) {
    return with_size<GemmTile<T>::MR>(pixels, [&](auto r) -> LastMicro<T> {
        constexpr int R = decltype(r)::value;
        return narrow ? last_direct_micro<T, R, 1> : last_direct_micro<T, R, GemmTile<T>::NV>;
    });
}

template <class T>
struct LastDirect {
    static constexpr int64_t MR = GemmTile<T>::MR, NR = GemmTile<T>::NR, N = Vec<T>::N;
    const Sliding<T>& s;
    const LastField<T>& field;
    int64_t group;
    Prepacked<T, GemmTile<T>::NR> weights;

    // Steps [k0, k0 + kc) of the sum as stretches; their number.
    int64_t cut_runs(int64_t k0, int64_t kc, LastStretch* to) const {
        int64_t count = 0, at = 0;
        for (int64_t i = 0; i < field.nruns; at += field.runs[i++].length) {
            const int64_t lo = gemm_max(k0, at), hi = gemm_min(k0 + kc, at + field.runs[i].length);
            if (lo < hi) to[count++] = {field.runs[i].at + lo - at, hi - lo};
        }
        return count;
    }
    // Filters that stay in L1 all meet a tile of pixels before the next one, so that results are
    // written in longer stretches; of more than that a sliver meets all pixels.
    bool tile_by_tile() const {
        constexpr int64_t kFirstCache = 24 << 10;
        return gemm_round_up(s.rows, NR) * s.steps() * int64_t(sizeof(T)) <= kFirstCache;
    }
    void block(const LastBlock<T>& b) const {
        const int64_t steps = s.steps(), kc = gemm_kc<T>(steps);
        const int64_t width = b.x1 - b.x0, tiles = gemm_div_up(width, MR);
        LastStretch runs[kLastRuns];
        for (int64_t k = 0; k < steps; k += kc) {
            const int64_t kn = gemm_min(kc, steps - k), count = cut_runs(k, kn, runs);
            const Part part{k, kn, runs, runs + count};
            if (tile_by_tile()) {
                for (int64_t y = b.y0; y < b.y1; ++y)
                    for (int64_t i = 0; i < tiles; ++i)
                        for (int64_t j = 0; j < s.rows; j += NR) tile(b, part, j, y, i, tiles);
                continue;
            }
            for (int64_t j = 0; j < s.rows; j += NR)
                for (int64_t y = b.y0; y < b.y1; ++y)
                    for (int64_t i = 0; i < tiles; ++i) tile(b, part, j, y, i, tiles);
        }
    }

 private:
    struct Part {  // of the sum
        int64_t k, kn;
        const LastStretch *runs, *end;
    };
    // Filters [j, j + NR) and tile i of row y.
    void tile(const LastBlock<T>& b, const Part& part, int64_t j, int64_t y, int64_t i,
              int64_t tiles) const {
        const int64_t wanted = gemm_min(NR, s.rows - j), channel = group * s.rows + j;
        const int64_t width = b.x1 - b.x0, x = width * i / tiles;
        const int64_t count = width * (i + 1) / tiles - x;
        const bool last = part.k + part.kn == s.steps();
        const ConvFinish<T>& f = s.finish;
        const bool cuts = last && f.on && f.cuts();
        LastTile<T> t;
        t.runs = part.runs, t.end = part.end;
        t.across = field.across(), t.c_pixel = s.out_mul[2] * s.dst_pixel;
        t.a = b.src + (y - b.y0) * field.down() + x * t.across;
        t.ahead = j == 0 && field.in_place ? count * t.across : 0;
        t.b = weights(nullptr, j, wanted, part.k, part.kn);
        t.c = field.place(b, group, y, b.x0 + x) + j;
        t.lead = part.kn <= 64 ? count * t.c_pixel : 0;
        t.lanes = wanted % N ? wanted % N : N;
        t.add = part.k > 0, t.bias = part.k == 0 && s.bias ? s.bias + channel : nullptr;
        t.finish = cuts ? &f : nullptr;
        t.scale = cuts && f.scale ? f.scale + channel : nullptr;
        t.shift = cuts && f.scale ? f.shift + channel : nullptr;
        last_direct_micro_of<T>(count, wanted <= N)(t);
        if (last && f.on && !f.cuts()) last_finish(f, channel, t.c, t.c_pixel, count, wanted);
    }
};

// Forward, or the gradient of the input at the positions of a residue.
template <class T>
dl_status last_direct_sliding(const dl_conv& p, const Sliding<T>& sliding, bool backward,
                              LastRoom* room) {
    const LastProduct<T> l = last_product(p, sliding, backward, room);
    const Sliding<T>& s = l.s;
    if (s.columns() == 0 || s.rows == 0) return DL_OK;
    if (s.steps() == 0) return last_empty(l), DL_OK;
    constexpr int NR = GemmTile<T>::NR;
    const LastField<T> field(s, l.taps, 252);
    T* packed =
        static_cast<T*>(dl_scratch(size_t(packed_size<NR>(s.rows, s.steps())) * sizeof(T), 1));
    if (!packed) return DL_OUT_OF_MEMORY;
    int failed = 0;
    for (int64_t g = 0; g < s.groups; ++g) {
        const auto weights = pack_all<T, NR>(packed, PackLastFilters<T>{l, s.w + g * s.w_group}, 0,
                                             s.rows, s.steps(), dl_num_threads());
        const LastDirect<T> direct{s, field, g, weights};
        const int64_t work = s.rows * s.steps() * field.block_rows * field.block_columns;
        parallel_for(field.blocks(), kGemmAlone / (4 * work) + 1, [&](int64_t begin, int64_t end) {
            T* copy = static_cast<T*>(dl_scratch(size_t(field.copy_size()) * sizeof(T), 0));
            if (!copy) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            for (int64_t i = begin; i < end; ++i) direct.block(field.block(i, g, copy));
        });
    }
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

template <class T>
dl_status last_direct_forward(const dl_conv& p) {
    LastRoom room(p);
    ConvTap* taps = taps_for(p);
    if (!room.ok || !taps) return DL_OUT_OF_MEMORY;
    return last_direct_sliding(p, sliding_forward<T>(p, taps), false, &room);
}
template <class T>
dl_status last_direct_backward_input(const dl_conv& p) {
    LastRoom room(p);
    if (!room.ok) return DL_OUT_OF_MEMORY;
    return each_residue<T>(
        p, [&](const Sliding<T>& s) { return last_direct_sliding(p, s, true, &room); });
}

// ---- the gradient of the weights ----------------------------------------------------------------

// sums[R, V vectors of filters] += the sum over `pixels` of x[r] * panel[v]; x's pixels lie `across`
// apart, those of the panel follow each other.
template <class T, int R, int V>
void last_outer_micro(int64_t pixels, const T* x, int64_t across, const T* panel, T* sums,
                      int64_t ld) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    vec acc[R][V];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) acc[r][v] = vload(sums + r * ld + v * N);
    for (int64_t j = 0; j < pixels; ++j, x += across, panel += V * N) {
        vec d[V];
        __builtin_prefetch(x + 8 * across);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) d[v] = vload(panel + v * N);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
            const vec xv = vset1(x[r]);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) acc[r][v] += xv * d[v];
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) vstore(sums + r * ld + v * N, acc[r][v]);
}

template <class T>
using LastOuterMicro = void (*)(int64_t, const T*, int64_t, const T*, T*, int64_t);
template <class T>
LastOuterMicro<T> last_outer_micro_of(int64_t elements, bool narrow) {
    return with_size<GemmTile<T>::MR>(elements, [&](auto r) -> LastOuterMicro<T> {
        constexpr int R = decltype(r)::value;
        return narrow ? last_outer_micro<T, R, 1> : last_outer_micro<T, R, GemmTile<T>::NV>;
    });
}

constexpr int64_t kLastPanel = 128;        // pixels of a block
constexpr int64_t kLastParts = 16;         // of the sum over pixels
constexpr int64_t kLastOuter = 128 << 10;  // weights at most: a part's sums stay in L2

// `pixels` pixels of `wanted` filters, to V vectors each, side by side.
template <class T, int V>
void last_panel(const T* dy, int64_t dy_pixel, int64_t pixels, int64_t wanted, T* to) {
    constexpr int N = Vec<T>::N;
    const LaneMask<T> there = lane_mask<T>(0, wanted - (V - 1) * N);
    for (int64_t j = 0; j < pixels; ++j, dy += dy_pixel, to += V * N) {
        __builtin_prefetch(dy + 16 * dy_pixel);
#pragma GCC unroll 4
        for (int v = 0; v < V - 1; ++v) vstore(to + v * N, vload(dy + v * N));
        vstore(to + (V - 1) * N, vload_mask(dy + (V - 1) * N, there));
    }
}

// Adds a block's products to sums [steps][filters, filled up to vectors]. panel: room for a block's
// pixels of NR filters, which stay in L1 while all elements go by.
template <class T>
void last_outer_block(const LastField<T>& field, const LastBlock<T>& b, int64_t group, T* panel,
                      T* sums, int64_t ld) {
    constexpr int64_t MR = GemmTile<T>::MR, NR = GemmTile<T>::NR, N = Vec<T>::N;
    const Sliding<T>& s = field.s;
    const int64_t pixels = b.x1 - b.x0;
    for (int64_t y = b.y0; y < b.y1; ++y) {
        const T* dy = field.place(b, group, y, b.x0);
        const T* x = b.src + (y - b.y0) * field.down();
        for (int64_t k = 0; k < s.rows; k += NR) {
            const int64_t wanted = gemm_min(NR, s.rows - k);
            const bool narrow = wanted <= N;
            const auto lay_out = narrow ? last_panel<T, 1> : last_panel<T, GemmTile<T>::NV>;
            lay_out(dy + k, s.out_mul[2] * s.dst_pixel, pixels, wanted, panel);
            T* to = sums + k;
            for (int64_t i = 0; i < field.nruns; ++i) {
                const int64_t length = field.runs[i].length, tiles = gemm_div_up(length, MR);
                for (int64_t e = 0; e < tiles; ++e) {
                    const int64_t e0 = length * e / tiles, en = length * (e + 1) / tiles - e0;
                    last_outer_micro_of<T>(en, narrow)(pixels, x + field.runs[i].at + e0,
                                                       field.across(), panel, to + e0 * ld, ld);
                }
                to += length * ld;
            }
        }
    }
}

// A pointwise product is symmetric: with the factors exchanged vectors are channels.
template <class T>
Sliding<T> last_exchanged(const dl_conv& p, Sliding<T> s) {
    s.src = static_cast<const T*>(p.y), s.dst = static_cast<T*>(p.x);
    s.src_pixel = p.k, s.src_image = p.k * conv_volume(p.out);
    s.dst_pixel = p.c, s.dst_image = p.c * conv_volume(p.in);
    s.rows = p.c / p.groups, s.channels = p.k / p.groups;
    for (int d = 0; d < 3; ++d)
        s.in[d] = p.out[d], s.out[d] = p.in[d], s.out_mul[d] = s.mul[d], s.mul[d] = 1;
    return s;
}
inline bool last_exchanges(const dl_conv& p) {
    return conv_volume(p.kernel) == 1 && p.pad_lo[1] == 0 && p.pad_lo[2] == 0 && p.c > p.k;
}

template <class T>
dl_status last_outer_weight(const dl_conv& p) {
    LastRoom room(p);
    ConvTap* taps = taps_for(p);
    if (!room.ok || !taps) return DL_OUT_OF_MEMORY;
    const LastProduct<T> l = last_product(p, sliding_forward<T>(p, taps), false, &room);
    const bool exchanged = last_exchanges(p);
    const Sliding<T> s = exchanged ? last_exchanged(p, l.s) : l.s;
    const LastField<T> field(s, l.taps, kLastPanel);
    const int64_t length = s.steps(), ld = gemm_round_up(s.rows, Vec<T>::N);
    const int64_t parts = gemm_min(kLastParts, field.blocks()), size = length * ld;
    const int64_t panel = kLastPanel * GemmTile<T>::NR;
    T* sums = static_cast<T*>(dl_scratch(size_t(parts * size) * sizeof(T), 1));
    if (!sums) return DL_OUT_OF_MEMORY;
    int failed = 0;
    for (int64_t g = 0; g < s.groups; ++g) {
        parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
            T* own = static_cast<T*>(dl_scratch(size_t(panel + field.copy_size()) * sizeof(T), 0));
            if (!own) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            for (int64_t part = begin; part < end; ++part) {
                memset(sums + part * size, 0, size_t(size) * sizeof(T));
                const int64_t last = field.blocks() * (part + 1) / parts;
                for (int64_t i = field.blocks() * part / parts; i < last; ++i)
                    last_outer_block(field, field.block(i, g, own + panel), g, own,
                                     sums + part * size, ld);
            }
        });
        if (failed) return DL_OUT_OF_MEMORY;
        T* dw = static_cast<T*>(p.w) + g * s.rows * length;
        const int64_t row = exchanged ? 1 : length, element = exchanged ? s.rows : 1;
        parallel_for(length, 32768 / (ld * parts) + 1, [&](int64_t begin, int64_t end) {
            for (int64_t part = 1; part < parts; ++part)
                for (int64_t e = begin * ld; e < end * ld; e += Vec<T>::N)
                    vstore(sums + e, vload(sums + e) + vload(sums + part * size + e));
            for (int64_t k = 0; k < s.rows; ++k)
                for (int64_t e = begin; e < end; ++e) dw[k * row + e * element] = sums[e * ld + k];
        });
        if (!p.w_channels_last && !reorder_weights(dw, s.rows, s.channels, s.ntaps))
            return DL_OUT_OF_MEMORY;
    }
    return DL_OK;
}

// ---- when, and what it costs ---------------------------------------------------------------------

inline bool last_direct_applies(const dl_conv& p) {
    return p.in[0] == 1 && p.kernel[0] == 1 && p.out[0] == 1 && p.pad_lo[0] == 0 &&
           conv_volume(p.kernel) <= kLastRuns && conv_volume(p.in) > 0 && conv_volume(p.out) > 0 &&
           p.n > 0 && p.c > 0 && p.k > 0;
}
inline bool last_outer_applies(const dl_conv& p) {
    const int64_t lanes = DL_VEC_BYTES / (p.dtype == DL_F64 ? 8 : 4);
    return last_direct_applies(p) &&
           gemm_round_up(p.k / p.groups, lanes) * (p.c / p.groups) * conv_volume(p.kernel) <=
               kLastOuter;
}

// Cycles of a step of the sum for a tile: multiply-adds, or what one takes to follow another.
DL_INLINE double last_step_cycles(double rows, double vectors) {
    return __builtin_fmax(4, rows * vectors / 2);
}

// Inputs that lie a multiple of some kilobytes apart fall on each other in L1.
DL_INLINE double last_conflicts(double bytes) {
    const int64_t apart = int64_t(bytes);
    return apart % 4096 == 0 ? 1.4 : apart % 2048 == 0 ? 1.05 : 1;
}

template <dl_conv_pass pass>
double last_direct_seconds(const dl_conv& p) {
    const bool backward = pass == DL_CONV_BACKWARD_INPUT;
    const double lanes = DL_VEC_BYTES / conv_element(p), mr = DL_GEMM_MR;
    const double taps = double(conv_volume(p.kernel)),
                 residues = backward ? double(conv_volume(p.stride)) : 1;
    const double filters = double((backward ? p.c : p.k) / p.groups);
    const double channels = double((backward ? p.k : p.c) / p.groups);
    const int64_t* size = backward ? p.in : p.out;
    const double columns = double(gemm_div_up(size[2], backward ? p.stride[2] : 1));
    const double rows = double(p.n) * double(gemm_div_up(size[1], backward ? p.stride[1] : 1));
    const bool plane = is_pointwise(p);
    const double tiles = plane ? rows * columns / mr : rows * __builtin_ceil(columns / mr);
    const double tile = plane ? mr : columns / __builtin_ceil(columns / mr);
    const double vectors = __builtin_ceil(filters / lanes);
    const double cycles = residues * tiles * channels * taps / residues * vectors / DL_GEMM_NV *
                          last_step_cycles(tile, DL_GEMM_NV);
    const double apart =
        double(backward ? p.k : p.c) * double(backward ? 1 : p.stride[2]) * conv_element(p);
    const double stores = residues * tiles * vectors * tile * 3;
    return double(p.groups) * (cycles * 1.05 * last_conflicts(apart) + stores) * kConvCycle +
           last_traffic(p) + 5e-6;
}

inline double last_outer_seconds(const dl_conv& p) {
    const double lanes = DL_VEC_BYTES / conv_element(p), mr = DL_GEMM_MR;
    const bool exchanged = last_exchanges(p);
    const double taps = double(conv_volume(p.kernel));
    const double channels = double((exchanged ? p.k : p.c) / p.groups);
    const double filters = double((exchanged ? p.c : p.k) / p.groups);
    const double run = channels * double(p.dilation[2] == 1 ? p.kernel[2] : 1);
    const double tiles = taps * channels / run * __builtin_ceil(run / mr);
    const double tile = run / __builtin_ceil(run / mr);
    const double vectors = __builtin_ceil(filters / lanes);
    const double pixels = double(p.n) * double(conv_volume(p.out));
    const double stretch = is_pointwise(p) || p.out[2] > kLastPanel ? kLastPanel : double(p.out[2]);
    const double cycles =
        pixels * tiles * vectors / DL_GEMM_NV *
        (last_step_cycles(tile, DL_GEMM_NV) * 1.1 + tile * DL_GEMM_NV * 2 / stretch);
    const double sums = taps * channels * vectors * lanes * double(kLastParts) * 0.5;
    const double panels = pixels * vectors * 4;
    return double(p.groups) * (cycles + sums + panels) * kConvCycle + last_traffic(p) + 10e-6;
}

}  // namespace
