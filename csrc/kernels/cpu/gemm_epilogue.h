// What is done to a product on its way to memory.
#pragma once
#include "kernels/cpu/gemm_tile.h"
#include "kernels/cpu/vmath.h"

namespace {

// Where the result goes and what is done to it on the way:
//     C = act(scale * alpha * A @ B + beta * D + bias)
// D and the bias join the first block of k, the activation follows the last.
template <class T>
struct GemmOut {
    T* c;
    int64_t rs, cs;  // strides of C's rows and columns, in elements
    T alpha = T(1);
    T beta = T(0);  // of d; with 0 d is not read
    const T* d = nullptr;
    int64_t d_rs = 0, d_cs = 0;
    const T* bias = nullptr;  // (1, 0): one value per row, (0, 1): per column
    int64_t bias_rs = 0, bias_cs = 0;
    int activation = DL_GEMM_NONE;
    const T* scale = nullptr;  // like the bias
    int64_t scale_rs = 0, scale_cs = 0;
    // Other micro-kernels than T's own, by half their rows: for tiles of all vectors and of one.
    const GemmMicro<T>*micros = nullptr, *narrow_micros = nullptr;

    GemmOut transposed() const {
        GemmOut o = *this;
        o.rs = cs, o.cs = rs, o.d_rs = d_cs, o.d_cs = d_rs;
        o.bias_rs = bias_cs, o.bias_cs = bias_rs, o.scale_rs = scale_cs, o.scale_cs = scale_rs;
        return o;
    }
    bool adds_d() const { return d && beta != T(0); }
    bool accumulates() const { return d == c && beta == T(1) && d_rs == rs && d_cs == cs; }
    // Whether the micro-kernel may write block number `first`/`last` of k to C by itself.
    bool plain(bool first, bool last) const {
        return cs == 1 && !scale && !(last && activation) &&
               !(first && (bias || (adds_d() && !accumulates())));
    }
};

// The formulas of nn's layers of these names (elementwise_activation.h), on whole vectors.
template <class V, class T>
V gemm_activate(int activation, V x, T one) {
    switch (activation) {
        case DL_GEMM_RELU:
            return x < V{} ? V{} : x;  // NaN stays
        case DL_GEMM_SIGMOID:
            return vsigmoid(x);
        case DL_GEMM_TANH:
            return vtanh(x);
        case DL_GEMM_SILU:
            return x / (vexp(-x) + one);
        case DL_GEMM_GELU:
            return x * T(0.5) * (verf(x * T(0.70710678118654752)) + one);
        case DL_GEMM_GELU_TANH:
            return x * vsigmoid(x * T(1.5957691216057308) * (x * x * T(0.044715) + one));
        default:
            return x;
    }
}

// n <= N elements, `step` apart, and back.
template <class T>
DL_INLINE typename Vec<T>::type gemm_gather(const T* p, int64_t step, int64_t n) {
    if (step == 1) return n == Vec<T>::N ? vload(p) : vload_n(p, n);
    if (step == 0) return vset1(*p);
    typename Vec<T>::type v{};
    for (int64_t i = 0; i < n; ++i) v[i] = p[i * step];
    return v;
}
template <class T>
DL_INLINE void gemm_scatter(T* p, int64_t step, typename Vec<T>::type v, int64_t n) {
    if (step != 1)
        for (int64_t i = 0; i < n; ++i) p[i * step] = v[i];
    else if (n == Vec<T>::N)
        vstore(p, v);
    else
        vstore_n(p, v, n);
}

// Brings a finished tile t [mr, nr] (rows ld apart) to C at (i0, j0), alpha not yet applied.
template <class T>
void gemm_store_tile(const GemmOut<T>& o, const T* t, int64_t ld, int64_t i0, int64_t j0,
                     int64_t mr, int64_t nr, bool first, bool last) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    const bool d = first && o.adds_d(), bias = first && o.bias, act = last && o.activation;
    const vec alpha = vset1(o.alpha), beta = vset1(o.beta);
    for (int64_t i = i0; i < i0 + mr; ++i, t += ld)
        for (int64_t j = j0; j < j0 + nr; j += N) {
            const int64_t n = gemm_min(N, j0 + nr - j);
            T* c = o.c + i * o.rs + j * o.cs;
            vec y = alpha * gemm_gather(t + j - j0, 1, n);
            if (o.scale) y *= gemm_gather(o.scale + i * o.scale_rs + j * o.scale_cs, o.scale_cs, n);
            if (!first) y += gemm_gather(c, o.cs, n);
            if (d) y += beta * gemm_gather(o.d + i * o.d_rs + j * o.d_cs, o.d_cs, n);
            if (bias) y += gemm_gather(o.bias + i * o.bias_rs + j * o.bias_cs, o.bias_cs, n);
            if (act) y = gemm_activate(o.activation, y, T(1));
            gemm_scatter(c, o.cs, y, n);
        }
}

// Rows [begin, end) of a whole product t [.., n].
template <class T>
void gemm_store_rows(const GemmOut<T>& o, const T* t, int64_t n, int64_t begin, int64_t end) {
    constexpr int64_t NR = GemmTile<T>::NR;
    for (int64_t j = 0; j < n; j += NR)
        gemm_store_tile(o, t + begin * n + j, n, begin, j, end - begin, gemm_min(NR, n - j), true,
                        true);
}

}  // namespace
