// softmax and its relatives along one dimension.
#pragma once
#include <optional>

#include "core/tensor.h"

namespace deeplite {

Tensor softmax(const Tensor& x, int64_t dim, std::optional<DType> dtype = {});
Tensor log_softmax(const Tensor& x, int64_t dim, std::optional<DType> dtype = {});
Tensor softmin(const Tensor& x, int64_t dim, std::optional<DType> dtype = {});

}  // namespace deeplite
