// Advanced indexing, masks, nonzero, embedding.
#include "graph/capture.h"
#include "ops/apply.h"
#include "ops/copy.h"
#include "ops/elementwise.h"
#include "ops/factory.h"
#include "ops/index.h"
#include "ops/index_kernels.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace deeplite {
namespace {

// The indexed dimensions and one contiguous int64 tensor for each, all of one shape.
struct Plan {
    Dims dims;
    int at = 0;  // the block of index dimensions stands after this many of the remaining ones
    TensorList indices;
};

bool is_mask(const Tensor& t) { return t.dtype() == DType::Bool || t.dtype() == DType::UInt8; }

// Masks become coordinates; what is left is one optional int64 tensor per dimension.
TensorList expand_masks(const char* op, const Tensor& x, const TensorList& indices) {
    TensorList out;
    for (const Tensor& t : indices) {
        if (!t.defined()) {
            out.emplace_back();
        } else if (is_mask(t)) {
            for (int d = 0; d < t.dim(); ++d) {
                int dim = int(out.size()) + d;
                check<IndexError>(dim < x.dim() && t.shape()[d] == x.shape()[dim], op,
                                  ": the shape of the mask ", t.shape(), " at dimension ", d,
                                  " does not match the shape of the indexed tensor ", x.shape(),
                                  " at dimension ", dim);
            }
            if (t.dim() == 0) {  // handled by the caller through an extra dimension
                out.push_back(nonzero_tuple(unsqueeze(t, 0))[0]);
                continue;
            }
            for (Tensor& c : nonzero_tuple(t)) out.push_back(std::move(c));
        } else {
            check<IndexError>(t.dtype() == DType::Int64 || t.dtype() == DType::Int32, op,
                              ": tensors used as indices must be int64, int32, uint8 or bool, got ",
                              t.dtype());
            out.push_back(cast(t, DType::Int64));
        }
    }
    check<IndexError>(int(out.size()) <= x.dim(), op, ": too many indices for a tensor of shape ",
                      x.shape(), " (", out.size(), ")");
    return out;
}

Plan make_plan(const char* op, const Tensor& x, const TensorList& indices) {
    Plan plan;
    Dims block;
    TensorList flat = expand_masks(op, x, indices);
    for (size_t d = 0; d < flat.size(); ++d) {
        if (!flat[d].defined()) continue;
        check_same_device(op, {&x, &flat[d]});
        try {
            block = broadcast_shapes(block, flat[d].shape(), op);
        } catch (const ShapeError&) {
            throw IndexError(cat(op, ": indices of shapes ", block, " and ", flat[d].shape(),
                                 " cannot be broadcast together"));
        }
        plan.dims.push_back(int64_t(d));
        plan.indices.push_back(flat[d]);
    }
    for (int64_t d : plan.dims)  // also where nothing is left to read or write
        check<IndexError>(x.shape()[int(d)] > 0 || checked_numel(block, op) == 0, op,
                          ": an index is out of bounds for dimension ", d, " with size 0");
    // Neighbouring indexed dimensions are replaced where they stand; separated ones move to the
    // front.
    bool adjacent =
        plan.dims.empty() || plan.dims.back() - plan.dims.front() + 1 == plan.dims.size();
    plan.at = adjacent && !plan.dims.empty() ? int(plan.dims.front()) : 0;
    for (Tensor& t : plan.indices) t = contiguous(expand(t, block));
    return plan;
}

struct Index {
    static constexpr OpInfo info{.name = "index", .save_inputs = ~1u};
    Dims dims;
    int64_t at;
    const char* called = "index";  // by the user, for messages
    void attributes(auto& v) const {
        v("dims", dims);
        v("at", at);
    }
    Tensor forward(const Tensor& x, const TensorList& indices) const {
        Tensor out =
            empty(indexed_shape(x, dims, int(at), indices[0].shape()), x.dtype(), x.device());
        run_get(called, x, dims, int(at), indices, true, out);
        return out;
    }
    Grads backward(const Ctx& c, const Tensor& dy) const;
};

// self, values, indices
struct IndexPut {
    static constexpr OpInfo info{.name = "index_put", .save_inputs = ~3u};
    Dims dims;
    int64_t at;
    bool accumulate;
    void attributes(auto& v) const {
        v("dims", dims);
        v("at", at);
        v("accumulate", accumulate);
    }
    Tensor forward(const Tensor& x, const Tensor& values, const TensorList& indices) const {
        Tensor out = clone_raw(x);
        forward_into(out, values, indices);
        return out;
    }
    void forward_into(const Tensor& self, const Tensor& values, const TensorList& indices) const {
        bool wide = accumulate && is_half(self.dtype());
        Tensor acc = wide ? cast_raw(self, DType::Float32) : self;
        run_put(info.name, acc, dims, int(at), indices, true, values,
                accumulate ? DL_SCATTER_SUM : DL_SCATTER_SET);
        if (wide) copy_raw(self, acc);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        TensorList indices;
        for (int i = 2; i < c.inputs(); ++i) indices.push_back(c.in(i));
        Tensor dself = dy;
        if (!accumulate && c.needs(0))
            dself =
                apply(IndexPut{dims, at, false}, dy, zeros({}, dy.dtype(), dy.device()), indices);
        Grads grads(c.inputs());
        if (c.needs(0)) grads[0] = dself;
        if (c.needs(1))
            grads[1] =
                cast(sum_to_size(apply(Index{dims, at}, dy, indices), c.shape(1)), c.dtype(1));
        return grads;
    }
};

Grads Index::backward(const Ctx& c, const Tensor& dy) const {
    TensorList indices;
    for (int i = 1; i < c.inputs(); ++i) indices.push_back(c.in(i));
    Tensor dx = zeros(c.shape(0), dy.dtype(), dy.device());
    apply_inplace(IndexPut{dims, at, true}, dx, dy, indices);
    Grads grads(c.inputs());
    grads[0] = dx;
    return grads;
}

// ---- masks

// The mask as contiguous bytes, broadcast to `shape`.
Tensor mask_bytes(const Tensor& mask, const Dims& shape) {
    return contiguous_raw(expand(cast_raw(mask, DType::Bool), shape));
}

int64_t count_set(const char* op, const Tensor& mask) {
    int64_t count = 0;
    const uint8_t* data = mask.data<uint8_t>();
    run_index(op, mask.device(), &dl_index_table::mask_count, data, mask.numel(), &count);
    return count;
}

// x and mask of one shape.
struct MaskedSelect {
    static constexpr OpInfo info{.name = "masked_select", .save_inputs = 0b10};
    Tensor forward(const Tensor& x, const Tensor& mask) const {
        Tensor m = mask_bytes(mask, x.shape()), from = contiguous_raw(x);
        dl_mask_args a{};
        a.dtype = int(x.dtype());
        a.n = x.numel();
        a.mask = m.data<uint8_t>();
        a.data = from.raw();
        a.count = count_set(info.name, m);
        Tensor out = empty({a.count}, x.dtype(), x.device());
        a.packed = out.raw();
        run_index(info.name, x.device(), &dl_index_table::masked_select, &a);
        return out;
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        return {masked_scatter(zeros(c.shape(0), dy.dtype(), dy.device()), c.in(1), dy), Tensor{}};
    }
};

// self, source, mask (of self's shape)
struct MaskedScatter {
    static constexpr OpInfo info{.name = "masked_scatter", .save_inputs = 0b100};
    Tensor forward(const Tensor& x, const Tensor& source, const Tensor& mask) const {
        Tensor out = clone_raw(x);
        forward_into(out, source, mask);
        return out;
    }
    void forward_into(const Tensor& self, const Tensor& source, const Tensor& mask) const {
        Tensor m = mask_bytes(mask, self.shape()), from = contiguous_raw(source);
        if (from.impl()->storage == self.impl()->storage) from = clone_raw(from);
        dl_mask_args a{};
        a.count = count_set(info.name, m);
        check<ShapeError>(a.count <= source.numel(), info.name, ": the source has ", source.numel(),
                          " elements, fewer than the ", a.count, " that the mask selects");
        Tensor to = self.is_contiguous() ? self : contiguous_raw(self);
        a.dtype = int(self.dtype());
        a.n = self.numel();
        a.mask = m.data<uint8_t>();
        a.data = to.raw();
        a.packed = from.raw();
        run_index(info.name, self.device(), &dl_index_table::masked_scatter, &a);
        if (!to.is_same(self)) copy_raw(self, to);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor mask = c.in(2), dsource;
        if (c.needs(1)) {
            Tensor taken = masked_select(dy, mask);
            dsource = zeros(Dims{checked_numel(c.shape(1), info.name)}, dy.dtype(), dy.device());
            copy_(narrow(dsource, 0, 0, taken.numel()), taken);
            dsource = reshape(dsource, c.shape(1));
        }
        return {c.needs(0) ? masked_fill(dy, mask, zeros({}, dy.dtype(), dy.device())) : Tensor{},
                dsource, Tensor{}};
    }
};

void check_mask(const char* op, const Tensor& self, const Tensor& mask) {
    check_same_device(op, {&self, &mask});
    check<TypeError>(is_mask(mask), op, ": expected a bool mask, got ", mask.dtype());
}

// ---- embedding

struct Embedding {
    static constexpr OpInfo info{.name = "embedding", .save_inputs = 0b10};
    int64_t padding_idx;
    bool scale_grad_by_freq;
    const char* called;  // by the user, for messages
    void attributes(auto& v) const {
        v("padding_idx", padding_idx);
        v("scale_grad_by_freq", scale_grad_by_freq);
    }
    Tensor forward(const Tensor& weight, const Tensor& indices) const {
        Tensor at = cast_contiguous_raw(index_int64(called, indices), DType::Int64);
        Tensor out =
            empty(indexed_shape(weight, {0}, 0, at.shape()), weight.dtype(), weight.device());
        run_get(called, weight, {0}, 0, {at}, false, out);
        return out;
    }
    Grads backward(const Ctx& c, const Tensor& dy) const;
};

struct EmbeddingBackward {
    static constexpr OpInfo info{.name = "embedding_backward", .save_inputs = 0b10};
    int64_t rows, padding_idx;
    bool scale_grad_by_freq;
    void attributes(auto& v) const {
        v("rows", rows);
        v("padding_idx", padding_idx);
        v("scale_grad_by_freq", scale_grad_by_freq);
    }
    Tensor forward(const Tensor& dy, const Tensor& indices) const {
        Tensor at = cast_contiguous_raw(indices, DType::Int64);
        Tensor from = cast_contiguous_raw(dy, compute_dtype(dy.dtype()));
        dl_embedding_backward_args a{};
        a.dtype = int(from.dtype());
        a.scale_by_freq = scale_grad_by_freq;
        a.n = at.numel();
        a.rows = rows;
        a.width = dy.shape().back();
        a.padding_idx = padding_idx;
        Tensor dw = empty({a.rows, a.width}, from.dtype(), dy.device());
        a.index = at.data<int64_t>();
        a.dy = from.raw();
        a.dweight = dw.raw();
        run_index(info.name, dy.device(), &dl_index_table::embedding_backward, &a);
        return cast_raw(dw, dy.dtype());
    }
    Grads backward(const Ctx& c, const Tensor& ddw) const {
        Tensor indices = c.in(1);
        Tensor g = embedding(ddw, indices);
        Tensor zero = zeros({}, g.dtype(), g.device());
        if (scale_grad_by_freq) {
            Tensor flat = reshape(cast(indices, DType::Int64), {-1});
            Tensor seen = index_add(zeros({rows}, g.dtype(), g.device()), 0, flat,
                                    expand(ones({}, g.dtype(), g.device()), flat.shape()));
            g = div(g, unsqueeze(reshape(index_select(seen, 0, flat), indices.shape()), -1));
        }
        if (padding_idx >= 0)
            g = masked_fill(g, unsqueeze(eq(indices, wrapped_number(padding_idx)), -1), zero);
        return {g, Tensor{}};
    }
};

Grads Embedding::backward(const Ctx& c, const Tensor& dy) const {
    return {apply(EmbeddingBackward{c.shape(0)[0], padding_idx, scale_grad_by_freq}, dy, c.in(1)),
            Tensor{}};
}

// A 0-dim mask indexes a new leading dimension of size 1: x[True] is x[None][[0]].
Tensor lead_with(const Tensor& x, const TensorList& indices) {
    bool scalar_mask = false;
    for (const Tensor& t : indices) scalar_mask |= t.defined() && is_mask(t) && t.dim() == 0;
    return scalar_mask && indices.size() == 1 ? unsqueeze(x, 0) : x;
}
TensorList lead_indices(const TensorList& indices) {
    if (indices.size() == 1 && indices[0].defined() && is_mask(indices[0]) && indices[0].dim() == 0)
        return {unsqueeze(indices[0], 0)};
    return indices;
}

void check_not_traced(const TensorList& indices, const char* op) {
    for (const Tensor& t : indices)
        if (t.defined() && is_mask(t)) check_readable(t, op);
}

Tensor put_values(const Tensor& self, const Tensor& values, bool accumulate) {
    // A number and a 0-dim CPU tensor go anywhere; other dtypes must agree, as in torch.
    if (values.impl()->wrapped_number) return to_device(cast(values, self.dtype()), self.device());
    check<TypeError>(values.dtype() == self.dtype(), accumulate ? "index_put" : "index_put",
                     ": self is ", self.dtype(), " but values are ", values.dtype());
    return values.dim() == 0 ? to_device(values, self.device()) : values;
}

}  // namespace

void check_readable(const Tensor& x, const char* op) {
    if (t_recorder) t_recorder->check_readable(x, op);
}

Tensor index(const Tensor& x, const TensorList& indices) {
    check_not_traced(indices, "index");
    Tensor from = lead_with(x, indices);
    Plan plan = make_plan("index", from, lead_indices(indices));
    if (plan.indices.empty()) return alias(from);
    return apply(Index{plan.dims, plan.at}, from, plan.indices);
}

const Tensor& index_put_(const Tensor& self, const TensorList& indices, const Tensor& values,
                         bool accumulate) {
    check_not_traced(indices, "index_put_");
    Tensor to = lead_with(self, indices);
    Plan plan = make_plan("index_put_", to, lead_indices(indices));
    Tensor from = put_values(self, values, accumulate);
    check_same_device("index_put_", {&self, &from});
    if (plan.indices.empty()) {
        accumulate ? add_(to, from) : copy_(to, from);
        return self;
    }
    apply_inplace(IndexPut{plan.dims, plan.at, accumulate}, to, from, plan.indices);
    return self;
}

Tensor index_put(const Tensor& x, const TensorList& indices, const Tensor& values,
                 bool accumulate) {
    Tensor out = clone(x);
    return index_put_(out, indices, values, accumulate);
}

Tensor take(const Tensor& x, const Tensor& index) {
    check_same_device("take", {&x, &index});
    index_int64("take", index);
    return apply(Index{{0}, 0, "take"}, reshape(x, {-1}),
                 TensorList{contiguous(cast(index, DType::Int64))});
}

const Tensor& put_(const Tensor& self, const Tensor& index, const Tensor& source, bool accumulate) {
    check_same_device("put_", {&self, &index, &source});
    check<ShapeError>(index.numel() == source.numel(), "put_: source of shape ", source.shape(),
                      " and index of shape ", index.shape(),
                      " should have the same number of elements");
    check<TypeError>(self.dtype() == source.dtype(), "put_: self is ", self.dtype(),
                     " but source is ", source.dtype());
    index_int64("put_", index);
    Tensor at = reshape(contiguous(cast(index, DType::Int64)), {-1}), from = reshape(source, {-1});
    if (self.is_contiguous()) {
        apply_inplace(IndexPut{{0}, 0, accumulate}, view(self, {self.numel()}), from,
                      TensorList{at});
    } else {
        Tensor flat = clone(reshape(self, {-1}));
        apply_inplace(IndexPut{{0}, 0, accumulate}, flat, from, TensorList{at});
        copy_(self, reshape(flat, self.shape()));
    }
    return self;
}

Tensor masked_select(const Tensor& x, const Tensor& mask) {
    check_mask("masked_select", x, mask);
    check_readable(mask, "masked_select");
    Dims shape = broadcast_shapes(x.shape(), mask.shape(), "masked_select");
    return apply(MaskedSelect{}, expand(x, shape), mask);
}

const Tensor& masked_scatter_(const Tensor& self, const Tensor& mask, const Tensor& source) {
    check_mask("masked_scatter_", self, mask);
    check<ShapeError>(
        broadcast_shapes(self.shape(), mask.shape(), "masked_scatter_") == self.shape(),
        "masked_scatter_: mask ", mask.shape(), " does not broadcast to ", self.shape());
    check<TypeError>(self.dtype() == source.dtype(), "masked_scatter_: self is ", self.dtype(),
                     " but source is ", source.dtype());
    return apply_inplace(MaskedScatter{}, self, source, mask);
}

Tensor masked_scatter(const Tensor& x, const Tensor& mask, const Tensor& source) {
    check_mask("masked_scatter", x, mask);
    check<TypeError>(x.dtype() == source.dtype(), "masked_scatter: self is ", x.dtype(),
                     " but source is ", source.dtype());
    Dims shape = broadcast_shapes(x.shape(), mask.shape(), "masked_scatter");
    return apply(MaskedScatter{}, contiguous(expand(x, shape)), source, mask);
}

Tensor nonzero(const Tensor& x) {
    check_readable(x, "nonzero");
    Tensor m = cast_contiguous_raw(x, DType::Bool);
    dl_mask_args a{};
    a.n = m.numel();
    a.mask = m.data<uint8_t>();
    a.ndim = m.dim();
    a.shape = m.shape().data();
    a.count = count_set("nonzero", m);
    Tensor out = empty({a.ndim, a.count}, DType::Int64, x.device());
    a.coordinates = out.data<int64_t>();
    run_index("nonzero", x.device(), &dl_index_table::nonzero, &a);
    return transpose(out, 0, 1);
}

TensorList nonzero_tuple(const Tensor& x) {
    return unbind(nonzero(x.dim() ? x : unsqueeze(x, 0)), 1);
}
Tensor argwhere(const Tensor& x) { return nonzero(x); }

Tensor embedding(const Tensor& weight, const Tensor& indices, int64_t padding_idx,
                 bool scale_grad_by_freq, const char* op) {
    check_same_device("embedding", {&weight, &indices});
    check<ShapeError>(weight.dim() == 2, "embedding: weight must have 2 dimensions, got shape ",
                      weight.shape());
    check<TypeError>(indices.dtype() == DType::Int64 || indices.dtype() == DType::Int32,
                     "embedding: expected int64 or int32 indices, got ", indices.dtype());
    return apply(Embedding{padding_idx, scale_grad_by_freq, op}, weight, indices);
}

Tensor one_hot(const Tensor& x, int64_t num_classes) {
    check<TypeError>(x.dtype() == DType::Int64, "one_hot: expected an int64 tensor, got ",
                     x.dtype());
    check<ShapeError>(x.numel() > 0 || num_classes > 0,
                      "one_hot: the number of classes of an empty tensor cannot be inferred");
    check<Error>(num_classes == -1 || num_classes > 0,
                 "one_hot: num_classes must be positive (or -1), got ", num_classes);
    if (num_classes == -1) {
        check_readable(x, "one_hot");
        Tensor host = to_device_raw(contiguous_raw(x), Device{});
        for (int64_t i = 0; i < host.numel(); ++i)
            num_classes = std::max(num_classes, host.data<int64_t>()[i] + 1);
        num_classes = std::max<int64_t>(num_classes, 1);
    }
    if (!t_recorder) {
        Tensor host = to_device_raw(contiguous_raw(x), Device{});
        for (int64_t i = 0; i < host.numel(); ++i) {
            int64_t v = host.data<int64_t>()[i];
            check<IndexError>(v >= 0 && v < num_classes, "one_hot: class ", v,
                              " is out of bounds for ", num_classes, " classes");
        }
    }
    Dims shape = x.shape();
    shape.push_back(num_classes);
    Tensor out = zeros(shape, DType::Int64, x.device());
    return scatter_(out, -1, unsqueeze(x, -1), wrapped_number(int64_t(1)));
}

}  // namespace deeplite
