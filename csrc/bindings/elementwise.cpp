#include "ops/elementwise.h"

#include "bindings/bindings.h"
#include "bindings/operators.h"

namespace deeplite {

void bind_elementwise(Api& api) {
    api.both("add(input, other, *, alpha=1)",
             [](const Operand& a, const Operand& b, double alpha) { return add(a, b, alpha); });
    api.method("add_(self, other, *, alpha=1)",
               [](const Tensor& a, const Operand& b, double alpha) { return add_(a, b, alpha); });
    operators().add = [](const Tensor& a, const Tensor& b) { return add(a, b); };
    operators().add_ = [](const Tensor& a, const Tensor& b) -> const Tensor& { return add_(a, b); };
}

}  // namespace deeplite
