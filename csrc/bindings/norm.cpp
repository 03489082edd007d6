#include "ops/norm.h"

#include "bindings/bindings.h"

namespace deeplite {
namespace {

using MaybeTensor = std::optional<Tensor>;
Tensor or_none(const MaybeTensor& t) { return t.value_or(Tensor{}); }

Tensor batch_norm_python(const Tensor& x, const MaybeTensor& running_mean,
                         const MaybeTensor& running_var, const MaybeTensor& weight,
                         const MaybeTensor& bias, bool training, double momentum, double eps) {
    return batch_norm(x, or_none(running_mean), or_none(running_var), or_none(weight),
                      or_none(bias), training, momentum, eps);
}
Tensor fused_batch_norm_python(const Tensor& x, const MaybeTensor& running_mean,
                               const MaybeTensor& running_var, const MaybeTensor& weight,
                               const MaybeTensor& bias, bool training, double momentum, double eps,
                               const MaybeTensor& residual, double min_val,
                               std::optional<double> max_val) {
    return fused_batch_norm(x, or_none(running_mean), or_none(running_var), or_none(weight),
                            or_none(bias), training, momentum, eps, or_none(residual), min_val,
                            max_val);
}
Tensor instance_norm_python(const Tensor& x, const MaybeTensor& running_mean,
                            const MaybeTensor& running_var, const MaybeTensor& weight,
                            const MaybeTensor& bias, bool use_input_stats, double momentum,
                            double eps) {
    return instance_norm(x, or_none(running_mean), or_none(running_var), or_none(weight),
                         or_none(bias), use_input_stats, momentum, eps);
}
Tensor layer_norm_python(const Tensor& x, const Dims& shape, const MaybeTensor& weight,
                         const MaybeTensor& bias, double eps) {
    return layer_norm(x, shape, or_none(weight), or_none(bias), eps);
}
Tensor rms_norm_python(const Tensor& x, const Dims& shape, const MaybeTensor& weight,
                       std::optional<double> eps) {
    return rms_norm(x, shape, or_none(weight), eps);
}
Tensor group_norm_python(const Tensor& x, int64_t groups, const MaybeTensor& weight,
                         const MaybeTensor& bias, double eps) {
    return group_norm(x, groups, or_none(weight), or_none(bias), eps);
}

}  // namespace

void bind_norm(Api& api) {
    api.nn(
        "batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, "
        "momentum=0.1, eps=1e-05)",
        &batch_norm_python);
    api.nn(
        "fused_batch_norm(input, running_mean, running_var, weight=None, bias=None, "
        "training=False, momentum=0.1, eps=1e-05, residual=None, min_val=0.0, max_val=None)",
        &fused_batch_norm_python);
    api.nn(
        "instance_norm(input, running_mean=None, running_var=None, weight=None, bias=None, "
        "use_input_stats=True, "
        "momentum=0.1, eps=1e-05)",
        &instance_norm_python);
    const char* layer = "layer_norm(input, normalized_shape, weight=None, bias=None, eps=1e-05)";
    api.nn(layer, &layer_norm_python);
    api.fn(layer, &layer_norm_python);
    const char* rms = "rms_norm(input, normalized_shape, weight=None, eps=None)";
    api.nn(rms, &rms_norm_python);
    api.fn(rms, &rms_norm_python);
    const char* group = "group_norm(input, num_groups, weight=None, bias=None, eps=1e-05)";
    api.nn(group, &group_norm_python);
    api.fn(group, &group_norm_python);
    api.nn("local_response_norm(input, size, alpha=0.0001, beta=0.75, k=1.0)",
           &local_response_norm);
    api.nn("normalize(input, p=2.0, dim=1, eps=1e-12)",
           [](const Tensor& x, double p, const Dims& dims, double eps) {
               return normalize(x, p, dims, eps);
           });
}

}  // namespace deeplite
