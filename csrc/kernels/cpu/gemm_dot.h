// Products of few rows whose operands are both contiguous along the sum (a batch's rows against a
// weight [out, in]): tiles of dot products, B read where it lies.
#pragma once
#include "kernels/cpu/gemm_core.h"
#include "kernels/cpu/lanes.h"

namespace {

// Lane numbers 0, 1, ... N - 1, for shuffles.
template <int... kLane>
struct DotLanes {
    // The lanes of a whose number has bit H clear, those of b where it is set.
    template <int H, class V>
    DL_INLINE V blend(V a, V b) {
        return __builtin_shufflevector(a, b, (kLane & H ? int(sizeof...(kLane)) : 0) + kLane...);
    }
    // Lanes H apart change places.
    template <int H, class V>
    DL_INLINE V swap(V a) {
        return __builtin_shufflevector(a, a, (kLane ^ H)...);
    }
};
DL_INLINE DotLanes<0, 1> dot_lanes(DotLanes<2>) { return {}; }
DL_INLINE DotLanes<0, 1, 2, 3> dot_lanes(DotLanes<4>) { return {}; }
DL_INLINE DotLanes<0, 1, 2, 3, 4, 5, 6, 7> dot_lanes(DotLanes<8>) { return {}; }
DL_INLINE DotLanes<0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15> dot_lanes(DotLanes<16>) {
    return {};
}

// Sums of the lanes of acc[0..C), which then stand in ceil(C / N) vectors, one to a lane: number e at
// dot_place(e). In each sum lane l is added to lane l + N / 2, that to the one N / 4 on, and so on: its
// bits do not depend on how many others there are.
template <class T, int C, int H = Vec<T>::N / 2>
DL_INLINE void dot_sums(typename Vec<T>::type* acc) {
    typedef decltype(dot_lanes(DotLanes<Vec<T>::N>())) Lanes;
    if constexpr (H > 0) {
        constexpr int kHalf = (C + 1) / 2;
#pragma GCC unroll 16
        for (int i = 0; i < kHalf; ++i) {
            const auto a = acc[i], b = acc[i + kHalf < C ? i + kHalf : i];
            acc[i] = Lanes::template blend<H>(a, b) +
                     Lanes::template swap<H>(Lanes::template blend<H>(b, a));
        }
        dot_sums<T, kHalf, H / 2>(acc);
    }
}
template <int N>
constexpr int dot_place(int e, int count) {
    int lane = 0;
    for (int h = N / 2; h > 0; h /= 2) {
        count = (count + 1) / 2;
        if (e >= count) e -= count, lane += h;
    }
    return e * N + lane;
}

// Rows and columns of a tile: what the registers hold.
constexpr int64_t kDotRows = DL_VEC_BYTES == 64 ? 8 : 4;
constexpr int kDotLines = 2;         // most rows of A past which B goes row by row
constexpr int64_t kDotColumns = 48;  // a group of columns that is stored together
template <int R>
constexpr int dot_columns = DL_VEC_BYTES == 64 ? (R > 6    ? 3
                                                  : R == 5 ? 5
                                                           : 4)
                            : R > 3            ? 2
                            : R > 2            ? 3
                                               : 4;

// t[i * ti + j * tj] = sum over k of row i of a and row j of b, `columns` of at most V. a holds R rows,
// a vector of each in turns; the rows of b lie ldb apart.
template <class T, class Steps, int R>
void gemm_dot_tile(int64_t k, const typename Steps::In* a, const typename Steps::In* b, int64_t ldb,
                   int64_t columns, T* t, int64_t ti, int64_t tj) {
    typedef typename Vec<T>::type vec;
    constexpr int V = dot_columns<R>;
    constexpr int E = int(sizeof(vec) / sizeof(*a));
    vec acc[V * R];
    int64_t bt[V];  // rows beyond the last repeat it
#pragma GCC unroll 32
    for (int i = 0; i < V * R; ++i) acc[i] = vec{};
#pragma GCC unroll 8
    for (int j = 0; j < V; ++j) bt[j] = gemm_min(j, columns - 1) * ldb;
    const auto step = [&](auto load) __attribute__((always_inline)) {
        vec bv[V];
#pragma GCC unroll 8
        for (int j = 0; j < V; ++j) bv[j] = load(b + bt[j]);
#pragma GCC unroll 8
        for (int i = 0; i < R; ++i) {
            const vec av = vhold(load(a + i * E));
#pragma GCC unroll 8
            for (int j = 0; j < V; ++j) acc[j * R + i] = Steps::add(acc[j * R + i], av, bv[j]);
        }
        a += R * E, b += E;
    };
    int64_t left = k;
    for (; left >= E; left -= E) {
        // The rows of the next tile: so far ahead no hardware looks across the ends of rows.
#pragma GCC unroll 8
        for (int j = 0; j < V; ++j) __builtin_prefetch(b + (V + j) * ldb);
        step([](const typename Steps::In* p)
                 __attribute__((always_inline)) { return Steps::load(p); });
    }
    if (left > 0)
        step([left](const typename Steps::In* p)
                 __attribute__((always_inline)) { return Steps::load_n(p, left); });
    dot_sums<T, V * R>(acc);
    constexpr int N = Vec<T>::N;
    T lanes[(V * R + N - 1) / N * N];
    memcpy(lanes, acc, sizeof lanes);
#pragma GCC unroll 8
    for (int i = 0; i < R; ++i)
#pragma GCC unroll 8
        for (int j = 0; j < V; ++j) t[i * ti + j * tj] = lanes[dot_place<N>(j * R + i, V * R)];
}

// The same of one row of b, for so few rows of a that reading b is all that takes time: as one stream,
// ahead of which memory is asked.
template <class T, class Steps, int R>
void gemm_dot_line(int64_t k, const typename Steps::In* a, const typename Steps::In* b, T* t,
                   int64_t ti) {
    typedef typename Vec<T>::type vec;
    constexpr int E = int(sizeof(vec) / sizeof(*a)), U = 4;
    constexpr int64_t kAhead = 4096 / sizeof(*a);
    vec acc[U][R];
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u)
#pragma GCC unroll 2
        for (int i = 0; i < R; ++i) acc[u][i] = vec{};
    const auto step = [&](int u, auto load) __attribute__((always_inline)) {
        const vec bv = load(b);
#pragma GCC unroll 2
        for (int i = 0; i < R; ++i) acc[u][i] = Steps::add(acc[u][i], load(a + i * E), bv);
        a += R * E, b += E, k -= E;
    };
    const auto whole = [](const typename Steps::In* p)
                           __attribute__((always_inline)) { return Steps::load(p); };
    while (k >= U * E)
#pragma GCC unroll 4
        for (int u = 0; u < U; ++u) {
            __builtin_prefetch(b + kAhead);
            step(u, whole);
        }
#pragma GCC unroll 2
    for (int i = 0; i < R; ++i) acc[0][i] = (acc[0][i] + acc[1][i]) + (acc[2][i] + acc[3][i]);
    while (k >= E) step(0, whole);
    if (k > 0)
        step(0, [left = k](const typename Steps::In* p)
                    __attribute__((always_inline)) { return Steps::load_n(p, left); });
    dot_sums<T, R>(acc[0]);
#pragma GCC unroll 2
    for (int i = 0; i < R; ++i) t[i * ti] = acc[0][0][dot_place<Vec<T>::N>(i, R)];
}

// C[i.., j0..j1] of R rows over k steps of the sum.
template <class T, class Steps, int R>
void gemm_dot_rows(int64_t k, const typename Steps::In* a, int64_t i, const typename Steps::In* b,
                   int64_t ldb, int64_t j0, int64_t j1, const GemmOut<T>& o, bool first,
                   bool last) {
    constexpr int V = dot_columns<R>;
    constexpr int64_t W = kDotColumns + V;
    alignas(64) T sums[R * W];
    const bool turn = o.cs != 1 && o.rs == 1;  // then columns of C are stored as rows
    const int64_t ti = turn ? 1 : W, tj = turn ? R : 1;
    for (int64_t j = j0; j < j1; j += kDotColumns) {
        const int64_t n = gemm_min(kDotColumns, j1 - j);
        for (int64_t c = 0; c < n; c += R <= kDotLines ? 1 : V)
            if constexpr (R <= kDotLines)
                gemm_dot_line<T, Steps, R>(k, a, b + (j + c) * ldb, sums + c * tj, ti);
            else
                gemm_dot_tile<T, Steps, R>(k, a, b + (j + c) * ldb, ldb, gemm_min(V, n - c),
                                           sums + c * tj, ti, tj);
        if (turn)
            gemm_store_tile(o.transposed(), sums, R, j, i, n, R, first, last);
        else
            gemm_store_tile(o, sums, W, i, j, R, n, first, last);
    }
}
template <class T, class Steps>
struct GemmDots {
    template <int R>
    static constexpr auto rows = &gemm_dot_rows<T, Steps, (R < kDotRows ? R : kDotRows)>;
    static constexpr decltype(&gemm_dot_rows<T, Steps, 1>) at[9] = {
        nullptr, rows<1>, rows<2>, rows<3>, rows<4>, rows<5>, rows<6>, rows<7>, rows<8>};
};

// Steps of a block of the sum for so many rows of A: they stay in L1 beside those of B that are read and
// those that are asked for; with a single stream of B, in L2, since a block's end breaks the stream. Bits
// depend on it.
template <class In>
DL_INLINE int64_t dot_steps(int64_t m) {
    return (m <= kDotLines ? 131072 : 3072) / int64_t(sizeof(In));
}

// Rows of group g when m rows are spread evenly over `groups`.
DL_INLINE int64_t dot_group(int64_t m, int64_t groups, int64_t g) {
    return m * (g + 1) / groups - m * g / groups;
}

// A group of rows, a vector of each in turns, the last ones filled up with anything.
template <class In>
void dot_pack_rows(int64_t rows, int64_t k, const In* a, int64_t rs, int64_t ks, In* to) {
    constexpr int64_t E = DL_VEC_BYTES / sizeof(In);
    for (int64_t r = 0; r < rows; ++r) {
        const In* from = a + r * rs;
        In* dst = to + r * E;
        for (int64_t s = 0; s < k; s += E, from += E * ks, dst += rows * E) {
            if (ks == 1 && s + E <= k)
                memcpy(dst, from, DL_VEC_BYTES);
            else
                for (int64_t e = 0; e < gemm_min(E, k - s); ++e) dst[e] = from[e * ks];
        }
    }
}
// The same of at most kDotRows rows that lie side by side.
template <class T>
void dot_pack_columns(int64_t rows, int64_t k, const T* a, int64_t ks, T* to) {
    constexpr int N = Vec<T>::N;
    for (int64_t s = 0; s < k; s += N, a += N * ks, to += rows * N) {
        typename Vec<T>::type v[N];
#pragma GCC unroll 16
        for (int l = 0; l < N; ++l)
            v[l] = s + l < k ? vload_n(a + l * ks, gemm_min(rows, N)) : typename Vec<T>::type{};
        transpose_lanes(v);
        for (int64_t r = 0; r < gemm_min(rows, N); ++r) vstore(to + r * N, v[r]);
    }
}

// a [m, k] in groups of at most kDotRows rows, packed by all threads. A single row stays where it is if
// it can.
template <class T, class In>
const In* gemm_dot_pack(int64_t m, int64_t k, const In* a, int64_t rs, int64_t ks, int threads) {
    if (m == 1 && (ks == 1 || k == 1)) return a;
    constexpr int64_t E = DL_VEC_BYTES / sizeof(In);
    const int64_t padded = gemm_round_up(k, E), groups = gemm_div_up(m, kDotRows);
    In* to = static_cast<In*>(dl_scratch(size_t(m * padded) * sizeof(In), 0));
    if (!to) return nullptr;
    const auto body = [&](int64_t begin, int64_t end) {
        for (int64_t g = begin; g < end; ++g) {
            const int64_t rows = dot_group(m, groups, g), i = m * g / groups;
            if constexpr (sizeof(In) == sizeof(T) && Vec<T>::N >= kDotRows)
                if (rs == 1 && ks != 1) {
                    dot_pack_columns(rows, k, a + i, ks, to + i * padded);
                    continue;
                }
            dot_pack_rows(rows, k, a + i * rs, rs, ks, to + i * padded);
        }
    };
    if (threads > 1)
        parallel_for(groups, gemm_div_up(32768, kDotRows * k), body);
    else
        body(0, groups);
    return to;
}

// Steps [k0, k1) of the sum: a [m, k] as gemm_dot_pack has it, b [n, k] contiguous along k -> C[..,
// j0..j1]. The sum goes in blocks; a group of columns that stays in L2 meets all rows of A.
template <class T, class Steps>
void gemm_dot_columns(int64_t m, int64_t k, int64_t k0, int64_t k1, const typename Steps::In* a,
                      const typename Steps::In* b, int64_t ldb, const GemmOut<T>& o, int64_t j0,
                      int64_t j1) {
    typedef typename Steps::In In;
    const int64_t padded = gemm_round_up(k, DL_VEC_BYTES / int64_t(sizeof(In)));
    const int64_t groups = gemm_div_up(m, kDotRows), step = dot_steps<In>(m);
    const int64_t columns = groups > 1 ? kDotColumns : j1 - j0;
    for (int64_t s = k0; s < k1; s += step) {
        const int64_t kn = gemm_min(step, k1 - s);
        for (int64_t j = j0; j < j1; j += columns)
            for (int64_t g = 0, i = 0; g < groups; ++g) {
                const int64_t rows = dot_group(m, groups, g);
                GemmDots<T, Steps>::at[rows](kn, a + i * padded + s * rows, i, b + s, ldb, j,
                                             gemm_min(j1, j + columns), o, s == k0, s + kn == k1);
                i += rows;
            }
    }
}

}  // namespace
