// Extremes with their places, and what is composed of sorting: medians, mode, quantiles.
#include <cmath>

#include "ops/index.h"
#include "ops/index_sort.h"
#include "ops/join.h"
#include "ops/reduce.h"
#include "ops/reduce_run.h"

namespace deeplite {
namespace {

// Along one dimension, with the index of the first extreme; dim -1: of a 0-d tensor.
template <bool kMax>
struct ExtremeIndex {
    static constexpr OpInfo info{
        .name = kMax ? "max" : "min", .save_outputs = 0b10, .differentiable_outputs = 0b1};
    int64_t dim;
    bool keepdim;
    void attributes(auto& v) const { v("dim", dim), v("keepdim", keepdim); }
    std::array<Tensor, 2> forward(const Tensor& x) const {
        Tensor index;
        Dims dims = x.dim() == 0 ? Dims{} : Dims{dim};
        Tensor value = reduce_raw(info.name, kMax ? DL_REDUCE_MAX_INDEX : DL_REDUCE_MIN_INDEX, x,
                                  dims, keepdim, x.dtype(), 0, &index);
        return {value, index};
    }
    Grads backward(const Ctx& c, const Grads& dys) const {
        if (!dys[0].defined()) return {Tensor{}};
        if (c.shape(0).empty()) return {dys[0]};
        Dims dims{dim};
        Tensor index = with_dims(c.out(1), dims, keepdim, c.shape(0));
        if (index.dim() == 0) index = reshape(index, {1});
        Tensor dy = reshape(dys[0], index.shape());
        return {scatter_into_zeros(dy, dim, index, c.shape(0))};
    }
};

template <bool kMax>
std::array<Tensor, 2> extreme_index(const Tensor& x, int64_t dim, bool keepdim) {
    const char* op = ExtremeIndex<kMax>::info.name;
    int d = wrap_dim(dim, x.dim(), op);
    if (x.dim() > 0) check_not_empty(op, x, {d});
    return apply(ExtremeIndex<kMax>{d, keepdim}, x);
}

// What `index` (with dim kept as size 1) picks from x, and index, both without dim unless keepdim.
std::array<Tensor, 2> pick(const Tensor& x, int d, const Tensor& index, bool keepdim) {
    Tensor values = gather(x, d, index);
    if (keepdim) return {values, index};
    return {squeeze(values, {d}), squeeze(index, {d})};
}

// Wraps a function of (x with at least one dimension, dim) so that it takes 0-d tensors too.
template <class F>
std::array<Tensor, 2> along(const char* op, const Tensor& x, int64_t dim, bool keepdim,
                            const F& f) {
    int d = wrap_dim(dim, x.dim(), op);
    if (x.dim() == 0) {
        auto [values, indices] = f(reshape(x, {1}), 0, false);
        return {values, indices};
    }
    check_not_empty(op, x, {d});
    return f(x, d, keepdim);
}

std::array<Tensor, 2> median_of(const Tensor& x, int d, bool keepdim, bool ignore_nan) {
    int64_t n = x.shape()[d];
    Tensor order = argsort(x, d);  // a NaN counts as the greatest
    Tensor place = narrow(order, d, (n - 1) / 2, 1);
    if (x.is_floating()) {
        Tensor nan = ne(x, x);
        if (ignore_nan) {
            Tensor seen = sub(num(double(n)), sum(nan, {d}, true));
            Tensor rank = clamp(sub(seen, num(1)), 0.0, std::nullopt);
            place = gather(order, d,
                           cast(floor_divide(rank, wrapped_number(int64_t(2))), DType::Int64));
        } else {  // the first NaN, if there is one
            Tensor first = argmax(cast(nan, DType::Int64), d, true);
            place = where(any(nan, {d}, true), first, place);
        }
    }
    return pick(x, d, contiguous(place), keepdim);
}

Tensor median_of_all(const char* op, const Tensor& x, bool ignore_nan) {
    check<Error>(x.numel() > 0 || x.is_floating(), op, ": no elements in input ", x.shape());
    if (x.numel() == 0) return full({}, NAN, x.dtype(), x.device());
    return median_of(reshape(x, {x.numel()}), 0, false, ignore_nan)[0];
}

// The run of equal elements that is longest in sorted order; of equals, that of the least value.
std::array<Tensor, 2> mode_of(const Tensor& x, int d, bool keepdim) {
    int64_t n = x.shape()[d];
    auto [sorted, order] = sort(x, d);
    Dims along_dim = Dims::filled(x.dim(), 1);
    along_dim[d] = n;
    Tensor at = reshape(arange(0, double(n), 1, DType::Int64, x.device()), along_dim);
    Tensor start = expand(at, x.shape());
    if (n > 1) {
        Tensor before = narrow(sorted, d, 0, n - 1), after = narrow(sorted, d, 1, n - 1);
        Tensor tail = where(ne(before, after), narrow(at, d, 1, n - 1), wrapped_number(int64_t(0)));
        Dims edge = x.shape();
        edge[d] = 1;
        Tensor head = zeros(edge, DType::Int64, x.device());
        start = cummax(concat({head, tail}, d), d)[0];
    }
    Tensor last = argmax(sub(at, start), d, true);
    return pick(x, d, gather(order, d, last), keepdim);
}

}  // namespace

std::array<Tensor, 2> min(const Tensor& x, int64_t dim, bool keepdim) {
    return extreme_index<false>(x, dim, keepdim);
}
std::array<Tensor, 2> max(const Tensor& x, int64_t dim, bool keepdim) {
    return extreme_index<true>(x, dim, keepdim);
}
Tensor median(const Tensor& x) { return median_of_all("median", x, false); }
Tensor nanmedian(const Tensor& x) { return median_of_all("nanmedian", x, true); }
std::array<Tensor, 2> median(const Tensor& x, int64_t dim, bool keepdim) {
    return along("median", x, dim, keepdim,
                 [](const Tensor& y, int d, bool keep) { return median_of(y, d, keep, false); });
}
std::array<Tensor, 2> nanmedian(const Tensor& x, int64_t dim, bool keepdim) {
    return along("nanmedian", x, dim, keepdim,
                 [](const Tensor& y, int d, bool keep) { return median_of(y, d, keep, true); });
}
std::array<Tensor, 2> mode(const Tensor& x, int64_t dim, bool keepdim) {
    return along("mode", x, dim, keepdim, mode_of);
}

// Sorted along the last axis, then read at the fractional rank q (n - 1).
Tensor quantile(const Tensor& input, const Tensor& q_in, std::optional<int64_t> dim, bool keepdim,
                const std::string& interpolation, bool ignore_nan) {
    const char* op = ignore_nan ? "nanquantile" : "quantile";
    check_floating(op, input);
    Tensor q =
        q_in.impl()->wrapped_number ? to_device(cast(q_in, input.dtype()), input.device()) : q_in;
    check_same_device(op, {&input, &q});
    check<TypeError>(q.dtype() == input.dtype(), op, ": q has dtype ", q.dtype(), ", input ",
                     input.dtype(), "; they must agree");
    check<ShapeError>(q.dim() <= 1, op, ": q must be a number or one-dimensional, got shape ",
                      q.shape());
    static const char* const kinds[] = {"linear", "lower", "higher", "midpoint", "nearest"};
    check<ValueError>(
        std::find(std::begin(kinds), std::end(kinds), interpolation) != std::end(kinds), op,
        ": interpolation must be 'linear', 'lower', 'higher', 'midpoint' or "
        "'nearest', got '",
        interpolation, "'");
    int d = dim && input.dim() > 0 ? wrap_dim(*dim, input.dim(), op) : 0;
    Tensor x = dim && input.dim() > 0 ? movedim(input, {d}, {-1}) : reshape(input, {input.numel()});
    int64_t n = x.shape().back();
    check<Error>(input.numel() > 0, op, ": no elements to reduce in input ", input.shape());
    Tensor flat_q = reshape(q, {q.numel()});
    Tensor outside = logical_or(any(lt(flat_q, num(0))), any(gt(flat_q, num(1))));
    check<ValueError>(
        !load_int(to_device_raw(cast_raw(outside, DType::Int64), Device{}).raw(), DType::Int64), op,
        ": q must lie in [0, 1]");

    Tensor sorted = sort(x, -1)[0];
    Tensor nan = ne(x, x);
    Tensor last = ignore_nan  // the highest rank of each line [..., 1]
                      ? clamp(cast(sub(num(double(n - 1)), sum(nan, {-1}, true)), x.dtype()), 0.0,
                              std::nullopt)
                      : full({1}, double(n - 1), x.dtype(), x.device());
    Tensor rank = mul(flat_q, last);  // [..., Q]
    if (!ignore_nan) {                // a NaN, sorted last, is what such a line answers
        Tensor spoilt = any(nan, {-1}, true);
        rank = where(spoilt, num(double(n - 1)), rank);
    }
    if (interpolation == "lower") rank = floor(rank);
    if (interpolation == "higher") rank = ceil(rank);
    if (interpolation == "nearest") rank = round(rank);
    Dims lines = x.shape();
    lines.back() = flat_q.numel();
    rank = expand(rank, lines);
    Tensor low = floor(rank);
    Tensor y = gather(sorted, -1, cast(contiguous(low), DType::Int64));
    if (interpolation == "linear" || interpolation == "midpoint") {
        Tensor high = gather(sorted, -1, cast(ceil(rank), DType::Int64));
        Tensor weight =
            interpolation == "linear" ? sub(rank, low) : full({}, 0.5, x.dtype(), x.device());
        y = add(y, mul(sub(high, y), weight));
    }

    // y [..., Q] -> [Q, ...] with the reduced dimension back when asked for
    if (keepdim && input.dim() > 0) {
        if (dim) {
            y = unsqueeze(y, d);  // [.., 1, .., Q]
        } else {
            Dims shape = Dims::filled(input.dim(), 1);
            shape.push_back(flat_q.numel());
            y = reshape(y, shape);
        }
    }
    y = movedim(y, {-1}, {0});
    return q.dim() == 0 ? squeeze(y, {0}) : y;
}

}  // namespace deeplite
