#include "ops/apply.h"

#include "ops/iter.h"

namespace deeplite {

bool Ctx::needs(int i) const { return bool(node_.edges[i]); }

Tensor Ctx::in(int i) const {
    const OpNode::Input& in = node_.inputs[i];
    if (!in.defined) return {};
    return in.saved.unpack(&node_, node_.info.name);
}

Tensor Ctx::out(int i) const { return node_.saved_outputs[i].unpack(&node_, node_.info.name); }

const Dims& Ctx::shape(int i) const { return node_.inputs[i].info.shape; }
DType Ctx::dtype(int i) const { return node_.inputs[i].info.dtype; }
Device Ctx::device(int i) const { return node_.inputs[i].info.device; }
int Ctx::inputs() const { return node_.inputs.size(); }
const TensorInfo& Ctx::output(int i) const { return node_.outputs[i]; }

Tensor Ctx::zeros_out(int i) const {
    const TensorInfo& o = node_.outputs[i];
    return grad_ops().zeros(o.shape, o.dtype, o.device);
}

std::string OpNode::name() const {
    std::string s;
    bool upper = true;
    for (const char* p = info.name; *p; ++p) {
        if (*p == '_' || *p == '.') {
            upper = true;
            continue;
        }
        s += upper ? char(std::toupper(*p)) : *p;
        upper = false;
    }
    return s + "Backward0";
}

void OpNode::release_saved() {
    for (Input& in : inputs) in.saved.reset();
    for (SavedTensor& out : saved_outputs) out.reset();
    released = true;
}

void OpNode::add_input(const Tensor& t, bool save, const Tensor* self) {
    Input in;
    in.defined = t.defined();
    edges.push_back(gradient_edge(t));
    if (t.defined()) {
        in.info = TensorInfo(t);
        bool overwritten = self && t.impl()->storage == self->impl()->storage;
        if (save) in.saved.save_input(overwritten ? grad_ops().clone(t) : t);
    }
    inputs.push_back(std::move(in));
}

void OpNode::finish_inputs() {
    if (!edges[1]) inputs[0].saved.reset();
    if (!edges[0]) inputs[1].saved.reset();
}

void OpNode::set_output(const Tensor& t, int i, bool connect) {
    outputs.push_back(t.defined() ? TensorInfo(t) : TensorInfo());
    bool keep = info.save_outputs >> std::min(i, 31) & 1;
    saved_outputs.resize(i + 1);
    if (t.defined() && keep) {
        saved_outputs[i].save_output(t, uint32_t(i));
        if (t_recorder) t_recorder->same_value(t, saved_outputs[i].held());
    }
    if (!connect || !t.defined() || !t.is_floating() ||
        !(info.differentiable_outputs >> std::min(i, 31) & 1))
        return;
    AutogradMeta& m = ensure_meta(t);
    m.grad_fn = Ref<Node>(this);
    m.output_nr = uint32_t(i);
}

namespace detail {

void check_double_backward(const OpInfo& info) {
    check<NotImplementedError>(info.double_backward, info.name,
                               ": double backward is not implemented");
}

void mark_inference(const Tensor& t) {
    if (t.defined()) t.impl()->inference = true;
}

std::string inplace_name(const OpInfo& info) { return std::string(info.name) + "_"; }

void write_back(const Tensor& self, const Tensor& value, const OpInfo& info) {
    check<ShapeError>(value.shape() == self.shape(), info.name, "_: output with shape ",
                      self.shape(), " doesn't match the broadcast shape ", value.shape());
    check(can_cast(value.dtype(), self.dtype()), info.name, "_: result type ", value.dtype(),
          " can't be cast to the desired output type ", self.dtype());
    copy_raw(self, value);
}

}  // namespace detail

}  // namespace deeplite
