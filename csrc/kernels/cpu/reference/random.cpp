// The random family in plain loops: one element at a time, logarithms and angles from libm.
#include "kernels/random.h"

#include <math.h>

#include "kernels/cpu/random_common.h"
#include "kernels/parallel.h"

namespace deeplite::cpu::reference {
namespace {

// The word that a four-to-a-block kind gives element i.
uint32_t word_of(uint64_t seed, uint64_t offset, int64_t i) {
    return philox(seed, offset + uint64_t(i / 4)).w[i % 4];
}

float normal_f32(const dl_random_args& a, int64_t i) {
    const Words w = philox(a.seed, a.offset + uint64_t(i / 4));
    const int pair = int(i % 4) / 2 * 2;
    const double u = double((w.w[pair] >> 8) + 1) * 0x1p-24;
    const double angle = 2 * kPi * double(u24(w.w[pair + 1]));
    const float z = float(sqrt(-2 * log(u)) * (i % 2 ? sin(angle) : cos(angle)));
    return float(a.a) + float(a.b) * z;
}

float uniform_f32(const dl_random_args& a, int64_t i) {
    const float v = float(a.a) + u24(word_of(a.seed, a.offset, i)) * float(a.b - a.a);
    return v < float(a.b) ? v : float(a.a);
}

// f(i) as element i of out, which holds T.
template <class T, class F>
dl_status store(const dl_random_args& a, const F& f) {
    for (int64_t i = 0; i < a.n; ++i) static_cast<T*>(a.out)[i] = T(f(i));
    return DL_OK;
}

// The same for any dtype but half ones; values must fit.
template <class F>
dl_status store_any(const dl_random_args& a, const F& f) {
    switch (a.dtype) {
        case DL_F32:
            return store<float>(a, f);
        case DL_F64:
            return store<double>(a, f);
        case DL_I64:
            return store<int64_t>(a, f);
        case DL_I32:
            return store<int32_t>(a, f);
        case DL_I16:
            return store<int16_t>(a, f);
        case DL_I8:
            return store<int8_t>(a, f);
        case DL_U8:
            return store<uint8_t>(a, f);
        case DL_BOOL:
            return store<bool>(a, f);
        default:
            return DL_UNSUPPORTED;
    }
}

template <int kind>
dl_status real(const dl_random_args* args) {
    const dl_random_args& a = *args;
    if (a.dtype == DL_F32 && kind == DL_RANDOM_UNIFORM)
        return store<float>(a, [&](int64_t i) { return uniform_f32(a, i); });
    if (a.dtype == DL_F32 && kind == DL_RANDOM_NORMAL)
        return store<float>(a, [&](int64_t i) { return normal_f32(a, i); });
    if (a.dtype != DL_F32 && a.dtype != DL_F64) return DL_UNSUPPORTED;
    return store_any(a, [&](int64_t i) { return element_of(kind, a, i, source_at(a, i)); });
}

dl_status geometric(const dl_random_args* args) {
    const dl_random_args& a = *args;
    const double limit = a.dtype == DL_I64   ? 0x1p62
                         : a.dtype == DL_I32 ? 2147483647.0
                         : a.dtype == DL_I16 ? 32767.0
                         : a.dtype == DL_I8  ? 127.0
                         : a.dtype == DL_U8  ? 255.0
                                             : INFINITY;
    if (a.dtype == DL_BOOL) return DL_UNSUPPORTED;
    return store_any(
        a, [&](int64_t i) { return fmin(element_of(DL_RANDOM_GEOMETRIC, a, i, 0), limit); });
}

dl_status bernoulli(const dl_random_args* args) {
    const dl_random_args& a = *args;
    return store_any(a, [&](int64_t i) {
        return word_of(a.seed, a.offset, i) < threshold(a.source ? source_at(a, i) : a.a);
    });
}

dl_status integer(const dl_random_args* args) {
    const dl_random_args& a = *args;
    return store_any(a, [&](int64_t i) {
        return scaled_integer(philox(a.seed, a.offset + uint64_t(i)).first(), a.low, a.range);
    });
}

template <class T>
void dropout_typed(const dl_dropout_args& a) {
    for (int64_t i = 0; i < a.n; ++i) {
        a.mask[i] = word_of(a.seed, a.offset, i) >= threshold(a.p);
        if (a.y)
            static_cast<T*>(a.y)[i] = a.mask[i] ? static_cast<const T*>(a.x)[i] * T(a.scale) : T(0);
    }
}

dl_status dropout(const dl_dropout_args* a) {
    if (a->dtype == DL_F32)
        dropout_typed<float>(*a);
    else if (a->dtype == DL_F64)
        dropout_typed<double>(*a);
    else
        return DL_UNSUPPORTED;
    return DL_OK;
}

dl_status dropout_backward(const void* dy, const uint8_t* mask, void* dx, int64_t n, double scale,
                           int32_t dtype) {
    for (int64_t i = 0; i < n; ++i)
        if (dtype == DL_F32)
            static_cast<float*>(dx)[i] =
                mask[i] ? static_cast<const float*>(dy)[i] * float(scale) : 0;
        else if (dtype == DL_F64)
            static_cast<double*>(dx)[i] = mask[i] ? static_cast<const double*>(dy)[i] * scale : 0;
        else
            return DL_UNSUPPORTED;
    return DL_OK;
}

// Fisher and Yates's shuffle; step i takes block i.
dl_status permutation(uint64_t seed, uint64_t offset, int64_t n, int64_t* out) {
    for (int64_t i = 0; i < n; ++i) {
        const uint64_t word = philox(seed, offset + uint64_t(i)).first();
        const int64_t j = scaled_integer(word, 0, uint64_t(i) + 1);  // 0..i
        out[i] = out[j];
        out[j] = i;
    }
    return DL_OK;
}

dl_status multinomial(const dl_multinomial_args* args) {
    const dl_multinomial_args& a = *args;
    if (a.dtype != DL_F32 && a.dtype != DL_F64) return DL_UNSUPPORTED;
    double* key = static_cast<double*>(dl_scratch(size_t(a.n) * 16, 0));
    if (!key) return DL_OUT_OF_MEMORY;
    for (int64_t row = 0; row < a.rows; ++row)
        if (dl_status s = multinomial_row(a, row, key, reinterpret_cast<int64_t*>(key + a.n)))
            return s;
    return DL_OK;
}

}  // namespace

const dl_random_table* random_table() {
    static const dl_random_table table = {
        .fill = {real<DL_RANDOM_UNIFORM>, real<DL_RANDOM_NORMAL>, real<DL_RANDOM_LOG_NORMAL>,
                 real<DL_RANDOM_CAUCHY>, real<DL_RANDOM_EXPONENTIAL>, geometric, bernoulli, integer,
                 real<DL_RANDOM_POISSON>},
        .dropout = dropout,
        .dropout_backward = dropout_backward,
        .permutation = permutation,
        .multinomial = multinomial,
    };
    return &table;
}

}  // namespace deeplite::cpu::reference
