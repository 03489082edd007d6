#include "ops/view.h"

#include "ops/apply.h"
#include "ops/copy.h"
#include "ops/elementwise.h"
#include "ops/iter.h"
#include "ops/reduce.h"

namespace deeplite {
namespace {

// The strides under which x can be seen with `shape`, or nothing. Both are cut into runs of dimensions with
// equal element counts; inside a run x must be evenly spaced.
std::optional<Dims> view_strides(const Tensor& x, const Dims& shape) {
    if (x.numel() == 0) return x.shape() == shape ? x.strides() : contiguous_strides(shape);
    if (x.dim() == 0) return Dims::filled(shape.size(), 1);
    Dims strides = Dims::filled(shape.size(), 1);
    int to = shape.size() - 1;
    int64_t base = x.strides().back(), run = 1, covered = 1;
    for (int from = x.dim() - 1; from >= 0; --from) {
        run *= x.shape()[from];
        bool run_ends =
            from == 0 || (x.shape()[from - 1] != 1 && x.strides()[from - 1] != run * base);
        if (!run_ends) continue;
        while (to >= 0 && (covered < run || shape[to] == 1)) {
            strides[to] = covered * base;
            covered *= shape[to--];
        }
        if (covered != run) return std::nullopt;
        if (from > 0) {
            base = x.strides()[from - 1];
            run = covered = 1;
        }
    }
    if (to >= 0) return std::nullopt;
    return strides;
}

Dims infer_shape(const Tensor& x, Dims shape, const char* op) {
    int64_t known = 1, unknown = -1;
    for (int i = 0; i < shape.size(); ++i) {
        if (shape[i] == -1) {
            check<ShapeError>(unknown < 0, op, ": only one size can be inferred (-1), got shape ",
                              shape);
            unknown = i;
        } else {
            check<ShapeError>(shape[i] >= 0, op, ": invalid size ", shape[i], " at dimension ", i,
                              " in shape ", shape);
            check<ShapeError>(!__builtin_mul_overflow(known, shape[i], &known), op, ": shape ",
                              shape, " overflows");
        }
    }
    bool fits = unknown < 0 ? known == x.numel() : known != 0 ? x.numel() % known == 0 : false;
    check<ShapeError>(fits, op, ": shape ", shape, " is invalid for an input of ", x.numel(),
                      " elements (shape ", x.shape(), ")",
                      unknown >= 0 && known == 0 ? "; the size -1 is ambiguous" : "");
    if (unknown >= 0) shape[int(unknown)] = x.numel() / known;
    return shape;
}

struct View {
    static constexpr OpInfo info{.name = "view", .view = true};
    Dims shape;
    void attributes(auto& v) const { v("shape", shape); }
    Tensor forward(const Tensor& x) const {
        auto strides = view_strides(x, shape);
        check<ShapeError>(bool(strides), "view: shape ", shape,
                          " is not compatible with the strides ", x.strides(),
                          " of an input of shape ", x.shape(), "; use reshape()");
        return raw_view(x, shape, *strides, x.offset());
    }
    Grads backward(const Ctx& c, const Tensor& dy) const { return {reshape(dy, c.shape(0))}; }
};

struct Unsqueeze {
    static constexpr OpInfo info{.name = "unsqueeze", .view = true};
    int64_t dim;
    void attributes(auto& v) const { v("dim", dim); }
    Tensor forward(const Tensor& x) const {
        Dims shape = x.shape(), strides = x.strides();
        int d = int(dim);
        strides.insert(d, d < x.dim() ? shape[d] * strides[d] : 1);
        shape.insert(d, 1);
        return raw_view(x, shape, strides, x.offset());
    }
    Grads backward(const Ctx& c, const Tensor& dy) const { return {reshape(dy, c.shape(0))}; }
};

struct Squeeze {
    static constexpr OpInfo info{.name = "squeeze", .view = true};
    Dims dims;  // of size 1, ascending
    void attributes(auto& v) const { v("dims", dims); }
    Tensor forward(const Tensor& x) const {
        Dims shape = x.shape(), strides = x.strides();
        for (int i = dims.size() - 1; i >= 0; --i) {
            shape.erase(int(dims[i]));
            strides.erase(int(dims[i]));
        }
        return raw_view(x, shape, strides, x.offset());
    }
    Grads backward(const Ctx& c, const Tensor& dy) const { return {reshape(dy, c.shape(0))}; }
};

struct Permute {
    static constexpr OpInfo info{.name = "permute", .view = true};
    Dims dims;
    void attributes(auto& v) const { v("dims", dims); }
    Tensor forward(const Tensor& x) const {
        Dims shape = dims, strides = dims;
        for (int i = 0; i < dims.size(); ++i) {
            shape[i] = x.shape()[int(dims[i])];
            strides[i] = x.strides()[int(dims[i])];
        }
        return raw_view(x, shape, strides, x.offset());
    }
    Grads backward(const Ctx&, const Tensor& dy) const {
        Dims inverse = dims;
        for (int i = 0; i < dims.size(); ++i) inverse[int(dims[i])] = i;
        return {apply(Permute{inverse}, dy)};
    }
};

struct Expand {
    static constexpr OpInfo info{.name = "expand", .view = true};
    Dims shape;
    void attributes(auto& v) const { v("shape", shape); }
    Tensor forward(const Tensor& x) const {
        int lead = shape.size() - x.dim();
        Dims strides = Dims::filled(shape.size(), 0);
        for (int i = 0; i < x.dim(); ++i)
            strides[lead + i] = x.shape()[i] == 1 && shape[lead + i] != 1 ? 0 : x.strides()[i];
        return raw_view(x, shape, strides, x.offset());
    }
    Grads backward(const Ctx& c, const Tensor& dy) const { return {sum_to_size(dy, c.shape(0))}; }
};

// The backward of a view that shows part of its input: zeros of the input's shape with dy put where the
// view looks. ViewOp must not show an element twice.
template <class ViewOp>
struct Embed {
    static constexpr OpInfo info{.name = ViewOp::embed_name};
    ViewOp op;
    Dims shape;
    void attributes(auto& v) const {
        v("shape", shape);
        op.attributes(v);
    }
    Tensor forward(const Tensor& dy) const {
        Tensor dx = full_raw(shape, 0, dy.dtype(), dy.device());
        copy_raw(op.forward(dx), dy);
        return dx;
    }
    Grads backward(const Ctx&, const Tensor& ddx) const { return {apply(op, ddx)}; }
};
template <class ViewOp>
Grads embed(const ViewOp& op, const Ctx& c, const Tensor& dy) {
    return {apply(Embed<ViewOp>{op, c.shape(0)}, dy)};
}

struct Slice {
    static constexpr OpInfo info{.name = "slice", .view = true};
    static constexpr const char* embed_name = "slice_backward";
    int64_t dim, start, length, step;
    void attributes(auto& v) const {
        v("dim", dim);
        v("start", start);
        v("length", length);
        v("step", step);
    }
    Tensor forward(const Tensor& x) const {
        Dims shape = x.shape(), strides = x.strides();
        shape[int(dim)] = length;
        strides[int(dim)] *= step;
        return raw_view(x, shape, strides,
                        x.offset() + (length ? start * x.strides()[int(dim)] : 0));
    }
    Grads backward(const Ctx& c, const Tensor& dy) const { return embed(*this, c, dy); }
};

struct Select {
    static constexpr OpInfo info{.name = "select", .view = true};
    static constexpr const char* embed_name = "select_backward";
    int64_t dim, index;
    void attributes(auto& v) const {
        v("dim", dim);
        v("index", index);
    }
    Tensor forward(const Tensor& x) const {
        Dims shape = x.shape(), strides = x.strides();
        shape.erase(int(dim));
        strides.erase(int(dim));
        return raw_view(x, shape, strides, x.offset() + index * x.strides()[int(dim)]);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const { return embed(*this, c, dy); }
};

struct Diagonal {
    static constexpr OpInfo info{.name = "diagonal", .view = true};
    static constexpr const char* embed_name = "diagonal_backward";
    int64_t offset, dim1, dim2;
    void attributes(auto& v) const {
        v("offset", offset);
        v("dim1", dim1);
        v("dim2", dim2);
    }
    Tensor forward(const Tensor& x) const {
        int a = int(dim1), b = int(dim2);
        int64_t rows = x.shape()[a] + std::min<int64_t>(offset, 0),
                cols = x.shape()[b] - std::max<int64_t>(offset, 0);
        int64_t n = std::max<int64_t>(std::min(rows, cols), 0);
        int64_t first = n == 0        ? 0
                        : offset >= 0 ? offset * x.strides()[b]
                                      : -offset * x.strides()[a];
        Dims shape = x.shape(), strides = x.strides();
        int64_t step = strides[a] + strides[b];
        for (int d : {std::max(a, b), std::min(a, b)}) {
            shape.erase(d);
            strides.erase(d);
        }
        shape.push_back(n);
        strides.push_back(step);
        return raw_view(x, shape, strides, x.offset() + first);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const { return embed(*this, c, dy); }
};

struct Unfold {
    static constexpr OpInfo info{.name = "unfold", .view = true};
    int64_t dim, size, step;
    void attributes(auto& v) const {
        v("dim", dim);
        v("size", size);
        v("step", step);
    }
    Tensor forward(const Tensor& x) const {
        Dims shape = x.shape(), strides = x.strides();
        int64_t n = x.dim() ? shape[int(dim)] : 1, s = x.dim() ? strides[int(dim)] : 1;
        if (x.dim()) {
            shape[int(dim)] = (n - size) / step + 1;
            strides[int(dim)] = s * step;
        }
        shape.push_back(size);
        strides.push_back(s);
        return raw_view(x, shape, strides, x.offset());
    }
    Grads backward(const Ctx& c, const Tensor& dy) const;
};

// Windows overlap, so the window positions are added one after another.
struct UnfoldBackward {
    static constexpr OpInfo info{.name = "unfold_backward"};
    Unfold op;
    Dims shape;
    void attributes(auto& v) const {
        v("shape", shape);
        op.attributes(v);
    }
    Tensor forward(const Tensor& dy) const {
        Tensor dx = full_raw(shape, 0, dy.dtype(), dy.device());
        Tensor windows = op.forward(dx);
        for (int64_t k = 0; k < op.size; ++k) {
            Tensor to = Select{dy.dim() - 1, k}.forward(windows);
            add_(to, Select{dy.dim() - 1, k}.forward(dy));
        }
        return dx;
    }
    Grads backward(const Ctx&, const Tensor& ddx) const { return {apply(op, ddx)}; }
};

Grads Unfold::backward(const Ctx& c, const Tensor& dy) const {
    return {apply(UnfoldBackward{*this, c.shape(0)}, dy)};
}

struct Alias {
    static constexpr OpInfo info{.name = "alias", .view = true};
    Tensor forward(const Tensor& x) const { return raw_alias(x); }
    Grads backward(const Ctx&, const Tensor& dy) const { return {dy}; }
};

}  // namespace

Tensor view(const Tensor& x, const Dims& shape) {
    return apply(View{infer_shape(x, shape, "view")}, x);
}

Tensor reshape(const Tensor& x, const Dims& shape) {
    Dims to = infer_shape(x, shape, "reshape");
    return apply(View{to}, view_strides(x, to) ? x : contiguous(x));
}

Tensor permute(const Tensor& x, const Dims& dims) {
    check<ShapeError>(dims.size() == x.dim(), "permute: ", dims.size(), " dims ", dims,
                      " given for a tensor of shape ", x.shape());
    Dims order;
    for (int64_t d : dims) {
        int w = wrap_dim(d, x.dim(), "permute");
        check(!order.contains(w), "permute: dim ", d, " appears twice in ", dims);
        order.push_back(w);
    }
    return apply(Permute{order}, x);
}

Tensor transpose(const Tensor& x, int64_t dim0, int64_t dim1) {
    int a = wrap_dim(dim0, x.dim(), "transpose"), b = wrap_dim(dim1, x.dim(), "transpose");
    Dims order;
    for (int i = 0; i < x.dim(); ++i) order.push_back(i);
    if (x.dim()) std::swap(order[a], order[b]);
    return apply(Permute{order}, x);
}

Tensor t(const Tensor& x) {
    check<ShapeError>(x.dim() <= 2, "t: expected a tensor with at most 2 dimensions, got shape ",
                      x.shape());
    return x.dim() < 2 ? alias(x) : transpose(x, 0, 1);
}

Tensor mT(const Tensor& x) {
    check<ShapeError>(x.dim() >= 2, "mT: expected a tensor with at least 2 dimensions, got shape ",
                      x.shape());
    return transpose(x, -2, -1);
}

Tensor expand(const Tensor& x, const Dims& shape) {
    int lead = shape.size() - x.dim();
    check<ShapeError>(lead >= 0, "expand: the number of sizes in ", shape,
                      " must be at least the number of dimensions of ", x.shape());
    Dims to = shape;
    for (int i = 0; i < shape.size(); ++i) {
        int64_t have = i < lead ? -1 : x.shape()[i - lead];
        if (shape[i] == -1 && have >= 0) to[i] = have;
        check<ShapeError>(to[i] >= 0, "expand: size -1 is not allowed for the new dimension ", i,
                          " of ", shape);
        check<ShapeError>(i < lead || have == 1 || have == to[i], "expand: size ", to[i],
                          " must match the existing size ", have, " at dimension ", i, " (",
                          x.shape(), " to ", shape, ")");
    }
    checked_numel(to, "expand");
    return apply(Expand{to}, x);
}

Tensor slice(const Tensor& x, int64_t dim, std::optional<int64_t> start,
             std::optional<int64_t> stop, int64_t step) {
    check<IndexError>(x.dim() > 0, "slice: a 0-dim tensor cannot be sliced");
    check<ValueError>(step > 0, "slice: step must be positive, got ", step);
    int d = wrap_dim(dim, x.dim(), "slice");
    int64_t n = x.shape()[d];
    auto clamp = [n](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + n : i, 0, n); };
    int64_t from = clamp(start.value_or(0)), to = clamp(stop.value_or(n));
    int64_t length = to <= from ? 0 : (to - from - 1) / step + 1;
    return apply(Slice{d, from, length, step}, x);
}

Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length) {
    check<ShapeError>(x.dim() > 0, "narrow: a 0-dim tensor cannot be narrowed");
    int d = wrap_dim(dim, x.dim(), "narrow");
    int64_t n = x.shape()[d], from = start < 0 ? start + n : start;
    check<IndexError>(from >= 0 && from <= n, "narrow: start ", start, " is out of range for size ",
                      n, " at dim ", dim);
    check<ShapeError>(length >= 0 && from + length <= n, "narrow: start ", start, " + length ",
                      length, " exceeds size ", n, " at dim ", dim);
    return apply(Slice{d, from, length, 1}, x);
}

Tensor select(const Tensor& x, int64_t dim, int64_t index) {
    check<IndexError>(x.dim() > 0, "select: a 0-dim tensor cannot be indexed; use item()");
    int d = wrap_dim(dim, x.dim(), "select");
    int64_t n = x.shape()[d];
    check<IndexError>(index >= -n && index < n, "select: index ", index,
                      " is out of bounds for dimension ", d, " with size ", n);
    return apply(Select{d, index < 0 ? index + n : index}, x);
}

Tensor squeeze(const Tensor& x) {
    Dims gone;
    for (int i = 0; i < x.dim(); ++i)
        if (x.shape()[i] == 1) gone.push_back(i);
    return apply(Squeeze{gone}, x);
}

Tensor squeeze(const Tensor& x, const Dims& dims) {
    Dims gone;
    for (int64_t d : wrap_dims(dims, x.dim(), "squeeze", false))
        if (x.shape()[int(d)] == 1) gone.push_back(d);
    return apply(Squeeze{gone}, x);
}

Tensor unsqueeze(const Tensor& x, int64_t dim) {
    return apply(Unsqueeze{wrap_dim(dim, x.dim() + 1, "unsqueeze")}, x);
}

Tensor flatten(const Tensor& x, int64_t start_dim, int64_t end_dim) {
    int a = wrap_dim(start_dim, x.dim(), "flatten"), b = wrap_dim(end_dim, x.dim(), "flatten");
    check(a <= b, "flatten: start_dim ", start_dim, " comes after end_dim ", end_dim);
    if (x.dim() == 0) return reshape(x, {1});
    if (a == b) return x;
    Dims shape;
    int64_t run = 1;
    for (int i = a; i <= b; ++i) run *= x.shape()[i];
    for (int i = 0; i < x.dim(); ++i)
        if (i < a || i > b)
            shape.push_back(x.shape()[i]);
        else if (i == a)
            shape.push_back(run);
    return reshape(x, shape);
}

Tensor unflatten(const Tensor& x, int64_t dim, const Dims& sizes) {
    int d = wrap_dim(dim, x.dim(), "unflatten");
    check(!sizes.empty(), "unflatten: sizes must not be empty");
    int64_t known = 1, holes = 0;
    for (int64_t s : sizes) s == -1 ? ++holes : known *= s;
    int64_t n = x.shape()[d];
    check<ShapeError>(holes <= 1 && (holes ? known != 0 && n % known == 0 : known == n),
                      "unflatten: sizes ", sizes, " do not multiply up to the size ", n, " of dim ",
                      dim);
    Dims shape;
    for (int i = 0; i < x.dim(); ++i) {
        if (i != d)
            shape.push_back(x.shape()[i]);
        else
            for (int64_t s : sizes) shape.push_back(s == -1 ? n / known : s);
    }
    return view(x, shape);
}

Tensor movedim(const Tensor& x, const Dims& source, const Dims& destination) {
    check(source.size() == destination.size(), "movedim: source ", source, " and destination ",
          destination, " differ in length");
    Dims order = Dims::filled(x.dim(), -1), used;
    for (int i = 0; i < source.size(); ++i) {
        int s = wrap_dim(source[i], x.dim(), "movedim"),
            d = wrap_dim(destination[i], x.dim(), "movedim");
        check(!used.contains(s) && order[d] < 0, "movedim: repeated dim in source ", source,
              " or destination ", destination);
        used.push_back(s);
        order[d] = s;
    }
    int next = 0;
    for (int64_t& o : order) {
        if (o >= 0) continue;
        while (used.contains(next)) ++next;
        o = next++;
    }
    return permute(x, order);
}

Tensor diagonal(const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2) {
    int a = wrap_dim(dim1, x.dim(), "diagonal"), b = wrap_dim(dim2, x.dim(), "diagonal");
    check(x.dim() >= 2 && a != b, "diagonal: needs two different dims, got ", dim1, " and ", dim2,
          " of shape ", x.shape());
    return apply(Diagonal{offset, a, b}, x);
}

Tensor unfold(const Tensor& x, int64_t dim, int64_t size, int64_t step) {
    int d = wrap_dim(dim, x.dim(), "unfold");
    int64_t n = x.dim() ? x.shape()[d] : 1;
    check(size >= 0 && size <= n, "unfold: size ", size, " is out of range for dimension ", d,
          " of size ", n);
    check(step > 0, "unfold: step must be positive, got ", step);
    return apply(Unfold{d, size, step}, x);
}

TensorList unbind(const Tensor& x, int64_t dim) {
    int d = wrap_dim(dim, x.dim(), "unbind");
    check<IndexError>(x.dim() > 0, "unbind: a 0-dim tensor has no dimension to take apart");
    TensorList out;
    for (int64_t i = 0; i < x.shape()[d]; ++i) out.push_back(select(x, d, i));
    return out;
}

TensorList broadcast_tensors(const TensorList& xs) {
    Dims shape;
    for (const Tensor& x : xs) shape = broadcast_shapes(shape, x.shape(), "broadcast_tensors");
    TensorList out;
    for (const Tensor& x : xs) out.push_back(expand(x, shape));
    return out;
}

Tensor alias(const Tensor& x) { return apply(Alias{}, x); }
}  // namespace deeplite
