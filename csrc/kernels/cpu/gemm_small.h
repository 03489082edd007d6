// Matrix products that packing would slow down: vectors, few rows, tiny matrices. Three kernels,
// chosen by which way the larger operand B lies in memory; all run at the speed at which B can be
// read.
//   dot      B's columns are contiguous (B is a transposed weight): vector sums along k
//   axpy     one row of A, B's rows contiguous: rows of B are scaled and added, streaming
//   direct   several rows of A, B's rows contiguous: a register tile fed from B where it lies
#pragma once
#include "kernels/cpu/gemm_core.h"
#include "kernels/cpu/gemm_problem.h"

namespace {

constexpr int kFewRows = DL_VEC_BYTES == 64 ? 6 : 3;  // rows of a direct tile, 4 vectors wide
constexpr int kSmallNarrow = 2 * DL_GEMM_MR;          // no packing of B up to so many rows of A
constexpr int kAxpyColumns = 512;

// out[j] = sum of the lanes of acc[j], in the same order for every j.
template <class T>
DL_INLINE void gemm_sum4(const typename Vec<T>::type* acc, T* out) {
    if constexpr (Vec<T>::N < 4) {
        for (int j = 0; j < 4; ++j) out[j] = vreduce_add<T>(acc[j]);
    } else {
        typedef T v4 __attribute__((vector_size(4 * sizeof(T))));
        T lanes[16];
        for (int j = 0; j < 4; ++j) {
            v4 part[Vec<T>::N / 4];
            memcpy(part, acc + j, sizeof part);
            for (int h = Vec<T>::N / 8; h > 0; h /= 2)
                for (int i = 0; i < h; ++i) part[i] += part[i + h];
            memcpy(lanes + 4 * j, part, sizeof(v4));
        }
        T columns[16];
        transpose4<T, 4>(columns, lanes, 4);
        for (int j = 0; j < 4; ++j)
            out[j] = (columns[j] + columns[8 + j]) + (columns[4 + j] + columns[12 + j]);
    }
}

// t[i * RJ + j] = sum over k of a[i][k] * b[j][k], rows lda and ldb apart.
template <class T, int RI, int RJ>
void gemm_dot_tile(int64_t k, const T* a, int64_t lda, const T* b, int64_t ldb, T* t) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    vec acc[RI][RJ];
    T tail[RI][RJ];
#pragma GCC unroll 4
    for (int i = 0; i < RI; ++i)
#pragma GCC unroll 4
        for (int j = 0; j < RJ; ++j) acc[i][j] = vec{}, tail[i][j] = T(0);
    int64_t s = 0;
    for (; s + N <= k; s += N) {
        vec bv[RJ];
#pragma GCC unroll 4
        for (int j = 0; j < RJ; ++j) bv[j] = vload(b + j * ldb + s);
#pragma GCC unroll 4
        for (int i = 0; i < RI; ++i) {
            const vec av = vload(a + i * lda + s);
#pragma GCC unroll 4
            for (int j = 0; j < RJ; ++j) acc[i][j] += av * bv[j];
        }
    }
    for (; s < k; ++s)
        for (int i = 0; i < RI; ++i)
            for (int j = 0; j < RJ; ++j) tail[i][j] += a[i * lda + s] * b[j * ldb + s];
#pragma GCC unroll 4
    for (int i = 0; i < RI; ++i) {
        T sums[4];
        if (RJ == 4)
            gemm_sum4<T>(acc[i], sums);
        else
            sums[0] = vreduce_add<T>(acc[i][0]);
        for (int j = 0; j < RJ; ++j) t[i * RJ + j] = sums[j] + tail[i][j];
    }
}

// a [m, k] and b [n, k], both contiguous along k -> C[.., j0..j1].
template <class T>
void gemm_dot_columns(int64_t m, int64_t k, const T* a, int64_t lda, const T* b, int64_t ldb,
                      const GemmOut<T>& o, int64_t j0, int64_t j1) {
    constexpr int RI = DL_VEC_BYTES == 64 ? 4 : 2;  // 16 or 8 accumulators
    T t[RI * 4];
    for (int64_t j = j0; j < j1;) {
        const bool wide = j + 4 <= j1;
        const T* bj = b + j * ldb;
        for (int64_t i = 0; i < m;) {
            const int rows = i + RI <= m ? RI : i + 2 <= m ? 2 : 1;
            const T* ai = a + i * lda;
            if (rows == RI)
                wide ? gemm_dot_tile<T, RI, 4>(k, ai, lda, bj, ldb, t)
                     : gemm_dot_tile<T, RI, 1>(k, ai, lda, bj, ldb, t);
            else if (rows == 2)
                wide ? gemm_dot_tile<T, 2, 4>(k, ai, lda, bj, ldb, t)
                     : gemm_dot_tile<T, 2, 1>(k, ai, lda, bj, ldb, t);
            else
                wide ? gemm_dot_tile<T, 1, 4>(k, ai, lda, bj, ldb, t)
                     : gemm_dot_tile<T, 1, 1>(k, ai, lda, bj, ldb, t);
            gemm_store_tile(o, t, wide ? 4 : 1, i, j, rows, wide ? 4 : 1, true, true);
            i += rows;
        }
        j += wide ? 4 : 1;
    }
}

// One row: C[0, j0..j1] from a [k] (stride as) and b [k, n], rows ldb apart.
template <class T>
void gemm_axpy_columns(int64_t k, const T* a, int64_t as, const T* b, int64_t ldb,
                       const GemmOut<T>& o, int64_t j0, int64_t j1) {
    constexpr int W = 4 * Vec<T>::N;
    alignas(64) T acc[kAxpyColumns];
    for (int64_t j = j0; j < j1; j += kAxpyColumns) {
        const int64_t n = gemm_min(kAxpyColumns, j1 - j);
        for (int64_t i = 0; i < n; ++i) acc[i] = T(0);
        int64_t s = 0;
        for (; s + 4 <= k; s += 4) {
            const T a0 = a[s * as], a1 = a[(s + 1) * as], a2 = a[(s + 2) * as],
                    a3 = a[(s + 3) * as];
            const T *b0 = b + s * ldb + j, *b1 = b0 + ldb, *b2 = b1 + ldb, *b3 = b2 + ldb;
            for (int64_t i = 0; i < n; ++i)
                acc[i] += a0 * b0[i] + a1 * b1[i] + (a2 * b2[i] + a3 * b3[i]);
        }
        for (; s < k; ++s) {
            const T a0 = a[s * as];
            const T* b0 = b + s * ldb + j;
            for (int64_t i = 0; i < n; ++i) acc[i] += a0 * b0[i];
        }
        for (int64_t i = 0; i < n; i += W)
            gemm_store_tile(o, acc + i, W, 0, j + i, 1, gemm_min(W, n - i), true, true);
    }
}

// t [R, V vectors] = a @ b over k steps: element (i, k) of a at a[i * rs + k * ks], rows of b ldb
// apart.
template <class T, int R, int V>
void gemm_direct_tile(int64_t k, const T* a, int64_t rs, int64_t ks, const T* b, int64_t ldb, T* t,
                      int64_t ldt) {
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
            bv[v] = vload(b + v * N);
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
        for (int v = 0; v < V; ++v) vstore(t + i * ldt + v * N, acc[i][v]);
}

template <class T>
using GemmDirect = void (*)(int64_t, const T*, int64_t, int64_t, const T*, int64_t, T*, int64_t);
template <class T, int V>
struct GemmDirects {
    static constexpr GemmDirect<T> at[7] = {nullptr,
                                            gemm_direct_tile<T, 1, V>,
                                            gemm_direct_tile<T, 2, V>,
                                            gemm_direct_tile<T, 3, V>,
                                            gemm_direct_tile < T,
                                            kFewRows >= 4 ? 4 : 3,
                                            V >,
                                            gemm_direct_tile < T,
                                            kFewRows >= 5 ? 5 : 3,
                                            V >
                                            , gemm_direct_tile < T, kFewRows >= 6 ? 6 : 3, V > };
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
    const int64_t groups = gemm_div_up(m, kFewRows);
    for (int64_t k0 = 0; k0 < k; k0 += KB) {
        const int64_t kn = gemm_min(KB, k - k0);
        for (int64_t j = j0; j < j1;) {
            int64_t nr = gemm_min(W, j1 - j);
            if (nr < W && nr > N) nr = N;
            const T* bt = b + k0 * ldb + j;
            int64_t bs = ldb;
            if (nr < N) {
                gemm_pad_columns(edge, bt, ldb, kn, nr);
                bt = edge, bs = N;
            }
            const auto kernels = nr == W ? GemmDirects<T, 4>::at : GemmDirects<T, 1>::at;
            for (int64_t g = 0, i = 0; g < groups; ++g) {
                const int64_t mr = (m - i) / (groups - g);  // rows spread evenly over the groups
                kernels[mr](kn, a + i * rs + k0 * ks, rs, ks, bt, bs, tile, W);
                gemm_store_tile(o, tile, W, i, j, mr, nr, k0 == 0, k0 + kn == k);
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
            const auto kernels =
                nr == NR ? GemmMicros<T, GemmTile<T>::NV>::at : GemmMicros<T, 1>::at;
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

template <class T>
void gemm_small_columns(SmallPath path, const SmallProblem<T>& p, int64_t j0, int64_t j1) {
    if (path == kSmallDot)
        gemm_dot_columns(p.m, p.k, p.a, p.a_rs, p.b, p.b_cs, p.out, j0, j1);
    else if (path == kSmallAxpy)
        gemm_axpy_columns(p.k, p.a, p.a_ks, p.b, p.b_ks, p.out, j0, j1);
    else if (path == kSmallRows)
        gemm_rows_columns(p.m, p.k, p.a, p.a_rs, p.b, p.b_ks, p.out, j0, j1);
    else
        gemm_direct_columns(p.m, p.k, p.a, p.a_rs, p.a_ks, p.b, p.b_ks, p.out, j0, j1);
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
            SmallProblem<T> part = p;
            part.a += q * step * p.a_ks;
            part.b += q * step * p.b_ks;
            part.k = gemm_min(step, p.k - q * step);
            part.out = GemmOut<T>{sums + q * size, p.n, 1};
            gemm_small_columns(path, part, 0, p.n);
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
// few enough that each thread gets several.
DL_INLINE int64_t gemm_small_grain(int64_t n, int64_t unit, int64_t work, int threads) {
    const int64_t worth = gemm_div_up(kGemmAlone / 16, gemm_max(1, work));
    const int64_t even = gemm_div_up(n, 16 * threads);
    return gemm_round_up(gemm_max(worth, even), unit);
}

// Runs a problem that small_path accepted.
template <class T>
bool gemm_small(SmallPath path, SmallProblem<T> p, int threads) {
    if (path == kSmallDot && p.a_ks != 1 && p.k > 1) {  // gather A's few rows along k
        T* a = static_cast<T*>(dl_scratch(size_t(p.m * p.k) * sizeof(T), 0));
        if (!a) return false;
        for (int64_t i = 0; i < p.m; ++i)
            for (int64_t s = 0; s < p.k; ++s) a[i * p.k + s] = p.a[i * p.a_rs + s * p.a_ks];
        p.a = a, p.a_rs = p.k, p.a_ks = 1;
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
    const int64_t unit = path == kSmallDot    ? 4
                         : path == kSmallAxpy ? kAxpyColumns / 4
                                              : 4 * Vec<T>::N;
    auto body = [&](int64_t begin, int64_t end) { gemm_small_columns(path, p, begin, end); };
    if (threads > 1)
        parallel_for(p.n, gemm_small_grain(p.n, unit, work, threads), body);
    else
        body(0, p.n);
    return true;
}

// kSmallNone: packing pays.
template <class T>
SmallPath small_path(const SmallProblem<T>& p) {
    const bool tiny = p.m * p.n <= 4096 && p.m * p.n * p.k <= 32768;
    if (p.m > kSmallNarrow && !tiny) return kSmallNone;
    const bool columns = p.b_ks == 1 || p.k == 1, rows = p.b_cs == 1 || p.n == 1;
    if (columns && !rows) return p.m <= 2 || p.k >= 16 * Vec<T>::N ? kSmallDot : kSmallNone;
    if (columns && p.m == 1 && p.n == 1) return kSmallDot;
    if (!rows) return kSmallNone;
    return p.m == 1 ? kSmallAxpy : p.m <= kFewRows ? kSmallDirect : kSmallRows;
}

}  // namespace
