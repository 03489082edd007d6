// Joining, splitting, padding, repeating and rearranging.
#pragma once
#include <string>

#include "core/tensor.h"

namespace deeplite {

Tensor concat(const TensorList& tensors,
              int64_t dim = 0);  // torch.cat; cat() puts messages together
Tensor stack(const TensorList& tensors, int64_t dim = 0);
Tensor hstack(const TensorList& tensors);
Tensor vstack(const TensorList& tensors);
Tensor dstack(const TensorList& tensors);
Tensor column_stack(const TensorList& tensors);
Tensor block_diag(const TensorList& tensors);

// All of these give views.
TensorList split(const Tensor& x, int64_t split_size, int64_t dim = 0);
TensorList split_with_sizes(const Tensor& x, const std::vector<int64_t>& sizes, int64_t dim = 0);
TensorList chunk(const Tensor& x, int64_t chunks, int64_t dim = 0);
TensorList tensor_split(const Tensor& x, int64_t sections, int64_t dim = 0);
TensorList tensor_split(const Tensor& x, const std::vector<int64_t>& indices, int64_t dim = 0);

// pad counts from the last dimension: (left, right, top, bottom, ...). mode: constant, reflect,
// replicate, circular. Constant padding may be negative (it crops).
Tensor pad(const Tensor& x, const std::vector<int64_t>& pad, const std::string& mode = "constant",
           double value = 0);
Tensor constant_pad(const Tensor& x, const std::vector<int64_t>& pad, double value = 0);

Tensor roll(const Tensor& x, const Dims& shifts, const Dims& dims = {});
Tensor flip(const Tensor& x, const Dims& dims);
Tensor rot90(const Tensor& x, int64_t k = 1, const Dims& dims = {0, 1});
Tensor repeat(const Tensor& x, const Dims& repeats);
Tensor tile(const Tensor& x, const Dims& repeats);
Tensor repeat_interleave(const Tensor& x, const Tensor& repeats, std::optional<int64_t> dim = {},
                         std::optional<int64_t> output_size = {});
Tensor repeat_interleave(const Tensor& x, int64_t repeats, std::optional<int64_t> dim = {});

Tensor tril(const Tensor& x, int64_t diagonal = 0);
Tensor triu(const Tensor& x, int64_t diagonal = 0);
const Tensor& tril_(const Tensor& self, int64_t diagonal = 0);
const Tensor& triu_(const Tensor& self, int64_t diagonal = 0);
Tensor triangle_indices(bool upper, int64_t rows, int64_t cols, int64_t offset, DType dtype,
                        Device device);
Tensor diag(const Tensor& x, int64_t diagonal = 0);
Tensor diag_embed(const Tensor& x, int64_t offset = 0, int64_t dim1 = -2, int64_t dim2 = -1);
Tensor diagflat(const Tensor& x, int64_t offset = 0);
TensorList meshgrid(const TensorList& tensors, const std::string& indexing = "ij");
Tensor cartesian_prod(const TensorList& tensors);
Tensor combinations(const Tensor& x, int64_t r = 2, bool with_replacement = false);

Tensor pixel_shuffle(const Tensor& x, int64_t upscale_factor);
Tensor pixel_unshuffle(const Tensor& x, int64_t downscale_factor);
Tensor channel_shuffle(const Tensor& x, int64_t groups);

}  // namespace deeplite
