// apply(op, inputs...): the one way an op runs. It computes, records the op for autograd when a gradient is
// wanted, and reports it to a graph capture when one is active.
//
// An op is a struct that holds its attributes and its rules:
//
//   struct Softmax {
//       static constexpr OpInfo info{.name = "softmax", .save_outputs = 0b1};
//       int64_t dim;
//       void attributes(auto& v) const { v("dim", dim); }
//       Tensor forward(const Tensor& x) const;                     // recording is off inside
//       Grads backward(const Ctx& c, const Tensor& dy) const;      // one gradient per input
//   };
//   Tensor softmax(const Tensor& x, int64_t dim) { return apply(Softmax{wrap_dim(dim, x.dim())}, x); }
//
// forward takes Tensors (undefined = absent) and TensorLists and returns a Tensor, a std::array of them or a
// TensorList. backward is written with ops; grad_enabled() inside tells whether a graph of it is wanted
// (create_graph). For several outputs it takes `const Grads& dys` in place of dy, where entries may be
// undefined. An op without backward gives results that need no gradient.
//
// A capture sees a backward with create_graph as the ops it is written with, and any other as one step per
// node, so that it may take kernels that are no ops.
#pragma once
#include <array>
#include <concepts>

#include "autograd/meta.h"
#include "graph/capture.h"

namespace deeplite {

struct OpInfo {
    const char* name;
    uint32_t save_inputs =
        0;  // bit i: backward reads input i (numbered with lists flattened; kAll for all)
    uint32_t save_outputs = 0;  // bit i: backward reads output i
    bool bilinear = false;  // of inputs 0 and 1: each is saved only if the other needs a gradient
    uint32_t differentiable_outputs = ~0u;  // integer outputs are never differentiable
    bool view = false;                      // outputs are views of input 0
    bool double_backward = true;  // false: backward uses kernels that have no gradient of their own
    static constexpr uint32_t kAll = ~0u;
};

// What backward can ask about its node.
class OpNode;
class Ctx {
 public:
    explicit Ctx(OpNode& node) : node_(node) {}
    bool needs(int i) const;         // is the gradient of input i wanted?
    Tensor in(int i) const;          // a saved input (undefined if it was absent)
    Tensor out(int i) const;         // a saved output
    const Dims& shape(int i) const;  // of input i, saved or not
    DType dtype(int i) const;
    Device device(int i) const;
    int inputs() const;
    const TensorInfo& output(int i) const;
    Tensor zeros_out(int i) const;  // for an undefined entry of dys

 private:
    OpNode& node_;
};

class OpNode : public Node {
 public:
    struct Input {
        TensorInfo info;
        SavedTensor saved;
        bool defined = false;
    };
    explicit OpNode(const OpInfo& i) : info(i) {}
    std::string name() const override;  // "SoftmaxBackward0"
    Grads apply(Grads dys) final;
    void release_saved() override;
    // What the op declares: its backward, its attributes, and another node of it that has saved nothing.
    virtual Grads differentiate(const Grads& dys) = 0;
    virtual std::vector<Attribute> attributes() const = 0;
    virtual Ref<OpNode> blank() const = 0;
    void add_input(const Tensor& t, bool save, const Tensor* inplace_self);
    void finish_inputs();  // applies the bilinear rule
    void set_output(const Tensor& t, int i, bool connect);

    const OpInfo& info;
    SmallVec<Input, 3> inputs;
    SmallVec<SavedTensor, 1> saved_outputs;
    bool released = false;
};

namespace detail {

template <class F>
inline void each(F& f, const Tensor& t) {
    f(t);
}
template <class F>
inline void each(F& f, const TensorList& ts) {
    for (const Tensor& t : ts) f(t);
}
template <class F, size_t N>
inline void each(F& f, const std::array<Tensor, N>& ts) {
    for (const Tensor& t : ts) f(t);
}
template <class F, class... In>
inline void each_tensor(F&& f, const In&... in) {
    (each(f, in), ...);
}
template <class... In>
inline bool any_requires_grad(const In&... in) {
    bool any = false;
    each_tensor([&](const Tensor& t) { any = any || requires_grad(t); }, in...);
    return any;
}

template <class O>
concept BackwardOne = requires(const O& o, const Ctx& c, const Tensor& dy) {
    { o.backward(c, dy) } -> std::convertible_to<Grads>;
};
template <class O>
concept BackwardMany = requires(const O& o, const Ctx& c, const Grads& dys) {
    { o.backward(c, dys) } -> std::convertible_to<Grads>;
};
template <class O>
inline constexpr bool differentiable = BackwardOne<O> || BackwardMany<O>;

// Nothing inside a forward is recorded: the op as a whole is.
class Unrecorded {
 public:
    Unrecorded() : grad_(false), recorder_(std::exchange(t_recorder, nullptr)) {}
    ~Unrecorded() { t_recorder = recorder_; }

 private:
    GradMode grad_;
    Recorder* recorder_;
};

template <class O>
std::vector<Attribute> attributes_of(const O& op);

template <class O>
class OpNodeOf final : public OpNode {
 public:
    explicit OpNodeOf(const O& o) : OpNode(O::info), op_(o) {}
    Grads differentiate(const Grads& dys) override {
        Ctx c(*this);
        if constexpr (BackwardOne<O>)
            return dys[0].defined() ? Grads(op_.backward(c, dys[0])) : Grads{};
        else
            return op_.backward(c, dys);
    }
    std::vector<Attribute> attributes() const override { return attributes_of(op_); }
    Ref<OpNode> blank() const override { return make_ref<OpNodeOf>(op_); }

 private:
    O op_;
};

// `self`: for an in-place op, the tensor about to be overwritten (what aliases it is cloned when saved).
template <class O, class... In>
Ref<OpNodeOf<O>> make_node(const O& op, const Tensor* self, const In&... in) {
    auto node = make_ref<OpNodeOf<O>>(op);
    int i = 0;
    each_tensor(
        [&](const Tensor& t) {
            node->add_input(t, O::info.save_inputs >> std::min(i, 31) & 1, self);
            ++i;
        },
        in...);
    if constexpr (O::info.bilinear) node->finish_inputs();
    return node;
}

struct AttributeList {
    std::vector<Attribute> list;
    template <class T>
    void operator()(const char* name, const T& v) {
        if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, Dims> ||
                      std::is_same_v<T, double>)
            list.push_back({name, v});
        else if constexpr (std::is_integral_v<T>)
            list.push_back({name, int64_t(v)});
        else if constexpr (std::is_floating_point_v<T>)
            list.push_back({name, double(v)});
        else if constexpr (std::is_same_v<T, DType>)
            list.push_back({name, std::string(deeplite::name(v))});
        else if constexpr (std::is_same_v<T, Device>)
            list.push_back({name, to_string(v)});
        else
            list.push_back({name, AttributeValue(v)});
    }
};

template <class O>
std::vector<Attribute> attributes_of(const O& op) {
    AttributeList v;
    if constexpr (requires { op.attributes(v); }) op.attributes(v);
    return std::move(v.list);
}

inline void append(TensorList& out, const Tensor& t) { out.push_back(t); }
inline void append(TensorList& out, const TensorList& ts) {
    out.insert(out.end(), ts.begin(), ts.end());
}
template <size_t N>
inline void append(TensorList& out, const std::array<Tensor, N>& ts) {
    out.insert(out.end(), ts.begin(), ts.end());
}
template <class... In>
TensorList flat_list(const In&... in) {
    TensorList out;
    (append(out, in), ...);
    return out;
}

// Hands a flat list back to the parameters it came from.
class Unflatten {
 public:
    Unflatten(std::span<const Tensor> flat, const std::vector<size_t>& counts)
        : flat_(flat), counts_(counts) {}
    template <class T>
    T next() {
        size_t n = counts_[arg_++];
        auto part = flat_.subspan(at_, n);
        at_ += n;
        if constexpr (std::is_same_v<T, Tensor>)
            return part[0];
        else
            return T(part.begin(), part.end());
    }

 private:
    std::span<const Tensor> flat_;
    const std::vector<size_t>& counts_;
    size_t arg_ = 0, at_ = 0;
};

inline size_t count(const Tensor&) { return 1; }
inline size_t count(const TensorList& ts) { return ts.size(); }

template <class O, bool Inplace, class... In>
class RecordedOpOf;

template <class O, bool Inplace, class... In>
void record(const O& op, const auto& result, const In&... in) {
    auto recorded =
        std::make_shared<RecordedOpOf<O, Inplace, In...>>(op, std::vector<size_t>{count(in)...});
    t_recorder->record(std::move(recorded), flat_list(in...), flat_list(result));
}

void mark_inference(const Tensor& t);
void write_back(const Tensor& self, const Tensor& value, const OpInfo& info);
std::string inplace_name(const OpInfo& info);  // "add_"

}  // namespace detail

// An object rather than a function: argument-dependent lookup would bring std::apply in when an input is a
// TensorList.
struct Apply {
    template <class O, class... In>
    auto operator()(const O& op, const In&... in) const {
        bool record = false;
        if constexpr (detail::differentiable<O>)
            record = grad_enabled() && detail::any_requires_grad(in...);
        auto result = [&] {
            detail::Unrecorded scope;
            return op.forward(in...);
        }();
        if constexpr (O::info.view) {
            const Tensor& base = std::get<0>(std::tie(in...));
            detail::each_tensor([&](const Tensor& t) { link_view(base, t); }, result);
        }
        if (t_recorder) [[unlikely]]
            detail::record<O, false>(op, result, in...);
        if constexpr (detail::differentiable<O>) {
            if (record) {
                auto node = detail::make_node(op, nullptr, in...);
                int i = 0;
                detail::each_tensor(
                    [&](const Tensor& t) {
                        node->set_output(t, i, true);
                        ++i;
                    },
                    result);
            }
        }
        if (t_grad_state.inference) [[unlikely]]
            detail::each_tensor([&](const Tensor& t) { detail::mark_inference(t); }, result);
        return result;
    }
};
inline constexpr Apply apply{};

// self = op(self, in...), written into self's memory. When op offers forward_into(self, in...) that writes
// directly; otherwise the result is copied (cast to self's dtype where torch allows it).
template <class O, class... In>
const Tensor& apply_inplace(const O& op, const Tensor& self, const In&... in) {
    check_inplace(self, O::info.name);
    bool record = grad_enabled() && detail::any_requires_grad(self, in...);
    Ref<OpNode> node;
    if constexpr (detail::differentiable<O>) {
        if (record) node = detail::make_node(op, &self, self, in...);
    } else {
        check<NotImplementedError>(!record || !self.is_floating(), O::info.name,
                                   ": has no gradient in place");
    }
    {
        detail::Unrecorded scope;
        if constexpr (requires { op.forward_into(self, in...); })
            op.forward_into(self, in...);
        else
            detail::write_back(self, op.forward(self, in...), O::info);
    }
    self.bump_version();
    if (t_recorder) [[unlikely]]
        detail::record<O, true>(op, self, self, in...);
    if (node) {
        node->set_output(self, 0, false);
        rebase_history(self, Ref<Node>(node));
    }
    return self;
}

template <class O, bool Inplace, class... In>
class detail::RecordedOpOf final : public RecordedOp {
 public:
    RecordedOpOf(const O& op, std::vector<size_t> counts) : op_(op), counts_(std::move(counts)) {
        if constexpr (Inplace) name_ = inplace_name(O::info);
    }
    const char* name() const override { return Inplace ? name_.c_str() : O::info.name; }
    std::vector<Attribute> attributes() const override { return attributes_of(op_); }
    TensorList run(std::span<const Tensor> inputs) const override {
        GradMode mode(grad_ && grad_enabled());
        Unflatten args(inputs, counts_);
        std::tuple<In...> in{args.next<In>()...};  // braces: evaluated left to right
        return std::apply(
            [&](const In&... x) {
                if constexpr (Inplace)
                    return flat_list(apply_inplace(op_, x...));
                else
                    return flat_list(deeplite::apply(op_, x...));
            },
            in);
    }

 private:
    O op_;
    std::vector<size_t> counts_;
    std::string name_;
    bool grad_ = grad_enabled();  // what ran under no_grad() is replayed under it
};

}  // namespace deeplite
