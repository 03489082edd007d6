// Direct convolution, for few channels or few filters per group: too few products per element for a
// matrix product to pay. The rows of input under a band of output are padded and split by stride
// once (planes.h), and every output vector is a sum of contiguous loads times weights, for a few
// filters and as many vectors as the registers hold.
#pragma once
#include "kernels/cpu/conv_rows.h"
#include "kernels/cpu/conv_sliding.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/planes.h"
#include "kernels/cpu/static_size.h"

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

// Filters of a block, and vectors at once for M of them: as many sums as the registers hold beside the
// smaller side of the tile and one of the larger.
constexpr int kDirectFilters = DL_VEC_BYTES == 64 ? 8 : 4;
constexpr int direct_vectors(int m) {
    return DL_VEC_BYTES == 64   ? (m == 1   ? 8
                                   : m <= 3 ? 7
                                   : m == 4 ? 6
                                   : m == 5 ? 5
                                   : m == 6 ? 4
                                            : 3)
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

// acc[m][u] += w[m] * the vector at from[u] + at. Each load serves its whole row or column of the tile:
// left to itself the compiler repeats loads for each product, and many of these cross a line.
template <class T, int M, int U>
DL_INLINE void direct_step(const T* const* from, int64_t at, const T* w,
                           typename Vec<T>::type (&acc)[M][U]) {
    typedef typename Vec<T>::type vec;
    if constexpr (M <= U) {
        vec wm[M];
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) wm[m] = vset1<T>(w[m]);
#pragma GCC unroll 8
        for (int u = 0; u < U; ++u) {
            const vec v = vhold(vload(from[u] + at));
#pragma GCC unroll 8
            for (int m = 0; m < M; ++m) acc[m][u] += wm[m] * v;
        }
    } else {
        vec v[U];
#pragma GCC unroll 8
        for (int u = 0; u < U; ++u) v[u] = vhold(vload(from[u] + at));
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m) {
            const vec wm = vhold(vset1<T>(w[m]));
#pragma GCC unroll 8
            for (int u = 0; u < U; ++u) acc[m][u] += wm * v[u];
        }
    }
}

// acc[m][u] = bias[m] + sum over steps, for the U vectors at from[u]. The places of the results, `plane`
// apart from filter to filter, are asked for meanwhile, a filter a step.
template <class T, int M, int U>
DL_INLINE void direct_sum(const DirectSteps<T>& steps, const T* const* from, const T* bias,
                          T* const* to, int64_t plane, typename Vec<T>::type (&acc)[M][U]) {
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
        for (int u = 0; u < U; ++u) acc[m][u] = vset1<T>(bias[m]);
    const T* w = steps.w;
    int64_t t = 0, ahead = U * Vec<T>::N;
    for (const int64_t first = gemm_min(M, steps.count); t < first; ++t, w += M, ahead += plane) {
#pragma GCC unroll 8
        for (int u = 0; u < U; ++u) __builtin_prefetch(to[u] + ahead, 1);
        direct_step<T, M, U>(from, steps.at[t], w, acc);
    }
    for (; t < steps.count; ++t, w += M) direct_step<T, M, U>(from, steps.at[t], w, acc);
}

// Puts a vector of results, of which `left` count, into places `step` apart.
template <class T>
DL_INLINE void direct_put(T* to, typename Vec<T>::type v, int64_t left, int64_t step) {
    if (step == 1)
        vstore_n(to, v, left);
    else if (step == 2)
        vstore_pairs(to, v, left);
    else
        put_every(to, reinterpret_cast<const T*>(&v), left, step);
}

// What one task works on: rows [row0, row1) of slab `slab` (image and depth) of a group.
struct DirectBand {
    int64_t group, slab, row0, row1;
};

// A vector of a band: where its inputs begin, where its results go from the first row's place on, and
// how many of these count. A row's last vector may run over into the next row, which is written later.
struct DirectPlace {
    int64_t from, to, left;
};

// Lists the vectors of `band_rows` rows, and returns how many they are.
template <class T>
int64_t direct_places(const Sliding<T>& s, const SlidingRows<T>& rows, int64_t band_rows,
                      DirectPlace* list) {
    constexpr int64_t N = Vec<T>::N;
    const int64_t step = s.out_mul[1] * s.out[2], end = (band_rows - 1) * step + s.grid[2];
    const bool dense = s.out_mul[1] == 1 && s.out_mul[2] == 1;
    int64_t count = 0;
    for (int64_t r = 0; r < band_rows; ++r)
        for (int64_t o = 0; o < s.grid[2]; o += N) {
            const int64_t to = r * step + o * s.out_mul[2], left = gemm_min(N, s.grid[2] - o);
            list[count++] = {r * rows.row_step * rows.cells + o, to,
                             dense && to + N <= end ? N : left};
        }
    return count;
}

// M filters from `filter` on of the vectors at `places`, the first of which goes to dst.
template <class T, int M>
void direct_filters(const Sliding<T>& s, const DirectPlace* places, int64_t count, const T* inputs,
                    const DirectSteps<T>& steps, const T* bias, T* dst, int64_t filter,
                    RowsAhead<T>* ahead) {
    constexpr int N = Vec<T>::N, U = direct_vectors(M);
    for (int64_t i = 0; i < count; i += U, places += U) {
        ahead->ask();
        const T* from[U];
        T* to[U];
        const bool finish = s.finish.on;
        bool whole = s.out_mul[2] == 1 && i + U <= count && (!finish || s.finish.cuts());
#pragma GCC unroll 8
        for (int u = 0; u < U; ++u) {
            const DirectPlace& p = places[i + u < count ? u : 0];
            from[u] = inputs + p.from, to[u] = dst + p.to;
            whole = whole && p.left == N;
        }
        typename Vec<T>::type v[M][U];
        direct_sum<T, M, U>(steps, from, bias, to, s.dst_plane, v);
        if (whole) {
            if (finish)
#pragma GCC unroll 8
                for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
                    for (int u = 0; u < U; ++u)
                        v[m][u] =
                            conv_cut(s.finish, v[m][u], filter + m, to[u] + m * s.dst_plane, N);
#pragma GCC unroll 8
            for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
                for (int u = 0; u < U; ++u) vstore(to[u] + m * s.dst_plane, v[m][u]);
            continue;
        }
        alignas(64) T tile[M][U][N];
#pragma GCC unroll 8
        for (int m = 0; m < M; ++m)
#pragma GCC unroll 8
            for (int u = 0; u < U; ++u) vstore(tile[m][u], v[m][u]);
        for (int u = 0; u < U && i + u < count; ++u)
            for (int m = 0; m < M; ++m) {
                T* at = to[u] + m * s.dst_plane;
                typename Vec<T>::type sum = vload(tile[m][u]);
                if (finish) sum = conv_finished(s.finish, sum, filter + m, at, places[u].left);
                direct_put(at, sum, places[u].left, s.out_mul[2]);
            }
    }
}

// All filters of a band. w: the group's packed weights.
template <class T>
void direct_band(const Sliding<T>& s, const DirectBand& band, const DirectPlace* places,
                 int64_t vectors, const T* inputs, const int64_t* at, const T* w,
                 RowsAhead<T>* ahead) {
    T* dst = s.dst + band.group * s.rows * s.dst_plane + sliding_place(s, band.slab, band.row0);
    for (int64_t m = 0; m < s.rows; m += kDirectFilters) {
        const int64_t count = gemm_min(kDirectFilters, s.rows - m);
        T bias[kDirectFilters] = {};
        const int64_t filter = band.group * s.rows + m;
        for (int64_t i = 0; i < count && s.bias; ++i) bias[i] = s.bias[filter + i];
        const DirectSteps<T> steps{s.steps(), at, w + m * s.steps()};
        T* to = dst + m * s.dst_plane;
        with_size<kDirectFilters>(count, [&](auto filters) {
            direct_filters<T, decltype(filters)::value>(s, places, vectors, inputs, steps, bias, to,
                                                        filter, ahead);
        });
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
    if (sliding_without_sums(s)) return DL_OK;
    const int64_t steps = s.steps(), slabs = s.n * s.grid[0];
    // As many rows at a time as leave their inputs in L2, where a vector serves many filters: rows that
    // bands share count for little then. In L1, where it serves few and it holds a few rows.
    int64_t tall = 1;  // rows of input under one of output
    for (int64_t t = 0; t < s.ntaps; ++t)
        tall = gemm_max(tall, s.taps[t].off[1] - s.taps[0].off[1] + 1);
    const int64_t row_bytes = s.channels * (s.grid[2] * s.mul[2] + Vec<T>::N) * int64_t(sizeof(T));
    const auto fitting = [&](int64_t bytes) { return (bytes / row_bytes - tall) / s.mul[1] + 1; };
    const int64_t in_l1 = fitting(36 << 10);
    int64_t rows_per_band = s.rows >= kDirectFilters
                                ? gemm_max(fitting(192 << 10), gemm_min(8, fitting(384 << 10)))
                            : in_l1 >= 3 ? in_l1
                                         : fitting(384 << 10);
    rows_per_band = gemm_max(rows_per_band, 4);
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
    const int64_t most = rows_per_band * gemm_div_up(s.grid[2], Vec<T>::N);  // vectors of a band
    const int64_t room =
        gemm_round_up(s.channels * rows.plane + rows.cells + Vec<T>::N, 16) * int64_t(sizeof(T));
    const auto band_of = [&](int64_t i) {
        const int64_t row0 = i % bands * rows_per_band;
        return DirectBand{i / bands % s.groups, i / bands / s.groups, row0,
                          gemm_min(s.grid[1], row0 + rows_per_band)};
    };
    const auto inputs_of = [&](const DirectBand& b) {
        return s.src + b.slab / s.grid[0] * s.src_image + b.group * s.channels * s.src_plane;
    };
    int failed = 0;
    parallel_for(tasks, gemm_max(1, 65536 / work), [&](int64_t begin, int64_t end) {
        auto* mine =
            static_cast<char*>(dl_scratch(size_t(room) + size_t(most) * sizeof(DirectPlace), 1));
        if (!mine) {
            __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            return;
        }
        T* inputs = reinterpret_cast<T*>(mine);
        auto* places = reinterpret_cast<DirectPlace*>(mine + room);
        int64_t vectors = 0;
        for (int64_t i = begin, listed = 0; i < end; ++i) {
            const DirectBand b = band_of(i);
            if (b.row1 - b.row0 != listed)
                listed = b.row1 - b.row0, vectors = direct_places(s, rows, listed, places);
            rows.fill(s, inputs_of(b), s.channels, b.slab % s.grid[0], b.row0, inputs);
            // The inputs of the next band are asked for while this one's products are made.
            const DirectBand next = band_of(gemm_min(i + 1, tasks - 1));
            const int64_t slice = next.slab % s.grid[0] * s.mul[0] * s.in[1];
            RowsAhead<T> ahead(
                inputs_of(next) + (slice + next.row0 * s.mul[1] + rows.least[1]) * s.in[2],
                s.src_plane, s.channels,
                i + 1 < tasks ? (next.row1 - next.row0) * s.mul[1] * s.in[2] : 0,
                gemm_max(1, vectors / 3 * gemm_div_up(s.rows, kDirectFilters)));
            direct_band(s, b, places, vectors, inputs, at, w + b.group * s.rows * steps, &ahead);
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

inline bool weight_depthwise_applies(const dl_conv& p) {
    return p.groups == p.c && p.groups > 1 && p.stride[2] <= kMaxPhases && conv_volume(p.in) > 0;
}

}  // namespace
