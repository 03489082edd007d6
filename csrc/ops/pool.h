// Pooling over 1, 2 and 3 spatial dimensions. x is [N, C, in...] or [C, in...]; sizes are one
// number or one per dimension; an empty stride means the kernel's.
#pragma once
#include "core/tensor.h"

namespace deeplite {

// Values and indices (flat positions inside an input plane).
std::array<Tensor, 2> max_pool_with_indices(int spatial, const Tensor& x, const Dims& kernel,
                                            const Dims& stride, const Dims& padding,
                                            const Dims& dilation, bool ceil_mode);
Tensor max_pool(int spatial, const Tensor& x, const Dims& kernel, const Dims& stride,
                const Dims& padding, const Dims& dilation, bool ceil_mode);
Tensor avg_pool(int spatial, const Tensor& x, const Dims& kernel, const Dims& stride,
                const Dims& padding, bool ceil_mode, bool count_include_pad,
                std::optional<int64_t> divisor_override);
std::array<Tensor, 2> adaptive_max_pool(int spatial, const Tensor& x, const Dims& output_size);
Tensor adaptive_avg_pool(int spatial, const Tensor& x, const Dims& output_size);
// Zeros of `output_size`, with x's elements where `indices` says.
Tensor max_unpool(int spatial, const Tensor& x, const Tensor& indices, const Dims& output_size);
// Windows of `kernel` at pseudo-random places (Graham, "Fractional Max-Pooling", 2014).
// random_samples [N, C, spatial] in [0, 1).
std::array<Tensor, 2> fractional_max_pool(int spatial, const Tensor& x, const Dims& kernel,
                                          const Dims& output_size, const Tensor& random_samples);

}  // namespace deeplite
