// Plain softmax and log_softmax: one line after the other, in double.
#include "kernels/softmax.h"

#include <math.h>

namespace deeplite::cpu::reference {
namespace {

// f(first element) for each line of n elements, `inner` apart.
template <class F>
void for_each_line(int64_t outer, int64_t n, int64_t inner, const F& f) {
    for (int64_t o = 0; o < outer; ++o)
        for (int64_t j = 0; j < inner; ++j) f(o * n * inner + j);
}

template <class T, bool kLog>
dl_status forward(const dl_softmax_args& args) {
    const T* x = static_cast<const T*>(args.in);
    T* y = static_cast<T*>(args.out);
    int64_t step = args.inner;
    for_each_line(args.outer, args.n, args.inner, [&](int64_t at) {
        double top = -double(INFINITY), sum = 0;
        for (int64_t i = 0; i < args.n; ++i)
            if (!(double(x[at + i * step]) <= top)) top = double(x[at + i * step]);  // or NaN
        for (int64_t i = 0; i < args.n; ++i) sum += exp(double(x[at + i * step]) - top);
        for (int64_t i = 0; i < args.n; ++i) {
            double d = double(x[at + i * step]) - top;
            y[at + i * step] = T(kLog ? d - log(sum) : exp(d) / sum);
        }
    });
    return DL_OK;
}

template <class T, bool kLog>
dl_status backward(const dl_softmax_backward_args& args) {
    const T* y = static_cast<const T*>(args.y);
    const T* dy = static_cast<const T*>(args.dy);
    T* dx = static_cast<T*>(args.dx);
    int64_t step = args.inner;
    for_each_line(args.outer, args.n, args.inner, [&](int64_t at) {
        double sum = 0;
        for (int64_t i = 0; i < args.n; ++i) {
            int64_t k = at + i * step;
            sum += kLog ? double(dy[k]) : double(dy[k]) * double(y[k]);
        }
        for (int64_t i = 0; i < args.n; ++i) {
            int64_t k = at + i * step;
            dx[k] = T(kLog ? double(dy[k]) - exp(double(y[k])) * sum
                           : (double(dy[k]) - sum) * double(y[k]));
        }
    });
    return DL_OK;
}

template <bool kLog>
dl_status forward_any(const dl_softmax_args* args) {
    if (args->dtype == DL_F32) return forward<float, kLog>(*args);
    if (args->dtype == DL_F64) return forward<double, kLog>(*args);
    return DL_UNSUPPORTED;
}
template <bool kLog>
dl_status backward_any(const dl_softmax_backward_args* args) {
    if (args->dtype == DL_F32) return backward<float, kLog>(*args);
    if (args->dtype == DL_F64) return backward<double, kLog>(*args);
    return DL_UNSUPPORTED;
}

const dl_softmax_table table = {forward_any<false>, forward_any<true>, backward_any<false>,
                                backward_any<true>};

}  // namespace

const dl_softmax_table* softmax_table() { return &table; }

}  // namespace deeplite::cpu::reference
