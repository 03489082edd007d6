// Depthwise convolution of narrow planes: a row of results of one plane, or of two planes side by side,
// is one vector. Permutations of a row of input put under each column of taps what it sees, zeros of
// the padding included; they serve all rows of results that meet the row, which stay in registers.
// Two images go together where there are two, so that they share the weights.
//
// The gradient of the input at stride 2 goes the same way: a column of results meets every second tap,
// so two columns of taps make one, which holds the weight of the one or the other from lane to lane.
#pragma once
#include "kernels/cpu/conv_depthwise_window.h"

namespace {

template <class T>
using LaneIndex = typename Vec<typename LaneInt<T>::type>::type;

// Lane i of the result is lane index[i] of a and b, joined, or 0 where the mask leaves it out.
template <class T>
DL_INLINE typename Vec<T>::type vpick(typename Vec<T>::type a, typename Vec<T>::type b,
                                      LaneIndex<T> index, const LaneMask<T>& m) {
    typedef typename Vec<T>::type vec;
#if DL_VEC_BYTES == 64 && defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (vec)_mm512_maskz_permutex2var_ps(__mmask16(m.bits), (__m512)a, (__m512i)index,
                                                 (__m512)b);
    else
        return (vec)_mm512_maskz_permutex2var_pd(__mmask8(m.bits), (__m512d)a, (__m512i)index,
                                                 (__m512d)b);
#else
    vec v{};
    for (int i = 0; i < Vec<T>::N; ++i)
        if (m.lanes[i]) v[i] = index[i] < Vec<T>::N ? a[index[i]] : b[index[i] - Vec<T>::N];
    return v;
#endif
}
template <class T>
DL_INLINE typename Vec<T>::type vpick(typename Vec<T>::type a, LaneIndex<T> index,
                                      const LaneMask<T>& m) {
#if DL_VEC_BYTES == 64 && defined(__AVX512F__)
    typedef typename Vec<T>::type vec;
    if constexpr (sizeof(T) == 4)
        return (vec)_mm512_maskz_permutexvar_ps(__mmask16(m.bits), (__m512i)index, (__m512)a);
    else
        return (vec)_mm512_maskz_permutexvar_pd(__mmask8(m.bits), (__m512i)index, (__m512d)a);
#else
    return vpick<T>(a, a, index, m);
#endif
}

// v, with some lanes from memory instead.
template <class T>
DL_INLINE typename Vec<T>::type vload_over(typename Vec<T>::type v, const T* p,
                                           const LaneMask<T>& m) {
#if DL_VEC_BYTES == 64 && defined(__AVX512F__)
    typedef typename Vec<T>::type vec;
    if constexpr (sizeof(T) == 4)
        return (vec)_mm512_mask_loadu_epi32((__m512i)v, __mmask16(m.bits), p);
    else
        return (vec)_mm512_mask_loadu_epi64((__m512i)v, __mmask8(m.bits), p);
#else
    for (int i = 0; i < Vec<T>::N; ++i)
        if (m.lanes[i]) v[i] = p[i];
    return v;
#endif
}

// Lanes of a vector of results: where they come from, and what they are multiplied by.
template <class T>
struct NarrowLanes {
    int64_t planes;      // side by side: 1 or 2
    int64_t second;      // of a row's elements, those of the second vector begin here
    LaneMask<T> in[2];   // of the row's two vectors; of one vector, its two halves
    LaneMask<T> out[2];  // of the planes
    LaneIndex<T> pick[kDepthwiseWidth], weight[kDepthwiseWidth];
    LaneMask<T> picked[kDepthwiseWidth], weighted[kDepthwiseWidth];
};

template <class T>
LaneMask<T> lanes_where(const bool (&set)[Vec<T>::N]) {
    LaneMask<T> m{};
#if DL_VEC_BYTES == 64 && defined(__AVX512F__)
    for (int i = 0; i < Vec<T>::N; ++i) m.bits |= uint32_t(set[i]) << i;
#else
    for (int i = 0; i < Vec<T>::N; ++i) m.lanes[i] = set[i] ? -1 : 0;
#endif
    return m;
}

// What the passes below need of the planes' widths.
template <class T>
bool narrow_fits(const DepthwiseShape& d, WindowMode mode) {
    constexpr int64_t N = Vec<T>::N;
    const int64_t lanes = d.out[1] <= N / 2 ? N / 2 : N;  // to a plane
    return d.out[1] <= N && d.in[1] <= (mode == WindowMode::kSlide2 ? 2 * N : lanes);
}

template <class T>
NarrowLanes<T> narrow_lanes(const DepthwiseShape& d, WindowMode mode, bool turned) {
    constexpr int N = Vec<T>::N;
    const bool pairs = mode == WindowMode::kSlide2, zip = mode == WindowMode::kZip;
    const int k = int(d.width);
    NarrowLanes<T> q;
    q.planes = d.out[1] <= N / 2 && (!pairs || d.in[1] <= N) ? 2 : 1;
    q.second = q.planes == 2 ? d.in[0] * d.in[1] : N;
    q.in[0] = lane_mask<T>(0, d.in[1]), q.in[1] = lane_mask<T>(0, d.in[1] - N);
    if (q.planes == 2) q.in[1] = pairs ? q.in[0] : lane_mask<T>(N / 2, N / 2 + d.in[1]);
    q.out[0] = lane_mask<T>(0, d.out[1]), q.out[1] = lane_mask<T>(N / 2, N / 2 + d.out[1]);
    const int width = q.planes == 2 ? N / 2 : N;
    for (int u = 0; u < window_slots(k, mode); ++u) {
        bool picked[N], weighted[N];
        for (int lane = 0; lane < N; ++lane) {
            const int64_t column = lane % width, at = column + d.pad[1];
            const int64_t tap = zip ? 2 * u + at % 2 : u;
            const int64_t from = zip ? at / 2 - u : column * (pairs ? 2 : 1) - d.pad[1] + u;
            weighted[lane] = tap < k;
            picked[lane] = tap < k && column < d.out[1] && from >= 0 && from < d.in[1];
            q.pick[u][lane] = typename LaneInt<T>::type(
                picked[lane] ? from + lane / width * (pairs ? N : N / 2) : 0);
            q.weight[u][lane] = typename LaneInt<T>::type(
                weighted[lane] ? (turned ? k - 1 - tap : tap) + lane / width * N : 0);
        }
        q.picked[u] = lanes_where<T>(picked), q.weighted[u] = lanes_where<T>(weighted);
    }
    return q;
}

// The weights of the planes as vectors [row][slot]; w: of the first, the second's follow.
template <class T>
void narrow_weights(const NarrowLanes<T>& q, int k, int slots, bool turned, int64_t planes,
                    const T* w, typename Vec<T>::type* to) {
    for (int r = 0; r < k; ++r, to += slots) {
        const T* row = w + (turned ? k - 1 - r : r) * k;
        const auto a = vload_n(row, k);
        const auto b = planes == 2 ? vload_n(row + k * k, k) : a;
        for (int u = 0; u < slots; ++u) to[u] = vpick<T>(a, b, q.weight[u], q.weighted[u]);
    }
}

// Planes at the same place of I images.
template <class T>
struct NarrowPlanes {
    const T* src;
    T* dst;
    int64_t src_image, dst_image;    // from one image to the next
    int64_t planes;                  // of them, side by side: 1 or 2
    typename Vec<T>::type start;     // the bias
    const typename Vec<T>::type* w;  // [row][slot]
};

// Rows of planes of I images.
template <class T, int K, WindowMode mode, int I>
struct NarrowRows {
    typedef typename Vec<T>::type vec;
    static constexpr int U = window_slots(K, mode), N = Vec<T>::N;
    static constexpr bool pairs = mode == WindowMode::kSlide2;
    NarrowLanes<T> q;
    NarrowPlanes<T> p;
    int64_t row_in, row_out, plane;
    bool both,
        second;  // whether there are two planes; whether there are two vectors of a row, or planes
    vec start;

    vec weight(int t) const { return p.w[t]; }
    __attribute__((always_inline)) void load(int64_t i, vec (&x)[U][I]) const {
        const T* row = p.src + i * row_in;
#pragma GCC unroll 2
        for (int n = 0; n < I; ++n, row += p.src_image) {
            vec a = vload_mask(row, q.in[0]), b{};
            if (second && pairs) b = vload_mask(row + q.second, q.in[1]);
            if (second && !pairs) a = vload_over(a, row + q.second - N / 2, q.in[1]);
#pragma GCC unroll 8
            for (int u = 0; u < U; ++u)
                x[u][n] = pairs ? vpick<T>(a, b, q.pick[u], q.picked[u])
                                : vpick<T>(a, q.pick[u], q.picked[u]);
        }
    }
    __attribute__((always_inline)) void store(int64_t o, const vec (&sums)[I]) const {
        T* to = p.dst + o * row_out;
#pragma GCC unroll 2
        for (int n = 0; n < I; ++n, to += p.dst_image) {
            vstore_mask(to, sums[n], q.out[0]);
            if (both) vstore_mask(to + plane - N / 2, sums[n], q.out[1]);
        }
    }
};

template <class T, int K, WindowMode mode, int I>
void depthwise_narrow(const DepthwiseShape& d, const NarrowLanes<T>& lanes,
                      const NarrowPlanes<T>& planes) {
    // Copies, which no store through a pointer to T could change.
    const bool both = planes.planes == 2;
    const NarrowRows<T, K, mode, I> rows = {
        lanes,
        planes,
        d.in[1],
        d.out[1],
        d.out[0] * d.out[1],
        both,
        both || (mode == WindowMode::kSlide2 && lanes.planes == 1),
        planes.start};
    const DepthwiseShape shape = d;
    window_rows<T, K, mode, I>(shape, rows, 0, d.out[0]);
}

// ---- the two products --------------------------------------------------------------------------

DL_INLINE WindowMode narrow_mode(const dl_conv& p, DepthwisePass pass) {
    if (p.stride[1] == 1) return WindowMode::kSlide;
    return pass == DepthwisePass::kForward ? WindowMode::kSlide2 : WindowMode::kZip;
}

// Of rows that one plane alone fills, only the gradient at stride 2 and larger windows at stride 2: at
// stride 1 shifts are as good as permutations.
template <class T>
bool depthwise_narrows(const dl_conv& p, DepthwisePass pass) {
    if (!kWindows || p.k != p.c || p.kernel[1] != p.kernel[2] || p.dilation[1] != 1 ||
        p.dilation[2] != 1)
        return false;
    const DepthwiseShape d = depthwise_shape(p, pass);
    const WindowMode mode = narrow_mode(p, pass);
    if (d.out[1] > Vec<T>::N / 2 &&
        (mode == WindowMode::kSlide || (mode == WindowMode::kSlide2 && d.width == 3)))
        return false;
    return narrow_fits<T>(d, mode);
}

template <class T, WindowMode mode, int I>
DL_INLINE void narrow_dispatch(const DepthwiseShape& d, const NarrowLanes<T>& q,
                               const NarrowPlanes<T>& planes) {
    if (d.width == 3) depthwise_narrow<T, 3, mode, I>(d, q, planes);
    if (d.width == 5) depthwise_narrow<T, 5, mode, I>(d, q, planes);
    if (d.width == 7) depthwise_narrow<T, 7, mode, I>(d, q, planes);
}

// The hardware sees too little of planes that two images and both operands are read and written by
// turns from: some 2 KB ahead of each.
template <class T>
DL_INLINE void narrow_prefetch(const NarrowPlanes<T>& p, int images, int64_t in, int64_t out) {
    constexpr int64_t line = 64 / sizeof(T);
    const int64_t from = gemm_max(in, 2048 / int64_t(sizeof(T)));
    const int64_t to = gemm_max(out, 2048 / int64_t(sizeof(T)));
    for (int n = 0; n < images; ++n) {
        const T *src = p.src + n * p.src_image + from, *dst = p.dst + n * p.dst_image + to;
        for (int64_t i = 0; i < in; i += line) __builtin_prefetch(src + i);
        for (int64_t i = 0; i < out; i += line) __builtin_prefetch(dst + i, 1);
    }
}

constexpr int64_t kNarrowImages = 4;  // of a task, at most, which share the vectors of weights

// A task is some channels of some images, of which two go together.
template <class T, DepthwisePass pass, WindowMode mode>
dl_status depthwise_narrow_planes(const dl_conv& p) {
    typedef typename Vec<T>::type vec;
    constexpr bool forward = pass == DepthwisePass::kForward;
    constexpr int together = sizeof(T) == 4 ? 2 : 1;
    const DepthwiseShape d = depthwise_shape(p, pass);
    const int k = int(d.width), slots = window_slots(k, mode);
    const bool turned = !forward && mode == WindowMode::kSlide;
    const NarrowLanes<T> q = narrow_lanes<T>(d, mode, turned);
    const int64_t in = d.in[0] * d.in[1], out = d.out[0] * d.out[1];
    const int64_t blocks = gemm_div_up(p.c, q.planes), images = gemm_div_up(p.n, kNarrowImages);
    const T *src = static_cast<const T*>(forward ? p.x : p.y), *w = static_cast<const T*>(p.w);
    T* const dst = static_cast<T*>(forward ? p.y : p.x);
    const ConvFinish<T> finish = forward ? ConvFinish<T>(p) : ConvFinish<T>();  // while in cache
    const int64_t work = p.out[1] * p.out[2] * k * k * q.planes * gemm_min(p.n, kNarrowImages);
    parallel_for(images * blocks, gemm_max(1, 131072 / work), [&](int64_t begin, int64_t end) {
        vec weights[kDepthwiseWidth * kDepthwiseWidth];
        for (int64_t i = begin; i < end; ++i) {
            const int64_t first = i / blocks * kNarrowImages, c = i % blocks * q.planes;
            const int64_t last = gemm_min(p.n, first + kNarrowImages);
            NarrowPlanes<T> planes = {src + (first * p.c + c) * in,
                                      dst + (first * p.c + c) * out,
                                      p.c * in,
                                      p.c * out,
                                      gemm_min(q.planes, p.c - c),
                                      vec{},
                                      weights};
            const T* const bias = p.bias ? static_cast<const T*>(p.bias) + c : nullptr;
            if (bias) planes.start = vset1(bias[0]);
            if (bias && planes.planes == 2)
                for (int lane = Vec<T>::N / 2; lane < Vec<T>::N; ++lane)
                    planes.start[lane] = bias[1];
            narrow_weights(q, k, slots, turned, planes.planes, w + c * k * k, weights);
            for (int64_t n = first; n < last; n += together) {
                const int count = together == 2 && n + 1 < last ? 2 : 1;
                narrow_prefetch(planes, count, q.planes * in, q.planes * out);
                if (count == together)
                    narrow_dispatch<T, mode, together>(d, q, planes);
                else
                    narrow_dispatch<T, mode, 1>(d, q, planes);
                for (int j = 0; j < count && finish.on; ++j)
                    conv_finish_rows(finish, c, planes.dst + j * planes.dst_image, out,
                                     planes.planes, out);
                planes.src += together * planes.src_image;
                planes.dst += together * planes.dst_image;
            }
        }
    });
    return DL_OK;
}

}  // namespace
