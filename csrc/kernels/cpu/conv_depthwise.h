// Depthwise convolution in two dimensions: the three products.
#pragma once
#include "kernels/cpu/conv_depthwise_lanes.h"
#include "kernels/cpu/conv_depthwise_narrow.h"
#include "kernels/cpu/conv_depthwise_roll.h"
#include "kernels/cpu/conv_depthwise_strips.h"
#include "kernels/cpu/conv_depthwise_taps.h"

namespace {

// The strips of columns, with one more to end the list. With `overlap` the last one begins early
// enough to be whole, where there is room.
template <class T>
void depthwise_columns(const DepthwiseShape& d, int64_t stride, bool zip, bool overlap,
                       int64_t count, DepthwiseColumn<T>* c) {
    constexpr int N = Vec<T>::N;
    for (int64_t u = 0; u < count; ++u, ++c) {
        c->first = u * N + (zip ? d.pad[1] / 2 : 0);
        if (overlap && d.out[1] >= N) c->first = gemm_min(c->first, d.out[1] - N);
        c->edge = false;
        for (int64_t s = 0; s < d.width; ++s) {
            const int64_t at =
                zip ? c->first - s / 2 : c->first * stride - d.pad[1] + s * d.dilation[1];
            c->in[s][0] = lanes_inside<T>(at, d.in[1], &c->edge);
            if (stride == 2 && !zip) c->in[s][1] = lanes_inside<T>(at + N, d.in[1], &c->edge);
        }
        const int64_t to = zip ? 2 * c->first - d.pad[1] : c->first;
        c->out[0] = lane_mask<T>(-to, d.out[1] - to);
        c->out[1] = lane_mask<T>(-to - N, d.out[1] - to - N);
    }
    c->first = d.out[1] + d.pad[1] + N;
}

// Calls f(std::integral_constant-like KH, S).
template <class F>
DL_INLINE void depthwise_dispatch(int64_t rows, int64_t stride, const F& f) {
    if (rows == 3)
        stride == 1 ? f(DepthwiseInt<3>{}, DepthwiseInt<1>{})
                    : f(DepthwiseInt<3>{}, DepthwiseInt<2>{});
    else if (rows == 5)
        stride == 1 ? f(DepthwiseInt<5>{}, DepthwiseInt<1>{})
                    : f(DepthwiseInt<5>{}, DepthwiseInt<2>{});
    else
        stride == 1 ? f(DepthwiseInt<7>{}, DepthwiseInt<1>{})
                    : f(DepthwiseInt<7>{}, DepthwiseInt<2>{});
}

// Scratch of a task: strips or groups of columns, a row of zeros, and room for more.
template <class T>
struct DepthwiseScratch {
    DepthwiseColumn<T>* columns = nullptr;
    DepthwiseGroup<T>* groups = nullptr;
    T* zeros = nullptr;
    typename Vec<T>::type* sums = nullptr;  // null: out of memory

    DepthwiseScratch(const dl_conv& p, const DepthwiseShape& d, DepthwisePass pass, bool rolls,
                     int64_t vectors) {
        const int64_t stride = depthwise_stride(p);
        const bool zip = stride == 2 && pass == DepthwisePass::kBackwardInput;
        constexpr int N = Vec<T>::N;
        const int64_t width = depthwise_columns_end(d, zip) - depthwise_columns_from(d, zip);
        const int64_t strips = gemm_div_up(width, N);
        const int64_t count = rolls ? gemm_div_up(strips, kRollWidth) : strips;
        const int64_t room = gemm_round_up(d.in[1], N) * int64_t(sizeof(T));
        const size_t sum_bytes = size_t(vectors + 1) * sizeof(*sums);
        const size_t list = size_t(count + 1) * (rolls ? sizeof *groups : sizeof *columns);
        char* memory = static_cast<char*>(dl_scratch(sum_bytes + size_t(room) + list, 1));
        if (!memory) return;
        sums = reinterpret_cast<typename Vec<T>::type*>(memory);
        zeros = reinterpret_cast<T*>(memory + sum_bytes);
        memset(zeros, 0, size_t(room));
        char* const at = memory + sum_bytes + room;
        if (rolls) {
            groups = reinterpret_cast<DepthwiseGroup<T>*>(at);
            depthwise_groups(d, stride, zip, count, groups);
        } else {
            columns = reinterpret_cast<DepthwiseColumn<T>*>(at);
            depthwise_columns(d, stride, zip, !zip && pass != DepthwisePass::kBackwardWeight, count,
                              columns);
        }
    }
};

// What plane i is made of, over all images. Forward: filter k sees channel k / multiplier. For the
// gradient of the input at stride 1 the window is turned.
template <class T, DepthwisePass pass>
DepthwisePlane<T> depthwise_plane_of(const dl_conv& p, const DepthwiseShape& d, int64_t i) {
    constexpr bool forward = pass == DepthwisePass::kForward;
    const int64_t row = i % (forward ? p.k : p.c), window = p.kernel[1] * p.kernel[2];
    const T* const w = static_cast<const T*>(p.w) + row * window;
    DepthwisePlane<T> plane;
    plane.src = static_cast<const T*>(forward ? p.x : p.y) +
                (forward ? i / (p.k / p.c) : i) * d.in[0] * d.in[1];
    plane.dst = static_cast<T*>(forward ? p.y : p.x) + i * d.out[0] * d.out[1];
    plane.bias = p.bias ? static_cast<const T*>(p.bias)[row] : T(0);
    plane.w = {w, p.kernel[2], 1};
    if (!forward && depthwise_stride(p) == 1) plane.w = {w + window - 1, -p.kernel[2], -1};
    return plane;
}

template <class T, DepthwisePass pass>
DL_INLINE void depthwise_rolled(const DepthwiseShape& d, int64_t stride,
                                const DepthwiseScratch<T>& scratch, const DepthwisePlane<T>& p) {
    if (pass == DepthwisePass::kBackwardInput && stride == 2) {
        for (const DepthwiseGroup<T>* g = scratch.groups; 2 * g->first < d.out[1] + d.pad[1]; ++g)
            depthwise_group_dispatch(*g, [&](auto u, auto tail) {
                depthwise_roll_zip<T, decltype(u)::value, decltype(tail)::value>(d, p, *g);
            });
        return;
    }
    depthwise_roll_plane<T>(
        d, stride, scratch.groups,
        [&](const auto& g, auto s, auto dilation, auto u, auto tail, int64_t o, int64_t end) {
            depthwise_roll<T, decltype(s)::value, decltype(dilation)::value, decltype(u)::value,
                           decltype(tail)::value>(d, p, g, o, end);
        });
}

template <class T, DepthwisePass pass>
DL_INLINE void depthwise_blocked(const DepthwiseShape& d, int64_t rows, int64_t stride,
                                 const DepthwiseScratch<T>& scratch, const DepthwisePlane<T>& p) {
    depthwise_dispatch(rows, stride, [&](auto kh, auto s) {
        constexpr int KH = decltype(kh)::value, S = decltype(s)::value;
        if constexpr (pass == DepthwisePass::kForward || S == 1)
            depthwise_plane<T, KH, S>(d, p.src, scratch.columns, p.w, p.bias, p.dst);
        else
            depthwise_plane_zip<T, KH, DL_VEC_BYTES == 64 ? 4 : 2>(d, p.src, scratch.zeros,
                                                                   scratch.columns, p.w, p.dst);
    });
}

// Planes of dst, one after another over all images.
template <class T, DepthwisePass pass>
dl_status depthwise_planes(const dl_conv& p) {
    if constexpr (kWindows) {
        constexpr bool forward = pass == DepthwisePass::kForward;
        if (depthwise_narrows<T>(p, pass))
            return depthwise_stride(p) == 1
                       ? depthwise_narrow_planes<T, pass, WindowMode::kSlide>(p)
                       : depthwise_narrow_planes<T, pass,
                                                 forward ? WindowMode::kSlide2 : WindowMode::kZip>(
                             p);
        if (depthwise_strips_apply<T>(p, pass)) {
            if (depthwise_stride(p) == 1) return depthwise_strips<T, pass, WindowMode::kSlide>(p);
            if constexpr (forward) return depthwise_strips<T, pass, WindowMode::kSlide2>(p);
        }
    }
    // Of nine taps the transposition costs more than the idle lanes of rows.
    const bool rolls = depthwise_rolls(p);
    if (!rolls && depthwise_as_lanes<T>(p, pass)) return depthwise_lanes<T, pass>(p);
    const DepthwiseShape d = depthwise_shape(p, pass);
    const int64_t planes = p.n * (pass == DepthwisePass::kForward ? p.k : p.c);
    const int64_t work = p.out[1] * p.out[2] * p.kernel[1] * p.kernel[2];
    const auto finish =
        pass == DepthwisePass::kForward ? ConvFinish<T>(p) : ConvFinish<T>();  // while in cache
    int failed = 0;
    parallel_for(planes, gemm_max(1, 131072 / work), [&](int64_t begin, int64_t end) {
        const DepthwiseScratch<T> scratch(p, d, pass, rolls, 0);
        if (!scratch.sums) {
            __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            return;
        }
        for (int64_t i = begin; i < end; ++i) {
            const DepthwisePlane<T> plane = depthwise_plane_of<T, pass>(p, d, i);
            if (!rolls)
                depthwise_blocked<T, pass>(d, p.kernel[1], depthwise_stride(p), scratch, plane);
            else if constexpr (kRolls)
                depthwise_rolled<T, pass>(d, depthwise_stride(p), scratch, plane);
            if (finish.on) conv_finish_rows(finish, i % p.k, plane.dst, 0, 1, d.out[0] * d.out[1]);
        }
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

// Adds what a plane of x and one of dy give to the sums of a filter.
template <class T>
void depthwise_weight_plane(const dl_conv& p, const DepthwiseShape& d,
                            const DepthwiseScratch<T>& scratch, const T* x, const T* dy,
                            typename Vec<T>::type* sums) {
    if constexpr (kRolls)
        if (scratch.groups)
            return depthwise_roll_plane<T>(
                d, depthwise_stride(p), scratch.groups,
                [&](const auto& g, auto s, auto dilation, auto u, auto tail, int64_t o,
                    int64_t end) {
                    depthwise_roll_taps<T, decltype(s)::value, decltype(dilation)::value,
                                        decltype(u)::value, decltype(tail)::value>(d, x, dy, g, o,
                                                                                   end, sums);
                });
    depthwise_dispatch(p.kernel[1], depthwise_stride(p), [&](auto kh, auto s) {
        depthwise_plane_taps<T, decltype(kh)::value, decltype(s)::value>(d, x, dy, scratch.zeros,
                                                                         scratch.columns, sums);
    });
}

// A task is some filters, whose planes follow each other in memory; it goes through the images in
// order.
template <class T>
dl_status depthwise_weight(const dl_conv& p) {
    if (depthwise_as_lanes<T>(p, DepthwisePass::kBackwardWeight))
        return depthwise_lanes_weight<T>(p);
    typedef typename Vec<T>::type vec;
    constexpr int N = Vec<T>::N;
    const DepthwiseShape d = depthwise_shape(p, DepthwisePass::kBackwardWeight);
    const int64_t window = p.kernel[1] * p.kernel[2], multiplier = p.k / p.c;
    const int64_t in = d.in[0] * d.in[1], out = d.out[0] * d.out[1];
    const int64_t room = gemm_round_up(window, N);
    const int64_t together = gemm_max(gemm_min(p.k / 32, 8), 131072 / (p.n * out * window));
    const T *x = static_cast<const T*>(p.x), *dy = static_cast<const T*>(p.y);
    T* dw = static_cast<T*>(p.w);
    int failed = 0;
    parallel_for(p.k, gemm_max(1, together), [&](int64_t begin, int64_t end) {
        const DepthwiseScratch<T> scratch(p, d, DepthwisePass::kBackwardWeight, depthwise_rolls(p),
                                          (end - begin) * room);
        if (!scratch.sums) {
            __atomic_store_n(&failed, 1, __ATOMIC_RELAXED);
            return;
        }
        vec* const sums = scratch.sums;
        for (int64_t i = 0; i < (end - begin) * room; ++i) sums[i] = vec{};
        for (int64_t n = 0; n < p.n; ++n)
            for (int64_t k = begin; k < end; ++k)
                depthwise_weight_plane<T>(p, d, scratch, x + (n * p.c + k / multiplier) * in,
                                          dy + (n * p.k + k) * out, sums + (k - begin) * room);
        for (int64_t k = begin; k < end; ++k)
            for (int64_t t = 0; t < window; t += N)
                vstore_n(dw + k * window + t, vreduce_each<T>(sums + (k - begin) * room + t),
                         gemm_min(N, window - t));
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

// Two dimensions, windows of 3, 5 or 7 rows and at most 7 columns, one stride for both.
bool is_depthwise_window(const dl_conv& p) {
    const int64_t rows = p.kernel[1], stride = p.stride[1];
    if (DL_VEC_BYTES < 32) return false;  // masks would be loops
    return p.groups == p.c && p.groups > 1 && p.in[0] == 1 && p.kernel[0] == 1 && p.out[0] == 1 &&
           p.pad_lo[0] == 0 && (rows == 3 || rows == 5 || rows == 7) &&
           p.kernel[2] <= kDepthwiseWidth && stride == p.stride[2] &&
           (stride == 1 || (stride == 2 && p.dilation[1] == 1 && p.dilation[2] == 1)) &&
           conv_volume(p.in) > 0 && conv_volume(p.out) > 0;
}
// Each channel makes one plane.
bool is_depthwise_window_input(const dl_conv& p) {
    return is_depthwise_window(p) && p.k == p.c && (p.stride[1] == 1 || !p.bias);
}

}  // namespace
