// Gradients of batch normalisation, and of a residual and a cut that follow it (kernels/norm.h): the
// gradient of the cut is taken where dy is read, so that no pass of its own is needed.
#pragma once
#include "kernels/cpu/norm_batch.h"

namespace {

struct BatchSums {
    double sum, dot;  // of dy, and of dy * (x - mean)
};

// dy where it counts: everywhere; where the norm's value lies within the cut, which is found again
// from x (d is its distance from the mean); or where y does.
template <class T>
struct GateOpen {
    typedef typename Vec<T>::type V;
    V operator()(V dy, V, V, V, int64_t, int64_t) const { return dy; }
};
template <class T>
struct GateByInput {
    typedef typename Vec<T>::type V;
    V low, high;
    V operator()(V dy, V d, V scale, V shift, int64_t, int64_t) const {
        const V v = d * scale + shift;
        return (v <= low) | (v >= high) ? V{} : dy;
    }
};
template <class T>
struct GateByOutput {
    typedef typename Vec<T>::type V;
    const T* y;
    V low, high;
    V operator()(V dy, V, V, V, int64_t at, int64_t n) const {
        const V v = vload_lanes(y + at, n);
        return (v <= low) | (v >= high) ? V{} : dy;
    }
};

// The operands of one call, as a kernel that writes dx (and so the gate) needs them.
template <class T>
struct BatchGradients {
    const T *x, *dy, *mean, *rstd, *weight, *bias;
    T *dx, *dresidual;
    T *level, *slope;  // dx = (dy - level - (x - mean) * slope) * scale

    T scale(int64_t ch) const { return weight ? rstd[ch] * weight[ch] : rstd[ch]; }
    T shift(int64_t ch) const { return bias ? bias[ch] : T(0); }
};

template <class T, class Gate>
void batch_sums_plane(const BatchWalk& w, const Gate& gate, const BatchGradients<T>& g, int64_t ch,
                      int64_t part, BatchSums* out) {
    typedef typename Vec<T>::type V;
    constexpr int64_t N = Vec<T>::N;
    const T mean = g.mean[ch];
    const V centre = vset1(mean), scale = vset1(g.scale(ch)), shift = vset1(g.shift(ch));
    BatchSums all = {0, 0};
    for (int64_t e = w.begin(part); e < w.end(part); e += kNormBlock) {
        const int64_t end = e + kNormBlock < w.end(part) ? e + kNormBlock : w.end(part);
        NormSum<T> sum, dot;
        const auto add = [&](int64_t at, int64_t m, int lane) __attribute__((always_inline)) {
            const V d = vload_lanes(g.x + at, m, mean) - centre;
            const V dy = gate(vload_lanes(g.dy + at, m), d, scale, shift, at, m);
            sum.lanes[lane] += dy;
            dot.lanes[lane] += dy * d;
        };
        BatchWalk::stretches(w, ch, e, end, [&](int64_t at, int64_t len) {
            const int64_t last = at + len;
            for (; at + 2 * N <= last; at += 2 * N) {
                add(at, N, 0);
                add(at + N, N, 1);
            }
            if (at + N <= last) add(at, N, 0), at += N;
            if (at < last) add(at, last - at, 1);
        });
        all.sum += norm_total(sum);
        all.dot += norm_total(dot);
    }
    out[ch * w.parts + part] = all;
}

// What the columns walk knows of each column of a block.
template <class T>
struct BatchColumns {
    T centre[kColumns], scale[kColumns], shift[kColumns], level[kColumns], slope[kColumns];
    int64_t width;

    BatchColumns(const BatchWalk& w, const BatchGradients<T>& g, int64_t c0, int64_t c1)
        : width((c1 - c0) * w.s) {
        for (int64_t ch = c0; ch < c1; ++ch)
            for (int64_t j = (ch - c0) * w.s; j < (ch - c0 + 1) * w.s; ++j) {
                centre[j] = g.mean[ch], scale[j] = g.scale(ch), shift[j] = g.shift(ch);
                level[j] = g.level[ch], slope[j] = g.slope[ch];
            }
    }
};

template <class T, class Gate>
void batch_sums_columns(const BatchWalk& w, const Gate& gate, const BatchGradients<T>& g,
                        int64_t block, int64_t part, BatchSums* out) {
    typedef typename Vec<T>::type V;
    const int64_t c0 = w.first_channel(block), c1 = w.last_channel(block);
    const BatchColumns<T> of(w, g, c0, c1);
    for (int64_t ch = c0; ch < c1; ++ch) out[ch * w.parts + part] = BatchSums{0, 0};
    for (int64_t r = w.begin(part); r < w.end(part); r += kColumnRows) {
        const int64_t end = r + kColumnRows < w.end(part) ? r + kColumnRows : w.end(part);
        T sum[kColumns] = {}, dot[kColumns] = {};
        for (int64_t i = r; i < end; ++i) {
            const int64_t row = (i * w.c + c0) * w.s;
            norm_vectors<T>(of.width, [&](int64_t j, int64_t m) __attribute__((always_inline)) {
                const V d = vload_lanes(g.x + row + j, m) - vload_lanes(of.centre + j, m);
                const V dy = gate(vload_lanes(g.dy + row + j, m), d, vload_lanes(of.scale + j, m),
                                  vload_lanes(of.shift + j, m), row + j, m);
                vstore_lanes(sum + j, vload_lanes(sum + j, m) + dy, m);
                vstore_lanes(dot + j, vload_lanes(dot + j, m) + dy * d, m);
            });
        }
        for (int64_t j = 0; j < of.width; ++j) {
            out[(c0 + j / w.s) * w.parts + part].sum += double(sum[j]);
            out[(c0 + j / w.s) * w.parts + part].dot += double(dot[j]);
        }
    }
}

// dx, and the residual's gradient.
template <class T, class Gate>
void batch_write_dx(const BatchWalk& w, const Gate& gate, const BatchGradients<T>& g, int64_t block,
                    int64_t part, bool ahead) {
    typedef typename Vec<T>::type V;
    const int64_t c0 = w.first_channel(block), c1 = w.last_channel(block);
    const auto put = [&](int64_t at, int64_t m, V mean, V scale, V shift, V level, V slope)
                         __attribute__((always_inline)) {
                             const V d = vload_lanes(g.x + at, m) - mean;
                             const V dy = gate(vload_lanes(g.dy + at, m), d, scale, shift, at, m);
                             if (g.dresidual) vstore_lanes(g.dresidual + at, dy, m);
                             if (g.dx) vstore_lanes(g.dx + at, (dy - level - d * slope) * scale, m);
                         };
    if (!w.columns) {
        const V mean = vset1(g.mean[c0]), scale = vset1(g.scale(c0)), shift = vset1(g.shift(c0)),
                level = vset1(g.level[c0]), slope = vset1(g.slope[c0]);
        BatchWalk::stretches(w, c0, w.begin(part), w.end(part), [&](int64_t at, int64_t len) {
            const int64_t next = at + (ahead ? w.s : 0);
            norm_vectors<T>(len, [&](int64_t i, int64_t m) __attribute__((always_inline)) {
                __builtin_prefetch(g.x + next + i, 0, 2);
                __builtin_prefetch(g.dy + next + i, 0, 2);
                put(at + i, m, mean, scale, shift, level, slope);
            });
        });
        return;
    }
    const BatchColumns<T> of(w, g, c0, c1);
    for (int64_t i = w.begin(part); i < w.end(part); ++i) {
        const int64_t row = (i * w.c + c0) * w.s;
        norm_vectors<T>(of.width, [&](int64_t j, int64_t m) __attribute__((always_inline)) {
            put(row + j, m, vload_lanes(of.centre + j, m), vload_lanes(of.scale + j, m),
                vload_lanes(of.shift + j, m), vload_lanes(of.level + j, m),
                vload_lanes(of.slope + j, m));
        });
    }
}

template <class T, class Gate>
dl_status batch_backward_with(const dl_batch_norm_args& a, const Gate& gate) {
    const BatchWalk w(a);
    const double count = double(a.n * a.s);
    T *dweight = static_cast<T*>(a.dweight), *dbias = static_cast<T*>(a.dbias);
    BatchSums* sums =
        static_cast<BatchSums*>(dl_scratch(size_t(a.c * w.parts) * sizeof(BatchSums), 2));
    T* coefficients = static_cast<T*>(dl_scratch(size_t(a.c * 2) * sizeof(T), 3));
    if (!sums || !coefficients) return DL_OUT_OF_MEMORY;
    BatchGradients<T> g;
    g.x = static_cast<const T*>(a.x), g.dy = static_cast<const T*>(a.dy);
    g.mean = static_cast<const T*>(a.mean), g.rstd = static_cast<const T*>(a.rstd);
    g.weight = static_cast<const T*>(a.weight), g.bias = static_cast<const T*>(a.bias);
    g.dx = static_cast<T*>(a.dx), g.dresidual = a.cut ? static_cast<T*>(a.dresidual) : nullptr;
    g.level = coefficients, g.slope = coefficients + a.c;
    memset(coefficients, 0, size_t(a.c * 2) * sizeof(T));
    const bool need_sums = a.training || dweight || dbias;
    norm_two_stages(
        w.blocks, w.parts, w.grain,
        [&](int64_t b, int64_t part) {
            if (need_sums && w.columns)
                batch_sums_columns(w, gate, g, b, part, sums);
            else if (need_sums)
                batch_sums_plane(w, gate, g, b, part, sums);
        },
        [&](int64_t b) {
            for (int64_t ch = w.first_channel(b); ch < w.last_channel(b) && need_sums; ++ch) {
                double sum = 0, dot = 0, r = double(g.rstd[ch]);
                for (int64_t p = 0; p < w.parts; ++p) {
                    sum += sums[ch * w.parts + p].sum;
                    dot += sums[ch * w.parts + p].dot;
                }
                if (dweight) dweight[ch] = T(dot * r);
                if (dbias) dbias[ch] = T(sum);
                if (!a.training) continue;
                g.level[ch] = T(sum / count);
                g.slope[ch] = T(dot * r * r / count);
            }
        },
        [&](int64_t b, int64_t part, bool ahead) {
            if (g.dx || g.dresidual) batch_write_dx(w, gate, g, b, part, ahead);
        });
    return DL_OK;
}

template <class T>
dl_status batch_norm_backward(const dl_batch_norm_args& g) {
    if (g.c == 0) return DL_OK;
    if (g.n * g.s == 0) {
        if (g.dweight) memset(g.dweight, 0, size_t(g.c) * sizeof(T));
        if (g.dbias) memset(g.dbias, 0, size_t(g.c) * sizeof(T));
        return DL_OK;
    }
    typedef typename Vec<T>::type V;
    const V low = vset1(T(g.low)), high = vset1(T(g.high));
    if (!g.cut) return batch_backward_with<T>(g, GateOpen<T>{});
    if (!g.y) return batch_backward_with<T>(g, GateByInput<T>{low, high});
    return batch_backward_with<T>(g, GateByOutput<T>{static_cast<const T*>(g.y), low, high});
}

}  // namespace
