// Grouped convolution with filters as lanes: a vector holds the filters of a group, or those of two
// small groups in turn, and a register tile some rows of neighbouring positions. Inputs are
// broadcast from a padded copy of their rows (conv_grouped_rows.h), where a stride costs nothing:
// no row is split, and a plane of 7 columns leaves no lanes idle. The sums go to a stage in L1,
// [position][filter], from where squares of them are transposed into planes; the residues of a
// gradient of the input meet there.
#pragma once
#include "kernels/cpu/conv_grouped_rows.h"
#include "kernels/cpu/static_size.h"

namespace {

// A register tile: positions of a row, and rows of one vector of filters.
#if DL_VEC_BYTES == 64
constexpr int kGroupedRun = 7, kGroupedRuns = 4;
#else
constexpr int kGroupedRun = 6, kGroupedRuns = 2;
#endif
constexpr int kGroupedTaps = 3;  // of a row of the kernel that go together, at most
constexpr int grouped_runs(int vectors) { return kGroupedRuns / vectors; }

// p, in a register from here on: else compilers make an address of every sum, and keep them in
// memory.
template <class T>
DL_INLINE const T* hold_address(const T* p) {
    asm("" : "+r"(p));
    return p;
}

template <class T>
struct GroupedTile {
    const int64_t* at;  // where each step reads, from x; a step has some taps
    int64_t steps;
    const T* x;  // the input of the first position
    int64_t x_row;
    const T* w;  // [step][tap][lane], of each vector of filters
    int64_t w_vector;
    const T* start;  // [vector][lane]
    T* sums;
    int64_t row, column, vector;  // between sums
    const char* ahead;            // what is requested meanwhile, so many lines
    int64_t lines;
};

// Q rows of L positions, S inputs apart, of V vectors of filters of P groups. The K taps of a step
// are neighbours in their row of the kernel: an input that several of them see is loaded once.
template <class T, int P, int V, int S, int K, int Q, int L>
void grouped_micro(const GroupedTile<T>& t) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    vec acc[Q][L][V];
#pragma GCC unroll 4
    for (int q = 0; q < Q; ++q)
#pragma GCC unroll 7
        for (int l = 0; l < L; ++l)
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) acc[q][l][v] = vload(t.start + v * N);
    const int64_t row = t.x_row, next = t.w_vector;
    const T *const x = t.x, *w = t.w;
    const char* ahead = t.ahead;
    int64_t lines = t.lines;
    for (const int64_t *at = t.at, *end = at + t.steps; at != end; ++at, w += K * N) {
        const T* from[Q];
        from[0] = x + *at;
#pragma GCC unroll 4
        for (int q = 1; q < Q; ++q) from[q] = hold_address(from[q - 1] + row);
        __builtin_prefetch(ahead, 0, 2);
        if (K > 1) __builtin_prefetch(ahead + 64, 0, 2);
        lines -= K > 1 ? 2 : 1;
        ahead = lines > 0 ? ahead + (K > 1 ? 128 : 64) : reinterpret_cast<const char*>(at);
        vec wv[K][V];
#pragma GCC unroll 3
        for (int k = 0; k < K; ++k)
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) wv[k][v] = vload(w + k * N + v * next);
#pragma GCC unroll 4
        for (int q = 0; q < Q; ++q)
#pragma GCC unroll 15
            for (int j = 0; j < S * (L - 1) + K; ++j) {
                vec xv = vrepeat<T, P>(from[q] + j * P);
                if (V > 1 || (K > 1 && (S == 1 || j % 2 == 0))) xv = vhold(xv);
#pragma GCC unroll 3
                for (int k = 0; k < K; ++k) {
                    if (j < k || (j - k) % S || (j - k) / S >= L) continue;
#pragma GCC unroll 2
                    for (int v = 0; v < V; ++v) acc[q][(j - k) / S][v] += xv * wv[k][v];
                }
            }
    }
#pragma GCC unroll 4
    for (int q = 0; q < Q; ++q)
#pragma GCC unroll 7
        for (int l = 0; l < L; ++l)
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v)
                vstore(t.sums + q * t.row + l * t.column + v * t.vector, acc[q][l][v]);
}

template <class T>
using GroupedMicro = void (*)(const GroupedTile<T>&);

template <class T, int P, int V, int S, int K>
GroupedMicro<T> grouped_micro_as(int64_t rows, int64_t columns) {
    return with_size<kGroupedRun>(columns, [&](auto l) {
        return with_size<grouped_runs(V)>(rows, [](auto q) -> GroupedMicro<T> {
            return grouped_micro<T, P, V, S, K, decltype(q)::value, decltype(l)::value>;
        });
    });
}
template <class T, int P, int V, int S>
GroupedMicro<T> grouped_micro_of(int64_t taps, int64_t rows, int64_t columns) {
    if constexpr (V == 1 && S == 1)
        if (taps == 2) return grouped_micro_as<T, P, V, S, 2>(rows, columns);
    if constexpr (V == 1)
        if (taps == 3) return grouped_micro_as<T, P, V, S, 3>(rows, columns);
    return grouped_micro_as<T, P, V, S, 1>(rows, columns);
}
// P groups together, V vectors of filters, stride S.
template <class T>
using GroupedMicroOf = GroupedMicro<T> (*)(int64_t taps, int64_t rows, int64_t columns);

template <class T>
GroupedMicroOf<T> grouped_micros(int64_t together, int64_t vectors, int64_t stride) {
    if (together == 2)
        return stride == 2 ? grouped_micro_of<T, 2, 1, 2> : grouped_micro_of<T, 2, 1, 1>;
    if (vectors == 2)
        return stride == 2 ? grouped_micro_of<T, 1, 2, 2> : grouped_micro_of<T, 1, 2, 1>;
    return stride == 2 ? grouped_micro_of<T, 1, 1, 2> : grouped_micro_of<T, 1, 1, 1>;
}

// ---- weights -----------------------------------------------------------------------------------

// Where the weights of a tap of the kernel go, of a vector of filters: [part][channel][tap][lane].
// A tap that no position meets has no place, its `channel` is 0.
struct GroupedPlace {
    int64_t first, channel;
};

// Weights of a set of groups, vector by vector, and its bias.
template <class T>
void grouped_pack(const Sliding<T>& s, const GroupedSets& sets, const GroupedPlace* places,
                  int64_t set, T* to, T* start) {
    constexpr int N = Vec<T>::N;
    const int64_t length = s.channels * s.volume;
    const bool whole = !places;  // in the order in which a filter has them
    const int64_t runs = whole ? 1 : s.channels, run = whole ? length : s.volume;
    for (int64_t v = 0; v < sets.vectors; ++v, start += N, to += length * N) {
        const T* rows[N];
        for (int i = 0; i < N; ++i) {
            const int64_t group = sets.group(set, i), filter = sets.filter(v, i);
            const bool any = group < s.groups && filter < s.rows;
            rows[i] = any ? s.w + group * s.w_group + filter * s.w_row : nullptr;
            start[i] = any && s.bias ? s.bias[group * s.rows + filter] : T(0);
        }
        for (int64_t r = 0; r < runs; ++r)
            for (int64_t k = 0; k < run; k += N) {
                const int64_t count = gemm_min(N, run - k), from = r * s.w_channel + k;
                typename Vec<T>::type m[N];
#pragma GCC unroll 16
                for (int i = 0; i < N; ++i)
                    m[i] = !rows[i]     ? typename Vec<T>::type{}
                           : count == N ? vload(rows[i] + from)
                                        : vload_n(rows[i] + from, count);
                transpose_square(m);
#pragma GCC unroll 16
                for (int i = 0; i < N; ++i) {
                    if (i >= count) continue;
                    if (whole)
                        vstore(to + (k + i) * N, m[i]);
                    else if (places[k + i].channel)
                        vstore(to + places[k + i].first + r * places[k + i].channel, m[i]);
                }
            }
    }
}

// ---- the product -------------------------------------------------------------------------------

// One of the products that share their inputs and rows of the result: residues of a gradient.
template <class T>
struct GroupedPart {
    Sliding<T> s;
    int64_t taps;       // of a step
    const int64_t* at;  // of the steps
    int64_t w;          // where its weights begin

    // Whether `together` taps at a time are neighbours in a row, in one order or the other: 1, -1,
    // or 0.
    int64_t order(int64_t together) const {
        int64_t way = 0;
        if (s.ntaps % together) return 0;
        for (int64_t t = 0; t < s.ntaps; ++t) {
            if (t % together == 0) continue;
            const int64_t* off = s.taps[t].off;
            const int64_t by = off[2] - s.taps[t - 1].off[2];
            if (off[1] != s.taps[t - 1].off[1] || (by != 1 && by != -1) || (way && by != way))
                return 0;
            way = by;
        }
        return way;
    }
};

template <class T>
struct Grouped {
    typedef typename Vec<T>::type vec;
    static constexpr int N = Vec<T>::N;
    const GroupedSets& sets;
    const GroupedRows<T>& rows;
    const GroupedPart<T>* parts;
    int count;
    const T *w, *start;  // [set][...]
    int64_t block;       // vectors of filters at a time

    int64_t stage_elements() const {
        const Sliding<T>& s = parts[0].s;
        return block * stage_vector(gemm_min(s.out[1], rows.band * s.out_mul[1])) + N * N;
    }

    // Rows [row0, row0 + rows.band) of the grids of an image, all filters of a set. next: what the
    // task after this one reads, or null.
    void run(int64_t set, int64_t image, int64_t row0, const T* copy, T* stage,
             const T* next) const {
        const Sliding<T>& s = parts[0].s;
        const int64_t steps = s.channels * s.volume * N;
        const int64_t d0 = row0 * s.out_mul[1];
        const int64_t d1 = gemm_min(s.out[1], (row0 + rows.band) * s.out_mul[1]);
        const int64_t positions = (d1 - d0) * s.out[2];
        GroupedTile<T> t;
        t.vector = stage_vector(d1 - d0), t.x_row = rows.step(), t.w_vector = steps;
        t.ahead = reinterpret_cast<const char*>(next), t.lines = 0;
        if (next) t.lines = gemm_div_up(rows.source_elements(s), calls() * (64 / sizeof(T)));
        for (int64_t v = 0; v < sets.vectors; v += block) {
            const int64_t n = gemm_min(block, sets.vectors - v);
            t.start = start + (set * sets.vectors + v) * N;
            for (int i = 0; i < count; ++i) {
                t.w = w + (set * sets.vectors + v) * steps + parts[i].w;
                tiles(parts[i], t, row0, n, copy, stage);
            }
            T* dst = s.dst + image * s.dst_image + d0 * s.out[2];
            for (int64_t j = 0; j < n; ++j)
                GroupedPut<T>(s, sets, set, v + j, dst).put(stage + j * t.vector, positions);
        }
    }

 private:
    // A vector of filters at all positions.
    int64_t stage_vector(int64_t out_rows) const { return out_rows * parts[0].s.out[2] * N; }
    int64_t columns(const Sliding<T>& s) const { return gemm_div_up(s.grid[2], kGroupedRun); }
    // Calls of the micro-kernel for a task.
    int64_t calls() const {
        const int64_t bands = gemm_div_up(rows.band, grouped_runs(int(block)));
        return gemm_div_up(sets.vectors, block) * count * bands * columns(parts[0].s);
    }

    void tiles(const GroupedPart<T>& part, GroupedTile<T>& t, int64_t row0, int64_t vectors,
               const T* copy, T* stage) const {
        const Sliding<T>& s = part.s;
        const int64_t end = gemm_min(s.grid[1], row0 + rows.band), width = s.grid[2];
        if (end <= row0 || width == 0) return;
        const int64_t wide = gemm_div_up(width, columns(s)), most = grouped_runs(int(vectors));
        const int64_t bands = gemm_div_up(end - row0, most);
        const auto micro_of = grouped_micros<T>(sets.together, vectors, s.mul[2]);
        t.at = part.at, t.steps = s.steps() / part.taps;
        t.row = s.out_mul[1] * s.out[2] * N, t.column = s.out_mul[2] * N;
        for (int64_t b = 0; b < bands; ++b) {
            const int64_t r0 = (end - row0) * b / bands, r1 = (end - row0) * (b + 1) / bands;
            const auto micro = micro_of(part.taps, r1 - r0, wide);
            for (int64_t c = 0; c < width; c += wide) {
                const int64_t c0 = gemm_min(c, width - wide);  // the last one computes some again
                t.x = copy + r0 * t.x_row + c0 * s.mul[2] * sets.together;
                t.sums = stage + r0 * t.row + c0 * t.column +
                         (s.out_base[1] * s.out[2] + s.out_base[2]) * N;
                micro(t);
                t.ahead += t.lines * 64;
            }
        }
    }
};

// Lists the steps of the products, of at most so many taps, and where their weights go.
template <class T>
void grouped_list(GroupedPart<T>* parts, int count, const GroupedRows<T>& rows, int64_t most,
                  int64_t* at, GroupedPlace* places) {
    constexpr int64_t N = Vec<T>::N;
    int64_t w = 0;
    for (int64_t t = 0; t < parts[0].s.volume; ++t) places[t] = {0, 0};
    for (int i = 0; i < count; ++i) {
        GroupedPart<T>& part = parts[i];
        const int64_t ntaps = part.s.ntaps;
        int64_t K = 1, order = 0;
        for (int64_t k = most; k > 1 && !order; --k)
            if (k == kGroupedTaps || part.s.mul[2] == 1) order = part.order(k), K = order ? k : 1;
        part.taps = K, part.at = at, part.w = w;
        for (int64_t c = 0; c < part.s.channels; ++c)
            for (int64_t t = 0; t < ntaps; t += K)
                *at++ = c * rows.plane + rows.at(part.s.taps[order < 0 ? t + K - 1 : t]);
        for (int64_t t = 0; t < ntaps; ++t) {
            const int64_t place = order < 0 ? t / K * K + K - 1 - t % K : t;
            places[part.s.taps[t].w] = {w + place * N, ntaps * N};
        }
        w += part.s.steps() * N;
    }
}

// Some products of the same inputs: the forward pass, or the residues of the gradient of the input.
template <class T>
dl_status grouped_product(GroupedPart<T>* parts, int count, bool straight) {
    constexpr int64_t N = Vec<T>::N;
    const Sliding<T>& s = parts[0].s;
    const GroupedSets sets(s.groups, s.rows, N);
    const GroupedRows<T> rows(parts, count, sets.together);
    const int64_t steps = s.channels * s.volume, size = sets.vectors * steps * N;  // of a set
    const size_t elements = size_t(sets.count * (size + sets.vectors * N));
    const size_t listed = size_t(steps) * sizeof(int64_t) + size_t(s.volume) * sizeof(GroupedPlace);
    T* w = static_cast<T*>(dl_scratch(elements * sizeof(T) + listed, 0));
    if (!w) return DL_OUT_OF_MEMORY;
    T* start = w + sets.count * size;
    auto* at = reinterpret_cast<int64_t*>(w + elements);
    auto* places = reinterpret_cast<GroupedPlace*>(at + steps);
    grouped_list(parts, count, rows, sets.vectors == 1 ? kGroupedTaps : 1, at, places);
    parallel_for(sets.count, gemm_max(1, 32768 / size), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            grouped_pack(s, sets, straight ? nullptr : places, i, w + i * size,
                         start + i * sets.vectors * N);
    });
    const Grouped<T> product{sets, rows, parts, count, w, start, gemm_min(2, sets.vectors)};
    const int64_t per_set = s.n * rows.bands, tasks = sets.count * per_set;
    const int64_t work = gemm_max(1, size * rows.band * s.grid[2]);
    const int64_t grain = gemm_max(gemm_max(1, 131072 / work), tasks / (32 * dl_num_threads()));
    int failed = 0;
    parallel_for(tasks, grain, [&](int64_t begin, int64_t end) {
        const int64_t stage = product.stage_elements();
        T* memory =
            static_cast<T*>(dl_scratch(size_t(stage + rows.copy_elements()) * sizeof(T), 1));
        if (!memory) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        const auto image = [&](int64_t i) { return i % per_set / rows.bands; };
        const auto source = [&](int64_t i) {
            return s.src + image(i) * s.src_image +
                   i / per_set * sets.together * s.channels * s.src_plane;
        };
        for (int64_t i = begin; i < end; ++i) {
            const int64_t set = i / per_set, row0 = i % rows.bands * rows.band;
            rows.fill(s, source(i), set * sets.together + 1 < s.groups, row0, memory + stage);
            const bool more = rows.bands == 1 && i + 1 < tasks;
            product.run(set, image(i), row0, memory + stage, memory,
                        more ? source(i + 1) : nullptr);
        }
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

// Nothing is compiled where it does not apply.
template <class T>
dl_status grouped(GroupedPart<T>* parts, int count, bool straight) {
    if constexpr (kGrouped) return grouped_product(parts, count, straight);
    return DL_UNSUPPORTED;
}

template <class T>
dl_status grouped_forward(const dl_conv& p) {
    ConvTap* taps = taps_for(p);
    if (!taps) return DL_OUT_OF_MEMORY;
    GroupedPart<T> part;
    part.s = sliding_forward<T>(p, taps);
    return grouped(&part, 1, true);
}

template <class T>
dl_status grouped_backward_input(const dl_conv& p) {
    ConvTap* taps = taps_for(p);
    if (!taps) return DL_OUT_OF_MEMORY;
    GroupedPart<T> parts[kGroupedParts];
    int count = 0;
    int64_t at[3] = {0, 0, 0};
    for (at[1] = 0; at[1] < gemm_min(p.stride[1], p.in[1]); ++at[1])
        for (at[2] = 0; at[2] < gemm_min(p.stride[2], p.in[2]); ++at[2], ++count) {
            parts[count].s = sliding_backward<T>(p, at, taps);
            taps += parts[count].s.ntaps;
        }
    return grouped(parts, count, false);
}

}  // namespace
