// The ops that reduce_driver.h walks with: sums of a mapped value, extremes, moments, indices.
#pragma once
#include <math.h>

#include "kernels/cpu/reduce_driver.h"
#include "kernels/cpu/vmath.h"

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

template <class T, class Map>
struct FloatSum : ReduceOp<FloatSum<T, Map>, T, double> {
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
    static double widen(V v) {
        T lanes[N];
        vstore(lanes, v);
        double sums[N];
        for (int i = 0; i < N; ++i) sums[i] = double(lanes[i]);
        for (int w = N / 2; w > 0; w /= 2)
            for (int i = 0; i < w; ++i) sums[i] += sums[i + w];
        return sums[0];
    }
    void run(double& a, const T* p, int64_t n, int64_t) const {
        double total = 0.0;
        int64_t i = 0;
        while (n - i >= 4 * N) {
            int64_t rows = (n - i) / (4 * N) < kRows ? (n - i) / (4 * N) : kRows;
            V s0{}, s1{}, s2{}, s3{};
            for (int64_t r = 0; r < rows; ++r, i += 4 * N) {
                s0 += Map::map(vload(p + i));
                s1 += Map::map(vload(p + i + N));
                s2 += Map::map(vload(p + i + 2 * N));
                s3 += Map::map(vload(p + i + 3 * N));
            }
            total += widen((s0 + s1) + (s2 + s3));
        }
        if (n - i >= N) {
            V s{};
            for (; n - i >= N; i += N) s += Map::map(vload(p + i));
            total += widen(s);
        }
        for (; i < n; ++i) total += Map::map(double(p[i]));
        a += total;
    }
    // U vectors of columns at a time, kRows rows in registers.
    template <int U>
    static void block(double* a, const char* p, int64_t rows, int64_t stride) {
        for (int64_t r = 0; r < rows; r += kRows) {
            int64_t last = rows - r < kRows ? rows : r + kRows;
            V s[U] = {};
            for (int64_t q = r; q < last; ++q) {
                const T* row = reinterpret_cast<const T*>(p + q * stride);
                for (int u = 0; u < U; ++u) s[u] += Map::map(vload(row + u * N));
            }
            for (int u = 0; u < U; ++u)
                for (int l = 0; l < N; ++l) a[u * N + l] += double(s[u][l]);
        }
    }
    void columns(double* a, const char* p, int64_t rows, int64_t stride, int64_t cols,
                 int64_t) const {
        int64_t c = 0;
        const int64_t item = int64_t(sizeof(T));
        for (; cols - c >= 8 * N; c += 8 * N) block<8>(a + c, p + c * item, rows, stride);
        for (; cols - c >= N; c += N) block<1>(a + c, p + c * item, rows, stride);
        for (int64_t r = 0; r < rows && c < cols; ++r) {
            const T* row = reinterpret_cast<const T*>(p + r * stride);
            for (int64_t k = c; k < cols; ++k) a[k] += Map::map(double(row[k]));
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
    Acc init() const { return Acc(1); }
    void merge(Acc& a, Acc b) const { a *= b; }
    void store(const dl_reduce_args& args, int64_t k, Acc a) const {
        static_cast<Out*>(args.out)[k] = Out(a);
    }
    void run(Acc& a, const T* p, int64_t n, int64_t) const {
        constexpr int kLanes =
            32;  // chains side by side: vectors of them, and enough to hide latency
        Acc s[kLanes];
        for (Acc& lane : s) lane = Acc(1);
        int64_t i = 0;
        for (; n - i >= kLanes; i += kLanes)
            for (int j = 0; j < kLanes; ++j) s[j] *= Acc(p[i + j]);
        for (int j = 0; i < n; ++i, ++j) s[j] *= Acc(p[i]);
        for (int w = kLanes / 2; w > 0; w /= 2)
            for (int j = 0; j < w; ++j) s[j] *= s[j + w];
        a *= s[0];
    }
    void columns(Acc* a, const char* p, int64_t rows, int64_t stride, int64_t cols, int64_t) const {
        for (int64_t r = 0; r < rows; ++r) {
            const T* row = reinterpret_cast<const T*>(p + r * stride);
            for (int64_t c = 0; c < cols; ++c) a[c] *= Acc(row[c]);
        }
    }
};

// ---- extremes: `kMax` or min; a NaN wins --------------------------------------------------------
template <class T>
struct Limits;
template <>
struct Limits<float> {
    static float low() { return -INFINITY; }
    static float high() { return INFINITY; }
};
template <>
struct Limits<double> {
    static double low() { return -double(INFINITY); }
    static double high() { return double(INFINITY); }
};
template <class T>
struct Limits {
    static constexpr bool kSigned = T(-1) < T(0);
    static T high() { return kSigned ? T((uint64_t(1) << (8 * sizeof(T) - 1)) - 1) : T(-1); }
    static T low() { return kSigned ? T(-high() - 1) : T(0); }
};

template <bool kMax, class V>
DL_INLINE V extreme(V a, V b) {
    return kMax ? (((a > b) | (a != a)) ? a : b) : (((a < b) | (a != a)) ? a : b);
}

template <class T, bool kMax, class Map = MapNone>
struct Extreme : ReduceOp<Extreme<T, kMax, Map>, T, T> {
    typedef typename Vec<T>::type V;
    static constexpr int N = Vec<T>::N;
    void* out = nullptr;

    T init() const { return kMax ? Limits<T>::low() : Limits<T>::high(); }
    void merge(T& a, T b) const { a = extreme<kMax, T>(a, b); }
    void store(const dl_reduce_args&, int64_t k, T a) const { static_cast<T*>(out)[k] = a; }
    void run(T& a, const T* p, int64_t n, int64_t) const {
        int64_t i = 0;
        if (n >= 4 * N) {
            V m[4];
            for (int u = 0; u < 4; ++u) m[u] = Map::map(vload(p + u * N));
            for (i = 4 * N; n - i >= 4 * N; i += 4 * N)
                for (int u = 0; u < 4; ++u)
                    m[u] = extreme<kMax>(m[u], Map::map(vload(p + i + u * N)));
            V all = extreme<kMax>(extreme<kMax>(m[0], m[1]), extreme<kMax>(m[2], m[3]));
            for (int l = 0; l < N; ++l) a = extreme<kMax, T>(a, all[l]);
        }
        for (; i < n; ++i) a = extreme<kMax, T>(a, Map::map(p[i]));
    }
    void columns(T* a, const char* p, int64_t rows, int64_t stride, int64_t cols, int64_t) const {
        int64_t c = 0;
        for (; cols - c >= 4 * N; c += 4 * N) {
            V m[4];
            for (int u = 0; u < 4; ++u) m[u] = vload(a + c + u * N);
            for (int64_t r = 0; r < rows; ++r) {
                const T* row = reinterpret_cast<const T*>(p + r * stride) + c;
                for (int u = 0; u < 4; ++u)
                    m[u] = extreme<kMax>(m[u], Map::map(vload(row + u * N)));
            }
            for (int u = 0; u < 4; ++u) vstore(a + c + u * N, m[u]);
        }
        for (int64_t r = 0; r < rows && c < cols; ++r) {
            const T* row = reinterpret_cast<const T*>(p + r * stride);
            for (int64_t k = c; k < cols; ++k) a[k] = extreme<kMax, T>(a[k], Map::map(row[k]));
        }
    }
};

// ---- index of the extreme: the first one, the first NaN before all ------------------------------
template <class T>
struct Place {
    T value;
    int64_t index;  // -1: nothing seen
};
template <int bytes>
struct IndexOf {
    typedef int32_t type;
};
template <>
struct IndexOf<8> {
    typedef int64_t type;
};

template <class T, bool kMax>
struct ArgExtreme : ReduceOp<ArgExtreme<T, kMax>, T, Place<T>> {
    typedef Place<T> P;
    T* values = nullptr;  // may be null
    int64_t* indices = nullptr;

    P init() const { return {T(0), -1}; }
    static bool better(T b, T a) { return (kMax ? b > a : b < a) || (b != b && a == a); }
    void merge(P& a, const P& b) const {
        if (b.index >= 0 && (a.index < 0 || better(b.value, a.value))) a = b;
    }
    void store(const dl_reduce_args&, int64_t k, const P& a) const {
        if (values) values[k] = a.value;
        indices[k] = a.index < 0 ? 0 : a.index;
    }
    // The extreme of a block first (fast), its place only when it beats what is known.
    void run(P& a, const T* p, int64_t n, int64_t at) const {
        Extreme<T, kMax> op;
        for (int64_t i = 0; i < n; i += 1024) {
            int64_t last = n - i < 1024 ? n : i + 1024;
            T best = p[i];
            op.run(best, p + i, last - i, 0);
            if (a.index >= 0 && !better(best, a.value)) continue;
            int64_t j = i;
            if (best == best)
                while (p[j] != best) ++j;
            else
                while (p[j] == p[j]) ++j;
            a = {p[j], at + j};
        }
    }
    void columns(P* a, const char* p, int64_t rows, int64_t stride, int64_t cols,
                 int64_t at) const {
        typedef typename IndexOf<int(sizeof(T))>::type Index;
        T best[kTile];
        Index where[kTile];
        for (int64_t begin = 0; begin < rows; begin += int64_t(1) << 30) {
            int64_t m = rows - begin < (int64_t(1) << 30) ? rows - begin : int64_t(1) << 30;
            const char* q = p + begin * stride;
            memcpy(best, q, size_t(cols) * sizeof(T));
            memset(where, 0, sizeof where);
            for (int64_t r = 1; r < m; ++r) {
                const T* row = reinterpret_cast<const T*>(q + r * stride);
                for (int64_t c = 0; c < cols; ++c) {
                    T x = row[c], v = best[c];
                    bool take = (kMax ? x > v : x < v) | ((x != x) & (v == v));
                    best[c] = take ? x : v;
                    where[c] = take ? Index(r) : where[c];
                }
            }
            for (int64_t c = 0; c < cols; ++c)
                merge(a[c], P{best[c], at + begin + int64_t(where[c])});
        }
    }
};

// ---- mean and variance: two passes over a block, blocks merged by Chan's formula ----------------
struct Moments {
    double n, mean, m2;
};
DL_INLINE void merge_moments(Moments& a, const Moments& b) {
    if (b.n == 0) return;
    if (a.n == 0) {
        a = b;
        return;
    }
    double n = a.n + b.n, delta = b.mean - a.mean;
    a.m2 += b.m2 + delta * delta * (a.n * b.n / n);
    a.mean += delta * (b.n / n);
    a.n = n;
}

template <class T>
struct Variance : ReduceOp<Variance<T>, T, Moments> {
    typedef typename Vec<T>::type V;
    static constexpr int N = Vec<T>::N;

    Moments init() const { return {0.0, 0.0, 0.0}; }
    void merge(Moments& a, const Moments& b) const { merge_moments(a, b); }
    void store(const dl_reduce_args& args, int64_t k, const Moments& a) const {
        double freedom = a.n - args.param;
        double var = a.n == 0 ? double(NAN) : a.m2 / (freedom > 0 ? freedom : 0.0);
        static_cast<T*>(args.out)[k] = T(var);
        if (args.out2) static_cast<T*>(args.out2)[k] = a.n == 0 ? T(NAN) : T(a.mean);
    }
    void run(Moments& a, const T* p, int64_t n, int64_t) const {
        FloatSum<T, MapNone> sum;
        for (int64_t i = 0; i < n; i += 2048) {
            int64_t m = n - i < 2048 ? n - i : 2048;
            double total = 0.0, squares = 0.0, rest = 0.0;
            sum.run(total, p + i, m, 0);
            T center = T(total / double(m));  // rounded; `rest` makes up for it
            V vcenter = vset1<T>(center), vs{}, vr{};
            int64_t j = i;
            for (; i + m - j >= N; j += N) {
                V d = vload(p + j) - vcenter;
                vs += d * d;
                vr += d;
            }
            squares = sum.widen(vs);
            rest = sum.widen(vr);
            for (; j < i + m; ++j) {
                double d = double(p[j]) - double(center);
                squares += d * d;
                rest += d;
            }
            merge_moments(a, {double(m), double(center) + rest / double(m),
                              squares - rest * rest / double(m)});
        }
    }
    void columns(Moments* a, const char* p, int64_t rows, int64_t stride, int64_t cols,
                 int64_t at) const {
        int64_t c = 0;
        for (; cols - c >= N; c += N) block(a + c, p + c * int64_t(sizeof(T)), rows, stride);
        if (c < cols)
            ReduceOp<Variance<T>, T, Moments>::columns(a + c, p + c * int64_t(sizeof(T)), rows,
                                                       stride, cols - c, at);
    }
    static void block(Moments* a, const char* p, int64_t rows, int64_t stride) {
        for (int64_t r = 0; r < rows; r += 128) {
            int64_t m = rows - r < 128 ? rows - r : 128;
            V total{}, squares{}, rest{};
            for (int64_t q = r; q < r + m; ++q)
                total += vload(reinterpret_cast<const T*>(p + q * stride));
            V center = total / vset1<T>(T(m));
            for (int64_t q = r; q < r + m; ++q) {
                V d = vload(reinterpret_cast<const T*>(p + q * stride)) - center;
                squares += d * d;
                rest += d;
            }
            for (int l = 0; l < N; ++l) {
                double s = double(rest[l]);
                merge_moments(a[l], {double(m), double(center[l]) + s / double(m),
                                     double(squares[l]) - s * s / double(m)});
            }
        }
    }
};

// ---- norms with a general exponent, and log(sum(exp)) -------------------------------------------
template <class T>
struct PowerSum : ReduceOp<PowerSum<T>, T, double> {
    double p = 1;
    double init() const { return 0.0; }
    void merge(double& a, double b) const { a += b; }
    void store(const dl_reduce_args& args, int64_t k, double a) const {
        static_cast<T*>(args.out)[k] = T(pow(a, 1.0 / p));
    }
    void run(double& a, const T* x, int64_t n, int64_t) const {
        for (int64_t i = 0; i < n; ++i) a += pow(fabs(double(x[i])), p);
    }
};
template <class T>
struct NormZero : CountNonzero<T> {
    void store(const dl_reduce_args& args, int64_t k, int64_t a) const {
        static_cast<T*>(args.out)[k] = T(a);
    }
};

struct MaxAndSum {
    double max, sum;  // sum of exp(x - max)
};
template <class T>
struct LogSumExp : ReduceOp<LogSumExp<T>, T, MaxAndSum> {
    typedef typename Vec<T>::type V;
    static constexpr int N = Vec<T>::N;

    MaxAndSum init() const { return {-double(INFINITY), 0.0}; }
    void merge(MaxAndSum& a, const MaxAndSum& b) const {
        if (a.max != a.max || b.max == -double(INFINITY)) return;
        if (a.max == b.max) {
            a.sum += b.sum;
        } else if (a.max > b.max) {
            a.sum += b.sum * exp(b.max - a.max);
        } else {  // b is larger, or NaN
            a = {b.max, b.sum + a.sum * exp(a.max - b.max)};
        }
    }
    void store(const dl_reduce_args& args, int64_t k, const MaxAndSum& a) const {
        bool finite = a.max - a.max == 0.0;
        static_cast<T*>(args.out)[k] = T(finite ? a.max + log(a.sum) : a.max);
    }
    void run(MaxAndSum& a, const T* p, int64_t n, int64_t) const {
        Extreme<T, true> extreme_op;
        for (int64_t i = 0; i < n; i += 1024) {
            int64_t last = n - i < 1024 ? n : i + 1024;
            T top = extreme_op.init();
            extreme_op.run(top, p + i, last - i, 0);
            double sum = 0.0;
            if (top - top == T(0)) {  // else the maximum alone is the answer
                V vtop = vset1<T>(top), vs{};
                int64_t j = i;
                for (; last - j >= N; j += N) vs += vexp(vload(p + j) - vtop);
                for (int l = 0; l < N; ++l) sum += double(vs[l]);
                if (j < last) {
                    V e = vexp(vload_n<T>(p + j, last - j, top) - vtop);
                    for (int l = 0; l < last - j; ++l) sum += double(e[l]);
                }
            }
            merge(a, {double(top), sum});
        }
    }
    void columns(MaxAndSum* a, const char* p, int64_t rows, int64_t stride, int64_t cols,
                 int64_t at) const {
        int64_t c = 0;
        for (; cols - c >= N; c += N) block(a + c, p + c * int64_t(sizeof(T)), rows, stride);
        if (c < cols)
            ReduceOp<LogSumExp<T>, T, MaxAndSum>::columns(a + c, p + c * int64_t(sizeof(T)), rows,
                                                          stride, cols - c, at);
    }
    void block(MaxAndSum* a, const char* p, int64_t rows, int64_t stride) const {
        const V infinity = vset1<T>(T(INFINITY));
        for (int64_t r = 0; r < rows; r += 64) {
            const int64_t last = rows - r < 64 ? rows : r + 64;
            const auto at = [&](int64_t q) {
                return vload(reinterpret_cast<const T*>(p + q * stride));
            };
            V top = -infinity, sum{};
            for (int64_t q = r; q < last; ++q) top = extreme<true>(top, at(q));
            const V base = top - top == V{} ? top : V{};  // else the maximum alone is the answer
            for (int64_t q = r; q < last; ++q) sum += vexp(at(q) - base);
            for (int l = 0; l < N; ++l)
                merge(a[l], {double(top[l]), base[l] == top[l] ? double(sum[l]) : 0.0});
        }
    }
};

}  // namespace
