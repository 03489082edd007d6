// Depthwise convolution by windows of 3 x 3, row after row: a row of the plane that the window slides
// over is loaded once, its three columns of taps come of it by shifts, and it serves all rows of the
// other plane that meet it, which stay in registers. Memory is read and written in order.
#pragma once
#include "kernels/cpu/conv_depthwise_window.h"

namespace {

constexpr bool kRolls = DL_VEC_BYTES == 64;  // elsewhere registers are too few
constexpr int kRollWidth = 4;                // vectors of a group of columns, at most

// Vectors next to each other, and the lanes of them that lie in the planes.
template <class T>
struct DepthwiseGroup {
    int64_t first, vectors;              // first column of output (zip: pair of columns), vectors
    LaneMask<T> in[2 * kRollWidth + 1];  // the last one lends its first lanes to the one before it
    LaneMask<T> out[2 * kRollWidth];     // zip: two per vector, otherwise one
    bool tail;                           // whether anything is to be lent
};

// Calls use(s, u, x) with the u-th vector of a row under the taps of column s. The hardware does not
// see far enough ahead by itself: rows are short, and what is loaded overlaps.
template <class T, int S, int D, int U, bool tail, class F>
DL_INLINE void depthwise_row(const T* row, int64_t ahead, const DepthwiseGroup<T>& g,
                             const F& use) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    vec base[U + 1], odd[U];
#pragma GCC unroll 8
    for (int u = 0; u < U * S; ++u) __builtin_prefetch(row + ahead + u * N);
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) {
        base[u] = vhold(vload_mask(row + u * S * N, g.in[u * S]));
        if constexpr (S == 2) {
            const vec b = vhold(vload_mask(row + (2 * u + 1) * N, g.in[2 * u + 1]));
            odd[u] = vodds<T>(base[u], b), base[u] = vevens<T>(base[u], b);
        }
    }
    base[U] = tail ? vhold(vload_mask(row + U * S * N, g.in[U * S])) : vec{};
#pragma GCC unroll 3
    for (int s = 0; s < 3; ++s)
#pragma GCC unroll 4
        for (int u = 0; u < U; ++u) {
            vec x = base[u];
            if (s == 1) x = S == 1 ? vshift<T, D>(x, base[u + 1]) : odd[u];
            if (s == 2) x = vshift<T, S == 1 ? 2 * D : 1>(x, base[u + 1]);
            use(s, u, x);
        }
}

// Calls use(j, t, u, x) with what row k of the window sees: it belongs under tap t of the j-th of the
// rows of the other plane that are being worked on, the window of each of which began later.
template <class T, int S, int D, int U, bool tail, int k, class F>
DL_INLINE void depthwise_row_uses(const T* row, int64_t ahead, const DepthwiseGroup<T>& g,
                                  const F& use) {
    depthwise_row<T, S, D, U, tail>(row, ahead, g, [&](int s, int u, auto x) {
        use(0, 3 * k + s, u, x);
        if (S == 1 && k > 0) use(1, 3 * k - 3 + s, u, x);
        if (k == 2) use(3 - S, s, u, x);
    });
}

// How far ahead of a plane's rows to fetch.
DL_INLINE int64_t depthwise_ahead(int64_t width) { return gemm_max(16 * width, 256); }

// Rows o, o + D, ... before `end` of a group of columns of a plane.
template <class T, int S, int D, int U, bool tail>
void depthwise_roll(const DepthwiseShape& d, const DepthwisePlane<T>& p, const DepthwiseGroup<T>& g,
                    int64_t o, int64_t end) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    vec w[9], acc[3][U];  // of the row that is made next, and of the two behind it
#pragma GCC unroll 9
    for (int t = 0; t < 9; ++t) w[t] = vset1(p.w.w[t / 3 * p.w.row + t % 3 * p.w.column]);
    const vec start = vset1(p.bias);
    const int64_t ahead = depthwise_ahead(d.in[1]), ahead_out = depthwise_ahead(d.out[1]);
    int64_t i = o * S - d.pad[0];
    const T* row = p.src + i * d.in[1] + g.first * S - d.pad[1];
    T* to = p.dst + o * d.out[1] + g.first;
    const auto take = [&](auto k) __attribute__((always_inline)) {
        if (i >= 0 && i < d.in[0])
            depthwise_row_uses<T, S, D, U, tail, decltype(k)::value>(
                row, ahead, g, [&](int j, int t, int u, vec x) { acc[j][u] += w[t] * x; });
        i += D, row += D * d.in[1];
    };
#pragma GCC unroll 12
    for (int u = 0; u < 3 * U; ++u) acc[u / U][u % U] = start;
    take(DepthwiseInt<0>{});
    if (S == 1) take(DepthwiseInt<1>{});
    for (; o < end; o += D, to += D * d.out[1]) {
        if (S == 2) take(DepthwiseInt<1>{});
        take(DepthwiseInt<2>{});
#pragma GCC unroll 4
        for (int u = 0; u < U; ++u) {
            __builtin_prefetch(to + ahead_out + u * N, 1);
            if (u + 1 < U)
                vstore(to + u * N, acc[0][u]);
            else
                vstore_mask(to + u * N, acc[0][u], g.out[u]);
            acc[0][u] = acc[1][u];
            if (S == 1) acc[1][u] = acc[2][u];
            acc[3 - S][u] = start;
        }
    }
}

// Adds to sums the products of dy (p.dst, the plane of d.out) and of x under the nine taps.
template <class T, int S, int D, int U, bool tail>
void depthwise_roll_taps(const DepthwiseShape& d, const T* src, const T* dy,
                         const DepthwiseGroup<T>& g, int64_t o, int64_t end,
                         typename Vec<T>::type* sums) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    vec acc[9], grad[3][U];  // a row of dy, and the two behind it
#pragma GCC unroll 9
    for (int t = 0; t < 9; ++t) acc[t] = sums[t];
    const int64_t ahead = depthwise_ahead(d.in[1]), ahead_dy = depthwise_ahead(d.out[1]);
    int64_t i = o * S - d.pad[0];
    const T* row = src + i * d.in[1] + g.first * S - d.pad[1];
    const T* from = dy + o * d.out[1] + g.first;
    const auto load = [&](int j) __attribute__((always_inline)) {
#pragma GCC unroll 4
        for (int u = 0; u < U; ++u)
            grad[j][u] =
                o + j * D < end ? vload_mask(from + j * D * d.out[1] + u * N, g.out[u]) : vec{};
    };
    const auto take = [&](auto k) __attribute__((always_inline)) {
        if (i >= 0 && i < d.in[0])
            depthwise_row_uses<T, S, D, U, tail, decltype(k)::value>(
                row, ahead, g, [&](int j, int t, int u, vec x) { acc[t] += grad[j][u] * x; });
        i += D, row += D * d.in[1];
    };
    load(0);
    take(DepthwiseInt<0>{});
    if (S == 1) load(1), take(DepthwiseInt<1>{});
    for (; o < end; o += D, from += D * d.out[1]) {
        load(3 - S);
        if (S == 2) take(DepthwiseInt<1>{});
        take(DepthwiseInt<2>{});
#pragma GCC unroll 4
        for (int u = 0; u < U; ++u) {
            __builtin_prefetch(from + ahead_dy + u * N);
            grad[0][u] = grad[1][u];
            if (S == 1) grad[1][u] = grad[2][u];
        }
    }
#pragma GCC unroll 9
    for (int t = 0; t < 9; ++t) sums[t] = acc[t];
}

// The gradient of the input at stride 2: with q = i + pad, a row m of dy goes into rows q = 2m (under
// the taps of row 0), 2m + 1 and 2m + 2, and so with columns: the even and the odd columns of dx are
// summed apart and stored zipped. A group's vectors begin one column early.
template <class T, int U, bool tail>
void depthwise_roll_zip(const DepthwiseShape& d, const DepthwisePlane<T>& p,
                        const DepthwiseGroup<T>& g) {
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    vec w[9], acc[3][2][U];
#pragma GCC unroll 9
    for (int t = 0; t < 9; ++t) w[t] = vset1(p.w.w[t / 3 * p.w.row + t % 3 * p.w.column]);
    const int64_t ahead = depthwise_ahead(d.in[1]), ahead_out = depthwise_ahead(d.out[1]);
    const auto store = [&](int j, int64_t i) __attribute__((always_inline)) {
        if (i < 0 || i >= d.out[0]) return;
        T* to = p.dst + i * d.out[1] + 2 * g.first - d.pad[1];
#pragma GCC unroll 4
        for (int u = 0; u < U; ++u) {
            __builtin_prefetch(to + ahead_out + 2 * u * N, 1);
            __builtin_prefetch(to + ahead_out + (2 * u + 1) * N, 1);
            const vec even = acc[j][0][u], odd = acc[j][1][u];
            vstore_mask(to + 2 * u * N, vzip_lo<T>(even, odd), g.out[2 * u]);
            vstore_mask(to + (2 * u + 1) * N, vzip_hi<T>(even, odd), g.out[2 * u + 1]);
        }
    };
#pragma GCC unroll 8
    for (int u = 0; u < 2 * U; ++u) acc[0][u / U][u % U] = vec{};
    for (int64_t m = d.pad[0] / 2 - 1; 2 * m < d.out[0] + d.pad[0]; ++m) {
#pragma GCC unroll 16
        for (int u = 0; u < 4 * U; ++u) acc[1 + u / (2 * U)][u / U % 2][u % U] = vec{};
        if (m >= 0 && m < d.in[0])
            depthwise_row<T, 1, 1, U, tail>(
                p.src + m * d.in[1] + g.first - 1, ahead, g, [&](int s, int u, vec x) {
                    if (s == 2) return;  // of the shifts, 0: taps of column 2, 1: of 0 and 1
#pragma GCC unroll 3
                    for (int k = 0; k < 3; ++k) {
                        acc[k][0][u] += w[3 * k + (s == 0 ? 2 : 0)] * x;
                        if (s == 1) acc[k][1][u] += w[3 * k + 1] * x;
                    }
                });
        store(0, 2 * m - d.pad[0]), store(1, 2 * m + 1 - d.pad[0]);
#pragma GCC unroll 8
        for (int u = 0; u < 2 * U; ++u) acc[0][u / U][u % U] = acc[2][u / U][u % U];
    }
}

// Calls f(U, tail) as the group wants it.
template <class T, class F>
DL_INLINE void depthwise_group_dispatch(const DepthwiseGroup<T>& g, const F& f) {
    const auto with = [&](auto u) {
        if (g.tail)
            f(u, DepthwiseInt<1>{});
        else
            f(u, DepthwiseInt<0>{});
    };
    if (g.vectors == 1) with(DepthwiseInt<1>{});
    if (g.vectors == 2) with(DepthwiseInt<2>{});
    if (g.vectors == 3) with(DepthwiseInt<3>{});
    if (g.vectors == 4) with(DepthwiseInt<4>{});
}

// Calls f(group, S, D, U, tail, o, end) for all columns and rows of a plane: for as many rows at once
// as stay in the first cache while other groups of columns go through them.
template <class T, class F>
void depthwise_roll_plane(const DepthwiseShape& d, int64_t stride, const DepthwiseGroup<T>* groups,
                          const F& f) {
    const bool single = groups->first + groups->vectors * Vec<T>::N >= d.out[1];
    const int64_t step = d.dilation[0], fits = int64_t(16384 / sizeof(T)) / (stride * d.in[1]);
    const int64_t band = single ? d.out[0] : gemm_max(8, fits) / step * step;
    const auto rows = [&](int64_t o, int64_t end, auto s, auto dilation) {
        for (const DepthwiseGroup<T>* g = groups; g->first < d.out[1]; ++g)
            depthwise_group_dispatch(*g, [&](auto u, auto tail) {
                for (int64_t r = 0; r < gemm_min(step, end - o); ++r)
                    f(*g, s, dilation, u, tail, o + r, end);
            });
    };
    for (int64_t o = 0; o < d.out[0]; o += band) {
        const int64_t end = gemm_min(o + band, d.out[0]);
        if (stride == 2)
            rows(o, end, DepthwiseInt<2>{}, DepthwiseInt<1>{});
        else if (step == 1)
            rows(o, end, DepthwiseInt<1>{}, DepthwiseInt<1>{});
        else
            rows(o, end, DepthwiseInt<1>{}, DepthwiseInt<2>{});
    }
}

// Columns of output, or pairs of them where they are zipped, of which the first is `from`.
DL_INLINE int64_t depthwise_columns_from(const DepthwiseShape& d, bool zip) {
    return zip ? d.pad[1] / 2 : 0;
}
DL_INLINE int64_t depthwise_columns_end(const DepthwiseShape& d, bool zip) {
    return zip ? (d.out[1] + d.pad[1] + 1) / 2 : d.out[1];
}

// Cuts the columns into `count` groups of about the same number of vectors; one more ends the list.
template <class T>
void depthwise_groups(const DepthwiseShape& d, int64_t stride, bool zip, int64_t count,
                      DepthwiseGroup<T>* g) {
    constexpr int N = Vec<T>::N;
    const int64_t from = depthwise_columns_from(d, zip), end = depthwise_columns_end(d, zip);
    const int64_t vectors = gemm_div_up(end - from, N), mul = zip ? 1 : stride;
    for (int64_t i = 0; i < count; ++i, ++g) {
        const int64_t v = i * vectors / count;
        g->first = from + v * N, g->vectors = (i + 1) * vectors / count - v;
        const int64_t at = zip ? g->first - 1 : g->first * stride - d.pad[1];
        const int64_t width = g->vectors * mul, last = end - g->first - (g->vectors - 1) * N;
        for (int64_t u = 0; u <= width; ++u)
            g->in[u] = lane_mask<T>(-at - u * N, d.in[1] - at - u * N);
        for (int64_t u = 0; u < (zip ? 2 : 1) * g->vectors; ++u) {
            const int64_t to = (zip ? 2 * g->first - d.pad[1] : g->first) + u * N;
            g->out[u] = lane_mask<T>(-to, d.out[1] - to);
        }
        const int64_t reach = zip || stride == 2 ? last + 1 : last + 2 * d.dilation[1];
        g->tail = reach > N && at + width * N < d.in[1];
    }
    g->first = end;
}

// Windows of 3 x 3, dilated by at most 2, where there are registers enough.
bool depthwise_rolls(const dl_conv& p) {
    return kRolls && p.kernel[1] == 3 && p.kernel[2] == 3 && p.dilation[1] == p.dilation[2] &&
           p.dilation[1] <= 2;
}

}  // namespace
