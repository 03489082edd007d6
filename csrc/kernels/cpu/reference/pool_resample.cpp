// Resampling, plain: every output is the sum over its taps along rows and columns.
#include "kernels/cpu/parallel.h"
#include "kernels/pool.h"

namespace deeplite::cpu::reference {

dl_status resample(const dl_resample* args);

namespace {

// f(input, weight) for each tap of output o; an axis without taps stays as it is.
template <class F>
void for_each_tap(const dl_taps& t, int64_t o, const F& f) {
    if (!t.begin) return f(o, 1.0);
    for (int64_t i = t.begin[o]; i < t.begin[o + 1]; ++i) f(t.at[i], t.weight[i]);
}

template <class T>
dl_status resample_of(const dl_resample& g) {
    const int64_t in = g.rows.in * g.columns.in, out = g.rows.out * g.columns.out;
    parallel_for(g.planes, 1, [&](int64_t begin, int64_t end) {
        for (int64_t plane = begin; plane < end; ++plane) {
            const T* x = static_cast<const T*>(g.x) + plane * in;
            T* y = static_cast<T*>(g.y) + plane * out;
            for (int64_t r = 0; r < g.rows.out; ++r)
                for (int64_t c = 0; c < g.columns.out; ++c) {
                    double sum = 0;
                    for_each_tap(g.rows, r, [&](int64_t i, double row_weight) {
                        for_each_tap(g.columns, c, [&](int64_t j, double weight) {
                            sum += row_weight * weight * double(x[i * g.columns.in + j]);
                        });
                    });
                    *y++ = T(sum);
                }
        }
    });
    return DL_OK;
}

}  // namespace

dl_status resample(const dl_resample* args) {
    if (args->dtype == DL_F32) return resample_of<float>(*args);
    if (args->dtype == DL_F64) return resample_of<double>(*args);
    return DL_UNSUPPORTED;
}

}  // namespace deeplite::cpu::reference
