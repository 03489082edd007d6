#include "autograd/engine.h"

#include <queue>
#include <unordered_map>
#include <unordered_set>

namespace deeplite {
namespace {

struct Later {
    bool operator()(const Ref<Node>& a, const Ref<Node>& b) const {
        return a->sequence < b->sequence;
    }
};

// One backward pass: what each node still waits for and what has arrived so far.
class Pass {
 public:
    Pass(bool retain, bool create) : retain_(retain), create_(create) {}

    void seed(const Tensor& root, const Tensor& given) {
        check<ShapeError>(given.defined() || root.numel() == 1,
                          "backward: a gradient must be given for a root that is "
                          "not a scalar (shape ",
                          root.shape(), ")");
        Tensor dy =
            given.defined() ? given : grad_ops().ones(root.shape(), root.dtype(), root.device());
        check<ShapeError>(dy.shape() == root.shape(), "backward: gradient of shape ", dy.shape(),
                          " for a root of shape ", root.shape());
        Edge e = gradient_edge(root);
        check(bool(e),
              "backward: element of the roots does not require gradients and has no grad_fn");
        add(e, std::move(dy));
        roots_.push_back(e.node);
    }

    // Restricts the pass to what leads to `inputs`; their gradients end up in captured().
    void want(const TensorList& inputs, bool capture) {
        restricted_ = true;
        for (const Tensor& t : inputs) {
            Edge e = gradient_edge(t);
            check(bool(e), "grad: one of the inputs does not require gradients");
            wanted_.push_back(e);
            if (capture) captures_[e.node.get()].push_back(int(wanted_.size()) - 1);
            targets_.insert(e.node.get());
        }
        captured_.resize(inputs.size());
    }
    TensorList& captured() { return captured_; }

    void run() {
        count_dependencies();
        if (restricted_) mark_needed();
        GradMode mode(create_);
        std::priority_queue<Ref<Node>, std::vector<Ref<Node>>, Later> ready;
        std::unordered_map<Node*, bool> queued;
        for (auto& r : roots_)
            if (waiting_[r.get()] == 0 && !std::exchange(queued[r.get()], true)) ready.push(r);
        while (!ready.empty()) {
            Ref<Node> node = ready.top();
            ready.pop();
            Grads dxs = evaluate(*node);
            for (int i = 0; i < node->edges.size(); ++i) {
                const Edge& e = node->edges[i];
                if (!e) continue;
                if (i < dxs.size() && dxs[i].defined()) add(e, std::move(dxs[i]));
                if (--waiting_[e.node.get()] == 0) ready.push(e.node);
            }
        }
    }

 private:
    struct Arrived {
        Grads dys;
        SmallVec<char, 4>
            owned;  // dys[i] is a sum made here, so further terms may be added in place
    };

    void add(const Edge& e, Tensor dy) {
        Arrived& a = arrived_[e.node.get()];
        int need = std::max(e.node->outputs.size(), int(e.output) + 1);
        if (a.dys.size() < need) {
            a.dys.resize(need);
            a.owned.resize(need);
        }
        validate(*e.node, e.output, dy);
        Tensor& slot = a.dys[int(e.output)];
        if (!slot.defined()) {
            slot = std::move(dy);
        } else if (a.owned[int(e.output)]) {
            grad_ops().add_into(slot, dy);
        } else {
            slot = grad_ops().add(slot, dy);
            a.owned[int(e.output)] = !create_;
        }
    }

    static void validate(const Node& n, uint32_t output, Tensor& dy) {
        if (int(output) >= n.outputs.size()) return;
        const TensorInfo& info = n.outputs[int(output)];
        check<ShapeError>(dy.shape() == info.shape, n.name(), ": gradient ", output, " has shape ",
                          dy.shape(), ", expected ", info.shape);
        if (dy.dtype() != info.dtype) dy = grad_ops().cast(dy, info.dtype);
    }

    void count_dependencies() {
        std::vector<Node*> stack;
        std::unordered_map<Node*, bool> seen;
        auto visit = [&](const Ref<Node>& n) {
            if (!std::exchange(seen[n.get()], true)) stack.push_back(n.get());
        };
        for (auto& r : roots_) visit(r);
        while (!stack.empty()) {
            Node* n = stack.back();
            stack.pop_back();
            order_.push_back(n);
            waiting_.try_emplace(n, 0);
            for (const Edge& e : n->edges)
                if (e) {
                    ++waiting_[e.node.get()];
                    visit(e.node);
                }
        }
    }

    // needed_[n]: some wanted input can be reached from n. Followed against the edges, not by sequence
    // number: a view's history may be made anew after a node that uses it (see grad_fn).
    void mark_needed() {
        std::unordered_map<Node*, std::vector<Node*>> users;
        for (Node* n : order_)
            for (const Edge& e : n->edges)
                if (e) users[e.node.get()].push_back(n);
        std::vector<Node*> stack(targets_.begin(), targets_.end());
        while (!stack.empty()) {
            Node* n = stack.back();
            stack.pop_back();
            if (std::exchange(needed_[n], true)) continue;
            for (Node* user : users[n]) stack.push_back(user);
        }
    }

    Grads evaluate(Node& node) {
        auto it = arrived_.find(&node);
        Grads dys;
        if (it != arrived_.end()) {
            dys = std::move(it->second.dys);
            arrived_.erase(it);
        }
        dys.resize(std::max(node.outputs.size(), dys.size()));
        bool any = false;
        for (const Tensor& dy : dys) any |= dy.defined();
        if (!any) return {};
        run_pre_hooks(node, dys);
        if (auto c = captures_.find(&node); c != captures_.end())
            for (int i : c->second) captured_[size_t(i)] = dys[int(wanted_[size_t(i)].output)];
        if (restricted_ && !continues(node)) return {};
        NodeHooks* hooks = node.hooks_if_any();
        bool post = hooks && !hooks->post.empty();
        Grads given = post ? dys : Grads{};
        Grads dxs = node.apply(std::move(dys));
        if (!retain_) node.release_saved();
        if (anomaly_enabled()) find_nan(node, dxs);
        if (post)
            for (auto& h : std::vector(hooks->post))
                if (Grads replaced = h.call(dxs, given); !replaced.empty())
                    dxs = std::move(replaced);
        return dxs;
    }

    // In a restricted pass a node runs only for what lies beyond it; a wanted leaf runs (accumulates)
    // unless its gradient was captured.
    bool continues(const Node& node) {
        if (node.edges.empty())
            return targets_.count(const_cast<Node*>(&node)) && captures_.empty();
        for (const Edge& e : node.edges)
            if (e && needed_[e.node.get()]) return true;
        return false;
    }

    static void run_pre_hooks(Node& node, Grads& dys) {
        auto run = [&](std::vector<NodeHooks::Pre> hooks) {  // a copy: a hook may remove itself
            for (auto& h : hooks) {
                Tensor& dy = dys[int(h.output)];
                if (!dy.defined()) continue;
                if (Tensor replaced = h.call(dy); replaced.defined()) {
                    validate(node, h.output, replaced);
                    dy = replaced;
                }
            }
        };
        if (NodeHooks* hooks = node.hooks_if_any(); hooks && !hooks->pre.empty()) run(hooks->pre);
        if (!node.edges.empty()) return;  // no leaf: spares the cast for nearly every node
        if (auto* leaf = dynamic_cast<AccumulateGrad*>(&node))
            if (auto& hooks = meta_of(leaf->leaf)->leaf_hooks; !hooks.empty()) run(hooks);
    }

    static void find_nan(const Node& node, const Grads& dxs) {
        for (int i = 0; i < dxs.size(); ++i)
            if (dxs[i].defined() && dxs[i].is_floating())
                check(!grad_ops().has_nan(dxs[i]), "anomaly: ", node.name(),
                      " returned NaN in gradient ", i,
                      node.layer && !node.layer->empty()
                          ? cat(" (forward in layer ", *node.layer, ")")
                          : "");
    }

    bool retain_, create_, restricted_ = false;
    std::vector<Ref<Node>> roots_;
    std::vector<Node*> order_;
    std::unordered_map<Node*, int> waiting_;
    std::unordered_map<Node*, Arrived> arrived_;
    std::unordered_map<Node*, bool> needed_;
    std::unordered_set<Node*> targets_;
    std::vector<Edge> wanted_;
    std::unordered_map<Node*, std::vector<int>> captures_;
    TensorList captured_;
};

void seed_all(Pass& pass, const TensorList& roots, const TensorList& grads) {
    check(!roots.empty(), "backward: no roots given");
    check(grads.empty() || grads.size() == roots.size(), "backward: ", grads.size(),
          " gradients for ", roots.size(), " roots");
    for (size_t i = 0; i < roots.size(); ++i)
        pass.seed(roots[i], grads.empty() ? Tensor{} : grads[i]);
}

}  // namespace

void backward(const TensorList& roots, const TensorList& grads, bool retain, bool create,
              const TensorList& inputs) {
    Pass pass(retain, create);
    seed_all(pass, roots, grads);
    if (!inputs.empty()) {
        for (const Tensor& t : inputs)
            check(is_leaf(t),
                  "backward: `inputs` must be leaf tensors; use autograd.grad for the others");
        pass.want(inputs, /*capture=*/false);
    }
    pass.run();
}

TensorList grad(const TensorList& roots, const TensorList& grads, const TensorList& inputs,
                bool retain, bool create, bool allow_unused) {
    check(!inputs.empty(), "grad: no inputs given");
    Pass pass(retain, create);
    seed_all(pass, roots, grads);
    pass.want(inputs, /*capture=*/true);
    pass.run();
    for (size_t i = 0; i < inputs.size() && !allow_unused; ++i)
        check(pass.captured()[i].defined(), "grad: input ", i,
              " was not used in the graph; set allow_unused=True ", "to get None for it");
    return std::move(pass.captured());
}

}  // namespace deeplite
