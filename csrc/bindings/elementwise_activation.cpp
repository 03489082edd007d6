// torch.nn.functional's activations (and those that are also functions or methods).
#include "bindings/bindings.h"
#include "ops/elementwise.h"

namespace deeplite {
namespace {
using T1 = const Tensor&;
}  // namespace

void bind_activations(Api& api);

void bind_activations(Api& api) {
    api.nn("relu(input, inplace=False)",
           [](T1 x, bool inplace) -> Tensor { return inplace ? relu_(x) : relu(x); });
    api.nn("relu_(input)", &relu_);
    api.nn("relu6(input, inplace=False)",
           [](T1 x, bool inplace) -> Tensor { return inplace ? hardtanh_(x, 0, 6) : relu6(x); });
    api.nn("relu6_(input)", [](T1 x) -> Tensor { return hardtanh_(x, 0, 6); });
    api.nn("hardtanh(input, min_val=-1.0, max_val=1.0, inplace=False)",
           [](T1 x, double lo, double hi, bool inplace) -> Tensor {
               return inplace ? hardtanh_(x, lo, hi) : hardtanh(x, lo, hi);
           });
    api.nn("hardtanh_(input, min_val=-1.0, max_val=1.0)", &hardtanh_);
    api.nn("leaky_relu(input, negative_slope=0.01, inplace=False)",
           [](T1 x, double slope, bool inplace) -> Tensor {
               return inplace ? leaky_relu_(x, slope) : leaky_relu(x, slope);
           });
    api.nn("leaky_relu_(input, negative_slope=0.01)", &leaky_relu_);
    api.nn("elu(input, alpha=1.0, inplace=False)", [](T1 x, double alpha, bool inplace) -> Tensor {
        return inplace ? elu_(x, alpha) : elu(x, alpha);
    });
    api.nn("elu_(input, alpha=1.0)", &elu_);
    api.nn("selu(input, inplace=False)",
           [](T1 x, bool inplace) -> Tensor { return inplace ? selu_(x) : selu(x); });
    api.nn("selu_(input)", &selu_);
    api.nn("celu(input, alpha=1.0, inplace=False)", [](T1 x, double alpha, bool inplace) -> Tensor {
        return inplace ? celu_(x, alpha) : celu(x, alpha);
    });
    api.nn("celu_(input, alpha=1.0)", &celu_);
    api.fn("selu(input)", &selu);
    api.fn("celu(input, alpha=1.0)", &celu);
    api.nn("gelu(input, approximate='none')", &gelu);
    api.nn("silu_(input)", &silu_);
    api.nn("silu(input, inplace=False)",
           [](T1 x, bool inplace) -> Tensor { return inplace ? silu_(x) : silu(x); });
    api.nn("mish_(input)", &mish_);
    api.nn("mish(input, inplace=False)",
           [](T1 x, bool inplace) -> Tensor { return inplace ? mish_(x) : mish(x); });
    api.nn("softplus(input, beta=1.0, threshold=20.0)", &softplus);
    api.nn("hardswish_(input)", &hardswish_);
    api.nn("hardswish(input, inplace=False)",
           [](T1 x, bool inplace) -> Tensor { return inplace ? hardswish_(x) : hardswish(x); });
    api.nn("hardsigmoid_(input)", &hardsigmoid_);
    api.nn("hardsigmoid(input, inplace=False)",
           [](T1 x, bool inplace) -> Tensor { return inplace ? hardsigmoid_(x) : hardsigmoid(x); });
    api.nn("softsign(input)", &softsign);
    api.nn("tanhshrink(input)", &tanhshrink);
    api.nn("softshrink(input, lambd=0.5)", &softshrink);
    api.nn("hardshrink(input, lambd=0.5)", &hardshrink);
    api.both("hardshrink(input, lambd=0.5)", &hardshrink);
    api.nn("threshold(input, threshold, value, inplace=False)",
           [](T1 x, double threshold, double value, bool inplace) -> Tensor {
               return inplace ? threshold_(x, threshold, value)
                              : deeplite::threshold(x, threshold, value);
           });
    api.nn("threshold_(input, threshold, value)", &threshold_);
    api.fn("threshold(input, threshold, value)", &threshold);
    api.nn("logsigmoid(input)", &logsigmoid);
    api.nn("sigmoid(input)", &sigmoid);
    api.nn("tanh(input)", &tanh);
    api.both("prelu(input, weight)", &prelu);
    api.nn("prelu(input, weight)", &prelu);
    api.nn("glu(input, dim=-1)", &glu);
}

}  // namespace deeplite
