// Pooling: the contract of the family. One description serves 1, 2 and 3 spatial dimensions; a
// dimension that is not there has size 1 and comes first (a 1d signal of length L is {1, 1, L}).
//
//   x [planes, in...], y [planes, out...], indices [planes, out...], all contiguous
//
// or, with `channels` above 1, with the channels of a pixel side by side: x [planes, in..., channels],
// and so on; planes then counts images. (max_at knows planes only.)
//
// An index is the flat position inside one input plane. ceil_mode and the like are settled by the
// caller, who gives the output sizes; every window starts inside the input or its low padding.
#pragma once
#include "kernels/types.h"

typedef struct dl_pool {
    int32_t dtype;     // DL_F32 or DL_F64; max pooling and the index kernels also integers
    int64_t planes;    // batch times channels
    int64_t channels;  // 1; or channels that lie side by side
    int64_t in[3], out[3];
    int64_t kernel[3], stride[3], pad[3], dilation[3];  // adaptive, gather, scatter: unused
    int32_t count_include_pad;                          // avg: padding counts in the divisor
    int64_t divisor;   // avg: fixed divisor; 0 = size of the window
    void* x;           // forward kernels read it, backward kernels write it
    void* y;           // forward kernels write it, backward kernels read it
    int64_t* indices;  // may be null in the max forward kernels
} dl_pool;

typedef dl_status (*dl_pool_fn)(const dl_pool* p);

// How an axis is resampled: output o is the sum over t in [begin[o], begin[o + 1]) of weight[t] times
// input at[t]. The arrays are the caller's, in host memory. With begin null the axis stays as it is.
typedef struct dl_taps {
    int64_t in, out;
    const int64_t* begin;  // out + 1 numbers
    const int64_t* at;     // in [0, in)
    const double* weight;
} dl_taps;

typedef struct dl_resample {
    int32_t dtype;  // DL_F32 or DL_F64
    int64_t planes;
    dl_taps rows, columns;
    const void* x;  // [planes, rows.in, columns.in]
    void* y;        // [planes, rows.out, columns.out]
} dl_resample;

struct dl_pool_table {
    // Largest element of each window and its index; a NaN in the window wins (the last one).
    dl_pool_fn max_forward;
    dl_pool_fn adaptive_max_forward;
    // Mean of each window. The adaptive window of output o is [floor(o*in/out),
    // ceil((o+1)*in/out)).
    dl_pool_fn avg_forward;
    dl_pool_fn avg_backward;
    dl_pool_fn adaptive_avg_forward;
    dl_pool_fn adaptive_avg_backward;
    // By index, DL_BAD_INDEX when one lies outside of the plane:
    dl_pool_fn gather;       // y[o] = x[indices[o]]
    dl_pool_fn scatter_add;  // x = 0, x[indices[o]] += y[o]: backward of max pooling
    dl_pool_fn scatter;      // x = 0, x[indices[o]] = y[o], the last one wins: max unpooling
    // Windows of size kernel that start at starts[plane][d][o_d] for each dimension d in turn:
    // the fractional max pooling. starts holds planes * (out[0] + out[1] + out[2]) numbers.
    dl_status (*max_at)(const dl_pool* p, const int64_t* starts);
    // Planes by the taps of their rows and columns: interpolation and its gradient.
    dl_status (*resample)(const dl_resample* args);
};
