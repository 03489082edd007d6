// Reference matrix product: one loop per index. Floats accumulate in double, so this is also the
// more exact twin; integers accumulate in 64 bits and wrap around.
#include <math.h>

#include "kernels/gemm.h"

namespace {

double activated(int activation, double x) {
    const double u = 0.79788456080286536 * x * (1 + 0.044715 * x * x);
    switch (activation) {
        case DL_GEMM_SIGMOID:
            return 1 / (1 + exp(-x));
        case DL_GEMM_TANH:
            return tanh(x);
        case DL_GEMM_SILU:
            return x / (1 + exp(-x));
        case DL_GEMM_GELU:
            return 0.5 * x * (1 + erf(x * 0.70710678118654752));
        case DL_GEMM_GELU_TANH:
            return 0.5 * x * (1 + tanh(u));
        default:
            return x;
    }
}

// T: element; A: accumulator (double, or uint64_t for integers).
template <class T, class A>
dl_status product(const dl_gemm_args& g) {
    const auto at = [](const dl_gemm_operand& x, int64_t z, int64_t i, int64_t j) -> T& {
        return static_cast<T*>(x.data)[z * x.batch + i * x.row + j * x.col];
    };
    const bool whole = T(0.5) == T(0);  // integer type
    const A alpha = whole ? A(int64_t(g.alpha)) : A(g.alpha),
            beta = whole ? A(int64_t(g.beta)) : A(g.beta);
    for (int64_t z = 0; z < g.batch; ++z)
        for (int64_t i = 0; i < g.m; ++i)
            for (int64_t j = 0; j < g.n; ++j) {
                A sum = 0;
                for (int64_t k = 0; k < g.k; ++k) sum += A(at(g.a, z, i, k)) * A(at(g.b, z, k, j));
                sum *= alpha;
                if (g.scale.data) sum *= A(at(g.scale, z, i, j));
                if (g.d.data && beta != A(0)) sum += beta * A(at(g.d, z, i, j));
                if (g.bias.data) sum += A(at(g.bias, z, i, j));
                T y = T(sum);
                if (g.activation == DL_GEMM_RELU && y < T(0)) y = T(0);
                if (g.activation > DL_GEMM_RELU) y = T(activated(g.activation, double(sum)));
                at(g.c, z, i, j) = y;
            }
    return DL_OK;
}

dl_status gemm(const dl_gemm_args* g) {
    switch (g->dtype) {
        case DL_F32:
            return product<float, double>(*g);
        case DL_F64:
            return product<double, double>(*g);
        case DL_I64:
            return product<int64_t, uint64_t>(*g);
        case DL_I32:
            return product<int32_t, uint64_t>(*g);
        case DL_I16:
            return product<int16_t, uint64_t>(*g);
        case DL_I8:
            return product<int8_t, uint64_t>(*g);
        case DL_U8:
            return product<uint8_t, uint64_t>(*g);
        default:
            return DL_UNSUPPORTED;
    }
}

const dl_gemm_table table = {gemm};

}  // namespace

namespace deeplite::cpu::reference {
const dl_gemm_table* gemm_table();
const dl_gemm_table* gemm_table() { return &table; }
}  // namespace deeplite::cpu::reference
