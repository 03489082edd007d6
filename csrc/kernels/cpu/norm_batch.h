// Batch normalisation of x [n, c, s]. Two walks over memory, chosen by the length s of a channel's
// plane: planes walks one channel's stretches of s elements at a time; columns takes a few
// neighbouring channels and all their s as columns of a matrix with n rows, so that short planes (s
// = 1: a plain [n, c] matrix) still fill vectors.
#pragma once
#include "kernels/cpu/norm_rows.h"
#include "kernels/norm.h"

namespace {

constexpr int64_t kColumns = 256;    // most columns in one block of the columns walk
constexpr int64_t kColumnRows = 64;  // rows summed in T before double takes over

struct BatchWalk {
    int64_t n, c, s;
    bool columns;
    int64_t channels;  // per block
    int64_t blocks, parts;
    int64_t units, step;  // per block: elements of a channel, or rows; and of these per part
    int64_t grain;        // blocks per task

    explicit BatchWalk(const dl_batch_norm_args& g) : n(g.n), c(g.c), s(g.s) {
        columns = s < 32;
        channels = columns ? (kColumns / s < c ? kColumns / s : c) : 1;
        blocks = (c + channels - 1) / channels;
        units = columns ? n : n * s;
        parts = norm_parts(blocks, channels * n * s);
        step = (units + parts - 1) / parts;
        grain = 16384 / (channels * n * s) + 1;
    }
    int64_t begin(int64_t part) const { return part * step < units ? part * step : units; }
    int64_t end(int64_t part) const {
        return begin(part) + step < units ? begin(part) + step : units;
    }
    int64_t first_channel(int64_t block) const { return block * channels; }
    int64_t last_channel(int64_t block) const {
        return (block + 1) * channels < c ? (block + 1) * channels : c;
    }

    // f(offset, length) for the stretches of channel ch that hold its elements [e0, e1).
    template <class F>
    DL_INLINE void stretches(const BatchWalk& w, int64_t ch, int64_t e0, int64_t e1, const F& f) {
        for (int64_t e = e0; e < e1;) {
            const int64_t i = e / w.s, at = e % w.s;
            const int64_t len = w.s - at < e1 - e ? w.s - at : e1 - e;
            f((i * w.c + ch) * w.s + at, len);
            e += len;
        }
    }
};

// Moments of the channels of one block over one part; out[channel * parts].
template <class T>
void batch_measure_plane(const BatchWalk& w, const T* x, int64_t ch, int64_t part, Moments* out) {
    Moments all;
    for (int64_t e = w.begin(part); e < w.end(part); e += kNormBlock) {
        const int64_t end = e + kNormBlock < w.end(part) ? e + kNormBlock : w.end(part);
        const double count = double(end - e);
        NormSum<T> rough, sum, squares;
        BatchWalk::stretches(w, ch, e, end,
                             [&](int64_t at, int64_t len) { norm_add_values(rough, x + at, len); });
        const T centre = T(norm_total(rough) / count);
        BatchWalk::stretches(w, ch, e, end, [&](int64_t at, int64_t len) {
            norm_add_distances(sum, squares, x + at, len, centre);
        });
        all = Moments::plus(all, moments_near(centre, count, norm_total(sum), norm_total(squares)));
    }
    out[ch * w.parts + part] = all;
}

template <class T>
void batch_measure_columns(const BatchWalk& w, const T* x, int64_t block, int64_t part,
                           Moments* out) {
    const int64_t c0 = w.first_channel(block), c1 = w.last_channel(block), width = (c1 - c0) * w.s;
    for (int64_t ch = c0; ch < c1; ++ch) out[ch * w.parts + part] = Moments();
    for (int64_t r = w.begin(part); r < w.end(part); r += kColumnRows) {
        const int64_t end = r + kColumnRows < w.end(part) ? r + kColumnRows : w.end(part);
        const double count = double((end - r) * w.s);
        T sum[kColumns] = {}, squares[kColumns] = {}, centre[kColumns];
        for (int64_t i = r; i < end; ++i) {
            const T* row = x + (i * w.c + c0) * w.s;
            for (int64_t j = 0; j < width; ++j) sum[j] += row[j];
        }
        for (int64_t ch = 0; ch < c1 - c0; ++ch) {
            double total = 0;
            for (int64_t s = 0; s < w.s; ++s) total += double(sum[ch * w.s + s]);
            for (int64_t s = 0; s < w.s; ++s) centre[ch * w.s + s] = T(total / count);
        }
        for (int64_t j = 0; j < width; ++j) sum[j] = T(0);
        for (int64_t i = r; i < end; ++i) {
            const T* row = x + (i * w.c + c0) * w.s;
            for (int64_t j = 0; j < width; ++j) {
                const T d = row[j] - centre[j];
                sum[j] += d;
                squares[j] += d * d;
            }
        }
        for (int64_t ch = 0; ch < c1 - c0; ++ch) {
            double distance = 0, square = 0;
            for (int64_t j = ch * w.s; j < (ch + 1) * w.s; ++j) {
                distance += double(sum[j]);
                square += double(squares[j]);
            }
            Moments& all = out[(c0 + ch) * w.parts + part];
            all = Moments::plus(all, moments_near(centre[ch * w.s], count, distance, square));
        }
    }
}

// y = (x - centre[c]) * scale[c] + shift[c] over one part of a block.
template <class T>
void batch_write(const BatchWalk& w, const T* x, T* y, const T* mean, const T* rstd,
                 const T* weight, const T* bias, int64_t block, int64_t part) {
    const int64_t c0 = w.first_channel(block), c1 = w.last_channel(block);
    if (!w.columns) {
        const T centre = mean[c0], scale = rstd[c0] * (weight ? weight[c0] : T(1)),
                shift = bias ? bias[c0] : T(0);
        BatchWalk::stretches(w, c0, w.begin(part), w.end(part), [&](int64_t at, int64_t len) {
            row_affine(y + at, x + at, len, centre, scale, shift);
        });
        return;
    }
    T centre[kColumns], scale[kColumns], shift[kColumns];
    for (int64_t ch = c0; ch < c1; ++ch)
        for (int64_t j = (ch - c0) * w.s; j < (ch - c0 + 1) * w.s; ++j) {
            centre[j] = mean[ch];
            scale[j] = rstd[ch] * (weight ? weight[ch] : T(1));
            shift[j] = bias ? bias[ch] : T(0);
        }
    for (int64_t i = w.begin(part); i < w.end(part); ++i) {
        const int64_t at = (i * w.c + c0) * w.s, width = (c1 - c0) * w.s;
        for (int64_t j = 0; j < width; ++j)
            y[at + j] = (x[at + j] - centre[j]) * scale[j] + shift[j];
    }
}

template <class T>
dl_status batch_norm(const dl_batch_norm_args& g) {
    if (g.n * g.s == 0 || g.c == 0) return DL_OK;
    const BatchWalk w(g);
    const T* x = static_cast<const T*>(g.x);
    T *mean = static_cast<T*>(g.mean), *rstd = static_cast<T*>(g.rstd),
      *var = static_cast<T*>(g.var);
    Moments* moments =
        static_cast<Moments*>(dl_scratch(size_t(g.c * w.parts) * sizeof(Moments), 2));
    if (!moments) return DL_OUT_OF_MEMORY;
    norm_two_stages(
        w.blocks, w.parts, w.grain,
        [&](int64_t b, int64_t part) {
            if (w.columns)
                batch_measure_columns(w, x, b, part, moments);
            else
                batch_measure_plane(w, x, b, part, moments);
        },
        [&](int64_t b) {
            for (int64_t ch = w.first_channel(b); ch < w.last_channel(b); ++ch) {
                Moments all;
                for (int64_t p = 0; p < w.parts; ++p)
                    all = Moments::plus(all, moments[ch * w.parts + p]);
                const double v = all.m2 < 0 ? 0 : all.m2 / all.count;
                mean[ch] = T(all.mean);
                rstd[ch] = T(1 / sqrt(v + g.eps));
                if (var) var[ch] = T(v);
            }
        },
        [&](int64_t b, int64_t part) {
            batch_write(w, x, static_cast<T*>(g.y), mean, rstd, static_cast<const T*>(g.weight),
                        static_cast<const T*>(g.bias), b, part);
        });
    return DL_OK;
}

template <class T>
dl_status batch_norm_apply(const dl_batch_norm_args& g) {
    if (g.n * g.s == 0 || g.c == 0) return DL_OK;
    const BatchWalk w(g);
    parallel_for(w.blocks * w.parts, w.grain, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t)
            batch_write(w, static_cast<const T*>(g.x), static_cast<T*>(g.y),
                        static_cast<const T*>(g.mean), static_cast<const T*>(g.rstd),
                        static_cast<const T*>(g.weight), static_cast<const T*>(g.bias), t / w.parts,
                        t % w.parts);
    });
    return DL_OK;
}

// ---- backward ----------------------------------------------------------------------------------

struct BatchSums {
    double sum, dot;  // of dy, and of dy * (x - mean)
};

template <class T>
void batch_sums_plane(const BatchWalk& w, const T* dy, const T* x, T centre, int64_t ch,
                      int64_t part, BatchSums* out) {
    BatchSums all = {0, 0};
    for (int64_t e = w.begin(part); e < w.end(part); e += kNormBlock) {
        const int64_t end = e + kNormBlock < w.end(part) ? e + kNormBlock : w.end(part);
        NormSum<T> sum, dot;
        BatchWalk::stretches(w, ch, e, end, [&](int64_t at, int64_t len) {
            norm_add_products(sum, dot, dy + at, x + at, len, centre);
        });
        all.sum += norm_total(sum);
        all.dot += norm_total(dot);
    }
    out[ch * w.parts + part] = all;
}

template <class T>
void batch_sums_columns(const BatchWalk& w, const T* dy, const T* x, const T* mean, int64_t block,
                        int64_t part, BatchSums* out) {
    const int64_t c0 = w.first_channel(block), c1 = w.last_channel(block), width = (c1 - c0) * w.s;
    T centre[kColumns];
    for (int64_t j = 0; j < width; ++j) centre[j] = mean[c0 + j / w.s];
    for (int64_t ch = c0; ch < c1; ++ch) out[ch * w.parts + part] = BatchSums{0, 0};
    for (int64_t r = w.begin(part); r < w.end(part); r += kColumnRows) {
        const int64_t end = r + kColumnRows < w.end(part) ? r + kColumnRows : w.end(part);
        T sum[kColumns] = {}, dot[kColumns] = {};
        for (int64_t i = r; i < end; ++i) {
            const int64_t at = (i * w.c + c0) * w.s;
            for (int64_t j = 0; j < width; ++j) {
                sum[j] += dy[at + j];
                dot[j] += dy[at + j] * (x[at + j] - centre[j]);
            }
        }
        for (int64_t j = 0; j < width; ++j) {
            out[(c0 + j / w.s) * w.parts + part].sum += double(sum[j]);
            out[(c0 + j / w.s) * w.parts + part].dot += double(dot[j]);
        }
    }
}

// dx = (dy - level - (x - centre) * slope) * scale, with coefficients per channel.
template <class T>
void batch_write_dx(const BatchWalk& w, const T* dy, const T* x, T* dx, const T* mean,
                    const T* level, const T* slope, const T* scale, int64_t block, int64_t part) {
    const int64_t c0 = w.first_channel(block), c1 = w.last_channel(block);
    if (!w.columns) {
        const T m = mean[c0], l = level[c0], k = slope[c0], f = scale[c0];
        BatchWalk::stretches(w, c0, w.begin(part), w.end(part), [&](int64_t at, int64_t len) {
            for (int64_t i = at; i < at + len; ++i) dx[i] = (dy[i] - l - (x[i] - m) * k) * f;
        });
        return;
    }
    T m[kColumns], l[kColumns], k[kColumns], f[kColumns];
    const int64_t width = (c1 - c0) * w.s;
    for (int64_t j = 0; j < width; ++j) {
        const int64_t ch = c0 + j / w.s;
        m[j] = mean[ch], l[j] = level[ch], k[j] = slope[ch], f[j] = scale[ch];
    }
    for (int64_t i = w.begin(part); i < w.end(part); ++i) {
        const int64_t at = (i * w.c + c0) * w.s;
        for (int64_t j = 0; j < width; ++j)
            dx[at + j] = (dy[at + j] - l[j] - (x[at + j] - m[j]) * k[j]) * f[j];
    }
}

template <class T>
dl_status batch_norm_backward(const dl_batch_norm_args& g) {
    if (g.c == 0) return DL_OK;
    const T *x = static_cast<const T*>(g.x), *dy = static_cast<const T*>(g.dy);
    const T *mean = static_cast<const T*>(g.mean), *rstd = static_cast<const T*>(g.rstd);
    T *dweight = static_cast<T*>(g.dweight), *dbias = static_cast<T*>(g.dbias);
    if (g.n * g.s == 0) {
        for (int64_t ch = 0; ch < g.c; ++ch) {
            if (dweight) dweight[ch] = T(0);
            if (dbias) dbias[ch] = T(0);
        }
        return DL_OK;
    }
    const BatchWalk w(g);
    const double count = double(g.n * g.s);
    BatchSums* sums =
        static_cast<BatchSums*>(dl_scratch(size_t(g.c * w.parts) * sizeof(BatchSums), 2));
    T* coefficients = static_cast<T*>(dl_scratch(size_t(g.c * 3) * sizeof(T), 3));
    if (!sums || !coefficients) return DL_OUT_OF_MEMORY;
    T *level = coefficients, *slope = level + g.c, *scale = slope + g.c;
    const bool need_sums = g.training || dweight || dbias;
    norm_two_stages(
        w.blocks, w.parts, w.grain,
        [&](int64_t b, int64_t part) {
            if (need_sums && w.columns)
                batch_sums_columns(w, dy, x, mean, b, part, sums);
            else if (need_sums)
                batch_sums_plane(w, dy, x, mean[b], b, part, sums);
        },
        [&](int64_t b) {
            for (int64_t ch = w.first_channel(b); ch < w.last_channel(b); ++ch) {
                double sum = 0, dot = 0, r = double(rstd[ch]);
                for (int64_t p = 0; p < w.parts && need_sums; ++p) {
                    sum += sums[ch * w.parts + p].sum;
                    dot += sums[ch * w.parts + p].dot;
                }
                if (dweight) dweight[ch] = T(dot * r);
                if (dbias) dbias[ch] = T(sum);
                level[ch] = g.training ? T(sum / count) : T(0);
                slope[ch] = g.training ? T(dot * r * r / count) : T(0);
                scale[ch] = g.weight ? T(r) * static_cast<const T*>(g.weight)[ch] : T(r);
            }
        },
        [&](int64_t b, int64_t part) {
            if (g.dx)
                batch_write_dx(w, dy, x, static_cast<T*>(g.dx), mean, level, slope, scale, b, part);
        });
    return DL_OK;
}

}  // namespace
