// Direct convolution, for few channels per group (depthwise: one): too few products per element for
// a matrix product to pay. Planes are padded and split by stride once (planes.h), and every output
// vector is a sum of contiguous loads times weights, a few rows of weights at a time.
#pragma once
#include "kernels/cpu/conv_sliding.h"
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

// What a block of M rows of weights needs: where the taps are, and w[tap][row].
template <class T>
struct DirectTaps {
    int64_t count;
    const int64_t* at;
    const T* w;
};

// Vectors at once, for M rows at once: as many as the registers hold.
constexpr int direct_vectors(int m) { return m <= 2 || DL_VEC_BYTES == 64 ? 4 : 2; }

// out[m][u] = bias[m] + sum over taps, for the U vectors at from[u].
template <class T, int M, int U>
DL_INLINE void direct_sum(const DirectTaps<T>& taps, const T* const* from, const T* bias,
                          typename Vec<T>::type (&out)[M][U]) {
    typename Vec<T>::type acc[M][U];
#pragma GCC unroll 4
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
        for (int u = 0; u < U; ++u) acc[m][u] = vset1<T>(bias[m]);
    const T* w = taps.w;
    for (int64_t t = 0; t < taps.count; ++t, w += M) {
        typename Vec<T>::type v[U];
#pragma GCC unroll 4
        for (int u = 0; u < U; ++u) v[u] = vload(from[u] + taps.at[t]);
#pragma GCC unroll 4
        for (int m = 0; m < M; ++m) {
            const auto wm = vset1<T>(w[m]);
#pragma GCC unroll 4
            for (int u = 0; u < U; ++u) acc[m][u] += wm * v[u];
        }
    }
#pragma GCC unroll 4
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 4
        for (int u = 0; u < U; ++u) out[m][u] = acc[m][u];
}

// M planes of the result, from dst on. A row's last vector may run over into the next row of its
// plane, which is written later.
template <class T, int M>
void direct_planes(const Sliding<T>& s, const PaddedPlanes<T>& padded, const T* planes,
                   const DirectTaps<T>& taps, const T* bias, T* dst) {
    constexpr int N = Vec<T>::N, U = direct_vectors(M);
    const bool dense = s.out_mul[0] == 1 && s.out_mul[1] == 1 && s.out_mul[2] == 1;
    const T* from[U];
    int64_t to[U], left[U];
    int pending = 0;
    auto flush = [&] {
        typename Vec<T>::type v[M][U];
        for (int u = pending; u < U; ++u) from[u] = from[0];
        direct_sum<T, M, U>(taps, from, bias, v);
        for (int u = 0; u < pending; ++u)
            for (int m = 0; m < M; ++m) {
                T* out = dst + m * s.dst_plane + to[u];
                if (s.out_mul[2] != 1)
                    put_every(out, reinterpret_cast<const T*>(&v[m][u]), gemm_min(left[u], N),
                              s.out_mul[2]);
                else if (left[u] >= N || (dense && to[u] + N <= s.dst_plane))
                    vstore(out, v[m][u]);
                else
                    vstore_n(out, v[m][u], left[u]);
            }
        pending = 0;
    };
    for (int64_t o0 = 0; o0 < s.grid[0]; ++o0)
        for (int64_t o1 = 0; o1 < s.grid[1]; ++o1) {
            const T* row = planes + padded.at(s, o0, o1);
            const int64_t out = ((o0 * s.out_mul[0] + s.out_base[0]) * s.out[1] +
                                 o1 * s.out_mul[1] + s.out_base[1]) *
                                    s.out[2] +
                                s.out_base[2];
            for (int64_t o = 0; o < s.grid[2]; o += N) {
                from[pending] = row + o;
                to[pending] = out + o * s.out_mul[2];
                left[pending] = s.grid[2] - o;
                if (++pending == U) flush();
            }
        }
    if (pending) flush();
}

// Rows [m, m + M) of a group: gathers their weights and makes their planes.
template <class T, int M>
void direct_rows(const Sliding<T>& s, const PaddedPlanes<T>& padded, const T* planes,
                 const int64_t* at, T* w, int64_t n, int64_t g, int64_t m) {
    const T* from = s.w + g * s.w_group + m * s.w_row;
    T* to = w;
    for (int64_t c = 0; c < s.channels; ++c)
        for (int64_t k = 0; k < s.ntaps; ++k)
            for (int i = 0; i < M; ++i) *to++ = from[i * s.w_row + c * s.w_channel + s.taps[k].w];
    T bias[M];
    const int64_t row = g * s.rows + m;
    for (int i = 0; i < M; ++i) bias[i] = s.bias ? s.bias[row + i] : T(0);
    direct_planes<T, M>(s, padded, planes, {s.steps(), at, w}, bias,
                        s.dst + n * s.dst_image + row * s.dst_plane);
}

// The sliding product without a matrix product. A task is a block of rows of one group and image.
template <class T>
dl_status sliding_direct(const Sliding<T>& s) {
    if (s.columns() == 0 || s.rows == 0) return DL_OK;
    if (s.steps() == 0) {
        sliding_empty(s);
        return DL_OK;
    }
    const PaddedPlanes<T> padded(s);
    const int64_t steps = s.steps();
    // Shares rows out when there are few images and groups; speed alone depends on the cut.
    const int64_t blocks = s.n * s.groups >= 2 * dl_num_threads() ? 1 : gemm_div_up(s.rows, 16);
    const int64_t block = gemm_round_up(gemm_div_up(s.rows, blocks), 4);
    const int64_t work = s.positions() * steps * gemm_min(block, s.rows);
    int failed = 0;
    parallel_for(
        s.n * s.groups * blocks, gemm_max(1, 65536 / work), [&](int64_t begin, int64_t end) {
            const size_t weights = size_t(gemm_round_up(steps * 4, 16)) * sizeof(T);
            char* memory =
                static_cast<char*>(dl_scratch(weights + size_t(steps) * sizeof(int64_t), 1));
            T* planes = static_cast<T*>(
                dl_scratch(size_t(s.channels * padded.plane + padded.room()) * sizeof(T), 0));
            if (!memory || !planes) {
                __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
                return;
            }
            T* w = reinterpret_cast<T*>(memory);
            int64_t* at = reinterpret_cast<int64_t*>(memory + weights);
            for (int64_t c = 0; c < s.channels; ++c)
                for (int64_t k = 0; k < s.ntaps; ++k)
                    at[c * s.ntaps + k] = c * padded.plane + padded.at(s.taps[k]);
            int64_t filled = -1;
            for (int64_t i = begin; i < end; ++i) {
                const int64_t n = i / blocks / s.groups, g = i / blocks % s.groups;
                for (int64_t c = 0; c < s.channels && filled != i / blocks; ++c)
                    padded.fill(s, s.src + n * s.src_image + (g * s.channels + c) * s.src_plane,
                                planes + c * padded.plane);
                filled = i / blocks;
                int64_t m = i % blocks * block;
                const int64_t m_end = gemm_min(s.rows, m + block);
                for (; m + 4 <= m_end; m += 4) direct_rows<T, 4>(s, padded, planes, at, w, n, g, m);
                for (; m + 2 <= m_end; m += 2) direct_rows<T, 2>(s, padded, planes, at, w, n, g, m);
                for (; m < m_end; ++m) direct_rows<T, 1>(s, padded, planes, at, w, n, g, m);
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
                const auto g = vload(dy + o);
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
