// Views: the same memory under another shape. Nothing is copied, except by reshape, contiguous and their
// like when the layout asks for it.
#pragma once
#include "core/tensor.h"

namespace deeplite {

Tensor view(const Tensor& x,
            const Dims& shape);  // one size may be -1; ShapeError when strides forbid it
Tensor reshape(const Tensor& x, const Dims& shape);  // a view where possible, else a copy
Tensor permute(const Tensor& x, const Dims& dims);
Tensor transpose(const Tensor& x, int64_t dim0, int64_t dim1);
Tensor t(const Tensor& x);                          // of a tensor with at most 2 dimensions
Tensor mT(const Tensor& x);                         // the last two dimensions swapped
Tensor expand(const Tensor& x, const Dims& shape);  // -1 keeps a size
Tensor slice(const Tensor& x, int64_t dim, std::optional<int64_t> start,
             std::optional<int64_t> stop, int64_t step);
Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length);
Tensor select(const Tensor& x, int64_t dim, int64_t index);
Tensor squeeze(const Tensor& x);
Tensor squeeze(const Tensor& x, const Dims& dims);
Tensor unsqueeze(const Tensor& x, int64_t dim);
Tensor flatten(const Tensor& x, int64_t start_dim = 0, int64_t end_dim = -1);
Tensor unflatten(const Tensor& x, int64_t dim, const Dims& sizes);
Tensor movedim(const Tensor& x, const Dims& source, const Dims& destination);
Tensor diagonal(const Tensor& x, int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1);
Tensor unfold(const Tensor& x, int64_t dim, int64_t size,
              int64_t step);  // sliding windows, in a new last dim
TensorList unbind(const Tensor& x, int64_t dim = 0);
Tensor as_strided(const Tensor& x, const Dims& shape, const Dims& strides,
                  std::optional<int64_t> offset = {});
TensorList broadcast_tensors(const TensorList& xs);
Tensor alias(const Tensor& x);  // a new tensor on the same memory, in the graph

}  // namespace deeplite
