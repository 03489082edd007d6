// What autograd keeps per tensor: whether it wants a gradient, the gradient, who made it, what it is a view of.
#pragma once
#include "autograd/grad_mode.h"
#include "autograd/node.h"

namespace deeplite {

struct AutogradMeta : TensorMeta {
    ~AutogradMeta() override {
        if (self) *self = nullptr;
    }
    bool requires_grad = false;  // set by the user, on leaves
    bool retain_grad = false;
    bool view_made_without_grad = false;  // in-place on such a view cannot be traced to its base
    uint32_t output_nr = 0;
    Ref<Node> grad_fn;  // null for leaves
    Tensor grad;
    std::atomic<AccumulateGrad*> accumulator{nullptr};  // not owned; cleared by its destructor
    std::vector<NodeHooks::Pre> leaf_hooks;             // tensor hooks of a leaf
    std::vector<NodeHooks::Pre> post_accumulate_hooks;
    std::shared_ptr<AutogradMeta*> self;  // set by retain_grad: how its hook finds this meta
    // A differentiable view remembers its base; after an in-place change its grad_fn is made anew.
    Tensor view_base;
    uint32_t view_version = 0;
};

inline AutogradMeta* meta_of(const Tensor& t) {
    return static_cast<AutogradMeta*>(t.impl()->meta.get());
}
AutogradMeta& ensure_meta(const Tensor& t);

inline bool requires_grad(const Tensor& t) {
    if (!t.defined()) return false;
    AutogradMeta* m = meta_of(t);
    return m &&
           (m->requires_grad || m->grad_fn ||
            (m->view_base.defined() && !m->view_made_without_grad && requires_grad(m->view_base)));
}
// The node that made t, brought up to date if t is a view whose base was changed in place. Null for leaves.
Ref<Node> grad_fn(const Tensor& t);
inline bool is_leaf(const Tensor& t) { return !requires_grad(t) || !grad_fn(t); }
bool is_view(const Tensor& t);
// Where the gradient of t goes; empty when t needs none.
Edge gradient_edge(const Tensor& t);

void set_requires_grad(const Tensor& t, bool on);  // leaves of floating dtype only
Tensor grad_of(const Tensor& t);                   // t.grad, undefined when there is none
void set_grad(const Tensor& t, const Tensor& g);   // checks shape, dtype and device
void record_grad(const Tensor& t);                 // a capture notes what t.grad has become
void retain_grad(const Tensor& t);
Tensor detach(const Tensor& t);  // new tensor on the same storage, outside the graph
void detach_(const Tensor& t);   // cuts t itself off
int64_t add_tensor_hook(const Tensor& t, TensorHook hook);
int64_t add_post_accumulate_hook(const Tensor& t, TensorHook hook);
void remove_hook(const Tensor& t, int64_t id);

// Makes `out` a differentiable view of `in` (called by apply for ops that return views).
void link_view(const Tensor& in, const Tensor& out);
// Refuses in-place changes autograd could not survive; called before anything is written.
void check_inplace(const Tensor& self, const char* op);
// After an in-place op recorded as `node`: self (or, for a view, its base) now comes from node.
void rebase_history(const Tensor& self, Ref<Node> node);

// The few ops autograd itself needs. The ops layer fills this in at load time, so that autograd does not
// know it.
struct GradOps {
    Tensor (*add)(const Tensor& a, const Tensor& b);
    void (*add_into)(const Tensor& acc, const Tensor& b);  // acc += b, unrecorded
    Tensor (*zeros)(const Dims& shape, DType dtype, Device device);
    Tensor (*ones)(const Dims& shape, DType dtype, Device device);
    Tensor (*clone)(const Tensor& x);
    Tensor (*cast)(const Tensor& x, DType dtype);
    Tensor (*as_strided)(const Tensor& x, const Dims& shape, const Dims& strides, int64_t offset);
    Ref<Node> (*copy_slices)(const Tensor& base, const Tensor& view, Ref<Node> inner);
    bool (*has_nan)(const Tensor& x);
};
GradOps& grad_ops();

}  // namespace deeplite
