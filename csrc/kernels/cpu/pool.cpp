// Pooling. Rows are padded and split by stride once (planes.h), then every window is a fixed
// pattern of contiguous vector loads, whatever the stride, the padding and the dilation.
#include "kernels/pool.h"

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/planes.h"
#include "kernels/parallel.h"

namespace deeplite::cpu::reference {
const dl_pool_table* pool_table();  // the plain twin serves what has no fast path here
}

namespace deeplite::cpu::DL_ISA {

dl_status resample(const dl_resample* args);              // pool_resample.cpp
dl_status adaptive_avg(const dl_pool& p, bool backward);  // pool_adaptive.cpp: unequal windows
dl_status adaptive_max(const dl_pool& p);
dl_status pool_max_last(const dl_pool& p, bool adaptive);  // pool_channels_last.cpp
dl_status pool_avg_last(const dl_pool& p, bool adaptive, bool backward);
dl_status pool_scatter_add_last(const dl_pool& p);

namespace {

constexpr int kRowsSlot = 0, kColumnsSlot = 1, kTapsSlot = 2;

int64_t volume(const int64_t s[3]) { return s[0] * s[1] * s[2]; }

int64_t grain(const dl_pool& p) {
    const int64_t work = volume(p.in) + volume(p.out);
    return work >= 16384 ? 1 : 16384 / (work + 1) + 1;
}

// Taps [begin, end) of window o along dimension d that lie inside of the input.
struct Taps {
    int64_t origin, begin, end;
};
Taps taps(const dl_pool& p, int d, int64_t o) {
    Taps t{o * p.stride[d] - p.pad[d], 0, p.kernel[d]};
    const int64_t step = p.dilation[d];
    const int64_t room = p.in[d] - t.origin;  // taps r with r * dilation < room
    if (t.origin < 0) t.begin = step == 1 ? -t.origin : (-t.origin + step - 1) / step;
    if (room < t.end * step) t.end = room <= 0 ? 0 : (room + step - 1) / step;
    if (t.begin > t.end) t.begin = t.end;
    return t;
}

template <class T>
PhasedShape shape_of(const dl_pool& p) {
    return phased_shape<T>(p.in[2], p.pad[2], p.stride[2], p.out[2], p.kernel[2], p.dilation[2]);
}

// Where the taps of a window lie in a split row, relative to its output column.
int64_t* tap_offsets(const dl_pool& p, const PhasedShape& s) {
    auto* at = static_cast<int64_t*>(dl_scratch(size_t(p.kernel[2]) * sizeof(int64_t), kTapsSlot));
    for (int64_t c = 0; at && c < p.kernel[2]; ++c) at[c] = s.offset(c * p.dilation[2]);
    return at;
}

// All rows of a plane, split: [in0 * in1, stride, ld].
template <class T>
void split_plane(T* rows, const T* x, const dl_pool& p, const PhasedShape& s, T fill) {
    for (int64_t r = 0; r < p.in[0] * p.in[1]; ++r)
        split_row(rows + r * s.cells(), x + r * p.in[2], s, fill);
}

// The maxima of N windows without their places: two instructions a tap. The sum tells whether there
// may be a NaN, which needs the order of the taps (also infinities of both signs look like one).
template <class T>
bool max_values(const dl_pool& p, const PhasedShape& s, const int64_t* at_tap, const T* rows,
                const Taps& t0, const Taps& t1, typename Vec<T>::type* result) {
    typename Vec<T>::type best = vset1<T>(T(-__builtin_inf())), sum = {};
    for (int64_t r0 = t0.begin; r0 < t0.end; ++r0)
        for (int64_t r1 = t1.begin; r1 < t1.end; ++r1) {
            const int64_t row =
                (t0.origin + r0 * p.dilation[0]) * p.in[1] + t1.origin + r1 * p.dilation[1];
            const T* src = rows + row * s.cells();
            for (int64_t c = 0; c < p.kernel[2]; ++c) {
                const auto v = vload(src + at_tap[c]);
                best = v > best ? v : best;
                sum += v;
            }
        }
    *result = best;
    return !vany(sum != sum);
}

// One output row of max pooling; rows point at the split plane, y and idx at the output row. The
// last vector of a row runs over into the next one, which is written later, where `room` allows.
template <class T>
void max_row(const dl_pool& p, const PhasedShape& s, const int64_t* at_tap, const T* rows,
             const Taps& t0, const Taps& t1, const typename LaneInt<T>::type* first_column, T* y,
             int64_t* idx, int64_t room) {
    using I = typename LaneInt<T>::type;
    using VI = typename Vec<I>::type;
    constexpr int N = Vec<T>::N;
    const I first_row = I(
        ((t0.origin + t0.begin * p.dilation[0]) * p.in[1] + t1.origin + t1.begin * p.dilation[1]) *
        p.in[2]);
    VI iota;
    for (int l = 0; l < N; ++l) iota[l] = I(l * p.stride[2]);
    for (int64_t o = 0; o < p.out[2]; o += N) {
        typename Vec<T>::type best;
        if (!idx && max_values(p, s, at_tap, rows + o, t0, t1, &best)) {
            if (o + N <= room)
                vstore(y + o, best);
            else
                vstore_n(y + o, best, p.out[2] - o);
            continue;
        }
        best = vset1<T>(T(-__builtin_inf()));
        VI at = vload(first_column + o) + first_row;
        for (int64_t r0 = t0.begin; r0 < t0.end; ++r0)
            for (int64_t r1 = t1.begin; r1 < t1.end; ++r1) {
                const int64_t row =
                    (t0.origin + r0 * p.dilation[0]) * p.in[1] + t1.origin + r1 * p.dilation[1];
                const T* src = rows + row * s.cells() + o;
                const VI base = iota + I(row * p.in[2] + o * p.stride[2] - p.pad[2]);
                for (int64_t c = 0; c < p.kernel[2]; ++c) {
                    const auto v = vload(src + at_tap[c]);
                    const VI better = (v > best) | (v != v);
                    best = better ? v : best;
                    at = better ? base + I(c * p.dilation[2]) : at;
                }
            }
        I lanes[N];
        memcpy(lanes, &at, sizeof lanes);
        if (o + N <= room) {
            vstore(y + o, best);
            if (idx)
                for (int l = 0; l < N; ++l) idx[o + l] = lanes[l];
        } else {
            vstore_n(y + o, best, p.out[2] - o);
            if (idx)
                for (int64_t l = 0; l < p.out[2] - o; ++l) idx[o + l] = lanes[l];
        }
    }
}

// One window that is the whole input.
bool covers_all(const dl_pool& p) {
    for (int d = 0; d < 3; ++d)
        if (p.out[d] != 1 || p.kernel[d] != p.in[d] || p.pad[d] != 0 || p.dilation[d] != 1)
            return false;
    return true;
}

// Place of the largest of n elements: the first of equals, or the last NaN.
template <class T>
int64_t plane_max(const T* x, int64_t n) {
    using V = typename Vec<T>::type;
    constexpr int N = Vec<T>::N;
    V top = vset1<T>(T(-__builtin_inf()));
    auto nan = top != top;
    for (int64_t i = 0; i < n; i += N) {
        const V v = n - i < N ? vload_n<T>(x + i, n - i, T(-__builtin_inf())) : vload(x + i);
        top = v > top ? v : top;
        nan |= v != v;
    }
    if (vany(nan)) {
        int64_t i = n - 1;
        while (x[i] == x[i]) --i;
        return i;
    }
    T best = top[0];
    for (int l = 1; l < N; ++l) best = top[l] > best ? top[l] : best;
    int64_t i = 0;
    while (x[i] != best) ++i;
    return i;
}
template <class T>
dl_status global_max_forward(const dl_pool& p) {
    const int64_t n = volume(p.in);
    parallel_for(p.planes, grain(p), [&](int64_t begin, int64_t end) {
        for (int64_t plane = begin; plane < end; ++plane) {
            const T* x = static_cast<const T*>(p.x) + plane * n;
            const int64_t at = plane_max(x, n);
            static_cast<T*>(p.y)[plane] = x[at];
            if (p.indices) p.indices[plane] = at;
        }
    });
    return DL_OK;
}

template <class T>
dl_status max_forward(const dl_pool& p) {
    if (p.channels > 1 && volume(p.in) <= (int64_t(1) << 30)) return pool_max_last(p, false);
    if (p.channels > 1) return reference::pool_table()->max_forward(&p);
    if (covers_all(p)) return global_max_forward<T>(p);
    using I = typename LaneInt<T>::type;
    if (volume(p.in) > (int64_t(1) << 30) || p.stride[2] > kMaxPhases)
        return reference::pool_table()->max_forward(&p);
    const PhasedShape s = shape_of<T>(p);
    const int64_t* at_tap = tap_offsets(p, s);
    const int64_t padded = round_up(p.out[2], Vec<T>::N);
    auto* first = static_cast<I*>(dl_scratch(size_t(padded) * sizeof(I), kColumnsSlot));
    if (!first || !at_tap) return DL_OUT_OF_MEMORY;
    for (int64_t o = 0; o < padded; ++o) {
        const Taps t = taps(p, 2, o);
        first[o] = I(t.origin + t.begin * p.dilation[2]);
        if (o < p.out[2] && t.begin == t.end)  // a window of padding only: rare, left to the twin
            return reference::pool_table()->max_forward(&p);
    }
    for (int d = 0; d < 2; ++d)
        for (int64_t o = 0; o < p.out[d]; ++o) {
            const Taps t = taps(p, d, o);
            if (t.begin == t.end) return reference::pool_table()->max_forward(&p);
        }
    int failed = 0;
    parallel_for(p.planes, grain(p), [&](int64_t begin, int64_t end) {
        const int64_t cells = p.in[0] * p.in[1] * s.cells();
        T* rows = static_cast<T*>(dl_scratch(size_t(cells) * sizeof(T), kRowsSlot));
        if (!rows) {
            __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            return;
        }
        for (int64_t plane = begin; plane < end; ++plane) {
            const T* x = static_cast<const T*>(p.x) + plane * volume(p.in);
            split_plane(rows, x, p, s, T(-__builtin_inf()));
            int64_t at = plane * volume(p.out);
            for (int64_t o0 = 0; o0 < p.out[0]; ++o0)
                for (int64_t o1 = 0; o1 < p.out[1]; ++o1, at += p.out[2])
                    max_row(p, s, at_tap, rows, taps(p, 0, o0), taps(p, 1, o1), first,
                            static_cast<T*>(p.y) + at, p.indices ? p.indices + at : nullptr,
                            end * volume(p.out) - at);
        }
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

// What a window along dimension d counts for in the divisor.
int64_t window_size(const dl_pool& p, int d, int64_t o) {
    if (p.divisor) return 1;
    const int64_t origin = o * p.stride[d] - p.pad[d];
    int64_t begin = origin, end = origin + p.kernel[d];
    if (end > p.in[d] + p.pad[d]) end = p.in[d] + p.pad[d];
    if (!p.count_include_pad) {
        if (begin < 0) begin = 0;
        if (end > p.in[d]) end = p.in[d];
    }
    return end > begin ? end - begin : 0;
}

// Sizes of the windows along a row, as T, rounded up to whole vectors.
template <class T>
T* column_sizes(const dl_pool& p) {
    const int64_t padded = round_up(p.out[2], Vec<T>::N);
    T* sizes = static_cast<T*>(dl_scratch(size_t(padded) * sizeof(T), kColumnsSlot));
    if (sizes)
        for (int64_t o = 0; o < padded; ++o)
            sizes[o] = o < p.out[2] ? T(window_size(p, 2, o)) : T(1);
    return sizes;
}

template <class T>
T row_size(const dl_pool& p, int64_t o0, int64_t o1) {
    if (p.divisor) return T(p.divisor);
    return T(window_size(p, 0, o0) * window_size(p, 1, o1));
}

template <class T>
void avg_row(const dl_pool& p, const PhasedShape& s, const int64_t* at_tap, const T* rows,
             const Taps& t0, const Taps& t1, T row_size, const T* sizes, T* y, int64_t room) {
    using V = typename Vec<T>::type;
    constexpr int N = Vec<T>::N;
    for (int64_t o = 0; o < p.out[2]; o += N) {
        V sum = {};
        for (int64_t r0 = t0.begin; r0 < t0.end; ++r0)
            for (int64_t r1 = t1.begin; r1 < t1.end; ++r1) {
                const int64_t row = (t0.origin + r0) * p.in[1] + t1.origin + r1;
                const T* src = rows + row * s.cells() + o;
                for (int64_t c = 0; c < p.kernel[2]; ++c) sum += vload(src + at_tap[c]);
            }
        const V size = vload(sizes + o) * row_size;
        // A window that meets only padding has sum 0 and maybe size 0.
        const V mean = size == V{} ? V{} : sum / size;
        if (o + N <= room)
            vstore(y + o, mean);
        else
            vstore_n(y + o, mean, p.out[2] - o);
    }
}

// Mean over a whole plane.
template <class T>
T plane_mean(const T* x, int64_t n) {
    using V = typename Vec<T>::type;
    constexpr int N = Vec<T>::N;
    V sum[4] = {};
    int64_t i = 0;
    for (; i + 4 * N <= n; i += 4 * N)
        for (int u = 0; u < 4; ++u) sum[u] += vload(x + i + u * N);
    for (; i + N <= n; i += N) sum[0] += vload(x + i);
    T tail = 0;
    for (; i < n; ++i) tail += x[i];
    return (vreduce_add<T>((sum[0] + sum[1]) + (sum[2] + sum[3])) + tail) / T(n);
}

template <class T>
dl_status global_avg_forward(const dl_pool& p) {
    const int64_t n = volume(p.in);
    parallel_for(p.planes, grain(p), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            static_cast<T*>(p.y)[i] = plane_mean(static_cast<const T*>(p.x) + i * n, n);
    });
    return DL_OK;
}

template <class T>
dl_status global_avg_backward(const dl_pool& p) {
    const int64_t n = volume(p.in);
    parallel_for(p.planes, grain(p), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            T* x = static_cast<T*>(p.x) + i * n;
            const T g = static_cast<const T*>(p.y)[i] / T(n);
            for (int64_t j = 0; j < n; ++j) x[j] = g;
        }
    });
    return DL_OK;
}

bool is_global(const dl_pool& p) { return p.divisor == 0 && covers_all(p); }

template <class T>
dl_status avg_forward(const dl_pool& p) {
    if (p.channels > 1) return pool_avg_last(p, false, false);
    if (is_global(p)) return global_avg_forward<T>(p);
    if (p.stride[2] > kMaxPhases) return reference::pool_table()->avg_forward(&p);
    const PhasedShape s = shape_of<T>(p);
    const T* sizes = column_sizes<T>(p);
    const int64_t* at_tap = tap_offsets(p, s);
    if (!sizes || !at_tap) return DL_OUT_OF_MEMORY;
    int failed = 0;
    parallel_for(p.planes, grain(p), [&](int64_t begin, int64_t end) {
        const int64_t cells = p.in[0] * p.in[1] * s.cells();
        T* rows = static_cast<T*>(dl_scratch(size_t(cells) * sizeof(T), kRowsSlot));
        if (!rows) {
            __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            return;
        }
        for (int64_t plane = begin; plane < end; ++plane) {
            split_plane(rows, static_cast<const T*>(p.x) + plane * volume(p.in), p, s, T(0));
            T* y = static_cast<T*>(p.y) + plane * volume(p.out);
            for (int64_t o0 = 0; o0 < p.out[0]; ++o0)
                for (int64_t o1 = 0; o1 < p.out[1]; ++o1, y += p.out[2])
                    avg_row(p, s, at_tap, rows, taps(p, 0, o0), taps(p, 1, o1),
                            row_size<T>(p, o0, o1), sizes, y,
                            static_cast<T*>(p.y) + end * volume(p.out) - y);
        }
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

// Output positions whose window covers input position i along dimension d.
void covering(const dl_pool& p, int d, int64_t i, int64_t* begin, int64_t* end) {
    const int64_t q = i + p.pad[d];
    *begin = q < p.kernel[d] ? 0 : (q - p.kernel[d]) / p.stride[d] + 1;
    *end = q / p.stride[d] + 1;
    if (*end > p.out[d]) *end = p.out[d];
}

// Scratch of the backward pass: the gradients of one plane, each divided by the size of its window,
// with `reach` zeros before each row; one sum of such rows; one row of dx, split by phase.
template <class T>
struct Spread {
    int64_t reach, ld;
    T *shares, *sum, *split;

    Spread(const dl_pool& p, const PhasedShape& s) {
        constexpr int N = Vec<T>::N;
        reach = (p.kernel[2] - 1) / p.stride[2];
        ld = reach + s.ld + N;
        const int64_t rows = p.out[0] * p.out[1];
        shares =
            static_cast<T*>(dl_scratch(size_t((rows + 1) * ld + s.cells()) * sizeof(T), kRowsSlot));
        if (!shares) return;
        sum = shares + rows * ld;
        split = sum + ld;
    }

    void divide(const dl_pool& p, const T* dy, const T* sizes) const {
        memset(shares, 0, size_t(p.out[0] * p.out[1] * ld) * sizeof(T));
        T* row = shares + reach;
        for (int64_t o0 = 0; o0 < p.out[0]; ++o0)
            for (int64_t o1 = 0; o1 < p.out[1]; ++o1, row += ld, dy += p.out[2]) {
                const T rows = row_size<T>(p, o0, o1);
                for (int64_t o = 0; o < p.out[2]; ++o) {
                    const T size = sizes[o] * rows;
                    row[o] = size == T(0) ? T(0) : dy[o] / size;
                }
            }
    }

    // sum = the rows whose windows cover the input row, [b0, e0) x [b1, e1)
    void add_rows(const dl_pool& p, int64_t b0, int64_t e0, int64_t b1, int64_t e1) const {
        for (int64_t j = 0; j + Vec<T>::N <= ld; j += Vec<T>::N) {
            typename Vec<T>::type v = {};
            for (int64_t o0 = b0; o0 < e0; ++o0)
                for (int64_t o1 = b1; o1 < e1; ++o1)
                    v += vload(shares + (o0 * p.out[1] + o1) * ld + j);
            vstore(sum + j, v);
        }
    }

    // Column j of phase f meets the taps c = f, f + stride, ..., each at output j - c / stride.
    void add_taps(const dl_pool& p, const PhasedShape& s) const {
        for (int64_t f = 0; f < s.stride; ++f)
            for (int64_t j = 0; j < s.ld; j += Vec<T>::N) {
                typename Vec<T>::type v = {};
                const T* from = sum + reach + j;
                for (int64_t c = f; c < p.kernel[2]; c += s.stride) v += vload(from--);
                vstore(split + f * s.ld + j, v);
            }
    }
};

template <class T>
dl_status avg_backward(const dl_pool& p) {
    if (p.channels > 1) return pool_avg_last(p, false, true);
    if (is_global(p)) return global_avg_backward<T>(p);
    if (p.stride[2] > kMaxPhases) return reference::pool_table()->avg_backward(&p);
    const PhasedShape s = shape_of<T>(p);
    const T* sizes = column_sizes<T>(p);
    if (!sizes) return DL_OUT_OF_MEMORY;
    int failed = 0;
    parallel_for(p.planes, grain(p), [&](int64_t begin, int64_t end) {
        const Spread<T> spread(p, s);
        if (!spread.shares) {
            __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            return;
        }
        for (int64_t plane = begin; plane < end; ++plane) {
            T* x = static_cast<T*>(p.x) + plane * volume(p.in);
            spread.divide(p, static_cast<const T*>(p.y) + plane * volume(p.out), sizes);
            for (int64_t i0 = 0; i0 < p.in[0]; ++i0) {
                int64_t b0, e0, b1, e1;
                covering(p, 0, i0, &b0, &e0);
                for (int64_t i1 = 0; i1 < p.in[1]; ++i1, x += p.in[2]) {
                    covering(p, 1, i1, &b1, &e1);
                    spread.add_rows(p, b0, e0, b1, e1);
                    spread.add_taps(p, s);
                    join_row(x, spread.split, s);
                }
            }
        }
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

// Adaptive pooling whose windows all have one size is plain pooling.
bool as_plain(const dl_pool& p, dl_pool* plain) {
    *plain = p;
    for (int d = 0; d < 3; ++d) {
        if (p.out[d] <= 0 || p.in[d] % p.out[d] != 0) return false;
        plain->kernel[d] = plain->stride[d] = p.in[d] / p.out[d];
        plain->pad[d] = 0;
        plain->dilation[d] = 1;
        if (plain->kernel[d] == 0) return false;
    }
    plain->count_include_pad = 1;
    plain->divisor = 0;
    return true;
}

template <class T>
dl_status adaptive_max_forward(const dl_pool& p) {
    dl_pool plain;
    if (p.channels > 1 && volume(p.in) <= (int64_t(1) << 30)) return pool_max_last(p, true);
    if (p.channels > 1) return reference::pool_table()->adaptive_max_forward(&p);
    return as_plain(p, &plain) ? max_forward<T>(plain) : adaptive_max(p);
}

template <class T>
dl_status adaptive_avg_forward(const dl_pool& p) {
    dl_pool plain;
    if (p.channels > 1) return pool_avg_last(p, true, false);
    return as_plain(p, &plain) ? avg_forward<T>(plain) : adaptive_avg(p, false);
}

template <class T>
dl_status adaptive_avg_backward(const dl_pool& p) {
    dl_pool plain;
    if (p.channels > 1) return pool_avg_last(p, true, true);
    return as_plain(p, &plain) ? avg_backward<T>(plain) : adaptive_avg(p, true);
}

template <class T>
dl_status scatter_add(const dl_pool& p) {
    if (p.channels > 1) return pool_scatter_add_last(p);
    const int64_t in = volume(p.in), out = volume(p.out);
    int bad = 0;
    parallel_for(p.planes, grain(p), [&](int64_t begin, int64_t end) {
        for (int64_t plane = begin; plane < end; ++plane) {
            T* x = static_cast<T*>(p.x) + plane * in;
            const T* y = static_cast<const T*>(p.y) + plane * out;
            const int64_t* idx = p.indices + plane * out;
            memset(x, 0, size_t(in) * sizeof(T));
            for (int64_t j = 0; j < out; ++j) {
                if (uint64_t(idx[j]) >= uint64_t(in)) {
                    __atomic_store_n(&bad, 1, __ATOMIC_RELAXED);
                    break;
                }
                x[idx[j]] += y[j];
            }
        }
    });
    return bad ? DL_BAD_INDEX : DL_OK;
}

// Runs the fast kernel where there is one for the element type, the twin otherwise.
template <dl_status (*F32)(const dl_pool&), dl_status (*F64)(const dl_pool&),
          dl_pool_fn dl_pool_table::* Twin>
dl_status dispatch(const dl_pool* p) {
    if (p->planes <= 0 || volume(p->in) <= 0 || volume(p->out) <= 0)
        return (reference::pool_table()->*Twin)(p);
    if (p->dtype == DL_F32) return F32(*p);
    if (p->dtype == DL_F64) return F64(*p);
    return (reference::pool_table()->*Twin)(p);
}

}  // namespace

const dl_pool_table* pool_table() {
#define DL_BOTH(kernel) dispatch<kernel<float>, kernel<double>, &dl_pool_table::kernel>
    static const dl_pool_table table = {
        DL_BOTH(max_forward),
        DL_BOTH(adaptive_max_forward),
        DL_BOTH(avg_forward),
        DL_BOTH(avg_backward),
        DL_BOTH(adaptive_avg_forward),
        DL_BOTH(adaptive_avg_backward),
        nullptr /* gather */,
        DL_BOTH(scatter_add),
        nullptr /* scatter */,
        nullptr /* max_at */,
        resample,
    };
#undef DL_BOTH
    return &table;
}

}  // namespace deeplite::cpu::DL_ISA
