// Pooling, plain: the loops of the definition.
#include "kernels/pool.h"

#include "kernels/cpu/parallel.h"

namespace deeplite::cpu::reference {

dl_status resample(const dl_resample* args);  // pool_resample.cpp

namespace {

struct Range {
    int64_t begin, end, step;
};

int64_t volume(const int64_t s[3]) { return s[0] * s[1] * s[2]; }

// Taps of window o along dimension d that lie inside of the input.
Range window(const dl_pool& p, int d, int64_t o) {
    int64_t begin = o * p.stride[d] - p.pad[d];
    int64_t end = begin + (p.kernel[d] - 1) * p.dilation[d] + 1;
    if (end > p.in[d]) end = p.in[d];
    while (begin < 0) begin += p.dilation[d];
    return {begin, end, p.dilation[d]};
}

Range adaptive_window(const dl_pool& p, int d, int64_t o) {
    return {o * p.in[d] / p.out[d], ((o + 1) * p.in[d] + p.out[d] - 1) / p.out[d], 1};
}

// Calls f(position in the input plane) for each tap of the window that the three ranges span.
template <class F>
void for_each_tap(const dl_pool& p, const Range r[3], const F& f) {
    for (int64_t a = r[0].begin; a < r[0].end; a += r[0].step)
        for (int64_t b = r[1].begin; b < r[1].end; b += r[1].step)
            for (int64_t c = r[2].begin; c < r[2].end; c += r[2].step)
                f((a * p.in[1] + b) * p.in[2] + c);
}

// One channel of one image: elements follow each other, or lie `step` apart.
template <class T>
struct Plane {
    T* first;
    int64_t step;
    T& operator[](int64_t i) const { return first[i * step]; }
};
int64_t planes(const dl_pool& p) { return p.planes * p.channels; }
template <class T>
Plane<T> plane_of(const dl_pool& p, void* data, int64_t plane, int64_t volume) {
    T* image = static_cast<T*>(data) + plane / p.channels * p.channels * volume;
    return {image + plane % p.channels, p.channels};
}
template <class T>
Plane<T> plane_x(const dl_pool& p, int64_t plane) {
    return plane_of<T>(p, p.x, plane, volume(p.in));
}
template <class T>
Plane<T> plane_y(const dl_pool& p, int64_t plane) {
    return plane_of<T>(p, p.y, plane, volume(p.out));
}
Plane<int64_t> plane_indices(const dl_pool& p, int64_t plane) {
    return plane_of<int64_t>(p, p.indices, plane, volume(p.out));
}

// Calls f(plane, position in the output plane, o) for each output, planes in parallel.
template <class F>
void for_each_output(const dl_pool& p, const F& f) {
    parallel_for(planes(p), 1, [&](int64_t begin, int64_t end) {
        for (int64_t plane = begin; plane < end; ++plane) {
            int64_t o[3], j = 0;
            for (o[0] = 0; o[0] < p.out[0]; ++o[0])
                for (o[1] = 0; o[1] < p.out[1]; ++o[1])
                    for (o[2] = 0; o[2] < p.out[2]; ++o[2]) f(plane, j++, o);
        }
    });
}

// The maximum of nothing: a dilated window may have all of its taps in the padding.
template <class T>
T lowest() {
    if constexpr (T(0.5) != T(0)) return T(-__builtin_inf());
    return T(-1) > T(0) ? T(0) : T(uint64_t(1) << (8 * sizeof(T) - 1));
}

template <class T>
void max_of(const dl_pool& p, int64_t plane, int64_t j, const Range r[3]) {
    const Plane<T> x = plane_x<T>(p, plane);
    int64_t best = -1;
    for_each_tap(p, r, [&](int64_t i) {
        if (best < 0 || x[i] > x[best] || x[i] != x[i]) best = i;
    });
    plane_y<T>(p, plane)[j] = best < 0 ? lowest<T>() : x[best];
    if (p.indices) plane_indices(p, plane)[j] = best < 0 ? 0 : best;
}

template <class T>
dl_status max_forward(const dl_pool& p) {
    for_each_output(p, [&](int64_t plane, int64_t j, const int64_t o[3]) {
        const Range r[3] = {window(p, 0, o[0]), window(p, 1, o[1]), window(p, 2, o[2])};
        max_of<T>(p, plane, j, r);
    });
    return DL_OK;
}

template <class T>
dl_status adaptive_max_forward(const dl_pool& p) {
    for_each_output(p, [&](int64_t plane, int64_t j, const int64_t o[3]) {
        const Range r[3] = {adaptive_window(p, 0, o[0]), adaptive_window(p, 1, o[1]),
                            adaptive_window(p, 2, o[2])};
        max_of<T>(p, plane, j, r);
    });
    return DL_OK;
}

template <class T>
dl_status max_at(const dl_pool& p, const int64_t* starts) {
    for_each_output(p, [&](int64_t plane, int64_t j, const int64_t o[3]) {
        const int64_t* s = starts + plane * (p.out[0] + p.out[1] + p.out[2]);
        Range r[3];
        for (int d = 0; d < 3; s += p.out[d++]) r[d] = {s[o[d]], s[o[d]] + p.kernel[d], 1};
        max_of<T>(p, plane, j, r);
    });
    return DL_OK;
}

// The divisor of window o: fixed, or its size with or without the padding.
double divisor(const dl_pool& p, const int64_t o[3], const Range r[3]) {
    if (p.divisor) return double(p.divisor);
    double size = 1;
    for (int d = 0; d < 3; ++d) {
        const int64_t begin = o[d] * p.stride[d] - p.pad[d];
        int64_t end = begin + p.kernel[d];
        if (end > p.in[d] + p.pad[d]) end = p.in[d] + p.pad[d];
        size *= double(p.count_include_pad ? end - begin : r[d].end - r[d].begin);
    }
    return size;
}

template <class T, bool Adaptive, bool Backward>
dl_status avg(const dl_pool& p) {
    if (Backward)
        for (int64_t i = 0; i < planes(p) * volume(p.in); ++i) static_cast<T*>(p.x)[i] = 0;
    for_each_output(p, [&](int64_t plane, int64_t j, const int64_t o[3]) {
        Range r[3];
        double div = 1;
        for (int d = 0; d < 3; ++d) {
            r[d] = Adaptive ? adaptive_window(p, d, o[d]) : window(p, d, o[d]);
            div *= double(r[d].end - r[d].begin);
        }
        if (!Adaptive) div = divisor(p, o, r);
        const Plane<T> x = plane_x<T>(p, plane);
        T* y = &plane_y<T>(p, plane)[j];
        double sum = 0;
        for_each_tap(p, r, [&](int64_t i) {
            if (Backward)
                x[i] += T(double(*y) / div);
            else
                sum += double(x[i]);
        });
        if (!Backward)
            *y = sum == 0 ? T(0) : T(sum / div);  // a window in the padding may have div 0
    });
    return DL_OK;
}

enum class By { Gather, ScatterAdd, Scatter };

template <class T, By how>
dl_status by_index(const dl_pool& p) {
    const int64_t in = volume(p.in), out = volume(p.out);
    for (int64_t i = 0; i < planes(p) * out; ++i)
        if (p.indices[i] < 0 || p.indices[i] >= in) return DL_BAD_INDEX;
    if (how != By::Gather)
        for (int64_t i = 0; i < planes(p) * in; ++i) static_cast<T*>(p.x)[i] = 0;
    parallel_for(planes(p), 1, [&](int64_t begin, int64_t end) {
        for (int64_t plane = begin; plane < end; ++plane) {
            const Plane<T> x = plane_x<T>(p, plane), y = plane_y<T>(p, plane);
            const Plane<int64_t> indices = plane_indices(p, plane);
            for (int64_t j = 0; j < out; ++j) {
                T& there = x[indices[j]];
                if (how == By::Gather) y[j] = there;
                if (how == By::ScatterAdd) there = T(there + y[j]);
                if (how == By::Scatter) there = y[j];
            }
        }
    });
    return DL_OK;
}

// Calls f with a value of the element type; max pooling and the index kernels take integers too.
template <class F>
dl_status for_type(int32_t dtype, bool integers, const F& f) {
    if (dtype == DL_F32) return f(float());
    if (dtype == DL_F64) return f(double());
    if (!integers) return DL_UNSUPPORTED;
    if (dtype == DL_I64) return f(int64_t());
    if (dtype == DL_I32) return f(int32_t());
    if (dtype == DL_I16) return f(int16_t());
    if (dtype == DL_I8) return f(int8_t());
    if (dtype == DL_U8) return f(uint8_t());
    return DL_UNSUPPORTED;
}

}  // namespace

const dl_pool_table* pool_table() {
#define DL_EACH(integers, kernel)                         \
    [](const dl_pool* p) {                                \
        return for_type(p->dtype, integers, [&](auto t) { \
            using T = decltype(t);                        \
            return kernel(*p);                            \
        });                                               \
    }
    static const dl_pool_table table = {
        DL_EACH(true, max_forward<T>),
        DL_EACH(true, adaptive_max_forward<T>),
        DL_EACH(false, (avg<T, false, false>)),
        DL_EACH(false, (avg<T, false, true>)),
        DL_EACH(false, (avg<T, true, false>)),
        DL_EACH(false, (avg<T, true, true>)),
        DL_EACH(true, (by_index<T, By::Gather>)),
        DL_EACH(true, (by_index<T, By::ScatterAdd>)),
        DL_EACH(true, (by_index<T, By::Scatter>)),
        [](const dl_pool* p, const int64_t* starts) {
            return for_type(p->dtype, true,
                            [&](auto t) { return max_at<decltype(t)>(*p, starts); });
        },
        resample,
    };
#undef DL_EACH
    return &table;
}

}  // namespace deeplite::cpu::reference
