#include "ops/reduce.h"

#include <cmath>

#include "bindings/bindings.h"
#include "ops/copy.h"
#include "ops/elementwise.h"

namespace deeplite {

// A bool and nothing that merely could be one: tells var(x, False) from var(x, 0).
struct Flag {
    bool on = false;
};
template <>
struct bind::Caster<Flag> : bind::Named<"bool"> {
    static bool load(PyObject* o, Flag& out) {
        out.on = o == Py_True;
        return PyBool_Check(o);
    }
};

namespace {

using OptDims = std::optional<Dims>;
using OptInt = std::optional<int64_t>;
using OptTensor = std::optional<Tensor>;
using OptScalar = std::optional<Scalar>;
using Pair = std::array<Tensor, 2>;

Dims get(const OptDims& d) { return d.value_or(Dims{}); }
Tensor get(const OptTensor& t) { return t.value_or(Tensor{}); }

NamedTensors named(const char* type, const Pair& r) {
    return {type, {"values", "indices"}, {r[0], r[1]}};
}

// f(input, dims, keepdim, dtype)
template <Tensor (*f)(const Tensor&, const Dims&, bool, OptionalDType)>
Tensor over_dims(const Tensor& x, const OptDims& dim, bool keepdim, OptionalDType dtype) {
    return f(x, get(dim), keepdim, dtype);
}
template <Tensor (*f)(const Tensor&, const Dims&, bool)>
Tensor over_dims(const Tensor& x, const OptDims& dim, bool keepdim) {
    return f(x, get(dim), keepdim);
}

void bind_sums(Api& api) {
    api.both("sum(input, dim=None, keepdim=False, *, dtype=None)", &over_dims<sum>);
    api.method("sum_to_size(self, *size)", &sum_to_size);
    api.both("nansum(input, dim=None, keepdim=False, *, dtype=None)", &over_dims<nansum>);
    api.both("mean(input, dim=None, keepdim=False, *, dtype=None)", &over_dims<mean>);
    api.both("nanmean(input, dim=None, keepdim=False, *, dtype=None)", &over_dims<nanmean>);
    api.both("logsumexp(input, dim, keepdim=False)", &logsumexp);
    api.both("all(input, dim=None, keepdim=False)", &over_dims<all>);
    api.both("any(input, dim=None, keepdim=False)", &over_dims<any>);
    api.both("count_nonzero(input, dim=None)",
             [](const Tensor& x, const OptDims& dim) { return count_nonzero(x, get(dim)); });
    api.both("trace(input)", &trace);
}

void check_some(const char* op, const Tensor& x) {
    check<Error>(x.numel() > 0, op, ": expected at least one element, got shape ", x.shape());
}

void bind_extremes(Api& api) {
    api.both("amin(input, dim=(), keepdim=False)", &amin);
    api.both("amax(input, dim=(), keepdim=False)", &amax);
    api.both("aminmax(input, *, dim=None, keepdim=False)",
             [](const Tensor& x, OptInt dim, bool keepdim) {
                 Pair r = aminmax(x, dim, keepdim);
                 return NamedTensors{"aminmax", {"min", "max"}, {r[0], r[1]}};
             });
    api.both("argmin(input, dim=None, keepdim=False)", &argmin);
    api.both("argmax(input, dim=None, keepdim=False)", &argmax);
    api.both("min(input)", [](const Tensor& x) {
        check_some("min", x);
        return amin(x);
    });
    api.both("max(input)", [](const Tensor& x) {
        check_some("max", x);
        return amax(x);
    });
    api.both("min(input, other)", [](const Tensor& x, const Tensor& y) { return minimum(x, y); });
    api.both("max(input, other)", [](const Tensor& x, const Tensor& y) { return maximum(x, y); });
}

// Each in torch's three forms: (unbiased), (dim, *, correction, keepdim), (dim, unbiased, keepdim).
template <class Result, Result (*f)(const Tensor&, const Dims&, double, bool)>
void bind_moment(Api& api, const std::string& name) {
    api.both((name + "(input, unbiased)").c_str(),
             [](const Tensor& x, Flag unbiased) { return f(x, {}, unbiased.on, false); });
    api.both((name + "(input, dim=None, *, correction=1, keepdim=False)").c_str(),
             [](const Tensor& x, const OptDims& dim, const OptScalar& correction, bool keepdim) {
                 return f(x, get(dim), correction ? correction->to_double() : 1, keepdim);
             });
    api.both((name + "(input, dim, unbiased=True, keepdim=False)").c_str(),
             [](const Tensor& x, const OptDims& dim, bool unbiased, bool keepdim) {
                 return f(x, get(dim), unbiased, keepdim);
             });
}

void bind_moments(Api& api) {
    bind_moment<Tensor, var>(api, "var");
    bind_moment<Tensor, std_dev>(api, "std");
    bind_moment<Pair, var_mean>(api, "var_mean");
    bind_moment<Pair, std_mean>(api, "std_mean");
}

bool is_fro(const std::string& ord) { return ord == "fro"; }

Tensor linalg_norm(const Tensor& x, const OptScalar& ord, const OptDims& dim, bool keepdim,
                   OptionalDType dtype) {
    if (!ord) return vector_norm(x, 2, get(dim), keepdim, dtype);
    bool matrix = dim ? dim->size() == 2 : x.dim() == 2;
    check<ShapeError>(dim || x.dim() == 1 || x.dim() == 2,
                      "norm: with ord but without dim, expected a vector or a matrix, got shape ",
                      x.shape());
    if (matrix) return matrix_norm(x, ord->to_double(), dim.value_or(Dims{-2, -1}), keepdim, dtype);
    return vector_norm(x, ord->to_double(), get(dim), keepdim, dtype);
}

void bind_norms(Api& api) {
    // torch.norm takes vector norms over any dims; only strings mean matrices there.
    api.both("norm(input, p='fro', dim=None, keepdim=False, dtype=None)",
             [](const Tensor& x, const std::string& p, const OptDims& dim, bool keepdim,
                OptionalDType dtype) {
                 if (is_fro(p)) return vector_norm(x, 2, get(dim), keepdim, dtype);
                 return matrix_norm(x, p, dim.value_or(Dims{-2, -1}), keepdim, dtype);
             });
    api.both("norm(input, p, dim=None, keepdim=False, dtype=None)",
             [](const Tensor& x, const OptScalar& p, const OptDims& dim, bool keepdim,
                OptionalDType dtype) {
                 return vector_norm(x, p ? p->to_double() : 2, get(dim), keepdim, dtype);
             });
    api.linalg("norm(A, ord=None, dim=None, keepdim=False, *, dtype=None)", &linalg_norm);
    api.linalg("norm(A, ord, dim=None, keepdim=False, *, dtype=None)",
               [](const Tensor& x, const std::string& ord, const OptDims& dim, bool keepdim,
                  OptionalDType dtype) {
                   return matrix_norm(x, ord, dim.value_or(Dims{-2, -1}), keepdim, dtype);
               });
    api.linalg("vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None)",
               [](const Tensor& x, double ord, const OptDims& dim, bool keepdim,
                  OptionalDType dtype) { return vector_norm(x, ord, get(dim), keepdim, dtype); });
    api.linalg("matrix_norm(A, ord='fro', dim=(-2, -1), keepdim=False, *, dtype=None)",
               [](const Tensor& x, const std::string& ord, const Dims& dim, bool keepdim,
                  OptionalDType dtype) { return matrix_norm(x, ord, dim, keepdim, dtype); });
    api.linalg("matrix_norm(A, ord, dim=(-2, -1), keepdim=False, *, dtype=None)",
               [](const Tensor& x, double ord, const Dims& dim, bool keepdim, OptionalDType dtype) {
                   return matrix_norm(x, ord, dim, keepdim, dtype);
               });
    api.both("dist(input, other, p=2)", &dist);
}

void bind_order(Api& api) {
    api.both("prod(input, dim=None, keepdim=False, *, dtype=None)", &prod);
    api.both("min(input, dim, keepdim=False)", [](const Tensor& x, int64_t dim, bool keepdim) {
        return named("min", min(x, dim, keepdim));
    });
    api.both("max(input, dim, keepdim=False)", [](const Tensor& x, int64_t dim, bool keepdim) {
        return named("max", max(x, dim, keepdim));
    });
    api.both("median(input)", [](const Tensor& x) { return median(x); });
    api.both("nanmedian(input)", [](const Tensor& x) { return nanmedian(x); });
    api.both("median(input, dim, keepdim=False)", [](const Tensor& x, int64_t dim, bool keepdim) {
        return named("median", median(x, dim, keepdim));
    });
    api.both("nanmedian(input, dim, keepdim=False)",
             [](const Tensor& x, int64_t dim, bool keepdim) {
                 return named("nanmedian", nanmedian(x, dim, keepdim));
             });
    api.both("mode(input, dim=-1, keepdim=False)", [](const Tensor& x, int64_t dim, bool keepdim) {
        return named("mode", mode(x, dim, keepdim));
    });
    api.both("quantile(input, q, dim=None, keepdim=False, *, interpolation='linear')",
             [](const Tensor& x, const Operand& q, OptInt dim, bool keepdim,
                const std::string& interpolation) {
                 return quantile(x, q, dim, keepdim, interpolation);
             });
    api.both("nanquantile(input, q, dim=None, keepdim=False, *, interpolation='linear')",
             [](const Tensor& x, const Operand& q, OptInt dim, bool keepdim,
                const std::string& interpolation) {
                 return quantile(x, q, dim, keepdim, interpolation, true);
             });
}

void bind_scans(Api& api) {
    api.both("cumsum(input, dim, *, dtype=None)", &cumsum);
    api.both("cumprod(input, dim, *, dtype=None)", &cumprod);
    api.method("cumsum_(self, dim)", &cumsum_);
    api.method("cumprod_(self, dim)", &cumprod_);
    api.both("logcumsumexp(input, dim)", &logcumsumexp);
    api.both("cummax(input, dim)",
             [](const Tensor& x, int64_t dim) { return named("cummax", cummax(x, dim)); });
    api.both("cummin(input, dim)",
             [](const Tensor& x, int64_t dim) { return named("cummin", cummin(x, dim)); });
    api.both("diff(input, n=1, dim=-1, prepend=None, append=None)",
             [](const Tensor& x, int64_t n, int64_t dim, const OptTensor& prepend,
                const OptTensor& append) { return diff(x, n, dim, get(prepend), get(append)); });
    api.both("bincount(input, weights=None, minlength=0)",
             [](const Tensor& x, const OptTensor& weights, int64_t minlength) {
                 return bincount(x, get(weights), minlength);
             });
    api.both("histc(input, bins=100, min=0, max=0)", &histc);
}

}  // namespace

void bind_reduce(Api& api) {
    bind_sums(api);
    bind_extremes(api);
    bind_moments(api);
    bind_norms(api);
    bind_order(api);
    bind_scans(api);
}

}  // namespace deeplite
