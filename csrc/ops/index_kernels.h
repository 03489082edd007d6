// From tensors to the argument structs of the index kernels; shared by the files of the index
// family.
#pragma once
#include "kernels/index.h"
#include "ops/iter.h"

namespace deeplite {

// Calls one entry of the index table of d's backend.
template <class Fn, class... Args>
void run_index(const char* op, Device d, Fn dl_index_table::* entry, const Args&... args) {
    check_status(kernel(op, d, backend_of(d).index, entry)(args...), d, op);
}

// An index tensor as the kernels want it: int64, int32 is cast. TypeError/IndexError names op.
Tensor index_int64(const char* op, const Tensor& index);
inline Dims at_least_1d(const Dims& shape) { return shape.empty() ? Dims{1} : shape; }

// gather and scatter; `other` has at least the shape of index.
void run_gather(const char* op, const Tensor& x, int dim, const Tensor& index, const Tensor& out);
void run_scatter(const char* op, const Tensor& self, int dim, const Tensor& index,
                 const Tensor& src, int scatter_op, bool exclude_self);

// Advanced indexing: `dims` are the indexed dimensions, indices one contiguous int64 tensor for
// each, all of one shape (the block); in `other` the block stands after the first `at` of the
// remaining dimensions.
Dims indexed_shape(const Tensor& x, const Dims& dims, int at, const Dims& block);
void run_get(const char* op, const Tensor& x, const Dims& dims, int at, const TensorList& indices,
             bool wrap, const Tensor& out);
// `values` broadcasts to indexed_shape.
void run_put(const char* op, const Tensor& self, const Dims& dims, int at,
             const TensorList& indices, bool wrap, const Tensor& values, int scatter_op);

}  // namespace deeplite
