// Matrix products: chooses between the packed core (gemm_core.h) and the paths without packing
// (gemm_small.h), spreads batches over threads, and multiplies integers with plain blocked loops.
#include "kernels/gemm.h"

#include "kernels/cpu/gemm_core.h"
#include "kernels/cpu/gemm_small.h"

namespace deeplite::cpu::DL_ISA {
dl_status gemm_bf16(const dl_gemm_args& g);  // gemm_bf16.cpp
}

namespace {

// Whether columns leave so much of the last tile's lanes empty (49 of 64) that the product is better
// written the other way round, though C is not: for sums long enough to turn it afterwards.
template <class T>
bool better_turned(const SmallProblem<T>& p) {
    const auto tiles = [](int64_t rows, int64_t columns) {
        return gemm_round_up(rows, 2) * gemm_round_up(columns, Vec<T>::N);
    };
    return p.k >= 2 * GemmTile<T>::KC && 8 * tiles(p.m, p.n) > 9 * tiles(p.n, p.m);
}
template <class T>
bool multiply_turned(SmallProblem<T> p, int threads) {
    gemm_transpose(p);
    T* sums = static_cast<T*>(dl_scratch(size_t(p.m * p.n) * sizeof(T), 3));
    if (!sums) return false;
    const bool done =
        gemm_packed<T>(p.m, p.n, p.k, PackStridedA<T>{p.a, p.a_rs, p.a_ks},
                       PackStridedB<T>{p.b, p.b_cs, p.b_ks}, GemmOut<T>{sums, p.n, 1}, threads);
    const auto finish = [&](int64_t begin, int64_t end) {
        gemm_store_rows(p.out, sums, p.n, begin, end);
    };
    if (threads > 1)
        parallel_for(p.m, gemm_div_up(16384, p.n), finish);
    else
        finish(0, p.m);
    return done;
}

// One float matrix product.
template <class T>
bool multiply(SmallProblem<T> p, int threads) {
    if (p.k == 0) {
        gemm_epilogue_only(p);
        return true;
    }
    // Few rows take as long as reading the other operand does.
    if (gemm_max(p.m, 8) * gemm_max(p.n, 8) < kGemmAlone / p.k) threads = 1;
    // The narrow side goes to A, where the small paths expect it.
    const bool narrow = p.m <= kDotMost || p.n <= kDotMost;
    if (narrow ? p.m > p.n : (p.out.cs != 1 && p.out.rs == 1)) gemm_transpose(p);
    const SmallPath path = small_path(p);
    if (path != kSmallNone) return gemm_small(path, p, threads);
    if (p.out.cs != 1 && p.out.rs == 1) gemm_transpose(p);
    if (better_turned(p)) return multiply_turned(p, threads);
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

template <class T>
dl_status run_float(const dl_gemm_args& g) {
    return gemm_batches(
        g, [&g](int64_t z, int threads) { return multiply(gemm_problem<T, T>(g, z), threads); });
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
        case DL_BF16:
            return deeplite::cpu::DL_ISA::gemm_bf16(*g);
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
