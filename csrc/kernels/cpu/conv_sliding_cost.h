// Predicted times of the algorithms that compute the sliding product: cycles of the inner loops plus
// what is packed, copied and stored around them. Fitted to the layer table of the benchmarks.
#pragma once
#include "kernels/cpu/conv_broadcast.h"
#include "kernels/cpu/conv_cost.h"
#include "kernels/cpu/conv_direct.h"
#include "kernels/cpu/conv_masked.h"
#include "kernels/cpu/conv_pointwise.h"
#include "kernels/cpu/conv_strassen.h"
#include "kernels/cpu/conv_turned.h"

namespace {

// A sliding product as the model sees it; the residues of a gradient of the input are taken to be
// equal.
struct SlidingCost {
    double repeats;  // residues
    double n, groups, rows, channels, taps;
    int64_t width;         // of a row of the grid
    double grid_rows;      // of all images
    double inputs;         // elements of src
    int64_t mul, out_mul;  // between columns
    bool straight;         // the steps of a filter follow each other in the weights
    int64_t lanes;

    double element;  // bytes

    double positions() const { return grid_rows * double(width); }
    double steps() const { return channels * taps; }
    double weights() const { return groups * rows * steps(); }
    // Seconds for lines that come from beyond L2 where nothing requests them ahead. Inputs: each
    // channel lies on another page, and all of them do not fit, so that `passes` over blocks of filters
    // find them gone. Weights: they do not fit, and are read `times` times.
    double far_inputs(double passes) const {
        const bool fit = inputs / n * element <= kConvL2;
        return fit ? 0 : inputs * element / 64 * __builtin_fmin(passes * 0.7e-9, 5.5e-9);
    }
    double far_weights(double times, double line) const {
        return weights() * element <= kConvL2 / 4 ? 0 : weights() * element / 64 * times * line;
    }
};

SlidingCost sliding_cost(const dl_conv& p, bool backward) {
    SlidingCost c;
    c.n = double(p.n), c.groups = double(p.groups), c.element = conv_element(p);
    c.lanes = DL_VEC_BYTES / (p.dtype == DL_F64 ? 8 : 4);
    const double k = double(p.k / p.groups), in = double(p.c / p.groups);
    const int64_t residues[3] = {gemm_min(p.stride[0], p.in[0]), gemm_min(p.stride[1], p.in[1]),
                                 gemm_min(p.stride[2], p.in[2])};
    c.repeats = backward ? double(conv_volume(residues)) : 1;
    c.rows = backward ? in : k, c.channels = backward ? k : in;
    c.taps = double(conv_volume(p.kernel)) / c.repeats;
    const int64_t* grid = backward ? p.in : p.out;
    c.width = backward ? gemm_div_up(grid[2], residues[2]) : grid[2];
    c.grid_rows = double(p.n) * double(grid[0] * grid[1]);
    if (backward) c.grid_rows /= double(residues[0] * residues[1]);
    c.inputs = backward ? conv_y_size(p) : conv_x_size(p);
    c.mul = backward ? 1 : p.stride[2], c.out_mul = backward ? p.stride[2] : 1;
    c.straight = !backward;
    return c;
}
DL_INLINE bool sliding_pointwise(const dl_conv& p) {
    return conv_volume(p.kernel) == 1 && conv_volume(p.stride) == 1 && p.pad_lo[0] == 0 &&
           p.pad_lo[1] == 0 && p.pad_lo[2] == 0;
}
// Loops of register tiles: two products a cycle, one where there is no fused instruction.
constexpr double kConvPorts = DL_VEC_BYTES > 16 ? 2 : 1;

// Packing weights or inputs for all threads, and their meeting after it.
constexpr double kConvPacked = 8e-6;

DL_INLINE double ceil_div(double a, double b) { return __builtin_ceil(a / b); }

inline double broadcast_seconds(const dl_conv& p, bool backward) {
    const SlidingCost c = sliding_cost(p, backward);
    const bool flat = sliding_pointwise(p);
    const int64_t most = DL_GEMM_MR;
    const double width = flat ? double(conv_volume(p.out)) : double(c.width);
    const double rows = flat ? double(p.n) : c.grid_rows;
    const double vectors = ceil_div(c.rows, double(c.lanes));  // of filters, in a group
    const double tiles = ceil_div(width, double(most)), positions = width / tiles;
    // Cycles of a step of a tile of two vectors: products, their latency, loads.
    const double step = gemm_max(2, 1) * __builtin_fmax(positions / kConvPorts,
                                                        __builtin_fmax(2.0, (positions + 6) / 4));
    const double pairs = vectors / 2;
    double cycles =
        rows * tiles * c.groups * pairs * (c.steps() * step * (flat ? 0.98 : 0.96) + 60);
    // The results are turned around, and scattered when they lie apart.
    cycles += rows * tiles * c.groups * vectors *
              (100 + (c.out_mul == 2  ? 200
                      : c.out_mul > 2 ? 30 * positions
                                      : 0));
    cycles += c.weights() * (c.straight                          ? 0.5
                             : c.taps > 1                        ? 0.8
                             : c.weights() * c.element > kConvL2 ? 2
                                                                 : 0.6);
    if (!flat) cycles += c.inputs * 0.4;  // rows are copied, strided or not
    const double far =
        c.far_inputs(2.6 * pairs) * (flat ? 1 : 0) + c.far_weights(c.n, flat ? 0.4e-9 : 1.1e-9);
    // Groups: each begins anew, with rows of results and inputs that lie apart.
    const double apart = p.groups > 1 ? c.n * c.groups * 0.3e-6 + conv_traffic(p) : 0;
    return c.repeats * (cycles / kConvHertz + far) + apart + kConvPacked +
           conv_traffic(p) / (flat ? 10 : 4);
}

// A kernel of size 1, stride 1: whole planes are packed.
inline double sliding_gemm_flat_seconds(const dl_conv& p, const SlidingCost& c) {
    const double tile = 2 * double(c.lanes), vectors = ceil_div(c.positions(), double(c.lanes));
    const double step = __builtin_fmax(2 * ceil_div(c.rows, 2) / kConvPorts, 4) * vectors;
    const bool whole = conv_volume(p.out) % int64_t(tile) == 0;  // tiles of one image each
    double cycles = c.groups * c.steps() * (step * 1.0 + c.positions() * 0.37);
    cycles += c.weights() * (c.straight ? 1.1 : 2);
    cycles += c.groups * c.rows * c.positions() * (whole ? 0.02 : 0.04);
    return cycles * (p.groups > 1 ? 1.6 : 1) / kConvHertz + kConvPacked + conv_traffic(p) / 10;
}
inline double sliding_gemm_seconds(const dl_conv& p, bool backward) {
    const SlidingCost c = sliding_cost(p, backward);
    if (sliding_pointwise(p)) return sliding_gemm_flat_seconds(p, c);
    const double lanes = double(c.lanes), tile = 2 * lanes;
    const double vectors = ceil_div(c.positions(), lanes);
    const double rows = 2 * ceil_div(c.rows, 2);
    // Few rows in a tile: latency.
    const double step = __builtin_fmax(rows / kConvPorts, 4) * vectors;
    double cycles = c.groups * c.steps() * step * 0.99;
    cycles += c.groups * c.steps() * c.positions() * (c.mul > 4 ? 4 : c.mul > 1 ? 0.7 : 0.5);
    cycles += c.weights() * (c.straight || c.taps == 1 ? 1.8 : 2.7);
    // Tiles that go round the end of a row or plane are scattered.
    const bool whole = c.out_mul == 1 && c.width % int64_t(tile) == 0;
    cycles += c.groups * c.rows * c.positions() * (c.out_mul > 1 ? 1.2 : whole ? 0.2 : 0.7);
    if (p.groups > 1) cycles *= 1.6;  // rarely whole tiles
    return c.repeats * cycles / kConvHertz + kConvPacked + conv_traffic(p) / 4;
}

inline double pointwise_seconds(const dl_conv& p, bool backward) {
    const SlidingCost c = sliding_cost(p, backward);
    const double most = PointTile<float>::R, wide = PointTile<float>::V;
    const double vectors = ceil_div(double(conv_volume(p.out)), double(c.lanes));
    const double tiles = ceil_div(vectors, wide), groups = ceil_div(c.rows, most);
    // Cycles of a step of a tile: products, their latency, loads.
    const double step = __builtin_fmax(c.rows / groups * vectors / tiles / kConvPorts, 4);
    double cycles = c.n * c.groups * tiles * groups * (c.steps() * step * 1.0 + 20);
    cycles += c.weights() * 0.5;
    // A few tiles do not share out: on two threads single images of 14 x 14 took 1.2 to 1.6 times as
    // long as with the algorithms that are level on one.
    if (c.n * c.groups * tiles < 16) cycles *= 1.15;
    return cycles / kConvHertz + conv_traffic(p) / 20;
}

// Pixels in the rows of a tile: whatever their number, none is lost, but results are turned back.
inline double turned_seconds(const dl_conv& p, bool backward) {
    const SlidingCost c = sliding_cost(p, backward);
    const double vectors = ceil_div(c.rows, double(c.lanes)), steps = c.steps() * c.repeats;
    const double pixels = 2 * ceil_div(c.positions(), 2);
    double cycles = steps * pixels * (vectors / kConvPorts * 0.92 + (c.mul > 1 ? 0.8 : 0.35));
    cycles += c.weights() * c.repeats * 0.5;
    // Turned while they are in L1; sums of several blocks of channels come from L2.
    const double blocks =
        ceil_div(steps, double(turned_kc<float>(int64_t(pixels), int64_t(steps))));
    cycles +=
        pixels * c.rows * (0.35 + (blocks > 1 ? 0.15 * blocks : 0) + (c.out_mul > 1 ? 1.5 : 0));
    // More lines than are used, or channels that lie pages apart.
    const double plane = c.inputs / (c.n * c.groups * c.channels);
    const bool apart = c.mul > 1 || c.out_mul > 1 || plane >= 512;
    return cycles / kConvHertz + kConvPacked + conv_traffic(p) * (apart ? 0.5 : 0.2);
}

// Seven eighths of these products; more is packed, and results come in pairs of slivers.
inline double strassen_seconds(const dl_conv& p, bool backward) {
    const SlidingCost c = sliding_cost(p, backward);
    const double lanes = double(c.lanes), steps = c.steps() * c.repeats;
    const double pairs = __builtin_floor(c.rows / (4 * lanes)), rest = c.rows - 4 * lanes * pairs;
    const double vectors = 4 * pairs + (rest > 2 * lanes ? 4 : rest > 0 ? 2 : 0);
    const double pixels = 2 * c.n * ceil_div(c.positions() / c.n, 2);
    double cycles = steps * pixels * (vectors / kConvPorts * 0.81 + (c.mul > 1 ? 1.1 : 0.6));
    cycles += c.weights() * c.repeats * 0.8;
    const double blocks =
        ceil_div(steps, double(strassen_kc<float>(int64_t(c.positions()), int64_t(steps))));
    cycles += pixels * c.rows * (0.5 + 0.2 * blocks + (c.out_mul > 1 ? 1.5 : 0));
    const double plane = c.inputs / (c.n * c.groups * c.channels);
    const bool apart = c.mul > 1 || c.out_mul > 1 || plane >= 512;
    return cycles / kConvHertz + kConvPacked +
           conv_traffic(p) * (!apart     ? 0.2
                              : backward ? 0.8
                                         : 1.3);
}
// Random errors; the bound grows by 4.5 (docs/numerics.md).
inline double strassen_error(const dl_conv& p, dl_conv_pass pass) {
    return 3 * conv_sum_error(p, pass);
}

inline double direct_seconds(const dl_conv& p, bool backward) {
    const SlidingCost c = sliding_cost(p, backward);
    const double vectors = c.grid_rows * ceil_div(double(c.width), double(c.lanes));
    // Cycles of a step for each vector of a whole block of filters, and of fewer.
    constexpr double whole = 0.93 * kDirectFilters / kConvPorts;
    constexpr double fewer[8] = {0, 1.2, 1.4, 1.8, 2.1, 2.6, 3.2, 3.7};
    const double blocks = __builtin_floor(c.rows / kDirectFilters);
    const double rest = c.rows - kDirectFilters * blocks;
    const double step = blocks * whole + fewer[int(rest)];
    double cycles = c.groups * vectors * (c.steps() * step * 1.06 + c.rows - rest + 5 * rest);
    if (c.out_mul > 1) cycles += c.groups * c.rows * c.positions() * 1.2;
    if (c.out_mul > 1) cycles *= conv_narrow(p, 1.35);
    cycles += c.weights() * 1.5 + c.inputs * 0.25;
    // Inputs that do not fit into L1 come too slowly where they serve few filters.
    const double reach = c.channels * double(p.kernel[1]) * double(c.width * c.mul) * c.lanes;
    if (reach > 40e3 * 4 && blocks == 0) cycles *= 1.45;
    const bool flat = sliding_pointwise(p);
    if (flat) cycles *= 1.1;  // nothing is requested ahead
    // Groups: weights are laid out for few rows, and rows filled and split for few filters.
    if (p.groups > 1)
        cycles = cycles * 0.8 + c.n * c.weights() * 3.1 + c.inputs * (c.mul > 1 ? 1.1 : 0.4);
    if (c.steps() > 512 && c.mul > 4) cycles *= 1.1;  // long steps through rows split many times
    // Measured on R3D-18's first layer: rows of all taps and a block's weights do not fit L1 together.
    if (!backward && c.channels < 8 && c.steps() > 400 && c.mul == 1) cycles *= 3;
    const double far = (flat ? c.far_inputs(blocks) : 0) + c.far_weights(c.grid_rows, 1.3e-9);
    return c.repeats * (cycles / kConvHertz + far) + kConvPacked +
           conv_traffic(p) / (blocks > 0 ? 6 : 4);
}

inline double patches_seconds(const dl_conv& p) {
    const SlidingCost c = sliding_cost(p, false);
    const double vectors =
        double(p.n) * double(p.out[0]) * ceil_div(double(p.out[1] * p.out[2]), double(c.lanes));
    const double rows = 2 * ceil_div(c.rows, 2);
    // Cycles of a step of a vector: products, at least as long as one takes; the patch.
    const bool apart = p.kernel[2] == p.stride[2] && p.pad_lo[2] == 0;  // rows are patches
    const double step = __builtin_fmax(rows / kConvPorts, 2) + (apart ? 0.6 : 1.8);
    double cycles = c.groups * vectors * (c.steps() * step + rows * 1.5);
    cycles += c.weights() * 1.2 + c.inputs * (c.mul > 1 && c.taps > 1 && !apart ? 3 : 0.3);
    // A patch serves the filters of its group alone: laying it out weighs more with few of them.
    if (p.groups > 1) cycles *= 2.7;
    const bool flat = sliding_pointwise(p);  // there is nothing to lay out
    const double far = (flat ? c.far_inputs(rows / 4) : 0) + c.far_weights(c.n, 0.8e-9);
    return cycles * (flat ? 1.15 : 1) / kConvHertz + far + kConvPacked + conv_traffic(p) / 8;
}

inline double masked_seconds(const dl_conv& p, bool backward) {
    const SlidingCost c = sliding_cost(p, backward);
    // Positions are counted along rows of inputs or results, whichever are longer.
    bool moved = false, dense = true;  // rows of input are copied; results lie as they are counted
    double plane = 1;
    for (int d = 0; d < 3; ++d) {
        const int64_t residues = gemm_min(p.stride[d], p.in[d]);
        const int64_t grid = backward ? gemm_div_up(p.in[d], residues) : p.out[d];
        const int64_t in = backward ? p.out[d] : gemm_div_up(p.in[d], p.stride[d]);
        plane *= double(gemm_max(grid, in));
        moved = moved || grid > in || (!backward && p.stride[d] > 1);
        dense = dense && grid >= in && (!backward || p.stride[d] == 1);
    }
    const double blocks = ceil_div(c.rows, kMaskedFilters), filters = c.rows / blocks;
    double vectors = ceil_div(plane, double(c.lanes)), shared = plane / double(c.lanes) * 1.04;
    const bool together = vectors > shared * 1.1 && c.n > 1;  // small images share vectors
    if (together) vectors = shared;
    const double most = masked_vectors(int(__builtin_ceil(filters)));
    const double tiles = together ? vectors / most : ceil_div(vectors, most),
                 wide = vectors / tiles;
    // Cycles of a step of a tile: products, their latency, loads, of which most cross a line.
    const double step = __builtin_fmax(filters * wide / kConvPorts,
                                       __builtin_fmax(4.0, (filters + 2 * wide + 2) / 2));
    // Groups have short sums and weights laid out for few rows; single taps are taken up at once.
    const bool grouped = p.groups > 1, flat = sliding_pointwise(p);
    const double begin = grouped ? 5 : flat ? 0.5 : 1.5;  // cycles for a tap or filter of a tile
    double cycles = c.n * c.groups * blocks * tiles *
                    (c.steps() * step *
                         (grouped ? 0.75
                          : flat  ? 1.05
                                  : 0.97) +
                     (grouped ? 120 : 40) + (c.taps + filters) * wide * begin);
    cycles += c.weights() * (grouped ? 2 + c.n : 5);
    // Rows of inputs are copied, rows of results put in place.
    const double in = double(backward ? p.out[2] : p.in[2]), out = double(c.width);
    if (moved || together) cycles += c.inputs / c.repeats / in * __builtin_fmax(8.0, 0.3 * in);
    if (!dense)
        cycles +=
            c.groups * c.rows * c.grid_rows * __builtin_fmax(10.0, (grouped ? 0.3 : 1.2) * out);
    if (dense && together) cycles += c.groups * c.rows * c.positions() * 0.4;
    if (backward) cycles *= conv_narrow(p, 0.72);
    const double far = (grouped ? 0 : c.far_inputs(blocks)) + c.repeats * c.far_weights(c.n, 3e-9);
    return c.repeats * cycles / kConvHertz + far + kConvPacked / 2 +
           conv_traffic(p) / (flat ? 20 : 8);
}

template <double (*seconds)(const dl_conv&, bool), bool backward>
inline double sliding_seconds(const dl_conv& p) {
    return seconds(p, backward);
}

}  // namespace
