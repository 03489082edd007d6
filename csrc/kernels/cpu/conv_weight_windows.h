// The gradient of the weights for few channels with wide windows: dw = dy @ windows, where the windows
// of a band of positions are laid out one after another, [position][steps of the sum]. A row of a
// window is a run of memory in x, so that laying it out costs a load and a store for all its steps,
// whatever the stride. Lanes are steps; dy is broadcast from where it lies, a register tile of a few
// filters by a few vectors of steps sums over the positions of the band.
//
// conv_weight_patches.h has lanes that are positions instead, which suits windows of few steps.
#pragma once
#include "kernels/cpu/conv_cost.h"
#include "kernels/cpu/conv_patches.h"
#include "kernels/cpu/static_size.h"

namespace {

constexpr int kWindowFilters = DL_VEC_BYTES == 64 ? 8 : 4;
constexpr int kWindowVectors = DL_VEC_BYTES >= 32 ? 3 : 2;

// sums[k][u] += the products of dy[k * plane ...] and of vectors u of `count` windows, `ld` apart.
template <class T, int K, int U>
void window_tile(const T* dy, int64_t plane, const T* x, int64_t ld, int64_t count, T* sums,
                 int64_t sums_ld) {
    constexpr int N = Vec<T>::N;
    typedef typename Vec<T>::type vec;
    vec acc[K][U];
    const T* rows[K];
#pragma GCC unroll 8
    for (int k = 0; k < K; ++k) {
        rows[k] = dy + k * plane;
#pragma GCC unroll 3
        for (int u = 0; u < U; ++u) acc[k][u] = vec{};
    }
    for (int64_t j = 0; j < count; ++j, x += ld) {
        vec v[U];
#pragma GCC unroll 3
        for (int u = 0; u < U; ++u) v[u] = vhold(vload(x + u * N));
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) {
            const vec g = vhold(vset1<T>(rows[k][j]));
#pragma GCC unroll 3
            for (int u = 0; u < U; ++u) acc[k][u] += g * v[u];
        }
    }
#pragma GCC unroll 8
    for (int k = 0; k < K; ++k)
#pragma GCC unroll 3
        for (int u = 0; u < U; ++u) {
            T* to = sums + k * sums_ld + u * N;
            vstore(to, vload(to) + acc[k][u]);
        }
}

// How the work is cut, by size alone, for the bits depend on it: steps into chunks, the rows of a slab
// (image and depth) into bands whose windows stay in L2, and bands, of all slabs, into parts.
template <class T>
struct WeightWindows {
    static constexpr int N = Vec<T>::N;
    const dl_conv& p;
    const Sliding<T>& s;
    int64_t length, runs;        // steps of a run; runs of a window
    int64_t chunk, chunks, ld;   // runs of a chunk; elements of its windows
    int64_t band_rows, bands;    // of a slab
    int64_t part, parts, slabs;  // bands of a part
    Sliding<T> dense;            // whose rows are not split by stride
    bool in_place;               // x itself is read
    SlidingRows<T> rows;

    static Sliding<T> without_stride(const Sliding<T>& s) {
        Sliding<T> q = s;
        q.grid[2] = (s.grid[2] - 1) * s.mul[2] + 1, q.mul[2] = 1;
        return q;
    }
    // Elements of a move; x itself is read where no move reads more than a run, nor any padding.
    static int64_t move_of(int64_t length) { return length <= 4 ? 4 : length <= 8 ? 8 : 16; }
    static bool stays(const Sliding<T>& s, int64_t length) {
        bool inside = length % move_of(length) == 0;
        for (int64_t t = 0; t < s.ntaps; ++t)
            for (int d = 0; d < 3; ++d)
                inside = inside && s.taps[t].lo[d] == 0 && s.taps[t].hi[d] == s.grid[d];
        return inside;
    }
    static int64_t rows_of_band(const Sliding<T>& s) {
        constexpr int64_t kPositions = 128;
        const int64_t most = gemm_max(1, gemm_min(s.grid[1], kPositions / s.grid[2]));
        return gemm_div_up(s.grid[1], gemm_div_up(s.grid[1], most));
    }

    WeightWindows(const dl_conv& conv, const Sliding<T>& sliding)
        : p(conv),
          s(sliding),
          length(conv.kernel[2]),
          runs(sliding.steps() / conv.kernel[2]),
          band_rows(rows_of_band(sliding)),
          dense(without_stride(sliding)),
          in_place(stays(sliding, length)),
          rows(dense, band_rows, false) {
        constexpr int64_t kWindows = 192 << 10, kTasks = 16;
        const int64_t positions = band_rows * s.grid[2], element = int64_t(sizeof(T));
        chunks = gemm_min(runs, gemm_div_up(positions * runs * length * element, kWindows));
        chunk = gemm_div_up(runs, chunks);
        chunks = gemm_div_up(runs, chunk);
        ld = gemm_round_up(chunk * length, N);
        bands = gemm_div_up(s.grid[1], band_rows), slabs = s.n * s.grid[0];
        const int64_t all = slabs * bands;
        parts =
            gemm_min(gemm_div_up(kTasks, s.groups * chunks), gemm_div_up(all * positions, 1024));
        part = gemm_div_up(all, gemm_min(all, parts));
        parts = gemm_div_up(all, part);
    }

    int64_t size() const { return s.rows * ld; }  // sums of a task
    int64_t tasks() const { return s.groups * chunks * parts; }

    // Scratch of a task: rows of input, windows (and what their last moves write too much), places of
    // the runs of a window in the rows.
    struct Memory {
        T *inputs, *windows;
        int64_t* list;
    };
    bool allocate(Memory* m) const {
        const int64_t inputs = gemm_round_up(s.channels * rows.plane + rows.cells + length + N, 16);
        const int64_t windows = gemm_round_up(band_rows * s.grid[2] * ld + length + 2 * N, 16);
        m->inputs = static_cast<T*>(
            dl_scratch(size_t(inputs + windows) * sizeof(T) + size_t(chunk) * sizeof(int64_t), 1));
        if (!m->inputs) return false;
        m->windows = m->inputs + inputs;
        m->list = reinterpret_cast<int64_t*>(m->windows + windows);
        return true;
    }

    // The sums of chunk c of a group over part i of the bands, [filter][ld].
    bool task(int64_t group, int64_t c, int64_t i, T* sums) const {
        Memory m;
        if (!allocate(&m)) return false;
        memset(sums, 0, size_t(size()) * sizeof(T));
        const int64_t count = gemm_min(chunk, runs - c * chunk), per_channel = s.ntaps / length;
        for (int64_t r = 0; r < count; ++r) {
            const int64_t run = c * chunk + r, channel = run / per_channel;
            const ConvTap& tap = s.taps[run % per_channel * length];
            m.list[r] = in_place ? channel * s.src_plane +
                                       (tap.off[0] * s.in[1] + tap.off[1]) * s.in[2] + tap.off[2]
                                 : channel * rows.plane + rows.at(tap);
        }
        const int64_t end = gemm_min((i + 1) * part, slabs * bands);
        for (int64_t b = i * part; b < end; ++b) {
            const int64_t slab = b / bands, row0 = b % bands * band_rows;
            const int64_t height = gemm_min(band_rows, s.grid[1] - row0);
            const T* x = s.src + slab / s.grid[0] * s.src_image + group * s.channels * s.src_plane;
            if (in_place)
                lay_out(m, x + (slab % s.grid[0] * s.mul[0] * s.in[1] + row0 * s.mul[1]) * s.in[2],
                        s.mul[1] * s.in[2], count, height);
            else {
                rows.fill(dense, x, s.channels, slab % s.grid[0], row0, m.inputs);
                lay_out(m, m.inputs, rows.row_step * rows.cells, count, height);
            }
            add_band(m.windows, group, slab, row0, height, gemm_div_up(count * length, N), sums,
                     b + 1 < end);
        }
        return true;
    }

    // Adds up the parts of a filter, in order, and writes its gradients.
    void finish(const T* sums, int64_t group, int64_t filter) const {
        T* dw = static_cast<T*>(p.w) + (group * s.rows + filter) * s.steps();
        for (int64_t c = 0; c < chunks; ++c, dw += chunk * length) {
            const int64_t count = gemm_min(chunk, runs - c * chunk) * length;
            const T* first = sums + (group * chunks + c) * parts * size() + filter * ld;
            for (int64_t e = 0; e < count; e += N) {
                auto v = vload(first + e);
                for (int64_t i = 1; i < parts; ++i) v += vload(first + i * size() + e);
                vstore_n(dw + e, v, gemm_min(N, count - e));
            }
        }
    }

 private:
    // The windows of a band, whose rows begin at `from`, `step` apart. Runs go one after another in
    // moves of W elements: what a move writes too much is written again by the next.
    void lay_out(const Memory& m, const T* from, int64_t step, int64_t count,
                 int64_t height) const {
        for (int64_t r = 0; r < height; ++r) {
            T* to = m.windows + r * s.grid[2] * ld;
            if (length <= 4)
                move_runs<4, true>(m, from + r * step, count, to);
            else if (length <= 8)
                move_runs<8, true>(m, from + r * step, count, to);
            else if (length <= 16)
                move_runs<16, true>(m, from + r * step, count, to);
            else
                move_runs<16, false>(m, from + r * step, count, to);
        }
    }
    template <int W, bool kOne>
    void move_runs(const Memory& m, const T* row, int64_t count, T* to) const {
        const int64_t *list = m.list, *end = list + count, many = length, width = s.grid[2];
        const int64_t rest = ld - count * many, step = s.mul[2];
        for (int64_t o = 0; o < width; ++o, to += rest, row += step)
            for (const int64_t* run = list; run < end; ++run, to += many)
                for (int64_t l = 0; l < (kOne ? 1 : many); l += W)
                    memcpy(to + l, row + *run + l, W * sizeof(T));
    }

    // Adds a band's products to the sums of all filters.
    void add_band(const T* windows, int64_t group, int64_t slab, int64_t row0, int64_t height,
                  int64_t vectors, T* sums, bool more) const {
        const int64_t count = height * s.grid[2];
        const T* dy = static_cast<const T*>(p.y) +
                      (slab / s.grid[0] * p.k + group * s.rows) * s.dst_plane +
                      (slab % s.grid[0] * s.grid[1] + row0) * s.grid[2];
        const int64_t tiles =
            gemm_div_up(vectors, kWindowVectors) * gemm_div_up(s.rows, kWindowFilters);
        RowsAhead<T> ahead(dy + count, s.dst_plane, s.rows, more ? count : 0, tiles);
        for (int64_t v = 0; v < vectors; v += kWindowVectors)
            with_size<kWindowVectors>(vectors - v, [&](auto u) {
                for (int64_t k = 0; k < s.rows; k += kWindowFilters) {
                    ahead.ask();
                    with_size<kWindowFilters>(s.rows - k, [&](auto filters) {
                        window_tile<T, decltype(filters)::value, decltype(u)::value>(
                            dy + k * s.dst_plane, s.dst_plane, windows + v * N, ld, count,
                            sums + k * ld + v * N, ld);
                    });
                }
            });
    }
};

// Where the rows of a window are runs of memory, and those of the output are not too long.
bool windows_applies(const dl_conv& p) {
    return (p.dilation[2] == 1 || p.kernel[2] == 1) && p.out[2] <= 1024 && p.kernel[2] > 0;
}

// s describes the forward product of p (src = x); only its geometry and src are used.
template <class T>
dl_status weight_windows(const dl_conv& p, const Sliding<T>& s) {
    if (s.rows == 0 || s.steps() == 0) return DL_OK;
    if (s.columns() == 0) {
        memset(p.w, 0, size_t(p.k * s.steps()) * sizeof(T));
        return DL_OK;
    }
    const WeightWindows<T> windows(p, s);
    T* sums = static_cast<T*>(dl_scratch(size_t(windows.tasks() * windows.size()) * sizeof(T), 2));
    if (!sums) return DL_OUT_OF_MEMORY;
    const int64_t work = s.groups * s.rows * s.steps() * s.columns() / windows.tasks();
    int failed = 0;
    parallel_for(windows.tasks(), gemm_max(1, 65536 / gemm_max(1, work)),
                 [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) {
                         const int64_t c = i / windows.parts % windows.chunks;
                         if (!windows.task(i / windows.parts / windows.chunks, c, i % windows.parts,
                                           sums + i * windows.size()))
                             __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
                     }
                 });
    if (failed) return DL_OUT_OF_MEMORY;
    parallel_for(s.groups * s.rows, gemm_max(1, 65536 / (s.steps() * windows.parts)),
                 [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i)
                         windows.finish(sums, i / s.rows, i % s.rows);
                 });
    return DL_OK;
}

// Tiles, moves of runs, adding to the sums for each band, and adding up the parts.
double weight_windows_seconds(const dl_conv& p) {
    const double lanes = DL_VEC_BYTES / conv_element(p), rows = double(p.k / p.groups);
    const double steps = double(p.c / p.groups * conv_volume(p.kernel));
    const double runs = steps / double(p.kernel[2]), positions = double(p.n * conv_volume(p.out));
    const double vectors = __builtin_ceil(steps / lanes), ports = DL_VEC_BYTES > 16 ? 2 : 1;
    const double moves = __builtin_ceil(double(p.kernel[2]) / 16);
    double cycles = positions * (vectors * rows / ports * 1.05 + runs * moves * 2.2 + 5);
    cycles += conv_x_size(p) / double(p.groups) * 0.3 + 16 * rows * steps * 0.2;
    return double(p.groups) * cycles * kConvCycle + conv_traffic(p) / 6;
}

}  // namespace
