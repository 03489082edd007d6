// Depthwise convolution of small planes, with channels as lanes: the planes of N channels of an image
// are transposed, so that every element is a vector of N channels, with zeros around it. No lane is
// idle however short the rows are, and strides and dilations are a matter of addresses.
#pragma once
#include "kernels/cpu/conv_depthwise_rows.h"
#include "kernels/cpu/transpose.h"

namespace {

constexpr int kLanesRow = 8;  // sums that are made at once, at most

// Sizes and places of an image's N planes in scratch memory, counted in vectors.
struct DepthwiseLanes {
    int64_t channels;         // of x and of y
    int64_t in, out;          // elements of a plane of what is read and of what is made
    int64_t width;            // of the padded rows
    int64_t padded, from[2];  // of what is read: padded size, and where its element (0, 0) lies
    int64_t weights, sums, result;  // places; the padded plane is at 0
    int64_t bytes;                  // of all this and of the list of places
};

template <class T>
DL_INLINE void lanes_transpose(typename Vec<T>::type (&v)[Vec<T>::N]) {
    if constexpr (sizeof(T) == 4)
        transpose_square(v);
    else
        vtranspose<T>(v);
}

// Element i of `channels` (at most N) rows, `stride` apart, becomes vector to[place[i]], for all
// `count` elements.
template <class T>
void lanes_gather(const T* rows, int64_t stride, int64_t channels, int64_t count,
                  const int32_t* place, T* to) {
    constexpr int N = Vec<T>::N;
    for (int64_t i = 0; i < count; i += N) {
        if (count >= N) i = gemm_min(i, count - N);
        typename Vec<T>::type v[N];
#pragma GCC unroll 16
        for (int k = 0; k < N; ++k) {
            const T* row = rows + gemm_min(k, channels - 1) * stride + i;
            v[k] = count >= N ? vload(row) : vload_n(row, count);
        }
        lanes_transpose<T>(v);
        const int64_t some = gemm_min(count - i, N);
        if (some == N) {
#pragma GCC unroll 16
            for (int k = 0; k < N; ++k) vstore(to + place[i + k] * N, v[k]);
        } else {
            for (int64_t k = 0; k < some; ++k) vstore(to + place[i + k] * N, v[k]);
        }
    }
}

// The way back, from `count` vectors (and room to N of them) one after another.
template <class T>
void lanes_scatter(const T* from, int64_t count, T* rows, int64_t stride, int64_t channels) {
    constexpr int N = Vec<T>::N;
    for (int64_t i = 0; i < count; i += N) {
        if (count >= N) i = gemm_min(i, count - N);
        typename Vec<T>::type v[N];
#pragma GCC unroll 16
        for (int k = 0; k < N; ++k) v[k] = vload(from + (i + k) * N);
        lanes_transpose<T>(v);
        if (count >= N && channels == N) {
#pragma GCC unroll 16
            for (int k = 0; k < N; ++k) vstore(rows + k * stride + i, v[k]);
        } else {
            for (int64_t k = 0; k < channels; ++k)
                vstore_n(rows + k * stride + i, v[k], gemm_min(count, N));
        }
    }
}

// The hardware does not know which image comes next.
template <class T>
DL_INLINE void lanes_prefetch(const T* p, int64_t count) {
    for (int64_t i = 0; i < count; i += 64 / int64_t(sizeof(T))) __builtin_prefetch(p + i);
}

// Taps of a row of results: where their weights lie, and what they see relative to the first result's,
// counted in elements.
struct LanesTaps {
    int count;
    int32_t weight[kDepthwiseWidth * kDepthwiseWidth];
    int32_t at[kDepthwiseWidth * kDepthwiseWidth];
};

// to[c * to_step] = start + sum over taps [begin, end): weight * x[at + c * S], for C results.
template <class T, int S, int C>
DL_INLINE void lanes_sum(const LanesTaps& taps, int begin, int end, const T* w, const T* x,
                         typename Vec<T>::type start, T* to, int64_t to_step) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    vec acc[C];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) acc[c] = start;
    for (int t = begin; t < end; ++t) {
        const vec weight = vload(w + taps.weight[t]);
        const T* p = x + taps.at[t];
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) acc[c] += weight * vload(p + c * S * N);
    }
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) vstore(to + c * to_step * N, acc[c]);
}

// A row of `count` results, in parts of about the same size.
template <class T, int S>
void lanes_row(const LanesTaps& taps, int begin, int end, const T* w, const T* x,
               typename Vec<T>::type start, T* to, int64_t to_step, int64_t count) {
    constexpr int N = Vec<T>::N;
    for (int64_t parts = gemm_div_up(count, kLanesRow); parts > 0; --parts) {
        const int64_t some = gemm_div_up(count, parts);
        const auto run = [&](auto c) {
            lanes_sum<T, S, decltype(c)::value>(taps, begin, end, w, x, start, to, to_step);
        };
        switch (some) {
            case 1:
                run(DepthwiseInt<1>{});
                break;
            case 2:
                run(DepthwiseInt<2>{});
                break;
            case 3:
                run(DepthwiseInt<3>{});
                break;
            case 4:
                run(DepthwiseInt<4>{});
                break;
            case 5:
                run(DepthwiseInt<5>{});
                break;
            case 6:
                run(DepthwiseInt<6>{});
                break;
            case 7:
                run(DepthwiseInt<7>{});
                break;
            default:
                run(DepthwiseInt<8>{});
                break;
        }
        count -= some, x += some * S * N, to += some * to_step * N;
    }
}

// Adds the products of dy and of x under R rows of taps of K columns; x at the first of the taps.
template <class T, int R, int K>
void lanes_taps(const dl_conv& p, int64_t width, const T* x, const T* dy, T* sums) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    vec acc[R * K];
#pragma GCC unroll 32
    for (int t = 0; t < R * K; ++t) acc[t] = vload(sums + t * N);
    const int64_t row = p.dilation[1] * width * N, column = p.dilation[2] * N;
    for (int64_t o = 0; o < p.out[1]; ++o) {
        const T* at = x + o * p.stride[1] * width * N;
        for (int64_t c = 0; c < p.out[2]; ++c, at += p.stride[2] * N, dy += N) {
            const vec g = vload(dy);
#pragma GCC unroll 8
            for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
                for (int s = 0; s < K; ++s) acc[r * K + s] += g * vload(at + r * row + s * column);
        }
    }
#pragma GCC unroll 32
    for (int t = 0; t < R * K; ++t) vstore(sums + t * N, acc[t]);
}

// All rows of taps, as many at once as the registers hold sums.
template <class T, int K>
void lanes_window(const dl_conv& p, int64_t width, const T* x, const T* dy, T* sums) {
    constexpr int most = DL_VEC_BYTES == 64 ? (K == 7 ? 4 : K) : K == 3 ? 3 : K == 5 ? 2 : 1;
    constexpr int rest = K % most;
    const int64_t row = p.dilation[1] * width * Vec<T>::N;
    int r = 0;
    for (; r + most <= K; r += most)
        lanes_taps<T, most, K>(p, width, x + r * row, dy, sums + r * K * Vec<T>::N);
    if constexpr (rest > 0)
        lanes_taps<T, rest, K>(p, width, x + r * row, dy, sums + r * K * Vec<T>::N);
}

// ---- the three products ------------------------------------------------------------------------

DL_INLINE bool lanes_zip(const dl_conv& p, DepthwisePass pass) {
    return pass == DepthwisePass::kBackwardInput && p.stride[1] == 2;
}

// What the planes of a pass take. Around a plane of dy that is zipped lie as many zeros as a window
// has rows; otherwise the padding, and what a window reaches over.
template <class T>
DepthwiseLanes lanes_layout(const dl_conv& p, const DepthwiseShape& d, DepthwisePass pass) {
    constexpr int N = Vec<T>::N;
    const bool weight = pass == DepthwisePass::kBackwardWeight;
    const int64_t window = p.kernel[1] * p.kernel[2];
    int64_t size[2];
    DepthwiseLanes l;
    for (int i = 0; i < 2; ++i) {
        const int64_t k = p.kernel[1 + i], reach = (k - 1) * d.dilation[i];
        if (lanes_zip(p, pass)) {
            l.from[i] = k;
            size[i] = k + gemm_max((d.out[i] + d.pad[i]) / 2 + 1, d.in[i]);
        } else {
            const int64_t stride = pass == DepthwisePass::kBackwardInput ? 1 : p.stride[1 + i];
            l.from[i] = d.pad[i];
            size[i] = gemm_max((d.out[i] - 1) * stride + reach + 1, d.pad[i] + d.in[i]);
        }
    }
    l.channels = p.c, l.in = d.in[0] * d.in[1], l.out = d.out[0] * d.out[1], l.width = size[1];
    l.padded = size[0] * size[1];
    l.weights = l.padded, l.sums = l.weights + gemm_round_up(window, N);
    l.result = l.sums + (weight ? gemm_round_up(window, N) : 0);
    const int64_t vectors = l.result + gemm_round_up(l.out, N);
    const int64_t places = gemm_max(gemm_max(l.in, l.out), window);
    l.bytes = vectors * DL_VEC_BYTES + 2 * places * int64_t(sizeof(int32_t));
    return l;
}

// The places of a plane's elements in the padded one, and numbers from 0.
inline void lanes_places(const DepthwiseLanes& l, const DepthwiseShape& d, int32_t* place,
                         int32_t* plain, int64_t count) {
    for (int64_t row = 0; row < d.in[0]; ++row)
        for (int64_t column = 0; column < d.in[1]; ++column)
            *place++ = int32_t((l.from[0] + row) * l.width + l.from[1] + column);
    for (int64_t i = 0; i < count; ++i) plain[i] = int32_t(i);
}

// Taps from (r0, s0) on, every second one if zipped, in the order in which a window slides; a zipped
// one slides backwards.
template <class T>
LanesTaps lanes_taps_from(const dl_conv& p, const DepthwiseLanes& l, DepthwisePass pass, int r0,
                          int s0) {
    constexpr int N = Vec<T>::N;
    const int k = int(p.kernel[1]), step = lanes_zip(p, pass) ? 2 : 1;
    const bool turned = pass == DepthwisePass::kBackwardInput && step == 1;
    LanesTaps taps;
    taps.count = 0;
    for (int r = r0; r < k; r += step)
        for (int s = s0; s < k; s += step) {
            const int64_t row = step == 2 ? -(r / 2) : r * p.dilation[1];
            const int64_t column = step == 2 ? -(s / 2) : s * p.dilation[2];
            taps.weight[taps.count] = (turned ? k * k - 1 - r * k - s : r * k + s) * N;
            taps.at[taps.count++] = int32_t((row * l.width + column) * N);
        }
    return taps;
}

// Forward, and at stride 1 the gradient of the input, the window turned.
template <class T, int S>
void lanes_slide(const DepthwiseShape& d, const DepthwiseLanes& l, const LanesTaps& taps,
                 typename Vec<T>::type start, T* memory) {
    constexpr int N = Vec<T>::N;
    const int k = int(d.width);
    for (int64_t o = 0; o < d.out[0]; ++o) {
        int begin = 0, end = k;  // rows of the window that lie in the plane
        const int64_t top = o * S - d.pad[0];
        while (begin < k && top + begin * d.dilation[0] < 0) ++begin;
        while (end > begin && top + (end - 1) * d.dilation[0] >= d.in[0]) --end;
        lanes_row<T, S>(taps, begin * k, end * k, memory + l.weights * N,
                        memory + o * S * l.width * N, start, memory + (l.result + o * d.out[1]) * N,
                        1, d.out[1]);
    }
}

// The gradient of the input at stride 2: with q = i + pad, row q of dx meets rows (q - r) / 2 of dy for
// the taps r of q's parity, and so do columns. taps: of the four parities of rows and columns.
template <class T>
void lanes_slide_zip(const DepthwiseShape& d, const DepthwiseLanes& l, const LanesTaps (&taps)[4],
                     T* memory) {
    constexpr int N = Vec<T>::N;
    for (int phase = 0; phase < 4; ++phase) {
        const int64_t i0 = (phase / 2 + d.pad[0]) % 2, j0 = (phase % 2 + d.pad[1]) % 2;
        if (j0 >= d.out[1]) continue;
        for (int64_t i = i0; i < d.out[0]; i += 2) {
            const int64_t row = l.from[0] + (i + d.pad[0]) / 2;
            const int64_t column = l.from[1] + (j0 + d.pad[1]) / 2;
            lanes_row<T, 1>(taps[phase], 0, taps[phase].count, memory + l.weights * N,
                            memory + (row * l.width + column) * N, typename Vec<T>::type{},
                            memory + (l.result + i * d.out[1] + j0) * N, 2,
                            (d.out[1] - j0 + 1) / 2);
        }
    }
}

constexpr int64_t kLanesImages = 8;  // of a task, for which weights are transposed once

template <class T, DepthwisePass pass>
dl_status depthwise_lanes(const dl_conv& p) {
    constexpr int N = Vec<T>::N;
    constexpr bool forward = pass == DepthwisePass::kForward;
    const DepthwiseShape d = depthwise_shape(p, pass);
    const DepthwiseLanes l = lanes_layout<T>(p, d, pass);
    const int64_t blocks = gemm_div_up(p.c, N), window = p.kernel[1] * p.kernel[2];
    const T* src = static_cast<const T*>(forward ? p.x : p.y);
    T* dst = static_cast<T*>(forward ? p.y : p.x);
    const ConvFinish<T> finish = forward ? ConvFinish<T>(p) : ConvFinish<T>();
    LanesTaps taps[4];
    for (int phase = 0; phase < (lanes_zip(p, pass) ? 4 : 1); ++phase)
        taps[phase] = lanes_taps_from<T>(p, l, pass, phase / 2, phase % 2);
    int failed = 0;
    parallel_for(gemm_div_up(p.n, kLanesImages) * blocks, 1, [&](int64_t task, int64_t) {
        T* memory = static_cast<T*>(dl_scratch(size_t(l.bytes), 1));
        if (!memory) {
            __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            return;
        }
        const int64_t c = task % blocks * N, channels = gemm_min(p.c - c, N);
        int32_t* place =
            reinterpret_cast<int32_t*>(memory + (l.result + gemm_round_up(l.out, N)) * N);
        int32_t* plain = place + l.in;
        lanes_places(l, d, place, plain, window);
        memset(memory, 0, size_t(l.padded) * DL_VEC_BYTES);
        lanes_gather(static_cast<const T*>(p.w) + c * window, window, channels, window, plain,
                     memory + l.weights * N);
        const auto start =
            p.bias ? vload_n(static_cast<const T*>(p.bias) + c, channels) : typename Vec<T>::type{};
        const int64_t first = task / blocks * kLanesImages;
        for (int64_t n = first; n < gemm_min(p.n, first + kLanesImages); ++n) {
            lanes_gather(src + (n * p.c + c) * l.in, l.in, channels, l.in, place, memory);
            lanes_prefetch(src + ((n + 1) * p.c + c) * l.in, channels * l.in);
            lanes_prefetch(dst + ((n + 1) * p.c + c) * l.out, channels * l.out);
            if (lanes_zip(p, pass))
                lanes_slide_zip<T>(d, l, taps, memory);
            else if (forward && p.stride[1] == 2)
                lanes_slide<T, 2>(d, l, taps[0], start, memory);
            else
                lanes_slide<T, 1>(d, l, taps[0], start, memory);
            T* to = dst + (n * p.c + c) * l.out;
            lanes_scatter(memory + l.result * N, l.out, to, l.out, channels);
            if (finish.on) conv_finish_rows(finish, c, to, l.out, channels, l.out);
        }
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

template <class T>
dl_status depthwise_lanes_weight(const dl_conv& p) {
    constexpr int N = Vec<T>::N;
    const DepthwiseShape d = depthwise_shape(p, DepthwisePass::kBackwardWeight);
    const DepthwiseLanes l = lanes_layout<T>(p, d, DepthwisePass::kBackwardWeight);
    const int64_t window = p.kernel[1] * p.kernel[2];
    const T *x = static_cast<const T*>(p.x), *dy = static_cast<const T*>(p.y);
    int failed = 0;
    parallel_for(gemm_div_up(p.c, N), 1, [&](int64_t block, int64_t) {
        T* memory = static_cast<T*>(dl_scratch(size_t(l.bytes), 1));
        if (!memory) {
            __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            return;
        }
        const int64_t c = block * N, channels = gemm_min(p.c - c, N);
        int32_t* place =
            reinterpret_cast<int32_t*>(memory + (l.result + gemm_round_up(l.out, N)) * N);
        int32_t* plain = place + l.in;
        lanes_places(l, d, place, plain, l.out);
        memset(memory, 0, size_t(l.padded) * DL_VEC_BYTES);
        T *const sums = memory + l.sums * N, *const grad = memory + l.result * N;
        memset(sums, 0, size_t(gemm_round_up(window, N)) * DL_VEC_BYTES);
        for (int64_t n = 0; n < p.n; ++n) {
            lanes_gather(x + (n * p.c + c) * l.in, l.in, channels, l.in, place, memory);
            lanes_gather(dy + (n * p.c + c) * l.out, l.out, channels, l.out, plain, grad);
            lanes_prefetch(x + ((n + 1) * p.c + c) * l.in, channels * l.in);
            lanes_prefetch(dy + ((n + 1) * p.c + c) * l.out, channels * l.out);
            if (p.kernel[1] == 3)
                lanes_window<T, 3>(p, l.width, memory, grad, sums);
            else if (p.kernel[1] == 5)
                lanes_window<T, 5>(p, l.width, memory, grad, sums);
            else
                lanes_window<T, 7>(p, l.width, memory, grad, sums);
        }
        lanes_scatter(sums, window, static_cast<T*>(p.w) + c * window, window, channels);
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

// Where rows are half a vector long at most (for the gradient of larger windows, a vector), and the
// planes of N channels fit in the first cache or not far from it: that pays for transposing them.
template <class T>
bool depthwise_as_lanes(const dl_conv& p, DepthwisePass pass) {
    const int64_t k = p.kernel[1], lanes = Vec<T>::N;
    if (p.k != p.c || p.c < lanes || k != p.kernel[2] || p.dilation[1] != p.dilation[2])
        return false;
    const bool wide = pass == DepthwisePass::kBackwardWeight && k > 3;
    if (p.out[2] > (wide ? lanes : lanes / 2) || p.in[2] > 2 * lanes) return false;
    const DepthwiseShape d = depthwise_shape(p, pass);
    if (d.pad[0] < 0 || d.pad[1] < 0)
        return false;  // a padding that the window does not reach over
    return lanes_layout<T>(p, d, pass).bytes <= 65536;
}

}  // namespace
