// Copies: to another layout, dtype or device, and into a tensor that exists.
#pragma once
#include "core/memory_format.h"

namespace deeplite {

// x itself when it is contiguous in that format already.
Tensor contiguous(const Tensor& x, MemoryFormat format = MemoryFormat::Contiguous);
Tensor clone(const Tensor& x, MemoryFormat format = MemoryFormat::Preserve);  // a copy
Tensor cast(const Tensor& x, DType dtype);         // x itself when it has that dtype
Tensor to_device(const Tensor& x, Device device);  // x itself when it is there
// self[...] = src, broadcast and cast, across devices too. Returns self.
const Tensor& copy_(const Tensor& self, const Tensor& src);
const Tensor& fill_(const Tensor& self, double value);
const Tensor& fill_(const Tensor& self, const Tensor& value);  // 0-d
const Tensor& zero_(const Tensor& self);

}  // namespace deeplite
