// When the kernels of conv_grouped.h can run, and their predicted times.
#pragma once
#include "kernels/cpu/conv_cost.h"
#include "kernels/cpu/conv_grouped.h"
#include "kernels/cpu/conv_grouped_weight.h"
#include "kernels/cpu/conv_grouped_winograd.h"
#include "kernels/cpu/conv_sliding_cost.h"
#include "kernels/cpu/conv_winograd.h"

namespace {

inline int64_t grouped_cells(const dl_conv& p, bool backward) {
    const int64_t reach = (p.kernel[2] - 1) * p.dilation[2];
    return backward ? gemm_div_up(p.in[2], p.stride[2]) + reach + 1
                    : (p.out[2] - 1) * p.stride[2] + reach + 1;
}
inline bool grouped_applies(const dl_conv& p) {
    return grouped_fits(p) && p.stride[2] <= 2 && grouped_cells(p, false) <= kGroupedCells;
}
inline bool grouped_input_applies(const dl_conv& p) {
    return grouped_fits(p) && p.stride[1] * p.stride[2] <= kGroupedParts &&
           grouped_cells(p, true) <= kGroupedCells;
}

inline bool grouped_weight_applies(const dl_conv& p) {
    return grouped_fits(p) && grouped_cells(p, false) <= kGroupedCells;
}

// Bands of planes are not asked for ahead, which costs what they take to come from memory.
inline double grouped_waits(const dl_conv& p, double bytes, double inputs) {
    const bool whole = inputs / double(p.n * p.groups) * 1.2 < 16e3;
    return whole ? 0 : __builtin_fmax(0, bytes - 8e6) / 18e9;
}

// Products of tiles; rows copied, sums transposed.
inline double grouped_seconds(const dl_conv& p, bool backward) {
    const SlidingCost c = sliding_cost(p, backward);
    const double lanes = double(c.lanes), together = 2 * c.rows <= lanes ? 2 : 1;
    const double sets = ceil_div(c.groups, together), vectors = ceil_div(c.rows, lanes);
    // With AVX2, tiles of two vectors have one row; less is spent around the loops.
    constexpr bool narrow = DL_VEC_BYTES < 64;
    const double both = narrow ? __builtin_fmin(vectors, 2) : 1;
    const double columns = ceil_div(double(c.width), kGroupedRun);
    const double wide = double(c.width) / columns, tall = kGroupedRuns / both;
    const double rows = c.grid_rows / c.n, high = rows / ceil_div(rows, tall) * both;
    const double tile =
        __builtin_fmax(wide * high / 2, 4) * (narrow || c.mul == 1 ? 1 : 1.05);  // cycles of a step
    const double around = narrow ? 10 + wide * high : 30 + 3 * wide * high;
    const double tiles = c.n * ceil_div(rows, tall) * columns / both;
    double cycles = sets * vectors * tiles * (c.steps() * tile + around);
    const double in = double(backward ? p.out[2] : p.in[2]);
    cycles += c.inputs / c.repeats / in * ceil_div(in + 2, lanes) * 2.5;
    cycles += sets * vectors * ceil_div(c.positions(), lanes) * (narrow ? 30 : 80);
    cycles += sets * vectors * lanes * c.channels * c.taps * 0.6;
    const double moved = (conv_x_size(p) + conv_y_size(p)) * conv_element(p);
    const double waits = narrow && backward ? 0 : grouped_waits(p, moved, c.inputs);
    return c.repeats * cycles / kConvHertz + conv_traffic(p) / 8 + waits;
}
inline double grouped_forward_seconds(const dl_conv& p) { return grouped_seconds(p, false); }
inline double grouped_input_seconds(const dl_conv& p) { return grouped_seconds(p, true); }

// Sums of tiles; rows copied, dy transposed, sums added up after each band.
inline double grouped_weight_seconds(const dl_conv& p) {
    const SlidingCost c = sliding_cost(p, false);
    const double lanes = double(c.lanes), together = 2 * c.rows <= lanes ? 2 : 1;
    const double sets = ceil_div(c.groups, together), vectors = ceil_div(c.rows, lanes);
    const double taps = p.kernel[2] == 3 && p.dilation[2] == 1 ? 3 : 1;
    const double tiles = ceil_div(c.steps() / taps, kGroupedLines), sums = c.steps() / tiles;
    const double step = __builtin_fmax((sums + 1) / 2, 4) * 1.05;
    double cycles = sets * vectors * tiles * (c.positions() * step + c.n * sums * 2);
    cycles += c.inputs / double(p.in[2]) * ceil_div(double(p.in[2]) + 2, lanes) * 4;
    cycles += sets * vectors * ceil_div(c.positions(), lanes) * 70;
    cycles += sets * vectors * lanes * c.steps() * 0.6;
    const double moved = (conv_x_size(p) + conv_y_size(p)) * conv_element(p);
    return cycles / kConvHertz + conv_traffic(p) / 8 + grouped_waits(p, moved, c.inputs);
}

// Winograd's tiles: squares of planes transposed both ways, tiles transformed both ways, products;
// filters transformed.
inline double grouped_wino_cost(const dl_conv& p, int64_t channels, int64_t filters,
                                const int64_t* from, const int64_t* to) {
    const double lanes = DL_VEC_BYTES / double(sizeof(float));
    const GroupedTiles t(p.n, p.groups, channels, filters, to, kGroupedTiles, int64_t(lanes));
    const double blocks = double(t.blocks * t.images), in = double(t.in), out = double(t.out);
    const double tiles = double(t.rows * t.wide), points = GroupedTiles::POINTS;
    const double rows = double(t.rows * GroupedTiles::M), apart = double(t.bands > 1 ? 2 : 0);
    const double read =
        in * ceil_div(__builtin_fmin(rows + apart, double(from[0])) * double(from[1]), lanes);
    const double written =
        out * ceil_div(__builtin_fmin(rows, double(to[0])) * double(to[1]), lanes);
    const double products = points * double(channels) * out * (t.out == 2 ? 0.57 : 0.65);
    double cycles = blocks * ((read + written) * 90 + tiles * ((in + out) * 155 + products));
    cycles += out * double(channels) * 200;
    if (DL_VEC_BYTES < 64) cycles *= 0.5;  // as measured with AVX2
    return double(t.sets.count) * cycles / kConvHertz + conv_traffic(p) / 8;
}
inline double grouped_wino_forward_seconds(const dl_conv& p) {
    return grouped_wino_cost(p, p.c / p.groups, p.k / p.groups, p.in + 1, p.out + 1);
}
inline double grouped_wino_input_seconds(const dl_conv& p) {
    return grouped_wino_cost(p, p.k / p.groups, p.c / p.groups, p.out + 1, p.in + 1);
}

// Both transformed one way, and S put in order, take what the way there and back takes.
inline double grouped_wino_weight_seconds(const dl_conv& p) {
    return grouped_wino_forward_seconds(p);
}

}  // namespace
