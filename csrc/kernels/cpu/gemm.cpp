// Matrix products: chooses between the packed core (gemm_core.h) and the paths without packing
// (gemm_small.h), spreads batches over threads, and multiplies integers with plain blocked loops.
#include "kernels/gemm.h"

#include "kernels/cpu/gemm_core.h"
#include "kernels/cpu/gemm_small.h"

namespace {

template <class T>
SmallProblem<T> problem_of(const dl_gemm_args& g, int64_t z) {
    auto at = [z](const dl_gemm_operand& x) {
        return x.data ? static_cast<T*>(x.data) + z * x.batch : nullptr;
    };
    SmallProblem<T> p{g.m, g.n, g.k, at(g.a), at(g.b), g.a.row, g.a.col, g.b.row, g.b.col, {}};
    p.out = GemmOut<T>{at(g.c),    g.c.row,      g.c.col,     T(g.alpha),  T(g.beta),
                       at(g.d),    g.d.row,      g.d.col,     at(g.bias),  g.bias.row,
                       g.bias.col, g.activation, at(g.scale), g.scale.row, g.scale.col};
    return p;
}

template <class T>
DL_INLINE void exchange(T& a, T& b) {
    const T t = a;
    a = b;
    b = t;
}

// The same product written the other way round: C^T = B^T @ A^T.
template <class T>
void transpose(SmallProblem<T>& p) {
    exchange(p.m, p.n);
    exchange(p.a, p.b);
    exchange(p.a_rs, p.b_cs);
    exchange(p.a_ks, p.b_ks);
    exchange(p.out.rs, p.out.cs);
    exchange(p.out.d_rs, p.out.d_cs);
    exchange(p.out.bias_rs, p.out.bias_cs);
    exchange(p.out.scale_rs, p.out.scale_cs);
}

// k == 0: only the epilogue is left.
template <class T>
void epilogue_only(const SmallProblem<T>& p) {
    const T zeros[4 * Vec<T>::N] = {};
    for (int64_t i = 0; i < p.m; ++i)
        for (int64_t j = 0; j < p.n; j += 4 * Vec<T>::N)
            gemm_store_tile(p.out, zeros, 0, i, j, 1, gemm_min(4 * Vec<T>::N, p.n - j), true, true);
}

// One float matrix product.
template <class T>
bool multiply(SmallProblem<T> p, int threads) {
    if (p.k == 0) {
        epilogue_only(p);
        return true;
    }
    if (p.m * p.n < kGemmAlone / p.k) threads = 1;
    // The narrow side goes to A, where the small paths expect it.
    const bool narrow = p.m <= kSmallNarrow || p.n <= kSmallNarrow;
    if (narrow ? p.m > p.n : (p.out.cs != 1 && p.out.rs == 1)) transpose(p);
    const SmallPath path = small_path(p);
    if (path != kSmallNone) return gemm_small(path, p, threads);
    if (p.out.cs != 1 && p.out.rs == 1) transpose(p);
    return gemm_packed<T>(p.m, p.n, p.k, PackStridedA<T>{p.a, p.a_rs, p.a_ks},
                          PackStridedB<T>{p.b, p.b_cs, p.b_ks}, p.out, threads);
}

// Integers wrap around, so U is unsigned. Rows of C in pieces that stay in registers and L1.
template <class U, class S>
void multiply_integers(const dl_gemm_args& g, int64_t z, int64_t i0, int64_t i1) {
    constexpr int64_t W = 256;
    auto at = [z](const dl_gemm_operand& x) { return static_cast<const U*>(x.data) + z * x.batch; };
    const U *a = at(g.a), *b = at(g.b);
    U* c = static_cast<U*>(g.c.data) + z * g.c.batch;
    const U alpha = U(S(g.alpha)), beta = U(S(g.beta));
    for (int64_t i = i0; i < i1; ++i)
        for (int64_t j0 = 0; j0 < g.n; j0 += W) {
            const int64_t jn = gemm_min(W, g.n - j0);
            U acc[W];
            memset(acc, 0, sizeof acc);
            for (int64_t k = 0; k < g.k; ++k) {
                const U x = a[i * g.a.row + k * g.a.col];
                const U* bk = b + k * g.b.row + j0 * g.b.col;
                if (g.b.col == 1)
                    for (int64_t j = 0; j < jn; ++j) acc[j] = U(acc[j] + x * bk[j]);
                else
                    for (int64_t j = 0; j < jn; ++j) acc[j] = U(acc[j] + x * bk[j * g.b.col]);
            }
            for (int64_t j = 0; j < jn; ++j) {
                const int64_t col = j0 + j;
                U y = U(alpha * acc[j]);
                if (g.scale.data) y = U(y * at(g.scale)[i * g.scale.row + col * g.scale.col]);
                if (g.d.data && beta != 0) y = U(y + beta * at(g.d)[i * g.d.row + col * g.d.col]);
                if (g.bias.data) y = U(y + at(g.bias)[i * g.bias.row + col * g.bias.col]);
                if (g.activation == DL_GEMM_RELU && S(y) < 0) y = 0;
                c[i * g.c.row + col * g.c.col] = y;
            }
        }
}

// Products of a batch: spread over the threads when there are enough of them, else each uses them
// all.
template <class T>
dl_status run_float(const dl_gemm_args& g) {
    const int threads = dl_num_threads();
    const int64_t work = gemm_max(1, g.m * g.n * gemm_max(1, g.k));
    int failed = 0;
    if (g.batch >= threads && g.batch > 1 && threads > 1) {
        parallel_for(g.batch, gemm_max(1, 32768 / work), [&](int64_t begin, int64_t end) {
            for (int64_t z = begin; z < end; ++z)
                if (!multiply(problem_of<T>(g, z), 1))
                    __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        });
    } else {
        for (int64_t z = 0; z < g.batch; ++z)
            if (!multiply(problem_of<T>(g, z), threads)) failed = 1;
    }
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

template <class U, class S>
dl_status run_integer(const dl_gemm_args& g) {
    const int64_t work = gemm_max(1, g.n * gemm_max(1, g.k));
    parallel_for(g.batch * g.m, gemm_max(1, 16384 / work), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end;) {
            const int64_t i = r % g.m, rows = gemm_min(g.m - i, end - r);
            multiply_integers<U, S>(g, r / g.m, i, i + rows);
            r += rows;
        }
    });
    return DL_OK;
}

dl_status gemm(const dl_gemm_args* g) {
    if (g->batch <= 0 || g->m <= 0 || g->n <= 0) return DL_OK;
    switch (g->dtype) {
        case DL_F32:
            return run_float<float>(*g);
        case DL_F64:
            return run_float<double>(*g);
        case DL_I64:
            return run_integer<uint64_t, int64_t>(*g);
        case DL_I32:
            return run_integer<uint32_t, int32_t>(*g);
        case DL_I16:
            return run_integer<uint16_t, int16_t>(*g);
        case DL_I8:
            return run_integer<uint8_t, int8_t>(*g);
        case DL_U8:
            return run_integer<uint8_t, uint8_t>(*g);
        default:
            return DL_UNSUPPORTED;
    }
}

const dl_gemm_table table = {gemm};

}  // namespace

namespace deeplite::cpu::DL_ISA {
const dl_gemm_table* gemm_table();
const dl_gemm_table* gemm_table() { return &table; }
}  // namespace deeplite::cpu::DL_ISA
