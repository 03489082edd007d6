// Convolution: the contract of the family. One description serves 1, 2 and 3 spatial dimensions;
// a dimension that is not there has size 1 and comes first (a 1d signal of length L is {1, 1, L}).
//
//   x [N, C, in...], w [K, C/groups, kernel...], bias [K], y [N, K, out...], all contiguous
//   y[n,k,o] = bias[k] + sum over c of the group, r in kernel:
//              w[k,c,r] * x[n, c, o*stride - pad_lo + r*dilation]      (0 outside of x)
//
// Padding at the high end needs no field: it is whatever `out` reaches over. A transposed
// convolution is backward_input with the roles of x and y swapped, so it needs no kernel of its
// own; for its sake backward_input takes a bias too.
#pragma once
#include "kernels/types.h"

typedef struct dl_conv {
    int32_t dtype;  // DL_F32 or DL_F64, for all tensors
    int64_t n, c, k, groups;
    int64_t in[3], kernel[3], out[3];
    int64_t stride[3], pad_lo[3], dilation[3];
    void* x;           // forward and backward_weight read it, backward_input writes it
    void* w;           // backward_weight writes it
    const void* bias;  // or null; [K] for forward, [C] for backward_input, which adds it to x
    void* y;           // forward writes it; for the other two it holds the gradient of y
    const char*
        algorithm;  // null: the backend chooses; else DL_UNSUPPORTED where it does not apply
} dl_conv;

typedef enum dl_conv_pass {
    DL_CONV_FORWARD,
    DL_CONV_BACKWARD_INPUT,
    DL_CONV_BACKWARD_WEIGHT
} dl_conv_pass;

struct dl_conv_table {
    dl_status (*forward)(const dl_conv* p);
    dl_status (*backward_input)(const dl_conv* p);
    dl_status (*backward_weight)(const dl_conv* p);
    // Name of the i-th algorithm that applies to p, best first (i = 0 is what runs); null past the
    // end. Of the pointers in p only the presence of a bias matters.
    const char* (*explain)(const dl_conv* p, dl_conv_pass pass, int32_t i);
};
