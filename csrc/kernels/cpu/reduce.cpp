// The reduce family: picks the op of reduce_ops.h for each kind of reduction and dtype.
#include "kernels/cpu/reduce_ops.h"
#include "kernels/cpu/reduce_scan.h"

namespace deeplite::cpu::DL_ISA {
namespace {

// Rare dtypes are left to the plain kernels: they would only make the library larger.
dl_status plain(dl_reduce_op op, const dl_reduce_args* args) {
    return reference::reduce_table()->reduce[op](args);
}

// An op of float32 serves halves too: they are widened on the way.
template <class Op>
dl_status reduce(const Op& op, const dl_reduce_args& args) {
    typedef typename Op::in_t T;
    if constexpr (sizeof(T) == sizeof(float) && T(0.5) != T(0)) {
        if (args.dtype_in == DL_BF16) return reduce_with(OfHalves<Op, Bf16>(op), args);
        if (args.dtype_in == DL_F16) return reduce_with(OfHalves<Op, F16>(op), args);
    }
    return reduce_with(op, args);
}
bool single(int32_t dtype) { return dtype == DL_F32 || dtype == DL_BF16 || dtype == DL_F16; }

template <class T, class Map, class In>
dl_status sum_from(const dl_reduce_args& args, SumResult result) {
    FloatSum<T, Map, In> op;
    op.result = result;
    for (int d = 0; d < args.reduced_ndim; ++d) op.count *= double(args.reduced_shape[d]);
    return reduce_with(op, args);
}
template <class T, class Map>
dl_status sum_of(const dl_reduce_args& args, SumResult result = SumResult::kPlain) {
    if constexpr (sizeof(T) == sizeof(float)) {
        if (args.dtype_in == DL_BF16) return sum_from<T, Map, Bf16>(args, result);
        if (args.dtype_in == DL_F16) return sum_from<T, Map, F16>(args, result);
    }
    return sum_from<T, Map, T>(args, result);
}

dl_status sum(const dl_reduce_args* args) {
    switch (args->dtype_in) {
        case DL_F32:
        case DL_BF16:
        case DL_F16:
            return sum_of<float, MapNone>(*args);
        case DL_F64:
            return sum_of<double, MapNone>(*args);
        case DL_I64:
            return reduce(IntSum<int64_t>(), *args);
        case DL_I32:
            return reduce(IntSum<int32_t>(), *args);
        case DL_U8:
        case DL_BOOL:
            return reduce(IntSum<uint8_t>(), *args);
        default:
            return plain(DL_REDUCE_SUM, args);
    }
}

dl_status mean(const dl_reduce_args* args) {
    if (single(args->dtype_in)) return sum_of<float, MapNone>(*args, SumResult::kMean);
    if (args->dtype_in == DL_F64) return sum_of<double, MapNone>(*args, SumResult::kMean);
    return DL_UNSUPPORTED;
}

dl_status nansum(const dl_reduce_args* args) {
    if (single(args->dtype_in)) return sum_of<float, MapNanToZero>(*args);
    if (args->dtype_in == DL_F64) return sum_of<double, MapNanToZero>(*args);
    return DL_UNSUPPORTED;
}

dl_status prod(const dl_reduce_args* args) {
    switch (args->dtype_in) {
        case DL_F32:
        case DL_BF16:
        case DL_F16:
            return reduce(Product<float, double, float>(), *args);
        case DL_F64:
            return reduce(Product<double, double, double>(), *args);
        case DL_I64:
            return reduce(Product<int64_t, uint64_t, int64_t>(), *args);
        default:
            return plain(DL_REDUCE_PROD, args);
    }
}

template <class T, bool kMax, class Map, class In>
dl_status extreme_from(const dl_reduce_args& args, void* out) {
    Extreme<T, kMax, Map, In> op;
    op.out = out;
    return reduce_with(op, args);
}
template <class T, bool kMax, class Map>
dl_status extreme_of(const dl_reduce_args& args, void* out) {
    if constexpr (sizeof(T) == sizeof(float)) {
        if (args.dtype_in == DL_BF16) return extreme_from<float, kMax, Map, Bf16>(args, out);
        if (args.dtype_in == DL_F16) return extreme_from<float, kMax, Map, F16>(args, out);
    }
    return extreme_from<T, kMax, Map, T>(args, out);
}

template <bool kMax>
dl_status extreme_to(const dl_reduce_args* args, void* out) {
    dl_reduce_args copy = *args;
    copy.out = out;
    switch (args->dtype_in) {
        case DL_F32:
        case DL_BF16:
        case DL_F16:
            return extreme_of<float, kMax, MapNone>(*args, out);
        case DL_F64:
            return extreme_of<double, kMax, MapNone>(*args, out);
        case DL_I64:
            return extreme_of<int64_t, kMax, MapNone>(*args, out);
        case DL_I32:
            return extreme_of<int32_t, kMax, MapNone>(*args, out);
        case DL_U8:
        case DL_BOOL:
            return extreme_of<uint8_t, kMax, MapNone>(*args, out);
        default:
            return plain(kMax ? DL_REDUCE_MAX : DL_REDUCE_MIN, &copy);
    }
}
template <bool kMax>
dl_status extreme_value(const dl_reduce_args* args) {
    return extreme_to<kMax>(args, args->out);
}
dl_status aminmax(const dl_reduce_args* args) {
    dl_status status = extreme_to<false>(args, args->out);
    return status == DL_OK ? extreme_to<true>(args, args->out2) : status;
}

template <bool all>
dl_status any_all(const dl_reduce_args* args) {
    switch (args->dtype_in) {
        case DL_F32:
        case DL_BF16:
        case DL_F16:
            return reduce(AnyAll<float, all>(), *args);
        case DL_F64:
            return reduce(AnyAll<double, all>(), *args);
        case DL_I64:
            return reduce(AnyAll<int64_t, all>(), *args);
        case DL_I8:
        case DL_U8:
        case DL_BOOL:
            return reduce(AnyAll<uint8_t, all>(), *args);
        default:
            return plain(all ? DL_REDUCE_ALL : DL_REDUCE_ANY, args);
    }
}

dl_status count_nonzero(const dl_reduce_args* args) {
    switch (args->dtype_in) {
        case DL_F32:
        case DL_BF16:
        case DL_F16:
            return reduce(CountNonzero<float>(), *args);
        case DL_F64:
            return reduce(CountNonzero<double>(), *args);
        case DL_I64:
            return reduce(CountNonzero<int64_t>(), *args);
        case DL_I8:
        case DL_U8:
        case DL_BOOL:
            return reduce(CountNonzero<uint8_t>(), *args);
        default:
            return plain(DL_REDUCE_COUNT_NONZERO, args);
    }
}

dl_status variance(const dl_reduce_args* args) {
    if (single(args->dtype_in)) return reduce(Variance<float>(), *args);
    if (args->dtype_in == DL_F64) return reduce(Variance<double>(), *args);
    return DL_UNSUPPORTED;
}

template <class T>
dl_status norm_of(const dl_reduce_args& args) {
    double p = args.param, inf = double(INFINITY);
    if (p == 2.0) return sum_of<T, MapSquare>(args, SumResult::kRoot);
    if (p == 1.0) return sum_of<T, MapAbs>(args);
    if (p == inf) return extreme_of<T, true, MapAbs>(args, args.out);
    if (p == -inf) return extreme_of<T, false, MapAbs>(args, args.out);
    if (p == 0.0) return reduce(NormZero<T>(), args);
    PowerSum<T> op;
    op.p = p;
    return reduce(op, args);
}
dl_status norm(const dl_reduce_args* args) {
    if (single(args->dtype_in)) return norm_of<float>(*args);
    if (args->dtype_in == DL_F64) return norm_of<double>(*args);
    return DL_UNSUPPORTED;
}

dl_status logsumexp(const dl_reduce_args* args) {
    if (single(args->dtype_in)) return reduce(LogSumExp<float>(), *args);
    if (args->dtype_in == DL_F64) return reduce(LogSumExp<double>(), *args);
    return DL_UNSUPPORTED;
}

template <class T, bool kMax>
dl_status place_of(const dl_reduce_args& args, void* values, void* indices) {
    ArgExtreme<T, kMax> op;
    op.values = static_cast<T*>(values);
    op.indices = static_cast<int64_t*>(indices);
    return reduce(op, args);
}
template <bool kMax>
dl_status place(const dl_reduce_args* args, void* values, void* indices, dl_reduce_op op) {
    switch (args->dtype_in) {
        case DL_F32:
        case DL_BF16:
        case DL_F16:
            return place_of<float, kMax>(*args, values, indices);
        case DL_F64:
            return place_of<double, kMax>(*args, values, indices);
        case DL_I64:
            return place_of<int64_t, kMax>(*args, values, indices);
        default:
            return plain(op, args);
    }
}
template <bool kMax>
dl_status index_only(const dl_reduce_args* args) {
    return place<kMax>(args, nullptr, args->out, kMax ? DL_REDUCE_ARGMAX : DL_REDUCE_ARGMIN);
}
template <bool kMax>
dl_status value_and_index(const dl_reduce_args* args) {
    return place<kMax>(args, args->out, args->out2,
                       kMax ? DL_REDUCE_MAX_INDEX : DL_REDUCE_MIN_INDEX);
}

// In the order of dl_reduce_op and dl_scan_op. Histograms are scatters: the plain kernels serve them.
const dl_reduce_table table = {
    {sum, mean, nansum, prod, extreme_value<false>, extreme_value<true>, any_all<false>,
     any_all<true>, count_nonzero, variance, norm, logsumexp, index_only<false>, index_only<true>,
     value_and_index<false>, value_and_index<true>, aminmax},
    {scan_sum, scan_prod, scan_extreme<true>, scan_extreme<false>, scan_logsumexp},
    nullptr,
    nullptr,
};

}  // namespace

const dl_reduce_table* reduce_table() { return &table; }

}  // namespace deeplite::cpu::DL_ISA
