// How a convolution finishes its results (dl_conv_finish): the norm as one multiply-add, the residual
// and the activation, while sums are in registers (conv_cut, conv_finished) or, tile by tile, in the
// first cache (conv_finish_rows). For kernels that know nothing of it a pass over y does the same (conv_finish_all).
#pragma once
#include "kernels/conv.h"
#include "kernels/cpu/gemm_epilogue.h"
#include "kernels/cpu/parallel.h"

namespace {

template <class T>
struct ConvFinish {
    bool on = false;
    const T *scale = nullptr, *shift = nullptr;  // of each channel; both or neither
    const T* residual = nullptr;                 // laid out as y
    const T* y = nullptr;
    int activation = DL_CONV_CUT;
    T low = T(0), high = T(0);

    ConvFinish() = default;
    // Of a finish that is folded: a weight and a shift alone.
    explicit ConvFinish(const dl_conv& p) : on(p.finish != nullptr) {
        if (!on) return;
        const dl_conv_finish& f = *p.finish;
        scale = static_cast<const T*>(f.weight), shift = static_cast<const T*>(f.shift);
        residual = static_cast<const T*>(f.residual), y = static_cast<const T*>(p.y);
        activation = f.activation, low = T(f.low), high = T(f.high);
    }
    bool cuts() const { return activation == DL_CONV_CUT; }
    const T* residual_of(const T* to) const { return residual + (to - y); }
};

// A call, not inline: kernels hold dozens of sums in registers, exponentials need as many.
template <class T>
__attribute__((noinline)) typename Vec<T>::type conv_activate(int activation,
                                                              typename Vec<T>::type v) {
    typedef typename Vec<T>::type vec;
    switch (activation) {
        case DL_CONV_SIGMOID:
            return gemm_activate(DL_GEMM_SIGMOID, v, T(1));
        case DL_CONV_TANH:
            return gemm_activate(DL_GEMM_TANH, v, T(1));
        case DL_CONV_SILU:
            return gemm_activate(DL_GEMM_SILU, v, T(1));
        case DL_CONV_GELU:
            return vgelu(v);
        case DL_CONV_GELU_TANH:
            return gemm_activate(DL_GEMM_GELU_TANH, v, T(1));
        default: {  // hard sigmoid and hard swish
            const vec six = vset1(T(6)), r = vmin(six, vmax(vec{}, v + vset1(T(3)))) / six;
            return activation == DL_CONV_HARDSWISH ? v * r : r;
        }
    }
}

// A finish that cuts, of n sums of a channel that go to `to`: all of it inline, for kernels that hold many.
template <class T>
DL_INLINE typename Vec<T>::type conv_cut(const ConvFinish<T>& f, typename Vec<T>::type v,
                                         int64_t channel, const T* to, int64_t n) {
    if (f.scale) v = v * vset1(f.scale[channel]) + vset1(f.shift[channel]);
    if (f.residual) v += n == Vec<T>::N ? vload(f.residual_of(to)) : vload_n(f.residual_of(to), n);
    return vmin(vset1(f.high), vmax(vset1(f.low), v));  // NaN stays
}
// Any finish.
template <class T>
DL_INLINE typename Vec<T>::type conv_finished(const ConvFinish<T>& f, typename Vec<T>::type v,
                                              typename Vec<T>::type scale,
                                              typename Vec<T>::type shift, const T* to, int64_t n) {
    if (f.scale) v = v * scale + shift;
    if (f.residual) v += n == Vec<T>::N ? vload(f.residual_of(to)) : vload_n(f.residual_of(to), n);
    return f.cuts() ? vmin(vset1(f.high), vmax(vset1(f.low), v))
                    : conv_activate<T>(f.activation, v);
}
template <class T>
DL_INLINE typename Vec<T>::type conv_finished(const ConvFinish<T>& f, typename Vec<T>::type v,
                                              int64_t channel, const T* to, int64_t n) {
    const T scale = f.scale ? f.scale[channel] : T(1), shift = f.scale ? f.shift[channel] : T(0);
    return conv_finished(f, v, vset1(scale), vset1(shift), to, n);
}

// Finishes `rows` channels from `channel` on in place: count results each, planes apart.
template <class T, bool cuts, bool adds>
void conv_finish_rows_as(ConvFinish<T> f, int64_t channel, T* to, int64_t plane, int64_t rows,
                         int64_t count) {
    typedef typename Vec<T>::type vec;
    constexpr int64_t N = Vec<T>::N;
    const vec low = vset1(f.low), high = vset1(f.high);
    for (int64_t r = 0; r < rows; ++r, to += plane) {
        const vec scale = vset1(f.scale ? f.scale[channel + r] : T(1));
        const vec shift = vset1(f.scale ? f.shift[channel + r] : T(0));
        const T* residual = adds ? f.residual_of(to) : to;
        const auto finished = [&](vec v, vec added) __attribute__((always_inline)) {
            v = v * scale + shift;
            if (adds) v += added;
            return cuts ? vmin(high, vmax(low, v)) : conv_activate<T>(f.activation, v);
        };
        int64_t i = 0;
        for (; i + N <= count; i += N) vstore(to + i, finished(vload(to + i), vload(residual + i)));
        if (const int64_t n = count - i; n > 0)
            vstore_n(to + i, finished(vload_n(to + i, n), vload_n(residual + i, n)), n);
    }
}
template <class T>
void conv_finish_rows(const ConvFinish<T>& f, int64_t channel, T* to, int64_t plane, int64_t rows,
                      int64_t count) {
    if (!f.cuts())
        f.residual ? conv_finish_rows_as<T, false, true>(f, channel, to, plane, rows, count)
                   : conv_finish_rows_as<T, false, false>(f, channel, to, plane, rows, count);
    else
        f.residual ? conv_finish_rows_as<T, true, true>(f, channel, to, plane, rows, count)
                   : conv_finish_rows_as<T, true, false>(f, channel, to, plane, rows, count);
}

// Asks for the residual of what conv_finish_rows will be called with: rows lie pages apart, where no
// hardware looks ahead.
template <class T>
DL_INLINE void conv_finish_ahead(const ConvFinish<T>& f, const T* to, int64_t plane, int64_t rows,
                                 int64_t count) {
    if (!f.residual) return;
    const T* from = f.residual_of(to);
    for (int64_t r = 0; r < rows; ++r, from += plane)
        for (int64_t i = 0; i < count; i += 64 / int64_t(sizeof(T))) __builtin_prefetch(from + i);
}

// All of y in place.
template <class T>
void conv_finish_all(const dl_conv& p) {
    constexpr int64_t N = Vec<T>::N;
    const ConvFinish<T> f(p);
    const int64_t size = p.out[0] * p.out[1] * p.out[2];
    const int64_t rows = p.channels_last ? p.n * size : p.n * p.k;
    const int64_t width = p.channels_last ? p.k : size;
    T* y = static_cast<T*>(p.y);
    parallel_for(rows, gemm_max(1, 32768 / gemm_max(1, width)), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            T* to = y + r * width;
            if (!p.channels_last) {
                conv_finish_rows(f, r % p.k, to, 0, 1, width);
                continue;
            }
            for (int64_t k = 0; k < width; k += N) {
                const int64_t n = gemm_min(N, width - k);
                typename Vec<T>::type scale{}, shift{};
                if (f.scale) scale = vload_n(f.scale + k, n), shift = vload_n(f.shift + k, n);
                vstore_n(to + k, conv_finished(f, vload_n(to + k, n), scale, shift, to + k, n), n);
            }
        }
    });
}

// p with its norm and bias folded to a scale and a shift of each channel, which live as long as this.
template <class T>
class ConvFolded {
 public:
    explicit ConvFolded(const dl_conv& p) : conv(p), finish(*p.finish) {
        conv.finish = &finish;
        if (!finish.mean && !finish.weight && !finish.shift) return;
        if (p.k > kFew) many = static_cast<T*>(__builtin_malloc(size_t(2 * p.k) * sizeof(T)));
        T* const scale = p.k > kFew ? many : few;
        ok = scale != nullptr;
        if (ok) fold(scale, scale + p.k);
    }
    ~ConvFolded() { __builtin_free(many); }
    ConvFolded(const ConvFolded&) = delete;
    ConvFolded& operator=(const ConvFolded&) = delete;

    dl_conv conv;
    bool ok = true;  // false: out of memory

 private:
    static constexpr int64_t kFew = 2048;
    dl_conv_finish finish;
    T few[2 * kFew];
    T* many = nullptr;

    void fold(T* scale, T* shift) {
        const T *mean = static_cast<const T*>(finish.mean),
                *bias = static_cast<const T*>(conv.bias);
        const T *var = static_cast<const T*>(finish.var), eps = T(finish.eps);
        const T* weight = static_cast<const T*>(finish.weight);
        const T* added = static_cast<const T*>(finish.shift);
        for (int64_t k = 0; k < conv.k; ++k) scale[k] = weight ? weight[k] : T(1);
        if (var)
            for (int64_t k = 0; k < conv.k; ++k) scale[k] /= root(var[k] + eps);
        for (int64_t k = 0; k < conv.k; ++k) shift[k] = added ? added[k] : T(0);
        if (mean)
            for (int64_t k = 0; k < conv.k; ++k) shift[k] -= mean[k] * scale[k];
        if (bias)
            for (int64_t k = 0; k < conv.k; ++k) shift[k] += bias[k] * scale[k];
        conv.bias = nullptr;
        finish.mean = finish.var = nullptr, finish.weight = scale, finish.shift = shift;
    }
    static float root(float x) { return __builtin_sqrtf(x); }
    static double root(double x) { return __builtin_sqrt(x); }
};

}  // namespace
