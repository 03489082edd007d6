// Rearrangements written with views, copies and index ops: grids, shuffles of channels and pixels,
// blocks.
#include "ops/copy.h"
#include "ops/factory.h"
#include "ops/index.h"
#include "ops/iter.h"
#include "ops/join.h"
#include "ops/view.h"

namespace deeplite {

TensorList meshgrid(const TensorList& tensors, const std::string& indexing) {
    check<Error>(!tensors.empty(), "meshgrid: expected a non-empty list of tensors");
    check<Error>(indexing == "ij" || indexing == "xy",
                 "meshgrid: indexing must be 'ij' or 'xy', got '", indexing, "'");
    int n = int(tensors.size());
    Dims shape;
    for (const Tensor& t : tensors) {
        check<ShapeError>(t.dim() <= 1, "meshgrid: expected 0-dim or 1-dim tensors, got shape ",
                          t.shape());
        check<Error>(t.dtype() == tensors[0].dtype(),
                     "meshgrid: expected tensors of one dtype, got ", tensors[0].dtype(), " and ",
                     t.dtype());
        shape.push_back(t.numel());
    }
    bool swap = indexing == "xy" && n >= 2;
    TensorList out;
    for (int i = 0; i < n; ++i) {
        Dims own = Dims::filled(n, 1);
        own[i] = shape[i];
        Tensor grid = expand(reshape(tensors[size_t(i)], own), shape);
        out.push_back(swap ? transpose(grid, 0, 1) : grid);
    }
    return out;
}

Tensor cartesian_prod(const TensorList& tensors) {
    check<Error>(!tensors.empty(), "cartesian_prod: expected a non-empty list of tensors");
    for (const Tensor& t : tensors)
        check<ShapeError>(t.dim() == 1, "cartesian_prod: expected 1-dim tensors, got shape ",
                          t.shape());
    if (tensors.size() == 1) return tensors[0];
    TensorList columns;
    for (const Tensor& grid : meshgrid(tensors)) columns.push_back(reshape(grid, {-1}));
    return stack(columns, 1);
}

Tensor combinations(const Tensor& x, int64_t r, bool with_replacement) {
    check<ShapeError>(x.dim() == 1, "combinations: expected a 1-dim tensor, got shape ", x.shape());
    check<Error>(r >= 0, "combinations: r must not be negative, got ", r);
    if (r == 0) return empty({0}, x.dtype(), x.device());
    int64_t n = x.numel();
    check<Error>(r < int64_t(1) << 24, "combinations: r is too large, got ", r);
    double count = 1;  // n (or n + r - 1) over r
    for (int64_t i = 0; i < r && count > 0 && count < 0x1p62; ++i)
        count *= std::max(0.0, double(with_replacement ? n + i : n - i)) / double(i + 1);
    check<ShapeError>(count < 0x1p62, "combinations: too many of ", r, " out of ", n);
    if (count * double(r) > 0x1p30)  // is there room for them?
        empty({int64_t(count), r}, DType::Int64, Device{}, "combinations");
    std::vector<int64_t> pick, all;
    for (int64_t i = 0; i < r; ++i) pick.push_back(with_replacement ? 0 : i);
    bool more = with_replacement ? n > 0 : r <= n;
    while (more) {
        all.insert(all.end(), pick.begin(), pick.end());
        int64_t i = r - 1;  // the last place that can still advance
        while (i >= 0 && pick[size_t(i)] == (with_replacement ? n - 1 : n - r + i)) --i;
        if (i < 0) break;
        int64_t next = ++pick[size_t(i)];
        for (int64_t j = i + 1; j < r; ++j) pick[size_t(j)] = with_replacement ? next : ++next;
    }
    Tensor at = empty({int64_t(all.size())}, DType::Int64);
    std::copy(all.begin(), all.end(), at.data<int64_t>());
    return reshape(index_select(x, 0, to_device_raw(at, x.device())), {int64_t(all.size()) / r, r});
}

namespace {
void check_factor(const char* what, int64_t r) {  // its square is taken
    check<Error>(r > 0, what, " must be positive, got ", r);
    check<Error>(r < int64_t(1) << 20, what, " is too large: ", r);
}
}  // namespace

Tensor pixel_shuffle(const Tensor& x, int64_t r) {
    check<ShapeError>(x.dim() >= 3, "pixel_shuffle: expected at least 3 dimensions, got shape ",
                      x.shape());
    check_factor("pixel_shuffle: upscale_factor", r);
    int64_t c = x.size(-3), h = x.size(-2), w = x.size(-1);
    check<ShapeError>(c % (r * r) == 0, "pixel_shuffle: the number of channels ", c,
                      " must be divisible by the square of upscale_factor ", r);
    int64_t n = 1;
    Dims shape;
    for (int d = 0; d < x.dim() - 3; ++d) {
        n *= x.shape()[d];
        shape.push_back(x.shape()[d]);
    }
    for (int64_t s : {c / (r * r), h * r, w * r}) shape.push_back(s);
    // [N, C, r, r, H, W] -> [N, C, H, r, W, r]
    return reshape(permute(reshape(x, {n, c / (r * r), r, r, h, w}), {0, 1, 4, 2, 5, 3}), shape);
}

Tensor pixel_unshuffle(const Tensor& x, int64_t r) {
    check<ShapeError>(x.dim() >= 3, "pixel_unshuffle: expected at least 3 dimensions, got shape ",
                      x.shape());
    check_factor("pixel_unshuffle: downscale_factor", r);
    int64_t c = x.size(-3), h = x.size(-2), w = x.size(-1);
    check<ShapeError>(h % r == 0 && w % r == 0, "pixel_unshuffle: height ", h, " and width ", w,
                      " must be divisible by downscale_factor ", r);
    int64_t n = 1;
    Dims shape;
    for (int d = 0; d < x.dim() - 3; ++d) {
        n *= x.shape()[d];
        shape.push_back(x.shape()[d]);
    }
    for (int64_t s : {c * r * r, h / r, w / r}) shape.push_back(s);
    // [N, C, H, r, W, r] -> [N, C, r, r, H, W]
    return reshape(permute(reshape(x, {n, c, h / r, r, w / r, r}), {0, 1, 3, 5, 2, 4}), shape);
}

Tensor channel_shuffle(const Tensor& x, int64_t groups) {
    check<ShapeError>(x.dim() >= 3, "channel_shuffle: expected at least 3 dimensions, got shape ",
                      x.shape());
    check<Error>(groups > 0, "channel_shuffle: groups must be positive, got ", groups);
    int64_t n = x.shape()[0], c = x.shape()[1];
    check<ShapeError>(c % groups == 0, "channel_shuffle: the number of channels ", c,
                      " must be divisible by groups ", groups);
    int64_t rest = 1;
    for (int d = 2; d < x.dim(); ++d) rest *= x.shape()[d];
    return reshape(transpose(reshape(x, {n, groups, c / groups, rest}), 1, 2), x.shape());
}

}  // namespace deeplite
