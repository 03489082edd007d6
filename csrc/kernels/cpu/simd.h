// A thin layer over the compiler's vector extensions. Every kernel file that includes it is compiled
// once per instruction set with DL_ISA set to reference, baseline, avx2 or avx512 (aarch64: neon), and
// everything here has internal linkage, so nothing compiled for one set can leak into another.
//
// A vector holds DL_VEC_BYTES bytes of T; Vec<float>::N lanes. Arithmetic and comparison operators are
// the compiler's own (+ - * / < == & | ~ and c ? a : b), a comparison gives a mask of same-sized ints.
#pragma once
#include <stdint.h>
#include <string.h>

#define DL_CONCAT_(a, b) a##b
#define DL_CONCAT(a, b) DL_CONCAT_(a, b)

#ifndef DL_VEC_BYTES
#if defined(__AVX512F__)
#define DL_VEC_BYTES 64
#elif defined(__AVX2__)
#define DL_VEC_BYTES 32
#else
#define DL_VEC_BYTES 16
#endif
#endif

#define DL_INLINE static inline __attribute__((always_inline))

namespace {

template <class T>
struct Vec {
    static constexpr int N = DL_VEC_BYTES / int(sizeof(T));
    typedef T type __attribute__((vector_size(DL_VEC_BYTES)));
    typedef T unaligned __attribute__((vector_size(DL_VEC_BYTES), aligned(1), may_alias));
};
typedef Vec<float>::type vf32;
typedef Vec<double>::type vf64;
typedef Vec<int32_t>::type vi32;
typedef Vec<int64_t>::type vi64;
typedef Vec<uint32_t>::type vu32;
typedef Vec<uint64_t>::type vu64;

template <class T>
DL_INLINE typename Vec<T>::type vload(const T* p) {
    return *reinterpret_cast<const typename Vec<T>::unaligned*>(p);
}
template <class T>
DL_INLINE void vstore(T* p, typename Vec<T>::type v) {
    *reinterpret_cast<typename Vec<T>::unaligned*>(p) = v;
}
template <class T>
DL_INLINE typename Vec<T>::type vset1(T x) {
    return x - typename Vec<T>::type{};  // broadcast; x - 0 keeps the sign of -0.0
}
// The first n lanes from memory, the rest `fill`; and the first n lanes to memory. 0 <= n <= N.
template <class T>
DL_INLINE typename Vec<T>::type vload_n(const T* p, int64_t n, T fill = T(0)) {
    typename Vec<T>::type v = vset1<T>(fill);
    memcpy(&v, p, size_t(n) * sizeof(T));
    return v;
}
template <class T>
DL_INLINE void vstore_n(T* p, typename Vec<T>::type v, int64_t n) {
    memcpy(p, &v, size_t(n) * sizeof(T));
}
// max/min as the hardware does them: (a > b ? a : b), so a NaN in `a` gives b.
template <class V>
DL_INLINE V vmax(V a, V b) {
    return a > b ? a : b;
}
template <class V>
DL_INLINE V vmin(V a, V b) {
    return a < b ? a : b;
}
// Sum of the lanes, pairwise, in a fixed order.
template <class T>
DL_INLINE T vreduce_add(typename Vec<T>::type v) {
    T lanes[Vec<T>::N];
    memcpy(lanes, &v, sizeof v);
    for (int w = Vec<T>::N / 2; w > 0; w /= 2)
        for (int i = 0; i < w; ++i) lanes[i] += lanes[i + w];
    return lanes[0];
}

}  // namespace
