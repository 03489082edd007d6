#include "ops/index_sort.h"

#include "ops/apply.h"
#include "ops/copy.h"
#include "ops/elementwise.h"
#include "ops/factory.h"
#include "ops/index.h"
#include "ops/index_kernels.h"
#include "ops/view.h"

namespace deeplite {
namespace {

// x with dim moved last, contiguous, at least 1-d: the rows the kernels work on.
Tensor rows_of(const Tensor& x, int dim) {
    if (x.dim() == 0) return view(contiguous_raw(x), {1});
    return contiguous_raw(transpose(x, dim, -1));
}

dl_sort_args sort_args(const Tensor& rows) {
    dl_sort_args a{};
    a.dtype = int(rows.dtype());
    a.n = rows.shape().back();
    a.rows = a.n ? rows.numel() / a.n : 0;
    a.x = rows.raw();
    return a;
}

// Results of the rows, brought back to the place of dim.
Tensor back_to(const Tensor& rows, const Tensor& x, int dim) {
    if (x.dim() == 0) return reshape(rows, {});
    return contiguous_raw(transpose(rows, dim, -1));
}

std::array<Tensor, 2> select_rows(const char* op, dl_sort_fn dl_index_table::* entry,
                                  const Tensor& x, int dim, const Tensor& rows, dl_sort_args a,
                                  int64_t width) {
    Dims shape = rows.shape();
    shape.back() = width;
    Tensor values = empty(shape, x.dtype(), x.device()),
           indices = empty(shape, DType::Int64, x.device());
    a.values = values.raw();
    a.indices = indices.data<int64_t>();
    if (values.numel()) run_index(op, x.device(), entry, &a);
    return {back_to(values, x, dim), back_to(indices, x, dim)};
}

Grads picked_grad(const Ctx& c, const Grads& dys, int64_t dim, const Tensor& indices) {
    if (!dys[0].defined()) return {Tensor{}};
    return {scatter_into_zeros(dys[0], dim, indices, c.shape(0))};
}

struct Sort {
    static constexpr OpInfo info{
        .name = "sort", .save_outputs = 0b10, .differentiable_outputs = 0b1};
    int64_t dim;
    bool descending;
    void attributes(auto& v) const {
        v("dim", dim);
        v("descending", descending);
    }
    std::array<Tensor, 2> forward(const Tensor& x) const {
        Tensor rows = rows_of(x, int(dim));
        dl_sort_args a = sort_args(rows);
        a.descending = descending;
        return select_rows(info.name, &dl_index_table::sort, x, int(dim), rows, a, a.n);
    }
    Grads backward(const Ctx& c, const Grads& dys) const {
        return picked_grad(c, dys, dim, c.out(1));
    }
};

struct Topk {
    static constexpr OpInfo info{
        .name = "topk", .save_outputs = 0b10, .differentiable_outputs = 0b1};
    int64_t k, dim;
    bool largest, sorted;
    void attributes(auto& v) const {
        v("k", k);
        v("dim", dim);
        v("largest", largest);
        v("sorted", sorted);
    }
    std::array<Tensor, 2> forward(const Tensor& x) const {
        Tensor rows = rows_of(x, int(dim));
        dl_sort_args a = sort_args(rows);
        a.descending = largest;
        a.sorted = sorted;
        a.k = k;
        return select_rows(info.name, &dl_index_table::topk, x, int(dim), rows, a, k);
    }
    Grads backward(const Ctx& c, const Grads& dys) const {
        return picked_grad(c, dys, dim, c.out(1));
    }
};

// Keeps the dimension, with size 1.
struct Kthvalue {
    static constexpr OpInfo info{
        .name = "kthvalue", .save_outputs = 0b10, .differentiable_outputs = 0b1};
    int64_t k, dim;  // k from 0
    void attributes(auto& v) const {
        v("k", k + 1);
        v("dim", dim);
    }
    std::array<Tensor, 2> forward(const Tensor& x) const {
        Tensor rows = rows_of(x, int(dim));
        dl_sort_args a = sort_args(rows);
        a.k = k;
        return select_rows(info.name, &dl_index_table::kthvalue, x, int(dim), rows, a, 1);
    }
    Grads backward(const Ctx& c, const Grads& dys) const {
        return picked_grad(c, dys, dim, c.out(1));
    }
};

struct SearchSorted {
    static constexpr OpInfo info{.name = "searchsorted"};
    bool right;
    void attributes(auto& v) const { v("right", right); }
    Tensor forward(const Tensor& sorted, const Tensor& values, const Tensor& sorter) const {
        DType t = compute_dtype(promote(
            sorted.dtype(), values.impl()->wrapped_number ? sorted.dtype() : values.dtype()));
        Tensor s = cast_contiguous_raw(sorted, t), v = cast_contiguous_raw(values, t);
        Tensor order = sorter.defined() ? cast_contiguous_raw(sorter, DType::Int64) : Tensor{};
        Tensor out = empty(values.shape(), DType::Int64, sorted.device());
        dl_searchsorted_args a{};
        a.dtype = int(t);
        a.right = right;
        a.shared = s.dim() == 1;
        a.m = s.shape().back();
        a.n = a.shared ? v.numel() : v.shape().back();
        a.rows = a.n ? v.numel() / a.n : 0;
        a.sorted = s.raw();
        a.sorter = order.defined() ? order.data<int64_t>() : nullptr;
        a.values = v.raw();
        a.out = out.data<int64_t>();
        if (v.numel()) run_index(info.name, s.device(), &dl_index_table::searchsorted, &a);
        return out;
    }
};

// Runs of equal rows, in the given order. `rows` is [n, width], contiguous.
Unique run_unique(const char* op, const Tensor& rows, const Tensor& order) {
    int64_t n = rows.shape()[0];
    Tensor inverse = empty({n}, DType::Int64, rows.device()),
           starts = empty({n}, DType::Int64, rows.device());
    int64_t runs = 0;
    dl_runs_args a{};
    a.dtype = int(rows.dtype());
    a.n = n;
    a.width = rows.shape()[1];
    a.x = rows.raw();
    a.order = order.defined() ? order.data<int64_t>() : nullptr;
    a.inverse = inverse.data<int64_t>();
    a.starts = starts.data<int64_t>();
    a.runs = &runs;
    run_index(op, rows.device(), &dl_index_table::runs, &a);
    starts = narrow(starts, 0, 0, runs);
    Tensor at = order.defined() ? index_select(order, 0, starts) : starts;
    Tensor counts = empty({runs}, DType::Int64, rows.device());
    if (runs > 0) {
        copy_raw(narrow(counts, 0, 0, runs - 1), narrow(starts, 0, 1, runs - 1));
        copy_raw(narrow(counts, 0, runs - 1, 1),
                 full_raw({1}, double(n), DType::Int64, rows.device()));
        counts = sub(counts, starts);
    }
    return {index_select(rows, 0, at), inverse, counts};
}

// The rows of x along dim as [n, width], and how to turn [runs, width] back.
Unique unique_along(const char* op, const Tensor& x, int64_t dim, bool sorted) {
    int d = wrap_dim(dim, x.dim(), op);
    check<ShapeError>(x.dim() > 0, op, ": dim given for a 0-dim tensor");
    check<Error>(x.numel() > 0 || x.shape()[d] == 0, op,
                 ": cannot tell apart rows without elements (shape ", x.shape(), ")");
    int64_t n = x.shape()[d];
    Tensor moved = contiguous_raw(transpose(x, 0, d));
    Tensor rows = view(moved, {n, n ? x.numel() / n : 0}), order;
    if (sorted && n) {
        order = empty({n}, DType::Int64, x.device());
        dl_argsort_rows_args a{int32_t(x.dtype()), n, rows.shape()[1], rows.raw(),
                               order.data<int64_t>()};
        run_index(op, x.device(), &dl_index_table::argsort_rows, &a);
    }
    Unique u = run_unique(op, rows, order);
    Dims shape = moved.shape();
    shape[0] = u.values.shape()[0];
    u.values = contiguous_raw(transpose(view(u.values, shape), 0, d));
    return u;
}

Unique unique_flat(const char* op, const Tensor& x, bool sorted) {
    Tensor flat = view(contiguous_raw(x), {x.numel()});
    Unique u;
    if (sorted && x.numel()) {
        auto [values, order] = sort(flat, 0);
        Tensor rows = view(values, {x.numel(), 1});
        u = run_unique(op, rows,
                       Tensor{});  // runs of the sorted values; inverse counts in sorted order
        Tensor inverse = empty({x.numel()}, DType::Int64, x.device());
        u.inverse = scatter(inverse, 0, order, u.inverse);
    } else {
        u = run_unique(op, view(flat, {x.numel(), 1}), Tensor{});
    }
    u.values = view(u.values, {u.values.numel()});
    u.inverse = view(u.inverse, x.shape());
    return u;
}

Unique run_unique_op(const char* op, const Tensor& x, std::optional<int64_t> dim, bool sorted) {
    check_readable(x, op);
    GradMode no_grad(false);  // distinct values have no gradient
    return dim ? unique_along(op, x, *dim, sorted) : unique_flat(op, x, sorted);
}

}  // namespace

std::array<Tensor, 2> sort(const Tensor& x, int64_t dim, bool descending) {
    return apply(Sort{wrap_dim(dim, x.dim(), "sort"), descending}, x);
}

Tensor argsort(const Tensor& x, int64_t dim, bool descending) {
    return sort(x, dim, descending)[1];
}
Tensor msort(const Tensor& x) { return sort(x, 0)[0]; }

std::array<Tensor, 2> topk(const Tensor& x, int64_t k, int64_t dim, bool largest, bool sorted) {
    int d = wrap_dim(dim, x.dim(), "topk");
    int64_t n = x.dim() ? x.shape()[d] : 1;
    check<ShapeError>(k >= 0 && k <= n, "topk: k = ", k, " is out of range for dimension ", d,
                      " of size ", n);
    check<Error>(x.dim() || k == 1, "topk: k must be 1 for a 0-dim tensor, got ", k);
    return apply(Topk{k, d, largest, sorted}, x);
}

std::array<Tensor, 2> kthvalue(const Tensor& x, int64_t k, int64_t dim, bool keepdim) {
    int d = wrap_dim(dim, x.dim(), "kthvalue");
    int64_t n = x.dim() ? x.shape()[d] : 1;
    check<ShapeError>(n > 0, "kthvalue: dimension ", d, " of shape ", x.shape(), " is empty");
    check<ShapeError>(k >= 1 && k <= n, "kthvalue: k = ", k, " is out of range for dimension ", d,
                      " of size ", n);
    auto out = apply(Kthvalue{k - 1, d}, x);
    if (x.dim() && !keepdim) return {squeeze(out[0], {d}), squeeze(out[1], {d})};
    return out;
}

Tensor searchsorted(const Tensor& sorted, const Tensor& values, bool out_int32, bool right,
                    const Tensor& sorter) {
    check_same_device("searchsorted", {&sorted, &values, &sorter});
    check<ShapeError>(sorted.dim() > 0,
                      "searchsorted: the sorted sequence must have at least 1 dimension");
    bool fits = sorted.dim() == 1 || sorted.dim() == values.dim();
    for (int d = 0; fits && sorted.dim() > 1 && d + 1 < sorted.dim(); ++d)
        fits = sorted.shape()[d] == values.shape()[d];
    check<ShapeError>(fits, "searchsorted: the sorted sequence ", sorted.shape(),
                      " must be a vector or agree with values ", values.shape(),
                      " in all dimensions but the last");
    if (sorter.defined()) {
        check<ShapeError>(sorter.shape() == sorted.shape(), "searchsorted: sorter ", sorter.shape(),
                          " must have the shape of the sorted sequence ", sorted.shape());
        check<TypeError>(sorter.dtype() == DType::Int64, "searchsorted: sorter must be int64, got ",
                         sorter.dtype());
    }
    Tensor out = apply(SearchSorted{right}, sorted, values, sorter);
    return out_int32 ? cast(out, DType::Int32) : out;
}

Tensor bucketize(const Tensor& x, const Tensor& boundaries, bool out_int32, bool right) {
    check<ShapeError>(boundaries.dim() == 1, "bucketize: boundaries must be a vector, got shape ",
                      boundaries.shape());
    return searchsorted(boundaries, x, out_int32, right);
}

Tensor isin(const Tensor& elements, const Tensor& test_elements, bool invert) {
    check_same_device("isin", {&elements, &test_elements});
    GradMode no_grad(false);
    Tensor test = reshape(test_elements, {-1});
    if (test.numel() == 0) return full(elements.shape(), invert, DType::Bool, elements.device());
    DType t = compute_dtype(promote(elements.dtype(), test.dtype()));
    Tensor sorted = sort(cast(test, t), 0)[0], values = cast(elements, t);
    Tensor at = searchsorted(sorted, values);
    Tensor last = full({}, double(test.numel() - 1), DType::Int64, elements.device());
    at = where(lt(last, at), last, at);
    Tensor found =
        eq(reshape(index_select(sorted, 0, reshape(at, {-1})), elements.shape()), values);
    return invert ? logical_not(found) : found;
}

Unique unique(const Tensor& x, std::optional<int64_t> dim) {
    return run_unique_op("unique", x, dim, true);
}
Unique unique_consecutive(const Tensor& x, std::optional<int64_t> dim) {
    return run_unique_op("unique_consecutive", x, dim, false);
}

}  // namespace deeplite
