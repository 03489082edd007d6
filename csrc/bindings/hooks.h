// What C++ keeps of Python for autograd, hooks and functions written in Python, and how the cycle collector
// gets to see it: a hook that holds the tensor it hangs on would otherwise live for ever.
#pragma once
#include "autograd/meta.h"
#include "bindings/python.h"

namespace deeplite {

struct PyTensorHook {
    SharedPyObject callable;
    Tensor operator()(const Tensor& grad) const;
};

struct PyNodeHook {
    SharedPyObject callable;
    Grads operator()(const Grads& in, const Grads& out) const;
};

// A node whose backward is Python: autograd.Function builds these.
class PythonNode final : public Node {
 public:
    PythonNode(std::string name, py::object backward)
        : name_(std::move(name)), backward_(backward) {}
    std::string name() const override { return name_; }
    Grads apply(Grads dys) override;
    // The one whose backward runs on this thread: owner of the outputs it saved.
    static Node* current();
    SharedPyObject& backward() { return backward_; }

 private:
    std::string name_;
    SharedPyObject backward_;
};

// tp_traverse and tp_clear of Tensor and Node. C++ owners are invisible to the collector, so only what a
// single Python object owns is shown to it: a tensor's hooks and grad_fn while nothing else holds the
// TensorImpl, a node's while nothing else holds the node. Anything more is alive as far as it can tell.
int traverse_tensor(TensorImpl* t, visitproc visit, void* arg);
int traverse_node(Node* n, visitproc visit, void* arg);
void clear_tensor(TensorImpl* t);
void clear_node(Node* n);

// Tensors are made untracked, as most own nothing of Python and being tracked costs time. Called where
// that changes.
void track_tensor(PyObject* tensor);
bool owns_python(const TensorImpl& t);

}  // namespace deeplite
