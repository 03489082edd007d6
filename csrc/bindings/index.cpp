#include "ops/index.h"

#include "bindings/bindings.h"
#include "bindings/operators.h"
#include "bindings/pybind.h"
#include "ops/copy.h"
#include "ops/embedding.h"
#include "ops/index_sort.h"

namespace deeplite {
namespace {

using OptTensor = std::optional<Tensor>;
using OptInt = std::optional<int64_t>;

NamedTensors named(const char* type, std::array<Tensor, 2> r) {
    return {type, {"values", "indices"}, {r[0], r[1]}};
}

// Only what was asked for, as torch does: a tensor, or a tuple that starts with it.
template <class F>
py::object show_unique(const F& find, bool inverse, bool counts) {
    Unique u;
    {
        GilRelease unlocked;
        u = find();
    }
    TensorList out{u.values};
    if (inverse) out.push_back(u.inverse);
    if (counts) out.push_back(u.counts);
    PyObject* o = out.size() == 1 ? wrap(u.values) : bind::to_python(out);
    return py::reinterpret_steal<py::object>(o);
}

bool is_right(const char* op, bool right, const std::optional<std::string>& side) {
    if (!side) return right;
    check<Error>(*side == "left" || *side == "right", op, ": side must be 'left' or 'right', got '",
                 *side, "'");
    check<Error>(!(right && *side == "left"), op, ": side is 'left' but right is True");
    return *side == "right";
}

Tensor detached_value(const Scalar& s) { return s.tensor(); }

void bind_scatter(Api& api) {
    api.both("gather(input, dim, index, *, sparse_grad=False)",
             [](const Tensor& x, int64_t dim, const Tensor& index, bool) {
                 return gather(x, dim, index);
             });
    api.both("scatter(input, dim, index, src, *, reduce=None)",
             [](const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src,
                std::optional<std::string> reduce) {
                 return scatter(x, dim, index, src, reduce.value_or(""));
             });
    api.both("scatter(input, dim, index, value, *, reduce=None)",
             [](const Tensor& x, int64_t dim, const Tensor& index, const Scalar& value,
                std::optional<std::string> reduce) {
                 return scatter(x, dim, index, detached_value(value), reduce.value_or(""));
             });
    api.method("scatter_(self, dim, index, src, *, reduce=None)",
               [](const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src,
                  std::optional<std::string> reduce) {
                   return scatter_(x, dim, index, src, reduce.value_or(""));
               });
    api.method("scatter_(self, dim, index, value, *, reduce=None)",
               [](const Tensor& x, int64_t dim, const Tensor& index, const Scalar& value,
                  std::optional<std::string> reduce) {
                   return scatter_(x, dim, index, detached_value(value), reduce.value_or(""));
               });
    api.both("scatter_add(input, dim, index, src)", &scatter_add);
    api.method("scatter_add_(self, dim, index, src)", &scatter_add_);
    api.both("scatter_reduce(input, dim, index, src, reduce, *, include_self=True)",
             &scatter_reduce);
    api.method("scatter_reduce_(self, dim, index, src, reduce, *, include_self=True)",
               &scatter_reduce_);
}

void bind_rows(Api& api) {
    api.both("index_select(input, dim, index)", &index_select);
    api.both("index_add(input, dim, index, source, *, alpha=1)", &index_add);
    api.method("index_add_(self, dim, index, source, *, alpha=1)", &index_add_);
    api.both("index_copy(input, dim, index, source)", &index_copy);
    api.method("index_copy_(self, dim, index, source)", &index_copy_);
    api.both("index_fill(input, dim, index, value)",
             [](const Tensor& x, int64_t dim, const Tensor& index, const Operand& value) {
                 return index_fill(x, dim, index, value);
             });
    api.method("index_fill_(self, dim, index, value)",
               [](const Tensor& x, int64_t dim, const Tensor& index, const Operand& value) {
                   return index_fill_(x, dim, index, value);
               });
    api.both("index_reduce(input, dim, index, source, reduce, *, include_self=True)",
             &index_reduce);
    api.method("index_reduce_(self, dim, index, source, reduce, *, include_self=True)",
               &index_reduce_);
    api.both("index_put(input, indices, values, accumulate=False)", &index_put);
    api.method("index_put_(self, indices, values, accumulate=False)", &index_put_);
    api.both("take(input, index)", &take);
    api.both("take_along_dim(input, indices, dim=None)", &take_along_dim);
    api.method("put_(self, index, source, accumulate=False)", &put_);
    api.both("put(input, index, source, accumulate=False)",
             [](const Tensor& x, const Tensor& index, const Tensor& source, bool accumulate) {
                 Tensor out = clone(x);
                 put_(out, index, source, accumulate);
                 return out;
             });
    operators().index = &index;
    operators().index_put_ = &index_put_;
    operators().nonzero = &nonzero;
}

void bind_masks(Api& api) {
    api.both("masked_select(input, mask)", &masked_select);
    api.both("masked_scatter(input, mask, source)", &masked_scatter);
    api.method("masked_scatter_(self, mask, source)", &masked_scatter_);
    api.both("nonzero(input)", &nonzero);
    api.both("nonzero(input, *, as_tuple)", [](const Tensor& x, bool as_tuple) {
        PyObject* o = as_tuple ? bind::to_python(nonzero_tuple(x)) : wrap(nonzero(x));
        return py::reinterpret_steal<py::object>(o);
    });
    api.both("argwhere(input)", &argwhere);
    api.fn("where(condition)", &nonzero_tuple);
}

void bind_order(Api& api) {
    api.both("sort(input, dim=-1, descending=False, stable=False)",
             [](const Tensor& x, int64_t dim, bool descending, bool) {
                 return named("sort", sort(x, dim, descending));
             });
    api.both("argsort(input, dim=-1, descending=False, stable=False)",
             [](const Tensor& x, int64_t dim, bool descending, bool) {
                 return argsort(x, dim, descending);
             });
    api.both("msort(input)", &msort);
    api.both("topk(input, k, dim=None, largest=True, sorted=True)",
             [](const Tensor& x, int64_t k, OptInt dim, bool largest, bool sorted) {
                 return named("topk", topk(x, k, dim.value_or(-1), largest, sorted));
             });
    api.both("kthvalue(input, k, dim=-1, keepdim=False)",
             [](const Tensor& x, int64_t k, int64_t dim, bool keepdim) {
                 return named("kthvalue", kthvalue(x, k, dim, keepdim));
             });
    api.fn(
        "searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, "
        "sorter=None)",
        [](const Tensor& sorted, const Operand& values, bool out_int32, bool right,
           std::optional<std::string> side, OptTensor sorter) {
            return searchsorted(sorted, values, out_int32, is_right("searchsorted", right, side),
                                sorter.value_or(Tensor{}));
        });
    api.fn("bucketize(input, boundaries, *, out_int32=False, right=False)",
           [](const Operand& x, const Tensor& boundaries, bool out_int32, bool right) {
               return bucketize(x, boundaries, out_int32, right);
           });
    api.fn("isin(elements, test_elements, *, assume_unique=False, invert=False)",
           [](const Operand& elements, const Operand& test, bool, bool invert) {
               return isin(elements, test, invert);
           });
    api.both("unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None)",
             [](const Tensor& x, bool, bool inverse, bool counts, OptInt dim) {
                 return show_unique([&] { return unique(x, dim); }, inverse, counts);
             });
    api.both("unique_consecutive(input, return_inverse=False, return_counts=False, dim=None)",
             [](const Tensor& x, bool inverse, bool counts, OptInt dim) {
                 return show_unique([&] { return unique_consecutive(x, dim); }, inverse, counts);
             });
}

void bind_embedding(Api& api) {
    api.fn("embedding(weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False)",
           [](const Tensor& weight, const Tensor& indices, int64_t padding_idx, bool scale, bool) {
               return embedding(weight, indices, padding_idx, scale);
           });
    api.nn(
        "embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, "
        "scale_grad_by_freq=False, "
        "sparse=False)",
        [](const Tensor& input, const Tensor& weight, OptInt padding_idx,
           std::optional<double> max_norm, double norm_type, bool scale, bool) {
            return embedding_lookup(input, weight, padding_idx, max_norm, norm_type, scale);
        });
    api.nn(
        "embedding_bag(input, weight, offsets=None, max_norm=None, norm_type=2, "
        "scale_grad_by_freq=False, "
        "mode='mean', sparse=False, per_sample_weights=None, include_last_offset=False, "
        "padding_idx=None)",
        [](const Tensor& input, const Tensor& weight, OptTensor offsets,
           std::optional<double> max_norm, double norm_type, bool scale, const std::string& mode,
           bool, OptTensor per_sample_weights, bool include_last_offset, OptInt padding_idx) {
            return embedding_bag(input, weight, offsets.value_or(Tensor{}), max_norm, norm_type,
                                 scale, mode, per_sample_weights.value_or(Tensor{}),
                                 include_last_offset, padding_idx);
        });
    api.nn("one_hot(tensor, num_classes=-1)", &one_hot);
}

}  // namespace

void bind_index(Api& api) {
    bind_scatter(api);
    bind_rows(api);
    bind_masks(api);
    bind_order(api);
    bind_embedding(api);
}

}  // namespace deeplite
