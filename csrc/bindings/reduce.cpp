#include "ops/reduce.h"

#include "bindings/bindings.h"

namespace deeplite {

void bind_reduce(Api& api) {
    api.both("sum(input)", [](const Tensor& x) { return sum(x); });
}

}  // namespace deeplite
