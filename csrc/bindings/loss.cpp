#include "ops/loss.h"

#include "bindings/bindings.h"

namespace deeplite {
namespace {

using OptTensor = std::optional<Tensor>;

Tensor get(const OptTensor& t) { return t.value_or(Tensor{}); }

void bind_class_losses(Api& api) {
    api.nn("nll_loss(input, target, weight=None, *, ignore_index=-100, reduction='mean')",
           [](const Tensor& x, const Tensor& t, const OptTensor& weight, int64_t ignore_index,
              const std::string& reduction) {
               return nll_loss(x, t, get(weight), ignore_index, reduction);
           });
    api.nn(
        "cross_entropy(input, target, weight=None, *, ignore_index=-100, reduction='mean', "
        "label_smoothing=0.0)",
        [](const Tensor& x, const Tensor& t, const OptTensor& weight, int64_t ignore_index,
           const std::string& reduction, double smoothing) {
            return cross_entropy(x, t, get(weight), ignore_index, reduction, smoothing);
        });
    api.nn("multi_margin_loss(input, target, p=1, margin=1.0, weight=None, *, reduction='mean')",
           [](const Tensor& x, const Tensor& t, double p, double margin, const OptTensor& weight,
              const std::string& reduction) {
               return multi_margin_loss(x, t, p, margin, get(weight), reduction);
           });
    api.nn("multilabel_margin_loss(input, target, *, reduction='mean')", &multilabel_margin_loss);
}

void bind_pointwise_losses(Api& api) {
    api.nn("mse_loss(input, target, *, reduction='mean')", &mse_loss);
    api.nn("l1_loss(input, target, *, reduction='mean')", &l1_loss);
    api.nn("smooth_l1_loss(input, target, *, reduction='mean', beta=1.0)", &smooth_l1_loss);
    api.nn("huber_loss(input, target, *, reduction='mean', delta=1.0)", &huber_loss);
    api.nn("kl_div(input, target, *, reduction='mean', log_target=False)", &kl_div);
    api.nn("binary_cross_entropy(input, target, weight=None, *, reduction='mean')",
           [](const Tensor& x, const Tensor& t, const OptTensor& weight,
              const std::string& reduction) {
               return binary_cross_entropy(x, t, get(weight), reduction);
           });
    api.nn(
        "binary_cross_entropy_with_logits(input, target, weight=None, *, reduction='mean', "
        "pos_weight=None)",
        [](const Tensor& x, const Tensor& t, const OptTensor& weight, const std::string& reduction,
           const OptTensor& pos_weight) {
            return binary_cross_entropy_with_logits(x, t, get(weight), reduction, get(pos_weight));
        });
}

}  // namespace

void bind_loss(Api& api) {
    bind_class_losses(api);
    bind_pointwise_losses(api);
}

}  // namespace deeplite
