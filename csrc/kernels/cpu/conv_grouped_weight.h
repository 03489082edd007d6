// The gradient of the weights of groups with filters as lanes: dy of a band of rows is transposed
// to [position][filter], and a register tile holds the sums of some channels and taps while the
// band goes by, each a vector of filters. Inputs are broadcast from the copy that the forward pass
// reads, too.
#pragma once
#include "kernels/cpu/conv_grouped.h"
#include "kernels/cpu/conv_pointwise_weight.h"

namespace {

constexpr int kGroupedLines = DL_VEC_BYTES == 64 ? 9 : 4;  // rows of taps of a register tile

template <class T>
struct GroupedDots {
    const int64_t* at;  // where each row of taps begins, from x
    const T* x;
    int64_t rows, columns;  // of the grid
    int64_t x_row, x_column;
    const T* dy;  // [row][column][lane]
    T* sums;      // [row of taps][tap][lane], added to
};

// A rows of K taps, for P groups in turn.
template <class T, int P, int K, int A>
void grouped_dots(const GroupedDots<T>& t) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    vec acc[A][K];
    const T* x[A];
#pragma GCC unroll 9
    for (int a = 0; a < A; ++a) {
        x[a] = hold_address(t.x + t.at[a]);
#pragma GCC unroll 3
        for (int k = 0; k < K; ++k) acc[a][k] = vec{};
    }
    const int64_t columns = t.columns, by = t.x_column, row = t.x_row - columns * by;
    const T* dy = t.dy;
    int64_t i = 0;
    for (int64_t r = t.rows; r > 0; --r, i += row)
        for (const T* end = dy + columns * N; dy != end; dy += N, i += by) {
            const vec g = vload(dy);
#pragma GCC unroll 9
            for (int a = 0; a < A; ++a)
#pragma GCC unroll 3
                for (int k = 0; k < K; ++k) acc[a][k] += g * vrepeat<T, P>(x[a] + i + k * P);
        }
#pragma GCC unroll 9
    for (int a = 0; a < A; ++a)
#pragma GCC unroll 3
        for (int k = 0; k < K; ++k) {
            T* to = t.sums + (a * K + k) * N;
            vstore(to, vload(to) + acc[a][k]);
        }
}

template <class T>
using GroupedDotsMicro = void (*)(const GroupedDots<T>&);

template <class T, int P, int K>
GroupedDotsMicro<T> grouped_dots_as(int64_t lines) {
    return with_size<kGroupedLines>(lines, [](auto a) -> GroupedDotsMicro<T> {
        return grouped_dots<T, P, K, decltype(a)::value>;
    });
}
template <class T>
GroupedDotsMicro<T> grouped_dots_of(int64_t together, int64_t taps, int64_t lines) {
    if (together == 2)
        return taps == 3   ? grouped_dots_as<T, 2, 3>(lines)
               : taps == 2 ? grouped_dots_as<T, 2, 2>(lines)
                           : grouped_dots_as<T, 2, 1>(lines);
    return taps == 3   ? grouped_dots_as<T, 1, 3>(lines)
           : taps == 2 ? grouped_dots_as<T, 1, 2>(lines)
                       : grouped_dots_as<T, 1, 1>(lines);
}

template <class T>
struct GroupedWeight {
    static constexpr int N = Vec<T>::N;
    static constexpr int64_t kSums = 512;  // positions that are summed in registers
    static constexpr int64_t kTasks = 32;  // at least, where there are so many
    const Sliding<T>& s;                   // the forward product
    const GroupedSets& sets;
    const GroupedRows<T>& rows;
    const GroupedPart<T>& part;
    const T* y;
    int64_t parts, lines, tiles;  // of the images of a set; rows of taps, tiles of them
    int64_t size;                 // sums of a set

    GroupedWeight(const GroupedSets& sets, const GroupedRows<T>& rows, const GroupedPart<T>& part,
                  const T* dy)
        : s(part.s), sets(sets), rows(rows), part(part), y(dy) {
        parts = gemm_min(s.n, gemm_div_up(kTasks, sets.count));
        lines = s.steps() / part.taps, tiles = gemm_div_up(lines, kGroupedLines);
        size = sets.vectors * s.steps() * N;
    }
    int64_t turned_elements() const { return gemm_round_up(rows.band * s.out[2], N) * N; }

    // The images of one part of a set.
    void run(int64_t set, int64_t i, T* copy, T* turned, T* sums) const {
        memset(sums, 0, size_t(size) * sizeof(T));
        const int64_t first = set * sets.together * s.channels * s.src_plane;
        const bool second = set * sets.together + 1 < s.groups;
        for (int64_t n = s.n * i / parts; n < s.n * (i + 1) / parts; ++n)
            for (int64_t row0 = 0; row0 < s.out[1]; row0 += rows.band) {
                const int64_t count = gemm_min(rows.band, s.out[1] - row0);
                rows.fill(s, s.src + n * s.src_image + first, second, row0, copy);
                for (int64_t v = 0; v < sets.vectors; ++v) {
                    turn(set, v, y + n * s.dst_image + row0 * s.out[2], count * s.out[2], turned);
                    dots(copy, turned, count, sums + v * s.steps() * N);
                }
            }
    }

    // The sums of all parts of a set, `apart`, added in order -> dw [filter][channel][tap].
    void store(int64_t set, const T* sums, int64_t apart, T* dw) const {
        const int64_t steps = s.steps();
        for (int64_t v = 0; v < sets.vectors; ++v)
            for (int64_t k = 0; k < steps; k += N, sums += N * N) {
                const int64_t count = gemm_min(N, steps - k);
                typename Vec<T>::type m[N];
                for (int i = 0; i < N; ++i) {
                    m[i] = i < count ? vload(sums + i * N) : typename Vec<T>::type{};
                    for (int64_t p = 1; p < parts && i < count; ++p)
                        m[i] += vload(sums + p * apart + i * N);
                }
                if (count < N) sums -= (N - count) * N;
                transpose_square(m);
                for (int i = 0; i < N; ++i) {
                    const int64_t plane = sets.plane(s, set, v, i);
                    if (plane >= 0) vstore_n(dw + plane * steps + k, m[i], count);
                }
            }
    }

 private:
    // Planes of dy -> [position][lane]
    void turn(int64_t set, int64_t v, const T* dy, int64_t positions, T* to) const {
        const GroupedPlanes<T> planes(sets, s.groups, s.rows, set, v, dy, s.dst_plane);
        planes.turn(0, positions,
                    [&](int64_t p, typename Vec<T>::type r)
                        __attribute__((always_inline)) { vstore(to + p * N, r); });
    }

    void dots(const T* copy, const T* turned, int64_t count, T* sums) const {
        const int64_t width = s.out[2], at_once = gemm_max(1, kSums / width);
        GroupedDots<T> t;
        t.columns = width, t.x_row = rows.step(), t.x_column = s.mul[2] * sets.together;
        for (int64_t r = 0; r < count; r += at_once) {
            t.rows = gemm_min(at_once, count - r);
            t.x = copy + r * t.x_row, t.dy = turned + r * width * N;
            for (int64_t i = 0; i < tiles; ++i) {
                const int64_t a = point_row(lines, tiles, i), b = point_row(lines, tiles, i + 1);
                t.at = part.at + a, t.sums = sums + a * part.taps * N;
                grouped_dots_of<T>(sets.together, part.taps, b - a)(t);
            }
        }
    }
};

template <class T>
dl_status grouped_weight_product(const dl_conv& p, const Sliding<T>& s) {
    GroupedPart<T> part;
    part.s = s;
    const GroupedSets sets(s.groups, s.rows, Vec<T>::N);
    const GroupedRows<T> rows(&part, 1, sets.together);
    const size_t listed = size_t(s.steps()) * sizeof(int64_t);
    char* memory =
        static_cast<char*>(dl_scratch(listed + size_t(s.volume) * sizeof(GroupedPlace), 0));
    if (!memory) return DL_OUT_OF_MEMORY;
    grouped_list(&part, 1, rows, kGroupedTaps, reinterpret_cast<int64_t*>(memory),
                 reinterpret_cast<GroupedPlace*>(memory + listed));
    const GroupedWeight<T> work(sets, rows, part, static_cast<const T*>(p.y));
    const int64_t apart = sets.count * work.size;
    T* sums = static_cast<T*>(dl_scratch(size_t(work.parts * apart) * sizeof(T), 2));
    if (!sums) return DL_OUT_OF_MEMORY;
    const int64_t products = gemm_max(1, work.size * s.columns() / work.parts);
    int failed = 0;
    parallel_for(
        sets.count * work.parts, gemm_max(1, 131072 / products), [&](int64_t begin, int64_t end) {
            const int64_t turned = work.turned_elements();
            T* copy =
                static_cast<T*>(dl_scratch(size_t(turned + rows.copy_elements()) * sizeof(T), 1));
            if (!copy) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            for (int64_t i = begin; i < end; ++i) {
                const int64_t set = i / work.parts, n = i % work.parts;
                work.run(set, n, copy + turned, copy, sums + n * apart + set * work.size);
            }
        });
    if (failed) return DL_OUT_OF_MEMORY;
    parallel_for(sets.count, gemm_max(1, 65536 / work.size), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            work.store(i, sums + i * work.size, apart, static_cast<T*>(p.w));
    });
    return DL_OK;
}

template <class T>
dl_status grouped_weight(const dl_conv& p, const Sliding<T>& s) {
    if constexpr (kGrouped) return grouped_weight_product(p, s);
    return DL_UNSUPPORTED;
}

}  // namespace
