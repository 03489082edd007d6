// One product of a batch, and how a batch is shared out.
#pragma once
#include "kernels/cpu/gemm_epilogue.h"

namespace {

// In: element of a and b; T: of the sums and the result.
template <class In, class T>
struct GemmProblem {
    int64_t m, n, k;
    const In *a, *b;
    int64_t a_rs, a_ks, b_ks, b_cs;  // strides of A along m and k, of B along k and n
    GemmOut<T> out;
};

template <class In, class T>
GemmProblem<In, T> gemm_problem(const dl_gemm_args& g, int64_t z) {
    const auto in = [z](const dl_gemm_operand& x) {
        return static_cast<const In*>(x.data) + z * x.batch;
    };
    const auto at = [z](const dl_gemm_operand& x) {
        return x.data ? static_cast<T*>(x.data) + z * x.batch : nullptr;
    };
    GemmProblem<In, T> p{g.m, g.n, g.k, in(g.a), in(g.b), g.a.row, g.a.col, g.b.row, g.b.col, {}};
    p.out = GemmOut<T>{at(g.c),    g.c.row,      g.c.col,     T(g.alpha),  T(g.beta),
                       at(g.d),    g.d.row,      g.d.col,     at(g.bias),  g.bias.row,
                       g.bias.col, g.activation, at(g.scale), g.scale.row, g.scale.col};
    return p;
}

template <class T>
DL_INLINE void gemm_exchange(T& a, T& b) {
    const T t = a;
    a = b;
    b = t;
}

// The same product written the other way round: C^T = B^T @ A^T.
template <class In, class T>
void gemm_transpose(GemmProblem<In, T>& p) {
    gemm_exchange(p.m, p.n);
    gemm_exchange(p.a, p.b);
    gemm_exchange(p.a_rs, p.b_cs);
    gemm_exchange(p.a_ks, p.b_ks);
    p.out = p.out.transposed();
}

// k == 0: only the epilogue is left.
template <class In, class T>
void gemm_epilogue_only(const GemmProblem<In, T>& p) {
    constexpr int W = 4 * Vec<T>::N;
    const T zeros[W] = {};
    for (int64_t i = 0; i < p.m; ++i)
        for (int64_t j = 0; j < p.n; j += W)
            gemm_store_tile(p.out, zeros, 0, i, j, 1, gemm_min(W, p.n - j), true, true);
}

// Products of a batch, multiply(z, threads) each: spread over the threads when there are enough of
// them, else each uses them all.
template <class F>
dl_status gemm_batches(const dl_gemm_args& g, const F& multiply) {
    const int threads = dl_num_threads();
    const int64_t work = gemm_max(1, g.m * g.n * gemm_max(1, g.k));
    int failed = 0;
    if (g.batch >= threads && g.batch > 1 && threads > 1 && g.batch > kGemmAlone / 8 / work) {
        parallel_for(g.batch, gemm_div_up(kGemmAlone / 16, work), [&](int64_t begin, int64_t end) {
            for (int64_t z = begin; z < end; ++z)
                if (!multiply(z, 1)) __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        });
    } else {
        for (int64_t z = 0; z < g.batch; ++z)
            if (!multiply(z, threads)) failed = 1;
    }
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

}  // namespace
