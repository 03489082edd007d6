// What the index kernels and their reference twins share: dispatch over dtypes, sort keys, walking
// a strided iteration. Internal linkage throughout: every instruction set gets its own copy.
#pragma once
#include <stdint.h>
#include <string.h>

#include "kernels/index.h"

namespace {

template <class T>
struct Tag {
    typedef T type;
};

inline int64_t element_size(int dtype) {
    switch (dtype) {
        case DL_F64:
        case DL_I64:
            return 8;
        case DL_F32:
        case DL_I32:
            return 4;
        case DL_BF16:
        case DL_F16:
        case DL_I16:
            return 2;
        default:
            return 1;
    }
}

// f(Tag<unsigned type of that width>{}): for kernels that only move elements.
template <class F>
dl_status by_width(int dtype, const F& f) {
    if (dtype < 0 || dtype >= DL_DTYPE_COUNT) return DL_UNSUPPORTED;
    switch (element_size(dtype)) {
        case 8:
            return f(Tag<uint64_t>{});
        case 4:
            return f(Tag<uint32_t>{});
        case 2:
            return f(Tag<uint16_t>{});
        default:
            return f(Tag<uint8_t>{});
    }
}

// f(Tag<arithmetic type>{}); half dtypes have none.
template <class F>
dl_status by_number(int dtype, const F& f) {
    switch (dtype) {
        case DL_F32:
            return f(Tag<float>{});
        case DL_F64:
            return f(Tag<double>{});
        case DL_I64:
            return f(Tag<int64_t>{});
        case DL_I32:
            return f(Tag<int32_t>{});
        case DL_I16:
            return f(Tag<int16_t>{});
        case DL_I8:
            return f(Tag<int8_t>{});
        case DL_U8:
            return f(Tag<uint8_t>{});
        case DL_BOOL:
            return f(Tag<bool>{});
        default:
            return DL_UNSUPPORTED;
    }
}

// Keys: unsigned integers in the order of the values; equal values have equal keys, NaN the
// greatest.
template <class K>
inline K float_key(K bits, K infinity) {
    const K sign = K(K(1) << (8 * sizeof(K) - 1));
    const K magnitude = K(bits & K(~sign));
    if (magnitude > infinity) return K(~K(0));  // NaN
    if (magnitude == 0) return sign;            // -0 and 0
    return (bits & sign) ? K(~bits) : K(bits | sign);
}
template <class K>
inline K signed_key(K bits) {
    return K(bits ^ K(K(1) << (8 * sizeof(K) - 1)));
}

template <int dtype>
struct SortKey;
template <>
struct SortKey<DL_F32> {
    typedef uint32_t type;
    static constexpr bool has_nan = true;
    static type of(type bits) { return float_key<type>(bits, 0x7f800000u); }
};
template <>
struct SortKey<DL_F64> {
    typedef uint64_t type;
    static constexpr bool has_nan = true;
    static type of(type bits) { return float_key<type>(bits, 0x7ff0000000000000ull); }
};
template <>
struct SortKey<DL_BF16> {
    typedef uint16_t type;
    static constexpr bool has_nan = true;
    static type of(type bits) { return float_key<type>(bits, 0x7f80); }
};
template <>
struct SortKey<DL_F16> {
    typedef uint16_t type;
    static constexpr bool has_nan = true;
    static type of(type bits) { return float_key<type>(bits, 0x7c00); }
};
template <>
struct SortKey<DL_I64> {
    typedef uint64_t type;
    static constexpr bool has_nan = false;
    static type of(type bits) { return signed_key<type>(bits); }
};
template <>
struct SortKey<DL_I32> {
    typedef uint32_t type;
    static constexpr bool has_nan = false;
    static type of(type bits) { return signed_key<type>(bits); }
};
template <>
struct SortKey<DL_I16> {
    typedef uint16_t type;
    static constexpr bool has_nan = false;
    static type of(type bits) { return signed_key<type>(bits); }
};
template <>
struct SortKey<DL_I8> {
    typedef uint8_t type;
    static constexpr bool has_nan = false;
    static type of(type bits) { return signed_key<type>(bits); }
};
template <>
struct SortKey<DL_U8> {
    typedef uint8_t type;
    static constexpr bool has_nan = false;
    static type of(type bits) { return bits; }
};
template <>
struct SortKey<DL_BOOL> {
    typedef uint8_t type;
    static constexpr bool has_nan = false;
    static type of(type bits) { return bits; }
};

template <class F>
dl_status by_sort_key(int dtype, const F& f) {
    switch (dtype) {
        case DL_F32:
            return f(SortKey<DL_F32>{});
        case DL_F64:
            return f(SortKey<DL_F64>{});
        case DL_BF16:
            return f(SortKey<DL_BF16>{});
        case DL_F16:
            return f(SortKey<DL_F16>{});
        case DL_I64:
            return f(SortKey<DL_I64>{});
        case DL_I32:
            return f(SortKey<DL_I32>{});
        case DL_I16:
            return f(SortKey<DL_I16>{});
        case DL_I8:
            return f(SortKey<DL_I8>{});
        case DL_U8:
            return f(SortKey<DL_U8>{});
        case DL_BOOL:
            return f(SortKey<DL_BOOL>{});
        default:
            return DL_UNSUPPORTED;
    }
}

// a op b, as scatter does it. Integers wrap around; bool: sum is or, prod is and.
template <int op, class T>
inline T combine(T a, T b) {
    if constexpr (op == DL_SCATTER_SET) {
        return b;
    } else if constexpr (op == DL_SCATTER_AMAX) {
        return (b > a || b != b) ? b : a;
    } else if constexpr (op == DL_SCATTER_AMIN) {
        return (b < a || b != b) ? b : a;
    } else if constexpr (T(0.5) != T(0) && T(0.5) != T(1)) {  // floating point
        return op == DL_SCATTER_SUM ? a + b : a * b;
    } else if constexpr (T(2) == T(1)) {  // bool
        return op == DL_SCATTER_SUM ? (a || b) : (a && b);
    } else {
        return op == DL_SCATTER_SUM ? T(uint64_t(a) + uint64_t(b)) : T(uint64_t(a) * uint64_t(b));
    }
}

// The neutral element of op: the start when what stood there does not take part.
template <int op, class T>
inline T neutral() {
    if constexpr (op == DL_SCATTER_PROD) return T(1);
    if constexpr (op == DL_SCATTER_AMAX || op == DL_SCATTER_AMIN) {
        const bool max = op == DL_SCATTER_AMAX;
        if constexpr (T(0.5) != T(0) && T(0.5) != T(1))
            return max ? T(-__builtin_inf()) : T(__builtin_inf());
        const bool is_signed = T(-1) < T(0);
        if (T(2) == T(1)) return T(!max);
        if (!is_signed) return max ? T(0) : T(~uint64_t(0));
        const uint64_t low = uint64_t(1) << (8 * sizeof(T) - 1);
        return max ? T(low) : T(low - 1);
    }
    return T(0);
}

// f(IntTag<op>{}) with the op as a constant.
template <int v>
struct IntTag {
    static constexpr int value = v;
};
template <class F>
dl_status by_scatter_op(int op, const F& f) {
    switch (op) {
        case DL_SCATTER_SET:
            return f(IntTag<DL_SCATTER_SET>{});
        case DL_SCATTER_SUM:
            return f(IntTag<DL_SCATTER_SUM>{});
        case DL_SCATTER_PROD:
            return f(IntTag<DL_SCATTER_PROD>{});
        case DL_SCATTER_AMAX:
            return f(IntTag<DL_SCATTER_AMAX>{});
        case DL_SCATTER_AMIN:
            return f(IntTag<DL_SCATTER_AMIN>{});
        default:
            return DL_UNSUPPORTED;
    }
}

// Product of the sizes of dimensions [from, ndim) of an iteration.
inline int64_t iter_count(const dl_iter& it, int from = 0) {
    int64_t n = 1;
    for (int d = from; d < it.ndim; ++d) n *= it.shape[d];
    return n;
}

// Byte offset of operand `o` at the place number `flat` of dimensions [from, ndim).
inline int64_t iter_offset(const dl_iter& it, int o, int64_t flat, int from = 0) {
    int64_t offset = 0;
    for (int d = from; d < it.ndim; ++d) {
        offset += (flat % it.shape[d]) * it.strides[o][d];
        flat /= it.shape[d];
    }
    return offset;
}

// index, wrapped; or -1 when it is bad.
inline int64_t checked(int64_t index, int64_t size, bool wrap) {
    if (wrap && index < 0) index += size;
    return index >= 0 && index < size ? index : -1;
}

}  // namespace
