// The gradient of the weights of groups by Winograd's algorithm, F(3 x 3, 4 x 4): blocks of tiles of
// x and of dy are transformed as in conv_grouped_winograd.h, a row of the points at a time, and
//
//   S [point][channel][vector][lane] += sum over the tiles of a block: V [point][tile] * D [point][tile]
//
// where V holds channels of x, broadcast, and D filters. S stays with the thread that has a set of
// groups, and ends in the nine taps of each channel and filter.
#pragma once
#include "kernels/cpu/conv_grouped_winograd.h"
#include "kernels/cpu/conv_winograd_weight.h"

namespace {

// The sums of C channels over tiles, of V vectors of filters of P groups: W vectors from a tile to
// the next.
template <class T, int P, int V, int W, int C>
void grouped_sums(int64_t tiles, const T* x, const T* dy, T* sums, bool add) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    vec acc[C][V];
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) acc[c][v] = add ? vload(sums + (c * V + v) * N) : vec{};
#pragma GCC unroll 4
    for (int64_t t = 0; t < tiles; ++t, x += W * N, dy += W * N) {
        vec g[V];
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) g[v] = vload(dy + v * N);
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c) {
            vec xv = vrepeat<T, P>(x + c * P);
            if (V > 1) xv = vhold(xv);
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) acc[c][v] += xv * g[v];
        }
    }
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) vstore(sums + (c * V + v) * N, acc[c][v]);
}

template <class T>
using GroupedSums = void (*)(int64_t tiles, const T* x, const T* dy, T* sums, bool add);

template <class T, int P, int V, int W>
GroupedSums<T> grouped_sums_as(int64_t channels) {
    return with_size<grouped_at_once(V)>(channels, [](auto c) -> GroupedSums<T> {
        return grouped_sums<T, P, V, W, decltype(c)::value>;
    });
}
template <class T>
GroupedSums<T> grouped_sums_of(const GroupedTiles& tiles, int64_t channels) {
    return with_grouped_vectors(tiles, [channels](auto v) -> GroupedSums<T> {
        typedef decltype(v) L;
        return grouped_sums_as<T, L::P, L::V, L::W>(channels);
    });
}

template <class T>
struct GroupedWinoWeight {
    typedef GroupedSquare S;
    typedef typename Vec<T>::type vec;
    static constexpr int N = Vec<T>::N, A = S::A0, POINTS = A * A;
    static constexpr int64_t kTasks = 16;  // at least, where there are so many
    const Sliding<T>& s;                   // the forward product
    const GroupedTiles& tiles;
    const GroupedTransform<T, false>& of_x;
    const GroupedTransform<T, true>& of_y;
    T* dw;
    int64_t parts;  // of the blocks of a set, by shape alone, for the bits depend on it

    int64_t point() const { return (s.channels * tiles.out + 1) * N; }  // of S
    int64_t elements() const {
        return A * (of_x.line() + of_y.line() + 2 * tiles.point()) + of_x.stage_elements() +
               of_y.stage_elements();
    }

    // One part of a set: its sums.
    void run(int64_t set, int64_t part, T* memory, T* sums) const {
        T *x_lines = memory, *y_lines = x_lines + A * of_x.line();
        T *v = y_lines + A * of_y.line(), *d = v + A * tiles.point();
        T *x_stage = d + A * tiles.point(), *y_stage = x_stage + of_x.stage_elements();
        of_x.clear(x_stage), of_y.clear(y_stage);
        const int64_t begin = tiles.blocks * part / parts, end = tiles.blocks * (part + 1) / parts;
        for (int64_t i = begin; i < end; ++i) {
            const GroupedBlock b(tiles, s.n, i);
            GroupedAhead ahead[2];
            if (i + 1 < end) ahead[0] = of_x.ahead(set, i + 1), ahead[1] = of_y.ahead(set, i + 1);
            of_x.run(set, b, x_stage, x_lines);
            of_y.run(set, b, y_stage, y_lines);
            for (int r = 0; r < A; ++r) {
                of_x.across(b, x_lines + r * of_x.line(), v);
                of_y.across(b, y_lines + r * of_y.line(), d);
                for (int j = 0; j < A; ++j) {
                    ahead[0].next(), ahead[1].next();
                    add(b.images * b.rows * tiles.wide, v + j * tiles.point(),
                        d + j * tiles.point(), sums + (r * A + j) * point(), i > begin);
                }
            }
        }
    }
    // The sums of all parts of a set, `apart`, added in order -> dw [filter][channel][tap].
    void store(int64_t set, T* sums, int64_t apart) const {
        for (int64_t p = 1; p < parts; ++p)
            for (int64_t i = 0; i < POINTS * point(); i += N)
                vstore(sums + i, vload(sums + i) + vload(sums + p * apart + i));
        for (int64_t v = 0; v < tiles.out; ++v) {
            T* to[N];
            for (int i = 0; i < N; ++i) {
                const int64_t plane = tiles.sets.plane(s, set, v, i);
                to[i] = plane < 0 ? nullptr : dw + plane * s.w_row;
            }
            for (int64_t c = 0; c < s.channels; ++c) {
                T taps[N * S::TAPS];
                wino_gradient_output<T, S>(sums + (c * tiles.out + v) * N, point(), taps, 1, N);
                for (int i = 0; i < N; ++i)
                    if (to[i])
                        for (int t = 0; t < S::TAPS; t += N)
                            vstore_lanes(
                                to[i] + c * s.w_channel + t,
                                vload_lanes(taps + i * S::TAPS + t, gemm_min(N, S::TAPS - t)),
                                gemm_min(N, S::TAPS - t));
            }
        }
    }

 private:
    void add(int64_t count, const T* v, const T* d, T* sums, bool more) const {
        const int64_t chunks = gemm_div_up(s.channels, grouped_at_once(int(tiles.out)));
        for (int64_t i = 0; i < chunks; ++i) {
            const int64_t a = s.channels * i / chunks, b = s.channels * (i + 1) / chunks;
            grouped_sums_of<T>(tiles, b - a)(count, v + a * tiles.sets.together, d,
                                             sums + a * tiles.out * N, more);
        }
    }
};

template <class T>
dl_status grouped_wino_weight_product(const dl_conv& p, const Sliding<T>& s) {
    // S is visited once for each block: these are longer where there is more of it.
    const int64_t most = kGroupedTiles * (gemm_max(s.channels, s.rows) > Vec<T>::N ? 2 : 1);
    const GroupedTiles tiles(s.n, s.groups, s.channels, s.rows, s.grid + 1, most, Vec<T>::N);
    const int64_t off[2] = {-p.pad_lo[1], -p.pad_lo[2]}, none[2] = {0, 0};
    GroupedTransform<T, false> of_x(tiles, grouped_source(s), off);
    GroupedTransform<T, true> of_y(tiles,
                                   {static_cast<const T*>(p.y),
                                    {s.out[1], s.out[2]},
                                    s.dst_plane,
                                    s.dst_image,
                                    s.groups,
                                    s.rows},
                                   none);
    auto* places = static_cast<int32_t*>(
        dl_scratch(size_t(of_x.place_count() + of_y.place_count()) * sizeof(int32_t), 3));
    if (!places) return DL_OUT_OF_MEMORY;
    of_x.list(places), of_y.list(places + of_x.place_count());
    const int64_t count = tiles.sets.count;
    const int64_t parts = gemm_min(tiles.blocks, gemm_div_up(GroupedWinoWeight<T>::kTasks, count));
    const GroupedWinoWeight<T> work{s, tiles, of_x, of_y, static_cast<T*>(p.w), parts};
    const int64_t size = work.POINTS * work.point();
    T* shared = nullptr;  // where a set has several parts
    if (parts > 1) {
        shared = static_cast<T*>(dl_scratch(size_t(count * parts * size) * sizeof(T), 2));
        if (!shared) return DL_OUT_OF_MEMORY;
    }
    const int64_t products = size * tiles.tiles() * gemm_div_up(tiles.blocks, parts);
    int failed = 0;
    parallel_for(count * parts, gemm_max(1, 131072 / products), [&](int64_t begin, int64_t end) {
        const int64_t elements = work.elements() + (shared ? 0 : size);
        T* memory = static_cast<T*>(dl_scratch(size_t(elements) * sizeof(T), 1));
        if (!memory) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        for (int64_t i = begin; i < end; ++i) {
            T* sums = shared ? shared + i * size : memory + work.elements();
            work.run(i / parts, i % parts, memory, sums);
            if (!shared) work.store(i, sums, 0);
        }
    });
    if (failed) return DL_OUT_OF_MEMORY;
    if (shared)
        parallel_for(count, 1, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) work.store(i, shared + i * parts * size, size);
        });
    return DL_OK;
}

template <class T>
dl_status grouped_wino_weight(const dl_conv& p, const Sliding<T>& s) {
    if constexpr (kGrouped) return grouped_wino_weight_product(p, s);
    return DL_UNSUPPORTED;
}

}  // namespace
