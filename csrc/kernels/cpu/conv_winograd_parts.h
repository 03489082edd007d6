// Which sums of small windows a convolution is, so that Winograd's minimal filtering computes it. The
// taps of one window lie as far apart as the inputs of neighbouring outputs, so
//
//   5x5            is four windows of up to 3x3,
//   3x3, stride 2  one of up to 2x2 for each residue of the input's rows and columns,
//   3x3x3          three of 3x3, one for each depth,
//   1x7            two of 1x4.
//
// To the product, the channels under each window are channels of its own: the transformed windows are
// summed at the points, and the way back is gone once. With a dilation the results of a tile lie as far
// apart as the taps.
#pragma once
#include "kernels/cpu/conv_sliding.h"
#include "kernels/cpu/conv_winograd_points.h"
#include "kernels/cpu/transpose.h"

namespace {

constexpr int kWinoTaps = 16, kWinoParts = 32;  // at most

// A window: where its first tap reads for the first output, and its taps' places in the kernel.
struct WinoPart {
    int64_t off[3];
    int64_t first, span;  // the stretch of the kernel in which they lie
    int at[kWinoTaps];    // in it; -1: not in the kernel
};

// The windows of shape S that make up a sliding product; their number, 0 when they are too many.
// step: how far the results of a tile lie apart, which is as far as the taps do.
template <class S, class T>
int wino_parts(const Sliding<T>& s, WinoPart* parts, int64_t step[2]) {
    constexpr int64_t R[3] = {1, S::R0, S::R1};
    int64_t least[3] = {0, s.taps[0].off[1], s.taps[0].off[2]}, apart[3] = {1, 1, 1};
    for (int64_t t = 0; t < s.ntaps; ++t)
        for (int d = 1; d < 3; ++d) least[d] = gemm_min(least[d], s.taps[t].off[d]);
    for (int d = 1; d < 3; ++d) {
        int64_t gap = INT64_MAX;
        for (int64_t t = 0; t < s.ntaps; ++t)
            if (s.taps[t].off[d] > least[d]) gap = gemm_min(gap, s.taps[t].off[d] - least[d]);
        const bool dense = s.mul[d] > 1 || s.out_mul[d] > 1 || R[d] == 1 || gap == INT64_MAX;
        step[d - 1] = dense ? 1 : gap;
        apart[d] = s.mul[d] * step[d - 1];
    }
    int count = 0;
    for (int64_t t = 0; t < s.ntaps; ++t) {
        const ConvTap& tap = s.taps[t];
        int64_t off[3] = {tap.off[0]}, at = 0;
        for (int d = 1; d < 3; ++d) {
            const int64_t place = (tap.off[d] - least[d]) / apart[d] % R[d];
            off[d] = tap.off[d] - place * apart[d], at = at * R[d] + place;
        }
        int i = 0;
        while (i < count && !(parts[i].off[0] == off[0] && parts[i].off[1] == off[1] &&
                              parts[i].off[2] == off[2]))
            ++i;
        WinoPart& part = parts[i];
        if (i == count) {
            if (count == kWinoParts) return 0;
            ++count;
            part = {{off[0], off[1], off[2]}, tap.w, 0, {}};
            for (int& a : part.at) a = -1;
        }
        part.first = gemm_min(part.first, tap.w), part.span = gemm_max(part.span, tap.w);
        part.at[at] = int(tap.w);
    }
    for (int i = 0; i < count; ++i) {
        parts[i].span -= parts[i].first - 1;
        for (int& a : parts[i].at)
            if (a >= 0) a -= int(parts[i].first);
    }
    return count;
}

// How many they are, summed over the residues of a gradient of the input (of which there are as many
// as the input of a forward product has), by the sizes alone.
template <class S>
int64_t wino_count_parts(const dl_conv& p) {
    constexpr int64_t R[3] = {1, S::R0, S::R1};
    int64_t count = p.kernel[0];
    for (int d = 1; d < 3; ++d) {
        int64_t here = 0;
        for (int64_t phase = 0; phase < gemm_min(p.stride[d], p.kernel[d]); ++phase)
            here += gemm_div_up(gemm_div_up(p.kernel[d] - phase, p.stride[d]), R[d]);
        count *= here;
    }
    return count;
}

// Whether windows of shape S compute p: where a dimension of them has several taps, so must the
// kernel, dilated or strided but not both. Rows of the input are read whole or every second element.
template <class S>
bool wino_applies(const dl_conv& p) {
    constexpr int64_t R[3] = {1, S::R0, S::R1};
    for (int d = 1; d < 3; ++d)
        if ((R[d] > 1 && p.kernel[d] < 2) ||
            (p.dilation[d] != 1 && p.kernel[d] != 1 && p.stride[d] != 1))
            return false;
    return p.stride[2] <= 2 && wino_count_parts<S>(p) <= kWinoParts && conv_volume(p.in) > 0 &&
           conv_volume(p.out) > 0 && p.n > 0 && p.c > 0 && p.k > 0;
}

// The taps of N rows of weights (rn of them there), row_stride apart, as vectors.
template <class S, class T>
DL_INLINE void wino_taps(const T* w, int64_t row_stride, int64_t rn, const WinoPart& part,
                         typename Vec<T>::type (&g)[S::TAPS]) {
    typedef typename Vec<T>::type V;
    constexpr int N = Vec<T>::N;
    w += part.first;
    if (part.span <= N && N >= 8) {
        V r[N];
        for (int i = 0; i < N; ++i) r[i] = i < rn ? vload_n(w + i * row_stride, part.span) : V{};
        transpose_square(r);
        for (int t = 0; t < S::TAPS; ++t) g[t] = part.at[t] < 0 ? V{} : r[part.at[t]];
    } else {
        T lanes[S::TAPS][N] = {};
        for (int64_t i = 0; i < rn; ++i)
            for (int t = 0; t < S::TAPS; ++t)
                if (part.at[t] >= 0) lanes[t][i] = w[i * row_stride + part.at[t]];
        for (int t = 0; t < S::TAPS; ++t) g[t] = vload(lanes[t]);
    }
}

// The taps of N rows and N channels of weights (rn and cn of them there), channel by channel, from the
// order in which they lie.
template <class T, class S>
class WinoTaps {
    typedef typename Vec<T>::type V;
    static constexpr int N = Vec<T>::N;

 public:
    WinoTaps(const Sliding<T>& sliding, const T* weights, int64_t rows, int64_t channels,
             const WinoPart& window)
        : s(sliding), w(weights), rn(rows), part(window), transposed(s.w_tap > 1 && s.w_row > 1) {
        if (!transposed) return;
        // Channels lie side by side: squares of N rows x N channels.
        for (int t = 0; t < S::TAPS; ++t) {
            if (part.at[t] < 0) continue;
            const T* from = w + (part.first + part.at[t]) * s.w_tap;
            V r[N];
            for (int i = 0; i < N; ++i) r[i] = i < rn ? vload_n(from + i * s.w_row, channels) : V{};
            transpose_square(r);
            for (int j = 0; j < N; ++j) square[t][j] = r[j];
        }
    }
    // Those of channel j, which is there.
    void of(int64_t j, V (&g)[S::TAPS]) const {
        if (transposed) {
            for (int t = 0; t < S::TAPS; ++t) g[t] = part.at[t] < 0 ? V{} : square[t][j];
        } else if (s.w_tap > 1) {
            const T* from = w + j * s.w_channel + part.first * s.w_tap;
            for (int t = 0; t < S::TAPS; ++t)
                g[t] = part.at[t] < 0 ? V{} : vload_n(from + part.at[t] * s.w_tap, rn);
        } else {
            const T* from = w + j * s.w_channel;
            // The rows are too many, or the channels too far apart, for the processor to see what
            // comes.
            for (int64_t r = 0; r < rn; ++r)
                __builtin_prefetch(from + r * s.w_row + 8 * s.w_channel + part.first);
            wino_taps<S>(from, s.w_row, rn, part, g);
        }
    }

 private:
    const Sliding<T>& s;
    const T* w;
    int64_t rn;
    const WinoPart& part;
    bool transposed;
    V square[S::TAPS][N];
};

// Transforms the filters of N rows and one channel: value x to u + x * step.
template <class S, class T>
DL_INLINE void wino_filter(const typename Vec<T>::type (&g)[S::TAPS], T* u, int64_t step) {
    typedef typename Vec<T>::type V;
    V columns[S::R1][S::A0];
#pragma GCC unroll 4
    for (int s = 0; s < S::R1; ++s) {
        V d[S::R0];
#pragma GCC unroll 4
        for (int r = 0; r < S::R0; ++r) d[r] = g[r * S::R1 + s];
        S::template Down<T>::filter(d, columns[s]);
    }
#pragma GCC unroll 8
    for (int i = 0; i < S::A0; ++i) {
        V d[S::R1], v[S::A1];
#pragma GCC unroll 4
        for (int s = 0; s < S::R1; ++s) d[s] = columns[s][i];
        S::template Across<T>::filter(d, v);
#pragma GCC unroll 8
        for (int j = 0; j < S::A1; ++j) vstore(u + (i * S::A1 + j) * step, v[j]);
    }
}

}  // namespace
