// Convolution in 1, 2 and 3 dimensions, its transpose, and sliding blocks as columns.
#pragma once
#include <string>
#include <variant>
#include <vector>

#include "core/tensor.h"
#include "kernels/conv.h"

namespace deeplite {

// x [N, C, in...] or [C, in...], w [K, C/groups, kernel...], bias [K] or undefined -> [N, K,
// out...]. `spatial` is 1, 2 or 3; stride, padding and dilation have one value or one per
// dimension.
Tensor conv(int spatial, const Tensor& x, const Tensor& w, const Tensor& bias, const Dims& stride,
            const Dims& padding, const Dims& dilation, int64_t groups);
// padding "valid" (none) or "same" (the output has the size of the input; stride 1 only).
Tensor conv(int spatial, const Tensor& x, const Tensor& w, const Tensor& bias, const Dims& stride,
            const std::string& padding, const Dims& dilation, int64_t groups);
// What follows a convolution: a batch norm by given statistics [K] (mean and var, or none), a residual of
// the result's shape, an activation by name (min_val and max_val are hardtanh's). All may be absent.
struct ConvFollow {
    Tensor mean, var, weight, bias;
    double eps = 1e-5;
    Tensor residual;
    std::string activation = "none";
    double min_val = -1, max_val = 1;
};
// activation(norm(conv(x, w) + bias) + residual), of the rank that w has. One kernel where no gradient
// is wanted; else it is composed.
Tensor fused_conv(const Tensor& x, const Tensor& w, const Tensor& bias, const Dims& stride,
                  const std::variant<Dims, std::string>& padding, const Dims& dilation,
                  int64_t groups, const ConvFollow& follow);
// x [N, C, in...] or [C, in...], w [C, K/groups, kernel...] -> [N, K, out...]: the gradient of the
// input of a convolution, as an op of its own.
Tensor conv_transpose(int spatial, const Tensor& x, const Tensor& w, const Tensor& bias,
                      const Dims& stride, const Dims& padding, const Dims& output_padding,
                      int64_t groups, const Dims& dilation);

// x [N, C, H, W] -> [N, C * R * S, blocks], and the sum that goes the other way (both also
// unbatched).
Tensor unfold_blocks(const Tensor& x, const Dims& kernel, const Dims& dilation, const Dims& padding,
                     const Dims& stride);
Tensor fold_blocks(const Tensor& columns, const Dims& output_size, const Dims& kernel,
                   const Dims& dilation, const Dims& padding, const Dims& stride);

// How the convolutions of this thread choose their algorithm, in forward and backward.
struct ConvSettings {
    std::string algorithm[3];       // per pass (dl_conv_pass); empty: the least predicted time
    double max_rel_err = kDefault;  // bounds what may be chosen
    static constexpr double kDefault = 4e-6;
};
ConvSettings& conv_settings();

// The algorithms that apply to a convolution of these sizes, best first. `pass` is "forward",
// "backward_input" or "backward_weight".
struct ConvOption {
    std::string name;
    double seconds, rel_err;  // predicted time on one thread, expected error (kernels/conv.h)
    bool allowed;             // by max_rel_err
};
std::vector<ConvOption> conv_algorithms(const Tensor& x, const Tensor& w, const Dims& stride,
                                        const Dims& padding, const Dims& dilation, int64_t groups,
                                        const std::string& pass);
dl_conv_pass conv_pass(const char* op, const std::string& pass);
// One pass by itself, unrecorded: of x, w and y [N, K, out...] it reads the other two.
Tensor conv_pass_result(const Tensor& x, const Tensor& w, const Tensor& y, const Dims& stride,
                        const Dims& padding, const Dims& dilation, int64_t groups,
                        const std::string& pass);

}  // namespace deeplite
