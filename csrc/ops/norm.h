// Normalisations. Statistics are computed in float32 for half types; variances in the result are
// biased.
#pragma once
#include "core/tensor.h"

namespace deeplite {

// x [N, C, ...]; one mean and variance per channel. With training they are those of x, and the
// running statistics (where given) move towards them by `momentum`, in place; otherwise the running
// ones are used.
Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                  const Tensor& weight, const Tensor& bias, bool training, double momentum,
                  double eps);
// batch_norm(x) + residual (where given, of x's shape), cut to [min_val, max_val], in one pass; without
// max_val there is no upper bound, so that the default of the binding is relu.
Tensor fused_batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                        const Tensor& weight, const Tensor& bias, bool training, double momentum,
                        double eps, const Tensor& residual, double min_val,
                        std::optional<double> max_val);
// As batch_norm with the statistics of each (n, c) on its own; the running ones move towards their
// average.
Tensor instance_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                     const Tensor& weight, const Tensor& bias, bool use_input_stats,
                     double momentum, double eps);
// Over the last dimensions, whose sizes are `shape`.
Tensor layer_norm(const Tensor& x, const Dims& shape, const Tensor& weight, const Tensor& bias,
                  double eps);
Tensor rms_norm(const Tensor& x, const Dims& shape, const Tensor& weight,
                std::optional<double> eps);
// x [N, C, ...], over each of `groups` runs of channels.
Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& weight, const Tensor& bias,
                  double eps);
// x / (k + alpha * mean of the squares of `size` neighbouring channels) ^ beta
Tensor local_response_norm(const Tensor& x, int64_t size, double alpha, double beta, double k);
// x / max(|x|_p, eps) along dims
Tensor normalize(const Tensor& x, double p, const Dims& dims, double eps);

}  // namespace deeplite
