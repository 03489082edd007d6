#include "bindings/hooks.h"

#include "bindings/pybind.h"

namespace deeplite {
namespace {

thread_local Node* t_current = nullptr;

py::object object_of(const SharedPyObject& o) {
    return py::reinterpret_borrow<py::object>(o.get());
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

// ---------------------------------------------------------------------- for the collector

// A copy of a hook that is about to run shares the one Python reference.
int visit(const SharedPyObject& o, visitproc visit, void* arg) {
    if (o.shared()) return 0;
    Py_VISIT(o.get());
    return 0;
}

int visit_hooks(const std::vector<NodeHooks::Pre>& hooks, visitproc fn, void* arg) {
    for (const auto& h : hooks)
        if (auto* hook = h.call.target<PyTensorHook>())
            if (int stop = visit(hook->callable, fn, arg)) return stop;
    return 0;
}

bool only_owner(const RefCounted& o) { return o.refs.load(std::memory_order_acquire) == 1; }

}  // namespace

Tensor PyTensorHook::operator()(const Tensor& grad) const {
    py::gil_scoped_acquire gil;
    py::object r = object_of(callable)(grad);
    if (r.is_none()) return {};
    check<TypeError>(is_tensor(r.ptr()), "a tensor hook must return a tensor or None, got ",
                     Py_TYPE(r.ptr())->tp_name);
    return unwrap(r.ptr());
}

Grads PyNodeHook::operator()(const Grads& in, const Grads& out) const {
    py::gil_scoped_acquire gil;
    return to_grads(object_of(callable)(to_tuple(in), to_tuple(out)), "node hook");
}

Node* PythonNode::current() { return t_current; }

Grads PythonNode::apply(Grads dys) {
    py::gil_scoped_acquire gil;
    struct Running {
        Node* outer;
        explicit Running(Node* n) : outer(std::exchange(t_current, n)) {}
        ~Running() { t_current = outer; }
    } running(this);
    for (int i = 0; i < dys.size(); ++i)
        if (!dys[i].defined())
            dys[i] = grad_ops().zeros(outputs[i].shape, outputs[i].dtype, outputs[i].device);
    Grads g = to_grads(object_of(backward_)(*to_tuple(dys)), name_.c_str());
    check(g.size() >= edges.size(), name_, ": backward returned ", g.size(),
          " gradients, expected ", edges.size());
    for (int i = edges.size(); i < g.size(); ++i)
        check(!g[i].defined(), name_, ": backward returned a gradient for input ", i,
              ", which is no tensor input");
    return g;
}

int traverse_node(Node* n, visitproc fn, void* arg) {
    if (!n || !only_owner(*n)) return 0;
    if (auto* python = dynamic_cast<PythonNode*>(n))
        if (int stop = visit(python->backward(), fn, arg)) return stop;
    NodeHooks* hooks = n->hooks_if_any();
    if (!hooks) return 0;
    for (const auto& h : hooks->post)
        if (auto* hook = h.call.target<PyNodeHook>())
            if (int stop = visit(hook->callable, fn, arg)) return stop;
    return visit_hooks(hooks->pre, fn, arg);
}

int traverse_tensor(TensorImpl* t, visitproc fn, void* arg) {
    if (!t || !t->meta || !only_owner(*t)) return 0;
    auto* m = static_cast<AutogradMeta*>(t->meta.get());
    if (int stop = visit_hooks(m->leaf_hooks, fn, arg)) return stop;
    if (int stop = visit_hooks(m->post_accumulate_hooks, fn, arg)) return stop;
    return traverse_node(m->grad_fn.get(), fn, arg);
}

// What is dropped here is moved out first: dropping it may run Python that looks at the same tensor.
void clear_node(Node* n) {
    if (!n || !only_owner(*n)) return;
    NodeHooks dropped;
    if (n->hooks_if_any()) std::swap(dropped, n->hooks());
    if (auto* python = dynamic_cast<PythonNode*>(n))
        std::exchange(python->backward(), SharedPyObject(py::none()));
}

void clear_tensor(TensorImpl* t) {
    if (!t || !t->meta || !only_owner(*t)) return;
    auto* m = static_cast<AutogradMeta*>(t->meta.get());
    auto leaf = std::exchange(m->leaf_hooks, {});
    auto post = std::exchange(m->post_accumulate_hooks, {});
    clear_node(m->grad_fn.get());
}

void track_tensor(PyObject* tensor) {
    if (!PyObject_GC_IsTracked(tensor)) PyObject_GC_Track(tensor);
}

bool owns_python(const TensorImpl& t) {
    auto* m = static_cast<const AutogradMeta*>(t.meta.get());
    if (!m) return false;
    if (!m->leaf_hooks.empty() || !m->post_accumulate_hooks.empty()) return true;
    return m->grad_fn &&
           (m->grad_fn->hooks_if_any() || dynamic_cast<const PythonNode*>(m->grad_fn.get()));
}

}  // namespace deeplite
