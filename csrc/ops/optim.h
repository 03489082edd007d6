// Optimizer steps on lists of tensors: one call updates all parameters of a group, in place and outside of
// autograd. Lists are parallel to `params`; a state that the options do not use is an empty list.
#pragma once
#include "core/tensor.h"
#include "kernels/optim.h"

namespace deeplite {

// first: the buffers hold nothing yet. momentum == 0 goes with an empty list of buffers.
void sgd_step(const TensorList& params, const TensorList& grads, const TensorList& buffers,
              bool first, const dl_sgd_options& options);
// steps: 0-d tensors that count the updates of each parameter; raised by one. amsgrad goes with
// max_squares.
void adam_step(const TensorList& params, const TensorList& grads, const TensorList& means,
               const TensorList& squares, const TensorList& max_squares, const TensorList& steps,
               dl_adam_options options);
// momentum goes with buffers, centered with means.
void rmsprop_step(const TensorList& params, const TensorList& grads, const TensorList& squares,
                  const TensorList& buffers, const TensorList& means, const TensorList& steps,
                  dl_rmsprop_options options);
void adagrad_step(const TensorList& params, const TensorList& grads, const TensorList& sums,
                  const TensorList& steps, const dl_adagrad_options& options);

}  // namespace deeplite
