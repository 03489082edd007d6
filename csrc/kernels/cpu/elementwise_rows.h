// From a formula to a kernel: a row function works on contiguous memory, run_rows() brings any layout
// to it, and Fast::unary<Op> and its like are the table's entries.
#pragma once
#include "kernels/cpu/elementwise_formulas.h"
#include "kernels/cpu/half.h"
#include "kernels/cpu/parallel.h"
#include "kernels/elementwise.h"

namespace deeplite::cpu::DL_ISA {

// n elements of each operand, contiguous: output first. False: a zero divisor was met.
typedef bool (*RowFn)(char* const* operands, int64_t n, const double* params);

// Runs `fn` over the iteration space: in place where an operand is contiguous along the inner
// dimension, else through tiles that are gathered before and scattered after. Half operands reach `fn`
// as float32, by way of tiles too, if `fn` computes (and does not move them as they are). `grain`:
// elements that are worth a thread.
dl_status run_rows(RowFn fn, const dl_iter* it, const double* params, int64_t grain,
                   bool computes = true);

// Converts n elements, d[1] to d[0].
RowFn conversion(int to, int from);

// Copies operand 1 to operand 0, both of one dtype and in memory.
dl_status move_elements(const dl_iter* it);

// Operand k, a single element (in memory or in params), n times over.
void spread_operand(const dl_iter* it, int k, const double* params, char* out, int64_t n);

// The families' parts, each in a file of its own so that they compile side by side.
void add_elementwise_unary(dl_elementwise_table* table);
void add_elementwise_math(dl_elementwise_table* table);
void add_elementwise_activations(dl_elementwise_table* table);
void add_elementwise_arithmetic(dl_elementwise_table* table);
void add_elementwise_logic(dl_elementwise_table* table);
void add_elementwise_copy(dl_elementwise_table* table);

}  // namespace deeplite::cpu::DL_ISA

namespace {
using namespace deeplite::cpu::DL_ISA;

constexpr int64_t kCheapGrain = 32768, kHeavyGrain = 8192;

inline bool is_half(int dtype) { return dtype == DL_BF16 || dtype == DL_F16; }
inline int64_t element_size(int dtype) {
    const unsigned char sizes[DL_DTYPE_COUNT] = {4, 8, 2, 2, 8, 4, 2, 1, 1, 1};
    return sizes[dtype];
}

template <class Op, class V>
DL_INLINE Par<V> load_params(const double* p) {
    typedef T_<V> T;
    Par<V> r = {};
    if constexpr (Op::params >= 1) r.a = T(p[0]);
    if constexpr (Op::params >= 2) r.b = T(p[1]);
    if constexpr (Op::params >= 3) r.c = T(p[2]);
    return r;
}
template <class Op, class T>
constexpr bool kVectors =
    (kSame<T, float> && (Op::vec & kF32)) || (kSame<T, double> && (Op::vec & kF64));
template <class Op, class T>
constexpr bool kServes = (Op::on & (kIsFloat<T>  ? kFloat
                                    : kIsBool<T> ? kBool
                                                 : kInt)) != 0;
template <bool test, class T>
struct ResultOf {
    typedef T type;
};
template <class T>
struct ResultOf<true, T> {
    typedef bool type;
};
template <class Op, class T>
using Result = typename ResultOf<Op::test, T>::type;

template <class Op, class T>
bool unary_row(char* const* d, int64_t n, const double* params) {
    const T* x = reinterpret_cast<const T*>(d[1]);
    if constexpr (kVectors<Op, T>) {
        typedef typename Vec<T>::type V;
        T* y = reinterpret_cast<T*>(d[0]);
        const Par<V> p = load_params<Op, V>(params);
        for (int64_t i = 0; i < n; i += Vec<T>::N) {
            if (i + Vec<T>::N <= n)
                vstore(y + i, Op::eval(vload(x + i), p));
            else
                vstore_n(y + i, Op::eval(vload_n(x + i, n - i, T(1)), p), n - i);
        }
    } else {
        Result<Op, T>* y = reinterpret_cast<Result<Op, T>*>(d[0]);
        const Par<T> p = load_params<Op, T>(params);
#pragma omp simd
        for (int64_t i = 0; i < n; ++i) y[i] = Op::eval(x[i], p);
    }
    return true;
}

template <class Op, class T>
bool binary_row(char* const* d, int64_t n, const double* params) {
    const T *a = reinterpret_cast<const T*>(d[1]), *b = reinterpret_cast<const T*>(d[2]);
    if constexpr (kVectors<Op, T>) {
        typedef typename Vec<T>::type V;
        T* y = reinterpret_cast<T*>(d[0]);
        const Par<V> p = load_params<Op, V>(params);
        for (int64_t i = 0; i < n; i += Vec<T>::N) {
            if (i + Vec<T>::N <= n)
                vstore(y + i, Op::eval(vload(a + i), vload(b + i), p));
            else
                vstore_n(y + i,
                         Op::eval(vload_n(a + i, n - i, T(1)), vload_n(b + i, n - i, T(1)), p),
                         n - i);
        }
    } else if constexpr (Op::divides && !kIsFloat<T>) {
        T* y = reinterpret_cast<T*>(d[0]);
        bool zero = false;
        for (int64_t i = 0; i < n; ++i) {
            zero |= b[i] == 0;
            y[i] = Op::eval(a[i], b[i] == 0 ? T(1) : b[i], Par<T>{});
        }
        return !zero;
    } else {
        Result<Op, T>* y = reinterpret_cast<Result<Op, T>*>(d[0]);
        const Par<T> p = load_params<Op, T>(params);
#pragma omp simd
        for (int64_t i = 0; i < n; ++i) y[i] = Op::eval(a[i], b[i], p);
    }
    return true;
}

template <class Op, class T>
bool ternary_row(char* const* d, int64_t n, const double* params) {
    const T *a = reinterpret_cast<const T*>(d[1]), *b = reinterpret_cast<const T*>(d[2]),
            *c = reinterpret_cast<const T*>(d[3]);
    T* y = reinterpret_cast<T*>(d[0]);
    const Par<T> p = load_params<Op, T>(params);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = Op::eval(a[i], b[i], c[i], p);
    return true;
}

struct UnaryRows {
    template <class Op, class T>
    static constexpr RowFn row = unary_row<Op, T>;
};
struct BinaryRows {
    template <class Op, class T>
    static constexpr RowFn row = binary_row<Op, T>;
};
struct TernaryRows {
    template <class Op, class T>
    static constexpr RowFn row = ternary_row<Op, T>;
};
template <class Rows, class Op, class T>
constexpr RowFn row_or_null() {
    if constexpr (kServes<Op, T>)
        return Rows::template row<Op, T>;
    else
        return nullptr;
}
template <class Rows, class Op>
constexpr RowFn kRows[DL_DTYPE_COUNT] = {row_or_null<Rows, Op, float>(),
                                         row_or_null<Rows, Op, double>(),
                                         nullptr,
                                         nullptr,
                                         row_or_null<Rows, Op, int64_t>(),
                                         row_or_null<Rows, Op, int32_t>(),
                                         row_or_null<Rows, Op, int16_t>(),
                                         row_or_null<Rows, Op, int8_t>(),
                                         row_or_null<Rows, Op, uint8_t>(),
                                         row_or_null<Rows, Op, bool>()};

// The common cases, small and contiguous or a single element, go straight to the row function.
template <int operands>
inline dl_status start_rows(const RowFn* rows, const dl_iter* it, const double* params,
                            int64_t grain) {
    constexpr int64_t kFew = 64;
    const int dtype = it->dtype[1];
    bool half = false;
    for (int k = 0; k < operands; ++k) half |= is_half(it->dtype[k]);
    RowFn fn = rows[half ? int(DL_F32) : dtype];
    if (!fn) return DL_UNSUPPORTED;
    if (half) return run_rows(fn, it, params, grain);
    const int64_t n = it->shape[0], size = element_size(dtype);
    bool direct = it->ndim == 1 && n <= grain && it->strides[0][0] == element_size(it->dtype[0]);
    char* d[operands];
    alignas(64) char few[operands][kFew * 8];
    d[0] = static_cast<char*>(it->data[0]);
    for (int k = 1; k < operands; ++k) {
        d[k] = static_cast<char*>(it->data[k]);
        if (it->strides[k][0] == size && d[k]) continue;
        if (!direct || n > kFew || it->strides[k][0] != 0) return run_rows(fn, it, params, grain);
        spread_operand(it, k, params, few[k], n);
        d[k] = few[k];
    }
    if (!direct) return run_rows(fn, it, params, grain);
    bool good = true;
    parallel_for(n, grain, [&](int64_t, int64_t) { good = fn(d, n, params); });
    return good ? DL_OK : DL_BAD_INDEX;
}

struct Fast {
    template <class Op>
    static dl_status unary(const dl_iter* it, const double* params) {
        return start_rows<2>(kRows<UnaryRows, Op>, it, params,
                             Op::heavy ? kHeavyGrain : kCheapGrain);
    }
    template <class Op>
    static dl_status binary(const dl_iter* it, const double* params) {
        return start_rows<3>(kRows<BinaryRows, Op>, it, params,
                             Op::heavy ? kHeavyGrain : kCheapGrain);
    }
    // a op alpha * b: the common alpha = 1 has rows of its own
    template <class One, class Alpha>
    static dl_status scaled(const dl_iter* it, const double* params) {
        const RowFn* rows = params[0] == 1 ? kRows<BinaryRows, One> : kRows<BinaryRows, Alpha>;
        return start_rows<3>(rows, it, params, kCheapGrain);
    }
    template <class Op>
    static dl_status ternary(const dl_iter* it, const double* params) {
        return start_rows<4>(kRows<TernaryRows, Op>, it, params, kCheapGrain);
    }
};

}  // namespace
