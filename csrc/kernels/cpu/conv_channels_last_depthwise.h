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

// R pixels of a row of output, V vectors of channels from c on, of which the last has `lanes` lanes.
// from[t * R + r]: what tap t of pixel r reads.
template <class T, int R, int V>
DL_INLINE void last_depthwise_tile(const T* const* from, int64_t taps, const T* w, int64_t channels,
                                   int64_t c, int64_t lanes, const T* bias, T* const* to) {
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
    for (int64_t t = 0; t < taps; ++t, from += R, w += channels) {
        vec wv[V];
        for (int v = 0; v < V; ++v) wv[v] = load(w + c, v);
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) acc[r][v] += wv[v] * load(from[r] + c, v);
    }
    for (int r = 0; r < R; ++r)
        for (int v = 0; v < V; ++v) {
            if (v + 1 < V || lanes == N)
                vstore(to[r] + c + v * N, acc[r][v]);
            else
                vstore_n(to[r] + c + v * N, acc[r][v], lanes);
        }
}

template <class T, int R>
void last_depthwise_pixels(const T* const* from, int64_t taps, const T* w, int64_t channels,
                           const T* bias, T* const* to) {
    constexpr int N = Vec<T>::N;
    int64_t c = 0;
    for (; c + 2 * N <= channels; c += 2 * N)
        last_depthwise_tile<T, R, 2>(from, taps, w, channels, c, N, bias, to);
    for (; c < channels; c += N)
        last_depthwise_tile<T, R, 1>(from, taps, w, channels, c, gemm_min(N, channels - c), bias,
                                     to);
}

template <class T>
dl_status last_depthwise_sliding(const dl_conv& p, const Sliding<T>& sliding, bool backward,
                                 LastRoom* room) {
    const LastProduct<T> l = last_product(p, sliding, backward, room);
    const Sliding<T>& s = l.s;
    const int64_t channels = p.c, row = s.grid[2], rows = s.n * s.grid[0] * s.grid[1];
    T* w = static_cast<T*>(dl_scratch(size_t((s.ntaps + 1) * channels) * sizeof(T), 0));
    if (!w) return DL_OUT_OF_MEMORY;
    last_depthwise_weights(l, w);
    T* zeros = w + s.ntaps * channels;
    memset(zeros, 0, size_t(channels) * sizeof(T));
    const int64_t work = row * channels * (s.ntaps + 1);
    parallel_for(rows, 65536 / (work + 1) + 1, [&](int64_t begin, int64_t end) {
        const T* from[kLastTaps * kLastTile];
        T* to[kLastTile];
        for (int64_t i = begin; i < end; ++i)
            for (int64_t o = 0; o < row; o += kLastTile) {
                const int64_t count = gemm_min(kLastTile, row - o), R = count == kLastTile ? 4 : 1;
                for (int64_t q = 0; q < count; q += R) {
                    LastPixel at = last_pixel(s, i * row + o + q);
                    for (int64_t r = 0; r < R; ++r, last_next(s, &at)) {
                        int64_t place = at.image;
                        for (int d = 0; d < 3; ++d)
                            place = place * s.out[d] + at.at[d] * s.out_mul[d] + s.out_base[d];
                        to[r] = s.dst + place * channels;
                        for (int64_t t = 0; t < s.ntaps; ++t) {
                            const LastReach<T> reach = last_reach(l, s.src, at, {t, 1});
                            from[t * R + r] = reach.lo == 0 && reach.hi > 0 ? reach.base : zeros;
                        }
                    }
                    if (R == kLastTile)
                        last_depthwise_pixels<T, kLastTile>(from, s.ntaps, w, channels, s.bias, to);
                    else
                        last_depthwise_pixels<T, 1>(from, s.ntaps, w, channels, s.bias, to);
                }
            }
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
    LastPixel at = last_pixel(s, i * row);
    for (int64_t j = 0; j < row; ++j, last_next(s, &at))
        for (int64_t t = 0; t < s.ntaps; ++t) {
            const LastReach<T> reach = last_reach(l, s.src, at, {t, 1});
            from[j * s.ntaps + t] = reach.lo == 0 && reach.hi > 0 ? reach.base : zeros;
        }
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
