// Matrix products that packing would slow down: vectors, few rows, tiny matrices. Three kernels,
// chosen by which way the larger operand B lies in memory; all run at the speed at which B can be
// read.
//   dot      B's columns are contiguous (B is a transposed weight): gemm_dot.h
//   axpy     one row of A, B's rows contiguous: rows of B are scaled and added, streaming
//   direct   several rows of A, B's rows contiguous: a register tile fed from B where it lies
#pragma once
#include "kernels/cpu/gemm_dot.h"
#include "kernels/cpu/gemm_problem.h"

namespace {

constexpr int kFewRows = DL_VEC_BYTES == 64 ? 6 : 3;  // rows of a direct tile, 4 vectors wide
constexpr int kSmallNarrow = 2 * DL_GEMM_MR;          // no packing of B up to so many rows of A
// The same where B is contiguous along the sum, so that packing would have to turn it.
constexpr int kDotMost = DL_VEC_BYTES == 64 ? 56 : kSmallNarrow;
constexpr bool kMaskedTails = DL_VEC_BYTES == 64;
constexpr int kAxpyRows = 16;  // most rows past which B streams
constexpr int kAxpyColumns = 512;

// acc[r][i] += sum over KS steps of a[r][s] * b[s][i]: rows of b stream past R of A.
template <class T, int R, int KS>
DL_INLINE void gemm_axpy_steps(const T* a, int64_t rs, int64_t ks, const T* b, int64_t ldb,
                               int64_t n, T* acc) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    vec av[R][KS];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int s = 0; s < KS; ++s) av[r][s] = vset1(a[r * rs + s * ks]);
    for (int64_t i = 0; i < n; i += N) {
        vec bv[KS];
#pragma GCC unroll 4
        for (int s = 0; s < KS; ++s) {
            __builtin_prefetch(b + (KS + s) * ldb + i);
            bv[s] = i + N <= n ? vload(b + s * ldb + i) : vload_n(b + s * ldb + i, n - i);
        }
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) {
            vec x = vload(acc + r * kAxpyColumns + i);
#pragma GCC unroll 4
            for (int s = 0; s < KS; ++s) x += av[r][s] * bv[s];
            vstore(acc + r * kAxpyColumns + i, x);
        }
    }
}
template <class T, int KS>
void gemm_axpy_rows(int64_t m, const T* a, int64_t rs, int64_t ks, const T* b, int64_t ldb,
                    int64_t n, T* acc) {
    for (int64_t i = 0; i < m; i += 4, a += 4 * rs, acc += 4 * kAxpyColumns) {
        if (m - i >= 4)
            gemm_axpy_steps<T, 4, KS>(a, rs, ks, b, ldb, n, acc);
        else if (m - i == 3)
            gemm_axpy_steps<T, 3, KS>(a, rs, ks, b, ldb, n, acc);
        else if (m - i == 2)
            gemm_axpy_steps<T, 2, KS>(a, rs, ks, b, ldb, n, acc);
        else
            gemm_axpy_steps<T, 1, KS>(a, rs, ks, b, ldb, n, acc);
    }
}

// C[.., j0..j1] from a [m, k] of any strides and b [k, n], rows contiguous: sums of a piece of each row
// stay in L1 while B is read once, in long stretches.
template <class T>
void gemm_axpy_columns(int64_t m, int64_t k, const T* a, int64_t rs, int64_t ks, const T* b,
                       int64_t ldb, const GemmOut<T>& o, int64_t j0, int64_t j1) {
    constexpr int W = 4 * Vec<T>::N;
    alignas(64) T acc[kAxpyRows * kAxpyColumns];
    for (int64_t j = j0; j < j1; j += kAxpyColumns) {
        const int64_t n = gemm_min(kAxpyColumns, j1 - j);
        memset(acc, 0, size_t(m * kAxpyColumns) * sizeof(T));
        const T* bj = b + j;
        int64_t s = 0;
        for (; s + 4 <= k; s += 4)
            gemm_axpy_rows<T, 4>(m, a + s * ks, rs, ks, bj + s * ldb, ldb, n, acc);
        for (; s < k; ++s) gemm_axpy_rows<T, 1>(m, a + s * ks, rs, ks, bj + s * ldb, ldb, n, acc);
        for (int64_t i = 0; i < n; i += W)
            gemm_store_tile(o, acc + i, kAxpyColumns, 0, j + i, m, gemm_min(W, n - i), true, true);
    }
}

// t [R, V vectors] = a @ b over k steps: element (i, k) of a at a[i * rs + k * ks], rows of b ldb
// apart. With one vector only `lanes` of it are there, where masks come free.
template <class T, int R, int V>
void gemm_direct_tile(int64_t k, const T* a, int64_t rs, int64_t ks, const T* b, int64_t ldb,
                      int64_t lanes, T* t) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    vec acc[R][V];
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) acc[i][v] = vec{};
    for (int64_t s = 0; s < k; ++s, a += ks, b += ldb) {
        vec bv[V];
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) {
            __builtin_prefetch(b + 8 * ldb + v * N);  // rows may lie pages apart: help the hardware
            bv[v] = V == 1 && kMaskedTails ? vload_n(b, lanes) : vload(b + v * N);
        }
#pragma GCC unroll 8
        for (int i = 0; i < R; ++i) {
            const vec av = vset1(a[i * rs]);
#pragma GCC unroll 4
            for (int v = 0; v < V; ++v) acc[i][v] += av * bv[v];
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) vstore(t + (i * V + v) * N, acc[i][v]);
}

template <class T>
using GemmDirect = void (*)(int64_t, const T*, int64_t, int64_t, const T*, int64_t, int64_t, T*);
template <class T, int V>
struct GemmDirects {
    static constexpr int kMost = V == 1 ? 2 * kFewRows : kFewRows;
    template <int R>
    static constexpr GemmDirect<T> rows = gemm_direct_tile < T,
                                   R <= kMost ? R : kMost, V > ;
    static constexpr GemmDirect<T> at[13] = {nullptr,  rows<1>,  rows<2>, rows<3>, rows<4>,
                                             rows<5>,  rows<6>,  rows<7>, rows<8>, rows<9>,
                                             rows<10>, rows<11>, rows<12>};
};

// The last n < N columns of B, padded with zeros: a whole vector would read past the end.
template <class T>
void gemm_pad_columns(T* edge, const T* b, int64_t ldb, int64_t k, int64_t n) {
    constexpr int N = Vec<T>::N;
    for (int64_t s = 0; s < k; ++s) {
        for (int64_t c = 0; c < n; ++c) edge[s * N + c] = b[s * ldb + c];
        for (int64_t c = n; c < N; ++c) edge[s * N + c] = T(0);
    }
}

// C[.., j0..j1] from a [m, k] of any strides and b [k, n] with contiguous rows.
template <class T>
void gemm_direct_columns(int64_t m, int64_t k, const T* a, int64_t rs, int64_t ks, const T* b,
                         int64_t ldb, const GemmOut<T>& o, int64_t j0, int64_t j1) {
    constexpr int N = Vec<T>::N, W = 4 * N;
    constexpr int64_t KB = 256;  // steps whose pages of B the TLB remembers for the next tile
    alignas(64) T tile[kFewRows * W], edge[KB * N];
    for (int64_t k0 = 0; k0 < k; k0 += KB) {
        const int64_t kn = gemm_min(KB, k - k0);
        for (int64_t j = j0; j < j1;) {
            int64_t nr = gemm_min(W, j1 - j);
            if (nr < W && nr > N) nr = N;
            const T* bt = b + k0 * ldb + j;
            int64_t bs = ldb;
            if (nr < N && !kMaskedTails) {
                gemm_pad_columns(edge, bt, ldb, kn, nr);
                bt = edge, bs = N;
            }
            const bool wide = nr == W;
            const auto kernels = wide ? GemmDirects<T, 4>::at : GemmDirects<T, 1>::at;
            const int64_t groups = gemm_div_up(m, wide ? kFewRows : 2 * kFewRows);
            for (int64_t g = 0, i = 0; g < groups; ++g) {
                const int64_t mr = (m - i) / (groups - g);  // rows spread evenly over the groups
                kernels[mr](kn, a + i * rs + k0 * ks, rs, ks, bt, bs, nr, tile);
                gemm_store_tile(o, tile, wide ? W : N, i, j, mr, nr, k0 == 0, k0 + kn == k);
                i += mr;
            }
            j += nr;
        }
    }
}

// Rows of the next of `groups` groups that share m rows evenly.
DL_INLINE int64_t gemm_rows_of(int64_t m, int64_t groups) { return gemm_div_up(m, groups); }

// The same for more rows, through the packed core's micro-kernel: a packed in slivers of MR rows
// over the whole sum (`sliver` elements apart), B read where it lies.
template <class T>
void gemm_rows_columns(int64_t m, int64_t k, const T* a, int64_t sliver, const T* b, int64_t ldb,
                       const GemmOut<T>& o, int64_t j0, int64_t j1) {
    constexpr int N = Vec<T>::N, MR = GemmTile<T>::MR, NR = GemmTile<T>::NR;
    constexpr int64_t KB = 256;
    const int64_t groups = gemm_div_up(m, MR);
    alignas(64) T tile[MR * NR], edge[KB * N];
    const T one = T(1);
    for (int64_t k0 = 0; k0 < k; k0 += KB) {
        const int64_t kn = gemm_min(KB, k - k0);
        for (int64_t j = j0, nr; j < j1; j += nr) {
            nr = gemm_min(NR, j1 - j);
            if (nr < NR && nr > N) nr = N;
            const T* bt = b + k0 * ldb + j;
            const bool pad = nr < N;
            if (pad) gemm_pad_columns(edge, bt, ldb, kn, nr);
            const auto* kernels = gemm_micros<T>(nr != NR);
            for (int64_t g = 0, i = 0; g < groups; ++g) {
                const int64_t mr = gemm_rows_of(m - i, groups - g);
                kernels[(mr + 1) / 2](kn, a + g * sliver + k0 * MR, pad ? edge : bt, pad ? N : ldb,
                                      tile, NR, &one, false);
                gemm_store_tile(o, tile, NR, i, j, mr, nr, k0 == 0, k0 + kn == k);
                i += mr;
            }
        }
    }
}

// Which of these applies.
enum SmallPath { kSmallNone, kSmallDot, kSmallAxpy, kSmallDirect, kSmallRows };

template <class T>
using SmallProblem = GemmProblem<T, T>;

// Steps [k0, k1) of the sum for columns [j0, j1).
template <class T>
void gemm_small_columns(SmallPath path, const SmallProblem<T>& p, const GemmOut<T>& o, int64_t k0,
                        int64_t k1, int64_t j0, int64_t j1) {
    const T *a = p.a + k0 * p.a_ks, *b = p.b + k0 * p.b_ks;
    if (path == kSmallDot)
        gemm_dot_columns<T, GemmSteps<T>>(p.m, p.k, k0, k1, p.a, p.b, p.b_cs, o, j0, j1);
    else if (path == kSmallAxpy)
        gemm_axpy_columns(p.m, k1 - k0, a, p.a_rs, p.a_ks, b, p.b_ks, o, j0, j1);
    else if (path == kSmallRows)
        gemm_rows_columns(p.m, k1 - k0, a, p.a_rs, b, p.b_ks, o, j0, j1);
    else
        gemm_direct_columns(p.m, k1 - k0, a, p.a_rs, p.a_ks, b, p.b_ks, o, j0, j1);
}

// A long sum over a small C: parts of k, cut by shape alone, summed on their own and added in
// order.
template <class T>
bool gemm_small_split(SmallPath path, const SmallProblem<T>& p, int64_t step, int threads) {
    const int64_t parts = gemm_div_up(p.k, step), size = p.m * p.n;
    T* sums = static_cast<T*>(dl_scratch(size_t(parts * size) * sizeof(T), 2));
    if (!sums) return false;
    auto body = [&](int64_t begin, int64_t end) {
        for (int64_t q = begin; q < end; ++q) {
            const GemmOut<T> part{sums + q * size, p.n, 1};
            gemm_small_columns(path, p, part, q * step, gemm_min(p.k, (q + 1) * step), 0, p.n);
        }
    };
    if (threads > 1)
        parallel_for(parts, 1, body);
    else
        body(0, parts);
    for (int64_t q = 1; q < parts; ++q)
        for (int64_t e = 0; e < size; ++e) sums[e] += sums[q * size + e];
    constexpr int W = 4 * Vec<T>::N;
    for (int64_t j = 0; j < p.n; j += W)
        gemm_store_tile(p.out, sums + j, p.n, 0, j, p.m, gemm_min(W, p.n - j), true, true);
    return true;
}

// Columns of a chunk: a multiple of `unit`, worth sharing (`work`: multiply-adds of one column), and
// few enough that each thread gets `shares` of them.
DL_INLINE int64_t gemm_small_grain(int64_t n, int64_t unit, int64_t work, int threads,
                                   int shares = 16) {
    const int64_t worth = gemm_div_up(kGemmAlone / 16, gemm_max(1, work));
    const int64_t even = gemm_div_up(n, shares * threads);
    return gemm_round_up(gemm_max(worth, even), unit);
}
// The same for dot products: a chunk of columns meets all rows of A, which are read again for the next.
DL_INLINE int64_t gemm_dot_grain(int64_t m, int64_t n, int64_t work, int threads) {
    return gemm_small_grain(n, 6, work, threads, m > kDotRows ? 4 : 16);
}

// Runs a problem that small_path accepted.
template <class T>
bool gemm_small(SmallPath path, SmallProblem<T> p, int threads) {
    if (path == kSmallDot) {
        p.a = gemm_dot_pack<T>(p.m, p.k, p.a, p.a_rs, p.a_ks, threads);
        if (!p.a) return false;
    }
    if (path == kSmallRows) {
        constexpr int MR = GemmTile<T>::MR;
        T* a = static_cast<T*>(dl_scratch(size_t(packed_size<MR>(p.m, p.k)) * sizeof(T), 0));
        if (!a) return false;
        const int64_t groups = gemm_div_up(p.m, MR);
        for (int64_t g = 0, i = 0; g < groups; ++g) {
            const int64_t mr = gemm_rows_of(p.m - i, groups - g);
            pack_sliver<T, MR>(a + g * MR * p.k, p.a + i * p.a_rs, mr, p.a_rs, p.k, p.a_ks);
            i += mr;
        }
        p.a = a;
        p.a_rs = MR * p.k, p.a_ks = MR;  // of slivers, and of steps within one
    }
    const int64_t work = p.m * p.k;  // of one column
    if (p.n <= kAxpyColumns && p.m * p.n <= 4096 && work * p.n >= (1 << 17) && p.k >= 8192)
        return gemm_small_split(path, p, 4096, threads);
    int64_t grain = 0;
    if (path == kSmallDot)
        grain = gemm_dot_grain(p.m, p.n, work, threads);
    else if (path == kSmallAxpy)  // the longer the pieces of rows, the sooner memory brings them
        grain =
            gemm_small_grain(p.n, kAxpyColumns / (p.n < 8 * kAxpyColumns ? 4 : 1), work, threads);
    else
        grain = gemm_small_grain(p.n, 4 * Vec<T>::N, work, threads);
    auto body = [&](int64_t begin, int64_t end) {
        gemm_small_columns(path, p, p.out, 0, p.k, begin, end);
    };
    if (threads > 1)
        parallel_for(p.n, grain, body);
    else if (work * p.n >= 4096)
        parallel_for(p.n, p.n, body);  // not shared, but denormals cost nothing
    else
        body(0, p.n);
    return true;
}

// kSmallNone: packing pays.
template <class T>
SmallPath small_path(const SmallProblem<T>& p) {
    const bool tiny = p.m * p.n <= 4096 && p.m * p.n * p.k <= 32768;
    const bool columns = p.b_ks == 1 || p.k == 1, rows = p.b_cs == 1 || p.n == 1;
    if (columns && !rows) {
        const bool few = p.m <= kSmallNarrow || tiny;
        const bool dot = few || p.m <= kDotMost;
        return p.m <= 2 || (dot && p.k >= (few ? 16 : 32) * Vec<T>::N) ? kSmallDot : kSmallNone;
    }
    if (p.m > kSmallNarrow && !tiny) return kSmallNone;
    if (columns && p.m == 1 && p.n == 1) return kSmallDot;
    if (!rows) return kSmallNone;
    // B beyond the caches is best read in long stretches, whatever that costs in L1.
    const bool streams = p.n >= 4 * Vec<T>::N && (p.m <= 4 || p.k * p.n >= (int64_t(1) << 20));
    if (p.m == 1 || (streams && p.m <= kAxpyRows)) return kSmallAxpy;
    return p.m <= kFewRows || p.n <= Vec<T>::N ? kSmallDirect : kSmallRows;
}

}  // namespace
