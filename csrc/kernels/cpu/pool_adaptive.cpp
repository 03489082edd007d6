// Adaptive pooling whose windows differ in size. Averages are a resampling: each axis with the windows'
// shares as weights. Maxima are taken down the rows of a window first, for all columns at once.
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/simd.h"
#include "kernels/pool.h"

namespace deeplite::cpu::reference {
const dl_pool_table* pool_table();  // volumes
}

namespace deeplite::cpu::DL_ISA {

dl_status resample(const dl_resample* args);
dl_status adaptive_avg(const dl_pool& p, bool backward);
dl_status adaptive_max(const dl_pool& p);

namespace {

constexpr int kTapsSlot = 2, kRowSlot = 0;

int64_t window_begin(int64_t in, int64_t out, int64_t o) { return o * in / out; }
int64_t window_end(int64_t in, int64_t out, int64_t o) { return ((o + 1) * in + out - 1) / out; }

// Room for the taps of an axis: each output meets in / out + 2 inputs at most, and each input belongs
// to at least one window.
int64_t most_taps(int64_t in, int64_t out) { return in + 2 * out; }
size_t taps_bytes(int64_t in, int64_t out) {
    return size_t(most_taps(in, out) * 2 + (in > out ? in : out) + 1) * 8;
}

// The means of the windows, or their gradient: what each input hands to the windows it lies in.
dl_taps make_taps(int64_t in, int64_t out, bool backward, void* room) {
    int64_t* begin = static_cast<int64_t*>(room);
    int64_t* at = begin + (in > out ? in : out) + 1;
    double* weight = reinterpret_cast<double*>(at + most_taps(in, out));
    const int64_t ends = backward ? in : out;
    int64_t n = 0, first = 0;  // backward: the first window that is not over
    for (int64_t e = 0; e < ends; ++e) {
        begin[e] = n;
        if (backward) {
            while (window_end(in, out, first) <= e) ++first;
            for (int64_t o = first; o < out && window_begin(in, out, o) <= e; ++o) {
                at[n] = o;
                weight[n++] = 1.0 / double(window_end(in, out, o) - window_begin(in, out, o));
            }
        } else {
            const int64_t b = window_begin(in, out, e), size = window_end(in, out, e) - b;
            for (int64_t i = 0; i < size; ++i) {
                at[n] = b + i;
                weight[n++] = 1.0 / double(size);
            }
        }
    }
    begin[ends] = n;
    return {backward ? out : in, ends, begin, at, weight};
}

// `v` at place `i` beats `best` at `at`: row by row the first of equals wins, and the last NaN.
template <class T>
DL_INLINE bool beats(T v, int64_t i, T best, int64_t at) {
    if (v != v) return best == best || i > at;
    return v > best || (v == best && i < at);
}

// Maxima down rows [r0, r1) for each column, and their rows.
template <class T>
void max_down(const T* x, int64_t width, int64_t r0, int64_t r1, T* __restrict best,
              T* __restrict row) {
    memcpy(best, x + r0 * width, size_t(width) * sizeof(T));
    for (int64_t c = 0; c < width; ++c) row[c] = T(0);
    for (int64_t r = r0 + 1; r < r1; ++r)
        for (int64_t c = 0; c < width; ++c) {
            const T v = x[r * width + c];
            const bool take = (v > best[c]) | (v != v);
            best[c] = take ? v : best[c];
            row[c] = take ? T(r - r0) : row[c];
        }
}

template <class T>
void max_plane(const dl_pool& p, int64_t plane, T* room) {
    const int64_t height = p.in[1], width = p.in[2];
    const T* x = static_cast<const T*>(p.x) + plane * height * width;
    T *y = static_cast<T*>(p.y) + plane * p.out[1] * p.out[2], *best = room, *row = room + width;
    int64_t* indices = p.indices ? p.indices + plane * p.out[1] * p.out[2] : nullptr;
    for (int64_t o = 0; o < p.out[1]; ++o) {
        const int64_t r0 = window_begin(height, p.out[1], o), r1 = window_end(height, p.out[1], o);
        max_down(x, width, r0, r1, best, row);
        for (int64_t q = 0; q < p.out[2]; ++q) {
            const int64_t c0 = window_begin(width, p.out[2], q),
                          c1 = window_end(width, p.out[2], q);
            const auto place = [&](int64_t c) { return (r0 + int64_t(row[c])) * width + c; };
            T top = best[c0];
            int64_t at = place(c0);
            for (int64_t c = c0 + 1; c < c1; ++c)
                if (beats(best[c], place(c), top, at)) top = best[c], at = place(c);
            *y++ = top;
            if (indices) *indices++ = at;
        }
    }
}

template <class T>
dl_status max_planes(const dl_pool& p) {
    const int64_t work = p.in[1] * p.in[2] * 2, grain = work < 16384 ? 16384 / (work + 1) + 1 : 1;
    int failed = 0;
    parallel_for(p.planes, grain, [&](int64_t begin, int64_t end) {
        T* room = static_cast<T*>(dl_scratch(size_t(2 * p.in[2]) * sizeof(T), kRowSlot));
        if (!room) {
            __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            return;
        }
        for (int64_t plane = begin; plane < end; ++plane) max_plane<T>(p, plane, room);
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

}  // namespace

dl_status adaptive_avg(const dl_pool& p, bool backward) {
    if (p.in[0] != 1 || p.out[0] != 1)
        return backward ? reference::pool_table()->adaptive_avg_backward(&p)
                        : reference::pool_table()->adaptive_avg_forward(&p);
    const size_t rows = taps_bytes(p.in[1], p.out[1]), columns = taps_bytes(p.in[2], p.out[2]);
    char* room = static_cast<char*>(dl_scratch(rows + columns, kTapsSlot));
    if (!room) return DL_OUT_OF_MEMORY;
    dl_resample g = {};
    g.dtype = p.dtype;
    g.planes = p.planes;
    g.rows = make_taps(p.in[1], p.out[1], backward, room);
    g.columns = make_taps(p.in[2], p.out[2], backward, room + rows);
    g.x = backward ? p.y : p.x;
    g.y = backward ? p.x : p.y;
    return resample(&g);
}

dl_status adaptive_max(const dl_pool& p) {
    // Row numbers are kept as floats beside the maxima.
    if (p.in[0] != 1 || p.out[0] != 1 || p.in[1] > (int64_t(1) << 24))
        return reference::pool_table()->adaptive_max_forward(&p);
    return p.dtype == DL_F32 ? max_planes<float>(p) : max_planes<double>(p);
}

}  // namespace deeplite::cpu::DL_ISA
