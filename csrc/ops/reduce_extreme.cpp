// Extremes of values, and where they stand.
#include "ops/reduce.h"
#include "ops/reduce_run.h"

namespace deeplite {
namespace {

// amin and amax: ties share the gradient evenly.
template <bool kMax>
struct Extreme {
    static constexpr OpInfo info{
        .name = kMax ? "amax" : "amin", .save_inputs = 0b1, .save_outputs = 0b1};
    Dims dims;
    bool keepdim;
    void attributes(auto& v) const { v("dim", dims), v("keepdim", keepdim); }
    Tensor forward(const Tensor& x) const {
        return reduce_raw(info.name, kMax ? DL_REDUCE_MAX : DL_REDUCE_MIN, x, dims, keepdim,
                          x.dtype());
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor x = c.in(0), y = with_dims(c.out(0), dims, keepdim, c.shape(0));
        Tensor hits = cast(eq(x, y), dy.dtype());
        Tensor share = div(with_dims(dy, dims, keepdim, c.shape(0)), sum(hits, dims, true));
        return {mul(hits, share)};
    }
};

struct ArgExtreme {
    static constexpr OpInfo info{.name = "arg_extreme"};
    bool largest;
    Dims dims;
    bool keepdim;
    void attributes(auto& v) const { v("largest", largest), v("dim", dims), v("keepdim", keepdim); }
    Tensor forward(const Tensor& x) const {
        return reduce_raw(largest ? "argmax" : "argmin",
                          largest ? DL_REDUCE_ARGMAX : DL_REDUCE_ARGMIN, x, dims, keepdim,
                          DType::Int64);
    }
};

Tensor arg_extreme(const char* op, bool largest, const Tensor& x, std::optional<int64_t> dim,
                   bool keepdim) {
    Dims dims = wrap_dims(dim ? Dims{*dim} : Dims{}, x.dim(), op);
    check_not_empty(op, x, dims);
    return apply(ArgExtreme{largest, dims, keepdim}, x);
}

template <bool kMax>
Tensor extreme(const Tensor& x, const Dims& dims, bool keepdim) {
    const char* op = Extreme<kMax>::info.name;
    Dims over = wrap_dims(dims, x.dim(), op);
    check_not_empty(op, x, over);
    return apply(Extreme<kMax>{over, keepdim}, x);
}

}  // namespace

Tensor amin(const Tensor& x, const Dims& dims, bool keepdim) {
    return extreme<false>(x, dims, keepdim);
}
Tensor amax(const Tensor& x, const Dims& dims, bool keepdim) {
    return extreme<true>(x, dims, keepdim);
}
std::array<Tensor, 2> aminmax(const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
    Dims dims = wrap_dims(dim ? Dims{*dim} : Dims{}, x.dim(), "aminmax");
    check_not_empty("aminmax", x, dims);
    return {apply(Extreme<false>{dims, keepdim}, x), apply(Extreme<true>{dims, keepdim}, x)};
}
Tensor argmin(const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
    return arg_extreme("argmin", false, x, dim, keepdim);
}
Tensor argmax(const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
    return arg_extreme("argmax", true, x, dim, keepdim);
}

}  // namespace deeplite
