// What the grouped kernels (conv_grouped.h, conv_grouped_weight.h) read: groups in sets that fill a
// vector, and the rows of input under a band of rows of the grid, copied with their padding. The
// rows of two groups of a set lie in turns, element by element, as their filters do in the lanes.
#pragma once
#include "kernels/cpu/conv_grouped_turn.h"
#include "kernels/cpu/conv_rows.h"

namespace {

constexpr int kGroupedParts = 16;       // residues of a gradient
constexpr int64_t kGroupedCells = 512;  // of a row, at most

template <class T>
struct GroupedRows {
    static constexpr int N = Vec<T>::N;
    int64_t together;           // groups
    int64_t least[2];           // smallest offset of a tap, in rows and columns,
    int64_t reach;              // and how many rows the others go further
    int64_t tall, band, bands;  // rows of the grid, of a band, bands
    int64_t cells, plane;       // of a row for one group; elements of a channel of all groups
    int64_t mul;                // rows from one position to the next
    int64_t channels;
    LaneMask<T> masks[kGroupedCells / N];  // of the vectors of a row

    template <class Part>
    GroupedRows(const Part* parts, int count, int64_t groups) : together(groups) {
        const Sliding<T>& s = parts[0].s;
        int64_t most[2] = {0, 0};
        bool first = true;
        tall = 0;
        int64_t wide = 0;
        for (int i = 0; i < count; ++i) {
            tall = gemm_max(tall, parts[i].s.grid[1]), wide = gemm_max(wide, parts[i].s.grid[2]);
            for (int64_t t = 0; t < parts[i].s.ntaps; ++t, first = false)
                for (int d = 0; d < 2; ++d) {
                    const int64_t off = parts[i].s.taps[t].off[d + 1];
                    least[d] = first ? off : gemm_min(least[d], off);
                    most[d] = first ? off : gemm_max(most[d], off);
                }
        }
        if (first) least[0] = least[1] = 0;
        reach = most[0] - least[0], mul = s.mul[1], channels = s.channels;
        cells = gemm_round_up((wide - 1) * s.mul[2] + most[1] - least[1] + 1, N);
        for (int64_t j = 0; j < cells; j += N)
            masks[j / N] = lane_mask<T>(-least[1] - j, s.in[2] - least[1] - j);
        // A band's copy stays in L2, in L1 together with its sums where planes are small.
        band = tall;
        while (band > 4 && copy_bytes() > kCopy) band = gemm_div_up(band, 2);
        bands = gemm_div_up(tall, band), band = gemm_div_up(tall, bands);
        bands = gemm_div_up(tall, band);
        plane = copied() * cells * together;
    }

    int64_t copy_elements() const { return channels * plane + N; }
    int64_t step() const { return mul * cells * together; }  // between rows of positions
    int64_t at(const ConvTap& t) const {
        return ((t.off[1] - least[0]) * cells + t.off[2] - least[1]) * together;
    }

    // Of the images of a set of groups.
    int64_t source_elements(const Sliding<T>& s) const {
        return together * s.channels * s.src_plane;
    }

    // The rows under a band of the grid, for all channels of a set of groups. second: it has
    // another one.
    void fill(const Sliding<T>& s, const T* src, bool second, int64_t row0, T* to) const {
        const int64_t first = row0 * mul + least[0];
        const int64_t other = second ? s.channels * s.src_plane : 0;
        const int64_t n = copied(), width = s.in[2], source = s.src_plane;
        const int64_t lo = gemm_max(0, gemm_min(n, -first));
        const int64_t hi = gemm_max(lo, gemm_min(n, s.in[1] - first)), row = cells * together;
        src += (first + lo) * width + least[1];
        for (int64_t c = 0; c < s.channels; ++c, src += source, to += n * row) {
            zero(to, lo * row);
            if (together == 1)
                copy_rows(src, width, hi - lo, to + lo * row);
            else
                zip_rows(src, width, other, hi - lo, to + lo * row);
            zero(to + hi * row, (n - hi) * row);
        }
    }

 private:
    static constexpr int64_t kCopy = 64 << 10;

    int64_t copied() const { return (band - 1) * mul + reach + 1; }
    int64_t copy_bytes() const {
        return channels * copied() * cells * together * int64_t(sizeof(T));
    }
    static void zero(T* to, int64_t count) {
        for (int64_t i = 0; i < count; i += N) vstore(to + i, typename Vec<T>::type{});
    }
    // Masks of their own: a vector that is stored might be anything, also a member.
    void copy_rows(const T* from, int64_t width, int64_t count, T* to) const {
        const LaneMask<T> mask = masks[0];
        const int64_t row = cells;
        if (row == N)
            for (; count > 0; --count, from += width, to += N) vstore(to, vload_mask(from, mask));
        for (; count > 0; --count, from += width, to += row)
            for (int64_t j = 0; j < row; j += N)
                vstore(to + j, vload_mask(from + j, j ? masks[j / N] : mask));
    }
    // Rows of two planes; other: from the one to the other, 0 where there is none.
    void zip_rows(const T* from, int64_t width, int64_t other, int64_t count, T* to) const {
        const LaneMask<T> mask = masks[0], none = lane_mask<T>(0, 0);
        const int64_t row = cells;
        for (; count > 0; --count, from += width, to += 2 * row)
            for (int64_t j = 0; j < row; j += N) {
                const LaneMask<T> m = j ? masks[j / N] : mask;
                const auto a = vload_mask(from + j, m);
                const auto b = vload_mask(from + other + j, other ? m : none);
                vstore(to + 2 * j, vzip_lo<T>(a, b));
                vstore(to + 2 * j + N, vzip_hi<T>(a, b));
            }
    }
};

// Images of two dimensions, groups of a few filters and channels whose sums are made in one go.
inline bool grouped_fits(const dl_conv& p) {
    const int64_t k = p.k / p.groups, c = p.c / p.groups;
    return kGrouped && p.groups > 1 && p.in[0] == 1 && p.out[0] == 1 && p.kernel[0] == 1 &&
           p.pad_lo[0] == 0 && conv_volume(p.in) > 0 && conv_volume(p.out) > 0 && p.n > 0 &&
           gemm_max(k, c) * conv_volume(p.kernel) <= 1024;
}

}  // namespace
