// Reference normalisations: plain loops, all sums in double.
#include "kernels/norm.h"

#include <math.h>

namespace {

template <class T>
double at(const void* p, int64_t i, double missing) {
    return p ? double(static_cast<const T*>(p)[i]) : missing;
}
template <class T>
void put(void* p, int64_t i, double v) {
    if (p) static_cast<T*>(p)[i] = T(v);
}

template <class T>
dl_status batch_norm_apply(const dl_batch_norm_args& g) {
    for (int64_t i = 0; i < g.n * g.c * g.s; ++i) {
        const int64_t c = i / g.s % g.c;
        const double centred = at<T>(g.x, i, 0) - at<T>(g.mean, c, 0);
        double y = centred * at<T>(g.rstd, c, 0) * at<T>(g.weight, c, 1) + at<T>(g.bias, c, 0);
        y += at<T>(g.residual, i, 0);
        if (g.cut) y = y <= g.low ? g.low : y >= g.high ? g.high : y;
        put<T>(g.y, i, y);
    }
    return DL_OK;
}

template <class T>
dl_status batch_norm(const dl_batch_norm_args& g) {
    const double count = double(g.n * g.s);
    for (int64_t c = 0; c < g.c; ++c) {
        double mean = 0, var = 0;
        for (int64_t n = 0; n < g.n; ++n)
            for (int64_t s = 0; s < g.s; ++s) mean += at<T>(g.x, (n * g.c + c) * g.s + s, 0);
        mean /= count;
        for (int64_t n = 0; n < g.n; ++n)
            for (int64_t s = 0; s < g.s; ++s) {
                const double d = at<T>(g.x, (n * g.c + c) * g.s + s, 0) - mean;
                var += d * d;
            }
        var /= count;
        put<T>(g.mean, c, mean);
        put<T>(g.var, c, var);
        put<T>(g.rstd, c, 1 / sqrt(var + g.eps));
    }
    return batch_norm_apply<T>(g);
}

// dy at i, of channel c, where the cut lets it through.
template <class T>
double gated(const dl_batch_norm_args& g, int64_t i, int64_t c) {
    double y = (at<T>(g.x, i, 0) - at<T>(g.mean, c, 0)) * at<T>(g.rstd, c, 0);
    y = y * at<T>(g.weight, c, 1) + at<T>(g.bias, c, 0);
    if (g.y) y = at<T>(g.y, i, 0);
    return g.cut && (y <= T(g.low) || y >= T(g.high)) ? 0 : at<T>(g.dy, i, 0);
}

template <class T>
dl_status batch_norm_backward(const dl_batch_norm_args& g) {
    const double count = double(g.n * g.s);
    for (int64_t c = 0; c < g.c; ++c) {
        const double mean = at<T>(g.mean, c, 0), rstd = at<T>(g.rstd, c, 0);
        double sum = 0, dot = 0;  // of dy, and of dy * xhat
        for (int64_t n = 0; n < g.n; ++n)
            for (int64_t s = 0; s < g.s; ++s) {
                const int64_t i = (n * g.c + c) * g.s + s;
                sum += gated<T>(g, i, c);
                dot += gated<T>(g, i, c) * (at<T>(g.x, i, 0) - mean) * rstd;
            }
        put<T>(g.dweight, c, dot);
        put<T>(g.dbias, c, sum);
        for (int64_t n = 0; n < g.n; ++n)
            for (int64_t s = 0; s < g.s; ++s) {
                const int64_t i = (n * g.c + c) * g.s + s;
                double d = gated<T>(g, i, c);
                if (g.cut) put<T>(g.dresidual, i, d);
                if (g.training) d -= (sum + (at<T>(g.x, i, 0) - mean) * rstd * dot) / count;
                put<T>(g.dx, i, d * rstd * at<T>(g.weight, c, 1));
            }
    }
    return DL_OK;
}

template <class T>
dl_status layer_norm(const dl_layer_norm_args& g) {
    for (int64_t r = 0; r < g.rows; ++r) {
        double mean = 0, var = 0;
        for (int64_t i = 0; i < g.d && !g.rms; ++i)
            mean += at<T>(g.x, r * g.d + i, 0) / double(g.d);
        for (int64_t i = 0; i < g.d; ++i) {
            const double d = at<T>(g.x, r * g.d + i, 0) - mean;
            var += d * d / double(g.d);
        }
        const double rstd = 1 / sqrt(var + g.eps);
        if (!g.rms) put<T>(g.mean, r, mean);
        put<T>(g.rstd, r, rstd);
        for (int64_t i = 0; i < g.d; ++i)
            put<T>(g.y, r * g.d + i,
                   (at<T>(g.x, r * g.d + i, 0) - mean) * rstd * at<T>(g.weight, i, 1) +
                       at<T>(g.bias, i, 0));
    }
    return DL_OK;
}

template <class T>
dl_status layer_norm_backward(const dl_layer_norm_args& g) {
    const auto xhat = [&](int64_t r, int64_t i) {
        return (at<T>(g.x, r * g.d + i, 0) - (g.rms ? 0 : at<T>(g.mean, r, 0))) *
               at<T>(g.rstd, r, 0);
    };
    for (int64_t i = 0; i < g.d; ++i) {
        double dw = 0, db = 0;
        for (int64_t r = 0; r < g.rows; ++r) {
            dw += at<T>(g.dy, r * g.d + i, 0) * xhat(r, i);
            db += at<T>(g.dy, r * g.d + i, 0);
        }
        put<T>(g.dweight, i, dw);
        put<T>(g.dbias, i, db);
    }
    for (int64_t r = 0; r < g.rows; ++r) {
        double sum = 0, dot = 0;
        for (int64_t i = 0; i < g.d; ++i) {
            const double d = at<T>(g.dy, r * g.d + i, 0) * at<T>(g.weight, i, 1);
            sum += d;
            dot += d * xhat(r, i);
        }
        for (int64_t i = 0; i < g.d; ++i) {
            const double d = at<T>(g.dy, r * g.d + i, 0) * at<T>(g.weight, i, 1);
            const double mean = (g.rms ? 0 : sum) + xhat(r, i) * dot;
            put<T>(g.dx, r * g.d + i, (d - mean / double(g.d)) * at<T>(g.rstd, r, 0));
        }
    }
    return DL_OK;
}

template <class T>
dl_status group_norm(const dl_group_norm_args& g) {
    const int64_t d = g.k * g.s;
    for (int64_t r = 0; r < g.n * g.groups; ++r) {
        double mean = 0, var = 0;
        for (int64_t i = 0; i < d; ++i) mean += at<T>(g.x, r * d + i, 0) / double(d);
        for (int64_t i = 0; i < d; ++i) {
            const double v = at<T>(g.x, r * d + i, 0) - mean;
            var += v * v / double(d);
        }
        const double rstd = 1 / sqrt(var + g.eps);
        put<T>(g.mean, r, mean);
        put<T>(g.rstd, r, rstd);
        for (int64_t i = 0; i < d; ++i) {
            const int64_t c = r % g.groups * g.k + i / g.s;
            put<T>(g.y, r * d + i,
                   (at<T>(g.x, r * d + i, 0) - mean) * rstd * at<T>(g.weight, c, 1) +
                       at<T>(g.bias, c, 0));
        }
    }
    return DL_OK;
}

template <class T>
dl_status group_norm_backward(const dl_group_norm_args& g) {
    const int64_t d = g.k * g.s, channels = g.groups * g.k;
    const auto xhat = [&](int64_t r, int64_t i) {
        return (at<T>(g.x, r * d + i, 0) - at<T>(g.mean, r, 0)) * at<T>(g.rstd, r, 0);
    };
    for (int64_t c = 0; c < channels; ++c) {
        double dw = 0, db = 0;
        for (int64_t n = 0; n < g.n; ++n)
            for (int64_t s = 0; s < g.s; ++s) {
                const int64_t r = n * g.groups + c / g.k, i = c % g.k * g.s + s;
                dw += at<T>(g.dy, r * d + i, 0) * xhat(r, i);
                db += at<T>(g.dy, r * d + i, 0);
            }
        put<T>(g.dweight, c, dw);
        put<T>(g.dbias, c, db);
    }
    for (int64_t r = 0; r < g.n * g.groups; ++r) {
        const auto scaled = [&](int64_t i) {
            return at<T>(g.dy, r * d + i, 0) * at<T>(g.weight, r % g.groups * g.k + i / g.s, 1);
        };
        double sum = 0, dot = 0;
        for (int64_t i = 0; i < d; ++i) sum += scaled(i), dot += scaled(i) * xhat(r, i);
        for (int64_t i = 0; i < d; ++i)
            put<T>(g.dx, r * d + i,
                   (scaled(i) - (sum + xhat(r, i) * dot) / double(d)) * at<T>(g.rstd, r, 0));
    }
    return DL_OK;
}

template <class Args, dl_status (*F32)(const Args&), dl_status (*F64)(const Args&)>
dl_status by_dtype(const Args* g) {
    return g->dtype == DL_F32 ? F32(*g) : g->dtype == DL_F64 ? F64(*g) : DL_UNSUPPORTED;
}

const dl_norm_table table = {
    by_dtype<dl_batch_norm_args, batch_norm<float>, batch_norm<double>>,
    by_dtype<dl_batch_norm_args, batch_norm_apply<float>, batch_norm_apply<double>>,
    by_dtype<dl_batch_norm_args, batch_norm_backward<float>, batch_norm_backward<double>>,
    by_dtype<dl_layer_norm_args, layer_norm<float>, layer_norm<double>>,
    by_dtype<dl_layer_norm_args, layer_norm_backward<float>, layer_norm_backward<double>>,
    by_dtype<dl_group_norm_args, group_norm<float>, group_norm<double>>,
    by_dtype<dl_group_norm_args, group_norm_backward<float>, group_norm_backward<double>>,
};

}  // namespace

namespace deeplite::cpu::reference {
const dl_norm_table* norm_table();
const dl_norm_table* norm_table() { return &table; }
}  // namespace deeplite::cpu::reference
