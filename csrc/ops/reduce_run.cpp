#include "ops/reduce_run.h"

namespace deeplite {
namespace {

struct Axis {
    int64_t size, stride;  // stride in bytes
};

// Appends an axis outside the ones in `shape`/`strides`, merged into the last where strides allow.
void append_axis(Axis axis, int32_t& ndim, int64_t* shape, int64_t* strides) {
    if (axis.size == 1) return;
    if (ndim > 0 && strides[ndim - 1] * shape[ndim - 1] == axis.stride) {
        shape[ndim - 1] *= axis.size;
        return;
    }
    shape[ndim] = axis.size;
    strides[ndim++] = axis.stride;
}

bool order_matters(dl_reduce_op kind) {
    return kind == DL_REDUCE_ARGMIN || kind == DL_REDUCE_ARGMAX || kind == DL_REDUCE_MIN_INDEX ||
           kind == DL_REDUCE_MAX_INDEX;
}

void fill_axes(dl_reduce_args& args, dl_reduce_op kind, const Tensor& x, const Dims& dims) {
    int64_t item = int64_t(itemsize(x.dtype()));
    Axis reduced[DL_MAX_DIMS];
    int count = 0;
    for (int d = x.dim() - 1; d >= 0; --d) {  // innermost first
        Axis axis{x.shape()[d], x.strides()[d] * item};
        if (dims.contains(d))
            reduced[count++] = axis;
        else
            append_axis(axis, args.kept_ndim, args.kept_shape, args.kept_strides);
    }
    if (!order_matters(kind))  // the smallest step innermost
        for (int i = 1; i < count; ++i)
            for (int j = i; j > 0 && reduced[j].stride < reduced[j - 1].stride; --j)
                std::swap(reduced[j], reduced[j - 1]);
    for (int i = 0; i < count; ++i)
        append_axis(reduced[i], args.reduced_ndim, args.reduced_shape, args.reduced_strides);
}

}  // namespace

Dims reduced_shape(const Dims& shape, const Dims& dims, bool keepdim) {
    Dims out;
    for (int d = 0; d < shape.size(); ++d) {
        if (!dims.contains(d))
            out.push_back(shape[d]);
        else if (keepdim)
            out.push_back(1);
    }
    return out;
}

int64_t reduced_count(const Dims& shape, const Dims& dims) {
    int64_t n = 1;
    for (int64_t d : dims) n *= shape[int(d)];
    return n;
}

Tensor with_dims(const Tensor& y, const Dims& dims, bool keepdim, const Dims& shape) {
    if (keepdim || dims.empty() || y.dim() == 0) return y;
    return reshape(y, reduced_shape(shape, dims, true));
}

Tensor spread(const Tensor& y, const Dims& dims, bool keepdim, const Dims& shape) {
    return expand(with_dims(y, dims, keepdim, shape), shape);
}

// Kernels read halves and answer in float32, which is rounded here, once.
Tensor reduce_raw(const char* op, dl_reduce_op kind, const Tensor& x, const Dims& dims,
                  bool keepdim, DType out_dtype, double param, Tensor* second, DType second_dtype) {
    Dims shape = reduced_shape(x.shape(), dims, keepdim);
    Tensor out = empty(shape, compute_dtype(out_dtype), x.device(), op);
    if (second) *second = empty(shape, compute_dtype(second_dtype), x.device(), op);
    dl_reduce_args args{};
    args.dtype_in = int32_t(x.dtype());
    args.dtype_out = int32_t(out.dtype());
    fill_axes(args, kind, x, dims);
    args.in = x.raw();
    args.out = out.raw();
    args.out2 = second ? second->raw() : nullptr;
    args.param = param;
    const dl_reduce_table* table = backend_of(x.device()).reduce;
    dl_reduce_fn fn = table ? table->reduce[kind] : nullptr;
    check_status(fn ? fn(&args) : DL_UNSUPPORTED, x.device(), op);
    if (second) *second = cast_raw(*second, second_dtype);
    return cast_raw(out, out_dtype);
}

void check_floating(const char* op, const Tensor& x) {
    check<TypeError>(x.is_floating(), op, ": expected a floating input, got dtype ", x.dtype());
}

void check_not_empty(const char* op, const Tensor& x, const Dims& dims) {
    for (int64_t d : dims)
        check<IndexError>(x.shape()[int(d)] > 0, op,
                          ": expected at least one element in dimension ", d, " of input ",
                          x.shape());
}

Tensor to_floating(const Tensor& x) { return x.is_floating() ? x : cast(x, default_dtype()); }

}  // namespace deeplite
