// Optimizer steps, one pass per tensor. The loops are written so that the compiler vectorises them
// for the instruction set at hand: options are template parameters, so no loop body branches.
#include "kernels/optim.h"

#include <math.h>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"

namespace deeplite::cpu::DL_ISA {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements per chunk

// Runs update(tensor, begin, end) over all tensors laid end to end and cut into equal chunks, so that
// many small tensors cost one parallel region and a large one is shared among threads.
template <class F>
dl_status for_each_chunk(const dl_optim_tensor* tensors, int64_t count, const F& update) {
    if (count <= 0) return DL_OK;
    int64_t* start = static_cast<int64_t*>(dl_scratch(size_t(count + 1) * sizeof(int64_t), 0));
    if (start == nullptr) return DL_OUT_OF_MEMORY;
    start[0] = 0;
    for (int64_t i = 0; i < count; ++i) start[i + 1] = start[i] + tensors[i].n;
    parallel_for(start[count], kGrain, [&](int64_t begin, int64_t end) {
        int64_t low = 0, high = count - 1;  // the tensor that holds `begin`
        while (low < high) {
            const int64_t middle = (low + high) / 2;
            if (start[middle + 1] <= begin)
                low = middle + 1;
            else
                high = middle;
        }
        for (int64_t i = low; i < count && start[i] < end; ++i) {
            const int64_t from = begin > start[i] ? begin - start[i] : 0;
            const int64_t to = (end < start[i + 1] ? end : start[i + 1]) - start[i];
            if (from < to) update(tensors[i], from, to);
        }
    });
    return DL_OK;
}

template <class T>
T* array(void* p) {
    return static_cast<T*>(p);
}

// A bool known at compile time, passed as a value; choose() turns run-time options into such values.
template <bool B>
struct Flag {
    static constexpr bool value = B;
};
template <class F>
DL_INLINE void choose(bool a, const F& f) {
    a ? f(Flag<true>{}) : f(Flag<false>{});
}
template <class F>
DL_INLINE void choose(bool a, bool b, const F& f) {
    choose(a, [&](auto fa) { choose(b, [&](auto fb) { f(fa, fb); }); });
}

template <class T>
void sgd_chunk(const dl_optim_tensor& t, int64_t begin, int64_t end, const dl_sgd_options& o) {
    T* __restrict p = array<T>(t.param);
    const T* __restrict grad = static_cast<const T*>(t.grad);
    T* __restrict buf = array<T>(t.state[0]);
    const T sign = o.maximize ? T(-1) : T(1), decay = T(o.weight_decay), lr = T(o.lr);
    const bool first = t.step <= 1;
    // The first update takes g whole; what buf holds before it does not count (it may be garbage).
    const T keep = T(o.momentum), take = T(1 - o.dampening), momentum = T(o.momentum);
    if (buf == nullptr) {
        for (int64_t i = begin; i < end; ++i) p[i] -= lr * (sign * grad[i] + decay * p[i]);
        return;
    }
    choose(first, o.nesterov != 0, [&](auto is_first, auto nesterov) {
        for (int64_t i = begin; i < end; ++i) {
            const T g = sign * grad[i] + decay * p[i];
            T b = g;
            if constexpr (!is_first.value) b = keep * buf[i] + take * g;
            buf[i] = b;
            if constexpr (nesterov.value) b = g + momentum * b;
            p[i] -= lr * b;
        }
    });
}

template <class T>
void adam_chunk(const dl_optim_tensor& t, int64_t begin, int64_t end, const dl_adam_options& o) {
    T* __restrict p = array<T>(t.param);
    const T* __restrict grad = static_cast<const T*>(t.grad);
    T* __restrict mean = array<T>(t.state[0]);
    T* __restrict square = array<T>(t.state[1]);
    T* __restrict top = array<T>(t.state[2]);
    const T sign = o.maximize ? T(-1) : T(1), eps = T(o.eps);
    const T decay = o.decoupled ? T(0) : T(o.weight_decay);
    const T shrink = o.decoupled ? T(1 - o.lr * o.weight_decay) : T(1);
    const T w1 = T(1 - o.beta1), b2 = T(o.beta2), w2 = T(1 - o.beta2);
    const T size = T(o.lr / (1 - pow(o.beta1, t.step)));
    const T scale = T(sqrt(1 - pow(o.beta2, t.step)));
    choose(o.amsgrad != 0, [&](auto amsgrad) {
        for (int64_t i = begin; i < end; ++i) {
            const T g = sign * grad[i] + decay * p[i];
            const T m = mean[i] + w1 * (g - mean[i]);
            T v = b2 * square[i] + w2 * g * g;
            mean[i] = m;
            square[i] = v;
            if constexpr (amsgrad.value) top[i] = v = (top[i] > v ? top[i] : v);
            p[i] = shrink * p[i] - size * (m / (T(sqrt(v)) / scale + eps));
        }
    });
}

template <class T>
void rmsprop_chunk(const dl_optim_tensor& t, int64_t begin, int64_t end,
                   const dl_rmsprop_options& o) {
    T* __restrict p = array<T>(t.param);
    const T* __restrict grad = static_cast<const T*>(t.grad);
    T* __restrict square = array<T>(t.state[0]);
    T* __restrict buf = array<T>(t.state[1]);
    T* __restrict mean = array<T>(t.state[2]);
    const T sign = o.maximize ? T(-1) : T(1), decay = T(o.weight_decay), lr = T(o.lr);
    const T alpha = T(o.alpha), take = T(1 - o.alpha), eps = T(o.eps), momentum = T(o.momentum);
    choose(o.centered != 0, buf != nullptr, [&](auto centered, auto has_momentum) {
        for (int64_t i = begin; i < end; ++i) {
            const T g = sign * grad[i] + decay * p[i];
            T v = alpha * square[i] + take * g * g;
            square[i] = v;
            if constexpr (centered.value) {
                const T m = mean[i] + take * (g - mean[i]);
                mean[i] = m;
                v -= m * m;
            }
            T change = g / (T(sqrt(v)) + eps);
            if constexpr (has_momentum.value) buf[i] = change = momentum * buf[i] + change;
            p[i] -= lr * change;
        }
    });
}

template <class T>
void adagrad_chunk(const dl_optim_tensor& t, int64_t begin, int64_t end,
                   const dl_adagrad_options& o) {
    T* __restrict p = array<T>(t.param);
    const T* __restrict grad = static_cast<const T*>(t.grad);
    T* __restrict sum = array<T>(t.state[0]);
    const T sign = o.maximize ? T(-1) : T(1), decay = T(o.weight_decay), eps = T(o.eps);
    const T lr = T(o.lr / (1 + (t.step - 1) * o.lr_decay));
    for (int64_t i = begin; i < end; ++i) {
        const T g = sign * grad[i] + decay * p[i];
        const T s = sum[i] + g * g;
        sum[i] = s;
        p[i] -= lr * (g / (T(sqrt(s)) + eps));
    }
}

dl_status sgd(int32_t dtype, const dl_optim_tensor* t, int64_t n, const dl_sgd_options* o) {
    if (dtype == DL_F32)
        return for_each_chunk(t, n, [o](auto&... a) { sgd_chunk<float>(a..., *o); });
    if (dtype == DL_F64)
        return for_each_chunk(t, n, [o](auto&... a) { sgd_chunk<double>(a..., *o); });
    return DL_UNSUPPORTED;
}

dl_status adam(int32_t dtype, const dl_optim_tensor* t, int64_t n, const dl_adam_options* o) {
    if (dtype == DL_F32)
        return for_each_chunk(t, n, [o](auto&... a) { adam_chunk<float>(a..., *o); });
    if (dtype == DL_F64)
        return for_each_chunk(t, n, [o](auto&... a) { adam_chunk<double>(a..., *o); });
    return DL_UNSUPPORTED;
}

dl_status rmsprop(int32_t dtype, const dl_optim_tensor* t, int64_t n, const dl_rmsprop_options* o) {
    if (dtype == DL_F32)
        return for_each_chunk(t, n, [o](auto&... a) { rmsprop_chunk<float>(a..., *o); });
    if (dtype == DL_F64)
        return for_each_chunk(t, n, [o](auto&... a) { rmsprop_chunk<double>(a..., *o); });
    return DL_UNSUPPORTED;
}

dl_status adagrad(int32_t dtype, const dl_optim_tensor* t, int64_t n, const dl_adagrad_options* o) {
    if (dtype == DL_F32)
        return for_each_chunk(t, n, [o](auto&... a) { adagrad_chunk<float>(a..., *o); });
    if (dtype == DL_F64)
        return for_each_chunk(t, n, [o](auto&... a) { adagrad_chunk<double>(a..., *o); });
    return DL_UNSUPPORTED;
}

const dl_optim_table table = {sgd, adam, rmsprop, adagrad};

}  // namespace

const dl_optim_table* optim_table() { return &table; }

}  // namespace deeplite::cpu::DL_ISA
