// Sums of a mapped value, sums and counts of integers, products; and halves for any op of floats.
#pragma once
#include <math.h>

#include "kernels/cpu/half_rows.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/reduce_driver.h"

namespace {

// ---- sums of f(x): float lanes over short blocks, doubles across blocks -------------------------
struct MapNone {
    template <class V>
    static V map(V x) {
        return x;
    }
};
struct MapNanToZero {
    template <class V>
    static V map(V x) {
        return x == x ? x : V{};
    }
};
struct MapAbs {
    template <class V>
    static V map(V x) {
        return x < V{} ? -x : x;
    }
};
struct MapSquare {
    template <class V>
    static V map(V x) {
        return x * x;
    }
};
enum class SumResult { kPlain, kMean, kRoot };

// T is what is added up, In what lies in memory: a half type, or T itself.
template <class T, class Map, class In = T>
struct FloatSum : ReduceOp<FloatSum<T, Map, In>, In, double> {
    typedef typename Vec<T>::type V;
    static constexpr int N = Vec<T>::N;
    static constexpr int64_t kRows = 32;  // float additions in a chain before it is widened
    SumResult result = SumResult::kPlain;
    double count = 1;  // for kMean

    double init() const { return 0.0; }
    void merge(double& a, double b) const { a += b; }
    void store(const dl_reduce_args& args, int64_t k, double a) const {
        if (result == SumResult::kMean) a /= count;
        if (result == SumResult::kRoot) a = sqrt(a);
        static_cast<T*>(args.out)[k] = T(a);
    }
    static double total_of(V v) {
        if constexpr (sizeof(T) == 4)
            return vreduce_add<double>(vwiden_lo(v) + vwiden_hi(v));
        else
            return vreduce_add<double>(v);
    }
    void run(double& a, const In* p, int64_t n, int64_t) const {
        double total = 0.0;
        int64_t i = 0;
        while (n - i >= 4 * N) {
            int64_t rows = (n - i) / (4 * N) < kRows ? (n - i) / (4 * N) : kRows;
            V s0{}, s1{}, s2{}, s3{}, x0, x1, x2, x3;
            for (int64_t r = 0; r < rows; ++r, i += 4 * N) {
                vload_mixed(p + i, x0, x1);
                vload_mixed(p + i + 2 * N, x2, x3);
                s0 += Map::map(x0);
                s1 += Map::map(x1);
                s2 += Map::map(x2);
                s3 += Map::map(x3);
            }
            total += total_of((s0 + s1) + (s2 + s3));
        }
        if (n - i >= N) {
            V s{};
            for (; n - i >= N; i += N) s += Map::map(vload(p + i));
            total += total_of(s);
        }
        for (; i < n; ++i) total += Map::map(double(widen(p[i])));
        a += total;
    }
    static void add_to(double* a, V v) {
        if constexpr (sizeof(T) == 4) {
            vstore(a, vload(a) + vwiden_lo(v));
            vstore(a + N / 2, vload(a + N / 2) + vwiden_hi(v));
        } else {
            vstore(a, vload(a) + v);
        }
    }
    // U vectors of columns at a time, kRows rows in registers.
    template <int U>
    static void block(double* a, const char* p, int64_t rows, int64_t stride) {
        for (int64_t r = 0; r < rows; r += kRows) {
            int64_t last = rows - r < kRows ? rows : r + kRows;
            V s[U] = {};
            for (int64_t q = r; q < last; ++q) {
                const In* row = reinterpret_cast<const In*>(p + q * stride);
                for (int u = 0; u < U; ++u) s[u] += Map::map(vload(row + u * N));
            }
            for (int u = 0; u < U; ++u) add_to(a + u * N, s[u]);
        }
    }
    void columns(double* a, const char* p, int64_t rows, int64_t stride, int64_t cols,
                 int64_t) const {
        int64_t c = 0;
        const int64_t item = int64_t(sizeof(In));
        for (; cols - c >= 8 * N; c += 8 * N) block<8>(a + c, p + c * item, rows, stride);
        for (; cols - c >= N; c += N) block<1>(a + c, p + c * item, rows, stride);
        for (int64_t r = 0; r < rows && c < cols; ++r) {
            const In* row = reinterpret_cast<const In*>(p + r * stride);
            for (int64_t k = c; k < cols; ++k) a[k] += Map::map(double(widen(row[k])));
        }
    }
};

// ---- halves: blocks of them are widened in the first cache, for any op of floats -----------------
template <class Op, class H>
struct OfHalves : ReduceOp<OfHalves<Op, H>, H, typename Op::acc_t> {
    typedef typename Op::acc_t Acc;
    static constexpr int64_t kBlock = 4096;
    Op op;

    explicit OfHalves(const Op& of) : op(of) {}
    Acc init() const { return op.init(); }
    void merge(Acc& a, const Acc& b) const { op.merge(a, b); }
    void store(const dl_reduce_args& args, int64_t k, const Acc& a) const { op.store(args, k, a); }
    void run(Acc& a, const H* p, int64_t n, int64_t at) const {
        alignas(64) float x[kBlock];
        for (int64_t i = 0; i < n; i += kBlock) {
            const int64_t m = n - i < kBlock ? n - i : kBlock;
            widen_row(x, p + i, m);
            op.run(a, x, m, at + i);
        }
    }
    void columns(Acc* a, const char* p, int64_t rows, int64_t stride, int64_t cols,
                 int64_t at) const {
        alignas(64) float x[kBlock];
        const int64_t most = kBlock / cols;  // cols <= kTile
        for (int64_t r = 0; r < rows; r += most) {
            const int64_t m = rows - r < most ? rows - r : most;
            for (int64_t q = 0; q < m; ++q)
                widen_row(x + q * cols, reinterpret_cast<const H*>(p + (r + q) * stride), cols);
            op.columns(a, reinterpret_cast<const char*>(x), m, cols * int64_t(sizeof(float)), cols,
                       at + r);
        }
    }
};

// ---- integers and bool: sum, product, counts; everything wraps in 64 bits -----------------------
template <class T>
struct IntSum : ReduceOp<IntSum<T>, T, uint64_t> {
    uint64_t init() const { return 0; }
    void merge(uint64_t& a, uint64_t b) const { a += b; }
    void store(const dl_reduce_args& args, int64_t k, uint64_t a) const {
        static_cast<int64_t*>(args.out)[k] = int64_t(a);
    }
    void run(uint64_t& a, const T* p, int64_t n, int64_t) const {
        uint64_t total = 0;
        for (int64_t i = 0; i < n; ++i) total += uint64_t(int64_t(p[i]));
        a += total;
    }
    void columns(uint64_t* a, const char* p, int64_t rows, int64_t stride, int64_t cols,
                 int64_t) const {
        for (int64_t r = 0; r < rows; ++r) {
            const T* row = reinterpret_cast<const T*>(p + r * stride);
            for (int64_t c = 0; c < cols; ++c) a[c] += uint64_t(int64_t(row[c]));
        }
    }
};

template <class T>
struct CountNonzero : ReduceOp<CountNonzero<T>, T, int64_t> {
    int64_t init() const { return 0; }
    void merge(int64_t& a, int64_t b) const { a += b; }
    void store(const dl_reduce_args& args, int64_t k, int64_t a) const {
        static_cast<int64_t*>(args.out)[k] = a;
    }
    void run(int64_t& a, const T* p, int64_t n, int64_t) const {
        int64_t total = 0;
        for (int64_t i = 0; i < n; ++i) total += p[i] != T(0);
        a += total;
    }
};

template <class T, bool all>
struct AnyAll : ReduceOp<AnyAll<T, all>, T, uint8_t> {
    uint8_t init() const { return all; }
    void merge(uint8_t& a, uint8_t b) const { a = all ? a & b : a | b; }
    void store(const dl_reduce_args& args, int64_t k, uint8_t a) const {
        static_cast<uint8_t*>(args.out)[k] = a;
    }
    void run(uint8_t& a, const T* p, int64_t n, int64_t) const {
        for (int64_t i = 0; i < n && a == uint8_t(all);) {  // stop at the first block that decides
            int64_t last = n - i < 1024 ? n : i + 1024;
            bool any = false, every = true;
            for (; i < last; ++i) {
                any |= p[i] != T(0);
                every &= p[i] != T(0);
            }
            a = all ? every : any;
        }
    }
};

// Acc is double for floats and uint64_t for integers.
template <class T, class Acc, class Out>
struct Product : ReduceOp<Product<T, Acc, Out>, T, Acc> {
    typedef typename Vec<Acc>::type V;
    static constexpr int M = Vec<Acc>::N, kChains = 8;  // side by side, enough to hide latency

    Acc init() const { return Acc(1); }
    void merge(Acc& a, Acc b) const { a *= b; }
    void store(const dl_reduce_args& args, int64_t k, Acc a) const {
        static_cast<Out*>(args.out)[k] = Out(a);
    }
    static V load(const T* p) {
        if constexpr (sizeof(T) < sizeof(Acc)) {
            vf32_half x;
            memcpy(&x, p, sizeof x);
#if defined(__AVX512F__) && DL_VEC_BYTES == 64
            return (vf64)_mm512_maskz_cvtps_pd(0xff, (__m256)x);  // GCC would do it in quarters
#else
            return __builtin_convertvector(x, vf64);
#endif
        } else {
            return (V)vload(p);
        }
    }
    void run(Acc& a, const T* p, int64_t n, int64_t) const {
        int64_t i = 0;
        if (n >= kChains * M) {
            V s[kChains];
            for (int c = 0; c < kChains; ++c) s[c] = load(p + c * M);
            for (i = kChains * M; n - i >= kChains * M; i += kChains * M)
                for (int c = 0; c < kChains; ++c) s[c] *= load(p + i + c * M);
            for (int half = kChains / 2; half > 0; half /= 2)
                for (int c = 0; c < half; ++c) s[c] *= s[c + half];
            a *= vfold<Acc>(s[0], [](V b, V c) { return b * c; });
        }
        for (; i < n; ++i) a *= Acc(p[i]);
    }
    void columns(Acc* a, const char* p, int64_t rows, int64_t stride, int64_t cols, int64_t) const {
        for (int64_t r = 0; r < rows; ++r) {
            const T* row = reinterpret_cast<const T*>(p + r * stride);
            for (int64_t c = 0; c < cols; ++c) a[c] *= Acc(row[c]);
        }
    }
};

}  // namespace
