#include "ops/softmax.h"

#include "bindings/bindings.h"

namespace deeplite {

void bind_softmax(Api& api) {
    api.both("softmax(input, dim, dtype=None)", &softmax,
             "exp(x) / sum(exp(x)) along dim; dtype: cast to it first.");
    api.both("log_softmax(input, dim, dtype=None)", &log_softmax,
             "x - log(sum(exp(x))) along dim.");
    api.nn("softmin(input, dim, dtype=None)", &softmin, "softmax(-x) along dim.");
}

}  // namespace deeplite
