// Matrix products that packing would slow down: vectors, few rows, tiny matrices. Three kernels, chosen
// by which way the larger operand B lies in memory; all run at the speed at which B can be read.
//   dot      B's columns are contiguous (B is a transposed weight): vector sums along k
//   axpy     one row of A, B's rows contiguous: rows of B are scaled and added, streaming
//   direct   several rows of A, B's rows contiguous: a register tile fed from B where it lies
#pragma once
#include "kernels/cpu/gemm_core.h"

namespace {

constexpr int kSmallRows = DL_VEC_BYTES == 64 ? 6 : 3;  // rows of a direct tile, 4 vectors wide
constexpr int kAxpyColumns = 512;

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
    for (int i = 0; i < RI; ++i)
        for (int j = 0; j < RJ; ++j) t[i * RJ + j] = vreduce_add<T>(acc[i][j]) + tail[i][j];
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

// t [R, V vectors] = a @ b over k steps: element (i, k) of a at a[i * rs + k * ks], rows of b ldb apart.
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
        for (int v = 0; v < V; ++v) bv[v] = vload(b + v * N);
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
                                            kSmallRows >= 4 ? 4 : 3,
                                            V >,
                                            gemm_direct_tile < T,
                                            kSmallRows >= 5 ? 5 : 3,
                                            V >
                                            , gemm_direct_tile < T, kSmallRows >= 6 ? 6 : 3, V > };
};

// C[.., j0..j1] from a [m, k] of any strides and b [k, n] with contiguous rows.
template <class T>
bool gemm_direct_columns(int64_t m, int64_t k, const T* a, int64_t rs, int64_t ks, const T* b,
                         int64_t ldb, const GemmOut<T>& o, int64_t j0, int64_t j1) {
    constexpr int N = Vec<T>::N, W = 4 * N;
    constexpr int64_t KB =
        256;  // steps whose pages of B the TLB remembers from one tile to the next
    alignas(64) T tile[kSmallRows * W];
    const int64_t groups = gemm_div_up(m, kSmallRows);
    for (int64_t k0 = 0; k0 < k; k0 += KB) {
        const int64_t kn = gemm_min(KB, k - k0);
        for (int64_t j = j0; j < j1;) {
            int64_t nr = gemm_min(W, j1 - j);
            if (nr < W && nr > N) nr = N;
            const T* bt = b + k0 * ldb + j;
            int64_t bs = ldb;
            alignas(64) T edge[KB * N];
            if (nr < N) {  // the last few columns, padded: a whole vector would read past the end
                for (int64_t s = 0; s < kn; ++s) {
                    for (int64_t c = 0; c < nr; ++c) edge[s * N + c] = bt[s * ldb + c];
                    for (int64_t c = nr; c < N; ++c) edge[s * N + c] = T(0);
                }
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
    return true;
}

// Which of the three applies.
enum SmallPath { kSmallNone, kSmallDot, kSmallAxpy, kSmallDirect };

template <class T>
struct SmallProblem {
    int64_t m, n, k;
    const T *a, *b;
    int64_t a_rs, a_ks, b_ks, b_cs;  // strides of A along m and k, of B along k and n
    GemmOut<T> out;
};

template <class T>
void gemm_small_columns(SmallPath path, const SmallProblem<T>& p, int64_t j0, int64_t j1) {
    if (path == kSmallDot)
        gemm_dot_columns(p.m, p.k, p.a, p.a_rs, p.b, p.b_cs, p.out, j0, j1);
    else if (path == kSmallAxpy)
        gemm_axpy_columns(p.k, p.a, p.a_ks, p.b, p.b_ks, p.out, j0, j1);
    else
        gemm_direct_columns(p.m, p.k, p.a, p.a_rs, p.a_ks, p.b, p.b_ks, p.out, j0, j1);
}

// A long sum over a small C: parts of k, cut by shape alone, summed on their own and added in order.
template <class T>
bool gemm_small_split(SmallPath path, const SmallProblem<T>& p, int64_t step, int threads) {
    const int64_t parts = gemm_div_up(p.k, step), size = p.m * p.n;
    T* sums = static_cast<T*>(dl_scratch(size_t(parts * size) * sizeof(T), 2));
    if (!sums) return false;
    auto body = [&](int64_t begin, int64_t end) {
        for (int64_t q = begin; q < end; ++q) {
            SmallProblem<T> part = p;
            part.a += q * step * p.a_ks, part.b += q * step * p.b_ks;
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
    const int64_t work = p.m * p.k;  // of one column
    if (p.n <= kAxpyColumns && p.m * p.n <= 4096 && work * p.n >= (1 << 17) && p.k >= 8192)
        return gemm_small_split(path, p, 4096, threads);
    const int64_t unit = path == kSmallDot    ? 4
                         : path == kSmallAxpy ? kAxpyColumns / 4
                                              : 4 * Vec<T>::N;
    const int64_t grain = gemm_round_up(gemm_max(1, 32768 / work), unit);
    auto body = [&](int64_t begin, int64_t end) { gemm_small_columns(path, p, begin, end); };
    if (threads > 1)
        parallel_for(p.n, gemm_max(grain, gemm_round_up(gemm_div_up(p.n, 16 * threads), unit)),
                     body);
    else
        body(0, p.n);
    return true;
}

// Packs neither operand when the matrix is narrow or tiny; kSmallNone: pack.
template <class T>
SmallPath small_path(const SmallProblem<T>& p) {
    const bool tiny = p.m * p.n <= 4096 && p.m * p.n * p.k <= 32768;
    if (p.m > 2 * kSmallRows && !tiny) return kSmallNone;
    if (p.b_ks == 1 || p.k == 1) {
        if (p.b_cs != 1 || p.n == 1) return kSmallDot;
    }
    if (p.b_cs == 1 || p.n == 1) return p.m == 1 ? kSmallAxpy : kSmallDirect;
    return kSmallNone;
}

}  // namespace
