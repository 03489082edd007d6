// deeplite.backends: loading plug-ins, and the CPU backend's choice of instruction set.
#include <pybind11/stl.h>

#include "bindings/bindings.h"
#include "bindings/pybind.h"
#include "core/device.h"
#include "kernels/cpu_backend.h"
#include "kernels/parallel.h"

namespace deeplite {
namespace {

std::vector<std::string> isas_available() {
    std::vector<std::string> names;
    for (int i = 0; const char* name = dl_cpu_isa_name(i); ++i)
        if (dl_cpu_isa_available(name)) names.push_back(name);
    return names;
}

void set_isa(const std::string& name) {
    if (dl_cpu_set_isa(name.c_str())) return;
    std::string text =
        "set_isa: '" + name + "' is not available; this build on this machine offers ";
    const char* separator = "";
    for (const std::string& s : isas_available()) {
        text += separator + s;
        separator = ", ";
    }
    throw py::value_error(text);
}

void set_num_threads(int64_t n) {
    if (n < 1 || n > 1024)
        throw py::value_error("set_num_threads: expected 1 to 1024, got " + std::to_string(n));
    dl_set_num_threads(int(n));
}

}  // namespace

void bind_backends(Api& api) {
    // A wish in the environment that this machine cannot meet is an error, not something to pass over.
    if (const char* error = dl_cpu_env_error()) throw py::import_error(error);
    py::module_ m = api.module.def_submodule("_backends");
    m.def("cpu_isas", &isas_available);
    m.def("cpu_isa", [] { return std::string(dl_cpu_isa()); });
    m.def("cpu_set_isa", &set_isa, py::arg("name"));
    m.def("load", &load_backend, py::arg("path"));
    m.def("names", &backend_names);

    api.fn("get_num_threads()", +[] { return int64_t(dl_num_threads()); });
    api.fn("set_num_threads(n)", &set_num_threads);
}

}  // namespace deeplite
