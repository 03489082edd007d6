#include "ops/pool.h"

#include "bindings/bindings.h"

namespace deeplite {
namespace {

template <int N>
Tensor max_pool_of(const Tensor& x, const Dims& kernel, const std::optional<Dims>& stride,
                   const Dims& padding, const Dims& dilation, bool ceil_mode) {
    return max_pool(N, x, kernel, stride.value_or(Dims{}), padding, dilation, ceil_mode);
}
template <int N>
std::array<Tensor, 2> max_pool_indices_of(const Tensor& x, const Dims& kernel,
                                          const std::optional<Dims>& stride, const Dims& padding,
                                          const Dims& dilation, bool ceil_mode) {
    return max_pool_with_indices(N, x, kernel, stride.value_or(Dims{}), padding, dilation,
                                 ceil_mode);
}
template <int N>
Tensor avg_pool_of(const Tensor& x, const Dims& kernel, const std::optional<Dims>& stride,
                   const Dims& padding, bool ceil_mode, bool count_include_pad,
                   std::optional<int64_t> divisor_override) {
    return avg_pool(N, x, kernel, stride.value_or(Dims{}), padding, ceil_mode, count_include_pad,
                    divisor_override);
}
Tensor avg_pool1d_of(const Tensor& x, const Dims& kernel, const std::optional<Dims>& stride,
                     const Dims& padding, bool ceil_mode, bool count_include_pad) {
    return avg_pool_of<1>(x, kernel, stride, padding, ceil_mode, count_include_pad, {});
}
template <int N>
std::array<Tensor, 2> adaptive_max_pool_of(const Tensor& x, const Dims& output_size) {
    return adaptive_max_pool(N, x, output_size);
}
template <int N>
Tensor adaptive_avg_pool_of(const Tensor& x, const Dims& output_size) {
    return adaptive_avg_pool(N, x, output_size);
}
template <int N>
Tensor max_unpool_of(const Tensor& x, const Tensor& indices, const Dims& output_size) {
    return max_unpool(N, x, indices, output_size);
}
template <int N>
std::array<Tensor, 2> fractional_max_pool_of(const Tensor& x, const Dims& kernel,
                                             const Dims& output_size, const Tensor& samples) {
    return fractional_max_pool(N, x, kernel, output_size, samples);
}

}  // namespace

void bind_pool(Api& api) {
#define DL_MAX_ARGS "(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False)"
    api.fn("max_pool1d" DL_MAX_ARGS, &max_pool_of<1>);
    api.fn("max_pool2d" DL_MAX_ARGS, &max_pool_of<2>);
    api.fn("max_pool3d" DL_MAX_ARGS, &max_pool_of<3>);
    api.fn("max_pool1d_with_indices" DL_MAX_ARGS, &max_pool_indices_of<1>);
    api.nn("max_pool2d_with_indices" DL_MAX_ARGS, &max_pool_indices_of<2>);
    api.nn("max_pool3d_with_indices" DL_MAX_ARGS, &max_pool_indices_of<3>);
#undef DL_MAX_ARGS
    api.fn(
        "avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, "
        "count_include_pad=True)",
        &avg_pool1d_of);
#define DL_AVG_ARGS                                                  \
    "(input, kernel_size, stride=None, padding=0, ceil_mode=False, " \
    "count_include_pad=True, divisor_override=None)"
    api.nn("avg_pool2d" DL_AVG_ARGS, &avg_pool_of<2>);
    api.nn("avg_pool3d" DL_AVG_ARGS, &avg_pool_of<3>);
#undef DL_AVG_ARGS
    api.fn("adaptive_avg_pool1d(input, output_size)", &adaptive_avg_pool_of<1>);
    api.nn("adaptive_avg_pool2d(input, output_size)", &adaptive_avg_pool_of<2>);
    api.nn("adaptive_avg_pool3d(input, output_size)", &adaptive_avg_pool_of<3>);
    api.fn("adaptive_max_pool1d(input, output_size)", &adaptive_max_pool_of<1>);
    api.nn("adaptive_max_pool2d(input, output_size)", &adaptive_max_pool_of<2>);
    api.nn("adaptive_max_pool3d(input, output_size)", &adaptive_max_pool_of<3>);
    api.nn("max_unpool1d(input, indices, output_size)", &max_unpool_of<1>);
    api.nn("max_unpool2d(input, indices, output_size)", &max_unpool_of<2>);
    api.nn("max_unpool3d(input, indices, output_size)", &max_unpool_of<3>);
    api.nn("fractional_max_pool2d(input, kernel_size, output_size, random_samples)",
           &fractional_max_pool_of<2>);
    api.nn("fractional_max_pool3d(input, kernel_size, output_size, random_samples)",
           &fractional_max_pool_of<3>);
}

}  // namespace deeplite
