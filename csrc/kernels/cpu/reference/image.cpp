// Pictures, plain: the formulas of kernels/image.h, one pixel after the other.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

#include "kernels/image.h"

#include <math.h>

#include "kernels/cpu/parallel.h"

namespace deeplite::cpu::reference {
namespace {

constexpr int64_t kGrain = 1 << 18;  // elements

// Calls f(image, row) for each of n * rows rows of `width` elements.
template <class F>
void for_rows(int64_t n, int64_t rows, int64_t width, const F& f) {
    const int64_t grain = kGrain / (width > 0 ? width : 1);
    parallel_for(n * rows, grain > 0 ? grain : 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) f(i / rows, i % rows);
    });
}

template <class F>
dl_status for_type(int32_t dtype, const F& f) {
    if (dtype == DL_U8) return f(uint8_t());
    if (dtype == DL_F32) return f(float());
    return DL_UNSUPPORTED;
}

float clamp(float v, float top) { return v < 0 ? 0 : v > top ? top : v; }
float top_of(uint8_t) { return 255; }
float top_of(float) { return 1; }

// The weighted sum of `taps` elements that lie `step` apart.
uint8_t weighted(const uint8_t* x, int64_t step, const double* weight, int64_t taps) {
    int32_t sum = 1 << 21;
    for (int64_t k = 0; k < taps; ++k) sum += x[k * step] * int32_t(lround(weight[k] * (1 << 22)));
    sum >>= 22;
    return uint8_t(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}
float weighted(const float* x, int64_t step, const double* weight, int64_t taps) {
    float sum = 0;
    for (int64_t k = 0; k < taps; ++k) sum += x[k * step] * float(weight[k]);
    return sum;
}

template <class T>
dl_status resample(const dl_resample_args& a) {
    const dl_image_args& m = a.image;
    const dl_resample_axis &r = a.rows, &v = a.columns;
    const T* x = static_cast<const T*>(m.x);
    T* middle = static_cast<T*>(v.taps ? a.temp : m.y);
    if (r.taps)
        for_rows(m.n, m.h, m.ow * m.c, [&](int64_t n, int64_t i) {
            const T* in = x + (n * m.h + i) * m.w * m.c;
            T* out = middle + (n * m.h + i) * m.ow * m.c;
            for (int64_t j = 0; j < m.ow; ++j)
                for (int64_t c = 0; c < m.c; ++c)
                    out[j * m.c + c] =
                        weighted(in + r.start[j] * m.c + c, m.c, r.weight + j * r.taps, r.taps);
        });
    const T* source = r.taps ? middle : x;
    const int64_t width = m.ow * m.c;
    if (v.taps)
        for_rows(m.n, m.oh, width, [&](int64_t n, int64_t i) {
            const T* in = source + (n * m.h + v.start[i]) * width;
            T* out = static_cast<T*>(m.y) + (n * m.oh + i) * width;
            for (int64_t j = 0; j < width; ++j)
                out[j] = weighted(in + j, width, v.weight + i * v.taps, v.taps);
        });
    return DL_OK;
}

void source_of(const dl_warp_args& a, int64_t i, int64_t j, float* sx, float* sy) {
    if (a.map) {
        *sx = a.map[2 * (i * a.image.ow + j)];
        *sy = a.map[2 * (i * a.image.ow + j) + 1];
        return;
    }
    const double* m = a.matrix;
    const double s = m[6] * double(j) + m[7] * double(i) + m[8];
    *sx = float((m[0] * double(j) + m[1] * double(i) + m[2]) / s);
    *sy = float((m[3] * double(j) + m[4] * double(i) + m[5]) / s);
}

template <class T>
dl_status warp(const dl_warp_args& a) {
    const dl_image_args& m = a.image;
    for_rows(m.n, m.oh, m.ow * m.c, [&](int64_t n, int64_t i) {
        const T* x = static_cast<const T*>(m.x) + n * m.h * m.w * m.c;
        T* out = static_cast<T*>(m.y) + (n * m.oh + i) * m.ow * m.c;
        // Pixel (sx, sy), or the fill; also for positions that are no number.
        auto at = [&](float sx, float sy, int64_t c) {
            const bool inside = sx >= 0 && sy >= 0 && sx < float(m.w) && sy < float(m.h);
            return inside ? float(x[(int64_t(sy) * m.w + int64_t(sx)) * m.c + c]) : a.fill[c];
        };
        for (int64_t j = 0; j < m.ow; ++j) {
            float sx, sy;
            source_of(a, i, j, &sx, &sy);
            const float x0 = floorf(sx), y0 = floorf(sy), fx = sx - x0, fy = sy - y0;
            for (int64_t c = 0; c < m.c; ++c) {
                float v = at(rintf(sx), rintf(sy), c);
                if (a.bilinear)
                    v = (at(x0, y0, c) * (1 - fx) + at(x0 + 1, y0, c) * fx) * (1 - fy) +
                        (at(x0, y0 + 1, c) * (1 - fx) + at(x0 + 1, y0 + 1, c) * fx) * fy;
                if (!(v == v)) v = a.fill[c];
                out[j * m.c + c] = T(T(0.5f) == 0 ? clamp(rintf(v), 255) : v);
            }
        }
    });
    return DL_OK;
}

int64_t mirrored(int64_t i, int64_t n) { return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i; }

template <class T>
dl_status blur(const dl_blur_args& a) {
    const dl_image_args& m = a.image;
    const int64_t width = m.w * m.c;
    for_rows(m.n, m.h, width * (a.kw + a.kh), [&](int64_t n, int64_t i) {
        const T* x = static_cast<const T*>(m.x) + n * m.h * width;
        T* out = static_cast<T*>(m.y) + (n * m.h + i) * width;
        for (int64_t j = 0; j < m.w; ++j)
            for (int64_t c = 0; c < m.c; ++c) {
                float sum = 0;
                for (int64_t q = 0; q < a.kw; ++q) {
                    const int64_t from = mirrored(j + q - a.kw / 2, m.w) * m.c + c;
                    float column = 0;
                    for (int64_t p = 0; p < a.kh; ++p)
                        column +=
                            float(x[mirrored(i + p - a.kh / 2, m.h) * width + from]) * a.columns[p];
                    sum += column * a.rows[q];
                }
                out[j * m.c + c] = T(T(0.5f) == 0 ? clamp(rintf(sum), 255) : sum);
            }
    });
    return DL_OK;
}

// Calls f(pixel of x, pixel of y) for all pixels; an index gives a channel.
template <class T>
struct Pixel {
    T* at;
    int64_t step;
    T& operator[](int64_t c) const { return at[c * step]; }
};
template <class T, class Y, class F>
dl_status for_pixels(const dl_image_args& m, const F& f) {
    const dl_image_strides &a = m.xs, &b = m.ys;
    for_rows(m.n, m.h, m.w * m.c, [&](int64_t n, int64_t i) {
        const T* x = static_cast<const T*>(m.x) + n * a.n + i * a.h;
        Y* y = static_cast<Y*>(m.y) + n * b.n + i * b.h;
        for (int64_t j = 0; j < m.w; ++j)
            f(Pixel<const T>{x + j * a.w, a.c}, Pixel<Y>{y + j * b.w, b.c});
    });
    return DL_OK;
}

template <class T>
T gray(const Pixel<const T>& p) {
    return T(0.2989f * float(p[0]) + 0.587f * float(p[1]) + 0.114f * float(p[2]));
}

template <class T>
dl_status linear(const dl_image_args& m, const float* scale, const float* shift) {
    return for_pixels<T, T>(m, [&](Pixel<const T> x, Pixel<T> y) {
        for (int64_t c = 0; c < m.c; ++c)
            y[c] = T(clamp(scale[c] * float(x[c]) + shift[c], top_of(T())));
    });
}

template <class T>
dl_status gray_blend(const dl_image_args& m, float factor, float rest) {
    return for_pixels<T, T>(m, [&](Pixel<const T> x, Pixel<T> y) {
        const float other = rest * float(gray(x));
        for (int c = 0; c < 3; ++c) y[c] = T(clamp(factor * float(x[c]) + other, top_of(T())));
    });
}

// Hue in turns, saturation and value of a colour; and back.
void to_hsv(const float p[3], float* h, float* s, float* v) {
    const float r = p[0], g = p[1], b = p[2];
    const float high = fmaxf(r, fmaxf(g, b)), low = fminf(r, fminf(g, b)), range = high - low;
    const float d = range == 0 ? 1 : range;
    const float rc = (high - r) / d, gc = (high - g) / d, bc = (high - b) / d;
    float hue = high == r ? bc - gc : high == g ? 2 + rc - bc : 4 + gc - rc;
    hue = hue / 6 + 1;
    *h = hue - floorf(hue);
    *s = range / (high == 0 ? 1 : high);
    *v = high;
}
void to_rgb(float h, float s, float v, float out[3]) {
    const float sixth = floorf(h * 6), f = h * 6 - sixth;
    const float p = clamp(v * (1 - s), 1), q = clamp(v * (1 - s * f), 1),
                t = clamp(v * (1 - s * (1 - f)), 1);
    const int i = int(sixth) % 6;
    const float r[] = {v, q, p, p, t, v}, g[] = {t, v, v, q, p, p}, b[] = {p, p, t, v, v, q};
    out[0] = r[i];
    out[1] = g[i];
    out[2] = b[i];
}

template <class T>
dl_status hue(const dl_image_args& m, float turns) {
    return for_pixels<T, T>(m, [&](Pixel<const T> x, Pixel<T> y) {
        const float top = top_of(T());
        const float in[] = {float(x[0]) / top, float(x[1]) / top, float(x[2]) / top};
        float h, s, v, out[3];
        to_hsv(in, &h, &s, &v);
        h += turns;
        to_rgb(h - floorf(h), s, v, out);
        for (int c = 0; c < 3; ++c) y[c] = T(T(0.5f) == 0 ? out[c] * 255.999f : out[c]);
    });
}

template <class T>
dl_status gray_mean(const dl_image_args& m, double* mean) {
    for (int64_t n = 0; n < m.n; ++n) {
        double sums[DL_GRAY_SUMS] = {}, sum = 0;
        for (int64_t i = 0; i < m.h; ++i)
            for (int64_t j = 0; j < m.w; ++j) {
                const T* x = static_cast<const T*>(m.x) + n * m.xs.n + i * m.xs.h + j * m.xs.w;
                sums[j % DL_GRAY_SUMS] += double(m.c == 3 ? gray(Pixel<const T>{x, m.xs.c}) : *x);
            }
        for (double s : sums) sum += s;
        mean[n] = sum / double(m.h * m.w);
    }
    return DL_OK;
}

template <class T>
dl_status to_planes(const dl_image_args& m, float divisor, const float* mean, const float* std) {
    return for_pixels<T, float>(m, [&](Pixel<const T> x, Pixel<float> y) {
        for (int64_t c = 0; c < m.c; ++c) {
            y[c] = float(x[c]) / divisor;
            if (mean) y[c] = (y[c] - mean[c]) / std[c];
        }
    });
}

}  // namespace

const dl_image_table* image_table() {
    static const dl_image_table table = {
        [](const dl_resample_args* a) {
            return for_type(a->image.dtype, [&](auto t) { return resample<decltype(t)>(*a); });
        },
        [](const dl_warp_args* a) {
            return for_type(a->image.dtype, [&](auto t) { return warp<decltype(t)>(*a); });
        },
        [](const dl_blur_args* a) {
            return for_type(a->image.dtype, [&](auto t) { return blur<decltype(t)>(*a); });
        },
        [](const dl_image_args* m, const float* scale, const float* shift) {
            return for_type(m->dtype,
                            [&](auto t) { return linear<decltype(t)>(*m, scale, shift); });
        },
        [](const dl_image_args* m, float factor, float rest) {
            return for_type(m->dtype,
                            [&](auto t) { return gray_blend<decltype(t)>(*m, factor, rest); });
        },
        [](const dl_image_args* m, float turns) {
            return for_type(m->dtype, [&](auto t) { return hue<decltype(t)>(*m, turns); });
        },
        [](const dl_image_args* m, double* mean) {
            return for_type(m->dtype, [&](auto t) { return gray_mean<decltype(t)>(*m, mean); });
        },
        [](const dl_image_args* m, float divisor, const float* mean, const float* std) {
            return for_type(m->dtype,
                            [&](auto t) { return to_planes<decltype(t)>(*m, divisor, mean, std); });
        },
    };
    return &table;
}

}  // namespace deeplite::cpu::reference
