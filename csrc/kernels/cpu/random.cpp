// Random fills. The hot ones (f32 uniform, normal, bernoulli, dropout) compute kLanes Philox blocks
// at a time in loops that the compiler turns into vectors; the others go block by block.

// A fused multiply-add rounds once where an instruction set without it rounds twice. Off in this
// file: the same seed must give the same bits everywhere.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

#include "kernels/random.h"

#include <math.h>
#include <string.h>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/random_common.h"

namespace deeplite::cpu::DL_ISA {
namespace {

constexpr int kLanes = 64;               // blocks computed together
constexpr int kBatch = 4 * kLanes;       // words they give
constexpr int64_t kGrain = 64 * kBatch;  // elements per chunk
constexpr int64_t kSlowGrain = 2048;     // where an element costs a logarithm

inline int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

// out[4 * l + j] = word j of block first + l.
__attribute__((noinline)) void philox_batch(uint64_t seed, uint64_t first,
                                            uint32_t* __restrict out) {
    uint32_t c0[kLanes], c1[kLanes], c2[kLanes], c3[kLanes];
    for (int l = 0; l < kLanes; ++l) {
        c0[l] = uint32_t(first + uint64_t(l));
        c1[l] = uint32_t((first + uint64_t(l)) >> 32);
        c2[l] = 0;
        c3[l] = 0;
    }
    uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
    for (int round = 0; round < 10; ++round) {
        for (int l = 0; l < kLanes; ++l) {
            const uint64_t p0 = uint64_t(kPhiloxM0) * c0[l], p1 = uint64_t(kPhiloxM1) * c2[l];
            c0[l] = uint32_t(p1 >> 32) ^ c1[l] ^ k0;
            c1[l] = uint32_t(p1);
            c2[l] = uint32_t(p0 >> 32) ^ c3[l] ^ k1;
            c3[l] = uint32_t(p0);
        }
        k0 += kPhiloxW0;
        k1 += kPhiloxW1;
    }
    for (int l = 0; l < kLanes; ++l) {
        out[4 * l] = c0[l];
        out[4 * l + 1] = c1[l];
        out[4 * l + 2] = c2[l];
        out[4 * l + 3] = c3[l];
    }
}

// f(first element, how many (at most kBatch), their words) over all elements; four to a block.
template <class F>
void for_words(uint64_t seed, uint64_t offset, int64_t n, const F& f) {
    parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
        uint32_t words[kBatch];
        for (int64_t i = begin; i < end; i += kBatch) {
            philox_batch(seed, offset + uint64_t(i / 4), words);
            f(i, at_most(kBatch, end - i), words);
        }
    });
}

// Natural logarithm of x in (0, 1], normal numbers only: ln x = e ln 2 + 2 artanh((m-1)/(m+1)) with
// m in [sqrt(1/2), sqrt(2)); the series is cut where its next term is below 2^-28.
inline float log_unit(float x) {
    uint32_t bits;
    memcpy(&bits, &x, 4);
    const uint32_t shifted = bits - 0x3f3504f3u;  // sqrt(1/2)
    const int32_t e = int32_t(shifted) >> 23;
    const uint32_t m_bits = (shifted & 0x7fffffu) + 0x3f3504f3u;
    float m;
    memcpy(&m, &m_bits, 4);
    const float s = (m - 1.0f) / (m + 1.0f), z = s * s;
    const float series = 1.0f + z * (1.0f / 3 + z * (1.0f / 5 + z * (1.0f / 7 + z * (1.0f / 9))));
    return float(e) * 0.693147180559945f + 2.0f * s * series;
}

// cos and sin of 2 pi t for t in [0, 1): Taylor series on an eighth of a turn either side.
inline void cos_sin_turn(float t, float* c, float* s) {
    const int32_t quarter = int32_t(t * 4.0f + 0.5f);
    const float x = (t - float(quarter) * 0.25f) * 6.283185307179586f, z = x * x;
    const float sine =
        x * (1.0f - z * (1.0f / 6 - z * (1.0f / 120 - z * (1.0f / 5040 - z * (1.0f / 362880)))));
    const float cosine =
        1.0f - z * (1.0f / 2 - z * (1.0f / 24 - z * (1.0f / 720 - z * (1.0f / 40320))));
    const bool swapped = quarter & 1;
    const float cc = swapped ? sine : cosine, ss = swapped ? cosine : sine;
    *c = ((quarter + 1) & 2) ? -cc : cc;
    *s = (quarter & 2) ? -ss : ss;
}

// kBatch standard normals from kBatch words: words 2i and 2i+1 give numbers 2i and 2i+1.
__attribute__((noinline)) void box_muller(const uint32_t* __restrict words, float* __restrict out) {
    float c[kBatch / 2], s[kBatch / 2];
    for (int i = 0; i < kBatch / 2; ++i) {
        const float u = float((words[2 * i] >> 8) + 1) * 0x1p-24f;  // (0, 1]
        const float radius = sqrtf(-2.0f * log_unit(u));
        cos_sin_turn(u24(words[2 * i + 1]), &c[i], &s[i]);
        c[i] *= radius;
        s[i] *= radius;
    }
    for (int i = 0; i < kBatch / 2; ++i) {
        out[2 * i] = c[i];
        out[2 * i + 1] = s[i];
    }
}

void uniform_f32(const dl_random_args& a) {
    const float low = float(a.a), high = float(a.b), width = float(a.b - a.a);
    for_words(a.seed, a.offset, a.n, [&](int64_t first, int64_t n, const uint32_t* words) {
        float* out = static_cast<float*>(a.out) + first;
        for (int64_t i = 0; i < n; ++i) {
            const float v = low + u24(words[i]) * width;
            out[i] = v < high ? v : low;  // rounding must not reach the open end
        }
    });
}

void normal_f32(const dl_random_args& a) {
    const float mean = float(a.a), deviation = float(a.b);
    for_words(a.seed, a.offset, a.n, [&](int64_t first, int64_t n, const uint32_t* words) {
        float* out = static_cast<float*>(a.out) + first;
        float z[kBatch];
        box_muller(words, z);
        for (int64_t i = 0; i < n; ++i) out[i] = mean + deviation * z[i];
    });
}

// All kinds that take one block per element and go through double.
template <int kind, class T>
void fill_slow(const dl_random_args& a, double limit) {
    parallel_for(a.n, kSlowGrain, [&](int64_t begin, int64_t end) {
        T* out = static_cast<T*>(a.out);
        for (int64_t i = begin; i < end; ++i)
            out[i] = saturated<T>(element_of(kind, a, i, source_at(a, i)), limit);
    });
}

template <int kind>
dl_status fill_real(const dl_random_args* args) {
    const dl_random_args& a = *args;
    if (a.dtype == DL_F32) {
        if constexpr (kind == DL_RANDOM_UNIFORM)
            uniform_f32(a);
        else if constexpr (kind == DL_RANDOM_NORMAL)
            normal_f32(a);
        else
            fill_slow<kind, float>(a, INFINITY);
        return DL_OK;
    }
    if (a.dtype != DL_F64) return DL_UNSUPPORTED;
    fill_slow<kind, double>(a, INFINITY);
    return DL_OK;
}

dl_status geometric(const dl_random_args* a) {
    constexpr int kind = DL_RANDOM_GEOMETRIC;
    switch (a->dtype) {
        case DL_I64:
            fill_slow<kind, int64_t>(*a, 0x1p62);
            return DL_OK;
        case DL_I32:
            fill_slow<kind, int32_t>(*a, 2147483647.0);
            return DL_OK;
        case DL_I16:
            fill_slow<kind, int16_t>(*a, 32767.0);
            return DL_OK;
        case DL_I8:
            fill_slow<kind, int8_t>(*a, 127.0);
            return DL_OK;
        case DL_U8:
            fill_slow<kind, uint8_t>(*a, 255.0);
            return DL_OK;
        default:
            return fill_real<kind>(a);
    }
}

template <class T>
void bernoulli_typed(const dl_random_args& a) {
    const uint64_t limit = threshold(a.a);
    for_words(a.seed, a.offset, a.n, [&](int64_t first, int64_t n, const uint32_t* words) {
        T* out = static_cast<T*>(a.out) + first;
        if (a.source) {
            for (int64_t i = 0; i < n; ++i)
                out[i] = T(words[i] < threshold(source_at(a, first + i)));
        } else {
            for (int64_t i = 0; i < n; ++i) out[i] = T(words[i] < limit);
        }
    });
}

// The first 64 bits of block l of a batch.
inline uint64_t first_of(const uint32_t* words, int64_t l) {
    return uint64_t(words[4 * l]) | uint64_t(words[4 * l + 1]) << 32;
}

template <class T>
void integer_typed(const dl_random_args& a) {
    parallel_for(a.n, kGrain / 4, [&](int64_t begin, int64_t end) {
        T* out = static_cast<T*>(a.out);
        uint32_t words[kBatch];
        for (int64_t i = begin; i < end; i += kLanes) {
            philox_batch(a.seed, a.offset + uint64_t(i), words);
            const int64_t n = at_most(kLanes, end - i);
            for (int64_t l = 0; l < n; ++l)
                out[i + l] = T(scaled_integer(first_of(words, l), a.low, a.range));
        }
    });
}

// Fisher and Yates's shuffle; step i takes block i.
dl_status permutation(uint64_t seed, uint64_t offset, int64_t n, int64_t* out) {
    uint32_t words[kBatch];
    for (int64_t i = 0; i < n; ++i) {
        if (i % kLanes == 0) philox_batch(seed, offset + uint64_t(i), words);
        const int64_t j = scaled_integer(first_of(words, i % kLanes), 0, uint64_t(i) + 1);  // 0..i
        out[i] = out[j];
        out[j] = i;
    }
    return DL_OK;
}

dl_status bernoulli(const dl_random_args* a) {
    switch (a->dtype) {
        case DL_F32:
            bernoulli_typed<float>(*a);
            return DL_OK;
        case DL_F64:
            bernoulli_typed<double>(*a);
            return DL_OK;
        case DL_I64:
            bernoulli_typed<int64_t>(*a);
            return DL_OK;
        case DL_I32:
            bernoulli_typed<int32_t>(*a);
            return DL_OK;
        case DL_I16:
            bernoulli_typed<int16_t>(*a);
            return DL_OK;
        case DL_I8:
        case DL_U8:
        case DL_BOOL:
            bernoulli_typed<uint8_t>(*a);
            return DL_OK;
        default:
            return DL_UNSUPPORTED;
    }
}

dl_status integer(const dl_random_args* a) {
    switch (a->dtype) {
        case DL_F32:
            integer_typed<float>(*a);
            return DL_OK;
        case DL_F64:
            integer_typed<double>(*a);
            return DL_OK;
        case DL_I64:
            integer_typed<int64_t>(*a);
            return DL_OK;
        case DL_I32:
            integer_typed<int32_t>(*a);
            return DL_OK;
        case DL_I16:
            integer_typed<int16_t>(*a);
            return DL_OK;
        case DL_I8:
            integer_typed<int8_t>(*a);
            return DL_OK;
        case DL_U8:
            integer_typed<uint8_t>(*a);
            return DL_OK;
        case DL_BOOL:
            integer_typed<bool>(*a);
            return DL_OK;
        default:
            return DL_UNSUPPORTED;
    }
}

template <class T>
void dropout_typed(const dl_dropout_args& a) {
    const uint64_t limit = threshold(a.p);
    const T scale = T(a.scale);
    for_words(a.seed, a.offset, a.n, [&](int64_t first, int64_t n, const uint32_t* words) {
        uint8_t* mask = a.mask + first;
        for (int64_t i = 0; i < n; ++i) mask[i] = words[i] >= limit;
        if (!a.y) return;
        const T* x = static_cast<const T*>(a.x) + first;
        T* y = static_cast<T*>(a.y) + first;
        for (int64_t i = 0; i < n; ++i) y[i] = words[i] >= limit ? x[i] * scale : T(0);
    });
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

template <class T>
void dropout_chunk(const T* __restrict dy, const uint8_t* __restrict mask, T* __restrict dx,
                   int64_t n, T scale) {
    for (int64_t i = 0; i < n; ++i) {
        const T d = dy[i] * scale;
        dx[i] = mask[i] ? d : T(0);
    }
}
template <class T>
void dropout_backward_typed(const T* dy, const uint8_t* mask, T* dx, int64_t n, T scale) {
    parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
        dropout_chunk(dy + begin, mask + begin, dx + begin, end - begin, scale);
    });
}

dl_status dropout_backward(const void* dy, const uint8_t* mask, void* dx, int64_t n, double scale,
                           int32_t dtype) {
    if (dtype == DL_F32)
        dropout_backward_typed(static_cast<const float*>(dy), mask, static_cast<float*>(dx), n,
                               float(scale));
    else if (dtype == DL_F64)
        dropout_backward_typed(static_cast<const double*>(dy), mask, static_cast<double*>(dx), n,
                               scale);
    else
        return DL_UNSUPPORTED;
    return DL_OK;
}

dl_status multinomial(const dl_multinomial_args* args) {
    const dl_multinomial_args& a = *args;
    if (a.dtype != DL_F32 && a.dtype != DL_F64) return DL_UNSUPPORTED;
    int status = DL_OK;
    const int64_t grain = a.n + a.k >= kSlowGrain ? 1 : kSlowGrain / (a.n + a.k + 1) + 1;
    parallel_for(a.rows, grain, [&](int64_t begin, int64_t end) {
        double* key = static_cast<double*>(dl_scratch(size_t(a.n) * 16, 1));
        for (int64_t row = begin; row < end; ++row) {
            const dl_status s =
                key ? multinomial_row(a, row, key, reinterpret_cast<int64_t*>(key + a.n))
                    : DL_OUT_OF_MEMORY;
            if (s) __atomic_store_n(&status, int(s), __ATOMIC_RELAXED);
        }
    });
    return dl_status(status);
}

}  // namespace

const dl_random_table* random_table() {
    static const dl_random_table table = {
        .fill = {fill_real<DL_RANDOM_UNIFORM>, fill_real<DL_RANDOM_NORMAL>,
                 fill_real<DL_RANDOM_LOG_NORMAL>, fill_real<DL_RANDOM_CAUCHY>,
                 fill_real<DL_RANDOM_EXPONENTIAL>, geometric, bernoulli, integer,
                 fill_real<DL_RANDOM_POISSON>},
        .dropout = dropout,
        .dropout_backward = dropout_backward,
        .permutation = permutation,
        .multinomial = multinomial,
    };
    return &table;
}

}  // namespace deeplite::cpu::DL_ISA
