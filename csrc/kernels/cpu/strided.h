// Runs of elements moved from one stride to another: what gathers, scatters and copies are made of.
#pragma once
#include <string.h>

#include "kernels/cpu/simd.h"

namespace {

template <class W>
DL_INLINE void copy_ends(char* dst, const char* src, int64_t bytes) {
    W first, last;  // both loaded before either is stored
    memcpy(&first, src, sizeof(W));
    memcpy(&last, src + bytes - sizeof(W), sizeof(W));
    memcpy(dst, &first, sizeof(W));
    memcpy(dst + bytes - sizeof(W), &last, sizeof(W));
}
// memcpy for many short runs: no call, and no loop below a vector. Where lines of the cache do not begin
// with the run, 32 bytes at a time: of vectors of 64 nearly each would cross into the next line.
DL_INLINE void copy_bytes(char* dst, const char* src, int64_t bytes) {
    struct Piece {
        char bytes[32];
    };
    constexpr int64_t V = DL_VEC_BYTES, P = sizeof(Piece);
    if (bytes > 2048) {
        memcpy(dst, src, size_t(bytes));
    } else if (bytes > 2 * P) {
        int64_t i = 0;
        if ((reinterpret_cast<uintptr_t>(dst) | reinterpret_cast<uintptr_t>(src)) % 64 == 0)
            for (; i + V <= bytes; i += V) vstore<char>(dst + i, vload<char>(src + i));
        for (; i + P <= bytes; i += P) memcpy(dst + i, src + i, P);
        if (i < bytes) memcpy(dst + bytes - P, src + bytes - P, P);
    } else if (bytes >= P) {
        copy_ends<Piece>(dst, src, bytes);
    } else if (bytes >= 16) {
        struct Quarter {
            char bytes[16];
        };
        copy_ends<Quarter>(dst, src, bytes);
    } else if (bytes >= 8) {
        copy_ends<uint64_t>(dst, src, bytes);
    } else if (bytes >= 4) {
        copy_ends<uint32_t>(dst, src, bytes);
    } else if (bytes >= 2) {
        copy_ends<uint16_t>(dst, src, bytes);
    } else if (bytes == 1) {
        *dst = *src;
    }
}

// Constant strides are what makes the compiler vectorise these.
template <int S, class U>
DL_INLINE void take_strided(U* __restrict d, const U* __restrict s, int64_t n) {
    for (int64_t i = 0; i < n; ++i) d[i] = s[i * S];
}

// n elements from `src`, `stride` bytes apart, side by side to `dst`.
template <class U>
inline void gather_run(char* dst, const char* src, int64_t stride, int64_t n) {
    constexpr int64_t size = sizeof(U);
    U* d = reinterpret_cast<U*>(dst);
    const U* s = reinterpret_cast<const U*>(src);
    if (stride == size) {
        copy_bytes(dst, src, n * size);
    } else if (stride == 0) {
        const U v = *s;
        for (int64_t i = 0; i < n; ++i) d[i] = v;
    } else if (stride == 2 * size) {
        take_strided<2>(d, s, n);
    } else if (stride == 3 * size) {
        take_strided<3>(d, s, n);
    } else if (stride == 4 * size) {
        take_strided<4>(d, s, n);
    } else if (stride == -size) {
        take_strided<-1>(d, s, n);
    } else {
        for (int64_t i = 0; i < n; ++i) d[i] = *reinterpret_cast<const U*>(src + i * stride);
    }
}
// n elements side by side from `src` to `dst`, `stride` bytes apart.
template <class U>
inline void scatter_run(char* dst, int64_t stride, const char* src, int64_t n) {
    const U* s = reinterpret_cast<const U*>(src);
    if (stride == int64_t(sizeof(U)))
        copy_bytes(dst, src, n * int64_t(sizeof(U)));
    else
        for (int64_t i = 0; i < n; ++i) *reinterpret_cast<U*>(dst + i * stride) = s[i];
}
template <class U>
inline void move_run(char* dst, int64_t to, const char* src, int64_t from, int64_t n) {
    if (to == int64_t(sizeof(U)))
        gather_run<U>(dst, src, from, n);
    else if (from == int64_t(sizeof(U)))
        scatter_run<U>(dst, to, src, n);
    else
        for (int64_t i = 0; i < n; ++i)
            *reinterpret_cast<U*>(dst + i * to) = *reinterpret_cast<const U*>(src + i * from);
}

}  // namespace
