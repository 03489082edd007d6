// autograd for Python: backward and grad, modes, hooks, nodes, and functions written in Python.
#include "autograd/engine.h"

#include <pybind11/stl.h>

#include "bindings/bindings.h"
#include "bindings/hooks.h"
#include "bindings/pybind.h"
#include "graph/capture.h"

namespace deeplite {
namespace {

// Stands where a replay would need the backward of a Python function: its context is gone.
class NotReplayed final : public Node {
 public:
    explicit NotReplayed(std::string name) : name_(std::move(name)) {}
    std::string name() const override { return name_; }
    Grads apply(Grads) override {
        throw NotImplementedError(
            cat(name_,
                ": a function written in Python cannot be differentiated in a replay; "
                "capture its gradient too"));
    }

 private:
    std::string name_;
};

struct RecordedFunction final : RecordedOp {
    RecordedFunction(std::string n, size_t count) : function(std::move(n)), inputs(count) {}
    const char* name() const override { return "python_function"; }
    std::vector<Attribute> attributes() const override { return {{"name", function}}; }
    // inputs..., outputs... -> the outputs again, connected
    TensorList run(std::span<const Tensor> in) const override {
        TensorList out(in.begin() + ptrdiff_t(inputs), in.end());
        auto node = make_ref<NotReplayed>(function);
        bool wanted = false;
        for (const Tensor& t : in.first(inputs)) {
            node->edges.push_back(grad_enabled() ? gradient_edge(t) : Edge{});
            wanted = wanted || node->edges.back();
        }
        for (size_t i = 0; wanted && i < out.size(); ++i) {
            node->outputs.push_back(TensorInfo(out[i]));
            if (!out[i].is_floating()) continue;
            out[i] = raw_alias(out[i]);
            AutogradMeta& m = ensure_meta(out[i]);
            m.grad_fn = Ref<Node>(node);
            m.output_nr = uint32_t(i);
        }
        return out;
    }
    std::string function;
    size_t inputs;
};

// Connects `outputs` to a node that calls `backward(*grads)` and sends what it returns to `inputs`.
void attach_python_node(std::string name, py::object backward, TensorList inputs,
                        TensorList outputs) {
    if (t_recorder) {
        TensorList all = inputs;
        all.insert(all.end(), outputs.begin(), outputs.end());
        t_recorder->record(std::make_shared<RecordedFunction>(name, inputs.size()), all, outputs);
    }
    auto node = make_ref<PythonNode>(std::move(name), backward);
    for (const Tensor& t : inputs) node->edges.push_back(gradient_edge(t));
    for (size_t i = 0; i < outputs.size(); ++i) {
        node->outputs.push_back(TensorInfo(outputs[i]));
        if (!outputs[i].is_floating()) continue;
        AutogradMeta& m = ensure_meta(outputs[i]);
        m.grad_fn = Ref<Node>(node);
        m.output_nr = uint32_t(i);
        if (void* shown = outputs[i].impl()->pyobj) track_tensor(static_cast<PyObject*>(shown));
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
    GilRelease unlocked;
    backward(roots, dys, retain.value_or(create), create, only);
}

TensorList py_grad(py::object outputs, py::object inputs, py::object grads,
                   std::optional<bool> retain, bool create, std::optional<bool> allow_unused,
                   bool materialize) {
    TensorList roots = list_of(outputs, "grad"), in = list_of(inputs, "grad"),
               dys = list_of(grads, "grad");
    if (dys.empty()) dys.resize(roots.size());
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

Node* node_of(PyObject* o) {
    return py::detail::is_holder_constructed(o) ? py::handle(o).cast<Node*>() : nullptr;
}
void collect_nodes(PyHeapTypeObject* heap) {
    PyTypeObject* type = &heap->ht_type;
    type->tp_flags |= Py_TPFLAGS_HAVE_GC;
    type->tp_traverse = [](PyObject* o, visitproc visit, void* arg) {
        Py_VISIT(Py_TYPE(o));
        return traverse_node(node_of(o), visit, arg);
    };
    type->tp_clear = [](PyObject* o) {
        clear_node(node_of(o));
        return 0;
    };
}

void bind_nodes(py::module_& m) {
    py::class_<Node, Ref<Node>>(m, "Node", py::custom_type_setup(collect_nodes),
                                "A step of the backward graph (``tensor.grad_fn``).")
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
                 n.hooks().post.push_back({id, PyNodeHook{SharedPyObject(f)}});
                 return id;
             })
        .def("_remove_hook", [](Node& n, int64_t id) {
            std::erase_if(n.hooks().post, [id](auto& h) { return h.id == id; });
        });
    m.def("_attach_python_node", &attach_python_node);
    m.def("_current_node", [] { return Ref<Node>(PythonNode::current()); });
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
    m.def("is_grad_enabled", &grad_enabled, "Whether operations are recorded in this thread.");
    m.def("_set_grad_enabled", [](bool on) { return std::exchange(t_grad_state.enabled, on); });
    m.def(
        "is_inference_mode_enabled", [] { return t_grad_state.inference; },
        "Whether this thread is in inference_mode.");
    m.def("_set_inference", [](bool on) { return std::exchange(t_grad_state.inference, on); });
    m.def("_anomaly_enabled", &anomaly_enabled);
    m.def("_set_anomaly_enabled", &set_anomaly_enabled);
    m.def("_push_layer", &push_layer);
    m.def("_pop_layer", &pop_layer);
}

PyObject* get_grad_fn(PyObject* self, void*) {
    Ref<Node> n = grad_fn(unwrap(self));
    if (n) track_tensor(self);  // a hook may be hung on the node
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
    api.method("_add_hook(self, hook)", [](const Tensor& x, py::object f) {
        int64_t id = add_tensor_hook(x, PyTensorHook{SharedPyObject(f)});
        track_tensor(static_cast<PyObject*>(x.impl()->pyobj));
        return id;
    });
    api.method("_add_post_accumulate_hook(self, hook)", [](const Tensor& x, py::object f) {
        int64_t id = add_post_accumulate_hook(x, PyTensorHook{SharedPyObject(f)});
        track_tensor(static_cast<PyObject*>(x.impl()->pyobj));
        return id;
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
