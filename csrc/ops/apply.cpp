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

namespace {

// The backward of one node as a step of a graph: what it saved and the gradients of the outputs in, the
// gradients of the inputs out. A replay gives the values to a fresh node of the same op.
class RecordedBackward final : public RecordedOp {
 public:
    explicit RecordedBackward(const OpNode& node)
        : name_(cat(node.info.name, "_backward")), like_(copy(node)) {
        for (int i = 0; i < node.edges.size(); ++i) wanted_.push_back(bool(node.edges[i]));
    }
    const char* name() const override { return name_.c_str(); }
    std::vector<Attribute> attributes() const override { return like_->attributes(); }
    TensorList run(std::span<const Tensor> in) const override {
        GradMode off(false);
        Ref<OpNode> node = copy(*like_);
        size_t at = 0;
        for (auto& input : node->inputs) input.saved.hold(in[at++]);
        for (auto& output : node->saved_outputs) output.hold(in[at++]);
        for (char wanted : wanted_)  // where it goes does not matter here, only that it is wanted
            node->edges.push_back(wanted ? Edge{Ref<Node>(like_), 0} : Edge{});
        Grads dys;
        while (at < in.size()) dys.push_back(in[at++]);
        return list(node->apply(std::move(dys)));
    }
    // The inputs of the step, in the order in which run() takes them.
    static TensorList arguments(const OpNode& node, const Grads& dys) {
        TensorList in;
        for (const auto& input : node.inputs) in.push_back(input.saved.held());
        for (const auto& output : node.saved_outputs) in.push_back(output.held());
        for (const Tensor& dy : dys) in.push_back(dy);
        return in;
    }
    static TensorList list(const Grads& g) { return TensorList(g.begin(), g.end()); }

 private:
    static Ref<OpNode> copy(const OpNode& from) {
        Ref<OpNode> node = from.blank();
        node->outputs = from.outputs;
        node->saved_outputs.resize(from.saved_outputs.size());
        for (const OpNode::Input& input : from.inputs)
            node->inputs.push_back({input.info, {}, input.defined});
        return node;
    }
    std::string name_;
    Ref<OpNode> like_;
    SmallVec<char, 4> wanted_;  // which inputs want a gradient
};

}  // namespace

Grads OpNode::apply(Grads dys) {
    if (grad_enabled())
        check<NotImplementedError>(info.double_backward, info.name,
                                   ": double backward is not implemented");
    if (!t_recorder || grad_enabled()) return differentiate(dys);
    auto recorded = std::make_shared<RecordedBackward>(*this);
    const TensorList in = RecordedBackward::arguments(*this, dys);
    Grads dxs = [&] {
        detail::Unrecorded scope;
        return differentiate(dys);
    }();
    t_recorder->record(std::move(recorded), in, RecordedBackward::list(dxs));
    return dxs;
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
