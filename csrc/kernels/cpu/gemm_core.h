// The packed matrix product that gemm and conv share: five loops around a register-blocked
// micro-kernel, with packers and an epilogue that the caller brings.
//
//   gemm_packed(m, n, k, pack_a, pack_b, out, threads)
//   C[m, n] = act(scale * alpha * A @ B + beta * D + bias)
//
// Packers. The micro-kernel reads A and B only from packed slivers of width W (MR rows of A, NR
// columns of B): element (k, w) of a sliver lies at [k * W + w], and slivers follow each other,
// kc * W elements apart. A packer is a copyable object with
//     static constexpr bool prepacked;
//     const T* operator()(T* buf, int64_t w0, int64_t wn, int64_t k0, int64_t kc) const;
// that provides rows (columns) [w0, w0 + wn) and steps [k0, k0 + kc) of the sum as ceil(wn / W)
// slivers, the missing rows (columns) of the last one filled with zeros. It either writes them to
// `buf` (64-byte aligned, roundup(wn, W) * kc elements) and returns buf, or, when prepacked,
// ignores buf and returns where they already are. w0 is always a multiple of W, k0 of
// gemm_kc<T>(k). Packers run on many threads at once and may use scratch slot 3; slots 0, 1 and 2
// belong to this file. PackStrided packs any strided matrix; conv packs image patches instead
// (implicit im2col). pack_all + Prepacked pack an operand once for many products (weights, for
// each image of a batch).
//
// Output. GemmOut<T> is strided. Fastest when cs == 1; when rs == 1 instead, swap A and B.
//
// Threads. `threads` 1 runs in the calling thread without parallel_for: use it inside one's own
// parallel region. The bits of C depend on neither the blocking of m and n nor the thread count:
// each element sums its products in blocks of gemm_kc(k) steps, in order; where m * n is small and
// k long, in gemm_split(m, n, k) parts of k that are added in order, cut by shape alone.
// gemm_packed returns false when scratch memory could not be had.
#pragma once
#include "kernels/cpu/gemm_epilogue.h"
#include "kernels/cpu/gemm_pack.h"
#include "kernels/cpu/parallel.h"

namespace {

// ---- the micro-kernel --------------------------------------------------------------------------

// The arithmetic of one step. Others than this may see more in an element: gemm_bf16.cpp.
template <class T>
struct GemmSteps {
    typedef T In;
    typedef typename Vec<T>::type vec;
    DL_INLINE vec load(const T* p) { return vload(p); }
    DL_INLINE vec load_n(const T* p, int64_t n) { return vload_n(p, n); }
    DL_INLINE vec spread(const T* p) { return vset1(*p); }
    DL_INLINE vec add(vec sum, vec a, vec b) { return sum + a * b; }
};

// c[R, V vectors] = alpha * a @ b (+ c when add): a is one sliver of A; rows of b lie ldb apart (NR
// when packed). alpha comes by pointer: as a value it would hold one of the registers the loop
// needs.
template <class T, int R, int V, class Steps>
void gemm_micro(int64_t kc, const T* a, const T* b, int64_t ldb, T* c, int64_t ldc, const T* alpha,
                bool add) {
    typedef typename Vec<T>::type vec;
    constexpr int MR = GemmTile<T>::MR, N = Vec<T>::N;
    vec acc[R][V];
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) acc[i][v] = vec{};
    // The slivers that follow are asked into L2: they may come from L3, which is slow to answer when
    // other cores use it too, and nothing else looks across the end of a sliver.
    const int64_t next_a = kc * MR, next_b = kc * ldb;
    const auto step = [&]() __attribute__((always_inline)) {
        vec bv[V];
        __builtin_prefetch(a + next_a, 0, 2);
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            __builtin_prefetch(b + 8 * ldb + v * N);
            __builtin_prefetch(b + next_b + v * N, 0, 2);
            bv[v] = vload(b + v * N);
        }
#pragma GCC unroll 16
        for (int i = 0; i < R; ++i) {
            const vec av = Steps::spread(a + i);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) acc[i][v] = Steps::add(acc[i][v], av, bv[v]);
        }
        a += MR, b += ldb;
    };
    // C is fetched shortly before it is needed, a row a step: any earlier, A and B would drive it out
    // of L1 again, and all at once it would hold up the loop.
    int64_t k = 0;
    for (const int64_t late = kc - 64; k < late; ++k) step();
    const T* row = c;
    for (const int64_t end = gemm_min(kc, k + R); k < end; ++k, row += ldc) {
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) __builtin_prefetch(row + v * N, 1);
        step();
    }
    for (; k < kc; ++k) step();
    const vec scale = vset1(*alpha);
#pragma GCC unroll 16
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            T* p = c + i * ldc + v * N;
            vstore(p, add ? vload(p) + scale * acc[i][v] : scale * acc[i][v]);
        }
}

// Kernels for 2, 4, ..., MR rows (index rows / 2, rounded up) and for one or all vectors, so that a
// narrow edge does not pay for a whole tile.
template <class T, int V, class Steps = GemmSteps<T>>
struct GemmMicros {
    template <int R>
    static constexpr GemmMicro<T> rows = gemm_micro < T,
                                  R <= DL_GEMM_MR ? R : DL_GEMM_MR, V, Steps > ;
    static constexpr GemmMicro<T> at[8] = {nullptr, rows<2>,  rows<4>,  rows<6>,
                                           rows<8>, rows<10>, rows<12>, rows<14>};
};

// The kernels above for tiles of one vector or of all. A pointer to the table, since GCC's sanitizers
// forget the index of an element that is taken from one array or another.
template <class T>
const GemmMicro<T>* gemm_micros(bool narrow) {
    return narrow ? GemmMicros<T, 1>::at : GemmMicros<T, GemmTile<T>::NV>::at;
}

// ---- loops over tiles ----------------------------------------------------------------------

// C[i0.., j0..] of size [mc, nc] from packed a and b. first/last: which of the blocks of k this is.
// a_inner: the slivers of A go through the inner loop (A's block stays in L2, a sliver of B in L1).
template <class T>
void gemm_macro(const GemmOut<T>& o, const T* a, const T* b, int64_t i0, int64_t mc, int64_t j0,
                int64_t nc, int64_t kc, bool first, bool last, bool a_inner) {
    constexpr int MR = GemmTile<T>::MR, NR = GemmTile<T>::NR, N = Vec<T>::N;
    alignas(64) T tile[MR * NR];
    const T one = T(1);
    const bool add = !first || o.accumulates();
    const bool plain = o.plain(first, last);
    const auto* all_vectors = o.micros ? o.micros : gemm_micros<T>(false);
    const auto* one_vector = o.micros ? o.narrow_micros : gemm_micros<T>(true);
    const int64_t mt = gemm_div_up(mc, MR), nt = gemm_div_up(nc, NR);
    for (int64_t t = 0; t < mt * nt; ++t) {
        const int64_t it = a_inner ? t % mt : t / nt, jt = a_inner ? t / mt : t % nt;
        const int64_t i = it * MR, j = jt * NR;
        const int64_t mr = gemm_min(MR, mc - i), nr = gemm_min(NR, nc - j);
        const bool narrow = nr <= N;
        const auto micro = (narrow ? one_vector : all_vectors)[(mr + 1) / 2];
        const T *as = a + i * kc, *bs = b + j * kc;
        if (plain && mr % 2 == 0 && nr == (narrow ? N : NR)) {
            micro(kc, as, bs, NR, o.c + (i0 + i) * o.rs + j0 + j, o.rs, &o.alpha, add);
        } else {
            micro(kc, as, bs, NR, tile, NR, &one, false);
            gemm_store_tile(o, tile, NR, i0 + i, j0 + j, mr, nr, first, last);
        }
    }
}

// ---- loops and threads -------------------------------------------------------------------------

// A rectangle of C over steps [k_begin, k_end) of the sum (k_begin a multiple of kc).
template <class T>
struct GemmRect {
    int64_t i0, i1, j0, j1, k_begin, k_end, kc;
};

// Wide C: A is packed ahead, a block of the sum at a time, and small blocks of B stay in L2. They pass a
// sliver of A while it is in L1, which is worth 1 % of the time at 1024 and above.
template <class T, class PA, class PB>
bool gemm_rect_ahead(const PA& pack_a, const PB& pack_b, const GemmOut<T>& out,
                     const GemmRect<T>& r) {
    typedef GemmTile<T> Tile;
    const int64_t mc = gemm_min(Tile::MA, r.i1 - r.i0);
    const int64_t nc = gemm_min(gemm_resident<T>(Tile::NB, Tile::NR, r.kc), r.j1 - r.j0);
    T* abuf =
        static_cast<T*>(dl_scratch(size_t(gemm_round_up(mc, Tile::MR) * r.kc) * sizeof(T), 0));
    T* bbuf =
        static_cast<T*>(dl_scratch(size_t(gemm_round_up(nc, Tile::NR) * r.kc) * sizeof(T), 1));
    if (!abuf || !bbuf) return false;
    for (int64_t i = r.i0; i < r.i1; i += mc) {
        const int64_t in = gemm_min(mc, r.i1 - i);
        for (int64_t k = r.k_begin; k < r.k_end; k += r.kc) {
            const int64_t kn = gemm_min(r.kc, r.k_end - k);
            const T* a = pack_a(abuf, i, in, k, kn);
            for (int64_t j = r.j0; j < r.j1; j += nc) {
                const int64_t jn = gemm_min(nc, r.j1 - j);
                gemm_macro(out, a, pack_b(bbuf, j, jn, k, kn), i, in, j, jn, kn, k == r.k_begin,
                           k + kn == r.k_end, false);
            }
        }
    }
    return true;
}

template <class T, class PA, class PB>
bool gemm_rect(const PA& pack_a, const PB& pack_b, const GemmOut<T>& out, const GemmRect<T>& r) {
    typedef GemmTile<T> Tile;
    if constexpr (!PA::prepacked && !PB::prepacked)
        if (r.j1 - r.j0 > Tile::NB && r.i1 - r.i0 > 4 * Tile::MR)
            return gemm_rect_ahead(pack_a, pack_b, out, r);
    const int64_t mc = PA::prepacked
                           ? r.i1 - r.i0
                           : gemm_min(gemm_resident<T>(Tile::MC, Tile::MR, r.kc), r.i1 - r.i0);
    // B alone stays in L2 when A comes packed or is next to nothing; else it streams past A's block.
    const bool alone = (PA::prepacked || r.i1 - r.i0 <= 4 * Tile::MR) && !PB::prepacked;
    const int64_t nc =
        gemm_min(alone ? gemm_resident<T>(Tile::NB, Tile::NR, r.kc) : Tile::NC, r.j1 - r.j0);
    T *abuf = nullptr, *bbuf = nullptr;
    if (!PA::prepacked)
        abuf =
            static_cast<T*>(dl_scratch(size_t(gemm_round_up(mc, Tile::MR) * r.kc) * sizeof(T), 0));
    if (!PB::prepacked)
        bbuf =
            static_cast<T*>(dl_scratch(size_t(gemm_round_up(nc, Tile::NR) * r.kc) * sizeof(T), 1));
    if ((!PA::prepacked && !abuf) || (!PB::prepacked && !bbuf)) return false;
    for (int64_t j = r.j0; j < r.j1; j += nc) {
        const int64_t jn = gemm_min(nc, r.j1 - j);
        for (int64_t k = r.k_begin; k < r.k_end; k += r.kc) {
            const int64_t kn = gemm_min(r.kc, r.k_end - k);
            const bool first = k == r.k_begin, last = k + kn == r.k_end;
            const T* b = pack_b(bbuf, j, jn, k, kn);
            for (int64_t i = r.i0; i < r.i1; i += mc) {
                const int64_t in = gemm_min(mc, r.i1 - i);
                const T* a = pack_a(abuf, i, in, k, kn);
                gemm_macro(out, a, b, i, in, j, jn, kn, first, last, !PA::prepacked);
            }
        }
    }
    return true;
}

// Rectangles of about bm x bn (multiples of the tile) over C[i0..i1, j0..j1], one task each.
template <class T, class PA, class PB>
bool gemm_grid(const PA& pack_a, const PB& pack_b, const GemmOut<T>& out, const GemmRect<T>& all,
               int64_t bm, int64_t bn) {
    const int64_t mt = gemm_div_up(all.i1 - all.i0, bm), nt = gemm_div_up(all.j1 - all.j0, bn);
    int failed = 0;
    parallel_for(mt * nt, 1, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
            GemmRect<T> r = all;
            r.i0 = all.i0 + t / nt * bm, r.i1 = gemm_min(all.i1, r.i0 + bm);
            r.j0 = all.j0 + t % nt * bn, r.j1 = gemm_min(all.j1, r.j0 + bn);
            if (!gemm_rect(pack_a, pack_b, out, r)) __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        }
    });
    return !failed;
}

// Length of a block when `size` is cut for `threads`: at most `limit`, a multiple of `unit`, and as
// many blocks as keep all threads equally busy. Speed alone depends on it.
DL_INLINE int64_t gemm_block(int64_t size, int64_t limit, int64_t unit, int threads) {
    int64_t blocks = gemm_div_up(size, limit);
    if (blocks < 4 * threads) blocks = gemm_round_up(blocks, threads);
    blocks = gemm_min(blocks, gemm_div_up(size, unit));
    return gemm_round_up(gemm_div_up(size, blocks), unit);
}

// The same for tasks that threads claim one by one, `work` multiply-adds for each of `size`: some four
// for each thread, so that one that comes late delays nobody, of a length that shares out evenly.
DL_INLINE int64_t gemm_share(int64_t size, int64_t limit, int64_t unit, int64_t work, int threads) {
    const int64_t units = gemm_div_up(size, unit);
    const int64_t least = gemm_div_up(kGemmAlone / 4, gemm_max(1, work * unit));
    const int64_t even = gemm_max(least, units / (4 * threads));
    int64_t best = 1, shortest = INT64_MAX;
    for (int64_t q = gemm_max(1, gemm_min(limit / unit, even)); q >= gemm_min(least, limit / unit);
         --q) {
        const int64_t rounds = gemm_div_up(gemm_div_up(units, q), threads) * q;
        if (rounds < shortest) best = q, shortest = rounds;
        if (q <= 1) break;
    }
    return best * unit;
}

// Wide C: A is packed ahead by all threads, each task packs its own columns of B.
template <class T, class PA, class PB>
bool gemm_wide(int64_t m, int64_t n, int64_t k, const PA& pack_a, const PB& pack_b,
               const GemmOut<T>& out, int threads) {
    typedef GemmTile<T> Tile;
    const int64_t kc = gemm_kc<T>(k);
    const int64_t bn =
        gemm_share(n, gemm_resident<T>(Tile::NB, Tile::NR, kc), Tile::NR, m * k, threads);
    const int64_t columns = gemm_div_up(n, bn);
    const int64_t bm =
        columns >= threads ? m : gemm_block(m, m, Tile::MR, int(threads / columns) + 1);
    if constexpr (PA::prepacked) {
        return gemm_grid<T>(pack_a, pack_b, out, {0, m, 0, n, 0, k, kc}, bm, bn);
    } else {
        const int64_t step = gemm_max(Tile::SHARED / k / Tile::MR, 1) * Tile::MR;
        for (int64_t i = 0; i < m; i += step) {
            const int64_t in = gemm_min(step, m - i);
            T* buf =
                static_cast<T*>(dl_scratch(size_t(packed_size<Tile::MR>(in, k)) * sizeof(T), 0));
            if (!buf) return false;
            const auto a = pack_all<T, Tile::MR>(buf, pack_a, i, in, k, threads);
            if (!gemm_grid<T>(a, pack_b, out, {i, i + in, 0, n, 0, k, kc}, bm, bn)) return false;
        }
        return true;
    }
}

// Tall C: B is packed ahead, each task packs its own rows of A.
template <class T, class PA, class PB>
bool gemm_tall(int64_t m, int64_t n, int64_t k, const PA& pack_a, const PB& pack_b,
               const GemmOut<T>& out, int threads) {
    typedef GemmTile<T> Tile;
    const int64_t kc = gemm_kc<T>(k);
    const int64_t bm =
        gemm_share(m, gemm_resident<T>(Tile::MC, Tile::MR, kc), Tile::MR, n * k, threads);
    const int64_t rows = gemm_div_up(m, bm);
    const int64_t bn = rows >= threads ? n : gemm_block(n, n, Tile::NR, int(threads / rows) + 1);
    if constexpr (PB::prepacked) {
        return gemm_grid<T>(pack_a, pack_b, out, {0, m, 0, n, 0, k, kc}, bm, bn);
    } else {
        const int64_t step = gemm_max(Tile::SHARED / k / Tile::NR, 1) * Tile::NR;
        for (int64_t j = 0; j < n; j += step) {
            const int64_t jn = gemm_min(step, n - j);
            T* buf =
                static_cast<T*>(dl_scratch(size_t(packed_size<Tile::NR>(jn, k)) * sizeof(T), 1));
            if (!buf) return false;
            const auto b = pack_all<T, Tile::NR>(buf, pack_b, j, jn, k, threads);
            if (!gemm_grid<T>(pack_a, b, out, {0, m, j, j + jn, 0, k, kc}, bm, bn)) return false;
        }
        return true;
    }
}

// Parts into which the sum is cut for a small C, an even number: a function of the shape alone.
template <class T>
DL_INLINE int64_t gemm_split(int64_t m, int64_t n, int64_t k) {
    typedef GemmTile<T> Tile;
    const int64_t tiles = gemm_div_up(m, Tile::MC) * gemm_div_up(n, Tile::NB);
    const int64_t blocks = gemm_div_up(k, gemm_kc<T>(k));
    return tiles <= 2 && blocks >= 8 ? gemm_min(16, gemm_round_up(blocks / 4, 2)) : 1;
}

// Small C, long sum: each task sums a part of k into its own matrix; these are added in order.
template <class T, class PA, class PB>
bool gemm_split_k(int64_t m, int64_t n, int64_t k, const PA& pack_a, const PB& pack_b,
                  const GemmOut<T>& out, int64_t parts, int threads) {
    const int64_t kc = gemm_kc<T>(k), blocks = gemm_div_up(k, kc);
    T* sums = static_cast<T*>(dl_scratch(size_t(parts * m * n) * sizeof(T), 2));
    if (!sums) return false;
    int failed = 0;
    auto body = [&](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p) {
            GemmOut<T> part{sums + p * m * n, n, 1};
            part.micros = out.micros, part.narrow_micros = out.narrow_micros;
            const int64_t from = blocks * p / parts * kc, to = blocks * (p + 1) / parts * kc;
            const GemmRect<T> r{0, m, 0, n, from, gemm_min(k, to), kc};
            if (!gemm_rect(pack_a, pack_b, part, r)) __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        }
    };
    auto finish = [&](int64_t begin, int64_t end) {  // rows
        for (int64_t p = 1; p < parts; ++p)
            for (int64_t e = begin * n; e < end * n; ++e) sums[e] += sums[p * m * n + e];
        gemm_store_rows(out, sums, n, begin, end);
    };
    if (threads > 1)
        parallel_for(parts, 1, body);
    else
        body(0, parts);
    if (failed) return false;
    if (threads > 1)
        parallel_for(m, gemm_div_up(32768, parts * n), finish);
    else
        finish(0, m);
    return true;
}

// The entry; see the top of the file. m, n and k are at least 1.
template <class T, class PA, class PB>
bool gemm_packed(int64_t m, int64_t n, int64_t k, const PA& pack_a, const PB& pack_b,
                 const GemmOut<T>& out, int threads) {
    const int64_t parts = gemm_split<T>(m, n, k);
    if (parts > 1) return gemm_split_k(m, n, k, pack_a, pack_b, out, parts, threads);
    if (threads <= 1 || m * n < kGemmAlone / k)
        return gemm_rect(pack_a, pack_b, out, GemmRect<T>{0, m, 0, n, 0, k, gemm_kc<T>(k)});
    if (n >= m) return gemm_wide(m, n, k, pack_a, pack_b, out, threads);
    return gemm_tall(m, n, k, pack_a, pack_b, out, threads);
}

}  // namespace
