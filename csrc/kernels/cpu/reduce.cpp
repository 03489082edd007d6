// The reduce family: picks the op of reduce_ops.h for each kind of reduction and dtype.
#include "kernels/cpu/reduce_ops.h"
#include "kernels/cpu/reduce_scan.h"

namespace deeplite::cpu::DL_ISA {
namespace {

// Rare dtypes are left to the plain kernels: they would only make the library larger.
dl_status plain(dl_reduce_op op, const dl_reduce_args* args) {
    return reference::reduce_table()->reduce[op](args);
}

template <class T, class Map>
dl_status sum_of(const dl_reduce_args& args, SumResult result = SumResult::kPlain) {
    FloatSum<T, Map> op;
    op.result = result;
    for (int d = 0; d < args.reduced_ndim; ++d) op.count *= double(args.reduced_shape[d]);
    return reduce_with(op, args);
}

dl_status sum(const dl_reduce_args* args) {
    switch (args->dtype_in) {
        case DL_F32:
            return sum_of<float, MapNone>(*args);
        case DL_F64:
            return sum_of<double, MapNone>(*args);
        case DL_I64:
            return reduce_with(IntSum<int64_t>(), *args);
        case DL_I32:
            return reduce_with(IntSum<int32_t>(), *args);
        case DL_U8:
        case DL_BOOL:
            return reduce_with(IntSum<uint8_t>(), *args);
        default:
            return plain(DL_REDUCE_SUM, args);
    }
}

dl_status mean(const dl_reduce_args* args) {
    if (args->dtype_in == DL_F32) return sum_of<float, MapNone>(*args, SumResult::kMean);
    if (args->dtype_in == DL_F64) return sum_of<double, MapNone>(*args, SumResult::kMean);
    return DL_UNSUPPORTED;
}

dl_status nansum(const dl_reduce_args* args) {
    if (args->dtype_in == DL_F32) return sum_of<float, MapNanToZero>(*args);
    if (args->dtype_in == DL_F64) return sum_of<double, MapNanToZero>(*args);
    return DL_UNSUPPORTED;
}

dl_status prod(const dl_reduce_args* args) {
    switch (args->dtype_in) {
        case DL_F32:
            return reduce_with(Product<float, double, float>(), *args);
        case DL_F64:
            return reduce_with(Product<double, double, double>(), *args);
        case DL_I64:
            return reduce_with(Product<int64_t, uint64_t, int64_t>(), *args);
        default:
            return plain(DL_REDUCE_PROD, args);
    }
}

template <class T, bool kMax, class Map>
dl_status extreme_of(const dl_reduce_args& args, void* out) {
    Extreme<T, kMax, Map> op;
    op.out = out;
    return reduce_with(op, args);
}

template <bool kMax>
dl_status extreme_to(const dl_reduce_args* args, void* out) {
    dl_reduce_args copy = *args;
    copy.out = out;
    switch (args->dtype_in) {
        case DL_F32:
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
            return reduce_with(AnyAll<float, all>(), *args);
        case DL_F64:
            return reduce_with(AnyAll<double, all>(), *args);
        case DL_I64:
            return reduce_with(AnyAll<int64_t, all>(), *args);
        case DL_I8:
        case DL_U8:
        case DL_BOOL:
            return reduce_with(AnyAll<uint8_t, all>(), *args);
        default:
            return plain(all ? DL_REDUCE_ALL : DL_REDUCE_ANY, args);
    }
}

dl_status count_nonzero(const dl_reduce_args* args) {
    switch (args->dtype_in) {
        case DL_F32:
            return reduce_with(CountNonzero<float>(), *args);
        case DL_F64:
            return reduce_with(CountNonzero<double>(), *args);
        case DL_I64:
            return reduce_with(CountNonzero<int64_t>(), *args);
        case DL_I8:
        case DL_U8:
        case DL_BOOL:
            return reduce_with(CountNonzero<uint8_t>(), *args);
        default:
            return plain(DL_REDUCE_COUNT_NONZERO, args);
    }
}

dl_status variance(const dl_reduce_args* args) {
    if (args->dtype_in == DL_F32) return reduce_with(Variance<float>(), *args);
    if (args->dtype_in == DL_F64) return reduce_with(Variance<double>(), *args);
    return DL_UNSUPPORTED;
}

template <class T>
dl_status norm_of(const dl_reduce_args& args) {
    double p = args.param, inf = double(INFINITY);
    if (p == 2.0) return sum_of<T, MapSquare>(args, SumResult::kRoot);
    if (p == 1.0) return sum_of<T, MapAbs>(args);
    if (p == inf) return extreme_of<T, true, MapAbs>(args, args.out);
    if (p == -inf) return extreme_of<T, false, MapAbs>(args, args.out);
    if (p == 0.0) return reduce_with(NormZero<T>(), args);
    PowerSum<T> op;
    op.p = p;
    return reduce_with(op, args);
}
dl_status norm(const dl_reduce_args* args) {
    if (args->dtype_in == DL_F32) return norm_of<float>(*args);
    if (args->dtype_in == DL_F64) return norm_of<double>(*args);
    return DL_UNSUPPORTED;
}

dl_status logsumexp(const dl_reduce_args* args) {
    if (args->dtype_in == DL_F32) return reduce_with(LogSumExp<float>(), *args);
    if (args->dtype_in == DL_F64) return reduce_with(LogSumExp<double>(), *args);
    return DL_UNSUPPORTED;
}

template <class T, bool kMax>
dl_status place_of(const dl_reduce_args& args, void* values, void* indices) {
    ArgExtreme<T, kMax> op;
    op.values = static_cast<T*>(values);
    op.indices = static_cast<int64_t*>(indices);
    return reduce_with(op, args);
}
template <bool kMax>
dl_status place(const dl_reduce_args* args, void* values, void* indices, dl_reduce_op op) {
    switch (args->dtype_in) {
        case DL_F32:
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
