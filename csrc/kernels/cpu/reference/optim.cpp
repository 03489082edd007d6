// Optimizer steps as their papers write them: one element after the other, in double.
#include "kernels/optim.h"

#include <math.h>

namespace deeplite::cpu::reference {
namespace {

double load(int32_t dtype, const void* p, int64_t i) {
    return dtype == DL_F32 ? double(static_cast<const float*>(p)[i])
                           : static_cast<const double*>(p)[i];
}

void store(int32_t dtype, void* p, int64_t i, double x) {
    if (dtype == DL_F32)
        static_cast<float*>(p)[i] = float(x);
    else
        static_cast<double*>(p)[i] = x;
}

bool supported(int32_t dtype) { return dtype == DL_F32 || dtype == DL_F64; }

double gradient(int32_t dtype, const dl_optim_tensor& t, int64_t i, bool maximize, double decay) {
    const double g = load(dtype, t.grad, i);
    return (maximize ? -g : g) + decay * load(dtype, t.param, i);
}

dl_status sgd(int32_t dtype, const dl_optim_tensor* tensors, int64_t count,
              const dl_sgd_options* o) {
    if (!supported(dtype)) return DL_UNSUPPORTED;
    for (const dl_optim_tensor* t = tensors; t != tensors + count; ++t) {
        for (int64_t i = 0; i < t->n; ++i) {
            const double p = load(dtype, t->param, i);
            double g = gradient(dtype, *t, i, o->maximize, o->weight_decay);
            if (t->state[0]) {
                double buf = g;
                if (t->step > 1)
                    buf = o->momentum * load(dtype, t->state[0], i) + (1 - o->dampening) * g;
                store(dtype, t->state[0], i, buf);
                g = o->nesterov ? g + o->momentum * buf : buf;
            }
            store(dtype, t->param, i, p - o->lr * g);
        }
    }
    return DL_OK;
}

dl_status adam(int32_t dtype, const dl_optim_tensor* tensors, int64_t count,
               const dl_adam_options* o) {
    if (!supported(dtype)) return DL_UNSUPPORTED;
    for (const dl_optim_tensor* t = tensors; t != tensors + count; ++t) {
        const double correction1 = 1 - pow(o->beta1, t->step);
        const double correction2 = 1 - pow(o->beta2, t->step);
        for (int64_t i = 0; i < t->n; ++i) {
            const double decay = o->decoupled ? 0 : o->weight_decay;
            const double g = gradient(dtype, *t, i, o->maximize, decay);
            const double m = o->beta1 * load(dtype, t->state[0], i) + (1 - o->beta1) * g;
            double v = o->beta2 * load(dtype, t->state[1], i) + (1 - o->beta2) * g * g;
            store(dtype, t->state[0], i, m);
            store(dtype, t->state[1], i, v);
            if (o->amsgrad) {
                const double top = load(dtype, t->state[2], i);
                v = top > v ? top : v;
                store(dtype, t->state[2], i, v);
            }
            double p = load(dtype, t->param, i);
            if (o->decoupled) p *= 1 - o->lr * o->weight_decay;
            const double denominator = sqrt(v) / sqrt(correction2) + o->eps;
            store(dtype, t->param, i, p - o->lr / correction1 * m / denominator);
        }
    }
    return DL_OK;
}

dl_status rmsprop(int32_t dtype, const dl_optim_tensor* tensors, int64_t count,
                  const dl_rmsprop_options* o) {
    if (!supported(dtype)) return DL_UNSUPPORTED;
    for (const dl_optim_tensor* t = tensors; t != tensors + count; ++t) {
        for (int64_t i = 0; i < t->n; ++i) {
            const double g = gradient(dtype, *t, i, o->maximize, o->weight_decay);
            double v = o->alpha * load(dtype, t->state[0], i) + (1 - o->alpha) * g * g;
            store(dtype, t->state[0], i, v);
            if (o->centered) {
                const double m = o->alpha * load(dtype, t->state[2], i) + (1 - o->alpha) * g;
                store(dtype, t->state[2], i, m);
                v -= m * m;
            }
            double change = g / (sqrt(v) + o->eps);
            if (t->state[1]) {
                change += o->momentum * load(dtype, t->state[1], i);
                store(dtype, t->state[1], i, change);
            }
            store(dtype, t->param, i, load(dtype, t->param, i) - o->lr * change);
        }
    }
    return DL_OK;
}

dl_status adagrad(int32_t dtype, const dl_optim_tensor* tensors, int64_t count,
                  const dl_adagrad_options* o) {
    if (!supported(dtype)) return DL_UNSUPPORTED;
    for (const dl_optim_tensor* t = tensors; t != tensors + count; ++t) {
        const double lr = o->lr / (1 + (t->step - 1) * o->lr_decay);
        for (int64_t i = 0; i < t->n; ++i) {
            const double g = gradient(dtype, *t, i, o->maximize, o->weight_decay);
            const double sum = load(dtype, t->state[0], i) + g * g;
            store(dtype, t->state[0], i, sum);
            const double p = load(dtype, t->param, i);
            store(dtype, t->param, i, p - lr * g / (sqrt(sum) + o->eps));
        }
    }
    return DL_OK;
}

const dl_optim_table table = {sgd, adam, rmsprop, adagrad};

}  // namespace

const dl_optim_table* optim_table() { return &table; }

}  // namespace deeplite::cpu::reference
