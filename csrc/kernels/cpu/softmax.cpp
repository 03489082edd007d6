// softmax and log_softmax along the middle axis of x [outer, n, inner].
//
// inner == 1: a row is contiguous; three passes over it (maximum, exponentials and their sum, scale).
// inner > 1:  the same passes over tiles of adjacent columns, one vector lane each.
#include "kernels/softmax.h"

#include <math.h>

#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/cpu/vmath.h"

namespace deeplite::cpu::DL_ISA {
namespace {

template <class T>
using V = typename Vec<T>::type;

// The larger one; a NaN in either wins.
template <class X>
DL_INLINE X larger(X a, X b) {
    return ((a > b) | (a != a)) ? a : b;
}

// f(p, count): whole vectors of a run of n elements, then the rest of it.
template <class T, class F>
DL_INLINE void for_vectors(int64_t n, const F& f) {
    constexpr int64_t N = Vec<T>::N;
    int64_t i = 0;
    for (; n - i >= N; i += N) f(i, N);
    if (i < n) f(i, n - i);
}
template <class T>
DL_INLINE V<T> load(const T* p, int64_t count, T fill) {
    return count == Vec<T>::N ? vload(p) : vload_n<T>(p, count, fill);
}
template <class T>
DL_INLINE void store(T* p, V<T> v, int64_t count) {
    if (count == Vec<T>::N)
        vstore(p, v);
    else
        vstore_n<T>(p, v, count);
}

// Float lanes hold at most 64 additions each before they go to a double.
template <class T>
struct RowSum {
    V<T> part{};
    double total = 0;
    int64_t held = 0;
    void add(V<T> v) {
        part += v;
        if (++held == 64) flush();
    }
    void flush() {
        total += double(vreduce_add<T>(part));
        part = V<T>{};
        held = 0;
    }
    double result() {
        flush();
        return total;
    }
};

// ---- inner == 1 ----------------------------------------------------------------------------------
template <class T>
T row_max(const T* x, int64_t n) {
    constexpr int64_t N = Vec<T>::N;
    V<T> m0 = vset1<T>(-T(INFINITY)), m1 = m0;
    int64_t i = 0;
    for (; n - i >= 2 * N; i += 2 * N) {
        m0 = larger(m0, vload(x + i));
        m1 = larger(m1, vload(x + i + N));
    }
    for (; i < n; i += N) m0 = larger(m0, load<T>(x + i, n - i < N ? n - i : N, -T(INFINITY)));
    m0 = larger(m0, m1);
    T top = m0[0];
    for (int l = 1; l < N; ++l) top = larger<T>(top, m0[l]);
    return top;
}

// A row of -inf alone gives NaN (as 0 / 0 should): -inf - -inf is NaN. So does a row with +inf.
template <class T>
void softmax_row(const T* x, T* y, int64_t n) {
    V<T> top = vset1<T>(row_max(x, n));
    RowSum<T> sum;
    for_vectors<T>(n, [&](int64_t i, int64_t count) {
        V<T> e = vexp(load<T>(x + i, count, -T(INFINITY)) - top);
        store<T>(y + i, e, count);
        sum.add(count == Vec<T>::N ? e : vload_n<T>(y + i, count, T(0)));
    });
    V<T> scale = vset1<T>(T(1.0 / sum.result()));
    for_vectors<T>(n, [&](int64_t i, int64_t count) {
        store<T>(y + i, load<T>(y + i, count, T(0)) * scale, count);
    });
}

template <class T>
void log_softmax_row(const T* x, T* y, int64_t n) {
    T top = row_max(x, n);
    RowSum<T> sum;
    for_vectors<T>(n, [&](int64_t i, int64_t count) {
        V<T> e = vexp(load<T>(x + i, count, -T(INFINITY)) - top);
        sum.add(e);
    });
    V<T> log_sum = vset1<T>(T(log(sum.result())));
    for_vectors<T>(n, [&](int64_t i, int64_t count) {
        store<T>(y + i, (load<T>(x + i, count, T(0)) - top) - log_sum, count);
    });
}

// dx = (dy - sum(dy y)) y
template <class T>
void softmax_backward_row(const T* y, const T* dy, T* dx, int64_t n) {
    RowSum<T> sum;
    for_vectors<T>(n, [&](int64_t i, int64_t count) {
        sum.add(load<T>(y + i, count, T(0)) * load<T>(dy + i, count, T(0)));
    });
    V<T> dot = vset1<T>(T(sum.result()));
    for_vectors<T>(n, [&](int64_t i, int64_t count) {
        V<T> d = (load<T>(dy + i, count, T(0)) - dot) * load<T>(y + i, count, T(0));
        store<T>(dx + i, d, count);
    });
}

// dx = dy - exp(y) sum(dy)
template <class T>
void log_softmax_backward_row(const T* y, const T* dy, T* dx, int64_t n) {
    RowSum<T> sum;
    for_vectors<T>(n, [&](int64_t i, int64_t count) { sum.add(load<T>(dy + i, count, T(0))); });
    V<T> total = vset1<T>(T(sum.result()));
    for_vectors<T>(n, [&](int64_t i, int64_t count) {
        V<T> e = vexp(load<T>(y + i, count, T(0)));
        store<T>(dx + i, load<T>(dy + i, count, T(0)) - e * total, count);
    });
}

// ---- inner > 1: `lanes` adjacent columns (at most a vector of them), rows `inner` apart ------------
template <class T>
struct Columns {
    int64_t n, inner, lanes;
    V<T> at(const T* p, int64_t row) const { return load<T>(p + row * inner, lanes, T(0)); }
    void put(T* p, int64_t row, V<T> v) const { store<T>(p + row * inner, v, lanes); }
    V<T> max(const T* x) const {
        V<T> top = vset1<T>(-T(INFINITY));
        for (int64_t r = 0; r < n; ++r) top = larger(top, at(x, r));
        return top;
    }
};

// Sums of lanes in blocks: the parts of 64 rows, then the sum of the parts.
template <class T, class F>
DL_INLINE V<T> sum_rows(int64_t n, const F& f) {
    V<T> total{};
    for (int64_t r = 0; r < n;) {
        int64_t last = n - r < 64 ? n : r + 64;
        V<T> part{};
        for (; r < last; ++r) part += f(r);
        total += part;
    }
    return total;
}

template <class T>
void softmax_columns(const Columns<T>& c, const T* x, T* y) {
    V<T> top = c.max(x);
    V<T> sum = sum_rows<T>(c.n, [&](int64_t r) {
        V<T> e = vexp(c.at(x, r) - top);
        c.put(y, r, e);
        return e;
    });
    V<T> scale = T(1) / sum;
    for (int64_t r = 0; r < c.n; ++r) c.put(y, r, c.at(y, r) * scale);
}

template <class T>
void log_softmax_columns(const Columns<T>& c, const T* x, T* y) {
    V<T> top = c.max(x);
    V<T> log_sum = vlog(sum_rows<T>(c.n, [&](int64_t r) { return vexp(c.at(x, r) - top); }));
    for (int64_t r = 0; r < c.n; ++r) c.put(y, r, (c.at(x, r) - top) - log_sum);
}

template <class T>
void softmax_backward_columns(const Columns<T>& c, const T* y, const T* dy, T* dx) {
    V<T> dot = sum_rows<T>(c.n, [&](int64_t r) { return c.at(y, r) * c.at(dy, r); });
    for (int64_t r = 0; r < c.n; ++r) c.put(dx, r, (c.at(dy, r) - dot) * c.at(y, r));
}

template <class T>
void log_softmax_backward_columns(const Columns<T>& c, const T* y, const T* dy, T* dx) {
    V<T> total = sum_rows<T>(c.n, [&](int64_t r) { return c.at(dy, r); });
    for (int64_t r = 0; r < c.n; ++r) c.put(dx, r, c.at(dy, r) - vexp(c.at(y, r)) * total);
}

// ---- cuts and dtypes -----------------------------------------------------------------------------
// row(first element) for each row, or columns(tile, first element) for each tile of columns.
template <class T, class Row, class Tile>
dl_status for_each(int64_t outer, int64_t n, int64_t inner, const Row& row, const Tile& tile) {
    if (n == 0) return DL_OK;
    constexpr int64_t N = Vec<T>::N;
    int64_t tiles = inner == 1 ? 1 : (inner + N - 1) / N;
    int64_t work = n * (inner == 1 ? 1 : N);
    int64_t grain = work >= 8192 ? 1 : 8192 / work;
    parallel_for(outer * tiles, grain, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
            if (inner == 1) {
                row(t * n);
                continue;
            }
            int64_t column = t % tiles * N;
            Columns<T> c{n, inner, inner - column < N ? inner - column : N};
            tile(c, t / tiles * n * inner + column);
        }
    });
    return DL_OK;
}

template <class T>
dl_status forward(const dl_softmax_args& args, bool log) {
    const T* x = static_cast<const T*>(args.in);
    T* y = static_cast<T*>(args.out);
    return for_each<T>(
        args.outer, args.n, args.inner,
        [&](int64_t at) { (log ? log_softmax_row<T> : softmax_row<T>)(x + at, y + at, args.n); },
        [&](const Columns<T>& c, int64_t at) {
            (log ? log_softmax_columns<T> : softmax_columns<T>)(c, x + at, y + at);
        });
}

template <class T>
dl_status backward(const dl_softmax_backward_args& args, bool log) {
    const T* y = static_cast<const T*>(args.y);
    const T* dy = static_cast<const T*>(args.dy);
    T* dx = static_cast<T*>(args.dx);
    return for_each<T>(
        args.outer, args.n, args.inner,
        [&](int64_t at) {
            (log ? log_softmax_backward_row<T> : softmax_backward_row<T>)(y + at, dy + at, dx + at,
                                                                          args.n);
        },
        [&](const Columns<T>& c, int64_t at) {
            (log ? log_softmax_backward_columns<T> : softmax_backward_columns<T>)(c, y + at,
                                                                                  dy + at, dx + at);
        });
}

template <bool log>
dl_status forward_any(const dl_softmax_args* args) {
    if (args->dtype == DL_F32) return forward<float>(*args, log);
    if (args->dtype == DL_F64) return forward<double>(*args, log);
    return DL_UNSUPPORTED;
}
template <bool log>
dl_status backward_any(const dl_softmax_backward_args* args) {
    if (args->dtype == DL_F32) return backward<float>(*args, log);
    if (args->dtype == DL_F64) return backward<double>(*args, log);
    return DL_UNSUPPORTED;
}

const dl_softmax_table table = {forward_any<false>, forward_any<true>, backward_any<false>,
                                backward_any<true>};

}  // namespace

const dl_softmax_table* softmax_table() { return &table; }

}  // namespace deeplite::cpu::DL_ISA
