// Elementwise ops: arithmetic, comparison, pointwise mathematics, activations.
#pragma once
#include "core/tensor.h"

namespace deeplite {

Tensor add(const Tensor& a, const Tensor& b, double alpha = 1);
const Tensor& add_(const Tensor& self, const Tensor& b, double alpha = 1);
Tensor ne(const Tensor& a, const Tensor& b);

}  // namespace deeplite
