#include "ops/softmax.h"

#include "bindings/bindings.h"

namespace deeplite {

void bind_softmax(Api& api) {
    api.both("softmax(input, dim, dtype=None)", &softmax);
    api.both("log_softmax(input, dim, dtype=None)", &log_softmax);
    api.nn("softmin(input, dim, dtype=None)", &softmin);
}

}  // namespace deeplite
