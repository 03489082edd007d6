// Gradients of softmax and log_softmax along the middle axis of [outer, n, inner] where a row of `inner`
// elements is long: whole rows, one after the other, with a sum for each column in the second cache. Nothing is
// copied, everything is read twice, and the longer the rows the better hardware looks ahead (8x21x128x128, two
// threads: 0.93 ms by tiles of 2 kB rows, 0.80 by rows of 16 kB, 0.60 by rows of 64 kB).
#pragma once
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/vmath.h"

namespace {

// `wide` columns of n rows that lie `inner` apart. `sum`, `part`: a number for each column.
template <class T>
struct Planes {
    typedef typename Vec<T>::type V;
    static constexpr int64_t N = Vec<T>::N;
    int64_t n, inner, wide;
    const T *a, *b;
    T *out, *sum, *part;

    // f(place, column, lanes) for the vectors of row r. The numbers of a column are whole vectors.
    template <class F>
    void row(int64_t r, const F& f) const {
        int64_t i = 0;
        for (; i + N <= wide; i += N) f(r * inner + i, i, N);
        if (i < wide) f(r * inner + i, i, wide - i);
    }
    void fill(T* x, T value) const {
        for (int64_t i = 0; i < wide; i += N) vstore(x + i, vset1<T>(value));
    }
    // sum = f(place, column, lanes) added down the columns: 64 rows at a time, then these.
    template <class F>
    void add_up(const F& f) const {
        fill(sum, T(0));
        for (int64_t r = 0; r < n;) {
            const int64_t last = n - r < 64 ? n : r + 64;
            fill(part, T(0));
            for (; r < last; ++r)
                row(r, [&](int64_t at, int64_t i, int64_t count) {
                    vstore(part + i, vload(part + i) + f(at, i, count));
                });
            for (int64_t i = 0; i < wide; i += N) vstore(sum + i, vload(sum + i) + vload(part + i));
        }
    }
    // out = f(place, column, lanes)
    template <class F>
    void put(const F& f) const {
        for (int64_t r = 0; r < n; ++r)
            row(r, [&](int64_t at, int64_t i, int64_t count) {
                vstore_lanes(out + at, f(at, i, count), count);
            });
    }

    // a is y, b is dy
    void softmax_backward() const {
        add_up([&](int64_t at, int64_t, int64_t count) {
            return vload_lanes(a + at, count) * vload_lanes(b + at, count);
        });
        put([&](int64_t at, int64_t i, int64_t count) {
            return (vload_lanes(b + at, count) - vload(sum + i)) * vload_lanes(a + at, count);
        });
    }
    void log_softmax_backward() const {
        add_up([&](int64_t at, int64_t, int64_t count) { return vload_lanes(b + at, count); });
        put([&](int64_t at, int64_t i, int64_t count) {
            return vload_lanes(b + at, count) - vexp(vload_lanes(a + at, count)) * vload(sum + i);
        });
    }
};

// Columns that a task takes, 0 where rows are too short for this.
template <class T>
int64_t plane_width(int64_t n, int64_t inner) {
    constexpr int64_t kLong = 16 * 1024, kMost = 64 * 1024;  // bytes of a stretch of row
    constexpr int64_t kRoom = 4 << 20;  // bytes of a task's inputs that the third cache keeps
    const int64_t size = int64_t(sizeof(T));
    int64_t width = kRoom / 2 / n < kMost ? kRoom / 2 / n : kMost;
    const int64_t pieces = (inner * size + width - 1) / (width > 0 ? width : 1);
    if (width < kLong || inner * size < kLong) return 0;
    width = (inner + pieces - 1) / pieces;  // all alike
    return (width + Vec<T>::N - 1) / Vec<T>::N * Vec<T>::N;
}

template <class T>
dl_status for_each_plane(int64_t outer, int64_t n, int64_t inner, int64_t width, const T* a,
                         const T* b, T* out, void (Planes<T>::*run)() const) {
    const int64_t pieces = (inner + width - 1) / width;
    int failed = 0;
    parallel_for(outer * pieces, 1, [&](int64_t begin, int64_t end) {
        T* room = static_cast<T*>(dl_scratch(size_t(2 * width) * sizeof(T), 0));
        if (!room) {
            __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            return;
        }
        for (int64_t t = begin; t < end; ++t) {
            const int64_t column = t % pieces * width, at = t / pieces * n * inner + column;
            const int64_t wide = inner - column < width ? inner - column : width;
            const Planes<T> planes{n, inner, wide, a + at, b + at, out + at, room, room + width};
            (planes.*run)();
        }
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

}  // namespace
