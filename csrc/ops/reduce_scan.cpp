// Scans along one dimension, products, differences, and histograms.
#include <cmath>

#include "ops/index.h"
#include "ops/join.h"
#include "ops/reduce.h"
#include "ops/reduce_run.h"

namespace deeplite {
namespace {

Tensor scan_raw(const char* op, dl_scan_op kind, const Tensor& input, int64_t dim,
                Tensor* indices = nullptr) {
    Tensor x = cast_contiguous_raw(input, compute_dtype(input.dtype()));
    Tensor out = empty(x.shape(), x.dtype(), x.device(), op);
    if (indices) *indices = empty(x.shape(), DType::Int64, x.device(), op);
    dl_scan_args args{};
    args.dtype = int32_t(x.dtype());
    args.outer = args.n = args.inner = 1;
    for (int d = 0; d < x.dim(); ++d)
        (d < dim ? args.outer : d == dim ? args.n : args.inner) *= x.shape()[d];
    args.in = x.raw();
    args.out = out.raw();
    args.indices = indices ? indices->data<int64_t>() : nullptr;
    const dl_reduce_table* table = backend_of(x.device()).reduce;
    dl_scan_fn fn = table ? table->scan[kind] : nullptr;
    check_status(fn ? fn(&args) : DL_UNSUPPORTED, x.device(), op);
    return cast_raw(out, input.dtype());
}

// Integers add up in int64, in place too (where the result is cast back).
Tensor widened(const Tensor& x) { return cast_raw(x, sum_dtype(x.dtype())); }

Tensor reverse_cumsum(const Tensor& x, int64_t dim) {
    if (x.dim() == 0) return x;
    return flip(cumsum(flip(x, {dim}), dim), {dim});
}

struct CumSum {
    static constexpr OpInfo info{.name = "cumsum"};
    int64_t dim;
    void attributes(auto& v) const { v("dim", dim); }
    Tensor forward(const Tensor& x) const {
        return scan_raw(info.name, DL_SCAN_SUM, widened(x), dim);
    }
    Grads backward(const Ctx&, const Tensor& dy) const { return {reverse_cumsum(dy, dim)}; }
};

// dx[k] = sum over i >= k of dy[i] * (product of x[0..i] without x[k])
struct CumProd {
    static constexpr OpInfo info{.name = "cumprod", .save_inputs = 0b1, .save_outputs = 0b1};
    int64_t dim;
    void attributes(auto& v) const { v("dim", dim); }
    Tensor forward(const Tensor& x) const {
        return scan_raw(info.name, DL_SCAN_PROD, widened(x), dim);
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor x = c.in(0), y = c.out(0);
        if (x.dim() == 0 || x.numel() == 0) return {dy};
        if (t_recorder) t_recorder->check_readable(x, "cumprod's backward");
        Tensor zero = eq(x, 0.0);
        Tensor some = cast_raw(any(zero), DType::Int64);
        if (!load_int(to_device_raw(some, Device{}).raw(), DType::Int64))
            return {div(reverse_cumsum(mul(dy, y), dim), x)};
        return {grad_enabled() ? one_by_one(x, dy) : around_first_zero(x, y, dy, zero)};
    }

 private:
    // Before the first zero of a line as without zeros; at it, with a 1 in its place; 0 after it.
    Tensor around_first_zero(const Tensor& x, const Tensor& y, const Tensor& dy,
                             const Tensor& zero) const {
        Tensor seen = cumsum(zero, dim);  // int64
        Tensor before = eq(seen, 0.0);
        Tensor first = logical_and(zero, eq(seen, 1.0));
        Tensor head = div(reverse_cumsum(mul(dy, y), dim), where(before, x, num(1)));
        Tensor filled = cumprod(where(first, num(1), x), dim);
        Tensor tail = reverse_cumsum(mul(dy, where(before, num(0), filled)), dim);
        return where(before, head, where(first, tail, num(0)));
    }
    // Slow, but right to every order of differentiation: each element is left out in its turn.
    Tensor one_by_one(const Tensor& x, const Tensor& dy) const {
        TensorList parts;
        int64_t n = x.shape()[int(dim)];
        Dims lines = Dims::filled(x.dim(), 1);
        lines[int(dim)] = n;
        Tensor at = reshape(arange(0, double(n), 1, DType::Int64, x.device()), lines);
        for (int64_t k = 0; k < n; ++k) {
            Tensor others = cumprod(where(eq(at, double(k)), num(1), x), dim);
            Tensor term = mul(narrow(dy, dim, k, n - k), narrow(others, dim, k, n - k));
            parts.push_back(sum(term, {dim}, true));
        }
        return concat(parts, dim);
    }
};

struct LogCumSumExp {
    static constexpr OpInfo info{.name = "logcumsumexp", .save_inputs = 0b1, .save_outputs = 0b1};
    int64_t dim;
    void attributes(auto& v) const { v("dim", dim); }
    Tensor forward(const Tensor& x) const { return scan_raw(info.name, DL_SCAN_LOGSUMEXP, x, dim); }
    // dx[k] = sum over i >= k of dy[i] exp(x[k] - y[i]), the exponents taken relative to the
    // largest y.
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor x = c.in(0), y = c.out(0);
        if (x.dim() == 0 || x.numel() == 0) return {dy};
        if (!grad_enabled()) {
            Tensor none = num(-INFINITY);
            auto part = [&](const Tensor& g) {  // of the non-negative gradients g, in logarithms
                Tensor logs = where(gt(g, num(0)), log(g), none);
                Tensor sums = flip(logcumsumexp(flip(sub(logs, y), {dim}), dim), {dim});
                return exp(add(sums, x));
            };
            return {sub(part(dy), part(neg(dy)))};
        }
        Tensor top = detach(amax(y, {dim}, true));
        Tensor scaled = reverse_cumsum(mul(dy, exp(sub(top, y))), dim);
        return {mul(exp(sub(x, top)), scaled)};
    }
};

template <bool kMax>
struct CumExtreme {
    static constexpr OpInfo info{
        .name = kMax ? "cummax" : "cummin", .save_outputs = 0b10, .differentiable_outputs = 0b1};
    int64_t dim;
    void attributes(auto& v) const { v("dim", dim); }
    std::array<Tensor, 2> forward(const Tensor& x) const {
        Tensor indices;
        Tensor values = scan_raw(info.name, kMax ? DL_SCAN_MAX : DL_SCAN_MIN, x, dim, &indices);
        return {values, indices};
    }
    Grads backward(const Ctx& c, const Grads& dys) const {
        if (!dys[0].defined()) return {Tensor{}};
        if (c.shape(0).empty()) return {dys[0]};
        Tensor zero = zeros(c.shape(0), dys[0].dtype(), dys[0].device());
        return {scatter_add(zero, dim, c.out(1), dys[0])};
    }
};

// All but one: the products of what stands before and after each element, so zeros need no care.
Tensor product_of_others(const Tensor& x, int dim) {
    int64_t n = x.shape()[dim];
    Dims edge = x.shape();
    edge[dim] = 1;
    Tensor one = ones(edge, x.dtype(), x.device());
    Tensor before = cumprod(concat({one, narrow(x, dim, 0, n - 1)}, dim), dim);
    Tensor reversed = flip(narrow(x, dim, 1, n - 1), {dim});
    Tensor after = flip(cumprod(concat({one, reversed}, dim), dim), {dim});
    return mul(before, after);
}

// Over one dimension, or over all of them (dims lists every one).
struct Prod {
    static constexpr OpInfo info{.name = "prod", .save_inputs = 0b1};
    Dims dims;
    bool keepdim;
    void attributes(auto& v) const { v("dim", dims), v("keepdim", keepdim); }
    Tensor forward(const Tensor& x) const {
        return reduce_raw(info.name, DL_REDUCE_PROD, x, dims, keepdim, sum_dtype(x.dtype()));
    }
    Grads backward(const Ctx& c, const Tensor& dy) const {
        Tensor x = c.in(0);
        if (x.numel() == 0) return {zeros(c.shape(0), x.dtype(), x.device())};
        Tensor spread_dy = spread(dy, dims, keepdim, c.shape(0));
        if (x.dim() == 0) return {spread_dy};
        if (dims.size() == 1) return {mul(spread_dy, product_of_others(x, int(dims[0])))};
        Tensor others = product_of_others(reshape(x, {x.numel()}), 0);
        return {mul(spread_dy, reshape(others, x.shape()))};
    }
};

template <bool kMax>
std::array<Tensor, 2> cumulative_extreme(const Tensor& x, int64_t dim) {
    return apply(CumExtreme<kMax>{wrap_dim(dim, x.dim(), CumExtreme<kMax>::info.name)}, x);
}

Tensor once_differenced(const Tensor& x, int d) {
    int64_t n = x.shape()[d];
    if (n == 0) return x;
    Tensor later = narrow(x, d, 1, n - 1), earlier = narrow(x, d, 0, n - 1);
    return x.dtype() == DType::Bool ? ne(later, earlier) : sub(later, earlier);
}

// Results without a gradient.
struct BinCount {
    static constexpr OpInfo info{.name = "bincount"};
    int64_t minlength;
    void attributes(auto& v) const { v("minlength", minlength); }
    Tensor forward(const Tensor& input, const Tensor& w) const {
        Tensor x = cast_contiguous_raw(input, DType::Int64);
        int64_t bins = minlength;
        if (x.numel() > 0) {
            Tensor top = to_device_raw(
                reduce_raw(info.name, DL_REDUCE_MAX, x, {0}, false, x.dtype()), Device{});
            bins = std::max(bins, *top.data<int64_t>() + 1);
        }
        DType dtype = !w.defined() || x.numel() == 0 ? DType::Int64
                      : w.dtype() == DType::Float32  ? DType::Float32
                                                     : DType::Float64;
        Tensor weights = w.defined() ? cast_contiguous_raw(w, dtype) : w;
        Tensor out = empty({bins}, dtype, x.device(), info.name);
        dl_bincount_args args{int32_t(dtype),
                              x.numel(),
                              bins,
                              x.data<int64_t>(),
                              w.defined() ? weights.raw() : nullptr,
                              out.raw()};
        auto fn = kernel(info.name, x.device(), backend_of(x.device()).reduce,
                         &dl_reduce_table::bincount);
        check_status(fn(&args), x.device(), info.name, "expected non-negative integers");
        return out;
    }
};

struct Histogram {
    static constexpr OpInfo info{.name = "histc"};
    int64_t bins;
    double low, high;
    void attributes(auto& v) const { v("bins", bins), v("min", low), v("max", high); }
    Tensor forward(const Tensor& input) const {
        Tensor x = cast_contiguous_raw(input, compute_dtype(input.dtype()));
        Tensor out = empty({bins}, x.dtype(), x.device(), info.name);
        auto [first, last] = range(x);
        dl_histc_args args{int32_t(x.dtype()), x.numel(), bins, first, last, x.raw(), out.raw()};
        auto fn =
            kernel(info.name, x.device(), backend_of(x.device()).reduce, &dl_reduce_table::histc);
        check_status(fn(&args), x.device(), info.name);
        return cast_raw(out, input.dtype());
    }

 private:
    // Equal bounds stand for those of the data, and widen when they are still equal.
    std::pair<double, double> range(const Tensor& x) const {
        double first = low, last = high;
        if (first == last && x.numel() > 0) {
            Dims dims = wrap_dims({}, x.dim(), info.name);
            Tensor top;
            Tensor least = reduce_raw(info.name, DL_REDUCE_AMINMAX, x, dims, false, x.dtype(), 0,
                                      &top, x.dtype());
            first = load_double(to_device_raw(least, Device{}).raw(), x.dtype());
            last = load_double(to_device_raw(top, Device{}).raw(), x.dtype());
            check<ValueError>(std::isfinite(first) && std::isfinite(last),
                              "histc: the input must be finite to give the range of bins, got [",
                              first, ", ", last, "]");
        }
        return first == last ? std::pair(first - 1, last + 1) : std::pair(first, last);
    }
};

}  // namespace

Tensor cumsum(const Tensor& x, int64_t dim, OptionalDType dtype) {
    DType to = dtype.value_or(sum_dtype(x.dtype()));
    return apply(CumSum{wrap_dim(dim, x.dim(), "cumsum")}, cast(x, to));
}
Tensor cumprod(const Tensor& x, int64_t dim, OptionalDType dtype) {
    DType to = dtype.value_or(sum_dtype(x.dtype()));
    return apply(CumProd{wrap_dim(dim, x.dim(), "cumprod")}, cast(x, to));
}
const Tensor& cumsum_(const Tensor& self, int64_t dim) {
    return apply_inplace(CumSum{wrap_dim(dim, self.dim(), "cumsum_")}, self);
}
const Tensor& cumprod_(const Tensor& self, int64_t dim) {
    return apply_inplace(CumProd{wrap_dim(dim, self.dim(), "cumprod_")}, self);
}
Tensor logcumsumexp(const Tensor& x, int64_t dim) {
    check_floating("logcumsumexp", x);
    return apply(LogCumSumExp{wrap_dim(dim, x.dim(), "logcumsumexp")}, x);
}
Tensor prod(const Tensor& x, std::optional<int64_t> dim, bool keepdim, OptionalDType dtype) {
    Dims dims = wrap_dims(dim ? Dims{*dim} : Dims{}, x.dim(), "prod");
    return apply(Prod{dims, keepdim}, cast_if(x, dtype));
}

std::array<Tensor, 2> cummax(const Tensor& x, int64_t dim) {
    return cumulative_extreme<true>(x, dim);
}
std::array<Tensor, 2> cummin(const Tensor& x, int64_t dim) {
    return cumulative_extreme<false>(x, dim);
}

Tensor diff(const Tensor& x, int64_t n, int64_t dim, const Tensor& prepend, const Tensor& append) {
    check<ShapeError>(x.dim() > 0, "diff: expected at least one dimension, got a 0-d tensor");
    check<ValueError>(n >= 0, "diff: n must not be negative, got ", n);
    int d = wrap_dim(dim, x.dim(), "diff");
    if (n == 0) return x;
    Tensor y = x;
    if (prepend.defined() || append.defined()) {
        TensorList parts{x};
        if (prepend.defined()) parts.insert(parts.begin(), prepend);
        if (append.defined()) parts.push_back(append);
        for (Tensor& part : parts) {
            if (part.dim() > 0) continue;
            Dims shape = x.shape();  // a number stands for a slice of it
            shape[d] = 1;
            part = expand(part, shape);
        }
        y = concat(parts, d);
    }
    n = std::min(n, y.shape()[d]);
    for (int64_t i = 0; i < n; ++i) y = once_differenced(y, d);
    return y;
}

Tensor bincount(const Tensor& x, const Tensor& weights, int64_t minlength) {
    check<ShapeError>(x.dim() == 1, "bincount: expected a one-dimensional input, got shape ",
                      x.shape());
    check<TypeError>(is_integral(x.dtype()) || x.dtype() == DType::Bool,
                     "bincount: expected an integer input, got dtype ", x.dtype());
    check<ValueError>(minlength >= 0, "bincount: minlength must not be negative, got ", minlength);
    if (weights.defined()) {
        check<ShapeError>(weights.shape() == x.shape(), "bincount: weights ", weights.shape(),
                          " must have the shape of input ", x.shape());
        check_same_device("bincount", {&x, &weights});
    }
    return apply(BinCount{minlength}, x, weights);
}

Tensor histc(const Tensor& x, int64_t bins, double low, double high) {
    check_floating("histc", x);
    check<ValueError>(bins > 0, "histc: bins must be positive, got ", bins);
    check<ValueError>(std::isfinite(low) && std::isfinite(high) && low <= high,
                      "histc: expected finite bounds with min <= max, got [", low, ", ", high, "]");
    return apply(Histogram{bins, low, high}, x);
}

}  // namespace deeplite
