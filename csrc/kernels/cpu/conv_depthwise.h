// Depthwise convolution: each group has one channel of x. Too few products per element for a matrix
// product to pay; instead planes are padded and split by stride once (planes.h), and every output
// vector is a sum of contiguous loads times a weight.
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

// One weight and where it applies.
template <class T>
struct PlacedTap {
    int64_t at;
    T w;
};

// out[u] = start + sum over taps, for U vectors at from[u].
template <class T, int U>
DL_INLINE void depthwise_vectors(const PlacedTap<T>* taps, int64_t ntaps, const T* const* from,
                                 T start, typename Vec<T>::type* out) {
    typename Vec<T>::type acc[U];
    for (int u = 0; u < U; ++u) acc[u] = vset1<T>(start);
    for (int64_t t = 0; t < ntaps; ++t) {
        const auto w = vset1<T>(taps[t].w);
#pragma GCC unroll 8
        for (int u = 0; u < U; ++u) acc[u] += w * vload(from[u] + taps[t].at);
    }
    for (int u = 0; u < U; ++u) out[u] = acc[u];
}

// One plane of the result. planes: padded planes of its channels. A row's last vector may run over
// into what is written later; end: the end of what this task writes.
template <class T>
void depthwise_plane(const Sliding<T>& s, const PaddedPlanes<T>& padded, const T* planes,
                     const PlacedTap<T>* taps, int64_t ntaps, T start, T* dst, const T* end) {
    constexpr int N = Vec<T>::N, U = 4;
    const T* from[U];
    T* to[U];
    int64_t left[U];
    int pending = 0;
    auto flush = [&] {
        typename Vec<T>::type v[U];
        for (int u = pending; u < U; ++u) from[u] = from[0];
        depthwise_vectors<T, U>(taps, ntaps, from, start, v);
        for (int u = 0; u < pending; ++u) {
            if (s.out_mul[2] != 1)
                put_every(to[u], reinterpret_cast<const T*>(&v[u]), gemm_min(left[u], N),
                          s.out_mul[2]);
            else if (left[u] >= N || (s.out_mul[1] == 1 && s.out_mul[0] == 1 && to[u] + N <= end))
                vstore(to[u], v[u]);
            else
                vstore_n(to[u], v[u], left[u]);
        }
        pending = 0;
    };
    for (int64_t o0 = 0; o0 < s.grid[0]; ++o0)
        for (int64_t o1 = 0; o1 < s.grid[1]; ++o1) {
            const T* row = planes + padded.at(s, o0, o1);
            T* out = dst +
                     ((o0 * s.out_mul[0] + s.out_base[0]) * s.out[1] + o1 * s.out_mul[1] +
                      s.out_base[1]) *
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

// The sliding product for few channels per group: a plane of dst is one task.
template <class T>
dl_status sliding_depthwise(const Sliding<T>& s) {
    if (s.columns() == 0 || s.rows == 0) return DL_OK;
    if (s.steps() == 0) {
        sliding_empty(s);
        return DL_OK;
    }
    const PaddedPlanes<T> padded(s);
    const int64_t ntaps = s.steps(), work = s.positions() * ntaps;
    int failed = 0;
    parallel_for(
        s.n * s.groups, gemm_max(1, 65536 / (work * s.rows)), [&](int64_t begin, int64_t end) {
            auto* taps =
                static_cast<PlacedTap<T>*>(dl_scratch(size_t(ntaps) * sizeof(PlacedTap<T>), 1));
            T* planes = static_cast<T*>(
                dl_scratch(size_t(s.channels * padded.plane + padded.room()) * sizeof(T), 0));
            if (!taps || !planes) {
                __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
                return;
            }
            for (int64_t i = begin; i < end; ++i) {
                const int64_t n = i / s.groups, g = i % s.groups;
                for (int64_t c = 0; c < s.channels; ++c)
                    padded.fill(s, s.src + n * s.src_image + (g * s.channels + c) * s.src_plane,
                                planes + c * padded.plane);
                for (int64_t m = 0; m < s.rows; ++m) {
                    const T* w = s.w + g * s.w_group + m * s.w_row;
                    PlacedTap<T>* t = taps;
                    for (int64_t c = 0; c < s.channels; ++c)
                        for (int64_t k = 0; k < s.ntaps; ++k)
                            *t++ = {c * padded.plane + padded.at(s.taps[k]),
                                    w[c * s.w_channel + s.taps[k].w]};
                    const int64_t row = g * s.rows + m;
                    T* dst = s.dst + n * s.dst_image + row * s.dst_plane;
                    depthwise_plane(s, padded, planes, taps, ntaps, s.bias ? s.bias[row] : T(0),
                                    dst, dst + s.dst_plane);
                }
            }
        });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

// sum over o of dy[o] * x[o under the tap]; dy rows padded with zeros to ld.
template <class T>
T tap_gradient(const Sliding<T>& s, const PaddedPlanes<T>& padded, const T* x, const T* dy,
               int64_t ld) {
    constexpr int N = Vec<T>::N;
    typename Vec<T>::type acc[2] = {};
    int u = 0;
    for (int64_t o0 = 0; o0 < s.grid[0]; ++o0)
        for (int64_t o1 = 0; o1 < s.grid[1]; ++o1, dy += ld) {
            const T* row = x + padded.at(s, o0, o1);
            for (int64_t o = 0; o < ld; o += N, u ^= 1) {
                if (u)
                    acc[1] += vload(dy + o) * vload(row + o);
                else
                    acc[0] += vload(dy + o) * vload(row + o);
            }
        }
    return vreduce_add<T>(acc[0] + acc[1]);
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
                    for (int64_t r = 0; r < rows; ++r) {
                        for (int64_t o = 0; o < s.grid[2]; ++o)
                            dy[r * ld + o] = from[r * s.grid[2] + o];
                        for (int64_t o = s.grid[2]; o < ld; ++o) dy[r * ld + o] = T(0);
                    }
                    for (int64_t t = 0; t < s.ntaps; ++t) {
                        const T sum = tap_gradient(s, padded, x + padded.at(s.taps[t]), dy, ld);
                        T& to = dw[k * s.ntaps + t];
                        to = n ? to + sum : sum;
                    }
                }
            }
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

}  // namespace
