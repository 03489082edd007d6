// Pooling. Windows are pool_windows.h; here stand what covers a whole plane, the gradients, and which of
// them all is taken.
#include "kernels/pool.h"

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/parallel.h"
#include "kernels/cpu/pool_windows.h"
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

constexpr int kRowsSlot = 0, kColumnsSlot = 1, kPlanSlot = 2;

int64_t grain(const dl_pool& p) {
    const int64_t work = volume(p.in) + volume(p.out);
    return work >= 16384 ? 1 : 16384 / (work + 1) + 1;
}

template <class T>
PhasedShape shape_of(const dl_pool& p) {
    return phased_shape<T>(p.in[2], p.pad[2], p.stride[2], p.out[2], p.kernel[2], p.dilation[2]);
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

// Whether each window meets the input. One that does not is rare, and left to the twin.
bool all_windows_meet(const dl_pool& p) {
    for (int d = 0; d < 3; ++d)
        for (int64_t o = 0; o < p.out[d]; ++o) {
            const Taps t = taps(p, d, o);
            if (t.begin == t.end) return false;
        }
    return true;
}

// One plane of max pooling by the plain twin, which knows about the order of NaNs.
template <class T>
dl_status plain_plane(const dl_pool& p, int64_t plane) {
    dl_pool one = p;
    one.planes = 1;
    one.x = static_cast<T*>(p.x) + plane * volume(p.in);
    one.y = static_cast<T*>(p.y) + plane * volume(p.out);
    if (p.indices) one.indices = p.indices + plane * volume(p.out);
    return reference::pool_table()->max_forward(&one);
}

template <class T, Windows kind>
dl_status pool_windows(const dl_pool& p) {
    WindowPlan<T> plan(p);
    void* shared = dl_scratch(plan.shared_bytes(), kColumnsSlot);
    if (!shared) return DL_OUT_OF_MEMORY;
    plan.fill_shared(shared);
    int failed = 0;
    parallel_for(p.planes, grain(p), [&](int64_t begin, int64_t end) {
        void* room = dl_scratch(plan.task_bytes(kind), kRowsSlot);
        if (!room) return __atomic_store_n(&failed, int(DL_OUT_OF_MEMORY), __ATOMIC_RELAXED);
        const T* all = static_cast<const T*>(p.x);
        const WindowTask<T, kind> task(plan, room, all, all + p.planes * volume(p.in));
        for (int64_t plane = begin; plane < end; ++plane) {
            const T* x = all + plane * volume(p.in);
            const int64_t at = plane * volume(p.out);
            if (kind != Windows::mean && !is_ordinary(x, volume(p.in))) {
                if (const dl_status s = plain_plane<T>(p, plane))
                    __atomic_store_n(&failed, int(s), __ATOMIC_RELAXED);
                continue;
            }
            task.run(x, static_cast<T*>(p.y) + at, p.indices ? p.indices + at : nullptr,
                     end * volume(p.out) - at);
        }
    });
    return dl_status(failed);
}

template <class T>
dl_status max_forward(const dl_pool& p) {
    if (p.channels > 1 && volume(p.in) <= (int64_t(1) << 30)) return pool_max_last(p, false);
    if (p.channels > 1) return reference::pool_table()->max_forward(&p);
    if (covers_all(p)) return global_max_forward<T>(p);
    if (volume(p.in) > (int64_t(1) << 30) || p.stride[2] > kMaxPhases || !all_windows_meet(p))
        return reference::pool_table()->max_forward(&p);
    return p.indices ? pool_windows<T, Windows::max_places>(p) : pool_windows<T, Windows::max>(p);
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
    return pool_windows<T, Windows::mean>(p);
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

// dy divided by the sizes of its windows, one plane.
template <class T>
void divide_by_sizes(const dl_pool& p, const T* dy, const T* sizes, T* share) {
    constexpr int N = Vec<T>::N;
    for (int64_t o0 = 0; o0 < p.out[0]; ++o0)
        for (int64_t o1 = 0; o1 < p.out[1]; ++o1, dy += p.out[2], share += p.out[2]) {
            const T rows = row_size<T>(p, o0, o1);
            for (int64_t o = 0; o < p.out[2]; o += N) {
                const int64_t n = p.out[2] - o < N ? p.out[2] - o : N;
                const auto size = vload(sizes + o) * rows;
                const typename Vec<T>::type v = vload_n(dy + o, n);
                vstore_n(share + o, size == T(0) ? typename Vec<T>::type{} : v / size, n);
            }
        }
}

// With stride 1 the gradient is a sum over windows itself: input i gets the shares of the windows that
// cover it, which are as many as a window has taps.
template <class T>
dl_status avg_backward_sliding(const dl_pool& p, const T* sizes) {
    dl_pool q = p;
    for (int d = 0; d < 3; ++d) {
        q.in[d] = p.out[d], q.out[d] = p.in[d];
        q.pad[d] = p.kernel[d] - 1 - p.pad[d];
    }
    WindowPlan<T> plan(q);
    void* shared = dl_scratch(plan.shared_bytes(), kPlanSlot);
    if (!shared) return DL_OUT_OF_MEMORY;
    plan.fill_shared(shared);
    int failed = 0;
    parallel_for(p.planes, grain(p), [&](int64_t begin, int64_t end) {
        const int64_t n = volume(p.out);
        const size_t bytes = size_t(round_up(n, Vec<T>::N)) * sizeof(T);
        char* room =
            static_cast<char*>(dl_scratch(bytes + plan.task_bytes(Windows::sum), kRowsSlot));
        if (!room) return __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
        T* share = reinterpret_cast<T*>(room);
        const WindowTask<T, Windows::sum> task(plan, room + bytes, share, share + n);
        for (int64_t plane = begin; plane < end; ++plane) {
            divide_by_sizes(p, static_cast<const T*>(p.y) + plane * n, sizes, share);
            const int64_t at = plane * volume(p.in);
            task.run(share, static_cast<T*>(p.x) + at, nullptr, end * volume(p.in) - at);
        }
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

template <class T>
dl_status avg_backward(const dl_pool& p) {
    if (p.channels > 1) return pool_avg_last(p, false, true);
    if (is_global(p)) return global_avg_backward<T>(p);
    if (p.stride[2] > kMaxPhases) return reference::pool_table()->avg_backward(&p);
    const PhasedShape s = shape_of<T>(p);
    const T* sizes = column_sizes<T>(p);
    if (!sizes) return DL_OUT_OF_MEMORY;
    if (p.stride[0] == 1 && p.stride[1] == 1 && p.stride[2] == 1)
        return avg_backward_sliding<T>(p, sizes);
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
