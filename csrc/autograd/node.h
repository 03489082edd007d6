// Node: one step of the backward graph. It turns gradients of an op's outputs into gradients of its inputs.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/small_vec.h"
#include "core/tensor.h"

namespace deeplite {

class Node;
using Grads =
    SmallVec<Tensor, 4>;  // one per input (or output) of an op; undefined means zero / not wanted

struct Edge {
    Ref<Node> node;       // null: nobody wants this gradient
    uint32_t output = 0;  // which output of node's forward the gradient belongs to
    explicit operator bool() const { return bool(node); }
};

// What a gradient must look like: the tensor it belongs to.
struct TensorInfo {
    Dims shape;
    DType dtype = DType::Float32;
    Device device;
    TensorInfo() = default;
    explicit TensorInfo(const Tensor& t) : shape(t.shape()), dtype(t.dtype()), device(t.device()) {}
};

// Hooks may replace what they see by returning a defined tensor (or a non-empty list).
using TensorHook = std::function<Tensor(const Tensor& grad)>;
using NodeHook = std::function<Grads(const Grads& grad_inputs, const Grads& grad_outputs)>;

struct NodeHooks {
    struct Pre {
        uint32_t output;
        int64_t id;
        TensorHook call;
    };
    struct Post {
        int64_t id;
        NodeHook call;
    };
    std::vector<Pre> pre;    // tensor hooks, run on the finished gradient of one output
    std::vector<Post> post;  // node hooks, run after apply
};
int64_t next_hook_id();

class Node : public RefCounted {
 public:
    Node();
    virtual ~Node() = default;
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    virtual std::string name() const = 0;
    // dys: one per output (outputs()), possibly undefined. Returns one per edge, undefined where zero.
    virtual Grads apply(Grads dys) = 0;
    virtual void release_saved() {}  // frees what apply needed; a second backward then raises

    NodeHooks& hooks() {
        if (!hooks_) hooks_ = std::make_unique<NodeHooks>();
        return *hooks_;
    }
    NodeHooks* hooks_if_any() const { return hooks_.get(); }

    SmallVec<Edge, 3> edges;             // where the gradient of each input goes
    SmallVec<TensorInfo, 1> outputs;     // of the forward op
    uint64_t sequence;                   // grows with creation: later ops run earlier in backward
    std::unique_ptr<std::string> layer;  // in anomaly mode: who made this node
    void* pyobj = nullptr;               // for a Python-defined node: the object behind it

 private:
    std::unique_ptr<NodeHooks> hooks_;
};

// Deletes without recursion, however long the chain of nodes behind p.
void destroy(Node* p);

// A leaf's end of the graph: adds what arrives to tensor.grad.
class AccumulateGrad final : public Node {
 public:
    explicit AccumulateGrad(Tensor leaf);
    ~AccumulateGrad() override;
    std::string name() const override { return "AccumulateGrad"; }
    Grads apply(Grads dys) override;
    Tensor leaf;
};

// What an op saved for its backward, guarded by the version counter of its storage.
class SavedTensor {
 public:
    SavedTensor() = default;
    void save_input(const Tensor& t);
    void save_output(const Tensor& t, uint32_t output);  // without holding its own node alive
    bool defined() const { return tensor_.defined(); }
    const Tensor& held() const { return tensor_; }
    // owner: the node whose output this is. Throws when the data changed since (naming `op`).
    Tensor unpack(Node* owner, const char* op) const;
    void reset() { tensor_ = {}; }
    // Holds a value handed back by a replay, which has no history to guard.
    void hold(const Tensor& t) {
        *this = {};
        tensor_ = t;
        version_ = t.defined() ? t.version() : 0;
    }

 private:
    Tensor tensor_;
    uint32_t version_ = 0;
    uint32_t output_ = 0;
    bool is_output_ = false;
};

}  // namespace deeplite
