// From a formula to a kernel: a row function works on contiguous memory, run_rows() brings any layout
// to it, and Fast::unary<Op> and its like are the table's entries.
#pragma once
#include "kernels/cpu/elementwise_formulas.h"
#include "kernels/cpu/half_rows.h"
#include "kernels/cpu/parallel.h"
#include "kernels/elementwise.h"

namespace deeplite::cpu::DL_ISA {

// n elements of each operand, contiguous: output first. False: a zero divisor was met.
typedef bool (*RowFn)(char* const* operands, int64_t n, const double* params);

// Runs `fn` over the iteration space: in place where an operand is contiguous along the inner
// dimension, else through tiles that are gathered before and scattered after. Half operands reach `fn`
// as float32, by way of tiles too, if `fn` computes (and does not move them as they are). `grain`:
// elements that are worth a thread. `number`, if there is one, is `fn` for a last operand that is a
// single element in each row (of a call): it need not be written out to the length of the others.
dl_status run_rows(RowFn fn, const dl_iter* it, const double* params, int64_t grain,
                   bool computes = true, RowFn number = nullptr);

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

// Halves widened and rounded in registers, where `eval` takes vectors. An op may have a shorter formula
// (`brief`) that is exact enough for bfloat16.
template <class Op, class H>
bool half_row(char* const* d, int64_t n, const double* params) {
    constexpr int64_t N = Vec<float>::N;
    const H* x = reinterpret_cast<const H*>(d[1]);
    H* y = reinterpret_cast<H*>(d[0]);
    const Par<vf32> p = load_params<Op, vf32>(params);
    constexpr bool brief = kIsBf16<H> && requires { Op::brief(vf32{}); };
    const auto eval = [&](vf32 v) __attribute__((always_inline)) {
        if constexpr (brief)
            return Op::brief(v);
        else
            return vf32(Op::eval(v, p));
    };
    int64_t i = 0;
    for (; i + 2 * N <= n; i += 2 * N)
        vstore_two<!brief>(y + i, eval(vload(x + i)), eval(vload(x + i + N)));
    for (; i + N <= n; i += N) vstore(y + i, eval(vload(x + i)));
    if (i < n) {
        H room[N] = {}, *const rest = room;
        memcpy(rest, x + i, size_t(n - i) * sizeof(H));
        vstore(rest, eval(vload(static_cast<const H*>(rest))));
        memcpy(y + i, rest, size_t(n - i) * sizeof(H));
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

// The second operand is one element.
template <class Op, class T>
bool number_row(char* const* d, int64_t n, const double* params) {
    const T *a = reinterpret_cast<const T*>(d[1]), b = *reinterpret_cast<const T*>(d[2]);
    Result<Op, T>* y = reinterpret_cast<Result<Op, T>*>(d[0]);
    const Par<T> p = load_params<Op, T>(params);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = Op::eval(a[i], b, p);
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
    template <class Op, class H>
    static constexpr RowFn half() {
        if constexpr (kVectors<Op, float> && !Op::test)
            return half_row<Op, H>;
        else
            return nullptr;
    }
};
struct BinaryRows {
    template <class Op, class T>
    static constexpr RowFn row = binary_row<Op, T>;
    template <class Op, class H>
    static constexpr RowFn half() {
        return nullptr;
    }
};
struct TernaryRows {
    template <class Op, class T>
    static constexpr RowFn row = ternary_row<Op, T>;
    template <class Op, class H>
    static constexpr RowFn half() {
        return nullptr;
    }
};
template <class Rows, class Op, class T>
constexpr RowFn row_or_null() {
    if constexpr (kServes<Op, T>)
        return Rows::template row<Op, T>;
    else
        return nullptr;
}
template <class Rows, class Op>
constexpr RowFn kRows[DL_DTYPE_COUNT] = {
    row_or_null<Rows, Op, float>(),   row_or_null<Rows, Op, double>(),
    Rows::template half<Op, Bf16>(),  Rows::template half<Op, F16>(),
    row_or_null<Rows, Op, int64_t>(), row_or_null<Rows, Op, int32_t>(),
    row_or_null<Rows, Op, int16_t>(), row_or_null<Rows, Op, int8_t>(),
    row_or_null<Rows, Op, uint8_t>(), row_or_null<Rows, Op, bool>()};

// Where much is computed for each element, reading the number again for each of them costs nothing.
template <class Op, class T>
constexpr RowFn number_or_null() {
    if constexpr (kServes<Op, T> && !Op::heavy && !Op::divides)
        return number_row<Op, T>;
    else
        return nullptr;
}
template <class Op>
constexpr RowFn kNumberRows[DL_DTYPE_COUNT] = {
    number_or_null<Op, float>(),   number_or_null<Op, double>(), nullptr, nullptr,
    number_or_null<Op, int64_t>(), number_or_null<Op, int32_t>()};

// The common cases, small and contiguous or a single element, go straight to the row function.
// `numbers`: rows for a last operand of one element, or null.
template <int operands>
inline dl_status start_rows(const RowFn* rows, const RowFn* numbers, const dl_iter* it,
                            const double* params, int64_t grain) {
    constexpr int64_t kFew = 64;
    const int dtype = it->dtype[1];
    bool half = false;
    for (int k = 0; k < operands; ++k) half |= is_half(it->dtype[k]);
    if (operands == 2 && half && it->dtype[0] == dtype && rows[dtype])
        return run_rows(rows[dtype], it, params, grain, false);
    const int computed = half ? int(DL_F32) : dtype;
    RowFn fn = rows[computed], number = numbers ? numbers[computed] : nullptr;
    if (!fn) return DL_UNSUPPORTED;
    if (half) return run_rows(fn, it, params, grain, true, number);
    const int64_t n = it->shape[0], size = element_size(dtype);
    bool direct = it->ndim == 1 && n <= grain && it->strides[0][0] == element_size(it->dtype[0]);
    char* d[operands];
    alignas(64) char few[operands][kFew * 8];
    d[0] = static_cast<char*>(it->data[0]);
    for (int k = 1; k < operands; ++k) {
        d[k] = static_cast<char*>(it->data[k]);
        if (it->strides[k][0] == size && d[k]) continue;
        const bool once = k == operands - 1 && number;
        if (!direct || (n > kFew && !once) || it->strides[k][0] != 0)
            return run_rows(fn, it, params, grain, true, number);
        spread_operand(it, k, params, few[k], once ? 1 : n);
        if (once) fn = number;
        d[k] = few[k];
    }
    if (!direct) return run_rows(fn, it, params, grain, true, number);
    bool good = true;
    parallel_for(n, grain, [&](int64_t, int64_t) { good = fn(d, n, params); });
    return good ? DL_OK : DL_BAD_INDEX;
}

struct Fast {
    template <class Op>
    static dl_status unary(const dl_iter* it, const double* params) {
        return start_rows<2>(kRows<UnaryRows, Op>, nullptr, it, params,
                             Op::heavy ? kHeavyGrain : kCheapGrain);
    }
    template <class Op>
    static dl_status binary(const dl_iter* it, const double* params) {
        return start_rows<3>(kRows<BinaryRows, Op>, kNumberRows<Op>, it, params,
                             Op::heavy ? kHeavyGrain : kCheapGrain);
    }
    // a op alpha * b: the common alpha = 1 has rows of its own
    template <class One, class Alpha>
    static dl_status scaled(const dl_iter* it, const double* params) {
        const bool one = params[0] == 1;
        const RowFn* rows = one ? kRows<BinaryRows, One> : kRows<BinaryRows, Alpha>;
        return start_rows<3>(rows, one ? kNumberRows<One> : kNumberRows<Alpha>, it, params,
                             kCheapGrain);
    }
    template <class Op>
    static dl_status ternary(const dl_iter* it, const double* params) {
        return start_rows<4>(kRows<TernaryRows, Op>, nullptr, it, params, kCheapGrain);
    }
};

}  // namespace
