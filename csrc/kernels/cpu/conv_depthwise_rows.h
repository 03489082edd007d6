// Depthwise convolution by rows: blocks of rows of one vector of columns, so that each vector of input
// that is loaded serves every row of the window. Nothing is copied or padded: what lies outside of the
// plane is masked away (columns) or left out (rows). Windows of 3, 5 or 7 rows, stride 1 (any
// dilation) or 2.
#pragma once
#include "kernels/cpu/conv_sliding.h"
#include "kernels/cpu/lanes.h"

namespace {

constexpr int kDepthwiseWidth = 7;  // columns of a window, at most

struct DepthwiseShape {
    int64_t in[2], out[2];  // rows and columns; `in` is what the window slides over
    int64_t width;          // columns of the window
    int64_t pad[2], dilation[2];
    int64_t lines;  // of the cache, in eighths, to a row of input and a strip of columns of output
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

// A plane of what is made and of what it is made of.
template <class T>
struct DepthwisePlane {
    const T* src;
    DepthwiseWeights<T> w;
    T bias;
    T* dst;
};

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
    const int64_t size = p.dtype == DL_F64 ? 8 : 4, lanes = DL_VEC_BYTES / size;
    d.lines = gemm_div_up(d.in[1] * size, 8 * gemm_div_up(d.out[1], lanes));
    return d;
}

template <int V>
struct DepthwiseInt {
    static constexpr int value = V;
};

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

// ---- rows of output ----------------------------------------------------------------------------

// Rows of output of a block and the rows of the plane that they see: row j of the block's lies in
// the plane where lo <= j < hi.
template <class T>
struct DepthwiseBlock {
    const T* src;  // row 0, which may lie in front of the plane
    int64_t pitch, lo, hi;
};

// acc[r] += the sums over a window, for R rows of output; a vector of input that is loaded serves
// all of them. inner: all rows lie in the plane.
template <class T, int KH, int S, int R, bool inner, bool edge>
DL_INLINE void depthwise_sum(const DepthwiseShape& d, const DepthwiseBlock<T>& b,
                             const DepthwiseColumn<T>& c, const DepthwiseWeights<T>& w,
                             typename Vec<T>::type (&acc)[R]) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N, J = (R - 1) * S + KH;
    for (int64_t s = 0; s < d.width; s += S) {
        const T* row = b.src + c.first * S - d.pad[1] + s * d.dilation[1];
        const bool two = S == 2 && s + 1 < d.width;
        vec wv[S][KH];
#pragma GCC unroll 8
        for (int k = 0; k < KH; ++k) {
            wv[0][k] = vset1(w.w[k * w.row + s * w.column]);
            if constexpr (S == 2)
                wv[1][k] = two ? vset1(w.w[k * w.row + (s + 1) * w.column]) : vec{};
        }
#pragma GCC unroll 32
        for (int j = 0; j < J; ++j, row += b.pitch) {
            if (!inner && (j < b.lo || j >= b.hi)) continue;
            vec x[S];
            const vec first = depthwise_load<T, edge>(row, c.in[s][0]);
            if constexpr (S == 2) {
                const vec second = depthwise_load<T, edge>(row + N, c.in[s][1]);
                x[0] = vevens<T>(first, second), x[1] = vodds<T>(first, second);
            } else {
                x[0] = vhold(first);
            }
#pragma GCC unroll 2
            for (int i = 0; i < S; ++i)
#pragma GCC unroll 16
                for (int r = 0; r < R; ++r)
                    if (j - r * S >= 0 && j - r * S < KH) acc[r] += wv[i][j - r * S] * x[i];
        }
    }
}

// Stores rows of a strip, `step` apart. Whole vectors run over into rows that come later.
template <class T, int R>
DL_INLINE void depthwise_store(T* to, int64_t step, const typename Vec<T>::type (&acc)[R],
                               int64_t whole, const LaneMask<T>& m) {
    if (whole >= R) {
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r, to += step) vstore(to, acc[r]);
    } else if (whole == R - 1) {
#pragma GCC unroll 16
        for (int r = 0; r < R - 1; ++r, to += step) vstore(to, acc[r]);
        vstore_mask(to, acc[R - 1], m);
    } else {
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r, to += step) vstore_mask(to, acc[r], m);
    }
}

// How many of R rows, the first at o, may be stored by whole vectors: all where a row has room for
// them, or those that run over into rows of the same block or behind it.
template <class T, int R>
DL_INLINE int64_t depthwise_whole(const DepthwiseShape& d, int64_t o) {
    constexpr int N = Vec<T>::N;
    if (d.out[1] >= N) return R;
    if (d.dilation[0] != 1) return 0;
    const int64_t whole = d.out[0] - (N + d.out[1] - 1) / d.out[1] + 1 - o;
    return whole < 0 ? 0 : whole;
}

// Rows first, first + step, ... (R of them) of a plane of output.
template <class T, int KH, int S, int R>
void depthwise_rows(const DepthwiseShape& d, const T* src, int64_t first,
                    const DepthwiseColumn<T>* columns, const DepthwiseWeights<T>& w, T bias,
                    T* dst) {
    typedef typename Vec<T>::type vec;
    constexpr int J = (R - 1) * S + KH, L = 64 / sizeof(T);
    const int64_t top = first * S - d.pad[0], step = d.dilation[0];
    const DepthwiseBlock<T> b = {src + top * d.in[1], step * d.in[1],
                                 top < 0 ? (-top + step - 1) / step : 0,
                                 (d.in[0] - top + step - 1) / step};
    const bool inner = b.lo == 0 && b.hi >= J;
    const int64_t whole = depthwise_whole<T, R>(d, first);
    const int64_t size = R * S * d.in[1];
    const T* ahead = src + first * S * d.in[1] + gemm_max(size, int64_t(1024 / sizeof(T)));
    for (const DepthwiseColumn<T>* c = columns; c->first < d.out[1]; ++c) {
        vec acc[R];
        for (int64_t i = 0; i < d.lines * (R * S); i += 8, ahead += L) __builtin_prefetch(ahead);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) acc[r] = vset1(bias);
        if (inner && !c->edge)
            depthwise_sum<T, KH, S, R, true, false>(d, b, *c, w, acc);
        else if (inner)
            depthwise_sum<T, KH, S, R, true, true>(d, b, *c, w, acc);
        else
            depthwise_sum<T, KH, S, R, false, true>(d, b, *c, w, acc);
        depthwise_store<T, R>(dst + first * d.out[1] + c->first, step * d.out[1], acc, whole,
                              c->out[0]);
    }
}

// A residue of rows modulo the dilation after the other. Of what is left of one in the end the last
// block of four begins early enough to be whole.
template <class T, int KH, int S>
void depthwise_plane(const DepthwiseShape& d, const T* src, const DepthwiseColumn<T>* columns,
                     const DepthwiseWeights<T>& w, T bias, T* dst) {
    constexpr int most = DL_VEC_BYTES == 64 && S == 1 ? 14 : 7;
    const int64_t step = d.dilation[0];
    for (int64_t residue = 0; residue < gemm_min(step, d.out[0]); ++residue) {
        const int64_t rows = (d.out[0] - residue + step - 1) / step;
        for (int64_t r = 0; r < rows;) {
            const int64_t left = rows - r;
            if (most > 7 && left >= most) {
                depthwise_rows<T, KH, S, most>(d, src, residue + r * step, columns, w, bias, dst);
                r += most;
            } else if (left >= 7) {
                depthwise_rows<T, KH, S, 7>(d, src, residue + r * step, columns, w, bias, dst);
                r += 7;
            } else if (rows >= 4) {
                r = gemm_min(r, rows - 4);
                depthwise_rows<T, KH, S, 4>(d, src, residue + r * step, columns, w, bias, dst);
                r += 4;
            } else {
                depthwise_rows<T, KH, S, 1>(d, src, residue + r * step, columns, w, bias, dst);
                ++r;
            }
        }
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

}  // namespace
