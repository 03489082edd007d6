// The rows of input under a band of rows of output, for kernels that read them where they lie: a copy
// with padding, split by stride (planes.h) for those that load vectors of positions and whole for those
// that broadcast them, or the input itself where nothing has to be added.
#pragma once
#include "kernels/cpu/conv_sliding.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/planes.h"

namespace {

// Column j of S vectors that follow each other goes to vector f for each phase f: each stage sorts by
// one more bit of the place.
template <class T, int S>
DL_INLINE void split_vectors(typename Vec<T>::type (&v)[S], T* dst, int64_t ld) {
#pragma GCC unroll 4
    for (int stage = 1; stage < S; stage *= 2) {
        typename Vec<T>::type next[S];
#pragma GCC unroll 8
        for (int i = 0; i < S / 2; ++i) {
            next[i] = vevens<T>(v[2 * i], v[2 * i + 1]);
            next[i + S / 2] = vodds<T>(v[2 * i], v[2 * i + 1]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < S; ++i) v[i] = next[i];
    }
#pragma GCC unroll 16
    for (int i = 0; i < S; ++i) vstore(dst + i * ld, v[i]);
}

// Where a row's phases go: ld apart, `columns` of each, filled up to whole vectors.
struct SplitPlaces {
    int64_t ld, columns;
};

// split_row with zeros for a stride S that divides the lanes: S vectors at a time, by shuffles.
template <class T, int S>
void split_lanes(T* dst, const T* src, int64_t width, int64_t pad, SplitPlaces to) {
    constexpr int N = Vec<T>::N;
    const int64_t ld = to.ld, end = to.columns;
    const auto edge = [&](int64_t from, int64_t to) {  // columns whose vectors may lie outside
        for (int64_t j = from; j < to; j += N) {
            typename Vec<T>::type v[S];
#pragma GCC unroll 16
            for (int i = 0; i < S; ++i) {
                const int64_t at = j * S + i * N - pad;
                v[i] = at >= 0 && at + N <= width
                           ? vload(src + at)
                           : vload_mask(src + at, lane_mask<T>(-at, width - at));
            }
            split_vectors<T, S>(v, dst + j, ld);
        }
    };
    const int64_t inside = gemm_min(end, gemm_round_up(gemm_max(0, gemm_div_up(pad, S)), N));
    const int64_t outside = gemm_max(inside, gemm_min(end / N, (width + pad) / (S * N)) * N);
    edge(0, inside);
    for (int64_t j = inside; j < outside; j += N) {
        typename Vec<T>::type v[S];
#pragma GCC unroll 16
        for (int i = 0; i < S; ++i) v[i] = vload(src + j * S + i * N - pad);
        split_vectors<T, S>(v, dst + j, ld);
    }
    edge(outside, end);
}
// The split_lanes for a stride, or null.
template <class T>
auto split_lanes_of(int64_t stride) -> void (*)(T*, const T*, int64_t, int64_t, SplitPlaces) {
    constexpr int N = Vec<T>::N;
    return stride == 2 ? split_lanes<T, 2> : stride == 4 && N >= 4 ? split_lanes < T,
           N >= 4 ? 4 : 2 > : stride == 8 && N >= 8 ? split_lanes < T,
           N >= 8 ? 8 : 2 > : stride == 16 && N >= 16 ? split_lanes < T,
           N >= 16 ? 16 : 2 >                         : nullptr;
}

// How the rows of input under a band of output lie in memory: [channel][slice][row][cells].
template <class T>
struct SlidingRows {
    bool in_place;               // the input itself, no copy
    bool whole;                  // strided, but not split
    int64_t apart;               // from one output to the next in a row
    bool all_needed;             // no row is skipped
    int64_t least[3], reach[3];  // smallest offset of a tap, and how far the others go
    int64_t row_step;            // rows from one output row to the next
    int64_t rows, cells, plane;  // rows of a slice, elements of a row and of a channel
    PhasedShape shape;

    // single: columns are read one by one, so that rows need not be split and may stay where they are.
    SlidingRows(const Sliding<T>& s, int64_t band_rows, bool single) {
        // Strided rows of many channels are copied all the same: they lie in pages far apart.
        constexpr int64_t kFewChannels = 8;
        in_place = single && (s.mul[2] == 1 || s.channels <= kFewChannels);
        for (int d = 0; d < 3; ++d) {
            int64_t most = least[d] = s.taps[0].off[d];
            for (int64_t t = 0; t < s.ntaps; ++t) {
                const ConvTap& tap = s.taps[t];
                least[d] = gemm_min(least[d], tap.off[d]), most = gemm_max(most, tap.off[d]);
                in_place = in_place && tap.lo[d] == 0 && tap.hi[d] == s.grid[d];
            }
            reach[d] = most - least[d];
        }
        in_place = in_place && (s.mul[2] == 1 || reach[2] > 0);
        whole = single && s.mul[2] > 1 && reach[2] > 0;
        apart = whole ? s.mul[2] : 1;
        row_step = reach[1] == 0 && !in_place ? 1 : s.mul[1];
        rows = in_place ? s.in[1] : (band_rows - 1) * row_step + reach[1] + 1;
        // A row that is needed makes the one a step behind it needed, too.
        all_needed = true;
        for (int64_t slice = 0; slice <= reach[0]; ++slice)
            for (int64_t r = 0; r < gemm_min(rows, row_step); ++r)
                all_needed = all_needed && needed(s, slice, r);
        if (in_place) {
            cells = s.in[2], plane = s.src_plane;
            return;
        }
        // A single column of taps needs no phases.
        shape = phased_shape<T>(s.in[2], -least[2], reach[2] && !whole ? s.mul[2] : 1,
                                (s.grid[2] - 1) * apart + 1, reach[2] + 1, 1);
        cells = shape.cells();
        plane = (reach[0] + 1) * rows * cells;
    }
    // Of a tap, from the place of the output under which it lies.
    int64_t at(const ConvTap& t) const {
        if (in_place) return (t.off[0] * rows + t.off[1]) * cells + t.off[2];
        const int64_t column = reach[2] ? shape.offset(t.off[2] - least[2]) : 0;
        return ((t.off[0] - least[0]) * rows + t.off[1] - least[1]) * cells + column;
    }
    // Where the inputs of all steps lie, channel by channel, in each tap by tap.
    void list_steps(const Sliding<T>& s, int64_t channels, int64_t* places) const {
        for (int64_t c = 0; c < channels; ++c)
            for (int64_t t = 0; t < s.ntaps; ++t) *places++ = c * plane + at(s.taps[t]);
    }
    bool needed(const Sliding<T>& s, int64_t slice, int64_t row) const {
        for (int64_t t = 0; t < s.ntaps; ++t) {
            const int64_t r = row - (s.taps[t].off[1] - least[1]);
            if (slice == s.taps[t].off[0] - least[0] && r >= 0 && r % row_step == 0) return true;
        }
        return false;
    }
    // Channels [0, count) from src on, under rows r0... of slab o0 of the output.
    void fill(const Sliding<T>& s, const T* src, int64_t count, int64_t o0, int64_t r0,
              T* to) const {
        for (int64_t slice = 0; slice <= reach[0]; ++slice)
            for (int64_t row = 0; row < rows; ++row) {
                if (!all_needed && !needed(s, slice, row)) continue;
                const int64_t i0 = o0 * s.mul[0] + least[0] + slice;
                const int64_t i1 =
                    (reach[1] ? r0 * s.mul[1] + row : (r0 + row) * s.mul[1]) + least[1];
                T* out = to + (slice * rows + row) * cells;
                const bool outside = i0 < 0 || i0 >= s.in[0] || i1 < 0 || i1 >= s.in[1];
                const T* from = src + (i0 * s.in[1] + i1) * s.in[2];
                for (int64_t c = 0; c < count; ++c, out += plane, from += s.src_plane)
                    if (outside)
                        memset(out, 0, size_t(cells) * sizeof(T));
                    else
                        fill_row(s, from, out);
            }
    }

 private:
    void fill_row(const Sliding<T>& s, const T* from, T* out) const {
        if (reach[2] || s.mul[2] == 1) {
            if (const auto split = split_lanes_of<T>(shape.stride))
                split(out, from, s.in[2], -least[2], {shape.ld, shape.ld});
            else
                split_row(out, from, shape, T(0));
            return;
        }
        const ConvTap& t = s.taps[0];
        for (int64_t o = 0; o < t.lo[2]; ++o) out[o] = T(0);
        take_every(out + t.lo[2], from + t.lo[2] * s.mul[2] + t.off[2],
                   gemm_max(0, t.hi[2] - t.lo[2]), s.mul[2]);
        for (int64_t o = gemm_max(t.lo[2], t.hi[2]); o < s.grid[2]; ++o) out[o] = T(0);
    }
};

// What comes next, asked for a few lines at a time: `rows` stretches of memory of `length` elements, a
// plane apart, in `times` portions. Too many short streams for a processor to see them coming, and too
// long a wait for all of them at once.
template <class T>
struct RowsAhead {
    const T* row;
    int64_t plane, lines;  // between rows; of a row
    int64_t line;
    int64_t each;  // lines to ask for at a time

    RowsAhead(const T* first, int64_t row_step, int64_t rows, int64_t length, int64_t times)
        : row(first),
          plane(row_step),
          lines(length * int64_t(sizeof(T)) / 64 + 1),
          line(0),
          each(gemm_div_up(rows * lines, times)) {}
    void ask() {
        for (int64_t i = 0; i < each; ++i) {
            __builtin_prefetch(row + line * (64 / sizeof(T)), 0, 2);
            if (++line == lines) line = 0, row += plane;
        }
    }
};

// Where a filter's results for a row of output begin.
template <class T>
DL_INLINE int64_t sliding_place(const Sliding<T>& s, int64_t slab, int64_t row) {
    const int64_t n = slab / s.grid[0], o0 = slab % s.grid[0] * s.out_mul[0] + s.out_base[0];
    const int64_t line = o0 * s.out[1] + row * s.out_mul[1] + s.out_base[1];
    return n * s.dst_image + (line * s.out[2] + s.out_base[2]) * s.dst_pixel;
}

// Rows are split by stride, unless the kernel is one column wide.
inline bool is_direct(const dl_conv& p) {
    return (p.stride[2] <= kMaxPhases || p.kernel[2] == 1) && conv_volume(p.in) > 0;
}

}  // namespace
