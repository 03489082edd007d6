// Elementwise ops: arithmetic, comparison, pointwise mathematics, activations. Torch's names,
// parameter order, promotion and broadcasting. A trailing _ works in place and returns its first
// argument.
#pragma once
#include <optional>
#include <span>
#include <string>

#include "core/tensor.h"

namespace deeplite {

// The dtype in which torch computes an op on these two (numbers and 0-dim tensors are weak).
DType result_type(const Tensor& a, const Tensor& b);

// ---- arithmetic ----
Tensor add(const Tensor& a, const Tensor& b, double alpha = 1);
Tensor sub(const Tensor& a, const Tensor& b, double alpha = 1);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b, const std::string& rounding_mode);  // "trunc", "floor"
Tensor floor_divide(const Tensor& a, const Tensor& b);
Tensor remainder(const Tensor& a, const Tensor& b);
Tensor fmod(const Tensor& a, const Tensor& b);
Tensor pow(const Tensor& a, const Tensor& b);
const Tensor& add_(const Tensor& self, const Tensor& b, double alpha = 1);
const Tensor& sub_(const Tensor& self, const Tensor& b, double alpha = 1);
const Tensor& mul_(const Tensor& self, const Tensor& b);
const Tensor& div_(const Tensor& self, const Tensor& b);
const Tensor& div_(const Tensor& self, const Tensor& b, const std::string& rounding_mode);
const Tensor& floor_divide_(const Tensor& self, const Tensor& b);
const Tensor& remainder_(const Tensor& self, const Tensor& b);
const Tensor& fmod_(const Tensor& self, const Tensor& b);
const Tensor& pow_(const Tensor& self, const Tensor& b);
// The same with a plain number.
Tensor add(const Tensor& a, double b);
Tensor sub(const Tensor& a, double b);
Tensor mul(const Tensor& a, double b);
Tensor div(const Tensor& a, double b);
Tensor pow(const Tensor& a, double exponent);
const Tensor& add_(const Tensor& self, double b);
const Tensor& mul_(const Tensor& self, double b);
Tensor rsub(const Tensor& a, const Tensor& b, double alpha = 1);  // b - alpha * a

Tensor maximum(const Tensor& a, const Tensor& b);
Tensor minimum(const Tensor& a, const Tensor& b);
Tensor fmax(const Tensor& a, const Tensor& b);
Tensor fmin(const Tensor& a, const Tensor& b);
Tensor atan2(const Tensor& a, const Tensor& b);
Tensor hypot(const Tensor& a, const Tensor& b);
Tensor copysign(const Tensor& a, const Tensor& b);
Tensor nextafter(const Tensor& a, const Tensor& b);
Tensor xlogy(const Tensor& a, const Tensor& b);
Tensor logaddexp(const Tensor& a, const Tensor& b);
Tensor logaddexp2(const Tensor& a, const Tensor& b);
Tensor heaviside(const Tensor& x, const Tensor& values);
Tensor gcd(const Tensor& a, const Tensor& b);
Tensor lcm(const Tensor& a, const Tensor& b);
const Tensor& atan2_(const Tensor& self, const Tensor& b);
const Tensor& hypot_(const Tensor& self, const Tensor& b);
const Tensor& copysign_(const Tensor& self, const Tensor& b);
const Tensor& xlogy_(const Tensor& self, const Tensor& b);
const Tensor& nextafter_(const Tensor& self, const Tensor& b);
const Tensor& gcd_(const Tensor& self, const Tensor& b);
const Tensor& lcm_(const Tensor& self, const Tensor& b);
const Tensor& heaviside_(const Tensor& self, const Tensor& b);

Tensor addcmul(const Tensor& x, const Tensor& a, const Tensor& b, double value = 1);
Tensor addcdiv(const Tensor& x, const Tensor& a, const Tensor& b, double value = 1);
Tensor lerp(const Tensor& start, const Tensor& end, const Tensor& weight);
const Tensor& addcmul_(const Tensor& self, const Tensor& a, const Tensor& b, double value = 1);
const Tensor& addcdiv_(const Tensor& self, const Tensor& a, const Tensor& b, double value = 1);
const Tensor& lerp_(const Tensor& self, const Tensor& end, const Tensor& weight);

// ---- comparison and logic: bool results, never differentiable ----
Tensor eq(const Tensor& a, const Tensor& b);
Tensor ne(const Tensor& a, const Tensor& b);
Tensor lt(const Tensor& a, const Tensor& b);
Tensor le(const Tensor& a, const Tensor& b);
Tensor gt(const Tensor& a, const Tensor& b);
Tensor ge(const Tensor& a, const Tensor& b);
Tensor eq(const Tensor& a, double b);
Tensor ne(const Tensor& a, double b);
Tensor lt(const Tensor& a, double b);
Tensor le(const Tensor& a, double b);
Tensor gt(const Tensor& a, double b);
Tensor ge(const Tensor& a, double b);
Tensor logical_and(const Tensor& a, const Tensor& b);
Tensor logical_or(const Tensor& a, const Tensor& b);
Tensor logical_xor(const Tensor& a, const Tensor& b);
Tensor logical_not(const Tensor& x);
Tensor bitwise_and(const Tensor& a, const Tensor& b);
Tensor bitwise_or(const Tensor& a, const Tensor& b);
Tensor bitwise_xor(const Tensor& a, const Tensor& b);
Tensor bitwise_left_shift(const Tensor& a, const Tensor& b);
Tensor bitwise_right_shift(const Tensor& a, const Tensor& b);
Tensor bitwise_not(const Tensor& x);
const Tensor& bitwise_not_(const Tensor& self);
// In place: the result is cast to self's dtype.
const Tensor& eq_(const Tensor& self, const Tensor& b);
const Tensor& ne_(const Tensor& self, const Tensor& b);
const Tensor& lt_(const Tensor& self, const Tensor& b);
const Tensor& le_(const Tensor& self, const Tensor& b);
const Tensor& gt_(const Tensor& self, const Tensor& b);
const Tensor& ge_(const Tensor& self, const Tensor& b);
const Tensor& logical_and_(const Tensor& self, const Tensor& b);
const Tensor& logical_or_(const Tensor& self, const Tensor& b);
const Tensor& logical_xor_(const Tensor& self, const Tensor& b);
const Tensor& bitwise_and_(const Tensor& self, const Tensor& b);
const Tensor& bitwise_or_(const Tensor& self, const Tensor& b);
const Tensor& bitwise_xor_(const Tensor& self, const Tensor& b);
const Tensor& bitwise_left_shift_(const Tensor& self, const Tensor& b);
const Tensor& bitwise_right_shift_(const Tensor& self, const Tensor& b);
const Tensor& logical_not_(const Tensor& self);
Tensor isnan(const Tensor& x);
Tensor isinf(const Tensor& x);
Tensor isposinf(const Tensor& x);
Tensor isneginf(const Tensor& x);
Tensor isfinite(const Tensor& x);
Tensor signbit(const Tensor& x);
Tensor isclose(const Tensor& a, const Tensor& b, double rtol = 1e-5, double atol = 1e-8,
               bool equal_nan = false);
bool allclose(const Tensor& a, const Tensor& b, double rtol = 1e-5, double atol = 1e-8,
              bool equal_nan = false);
bool equal(const Tensor& a, const Tensor& b);  // same shape and all elements equal

// ---- choosing ----
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
Tensor masked_fill(const Tensor& x, const Tensor& mask, const Tensor& value);  // value 0-dim
Tensor masked_fill(const Tensor& x, const Tensor& mask, double value);
const Tensor& masked_fill_(const Tensor& self, const Tensor& mask, const Tensor& value);
// Bounds may be absent (undefined); numbers as weak 0-dim tensors.
Tensor clamp(const Tensor& x, const Tensor& min, const Tensor& max);
Tensor clamp(const Tensor& x, std::optional<double> min, std::optional<double> max);
const Tensor& clamp_(const Tensor& self, const Tensor& min, const Tensor& max);
const Tensor& clamp_(const Tensor& self, std::optional<double> min, std::optional<double> max);
Tensor nan_to_num(const Tensor& x, double nan = 0, std::optional<double> posinf = {},
                  std::optional<double> neginf = {});
const Tensor& nan_to_num_(const Tensor& self, double nan = 0, std::optional<double> posinf = {},
                          std::optional<double> neginf = {});

// ---- pointwise mathematics ----
Tensor neg(const Tensor& x);
Tensor abs(const Tensor& x);
Tensor sign(const Tensor& x);
Tensor square(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor rsqrt(const Tensor& x);
Tensor reciprocal(const Tensor& x);
Tensor floor(const Tensor& x);
Tensor ceil(const Tensor& x);
Tensor round(const Tensor& x, int64_t decimals = 0);
const Tensor& round_(const Tensor& self, int64_t decimals = 0);
Tensor trunc(const Tensor& x);
Tensor frac(const Tensor& x);
Tensor deg2rad(const Tensor& x);
Tensor rad2deg(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor exp2(const Tensor& x);
Tensor expm1(const Tensor& x);
Tensor log(const Tensor& x);
Tensor log2(const Tensor& x);
Tensor log10(const Tensor& x);
Tensor log1p(const Tensor& x);
Tensor sin(const Tensor& x);
Tensor cos(const Tensor& x);
Tensor tan(const Tensor& x);
Tensor asin(const Tensor& x);
Tensor acos(const Tensor& x);
Tensor atan(const Tensor& x);
Tensor sinh(const Tensor& x);
Tensor cosh(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor asinh(const Tensor& x);
Tensor acosh(const Tensor& x);
Tensor atanh(const Tensor& x);
Tensor erf(const Tensor& x);
Tensor erfc(const Tensor& x);
Tensor erfinv(const Tensor& x);
Tensor lgamma(const Tensor& x);
Tensor digamma(const Tensor& x);
Tensor polygamma(int64_t n, const Tensor& x);  // the n-th derivative of digamma; n = 0 or 1
Tensor sinc(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor logit(const Tensor& x, std::optional<double> eps = {});
const Tensor& logit_(const Tensor& self, std::optional<double> eps = {});

// Every op from one tensor to one tensor without further parameters, for bindings and tests.
struct UnaryFunction {
    const char* name;
    Tensor (*call)(const Tensor& x);
    const Tensor& (*call_inplace)(const Tensor& self);  // null: torch has none
};
std::span<const UnaryFunction> unary_functions();

// ---- activations (torch.nn.functional) ----
Tensor relu(const Tensor& x);
const Tensor& relu_(const Tensor& self);
Tensor relu6(const Tensor& x);
Tensor leaky_relu(const Tensor& x, double negative_slope = 0.01);
Tensor elu(const Tensor& x, double alpha = 1);
Tensor selu(const Tensor& x);
Tensor celu(const Tensor& x, double alpha = 1);
Tensor gelu(const Tensor& x, const std::string& approximate = "none");  // or "tanh"
Tensor silu(const Tensor& x);
Tensor mish(const Tensor& x);
Tensor softplus(const Tensor& x, double beta = 1, double threshold = 20);
Tensor hardtanh(const Tensor& x, double min_val = -1, double max_val = 1);
Tensor hardswish(const Tensor& x);
Tensor hardsigmoid(const Tensor& x);
Tensor softsign(const Tensor& x);
Tensor tanhshrink(const Tensor& x);
Tensor softshrink(const Tensor& x, double lambd = 0.5);
Tensor hardshrink(const Tensor& x, double lambd = 0.5);
Tensor threshold(const Tensor& x, double threshold, double value);
Tensor logsigmoid(const Tensor& x);
Tensor prelu(const Tensor& x, const Tensor& weight);  // weight: one, or one per channel (dim 1)
Tensor glu(const Tensor& x, int64_t dim = -1);        // a * sigmoid(b), x split in halves a, b
const Tensor& leaky_relu_(const Tensor& self, double negative_slope = 0.01);
const Tensor& elu_(const Tensor& self, double alpha = 1);
const Tensor& selu_(const Tensor& self);
const Tensor& celu_(const Tensor& self, double alpha = 1);
const Tensor& silu_(const Tensor& self);
const Tensor& mish_(const Tensor& self);
const Tensor& hardtanh_(const Tensor& self, double min_val = -1, double max_val = 1);
const Tensor& hardswish_(const Tensor& self);
const Tensor& hardsigmoid_(const Tensor& self);
const Tensor& threshold_(const Tensor& self, double threshold, double value);

}  // namespace deeplite
