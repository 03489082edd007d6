// softmax and log_softmax along the middle axis of x [outer, n, inner].
//
// inner == 1: a row is contiguous; three passes over it (maximum, exponentials and their sum, scale).
// inner > 1:  the same passes over columns, one vector lane each. A tile of adjacent columns is copied to
//             where its rows lie side by side: with the strides of whole planes they would meet in a few
//             cache sets, and every pass would go to memory again.
#include "kernels/softmax.h"

#include <math.h>

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/softmax_planes.h"
#include "kernels/cpu/strided.h"
#include "kernels/cpu/vmath.h"

namespace deeplite::cpu::DL_ISA {
namespace {

template <class T>
using V = typename Vec<T>::type;

// f(p, count): whole vectors of a run of n elements, then the rest of it.
template <class T, class F>
DL_INLINE void for_vectors(int64_t n, const F& f) {
    constexpr int64_t N = Vec<T>::N;
    int64_t i = 0;
    for (; n - i >= N; i += N) f(i, N);
    if (i < n) f(i, n - i);
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
// A NaN counts for nothing here: it comes back with the sum.
template <class T>
T row_max(const T* x, int64_t n) {
    constexpr int64_t N = Vec<T>::N;
    V<T> m0 = vset1<T>(-T(INFINITY)), m1 = m0;
    int64_t i = 0;
    for (; n - i >= 2 * N; i += 2 * N) {
        m0 = vmax(vload(x + i), m0);
        m1 = vmax(vload(x + i + N), m1);
    }
    for (; i < n; i += N) m0 = vmax(vload_lanes<T>(x + i, n - i < N ? n - i : N, -T(INFINITY)), m0);
    m0 = vmax(m0, m1);
    T top = m0[0];
    for (int l = 1; l < N; ++l) top = m0[l] > top ? m0[l] : top;
    return top;
}

// A row of -inf alone gives NaN (as 0 / 0 should): -inf - -inf is NaN. So does a row with +inf.
template <class T>
void softmax_row(const T* x, T* y, int64_t n) {
    V<T> top = vset1<T>(row_max(x, n));
    RowSum<T> sum;
    for_vectors<T>(n, [&](int64_t i, int64_t count) {
        V<T> e = vexp(vload_lanes<T>(x + i, count, -T(INFINITY)) - top);
        vstore_lanes<T>(y + i, e, count);
        sum.add(count == Vec<T>::N ? e : vload_n<T>(y + i, count, T(0)));
    });
    V<T> scale = vset1<T>(T(1.0 / sum.result()));
    for_vectors<T>(n, [&](int64_t i, int64_t count) {
        vstore_lanes<T>(y + i, vload_lanes<T>(y + i, count, T(0)) * scale, count);
    });
}

template <class T>
void log_softmax_row(const T* x, T* y, int64_t n) {
    T top = row_max(x, n);
    RowSum<T> sum;
    for_vectors<T>(n, [&](int64_t i, int64_t count) {
        V<T> e = vexp(vload_lanes<T>(x + i, count, -T(INFINITY)) - top);
        sum.add(e);
    });
    V<T> log_sum = vset1<T>(T(log(sum.result())));
    for_vectors<T>(n, [&](int64_t i, int64_t count) {
        vstore_lanes<T>(y + i, (vload_lanes<T>(x + i, count, T(0)) - top) - log_sum, count);
    });
}

// dx = (dy - sum(dy y)) y
template <class T>
void softmax_backward_row(const T* y, const T* dy, T* dx, int64_t n) {
    RowSum<T> sum;
    for_vectors<T>(n, [&](int64_t i, int64_t count) {
        sum.add(vload_lanes<T>(y + i, count, T(0)) * vload_lanes<T>(dy + i, count, T(0)));
    });
    V<T> dot = vset1<T>(T(sum.result()));
    for_vectors<T>(n, [&](int64_t i, int64_t count) {
        V<T> d = (vload_lanes<T>(dy + i, count, T(0)) - dot) * vload_lanes<T>(y + i, count, T(0));
        vstore_lanes<T>(dx + i, d, count);
    });
}

// dx = dy - exp(y) sum(dy)
template <class T>
void log_softmax_backward_row(const T* y, const T* dy, T* dx, int64_t n) {
    RowSum<T> sum;
    for_vectors<T>(n,
                   [&](int64_t i, int64_t count) { sum.add(vload_lanes<T>(dy + i, count, T(0))); });
    V<T> total = vset1<T>(T(sum.result()));
    for_vectors<T>(n, [&](int64_t i, int64_t count) {
        V<T> e = vexp(vload_lanes<T>(y + i, count, T(0)));
        vstore_lanes<T>(dx + i, vload_lanes<T>(dy + i, count, T(0)) - e * total, count);
    });
}

// ---- inner > 1: U vectors of adjacent columns, rows `stride` apart ----------------------------------
template <class T, int U>
struct Columns {
    static constexpr int64_t N = Vec<T>::N;
    int64_t n, stride, out_stride;

    // f(vector, place) for all of them, row by row.
    template <class F>
    DL_INLINE void each(const Columns& c, const F& f) {
        for (int64_t r = 0; r < c.n; ++r)
            for (int u = 0; u < U; ++u) f(u, r * c.stride + u * N);
    }
    // out = f(vector, place)
    template <class F>
    DL_INLINE void put(const Columns& c, T* out, const F& f) {
        for (int64_t r = 0; r < c.n; ++r)
            for (int u = 0; u < U; ++u)
                vstore(out + r * c.out_stride + u * N, f(u, r * c.stride + u * N));
    }
    // Sums of f(place) down the columns: 64 rows at a time, then these.
    template <class F>
    DL_INLINE void sum(const Columns& c, V<T>* total, const F& f) {
        for (int u = 0; u < U; ++u) total[u] = V<T>{};
        for (int64_t r = 0; r < c.n;) {
            const int64_t last = c.n - r < 64 ? c.n : r + 64;
            V<T> part[U] = {};
            for (; r < last; ++r)
                for (int u = 0; u < U; ++u) part[u] += f(u, r * c.stride + u * N);
            for (int u = 0; u < U; ++u) total[u] += part[u];
        }
    }
    DL_INLINE void max(const Columns& c, V<T>* top, const T* x) {
        for (int u = 0; u < U; ++u) top[u] = vset1<T>(-T(INFINITY));
        each(c, [&](int u, int64_t i) { top[u] = vmax(vload(x + i), top[u]); });
    }
};

struct Softmax {
    template <class T, int U>
    static void run(const Columns<T, U>& c, T* x, const T*, T* out) {
        V<T> top[U], sum[U];
        c.max(c, top, x);
        c.sum(c, sum, [&](int u, int64_t i) {
            V<T> e = vexp(vload(x + i) - top[u]);
            vstore(x + i, e);
            return e;
        });
        for (int u = 0; u < U; ++u) sum[u] = T(1) / sum[u];
        c.put(c, out, [&](int u, int64_t i) { return vload(x + i) * sum[u]; });
    }
};
struct LogSoftmax {
    template <class T, int U>
    static void run(const Columns<T, U>& c, T* x, const T*, T* out) {
        V<T> top[U], sum[U];
        c.max(c, top, x);
        c.sum(c, sum, [&](int u, int64_t i) { return vexp(vload(x + i) - top[u]); });
        for (int u = 0; u < U; ++u) sum[u] = vlog(sum[u]);
        c.put(c, out, [&](int u, int64_t i) { return (vload(x + i) - top[u]) - sum[u]; });
    }
};
struct SoftmaxBackward {
    template <class T, int U>
    static void run(const Columns<T, U>& c, T* y, const T* dy, T* out) {
        V<T> dot[U];
        c.sum(c, dot, [&](int, int64_t i) { return vload(y + i) * vload(dy + i); });
        c.put(c, out, [&](int u, int64_t i) { return (vload(dy + i) - dot[u]) * vload(y + i); });
    }
};
struct LogSoftmaxBackward {
    template <class T, int U>
    static void run(const Columns<T, U>& c, T* y, const T* dy, T* out) {
        V<T> total[U];
        c.sum(c, total, [&](int, int64_t i) { return vload(dy + i); });
        c.put(c, out,
              [&](int u, int64_t i) { return vload(dy + i) - vexp(vload(y + i)) * total[u]; });
    }
};

// ---- cuts and dtypes -----------------------------------------------------------------------------
// f(first element) for each row.
template <class F>
void for_each_row(int64_t outer, int64_t n, const F& f) {
    const int64_t grain = n >= 8192 ? 1 : 8192 / n;
    parallel_for(outer, grain, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) f(t * n);
    });
}

// Copies `rows` rows of `width` elements.
template <class T>
void copy_rows(T* dst, int64_t to, const T* src, int64_t from, int64_t rows, int64_t width) {
    for (int64_t r = 0; r < rows; ++r)
        copy_bytes(reinterpret_cast<char*>(dst + r * to),
                   reinterpret_cast<const char*>(src + r * from), width * int64_t(sizeof(T)));
}

// Op::run over all columns of a (and b, which may be null) -> out, a tile of them at a time. What a
// tile holds side by side is long enough to be fetched ahead, and stays in the second cache. The last
// vector of a tile may hold lanes that mean nothing: it goes through the tile, not straight to `out`.
template <class Op, class T>
dl_status for_each_column(int64_t outer, int64_t n, int64_t inner, const T* a, const T* b, T* out) {
    constexpr int64_t N = Vec<T>::N, kTileBytes = 96 * 1024;
    int64_t width = kTileBytes / int64_t(sizeof(T)) / (b ? 2 : 1) / n / N * N;
    const int64_t widest = 64 * N < inner ? 64 * N : (inner + N - 1) / N * N;
    if (width < N) width = N;
    if (width > widest) width = widest;
    const int64_t tiles = (inner + width - 1) / width;
    const int64_t grain = n * width >= 8192 ? 1 : 8192 / (n * width);
    int failed = 0;
    parallel_for(outer * tiles, grain, [&](int64_t begin, int64_t end) {
        T* room = static_cast<T*>(dl_scratch(size_t(2 * n * width) * sizeof(T), 0));
        if (!room) {
            __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            return;
        }
        T *ta = room, *tb = room + n * width;
        for (int64_t t = begin; t < end; ++t) {
            const int64_t column = t % tiles * width, at = t / tiles * n * inner + column;
            const int64_t wide = inner - column < width ? inner - column : width;
            copy_rows(ta, width, a + at, inner, n, wide);
            if (b) copy_rows(tb, width, b + at, inner, n, wide);
            int64_t c = 0;
            for (; c + 4 * N <= wide; c += 4 * N)
                Op::run(Columns<T, 4>{n, width, inner}, ta + c, tb + c, out + at + c);
            for (; c + N <= wide; c += N)
                Op::run(Columns<T, 1>{n, width, inner}, ta + c, tb + c, out + at + c);
            if (c == wide) continue;
            Op::run(Columns<T, 1>{n, width, width}, ta + c, tb + c, ta + c);
            copy_rows(out + at + c, inner, ta + c, width, n, wide - c);
        }
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

template <class T, bool log>
dl_status forward(const dl_softmax_args& args) {
    const T* x = static_cast<const T*>(args.in);
    T* y = static_cast<T*>(args.out);
    if (args.outer == 0 || args.n == 0 || args.inner == 0) return DL_OK;
    if (args.inner > 1) {
        const T* none = nullptr;
        return log ? for_each_column<LogSoftmax>(args.outer, args.n, args.inner, x, none, y)
                   : for_each_column<Softmax>(args.outer, args.n, args.inner, x, none, y);
    }
    for_each_row(args.outer, args.n, [&](int64_t at) {
        (log ? log_softmax_row<T> : softmax_row<T>)(x + at, y + at, args.n);
    });
    return DL_OK;
}

template <class T, bool log>
dl_status backward(const dl_softmax_backward_args& args) {
    const T* y = static_cast<const T*>(args.y);
    const T* dy = static_cast<const T*>(args.dy);
    T* dx = static_cast<T*>(args.dx);
    if (args.outer == 0 || args.n == 0 || args.inner == 0) return DL_OK;
    if (const int64_t width = plane_width<T>(args.n, args.inner))
        return for_each_plane<T>(
            args.outer, args.n, args.inner, width, y, dy, dx,
            log ? &Planes<T>::log_softmax_backward : &Planes<T>::softmax_backward);
    if (args.inner > 1)
        return log ? for_each_column<LogSoftmaxBackward>(args.outer, args.n, args.inner, y, dy, dx)
                   : for_each_column<SoftmaxBackward>(args.outer, args.n, args.inner, y, dy, dx);
    for_each_row(args.outer, args.n, [&](int64_t at) {
        (log ? log_softmax_backward_row<T> : softmax_backward_row<T>)(y + at, dy + at, dx + at,
                                                                      args.n);
    });
    return DL_OK;
}

template <bool log>
dl_status forward_any(const dl_softmax_args* args) {
    if (args->dtype == DL_F32) return forward<float, log>(*args);
    if (args->dtype == DL_F64) return forward<double, log>(*args);
    return DL_UNSUPPORTED;
}
template <bool log>
dl_status backward_any(const dl_softmax_backward_args* args) {
    if (args->dtype == DL_F32) return backward<float, log>(*args);
    if (args->dtype == DL_F64) return backward<double, log>(*args);
    return DL_UNSUPPORTED;
}

const dl_softmax_table table = {forward_any<false>, forward_any<true>, backward_any<false>,
                                backward_any<true>};

}  // namespace

const dl_softmax_table* softmax_table() { return &table; }

}  // namespace deeplite::cpu::DL_ISA
