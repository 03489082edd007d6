// The gradient of the weights for few channels: dot products of rows of dy, where they lie, with rows
// of input, split by stride (conv_rows.h), or of patches (conv_patches.h) where rows of output end in
// too empty a vector. Lanes are positions; a register tile holds the sums of a few filters and steps,
// added up lane by lane over all positions of a task, the lanes of a sum in the end. No operand is
// transposed, and no number of steps leaves lanes unused, as the 27 of a 3x3 window of three channels
// would in a matrix product.
#pragma once
#include "kernels/cpu/conv_cost.h"
#include "kernels/cpu/conv_patches.h"

namespace {

constexpr int kDotFilters = DL_VEC_BYTES == 64 ? 8 : 4;
constexpr int kDotSteps = DL_VEC_BYTES >= 32 ? 3 : 2;

// sums[u][k] += row k of dy * row u of patches, for K of the filters of a block.
template <class T, int K, int U>
void dot_tile(const T* dy, int64_t plane, const T* x, int64_t step, int64_t vectors, T* sums) {
    constexpr int N = Vec<T>::N;
    typedef typename Vec<T>::type vec;
    vec acc[U][K];
#pragma GCC unroll 3
    for (int u = 0; u < U; ++u)
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) acc[u][k] = vload(sums + (u * kDotFilters + k) * N);
    for (int64_t v = 0; v < vectors; ++v, dy += N, x += N) {
        vec xs[U];
#pragma GCC unroll 3
        for (int u = 0; u < U; ++u) xs[u] = vload(x + u * step);
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) {
            const vec g = vhold(vload(dy + k * plane));
#pragma GCC unroll 3
            for (int u = 0; u < U; ++u) acc[u][k] += g * xs[u];
        }
    }
#pragma GCC unroll 3
    for (int u = 0; u < U; ++u)
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) vstore(sums + (u * kDotFilters + k) * N, acc[u][k]);
}

// All steps for K filters.
template <class T, int K>
void dot_steps(const T* dy, int64_t plane, const T* x, int64_t step, int64_t vectors, int64_t steps,
               T* sums, RowsAhead<T>* ahead) {
    constexpr int U = kDotSteps, N = Vec<T>::N;
    int64_t u = 0;
    for (; u + U <= steps; u += U, x += U * step, sums += U * kDotFilters * N) {
        ahead->ask();
        dot_tile<T, K, U>(dy, plane, x, step, vectors, sums);
    }
    for (; u < steps; ++u, x += step, sums += kDotFilters * N)
        dot_tile<T, K, 1>(dy, plane, x, step, vectors, sums);
}

// Rows of output of a panel, and how far apart the rows of input are that they read.
struct DotRows {
    int64_t rows, width, step;
};

// dot_tile without patches: the vectors of step u begin at x + at[u]. The lanes behind a row's end are
// other rows', and left out on both sides. Not inline: what goes on around it would take the registers
// that the loop needs for its pointers.
template <class T, int K, int U>
__attribute__((noinline)) void dot_rows_tile(const DotRows& p, const T* dy, int64_t plane,
                                             const T* x, const int64_t* at, T* sums) {
    constexpr int N = Vec<T>::N;
    typedef typename Vec<T>::type vec;
    vec acc[U][K];
#pragma GCC unroll 3
    for (int u = 0; u < U; ++u)
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) acc[u][k] = vload(sums + (u * kDotFilters + k) * N);
    const int64_t whole = p.width / N * N, step = p.step, width = p.width;
    const LaneMask<T> rest = lane_mask<T>(0, width - whole);
    for (int64_t r = 0; r < p.rows; ++r, x += step, dy += width) {
        const T* from[U];
#pragma GCC unroll 3
        for (int u = 0; u < U; ++u) from[u] = x + at[u];
        const auto add = [&](int64_t v, auto load) __attribute__((always_inline)) {
            vec xs[U];
#pragma GCC unroll 3
            for (int u = 0; u < U; ++u) xs[u] = vhold(load(from[u] + v));
            const T* g = dy + v;
#pragma GCC unroll 8
            for (int k = 0; k < K; ++k) {  // in threes from one pointer: registers are few
                const vec gk = vhold(load(g + k % 3 * plane));
                if (k % 3 == 2) g += 3 * plane;
#pragma GCC unroll 3
                for (int u = 0; u < U; ++u) acc[u][k] += gk * xs[u];
            }
        };
        for (int64_t v = 0; v < whole; v += N) add(v, [](const T* q) { return vload(q); });
        if (whole < width) add(whole, [&](const T* q) { return vload_mask(q, rest); });
    }
#pragma GCC unroll 3
    for (int u = 0; u < U; ++u)
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) vstore(sums + (u * kDotFilters + k) * N, acc[u][k]);
}

// What is asked for while a panel's products are made.
template <class T>
struct DotAhead {
    RowsAhead<T> dy, *x;
};

template <class T, int K>
void dot_rows_steps(const DotRows& p, const T* dy, int64_t plane, const T* x, const int64_t* at,
                    int64_t steps, T* sums, DotAhead<T>* ahead) {
    constexpr int U = kDotSteps, N = Vec<T>::N;
    int64_t u = 0;
    for (; u + U <= steps; u += U, at += U, sums += U * kDotFilters * N) {
        ahead->dy.ask(), ahead->x->ask();
        dot_rows_tile<T, K, U>(p, dy, plane, x, at, sums);
    }
    for (; u < steps; ++u, ++at, sums += kDotFilters * N)
        dot_rows_tile<T, K, 1>(p, dy, plane, x, at, sums);
}

// How the work is cut, by size alone, for the bits depend on it: steps into chunks whose sums stay in
// L2, positions into bands whose patches do, and bands, of all slabs, into parts.
template <class T>
struct WeightDots {
    static constexpr int N = Vec<T>::N;
    const dl_conv& p;
    const Sliding<T>& s;
    int64_t blocks;         // of filters, in a group
    int64_t chunk, chunks;  // steps
    int64_t band_rows, bands, part, parts;
    bool in_rows;   // there are no patches
    int64_t panel;  // vectors of positions whose rows of dy stay in L1, or rows
    int64_t size;   // sums of a task

    // A patch costs some cycles a vector, an empty lane its share of all filters' products.
    static bool stays_in_rows(const Sliding<T>& s) {
        return (gemm_round_up(s.grid[2], N) - s.grid[2]) * s.rows <= 5 * s.grid[2];
    }
    // Rows of a band: as many as leave their inputs, or patches, in L2.
    int64_t rows_of_band() const {
        constexpr int64_t kPatches = 192 << 10, kInputs = 64 << 10;
        const int64_t element = int64_t(sizeof(T));
        if (!in_rows) return patch_rows(s, kPatches / (chunk * element));
        const int64_t row = channels_of_chunk() * s.mul[1] * (s.grid[2] * s.mul[2] + N) * element;
        const int64_t most = gemm_max(1, gemm_min(s.grid[1], kInputs / row));
        return gemm_div_up(s.grid[1], gemm_div_up(s.grid[1], most));
    }
    int64_t channels_of_chunk() const {
        return gemm_min(s.channels, gemm_div_up(chunk, s.ntaps) + 1);
    }

    WeightDots(const dl_conv& conv, const Sliding<T>& sliding)
        : p(conv), s(sliding), in_rows(stays_in_rows(sliding)) {
        constexpr int64_t kSums = 256 << 10, kRows = 20 << 10, kTasks = 16;
        const int64_t steps = s.steps(), element = int64_t(sizeof(T));
        blocks = gemm_div_up(s.rows, kDotFilters);
        chunks = gemm_min(gemm_div_up(steps, kDotSteps),
                          gemm_div_up(blocks * kDotFilters * steps * DL_VEC_BYTES, kSums));
        chunk = gemm_round_up(gemm_div_up(steps, chunks), kDotSteps);
        chunks = gemm_div_up(steps, chunk);
        size = gemm_round_up(blocks * chunk * kDotFilters, N);
        band_rows = rows_of_band();
        bands = gemm_div_up(s.grid[1], band_rows);
        const int64_t vectors = gemm_div_up(band_rows * s.grid[2], N);
        const int64_t units = in_rows ? band_rows : vectors;  // that a panel has some of
        panel = gemm_max(1, kRows / (kDotFilters * (in_rows ? s.grid[2] * element : DL_VEC_BYTES)));
        panel = gemm_div_up(units, gemm_div_up(units, panel));
        const int64_t all = s.n * s.grid[0] * bands;
        parts = gemm_min(gemm_div_up(kTasks, s.groups * chunks), gemm_div_up(all * vectors, 256));
        part = gemm_div_up(all, gemm_min(all, parts));
        parts = gemm_div_up(all, part);
    }

    // Sums of the lanes of a task's sums: to[block][step][filter].
    void reduce(T* sums, T* to) const {
        typename Vec<T>::type v[N];
        for (int64_t i = 0; i < size; i += N) {
#pragma GCC unroll 16
            for (int l = 0; l < N; ++l) v[l] = vload(sums + (i + l) * N);
            vstore(to + i, vreduce_each<T>(v));
        }
    }

    // Band b of all slabs, for the steps of chunk c.
    PatchBand band_of(int64_t group, int64_t c, int64_t b) const {
        PatchBand band;
        band.group = group, band.slab = b / bands, band.row0 = b % bands * band_rows;
        band.rows = gemm_min(band_rows, s.grid[1] - band.row0);
        band.k0 = c * chunk, band.k1 = gemm_min(s.steps(), band.k0 + chunk);
        return band;
    }
    const T* gradients(const PatchBand& b) const {
        return static_cast<const T*>(p.y) +
               (b.slab / s.grid[0] * p.k + b.group * s.rows) * s.dst_plane +
               (b.slab % s.grid[0] * s.grid[1] + b.row0) * s.grid[2];
    }

    // The sums of steps [c * chunk, ...) of a group over part `i` of the bands.
    bool task(int64_t group, int64_t c, int64_t i, T* to) const {
        T* sums = static_cast<T*>(dl_scratch(size_t(size * N) * sizeof(T), 0));
        if (!sums) return false;
        memset(sums, 0, size_t(size * N) * sizeof(T));
        const int64_t end = gemm_min((i + 1) * part, s.n * s.grid[0] * bands);
        const bool done = in_rows ? task_in_rows(group, c, i * part, end, sums)
                                  : task_of_patches(group, c, i * part, end, sums);
        if (done) reduce(sums, to);
        return done;
    }

    bool task_of_patches(int64_t group, int64_t c, int64_t begin, int64_t end, T* sums) const {
        const Patches<T> patches(s, band_rows, panel, chunk);
        T* rows = static_cast<T*>(dl_scratch(size_t(kDotFilters * panel * N) * sizeof(T), 3));
        typename Patches<T>::Memory memory;
        if (!rows || !patches.allocate(1, &memory)) return false;
        for (int64_t b = begin; b < end; ++b) {
            const PatchBand band = band_of(group, c, b);
            patches.fill(band, &memory);
            for (int64_t k = 0; k < blocks; ++k)
                add_block(band, memory.patches, k, rows, sums + k * chunk * kDotFilters * N);
        }
        return true;
    }

    bool task_in_rows(int64_t group, int64_t c, int64_t begin, int64_t end, T* sums) const {
        const SlidingRows<T> rows(s, band_rows, false);
        const PatchBand first = band_of(group, c, begin);
        const int64_t channel = first.k0 / s.ntaps, steps = first.k1 - first.k0;
        const int64_t channels = (first.k1 - 1) / s.ntaps + 1 - channel;
        const int64_t size_of_inputs = gemm_round_up(channels * rows.plane + rows.cells + N, 16);
        T* inputs = static_cast<T*>(
            dl_scratch(size_t(size_of_inputs) * sizeof(T) + size_t(steps) * sizeof(int64_t), 1));
        if (!inputs) return false;
        auto* at = reinterpret_cast<int64_t*>(inputs + size_of_inputs);
        for (int64_t k = first.k0; k < first.k1; ++k)
            at[k - first.k0] = (k / s.ntaps - channel) * rows.plane + rows.at(s.taps[k % s.ntaps]);
        const auto source = [&](const PatchBand& b) {
            return s.src + b.slab / s.grid[0] * s.src_image +
                   (group * s.channels + channel) * s.src_plane;
        };
        for (int64_t b = begin; b < end; ++b) {
            const PatchBand band = band_of(group, c, b);
            const PatchBand next = band_of(group, c, gemm_min(b + 1, end - 1));
            rows.fill(s, source(band), channels, band.slab % s.grid[0], band.row0, inputs);
            const int64_t row =
                next.slab % s.grid[0] * s.mul[0] * s.in[1] + next.row0 * s.mul[1] + rows.least[1];
            const int64_t asks =
                gemm_div_up(band.rows, panel) * blocks * gemm_max(1, steps / kDotSteps);
            RowsAhead<T> ahead(source(next) + row * s.in[2], s.src_plane, channels,
                               b + 1 < end ? next.rows * s.mul[1] * s.in[2] : 0, asks);
            for (int64_t k = 0; k < blocks; ++k)
                add_rows(band, {0, s.grid[2], rows.row_step * rows.cells}, inputs, at, k,
                         k + 1 < blocks ? gradients(band) + (k + 1) * kDotFilters * s.dst_plane
                                        : gradients(next),
                         &ahead, sums + k * chunk * kDotFilters * N);
        }
        return true;
    }

    // Adds a band's products to the sums of a block of filters. next: where dy goes on.
    void add_rows(const PatchBand& b, DotRows geometry, const T* inputs, const int64_t* at,
                  int64_t block, const T* next, RowsAhead<T>* next_x, T* sums) const {
        const int64_t filters = gemm_min(kDotFilters, s.rows - block * kDotFilters);
        const int64_t steps = b.k1 - b.k0, plane = s.dst_plane;
        const T* dy = gradients(b) + block * kDotFilters * plane;
        for (int64_t r = 0; r < b.rows; r += panel, dy += panel * s.grid[2]) {
            geometry.rows = gemm_min(panel, b.rows - r);
            const T* x = inputs + r * geometry.step;
            DotAhead<T> ahead{{r + panel < b.rows ? dy + panel * s.grid[2] : next, plane,
                               kDotFilters, panel * s.grid[2], gemm_max(1, steps / kDotSteps)},
                              next_x};
            int64_t k = 0;
            if (filters == kDotFilters) {
                dot_rows_steps<T, kDotFilters>(geometry, dy, plane, x, at, steps, sums, &ahead);
                continue;
            }
            for (; k + 4 <= filters; k += 4)
                dot_rows_steps<T, 4>(geometry, dy + k * plane, plane, x, at, steps, sums + k * N,
                                     &ahead);
            for (; k < filters; ++k)
                dot_rows_steps<T, 1>(geometry, dy + k * plane, plane, x, at, steps, sums + k * N,
                                     &ahead);
        }
    }

    // Adds a band's products to the sums of a block of filters.
    void add_block(const PatchBand& b, const T* patches, int64_t block, T* rows, T* sums) const {
        const int64_t filter = block * kDotFilters,
                      filters = gemm_min(kDotFilters, s.rows - filter);
        const int64_t positions = b.rows * s.grid[2], steps = b.k1 - b.k0;
        const T* from = gradients(b) + filter * s.dst_plane;
        for (int64_t j = 0; j < positions; j += panel * N, patches += chunk * panel * N) {
            const int64_t count = gemm_min(panel * N, positions - j);
            const int64_t vectors = gemm_div_up(count, N), rest = count % N;
            const T* dy = from + j;
            const bool more = j + panel * N < positions;
            RowsAhead<T> ahead(more ? dy + panel * N : from + kDotFilters * s.dst_plane,
                               s.dst_plane, kDotFilters, panel * N, gemm_max(1, steps / kDotSteps));
            int64_t plane = s.dst_plane;
            if (rest) {  // lanes behind the band's end are made zero
                for (int64_t k = 0; k < filters; ++k) {
                    T* row = rows + k * vectors * N;
                    for (int64_t l = 0; l + N <= count; l += N)
                        vstore(row + l, vload(dy + k * plane + l));
                    vstore(row + count - rest, vload_n(dy + k * plane + count - rest, rest));
                }
                dy = rows, plane = vectors * N;
            }
            int64_t k = 0;
            if (filters == kDotFilters) {
                dot_steps<T, kDotFilters>(dy, plane, patches, panel * N, vectors, steps, sums,
                                          &ahead);
                continue;
            }
            for (; k + 4 <= filters; k += 4)
                dot_steps<T, 4>(dy + k * plane, plane, patches, panel * N, vectors, steps,
                                sums + k * N, &ahead);
            for (; k < filters; ++k)
                dot_steps<T, 1>(dy + k * plane, plane, patches, panel * N, vectors, steps,
                                sums + k * N, &ahead);
        }
    }

    // Adds up the parts of a block of a chunk, in order, and writes its gradients.
    void finish(T* sums, int64_t group, int64_t c, int64_t block) const {
        T* first = sums + (group * chunks + c) * parts * size + block * chunk * kDotFilters;
        const int64_t steps = gemm_min(chunk, s.steps() - c * chunk), row = block * kDotFilters;
        for (int64_t i = 1; i < parts; ++i)
            for (int64_t e = 0; e < steps * kDotFilters; ++e) first[e] += first[i * size + e];
        T* dw = static_cast<T*>(p.w) + (group * s.rows + row) * s.steps() + c * chunk;
        for (int64_t k = 0; k < gemm_min(kDotFilters, s.rows - row); ++k)
            for (int64_t u = 0; u < steps; ++u) dw[k * s.steps() + u] = first[u * kDotFilters + k];
    }
};

// s describes the forward product of p (src = x); only its geometry and src are used.
template <class T>
dl_status weight_patches(const dl_conv& p, const Sliding<T>& s) {
    if (s.rows == 0 || s.steps() == 0) return DL_OK;
    if (s.columns() == 0) {
        memset(p.w, 0, size_t(p.k * s.steps()) * sizeof(T));
        return DL_OK;
    }
    const WeightDots<T> dots(p, s);
    const int64_t tasks = s.groups * dots.chunks * dots.parts;
    T* sums = static_cast<T*>(dl_scratch(size_t(tasks * dots.size) * sizeof(T), 2));
    if (!sums) return DL_OUT_OF_MEMORY;
    const int64_t work = gemm_div_up(s.groups * s.rows * s.steps() * s.columns(), tasks);
    int failed = 0;
    parallel_for(tasks, gemm_max(1, 65536 / work), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t c = i / dots.parts % dots.chunks, g = i / dots.parts / dots.chunks;
            if (!dots.task(g, c, i % dots.parts, sums + i * dots.size))
                __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        }
    });
    const int64_t finals = s.groups * dots.chunks * dots.blocks;
    parallel_for(finals, gemm_max(1, 65536 / (dots.chunk * kDotFilters * dots.parts)),
                 [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i)
                         dots.finish(sums, i / dots.blocks / dots.chunks,
                                     i / dots.blocks % dots.chunks, i % dots.blocks);
                 });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

// Tiles, patches, loading and storing the sums for each panel, and adding up their lanes.
double weight_patches_seconds(const dl_conv& p) {
    const double lanes = DL_VEC_BYTES / conv_element(p), groups = double(p.groups);
    const double rows = double(p.k / p.groups);
    const double steps = double(p.c / p.groups * conv_volume(p.kernel));
    const double ragged = __builtin_ceil(double(p.out[2]) / lanes) * lanes - double(p.out[2]);
    const bool in_rows = ragged * rows <= 5 * double(p.out[2]);  // stays_in_rows
    const double vectors = double(p.n * p.out[0]) *
                           (in_rows ? double(p.out[1]) * __builtin_ceil(double(p.out[2]) / lanes)
                                    : __builtin_ceil(double(p.out[1] * p.out[2]) / lanes));
    const double plane = __builtin_ceil(double(p.out[1] * p.out[2]) / lanes);
    const double panel = plane < 40 ? plane : 40;
    const double ports = DL_VEC_BYTES > 16 ? 2 : 1;
    // Rows of dy that do not begin with a line of the cache are loaded in two parts each.
    const double loads = conv_volume(p.out) % int64_t(lanes) == 0 ? 1.2 : 1.45;
    double cycles = rows * steps * vectors * (loads + 2.5 / panel) / ports;
    if (!in_rows) cycles += 3 * steps * vectors;
    cycles += conv_x_size(p) / groups * (conv_volume(p.stride) > 1 ? 1 : 0.3) + rows * steps * 8;
    return groups * cycles * kConvCycle + conv_traffic(p) / 3;
}

}  // namespace
