// Pictures, fast: what is done to one pixel at a time. Blocks of pixels are taken apart into rows of
// red, green and blue, so that the compiler makes vectors of the formulas.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

#include <math.h>
#include <string.h>

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

// Rows that lie one behind the other in x and in y become one, so that blocks are full.
dl_image_args joined(dl_image_args m) {
    if (m.xs.h == m.w * m.xs.w && m.ys.h == m.w * m.ys.w) {
        m.w *= m.h;
        m.h = 1;
    }
    if (m.h == 1 && m.xs.n == m.w * m.xs.w && m.ys.n == m.w * m.ys.w) {
        m.w *= m.n;
        m.n = 1;
    }
    return m;
}

// Calls f(x, y, how many pixels) for blocks of pixels that lie in one row.
template <class T, class Y, class F>
dl_status for_pixel_blocks(const dl_image_args& given, const F& f) {
    const dl_image_args m = joined(given);
    const int64_t blocks = (m.w + kBlock - 1) / kBlock;
    for_blocks(m.n * m.h * blocks, 1, kBlock * m.c, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t row = i / blocks, first = i % blocks * kBlock;
            const int64_t n = row / m.h, h = row % m.h;
            f(static_cast<const T*>(m.x) + n * m.xs.n + h * m.xs.h + first * m.xs.w,
              static_cast<Y*>(m.y) + n * m.ys.n + h * m.ys.h + first * m.ys.w,
              m.w - first < kBlock ? m.w - first : kBlock);
        }
    });
    return DL_OK;
}

void turn_around(const float* from, int64_t n, float* row) {
    for (int64_t i = 0; i < n; ++i) row[i] = from[n - 1 - i];
}

// One channel of a block. Mirror images are read forwards and turned around, which are two loops
// of vectors in the place of one without.
template <class T>
void read_row(const T* x, int64_t step, int64_t n, float* row) {
    if (step < 0) {
        float forwards[kBlock];
        read_row(x + (n - 1) * step, -step, n, forwards);
        turn_around(forwards, n, row);
    } else if (step == 1) {
        for (int64_t i = 0; i < n; ++i) row[i] = float(x[i]);
    } else {
        for (int64_t i = 0; i < n; ++i) row[i] = float(x[i * step]);
    }
}

template <class T>
void write_row(const float* row, int64_t n, T* y, int64_t step) {
    if (step == 1)
        for (int64_t i = 0; i < n; ++i) y[i] = T(row[i]);
    else
        for (int64_t i = 0; i < n; ++i) y[i * step] = T(row[i]);
}

template <class T>
void linear_row(const T* x, int64_t xw, T* y, int64_t yw, int64_t n, float scale, float shift) {
    const float top = top_of(T());
    if (xw == 1 && yw == 1) {
        for (int64_t i = 0; i < n; ++i) y[i] = T(clamp(scale * float(x[i]) + shift, top));
        return;
    }
    float row[kBlock];
    read_row(x, xw, n, row);
    for (int64_t i = 0; i < n; ++i) row[i] = clamp(scale * row[i] + shift, top);
    write_row(row, n, y, yw);
}

template <class T>
dl_status linear(const dl_image_args& given, const float* scale, const float* shift) {
    dl_image_args m = given;
    bool same = m.xs.c == 1 && m.xs.w == m.c && m.ys.c == 1 && m.ys.w == m.c;
    for (int64_t k = 1; k < m.c; ++k) same &= scale[k] == scale[0] && shift[k] == shift[0];
    if (same) {  // channels do not matter
        m.w *= m.c;
        m.c = m.xs.w = m.ys.w = 1;
    }
    return for_pixel_blocks<T, T>(m, [&](const T* x, T* y, int64_t n) {
        for (int64_t k = 0; k < m.c; ++k)
            linear_row(x + k * m.xs.c, m.xs.w, y + k * m.ys.c, m.ys.w, n, scale[k], shift[k]);
    });
}

// The three colours of a block, in rows of their own.
struct Colours {
    float r[kBlock], g[kBlock], b[kBlock];

    template <class T>
    void read(const T* x, const dl_image_strides& s, int64_t n) {
        if (s.c == 1 && (s.w == 3 || s.w == -3)) {
            read_dense(s.w > 0 ? x : x - 3 * (n - 1), n);
            if (s.w < 0) turn(n);
        } else {
            read_row(x, s.w, n, r);
            read_row(x + s.c, s.w, n, g);
            read_row(x + 2 * s.c, s.w, n, b);
        }
        for (int64_t i = n; i < kBlock; ++i) r[i] = g[i] = b[i] = 0;
    }
    // All three in one loop: without gaps the compiler needs no care for reads beyond the end.
    template <class T>
    void read_dense(const T* x, int64_t n) {
        for (int64_t i = 0; i < n; ++i) {
            r[i] = float(x[3 * i]);
            g[i] = float(x[3 * i + 1]);
            b[i] = float(x[3 * i + 2]);
        }
    }
    void turn(int64_t n) {
        const Colours forwards = *this;
        turn_around(forwards.r, n, r);
        turn_around(forwards.g, n, g);
        turn_around(forwards.b, n, b);
    }
    template <class T>
    void write(T* y, const dl_image_strides& s, int64_t n) const {
        if (s.w == 3 && s.c == 1) {  // dense pixels: one loop of full vectors
            for (int64_t i = 0; i < n; ++i) {
                y[3 * i] = T(r[i]);
                y[3 * i + 1] = T(g[i]);
                y[3 * i + 2] = T(b[i]);
            }
            return;
        }
        write_row(r, n, y, s.w);
        write_row(g, n, y + s.c, s.w);
        write_row(b, n, y + 2 * s.c, s.w);
    }
};

inline float kept(uint8_t, float gray) { return float(int32_t(gray)); }
inline float kept(float, float gray) { return gray; }

template <class T>
inline float gray(const Colours& p, int64_t i) {
    return kept(T(), 0.2989f * p.r[i] + 0.587f * p.g[i] + 0.114f * p.b[i]);
}

template <class T>
dl_status gray_blend(const dl_image_args& m, float factor, float rest) {
    const float top = top_of(T());
    return for_pixel_blocks<T, T>(m, [&](const T* x, T* y, int64_t n) {
        Colours p;
        p.read(x, m.xs, n);
        for (int64_t i = 0; i < kBlock; ++i) {
            const float other = rest * gray<T>(p, i);
            p.r[i] = clamp(factor * p.r[i] + other, top);
            p.g[i] = clamp(factor * p.g[i] + other, top);
            p.b[i] = clamp(factor * p.b[i] + other, top);
        }
        p.write(y, m.ys, n);
    });
}

// Sums of one row of a picture, lane by lane: kBlock is a multiple of their number.
template <class T>
void add_grays(const dl_image_args& m, const T* x, double* sums) {
    for (int64_t first = 0; first < m.w; first += kBlock) {
        const int64_t n = m.w - first < kBlock ? m.w - first : kBlock;
        Colours p;
        if (m.c == 3) {
            p.read(x + first * m.xs.w, m.xs, n);
            for (int64_t i = 0; i < kBlock; ++i) p.r[i] = gray<T>(p, i);
        } else {
            read_row(x + first * m.xs.w, m.xs.w, n, p.r);
        }
        int64_t i = 0;
        for (; i + DL_GRAY_SUMS <= n; i += DL_GRAY_SUMS)
            for (int64_t k = 0; k < DL_GRAY_SUMS; ++k) sums[k] += double(p.r[i + k]);
        for (; i < n; ++i) sums[i % DL_GRAY_SUMS] += double(p.r[i]);
    }
}

template <class T>
dl_status gray_mean(const dl_image_args& m, double* mean) {
    for_blocks(m.n, 1, m.h * m.w * m.c, [&](int64_t begin, int64_t end) {
        for (int64_t n = begin; n < end; ++n) {
            double sums[DL_GRAY_SUMS] = {}, sum = 0;
            for (int64_t i = 0; i < m.h; ++i)
                add_grays(m, static_cast<const T*>(m.x) + n * m.xs.n + i * m.xs.h, sums);
            for (double s : sums) sum += s;
            mean[n] = sum / double(m.h * m.w);
        }
    });
    return DL_OK;
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
    return for_pixel_blocks<T, T>(m, [&](const T* x, T* y, int64_t n) {
        Colours p;
        p.read(x, m.xs, n);
        for (int64_t i = 0; i < kBlock; ++i) {
            float r = p.r[i] / top, g = p.g[i] / top, b = p.b[i] / top;
            turn(turns, &r, &g, &b);
            p.r[i] = r * back;
            p.g[i] = g * back;
            p.b[i] = b * back;
        }
        p.write(y, m.ys, n);
    });
}

// Division of 8-bit numbers by two products: `high` has so few bits that its product is exact, and
// `low` is the rest of 1 / divisor. Whether every number's quotient comes out as the division's is
// tried on all of them; so it does for 255 and for powers of two.
struct Quotient {
    float divisor, high, low;
    bool exact;

    explicit Quotient(float d) : divisor(d) {
        const double whole = 1 / double(d);
        float rounded = float(whole);
        uint32_t bits;
        memcpy(&bits, &rounded, sizeof bits);
        bits &= 0xffffff00u;  // 16 bits, times 8 bits: 24
        memcpy(&high, &bits, sizeof high);
        low = float(whole - double(high));
        exact = true;
        for (int i = 0; i < 256; ++i) exact &= by_products(float(i)) == float(i) / d;
    }
    float by_products(float v) const { return v * high + v * low; }

    void divide(uint8_t, const float* row, int64_t n, float* y) const {
        if (!exact) return divide(float(), row, n, y);
        for (int64_t i = 0; i < n; ++i) y[i] = by_products(row[i]);
    }
    void divide(float, const float* row, int64_t n, float* y) const {
        for (int64_t i = 0; i < n; ++i) y[i] = row[i] / divisor;
    }
};

template <class T>
dl_status to_planes(const dl_image_args& m, float divisor, const float* mean, const float* std) {
    const Quotient quotient(divisor);
    return for_pixel_blocks<T, float>(m, [&](const T* x, float* y, int64_t n) {
        auto finish = [&](float* row, int64_t c) {
            quotient.divide(T(), row, n, row);
            if (mean)
                for (int64_t i = 0; i < n; ++i) row[i] = (row[i] - mean[c]) / std[c];
            write_row(row, n, y + c * m.ys.c, m.ys.w);
        };
        if (m.c == 3) {
            Colours p;
            p.read(x, m.xs, n);
            finish(p.r, 0);
            finish(p.g, 1);
            return finish(p.b, 2);
        }
        for (int64_t c = 0; c < m.c; ++c) {
            float row[kBlock];
            read_row(x + c * m.xs.c, m.xs.w, n, row);
            finish(row, c);
        }
    });
}

// By type: f(dl_image_args, rest...) for u8 and f32.
template <class Fu, class Ff, class... Rest>
dl_status by_type(const dl_image_args* m, Fu bytes, Ff floats, Rest... rest) {
    if (m->dtype == DL_U8) return bytes(*m, rest...);
    return m->dtype == DL_F32 ? floats(*m, rest...) : DL_UNSUPPORTED;
}

}  // namespace

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
    t->gray_mean = [](const dl_image_args* m, double* mean) {
        return by_type(m, gray_mean<uint8_t>, gray_mean<float>, mean);
    };
    t->to_planes = [](const dl_image_args* m, float divisor, const float* mean, const float* std) {
        return by_type(m, to_planes<uint8_t>, to_planes<float>, divisor, mean, std);
    };
}

}  // namespace deeplite::cpu::DL_ISA
