// Order: sort, selection, search, distinct values.
#pragma once
#include <array>

#include "core/tensor.h"

namespace deeplite {

// values and indices. Always stable; NaN counts as the greatest value.
std::array<Tensor, 2> sort(const Tensor& x, int64_t dim = -1, bool descending = false);
Tensor argsort(const Tensor& x, int64_t dim = -1, bool descending = false);
Tensor msort(const Tensor& x);
std::array<Tensor, 2> topk(const Tensor& x, int64_t k, int64_t dim = -1, bool largest = true,
                           bool sorted = true);
std::array<Tensor, 2> kthvalue(const Tensor& x, int64_t k, int64_t dim = -1, bool keepdim = false);

Tensor searchsorted(const Tensor& sorted_sequence, const Tensor& values, bool out_int32 = false,
                    bool right = false, const Tensor& sorter = {});
Tensor bucketize(const Tensor& x, const Tensor& boundaries, bool out_int32 = false,
                 bool right = false);
Tensor isin(const Tensor& elements, const Tensor& test_elements, bool invert = false);

struct Unique {
    Tensor values, inverse, counts;
};
Unique unique(const Tensor& x, std::optional<int64_t> dim = {});
Unique unique_consecutive(const Tensor& x, std::optional<int64_t> dim = {});

}  // namespace deeplite
