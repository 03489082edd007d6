// Reductions over dimensions.
#pragma once
#include "core/tensor.h"

namespace deeplite {

// Empty dims: over all of them.
Tensor sum(const Tensor& x, const Dims& dims = {}, bool keepdim = false,
           std::optional<DType> dtype = {});
// The sum that undoes a broadcast: back to `shape`, which must broadcast to x's.
Tensor sum_to_size(const Tensor& x, const Dims& shape);

}  // namespace deeplite
