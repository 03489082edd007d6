// Reference matrix product: one loop per index. Floats accumulate in double, so this is also the
// more exact twin; integers accumulate in 64 bits and wrap around.
#include <math.h>

#include "kernels/cpu/half.h"
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

template <class T>
T widened(T x) {
    return x;
}
float widened_bf16(uint16_t x) { return bf16_to_float(x); }

// In: element of a and b, read through `widen`; T: of the rest; A: accumulator (double, or uint64_t for
// integers).
template <class In, class T, class A, class Widen>
dl_status product(const dl_gemm_args& g, Widen widen) {
    const auto in = [&](const dl_gemm_operand& x, int64_t z, int64_t i, int64_t j) {
        return A(widen(static_cast<const In*>(x.data)[z * x.batch + i * x.row + j * x.col]));
    };
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
                for (int64_t k = 0; k < g.k; ++k) sum += in(g.a, z, i, k) * in(g.b, z, k, j);
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
            return product<float, float, double>(*g, widened<float>);
        case DL_F64:
            return product<double, double, double>(*g, widened<double>);
        case DL_BF16:
            return product<uint16_t, float, double>(*g, widened_bf16);
        case DL_I64:
            return product<int64_t, int64_t, uint64_t>(*g, widened<int64_t>);
        case DL_I32:
            return product<int32_t, int32_t, uint64_t>(*g, widened<int32_t>);
        case DL_I16:
            return product<int16_t, int16_t, uint64_t>(*g, widened<int16_t>);
        case DL_I8:
            return product<int8_t, int8_t, uint64_t>(*g, widened<int8_t>);
        case DL_U8:
            return product<uint8_t, uint8_t, uint64_t>(*g, widened<uint8_t>);
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
