// All of pybind11, for the few files that need it.
#pragma once
#include <pybind11/pybind11.h>

#include "bindings/python.h"

PYBIND11_DECLARE_HOLDER_TYPE(T, deeplite::Ref<T>, true)

namespace pybind11::detail {
template <>
struct type_caster<deeplite::Tensor> {
    PYBIND11_TYPE_CASTER(deeplite::Tensor, const_name("Tensor"));
    bool load(handle src, bool) {
        if (src.is_none()) return true;  // undefined
        if (!deeplite::is_tensor(src.ptr())) return false;
        value = deeplite::unwrap(src.ptr());
        return true;
    }
    static handle cast(const deeplite::Tensor& t, return_value_policy, handle) {
        return deeplite::wrap(t);
    }
};
}  // namespace pybind11::detail
