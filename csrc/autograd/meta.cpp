#include "autograd/meta.h"

#include "graph/capture.h"

namespace deeplite {
namespace {

// What a capture records of autograd beside ops.
struct RecordedDetach final : RecordedOp {
    const char* name() const override { return "detach"; }
    std::vector<Attribute> attributes() const override { return {}; }
    TensorList run(std::span<const Tensor> in) const override { return {detach(in[0])}; }
};
// x.grad = g. A replay leaves a tensor alone that wants no gradient.
struct RecordedSetGrad final : RecordedOp {
    const char* name() const override { return "set_grad"; }
    std::vector<Attribute> attributes() const override { return {}; }
    TensorList run(std::span<const Tensor> in) const override {
        if (requires_grad(in[0])) set_grad(in[0], in[1]);
        return {};
    }
};

}  // namespace

GradOps& grad_ops() {
    static GradOps ops{};
    return ops;
}

bool is_view(const Tensor& t) {
    AutogradMeta* m = meta_of(t);
    return m && m->view_base.defined();
}

Ref<Node> grad_fn(const Tensor& t) {
    AutogradMeta* m = meta_of(t);
    if (!m) return {};
    if (m->view_base.defined() && !m->view_made_without_grad && m->view_version != t.version() &&
        requires_grad(m->view_base)) {
        // The base was changed in place since: what t shows now comes from the base's new history.
        GradMode on(true);
        Tensor again = grad_ops().as_strided(m->view_base, t.shape(), t.strides(), t.offset());
        m->grad_fn = meta_of(again)->grad_fn;
        m->output_nr = meta_of(again)->output_nr;
        m->view_version = t.version();
    }
    return m->grad_fn;
}

void set_requires_grad(const Tensor& t, bool on) {
    if (on == requires_grad(t)) return;
    check(on || is_leaf(t),
          "requires_grad can only be turned off for leaf tensors; use detach() for a tensor that ",
          "was computed");
    check(!on || t.is_floating(),
          "only tensors of floating-point dtype can require gradients, got ", t.dtype());
    check(!on || !t.impl()->inference, "requires_grad cannot be set on an inference tensor");
    ensure_meta(t).requires_grad = on;
}

Tensor grad_of(const Tensor& t) {
    AutogradMeta* m = meta_of(t);
    return m ? m->grad : Tensor{};
}

void set_grad(const Tensor& t, const Tensor& g) {
    if (g.defined()) {
        check(!g.is_same(t), "a tensor cannot be its own gradient");
        check<ShapeError>(g.shape() == t.shape(), "grad: expected shape ", t.shape(),
                          " of the tensor, got ", g.shape());
        check<TypeError>(g.dtype() == t.dtype(), "grad: expected dtype ", t.dtype(),
                         " of the tensor, got ", g.dtype());
        check(g.device() == t.device(), "grad: expected device ", t.device(),
              " of the tensor, got ", g.device());
    } else if (!t.impl()->meta) {
        return;
    }
    ensure_meta(t).grad = g;
    record_grad(t);
}

void record_grad(const Tensor& t) {
    if (!t_recorder) return;
    const Tensor both[] = {t, grad_of(t)};
    t_recorder->record(std::make_shared<RecordedSetGrad>(), both, {});
}

void retain_grad(const Tensor& t) {
    check(requires_grad(t), "retain_grad: the tensor does not require gradients");
    Ref<Node> fn = grad_fn(t);
    AutogradMeta& m = *meta_of(t);
    if (!fn || m.retain_grad) return;
    m.retain_grad = true;
    // The hook lives in the node, which the tensor owns: it reaches back through a cell that the meta
    // clears when it dies, else the two would keep each other alive.
    m.self = std::make_shared<AutogradMeta*>(&m);
    fn->hooks().pre.push_back({m.output_nr, next_hook_id(), [cell = m.self](const Tensor& g) {
                                   if (*cell) (*cell)->grad = grad_enabled() ? g : detach(g);
                                   return Tensor{};
                               }});
}

Tensor detach(const Tensor& t) {
    Tensor y = raw_alias(t);
    y.impl()->wrapped_number = false;
    y.impl()->inference = t.impl()->inference;
    if (t_recorder) [[unlikely]]
        t_recorder->record(std::make_shared<RecordedDetach>(), {&t, 1}, {&y, 1});
    return y;
}

void detach_(const Tensor& t) {
    check(!is_view(t), "detach_: a view cannot be detached in place; use detach()");
    if (AutogradMeta* m = meta_of(t)) {
        m->grad_fn.reset();
        m->output_nr = 0;
        m->requires_grad = false;
    }
}

int64_t add_tensor_hook(const Tensor& t, TensorHook hook) {
    check(requires_grad(t), "register_hook: the tensor does not require gradients");
    int64_t id = next_hook_id();
    Ref<Node> fn = grad_fn(t);
    AutogradMeta& m = *meta_of(t);
    (fn ? fn->hooks().pre : m.leaf_hooks).push_back({m.output_nr, id, std::move(hook)});
    return id;
}

int64_t add_post_accumulate_hook(const Tensor& t, TensorHook hook) {
    check(requires_grad(t) && is_leaf(t),
          "register_post_accumulate_grad_hook: only leaf tensors that require gradients accumulate "
          "them");
    int64_t id = next_hook_id();
    meta_of(t)->post_accumulate_hooks.push_back({0, id, std::move(hook)});
    return id;
}

void remove_hook(const Tensor& t, int64_t id) {
    AutogradMeta* m = meta_of(t);
    if (!m) return;
    auto drop = [id](std::vector<NodeHooks::Pre>& v) {
        std::erase_if(v, [id](auto& h) { return h.id == id; });
    };
    drop(m->leaf_hooks);
    drop(m->post_accumulate_hooks);
    if (m->grad_fn && m->grad_fn->hooks_if_any()) drop(m->grad_fn->hooks().pre);
}

void link_view(const Tensor& in, const Tensor& out) {
    if (!out.is_floating()) return;
    bool recording = grad_enabled();
    if (!recording && !requires_grad(in)) return;
    AutogradMeta* from = meta_of(in);
    AutogradMeta& m = ensure_meta(out);
    m.view_base = from && from->view_base.defined() ? from->view_base : in;
    m.view_version = out.version();
    m.view_made_without_grad = !recording || (from && from->view_made_without_grad);
}

void check_inplace(const Tensor& self, const char* op) {
    check(self.impl()->storage->writable, op,
          ": the tensor's memory is read-only (made from a non-writable array)");
    check(!has_overlap(self), op,
          ": more than one element of the written-to tensor refers to the same memory (",
          describe(self), ", strides ", self.strides(), "); clone() it first");
    check(!self.impl()->inference || t_grad_state.inference, op,
          ": an inference tensor cannot be changed in place outside of inference_mode");
    if (!grad_enabled()) return;
    if (AutogradMeta* m = meta_of(self); m && m->view_made_without_grad && m->view_base.defined())
        check(!requires_grad(m->view_base), op,
              ": a view made under no_grad() cannot be changed in ",
              "place with gradient recording on");
    if (!requires_grad(self)) return;
    AutogradMeta& m = *meta_of(self);
    check(!is_leaf(self), op,
          ": a leaf tensor that requires gradients cannot be changed in place; ",
          "do it under no_grad()");
    if (m.view_base.defined()) {
        check(!is_leaf(m.view_base), op,
              ": a view of a leaf tensor that requires gradients cannot be changed in place");
    }
}

void rebase_history(const Tensor& self, Ref<Node> node) {
    AutogradMeta& m = ensure_meta(self);
    if (m.view_base.defined()) {
        Tensor base = m.view_base;
        node = grad_ops().copy_slices(base, self, std::move(node));
        AutogradMeta& b = ensure_meta(base);
        b.grad_fn = std::move(node);
        b.output_nr = 0;
        b.requires_grad = false;
        return;  // the version moved on, so grad_fn(self) will ask the base
    }
    m.grad_fn = std::move(node);
    m.output_nr = 0;
    m.requires_grad = false;
}

}  // namespace deeplite
