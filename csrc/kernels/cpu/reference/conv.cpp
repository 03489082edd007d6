// Convolution, plain: the loops of the definition, accumulated in double.
#include "kernels/conv.h"

#include <math.h>

#include "kernels/cpu/parallel.h"

namespace deeplite::cpu::reference {
namespace {

// The innermost tap of output o along dimension d: position in x, or -1 in the padding.
int64_t source(const dl_conv& p, int d, int64_t o, int64_t r) {
    const int64_t i = o * p.stride[d] - p.pad_lo[d] + r * p.dilation[d];
    return i >= 0 && i < p.in[d] ? i : -1;
}

int64_t volume(const int64_t s[3]) { return s[0] * s[1] * s[2]; }

// Calls f(position in the kernel, position in x) for each tap of output o that meets x.
template <class F>
void for_each_tap(const dl_conv& p, const int64_t o[3], const F& f) {
    for (int64_t r0 = 0; r0 < p.kernel[0]; ++r0) {
        const int64_t i0 = source(p, 0, o[0], r0);
        if (i0 < 0) continue;
        for (int64_t r1 = 0; r1 < p.kernel[1]; ++r1) {
            const int64_t i1 = source(p, 1, o[1], r1);
            if (i1 < 0) continue;
            for (int64_t r2 = 0; r2 < p.kernel[2]; ++r2) {
                const int64_t i2 = source(p, 2, o[2], r2);
                if (i2 < 0) continue;
                f((r0 * p.kernel[1] + r1) * p.kernel[2] + r2, (i0 * p.in[1] + i1) * p.in[2] + i2);
            }
        }
    }
}

// Calls f(position in the output plane, o) for each output position.
template <class F>
void for_each_output(const dl_conv& p, const F& f) {
    int64_t o[3], j = 0;
    for (o[0] = 0; o[0] < p.out[0]; ++o[0])
        for (o[1] = 0; o[1] < p.out[1]; ++o[1])
            for (o[2] = 0; o[2] < p.out[2]; ++o[2]) f(j++, o);
}

// A channel of an image, or a filter's channel: elements follow each other, or lie `step` apart.
template <class T>
struct Plane {
    T* first;
    int64_t step;
    T& operator[](int64_t i) const { return first[i * step]; }
};
template <class T>
Plane<T> plane_of(void* data, bool channels_last, int64_t row, int64_t channels, int64_t c,
                  int64_t size) {
    T* first = static_cast<T*>(data) + row * channels * size;
    if (channels_last) return {first + c, channels};
    return {first + c * size, 1};
}
template <class T>
Plane<T> x_of(const dl_conv& p, int64_t n, int64_t c) {
    return plane_of<T>(p.x, p.channels_last, n, p.c, c, volume(p.in));
}
template <class T>
Plane<T> y_of(const dl_conv& p, int64_t n, int64_t k) {
    return plane_of<T>(p.y, p.channels_last, n, p.k, k, volume(p.out));
}
template <class T>
Plane<T> w_of(const dl_conv& p, int64_t k, int64_t c) {  // c within the group
    return plane_of<T>(p.w, p.w_channels_last, k, p.c / p.groups, c, volume(p.kernel));
}

double activated(const dl_conv_finish& f, double v) {
    const double hard = v < -3 ? 0 : v > 3 ? 1 : (v + 3) / 6;
    switch (f.activation) {
        case DL_CONV_SIGMOID:
            return 1 / (1 + exp(-v));
        case DL_CONV_TANH:
            return tanh(v);
        case DL_CONV_SILU:
            return v / (1 + exp(-v));
        case DL_CONV_GELU:
            return 0.5 * v * erfc(-v / sqrt(2.0));
        case DL_CONV_GELU_TANH:  // sqrt(8 / pi) (v + 0.044715 v^3)
            return v / (1 + exp(-1.5957691216057308 * v * (1 + 0.044715 * v * v)));
        case DL_CONV_HARDSWISH:
            return v * hard;
        case DL_CONV_HARDSIGMOID:
            return hard;
        default:
            return v < f.low ? f.low : v > f.high ? f.high : v;
    }
}

// Element i of a channel [k] of y, v being its sum; the residual there.
template <class T>
double finished(const dl_conv_finish& f, int64_t k, double v, const T* residual) {
    const auto of = [k](const void* channels, double otherwise) {
        return channels ? double(static_cast<const T*>(channels)[k]) : otherwise;
    };
    const double divisor = f.var ? sqrt(of(f.var, 1) + f.eps) : 1;
    v = (v - of(f.mean, 0)) / divisor * of(f.weight, 1) + of(f.shift, 0);
    return activated(f, residual ? v + double(*residual) : v);
}

template <class T>
dl_status forward(const dl_conv& p) {
    const int64_t cg = p.c / p.groups, kg = p.k / p.groups;
    parallel_for(p.n * p.k, 1, [&](int64_t begin, int64_t end) {
        for (int64_t nk = begin; nk < end; ++nk) {
            const int64_t n = nk / p.k, k = nk % p.k;
            const Plane<T> y = y_of<T>(p, n, k);
            for_each_output(p, [&](int64_t j, const int64_t o[3]) {
                double sum = p.bias ? static_cast<const T*>(p.bias)[k] : T(0);
                for (int64_t c = 0; c < cg; ++c) {
                    const Plane<T> x = x_of<T>(p, n, k / kg * cg + c), w = w_of<T>(p, k, c);
                    for_each_tap(p, o,
                                 [&](int64_t r, int64_t i) { sum += double(w[r]) * double(x[i]); });
                }
                if (p.finish) {
                    const T* residual = static_cast<const T*>(p.finish->residual);
                    if (residual) residual += &y[j] - static_cast<const T*>(p.y);
                    sum = finished(*p.finish, k, sum, residual);
                }
                y[j] = T(sum);
            });
        }
    });
    return DL_OK;
}

template <class T>
dl_status backward_input(const dl_conv& p) {
    const int64_t cg = p.c / p.groups, kg = p.k / p.groups;
    parallel_for(p.n * p.c, 1, [&](int64_t begin, int64_t end) {
        for (int64_t nc = begin; nc < end; ++nc) {
            const int64_t n = nc / p.c, c = nc % p.c, k0 = c / cg * kg;
            const Plane<T> dx = x_of<T>(p, n, c);
            const T bias = p.bias ? static_cast<const T*>(p.bias)[c] : T(0);
            for (int64_t i = 0; i < volume(p.in); ++i) dx[i] = bias;
            for_each_output(p, [&](int64_t j, const int64_t o[3]) {
                for_each_tap(p, o, [&](int64_t r, int64_t i) {
                    double sum = dx[i];
                    for (int64_t k = 0; k < kg; ++k)
                        sum += double(w_of<T>(p, k0 + k, c % cg)[r]) *
                               double(y_of<T>(p, n, k0 + k)[j]);
                    dx[i] = T(sum);
                });
            });
        }
    });
    return DL_OK;
}

template <class T>
dl_status backward_weight(const dl_conv& p) {
    const int64_t cg = p.c / p.groups, kg = p.k / p.groups;
    parallel_for(p.k * cg, 1, [&](int64_t begin, int64_t end) {
        for (int64_t kc = begin; kc < end; ++kc) {
            const int64_t k = kc / cg, c = k / kg * cg + kc % cg;
            const Plane<T> dw = w_of<T>(p, k, kc % cg);
            int64_t r[3], at = 0;
            for (r[0] = 0; r[0] < p.kernel[0]; ++r[0])
                for (r[1] = 0; r[1] < p.kernel[1]; ++r[1])
                    for (r[2] = 0; r[2] < p.kernel[2]; ++r[2]) {
                        double sum = 0;
                        for (int64_t n = 0; n < p.n; ++n) {
                            const Plane<T> x = x_of<T>(p, n, c), dy = y_of<T>(p, n, k);
                            for_each_output(p, [&](int64_t j, const int64_t o[3]) {
                                const int64_t i0 = source(p, 0, o[0], r[0]);
                                const int64_t i1 = source(p, 1, o[1], r[1]);
                                const int64_t i2 = source(p, 2, o[2], r[2]);
                                if (i0 < 0 || i1 < 0 || i2 < 0) return;
                                const int64_t i = (i0 * p.in[1] + i1) * p.in[2] + i2;
                                sum += double(dy[j]) * double(x[i]);
                            });
                        }
                        dw[at++] = T(sum);
                    }
        }
    });
    return DL_OK;
}

template <dl_status (*F32)(const dl_conv&), dl_status (*F64)(const dl_conv&)>
dl_status dispatch(const dl_conv* p) {
    if (p->algorithm) {  // "reference" is the only name this table knows
        const char *a = p->algorithm, *b = "reference";
        while (*a && *a == *b) ++a, ++b;
        if (*a != *b) return DL_UNSUPPORTED;
    }
    if (p->dtype == DL_F32) return F32(*p);
    if (p->dtype == DL_F64) return F64(*p);
    return DL_UNSUPPORTED;
}

int32_t explain(const dl_conv* p, dl_conv_pass, int32_t i, dl_conv_option* option) {
    if (i != 0) return 0;
    double macs = double(p->n * p->k) * double(p->c / p->groups);
    for (int d = 0; d < 3; ++d) macs *= double(p->out[d] * p->kernel[d]);
    const double eps = p->dtype == DL_F32 ? 0x1p-24 : 0x1p-53;
    *option = {"reference", macs * 2e-9, eps, eps <= p->max_rel_err};
    return 1;
}

}  // namespace

const dl_conv_table* conv_table() {
    static const dl_conv_table table = {
        dispatch<forward<float>, forward<double>>,
        dispatch<backward_input<float>, backward_input<double>>,
        dispatch<backward_weight<float>, backward_weight<double>>,
        explain,
    };
    return &table;
}

}  // namespace deeplite::cpu::reference
