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
        const int64_t even = blocks / 16 < 4 ? blocks / 16 : 4;
        if (grain < even) grain = even;
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
        int64_t at = (e0 / w.s * w.c + ch) * w.s + e0 % w.s, left = w.s - e0 % w.s;
        for (int64_t rest = e1 - e0; rest > 0; rest -= left, left = w.s) {
            if (left > rest) left = rest;
            f(at, left);
            at += left + (w.c - 1) * w.s;
        }
    }
};

// Moments of the channels of one block over one part; out[channel * parts]. Only the first stretch is
// read twice, to find a point near its mean. The mean so far does for the others: where it is far from
// a stretch's own, that very distance is in the sum of squares, beside which its rounding is small.
template <class T>
void batch_measure_plane(const BatchWalk& w, const T* x, int64_t ch, int64_t part, Moments* out) {
    Moments all;
    for (int64_t e = w.begin(part); e < w.end(part); e += kNormBlock) {
        const int64_t end = e + kNormBlock < w.end(part) ? e + kNormBlock : w.end(part);
        const double count = double(end - e);
        NormSum<T> rough, sum, squares;
        if (all.count == 0)
            BatchWalk::stretches(w, ch, e, end, [&](int64_t at, int64_t len) {
                norm_add_values(rough, x + at, len);
            });
        const T centre = all.count == 0 ? T(norm_total(rough) / count) : T(all.mean);
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

// What follows the norm: nothing, a cut, or a residual and a cut. `at` is where v belongs.
template <class T>
struct FollowNothing {
    typedef typename Vec<T>::type V;
    V operator()(V v, int64_t, int64_t) const { return v; }
};
template <class T>
struct FollowCut {
    typedef typename Vec<T>::type V;
    V low, high;
    V operator()(V v, int64_t, int64_t) const {
        v = v <= low ? low : v;  // NaN stays
        return v >= high ? high : v;
    }
};
template <class T>
struct FollowSum {
    typedef typename Vec<T>::type V;
    const T* residual;
    FollowCut<T> cut;
    V operator()(V v, int64_t at, int64_t n) const {
        return cut(v + vload_lanes(residual + at, n), at, n);
    }
};
template <class T, class F>
dl_status with_follow(const dl_batch_norm_args& g, const F& f) {
    const T low = g.cut ? T(g.low) : T(-HUGE_VAL), high = g.cut ? T(g.high) : T(HUGE_VAL);
    const FollowCut<T> cut = {vset1(low), vset1(high)};
    if (g.residual) return f(FollowSum<T>{static_cast<const T*>(g.residual), cut});
    if (g.cut) return f(cut);
    return f(FollowNothing<T>{});
}

// y = (x - centre[c]) * scale[c] + shift[c] over one part of a block, with what is to follow it.
template <class T, class Follow>
void batch_write(const BatchWalk& w, const Follow& follow, const T* x, T* y, const T* mean,
                 const T* rstd, const T* weight, const T* bias, int64_t block, int64_t part,
                 bool ahead = false) {
    typedef typename Vec<T>::type V;
    const int64_t c0 = w.first_channel(block), c1 = w.last_channel(block);
    if (!w.columns) {
        const V centre = vset1(mean[c0]), scale = vset1(rstd[c0] * (weight ? weight[c0] : T(1))),
                shift = vset1(bias ? bias[c0] : T(0));
        BatchWalk::stretches(w, c0, w.begin(part), w.end(part), [&](int64_t at, int64_t len) {
            const T* next = x + at + (ahead ? w.s : 0);
            norm_vectors<T>(len, [&](int64_t i, int64_t m) __attribute__((always_inline)) {
                __builtin_prefetch(next + i, 0, 2);
                const V v = (vload_lanes(x + at + i, m) - centre) * scale + shift;
                vstore_lanes(y + at + i, follow(v, at + i, m), m);
            });
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
    const int64_t width = (c1 - c0) * w.s;
    for (int64_t i = w.begin(part); i < w.end(part); ++i) {
        const int64_t at = (i * w.c + c0) * w.s;
        norm_vectors<T>(width, [&](int64_t j, int64_t m) __attribute__((always_inline)) {
            const V v = (vload_lanes(x + at + j, m) - vload_lanes(centre + j, m)) *
                            vload_lanes(scale + j, m) +
                        vload_lanes(shift + j, m);
            vstore_lanes(y + at + j, follow(v, at + j, m), m);
        });
    }
}

template <class T, class Follow>
dl_status batch_norm_with(const dl_batch_norm_args& g, const Follow& follow) {
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
        [&](int64_t b, int64_t part, bool ahead) {
            batch_write(w, follow, x, static_cast<T*>(g.y), mean, rstd,
                        static_cast<const T*>(g.weight), static_cast<const T*>(g.bias), b, part,
                        ahead);
        });
    return DL_OK;
}

template <class T>
dl_status batch_norm(const dl_batch_norm_args& g) {
    return with_follow<T>(g, [&](const auto& follow) { return batch_norm_with<T>(g, follow); });
}

template <class T>
dl_status batch_norm_apply(const dl_batch_norm_args& g) {
    if (g.n * g.s == 0 || g.c == 0) return DL_OK;
    const BatchWalk w(g);
    return with_follow<T>(g, [&](const auto& follow) {
        parallel_for(w.blocks * w.parts, w.grain, [&](int64_t begin, int64_t end) {
            for (int64_t t = begin; t < end; ++t)
                batch_write(w, follow, static_cast<const T*>(g.x), static_cast<T*>(g.y),
                            static_cast<const T*>(g.mean), static_cast<const T*>(g.rstd),
                            static_cast<const T*>(g.weight), static_cast<const T*>(g.bias),
                            t / w.parts, t % w.parts);
        });
        return DL_OK;
    });
}

}  // namespace
