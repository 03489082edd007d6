// Family norm: batch, layer, RMS and group normalisation, forward and backward.
//
// Everything is contiguous and of one dtype (f32 or f64), unless said otherwise. `weight` and
// `bias` may be null (1 and 0). Variances are biased (divided by the count), rstd = 1 /
// sqrt(variance + eps).
#pragma once
#include "kernels/types.h"

// x [n, c, s], one mean and variance per channel c; a tensor with channels last comes as [n * s, c, 1]. What follows a norm in most networks can be had in
// the same pass: `residual` is added and, with `cut`, y is brought to [low, high] (relu: 0 and
// infinity). The gradient of the cut is dy where low < y < high, else 0: backward takes y from `y`
// where it is given, and from x, weight and bias where it is not (then nothing may have been added).
typedef struct dl_batch_norm_args {
    int32_t dtype;
    int32_t training;  // backward: whether mean and rstd came from x itself
    int64_t n, c, s;
    double eps;
    const void* x;
    const void* weight;  // [c]
    const void* bias;    // [c]
    void* mean;          // [c]  forward: written; apply and backward: read
    void* rstd;          // [c]  likewise
    void* var;           // [c]  written by forward; may be null
    void* y;             // [n, c, s]
    const void* dy;      // [n, c, s]
    void* dx;            // [n, c, s]  may be null, as may:
    void* dweight;       // [c]
    void* dbias;         // [c]
    int32_t cut;
    double low, high;
    const void* residual;  // [n, c, s]  may be null
    void* dresidual;       // [n, c, s]  backward, with `cut`: dy where it counts; may be null
} dl_batch_norm_args;

// x [rows, d], one mean and variance per row; with `rms` no mean is subtracted and rstd is
// 1 / sqrt(mean(x^2) + eps).
typedef struct dl_layer_norm_args {
    int32_t dtype;
    int32_t rms;
    int64_t rows, d;
    double eps;
    const void* x;
    const void* weight;  // [d]
    const void* bias;    // [d]
    void* mean;          // [rows]  unused with rms
    void* rstd;          // [rows]
    void* y;             // [rows, d]
    const void* dy;      // [rows, d]
    void* dx;            // [rows, d]  may be null, as may:
    void* dweight;       // [d]
    void* dbias;         // [d]
} dl_layer_norm_args;

// x [n, groups, k, s], one mean and variance per (n, group); weight per channel [groups * k].
typedef struct dl_group_norm_args {
    int32_t dtype;
    int64_t n, groups, k, s;
    double eps;
    const void* x;
    const void* weight;  // [groups * k]
    const void* bias;    // [groups * k]
    void* mean;          // [n, groups]
    void* rstd;          // [n, groups]
    void* y;             // as x
    const void* dy;      // as x
    void* dx;            // may be null, as may:
    void* dweight;       // [groups * k]
    void* dbias;         // [groups * k]
} dl_group_norm_args;

typedef struct dl_norm_table {
    // y, mean, rstd (and var) from x
    dl_status (*batch_norm)(const dl_batch_norm_args* args);
    // y = (x - mean) * rstd * weight + bias with the given mean and rstd
    dl_status (*batch_norm_apply)(const dl_batch_norm_args* args);
    dl_status (*batch_norm_backward)(const dl_batch_norm_args* args);
    dl_status (*layer_norm)(const dl_layer_norm_args* args);
    dl_status (*layer_norm_backward)(const dl_layer_norm_args* args);
    dl_status (*group_norm)(const dl_group_norm_args* args);
    dl_status (*group_norm_backward)(const dl_group_norm_args* args);
} dl_norm_table;
