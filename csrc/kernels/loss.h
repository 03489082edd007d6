// Contract of the loss family: losses whose targets are class indices, and the pointwise ones with
// their reduction folded in.
#pragma once
#include "kernels/types.h"

typedef enum dl_reduction {
    DL_REDUCTION_NONE = 0,
    DL_REDUCTION_MEAN,
    DL_REDUCTION_SUM
} dl_reduction;

// Negative log likelihood of contiguous x [n, classes, inner], target [n, inner] (i64):
//   loss[i, j] = -weight[t] * x[i, t, j] with t = target[i, j], 0 where t == ignore_index
// NONE: out [n, inner]; SUM: out [1]; MEAN: out [1] = sum of the losses / sum of their weights.
// A target outside [0, classes) that is not ignore_index: DL_BAD_INDEX.
typedef struct dl_nll_args {
    int32_t dtype;      // f32 or f64, of x, weight, out, total_weight
    int32_t reduction;  // dl_reduction
    int64_t n, classes, inner;
    int64_t ignore_index;
    const void* x;
    const int64_t* target;
    const void* weight;  // [classes], null = ones
    void* out;
    void* total_weight;  // [1]: sum of the weights of the targets that count; may be null
} dl_nll_args;

// dx [n, classes, inner], zeroed by the kernel: dx[i, t, j] = -weight[t] * dy (/ total_weight for
// MEAN).
typedef struct dl_nll_backward_args {
    int32_t dtype;
    int32_t reduction;
    int64_t n, classes, inner;
    int64_t ignore_index;
    const void* dy;  // [n, inner] for NONE, else [1]
    const int64_t* target;
    const void* weight;
    const void* total_weight;
    void* dx;
} dl_nll_backward_args;

// Losses of two tensors of one shape, element by element.
typedef enum dl_pointwise_loss {
    DL_LOSS_MSE = 0,     // (x - t)^2
    DL_LOSS_L1,          // |x - t|
    DL_LOSS_SMOOTH_L1,   // d^2 / (2 param) where |d| < param, else |d| - param / 2
    DL_LOSS_HUBER,       // d^2 / 2 where |d| <= param, else param (|d| - param / 2)
    DL_LOSS_BCE,         // -(t log x + (1 - t) log(1 - x)), the logs held above -100
    DL_LOSS_BCE_LOGITS,  // the same of sigmoid(x), without overflow
    DL_LOSS_POINTWISE_COUNT
} dl_pointwise_loss;

typedef struct dl_pointwise_loss_args {
    int32_t dtype;      // f32 or f64
    int32_t reduction;  // dl_reduction; NONE: out [n], else out [1]
    int64_t n;
    double param;
    const void* x;  // all contiguous
    const void* target;
    void* out;
} dl_pointwise_loss_args;
typedef dl_status (*dl_pointwise_loss_fn)(const dl_pointwise_loss_args*);

// dx = dy * scale * d loss / dx; dy has n elements for NONE, else one.
typedef struct dl_pointwise_loss_backward_args {
    int32_t dtype;
    int32_t reduction;
    int64_t n;
    double param;
    const void* x;
    const void* target;
    const void* dy;
    void* dx;
} dl_pointwise_loss_backward_args;
typedef dl_status (*dl_pointwise_loss_backward_fn)(const dl_pointwise_loss_backward_args*);

// Margin losses of x [n, classes]. The per-sample loss is divided by `classes`.
//   multi_margin:      sum over c != t of weight[t] * max(0, margin - x[t] + x[c])^p, target [n]
//   multilabel_margin: sum over labels l, c not a label, of max(0, 1 - (x[l] - x[c])), target
//                      [n, classes] lists the labels of a row and ends at the first -1
// dy null: forward, out [n] (NONE) or [1]. dy given: backward, out = dx [n, classes].
typedef struct dl_margin_loss_args {
    int32_t dtype;
    int32_t reduction;
    int64_t n, classes;
    double p, margin;  // multi_margin only; p is 1 or 2
    const void* x;
    const int64_t* target;
    const void* weight;  // multi_margin only; [classes] or null
    const void* dy;
    void* out;
} dl_margin_loss_args;

struct dl_loss_table {
    dl_status (*nll)(const dl_nll_args*);
    dl_status (*nll_backward)(const dl_nll_backward_args*);
    dl_pointwise_loss_fn pointwise[DL_LOSS_POINTWISE_COUNT];
    dl_pointwise_loss_backward_fn pointwise_backward[DL_LOSS_POINTWISE_COUNT];
    dl_status (*multi_margin)(const dl_margin_loss_args*);
    dl_status (*multilabel_margin)(const dl_margin_loss_args*);
};
