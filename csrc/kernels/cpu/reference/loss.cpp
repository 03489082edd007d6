// Plain losses: one element after the other, in double.
#include "kernels/loss.h"

#include <math.h>
#include <string.h>

namespace deeplite::cpu::reference {
namespace {

// f(zero of the C type) for f32 and f64.
template <class F>
dl_status for_float(int32_t dtype, const F& f) {
    if (dtype == DL_F32) return f(float());
    if (dtype == DL_F64) return f(double());
    return DL_UNSUPPORTED;
}

dl_status nll(const dl_nll_args* args) {
    return for_float(args->dtype, [&](auto zero) {
        typedef decltype(zero) T;
        const T* x = static_cast<const T*>(args->x);
        const T* weight = static_cast<const T*>(args->weight);
        T* out = static_cast<T*>(args->out);
        double total = 0, total_weight = 0;
        for (int64_t k = 0; k < args->n * args->inner; ++k) {
            int64_t t = args->target[k];
            double loss = 0, w = 0;
            if (t != args->ignore_index) {
                if (t < 0 || t >= args->classes) return DL_BAD_INDEX;
                int64_t i = k / args->inner, j = k % args->inner;
                w = weight ? double(weight[t]) : 1.0;
                loss = -w * double(x[(i * args->classes + t) * args->inner + j]);
            }
            total += loss;
            total_weight += w;
            if (args->reduction == DL_REDUCTION_NONE) out[k] = T(loss);
        }
        if (args->reduction == DL_REDUCTION_SUM) out[0] = T(total);
        if (args->reduction == DL_REDUCTION_MEAN) out[0] = T(total / total_weight);
        if (args->total_weight) *static_cast<T*>(args->total_weight) = T(total_weight);
        return DL_OK;
    });
}

dl_status nll_backward(const dl_nll_backward_args* args) {
    return for_float(args->dtype, [&](auto zero) {
        typedef decltype(zero) T;
        const T* weight = static_cast<const T*>(args->weight);
        const T* dy = static_cast<const T*>(args->dy);
        T* dx = static_cast<T*>(args->dx);
        memset(dx, 0, size_t(args->n * args->classes * args->inner) * sizeof(T));
        for (int64_t k = 0; k < args->n * args->inner; ++k) {
            int64_t t = args->target[k];
            if (t == args->ignore_index || t < 0 || t >= args->classes) continue;
            double d = -double(dy[args->reduction == DL_REDUCTION_NONE ? k : 0]);
            if (weight) d *= double(weight[t]);
            if (args->reduction == DL_REDUCTION_MEAN)
                d /= double(*static_cast<const T*>(args->total_weight));
            dx[(k / args->inner * args->classes + t) * args->inner + k % args->inner] = T(d);
        }
        return DL_OK;
    });
}

// ---- pointwise losses ----------------------------------------------------------------------------
double larger(double a, double b) { return a < b ? b : a; }  // keeps a NaN in a

double loss_value(dl_pointwise_loss kind, double x, double t, double p) {
    double d = x - t, a = fabs(d);
    switch (kind) {
        case DL_LOSS_MSE:
            return d * d;
        case DL_LOSS_L1:
            return a;
        case DL_LOSS_SMOOTH_L1:
            return a < p ? a * a / (2 * p) : a - p / 2;
        case DL_LOSS_HUBER:
            return a <= p ? a * a / 2 : p * (a - p / 2);
        case DL_LOSS_BCE:
            return (t - 1) * larger(log1p(-x), -100) - t * larger(log(x), -100);
        default:
            return larger(x, 0) - x * t + log1p(exp(-fabs(x)));
    }
}

double loss_slope(dl_pointwise_loss kind, double x, double t, double p) {
    double d = x - t, a = fabs(d);
    double sign = d > 0 ? 1 : d < 0 ? -1 : d;
    switch (kind) {
        case DL_LOSS_MSE:
            return 2 * d;
        case DL_LOSS_L1:
            return sign;
        case DL_LOSS_SMOOTH_L1:
            return a < p ? d / p : sign;
        case DL_LOSS_HUBER:
            return a <= p ? d : p * sign;
        case DL_LOSS_BCE:
            return d / larger(x * (1 - x), double(1e-12f));
        default:
            return 1 / (1 + exp(-x)) - t;
    }
}

template <dl_pointwise_loss kind>
dl_status pointwise(const dl_pointwise_loss_args* args) {
    return for_float(args->dtype, [&](auto zero) {
        typedef decltype(zero) T;
        const T* x = static_cast<const T*>(args->x);
        const T* t = static_cast<const T*>(args->target);
        T* out = static_cast<T*>(args->out);
        double total = 0;
        for (int64_t i = 0; i < args->n; ++i) {
            double loss = loss_value(kind, double(x[i]), double(t[i]), args->param);
            if (args->reduction == DL_REDUCTION_NONE) out[i] = T(loss);
            total += loss;
        }
        if (args->reduction == DL_REDUCTION_SUM) out[0] = T(total);
        if (args->reduction == DL_REDUCTION_MEAN) out[0] = T(total / double(args->n));
        return DL_OK;
    });
}

template <dl_pointwise_loss kind>
dl_status pointwise_backward(const dl_pointwise_loss_backward_args* args) {
    return for_float(args->dtype, [&](auto zero) {
        typedef decltype(zero) T;
        const T* x = static_cast<const T*>(args->x);
        const T* t = static_cast<const T*>(args->target);
        const T* dy = static_cast<const T*>(args->dy);
        double scale = args->reduction == DL_REDUCTION_MEAN ? 1 / double(args->n) : 1.0;
        for (int64_t i = 0; i < args->n; ++i) {
            double g = double(dy[args->reduction == DL_REDUCTION_NONE ? i : 0]) * scale;
            double slope = loss_slope(kind, double(x[i]), double(t[i]), args->param);
            static_cast<T*>(args->dx)[i] = T(g * slope);
        }
        return DL_OK;
    });
}

// ---- margin losses -------------------------------------------------------------------------------
// Sends the loss of sample i where the reduction wants it.
template <class T>
void put_loss(const dl_margin_loss_args& args, int64_t i, double loss, double* total) {
    if (args.reduction == DL_REDUCTION_NONE) static_cast<T*>(args.out)[i] = T(loss);
    *total += loss;
    if (i == args.n - 1 && args.reduction != DL_REDUCTION_NONE)
        static_cast<T*>(args.out)[0] =
            T(args.reduction == DL_REDUCTION_MEAN ? *total / double(args.n) : *total);
}
// The loss of no samples at all: put_loss is never called.
template <class T>
void put_nothing(const dl_margin_loss_args& args) {
    if (args.n > 0 || args.dy || args.reduction == DL_REDUCTION_NONE) return;
    static_cast<T*>(args.out)[0] = args.reduction == DL_REDUCTION_MEAN ? T(NAN) : T(0);
}
// What multiplies the slope of sample i in the backward pass.
template <class T>
double sample_scale(const dl_margin_loss_args& args, int64_t i) {
    const T* dy = static_cast<const T*>(args.dy);
    double g = double(dy[args.reduction == DL_REDUCTION_NONE ? i : 0]) / double(args.classes);
    return args.reduction == DL_REDUCTION_MEAN ? g / double(args.n) : g;
}

dl_status multi_margin(const dl_margin_loss_args* args) {
    return for_float(args->dtype, [&](auto zero) {
        typedef decltype(zero) T;
        const T* weight = static_cast<const T*>(args->weight);
        double total = 0;
        put_nothing<T>(*args);
        for (int64_t i = 0; i < args->n; ++i) {
            const T* x = static_cast<const T*>(args->x) + i * args->classes;
            int64_t t = args->target[i];
            if (t < 0 || t >= args->classes) return DL_BAD_INDEX;
            double w = weight ? double(weight[t]) : 1.0, loss = 0, at_target = 0;
            T* dx = args->dy ? static_cast<T*>(args->out) + i * args->classes : nullptr;
            double scale = dx ? w * sample_scale<T>(*args, i) : 0;
            for (int64_t c = 0; c < args->classes; ++c) {
                double z = args->margin - double(x[t]) + double(x[c]);
                bool counts = c != t && z > 0;
                if (counts) loss += args->p == 1 ? z : z * z;
                double slope = counts ? scale * (args->p == 1 ? 1 : 2 * z) : 0;
                if (dx) dx[c] = T(slope);
                at_target -= slope;
            }
            if (dx)
                dx[t] = T(at_target);
            else
                put_loss<T>(*args, i, w * loss / double(args->classes), &total);
        }
        return DL_OK;
    });
}

dl_status multilabel_margin(const dl_margin_loss_args* args) {
    return for_float(args->dtype, [&](auto zero) {
        typedef decltype(zero) T;
        int64_t classes = args->classes;
        double total = 0;
        put_nothing<T>(*args);
        for (int64_t i = 0; i < args->n; ++i) {
            const T* x = static_cast<const T*>(args->x) + i * classes;
            const int64_t* target = args->target + i * classes;
            int64_t labels = 0;
            while (labels < classes && target[labels] != -1) ++labels;
            for (int64_t l = 0; l < labels; ++l)
                if (target[l] < 0 || target[l] >= classes) return DL_BAD_INDEX;
            auto is_label = [&](int64_t c) {
                for (int64_t l = 0; l < labels; ++l)
                    if (target[l] == c) return true;
                return false;
            };
            T* dx = args->dy ? static_cast<T*>(args->out) + i * classes : nullptr;
            T scale = dx ? T(sample_scale<T>(*args, i)) : T(0);
            if (dx) memset(dx, 0, size_t(classes) * sizeof(T));
            double loss = 0;
            for (int64_t c = 0; c < classes; ++c) {
                if (is_label(c)) continue;
                for (int64_t l = 0; l < labels; ++l) {
                    double z = 1 - double(x[target[l]]) + double(x[c]);
                    if (z <= 0) continue;
                    loss += z;
                    if (!dx) continue;
                    dx[c] += scale;
                    dx[target[l]] -= scale;
                }
            }
            if (!dx) put_loss<T>(*args, i, loss / double(classes), &total);
        }
        return DL_OK;
    });
}

const dl_loss_table table = {
    nll,
    nll_backward,
    {pointwise<DL_LOSS_MSE>, pointwise<DL_LOSS_L1>, pointwise<DL_LOSS_SMOOTH_L1>,
     pointwise<DL_LOSS_HUBER>, pointwise<DL_LOSS_BCE>, pointwise<DL_LOSS_BCE_LOGITS>},
    {pointwise_backward<DL_LOSS_MSE>, pointwise_backward<DL_LOSS_L1>,
     pointwise_backward<DL_LOSS_SMOOTH_L1>, pointwise_backward<DL_LOSS_HUBER>,
     pointwise_backward<DL_LOSS_BCE>, pointwise_backward<DL_LOSS_BCE_LOGITS>},
    multi_margin,
    multilabel_margin,
};

}  // namespace

const dl_loss_table* loss_table() { return &table; }

}  // namespace deeplite::cpu::reference
