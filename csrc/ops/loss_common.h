// What the files of the loss family share.
#pragma once
#include "kernels/loss.h"
#include "ops/apply.h"
#include "ops/copy.h"
#include "ops/elementwise.h"
#include "ops/factory.h"
#include "ops/iter.h"
#include "ops/loss.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace deeplite {

inline Tensor num(double v) { return wrapped_number(v); }

// ValueError names op when `reduction` is none of "none", "mean", "sum".
dl_reduction parse_reduction(const char* op, const std::string& reduction);
Tensor reduce_loss(const Tensor& loss, dl_reduction reduction);
void check_floating_loss(const char* op, const Tensor& x);
// IndexError for DL_BAD_INDEX: names the offending target (one that is neither a class nor
// ignored).
void check_targets(const char* op, dl_status status, const Tensor& x, const Tensor& target,
                   int64_t classes, int64_t ignore_index);
// Class indices as int64; TypeError for other than integers.
Tensor class_indices(const char* op, const Tensor& target);

}  // namespace deeplite
