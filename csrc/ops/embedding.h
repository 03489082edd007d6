// Look-up in a table of vectors, one by one or bag by bag, as nn.functional has it.
#pragma once
#include <string>

#include "core/tensor.h"

namespace deeplite {

// max_norm: rows that are looked up and longer than this are scaled down in place first.
Tensor embedding_lookup(const Tensor& indices, const Tensor& weight,
                        std::optional<int64_t> padding_idx, std::optional<double> max_norm,
                        double norm_type, bool scale_grad_by_freq);

// indices [B, N] (bags of N), or [M] with offsets [B] where each bag starts. mode: sum, mean, max.
Tensor embedding_bag(const Tensor& indices, const Tensor& weight, const Tensor& offsets,
                     std::optional<double> max_norm, double norm_type, bool scale_grad_by_freq,
                     const std::string& mode, const Tensor& per_sample_weights,
                     bool include_last_offset, std::optional<int64_t> padding_idx);

}  // namespace deeplite
