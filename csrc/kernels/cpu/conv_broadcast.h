// The sliding product with filters as vectors: a register tile holds a few neighbouring positions
// of a row times two vectors of filters, every step of the sum broadcasts the inputs from where
// they lie in their rows, a stride apart, and multiplies them by packed weights. Patches are never laid
// out: rows of input are copied once, with their padding, or not at all where there is none (a pointwise
// kernel, the patches of a vision transformer). Narrow rows cost nothing here: lanes are filters, not
// positions.
#pragma once
#include "kernels/cpu/conv_rows.h"
#include "kernels/cpu/conv_sliding.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/planes.h"
#include "kernels/cpu/static_size.h"

namespace {

template <class T>
struct BroadcastTile {
    static constexpr int R = GemmTile<T>::MR;  // positions
    static constexpr int F = 2 * Vec<T>::N;    // filters
    static constexpr int64_t STEPS = 320;      // between two updates of the sums
    static constexpr int64_t SUMS = 1 << 16;   // sums that stay in L2
    static constexpr int64_t INPUTS = (384 << 10) / int64_t(sizeof(T));  // inputs that stay in L2
};

constexpr int kBroadcastAhead = 8;  // steps whose weights are asked for early

// Where a step reads: its inputs, and its row of weights.
struct BroadcastStep {
    int64_t input, weight;
};

// c[R positions][V vectors] = a @ b (+ c, or + start): step k reads R inputs at a + at[k].input, `apart`
// from each other. They are addressed in threes, from one pointer that moves on: an offset for each would
// take more registers than there are.
template <class T, int R, int V>
void broadcast_micro(int64_t steps, const BroadcastStep* at, const T* a, int64_t apart, const T* b,
                     T* c, const T* start) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    vec acc[R][V];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v)
            acc[i][v] = start ? vload(start + v * N) : vload(c + i * V * N + v * N);
    for (int64_t k = 0; k < steps; ++k, ++at) {
        const T *x = a + at->input, *y = b + at->weight;
        vec w[V];
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) {
            __builtin_prefetch(b + at[kBroadcastAhead].weight + v * N);
            w[v] = vload(y + v * N);
        }
#pragma GCC unroll 16
        for (int i = 0; i < R; ++i) {
            const vec xi = vset1(x[i % 3 * apart]);
            if (i % 3 == 2) x += 3 * apart;
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) acc[i][v] += xi * w[v];
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) vstore(c + i * V * N + v * N, acc[i][v]);
}

template <class T>
using BroadcastMicro = void (*)(int64_t, const BroadcastStep*, const T*, int64_t, const T*, T*,
                                const T*);

template <class T, int V>
BroadcastMicro<T> broadcast_micro_of(int64_t positions) {
    return with_size<BroadcastTile<T>::R>(positions, [](auto r) -> BroadcastMicro<T> {
        return broadcast_micro<T, decltype(r)::value, V>;
    });
}

// ---- weights -----------------------------------------------------------------------------------

// `count` steps of up to N filters, row apart, each filter's steps contiguous -> to[step * width].
template <class T>
void broadcast_pack_run(const T* w, int64_t row, int64_t filters, int64_t count, T* to,
                        int64_t width) {
    constexpr int N = Vec<T>::N;
    for (int64_t k = 0; k < count; k += N) {
        const int64_t steps = gemm_min(N, count - k);
        typename Vec<T>::type v[N];
#pragma GCC unroll 16
        for (int i = 0; i < N; ++i) {
            if (i >= filters)
                v[i] = typename Vec<T>::type{};
            else if (steps == N)
                v[i] = vload(w + i * row + k);
            else
                v[i] = vload_n(w + i * row + k, steps);
        }
        vtranspose<T>(v);
#pragma GCC unroll 16
        for (int i = 0; i < N; ++i)
            if (i < steps) vstore(to + (k + i) * width, v[i]);
    }
}

// Weights of filters [f, end) of a group, whose first is at w: all taps of the kernel, in blocks of F
// filters [channel][tap][filter], the last of them perhaps one vector wide.
template <class T>
void broadcast_pack(const Sliding<T>& s, const T* w, int64_t f, int64_t end, T* to) {
    constexpr int64_t N = Vec<T>::N, F = BroadcastTile<T>::F;
    const int64_t taps = s.volume, length = s.channels * taps, all = gemm_round_up(s.rows, N);
    // Filter by filter where the steps of a filter lie together, else channel by channel: memory
    // is read in the order in which it lies.
    const bool whole = s.w_row != 1 && s.w_channel == taps;
    for (int64_t c = 0; c < (whole ? 1 : s.channels); ++c)
        for (int64_t b = f; b < end; b += N) {
            const int64_t filters = gemm_min(N, s.rows - b), first = b / F * F;
            const int64_t width = all - first < F ? N : F;
            T* out = to + first * length + c * taps * width + b - first;
            const T* from = w + b * s.w_row + c * s.w_channel;
            if (s.w_row != 1)
                broadcast_pack_run(from, s.w_row, filters, whole ? length : taps, out, width);
            else
                for (int64_t t = 0; t < taps; ++t)
                    vstore(out + t * width,
                           filters == N ? vload(from + t) : vload_n(from + t, filters));
        }
}

// ---- outputs -----------------------------------------------------------------------------------

// sums [positions, width] -> dst[filter * plane + position * step]. first: of the filters, for the
// finish.
template <class T>
void broadcast_store(const T* sums, int64_t width, int64_t positions, int64_t filters, T* dst,
                     int64_t plane, int64_t step, const ConvFinish<T>& finish, int64_t first) {
    constexpr int N = Vec<T>::N;
    typedef typename Vec<T>::type vec;
    for (int64_t f = 0; f < filters; f += N)
        for (int64_t p = 0; p < positions; p += N) {
            const int64_t count = gemm_min(N, positions - p), rows = gemm_min(N, filters - f);
            vec v[N];
#pragma GCC unroll 16
            for (int i = 0; i < N; ++i)
                v[i] = i < count ? vload(sums + (p + i) * width + f) : vec{};
            vtranspose<T>(v);
            T* to = dst + f * plane + p * step;
#pragma GCC unroll 16
            for (int i = 0; i < N; ++i, to += plane)
                if (i < rows) {
                    if (finish.on && finish.cuts())
                        v[i] = conv_cut(finish, v[i], first + f + i, to, count);
                    if (step == 2)
                        vstore_pairs(to, v[i], count);
                    else if (step != 1)
                        put_every(to, reinterpret_cast<const T*>(&v[i]), count, step);
                    else if (count == N)
                        vstore(to, v[i]);
                    else
                        vstore_n(to, v[i], count);
                }
            if (finish.on && !finish.cuts())
                conv_finish_rows(finish, first + f, dst + f * plane + p, plane, rows, count);
        }
}

// ---- the product -------------------------------------------------------------------------------

// How the work is cut. A slab is the plane of outputs of one image at one depth; a band is some of
// its rows, or several slabs that are small; a part is some of the filters.
template <class T>
struct BroadcastPlan {
    int64_t slabs, slabs_per_band, rows_per_band, bands;  // bands of a slab, or of all slabs
    int64_t part, parts;                                  // filters
    int64_t channels;                                     // per block of steps
    int64_t tile;                                         // positions of a tile, at most

    BroadcastPlan(const Sliding<T>& s, int threads) {
        typedef BroadcastTile<T> Tile;
        constexpr int64_t F = Tile::F;
        const int64_t blocks = gemm_div_up(s.steps(), Tile::STEPS);
        channels = gemm_max(1, gemm_div_up(s.channels, blocks));
        part = gemm_min(gemm_round_up(s.rows, F), 4 * F * gemm_max(1, gemm_div_up(9, s.ntaps)));
        const int64_t most = gemm_max(1, Tile::SUMS / part);  // positions
        const int64_t in_slab = s.grid[1] * s.grid[2];
        slabs = s.n * s.grid[0];
        slabs_per_band = gemm_max(1, gemm_min(slabs, most / in_slab));
        rows_per_band = gemm_max(1, gemm_min(s.grid[1], most / s.grid[2]));
        // Small problems: enough tasks for all threads. Speed alone depends on it.
        auto tasks = [&] {
            parts = gemm_div_up(s.rows, part);
            bands = bands_of_slabs() * gemm_div_up(s.grid[1], rows_per_band);
            return s.groups * bands * parts;
        };
        while (tasks() < threads && slabs_per_band > 1) slabs_per_band = (slabs_per_band + 1) / 2;
        while (tasks() < threads && part > F) part = gemm_round_up(part / 2, F);
        while (tasks() < threads && rows_per_band > 1) rows_per_band = (rows_per_band + 1) / 2;
        // Few tasks are as many as the threads share evenly, and as long as one another.
        if (tasks() < 8 * threads)
            slabs_per_band = gemm_div_up(slabs, gemm_round_up(bands_of_slabs(), threads));
        const int64_t row_bands = gemm_div_up(s.grid[1], rows_per_band);
        rows_per_band = gemm_div_up(s.grid[1], row_bands);
        part = gemm_round_up(gemm_div_up(s.rows, parts), F);
        tasks();
        const int64_t tiles = gemm_div_up(s.grid[2], Tile::R);
        tile = gemm_div_up(s.grid[2], tiles);
    }
    int64_t bands_of_slabs() const { return gemm_div_up(slabs, slabs_per_band); }
};

// What one task works on.
struct BroadcastBand {
    int64_t group, slab0, slab1, row0, row1, filter0, filter1;
};

template <class T>
struct BroadcastWeights {
    // [group][block of F filters][channel][tap of the kernel][filter]; the last block may have one
    // vector of filters only.
    const T* packed;
    const T* bias;  // or zeros: [group][filters, filled up to whole blocks]
};

template <class T>
struct Broadcast {
    const Sliding<T>& s;
    const BroadcastPlan<T>& plan;
    const SlidingRows<T>& rows;
    const BroadcastWeights<T>& weights;

    // Scratch of a task: sums of all its positions and filters, the inputs, offsets of the steps.
    struct Scratch {
        T *sums, *inputs;
        BroadcastStep* at;
    };

    int64_t positions(const BroadcastBand& b) const {
        return (b.slab1 - b.slab0) * (b.row1 - b.row0) * s.grid[2];
    }

    bool run(const BroadcastBand& b) const {
        constexpr int64_t F = BroadcastTile<T>::F;
        const int64_t filters = gemm_round_up(b.filter1 - b.filter0, F);
        const int64_t steps = plan.channels * s.ntaps;
        const int64_t slab = rows.in_place ? 0 : plan.channels * rows.plane;
        const int64_t sums = gemm_round_up(positions(b) * filters, 16);
        const int64_t inputs = gemm_round_up((b.slab1 - b.slab0) * slab + Vec<T>::N, 16);
        char* memory = static_cast<char*>(
            dl_scratch(size_t(sums + inputs) * sizeof(T) +
                           size_t(steps + kBroadcastAhead) * sizeof(BroadcastStep),
                       1));
        if (!memory) return false;
        Scratch to;
        to.sums = reinterpret_cast<T*>(memory), to.inputs = to.sums + sums;
        to.at = reinterpret_cast<BroadcastStep*>(to.inputs + inputs);
        for (int64_t c = 0; c < s.channels; c += plan.channels) {
            const int64_t count = gemm_min(plan.channels, s.channels - c);
            const T* src = s.src + (b.group * s.channels + c) * s.src_plane;
            for (int64_t z = b.slab0; z < b.slab1 && !rows.in_place; ++z)
                rows.fill(s, src + z / s.grid[0] * s.src_image, count, z % s.grid[0], b.row0,
                          to.inputs + (z - b.slab0) * slab);
            T* sum = to.sums;
            for (int64_t f = b.filter0; f < b.filter1; f += F, sum += positions(b) * F)
                filter_block(b, to, src, c, count, f, sum);
        }
        return true;
    }

 private:
    // Up to F filters from f on, for all positions of the band, over a block of channels.
    void filter_block(const BroadcastBand& b, const Scratch& scratch, const T* src, int64_t c,
                      int64_t count, int64_t f, T* sums) const {
        constexpr int64_t N = Vec<T>::N, F = BroadcastTile<T>::F;
        const int64_t filters = gemm_min(F, s.rows - f), width = filters <= N ? N : F;
        const int64_t all = gemm_round_up(s.rows, N);  // filters of a group with those that fill up
        const T* w =
            weights.packed + (b.group * all + f) * s.channels * s.volume + c * s.volume * width;
        const T* start = c == 0 ? weights.bias + b.group * gemm_round_up(s.rows, F) + f : nullptr;
        for (int64_t k = 0, i = 0; k < count; ++k)
            for (int64_t t = 0; t < s.ntaps; ++t, ++i)
                scratch.at[i] = {k * rows.plane + rows.at(s.taps[t]),
                                 (k * s.volume + s.taps[t].w) * width};
        for (int64_t i = count * s.ntaps, a = 0; a < kBroadcastAhead; ++a)
            scratch.at[i + a] = scratch.at[i - 1];
        const bool last = c + count == s.channels;
        T* dst = s.dst + (b.group * s.rows + f) * s.dst_plane;
        for (int64_t z = b.slab0; z < b.slab1; ++z)
            for (int64_t r = b.row0; r < b.row1; ++r) {
                const T* x = rows.in_place
                                 ? src + z / s.grid[0] * s.src_image +
                                       (z % s.grid[0] * s.mul[0] * s.in[1] + r * s.mul[1]) * s.in[2]
                                 : scratch.inputs + (z - b.slab0) * plan.channels * rows.plane +
                                       (r - b.row0) * rows.row_step * rows.cells;
                T* y = dst + sliding_place(s, z, r);
                for (int64_t o = 0; o < s.grid[2]; o += plan.tile) {
                    const int64_t n = gemm_min(plan.tile, s.grid[2] - o);
                    const auto micro =
                        width == N ? broadcast_micro_of<T, 1>(n) : broadcast_micro_of<T, 2>(n);
                    micro(count * s.ntaps, scratch.at, x + o * rows.apart, rows.apart, w, sums,
                          start);
                    if (last)
                        broadcast_store(sums, width, n, filters, y + o * s.out_mul[2], s.dst_plane,
                                        s.out_mul[2], s.finish, b.group * s.rows + f);
                    if (s.channels > plan.channels) sums += n * width;
                }
            }
    }
};

// Packs the weights of all groups, and in front of them the bias. False when out of memory.
template <class T>
bool broadcast_weights(const Sliding<T>& s, BroadcastWeights<T>* out) {
    constexpr int64_t N = Vec<T>::N, F = BroadcastTile<T>::F;
    const int64_t all = gemm_round_up(s.rows, N), padded = gemm_round_up(s.rows, F);
    const int64_t length = s.channels * s.volume;
    T* memory =
        static_cast<T*>(dl_scratch(size_t(s.groups * (all * length + padded)) * sizeof(T), 0));
    if (!memory) return false;
    T* packed = memory + s.groups * padded;
    out->bias = memory, out->packed = packed;
    constexpr int64_t kTogether = 4 * F;  // filters of a task
    const int64_t tasks = gemm_div_up(s.rows, kTogether);
    parallel_for(s.groups * tasks, gemm_max(1, 16384 / (gemm_min(s.rows, kTogether) * length)),
                 [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) {
                         const int64_t g = i / tasks, f = i % tasks * kTogether;
                         broadcast_pack(s, s.w + g * s.w_group, f, gemm_min(s.rows, f + kTogether),
                                        packed + g * all * length);
                     }
                 });
    for (int64_t g = 0; g < s.groups; ++g)
        for (int64_t f = 0; f < padded; ++f)
            memory[g * padded + f] = s.bias && f < s.rows ? s.bias[g * s.rows + f] : T(0);
    return true;
}

// A pointwise product has no rows: its planes become one.
template <class T>
Sliding<T> broadcast_flat(Sliding<T> s, ConvTap* tap) {
    bool flat = s.ntaps == 1;
    for (int d = 0; d < 3; ++d)
        flat = flat && s.mul[d] == 1 && s.out_mul[d] == 1 && s.taps[0].off[d] == 0 &&
               s.in[d] == s.grid[d] && s.out[d] == s.grid[d];
    if (!flat) return s;
    const int64_t size = s.positions();
    *tap = s.taps[0];
    tap->hi[0] = tap->hi[1] = 1, tap->hi[2] = size;
    s.taps = tap;
    s.grid[0] = s.grid[1] = s.in[0] = s.in[1] = s.out[0] = s.out[1] = 1;
    s.grid[2] = s.in[2] = s.out[2] = size;
    return s;
}

template <class T>
dl_status broadcast_product(const Sliding<T>& given, const BroadcastWeights<T>& weights) {
    if (sliding_without_sums(given)) return DL_OK;
    ConvTap tap;
    const Sliding<T> s = broadcast_flat(given, &tap);
    const BroadcastPlan<T> plan(s, dl_num_threads());
    const SlidingRows<T> rows(s, plan.rows_per_band, true);
    const Broadcast<T> product{s, plan, rows, weights};
    const int64_t row_bands = gemm_div_up(s.grid[1], plan.rows_per_band);
    const int64_t tasks = s.groups * plan.bands * plan.parts;
    const int64_t work = gemm_max(1, s.columns() * s.rows * s.steps() / (plan.bands * plan.parts));
    int failed = 0;
    parallel_for(tasks, gemm_max(1, (int64_t(1) << 17) / work), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t band = i / plan.parts % plan.bands, part = i % plan.parts;
            BroadcastBand b;
            b.group = i / plan.parts / plan.bands;
            b.slab0 = band / row_bands * plan.slabs_per_band;
            b.slab1 = gemm_min(plan.slabs, b.slab0 + plan.slabs_per_band);
            b.row0 = band % row_bands * plan.rows_per_band;
            b.row1 = gemm_min(s.grid[1], b.row0 + plan.rows_per_band);
            b.filter0 = part * plan.part;
            b.filter1 = gemm_min(s.rows, b.filter0 + plan.part);
            if (!product.run(b)) __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        }
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

template <class T>
dl_status broadcast_forward(const dl_conv& p) {
    ConvTap* taps = taps_for(p);
    if (!taps) return DL_OUT_OF_MEMORY;
    const Sliding<T> s = sliding_forward<T>(p, taps);
    BroadcastWeights<T> weights;
    if (!broadcast_weights(s, &weights)) return DL_OUT_OF_MEMORY;
    return broadcast_product(s, weights);
}

template <class T>
dl_status broadcast_backward_input(const dl_conv& p) {
    BroadcastWeights<T> weights{nullptr, nullptr};  // the same for all residues
    return each_residue<T>(p, [&](const Sliding<T>& s) {
        if (!weights.packed && !broadcast_weights(s, &weights)) return DL_OUT_OF_MEMORY;
        return broadcast_product(s, weights);
    });
}

}  // namespace
