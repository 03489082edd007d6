// The ops that reduce_driver.h walks with, beside reduce_sums.h: extremes, moments, indices, norms.
#pragma once
#include "kernels/cpu/reduce_sums.h"
#include "kernels/cpu/vmath.h"

namespace {

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

// Whether a NaN was among vectors seen two at a time.
struct NanSeen {
#if defined(__AVX512F__) && DL_VEC_BYTES == 64
    uint32_t lanes = 0;
    void see(vf32 a, vf32 b) { lanes |= _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_UNORD_Q); }
    void see(vf64 a, vf64 b) { lanes |= _mm512_cmp_pd_mask((__m512d)a, (__m512d)b, _CMP_UNORD_Q); }
    bool any() const { return lanes != 0; }
#else
    vi32 lanes{};
    template <class V>
    void see(V a, V b) {
        lanes |= (vi32)((a != a) | (b != b));
    }
    bool any() const { return vany(lanes); }
#endif
};

template <class T, bool kMax, class Map = MapNone, class In = T>
struct Extreme : ReduceOp<Extreme<T, kMax, Map, In>, In, T> {
    typedef typename Vec<T>::type V;
    static constexpr int N = Vec<T>::N;
    static constexpr bool kFloat = T(0.5) != T(0);
    void* out = nullptr;

    T init() const { return kMax ? Limits<T>::low() : Limits<T>::high(); }
    void merge(T& a, T b) const { a = extreme<kMax, T>(a, b); }
    void store(const dl_reduce_args&, int64_t k, T a) const { static_cast<T*>(out)[k] = a; }
    // A NaN in `b` is passed over: it comes first, and is the one that hardware drops.
    static V of_two(V a, V b) { return kMax ? vmax(b, a) : vmin(b, a); }
    void run(T& a, const In* p, int64_t n, int64_t) const {
        int64_t i = 0;
        if (n >= 4 * N) {
            V m0 = vset1<T>(init()), m1 = m0, m2 = m0, m3 = m0, x0, x1, x2, x3;
            NanSeen nan;
            for (; n - i >= 4 * N; i += 4 * N) {
                vload_mixed(p + i, x0, x1);
                vload_mixed(p + i + 2 * N, x2, x3);
                if constexpr (kFloat) nan.see(x0, x1), nan.see(x2, x3);
                m0 = of_two(m0, Map::map(x0));
                m1 = of_two(m1, Map::map(x1));
                m2 = of_two(m2, Map::map(x2));
                m3 = of_two(m3, Map::map(x3));
            }
            const T best = vfold<T>(of_two(of_two(m0, m1), of_two(m2, m3)), &of_two);
            a = extreme<kMax, T>(a, best);
            if constexpr (kFloat)
                if (nan.any()) a = T(NAN);
        }
        for (; i < n; ++i) a = extreme<kMax, T>(a, Map::map(T(widen(p[i]))));
    }
    void columns(T* a, const char* p, int64_t rows, int64_t stride, int64_t cols, int64_t) const {
        int64_t c = 0;
        for (; cols - c >= 4 * N; c += 4 * N) {
            V m[4];
            for (int u = 0; u < 4; ++u) m[u] = vload(a + c + u * N);
            for (int64_t r = 0; r < rows; ++r) {
                const In* row = reinterpret_cast<const In*>(p + r * stride) + c;
                for (int u = 0; u < 4; ++u)
                    m[u] = extreme<kMax>(m[u], Map::map(vload(row + u * N)));
            }
            for (int u = 0; u < 4; ++u) vstore(a + c + u * N, m[u]);
        }
        for (int64_t r = 0; r < rows && c < cols; ++r) {
            const In* row = reinterpret_cast<const In*>(p + r * stride);
            for (int64_t k = c; k < cols; ++k)
                a[k] = extreme<kMax, T>(a[k], Map::map(T(widen(row[k]))));
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
            squares = sum.total_of(vs);
            rest = sum.total_of(vr);
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
