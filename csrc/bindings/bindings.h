// One function per bindings/<family>.cpp; module.cpp calls them all.
#pragma once
#include "bindings/function.h"

namespace deeplite {

void bind_creation(Api& api);
void bind_interop(Api& api);
void bind_tensor(Api& api);
void bind_view(Api& api);
void bind_autograd(Api& api);
void bind_capture(Api& api);
void bind_backends(Api& api);
void bind_elementwise(Api& api);
void bind_reduce(Api& api);
void bind_gemm(Api& api);
void bind_conv(Api& api);
void bind_pool(Api& api);
void bind_norm(Api& api);
void bind_softmax(Api& api);
void bind_loss(Api& api);
void bind_index(Api& api);
void bind_join(Api& api);
void bind_random(Api& api);
void bind_optim(Api& api);
void bind_image(Api& api);

// interop.cpp: shares the array's memory.
Tensor from_numpy(py::handle array, bool need_writable);
DType dtype_of_numpy(py::handle array_or_scalar);

}  // namespace deeplite
