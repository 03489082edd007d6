#include "ops/elementwise.h"

#include "kernels/elementwise.h"
#include "ops/apply.h"
#include "ops/copy.h"
#include "ops/iter.h"
#include "ops/reduce.h"

namespace deeplite {
namespace {

Tensor binary_raw(const char* op, int which, const Tensor& a, const Tensor& b, DType out,
                  const double* params) {
    Tensor y = empty(broadcast_shapes(a.shape(), b.shape(), op), out, a.device());
    if (y.numel() == 0) return y;
    Device d = a.device();
    const dl_elementwise_table* table = backend_of(d).elementwise;
    dl_map_fn fn = table ? table->binary[which] : nullptr;
    if (!fn) check_status(DL_UNSUPPORTED, d, op);
    dl_iter it = make_iter(y.shape(), {&y, &a, &b});
    check_status(fn(&it, params), d, op);
    return y;
}

struct Add {
    static constexpr OpInfo info{.name = "add"};
    double alpha;
    void attributes(auto& v) const { v("alpha", alpha); }
    Tensor forward(const Tensor& a, const Tensor& b) const {
        DType t = promote(a.dtype(), b.dtype());
        double params[] = {alpha};
        return binary_raw("add", DL_BINARY_ADD, cast_raw(a, t), cast_raw(b, t), t, params);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Grads g(2);
        if (c.needs(0)) g[0] = cast(sum_to_size(dy, c.shape(0)), c.dtype(0));
        if (c.needs(1)) g[1] = cast(sum_to_size(dy, c.shape(1)), c.dtype(1));
        return g;
    }
};

}  // namespace

Tensor add(const Tensor& a, const Tensor& b, double alpha) { return apply(Add{alpha}, a, b); }
const Tensor& add_(const Tensor& self, const Tensor& b, double alpha) {
    return apply_inplace(Add{alpha}, self, b);
}
Tensor ne(const Tensor& a, const Tensor& b) {
    return binary_raw("ne", DL_BINARY_NE, a, b, DType::Bool, nullptr);
}

}  // namespace deeplite
