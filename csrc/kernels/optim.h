// Optimizer steps: one call updates a list of tensors, each in a single pass over memory.
#pragma once
#include "kernels/types.h"

// One parameter with what belongs to it. All arrays are contiguous, [n] of the call's dtype, and
// are updated in place (grad is only read). Which state is which stands with each kernel below;
// a state that the options switch off is null.
typedef struct dl_optim_tensor {
    void* param;
    const void* grad;
    void* state[3];
    int64_t n;
    double step;  // the number of this update, counted from 1
} dl_optim_tensor;

// g = grad (or -grad with maximize) + weight_decay * param, in all of them.

// state[0] = momentum buffer (null without momentum); at step 1 it is set to g, later
// buf = momentum * buf + (1 - dampening) * g. param -= lr * (nesterov ? g + momentum * buf : buf).
typedef struct dl_sgd_options {
    double lr, momentum, dampening, weight_decay;
    int32_t nesterov, maximize;
} dl_sgd_options;

// state[0] = mean of g, state[1] = mean of g^2, state[2] = its running maximum (amsgrad only).
// decoupled: weight decay shrinks the parameter by lr * weight_decay and stays out of g (AdamW).
typedef struct dl_adam_options {
    double lr, beta1, beta2, eps, weight_decay;
    int32_t amsgrad, maximize, decoupled;
} dl_adam_options;

// state[0] = mean of g^2, state[1] = momentum buffer (momentum > 0), state[2] = mean of g (centered).
typedef struct dl_rmsprop_options {
    double lr, alpha, eps, weight_decay, momentum;
    int32_t centered, maximize;
} dl_rmsprop_options;

// state[0] = sum of g^2; the rate falls as lr / (1 + (step - 1) * lr_decay).
typedef struct dl_adagrad_options {
    double lr, lr_decay, eps, weight_decay;
    int32_t maximize;
} dl_adagrad_options;

typedef dl_status (*dl_sgd_fn)(int32_t dtype, const dl_optim_tensor* tensors, int64_t count,
                               const dl_sgd_options* options);
typedef dl_status (*dl_adam_fn)(int32_t dtype, const dl_optim_tensor* tensors, int64_t count,
                                const dl_adam_options* options);
typedef dl_status (*dl_rmsprop_fn)(int32_t dtype, const dl_optim_tensor* tensors, int64_t count,
                                   const dl_rmsprop_options* options);
typedef dl_status (*dl_adagrad_fn)(int32_t dtype, const dl_optim_tensor* tensors, int64_t count,
                                   const dl_adagrad_options* options);

// dtypes: DL_F32 and DL_F64.
struct dl_optim_table {
    dl_sgd_fn sgd;
    dl_adam_fn adam;
    dl_rmsprop_fn rmsprop;
    dl_adagrad_fn adagrad;
};
