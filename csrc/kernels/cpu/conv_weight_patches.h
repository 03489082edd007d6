// The gradient of the weights for few channels: dot products of rows of dy, where they lie, with rows
// of patches (conv_patches.h). Lanes are positions; a register tile holds the sums of a few filters
// and steps, added up lane by lane over all positions of a task, the lanes of a sum in the end. No
// operand is transposed, and no number of steps leaves lanes unused, as the 27 of a 3x3 window of
// three channels would in a matrix product.
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
    int64_t panel;  // vectors of positions whose rows of dy stay in L1
    int64_t size;   // sums of a task

    WeightDots(const dl_conv& conv, const Sliding<T>& sliding) : p(conv), s(sliding) {
        constexpr int64_t kSums = 256 << 10, kPatches = 192 << 10, kRows = 20 << 10, kTasks = 16;
        const int64_t steps = s.steps(), element = int64_t(sizeof(T));
        blocks = gemm_div_up(s.rows, kDotFilters);
        chunks = gemm_min(gemm_div_up(steps, kDotSteps),
                          gemm_div_up(blocks * kDotFilters * steps * DL_VEC_BYTES, kSums));
        chunk = gemm_round_up(gemm_div_up(steps, chunks), kDotSteps);
        chunks = gemm_div_up(steps, chunk);
        size = gemm_round_up(blocks * chunk * kDotFilters, N);
        band_rows = patch_rows(s, kPatches / (chunk * element));
        bands = gemm_div_up(s.grid[1], band_rows);
        const int64_t vectors = gemm_div_up(band_rows * s.grid[2], N);
        panel = kRows / (kDotFilters * DL_VEC_BYTES);
        panel = gemm_div_up(vectors, gemm_div_up(vectors, panel));
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

    // The sums of steps [c * chunk, ...) of a group over part `i` of the bands.
    bool task(const Patches<T>& patches, int64_t group, int64_t c, int64_t i, T* to) const {
        T* sums = static_cast<T*>(dl_scratch(size_t(size * N) * sizeof(T), 0));
        T* rows = static_cast<T*>(dl_scratch(size_t(kDotFilters * panel * N) * sizeof(T), 3));
        typename Patches<T>::Memory memory;
        if (!sums || !rows || !patches.allocate(1, &memory)) return false;
        memset(sums, 0, size_t(size * N) * sizeof(T));
        for (int64_t b = i * part; b < gemm_min((i + 1) * part, s.n * s.grid[0] * bands); ++b) {
            PatchBand band;
            band.group = group, band.slab = b / bands, band.row0 = b % bands * band_rows;
            band.rows = gemm_min(band_rows, s.grid[1] - band.row0);
            band.k0 = c * chunk, band.k1 = gemm_min(s.steps(), band.k0 + chunk);
            patches.fill(band, &memory);
            for (int64_t k = 0; k < blocks; ++k)
                add_block(band, memory.patches, k, rows, sums + k * chunk * kDotFilters * N);
        }
        reduce(sums, to);
        return true;
    }

    // Adds a band's products to the sums of a block of filters.
    void add_block(const PatchBand& b, const T* patches, int64_t block, T* rows, T* sums) const {
        const int64_t filter = block * kDotFilters,
                      filters = gemm_min(kDotFilters, s.rows - filter);
        const int64_t positions = b.rows * s.grid[2], steps = b.k1 - b.k0;
        const T* from = static_cast<const T*>(p.y) +
                        (b.slab / s.grid[0] * p.k + b.group * s.rows + filter) * s.dst_plane +
                        (b.slab % s.grid[0] * s.grid[1] + b.row0) * s.grid[2];
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
    const Patches<T> patches(s, dots.band_rows, dots.panel, dots.chunk);
    const int64_t tasks = s.groups * dots.chunks * dots.parts;
    T* sums = static_cast<T*>(dl_scratch(size_t(tasks * dots.size) * sizeof(T), 2));
    if (!sums) return DL_OUT_OF_MEMORY;
    const int64_t work = gemm_div_up(s.groups * s.rows * s.steps() * s.columns(), tasks);
    int failed = 0;
    parallel_for(tasks, gemm_max(1, 65536 / work), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t c = i / dots.parts % dots.chunks, g = i / dots.parts / dots.chunks;
            if (!dots.task(patches, g, c, i % dots.parts, sums + i * dots.size))
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
    const double vectors =
        double(p.n * p.out[0]) * __builtin_ceil(double(p.out[1] * p.out[2]) / lanes);
    const double plane = __builtin_ceil(double(p.out[1] * p.out[2]) / lanes);
    const double panel = plane < 40 ? plane : 40;
    const double ports = DL_VEC_BYTES > 16 ? 2 : 1;
    // Rows of dy that do not begin with a line of the cache are loaded in two parts each.
    const double loads = conv_volume(p.out) % int64_t(lanes) == 0 ? 1.2 : 1.45;
    double cycles = rows * steps * vectors * (loads + 2.5 / panel) / ports + 3 * steps * vectors;
    cycles += conv_x_size(p) / groups * (conv_volume(p.stride) > 1 ? 1 : 0.3) + rows * steps * 8;
    return groups * cycles * kConvCycle + conv_traffic(p) / 3;
}

}  // namespace
