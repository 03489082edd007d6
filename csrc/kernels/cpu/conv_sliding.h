// The one product behind convolution forward and its gradient of the input: a set of taps slides
// over planes,
//
//   dst[n, m, o * out_mul + out_base] = bias[m] + sum over channel, tap:
//       w[m * w_row + channel * w_channel + tap.w] * src[n, channel, o * mul + tap.off]
//
// for all o of a grid, with 0 read outside of src. Forward: mul = stride, one grid of all outputs.
// Gradient of the input: the positions of x are sorted by their residue modulo the stride; each
// residue is a grid of its own with those taps that meet it, so nothing is multiplied by zeros that
// a stride put there, and every element of dx is written once.
#pragma once
#include "kernels/conv.h"
#include "kernels/cpu/conv_finish.h"
#include "kernels/cpu/gemm_core.h"
#include "kernels/parallel.h"

namespace {

struct ConvTap {
    int64_t off[3];
    int64_t lo[3], hi[3];  // o in [lo, hi) reads inside of src
    int64_t w;             // position in the kernel
};

template <class T>
struct Sliding {
    int64_t n, groups, rows, channels;  // rows and channels of one group
    int64_t volume, ntaps;              // taps of the kernel, and those that count here
    const ConvTap* taps;
    int64_t grid[3], mul[3], out_mul[3], out_base[3];

    const T* src;
    int64_t in[3], src_plane, src_pixel,
        src_image;  // from a channel, a column, an image to the next
    T* dst;
    int64_t out[3], dst_plane, dst_pixel, dst_image;
    const T* w;
    int64_t w_group, w_row, w_channel, w_tap;
    const T* bias;         // or null
    ConvFinish<T> finish;  // of forward

    int64_t positions() const { return grid[0] * grid[1] * grid[2]; }
    int64_t columns() const { return n * positions(); }
    int64_t steps() const { return channels * ntaps; }
};

DL_INLINE int64_t conv_volume(const int64_t s[3]) { return s[0] * s[1] * s[2]; }

DL_INLINE int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

// Completes a tap whose off and w are set.
inline void bound_tap(ConvTap* t, const int64_t in[3], const int64_t mul[3],
                      const int64_t grid[3]) {
    for (int d = 0; d < 3; ++d) {
        t->lo[d] = gemm_max(0, -floor_div(t->off[d], mul[d]));
        t->hi[d] = gemm_min(grid[d], floor_div(in[d] - 1 - t->off[d], mul[d]) + 1);
    }
}

// How images and weights lie in memory: sets the strides of a product whose sizes are set. filters,
// channels: of a group.
template <class T>
void sliding_strides(const dl_conv& p, bool backward, Sliding<T>* s) {
    const int64_t volume = conv_volume(p.kernel), filters = p.k / p.groups,
                  channels = p.c / p.groups;
    const int64_t w_tap = p.w_channels_last ? channels : 1,
                  w_channel = p.w_channels_last ? 1 : volume;
    const int64_t from = backward ? p.k : p.c, to = backward ? p.c : p.k;
    s->src_plane = p.channels_last ? 1 : conv_volume(s->in);
    s->src_pixel = p.channels_last ? from : 1, s->src_image = from * conv_volume(s->in);
    s->dst_plane = p.channels_last ? 1 : conv_volume(s->out);
    s->dst_pixel = p.channels_last ? to : 1, s->dst_image = to * conv_volume(s->out);
    s->w_row = backward ? w_channel : channels * volume;
    s->w_channel = backward ? channels * volume : w_channel;
    s->w_tap = w_tap, s->w_group = filters * channels * volume;
}

// The forward product; `taps` has room for the kernel's volume.
template <class T>
Sliding<T> sliding_forward(const dl_conv& p, ConvTap* taps) {
    Sliding<T> s;
    s.n = p.n, s.groups = p.groups, s.rows = p.k / p.groups, s.channels = p.c / p.groups;
    s.volume = s.ntaps = conv_volume(p.kernel), s.taps = taps;
    for (int d = 0; d < 3; ++d) {
        s.grid[d] = s.out[d] = p.out[d];
        s.in[d] = p.in[d], s.mul[d] = p.stride[d], s.out_mul[d] = 1, s.out_base[d] = 0;
    }
    s.src = static_cast<const T*>(p.x), s.dst = static_cast<T*>(p.y);
    s.w = static_cast<const T*>(p.w);
    sliding_strides(p, false, &s);
    s.bias = static_cast<const T*>(p.bias), s.finish = ConvFinish<T>(p);
    for (int64_t r = 0; r < s.ntaps; ++r) {
        const int64_t at[3] = {r / p.kernel[2] / p.kernel[1], r / p.kernel[2] % p.kernel[1],
                               r % p.kernel[2]};
        for (int d = 0; d < 3; ++d) taps[r].off[d] = at[d] * p.dilation[d] - p.pad_lo[d];
        taps[r].w = r;
        bound_tap(taps + r, p.in, p.stride, p.out);
    }
    return s;
}

// The gradient of x at the positions with residue `phase` modulo the stride.
template <class T>
Sliding<T> sliding_backward(const dl_conv& p, const int64_t phase[3], ConvTap* taps) {
    Sliding<T> s;
    s.n = p.n, s.groups = p.groups, s.rows = p.c / p.groups, s.channels = p.k / p.groups;
    for (int d = 0; d < 3; ++d) {
        s.grid[d] = phase[d] < p.in[d] ? (p.in[d] - phase[d] - 1) / p.stride[d] + 1 : 0;
        s.in[d] = p.out[d], s.mul[d] = 1;
        s.out[d] = p.in[d], s.out_mul[d] = p.stride[d], s.out_base[d] = phase[d];
    }
    const int64_t volume = conv_volume(p.kernel);
    s.src = static_cast<const T*>(p.y), s.dst = static_cast<T*>(p.x);
    s.w = static_cast<const T*>(p.w);
    sliding_strides(p, true, &s);
    s.bias = static_cast<const T*>(p.bias);
    s.volume = volume, s.ntaps = 0, s.taps = taps;
    for (int64_t r = 0; r < volume; ++r) {
        ConvTap& t = taps[s.ntaps];
        const int64_t at[3] = {r / p.kernel[2] / p.kernel[1], r / p.kernel[2] % p.kernel[1],
                               r % p.kernel[2]};
        bool meets = true;
        for (int d = 0; d < 3; ++d) {
            const int64_t q = phase[d] + p.pad_lo[d] - at[d] * p.dilation[d];
            t.off[d] = floor_div(q, p.stride[d]);
            meets = meets && t.off[d] * p.stride[d] == q;
        }
        if (!meets) continue;
        t.w = r;
        bound_tap(&t, s.in, s.mul, s.grid);
        ++s.ntaps;
    }
    return s;
}

// ---- room for taps, residues in turn --------------------------------------------------------------

constexpr int kTapsSlot = 2;  // packers and products use the other slots of scratch memory

inline ConvTap* taps_for(const dl_conv& p) {
    const int64_t count = gemm_max(1, conv_volume(p.kernel));
    return static_cast<ConvTap*>(dl_scratch(size_t(count) * sizeof(ConvTap), kTapsSlot));
}

// Whether every residue modulo the stride meets some tap.
inline bool residues_all_meet(const dl_conv& p) {
    for (int d = 0; d < 3; ++d) {
        int64_t met = 0;
        for (int64_t residue = 0; residue < p.stride[d]; ++residue)
            for (int64_t r = 0; r < gemm_min(p.kernel[d], p.stride[d]); ++r)
                if (r * p.dilation[d] % p.stride[d] == residue) {
                    ++met;
                    break;
                }
        if (met < p.stride[d]) return false;
    }
    return true;
}

// f(Sliding) for each residue of the gradient of the input. Where some residues meet no tap all of dx
// is zeroed first, which is quicker than writing zeros between the others.
template <class T, class F>
dl_status each_residue(const dl_conv& p, const F& f) {
    ConvTap* taps = taps_for(p);
    if (!taps) return DL_OUT_OF_MEMORY;
    const bool zeroed = !p.bias && !residues_all_meet(p);
    T* x = static_cast<T*>(p.x);
    if (zeroed)
        parallel_for(p.n * p.c * conv_volume(p.in), 1 << 16, [&](int64_t begin, int64_t end) {
            memset(x + begin, 0, size_t(end - begin) * sizeof(T));
        });
    int64_t at[3], residues[3];  // those that some position has
    for (int d = 0; d < 3; ++d) residues[d] = gemm_min(p.stride[d], p.in[d]);
    for (at[0] = 0; at[0] < residues[0]; ++at[0])
        for (at[1] = 0; at[1] < residues[1]; ++at[1])
            for (at[2] = 0; at[2] < residues[2]; ++at[2]) {
                const Sliding<T> s = sliding_backward<T>(p, at, taps);
                if (zeroed && s.ntaps == 0) continue;
                const dl_status status = f(s);
                if (status != DL_OK) return status;
            }
    return DL_OK;
}

// No tap meets the grid: bias, or zeros.
template <class T>
void sliding_empty(const Sliding<T>& s) {
    parallel_for(s.n * s.groups * s.rows, 16, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            const int64_t n = r / (s.groups * s.rows), m = r % (s.groups * s.rows);
            const T value = s.bias ? s.bias[m] : T(0);
            for (int64_t j = 0; j < s.positions(); ++j) {
                const int64_t o2 = j % s.grid[2], o1 = j / s.grid[2] % s.grid[1];
                const int64_t o0 = j / s.grid[2] / s.grid[1];
                const int64_t row = (o0 * s.out_mul[0] + s.out_base[0]) * s.out[1] +
                                    o1 * s.out_mul[1] + s.out_base[1];
                s.dst[n * s.dst_image + m * s.dst_plane +
                      (row * s.out[2] + o2 * s.out_mul[2] + s.out_base[2]) * s.dst_pixel] = value;
            }
            if (s.finish.on)
                conv_finish_rows(s.finish, m, s.dst + n * s.dst_image + m * s.dst_plane, 0, 1,
                                 s.positions());
        }
    });
}
// Whether there is nothing to sum up: no result, or only those that no tap meets, which are written.
template <class T>
bool sliding_without_sums(const Sliding<T>& s) {
    if (s.columns() == 0 || s.rows == 0) return true;
    if (s.steps() != 0) return false;
    sliding_empty(s);
    return true;
}

}  // namespace
