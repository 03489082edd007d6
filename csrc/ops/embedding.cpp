#include "ops/embedding.h"

#include <cmath>

#include "autograd/meta.h"
#include "ops/copy.h"
#include "ops/elementwise.h"
#include "ops/factory.h"
#include "ops/index.h"
#include "ops/index_sort.h"
#include "ops/iter.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace deeplite {
namespace {

int64_t wrap_padding(const char* op, std::optional<int64_t> padding_idx, const Tensor& weight) {
    if (!padding_idx) return -1;
    int64_t rows = weight.shape()[0];
    check<ValueError>(*padding_idx >= -rows && *padding_idx < rows, op, ": padding_idx ",
                      *padding_idx, " must lie within the ", rows, " rows of weight");
    return *padding_idx < 0 ? *padding_idx + rows : *padding_idx;
}

// Rows of weight that are longer than max_norm are brought down to it, in place and outside the
// graph.
void renorm_rows(const Tensor& weight, const Tensor& indices, double max_norm, double p) {
    GradMode no_grad(false);
    Tensor rows_at = unique(reshape(indices, {-1})).values;
    Tensor rows = index_select(weight, 0, cast(rows_at, DType::Int64));
    Tensor norms = pow(sum(pow(abs(rows), wrapped_number(p)), {1}, true), wrapped_number(1 / p));
    Tensor limit = full({}, max_norm, weight.dtype(), weight.device());
    Tensor shrunk = mul(rows, div(limit, add(norms, wrapped_number(1e-7))));
    index_copy_(weight, 0, cast(rows_at, DType::Int64), where(lt(limit, norms), shrunk, rows));
}

void check_weight(const char* op, const Tensor& weight, const Tensor& indices) {
    check<ShapeError>(weight.dim() == 2, op, ": weight must have 2 dimensions, got shape ",
                      weight.shape());
    check<TypeError>(indices.dtype() == DType::Int64 || indices.dtype() == DType::Int32, op,
                     ": expected int64 or int32 indices, got ", indices.dtype());
}

// The bag of every index: [M] numbers in 0..B-1.
Tensor bag_numbers(const Tensor& offsets, int64_t m, bool include_last_offset) {
    check_readable(offsets, "embedding_bag");
    Tensor host = to_device_raw(cast_contiguous_raw(offsets, DType::Int64), Device{});
    const int64_t* start = host.data<int64_t>();
    int64_t bags = host.numel() - (include_last_offset ? 1 : 0);
    check<Error>(host.numel() == 0 || start[0] == 0, "embedding_bag: offsets[0] must be 0, got ",
                 host.numel() ? start[0] : 0);
    check<Error>(bags >= 0, "embedding_bag: include_last_offset needs at least one offset");
    check<Error>(m == 0 || bags > 0, "embedding_bag: indices without a bag; offsets are empty");
    Tensor bag = empty({m}, DType::Int64);
    for (int64_t b = 0; b < bags; ++b) {
        int64_t stop = b + 1 < host.numel() ? start[b + 1] : m;
        check<Error>(start[b] <= stop && stop <= m,
                     "embedding_bag: offsets must not decrease nor exceed the ", m,
                     " indices, got ", start[b], " followed by ", stop);
        for (int64_t i = start[b]; i < stop; ++i) bag.data<int64_t>()[i] = b;
        if (b + 1 == bags)
            for (int64_t i = stop; i < m; ++i) bag.data<int64_t>()[i] = b;
    }
    return to_device_raw(bag, offsets.device());
}

}  // namespace

Tensor embedding_lookup(const Tensor& indices, const Tensor& weight,
                        std::optional<int64_t> padding_idx, std::optional<double> max_norm,
                        double norm_type, bool scale_grad_by_freq) {
    check_weight("embedding", weight, indices);
    int64_t padding = wrap_padding("embedding", padding_idx, weight);
    if (max_norm) renorm_rows(weight, indices, *max_norm, norm_type);
    return embedding(weight, indices, padding, scale_grad_by_freq);
}

Tensor embedding_bag(const Tensor& indices, const Tensor& weight, const Tensor& offsets,
                     std::optional<double> max_norm, double norm_type, bool scale_grad_by_freq,
                     const std::string& mode, const Tensor& per_sample_weights,
                     bool include_last_offset, std::optional<int64_t> padding_idx) {
    const char* op = "embedding_bag";
    check_weight(op, weight, indices);
    check<ValueError>(mode == "sum" || mode == "mean" || mode == "max", op,
                      ": mode must be sum, mean or max, got '", mode, "'");
    check<ShapeError>(indices.dim() == 1 || indices.dim() == 2, op,
                      ": indices must have 1 or 2 dimensions, got shape ", indices.shape());
    check<ValueError>(indices.dim() == 1 || !offsets.defined(), op,
                      ": offsets must be None for 2-dim indices");
    check<ValueError>(indices.dim() == 2 || offsets.defined(), op, ": 1-dim indices need offsets");
    check<ShapeError>(!offsets.defined() || offsets.dim() == 1, op,
                      ": offsets must have 1 dimension");
    check<NotImplementedError>(!per_sample_weights.defined() || mode == "sum", op,
                               ": per_sample_weights work with mode='sum' only, got '", mode, "'");
    check<ShapeError>(
        !per_sample_weights.defined() || per_sample_weights.shape() == indices.shape(), op,
        ": per_sample_weights must have the shape of indices");
    int64_t padding = wrap_padding(op, padding_idx, weight), m = indices.numel(), bags;
    if (max_norm) renorm_rows(weight, indices, *max_norm, norm_type);
    Tensor at = cast(reshape(indices, {-1}), DType::Int64), scale = per_sample_weights, bag;
    if (scale.defined()) scale = reshape(scale, {-1});
    if (indices.dim() == 2) {
        bags = indices.shape()[0];
        bag =
            reshape(expand(unsqueeze(arange(0, double(bags), 1, DType::Int64, indices.device()), 1),
                           indices.shape()),
                    {-1});
    } else {
        bags = offsets.numel() - (include_last_offset ? 1 : 0);
        bag = bag_numbers(offsets, m, include_last_offset);
    }
    if (padding >= 0) {  // padding counts for nothing, not even in the mean
        Tensor keep = nonzero_tuple(ne(at, wrapped_number(padding)))[0];
        at = index_select(at, 0, keep);
        bag = index_select(bag, 0, keep);
        if (scale.defined()) scale = index_select(scale, 0, keep);
    }
    Tensor rows = embedding(weight, at, padding, scale_grad_by_freq, op);
    if (scale.defined()) rows = mul(rows, unsqueeze(scale, 1));
    Tensor none = zeros({bags, weight.shape()[1]}, weight.dtype(), weight.device());
    if (mode == "max")
        return scatter_reduce(none, 0, expand(unsqueeze(bag, 1), rows.shape()), rows, "amax",
                              false);
    Tensor total = index_add(none, 0, bag, rows);
    if (mode == "sum") return total;
    Tensor one = ones({}, weight.dtype(), weight.device());
    Tensor count =
        index_add(zeros({bags}, weight.dtype(), weight.device()), 0, bag, expand(one, bag.shape()));
    return div(total, unsqueeze(maximum(count, one), 1));
}

}  // namespace deeplite
