// Reductions over dimensions, scans along one, norms and statistics. Empty dims mean all
// dimensions;
// functions without dims reduce everything to a 0-d tensor.
#pragma once
#include <array>
#include <optional>
#include <string>

#include "core/tensor.h"

namespace deeplite {

using OptionalDType = std::optional<DType>;

Tensor sum(const Tensor& x, const Dims& dims = {}, bool keepdim = false, OptionalDType dtype = {});
// The sum that undoes a broadcast: back to `shape`, which must broadcast to x's.
Tensor sum_to_size(const Tensor& x, const Dims& shape);
Tensor nansum(const Tensor& x, const Dims& dims = {}, bool keepdim = false,
              OptionalDType dtype = {});
Tensor mean(const Tensor& x, const Dims& dims = {}, bool keepdim = false, OptionalDType dtype = {});
Tensor nanmean(const Tensor& x, const Dims& dims = {}, bool keepdim = false,
               OptionalDType dtype = {});
Tensor prod(const Tensor& x, std::optional<int64_t> dim = {}, bool keepdim = false,
            OptionalDType dtype = {});
Tensor logsumexp(const Tensor& x, const Dims& dims, bool keepdim = false);
Tensor all(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
Tensor any(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
Tensor count_nonzero(const Tensor& x, const Dims& dims = {});

// Where several elements are the extreme, amin and amax share the gradient evenly; the versions
// that
// also give an index send it there.
Tensor amin(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
Tensor amax(const Tensor& x, const Dims& dims = {}, bool keepdim = false);
std::array<Tensor, 2> aminmax(const Tensor& x, std::optional<int64_t> dim = {},
                              bool keepdim = false);
std::array<Tensor, 2> min(const Tensor& x, int64_t dim, bool keepdim = false);
std::array<Tensor, 2> max(const Tensor& x, int64_t dim, bool keepdim = false);
Tensor argmin(const Tensor& x, std::optional<int64_t> dim = {}, bool keepdim = false);
Tensor argmax(const Tensor& x, std::optional<int64_t> dim = {}, bool keepdim = false);

// correction: 1 divides by n - 1, 0 by n. The pairs are (var or std, mean).
Tensor var(const Tensor& x, const Dims& dims = {}, double correction = 1, bool keepdim = false);
Tensor std_dev(const Tensor& x, const Dims& dims = {}, double correction = 1, bool keepdim = false);
std::array<Tensor, 2> var_mean(const Tensor& x, const Dims& dims = {}, double correction = 1,
                               bool keepdim = false);
std::array<Tensor, 2> std_mean(const Tensor& x, const Dims& dims = {}, double correction = 1,
                               bool keepdim = false);

// Order statistics; pairs are (values, indices).
Tensor median(const Tensor& x);
Tensor nanmedian(const Tensor& x);
std::array<Tensor, 2> median(const Tensor& x, int64_t dim, bool keepdim = false);
std::array<Tensor, 2> nanmedian(const Tensor& x, int64_t dim, bool keepdim = false);
std::array<Tensor, 2> mode(const Tensor& x, int64_t dim = -1, bool keepdim = false);
Tensor quantile(const Tensor& x, const Tensor& q, std::optional<int64_t> dim = {},
                bool keepdim = false, const std::string& interpolation = "linear",
                bool ignore_nan = false);

// Norms. `p` may be 0, infinite or negative.
Tensor vector_norm(const Tensor& x, double p = 2, const Dims& dims = {}, bool keepdim = false,
                   OptionalDType dtype = {});
Tensor matrix_norm(const Tensor& x, const std::string& ord, const Dims& dims = {-2, -1},
                   bool keepdim = false, OptionalDType dtype = {});
Tensor matrix_norm(const Tensor& x, double ord, const Dims& dims = {-2, -1}, bool keepdim = false,
                   OptionalDType dtype = {});
Tensor dist(const Tensor& a, const Tensor& b, double p = 2);

// Scans. The pairs are (values, indices).
Tensor cumsum(const Tensor& x, int64_t dim, OptionalDType dtype = {});
Tensor cumprod(const Tensor& x, int64_t dim, OptionalDType dtype = {});
const Tensor& cumsum_(const Tensor& self, int64_t dim);
const Tensor& cumprod_(const Tensor& self, int64_t dim);
Tensor logcumsumexp(const Tensor& x, int64_t dim);
std::array<Tensor, 2> cummax(const Tensor& x, int64_t dim);
std::array<Tensor, 2> cummin(const Tensor& x, int64_t dim);

Tensor diff(const Tensor& x, int64_t n = 1, int64_t dim = -1, const Tensor& prepend = {},
            const Tensor& append = {});
Tensor trace(const Tensor& x);
Tensor bincount(const Tensor& x, const Tensor& weights = {}, int64_t minlength = 0);
Tensor histc(const Tensor& x, int64_t bins = 100, double min = 0, double max = 0);

}  // namespace deeplite
