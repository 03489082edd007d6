// What a convolution costs and how exact it is: the model behind the choice of an algorithm.
//
// A row of an algorithm list predicts its time on one thread from the shape and the instruction set alone:
// never from the number of threads, so that the choice, and with it the bits, does not depend on
// it. The constants are fitted to measurements (docs/kernels.md tells how); what matters is which
// of two algorithms comes out lower, not the figure itself.
#pragma once
#include "kernels/conv.h"
#include "kernels/cpu/conv_pointwise_weight.h"
#include "kernels/cpu/conv_sliding.h"
#include "kernels/cpu/conv_weight_rows.h"

namespace {

// Products a core makes in a second at its peak, for vectors of T: two of them per cycle at 4 GHz
// (without fused instructions, one).
template <class T>
constexpr double conv_peak() {
    return 4e9 * Vec<T>::N * (DL_VEC_BYTES > 16 ? 2 : 1);
}
DL_INLINE double conv_peak(const dl_conv& p) {
    return p.dtype == DL_F64 ? conv_peak<double>() : conv_peak<float>();
}
constexpr double kConvBandwidth = 20e9;  // bytes a core moves in a second, beyond its caches
constexpr double kConvCycle = 0.25e-9;   // seconds
constexpr double kConvHertz = 3.7e9;     // cycles in a second under full load

// What groups take with vectors below 64 bytes, of what the model says, whose figures were fitted to
// AVX-512: measured on the layers of ResNeXt and RegNet with AVX2.
DL_INLINE double conv_narrow(const dl_conv& p, double factor) {
    return DL_VEC_BYTES < 64 && p.groups > 1 ? factor : 1;
}
constexpr double kConvL2 = 1 << 20;  // bytes

DL_INLINE double conv_element(const dl_conv& p) { return p.dtype == DL_F64 ? 8 : 4; }
DL_INLINE double conv_eps(const dl_conv& p) { return p.dtype == DL_F64 ? 0x1p-53 : 0x1p-24; }

// Products of the definition, the same for all three passes.
DL_INLINE double conv_macs(const dl_conv& p) {
    return double(p.n) * double(p.k) * double(p.c / p.groups) * double(conv_volume(p.kernel)) *
           double(conv_volume(p.out));
}
DL_INLINE double conv_x_size(const dl_conv& p) {
    return double(p.n) * double(p.c) * double(conv_volume(p.in));
}
DL_INLINE double conv_y_size(const dl_conv& p) {
    return double(p.n) * double(p.k) * double(conv_volume(p.out));
}
DL_INLINE double conv_w_size(const dl_conv& p) {
    return double(p.k) * double(p.c / p.groups) * double(conv_volume(p.kernel));
}
// Reading and writing x, w and y once.
DL_INLINE double conv_traffic(const dl_conv& p) {
    return (conv_x_size(p) + conv_y_size(p) + conv_w_size(p)) * conv_element(p) / kConvBandwidth;
}
// The share of the products whose input is not in the padding.
DL_INLINE double conv_inside(const dl_conv& p) {
    double share = 1;
    for (int d = 0; d < 3; ++d) {
        double inside = 0;
        for (int64_t r = 0; r < p.kernel[d]; ++r) {
            const int64_t off = r * p.dilation[d] - p.pad_lo[d];  // of output 0
            const int64_t lo = gemm_max(0, -floor_div(off, p.stride[d]));
            const int64_t hi = gemm_min(p.out[d], floor_div(p.in[d] - 1 - off, p.stride[d]) + 1);
            inside += double(gemm_max(0, hi - lo));
        }
        share *= inside / double(gemm_max(1, p.kernel[d] * p.out[d]));
    }
    return share;
}
// Length of the sums that a pass makes.
DL_INLINE double conv_terms(const dl_conv& p, dl_conv_pass pass) {
    const double taps = double(conv_volume(p.kernel));
    if (pass == DL_CONV_FORWARD) return taps * double(p.c / p.groups);
    if (pass == DL_CONV_BACKWARD_INPUT) return taps * double(p.k / p.groups);
    return double(p.n) * double(conv_volume(p.out));
}
// The largest error of plain summation in blocks of a few hundred terms, relative to the largest
// result, as measured on normally distributed data: it grows with the root of the block.
DL_INLINE double conv_sum_error(const dl_conv& p, dl_conv_pass pass) {
    const double terms = conv_terms(p, pass);
    return conv_eps(p) * (1 + 0.3 * __builtin_sqrt(terms < 512 ? terms : 512));
}

// The gradient of the weights as a matrix product. Pointwise: products, and both factors transposed.
inline double weight_gemm_flat_seconds(const dl_conv& p) {
    const double lanes = DL_VEC_BYTES / conv_element(p), groups = double(p.groups);
    const double steps = double(p.n) * double(conv_volume(p.out));
    const double rows = __builtin_fmax(4, 2 * __builtin_ceil(double(p.k / p.groups) / 2));
    const double columns = __builtin_ceil(double(p.c / p.groups) / lanes) * lanes;
    const double copies = (rows + columns) * steps * 0.5 + rows * columns * 0.05;
    return groups * (rows * columns * steps * 1.1 / conv_peak(p) + copies * kConvCycle) +
           conv_traffic(p) / 50;
}
// Else: products, patches and transposition of the result.
inline double weight_gemm_seconds(const dl_conv& p) {
    if (is_pointwise(p)) return weight_gemm_flat_seconds(p);
    const double tile = DL_GEMM_NV * DL_VEC_BYTES / conv_element(p), groups = double(p.groups);
    const double rows = double(p.k / p.groups), steps = double(p.n) * double(conv_volume(p.out));
    const double columns = double(p.c / p.groups * conv_volume(p.kernel));
    const double padded = __builtin_ceil(columns / tile) * tile;
    const double products = (rows < 4 ? 4 : rows) * padded * steps / (0.9 * conv_peak(p));
    const double copies = padded * steps * 0.2 + rows * columns * 0.35;
    const double stores = rows * padded * conv_element(p) / DL_VEC_BYTES * 8;
    // Channels are put last four at a time, what is left of them one by one, for each block of columns.
    const double odd = conv_x_size(p) / double(p.c) * double(p.c / p.groups % 4);
    const double turns = conv_volume(p.kernel) > 1 ? odd * __builtin_ceil(columns / 256) * 1.5 : 0;
    // Measured on TextCNN: patches of sequences, whose windows are one row, are laid out slowly.
    const double line = p.out[0] * p.out[1] == 1 ? padded * steps * 1.6 : 0;
    return conv_narrow(p, 1.5) * groups *
               (products + (copies + stores + turns + line) * kConvCycle) +
           conv_traffic(p) / 1.5;
}
// Tiles of dot products of planes, and their reduction after each stretch.
inline double weight_pointwise_seconds(const dl_conv& p) {
    const double lanes = DL_VEC_BYTES / conv_element(p), plane = double(conv_volume(p.out));
    const double rows = double(p.k / p.groups), columns = double(p.c / p.groups);
    const double tiles =
        __builtin_ceil(rows / PlaneTile<float>::A) * __builtin_ceil(columns / PlaneTile<float>::B);
    const double sums = rows * columns / tiles;  // of a tile
    const double steps = double(p.n) * __builtin_ceil(plane / lanes);
    const double step = __builtin_fmax(sums / (DL_VEC_BYTES > 16 ? 2 : 1), 4);
    const double stretch = double(point_stretch(conv_volume(p.out)));
    const double stretches = __builtin_ceil(double(p.n) * plane / stretch);
    // Long stretches come through L1 from L2; lines that vectors cross are read twice.
    const bool crossing = DL_VEC_BYTES == 64 && conv_volume(p.out) % int64_t(lanes) != 0;
    const double each = plane > 8192 ? 1.03 : crossing ? 1.4 : 1.16;
    const double cycles = tiles * (steps * step * each + stretches * 3.5 * sums);
    return double(p.groups) * cycles / 3.7e9 + conv_traffic(p) / 15;
}
// Without patches: filters as lanes, a few channels at a time. store: cycles to put an element of dw
// in its place.
inline double weight_rows_cost(const dl_conv& p, double store) {
    const double lanes = DL_VEC_BYTES / conv_element(p), filters = double(p.k / p.groups);
    const double width = filters > lanes ? 2 * lanes : lanes, in = double(p.c / p.groups);
    const double slivers = __builtin_ceil(filters / width), most = DL_GEMM_MR;
    const double cgroups = __builtin_ceil(in / most), channels = in / cgroups;
    const bool flat = is_pointwise(p);  // then an image is one run
    const double rows = double(flat ? p.n : p.n * p.out[0] * p.out[1]);
    const double length = double(flat ? conv_volume(p.out) : p.out[2]);
    const double taps = double(conv_volume(p.kernel));
    // Cycles of a step: products, their latency, loads.
    const double vectors = width / lanes, ports = DL_VEC_BYTES > 16 ? 2 : 1;
    const double step = __builtin_fmax(vectors * channels / ports,
                                       __builtin_fmax(4.0, (channels + 2 * vectors) / 2));
    const double runs = cgroups * slivers * taps * rows * conv_inside(p);
    const double few = in < 6 ? 1.5 : 1;  // little to do for each load
    // dy is laid out anew, which takes longer where an image of it does not stay in L2.
    const double image = filters * double(conv_volume(p.out)) * conv_element(p);
    const double far = flat ? 1.8 * __builtin_fmax(0.0, 1 - kConvL2 / image) : 0;
    const double cycles = runs * (length * step * 1.03 + 8) * few +
                          slivers * width * rows * length * (0.5 + far) +
                          in * taps * filters * store;
    // dy is read again for each group of channels, which costs most when no cache holds it.
    const double dy = flat ? 0 : conv_y_size(p) * conv_element(p);
    const double again = cgroups * dy * (1 / 600e9 + (dy > 16e6 ? 1 / 40e9 : 0));
    return double(p.groups) * cycles * kConvCycle + again + conv_traffic(p) / 4;
}
inline double weight_rows_seconds(const dl_conv& p) { return weight_rows_cost(p, 0.7); }
// Turned, planes of x longer than a page are laid out more slowly than those of dy.
inline double weight_rows_turned_seconds(const dl_conv& p) {
    const bool pages = double(conv_volume(p.in)) * conv_element(p) > 8192;
    return weight_rows_cost(weight_turned(p), 0.2) +
           (pages ? 1.2 * conv_x_size(p) * kConvCycle : 0);
}
// A vector of sums per tap, and its reduction in the end.
inline double weight_depthwise_seconds(const dl_conv& p) {
    const double lanes = DL_VEC_BYTES / conv_element(p);
    const double rows = double(p.out[0] * p.out[1]) * __builtin_ceil(double(p.out[2]) / lanes);
    return double(p.n * p.k * conv_volume(p.kernel)) * (0.75 * rows + 25) * kConvCycle +
           conv_traffic(p) / 1.5;
}

}  // namespace
