// From tensors to the argument structs of the reduce kernels; shared by the files of the family.
#pragma once
#include "kernels/reduce.h"
#include "ops/apply.h"
#include "ops/copy.h"
#include "ops/elementwise.h"
#include "ops/factory.h"
#include "ops/iter.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace deeplite {

// Runs one reduction of x over `dims` (wrapped, sorted; none is left out: nothing is reduced). The
// result has dtype `out`. `second`, when given, receives the second result, of dtype
// `second_dtype`.
Tensor reduce_raw(const char* op, dl_reduce_op kind, const Tensor& x, const Dims& dims,
                  bool keepdim, DType out, double param = 0, Tensor* second = nullptr,
                  DType second_dtype = DType::Int64);

// The shape of x [..] after reducing `dims`.
Dims reduced_shape(const Dims& shape, const Dims& dims, bool keepdim);
// y, reduced over dims of a tensor of `shape`, with the reduced dimensions back as size 1.
Tensor with_dims(const Tensor& y, const Dims& dims, bool keepdim, const Dims& shape);
// with_dims, then expanded to `shape`.
Tensor spread(const Tensor& y, const Dims& dims, bool keepdim, const Dims& shape);
int64_t reduced_count(const Dims& shape, const Dims& dims);

// TypeError unless x is floating.
void check_floating(const char* op, const Tensor& x);
// IndexError when an extreme is asked of dimensions without elements.
void check_not_empty(const char* op, const Tensor& x, const Dims& dims);
// Integers and bool become the default floating dtype.
Tensor to_floating(const Tensor& x);
inline Tensor cast_if(const Tensor& x, OptionalDType dtype) { return dtype ? cast(x, *dtype) : x; }
// The dtype of sums and products: integers and bool in int64.
inline DType sum_dtype(DType t) { return is_floating(t) ? t : DType::Int64; }

inline Tensor num(double v) { return wrapped_number(v); }

}  // namespace deeplite
