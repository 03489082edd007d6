// Pictures, fast: what is done to one pixel at a time. Blocks of pixels are taken apart into rows of
// red, green and blue, so that the compiler makes vectors of the formulas.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

#include <math.h>

#include "kernels/cpu/image_common.h"
#include "kernels/image.h"

namespace deeplite::cpu::DL_ISA {
namespace {

constexpr int64_t kBlock = 128;  // pixels

inline float top_of(uint8_t) { return 255; }
inline float top_of(float) { return 1; }
inline float clamp(float v, float top) {
    v = v < 0 ? 0 : v;
    return v > top ? top : v;
}

// Calls f(x, y, how many pixels) for blocks of all pixels.
template <class T, class F>
dl_status for_pixel_blocks(const dl_image_args& m, const F& f) {
    for_blocks(m.n * m.h * m.w, kBlock, m.c, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i += kBlock)
            f(static_cast<const T*>(m.x) + i * m.c, static_cast<T*>(m.y) + i * m.c,
              end - i < kBlock ? end - i : kBlock);
    });
    return DL_OK;
}

template <class T>
dl_status linear(const dl_image_args& m, const float* scale, const float* shift) {
    const float top = top_of(T());
    return for_pixel_blocks<T>(m, [&](const T* x, T* y, int64_t n) {
        for_channels(m.c, [&](auto c) {
            for (int64_t i = 0; i < n; ++i)
                for (int64_t k = 0; k < c; ++k)
                    y[i * c + k] = T(clamp(scale[k] * float(x[i * c + k]) + shift[k], top));
        });
    });
}

// The three colours of a block, in rows of their own.
struct Colours {
    float r[kBlock], g[kBlock], b[kBlock];

    template <class T>
    void read(const T* x, int64_t n) {
        for (int64_t i = 0; i < n; ++i) {
            r[i] = float(x[3 * i]);
            g[i] = float(x[3 * i + 1]);
            b[i] = float(x[3 * i + 2]);
        }
        for (int64_t i = n; i < kBlock; ++i) r[i] = g[i] = b[i] = 0;
    }
    template <class T>
    void write(T* y, int64_t n) const {
        for (int64_t i = 0; i < n; ++i) {
            y[3 * i] = T(r[i]);
            y[3 * i + 1] = T(g[i]);
            y[3 * i + 2] = T(b[i]);
        }
    }
};

inline float kept(uint8_t, float gray) { return float(int32_t(gray)); }
inline float kept(float, float gray) { return gray; }

template <class T>
dl_status gray_blend(const dl_image_args& m, float factor, float rest) {
    const float top = top_of(T());
    return for_pixel_blocks<T>(m, [&](const T* x, T* y, int64_t n) {
        Colours p;
        p.read(x, n);
        for (int64_t i = 0; i < kBlock; ++i) {
            const float gray = 0.2989f * p.r[i] + 0.587f * p.g[i] + 0.114f * p.b[i];
            const float other = rest * kept(T(), gray);
            p.r[i] = clamp(factor * p.r[i] + other, top);
            p.g[i] = clamp(factor * p.g[i] + other, top);
            p.b[i] = clamp(factor * p.b[i] + other, top);
        }
        p.write(y, n);
    });
}

inline float larger(float a, float b) { return a > b ? a : b; }
inline float smaller(float a, float b) { return a < b ? a : b; }

// To hue, saturation, value; the hue turned; and back. See the reference for the formulas.
inline void turn(float turns, float* red, float* green, float* blue) {
    const float r = *red, g = *green, b = *blue;
    const float high = larger(r, larger(g, b)), low = smaller(r, smaller(g, b));
    const float range = high - low, d = range == 0 ? 1 : range;
    const float rc = (high - r) / d, gc = (high - g) / d, bc = (high - b) / d;
    float h = high == r ? bc - gc : high == g ? 2 + rc - bc : 4 + gc - rc;
    h = h / 6 + 1;
    h = h - floorf(h);
    h += turns;
    h = h - floorf(h);
    const float s = range / (high == 0 ? 1 : high), v = high;
    const float sixth = floorf(h * 6), f = h * 6 - sixth;
    const float p = clamp(v * (1 - s), 1), q = clamp(v * (1 - s * f), 1),
                t = clamp(v * (1 - s * (1 - f)), 1);
    const float i = sixth >= 6 ? 0 : sixth;
    *red = i == 0 ? v : i == 1 ? q : i == 2 ? p : i == 3 ? p : i == 4 ? t : v;
    *green = i == 0 ? t : i == 1 ? v : i == 2 ? v : i == 3 ? q : p;
    *blue = i == 0 ? p : i == 1 ? p : i == 2 ? t : i == 3 ? v : i == 4 ? v : q;
}

template <class T>
dl_status hue(const dl_image_args& m, float turns) {
    const float top = top_of(T()), back = T(0.5f) == 0 ? 255.999f : 1.0f;
    return for_pixel_blocks<T>(m, [&](const T* x, T* y, int64_t n) {
        Colours p;
        p.read(x, n);
        for (int64_t i = 0; i < kBlock; ++i) {
            float r = p.r[i] / top, g = p.g[i] / top, b = p.b[i] / top;
            turn(turns, &r, &g, &b);
            p.r[i] = r * back;
            p.g[i] = g * back;
            p.b[i] = b * back;
        }
        p.write(y, n);
    });
}

// [pixels, c] -> [c, pixels] per picture.
template <class T>
dl_status to_planes(const dl_image_args& m, float divisor, const float* mean, const float* std) {
    const int64_t plane = m.h * m.w;
    for_blocks(m.n * m.h, 1, m.w * m.c, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; ++row) {
            const T* x = static_cast<const T*>(m.x) + row * m.w * m.c;
            float* y = static_cast<float*>(m.y) + (row / m.h) * m.c * plane + row % m.h * m.w;
            for_channels(m.c, [&](auto channels) {
                for (int64_t c = 0; c < channels; ++c) {
                    float* out = y + c * plane;
                    for (int64_t i = 0; i < m.w; ++i) out[i] = float(x[i * channels + c]) / divisor;
                    if (mean)
                        for (int64_t i = 0; i < m.w; ++i) out[i] = (out[i] - mean[c]) / std[c];
                }
            });
        }
    });
    return DL_OK;
}

// By type: f(dl_image_args, rest...) for u8 and f32.
template <class Fu, class Ff, class... Rest>
dl_status by_type(const dl_image_args* m, Fu bytes, Ff floats, Rest... rest) {
    if (m->dtype == DL_U8) return bytes(*m, rest...);
    return m->dtype == DL_F32 ? floats(*m, rest...) : DL_UNSUPPORTED;
}

}  // namespace

// gray_mean stays with the reference: one pass that no sum in another order would equal.
void fill_image_pixels(dl_image_table* t) {
    t->linear = [](const dl_image_args* m, const float* scale, const float* shift) {
        return by_type(m, linear<uint8_t>, linear<float>, scale, shift);
    };
    t->gray_blend = [](const dl_image_args* m, float factor, float rest) {
        return by_type(m, gray_blend<uint8_t>, gray_blend<float>, factor, rest);
    };
    t->hue = [](const dl_image_args* m, float turns) {
        return by_type(m, hue<uint8_t>, hue<float>, turns);
    };
    t->to_planes = [](const dl_image_args* m, float divisor, const float* mean, const float* std) {
        return by_type(m, to_planes<uint8_t>, to_planes<float>, divisor, mean, std);
    };
}

}  // namespace deeplite::cpu::DL_ISA
