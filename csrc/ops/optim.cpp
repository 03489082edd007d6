#include "ops/optim.h"

#include <array>

#include "autograd/meta.h"
#include "graph/capture.h"
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

// A tensor as the kernels take it: contiguous, float32 or float64. `t` itself where it is that already.
Tensor working(const Tensor& t) {
    bool half = t.dtype() == DType::BFloat16 || t.dtype() == DType::Float16;
    return contiguous(half ? cast(t, DType::Float32) : t);
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

// Calls the kernel once for each device and dtype among the parameters (as a rule, once).
// fixed_step: the step number of all when there are no step tensors.
template <class Fn, class Options>
void run(const char* op, Fn dl_optim_table::* entry, const TensorList& params,
         const TensorList& grads, const States& states, const TensorList* steps, double fixed_step,
         const Options& options) {
    GradMode no_grad(false);
    check<NotImplementedError>(!t_recorder, op, ": an optimizer step cannot be captured");
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
            changed.emplace_back(p, working(p));
            row.param = changed.back().second.raw();
            kept.push_back(working(grads[i]));
            row.grad = kept.back().raw();
            for (size_t s = 0; s < states.size(); ++s) {
                if (!states[s] || states[s]->empty()) continue;
                const Tensor& state = (*states[s])[i];
                changed.emplace_back(state, working(state));
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

}  // namespace

void sgd_step(const TensorList& params, const TensorList& grads, const TensorList& buffers,
              bool first, const dl_sgd_options& options) {
    check<ValueError>(options.momentum == 0 || !buffers.empty() || params.empty(),
                      "sgd: momentum needs buffers");
    run("sgd", &dl_optim_table::sgd, params, grads, {&buffers}, nullptr, first ? 1 : 2, options);
}

void adam_step(const TensorList& params, const TensorList& grads, const TensorList& means,
               const TensorList& squares, const TensorList& max_squares, const TensorList& steps,
               dl_adam_options options) {
    check<ValueError>(means.size() == params.size() && squares.size() == params.size(),
                      "adam: every parameter needs both averages");
    options.amsgrad = !max_squares.empty();
    run("adam", &dl_optim_table::adam, params, grads, {&means, &squares, &max_squares}, &steps, 0,
        options);
}

void rmsprop_step(const TensorList& params, const TensorList& grads, const TensorList& squares,
                  const TensorList& buffers, const TensorList& means, const TensorList& steps,
                  dl_rmsprop_options options) {
    check<ValueError>(squares.size() == params.size(), "rmsprop: every parameter needs an average");
    options.centered = !means.empty();
    run("rmsprop", &dl_optim_table::rmsprop, params, grads, {&squares, &buffers, &means}, &steps, 0,
        options);
}

void adagrad_step(const TensorList& params, const TensorList& grads, const TensorList& sums,
                  const TensorList& steps, const dl_adagrad_options& options) {
    check<ValueError>(sums.size() == params.size(), "adagrad: every parameter needs a sum");
    run("adagrad", &dl_optim_table::adagrad, params, grads, {&sums}, &steps, 0, options);
}

}  // namespace deeplite
