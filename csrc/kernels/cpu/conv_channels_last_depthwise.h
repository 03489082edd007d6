// Depthwise convolution of images with channels last: vectors of channels, which every tap multiplies
// lane by lane. Some pixels of a row are made at once, so that a vector of weights serves them all;
// what a tap reads outside of the image is a row of zeros.
#pragma once
#include "kernels/cpu/conv_channels_last.h"
#include "kernels/cpu/lanes.h"

namespace {

constexpr int kLastTile = 4;       // pixels of a row made at once
constexpr int64_t kLastTaps = 49;  // of a window, at most

DL_INLINE bool last_depthwise_applies(const dl_conv& p) {
    return p.groups == p.c && p.k == p.c && p.c > 1 && conv_volume(p.kernel) <= kLastTaps;
}

// Weights [C][tap] -> [tap][C].
template <class T>
void last_depthwise_weights(const LastProduct<T>& l, T* to) {
    const int64_t channels = l.dst_pixel;
    for (int64_t t = 0; t < l.s.ntaps; ++t)
        for (int64_t c = 0; c < channels; ++c)
            to[t * channels + c] = l.s.w[c * l.s.volume + l.taps[t].w];
}

// What the taps of `count` pixels of a row, from `at` on, read: tap t of pixel r at from[t * tap_step +
// r * pixel_step], or zeros outside of the image. A tap is looked up once for all pixels.
template <class T>
void last_depthwise_places(const LastProduct<T>& l, const LastPixel& at, int64_t count,
                           const T* zeros, const T** from, int64_t tap_step, int64_t pixel_step) {
    const Sliding<T>& s = l.s;
    for (int64_t t = 0; t < s.ntaps; ++t, from += tap_step) {
        const LastReach<T> reach = last_reach(l, s.src, at, {t, 1});
        const bool row = reach.lo != 0 || reach.hi != 0;
        int64_t x = at.at[2] * s.mul[2] + l.taps[t].off[2];
        const T* p = reach.base;
        for (int64_t r = 0; r < count; ++r, x += s.mul[2], p += s.mul[2] * l.src_pixel)
            from[r * pixel_step] = row && x >= 0 && x < s.in[2] ? p : zeros;
    }
}

// Whether no tap of `count` pixels from `at` on lies beside a row of the image.
template <class T>
bool last_depthwise_even(const Sliding<T>& s, const int64_t (&reach)[2], const LastPixel& at,
                         int64_t count) {
    const int64_t x = at.at[2] * s.mul[2];
    return x + reach[0] >= 0 && x + (count - 1) * s.mul[2] + reach[1] < s.in[2];
}

// R pixels of a row of output, V vectors of channels from c on, of which the last has `lanes` lanes.
// Tap t of pixel r reads from[t * R + r], or, with a step from pixel to pixel, from[t] + r * step.
template <class T, int R, int V, bool even>
DL_INLINE void last_depthwise_tile(const T* const* from, int64_t step, int64_t taps, const T* w,
                                   int64_t channels, int64_t c, int64_t lanes, const T* bias,
                                   T* const* to) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    const auto load = [&](const T* p, int v) __attribute__((always_inline)) {
        return v + 1 < V || lanes == N ? vload(p + v * N) : vload_n(p + v * N, lanes);
    };
    vec acc[R][V];
    for (int v = 0; v < V; ++v) {
        const vec b = bias ? load(bias + c, v) : vec{};
        for (int r = 0; r < R; ++r) acc[r][v] = b;
    }
    for (int64_t t = 0; t < taps; ++t, from += even ? 1 : R, w += channels) {
        vec wv[V];
        for (int v = 0; v < V; ++v) wv[v] = load(w + c, v);
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v)
                acc[r][v] += wv[v] * load((even ? from[0] + r * step : from[r]) + c, v);
    }
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) {
            if (v + 1 < V || lanes == N)
                vstore(to[r] + c + v * N, acc[r][v]);
            else
                vstore_n(to[r] + c + v * N, acc[r][v], lanes);
        }
}

template <class T, int R, bool even>
void last_depthwise_pixels(const T* const* from, int64_t step, int64_t taps, const T* w,
                           int64_t channels, const T* bias, T* const* to) {
    constexpr int N = Vec<T>::N;
    int64_t c = 0;
    for (; c + 2 * N <= channels; c += 2 * N)
        last_depthwise_tile<T, R, 2, even>(from, step, taps, w, channels, c, N, bias, to);
    for (; c < channels; c += N)
        last_depthwise_tile<T, R, 1, even>(from, step, taps, w, channels, c,
                                           gemm_min(N, channels - c), bias, to);
}

template <class T>
struct LastDepthwise {
    const LastProduct<T>& l;
    const T *w, *zeros;
    int64_t step;      // of what a tap reads, from pixel to pixel
    int64_t reach[2];  // columns that the taps see, from a pixel's own on
};

// Row i of the results. The last pixels are made by a tile that begins early enough to be whole.
template <class T>
void last_depthwise_results(const LastDepthwise<T>& q, int64_t i) {
    const LastProduct<T>& l = q.l;
    const Sliding<T>& s = l.s;
    const int64_t row = s.grid[2], channels = l.dst_pixel, R = row >= kLastTile ? kLastTile : 1;
    LastPixel at = last_pixel(s, i * row);
    int64_t place = at.image;
    for (int d = 0; d < 3; ++d) place = place * s.out[d] + at.at[d] * s.out_mul[d] + s.out_base[d];
    // What a row's first pixel reads, and the steps: none through zeros.
    const T *first[kLastTaps], *from[kLastTaps * kLastTile];
    int64_t steps[kLastTaps];
    for (int64_t t = 0; t < s.ntaps; ++t) {
        const LastReach<T> r = last_reach(l, s.src, at, {t, 1});
        const bool inside = r.lo != 0 || r.hi != 0;
        first[t] = inside ? r.base : q.zeros, steps[t] = inside ? q.step : 0;
    }
    T* to[kLastTile];
    for (int64_t o = 0; o < row; o += R) {
        o = gemm_min(o, row - R);
        at.at[2] = o;
        for (int64_t r = 0; r < R; ++r) to[r] = s.dst + (place + (o + r) * s.out_mul[2]) * channels;
        if (R == kLastTile && last_depthwise_even(s, q.reach, at, R)) {
            for (int64_t t = 0; t < s.ntaps; ++t) from[t] = first[t] + o * steps[t];
            last_depthwise_pixels<T, kLastTile, true>(from, q.step, s.ntaps, q.w, channels, s.bias,
                                                      to);
            continue;
        }
        last_depthwise_places(l, at, R, q.zeros, from, R, 1);
        if (R == kLastTile)
            last_depthwise_pixels<T, kLastTile, false>(from, 0, s.ntaps, q.w, channels, s.bias, to);
        else
            last_depthwise_pixels<T, 1, false>(from, 0, s.ntaps, q.w, channels, s.bias, to);
    }
}

template <class T>
dl_status last_depthwise_sliding(const dl_conv& p, const Sliding<T>& sliding, bool backward,
                                 LastRoom* room) {
    const LastProduct<T> l = last_product(p, sliding, backward, room);
    const Sliding<T>& s = l.s;
    const int64_t channels = p.c, row = s.grid[2], rows = s.n * s.grid[0] * s.grid[1];
    // Rows outside of the image read zeros at the step of the others.
    const int64_t step = s.mul[2] * l.src_pixel, nothing = (kLastTile - 1) * step + channels;
    T* w = static_cast<T*>(dl_scratch(size_t(s.ntaps * channels + nothing) * sizeof(T), 0));
    if (!w) return DL_OUT_OF_MEMORY;
    last_depthwise_weights(l, w);
    T* zeros = w + s.ntaps * channels;
    memset(zeros, 0, size_t(nothing) * sizeof(T));
    int64_t reach[2] = {0, 0};  // columns that the taps see, from a pixel's own on
    for (int64_t t = 0; t < s.ntaps; ++t) {
        reach[0] = gemm_min(reach[0], l.taps[t].off[2]);
        reach[1] = gemm_max(reach[1], l.taps[t].off[2]);
    }
    const int64_t work = row * channels * (s.ntaps + 1);
    const LastDepthwise<T> q = {l, w, zeros, step, {reach[0], reach[1]}};
    parallel_for(rows, 65536 / (work + 1) + 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) last_depthwise_results(q, i);
    });
    return DL_OK;
}

template <class T>
dl_status last_depthwise_forward(const dl_conv& p) {
    LastRoom room(p);
    ConvTap* taps = taps_for(p);
    if (!room.ok || !taps) return DL_OUT_OF_MEMORY;
    return last_depthwise_sliding(p, sliding_forward<T>(p, taps), false, &room);
}
template <class T>
dl_status last_depthwise_backward_input(const dl_conv& p) {
    LastRoom room(p);
    if (!room.ok) return DL_OUT_OF_MEMORY;
    return each_residue<T>(
        p, [&](const Sliding<T>& s) { return last_depthwise_sliding(p, s, true, &room); });
}

// ---- the gradient of the weights ----------------------------------------------------------------

constexpr int kLastSums = 9;  // taps that are summed at once, in registers

// What a row of pixels adds to the sums of some taps, for one vector of channels.
template <class T>
struct LastRowSums {
    int64_t pixels, channels, taps;  // taps: all of them
    const T* dy;
    const T* const* from;  // [pixel][tap]
    int64_t c, lanes;      // the channels
    T* sums;               // [tap][channel]
};

template <class T, int K>
void last_depthwise_sums(const LastRowSums<T>& q) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    const auto load = [&](const T* p) __attribute__((always_inline)) {
        return q.lanes == N ? vload(p + q.c) : vload_n(p + q.c, q.lanes);
    };
    vec acc[K];
#pragma GCC unroll 16
    for (int t = 0; t < K; ++t) acc[t] = load(q.sums + t * q.channels);
    const T* dy = q.dy;
    const T* const* from = q.from;
    for (int64_t j = 0; j < q.pixels; ++j, dy += q.channels, from += q.taps) {
        const vec d = load(dy);
#pragma GCC unroll 16
        for (int t = 0; t < K; ++t) acc[t] += d * load(from[t]);
    }
#pragma GCC unroll 16
    for (int t = 0; t < K; ++t) vstore_n(q.sums + t * q.channels + q.c, acc[t], q.lanes);
}

template <class T, int K = kLastSums>
DL_INLINE void last_depthwise_some(const LastRowSums<T>& q, int64_t count) {
    if constexpr (K > 1)
        if (count < K) return last_depthwise_some<T, K - 1>(q, count);
    last_depthwise_sums<T, K>(q);
}

// All taps and channels for row `i` of the results of all images.
template <class T>
void last_depthwise_row(const LastProduct<T>& l, const T* dy, int64_t i, const T* zeros,
                        const T** from, T* sums) {
    const Sliding<T>& s = l.s;
    const int64_t channels = l.dst_pixel, row = s.grid[2];
    last_depthwise_places(l, last_pixel(s, i * row), row, zeros, from, 1, s.ntaps);
    LastRowSums<T> q = {row, channels, s.ntaps, dy + i * row * channels, from, 0, 0, sums};
    for (q.c = 0; q.c < channels; q.c += Vec<T>::N) {
        q.lanes = gemm_min(Vec<T>::N, channels - q.c);
        for (int64_t t = 0; t < s.ntaps; t += kLastSums) {
            q.from = from + t, q.sums = sums + t * channels;
            last_depthwise_some(q, gemm_min(kLastSums, s.ntaps - t));
        }
    }
}

// Up to 64 parts of the rows are summed on their own, then added in order.
template <class T>
dl_status last_depthwise_weight(const dl_conv& p) {
    LastRoom room(p);
    ConvTap* taps = taps_for(p);
    if (!room.ok || !taps) return DL_OUT_OF_MEMORY;
    const LastProduct<T> l = last_product(p, sliding_forward<T>(p, taps), false, &room);
    const Sliding<T>& s = l.s;
    const int64_t channels = p.c, row = s.grid[2], rows = s.n * s.grid[0] * s.grid[1];
    const int64_t size = s.ntaps * channels, least = 65536 / (row * size + 1) + 1;
    const int64_t step = gemm_max(least, gemm_div_up(rows, 64)), parts = gemm_div_up(rows, step);
    T* sums = static_cast<T*>(dl_scratch(size_t((parts + 1) * size) * sizeof(T), 0));
    if (!sums) return DL_OUT_OF_MEMORY;
    memset(sums, 0, size_t((parts + 1) * size) * sizeof(T));
    const T* zeros = sums + parts * size;
    int failed = 0;
    parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
        const T** from = static_cast<const T**>(dl_scratch(size_t(row * s.ntaps) * sizeof(T*), 1));
        if (!from) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        for (int64_t part = begin; part < end; ++part)
            for (int64_t i = part * step; i < gemm_min(rows, (part + 1) * step); ++i)
                last_depthwise_row(l, static_cast<const T*>(p.y), i, zeros, from,
                                   sums + part * size);
    });
    if (failed) return DL_OUT_OF_MEMORY;
    for (int64_t c = 0; c < channels; ++c)
        for (int64_t t = 0; t < s.ntaps; ++t) {
            T sum = T(0);
            for (int64_t part = 0; part < parts; ++part)
                sum += sums[part * size + t * channels + c];
            static_cast<T*>(p.w)[c * s.volume + l.taps[t].w] = sum;
        }
    return DL_OK;
}

// Two loads for each product, three channels of results for one of memory.
template <dl_conv_pass pass>
double last_depthwise_seconds(const dl_conv& p) {
    const double lanes = DL_VEC_BYTES / conv_element(p);
    const double vectors = double(p.n * conv_volume(p.out)) * __builtin_ceil(double(p.c) / lanes);
    const double taps = double(conv_volume(p.kernel));
    return vectors * (0.9 * taps + 3) * kConvCycle + conv_traffic(p);
}

}  // namespace
