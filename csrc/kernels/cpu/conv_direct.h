// Direct convolution, for few channels or few filters per group: too few products per element for a
// matrix product to pay. The rows of input under a band of output are padded and split by stride
// once (planes.h), and every output vector is a sum of contiguous loads times weights, for a few
// filters and as many vectors as the registers hold.
#pragma once
#include "kernels/cpu/conv_rows.h"
#include "kernels/cpu/conv_sliding.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/planes.h"

namespace {

// Planes of src with all padding that the taps reach into, rows split by phase:
// [channels, rows[0], rows[1], stride, ld].
template <class T>
struct PaddedPlanes {
    int64_t lo[2], rows[2];  // padding before, rows in all
    int64_t plane;           // elements
    PhasedShape shape;

    explicit PaddedPlanes(const Sliding<T>& s) {
        int64_t least[3] = {0, 0, 0}, most[3] = {0, 0, 0};
        for (int64_t t = 0; t < s.ntaps; ++t)
            for (int d = 0; d < 3; ++d) {
                least[d] = t ? gemm_min(least[d], s.taps[t].off[d]) : s.taps[t].off[d];
                most[d] = t ? gemm_max(most[d], s.taps[t].off[d]) : s.taps[t].off[d];
            }
        for (int d = 0; d < 2; ++d) {
            lo[d] = -least[d];
            rows[d] = (s.grid[d] - 1) * s.mul[d] + most[d] - least[d] + 1;
        }
        shape = phased_shape<T>(s.in[2], -least[2], s.mul[2], s.grid[2], most[2] - least[2] + 1, 1);
        plane = rows[0] * rows[1] * shape.cells();
        shift = least[2];
    }

    // Position of output column 0 of row (o0, o1) under a tap.
    int64_t at(const Sliding<T>& s, int64_t o0, int64_t o1) const {
        return (o0 * s.mul[0] * rows[1] + o1 * s.mul[1]) * shape.cells();
    }
    int64_t at(const ConvTap& t) const {
        return ((t.off[0] + lo[0]) * rows[1] + t.off[1] + lo[1]) * shape.cells() +
               shape.offset(t.off[2] - shift);
    }
    // Elements of a plane, plus what the last vector may read beyond.
    int64_t room() const { return plane + shape.cells(); }

    void fill(const Sliding<T>& s, const T* src, T* to) const {
        for (int64_t r0 = 0; r0 < rows[0]; ++r0)
            for (int64_t r1 = 0; r1 < rows[1]; ++r1, to += shape.cells()) {
                const int64_t i0 = r0 - lo[0], i1 = r1 - lo[1];
                if (i0 < 0 || i0 >= s.in[0] || i1 < 0 || i1 >= s.in[1])
                    memset(to, 0, size_t(shape.cells()) * sizeof(T));
                else
                    split_row(to, src + (i0 * s.in[1] + i1) * s.in[2], shape, T(0));
            }
    }

 private:
    int64_t shift;
};

// Filters of a block, and vectors at once for M of them: as many sums as the registers hold.
constexpr int kDirectFilters = 4;
constexpr int direct_vectors(int m) {
    return DL_VEC_BYTES == 64   ? (m == 1 ? 8 : 7)
           : m == 1             ? 8
           : m == 2             ? 4
           : DL_VEC_BYTES == 32 ? 3
                                : 2;
}

// What a block of M filters needs: where the inputs of the steps are, and w[step][M].
template <class T>
struct DirectSteps {
    int64_t count;
    const int64_t* at;
    const T* w;
};

// out[m][u] = bias[m] + sum over steps, for the U vectors at from[u].
template <class T, int M, int U>
DL_INLINE void direct_sum(const DirectSteps<T>& steps, const T* const* from, const T* bias,
                          typename Vec<T>::type (&out)[M][U]) {
    typedef typename Vec<T>::type vec;
    vec acc[M][U];
#pragma GCC unroll 4
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
        for (int u = 0; u < U; ++u) acc[m][u] = vset1<T>(bias[m]);
    const T* w = steps.w;
    for (int64_t t = 0; t < steps.count; ++t, w += M) {
        vec wm[M];
#pragma GCC unroll 4
        for (int m = 0; m < M; ++m) wm[m] = vset1<T>(w[m]);
#pragma GCC unroll 8
        for (int u = 0; u < U; ++u) {
            vec v = vload(from[u] + steps.at[t]);
            if constexpr (M < 4) v = vhold(v);  // with 4 filters there is no register left for it
#pragma GCC unroll 4
            for (int m = 0; m < M; ++m) acc[m][u] += wm[m] * v;
        }
    }
#pragma GCC unroll 4
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
        for (int u = 0; u < U; ++u) out[m][u] = acc[m][u];
}

// What one task works on: rows [row0, row1) of slab `slab` (image and depth) of a group.
struct DirectBand {
    int64_t group, slab, row0, row1;
};

// M filters of a band, the first of which goes to dst. A row's last vector may run over into the
// next row of the band, which is written later.
template <class T, int M>
void direct_filters(const Sliding<T>& s, const SlidingRows<T>& rows, const DirectBand& band,
                    const T* inputs, const DirectSteps<T>& steps, const T* bias, T* dst) {
    constexpr int N = Vec<T>::N, U = direct_vectors(M);
    const T* from[U];
    int64_t to[U], left[U];
    int pending = 0;
    const int64_t end = sliding_place(s, band.slab, band.row1 - 1) + s.grid[2];
    auto flush = [&] {
        typename Vec<T>::type v[M][U];
        for (int u = pending; u < U; ++u) from[u] = from[0];
        direct_sum<T, M, U>(steps, from, bias, v);
#pragma GCC unroll 8
        for (int u = 0; u < U; ++u) {
            if (u >= pending) break;
            const bool whole = left[u] >= N || (s.out_mul[1] == 1 && to[u] + N <= end);
            T* out = dst + to[u];
#pragma GCC unroll 4
            for (int m = 0; m < M; ++m, out += s.dst_plane)
                if (s.out_mul[2] == 1 && whole)
                    vstore(out, v[m][u]);
                else if (s.out_mul[2] == 1)
                    vstore_n(out, v[m][u], left[u]);
                else if (s.out_mul[2] == 2)
                    vstore_pairs(out, v[m][u], gemm_min(left[u], N));
                else
                    put_every(out, reinterpret_cast<const T*>(&v[m][u]), gemm_min(left[u], N),
                              s.out_mul[2]);
        }
        pending = 0;
    };
    for (int64_t r = band.row0; r < band.row1; ++r) {
        const T* row = inputs + (r - band.row0) * rows.row_step * rows.cells;
        const int64_t out = sliding_place(s, band.slab, r);
        for (int64_t o = 0; o < s.grid[2]; o += N) {
            from[pending] = row + o;
            to[pending] = out + o * s.out_mul[2];
            left[pending] = s.grid[2] - o;
            if (++pending == U) flush();
        }
    }
    if (pending) flush();
}

// All filters of a band. w: the group's packed weights.
template <class T>
void direct_band(const Sliding<T>& s, const SlidingRows<T>& rows, const DirectBand& band,
                 const T* inputs, const int64_t* at, const T* w) {
    T* dst = s.dst + band.group * s.rows * s.dst_plane;
    for (int64_t m = 0; m < s.rows; m += kDirectFilters) {
        const int64_t count = gemm_min(kDirectFilters, s.rows - m);
        T bias[kDirectFilters] = {};
        for (int64_t i = 0; i < count && s.bias; ++i) bias[i] = s.bias[band.group * s.rows + m + i];
        const DirectSteps<T> steps{s.steps(), at, w + m * s.steps()};
        T* to = dst + m * s.dst_plane;
        if (count == 4)
            direct_filters<T, 4>(s, rows, band, inputs, steps, bias, to);
        else if (count == 3)
            direct_filters<T, 3>(s, rows, band, inputs, steps, bias, to);
        else if (count == 2)
            direct_filters<T, 2>(s, rows, band, inputs, steps, bias, to);
        else
            direct_filters<T, 1>(s, rows, band, inputs, steps, bias, to);
    }
}

// Weights of all groups in blocks of filters: [group][block][step][filters of the block].
template <class T>
void direct_weights(const Sliding<T>& s, T* to) {
    for (int64_t g = 0; g < s.groups; ++g)
        for (int64_t m = 0; m < s.rows; m += kDirectFilters) {
            const T* from = s.w + g * s.w_group + m * s.w_row;
            const int64_t count = gemm_min(kDirectFilters, s.rows - m);
            for (int64_t c = 0; c < s.channels; ++c)
                for (int64_t t = 0; t < s.ntaps; ++t)
                    for (int64_t i = 0; i < count; ++i)
                        *to++ = from[i * s.w_row + c * s.w_channel + s.taps[t].w];
        }
}

// The sliding product without a matrix product.
template <class T>
dl_status sliding_direct(const Sliding<T>& s) {
    if (s.columns() == 0 || s.rows == 0) return DL_OK;
    if (s.steps() == 0) {
        sliding_empty(s);
        return DL_OK;
    }
    const int64_t steps = s.steps(), slabs = s.n * s.grid[0];
    // As many rows at a time as leave their inputs in L1, where a few do, else in L2.
    int64_t tall = 1;  // rows of input under one of output
    for (int64_t t = 0; t < s.ntaps; ++t)
        tall = gemm_max(tall, s.taps[t].off[1] - s.taps[0].off[1] + 1);
    const int64_t row_bytes = s.channels * (s.grid[2] * s.mul[2] + Vec<T>::N) * int64_t(sizeof(T));
    const int64_t in_l1 = ((36 << 10) / row_bytes - tall) / s.mul[1] + 1;
    const int64_t in_l2 = ((384 << 10) / row_bytes - tall) / s.mul[1] + 1;
    int64_t rows_per_band = gemm_max(in_l1 >= 3 ? in_l1 : in_l2, 4);
    if (s.groups * slabs < 2 * dl_num_threads())
        rows_per_band = gemm_min(rows_per_band, gemm_max(4, s.grid[1] / (2 * dl_num_threads())));
    const int64_t bands = gemm_div_up(s.grid[1], gemm_min(rows_per_band, s.grid[1]));
    rows_per_band = gemm_div_up(s.grid[1], bands);
    const SlidingRows<T> rows(s, rows_per_band, false);

    const size_t packed = size_t(gemm_round_up(s.groups * s.rows * steps, 16)) * sizeof(T);
    char* memory = static_cast<char*>(dl_scratch(packed + size_t(steps) * sizeof(int64_t), 0));
    if (!memory) return DL_OUT_OF_MEMORY;
    T* w = reinterpret_cast<T*>(memory);
    int64_t* at = reinterpret_cast<int64_t*>(memory + packed);
    direct_weights(s, w);
    rows.list_steps(s, s.channels, at);

    const int64_t work = rows_per_band * s.grid[2] * steps * s.rows;
    const int64_t tasks = s.groups * slabs * bands;
    int failed = 0;
    parallel_for(tasks, gemm_max(1, 65536 / work), [&](int64_t begin, int64_t end) {
        T* inputs = static_cast<T*>(
            dl_scratch(size_t(s.channels * rows.plane + rows.cells + Vec<T>::N) * sizeof(T), 1));
        if (!inputs) {
            __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            return;
        }
        for (int64_t i = begin; i < end; ++i) {
            DirectBand b;
            b.slab = i / bands / s.groups, b.group = i / bands % s.groups;
            b.row0 = i % bands * rows_per_band;
            b.row1 = gemm_min(s.grid[1], b.row0 + rows_per_band);
            rows.fill(s,
                      s.src + b.slab / s.grid[0] * s.src_image + b.group * s.channels * s.src_plane,
                      s.channels, b.slab % s.grid[0], b.row0, inputs);
            direct_band(s, rows, b, inputs, at, w + b.group * s.rows * steps);
        }
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

// sums[t] = sum over o of dy[o] * x[o under tap t], for K taps; dy rows padded with zeros to ld.
template <class T, int K>
void tap_gradients(const Sliding<T>& s, const PaddedPlanes<T>& padded, const T* x,
                   const int64_t* at, const T* dy, int64_t ld, T* sums) {
    constexpr int N = Vec<T>::N;
    typename Vec<T>::type acc[K] = {};
    for (int64_t o0 = 0; o0 < s.grid[0]; ++o0)
        for (int64_t o1 = 0; o1 < s.grid[1]; ++o1, dy += ld) {
            const T* row = x + padded.at(s, o0, o1);
            for (int64_t o = 0; o < ld; o += N) {
                const auto g = vhold(vload(dy + o));
#pragma GCC unroll 4
                for (int k = 0; k < K; ++k) acc[k] += g * vload(row + at[k] + o);
            }
        }
    for (int k = 0; k < K; ++k) sums[k] = vreduce_add<T>(acc[k]);
}

// The rows of a plane of dy, each filled up with zeros to ld.
template <class T>
void pad_rows(const T* from, int64_t rows, int64_t width, T* to, int64_t ld) {
    constexpr int N = Vec<T>::N;
    for (int64_t r = 0; r < rows; ++r, from += width, to += ld)
        for (int64_t o = 0; o < ld; o += N)
            vstore(to + o, vload_n(from + o, gemm_min(N, width - o)));
}

// The gradient of the weights; one task per group, which goes through the images in order.
template <class T>
dl_status weight_depthwise(const dl_conv& p, const Sliding<T>& s) {
    T* dw = static_cast<T*>(p.w);
    if (s.columns() == 0) {
        memset(dw, 0, size_t(p.k * s.ntaps) * sizeof(T));
        return DL_OK;
    }
    const PaddedPlanes<T> padded(s);
    const int64_t ld = round_up(s.grid[2], Vec<T>::N), rows = s.grid[0] * s.grid[1];
    const int64_t work = s.columns() * s.ntaps * s.rows;
    constexpr int64_t kTogether = 3;
    int failed = 0;
    parallel_for(s.groups, gemm_max(1, 65536 / gemm_max(1, work)), [&](int64_t begin, int64_t end) {
        T* x = static_cast<T*>(dl_scratch(size_t(padded.plane + padded.room()) * sizeof(T), 0));
        T* dy = static_cast<T*>(dl_scratch(size_t(rows * ld) * sizeof(T), 1));
        if (!x || !dy) {
            __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            return;
        }
        for (int64_t g = begin; g < end; ++g)
            for (int64_t n = 0; n < s.n; ++n) {
                padded.fill(s, s.src + n * s.src_image + g * s.src_plane, x);
                for (int64_t k = g * s.rows; k < (g + 1) * s.rows; ++k) {
                    const T* from = static_cast<const T*>(p.y) + (n * p.k + k) * s.positions();
                    pad_rows(from, rows, s.grid[2], dy, ld);
                    for (int64_t t = 0; t < s.ntaps; t += kTogether) {
                        const int64_t count = gemm_min(kTogether, s.ntaps - t);
                        int64_t at[kTogether];
                        T sums[kTogether];
                        for (int64_t i = 0; i < kTogether; ++i)  // the last ones may come twice
                            at[i] = padded.at(s.taps[t + gemm_min(i, count - 1)]);
                        tap_gradients<T, kTogether>(s, padded, x, at, dy, ld, sums);
                        T* to = dw + k * s.ntaps + t;
                        for (int64_t i = 0; i < count; ++i) to[i] = n ? to[i] + sums[i] : sums[i];
                    }
                }
            }
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

}  // namespace
