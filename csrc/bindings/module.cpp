// The extension module deeplite._C.
#include "bindings/bindings.h"
#include "bindings/pybind.h"
#include "kernels/cpu_backend.h"
#include "ops/factory.h"

PYBIND11_MODULE(_C, m) {
    using namespace deeplite;
    register_backend(cpu_backend());  // first: Device{} is the CPU
    install_grad_ops();
    init_errors(m);
    init_types(m);
    init_tensor_type(m);
    init_functions(m);
    m.attr("__version__") = DEEPLITE_VERSION;

    Api api(m);
    bind_creation(api);
    bind_interop(api);
    bind_tensor(api);
    bind_view(api);
    bind_autograd(api);
    bind_capture(api);
    bind_backends(api);
    bind_elementwise(api);
    bind_reduce(api);
    bind_gemm(api);
    bind_conv(api);
    bind_pool(api);
    bind_norm(api);
    bind_softmax(api);
    bind_loss(api);
    bind_index(api);
    bind_join(api);
    bind_random(api);
    bind_optim(api);
    bind_image(api);
}
