// Copies: to another layout, dtype or device, and into a tensor that exists.
#pragma once
#include "core/tensor.h"

namespace deeplite {

Tensor contiguous(const Tensor& x);                // x itself when it is contiguous already
Tensor clone(const Tensor& x);                     // a copy, in x's layout when x is dense
Tensor cast(const Tensor& x, DType dtype);         // x itself when it has that dtype
Tensor to_device(const Tensor& x, Device device);  // x itself when it is there
// self[...] = src, broadcast and cast, across devices too. Returns self.
const Tensor& copy_(const Tensor& self, const Tensor& src);
const Tensor& fill_(const Tensor& self, double value);
const Tensor& fill_(const Tensor& self, const Tensor& value);  // 0-d
const Tensor& zero_(const Tensor& self);

}  // namespace deeplite
