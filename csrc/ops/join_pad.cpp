// Padding, rolling, flipping, repeating: ops that move data to other places.
#include "kernels/index.h"
#include "ops/apply.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/index.h"
#include "ops/index_kernels.h"
#include "ops/join.h"
#include "ops/view.h"

namespace deeplite {
namespace {

// The sizes of x and y for a kernel: innermost dimension first, dimensions without borders merged.
dl_pad_args pad_args(const Dims& in, const Dims& before, const Dims& out, MemoryFormat format,
                     int mode) {
    dl_pad_args a{};
    a.mode = mode;
    const int n = in.size();
    const bool last = format != MemoryFormat::Contiguous;
    for (int i = 0; i < n; ++i) {
        const int d = !last ? n - 1 - i : i == 0 ? 1 : i == n - 1 ? 0 : n - i;
        const int top = a.ndim - 1;
        const bool plain = before[d] == 0 && in[d] == out[d];
        // A constant border of whole blocks is a border of elements.
        if (top >= 0 && a.before[top] == 0 && a.in[top] == a.out[top] &&
            (plain || mode == DL_PAD_CONSTANT)) {
            a.before[top] = before[d] * a.in[top];
            a.out[top] *= out[d];
            a.in[top] *= in[d];
            continue;
        }
        a.in[a.ndim] = in[d];
        a.before[a.ndim] = before[d];
        a.out[a.ndim++] = out[d];
    }
    return a;
}

Dims grown(const Dims& shape, const Dims& before, const Dims& after) {
    Dims out = shape;
    for (int d = 0; d < out.size(); ++d) out[d] += before[d] + after[d];
    return out;
}

// y of x, in the memory format that x has.
Tensor pad_raw(const Tensor& x, const Dims& before, const Dims& after, int mode, double value) {
    const MemoryFormat format = suggested_format(x);
    const Dims shape = grown(x.shape(), before, after);
    const Tensor y = empty_in(format, shape, x.dtype(), x.device(), "pad");
    if (y.numel() == 0) return y;
    const Tensor from = cast_format_raw(x, x.dtype(), format);
    dl_pad_args a = pad_args(x.shape(), before, shape, format, mode);
    a.dtype = int(x.dtype());
    store_double(&a.value, x.dtype(), value);
    a.x = from.raw(), a.y = y.raw();
    run_index("pad", x.device(), &dl_index_table::pad, &a);
    return y;
}

// Sizes before and after every dimension (negative: cut off).
struct ConstantPad {
    static constexpr OpInfo info{.name = "pad"};
    Dims before, after;
    double value;
    void attributes(auto& v) const {
        v("before", before);
        v("after", after);
        v("value", value);
    }
    Tensor forward(const Tensor& x) const {
        if (x.dim() == 0) return clone_raw(x);
        return pad_raw(x, before, after, DL_PAD_CONSTANT, value);
    }
    Grads backward(const Ctx&, const Tensor& dy) const {
        Dims b = before, a = after;
        for (int d = 0; d < b.size(); ++d) {
            b[d] = -b[d];
            a[d] = -a[d];
        }
        return {apply(ConstantPad{b, a, 0.0}, dy)};
    }
};

// Turns a view that never leaves its op around along dimension d.
void walk_backwards(const Tensor& view, int d) {
    int64_t& stride = view.impl()->strides[d];
    view.impl()->offset += (view.shape()[d] - 1) * stride;
    stride = -stride;
    view.impl()->contiguous = view.numel() == 1;
}

struct Flip {
    static constexpr OpInfo info{.name = "flip"};
    Dims dims;
    void attributes(auto& v) const { v("dims", dims); }
    Tensor forward(const Tensor& x) const {
        Tensor out = empty_like(x);
        if (x.numel() == 0) return out;
        Tensor from = raw_alias(x);
        for (int64_t d : dims) walk_backwards(from, int(d));
        copy_raw(out, from);
        return out;
    }
    Grads backward(const Ctx&, const Tensor& dy) const { return {apply(Flip{dims}, dy)}; }
};

struct Triangle {
    static constexpr OpInfo info{.name = "triangle"};
    bool upper;
    int64_t diagonal;
    void attributes(auto& v) const {
        v("upper", upper);
        v("diagonal", diagonal);
    }
    void run(const Tensor& x, const Tensor& out) const {
        dl_triangle_args a{};
        a.dtype = int(x.dtype());
        a.upper = upper;
        a.rows = x.shape()[x.dim() - 2];
        a.cols = x.shape()[x.dim() - 1];
        a.batch = x.numel() / (a.rows * a.cols);
        a.k = diagonal;
        a.x = x.raw();
        a.out = out.raw();
        run_index(upper ? "triu" : "tril", x.device(), &dl_index_table::triangle, &a);
    }
    Tensor forward(const Tensor& x) const {
        Tensor out = empty(x.shape(), x.dtype(), x.device());
        if (x.numel()) run(contiguous_raw(x), out);
        return out;
    }
    void forward_into(const Tensor& self) const {
        if (self.numel() == 0) return;
        if (self.is_contiguous())
            run(self, self);
        else
            copy_raw(self, forward(self));
    }
    Grads backward(const Ctx&, const Tensor& dy) const {
        return {apply(Triangle{upper, diagonal}, dy)};
    }
};

struct DiagEmbed {
    static constexpr OpInfo info{.name = "diag_embed"};
    int64_t offset, dim1, dim2;
    void attributes(auto& v) const {
        v("offset", offset);
        v("dim1", dim1);
        v("dim2", dim2);
    }
    Tensor forward(const Tensor& x) const {
        int64_t n = x.shape().back() + std::abs(offset);
        Dims shape = x.shape();
        shape.pop_back();
        shape.insert(int(std::min(dim1, dim2)), n);
        shape.insert(int(std::max(dim1, dim2)), n);
        Tensor out = full_raw(shape, 0, x.dtype(), x.device());
        copy_raw(deeplite::diagonal(out, offset, dim1, dim2), x);
        return out;
    }
    Grads backward(const Ctx&, const Tensor& dy) const {
        return {deeplite::diagonal(dy, offset, dim1, dim2)};
    }
};

Tensor index_tensor(const std::vector<int64_t>& values, Device device) {
    Tensor t = empty({int64_t(values.size())}, DType::Int64);
    std::copy(values.begin(), values.end(), t.data<int64_t>());
    return to_device_raw(t, device);
}

// The size of dimension d with its padding.
int64_t padded_size(const Dims& shape, int d, int64_t before, int64_t after) {
    int64_t n;
    const bool fits =
        !__builtin_add_overflow(before, after, &n) && !__builtin_add_overflow(n, shape[d], &n);
    check<ShapeError>(fits, "pad: padding (", before, ", ", after, ") of dimension ", d,
                      " of shape ", shape, " gives too many elements");
    return n;
}

void check_border(int d, int64_t before, int64_t after, const Dims& shape,
                  const std::string& mode) {
    int64_t n = shape[d];
    if (mode == "reflect")
        check<ShapeError>(before < n && after < n, "pad: reflect padding (", before, ", ", after,
                          ") must be less than the size ", n, " of dimension ", d, " of shape ",
                          shape);
    else if (mode == "circular")
        check<ShapeError>(before <= n && after <= n, "pad: circular padding (", before, ", ", after,
                          ") must not exceed the size ", n, " of dimension ", d, " of shape ",
                          shape);
    else
        check<ShapeError>(n > 0, "pad: replicate padding of an empty dimension ", d, " of shape ",
                          shape);
    check<ShapeError>(padded_size(shape, d, before, after) > 0,
                      "pad: the result would be empty in dimension ", d, ": size ", n,
                      " padded by ", before, " and ", after);
}

int mode_of(const std::string& mode) {
    return mode == "reflect"     ? DL_PAD_REFLECT
           : mode == "replicate" ? DL_PAD_REPLICATE
                                 : DL_PAD_CIRCULAR;
}

// Borders filled from the inside: reflect, replicate, circular (negative: cut off), and the gradient: each
// place gets what stands where it was read.
struct BorderAttributes {
    Dims before, after;
    std::string mode;
    void attributes(auto& v) const {
        v("before", before);
        v("after", after);
        v("mode", mode);
    }
};
struct BorderPad : BorderAttributes {
    static constexpr OpInfo info{.name = "pad_border"};
    Tensor forward(const Tensor& x) const { return pad_raw(x, before, after, mode_of(mode), 0); }
    Grads backward(const Ctx& c, const Tensor& dy) const;
};
struct BorderPadGradient : BorderAttributes {
    static constexpr OpInfo info{.name = "pad_border_gradient"};
    Tensor forward(const Tensor& dy) const {
        Dims shape = dy.shape();
        for (int d = 0; d < shape.size(); ++d) shape[d] -= before[d] + after[d];
        const MemoryFormat format = suggested_format(dy);
        const DType t = compute_dtype(dy.dtype());
        const Tensor from = cast_format_raw(dy, t, format);
        const Tensor dx = empty_in(format, shape, t, dy.device(), info.name);
        if (dx.numel() == 0) return cast_raw(dx, dy.dtype());
        dl_pad_args a = pad_args(shape, before, dy.shape(), format, mode_of(mode));
        a.dtype = int(t);
        a.x = dx.raw(), a.y = from.raw();
        run_index(info.name, dy.device(), &dl_index_table::pad_backward, &a);
        return cast_raw(dx, dy.dtype());
    }
    Grads backward(const Ctx&, const Tensor& ddx) const {
        return {apply(BorderPad{{before, after, mode}}, ddx)};
    }
};
Grads BorderPad::backward(const Ctx&, const Tensor& dy) const {
    return {apply(BorderPadGradient{{before, after, mode}}, dy)};
}

Dims wrap_list(const Dims& dims, int ndim, const char* op) {
    Dims out;
    for (int64_t d : dims) {
        int w = wrap_dim(d, ndim, op);
        check<Error>(!out.contains(w), op, ": dim ", d, " appears twice in ", dims);
        out.push_back(w);
    }
    return out;
}

}  // namespace

Tensor constant_pad(const Tensor& x, const std::vector<int64_t>& pad, double value) {
    check<ShapeError>(pad.size() % 2 == 0, "pad: the number of paddings must be even, got ",
                      pad.size());
    check<ShapeError>(int(pad.size()) <= 2 * x.dim(), "pad: ", pad.size(),
                      " paddings are too many for shape ", x.shape());
    Dims before = Dims::filled(x.dim(), 0), after = before;
    bool any = false;
    for (size_t i = 0; i < pad.size() / 2; ++i) {
        int d = x.dim() - 1 - int(i);
        before[d] = pad[2 * i];
        after[d] = pad[2 * i + 1];
        any |= before[d] || after[d];
        check<ShapeError>(padded_size(x.shape(), d, before[d], after[d]) >= 0, "pad: padding (",
                          before[d], ", ", after[d], ") makes dimension ", d, " of shape ",
                          x.shape(), " negative");
    }
    return any ? apply(ConstantPad{before, after, value}, x) : clone(x);
}

Tensor pad(const Tensor& x, const std::vector<int64_t>& pad, const std::string& mode,
           double value) {
    if (mode == "constant") return constant_pad(x, pad, value);
    check<NotImplementedError>(mode == "reflect" || mode == "replicate" || mode == "circular",
                               "pad: unknown mode '", mode,
                               "'; expected constant, reflect, replicate or circular");
    check<ShapeError>(pad.size() % 2 == 0, "pad: the number of paddings must be even, got ",
                      pad.size());
    int n = int(pad.size() / 2);
    check<NotImplementedError>(n >= 1 && n <= 3 && (x.dim() == n + 1 || x.dim() == n + 2),
                               "pad: ", mode, " with ", pad.size(), " paddings needs ", n + 1,
                               " or ", n + 2, " dimensions, got shape ", x.shape());
    for (int d = x.dim() == n + 2; d < x.dim() && mode != "circular"; ++d)
        check<ShapeError>(x.shape()[d] > 0, "pad: only the batch may be empty, got shape ",
                          x.shape());
    // What is cut off takes no part in going round.
    std::vector<int64_t> cut(pad.size(), 0);
    bool cuts = false;
    for (size_t i = 0; mode == "circular" && i < pad.size(); ++i) {
        cut[i] = std::min<int64_t>(0, pad[i]);
        cuts |= cut[i] < 0;
    }
    const Tensor rest = cuts ? constant_pad(x, cut, 0.0) : x;
    Dims before = Dims::filled(x.dim(), 0), after = before;
    bool any = false;
    for (int i = 0; i < n; ++i) {
        int d = x.dim() - 1 - i;
        before[d] = pad[size_t(2 * i)] - cut[size_t(2 * i)];
        after[d] = pad[size_t(2 * i + 1)] - cut[size_t(2 * i + 1)];
        if (before[d] == 0 && after[d] == 0) continue;
        any = true;
        check_border(d, before[d], after[d], rest.shape(), mode);
    }
    if (any) return apply(BorderPad{{before, after, mode}}, rest);
    return cuts ? rest : clone(x);
}

Tensor roll(const Tensor& x, const Dims& shifts, const Dims& dims) {
    check<Error>(!shifts.empty(), "roll: shifts must not be empty");
    if (dims.empty()) {
        check<Error>(shifts.size() == 1, "roll: ", shifts.size(),
                     " shifts without dims; give one dim for each");
        return reshape(roll(reshape(x, {-1}), shifts, {0}), x.shape());
    }
    check<Error>(shifts.size() == dims.size(), "roll: shifts ", shifts, " and dims ", dims,
                 " differ in length");
    Tensor y = x;
    for (int i = 0; i < dims.size(); ++i) {
        int d = wrap_dim(dims[i], x.dim(), "roll");
        int64_t n = x.dim() ? x.shape()[d] : 0;
        int64_t shift = n ? ((shifts[i] % n) + n) % n : 0;
        if (shift) y = concat({narrow(y, d, n - shift, shift), narrow(y, d, 0, n - shift)}, d);
    }
    return y.is_same(x) ? clone(x) : y;
}

Tensor flip(const Tensor& x, const Dims& dims) {
    Dims w = wrap_list(dims, x.dim(), "flip");
    return x.dim() == 0 || w.empty() ? clone(x) : apply(Flip{w}, x);
}

Tensor rot90(const Tensor& x, int64_t k, const Dims& dims) {
    check<Error>(dims.size() == 2, "rot90: expected 2 dims, got ", dims);
    check<ShapeError>(x.dim() >= 2, "rot90: expected at least 2 dimensions, got shape ", x.shape());
    Dims w = wrap_list(dims, x.dim(), "rot90");
    switch (((k % 4) + 4) % 4) {
        case 1:
            return transpose(flip(x, {w[1]}), w[0], w[1]);
        case 2:
            return flip(x, w);
        case 3:
            return transpose(flip(x, {w[0]}), w[0], w[1]);
        default:
            return clone(x);
    }
}

namespace {
Tensor repeated(const char* op, const Tensor& x, const Dims& repeats) {
    Dims shape = repeats, result = repeats;
    int lead = repeats.size() - x.dim();
    for (int d = 0; d < repeats.size(); ++d) {
        check<ShapeError>(repeats[d] >= 0, op, ": repeats must not be negative, got ", repeats);
        shape[d] = d < lead ? 1 : x.shape()[d - lead];
        check<ShapeError>(!__builtin_mul_overflow(shape[d], repeats[d], &result[d]), op, ": ",
                          repeats[d], " times dimension ", d, " of ", x.shape(),
                          " gives too many elements");
    }
    checked_numel(result, op);
    Tensor y = view(contiguous(x), shape);
    // One dimension at a time, innermost first: [.., n, ..] -> [.., r, n, ..] -> [.., r * n, ..].
    for (int d = repeats.size() - 1; d >= 0; --d) {
        if (repeats[d] == 1) continue;
        Dims joined = y.shape();
        joined[d] *= repeats[d];
        int64_t inner = 1, outer = 1;
        for (int i = d; i < y.dim(); ++i) inner *= y.shape()[i];
        for (int i = 0; i < d; ++i) outer *= y.shape()[i];
        y = reshape(expand(reshape(y, {outer, 1, inner}), {outer, repeats[d], inner}), joined);
    }
    return y.impl()->storage == x.impl()->storage ? clone(y) : y;
}

}  // namespace

Tensor repeat(const Tensor& x, const Dims& repeats) {
    check<ShapeError>(repeats.size() >= x.dim(), "repeat: the number of repeats ", repeats,
                      " must be at least the number of dimensions of ", x.shape());
    return repeated("repeat", x, repeats);
}

Tensor tile(const Tensor& x, const Dims& repeats) {
    Dims r = repeats;
    while (r.size() < x.dim()) r.insert(0, 1);
    return repeated("tile", x, r);
}

Tensor repeat_interleave(const Tensor& x, int64_t repeats, std::optional<int64_t> dim) {
    check<Error>(repeats >= 0, "repeat_interleave: repeats must not be negative, got ", repeats);
    Tensor from = dim ? x : reshape(x, {-1});
    int d = wrap_dim(dim.value_or(0), from.dim(), "repeat_interleave");
    if (from.dim() == 0) from = reshape(from, {1});
    Dims shape = from.shape();
    int64_t outer = 1, inner = 1;
    for (int i = 0; i < shape.size(); ++i) (i <= d ? outer : inner) *= shape[i];
    check<ShapeError>(!__builtin_mul_overflow(shape[d], repeats, &shape[d]),
                      "repeat_interleave: ", repeats, " times dimension ", d, " of ", from.shape(),
                      " gives too many elements");
    checked_numel(shape, "repeat_interleave");
    Tensor y = reshape(expand(reshape(from, {outer, 1, inner}), {outer, repeats, inner}), shape);
    return y.impl()->storage == x.impl()->storage ? clone(y) : y;
}

Tensor repeat_interleave(const Tensor& x, const Tensor& repeats, std::optional<int64_t> dim,
                         std::optional<int64_t> output_size) {
    check<TypeError>(repeats.dtype() == DType::Int64 || repeats.dtype() == DType::Int32,
                     "repeat_interleave: repeats must be int64 or int32, got ", repeats.dtype());
    check<ShapeError>(repeats.dim() <= 1,
                      "repeat_interleave: repeats must have at most 1 dimension, got shape ",
                      repeats.shape());
    check_readable(repeats, "repeat_interleave");
    Tensor from = dim ? x : reshape(x, {-1});
    int d = wrap_dim(dim.value_or(0), from.dim(), "repeat_interleave");
    if (from.dim() == 0) from = reshape(from, {1});
    int64_t n = from.shape()[d], total = 0;
    Tensor host = to_device_raw(cast_contiguous_raw(repeats, DType::Int64), Device{});
    check<ShapeError>(host.numel() == 1 || host.numel() == n, "repeat_interleave: repeats has ",
                      host.numel(), " elements but dimension ", d, " has size ", n);
    const int64_t* counts = host.data<int64_t>();
    const int64_t step = host.numel() == 1 ? 0 : 1;
    for (int64_t i = 0; i < n; ++i) {
        const int64_t r = counts[i * step];
        check<Error>(r >= 0, "repeat_interleave: repeats must not be negative, got ", r);
        check<ShapeError>(!__builtin_add_overflow(total, r, &total),
                          "repeat_interleave: the sum of repeats overflows 64 bits");
    }
    check<Error>(!output_size || *output_size == total, "repeat_interleave: output_size ",
                 output_size.value_or(0), " differs from the sum of repeats ", total);
    Dims shape = from.shape();
    shape[d] = total;
    checked_numel(shape, "repeat_interleave");
    std::vector<int64_t> places;
    check<ShapeError>(uint64_t(total) <= places.max_size(),
                      "repeat_interleave: the sum of repeats ", total, " is too large");
    places.reserve(size_t(total));
    for (int64_t i = 0; i < n; ++i) places.insert(places.end(), size_t(counts[i * step]), i);
    return index_select(from, d, index_tensor(places, x.device()));
}

namespace {
void check_matrix(const char* op, const Tensor& x) {
    check<ShapeError>(x.dim() >= 2, op, ": expected at least 2 dimensions, got shape ", x.shape());
}
}  // namespace

Tensor tril(const Tensor& x, int64_t diagonal) {
    check_matrix("tril", x);
    return apply(Triangle{false, diagonal}, x);
}
Tensor triu(const Tensor& x, int64_t diagonal) {
    check_matrix("triu", x);
    return apply(Triangle{true, diagonal}, x);
}
const Tensor& tril_(const Tensor& self, int64_t diagonal) {
    check_matrix("tril_", self);
    return apply_inplace(Triangle{false, diagonal}, self);
}
const Tensor& triu_(const Tensor& self, int64_t diagonal) {
    check_matrix("triu_", self);
    return apply_inplace(Triangle{true, diagonal}, self);
}

Tensor triangle_indices(bool upper, int64_t rows, int64_t cols, int64_t offset, DType dtype,
                        Device device) {
    const char* op = upper ? "triu_indices" : "tril_indices";
    check<Error>(rows >= 0 && cols >= 0, op, ": row and col must not be negative, got ", rows,
                 " and ", cols);
    check<TypeError>(dtype == DType::Int64 || dtype == DType::Int32, op,
                     ": dtype must be int64 or int32, got ", dtype);
    offset = std::clamp(offset, -rows, cols);
    // The rows that have elements, and, before gigabytes of indices, whether there is room for them.
    const int64_t begin = upper ? 0 : std::max<int64_t>(0, -offset),
                  end = upper ? std::min(rows, std::max<int64_t>(0, cols - offset)) : rows;
    if (begin < end && double(end - begin) * double(cols) > 0x1p30)
        empty({end - begin, cols}, DType::Int64, Device{}, op);
    std::vector<int64_t> r, c;
    for (int64_t i = begin; i < end; ++i) {
        int64_t lo = upper ? std::clamp<int64_t>(i + offset, 0, cols) : 0;
        int64_t hi = upper ? cols : std::clamp<int64_t>(i + offset + 1, 0, cols);
        for (int64_t j = lo; j < hi; ++j) {
            r.push_back(i);
            c.push_back(j);
        }
    }
    return cast(stack({index_tensor(r, device), index_tensor(c, device)}), dtype);
}

Tensor diag(const Tensor& x, int64_t diagonal) {
    check<ShapeError>(x.dim() == 1 || x.dim() == 2, "diag: expected 1 or 2 dimensions, got shape ",
                      x.shape());
    return x.dim() == 1 ? diag_embed(x, diagonal) : clone(deeplite::diagonal(x, diagonal));
}

Tensor diag_embed(const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2) {
    check<ShapeError>(x.dim() > 0, "diag_embed: expected at least 1 dimension, got a 0-dim tensor");
    int a = wrap_dim(dim1, x.dim() + 1, "diag_embed"),
        b = wrap_dim(dim2, x.dim() + 1, "diag_embed");
    check<Error>(a != b, "diag_embed: dim1 and dim2 must differ, both are ", dim1);
    return apply(DiagEmbed{offset, a, b}, x);
}

Tensor diagflat(const Tensor& x, int64_t offset) { return diag_embed(reshape(x, {-1}), offset); }

}  // namespace deeplite
