// deeplite.capture and the graph it returns.
#include "graph/capture.h"

#include <pybind11/stl.h>

#include "bindings/bindings.h"
#include "bindings/pybind.h"

namespace deeplite {
namespace {

py::object attribute_value(const AttributeValue& v) {
    return std::visit(
        [](const auto& x) -> py::object {
            if constexpr (std::is_same_v<std::decay_t<decltype(x)>, Dims>) {
                py::tuple t(x.size());
                for (int i = 0; i < x.size(); ++i) t[size_t(i)] = x[i];
                return t;
            } else {
                return py::cast(x);
            }
        },
        v);
}

py::dict describe_value(const Graph::Value& v, int id) {
    static const char* kinds[] = {"input", "constant", "result"};
    py::dict d;
    d["id"] = id;
    d["kind"] = kinds[int(v.kind)];
    d["shape"] = py::reinterpret_steal<py::object>(size_object(v.shape));
    d["dtype"] = py::handle(dtype_object(v.dtype));
    d["device"] = v.device;
    d["constant"] = v.constant;
    return d;
}

py::dict describe_step(const Graph::Step& s) {
    py::dict d, attributes;
    for (const Attribute& a : s.op->attributes())
        attributes[py::str(a.name)] = attribute_value(a.value);
    d["op"] = s.op->name();
    d["attributes"] = attributes;
    d["inputs"] = s.inputs;
    d["outputs"] = s.outputs;
    return d;
}

// Runs fn() with recording on. fn returns the flat list of output tensors.
Graph record(py::object fn, TensorList inputs) {
    Recorder recorder(inputs);
    py::object out = fn();
    TensorList outputs;
    check<TypeError>(bind::Caster<TensorList>::load(out.ptr(), outputs),
                     "capture: the function must return tensors");
    return recorder.finish(outputs);
}

}  // namespace

void bind_capture(Api& api) {
    py::class_<Graph>(api.module, "_Graph")
        .def("replay",
             [](const Graph& g, TensorList inputs) {
                 GilRelease unlocked;
                 return g.replay(inputs);
             })
        .def("__str__", &Graph::str)
        .def_readonly("inputs", &Graph::inputs)
        .def_readonly("outputs", &Graph::outputs)
        .def_property_readonly("values",
                               [](const Graph& g) {
                                   py::list l;
                                   for (size_t i = 0; i < g.values.size(); ++i)
                                       l.append(describe_value(g.values[i], int(i)));
                                   return l;
                               })
        .def_property_readonly("steps", [](const Graph& g) {
            py::list l;
            for (const auto& s : g.steps) l.append(describe_step(s));
            return l;
        });
    api.module.def("_capture", &record);
    api.module.def("_is_capturing", [] { return t_recorder != nullptr; });
}

}  // namespace deeplite
