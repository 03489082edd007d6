// The sliding product as a matrix product: rows of weights times columns of patches, positions in
// the lanes. The weights are packed once; patches are packed by the task that multiplies them, or,
// where there are few columns and much to do for each, once for all tasks.
#pragma once
#include "kernels/cpu/conv_im2col.h"
#include "kernels/cpu/conv_sliding.h"

namespace {

// Where columns [j0, j1) of the result go, relative to the plane of a row.
template <class T>
void place_columns(const Sliding<T>& s, int64_t j0, int64_t j1, int64_t* place) {
    RowRun run;
    for (int64_t j = j0; j < j1; j += run.len) {
        run.len = 1;
        cut_rows(s, j, 1, &run);
        run.len = gemm_min(s.grid[2] - run.o[2], j1 - j);
        const int64_t row = (run.o[0] * s.out_mul[0] + s.out_base[0]) * s.out[1] +
                            run.o[1] * s.out_mul[1] + s.out_base[1];
        int64_t at = run.n * s.dst_image + row * s.out[2] + run.o[2] * s.out_mul[2] + s.out_base[2];
        for (int64_t l = 0; l < run.len; ++l, at += s.out_mul[2]) *place++ = at;
    }
}

// A finished tile [mr, nr], rows ld apart, goes to dst[i * plane + place[j]], or is added there.
// Places that follow each other lie `step` apart. Up to a vector is read behind a row of the tile.
// finish: or null; of rows from `channel` on.
template <class T>
void store_places(const T* tile, int64_t ld, T* dst, int64_t plane, const int64_t* place,
                  int64_t step, int64_t mr, int64_t nr, const T* bias, bool add,
                  const ConvFinish<T>* finish, int64_t channel) {
    constexpr int64_t N = Vec<T>::N;
    for (int64_t j = 0, len; j < nr; j += len) {
        for (len = 1; j + len < nr && place[j + len] == place[j] + len * step;) ++len;
        for (int64_t l = 0; l < len; l += N) {
            const int64_t n = gemm_min(N, len - l);
            const T* from = tile + j + l;
            T* to = dst + place[j] + l * step;
            for (int64_t i = 0; i < mr; ++i, from += ld, to += plane) {
                typename Vec<T>::type v = vload(from);
                if (bias) v += vset1<T>(bias[i]);
                if (step == 1) {
                    if (add) v += n == N ? vload(to) : vload_n(to, n);
                    if (finish) v = conv_finished(*finish, v, channel + i, to, n);
                    n == N ? vstore(to, v) : vstore_n(to, v, n);
                } else if (step == 2 && !add) {
                    vstore_pairs(to, v, n);
                } else {
                    for (int64_t q = 0; q < n; ++q) to[q * step] = add ? to[q * step] + v[q] : v[q];
                }
            }
        }
    }
}

// A rectangle of the result of one group.
struct SlidingRect {
    int64_t group, i0, i1, j0, j1;
};

template <class T>
struct SlidingProduct {
    typedef GemmTile<T> Tile;
    const Sliding<T>& s;
    int64_t kc;       // steps of a block of the sum
    int64_t padded;   // rows of a group's packed weights
    const T* a;       // packed weights, group by group
    const T* shared;  // patches of all columns, packed ahead, or null
    int64_t columns;  // of these, filled up to slivers

    // Packs columns [j0, j1), all steps, into `shared`.
    bool pack_shared(int64_t j0, int64_t j1) const {
        void* memory = dl_scratch(PatchList::bytes(s.ntaps, gemm_round_up(j1 - j0, Tile::NR)), 3);
        if (!memory) return false;
        const PatchList list = list_patches(s, j0, j1, memory);
        for (int64_t k = 0; k < s.steps(); k += kc) {
            const int64_t kn = gemm_min(kc, s.steps() - k);
            pack_patches(s, 0, list, k, kn, const_cast<T*>(shared) + k * columns + j0 * kn);
        }
        return true;
    }

    bool run(const SlidingRect& r) const {
        const int64_t width = gemm_round_up(r.j1 - r.j0, Tile::NR);
        // Results that lie apart are summed elsewhere first: adding them in place is slow.
        const bool collect = s.out_mul[2] != 1 && kc < s.steps();
        const int64_t own = shared ? 0 : width * kc;
        const int64_t sums = collect ? (r.i1 - r.i0 + 1) * width : 0;
        T* b = static_cast<T*>(dl_scratch(size_t(own + sums + Vec<T>::N) * sizeof(T), 1));
        void* lists = shared ? b : dl_scratch(PatchList::bytes(s.ntaps, width), 3);
        if (!b || !lists) return false;
        int64_t place[Tile::NB];
        place_columns(s, r.j0, r.j1, place);
        PatchList list{};
        if (!shared) list = list_patches(s, r.j0, r.j1, lists);
        for (int64_t k0 = 0; k0 < s.steps(); k0 += kc) {
            const int64_t kn = gemm_min(kc, s.steps() - k0);
            if (!shared) pack_patches(s, r.group, list, k0, kn, b);
            multiply(r, k0, kn, shared ? shared + k0 * columns + r.j0 * kn : b, place,
                     collect ? b + own : nullptr);
        }
        return true;
    }

 private:
    // One block of steps. sums: where the tiles are collected, or null.
    void multiply(const SlidingRect& r, int64_t k0, int64_t kn, const T* b, const int64_t* place,
                  T* sums) const {
        constexpr int MR = Tile::MR, NR = Tile::NR, N = Vec<T>::N;
        const T* weights = a + r.group * padded * s.steps() + k0 * padded;
        const bool first = k0 == 0, last = k0 + kn == s.steps();
        const ConvFinish<T>* finish = last && s.finish.on ? &s.finish : nullptr;
        const int64_t width = gemm_round_up(r.j1 - r.j0, NR);
        alignas(64) T tile[MR * NR + N];
        const T one = T(1);
        for (int64_t i = r.i0; i < r.i1; i += MR) {
            const int64_t mr = gemm_min(MR, r.i1 - i), row = r.group * s.rows + i;
            const T *as = weights + i * kn, *bias = s.bias ? s.bias + row : nullptr;
            T* dst = s.dst + row * s.dst_plane;
            for (int64_t j = 0; j < r.j1 - r.j0; j += NR) {
                const int64_t nr = gemm_min(NR, r.j1 - r.j0 - j), *to = place + j;
                const bool narrow = nr <= N;
                const auto micro = gemm_micros<T>(narrow)[(mr + 1) / 2];
                const bool whole = nr == (narrow ? N : NR) && mr % 2 == 0;
                if (sums) {
                    T* sum = sums + (i - r.i0) * width + j;
                    micro(kn, as, b + j * kn, NR, sum, width, &one, !first);
                    if (last)
                        store_places(sum, width, dst, s.dst_plane, to, s.out_mul[2], mr, nr, bias,
                                     false, finish, row);
                } else if (whole && to[nr - 1] - to[0] == nr - 1) {
                    T* c = dst + to[0];
                    if (first && bias)
                        for (int64_t m = 0; m < mr; ++m)
                            for (int64_t l = 0; l < nr; l += N)
                                vstore(c + m * s.dst_plane + l, vset1<T>(bias[m]));
                    if (finish) conv_finish_ahead(*finish, c, s.dst_plane, mr, nr);
                    micro(kn, as, b + j * kn, NR, c, s.dst_plane, &one, !first || bias);
                    if (finish) conv_finish_rows(*finish, row, c, s.dst_plane, mr, nr);
                } else {
                    micro(kn, as, b + j * kn, NR, tile, NR, &one, false);
                    store_places(tile, NR, dst, s.dst_plane, to, s.out_mul[2], mr, nr,
                                 first ? bias : nullptr, !first, finish, row);
                }
            }
        }
    }
};

// How the result is cut into rectangles. Speed alone depends on it.
struct SlidingCut {
    int64_t bm, bn;
    bool shared;
};
template <class T>
SlidingCut sliding_cut(const Sliding<T>& s, int threads) {
    typedef GemmTile<T> Tile;
    const int64_t kc = gemm_kc<T>(s.steps()), columns = s.columns();
    const int64_t limit = gemm_resident<T>(Tile::NB, Tile::NR, kc);
    const int64_t slivers = gemm_div_up(s.rows, Tile::MR);
    // Few columns (a late layer): its rows are shared out, and their patches packed once.
    const bool few = s.groups == 1 && threads > 1 && columns < 4 * threads * limit;
    const bool worth = slivers >= 4 && double(s.rows) * double(columns) * double(s.steps()) > 4e6 &&
                       columns * s.steps() <= Tile::SHARED;
    if (few && worth) {
        const int64_t units = gemm_div_up(columns, Tile::NR), most = limit / Tile::NR;
        const int64_t bn = gemm_div_up(units, gemm_div_up(units, most)) * Tile::NR;
        const int64_t nt = gemm_div_up(columns, bn);
        int64_t mt = gemm_min(slivers, gemm_div_up(8 * threads, nt));
        if (nt % threads != 0 && slivers >= 2 * threads) mt = gemm_round_up(mt, threads);
        return {gemm_div_up(slivers, mt) * Tile::MR, bn, true};
    }
    const int64_t bn = s.groups > 1
                           ? gemm_min(limit, gemm_block(columns, limit, Tile::NR, threads))
                           : gemm_share(columns, limit, Tile::NR, s.rows * s.steps(), threads);
    return {gemm_max(1, s.rows), bn, false};
}

template <class T>
dl_status sliding_gemm(const Sliding<T>& s) {
    typedef GemmTile<T> Tile;
    if (sliding_without_sums(s)) return DL_OK;
    const int threads = dl_num_threads();
    const SlidingCut cut = sliding_cut(s, threads);
    const int64_t columns = s.columns(), padded = gemm_round_up(s.rows, Tile::MR);
    const int64_t size = padded * s.steps(), wide = gemm_round_up(columns, Tile::NR);
    T* a = static_cast<T*>(
        dl_scratch(size_t(s.groups * size + (cut.shared ? wide * s.steps() : 0)) * sizeof(T), 0));
    if (!a) return DL_OUT_OF_MEMORY;
    if (s.groups == 1)
        pack_all<T, Tile::MR>(a, PackWeights<T>{s, s.w}, 0, s.rows, s.steps(), threads);
    else
        parallel_for(s.groups, gemm_max(1, 32768 / size), [&](int64_t begin, int64_t end) {
            for (int64_t g = begin; g < end; ++g)
                pack_all<T, Tile::MR>(a + g * size, PackWeights<T>{s, s.w + g * s.w_group}, 0,
                                      s.rows, s.steps(), 1);
        });
    const SlidingProduct<T> product{s, gemm_kc<T>(s.steps()),           padded,
                                    a, cut.shared ? a + size : nullptr, wide};
    int failed = 0;
    if (cut.shared) {
        const int64_t part = gemm_share(columns, Tile::NB, Tile::NR, 4 * s.steps(), threads);
        parallel_for(gemm_div_up(columns, part), 1, [&](int64_t begin, int64_t end) {
            for (int64_t t = begin; t < end; ++t)
                if (!product.pack_shared(t * part, gemm_min(columns, (t + 1) * part)))
                    __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        });
        if (failed) return DL_OUT_OF_MEMORY;
    }
    const int64_t mt = gemm_div_up(s.rows, cut.bm), nt = gemm_div_up(columns, cut.bn);
    const int64_t work =
        gemm_max(1, gemm_min(s.rows, cut.bm) * gemm_min(columns, cut.bn)) * s.steps();
    parallel_for(s.groups * mt * nt, gemm_max(1, (int64_t(1) << 17) / work),
                 [&](int64_t begin, int64_t end) {
                     for (int64_t t = begin; t < end; ++t) {
                         const int64_t i = t / nt % mt * cut.bm, j = t % nt * cut.bn;
                         if (!product.run({t / (mt * nt), i, gemm_min(s.rows, i + cut.bm), j,
                                           gemm_min(columns, j + cut.bn)}))
                             __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
                     }
                 });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

}  // namespace
