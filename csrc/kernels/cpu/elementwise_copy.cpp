// Elementwise kernels: copies and conversions, fill, ranges, where.
#include "kernels/cpu/elementwise_rows.h"
#include "kernels/cpu/half_rows.h"
#include "kernels/cpu/parallel.h"

namespace deeplite::cpu::DL_ISA {
namespace {

template <class D, class S>
DL_INLINE D convert(S x) {
    if constexpr (kSame<D, Bf16>)
        return Bf16{float_to_bf16(float(x))};
    else if constexpr (kSame<D, F16>)
        return F16{float_to_f16(float(x))};
    else if constexpr (kIsBool<D>)
        return x != S(0);
    // Out of range is undefined in C for float to integer; by way of a wider integer it wraps.
    else if constexpr (kIsFloat<S> && sizeof(D) < 4)
        return D(int32_t(x));
    else
        return D(x);
}
template <class T>
constexpr bool kIsHalf = kSame<T, Bf16> || kSame<T, F16>;
template <class D, class S>
bool cast_row(char* const* d, int64_t n, const double*) {
    D* y = reinterpret_cast<D*>(d[0]);
    const S* x = reinterpret_cast<const S*>(d[1]);
    if constexpr (kSame<D, float> && kIsHalf<S>) {
        widen_row(y, x, n);
    } else if constexpr (kIsHalf<D> && kSame<S, float>) {
        round_row(y, x, n);
    } else {
#pragma omp simd
        for (int64_t i = 0; i < n; ++i) y[i] = convert<D>(widen(x[i]));
    }
    return true;
}

template <class D>
constexpr RowFn kCastTo[DL_DTYPE_COUNT] = {
    cast_row<D, float>,   cast_row<D, double>,  cast_row<D, Bf16>,    cast_row<D, F16>,
    cast_row<D, int64_t>, cast_row<D, int32_t>, cast_row<D, int16_t>, cast_row<D, int8_t>,
    cast_row<D, uint8_t>, cast_row<D, bool>};
constexpr const RowFn* kCast[DL_DTYPE_COUNT] = {
    kCastTo<float>,   kCastTo<double>,  kCastTo<Bf16>,   kCastTo<F16>,     kCastTo<int64_t>,
    kCastTo<int32_t>, kCastTo<int16_t>, kCastTo<int8_t>, kCastTo<uint8_t>, kCastTo<bool>};

template <class T>
DL_INLINE T fill_value(const double* p) {
    if constexpr (kIsFloat<T>)
        return T(p[0]);
    else if constexpr (kIsBool<T>)
        return p[0] != 0;
    else
        return T(int64_t(p[0]) + int64_t(p[1]));
}
template <class T>
bool fill_row(char* const* d, int64_t n, const double* params) {
    T* y = reinterpret_cast<T*>(d[0]);
    T v;
    if constexpr (kSame<T, Bf16>)
        v = Bf16{float_to_bf16(float(params[0]))};
    else if constexpr (kSame<T, F16>)
        v = F16{float_to_f16(float(params[0]))};
    else
        v = fill_value<T>(params);
    for (int64_t i = 0; i < n; ++i) y[i] = v;
    return true;
}
constexpr RowFn kFill[DL_DTYPE_COUNT] = {
    fill_row<float>,   fill_row<double>,  fill_row<Bf16>,   fill_row<F16>,     fill_row<int64_t>,
    fill_row<int32_t>, fill_row<int16_t>, fill_row<int8_t>, fill_row<uint8_t>, fill_row<bool>};
dl_status fill(const dl_iter* it, const double* params) {
    return run_rows(kFill[it->dtype[0]], it, params, kCheapGrain * 2, false);
}

dl_status copy(const dl_iter* it, const double* params) {
    const int out = it->dtype[0], in = it->dtype[1];
    if (out != in) return run_rows(kCast[out][in], it, params, kCheapGrain, false);
    if (!it->data[1]) {
        const double value[2] = {params[DL_MAP_PARAMS + 1], 0};
        return fill(it, value);
    }
    return move_elements(it);
}

// f(i) for i in [0, n) into a contiguous output
template <class T, class F>
void generate(const dl_iter* it, const F& f) {
    T* y = static_cast<T*>(it->data[0]);
    parallel_for(it->shape[0], kCheapGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) y[i] = T(f(i));
    });
}
bool is_flat(const dl_iter* it) {
    return it->ndim == 1 && (it->shape[0] <= 1 || it->strides[0][0] == element_size(it->dtype[0]));
}
template <class F, class G>
dl_status generate_any(const dl_iter* it, const F& real, const G& whole) {
    if (!is_flat(it)) return DL_UNSUPPORTED;
    switch (it->dtype[0]) {
        case DL_F32:
            return generate<float>(it, real), DL_OK;
        case DL_F64:
            return generate<double>(it, real), DL_OK;
        case DL_I64:
            return generate<int64_t>(it, whole), DL_OK;
        case DL_I32:
            return generate<int32_t>(it, whole), DL_OK;
        case DL_I16:
            return generate<int16_t>(it, whole), DL_OK;
        case DL_I8:
            return generate<int8_t>(it, whole), DL_OK;
        case DL_U8:
            return generate<uint8_t>(it, whole), DL_OK;
        default:
            return DL_UNSUPPORTED;
    }
}
dl_status arange(const dl_iter* it, const double* p) {
    const double start = p[0], step = p[1];
    const int64_t first = int64_t(start), by = int64_t(step);
    return generate_any(
        it, [=](int64_t i) { return start + double(i) * step; },
        [=](int64_t i) { return first + i * by; });
}
dl_status linspace(const dl_iter* it, const double* p) {
    const double start = p[0], end = p[1];
    const int64_t steps = int64_t(p[2]), half = steps / 2;
    const double step = steps > 1 ? (end - start) / double(steps - 1) : 0;
    // From both ends, so that both are exact.
    auto at = [=](int64_t i) {
        return i < half || steps == 1 ? start + step * double(i)
                                      : end - step * double(steps - 1 - i);
    };
    return generate_any(it, at, [=](int64_t i) { return int64_t(at(i)); });
}

template <class U>
bool where_row(char* const* d, int64_t n, const double*) {
    U* y = reinterpret_cast<U*>(d[0]);
    const uint8_t* c = reinterpret_cast<const uint8_t*>(d[1]);
    const U *a = reinterpret_cast<const U*>(d[2]), *b = reinterpret_cast<const U*>(d[3]);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) y[i] = c[i] ? a[i] : b[i];
    return true;
}
dl_status where(const dl_iter* it, const double* params) {
    switch (element_size(it->dtype[0])) {
        case 1:
            return run_rows(where_row<uint8_t>, it, params, kCheapGrain, false);
        case 2:
            return run_rows(where_row<uint16_t>, it, params, kCheapGrain, false);
        case 4:
            return run_rows(where_row<uint32_t>, it, params, kCheapGrain, false);
        default:
            return run_rows(where_row<uint64_t>, it, params, kCheapGrain, false);
    }
}

}  // namespace

RowFn conversion(int to, int from) { return kCast[to][from]; }

void add_elementwise_copy(dl_elementwise_table* table) {
    table->copy = copy;
    table->fill = fill;
    table->arange = arange;
    table->linspace = linspace;
    table->ternary[DL_TERNARY_WHERE] = where;
}

}  // namespace deeplite::cpu::DL_ISA
