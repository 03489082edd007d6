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
template <class T, int K, WindowMode mode>
void narrow_weights(const NarrowLanes<T>& q, bool turned, int64_t planes, const T* w,
                    typename Vec<T>::type* to) {
    constexpr int U = window_slots(K, mode);
#pragma GCC unroll 8
    for (int r = 0; r < K; ++r, to += U) {
        const T* row = w + (turned ? K - 1 - r : r) * K;
        const auto a = vload_n(row, K);
        const auto b = planes == 2 ? vload_n(row + K * K, K) : a;
#pragma GCC unroll 8
        for (int u = 0; u < U; ++u) to[u] = vpick<T>(a, b, q.weight[u], q.weighted[u]);
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
    const T* src;  // row 0
    T* dst;
    int64_t row_in, row_out, plane;
    bool both,
        second;  // whether there are two planes; whether there are two vectors of a row, or planes
    vec start;

    vec weight(int t) const { return p.w[t]; }
    __attribute__((always_inline)) void load(const T* row, vec (&x)[U][I]) const {
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
    __attribute__((always_inline)) void store(T* to, const vec (&sums)[I]) const {
#pragma GCC unroll 2
        for (int n = 0; n < I; ++n, to += p.dst_image) {
            vstore_mask(to, sums[n], q.out[0]);
            if (both) vstore_mask(to + plane - N / 2, sums[n], q.out[1]);
        }
    }
};

// The hardware sees too little of planes that some images and both operands are read and written by
// turns from: some 2 KB ahead of each. in, out: elements to ask for.
template <class T, int I>
DL_INLINE void narrow_prefetch(const T* src, const T* dst, const NarrowPlanes<T>& p, int64_t in,
                               int64_t out) {
    constexpr int64_t line = 64 / sizeof(T);
    const int64_t from = gemm_max(in, 2048 / int64_t(sizeof(T)));
    const int64_t to = gemm_max(out, 2048 / int64_t(sizeof(T)));
    for (int64_t i = 0; i < in; i += line)
        for (int n = 0; n < I; ++n) __builtin_prefetch(src + n * p.src_image + from + i);
    for (int64_t i = 0; i < out; i += line)
        for (int n = 0; n < I; ++n) __builtin_prefetch(dst + n * p.dst_image + to + i, 1);
}

// Planes of `images` images, I at a time.
template <class T, int K, WindowMode mode, int I>
__attribute__((noinline)) void depthwise_narrow(const DepthwiseShape& d,
                                                const NarrowLanes<T>& lanes,
                                                const NarrowPlanes<T>& planes, int64_t images) {
    // Copies, which no store through a pointer to T could change.
    const DepthwiseShape shape = d;
    const bool both = planes.planes == 2;
    NarrowRows<T, K, mode, I> rows = {lanes,
                                      planes,
                                      planes.src,
                                      planes.dst,
                                      d.in[1],
                                      d.out[1],
                                      d.out[0] * d.out[1],
                                      both,
                                      both || (mode == WindowMode::kSlide2 && lanes.planes == 1),
                                      planes.start};
    const int64_t in = lanes.planes * d.in[0] * d.in[1], out = lanes.planes * rows.plane;
    for (int64_t n = 0; n < images; n += I) {
        narrow_prefetch<T, I>(rows.src, rows.dst, planes, in, out);
        window_rows<T, K, mode, I>(shape, rows, 0, shape.out[0]);
        rows.src += I * planes.src_image, rows.dst += I * planes.dst_image;
    }
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

constexpr int64_t kNarrowImages = 4;  // of a task, at most, which share the vectors of weights

// What the tasks of a product have in common.
template <class T>
struct NarrowProduct {
    DepthwiseShape d;
    NarrowLanes<T> q;
    ConvFinish<T> finish;
    const T *src, *w, *bias;
    T* dst;
    int64_t channels, images, in, out;  // in, out: elements of a plane
    bool turned;
};

// `planes` channels from c on of some images, of which two go together.
template <class T, int K, WindowMode mode>
void narrow_task(const NarrowProduct<T>& a, int64_t c, int64_t first, int64_t last) {
    typedef typename Vec<T>::type vec;
    constexpr int together = sizeof(T) == 4 ? 2 : 1;
    vec weights[kDepthwiseWidth * kDepthwiseWidth];
    NarrowPlanes<T> planes = {a.src + (first * a.channels + c) * a.in,
                              a.dst + (first * a.channels + c) * a.out,
                              a.channels * a.in,
                              a.channels * a.out,
                              gemm_min(a.q.planes, a.channels - c),
                              vec{},
                              weights};
    if (a.bias) planes.start = vset1(a.bias[c]);
    if (a.bias && planes.planes == 2)
        for (int lane = Vec<T>::N / 2; lane < Vec<T>::N; ++lane) planes.start[lane] = a.bias[c + 1];
    narrow_weights<T, K, mode>(a.q, a.turned, planes.planes, a.w + c * K * K, weights);
    const int64_t images = last - first, paired = images / together * together;
    if (paired > 0) depthwise_narrow<T, K, mode, together>(a.d, a.q, planes, paired);
    for (int64_t n = 0; n < images; ++n) {
        if (n >= paired) depthwise_narrow<T, K, mode, 1>(a.d, a.q, planes, 1);
        if (a.finish.on) conv_finish_rows(a.finish, c, planes.dst, a.out, planes.planes, a.out);
        planes.src += planes.src_image, planes.dst += planes.dst_image;
    }
}

template <class T, int K, DepthwisePass pass, WindowMode mode>
dl_status depthwise_narrow_tasks(const dl_conv& p) {
    constexpr bool forward = pass == DepthwisePass::kForward;
    NarrowProduct<T> a;
    a.d = depthwise_shape(p, pass);
    a.turned = !forward && mode == WindowMode::kSlide;
    a.q = narrow_lanes<T>(a.d, mode, a.turned);
    if (forward) a.finish = ConvFinish<T>(p);  // while in cache
    a.src = static_cast<const T*>(forward ? p.x : p.y), a.w = static_cast<const T*>(p.w);
    a.dst = static_cast<T*>(forward ? p.y : p.x), a.bias = static_cast<const T*>(p.bias);
    a.channels = p.c, a.images = p.n;
    a.in = a.d.in[0] * a.d.in[1], a.out = a.d.out[0] * a.d.out[1];
    const int64_t blocks = gemm_div_up(p.c, a.q.planes);
    const int64_t work = p.out[1] * p.out[2] * K * K * a.q.planes * gemm_min(p.n, kNarrowImages);
    parallel_for(gemm_div_up(p.n, kNarrowImages) * blocks, gemm_max(1, 131072 / work),
                 [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) {
                         const int64_t first = i / blocks * kNarrowImages;
                         narrow_task<T, K, mode>(a, i % blocks * a.q.planes, first,
                                                 gemm_min(a.images, first + kNarrowImages));
                     }
                 });
    return DL_OK;
}

template <class T, DepthwisePass pass, WindowMode mode>
dl_status depthwise_narrow_planes(const dl_conv& p) {
    if (p.kernel[1] == 3) return depthwise_narrow_tasks<T, 3, pass, mode>(p);
    if (p.kernel[1] == 5) return depthwise_narrow_tasks<T, 5, pass, mode>(p);
    return depthwise_narrow_tasks<T, 7, pass, mode>(p);
}

}  // namespace
