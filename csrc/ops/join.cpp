#include "ops/join.h"

#include "ops/apply.h"
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/index_kernels.h"
#include "ops/iter.h"
#include "ops/view.h"

namespace deeplite {
namespace {

// A legacy of torch: a tensor of shape [0] joins with anything.
bool is_void(const Tensor& t) { return t.dim() == 1 && t.shape()[0] == 0; }

struct Cat {
    static constexpr OpInfo info{.name = "cat"};
    int64_t dim;
    void attributes(auto& v) const { v("dim", dim); }
    Tensor forward(const TensorList& tensors) const {
        Dims shape;
        int64_t total = 0;
        DType dtype = tensors[0].dtype();
        bool found = false;
        for (size_t i = 0; i < tensors.size(); ++i) {
            const Tensor& t = tensors[i];
            dtype = promote(dtype, t.dtype());
            if (is_void(t)) continue;
            if (!found) shape = t.shape();
            check<ShapeError>(t.dim() == shape.size(),
                              "cat: tensors must have the same number of dimensions, got ", shape,
                              " and ", t.shape());
            for (int d = 0; found && d < shape.size(); ++d)
                check<ShapeError>(d == dim || t.shape()[d] == shape[d],
                                  "cat: sizes must match except in dimension ", dim, "; expected ",
                                  shape[d], " but got ", t.shape()[d], " in dimension ", d,
                                  " of tensor number ", i, " in the list (", shape, " and ",
                                  t.shape(), ")");
            found = true;
            total += t.shape()[int(dim)];
        }
        if (!found) return empty({0}, dtype, tensors[0].device());
        shape[int(dim)] = total;
        const MemoryFormat format = format_of(tensors);
        const Tensor out = empty_in(format, shape, dtype, tensors[0].device(), info.name);
        if (out.numel() && !join_dense(tensors, format, out)) join_strided(tensors, out);
        return out;
    }
    // Channels last when all are.
    static MemoryFormat format_of(const TensorList& tensors) {
        const MemoryFormat first = suggested_format(tensors[0]);
        for (const Tensor& t : tensors)
            if (suggested_format(t) != first) return MemoryFormat::Contiguous;
        return first;
    }
    // Tensors of one type and dense in one format are rows of memory side by side.
    bool join_dense(const TensorList& tensors, MemoryFormat format, const Tensor& out) const {
        int64_t rows = 1;
        const bool last = format != MemoryFormat::Contiguous;
        for (int d = 0; d < out.dim(); ++d) {
            // Channels lie behind all other dimensions then.
            const bool outside = !last ? d < dim : dim == 1 ? d != 1 : d != 1 && d < dim;
            if (outside) rows *= out.shape()[d];
        }
        std::vector<const void*> x;
        std::vector<int64_t> run;
        for (const Tensor& t : tensors) {
            if (t.dtype() != out.dtype() || !is_contiguous(t, format)) return false;
            x.push_back(t.raw());
            run.push_back(t.numel() / rows);
        }
        dl_concat_args a{};
        a.dtype = int(out.dtype());
        a.n = int(x.size());
        a.rows = rows;
        a.x = x.data();
        a.run = run.data();
        a.y = out.raw();
        run_index(info.name, out.device(), &dl_index_table::concat, &a);
        return true;
    }
    void join_strided(const TensorList& tensors, const Tensor& out) const {
        int64_t at = 0, step = out.strides()[int(dim)];
        for (const Tensor& t : tensors) {
            if (is_void(t)) continue;
            copy_raw(raw_view(out, t.shape(), out.strides(), t.numel() ? at * step : 0), t);
            at += t.shape()[int(dim)];
        }
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Grads grads(c.inputs());
        int64_t at = 0;
        for (int i = 0; i < c.inputs(); ++i) {
            const Dims& shape = c.shape(i);
            bool skipped = shape.size() == 1 && shape[0] == 0;
            if (c.needs(i))
                grads[i] = skipped ? zeros(shape, c.dtype(i), c.device(i))
                                   : cast(narrow(dy, dim, at, shape[int(dim)]), c.dtype(i));
            if (!skipped) at += shape[int(dim)];
        }
        return grads;
    }
};

void check_list(const char* op, const TensorList& tensors) {
    check<Error>(!tensors.empty(), op, ": expected a non-empty list of tensors");
    for (const Tensor& t : tensors) check_same_device(op, {&tensors[0], &t});
}

Tensor at_least(const Tensor& x, int ndim) {
    Tensor y = x;
    while (y.dim() < ndim) y = unsqueeze(y, y.dim() == 2 ? 2 : 0);
    return y;
}

}  // namespace

Tensor concat(const TensorList& tensors, int64_t dim) {
    check_list("cat", tensors);
    int ndim = 1;
    for (size_t i = 0; i < tensors.size(); ++i) {
        check<ShapeError>(tensors[i].dim() > 0, "cat: a 0-dim tensor (at position ", i,
                          ") cannot be concatenated");
        if (!is_void(tensors[i])) {
            ndim = tensors[i].dim();
            break;
        }
    }
    for (size_t i = 0; i < tensors.size(); ++i)
        check<ShapeError>(tensors[i].dim() > 0, "cat: a 0-dim tensor (at position ", i,
                          ") cannot be concatenated");
    return apply(Cat{wrap_dim(dim, ndim, "cat")}, tensors);
}

Tensor stack(const TensorList& tensors, int64_t dim) {
    check_list("stack", tensors);
    int d = wrap_dim(dim, tensors[0].dim() + 1, "stack");
    TensorList rows;
    for (size_t i = 0; i < tensors.size(); ++i) {
        check<ShapeError>(tensors[i].shape() == tensors[0].shape(),
                          "stack: expected tensors of one shape, got ", tensors[0].shape(),
                          " at entry 0 and ", tensors[i].shape(), " at entry ", i);
        rows.push_back(unsqueeze(tensors[i], d));
    }
    // Tensors of shape [0] are not skipped here.
    return tensors[0].numel() ? apply(Cat{d}, rows) : concat(rows, d);
}

Tensor hstack(const TensorList& tensors) {
    check_list("hstack", tensors);
    TensorList parts;
    for (const Tensor& t : tensors) parts.push_back(at_least(t, 1));
    return concat(parts, parts[0].dim() == 1 ? 0 : 1);
}
Tensor vstack(const TensorList& tensors) {
    check_list("vstack", tensors);
    TensorList parts;
    for (const Tensor& t : tensors) parts.push_back(at_least(t, 2));
    return concat(parts, 0);
}
Tensor dstack(const TensorList& tensors) {
    check_list("dstack", tensors);
    TensorList parts;
    for (const Tensor& t : tensors) parts.push_back(at_least(t, 3));
    return concat(parts, 2);
}
Tensor column_stack(const TensorList& tensors) {
    check_list("column_stack", tensors);
    TensorList parts;
    for (const Tensor& t : tensors) parts.push_back(t.dim() <= 1 ? reshape(t, {t.numel(), 1}) : t);
    return hstack(parts);
}

Tensor block_diag(const TensorList& tensors) {
    check_list("block_diag", tensors);
    int64_t rows = 0, cols = 0;
    TensorList blocks;
    for (const Tensor& t : tensors) {
        check<ShapeError>(t.dim() <= 2,
                          "block_diag: expected tensors with at most 2 dimensions, got shape ",
                          t.shape());
        blocks.push_back(at_least(t, 2));
        rows += blocks.back().shape()[0];
        cols += blocks.back().shape()[1];
    }
    TensorList bands;
    int64_t left = 0;
    for (const Tensor& b : blocks) {
        bands.push_back(constant_pad(b, {left, cols - left - b.shape()[1]}));
        left += b.shape()[1];
    }
    return concat(bands, 0);
}

// ---- splitting

TensorList split_with_sizes(const Tensor& x, const std::vector<int64_t>& sizes, int64_t dim) {
    check<ShapeError>(x.dim() > 0, "split: a 0-dim tensor cannot be split");
    int d = wrap_dim(dim, x.dim(), "split");
    int64_t total = 0, at = 0;
    for (int64_t s : sizes) {
        check<ShapeError>(s >= 0, "split: sizes must not be negative, got ", s);
        total += s;
    }
    check<ShapeError>(total == x.shape()[d], "split: sizes sum up to ", total, " but dimension ", d,
                      " of shape ", x.shape(), " has size ", x.shape()[d]);
    TensorList out;
    for (int64_t s : sizes) {
        out.push_back(narrow(x, d, at, s));
        at += s;
    }
    return out;
}

TensorList split(const Tensor& x, int64_t size, int64_t dim) {
    check<ShapeError>(x.dim() > 0, "split: a 0-dim tensor cannot be split");
    int d = wrap_dim(dim, x.dim(), "split");
    int64_t n = x.shape()[d];
    check<Error>(size >= 0, "split: split_size must not be negative, got ", size);
    check<Error>(size > 0 || n == 0, "split: split_size 0 needs a dimension of size 0, got ", n);
    std::vector<int64_t> sizes;
    for (int64_t at = 0; at < n; at += size) sizes.push_back(std::min(size, n - at));
    if (sizes.empty()) sizes.push_back(0);
    return split_with_sizes(x, sizes, d);
}

namespace {
void check_pieces(const char* op, int64_t n) {  // empty pieces cost memory too
    check<Error>(n <= int64_t(1) << 24, op, ": too many pieces: ", n);
}
}  // namespace

TensorList chunk(const Tensor& x, int64_t chunks, int64_t dim) {
    check<ShapeError>(x.dim() > 0, "chunk: a 0-dim tensor cannot be split");
    check<Error>(chunks > 0, "chunk: chunks must be positive, got ", chunks);
    check_pieces("chunk", chunks);
    int d = wrap_dim(dim, x.dim(), "chunk");
    int64_t n = x.shape()[d];
    if (n == 0) return split_with_sizes(x, std::vector<int64_t>(size_t(chunks), 0), d);
    return split(x, (n + chunks - 1) / chunks, d);
}

TensorList tensor_split(const Tensor& x, int64_t sections, int64_t dim) {
    check<ShapeError>(x.dim() > 0, "tensor_split: a 0-dim tensor cannot be split");
    check<Error>(sections > 0, "tensor_split: the number of sections must be positive, got ",
                 sections);
    check_pieces("tensor_split", sections);
    int d = wrap_dim(dim, x.dim(), "tensor_split");
    int64_t n = x.shape()[d];
    std::vector<int64_t> sizes;
    for (int64_t i = 0; i < sections; ++i) sizes.push_back(n / sections + (i < n % sections));
    return split_with_sizes(x, sizes, d);
}

TensorList tensor_split(const Tensor& x, const std::vector<int64_t>& indices, int64_t dim) {
    check<ShapeError>(x.dim() > 0, "tensor_split: a 0-dim tensor cannot be split");
    int d = wrap_dim(dim, x.dim(), "tensor_split");
    TensorList out;
    std::optional<int64_t> from = 0;
    for (int64_t to : indices) {
        out.push_back(slice(x, d, from, to, 1));
        from = to;
    }
    out.push_back(slice(x, d, from, {}, 1));
    return out;
}

}  // namespace deeplite
