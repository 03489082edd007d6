// Pictures on their way to a network: x is [H, W, C] or [N, H, W, C], uint8 or float32. These prepare
// data: they have no gradient and are no part of a captured graph.
#pragma once
#include <string>
#include <vector>

#include "core/tensor.h"

namespace deeplite {

// Filters: nearest, nearest-exact, nearest-running (Pillow's), bilinear, bicubic, box, hamming, lanczos. With antialias the filter is
// stretched when the picture shrinks (Pillow's rule; bicubic then has a = -0.5, otherwise -0.75).
Tensor image_resize(const Tensor& x, int64_t height, int64_t width, const std::string& filter,
                    bool antialias);
// y at (row i, column j) is x at matrix (3x3, row-major) * (j, i, 1); pixel centres are whole numbers.
Tensor image_warp(const Tensor& x, const std::vector<double>& matrix, int64_t height, int64_t width,
                  bool bilinear, const std::vector<double>& fill);
// The same with the position (x, y) of each pixel given: map [OH, OW, 2] float32.
Tensor image_warp_map(const Tensor& x, const Tensor& map, bool bilinear,
                      const std::vector<double>& fill);
// Separable blur by odd kernels, edges mirrored.
Tensor image_blur(const Tensor& x, const std::vector<double>& rows,
                  const std::vector<double>& columns);
// clamp(scale[c] * x + shift[c]) to 0..255 (uint8) or 0..1 (float32); one number does for all channels.
Tensor image_linear(const Tensor& x, const std::vector<double>& scale,
                    const std::vector<double>& shift);
// factor * x + (1 - factor) * gray(x), clamped; gray = 0.2989 r + 0.587 g + 0.114 b.
Tensor image_gray_blend(const Tensor& x, double factor);
Tensor image_hue(const Tensor& x, double turns);
Tensor image_gray_mean(const Tensor& x);  // float64: [] or [N]
// (x / divisor - mean[c]) / std[c] as float32 [C, H, W] or [N, C, H, W]; mean and std may be empty.
// mirror_rows: x read from the last row to the first; mirror_columns: from the right to the left.
Tensor image_to_planes(const Tensor& x, double divisor, const std::vector<double>& mean,
                       const std::vector<double>& std, bool mirror_rows, bool mirror_columns);

}  // namespace deeplite
