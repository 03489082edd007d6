// The engine: runs a backward graph, later ops first, without recursion.
#pragma once
#include "autograd/meta.h"

namespace deeplite {

// Accumulates d(sum of roots . grads)/d(leaf) into .grad of every leaf reached (or of `inputs` only, when
// given). An undefined entry of `grads` stands for 1 and needs a root of one element. Without
// retain_graph what the graph saved is freed as it goes.
void backward(const TensorList& roots, const TensorList& grads, bool retain_graph,
              bool create_graph, const TensorList& inputs = {});

// The gradients of `inputs` instead, leaving every .grad alone. An input that was not reached gives an
// undefined tensor when allow_unused, else an error.
TensorList grad(const TensorList& roots, const TensorList& grads, const TensorList& inputs,
                bool retain_graph, bool create_graph, bool allow_unused);

}  // namespace deeplite
