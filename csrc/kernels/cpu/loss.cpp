// Pointwise losses with their reduction in one pass, and the scatter of the NLL gradient. The other
// entries of the family touch few elements and are left to the plain kernels.
#include "kernels/loss.h"

#include <math.h>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/vmath.h"

namespace deeplite::cpu::DL_ISA {
namespace {

// value(x, t, p): the loss of one element; slope(x, t, p): its derivative by x.
struct Mse {
    template <class V>
    static V value(V x, V t, V) {
        V d = x - t;
        return d * d;
    }
    template <class V>
    static V slope(V x, V t, V) {
        V d = x - t;
        return d + d;
    }
};
struct L1 {
    template <class V>
    static V value(V x, V t, V) {
        V d = x - t;
        return vabs(d);
    }
    template <class V>
    static V slope(V x, V t, V) {
        V d = x - t;
        V one = V{} + 1;
        V s = d < V{} ? -one : V{};
        s = d > V{} ? one : s;
        return d == d ? s : d;
    }
};
struct SmoothL1 {
    template <class V>
    static V value(V x, V t, V beta) {
        V d = x - t;
        V a = vabs(d);
        return a < beta ? a * a / (beta + beta) : a - beta / 2;
    }
    template <class V>
    static V slope(V x, V t, V beta) {
        V d = x - t;
        V s = L1::slope(x, t, beta);
        return vabs(d) < beta ? d / beta : s;
    }
};
struct Huber {
    template <class V>
    static V value(V x, V t, V delta) {
        V d = x - t;
        V a = vabs(d);
        return a <= delta ? a * a / 2 : delta * (a - delta / 2);
    }
    template <class V>
    static V slope(V x, V t, V delta) {
        V d = x - t;
        V s = L1::slope(x, t, delta);
        return vabs(d) <= delta ? d : delta * s;
    }
};
// What keeps the derivative of the binary cross entropy finite at 0 and 1.
DL_INLINE vf32 smallest_variance(vf32) { return vset1<float>(1e-12f); }
DL_INLINE vf64 smallest_variance(vf64) { return vset1<double>(double(1e-12f)); }

struct Bce {
    template <class V>
    static V value(V x, V t, V) {
        V bound = V{} - 100;
        V a = vlog(x), b = vlog1p(-x);
        a = a < bound ? bound : a;
        b = b < bound ? bound : b;
        return (t - 1) * b - t * a;
    }
    template <class V>
    static V slope(V x, V t, V) {
        V bound = smallest_variance(x);
        V scale = x * (1 - x);
        return (x - t) / (scale < bound ? bound : scale);
    }
};
struct BceLogits {  // max(x, 0) - x t + log(1 + exp(-|x|))
    template <class V>
    static V value(V x, V t, V) {
        V zero{};
        return (x > zero ? x : zero) - x * t + vlog1p(vexp(-vabs(x)));
    }
    template <class V>
    static V slope(V x, V t, V) {
        return vsigmoid(x) - t;
    }
};

constexpr int64_t kChunk = 16 * 1024;

template <class T>
DL_INLINE typename Vec<T>::type load(const T* p, int64_t count) {
    return count == Vec<T>::N ? vload(p) : vload_n<T>(p, count, T(0));
}

template <class Loss, class T>
dl_status each_loss(const dl_pointwise_loss_args& args) {
    const T* x = static_cast<const T*>(args.x);
    const T* t = static_cast<const T*>(args.target);
    T* out = static_cast<T*>(args.out);
    constexpr int64_t N = Vec<T>::N;
    auto p = vset1<T>(T(args.param));
    parallel_for(args.n, kChunk, [&](int64_t begin, int64_t end) {
        int64_t i = begin;
        for (; end - i >= N; i += N) vstore(out + i, Loss::value(vload(x + i), vload(t + i), p));
        if (i < end)
            vstore_n<T>(out + i, Loss::value(load(x + i, end - i), load(t + i, end - i), p),
                        end - i);
    });
    return DL_OK;
}

// Sum of the losses of one chunk: float lanes over 64 vectors, doubles beyond.
template <class Loss, class T>
double chunk_loss(const T* x, const T* t, int64_t n, T param) {
    constexpr int64_t N = Vec<T>::N;
    auto p = vset1<T>(param);
    double total = 0;
    for (int64_t i = 0; i < n;) {
        int64_t last = n - i < 64 * N ? n : i + 64 * N;
        typename Vec<T>::type part{};
        for (; last - i >= N; i += N) part += Loss::value(vload(x + i), vload(t + i), p);
        total += double(vreduce_add<T>(part));
        if (i < last) {
            auto rest = Loss::value(load(x + i, last - i), load(t + i, last - i), p);
            for (int l = 0; i < last; ++l, ++i) total += double(rest[l]);
        }
    }
    return total;
}

template <class Loss, class T>
dl_status pointwise_of(const dl_pointwise_loss_args& args) {
    if (args.reduction == DL_REDUCTION_NONE) return each_loss<Loss, T>(args);
    const T* x = static_cast<const T*>(args.x);
    const T* t = static_cast<const T*>(args.target);
    int64_t chunks = (args.n + kChunk - 1) / kChunk;
    double* partial = static_cast<double*>(dl_scratch(size_t(chunks + 1) * sizeof(double), 0));
    if (!partial) return DL_OUT_OF_MEMORY;
    parallel_for(args.n, kChunk, [&](int64_t begin, int64_t end) {
        partial[begin / kChunk] =
            chunk_loss<Loss, T>(x + begin, t + begin, end - begin, T(args.param));
    });
    double total = 0;
    for (int64_t c = 0; c < chunks; ++c) total += partial[c];
    if (args.reduction == DL_REDUCTION_MEAN) total /= double(args.n);
    *static_cast<T*>(args.out) = T(total);
    return DL_OK;
}
template <class Loss>
dl_status pointwise(const dl_pointwise_loss_args* args) {
    if (args->dtype == DL_F32) return pointwise_of<Loss, float>(*args);
    if (args->dtype == DL_F64) return pointwise_of<Loss, double>(*args);
    return DL_UNSUPPORTED;
}

template <class Loss, class T>
dl_status pointwise_backward_of(const dl_pointwise_loss_backward_args& args) {
    const T* x = static_cast<const T*>(args.x);
    const T* t = static_cast<const T*>(args.target);
    const T* dy = static_cast<const T*>(args.dy);
    T* dx = static_cast<T*>(args.dx);
    constexpr int64_t N = Vec<T>::N;
    bool each = args.reduction == DL_REDUCTION_NONE;
    T scale = T(1);
    if (!each && args.n > 0)
        scale = T(double(dy[0]) / (args.reduction == DL_REDUCTION_MEAN ? double(args.n) : 1.0));
    auto p = vset1<T>(T(args.param)), g = vset1<T>(scale);
    parallel_for(args.n, kChunk, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i += N) {
            int64_t count = end - i < N ? end - i : N;
            auto d = Loss::slope(load(x + i, count), load(t + i, count), p);
            d *= each ? load(dy + i, count) : g;
            if (count == N)
                vstore(dx + i, d);
            else
                vstore_n<T>(dx + i, d, count);
        }
    });
    return DL_OK;
}
template <class Loss>
dl_status pointwise_backward(const dl_pointwise_loss_backward_args* args) {
    if (args->dtype == DL_F32) return pointwise_backward_of<Loss, float>(*args);
    if (args->dtype == DL_F64) return pointwise_backward_of<Loss, double>(*args);
    return DL_UNSUPPORTED;
}

// dx [n, classes, inner]: zeros but for one element per target.
template <class T>
dl_status nll_backward_of(const dl_nll_backward_args& args) {
    const T* weight = static_cast<const T*>(args.weight);
    const T* dy = static_cast<const T*>(args.dy);
    T* dx = static_cast<T*>(args.dx);
    double scale = 1;
    if (args.reduction == DL_REDUCTION_MEAN)
        scale = 1 / double(*static_cast<const T*>(args.total_weight));
    int64_t sample = args.classes * args.inner;
    int64_t grain = sample >= 4 * kChunk || sample == 0 ? 1 : 4 * kChunk / sample;
    parallel_for(args.n, grain, [&](int64_t begin, int64_t end) {
        memset(dx + begin * sample, 0, size_t((end - begin) * sample) * sizeof(T));
        for (int64_t i = begin; i < end; ++i)
            for (int64_t j = 0; j < args.inner; ++j) {
                int64_t t = args.target[i * args.inner + j];
                if (t == args.ignore_index || t < 0 || t >= args.classes) continue;
                double g =
                    double(args.reduction == DL_REDUCTION_NONE ? dy[i * args.inner + j] : dy[0]);
                double w = weight ? double(weight[t]) : 1.0;
                dx[i * sample + t * args.inner + j] = T(-w * g * scale);
            }
    });
    return DL_OK;
}
dl_status nll_backward(const dl_nll_backward_args* args) {
    if (args->dtype == DL_F32) return nll_backward_of<float>(*args);
    if (args->dtype == DL_F64) return nll_backward_of<double>(*args);
    return DL_UNSUPPORTED;
}

const dl_loss_table table = {
    nullptr,
    nll_backward,
    {pointwise<Mse>, pointwise<L1>, pointwise<SmoothL1>, pointwise<Huber>, pointwise<Bce>,
     pointwise<BceLogits>},
    {pointwise_backward<Mse>, pointwise_backward<L1>, pointwise_backward<SmoothL1>,
     pointwise_backward<Huber>, pointwise_backward<Bce>, pointwise_backward<BceLogits>},
    nullptr,
    nullptr,
};

}  // namespace

const dl_loss_table* loss_table() { return &table; }

}  // namespace deeplite::cpu::DL_ISA
