// Normalisation over rows (layer, RMS and group norm) and the table of the family; batch norm is in
// norm_batch.h and norm_batch_backward.h.
#include "kernels/norm.h"

#include "kernels/cpu/norm_batch_backward.h"
#include "kernels/cpu/norm_rows.h"

namespace {

DL_INLINE int64_t rows_per_task(int64_t d) { return 16384 / (d + 1) + 1; }

// Mean square of a row, for RMS norm.
template <class T>
double row_mean_square(const T* x, int64_t n) {
    double total = 0;
    for (int64_t i = 0; i < n; i += kNormBlock) {
        NormSum<T> sum, squares;
        norm_add_distances(sum, squares, x + i, n - i < kNormBlock ? n - i : kNormBlock, T(0));
        total += norm_total(squares);
    }
    return total / double(n);
}

template <class T>
dl_status layer_norm(const dl_layer_norm_args& g) {
    const T *x = static_cast<const T*>(g.x), *weight = static_cast<const T*>(g.weight);
    const T* bias = static_cast<const T*>(g.bias);
    T *y = static_cast<T*>(g.y), *means = static_cast<T*>(g.mean), *rstds = static_cast<T*>(g.rstd);
    if (g.d == 0) return DL_OK;
    parallel_for(g.rows, rows_per_task(g.d), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            const T* xr = x + r * g.d;
            T* yr = y + r * g.d;
            T mean = T(0);
            double var;
            if (g.rms) {
                var = row_mean_square(xr, g.d);
            } else {
                const Moments m = row_moments(xr, g.d);
                mean = means[r] = T(m.mean);
                var = m.m2 / m.count;
            }
            const T rstd = rstds[r] = T(1 / sqrt(var + g.eps));
            if (weight && bias)
                for (int64_t i = 0; i < g.d; ++i)
                    yr[i] = (xr[i] - mean) * rstd * weight[i] + bias[i];
            else if (weight)
                for (int64_t i = 0; i < g.d; ++i) yr[i] = (xr[i] - mean) * rstd * weight[i];
            else if (bias)
                for (int64_t i = 0; i < g.d; ++i) yr[i] = (xr[i] - mean) * rstd + bias[i];
            else
                for (int64_t i = 0; i < g.d; ++i) yr[i] = (xr[i] - mean) * rstd;
        }
    });
    return DL_OK;
}

// sum of dy * weight, and of dy * weight * (x - centre), over a row.
template <class T>
void row_products(const T* dy, const T* x, const T* weight, int64_t n, T centre, double* sum_out,
                  double* dot_out) {
    const typename Vec<T>::type c = vset1(centre);
    double total_sum = 0, total_dot = 0;
    for (int64_t i0 = 0; i0 < n; i0 += kNormBlock) {
        const int64_t len = n - i0 < kNormBlock ? n - i0 : kNormBlock;
        const T *d = dy + i0, *v = x + i0, *w = weight + i0;
        NormSum<T> sum, dot;
        if (!weight) {
            norm_add_products(sum, dot, d, v, len, centre);
        } else {
            norm_vectors<T>(len, [&](int64_t i, int64_t m) __attribute__((always_inline)) {
                const typename Vec<T>::type scaled = vload_lanes(d + i, m) * vload_lanes(w + i, m);
                sum.lanes[0] += scaled;
                dot.lanes[0] += scaled * (vload_lanes(v + i, m, centre) - c);
            });
        }
        total_sum += norm_total(sum);
        total_dot += norm_total(dot);
    }
    *sum_out = total_sum;
    *dot_out = total_dot;
}

// dx of one row.
template <class T>
void layer_norm_dx(const dl_layer_norm_args& g, int64_t r) {
    const T* weight = static_cast<const T*>(g.weight);
    const T *xr = static_cast<const T*>(g.x) + r * g.d, *dr = static_cast<const T*>(g.dy) + r * g.d;
    const T mean = g.rms ? T(0) : static_cast<const T*>(g.mean)[r],
            rstd = static_cast<const T*>(g.rstd)[r];
    T* __restrict out = static_cast<T*>(g.dx) + r * g.d;
    double sum, dot;
    row_products(dr, xr, weight, g.d, mean, &sum, &dot);
    const T level = g.rms ? T(0) : T(sum / double(g.d));
    const T slope = T(dot * double(rstd) * double(rstd) / double(g.d));
    if (weight)
        for (int64_t i = 0; i < g.d; ++i)
            out[i] = (dr[i] * weight[i] - level - (xr[i] - mean) * slope) * rstd;
    else
        for (int64_t i = 0; i < g.d; ++i) out[i] = (dr[i] - level - (xr[i] - mean) * slope) * rstd;
}

// What one row adds to dweight and dbias.
template <class T>
void layer_norm_add_row(const dl_layer_norm_args& g, int64_t r, T* __restrict dw,
                        T* __restrict db) {
    const T *xr = static_cast<const T*>(g.x) + r * g.d, *dr = static_cast<const T*>(g.dy) + r * g.d;
    const T mean = g.rms ? T(0) : static_cast<const T*>(g.mean)[r],
            rstd = static_cast<const T*>(g.rstd)[r];
    if (g.dweight && g.dbias)
        for (int64_t i = 0; i < g.d; ++i) {
            dw[i] += dr[i] * ((xr[i] - mean) * rstd);
            db[i] += dr[i];
        }
    else if (g.dweight)
        for (int64_t i = 0; i < g.d; ++i) dw[i] += dr[i] * ((xr[i] - mean) * rstd);
    else
        for (int64_t i = 0; i < g.d; ++i) db[i] += dr[i];
}

// One pass: a row gives its dx and its part of dweight and dbias while it is in cache. Up to 64 runs of
// rows are summed on their own, then added in order.
template <class T>
dl_status layer_norm_backward(const dl_layer_norm_args& g) {
    const bool sums = g.dweight || g.dbias;
    const int64_t fewest = rows_per_task(g.d), even = (g.rows + 63) / 64;
    const int64_t step = fewest > even ? fewest : even, runs = (g.rows + step - 1) / step;
    T* partial = nullptr;
    if (sums && runs > 0) {
        partial = static_cast<T*>(dl_scratch(size_t(runs * 2 * g.d) * sizeof(T), 2));
        if (!partial) return DL_OUT_OF_MEMORY;
    }
    parallel_for(runs, 1, [&](int64_t begin, int64_t end) {
        for (int64_t run = begin; run < end; ++run) {
            T *dw = partial + run * 2 * g.d, *db = dw + g.d;
            if (sums) memset(dw, 0, size_t(2 * g.d) * sizeof(T));
            const int64_t last = (run + 1) * step < g.rows ? (run + 1) * step : g.rows;
            for (int64_t r = run * step; r < last; ++r) {
                if (g.dx && g.d > 0) layer_norm_dx<T>(g, r);
                if (sums) layer_norm_add_row<T>(g, r, dw, db);
            }
        }
    });
    if (!sums) return DL_OK;
    parallel_for(g.d, 4096, [&](int64_t begin, int64_t end) {
        for (int which = 0; which < 2; ++which) {
            T* out = static_cast<T*>(which ? g.dbias : g.dweight);
            if (!out) continue;
            for (int64_t i = begin; i < end; ++i) out[i] = T(0);
            for (int64_t run = 0; run < runs; ++run)
                for (int64_t i = begin; i < end; ++i)
                    out[i] += partial[(run * 2 + which) * g.d + i];
        }
    });
    return DL_OK;
}

template <class T>
dl_status group_norm(const dl_group_norm_args& g) {
    const T *x = static_cast<const T*>(g.x), *weight = static_cast<const T*>(g.weight);
    const T* bias = static_cast<const T*>(g.bias);
    T *y = static_cast<T*>(g.y), *means = static_cast<T*>(g.mean), *rstds = static_cast<T*>(g.rstd);
    const int64_t d = g.k * g.s;
    if (d == 0) return DL_OK;
    parallel_for(g.n * g.groups, rows_per_task(d), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            const Moments m = row_moments(x + r * d, d);
            const T mean = means[r] = T(m.mean),
                    rstd = rstds[r] = T(1 / sqrt(m.m2 / m.count + g.eps));
            for (int64_t k = 0; k < g.k; ++k) {
                const int64_t ch = r % g.groups * g.k + k, at = r * d + k * g.s;
                row_affine(y + at, x + at, g.s, mean, weight ? rstd * weight[ch] : rstd,
                           bias ? bias[ch] : T(0));
            }
        }
    });
    return DL_OK;
}

template <class T>
dl_status group_norm_backward(const dl_group_norm_args& g) {
    const T *x = static_cast<const T*>(g.x), *dy = static_cast<const T*>(g.dy);
    const T *weight = static_cast<const T*>(g.weight), *means = static_cast<const T*>(g.mean);
    const T* rstds = static_cast<const T*>(g.rstd);
    T *dx = static_cast<T*>(g.dx), *dweight = static_cast<T*>(g.dweight),
      *dbias = static_cast<T*>(g.dbias);
    const int64_t d = g.k * g.s, channels = g.groups * g.k;
    BatchSums* sums =
        static_cast<BatchSums*>(dl_scratch(size_t(g.n * channels + 1) * sizeof(BatchSums), 2));
    if (!sums) return DL_OUT_OF_MEMORY;
    parallel_for(g.n * g.groups, rows_per_task(d), [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
            const T mean = means[r], rstd = rstds[r];
            double sum = 0, dot = 0;
            for (int64_t k = 0; k < g.k; ++k) {
                const int64_t at = r * d + k * g.s;
                BatchSums& of = sums[r * g.k + k];  // of channel k of this group, over s
                row_products(dy + at, x + at, static_cast<const T*>(nullptr), g.s, mean, &of.sum,
                             &of.dot);
                const double w = weight ? double(weight[r % g.groups * g.k + k]) : 1.0;
                sum += w * of.sum;
                dot += w * of.dot;
            }
            if (!dx) continue;
            const T level = T(sum / double(d)),
                    slope = T(dot * double(rstd) * double(rstd) / double(d));
            for (int64_t k = 0; k < g.k; ++k) {
                const T w = weight ? weight[r % g.groups * g.k + k] : T(1);
                for (int64_t i = r * d + k * g.s; i < r * d + (k + 1) * g.s; ++i)
                    dx[i] = (dy[i] * w - level - (x[i] - mean) * slope) * rstd;
            }
        }
    });
    for (int64_t ch = 0; ch < channels && (dweight || dbias); ++ch) {
        double dw = 0, db = 0;
        for (int64_t n = 0; n < g.n; ++n) {
            const BatchSums& of = sums[n * channels + ch];
            dw += of.dot * double(rstds[n * g.groups + ch / g.k]);
            db += of.sum;
        }
        if (dweight) dweight[ch] = T(dw);
        if (dbias) dbias[ch] = T(db);
    }
    return DL_OK;
}

template <class Args, dl_status (*F32)(const Args&), dl_status (*F64)(const Args&)>
dl_status by_dtype(const Args* g) {
    return g->dtype == DL_F32 ? F32(*g) : g->dtype == DL_F64 ? F64(*g) : DL_UNSUPPORTED;
}

const dl_norm_table table = {
    by_dtype<dl_batch_norm_args, batch_norm<float>, batch_norm<double>>,
    by_dtype<dl_batch_norm_args, batch_norm_apply<float>, batch_norm_apply<double>>,
    by_dtype<dl_batch_norm_args, batch_norm_backward<float>, batch_norm_backward<double>>,
    by_dtype<dl_layer_norm_args, layer_norm<float>, layer_norm<double>>,
    by_dtype<dl_layer_norm_args, layer_norm_backward<float>, layer_norm_backward<double>>,
    by_dtype<dl_group_norm_args, group_norm<float>, group_norm<double>>,
    by_dtype<dl_group_norm_args, group_norm_backward<float>, group_norm_backward<double>>,
};

}  // namespace

namespace deeplite::cpu::DL_ISA {
const dl_norm_table* norm_table();
const dl_norm_table* norm_table() { return &table; }
}  // namespace deeplite::cpu::DL_ISA
