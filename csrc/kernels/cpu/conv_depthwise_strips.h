// Depthwise convolution of planes whose rows are one or more vectors, windows of 3 x 3 to 7 x 7: strips
// of one or two vectors of columns go down the plane (conv_depthwise_window.h), what the columns of
// taps see comes of shifts. Of planes that are one vector wide those of two images go together.
#pragma once
#include "kernels/cpu/conv_depthwise_window.h"

namespace {

constexpr int kStripWidth = 2;  // vectors, at most

// A strip, and the lanes of its vectors that lie in the planes. The vectors of input of one more
// (stride 2: two) lend their first lanes.
template <class T>
struct DepthwiseStrip {
    int64_t first, vectors;  // first column of results
    LaneMask<T> in[2 * kStripWidth + 2], out[kStripWidth];
    bool tail;  // whether anything is to be lent
};

// The strips of all columns, with one more to end the list.
template <class T>
void depthwise_strips_of(const DepthwiseShape& d, int64_t stride, DepthwiseStrip<T>* strip) {
    constexpr int N = Vec<T>::N;
    for (int64_t at = 0; at < d.out[1]; at += kStripWidth * N, ++strip) {
        const int64_t from = at * stride - d.pad[1];
        strip->first = at, strip->vectors = d.out[1] - at > N ? 2 : 1;
        for (int64_t u = 0; u < 2 * kStripWidth + 2; ++u)
            strip->in[u] = lane_mask<T>(-from - u * N, d.in[1] - from - u * N);
        for (int64_t u = 0; u < kStripWidth; ++u)
            strip->out[u] = lane_mask<T>(0, d.out[1] - at - u * N);
        // The last column that a window sees, and whether the strip's own vectors hold it.
        const int64_t end = gemm_min(at + strip->vectors * N, d.out[1]) - at;
        strip->tail = (end - 1) * stride + d.width > strip->vectors * stride * N &&
                      from + strip->vectors * stride * N < d.in[1];
    }
    strip->first = d.out[1];
}

// Rows of a strip (U vectors) of I images.
template <class T, int K, WindowMode mode, int U, int I, bool tail>
struct StripRows {
    typedef typename Vec<T>::type vec;
    static constexpr int N = Vec<T>::N, S = mode == WindowMode::kSlide2 ? 2 : 1;
    static constexpr int kAhead =
        2048 / sizeof(T);  // to fetch: the hardware sees too little of rows
    const T* src;          // row 0, what the first result's first tap sees
    T* dst;
    const T* w;
    int64_t src_image, dst_image, row_in, row_out;  // steps
    LaneMask<T> in[S * U + S], out;
    vec start;

    vec weight(int t) const { return vset1(w[t]); }

    template <int s>
    __attribute__((always_inline)) void columns(const vec (&base)[S][U + 1], int n,
                                                vec (&x)[K][U * I]) const {
#pragma GCC unroll 2
        for (int u = 0; u < U; ++u)
            x[s][n * U + u] =
                s < S ? base[s][u] : vshift<T, s / S>(base[s % S][u], base[s % S][u + 1]);
        if constexpr (s + 1 < K) columns<s + 1>(base, n, x);
    }
    __attribute__((always_inline)) void load(const T* row, vec (&x)[K][U * I]) const {
#pragma GCC unroll 2
        for (int n = 0; n < I; ++n, row += src_image) {
#pragma GCC unroll 4
            for (int u = 0; u < U * S; ++u) __builtin_prefetch(row + kAhead + u * N);
            vec base[S][U + 1];
#pragma GCC unroll 3
            for (int u = 0; u <= U; ++u) {
                if (u == U && !tail) {
                    base[0][u] = vec{}, base[S - 1][u] = vec{};
                } else if constexpr (S == 1) {
                    base[0][u] = vhold(vload_mask(row + u * N, in[u]));
                } else {
                    const vec a = vload_mask(row + 2 * u * N, in[2 * u]);
                    const vec b = u < U ? vload_mask(row + (2 * u + 1) * N, in[2 * u + 1]) : vec{};
                    base[0][u] = vhold(vevens<T>(a, b)), base[1][u] = vhold(vodds<T>(a, b));
                }
            }
            columns<0>(base, n, x);
        }
    }
    __attribute__((always_inline)) void store(T* to, const vec (&sums)[U * I]) const {
#pragma GCC unroll 2
        for (int n = 0; n < I; ++n, to += dst_image) {
#pragma GCC unroll 2
            for (int u = 0; u < U; ++u) {
                __builtin_prefetch(to + kAhead + u * N, 1);
                if (u + 1 < U)
                    vstore(to + u * N, sums[n * U + u]);
                else
                    vstore_mask(to + u * N, sums[n * U + u], out);
            }
        }
    }
};

// The planes of one channel of some images, together or one by one.
template <class T>
struct StripPlanes {
    const T* src;
    T* dst;
    const T* w;  // in the order of the window
    T bias;
    int64_t src_image, dst_image;
};

template <class T, int K, WindowMode mode, int U, int I, bool tail>
void depthwise_strip(const DepthwiseShape& d, const DepthwiseStrip<T>& strip,
                     const StripPlanes<T>& p, int64_t first, int64_t end) {
    typedef StripRows<T, K, mode, U, I, tail> Rows;
    // Copies, which no store through a pointer to T could change.
    Rows rows;
    rows.src = p.src + strip.first * Rows::S - d.pad[1], rows.dst = p.dst + strip.first;
    rows.w = p.w, rows.src_image = p.src_image, rows.dst_image = p.dst_image;
    rows.row_in = d.in[1], rows.row_out = d.out[1], rows.start = vset1(p.bias);
#pragma GCC unroll 8
    for (int u = 0; u < Rows::S * U + Rows::S; ++u) rows.in[u] = strip.in[u];
    rows.out = strip.out[U - 1];
    const DepthwiseShape shape = d;
    window_rows<T, K, mode, U * I>(shape, rows, first, end);
}

// All strips, as many rows of each as stay in the first cache while the others go through them.
template <class T, int K, WindowMode mode, int I>
void depthwise_strips_plane(const DepthwiseShape& d, const DepthwiseStrip<T>* strips,
                            const StripPlanes<T>& p) {
    constexpr int S = mode == WindowMode::kSlide2 ? 2 : 1;
    const bool single = strips[1].first >= d.out[1];
    const int64_t fits = int64_t(24576 / sizeof(T)) / (S * d.in[1]);
    const int64_t band = single ? d.out[0] : gemm_max(4 * K, fits);
    for (int64_t o = 0; o < d.out[0]; o += band) {
        const int64_t end = gemm_min(o + band, d.out[0]);
        for (const DepthwiseStrip<T>* s = strips; s->first < d.out[1]; ++s) {
            if (I == 1 && s->vectors == 2)
                s->tail ? depthwise_strip<T, K, mode, 2, 1, true>(d, *s, p, o, end)
                        : depthwise_strip<T, K, mode, 2, 1, false>(d, *s, p, o, end);
            else
                s->tail ? depthwise_strip<T, K, mode, 1, I, true>(d, *s, p, o, end)
                        : depthwise_strip<T, K, mode, 1, I, false>(d, *s, p, o, end);
        }
    }
}

template <class T, WindowMode mode, int I>
DL_INLINE void strips_dispatch(const DepthwiseShape& d, const DepthwiseStrip<T>* strips,
                               const StripPlanes<T>& p) {
    if (d.width == 3) depthwise_strips_plane<T, 3, mode, I>(d, strips, p);
    if (d.width == 5) depthwise_strips_plane<T, 5, mode, I>(d, strips, p);
    if (d.width == 7) depthwise_strips_plane<T, 7, mode, I>(d, strips, p);
}

template <class T>
bool depthwise_strips_apply(const dl_conv& p, DepthwisePass pass) {
    return kWindows && p.kernel[1] == p.kernel[2] && p.dilation[1] == 1 && p.dilation[2] == 1 &&
           (p.stride[1] == 1 || pass == DepthwisePass::kForward) &&
           (p.kernel[1] > 3 || p.out[2] <= 2 * Vec<T>::N);
}

// A task is some channels of one image, or of two.
template <class T, DepthwisePass pass, WindowMode mode>
dl_status depthwise_strips(const dl_conv& p) {
    constexpr bool forward = pass == DepthwisePass::kForward;
    constexpr int most = kDepthwiseWidth * kDepthwiseWidth;
    const DepthwiseShape d = depthwise_shape(p, pass);
    const int64_t in = d.in[0] * d.in[1], out = d.out[0] * d.out[1], window = d.width * d.width;
    const int64_t count = gemm_div_up(d.out[1], kStripWidth * Vec<T>::N) + 1;
    const int64_t together = d.out[1] <= Vec<T>::N ? 2 : 1;  // images
    const int64_t to = forward ? p.k : p.c, from = forward ? p.c : p.k;
    const T *src = static_cast<const T*>(forward ? p.x : p.y), *w = static_cast<const T*>(p.w);
    const T* const bias = static_cast<const T*>(p.bias);
    T* const dst = static_cast<T*>(forward ? p.y : p.x);
    const ConvFinish<T> finish = forward ? ConvFinish<T>(p) : ConvFinish<T>();  // while in cache
    const int64_t work = p.out[1] * p.out[2] * window * together;
    int failed = 0;
    const auto some = [&](int64_t begin, int64_t end) {
        auto* strips = static_cast<DepthwiseStrip<T>*>(
            dl_scratch(size_t(count) * sizeof(DepthwiseStrip<T>), 1));
        if (!strips) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        depthwise_strips_of(d, forward ? p.stride[1] : 1, strips);
        for (int64_t i = begin; i < end; ++i) {
            const int64_t n = i / to * together, c = i % to;
            T turned[most];
            if (!forward)
                for (int64_t t = 0; t < window; ++t) turned[t] = w[c * window + window - 1 - t];
            const StripPlanes<T> planes = {src + (n * from + c / (to / from)) * in,
                                           dst + (n * to + c) * out,
                                           forward ? w + c * window : turned,
                                           bias ? bias[c] : T(0),
                                           from * in,
                                           to * out};
            const bool two = together == 2 && n + 1 < p.n;
            if (two)
                strips_dispatch<T, mode, 2>(d, strips, planes);
            else
                strips_dispatch<T, mode, 1>(d, strips, planes);
            for (int j = 0; j <= int(two) && finish.on; ++j)
                conv_finish_rows(finish, c, planes.dst + j * to * out, 0, 1, out);
        }
    };
    parallel_for(gemm_div_up(p.n, together) * to, gemm_max(1, 131072 / work), some);
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

}  // namespace
