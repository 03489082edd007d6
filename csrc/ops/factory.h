// Tensors from nothing: full, arange, linspace, eye and their like.
#pragma once
#include "core/memory_format.h"

namespace deeplite {

// As `empty`, seen by capture; with strides of a dense tensor in another order than row-major.
Tensor empty_recorded(const Dims& shape, DType dtype, Device device, const Dims& strides = {});
Tensor full(const Dims& shape, double value, DType dtype, Device device = {});
Tensor zeros(const Dims& shape, DType dtype, Device device = {});
Tensor ones(const Dims& shape, DType dtype, Device device = {});
// Of x's shape, and by default in its memory order.
Tensor full_like(const Tensor& x, double value, DType dtype, Device device,
                 MemoryFormat format = MemoryFormat::Preserve);
Tensor zeros_like(const Tensor& x);
Tensor ones_like(const Tensor& x);
// start, start + step, ... below (above, for a negative step) end.
Tensor arange(double start, double end, double step, DType dtype, Device device = {});
Tensor linspace(double start, double end, int64_t steps, DType dtype, Device device = {});
Tensor eye(int64_t n, int64_t m, DType dtype, Device device = {});

void install_grad_ops();  // gives autograd the ops it needs; called once when the module loads

}  // namespace deeplite
