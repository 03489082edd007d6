// gather, scatter and the index_* ops along one dimension. Masks and advanced indexing:
// index_advanced.cpp.
#include "ops/index.h"

#include "ops/apply.h"
#include "ops/copy.h"
#include "ops/elementwise.h"
#include "ops/factory.h"
#include "ops/index_kernels.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace deeplite {
namespace {

// The ways to combine; mean is a sum followed by a division.
enum Combine { kSet = DL_SCATTER_SET, kSum, kProd, kAmax, kAmin, kMean };

Combine combine_of(const char* op, const std::string& reduce) {
    if (reduce == "") return kSet;
    if (reduce == "sum" || reduce == "add") return kSum;
    if (reduce == "prod" || reduce == "multiply") return kProd;
    if (reduce == "mean") return kMean;
    if (reduce == "amax") return kAmax;
    if (reduce == "amin") return kAmin;
    throw Error(cat(op, ": reduce must be one of sum, prod, mean, amax, amin, got '", reduce, "'"));
}

void check_index_shape(const char* op, const char* what, const Tensor& index, const Tensor& t,
                       int except) {
    check<ShapeError>(at_least_1d(index.shape()).size() == at_least_1d(t.shape()).size(), op,
                      ": index of shape ", index.shape(), " must have as many dimensions as ", what,
                      " of shape ", t.shape());
    for (int d = 0; d < std::min(index.dim(), t.dim()); ++d)
        check<ShapeError>(d == except || index.shape()[d] <= t.shape()[d], op, ": size ",
                          index.shape()[d], " of index ", index.shape(), " at dimension ", d,
                          " exceeds that of ", what, " ", t.shape());
}

struct Gather {
    static constexpr OpInfo info{.name = "gather", .save_inputs = 0b10};
    int64_t dim;
    void attributes(auto& v) const { v("dim", dim); }
    Tensor forward(const Tensor& x, const Tensor& index) const {
        Tensor out = empty(index.shape(), x.dtype(), x.device());
        if (index.numel()) run_gather(info.name, x, int(dim), index_int64(info.name, index), out);
        return out;
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        return {scatter_into_zeros(dy, dim, c.in(1), c.shape(0)), Tensor{}};
    }
};

// self, index, src -> self with src combined in along dim.
struct Scatter {
    static constexpr OpInfo info{.name = "scatter"};
    int64_t dim;
    int64_t combine;  // Combine
    bool include_self;
    const char* called;  // by the user, for messages
    void attributes(auto& v) const {
        v("dim", dim);
        v("combine", combine);
        v("include_self", include_self);
    }
    Tensor forward(const Tensor& x, const Tensor& index, const Tensor& src) const {
        Tensor out = clone_raw(x);
        forward_into(out, index, src);
        return out;
    }
    void forward_into(const Tensor& self, const Tensor& index, const Tensor& src) const {
        if (index.numel() == 0) return;
        Tensor at = index_int64(called, index), from = src;
        bool wide = is_half(self.dtype()) &&
                    combine != kSet;  // arithmetic on half types is done in float32
        Tensor acc = wide ? cast_raw(self, DType::Float32) : self;
        if (wide) from = cast_raw(from, DType::Float32);
        if (combine != kMean) {
            run_scatter(called, acc, int(dim), at, from, int(combine), !include_self);
        } else {
            run_scatter(called, acc, int(dim), at, from, kSum, !include_self);
            Tensor n = full_raw(self.shape(), include_self ? 1 : 0, acc.dtype(), self.device());
            run_scatter(called, n, int(dim), at,
                        expand(full_raw({}, 1, acc.dtype(), self.device()), index.shape()), kSum,
                        false);
            n = maximum(n, full_raw({}, 1, acc.dtype(), self.device()));
            copy_raw(acc, self.is_floating() ? div(acc, n) : floor_divide(acc, n));
        }
        if (wide) copy_raw(self, acc);
    }
};

// The differentiable cases, one op each, so that every one saves only what its backward reads.
struct ScatterSet : Scatter {
    static constexpr OpInfo info{.name = "scatter", .save_inputs = 0b010};
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor index = c.in(1);
        Tensor zero = zeros({}, dy.dtype(), dy.device());
        return {c.needs(0) ? scatter(dy, dim, index, expand(zero, index.shape())) : Tensor{},
                Tensor{}, c.needs(2) ? source_grad(c, gather(dy, dim, index)) : Tensor{}};
    }
    // src may be larger than index: what was not read has no gradient.
    static Tensor source_grad(const Ctx& c, Tensor g) {
        if (g.shape() == c.shape(2)) return g;
        Tensor whole = zeros(c.shape(2), g.dtype(), g.device()), part = whole;
        for (int d = 0; d < g.dim(); ++d) part = narrow(part, d, 0, g.shape()[d]);
        copy_(part, g);
        return whole;
    }
};

struct ScatterAdd : Scatter {
    static constexpr OpInfo info{.name = "scatter_add", .save_inputs = 0b010};
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor index = c.in(1), g = dy;
        if (!include_self && c.needs(0))
            g = scatter(dy, dim, index, expand(zeros({}, dy.dtype(), dy.device()), index.shape()));
        return {c.needs(0) ? g : Tensor{}, Tensor{},
                c.needs(2) ? ScatterSet::source_grad(c, gather(dy, dim, index)) : Tensor{}};
    }
};

Tensor zero_at(const Tensor& x, int64_t dim, const Tensor& index) {
    return scatter(x, dim, index, expand(zeros({}, x.dtype(), x.device()), index.shape()));
}
Tensor ones_at(const Tensor& like, const Tensor& index) {
    return expand(ones({}, like.dtype(), like.device()), index.shape());
}

// src cut to the shape of index.
Tensor cut_source(Tensor src, const Tensor& index) {
    for (int d = 0; d < src.dim(); ++d)
        if (src.shape()[d] != index.shape()[d]) src = narrow(src, d, 0, index.shape()[d]);
    return src;
}

struct ScatterMean : Scatter {
    static constexpr OpInfo info{.name = "scatter_reduce", .save_inputs = 0b010};
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor index = c.in(1);
        Tensor n = include_self ? ones_like(dy) : zeros_like(dy);
        n = scatter_add(n, dim, index, ones_at(dy, index));
        n = maximum(n, ones({}, dy.dtype(), dy.device()));
        Tensor share = div(dy, n);
        return {c.needs(0) ? (include_self ? share : zero_at(share, dim, index)) : Tensor{},
                Tensor{},
                c.needs(2) ? ScatterSet::source_grad(c, gather(share, dim, index)) : Tensor{}};
    }
};

// amax, amin: the gradient is shared equally among the elements that attain the extreme.
struct ScatterExtreme : Scatter {
    static constexpr OpInfo info{
        .name = "scatter_reduce", .save_inputs = 0b111, .save_outputs = 0b1};
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor self = c.in(0), index = c.in(1), src = cut_source(c.in(2), index), y = c.out(0);
        Tensor self_attains = cast(eq(self, y), dy.dtype());
        if (!include_self) self_attains = zero_at(self_attains, dim, index);
        Tensor src_attains = cast(eq(src, gather(y, dim, index)), dy.dtype());
        Tensor n = scatter_add(self_attains, dim, index, src_attains);
        Tensor share = div(dy, maximum(n, ones({}, dy.dtype(), dy.device())));
        return {c.needs(0) ? mul(self_attains, share) : Tensor{}, Tensor{},
                c.needs(2) ? ScatterSet::source_grad(c, mul(src_attains, gather(share, dim, index)))
                           : Tensor{}};
    }
};

// prod: each factor gets the product of the others; a single zero in a place is left out by
// computing the product without it.
struct ScatterProd : Scatter {
    static constexpr OpInfo info{
        .name = "scatter_reduce", .save_inputs = 0b111, .save_outputs = 0b1};
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor self = c.in(0), index = c.in(1), src = cut_source(c.in(2), index), y = c.out(0);
        Tensor one = ones({}, dy.dtype(), dy.device()), zero = zeros({}, dy.dtype(), dy.device());
        Tensor dself, dsrc;
        if (c.needs(0)) {
            Tensor masked = where(eq(self, zero), one, self);
            Tensor product = scatter_reduce(masked, dim, index, src, "prod", include_self);
            dself = div(mul(dy, product), masked);
            if (!include_self) dself = zero_at(dself, dim, index);
        }
        if (c.needs(2)) {
            Tensor is_zero = eq(src, zero);
            Tensor zero_count = scatter_add(zeros(self.shape(), dy.dtype(), dy.device()), dim,
                                            index, cast(is_zero, dy.dtype()));
            Tensor alone = logical_and(is_zero, eq(gather(zero_count, dim, index), one));
            Tensor without =
                scatter_reduce(self, dim, index, where(alone, one, src), "prod", include_self);
            dsrc = where(alone, gather(mul(dy, without), dim, index),
                         div(gather(mul(dy, y), dim, index), where(is_zero, one, src)));
            dsrc = ScatterSet::source_grad(c, dsrc);
        }
        return {dself, Tensor{}, dsrc};
    }
};

struct ScatterCall {
    int dim;
    Tensor index, src;
    Scatter op;
};

ScatterCall prepare_scatter(const char* op, const Tensor& self, int64_t dim, const Tensor& index,
                            const Tensor& src, Combine combine, bool include_self) {
    check_same_device(op, {&self, &index, &src});
    check<IndexError>(index.dtype() == DType::Int64 || index.dtype() == DType::Int32, op,
                      ": expected an int64 index, got ", index.dtype());
    check<TypeError>(src.dtype() == self.dtype() || src.impl()->wrapped_number, op, ": self is ",
                     self.dtype(), " but src is ", src.dtype());
    int d = wrap_dim(dim, self.dim(), op);
    check<Error>(!(combine == kMean && self.dtype() == DType::Bool), op,
                 ": mean of bool is not defined");
    if (index.numel()) {
        check_index_shape(op, "self", index, self, d);
        check_index_shape(op, "src", index, src, -1);
    }
    return {d, index, src, Scatter{d, combine, include_self, op}};
}

Tensor expand_value(const Tensor& self, const Tensor& index, const Tensor& value) {
    if (value.dim() || !value.impl()->wrapped_number) return value;
    return expand(to_device(cast(value, self.dtype()), self.device()), index.shape());
}

template <class F>
auto with_op(const ScatterCall& call, const F& f) {
    switch (call.op.combine) {
        case kSet:
            return f(ScatterSet{call.op});
        case kSum:
            return f(ScatterAdd{call.op});
        case kMean:
            return f(ScatterMean{call.op});
        case kProd:
            return f(ScatterProd{call.op});
        default:
            return f(ScatterExtreme{call.op});
    }
}

Tensor run_scatter_op(const char* op, const Tensor& x, int64_t dim, const Tensor& index,
                      const Tensor& src, Combine combine, bool include_self) {
    ScatterCall call =
        prepare_scatter(op, x, dim, index, expand_value(x, index, src), combine, include_self);
    return with_op(call, [&](const auto& o) { return apply(o, x, call.index, call.src); });
}

const Tensor& run_scatter_op_(const char* op, const Tensor& self, int64_t dim, const Tensor& index,
                              const Tensor& src, Combine combine, bool include_self) {
    ScatterCall call = prepare_scatter(op, self, dim, index, expand_value(self, index, src),
                                       combine, include_self);
    with_op(call, [&](const auto& o) {
        apply_inplace(o, self, call.index, call.src);
        return 0;
    });
    return self;
}

// ---- index_select and index_* : positions along one dimension

struct IndexSelect {
    static constexpr OpInfo info{.name = "index_select", .save_inputs = 0b10};
    int64_t dim;
    void attributes(auto& v) const { v("dim", dim); }
    Tensor forward(const Tensor& x, const Tensor& index) const {
        Tensor at = cast_contiguous_raw(index_int64(info.name, index), DType::Int64);
        if (at.dim() == 0) at = view(at, {1});
        Dims shape = x.shape();
        if (x.dim()) shape[int(dim)] = at.numel();
        Tensor out = empty(shape, x.dtype(), x.device());
        run_get(info.name, x, {dim}, int(x.dim() ? dim : 0), {at}, false,
                x.dim() ? out : view(out, {1}));
        return out;
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor index = c.in(1);
        return {index_add(zeros(c.shape(0), dy.dtype(), dy.device()), dim, index, dy), Tensor{}};
    }
};

// self, source, index -> self with rows of source put (or added) at index along dim.
template <bool add>
struct IndexPutRows {
    static constexpr OpInfo info{.name = add ? "index_add" : "index_copy", .save_inputs = 0b100};
    int64_t dim;
    void attributes(auto& v) const { v("dim", dim); }
    Tensor forward(const Tensor& x, const Tensor& source, const Tensor& index) const {
        Tensor out = clone_raw(x);
        forward_into(out, source, index);
        return out;
    }
    void forward_into(const Tensor& self, const Tensor& source, const Tensor& index) const {
        Tensor at = cast_contiguous_raw(index_int64(info.name, index), DType::Int64);
        if (at.dim() == 0) at = view(at, {1});
        Tensor to = self.dim() ? self : view(self, {1});
        Tensor from = source.dim() < to.dim() ? unsqueeze(source, dim) : source;
        bool wide = add && is_half(self.dtype());
        Tensor acc = wide ? cast_raw(to, DType::Float32) : to;
        run_put(info.name, acc, {dim}, int(dim), {at}, false, from,
                add ? DL_SCATTER_SUM : DL_SCATTER_SET);
        if (wide) copy_raw(to, acc);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor index = c.in(2), dself = dy;
        if (!add && c.needs(0))
            dself = index_fill(dy, dim, index, zeros({}, dy.dtype(), dy.device()));
        return {c.needs(0) ? dself : Tensor{},
                c.needs(1) ? reshape(index_select(dy, dim, index), c.shape(1)) : Tensor{},
                Tensor{}};
    }
};

struct IndexFill {
    static constexpr OpInfo info{.name = "index_fill", .save_inputs = 0b100};
    int64_t dim;
    void attributes(auto& v) const { v("dim", dim); }
    Tensor forward(const Tensor& x, const Tensor& value, const Tensor& index) const {
        Tensor out = clone_raw(x);
        forward_into(out, value, index);
        return out;
    }
    void forward_into(const Tensor& self, const Tensor& value, const Tensor& index) const {
        Tensor at = cast_contiguous_raw(index_int64(info.name, index), DType::Int64);
        if (at.dim() == 0) at = view(at, {1});
        Tensor to = self.dim() ? self : view(self, {1});
        run_put(info.name, to, {dim}, int(dim), {at}, true, value, DL_SCATTER_SET);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor index = c.in(2);
        Tensor positive = where(
            lt(index, wrapped_number(int64_t(0))),
            deeplite::add(index, wrapped_number(dy.dim() ? dy.shape()[int(dim)] : int64_t(1))),
            index);
        return {
            c.needs(0) ? index_fill(dy, dim, index, zeros({}, dy.dtype(), dy.device())) : Tensor{},
            c.needs(1) ? cast(reshape(sum(index_select(dy, dim, positive)), c.shape(1)), c.dtype(1))
                       : Tensor{},
            Tensor{}};
    }
};

int check_rows(const char* op, const Tensor& self, int64_t dim, const Tensor& index,
               const Tensor& source) {
    check_same_device(op, {&self, &index, &source});
    int d = wrap_dim(dim, self.dim(), op);
    check<ShapeError>(index.dim() <= 1, op, ": index must be a vector, got shape ", index.shape());
    index_int64(op, index);
    check<TypeError>(self.dtype() == source.dtype(), op, ": self is ", self.dtype(),
                     " but source is ", source.dtype());
    Dims want = at_least_1d(self.shape());
    want[d] = index.numel();
    bool fits =
        source.shape() == want || (source.dim() == 0 && want.size() == 1 && index.numel() == 1);
    check<ShapeError>(fits, op, ": source of shape ", source.shape(), " should have shape ", want,
                      " for self ", self.shape(), " and an index of ", index.numel(),
                      " along dimension ", d);
    return d;
}

}  // namespace

Tensor gather(const Tensor& x, int64_t dim, const Tensor& index) {
    check_same_device("gather", {&x, &index});
    int d = wrap_dim(dim, x.dim(), "gather");
    index_int64("gather", index);
    if (index.numel()) check_index_shape("gather", "input", index, x, d);
    return apply(Gather{d}, x, index);
}

Tensor take_along_dim(const Tensor& x, const Tensor& indices, std::optional<int64_t> dim) {
    if (!dim) return gather(reshape(x, {-1}), 0, reshape(indices, {-1}));
    check<ShapeError>(x.dim() == indices.dim(), "take_along_dim: input ", x.shape(),
                      " and indices ", indices.shape(),
                      " should have the same number of dimensions");
    int d = wrap_dim(*dim, x.dim(), "take_along_dim");
    Dims a = x.shape(), b = indices.shape();
    if (x.dim()) a[d] = b[d] = 1;
    Dims both = broadcast_shapes(a, b, "take_along_dim"), x_shape = both, index_shape = both;
    if (x.dim()) {
        x_shape[d] = x.shape()[d];
        index_shape[d] = indices.shape()[d];
    }
    return gather(expand(x, x_shape), d, expand(indices, index_shape));
}

Tensor scatter_into_zeros(const Tensor& dy, int64_t dim, const Tensor& indices, const Dims& shape) {
    Tensor dx = zeros(shape, dy.dtype(), dy.device());
    scatter_add_(dx, dim, indices, dy);
    return dx;
}

Tensor scatter(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src,
               const std::string& reduce) {
    check(reduce == "" || reduce == "add" || reduce == "multiply",
          "scatter: reduce must be 'add' or 'multiply', got '", reduce, "'");
    return run_scatter_op("scatter", x, dim, index, src, combine_of("scatter", reduce), true);
}
const Tensor& scatter_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src,
                       const std::string& reduce) {
    check(reduce == "" || reduce == "add" || reduce == "multiply",
          "scatter_: reduce must be 'add' or 'multiply', got '", reduce, "'");
    return run_scatter_op_("scatter_", self, dim, index, src, combine_of("scatter_", reduce), true);
}
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src) {
    return run_scatter_op("scatter_add", x, dim, index, src, kSum, true);
}
const Tensor& scatter_add_(const Tensor& self, int64_t dim, const Tensor& index,
                           const Tensor& src) {
    return run_scatter_op_("scatter_add_", self, dim, index, src, kSum, true);
}
Tensor scatter_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src,
                      const std::string& reduce, bool include_self) {
    check(reduce != "",
          "scatter_reduce: reduce must be one of sum, prod, mean, amax, amin, got ''");
    return run_scatter_op("scatter_reduce", x, dim, index, src,
                          combine_of("scatter_reduce", reduce), include_self);
}
const Tensor& scatter_reduce_(const Tensor& self, int64_t dim, const Tensor& index,
                              const Tensor& src, const std::string& reduce, bool include_self) {
    check(reduce != "",
          "scatter_reduce_: reduce must be one of sum, prod, mean, amax, amin, got ''");
    return run_scatter_op_("scatter_reduce_", self, dim, index, src,
                           combine_of("scatter_reduce_", reduce), include_self);
}

Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index) {
    check_same_device("index_select", {&x, &index});
    int d = wrap_dim(dim, x.dim(), "index_select");
    check<IndexError>(index.dim() <= 1, "index_select: index must be a vector, got shape ",
                      index.shape());
    check<IndexError>(x.dim() || index.numel() == 1,
                      "index_select: index of a 0-dim input must have one element, got ",
                      index.numel());
    index_int64("index_select", index);
    return apply(IndexSelect{d}, x, index);
}

Tensor index_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source,
                 double alpha) {
    int d = check_rows("index_add", x, dim, index, source);
    Tensor from = alpha == 1 ? source : cast(mul(source, wrapped_number(alpha)), source.dtype());
    return apply(IndexPutRows<true>{d}, x, from, index);
}
const Tensor& index_add_(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source,
                         double alpha) {
    int d = check_rows("index_add_", self, dim, index, source);
    Tensor from = alpha == 1 ? source : cast(mul(source, wrapped_number(alpha)), source.dtype());
    return apply_inplace(IndexPutRows<true>{d}, self, from, index);
}
Tensor index_copy(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source) {
    int d = check_rows("index_copy", x, dim, index, source);
    return apply(IndexPutRows<false>{d}, x, source, index);
}
const Tensor& index_copy_(const Tensor& self, int64_t dim, const Tensor& index,
                          const Tensor& source) {
    int d = check_rows("index_copy_", self, dim, index, source);
    return apply_inplace(IndexPutRows<false>{d}, self, source, index);
}

namespace {
int check_fill(const char* op, const Tensor& self, int64_t dim, const Tensor& index,
               const Tensor& value) {
    check_same_device(op, {&self, &index});
    check<ShapeError>(index.dim() <= 1, op, ": index must be a vector, got shape ", index.shape());
    check<ShapeError>(value.dim() == 0, op,
                      ": value must be a number or a 0-dim tensor, got shape ", value.shape());
    index_int64(op, index);
    return wrap_dim(dim, self.dim(), op);
}
Tensor rows_index(const char* op, const Tensor& self, int d, const Tensor& index,
                  const Tensor& source) {
    check<ShapeError>(source.dim() == self.dim(), op, ": source ", source.shape(), " and self ",
                      self.shape(), " should have the same number of dimensions");
    Dims one = Dims::filled(self.dim(), 1);
    if (self.dim()) one[d] = index.numel();
    return expand(reshape(index, one), source.shape());
}
}  // namespace

Tensor index_fill(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& value) {
    return apply(IndexFill{check_fill("index_fill", x, dim, index, value)}, x, value, index);
}
const Tensor& index_fill_(const Tensor& self, int64_t dim, const Tensor& index,
                          const Tensor& value) {
    return apply_inplace(IndexFill{check_fill("index_fill_", self, dim, index, value)}, self, value,
                         index);
}
Tensor index_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source,
                    const std::string& reduce, bool include_self) {
    int d = check_rows("index_reduce", x, dim, index, source);
    return scatter_reduce(x, d, rows_index("index_reduce", x, d, index, source), source, reduce,
                          include_self);
}
const Tensor& index_reduce_(const Tensor& self, int64_t dim, const Tensor& index,
                            const Tensor& source, const std::string& reduce, bool include_self) {
    int d = check_rows("index_reduce_", self, dim, index, source);
    return scatter_reduce_(self, d, rows_index("index_reduce_", self, d, index, source), source,
                           reduce, include_self);
}

}  // namespace deeplite
