// Reading and writing by index: gather and scatter, index_*, masks, advanced indexing, embedding.
#pragma once
#include <string>

#include "core/tensor.h"

namespace deeplite {

Tensor gather(const Tensor& x, int64_t dim, const Tensor& index);
Tensor take(const Tensor& x, const Tensor& index);
Tensor take_along_dim(const Tensor& x, const Tensor& indices, std::optional<int64_t> dim = {});
Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index);

// reduce: "sum", "prod", "mean", "amax", "amin" ("add" and "multiply" for scatter); "" overwrites.
Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src,
               const std::string& reduce = "");
const Tensor& scatter_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src,
                       const std::string& reduce = "");
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src);
const Tensor& scatter_add_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src);
Tensor scatter_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src,
                      const std::string& reduce, bool include_self = true);
const Tensor& scatter_reduce_(const Tensor& self, int64_t dim, const Tensor& index,
                              const Tensor& src, const std::string& reduce,
                              bool include_self = true);
// The gradient of an op that picked values along dim: zeros of `shape` with dy added at the
// indices.
Tensor scatter_into_zeros(const Tensor& dy, int64_t dim, const Tensor& indices, const Dims& shape);

Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source,
                 double alpha = 1);
const Tensor& index_add_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source,
                         double alpha = 1);
Tensor index_copy(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source);
const Tensor& index_copy_(const Tensor& self, int64_t dim, const Tensor& index,
                          const Tensor& source);
Tensor index_fill(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& value);
const Tensor& index_fill_(const Tensor& self, int64_t dim, const Tensor& index,
                          const Tensor& value);
Tensor index_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source,
                    const std::string& reduce, bool include_self = true);
const Tensor& index_reduce_(const Tensor& self, int64_t dim, const Tensor& index,
                            const Tensor& source, const std::string& reduce,
                            bool include_self = true);

// x[indices]: one entry per leading dimension; an undefined entry is a full slice. Integer tensors
// broadcast against each other; a bool (or uint8) mask stands for the coordinates of its true
// elements.
Tensor index(const Tensor& x, const TensorList& indices);
const Tensor& index_put_(const Tensor& self, const TensorList& indices, const Tensor& values,
                         bool accumulate = false);
Tensor index_put(const Tensor& x, const TensorList& indices, const Tensor& values,
                 bool accumulate = false);
const Tensor& put_(const Tensor& self, const Tensor& index, const Tensor& source,
                   bool accumulate = false);

Tensor masked_select(const Tensor& x, const Tensor& mask);
Tensor masked_scatter(const Tensor& x, const Tensor& mask, const Tensor& source);
const Tensor& masked_scatter_(const Tensor& self, const Tensor& mask, const Tensor& source);
Tensor nonzero(const Tensor& x);            // [count, ndim]
TensorList nonzero_tuple(const Tensor& x);  // ndim tensors [count]
Tensor argwhere(const Tensor& x);

// indices of any shape [...] -> [..., width]; row padding_idx (-1: none) gets no gradient.
Tensor embedding(const Tensor& weight, const Tensor& indices, int64_t padding_idx = -1,
                 bool scale_grad_by_freq = false, const char* op = "embedding");
Tensor one_hot(const Tensor& x, int64_t num_classes = -1);

// Refuses to read the values of x inside a capture.
void check_readable(const Tensor& x, const char* op);

}  // namespace deeplite
