// Groups in sets that fill a vector, and the way from their planes to vectors of channels or
// filters, position by position, and back: squares of planes are transposed in registers.
#pragma once
#include "kernels/cpu/conv_sliding.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/transpose.h"

namespace {

#if DL_VEC_BYTES == 64 || (DL_VEC_BYTES == 32 && defined(__FMA__))
constexpr bool kGrouped = true;
#else
constexpr bool kGrouped = false;  // four lanes hold too few filters
#endif

// Lane i is filter (or channel) i of a vector; of two groups in turn, filter i / 2 of group i % 2.
struct GroupedSets {
    int64_t together, count;  // groups of a set, sets
    int64_t vectors;          // of filters of a set

    GroupedSets(int64_t groups, int64_t rows, int64_t lanes)
        : together(2 * rows <= lanes ? 2 : 1),
          count(gemm_div_up(groups, together)),
          vectors(together == 2 ? 1 : gemm_div_up(rows, lanes)),
          lanes(lanes) {}
    int64_t group(int64_t set, int64_t lane) const { return set * together + lane % together; }
    int64_t filter(int64_t vector, int64_t lane) const {
        return (vector * lanes + lane) / together;
    }
    // The plane of a lane, of groups of so many; -1 where there is none.
    int64_t plane(int64_t groups, int64_t rows, int64_t set, int64_t vector, int64_t lane) const {
        const int64_t g = group(set, lane), f = filter(vector, lane);
        return g < groups && f < rows ? g * rows + f : -1;
    }
    template <class T>
    int64_t plane(const Sliding<T>& s, int64_t set, int64_t vector, int64_t lane) const {
        return plane(s.groups, s.rows, set, vector, lane);
    }

 private:
    int64_t lanes;
};

// The planes of a vector of lanes. A lane that is not there has that of another: its results are
// not stored.
template <class T>
struct GroupedPlanes {
    static constexpr int N = Vec<T>::N;
    const T* at[N];

    GroupedPlanes(const GroupedSets& sets, int64_t groups, int64_t rows, int64_t set,
                  int64_t vector, const T* src, int64_t apart) {
        for (int i = 0; i < N; ++i) {
            const int64_t plane = sets.plane(groups, rows, set, vector, i);
            at[i] = plane < 0 ? src : src + plane * apart;
        }
    }
    // put(position, vector) for positions [0, count), from `first` on in the planes.
    template <class F>
    __attribute__((always_inline)) void turn(int64_t first, int64_t count, const F& put) const {
        for (int64_t p = 0; p < count; p += N) {
            const int64_t n = gemm_min(N, count - p);
            typename Vec<T>::type m[N];
            if (n == N) {
#pragma GCC unroll 16
                for (int i = 0; i < N; ++i) m[i] = vload(at[i] + first + p);
            } else {
                const LaneMask<T> mask = lane_mask<T>(0, n);
#pragma GCC unroll 16
                for (int i = 0; i < N; ++i) m[i] = vload_mask(at[i] + first + p, mask);
            }
            transpose_square(m);
            if (n == N) {
#pragma GCC unroll 16
                for (int i = 0; i < N; ++i) put(p + i, m[i]);
            } else {
#pragma GCC unroll 16
                for (int i = 0; i < N; ++i)
                    if (i < n) put(p + i, m[i]);
            }
        }
    }
};

// sums [position][lane] of a vector of filters -> their planes, finished.
template <class T>
struct GroupedPut {
    typedef typename Vec<T>::type vec;
    static constexpr int N = Vec<T>::N;
    const ConvFinish<T>& finish;
    int64_t planes[N];  // of the lanes; none: -1
    T* to[N];

    GroupedPut(const Sliding<T>& s, const GroupedSets& sets, int64_t set, int64_t vector, T* dst)
        : finish(s.finish) {
        for (int i = 0; i < N; ++i) {
            planes[i] = sets.plane(s, set, vector, i);
            to[i] = planes[i] < 0 ? nullptr : dst + planes[i] * s.dst_plane;
        }
    }
    // N * N elements more are read from sums.
    void put(const T* sums, int64_t positions) const {
        if (!finish.on || !finish.cuts())
            squares(sums, positions, [](vec r, int, T*, int64_t) { return r; });
        else
            squares(sums, positions, [&](vec r, int i, T* at, int64_t n) {
                return conv_cut(finish, r, planes[i], at, n);
            });
        for (int i = 0; i < N && finish.on && !finish.cuts(); ++i)
            if (to[i]) conv_finish_rows(finish, planes[i], to[i], 0, 1, positions);
    }

 private:
    template <class F>
    __attribute__((always_inline)) void squares(const T* sums, int64_t positions,
                                                const F& f) const {
        for (int64_t p = 0; p < positions; p += N, sums += N * N) {
            const int64_t n = gemm_min(N, positions - p);
            vec m[N];
#pragma GCC unroll 16
            for (int i = 0; i < N; ++i) m[i] = vload(sums + i * N);
            transpose_square(m);
#pragma GCC unroll 16
            for (int i = 0; i < N; ++i) {
                if (!to[i]) continue;
                const vec r = f(m[i], i, to[i] + p, n);
                if (n == N)
                    vstore(to[i] + p, r);
                else
                    vstore_n(to[i] + p, r, n);
            }
        }
    }
};

// p[0] ... p[P - 1] again and again.
template <class T, int P>
DL_INLINE typename Vec<T>::type vrepeat(const T* p) {
    if constexpr (P == 1) return vset1(p[0]);
#if DL_VEC_BYTES == 64 && defined(__AVX512F__)
    if constexpr (P == 2 && sizeof(T) == 4) {
        double pair;
        memcpy(&pair, p, sizeof pair);
        return (typename Vec<T>::type)_mm512_set1_pd(pair);
    }
#elif DL_VEC_BYTES == 32 && defined(__AVX2__)
    if constexpr (P == 2 && sizeof(T) == 4) {
        double pair;
        memcpy(&pair, p, sizeof pair);
        return (typename Vec<T>::type)_mm256_set1_pd(pair);
    }
#endif
    typename Vec<T>::type v;
    for (int i = 0; i < Vec<T>::N; ++i) v[i] = p[i % P];
    return v;
}

}  // namespace
