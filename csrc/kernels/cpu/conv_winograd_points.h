// Winograd's minimal filtering F(M, R): M outputs of an R-tap filter from A = M + R - 1 products,
//
//   y = OUT [ (FILTER g) * (IN d) ]                       (* element by element; d: A inputs)
//
// after Cook and Toom: the products are the values of a polynomial product at A - 1 points and at
// infinity (A. Lavin, S. Gray: Fast Algorithms for Convolutional Neural Networks, 2015). Here the
// points are pairs +-p and, where A is even, 0, so that a pair shares its even and its odd half, and
// the sums cost A/2 multiply-adds per pair instead of a row each. In two dimensions each map is applied
// to the columns, then to the rows. IN depends on A alone, so F(4, 3), F(5, 2) and F(3, 4) share it.
//
// The points decide the rounding error. Those below came out best in a search over multiples of
// 1/8: +-5/8, +-3/2 have a third of the error of the usual +-1, +-2 at no cost. Their squares and
// products are exact.
//
// The gradient of the filter is the same scheme turned round, F(3, M): 3 outputs of an M-tap filter
// (a tile of dy) over A inputs.
#pragma once
#include "kernels/cpu/simd.h"

namespace {

// Row j of the pairs: q[j] the coefficients of prod over i != j of (x^2 - p_i^2), in powers of x^2;
// q[PAIRS] those of the product of all. norm[j] = 1 / N(p_j), where N(p) is the product of the
// distances to all other points; norm[PAIRS] belongs to the point 0, if that is one (zero). Without
// it the norm of -p is -N(p).
template <int PAIRS>
struct WinoConstants {
    double p[PAIRS], q[PAIRS + 1][PAIRS + 1], norm[PAIRS + 1];
    double power[PAIRS][2 * PAIRS + 1];  // p^k
};

template <int PAIRS>
constexpr WinoConstants<PAIRS> wino_constants(const double (&points)[PAIRS], bool zero = true) {
    WinoConstants<PAIRS> c{};
    for (int j = 0; j <= PAIRS; ++j) {
        c.q[j][0] = 1;
        int degree = 0;
        for (int i = 0; i < PAIRS; ++i) {
            if (i == j) continue;
            const double s = points[i] * points[i];
            ++degree;
            for (int k = degree; k >= 0; --k)
                c.q[j][k] = (k > 0 ? c.q[j][k - 1] : 0) - (k < degree ? s * c.q[j][k] : 0);
        }
    }
    for (int j = 0; j < PAIRS; ++j) {
        const double p = points[j];
        double n = zero ? 2 * p * p : 2 * p;  // distances to -p and to 0
        for (int i = 0; i < PAIRS; ++i)
            if (i != j) n *= p * p - points[i] * points[i];
        c.p[j] = p, c.norm[j] = 1 / n, c.power[j][0] = 1;
        for (int k = 1; k <= 2 * PAIRS; ++k) c.power[j][k] = c.power[j][k - 1] * p;
    }
    c.norm[PAIRS] = 1 / c.q[PAIRS][0];
    return c;
}

// A - 2 points beside 0 and infinity, or A - 1 beside infinity.
template <int A>
struct WinoPoints;
template <>
struct WinoPoints<4> {
    static constexpr WinoConstants<1> C = wino_constants<1>({1.0});
};
template <>
struct WinoPoints<5> {
    static constexpr WinoConstants<2> C = wino_constants<2>({0.375, 1.375}, false);
};
template <>
struct WinoPoints<6> {
    static constexpr WinoConstants<2> C = wino_constants<2>({0.625, 1.5});
};
template <>
struct WinoPoints<8> {
    static constexpr WinoConstants<3> C = wino_constants<3>({0.5, 1.0, 2.0});
};

// The one-dimensional maps. V: a vector of T. Values at points are in the order 0 (if ZERO), +p0, -p0,
// +p1, ..., infinity.
template <class T, int M, int R>
struct WinoMap {
    typedef typename Vec<T>::type V;
    static constexpr int A = M + R - 1, ZERO = A % 2 == 0, PAIRS = (A - 1) / 2;
    static constexpr WinoConstants<PAIRS> C = WinoPoints<A>::C;

    // v = IN d: at a point, the polynomial of all others applied to d.
    DL_INLINE void input(const V (&d)[A], V (&v)[A]) {
        V infinity = d[A - 1];
#pragma GCC unroll 4
        for (int i = 0; i < PAIRS; ++i) infinity += T(C.q[PAIRS][i]) * d[2 * i + ZERO];
        v[A - 1] = infinity;
        if constexpr (ZERO) {
            V zero = d[2 * PAIRS];
#pragma GCC unroll 4
            for (int i = 0; i < PAIRS; ++i) zero += T(C.q[PAIRS][i]) * d[2 * i];
            v[0] = zero;
        }
#pragma GCC unroll 4
        for (int j = 0; j < PAIRS; ++j) {
            V high = d[A - 2], low = d[A - 3];
#pragma GCC unroll 4
            for (int i = 0; i < PAIRS - 1; ++i) {
                high += T(C.q[j][i]) * d[2 * i + 1 + ZERO];
                low += T(C.q[j][i]) * d[2 * i + ZERO];
            }
            v[ZERO + 2 * j] = high + T(C.p[j]) * low;
            v[ZERO + 1 + 2 * j] = high - T(C.p[j]) * low;
        }
    }

    // v = FILTER g: the polynomial with coefficients g at the points, divided by norms.
    DL_INLINE void filter(const V (&g)[R], V (&v)[A]) {
        if (ZERO) v[0] = T(C.norm[PAIRS]) * g[0];
        v[A - 1] = g[R - 1];
#pragma GCC unroll 4
        for (int j = 0; j < PAIRS; ++j) {
            const double n = C.norm[j];
            V even = T(n) * g[0], odd = T(n * C.p[j]) * g[1];
#pragma GCC unroll 4
            for (int i = 2; i < R; ++i) {
                V& half = i % 2 ? odd : even;
                half += T(n * C.power[j][i]) * g[i];
            }
            v[ZERO + 2 * j] = even + odd;
            v[ZERO + 1 + 2 * j] = ZERO ? even - odd : odd - even;
        }
    }

    // y = OUT m: y[k] = sum over points of p^k m.
    DL_INLINE void output(const V (&m)[A], V (&y)[M]) {
        V sum[PAIRS], difference[PAIRS];
#pragma GCC unroll 4
        for (int j = 0; j < PAIRS; ++j) {
            sum[j] = m[ZERO + 2 * j] + m[ZERO + 1 + 2 * j];
            difference[j] = m[ZERO + 2 * j] - m[ZERO + 1 + 2 * j];
        }
#pragma GCC unroll 8
        for (int k = 0; k < M; ++k) {
            const bool alone = k == 0 && ZERO, last = k == M - 1;
            V s = alone ? m[0] : last ? m[A - 1] : V{};
#pragma GCC unroll 4
            for (int j = 0; j < PAIRS; ++j) {
                const V& x = k % 2 ? difference[j] : sum[j];
                const T power = T(C.power[j][k]);
                s = j == 0 && !alone && !last ? power * x : s + power * x;
            }
            y[k] = s;
        }
    }

    // v: an M-tap filter (a tile of dy) at the points, without the norms.
    DL_INLINE void gradient_filter(const V (&g)[M], V (&v)[A]) {
        static_assert(ZERO);
        v[0] = g[0], v[A - 1] = g[M - 1];
#pragma GCC unroll 4
        for (int j = 0; j < PAIRS; ++j) {
            const double p = C.p[j], s = p * p;
            V even = g[M - 2], odd = g[M - 1];
#pragma GCC unroll 4
            for (int i = M / 2 - 2; i >= 0; --i) {
                even = g[2 * i] + T(s) * even;
                odd = g[2 * i + 1] + T(s) * odd;
            }
            v[1 + 2 * j] = even + T(p) * odd;
            v[2 + 2 * j] = even - T(p) * odd;
        }
    }

    // y: the 3 outputs of the turned scheme (R = 3), with the norms.
    DL_INLINE void gradient_output(const V (&m)[A], V (&y)[3]) {
        static_assert(ZERO);
        y[0] = T(C.norm[PAIRS]) * m[0], y[1] = V{}, y[2] = m[A - 1];
#pragma GCC unroll 4
        for (int j = 0; j < PAIRS; ++j) {
            const double n = C.norm[j], p = C.p[j];
            const V sum = m[1 + 2 * j] + m[2 + 2 * j];
            y[0] += T(n) * sum;
            y[1] += T(n * p) * (m[1 + 2 * j] - m[2 + 2 * j]);
            y[2] += T(n * p * p) * sum;
        }
    }
};

// A dimension in which nothing is gained: one output, one tap, one product.
template <class T>
struct WinoMap<T, 1, 1> {
    typedef typename Vec<T>::type V;
    DL_INLINE void input(const V (&d)[1], V (&v)[1]) { v[0] = d[0]; }
    DL_INLINE void filter(const V (&g)[1], V (&v)[1]) { v[0] = g[0]; }
    DL_INLINE void output(const V (&m)[1], V (&y)[1]) { y[0] = m[0]; }
};

// A tile of M0 x M1 outputs of an R0 x R1 filter, from A0 x A1 inputs.
template <int M0_, int R0_, int M1_, int R1_>
struct WinoShape {
    static constexpr int M0 = M0_, R0 = R0_, A0 = M0 + R0 - 1;
    static constexpr int M1 = M1_, R1 = R1_, A1 = M1 + R1 - 1;
    static constexpr int POINTS = A0 * A1, TAPS = R0 * R1;
    template <class T>
    using Down = WinoMap<T, M0, R0>;  // along columns
    template <class T>
    using Across = WinoMap<T, M1, R1>;
};
template <int M, int R>
using WinoSquare = WinoShape<M, R, M, R>;

}  // namespace
