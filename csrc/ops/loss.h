// Losses, with torch.nn.functional's names. reduction: "none", "mean" or "sum". What torch
// composes of
// other ops (triplet_margin_loss, ...) is composed in python/deeplite/nn.
#pragma once
#include <string>

#include "core/tensor.h"

namespace deeplite {

// Targets are class indices. x [C], [N, C] or [N, C, d1, ...]; target without the C.
Tensor nll_loss(const Tensor& x, const Tensor& target, const Tensor& weight = {},
                int64_t ignore_index = -100, const std::string& reduction = "mean");
// As nll_loss of log_softmax; or target of x's shape with the probabilities of the classes.
Tensor cross_entropy(const Tensor& x, const Tensor& target, const Tensor& weight = {},
                     int64_t ignore_index = -100, const std::string& reduction = "mean",
                     double label_smoothing = 0);

Tensor mse_loss(const Tensor& x, const Tensor& target, const std::string& reduction = "mean");
Tensor l1_loss(const Tensor& x, const Tensor& target, const std::string& reduction = "mean");
Tensor smooth_l1_loss(const Tensor& x, const Tensor& target, const std::string& reduction = "mean",
                      double beta = 1);
Tensor huber_loss(const Tensor& x, const Tensor& target, const std::string& reduction = "mean",
                  double delta = 1);
Tensor binary_cross_entropy(const Tensor& x, const Tensor& target, const Tensor& weight = {},
                            const std::string& reduction = "mean");
Tensor binary_cross_entropy_with_logits(const Tensor& x, const Tensor& target,
                                        const Tensor& weight = {},
                                        const std::string& reduction = "mean",
                                        const Tensor& pos_weight = {});

// reduction may also be "batchmean".
Tensor kl_div(const Tensor& x, const Tensor& target, const std::string& reduction = "mean",
              bool log_target = false);
Tensor multi_margin_loss(const Tensor& x, const Tensor& target, double p = 1, double margin = 1,
                         const Tensor& weight = {}, const std::string& reduction = "mean");
Tensor multilabel_margin_loss(const Tensor& x, const Tensor& target,
                              const std::string& reduction = "mean");

}  // namespace deeplite
