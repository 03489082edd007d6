// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) and the scalar
// distributions built on it. Shared by the random kernels and their reference twins; internal
// linkage.
#pragma once
#include <math.h>
#include <stdint.h>

#include "kernels/random.h"

namespace {

constexpr uint32_t kPhiloxM0 = 0xd2511f53u, kPhiloxM1 = 0xcd9e8d57u;  // multipliers
constexpr uint32_t kPhiloxW0 = 0x9e3779b9u, kPhiloxW1 = 0xbb67ae85u;  // key increments

struct Words {
    uint32_t w[4];
    uint64_t first() const { return uint64_t(w[0]) | uint64_t(w[1]) << 32; }
    uint64_t second() const { return uint64_t(w[2]) | uint64_t(w[3]) << 32; }
};

inline Words philox(uint64_t seed, uint64_t block, uint64_t attempt = 0) {
    uint32_t c0 = uint32_t(block), c1 = uint32_t(block >> 32);
    uint32_t c2 = uint32_t(attempt), c3 = uint32_t(attempt >> 32);
    uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
    for (int round = 0; round < 10; ++round) {
        const uint64_t p0 = uint64_t(kPhiloxM0) * c0, p1 = uint64_t(kPhiloxM1) * c2;
        c0 = uint32_t(p1 >> 32) ^ c1 ^ k0;
        c1 = uint32_t(p1);
        c2 = uint32_t(p0 >> 32) ^ c3 ^ k1;
        c3 = uint32_t(p0);
        k0 += kPhiloxW0;
        k1 += kPhiloxW1;
    }
    return Words{{c0, c1, c2, c3}};
}

inline float u24(uint32_t w) { return float(w >> 8) * 0x1p-24f; }               // [0, 1)
inline double u53(uint64_t w) { return double(w >> 11) * 0x1p-53; }             // [0, 1)
inline double open52(uint64_t w) { return (double(w >> 12) + 0.5) * 0x1p-52; }  // (0, 1)

// A 32-bit word is below this with probability p.
inline uint64_t threshold(double p) { return p >= 1 ? uint64_t(1) << 32 : uint64_t(p * 0x1p32); }

// low + floor(w * range / 2^64).
inline int64_t scaled_integer(uint64_t w, int64_t low, uint64_t range) {
    if (range == 0) return int64_t(uint64_t(low) + w);
    return int64_t(uint64_t(low) + uint64_t((static_cast<unsigned __int128>(w) * range) >> 64));
}

constexpr double kPi = 3.14159265358979323846;

inline double normal_of(Words w) {
    return sqrt(-2 * log(open52(w.first()))) * cos(2 * kPi * u53(w.second()));
}

inline double geometric_of(Words w, double p) {
    if (p >= 1) return 1;
    const double trials = ceil(log(open52(w.first())) / log1p(-p));
    return trials < 1 ? 1 : trials;
}

// Small rates by inversion, others by transformed rejection (Hoermann, "The transformed rejection
// method for generating Poisson random variables", 1993: algorithm PTRS).
inline double poisson_of(uint64_t seed, uint64_t block, double rate) {
    if (!(rate > 0)) return 0;
    if (rate < 10) {
        const double u = open52(philox(seed, block).first());
        double k = 0, p = exp(-rate), sum = p;
        while (u > sum && k < 200) {
            p *= rate / ++k;
            sum += p;
        }
        return k;
    }
    const double b = 0.931 + 2.53 * sqrt(rate), a = -0.059 + 0.02483 * b;
    const double inv_alpha = 1.1239 + 1.1328 / (b - 3.4), v_r = 0.9277 - 3.6224 / (b - 2);
    for (uint64_t attempt = 0; attempt < 1000; ++attempt) {
        const Words w = philox(seed, block, attempt);
        const double u = open52(w.first()) - 0.5, v = open52(w.second()), us = 0.5 - fabs(u);
        const double k = floor((2 * a / us + b) * u + rate + 0.43);
        if (us >= 0.07 && v <= v_r) return k;
        if (k < 0 || (us < 0.013 && v > us)) continue;
        int sign;
        if (log(v * inv_alpha / (a / (us * us) + b)) <=
            k * log(rate) - rate - lgamma_r(k + 1, &sign))
            return k;
    }
    return floor(rate);
}

// Element i of a distribution that takes one block per element. Integers come from scaled_integer.
__attribute__((noinline)) double element_of(int kind, const dl_random_args& a, int64_t i,
                                            double source) {
    const uint64_t block = a.offset + uint64_t(i);
    if (kind == DL_RANDOM_POISSON) return poisson_of(a.seed, block, source);
    const Words w = philox(a.seed, block);
    switch (kind) {
        case DL_RANDOM_UNIFORM: {
            const double v = a.a + u53(w.first()) * (a.b - a.a);
            return v < a.b ? v : a.a;  // rounding must not reach the open end
        }
        case DL_RANDOM_NORMAL:
            return a.a + a.b * normal_of(w);
        case DL_RANDOM_LOG_NORMAL:
            return exp(a.a + a.b * normal_of(w));
        case DL_RANDOM_CAUCHY:
            return a.a + a.b * tan(kPi * (open52(w.first()) - 0.5));
        case DL_RANDOM_EXPONENTIAL:
            return -log(open52(w.first())) / a.a;
        default:
            return geometric_of(w, a.a);
    }
}

// A double as a T, integers saturated.
template <class T>
inline T saturated(double v, double limit) {
    return v >= limit ? T(limit) : T(v);
}

inline double source_at(const dl_random_args& a, int64_t i) {
    if (!a.source) return 0;
    return a.source_dtype == DL_F32 ? double(static_cast<const float*>(a.source)[i])
                                    : static_cast<const double*>(a.source)[i];
}

// One row of a multinomial draw. room: n doubles and n int64s.
[[maybe_unused]] dl_status multinomial_row(const dl_multinomial_args& a, int64_t row, double* key,
                                           int64_t* heap) {
    int64_t positive = 0;
    double total = 0;
    for (int64_t i = 0; i < a.n; ++i) {
        const double w = a.dtype == DL_F32
                             ? double(static_cast<const float*>(a.weights)[row * a.n + i])
                             : static_cast<const double*>(a.weights)[row * a.n + i];
        if (!(w >= 0) || w > 1.7976931348623157e308) return DL_BAD_INDEX;
        positive += w > 0;
        total += w;
        if (a.replacement) {
            key[i] = total;  // cumulative
        } else {  // the order of exponential arrivals with rates w is a draw without replacement
            const uint64_t block = a.offset + uint64_t(row * a.n + i);
            key[i] = w > 0 ? -log(open52(philox(a.seed, block).first())) / w : INFINITY;
        }
    }
    if (positive == 0 || (!a.replacement && positive < a.k)) return DL_BAD_INDEX;
    int64_t* out = a.out + row * a.k;
    if (a.replacement) {
        for (int64_t j = 0; j < a.k; ++j) {
            const double u =
                u53(philox(a.seed, a.offset + uint64_t(row * a.k + j)).first()) * total;
            int64_t lo = 0, hi = a.n - 1;  // first cumulative weight above u
            while (lo < hi) {
                const int64_t mid = (lo + hi) / 2;
                if (key[mid] > u)
                    hi = mid;
                else
                    lo = mid + 1;
            }
            // u * total may round up to total: step back from weights of zero
            while (lo > 0 && key[lo] == key[lo - 1]) --lo;
            out[j] = lo;
        }
        return DL_OK;
    }
    const auto sift = [&](int64_t at, int64_t n) {
        for (int64_t child; (child = 2 * at + 1) < n; at = child) {
            if (child + 1 < n && key[heap[child + 1]] < key[heap[child]]) ++child;
            if (!(key[heap[child]] < key[heap[at]])) return;
            const int64_t t = heap[at];
            heap[at] = heap[child];
            heap[child] = t;
        }
    };
    for (int64_t i = 0; i < a.n; ++i) heap[i] = i;
    for (int64_t i = a.n / 2 - 1; i >= 0; --i) sift(i, a.n);
    for (int64_t j = 0, n = a.n; j < a.k; ++j) {
        out[j] = heap[0];
        heap[0] = heap[--n];
        sift(0, n);
    }
    return DL_OK;
}

}  // namespace
