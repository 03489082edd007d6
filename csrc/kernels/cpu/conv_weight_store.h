// Sums of a gradient of weights, [row][lane], put into their places in dw.
#pragma once
#include "kernels/cpu/gemm_tile.h"
#include "kernels/cpu/lanes.h"

namespace {

template <class T>
struct WeightSums {
    const T* sums;
    int64_t ld, rows, lanes;
    int64_t parts = 1, apart = 0;  // added in order, `apart` elements apart
    bool add = false;              // to what is in dw

    typename Vec<T>::type at(int64_t row, int64_t lane) const {
        const T* from = sums + row * ld + lane;
        typename Vec<T>::type v = vload(from);
        for (int64_t i = 1; i < parts; ++i) v += vload(from + i * apart);
        return v;
    }

    // -> dw [row][lane], rows to_ld apart
    void store(T* dw, int64_t to_ld) const {
        for (int64_t r = 0; r < rows; ++r)
            for (int64_t l = 0; l < lanes; l += Vec<T>::N)
                put(dw + r * to_ld + l, at(r, l), lanes - l);
    }
    // -> dw [lane][row], lanes to_ld apart
    void store_turned(T* dw, int64_t to_ld) const {
        constexpr int N = Vec<T>::N;
        for (int64_t l = 0; l < lanes; l += N)
            for (int64_t r = 0; r < rows; r += N) {
                typename Vec<T>::type v[N];
#pragma GCC unroll 16
                for (int i = 0; i < N; ++i) v[i] = at(gemm_min(r + i, rows - 1), l);
                vtranspose<T>(v);
                for (int64_t i = 0; i < gemm_min(N, lanes - l); ++i)
                    put(dw + (l + i) * to_ld + r, v[i], rows - r);
            }
    }

 private:
    void put(T* to, typename Vec<T>::type v, int64_t n) const {
        n = gemm_min(n, Vec<T>::N);
        if (add) v += vload_n(to, n);
        n == Vec<T>::N ? vstore(to, v) : vstore_n(to, v, n);
    }
};

}  // namespace
