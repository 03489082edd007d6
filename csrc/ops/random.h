// Random tensors, in-place random fills, and the ops that draw: dropout, multinomial, ...
// A null generator means the default one.
#pragma once
#include "core/random.h"
#include "core/tensor.h"

namespace deeplite {

using Gen = Ref<Generator>;

Tensor rand(const Dims& size, DType dtype, Device device = {}, const Gen& gen = {});
Tensor randn(const Dims& size, DType dtype, Device device = {}, const Gen& gen = {});
Tensor randint(int64_t low, int64_t high, const Dims& size, DType dtype = DType::Int64,
               Device device = {}, const Gen& gen = {});
Tensor randperm(int64_t n, DType dtype = DType::Int64, Device device = {}, const Gen& gen = {});
Tensor normal(const Tensor& mean, const Tensor& std, const Gen& gen = {});
Tensor bernoulli(const Tensor& p, const Gen& gen = {});
Tensor poisson(const Tensor& rate, const Gen& gen = {});
Tensor multinomial(const Tensor& weights, int64_t num_samples, bool replacement = false,
                   const Gen& gen = {});

const Tensor& uniform_(const Tensor& self, double from = 0, double to = 1, const Gen& gen = {});
const Tensor& normal_(const Tensor& self, double mean = 0, double std = 1, const Gen& gen = {});
const Tensor& log_normal_(const Tensor& self, double mean = 1, double std = 2, const Gen& gen = {});
const Tensor& cauchy_(const Tensor& self, double median = 0, double sigma = 1, const Gen& gen = {});
const Tensor& exponential_(const Tensor& self, double lambd = 1, const Gen& gen = {});
const Tensor& geometric_(const Tensor& self, double p, const Gen& gen = {});
const Tensor& bernoulli_(const Tensor& self, double p = 0.5, const Gen& gen = {});
const Tensor& bernoulli_(const Tensor& self, const Tensor& p, const Gen& gen = {});
// Integers from `from` to `to` - 1; without `to` up to what self's dtype represents exactly.
const Tensor& random_(const Tensor& self, int64_t from, std::optional<int64_t> to,
                      const Gen& gen = {});

Tensor dropout(const Tensor& x, double p = 0.5, bool training = true);
// Whole channels at once; ndim is 1, 2 or 3 (spatial dimensions).
Tensor feature_dropout(const char* name, const Tensor& x, double p, bool training, int ndim);
Tensor alpha_dropout(const Tensor& x, double p = 0.5, bool training = false);
Tensor feature_alpha_dropout(const Tensor& x, double p = 0.5, bool training = false);
const Tensor& dropout_(const Tensor& self, double p = 0.5, bool training = true);
Tensor rrelu(const Tensor& x, double lower = 1.0 / 8, double upper = 1.0 / 3,
             bool training = false);
Tensor gumbel_softmax(const Tensor& logits, double tau = 1, bool hard = false, int64_t dim = -1);

}  // namespace deeplite
