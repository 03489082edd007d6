// Contract of the random family. Counter-based: Philox4x32-10 with key `seed`; the 128-bit counter
// is (offset + block, attempt). Element i depends on (seed, offset, i) only, so results do not
// depend on the number of threads or on the instruction set. A call may use blocks offset .. offset
// + n - 1: the caller advances the generator's offset by n.
//
// How the random words make numbers (part of the contract, so that backends agree):
// block b gives four 32-bit words w0..w3; u24(w) = (w >> 8) * 2^-24 in [0, 1), u53 likewise.
//   f32 uniform, any bernoulli, dropout: element i takes word i % 4 of block i / 4.
//   f32 normal: block i / 4 gives two Box-Muller pairs.
//   everything else: element i takes block i as the 64-bit words w0 | w1 << 32 and w2 | w3 << 32.
//   rejection (poisson): attempt t = 0, 1, ... of block i.
#pragma once
#include "kernels/types.h"

typedef enum dl_random_kind {
    DL_RANDOM_UNIFORM = 0,  // [a, b)
    DL_RANDOM_NORMAL,       // mean a, standard deviation b
    DL_RANDOM_LOG_NORMAL,   // exp of normal(a, b)
    DL_RANDOM_CAUCHY,       // median a, scale b
    DL_RANDOM_EXPONENTIAL,  // rate a
    DL_RANDOM_GEOMETRIC,    // success probability a; 1, 2, ...
    DL_RANDOM_BERNOULLI,    // probability a, or source[i]
    DL_RANDOM_INTEGER,      // low + 0 .. range-1
    DL_RANDOM_POISSON,      // rate source[i]
    DL_RANDOM_KIND_COUNT
} dl_random_kind;

// out [n], contiguous. Uniform .. exponential: f32, f64. Geometric, bernoulli, integer: any but
// half dtypes. Poisson: f32, f64.
typedef struct dl_random_args {
    int32_t dtype;
    int32_t source_dtype;  // f32 or f64, where source is used
    uint64_t seed, offset;
    int64_t n;
    double a, b;
    int64_t low;
    uint64_t range;      // 0 means 2^64
    const void* source;  // [n] or null
    void* out;
} dl_random_args;
typedef dl_status (*dl_random_fn)(const dl_random_args*);

// mask[i] = uniform >= p; y = mask ? x * scale : 0. f32, f64; contiguous.
typedef struct dl_dropout_args {
    int32_t dtype;
    uint64_t seed, offset;
    int64_t n;
    double p, scale;
    const void* x;
    void* y;  // may be null: only the mask
    uint8_t* mask;
} dl_dropout_args;

// out [rows, k] int64: draws from weights [rows, n] (f32, f64; finite, not negative, positive sum;
// without replacement at least k positive ones: DL_BAD_INDEX otherwise). Uses blocks offset ..
// offset + rows * max(n, k) - 1.
typedef struct dl_multinomial_args {
    int32_t dtype;
    int32_t replacement;
    uint64_t seed, offset;
    int64_t rows, n, k;
    const void* weights;
    int64_t* out;
} dl_multinomial_args;

typedef struct dl_random_table {
    dl_random_fn fill[DL_RANDOM_KIND_COUNT];
    dl_status (*dropout)(const dl_dropout_args*);
    dl_status (*dropout_backward)(const void* dy, const uint8_t* mask, void* dx, int64_t n,
                                  double scale, int32_t dtype);
    dl_status (*permutation)(uint64_t seed, uint64_t offset, int64_t n, int64_t* out);
    dl_status (*multinomial)(const dl_multinomial_args*);
} dl_random_table;
