#include "autograd/node.h"

#include <mutex>

#include "autograd/meta.h"

namespace deeplite {
namespace {

std::atomic<uint64_t> g_sequence{0};
std::atomic<int64_t> g_hook_id{0};
std::atomic<bool> g_anomaly{false};
thread_local std::vector<std::string> t_layers;

// Nodes waiting to be deleted by the destroy() call at the bottom of this thread's stack.
thread_local std::vector<Node*>* t_doomed = nullptr;

}  // namespace

int64_t next_hook_id() { return ++g_hook_id; }
bool anomaly_enabled() { return g_anomaly.load(std::memory_order_relaxed); }
void set_anomaly_enabled(bool on) { g_anomaly = on; }
void push_layer(std::string name) { t_layers.push_back(std::move(name)); }
void pop_layer() {
    if (!t_layers.empty()) t_layers.pop_back();
}
std::string current_layer() { return t_layers.empty() ? "" : t_layers.back(); }

Node::Node() : sequence(g_sequence.fetch_add(1, std::memory_order_relaxed)) {
    if (anomaly_enabled()) layer = std::make_unique<std::string>(current_layer());
}

void destroy(Node* p) {
    if (t_doomed) {
        t_doomed->push_back(p);
        return;
    }
    std::vector<Node*> doomed;
    t_doomed = &doomed;
    delete p;
    while (!doomed.empty()) {
        Node* next = doomed.back();
        doomed.pop_back();
        delete next;
    }
    t_doomed = nullptr;
}

namespace {
// One lock for all leaves: creating an accumulator and adding a gradient are short and rare.
std::mutex g_leaf_mutex;
}  // namespace

AccumulateGrad::AccumulateGrad(Tensor t) : leaf(std::move(t)) {
    sequence = UINT64_MAX;  // as soon as its gradient is complete
    outputs.push_back(TensorInfo(leaf));
}

AccumulateGrad::~AccumulateGrad() {
    AccumulateGrad* self = this;
    meta_of(leaf)->accumulator.compare_exchange_strong(self, nullptr);
}

Grads AccumulateGrad::apply(Grads dys) {
    Tensor dy = std::move(dys[0]);
    if (!dy.defined()) return {};
    AutogradMeta& m = *meta_of(leaf);
    {
        std::lock_guard lock(g_leaf_mutex);
        if (!m.grad.defined()) {
            // Nobody else holds this gradient: keep it. Otherwise it may be a view of something alive.
            bool ours = !grad_enabled() && dy.impl()->refs == 1 && dy.impl()->storage->refs == 1 &&
                        is_dense(dy);
            m.grad = ours ? dy : grad_ops().clone(dy);
            record_grad(leaf);
        } else if (grad_enabled()) {
            m.grad = grad_ops().add(m.grad, dy);
            record_grad(leaf);
        } else {
            grad_ops().add_into(m.grad, dy);
        }
    }
    for (auto& h : std::vector(m.post_accumulate_hooks)) h.call(leaf);
    return {};
}

void SavedTensor::save_input(const Tensor& t) {
    if (!t.defined()) return;
    check(!t.impl()->inference,
          "inference tensors cannot be saved for backward; clone() them outside of inference_mode");
    tensor_ = t;
    version_ = t.version();
}

void SavedTensor::save_output(const Tensor& t, uint32_t output) {
    tensor_ = raw_alias(t);
    version_ = t.version();
    output_ = output;
    is_output_ = true;
}

Tensor SavedTensor::unpack(Node* owner, const char* op) const {
    check(tensor_.defined(), op,
          ": trying to backward through the graph a second time, but what it saved has already "
          "been freed; "
          "pass retain_graph=True to the first backward");
    check(tensor_.version() == version_, op, ": one of the tensors needed for the gradient (",
          describe(tensor_), is_output_ ? ", an output of the op" : "",
          ") was modified by an in-place operation: it is at version ", tensor_.version(),
          ", expected version ", version_);
    if (!is_output_) return tensor_;
    Tensor t = raw_alias(tensor_);
    AutogradMeta& m = ensure_meta(t);
    m.grad_fn = Ref<Node>(owner);
    m.output_nr = output_;
    return t;
}

AutogradMeta& ensure_meta(const Tensor& t) {
    if (!t.impl()->meta) t.impl()->meta = std::make_unique<AutogradMeta>();
    return *meta_of(t);
}

Edge gradient_edge(const Tensor& t) {
    if (!t.defined()) return {};
    if (Ref<Node> fn = grad_fn(t)) return {std::move(fn), meta_of(t)->output_nr};
    if (!requires_grad(t)) return {};
    AutogradMeta& m = *meta_of(t);
    std::lock_guard lock(g_leaf_mutex);
    if (auto node = Ref<AccumulateGrad>::try_lock(m.accumulator)) return {Ref<Node>(node), 0};
    auto node = make_ref<AccumulateGrad>(t);
    m.accumulator = node.get();
    return {Ref<Node>(node), 0};
}

}  // namespace deeplite
