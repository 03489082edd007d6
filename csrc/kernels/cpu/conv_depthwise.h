// Depthwise convolution in two dimensions, straight from the planes: nothing is copied or padded.
// A block of rows of one vector of columns is made at once, so that each vector of input that is
// loaded serves every row of the window; what lies outside of the plane is masked away (columns)
// or read from a row of zeros (rows). Windows of 3, 5 or 7 rows, stride 1 (any dilation) or 2.
#pragma once
#include "kernels/cpu/conv_sliding.h"
#include "kernels/cpu/lanes.h"

namespace {

constexpr int kDepthwiseWidth = 7;  // columns of a window, at most

struct DepthwiseShape {
    int64_t in[2], out[2];  // rows and columns; `in` is what the window slides over
    int64_t width;          // columns of the window
    int64_t pad[2], dilation[2];
};

// A window's weights: element (r, s) at w[r * row + s * column]; turned by 180 degrees for the
// gradient of the input.
template <class T>
struct DepthwiseWeights {
    const T* w;
    int64_t row, column;
};

// Which lanes the vectors of a strip of columns may touch: [tap][first or second vector].
template <class T>
struct DepthwiseColumn {
    int64_t first;  // column of the output
    bool edge;      // some vector reaches outside of the plane
    LaneMask<T> in[kDepthwiseWidth][2];
    LaneMask<T> out[2];
};

template <class T>
DL_INLINE LaneMask<T> lanes_inside(int64_t from, int64_t width, bool* edge) {
    *edge = *edge || from < 0 || from + Vec<T>::N > width;
    return lane_mask<T>(-from, width - from);
}

// Rows are short: the hardware does not see what comes next.
template <int R, class T>
DL_INLINE void depthwise_prefetch(const T* p, int64_t row) {
    const int64_t ahead = gemm_max(R * row, int64_t(4096 / sizeof(T)));
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) __builtin_prefetch(p + ahead + r * row);
}

// The vector at p that tap s sees (second: the one behind it), 0 outside.
template <class T, bool edge>
DL_INLINE typename Vec<T>::type depthwise_load(const T* p, const LaneMask<T>& m) {
    if constexpr (edge)
        return vload_mask(p, m);
    else
        return vload(p);
}

// out[r] = sum over rows j and taps of R rows of output; rows: those of the input.
template <class T, int KH, int S, int R, bool edge>
DL_INLINE void depthwise_sum(const DepthwiseShape& d, const T* const* rows,
                             const DepthwiseColumn<T>& c, const DepthwiseWeights<T>& w,
                             typename Vec<T>::type (&acc)[R]) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N, J = (R - 1) * S + KH;
    for (int64_t s = 0; s < d.width; s += S) {
        const int64_t at = c.first * S - d.pad[1] + s * d.dilation[1];
        const bool two = S == 2 && s + 1 < d.width;
        vec wv[S][KH];
#pragma GCC unroll 8
        for (int k = 0; k < KH; ++k) {
            wv[0][k] = vset1(w.w[k * w.row + s * w.column]);
            if constexpr (S == 2)
                wv[1][k] = two ? vset1(w.w[k * w.row + (s + 1) * w.column]) : vec{};
        }
#pragma GCC unroll 16
        for (int j = 0; j < J; ++j) {
            vec x[S];
            const vec a = depthwise_load<T, edge>(rows[j] + at, c.in[s][0]);
            if constexpr (S == 2) {
                const vec b = depthwise_load<T, edge>(rows[j] + at + N, c.in[s][1]);
                x[0] = vevens<T>(a, b), x[1] = vodds<T>(a, b);
            } else {
                x[0] = a;
            }
#pragma GCC unroll 2
            for (int i = 0; i < S; ++i)
#pragma GCC unroll 8
                for (int r = 0; r < R; ++r)
                    if (j - r * S >= 0 && j - r * S < KH) acc[r] += wv[i][j - r * S] * x[i];
        }
    }
}

// Rows first, first + step, ... (R of them) of a plane of output.
template <class T, int KH, int S, int R>
void depthwise_rows(const DepthwiseShape& d, const T* src, const T* zeros, int64_t first,
                    const DepthwiseColumn<T>* columns, const DepthwiseWeights<T>& w, T bias,
                    T* dst) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N, J = (R - 1) * S + KH;
    const T* rows[J];
    for (int j = 0; j < J; ++j) {
        const int64_t i = first * S - d.pad[0] + j * d.dilation[0];
        rows[j] = i < 0 || i >= d.in[0] ? zeros : src + i * d.in[1];
    }
    const int64_t step = d.dilation[0] * d.out[1];
    for (const DepthwiseColumn<T>* c = columns; c->first < d.out[1]; ++c) {
        vec acc[R];
        depthwise_prefetch<R * S>(src + first * S * d.in[1] + c->first * S, d.in[1]);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) acc[r] = vset1(bias);
        if (c->edge)
            depthwise_sum<T, KH, S, R, true>(d, rows, *c, w, acc);
        else
            depthwise_sum<T, KH, S, R, false>(d, rows, *c, w, acc);
        T* to = dst + first * d.out[1] + c->first;
        const T* end = dst + d.out[0] * d.out[1];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r, to += step)
            if (d.out[1] >= N || (step == d.out[1] && to + N <= end))
                vstore(to, acc[r]);  // runs over into rows that come later, or not at all
            else
                vstore_mask(to, acc[r], c->out[0]);
    }
}

template <class T, int KH, int S>
void depthwise_plane(const DepthwiseShape& d, const T* src, const T* zeros,
                     const DepthwiseColumn<T>* columns, const DepthwiseWeights<T>& w, T bias,
                     T* dst) {
    const int64_t step = d.dilation[0];
    for (int64_t residue = 0; residue < gemm_min(step, d.out[0]); ++residue)
        for (int64_t o = residue; o < d.out[0];) {
            const int64_t left = (d.out[0] - o + step - 1) / step;
            if (left >= 7)
                depthwise_rows<T, KH, S, 7>(d, src, zeros, o, columns, w, bias, dst), o += 7 * step;
            else if (left >= 4)
                depthwise_rows<T, KH, S, 4>(d, src, zeros, o, columns, w, bias, dst), o += 4 * step;
            else
                depthwise_rows<T, KH, S, 1>(d, src, zeros, o, columns, w, bias, dst), o += step;
        }
}

// ---- gradient of the input at stride 2 ---------------------------------------------------------
//
// With q = i + pad, row q of dx meets rows (q - r) / 2 of dy for the taps r of q's parity, and so
// do columns: the even and the odd columns are summed apart and stored zipped.

// Rows q0 .. q0 + 2R - 1 (q0 even) of N pairs of columns. rows[j]: row q0 / 2 - KH / 2 + j of dy.
template <class T, int KH, int R, bool edge>
DL_INLINE void depthwise_zip(const DepthwiseShape& d, const T* const* rows,
                             const DepthwiseColumn<T>& c, const DepthwiseWeights<T>& w,
                             typename Vec<T>::type (&acc)[2][2 * R]) {
    typedef typename Vec<T>::type vec;
    constexpr int J = R + KH / 2;
#pragma GCC unroll 2
    for (int phase = 0; phase < 2; ++phase)
        for (int64_t s = phase; s < d.width; s += 2) {
            const int64_t at = c.first - s / 2;
            vec wv[KH];
#pragma GCC unroll 8
            for (int k = 0; k < KH; ++k) wv[k] = vset1(w.w[k * w.row + s * w.column]);
#pragma GCC unroll 8
            for (int j = 0; j < J; ++j) {
                const vec x = depthwise_load<T, edge>(rows[j] + at, c.in[s][0]);
#pragma GCC unroll 8
                for (int k = 0; k < KH; ++k) {
                    const int q = 2 * (j - KH / 2) + k;
                    if (q >= 0 && q < 2 * R) acc[phase][q] += wv[k] * x;
                }
            }
        }
}

// src: a plane of dy, dst: of dx.
template <class T, int KH, int R>
void depthwise_plane_zip(const DepthwiseShape& d, const T* src, const T* zeros,
                         const DepthwiseColumn<T>* columns, const DepthwiseWeights<T>& w, T* dst) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N, J = R + KH / 2;
    for (int64_t q0 = d.pad[0] / 2 * 2; q0 < d.out[0] + d.pad[0]; q0 += 2 * R) {
        const T* rows[J];
        for (int j = 0; j < J; ++j) {
            const int64_t o = q0 / 2 - KH / 2 + j;
            rows[j] = o < 0 || o >= d.in[0] ? zeros : src + o * d.in[1];
        }
        for (const DepthwiseColumn<T>* c = columns; 2 * c->first < d.out[1] + d.pad[1]; ++c) {
            vec acc[2][2 * R] = {};
            depthwise_prefetch<R>(src + q0 / 2 * d.in[1] + c->first, d.in[1]);
            if (c->edge)
                depthwise_zip<T, KH, R, true>(d, rows, *c, w, acc);
            else
                depthwise_zip<T, KH, R, false>(d, rows, *c, w, acc);
#pragma GCC unroll 8
            for (int q = 0; q < 2 * R; ++q) {
                const int64_t i = q0 + q - d.pad[0];
                if (i < 0 || i >= d.out[0]) continue;
                T* to = dst + i * d.out[1] + 2 * c->first - d.pad[1];
                vstore_mask(to, vzip_lo<T>(acc[0][q], acc[1][q]), c->out[0]);
                vstore_mask(to + N, vzip_hi<T>(acc[0][q], acc[1][q]), c->out[1]);
            }
        }
    }
}

// ---- gradient of the weights -------------------------------------------------------------------

// Adds to acc[r][s] the products of dy and of x under taps (r, s0 + s), for a strip of columns of
// one plane. dy is the smaller plane (d.out), x the one that the window slides over.
template <class T, int KH, int S, int W, bool edge>
void depthwise_taps(const DepthwiseShape& d, const T* x, const T* dy, const T* zeros,
                    const DepthwiseColumn<T>& c, int64_t s0, typename Vec<T>::type* sums) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N, R = 4, J = (R - 1) * S + KH;
    vec acc[KH][W];
#pragma GCC unroll 8
    for (int k = 0; k < KH; ++k)
#pragma GCC unroll 4
        for (int i = 0; i < W; ++i) acc[k][i] = sums[k * d.width + s0 + i];
    const int64_t step = d.dilation[0], base = c.first * S - d.pad[1];
    for (int64_t residue = 0; residue < gemm_min(step, d.out[0]); ++residue)
        for (int64_t o = residue; o < d.out[0]; o += R * step) {
            vec g[R];
            depthwise_prefetch<R * S>(x + o * S * d.in[1] + c.first * S, d.in[1]);
            depthwise_prefetch<R>(dy + o * d.out[1] + c.first, d.out[1]);
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r)
                g[r] = o + r * step < d.out[0]
                           ? vload_mask(dy + (o + r * step) * d.out[1] + c.first, c.out[0])
                           : vec{};
#pragma GCC unroll 16
            for (int j = 0; j < J; ++j) {
                const int64_t i = o * S - d.pad[0] + j * step;
                const T* row = (i < 0 || i >= d.in[0] ? zeros : x + i * d.in[1]) + base;
                vec odd{};
#pragma GCC unroll 4
                for (int t = 0; t < W; ++t) {
                    const int64_t s = s0 + t;
                    vec v;
                    if constexpr (S == 1) {
                        v = depthwise_load<T, edge>(row + s * d.dilation[1], c.in[s][0]);
                    } else if (t % 2 == 0) {
                        const vec a = depthwise_load<T, edge>(row + s, c.in[s][0]);
                        const vec b = depthwise_load<T, edge>(row + s + N, c.in[s][1]);
                        v = vevens<T>(a, b), odd = vodds<T>(a, b);
                    } else {
                        v = odd;
                    }
#pragma GCC unroll 4
                    for (int r = 0; r < R; ++r)
                        if (j - r * S >= 0 && j - r * S < KH) acc[j - r * S][t] += g[r] * v;
                }
            }
        }
#pragma GCC unroll 8
    for (int k = 0; k < KH; ++k)
#pragma GCC unroll 4
        for (int i = 0; i < W; ++i) sums[k * d.width + s0 + i] = acc[k][i];
}

template <class T, int KH, int S, int W>
DL_INLINE void depthwise_strip(const DepthwiseShape& d, const T* x, const T* dy, const T* zeros,
                               const DepthwiseColumn<T>& c, int64_t s0,
                               typename Vec<T>::type* sums) {
    if (c.edge)
        depthwise_taps<T, KH, S, W, true>(d, x, dy, zeros, c, s0, sums);
    else
        depthwise_taps<T, KH, S, W, false>(d, x, dy, zeros, c, s0, sums);
}

template <class T, int KH, int S>
void depthwise_plane_taps(const DepthwiseShape& d, const T* x, const T* dy, const T* zeros,
                          const DepthwiseColumn<T>* columns, typename Vec<T>::type* sums) {
    constexpr int most = KH == 7 ? 2 : 3;  // with KH rows of taps, what the registers hold
    for (const DepthwiseColumn<T>* c = columns; c->first < d.out[1]; ++c)
        for (int64_t s = 0; s < d.width;) {
            const int64_t left = d.width - s;
            if (left >= most)
                depthwise_strip<T, KH, S, most>(d, x, dy, zeros, *c, s, sums), s += most;
            else if (left == 2)
                depthwise_strip<T, KH, S, 2>(d, x, dy, zeros, *c, s, sums), s += 2;
            else
                depthwise_strip<T, KH, S, 1>(d, x, dy, zeros, *c, s, sums), s += 1;
        }
}

// ---- the three products ------------------------------------------------------------------------

enum class DepthwisePass { kForward, kBackwardInput, kBackwardWeight };

DL_INLINE int64_t depthwise_stride(const dl_conv& p) { return p.stride[1]; }

// What the passes work on: for the gradient of the input at stride 1 the window, turned, slides
// over dy; at stride 2 `in` is dy as well, but each of its columns makes two.
DepthwiseShape depthwise_shape(const dl_conv& p, DepthwisePass pass) {
    const bool input = pass == DepthwisePass::kBackwardInput;
    DepthwiseShape d;
    d.width = p.kernel[2];
    for (int i = 0; i < 2; ++i) {
        d.in[i] = input ? p.out[1 + i] : p.in[1 + i];
        d.out[i] = input ? p.in[1 + i] : p.out[1 + i];
        d.dilation[i] = p.dilation[1 + i];
        d.pad[i] = input && depthwise_stride(p) == 1
                       ? d.dilation[i] * (p.kernel[1 + i] - 1) - p.pad_lo[1 + i]
                       : p.pad_lo[1 + i];
    }
    return d;
}

// The strips of columns, with one more to end the list. With `overlap` the last one begins early
// enough to be whole, where there is room.
template <class T>
void depthwise_columns(const DepthwiseShape& d, int64_t stride, bool zip, bool overlap,
                       int64_t count, DepthwiseColumn<T>* c) {
    constexpr int N = Vec<T>::N;
    for (int64_t u = 0; u < count; ++u, ++c) {
        c->first = u * N + (zip ? d.pad[1] / 2 : 0);
        if (overlap && d.out[1] >= N) c->first = gemm_min(c->first, d.out[1] - N);
        c->edge = false;
        for (int64_t s = 0; s < d.width; ++s) {
            const int64_t at =
                zip ? c->first - s / 2 : c->first * stride - d.pad[1] + s * d.dilation[1];
            c->in[s][0] = lanes_inside<T>(at, d.in[1], &c->edge);
            if (stride == 2 && !zip) c->in[s][1] = lanes_inside<T>(at + N, d.in[1], &c->edge);
        }
        const int64_t to = zip ? 2 * c->first - d.pad[1] : c->first;
        c->out[0] = lane_mask<T>(-to, d.out[1] - to);
        c->out[1] = lane_mask<T>(-to - N, d.out[1] - to - N);
    }
    c->first = d.out[1] + d.pad[1] + N;
}

// Calls f(std::integral_constant-like KH, S).
template <int V>
struct DepthwiseInt {
    static constexpr int value = V;
};
template <class F>
DL_INLINE void depthwise_dispatch(int64_t rows, int64_t stride, const F& f) {
    if (rows == 3)
        stride == 1 ? f(DepthwiseInt<3>{}, DepthwiseInt<1>{})
                    : f(DepthwiseInt<3>{}, DepthwiseInt<2>{});
    else if (rows == 5)
        stride == 1 ? f(DepthwiseInt<5>{}, DepthwiseInt<1>{})
                    : f(DepthwiseInt<5>{}, DepthwiseInt<2>{});
    else
        stride == 1 ? f(DepthwiseInt<7>{}, DepthwiseInt<1>{})
                    : f(DepthwiseInt<7>{}, DepthwiseInt<2>{});
}

// Scratch of a task: strips of columns, and a row of zeros.
template <class T>
struct DepthwiseScratch {
    DepthwiseColumn<T>* columns;
    T* zeros;

    DepthwiseScratch(const DepthwiseShape& d, int64_t stride, DepthwisePass pass) {
        const bool zip = stride == 2 && pass == DepthwisePass::kBackwardInput;
        constexpr int N = Vec<T>::N;
        const int64_t width = zip ? d.out[1] / 2 + 1 : d.out[1], count = gemm_div_up(width, N);
        const size_t bytes = size_t(count + 1) * sizeof(DepthwiseColumn<T>);
        char* memory = static_cast<char*>(dl_scratch(bytes + size_t(d.in[1]) * sizeof(T), 1));
        columns = reinterpret_cast<DepthwiseColumn<T>*>(memory);
        zeros = reinterpret_cast<T*>(memory + bytes);
        if (!memory) return;
        memset(zeros, 0, size_t(d.in[1]) * sizeof(T));
        depthwise_columns(d, stride, zip, !zip && pass != DepthwisePass::kBackwardWeight, count,
                          columns);
    }
};

// Planes of dst, one after another over all images. Forward: filter k sees channel k / multiplier.
template <class T, DepthwisePass pass>
dl_status depthwise_planes(const dl_conv& p) {
    constexpr bool forward = pass == DepthwisePass::kForward;
    const DepthwiseShape d = depthwise_shape(p, pass);
    const int64_t stride = depthwise_stride(p), multiplier = p.k / p.c;
    const int64_t planes = p.n * (forward ? p.k : p.c), window = p.kernel[1] * p.kernel[2];
    const int64_t in = d.in[0] * d.in[1], out = d.out[0] * d.out[1];
    const T* src = static_cast<const T*>(forward ? p.x : p.y);
    T* dst = static_cast<T*>(forward ? p.y : p.x);
    const T* bias = static_cast<const T*>(p.bias);
    int failed = 0;
    parallel_for(planes, gemm_max(1, 65536 / (p.out[1] * p.out[2] * window)),
                 [&](int64_t begin, int64_t end) {
                     const DepthwiseScratch<T> scratch(d, stride, pass);
                     if (!scratch.columns) {
                         __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
                         return;
                     }
                     depthwise_dispatch(p.kernel[1], stride, [&](auto kh, auto s) {
                         constexpr int KH = decltype(kh)::value, S = decltype(s)::value;
                         for (int64_t i = begin; i < end; ++i) {
                             const int64_t row = forward ? i % p.k : i % p.c;
                             const T* w = static_cast<const T*>(p.w) + row * window;
                             const T add = bias ? bias[row] : T(0);
                             const T* from = src + i / multiplier * in;
                             if constexpr (forward)
                                 depthwise_plane<T, KH, S>(d, from, scratch.zeros, scratch.columns,
                                                           {w, p.kernel[2], 1}, add, dst + i * out);
                             else if constexpr (S == 1)
                                 depthwise_plane<T, KH, 1>(d, from, scratch.zeros, scratch.columns,
                                                           {w + window - 1, -p.kernel[2], -1}, add,
                                                           dst + i * out);
                             else
                                 depthwise_plane_zip<T, KH, DL_VEC_BYTES == 64 ? 4 : 2>(
                                     d, from, scratch.zeros, scratch.columns, {w, p.kernel[2], 1},
                                     dst + i * out);
                         }
                     });
                 });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

// A task is a filter, which goes through the images in order.
template <class T>
dl_status depthwise_weight(const dl_conv& p) {
    typedef typename Vec<T>::type vec;
    const DepthwiseShape d = depthwise_shape(p, DepthwisePass::kBackwardWeight);
    const int64_t stride = depthwise_stride(p), window = p.kernel[1] * p.kernel[2];
    const int64_t in = d.in[0] * d.in[1], out = d.out[0] * d.out[1], multiplier = p.k / p.c;
    const T *x = static_cast<const T*>(p.x), *dy = static_cast<const T*>(p.y);
    T* dw = static_cast<T*>(p.w);
    int failed = 0;
    parallel_for(p.k, gemm_max(1, 65536 / (p.n * out * window)), [&](int64_t begin, int64_t end) {
        const DepthwiseScratch<T> scratch(d, stride, DepthwisePass::kBackwardWeight);
        if (!scratch.columns) {
            __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            return;
        }
        depthwise_dispatch(p.kernel[1], stride, [&](auto kh, auto s) {
            constexpr int KH = decltype(kh)::value, S = decltype(s)::value;
            for (int64_t k = begin; k < end; ++k) {
                constexpr int N = Vec<T>::N;
                vec sums[KH * kDepthwiseWidth + N];
                for (int64_t t = 0; t < gemm_round_up(window, N); ++t) sums[t] = vec{};
                for (int64_t n = 0; n < p.n; ++n)
                    depthwise_plane_taps<T, KH, S>(d, x + (n * p.c + k / multiplier) * in,
                                                   dy + (n * p.k + k) * out, scratch.zeros,
                                                   scratch.columns, sums);
                for (int64_t t = 0; t < window; t += N)
                    vstore_n(dw + k * window + t, vreduce_each<T>(sums + t),
                             gemm_min(N, window - t));
            }
        });
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

// Two dimensions, windows of 3, 5 or 7 rows and at most 7 columns, one stride for both.
bool is_depthwise_window(const dl_conv& p) {
    const int64_t rows = p.kernel[1], stride = p.stride[1];
    if (DL_VEC_BYTES < 32) return false;  // masks would be loops
    return p.groups == p.c && p.groups > 1 && p.in[0] == 1 && p.kernel[0] == 1 && p.out[0] == 1 &&
           p.pad_lo[0] == 0 && (rows == 3 || rows == 5 || rows == 7) &&
           p.kernel[2] <= kDepthwiseWidth && stride == p.stride[2] &&
           (stride == 1 || (stride == 2 && p.dilation[1] == 1 && p.dilation[2] == 1)) &&
           conv_volume(p.in) > 0 && conv_volume(p.out) > 0;
}
// Each channel makes one plane.
bool is_depthwise_window_input(const dl_conv& p) {
    return is_depthwise_window(p) && p.k == p.c && (p.stride[1] == 1 || !p.bias);
}

}  // namespace
