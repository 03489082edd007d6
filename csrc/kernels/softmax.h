// Contract of the softmax family: softmax and log_softmax along the middle axis of contiguous
// x [outer, n, inner], f32 and f64.
#pragma once
#include "kernels/types.h"

typedef struct dl_softmax_args {
    int32_t dtype;
    int64_t outer, n, inner;
    const void* in;
    void* out;  // may be `in`
} dl_softmax_args;

// softmax:     dx = (dy - sum(dy * y)) * y
// log_softmax: dx = dy - exp(y) * sum(dy)         (y is the forward's result)
typedef struct dl_softmax_backward_args {
    int32_t dtype;
    int64_t outer, n, inner;
    const void* y;
    const void* dy;
    void* dx;  // may be `dy`
} dl_softmax_backward_args;

struct dl_softmax_table {
    dl_status (*softmax)(const dl_softmax_args*);
    dl_status (*log_softmax)(const dl_softmax_args*);
    dl_status (*softmax_backward)(const dl_softmax_backward_args*);
    dl_status (*log_softmax_backward)(const dl_softmax_backward_args*);
};
