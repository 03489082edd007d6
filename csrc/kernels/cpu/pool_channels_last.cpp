// Pooling with the channels of a pixel side by side: vectors of channels, window by window. Windows of
// equal size and adaptive ones differ only in where they begin and end.
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/parallel.h"
#include "kernels/pool.h"

namespace deeplite::cpu::DL_ISA {

dl_status pool_max_last(const dl_pool& p, bool adaptive);
dl_status pool_avg_last(const dl_pool& p, bool adaptive, bool backward);
dl_status pool_scatter_add_last(const dl_pool& p);

namespace {

int64_t volume(const int64_t s[3]) { return s[0] * s[1] * s[2]; }

// Positions [begin, end) of the input, `step` apart, and how many count in the mean.
struct Window {
    int64_t begin, end, step, size;
};
Window window(const dl_pool& p, int d, int64_t o, bool adaptive) {
    if (adaptive) {
        const int64_t b = o * p.in[d] / p.out[d];
        const int64_t e = ((o + 1) * p.in[d] + p.out[d] - 1) / p.out[d];
        return {b, e, 1, e - b};
    }
    Window w;
    const int64_t origin = o * p.stride[d] - p.pad[d];
    w.step = p.dilation[d], w.begin = origin, w.end = origin + (p.kernel[d] - 1) * w.step + 1;
    int64_t padded = origin + p.kernel[d];
    if (padded > p.in[d] + p.pad[d]) padded = p.in[d] + p.pad[d];
    if (w.begin < 0) w.begin += (-w.begin + w.step - 1) / w.step * w.step;
    if (w.end > p.in[d]) w.end = p.in[d];
    if (w.end < w.begin) w.end = w.begin;
    w.size = p.count_include_pad ? padded - origin : w.end - w.begin;
    return w;
}

template <class F>
void each_tap(const dl_pool& p, const Window w[3], const F& f) {
    for (int64_t a = w[0].begin; a < w[0].end; a += w[0].step)
        for (int64_t b = w[1].begin; b < w[1].end; b += w[1].step)
            for (int64_t c = w[2].begin; c < w[2].end; c += w[2].step)
                f((a * p.in[1] + b) * p.in[2] + c);
}

// f(image, rows 0 and 1 of the position) for each row of positions of all images, in parallel.
template <class F>
void each_row(const dl_pool& p, const int64_t size[3], int64_t work, const F& f) {
    const int64_t rows = size[0] * size[1];
    parallel_for(p.planes * rows, 65536 / (work * size[2] * p.channels + 1) + 1,
                 [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i)
                         f(i / rows, i % rows / size[1], i % size[1]);
                 });
}

// The first of equals wins, and the last NaN; a window of padding only gives the lowest number.
template <class T>
void max_pixel(const dl_pool& p, const Window w[3], const T* x, T* y, int64_t* indices) {
    using I = typename LaneInt<T>::type;
    using V = typename Vec<T>::type;
    using VI = typename Vec<I>::type;
    constexpr int64_t N = Vec<T>::N;
    for (int64_t c = 0; c < p.channels; c += N) {
        const int64_t lanes = p.channels - c < N ? p.channels - c : N;
        V best = vset1<T>(T(-__builtin_inf()));
        const bool any = w[0].begin < w[0].end && w[1].begin < w[1].end && w[2].begin < w[2].end;
        const int64_t first = any ? (w[0].begin * p.in[1] + w[1].begin) * p.in[2] + w[2].begin : 0;
        VI at = vset1(I(first));
        each_tap(p, w, [&](int64_t i) {
            const V v = vload_lanes(x + i * p.channels + c, lanes);
            const VI better = (v > best) | (v != v);
            best = better ? v : best;
            at = better ? vset1(I(i)) : at;
        });
        vstore_lanes(y + c, best, lanes);
        if (indices)
            for (int64_t l = 0; l < lanes; ++l) indices[c + l] = at[l];
    }
}

template <class T>
dl_status max_last(const dl_pool& p, bool adaptive) {
    const int64_t taps = adaptive ? volume(p.in) / volume(p.out) + 1 : volume(p.kernel);
    each_row(p, p.out, 2 * taps, [&](int64_t n, int64_t o0, int64_t o1) {
        const T* x = static_cast<const T*>(p.x) + n * volume(p.in) * p.channels;
        int64_t at = (((n * p.out[0] + o0) * p.out[1] + o1) * p.out[2]) * p.channels;
        for (int64_t o2 = 0; o2 < p.out[2]; ++o2, at += p.channels) {
            const Window w[3] = {window(p, 0, o0, adaptive), window(p, 1, o1, adaptive),
                                 window(p, 2, o2, adaptive)};
            max_pixel(p, w, x, static_cast<T*>(p.y) + at, p.indices ? p.indices + at : nullptr);
        }
    });
    return DL_OK;
}

template <class T>
T mean_divisor(const dl_pool& p, const Window w[3]) {
    return p.divisor ? T(p.divisor) : T(w[0].size * w[1].size * w[2].size);
}

// Windows of more taps are summed in parts of this many rows, so that no sum of T grows long.
constexpr int64_t kMeanPart = 64;

// V vectors of channels, of which the last has `lanes` lanes.
template <class T, int V>
void mean_vectors(const dl_pool& p, const Window w[3], T divisor, const T* x, T* y, int64_t lanes) {
    typedef typename Vec<T>::type vec;
    constexpr int64_t N = Vec<T>::N;
    const auto count_of = [&](int v) { return v + 1 < V ? N : lanes; };
    vec total[V] = {}, sum[V] = {};
    int64_t count = 0;
    each_tap(p, w, [&](int64_t i) {
#pragma GCC unroll 4
        for (int v = 0; v < V; ++v) sum[v] += vload_lanes(x + i * p.channels + v * N, count_of(v));
        if (++count < kMeanPart) return;
        for (int v = 0; v < V; ++v) total[v] += sum[v], sum[v] = vec{};
        count = 0;
    });
    // A window that meets only padding has sum 0 and maybe size 0.
    for (int v = 0; v < V; ++v) {
        const vec all = total[v] + sum[v];
        vstore_lanes(y + v * N, divisor == T(0) ? vec{} : all / vset1(divisor), count_of(v));
    }
}

template <class T>
void mean_pixel(const dl_pool& p, const Window w[3], T divisor, const T* x, T* y) {
    constexpr int64_t N = Vec<T>::N;
    int64_t c = 0;
    for (; c + 4 * N <= p.channels; c += 4 * N) mean_vectors<T, 4>(p, w, divisor, x + c, y + c, N);
    for (; c < p.channels; c += N)
        mean_vectors<T, 1>(p, w, divisor, x + c, y + c, p.channels - c < N ? p.channels - c : N);
}

template <class T>
dl_status mean_forward(const dl_pool& p, bool adaptive) {
    const int64_t taps = adaptive ? volume(p.in) / volume(p.out) + 1 : volume(p.kernel);
    each_row(p, p.out, taps, [&](int64_t n, int64_t o0, int64_t o1) {
        const T* x = static_cast<const T*>(p.x) + n * volume(p.in) * p.channels;
        T* y =
            static_cast<T*>(p.y) + (((n * p.out[0] + o0) * p.out[1] + o1) * p.out[2]) * p.channels;
        for (int64_t o2 = 0; o2 < p.out[2]; ++o2, y += p.channels) {
            const Window w[3] = {window(p, 0, o0, adaptive), window(p, 1, o1, adaptive),
                                 window(p, 2, o2, adaptive)};
            mean_pixel(p, w, mean_divisor<T>(p, w), x, y);
        }
    });
    return DL_OK;
}

// Outputs [begin, end) whose windows hold input i along dimension d.
struct Cover {
    int64_t begin, end;
};
Cover covering(const dl_pool& p, int d, int64_t i, bool adaptive) {
    if (adaptive) {
        Cover c = {i * p.out[d] / p.in[d], 0};
        while (c.begin > 0 && window(p, d, c.begin - 1, true).end > i) --c.begin;
        for (c.end = c.begin; c.end < p.out[d] && window(p, d, c.end, true).begin <= i;) ++c.end;
        return c;
    }
    const int64_t q = i + p.pad[d];
    Cover c = {q < p.kernel[d] ? 0 : (q - p.kernel[d]) / p.stride[d] + 1, q / p.stride[d] + 1};
    if (c.end > p.out[d]) c.end = p.out[d];
    return c;
}

// dx of one pixel: the share of each window that holds it.
template <class T>
void spread_pixel(const dl_pool& p, const Cover c[3], bool adaptive, const T* dy, T* dx) {
    using V = typename Vec<T>::type;
    constexpr int64_t N = Vec<T>::N;
    for (int64_t ch = 0; ch < p.channels; ch += N)
        vstore_lanes(dx + ch, V{}, p.channels - ch < N ? p.channels - ch : N);
    for (int64_t a = c[0].begin; a < c[0].end; ++a)
        for (int64_t b = c[1].begin; b < c[1].end; ++b)
            for (int64_t e = c[2].begin; e < c[2].end; ++e) {
                const Window w[3] = {window(p, 0, a, adaptive), window(p, 1, b, adaptive),
                                     window(p, 2, e, adaptive)};
                const T divisor = mean_divisor<T>(p, w);
                if (divisor == T(0)) continue;
                const T* from = dy + ((a * p.out[1] + b) * p.out[2] + e) * p.channels;
                for (int64_t ch = 0; ch < p.channels; ch += N) {
                    const int64_t lanes = p.channels - ch < N ? p.channels - ch : N;
                    const V v = vload_lanes(dx + ch, lanes) +
                                vload_lanes(from + ch, lanes) / vset1(divisor);
                    vstore_lanes(dx + ch, v, lanes);
                }
            }
}

template <class T>
dl_status mean_backward(const dl_pool& p, bool adaptive) {
    each_row(p, p.in, 4, [&](int64_t n, int64_t i0, int64_t i1) {
        const T* dy = static_cast<const T*>(p.y) + n * volume(p.out) * p.channels;
        T* dx = static_cast<T*>(p.x) + (((n * p.in[0] + i0) * p.in[1] + i1) * p.in[2]) * p.channels;
        for (int64_t i2 = 0; i2 < p.in[2]; ++i2, dx += p.channels) {
            const Cover c[3] = {covering(p, 0, i0, adaptive), covering(p, 1, i1, adaptive),
                                covering(p, 2, i2, adaptive)};
            spread_pixel(p, c, adaptive, dy, dx);
        }
    });
    return DL_OK;
}

// Some channels of an image are one task: two windows may meet in one element, of one channel.
template <class T>
dl_status scatter_add_last(const dl_pool& p) {
    constexpr int64_t kSome = 64;
    const int64_t in = volume(p.in), out = volume(p.out), blocks = (p.channels + kSome - 1) / kSome;
    int bad = 0;
    parallel_for(p.planes * blocks, 65536 / ((in + out) * kSome + 1) + 1,
                 [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) {
                         const int64_t c0 = i % blocks * kSome, n = i / blocks;
                         const int64_t count = p.channels - c0 < kSome ? p.channels - c0 : kSome;
                         T* x = static_cast<T*>(p.x) + n * in * p.channels + c0;
                         const T* y = static_cast<const T*>(p.y) + n * out * p.channels + c0;
                         const int64_t* idx = p.indices + n * out * p.channels + c0;
                         for (int64_t j = 0; j < in; ++j)
                             memset(x + j * p.channels, 0, size_t(count) * sizeof(T));
                         for (int64_t j = 0; j < out; ++j, y += p.channels, idx += p.channels)
                             for (int64_t c = 0; c < count; ++c) {
                                 if (uint64_t(idx[c]) >= uint64_t(in))
                                     return __atomic_store_n(&bad, 1, __ATOMIC_RELAXED);
                                 x[idx[c] * p.channels + c] += y[c];
                             }
                     }
                 });
    return bad ? DL_BAD_INDEX : DL_OK;
}

}  // namespace

dl_status pool_max_last(const dl_pool& p, bool adaptive) {
    return p.dtype == DL_F32 ? max_last<float>(p, adaptive) : max_last<double>(p, adaptive);
}
dl_status pool_avg_last(const dl_pool& p, bool adaptive, bool backward) {
    if (p.dtype == DL_F32)
        return backward ? mean_backward<float>(p, adaptive) : mean_forward<float>(p, adaptive);
    return backward ? mean_backward<double>(p, adaptive) : mean_forward<double>(p, adaptive);
}
dl_status pool_scatter_add_last(const dl_pool& p) {
    return p.dtype == DL_F32 ? scatter_add_last<float>(p) : scatter_add_last<double>(p);
}

}  // namespace deeplite::cpu::DL_ISA
