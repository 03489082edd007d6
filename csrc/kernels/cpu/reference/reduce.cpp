// Plain reductions, scans and histograms: one element after the other, doubles for floats.
#include "kernels/reduce.h"

#include <math.h>
#include <string.h>

#include "kernels/cpu/half.h"

namespace deeplite::cpu::reference {
namespace {

// Visits reduced elements in order: f(flat reduced index, pointer).
template <class F>
void for_each_reduced(const dl_reduce_args& args, const char* base, const F& f) {
    int64_t count = 1;
    for (int d = 0; d < args.reduced_ndim; ++d) count *= args.reduced_shape[d];
    for (int64_t i = 0; i < count; ++i) {
        int64_t rest = i, offset = 0;
        for (int d = 0; d < args.reduced_ndim; ++d) {
            offset += rest % args.reduced_shape[d] * args.reduced_strides[d];
            rest /= args.reduced_shape[d];
        }
        f(i, base + offset);
    }
}

// f(flat kept index, pointer to its first element)
template <class F>
void for_each_kept(const dl_reduce_args& args, const F& f) {
    int64_t count = 1;
    for (int d = 0; d < args.kept_ndim; ++d) count *= args.kept_shape[d];
    for (int64_t k = 0; k < count; ++k) {
        int64_t rest = k, offset = 0;
        for (int d = 0; d < args.kept_ndim; ++d) {
            offset += rest % args.kept_shape[d] * args.kept_strides[d];
            rest /= args.kept_shape[d];
        }
        f(k, static_cast<const char*>(args.in) + offset);
    }
}

// out[k] = finish(acc), acc folded with step(acc, x) from `init`.
template <class T, class Out, class Acc, class Step, class Finish>
dl_status fold(const dl_reduce_args& args, void* out, Acc init, const Step& step,
               const Finish& finish) {
    for_each_kept(args, [&](int64_t k, const char* base) {
        Acc acc = init;
        for_each_reduced(args, base, [&](int64_t, const char* p) {
            acc = step(acc, *reinterpret_cast<const T*>(p));
        });
        static_cast<Out*>(out)[k] = Out(finish(acc));
    });
    return DL_OK;
}
const auto same = [](auto acc) { return acc; };

// Halves read as floats; what comes of them is float32.
template <float widen(uint16_t)>
struct Half {
    uint16_t bits;
    operator float() const { return widen(bits); }
};
template <class T>
struct ResultOf {
    typedef T type;
};
template <float widen(uint16_t)>
struct ResultOf<Half<widen>> {
    typedef float type;
};

// Calls f with a value of the C type of the dtype (bool as uint8_t).
template <class F>
dl_status for_dtype(int32_t dtype, const F& f) {
    switch (dtype) {
        case DL_F32:
            return f(float());
        case DL_F64:
            return f(double());
        case DL_I64:
            return f(int64_t());
        case DL_I32:
            return f(int32_t());
        case DL_I16:
            return f(int16_t());
        case DL_I8:
            return f(int8_t());
        case DL_U8:
        case DL_BOOL:
            return f(uint8_t());
    }
    return DL_UNSUPPORTED;
}
// The same, halves included.
template <class F>
dl_status for_input(int32_t dtype, const F& f) {
    if (dtype == DL_BF16) return f(Half<bf16_to_float>());
    if (dtype == DL_F16) return f(Half<f16_to_float>());
    return for_dtype(dtype, f);
}
template <class F>
dl_status for_float(int32_t dtype, const F& f) {
    return dtype == DL_F32 || dtype == DL_F64 ? for_dtype(dtype, f) : DL_UNSUPPORTED;
}
template <class F>
dl_status for_float_input(int32_t dtype, const F& f) {
    const bool half = dtype == DL_BF16 || dtype == DL_F16;
    return half ? for_input(dtype, f) : for_float(dtype, f);
}
template <class T>
constexpr bool is_float = T(0.5) != T(0);

dl_status sum(const dl_reduce_args* args) {
    return for_input(args->dtype_in, [&](auto zero) {
        typedef decltype(zero) In;
        typedef typename ResultOf<In>::type T;
        if constexpr (is_float<T>)
            return fold<In, T>(
                *args, args->out, 0.0, [](double a, T x) { return a + double(x); }, same);
        else
            return fold<In, int64_t>(
                *args, args->out, uint64_t(0),
                [](uint64_t a, T x) { return a + uint64_t(int64_t(x)); }, same);
    });
}

dl_status mean(const dl_reduce_args* args) {
    double count = 1;
    for (int d = 0; d < args->reduced_ndim; ++d) count *= double(args->reduced_shape[d]);
    return for_float_input(args->dtype_in, [&](auto zero) {
        typedef decltype(zero) In;
        typedef typename ResultOf<In>::type T;
        return fold<In, T>(
            *args, args->out, 0.0, [](double a, T x) { return a + double(x); },
            [&](double a) { return a / count; });
    });
}

dl_status nansum(const dl_reduce_args* args) {
    return for_float_input(args->dtype_in, [&](auto zero) {
        typedef decltype(zero) In;
        typedef typename ResultOf<In>::type T;
        return fold<In, T>(
            *args, args->out, 0.0, [](double a, T x) { return x == x ? a + double(x) : a; }, same);
    });
}

dl_status prod(const dl_reduce_args* args) {
    return for_input(args->dtype_in, [&](auto zero) {
        typedef decltype(zero) In;
        typedef typename ResultOf<In>::type T;
        if constexpr (is_float<T>)
            return fold<In, T>(
                *args, args->out, 1.0, [](double a, T x) { return a * double(x); }, same);
        else
            return fold<In, int64_t>(
                *args, args->out, uint64_t(1),
                [](uint64_t a, T x) { return a * uint64_t(int64_t(x)); }, same);
    });
}

template <bool all>
dl_status any_all(const dl_reduce_args* args) {
    return for_input(args->dtype_in, [&](auto zero) {
        typedef decltype(zero) In;
        typedef typename ResultOf<In>::type T;
        return fold<In, uint8_t>(
            *args, args->out, all,
            [](bool a, T x) { return all ? a && x != T(0) : a || x != T(0); }, same);
    });
}

dl_status count_nonzero(const dl_reduce_args* args) {
    return for_input(args->dtype_in, [&](auto zero) {
        typedef decltype(zero) In;
        typedef typename ResultOf<In>::type T;
        return fold<In, int64_t>(
            *args, args->out, int64_t(0), [](int64_t a, T x) { return a + (x != T(0)); }, same);
    });
}

// Two passes: the mean, then the squares of the distances to it.
dl_status variance(const dl_reduce_args* args) {
    return for_float_input(args->dtype_in, [&](auto zero) {
        typedef decltype(zero) In;
        typedef typename ResultOf<In>::type T;
        for_each_kept(*args, [&](int64_t k, const char* base) {
            double n = 0, total = 0, squares = 0;
            for_each_reduced(*args, base, [&](int64_t, const char* p) {
                n += 1;
                total += double(*reinterpret_cast<const In*>(p));
            });
            for_each_reduced(*args, base, [&](int64_t, const char* p) {
                double d = double(*reinterpret_cast<const In*>(p)) - total / n;
                squares += d * d;
            });
            double freedom = n - args->param > 0 ? n - args->param : 0.0;
            static_cast<T*>(args->out)[k] = n == 0 ? T(NAN) : T(squares / freedom);
            if (args->out2) static_cast<T*>(args->out2)[k] = T(total / n);
        });
        return DL_OK;
    });
}

dl_status norm(const dl_reduce_args* args) {
    return for_float_input(args->dtype_in, [&](auto zero) {
        typedef decltype(zero) In;
        typedef typename ResultOf<In>::type T;
        double p = args->param, inf = double(INFINITY);
        if (p == inf)
            return fold<In, T>(
                *args, args->out, 0.0,
                [](double a, T x) { return a != a || a > fabs(x) ? a : fabs(x); }, same);
        if (p == -inf)
            return fold<In, T>(
                *args, args->out, inf,
                [](double a, T x) { return a != a || a < fabs(x) ? a : fabs(x); }, same);
        if (p == 0)
            return fold<In, T>(
                *args, args->out, 0.0, [](double a, T x) { return a + (x != T(0)); }, same);
        return fold<In, T>(
            *args, args->out, 0.0, [&](double a, T x) { return a + pow(fabs(double(x)), p); },
            [&](double a) { return pow(a, 1.0 / p); });
    });
}

dl_status logsumexp(const dl_reduce_args* args) {
    return for_float_input(args->dtype_in, [&](auto zero) {
        typedef decltype(zero) In;
        typedef typename ResultOf<In>::type T;
        for_each_kept(*args, [&](int64_t k, const char* base) {
            double top = -double(INFINITY), total = 0;
            for_each_reduced(*args, base, [&](int64_t, const char* p) {
                double x = double(*reinterpret_cast<const In*>(p));
                if (x > top || x != x) top = top != top ? top : x;
            });
            for_each_reduced(*args, base, [&](int64_t, const char* p) {
                total += exp(double(*reinterpret_cast<const In*>(p)) - top);
            });
            static_cast<T*>(args->out)[k] = T(isfinite(top) ? top + log(total) : top);
        });
        return DL_OK;
    });
}

// values and indices may be null.
template <bool kMax>
dl_status extreme(const dl_reduce_args& args, void* values, void* indices) {
    return for_input(args.dtype_in, [&](auto zero) {
        typedef decltype(zero) In;
        typedef typename ResultOf<In>::type T;
        for_each_kept(args, [&](int64_t k, const char* base) {
            T best = T(0);
            int64_t where = 0;
            if constexpr (is_float<T>) best = T(kMax ? -INFINITY : INFINITY);  // nothing to reduce
            for_each_reduced(args, base, [&](int64_t i, const char* p) {
                T x = *reinterpret_cast<const In*>(p);
                if (i == 0 || (kMax ? x > best : x < best) || (x != x && best == best)) {
                    best = x;
                    where = i;
                }
            });
            if (values) static_cast<T*>(values)[k] = best;
            if (indices) static_cast<int64_t*>(indices)[k] = where;
        });
        return DL_OK;
    });
}
template <bool kMax>
dl_status value(const dl_reduce_args* args) {
    return extreme<kMax>(*args, args->out, nullptr);
}
template <bool kMax>
dl_status index(const dl_reduce_args* args) {
    return extreme<kMax>(*args, nullptr, args->out);
}
template <bool kMax>
dl_status value_and_index(const dl_reduce_args* args) {
    return extreme<kMax>(*args, args->out, args->out2);
}
dl_status aminmax(const dl_reduce_args* args) {
    dl_status status = extreme<false>(*args, args->out, nullptr);
    return status == DL_OK ? extreme<true>(*args, args->out2, nullptr) : status;
}

// ---- scans: f(first element) for every line, elements `inner` apart ------------------------------
template <class F>
void for_each_line(const dl_scan_args& args, const F& f) {
    for (int64_t o = 0; o < args.outer; ++o)
        for (int64_t j = 0; j < args.inner; ++j) f(o * args.n * args.inner + j);
}

template <bool kProduct>
dl_status accumulate(const dl_scan_args* args) {
    if (args->dtype != DL_F32 && args->dtype != DL_F64 && args->dtype != DL_I64)
        return DL_UNSUPPORTED;
    return for_dtype(args->dtype, [&](auto zero) {
        typedef decltype(zero) T;
        const T* in = static_cast<const T*>(args->in);
        T* out = static_cast<T*>(args->out);
        for_each_line(*args, [&](int64_t at) {
            if constexpr (is_float<T>) {
                double state = kProduct;
                for (int64_t i = 0; i < args->n; ++i, at += args->inner) {
                    state = kProduct ? state * double(in[at]) : state + double(in[at]);
                    out[at] = T(state);
                }
            } else {
                uint64_t state = kProduct;
                for (int64_t i = 0; i < args->n; ++i, at += args->inner) {
                    state = kProduct ? state * uint64_t(in[at]) : state + uint64_t(in[at]);
                    out[at] = T(state);
                }
            }
        });
        return DL_OK;
    });
}

template <bool kMax>
dl_status running_extreme(const dl_scan_args* args) {
    return for_dtype(args->dtype, [&](auto zero) {
        typedef decltype(zero) T;
        const T* in = static_cast<const T*>(args->in);
        for_each_line(*args, [&](int64_t at) {
            T best = T(0);
            int64_t where = 0;
            for (int64_t i = 0; i < args->n; ++i, at += args->inner) {
                T x = in[at];
                if (i == 0 || x != x || (kMax ? x >= best : x <= best)) {
                    best = x;
                    where = i;
                }
                static_cast<T*>(args->out)[at] = best;
                args->indices[at] = where;
            }
        });
        return DL_OK;
    });
}

dl_status running_logsumexp(const dl_scan_args* args) {
    return for_float(args->dtype, [&](auto zero) {
        typedef decltype(zero) T;
        const T* in = static_cast<const T*>(args->in);
        for_each_line(*args, [&](int64_t at) {
            double state = -double(INFINITY);
            for (int64_t i = 0; i < args->n; ++i, at += args->inner) {
                double x = double(in[at]), top = x > state ? x : state, low = x > state ? state : x;
                if (x != x || state != state)
                    state = double(NAN);
                else if (isfinite(top))
                    state = top + log1p(exp(low - top));
                else
                    state = top;
                static_cast<T*>(args->out)[at] = T(state);
            }
        });
        return DL_OK;
    });
}

dl_status bincount(const dl_bincount_args* args) {
    for (int64_t i = 0; i < args->n; ++i)
        if (args->x[i] < 0 || args->x[i] >= args->bins) return DL_BAD_INDEX;
    if (args->dtype != DL_I64 && args->dtype != DL_F32 && args->dtype != DL_F64)
        return DL_UNSUPPORTED;
    return for_dtype(args->dtype, [&](auto zero) {
        typedef decltype(zero) T;
        T* out = static_cast<T*>(args->out);
        const T* weights = static_cast<const T*>(args->weights);
        memset(out, 0, size_t(args->bins) * sizeof(T));
        for (int64_t i = 0; i < args->n; ++i) out[args->x[i]] += weights ? weights[i] : T(1);
        return DL_OK;
    });
}

dl_status histc(const dl_histc_args* args) {
    return for_float(args->dtype, [&](auto zero) {
        typedef decltype(zero) T;
        T* out = static_cast<T*>(args->out);
        memset(out, 0, size_t(args->bins) * sizeof(T));
        T low = T(args->low), high = T(args->high);
        for (int64_t i = 0; i < args->n; ++i) {
            T x = static_cast<const T*>(args->x)[i];
            if (!(x >= low && x <= high)) continue;
            int64_t cell = int64_t((x - low) / (high - low) * T(args->bins));
            out[cell < args->bins ? cell : args->bins - 1] += T(1);
        }
        return DL_OK;
    });
}

const dl_reduce_table table = {
    {sum, mean, nansum, prod, value<false>, value<true>, any_all<false>, any_all<true>,
     count_nonzero, variance, norm, logsumexp, index<false>, index<true>, value_and_index<false>,
     value_and_index<true>, aminmax},
    {accumulate<false>, accumulate<true>, running_extreme<true>, running_extreme<false>,
     running_logsumexp},
    bincount,
    histc,
};

}  // namespace

const dl_reduce_table* reduce_table() { return &table; }

}  // namespace deeplite::cpu::reference
