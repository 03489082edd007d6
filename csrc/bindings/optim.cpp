#include "ops/optim.h"

#include "bindings/bindings.h"

namespace deeplite {

void bind_optim(Api& api) {
    api.nn(
        "_sgd_step(params, grads, buffers, *, first, lr, momentum, dampening, weight_decay, "
        "nesterov, maximize)",
        [](const TensorList& params, const TensorList& grads, const TensorList& buffers, bool first,
           double lr, double momentum, double dampening, double weight_decay, bool nesterov,
           bool maximize) {
            sgd_step(params, grads, buffers, first,
                     {lr, momentum, dampening, weight_decay, nesterov, maximize});
        });
    api.nn(
        "_adam_step(params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, steps, *, lr, beta1, "
        "beta2, eps, weight_decay, maximize, decoupled)",
        [](const TensorList& params, const TensorList& grads, const TensorList& means,
           const TensorList& squares, const TensorList& max_squares, const TensorList& steps,
           double lr, double beta1, double beta2, double eps, double weight_decay, bool maximize,
           bool decoupled) {
            adam_step(params, grads, means, squares, max_squares, steps,
                      {lr, beta1, beta2, eps, weight_decay, 0, maximize, decoupled});
        });
    api.nn(
        "_rmsprop_step(params, grads, square_avgs, momentum_buffers, grad_avgs, steps, *, lr, "
        "alpha, eps, weight_decay, momentum, maximize)",
        [](const TensorList& params, const TensorList& grads, const TensorList& squares,
           const TensorList& buffers, const TensorList& means, const TensorList& steps, double lr,
           double alpha, double eps, double weight_decay, double momentum, bool maximize) {
            rmsprop_step(params, grads, squares, buffers, means, steps,
                         {lr, alpha, eps, weight_decay, momentum, 0, maximize});
        });
    api.nn(
        "_adagrad_step(params, grads, sums, steps, *, lr, lr_decay, eps, weight_decay, maximize)",
        [](const TensorList& params, const TensorList& grads, const TensorList& sums,
           const TensorList& steps, double lr, double lr_decay, double eps, double weight_decay,
           bool maximize) {
            adagrad_step(params, grads, sums, steps, {lr, lr_decay, eps, weight_decay, maximize});
        });
}

}  // namespace deeplite
