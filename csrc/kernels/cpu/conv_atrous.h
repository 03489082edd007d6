// Dilated convolution in two dimensions as an ordinary one: outputs with the same residue modulo the
// dilation see only inputs of that residue, so the planes are split into d1 * d2 smaller ones, which
// become images of their own. What was sparse is then dense, and the algorithms for dense windows
// (Winograd's above all) apply. Padding must be a multiple of the dilation, the stride 1.
#pragma once
#include "kernels/cpu/conv_sliding.h"
#include "kernels/cpu/planes.h"

namespace {

inline bool atrous_applies(const dl_conv& p) {
    for (int d = 1; d < 3; ++d)
        if (p.stride[d] != 1 || p.dilation[d] < 1 || p.pad_lo[d] % p.dilation[d] != 0) return false;
    return p.dilation[1] * p.dilation[2] > 1 && p.kernel[1] * p.kernel[2] > 1 && p.in[0] == 1 &&
           p.kernel[0] == 1 && p.out[0] == 1 && p.pad_lo[0] == 0 && conv_volume(p.in) > 0 &&
           conv_volume(p.out) > 0;
}

// The convolution of the split planes, without its tensors.
inline dl_conv atrous_inner(const dl_conv& p) {
    dl_conv q = p;
    q.n = p.n * p.dilation[1] * p.dilation[2];
    for (int d = 1; d < 3; ++d) {
        q.in[d] = gemm_div_up(p.in[d], p.dilation[d]);
        q.out[d] = gemm_div_up(p.out[d], p.dilation[d]);
        q.pad_lo[d] = p.pad_lo[d] / p.dilation[d];
        q.dilation[d] = 1;
    }
    q.algorithm = nullptr;
    return q;
}

// Planes [n, channels, size] and their split form [n, d1, d2, channels, part].
struct AtrousPlanes {
    int64_t n, channels;
    const int64_t *size, *part, *dilation;  // of the three dimensions; the first has size 1

    // f(row of a plane, row of its part, how many elements of the one the other has): a row of
    // nothing where the part is longer.
    template <class T, class F>
    void each_row(T* whole, T* split, const F& f) const {
        const int64_t d1 = dilation[1], d2 = dilation[2], plane = size[1] * size[2];
        const int64_t part_plane = part[1] * part[2];
        parallel_for(n * channels, gemm_max(1, 16384 / plane), [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i)
                for (int64_t r = 0; r < d1 * d2; ++r) {
                    const int64_t row = r / d2, column = r % d2;
                    T* to = split +
                            ((i / channels * d1 * d2 + r) * channels + i % channels) * part_plane;
                    const int64_t count = column < size[2] ? (size[2] - column - 1) / d2 + 1 : 0;
                    for (int64_t h = 0; h < part[1]; ++h) {
                        const int64_t from = row + h * d1;
                        f(whole + i * plane + from * size[2] + column, to + h * part[2],
                          from < size[1] ? count : 0);
                    }
                }
        });
    }
    template <class T>
    void split(const T* whole, T* to) const {
        each_row(const_cast<T*>(whole), to, [&](const T* from, T* row, int64_t count) {
            take_every(row, from, count, dilation[2]);
            for (int64_t i = count; i < part[2]; ++i) row[i] = T(0);
        });
    }
    template <class T>
    void join(T* whole, const T* from) const {
        each_row(whole, const_cast<T*>(from), [&](T* to, const T* row, int64_t count) {
            put_every(to, row, count, dilation[2]);
        });
    }
};

// inner(q): runs the inner convolution. Where images are independent they go a few at a time: their
// split planes then stay in cache, in memory that the allocator keeps.
template <class T, dl_conv_pass pass, class F>
dl_status atrous_run(const dl_conv& p, const F& inner) {
    constexpr int64_t kTogether = (int64_t(16) << 20) / int64_t(sizeof(T));
    dl_conv q = atrous_inner(p);
    const int64_t parts = p.dilation[1] * p.dilation[2];
    const int64_t x_image = parts * q.c * conv_volume(q.in);
    const int64_t y_image = parts * q.k * conv_volume(q.out);
    const int64_t images = pass == DL_CONV_BACKWARD_WEIGHT
                               ? p.n
                               : gemm_min(p.n, gemm_max(1, kTogether / (x_image + y_image)));
    // The inner convolution claims every slot of scratch memory, so the planes live elsewhere.
    const int64_t size = gemm_round_up(images * x_image, 16);
    T* memory = static_cast<T*>(__builtin_malloc(size_t(size + images * y_image) * sizeof(T)));
    if (!memory) return DL_OUT_OF_MEMORY;
    q.x = memory, q.y = memory + size;
    T *x = static_cast<T*>(p.x), *y = static_cast<T*>(p.y);
    dl_status status = DL_OK;
    for (int64_t n = 0; n < p.n && status == DL_OK; n += images) {
        const int64_t count = gemm_min(images, p.n - n);
        const AtrousPlanes px{count, p.c, p.in, q.in, p.dilation};
        const AtrousPlanes py{count, p.k, p.out, q.out, p.dilation};
        T *xn = x + n * p.c * conv_volume(p.in), *yn = y + n * p.k * conv_volume(p.out);
        q.n = count * parts;
        if (pass != DL_CONV_BACKWARD_INPUT) px.split(xn, memory);
        if (pass != DL_CONV_FORWARD) py.split(yn, memory + size);
        status = inner(q);
        if (status == DL_OK && pass == DL_CONV_FORWARD) py.join(yn, memory + size);
        if (status == DL_OK && pass == DL_CONV_BACKWARD_INPUT) px.join(xn, memory);
    }
    __builtin_free(memory);
    return status;
}

}  // namespace
