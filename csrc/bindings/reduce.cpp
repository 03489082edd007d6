#include "ops/reduce.h"

#include "bindings/bindings.h"

namespace deeplite {
namespace {

using OptDims = std::optional<Dims>;

void bind_sums(Api& api) {
    api.both(
        "sum(input, dim=None, keepdim=False, *, dtype=None)",
        [](const Tensor& x, const OptDims& dim, bool keepdim, OptionalDType dtype) {
            return sum(x, dim.value_or(Dims{}), keepdim, dtype);
        },
        "Sum of all elements, or over the dimensions `dim`. Integers and bool sum in int64.");
    api.method("sum_to_size(self, *size)", &sum_to_size);
}

void bind_logical(Api& api) {
    api.both("all(input, dim=None, keepdim=False)",
             [](const Tensor& x, const OptDims& dim, bool keepdim) {
                 return all(x, dim.value_or(Dims{}), keepdim);
             });
    api.both("any(input, dim=None, keepdim=False)",
             [](const Tensor& x, const OptDims& dim, bool keepdim) {
                 return any(x, dim.value_or(Dims{}), keepdim);
             });
    api.both("count_nonzero(input, dim=None)", [](const Tensor& x, const OptDims& dim) {
        return count_nonzero(x, dim.value_or(Dims{}));
    });
}

}  // namespace

void bind_reduce(Api& api) {
    bind_sums(api);
    bind_logical(api);
}

}  // namespace deeplite
