// Patches of a band of positions, laid out in L2: the matrix [steps][positions] whose product with the
// weights is the result. Lanes are positions, so one image's planes are written as they lie, however
// narrow its rows; what a patch costs is one load and one store per step and vector, little beside the
// products of a few dozen filters. For few channels: there the rows of input, split by stride, stay in
// L1, and nothing is gained by not having patches.
#pragma once
#include "kernels/cpu/conv_rows.h"
#include "kernels/cpu/conv_sliding.h"
#include "kernels/cpu/gemm_core.h"
#include "kernels/cpu/lanes.h"

namespace {

// What a vector of positions reads: all its lanes, or some of them, from one row of output.
template <class T>
struct PatchPiece {
    int64_t from;       // of lane 0 in the rows of input
    int64_t to;         // in the patches
    LaneMask<T> lanes;  // what lies outside becomes zero, or stays as it is when `more`
    bool more;          // there are lanes from earlier rows
};

// Rows [row0, row0 + rows) of slab `slab` (image and depth) of a group, steps [k0, k1) of the sum.
struct PatchBand {
    int64_t group, slab, row0, rows, k0, k1;
};

// Patches in panels of some vectors of positions: [panel][step][vector of the panel], a panel being
// `kc` steps long whatever number of them a block of the sum has.
template <class T>
struct Patches {
    static constexpr int N = Vec<T>::N;
    const Sliding<T>& s;
    int64_t most_rows;  // of a band
    int64_t panel;      // vectors
    int64_t kc;
    // Taps that read the same rows of input: all of them, or a row of the kernel where rows of output
    // have no input in common.
    int64_t together;
    SlidingRows<T> rows;  // of the first taps

    Patches(const Sliding<T>& sliding, int64_t band_rows, int64_t panel_vectors, int64_t steps)
        : s(sliding),
          most_rows(band_rows),
          panel(panel_vectors),
          kc(steps),
          together(taps_together(sliding)),
          rows(part(0), band_rows, false) {}

    int64_t vectors(int64_t band_rows) const { return gemm_div_up(band_rows * s.grid[2], N); }
    int64_t place(int64_t vector) const {
        return (vector / panel * kc * panel + vector % panel) * N;
    }

    // Memory of one thread: the patches, a channel's rows, the pieces that vectors are made of.
    struct Memory {
        T *patches, *inputs;
        PatchPiece<T>* pieces;
        int64_t whole = 0, all = 0;  // pieces that are whole vectors come first
        int64_t listed_rows = 0;     // of the band that the pieces are for
    };
    bool allocate(int slot, Memory* m) const {
        const size_t patches =
            size_t(gemm_round_up(vectors(most_rows), panel) * kc * N + N) * sizeof(T);
        const size_t inputs = size_t(gemm_round_up(rows.plane + rows.cells + N, 16)) * sizeof(T);
        const size_t pieces = size_t(vectors(most_rows) + 2 * most_rows + 2);
        char* memory = static_cast<char*>(
            dl_scratch(patches + inputs + pieces * sizeof(PatchPiece<T>) + 64, slot));
        if (!memory) return false;
        m->pieces = reinterpret_cast<PatchPiece<T>*>(memory);
        memory += (pieces * sizeof(PatchPiece<T>) + 63) / 64 * 64;
        m->inputs = reinterpret_cast<T*>(memory);
        m->patches = reinterpret_cast<T*>(memory + inputs);
        m->listed_rows = 0;
        return true;
    }

    // Lays out the patches of a band. Lanes behind its last position are zero.
    void fill(const PatchBand& b, Memory* m) const {
        if (m->listed_rows != b.rows) list_pieces(b.rows, m);
        const T* image = s.src + b.slab / s.grid[0] * s.src_image;
        for (int64_t k = b.k0; k < b.k1;) {
            const int64_t channel = k / s.ntaps, tap = k % s.ntaps,
                          first = tap / together * together;
            const int64_t end = gemm_min(first + together, tap + b.k1 - k);
            const Sliding<T> taps = part(first);
            SlidingRows<T> r = rows;
            for (int d = 0; d < 2 && together < s.ntaps; ++d) r.least[d] = taps.taps[0].off[d];
            r.fill(taps, image + (b.group * s.channels + channel) * s.src_plane, 1,
                   b.slab % s.grid[0], b.row0, m->inputs);
            RowsAhead<T> ahead = next_rows(b, image, channel, first);
            for (int64_t t = tap; t < end; ++t, ++k) {
                ahead.ask();
                copy(m->inputs + r.at(s.taps[t]), m->patches + (k - b.k0) * panel * N, *m);
            }
        }
    }

 private:
    static int64_t taps_together(const Sliding<T>& s) {
        int64_t row = 1, least[2] = {s.taps[0].off[0], s.taps[0].off[1]}, reach[2] = {0, 0};
        while (row < s.ntaps && s.taps[row].off[0] == least[0] && s.taps[row].off[1] == least[1])
            ++row;
        for (int64_t t = 0; t < s.ntaps; ++t)
            for (int d = 0; d < 2; ++d) reach[d] = gemm_max(reach[d], s.taps[t].off[d] - least[d]);
        const bool apart = reach[1] < s.mul[1] && (reach[0] == 0 || reach[0] < s.mul[0]);
        return apart ? row : s.ntaps;
    }
    // The rows of input that come after those of the taps from `first` on, where these have rows of
    // their own: apart from each other, so that no processor sees them coming.
    RowsAhead<T> next_rows(const PatchBand& b, const T* image, int64_t channel,
                           int64_t first) const {
        const bool last = first + together >= s.ntaps;
        const ConvTap& t = s.taps[last ? 0 : first + together];
        const int64_t slice = b.slab % s.grid[0] * s.mul[0] + t.off[0];
        const T* plane = image + (b.group * s.channels + channel + last) * s.src_plane;
        return RowsAhead<T>(plane + (slice * s.in[1] + b.row0 * s.mul[1] + t.off[1]) * s.in[2],
                            s.mul[1] * s.in[2], together < s.ntaps ? b.rows : 0, s.in[2], together);
    }
    Sliding<T> part(int64_t first) const {
        Sliding<T> q = s;
        q.taps = s.taps + first, q.ntaps = together;
        return q;
    }

    void list_pieces(int64_t band_rows, Memory* m) const {
        PatchPiece<T>* to = m->pieces;
        const int64_t step = rows.row_step * rows.cells, width = s.grid[2];
        for (int pass = 0; pass < 2; ++pass) {
            for (int64_t r = 0; r < band_rows; ++r)
                for (int64_t o = 0, len; o < width; o += len) {
                    const int64_t at = r * width + o, lane = at % N;
                    len = gemm_min(N - lane, width - o);
                    if ((len == N) == (pass == 0))
                        *to++ = {r * step + o - lane, place(at / N), lane_mask<T>(lane, lane + len),
                                 lane > 0};
                }
            (pass == 0 ? m->whole : m->all) = to - m->pieces;
        }
        m->listed_rows = band_rows;
    }

    // The patches of one step.
    static void copy(const T* from, T* to, const Memory& m) {
        const PatchPiece<T>*p = m.pieces, *whole = p + m.whole, *end = p + m.all;
        for (; p < whole; ++p) vstore(to + p->to, vload(from + p->from));
        for (; p < end; ++p) {
            auto v = vload_mask(from + p->from, p->lanes);
            if (p->more) v += vload(to + p->to);
            vstore(to + p->to, v);
        }
    }
};

// Rows of a band of at most `positions`, at least one: those that leave the fewest lanes unused.
template <class T>
int64_t patch_rows(const Sliding<T>& s, int64_t positions) {
    constexpr int N = Vec<T>::N;
    const int64_t most = gemm_max(1, gemm_min(s.grid[1], positions / s.grid[2]));
    int64_t best = most, least = INT64_MAX;
    for (int64_t r = most; r > most / 2; --r) {
        const int64_t rest = s.grid[1] % r;
        const int64_t lanes =
            s.grid[1] / r * gemm_round_up(r * s.grid[2], N) + gemm_round_up(rest * s.grid[2], N);
        if (lanes < least) best = r, least = lanes;
    }
    return best;
}

// ---- patches that rows of input are -------------------------------------------------------------

// Windows that share no columns, as wide as their stride: a row of input, split by stride, is a row of
// patches for each of its columns. [step][ld positions], the rows of a band one after another.
template <class T>
struct ApartPatches {
    static constexpr int N = Vec<T>::N;
    const Sliding<T>& s;
    int64_t ld;
    void (*split)(T*, const T*, int64_t, int64_t, SplitPlaces);

    static bool applies(const Sliding<T>& s) {
        bool apart = s.ntaps % s.mul[2] == 0 && split_lanes_of<T>(s.mul[2]) &&
                     gemm_kc<T>(s.steps()) % s.mul[2] == 0;
        for (int64_t t = 0; t < s.ntaps; ++t) {
            const ConvTap &tap = s.taps[t], &first = s.taps[t / s.mul[2] * s.mul[2]];
            apart = apart && tap.off[0] == first.off[0] && tap.off[1] == first.off[1] &&
                    tap.off[2] == t % s.mul[2];
            for (int d = 0; d < 3; ++d) apart = apart && tap.lo[d] == 0 && tap.hi[d] == s.grid[d];
        }
        return apart;
    }
    ApartPatches(const Sliding<T>& sliding, int64_t band_rows)
        : s(sliding),
          ld(gemm_round_up(band_rows * sliding.grid[2], N) + N),
          split(split_lanes_of<T>(sliding.mul[2])) {}

    // Elements, with what tiles read beyond.
    int64_t size(int64_t steps) const { return ld * steps + GemmTile<T>::NR; }

    // Row by row, so that memory is read as it lies; a row's last vector may run over into the next.
    void fill(const PatchBand& b, T* to) const {
        const T* image = s.src + b.slab / s.grid[0] * s.src_image;
        const int64_t z = b.slab % s.grid[0] * s.mul[0], runs = s.ntaps / s.mul[2];
        const int64_t first = b.k0 / s.mul[2], end = b.k1 / s.mul[2], step = s.mul[2] * ld;
        for (int64_t c = first / runs; c * runs < end; ++c)
            for (int64_t r = 0; r < b.rows; ++r)
                for (int64_t i = gemm_max(first, c * runs); i < gemm_min(end, (c + 1) * runs);
                     ++i) {
                    const ConvTap& t = s.taps[i % runs * s.mul[2]];
                    const int64_t row = (b.row0 + r) * s.mul[1] + t.off[1];
                    split(to + (i - first) * step + r * s.grid[2],
                          image + (b.group * s.channels + c) * s.src_plane +
                              ((z + t.off[0]) * s.in[1] + row) * s.in[2],
                          s.in[2], 0, {ld, s.grid[2]});
                }
    }
};

// ---- the product -------------------------------------------------------------------------------

// Weights as slivers of rows, the steps of a filter in their own order; blocks of kc steps one after
// another, in each all slivers. Slivers are equally high, so that none is too low to hide latency.
template <class T>
struct PatchWeights {
    static constexpr int MR = GemmTile<T>::MR;
    int64_t height, slivers, kc;
    T* packed;  // [group][block][sliver][step][MR]

    explicit PatchWeights(const Sliding<T>& s) : kc(gemm_kc<T>(s.steps())) {
        slivers = gemm_div_up(s.rows, MR);
        height = gemm_min(MR, gemm_round_up(gemm_div_up(s.rows, slivers), 2));
        slivers = gemm_div_up(s.rows, height);
    }
    int64_t group_size(const Sliding<T>& s) const { return slivers * MR * s.steps(); }
    const T* at(const Sliding<T>& s, int64_t group, int64_t sliver, int64_t k0, int64_t kn) const {
        return packed + group * group_size(s) + (k0 * slivers + sliver * kn) * MR;
    }
    bool pack(const Sliding<T>& s) {
        packed = static_cast<T*>(dl_scratch(size_t(s.groups * group_size(s)) * sizeof(T), 0));
        if (!packed) return false;
        const int64_t tasks = s.groups * slivers;
        parallel_for(tasks, gemm_max(1, 32768 / (s.steps() * MR)), [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                const int64_t g = i / slivers, m = i % slivers;
                const T* w = s.w + g * s.w_group + m * height * s.w_row;
                for (int64_t k = 0; k < s.steps(); k += kc) {
                    const int64_t kn = gemm_min(kc, s.steps() - k);
                    pack_sliver<T, MR>(const_cast<T*>(at(s, g, m, k, kn)), w + k,
                                       gemm_min(height, s.rows - m * height), s.w_row, kn, 1);
                }
            }
        });
        return true;
    }
};

// A tile of sums: rows of filters, count positions that follow each other from `to` on. finish: or
// null; of filters from `filter` on.
template <class T>
void patch_tile(const Sliding<T>& s, int64_t kn, const T* a, const T* b, int64_t ldb,
                int64_t height, int64_t count, const T* bias, bool add, T* to,
                const ConvFinish<T>* finish, int64_t filter) {
    constexpr int NR = GemmTile<T>::NR, N = Vec<T>::N;
    const T one = T(1);
    const bool narrow = count <= N;
    const auto micro = gemm_micros<T>(narrow)[(height + 1) / 2];
    if (height % 2 == 0 && count == (narrow ? N : NR)) {
        for (int64_t r = 0; r < height && bias; ++r)
            for (int64_t l = 0; l < count; l += N) vstore(to + r * s.dst_plane + l, vset1(bias[r]));
        if (finish) conv_finish_ahead(*finish, to, s.dst_plane, height, count);
        micro(kn, a, b, ldb, to, s.dst_plane, &one, add || bias);
        if (finish) conv_finish_rows(*finish, filter, to, s.dst_plane, height, count);
        return;
    }
    alignas(64) T tile[DL_GEMM_MR * NR];
    micro(kn, a, b, ldb, tile, NR, &one, false);
    for (int64_t r = 0; r < height; ++r)
        for (int64_t l = 0; l < count; l += N) {
            const int64_t lanes = gemm_min(N, count - l);
            T* c = to + r * s.dst_plane + l;
            auto v = vload(tile + r * NR + l);
            if (bias) v += vset1(bias[r]);
            if (add) v += vload_n(c, lanes);
            if (finish) v = conv_finished(*finish, v, filter + r, c, lanes);
            vstore_n(c, v, lanes);
        }
}

// The patches of a band: steps lie ld apart, those of position j begin at data + j * each.
template <class T>
struct PatchColumns {
    const T* data;
    int64_t ld, each;
};

// All filters of a band. ahead: what is asked for meanwhile.
template <class T>
void patch_band(const Sliding<T>& s, const PatchWeights<T>& weights, const PatchBand& b,
                const PatchColumns<T>& columns, RowsAhead<T>* ahead) {
    constexpr int NR = GemmTile<T>::NR;
    const int64_t kn = b.k1 - b.k0, positions = b.rows * s.grid[2];
    for (int64_t i = 0; i < weights.slivers; ++i) {
        const int64_t row = i * weights.height, height = gemm_min(weights.height, s.rows - row);
        const int64_t filter = b.group * s.rows + row;
        const T* a = weights.at(s, b.group, i, b.k0, kn);
        const T* bias = s.bias && b.k0 == 0 ? s.bias + filter : nullptr;
        const ConvFinish<T>* finish = s.finish.on && b.k1 == s.steps() ? &s.finish : nullptr;
        T* to = s.dst + filter * s.dst_plane + sliding_place(s, b.slab, b.row0);
        for (int64_t j = 0; j < positions; j += NR) {
            ahead->ask();
            patch_tile(s, kn, a, columns.data + j * columns.each, columns.ld, height,
                       gemm_min(NR, positions - j), bias, b.k0 > 0, to + j, finish, filter);
        }
    }
}

// How positions are cut into bands whose patches stay in L2. Speed alone depends on it.
template <class T>
struct PatchBands {
    const Sliding<T>& s;
    int64_t kc, rows, bands;  // rows of a band; bands of a slab

    PatchBands(const Sliding<T>& sliding, int64_t steps, bool apart) : s(sliding), kc(steps) {
        const int64_t slabs = s.n * s.grid[0], threads = dl_num_threads();
        // Some of L2 is left for weights and rows, and for what is asked ahead.
        int64_t positions = dl_cache_bytes(2) * (apart ? 2 : 5) / 16 / (steps * int64_t(sizeof(T)));
        if (s.groups * slabs < 2 * threads)
            positions = gemm_min(positions, gemm_div_up(s.grid[1] * s.grid[2], 2 * threads));
        rows = patch_rows(s, positions);
        bands = gemm_div_up(s.grid[1], rows);
    }
    int64_t tasks() const { return s.groups * s.n * s.grid[0] * bands; }
    int64_t work() const { return s.rows * s.steps() * rows * s.grid[2]; }  // of a band
    PatchBand operator[](int64_t i) const {
        const int64_t row0 = i % bands * rows;
        return {
            i / bands % s.groups,   i / bands / s.groups, row0, gemm_min(rows, s.grid[1] - row0), 0,
            gemm_min(kc, s.steps())};
    }
};

// Bands [begin, end). False when out of memory.
template <class T>
bool patch_bands(const Sliding<T>& s, const PatchBands<T>& bands, const PatchWeights<T>& weights,
                 int64_t begin, int64_t end) {
    constexpr int NV = GemmTile<T>::NV, NR = GemmTile<T>::NR;
    const Patches<T> patches(s, bands.rows, NV, weights.kc);
    typename Patches<T>::Memory memory;
    if (!patches.allocate(1, &memory)) return false;
    RowsAhead<T> nothing(s.src, 0, 0, 0, 1);
    for (int64_t i = begin; i < end; ++i)
        for (PatchBand b = bands[i]; b.k0 < s.steps();
             b.k0 = b.k1, b.k1 = gemm_min(s.steps(), b.k0 + weights.kc)) {
            patches.fill(b, &memory);
            patch_band(s, weights, b, {memory.patches, NR, weights.kc}, &nothing);
        }
    return true;
}

// The same for windows that lie apart. The inputs of the next band are asked for meanwhile.
template <class T>
bool patch_bands_apart(const Sliding<T>& s, const PatchBands<T>& bands,
                       const PatchWeights<T>& weights, int64_t begin, int64_t end) {
    const ApartPatches<T> patches(s, bands.rows);
    T* memory = static_cast<T*>(dl_scratch(size_t(patches.size(weights.kc)) * sizeof(T), 1));
    if (!memory) return false;
    for (int64_t i = begin; i < end; ++i)
        for (PatchBand b = bands[i]; b.k0 < s.steps();
             b.k0 = b.k1, b.k1 = gemm_min(s.steps(), b.k0 + weights.kc)) {
            patches.fill(b, memory);
            const bool last = b.k1 == s.steps() && i + 1 < bands.tasks();
            const PatchBand next = bands[last ? i + 1 : i];
            const int64_t row = next.slab % s.grid[0] * s.mul[0] * s.in[1] + next.row0 * s.mul[1];
            const int64_t tiles = gemm_div_up(b.rows * s.grid[2], GemmTile<T>::NR);
            RowsAhead<T> ahead(s.src + next.slab / s.grid[0] * s.src_image +
                                   next.group * s.channels * s.src_plane + row * s.in[2],
                               s.src_plane, last ? s.channels : 0, next.rows * s.mul[1] * s.in[2],
                               tiles * weights.slivers);
            patch_band(s, weights, b, {memory, patches.ld, 1}, &ahead);
        }
    return true;
}

// The forward product by patches.
template <class T>
dl_status sliding_patches(const Sliding<T>& s) {
    if (sliding_without_sums(s)) return DL_OK;
    PatchWeights<T> weights(s);
    if (!weights.pack(s)) return DL_OUT_OF_MEMORY;
    const bool apart = ApartPatches<T>::applies(s);
    const PatchBands<T> bands(s, weights.kc, apart);
    int failed = 0;
    parallel_for(bands.tasks(), gemm_max(1, (int64_t(1) << 17) / bands.work()),
                 [&](int64_t begin, int64_t end) {
                     const bool done = apart ? patch_bands_apart(s, bands, weights, begin, end)
                                             : patch_bands(s, bands, weights, begin, end);
                     if (!done) __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
                 });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

}  // namespace
