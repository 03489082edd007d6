// autograd for Python: backward and grad, modes, hooks, nodes, and functions written in Python.
#include "autograd/engine.h"

#include <pybind11/stl.h>

#include "bindings/bindings.h"
#include "bindings/pybind.h"
#include "graph/capture.h"

namespace deeplite {
namespace {

TensorHook tensor_hook(py::object callable) {
    return [f = SharedPyObject(callable)](const Tensor& g) -> Tensor {
        py::gil_scoped_acquire gil;
        py::object r = py::reinterpret_borrow<py::object>(f.get())(g);
        if (r.is_none()) return {};
        check<TypeError>(is_tensor(r.ptr()), "a tensor hook must return a tensor or None, got ",
                         Py_TYPE(r.ptr())->tp_name);
        return unwrap(r.ptr());
    };
}

py::tuple to_tuple(const Grads& g) {
    py::tuple t(g.size());
    for (int i = 0; i < g.size(); ++i) t[size_t(i)] = g[i];
    return t;
}

Grads to_grads(py::handle o, const char* who) {
    Grads g;
    if (o.is_none()) return g;
    if (is_tensor(o.ptr())) {
        g.push_back(unwrap(o.ptr()));
        return g;
    }
    check<TypeError>(PyTuple_Check(o.ptr()) || PyList_Check(o.ptr()), who,
                     ": expected a tensor or a tuple of them, got ", Py_TYPE(o.ptr())->tp_name);
    for (py::handle e : o) {
        check<TypeError>(e.is_none() || is_tensor(e.ptr()), who, ": expected tensors or None, got ",
                         Py_TYPE(e.ptr())->tp_name);
        g.push_back(e.is_none() ? Tensor{} : unwrap(e.ptr()));
    }
    return g;
}

NodeHook node_hook(py::object callable) {
    return [f = SharedPyObject(callable)](const Grads& in, const Grads& out) -> Grads {
        py::gil_scoped_acquire gil;
        py::object r = py::reinterpret_borrow<py::object>(f.get())(to_tuple(in), to_tuple(out));
        return to_grads(r, "node hook");
    };
}

// The Python-defined node whose backward runs on this thread: owner of the outputs it saved.
thread_local Node* t_current = nullptr;

// A node whose backward is Python: autograd.Function builds these.
class PythonNode final : public Node {
 public:
    PythonNode(std::string name, py::object backward)
        : name_(std::move(name)), backward_(backward) {}
    std::string name() const override { return name_; }
    Grads apply(Grads dys) override {
        py::gil_scoped_acquire gil;
        Node* outer = std::exchange(t_current, this);
        struct Restore {
            Node* outer;
            ~Restore() { t_current = outer; }
        } restore{outer};
        for (int i = 0; i < dys.size(); ++i)
            if (!dys[i].defined())
                dys[i] = grad_ops().zeros(outputs[i].shape, outputs[i].dtype, outputs[i].device);
        py::object r = py::reinterpret_borrow<py::object>(backward_.get())(*to_tuple(dys));
        Grads g = to_grads(r, name_.c_str());
        check(g.size() >= edges.size(), name_, ": backward returned ", g.size(),
              " gradients, expected ", edges.size());
        for (int i = edges.size(); i < g.size(); ++i)
            check(!g[i].defined(), name_, ": backward returned a gradient for input ", i,
                  ", which is no tensor input");
        return g;
    }

 private:
    std::string name_;
    SharedPyObject backward_;
};

// Connects `outputs` to a node that calls `backward(*grads)` and sends what it returns to `inputs`.
void attach_python_node(std::string name, py::object backward, TensorList inputs,
                        TensorList outputs) {
    auto node = make_ref<PythonNode>(std::move(name), backward);
    for (const Tensor& t : inputs) node->edges.push_back(gradient_edge(t));
    for (size_t i = 0; i < outputs.size(); ++i) {
        node->outputs.push_back(TensorInfo(outputs[i]));
        if (!outputs[i].is_floating()) continue;
        AutogradMeta& m = ensure_meta(outputs[i]);
        m.grad_fn = Ref<Node>(node);
        m.output_nr = uint32_t(i);
    }
}

// Saved tensors of a Python function: version-checked, and outputs do not keep their own node alive.
struct PySaved {
    SavedTensor saved;
    bool empty = true;
};

TensorList list_of(py::handle o, const char* what) {
    TensorList l;
    if (o.is_none()) return l;
    if (is_tensor(o.ptr())) return {unwrap(o.ptr())};
    check<TypeError>(bind::Caster<TensorList>::load(o.ptr(), l), what,
                     ": expected a tensor or a sequence of tensors");
    return l;
}

void py_backward(py::object tensors, py::object grads, std::optional<bool> retain, bool create,
                 py::object inputs) {
    TensorList roots = list_of(tensors, "backward"), dys = list_of(grads, "backward"),
               only = list_of(inputs, "backward");
    if (dys.empty()) dys.resize(roots.size());
    check<NotImplementedError>(!t_recorder, "capture: gradients cannot be captured");
    GilRelease unlocked;
    backward(roots, dys, retain.value_or(create), create, only);
}

TensorList py_grad(py::object outputs, py::object inputs, py::object grads,
                   std::optional<bool> retain, bool create, std::optional<bool> allow_unused,
                   bool materialize) {
    TensorList roots = list_of(outputs, "grad"), in = list_of(inputs, "grad"),
               dys = list_of(grads, "grad");
    if (dys.empty()) dys.resize(roots.size());
    check<NotImplementedError>(!t_recorder, "capture: gradients cannot be captured");
    check<ValueError>(!materialize || allow_unused.value_or(true),
                      "grad: materialize_grads needs allow_unused");
    TensorList out;
    {
        GilRelease unlocked;
        out = grad(roots, dys, in, retain.value_or(create), create,
                   allow_unused.value_or(materialize));
    }
    for (size_t i = 0; i < out.size() && materialize; ++i)
        if (!out[i].defined())
            out[i] = grad_ops().zeros(in[i].shape(), in[i].dtype(), in[i].device());
    return out;
}

void bind_nodes(py::module_& m) {
    py::class_<Node, Ref<Node>>(m, "Node", "A step of the backward graph (``tensor.grad_fn``).")
        .def("name", &Node::name)
        .def("__repr__", [](const Node& n) { return "<" + n.name() + ">"; })
        .def("__eq__",
             [](const Node& a, py::object b) {
                 return py::isinstance<Node>(b) && &b.cast<const Node&>() == &a;
             })
        .def("__hash__", [](const Node& n) { return reinterpret_cast<intptr_t>(&n); })
        .def_property_readonly("layer", [](const Node& n) { return n.layer ? *n.layer : ""; })
        .def_property_readonly("variable",
                               [](const Node& n) {
                                   auto* leaf = dynamic_cast<const AccumulateGrad*>(&n);
                                   return leaf ? leaf->leaf : Tensor{};
                               })
        .def_property_readonly("next_functions",
                               [](const Node& n) {
                                   py::tuple t(n.edges.size());
                                   for (int i = 0; i < n.edges.size(); ++i)
                                       t[size_t(i)] = py::make_tuple(
                                           n.edges[i] ? py::cast(n.edges[i].node) : py::none(),
                                           n.edges[i].output);
                                   return t;
                               })
        .def("_register_hook",
             [](Node& n, py::object f) {
                 int64_t id = next_hook_id();
                 n.hooks().post.push_back({id, node_hook(f)});
                 return id;
             })
        .def("_remove_hook", [](Node& n, int64_t id) {
            std::erase_if(n.hooks().post, [id](auto& h) { return h.id == id; });
        });
    m.def("_attach_python_node", &attach_python_node);
    m.def("_current_node", [] { return Ref<Node>(t_current); });
    py::class_<PySaved>(m, "_SavedTensor")
        .def(py::init([](Tensor t, int output) {
            PySaved s;
            s.empty = !t.defined();
            if (!s.empty)
                output < 0 ? s.saved.save_input(t) : s.saved.save_output(t, uint32_t(output));
            return s;
        }))
        .def("unpack", [](const PySaved& s, py::object owner, const std::string& name) {
            if (s.empty) return Tensor{};
            return s.saved.unpack(owner.is_none() ? nullptr : owner.cast<Node*>(), name.c_str());
        });
}

void bind_modes(py::module_& m) {
    m.def("is_grad_enabled", &grad_enabled);
    m.def("_set_grad_enabled", [](bool on) { return std::exchange(t_grad_state.enabled, on); });
    m.def("is_inference_mode_enabled", [] { return t_grad_state.inference; });
    m.def("_set_inference", [](bool on) { return std::exchange(t_grad_state.inference, on); });
    m.def("_anomaly_enabled", &anomaly_enabled);
    m.def("_set_anomaly_enabled", &set_anomaly_enabled);
    m.def("_push_layer", &push_layer);
    m.def("_pop_layer", &pop_layer);
}

PyObject* get_grad_fn(PyObject* self, void*) {
    Ref<Node> n = grad_fn(unwrap(self));
    return n ? py::cast(n).release().ptr() : Py_NewRef(Py_None);
}

}  // namespace

void bind_autograd(Api& api) {
    bind_nodes(api.module);
    bind_modes(api.module);
    api.property("grad_fn", get_grad_fn, nullptr, "Node | None");
    api.fn(
        "_backward(tensors, grad_tensors=None, retain_graph=None, create_graph=False, inputs=None)",
        &py_backward);
    api.fn(
        "_grad(outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, "
        "allow_unused=None, "
        "materialize_grads=False)",
        &py_grad);
    api.method("backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None)",
               &py_backward);
    api.both("detach(input)", &detach);
    api.method("detach_(self)", [](const Tensor& x) {
        detach_(x);
        return x;
    });
    api.method("requires_grad_(self, requires_grad=True)", [](const Tensor& x, bool on) {
        set_requires_grad(x, on);
        return x;
    });
    api.method("retain_grad(self)", &retain_grad);
    api.method("is_inference(self)", [](const Tensor& x) { return x.impl()->inference; });
    api.method("_add_hook(self, hook)",
               [](const Tensor& x, py::object f) { return add_tensor_hook(x, tensor_hook(f)); });
    api.method("_add_post_accumulate_hook(self, hook)", [](const Tensor& x, py::object f) {
        return add_post_accumulate_hook(x, tensor_hook(f));
    });
    api.method("_remove_hook(self, id)", [](const Tensor& x, int64_t id) { remove_hook(x, id); });
    api.fn("_make_subclass(cls, data, requires_grad=False)",
           [](py::object cls, const Tensor& data, bool grad) -> py::object {
               check<TypeError>(
                   PyType_Check(cls.ptr()) &&
                       PyType_IsSubtype(reinterpret_cast<PyTypeObject*>(cls.ptr()), tensor_type),
                   "_make_subclass: expected a subclass of Tensor");
               Tensor t = detach(data);
               py::object o = py::reinterpret_steal<py::object>(
                   wrap_as(reinterpret_cast<PyTypeObject*>(cls.ptr()), t));
               if (grad) set_requires_grad(t, true);
               return o;
           });
    py::object make = api.module.attr("_make_subclass");
    py::setattr(py::handle(reinterpret_cast<PyObject*>(tensor_type)), "_make_subclass",
                py::reinterpret_steal<py::object>(PyStaticMethod_New(make.ptr())));
}

}  // namespace deeplite
