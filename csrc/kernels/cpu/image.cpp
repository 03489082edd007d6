// Pictures, fast: resampling, warps and blur. Loops run over 16 rows at a time or along rows, so that
// the compiler makes vectors of them; sums have the order of the reference, so bits are the same.
// The kernels that look at one pixel at a time are in image_pixels.cpp.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

#include "kernels/image.h"

#include <math.h>
#include <string.h>

#include "kernels/cpu/image_common.h"

namespace deeplite::cpu::DL_ISA {
namespace {

constexpr int kLanes = 16;      // rows that are resampled together
constexpr int kBlock = 256;     // elements of a row that are summed together
constexpr int kHalf = 1 << 21;  // 8-bit sums are in units of 2^-22

// ---- sums: u8 in whole numbers, f32 as they are
struct Bytes {
    typedef uint8_t T;
    typedef int32_t Sum;
    static constexpr Sum start = kHalf;
    static Sum weight(double w) { return Sum(lround(w * (1 << 22))); }
    static T done(Sum s) {
        s >>= 22;
        return T(s < 0 ? 0 : s > 255 ? 255 : s);
    }
};
struct Floats {
    typedef float T;
    typedef float Sum;
    static constexpr Sum start = 0;
    static Sum weight(double w) { return float(w); }
    static T done(Sum s) { return s; }
};

// ---- along rows: kLanes rows are turned on their side, so that a lane is a row
template <class K, class T>
void resample_block(const T* in, int64_t in_step, T* out, int64_t out_step, int64_t lanes,
                    const dl_image_args& m, const dl_resample_axis& r,
                    const typename K::Sum* weight, T* side) {
    typedef typename K::Sum Sum;
    const int64_t width = m.w * m.c;
    for (int64_t l = 0; l < lanes; ++l)
        for (int64_t i = 0; i < width; ++i) side[i * kLanes + l] = in[l * in_step + i];
    T turned[kBlock * kLanes];
    for (int64_t first = 0; first < m.ow * m.c; first += kBlock) {
        const int64_t n = m.ow * m.c - first < kBlock ? m.ow * m.c - first : kBlock;
        for (int64_t i = 0; i < n; ++i) {
            const int64_t j = (first + i) / m.c, c = (first + i) % m.c;
            const T* from = side + (r.start[j] * m.c + c) * kLanes;
            const Sum* w = weight + j * r.taps;
            Sum sum[kLanes];
            for (int l = 0; l < kLanes; ++l) sum[l] = K::start;
            for (int64_t k = 0; k < r.taps; ++k, from += m.c * kLanes)
                for (int l = 0; l < kLanes; ++l) sum[l] += Sum(from[l]) * w[k];
            for (int l = 0; l < kLanes; ++l) turned[i * kLanes + l] = K::done(sum[l]);
        }
        for (int64_t l = 0; l < lanes; ++l)
            for (int64_t i = 0; i < n; ++i) out[l * out_step + first + i] = turned[i * kLanes + l];
    }
}

template <class K, class T>
dl_status resample_rows(const dl_image_args& m, const dl_resample_axis& r,
                        const typename K::Sum* weight, T* out) {
    const int64_t rows = m.n * m.h, in_step = m.w * m.c, out_step = m.ow * m.c;
    const size_t side_bytes = size_t(in_step) * kLanes * sizeof(T);
    bool failed = false;
    for_blocks(rows, kLanes, in_step + out_step, [&](int64_t begin, int64_t end) {
        T* side = static_cast<T*>(dl_scratch(side_bytes, 1));
        if (!side) {
            failed = true;
            return;
        }
        if (end - begin < kLanes) memset(side, 0, side_bytes);  // lanes of the block before
        for (int64_t i = begin; i < end; i += kLanes)
            resample_block<K>(static_cast<const T*>(m.x) + i * in_step, in_step, out + i * out_step,
                              out_step, end - i < kLanes ? end - i : kLanes, m, r, weight, side);
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

// ---- along columns: whole rows times a weight
template <class K, class T>
void resample_columns(const dl_image_args& m, const dl_resample_axis& v,
                      const typename K::Sum* weight, const T* source) {
    typedef typename K::Sum Sum;
    const int64_t width = m.ow * m.c;
    for_blocks(m.n * m.oh, 1, width, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            const int64_t n = row / m.oh, i = row % m.oh;
            const T* in = source + (n * m.h + v.start[i]) * width;
            T* out = static_cast<T*>(m.y) + row * width;
            const Sum* w = weight + i * v.taps;
            for (int64_t first = 0; first < width; first += kBlock) {
                const int64_t count = width - first < kBlock ? width - first : kBlock;
                Sum sum[kBlock];
                for (int64_t j = 0; j < count; ++j) sum[j] = K::start;
                for (int64_t k = 0; k < v.taps; ++k) {
                    const T* from = in + k * width + first;
                    for (int64_t j = 0; j < count; ++j) sum[j] += Sum(from[j]) * w[k];
                }
                for (int64_t j = 0; j < count; ++j) out[first + j] = K::done(sum[j]);
            }
        }
    });
}

template <class K>
dl_status resample(const dl_resample_args& a) {
    typedef typename K::T T;
    typedef typename K::Sum Sum;
    const dl_image_args& m = a.image;
    const dl_resample_axis &r = a.rows, &v = a.columns;
    const int64_t nr = r.taps * m.ow, nv = v.taps * m.oh;
    Sum* weight = static_cast<Sum*>(dl_scratch(size_t(nr + nv + 1) * sizeof(Sum), 0));
    if (!weight) return DL_OUT_OF_MEMORY;
    for (int64_t i = 0; i < nr; ++i) weight[i] = K::weight(r.weight[i]);
    for (int64_t i = 0; i < nv; ++i) weight[nr + i] = K::weight(v.weight[i]);
    const T* source = static_cast<const T*>(m.x);
    if (r.taps) {
        T* out = static_cast<T*>(v.taps ? a.temp : m.y);
        const dl_status s = resample_rows<K>(m, r, weight, out);
        if (s != DL_OK) return s;
        source = out;
    }
    if (v.taps) resample_columns<K>(m, v, weight + nr, source);
    return DL_OK;
}

// ---- warp: the positions of a row, then its pixels
constexpr int64_t kPositions = 128;

void positions_of(const dl_warp_args& a, int64_t i, int64_t first, int64_t n, float* sx,
                  float* sy) {
    if (a.map) {
        const float* p = a.map + 2 * (i * a.image.ow + first);
        for (int64_t j = 0; j < n; ++j) {
            sx[j] = p[2 * j];
            sy[j] = p[2 * j + 1];
        }
        return;
    }
    const double* m = a.matrix;
    const double y = double(i);
    if (m[6] == 0 && m[7] == 0 && m[8] == 1) {  // the divisor is 1
        for (int64_t j = 0; j < n; ++j) {
            const double x = double(int32_t(first + j));
            sx[j] = float(m[0] * x + m[1] * y + m[2]);
            sy[j] = float(m[3] * x + m[4] * y + m[5]);
        }
        return;
    }
    for (int64_t j = 0; j < n; ++j) {
        const double x = double(int32_t(first + j));
        const double s = m[6] * x + m[7] * y + m[8];
        sx[j] = float((m[0] * x + m[1] * y + m[2]) / s);
        sy[j] = float((m[3] * x + m[4] * y + m[5]) / s);
    }
}

inline float stored(uint8_t*, float v) {
    v = rintf(v);
    return v < 0 ? 0 : v > 255 ? 255 : v;
}
inline float stored(float*, float v) { return v; }

// One pixel whose neighbours may lie outside; the formulas of the reference.
template <class T, class C>
void warp_edge(const dl_warp_args& a, const T* x, float sx, float sy, C channels, T* out) {
    const dl_image_args& m = a.image;
    auto at = [&](float px, float py, int64_t c) {
        const bool inside = px >= 0 && py >= 0 && px < float(m.w) && py < float(m.h);
        return inside ? float(x[(int64_t(py) * m.w + int64_t(px)) * channels + c]) : a.fill[c];
    };
    const float x0 = floorf(sx), y0 = floorf(sy), fx = sx - x0, fy = sy - y0;
    for (int64_t c = 0; c < channels; ++c) {
        float v = at(rintf(sx), rintf(sy), c);
        if (a.bilinear)
            v = (at(x0, y0, c) * (1 - fx) + at(x0 + 1, y0, c) * fx) * (1 - fy) +
                (at(x0, y0 + 1, c) * (1 - fx) + at(x0 + 1, y0 + 1, c) * fx) * fy;
        if (!(v == v)) v = a.fill[c];
        out[c] = T(stored(out, v));
    }
}

// The pixel that each position is nearest to, as its index in the picture; -1 outside.
void nearest_of(const dl_image_args& m, const float* sx, const float* sy, int64_t n, int32_t* at) {
    const float w = float(m.w), h = float(m.h);
    const int32_t row = int32_t(m.w);
    for (int64_t j = 0; j < n; ++j) {
        const float x = rintf(sx[j]), y = rintf(sy[j]);
        const bool inside = (x >= 0) & (y >= 0) & (x < w) & (y < h);
        const int32_t pixel = int32_t(inside ? y : 0) * row + int32_t(inside ? x : 0);
        at[j] = inside ? pixel : -1;
    }
}

template <class T, class C>
void copy_pixels(const dl_warp_args& a, const T* x, const int32_t* at, int64_t n, C channels,
                 T* out) {
    for (int64_t j = 0; j < n; ++j, out += channels)
        for (int64_t c = 0; c < channels; ++c) {
            const float v = at[j] < 0 ? a.fill[c] : float(x[at[j] * channels + c]);
            out[c] = T(stored(out, v == v ? v : a.fill[c]));
        }
}

// Three bytes are moved as four where a fourth may be read, and written over again by the next
// pixel; so not the last one of the picture, nor the last one of a row.
void copy_pixels(const dl_warp_args& a, const uint8_t* x, const int32_t* at, int64_t n,
                 Channels<3> three, uint8_t* out) {
    const uint32_t last = uint32_t(a.image.h * a.image.w - 1);
    uint8_t fill[4] = {};
    for (int c = 0; c < 3; ++c) fill[c] = uint8_t(stored(out, a.fill[c]));
    for (int64_t j = 0; j + 1 < n; ++j) {
        const uint8_t* from = uint32_t(at[j]) < last ? x + int64_t(at[j]) * 3 : fill;
        if (at[j] == int32_t(last)) {
            memcpy(out + 3 * j, x + int64_t(last) * 3, 3);
            continue;
        }
        memcpy(out + 3 * j, from, 4);
    }
    copy_pixels<uint8_t>(a, x, at + n - 1, 1, three, out + 3 * (n - 1));
}

// The nearest pixels of a picture whose elements 32 bits can count.
template <class T, class C>
void nearest_row(const dl_warp_args& a, const T* x, int64_t i, C channels, T* out) {
    const dl_image_args& m = a.image;
    float sx[kPositions], sy[kPositions];
    int32_t at[kPositions];
    for (int64_t first = 0; first < m.ow; first += kPositions) {
        const int64_t n = m.ow - first < kPositions ? m.ow - first : kPositions;
        positions_of(a, i, first, n, sx, sy);
        nearest_of(m, sx, sy, n, at);
        copy_pixels(a, x, at, n, channels, out + first * channels);
    }
}

template <class T, class C>
void warp_row(const dl_warp_args& a, const T* x, int64_t i, C channels, T* out) {
    const dl_image_args& m = a.image;
    const float right = float(m.w - 1), bottom = float(m.h - 1);
    float sx[kPositions], sy[kPositions];
    for (int64_t first = 0; first < m.ow; first += kPositions) {
        const int64_t n = m.ow - first < kPositions ? m.ow - first : kPositions;
        positions_of(a, i, first, n, sx, sy);
        for (int64_t j = 0; j < n; ++j, out += channels) {
            // Right and bottom neighbours exist when the position is left of the last pixel.
            const bool inside = sx[j] >= 0 && sy[j] >= 0 && sx[j] < right && sy[j] < bottom;
            if (!inside || !a.bilinear) {
                warp_edge(a, x, sx[j], sy[j], channels, out);
                continue;
            }
            const int64_t px = int64_t(sx[j]), py = int64_t(sy[j]);
            const float fx = sx[j] - float(px), fy = sy[j] - float(py);
            const T* p = x + (py * m.w + px) * channels;
            const T* q = p + m.w * channels;
            for (int64_t c = 0; c < channels; ++c) {
                const float above = float(p[c]) * (1 - fx) + float(p[c + channels]) * fx;
                const float below = float(q[c]) * (1 - fx) + float(q[c + channels]) * fx;
                const float v = above * (1 - fy) + below * fy;
                out[c] = T(v == v ? stored(out, v) : stored(out, a.fill[c]));
            }
        }
    }
}

template <class T>
dl_status warp(const dl_warp_args& a) {
    const dl_image_args& m = a.image;
    const bool nearest = !a.bilinear && m.h * m.w <= INT32_MAX / m.c;
    for_blocks(m.n * m.oh, 1, m.ow * m.c, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            const T* x = static_cast<const T*>(m.x) + (row / m.oh) * m.h * m.w * m.c;
            T* out = static_cast<T*>(m.y) + row * m.ow * m.c;
            for_channels(m.c, [&](auto c) {
                if (nearest)
                    nearest_row(a, x, row % m.oh, c, out);
                else
                    warp_row(a, x, row % m.oh, c, out);
            });
        }
    });
    return DL_OK;
}

// ---- blur: a row of column sums with its mirrored edges, then sums along it
int64_t mirrored(int64_t i, int64_t n) { return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i; }

template <class T>
void blur_row(const dl_blur_args& a, const T* x, int64_t i, float* sums, T* out) {
    const dl_image_args& m = a.image;
    const int64_t width = m.w * m.c, edge = a.kw / 2;
    float* middle = sums + edge * m.c;
    for (int64_t j = 0; j < width; ++j) middle[j] = 0;
    for (int64_t p = 0; p < a.kh; ++p) {
        const T* from = x + mirrored(i + p - a.kh / 2, m.h) * width;
        const float w = a.columns[p];
        for (int64_t j = 0; j < width; ++j) middle[j] += float(from[j]) * w;
    }
    for (int64_t j = 1; j <= edge; ++j)
        for (int64_t c = 0; c < m.c; ++c) {
            middle[-j * m.c + c] = middle[mirrored(-j, m.w) * m.c + c];
            middle[(m.w - 1 + j) * m.c + c] = middle[mirrored(m.w - 1 + j, m.w) * m.c + c];
        }
    for (int64_t first = 0; first < width; first += kBlock) {
        const int64_t n = width - first < kBlock ? width - first : kBlock;
        float sum[kBlock] = {};
        for (int64_t q = 0; q < a.kw; ++q) {
            const float* from = sums + q * m.c + first;
            for (int64_t j = 0; j < n; ++j) sum[j] += from[j] * a.rows[q];
        }
        for (int64_t j = 0; j < n; ++j) out[first + j] = T(stored(out, sum[j]));
    }
}

template <class T>
dl_status blur(const dl_blur_args& a) {
    const dl_image_args& m = a.image;
    const int64_t width = m.w * m.c;
    bool failed = false;
    for_blocks(m.n * m.h, 1, width * (a.kw + a.kh), [&](int64_t begin, int64_t end) {
        const size_t bytes = size_t(width + (a.kw - 1) * m.c) * sizeof(float);
        float* sums = static_cast<float*>(dl_scratch(bytes, 1));
        if (!sums) {
            failed = true;
            return;
        }
        for (int64_t row = begin; row < end; ++row)
            blur_row(a, static_cast<const T*>(m.x) + (row / m.h) * m.h * width, row % m.h, sums,
                     static_cast<T*>(m.y) + row * width);
    });
    return failed ? DL_OUT_OF_MEMORY : DL_OK;
}

}  // namespace

void fill_image_pixels(dl_image_table* t);  // image_pixels.cpp

const dl_image_table* image_table() {
    static dl_image_table table;
    table.resample = [](const dl_resample_args* a) {
        if (a->image.dtype == DL_U8) return resample<Bytes>(*a);
        return a->image.dtype == DL_F32 ? resample<Floats>(*a) : DL_UNSUPPORTED;
    };
    table.warp = [](const dl_warp_args* a) {
        if (a->image.dtype == DL_U8) return warp<uint8_t>(*a);
        return a->image.dtype == DL_F32 ? warp<float>(*a) : DL_UNSUPPORTED;
    };
    table.blur = [](const dl_blur_args* a) {
        if (a->image.dtype == DL_U8) return blur<uint8_t>(*a);
        return a->image.dtype == DL_F32 ? blur<float>(*a) : DL_UNSUPPORTED;
    };
    fill_image_pixels(&table);
    return &table;
}

}  // namespace deeplite::cpu::DL_ISA
