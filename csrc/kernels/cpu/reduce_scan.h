// Running reductions along the middle axis of x [outer, n, inner]: a lane per column of the inner
// axis, rows of columns in tiles so that the running state stays in registers or the first cache.
#pragma once
#include <math.h>

#include "kernels/cpu/parallel.h"
#include "kernels/reduce.h"

namespace deeplite::cpu::reference {
const dl_reduce_table* reduce_table();  // serves the dtypes that have no fast kernel
}

namespace {

constexpr int64_t kScanTile = 64;

// f(first element of the column tile, width) for every tile, in parallel.
template <class F>
void for_each_tile(const dl_scan_args& args, const F& f) {
    int64_t tiles = (args.inner + kScanTile - 1) / kScanTile;
    int64_t width = args.inner < kScanTile ? args.inner : kScanTile;
    int64_t work = args.n * width > 0 ? args.n * width : 1;
    int64_t grain = 16 * 1024 / work > 0 ? 16 * 1024 / work : 1;
    parallel_for(args.outer * tiles, grain, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
            int64_t column = t % tiles * kScanTile;
            int64_t left = args.inner - column;
            f(t / tiles * args.n * args.inner + column, left < kScanTile ? left : kScanTile);
        }
    });
}

// A contiguous line of sums, in blocks of kChains stretches: each stretch is a chain of additions of
// its own, and what came before it is added to all of it at once.
template <class T, class Acc>
void sum_line(const T* x, T* y, int64_t n) {
    constexpr int kChains = 8, kStretch = 64;
    Acc before = Acc(0), local[kChains][kStretch];
    int64_t i = 0;
    for (; n - i >= kChains * kStretch; i += kChains * kStretch) {
        Acc sum[kChains] = {};
        for (int s = 0; s < kStretch; ++s)
#pragma GCC unroll 8
            for (int c = 0; c < kChains; ++c) local[c][s] = sum[c] += Acc(x[i + c * kStretch + s]);
        for (int c = 0; c < kChains; ++c) {
            for (int s = 0; s < kStretch; ++s) y[i + c * kStretch + s] = T(local[c][s] + before);
            before += sum[c];
        }
    }
    for (; i < n; ++i) y[i] = T(before += Acc(x[i]));
}
// Four lines in step: as many chains of multiplications.
template <class T, class Acc>
void product_lines(const T* x, T* y, int64_t n, int64_t lines) {
    constexpr int kChains = 4;
    for (; lines >= kChains; lines -= kChains, x += kChains * n, y += kChains * n) {
        Acc state[kChains] = {Acc(1), Acc(1), Acc(1), Acc(1)};
        for (int64_t i = 0; i < n; ++i)
#pragma GCC unroll 4
            for (int c = 0; c < kChains; ++c) y[c * n + i] = T(state[c] *= Acc(x[c * n + i]));
    }
    for (; lines > 0; --lines, x += n, y += n) {
        Acc state = Acc(1);
        for (int64_t i = 0; i < n; ++i) y[i] = T(state *= Acc(x[i]));
    }
}
template <class T, class Acc, bool kProduct>
void accumulate_lines(const dl_scan_args& args) {
    const T* in = static_cast<const T*>(args.in);
    T* out = static_cast<T*>(args.out);
    const int64_t n = args.n, grain = 16 * 1024 / (n + 1) / 4 * 4 + 4;
    parallel_for(args.outer, grain, [&](int64_t begin, int64_t end) {
        if (kProduct) return product_lines<T, Acc>(in + begin * n, out + begin * n, n, end - begin);
        for (int64_t r = begin; r < end; ++r) sum_line<T, Acc>(in + r * n, out + r * n, n);
    });
}

template <class T, class Acc, bool kProduct>
dl_status accumulate(const dl_scan_args& args) {
    const T* in = static_cast<const T*>(args.in);
    T* out = static_cast<T*>(args.out);
    if (args.inner == 1) return accumulate_lines<T, Acc, kProduct>(args), DL_OK;
    for_each_tile(args, [&](int64_t at, int64_t width) {
        Acc state[kScanTile];
        for (int64_t c = 0; c < width; ++c) state[c] = Acc(kProduct ? 1 : 0);
        for (int64_t i = 0; i < args.n; ++i, at += args.inner)
            for (int64_t c = 0; c < width; ++c) {
                state[c] = kProduct ? state[c] * Acc(in[at + c]) : state[c] + Acc(in[at + c]);
                out[at + c] = T(state[c]);
            }
    });
    return DL_OK;
}

template <bool kProduct>
dl_status scan_accumulate(const dl_scan_args* args) {
    switch (args->dtype) {
        case DL_F32:
            return accumulate<float, double, kProduct>(*args);
        case DL_F64:
            return accumulate<double, double, kProduct>(*args);
        case DL_I64:
            return accumulate<int64_t, uint64_t, kProduct>(*args);
    }
    return DL_UNSUPPORTED;
}
dl_status scan_sum(const dl_scan_args* args) { return scan_accumulate<false>(args); }
dl_status scan_prod(const dl_scan_args* args) { return scan_accumulate<true>(args); }

template <class T, bool kMax>
dl_status running_extreme(const dl_scan_args& args) {
    const T* in = static_cast<const T*>(args.in);
    T* out = static_cast<T*>(args.out);
    for_each_tile(args, [&](int64_t at, int64_t width) {
        T best[kScanTile];
        int64_t where[kScanTile];
        for (int64_t i = 0; i < args.n; ++i, at += args.inner)
            for (int64_t c = 0; c < width; ++c) {
                T x = in[at + c];
                // The last of equals, and a NaN stays: as torch answers.
                if (i == 0 || x != x || (kMax ? x >= best[c] : x <= best[c])) {
                    best[c] = x;
                    where[c] = i;
                }
                out[at + c] = best[c];
                args.indices[at + c] = where[c];
            }
    });
    return DL_OK;
}

template <bool kMax>
dl_status scan_extreme(const dl_scan_args* args) {
    switch (args->dtype) {
        case DL_F32:
            return running_extreme<float, kMax>(*args);
        case DL_F64:
            return running_extreme<double, kMax>(*args);
        case DL_I64:
            return running_extreme<int64_t, kMax>(*args);
        case DL_I32:
            return running_extreme<int32_t, kMax>(*args);
        case DL_I16:
            return running_extreme<int16_t, kMax>(*args);
        case DL_I8:
            return running_extreme<int8_t, kMax>(*args);
        case DL_U8:
        case DL_BOOL:
            return running_extreme<uint8_t, kMax>(*args);
    }
    return DL_UNSUPPORTED;
}

// The running value is top + log(sum), with top the running maximum.
template <class T>
dl_status running_logsumexp(const dl_scan_args& args) {
    const T* in = static_cast<const T*>(args.in);
    T* out = static_cast<T*>(args.out);
    for_each_tile(args, [&](int64_t at, int64_t width) {
        double top[kScanTile], sum[kScanTile];
        for (int64_t i = 0; i < args.n; ++i, at += args.inner)
            for (int64_t c = 0; c < width; ++c) {
                double x = double(in[at + c]);
                if (i == 0) {
                    top[c] = x;
                    sum[c] = 1.0;
                } else if (x == top[c]) {
                    sum[c] += 1.0;
                } else if (x > top[c] || x != x) {
                    sum[c] = 1.0 + sum[c] * exp(top[c] - x);
                    top[c] = x;
                } else {
                    sum[c] += exp(x - top[c]);
                }
                bool finite = top[c] - top[c] == 0.0;
                out[at + c] = T(finite ? top[c] + log(sum[c]) : top[c]);
            }
    });
    return DL_OK;
}
dl_status scan_logsumexp(const dl_scan_args* args) {
    if (args->dtype == DL_F32) return running_logsumexp<float>(*args);
    if (args->dtype == DL_F64) return running_logsumexp<double>(*args);
    return DL_UNSUPPORTED;
}

}  // namespace
