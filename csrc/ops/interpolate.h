// Resampling of images and volumes.
#pragma once
#include <string>

#include "core/tensor.h"

namespace deeplite {

// x [N, C, ...1 to 3 spatial dimensions]. mode: nearest, nearest-exact, linear, bilinear,
// trilinear, bicubic, area. Give either the size or the scale factors (one, or one per spatial
// dimension).
Tensor interpolate(const Tensor& x, const std::vector<int64_t>& size,
                   const std::vector<double>& scale_factor, const std::string& mode = "nearest",
                   std::optional<bool> align_corners = {}, bool recompute_scale_factor = false,
                   bool antialias = false);

// input [N, C, H, W] or [N, C, D, H, W], grid [N, ..., 2 or 3] with x, y(, z) in [-1, 1].
Tensor grid_sample(const Tensor& input, const Tensor& grid, const std::string& mode = "bilinear",
                   const std::string& padding_mode = "zeros", bool align_corners = false);
// theta [N, 2, 3] and size (N, C, H, W), or [N, 3, 4] and (N, C, D, H, W) -> the grid for
// grid_sample.
Tensor affine_grid(const Tensor& theta, const std::vector<int64_t>& size,
                   bool align_corners = false);

}  // namespace deeplite
