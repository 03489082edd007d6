#include "ops/conv.h"

#include <pybind11/stl.h>

#include "bindings/bindings.h"
#include "bindings/pybind.h"

namespace deeplite {
namespace {

using Bias = std::optional<Tensor>;

template <int N>
Tensor conv_of(const Tensor& x, const Tensor& w, const Bias& bias, const Dims& stride,
               const Dims& padding, const Dims& dilation, int64_t groups) {
    return conv(N, x, w, bias.value_or(Tensor{}), stride, padding, dilation, groups);
}
template <int N>
Tensor conv_named(const Tensor& x, const Tensor& w, const Bias& bias, const Dims& stride,
                  const std::string& padding, const Dims& dilation, int64_t groups) {
    return conv(N, x, w, bias.value_or(Tensor{}), stride, padding, dilation, groups);
}
template <class Padding>
Tensor fused_conv_of(const Tensor& x, const Tensor& w, const Bias& bias, const Dims& stride,
                     const Padding& padding, const Dims& dilation, int64_t groups, const Bias& mean,
                     const Bias& var, const Bias& norm_weight, const Bias& norm_bias, double eps,
                     const Bias& residual, const std::string& activation, double min_val,
                     double max_val) {
    const auto or_none = [](const Bias& t) { return t.value_or(Tensor{}); };
    return fused_conv(x, w, or_none(bias), stride, padding, dilation, groups,
                      {or_none(mean), or_none(var), or_none(norm_weight), or_none(norm_bias), eps,
                       or_none(residual), activation, min_val, max_val});
}
template <int N>
Tensor conv_transpose_of(const Tensor& x, const Tensor& w, const Bias& bias, const Dims& stride,
                         const Dims& padding, const Dims& output_padding, int64_t groups,
                         const Dims& dilation) {
    return conv_transpose(N, x, w, bias.value_or(Tensor{}), stride, padding, output_padding, groups,
                          dilation);
}

Dims dims_of(const std::vector<int64_t>& sizes) { return Dims(sizes.data(), int(sizes.size())); }

// What deeplite.backends.conv is made of.
void bind_settings(py::module_ m) {
    using Sizes = std::vector<int64_t>;
    m.def("explain", [](const Tensor& x, const Tensor& w, const Sizes& stride, const Sizes& padding,
                        const Sizes& dilation, int64_t groups, const std::string& pass) {
        py::list options;
        for (const ConvOption& o : conv_algorithms(x, w, dims_of(stride), dims_of(padding),
                                                   dims_of(dilation), groups, pass))
            options.append(py::make_tuple(o.name, o.seconds, o.rel_err, o.allowed));
        return options;
    });
    m.def("run",
          [](const Tensor& x, const Tensor& w, const Tensor& y, const Sizes& stride,
             const Sizes& padding, const Sizes& dilation, int64_t groups, const std::string& pass) {
              return conv_pass_result(x, w, y, dims_of(stride), dims_of(padding), dims_of(dilation),
                                      groups, pass);
          });
    m.def("algorithm", [](const std::string& pass) {
        return conv_settings().algorithm[conv_pass("conv.algorithm", pass)];
    });
    m.def("set_algorithm", [](const std::string& pass, const std::string& name) {
        conv_settings().algorithm[conv_pass("conv.algorithm", pass)] = name;
    });
    m.def("max_rel_err", [] { return conv_settings().max_rel_err; });
    m.def("set_max_rel_err", [](double bound) { conv_settings().max_rel_err = bound; });
    m.attr("DEFAULT_MAX_REL_ERR") = ConvSettings::kDefault;
}

}  // namespace

void bind_conv(Api& api) {
#define DL_CONV_ARGS "(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1)"
    api.fn("conv1d" DL_CONV_ARGS, &conv_of<1>);
    api.fn("conv1d" DL_CONV_ARGS, &conv_named<1>);
    api.fn("conv2d" DL_CONV_ARGS, &conv_of<2>);
    api.fn("conv2d" DL_CONV_ARGS, &conv_named<2>);
    api.fn("conv3d" DL_CONV_ARGS, &conv_of<3>);
    api.fn("conv3d" DL_CONV_ARGS, &conv_named<3>);
#undef DL_CONV_ARGS
    constexpr const char* fused =
        "fused_conv(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1, "
        "running_mean=None, running_var=None, norm_weight=None, norm_bias=None, eps=1e-05, "
        "residual=None, activation='none', min_val=-1.0, max_val=1.0)";
    api.nn(fused, &fused_conv_of<Dims>);
    api.nn(fused, &fused_conv_of<std::string>);
#define DL_CONV_ARGS \
    "(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1)"
    api.fn("conv_transpose1d" DL_CONV_ARGS, &conv_transpose_of<1>);
    api.fn("conv_transpose2d" DL_CONV_ARGS, &conv_transpose_of<2>);
    api.fn("conv_transpose3d" DL_CONV_ARGS, &conv_transpose_of<3>);
#undef DL_CONV_ARGS
    api.nn("unfold(input, kernel_size, dilation=1, padding=0, stride=1)", &unfold_blocks);
    api.nn("fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1)", &fold_blocks);
    bind_settings(api.module.def_submodule("_conv"));
}

}  // namespace deeplite
