// What Python's operators on tensors call. bindings/<family>.cpp fill the entries they own.
#pragma once
#include "core/tensor.h"

namespace deeplite {

using BinaryFn = Tensor (*)(const Tensor&, const Tensor&);
using BinaryInplaceFn = const Tensor& (*)(const Tensor&, const Tensor&);
using UnaryFn = Tensor (*)(const Tensor&);

struct Operators {
    BinaryFn add = nullptr, sub = nullptr, mul = nullptr, div = nullptr, floor_divide = nullptr,
             remainder = nullptr, pow = nullptr, matmul = nullptr, bitwise_and = nullptr,
             bitwise_or = nullptr, bitwise_xor = nullptr, lshift = nullptr, rshift = nullptr;
    BinaryFn lt = nullptr, le = nullptr, eq = nullptr, ne = nullptr, gt = nullptr, ge = nullptr;
    BinaryInplaceFn add_ = nullptr, sub_ = nullptr, mul_ = nullptr, div_ = nullptr,
                    floor_divide_ = nullptr, remainder_ = nullptr, pow_ = nullptr,
                    bitwise_and_ = nullptr, bitwise_or_ = nullptr, bitwise_xor_ = nullptr,
                    lshift_ = nullptr, rshift_ = nullptr;
    UnaryFn neg = nullptr, abs = nullptr, bitwise_not = nullptr;
    // Advanced indexing; an undefined entry of `indices` is a full slice, the others are int64.
    Tensor (*index)(const Tensor& x, const TensorList& indices) = nullptr;
    const Tensor& (*index_put_)(const Tensor& self, const TensorList& indices, const Tensor& values,
                                bool accumulate) = nullptr;
    Tensor (*nonzero)(const Tensor& x) = nullptr;  // int64 [count, x.dim()]
};
Operators& operators();

}  // namespace deeplite
