// Family gemm: C = act(scale * alpha * A @ B + beta * D + bias), batched, with strides for everything.
#pragma once
#include "kernels/types.h"

// relu works on every dtype, the others on f32 and f64 (bf16 operands: on the f32 sum).
typedef enum dl_gemm_activation {
    DL_GEMM_NONE = 0,
    DL_GEMM_RELU,
    DL_GEMM_SIGMOID,
    DL_GEMM_TANH,
    DL_GEMM_SILU,
    DL_GEMM_GELU,       // by erf
    DL_GEMM_GELU_TANH,  // its approximation by tanh
    DL_GEMM_ACTIVATIONS
} dl_gemm_activation;

// A strided operand. Element (i, j) of matrix z is data[z * batch + i * row + j * col]; strides
// count elements and may be 0 (broadcast) or negative. Any transpose is an exchange of row and col.
typedef struct dl_gemm_operand {
    void* data;
    int64_t batch, row, col;
} dl_gemm_operand;

// a [batch, m, k], b [batch, k, n] -> c [batch, m, n]. The elements of c must not overlap each
// other nor a and b. d, bias and scale (all [batch, m, n] by their strides: a vector over columns has
// row = 0, one over rows col = 0) may be absent (data null); d may be c itself (accumulate), with the
// same strides: so a residual is d with beta = 1. With beta == 0 d is not read, so its NaNs do not spread. k == 0 gives act(beta * D
// + bias). Integer types wrap around; alpha and beta are rounded towards zero for them.
//
// bf16 is the dtype of a and b alone: the sums, c, d, bias and scale are float32. Without instructions
// for it the answer is DL_UNSUPPORTED, at once, and the caller converts a and b.
typedef struct dl_gemm_args {
    int32_t dtype;  // dl_dtype of every operand: f32, f64, i64, i32, i16, i8, u8; bf16: see below
    int32_t activation;  // dl_gemm_activation, applied last
    int64_t batch, m, n, k;
    dl_gemm_operand a, b, c, d, bias, scale;
    double alpha, beta;
} dl_gemm_args;

typedef struct dl_gemm_table {
    dl_status (*gemm)(const dl_gemm_args* args);
} dl_gemm_table;
