#include "ops/optim.h"

#include <array>

#include "autograd/meta.h"
#include "core/memory_format.h"
#include "ops/apply.h"
#include "ops/copy.h"
#include "ops/iter.h"

namespace deeplite {
namespace {

using States = std::array<const TensorList*, 3>;

// Everything is checked before anything is written, so that a step that fails changes nothing.
void check_lists(const char* op, const TensorList& params, const TensorList& grads,
                 const States& states, const TensorList* steps) {
    auto expect_count = [&](const TensorList& list, const char* what) {
        check<ValueError>(list.size() == params.size(), op, ": got ", params.size(),
                          " parameters but ", list.size(), " ", what);
    };
    expect_count(grads, "gradients");
    if (steps) expect_count(*steps, "steps");
    auto expect_like = [&](const Tensor& p, const Tensor& t, const char* what) {
        check<TypeError>(t.defined(), op, ": a ", what, " is None");
        check<ShapeError>(t.shape() == p.shape(), op, ": a parameter has shape ", p.shape(),
                          " but its ", what, " has ", t.shape());
        check(t.dtype() == p.dtype() && t.device() == p.device(), op, ": a parameter is ",
              describe(p), " on ", p.device(), " but its ", what, " is ", describe(t), " on ",
              t.device());
    };
    for (size_t i = 0; i < params.size(); ++i) {
        const Tensor& p = params[i];
        check<TypeError>(p.defined(), op, ": a parameter is None");
        check<TypeError>(p.is_floating(), op, ": cannot optimize a parameter of dtype ",
                         name(p.dtype()));
        check_inplace(p, op);
        expect_like(p, grads[i], "gradient");
        for (const TensorList* state : states) {
            if (!state || state->empty()) continue;
            if (i == 0) expect_count(*state, "states");
            expect_like(p, (*state)[i], "state");
            check_inplace((*state)[i], op);
        }
        if (steps)
            check<TypeError>((*steps)[i].defined() && (*steps)[i].numel() == 1, op,
                             ": a step must be a tensor of one element");
    }
}

// Whether kernels that take no strides see the same element of a and b at each place.
bool laid_out_alike(const Tensor& a, const Tensor& b) {
    for (int d = 0; d < a.dim(); ++d)
        if (a.shape()[d] != 1 && a.strides()[d] != b.strides()[d]) return false;
    return true;
}

// A tensor as the kernels take it: float32 or float64, dense in the order of its parameter (row-major
// when that is not dense). `t` itself where it is that already.
Tensor working(const Tensor& t, const Tensor& parameter) {
    const bool half = t.dtype() == DType::BFloat16 || t.dtype() == DType::Float16;
    const Tensor wide = half ? cast(t, DType::Float32) : t;
    if (parameter.is_contiguous() || !is_dense(parameter)) return contiguous(wide);
    if (laid_out_alike(wide, parameter)) return wide;
    const Tensor made =
        empty_strided(wide.shape(), parameter.strides(), wide.dtype(), wide.device(), "optimizer");
    copy_raw(made, wide);
    return made;
}

// Writes a working copy back and tells autograd that t has changed.
void finish(const Tensor& t, const Tensor& work) {
    if (work.is_same(t))
        t.bump_version();
    else
        copy_(t, work);
}

double read_step(const Tensor& step) {
    Tensor host = to_device(step, Device{});
    return load_double(host.raw(), host.dtype());
}
void count_step(const Tensor& step) {
    double next = read_step(step) + 1;
    if (!step.device().is_cpu()) {
        fill_(step, next);
        return;
    }
    store_double(step.raw(), step.dtype(), next);
    step.bump_version();
}

// A step as part of a graph: a replay counts and moves the same state on. Options stay as recorded.
class RecordedStep final : public RecordedOp {
 public:
    using Again = std::function<void(const TensorList& params, const TensorList& grads,
                                     const States& states, const TensorList* steps)>;
    RecordedStep(const char* op, double lr, std::array<size_t, 6> counts, Again again)
        : name_(cat(op, "_step")), lr_(lr), counts_(counts), again_(std::move(again)) {}
    const char* name() const override { return name_.c_str(); }
    std::vector<Attribute> attributes() const override { return {{"lr", lr_}}; }
    TensorList run(std::span<const Tensor> in) const override {
        std::array<TensorList, 6> lists;
        for (size_t i = 0, at = 0; i < lists.size(); at += counts_[i++])
            lists[i].assign(in.begin() + ptrdiff_t(at), in.begin() + ptrdiff_t(at + counts_[i]));
        again_(lists[0], lists[1], {&lists[2], &lists[3], &lists[4]},
               lists[5].empty() ? nullptr : &lists[5]);
        return TensorList(in.begin(), in.end());
    }

 private:
    std::string name_;
    double lr_;
    std::array<size_t, 6> counts_;
    Again again_;
};

void record_step(const char* op, double lr, const TensorList& params, const TensorList& grads,
                 const States& states, const TensorList* steps, RecordedStep::Again again) {
    const TensorList none;
    TensorList all;
    std::array<size_t, 6> counts{};
    const TensorList* lists[] = {&params, &grads, states[0], states[1], states[2], steps};
    for (size_t i = 0; i < counts.size(); ++i) {
        const TensorList& list = lists[i] ? *lists[i] : none;
        counts[i] = list.size();
        all.insert(all.end(), list.begin(), list.end());
    }
    t_recorder->record(std::make_shared<RecordedStep>(op, lr, counts, std::move(again)), all, all);
}

// What a step finds when it is replayed must not be made by the replay itself.
void check_state_is_older(const char* op, const States& states, const TensorList* steps,
                          bool first) {
    if (!t_recorder) return;
    const auto check_list = [&](const TensorList* list) {
        for (size_t i = 0; list && i < list->size(); ++i)
            first = first || t_recorder->computed((*list)[i]);
    };
    for (const TensorList* state : states) check_list(state);
    check_list(steps);
    check(!first, op,
          ": the state of the optimizer would be made anew by every replay; take one "
          "step before capturing");
}

// Calls the kernel once for each device and dtype among the parameters (as a rule, once).
// fixed_step: the step number of all when there are no step tensors.
template <class Fn, class Options>
void run_kernels(const char* op, Fn dl_optim_table::* entry, const TensorList& params,
                 const TensorList& grads, const States& states, const TensorList* steps,
                 double fixed_step, const Options& options) {
    detail::Unrecorded scope;
    check_lists(op, params, grads, states, steps);

    std::vector<bool> done(params.size());
    for (size_t first = 0; first < params.size(); ++first) {
        if (done[first]) continue;
        Device device = params[first].device();
        DType dtype = params[first].dtype();
        std::vector<dl_optim_tensor> rows;
        std::vector<std::pair<Tensor, Tensor>> changed;  // tensor, its working copy
        TensorList kept;                                 // keeps the gradients' copies alive
        DType compute = dtype == DType::Float64 ? dtype : DType::Float32;
        for (size_t i = first; i < params.size(); ++i) {
            const Tensor& p = params[i];
            if (p.device() != device || p.dtype() != dtype) continue;
            done[i] = true;
            dl_optim_tensor row{};
            row.n = p.numel();
            row.step = steps ? read_step((*steps)[i]) + 1 : fixed_step;
            changed.emplace_back(p, working(p, p));
            row.param = changed.back().second.raw();
            kept.push_back(working(grads[i], p));
            row.grad = kept.back().raw();
            for (size_t s = 0; s < states.size(); ++s) {
                if (!states[s] || states[s]->empty()) continue;
                const Tensor& state = (*states[s])[i];
                changed.emplace_back(state, working(state, p));
                row.state[s] = changed.back().second.raw();
            }
            rows.push_back(row);
        }
        auto fn = kernel(op, device, backend_of(device).optim, entry);
        check_status(fn(int32_t(compute), rows.data(), int64_t(rows.size()), &options), device, op);
        for (const auto& [tensor, work] : changed) finish(tensor, work);
    }
    if (steps)
        for (const Tensor& step : *steps) count_step(step);
}

template <class Fn, class Options>
void run(const char* op, Fn dl_optim_table::* entry, const TensorList& params,
         const TensorList& grads, const States& states, const TensorList* steps, bool first,
         const Options& options) {
    const bool stateful = steps || (states[0] && !states[0]->empty());
    check_state_is_older(op, states, steps, stateful && first);
    const auto step = [=](const TensorList& p, const TensorList& g, const States& s,
                          const TensorList* n) {
        run_kernels(op, entry, p, g, s, n, first ? 1 : 2, options);
    };
    step(params, grads, states, steps);
    if (t_recorder && !params.empty())
        record_step(op, options.lr, params, grads, states, steps, step);
}

}  // namespace

void sgd_step(const TensorList& params, const TensorList& grads, const TensorList& buffers,
              bool first, const dl_sgd_options& options) {
    check<ValueError>(options.momentum == 0 || !buffers.empty() || params.empty(),
                      "sgd: momentum needs buffers");
    run("sgd", &dl_optim_table::sgd, params, grads, {&buffers}, nullptr, first, options);
}

void adam_step(const TensorList& params, const TensorList& grads, const TensorList& means,
               const TensorList& squares, const TensorList& max_squares, const TensorList& steps,
               dl_adam_options options) {
    check<ValueError>(means.size() == params.size() && squares.size() == params.size(),
                      "adam: every parameter needs both averages");
    options.amsgrad = !max_squares.empty();
    run("adam", &dl_optim_table::adam, params, grads, {&means, &squares, &max_squares}, &steps,
        false, options);
}

void rmsprop_step(const TensorList& params, const TensorList& grads, const TensorList& squares,
                  const TensorList& buffers, const TensorList& means, const TensorList& steps,
                  dl_rmsprop_options options) {
    check<ValueError>(squares.size() == params.size(), "rmsprop: every parameter needs an average");
    options.centered = !means.empty();
    run("rmsprop", &dl_optim_table::rmsprop, params, grads, {&squares, &buffers, &means}, &steps,
        false, options);
}

void adagrad_step(const TensorList& params, const TensorList& grads, const TensorList& sums,
                  const TensorList& steps, const dl_adagrad_options& options) {
    check<ValueError>(sums.size() == params.size(), "adagrad: every parameter needs a sum");
    run("adagrad", &dl_optim_table::adagrad, params, grads, {&sums}, &steps, false, options);
}

}  // namespace deeplite
