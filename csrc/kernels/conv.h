// Convolution: the contract of the family. One description serves 1, 2 and 3 spatial dimensions;
// a dimension that is not there has size 1 and comes first (a 1d signal of length L is {1, 1, L}).
//
//   x [N, C, in...], w [K, C/groups, kernel...], bias [K], y [N, K, out...], all contiguous
//   with channels_last:    x [N, in..., C], y [N, out..., K]
//   with w_channels_last:  w [K, kernel..., C/groups]
//
//   y[n,k,o] = bias[k] + sum over c of the group, r in kernel:
//              w[k,c,r] * x[n, c, o*stride - pad_lo + r*dilation]      (0 outside of x)
//
// Padding at the high end needs no field: it is whatever `out` reaches over. A transposed
// convolution is backward_input with the roles of x and y swapped, so it needs no kernel of its
// own; for its sake backward_input takes a bias too.
#pragma once
#include "kernels/types.h"

// The activation that ends a finish. CUT brings values to [low, high]: relu is 0 and infinity.
typedef enum dl_conv_activation {
    DL_CONV_CUT,
    DL_CONV_SIGMOID,
    DL_CONV_TANH,
    DL_CONV_SILU,
    DL_CONV_GELU,       // by erf
    DL_CONV_GELU_TANH,  // its approximation by tanh
    DL_CONV_HARDSWISH,
    DL_CONV_HARDSIGMOID
} dl_conv_activation;

// What follows a convolution in a network that only runs: a norm with given statistics, the sum of a
// residual block, an activation. Forward finishes its results by it, so that they are written once:
//
//   y = act((v - mean[k]) / sqrt(var[k] + eps) * weight[k] + shift[k] + residual)
//
// v being the y of above, bias included. Everything is of the convolution's dtype.
typedef struct dl_conv_finish {
    const void *mean, *var;      // [K]; both or neither (0, and a divisor of 1)
    const void *weight, *shift;  // [K], or null (1 and 0)
    const void* residual;        // laid out as y, or null
    double eps;
    int32_t activation;  // dl_conv_activation
    double low, high;    // of CUT
} dl_conv_finish;

typedef struct dl_conv {
    int32_t dtype;  // DL_F32 or DL_F64, for all tensors
    int64_t n, c, k, groups;
    int64_t in[3], kernel[3], out[3];
    int64_t stride[3], pad_lo[3], dilation[3];
    int32_t channels_last, w_channels_last;
    void* x;           // forward and backward_weight read it, backward_input writes it
    void* w;           // backward_weight writes it
    const void* bias;  // or null; [K] for forward, [C] for backward_input, which adds it to x
    void* y;           // forward writes it; for the other two it holds the gradient of y
    const char*
        algorithm;       // null: the backend chooses; else DL_UNSUPPORTED where it does not apply
    double max_rel_err;  // what a chosen algorithm's rel_err may be at most
    const dl_conv_finish* finish;  // of forward, or null
} dl_conv;

typedef enum dl_conv_pass {
    DL_CONV_FORWARD,
    DL_CONV_BACKWARD_INPUT,
    DL_CONV_BACKWARD_WEIGHT
} dl_conv_pass;

// An algorithm that applies to a convolution.
typedef struct dl_conv_option {
    const char* name;
    double seconds;   // predicted, on one thread
    double rel_err;   // expected largest error, as a share of the largest result
    int32_t allowed;  // whether rel_err is within p's max_rel_err
} dl_conv_option;

struct dl_conv_table {
    dl_status (*forward)(const dl_conv* p);
    dl_status (*backward_input)(const dl_conv* p);
    dl_status (*backward_weight)(const dl_conv* p);
    // The i-th algorithm that applies to p, best first: i = 0 is what runs unless p->algorithm
    // names another; then those that are allowed, the fastest first, then the rest, and last the
    // plain loops. 0 past the end. Of the pointers in p only the presence of a bias matters.
    int32_t (*explain)(const dl_conv* p, dl_conv_pass pass, int32_t i, dl_conv_option* option);
};
