// The arithmetic of normalisation on contiguous stretches of memory, shared by batch, layer and
// group norm. Sums run in vectors of T over stretches of a few thousand elements, which are then
// combined in double: exact to the last bits of T for any length, and in the same order for any
// thread count.
#pragma once
#include <math.h>

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/parallel.h"

namespace {

constexpr int64_t kNormBlock = 4096;  // elements summed in T before double takes over

// A running sum over several stretches.
template <class T>
struct NormSum {
    typename Vec<T>::type lanes[2] = {};
};

// f(i, lanes) for vectors that cover [0, n).
template <class T, class F>
DL_INLINE void norm_vectors(int64_t n, const F& f) {
    constexpr int64_t N = Vec<T>::N;
    int64_t i = 0;
    for (; i + N <= n; i += N) f(i, N);
    if (i < n) f(i, n - i);
}

template <class T>
DL_INLINE void norm_add_values(NormSum<T>& sum, const T* x, int64_t n) {
    constexpr int N = Vec<T>::N;
    int64_t i = 0;
    for (; i + 2 * N <= n; i += 2 * N) {
        sum.lanes[0] += vload(x + i);
        sum.lanes[1] += vload(x + i + N);
    }
    norm_vectors<T>(n - i, [&](int64_t j, int64_t m) __attribute__((always_inline)) {
        sum.lanes[0] += vload_lanes(x + i + j, m);
    });
}
// Distances to `centre`, and their squares.
template <class T>
DL_INLINE void norm_add_distances(NormSum<T>& sum, NormSum<T>& squares, const T* x, int64_t n,
                                  T centre) {
    constexpr int N = Vec<T>::N;
    const typename Vec<T>::type c = vset1(centre);
    int64_t i = 0;
    for (; i + 2 * N <= n; i += 2 * N) {
        const typename Vec<T>::type d0 = vload(x + i) - c, d1 = vload(x + i + N) - c;
        sum.lanes[0] += d0;
        sum.lanes[1] += d1;
        squares.lanes[0] += d0 * d0;
        squares.lanes[1] += d1 * d1;
    }
    norm_vectors<T>(n - i, [&](int64_t j, int64_t m) __attribute__((always_inline)) {
        const typename Vec<T>::type d = vload_lanes(x + i + j, m, centre) - c;
        sum.lanes[0] += d;
        squares.lanes[0] += d * d;
    });
}
// dy, and dy * (x - centre).
template <class T>
DL_INLINE void norm_add_products(NormSum<T>& sum, NormSum<T>& dot, const T* dy, const T* x,
                                 int64_t n, T centre) {
    constexpr int N = Vec<T>::N;
    const typename Vec<T>::type c = vset1(centre);
    int64_t i = 0;
    for (; i + 2 * N <= n; i += 2 * N) {
        const typename Vec<T>::type d0 = vload(dy + i), d1 = vload(dy + i + N);
        sum.lanes[0] += d0;
        sum.lanes[1] += d1;
        dot.lanes[0] += d0 * (vload(x + i) - c);
        dot.lanes[1] += d1 * (vload(x + i + N) - c);
    }
    norm_vectors<T>(n - i, [&](int64_t j, int64_t m) __attribute__((always_inline)) {
        const typename Vec<T>::type d = vload_lanes(dy + i + j, m);
        sum.lanes[0] += d;
        dot.lanes[0] += d * (vload_lanes(x + i + j, m, centre) - c);
    });
}
template <class T>
DL_INLINE double norm_total(const NormSum<T>& s) {
    return double(vreduce_add<T>(s.lanes[0] + s.lanes[1]));
}

// Count, mean and sum of squared distances from the mean, of some elements.
struct Moments {
    double count = 0, mean = 0, m2 = 0;
    DL_INLINE Moments plus(const Moments& a, const Moments& b) {
        if (a.count == 0) return b;
        const double n = a.count + b.count, d = b.mean - a.mean;
        return {n, a.mean + d * b.count / n, a.m2 + b.m2 + d * d * (a.count * b.count / n)};
    }
};

// Moments of `count` elements from the sums of their distances to a point near their mean and of
// the squares of these. Being small, the distances bring the mean to full precision.
template <class T>
DL_INLINE Moments moments_near(T centre, double count, double sum, double squares) {
    const double m2 = squares - sum * sum / count;
    return {count, double(centre) + sum / count, m2 > 0 || m2 != m2 ? m2 : 0};
}

// Moments of n contiguous elements.
template <class T>
Moments row_moments(const T* x, int64_t n) {
    Moments all;
    for (int64_t i = 0; i < n; i += kNormBlock) {
        const int64_t len = n - i < kNormBlock ? n - i : kNormBlock;
        NormSum<T> rough, sum, squares;
        norm_add_values(rough, x + i, len);
        const T centre = T(norm_total(rough) / double(len));
        norm_add_distances(sum, squares, x + i, len, centre);
        all = Moments::plus(
            all, moments_near(centre, double(len), norm_total(sum), norm_total(squares)));
    }
    return all;
}

// y = (x - centre) * scale + shift
template <class T>
DL_INLINE void row_affine(T* y, const T* x, int64_t n, T centre, T scale, T shift) {
    const typename Vec<T>::type c = vset1(centre), f = vset1(scale), s = vset1(shift);
    norm_vectors<T>(n, [&](int64_t i, int64_t m) __attribute__((always_inline)) {
        vstore_lanes(y + i, (vload_lanes(x + i, m) - c) * f + s, m);
    });
}

// Cuts `parts * blocks` pieces of work in two stages with a meeting between them: measure every
// part of a block, finish the block from its parts, then write every part. With one part a block is
// measured and written by one thread while it is still in cache.
template <class Measure, class Finish, class Write>
void norm_two_stages(int64_t blocks, int64_t parts, int64_t grain, const Measure& measure,
                     const Finish& finish, const Write& write) {
    if (parts == 1) {
        parallel_for(blocks, grain, [&](int64_t begin, int64_t end) {
            for (int64_t b = begin; b < end; ++b) {
                measure(b, 0);
                finish(b);
                write(b, 0, b + 1 < end);
            }
        });
        return;
    }
    parallel_for(blocks * parts, 1, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) measure(t / parts, t % parts);
    });
    for (int64_t b = 0; b < blocks; ++b) finish(b);
    parallel_for(blocks * parts, 1, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) write(t / parts, t % parts, false);
    });
}

// Parts per block: one, unless there are too few blocks to occupy many cores and each is large. A
// function of the shape alone, as it decides the order of summation.
DL_INLINE int64_t norm_parts(int64_t blocks, int64_t block_size) {
    const int64_t wanted = blocks >= 16 ? 1 : 32 / blocks, useful = block_size / 65536;
    return wanted <= 1 || useful <= 1 ? 1 : wanted < useful ? wanted : useful;
}

}  // namespace
