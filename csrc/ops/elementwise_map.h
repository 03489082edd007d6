// How elementwise ops are declared: the kernel calls, and op structs made from a name, a kernel and a
// derivative. For ops/elementwise*.cpp only.
#pragma once
#include <cstring>

#include "kernels/elementwise.h"
#include "ops/apply.h"
#include "ops/copy.h"
#include "ops/elementwise.h"
#include "ops/iter.h"
#include "ops/reduce.h"

namespace deeplite::map {

using Params = std::array<double, DL_MAP_PARAMS>;

// The result of a kernel on inputs broadcast together. Inputs are computed in `compute` (numbers go to
// the kernel as numbers); the result has dtype `out`, which is `compute`, bool, or a half type.
Tensor run(const char* op, dl_map_fn fn, std::initializer_list<const Tensor*> inputs, DType compute,
           DType out, const Params& params = {});
// The same written into `self`, whose dtype must be `compute` or a half type computed in it.
void run_into(const char* op, dl_map_fn fn, const Tensor& self,
              std::initializer_list<const Tensor*> inputs, DType compute,
              const Params& params = {});

dl_map_fn unary_kernel(const char* op, const Tensor& x, int which);
dl_map_fn binary_kernel(const char* op, const Tensor& x, int which);
dl_map_fn ternary_kernel(const char* op, const Tensor& x, int which);

// float32 for integers and bool (torch's "int to float"), x's own dtype otherwise.
inline DType float_dtype(DType t) { return is_floating(t) ? t : default_dtype(); }
// Whether `self` can take the result of an op of dtype `t`; raises torch's error otherwise.
void check_result_fits(const char* op, DType t, const Tensor& self);
// The device on which the op runs: a 0-dim CPU tensor follows the other operand.
const Tensor& leader(const Tensor& a, const Tensor& b);

// A gradient brought to input i: summed over what was broadcast, in the input's dtype.
Tensor reduce_to(const Tensor& g, const Ctx& c, int i);

// What happens to integers (and bool): they become floats; the kernel decides; they stay as they are.
enum Domain { kFloats, kOwn, kRounding };

inline DType domain_dtype(Domain d, DType t) { return d == kFloats ? float_dtype(t) : t; }

template <int which, Domain domain>
Tensor unary_forward(const char* op, const Tensor& x, const Params& p = {}) {
    if (domain == kRounding && !x.is_floating()) return clone_raw(x);
    DType t = domain_dtype(domain, x.dtype());
    return run(op, unary_kernel(op, x, which), {&x}, compute_dtype(t), t, p);
}
template <int which, Domain domain>
void unary_into(const char* op, const Tensor& self, const Params& p = {}) {
    if (domain == kRounding && !self.is_floating()) return;
    DType t = domain_dtype(domain, self.dtype());
    check_result_fits(op, t, self);
    run_into(op, unary_kernel(op, self, which), self, {&self}, compute_dtype(t), p);
}

template <size_t N>
struct Name {
    char s[N];
    constexpr Name(const char (&t)[N]) { std::copy_n(t, N, s); }
};

// y = f(x) without parameters. `grad(x, dy)` or, for FromOutput, `grad(y, dy)` is written with ops.
template <Name op, int which, auto grad, Domain domain = kFloats>
struct FromInput {
    static constexpr OpInfo info{.name = op.s, .save_inputs = 1};
    Tensor forward(const Tensor& x) const { return unary_forward<which, domain>(op.s, x); }
    void forward_into(const Tensor& self) const { unary_into<which, domain>(op.s, self); }
    Grads backward(const Ctx& c, const Tensor& dy) const { return {grad(c.in(0), dy)}; }
};
template <Name op, int which, auto grad, Domain domain = kFloats>
struct FromOutput {
    static constexpr OpInfo info{.name = op.s, .save_outputs = 1};
    Tensor forward(const Tensor& x) const { return unary_forward<which, domain>(op.s, x); }
    void forward_into(const Tensor& self) const { unary_into<which, domain>(op.s, self); }
    Grads backward(const Ctx& c, const Tensor& dy) const { return {grad(c.out(0), dy)}; }
};
// The derivative needs neither: floor, round, sign (zero), neg.
template <Name op, int which, auto grad, Domain domain = kFloats>
struct FromNothing {
    static constexpr OpInfo info{.name = op.s};
    Tensor forward(const Tensor& x) const { return unary_forward<which, domain>(op.s, x); }
    void forward_into(const Tensor& self) const { unary_into<which, domain>(op.s, self); }
    Grads backward(const Ctx&, const Tensor& dy) const { return {grad(dy)}; }
};

// The backward map of an activation: dy times the derivative, by one kernel. Not recorded: callers use
// it only where no graph of the gradient is wanted.
Tensor fused_grad(const char* op, int which, const Tensor& dy, const Tensor& saved,
                  const Params& p = {});

}  // namespace deeplite::map
